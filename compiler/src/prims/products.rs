//! Products of matrices and vectors.

use super::sample::{Rng, Use};
use super::shape::{self, Rule};
use super::sums::{f32s, f64s};
use super::value::{Values, take, wrong_kind};
use super::{Family, Prim};
use crate::ir::graph::{Op, Type};
use dp_runtime::tensor::{DType, Tensor};

pub static DOT: Prim = Prim {
    name: "dot",
    doc: "`[B..., M, K] x [B..., K, N] -> [B..., M, N]` with `batch` leading axes in common, on floats.\nWith M and N above 1 each element \
          is summed in blocks of 512, each one chain of fused multiply-adds;\nelse in lanes, like a sum over the last axis.",
    family: Family::Product,
    plain: None,
    result: dot,
    eval: eval_dot,
    sample: sample_dot,
    special: special_dot,
};

fn dot(op: &Op, args: &[&Type]) -> Rule {
    let Op::Dot { batch } = op else { shape::wrong_row(op) };
    let [a, b] = shape::arity(args)?;
    shape::float(a)?;
    let fits = a.dtype == b.dtype
        && a.rank() == batch + 2
        && b.rank() == batch + 2
        && a.shape[..*batch] == b.shape[..*batch]
        && a.shape[batch + 1] == b.shape[*batch];
    shape::require(fits, || format!("cannot multiply {a} and {b} with {batch} axes in common"))?;
    let mut result = a.shape.clone();
    result[batch + 1] = b.shape[batch + 1];
    shape::one(a.dtype, result)
}

fn eval_dot(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Dot { batch } = op else { shape::wrong_row(op) };
    let [a, b] = take(args);
    let (m, k, n) = (a.shape()[*batch], a.shape()[batch + 1], b.shape()[batch + 1]);
    let mut to = a.shape().to_vec();
    to[batch + 1] = n;
    let count: usize = to[..*batch].iter().product();
    macro_rules! products {
        ($T:ty, $sums:ident) => {{
            let (a, b) = (a.as_slice::<$T>(), b.as_slice::<$T>());
            let mut result = Vec::with_capacity(count * m * n);
            for i in 0..count {
                result.extend($sums::product(&a[i * m * k..][..m * k], &b[i * k * n..][..k * n], m, k, n));
            }
            Tensor::from_vec(&to, result)
        }};
    }
    Ok(vec![match a {
        Tensor::F32(_) => products!(f32, f32s),
        Tensor::F64(_) => products!(f64, f64s),
        Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

fn sample_dot(rng: &mut Rng) -> Use {
    let batch = rng.below(3);
    let common = rng.shape(batch);
    let (m, k, n) = (rng.range(1, 5), rng.range(1, 5), rng.range(1, 5));
    let dtype = rng.float_kind();
    let a = rng.tensor(dtype, &[&common[..], &[m, k]].concat());
    let b = rng.tensor(dtype, &[&common[..], &[k, n]].concat());
    (Op::Dot { batch }, vec![a, b])
}

/// Vectors on either side, nothing to sum, nothing to give, and sizes around the blocks.
fn special_dot() -> Vec<Use> {
    let mut rng = Rng::new(11);
    let mut uses = Vec::new();
    let sizes = [
        (1, 3, 1),
        (1, 1, 1),
        (1, 40, 3),
        (3, 40, 1),
        (2, 0, 3),
        (1, 0, 2),
        (0, 2, 2),
        (2, 2, 0),
        (2, 600, 3),
        (1, 4100, 2),
        (17, 33, 9),
    ];
    for dtype in [DType::F32, DType::F64] {
        for (m, k, n) in sizes {
            uses.push((Op::Dot { batch: 0 }, vec![rng.tensor(dtype, &[m, k]), rng.tensor(dtype, &[k, n])]));
        }
        uses.push((Op::Dot { batch: 1 }, vec![rng.tensor(dtype, &[0, 2, 3]), rng.tensor(dtype, &[0, 3, 2])]));
        // Products that underflow on either side of 0, and zeros of either sign.
        let tiny = if dtype == DType::F32 { 1e-30 } else { 1e-300 };
        let column = Tensor::from_vec(&[4, 1], vec![tiny, -tiny, 0.0, -0.0]).convert(dtype);
        let row = Tensor::full(dtype, &[1, 1], -tiny);
        uses.push((Op::Dot { batch: 0 }, vec![column.clone(), row.clone()]));
        uses.push((Op::Dot { batch: 0 }, vec![column.clone(), Tensor::full(dtype, &[1, 2], tiny)]));
        uses.push((Op::Dot { batch: 0 }, vec![row, column.reshape(&[1, 4])]));
        let nan = Tensor::full(dtype, &[2, 2], f64::NAN);
        uses.push((Op::Dot { batch: 0 }, vec![nan, Tensor::full(dtype, &[2, 2], 0.0)]));
    }
    uses
}
