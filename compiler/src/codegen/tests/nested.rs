//! Reductions of reductions as one nest: the same bits, and no array between.

use super::agree;
use super::reductions::{axis_sets, program};
use crate::codegen::fuse::{self, Unit};
use crate::codegen::{compile, plan};
use crate::ir::builder::Builder;
use crate::ir::graph::{Graph, Op, Var};
use crate::prims::sample::Rng;
use dp_runtime::tensor::{DType, Tensor};

type Reduce = fn(Vec<usize>) -> Op;

const SUM: Reduce = |axes| Op::Sum { axes };
const MAX: Reduce = |axes| Op::ReduceMax { axes };
const MIN: Reduce = |axes| Op::ReduceMin { axes };
const PROD: Reduce = |axes| Op::Prod { axes };

/// How many nests the deepest nest of a Graph is.
fn depth(graph: &Graph) -> usize {
    let depth = |unit: &Unit| match unit {
        Unit::Nest(fused) => fused.levels().count(),
        Unit::Single(_) => 0,
    };
    fuse::units(graph).iter().map(depth).max().unwrap_or(0)
}

/// The cost of k-means as it is lowered.
fn cost(n: usize, k: usize, d: usize, inputs: &[Tensor]) -> Graph {
    program(inputs, |b, v| {
        let points = b.broadcast(v[0], &[n, k, d], &[0, 2]);
        let centres = b.broadcast(v[1], &[n, k, d], &[1, 2]);
        let difference = b.op(Op::Sub, &[points, centres]);
        let (row, column) = (b.reshape(difference, &[n * k, 1, d]), b.reshape(difference, &[n * k, d, 1]));
        let squares = b.op(Op::Dot { batch: 1 }, &[row, column]);
        let squares = b.reshape(squares, &[n, k]);
        let least = b.op(Op::ReduceMin { axes: vec![1] }, &[squares]);
        vec![b.sum(least, &[0])]
    })
}

#[test]
fn sums_of_minima_of_sums_are_one_nest_without_arrays() {
    let mut rng = Rng::new(51);
    let shapes = [
        (1, 1, 1),
        (3, 2, 2),
        (7, 5, 3),
        (100, 16, 8),
        (9001, 16, 8),
        (130, 3, 37),
        (33, 41, 5),
        (5, 2, 4096),
        (2, 3, 4097),
    ];
    for (n, k, d) in shapes {
        for dtype in [DType::F32, DType::F64] {
            let inputs = [rng.tensor(dtype, &[n, d]), rng.tensor(dtype, &[k, d])];
            let graph = cost(n, k, d, &inputs);
            agree(&graph, &inputs, &format!("{dtype:?} {n} {k} {d}"));
            if n.min(k).min(d) > 1 && d <= 4096 {
                assert_eq!(depth(&graph), 3, "{n} {k} {d}");
                let code = compile(&graph).expect("code");
                assert_eq!(code.fused_loops(), 1);
                // One sum for each chunk of the outermost sum, if there are several.
                assert!(code.arena_bytes() <= 64, "{n} {k} {d}: {}", code.arena_bytes());
            }
        }
    }
}

/// A reduction of a chain over the last axes, a chain of its result, a reduction of that over all sets of axes.
#[test]
fn every_reduction_of_a_reduction_agrees_with_the_evaluator() {
    let mut rng = Rng::new(52);
    let shapes: [(&[usize], usize); 14] = [
        (&[5, 3], 1),
        (&[4, 64], 1),
        (&[300, 7], 1),
        (&[3, 1, 5], 1),
        (&[6, 7, 2], 1),
        (&[5, 4, 33], 1),
        (&[2, 37, 16], 1),
        (&[270, 9, 3], 1),
        (&[3, 34, 4, 8], 2),
        (&[2, 3, 5, 31], 1),
        (&[4200, 2, 5], 2),
        (&[3, 5, 4096], 1),
        (&[3, 701, 5], 1),
        (&[9, 41, 3], 1),
    ];
    let mut deepest = 0;
    for (shape, last) in shapes {
        let rank = shape.len();
        let inner: Vec<usize> = (rank - last..rank).collect();
        for (number, dtype) in [DType::F32, DType::F64].into_iter().cycle().take(4).enumerate() {
            let inputs = [rng.tensor(dtype, shape), rng.tensor(dtype, &shape[1..])];
            for set in axis_sets(rank - last) {
                let graph = |first: Reduce, second: Reduce, raw: bool| {
                    program(&inputs, |b, v| {
                        let row = b.broadcast(v[1], shape, &(1..rank).collect::<Vec<_>>());
                        let z = b.mul(v[0], row);
                        let made = b.op(first(inner.clone()), &[z]);
                        let chain = if raw { made } else { b.op(Op::Abs, &[made]) };
                        let half = if raw { chain } else { b.op(Op::Tanh, &[chain]) };
                        vec![b.op(second(set.clone()), &[half])]
                    })
                };
                for first in [SUM, MAX, MIN, PROD] {
                    for second in [SUM, MAX, MIN, PROD] {
                        let graph = graph(first, second, number < 2);
                        deepest = deepest.max(depth(&graph));
                        agree(&graph, &inputs, &format!("{dtype:?} {shape:?} over {set:?}"));
                    }
                }
            }
        }
    }
    assert_eq!(deepest, 2);
}

#[test]
fn special_values_go_through_both_reductions() {
    let x = [f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 5e-324, 1.0];
    for (n, k, d) in [(3, 2, 2), (5, 9, 4), (2, 17, 3)] {
        for shift in 0..9 {
            for dtype in [DType::F32, DType::F64] {
                let special = |i: usize| x[(i * 4 + shift) % 9];
                // Rows that are -0, 0 and tiny, with a NaN in few.
                let data: Vec<f64> = (0..n * k * d)
                    .map(|i| if i / d % 3 == shift % 3 { special(i) } else { [-0.0, 0.0][i / d % 2] })
                    .collect();
                let inputs = [Tensor::from_vec(&[n, k, d], data).convert(dtype)];
                for first in [SUM, MAX, MIN] {
                    for second in [SUM, MAX, MIN] {
                        let graph = program(&inputs, |b, v| {
                            let y = b.op(Op::Neg, &[v[0]]);
                            let made = b.op(first(vec![2]), &[y]);
                            let made = b.op(second(vec![1]), &[made]);
                            vec![made]
                        });
                        assert_eq!(depth(&graph), 2);
                        agree(&graph, &inputs, &format!("{dtype:?} {inputs:?}"));
                    }
                }
            }
        }
    }
}

#[test]
fn sums_over_last_and_other_axes_have_no_array_between() {
    let mut rng = Rng::new(53);
    for shape in [[5, 4, 3], [64, 48, 32], [300, 3, 17], [2, 5, 5000], [1, 7, 9], [4, 1, 6]] {
        for dtype in [DType::F32, DType::F64] {
            let inputs = [rng.tensor(dtype, &shape)];
            let graph = program(&inputs, |b, v| {
                let square = b.mul(v[0], v[0]);
                vec![b.op(Op::Sum { axes: vec![0, 2] }, &[square])]
            });
            agree(&graph, &inputs, &format!("{dtype:?} {shape:?}"));
            let code = compile(&graph).expect("code");
            // Sums of several blocks or chunks.
            let parts = shape[0].div_ceil(256) * shape[1] + shape[0] * shape[1] * (shape[2] / 4096) * 3;
            assert!(code.arena_bytes() <= 128 + 8 * parts, "{shape:?}: {}", code.arena_bytes());
        }
    }
}

/// What somebody else reads, what is read at several places, and what is long stays in memory.
#[test]
fn totals_that_others_read_stay_in_memory() {
    let x = Tensor::full(DType::F64, &[6, 5, 4], 0.5);
    let with = |build: &dyn Fn(&mut Builder, Var, Var) -> Vec<Var>| {
        let graph = program(std::slice::from_ref(&x), |b, v| {
            let e = b.op(Op::Exp, &[v[0]]);
            let made = b.op(Op::Sum { axes: vec![2] }, &[e]);
            build(b, e, made)
        });
        agree(&graph, std::slice::from_ref(&x), "totals");
        depth(&graph)
    };
    assert_eq!(with(&|b, _, s| vec![b.sum(s, &[1])]), 2);
    assert_eq!(with(&|b, _, s| vec![b.sum(s, &[1]), s]), 1);
    assert_eq!(with(&|b, e, s| vec![b.sum(s, &[1]), e]), 1);
    assert_eq!(with(&|b, _, s| vec![b.sum(s, &[1]), b.op(Op::Sort, &[s])]), 1);
    // Through a reshape, and not through a broadcast.
    let flat = |b: &mut Builder, s: Var| {
        let flat = b.reshape(s, &[30]);
        vec![b.sum(flat, &[0])]
    };
    assert_eq!(with(&|b, _, s| flat(b, s)), 2);
    let spread = |b: &mut Builder, s: Var| {
        let all = b.broadcast(s, &[3, 6, 5], &[1, 2]);
        vec![b.op(Op::ReduceMax { axes: vec![0, 2] }, &[all])]
    };
    assert_eq!(with(&|b, _, s| spread(b, s)), 1);
    let plan = plan::plan(&program(std::slice::from_ref(&x), |b, v| {
        let e = b.op(Op::Exp, &[v[0]]);
        let s = b.op(Op::Sum { axes: vec![2] }, &[e]);
        vec![b.op(Op::ReduceMax { axes: vec![0, 1] }, &[s])]
    }));
    assert_eq!(plan.expect("a plan").nests, 1);
}
