//! Decompositions and determinants, and the quotients in their derivatives. Singular values and general systems are in
//! `linalg`.

use super::sample::{Rng, Use};
use super::shape;
use super::value::{take, wrong_kind};
use super::{Family, Prim};
use crate::ir::graph::{Op, Type};
use dp_runtime::kernels::decompose;
use dp_runtime::linalg::spectral::Spectral;
use dp_runtime::tensor::{DType, Tensor};

pub static CHOLESKY: Prim = Prim {
    name: "cholesky",
    doc: "The lower triangular L with a positive diagonal and L L' = (A + A') / 2, for `[B..., n, n]`.\n\
          A matrix that is not positive definite is a fault.",
    family: Family::Linalg,
    plain: Some(|| Op::Cholesky),
    result: |_, args| {
        let [a] = shape::arity(args)?;
        square(a)?;
        Ok(vec![a.clone()])
    },
    eval: |op, args| {
        let [a] = take(args);
        let (count, n, _) = matrices(a.shape());
        macro_rules! factors {
            ($T:ty) => {{
                let mut l = vec![0.0; a.len()];
                decompose::cholesky::<$T>((count, n), a.as_slice(), &mut l)?;
                Tensor::from_vec(a.shape(), l)
            }};
        }
        Ok(vec![match a {
            Tensor::F32(_) => factors!(f32),
            Tensor::F64(_) => factors!(f64),
            Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
        }])
    },
    sample: |rng| (Op::Cholesky, vec![dominant(rng)]),
    special: || squares(Op::Cholesky, &[4.0, 2.0, 2.0, 5.0]),
};

pub static TRIANGULAR_SOLVE: Prim = Prim {
    name: "triangular_solve",
    doc: "`triangular_solve(T, b)`: the x with T x = b, for the lower (or upper) triangle of `[B..., n, n]` and `[B..., n, p]`.\n\
          What lies outside of the triangle is not read. A zero on the diagonal is a fault.",
    family: Family::Linalg,
    plain: None,
    result: |_, args| {
        let [t, b] = shape::arity(args)?;
        square(t)?;
        let rank = t.rank();
        let fits = t.dtype == b.dtype && b.rank() == rank && t.shape[..rank - 1] == b.shape[..rank - 1];
        shape::require(fits, || format!("takes [B..., n, n] and [B..., n, p], not {t} and {b}"))?;
        Ok(vec![b.clone()])
    },
    eval: |op, args| {
        let Op::TriangularSolve { lower } = op else { shape::wrong_row(op) };
        let [t, b] = take(args);
        let sizes = matrices(b.shape());
        macro_rules! solutions {
            ($T:ty) => {{
                let mut x = vec![0.0; b.len()];
                decompose::triangular_solve::<$T>(*lower, sizes, t.as_slice(), b.as_slice(), &mut x)?;
                Tensor::from_vec(b.shape(), x)
            }};
        }
        Ok(vec![match t {
            Tensor::F32(_) => solutions!(f32),
            Tensor::F64(_) => solutions!(f64),
            Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
        }])
    },
    sample: |rng| {
        let t = dominant(rng);
        let mut shape = t.shape().to_vec();
        let last = shape.len() - 1;
        shape[last] = rng.range(1, 4);
        let b = rng.tensor(t.dtype(), &shape);
        (Op::TriangularSolve { lower: rng.flip() }, vec![t, b])
    },
    special: || {
        let mut uses = Vec::new();
        for dtype in [DType::F32, DType::F64] {
            let full = |shape: &[usize], value| Tensor::full(dtype, shape, value);
            // What is outside of the triangle does not matter.
            let matrix = Tensor::from_vec(&[2, 2], vec![2.0, f64::NAN, 1.0, 4.0]).convert(dtype);
            uses.push((Op::TriangularSolve { lower: true }, vec![matrix, full(&[2, 1], 3.0)]));
            uses.push((Op::TriangularSolve { lower: false }, vec![full(&[0, 0], 0.0), full(&[0, 2], 0.0)]));
            uses.push((Op::TriangularSolve { lower: false }, vec![full(&[3, 1, 1], 2.0), full(&[3, 1, 0], 0.0)]));
        }
        uses
    },
};

pub static DET: Prim = Prim {
    name: "det",
    doc: "The determinants of `[B..., n, n]`, by LU with row exchanges; 1 for n = 0.",
    family: Family::Linalg,
    plain: Some(|| Op::Det),
    result: |_, args| {
        let [a] = shape::arity(args)?;
        square(a)?;
        shape::one(a.dtype, a.shape[..a.rank() - 2].to_vec())
    },
    eval: |op, args| {
        let [a] = take(args);
        let (count, n, _) = matrices(a.shape());
        let outer = &a.shape()[..a.shape().len() - 2];
        macro_rules! dets {
            ($T:ty) => {{
                let mut out = vec![0.0; count];
                decompose::det::<$T>((count, n), a.as_slice(), &mut out);
                Tensor::from_vec(outer, out)
            }};
        }
        Ok(vec![match a {
            Tensor::F32(_) => dets!(f32),
            Tensor::F64(_) => dets!(f64),
            Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
        }])
    },
    sample: |rng| (Op::Det, vec![dominant(rng)]),
    special: || squares(Op::Det, &[0.0, 1.0, 2.0, 0.0]),
};

pub static SLOGDET: Prim = Prim {
    name: "slogdet",
    doc: "The signs and the logarithms of the sizes of the determinants of `[B..., n, n]`; 0 and -inf for a singular matrix.",
    family: Family::Linalg,
    plain: Some(|| Op::SlogDet),
    result: |_, args| {
        let [a] = shape::arity(args)?;
        square(a)?;
        let each = shape::sized(a.dtype, a.shape[..a.rank() - 2].to_vec())?;
        Ok(vec![each.clone(), each])
    },
    eval: |op, args| {
        let [a] = take(args);
        let (count, n, _) = matrices(a.shape());
        let outer = &a.shape()[..a.shape().len() - 2];
        macro_rules! dets {
            ($T:ty) => {{
                let (mut signs, mut logs) = (vec![0.0; count], vec![0.0; count]);
                decompose::slogdet::<$T>((count, n), a.as_slice(), &mut signs, &mut logs);
                vec![Tensor::from_vec(outer, signs), Tensor::from_vec(outer, logs)]
            }};
        }
        Ok(match a {
            Tensor::F32(_) => dets!(f32),
            Tensor::F64(_) => dets!(f64),
            Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
        })
    },
    sample: |rng| (Op::SlogDet, vec![dominant(rng)]),
    special: || squares(Op::SlogDet, &[0.0, 1.0, 2.0, 0.0]),
};

pub static QR: Prim = Prim {
    name: "qr",
    doc: "Thin decomposition `A = Q R` of `[B..., m, n]`.\nWith k = min(m, n): `Q [B..., m, k]` with orthonormal columns, `R [B..., k, n]` \
          upper triangular with no negative diagonal element.",
    family: Family::Linalg,
    plain: Some(|| Op::Qr),
    result: |_, args| {
        let (a, batch, matrix) = shape::matrices(args)?;
        let k = matrix[0].min(matrix[1]);
        Ok(vec![
            shape::sized(a.dtype, [batch, &[matrix[0], k]].concat())?,
            shape::sized(a.dtype, [batch, &[k, matrix[1]]].concat())?,
        ])
    },
    eval: |op, args| {
        let [a] = take(args);
        let (count, m, n) = matrices(a.shape());
        let (outer, k) = (&a.shape()[..a.shape().len() - 2], m.min(n));
        macro_rules! factors {
            ($T:ty) => {{
                let (mut q, mut r) = (vec![0.0; count * m * k], vec![0.0; count * k * n]);
                decompose::qr::<$T>((count, m, n), a.as_slice(), &mut q, &mut r);
                let (left, right) = ([outer, &[m, k]].concat(), [outer, &[k, n]].concat());
                vec![Tensor::from_vec(&left, q), Tensor::from_vec(&right, r)]
            }};
        }
        Ok(match a {
            Tensor::F32(_) => factors!(f32),
            Tensor::F64(_) => factors!(f64),
            Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
        })
    },
    sample: |rng| (Op::Qr, vec![rectangular(rng, false)]),
    special: || {
        let mut uses = squares(Op::Qr, &[0.0, 1.0, -2.0, 0.0]);
        for dtype in [DType::F32, DType::F64] {
            uses.push((Op::Qr, vec![Tensor::full(dtype, &[0, 3], 0.0)]));
            uses.push((Op::Qr, vec![Tensor::full(dtype, &[3, 0], 0.0)]));
            uses.push((Op::Qr, vec![Tensor::full(dtype, &[2, 3], -1.0)]));
        }
        uses
    },
};

pub static EIGH: Prim = Prim {
    name: "eigh",
    doc: "Eigenvalues `[B..., n]`, ascending, and orthonormal eigenvectors `[B..., n, n]` (columns) of (A + A') / 2.\n\
          The entry of largest magnitude in each column is positive.",
    family: Family::Linalg,
    plain: Some(|| Op::Eigh),
    result: |_, args| {
        let [a] = shape::arity(args)?;
        square(a)?;
        Ok(vec![shape::sized(a.dtype, a.shape[..a.rank() - 1].to_vec())?, a.clone()])
    },
    eval: |op, args| {
        let [a] = take(args);
        let (count, n, _) = matrices(a.shape());
        macro_rules! parts {
            ($T:ty) => {{
                let (mut values, mut vectors) = (vec![0.0; count * n], vec![0.0; count * n * n]);
                decompose::eigh::<$T>((count, n), a.as_slice(), &mut values, &mut vectors);
                let rank = a.shape().len();
                vec![Tensor::from_vec(&a.shape()[..rank - 1], values), Tensor::from_vec(a.shape(), vectors)]
            }};
        }
        Ok(match a {
            Tensor::F32(_) => parts!(f32),
            Tensor::F64(_) => parts!(f64),
            Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
        })
    },
    sample: sample_eigh,
    special: || squares(Op::Eigh, &[1.0, 0.0, 0.0, 1.0]),
};

pub static SPECTRAL_QUOTIENT: Prim = Prim {
    name: "spectral_quotient",
    doc: "`spectral_quotient(s, X)`: X, its symmetric or its antisymmetric part, divided by differences, sums or elements of s.\n\
          For `[B..., k]` and `[B..., r, k]`. A quotient by a difference that is zero to rounding is a fault, unless it is 0 / 0 and no adjoint: then it is 0.",
    family: Family::Linalg,
    plain: None,
    result: |op, args| {
        let Op::SpectralQuotient(by) = op else { shape::wrong_row(op) };
        let [s, x] = shape::arity(args)?;
        shape::float(s)?;
        let (rank, square) = (x.rank(), !is_rectangular(*by));
        let fits = s.dtype == x.dtype
            && rank >= 2
            && s.rank() + 1 == rank
            && s.shape[..rank - 2] == x.shape[..rank - 2]
            && s.shape[rank - 2] == x.shape[rank - 1]
            && (!square || x.shape[rank - 2] == x.shape[rank - 1]);
        shape::require(fits, || format!("takes [B..., k] and [B..., r, k], not {s} and {x}"))?;
        Ok(vec![x.clone()])
    },
    eval: |op, args| {
        let Op::SpectralQuotient(by) = op else { shape::wrong_row(op) };
        let [s, x] = take(args);
        let sizes = matrices(x.shape());
        macro_rules! quotients {
            ($T:ty) => {{
                let mut out = vec![0.0; x.len()];
                decompose::spectral_quotients::<$T>(*by, sizes, s.as_slice(), x.as_slice(), &mut out)?;
                Tensor::from_vec(x.shape(), out)
            }};
        }
        Ok(vec![match x {
            Tensor::F32(_) => quotients!(f32),
            Tensor::F64(_) => quotients!(f64),
            Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
        }])
    },
    sample: sample_quotient,
    special: special_quotient,
};

/// Whether the matrix need not be square.
fn is_rectangular(by: Spectral) -> bool {
    matches!(by, Spectral::Value | Spectral::ValueAdjoint)
}

fn square(a: &Type) -> Result<(), String> {
    shape::float(a)?;
    let rank = a.rank();
    let fits = rank >= 2 && a.shape[rank - 1] == a.shape[rank - 2];
    shape::require(fits, || format!("takes square matrices, not {a}"))
}

/// The number of matrices, and their sizes.
pub(super) fn matrices(shape: &[usize]) -> (usize, usize, usize) {
    let rank = shape.len();
    (shape[..rank - 2].iter().product(), shape[rank - 2], shape[rank - 1])
}

/// Square matrices that dominate on the diagonal: regular, and their symmetric parts positive definite.
fn dominant(rng: &mut Rng) -> Tensor {
    let outer = rng.below(2);
    let outer = rng.shape(outer);
    let n = rng.range(1, 5);
    let dtype = rng.float_kind();
    let count: usize = outer.iter().product();
    let mut data = Vec::with_capacity(count * n * n);
    for _ in 0..count {
        for i in 0..n {
            data.extend((0..n).map(|j| rng.real(-0.8, 0.8) + if i == j { 4.0 } else { 0.0 }));
        }
    }
    Tensor::from_vec(&[&outer[..], &[n, n]].concat(), data).convert(dtype)
}

/// Matrices of any shape that dominate on the diagonal, so that the first columns are far from dependent; in reversed order of the
/// rows, if so wished.
pub(super) fn rectangular(rng: &mut Rng, reversed: bool) -> Tensor {
    let (m, n) = (rng.range(1, 5), rng.range(1, 5));
    let outer = rng.below(2);
    let outer = rng.shape(outer);
    let dtype = rng.float_kind();
    let count: usize = outer.iter().product();
    let mut data = Vec::with_capacity(count * m * n);
    for _ in 0..count {
        for i in 0..m {
            let at = if reversed { m - 1 - i } else { i };
            data.extend((0..n).map(|j| rng.real(-0.8, 0.8) + if at == j { 3.0 } else { 0.0 }));
        }
    }
    Tensor::from_vec(&[&outer[..], &[m, n]].concat(), data).convert(dtype)
}

/// A matrix of two rows, one of one element, and none.
pub(super) fn squares(op: Op, two: &[f64; 4]) -> Vec<Use> {
    let mut uses = Vec::new();
    for dtype in [DType::F32, DType::F64] {
        uses.push((op.clone(), vec![Tensor::from_vec(&[2, 2], two.to_vec()).convert(dtype)]));
        uses.push((op.clone(), vec![Tensor::full(dtype, &[1, 1], 9.0)]));
        uses.push((op.clone(), vec![Tensor::full(dtype, &[0, 0], 0.0)]));
        uses.push((op.clone(), vec![Tensor::full(dtype, &[0, 2, 2], 0.0)]));
    }
    uses
}

/// Well separated eigenvalues, so that the vectors are far from exchanging: a diagonal of steps and small other elements.
fn sample_eigh(rng: &mut Rng) -> Use {
    let outer = rng.below(2);
    let outer = rng.shape(outer);
    let n = rng.range(1, 5);
    let dtype = rng.float_kind();
    let count: usize = outer.iter().product();
    let mut data = Vec::with_capacity(count * n * n);
    for _ in 0..count {
        for i in 0..n {
            data.extend((0..n).map(|j| rng.real(-0.4, 0.4) + if i == j { 2.0 * i as f64 - 3.0 } else { 0.0 }));
        }
    }
    (Op::Eigh, vec![Tensor::from_vec(&[&outer[..], &[n, n]].concat(), data).convert(dtype)])
}

/// Values a step apart and away from 0.
fn sample_quotient(rng: &mut Rng) -> Use {
    let by = *rng.pick(&[Spectral::Difference, Spectral::Sum, Spectral::Value]);
    let by = if rng.flip() { by } else { by.adjoint() };
    let outer = rng.below(2);
    let outer = rng.shape(outer);
    let k = rng.range(1, 5);
    let rows = if is_rectangular(by) { rng.range(1, 5) } else { k };
    let dtype = rng.float_kind();
    let count: usize = outer.iter().product();
    let values = (0..count * k).map(|at| 1.0 + 0.7 * (at % k) as f64 + rng.real(-0.2, 0.2)).collect();
    let values = Tensor::from_vec(&[&outer[..], &[k]].concat(), values).convert(dtype);
    let x = rng.tensor(dtype, &[&outer[..], &[rows, k]].concat());
    (Op::SpectralQuotient(by), vec![values, x])
}

/// Equal values under a matrix whose part is zero there, values of zero, NaN, nothing.
fn special_quotient() -> Vec<Use> {
    let mut uses = Vec::new();
    for dtype in [DType::F32, DType::F64] {
        let equal = Tensor::full(dtype, &[2], 1.0);
        let zero = Tensor::full(dtype, &[2], 0.0);
        let symmetric = Tensor::from_vec(&[2, 2], vec![1.0, 3.0, 3.0, 2.0]).convert(dtype);
        let antisymmetric = Tensor::from_vec(&[2, 2], vec![1.0, 3.0, -3.0, 2.0]).convert(dtype);
        let empty = Tensor::full(dtype, &[0, 0], 0.0);
        for (by, s, x) in [
            (Spectral::Difference, &equal, &antisymmetric),
            (Spectral::SumAdjoint, &equal, &antisymmetric),
            (Spectral::Sum, &equal, &antisymmetric),
            (Spectral::Sum, &zero, &symmetric),
            (Spectral::Value, &zero, &Tensor::full(dtype, &[3, 2], 0.0)),
            (Spectral::Value, &equal, &Tensor::full(dtype, &[3, 2], f64::NAN)),
            (Spectral::Sum, &Tensor::full(dtype, &[0], 0.0), &empty),
        ] {
            uses.push((Op::SpectralQuotient(by), vec![s.clone(), x.clone()]));
        }
    }
    uses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prims::eval;
    use dp_runtime::fault::FaultKind;

    #[test]
    fn quotients_that_do_not_exist_are_faults() {
        let equal = Tensor::full(DType::F64, &[2], 1.0);
        let zero = Tensor::full(DType::F64, &[2], 0.0);
        let x = Tensor::from_vec(&[2, 2], vec![1.0, 3.0, 2.0, 2.0]);
        for (by, s) in [
            (Spectral::Difference, &equal),
            (Spectral::DifferenceAdjoint, &equal),
            (Spectral::Sum, &zero),
            (Spectral::SumAdjoint, &zero),
            (Spectral::Value, &zero),
            (Spectral::ValueAdjoint, &zero),
        ] {
            let fault = eval(&Op::SpectralQuotient(by), &[s.clone(), x.clone()]).err();
            assert!(matches!(fault, Some(FaultKind::Degenerate { .. })), "{by:?}: {fault:?}");
        }
    }

    #[test]
    fn matrices_that_have_no_factor_are_faults() {
        let indefinite = Tensor::from_vec(&[2, 2], vec![1.0, 2.0, 2.0, 1.0]);
        assert_eq!(eval(&Op::Cholesky, &[indefinite]).err(), Some(FaultKind::NotPositiveDefinite));
        let singular = Tensor::from_vec(&[2, 2], vec![1.0, 2.0, 2.0, 0.0]);
        let solve = eval(&Op::TriangularSolve { lower: true }, &[singular.clone(), singular]);
        assert_eq!(solve.err(), Some(FaultKind::Singular));
    }
}
