//! Decompositions, through `faer`, on one thread: their order of operations depends on the shape alone.
//!
//! On one kind of processor the bits are always the same; between kinds they agree to rounding.

use crate::fault::FaultKind;
use faer::traits::RealField;
use faer::{Mat, MatRef, Par};

/// The thin singular value decomposition `a = u diag(s) v^T` of an `m` by `n` matrix in row-major order.
///
/// With `k = min(m, n)`: `u` is `m` by `k` and `v` is `n` by `k`, both in row-major order with orthonormal columns;
/// `s` has `k` values, not negative, in descending order. Signs are made unique: in each column of `u` the first
/// entry of largest size is positive. A matrix with a NaN or an infinity gives NaN everywhere.
///
/// # Panics
/// If `a` has not `m * n` elements.
pub fn svd_f64(a: &[f64], m: usize, n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    svd(a, m, n)
}

/// As `svd_f64`.
pub fn svd_f32(a: &[f32], m: usize, n: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    svd(a, m, n)
}

/// Solves `a x = b` for a square matrix: `a` is `n` by `n`, `b` and the result `n` by `p`, in row-major order.
///
/// By Gaussian elimination with partial pivoting. A NaN or an infinity gives NaN where it reaches.
///
/// # Errors
/// `Singular` when a pivot is exactly 0.
///
/// # Panics
/// If the slices have not `n * n` and `n * p` elements.
pub fn solve_f64(a: &[f64], b: &[f64], n: usize, p: usize) -> Result<Vec<f64>, FaultKind> {
    solve(a, b, n, p)
}

/// As `solve_f64`.
pub fn solve_f32(a: &[f32], b: &[f32], n: usize, p: usize) -> Result<Vec<f32>, FaultKind> {
    solve(a, b, n, p)
}

/// An element kind: faer's arithmetic, and what it does not give in this form.
trait Real: RealField + Copy + PartialOrd + std::ops::Neg<Output = Self> {
    const ZERO: Self;
    const NAN: Self;
    fn size(self) -> Self;
    fn finite(self) -> bool;
}

macro_rules! real {
    ($ty:ty) => {
        impl Real for $ty {
            const ZERO: $ty = 0.0;
            const NAN: $ty = <$ty>::NAN;
            fn size(self) -> $ty {
                self.abs()
            }
            fn finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}
real!(f32);
real!(f64);

fn row_major<T: Real>(matrix: MatRef<'_, T>) -> Vec<T> {
    let (rows, columns) = matrix.shape();
    (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))).map(|at| matrix[at]).collect()
}

fn svd<T: Real>(a: &[T], m: usize, n: usize) -> (Vec<T>, Vec<T>, Vec<T>) {
    assert_eq!(a.len(), m * n, "elements of a {m} by {n} matrix");
    let k = m.min(n);
    let matrix = MatRef::from_row_major_slice(a, m, n);
    let finite = a.iter().all(|v| v.finite());
    // The iteration is known to converge for finite matrices; a failure becomes NaN like other bad input.
    let decomposed = if finite { thin_svd(matrix.to_owned()) } else { None };
    let Some((u, s, v)) = decomposed else {
        return (vec![T::NAN; m * k], vec![T::NAN; k], vec![T::NAN; n * k]);
    };
    let (mut u, mut v) = (row_major(u.as_ref()), row_major(v.as_ref()));
    for j in 0..k {
        let mut largest = T::ZERO;
        for i in 0..m {
            let entry = u[i * k + j];
            if entry.size() > largest.size() {
                largest = entry;
            }
        }
        if largest < T::ZERO {
            u.iter_mut().skip(j).step_by(k).for_each(|entry| *entry = -*entry);
            v.iter_mut().skip(j).step_by(k).for_each(|entry| *entry = -*entry);
        }
    }
    (u, s, v)
}

/// Both factors as matrices and the singular values.
fn thin_svd<T: Real>(matrix: Mat<T>) -> Option<(Mat<T>, Vec<T>, Mat<T>)> {
    // Only one thread, whatever the process has set.
    faer::set_global_parallelism(Par::Seq);
    let svd = matrix.thin_svd().ok()?;
    let values = svd.S().column_vector().iter().copied().collect();
    Some((svd.U().to_owned(), values, svd.V().to_owned()))
}

fn solve<T: Real>(a: &[T], b: &[T], n: usize, p: usize) -> Result<Vec<T>, FaultKind> {
    assert_eq!(a.len(), n * n, "elements of a {n} by {n} matrix");
    assert_eq!(b.len(), n * p, "elements of a {n} by {p} matrix");
    if n == 0 || p == 0 {
        return Ok(Vec::new());
    }
    faer::set_global_parallelism(Par::Seq);
    let factors = MatRef::from_row_major_slice(a, n, n).partial_piv_lu();
    let upper = factors.U();
    if (0..n).any(|i| upper[(i, i)] == T::ZERO) {
        return Err(FaultKind::Singular);
    }
    let mut x = MatRef::from_row_major_slice(b, n, p).to_owned();
    faer::linalg::solvers::SolveCore::solve_in_place_with_conj(&factors, faer::Conj::No, x.as_mut());
    Ok(row_major(x.as_ref()))
}
