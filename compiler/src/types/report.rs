//! How operands and shapes are shown in messages.

use super::scope::{Found, Scope};
use super::ty::{Ty, show_dims};
use super::{Ctx, dim::Dim, scope};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{ArgValue, BinaryOp, Expr, ExprKind, Index};

/// An operand as messages show it.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Its text, if it is short: `D'`.
    text: Option<String>,
    ty: Ty,
    /// Where the name at its root was declared, or where it stands itself.
    span: Span,
    label: String,
}

impl Operand {
    /// `D: real[m, n]`, or the type alone.
    pub fn shown(&self) -> String {
        match &self.text {
            Some(text) => format!("{text}: {}", self.ty),
            None => self.ty.to_string(),
        }
    }

    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    pub fn label(&self, diagnostic: Diagnostic) -> Diagnostic {
        if self.span.is_none() || diagnostic.labels.iter().any(|label| label.span == self.span) {
            return diagnostic;
        }
        diagnostic.label(self.span, self.label.clone())
    }
}

/// An operand that is written as one expression.
pub fn operand(ctx: &mut Ctx, scope: &Scope, expr: &Expr, ty: &Ty) -> Operand {
    let text = show(expr).filter(|text| text.chars().count() <= 40);
    match declaration(ctx, scope, expr) {
        Some(var) if !var.span.is_none() => {
            Operand { text, ty: ty.clone(), span: var.span, label: format!("{}: {}", var.name, var.ty) }
        }
        Some(_) | None => part(expr.span, text, ty),
    }
}

/// An operand without one expression of its own: the left part of a chain.
pub fn part(span: Span, text: Option<String>, ty: &Ty) -> Operand {
    Operand { text, ty: ty.clone(), span, label: format!("this is {ty}") }
}

/// The variable at the root of `D'`, `D[i]`, `run.D`.
fn declaration(ctx: &mut Ctx, scope: &Scope, expr: &Expr) -> Option<scope::Var> {
    match &expr.kind {
        ExprKind::Name(name) | ExprKind::Previous(crate::syntax::ast::Name { text: name, .. }) => {
            match scope.find(name) {
                Found::Var(var) => Some(var),
                Found::Anything => None,
                Found::Nothing => match scope::lookup_global(ctx, name, Span::NONE) {
                    Found::Var(var) => Some(var),
                    Found::Anything | Found::Nothing => None,
                },
            }
        }
        ExprKind::Transpose(base) | ExprKind::Index { base, .. } => declaration(ctx, scope, base),
        _ => None,
    }
}

/// The text of a short expression.
pub fn show(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Int(value) => Some(value.to_string()),
        ExprKind::Real(_, text) => Some(text.to_string()),
        ExprKind::Str(text) => Some(format!("{text:?}")),
        ExprKind::Name(name) => Some(name.to_string()),
        ExprKind::Previous(name) => Some(format!("previous {}", name.text)),
        ExprKind::Transpose(base) => Some(format!("{}'", show_operand(base)?)),
        ExprKind::Field { base, name } => Some(format!("{}.{}", show_operand(base)?, name.text)),
        ExprKind::MatMul(a, b) => Some(format!("{} @ {}", show_operand(a)?, show(b)?)),
        ExprKind::Neg(base) => Some(format!("-{}", show_operand(base)?)),
        ExprKind::Index { base, indices } => {
            let indices: Option<Vec<String>> = indices
                .iter()
                .map(|index| match index {
                    Index::At(expr) => show(expr),
                    Index::Range { start: None, end: None, step: None, .. } => Some(":".to_string()),
                    Index::Range { .. } => None,
                })
                .collect();
            Some(format!("{}[{}]", show_operand(base)?, indices?.join(", ")))
        }
        ExprKind::Call { func, args } => {
            let args: Option<Vec<String>> = args
                .iter()
                .map(|arg| match &arg.value {
                    ArgValue::Expr(expr) if arg.name.is_none() => show(expr),
                    ArgValue::Each(1, expr) if arg.name.is_none() => Some(format!("each {}", show(expr)?)),
                    ArgValue::Blank | ArgValue::Expr(_) | ArgValue::Each(..) | ArgValue::Generator { .. } => None,
                })
                .collect();
            Some(format!("{}({})", show_operand(func)?, args?.join(", ")))
        }
        _ => None,
    }
}

fn show_operand(expr: &Expr) -> Option<String> {
    let text = show(expr)?;
    Some(match expr.kind {
        ExprKind::MatMul(..) | ExprKind::Neg(_) => format!("({text})"),
        _ => text,
    })
}

/// Two types below each other, so that the difference is seen.
pub fn aligned(a: &Operand, b: &Operand) -> String {
    let left = a.text.as_deref().unwrap_or("left");
    let right = b.text.as_deref().unwrap_or("right");
    let width = left.chars().count().max(right.chars().count());
    format!("{left:>width$}: {}\n{right:>width$}: {}", a.ty, b.ty)
}

/// What is done, in words, to two operands.
pub fn action(op: BinaryOp, a: &str, b: &str) -> String {
    match op {
        BinaryOp::Or => format!("cannot take {a} or {b}"),
        BinaryOp::And => format!("cannot take {a} and {b}"),
        BinaryOp::Add => format!("cannot add {a} and {b}"),
        BinaryOp::Sub => format!("cannot subtract {b} from {a}"),
        BinaryOp::Mul => format!("cannot multiply {a} by {b} element by element"),
        BinaryOp::Div | BinaryOp::IntDiv => format!("cannot divide {a} by {b}"),
        BinaryOp::Mod => format!("cannot take the remainder of {a} by {b}"),
    }
}

pub fn sign(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "or",
        BinaryOp::And => "and",
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::IntDiv => "//",
        BinaryOp::Mod => "%",
    }
}

/// Why two shapes do not meet.
pub fn why_not(clash: &Clash) -> String {
    match clash {
        Clash::Dims(a, b) => format!("dimensions {a} and {b} differ"),
        Clash::Suffix { long, short } => format!("{} does not end in {}", show_dims(long), show_dims(short)),
    }
}

/// Two shapes that do not meet.
#[derive(Clone, Debug)]
pub enum Clash {
    /// Equal ranks, and these two differ.
    Dims(Dim, Dim),
    Suffix {
        long: Vec<Dim>,
        short: Vec<Dim>,
    },
}
