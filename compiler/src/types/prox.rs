//! `prox(f)`: its type, from the rule that was declared for `f`.

use super::Ctx;
use super::expr::synth;
use super::fit;
use super::scope::{Found, Scope, lookup};
use super::ty::{Lambda, Param, Sig, Ty};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{ArgValue, Custom, CustomKind, ExprKind};
use std::rc::Rc;

/// A declared proximal operator.
#[derive(Clone, Debug)]
pub struct Rule {
    custom: Rc<Custom>,
    /// Where the function was declared that it is about: a later function of the same name has no rule. `None` while the
    /// module is checked.
    target: Option<Span>,
}

/// Enters a rule, which may be used before its line.
pub fn declare(ctx: &mut Ctx, custom: &Rc<Custom>) {
    if custom.kind != CustomKind::Prox {
        return;
    }
    let rule = Rule { custom: custom.clone(), target: None };
    if let Some(first) = ctx.env.proxes.insert(custom.name.text.clone(), rule)
        && first.target.is_none()
    {
        let message = format!("the proximal operator of `{}` is declared twice", custom.name.text);
        let diagnostic = Diagnostic::error("E0304", custom.name.span, message).here("again here");
        ctx.report(diagnostic.label(first.custom.name.span, "first here"));
    }
}

/// What a rule is about is known.
pub fn settle(ctx: &mut Ctx, custom: &Custom, declared: Span) {
    if let Some(rule) = ctx.env.proxes.get_mut(&custom.name.text) {
        rule.target = Some(declared);
    }
}

/// The type of `prox(f)`.
pub fn operator(ctx: &mut Ctx, scope: &Scope, args: &[ast::Arg], span: Span) -> Ty {
    let function = match args {
        [ast::Arg { name: None, value: ArgValue::Expr(expr), .. }] => expr,
        _ => {
            let diagnostic = Diagnostic::error("E0321", span, "`prox` takes one function");
            let help = "`prox(f)` is a function: `prox(f)(v, t)`, other arguments of `f` before the step `t`";
            ctx.report(diagnostic.help(help));
            return Ty::Unknown;
        }
    };
    let ty = synth(ctx, scope, function);
    if ty.is_unknown() {
        return Ty::Unknown;
    }
    if !fit::is_function(&ty) {
        let message = format!("`prox` takes a function, but this is {ty}");
        ctx.report(Diagnostic::error("E0310", function.span, message));
        return Ty::Unknown;
    }
    let ExprKind::Name(name) = &function.kind else { return Ty::Unknown };
    // A parameter or a local function: which one it is shows when it is called.
    if !matches!(scope.find(name), Found::Nothing) {
        return Ty::Unknown;
    }
    let Some(declared) = lookup(ctx, scope, name, function.span).map(|var| var.span) else { return Ty::Unknown };
    let rule = ctx.env.proxes.get(name).filter(|rule| rule.target.is_none_or(|target| target == declared));
    let Some(rule) = rule.map(|rule| rule.custom.clone()) else {
        let message = format!("no proximal operator is declared for `{name}`");
        let mut diagnostic = Diagnostic::error("E0333", function.span, message);
        if !declared.is_none() {
            diagnostic = diagnostic.label(declared, "declared here");
        }
        let help =
            format!("declare it: `prox {name}(v; t) = ..`, the u that minimizes t * {name}(u) + 1/2 * sumsq(u - v)");
        ctx.report(diagnostic.help(help));
        return Ty::Unknown;
    };
    let called = format!("prox({name})");
    match &ty {
        Ty::Fn(sig) => {
            let Some(result) = sig.params.first().map(|param| param.ty.clone()) else { return Ty::Unknown };
            let step = Param {
                name: rule.after.first().map(|name| name.text.clone()),
                ty: Ty::real(),
                default: false,
                span: rule.name.span,
            };
            let given = sig.params.iter().map(|param| Param { default: false, ..param.clone() });
            let params = given.chain([step]).collect();
            let generics = sig.generics.clone();
            Ty::Fn(Rc::new(Sig { what: "proximal operator", name: Some(called.into()), generics, params, result }))
        }
        Ty::Lambda(_) | Ty::Builtin(_) => {
            let names = rule.args.iter().chain(&rule.after);
            let params = names.map(|name| ast::Param { name: name.clone(), ty: None, default: None }).collect();
            let body = Rc::new(rule.body.clone());
            Ty::Lambda(Rc::new(Lambda { params, body, scope: Scope::default(), effects: false }))
        }
        _ => Ty::Unknown,
    }
}
