//! Elementary functions of blocks of places, made by kernels: the same bits as one by one.

use super::agree;
use super::reductions::{axis_sets, program};
use crate::ir::graph::Op;
use crate::prims::sample::Rng;
use dp_runtime::tensor::{DType, Tensor};

/// Every function that has a kernel, and some that have none.
fn functions() -> Vec<Op> {
    use Op::*;
    vec![
        Exp, Expm1, Log, Log1p, Log2, Log10, Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Tanh, Asinh, Acosh, Atanh,
        Sigmoid, Softplus, Erf, Erfc, Cbrt, Lgamma, Sqrt,
    ]
}

#[test]
fn functions_of_arrays_of_any_length() {
    let mut rng = Rng::new(61);
    for dtype in [DType::F32, DType::F64] {
        for op in functions() {
            for n in [1, 23, 24, 27, 100, 512, 515, 1030] {
                let x = rng.tensor(dtype, &[n]);
                let graph = program(std::slice::from_ref(&x), |b, v| {
                    let y = b.op(op.clone(), &[v[0]]);
                    let twice = b.add(y, y);
                    vec![y, twice]
                });
                agree(&graph, &[x], &format!("{op:?} of {n}, {}", dtype.name()));
            }
        }
        let awkward =
            [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e300, -1e300, 1e-310, -88.0, -104.0, 710.0];
        let list: Vec<f64> = (0..64).map(|k| awkward[k % awkward.len()]).collect();
        let x = Tensor::from_vec(&[64], list).convert(dtype);
        for op in functions() {
            let graph = program(std::slice::from_ref(&x), |b, v| vec![b.op(op.clone(), &[v[0]])]);
            agree(&graph, std::slice::from_ref(&x), &format!("{op:?} of awkward numbers, {}", dtype.name()));
        }
    }
}

#[test]
fn several_functions_in_one_nest_of_several_axes() {
    let mut rng = Rng::new(62);
    for dtype in [DType::F32, DType::F64] {
        for shape in [[3, 40], [2, 517], [5, 30], [1, 24], [40, 25]] {
            let inputs = [rng.tensor(dtype, &shape), rng.tensor(dtype, &[shape[1]])];
            let graph = program(&inputs, |b, v| {
                let row = b.broadcast(v[1], &shape, &[1]);
                let (mut value, mut all) = (v[0], Vec::new());
                // More than are made by kernels, each of the one before.
                for op in [Op::Tanh, Op::Sin, Op::Exp, Op::Atan, Op::Sigmoid, Op::Cos] {
                    let shifted = b.add(value, row);
                    value = b.op(op, &[shifted]);
                    all.push(value);
                }
                // Not above 0, in three ways.
                let square = b.mul(value, value);
                let minus = b.neg(square);
                let size = b.op(Op::Abs, &[v[0]]);
                let scale = b.fill(&b.ty(size).clone(), -0.5);
                let scaled = b.mul(scale, size);
                let least = b.op(Op::Min, &[minus, row]);
                for x in [minus, scaled, least] {
                    all.push(b.op(Op::Exp, &[x]));
                }
                all
            });
            agree(&graph, &inputs, &format!("{shape:?}, {}", dtype.name()));
        }
    }
}

#[test]
fn reductions_of_functions() {
    let mut rng = Rng::new(63);
    let shapes: [&[usize]; 10] =
        [&[31], &[700], &[9000], &[40, 31], &[6, 37, 31], &[37, 64], &[3, 1100], &[5, 9, 32], &[600, 7], &[4, 20, 12]];
    for dtype in [DType::F32, DType::F64] {
        for shape in shapes {
            for axes in axis_sets(shape.len()) {
                // The last axis by a vector, the others by an array: neighbours are neighbours on both kinds of axes.
                let inputs = [
                    rng.tensor(dtype, &shape[..shape.len() - 1]),
                    rng.tensor(dtype, &shape[shape.len() - 1..]),
                    rng.tensor(dtype, shape),
                ];
                let graph = program(&inputs, |b, v| {
                    let leading: Vec<usize> = (0..shape.len() - 1).collect();
                    let left = b.broadcast(v[0], shape, &leading);
                    let right = b.broadcast(v[1], shape, &[shape.len() - 1]);
                    let difference = b.sub(left, right);
                    let square = b.mul(difference, difference);
                    let minus = b.neg(square);
                    let bump = b.op(Op::Exp, &[minus]);
                    let other = b.op(Op::Tanh, &[v[2]]);
                    let product = b.mul(bump, other);
                    vec![
                        b.sum(bump, &axes),
                        b.sum(product, &axes),
                        b.op(Op::ReduceMax { axes: axes.clone() }, &[other]),
                        b.op(Op::Prod { axes: axes.clone() }, &[other]),
                    ]
                });
                agree(&graph, &inputs, &format!("{shape:?} over {axes:?}, {}", dtype.name()));
                // One alone, so that the order is its own.
                let graph = program(&inputs, |b, v| {
                    let leading: Vec<usize> = (0..shape.len() - 1).collect();
                    let left = b.broadcast(v[0], shape, &leading);
                    let right = b.broadcast(v[1], shape, &[shape.len() - 1]);
                    let difference = b.sub(left, right);
                    let bump = b.op(Op::Sigmoid, &[difference]);
                    vec![b.sum(bump, &axes)]
                });
                agree(&graph, &inputs, &format!("{shape:?} over {axes:?} alone, {}", dtype.name()));
            }
        }
    }
}
