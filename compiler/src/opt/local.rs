//! The passes that look at a few equations at a time, in one walk: simplification, folding, common subexpressions.

use super::cse::Seen;
use super::rewrite::{Memo, Rewrite, map_bodies};
use super::{fold, simplify};
use crate::ir::graph::{Eqn, Graph, Type};

/// Each equation is simplified, else folded, else looked up among the earlier ones. (What a rule makes is looked up by the
/// next walk.)
pub fn local(graph: &Graph) -> Graph {
    pass(graph, &mut Memo::new())
}

fn pass(graph: &Graph, memo: &mut Memo) -> Graph {
    let mut rw = Rewrite::new(graph);
    let mut seen = Seen::default();
    for eqn in &graph.eqns {
        rw.b.span = eqn.span;
        let op = map_bodies(&eqn.op, memo, pass);
        let eqn = Eqn { op, args: rw.all(&eqn.args), outs: eqn.outs.clone(), span: eqn.span };
        let outs = match simplify::rule(&mut rw, &eqn).or_else(|| fold::rule(&mut rw, &eqn)) {
            Some(outs) => outs,
            None => {
                let types: Vec<Type> = eqn.outs.iter().map(|&out| graph.ty(out).clone()).collect();
                seen.push(&mut rw, eqn.op, eqn.args, &types)
            }
        };
        for (&old, new) in eqn.outs.iter().zip(outs) {
            debug_assert_eq!(graph.ty(old), rw.b.ty(new), "internal error: a rule changed a type");
            rw.set(old, new);
        }
    }
    rw.finish(graph)
}
