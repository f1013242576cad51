//! Checks everything that `graph` promises of a Graph. Run after each pass in tests and debug builds.

use super::graph::{Graph, Type, Var};
use crate::prims;
use std::collections::HashSet;
use std::rc::Rc;

/// How deep Graphs may nest.
pub const MAX_DEPTH: usize = 256;

/// What is wrong with a Graph, if anything.
///
/// Each variable has a type and is defined once, as a parameter or by one equation, before its uses; each equation has
/// results of the types that its primitive's rule gives; sub-Graphs are Graphs of which the same holds.
pub fn verify(graph: &Graph) -> Result<(), String> {
    check(graph, 0, &mut HashSet::new())
}

/// `done` holds the sub-Graphs that passed, so that a shared one is checked once.
fn check(graph: &Graph, depth: usize, done: &mut HashSet<*const Graph>) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("Graphs nest more than {MAX_DEPTH} deep"));
    }
    for ty in &graph.types {
        prims::shape::sized(ty.dtype, ty.shape.clone())?;
    }
    let mut defined = vec![false; graph.types.len()];
    for &param in &graph.params {
        define(&mut defined, param).map_err(|why| format!("parameter: {why}"))?;
    }
    for (position, eqn) in graph.eqns.iter().enumerate() {
        let place = |why: String| format!("equation {position} (`{}`): {why}", prims::name(&eqn.op));
        for body in eqn.op.subgraphs() {
            if !done.contains(&Rc::as_ptr(body)) {
                check(body, depth + 1, done).map_err(place)?;
                done.insert(Rc::as_ptr(body));
            }
        }
        for &arg in &eqn.args {
            used(&defined, arg).map_err(place)?;
        }
        let args: Vec<&Type> = eqn.args.iter().map(|&arg| graph.ty(arg)).collect();
        let expected = prims::result(&eqn.op, &args).map_err(place)?;
        if expected.len() != eqn.outs.len() {
            return Err(place(format!("has {} results, not {}", eqn.outs.len(), expected.len())));
        }
        for (&out, expected) in eqn.outs.iter().zip(&expected) {
            define(&mut defined, out).map_err(place)?;
            if graph.ty(out) != expected {
                return Err(place(format!("gives {expected}, but {} is {}", show(out), graph.ty(out))));
            }
        }
    }
    graph.results.iter().try_for_each(|&result| used(&defined, result).map_err(|why| format!("result: {why}")))
}

fn define(defined: &mut [bool], var: Var) -> Result<(), String> {
    match defined.get_mut(var.0 as usize) {
        None => Err(format!("{} has no type", show(var))),
        Some(true) => Err(format!("{} is defined twice", show(var))),
        Some(slot) => {
            *slot = true;
            Ok(())
        }
    }
}

fn used(defined: &[bool], var: Var) -> Result<(), String> {
    match defined.get(var.0 as usize) {
        None => Err(format!("{} has no type", show(var))),
        Some(false) => Err(format!("{} is used before it is defined", show(var))),
        Some(true) => Ok(()),
    }
}

fn show(var: Var) -> String {
    format!("variable {}", var.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::builder::Builder;
    use crate::ir::graph::{Eqn, Op, Scan, Trips};
    use crate::source::Span;
    use dp_runtime::tensor::DType;

    /// `f(x, y) = x + y, exp(x + y)`.
    fn good() -> Graph {
        let mut b = Builder::default();
        let x = b.param(Type::new(DType::F64, &[2]));
        let y = b.param(Type::new(DType::F64, &[2]));
        let sum = b.add(x, y);
        let exp = b.op(Op::Exp, &[sum]);
        b.finish(vec![sum, exp])
    }

    fn refused(change: impl FnOnce(&mut Graph), why: &str) {
        let mut graph = good();
        change(&mut graph);
        let found = verify(&graph).expect_err("the Graph is wrong");
        assert!(found.contains(why), "{found}");
    }

    #[test]
    fn a_built_graph_passes() {
        assert_eq!(verify(&good()), Ok(()));
    }

    #[test]
    fn each_broken_promise_is_found() {
        refused(|g| g.params.push(Var(0)), "defined twice");
        refused(|g| g.params.push(Var(99)), "no type");
        refused(|g| g.eqns[1].outs = vec![Var(2)], "defined twice");
        refused(|g| g.eqns.swap(0, 1), "before it is defined");
        refused(|g| g.eqns[0].args[1] = Var(3), "before it is defined");
        refused(|g| g.eqns[0].args[1] = Var(77), "no type");
        refused(|g| g.types[3].shape = vec![3], "gives f64[2]");
        refused(|g| g.types[1].dtype = DType::F32, "one type");
        refused(|g| g.eqns[0].args.truncate(1), "takes 2 operands");
        refused(|g| g.eqns[0].outs.clear(), "has 0 results");
        refused(|g| g.results.push(Var(50)), "no type");
        refused(|g| g.types[0].shape = vec![usize::MAX, 2], "too large");
        refused(
            |g| {
                let unused = g.fresh(Type::scalar(DType::F64));
                g.results.push(unused);
            },
            "before it is defined",
        );
    }

    #[test]
    fn sub_graphs_are_checked_too() {
        let mut body = good();
        body.eqns.swap(0, 1);
        let mut b = Builder::default();
        let x = b.param(Type::new(DType::F64, &[2]));
        let mut graph = b.graph.clone();
        let out = graph.fresh(Type::new(DType::F64, &[2]));
        let scan = Scan { body: Rc::new(body), consts: 0, carries: 1, cap: 2, trips: Trips::All, reverse: false };
        graph.eqns.push(Eqn { op: Op::Scan(scan), args: vec![x], outs: vec![out], span: Span::NONE });
        let found = verify(&graph).expect_err("the body is wrong");
        assert!(found.contains("`scan`") && found.contains("before it is defined"), "{found}");
    }
}
