//! Calls of functions with a derivative that the user declared.

use super::system::union;
use super::value::{Scope, Value, fill};
use super::{Ctx, Res, fail};
use crate::ad::flow;
use crate::ad::linearize::{NotDifferentiable, linearize};
use crate::diagnostic::Diagnostic;
use crate::ir::builder::Builder;
use crate::ir::graph::{CallRule, Graph, Op, Type, Var};
use crate::syntax::ast::{self, ScalarKind, TypeKind};
use std::rc::Rc;

impl Ctx<'_> {
    /// A call whose derivative the user declared.
    pub(super) fn call_with_derivative(
        &mut self,
        decl: &Rc<ast::Fn>,
        scope: &Scope,
        custom: &Rc<ast::Custom>,
        values: &[Value],
    ) -> Res<Value> {
        let span = self.span;
        let mut args = Vec::new();
        for (param, value) in decl.params.iter().zip(values) {
            let wants_real =
                matches!(&param.ty, Some(ast::Type { kind: TypeKind::Array { kind: ScalarKind::Real, .. }, .. }));
            args.push(if wants_real { self.to_real(value)? } else { value.clone() });
        }
        if custom.args.len() != args.len() {
            return fail(
                "E0322",
                custom.name.span,
                format!(
                    "`{}` has {} parameters, its derivative names {}",
                    decl.name.text,
                    args.len(),
                    custom.args.len()
                ),
            );
        }
        let mut arg_vars = Vec::new();
        let mut templates = Vec::new();
        for arg in &args {
            let first = arg_vars.len();
            let (vars, template) = self.leaves(arg)?;
            arg_vars.extend(vars);
            templates.push((template, first));
        }
        let level = self.level();
        let types: Vec<Type> = arg_vars.iter().map(|v| self.frames[level].builder.ty(*v).clone()).collect();
        let rebuild =
            |vars: &[Value]| -> Vec<Value> { templates.iter().map(|(t, first)| fill(t, &vars[*first..])).collect() };
        let (body, template) = self.body(&types, |ctx, vars| {
            ctx.span = span;
            let value = ctx.call_body(decl, scope, &rebuild(vars))?;
            let mut out = Vec::new();
            let template = ctx.all_leaves(&value, &mut out)?;
            Ok((out, template))
        })?;
        let results = body.graph.result_types();
        let tangents: Vec<Type> = types.iter().filter(|t| t.dtype.is_float()).cloned().collect();
        // The tangent's parameters: arguments, results, tangents.
        let mut all = types.clone();
        all.extend(results.iter().cloned());
        all.extend(tangents.iter().cloned());
        let (tangent, ()) = self.body(&all, |ctx, vars| {
            ctx.span = custom.body.span;
            let inner = scope.inner();
            for (name, value) in custom.args.iter().zip(rebuild(vars)) {
                inner.bind(&name.text, value);
            }
            if let Some(name) = &custom.result {
                inner.bind(&name.text, fill(&template, &vars[types.len()..]));
            }
            let mut next = types.len() + results.len();
            let mut named = custom.after.iter();
            for ty in types.iter() {
                if ty.dtype.is_float() {
                    let Some(name) = named.next() else {
                        return fail(
                            "E0322",
                            custom.name.span,
                            "the derivative names fewer tangents than the function has real arguments",
                        );
                    };
                    inner.bind(&name.text, vars[next].clone());
                    next += 1;
                }
            }
            let value = ctx.in_function(|ctx| ctx.expr(&inner, &custom.body))?;
            ctx.span = custom.body.span;
            let mut out = Vec::new();
            ctx.all_leaves(&value, &mut out)?;
            let level = ctx.level();
            let wanted: Vec<&Type> = results.iter().filter(|t| t.dtype.is_float()).collect();
            if out.len() != wanted.len() {
                return fail(
                    "E0322",
                    custom.body.span,
                    format!("the derivative gives {} values, the function {}", out.len(), wanted.len()),
                );
            }
            let mut converted = Vec::new();
            for (var, ty) in out.into_iter().zip(wanted) {
                let value = ctx.to_real(&Value::Var { level, var })?;
                let value = ctx.broadcast_to(&value, &ty.shape)?;
                converted.push(ctx.var(&value)?);
            }
            Ok((converted, ()))
        })?;
        self.span = span;
        // Both bodies take the union of what they capture, before the arguments.
        let union = union([&body, &tangent]);
        let outer_types: Vec<Type> = union.iter().map(|v| self.frames[level].builder.ty(*v).clone()).collect();
        let graph = body.aligned(&union, &outer_types);
        let mut tangent_graph = tangent.aligned(&union, &outer_types);
        // What is captured gets tangents too, before those of the arguments. The user's rule knows nothing of them: the arguments
        // held, they pass through the body as without a rule.
        let at = union.len() + types.len() + results.len();
        let captured = outer_types.iter().filter(|t| t.dtype.is_float());
        let captured: Vec<Var> = captured.map(|ty| tangent_graph.fresh(ty.clone())).collect();
        tangent_graph.params.splice(at..at, captured.iter().copied());
        let tangent_graph = with_captured(&graph, union.len(), tangent_graph, &captured).map_err(|reason| {
            Box::new(Diagnostic::error("E0325", span, format!("no derivative here: {}", reason.reason)))
        })?;
        let mut call_args = union;
        call_args.extend(&arg_vars);
        let op = Op::Call { body: Rc::new(graph), rule: CallRule::Tangent(Rc::new(tangent_graph)) };
        let outs = self.emit_vars(op, &call_args)?;
        Ok(fill(&template, &outs))
    }
}

/// A declared derivative with the part that comes from the `count` captures, the leading parameters of the function's Graph: from what
/// its function arguments are made of. `tangents` are those of the captures that are real.
fn with_captured(graph: &Graph, count: usize, declared: Graph, tangents: &[Var]) -> Result<Graph, NotDifferentiable> {
    let active: Vec<bool> =
        graph.params.iter().enumerate().map(|(i, &p)| i < count && graph.ty(p).dtype.is_float()).collect();
    let depends = flow::results_depend(graph, &active);
    if !depends.contains(&true) {
        return Ok(declared);
    }
    let lin = linearize(&crate::opt::tidy(graph), &active)?;
    let (known, mut results) = (declared.params[..graph.params.len()].to_vec(), declared.results.clone());
    let mut b = Builder { graph: declared, ..Builder::default() };
    let mut inner = b.inline(&lin.primal, &known).split_off(graph.results.len());
    inner.extend(tangents);
    let moved = b.inline(&lin.tangent, &inner);
    let real = (0..depends.len()).filter(|&i| graph.ty(graph.results[i]).dtype.is_float());
    for ((result, moved), i) in results.iter_mut().zip(moved).zip(real) {
        if depends[i] {
            *result = b.add(*result, moved);
        }
    }
    Ok(b.finish(results))
}
