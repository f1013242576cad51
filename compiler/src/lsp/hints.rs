//! Types beside the names that are declared without one: `let D: real[64, 256] = ..`.

use super::{Document, place};
use crate::syntax::ast::{
    Binder, Block, Expr, ExprKind, Init, Item, ItemKind, Let, LetKind, Name, SolverBody, Stmt, StmtKind,
};
use crate::syntax::walk;
use crate::types::Seen;
use lsp_types::{InlayHint, InlayHintKind, InlayHintLabel, Range};

/// A name that is declared, and its value; none for a part of a tuple.
type Declared<'a> = (&'a Name, Option<&'a Expr>);

/// The hints for a part of a text. A number, a text or a truth value that is written out needs none.
pub fn hints(document: &Document, range: Range) -> Vec<InlayHint> {
    let mut found = Vec::new();
    of_items(&document.analysis.module.items, &mut found);
    let seen = document.analysis.seen.borrow();
    found
        .into_iter()
        .filter(|(name, value)| name.span.file == document.analysis.file && !value.is_some_and(is_literal))
        .filter_map(|(name, value)| Some((name, type_of(&seen, name, value)?)))
        .map(|(name, ty)| (place::position(&document.text, name.span.end as usize), ty))
        .filter(|(at, _)| range.start <= *at && *at <= range.end)
        .map(|(position, ty)| InlayHint {
            position,
            label: InlayHintLabel::String(format!(": {ty}")),
            kind: Some(InlayHintKind::TYPE),
            text_edits: None,
            tooltip: None,
            padding_left: None,
            padding_right: None,
            data: None,
        })
        .collect()
}

/// As it is used; or that of its value, if it is the whole of it.
fn type_of(seen: &Seen, name: &Name, value: Option<&Expr>) -> Option<String> {
    let used = seen.uses.iter().rev().find(|used| used.declared == name.span).map(|used| used.ty.clone());
    let of_value =
        |value: &Expr| seen.types.iter().rev().find(|(span, _)| *span == value.span).map(|(_, ty)| ty.clone());
    let ty = used.or_else(|| value.and_then(of_value))?;
    // Long ones, of functions and large records, would hide the text.
    (ty != "?" && ty.chars().count() <= 40).then_some(ty)
}

fn is_literal(e: &Expr) -> bool {
    matches!(
        e.kind,
        ExprKind::Int(_) | ExprKind::Real(..) | ExprKind::Str(_) | ExprKind::Bool(_) | ExprKind::Lambda { .. }
    )
}

fn of_items<'a>(items: &'a [Item], found: &mut Vec<Declared<'a>>) {
    for item in items {
        match &item.kind {
            ItemKind::Let(binding) => of_let(binding, found),
            ItemKind::Fn(decl) => of_expr(&decl.body, found),
            ItemKind::Problem(decl) => {
                decl.lets.iter().for_each(|binding| of_let(binding, found));
                of_expr(&decl.objective, found);
            }
            ItemKind::Solver(decl) => of_solver(&decl.body, found),
            ItemKind::Network(decl) => of_block(&decl.body, found),
            ItemKind::Test { items, .. } | ItemKind::For { body: items, .. } => of_items(items, found),
            ItemKind::If { then, otherwise, .. } => {
                of_items(then, found);
                of_items(otherwise, found);
            }
            ItemKind::Expr(e) => of_expr(e, found),
            ItemKind::Print(exprs) | ItemKind::Assert(exprs) => exprs.iter().for_each(|e| of_expr(e, found)),
            ItemKind::Arg { .. } | ItemKind::Use(_) | ItemKind::Precision(_) | ItemKind::Method(_) => {}
            ItemKind::SolverAlias { .. } | ItemKind::NetworkAlias { .. } | ItemKind::Custom(_) | ItemKind::Error => {}
        }
    }
}

fn of_solver<'a>(body: &'a SolverBody, found: &mut Vec<Declared<'a>>) {
    body.lets.iter().for_each(|binding| of_let(binding, found));
    of_inits(&body.states, found);
    of_stmts(&body.step, found);
}

fn of_stmts<'a>(stmts: &'a [Stmt], found: &mut Vec<Declared<'a>>) {
    for stmt in stmts {
        match &stmt.kind {
            StmtKind::Let(binding) => of_let(binding, found),
            StmtKind::Param(inits) => inits.iter().for_each(|init| of_expr(&init.value, found)),
            StmtKind::Assign { value, .. } => of_expr(value, found),
        }
    }
}

fn of_let<'a>(binding: &'a Let, found: &mut Vec<Declared<'a>>) {
    match &binding.kind {
        LetKind::Inits(inits) => of_inits(inits, found),
        LetKind::Tuple(names, value) => {
            found.extend(names.iter().map(|name| (name, None)));
            of_expr(value, found);
        }
    }
}

fn of_inits<'a>(inits: &'a [Init], found: &mut Vec<Declared<'a>>) {
    for Init { binder: Binder { name, ty }, value } in inits {
        if ty.is_none() {
            found.push((name, Some(value)));
        }
        of_expr(value, found);
    }
}

fn of_block<'a>(block: &'a Block, found: &mut Vec<Declared<'a>>) {
    of_stmts(&block.stmts, found);
    block.value.iter().for_each(|value| of_expr(value, found));
}

/// Lets within an expression.
fn of_expr<'a>(e: &'a Expr, found: &mut Vec<Declared<'a>>) {
    match &e.kind {
        ExprKind::Block(block) => of_block(block, found),
        ExprKind::Loop(inner) => {
            of_inits(&inner.inits, found);
            of_stmts(&inner.body, found);
        }
        _ => walk::children(e).into_iter().for_each(|part| of_expr(part, found)),
    }
}
