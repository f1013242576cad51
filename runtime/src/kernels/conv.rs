//! Convolutions over two axes. Safety: see `kernels`.
//!
//! A result element sums over the taps of the kernel (channel, row, column; row-major), in blocks of 512 taps, each block
//! one chain of fused multiply-adds from +0 in ascending order, the blocks added in order: the order of a matrix product.
//! A tap that falls outside the input, or between elements that lie apart, takes no part in its chain, so that what is
//! not there cannot meet an infinity. All of this is a function of the logical shapes alone.
//!
//! Two ways, with the same bits: lanes over the columns of the result (`columns`), or lanes over its channels
//! (`channels`). The kernel is packed so that the weights of neighbouring channels lie side by side. Nothing is unfolded.
//! Large convolutions are dealt out to threads by images, channels and rows, which changes no element.

mod channels;
mod columns;
mod list;

use super::dot::LARGE;
use super::level::Level;
use super::simd::Simd;
use super::{DOT_BLOCK, Layout, Real};
use crate::pool;
use std::ops::Range;

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

impl Sizes {
    /// The taps of the kernel.
    fn taps(&self) -> usize {
        self.c * self.p * self.q
    }
}

/// A column of the kernel, as a group of columns of the result meets it.
#[derive(Clone, Copy, Debug)]
struct Tap {
    /// Which column of the kernel.
    t: usize,
    /// The input column that result 0 of the group meets; result m meets `base + m * stride`.
    base: isize,
    /// The same in a row whose columns are sorted by their remainders by the stride.
    sorted: isize,
    /// The results of the group that meet a column: from the first to before the second.
    from: isize,
    to: isize,
}

/// Columns of the result that meet the same columns of the kernel: `first`, `first + spread`, and so on.
#[derive(Clone, Debug)]
struct Phase {
    first: usize,
    count: usize,
    /// By column of the kernel; so the results that a tap meets begin, and end, ever earlier.
    taps: Vec<Tap>,
    /// From one tap to the next: columns of the input, and of the kernel.
    step: isize,
    next: usize,
}

impl Phase {
    /// The taps that all of some results meet, by their places in `taps`.
    fn common(&self, results: Range<usize>) -> Range<usize> {
        let from = self.taps.partition_point(|tap| tap.from > results.start as isize);
        let to = self.taps.partition_point(|tap| tap.to >= results.end as isize);
        from..to.max(from)
    }

    /// Whether all of some results meet all taps.
    fn inside(&self, results: Range<usize>) -> bool {
        let from = self.taps.first().is_none_or(|tap| tap.from <= results.start as isize);
        from && self.taps.last().is_none_or(|tap| tap.to >= results.end as isize)
    }

    /// The taps with some columns of the kernel.
    fn columns(&self, columns: &Range<usize>, q: usize) -> Range<usize> {
        if *columns == (0..q) {
            return 0..self.taps.len();
        }
        let place = |t: usize| self.taps.partition_point(|tap| tap.t < t);
        place(columns.start)..place(columns.end)
    }
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
    /// Whether lanes run over the channels of the result, and not over its columns.
    channels: bool,
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
        let lanes = Level::best().bytes() / bytes;
        // The share of the lanes that is put to use. Three half vectors of channels go together with AVX-512. One vector of columns
        // with half of its taps at the edge is worth less.
        let used = |n: usize| n as f64 / n.next_multiple_of(lanes).max(1) as f64;
        let halves = Level::best() == Level::Avx512 && (o % (2 * lanes)).div_ceil(lanes / 2) == 3;
        let of_channels = if halves { o as f64 / o.next_multiple_of(lanes / 2) as f64 } else { used(o) };
        let narrow = longest <= lanes;
        let channels = of_channels > if narrow { 0.75 } else { 1.1 } * used(longest);
        Plan { window, sizes, rows, four, phases, channels }
    }

    /// The rows of the kernel that a block of taps holds and row `y` of the result meets.
    fn runs(&self, y: usize, taps: Range<usize>) -> Runs<'_> {
        let Sizes { p, q, .. } = self.sizes;
        let (rows, channel) = (&self.rows[y], taps.start.checked_div(p * q).unwrap_or(0));
        let before = taps.start - channel * p * q;
        let at = rows.partition_point(|(t, _)| (t + 1) * q <= before);
        Runs { rows, p, q, taps, channel, at }
    }
}

/// A part of a row of the kernel, with the input row that it meets.
struct Run {
    channel: usize,
    row: usize,
    /// The number of the row's first tap, also if it is not in the part.
    number: usize,
    columns: Range<usize>,
}

struct Runs<'a> {
    rows: &'a [(usize, usize)],
    p: usize,
    q: usize,
    taps: Range<usize>,
    channel: usize,
    at: usize,
}

impl Runs<'_> {
    /// The next part, in ascending order of taps.
    #[inline(always)]
    fn next(&mut self) -> Option<Run> {
        loop {
            let base = self.channel * self.p * self.q;
            if base >= self.taps.end || self.rows.is_empty() {
                return None;
            }
            match self.rows.get(self.at) {
                Some(&(t, row)) if base + t * self.q < self.taps.end => {
                    self.at += 1;
                    let number = base + t * self.q;
                    let columns = self.taps.start.saturating_sub(number)..self.q.min(self.taps.end - number);
                    return Some(Run { channel: self.channel, row, number, columns });
                }
                _ => (self.channel, self.at) = (self.channel + 1, 0),
            }
        }
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
        let sorted = base.rem_euclid(stride) * w.div_ceil(window.stride[1]) as isize + base.div_euclid(stride);
        // 0 <= base + m * stride < w.
        let from = (-base).max(0).unsigned_abs().div_ceil(window.stride[1]) as isize;
        let to = ((w as isize - base + stride - 1).div_euclid(stride)).min(count as isize);
        if from < to {
            taps.push(Tap { t, base, sorted, from, to });
        }
    }
    // Every so many columns of the kernel meet a column; those that no result meets are at the ends.
    let (step, next) = match &taps[..] {
        [one, other, ..] => (other.base - one.base, other.t - one.t),
        _ => (0, 0),
    };
    Phase { first, count, taps, step, next }
}

/// `out = conv(x, k)` with `x: [B..., N, C, H, W]`, `k: [B..., O, C, P, Q]`, `out: [B..., N, O, Y, X]`.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn conv<T: Real>(
    plan: &Plan,
    batch: usize,
    x: (*const T, &Layout),
    k: (*const T, &Layout),
    out: (*mut T, &Layout),
) {
    unsafe { conv_at(Level::best(), plan, batch, x, k, out) }
}

/// The same with instructions of a level, which the processor has.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn conv_at<T: Real>(
    level: Level,
    plan: &Plan,
    batch: usize,
    (x, x_layout): (*const T, &Layout),
    (k, k_layout): (*const T, &Layout),
    (out, out_layout): (*mut T, &Layout),
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
        };
        deal(level, &group);
    });
}

/// Some images and channels of a convolution without leading axes; several threads work on a large one.
///
/// # Safety
/// As in `kernels`, of the elements of these images and channels.
pub unsafe fn conv_part<T: Real>(
    plan: &Plan,
    (x, x_layout): (*const T, &Layout),
    (k, k_layout): (*const T, &Layout),
    (out, out_layout): (*mut T, &Layout),
    images: Range<usize>,
    channels: Range<usize>,
) {
    let strides = |layout: &Layout| -> [isize; 4] { std::array::from_fn(|i| layout.strides[i]) };
    let (x_strides, k_strides, out_strides) = (strides(x_layout), strides(k_layout), strides(out_layout));
    let group = Group { plan, n: x_layout.shape[0], x, x_strides, k, k_strides, out, out_strides };
    unsafe {
        if images == (0..group.n) && channels == (0..plan.sizes.o) {
            deal(Level::best(), &group);
        } else {
            T::conv(Level::best(), &group, &Part { images, channels, rows: 0..plan.rows.len() });
        }
    }
}

/// One convolution with its operands.
#[derive(Clone, Copy)]
pub struct Group<'a, T> {
    plan: &'a Plan,
    n: usize,
    x: *const T,
    x_strides: [isize; 4],
    k: *const T,
    k_strides: [isize; 4],
    out: *mut T,
    out_strides: [isize; 4],
}

// The parts of a convolution write different elements, and nobody writes the operands.
unsafe impl<T: Real> Sync for Group<'_, T> {}

/// What one thread computes: images, channels and rows of the result.
pub struct Part {
    images: Range<usize>,
    channels: Range<usize>,
    rows: Range<usize>,
}

/// Channels are dealt out in multiples of this: as many as lanes in use.
pub const CHANNELS: usize = 32;
/// Rows are dealt out in multiples of this.
const DEAL_ROWS: usize = 4;

/// True if several threads work on a convolution of so many images.
pub fn is_dealt(plan: &Plan, images: usize) -> bool {
    let work = images * plan.sizes.o * plan.rows.len() * plan.window.size[1] * plan.sizes.taps();
    work >= LARGE && pool::threads() > 1
}

/// Computes all parts, on several threads if there is much work.
unsafe fn deal<T: Real>(level: Level, group: &Group<T>) {
    let (o, y) = (group.plan.sizes.o, group.plan.rows.len());
    let threads = if is_dealt(group.plan, group.n) { pool::threads() } else { 1 };
    if threads == 1 {
        return unsafe { T::conv(level, group, &Part { images: 0..group.n, channels: 0..o, rows: 0..y }) };
    }
    // How many at a time, for about `parts` parts.
    let cut = |count: usize, parts: usize, by: usize| count.div_ceil(parts).next_multiple_of(by);
    let images = cut(group.n, threads, 1);
    let left = threads.div_ceil(group.n.div_ceil(images));
    let channels = cut(o, left, CHANNELS);
    let left = left.div_ceil(o.div_ceil(channels));
    let rows = cut(y, left, DEAL_ROWS.min(y.div_ceil(left)));
    let [n, c, r] = [group.n.div_ceil(images), o.div_ceil(channels), y.div_ceil(rows)];
    let range = |at: usize, size: usize, count: usize| at * size..count.min((at + 1) * size);
    pool::each(n * c * r, &|part| {
        let part = Part {
            images: range(part / (c * r), images, group.n),
            channels: range(part / r % c, channels, o),
            rows: range(part % r, rows, y),
        };
        unsafe { T::conv(level, group, &part) };
    });
}

/// Computes a part with vectors of one kind, at most `M` channels and two vectors of columns, or the other way round, at a time.
///
/// # Safety
/// As in `kernels`; as in `simd` for `S`.
#[inline(always)]
pub unsafe fn part<S: Simd, const M: usize>(group: &Group<S::T>, part: &Part) {
    unsafe {
        if group.plan.channels {
            channels::run::<S, M>(group, part);
        } else {
            columns::run::<S, M>(group, part);
        }
    }
}

/// The blocks of the taps; one that is empty if there are none.
fn blocks(taps: usize) -> impl Iterator<Item = Range<usize>> {
    (0..taps.max(1)).step_by(DOT_BLOCK).map(move |start| start..taps.min(start + DOT_BLOCK))
}

/// Where the chains of a tile go: `lanes` of each of its results.
struct Place<T> {
    to: *mut T,
    /// From one result to the next, and from lane to lane, in elements.
    result: isize,
    lane: isize,
    lanes: usize,
    /// Whether these are the first chains of their elements, to which later ones are added.
    first: bool,
}

/// Writes the chains of a tile.
///
/// # Safety
/// As in `kernels`; as in `simd` for `S`.
#[inline(always)]
unsafe fn write<S: Simd, const R: usize, const K: usize>(chain: [[S; K]; R], place: Place<S::T>) {
    if place.lane == 1 && place.lanes == K * S::WIDTH && place.first {
        for r in 0..R {
            for v in 0..K {
                let to = place.to.wrapping_offset(r as isize * place.result).wrapping_add(v * S::WIDTH);
                unsafe { chain[r][v].store(to) };
            }
        }
        return;
    }
    // A copy: what has an address does not stay in registers.
    let mut lines = [[unsafe { S::splat(S::T::ZERO) }; K]; R];
    for r in 0..R {
        for v in 0..K {
            lines[r][v] = chain[r][v];
        }
    }
    unsafe { put(lines.as_ptr() as *const S::T, R, K * S::WIDTH, place) };
}

/// The same for lines of `width` lanes in memory; once for all tiles, to keep them small.
#[inline(never)]
unsafe fn put<T: Real>(lines: *const T, results: usize, width: usize, place: Place<T>) {
    for r in 0..results {
        let to = place.to.wrapping_offset(r as isize * place.result);
        for l in 0..place.lanes {
            unsafe {
                let (value, to) = (*lines.add(r * width + l), to.offset(l as isize * place.lane));
                *to = if place.first { value } else { *to + value };
            }
        }
    }
}

#[cfg(test)]
mod tests;
