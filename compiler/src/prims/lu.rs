//! Gaussian elimination with row exchanges.

use super::decompositions::{matrices, rectangular, squares};
use super::shape;
use super::value::{take, wrong_kind};
use super::{Family, Prim};
use crate::ir::graph::Op;
use dp_runtime::kernels::decompose;
use dp_runtime::tensor::{DType, Tensor};

pub static LU: Prim = Prim {
    name: "lu",
    doc: "`A[p] = L U` for `[B..., m, n]`: elimination with row exchanges, which take the first entry of largest size.\n\
          With k = min(m, n): the order of the rows `p [B..., m]`, `L [B..., m, k]` with ones on the diagonal, `U [B..., k, n]`.",
    family: Family::Linalg,
    plain: Some(|| Op::Lu),
    result: |_, args| {
        let (a, batch, matrix) = shape::matrices(args)?;
        let k = matrix[0].min(matrix[1]);
        Ok(vec![
            shape::sized(DType::I64, [batch, &matrix[..1]].concat())?,
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
                let mut p = vec![0i64; count * m];
                let (mut l, mut u) = (vec![0.0; count * m * k], vec![0.0; count * k * n]);
                decompose::lu::<$T>((count, m, n), a.as_slice(), &mut p, &mut l, &mut u);
                vec![
                    Tensor::from_vec(&[outer, &[m]].concat(), p),
                    Tensor::from_vec(&[outer, &[m, k]].concat(), l),
                    Tensor::from_vec(&[outer, &[k, n]].concat(), u),
                ]
            }};
        }
        Ok(match a {
            Tensor::F32(_) => factors!(f32),
            Tensor::F64(_) => factors!(f64),
            Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
        })
    },
    sample: |rng| {
        let reversed = rng.flip();
        (Op::Lu, vec![rectangular(rng, reversed)])
    },
    special: || {
        let mut uses = squares(Op::Lu, &[0.0, 1.0, -2.0, 0.0]);
        for dtype in [DType::F32, DType::F64] {
            // Without a pivot, not finite, empty, a column of equal sizes.
            uses.push((Op::Lu, vec![Tensor::from_vec(&[2, 2], vec![1.0, 2.0, 2.0, 4.0]).convert(dtype)]));
            uses.push((Op::Lu, vec![Tensor::from_vec(&[1, 2], vec![f64::NAN, 1.0]).convert(dtype)]));
            uses.push((Op::Lu, vec![Tensor::full(dtype, &[0, 3], 0.0)]));
            uses.push((Op::Lu, vec![Tensor::full(dtype, &[3, 0], 0.0)]));
            uses.push((Op::Lu, vec![Tensor::full(dtype, &[3, 2], -1.0)]));
        }
        uses
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prims::eval;

    #[test]
    fn a_column_without_a_pivot_is_skipped() {
        let a = Tensor::from_vec(&[3, 3], vec![0.0, 2.0, 1.0, 0.0, 4.0, 3.0, 0.0, 2.0, 5.0]);
        let parts = eval(&Op::Lu, std::slice::from_ref(&a)).expect("it does not fault");
        let (p, l, u) = (parts[0].to_f64_vec(), parts[1].to_f64_vec(), parts[2].to_f64_vec());
        let a = a.to_f64_vec();
        for i in 0..3 {
            for j in 0..3 {
                let product: f64 = (0..3).map(|k| l[i * 3 + k] * u[k * 3 + j]).sum();
                assert!((product - a[p[i] as usize * 3 + j]).abs() < 1e-14);
            }
        }
    }
}
