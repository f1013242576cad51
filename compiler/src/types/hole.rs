//! `?`: an expression that is still to be written. The checker tells which type is wanted there, and what would fit.

use super::Ctx;
use super::dim::Dim;
use super::fit;
use super::items::Item;
use super::scope::Scope;
use super::ty::{Array, Ty};
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// One `?`.
pub struct Hole {
    span: Span,
    scope: Scope,
    wanted: Option<Ty>,
    /// An array may be given for a scalar: the function is then lifted.
    lifts: bool,
}

/// Notes a `?` at its place.
pub fn found(ctx: &mut Ctx, scope: &Scope, span: Span) -> Ty {
    if !ctx.holes.iter().any(|hole| hole.span == span) {
        ctx.holes.push(Hole { span, scope: scope.clone(), wanted: None, lifts: false });
    }
    Ty::Unknown
}

/// Notes the type that is wanted of the expression at a place, if it is a `?`. The first that is known counts.
pub fn wanted(ctx: &mut Ctx, span: Span, ty: &Ty) {
    if ty.is_unknown() {
        return;
    }
    if let Some(hole) = ctx.holes.iter_mut().find(|hole| hole.span == span && hole.wanted.is_none()) {
        // A value that is known is not wanted as such.
        hole.wanted = Some(match ty {
            Ty::Array(array) => Ty::Array(Array { value: None, ..array.clone() }),
            ty => ty.clone(),
        });
    }
}

/// The same for an argument of a function that is called.
pub fn wanted_argument(ctx: &mut Ctx, span: Span, ty: &Ty) {
    wanted(ctx, span, ty);
    if let Some(hole) = ctx.holes.iter_mut().find(|hole| hole.span == span) {
        hole.lifts = true;
    }
}

/// How many candidates of a kind are listed.
const LISTED: usize = 8;

/// Reports every `?`.
pub fn report(ctx: &mut Ctx) {
    for hole in std::mem::take(&mut ctx.holes) {
        let message = match &hole.wanted {
            Some(ty) => format!("`?` stands for an expression that is still to be written: {ty} is wanted here"),
            None => "`?` stands for an expression that is still to be written".to_string(),
        };
        let mut diagnostic = Diagnostic::error("E0312", hole.span, message);
        if let Some(wanted) = &hole.wanted {
            diagnostic = diagnostic.here(format!("{wanted}"));
            let (values, calls) = candidates(ctx, &hole, wanted);
            if !values.is_empty() {
                diagnostic = diagnostic.note(format!("these fit: {}", listed(&values)));
            }
            if !calls.is_empty() {
                diagnostic = diagnostic.note(format!("so may the values of {}", listed(&calls)));
            }
        }
        ctx.report(diagnostic);
    }
}

fn listed(names: &[String]) -> String {
    let more = if names.len() > LISTED { format!(" and {} more", names.len() - LISTED) } else { String::new() };
    format!("{}{more}", names[..names.len().min(LISTED)].join(", "))
}

/// The names whose values fit, and the functions whose results do, nearest first.
fn candidates(ctx: &Ctx, hole: &Hole, wanted: &Ty) -> (Vec<String>, Vec<String>) {
    let mut known: Vec<(String, Ty)> = Vec::new();
    for var in hole.scope.entries() {
        known.push((var.name.to_string(), var.ty.clone()));
    }
    let mut globals: Vec<(String, Ty)> = Vec::new();
    for (name, item) in &ctx.items {
        // A value is there from its line on.
        if let Item::Done(global) = item
            && (fit::is_function(&global.ty) || global.span.to(hole.span).start < hole.span.start)
        {
            globals.push((name.to_string(), global.ty.clone()));
        }
    }
    for (name, global) in &ctx.env.globals {
        globals.push((name.to_string(), global.ty.clone()));
    }
    globals.sort_by(|a, b| a.0.cmp(&b.0));
    known.extend(globals);
    let (mut values, mut calls) = (Vec::new(), Vec::new());
    let mut seen: Vec<String> = Vec::new();
    for (name, ty) in known {
        if seen.contains(&name) || ty.is_unknown() {
            continue;
        }
        seen.push(name.clone());
        let lifted = hole.lifts && lifts(wanted, &ty);
        if lifted || fit::misfit(ctx, wanted, &ty).is_none() {
            values.push(format!("`{name}`: {ty}"));
            continue;
        }
        let sig = match &ty {
            Ty::Fn(sig) => sig,
            Ty::Solver(solver) => &solver.sig,
            Ty::Network(network) => &network.sig,
            _ => continue,
        };
        let open = sig.generics.iter().map(|name| (name.id, Dim::Unknown)).collect();
        let result = sig.result.subst(&open);
        if !result.is_unknown() && fit::misfit(ctx, wanted, &result).is_none() {
            calls.push(format!("`{name}(..)`"));
        }
    }
    (values, calls)
}

/// Whether an array may stand where a scalar of its kind is wanted.
fn lifts(wanted: &Ty, actual: &Ty) -> bool {
    match (wanted, actual) {
        (Ty::Array(wanted), Ty::Array(actual)) => {
            wanted.dims.as_ref().is_some_and(Vec::is_empty) && actual.kind.widens_to(wanted.kind)
        }
        _ => false,
    }
}
