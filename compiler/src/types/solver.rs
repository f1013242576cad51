//! Definitions of solvers, problems and networks.

use super::Ctx;
use super::annotation::{annotate, parameters};
use super::dim::DimName;
use super::expr::synth;
use super::function::{defaults, param_list, value_of};
use super::scope::{Role, Scope, Var};
use super::statement::{Places, initial, lets, states, steps, until};
use super::ty::{Array, Kind, Network, Problem, Record, Sig, Solver, SolverLet, Template, Ty};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast;
use crate::syntax::ast::{Expr, ExprKind, Name, StmtKind};
use std::rc::Rc;

/// A solver: lets, states, one pass, the rule, the result.
pub fn define_solver(ctx: &mut Ctx, outer: &Scope, solver: &Rc<ast::Solver>) -> Ty {
    let read = parameters(ctx, outer, &[param_list(&solver.params)]);
    defaults(ctx, outer, &solver.params, &read.params);
    let body = &solver.body;
    let check = |ctx: &mut Ctx| {
        let mut scope = read.scope.clone();
        let mut learnable = Vec::new();
        for binding in &body.lets {
            let (inner, vars) = lets(ctx, &scope, binding);
            scope = inner;
            learnable.extend(vars.into_iter().map(|var| solver_let(var, false)));
        }
        let (mut inner, states) = states(ctx, &scope, &body.states);
        if let Some(counter) = &body.counter {
            inner = inner.with_value(counter, Ty::int());
        }
        let (after, vars) = steps(ctx, &inner, &body.step, Places::States);
        learnable.extend(vars.into_iter().map(|var| solver_let(var, true)));
        if let Some(rule) = &body.until {
            until(ctx, &after, rule);
        }
        (synth(ctx, &after, &solver.result), states, learnable)
    };
    let (result, states, learnable) = ctx.with_effects(false, |ctx| ctx.settle(check));
    let name = Some(solver.name.text.clone());
    let sig = Sig { what: "solver", name, generics: read.generics, params: read.params, result };
    let states = states.into_iter().map(|var| (var.name, var.ty, var.span)).collect();
    Ty::Solver(Rc::new(Solver { sig: Rc::new(sig), lets: learnable, states, source: Some(solver.clone()) }))
}

fn solver_let(var: Var, in_step: bool) -> SolverLet {
    SolverLet { name: var.name, ty: var.ty, span: var.span, in_step }
}

/// A problem, which is also the function of its data and blocks that gives the objective's value.
pub fn define_problem(ctx: &mut Ctx, outer: &Scope, problem: &ast::Problem) -> Ty {
    let data = param_list(&problem.params);
    let blocks = problem.over.iter().map(|binder| (binder.name.clone(), binder.ty.as_ref(), false)).collect();
    let count = data.len();
    let read = parameters(ctx, outer, &[data, blocks]);
    defaults(ctx, outer, &problem.params, &read.params);
    ctx.with_effects(false, |ctx| {
        let scope = problem.lets.iter().fold(read.scope.clone(), |scope, binding| lets(ctx, &scope, binding).0);
        let objective = synth(ctx, &scope, &problem.objective);
        let scalar = match &objective {
            Ty::Unknown => true,
            Ty::Array(Array { kind, dims, .. }) => kind.is_number() && dims.as_ref().is_none_or(Vec::is_empty),
            _ => false,
        };
        if !scalar {
            let message = format!("an objective is one real, but this is {objective}");
            ctx.report(Diagnostic::error("E0326", problem.objective.span, message));
        }
        for constraint in &problem.constraints {
            synth(ctx, &scope, &constraint.expr);
            if let Some(set) = &constraint.set {
                synth(ctx, &scope, set);
            }
        }
    });
    let name = Some(problem.name.text.clone());
    let sig = Sig { what: "problem", name, generics: read.generics, params: read.params, result: Ty::real() };
    Ty::Problem(Rc::new(Problem { sig: Rc::new(sig), data: count }))
}

/// A network written by hand, or a template of networks.
pub fn define_network(ctx: &mut Ctx, outer: &Scope, network: &ast::Network) -> Ty {
    let template = network.template.as_deref().unwrap_or_default();
    let read = parameters(ctx, outer, &[param_list(template), param_list(&network.params)]);
    let (template_params, params) = read.params.split_at(template.len());
    defaults(ctx, outer, template, template_params);
    defaults(ctx, outer, &network.params, params);
    let mut scope = read.scope;
    let mut fields = Vec::new();
    let mut lets_seen = false;
    for stmt in &network.body.stmts {
        match &stmt.kind {
            StmtKind::Param(inits) => {
                if lets_seen {
                    let message = "`param` stands at the top of a network's block, before its lets";
                    ctx.report(Diagnostic::error("E0316", stmt.span, message));
                }
                for init in inits {
                    for var in parameter(ctx, &scope, init) {
                        scope = scope.with(var.clone());
                        if var.span == init.binder.name.span {
                            fields.push((var.name, var.ty));
                        }
                    }
                }
            }
            StmtKind::Let(binding) => {
                lets_seen = true;
                scope = ctx.with_effects(false, |ctx| lets(ctx, &scope, binding).0);
            }
            StmtKind::Assign { place, .. } => {
                let message = "a network's block holds `param`, `let` and its value; it assigns nothing";
                ctx.report(Diagnostic::error("E0317", place.span, message));
            }
        }
    }
    let value = network.body.value.as_deref();
    let actual = ctx.with_effects(false, |ctx| value.map_or(Ty::Unknown, |value| synth(ctx, &scope, value)));
    let result = match (&network.result, value) {
        (Some(written), Some(value)) => {
            let given = Some((value_of(value), &actual));
            annotate(ctx, &scope, written, given, None).ty
        }
        (Some(written), None) => annotate(ctx, &scope, written, None, None).ty,
        (None, _) => actual,
    };
    // What the first list fixes, and what each call of an instance binds.
    let fixed = |name: &DimName| template.iter().any(|param| param.name.text == name.text);
    let (instance, generics): (Vec<DimName>, Vec<DimName>) = read.generics.into_iter().partition(fixed);
    let name = Some(network.name.text.clone());
    let sig = Sig { what: "network", name: name.clone(), generics, params: params.to_vec(), result };
    // Two parts of a polynomial such as `h - 1` belong to the call, `a` to the instance: parameters have only the latter.
    let built = Ty::Network(Rc::new(Network { sig: Rc::new(sig), params: Record { fields, open: false } }));
    match &network.template {
        None => built,
        Some(_) => {
            let params = template_params.to_vec();
            let sig = Sig { what: "network template", name, generics: instance, params, result: built };
            Ty::Template(Rc::new(Template { sig: Rc::new(sig) }))
        }
    }
}

/// A `param`: its initial value is an array that fills it, a function of a key and a shape, or an instance.
fn parameter(ctx: &mut Ctx, scope: &Scope, init: &ast::Init) -> Vec<Var> {
    let name = &init.binder.name;
    let Some(written) = &init.binder.ty else {
        let vars = initial(ctx, scope, init, Role::Value);
        if let Some(var) = vars.last()
            && !matches!(var.ty, Ty::Network(_) | Ty::Unknown)
        {
            let message = format!("the parameter `{}` has no type, and its value is {}", name.text, var.ty);
            let help =
                format!("`param {0}: real[m, n] = ..` is an array, `param {0} = template(..)` an instance", name.text);
            ctx.report(Diagnostic::error("E0316", name.span, message).help(help));
        }
        return vars;
    };
    let actual = synth(ctx, scope, &init.value);
    // A function is called with a key and the shape: what it gives has the declared type.
    let filling = if super::fit::is_function(&actual) { Ty::Unknown } else { actual };
    let annotated = annotate(ctx, scope, written, Some((&init.value, &filling)), Some(name));
    let mut vars = annotated.names;
    vars.push(Var { name: name.text.clone(), ty: annotated.ty, span: name.span, role: Role::Value });
    vars
}

/// `network NAME = expr`.
pub fn network_alias(ctx: &mut Ctx, scope: &Scope, name: &Name, value: &Expr) -> Ty {
    match synth(ctx, scope, value) {
        Ty::Network(network) => {
            let sig = Sig { name: Some(name.text.clone()), what: "network", ..(*network.sig).clone() };
            Ty::Network(Rc::new(Network { sig: Rc::new(sig), params: network.params.clone() }))
        }
        // Without `learn`: a network that has no parameters.
        Ty::Fn(sig) if matches!(value.kind, ExprKind::Unroll { .. }) => {
            let sig = Sig { name: Some(name.text.clone()), what: "network", ..(*sig).clone() };
            Ty::Network(Rc::new(Network { sig: Rc::new(sig), params: Record { fields: Vec::new(), open: false } }))
        }
        Ty::Unknown => Ty::Unknown,
        ty @ (Ty::Fn(_) | Ty::Lambda(_) | Ty::Builtin(_) | Ty::Derived(_)) => ty,
        ty => {
            let message = format!("a network is wanted, but this is {ty}");
            let diagnostic = Diagnostic::error("E0313", value.span, message);
            ctx.report(diagnostic.help("`unroll s(_, ..) for K learn ..` makes a network of a solver"));
            Ty::Unknown
        }
    }
}

/// `solver NAME = expr`.
pub fn solver_alias(ctx: &mut Ctx, scope: &Scope, name: &Name, value: &Expr) -> Ty {
    match synth(ctx, scope, value) {
        Ty::Solver(solver) => {
            let sig = Sig { name: Some(name.text.clone()), ..(*solver.sig).clone() };
            Ty::Solver(Rc::new(Solver { sig: Rc::new(sig), ..(*solver).clone() }))
        }
        Ty::Unknown => Ty::Unknown,
        ty => {
            let message = format!("a solver is wanted, but this is {ty}");
            ctx.report(Diagnostic::error("E0323", value.span, message).help("`derive P` makes a solver of a problem"));
            Ty::Unknown
        }
    }
}

/// Whether an optimizer's first parameters are the objective and the start.
pub fn is_optimizer(sig: &Sig) -> bool {
    match sig.params.as_slice() {
        [objective, start, ..] => {
            let vector = match &start.ty {
                Ty::Array(Array { kind: Kind::Real, dims: Some(dims), .. }) => dims.len() == 1,
                _ => false,
            };
            vector && super::fit::is_function(&objective.ty)
        }
        _ => false,
    }
}
