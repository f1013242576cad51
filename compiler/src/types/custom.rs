//! `prox f(args; t) = ...` and `derivative f(args; dargs) = ...`.

use super::Ctx;
use super::expr::synth;
use super::scope::{Role, Scope, Var, lookup};
use super::ty::{Sig, Ty};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{Custom, CustomKind, Name};

/// The rule's names against the function's parameters, and its body.
pub fn check(ctx: &mut Ctx, rule: &Custom) {
    let Some(var) = lookup(ctx, &Scope::default(), &rule.name.text, rule.name.span) else { return };
    if rule.kind == CustomKind::Prox {
        super::prox::settle(ctx, rule, var.span);
    }
    let sig = match &var.ty {
        Ty::Fn(sig) => Some(sig.clone()),
        Ty::Lambda(lambda) if rule.kind == CustomKind::Prox => {
            count_lambda(ctx, rule, lambda.params.len());
            None
        }
        // A function of any shape, or one that is not known.
        Ty::Builtin(_) | Ty::Unknown => None,
        ty => {
            let message = format!("`{}` is {ty}, not a function", rule.name.text);
            ctx.report(Diagnostic::error("E0322", rule.name.span, message).label(var.span, "declared here"));
            return;
        }
    };
    if let Some(sig) = &sig {
        count(ctx, rule, sig);
    }
    let mut scope = Scope::default();
    if let Some(sig) = &sig {
        for name in &sig.generics {
            let ty = Ty::static_int(super::dim::Dim::Known(super::dim::Poly::name(name.clone())));
            scope = scope.with(Var { name: name.text.clone(), ty, span: var.span, role: Role::Value });
        }
    }
    let param = |i: usize| sig.as_ref().and_then(|sig| sig.params.get(i)).map_or(Ty::Unknown, |param| param.ty.clone());
    for (i, name) in rule.args.iter().enumerate() {
        scope = scope.with_value(name, param(i));
    }
    for (i, name) in rule.after.iter().enumerate() {
        let ty = match rule.kind {
            CustomKind::Prox => Ty::real(),
            CustomKind::Derivative if rule.after.len() == rule.args.len() => param(i),
            CustomKind::Derivative => Ty::Unknown,
        };
        scope = scope.with_value(name, ty);
    }
    if let Some(name) = &rule.result {
        scope = scope.with_value(name, sig.as_ref().map_or(Ty::Unknown, |sig| sig.result.clone()));
    }
    let top = std::mem::replace(&mut ctx.top, false);
    let actual = ctx.definition(|ctx| ctx.with_effects(false, |ctx| synth(ctx, &scope, &rule.body)));
    ctx.top = top;
    if let Some(sig) = &sig {
        let declared = match rule.kind {
            CustomKind::Prox => param(0),
            CustomKind::Derivative => sig.result.clone(),
        };
        let misfit = match rule.kind {
            // The nearest point to an array is an array.
            CustomKind::Prox => super::fit::misfit(ctx, &declared, &actual),
            CustomKind::Derivative => super::fit::fill_misfit(ctx, &declared, &actual),
        };
        if let Some(misfit) = misfit {
            let what = match rule.kind {
                CustomKind::Prox => {
                    format!("the proximal operator of `{}` is {declared}, like its first argument", sig_name(sig))
                }
                CustomKind::Derivative => {
                    format!("the derivative of `{}` is {declared}, like its result", sig_name(sig))
                }
            };
            let code = match misfit {
                super::fit::Misfit::Kind => "E0322",
                super::fit::Misfit::Rank | super::fit::Misfit::Dim(..) => "E0406",
            };
            let value = super::function::value_of(&rule.body);
            ctx.report(Diagnostic::error(code, value.span, format!("{what}, but this is {actual}")));
        }
    }
}

/// A function without declared types has as many arguments as the rule names.
fn count_lambda(ctx: &mut Ctx, rule: &Custom, params: usize) {
    if rule.args.len() != params {
        let (name, named) = (&rule.name.text, rule.args.len());
        let message = format!("`{name}` has {params} parameters, but {named} are named here");
        ctx.report(Diagnostic::error("E0322", rule.name.span, message));
    }
    step_alone(ctx, rule);
}

/// `prox f(v; t)`: after the semicolon stands the step.
fn step_alone(ctx: &mut Ctx, rule: &Custom) {
    if rule.kind == CustomKind::Prox && rule.after.len() != 1 {
        let span = rule.after.iter().map(|name| name.span).reduce(|a, b| a.to(b)).unwrap_or(rule.name.span);
        let message = "after the `;` of a proximal operator stands its step alone";
        ctx.report(Diagnostic::error("E0322", span, message));
    }
}

fn sig_name(sig: &Sig) -> &str {
    sig.name.as_deref().unwrap_or("_")
}

fn count(ctx: &mut Ctx, rule: &Custom, sig: &Sig) {
    let name = &rule.name.text;
    let span = |names: &[Name]| names.iter().map(|name| name.span).reduce(|a, b| a.to(b)).unwrap_or(rule.name.span);
    if rule.args.len() != sig.params.len() {
        let message = format!("`{name}` has {} parameters, but {} are named here", sig.params.len(), rule.args.len());
        ctx.report(
            Diagnostic::error("E0322", span(&rule.args), message).note(format!("it is declared as {name}{sig}")),
        );
        return;
    }
    let reals = sig.params.iter().filter(|param| has_tangent(&param.ty)).count();
    match rule.kind {
        CustomKind::Derivative if rule.after.len() != sig.params.len() && rule.after.len() != reals => {
            let message =
                format!("`{name}` has {reals} parameters with a tangent, but {} are named here", rule.after.len());
            ctx.report(Diagnostic::error("E0322", span(&rule.after), message));
        }
        CustomKind::Prox => step_alone(ctx, rule),
        CustomKind::Derivative => {}
    }
}

fn has_tangent(ty: &Ty) -> bool {
    match ty {
        Ty::Array(array) => array.kind == super::ty::Kind::Real,
        Ty::Tuple(types) => types.iter().any(has_tangent),
        Ty::Record(record) => record.fields.iter().any(|(_, ty)| has_tangent(ty)),
        Ty::Str | Ty::Fn(_) | Ty::Lambda(_) | Ty::Builtin(_) | Ty::Derived(_) | Ty::Network(_) => false,
        Ty::Template(_) | Ty::Solver(_) | Ty::Problem(_) | Ty::List(_) | Ty::Unknown => false,
    }
}
