//! Equal loop nests are one function.

use super::agree;
use crate::codegen::compile;
use crate::ir::builder::Builder;
use crate::ir::graph::{Graph, Op, Type};
use crate::prims::sample::Rng;
use dp_runtime::tensor::{DType, Tensor};

/// `layers` times a chain, a sum by rows and a running sum, with a scalar of its own each.
fn layers(layers: usize, scale: impl Fn(usize) -> f64) -> Graph {
    let mut b = Builder::default();
    let ty = Type::new(DType::F64, &[20, 13]);
    let mut x = b.param(ty.clone());
    let slope = b.param(Type::scalar(DType::F64));
    let mut results = Vec::new();
    for k in 0..layers {
        let own = b.constant(Tensor::scalar(scale(k)));
        let factor = b.mul(slope, own);
        let factor = b.op(Op::Broadcast { shape: ty.shape.clone(), axes: vec![] }, &[factor]);
        let scaled = b.mul(x, factor);
        let t = b.op(Op::Tanh, &[scaled]);
        let e = b.op(Op::Sin, &[x]);
        let sum = b.add(t, e);
        results.push(b.op(Op::Sum { axes: vec![1] }, &[sum]));
        x = b.op(Op::CumSum { axis: 1, reverse: false }, &[sum]);
    }
    results.push(x);
    b.finish(results)
}

#[test]
fn equal_nests_are_one_function() {
    let mut rng = Rng::new(8);
    let inputs = [rng.tensor(DType::F64, &[20, 13]), rng.tensor(DType::F64, &[])];
    let (few, many) = (layers(2, |k| 0.5 + k as f64), layers(20, |k| 0.5 + k as f64));
    agree(&many, &inputs, "20 layers");
    let (few, many) = (compile(&few).expect("code"), compile(&many).expect("code"));
    // The entry, pieces of a long one, and one for all the nests.
    assert_eq!(few.functions(), 2);
    assert!(many.functions() < 20, "{} functions for 20 layers", many.functions());
    let (few, many) = (few.code_bytes(), many.code_bytes());
    assert!(many < 3 * few, "{few} bytes of code for 2 layers, {many} for 20");
}

#[test]
fn a_constant_makes_another_function() {
    let mut rng = Rng::new(9);
    let inputs = [rng.tensor(DType::F32, &[50])];
    let mut b = Builder::default();
    let mut x = b.param(Type::of(&inputs[0]));
    for bound in [0.0f32, -0.0, 0.0, -0.0, 1.0] {
        let bound = b.constant(Tensor::scalar(bound));
        let bound = b.op(Op::Broadcast { shape: vec![50], axes: vec![] }, &[bound]);
        let t = b.op(Op::Tanh, &[x]);
        let least = b.op(Op::Max, &[t, bound]);
        x = b.op(Op::CumSum { axis: 0, reverse: true }, &[least]);
    }
    let graph = b.finish(vec![x]);
    agree(&graph, &inputs, "bounds of both signs");
    // The entry, and one for each zero; what occurs once stays where it is.
    assert_eq!(compile(&graph).expect("code").functions(), 3);
}
