//! Constants and operations that only move elements.

use super::Prim;
use super::shape::{self, Rule};
use crate::ir::graph::{Op, Type};
use dp_runtime::tensor::DType;

pub static CONST: Prim = Prim { name: "const", doc: "A constant of any shape.", result: constant };
pub static BROADCAST: Prim = Prim {
    name: "broadcast",
    doc: "Repeats along new axes.\nOperand axis i becomes result axis `axes[i]` (ascending), of equal size; other result axes are new.",
    result: broadcast,
};
pub static RESHAPE: Prim =
    Prim { name: "reshape", doc: "The same elements in row-major order under another shape.", result: reshape };
pub static PERMUTE: Prim =
    Prim { name: "permute", doc: "Reorders axes: result axis i is operand axis `perm[i]`.", result: permute };
pub static SLICE: Prim =
    Prim { name: "slice", doc: "Per axis the elements `start <= i < stop` in steps of `stride`.", result: slice };
pub static PAD: Prim = Prim {
    name: "pad",
    doc: "Zeros before (`low`), after (`high`) and between (`interior`) the elements of each axis.",
    result: pad,
};
pub static CONCAT: Prim = Prim { name: "concat", doc: "Joins one or more operands along an axis.", result: concat };
pub static REVERSE: Prim = Prim { name: "reverse", doc: "Reverses the order along axes.", result: reverse };
pub static IOTA: Prim = Prim { name: "iota", doc: "The integers 0, 1, ... along one axis.", result: iota };

fn constant(op: &Op, args: &[&Type]) -> Rule {
    let Op::Const(value) = op else { shape::wrong_row(op) };
    let [] = shape::arity(args)?;
    Ok(vec![Type::of(value)])
}

fn broadcast(op: &Op, args: &[&Type]) -> Rule {
    let Op::Broadcast { shape: to, axes } = op else { shape::wrong_row(op) };
    let [x] = shape::arity(args)?;
    shape::per_axis("axes", axes, x.rank())?;
    shape::axes(axes, to.len())?;
    let fits = axes.iter().zip(&x.shape).all(|(&axis, &n)| to[axis] == n);
    shape::require(fits, || format!("cannot broadcast {x} to {to:?} along axes {axes:?}"))?;
    shape::one(x.dtype, to.clone())
}

fn reshape(op: &Op, args: &[&Type]) -> Rule {
    let Op::Reshape { shape: to } = op else { shape::wrong_row(op) };
    let [x] = shape::arity(args)?;
    let result = shape::sized(x.dtype, to.clone())?;
    shape::require(result.len() == x.len(), || format!("cannot reshape {x} to {to:?}"))?;
    Ok(vec![result])
}

fn permute(op: &Op, args: &[&Type]) -> Rule {
    let Op::Permute { perm } = op else { shape::wrong_row(op) };
    let [x] = shape::arity(args)?;
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    let fits = sorted.iter().copied().eq(0..x.rank());
    shape::require(fits, || format!("{perm:?} is no permutation of the axes of {x}"))?;
    shape::one(x.dtype, perm.iter().map(|&p| x.shape[p]).collect())
}

fn slice(op: &Op, args: &[&Type]) -> Rule {
    let Op::Slice { start, stop, stride } = op else { shape::wrong_row(op) };
    let [x] = shape::arity(args)?;
    shape::per_axis("start", start, x.rank())?;
    shape::per_axis("stop", stop, x.rank())?;
    shape::per_axis("stride", stride, x.rank())?;
    let mut result = Vec::with_capacity(x.rank());
    for (axis, &n) in x.shape.iter().enumerate() {
        let (start, stop, stride) = (start[axis], stop[axis], stride[axis]);
        shape::require(start <= stop && stop <= n && stride >= 1, || {
            format!("cannot take {start}..{stop} in steps of {stride} from axis {axis} of {x}")
        })?;
        result.push((stop - start).div_ceil(stride));
    }
    shape::one(x.dtype, result)
}

fn pad(op: &Op, args: &[&Type]) -> Rule {
    let Op::Pad { low, high, interior } = op else { shape::wrong_row(op) };
    let [x] = shape::arity(args)?;
    shape::require(x.dtype != DType::Key, || "cannot pad keys".to_string())?;
    shape::per_axis("low", low, x.rank())?;
    shape::per_axis("high", high, x.rank())?;
    shape::per_axis("interior", interior, x.rank())?;
    let padded = |axis: usize| {
        let gaps = interior[axis].checked_mul(x.shape[axis].saturating_sub(1))?;
        x.shape[axis].checked_add(gaps)?.checked_add(low[axis])?.checked_add(high[axis])
    };
    match (0..x.rank()).map(padded).collect() {
        Some(result) => shape::one(x.dtype, result),
        None => Err(format!("the padding of {x} is too large")),
    }
}

fn concat(op: &Op, args: &[&Type]) -> Rule {
    let Op::Concat { axis } = op else { shape::wrong_row(op) };
    let (x, rest) = shape::first(args)?;
    shape::axis(*axis, x.rank())?;
    let mut result = x.shape.clone();
    for y in rest {
        let fits = y.dtype == x.dtype && y.rank() == x.rank();
        let fits = fits && (0..x.rank()).all(|i| i == *axis || x.shape[i] == y.shape[i]);
        shape::require(fits, || format!("cannot join {x} and {y} along axis {axis}"))?;
        result[*axis] = match result[*axis].checked_add(y.shape[*axis]) {
            Some(n) => n,
            None => return Err("the joined axis is too large".to_string()),
        };
    }
    shape::one(x.dtype, result)
}

fn reverse(op: &Op, args: &[&Type]) -> Rule {
    let Op::Reverse { axes } = op else { shape::wrong_row(op) };
    let [x] = shape::arity(args)?;
    shape::axes(axes, x.rank())?;
    Ok(vec![x.clone()])
}

fn iota(op: &Op, args: &[&Type]) -> Rule {
    let Op::Iota { shape: to, axis } = op else { shape::wrong_row(op) };
    let [] = shape::arity(args)?;
    shape::axis(*axis, to.len())?;
    shape::one(DType::I64, to.clone())
}
