//! Building and changing syntax trees: what the derived solver is written with.

use crate::source::{SourceMap, Span};
use crate::syntax;
use crate::syntax::ast::{
    Arg, ArgValue, BinaryOp, Binder, Block, Expr, ExprKind, Generator, Index, Init, ItemKind, Let, LetKind, Name,
    Param, Stmt, StmtKind, Symbol, Trivia, Type,
};
use std::rc::Rc;

pub fn expr(kind: ExprKind) -> Expr {
    Expr { kind, span: Span::NONE }
}

pub fn name(text: &str) -> Expr {
    expr(ExprKind::Name(text.into()))
}

pub fn named(text: &str) -> Name {
    Name { text: text.into(), span: Span::NONE }
}

pub fn int(value: i64) -> Expr {
    expr(if value < 0 { ExprKind::Neg(Box::new(int(-value))) } else { ExprKind::Int(value) })
}

pub fn arg(value: Expr) -> Arg {
    Arg { name: None, value: ArgValue::Expr(value), span: Span::NONE }
}

pub fn call(function: &str, args: Vec<Expr>) -> Expr {
    apply(name(function), args)
}

pub fn apply(function: Expr, args: Vec<Expr>) -> Expr {
    expr(ExprKind::Call { func: Box::new(function), args: args.into_iter().map(arg).collect() })
}

/// Chains of operators of one precedence are one node.
fn precedence(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 0,
        BinaryOp::And => 1,
        BinaryOp::Add | BinaryOp::Sub => 2,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::IntDiv | BinaryOp::Mod => 3,
    }
}

/// A chain of one precedence, flat.
pub fn chain(first: Expr, rest: Vec<(BinaryOp, Expr)>) -> Expr {
    if rest.is_empty() {
        return first;
    }
    match first.kind {
        ExprKind::Chain { first: inner, rest: mut before } if precedence(before[0].0) == precedence(rest[0].0) => {
            before.extend(rest);
            expr(ExprKind::Chain { first: inner, rest: before })
        }
        kind => expr(ExprKind::Chain { first: Box::new(Expr { kind, span: first.span }), rest }),
    }
}

pub fn sub(a: Expr, b: Expr) -> Expr {
    chain(a, vec![(BinaryOp::Sub, b)])
}

pub fn param(name: &str, ty: Option<Type>) -> Param {
    Param { name: named(name), ty, default: None }
}

pub fn lambda(params: Vec<Param>, body: Expr) -> Expr {
    expr(ExprKind::Lambda { params, body: Rc::new(body) })
}

pub fn let_(name: &str, value: Expr) -> Let {
    let binder = Binder { name: named(name), ty: None };
    Let { kind: LetKind::Inits(vec![Init { binder, value }]), span: Span::NONE, trivia: Trivia::default() }
}

pub fn stmt(kind: StmtKind) -> Stmt {
    Stmt { kind, span: Span::NONE, trivia: Trivia::default() }
}

/// Lets and a value; the value alone if there are none.
pub fn block(lets: &[Let], value: Expr) -> Expr {
    if lets.is_empty() {
        return value;
    }
    let span = value.span;
    let stmts = lets
        .iter()
        .map(|binding| Stmt { kind: StmtKind::Let(binding.clone()), span: binding.span, trivia: Trivia::default() })
        .collect();
    let block = Block { stmts, value: Some(Box::new(value)), value_trivia: Trivia::default(), span };
    Expr { kind: ExprKind::Block(block), span }
}

/// The tree of an expression's text; the text is ours.
pub fn parse(text: &str) -> Option<Expr> {
    let mut sources = SourceMap::default();
    let (module, found) = syntax::parse_text(&mut sources, "expression", &format!("let it = {text}"));
    let item = module.items.into_iter().next().filter(|_| found.is_empty())?;
    match item.kind {
        ItemKind::Let(Let { kind: LetKind::Inits(inits), .. }) => inits.into_iter().next().map(|init| init.value),
        _ => None,
    }
}

/// Whether an expression may be written twice: a name or a number.
pub fn is_atomic(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Name(_) | ExprKind::Int(_) | ExprKind::Real(..) | ExprKind::Previous(_) => true,
        ExprKind::Neg(inner) => is_atomic(inner),
        _ => false,
    }
}

/// Changes an expression from the outside in: where `change` gives a new one, that takes its place as it is.
pub fn rewrite(e: &Expr, change: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Expr {
    match change(e) {
        Some(new) => new,
        None => rewrite_inside(e, change),
    }
}

/// The same for the parts of an expression.
pub fn rewrite_inside(e: &Expr, change: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Expr {
    let kind = match &e.kind {
        ExprKind::Tuple(parts) => ExprKind::Tuple(rewrite_all(parts, change)),
        ExprKind::Array(parts) => ExprKind::Array(rewrite_all(parts, change)),
        ExprKind::Comprehension { body, gens } => {
            ExprKind::Comprehension { body: boxed(body, change), gens: generators(gens, change) }
        }
        ExprKind::Record(fields) => {
            ExprKind::Record(fields.iter().map(|(name, value)| (name.clone(), rewrite(value, change))).collect())
        }
        ExprKind::Block(block) => ExprKind::Block(Block {
            stmts: block.stmts.iter().map(|stmt| rewrite_stmt(stmt, change)).collect(),
            value: block.value.as_ref().map(|value| boxed(value, change)),
            ..block.clone()
        }),
        ExprKind::Loop(inner) => {
            let mut inner = inner.clone();
            for init in &mut inner.inits {
                init.value = rewrite(&init.value, change);
            }
            match &mut inner.kind {
                syntax::ast::LoopKind::For { range, .. } => {
                    range.start = range.start.as_ref().map(|start| boxed(start, change));
                    range.end = boxed(&range.end, change);
                }
                syntax::ast::LoopKind::Until { cond, within } => {
                    *cond = rewrite(cond, change);
                    *within = rewrite(within, change);
                }
            }
            inner.body = inner.body.iter().map(|stmt| rewrite_stmt(stmt, change)).collect();
            ExprKind::Loop(inner)
        }
        ExprKind::If { cond, then, otherwise } => {
            ExprKind::If { cond: boxed(cond, change), then: boxed(then, change), otherwise: boxed(otherwise, change) }
        }
        ExprKind::Lambda { params, body } => {
            ExprKind::Lambda { params: params.clone(), body: Rc::new(rewrite(body, change)) }
        }
        ExprKind::Neg(inner) => ExprKind::Neg(boxed(inner, change)),
        ExprKind::Not(inner) => ExprKind::Not(boxed(inner, change)),
        ExprKind::Implicit(inner) => ExprKind::Implicit(boxed(inner, change)),
        ExprKind::Chain { first, rest } => {
            let first = rewrite(first, change);
            let rest = rest.iter().map(|(op, operand)| (*op, rewrite(operand, change))).collect();
            ExprKind::Chain { first: Box::new(first), rest }
        }
        ExprKind::MatMul(a, b) => ExprKind::MatMul(boxed(a, change), boxed(b, change)),
        ExprKind::Pow(a, b) => ExprKind::Pow(boxed(a, change), boxed(b, change)),
        ExprKind::Compare { op, left, right } => {
            ExprKind::Compare { op: *op, left: boxed(left, change), right: boxed(right, change) }
        }
        ExprKind::Transpose(inner) => ExprKind::Transpose(boxed(inner, change)),
        ExprKind::Call { func, args } => {
            let func = boxed(func, change);
            let args = args
                .iter()
                .map(|arg| {
                    let value = match &arg.value {
                        ArgValue::Blank => ArgValue::Blank,
                        ArgValue::Expr(value) => ArgValue::Expr(rewrite(value, change)),
                        ArgValue::Each(marks, value) => ArgValue::Each(*marks, rewrite(value, change)),
                        ArgValue::Generator { body, gens } => {
                            ArgValue::Generator { body: rewrite(body, change), gens: generators(gens, change) }
                        }
                    };
                    Arg { value, ..arg.clone() }
                })
                .collect();
            ExprKind::Call { func, args }
        }
        ExprKind::Index { base, indices } => {
            let indices = indices
                .iter()
                .map(|index| match index {
                    Index::At(at) => Index::At(rewrite(at, change)),
                    Index::Range { start, end, step, span } => {
                        let mut part = |part: &Option<Expr>| part.as_ref().map(|e| rewrite(e, change));
                        Index::Range { start: part(start), end: part(end), step: part(step), span: *span }
                    }
                })
                .collect();
            ExprKind::Index { base: boxed(base, change), indices }
        }
        ExprKind::Field { base, name } => ExprKind::Field { base: boxed(base, change), name: name.clone() },
        ExprKind::Int(_) | ExprKind::Real(..) | ExprKind::Str(_) | ExprKind::Bool(_) | ExprKind::Hole => e.kind.clone(),
        ExprKind::Name(_) | ExprKind::Previous(_) | ExprKind::Error => e.kind.clone(),
        // Runs of solvers, derivations and trainings stand at no place where something is put.
        ExprKind::Unroll { .. } | ExprKind::Trace { .. } | ExprKind::Derive { .. } | ExprKind::Train(_) => {
            e.kind.clone()
        }
    };
    Expr { kind, span: e.span }
}

fn boxed(e: &Expr, change: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Box<Expr> {
    Box::new(rewrite(e, change))
}

fn rewrite_all(parts: &[Expr], change: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Vec<Expr> {
    parts.iter().map(|part| rewrite(part, change)).collect()
}

fn generators(gens: &[Generator], change: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Vec<Generator> {
    gens.iter()
        .map(|generator| {
            let mut generator = generator.clone();
            generator.range.start = generator.range.start.as_ref().map(|start| boxed(start, change));
            generator.range.end = boxed(&generator.range.end, change);
            generator
        })
        .collect()
}

pub fn rewrite_let(binding: &Let, change: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Let {
    let kind = match &binding.kind {
        LetKind::Inits(inits) => LetKind::Inits(
            inits.iter().map(|init| Init { value: rewrite(&init.value, change), ..init.clone() }).collect(),
        ),
        LetKind::Tuple(names, value) => LetKind::Tuple(names.clone(), rewrite(value, change)),
    };
    Let { kind, ..binding.clone() }
}

pub fn rewrite_stmt(stmt: &Stmt, change: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Stmt {
    let kind = match &stmt.kind {
        StmtKind::Let(binding) => StmtKind::Let(rewrite_let(binding, change)),
        StmtKind::Param(inits) => StmtKind::Param(inits.clone()),
        StmtKind::Assign { place, value } => StmtKind::Assign { place: place.clone(), value: rewrite(value, change) },
    };
    Stmt { kind, ..stmt.clone() }
}

/// Puts expressions in the place of names.
pub fn put(e: &Expr, values: &[(Symbol, Expr)]) -> Expr {
    rewrite(e, &mut |part| match &part.kind {
        ExprKind::Name(name) => values.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()),
        // A name that the lambda binds is its own.
        ExprKind::Lambda { params, body } if params.iter().any(|p| values.iter().any(|(n, _)| *n == p.name.text)) => {
            let inner: Vec<(Symbol, Expr)> =
                values.iter().filter(|(n, _)| params.iter().all(|p| p.name.text != *n)).cloned().collect();
            Some(lambda(params.clone(), put(body, &inner)))
        }
        _ => None,
    })
}

/// Takes minus signs out of products and into sums, and products out of products: `v - t * -(2 * u)` is `v + t * 2 * u`.
pub fn signed(e: &Expr) -> Expr {
    let inside = rewrite_inside(e, &mut |part| Some(signed(part)));
    let ExprKind::Chain { first, rest } = inside.kind else { return inside };
    if matches!(rest[0].0, BinaryOp::Add | BinaryOp::Sub) {
        let rest = rest
            .into_iter()
            .map(|(op, operand)| match (op, operand.kind) {
                (BinaryOp::Sub, ExprKind::Neg(inner)) => (BinaryOp::Add, *inner),
                (BinaryOp::Add, ExprKind::Neg(inner)) => (BinaryOp::Sub, *inner),
                (op, kind) => (op, Expr { kind, span: operand.span }),
            })
            .collect();
        return expr(ExprKind::Chain { first, rest });
    }
    if rest.iter().any(|(op, _)| !matches!(op, BinaryOp::Mul | BinaryOp::Div)) {
        return expr(ExprKind::Chain { first, rest });
    }
    let mut negative = false;
    let mut positive = |operand: Expr| match operand.kind {
        ExprKind::Neg(inner) => {
            negative = !negative;
            *inner
        }
        kind => Expr { kind, span: operand.span },
    };
    let first = positive(*first);
    let mut flat: Vec<(BinaryOp, Expr)> = Vec::new();
    for (op, operand) in rest {
        let operand = positive(operand);
        match operand.kind {
            ExprKind::Chain { first, rest }
                if op == BinaryOp::Mul && rest.iter().all(|(op, _)| *op == BinaryOp::Mul) =>
            {
                flat.push((BinaryOp::Mul, *first));
                flat.extend(rest);
            }
            kind => flat.push((op, Expr { kind, span: operand.span })),
        }
    }
    let product = chain(first, flat);
    if negative { expr(ExprKind::Neg(Box::new(product))) } else { product }
}
