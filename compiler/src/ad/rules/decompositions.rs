//! Derivatives of decompositions, determinants and linear systems.
//!
//! Sources: Giles, "An extended collection of matrix derivative results", 2008; Townsend, "Differentiating the singular
//! value decomposition", 2016. Quotients by differences of singular values and eigenvalues are primitives of their own, which
//! know when they do not exist.

use super::arrays::weighted_sum;
use crate::ad::flow::first_along;
use crate::ad::linearize::Lin;
use crate::ir::builder::Builder;
use crate::ir::graph::{Op, Var};
use crate::prims;
use dp_runtime::linalg::spectral::Spectral;

/// The tangents of the results. See `rules::tangents`.
pub fn tangents(lin: &mut Lin, op: &Op, args: &[Var], outs: &[Var], dargs: &[Option<Var>]) -> Vec<Option<Var>> {
    match op {
        // x = A^-1 b, so dx = A^-1 (db - dA x).
        Op::Solve => {
            let matrix = lin.capture(args[0]);
            let moved = dargs[0].map(|da| minus_product(lin, da, outs[0]));
            let right = lin.add(dargs[1], moved);
            vec![right.map(|right| lin.tangent.op(Op::Solve, &[matrix, right]))]
        }
        // The same with the triangle of dA.
        Op::TriangularSolve { lower } => {
            let matrix = lin.capture(args[0]);
            let moved = dargs[0].map(|da| {
                let triangle = triangle(&mut lin.tangent, da, *lower);
                minus_product(lin, triangle, outs[0])
            });
            let right = lin.add(dargs[1], moved);
            vec![right.map(|right| lin.tangent.op(op.clone(), &[matrix, right]))]
        }
        Op::Cholesky => vec![dargs[0].map(|da| cholesky(lin, outs[0], da))],
        // d det A = det A tr(A^-1 dA)
        Op::Det => {
            let weight = inverse_transposed(&mut lin.primal, args[0]);
            let shape = lin.primal.shape(args[0]).to_vec();
            let leading: Vec<usize> = (0..shape.len() - 2).collect();
            let det = lin.primal.broadcast(outs[0], &shape, &leading);
            let weight = lin.primal.mul(det, weight);
            vec![weighted_sum(lin, weight, dargs[0], &[shape.len() - 2, shape.len() - 1])]
        }
        // d log |det A| = tr(A^-1 dA); the sign is constant.
        Op::SlogDet => {
            let weight = inverse_transposed(&mut lin.primal, args[0]);
            let rank = lin.primal.ty(args[0]).rank();
            vec![None, weighted_sum(lin, weight, dargs[0], &[rank - 2, rank - 1])]
        }
        Op::Lu => match dargs[0] {
            Some(da) => {
                let [dl, du] = lu(lin, args[0], outs, da);
                vec![None, Some(dl), Some(du)]
            }
            None => vec![None; 3],
        },
        Op::Qr => match dargs[0] {
            Some(da) => qr(lin, args[0], outs, da).map(Some).to_vec(),
            None => vec![None; 2],
        },
        Op::Eigh => match dargs[0] {
            Some(da) => eigh(lin, outs, da).map(Some).to_vec(),
            None => vec![None; 2],
        },
        Op::Svd => match dargs[0] {
            Some(da) => svd(lin, args[0], outs, da).map(Some).to_vec(),
            None => vec![None; 3],
        },
        Op::SingularValues => vec![dargs[0].map(|da| singular_values(lin, args[0], da))],
        Op::SpectralQuotient(by) => vec![spectral_quotient(lin, *by, args, outs[0], dargs)],
        other => panic!("internal error: `{}` is no decomposition", prims::name(other)),
    }
}

/// `-dA x` for a value x.
fn minus_product(lin: &mut Lin, da: Var, x: Var) -> Var {
    let batch = lin.primal.ty(x).rank() - 2;
    let x = lin.capture(x);
    let product = lin.tangent.op(Op::Dot { batch }, &[da, x]);
    lin.tangent.neg(product)
}

/// `A'^-1`. A singular matrix is a fault.
fn inverse_transposed(b: &mut Builder, a: Var) -> Var {
    let ty = b.ty(a).clone();
    let diagonal = diagonal(b, &ty.shape);
    let (zero, one) = (b.zeros(&ty), b.fill(&ty, 1.0));
    let identity = b.select(diagonal, one, zero);
    let turned = b.transpose_last(a);
    b.op(Op::Solve, &[turned, identity])
}

/// The numbers of rows and columns at each element of matrices.
fn places(b: &mut Builder, shape: &[usize]) -> (Var, Var) {
    let rank = shape.len();
    let rows = b.op(Op::Iota { shape: shape.to_vec(), axis: rank - 2 }, &[]);
    let columns = b.op(Op::Iota { shape: shape.to_vec(), axis: rank - 1 }, &[]);
    (rows, columns)
}

fn diagonal(b: &mut Builder, shape: &[usize]) -> Var {
    let (rows, columns) = places(b, shape);
    b.op(Op::Eq, &[rows, columns])
}

/// Matrices with zeros above (or below) the diagonal.
fn triangle(b: &mut Builder, x: Var, lower: bool) -> Var {
    let ty = b.ty(x).clone();
    let (rows, columns) = places(b, &ty.shape);
    let kept = b.op(Op::Le, &if lower { [columns, rows] } else { [rows, columns] });
    let zero = b.zeros(&ty);
    b.select(kept, x, zero)
}

/// Matrices with zeros on and above the diagonal.
fn below_diagonal(b: &mut Builder, x: Var) -> Var {
    let ty = b.ty(x).clone();
    let (rows, columns) = places(b, &ty.shape);
    let kept = b.op(Op::Lt, &[columns, rows]);
    let zero = b.zeros(&ty);
    b.select(kept, x, zero)
}

/// The sum of the diagonal's elements in each row: the diagonal as vectors.
fn diagonal_of(b: &mut Builder, x: Var) -> Var {
    let ty = b.ty(x).clone();
    let diagonal = diagonal(b, &ty.shape);
    let zero = b.zeros(&ty);
    let kept = b.select(diagonal, x, zero);
    b.sum(kept, &[ty.rank() - 1])
}

/// `(X + X') / 2`.
fn symmetric(b: &mut Builder, x: Var) -> Var {
    let turned = b.transpose_last(x);
    let sum = b.add(x, turned);
    halved(b, sum)
}

fn halved(b: &mut Builder, x: Var) -> Var {
    let ty = b.ty(x).clone();
    let half = b.fill(&ty, 0.5);
    b.op(Op::MulZ, &[half, x])
}

/// L L' = S, the symmetric part of A: with P = L^-1 dS L'^-1, dL = L F(P), where F keeps the lower triangle and half of the
/// diagonal.
fn cholesky(lin: &mut Lin, l: Var, da: Var) -> Var {
    let l = lin.capture(l);
    let t = &mut lin.tangent;
    let dot = Op::Dot { batch: t.ty(l).rank() - 2 };
    let lower = Op::TriangularSolve { lower: true };
    let ds = symmetric(t, da);
    let left = t.op(lower.clone(), &[l, ds]);
    let left = t.transpose_last(left);
    let p = t.op(lower, &[l, left]);
    let strict = below_diagonal(t, p);
    let whole = triangle(t, p, true);
    let sum = t.add(strict, whole);
    let half = halved(t, sum);
    t.op(dot, &[l, half])
}

/// A[p] = L U, with square factors L+ = [L, E], E the last columns of the identity, and U+ likewise with its last rows: with
/// F = L+^-1 dA[p] U+^-1, dL = L+ (F below the diagonal), dU = (F on and above it) U+, of both the first k. De Hoog, Anderssen and
/// Lukas, "Differentiation of matrix functionals using triangular factorization", 2011.
fn lu(lin: &mut Lin, a: Var, outs: &[Var], da: Var) -> [Var; 2] {
    let shape = lin.primal.shape(a).to_vec();
    let batch = shape.len() - 2;
    let (m, n) = (shape[batch], shape[batch + 1]);
    let k = m.min(n);
    let left = completed(&mut lin.primal, outs[1], batch + 1, m);
    let right = completed(&mut lin.primal, outs[2], batch, n);
    let right_turned = lin.primal.transpose_last(right);
    let [p, left, right, right_turned] = [outs[0], left, right, right_turned].map(|var| lin.capture(var));
    let t = &mut lin.tangent;
    let dot = Op::Dot { batch };
    let lower = Op::TriangularSolve { lower: true };
    // The rows of dA in the order p.
    let mut places: Vec<Var> =
        (0..batch).map(|axis| t.op(Op::Iota { shape: shape[..=batch].to_vec(), axis }, &[])).collect();
    places.push(p);
    let moved = t.op(Op::Gather, &[vec![da], places].concat());
    let x = t.op(lower.clone(), &[left, moved]);
    let x = t.transpose_last(x);
    let x = t.op(lower, &[right_turned, x]);
    let f = t.transpose_last(x);
    let below = below_diagonal(t, f);
    let above = triangle(t, f, false);
    let dl = t.op(dot.clone(), &[left, below]);
    let du = t.op(dot, &[above, right]);
    [first_along(t, dl, batch + 1, k), first_along(t, du, batch, k)]
}

/// The matrices with columns (axis the last) or rows of the identity behind their own, until there are `count`.
fn completed(b: &mut Builder, x: Var, axis: usize, count: usize) -> Var {
    let mut ty = b.ty(x).clone();
    let own = ty.shape[axis];
    if own == count {
        return x;
    }
    let rank = ty.rank();
    ty.shape[rank - 2..].fill(count);
    let (rows, columns) = places(b, &ty.shape);
    let same = b.op(Op::Eq, &[rows, columns]);
    let (zero, one) = (b.zeros(&ty), b.fill(&ty, 1.0));
    let identity = b.select(same, one, zero);
    let mut start = vec![0; rank];
    start[axis] = own;
    let rest = b.op(Op::Slice { start, stop: ty.shape.clone(), stride: vec![1; rank] }, &[identity]);
    b.op(Op::Concat { axis }, &[x, rest])
}

/// A = Q R, with R1 the first k columns of R and A1 those of A: C = Q' dA1 R1^-1, M = C - C' below the diagonal, antisymmetric;
/// dQ = Q M + (I - Q Q') dA1 R1^-1,
/// dR = Q' dA - M R.
fn qr(lin: &mut Lin, a: Var, outs: &[Var], da: Var) -> [Var; 2] {
    let shape = lin.primal.shape(a).to_vec();
    let batch = shape.len() - 2;
    let (m, n) = (shape[batch], shape[batch + 1]);
    let k = m.min(n);
    let r1 = first_along(&mut lin.primal, outs[1], batch + 1, k);
    let r1_turned = lin.primal.transpose_last(r1);
    let [q, r, r1_turned] = [outs[0], outs[1], r1_turned].map(|var| lin.capture(var));
    let t = &mut lin.tangent;
    let dot = Op::Dot { batch };
    let q_turned = t.transpose_last(q);
    // dA1 R1^-1
    let da1 = first_along(t, da, batch + 1, k);
    let da1 = t.transpose_last(da1);
    let y = t.op(Op::TriangularSolve { lower: true }, &[r1_turned, da1]);
    let y = t.transpose_last(y);
    let c = t.op(dot.clone(), &[q_turned, y]);
    let below = below_diagonal(t, c);
    let above = t.transpose_last(below);
    let rotation = t.sub(below, above);
    let mut dq = t.op(dot.clone(), &[q, rotation]);
    if m > k {
        let inside = t.op(dot.clone(), &[q, c]);
        let outside = t.sub(y, inside);
        dq = t.add(dq, outside);
    }
    let moved = t.op(dot.clone(), &[q_turned, da]);
    let turned = t.op(dot, &[rotation, r]);
    [dq, t.sub(moved, turned)]
}

/// S = V diag(w) V', the symmetric part of A: with P = V' dA V = E + O as below, dw = diag P and dV = V (E_ij / (w_j - w_i)).
fn eigh(lin: &mut Lin, outs: &[Var], da: Var) -> [Var; 2] {
    let [w, v] = [outs[0], outs[1]].map(|var| lin.capture(var));
    let t = &mut lin.tangent;
    let dot = Op::Dot { batch: t.ty(v).rank() - 2 };
    // Of dA its symmetric part counts, which is what the quotient and the diagonal see.
    let v_turned = t.transpose_last(v);
    let right = t.op(dot.clone(), &[da, v]);
    let p = t.op(dot.clone(), &[v_turned, right]);
    let dw = diagonal_of(t, p);
    let rotation = t.op(Op::SpectralQuotient(Spectral::Difference), &[w, p]);
    [dw, t.op(dot, &[v, rotation])]
}

/// Thin A = U diag(s) V'. With P = U' dA V = E + O, E symmetric and O antisymmetric:
/// ds = diag P,
/// dU = U (E_ij / (s_j - s_i) + O_ij / (s_i + s_j)) + (I - U U') dA V S^-1,
/// dV = V (E_ij / (s_j - s_i) - O_ij / (s_i + s_j)) + (I - V V') dA' U S^-1.
///
/// This is Townsend's formula with 1/(s_j^2 - s_i^2) in parts: a function of U V' alone, such as the polar factor, needs no
/// difference, and nearly equal values do not spoil its digits: what U and V contribute to it cancels before the division.
fn svd(lin: &mut Lin, a: Var, outs: &[Var], da: Var) -> [Var; 3] {
    let shape = lin.primal.shape(a).to_vec();
    let batch = shape.len() - 2;
    let (m, n) = (shape[batch], shape[batch + 1]);
    let k = m.min(n);
    let [u, s, v] = [outs[0], outs[1], outs[2]].map(|var| lin.capture(var));
    let t = &mut lin.tangent;
    let dot = Op::Dot { batch };
    let (u_turned, v_turned) = (t.transpose_last(u), t.transpose_last(v));
    let dav = t.op(dot.clone(), &[da, v]);
    let p = t.op(dot.clone(), &[u_turned, dav]);
    let ds = diagonal_of(t, p);
    let common = t.op(Op::SpectralQuotient(Spectral::Difference), &[s, p]);
    let opposite = t.op(Op::SpectralQuotient(Spectral::Sum), &[s, p]);
    let left = t.add(common, opposite);
    let right = t.sub(common, opposite);
    let mut du = t.op(dot.clone(), &[u, left]);
    if m > k {
        du = add_outside(t, du, (u, u_turned), dav, s);
    }
    let mut dv = t.op(dot.clone(), &[v, right]);
    if n > k {
        let da_turned = t.transpose_last(da);
        let dau = t.op(dot, &[da_turned, u]);
        dv = add_outside(t, dv, (v, v_turned), dau, s);
    }
    [du, ds, dv]
}

/// ds_j = u_j' dA v_j, the diagonal of U' dA V. Only here the vectors are needed.
fn singular_values(lin: &mut Lin, a: Var, da: Var) -> Var {
    let vectors = lin.primal.emit(Op::Svd, &[a]);
    let (u, v) = (lin.capture(vectors[0]), lin.capture(vectors[2]));
    let t = &mut lin.tangent;
    let rows = t.ty(u).rank() - 2;
    let dav = t.op(Op::Dot { batch: rows }, &[da, v]);
    let products = t.op(Op::MulZ, &[u, dav]);
    t.sum(products, &[rows])
}

/// `dQ + (I - Q Q') Y S^-1`.
fn add_outside(t: &mut Builder, dq: Var, (q, q_turned): (Var, Var), y: Var, s: Var) -> Var {
    let dot = Op::Dot { batch: t.ty(q).rank() - 2 };
    let inside = t.op(dot.clone(), &[q_turned, y]);
    let inside = t.op(dot, &[q, inside]);
    let outside = t.sub(y, inside);
    let scaled = t.op(Op::SpectralQuotient(Spectral::Value), &[s, outside]);
    t.add(dq, scaled)
}

/// R = K(s, X) is X or a part of it divided by D(s), so dR = K(s, dX) - K(s, R * dD), for R * dD has the part's symmetry.
fn spectral_quotient(lin: &mut Lin, by: Spectral, args: &[Var], r: Var, dargs: &[Option<Var>]) -> Option<Var> {
    let op = Op::SpectralQuotient(by);
    let s = lin.capture(args[0]);
    let moved = dargs[1].map(|dx| lin.tangent.op(op.clone(), &[s, dx]));
    let divided = dargs[0].map(|ds| {
        let r = lin.capture(r);
        let t = &mut lin.tangent;
        let shape = t.shape(r).to_vec();
        let rank = shape.len();
        let leading: Vec<usize> = (0..rank - 2).collect();
        let by_column = t.broadcast(ds, &shape, &[&leading[..], &[rank - 1]].concat());
        let rows = |b: &mut Builder| b.broadcast(ds, &shape, &[&leading[..], &[rank - 2]].concat());
        let dd = match by {
            Spectral::Value | Spectral::ValueAdjoint => by_column,
            Spectral::Sum | Spectral::SumAdjoint => {
                let by_row = rows(t);
                t.add(by_column, by_row)
            }
            Spectral::Difference | Spectral::DifferenceAdjoint => {
                let by_row = rows(t);
                t.sub(by_column, by_row)
            }
        };
        let product = t.op(Op::MulZ, &[r, dd]);
        let quotient = t.op(op, &[s, product]);
        t.neg(quotient)
    });
    lin.add(moved, divided)
}
