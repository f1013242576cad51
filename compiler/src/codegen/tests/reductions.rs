//! Reductions fused with what makes their operand.

use super::agree;
use crate::codegen::fuse;
use crate::codegen::plan::{self, Step};
use crate::ir::builder::Builder;
use crate::ir::graph::{Graph, Op, Type, Var};
use crate::prims::sample::Rng;
use dp_runtime::abi::Kernel;
use dp_runtime::tensor::{DType, Tensor};

pub fn program(inputs: &[Tensor], build: impl Fn(&mut Builder, &[Var]) -> Vec<Var>) -> Graph {
    let mut b = Builder::default();
    let vars: Vec<Var> = inputs.iter().map(|t| b.param(Type::of(t))).collect();
    let results = build(&mut b, &vars);
    b.finish(results)
}

/// Every non-empty set of axes of a rank.
pub fn axis_sets(rank: usize) -> Vec<Vec<usize>> {
    (1..1usize << rank).map(|set| (0..rank).filter(|axis| set >> axis & 1 == 1).collect()).collect()
}

/// The kernels that a Graph's plan calls.
fn kernels(graph: &Graph) -> Vec<Kernel> {
    let plan = plan::plan(graph).expect("a plan");
    assert!(plan.steps.iter().all(|step| !matches!(step, Step::Loop(_) | Step::Branch { .. })));
    plan.calls.into_iter().map(|call| call.kernel).collect()
}

#[test]
fn every_reduction_of_a_chain_agrees_with_the_evaluator() {
    let shapes: [&[usize]; 19] = [
        &[1],
        &[3],
        &[33],
        &[70],
        &[4096 * 2 + 37],
        &[5, 3],
        &[6, 40],
        &[300, 7],
        &[517, 21],
        &[4, 64],
        &[1, 9, 1],
        &[3, 4, 32],
        &[5, 6, 7],
        &[130, 2, 64],
        &[262, 70],
        &[6, 1100],
        &[7, 3, 8],
        &[90, 5, 12],
        &[11, 4, 20],
    ];
    let mut rng = Rng::new(5);
    for shape in shapes {
        for dtype in [DType::F32, DType::F64, DType::I64] {
            // The second operand is broadcast along some axis, so that axes do not collapse.
            for across in 0..=shape.len() {
                let mut row = shape.to_vec();
                if across < shape.len() {
                    row.remove(across);
                }
                let axes: Vec<usize> = (0..shape.len()).filter(|&axis| axis != across).collect();
                let inputs = [rng.tensor(dtype, shape), rng.tensor(dtype, &row)];
                for set in axis_sets(shape.len()) {
                    let graph = program(&inputs, |b, v| {
                        let y = b.op(Op::Broadcast { shape: shape.to_vec(), axes: axes.clone() }, &[v[1]]);
                        let z = b.mul(v[0], y);
                        let t = b.op(Op::Abs, &[z]);
                        let less = b.op(Op::Lt, &[z, t]);
                        let of = |b: &mut Builder, op: fn(Vec<usize>) -> Op, x: Var| b.op(op(set.clone()), &[x]);
                        vec![
                            of(b, |axes| Op::Sum { axes }, z),
                            of(b, |axes| Op::Sum { axes }, t),
                            of(b, |axes| Op::Prod { axes }, z),
                            of(b, |axes| Op::ReduceMax { axes }, z),
                            of(b, |axes| Op::ReduceMin { axes }, z),
                            of(b, |axes| Op::All { axes }, less),
                            of(b, |axes| Op::Any { axes }, less),
                            z,
                        ]
                    });
                    agree(&graph, &inputs, &format!("{dtype:?} {shape:?} over {set:?}, broadcast along {across}"));
                }
            }
        }
    }
}

#[test]
fn reductions_of_long_bodies_agree_with_the_evaluator() {
    let mut rng = Rng::new(6);
    for shape in [&[5000][..], &[7, 45], &[300, 10], &[2, 3, 64], &[3]] {
        for dtype in [DType::F32, DType::F64] {
            let inputs = [rng.tensor(dtype, shape), rng.tensor(dtype, shape)];
            for set in axis_sets(shape.len()) {
                let graph = program(&inputs, |b, v| {
                    let e = b.op(Op::Exp, &[v[0]]);
                    let s = b.op(Op::Sin, &[v[1]]);
                    let p = b.op(Op::Atan2, &[e, s]);
                    let near = b.op(Op::Lt, &[s, p]);
                    vec![
                        b.op(Op::Sum { axes: set.clone() }, &[p]),
                        b.op(Op::ReduceMax { axes: set.clone() }, &[p]),
                        b.op(Op::Prod { axes: set.clone() }, &[s]),
                        b.op(Op::All { axes: set.clone() }, &[near]),
                    ]
                });
                agree(&graph, &inputs, &format!("{dtype:?} {shape:?} over {set:?}"));
                // Elements of two widths go one at a time.
                let graph = program(&inputs, |b, v| {
                    let e = b.op(Op::Exp, &[v[0]]);
                    let other = if dtype == DType::F32 { DType::F64 } else { DType::F32 };
                    let wide = b.op(Op::Convert(other), &[e]);
                    vec![b.op(Op::Sum { axes: set.clone() }, &[wide]), b.op(Op::Sum { axes: set.clone() }, &[e])]
                });
                agree(&graph, &inputs, &format!("{dtype:?} {shape:?} over {set:?}, converted"));
            }
        }
    }
}

#[test]
fn special_values_reduce_like_in_the_evaluator() {
    let x = [f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 5e-324, 1.0];
    for n in [1, 2, 3, 5, 9, 40, 70] {
        for shift in 0..9 {
            let data: Vec<f64> = (0..n).map(|i| x[(i * 4 + shift) % 9]).collect();
            let zeros: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { -0.0 } else { 0.0 }).collect();
            for data in [data, zeros, vec![-0.0; n]] {
                let inputs = [Tensor::from_vec(&[n], data)];
                let graph = program(&inputs, |b, v| {
                    let y = b.op(Op::StopGradient, &[v[0]]);
                    let axes = vec![0];
                    vec![
                        b.op(Op::Sum { axes: axes.clone() }, &[y]),
                        b.op(Op::ReduceMax { axes: axes.clone() }, &[y]),
                        b.op(Op::ReduceMin { axes: axes.clone() }, &[y]),
                        b.op(Op::Prod { axes }, &[y]),
                    ]
                });
                agree(&graph, &inputs, &format!("{inputs:?}"));
            }
        }
    }
}

#[test]
fn a_chain_that_is_summed_is_one_nest_without_an_array_between() {
    let x = Tensor::from_vec(&[64, 256], vec![0.5f32; 64 * 256]);
    let bias = Tensor::from_vec(&[256], vec![0.25f32; 256]);
    for axes in axis_sets(2) {
        let graph = program(&[x.clone(), bias.clone()], |b, v| {
            let row = b.op(Op::Broadcast { shape: vec![64, 256], axes: vec![1] }, &[v[1]]);
            let d = b.op(Op::Sub, &[v[0], row]);
            let square = b.mul(d, d);
            vec![b.op(Op::Sum { axes: axes.clone() }, &[square])]
        });
        assert_eq!(fuse::units(&graph).iter().filter(|unit| matches!(unit, fuse::Unit::Nest(_))).count(), 1);
        let list = kernels(&graph);
        assert!(list.iter().all(|kernel| matches!(kernel, Kernel::SumParts)), "{axes:?}: {list:?}");
        let code = crate::codegen::compile(&graph).expect("it compiles");
        assert_eq!(code.fused_loops(), 1);
        // Four sums of chunks of the whole, at most.
        assert!(code.arena_bytes() <= 64, "{axes:?}: {}", code.arena_bytes());
    }
    // A softmax by rows: the maximum, then the sum of exponentials, then the quotient.
    let graph = program(&[x], |b, v| {
        let scaled = b.op(Op::Neg, &[v[0]]);
        let top = b.op(Op::ReduceMax { axes: vec![1] }, &[scaled]);
        let top = b.op(Op::Broadcast { shape: vec![64, 256], axes: vec![0] }, &[top]);
        let shifted = b.op(Op::Sub, &[scaled, top]);
        let e = b.op(Op::Exp, &[shifted]);
        let sum = b.op(Op::Sum { axes: vec![1] }, &[e]);
        let sum = b.op(Op::Broadcast { shape: vec![64, 256], axes: vec![0] }, &[sum]);
        vec![b.op(Op::Div, &[e, sum])]
    });
    assert!(kernels(&graph).is_empty());
}

#[test]
fn a_sum_of_a_selection_keeps_its_order() {
    // The nest begins with a comparison, whose bools have no order in which they are summed.
    let mut rng = Rng::new(8);
    for (shape, dtype) in [([2, 4], DType::F64), ([3, 5], DType::F32), ([7, 33], DType::F64), ([2, 16], DType::F64)] {
        let inputs = [rng.tensor(dtype, &shape), rng.tensor(dtype, &shape[1..])];
        let graph = program(&inputs, |b, v| {
            let ty = b.ty(v[0]).clone();
            let zero = b.zeros(&ty);
            let mask = b.op(Op::Lt, &[v[0], zero]);
            let row = b.broadcast(v[1], &shape, &[1]);
            let chosen = b.select(mask, v[0], row);
            vec![b.sum(chosen, &[0, 1]), b.sum(chosen, &[1])]
        });
        agree(&graph, &inputs, &format!("{dtype:?} {shape:?}"));
    }
}
