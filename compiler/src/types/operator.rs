//! Operators: arithmetic with its broadcasting rule, comparisons, `@`, `'`, `^`.

use super::dim::{Dim, Poly};
use super::expr::synth;
use super::report;
use super::report::{Clash, Operand};
use super::scope::Scope;
use super::ty::{Array, Kind, Ty};
use super::{Ctx, dim, hole};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{BinaryOp, CompareOp, Expr};

/// Dimensions, or `None` when the rank is not known.
pub type Shape = Option<Vec<Dim>>;

/// The common shape of two operands: equal shapes, a scalar and any shape, or a shape that ends in the other.
pub fn broadcast(ctx: &Ctx, a: &Shape, b: &Shape) -> Result<Shape, Clash> {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (None, None) => return Ok(None),
        // A scalar takes the other's shape; an array may be the longer or the shorter one.
        (Some(_), None) | (None, Some(_)) => return Ok(None),
    };
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let offset = long.len() - short.len();
    let mut dims = long.clone();
    for (i, dim) in short.iter().enumerate() {
        if ctx.differ(&long[offset + i], dim) {
            return Err(match offset {
                0 => Clash::Dims(a[i].clone(), b[i].clone()),
                _ => Clash::Suffix { long: long.clone(), short: short.clone() },
            });
        }
        dims[offset + i] = long[offset + i].better(dim).clone();
    }
    Ok(Some(dims))
}

/// One level of left-associative operators.
pub fn chain(ctx: &mut Ctx, scope: &Scope, first: &Expr, rest: &[(BinaryOp, Expr)]) -> Ty {
    let mut left_ty = synth(ctx, scope, first);
    let mut left = report::operand(ctx, scope, first, &left_ty);
    let mut span = first.span;
    for (op, expr) in rest {
        let right_ty = synth(ctx, scope, expr);
        hole::wanted(ctx, expr.span, &left_ty);
        hole::wanted(ctx, span, &right_ty);
        let right = report::operand(ctx, scope, expr, &right_ty);
        span = span.to(expr.span);
        left_ty = binary(ctx, *op, (&left_ty, &left), (&right_ty, &right), span);
        left = report::part(span, None, &left_ty);
    }
    left_ty
}

fn binary(ctx: &mut Ctx, op: BinaryOp, left: (&Ty, &Operand), right: (&Ty, &Operand), span: Span) -> Ty {
    let logical = match op {
        BinaryOp::Or | BinaryOp::And => true,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::IntDiv | BinaryOp::Mod => false,
    };
    let mut wrong = false;
    for (ty, operand) in [left, right] {
        wrong |= !operand_fits(ctx, op, logical, ty, operand, span);
    }
    let (Some(a), Some(b)) = (left.0.as_array(), right.0.as_array()) else { return Ty::Unknown };
    if wrong {
        return Ty::Unknown;
    }
    let dims = match broadcast(ctx, &a.dims, &b.dims) {
        Ok(dims) => dims,
        Err(clash) => {
            report_clash(ctx, &report::action(op, &left.1.shown(), &right.1.shown()), left, right, &clash, span);
            return Ty::Unknown;
        }
    };
    let kind = match op {
        BinaryOp::Or | BinaryOp::And => Kind::Bool,
        BinaryOp::Div => Kind::Real,
        BinaryOp::IntDiv | BinaryOp::Mod => Kind::Int,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul if a.kind == Kind::Real || b.kind == Kind::Real => Kind::Real,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul => Kind::Int,
    };
    let value = match (kind, &a.value, &b.value) {
        (Kind::Int, Some(a), Some(b)) => arithmetic(op, a, b),
        _ => None,
    };
    Ty::Array(Array { kind, dims, value })
}

/// Arithmetic of static ints; `None` where it overflows or divides by zero, which is reported when it runs.
pub fn arithmetic(op: BinaryOp, a: &Poly, b: &Poly) -> Option<Poly> {
    match op {
        BinaryOp::Add => a.add(b).ok(),
        BinaryOp::Sub => a.sub(b).ok(),
        BinaryOp::Mul => a.mul(b).ok(),
        BinaryOp::IntDiv => a.int_div(b).ok().flatten(),
        BinaryOp::Mod => a.modulo(b).ok().flatten(),
        BinaryOp::Or | BinaryOp::And | BinaryOp::Div => None,
    }
}

/// Reports an operand of a kind that the operator does not take.
fn operand_fits(ctx: &mut Ctx, op: BinaryOp, logical: bool, ty: &Ty, operand: &Operand, span: Span) -> bool {
    let sign = report::sign(op);
    let wanted = match (logical, op) {
        (true, _) => "bools",
        (false, BinaryOp::IntDiv | BinaryOp::Mod) => "ints",
        (false, _) => "numbers",
    };
    let fits = match ty {
        Ty::Unknown => true,
        Ty::Array(array) => match wanted {
            "bools" => array.kind == Kind::Bool,
            "ints" => array.kind == Kind::Int,
            _ => array.kind.is_number(),
        },
        Ty::Str | Ty::Tuple(_) | Ty::Record(_) | Ty::Fn(_) | Ty::Lambda(_) | Ty::Builtin(_) | Ty::Derived(_) => false,
        Ty::Network(_) | Ty::Template(_) | Ty::Solver(_) | Ty::Problem(_) | Ty::List(_) => false,
    };
    if fits {
        return true;
    }
    let diagnostic =
        Diagnostic::error("E0310", span, format!("`{sign}` takes {wanted}, but {} was given", operand.shown()));
    let mut diagnostic = operand.label(diagnostic);
    if let Ty::Array(Array { kind: Kind::Bool, .. }) = ty
        && wanted == "numbers"
    {
        let text = operand.text().unwrap_or("..");
        diagnostic = diagnostic.help(format!("`real({text})` makes 0 and 1 of false and true"));
    }
    if wanted == "ints" && op == BinaryOp::IntDiv {
        diagnostic = diagnostic.help("`/` divides reals; `floor(a / b)` rounds their quotient down");
    }
    ctx.report(diagnostic);
    false
}

pub fn report_clash(
    ctx: &mut Ctx,
    action: &str,
    left: (&Ty, &Operand),
    right: (&Ty, &Operand),
    clash: &Clash,
    span: Span,
) {
    let message = format!("{action}: {}", report::why_not(clash));
    let mut diagnostic = Diagnostic::error("E0402", span, message).here("these shapes do not meet");
    diagnostic = right.1.label(left.1.label(diagnostic)).note(report::aligned(left.1, right.1));
    if let Clash::Suffix { long, short } = clash
        && short.len() == 1
        && !ctx.differ(&long[0], &short[0])
    {
        let (vector, matrix) = if left.0.as_array().is_some_and(|a| a.dims.as_ref().is_some_and(|d| d.len() == 1)) {
            (left.1.text(), right.1.text())
        } else {
            (right.1.text(), left.1.text())
        };
        if let (Some(vector), Some(matrix), 2) = (vector, matrix, long.len()) {
            diagnostic = diagnostic.help(format!(
                "an array meets one whose shape ends in its own; `diag({vector}) @ {matrix}` scales rows"
            ));
        }
    }
    ctx.report(diagnostic);
}

pub fn compare(ctx: &mut Ctx, scope: &Scope, op: CompareOp, left: &Expr, right: &Expr, span: Span) -> Ty {
    let left_ty = synth(ctx, scope, left);
    let right_ty = synth(ctx, scope, right);
    hole::wanted(ctx, right.span, &left_ty);
    hole::wanted(ctx, left.span, &right_ty);
    let a = report::operand(ctx, scope, left, &left_ty);
    let b = report::operand(ctx, scope, right, &right_ty);
    let equality = match op {
        CompareOp::Eq | CompareOp::Ne => true,
        CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => false,
    };
    let (x, y) = match (&left_ty, &right_ty) {
        (Ty::Array(x), Ty::Array(y)) => (x, y),
        (Ty::Str, Ty::Str) if equality => return Ty::bool(),
        (Ty::Unknown, _) | (_, Ty::Unknown) => return Ty::Unknown,
        // Tuples and records are compared part by part at the top level, if at all: not decided here.
        (Ty::Tuple(_), Ty::Tuple(_)) | (Ty::Record(_), Ty::Record(_)) if equality => return Ty::Unknown,
        _ => {
            let message = format!("cannot compare {} and {}", a.shown(), b.shown());
            ctx.report(b.label(a.label(Diagnostic::error("E0310", span, message))));
            return Ty::Unknown;
        }
    };
    let comparable = x.kind.is_number() && y.kind.is_number() || (equality && x.kind == y.kind);
    if !comparable {
        let message = format!("cannot compare {} and {}", a.shown(), b.shown());
        ctx.report(b.label(a.label(Diagnostic::error("E0310", span, message))));
        return Ty::Unknown;
    }
    match broadcast(ctx, &x.dims, &y.dims) {
        Ok(dims) => Ty::shaped(Kind::Bool, dims),
        Err(clash) => {
            let action = format!("cannot compare {} and {}", a.shown(), b.shown());
            report_clash(ctx, &action, (&left_ty, &a), (&right_ty, &b), &clash, span);
            Ty::Unknown
        }
    }
}

pub fn matmul(ctx: &mut Ctx, scope: &Scope, left: &Expr, right: &Expr, span: Span) -> Ty {
    let left_ty = synth(ctx, scope, left);
    let right_ty = synth(ctx, scope, right);
    // The vector that a matrix takes.
    if let Ty::Array(Array { kind, dims: Some(dims), .. }) = &left_ty
        && let [_, inner] = dims.as_slice()
    {
        let vector = Ty::array(*kind, vec![inner.clone()]);
        hole::wanted(ctx, right.span, &vector);
    }
    let (a, b) = match (&left_ty, &right_ty) {
        (Ty::Array(a), Ty::Array(b)) if a.kind.is_number() && b.kind.is_number() => (a, b),
        _ => {
            for (expr, ty) in [(left, &left_ty), (right, &right_ty)] {
                if !ty.is_unknown() && !ty.as_array().is_some_and(|array| array.kind.is_number()) {
                    let operand = report::operand(ctx, scope, expr, ty);
                    let message = format!("`@` takes arrays of numbers, but {} was given", operand.shown());
                    ctx.report(operand.label(Diagnostic::error("E0310", span, message)));
                }
            }
            return Ty::Unknown;
        }
    };
    let kind = if a.kind == Kind::Int && b.kind == Kind::Int { Kind::Int } else { Kind::Real };
    let shown_left = report::operand(ctx, scope, left, &left_ty);
    let shown_right = report::operand(ctx, scope, right, &right_ty);
    for (shape, operand) in [(&a.dims, &shown_left), (&b.dims, &shown_right)] {
        if shape.as_ref().is_some_and(|dims| dims.is_empty()) {
            let message = format!(
                "cannot multiply {} by {} with `@`: {} is a scalar",
                shown_left.shown(),
                shown_right.shown(),
                operand.text().unwrap_or("an operand")
            );
            let diagnostic =
                Diagnostic::error("E0405", span, message).here("`@` is the product of matrices and vectors");
            let diagnostic = shown_right.label(shown_left.label(diagnostic));
            ctx.report(diagnostic.help("a scalar is multiplied with `*`"));
            return Ty::Unknown;
        }
    }
    let (Some(x), Some(y)) = (&a.dims, &b.dims) else { return Ty::any_rank(kind) };
    let inner_left = &x[x.len() - 1];
    let inner_right = if y.len() == 1 { &y[0] } else { &y[y.len() - 2] };
    if ctx.differ(inner_left, inner_right) {
        let message = format!(
            "cannot multiply {} by {}: inner dimensions {inner_left} and {inner_right} differ",
            shown_left.shown(),
            shown_right.shown()
        );
        let diagnostic = Diagnostic::error("E0405", span, message).here(format!("{inner_left} against {inner_right}"));
        let mut diagnostic = shown_right.label(shown_left.label(diagnostic));
        diagnostic = diagnostic.note(report::aligned(&shown_left, &shown_right));
        if let Some(help) = transposed(ctx, (x, &shown_left), (y, &shown_right)) {
            diagnostic = diagnostic.help(help);
        }
        ctx.report(diagnostic);
        return Ty::Unknown;
    }
    if x.len() > 2 || y.len() > 2 {
        return Ty::any_rank(kind);
    }
    let mut dims = x[..x.len() - 1].to_vec();
    if y.len() == 2 {
        dims.push(y[1].clone());
    }
    Ty::array(kind, dims)
}

/// The transposed product that would fit.
fn transposed(ctx: &Ctx, left: (&[Dim], &Operand), right: (&[Dim], &Operand)) -> Option<String> {
    let (a, b) = (left.1.text()?, right.1.text()?);
    let inner_right = if right.0.len() == 1 { &right.0[0] } else { &right.0[right.0.len() - 2] };
    let fits = |x: &Dim, y: &Dim| ctx.equality(x, y) == dim::Equality::Equal;
    if left.0.len() == 2 && fits(&left.0[0], inner_right) {
        return Some(format!("`{}` fits", product(&turned(a), b)));
    }
    if right.0.len() == 2 && fits(&left.0[left.0.len() - 1], &right.0[1]) {
        return Some(format!("`{}` fits", product(a, &turned(b))));
    }
    None
}

fn product(a: &str, b: &str) -> String {
    format!("{a} @ {b}")
}

fn turned(text: &str) -> String {
    match text.strip_suffix('\'') {
        Some(base) => base.to_string(),
        None if text.contains(' ') || text.starts_with('-') => format!("({text})'"),
        None => format!("{text}'"),
    }
}

pub fn transpose(ctx: &mut Ctx, scope: &Scope, base: &Expr, span: Span) -> Ty {
    let ty = synth(ctx, scope, base);
    let Some(array) = ty.as_array() else {
        if !ty.is_unknown() {
            let operand = report::operand(ctx, scope, base, &ty);
            let message = format!("`'` transposes a matrix, but {} was given", operand.shown());
            ctx.report(operand.label(Diagnostic::error("E0310", span, message)));
        }
        return Ty::Unknown;
    };
    let Some(dims) = &array.dims else { return Ty::any_rank(array.kind) };
    let rank = dims.len();
    if rank < 2 {
        let operand = report::operand(ctx, scope, base, &ty);
        let what = if rank == 0 { "a scalar" } else { "a vector" };
        let message = format!("cannot transpose {}: it is {what}", operand.shown());
        let mut diagnostic = operand.label(Diagnostic::error("E0405", span, message));
        if let (1, Some(text)) = (rank, operand.text()) {
            diagnostic = diagnostic.help(format!(
                "`{text} @ A` multiplies from the left, `{text} @ y` is the inner product; `reshape({text}, 1, size({text}))` is a row"
            ));
        }
        ctx.report(diagnostic);
        return Ty::Unknown;
    }
    let mut turned = dims.clone();
    turned.swap(rank - 1, rank - 2);
    Ty::array(array.kind, turned)
}

pub fn pow(ctx: &mut Ctx, scope: &Scope, base: &Expr, exponent: &Expr, span: Span) -> Ty {
    let base_ty = synth(ctx, scope, base);
    let exponent_ty = synth(ctx, scope, exponent);
    let left = report::operand(ctx, scope, base, &base_ty);
    let right = report::operand(ctx, scope, exponent, &exponent_ty);
    let mut wrong = false;
    for (ty, operand) in [(&base_ty, &left), (&exponent_ty, &right)] {
        if !ty.is_unknown() && !ty.as_array().is_some_and(|array| array.kind.is_number()) {
            let message = format!("`^` takes numbers, but {} was given", operand.shown());
            ctx.report(operand.label(Diagnostic::error("E0310", span, message)));
            wrong = true;
        }
    }
    let (Some(a), Some(b)) = (base_ty.as_array(), exponent_ty.as_array()) else { return Ty::Unknown };
    if wrong {
        return Ty::Unknown;
    }
    let dims = match broadcast(ctx, &a.dims, &b.dims) {
        Ok(dims) => dims,
        Err(clash) => {
            let action = format!("cannot raise {} to {}", left.shown(), right.shown());
            report_clash(ctx, &action, (&base_ty, &left), (&exponent_ty, &right), &clash, span);
            return Ty::Unknown;
        }
    };
    if a.kind == Kind::Real || b.kind == Kind::Real {
        return Ty::shaped(Kind::Real, dims);
    }
    // An int to a negative power is no int: only a known exponent tells.
    match b.value.as_ref().and_then(Poly::as_constant) {
        Some(power) if power >= 0 => {
            let value = a.value.as_ref().and_then(|base| base.pow(u32::try_from(power).ok()?).ok());
            Ty::Array(Array { kind: Kind::Int, dims, value })
        }
        Some(_) | None => Ty::Unknown,
    }
}

pub fn neg(ctx: &mut Ctx, scope: &Scope, base: &Expr, span: Span) -> Ty {
    let ty = synth(ctx, scope, base);
    match &ty {
        Ty::Array(array) if array.kind.is_number() => {
            let value = array.value.as_ref().and_then(|value| value.neg().ok());
            Ty::Array(Array { value, ..array.clone() })
        }
        Ty::Unknown => Ty::Unknown,
        _ => {
            let operand = report::operand(ctx, scope, base, &ty);
            let message = format!("`-` takes numbers, but {} was given", operand.shown());
            ctx.report(operand.label(Diagnostic::error("E0310", span, message)));
            Ty::Unknown
        }
    }
}

pub fn not(ctx: &mut Ctx, scope: &Scope, base: &Expr, span: Span) -> Ty {
    let ty = synth(ctx, scope, base);
    match &ty {
        Ty::Array(array) if array.kind == Kind::Bool => ty,
        Ty::Unknown => Ty::Unknown,
        _ => {
            let operand = report::operand(ctx, scope, base, &ty);
            let message = format!("`not` takes bools, but {} was given", operand.shown());
            ctx.report(operand.label(Diagnostic::error("E0310", span, message)));
            Ty::Unknown
        }
    }
}
