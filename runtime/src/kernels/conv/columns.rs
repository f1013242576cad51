//! Lanes over the columns of the result. Safety: see `kernels`.

use super::{Group, Part, Phase, Place, Sizes, Tap, blocks, write};
use crate::kernels::Real;
use crate::kernels::simd::Simd;
use crate::kernels::space::{Use, space};
use std::ops::Range;

/// Vectors of columns in a tile.
const VECTORS: usize = 2;

/// Where an image lies: columns side by side, sorted by their remainders if there is a stride.
#[derive(Clone, Copy)]
struct Image<T> {
    at: *const T,
    channel: isize,
    row: isize,
}

/// # Safety
/// As in `kernels`.
#[inline(always)]
pub unsafe fn run<S: Simd, const M: usize>(group: &Group<S::T>, part: &Part) {
    let taps = group.plan.sizes.taps();
    let weights = space::<S::T>(Use::Panels, taps * M);
    for n in part.images.clone() {
        let image = unsafe { image(group, n) };
        let mut channel = part.channels.start;
        while channel < part.channels.end {
            let left = part.channels.end - channel;
            macro_rules! band {
                ($count:expr) => {{
                    unsafe {
                        pack(group, channel, $count, weights);
                        band::<S, $count>(group, (n, channel), &part.rows, image, weights);
                    }
                    channel += $count;
                }};
            }
            match left {
                8.. if const { M >= 8 } => band!(8),
                4.. if const { M >= 4 } => band!(4),
                2.. if const { M >= 2 } => band!(2),
                _ => band!(1),
            }
        }
    }
}

/// The image as the tiles read it: a copy if its columns do not lie side by side.
#[inline(always)]
unsafe fn image<T: Real>(group: &Group<T>, n: usize) -> Image<T> {
    let Sizes { c, h, w, .. } = group.plan.sizes;
    let stride = group.plan.window.stride[1];
    let [sn, sc, sy, sx] = group.x_strides;
    let x = unsafe { group.x.offset(n as isize * sn) };
    if stride == 1 && sx == 1 {
        return Image { at: x, channel: sc, row: sy };
    }
    let length = w.div_ceil(stride);
    let row = stride * length;
    let to = space::<T>(Use::Image, c * h * row);
    for channel in 0..c {
        for y in 0..h {
            for rest in 0..stride.min(w) {
                unsafe {
                    let from = x.offset(channel as isize * sc + y as isize * sy);
                    let to = to.add((channel * h + y) * row + rest * length);
                    for (i, column) in (rest..w).step_by(stride).enumerate() {
                        *to.add(i) = *from.offset(column as isize * sx);
                    }
                }
            }
        }
    }
    Image { at: to, channel: (h * row) as isize, row: row as isize }
}

/// Copies the weights of `count` channels of the result from `channel` on: tap by tap, the channels side by side.
#[inline(always)]
unsafe fn pack<T: Real>(group: &Group<T>, channel: usize, count: usize, to: *mut T) {
    let Sizes { c, p, q, .. } = group.plan.sizes;
    let [ko, kc, kp, kq] = group.k_strides;
    let mut to = to;
    for c in 0..c as isize {
        for t in 0..p as isize {
            for u in 0..q as isize {
                for o in channel as isize..(channel + count) as isize {
                    unsafe {
                        *to = *group.k.offset(o * ko + c * kc + t * kp + u * kq);
                        to = to.add(1);
                    }
                }
            }
        }
    }
}

/// Some rows of `R` channels of an image's result; where it is one channel, four rows at a time.
#[inline(always)]
unsafe fn band<S: Simd, const R: usize>(
    group: &Group<S::T>,
    (n, channel): (usize, usize),
    rows: &Range<usize>,
    image: Image<S::T>,
    weights: *const S::T,
) {
    let plan = group.plan;
    let spread = plan.window.spread[0];
    let [on, oo, oy, _] = group.out_strides;
    let out = unsafe { group.out.offset(n as isize * on + channel as isize * oo) };
    for first in rows.start..rows.end.min(rows.start + spread) {
        let mut y = first;
        while y < rows.end {
            let out = unsafe { out.offset(y as isize * oy) };
            let line = Line { y, image, weights, out, step: oo };
            if const { R > 1 } {
                unsafe { columns::<S, R, false>(group, &line) };
                y += spread;
            } else if plan.four[y] && y + 3 * spread < rows.end {
                unsafe { columns::<S, 4, true>(group, &Line { step: spread as isize * oy, ..line }) };
                y += 4 * spread;
            } else {
                unsafe { columns::<S, 1, true>(group, &line) };
                y += spread;
            }
        }
    }
}

/// One line of tiles: row `y` of the result in all channels, or with the next rows of its phase in one channel.
struct Line<T> {
    y: usize,
    image: Image<T>,
    weights: *const T,
    out: *mut T,
    /// From one of the results side by side to the next in `out`.
    step: isize,
}

/// All columns of a line.
#[inline(always)]
unsafe fn columns<S: Simd, const R: usize, const ROWS: bool>(group: &Group<S::T>, line: &Line<S::T>) {
    for phase in &group.plan.phases {
        let mut m = 0;
        while m < phase.count {
            if phase.count - m <= S::WIDTH {
                unsafe { tile::<S, R, 1, ROWS>(group, phase, line, m) };
            } else {
                unsafe { tile::<S, R, VECTORS, ROWS>(group, phase, line, m) };
            }
            m += VECTORS * S::WIDTH;
        }
    }
}

/// `R` results by `K` vectors of columns from `m` on. `ROWS`: the results are rows of one channel, otherwise channels of one row.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const K: usize, const ROWS: bool>(
    group: &Group<S::T>,
    phase: &Phase,
    line: &Line<S::T>,
    m: usize,
) {
    let plan = group.plan;
    let side = if ROWS { 1 } else { R };
    let down = plan.window.stride[0] as isize * line.image.row;
    let width = K * S::WIDTH;
    let common = phase.common(m..m + width);
    let out_x = group.out_strides[3];
    let lane = plan.window.spread[1] as isize * out_x;
    let to = line.out.wrapping_offset(phase.first as isize * out_x + m as isize * lane);
    for block in blocks(plan.sizes.taps()) {
        let mut chain = [[unsafe { S::splat(S::T::ZERO) }; K]; R];
        let start = block.start;
        let mut runs = plan.runs(line.y, block);
        while let Some(run) = runs.next() {
            let x = run.channel as isize * line.image.channel + run.row as isize * line.image.row + m as isize;
            let (x, w) = (line.image.at.wrapping_offset(x), line.weights.wrapping_add(run.number * side));
            if ROWS {
                // Where there are many channels, the rows of the next tile come from far: no row is read through.
                let next = x.wrapping_offset((R as isize - 1) * down).wrapping_add(width);
                for v in 0..K {
                    unsafe { S::ask(next.wrapping_add(v * S::WIDTH)) };
                }
            }
            let taps = phase.columns(&run.columns, plan.sizes.q);
            for (place, tap) in phase.taps[taps.clone()].iter().enumerate() {
                unsafe {
                    if common.contains(&(taps.start + place)) {
                        add::<S, R, K, ROWS, false>(&mut chain, tap, m, x, w, down);
                    } else {
                        add::<S, R, K, ROWS, true>(&mut chain, tap, m, x, w, down);
                    }
                }
            }
        }
        let place = Place { to, result: line.step, lane, lanes: width.min(phase.count - m), first: start == 0 };
        unsafe { write(chain, place) };
    }
}

/// Adds what a tap gives to the chains of a tile. `x` is the first column of the run's input row that the tile meets
/// at `base` 0, `down` the way to the row of the next result, `w` the weights of the run's column 0. `EDGE`: some columns
/// of the result do not meet the tap.
#[inline(always)]
unsafe fn add<S: Simd, const R: usize, const K: usize, const ROWS: bool, const EDGE: bool>(
    chain: &mut [[S; K]; R],
    tap: &Tap,
    m: usize,
    x: *const S::T,
    w: *const S::T,
    down: isize,
) {
    unsafe {
        let (x, w) = (x.wrapping_offset(tap.sorted), w.add(tap.t * if ROWS { 1 } else { R }));
        let mut lanes = [S::lanes(0, 0); K];
        if EDGE {
            for v in 0..K {
                let first = (m + v * S::WIDTH) as isize;
                lanes[v] = S::lanes(tap.from - first, tap.to - first);
            }
        }
        let mut line = [S::splat(S::T::ZERO); K];
        let mut weight = S::splat(*w);
        for r in 0..R {
            if ROWS || r == 0 {
                let x = x.wrapping_offset(r as isize * down);
                for v in 0..K {
                    let x = x.wrapping_add(v * S::WIDTH);
                    line[v] = if EDGE { S::load_lanes(x, lanes[v]) } else { S::load(x) };
                }
            }
            if !ROWS {
                weight = S::splat(*w.add(r));
            }
            for v in 0..K {
                chain[r][v] = if EDGE {
                    line[v].fma_lanes(weight, chain[r][v], lanes[v])
                } else {
                    line[v].fma(weight, chain[r][v])
                };
            }
        }
    }
}
