//! Large nests, dealt out to threads: the same bits as the evaluator's.

use super::agree;
use crate::codegen::compile;
use crate::codegen::fuse;
use crate::ir::builder::Builder;
use crate::ir::graph::{Graph, Op, Type};
use crate::prims::sample::Rng;
use dp_runtime::pool;
use dp_runtime::tensor::{DType, Tensor};

/// A chain over an array and a row of it (or a scalar), and a sum of it if there are axes.
fn chain(inputs: &[Tensor], sums: &[Vec<usize>], keep: bool) -> Graph {
    let mut b = Builder::default();
    let vars: Vec<_> = inputs.iter().map(|t| b.param(Type::of(t))).collect();
    let shape = inputs[0].shape().to_vec();
    let axes = (shape.len() - inputs[1].shape().len()..shape.len()).collect();
    let row = b.op(Op::Broadcast { shape, axes }, &[vars[1]]);
    let product = b.mul(vars[0], row);
    let t = b.op(Op::Tanh, &[product]);
    let e = b.op(Op::Exp, &[t]);
    let y = b.add(e, product);
    let mut results: Vec<_> = sums.iter().map(|axes| b.op(Op::Sum { axes: axes.clone() }, &[y])).collect();
    if keep {
        results.push(y);
    }
    b.finish(results)
}

#[test]
fn large_nests_agree_with_the_evaluator_on_threads() {
    assert!(pool::threads() > 1 || std::thread::available_parallelism().is_ok_and(|n| n.get() == 1));
    let mut rng = Rng::new(31);
    // Only axes with and without a rest, outer axes, parts along and across, with and without the chain's values.
    let cases: [(&[usize], &[usize], &[&[usize]]); 10] = [
        (&[40960], &[], &[]),
        (&[50001], &[], &[]),
        (&[50001], &[], &[&[0]]),
        (&[7, 9000], &[9000], &[]),
        (&[300, 211], &[211], &[&[1]]),
        (&[300, 211], &[211], &[&[0]]),
        (&[9, 70, 101], &[101], &[&[1]]),
        (&[9, 70, 101], &[101], &[&[0, 1]]),
        (&[2, 31000], &[31000], &[&[0], &[0]]),
        (&[70, 9, 101], &[101], &[&[0, 2]]),
    ];
    for (shape, row, sums) in cases {
        for dtype in [DType::F32, DType::F64] {
            let inputs = [rng.tensor(dtype, shape), rng.tensor(dtype, row)];
            let sums: Vec<Vec<usize>> = sums.iter().map(|axes| axes.to_vec()).collect();
            for keep in [true, false] {
                if keep || !sums.is_empty() {
                    agree(&chain(&inputs, &sums, keep), &inputs, &format!("{dtype:?} {shape:?} {sums:?} {keep}"));
                }
            }
        }
    }
}

/// A nest that is dealt out is a function of its own; a small one is not.
#[test]
fn only_large_nests_are_dealt_out() {
    let functions = |n: usize| {
        let inputs = [Tensor::full(DType::F32, &[n], 0.5), Tensor::full(DType::F32, &[], 0.5)];
        let graph = chain(&inputs, &[], true);
        assert_eq!(fuse::units(&graph).iter().filter(|unit| matches!(unit, fuse::Unit::Nest(_))).count(), 1);
        compile(&graph).expect("code").functions()
    };
    assert_eq!([functions(1000), functions(100_000)], [1, 2]);
}

/// Nests with others inside, by places and by parts of the outermost sum.
#[test]
fn large_nests_with_others_inside_agree_on_threads() {
    let mut rng = Rng::new(32);
    for (shape, axes) in
        [([9000, 5, 9], vec![0, 1]), ([40, 30, 70], vec![1]), ([40, 400, 8], vec![0]), ([3, 5, 4000], vec![0, 1])]
    {
        for dtype in [DType::F32, DType::F64] {
            let inputs = [rng.tensor(dtype, &shape)];
            let mut b = Builder::default();
            let x = b.param(Type::of(&inputs[0]));
            let t = b.op(Op::Tanh, &[x]);
            let least = b.op(Op::ReduceMin { axes: vec![2] }, &[t]);
            let sum = b.op(Op::Sum { axes: axes.clone() }, &[least]);
            agree(&b.finish(vec![sum]), &inputs, &format!("{dtype:?} {shape:?} {axes:?}"));
        }
    }
}
