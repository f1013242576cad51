//! Reductions, running sums and sorting.

use super::Prim;
use super::shape::{self, Rule};
use crate::ir::graph::{Op, Type};
use dp_runtime::tensor::DType;

pub static SUM: Prim = Prim { name: "sum", doc: "The sum over axes.", result: reduce_number };
pub static PROD: Prim = Prim { name: "prod", doc: "The product over axes.", result: reduce_number };
pub static REDUCE_MAX: Prim = Prim { name: "reduce_max", doc: "The greatest over axes.", result: reduce_number };
pub static REDUCE_MIN: Prim = Prim { name: "reduce_min", doc: "The least over axes.", result: reduce_number };
pub static ARG_MAX: Prim = Prim { name: "arg_max", doc: "The index of the greatest.", result: arg };
pub static ARG_MIN: Prim = Prim { name: "arg_min", doc: "The index of the least.", result: arg };
pub static ALL: Prim = Prim { name: "all", doc: "Whether all are true.", result: reduce_bool };
pub static ANY: Prim = Prim { name: "any", doc: "Whether any is true.", result: reduce_bool };
pub static CUM_SUM: Prim = Prim { name: "cum_sum", doc: "Running sums.", result: cum_sum };
pub static SORT: Prim = Prim { name: "sort", doc: "Sorts.", result: sort };

/// The axes a reduction drops.
fn reduced(op: &Op) -> &[usize] {
    match op {
        Op::Sum { axes }
        | Op::Prod { axes }
        | Op::ReduceMax { axes }
        | Op::ReduceMin { axes }
        | Op::All { axes }
        | Op::Any { axes } => axes,
        Op::ArgMax { axis } | Op::ArgMin { axis } | Op::CumSum { axis, .. } => std::slice::from_ref(axis),
        other => shape::wrong_row(other),
    }
}

fn reduce_number(op: &Op, args: &[&Type]) -> Rule {
    let [x] = shape::arity(args)?;
    shape::number(x)?;
    reduce(op, x)
}

fn reduce_bool(op: &Op, args: &[&Type]) -> Rule {
    let [x] = shape::arity(args)?;
    shape::kind(x, DType::Bool)?;
    reduce(op, x)
}

fn reduce(op: &Op, x: &Type) -> Rule {
    let axes = reduced(op);
    shape::require(!axes.is_empty(), || "takes at least one axis".to_string())?;
    shape::axes(axes, x.rank())?;
    shape::one(x.dtype, shape::without(&x.shape, axes))
}

fn arg(op: &Op, args: &[&Type]) -> Rule {
    let [x] = shape::arity(args)?;
    shape::number(x)?;
    let axes = reduced(op);
    shape::axes(axes, x.rank())?;
    shape::require(x.shape[axes[0]] > 0, || format!("has no element to choose along axis {} of {x}", axes[0]))?;
    shape::one(DType::I64, shape::without(&x.shape, axes))
}

fn cum_sum(op: &Op, args: &[&Type]) -> Rule {
    let [x] = shape::arity(args)?;
    shape::number(x)?;
    shape::axes(reduced(op), x.rank())?;
    Ok(vec![x.clone()])
}

fn sort(_: &Op, args: &[&Type]) -> Rule {
    let [x] = shape::arity(args)?;
    shape::number(x)?;
    shape::require(x.rank() >= 1, || "cannot sort a scalar".to_string())?;
    Ok(vec![x.clone(), shape::sized(DType::I64, x.shape.clone())?])
}
