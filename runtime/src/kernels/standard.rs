//! Kernels on row-major arrays without gaps: random draws, decompositions, solutions. Safety: see `kernels`.

use crate::fault::FaultKind;
use crate::linalg::{self, Real};
use crate::random;
use std::mem::MaybeUninit;

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
    for_keys(keys, n, out, random::split_into);
}

/// A permutation of `0..n` for each key, with scratch memory for `n` words.
pub fn permutations(keys: &[u64], n: usize, out: &mut [i64], words: &mut [u64]) {
    if n == 0 {
        return;
    }
    for (&key, part) in keys.iter().zip(out.chunks_exact_mut(n)) {
        random::permutation_into(key, part, words);
    }
}

/// Keys named by a key and an integer.
pub fn fold_in(keys: &[u64], ints: &[i64], out: &mut [u64]) {
    for ((out, &key), &int) in out.iter_mut().zip(keys).zip(ints) {
        *out = random::fold_in(key, int as u64);
    }
}

/// Thin decompositions of `count` matrices, one after the other.
pub fn svd<T: Real>(
    (count, m, n): (usize, usize, usize),
    a: &[T],
    (u, s, v): (&mut [T], &mut [T], &mut [T]),
    room: &mut [MaybeUninit<u8>],
) {
    let k = m.min(n);
    for i in 0..count {
        let u = &mut u[i * m * k..(i + 1) * m * k];
        let v = &mut v[i * n * k..(i + 1) * n * k];
        linalg::svd_into((m, n), &a[i * m * n..(i + 1) * m * n], (u, &mut s[i * k..(i + 1) * k], v), room);
    }
}

/// Solutions of `count` systems, one after the other.
pub fn solve<T: Real>(
    (count, n, p): (usize, usize, usize),
    a: &[T],
    b: &[T],
    x: &mut [T],
    room: &mut [MaybeUninit<u8>],
) -> Result<(), FaultKind> {
    for i in 0..count {
        let part = i * n * p..(i + 1) * n * p;
        linalg::solve_into((n, p), &a[i * n * n..(i + 1) * n * n], &b[part.clone()], &mut x[part], room)?;
    }
    Ok(())
}
