//! Decompositions and linear systems.

use super::sample::{Rng, Use};
use super::shape::{self, Rule};
use super::value::{Values, take, wrong_kind};
use super::{Family, Prim};
use crate::ir::graph::{Op, Type};
use dp_runtime::kernels::decompose;
use dp_runtime::linalg;
use dp_runtime::tensor::{DType, Tensor};
use std::mem::MaybeUninit;

pub static SVD: Prim = Prim {
    name: "svd",
    doc: "Thin singular value decomposition of `[B..., m, n]`, k = min(m, n): `U [B..., m, k]`, `s [B..., k]` descending, `V [B..., n, k]`.\n\
          The entry of largest magnitude in each column of U is positive.",
    family: Family::Linalg,
    plain: Some(|| Op::Svd),
    result: svd,
    eval: eval_svd,
    sample: sample_svd,
    special: special_svd,
};

pub static SINGULAR_VALUES: Prim = Prim {
    name: "singular_values",
    doc: "The singular values of `[B..., m, n]`, descending: `[B..., k]`, k = min(m, n).",
    family: Family::Linalg,
    plain: Some(|| Op::SingularValues),
    result: |_, args| {
        let (a, batch, matrix) = shape::matrices(args)?;
        shape::one(a.dtype, [batch, &[matrix[0].min(matrix[1])]].concat())
    },
    eval: eval_singular_values,
    sample: |rng| (Op::SingularValues, sample_svd(rng).1),
    special: || special_svd().into_iter().map(|(_, args)| (Op::SingularValues, args)).collect(),
};

pub static SOLVE: Prim = Prim {
    name: "solve",
    doc: "`solve(A, b)`: the x with A x = b, for `[B..., n, n]` and `[B..., n, p]`, by LU with row exchanges.\nA singular matrix is a fault.",
    family: Family::Linalg,
    plain: Some(|| Op::Solve),
    result: solve,
    eval: eval_solve,
    sample: sample_solve,
    special: special_solve,
};

fn svd(_: &Op, args: &[&Type]) -> Rule {
    let (a, batch, matrix) = shape::matrices(args)?;
    let (m, n) = (matrix[0], matrix[1]);
    let k = m.min(n);
    Ok(vec![
        shape::sized(a.dtype, [batch, &[m, k]].concat())?,
        shape::sized(a.dtype, [batch, &[k]].concat())?,
        shape::sized(a.dtype, [batch, &[n, k]].concat())?,
    ])
}

fn solve(_: &Op, args: &[&Type]) -> Rule {
    let [a, b] = shape::arity(args)?;
    shape::float(a)?;
    let rank = a.rank();
    let fits = a.dtype == b.dtype
        && rank >= 2
        && b.rank() == rank
        && a.shape[rank - 1] == a.shape[rank - 2]
        && a.shape[..rank - 1] == b.shape[..rank - 1];
    shape::require(fits, || format!("takes [B..., n, n] and [B..., n, p], not {a} and {b}"))?;
    Ok(vec![b.clone()])
}

fn eval_svd(op: &Op, args: Vec<Tensor>) -> Values {
    let [a] = take(args);
    let (batch, matrix) = a.shape().split_at(a.shape().len() - 2);
    let (m, n) = (matrix[0], matrix[1]);
    let k = m.min(n);
    let count: usize = batch.iter().product();
    macro_rules! decompose {
        ($T:ty, $svd:path) => {{
            let data = a.as_slice::<$T>();
            let (mut us, mut ss, mut vs): (Vec<$T>, Vec<$T>, Vec<$T>) = (Vec::new(), Vec::new(), Vec::new());
            for i in 0..count {
                let (u, s, v) = $svd(&data[i * m * n..(i + 1) * m * n], m, n);
                us.extend(u);
                ss.extend(s);
                vs.extend(v);
            }
            vec![
                Tensor::from_vec(&[batch, &[m, k]].concat(), us),
                Tensor::from_vec(&[batch, &[k]].concat(), ss),
                Tensor::from_vec(&[batch, &[n, k]].concat(), vs),
            ]
        }};
    }
    Ok(match a {
        Tensor::F32(_) => decompose!(f32, linalg::svd_f32),
        Tensor::F64(_) => decompose!(f64, linalg::svd_f64),
        Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    })
}

fn eval_singular_values(op: &Op, args: Vec<Tensor>) -> Values {
    let [a] = take(args);
    let (batch, matrix) = a.shape().split_at(a.shape().len() - 2);
    let (m, n) = (matrix[0], matrix[1]);
    let (k, count): (usize, usize) = (m.min(n), batch.iter().product());
    macro_rules! values {
        ($T:ty) => {{
            let mut s = vec![0.0; count * k];
            let mut room = vec![MaybeUninit::uninit(); linalg::singular_values_room::<$T>(m, n)];
            decompose::singular_values::<$T>((count, m, n), a.as_slice(), &mut s, &mut room);
            Tensor::from_vec(&[batch, &[k]].concat(), s)
        }};
    }
    Ok(vec![match a {
        Tensor::F32(_) => values!(f32),
        Tensor::F64(_) => values!(f64),
        Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

fn eval_solve(op: &Op, args: Vec<Tensor>) -> Values {
    let [a, b] = take(args);
    let shape = b.shape().to_vec();
    let (n, p) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    let count: usize = shape[..shape.len() - 2].iter().product();
    macro_rules! solutions {
        ($T:ty, $solve:path) => {{
            let (a, b) = (a.as_slice::<$T>(), b.as_slice::<$T>());
            let mut result: Vec<$T> = Vec::with_capacity(b.len());
            for i in 0..count {
                result.extend($solve(&a[i * n * n..(i + 1) * n * n], &b[i * n * p..(i + 1) * n * p], n, p)?);
            }
            Tensor::from_vec(&shape, result)
        }};
    }
    Ok(vec![match a {
        Tensor::F32(_) => solutions!(f32, linalg::solve_f32),
        Tensor::F64(_) => solutions!(f64, linalg::solve_f64),
        Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

fn sample_svd(rng: &mut Rng) -> Use {
    let batch = rng.below(2);
    let shape = rng.shape(batch + 2);
    let dtype = rng.float_kind();
    (Op::Svd, vec![rng.tensor(dtype, &shape)])
}

/// Sizes 0 and 1, equal singular values, rank below full.
fn special_svd() -> Vec<Use> {
    let mut uses = Vec::new();
    for dtype in [DType::F32, DType::F64] {
        uses.push((Op::Svd, vec![Tensor::full(dtype, &[0, 3], 0.0)]));
        uses.push((Op::Svd, vec![Tensor::full(dtype, &[2, 0], 0.0)]));
        uses.push((Op::Svd, vec![Tensor::full(dtype, &[1, 1], -2.0)]));
        uses.push((Op::Svd, vec![Tensor::full(dtype, &[3, 2], 1.0)]));
        uses.push((Op::Svd, vec![Tensor::from_vec(&[2, 2], vec![1.0, 0.0, 0.0, -1.0]).convert(dtype)]));
        uses.push((Op::Svd, vec![Tensor::full(dtype, &[0, 2, 2], 0.0)]));
    }
    uses
}

/// Matrices that dominate on the diagonal, hence are not singular.
fn sample_solve(rng: &mut Rng) -> Use {
    let batch = rng.below(2);
    let common = rng.shape(batch);
    let (n, p) = (rng.range(1, 5), rng.range(1, 4));
    let dtype = rng.float_kind();
    let count: usize = common.iter().product();
    let mut a = Vec::with_capacity(count * n * n);
    for _ in 0..count {
        for i in 0..n {
            a.extend((0..n).map(|j| rng.real(-0.8, 0.8) + if i == j { 4.0 } else { 0.0 }));
        }
    }
    let a = Tensor::from_vec(&[&common[..], &[n, n]].concat(), a).convert(dtype);
    let b = rng.tensor(dtype, &[&common[..], &[n, p]].concat());
    (Op::Solve, vec![a, b])
}

/// Sizes 0 and 1, and a matrix that needs a row exchange.
fn special_solve() -> Vec<Use> {
    let mut uses = Vec::new();
    for dtype in [DType::F32, DType::F64] {
        let full = |shape: &[usize], value| Tensor::full(dtype, shape, value);
        let exchange = Tensor::from_vec(&[2, 2], vec![0.0, 1.0, 2.0, 0.0]).convert(dtype);
        uses.push((Op::Solve, vec![full(&[1, 1], 4.0), full(&[1, 1], 2.0)]));
        uses.push((Op::Solve, vec![full(&[1, 1], 4.0), full(&[1, 0], 2.0)]));
        uses.push((Op::Solve, vec![full(&[0, 0], 0.0), full(&[0, 2], 0.0)]));
        uses.push((Op::Solve, vec![exchange, full(&[2, 1], 1.0)]));
    }
    uses
}
