//! Lanes over the columns of the result. Safety: see `kernels`.

use super::{Group, Phase, Sizes, Sums};
use crate::kernels::Real;

/// The part of the result that one tile computes: `R` rows of lanes that lie a step apart.
struct Tile<T> {
    /// The copy, at the first result of the tile, of channel 0 and row 0.
    x: *const T,
    /// From one of the `R` to the next in the copy.
    x_step: isize,
    k: *const T,
    k_step: isize,
    /// The first result of its phase.
    m: isize,
}

/// # Safety
/// As in `kernels`.
#[inline(always)]
pub unsafe fn run<T: Real, const W: usize>(group: &Group<T>, margin: usize, length: usize) {
    let Group { plan, .. } = *group;
    let Sizes { h, o, .. } = plan.sizes;
    let row = plan.window.stride[1] * length;
    let [_, out_o, out_y, _] = group.out_strides;
    for n in 0..group.n as isize {
        unsafe { copy(group, n, margin, length) };
        let out = unsafe { group.out.offset(n * group.out_strides[0]) };
        for first in 0..plan.window.spread[0].min(plan.rows.len()) {
            let mut y = first;
            while y < plan.rows.len() {
                let rows = if plan.four[y] { 4 } else { 1 };
                let mut channel = 0;
                while channel + 4 <= o {
                    for i in 0..rows {
                        let y = y + i * plan.window.spread[0];
                        let to = unsafe { out.offset(channel as isize * out_o + y as isize * out_y) };
                        unsafe { line::<T, 4, W>(group, y, channel, to, (margin, length), (0, 1), out_o) };
                    }
                    channel += 4;
                }
                while channel < o {
                    let to = unsafe { out.offset(channel as isize * out_o + y as isize * out_y) };
                    let x_step = (plan.window.stride[0] * row) as isize;
                    if rows == 4 {
                        let out_step = plan.window.spread[0] as isize * out_y;
                        unsafe { line::<T, 4, W>(group, y, channel, to, (margin, length), (x_step, 0), out_step) };
                    } else {
                        unsafe { line::<T, 1, W>(group, y, channel, to, (margin, length), (0, 0), 0) };
                    }
                    channel += 1;
                }
                y += rows * plan.window.spread[0];
            }
        }
        debug_assert!(h * row * plan.sizes.c <= plan.scratch());
    }
}

/// Copies image `n`: channel, row, then for each remainder by the stride the columns that have it, `margin` places in.
#[inline(always)]
unsafe fn copy<T: Real>(group: &Group<T>, n: isize, margin: usize, length: usize) {
    let Sizes { c, h, w, .. } = group.plan.sizes;
    let stride = group.plan.window.stride[1];
    let [sn, sc, sy, sx] = group.x_strides;
    for channel in 0..c {
        for y in 0..h {
            unsafe {
                let from = group.x.offset(n * sn + channel as isize * sc + y as isize * sy);
                let to = group.scratch.add((channel * h + y) * stride * length + margin);
                if stride == 1 && sx == 1 {
                    std::ptr::copy_nonoverlapping(from, to, w);
                    continue;
                }
                for rest in 0..stride.min(w) {
                    let to = to.add(rest * length);
                    for (i, column) in (rest..w).step_by(stride).enumerate() {
                        *to.add(i) = *from.offset(column as isize * sx);
                    }
                }
            }
        }
    }
}

/// All columns of `R` rows of the result, which lie `out_step` apart: of channels or of lines.
#[inline(always)]
unsafe fn line<T: Real, const R: usize, const W: usize>(
    group: &Group<T>,
    y: usize,
    channel: usize,
    out: *mut T,
    (margin, length): (usize, usize),
    (x_step, channels): (isize, isize),
    out_step: isize,
) {
    let out_x = group.out_strides[3];
    for phase in &group.plan.phases {
        let mut m = 0;
        while m < phase.count {
            let tile = Tile {
                x: unsafe { group.scratch.add(margin + m) },
                x_step,
                k: unsafe { group.k.offset(channel as isize * group.k_strides[0]) },
                k_step: channels * group.k_strides[0],
                m: m as isize,
            };
            let inside = phase.inner.0 <= tile.m && tile.m + W as isize <= phase.inner.1;
            // A single row is rare: it has no code of its own for the inside.
            let sums = if R > 1 && inside {
                unsafe { sum::<T, R, W, false>(group, phase, y, length, &tile) }
            } else {
                unsafe { sum::<T, R, W, true>(group, phase, y, length, &tile) }
            };
            let count = W.min(phase.count - m);
            let first = phase.first + m * group.plan.window.spread[1];
            for (r, lanes) in sums.iter().enumerate() {
                let to = unsafe { out.offset(r as isize * out_step + first as isize * out_x) };
                let step = group.plan.window.spread[1] as isize * out_x;
                for (i, &value) in lanes[..count].iter().enumerate() {
                    unsafe { *to.offset(i as isize * step) = value };
                }
            }
            m += W;
        }
    }
}

/// The sums of one tile. `EDGE`: some lanes are not met by some taps.
#[inline(always)]
unsafe fn sum<T: Real, const R: usize, const W: usize, const EDGE: bool>(
    group: &Group<T>,
    phase: &Phase,
    y: usize,
    length: usize,
    tile: &Tile<T>,
) -> [[T; W]; R] {
    let plan = group.plan;
    let Sizes { c, h, p, q, .. } = plan.sizes;
    let stride = plan.window.stride[1] as isize;
    let [_, kc, kp, kq] = group.k_strides;
    let mut sums = Sums::<T, R, W>::new();
    for channel in 0..c {
        for &(ty, row) in &plan.rows[y] {
            let x = unsafe { tile.x.add((channel * h + row) * plan.window.stride[1] * length) };
            let k = unsafe { tile.k.offset(channel as isize * kc + ty as isize * kp) };
            let number = (channel * p + ty) * q;
            for tap in &phase.taps {
                sums.reach(number + tap.t);
                let shift = tap.base.rem_euclid(stride) * length as isize + tap.base.div_euclid(stride);
                let x = unsafe { x.offset(shift) };
                let k = unsafe { k.offset(tap.t as isize * kq) };
                let (from, to) = ((tap.from - tile.m) as i32, (tap.to - tile.m) as i32);
                for r in 0..R {
                    let weight = unsafe { *k.offset(r as isize * tile.k_step) };
                    let x = unsafe { x.offset(r as isize * tile.x_step) };
                    let chain = &mut sums.chain[r];
                    for (l, value) in chain.iter_mut().enumerate() {
                        let next = unsafe { *x.add(l) }.fma(weight, *value);
                        if !EDGE || (from <= l as i32 && (l as i32) < to) {
                            *value = next;
                        }
                    }
                }
            }
        }
    }
    sums.finish(c * p * q)
}
