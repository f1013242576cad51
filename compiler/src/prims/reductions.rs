//! Reductions, running sums and sorting.

use super::sample::{self, Rng, Use, awkward};
use super::shape::{self, Rule};
use super::structure::permuted;
use super::sums::{f32s, f64s};
use super::value::{Values, around, take, wrong_kind};
use super::{Family, Prim};
use crate::ir::graph::{Op, Type};
use dp_runtime::tensor::{DType, Element, Tensor};

pub static SUM: Prim = Prim {
    name: "sum",
    doc: "Sums over axes, in the order that `sums` defines; integers wrap.\nTrailing axes are summed first, in lanes; then the others, in blocks. Nothing sums to 0.",
    family: Family::Reduction,
    plain: None,
    result: reduce_number,
    eval: eval_sum,
    sample: |rng| sample_reduce(rng, &[DType::F32, DType::F64, DType::I64], |axes| Op::Sum { axes }),
    special: || special_reduce(&[DType::F32, DType::F64, DType::I64], |axes| Op::Sum { axes }),
};

pub static PROD: Prim = Prim {
    name: "prod",
    doc: "Products over axes, one ascending chain from 1; integers wrap.",
    family: Family::Reduction,
    plain: None,
    result: reduce_number,
    eval: eval_prod,
    sample: |rng| sample_reduce(rng, &[DType::F32, DType::F64, DType::I64], |axes| Op::Prod { axes }),
    special: || special_reduce(&[DType::F32, DType::F64, DType::I64], |axes| Op::Prod { axes }),
};

pub static REDUCE_MAX: Prim = Prim {
    name: "reduce_max",
    doc: "The greatest over axes; NaN if any is NaN; 0 is above -0.\nOf nothing: -inf, or the least integer.",
    family: Family::Reduction,
    plain: None,
    result: reduce_number,
    eval: eval_max,
    sample: |rng| sample_reduce(rng, &[DType::F32, DType::F64, DType::I64], |axes| Op::ReduceMax { axes }),
    special: || special_reduce(&[DType::F32, DType::F64, DType::I64], |axes| Op::ReduceMax { axes }),
};

pub static REDUCE_MIN: Prim = Prim {
    name: "reduce_min",
    doc: "The least over axes; NaN if any is NaN; -0 is below 0.\nOf nothing: inf, or the greatest integer.",
    family: Family::Reduction,
    plain: None,
    result: reduce_number,
    eval: eval_min,
    sample: |rng| sample_reduce(rng, &[DType::F32, DType::F64, DType::I64], |axes| Op::ReduceMin { axes }),
    special: || special_reduce(&[DType::F32, DType::F64, DType::I64], |axes| Op::ReduceMin { axes }),
};

pub static ALL: Prim = Prim {
    name: "all",
    doc: "Whether all over axes are true; true of nothing.",
    family: Family::Reduction,
    plain: None,
    result: reduce_bool,
    eval: eval_all,
    sample: |rng| sample_reduce(rng, &[DType::Bool], |axes| Op::All { axes }),
    special: || special_reduce(&[DType::Bool], |axes| Op::All { axes }),
};

pub static ANY: Prim = Prim {
    name: "any",
    doc: "Whether any over axes is true; false of nothing.",
    family: Family::Reduction,
    plain: None,
    result: reduce_bool,
    eval: eval_any,
    sample: |rng| sample_reduce(rng, &[DType::Bool], |axes| Op::Any { axes }),
    special: || special_reduce(&[DType::Bool], |axes| Op::Any { axes }),
};

pub static ARG_MAX: Prim = Prim {
    name: "arg_max",
    doc: "The first index of the greatest element along an axis that is not empty.\nA NaN counts as the greatest; both zeros are equal.",
    family: Family::Reduction,
    plain: None,
    result: arg,
    eval: eval_arg_max,
    sample: |rng| sample_axis(rng, |axis| Op::ArgMax { axis }),
    special: || special_axis(|axis| Op::ArgMax { axis }),
};

pub static ARG_MIN: Prim = Prim {
    name: "arg_min",
    doc: "The first index of the least element along an axis that is not empty.\nA NaN counts as the least; both zeros are equal.",
    family: Family::Reduction,
    plain: None,
    result: arg,
    eval: eval_arg_min,
    sample: |rng| sample_axis(rng, |axis| Op::ArgMin { axis }),
    special: || special_axis(|axis| Op::ArgMin { axis }),
};

pub static CUM_SUM: Prim = Prim {
    name: "cum_sum",
    doc: "Running sums along one axis, one ascending chain from +0; from the end if `reverse`.",
    family: Family::Reduction,
    plain: None,
    result: cum_sum,
    eval: eval_cum_sum,
    sample: sample_cum_sum,
    special: special_cum_sum,
};

pub static SORT: Prim = Prim {
    name: "sort",
    doc: "Stable ascending sort along the last axis: the sorted values and their original indices.\nNaNs come last; both zeros \
          are equal.",
    family: Family::Reduction,
    plain: Some(|| Op::Sort),
    result: sort,
    eval: eval_sort,
    sample: sample_sort,
    special: special_sort,
};

/// The axes a reduction drops.
fn reduced(op: &Op) -> &[usize] {
    match op {
        Op::ArgMax { axis } | Op::ArgMin { axis } | Op::CumSum { axis, .. } => std::slice::from_ref(axis),
        other => other.reduced_axes().unwrap_or_else(|| shape::wrong_row(other)),
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

/// The shape kept, and the elements as a matrix whose rows are summed over and whose columns are kept.
fn as_rows(x: &Tensor, axes: &[usize]) -> (Vec<usize>, Tensor, usize) {
    let kept: Vec<usize> = (0..x.shape().len()).filter(|axis| !axes.contains(axis)).collect();
    let to: Vec<usize> = kept.iter().map(|&axis| x.shape()[axis]).collect();
    let columns = to.iter().product();
    (to, permuted(x, &[axes, &kept].concat()), columns)
}

/// Folds over axes, ascending in row-major order.
fn fold<T: Element>(x: &Tensor, axes: &[usize], start: T, f: impl Fn(T, T) -> T) -> Tensor {
    let (to, rows, columns) = as_rows(x, axes);
    let mut acc = vec![start; columns];
    if columns > 0 {
        for row in rows.as_slice::<T>().chunks_exact(columns) {
            acc.iter_mut().zip(row).for_each(|(acc, &v)| *acc = f(*acc, v));
        }
    }
    Tensor::from_vec(&to, acc)
}

fn eval_sum(op: &Op, args: Vec<Tensor>) -> Values {
    let [x] = take(args);
    let axes = reduced(op);
    let rank = x.shape().len();
    let trailing = (1..=axes.len()).take_while(|&n| axes[axes.len() - n] == rank - n).count();
    let (others, last) = axes.split_at(axes.len() - trailing);
    macro_rules! sum {
        ($T:ty, $sums:ident) => {{
            let mut x = x;
            if !last.is_empty() {
                let to = x.shape()[..rank - trailing].to_vec();
                let n: usize = x.shape()[rank - trailing..].iter().product();
                let data = x.as_slice::<$T>();
                let sums = if n == 0 {
                    vec![0.0; to.iter().product()]
                } else {
                    data.chunks_exact(n).map($sums::sum).collect()
                };
                x = Tensor::from_vec(&to, sums);
            }
            if !others.is_empty() {
                let (to, rows, columns) = as_rows(&x, others);
                x = Tensor::from_vec(&to, $sums::sum_rows(rows.as_slice::<$T>(), columns));
            }
            x
        }};
    }
    Ok(vec![match x {
        Tensor::F32(_) => sum!(f32, f32s),
        Tensor::F64(_) => sum!(f64, f64s),
        Tensor::I64(_) => fold::<i64>(&x, axes, 0, i64::wrapping_add),
        Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

fn eval_prod(op: &Op, args: Vec<Tensor>) -> Values {
    let [x] = take(args);
    let axes = reduced(op);
    Ok(vec![match x {
        Tensor::F32(_) => fold::<f32>(&x, axes, 1.0, |a, b| a * b),
        Tensor::F64(_) => fold::<f64>(&x, axes, 1.0, |a, b| a * b),
        Tensor::I64(_) => fold::<i64>(&x, axes, 1, i64::wrapping_mul),
        Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

/// The greater of two floats; NaN if either is NaN; 0 is above -0.
macro_rules! greater {
    ($a:expr, $b:expr) => {{
        let (a, b) = ($a, $b);
        if a.is_nan() || b.is_nan() {
            a + b
        } else if a > b || (a == b && b.is_sign_negative()) {
            a
        } else {
            b
        }
    }};
}

fn eval_max(op: &Op, args: Vec<Tensor>) -> Values {
    let [x] = take(args);
    let axes = reduced(op);
    Ok(vec![match x {
        Tensor::F32(_) => fold::<f32>(&x, axes, f32::NEG_INFINITY, |a, b| greater!(a, b)),
        Tensor::F64(_) => fold::<f64>(&x, axes, f64::NEG_INFINITY, |a, b| greater!(a, b)),
        Tensor::I64(_) => fold::<i64>(&x, axes, i64::MIN, i64::max),
        Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

fn eval_min(op: &Op, args: Vec<Tensor>) -> Values {
    let [x] = take(args);
    let axes = reduced(op);
    Ok(vec![match x {
        Tensor::F32(_) => fold::<f32>(&x, axes, f32::INFINITY, |a, b| -greater!(-a, -b)),
        Tensor::F64(_) => fold::<f64>(&x, axes, f64::INFINITY, |a, b| -greater!(-a, -b)),
        Tensor::I64(_) => fold::<i64>(&x, axes, i64::MAX, i64::min),
        Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

fn eval_all(op: &Op, args: Vec<Tensor>) -> Values {
    let [x] = take(args);
    Ok(vec![fold::<bool>(&x, reduced(op), true, |a, b| a & b)])
}

fn eval_any(op: &Op, args: Vec<Tensor>) -> Values {
    let [x] = take(args);
    Ok(vec![fold::<bool>(&x, reduced(op), false, |a, b| a | b)])
}

/// The index along an axis that no later one beats.
fn choose<T: Element>(x: &Tensor, axis: usize, beats: impl Fn(T, T) -> bool) -> Tensor {
    let (outer, n, inner) = around(x.shape(), axis);
    let data = x.as_slice::<T>();
    let mut result = Vec::with_capacity(outer * inner);
    for i in 0..outer {
        for j in 0..inner {
            let at = |k: usize| data[(i * n + k) * inner + j];
            let best = (1..n).fold(0, |best, k| if beats(at(k), at(best)) { k } else { best });
            result.push(best as i64);
        }
    }
    Tensor::from_vec(&shape::without(x.shape(), &[axis]), result)
}

fn eval_arg_max(op: &Op, args: Vec<Tensor>) -> Values {
    let [x] = take(args);
    let axis = reduced(op)[0];
    Ok(vec![match x {
        Tensor::F32(_) => choose::<f32>(&x, axis, |a, b| a > b || (a.is_nan() && !b.is_nan())),
        Tensor::F64(_) => choose::<f64>(&x, axis, |a, b| a > b || (a.is_nan() && !b.is_nan())),
        Tensor::I64(_) => choose::<i64>(&x, axis, |a, b| a > b),
        Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

fn eval_arg_min(op: &Op, args: Vec<Tensor>) -> Values {
    let [x] = take(args);
    let axis = reduced(op)[0];
    Ok(vec![match x {
        Tensor::F32(_) => choose::<f32>(&x, axis, |a, b| a < b || (a.is_nan() && !b.is_nan())),
        Tensor::F64(_) => choose::<f64>(&x, axis, |a, b| a < b || (a.is_nan() && !b.is_nan())),
        Tensor::I64(_) => choose::<i64>(&x, axis, |a, b| a < b),
        Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

fn running<T: Element>(x: &Tensor, axis: usize, reverse: bool, zero: T, add: impl Fn(T, T) -> T) -> Tensor {
    let (outer, n, inner) = around(x.shape(), axis);
    let data = x.as_slice::<T>();
    let mut result = data.to_vec();
    for i in 0..outer {
        let mut acc = vec![zero; inner];
        for step in 0..n {
            let row = (i * n + if reverse { n - 1 - step } else { step }) * inner;
            for (j, acc) in acc.iter_mut().enumerate() {
                *acc = add(*acc, data[row + j]);
                result[row + j] = *acc;
            }
        }
    }
    Tensor::from_vec(x.shape(), result)
}

fn eval_cum_sum(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::CumSum { axis, reverse } = op else { shape::wrong_row(op) };
    let [x] = take(args);
    Ok(vec![match x {
        Tensor::F32(_) => running::<f32>(&x, *axis, *reverse, 0.0, |a, b| a + b),
        Tensor::F64(_) => running::<f64>(&x, *axis, *reverse, 0.0, |a, b| a + b),
        Tensor::I64(_) => running::<i64>(&x, *axis, *reverse, 0, i64::wrapping_add),
        Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

fn sorted<T: Element>(x: &Tensor, order: impl Fn(&T, &T) -> std::cmp::Ordering) -> Vec<Tensor> {
    let n = x.shape()[x.shape().len() - 1];
    let data = x.as_slice::<T>();
    let mut values = Vec::with_capacity(data.len());
    let mut indices = Vec::with_capacity(data.len());
    for row in data.chunks_exact(n.max(1)) {
        let mut list: Vec<usize> = (0..n).collect();
        list.sort_by(|&i, &j| order(&row[i], &row[j]));
        values.extend(list.iter().map(|&i| row[i]));
        indices.extend(list.iter().map(|&i| i as i64));
    }
    vec![Tensor::from_vec(x.shape(), values), Tensor::from_vec(x.shape(), indices)]
}

fn eval_sort(op: &Op, args: Vec<Tensor>) -> Values {
    let [x] = take(args);
    Ok(match x {
        // Only NaNs cannot be compared: they come after all numbers.
        Tensor::F32(_) => sorted::<f32>(&x, |a, b| a.partial_cmp(b).unwrap_or(a.is_nan().cmp(&b.is_nan()))),
        Tensor::F64(_) => sorted::<f64>(&x, |a, b| a.partial_cmp(b).unwrap_or(a.is_nan().cmp(&b.is_nan()))),
        Tensor::I64(_) => sorted::<i64>(&x, i64::cmp),
        Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    })
}

fn sample_reduce(rng: &mut Rng, kinds: &[DType], op: fn(Vec<usize>) -> Op) -> Use {
    let rank = rng.range(1, 4);
    let shape = rng.shape(rank);
    let mut axes: Vec<usize> = (0..rank).filter(|_| rng.flip()).collect();
    if axes.is_empty() {
        axes.push(rng.below(rank));
    }
    let dtype = *rng.pick(kinds);
    let x = rng.tensor(dtype, &shape);
    (op(axes), vec![x])
}

/// Awkward values; nothing to reduce; nothing to keep; sizes around the block sizes; mixed axes.
fn special_reduce(kinds: &[DType], op: fn(Vec<usize>) -> Op) -> Vec<Use> {
    let mut uses = Vec::new();
    let mut rng = Rng::new(7);
    for &dtype in kinds {
        uses.push((op(vec![0]), vec![awkward(dtype)]));
        let pairs = sample::awkward_pairs(dtype);
        uses.extend(pairs.into_iter().map(|x| (op(vec![0]), vec![x])));
        uses.push((op(vec![1]), vec![Tensor::full(dtype, &[2, 0], 0.0)]));
        uses.push((op(vec![0]), vec![Tensor::full(dtype, &[0, 2], 0.0)]));
        uses.push((op(vec![0]), vec![Tensor::full(dtype, &[2, 0], 0.0)]));
        uses.push((op(vec![0, 1]), vec![Tensor::full(dtype, &[1, 1], -0.0)]));
        uses.push((op(vec![0, 2, 3]), vec![rng.tensor(dtype, &[2, 3, 2, 3])]));
        uses.push((op(vec![0]), vec![rng.tensor(dtype, &[300, 2])]));
        uses.push((op(vec![0, 2]), vec![rng.tensor(dtype, &[2, 2, 33])]));
        uses.push((op(vec![1]), vec![rng.tensor(dtype, &[1, 4100])]));
    }
    uses
}

fn sample_axis(rng: &mut Rng, op: fn(usize) -> Op) -> Use {
    let rank = rng.range(1, 4);
    let shape = rng.shape(rank);
    let dtype = *rng.pick(&[DType::F32, DType::F64, DType::I64]);
    let x = rng.tensor(dtype, &shape);
    (op(rng.below(rank)), vec![x])
}

/// NaNs, ties of zeros, all the same, and nothing kept.
fn special_axis(op: fn(usize) -> Op) -> Vec<Use> {
    let mut uses = Vec::new();
    for dtype in [DType::F32, DType::F64, DType::I64] {
        uses.push((op(0), vec![awkward(dtype)]));
        uses.push((op(0), vec![Tensor::full(dtype, &[3, 2], 1.0)]));
        uses.push((op(0), vec![Tensor::full(dtype, &[1, 0], 1.0)]));
        uses.push((op(0), vec![Tensor::from_vec(&[3], vec![-0.0, 0.0, -0.0]).convert(dtype)]));
    }
    uses
}

fn sample_cum_sum(rng: &mut Rng) -> Use {
    let reverse = rng.flip();
    if reverse {
        sample_axis(rng, |axis| Op::CumSum { axis, reverse: true })
    } else {
        sample_axis(rng, |axis| Op::CumSum { axis, reverse: false })
    }
}

fn special_cum_sum() -> Vec<Use> {
    let mut uses = special_axis(|axis| Op::CumSum { axis, reverse: false });
    uses.extend(special_axis(|axis| Op::CumSum { axis, reverse: true }));
    uses.push((Op::CumSum { axis: 1, reverse: false }, vec![Tensor::full(DType::F64, &[2, 0], 1.0)]));
    uses
}

fn sample_sort(rng: &mut Rng) -> Use {
    sample_axis(rng, |_| Op::Sort)
}

fn special_sort() -> Vec<Use> {
    let mut uses = special_axis(|_| Op::Sort);
    uses.push((Op::Sort, vec![Tensor::full(DType::F32, &[2, 0], 1.0)]));
    uses.push((Op::Sort, vec![Tensor::full(DType::F64, &[0, 2], 1.0)]));
    uses
}
