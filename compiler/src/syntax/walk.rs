//! The parts of an expression, for passes that look at all of them.

use super::ast::{
    Arg, ArgValue, Block, Expr, ExprKind, Generator, Index, Init, Let, LetKind, LoopKind, Range, Stmt, StmtKind,
};

/// The expressions directly inside an expression, in the order of the text; those in the clauses of a training are left
/// out, which stands at the top level only.
pub fn children(expr: &Expr) -> Vec<&Expr> {
    let mut found = Vec::new();
    match &expr.kind {
        ExprKind::Int(_) | ExprKind::Real(..) | ExprKind::Str(_) | ExprKind::Bool(_) | ExprKind::Hole => {}
        ExprKind::Name(_) | ExprKind::Previous(_) | ExprKind::Error | ExprKind::Train(_) => {}
        ExprKind::Tuple(items) | ExprKind::Array(items) => found.extend(items),
        ExprKind::Comprehension { body, gens } => {
            found.push(body);
            of_generators(gens, &mut found);
        }
        ExprKind::Record(fields) => found.extend(fields.iter().map(|(_, value)| value)),
        ExprKind::Block(block) => of_block(block, &mut found),
        ExprKind::Loop(inner) => {
            found.extend(inner.inits.iter().map(|init| &init.value));
            match &inner.kind {
                LoopKind::For { range, .. } => of_range(range, &mut found),
                LoopKind::Until { cond, within } => found.extend([cond, within]),
            }
            of_stmts(&inner.body, &mut found);
        }
        ExprKind::If { cond, then, otherwise } => found.extend([&**cond, &**then, &**otherwise]),
        ExprKind::Lambda { params, body } => {
            found.extend(params.iter().filter_map(|param| param.default.as_ref()));
            found.push(body);
        }
        ExprKind::Unroll { call, count, backprop, learn, .. } => {
            found.extend([&**call, &**count]);
            found.extend(backprop.as_deref());
            found.extend(learn.as_ref().and_then(|learn| learn.from.as_deref()));
        }
        ExprKind::Implicit(inner) | ExprKind::Neg(inner) | ExprKind::Not(inner) | ExprKind::Transpose(inner) => {
            found.push(inner);
        }
        ExprKind::Trace { call, count, every, record } => {
            found.extend([&**call, &**count]);
            found.extend(every.as_deref());
            found.extend(record.iter().map(|(_, value)| value));
        }
        ExprKind::Derive { by, .. } => found.extend(by.as_deref()),
        ExprKind::Chain { first, rest } => {
            found.push(first);
            found.extend(rest.iter().map(|(_, operand)| operand));
        }
        ExprKind::MatMul(left, right) | ExprKind::Pow(left, right) => found.extend([&**left, &**right]),
        ExprKind::Compare { left, right, .. } => found.extend([&**left, &**right]),
        ExprKind::Call { func, args } => {
            found.push(func);
            args.iter().for_each(|arg| of_arg(arg, &mut found));
        }
        ExprKind::Index { base, indices } => {
            found.push(base);
            for index in indices {
                match index {
                    Index::At(at) => found.push(at),
                    Index::Range { start, end, step, .. } => {
                        found.extend([start, end, step].into_iter().flatten());
                    }
                }
            }
        }
        ExprKind::Field { base, .. } => found.push(base),
    }
    found
}

fn of_arg<'a>(arg: &'a Arg, found: &mut Vec<&'a Expr>) {
    match &arg.value {
        ArgValue::Blank => {}
        ArgValue::Expr(value) | ArgValue::Each(_, value) => found.push(value),
        ArgValue::Generator { body, gens } => {
            found.push(body);
            of_generators(gens, found);
        }
    }
}

fn of_generators<'a>(gens: &'a [Generator], found: &mut Vec<&'a Expr>) {
    gens.iter().for_each(|generator| of_range(&generator.range, found));
}

fn of_range<'a>(range: &'a Range, found: &mut Vec<&'a Expr>) {
    found.extend(range.start.as_deref());
    found.push(&range.end);
}

fn of_block<'a>(block: &'a Block, found: &mut Vec<&'a Expr>) {
    of_stmts(&block.stmts, found);
    found.extend(block.value.as_deref());
}

fn of_inits<'a>(inits: &'a [Init], found: &mut Vec<&'a Expr>) {
    found.extend(inits.iter().map(|init| &init.value));
}

/// The expressions directly in a `let`.
pub fn of_let<'a>(binding: &'a Let, found: &mut Vec<&'a Expr>) {
    match &binding.kind {
        LetKind::Inits(inits) => of_inits(inits, found),
        LetKind::Tuple(_, value) => found.push(value),
    }
}

/// The expressions directly in statements.
pub fn of_stmts<'a>(stmts: &'a [Stmt], found: &mut Vec<&'a Expr>) {
    for stmt in stmts {
        match &stmt.kind {
            StmtKind::Let(binding) => of_let(binding, found),
            StmtKind::Param(inits) => of_inits(inits, found),
            StmtKind::Assign { value, .. } => found.push(value),
        }
    }
}
