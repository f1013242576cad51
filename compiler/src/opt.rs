//! Optimization: Graph to Graph, with the same bits for every argument.
//!
//! Each pass is a function that keeps a Graph's parameters and results, works inside sub-Graphs too, and takes time
//! about linear in the number of equations. Floats are rewritten only where the result is the same for NaN, both
//! zeros, infinities and subnormals (all NaNs count as one value). A fault in a value that nobody needs may vanish;
//! one that the Graph would not have had never appears.

pub mod cse;
pub mod dce;
pub mod fold;
pub mod hoist;
pub mod inline;
pub mod local;
pub mod loops;
pub mod rewrite;
pub mod simplify;

use crate::ir::graph::{Graph, Guard, Op, Trips};
use crate::ir::verify::verify;
use crate::prims;

/// All passes, for a Graph that will not be differentiated any more: calls are inlined.
pub fn optimize(graph: &Graph) -> Graph {
    let mut graph = inline::inline(graph);
    // Hoisting and the rewriting of loops uncover constants and repetitions for the second round.
    for _ in 0..2 {
        graph = loops::loops(&local(&graph));
        graph = dce::dce(&hoist::hoist(&cse::cse(&graph)));
    }
    checked(local(&graph))
}

/// The passes that may run before and between differentiations. Calls that only group equations are inlined; those that
/// say something about differentiation stay, like `StopGradient`. What does not change in a loop leaves it, so that
/// its derivative is taken once.
pub fn tidy(graph: &Graph) -> Graph {
    let graph = loops::loops(&local(&inline::inline_plain(graph)));
    checked(local(&hoist::hoist(&cse::cse(&graph))))
}

/// The passes that look at a few equations at a time, without what nobody needs any more.
fn local(graph: &Graph) -> Graph {
    dce::dce(&local::local(graph))
}

fn checked(graph: Graph) -> Graph {
    debug_assert_eq!(verify(&graph), Ok(()), "internal error: optimization broke a Graph");
    graph
}

/// Whether running an operation can fault or warn, whatever its operands are. Interruption does not count.
pub fn can_fault(op: &Op) -> bool {
    match op {
        Op::IntDiv | Op::Mod => true,
        elementwise if prims::is_elementwise(elementwise) => false,
        Op::Gather | Op::ScatterAdd | Op::Update | Op::Solve => true,
        Op::Cholesky | Op::TriangularSolve { .. } | Op::SpectralQuotient(_) => true,
        Op::Guard(Guard::Unconverged { .. } | Guard::NotAtFixedPoint { .. }) => true,
        Op::Scan(scan) => scan.trips == Trips::Input || graph_can_fault(&scan.body),
        Op::Cond { then, otherwise } => graph_can_fault(then) || graph_can_fault(otherwise),
        Op::Call { body, rule: _ } => graph_can_fault(body),
        _ => false,
    }
}

fn graph_can_fault(graph: &Graph) -> bool {
    graph.eqns.iter().any(|eqn| can_fault(&eqn.op))
}

#[cfg(test)]
mod tests;
