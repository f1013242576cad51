//! Forward differentiation: splits a Graph into its values and the linear map that takes tangents to tangents.
//!
//! The primal Graph computes the results and the residuals: the values that the tangent Graph needs. A tangent
//! that is zero for reasons of structure is `None` and costs nothing. Loops become loops, with their residuals
//! stacked (`residuals` chooses which); conditions become conditions on the same predicate.

mod control;
mod scan;

use super::flow;
use super::rules;
use crate::ir::builder::Builder;
use crate::ir::graph::{Eqn, Graph, Op, Var};
use crate::source::Span;
use std::collections::HashMap;

/// A Graph split into values and linear map.
#[derive(Clone, Debug)]
pub struct Linearized {
    /// The parameters of the Graph; its results, then the residuals.
    pub primal: Graph,
    /// Parameters: the residuals, then one tangent for each active parameter. Results: one tangent for each
    /// floating result, in order. Linear in the tangents.
    pub tangent: Graph,
    pub residuals: usize,
}

/// Why there is no derivative.
#[derive(Clone, PartialEq, Debug)]
pub struct NotDifferentiable {
    pub span: Span,
    pub reason: String,
}

/// Linearizes a Graph. `active[i]` says that parameter i has a tangent; only floating parameters may.
///
/// # Errors
/// If a parameter that has no tangents is active.
///
/// # Panics
/// If `active` does not have one flag for each parameter.
pub fn linearize(graph: &Graph, active: &[bool]) -> Result<Linearized, NotDifferentiable> {
    assert_eq!(active.len(), graph.params.len(), "internal error: one flag for each parameter");
    for (&param, &flag) in graph.params.iter().zip(active) {
        let dtype = graph.ty(param).dtype;
        if flag && !dtype.is_float() {
            let reason = format!("a value of kind {} has no derivative", dtype.name());
            return Err(NotDifferentiable { span: Span::NONE, reason });
        }
    }
    let floats: Vec<bool> = graph.results.iter().map(|&r| graph.ty(r).dtype.is_float()).collect();
    let Split { mut primal, tangent, residuals, .. } = linearize_body(graph, active, &floats)?;
    primal.results.extend_from_slice(&residuals);
    Ok(Linearized { primal, tangent, residuals: residuals.len() })
}

/// The linearization of a body, before its residuals are chosen.
pub(super) struct Split {
    /// Same parameters and results as the body; computes the residuals too.
    pub primal: Graph,
    /// Parameters: `residuals`, then tangents of active parameters; results: tangents of the results flagged in `active`.
    pub tangent: Graph,
    /// Variables of `primal`.
    pub residuals: Vec<Var>,
    /// Which results have a tangent: those forced, and those that depend on an active parameter.
    pub active: Vec<bool>,
}

/// Linearizes a body; results flagged in `force` have a tangent even if it is zero.
pub(super) fn linearize_body(graph: &Graph, active: &[bool], force: &[bool]) -> Result<Split, NotDifferentiable> {
    let mut lin = Lin::default();
    let mut map: HashMap<Var, Var> = HashMap::new();
    let mut tangents: HashMap<Var, Var> = HashMap::new();
    let mut dparams = Vec::new();
    for (&param, &flag) in graph.params.iter().zip(active) {
        let ty = graph.ty(param).clone();
        map.insert(param, lin.primal.param(ty.clone()));
        if flag {
            let dparam = lin.tangent.graph.fresh(ty);
            dparams.push(dparam);
            tangents.insert(param, dparam);
        }
    }
    for eqn in &graph.eqns {
        let args: Vec<Var> = eqn.args.iter().map(|a| map[a]).collect();
        let dargs: Vec<Option<Var>> = eqn.args.iter().map(|a| tangents.get(a).copied()).collect();
        let (outs, douts) = linearize_eqn(&mut lin, eqn, &args, &dargs)?;
        for (i, &out) in eqn.outs.iter().enumerate() {
            map.insert(out, outs[i]);
            if let Some(dout) = douts[i] {
                tangents.insert(out, dout);
            }
        }
    }
    let mut results = Vec::new();
    let mut result_active = Vec::new();
    for (result, &force) in graph.results.iter().zip(force) {
        let tangent = tangents.get(result).copied();
        result_active.push(tangent.is_some() || force);
        if tangent.is_some() || force {
            results.push(tangent.unwrap_or_else(|| lin.tangent.zeros(graph.ty(*result))));
        }
    }
    let mut primal = lin.primal.finish(graph.results.iter().map(|r| map[r]).collect());
    let mut tangent = lin.tangent.finish(results);
    // Residuals in a set: each value once.
    let merged = flow::merge_equal(&mut primal);
    let mut inner_of: HashMap<Var, Var> = HashMap::new();
    let mut same: HashMap<Var, Var> = HashMap::new();
    let mut kept: Vec<(Var, Var)> = Vec::new();
    for (outer, inner) in lin.residuals {
        let outer = merged.get(&outer).copied().unwrap_or(outer);
        match inner_of.get(&outer) {
            Some(&first) => {
                same.insert(inner, first);
            }
            None => {
                inner_of.insert(outer, inner);
                kept.push((outer, inner));
            }
        }
    }
    for var in tangent.eqns.iter_mut().flat_map(|eqn| &mut eqn.args).chain(&mut tangent.results) {
        *var = same.get(var).copied().unwrap_or(*var);
    }
    flow::merge_equal(&mut tangent);
    flow::remove_dead(&mut tangent);
    let used = flow::used_vars(&tangent);
    kept.retain(|(_, inner)| used[inner.0 as usize]);
    tangent.params = kept.iter().map(|&(_, inner)| inner).chain(dparams).collect();
    let residuals: Vec<Var> = kept.iter().map(|&(outer, _)| outer).collect();
    remove_dead_but(&mut primal, &residuals);
    Ok(Split { primal, tangent, residuals, active: result_active })
}

/// Removes what neither the results nor the given variables need.
pub(super) fn remove_dead_but(graph: &mut Graph, also: &[Var]) {
    let results = graph.results.len();
    graph.results.extend_from_slice(also);
    flow::remove_dead(graph);
    graph.results.truncate(results);
}

/// A linearization under way.
#[derive(Default)]
pub(super) struct Lin {
    pub primal: Builder,
    pub tangent: Builder,
    /// Captured primal variables and what stands for them in the tangent Graph, each once.
    captured: HashMap<Var, Var>,
    residuals: Vec<(Var, Var)>,
    /// The defining equation of each primal variable, as far as equations were looked at.
    defs: HashMap<Var, usize>,
    seen: usize,
}

impl Lin {
    /// A primal value for use in the tangent Graph. Constants and broadcasts are made again there.
    pub fn capture(&mut self, var: Var) -> Var {
        if let Some(&inner) = self.captured.get(&var) {
            return inner;
        }
        while self.seen < self.primal.graph.eqns.len() {
            for &out in &self.primal.graph.eqns[self.seen].outs {
                self.defs.insert(out, self.seen);
            }
            self.seen += 1;
        }
        let filler =
            self.defs.get(&var).map(|&i| self.primal.graph.eqns[i].clone()).filter(|e| rules::is_filler(&e.op));
        let inner = match filler {
            Some(eqn) => {
                let args: Vec<Var> = eqn.args.iter().map(|&a| self.capture(a)).collect();
                self.tangent.op(eqn.op, &args)
            }
            None => {
                let ty = self.primal.ty(var).clone();
                let inner = self.tangent.graph.fresh(ty);
                self.residuals.push((var, inner));
                inner
            }
        };
        self.captured.insert(var, inner);
        inner
    }

    /// Sum of tangents that may be zero.
    pub fn add(&mut self, a: Option<Var>, b: Option<Var>) -> Option<Var> {
        match (a, b) {
            (Some(a), Some(b)) => Some(self.tangent.add(a, b)),
            (Some(one), None) | (None, Some(one)) => Some(one),
            (None, None) => None,
        }
    }

    /// The tangent, zeros if it is absent; `like` is a primal variable of the same type.
    pub fn or_zeros(&mut self, tangent: Option<Var>, like: Var) -> Var {
        match tangent {
            Some(tangent) => tangent,
            None => {
                let ty = self.primal.ty(like).clone();
                self.tangent.zeros(&ty)
            }
        }
    }
}

type Pair = (Vec<Var>, Vec<Option<Var>>);

/// Emits the primal form of an equation, gives its results and their tangents.
fn linearize_eqn(lin: &mut Lin, eqn: &Eqn, args: &[Var], dargs: &[Option<Var>]) -> Result<Pair, NotDifferentiable> {
    lin.primal.span = eqn.span;
    lin.tangent.span = eqn.span;
    if dargs.iter().all(Option::is_none) {
        let outs = lin.primal.emit(eqn.op.clone(), args);
        let none = vec![None; outs.len()];
        return Ok((outs, none));
    }
    match &eqn.op {
        Op::Scan(scan) => scan::linearize_scan(lin, scan, args, dargs),
        Op::Cond { then, otherwise } => control::linearize_cond(lin, then, otherwise, args, dargs),
        Op::Call { body, rule } => control::linearize_call(lin, body, rule, args, dargs),
        _ => {
            let outs = lin.primal.emit(eqn.op.clone(), args);
            let douts = rules::tangents(lin, eqn, args, &outs, dargs);
            Ok((outs, douts))
        }
    }
}

/// Linearizes a body in place: its primal equations here, its tangent equations there.
pub(super) fn linearize_inline(
    lin: &mut Lin,
    graph: &Graph,
    args: &[Var],
    dargs: &[Option<Var>],
) -> Result<Pair, NotDifferentiable> {
    let mut map: HashMap<Var, (Var, Option<Var>)> = HashMap::new();
    for ((&param, &arg), &darg) in graph.params.iter().zip(args).zip(dargs) {
        map.insert(param, (arg, darg));
    }
    for eqn in &graph.eqns {
        let args: Vec<Var> = eqn.args.iter().map(|a| map[a].0).collect();
        let dargs: Vec<Option<Var>> = eqn.args.iter().map(|a| map[a].1).collect();
        let (outs, douts) = linearize_eqn(lin, eqn, &args, &dargs)?;
        for ((&out, new), dnew) in eqn.outs.iter().zip(outs).zip(douts) {
            map.insert(out, (new, dnew));
        }
    }
    Ok(graph.results.iter().map(|r| map[r]).unzip())
}
