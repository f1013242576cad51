//! Reading and writing at computed indices. Every index is checked.

use super::Prim;
use super::shape::{self, Rule};
use crate::ir::graph::{Op, Type};
use dp_runtime::tensor::DType;

pub static GATHER: Prim = Prim {
    name: "gather",
    doc: "Reads at indices.\n`gather(x, i1, ..., in)`: the index arrays, of one shape I, index the n leading axes of x; the result has \
          shape I ++ rest of x.\nAn index out of range is a fault.",
    result: gather,
};
pub static SCATTER_ADD: Prim = Prim {
    name: "scatter_add",
    doc: "Adds at indices.\n`scatter_add(acc, u, i1, ..., in)`: acc with u, of shape I ++ rest of acc, added at the indices, in row-major \
          order of I.\nAn index out of range is a fault.",
    result: scatter_add,
};
pub static UPDATE: Prim = Prim {
    name: "update",
    doc: "Replaces one part.\n`update(x, u, i1, ..., in)` with scalar indices: x with the part at the indices replaced by u.\nAn index out \
          of range is a fault.",
    result: update,
};

fn gather(_: &Op, args: &[&Type]) -> Rule {
    let (x, indices) = shape::first(args)?;
    shape::one(x.dtype, part(x, indices)?)
}

fn scatter_add(_: &Op, args: &[&Type]) -> Rule {
    let (acc, rest) = shape::first(args)?;
    let (u, indices) = shape::first(rest)?;
    shape::number(acc)?;
    fits(acc, u, indices)?;
    Ok(vec![acc.clone()])
}

fn update(_: &Op, args: &[&Type]) -> Rule {
    let (x, rest) = shape::first(args)?;
    let (u, indices) = shape::first(rest)?;
    fits(x, u, indices)?;
    indices.iter().try_for_each(|index| shape::scalar(index, DType::I64))?;
    Ok(vec![x.clone()])
}

fn fits(x: &Type, u: &Type, indices: &[&Type]) -> Result<(), String> {
    let part = part(x, indices)?;
    let ok = u.dtype == x.dtype && u.shape == part;
    shape::require(ok, || format!("takes a part of shape {part:?} of {x}, not {u}"))
}

/// The shape of the part of `x` at these indices.
fn part(x: &Type, indices: &[&Type]) -> Result<Vec<usize>, String> {
    let (index, others) = shape::first(indices)?;
    shape::kind(index, DType::I64)?;
    others.iter().try_for_each(|other| shape::same(index, other))?;
    shape::require(indices.len() <= x.rank(), || format!("cannot index {x} with {} indices", indices.len()))?;
    Ok([&index.shape, &x.shape[indices.len()..]].concat())
}
