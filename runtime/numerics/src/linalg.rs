//! Decompositions, through `faer`, on one thread: their order of operations depends on the shape alone.
//!
//! Work is done in memory of the caller; nothing is allocated.
//!
//! On one kind of processor the bits are always the same; between kinds they agree to rounding.

pub mod spectral;

use crate::fault::FaultKind;
use crate::math::scalar::log_f64;
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::lu::partial_pivoting::{self as lu, factor};
use faer::linalg::solvers::PartialPivLu;
use faer::linalg::svd::{self, ComputeSvdVectors, SvdParams};
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::reborrow::ReborrowMut;
use faer::traits::RealField;
use faer::{Auto, Mat, MatRef, Par, Side, Spec};
use std::cmp::Ordering;
use std::mem::MaybeUninit;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The thin singular value decomposition `a = u diag(s) v^T` of an `m` by `n` matrix in row-major order.
///
/// With `k = min(m, n)`: `u` is `m` by `k` and `v` is `n` by `k`, both in row-major order with orthonormal columns;
/// `s` has `k` values, not negative, in descending order. Signs are made unique: in each column of `u` the first
/// entry of largest size is positive. A matrix with a NaN or an infinity gives NaN everywhere.
///
/// # Panics
/// If `a` has not `m * n` elements.
pub fn svd_f64(a: &[f64], m: usize, n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    svd_owned(a, m, n)
}

/// As `svd_f64`.
pub fn svd_f32(a: &[f32], m: usize, n: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    svd_owned(a, m, n)
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
    solve_owned(a, b, n, p)
}

/// As `solve_f64`.
pub fn solve_f32(a: &[f32], b: &[f32], n: usize, p: usize) -> Result<Vec<f32>, FaultKind> {
    solve_owned(a, b, n, p)
}

/// An element kind: faer's arithmetic, and what it does not give in this form.
pub trait Real:
    RealField
    + Copy
    + PartialOrd
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    const ZERO: Self;
    const HALF: Self;
    const NAN: Self;
    /// The distance from 1 to the next number.
    const EPSILON: Self;
    fn size(self) -> Self;
    fn finite(self) -> bool;
    /// The nearest number of this kind.
    fn of(value: f64) -> Self;
    fn wide(self) -> f64;
}

macro_rules! real {
    ($ty:ty) => {
        impl Real for $ty {
            const ZERO: $ty = 0.0;
            const HALF: $ty = 0.5;
            const EPSILON: $ty = <$ty>::EPSILON;
            const NAN: $ty = <$ty>::NAN;
            fn size(self) -> $ty {
                self.abs()
            }
            fn finite(self) -> bool {
                self.is_finite()
            }
            fn of(value: f64) -> $ty {
                value as $ty
            }
            fn wide(self) -> f64 {
                self.into()
            }
        }
    };
}
real!(f32);
real!(f64);

/// Bytes of scratch memory for `svd_into`, at any alignment.
pub fn svd_room<T: Real>(m: usize, n: usize) -> usize {
    let k = m.min(n);
    let thin = ComputeSvdVectors::Thin;
    let work = svd::svd_scratch::<T>(m, n, thin, thin, Par::Seq, Default::default());
    let parts = [(m, k), (n, k), (k, 1)].map(|(rows, columns)| temp_mat_scratch::<T>(rows, columns));
    room_of(StackReq::all_of(&parts).and(work))
}

/// Bytes of scratch memory for `singular_values_into`, at any alignment.
pub fn singular_values_room<T: Real>(m: usize, n: usize) -> usize {
    let none = ComputeSvdVectors::No;
    let work = svd::svd_scratch::<T>(m, n, none, none, Par::Seq, values_alone::<T>());
    room_of(temp_mat_scratch::<T>(m.min(n), 1).and(work))
}

/// Without vectors the iteration on two diagonals needs no memory, where dividing needs that of a matrix.
fn values_alone<T: Real>() -> Spec<SvdParams, T> {
    Spec::new(SvdParams { recursion_threshold: usize::MAX, ..Auto::<T>::auto() })
}

/// Bytes of scratch memory for `solve_into`, at any alignment.
pub fn solve_room<T: Real>(n: usize, p: usize) -> usize {
    let factor = factor::lu_in_place_scratch::<usize, T>(n, n, Par::Seq, Default::default());
    let solve = lu::solve::solve_in_place_scratch::<usize, T>(n, p, Par::Seq);
    let matrices = temp_mat_scratch::<T>(n, n).and(temp_mat_scratch::<T>(n, p));
    let permutations = StackReq::new::<usize>(n).and(StackReq::new::<usize>(n));
    room_of(matrices.and(permutations).and(factor.or(solve)))
}

/// The bytes, with what alignment may take.
fn room_of(req: StackReq) -> usize {
    req.unaligned_bytes_required()
}

fn scratch(bytes: usize) -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::uninit(); bytes]
}

fn svd_owned<T: Real>(a: &[T], m: usize, n: usize) -> (Vec<T>, Vec<T>, Vec<T>) {
    let k = m.min(n);
    let (mut u, mut s, mut v) = (vec![T::ZERO; m * k], vec![T::ZERO; k], vec![T::ZERO; n * k]);
    svd_into((m, n), a, (&mut u, &mut s, &mut v), &mut scratch(svd_room::<T>(m, n)));
    (u, s, v)
}

/// `svd_f64` into memory of the caller: `u`, `s` and `v`, with `svd_room` bytes of scratch memory.
///
/// # Panics
/// If the slices are not as long as that says.
pub fn svd_into<T: Real>(
    (m, n): (usize, usize),
    a: &[T],
    (u, s, v): (&mut [T], &mut [T], &mut [T]),
    room: &mut [MaybeUninit<u8>],
) {
    assert_eq!(a.len(), m * n, "elements of a {m} by {n} matrix");
    let k = m.min(n);
    if k == 0 {
        return;
    }
    // The iteration is known to converge for finite matrices; a failure becomes NaN like other bad input.
    if !a.iter().all(|v| v.finite()) || !thin_svd((m, n), a, (&mut *u, &mut *s, &mut *v), room) {
        [u, s, v].into_iter().for_each(|part| part.fill(T::NAN));
        return;
    }
    for j in 0..k {
        if largest(u, k, j) < T::ZERO {
            u.iter_mut().skip(j).step_by(k).for_each(|entry| *entry = -*entry);
            v.iter_mut().skip(j).step_by(k).for_each(|entry| *entry = -*entry);
        }
    }
}

/// The singular values of an `m` by `n` matrix in row-major order, as `svd_f64` orders them, into `s`, with
/// `singular_values_room` bytes of scratch memory. They agree with those of `svd_f64` to rounding. A matrix with a NaN or an infinity
/// gives NaN.
///
/// # Panics
/// If the slices are not as long as that says.
pub fn singular_values_into<T: Real>((m, n): (usize, usize), a: &[T], s: &mut [T], room: &mut [MaybeUninit<u8>]) {
    assert_eq!(a.len(), m * n, "elements of a {m} by {n} matrix");
    if m.min(n) == 0 {
        return;
    }
    if !a.iter().all(|v| v.finite()) || !values_of((m, n), a, s, room) {
        s.fill(T::NAN);
    }
}

/// The singular values alone; false if the iteration fails.
fn values_of<T: Real>((m, n): (usize, usize), a: &[T], s: &mut [T], room: &mut [MaybeUninit<u8>]) -> bool {
    let (mut values, stack) = temp_mat_zeroed::<T, _, _>(m.min(n), 1, MemStack::new(room));
    let mut values = values.as_mat_mut();
    let matrix = MatRef::from_row_major_slice(a, m, n);
    let diagonal = values.rb_mut().col_mut(0).as_diagonal_mut();
    let found = svd::svd(matrix, diagonal, None, None, Par::Seq, stack, values_alone()).is_ok();
    if found {
        row_major(values.as_ref(), s);
    }
    found
}

/// Both factors and the singular values; false if the iteration fails.
fn thin_svd<T: Real>(
    (m, n): (usize, usize),
    a: &[T],
    (u, s, v): (&mut [T], &mut [T], &mut [T]),
    room: &mut [MaybeUninit<u8>],
) -> bool {
    let k = m.min(n);
    let stack = MemStack::new(room);
    let (mut left, stack) = temp_mat_zeroed::<T, _, _>(m, k, stack);
    let (mut right, stack) = temp_mat_zeroed::<T, _, _>(n, k, stack);
    let (mut values, stack) = temp_mat_zeroed::<T, _, _>(k, 1, stack);
    let (mut left, mut right, mut values) = (left.as_mat_mut(), right.as_mat_mut(), values.as_mat_mut());
    let matrix = MatRef::from_row_major_slice(a, m, n);
    let diagonal = values.rb_mut().col_mut(0).as_diagonal_mut();
    let (to_u, to_v) = (Some(left.rb_mut()), Some(right.rb_mut()));
    if svd::svd(matrix, diagonal, to_u, to_v, Par::Seq, stack, Default::default()).is_err() {
        return false;
    }
    row_major(left.as_ref(), u);
    row_major(values.as_ref(), s);
    row_major(right.as_ref(), v);
    true
}

fn row_major<T: Real>(matrix: MatRef<'_, T>, out: &mut [T]) {
    let (rows, columns) = matrix.shape();
    let places = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
    for (out, at) in out.iter_mut().zip(places) {
        *out = matrix[at];
    }
}

fn solve_owned<T: Real>(a: &[T], b: &[T], n: usize, p: usize) -> Result<Vec<T>, FaultKind> {
    let mut x = vec![T::ZERO; n * p];
    solve_into((n, p), a, b, &mut x, &mut scratch(solve_room::<T>(n, p)))?;
    Ok(x)
}

/// `solve_f64` into memory of the caller, with `solve_room` bytes of scratch memory.
///
/// # Errors
/// `Singular` when a pivot is exactly 0.
///
/// # Panics
/// If the slices are not as long as that says.
pub fn solve_into<T: Real>(
    (n, p): (usize, usize),
    a: &[T],
    b: &[T],
    x: &mut [T],
    room: &mut [MaybeUninit<u8>],
) -> Result<(), FaultKind> {
    assert_eq!(a.len(), n * n, "elements of a {n} by {n} matrix");
    assert_eq!(b.len(), n * p, "elements of a {n} by {p} matrix");
    if n == 0 || p == 0 {
        return Ok(());
    }
    let stack = MemStack::new(room);
    let (mut factors, stack) = temp_mat_zeroed::<T, _, _>(n, n, stack);
    let (mut solution, stack) = temp_mat_zeroed::<T, _, _>(n, p, stack);
    let (mut forward, stack) = stack.make_with(n, |_| 0usize);
    let (mut backward, stack) = stack.make_with(n, |_| 0usize);
    let (mut factors, mut solution) = (factors.as_mat_mut(), solution.as_mat_mut());
    factors.copy_from(MatRef::from_row_major_slice(a, n, n));
    let (_, rows) =
        factor::lu_in_place(factors.rb_mut(), &mut forward, &mut backward, Par::Seq, stack, Default::default());
    let factors = factors.as_ref();
    if (0..n).any(|i| factors[(i, i)] == T::ZERO) {
        return Err(FaultKind::Singular);
    }
    solution.copy_from(MatRef::from_row_major_slice(b, n, p));
    // The lower factor's ones are not stored: both factors lie in one matrix.
    lu::solve::solve_in_place(factors, factors, rows, solution.rb_mut(), Par::Seq, stack);
    row_major(solution.as_ref(), x);
    Ok(())
}

/// In 64 bits: the decompositions from here on work in 64 bits for both kinds, which is more accurate and less code.
fn wide<T: Real>(a: &[T]) -> Vec<f64> {
    a.iter().map(|v| v.wide()).collect()
}

fn narrow<T: Real>(a: &[f64]) -> Vec<T> {
    a.iter().map(|&v| T::of(v)).collect()
}

/// The symmetric part `(a + a^T) / 2` of a square matrix; `None` where an element is not finite.
fn symmetric_part(a: &[f64], n: usize) -> Option<Mat<f64>> {
    assert_eq!(a.len(), n * n, "elements of a {n} by {n} matrix");
    if !a.iter().all(|v| v.is_finite()) {
        return None;
    }
    Some(Mat::from_fn(n, n, |i, j| 0.5 * a[i * n + j] + 0.5 * a[j * n + i]))
}

/// The lower triangular `l` with a positive diagonal and `l l^T` the symmetric part of `a`, `n` by `n` in row-major order.
///
/// A matrix with a NaN or an infinity gives NaN in the lower triangle.
///
/// # Errors
/// `NotPositiveDefinite` when a pivot is not positive.
///
/// # Panics
/// If `a` has not `n * n` elements.
pub fn cholesky<T: Real>(a: &[T], n: usize) -> Result<Vec<T>, FaultKind> {
    Ok(narrow(&cholesky_f64(&wide(a), n)?))
}

fn cholesky_f64(a: &[f64], n: usize) -> Result<Vec<f64>, FaultKind> {
    faer::set_global_parallelism(Par::Seq);
    let lower = |factor: &dyn Fn(usize, usize) -> f64| {
        (0..n * n).map(|at| if at % n <= at / n { factor(at / n, at % n) } else { 0.0 }).collect()
    };
    let Some(matrix) = symmetric_part(a, n) else { return Ok(lower(&|_, _| f64::NAN)) };
    match matrix.llt(Side::Lower) {
        Ok(factors) => {
            let l = factors.L();
            Ok(lower(&|i, j| l[(i, j)]))
        }
        Err(_) => Err(FaultKind::NotPositiveDefinite),
    }
}

/// Solves `t x = b` with the lower (or upper) triangle of `t`, `n` by `n`; `b` and the result are `n` by `p`, all in row-major
/// order. What lies outside of the triangle is not read.
///
/// # Errors
/// `Singular` when an element of the diagonal is 0.
///
/// # Panics
/// If the slices have not `n * n` and `n * p` elements.
pub fn triangular_solve<T: Real>(lower: bool, t: &[T], b: &[T], n: usize, p: usize) -> Result<Vec<T>, FaultKind> {
    Ok(narrow(&triangular_solve_f64(lower, &wide(t), &wide(b), n, p)?))
}

fn triangular_solve_f64(lower: bool, t: &[f64], b: &[f64], n: usize, p: usize) -> Result<Vec<f64>, FaultKind> {
    assert_eq!(t.len(), n * n, "elements of a {n} by {n} matrix");
    assert_eq!(b.len(), n * p, "elements of a {n} by {p} matrix");
    if n == 0 || p == 0 {
        return Ok(Vec::new());
    }
    if (0..n).any(|i| t[i * n + i] == 0.0) {
        return Err(FaultKind::Singular);
    }
    let matrix = MatRef::from_row_major_slice(t, n, n);
    let mut x = MatRef::from_row_major_slice(b, n, p).to_owned();
    if lower {
        solve_lower_triangular_in_place(matrix, x.as_mut(), Par::Seq);
    } else {
        solve_upper_triangular_in_place(matrix, x.as_mut(), Par::Seq);
    }
    Ok(rows_of(x.as_ref()))
}

/// The pivots of Gaussian elimination with row exchanges, and whether the exchanges are an odd permutation.
fn pivots(a: &[f64], n: usize) -> (Vec<f64>, bool) {
    assert_eq!(a.len(), n * n, "elements of a {n} by {n} matrix");
    faer::set_global_parallelism(Par::Seq);
    let factors: PartialPivLu<f64> = MatRef::from_row_major_slice(a, n, n).partial_piv_lu();
    let upper = factors.U();
    let values = (0..n).map(|i| upper[(i, i)]).collect();
    let (forward, _) = factors.P().arrays();
    let (mut seen, mut odd) = (vec![false; n], false);
    for start in 0..n {
        let mut at = start;
        while !seen[at] {
            seen[at] = true;
            at = forward[at];
            // A cycle of length c is c - 1 exchanges.
            odd ^= at != start;
        }
    }
    (values, odd)
}

/// The decomposition `a[p] = l u` of an `m` by `n` matrix by Gaussian elimination with row exchanges: row i of the product is row
/// `p[i]` of `a`. With `k = min(m, n)`, `l` is `m` by `k` with ones on the diagonal, nothing above it and nothing greater than 1 below,
/// `u` is `k` by `n` and upper triangular, all in row-major order. A column without a pivot leaves zeros in `l`.
///
/// A matrix with a NaN or an infinity gives NaN in both triangles, and the rows as they are.
///
/// # Panics
/// If `a` has not `m * n` elements.
pub fn lu<T: Real>(a: &[T], m: usize, n: usize) -> (Vec<i64>, Vec<T>, Vec<T>) {
    let (p, l, u) = lu_f64(&wide(a), m, n);
    (p, narrow(&l), narrow(&u))
}

fn lu_f64(a: &[f64], m: usize, n: usize) -> (Vec<i64>, Vec<f64>, Vec<f64>) {
    assert_eq!(a.len(), m * n, "elements of a {m} by {n} matrix");
    let k = m.min(n);
    let in_order = || (0..m as i64).collect();
    let lower = |entry: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
        let places = (0..m * k).map(|at| (at / k, at % k));
        places
            .map(|(i, j)| {
                if i == j {
                    1.0
                } else if i > j {
                    entry(i, j)
                } else {
                    0.0
                }
            })
            .collect()
    };
    let upper = |entry: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
        let places = (0..k * n).map(|at| (at / n, at % n));
        places.map(|(i, j)| if i <= j { entry(i, j) } else { 0.0 }).collect()
    };
    if k == 0 || !a.iter().all(|v| v.is_finite()) {
        return (in_order(), lower(&|_, _| f64::NAN), upper(&|_, _| f64::NAN));
    }
    faer::set_global_parallelism(Par::Seq);
    let factors: PartialPivLu<f64> = MatRef::from_row_major_slice(a, m, n).partial_piv_lu();
    let (left, right) = (factors.L(), factors.U());
    if (0..k).any(|i| right[(i, i)] == 0.0 || !right[(i, i)].is_finite()) {
        // The library divides by the pivot that is missing.
        let (p, both) = eliminated(a, m, n);
        return (p, lower(&|i, j| both[i * n + j]), upper(&|i, j| both[i * n + j]));
    }
    let p = factors.P().arrays().0.iter().map(|&row| row as i64).collect();
    (p, lower(&|i, j| left[(i, j)]), upper(&|i, j| right[(i, j)]))
}

/// Elimination row by row, which skips a column without a pivot: the order of the rows, and both factors in one matrix.
fn eliminated(a: &[f64], m: usize, n: usize) -> (Vec<i64>, Vec<f64>) {
    let (mut rows, mut both): (Vec<i64>, Vec<f64>) = ((0..m as i64).collect(), a.to_vec());
    for j in 0..m.min(n) {
        let size = |both: &[f64], i: usize| both[i * n + j].abs();
        let best = (j..m).fold(j, |best, i| if size(&both, i) > size(&both, best) { i } else { best });
        if size(&both, best) == 0.0 {
            continue;
        }
        rows.swap(j, best);
        (0..n).for_each(|c| both.swap(j * n + c, best * n + c));
        for i in j + 1..m {
            let factor = both[i * n + j] / both[j * n + j];
            both[i * n + j] = factor;
            for c in j + 1..n {
                both[i * n + c] -= factor * both[j * n + c];
            }
        }
    }
    (rows, both)
}

/// The determinant of an `n` by `n` matrix in row-major order: the product of the pivots, which may overflow; 1 if n is 0.
///
/// # Panics
/// If `a` has not `n * n` elements.
pub fn det<T: Real>(a: &[T], n: usize) -> T {
    let (pivots, odd) = pivots(&wide(a), n);
    let product: f64 = pivots.into_iter().fold(1.0, |product, pivot| product * pivot);
    T::of(if odd { -product } else { product })
}

/// The sign of the determinant (-1, 0, 1) and the logarithm of its size; 0 and minus infinity for a singular matrix.
///
/// # Panics
/// If `a` has not `n * n` elements.
pub fn slogdet<T: Real>(a: &[T], n: usize) -> (T, T) {
    let (pivots, odd) = pivots(&wide(a), n);
    let (mut sign, mut log) = (if odd { -1.0 } else { 1.0 }, 0.0);
    for pivot in pivots {
        match pivot.partial_cmp(&0.0) {
            Some(Ordering::Less) => sign = -sign,
            Some(Ordering::Equal) => return (T::ZERO, T::of(f64::NEG_INFINITY)),
            Some(Ordering::Greater) => {}
            None => return (T::NAN, T::NAN),
        }
        log += log_f64(pivot.abs());
    }
    (T::of(sign), T::of(log))
}

/// The thin decomposition `a = q r` of an `m` by `n` matrix: with `k = min(m, n)`, `q` is `m` by `k` with orthonormal columns, `r` is
/// `k` by `n` and upper triangular with no negative diagonal element, all in row-major order.
///
/// A matrix with a NaN or an infinity gives NaN.
///
/// # Panics
/// If `a` has not `m * n` elements.
pub fn qr<T: Real>(a: &[T], m: usize, n: usize) -> (Vec<T>, Vec<T>) {
    let (q, r) = qr_f64(&wide(a), m, n);
    (narrow(&q), narrow(&r))
}

fn qr_f64(a: &[f64], m: usize, n: usize) -> (Vec<f64>, Vec<f64>) {
    assert_eq!(a.len(), m * n, "elements of a {m} by {n} matrix");
    let k = m.min(n);
    if !a.iter().all(|v| v.is_finite()) {
        return (vec![f64::NAN; m * k], vec![f64::NAN; k * n]);
    }
    faer::set_global_parallelism(Par::Seq);
    let factors = MatRef::from_row_major_slice(a, m, n).qr();
    let (mut q, upper) = (rows_of(factors.compute_thin_Q().as_ref()), factors.thin_R());
    let mut r: Vec<f64> = (0..k * n).map(|at| if at / n <= at % n { upper[(at / n, at % n)] } else { 0.0 }).collect();
    for i in 0..k {
        if r[i * n + i] < 0.0 {
            r[i * n + i..(i + 1) * n].iter_mut().for_each(|entry| *entry = -*entry);
            q.iter_mut().skip(i).step_by(k).for_each(|entry| *entry = -*entry);
        }
    }
    (q, r)
}

/// The eigenvalues, ascending, and orthonormal eigenvectors (columns of an `n` by `n` matrix in row-major order) of the symmetric
/// part of `a`. Signs are made unique as for the singular value decomposition. NaN for a matrix with a NaN or an infinity.
///
/// # Panics
/// If `a` has not `n * n` elements.
pub fn eigh<T: Real>(a: &[T], n: usize) -> (Vec<T>, Vec<T>) {
    let (values, vectors) = eigh_f64(&wide(a), n);
    (narrow(&values), narrow(&vectors))
}

fn eigh_f64(a: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    faer::set_global_parallelism(Par::Seq);
    let decomposed = symmetric_part(a, n).and_then(|matrix| matrix.self_adjoint_eigen(Side::Lower).ok());
    let Some(decomposed) = decomposed else { return (vec![f64::NAN; n], vec![f64::NAN; n * n]) };
    let values = decomposed.S().column_vector().iter().copied().collect();
    let mut vectors = rows_of(decomposed.U());
    for j in 0..n {
        if largest(&vectors, n, j) < 0.0 {
            vectors.iter_mut().skip(j).step_by(n).for_each(|entry| *entry = -*entry);
        }
    }
    (values, vectors)
}

/// The first entry of largest size in column `j` of a matrix with rows of `k`.
fn largest<T: Real>(matrix: &[T], k: usize, j: usize) -> T {
    let column = matrix.iter().skip(j).step_by(k);
    column.fold(T::ZERO, |largest, &entry| if entry.size() > largest.size() { entry } else { largest })
}

/// The elements in row-major order.
fn rows_of(matrix: MatRef<'_, f64>) -> Vec<f64> {
    let (rows, columns) = matrix.shape();
    (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))).map(|at| matrix[at]).collect()
}
