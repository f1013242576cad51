//! Compiled code against the reference evaluator, bit for bit.

mod control;
mod elementary;
mod nested;
mod passes;
mod products;
mod reductions;
mod sharing;
mod threads;

use super::compile;
use crate::ad::vjp_graph;
use crate::ir::builder::Builder;
use crate::ir::eval::eval;
use crate::ir::graph::{Graph, Op, Type};
use crate::ir::text;
use crate::opt::optimize;
use crate::prims;
use crate::prims::sample::graphs::random_graph;
use crate::prims::sample::{Rng, same};
use dp_runtime::tensor::Tensor;

/// Compiles and runs a Graph, and compares with the evaluator.
fn agree(graph: &Graph, inputs: &[Tensor], what: &str) {
    let executable = compile(graph).unwrap_or_else(|error| panic!("{what}: {error}"));
    for _ in 0..2 {
        match (executable.run(inputs), eval(graph, inputs)) {
            (Ok(got), Ok(want)) => {
                assert_eq!(got.len(), want.len(), "{what}");
                for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                    assert!(same(got, want), "{what}, result {i}:\n{got:?}\nis not\n{want:?}");
                }
            }
            (Err(got), Err(want)) => assert_eq!(got, want, "{what}"),
            (got, want) => panic!("{what}: {got:?} is not {want:?}"),
        }
    }
}

/// One operation on parameters.
fn graph_of(op: &Op, args: &[Tensor]) -> Graph {
    let mut b = Builder::default();
    let params: Vec<_> = args.iter().map(|arg| b.param(Type::of(arg))).collect();
    let outs = b.emit(op.clone(), &params);
    b.finish(outs)
}

#[test]
fn every_operation_agrees_with_its_meaning() {
    let mut rng = Rng::new(3);
    for row in prims::rows() {
        for (op, args) in (row.special)() {
            agree(&graph_of(&op, &args), &args, &format!("{} {op:?} on {args:?}", row.name));
        }
        for _ in 0..12 {
            let (op, args) = (row.sample)(&mut rng);
            agree(&graph_of(&op, &args), &args, &format!("{} {op:?} on {args:?}", row.name));
        }
    }
}

#[test]
fn random_programs_agree_with_the_evaluator() {
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let size = rng.range(1, 50);
        let (graph, inputs) = random_graph(&mut rng, size);
        agree(&graph, &inputs, &format!("seed {seed}\n{}", text::print(&graph)));
    }
}

#[test]
fn derivatives_of_random_programs_agree_with_the_evaluator() {
    let mut done = 0;
    for seed in 1000..1150 {
        let mut rng = Rng::new(seed);
        let size = rng.range(1, 25);
        let (graph, inputs) = random_graph(&mut rng, size);
        let wrt: Vec<bool> = graph.params.iter().map(|&p| graph.ty(p).dtype.is_float()).collect();
        let Ok(graph) = vjp_graph(&graph, &wrt) else {
            continue;
        };
        let cotangents = graph.params[inputs.len()..].iter().map(|&p| rng.tensor(graph.ty(p).dtype, graph.shape(p)));
        let inputs: Vec<Tensor> = inputs.iter().cloned().chain(cotangents.collect::<Vec<_>>()).collect();
        agree(&graph, &inputs, &format!("seed {seed}\n{}", text::print(&graph)));
        let graph = optimize(&graph);
        agree(&graph, &inputs, &format!("seed {seed}, optimized\n{}", text::print(&graph)));
        done += 1;
    }
    assert!(done > 75, "{done}");
}
