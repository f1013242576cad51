//! Reading and writing at computed indices. Every index is checked.

use super::sample::{Rng, Use};
use super::shape::{self, Rule};
use super::value::{Values, by_kind, wrong_kind};
use super::{Family, Prim};
use crate::ir::graph::{Op, Type};
use dp_runtime::fault::FaultKind;
use dp_runtime::tensor::{DType, Tensor};

pub static GATHER: Prim = Prim {
    name: "gather",
    doc: "Reads at indices.\n`gather(x, i1, ..., in)`: the index arrays, of one shape I, index the n leading axes of x; the result has \
          shape I ++ rest of x.\nAn index out of range is a fault.",
    family: Family::Indexing,
    plain: Some(|| Op::Gather),
    result: gather,
    eval: eval_gather,
    sample: sample_gather,
    special: special_gather,
};
pub static SCATTER_ADD: Prim = Prim {
    name: "scatter_add",
    doc: "Adds at indices.\n`scatter_add(acc, u, i1, ..., in)`: acc with u, of shape I ++ rest of acc, added at the indices, in row-major \
          order of I.\nAn index out of range is a fault.",
    family: Family::Indexing,
    plain: Some(|| Op::ScatterAdd),
    result: scatter_add,
    eval: eval_scatter_add,
    sample: sample_scatter_add,
    special: special_scatter_add,
};
pub static UPDATE: Prim = Prim {
    name: "update",
    doc: "Replaces one part.\n`update(x, u, i1, ..., in)` with scalar indices: x with the part at the indices replaced by u.\nAn index out \
          of range is a fault.",
    family: Family::Indexing,
    plain: Some(|| Op::Update),
    result: update,
    eval: eval_update,
    sample: sample_update,
    special: special_update,
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

/// Where the parts at these indices begin, and the length of a part. Faults at the first index, in row-major order,
/// that is out of range.
fn places(x: &[usize], indices: &[Tensor]) -> Result<(Vec<usize>, usize), FaultKind> {
    let part: usize = x[indices.len()..].iter().product();
    let lists: Vec<&[i64]> = indices.iter().map(|index| index.as_slice::<i64>()).collect();
    let mut starts = Vec::with_capacity(lists[0].len());
    for i in 0..lists[0].len() {
        let mut place = 0;
        for (axis, list) in lists.iter().enumerate() {
            let index = list[i];
            match usize::try_from(index) {
                Ok(checked) if checked < x[axis] => place = place * x[axis] + checked,
                Ok(_) | Err(_) => return Err(FaultKind::IndexOutOfRange { index, size: x[axis], axis }),
            }
        }
        starts.push(place * part);
    }
    Ok((starts, part))
}

fn eval_gather(_: &Op, args: Vec<Tensor>) -> Values {
    let (x, indices) = (&args[0], &args[1..]);
    let (starts, part) = places(x.shape(), indices)?;
    let to = [indices[0].shape(), &x.shape()[indices.len()..]].concat();
    Ok(vec![by_kind!(x.dtype(), T => {
        let data = x.as_slice::<T>();
        let mut result = Vec::with_capacity(starts.len() * part);
        for start in starts {
            result.extend_from_slice(&data[start..start + part]);
        }
        Tensor::from_vec(&to, result)
    })])
}

fn eval_scatter_add(op: &Op, mut args: Vec<Tensor>) -> Values {
    let indices = args.split_off(2);
    let u = args.remove(1);
    let acc = args.remove(0);
    let shape = acc.shape().to_vec();
    let (starts, part) = places(&shape, &indices)?;
    macro_rules! add {
        ($T:ty, $add:expr) => {{
            let mut data = acc.into_vec::<$T>();
            for (i, start) in starts.into_iter().enumerate() {
                let added = &u.as_slice::<$T>()[i * part..(i + 1) * part];
                data[start..start + part].iter_mut().zip(added).for_each(|(a, &b)| *a = $add(*a, b));
            }
            Tensor::from_vec(&shape, data)
        }};
    }
    Ok(vec![match acc {
        Tensor::F32(_) => add!(f32, |a: f32, b: f32| a + b),
        Tensor::F64(_) => add!(f64, |a: f64, b: f64| a + b),
        Tensor::I64(_) => add!(i64, i64::wrapping_add),
        Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

fn eval_update(_: &Op, mut args: Vec<Tensor>) -> Values {
    let indices = args.split_off(2);
    let u = args.remove(1);
    let x = args.remove(0);
    let shape = x.shape().to_vec();
    let (starts, part) = places(&shape, &indices)?;
    Ok(vec![by_kind!(x.dtype(), T => {
        let mut data = x.into_vec::<T>();
        data[starts[0]..starts[0] + part].copy_from_slice(u.as_slice::<T>());
        Tensor::from_vec(&shape, data)
    })])
}

/// The shape of an indexed array, index arrays of shape `at`, and the shape of the rest.
fn sample_indices(rng: &mut Rng, at: &[usize]) -> (Vec<usize>, Vec<Tensor>, Vec<usize>) {
    let rank = rng.range(1, 4);
    let shape = rng.shape(rank);
    let indexed = rng.range(1, rank + 1);
    let indices = shape[..indexed].iter().map(|&n| rng.indices(at, n)).collect();
    let rest = shape[indexed..].to_vec();
    (shape, indices, rest)
}

fn sample_gather(rng: &mut Rng) -> Use {
    let at = rng.any_shape();
    let (shape, indices, _) = sample_indices(rng, &at);
    let dtype = *rng.pick(&[DType::F32, DType::F64, DType::I64, DType::Bool]);
    let x = rng.tensor(dtype, &shape);
    (Op::Gather, [vec![x], indices].concat())
}

fn special_gather() -> Vec<Use> {
    let x = Tensor::from_vec(&[2, 2], vec![1.0, -0.0, f64::NAN, 4.0]);
    let none = Tensor::full(DType::I64, &[0, 3], 0.0);
    let empty = Tensor::full(DType::F32, &[2, 0], 0.0);
    vec![
        (Op::Gather, vec![x.clone(), none]),
        (Op::Gather, vec![x.clone(), Tensor::scalar(1i64), Tensor::scalar(0i64)]),
        (Op::Gather, vec![x, Tensor::from_vec(&[3], vec![1i64, 1, 0])]),
        (Op::Gather, vec![empty, Tensor::from_vec(&[2], vec![1i64, 1])]),
    ]
}

fn sample_scatter_add(rng: &mut Rng) -> Use {
    let at = rng.any_shape();
    let (shape, indices, rest) = sample_indices(rng, &at);
    let dtype = *rng.pick(&[DType::F32, DType::F64, DType::I64]);
    let acc = rng.tensor(dtype, &shape);
    let u = rng.tensor(dtype, &[at, rest].concat());
    (Op::ScatterAdd, [vec![acc, u], indices].concat())
}

/// Repeated indices, whose order shows in the rounding; none.
fn special_scatter_add() -> Vec<Use> {
    let acc = Tensor::from_vec(&[2], vec![1.0f32, -0.0]);
    let u = Tensor::from_vec(&[4], vec![1e8f32, 1.0, -1e8, 1.0]);
    let none = Tensor::full(DType::F32, &[0], 0.0);
    vec![
        (Op::ScatterAdd, vec![acc.clone(), u.clone(), Tensor::from_vec(&[4], vec![0i64; 4])]),
        (Op::ScatterAdd, vec![acc.clone(), u, Tensor::from_vec(&[4], vec![1i64, 0, 1, 0])]),
        (Op::ScatterAdd, vec![acc, none, Tensor::full(DType::I64, &[0], 0.0)]),
    ]
}

fn sample_update(rng: &mut Rng) -> Use {
    let (shape, indices, rest) = sample_indices(rng, &[]);
    let dtype = *rng.pick(&[DType::F32, DType::F64, DType::I64, DType::Bool]);
    let (x, u) = (rng.tensor(dtype, &shape), rng.tensor(dtype, &rest));
    (Op::Update, [vec![x, u], indices].concat())
}

fn special_update() -> Vec<Use> {
    let x = Tensor::from_vec(&[1, 2], vec![1.0, 2.0]);
    let zero = Tensor::scalar(0i64);
    vec![
        (Op::Update, vec![x.clone(), Tensor::from_vec(&[2], vec![-0.0, f64::NAN]), zero.clone()]),
        (Op::Update, vec![x, Tensor::scalar(f64::INFINITY), zero.clone(), Tensor::scalar(1i64)]),
        (Op::Update, vec![Tensor::full(DType::F32, &[1, 0], 0.0), Tensor::full(DType::F32, &[0], 0.0), zero]),
    ]
}
