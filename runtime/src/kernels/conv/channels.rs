//! Lanes over the channels of the result. Safety: see `kernels`.
//!
//! A kernel that fits is packed whole, and a result is written once. One as large as an image, as it is where the gradient
//! of another kernel is computed, goes block of taps by block.

use super::{Group, Part, Phase, Place, Sizes, blocks, write};
use crate::kernels::dot::Matrix;
use crate::kernels::gemm;
use crate::kernels::simd::Simd;
use crate::kernels::space::{Use, space};
use crate::kernels::{DOT_BLOCK, Real};
use std::ops::Range;

/// Bytes of a kernel that is packed whole, at most: a part of the second cache.
const WHOLE: usize = gemm::PACKED / 2;

/// # Safety
/// As in `kernels`.
#[inline(always)]
pub unsafe fn run<S: Simd, const M: usize>(group: &Group<S::T>, part: &Part) {
    let mut channel = part.channels.start;
    while channel < part.channels.end {
        let left = part.channels.end - channel;
        macro_rules! panel {
            ($vectors:expr) => {{
                let channels = channel..part.channels.end.min(channel + $vectors * S::WIDTH);
                unsafe { panel::<S, M, $vectors>(group, part, &channels) };
                channel = channels.end;
            }};
        }
        // Three vectors of eight columns fill the registers where there are 32.
        match left.div_ceil(S::WIDTH) {
            1 => panel!(1),
            3 if const { M >= 8 } => panel!(3),
            _ => panel!(2),
        }
    }
}

/// The channels of `K` vectors.
#[inline(always)]
unsafe fn panel<S: Simd, const M: usize, const K: usize>(
    group: &Group<S::T>,
    part: &Part,
    channels: &Range<usize>,
) {
    let plan = group.plan;
    let (count, wide) = (plan.sizes.taps(), K * S::WIDTH);
    let at_once = if count * wide * size_of::<S::T>() <= WHOLE { count.max(1) } else { DOT_BLOCK };
    let panel = space::<S::T>(Use::Panels, at_once * wide);
    for start in (0..count.max(1)).step_by(at_once) {
        let taps = start..count.min(start + at_once);
        unsafe { pack::<S, K>(group, channels, &taps, panel) };
        let step = Step { channels, taps: &taps, panel };
        for n in part.images.clone() {
            for y in part.rows.clone() {
                for phase in &plan.phases {
                    let mut m = 0;
                    while m < phase.count {
                        m += unsafe { tiles::<S, M, K>(group, phase, (n, y, m), &step) };
                    }
                }
            }
        }
    }
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

/// The next columns of the result, at most `M`. Gives how many.
#[inline(always)]
unsafe fn tiles<S: Simd, const M: usize, const K: usize>(
    group: &Group<S::T>,
    phase: &Phase,
    at: (usize, usize, usize),
    step: &Step<S::T>,
) -> usize {
    let left = phase.count - at.2;
    macro_rules! tile {
        ($columns:expr) => {{
            unsafe { tile::<S, $columns, K>(group, phase, at, step) };
            $columns
        }};
    }
    // One column alone waits for its own sums: two halves are better than a tile and a rest.
    let next = if (M + 1..M + M / 2).contains(&left) { left.div_ceil(2) } else { left.min(M) };
    match next {
        8 if const { M >= 8 } => tile!(8),
        7 if const { M >= 8 } => tile!(7),
        6 if const { M >= 8 } => tile!(6),
        5 if const { M >= 8 } => tile!(5),
        4 if const { M >= 4 } => tile!(4),
        3 if const { M >= 4 } => tile!(3),
        2 if const { M >= 4 } => tile!(2),
        _ => tile!(1),
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
    let wide = (K * S::WIDTH) as isize;
    let apart = plan.window.stride[1] as isize * sx;
    let common = phase.common(m..m + R);
    let [on, oo, oy, ox] = group.out_strides;
    let result = plan.window.spread[1] as isize * ox;
    let corner = n as isize * on + step.channels.start as isize * oo + y as isize * oy + phase.first as isize * ox;
    let mut sum = [[unsafe { S::splat(S::T::ZERO) }; K]; R];
    for block in blocks(step.taps.len()) {
        let mut chain = [[unsafe { S::splat(S::T::ZERO) }; K]; R];
        let first = block.start == 0;
        let mut runs = plan.runs(y, step.taps.start + block.start..step.taps.start + block.end);
        while let Some(run) = runs.next() {
            let place = n as isize * sn + run.channel as isize * sc + run.row as isize * sy + m as isize * apart;
            // What result 0 meets at `base` 0, and the weights of the run's column 0, which may lie before the block.
            let x = group.x.wrapping_offset(place);
            let weights = step.panel.wrapping_offset((run.number as isize - step.taps.start as isize) * wide);
            let taps = phase.columns(&run.columns, plan.sizes.q);
            let from = common.start.clamp(taps.start, taps.end);
            let to = common.end.clamp(from, taps.end);
            unsafe {
                for tap in &phase.taps[taps.start..from] {
                    let (x, weights) = (x.wrapping_offset(tap.base * sx), weights.wrapping_offset(tap.t as isize * wide));
                    some::<S, R, K>(&mut chain, (tap.from - m as isize, tap.to - m as isize), x, apart, weights);
                }
                if from < to {
                    let tap = &phase.taps[from];
                    let (mut x, mut weights) =
                        (x.wrapping_offset(tap.base * sx), weights.wrapping_offset(tap.t as isize * wide));
                    for _ in from..to {
                        all::<S, R, K>(&mut chain, x, apart, weights);
                        x = x.wrapping_offset(phase.step * sx);
                        weights = weights.wrapping_offset(phase.next as isize * wide);
                    }
                }
                for tap in &phase.taps[to..taps.end] {
                    let (x, weights) = (x.wrapping_offset(tap.base * sx), weights.wrapping_offset(tap.t as isize * wide));
                    some::<S, R, K>(&mut chain, (tap.from - m as isize, tap.to - m as isize), x, apart, weights);
                }
            }
        }
        for r in 0..R {
            for v in 0..K {
                sum[r][v] = if first { chain[r][v] } else { unsafe { sum[r][v].add(chain[r][v]) } };
            }
        }
    }
    let place = Place {
        to: group.out.wrapping_offset(corner + m as isize * result),
        result,
        lane: oo,
        lanes: step.channels.len(),
        first: step.taps.start == 0,
    };
    unsafe { write(sum, place) };
}

/// Adds what a tap gives to the chains of a tile; `x` is what the first result meets, `apart` the way to the next one's.
#[inline(always)]
unsafe fn all<S: Simd, const R: usize, const K: usize>(
    chain: &mut [[S; K]; R],
    x: *const S::T,
    apart: isize,
    weights: *const S::T,
) {
    unsafe {
        let mut line = [S::splat(S::T::ZERO); K];
        for v in 0..K {
            line[v] = S::load(weights.add(v * S::WIDTH));
        }
        for r in 0..R {
            let x = S::splat(*x.wrapping_offset(r as isize * apart));
            for v in 0..K {
                chain[r][v] = x.fma(line[v], chain[r][v]);
            }
        }
    }
}

/// The same where only results `from..to` meet the tap.
#[inline(always)]
unsafe fn some<S: Simd, const R: usize, const K: usize>(
    chain: &mut [[S; K]; R],
    (from, to): (isize, isize),
    x: *const S::T,
    apart: isize,
    weights: *const S::T,
) {
    unsafe {
        let mut line = [S::splat(S::T::ZERO); K];
        for v in 0..K {
            line[v] = S::load(weights.add(v * S::WIDTH));
        }
        for r in 0..R {
            if from <= r as isize && (r as isize) < to {
                let x = S::splat(*x.wrapping_offset(r as isize * apart));
                for v in 0..K {
                    chain[r][v] = x.fma(line[v], chain[r][v]);
                }
            }
        }
    }
}
