//! Random numbers: functions of keys.

use super::sample::{Rng, Use};
use super::shape::{self, Rule};
use super::value::{Values, take};
use super::{Family, Prim};
use crate::ir::graph::{Op, Type};
use dp_runtime::random;
use dp_runtime::tensor::{DType, Tensor};

pub static NORMAL: Prim = Prim {
    name: "normal",
    doc: "Keys of shape S to standard normal numbers of shape S ++ shape.\nNumber i depends on its key and i alone.",
    family: Family::Random,
    plain: None,
    result: draw,
    eval: eval_normal,
    sample: |rng| sample_draw(rng, |shape, dtype| Op::Normal { shape, dtype }),
    special: || special_draw(|shape, dtype| Op::Normal { shape, dtype }),
};

pub static UNIFORM: Prim = Prim {
    name: "uniform",
    doc: "Keys of shape S to uniform numbers in [0, 1) of shape S ++ shape.\nNumber i depends on its key and i alone.",
    family: Family::Random,
    plain: None,
    result: draw,
    eval: eval_uniform,
    sample: |rng| sample_draw(rng, |shape, dtype| Op::Uniform { shape, dtype }),
    special: || special_draw(|shape, dtype| Op::Uniform { shape, dtype }),
};

pub static SPLIT: Prim = Prim {
    name: "split",
    doc: "Keys of shape S to keys of shape S ++ [n].",
    family: Family::Random,
    plain: None,
    result: split,
    eval: eval_split,
    sample: |rng| sample_sized(rng, |n| Op::Split { n }),
    special: || special_sized(|n| Op::Split { n }),
};

pub static FOLD_IN: Prim = Prim {
    name: "fold_in",
    doc: "The key named by a key and an integer, elementwise.",
    family: Family::Elementwise,
    plain: Some(|| Op::FoldIn),
    result: fold_in,
    eval: eval_fold_in,
    sample: sample_fold_in,
    special: special_fold_in,
};

pub static PERMUTATION: Prim = Prim {
    name: "permutation",
    doc: "Keys of shape S to random permutations of 0..n, of shape S ++ [n].",
    family: Family::Random,
    plain: None,
    result: permutation,
    eval: eval_permutation,
    sample: |rng| sample_sized(rng, |n| Op::Permutation { n }),
    special: || special_sized(|n| Op::Permutation { n }),
};

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

/// What `each` gives for every key, joined along new last axes.
macro_rules! for_keys {
    ($keys:expr, $shape:expr, $T:ty, $each:expr) => {{
        let to = [$keys.shape(), $shape].concat();
        let n: usize = $shape.iter().product();
        let mut result: Vec<$T> = vec![<$T>::default(); to.iter().product()];
        if n > 0 {
            for (&key, part) in $keys.as_slice::<u64>().iter().zip(result.chunks_exact_mut(n)) {
                $each(key, part);
            }
        }
        Ok(vec![Tensor::from_vec(&to, result)])
    }};
}

fn eval_normal(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Normal { shape: each, dtype } = op else { shape::wrong_row(op) };
    let [keys] = take(args);
    if *dtype == DType::F32 {
        for_keys!(keys, &each[..], f32, random::normal_f32)
    } else {
        for_keys!(keys, &each[..], f64, random::normal_f64)
    }
}

fn eval_uniform(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Uniform { shape: each, dtype } = op else { shape::wrong_row(op) };
    let [keys] = take(args);
    if *dtype == DType::F32 {
        for_keys!(keys, &each[..], f32, random::uniform_f32)
    } else {
        for_keys!(keys, &each[..], f64, random::uniform_f64)
    }
}

fn eval_split(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Split { n } = op else { shape::wrong_row(op) };
    let [keys] = take(args);
    for_keys!(keys, &[*n], u64, |key, part: &mut [u64]| part.copy_from_slice(&random::split(key, *n)))
}

fn eval_fold_in(_: &Op, args: Vec<Tensor>) -> Values {
    let [keys, ints] = take(args);
    let pairs = keys.as_slice::<u64>().iter().zip(ints.as_slice::<i64>());
    Ok(vec![Tensor::from_vec(keys.shape(), pairs.map(|(&key, &int)| random::fold_in(key, int as u64)).collect())])
}

fn eval_permutation(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Permutation { n } = op else { shape::wrong_row(op) };
    let [keys] = take(args);
    for_keys!(keys, &[*n], i64, |key, part: &mut [i64]| part.copy_from_slice(&random::permutation(key, *n)))
}

fn sample_keys(rng: &mut Rng) -> Tensor {
    let rank = rng.below(3);
    let shape = rng.shape(rank);
    rng.tensor(DType::Key, &shape)
}

fn sample_draw(rng: &mut Rng, op: fn(Vec<usize>, DType) -> Op) -> Use {
    let keys = sample_keys(rng);
    let shape = rng.any_shape();
    (op(shape, rng.float_kind()), vec![keys])
}

fn special_draw(op: fn(Vec<usize>, DType) -> Op) -> Vec<Use> {
    let key = Tensor::scalar(u64::MAX);
    let mut uses = Vec::new();
    for dtype in [DType::F32, DType::F64] {
        uses.push((op(vec![0], dtype), vec![key.clone()]));
        uses.push((op(vec![], dtype), vec![key.clone()]));
        uses.push((op(vec![37], dtype), vec![Tensor::from_vec(&[2], vec![0u64, 0])]));
        uses.push((op(vec![3], dtype), vec![Tensor::full(DType::Key, &[0], 0.0)]));
    }
    uses
}

fn sample_sized(rng: &mut Rng, op: fn(usize) -> Op) -> Use {
    let keys = sample_keys(rng);
    (op(rng.below(6)), vec![keys])
}

fn special_sized(op: fn(usize) -> Op) -> Vec<Use> {
    let key = Tensor::scalar(3u64);
    vec![(op(0), vec![key.clone()]), (op(1), vec![key]), (op(2), vec![Tensor::full(DType::Key, &[0], 0.0)])]
}

fn sample_fold_in(rng: &mut Rng) -> Use {
    let keys = sample_keys(rng);
    let ints = rng.tensor(DType::I64, keys.shape());
    (Op::FoldIn, vec![keys, ints])
}

fn special_fold_in() -> Vec<Use> {
    let keys = Tensor::from_vec(&[3], vec![0u64, 1, u64::MAX]);
    let ints = Tensor::from_vec(&[3], vec![0i64, -1, i64::MIN]);
    let none = (Op::FoldIn, vec![Tensor::full(DType::Key, &[0], 0.0), Tensor::full(DType::I64, &[0], 0.0)]);
    vec![(Op::FoldIn, vec![keys, ints]), none]
}
