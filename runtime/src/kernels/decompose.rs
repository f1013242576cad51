//! Decompositions of many matrices, one after the other, on row-major arrays without gaps.

use crate::fault::FaultKind;
use crate::linalg::spectral::{Spectral, quotients};
use crate::linalg::{self, Real};
use std::mem::MaybeUninit;

/// The parts of `out` for each of `count` matrices, of `each` elements.
fn part<T>(out: &mut [T], i: usize, each: usize) -> &mut [T] {
    &mut out[i * each..(i + 1) * each]
}

/// `linalg::singular_values_into` of `count` matrices `m` by `n`.
pub fn singular_values<T: Real>(
    (count, m, n): (usize, usize, usize),
    a: &[T],
    s: &mut [T],
    room: &mut [MaybeUninit<u8>],
) {
    for i in 0..count {
        let matrix = &a[i * m * n..(i + 1) * m * n];
        linalg::singular_values_into((m, n), matrix, part(s, i, m.min(n)), room);
    }
}

/// `linalg::cholesky` of `count` matrices `n` by `n`.
///
/// # Errors
/// Those of the first matrix that has none.
pub fn cholesky<T: Real>((count, n): (usize, usize), a: &[T], l: &mut [T]) -> Result<(), FaultKind> {
    for i in 0..count {
        part(l, i, n * n).copy_from_slice(&linalg::cholesky(&a[i * n * n..(i + 1) * n * n], n)?);
    }
    Ok(())
}

/// `linalg::triangular_solve` of `count` systems `n` by `n` with `p` right sides.
///
/// # Errors
/// Those of the first system that has no solution.
pub fn triangular_solve<T: Real>(
    lower: bool,
    (count, n, p): (usize, usize, usize),
    t: &[T],
    b: &[T],
    x: &mut [T],
) -> Result<(), FaultKind> {
    for i in 0..count {
        let (matrix, right) = (&t[i * n * n..(i + 1) * n * n], &b[i * n * p..(i + 1) * n * p]);
        part(x, i, n * p).copy_from_slice(&linalg::triangular_solve(lower, matrix, right, n, p)?);
    }
    Ok(())
}

/// `linalg::det` of `count` matrices `n` by `n`.
pub fn det<T: Real>((count, n): (usize, usize), a: &[T], out: &mut [T]) {
    for i in 0..count {
        out[i] = linalg::det(&a[i * n * n..(i + 1) * n * n], n);
    }
}

/// `linalg::slogdet` of `count` matrices `n` by `n`.
pub fn slogdet<T: Real>((count, n): (usize, usize), a: &[T], signs: &mut [T], logs: &mut [T]) {
    for i in 0..count {
        (signs[i], logs[i]) = linalg::slogdet(&a[i * n * n..(i + 1) * n * n], n);
    }
}

/// `linalg::qr` of `count` matrices `m` by `n`.
pub fn qr<T: Real>((count, m, n): (usize, usize, usize), a: &[T], q: &mut [T], r: &mut [T]) {
    let k = m.min(n);
    for i in 0..count {
        let (left, right) = linalg::qr(&a[i * m * n..(i + 1) * m * n], m, n);
        part(q, i, m * k).copy_from_slice(&left);
        part(r, i, k * n).copy_from_slice(&right);
    }
}

/// `linalg::lu` of `count` matrices `m` by `n`.
pub fn lu<T: Real>((count, m, n): (usize, usize, usize), a: &[T], p: &mut [i64], l: &mut [T], u: &mut [T]) {
    let k = m.min(n);
    for i in 0..count {
        let (rows, left, right) = linalg::lu(&a[i * m * n..(i + 1) * m * n], m, n);
        part(p, i, m).copy_from_slice(&rows);
        part(l, i, m * k).copy_from_slice(&left);
        part(u, i, k * n).copy_from_slice(&right);
    }
}

/// `linalg::eigh` of `count` matrices `n` by `n`.
pub fn eigh<T: Real>((count, n): (usize, usize), a: &[T], values: &mut [T], vectors: &mut [T]) {
    for i in 0..count {
        let (w, v) = linalg::eigh(&a[i * n * n..(i + 1) * n * n], n);
        part(values, i, n).copy_from_slice(&w);
        part(vectors, i, n * n).copy_from_slice(&v);
    }
}

/// `spectral::quotients` of `count` matrices with `rows` rows of `k`.
///
/// # Errors
/// Those of the first matrix that has some.
pub fn spectral_quotients<T: Real>(
    by: Spectral,
    (count, rows, k): (usize, usize, usize),
    values: &[T],
    x: &[T],
    out: &mut [T],
) -> Result<(), FaultKind> {
    for i in 0..count {
        let matrix = &x[i * rows * k..(i + 1) * rows * k];
        quotients(by, &values[i * k..(i + 1) * k], matrix, part(out, i, rows * k))?;
    }
    Ok(())
}
