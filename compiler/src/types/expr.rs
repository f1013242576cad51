//! The type of an expression, from its parts.

use super::Ctx;
use super::dim::Dim;
use super::fit;
use super::fit::Misfit;
use super::scope::{Found, Role, Scope, lookup};
use super::ty::{Array, Kind, Ty};
use super::{call, function, hole, index, operator, report, scope, seen, statement, train, unrolled};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{CompareOp, Expr, ExprKind, Generator, Name, Range};

/// The type of an expression. Mistakes in it are reported, and what has one is `Unknown`.
pub fn synth(ctx: &mut Ctx, scope: &Scope, expr: &Expr) -> Ty {
    let ty = synth_parts(ctx, scope, expr);
    seen::expression(ctx, expr.span, &ty);
    ty
}

fn synth_parts(ctx: &mut Ctx, scope: &Scope, expr: &Expr) -> Ty {
    let span = expr.span;
    match &expr.kind {
        ExprKind::Int(value) => Ty::static_int(Dim::constant(*value)),
        ExprKind::Real(..) => Ty::real(),
        ExprKind::Str(_) => Ty::Str,
        ExprKind::Bool(_) => Ty::bool(),
        ExprKind::Hole => hole::found(ctx, scope, span),
        ExprKind::Error => Ty::Unknown,
        ExprKind::Name(name) => lookup(ctx, scope, name, span).map_or(Ty::Unknown, |var| var.ty),
        ExprKind::Previous(name) => previous(ctx, scope, name),
        ExprKind::Tuple(parts) => Ty::tuple(parts.iter().map(|part| synth(ctx, scope, part)).collect()),
        ExprKind::Array(elements) => array(ctx, scope, elements, span),
        ExprKind::Comprehension { body, gens } => comprehension(ctx, scope, body, gens),
        ExprKind::Record(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.text.clone(), synth(ctx, scope, value))).collect();
            Ty::record(fields, false)
        }
        ExprKind::Block(block) => statement::block(ctx, scope, block),
        ExprKind::Loop(inner) => statement::loop_(ctx, scope, inner),
        ExprKind::If { cond, then, otherwise } => branches(ctx, scope, cond, then, otherwise, span),
        ExprKind::Lambda { params, body } => function::lambda(ctx, scope, params, body),
        ExprKind::Unroll { call, count, backprop, checkpoint: _, learn } => {
            unrolled::unroll(ctx, scope, call, count, backprop.as_deref(), learn.as_ref(), span)
        }
        ExprKind::Implicit(call) => unrolled::implicit(ctx, scope, call),
        ExprKind::Trace { call, count, every, record } => {
            unrolled::trace(ctx, scope, call, count, every.as_deref(), record)
        }
        ExprKind::Derive { path, by: _, form: _ } => unrolled::derive(ctx, scope, path),
        ExprKind::Train(train) => {
            if !ctx.effects {
                let message = "`train` changes networks, and functions are pure";
                ctx.report(Diagnostic::error("E0314", expr.span, message).here("this stands at the top level only"));
            }
            train::train(ctx, scope, train)
        }
        ExprKind::Neg(base) => operator::neg(ctx, scope, base, span),
        ExprKind::Not(base) => operator::not(ctx, scope, base, span),
        ExprKind::Chain { first, rest } => operator::chain(ctx, scope, first, rest),
        ExprKind::MatMul(left, right) => operator::matmul(ctx, scope, left, right, span),
        ExprKind::Pow(base, exponent) => operator::pow(ctx, scope, base, exponent, span),
        ExprKind::Compare { op, left, right } => operator::compare(ctx, scope, *op, left, right, span),
        ExprKind::Transpose(base) => operator::transpose(ctx, scope, base, span),
        ExprKind::Call { func, args } => call::call(ctx, scope, func, args, span),
        ExprKind::Index { base, indices } => {
            let ty = synth(ctx, scope, base);
            let operand = report::operand(ctx, scope, base, &ty);
            index::index(ctx, scope, &ty, &operand, indices, span)
        }
        ExprKind::Field { base, name } => {
            let ty = synth(ctx, scope, base);
            let operand = report::operand(ctx, scope, base, &ty);
            index::field(ctx, &ty, &operand, name)
        }
    }
}

fn previous(ctx: &mut Ctx, scope: &Scope, name: &Name) -> Ty {
    match scope.find(&name.text) {
        Found::Var(var) if var.role == Role::State => var.ty,
        Found::Anything => Ty::Unknown,
        Found::Var(_) | Found::Nothing => {
            let message = format!("`{}` is not a state, so that it has no previous value", name.text);
            let mut diagnostic = Diagnostic::error("E0302", name.span, message);
            let states = scope.states();
            if let Some(suggestion) = scope::similar(&name.text, states.iter().map(|state| &**state)) {
                diagnostic = diagnostic.help(format!("did you mean `{suggestion}`?"));
            }
            ctx.report(diagnostic);
            Ty::Unknown
        }
    }
}

fn array(ctx: &mut Ctx, scope: &Scope, elements: &[Expr], _span: Span) -> Ty {
    let types: Vec<Ty> = elements.iter().map(|element| synth(ctx, scope, element)).collect();
    let Some((first, rest)) = types.split_first() else { return Ty::Unknown };
    let mut common = first.clone();
    for (ty, element) in rest.iter().zip(&elements[1..]) {
        common = match fit::join(ctx, &common, ty) {
            Ok(joined) => joined,
            Err(misfit) => {
                let code = match misfit {
                    Misfit::Kind => "E0319",
                    Misfit::Rank | Misfit::Dim(..) => "E0402",
                };
                let message = format!("the elements of an array are of one type, but here are {common} and {ty}");
                let diagnostic = Diagnostic::error(code, element.span, message).here(format!("this is {ty}"));
                ctx.report(diagnostic.label(elements[0].span, format!("this is {first}")));
                return Ty::Unknown;
            }
        };
    }
    match &common {
        Ty::Unknown => Ty::Unknown,
        Ty::Array(_) => call::prefix(&common, &[Dim::constant(elements.len() as i64)]),
        _ => Ty::List(common.into()),
    }
}

/// The scope with the indices, and the extent of each range.
pub fn generators(ctx: &mut Ctx, scope: &Scope, gens: &[Generator]) -> (Vec<Dim>, Scope) {
    let mut inner = scope.clone();
    let mut extents = Vec::new();
    for generator in gens {
        let (extent, element) = range(ctx, &inner, &generator.range, false);
        extents.push(extent);
        inner = inner.with_value(&generator.name, element);
    }
    (extents, inner)
}

/// A range's extent and the type of what it runs over. At the top level it may also be a list.
pub fn range(ctx: &mut Ctx, scope: &Scope, range: &Range, list: bool) -> (Dim, Ty) {
    let end = synth(ctx, scope, &range.end);
    let start = range.start.as_ref().map(|start| (synth(ctx, scope, start), start));
    let mut bounds = vec![(&end, &range.end)];
    bounds.extend(start.as_ref().map(|(ty, start)| (ty, *start)));
    for (ty, expr) in bounds {
        match ty {
            Ty::Unknown => {}
            Ty::Array(Array { kind: Kind::Int, dims, .. }) if dims.as_ref().is_none_or(Vec::is_empty) => {}
            Ty::List(element) if list && range.start.is_none() => return (Dim::Unknown, (**element).clone()),
            Ty::Array(Array { kind, dims, .. }) if list && range.start.is_none() => {
                let element = dims.as_ref().and_then(|dims| dims.get(1..)).map(<[Dim]>::to_vec);
                if dims.as_ref().is_none_or(|dims| !dims.is_empty()) {
                    return (Dim::Unknown, Ty::shaped(*kind, element));
                }
                report_range(ctx, ty, expr);
            }
            _ => report_range(ctx, ty, expr),
        }
    }
    let extent = match &start {
        None => end.value_dim(),
        Some((start, _)) => end.value_dim().combine(&start.value_dim(), |end, start| end.sub(start)),
    };
    let extent = match extent.as_constant() {
        Some(negative) if negative < 0 => Dim::Unknown,
        _ => extent,
    };
    (extent, Ty::int())
}

fn report_range(ctx: &mut Ctx, ty: &Ty, expr: &Expr) {
    let mut diagnostic = Diagnostic::error("E0310", expr.span, format!("a range is of ints, but this is {ty}"));
    if let Ty::Array(Array { dims: Some(dims), .. }) = ty
        && !dims.is_empty()
        && let Some(text) = report::show(expr)
    {
        diagnostic = diagnostic.help(format!("`size({text}, 0)` is its leading size"));
    }
    ctx.report(diagnostic);
}

fn comprehension(ctx: &mut Ctx, scope: &Scope, body: &Expr, gens: &[Generator]) -> Ty {
    let (extents, inner) = generators(ctx, scope, gens);
    let element = synth(ctx, &inner, body);
    call::prefix(&element, &extents)
}

/// A condition: one bool.
pub fn condition(ctx: &mut Ctx, scope: &Scope, cond: &Expr) {
    let ty = synth(ctx, scope, cond);
    hole::wanted(ctx, cond.span, &Ty::bool());
    match &ty {
        Ty::Unknown => {}
        Ty::Array(Array { kind: Kind::Bool, dims, .. }) if dims.as_ref().is_none_or(Vec::is_empty) => {}
        _ => {
            let mut diagnostic =
                Diagnostic::error("E0310", cond.span, format!("a condition is one bool, but this is {ty}"));
            if let Ty::Array(Array { kind: Kind::Bool, .. }) = ty {
                diagnostic =
                    diagnostic.help("`all(..)` or `any(..)` makes one of many; `where(mask, a, b)` picks elementwise");
            }
            ctx.report(diagnostic);
        }
    }
}

fn branches(ctx: &mut Ctx, scope: &Scope, cond: &Expr, then: &Expr, otherwise: &Expr, span: Span) -> Ty {
    condition(ctx, scope, cond);
    // A branch that sizes choose is only entered for those sizes.
    let by_sizes = is_static(ctx, scope, cond);
    ctx.soft += usize::from(by_sizes);
    let a = synth(ctx, scope, then);
    let b = synth(ctx, scope, otherwise);
    ctx.soft -= usize::from(by_sizes);
    hole::wanted(ctx, then.span, &b);
    hole::wanted(ctx, otherwise.span, &a);
    match fit::join_branches(ctx, &a, &b) {
        Ok(joined) => joined,
        // What is known when it is compiled, as everything is at the top level, takes one branch and drops the other.
        Err(_) if by_sizes || ctx.top => Ty::Unknown,
        Err(_) => {
            let (x, y) = (function::value_of(then), function::value_of(otherwise));
            let message = format!("the branches of `if` have different types: {a} and {b}");
            let diagnostic = Diagnostic::error("E0319", span, message);
            ctx.report(diagnostic.label(x.span, format!("this is {a}")).label(y.span, format!("this is {b}")));
            Ty::Unknown
        }
    }
}

/// Whether a condition may be decided when it is compiled: it is made of static ints, strings and bools that have a name.
pub fn is_static(ctx: &mut Ctx, scope: &Scope, cond: &Expr) -> bool {
    match &cond.kind {
        ExprKind::Bool(_) => true,
        ExprKind::Name(_) => true,
        ExprKind::Not(inner) => is_static(ctx, scope, inner),
        ExprKind::Chain { first, rest } => {
            is_static(ctx, scope, first) && rest.iter().all(|(_, part)| is_static(ctx, scope, part))
        }
        ExprKind::Compare { op, left, right } => [left, right].into_iter().all(|side| {
            let equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
            match synth(ctx, scope, side) {
                Ty::Str => equality,
                ty => ty.value().is_some(),
            }
        }),
        _ => false,
    }
}
