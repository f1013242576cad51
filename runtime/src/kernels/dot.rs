//! Matrix products. Safety: see `kernels`.
//!
//! With more than one row and column: each element sums over k in blocks of 512, a block being one chain of
//! fused multiply-adds from +0 in ascending k, and adds the blocks in order. `gemm` computes exactly this
//! when k is cut for it, except for small results, blocks of one or two, and processors without fused
//! multiply-add, which the kernel below takes. With one row or one column: `matvec`.

use super::{DOT_BLOCK, Real, matvec};

/// Results of at most this many elements do not go to `gemm`, which uses another order for them.
const SMALL: usize = 256;
/// Columns that the small kernel computes together.
const WIDTH: usize = 16;

/// One operand of a product: where it starts and its row and column strides in elements.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<T> {
    pub at: *const T,
    pub row: isize,
    pub col: isize,
}

/// A product's result.
#[derive(Clone, Copy, Debug)]
pub struct MatrixMut<T> {
    pub at: *mut T,
    pub row: isize,
    pub col: isize,
}

/// `c = a b` with `a: [m, k]`, `b: [k, n]`.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn product<T: Real>(m: usize, k: usize, n: usize, a: Matrix<T>, b: Matrix<T>, c: MatrixMut<T>) {
    if m == 0 || n == 0 {
        return;
    }
    if m == 1 {
        return unsafe { matvec::vector_matrix(k, n, a.at, a.col, b.at, b.row, b.col, c.at, c.col) };
    }
    if n == 1 {
        return unsafe { matvec::vector_matrix(k, m, b.at, b.row, a.at, a.col, a.row, c.at, c.row) };
    }
    if k == 0 {
        return unsafe { super::copy::fill(&[m, n], c.at, &[c.row, c.col], T::ZERO) };
    }
    let library = m * n > SMALL && has_fma();
    let mut start = 0;
    while start < k {
        let len = DOT_BLOCK.min(k - start);
        let (a, b) = unsafe {
            let shift = start as isize;
            (Matrix { at: a.at.offset(shift * a.col), ..a }, Matrix { at: b.at.offset(shift * b.row), ..b })
        };
        if library && len > 2 {
            unsafe {
                gemm::gemm(
                    m,
                    n,
                    len,
                    c.at,
                    c.col,
                    c.row,
                    start > 0,
                    a.at,
                    a.col,
                    a.row,
                    b.at,
                    b.col,
                    b.row,
                    T::ONE,
                    T::ONE,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        } else {
            unsafe { block(m, len, n, a, b, c, start > 0) };
        }
        start += len;
    }
}

/// True if the processor multiplies and adds with one rounding in one instruction.
fn has_fma() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
    }
    #[cfg(target_arch = "aarch64")]
    {
        true
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

/// One block of k: `c = a b`, or `c += a b` if `add`.
unsafe fn block<T: Real>(m: usize, k: usize, n: usize, a: Matrix<T>, b: Matrix<T>, c: MatrixMut<T>, add: bool) {
    // The result's columns go side by side; turn the product where its rows are the contiguous way.
    let turn = b.col != 1 && a.row == 1;
    let (m, n, a, b, c) = if turn {
        (
            n,
            m,
            Matrix { at: b.at, row: b.col, col: b.row },
            Matrix { at: a.at, row: a.col, col: a.row },
            MatrixMut { at: c.at, row: c.col, col: c.row },
        )
    } else {
        (m, n, a, b, c)
    };
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512vl") {
            return unsafe { wide(m, k, n, a, b, c, add) };
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return unsafe { middle(m, k, n, a, b, c, add) };
        }
    }
    unsafe { body(m, k, n, a, b, c, add) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
unsafe fn wide<T: Real>(m: usize, k: usize, n: usize, a: Matrix<T>, b: Matrix<T>, c: MatrixMut<T>, add: bool) {
    unsafe { body(m, k, n, a, b, c, add) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn middle<T: Real>(m: usize, k: usize, n: usize, a: Matrix<T>, b: Matrix<T>, c: MatrixMut<T>, add: bool) {
    unsafe { body(m, k, n, a, b, c, add) }
}

#[inline(always)]
unsafe fn body<T: Real>(m: usize, k: usize, n: usize, a: Matrix<T>, b: Matrix<T>, c: MatrixMut<T>, add: bool) {
    for i in 0..m as isize {
        let row = unsafe { a.at.offset(i * a.row) };
        let mut j = 0;
        while j < n {
            let w = WIDTH.min(n - j);
            let from = unsafe { b.at.offset(j as isize * b.col) };
            let mut acc = [T::ZERO; WIDTH];
            if b.col == 1 && w == WIDTH {
                for p in 0..k as isize {
                    let x = unsafe { *row.offset(p * a.col) };
                    let line = unsafe { from.offset(p * b.row) };
                    for (l, v) in acc.iter_mut().enumerate() {
                        *v = x.fma(unsafe { *line.add(l) }, *v);
                    }
                }
            } else {
                for p in 0..k as isize {
                    let x = unsafe { *row.offset(p * a.col) };
                    let line = unsafe { from.offset(p * b.row) };
                    for (l, v) in acc.iter_mut().enumerate().take(w) {
                        *v = x.fma(unsafe { *line.offset(l as isize * b.col) }, *v);
                    }
                }
            }
            for (l, &v) in acc.iter().enumerate().take(w) {
                let to = unsafe { c.at.offset(i * c.row + (j + l) as isize * c.col) };
                unsafe { *to = if add { *to + v } else { v } };
            }
            j += w;
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn want<T: Real>(
        m: usize,
        k: usize,
        n: usize,
        a: impl Fn(usize, usize) -> T,
        b: impl Fn(usize, usize) -> T,
    ) -> Vec<T> {
        let tree = |v: &[T]| {
            fn go<T: Real>(v: &[T]) -> T {
                if v.len() == 1 {
                    return v[0];
                }
                let mut p = 1;
                while p * 2 < v.len() {
                    p *= 2;
                }
                go(&v[..p]) + go(&v[p..])
            }
            if v.is_empty() { T::ZERO } else { go(v) }
        };
        let mut out = Vec::new();
        for i in 0..m {
            for j in 0..n {
                let value = if m == 1 || n == 1 {
                    let chunks: Vec<T> = (0..k)
                        .step_by(4096)
                        .map(|s| {
                            let mut lanes = vec![T::ZERO; T::LANES];
                            for p in s..(s + 4096).min(k) {
                                let l = (p - s) % T::LANES;
                                lanes[l] = a(i, p).fma(b(p, j), lanes[l]);
                            }
                            while lanes.len() > 1 {
                                let half = lanes.len() / 2;
                                lanes = (0..half).map(|l| lanes[l] + lanes[l + half]).collect();
                            }
                            lanes[0]
                        })
                        .collect();
                    tree(&chunks)
                } else {
                    let mut total: Option<T> = None;
                    for s in (0..k).step_by(512) {
                        let mut acc = T::ZERO;
                        for p in s..(s + 512).min(k) {
                            acc = a(i, p).fma(b(p, j), acc);
                        }
                        total = Some(match total {
                            None => acc,
                            Some(t) => t + acc,
                        });
                    }
                    total.unwrap_or(T::ZERO)
                };
                out.push(value);
            }
        }
        out
    }

    fn check<T: Real + std::fmt::Debug>(from: impl Fn(f64) -> T, bits: impl Fn(T) -> u64) {
        let sizes = [
            (1, 1, 1),
            (1, 5000, 3),
            (1, 300, 70),
            (40, 77, 1),
            (1, 9000, 1),
            (2, 3, 2),
            (16, 16, 16),
            (17, 1, 33),
            (17, 2, 33),
            (17, 3, 33),
            (33, 513, 17),
            (33, 514, 17),
            (64, 515, 9),
            (5, 1200, 61),
            (64, 256, 48),
            (2, 40, 300),
            (300, 40, 2),
            (3, 1030, 90),
            (6, 0, 7),
        ];
        for (case, &(m, k, n)) in sizes.iter().enumerate() {
            let a: Vec<T> = numbers(m * k, case as u64).into_iter().map(&from).collect();
            let b: Vec<T> = numbers(k * n, 100 + case as u64).into_iter().map(&from).collect();
            for layout in 0..8 {
                let (a_rows, b_rows, c_rows) = (layout & 1 == 0, layout & 2 == 0, layout & 4 == 0);
                let strides = |rows: bool, r: usize, c: usize| if rows { (c as isize, 1) } else { (1, r as isize) };
                let (ar, ac) = strides(a_rows, m, k);
                let (br, bc) = strides(b_rows, k, n);
                let (cr, cc) = strides(c_rows, m, n);
                let at = |r: isize, c: isize| move |i: usize, j: usize| (i as isize * r + j as isize * c) as usize;
                let (ia, ib, ic) = (at(ar, ac), at(br, bc), at(cr, cc));
                let mut c = vec![from(f64::NAN); m * n];
                unsafe {
                    product(
                        m,
                        k,
                        n,
                        Matrix { at: a.as_ptr(), row: ar, col: ac },
                        Matrix { at: b.as_ptr(), row: br, col: bc },
                        MatrixMut { at: c.as_mut_ptr(), row: cr, col: cc },
                    );
                }
                let right = want(m, k, n, |i, p| a[ia(i, p)], |p, j| b[ib(p, j)]);
                for i in 0..m {
                    for j in 0..n {
                        let (got, want) = (c[ic(i, j)], right[i * n + j]);
                        assert_eq!(bits(got), bits(want), "{m}x{k}x{n} layout {layout} at {i},{j}: {got:?} {want:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn products_of_f32_follow_the_definition() {
        check(|v| v as f32, |v: f32| u64::from(v.to_bits()));
    }

    #[test]
    fn products_of_f64_follow_the_definition() {
        check(|v| v, f64::to_bits);
    }
}
