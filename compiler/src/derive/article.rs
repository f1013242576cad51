//! A problem and its derived solver as LaTeX: what is minimized, the parts of the method, its update, the update as it runs.

use super::latex::{Setter, space, symbol};
use super::roles::Filled;
use super::{Derivation, Request, smooth, write};
use crate::syntax::ast::{Expr, Problem, Stmt, StmtKind, Symbol, Type, TypeKind};
use std::collections::HashMap;

const NOW: &str = "(k)";
const NEXT: &str = "(k+1)";

/// Lines of an `align*`.
fn aligned(lines: &[String]) -> String {
    format!("\\begin{{align*}}\n{}\n\\end{{align*}}\n", lines.join(" \\\\\n"))
}

fn rank(ty: Option<&Type>) -> usize {
    match ty.map(|ty| &ty.kind) {
        Some(TypeKind::Array { dims, .. }) => dims.len(),
        _ => 0,
    }
}

/// The ranks of the names of a problem.
fn ranks(problem: &Problem) -> HashMap<Symbol, usize> {
    let params = problem.params.iter().map(|param| (param.name.text.clone(), rank(param.ty.as_ref())));
    let blocks = problem.over.iter().map(|block| (block.name.text.clone(), rank(block.ty.as_ref())));
    params.chain(blocks).collect()
}

/// The problem: the objective under `argmin`, lets and constraints below.
pub fn problem(problem: &Problem) -> String {
    let setter = Setter { ranks: ranks(problem), ..Setter::default() };
    let blocks: Vec<String> = problem
        .over
        .iter()
        .map(|block| match &block.ty {
            Some(ty) => format!("{} \\in {}", symbol(&block.name.text), space(ty)),
            None => symbol(&block.name.text),
        })
        .collect();
    let word = if problem.maximize { "argmax" } else { "argmin" };
    let under = blocks.join(",\\, ");
    let mut lines = vec![format!("\\operatorname*{{{word}}}_{{{under}}} \\quad & {}", setter.set(&problem.objective))];
    for (i, constraint) in problem.constraints.iter().enumerate() {
        let text = match &constraint.set {
            Some(set) => format!("{} \\in {}", setter.set(&constraint.expr), setter.set(set)),
            None => setter.set(&constraint.expr),
        };
        let words = if i == 0 { "\\text{subject to} \\quad " } else { "" };
        lines.push(format!("{words}& {text}"));
    }
    for binding in &problem.lets {
        let mut first = true;
        crate::types::bindings_of(binding, &mut |name, value| {
            let words = if std::mem::take(&mut first) { "\\text{with} \\quad " } else { "" };
            lines.push(format!("{words}& {} = {}", symbol(name), setter.set(value)));
        });
    }
    aligned(&lines)
}

/// A problem with its solver.
pub fn article(derivation: &Derivation, request: &Request) -> String {
    let mut text = problem(request.problem);
    text += &aligned(&method(derivation, request));
    text += &aligned(&update(derivation, request));
    text
}

/// The functions of the method, and its update in them.
fn method(derivation: &Derivation, request: &Request) -> Vec<String> {
    let (choice, body) = (&derivation.choice, &derivation.choice.method.body);
    let mut setter = Setter { ranks: ranks(request.problem), ..Setter::default() };
    let mut analysis = derivation.analysis.clone();
    let blocks: Vec<String> = request.problem.over.iter().map(|block| symbol(&block.name.text)).collect();
    let blocks = blocks.join(", ");
    let mut lines = Vec::new();
    for (name, filled) in &choice.assigned.roles {
        let (parts, map) = match filled {
            Filled::Smooth(parts) | Filled::Proximal(_, parts) | Filled::Entropic(parts) => (parts, None),
            Filled::Mapped(map, parts) => (parts, Some(map)),
        };
        let mut texts = Vec::new();
        for i in parts {
            let part = analysis.parts[*i].clone();
            let value: Expr = match &part.kind {
                super::normal::Kind::Atom(set) if part.constraint => {
                    let inside = setter.set(&write::write(&analysis.terms, part.arg));
                    texts.push(format!("\\iota_{{{}}}\\left( {inside} \\right)", symbol(set)));
                    continue;
                }
                _ => {
                    let id = smooth::value(&mut analysis.terms, &part);
                    write::write(&analysis.terms, id)
                }
            };
            texts.push(setter.set(&value));
        }
        let sum = if texts.is_empty() { "0".to_string() } else { texts.join(" + ") };
        let head = match map {
            Some(map) => format!("{}\\left( {} {blocks} \\right)", symbol(name), symbol(map)),
            None => format!("{}\\left( {blocks} \\right)", symbol(name)),
        };
        lines.push(format!("{head} &= {sum}"));
        setter.maps.extend(map.cloned());
    }
    let variable = &choice.method.over[0].text;
    let inside = request.problem.over.len() > 1 || *variable != request.problem.over[0].name.text;
    if inside {
        let blocks = if request.problem.over.len() > 1 { format!("\\left( {blocks} \\right)") } else { blocks };
        lines.push(format!("{} &= {blocks}", symbol(variable)));
    }
    // The variable, and what begins where it does, are arrays.
    for init in &body.states {
        let mut wide = false;
        crate::types::names_in(&init.value, &mut |name| wide |= name == "start");
        setter.ranks.insert(init.binder.name.text.clone(), usize::from(wide));
    }
    pass(&mut setter, &body.step, body.states.iter().map(|init| &init.binder.name.text), &mut lines);
    lines
}

/// The solver: its lets, where it starts, one pass.
fn update(derivation: &Derivation, request: &Request) -> Vec<String> {
    let body = &derivation.solver.body;
    let mut setter = Setter { ranks: ranks(request.problem), ..Setter::default() };
    let mut lines = Vec::new();
    for binding in &body.lets {
        crate::types::bindings_of(binding, &mut |name, value| {
            lines.push(format!("{} &= {}", symbol(name), setter.set(value)));
        });
    }
    for init in &body.states {
        let name = &init.binder.name.text;
        lines.push(format!("{}^{{(0)}} &= {}", symbol(name), setter.set(&init.value)));
        setter.ranks.entry(name.clone()).or_insert_with(|| rank(init.binder.ty.as_ref()));
    }
    pass(&mut setter, &body.step, body.states.iter().map(|init| &init.binder.name.text), &mut lines);
    lines
}

/// The lines of a pass: states have their values from before it until they are assigned.
fn pass<'a>(setter: &mut Setter, step: &[Stmt], states: impl Iterator<Item = &'a Symbol>, lines: &mut Vec<String>) {
    setter.above = states.map(|state| (state.clone(), NOW)).collect();
    for stmt in step {
        match &stmt.kind {
            StmtKind::Let(binding) => crate::types::bindings_of(binding, &mut |name, value| {
                lines.push(format!("{} &= {}", symbol(name), setter.set(value)));
            }),
            StmtKind::Assign { place, value } => {
                let text = setter.set(value);
                setter.above.insert(place.root.text.clone(), NEXT);
                lines.push(format!("{} &= {text}", setter.name(&place.root.text)));
            }
            StmtKind::Param(_) => {}
        }
    }
}
