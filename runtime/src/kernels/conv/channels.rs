//! Lanes over the channels of the result. Safety: see `kernels`.

use super::{Group, Phase, Sizes, Sums};
use crate::kernels::Real;

/// # Safety
/// As in `kernels`.
#[inline(always)]
pub unsafe fn run<T: Real, const W: usize>(group: &Group<T>, padded: usize) {
    let plan = group.plan;
    unsafe { pack(group, padded) };
    for n in 0..group.n {
        for y in 0..plan.rows.len() {
            for phase in &plan.phases {
                let mut m = 0;
                while m < phase.count {
                    let columns = if phase.count - m >= 4 { 4 } else { 1 };
                    for lanes in (0..padded).step_by(W) {
                        if columns == 4 {
                            unsafe { tile::<T, 4, W>(group, phase, (n, y, m), padded, lanes) };
                        } else {
                            unsafe { tile::<T, 1, W>(group, phase, (n, y, m), padded, lanes) };
                        }
                    }
                    m += columns;
                }
            }
        }
    }
}

/// Copies the kernel: channel, row, column, then the channels of the result, zeros after the last.
#[inline(always)]
unsafe fn pack<T: Real>(group: &Group<T>, padded: usize) {
    let Sizes { c, o, p, q, .. } = group.plan.sizes;
    let [ko, kc, kp, kq] = group.k_strides;
    let mut to = group.scratch;
    for channel in 0..c as isize {
        for row in 0..p as isize {
            for column in 0..q as isize {
                unsafe {
                    let from = group.k.offset(channel * kc + row * kp + column * kq);
                    for i in 0..o {
                        *to.add(i) = *from.offset(i as isize * ko);
                    }
                    for i in o..padded {
                        *to.add(i) = T::ZERO;
                    }
                    to = to.add(padded);
                }
            }
        }
    }
}

/// `R` columns of the result by `W` channels.
#[inline(always)]
unsafe fn tile<T: Real, const R: usize, const W: usize>(
    group: &Group<T>,
    phase: &Phase,
    (n, y, m): (usize, usize, usize),
    padded: usize,
    lanes: usize,
) {
    let inside = phase.inner.0 <= m as isize && (m + R) as isize <= phase.inner.1;
    // A single result is rare: it has no code of its own for the inside.
    let sums = if R > 1 && inside {
        unsafe { sum::<T, R, W, false>(group, phase, (n, y, m), padded, lanes) }
    } else {
        unsafe { sum::<T, R, W, true>(group, phase, (n, y, m), padded, lanes) }
    };
    let [on, oo, oy, ox] = group.out_strides;
    let count = W.min(group.plan.sizes.o - lanes);
    for (r, sums) in sums.iter().enumerate() {
        let column = phase.first + (m + r) * group.plan.window.spread[1];
        let place = n as isize * on + lanes as isize * oo + y as isize * oy + column as isize * ox;
        for (i, &value) in sums[..count].iter().enumerate() {
            unsafe { *group.out.offset(place + i as isize * oo) = value };
        }
    }
}

/// The sums of one tile. `EDGE`: some columns are not met by some taps.
#[inline(always)]
unsafe fn sum<T: Real, const R: usize, const W: usize, const EDGE: bool>(
    group: &Group<T>,
    phase: &Phase,
    (n, y, m): (usize, usize, usize),
    padded: usize,
    lanes: usize,
) -> [[T; W]; R] {
    let plan = group.plan;
    let Sizes { c, p, q, .. } = plan.sizes;
    let stride = plan.window.stride[1] as isize;
    let [sn, sc, sy, sx] = group.x_strides;
    let mut sums = Sums::<T, R, W>::new();
    for channel in 0..c {
        for &(ty, row) in &plan.rows[y] {
            let number = (channel * p + ty) * q;
            let place = n as isize * sn + channel as isize * sc + row as isize * sy;
            let k = unsafe { group.scratch.add(number * padded + lanes) };
            for tap in &phase.taps {
                sums.reach(number + tap.t);
                let k = unsafe { k.add(tap.t * padded) };
                for r in 0..R {
                    let column = (m + r) as isize;
                    if EDGE && !(tap.from <= column && column < tap.to) {
                        continue;
                    }
                    let x = unsafe { *group.x.offset(place + (tap.base + column * stride) * sx) };
                    for (l, value) in sums.chain[r].iter_mut().enumerate() {
                        *value = x.fma(unsafe { *k.add(l) }, *value);
                    }
                }
            }
        }
    }
    sums.finish(c * p * q)
}
