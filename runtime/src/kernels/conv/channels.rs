//! Lanes over the channels of the result. Safety: see `kernels`.
//!
//! A kernel that fits is packed whole, and a result is written once. One as large as an image, as it is where the gradient
//! of another kernel is computed, goes block of taps by block.

use super::list::{Cell, List, MOST_BLOCKS, Way};
use super::{Group, Part, Phase, Place, Sizes, put, write};
use crate::kernels::dot::Matrix;
use crate::kernels::gemm;
use crate::kernels::simd::Simd;
use crate::kernels::space::{Use, space};
use crate::kernels::{DOT_BLOCK, Real};
use std::ops::Range;

/// Bytes of a kernel that is packed whole, at most.
const WHOLE: usize = gemm::PACKED;
/// Bytes of the images that are done together, so that lists are made seldom.
const IMAGES: usize = 128 << 10;
/// Tiles with so few columns are those of two images, where there are 32 registers: weights come from the second cache.
const PAIRED: usize = 4;

/// # Safety
/// As in `kernels`.
#[inline(always)]
pub unsafe fn run<S: Simd, const M: usize>(group: &Group<S::T>, part: &Part) {
    let mut channel = part.channels.start;
    while channel < part.channels.end {
        let left = part.channels.end - channel;
        macro_rules! panel {
            ($kind:ty, $vectors:expr) => {{
                let channels = channel..part.channels.end.min(channel + $vectors * <$kind>::WIDTH);
                unsafe { panel::<$kind, M, $vectors>(group, part, &channels) };
                channel = channels.end;
            }};
        }
        if const { M >= 8 } && left.div_ceil(S::Half::WIDTH) == 3 {
            panel!(S::Half, 3);
            continue;
        }
        // Three vectors of eight columns fill the registers where there are 32.
        match left.div_ceil(S::WIDTH) {
            1 => panel!(S, 1),
            3 if const { M >= 8 } => panel!(S, 3),
            _ => panel!(S, 2),
        }
    }
}

/// The channels of `K` vectors.
#[inline(always)]
unsafe fn panel<S: Simd, const M: usize, const K: usize>(group: &Group<S::T>, part: &Part, channels: &Range<usize>) {
    let plan = group.plan;
    let Sizes { c, h, w, .. } = plan.sizes;
    let (count, wide) = (plan.sizes.taps(), K * S::WIDTH);
    let whole = count <= MOST_BLOCKS * DOT_BLOCK && count * wide * size_of::<S::T>() <= WHOLE;
    let at_once = if whole { count.max(1) } else { DOT_BLOCK };
    let panel = space::<S::T>(Use::Panels, at_once * wide);
    let cells = space::<Cell>(Use::List, at_once);
    let [_, sc, sy, sx] = group.x_strides;
    let way = Way::Strides([sc, sy, sx]);
    let near = (IMAGES / (c * h * w * size_of::<S::T>()).max(1)).max(2);
    for start in (0..count.max(1)).step_by(at_once) {
        let taps = start..count.min(start + at_once);
        unsafe { pack::<S, K>(group, channels, &taps, panel) };
        let step = Step { channels, taps: &taps, panel };
        for first in part.images.clone().step_by(near) {
            let images = first..part.images.end.min(first + near);
            for phase in &plan.phases {
                let mut m = 0;
                while m < phase.count {
                    let columns = columns(phase.count - m, M);
                    let mut list = List::new(cells);
                    for y in part.rows.clone() {
                        unsafe {
                            list.fill(plan, phase, (y, m), columns, &taps, way);
                            let mut n = images.start;
                            while n < images.end {
                                let pair = M >= 8 && columns <= PAIRED && n + 1 < images.end;
                                tiles::<S, M, K>(group, phase, (n, y, m), (columns, pair), &list, &step);
                                n += 1 + usize::from(pair);
                            }
                        }
                    }
                    m += columns;
                }
            }
        }
    }
}

/// How many columns of `left` to compute next, at most `most`.
fn columns(left: usize, most: usize) -> usize {
    // One column alone waits for its own sums: two halves are better than a tile and a rest.
    if (most + 1..most + most / 2).contains(&left) { left.div_ceil(2) } else { left.min(most) }
}

/// What is packed: channels of the result and whole blocks of taps.
struct Step<'a, T> {
    channels: &'a Range<usize>,
    taps: &'a Range<usize>,
    panel: *const T,
}

/// Copies weights: tap by tap, the channels side by side, zeros after the last.
#[inline(always)]
unsafe fn pack<S: Simd, const K: usize>(
    group: &Group<S::T>,
    channels: &Range<usize>,
    taps: &Range<usize>,
    panel: *mut S::T,
) {
    let Sizes { p, q, .. } = group.plan.sizes;
    let [ko, kc, kp, kq] = group.k_strides;
    // Taps that lie equally far apart are copied at once.
    let rows = kp == q as isize * kq;
    let even = rows && kc == (p * q) as isize * kq;
    let mut tap = taps.start;
    while tap < taps.end {
        let run = if rows { p * q } else { q };
        let end = if even { taps.end } else { taps.end.min((tap / run + 1) * run) };
        let (c, t, u) = (tap / (p * q), tap / q % p, tap % q);
        let place = channels.start as isize * ko + c as isize * kc + t as isize * kp + u as isize * kq;
        unsafe {
            let to = panel.add((tap - taps.start) * K * S::WIDTH);
            let kernel = Matrix { at: group.k.offset(place), row: kq, col: ko };
            gemm::pack::<S, K>(end - tap, 0, channels.len(), kernel, to);
        }
        tap = end;
    }
}

/// `columns` columns of the result, in this image or in a `pair` of it and the next.
#[inline(always)]
unsafe fn tiles<S: Simd, const M: usize, const K: usize>(
    group: &Group<S::T>,
    phase: &Phase,
    at: (usize, usize, usize),
    (columns, pair): (usize, bool),
    list: &List,
    step: &Step<S::T>,
) {
    macro_rules! tile {
        ($results:expr, $columns:expr) => {
            unsafe { tile::<S, $results, $columns, K>(group, phase, at, list, step) }
        };
    }
    match columns {
        8 if const { M >= 8 } => tile!(8, 8),
        7 if const { M >= 8 } => tile!(7, 7),
        6 if const { M >= 8 } => tile!(6, 6),
        5 if const { M >= 8 } => tile!(5, 5),
        4 if const { M >= 8 } && pair => tile!(8, 4),
        3 if const { M >= 8 } && pair => tile!(6, 3),
        2 if const { M >= 8 } && pair => tile!(4, 2),
        1 if const { M >= 8 } && pair => tile!(2, 1),
        4 if const { M >= 4 } => tile!(4, 4),
        3 if const { M >= 4 } => tile!(3, 3),
        2 if const { M >= 4 } => tile!(2, 2),
        _ => tile!(1, 1),
    }
}

/// `R` results by `K` vectors of channels: `C` columns from `m` on in each of one or two images.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const C: usize, const K: usize>(
    group: &Group<S::T>,
    phase: &Phase,
    (n, y, m): (usize, usize, usize),
    list: &List,
    step: &Step<S::T>,
) {
    let plan = group.plan;
    let [sn, _, sy, sx] = group.x_strides;
    let apart = plan.window.stride[1] as isize * sx;
    let top = plan.rows[y].first().map_or(0, |&(_, row)| row);
    let apart = [apart, sn];
    let x = group.x.wrapping_offset(n as isize * sn + top as isize * sy + m as isize * apart[0]);
    // From tap to tap.
    let (across, next) = (phase.step * sx, phase.next * K * S::WIDTH);
    let mut sum = [[unsafe { S::splat(S::T::ZERO) }; K]; R];
    let mut place = 0;
    for block in 0..step.taps.len().div_ceil(DOT_BLOCK) {
        let mut chain = [[unsafe { S::splat(S::T::ZERO) }; K]; R];
        let end = list.ends[block];
        while place < end {
            unsafe {
                let cell = *list.cells.add(place);
                let (mut x, mut weights) =
                    (x.wrapping_offset(cell.x), step.panel.add(cell.tap as usize * K * S::WIDTH));
                // The taps at both edges of kernels of three columns have code of their own.
                match (cell.from as usize, cell.to as usize) {
                    (0, to) if to == C => {
                        for _ in 0..cell.count {
                            add::<S, R, C, K>(&mut chain, 0, C, x, apart, weights);
                            x = x.wrapping_offset(across);
                            weights = weights.wrapping_add(next);
                        }
                    }
                    (1, to) if to == C && R >= 4 => add::<S, R, C, K>(&mut chain, 1, C, x, apart, weights),
                    (0, to) if to == C - 1 && R >= 4 => add::<S, R, C, K>(&mut chain, 0, C - 1, x, apart, weights),
                    (from, to) => add::<S, R, C, K>(&mut chain, from, to, x, apart, weights),
                }
            }
            place += 1;
        }
        for r in 0..R {
            for v in 0..K {
                sum[r][v] = if block == 0 { chain[r][v] } else { unsafe { sum[r][v].add(chain[r][v]) } };
            }
        }
    }
    let [on, oo, oy, ox] = group.out_strides;
    let result = plan.window.spread[1] as isize * ox;
    for image in 0..R / C {
        let corner = (n + image) as isize * on + step.channels.start as isize * oo + y as isize * oy;
        let corner = corner + phase.first as isize * ox + m as isize * result;
        let place = Place {
            to: group.out.wrapping_offset(corner),
            result,
            lane: oo,
            lanes: step.channels.len(),
            first: step.taps.start == 0,
        };
        let part: [[S; K]; C] = std::array::from_fn(|column| sum[image * C + column]);
        if place.first && result == 1 && oo > 0 && C % S::SQUARE == 0 {
            unsafe { write_turned(&part, place) };
        } else {
            unsafe { write(part, place) };
        }
    }
}

/// `write` where the results of a lane lie side by side, and as many of them as fill squares.
#[inline(always)]
unsafe fn write_turned<S: Simd, const R: usize, const K: usize>(sum: &[[S; K]; R], place: Place<S::T>) {
    let width = K * S::WIDTH;
    let lines = sum.as_ptr() as *const S::T;
    let whole = place.lanes - place.lanes % S::SQUARE;
    for l in (0..whole).step_by(S::SQUARE) {
        for r in (0..R).step_by(S::SQUARE) {
            let to = place.to.wrapping_offset(l as isize * place.lane).wrapping_add(r);
            unsafe { S::turn(lines.add(r * width + l), width as isize, to, place.lane as usize) };
        }
    }
    if whole < place.lanes {
        let to = place.to.wrapping_offset(whole as isize * place.lane);
        unsafe { put(lines.add(whole), R, width, Place { to, lanes: place.lanes - whole, ..place }) };
    }
}

/// Adds what a tap gives to the chains of a tile, those of columns `from..to`; `x` is what result 0 meets, `apart` the ways to the next
/// column's and to the next image's.
#[inline(always)]
unsafe fn add<S: Simd, const R: usize, const C: usize, const K: usize>(
    chain: &mut [[S; K]; R],
    from: usize,
    to: usize,
    x: *const S::T,
    apart: [isize; 2],
    weights: *const S::T,
) {
    unsafe {
        let mut line = [S::splat(S::T::ZERO); K];
        for v in 0..K {
            line[v] = S::load(weights.add(v * S::WIDTH));
        }
        for r in 0..R {
            let (image, column) = (r / C, r % C);
            if from <= column && column < to {
                let x = S::splat(*x.wrapping_offset(column as isize * apart[0] + image as isize * apart[1]));
                for v in 0..K {
                    chain[r][v] = x.fma(line[v], chain[r][v]);
                }
            }
        }
    }
}
