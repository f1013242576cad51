//! Nests that follow a kernel part by part, each while the part is still in the first cache. Safety: see `abi`.

use super::{Call, Frame, Kernel, MOST_ENTRIES, Nest, deal, matrix, wrong_kind};
use crate::kernels::level::Level;
use crate::kernels::space::{Use, space};
use crate::kernels::{Layout, Real, conv, dot};
use crate::pool;
use crate::tensor::DType;

/// How a nest follows a kernel: its pieces belong to equal numbers of elements of the kernel's result, in the order of
/// memory. Whole rows of a product, or whole channels of a convolution, are whole pieces or parts of one; and rows or
/// images that are made together are so many that they are whole pieces.
#[derive(Clone, Debug)]
pub struct Then {
    /// The words of its table.
    pub entries: usize,
    /// Elements of a piece.
    pub each: usize,
    /// Whether the nest alone is work for several threads.
    pub large: bool,
    /// The word of the table that is the result's address, if nothing but the nest reads the result: then it has no
    /// place of its own, but each part lies in working memory until the nest is done with it.
    pub private: Option<usize>,
}

/// A nest that follows a kernel.
pub struct Following<'a> {
    pub frame: *mut Frame,
    pub nest: Nest,
    /// With room for two more words than the entries.
    pub table: *mut u64,
    pub then: &'a Then,
}

// What is behind the pointers is only read, but for the table, of which each thread has a copy.
unsafe impl Sync for Following<'_> {}

impl Following<'_> {
    /// Does the pieces for the elements from `start` to before `end`, the first of which is at `at`.
    unsafe fn pieces<T>(&self, table: *mut u64, (start, end): (usize, usize), at: *mut T) {
        let then = self.then;
        unsafe {
            if let Some(place) = then.private {
                *table.add(place) = at.wrapping_sub(start) as u64;
            }
            *table.add(then.entries) = (start / then.each) as u64;
            *table.add(then.entries + 1) = (end / then.each) as u64;
            (self.nest)(self.frame, table);
        }
    }

    /// Does all pieces for `len` elements, on several threads if there are some.
    unsafe fn all<T>(&self, len: usize, at: *mut T) {
        let then = self.then;
        unsafe {
            if let Some(place) = then.private {
                *self.table.add(place) = at as u64;
            }
            deal(self.frame, self.nest, self.table, then.entries as u64, (len / then.each) as u64);
        }
    }

    /// Calls `work` for each of `parts` with a table of its own; on several threads if `dealt`.
    unsafe fn parts(&self, parts: usize, dealt: bool, work: &(dyn Fn(usize, *mut u64) + Sync)) {
        if !dealt {
            return (0..parts).for_each(|part| work(part, self.table));
        }
        let shares = parts.min(4 * pool::threads());
        pool::each(shares, &|share| {
            let mut own = [0u64; MOST_ENTRIES];
            unsafe { std::ptr::copy_nonoverlapping(self.table, own.as_mut_ptr(), self.then.entries) };
            (share * parts / shares..(share + 1) * parts / shares).for_each(|part| work(part, own.as_mut_ptr()));
        });
    }
}

/// Runs a kernel that a nest follows.
///
/// # Safety
/// See `abi`.
pub unsafe fn run_followed(call: &Call, at: &[*mut u8], following: &Following) {
    let layouts = &call.operands;
    unsafe {
        match (&call.kernel, layouts[0].dtype) {
            (Kernel::DotPacked, DType::F32) => product::<f32>(layouts, at, following),
            (Kernel::DotPacked, DType::F64) => product::<f64>(layouts, at, following),
            (Kernel::Conv { batch: 0, plan }, DType::F32) => convolution::<f32>(plan, layouts, at, following),
            (Kernel::Conv { batch: 0, plan }, DType::F64) => convolution::<f64>(plan, layouts, at, following),
            (kernel, dtype) => wrong_kind(kernel, dtype),
        }
    }
}

/// What a thread needs of a kernel's operands.
struct Shared<T>(T);

// Threads write different elements, and nobody writes the operands.
unsafe impl<T> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    fn get(&self) -> T {
        self.0
    }
}

/// By rows, a tile's or more at a time.
unsafe fn product<T: Real>(layouts: &[Layout], at: &[*mut u8], following: &Following) {
    let (a, c) = (&layouts[0], &layouts[2]);
    let (m, k, n) = (a.shape[0], a.shape[1], c.shape[1]);
    let (level, then) = (Level::best(), following.then);
    let dealt = pool::threads() > 1 && (then.large || dot::is_dealt(m, k, n));
    let rows = dot::rows_at_once(level, size_of::<T>(), k, n).next_multiple_of((then.each / n).max(1)).min(m);
    let parts = m.div_ceil(rows);
    let operands = Shared((matrix::<T>(at[0], a), at[1] as *const T, at[2] as *mut T));
    let make = |from: usize, until: usize| unsafe {
        let (left, packed, result) = operands.get();
        let left = dot::Matrix { at: left.at.offset(from as isize * left.row), ..left };
        let to = match then.private {
            Some(_) => space::<T>(Use::Part, (until - from) * n),
            None => result.add(from * n),
        };
        let part = dot::MatrixMut { at: to, row: n as isize, col: 1 };
        dot::product_packed::<T>(level, (until - from, k, n), left, packed, part);
        to
    };
    if dealt && parts < pool::threads() {
        // Too few rows: the product is dealt out by columns.
        return unsafe { following.all(m * n, make(0, m)) };
    }
    unsafe {
        following.parts(parts, dealt, &|part, table| {
            let (from, until) = (part * rows, m.min((part + 1) * rows));
            following.pieces(table, (from * n, until * n), make(from, until));
        });
    }
}

/// Elements of a convolution's result, so many images of which are made together: they stay in a near cache.
const TOGETHER: usize = 32 << 10;

/// By a few images, and groups of channels.
unsafe fn convolution<T: Real>(plan: &conv::Plan, layouts: &[Layout], at: &[*mut u8], following: &Following) {
    let (x, k, out) = (&layouts[0], &layouts[1], &layouts[2]);
    let then = following.then;
    let (images, channels, plane) = (out.shape[0], out.shape[1], out.shape[2] * out.shape[3]);
    let group = if plane.is_multiple_of(then.each) { conv::CHANNELS.min(channels) } else { channels };
    let groups = channels.div_ceil(group);
    let threads = pool::threads();
    let dealt = threads > 1 && (then.large || conv::is_dealt(plan, images));
    // Small images together, for each call prepares the kernel; but enough parts for all threads.
    let most = if dealt { images * groups / (4 * threads) } else { images };
    let together = (TOGETHER / (channels * plane).max(1)).min(most).max(1);
    let operands = Shared((at[0] as *const T, at[1] as *const T, at[2] as *mut T));
    let make = |which: std::ops::Range<usize>, chosen: std::ops::Range<usize>| unsafe {
        let (image, kernel, result) = operands.get();
        let start = (which.start * channels + chosen.start) * plane;
        let len = ((which.end - 1) * channels + chosen.end) * plane - start;
        let to = match then.private {
            Some(_) => space::<T>(Use::Part, len),
            None => result.add(start),
        };
        conv::conv_part(plan, (image, x), (kernel, k), (to.wrapping_sub(start), out), which, chosen);
        (to, start, start + len)
    };
    if dealt && images * groups < threads {
        let (to, _, len) = make(0..images, 0..channels);
        return unsafe { following.all(len, to) };
    }
    unsafe {
        following.parts(images.div_ceil(together) * groups, dealt, &|part, table| {
            let (image, from) = (part / groups * together, part % groups * group);
            let (which, until) = (image..images.min(image + together), channels.min(from + group));
            let (to, start, _) = make(which.clone(), from..until);
            for image in which {
                let piece = |channel: usize| (image * channels + channel) * plane;
                following.pieces(table, (piece(from), piece(until)), to.wrapping_add(piece(from) - start));
            }
        });
    }
}
