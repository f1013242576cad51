//! The passes that look at a few equations at a time, in one walk: simplification, folding, common subexpressions.

use super::rewrite::{Memo, rewrite_once};
use super::{fold, simplify};
use crate::ir::graph::Graph;

/// Each equation is simplified, else folded, else looked up among the earlier ones. (What a rule makes is looked up by the
/// next walk.)
pub fn local(graph: &Graph) -> Graph {
    pass(graph, &mut Memo::new())
}

fn pass(graph: &Graph, memo: &mut Memo) -> Graph {
    rewrite_once(graph, memo, pass, |rw, eqn| simplify::rule(rw, eqn).or_else(|| fold::rule(rw, eqn)))
}
