//! Random numbers: functions of keys.

use super::Prim;
use super::shape::{self, Rule};
use crate::ir::graph::{Op, Type};
use dp_runtime::tensor::DType;

pub static NORMAL: Prim = Prim { name: "normal", doc: "Standard normal numbers.", result: draw };
pub static UNIFORM: Prim = Prim { name: "uniform", doc: "Uniform numbers in [0, 1).", result: draw };
pub static SPLIT: Prim = Prim { name: "split", doc: "New keys from keys.", result: split };
pub static FOLD_IN: Prim = Prim { name: "fold_in", doc: "The key named by a key and an integer.", result: fold_in };
pub static PERMUTATION: Prim = Prim { name: "permutation", doc: "Random permutations.", result: permutation };

fn draw(op: &Op, args: &[&Type]) -> Rule {
    let (Op::Normal { shape: each, dtype } | Op::Uniform { shape: each, dtype }) = op else { shape::wrong_row(op) };
    let [key] = shape::arity(args)?;
    shape::kind(key, DType::Key)?;
    shape::require(dtype.is_float(), || format!("draws floats, not {}", dtype.name()))?;
    shape::one(*dtype, [&key.shape[..], each].concat())
}

fn split(op: &Op, args: &[&Type]) -> Rule {
    let Op::Split { n } = op else { shape::wrong_row(op) };
    let [key] = shape::arity(args)?;
    shape::kind(key, DType::Key)?;
    shape::one(DType::Key, [&key.shape[..], &[*n]].concat())
}

fn fold_in(_: &Op, args: &[&Type]) -> Rule {
    let [key, int] = shape::arity(args)?;
    shape::kind(key, DType::Key)?;
    shape::kind(int, DType::I64)?;
    shape::require(key.shape == int.shape, || format!("takes operands of one shape, not {key} and {int}"))?;
    Ok(vec![key.clone()])
}

fn permutation(op: &Op, args: &[&Type]) -> Rule {
    let Op::Permutation { n } = op else { shape::wrong_row(op) };
    let [key] = shape::arity(args)?;
    shape::kind(key, DType::Key)?;
    shape::one(DType::I64, [&key.shape[..], &[*n]].concat())
}
