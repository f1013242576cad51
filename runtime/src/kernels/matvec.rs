//! Products with a vector, and dot products, in lanes like a sum over the last axes. Safety: see `kernels`.
//!
//! `out[j] = sum_k a[k] * b[k, j]`: lane l takes the products k = l, l + LANES, ... of a chunk of 4096 by fused
//! multiply-adds; lanes, then chunks, are combined by the pairwise tree. How many results go side by side depends on
//! the processor, the bits do not.

use super::simd::Simd;
use super::space::{Use, space};
use super::{MAX_LANES, Real, SUM_CHUNK, Tree, combine_lanes};
use std::mem::MaybeUninit;
use std::ptr;

/// The most neighbouring results computed together where the matrix is contiguous along the results.
const STRIP_MOST: usize = 128;
/// Levels of a tree over lanes, at most.
const MOST_LEVELS: usize = 6;
/// Dot products finished together where the matrix is contiguous along the sums.
const GROUP: usize = 8;

/// `out[j * step] = sum over k of a[k * a_step] * b[k * row + j * col]` for j < n.
#[derive(Clone, Copy)]
pub struct Problem<T> {
    pub k: usize,
    pub n: usize,
    pub a: *const T,
    pub a_step: isize,
    pub b: *const T,
    pub row: isize,
    pub col: isize,
    pub out: *mut T,
    pub step: isize,
}

/// `out[i * out_next] = sum over l of a[i * a_next + l] * b[i * b_next + l]` for i < count, l < k, with k at most one chunk.
#[derive(Clone, Copy)]
pub struct Pairs<T> {
    pub count: usize,
    pub k: usize,
    pub a: *const T,
    pub a_next: isize,
    pub b: *const T,
    pub b_next: isize,
    pub out: *mut T,
    pub out_next: isize,
}

/// Dot products of pairs of rows with vectors of one kind.
///
/// # Safety
/// As in `kernels`; as in `simd` for `S`.
#[inline(always)]
pub unsafe fn pairs<S: Simd>(p: Pairs<S::T>) {
    let mut first = 0;
    while first < p.count {
        let count = GROUP.min(p.count - first);
        let mut lanes = [S::T::ZERO; GROUP * GROUP];
        for d in 0..count {
            let i = (first + d) as isize;
            unsafe {
                let to = lanes.as_mut_ptr().add(d * S::SQUARE);
                rows::<S, 1>(p.k, p.a.offset(i * p.a_next), p.b.offset(i * p.b_next), 0, to);
            }
        }
        let mut sums = [S::T::ZERO; GROUP];
        unsafe { across::<S>(&lanes, &mut sums) };
        for (d, &sum) in sums.iter().enumerate().take(count) {
            unsafe { *p.out.offset((first + d) as isize * p.out_next) = sum };
        }
        first += count;
    }
}

/// Solves a problem with vectors of one kind.
///
/// # Safety
/// As in `kernels`; as in `simd` for `S`. `ROWS` divides `GROUP`; `WIDE` for 32 registers.
#[inline(always)]
pub unsafe fn with<S: Simd, const ROWS: usize, const WIDE: bool>(p: Problem<S::T>) {
    if p.row == 1 && p.a_step == 1 {
        return unsafe { contiguous_sums::<S, ROWS>(p) };
    }
    let mut done = 0;
    if p.col == 1 {
        macro_rules! strips {
            ($vectors:expr, $lanes:expr) => {
                while done + $vectors * S::WIDTH <= p.n {
                    unsafe { strip::<S, $vectors, $lanes>(p, done, $vectors * S::WIDTH) };
                    done += $vectors * S::WIDTH;
                }
            };
        }
        if const { WIDE } {
            strips!(8, 1);
            strips!(4, 2);
            strips!(2, 4);
            strips!(1, 8);
        } else {
            strips!(4, 1);
            strips!(2, 2);
            strips!(1, 4);
        }
        if done < p.n {
            unsafe { strip::<S, 1, 4>(p, done, p.n - done) };
        }
        return;
    }
    for j in 0..p.n as isize {
        unsafe { *p.out.offset(j * p.step) = dot_strided(p.k, p.a, p.a_step, p.b.offset(j * p.col), p.row) };
    }
}

/// The matrix is contiguous along the sums: `GROUP` dot products at a time.
#[inline(always)]
unsafe fn contiguous_sums<S: Simd, const ROWS: usize>(p: Problem<S::T>) {
    let mut j = 0;
    while j < p.n {
        let count = GROUP.min(p.n - j);
        let b = unsafe { p.b.offset(j as isize * p.col) };
        let mut sums = [S::T::ZERO; GROUP];
        if p.k <= SUM_CHUNK {
            unsafe { group::<S, ROWS>(p.k, count, p.a, b, p.col, &mut sums) };
        } else {
            let mut trees = [const { Tree::<S::T>::EMPTY }; GROUP];
            let mut start = 0;
            while start < p.k {
                let len = SUM_CHUNK.min(p.k - start);
                unsafe { group::<S, ROWS>(len, count, p.a.add(start), b.add(start), p.col, &mut sums) };
                for (tree, &sum) in trees.iter_mut().zip(&sums) {
                    tree.push(sum);
                }
                start += len;
            }
            for (sum, tree) in sums.iter_mut().zip(&trees) {
                *sum = tree.finish();
            }
        }
        for (d, &sum) in sums.iter().enumerate().take(count) {
            unsafe { *p.out.offset((j + d) as isize * p.step) = sum };
        }
        j += count;
    }
}

/// `count` dot products of one chunk: the lanes of each, then all trees side by side.
#[inline(always)]
unsafe fn group<S: Simd, const ROWS: usize>(
    k: usize,
    count: usize,
    a: *const S::T,
    b: *const S::T,
    col: isize,
    sums: &mut [S::T; GROUP],
) {
    // What is left of each row's lanes when a square's side is left, row after row.
    let mut lanes = [S::T::ZERO; GROUP * GROUP];
    let mut d = 0;
    while d < count {
        let (b, to) = unsafe { (b.offset(d as isize * col), lanes.as_mut_ptr().add(d * S::SQUARE)) };
        if d + ROWS <= count {
            unsafe { rows::<S, ROWS>(k, a, b, col, to) };
            d += ROWS;
        } else {
            unsafe { rows::<S, 1>(k, a, b, col, to) };
            d += 1;
        }
    }
    unsafe { across::<S>(&lanes, sums) };
}

/// The last levels of the trees, of several rows at once.
#[inline(always)]
unsafe fn across<S: Simd>(lanes: &[S::T; GROUP * GROUP], sums: &mut [S::T; GROUP]) {
    for d in (0..GROUP).step_by(S::SQUARE) {
        unsafe { S::halve(lanes.as_ptr().add(d * S::SQUARE), sums.as_mut_ptr().add(d)) };
    }
}

/// The lanes of `R` dot products, in registers, and the first levels of their trees; what is left goes to `to`, one
/// row after the other.
#[inline(always)]
unsafe fn rows<S: Simd, const R: usize>(k: usize, a: *const S::T, b: *const S::T, col: isize, to: *mut S::T) {
    /// Vectors that hold the lanes, at most.
    const MOST: usize = 8;
    let vectors = S::T::LANES / S::WIDTH;
    unsafe {
        let mut acc = [[S::splat(S::T::ZERO); MOST]; R];
        let whole = k - k % S::T::LANES;
        let mut start = 0;
        while start < whole {
            for v in 0..vectors {
                let x = S::load(a.add(start + v * S::WIDTH));
                for d in 0..R {
                    let y = S::load(b.offset(d as isize * col).add(start + v * S::WIDTH));
                    acc[d][v] = x.fma(y, acc[d][v]);
                }
            }
            start += S::T::LANES;
        }
        for v in 0..vectors {
            let at = whole + v * S::WIDTH;
            if at < k {
                // Lanes beyond the end keep their sums, even a zero's sign.
                let n = S::WIDTH.min(k - at);
                let x = S::load_some(a.add(at), n);
                for d in 0..R {
                    let y = S::load_some(b.offset(d as isize * col).add(at), n);
                    acc[d][v] = x.fma(y, acc[d][v]).first(n, acc[d][v]);
                }
            }
        }
        for d in 0..R {
            let mut left = vectors;
            while left > 1 {
                left /= 2;
                for v in 0..left {
                    acc[d][v] = acc[d][v].add(acc[d][v + left]);
                }
            }
            acc[d][0].fold(to.add(d * S::SQUARE));
        }
    }
}

/// The matrix is contiguous along the results: `V` vectors of them, of which the first `w` are wanted.
#[inline(always)]
unsafe fn strip<S: Simd, const V: usize, const L: usize>(p: Problem<S::T>, from: usize, w: usize) {
    let b = unsafe { p.b.add(from) };
    let whole = w == V * S::WIDTH;
    if whole && p.step == 1 && p.k <= SUM_CHUNK {
        return unsafe { strip_chunk::<S, V, L, false>(p.k, p.a, p.a_step, b, p.row, w, p.out.add(from)) };
    }
    let mut sums = [S::T::ZERO; STRIP_MOST];
    // Not on the stack: a large frame would cost every call.
    let trees = if p.k > SUM_CHUNK { space::<Tree<S::T>>(Use::Panels, w) } else { ptr::null_mut() };
    let mut start = 0;
    loop {
        let (len, at) = (SUM_CHUNK.min(p.k - start), start as isize);
        unsafe {
            let (a, b, to) = (p.a.offset(at * p.a_step), b.offset(at * p.row), sums.as_mut_ptr());
            if whole {
                strip_chunk::<S, V, L, false>(len, a, p.a_step, b, p.row, w, to);
            } else {
                strip_chunk::<S, V, L, true>(len, a, p.a_step, b, p.row, w, to);
            }
            if p.k <= SUM_CHUNK {
                break;
            }
            for (j, sum) in sums[..w].iter_mut().enumerate() {
                let tree = trees.add(j);
                if start == 0 {
                    tree.write(Tree::EMPTY);
                }
                (*tree).push(*sum);
                if start + len == p.k {
                    *sum = (*tree).finish();
                }
            }
        }
        start += len;
        if start == p.k {
            break;
        }
    }
    for (j, &sum) in sums[..w].iter().enumerate() {
        unsafe { *p.out.offset((from + j) as isize * p.step) = sum };
    }
}

/// The part of one chunk. Lanes go through registers in blocks: `L` side by side, whose rows lie side by side in memory, with the
/// `L` that the first level of the tree adds to them. Blocks follow each other as the tree combines them, so that it is
/// done while the next rows come.
#[inline(always)]
unsafe fn strip_chunk<S: Simd, const V: usize, const L: usize, const SOME: bool>(
    len: usize,
    a: *const S::T,
    a_step: isize,
    b: *const S::T,
    row: isize,
    w: usize,
    to: *mut S::T,
) {
    unsafe {
        let zero = S::splat(S::T::ZERO);
        let half = S::T::LANES / 2;
        let blocks = half / L;
        let whole = len - len % S::T::LANES;
        // Of blocks that the tree has not combined yet, as in `Tree`; each is written before it is read.
        let mut parts = [const { MaybeUninit::<[[S; V]; L]>::uninit() }; MOST_LEVELS];
        for block in 0..blocks {
            let lane = L * reversed(block, blocks);
            let mut acc = [[[zero; V]; L]; 2];
            macro_rules! add {
                ($h:expr, $d:expr, $i:expr) => {
                    let x = S::splat(*a.offset($i as isize * a_step));
                    let line = b.offset($i as isize * row);
                    for v in 0..V {
                        let y = if SOME { S::load_some(line, w) } else { S::load(line.add(v * S::WIDTH)) };
                        acc[$h][$d][v] = x.fma(y, acc[$h][$d][v]);
                    }
                };
            }
            let mut i = lane;
            while i < whole {
                for h in 0..2 {
                    for d in 0..L {
                        add!(h, d, i + h * half + d);
                    }
                }
                i += S::T::LANES;
            }
            for h in 0..2 {
                for d in 0..L {
                    if i + h * half + d < len {
                        add!(h, d, i + h * half + d);
                    }
                }
            }
            let mut sum = acc[0];
            for d in 0..L {
                for v in 0..V {
                    sum[d][v] = acc[0][d][v].add(acc[1][d][v]);
                }
            }
            let level = block.trailing_ones() as usize;
            for part in parts[..level].iter() {
                let part = part.assume_init_ref();
                for d in 0..L {
                    for v in 0..V {
                        sum[d][v] = part[d][v].add(sum[d][v]);
                    }
                }
            }
            parts[level].write(sum);
        }
        let mut sum = parts[blocks.trailing_zeros() as usize].assume_init();
        let mut width = L;
        while width > 1 {
            width /= 2;
            for d in 0..width {
                for v in 0..V {
                    sum[d][v] = sum[d][v].add(sum[d + width][v]);
                }
            }
        }
        for v in 0..V {
            sum[0][v].store(to.add(v * S::WIDTH));
        }
    }
}

/// The number with the bits of `i` in reversed order, below `count`, a power of two: the order in which a tree that adds the upper
/// half to the lower one is done with its leaves.
fn reversed(i: usize, count: usize) -> usize {
    if count == 1 { 0 } else { i.reverse_bits() >> (usize::BITS - count.trailing_zeros()) }
}

/// Any strides.
#[inline(always)]
unsafe fn dot_strided<T: Real>(k: usize, a: *const T, a_step: isize, b: *const T, b_step: isize) -> T {
    let mut tree = Tree::EMPTY;
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
