//! One block of k of a matrix product, in tiles that stay in registers. Safety: see `kernels`.
//!
//! Each element is one chain of fused multiply-adds from +0 in ascending k, whatever the tiling, the layout and the
//! number of threads: tiles only choose which elements go side by side. Columns of the right operand are packed
//! into panels as wide as a tile, which stay in the second cache while the rows of the left operand pass by (Goto
//! and van de Geijn 2008).

use super::Real;
use super::dot::{Matrix, MatrixMut};
use super::simd::Simd;
use super::space::{Use, space};

/// Vectors side by side in a tile.
pub const VECTORS: usize = 2;
/// The most rows of a tile.
pub const ROWS: usize = 8;
/// The most columns of a tile, of any kind.
const LINE: usize = 32;
/// Bytes of packed panels at a time.
pub const PACKED: usize = 512 << 10;
/// The right operand of products with at most so many rows is not packed: it is used too seldom.
const FEW: usize = 16;

/// The right operand of a product.
#[derive(Clone, Copy, Debug)]
pub enum Right<T> {
    Plain(Matrix<T>),
    /// Panels as `pack` writes them, of which the product takes columns from `first` on, a multiple of a panel's width.
    Packed {
        panels: *const T,
        first: usize,
    },
}

/// True if the product of a matrix with `m` rows packs its right operand, whose rows have steps of `col` between elements.
pub fn packs(m: usize, col: isize) -> bool {
    col != 1 || m > FEW
}

/// `c = a b`, or `c += a b` if `add`, with `a: [m, k]`, `b: [k, n]`, none of them empty and `k` at most one block.
///
/// # Safety
/// As in `kernels`; as in `simd` for `S`. `M` is at most `ROWS`. Panels were packed by the same `S`.
#[inline(always)]
pub unsafe fn block<S: Simd, const M: usize>(
    (m, k, n): (usize, usize, usize),
    a: Matrix<S::T>,
    b: Right<S::T>,
    c: MatrixMut<S::T>,
    add: bool,
) {
    let wide = VECTORS * S::WIDTH;
    let columns = (PACKED / size_of::<S::T>() / k / wide).max(1) * wide;
    let own = match b {
        Right::Plain(_) => k * columns.min(n.next_multiple_of(wide)),
        Right::Packed { .. } => 0,
    };
    // Besides the panels: the rows of the left operand, where they are not contiguous. Nothing here is called again
    // while the memory is in use, so it does not move. (No closure around the rest: it would not be compiled for the
    // instructions of its function.)
    let room = space::<S::T>(Use::Panels, own + k * ROWS + wide);
    unsafe {
        let (rows_at, space) = (room, room.add((k * ROWS).next_multiple_of(S::WIDTH)));
        let mut j0 = 0;
        while j0 < n {
            let width = columns.min(n - j0);
            // The panels, and how many columns are read where they are instead.
            let (panels, right, whole) = match b {
                Right::Packed { panels, first } => {
                    (panels.add(k * (first + j0)), Matrix { at: panels, row: 0, col: 0 }, 0)
                }
                Right::Plain(b) => {
                    let right = Matrix { at: b.at.offset(j0 as isize * b.col), ..b };
                    let whole = if packs(m, b.col) { 0 } else { width / wide * wide };
                    pack::<S, VECTORS>(k, whole, width, right, space);
                    (space as *const S::T, right, whole)
                }
            };
            let mut i0 = 0;
            while i0 < m {
                let rows = M.min(m - i0);
                let mut left = Matrix { at: a.at.offset(i0 as isize * a.row), ..a };
                if a.col != 1 && n > wide {
                    for p in 0..k {
                        let line = left.at.offset(p as isize * a.col);
                        if a.row == 1 && rows == M {
                            std::ptr::copy_nonoverlapping(line, rows_at.add(p * M), M);
                        } else {
                            for i in 0..rows {
                                *rows_at.add(p * rows + i) = *line.offset(i as isize * a.row);
                            }
                        }
                    }
                    left = Matrix { at: rows_at, row: 1, col: rows as isize };
                }
                let mut j = 0;
                while j < width {
                    let w = wide.min(width - j);
                    let panel = if j < whole {
                        Matrix { at: right.at.add(j), ..right }
                    } else {
                        Matrix { at: panels.add(k * j), row: wide as isize, col: 1 }
                    };
                    let corner = c.at.offset(i0 as isize * c.row + (j0 + j) as isize * c.col);
                    let to = MatrixMut { at: corner, ..c };
                    rows_of::<S>(rows, k, w, left, panel, to, add);
                    j += wide;
                }
                i0 += rows;
            }
            j0 += width;
        }
    }
}

/// Columns `from..to` of a right operand that has `k` rows, as panels of `V` vectors, zeros to the right of the last: panel
/// after panel, each row after row.
///
/// # Safety
/// As in `kernels`; as in `simd` for `S`. The panels have room.
#[inline(always)]
pub unsafe fn pack<S: Simd, const V: usize>(k: usize, from: usize, to: usize, b: Matrix<S::T>, panels: *mut S::T) {
    let Matrix { at: b, row, col } = b;
    let wide = V * S::WIDTH;
    let mut j = from;
    while j < to {
        let w = wide.min(to - j);
        let (panel, b) = unsafe { (panels.add(k * j), b.offset(j as isize * col)) };
        if w == wide && col == 1 {
            for p in 0..k {
                for v in 0..V {
                    unsafe {
                        S::load(b.offset(p as isize * row).add(v * S::WIDTH)).store(panel.add(p * wide + v * S::WIDTH))
                    };
                }
            }
        } else if row == 1 {
            // Columns are contiguous: squares are transposed.
            let (squares, across) = (k / S::SQUARE * S::SQUARE, w / S::SQUARE * S::SQUARE);
            for p in (0..squares).step_by(S::SQUARE) {
                for l in (0..across).step_by(S::SQUARE) {
                    unsafe { S::turn(b.add(p).offset(l as isize * col), col, panel.add(p * wide + l), wide) };
                }
            }
            for p in 0..k {
                for l in if p < squares { across } else { 0 }..w {
                    unsafe { *panel.add(p * wide + l) = *b.add(p).offset(l as isize * col) };
                }
            }
        } else {
            for p in 0..k {
                for l in 0..w {
                    unsafe { *panel.add(p * wide + l) = *b.offset(p as isize * row + l as isize * col) };
                }
            }
        }
        if w < wide {
            for p in 0..k {
                for l in w..wide {
                    unsafe { *panel.add(p * wide + l) = S::T::ZERO };
                }
            }
        }
        j += wide;
    }
}

/// A tile of `rows` rows.
#[inline(always)]
unsafe fn rows_of<S: Simd>(
    rows: usize,
    k: usize,
    w: usize,
    a: Matrix<S::T>,
    b: Matrix<S::T>,
    c: MatrixMut<S::T>,
    add: bool,
) {
    macro_rules! tile {
        ($m:expr) => {
            if w <= S::WIDTH {
                tile::<S, $m, 1>(k, w, a, b, c, add)
            } else {
                tile::<S, $m, VECTORS>(k, w, a, b, c, add)
            }
        };
    }
    unsafe {
        match rows {
            1 => tile!(1),
            2 => tile!(2),
            3 => tile!(3),
            4 => tile!(4),
            5 => tile!(5),
            6 => tile!(6),
            7 => tile!(7),
            _ => tile!(8),
        }
    }
}

/// `M` rows and `w` columns, at most `V` vectors; of the right operand whole vectors can be read.
#[inline(always)]
unsafe fn tile<S: Simd, const M: usize, const V: usize>(
    k: usize,
    w: usize,
    a: Matrix<S::T>,
    b: Matrix<S::T>,
    c: MatrixMut<S::T>,
    add: bool,
) {
    unsafe {
        let mut acc = [[S::splat(S::T::ZERO); V]; M];
        let (mut x, mut y) = (a.at, b.at);
        for _ in 0..k {
            let mut line = [S::splat(S::T::ZERO); V];
            for v in 0..V {
                line[v] = S::load(y.add(v * S::WIDTH));
            }
            for i in 0..M {
                let left = S::splat(*x.offset(i as isize * a.row));
                for v in 0..V {
                    acc[i][v] = left.fma(line[v], acc[i][v]);
                }
            }
            x = x.wrapping_offset(a.col);
            y = y.wrapping_offset(b.row);
        }
        // Accumulators stay in registers only if each loop over them is unrolled: their bodies are short.
        if c.col == 1 && w == V * S::WIDTH {
            for i in 0..M {
                for v in 0..V {
                    let to = c.at.offset(i as isize * c.row).add(v * S::WIDTH);
                    let value = if add { S::load(to).add(acc[i][v]) } else { acc[i][v] };
                    value.store(to);
                }
            }
            return;
        }
        let mut lines = [[S::T::ZERO; LINE]; M];
        for i in 0..M {
            for v in 0..V {
                acc[i][v].store(lines[i].as_mut_ptr().add(v * S::WIDTH));
            }
        }
        for (i, line) in lines.iter().enumerate() {
            for (l, &value) in line.iter().enumerate().take(w) {
                let to = c.at.offset(i as isize * c.row + l as isize * c.col);
                *to = if add { *to + value } else { value };
            }
        }
    }
}
