//! What is known not to be smooth: operations with kinks or jumps on the way from the blocks to a term.

use super::catalogue::Catalogue;
use super::normal::{Kind, Part};
use super::rat::Rat;
use super::term::{Id, Op, Terms};
use crate::syntax::ast::{Arg, ArgValue, Expr, ExprKind, StmtKind, Symbol};
use crate::syntax::walk::children;
use std::collections::HashSet;

/// Functions whose derivative jumps, or is zero where they jump.
const KINKED: [&str; 32] = [
    "abs", "sign", "floor", "ceil", "round", "int", "isfinite", "max", "min", "all", "any", "norm", "norm1", "count",
    "relu", "soft", "hard", "clip", "leaky", "sort", "argsort", "argmax", "argmin", "top_k", "keep_top", "where",
    "quantile", "pool_max", "pool_top", "opnorm", "one_hot", "randint",
];
/// Functions with a proximal operator that have a gradient too.
const SMOOTH: [&str; 2] = ["sumsq", "huber"];
/// Functions whose square has no kink: they are 0 at theirs.
const SMOOTH_SQUARED: [&str; 6] = ["abs", "norm", "norm2", "relu", "soft", "max"];

/// What keeps a term from having a gradient everywhere, as it is called; `None` if nothing is known to.
pub fn of_part(terms: &Terms, catalogue: &Catalogue, part: &Part) -> Option<String> {
    match &part.kind {
        Kind::Atom(name) | Kind::Rows(name) if !SMOOTH.contains(&&**name) => Some(format!("`{name}` has a kink")),
        // The square of what is 0 at its kink.
        Kind::Square => match squared(terms, part.arg) {
            Some(inside) => of_term(terms, catalogue, inside),
            None => of_term(terms, catalogue, part.arg),
        },
        _ => of_term(terms, catalogue, part.arg),
    }
}

/// u, where the square of a term is smooth wherever u is, since the function of u that it is vanishes at its kink.
fn squared(terms: &Terms, id: Id) -> Option<Id> {
    let args = terms.args(id);
    match (terms.op(id), &*args) {
        (Op::Call(name), [a, b]) if &**name == "max" => {
            [(a, b), (b, a)].into_iter().find(|(zero, _)| terms.is_number(**zero, Rat::ZERO)).map(|(_, u)| *u)
        }
        (Op::Call(name), [_, t]) if &**name == "soft" && !terms.is_constant(*t) => None,
        (Op::Call(name), [u, ..]) if SMOOTH_SQUARED.contains(&&**name) && &**name != "max" => Some(*u),
        (Op::Rows(name), [u]) if &**name == "norm" => Some(*u),
        _ => None,
    }
}

fn of_term(terms: &Terms, catalogue: &Catalogue, id: Id) -> Option<String> {
    if terms.is_constant(id) {
        return None;
    }
    let args = terms.args(id);
    if *terms.op(id) == Op::Pow
        && terms.as_number(args[1]).is_some_and(|power| !power.less(Rat::int(2)))
        && let Some(inside) = squared(terms, args[0])
    {
        return of_term(terms, catalogue, inside);
    }
    if let Some(inner) = args.iter().find_map(|arg| of_term(terms, catalogue, *arg)) {
        return Some(inner);
    }
    match terms.op(id) {
        // The root of a sum of squares has no slope where they vanish.
        Op::Call(name) if &**name == "sqrt" && sums_squares(terms, args[0]) => {
            Some("`sqrt` has no slope where these squares are 0".to_string())
        }
        Op::Call(name) if has_kink(catalogue, name) => Some(format!("`{name}` has a kink")),
        Op::Along(name, _) | Op::Rows(name) if has_kink(catalogue, name) => Some(format!("`{name}` has a kink")),
        Op::Opaque(key, names) => {
            let moving: HashSet<Symbol> = names
                .iter()
                .zip(args.iter())
                .filter(|(_, arg)| !terms.is_constant(**arg))
                .map(|(name, _)| name.clone())
                .collect();
            let mut search = Search { catalogue, seen: HashSet::new() };
            search.kink(&terms.opaque_expr(key), &moving)
        }
        _ => None,
    }
}

/// A sum of squares, each with a block in it.
fn sums_squares(terms: &Terms, id: Id) -> bool {
    let args = terms.args(id);
    match terms.op(id) {
        Op::Add => args.iter().all(|arg| sums_squares(terms, *arg)),
        Op::Scale(factor) => !factor.is_negative() && sums_squares(terms, args[0]),
        Op::Pow => terms.is_number(args[1], Rat::int(2)) && !terms.is_constant(id),
        Op::Along(name, _) => &**name == "sum" && sums_squares(terms, args[0]),
        Op::Rows(name) => &**name == "sumsq" && !terms.is_constant(id),
        _ => false,
    }
}

fn has_kink(catalogue: &Catalogue, name: &str) -> bool {
    let ruled = catalogue.rule(name).is_some() && !SMOOTH.contains(&name);
    ruled || (KINKED.contains(&name) && !catalogue.defines(name))
}

/// A search through expressions as they were written.
struct Search<'a> {
    catalogue: &'a Catalogue,
    /// Functions that were looked into.
    seen: HashSet<Symbol>,
}

impl Search<'_> {
    /// What has a kink in an expression in which these names move with the blocks.
    fn kink(&mut self, e: &Expr, moving: &HashSet<Symbol>) -> Option<String> {
        let mut moves = false;
        crate::types::names_in(e, &mut |name| moves |= moving.contains(name));
        if !moves {
            return None;
        }
        match &e.kind {
            ExprKind::Compare { .. } => return Some("a comparison jumps".to_string()),
            ExprKind::If { cond, .. } => {
                if let Some(found) = self.kink(cond, moving) {
                    return Some(found);
                }
            }
            ExprKind::Block(block) => {
                let mut inner = moving.clone();
                for stmt in &block.stmts {
                    let StmtKind::Let(binding) = &stmt.kind else { continue };
                    crate::types::bindings_of(binding, &mut |name, value| {
                        let mut moves = false;
                        crate::types::names_in(value, &mut |name| moves |= inner.contains(name));
                        if moves {
                            inner.insert(name.into());
                        }
                    });
                }
                return children(e).into_iter().find_map(|part| self.kink(part, &inner));
            }
            ExprKind::Loop(inner) => {
                let states = inner.inits.iter().map(|init| init.binder.name.text.clone());
                let moving = moving.iter().cloned().chain(states).collect();
                return children(e).into_iter().find_map(|part| self.kink(part, &moving));
            }
            ExprKind::Lambda { params, .. } => {
                let moving = moving.iter().cloned().chain(params.iter().map(|p| p.name.text.clone())).collect();
                return children(e).into_iter().find_map(|part| self.kink(part, &moving));
            }
            ExprKind::Call { func, args } => {
                if let ExprKind::Name(name) = &func.kind
                    && !moving.contains(name)
                {
                    if has_kink(self.catalogue, name) {
                        return Some(format!("`{name}` has a kink"));
                    }
                    if let Some(found) = self.called(name, args, moving) {
                        return Some(found);
                    }
                }
            }
            _ => {}
        }
        children(e).into_iter().find_map(|part| self.kink(part, moving))
    }

    /// What has a kink in a function whose arguments move with the blocks.
    fn called(&mut self, name: &Symbol, args: &[Arg], moving: &HashSet<Symbol>) -> Option<String> {
        let function = self.catalogue.function(name)?.clone();
        if !self.seen.insert(name.clone()) {
            return None;
        }
        let mut inner = HashSet::new();
        for (i, arg) in args.iter().enumerate() {
            let mut moves = false;
            let mut see = |name: &str| moves |= moving.contains(name);
            match &arg.value {
                ArgValue::Blank => {}
                ArgValue::Expr(value) | ArgValue::Each(_, value) => crate::types::names_in(value, &mut see),
                ArgValue::Generator { body, .. } => crate::types::names_in(body, &mut see),
            }
            let param = match &arg.name {
                Some(name) => Some(name.text.clone()),
                None => function.params.get(i).map(|param| param.name.text.clone()),
            };
            inner.extend(param.filter(|_| moves));
        }
        let found = self.kink(&function.body, &inner)?;
        Some(format!("{found}, in `{name}`"))
    }
}
