//! Calls become their bodies. To be run after differentiation, when the rules of calls have done their work; for the
//! same reason `StopGradient` vanishes.

use super::rewrite::{Memo, rewrite};
use crate::ir::graph::{CallRule, Graph, Op};

/// The Graph without `Call` and `StopGradient`.
pub fn inline(graph: &Graph) -> Graph {
    pass(graph, &mut Memo::new())
}

/// The Graph without calls that have nothing to say about differentiation.
pub fn inline_plain(graph: &Graph) -> Graph {
    plain(graph, &mut Memo::new())
}

fn plain(graph: &Graph, memo: &mut Memo) -> Graph {
    rewrite(graph, memo, plain, |rw, eqn| match &eqn.op {
        Op::Call { body, rule: CallRule::Inline } => Some(rw.b.inline(body, &eqn.args)),
        _ => None,
    })
}

fn pass(graph: &Graph, memo: &mut Memo) -> Graph {
    rewrite(graph, memo, pass, |rw, eqn| match &eqn.op {
        // The body is rewritten already: it holds no calls. Its equations keep their own spans.
        Op::Call { body, rule: _ } => Some(rw.b.inline(body, &eqn.args)),
        Op::StopGradient => Some(eqn.args.clone()),
        _ => None,
    })
}
