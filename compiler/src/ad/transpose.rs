//! Reverse differentiation: turns a linear map round.
//!
//! First forward over the equations whose operands are all known, then backward over the linear ones, each
//! handing the cotangent of its results to its operands. A cotangent is kept as a list of contributions until it
//! is needed, so that structural zeros cost nothing, sums of outer products can wait for the end of a loop, and
//! what a gather leaves is scattered into a running sum.

pub mod check;

mod control;
mod convolution;
mod cotangents;
mod rules;
mod scan;

use super::flow;
use crate::ir::builder::Builder;
use crate::ir::graph::{CallRule, Eqn, Graph, Op, Trips, Var};
use cotangents::Cotangents;
use std::collections::HashMap;

/// The transpose of a tangent Graph, whose first `residuals` parameters are known and whose results are linear in
/// the others.
///
/// Parameters: the residuals, then one cotangent for each result. Results: one cotangent for each linear parameter.
///
/// # Panics
/// If the Graph is not linear (see `check`).
pub fn transpose(graph: &Graph, residuals: usize) -> Graph {
    let flags: Vec<bool> = (0..graph.params.len()).map(|i| i >= residuals).collect();
    let graph = inline_linear_calls(graph, &flags);
    let linear = flow::depends(&graph, &flags);
    let mut b = Builder::default();
    let mut known = HashMap::new();
    for &param in &graph.params[..residuals] {
        known.insert(param, b.param(graph.ty(param).clone()));
    }
    let mut cts = Cotangents::default();
    for &result in &graph.results {
        let ct = b.param(graph.ty(result).clone());
        if linear[result.0 as usize] {
            cts.add(result, ct);
        }
    }
    pull_back(&mut b, &graph, &linear, &mut known, &mut cts);
    let mut results = Vec::new();
    for &param in &graph.params[residuals..] {
        let ct = cts.take(&mut b, param, graph.ty(param));
        results.push(ct.unwrap_or_else(|| b.zeros(graph.ty(param))));
    }
    let mut transposed = b.finish(results);
    flow::remove_dead(&mut transposed);
    transposed
}

/// Runs a linear Graph backward. `linear` flags its linear variables; `known` holds the known parameters and gains the
/// known variables; `cts` holds the results' cotangents and ends with those of the linear parameters.
fn pull_back(b: &mut Builder, graph: &Graph, linear: &[bool], known: &mut HashMap<Var, Var>, cts: &mut Cotangents) {
    let is_linear = |v: &Var| linear[v.0 as usize];
    let span = b.span;
    let mut loops: HashMap<usize, scan::KnownPart> = HashMap::new();
    for (i, eqn) in graph.eqns.iter().enumerate() {
        b.span = eqn.span;
        if !eqn.args.iter().any(is_linear) {
            let args: Vec<Var> = eqn.args.iter().map(|a| known[a]).collect();
            let outs = b.emit(eqn.op.clone(), &args);
            known.extend(eqn.outs.iter().copied().zip(outs));
            continue;
        }
        match &eqn.op {
            Op::Scan(scan) => {
                if let Some(part) = scan::known_part(b, graph, scan, eqn, linear, known) {
                    loops.insert(i, part);
                }
            }
            Op::Cond { .. } | Op::Guard(_) => control::known_results(b, eqn, linear, known),
            _ => {}
        }
    }
    for (i, eqn) in graph.eqns.iter().enumerate().rev() {
        if !eqn.args.iter().any(is_linear) {
            continue;
        }
        b.span = eqn.span;
        let ct_outs: Vec<Option<Var>> =
            eqn.outs.iter().map(|out| if is_linear(out) { cts.take(b, *out, graph.ty(*out)) } else { None }).collect();
        if ct_outs.iter().all(Option::is_none) {
            continue;
        }
        let mut at = At { b, graph, linear, known, cts, eqn };
        match &eqn.op {
            Op::Scan(scan) => scan::transpose_scan(&mut at, scan, &ct_outs, loops.remove(&i)),
            Op::Cond { then, otherwise } => control::transpose_cond(&mut at, then, otherwise, &ct_outs),
            Op::Guard(_) => control::transpose_guard(&mut at, &ct_outs),
            Op::Call { body, rule } => control::transpose_solve(&mut at, body, rule, &ct_outs),
            op => {
                if let Some(ct) = ct_outs[0] {
                    rules::transpose_op(&mut at, op, ct);
                }
            }
        }
    }
    b.span = span;
}

/// An equation being turned round, and where.
struct At<'a> {
    b: &'a mut Builder,
    graph: &'a Graph,
    linear: &'a [bool],
    known: &'a HashMap<Var, Var>,
    cts: &'a mut Cotangents,
    eqn: &'a Eqn,
}

impl At<'_> {
    fn is_linear(&self, i: usize) -> bool {
        self.linear[self.eqn.args[i].0 as usize]
    }

    /// The value of a known operand.
    fn known(&self, i: usize) -> Var {
        match self.known.get(&self.eqn.args[i]) {
            Some(&value) => value,
            None => panic!("internal error: `{}` is not linear", crate::prims::name(&self.eqn.op)),
        }
    }

    /// Adds to an operand's cotangent if it is linear.
    fn give(&mut self, i: usize, ct: Var) {
        if self.is_linear(i) {
            self.cts.add(self.eqn.args[i], ct);
        }
    }
}

/// Replaces calls that take linear values by their bodies, but not those that solve systems.
fn inline_linear_calls(graph: &Graph, flags: &[bool]) -> Graph {
    let linear = flow::depends(graph, flags);
    let is_opened = |op: &Op| match op {
        Op::Call { rule: CallRule::Solve { .. }, .. } => false,
        Op::Call { rule: CallRule::Inline | CallRule::Recompute | CallRule::Tangent(_), .. } => true,
        _ => false,
    };
    let is_call = |eqn: &Eqn| is_opened(&eqn.op) && eqn.args.iter().any(|a| linear[a.0 as usize]);
    if !graph.eqns.iter().any(is_call) {
        return graph.clone();
    }
    let mut b = Builder::default();
    let mut map: HashMap<Var, Var> = HashMap::new();
    for &param in &graph.params {
        map.insert(param, b.param(graph.ty(param).clone()));
    }
    for eqn in &graph.eqns {
        b.span = eqn.span;
        let args: Vec<Var> = eqn.args.iter().map(|a| map[a]).collect();
        let outs = match &eqn.op {
            Op::Call { body, .. } if is_call(eqn) => {
                let arg_flags: Vec<bool> = eqn.args.iter().map(|a| linear[a.0 as usize]).collect();
                let body = inline_linear_calls(body, &arg_flags);
                b.inline(&body, &args)
            }
            op => b.emit(op.clone(), &args),
        };
        map.extend(eqn.outs.iter().copied().zip(outs));
    }
    let results = graph.results.iter().map(|r| map[r]).collect();
    b.finish(results)
}

/// A loop that turns round runs as often as the loop it came from.
fn reverse_trips(trips: Trips) -> Trips {
    match trips {
        Trips::All => Trips::All,
        Trips::Input | Trips::Until => Trips::Input,
    }
}
