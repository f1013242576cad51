//! Nests that follow a kernel part by part, each while the part is still in the first cache.

use super::{Call, Frame, Kernel, Nest, deal, matrix, product_packed, run, wrong_kind};
use crate::fault::FaultKind;
use crate::kernels::level::Level;
use crate::kernels::{Layout, Real, conv, dot};
use crate::pool;
use crate::tensor::DType;

/// How a nest follows a kernel: its pieces belong to equal numbers of elements of the kernel's result, in the order of memory.
#[derive(Clone, Debug)]
pub struct Then {
    /// The words of its table.
    pub entries: usize,
    pub pieces: usize,
    /// Elements of a piece; the last one may have fewer.
    pub each: usize,
    /// Elements of the result.
    pub len: usize,
    /// Whether the nest alone is work for several threads.
    pub large: bool,
}

/// A nest that follows a kernel, and how many of its pieces are done.
pub struct Following<'a> {
    frame: *mut Frame,
    nest: Nest,
    table: *mut u64,
    then: &'a Then,
    done: usize,
}

impl Following<'_> {
    /// Nothing is done yet. The table has room for two more words than its entries.
    pub fn new(frame: *mut Frame, nest: Nest, table: *mut u64, then: &Then) -> Following<'_> {
        Following { frame, nest, table, then, done: 0 }
    }

    /// Does the pieces for the first `elements` of the result.
    unsafe fn ready(&mut self, elements: usize) {
        let Then { entries, pieces, each, len, .. } = *self.then;
        let until = if elements == len { pieces } else { elements / each };
        if until > self.done {
            unsafe {
                *self.table.add(entries) = self.done as u64;
                *self.table.add(entries + 1) = until as u64;
                (self.nest)(self.frame, self.table);
            }
            self.done = until;
        }
    }

    /// Does all pieces, on several threads if there are some.
    unsafe fn all(&mut self) {
        let Then { entries, pieces, .. } = *self.then;
        unsafe { deal(self.frame, self.nest, self.table, entries as u64, pieces as u64) };
        self.done = pieces;
    }
}

/// Runs a kernel that a nest follows; one after the other, where several threads work on one of them.
///
/// # Safety
/// See `abi`.
pub unsafe fn run_followed(call: &Call, at: &[*mut u8], following: &mut Following) -> Result<(), FaultKind> {
    let layouts = &call.operands;
    unsafe {
        if following.then.large && pool::threads() > 1 {
            run(&call.kernel, layouts, at)?;
            following.all();
            return Ok(());
        }
        match (&call.kernel, layouts[0].dtype) {
            (Kernel::DotPacked, DType::F32) => product::<f32>(layouts, at, following),
            (Kernel::DotPacked, DType::F64) => product::<f64>(layouts, at, following),
            (Kernel::Conv { batch: 0, plan }, DType::F32) => convolution::<f32>(plan, layouts, at, following),
            (Kernel::Conv { batch: 0, plan }, DType::F64) => convolution::<f64>(plan, layouts, at, following),
            (kernel, dtype) => wrong_kind(kernel, dtype),
        }
    }
    Ok(())
}

/// By rows, a tile's or more at a time.
unsafe fn product<T: Real>(layouts: &[Layout], at: &[*mut u8], following: &mut Following) {
    let (a, c) = (&layouts[0], &layouts[2]);
    let (m, k, n) = (a.shape[0], a.shape[1], c.shape[1]);
    if dot::is_dealt(m, k, n) {
        unsafe {
            product_packed::<T>(layouts, at);
            following.all();
        }
        return;
    }
    let level = Level::best();
    let rows = dot::rows_at_once(level, size_of::<T>(), k, n);
    let (left, to) = (matrix::<T>(at[0], a), at[2] as *mut T);
    for from in (0..m).step_by(rows) {
        let until = m.min(from + rows);
        unsafe {
            let a = dot::Matrix { at: left.at.offset(from as isize * left.row), ..left };
            let c =
                dot::MatrixMut { at: to.offset(from as isize * c.strides[0]), row: c.strides[0], col: c.strides[1] };
            dot::product_packed::<T>(level, (until - from, k, n), a, at[1] as *const T, c);
            following.ready(until * n);
        }
    }
}

/// By images and groups of channels.
unsafe fn convolution<T: Real>(plan: &conv::Plan, layouts: &[Layout], at: &[*mut u8], following: &mut Following) {
    let (x, k) = ((at[0] as *const T, &layouts[0]), (at[1] as *const T, &layouts[1]));
    let out = (at[2] as *mut T, &layouts[2]);
    unsafe {
        if conv::conv_parts(plan, x, k, out, &mut |elements| following.ready(elements)) {
            following.all();
        }
    }
}
