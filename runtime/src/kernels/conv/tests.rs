//! The kernel against the definition, bit for bit.

use super::*;

fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 12) as f64 / (1u64 << 51) as f64 - 1.0) * 1.3
        })
        .collect()
}

/// The definition, element by element.
fn want<T: Real>(window: &Window, n: usize, s: Sizes, x: &[T], k: &[T]) -> Vec<T> {
    let mut out = Vec::new();
    for image in 0..n {
        for o in 0..s.o {
            for y in 0..window.size[0] {
                for z in 0..window.size[1] {
                    let mut blocks = vec![T::ZERO; (s.c * s.p * s.q).div_ceil(512)];
                    for tap in 0..s.c * s.p * s.q {
                        let (c, ty, tx) = (tap / (s.p * s.q), tap / s.q % s.p, tap % s.q);
                        let (Some(i), Some(j)) = (window.source(0, y, ty, s.h), window.source(1, z, tx, s.w)) else {
                            continue;
                        };
                        let value = x[((image * s.c + c) * s.h + i) * s.w + j];
                        blocks[tap / 512] = value.fma(k[o * s.c * s.p * s.q + tap], blocks[tap / 512]);
                    }
                    out.push(blocks.into_iter().reduce(|a, b| a + b).unwrap_or(T::ZERO));
                }
            }
        }
    }
    out
}

#[allow(clippy::eq_op)]
fn nan<T: Real>(value: T) -> bool {
    value != value
}

fn check<T: Real + std::fmt::Debug>(bytes: usize, from: impl Fn(f64) -> T, bits: impl Fn(T) -> u64) {
    let window = |stride, dilation, spread, low, size| Window { stride, dilation, spread, low, size };
    let cases = [
        // Shapes as in use: one image, channels, a step of two, and the two transposes of that.
        (1, [1, 9, 70], [1, 3, 5], window([1, 1], [1, 1], [1, 1], [1, 2], [9, 70])),
        (2, [3, 11, 40], [6, 3, 3], window([2, 2], [1, 1], [1, 1], [1, 1], [6, 20])),
        (2, [6, 6, 20], [3, 3, 3], window([1, 1], [1, 1], [2, 2], [1, 1], [11, 40])),
        (3, [2, 11, 40], [6, 6, 20], window([1, 1], [2, 2], [1, 1], [1, 1], [3, 3])),
        (1, [1, 40, 30], [1, 36, 26], window([1, 1], [1, 1], [1, 1], [0, 0], [5, 5])),
        // More than one block of taps, of which some are empty.
        (1, [70, 5, 6], [9, 3, 3], window([1, 1], [1, 1], [1, 1], [1, 1], [5, 6])),
        (1, [70, 5, 33], [2, 3, 3], window([1, 1], [1, 1], [1, 1], [1, 1], [5, 33])),
        (1, [1, 3, 4], [1, 40, 30], window([1, 1], [1, 1], [1, 1], [38, 0], [6, 40])),
        // Each number of channels and columns side by side.
        (1, [2, 6, 23], [15, 3, 2], window([1, 1], [1, 1], [1, 1], [1, 0], [6, 23])),
        (1, [2, 13, 67], [1, 3, 3], window([1, 1], [1, 1], [2, 1], [1, 1], [25, 67])),
        (1, [1, 9, 33], [33, 7, 29], window([1, 1], [1, 1], [1, 1], [1, 1], [5, 7])),
        (2, [3, 4, 6], [40, 2, 3], window([1, 1], [1, 1], [1, 1], [0, 1], [3, 6])),
        // More blocks than a list holds; three vectors of channels, three half ones; columns that two tiles compute.
        (1, [1, 80, 70], [20, 72, 62], window([1, 1], [1, 1], [1, 1], [0, 0], [9, 9])),
        (2, [1, 75, 120], [2, 70, 60], window([1, 1], [1, 1], [1, 1], [1, 0], [8, 61])),
        (1, [120, 12, 70], [1, 9, 9], window([1, 1], [1, 1], [1, 1], [4, 4], [12, 70])),
        (1, [1, 104, 108], [1, 96, 90], window([1, 1], [1, 1], [1, 1], [0, 0], [9, 19])),
        (3, [2, 7, 9], [24, 3, 3], window([1, 1], [1, 1], [1, 1], [1, 1], [7, 9])),
        (2, [3, 8, 14], [48, 5, 5], window([1, 1], [1, 1], [1, 1], [2, 2], [8, 14])),
        (2, [2, 9, 21], [24, 3, 3], window([2, 2], [1, 1], [1, 1], [1, 1], [5, 11])),
        // Large enough for several threads.
        (3, [5, 30, 40], [70, 3, 3], window([1, 1], [1, 1], [1, 1], [1, 1], [30, 40])),
        // All at once; windows that lie outside; rows only.
        (2, [2, 7, 9], [5, 3, 2], window([3, 2], [2, 3], [2, 3], [-1, 4], [9, 17])),
        (1, [2, 4, 5], [17, 2, 2], window([1, 3], [1, 1], [1, 2], [3, 9], [9, 12])),
        (1, [1, 1, 100], [20, 1, 7], window([1, 4], [1, 2], [1, 1], [0, 6], [1, 25])),
        (1, [1, 2, 3], [1, 2, 2], window([1, 1], [1, 1], [1, 1], [20, 20], [3, 3])),
        // Nothing to sum, nothing to give.
        (1, [0, 3, 3], [2, 2, 2], window([1, 1], [1, 1], [1, 1], [0, 0], [2, 2])),
        (1, [1, 3, 3], [2, 0, 2], window([1, 1], [1, 1], [1, 1], [0, 0], [2, 2])),
        (1, [1, 3, 3], [2, 2, 2], window([1, 1], [1, 1], [1, 1], [0, 0], [0, 2])),
        (1, [1, 0, 3], [2, 2, 2], window([1, 1], [1, 1], [1, 1], [1, 0], [2, 2])),
    ];
    for (case, (n, [c, h, w], [o, p, q], window)) in cases.into_iter().enumerate() {
        let sizes = Sizes { c, h, w, o, p, q };
        let mut x: Vec<T> = numbers(n * c * h * w, case as u64).into_iter().map(&from).collect();
        let k: Vec<T> = numbers(o * c * p * q, 50 + case as u64).into_iter().map(&from).collect();
        if let Some(first) = x.first_mut() {
            *first = from(f64::INFINITY);
        }
        let right = want(&window, n, sizes, &x, &k);
        // Both ways, whichever the plan would choose.
        let plan = Plan::new(window, &[n, c, h, w], &[o, c, p, q], bytes);
        let [x_layout, k_layout] =
            [[n, c, h, w], [o, c, p, q]].map(|shape| Layout::standard(crate::tensor::DType::F64, &shape));
        let out_shape = [n, o, window.size[0], window.size[1]];
        // Row-major results, and results with channels last.
        for perm in [[0, 1, 2, 3], [0, 2, 3, 1]] {
            let mut strides = [0; 4];
            let mut step = 1;
            for &axis in perm.iter().rev() {
                strides[axis] = step;
                step *= out_shape[axis] as isize;
            }
            let out_layout =
                Layout { strides: strides.to_vec(), ..Layout::standard(crate::tensor::DType::F64, &out_shape) };
            for (level, channels) in Level::all().flat_map(|level| [(level, false), (level, true)]) {
                let plan = Plan { channels, ..plan.clone() };
                let mut out = vec![from(0.5); right.len()];
                let to = (out.as_mut_ptr(), &out_layout);
                unsafe { conv_at(level, &plan, 0, (x.as_ptr(), &x_layout), (k.as_ptr(), &k_layout), to) };
                for (place, &wanted) in right.iter().enumerate() {
                    let mut rest = place;
                    let mut at = 0;
                    for axis in (0..4).rev() {
                        at += (rest % out_shape[axis]) as isize * strides[axis];
                        rest /= out_shape[axis];
                    }
                    let got = out[at as usize];
                    let same = bits(got) == bits(wanted) || (nan(got) && nan(wanted));
                    assert!(same, "case {case} {level:?} {channels} at {place}: {got:?}, not {wanted:?}");
                }
            }
        }
    }
}

#[test]
#[allow(clippy::eq_op)]
fn convolutions_of_f32_follow_the_definition() {
    check(4, |v| v as f32, |v: f32| u64::from(v.to_bits()));
}

#[test]
#[allow(clippy::eq_op)]
fn convolutions_of_f64_follow_the_definition() {
    check(8, |v| v, f64::to_bits);
}
