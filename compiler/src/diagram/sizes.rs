//! Shapes as they are shown: types as the checker gives them, with the sizes that are known in the place of names.

use crate::derive::tree::{parse, rewrite};
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, ScalarKind, Symbol, Type, TypeKind};
use crate::syntax::pretty;
use std::collections::HashMap;

/// What names of dimensions stand for: numbers, or other names.
pub type Sizes = HashMap<Symbol, String>;

/// The shape in a type's text, `real[m, n]` to `[64, n]`; empty for scalars and what is no array.
pub fn shape_of(ty: &str, sizes: &Sizes) -> String {
    let Some((kind, dims)) = ty.split_once('[').and_then(|(kind, rest)| Some((kind, rest.strip_suffix(']')?))) else {
        return String::new();
    };
    if !matches!(kind, "real" | "int" | "bool") || dims.contains("..") {
        return String::new();
    }
    let dims: Vec<String> = split(dims).iter().map(|dim| known(dim, sizes)).collect();
    let shape = format!("[{}]", dims.join(", "));
    if kind == "real" { shape } else { format!("{kind} {shape}") }
}

/// The parts between the commas that stand in no bracket.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// A dimension's text with what is known of it.
pub fn known(dim: &str, sizes: &Sizes) -> String {
    if let Some(size) = sizes.get(dim) {
        return size.clone();
    }
    if sizes.is_empty() || dim.parse::<i64>().is_ok() {
        return dim.to_string();
    }
    match parse(dim) {
        Some(e) => known_expr(&e, sizes),
        None => dim.to_string(),
    }
}

/// The same for a dimension as it was written.
pub fn known_expr(e: &Expr, sizes: &Sizes) -> String {
    let put = rewrite(e, &mut |part| {
        let ExprKind::Name(name) = &part.kind else { return None };
        parse(sizes.get(name)?)
    });
    evaluate(&put).map_or_else(|| pretty::expr(&put), |value| value.to_string())
}

/// The value of a formula of numbers.
fn evaluate(e: &Expr) -> Option<i64> {
    match &e.kind {
        ExprKind::Int(value) => Some(*value),
        ExprKind::Neg(inner) => evaluate(inner)?.checked_neg(),
        ExprKind::Pow(base, exponent) => evaluate(base)?.checked_pow(u32::try_from(evaluate(exponent)?).ok()?),
        ExprKind::Chain { first, rest } => {
            let mut value = evaluate(first)?;
            for (op, operand) in rest {
                let other = evaluate(operand)?;
                value = match op {
                    BinaryOp::Add => value.checked_add(other)?,
                    BinaryOp::Sub => value.checked_sub(other)?,
                    BinaryOp::Mul => value.checked_mul(other)?,
                    // Toward minus infinity, as in the language.
                    BinaryOp::IntDiv if other > 0 => value.div_euclid(other),
                    BinaryOp::Mod if other > 0 => value.rem_euclid(other),
                    BinaryOp::IntDiv | BinaryOp::Mod | BinaryOp::Div | BinaryOp::Or | BinaryOp::And => return None,
                };
            }
            Some(value)
        }
        _ => None,
    }
}

/// How many numbers arrays of these dimensions have, if all are known.
pub fn count(dims: &[String]) -> Option<u64> {
    dims.iter().try_fold(1u64, |product, dim| product.checked_mul(dim.parse().ok()?))
}

/// The shape of a declared type.
pub fn shape_of_type(ty: &Type, sizes: &Sizes) -> String {
    let TypeKind::Array { kind, dims } = &ty.kind else { return String::new() };
    if dims.is_empty() {
        return String::new();
    }
    let dims: Vec<String> = dims.iter().map(|dim| known_expr(dim, sizes)).collect();
    let kind = match kind {
        ScalarKind::Real => "",
        ScalarKind::Int => "int ",
        ScalarKind::Bool => "bool ",
        ScalarKind::Key => "key ",
        ScalarKind::Str => "string ",
    };
    format!("{kind}[{}]", dims.join(", "))
}
