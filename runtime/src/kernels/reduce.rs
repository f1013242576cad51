//! Reductions in their fixed orders. Safety: see `kernels`.

use super::level::Level;
use super::walk::walk;
use super::{MAX_LANES, Real, SUM_BLOCK, SUM_CHUNK, Tree, combine_lanes};

/// Kept elements that a sum over leading axes carries side by side.
const WIDTH: usize = 32;
/// Enough levels of the pairwise tree for any length: blocks are of 256 elements.
const LEVELS: usize = 56;

/// One chunk of at most `SUM_CHUNK` contiguous elements, by lanes.
#[inline(always)]
fn chunk_sum<T: Real>(x: &[T]) -> T {
    let mut lanes = [T::ZERO; MAX_LANES];
    let lanes = &mut lanes[..T::LANES];
    let mut rows = x.chunks_exact(T::LANES);
    for row in &mut rows {
        for l in 0..T::LANES {
            lanes[l] = lanes[l] + row[l];
        }
    }
    for (l, &v) in rows.remainder().iter().enumerate() {
        lanes[l] = lanes[l] + v;
    }
    combine_lanes(lanes)
}

/// The sum of contiguous elements: chunks by lanes, then the tree over chunks.
pub fn sum_slice<T: Real>(x: &[T]) -> T {
    T::sum(Level::best(), x)
}

/// The same, compiled for the instructions of its caller.
#[inline(always)]
pub fn sum_plain<T: Real>(x: &[T]) -> T {
    let mut tree = Tree::EMPTY;
    for chunk in x.chunks(SUM_CHUNK) {
        tree.push(chunk_sum(chunk));
    }
    tree.finish()
}

/// Sums over the last axes. `kept` and `summed` are the two groups of axes of `x`; `out` has the kept ones.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn sum_last<T: Real>(
    kept: &[usize],
    summed: &[usize],
    x: *const T,
    kept_strides: &[isize],
    summed_strides: &[isize],
    out: *mut T,
    out_strides: &[isize],
) {
    let n: usize = summed.iter().product();
    let contiguous = super::is_standard(summed, summed_strides);
    let mut buffer = [T::ZERO; SUM_CHUNK];
    walk(kept, [kept_strides, out_strides], [0, 0], &mut |[at, o]| {
        let total = if n == 0 {
            T::ZERO
        } else if contiguous {
            sum_slice(unsafe { std::slice::from_raw_parts(x.offset(at), n) })
        } else {
            let mut tree = Tree::EMPTY;
            let mut used = 0;
            walk(summed, [summed_strides], [at], &mut |[o]| {
                buffer[used] = unsafe { *x.offset(o) };
                used += 1;
                if used == SUM_CHUNK {
                    tree.push(chunk_sum(&buffer));
                    used = 0;
                }
            });
            if used > 0 {
                tree.push(chunk_sum(&buffer[..used]));
            }
            tree.finish()
        };
        unsafe { *out.offset(o) = total };
    });
}

/// Sums over axes that are not the last: blocks of 256 in ascending order, then the tree over blocks.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn sum_other<T: Real>(
    kept: &[usize],
    summed: &[usize],
    x: *const T,
    kept_strides: &[isize],
    summed_strides: &[isize],
    out: *mut T,
    out_strides: &[isize],
) {
    let n: usize = summed.iter().product();
    // The innermost kept axis is walked side by side.
    let (outer, width) = match kept.split_last() {
        Some((&width, outer)) => (outer, width),
        None => (kept, 1),
    };
    let rank = outer.len();
    let step = kept_strides.last().copied().unwrap_or(0);
    let out_step = out_strides.last().copied().unwrap_or(0);
    walk(outer, [&kept_strides[..rank], &out_strides[..rank]], [0, 0], &mut |[at, o]| {
        for j0 in (0..width).step_by(WIDTH) {
            let w = WIDTH.min(width - j0);
            let from = at + j0 as isize * step;
            let to = o + j0 as isize * out_step;
            if n == 0 {
                for j in 0..w as isize {
                    unsafe { *out.offset(to + j * out_step) = T::ZERO };
                }
                continue;
            }
            unsafe { sum_columns(w, summed, x.offset(from), step, summed_strides, out.offset(to), out_step) };
        }
    });
}

/// `w <= WIDTH` neighbouring sums at once.
unsafe fn sum_columns<T: Real>(
    w: usize,
    summed: &[usize],
    x: *const T,
    step: isize,
    summed_strides: &[isize],
    out: *mut T,
    out_step: isize,
) {
    let mut acc = [T::ZERO; WIDTH];
    let mut parts = [[T::ZERO; WIDTH]; LEVELS];
    let (mut levels, mut blocks, mut filled) = (0usize, 0u64, 0usize);
    let mut close = |acc: &mut [T; WIDTH], levels: &mut usize, blocks: &mut u64| {
        let mut bits = *blocks;
        while bits & 1 == 1 {
            *levels -= 1;
            for j in 0..WIDTH {
                acc[j] = parts[*levels][j] + acc[j];
            }
            bits >>= 1;
        }
        parts[*levels] = *acc;
        *levels += 1;
        *blocks += 1;
        *acc = [T::ZERO; WIDTH];
    };
    let mut add = |row: *const T| {
        if w == WIDTH && step == 1 {
            for (j, v) in acc.iter_mut().enumerate() {
                *v = *v + unsafe { *row.add(j) };
            }
        } else {
            for (j, v) in acc.iter_mut().enumerate().take(w) {
                *v = *v + unsafe { *row.offset(j as isize * step) };
            }
        }
        filled += 1;
        if filled == SUM_BLOCK {
            close(&mut acc, &mut levels, &mut blocks);
            filled = 0;
        }
    };
    walk(summed, [summed_strides], [0], &mut |[o]| add(unsafe { x.offset(o) }));
    if filled > 0 {
        close(&mut acc, &mut levels, &mut blocks);
    }
    let mut total = parts[levels - 1];
    for level in (0..levels - 1).rev() {
        for j in 0..WIDTH {
            total[j] = parts[level][j] + total[j];
        }
    }
    for (j, &v) in total.iter().enumerate().take(w) {
        unsafe { *out.offset(j as isize * out_step) = v };
    }
}

/// The pairwise tree over the sums of chunks or blocks: `parts` of them, `step` apart, for each place of the kept axes
/// (sizes and strides).
///
/// # Safety
/// As in `kernels`.
pub unsafe fn sum_parts<T: Real>(
    kept: (&[usize], &[isize]),
    (parts, step): (usize, isize),
    x: *const T,
    out: *mut T,
    out_strides: &[isize],
) {
    walk(kept.0, [kept.1, out_strides], [0, 0], &mut |[at, o]| {
        let mut tree = Tree::EMPTY;
        for part in 0..parts as isize {
            tree.push(unsafe { *x.offset(at + part * step) });
        }
        unsafe { *out.offset(o) = tree.finish() };
    });
}

/// Folds `f` over the reduced axes from `start`: in row-major order if it is a `chain`, in any order otherwise.
///
/// # Safety
/// As in `kernels`.
#[allow(clippy::too_many_arguments)]
pub unsafe fn fold<T: Copy>(
    kept: &[usize],
    reduced: &[usize],
    x: *const T,
    kept_strides: &[isize],
    reduced_strides: &[isize],
    out: *mut T,
    out_strides: &[isize],
    start: T,
    chain: bool,
    f: impl Fn(T, T) -> T,
) {
    let side_by_side = !chain && super::is_standard(reduced, reduced_strides);
    let count: usize = reduced.iter().product();
    walk(kept, [kept_strides, out_strides], [0, 0], &mut |[at, o]| {
        if side_by_side {
            let elements = unsafe { std::slice::from_raw_parts(x.offset(at), count) };
            let mut lanes = [start; WIDTH];
            let mut rows = elements.chunks_exact(WIDTH);
            for row in &mut rows {
                for (lane, &value) in lanes.iter_mut().zip(row) {
                    *lane = f(*lane, value);
                }
            }
            let all = lanes.into_iter().chain(rows.remainder().iter().copied());
            unsafe { *out.offset(o) = all.fold(start, &f) };
            return;
        }
        let mut acc = start;
        walk(reduced, [reduced_strides], [at], &mut |[r]| acc = f(acc, unsafe { *x.offset(r) }));
        unsafe { *out.offset(o) = acc };
    });
}

/// Running sums along the last axis, one chain from `zero`, from the end if `reverse`. Layouts are of one shape.
///
/// # Safety
/// As in `kernels`. `out` may be the same view as `x`.
pub unsafe fn running_sum<T: Copy>(
    shape: &[usize],
    reverse: bool,
    x: (*const T, &[isize]),
    out: (*mut T, &[isize]),
    (zero, add): (T, impl Fn(T, T) -> T),
) {
    let last = shape.len() - 1;
    let n = shape[last] as isize;
    let (x_step, out_step) = (x.1[last], out.1[last]);
    walk(&shape[..last], [&x.1[..last], &out.1[..last]], [0, 0], &mut |[from, to]| {
        let mut acc = zero;
        for i in 0..n {
            let k = if reverse { n - 1 - i } else { i };
            acc = add(acc, unsafe { *x.0.offset(from + k * x_step) });
            unsafe { *out.0.offset(to + k * out_step) = acc };
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::standard_strides;
    use super::*;

    fn tree(v: &[f32]) -> f32 {
        if v.len() == 1 {
            return v[0];
        }
        let mut p = 1;
        while p * 2 < v.len() {
            p *= 2;
        }
        tree(&v[..p]) + tree(&v[p..])
    }

    fn by_definition(x: &[f32]) -> f32 {
        if x.is_empty() {
            return 0.0;
        }
        let chunks: Vec<f32> = x
            .chunks(4096)
            .map(|chunk| {
                let mut acc = [0f32; 32];
                for (i, &v) in chunk.iter().enumerate() {
                    acc[i % 32] += v;
                }
                let mut w = 32;
                while w > 1 {
                    w /= 2;
                    for l in 0..w {
                        acc[l] += acc[l + w];
                    }
                }
                acc[0]
            })
            .collect();
        tree(&chunks)
    }

    fn numbers(n: usize) -> Vec<f32> {
        let mut state = 12345u64;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((state >> 40) as f32 / 8388608.0 - 1.0) * 1.7
            })
            .collect()
    }

    #[test]
    fn sums_of_slices_follow_the_definition() {
        for n in [0, 1, 5, 31, 32, 33, 100, 4095, 4096, 4097, 10_000, 4096 * 7 + 3] {
            let x = numbers(n);
            assert_eq!(sum_slice(&x).to_bits(), by_definition(&x).to_bits(), "{n}");
        }
    }

    #[test]
    fn strided_sums_equal_contiguous_ones() {
        let (rows, columns) = (70, 90);
        let x = numbers(rows * columns);
        let mut turned = vec![0f32; x.len()];
        for i in 0..rows {
            for j in 0..columns {
                turned[j * rows + i] = x[i * columns + j];
            }
        }
        let mut total = 0f32;
        unsafe { sum_last(&[], &[rows, columns], turned.as_ptr(), &[], &[1, rows as isize], &mut total, &[]) };
        assert_eq!(total.to_bits(), by_definition(&x).to_bits());
    }

    #[test]
    fn sums_over_leading_axes_follow_the_definition() {
        for (n, w) in [(1, 1), (3, 40), (256, 5), (257, 64), (1000, 33), (2600, 3), (0, 4)] {
            let x = numbers(n * w);
            let mut out = vec![f32::NAN; w];
            let strides = standard_strides(&[n, w]);
            unsafe { sum_other(&[w], &[n], x.as_ptr(), &strides[1..], &strides[..1], out.as_mut_ptr(), &[1]) };
            for j in 0..w {
                let column: Vec<f32> = (0..n).map(|i| x[i * w + j]).collect();
                let blocks: Vec<f32> = column.chunks(256).map(|b| b.iter().fold(0.0, |a, &v| a + v)).collect();
                let want = if blocks.is_empty() { 0.0 } else { tree(&blocks) };
                assert_eq!(out[j].to_bits(), want.to_bits(), "{n} {w} {j}");
            }
        }
    }
}
