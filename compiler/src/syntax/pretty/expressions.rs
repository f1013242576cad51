//! Expressions, types, and the small parts of statements.

use super::doc::{Doc, brackets, cat, commas, group, nest, text};
use super::{Notes, block, pass, train};
use crate::syntax::ast::{
    Arg, ArgValue, BinaryOp, Binder, Checkpoint, CompareOp, Expr, ExprKind, Generator, Index, Init, Let, LetKind,
    LoopKind, Name, Param, Path, PathPart, Range, ScalarKind, Type, TypeKind,
};

/// Levels of precedence, from what binds least: an operand of a lower level than its place wants parentheses.
const FORM: u8 = 0;
pub const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const COMPARE: u8 = 4;
pub const SUM: u8 = 5;
const PRODUCT: u8 = 6;
const MATMUL: u8 = 7;
const UNARY: u8 = 8;
const POWER: u8 = 9;
pub const POSTFIX: u8 = 10;
const PRIMARY: u8 = 11;

fn level(expr: &Expr) -> u8 {
    match &expr.kind {
        ExprKind::If { .. } | ExprKind::Lambda { .. } | ExprKind::Unroll { .. } | ExprKind::Implicit(_) => FORM,
        ExprKind::Trace { .. } | ExprKind::Derive { .. } | ExprKind::Train(_) => FORM,
        ExprKind::Chain { rest, .. } => rest.first().map_or(PRIMARY, |(op, _)| operator_level(*op)),
        ExprKind::Not(_) => NOT,
        ExprKind::Compare { .. } => COMPARE,
        ExprKind::MatMul(..) => MATMUL,
        ExprKind::Neg(_) => UNARY,
        // Only trees that were not parsed have negative literals.
        ExprKind::Int(value) if *value < 0 => UNARY,
        ExprKind::Real(_, text) if text.starts_with('-') => UNARY,
        ExprKind::Pow(..) => POWER,
        ExprKind::Transpose(_) | ExprKind::Call { .. } | ExprKind::Index { .. } | ExprKind::Field { .. } => POSTFIX,
        ExprKind::Int(_) | ExprKind::Real(..) | ExprKind::Str(_) | ExprKind::Bool(_) | ExprKind::Hole => PRIMARY,
        ExprKind::Name(_) | ExprKind::Previous(_) | ExprKind::Tuple(_) | ExprKind::Array(_) => PRIMARY,
        ExprKind::Comprehension { .. } | ExprKind::Record(_) | ExprKind::Block(_) | ExprKind::Loop(_) => PRIMARY,
        ExprKind::Error => PRIMARY,
    }
}

fn operator_level(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => OR,
        BinaryOp::And => AND,
        BinaryOp::Add | BinaryOp::Sub => SUM,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::IntDiv | BinaryOp::Mod => PRODUCT,
    }
}

fn operator(op: BinaryOp) -> &'static str {
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

/// An expression where at least this level is wanted.
pub fn at(notes: &mut Notes, expr: &Expr, least: u8) -> Doc {
    let doc = expression(notes, expr);
    if level(expr) < least { brackets("(", doc, ")") } else { doc }
}

fn list(notes: &mut Notes, values: &[Expr]) -> Vec<Doc> {
    values.iter().map(|value| expression(notes, value)).collect()
}

/// `left op right`, which may be broken after the operator.
fn infix(left: Doc, op: &str, right: Doc) -> Doc {
    group(cat([left, text(format!(" {op}")), nest(cat([Doc::Line, right]))]))
}

pub fn expression(notes: &mut Notes, expr: &Expr) -> Doc {
    match &expr.kind {
        ExprKind::Int(value) => text(value.to_string()),
        ExprKind::Real(_, written) => text(&**written),
        ExprKind::Str(value) => string(value),
        ExprKind::Bool(value) => text(value.to_string()),
        ExprKind::Hole | ExprKind::Error => text("?"),
        ExprKind::Name(name) => text(&**name),
        ExprKind::Previous(name) => text(format!("previous {}", name.text)),
        ExprKind::Tuple(parts) => match parts.as_slice() {
            [only] => cat([text("("), expression(notes, only), text(",)")]),
            _ => brackets("(", commas(list(notes, parts)), ")"),
        },
        ExprKind::Array(parts) => brackets("[", commas(list(notes, parts)), "]"),
        ExprKind::Comprehension { body, gens } => {
            let inside = cat([expression(notes, body), Doc::Line, generators(notes, gens)]);
            brackets("[", inside, "]")
        }
        ExprKind::Record(list) => fields(notes, list),
        ExprKind::Block(inner) => block(notes, inner),
        ExprKind::Loop(inner) => {
            let kind = match &inner.kind {
                LoopKind::For { var, range: r } => {
                    let var = var.as_ref().map_or(String::new(), |var| format!("{} in ", var.text));
                    cat([text(format!(" for {var}")), range(notes, r)])
                }
                LoopKind::Until { cond, within } => {
                    cat([text(" until "), expression(notes, cond), text(" within "), expression(notes, within)])
                }
            };
            cat([
                text("loop "),
                inits(notes, &inner.inits),
                kind,
                cat(inner.checkpoint.as_ref().map(checkpoint)),
                text(" "),
                pass(notes, &inner.body),
            ])
        }
        ExprKind::If { .. } => {
            let (mut first, mut rest) = (Vec::new(), Vec::new());
            let mut last = expr;
            while let ExprKind::If { cond, then, otherwise } = &last.kind {
                let cond = cat([text("if "), expression(notes, cond)]);
                let then = cat([Doc::Line, text("then "), expression(notes, then)]);
                match first.is_empty() {
                    true => first.push(cond),
                    false => rest.extend([Doc::Line, text("else "), cond]),
                }
                rest.push(then);
                last = otherwise;
            }
            rest.extend([Doc::Line, text("else "), expression(notes, last)]);
            group(cat([cat(first), nest(cat(rest))]))
        }
        ExprKind::Lambda { params: list, body } => {
            cat([text("fn"), params(notes, list), text(" = "), expression(notes, body)])
        }
        ExprKind::Unroll { call, count, backprop, checkpoint: kept, learn } => {
            let mut parts = vec![text("unroll "), at(notes, call, POSTFIX), text(" for "), at(notes, count, SUM)];
            if let Some(backprop) = backprop {
                parts.extend([text(" backprop "), at(notes, backprop, SUM)]);
            }
            parts.extend(kept.as_ref().map(checkpoint));
            if let Some(learn) = learn {
                let lifted: Vec<Doc> = learn
                    .lifted
                    .iter()
                    .map(|lifted| {
                        let each = if lifted.each { "each " } else { "" };
                        let ty = lifted.ty.as_ref().map(|ty| cat([text(": "), ty_doc(notes, ty)]));
                        cat([text(format!("{each}{}", lifted.name.text)), cat(ty)])
                    })
                    .collect();
                let from = learn.from.as_ref().map(|from| cat([Doc::Line, text("from "), at(notes, from, SUM)]));
                parts.push(nest(cat([Doc::Line, text("learn "), nest(commas(lifted)), cat(from)])));
            }
            group(cat(parts))
        }
        ExprKind::Implicit(call) => cat([text("implicit "), at(notes, call, POSTFIX)]),
        ExprKind::Trace { call, count, every, record } => {
            let every = every.as_ref().map(|every| cat([text(" every "), at(notes, every, SUM)]));
            cat([
                text("trace "),
                at(notes, call, POSTFIX),
                text(" for "),
                at(notes, count, SUM),
                cat(every),
                text(" "),
                fields(notes, record),
            ])
        }
        ExprKind::Derive { path: p, by, form } => {
            let by = by.as_ref().map(|by| cat([Doc::Line, text("by "), at(notes, by, POSTFIX)]));
            let form = form.as_ref().map(|form| cat([Doc::Line, text(format!("as {}", form.text))]));
            group(cat([text("derive "), path(notes, p), nest(cat([cat(by), cat(form)]))]))
        }
        ExprKind::Train(inner) => train(notes, inner),
        ExprKind::Neg(inner) => cat([text("-"), at(notes, inner, UNARY)]),
        ExprKind::Not(inner) => cat([text("not "), at(notes, inner, NOT)]),
        ExprKind::Chain { first, rest } => {
            let least = level(expr) + 1;
            let mut parts = vec![at(notes, first, least)];
            for (op, operand) in rest {
                parts.extend([text(format!(" {}", operator(*op))), Doc::Line, at(notes, operand, least)]);
            }
            group(nest(cat(parts)))
        }
        ExprKind::MatMul(left, right) => infix(at(notes, left, UNARY), "@", at(notes, right, MATMUL)),
        ExprKind::Pow(base, exponent) => cat([at(notes, base, POSTFIX), text("^"), at(notes, exponent, UNARY)]),
        ExprKind::Compare { op, left, right } => {
            let op = match op {
                CompareOp::Lt => "<",
                CompareOp::Le => "<=",
                CompareOp::Gt => ">",
                CompareOp::Ge => ">=",
                CompareOp::Eq => "==",
                CompareOp::Ne => "!=",
            };
            infix(at(notes, left, SUM), op, at(notes, right, SUM))
        }
        ExprKind::Transpose(base) => cat([at(notes, base, POSTFIX), text("'")]),
        ExprKind::Call { func, args } => {
            let args: Vec<Doc> = args.iter().map(|a| arg(notes, a)).collect();
            let args = if args.is_empty() { text("()") } else { brackets("(", commas(args), ")") };
            cat([at(notes, func, POSTFIX), args])
        }
        ExprKind::Index { base, indices } => cat([at(notes, base, POSTFIX), bracketed(notes, indices)]),
        ExprKind::Field { base, name } => {
            // `1.a` would be a number.
            let number = matches!(base.kind, ExprKind::Int(_) | ExprKind::Real(..));
            let base =
                if number { cat([text("("), expression(notes, base), text(")")]) } else { at(notes, base, POSTFIX) };
            cat([base, text(format!(".{}", name.text))])
        }
    }
}

fn arg(notes: &mut Notes, arg: &Arg) -> Doc {
    let name = arg.name.as_ref().map(|name| text(format!("{}: ", name.text)));
    let value = match &arg.value {
        ArgValue::Blank => text("_"),
        ArgValue::Expr(value) => expression(notes, value),
        ArgValue::Each(marks, value) => cat([text("each ".repeat(*marks)), expression(notes, value)]),
        ArgValue::Generator { body, gens } => {
            group(cat([expression(notes, body), nest(cat([Doc::Line, generators(notes, gens)]))]))
        }
    };
    cat([cat(name), value])
}

fn generators(notes: &mut Notes, gens: &[Generator]) -> Doc {
    let gens: Vec<Doc> = gens
        .iter()
        .map(|generator| cat([text(format!("{} in ", generator.name.text)), range(notes, &generator.range)]))
        .collect();
    cat([text("for "), commas(gens)])
}

pub fn range(notes: &mut Notes, range: &Range) -> Doc {
    let start = range.start.as_ref().map(|start| cat([expression(notes, start), text(":")]));
    cat([cat(start), expression(notes, &range.end)])
}

fn checkpoint(checkpoint: &Checkpoint) -> Doc {
    match checkpoint.keep {
        Some(keep) => text(format!(" checkpoint {keep}")),
        None => text(" checkpoint"),
    }
}

/// `[index, ...]`
fn bracketed(notes: &mut Notes, indices: &[Index]) -> Doc {
    let indices: Vec<Doc> = indices
        .iter()
        .map(|index| match index {
            Index::At(value) => expression(notes, value),
            Index::Range { start, end, step, .. } => {
                let start = start.as_ref().map(|value| expression(notes, value));
                let end = end.as_ref().map(|value| expression(notes, value));
                let step = step.as_ref().map(|value| cat([text(":"), expression(notes, value)]));
                cat([cat(start), text(":"), cat(end), cat(step)])
            }
        })
        .collect();
    brackets("[", commas(indices), "]")
}

/// `{ name: value, ... }`
pub fn fields(notes: &mut Notes, list: &[(Name, Expr)]) -> Doc {
    let list: Vec<Doc> =
        list.iter().map(|(name, value)| cat([text(format!("{}: ", name.text)), expression(notes, value)])).collect();
    super::doc::braces(commas(list))
}

pub fn path(notes: &mut Notes, path: &Path) -> Doc {
    let parts: Vec<Doc> = path
        .parts
        .iter()
        .map(|part| match part {
            PathPart::Field(name) => text(format!(".{}", name.text)),
            PathPart::Index(indices) => bracketed(notes, indices),
        })
        .collect();
    cat([text(&*path.root.text), cat(parts)])
}

pub fn comma_names(names: &[Name]) -> Doc {
    let names: Vec<&str> = names.iter().map(|name| &*name.text).collect();
    text(names.join(", "))
}

pub fn binder(notes: &mut Notes, binder: &Binder) -> Doc {
    let ty = binder.ty.as_ref().map(|ty| cat([text(": "), ty_doc(notes, ty)]));
    cat([text(&*binder.name.text), cat(ty)])
}

pub fn binders(notes: &mut Notes, list: &[Binder]) -> Doc {
    let list: Vec<Doc> = list.iter().map(|b| binder(notes, b)).collect();
    group(nest(commas(list)))
}

pub fn inits(notes: &mut Notes, list: &[Init]) -> Doc {
    let list: Vec<Doc> = list
        .iter()
        .map(|init| cat([binder(notes, &init.binder), text(" = "), expression(notes, &init.value)]))
        .collect();
    match list.len() {
        1 => cat(list),
        _ => group(nest(commas(list))),
    }
}

pub fn let_doc(notes: &mut Notes, l: &Let) -> Doc {
    match &l.kind {
        LetKind::Inits(list) => cat([text("let "), inits(notes, list)]),
        LetKind::Tuple(names, value) => {
            cat([text("let ("), comma_names(names), text(") = "), expression(notes, value)])
        }
    }
}

pub fn params(notes: &mut Notes, list: &[Param]) -> Doc {
    if list.is_empty() {
        return text("()");
    }
    let list: Vec<Doc> = list
        .iter()
        .map(|param| {
            let ty = param.ty.as_ref().map(|ty| cat([text(": "), ty_doc(notes, ty)]));
            let default = param.default.as_ref().map(|value| cat([text(" = "), expression(notes, value)]));
            cat([text(&*param.name.text), cat(ty), cat(default)])
        })
        .collect();
    brackets("(", commas(list), ")")
}

/// A type.
pub fn ty_doc(notes: &mut Notes, ty: &Type) -> Doc {
    match &ty.kind {
        TypeKind::Array { kind, dims } => {
            let kind = match kind {
                ScalarKind::Real => "real",
                ScalarKind::Int => "int",
                ScalarKind::Bool => "bool",
                ScalarKind::Key => "key",
                ScalarKind::Str => "string",
            };
            let dims = if dims.is_empty() { None } else { Some(brackets("[", commas(list(notes, dims)), "]")) };
            cat([text(kind), cat(dims)])
        }
        TypeKind::Tuple(types) => {
            brackets("(", commas(types.iter().map(|ty| ty_doc(notes, ty)).collect::<Vec<_>>()), ")")
        }
        TypeKind::Record(list) => {
            let list: Vec<Doc> =
                list.iter().map(|(name, ty)| cat([text(format!("{}: ", name.text)), ty_doc(notes, ty)])).collect();
            super::doc::braces(commas(list))
        }
        TypeKind::Fn { params, result } => {
            let params: Vec<Doc> = params.iter().map(|ty| ty_doc(notes, ty)).collect();
            let params = if params.is_empty() { text("()") } else { brackets("(", commas(params), ")") };
            cat([text("fn"), params, text(" -> "), ty_doc(notes, result)])
        }
        TypeKind::Error => text("?"),
    }
}

/// A string literal.
pub fn string(value: &str) -> Doc {
    let mut literal = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => literal += "\\\"",
            '\\' => literal += "\\\\",
            '\n' => literal += "\\n",
            '\t' => literal += "\\t",
            '\r' => literal += "\\r",
            c if c.is_control() => literal += &format!("\\u{{{:x}}}", u32::from(c)),
            c => literal.push(c),
        }
    }
    text(literal + "\"")
}
