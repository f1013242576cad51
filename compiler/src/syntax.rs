//! Text to tree: tokens (logos), their layout, the parser (chumsky).

pub mod ast;
pub mod layout;
pub mod parser;
pub mod pretty;
pub mod token;
pub mod walk;

use crate::diagnostic::Diagnostic;
use crate::source::{FileId, SourceMap, Span};
use std::collections::HashSet;
use std::ops::Range;

/// The tree of a file, and everything that is wrong in its text, in the order of the text. There is always a tree;
/// what did not parse is an error node in it. Codes: E02xx.
pub fn parse(sources: &SourceMap, file: FileId) -> (ast::Module, Vec<Diagnostic>) {
    parse_parts(sources, file, std::slice::from_ref(&(0..sources.file(file).text.len())))
}

/// The same for parts of a file, each of whole lines that hold whole items.
pub fn parse_parts(sources: &SourceMap, file: FileId, parts: &[Range<usize>]) -> (ast::Module, Vec<Diagnostic>) {
    let text = sources.file(file).text.as_str();
    let mut diagnostics = Vec::new();
    let tokens: Vec<(token::Token, Span)> =
        parts.iter().flat_map(|part| token::lex_part(file, text, part.clone(), &mut diagnostics)).collect();
    let mut damage: Vec<u32> = diagnostics.iter().map(|d| d.span().start).collect();
    let layout = layout::layout(&tokens, Span::new(file, text.len(), text.len()), &mut diagnostics);
    damage.extend(&layout.damage);
    let (items, mistakes) = parser::items(&layout);

    // Where a token or a bracket was wrong, the parser need not say that it stumbled over it.
    let newlines: Vec<u32> = text.bytes().zip(0..).filter(|(byte, _)| *byte == b'\n').map(|(_, at)| at).collect();
    let line = |offset: u32| newlines.partition_point(|at| *at < offset);
    let damaged: HashSet<usize> = damage.iter().map(|offset| line(*offset)).collect();
    let mistakes = mistakes.into_iter().filter(|mistake| !damaged.contains(&line(mistake.span.start)));
    diagnostics.extend(mistakes.map(|mistake| parser::explain::explain(mistake, &layout.tokens)));
    diagnostics.sort_by_key(|d| (d.span().start, d.span().end));
    diagnostics.dedup();
    (ast::Module { items, end: layout.end }, diagnostics)
}

/// The same for a text that is in no file, such as a line typed by the user; it is added to the files under a name.
pub fn parse_text(sources: &mut SourceMap, name: &str, text: &str) -> (ast::Module, Vec<Diagnostic>) {
    let file = sources.add(name, None, text);
    parse(sources, file)
}

#[cfg(test)]
mod tests;
