//! Decompositions, through `faer`, on one thread: their order of operations depends on the shape alone.
//!
//! Work is done in memory of the caller; nothing is allocated.
//!
//! On one kind of processor the bits are always the same; between kinds they agree to rounding.

use crate::fault::FaultKind;
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::lu::partial_pivoting::{self as lu, factor};
use faer::linalg::svd::{self, ComputeSvdVectors};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::reborrow::ReborrowMut;
use faer::traits::RealField;
use faer::{MatRef, Par};
use std::mem::MaybeUninit;

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
pub trait Real: RealField + Copy + PartialOrd + std::ops::Neg<Output = Self> {
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

/// Bytes of scratch memory for `svd_into`, at any alignment.
pub fn svd_room<T: Real>(m: usize, n: usize) -> usize {
    let k = m.min(n);
    let thin = ComputeSvdVectors::Thin;
    let work = svd::svd_scratch::<T>(m, n, thin, thin, Par::Seq, Default::default());
    let parts = [(m, k), (n, k), (k, 1)].map(|(rows, columns)| temp_mat_scratch::<T>(rows, columns));
    room_of(StackReq::all_of(&parts).and(work))
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
