//! Which names an expression mentions, for finding what reaches a result.

use crate::syntax::ast::{
    Arg, ArgValue, Block, Expr, ExprKind, Generator, Index, Let, LetKind, LoopKind, Path, PathPart, Range, Stmt,
    StmtKind,
};

/// Calls `see` with every name that stands in the expression, also with those that it binds itself.
pub fn each_name(expr: &Expr, see: &mut dyn FnMut(&str)) {
    match &expr.kind {
        ExprKind::Int(_) | ExprKind::Real(..) | ExprKind::Str(_) | ExprKind::Bool(_) => {}
        ExprKind::Hole | ExprKind::Error => {}
        ExprKind::Name(name) => see(name),
        ExprKind::Previous(name) => see(&name.text),
        ExprKind::Tuple(parts) | ExprKind::Array(parts) => parts.iter().for_each(|part| each_name(part, see)),
        ExprKind::Comprehension { body, gens } => {
            generators(gens, see);
            each_name(body, see);
        }
        ExprKind::Record(fields) => fields.iter().for_each(|(_, value)| each_name(value, see)),
        ExprKind::Block(inner) => block(inner, see),
        ExprKind::Loop(inner) => {
            inner.inits.iter().for_each(|init| each_name(&init.value, see));
            match &inner.kind {
                LoopKind::For { var: _, range: over } => range(over, see),
                LoopKind::Until { cond, within } => {
                    each_name(cond, see);
                    each_name(within, see);
                }
            }
            statements(&inner.body, see);
        }
        ExprKind::If { cond, then, otherwise } => {
            [cond, then, otherwise].into_iter().for_each(|part| each_name(part, see));
        }
        ExprKind::Lambda { params: _, body } => each_name(body, see),
        ExprKind::Unroll { call, count, backprop, checkpoint: _, learn } => {
            each_name(call, see);
            each_name(count, see);
            backprop.iter().for_each(|part| each_name(part, see));
            learn.iter().flat_map(|learn| &learn.from).for_each(|part| each_name(part, see));
        }
        ExprKind::Implicit(call) => each_name(call, see),
        ExprKind::Trace { call, count, every, record } => {
            each_name(call, see);
            each_name(count, see);
            every.iter().for_each(|part| each_name(part, see));
            record.iter().for_each(|(_, value)| each_name(value, see));
        }
        ExprKind::Derive { path: place, by, form: _ } => {
            path(place, see);
            by.iter().for_each(|part| each_name(part, see));
        }
        // Only at the top level, where nothing asks.
        ExprKind::Train(_) => {}
        ExprKind::Neg(base) | ExprKind::Not(base) | ExprKind::Transpose(base) => each_name(base, see),
        ExprKind::Chain { first, rest } => {
            each_name(first, see);
            rest.iter().for_each(|(_, part)| each_name(part, see));
        }
        ExprKind::MatMul(left, right) | ExprKind::Pow(left, right) | ExprKind::Compare { op: _, left, right } => {
            each_name(left, see);
            each_name(right, see);
        }
        ExprKind::Call { func, args } => {
            each_name(func, see);
            args.iter().for_each(|arg| argument(arg, see));
        }
        ExprKind::Index { base, indices } => {
            each_name(base, see);
            indices.iter().for_each(|part| index(part, see));
        }
        ExprKind::Field { base, name: _ } => each_name(base, see),
    }
}

fn argument(arg: &Arg, see: &mut dyn FnMut(&str)) {
    match &arg.value {
        ArgValue::Blank => {}
        ArgValue::Expr(expr) | ArgValue::Each(_, expr) => each_name(expr, see),
        ArgValue::Generator { body, gens } => {
            generators(gens, see);
            each_name(body, see);
        }
    }
}

fn generators(gens: &[Generator], see: &mut dyn FnMut(&str)) {
    gens.iter().for_each(|generator| range(&generator.range, see));
}

fn range(over: &Range, see: &mut dyn FnMut(&str)) {
    over.start.iter().for_each(|start| each_name(start, see));
    each_name(&over.end, see);
}

fn index(part: &Index, see: &mut dyn FnMut(&str)) {
    match part {
        Index::At(expr) => each_name(expr, see),
        Index::Range { start, end, step, span: _ } => {
            [start, end, step].into_iter().flatten().for_each(|expr| each_name(expr, see));
        }
    }
}

/// The names in a path.
pub fn path(place: &Path, see: &mut dyn FnMut(&str)) {
    see(&place.root.text);
    for part in &place.parts {
        match part {
            PathPart::Field(_) => {}
            PathPart::Index(indices) => indices.iter().for_each(|part| index(part, see)),
        }
    }
}

fn block(inner: &Block, see: &mut dyn FnMut(&str)) {
    statements(&inner.stmts, see);
    inner.value.iter().for_each(|value| each_name(value, see));
}

fn statements(stmts: &[Stmt], see: &mut dyn FnMut(&str)) {
    for stmt in stmts {
        match &stmt.kind {
            StmtKind::Let(binding) => let_values(binding, &mut |value| each_name(value, see)),
            StmtKind::Param(inits) => inits.iter().for_each(|init| each_name(&init.value, see)),
            StmtKind::Assign { place, value } => {
                path(place, see);
                each_name(value, see);
            }
        }
    }
}

/// Calls `see` with the values of a let.
pub fn let_values(binding: &Let, see: &mut dyn FnMut(&Expr)) {
    match &binding.kind {
        LetKind::Inits(inits) => inits.iter().for_each(|init| see(&init.value)),
        LetKind::Tuple(_, value) => see(value),
    }
}

/// Calls `see` with each name that a let binds and the value that it comes from.
pub fn each_binding<'a>(binding: &'a Let, see: &mut dyn FnMut(&'a str, &'a Expr)) {
    match &binding.kind {
        LetKind::Inits(inits) => inits.iter().for_each(|init| see(&init.binder.name.text, &init.value)),
        LetKind::Tuple(names, value) => names.iter().for_each(|name| see(&name.text, value)),
    }
}
