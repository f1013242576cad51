//! `grad` and its like: what they are applied to is checked when the derivative is.

use super::Ctx;
use super::call::{Arg, apply as apply_function, argument_types};
use super::dim::Dim;
use super::expr::synth;
use super::fit;
use super::fit::Misfit;
use super::scope::{Scope, similar};
use super::ty::{Array, Derived, Kind, Operator, Param, Sig, Ty, Wrt};
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{ArgValue, Expr, ExprKind};
use std::rc::Rc;

/// The operator that a built-in function is, if it is one.
pub fn operator(builtin: Builtin) -> Option<Operator> {
    match builtin {
        Builtin::Grad => Some(Operator::Grad),
        Builtin::ValueAndGrad => Some(Operator::ValueAndGrad),
        Builtin::Jvp => Some(Operator::Jvp),
        Builtin::Vjp => Some(Operator::Vjp),
        Builtin::Jacobian => Some(Operator::Jacobian),
        Builtin::Hessian => Some(Operator::Hessian),
        Builtin::Hvp => Some(Operator::Hvp),
        _ => None,
    }
}

/// `grad(f)`, `grad(f, wrt: D)`.
pub fn derive(ctx: &mut Ctx, scope: &Scope, operator: Operator, args: &[ast::Arg], span: Span) -> Ty {
    let name = operator.name();
    let function = match args.first() {
        Some(ast::Arg { name: None, value: ArgValue::Expr(expr), .. }) => expr,
        Some(_) | None => {
            ctx.report(Diagnostic::error("E0310", span, format!("`{name}` takes a function: `{name}(f)`")));
            return Ty::Unknown;
        }
    };
    let ty = synth(ctx, scope, function);
    if !ty.is_unknown() && !fit::is_function(&ty) {
        let message = format!("`{name}` takes a function, but this is {ty}");
        let diagnostic = Diagnostic::error("E0310", function.span, message);
        ctx.report(diagnostic.help(format!("`{name}(fn(x) = ..)(x)` differentiates an expression in x")));
        return Ty::Unknown;
    }
    let mut wrt = Wrt::First;
    for arg in &args[1..] {
        match (&arg.name, &arg.value) {
            (Some(label), ArgValue::Expr(expr)) if &*label.text == "wrt" => wrt = wanted(ctx, &ty, expr),
            _ => {
                let message = format!("`{name}` takes a function and `wrt:`");
                let diagnostic = Diagnostic::error("E0321", arg.span, message);
                ctx.report(diagnostic.help(format!("`{name}(f)` is a function: `{name}(f)(x)`")));
                return Ty::Unknown;
            }
        }
    }
    if ty.is_unknown() {
        return Ty::Unknown;
    }
    Ty::Derived(Rc::new(Derived { operator, function: ty, wrt }))
}

/// The parameters that `wrt:` names.
fn wanted(ctx: &mut Ctx, function: &Ty, expr: &Expr) -> Wrt {
    let Some(names) = parameter_names(function) else { return Wrt::Unknown };
    let parts: Vec<&Expr> = match &expr.kind {
        ExprKind::Tuple(parts) => parts.iter().collect(),
        _ => vec![expr],
    };
    let mut positions = Vec::new();
    for part in &parts {
        let ExprKind::Name(text) = &part.kind else {
            let message = "`wrt:` takes the name of a parameter, or a tuple of names";
            ctx.report(Diagnostic::error("E0321", part.span, message));
            return Wrt::Unknown;
        };
        match names.iter().position(|name| name == text) {
            Some(position) => positions.push(position),
            None => {
                let message = format!("the function has no parameter `{text}`");
                let mut diagnostic = Diagnostic::error("E0321", part.span, message);
                diagnostic = match similar(text, names.iter().map(|name| &**name)) {
                    Some(suggestion) => diagnostic.help(format!("did you mean `{suggestion}`?")),
                    None => diagnostic.note(format!("its parameters are {}", names.join(", "))),
                };
                ctx.report(diagnostic);
                return Wrt::Unknown;
            }
        }
    }
    Wrt::Params(positions, matches!(expr.kind, ExprKind::Tuple(_)))
}

/// The names of a function's parameters, if it has declared ones.
fn parameter_names(function: &Ty) -> Option<Vec<ast::Symbol>> {
    let sig = match function {
        Ty::Lambda(lambda) => return Some(lambda.params.iter().map(|param| param.name.text.clone()).collect()),
        Ty::Fn(sig) => sig,
        Ty::Network(network) => &network.sig,
        Ty::Solver(solver) => &solver.sig,
        Ty::Problem(problem) => &problem.sig,
        Ty::Template(_) | Ty::Builtin(_) | Ty::Derived(_) | Ty::Array(_) | Ty::Str | Ty::Tuple(_) => return None,
        Ty::Record(_) | Ty::List(_) | Ty::Unknown => return None,
    };
    sig.params.iter().map(|param| param.name.clone()).collect()
}

/// `grad(f)(x)`.
pub fn apply(ctx: &mut Ctx, derived: &Derived, args: &[Arg], span: Span) -> Ty {
    if args.iter().any(|arg| arg.blank) {
        return Ty::Unknown;
    }
    let function = &derived.function;
    match derived.operator {
        Operator::Grad | Operator::ValueAndGrad => {
            let value = apply_function(ctx, function, args, span);
            if lifted(function, args) {
                return Ty::Unknown;
            }
            if !scalar_result(ctx, derived.operator, &value, span) {
                return Ty::Unknown;
            }
            let gradient = gradient(ctx, derived, args);
            match derived.operator {
                Operator::ValueAndGrad => Ty::tuple(vec![value, gradient]),
                _ => gradient,
            }
        }
        Operator::Jvp => {
            if args.len() != 2 {
                return Ty::Unknown;
            }
            let value = apply_function(ctx, function, &args[..1], span);
            direction(ctx, derived.operator, args);
            let tangent = tangent(&value);
            Ty::tuple(vec![value, tangent])
        }
        Operator::Vjp => {
            let value = apply_function(ctx, function, args, span);
            let result = if args.len() == 1 { tangent(&args[0].ty) } else { Ty::Unknown };
            let params = vec![Param { name: None, ty: tangent(&value), default: false, span: Span::NONE }];
            Ty::Fn(Rc::new(Sig { what: "function", name: None, generics: Vec::new(), params, result }))
        }
        Operator::Jacobian => {
            let value = apply_function(ctx, function, args, span);
            if lifted(function, args) {
                return Ty::Unknown;
            }
            match gradient(ctx, derived, args) {
                Ty::Tuple(types) => Ty::tuple(types.iter().map(|x| outer(&value, x)).collect()),
                x => outer(&value, &x),
            }
        }
        Operator::Hessian => {
            let value = apply_function(ctx, function, args, span);
            if lifted(function, args) || !scalar_result(ctx, derived.operator, &value, span) {
                return Ty::Unknown;
            }
            match argument_types(args).first() {
                Some(x) => outer(x, x),
                None => Ty::Unknown,
            }
        }
        Operator::Hvp => {
            if args.len() != 2 {
                return Ty::Unknown;
            }
            let value = apply_function(ctx, function, &args[..1], span);
            if lifted(function, &args[..1]) || !scalar_result(ctx, derived.operator, &value, span) {
                return Ty::Unknown;
            }
            direction(ctx, derived.operator, args);
            tangent(&args[0].ty)
        }
    }
}

/// Whether an array is given for a scalar parameter: the derivative is then taken element by element.
fn lifted(function: &Ty, args: &[Arg]) -> bool {
    let scalar = |ty: &Ty| ty.as_array().is_some_and(|array| array.dims.as_ref().is_some_and(Vec::is_empty));
    match function {
        Ty::Fn(sig) => sig.params.iter().zip(args).any(|(param, arg)| scalar(&param.ty) && !scalar(&arg.ty)),
        Ty::Problem(problem) => {
            problem.sig.params.iter().zip(args).any(|(param, arg)| scalar(&param.ty) && !scalar(&arg.ty))
        }
        Ty::Lambda(lambda) => lambda.params.iter().any(|param| param.ty.is_some()),
        Ty::Network(_) | Ty::Solver(_) | Ty::Template(_) | Ty::Derived(_) => false,
        Ty::Builtin(_) | Ty::Array(_) | Ty::Str | Ty::Tuple(_) | Ty::Record(_) | Ty::List(_) | Ty::Unknown => true,
    }
}

fn scalar_result(ctx: &mut Ctx, operator: Operator, value: &Ty, span: Span) -> bool {
    let wrong = match value {
        Ty::Unknown => false,
        Ty::Array(Array { kind, dims, .. }) => !kind.is_number() || dims.as_ref().is_some_and(|dims| !dims.is_empty()),
        _ => true,
    };
    if wrong {
        let name = operator.name();
        let message = format!("`{name}` differentiates a function with one real as result, but its result is {value}");
        let mut diagnostic = Diagnostic::error("E0326", span, message);
        if operator == Operator::Grad {
            diagnostic = diagnostic.help("`jacobian(f)(x)`, `jvp(f)(x, dx)` and `vjp(f)(x)(dy)` differentiate arrays");
        }
        ctx.report(diagnostic);
    }
    !wrong
}

fn gradient(ctx: &mut Ctx, derived: &Derived, args: &[Arg]) -> Ty {
    match &derived.wrt {
        Wrt::Unknown => Ty::Unknown,
        Wrt::First => match args.first() {
            Some(arg) if arg.name.is_none() => real_argument(ctx, derived.operator, arg),
            Some(_) | None => Ty::Unknown,
        },
        Wrt::Params(positions, tuple) => {
            if args.iter().any(|arg| arg.name.is_some()) {
                return Ty::Unknown;
            }
            let types: Vec<Ty> = positions
                .iter()
                .map(|position| {
                    args.get(*position).map_or(Ty::Unknown, |arg| real_argument(ctx, derived.operator, arg))
                })
                .collect();
            match (types.as_slice(), tuple) {
                ([ty], false) => ty.clone(),
                _ => Ty::tuple(types),
            }
        }
    }
}

/// The gradient in an argument, which must have one.
fn real_argument(ctx: &mut Ctx, operator: Operator, arg: &Arg) -> Ty {
    if let Ty::Array(Array { kind: Kind::Bool | Kind::Key, .. }) = &arg.ty {
        let message = format!("`{}` differentiates in reals, but {} was given", operator.name(), arg.operand.shown());
        ctx.report(arg.operand.label(Diagnostic::error("E0324", arg.span, message)));
        return Ty::Unknown;
    }
    tangent(&arg.ty)
}

/// A direction must have the shape of the point.
fn direction(ctx: &mut Ctx, operator: Operator, args: &[Arg]) {
    let (x, v) = (&args[0], &args[1]);
    let Some(misfit) = fit::misfit(ctx, &tangent(&x.ty), &v.ty) else { return };
    let code = match misfit {
        Misfit::Kind => "E0311",
        Misfit::Rank | Misfit::Dim(..) => "E0406",
    };
    let message = format!(
        "`{}` takes a direction of the type of the point, but these are {} and {}",
        operator.name(),
        x.operand.shown(),
        v.operand.shown()
    );
    ctx.report(v.operand.label(x.operand.label(Diagnostic::error(code, v.span, message))));
}

/// The type of derivatives of values of a type.
fn tangent(ty: &Ty) -> Ty {
    match ty {
        Ty::Array(Array { kind: Kind::Real | Kind::Int, dims, .. }) => Ty::shaped(Kind::Real, dims.clone()),
        Ty::Array(_) => Ty::Unknown,
        Ty::Tuple(types) => Ty::tuple(types.iter().map(tangent).collect()),
        Ty::Record(record) => {
            Ty::record(record.fields.iter().map(|(name, ty)| (name.clone(), tangent(ty))).collect(), record.open)
        }
        Ty::Str | Ty::Fn(_) | Ty::Lambda(_) | Ty::Builtin(_) | Ty::Derived(_) | Ty::Network(_) => Ty::Unknown,
        Ty::Template(_) | Ty::Solver(_) | Ty::Problem(_) | Ty::List(_) | Ty::Unknown => Ty::Unknown,
    }
}

/// Real arrays with the dimensions of `a`, then those of `b`.
fn outer(a: &Ty, b: &Ty) -> Ty {
    match (a, b) {
        (Ty::Array(a), Ty::Array(b)) => {
            let dims: Option<Vec<Dim>> =
                a.dims.as_ref().zip(b.dims.as_ref()).map(|(a, b)| a.iter().chain(b).cloned().collect());
            Ty::shaped(Kind::Real, dims)
        }
        _ => Ty::Unknown,
    }
}
