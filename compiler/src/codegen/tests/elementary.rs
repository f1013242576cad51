//! Elementary functions of blocks of places, made by kernels: the same bits as one by one.

use super::agree;
use super::reductions::{axis_sets, program};
use crate::codegen::compile;
use crate::ir::builder::Builder;
use crate::ir::graph::{Op, Type};
use crate::prims::sample::Rng;
use dp_runtime::kernels::elementary::Elementary;
use dp_runtime::kernels::level::Level;
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
fn kernels_take_the_place_of_code() {
    // Code for 20 elements is code for an exponential; for 1000 it is two copies of an array and a call.
    let bytes = |n: usize| {
        let ty = Type::new(DType::F32, &[n]);
        let mut b = Builder::default();
        let x = b.param(ty);
        let y = b.op(Op::Exp, &[x]);
        compile(&b.finish(vec![y])).expect("it compiles").code_bytes()
    };
    let wide = Elementary::Exp.in_place(Level::best(), false).is_some();
    assert_eq!(bytes(1000) < bytes(20), wide, "{} and {}", bytes(1000), bytes(20));
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
                // As many as are made by kernels, each of the one before.
                for op in [Op::Tanh, Op::Sin, Op::Exp, Op::Atan, Op::Sigmoid, Op::Cos] {
                    let shifted = b.add(value, row);
                    value = b.op(op, &[shifted]);
                    all.push(value);
                }
                all
            });
            agree(&graph, &inputs, &format!("{shape:?}, {}", dtype.name()));
            // More than kernels make, and one that no kernel makes.
            let graph = program(&inputs, |b, v| {
                let row = b.broadcast(v[1], &shape, &[1]);
                let (mut value, mut all) = (v[0], Vec::new());
                for op in [Op::Tanh, Op::Sin, Op::Exp, Op::Atan, Op::Sigmoid, Op::Cos, Op::Erf] {
                    let shifted = b.add(value, row);
                    value = b.op(op, &[shifted]);
                    all.push(value);
                }
                let size = b.op(Op::Abs, &[value]);
                let power = b.op(Op::Pow, &[size, row]);
                all.push(b.op(Op::Log1p, &[power]));
                all
            });
            agree(&graph, &inputs, &format!("{shape:?} of many, {}", dtype.name()));
            let graph = program(&inputs, |b, v| {
                let row = b.broadcast(v[1], &shape, &[1]);
                let (value, mut all) = (v[0], Vec::new());
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
            agree(&graph, &inputs, &format!("{shape:?}, not above 0, {}", dtype.name()));
        }
    }
}

#[test]
fn signs_are_known_only_where_zeros_have_them_too() {
    // A quotient by a zero is infinite on the side of the zero's sign.
    let numbers = [0.0, -0.0, 3.0, -3.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-300];
    for dtype in [DType::F32, DType::F64] {
        for n in [3, 40] {
            let list: Vec<f64> = (0..n).map(|k| numbers[k % numbers.len()]).collect();
            let x = Tensor::from_vec(&[n], list).convert(dtype);
            let graph = program(std::slice::from_ref(&x), |b, v| {
                let ty = b.ty(v[0]).clone();
                let (zero, one, two, minus) = (b.fill(&ty, 0.0), b.fill(&ty, 1.0), b.fill(&ty, 2.0), b.fill(&ty, -1.0));
                let least = b.op(Op::Min, &[v[0], zero]);
                let root = b.op(Op::Sqrt, &[v[0]]);
                let size = b.op(Op::Abs, &[v[0]]);
                let none = b.sub(zero, size);
                let square = b.mul(v[0], v[0]);
                let annihilated = b.op(Op::MulZ, &[least, size]);
                let width = b.mul(two, square);
                let opposite = b.neg(square);
                let quotients = [
                    (one, least),
                    (minus, root),
                    (one, none),
                    (one, annihilated),
                    (opposite, width),
                    (minus, size),
                    (square, opposite),
                ];
                quotients
                    .into_iter()
                    .map(|(above, below)| {
                        let quotient = b.div(above, below);
                        b.op(Op::Exp, &[quotient])
                    })
                    .collect()
            });
            agree(&graph, &[x], &format!("{n} numbers, {}", dtype.name()));
        }
    }
}

#[test]
fn blocks_write_over_what_they_read() {
    let mut rng = Rng::new(64);
    for dtype in [DType::F32, DType::F64] {
        for n in [40, 700, 5000] {
            // Each is read by the next alone, and longer than what the nests share.
            let inputs =
                [rng.tensor(dtype, &[n, n.min(40)]), rng.tensor(dtype, &[n.min(40), 30]), rng.tensor(dtype, &[30, 30])];
            let graph = program(&inputs, |b, v| {
                let product = b.op(Op::Dot { batch: 0 }, &[v[0], v[1]]);
                let first = b.op(Op::Tanh, &[product]);
                let size = b.mul(product, first);
                let second = b.op(Op::Exp, &[size]);
                let third = b.add(second, first);
                let sorted = b.op(Op::Reverse { axes: vec![1] }, &[third]);
                // After a product, row by row.
                let mixed = b.op(Op::Dot { batch: 0 }, &[sorted, v[2]]);
                vec![b.op(Op::Sigmoid, &[mixed])]
            });
            agree(&graph, &inputs, &format!("{n}, {}", dtype.name()));
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
