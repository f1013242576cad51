//! Matrix products. Safety: see `kernels`.
//!
//! With more than one row and column: each element sums over k in blocks of 512, a block being one chain of
//! fused multiply-adds from +0 in ascending k, and adds the blocks in order (`gemm`). With one row or one column:
//! `matvec`. An operand that many products share can be packed once (`turn`, `pack`, `product_packed`). Large products go to several threads by columns or rows, which changes no element.

use super::gemm::{self, Right};
use super::level::Level;
use super::matvec::Problem;
use super::{DOT_BLOCK, Real};
use crate::pool;

/// Products of at least so many multiply-adds, some 100 microseconds of work, go to several threads.
pub const LARGE: usize = 4 << 20;
/// The same for products with a vector, which wait for memory.
const LARGE_VECTOR: usize = 2 << 20;
/// Columns or rows are dealt out in multiples of this.
const DEAL: usize = 64;

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

/// Pointers that several threads use, each for elements of its own.
#[derive(Clone, Copy)]
struct Shared<T>(T);

// The parts of a product write different elements, and nobody writes the operands.
unsafe impl<T> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    fn get(&self) -> T {
        self.0
    }
}

/// `c = a b` with `a: [m, k]`, `b: [k, n]`.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn product<T: Real>(m: usize, k: usize, n: usize, a: Matrix<T>, b: Matrix<T>, c: MatrixMut<T>) {
    unsafe { product_at(Level::best(), (m, k, n), a, b, c) }
}

/// The same with instructions of a level, which the processor has.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn product_at<T: Real>(
    level: Level,
    (m, k, n): (usize, usize, usize),
    a: Matrix<T>,
    b: Matrix<T>,
    c: MatrixMut<T>,
) {
    if m == 0 || n == 0 {
        return;
    }
    if m == 1 {
        let p = Problem { k, n, a: a.at, a_step: a.col, b: b.at, row: b.row, col: b.col, out: c.at, step: c.col };
        return unsafe { vector_matrix(level, p) };
    }
    if n == 1 {
        let p = Problem { k, n: m, a: b.at, a_step: b.row, b: a.at, row: a.col, col: a.row, out: c.at, step: c.row };
        return unsafe { vector_matrix(level, p) };
    }
    if k == 0 {
        return unsafe { super::copy::fill(&[m, n], c.at, &[c.row, c.col], T::ZERO) };
    }
    let ((m, n), (a, b, c)) =
        if turn((m, n), (c.row, c.col)) { ((n, m), turned(a, b, c)) } else { ((m, n), (a, b, c)) };
    unsafe { matrices(level, (m, k, n), a, Right::Plain(b), c) };
}

/// True if a product with a result of `m` rows and `n` columns, with these steps between rows and between columns, is done
/// as the transposed one: where the rows of the result are contiguous, or where columns are very few. Columns go side by
/// side, so the right operand of what is done is the one that may be packed.
pub fn turn((m, n): (usize, usize), (row, col): (isize, isize)) -> bool {
    (if col == 1 || row == 1 { col != 1 } else { n < m }) || (n < 4 && m > 4 * n)
}

/// The elements of a packed operand with `k` rows and `n` columns, at any level.
pub fn packed_len(element: usize, k: usize, n: usize) -> usize {
    k * padded(element, n)
}

/// Columns with those that fill the last panel, the widest that there is.
fn padded(element: usize, n: usize) -> usize {
    n.next_multiple_of(gemm::VECTORS * Level::Avx512.bytes() / element)
}

/// Packs the right operand of products: `packed_len` elements, block after block of k.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn pack<T: Real>(level: Level, (k, n): (usize, usize), b: Matrix<T>, packed: *mut T) {
    for start in (0..k).step_by(DOT_BLOCK) {
        let b = Matrix { at: b.at.wrapping_offset(start as isize * b.row), ..b };
        unsafe { T::pack(level, DOT_BLOCK.min(k - start), n, b, packed.add(start * padded(size_of::<T>(), n))) };
    }
}

/// `c = a b` with `b` as `pack` at the same level left it. No size is 0, and neither `m` nor `n` is 1.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn product_packed<T: Real>(
    level: Level,
    sizes: (usize, usize, usize),
    a: Matrix<T>,
    packed: *const T,
    c: MatrixMut<T>,
) {
    unsafe { matrices(level, sizes, a, Right::Packed { panels: packed, first: 0 }, c) };
}

/// True if several threads work on a product.
pub fn is_dealt(m: usize, k: usize, n: usize) -> bool {
    m * k * n >= LARGE && pool::threads() > 1
}

/// The most rows of a product that are made at a time, if they are not short.
pub const MOST_ROWS: usize = 72;

/// How many rows of a product to make at a time, where each is wanted in the first cache afterwards: whole tiles, and more
/// of them if rows are short, or if the packed operand has to come from far away each time.
pub fn rows_at_once(level: Level, element: usize, k: usize, n: usize) -> usize {
    const SHORT: usize = 2048;
    let tile = match level {
        Level::Avx512 => 8,
        Level::Avx2 => 6,
        Level::Plain => 4,
    };
    let far = packed_len(element, k, n) * element > gemm::PACKED;
    let least = if far { MOST_ROWS - tile } else { SHORT.div_ceil(n) };
    least.next_multiple_of(tile)
}

/// A product of matrices, dealt out to threads if it is large.
unsafe fn matrices<T: Real>(
    level: Level,
    (m, k, n): (usize, usize, usize),
    a: Matrix<T>,
    b: Right<T>,
    c: MatrixMut<T>,
) {
    let columns = n >= m;
    let (shared, all) = (Shared((a, b, c)), padded(size_of::<T>(), n));
    deal(m * k * n >= LARGE, if columns { n } else { m }, &|from, to| {
        let (a, b, c) = shared.get();
        let (rows, cols) = if columns { ((0, m), (from, to)) } else { ((from, to), (0, n)) };
        unsafe {
            let a = Matrix { at: a.at.offset(rows.0 as isize * a.row), ..a };
            let b = match b {
                Right::Plain(b) => Right::Plain(Matrix { at: b.at.offset(cols.0 as isize * b.col), ..b }),
                Right::Packed { panels, .. } => Right::Packed { panels, first: cols.0 },
            };
            let c = MatrixMut { at: c.at.offset(rows.0 as isize * c.row + cols.0 as isize * c.col), ..c };
            blocks(level, (rows.1 - rows.0, k, cols.1 - cols.0), a, b, c, all);
        }
    });
}

/// The transposed product.
fn turned<T>(a: Matrix<T>, b: Matrix<T>, c: MatrixMut<T>) -> (Matrix<T>, Matrix<T>, MatrixMut<T>) {
    (
        Matrix { at: b.at, row: b.col, col: b.row },
        Matrix { at: a.at, row: a.col, col: a.row },
        MatrixMut { at: c.at, row: c.col, col: c.row },
    )
}

/// Calls `work` with ranges that together are `0..count`: several, on several threads, if the work is `large`.
fn deal(large: bool, count: usize, work: &(dyn Fn(usize, usize) + Sync)) {
    let threads = if large { pool::threads() } else { 1 };
    if threads == 1 {
        return work(0, count);
    }
    let each = count.div_ceil(threads).next_multiple_of(DEAL);
    pool::each(count.div_ceil(each), &|part| work(part * each, count.min((part + 1) * each)));
}

unsafe fn vector_matrix<T: Real>(level: Level, p: Problem<T>) {
    let shared = Shared(p);
    deal(p.k.saturating_mul(p.n) >= LARGE_VECTOR, p.n, &|from, to| {
        let p = shared.get();
        unsafe {
            let (b, out) = (p.b.offset(from as isize * p.col), p.out.offset(from as isize * p.step));
            T::vector_matrix(level, Problem { n: to - from, b, out, ..p });
        }
    });
}

/// Block after block of k. Blocks of a packed operand have `all` columns.
unsafe fn blocks<T: Real>(
    level: Level,
    (m, k, n): (usize, usize, usize),
    a: Matrix<T>,
    b: Right<T>,
    c: MatrixMut<T>,
    all: usize,
) {
    for start in (0..k).step_by(DOT_BLOCK) {
        let shift = start as isize;
        unsafe {
            let a = Matrix { at: a.at.offset(shift * a.col), ..a };
            let b = match b {
                Right::Plain(b) => Right::Plain(Matrix { at: b.at.offset(shift * b.row), ..b }),
                Right::Packed { panels, first } => Right::Packed { panels: panels.add(start * all), first },
            };
            T::block(level, (m, DOT_BLOCK.min(k - start), n), a, b, c, start > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::matvec::Pairs;

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

    /// The same with the right operand packed beforehand, where a product is not one with a vector.
    unsafe fn packed_at<T: Real>(
        level: Level,
        (m, k, n): (usize, usize, usize),
        a: Matrix<T>,
        b: Matrix<T>,
        c: MatrixMut<T>,
    ) {
        if m == 1 || n == 1 || k == 0 {
            return unsafe { product_at(level, (m, k, n), a, b, c) };
        }
        let ((m, n), (a, b, c)) =
            if turn((m, n), (c.row, c.col)) { ((n, m), turned(a, b, c)) } else { ((m, n), (a, b, c)) };
        let mut packed = vec![T::ZERO; packed_len(size_of::<T>(), k, n)];
        unsafe {
            pack(level, (k, n), b, packed.as_mut_ptr());
            product_packed(level, (m, k, n), a, packed.as_ptr(), c);
        }
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
            (70, 600, 70),
            (1, 45, 131),
            (131, 45, 1),
            (1, 4100, 37),
            (1, 4130, 203),
            (1, 20, 190),
            (13, 30, 3),
            (3, 30, 13),
        ];
        for (case, &(m, k, n)) in sizes.iter().enumerate() {
            let a: Vec<T> = numbers(m * k, case as u64).into_iter().map(&from).collect();
            let b: Vec<T> = numbers(k * n, 100 + case as u64).into_iter().map(&from).collect();
            for layout in 0..16 {
                let (a_rows, b_rows, c_rows) = (layout & 2 == 0, layout & 4 == 0, layout & 8 == 0);
                let strides = |rows: bool, r: usize, c: usize| if rows { (c as isize, 1) } else { (1, r as isize) };
                let (ar, ac) = strides(a_rows, m, k);
                let (br, bc) = strides(b_rows, k, n);
                let (cr, cc) = strides(c_rows, m, n);
                let at = |r: isize, c: isize| move |i: usize, j: usize| (i as isize * r + j as isize * c) as usize;
                let (ia, ib, ic) = (at(ar, ac), at(br, bc), at(cr, cc));
                let right = want(m, k, n, |i, p| a[ia(i, p)], |p, j| b[ib(p, j)]);
                for level in Level::all() {
                    let mut c = vec![from(f64::NAN); m * n];
                    let left = Matrix { at: a.as_ptr(), row: ar, col: ac };
                    let to = MatrixMut { at: c.as_mut_ptr(), row: cr, col: cc };
                    let factor = Matrix { at: b.as_ptr(), row: br, col: bc };
                    if layout % 2 == 0 {
                        unsafe { product_at(level, (m, k, n), left, factor, to) };
                    } else {
                        unsafe { packed_at(level, (m, k, n), left, factor, to) };
                    }
                    for i in 0..m {
                        for j in 0..n {
                            let (got, want) = (c[ic(i, j)], right[i * n + j]);
                            let what = || format!("{level:?} {m}x{k}x{n} layout {layout} at {i},{j}: {got:?} {want:?}");
                            assert_eq!(bits(got), bits(want), "{}", what());
                        }
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

    fn check_pairs<T: Real + std::fmt::Debug>(from: impl Fn(f64) -> T, bits: impl Fn(T) -> u64) {
        for (case, k) in [0, 1, 7, 8, 16, 31, 32, 33, 100, 4096].into_iter().enumerate() {
            for count in [1, 3, 8, 21] {
                let a: Vec<T> = numbers(count * (k + 2), case as u64).into_iter().map(&from).collect();
                let b: Vec<T> = numbers(k * count, 77 + case as u64).into_iter().map(&from).collect();
                for level in Level::all() {
                    let mut out = vec![from(f64::NAN); 2 * count];
                    let pairs = Pairs {
                        count,
                        k,
                        a: a.as_ptr(),
                        a_next: k as isize + 2,
                        b: b.as_ptr(),
                        b_next: k as isize,
                        out: out.as_mut_ptr(),
                        out_next: 2,
                    };
                    unsafe { T::pairs(level, pairs) };
                    for i in 0..count {
                        let exact = want(1, k, 1, |_, p| a[i * (k + 2) + p], |p, _| b[i * k + p])[0];
                        assert_eq!(bits(out[2 * i]), bits(exact), "{level:?}, {k} elements, pair {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn pairs_follow_the_definition_of_a_product() {
        check_pairs(|v| v as f32, |v: f32| u64::from(v.to_bits()));
        check_pairs(|v| v, f64::to_bits);
    }

    /// Threads, whole and in part: each element is a function of its row and column alone.
    #[test]
    fn large_products_on_several_threads_follow_the_definition() {
        for (m, k, n) in [(130, 520, 130), (1, 700, 3100), (200, 40, 530)] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let mut c = vec![f64::NAN; m * n];
            assert!(m * k * n >= LARGE_VECTOR);
            let left = Matrix { at: a.as_ptr(), row: k as isize, col: 1 };
            let right = Matrix { at: b.as_ptr(), row: n as isize, col: 1 };
            unsafe { product(m, k, n, left, right, MatrixMut { at: c.as_mut_ptr(), row: n as isize, col: 1 }) };
            let exact = want(m, k, n, |i, p| a[i * k + p], |p, j| b[p * n + j]);
            let again = c.clone();
            let to = MatrixMut { at: c.as_mut_ptr(), row: n as isize, col: 1 };
            unsafe { packed_at(Level::best(), (m, k, n), left, right, to) };
            assert!(c.iter().zip(&again).all(|(one, other)| one.to_bits() == other.to_bits()), "{m}x{k}x{n} packed");
            assert!(c.iter().zip(&exact).all(|(got, want)| got.to_bits() == want.to_bits()), "{m}x{k}x{n}");
        }
    }
}
