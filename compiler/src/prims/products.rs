//! Products of matrices and vectors.

use super::Prim;
use super::shape::{self, Rule};
use crate::ir::graph::{Op, Type};

pub static DOT: Prim = Prim { name: "dot", doc: "Matrix products.", result: dot };

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
