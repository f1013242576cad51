//! Constants and operations that only move elements.

use super::sample::{Rng, Use, awkward};
use super::shape::{self, Rule};
use super::value::{Values, around, by_kind, for_runs, strides, take, view};
use super::{Family, Prim};
use crate::ir::graph::{Op, Type};
use dp_runtime::tensor::{DType, Tensor};

pub static CONST: Prim = Prim {
    name: "const",
    doc: "A constant of any shape.",
    family: Family::Structure,
    plain: None,
    result: constant,
    eval: eval_constant,
    sample: sample_constant,
    special: special_constant,
};
pub static BROADCAST: Prim = Prim {
    name: "broadcast",
    doc: "Repeats along new axes.\nOperand axis i becomes result axis `axes[i]` (ascending), of equal size; other result axes are new.",
    family: Family::Structure,
    plain: None,
    result: broadcast,
    eval: eval_broadcast,
    sample: sample_broadcast,
    special: special_broadcast,
};
pub static RESHAPE: Prim = Prim {
    name: "reshape",
    doc: "The same elements in row-major order under another shape.",
    family: Family::Structure,
    plain: None,
    result: reshape,
    eval: eval_reshape,
    sample: sample_reshape,
    special: special_reshape,
};
pub static PERMUTE: Prim = Prim {
    name: "permute",
    doc: "Reorders axes: result axis i is operand axis `perm[i]`.",
    family: Family::Structure,
    plain: None,
    result: permute,
    eval: eval_permute,
    sample: sample_permute,
    special: special_permute,
};
pub static SLICE: Prim = Prim {
    name: "slice",
    doc: "Per axis the elements `start <= i < stop` in steps of `stride`.",
    family: Family::Structure,
    plain: None,
    result: slice,
    eval: eval_slice,
    sample: sample_slice,
    special: special_slice,
};
pub static PAD: Prim = Prim {
    name: "pad",
    doc: "Zeros before (`low`), after (`high`) and between (`interior`) the elements of each axis.",
    family: Family::Structure,
    plain: None,
    result: pad,
    eval: eval_pad,
    sample: sample_pad,
    special: special_pad,
};
pub static CONCAT: Prim = Prim {
    name: "concat",
    doc: "Joins one or more operands along an axis.",
    family: Family::Structure,
    plain: None,
    result: concat,
    eval: eval_concat,
    sample: sample_concat,
    special: special_concat,
};
pub static REVERSE: Prim = Prim {
    name: "reverse",
    doc: "Reverses the order along axes.",
    family: Family::Structure,
    plain: None,
    result: reverse,
    eval: eval_reverse,
    sample: sample_reverse,
    special: special_reverse,
};
pub static IOTA: Prim = Prim {
    name: "iota",
    doc: "The integers 0, 1, ... along one axis.",
    family: Family::Structure,
    plain: None,
    result: iota,
    eval: eval_iota,
    sample: sample_iota,
    special: special_iota,
};

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

fn eval_constant(op: &Op, _: Vec<Tensor>) -> Values {
    let Op::Const(value) = op else { shape::wrong_row(op) };
    Ok(vec![value.clone()])
}

fn eval_broadcast(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Broadcast { shape: to, axes } = op else { shape::wrong_row(op) };
    let [x] = take(args);
    let mut steps = vec![0; to.len()];
    for (&axis, step) in axes.iter().zip(strides(x.shape())) {
        steps[axis] = step;
    }
    Ok(vec![view(&x, to, &steps, 0)])
}

fn eval_reshape(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Reshape { shape: to } = op else { shape::wrong_row(op) };
    Ok(vec![args[0].reshape(to)])
}

fn eval_permute(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Permute { perm } = op else { shape::wrong_row(op) };
    let [x] = take(args);
    Ok(vec![permuted(&x, perm)])
}

/// Result axis i is operand axis `perm[i]`.
pub fn permuted(x: &Tensor, perm: &[usize]) -> Tensor {
    if perm.windows(2).all(|w| w[0] < w[1]) {
        return x.clone();
    }
    let steps = strides(x.shape());
    let to: Vec<usize> = perm.iter().map(|&p| x.shape()[p]).collect();
    let steps: Vec<isize> = perm.iter().map(|&p| steps[p]).collect();
    view(x, &to, &steps, 0)
}

fn eval_slice(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Slice { start, stop, stride } = op else { shape::wrong_row(op) };
    let [x] = take(args);
    let mut offset = 0;
    let mut steps = strides(x.shape());
    let mut to = Vec::with_capacity(steps.len());
    for (axis, step) in steps.iter_mut().enumerate() {
        offset += start[axis] as isize * *step;
        *step *= stride[axis] as isize;
        to.push((stop[axis] - start[axis]).div_ceil(stride[axis]));
    }
    Ok(vec![view(&x, &to, &steps, offset)])
}

fn eval_pad(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Pad { low, high, interior } = op else { shape::wrong_row(op) };
    let [x] = take(args);
    let from = x.shape();
    let padded = |axis: usize| low[axis] + from[axis] + from[axis].saturating_sub(1) * interior[axis] + high[axis];
    let to: Vec<usize> = (0..from.len()).map(padded).collect();
    let mut offset = 0;
    let mut steps = strides(&to);
    for (axis, step) in steps.iter_mut().enumerate() {
        offset += low[axis] as isize * *step;
        *step *= interior[axis] as isize + 1;
    }
    let zeros = Tensor::full(x.dtype(), &to, 0.0);
    Ok(vec![by_kind!(x.dtype(), T => {
        let mut result = zeros.into_vec::<T>();
        let mut values = x.as_slice::<T>().iter();
        for_runs(from, &steps, offset, |start, n, stride| {
            for (i, &value) in (0..n as isize).zip(values.by_ref()) {
                result[(start + i * stride) as usize] = value;
            }
        });
        Tensor::from_vec(&to, result)
    })])
}

fn eval_concat(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Concat { axis } = op else { shape::wrong_row(op) };
    let mut to = args[0].shape().to_vec();
    to[*axis] = args.iter().map(|x| x.shape()[*axis]).sum();
    let (outer, _, inner) = around(&to, *axis);
    Ok(vec![by_kind!(args[0].dtype(), T => {
        let mut result = Vec::with_capacity(to.iter().product());
        for i in 0..outer {
            for x in &args {
                let n = x.shape()[*axis] * inner;
                result.extend_from_slice(&x.as_slice::<T>()[i * n..(i + 1) * n]);
            }
        }
        Tensor::from_vec(&to, result)
    })])
}

fn eval_reverse(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Reverse { axes } = op else { shape::wrong_row(op) };
    let [x] = take(args);
    let mut offset = 0;
    let mut steps = strides(x.shape());
    for &axis in axes {
        offset += steps[axis] * (x.shape()[axis] as isize - 1);
        steps[axis] = -steps[axis];
    }
    Ok(vec![view(&x, x.shape(), &steps, offset)])
}

fn eval_iota(op: &Op, _: Vec<Tensor>) -> Values {
    let Op::Iota { shape: to, axis } = op else { shape::wrong_row(op) };
    let (outer, n, inner) = around(to, *axis);
    let mut result = Vec::with_capacity(outer * n * inner);
    for _ in 0..outer {
        for i in 0..n {
            result.resize(result.len() + inner, i as i64);
        }
    }
    Ok(vec![Tensor::from_vec(to, result)])
}

/// Any kind that may be moved and padded, with a shape.
fn any_tensor(rng: &mut Rng, shape: &[usize]) -> Tensor {
    let dtype = *rng.pick(&[DType::F32, DType::F64, DType::F64, DType::I64, DType::Bool]);
    rng.tensor(dtype, shape)
}

fn sample_constant(rng: &mut Rng) -> Use {
    let shape = rng.any_shape();
    (Op::Const(any_tensor(rng, &shape)), vec![])
}

fn special_constant() -> Vec<Use> {
    let kinds = [DType::F32, DType::F64, DType::I64, DType::Bool, DType::Key];
    kinds.into_iter().map(|dtype| (Op::Const(awkward(dtype)), vec![])).collect()
}

fn sample_broadcast(rng: &mut Rng) -> Use {
    let shape = rng.any_shape();
    let axes: Vec<usize> = (0..shape.len()).filter(|_| rng.flip()).collect();
    let from: Vec<usize> = axes.iter().map(|&a| shape[a]).collect();
    (Op::Broadcast { shape, axes }, vec![any_tensor(rng, &from)])
}

fn special_broadcast() -> Vec<Use> {
    let x = Tensor::full(DType::F64, &[0], 1.0);
    let unit = Tensor::full(DType::F32, &[1, 1], 3.0);
    let row = Tensor::from_vec(&[3], vec![1.0, -0.0, f64::NAN]);
    vec![
        (Op::Broadcast { shape: vec![3, 0], axes: vec![1] }, vec![x.clone()]),
        (Op::Broadcast { shape: vec![0, 2], axes: vec![0] }, vec![x]),
        (Op::Broadcast { shape: vec![0, 4], axes: vec![] }, vec![Tensor::scalar(1.5)]),
        (Op::Broadcast { shape: vec![1, 2, 1], axes: vec![0, 2] }, vec![unit]),
        (Op::Broadcast { shape: vec![2, 3, 2], axes: vec![1] }, vec![row]),
        (Op::Broadcast { shape: vec![2, 2], axes: vec![] }, vec![Tensor::scalar(u64::MAX)]),
    ]
}

fn sample_reshape(rng: &mut Rng) -> Use {
    let mut to = rng.any_shape();
    let x = any_tensor(rng, &to);
    if to.len() >= 2 && rng.flip() {
        let last = to.pop().unwrap_or(1);
        to[0] *= last;
    } else {
        to.insert(rng.below(to.len() + 1), 1);
    }
    (Op::Reshape { shape: to }, vec![x])
}

fn special_reshape() -> Vec<Use> {
    let none = Tensor::full(DType::F64, &[0, 3], 1.0);
    let one = Tensor::full(DType::F32, &[1, 1], 1.0);
    vec![(Op::Reshape { shape: vec![2, 0, 5] }, vec![none]), (Op::Reshape { shape: vec![] }, vec![one])]
}

fn sample_permute(rng: &mut Rng) -> Use {
    let shape = rng.any_shape();
    let mut perm: Vec<usize> = (0..shape.len()).collect();
    for i in 1..perm.len() {
        perm.swap(i, rng.below(i + 1));
    }
    (Op::Permute { perm }, vec![any_tensor(rng, &shape)])
}

fn special_permute() -> Vec<Use> {
    let none = Tensor::full(DType::F64, &[0, 3], 1.0);
    let unit = Tensor::from_vec(&[2, 1, 3], vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
    vec![
        (Op::Permute { perm: vec![1, 0] }, vec![none]),
        (Op::Permute { perm: vec![2, 1, 0] }, vec![unit]),
        (Op::Permute { perm: vec![] }, vec![Tensor::scalar(true)]),
    ]
}

fn sample_slice(rng: &mut Rng) -> Use {
    let shape = rng.any_shape();
    let stop: Vec<usize> = shape.iter().map(|&n| rng.below(n) + 1).collect();
    let start = stop.iter().map(|&n| rng.below(n)).collect();
    let stride = shape.iter().map(|_| rng.range(1, 4)).collect();
    (Op::Slice { start, stop, stride }, vec![any_tensor(rng, &shape)])
}

fn special_slice() -> Vec<Use> {
    let x = Tensor::from_vec(&[5], vec![0.0, 1.0, 2.0, 3.0, 4.0]);
    let slice = |start, stop, stride| Op::Slice { start: vec![start], stop: vec![stop], stride: vec![stride] };
    vec![
        (slice(2, 2, 1), vec![x.clone()]),
        (slice(5, 5, 3), vec![x.clone()]),
        (slice(0, 5, 3), vec![x.clone()]),
        (slice(1, 5, 100), vec![x]),
        (Op::Slice { start: vec![], stop: vec![], stride: vec![] }, vec![Tensor::scalar(1.0f32)]),
    ]
}

fn sample_pad(rng: &mut Rng) -> Use {
    let shape = rng.any_shape();
    let mut sizes = || -> Vec<usize> { shape.iter().map(|_| rng.below(3)).collect() };
    let op = Op::Pad { low: sizes(), high: sizes(), interior: sizes() };
    (op, vec![any_tensor(rng, &shape)])
}

fn special_pad() -> Vec<Use> {
    let pad = |low, high, interior| Op::Pad { low: vec![low], high: vec![high], interior: vec![interior] };
    vec![
        (pad(1, 2, 5), vec![Tensor::full(DType::F64, &[0], 1.0)]),
        (pad(0, 0, 7), vec![Tensor::full(DType::F32, &[1], 1.0)]),
        (pad(0, 0, 0), vec![Tensor::full(DType::I64, &[2], 1.0)]),
        (Op::Pad { low: vec![], high: vec![], interior: vec![] }, vec![Tensor::scalar(1.0)]),
    ]
}

fn sample_concat(rng: &mut Rng) -> Use {
    let rank = rng.range(1, 4);
    let mut shape = rng.shape(rank);
    let axis = rng.below(rank);
    let dtype = *rng.pick(&[DType::F32, DType::F64, DType::I64, DType::Bool]);
    let mut args = Vec::new();
    for _ in 0..rng.range(1, 4) {
        shape[axis] = rng.below(4);
        args.push(rng.tensor(dtype, &shape));
    }
    (Op::Concat { axis }, args)
}

fn special_concat() -> Vec<Use> {
    let none = Tensor::full(DType::F64, &[2, 0], 1.0);
    vec![
        (Op::Concat { axis: 1 }, vec![none.clone(), Tensor::full(DType::F64, &[2, 3], -0.0), none.clone()]),
        (Op::Concat { axis: 0 }, vec![none.clone(), none]),
        (Op::Concat { axis: 0 }, vec![awkward(DType::Key), awkward(DType::Key)]),
    ]
}

fn sample_reverse(rng: &mut Rng) -> Use {
    let shape = rng.any_shape();
    let axes = (0..shape.len()).filter(|_| rng.flip()).collect();
    (Op::Reverse { axes }, vec![any_tensor(rng, &shape)])
}

fn special_reverse() -> Vec<Use> {
    let none = Tensor::full(DType::F64, &[2, 0], 1.0);
    let one = Tensor::full(DType::F32, &[1], 1.0);
    vec![
        (Op::Reverse { axes: vec![0, 1] }, vec![none]),
        (Op::Reverse { axes: vec![0] }, vec![one]),
        (Op::Reverse { axes: vec![0] }, vec![awkward(DType::F64)]),
    ]
}

fn sample_iota(rng: &mut Rng) -> Use {
    let rank = rng.range(1, 4);
    (Op::Iota { shape: rng.shape(rank), axis: rng.below(rank) }, vec![])
}

fn special_iota() -> Vec<Use> {
    vec![(Op::Iota { shape: vec![0], axis: 0 }, vec![]), (Op::Iota { shape: vec![3, 0, 2], axis: 0 }, vec![])]
}
