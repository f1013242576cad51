//! Products with vectors in the nests that make their operands, and arrays that are made again where they are read.

use super::agree;
use crate::codegen::{compile, fuse};
use crate::ir::builder::Builder;
use crate::ir::graph::{Graph, Op, Type, Var};
use crate::opt::optimize;
use crate::prims::sample::Rng;
use dp_runtime::tensor::{DType, Tensor};

fn program(inputs: &[Tensor], build: impl Fn(&mut Builder, &[Var]) -> Vec<Var>) -> Graph {
    let mut b = Builder::default();
    let vars: Vec<Var> = inputs.iter().map(|t| b.param(Type::of(t))).collect();
    let results = build(&mut b, &vars);
    b.finish(results)
}

fn products_left(graph: &Graph) -> usize {
    let single =
        |unit: &fuse::Unit| matches!(unit, fuse::Unit::Single(i) if matches!(graph.eqns[*i].op, Op::Dot { .. }));
    fuse::units(graph).iter().filter(|unit| single(unit)).count()
}

/// exp(x - y) with y along the last axis.
fn chain(b: &mut Builder, x: Var, y: Var) -> Var {
    let shape = b.shape(x).to_vec();
    let y = b.broadcast(y, &shape, &[shape.len() - 1]);
    let d = b.op(Op::Sub, &[x, y]);
    b.op(Op::Exp, &[d])
}

#[test]
fn a_chain_times_a_vector_agrees_with_the_evaluator() {
    let mut rng = Rng::new(41);
    for dtype in [DType::F32, DType::F64] {
        for k in [2, 3, 7, 16, 17, 31, 32, 33, 47, 64, 70, 300, 4100] {
            for m in [1, 3, 4, 21] {
                let (batch, wide) = (2, k > 1000);
                let count = if wide { 1 } else { batch };
                let inputs =
                    [rng.tensor(dtype, &[count, m, k]), rng.tensor(dtype, &[k]), rng.tensor(dtype, &[count, k, 1])];
                // Along the rows, from the left and from the right, and of several chains.
                let graph = program(&inputs, |b, v| {
                    let e = chain(b, v[0], v[1]);
                    let right = b.op(Op::Dot { batch: 1 }, &[e, v[2]]);
                    let turned = b.permute(e, &[0, 2, 1]);
                    let row = b.reshape(v[2], &[count, 1, k]);
                    let left = b.op(Op::Dot { batch: 1 }, &[row, turned]);
                    let flat = b.reshape(e, &[count * m, k]);
                    let sum = b.sum(flat, &[1]);
                    vec![right, left, sum]
                });
                assert_eq!(products_left(&graph), 0, "{k} {m}");
                agree(&graph, &inputs, &format!("{dtype:?} {count} x {m} x {k}"));
                // Down the columns: the terms lie apart.
                let inputs =
                    [rng.tensor(dtype, &[count, k, m]), rng.tensor(dtype, &[m]), rng.tensor(dtype, &[count, 1, k])];
                let graph = program(&inputs, |b, v| {
                    let e = chain(b, v[0], v[1]);
                    vec![b.op(Op::Dot { batch: 1 }, &[v[2], e])]
                });
                assert_eq!(products_left(&graph), 0, "{k} {m}");
                agree(&graph, &inputs, &format!("{dtype:?} {count} x {k} x {m}, columns"));
            }
        }
    }
}

#[test]
fn squares_of_a_chain_are_summed_in_its_nest() {
    let mut rng = Rng::new(42);
    for dtype in [DType::F32, DType::F64] {
        for (n, k, d) in [(5, 3, 8), (2, 4, 33), (1, 2, 2), (7, 1, 40), (6, 9, 8), (3, 4, 31), (2, 7, 16), (1, 8, 5)] {
            let inputs = [rng.tensor(dtype, &[n, d]), rng.tensor(dtype, &[k, d])];
            let graph = program(&inputs, |b, v| {
                let x = b.broadcast(v[0], &[n, k, d], &[0, 2]);
                let y = b.broadcast(v[1], &[n, k, d], &[1, 2]);
                let e = b.op(Op::Sub, &[x, y]);
                let (row, column) = (b.reshape(e, &[n, k, 1, d]), b.reshape(e, &[n, k, d, 1]));
                let squares = b.op(Op::Dot { batch: 2 }, &[row, column]);
                // The same elements with another axis of size 1.
                let twice = b.op(Op::Add, &[column, column]);
                let sum = b.sum(twice, &[0]);
                vec![squares, sum]
            });
            assert_eq!(products_left(&graph), 0);
            agree(&graph, &inputs, &format!("{dtype:?} {n} {k} {d}"));
        }
    }
}

#[test]
fn products_that_underflow_have_the_sign_of_the_definition() {
    for (tiny, dtype) in [(1e-30, DType::F32), (1e-200, DType::F64)] {
        for k in [2, 5, 31, 32, 33, 70] {
            for sign in [1.0, -1.0] {
                let all = |value: f64, shape: &[usize]| Tensor::full(dtype, shape, value);
                let inputs = [all(tiny, &[4, k]), all(sign * tiny, &[k, 1])];
                let graph = program(&inputs, |b, v| {
                    let e = b.op(Op::StopGradient, &[v[0]]);
                    vec![b.op(Op::Dot { batch: 0 }, &[e, v[1]])]
                });
                assert_eq!(products_left(&graph), 0);
                agree(&graph, &inputs, &format!("{dtype:?} {k} {sign}"));
                let inputs = [all(tiny, &[4, 1]), all(sign * tiny, &[1, k])];
                let graph = program(&inputs, |b, v| {
                    let outer = b.op(Op::Dot { batch: 0 }, &[v[0], v[1]]);
                    vec![b.op(Op::Neg, &[outer]), outer]
                });
                assert_eq!(products_left(&graph), 0);
                agree(&graph, &inputs, &format!("{dtype:?} {k} {sign}, outer"));
            }
        }
    }
}

/// Radial functions of an image, their sum, and what its derivatives need: sums over both kinds of axes.
#[test]
fn a_sum_of_radial_functions_and_its_derivatives_keep_no_array_of_all_terms() {
    let mut rng = Rng::new(43);
    let (q, h, j) = (3, 40, 31);
    let inputs = [
        rng.tensor(DType::F32, &[q, h, h]),
        rng.tensor(DType::F32, &[q, j, 1]),
        rng.tensor(DType::F32, &[j]),
        rng.tensor(DType::F32, &[q, h * h, 1]),
    ];
    let graph = program(&inputs, |b, v| {
        let shape = [q, h, h, j];
        let x = b.broadcast(v[0], &shape, &[0, 1, 2]);
        let centres = b.broadcast(v[2], &shape, &[3]);
        let d = b.op(Op::Sub, &[x, centres]);
        let square = b.mul(d, d);
        let minus = b.op(Op::Neg, &[square]);
        let e = b.op(Op::Exp, &[minus]);
        let flat = b.reshape(e, &[q, h * h, j]);
        let sums = b.op(Op::Dot { batch: 1 }, &[flat, v[1]]);
        let turned = b.permute(flat, &[0, 2, 1]);
        let weights = b.op(Op::Dot { batch: 1 }, &[turned, v[3]]);
        let row = b.reshape(v[1], &[q, 1, j]);
        let outer = b.op(Op::Dot { batch: 1 }, &[v[3], row]);
        let outer = b.reshape(outer, &shape);
        let each = b.op(Op::MulZ, &[e, outer]);
        let each = b.mul(each, d);
        let image = b.sum(each, &[3]);
        vec![sums, weights, image]
    });
    agree(&graph, &inputs, "radial functions");
    let bytes = compile(&graph).expect("it compiles").arena_bytes();
    assert!(bytes <= 64, "{bytes}");
    agree(&optimize(&graph), &inputs, "radial functions, optimized");
}

#[test]
fn a_total_lies_where_an_operand_of_its_place_was() {
    let mut rng = Rng::new(44);
    for (axes, axis) in [([0, 1], 2), ([1, 2], 0)] {
        let shape = if axis == 2 { [12, 40, 5] } else { [5, 12, 40] };
        let inputs = [rng.tensor(DType::F32, &[12, 40]), rng.tensor(DType::F32, &[5])];
        let graph = program(&inputs, |b, v| {
            let running = |b: &mut Builder, x: Var| b.op(Op::CumSum { axis: 1, reverse: false }, &[x]);
            let first = running(b, v[0]);
            let x = b.broadcast(first, &shape, &axes);
            let y = b.broadcast(v[1], &shape, &[axis]);
            let product = b.mul(x, y);
            let sum = b.sum(product, &[axis]);
            vec![running(b, sum)]
        });
        agree(&graph, &inputs, &format!("over {axis}"));
        assert_eq!(compile(&graph).expect("it compiles").arena_bytes(), 12 * 40 * 4);
    }
}
