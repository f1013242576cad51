//! Differentiation and batching, Graph to Graph.
//!
//! `linearize` splits a Graph into values and a linear map of tangents (forward mode); `transpose` turns a
//! linear map round (reverse mode); `batch` maps a Graph over a new leading axis. They compose in any order,
//! so that second derivatives, Jacobians and per-sample gradients need nothing further.

pub mod batch;
pub mod linearize;
pub mod transpose;

pub mod flow;
mod residuals;
mod rules;

use crate::ir::builder::Builder;
use crate::ir::graph::{Graph, Var};
use dp_runtime::tensor::Tensor;
use linearize::{Linearized, NotDifferentiable, linearize};

/// Value and gradient of a Graph whose first result is a floating scalar. Results: all results of the Graph,
/// then the gradient of the first with respect to each parameter flagged in `wrt`.
///
/// # Errors
/// If a flagged parameter has no derivatives.
///
/// # Panics
/// If the first result is not a floating scalar.
pub fn grad_graph(graph: &Graph, wrt: &[bool]) -> Result<Graph, NotDifferentiable> {
    let objective = graph.ty(graph.results[0]).clone();
    assert!(objective.dtype.is_float() && objective.rank() == 0, "internal error: the gradient of {objective:?}");
    let Linearized { primal, mut tangent, residuals } = linearize(graph, wrt)?;
    tangent.results.truncate(1);
    let back = transpose::transpose(&tangent, residuals);
    let mut b = Builder::default();
    let params = params_like(&mut b, graph);
    let mut results = b.inline(&primal, &params);
    let mut inner = results.split_off(graph.results.len());
    inner.push(b.constant(Tensor::scalar_of(objective.dtype, 1.0)));
    results.extend(b.inline(&back, &inner));
    Ok(finish(b, results))
}

/// Forward mode. Parameters: those of the Graph, then a tangent for each flagged one. Results: those of the
/// Graph, then a tangent for each floating one.
///
/// # Errors
/// If a flagged parameter has no derivatives.
pub fn jvp_graph(graph: &Graph, wrt: &[bool]) -> Result<Graph, NotDifferentiable> {
    let Linearized { primal, tangent, residuals } = linearize(graph, wrt)?;
    let mut b = Builder::default();
    let params = params_like(&mut b, graph);
    let tangents: Vec<Var> = tangent.params[residuals..].iter().map(|&p| b.param(tangent.ty(p).clone())).collect();
    let mut results = b.inline(&primal, &params);
    let mut inner = results.split_off(graph.results.len());
    inner.extend(tangents);
    results.extend(b.inline(&tangent, &inner));
    Ok(finish(b, results))
}

/// Reverse mode. Parameters: those of the Graph, then a cotangent for each floating result. Results: those of
/// the Graph, then a cotangent for each flagged parameter.
///
/// # Errors
/// If a flagged parameter has no derivatives.
pub fn vjp_graph(graph: &Graph, wrt: &[bool]) -> Result<Graph, NotDifferentiable> {
    let Linearized { primal, tangent, residuals } = linearize(graph, wrt)?;
    let back = transpose::transpose(&tangent, residuals);
    let mut b = Builder::default();
    let params = params_like(&mut b, graph);
    let cotangents: Vec<Var> = back.params[residuals..].iter().map(|&p| b.param(back.ty(p).clone())).collect();
    let mut results = b.inline(&primal, &params);
    let mut inner = results.split_off(graph.results.len());
    inner.extend(cotangents);
    results.extend(b.inline(&back, &inner));
    Ok(finish(b, results))
}

fn params_like(b: &mut Builder, graph: &Graph) -> Vec<Var> {
    graph.param_types().into_iter().map(|ty| b.param(ty)).collect()
}

fn finish(b: Builder, results: Vec<Var>) -> Graph {
    let mut graph = b.finish(results);
    flow::remove_dead(&mut graph);
    graph
}

#[cfg(test)]
pub(crate) mod tests;
