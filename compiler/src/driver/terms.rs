//! What the terms of a problem in a text are, for an editor that shows it at their place.

use super::{Text, check_std, load_for};
use crate::derive::{expand, explain};
use crate::source::Span;
use crate::syntax::ast::ItemKind;
use crate::types;
use std::path::Path;

/// The term of a problem at a byte of a text, and what it is: smooth or proximable, its weight, how fast its gradient changes.
/// Nothing where no term stands, or where the problem cannot be read.
pub fn term_at(path: &Path, text: &str, offset: usize) -> Option<(Span, String)> {
    // The rules of all of std: what a term is depends on them.
    let mut program = load_for(&Text::Edited { path, text }, "derive").ok()?;
    let inside = |span: Span| span.file == program.file && span.start as usize <= offset && offset <= span.end as usize;
    let problem = program.main.items.iter().find_map(|item| match &item.kind {
        ItemKind::Problem(problem) if inside(item.span) => Some(problem.clone()),
        _ => None,
    })?;
    let (mut env, mut catalogue) = check_std(&mut program, types::Env::new());
    for (_, module) in &program.modules {
        types::check_module(&mut env, module);
        catalogue.add_module(module);
    }
    let (catalogue, _) = expand::with_module(&env, &catalogue, &program.main);
    let terms = explain::terms(&catalogue, &problem).ok()?;
    let file = program.file;
    let around = |span: &Span| span.file == file && span.start as usize <= offset && offset <= span.end as usize;
    terms.into_iter().filter(|(span, _)| around(span)).min_by_key(|(span, _)| span.end - span.start)
}
