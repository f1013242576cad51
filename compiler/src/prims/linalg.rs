//! Decompositions and linear systems.

use super::Prim;
use super::shape::{self, Rule};
use crate::ir::graph::{Op, Type};

pub static SVD: Prim = Prim { name: "svd", doc: "Thin singular value decomposition.", result: svd };
pub static SOLVE: Prim = Prim { name: "solve", doc: "Linear systems.", result: solve };

fn svd(_: &Op, args: &[&Type]) -> Rule {
    let [a] = shape::arity(args)?;
    shape::float(a)?;
    shape::require(a.rank() >= 2, || format!("takes matrices, not {a}"))?;
    let (batch, matrix) = a.shape.split_at(a.rank() - 2);
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
