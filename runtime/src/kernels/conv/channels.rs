//! Lanes over the channels of the result. Safety: see `kernels`.
//!
//! Block of taps by block: the kernel may be as large as an image, as it is where the gradient of another kernel is computed.

use super::{Group, Part, Phase, Place, Sizes, Tap, blocks, write};
use crate::kernels::dot::Matrix;
use crate::kernels::gemm::{self, VECTORS};
use crate::kernels::simd::Simd;
use crate::kernels::space::{Use, space};
use crate::kernels::{DOT_BLOCK, Real};
use std::ops::Range;

/// # Safety
/// As in `kernels`.
#[inline(always)]
pub unsafe fn run<S: Simd, const M: usize>(group: &Group<S::T>, part: &Part) {
    let plan = group.plan;
    let wide = VECTORS * S::WIDTH;
    let panel = space::<S::T>(Use::Panels, DOT_BLOCK * wide);
    for channel in part.channels.clone().step_by(wide) {
        let channels = channel..part.channels.end.min(channel + wide);
        for block in blocks(plan.sizes.taps()) {
            unsafe { pack::<S>(group, &channels, &block, panel) };
            let step = Step { channels: &channels, block: &block, panel };
            for n in part.images.clone() {
                for y in part.rows.clone() {
                    for phase in &plan.phases {
                        let mut m = 0;
                        while m < phase.count {
                            m += unsafe { tiles::<S, M>(group, phase, (n, y, m), &step) };
                        }
                    }
                }
            }
        }
    }
}

/// What is packed: channels of the result and a block of taps.
struct Step<'a, T> {
    channels: &'a Range<usize>,
    block: &'a Range<usize>,
    panel: *const T,
}

/// Copies weights: tap by tap, the channels side by side, zeros after the last.
#[inline(always)]
unsafe fn pack<S: Simd>(group: &Group<S::T>, channels: &Range<usize>, block: &Range<usize>, panel: *mut S::T) {
    let Sizes { p, q, .. } = group.plan.sizes;
    let [ko, kc, kp, kq] = group.k_strides;
    // Taps that lie equally far apart are copied at once.
    let even = kp == q as isize * kq && kc == (p * q) as isize * kq;
    let mut tap = block.start;
    while tap < block.end {
        let end = if even { block.end } else { block.end.min((tap / q + 1) * q) };
        let (c, t, u) = (tap / (p * q), tap / q % p, tap % q);
        let place = channels.start as isize * ko + c as isize * kc + t as isize * kp + u as isize * kq;
        unsafe {
            let to = panel.add((tap - block.start) * VECTORS * S::WIDTH);
            let kernel = Matrix { at: group.k.offset(place), row: kq, col: ko };
            gemm::pack::<S>(end - tap, 0, channels.len(), kernel, to);
        }
        tap = end;
    }
}

/// The next columns of the result, at most `M`. Gives how many.
#[inline(always)]
unsafe fn tiles<S: Simd, const M: usize>(
    group: &Group<S::T>,
    phase: &Phase,
    at: (usize, usize, usize),
    step: &Step<S::T>,
) -> usize {
    let left = phase.count - at.2;
    macro_rules! tile {
        ($columns:expr, $vectors:expr) => {{
            unsafe { tile::<S, $columns, $vectors>(group, phase, at, step) };
            $columns
        }};
    }
    if step.channels.len() <= S::WIDTH {
        return match left {
            8.. if const { M >= 8 } => tile!(8, 1),
            4.. if const { M >= 4 } => tile!(4, 1),
            _ => tile!(1, 1),
        };
    }
    // Kernels of 3, 5 and 7 columns are common, as the results of gradients.
    match left {
        8.. if const { M >= 8 } => tile!(8, VECTORS),
        5.. if const { M >= 8 } => tile!(5, VECTORS),
        4.. if const { M >= 4 } => tile!(4, VECTORS),
        3 if const { M >= 3 } => tile!(3, VECTORS),
        2 if const { M >= 2 } => tile!(2, VECTORS),
        _ => tile!(1, VECTORS),
    }
}

/// `R` columns of the result from `m` on by `K` vectors of channels.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const K: usize>(
    group: &Group<S::T>,
    phase: &Phase,
    (n, y, m): (usize, usize, usize),
    step: &Step<S::T>,
) {
    let plan = group.plan;
    let [sn, sc, sy, sx] = group.x_strides;
    let wide = VECTORS * S::WIDTH;
    let apart = plan.window.stride[1] as isize * sx;
    let common = phase.common(m..m + R);
    let mut chain = [[unsafe { S::splat(S::T::ZERO) }; K]; R];
    let mut runs = plan.runs(y, step.block.clone());
    while let Some(run) = runs.next() {
        let place = n as isize * sn + run.channel as isize * sc + run.row as isize * sy + m as isize * apart;
        let x = group.x.wrapping_offset(place);
        // The weights of the run's column 0, which may lie before the block.
        let weights = step.panel.wrapping_offset((run.number as isize - step.block.start as isize) * wide as isize);
        let taps = phase.columns(&run.columns, plan.sizes.q);
        for (place, tap) in phase.taps[taps.clone()].iter().enumerate() {
            let x = x.wrapping_offset(tap.base * sx);
            unsafe {
                if common.contains(&(taps.start + place)) {
                    add::<S, R, K, false>(&mut chain, tap, m, x, apart, weights);
                } else {
                    add::<S, R, K, true>(&mut chain, tap, m, x, apart, weights);
                }
            }
        }
    }
    let [on, oo, oy, ox] = group.out_strides;
    let result = plan.window.spread[1] as isize * ox;
    let corner = n as isize * on + step.channels.start as isize * oo + y as isize * oy + phase.first as isize * ox;
    let place = Place {
        to: group.out.wrapping_offset(corner + m as isize * result),
        result,
        lane: oo,
        lanes: step.channels.len(),
        first: step.block.start == 0,
    };
    unsafe { write(chain, place) };
}

/// Adds what a tap gives to the chains of a tile; `x` is what the first result meets, `apart` the way to the next one's.
/// `EDGE`: some results do not meet the tap.
#[inline(always)]
unsafe fn add<S: Simd, const R: usize, const K: usize, const EDGE: bool>(
    chain: &mut [[S; K]; R],
    tap: &Tap,
    m: usize,
    x: *const S::T,
    apart: isize,
    weights: *const S::T,
) {
    unsafe {
        let weights = weights.wrapping_add(tap.t * VECTORS * S::WIDTH);
        let mut line = [S::splat(S::T::ZERO); K];
        for v in 0..K {
            line[v] = S::load(weights.add(v * S::WIDTH));
        }
        for r in 0..R {
            let column = (m + r) as isize;
            if EDGE && !(tap.from <= column && column < tap.to) {
                continue;
            }
            let x = S::splat(*x.wrapping_offset(r as isize * apart));
            for v in 0..K {
                chain[r][v] = x.fma(line[v], chain[r][v]);
            }
        }
    }
}
