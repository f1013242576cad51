//! Kernels on row-major arrays without gaps: random draws, decompositions, solutions. Safety: see `kernels`.

use crate::fault::FaultKind;
use crate::linalg;
use crate::random;

/// A slice of `len` elements; of none for a length of 0, whatever the pointer.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn slice<'a, T>(at: *const u8, len: usize) -> &'a [T] {
    if len == 0 {
        return &[];
    }
    unsafe { std::slice::from_raw_parts(at as *const T, len) }
}

/// The same, to write to. The elements may be uninitialized memory that holds any bits: all kinds are plain numbers.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn slice_mut<'a, T>(at: *mut u8, len: usize) -> &'a mut [T] {
    if len == 0 {
        return &mut [];
    }
    unsafe { std::slice::from_raw_parts_mut(at as *mut T, len) }
}

/// Calls `draw` with each key and its `each` elements of the output.
pub fn for_keys<T>(keys: &[u64], each: usize, out: &mut [T], draw: impl Fn(u64, &mut [T])) {
    if each == 0 {
        return;
    }
    for (&key, part) in keys.iter().zip(out.chunks_exact_mut(each)) {
        draw(key, part);
    }
}

/// `n` keys for each key.
pub fn split(keys: &[u64], n: usize, out: &mut [u64]) {
    for_keys(keys, n, out, |key, part| part.copy_from_slice(&random::split(key, n)));
}

/// A permutation of `0..n` for each key.
pub fn permutations(keys: &[u64], n: usize, out: &mut [i64]) {
    for_keys(keys, n, out, |key, part| part.copy_from_slice(&random::permutation(key, n)));
}

/// Keys named by a key and an integer.
pub fn fold_in(keys: &[u64], ints: &[i64], out: &mut [u64]) {
    for ((out, &key), &int) in out.iter_mut().zip(keys).zip(ints) {
        *out = random::fold_in(key, int as u64);
    }
}

/// An element kind with its decompositions.
pub trait Decompose: Copy {
    /// `linalg::svd_*`.
    fn svd(a: &[Self], m: usize, n: usize) -> (Vec<Self>, Vec<Self>, Vec<Self>);
    /// `linalg::solve_*`.
    fn solve(a: &[Self], b: &[Self], n: usize, p: usize) -> Result<Vec<Self>, FaultKind>;
}

impl Decompose for f32 {
    fn svd(a: &[f32], m: usize, n: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        linalg::svd_f32(a, m, n)
    }
    fn solve(a: &[f32], b: &[f32], n: usize, p: usize) -> Result<Vec<f32>, FaultKind> {
        linalg::solve_f32(a, b, n, p)
    }
}

impl Decompose for f64 {
    fn svd(a: &[f64], m: usize, n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        linalg::svd_f64(a, m, n)
    }
    fn solve(a: &[f64], b: &[f64], n: usize, p: usize) -> Result<Vec<f64>, FaultKind> {
        linalg::solve_f64(a, b, n, p)
    }
}

/// Thin decompositions of `count` matrices, one after the other.
pub fn svd<T: Decompose>((count, m, n): (usize, usize, usize), a: &[T], u: &mut [T], s: &mut [T], v: &mut [T]) {
    let k = m.min(n);
    for i in 0..count {
        let (left, values, right) = T::svd(&a[i * m * n..(i + 1) * m * n], m, n);
        u[i * m * k..(i + 1) * m * k].copy_from_slice(&left);
        s[i * k..(i + 1) * k].copy_from_slice(&values);
        v[i * n * k..(i + 1) * n * k].copy_from_slice(&right);
    }
}

/// Solutions of `count` systems, one after the other.
pub fn solve<T: Decompose>(
    (count, n, p): (usize, usize, usize),
    a: &[T],
    b: &[T],
    x: &mut [T],
) -> Result<(), FaultKind> {
    for i in 0..count {
        let part = i * n * p..(i + 1) * n * p;
        let solution = T::solve(&a[i * n * n..(i + 1) * n * n], &b[part.clone()], n, p)?;
        x[part].copy_from_slice(&solution);
    }
    Ok(())
}
