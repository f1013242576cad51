//! Conditions and guards turned round.

use super::cotangents::Cotangents;
use super::{At, inline_linear_calls, pull_back};
use crate::ad::flow;
use crate::ir::builder::Builder;
use crate::ir::graph::{CallRule, Eqn, Graph, Op, Var};
use std::collections::HashMap;
use std::rc::Rc;

/// Emits the part of a condition or guard whose results do not depend on linear operands.
pub fn known_results(b: &mut Builder, eqn: &Eqn, linear: &[bool], known: &mut HashMap<Var, Var>) {
    let wanted: Vec<usize> = (0..eqn.outs.len()).filter(|&i| !linear[eqn.outs[i].0 as usize]).collect();
    if wanted.is_empty() {
        return;
    }
    match &eqn.op {
        Op::Guard(_) => {
            let mut args = vec![known[&eqn.args[0]]];
            args.extend(wanted.iter().map(|&i| known[&eqn.args[i + 1]]));
            let outs = b.emit(eqn.op.clone(), &args);
            known.extend(wanted.iter().map(|&i| eqn.outs[i]).zip(outs));
        }
        Op::Cond { then, otherwise } => {
            let at_hand: Vec<usize> =
                (0..eqn.args.len() - 1).filter(|&i| !linear[eqn.args[i + 1].0 as usize]).collect();
            let narrow = |side: &Rc<Graph>| {
                let mut side = Graph::clone(side);
                side.results = wanted.iter().map(|&i| side.results[i]).collect();
                flow::remove_dead(&mut side);
                side.params = at_hand.iter().map(|&i| side.params[i]).collect();
                Rc::new(side)
            };
            let op = Op::Cond { then: narrow(then), otherwise: narrow(otherwise) };
            let mut args = vec![known[&eqn.args[0]]];
            args.extend(at_hand.iter().map(|&i| known[&eqn.args[i + 1]]));
            let outs = b.emit(op, &args);
            known.extend(wanted.iter().map(|&i| eqn.outs[i]).zip(outs));
        }
        _ => panic!("internal error: only conditions and guards have known results beside linear ones"),
    }
}

/// `guard(p, x...)` turned round is `guard(p, ct...)`: a fault where the derivative is needed.
pub fn transpose_guard(at: &mut At, ct_outs: &[Option<Var>]) {
    let mut operands = vec![at.known(0)];
    operands.extend(ct_outs.iter().flatten());
    let guarded = at.b.emit(at.eqn.op.clone(), &operands);
    let present = (0..ct_outs.len()).filter(|&i| ct_outs[i].is_some());
    for (i, ct) in present.zip(guarded) {
        at.give(i + 1, ct);
    }
}

/// The solution of a system turned round is that of the adjoint system: the right side's cotangent is `A'^-1 ct`.
pub fn transpose_solve(at: &mut At, body: &Rc<Graph>, rule: &CallRule, ct_outs: &[Option<Var>]) {
    let CallRule::Solve { operator, adjoint, turned } = rule else {
        panic!("internal error: other calls of linear values are opened before")
    };
    let Some(ct) = ct_outs[0] else { return };
    let rule = CallRule::Solve { operator: adjoint.clone(), adjoint: operator.clone(), turned: body.clone() };
    let last = at.eqn.args.len() - 1;
    let mut operands: Vec<Var> = (0..last).map(|i| at.known(i)).collect();
    operands.push(ct);
    let ct = at.b.op(Op::Call { body: turned.clone(), rule }, &operands);
    at.give(last, ct);
}

/// A condition on the same predicate whose sides are turned round.
pub fn transpose_cond(at: &mut At, then: &Rc<Graph>, otherwise: &Rc<Graph>, ct_outs: &[Option<Var>]) {
    let count = at.eqn.args.len() - 1;
    let flags: Vec<bool> = (0..count).map(|i| at.is_linear(i + 1)).collect();
    let mut sides: Vec<(Builder, Vec<Option<Var>>)> = Vec::new();
    for side in [then, otherwise] {
        let side = inline_linear_calls(side, &flags);
        let linear = flow::depends(&side, &flags);
        let mut b = Builder { span: at.b.span, ..Builder::default() };
        let mut known = HashMap::new();
        let mut cts = Cotangents::default();
        for i in (0..count).filter(|&i| !flags[i]) {
            known.insert(side.params[i], b.param(side.ty(side.params[i]).clone()));
        }
        for (i, _) in ct_outs.iter().enumerate().filter(|(_, ct)| ct.is_some()) {
            let ct = b.param(side.ty(side.results[i]).clone());
            if linear[side.results[i].0 as usize] {
                cts.add(side.results[i], ct);
            }
        }
        pull_back(&mut b, &side, &linear, &mut known, &mut cts);
        let results = (0..count)
            .filter(|&i| flags[i])
            .map(|i| cts.take(&mut b, side.params[i], side.ty(side.params[i])))
            .collect();
        sides.push((b, results));
    }
    // A cotangent that is zero on both sides stays structural.
    let present: Vec<bool> = (0..sides[0].1.len()).map(|i| sides.iter().any(|(_, cts)| cts[i].is_some())).collect();
    let targets: Vec<usize> = (0..count).filter(|&i| flags[i]).collect();
    let mut graphs = Vec::new();
    for (mut b, cts) in sides {
        let mut results = Vec::new();
        for (i, ct) in cts.into_iter().enumerate().filter(|&(i, _)| present[i]) {
            let ty = at.graph.ty(at.eqn.args[targets[i] + 1]);
            results.push(ct.unwrap_or_else(|| b.zeros(ty)));
        }
        graphs.push(Rc::new(b.finish(results)));
    }
    let mut operands = vec![at.known(0)];
    operands.extend((0..count).filter(|&i| !flags[i]).map(|i| at.known(i + 1)));
    operands.extend(ct_outs.iter().flatten());
    let op = Op::Cond { then: graphs[0].clone(), otherwise: graphs[1].clone() };
    let outs = at.b.emit(op, &operands);
    let given = targets.iter().zip(present).filter(|&(_, present)| present);
    for ((&i, _), ct) in given.zip(outs) {
        at.give(i + 1, ct);
    }
}
