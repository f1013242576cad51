//! Arrays that are cheaper to make again than to keep: elementwise chains over broadcasts of much smaller arrays, such as
//! all differences of two lists. Each nest that uses one makes it for itself.

use super::members::{Defs, is_element, is_outer};
use crate::codegen::plan::pieces::weight;
use crate::ir::graph::{Graph, Op, Var};

/// Smaller arrays stay in a near cache. (In tests all are large, so that random programs have some.)
const BYTES: usize = if cfg!(test) { 32 } else { 256 << 10 };
/// What is broadcast has at most this part of the elements.
const PART: usize = 2;
/// The longest chain.
const EQNS: usize = 24;
/// The heaviest chain: about one elementary function.
const WEIGHT: usize = 64;

/// For each variable, whether it is such an array.
pub fn expansions(graph: &Graph, defs: &Defs) -> Vec<bool> {
    // Equations and weight of the chain.
    let mut costs: Vec<Option<(usize, usize)>> = vec![None; graph.types.len()];
    for eqn in &graph.eqns {
        let Some(&out) = eqn.outs.first() else { continue };
        let ty = graph.ty(out);
        let small = |var: Var| graph.ty(var).len() * PART <= ty.len();
        if !is_element(graph, eqn) || ty.len() * ty.dtype.size() < BYTES || matches!(eqn.op, Op::IntDiv | Op::Mod) {
            continue;
        }
        let mut cost = Some((1, weight(&eqn.op)));
        for &arg in &eqn.args {
            let own = if is_outer(graph, eqn) {
                small(arg).then_some((0, 0))
            } else {
                made(graph, defs, &costs, arg).or_else(|| {
                    let def = defs.eqn(graph, arg)?;
                    (matches!(def.op, Op::Broadcast { .. }) && small(def.args[0])).then_some((0, 0))
                })
            };
            cost = cost.zip(own).map(|((eqns, weight), (more, own))| (eqns + more, weight + own));
        }
        costs[out.0 as usize] = cost.filter(|&(eqns, weight)| eqns <= EQNS && weight <= WEIGHT);
    }
    costs.into_iter().map(|cost| cost.is_some()).collect()
}

fn made(graph: &Graph, defs: &Defs, costs: &[Option<(usize, usize)>], arg: Var) -> Option<(usize, usize)> {
    let root = defs.behind(graph, arg, false, |v| costs[v.0 as usize].is_some())?;
    costs[root.0 as usize]
}

/// The equations that make an expansion, in order.
pub fn chain(graph: &Graph, defs: &Defs, expansion: &[bool], root: Var) -> Vec<usize> {
    let mut list = Vec::new();
    let mut open = vec![root];
    while let Some(var) = open.pop() {
        let Some(i) = defs.number(var).filter(|i| !list.contains(i)) else { continue };
        list.push(i);
        if !is_outer(graph, &graph.eqns[i]) {
            open.extend(
                graph.eqns[i]
                    .args
                    .iter()
                    .filter_map(|&arg| defs.behind(graph, arg, false, |v| expansion[v.0 as usize])),
            );
        }
    }
    list.sort_unstable();
    list
}
