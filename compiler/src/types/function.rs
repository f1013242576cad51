//! Functions: named ones with declared parameters, and lambdas, which are checked at each application.

use super::Ctx;
use super::annotation::{DimNames, annotate, check_value, parameters, resolve};
use super::call::Arg;
use super::expr::synth;
use super::fit;
use super::fit::{Bindings, Misfit};
use super::operator::{Shape, broadcast};
use super::scope::Scope;
use super::ty::{Array, Lambda, Sig, Ty};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{Expr, Name};
use std::rc::Rc;

/// Applications of lambdas inside each other beyond this depth are not followed.
const DEPTH_LIMIT: usize = 24;

/// A named function: its parameters, its body, and its result, declared or that of the body.
pub fn define(ctx: &mut Ctx, outer: &Scope, function: &ast::Fn) -> Ty {
    let read = parameters(ctx, outer, &[param_list(&function.params)]);
    defaults(ctx, outer, &function.params, &read.params);
    let actual = ctx.with_effects(false, |ctx| synth(ctx, &read.scope, &function.body));
    let result = match &function.result {
        Some(written) => {
            let value = value_of(&function.body);
            annotate(ctx, &read.scope, written, Some((value, &actual)), None).ty
        }
        None => actual,
    };
    let name = Some(function.name.text.clone());
    Ty::Fn(Rc::new(Sig { what: "function", name, generics: read.generics, params: read.params, result }))
}

/// The expression that is the value: the last one of a block.
pub fn value_of(body: &Expr) -> &Expr {
    match &body.kind {
        ast::ExprKind::Block(block) => block.value.as_deref().map_or(body, value_of),
        _ => body,
    }
}

pub fn param_list(params: &[ast::Param]) -> Vec<(Name, Option<&ast::Type>, bool)> {
    params.iter().map(|param| (param.name.clone(), param.ty.as_ref(), param.default.is_some())).collect()
}

/// Default values against the declared types.
pub fn defaults(ctx: &mut Ctx, outer: &Scope, params: &[ast::Param], types: &[super::ty::Param]) {
    for (param, ty) in params.iter().zip(types) {
        if let Some(default) = &param.default {
            let actual = synth(ctx, outer, default);
            let declared_at = param.ty.as_ref().map_or(param.name.span, |ty| ty.span);
            // A size that the call binds cannot be compared with the default's.
            let declared = loose(&ty.ty);
            check_value(ctx, outer, &declared, default, &actual, declared_at, Some(&param.name));
        }
    }
}

/// An array's type with every dimension unknown.
fn loose(ty: &Ty) -> Ty {
    match ty {
        Ty::Array(array) => {
            let dims = array.dims.as_ref().map(|dims| vec![super::dim::Dim::Unknown; dims.len()]);
            Ty::shaped(array.kind, dims)
        }
        _ => ty.clone(),
    }
}

/// A lambda where it stands: its names are checked at once, with whatever its parameters may be.
pub fn lambda(ctx: &mut Ctx, scope: &Scope, params: &[ast::Param], body: &Rc<Expr>) -> Ty {
    let lambda = Lambda { params: params.to_vec(), body: body.clone(), scope: scope.clone(), effects: ctx.effects };
    let unknown: Vec<Arg> = params.iter().map(|param| Arg::of_type(Ty::Unknown, param.name.span)).collect();
    apply_lambda(ctx, &lambda, &unknown, body.span);
    Ty::Lambda(Rc::new(lambda))
}

/// The result of a lambda's body for these arguments.
pub fn apply_lambda(ctx: &mut Ctx, lambda: &Lambda, args: &[Arg], span: Span) -> Ty {
    if args.iter().any(|arg| arg.blank || arg.name.is_some()) {
        return Ty::Unknown;
    }
    let required = lambda.params.iter().filter(|param| param.default.is_none()).count();
    if args.len() < required || args.len() > lambda.params.len() {
        let count = lambda.params.len();
        let plural = if count == 1 { "argument" } else { "arguments" };
        let were = if args.len() == 1 { "was" } else { "were" };
        let message = format!("this function takes {count} {plural}, but {} {were} given", args.len());
        ctx.report(Diagnostic::error("E0321", span, message).label(lambda.body.span, "the function's body"));
        return Ty::Unknown;
    }
    if ctx.depth >= DEPTH_LIMIT {
        return Ty::Unknown;
    }
    let mut scope = lambda.scope.clone();
    let mut lifted: Shape = Some(Vec::new());
    for (i, param) in lambda.params.iter().enumerate() {
        let given = args.get(i).map_or(Ty::Unknown, |arg| arg.ty.clone());
        let Some(written) = &param.ty else {
            scope = scope.with_value(&param.name, given);
            continue;
        };
        let span = args.get(i).map_or(span, |arg| arg.span);
        let declared = lambda_param(ctx, &mut scope, written, &given);
        if let (Ty::Array(wanted), Ty::Array(actual)) = (&declared, &given)
            && wanted.dims.as_ref().is_some_and(Vec::is_empty)
            && actual.dims.as_ref().is_none_or(|dims| !dims.is_empty())
            && actual.kind.widens_to(wanted.kind)
        {
            match broadcast(ctx, &lifted, &actual.dims) {
                Ok(common) => lifted = common,
                Err(_) => lifted = None,
            }
        } else if let Some(Misfit::Kind | Misfit::Rank) = fit::misfit(ctx, &declared, &given) {
            let message = format!("this function takes `{}: {declared}`, but {given} was given", param.name.text);
            ctx.report(Diagnostic::error("E0311", span, message).label(param.name.span, "the parameter"));
            return Ty::Unknown;
        }
        scope = scope.with_value(&param.name, declared);
    }
    let (top, effects) = (std::mem::replace(&mut ctx.top, false), lambda.effects);
    ctx.depth += 1;
    let result = ctx.with_effects(effects, |ctx| synth(ctx, &scope, &lambda.body));
    ctx.depth -= 1;
    ctx.top = top;
    match (&lifted, &result) {
        (Some(dims), _) if dims.is_empty() => result,
        (_, Ty::Array(Array { kind, dims, .. })) if dims.as_ref().is_some_and(Vec::is_empty) => {
            Ty::shaped(*kind, lifted)
        }
        _ => Ty::Unknown,
    }
}

/// A lambda's declared parameter: the sizes are those of what is given.
fn lambda_param(ctx: &mut Ctx, scope: &mut Scope, written: &ast::Type, given: &Ty) -> Ty {
    let mut names = DimNames::checked();
    let declared = resolve(ctx, scope, written, &mut names);
    let ids = names.ids();
    let free = |id: u32| ids.contains(&id);
    let mut map = Bindings::new();
    fit::bind(&declared, given, &free, &mut map, false);
    fit::bind(&declared, given, &free, &mut map, true);
    for (name, dim) in &names.found {
        let value = map.get(&dim.id).cloned();
        let value = value.unwrap_or_else(|| super::dim::Dim::Known(super::dim::Poly::name(dim.clone())));
        *scope = scope.with_value(name, Ty::static_int(value));
    }
    match (declared.subst(&map), given) {
        (Ty::Array(declared), Ty::Array(given)) if declared.dims.as_ref().is_some_and(Vec::is_empty) => {
            Ty::Array(Array { value: given.value.clone(), ..declared })
        }
        // The sizes given are the ones that count, whatever the names said elsewhere.
        (Ty::Array(declared), Ty::Array(given))
            if declared.dims.as_ref().map(Vec::len) == given.dims.as_ref().map(Vec::len) =>
        {
            Ty::Array(Array { dims: given.dims.clone(), ..declared })
        }
        (declared, _) => declared,
    }
}
