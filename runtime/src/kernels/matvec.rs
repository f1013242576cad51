//! Products with a vector, and dot products, in lanes like a sum over the last axes. Safety: see `kernels`.
//!
//! `out[j] = sum_k a[k] * b[k, j]`: lane l takes the products k = l, l + LANES, ... of a chunk of 4096 by fused
//! multiply-adds; lanes, then chunks, are combined by the pairwise tree.

use super::{MAX_LANES, Real, SUM_CHUNK, Tree, combine_lanes};

/// Neighbouring results computed together where the matrix is contiguous along the results.
const WIDTH: usize = 32;
/// Dot products computed together where the matrix is contiguous along the sums.
const DOTS: usize = 4;

/// `out[j * out_step] = sum over k of a[k * a_step] * b[k * b_row + j * b_col]` for j < n.
///
/// # Safety
/// As in `kernels`.
#[allow(clippy::too_many_arguments)]
pub unsafe fn vector_matrix<T: Real>(
    k: usize,
    n: usize,
    a: *const T,
    a_step: isize,
    b: *const T,
    b_row: isize,
    b_col: isize,
    out: *mut T,
    out_step: isize,
) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512vl") {
            return unsafe { wide(k, n, a, a_step, b, b_row, b_col, out, out_step) };
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return unsafe { middle(k, n, a, a_step, b, b_row, b_col, out, out_step) };
        }
    }
    unsafe { body(k, n, a, a_step, b, b_row, b_col, out, out_step) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
#[allow(clippy::too_many_arguments)]
unsafe fn wide<T: Real>(
    k: usize,
    n: usize,
    a: *const T,
    a_step: isize,
    b: *const T,
    b_row: isize,
    b_col: isize,
    out: *mut T,
    out_step: isize,
) {
    unsafe { body(k, n, a, a_step, b, b_row, b_col, out, out_step) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[allow(clippy::too_many_arguments)]
unsafe fn middle<T: Real>(
    k: usize,
    n: usize,
    a: *const T,
    a_step: isize,
    b: *const T,
    b_row: isize,
    b_col: isize,
    out: *mut T,
    out_step: isize,
) {
    unsafe { body(k, n, a, a_step, b, b_row, b_col, out, out_step) }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn body<T: Real>(
    k: usize,
    n: usize,
    a: *const T,
    a_step: isize,
    b: *const T,
    b_row: isize,
    b_col: isize,
    out: *mut T,
    out_step: isize,
) {
    if b_row == 1 && a_step == 1 {
        let mut j = 0;
        if k <= SUM_CHUNK {
            while j + DOTS <= n {
                let sums = unsafe { dots::<T>(k, a, b.offset(j as isize * b_col), b_col) };
                for (d, sum) in sums.into_iter().enumerate() {
                    unsafe { *out.offset((j + d) as isize * out_step) = sum };
                }
                j += DOTS;
            }
        }
        for j in j as isize..n as isize {
            let column = unsafe { b.offset(j * b_col) };
            unsafe { *out.offset(j * out_step) = dot_contiguous(k, a, column) };
        }
        return;
    }
    let mut j = 0;
    if b_col == 1 {
        while j + WIDTH <= n {
            unsafe { columns::<T, WIDTH>(k, a, a_step, b.add(j), b_row, out.offset(j as isize * out_step), out_step) };
            j += WIDTH;
        }
        while j + 8 <= n {
            unsafe { columns::<T, 8>(k, a, a_step, b.add(j), b_row, out.offset(j as isize * out_step), out_step) };
            j += 8;
        }
    }
    for j in j as isize..n as isize {
        unsafe { *out.offset(j * out_step) = dot_strided(k, a, a_step, b.offset(j * b_col), b_row) };
    }
}

#[inline(always)]
unsafe fn dot_contiguous<T: Real>(k: usize, a: *const T, b: *const T) -> T {
    let mut tree = Tree::new();
    let mut start = 0;
    while start < k {
        let len = SUM_CHUNK.min(k - start);
        let (x, y) =
            unsafe { (std::slice::from_raw_parts(a.add(start), len), std::slice::from_raw_parts(b.add(start), len)) };
        let mut lanes = [T::ZERO; MAX_LANES];
        let lanes = &mut lanes[..T::LANES];
        let mut xs = x.chunks_exact(T::LANES);
        let mut ys = y.chunks_exact(T::LANES);
        for (x, y) in (&mut xs).zip(&mut ys) {
            for l in 0..T::LANES {
                lanes[l] = x[l].fma(y[l], lanes[l]);
            }
        }
        for (l, (&x, &y)) in xs.remainder().iter().zip(ys.remainder()).enumerate() {
            lanes[l] = x.fma(y, lanes[l]);
        }
        tree.push(combine_lanes(lanes));
        start += len;
    }
    tree.finish()
}

#[inline(always)]
unsafe fn dot_strided<T: Real>(k: usize, a: *const T, a_step: isize, b: *const T, b_step: isize) -> T {
    let mut tree = Tree::new();
    let mut start = 0;
    while start < k {
        let len = SUM_CHUNK.min(k - start);
        let mut lanes = [T::ZERO; MAX_LANES];
        let lanes = &mut lanes[..T::LANES];
        for i in 0..len {
            let at = (start + i) as isize;
            let l = i % T::LANES;
            lanes[l] = unsafe { (*a.offset(at * a_step)).fma(*b.offset(at * b_step), lanes[l]) };
        }
        tree.push(combine_lanes(lanes));
        start += len;
    }
    tree.finish()
}

/// `DOTS` dot products of one chunk at once: their chains of sums hide each other's latency.
#[inline(always)]
unsafe fn dots<T: Real>(k: usize, a: *const T, b: *const T, b_col: isize) -> [T; DOTS] {
    let mut lanes = [[T::ZERO; MAX_LANES]; DOTS];
    let whole = k - k % T::LANES;
    let mut start = 0;
    while start < whole {
        for (d, lane) in lanes.iter_mut().enumerate() {
            let column = unsafe { b.offset(d as isize * b_col).add(start) };
            for (l, value) in lane.iter_mut().enumerate().take(T::LANES) {
                *value = unsafe { (*a.add(start + l)).fma(*column.add(l), *value) };
            }
        }
        start += T::LANES;
    }
    for (d, lane) in lanes.iter_mut().enumerate() {
        let column = unsafe { b.offset(d as isize * b_col).add(whole) };
        for (l, value) in lane.iter_mut().enumerate().take(k - whole) {
            *value = unsafe { (*a.add(whole + l)).fma(*column.add(l), *value) };
        }
    }
    let mut width = T::LANES;
    while width > 1 {
        width /= 2;
        for lane in &mut lanes {
            for l in 0..width {
                lane[l] = lane[l] + lane[l + width];
            }
        }
    }
    std::array::from_fn(|d| lanes[d][0])
}

/// `W` neighbouring results at once.
#[inline(always)]
unsafe fn columns<T: Real, const W: usize>(
    k: usize,
    a: *const T,
    a_step: isize,
    b: *const T,
    b_row: isize,
    out: *mut T,
    out_step: isize,
) {
    let sums = if k <= SUM_CHUNK {
        unsafe { columns_of_chunk::<T, W>(k, a, a_step, b, b_row) }
    } else {
        let mut trees: [Tree<T>; W] = std::array::from_fn(|_| Tree::new());
        let mut start = 0;
        while start < k {
            let len = SUM_CHUNK.min(k - start);
            let at = start as isize;
            let sums =
                unsafe { columns_of_chunk::<T, W>(len, a.offset(at * a_step), a_step, b.offset(at * b_row), b_row) };
            for (tree, v) in trees.iter_mut().zip(sums) {
                tree.push(v);
            }
            start += len;
        }
        std::array::from_fn(|j| trees[j].finish())
    };
    for (j, &v) in sums.iter().enumerate() {
        unsafe { *out.offset(j as isize * out_step) = v };
    }
}

/// The part of one chunk, lane after lane, so that the sums of one lane stay in registers.
#[inline(always)]
unsafe fn columns_of_chunk<T: Real, const W: usize>(
    len: usize,
    a: *const T,
    a_step: isize,
    b: *const T,
    b_row: isize,
) -> [T; W] {
    let mut lanes = [[T::ZERO; W]; MAX_LANES];
    for (l, lane) in lanes.iter_mut().enumerate().take(T::LANES.min(len)) {
        let mut acc = [T::ZERO; W];
        let mut i = l;
        while i < len {
            let x = unsafe { *a.offset(i as isize * a_step) };
            let row = unsafe { b.offset(i as isize * b_row) };
            for (j, v) in acc.iter_mut().enumerate() {
                *v = x.fma(unsafe { *row.add(j) }, *v);
            }
            i += T::LANES;
        }
        *lane = acc;
    }
    let mut width = T::LANES;
    while width > 1 {
        width /= 2;
        let (low, high) = lanes.split_at_mut(width);
        for (a, b) in low.iter_mut().zip(high.iter()) {
            for (x, y) in a.iter_mut().zip(b) {
                *x = *x + *y;
            }
        }
    }
    lanes[0]
}
