//! Convolutions over two axes. Safety: see `kernels`.
//!
//! A result element sums over the taps of the kernel (channel, row, column; row-major), in blocks of 512 taps, each block
//! one chain of fused multiply-adds from +0 in ascending order, the blocks added in order: the order of a matrix product.
//! A tap that falls outside the input, or between elements that lie apart, takes no part in its chain, so that what is
//! not there cannot meet an infinity. All of this is a function of the logical shapes alone.
//!
//! Two ways, with the same bits: lanes over the columns of the result (`columns`), from a copy of the image in
//! which the columns that a stride leaves out are sorted away; or lanes over its channels (`channels`), from a copy of the kernel with
//! its channels last. Nothing is unfolded.

mod channels;
mod columns;

use super::{DOT_BLOCK, Layout, Real};

/// The geometry of a convolution: `[row, column]` each.
///
/// The elements of the input lie `spread` apart, after `low` places (of which there may be fewer than none); the taps of
/// the kernel lie `dilation` apart; the windows of the results start `stride` apart, and `size` results are taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub spread: [usize; 2],
    pub low: [isize; 2],
    pub size: [usize; 2],
}

impl Window {
    /// The input element, of `n` along an axis, that tap `t` of result `y` meets.
    pub fn source(&self, axis: usize, y: usize, t: usize, n: usize) -> Option<usize> {
        let place = (y * self.stride[axis] + t * self.dilation[axis]) as isize - self.low[axis];
        let spread = self.spread[axis] as isize;
        let at = usize::try_from(place.div_euclid(spread)).ok()?;
        (place.rem_euclid(spread) == 0 && at < n).then_some(at)
    }
}

/// The sizes of one convolution: channels and extents of the input, channels of the result, extents of the kernel.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    c: usize,
    h: usize,
    w: usize,
    o: usize,
    p: usize,
    q: usize,
}

/// A column of the kernel, as a group of columns of the result meets it.
#[derive(Clone, Copy, Debug)]
struct Tap {
    /// Which column of the kernel.
    t: usize,
    /// The input column that result 0 of the group meets; result m meets `base + m * stride`.
    base: isize,
    /// The results of the group that meet a column: from the first to before the second.
    from: isize,
    to: isize,
}

/// Columns of the result that meet the same columns of the kernel: `first`, `first + spread`, and so on.
#[derive(Clone, Debug)]
struct Phase {
    first: usize,
    count: usize,
    taps: Vec<Tap>,
    /// The results that every tap meets.
    inner: (isize, isize),
}

/// Everything about a convolution that its shapes tell: made once, used by every call.
#[derive(Clone, Debug)]
pub struct Plan {
    window: Window,
    sizes: Sizes,
    /// For each row of the result, the rows of the kernel with the input rows that they meet.
    rows: Vec<Vec<(usize, usize)>>,
    /// Whether a row and the next three of its phase meet the same rows of the kernel.
    four: Vec<bool>,
    phases: Vec<Phase>,
    /// Lanes side by side.
    width: usize,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    /// Elements before each run of columns of the copy, and the length of a run.
    Columns { margin: usize, run: usize },
    /// Channels of the result, rounded up to whole lanes.
    Channels { padded: usize },
}

impl Plan {
    /// The plan for an input `[.., C, H, W]` and a kernel `[.., O, C, P, Q]` with elements of `bytes` bytes.
    pub fn new(window: Window, input: &[usize], kernel: &[usize], bytes: usize) -> Plan {
        let [c, h, w] = std::array::from_fn(|i| input[input.len() - 3 + i]);
        let [o, _, p, q] = std::array::from_fn(|i| kernel[kernel.len() - 4 + i]);
        let sizes = Sizes { c, h, w, o, p, q };
        let rows: Vec<Vec<(usize, usize)>> = (0..window.size[0])
            .map(|y| (0..p).filter_map(|t| Some((t, window.source(0, y, t, h)?))).collect())
            .collect();
        let four = (0..rows.len()).map(|y| alike(&rows, y, &window)).collect();
        let phases: Vec<Phase> =
            (0..window.spread[1].min(window.size[1])).map(|first| phase(&window, first, w, q)).collect();
        let longest = phases.iter().map(|phase| phase.count).max().unwrap_or(0);
        let most = widest(bytes);
        let fit = |n: usize| [8, 16, 32].into_iter().find(|&lanes| lanes >= n).unwrap_or(32).min(most);
        // The share of the lanes that is put to use.
        let use_of = |n: usize| n as f64 / n.next_multiple_of(fit(n)).max(1) as f64;
        let (width, way) = if use_of(o) > 1.25 * use_of(longest) {
            (fit(o), Way::Channels { padded: o.next_multiple_of(fit(o)) })
        } else {
            let width = fit(longest);
            let stride = window.stride[1];
            let starts = || phases.iter().flat_map(|phase| &phase.taps).map(|tap| tap.base.div_euclid(stride as isize));
            let margin = starts().min().map_or(0, |least| least.min(0).unsigned_abs());
            let last = starts().max().map_or(0, |most| most.max(0) as usize) + longest.next_multiple_of(width);
            (width, Way::Columns { margin, run: margin + last.max(w.div_ceil(stride)) })
        };
        Plan { window, sizes, rows, four, phases, width, way }
    }

    /// The elements of working memory that a call needs.
    pub fn scratch(&self) -> usize {
        let Sizes { c, h, p, q, .. } = self.sizes;
        match self.way {
            Way::Columns { run, .. } => c * h * self.window.stride[1] * run,
            Way::Channels { padded } => c * p * q * padded,
        }
    }
}

/// Lanes that fill eight registers four results at a time.
fn widest(bytes: usize) -> usize {
    match instructions() {
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => (128 / bytes).clamp(8, 32),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => (64 / bytes).clamp(8, 16),
        Instructions::Other => 8,
    }
}

fn alike(rows: &[Vec<(usize, usize)>], y: usize, window: &Window) -> bool {
    let shifted = |k: usize| -> Option<&Vec<(usize, usize)>> {
        let other = rows.get(y + k * window.spread[0])?;
        let by = k * window.stride[0];
        let same = rows[y].iter().map(|&(t, i)| (t, i + by)).eq(other.iter().copied());
        same.then_some(other)
    };
    (1..4).all(|k| shifted(k).is_some())
}

fn phase(window: &Window, first: usize, w: usize, q: usize) -> Phase {
    let (spread, stride) = (window.spread[1] as isize, window.stride[1] as isize);
    let count = (window.size[1] - first).div_ceil(window.spread[1]);
    let mut taps = Vec::new();
    for t in 0..q {
        let place = (first * window.stride[1] + t * window.dilation[1]) as isize - window.low[1];
        if place.rem_euclid(spread) != 0 {
            continue;
        }
        let base = place.div_euclid(spread);
        // 0 <= base + m * stride < w.
        let from = (-base).max(0).unsigned_abs().div_ceil(window.stride[1]) as isize;
        let to = ((w as isize - base + stride - 1).div_euclid(stride)).min(count as isize);
        if from < to {
            taps.push(Tap { t, base, from, to });
        }
    }
    let inner = taps.iter().fold((0, count as isize), |(a, b), tap| (a.max(tap.from), b.min(tap.to)));
    Phase { first, count, taps, inner }
}

/// `out = conv(x, k)` with `x: [B..., N, C, H, W]`, `k: [B..., O, C, P, Q]`, `out: [B..., N, O, Y, X]`.
///
/// # Safety
/// As in `kernels`; `scratch` is valid for `plan.scratch()` elements, with any bits in them.
pub unsafe fn conv<T: Real>(
    plan: &Plan,
    batch: usize,
    (x, x_layout): (*const T, &Layout),
    (k, k_layout): (*const T, &Layout),
    (out, out_layout): (*mut T, &Layout),
    scratch: *mut T,
) {
    if out_layout.is_empty() {
        return;
    }
    let outer = [x_layout, k_layout, out_layout].map(|layout| &layout.strides[..batch]);
    let inner = |layout: &Layout| -> [isize; 4] { std::array::from_fn(|i| layout.strides[batch + i]) };
    super::walk::walk(&x_layout.shape[..batch], outer, [0; 3], &mut |[xo, ko, oo]| unsafe {
        let group = Group {
            plan,
            n: x_layout.shape[batch],
            x: x.offset(xo),
            x_strides: inner(x_layout),
            k: k.offset(ko),
            k_strides: inner(k_layout),
            out: out.offset(oo),
            out_strides: inner(out_layout),
            scratch,
        };
        group.run();
    });
}

/// One convolution with its operands.
#[derive(Clone, Copy)]
struct Group<'a, T> {
    plan: &'a Plan,
    n: usize,
    x: *const T,
    x_strides: [isize; 4],
    k: *const T,
    k_strides: [isize; 4],
    out: *mut T,
    out_strides: [isize; 4],
    scratch: *mut T,
}

impl<T: Real> Group<'_, T> {
    /// Each set of instructions has its own code, each width a function: what is compiled stays small.
    unsafe fn run(&self) {
        #[cfg(target_arch = "x86_64")]
        {
            // The widest lanes are of single precision; what is not reached is not compiled.
            if const { size_of::<T>() == 4 } {
                match (instructions(), self.plan.width) {
                    (Instructions::Avx512, 32) => return unsafe { wide::<T, 32>(self) },
                    (Instructions::Avx2, 16) => return unsafe { middle::<T, 16>(self) },
                    _ => {}
                }
            }
            match (instructions(), self.plan.width) {
                (Instructions::Avx512, 16) => return unsafe { wide::<T, 16>(self) },
                (Instructions::Avx512, _) => return unsafe { wide::<T, 8>(self) },
                (Instructions::Avx2, _) => return unsafe { middle::<T, 8>(self) },
                (Instructions::Other, _) => {}
            }
        }
        unsafe { body::<T, 8>(self) }
    }
}

/// What the processor has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Other,
}

fn instructions() -> Instructions {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512vl") {
            return Instructions::Avx512;
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return Instructions::Avx2;
        }
    }
    Instructions::Other
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
unsafe fn wide<T: Real, const W: usize>(group: &Group<T>) {
    unsafe { body::<T, W>(group) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn middle<T: Real, const W: usize>(group: &Group<T>) {
    unsafe { body::<T, W>(group) }
}

#[inline(always)]
unsafe fn body<T: Real, const W: usize>(group: &Group<T>) {
    unsafe {
        match group.plan.way {
            Way::Columns { margin, run } => columns::run::<T, W>(group, margin, run),
            Way::Channels { padded } => channels::run::<T, W>(group, padded),
        }
    }
}

/// Sums in the making: `R` results a lane. A block of taps ends by `close`.
struct Sums<T, const R: usize, const W: usize> {
    total: [[T; W]; R],
    chain: [[T; W]; R],
    block: usize,
}

impl<T: Real, const R: usize, const W: usize> Sums<T, R, W> {
    #[inline(always)]
    fn new() -> Self {
        Sums { total: [[T::ZERO; W]; R], chain: [[T::ZERO; W]; R], block: 0 }
    }

    /// Ends all blocks before the one of a tap.
    #[inline(always)]
    fn reach(&mut self, tap: usize) {
        while self.block < tap / DOT_BLOCK {
            self.close();
        }
    }

    #[inline(always)]
    fn close(&mut self) {
        for (total, chain) in self.total.iter_mut().zip(&mut self.chain) {
            for (total, chain) in total.iter_mut().zip(chain) {
                *total = if self.block == 0 { *chain } else { *total + *chain };
                *chain = T::ZERO;
            }
        }
        self.block += 1;
    }

    /// The sums over `taps` taps.
    #[inline(always)]
    fn finish(mut self, taps: usize) -> [[T; W]; R] {
        if taps <= DOT_BLOCK {
            return self.chain;
        }
        self.reach(taps.next_multiple_of(DOT_BLOCK));
        self.total
    }
}

#[cfg(test)]
mod tests;
