//! A session as a script that runs by itself.
//!
//! Values that were shown are printed. In a file a name is defined once: of functions, solvers and problems the last
//! definition stays, since functions see what their names mean at last; lets that were entered again become `x_1`, `x_2`, ...
//! where they stood, and the last keeps its name.

use super::workspace::{Workspace, defined};
use crate::source::Span;
use crate::syntax::ast::{Item, ItemKind, Symbol};
use crate::syntax::token::{self, Token};
use std::collections::{HashMap, HashSet};

/// The text of the script.
pub fn script(workspace: &Workspace) -> String {
    let uses_ans = |item: &Item| names_in(workspace, item.span).contains("ans");
    let items: Vec<(&Item, bool)> =
        workspace.entries.iter().flat_map(|entry| entry.items.iter().map(|item| (item, entry.shown))).collect();

    // The place of the last definition of each name, and how many there are.
    let mut last: HashMap<Symbol, usize> = HashMap::new();
    let mut count: HashMap<Symbol, usize> = HashMap::new();
    let names: Vec<Vec<Symbol>> = items.iter().map(|(item, _)| names_of(item)).collect();
    for (i, names) in names.iter().enumerate() {
        for name in names {
            last.insert(name.clone(), i);
            *count.entry(name.clone()).or_default() += 1;
        }
    }

    let mut text = String::new();
    // How each name that is defined several times is called at this point.
    let mut now: HashMap<Symbol, String> = HashMap::new();
    let mut seen: HashMap<Symbol, usize> = HashMap::new();
    for (i, (item, shown)) in items.iter().enumerate() {
        let replaced = !names[i].is_empty() && names[i].iter().all(|name| last[name] > i);
        if replaced && is_definition(item) {
            continue;
        }
        let before = now.clone();
        for name in &names[i] {
            let nth = seen.entry(name.clone()).or_default();
            *nth += 1;
            if count[name] > 1 {
                let called = if last[name] == i { name.to_string() } else { format!("{name}_{nth}") };
                now.insert(name.clone(), called);
            }
        }
        let source = renamed(workspace, item, &before, &now);
        let comments: String = item.doc.iter().map(|line| format!("## {line}\n")).collect();
        let needed = |from: usize| {
            let end = items[from + 1..].iter().position(|(item, _)| matches!(item.kind, ItemKind::Expr(_)));
            let until = end.map_or(items.len(), |at| from + 1 + at + 1);
            items[from + 1..until.min(items.len())].iter().any(|(item, _)| uses_ans(item))
        };
        match &item.kind {
            ItemKind::Expr(_) if needed(i) => {
                text += &format!("let {} = {source}\n", now.get("ans").map_or("ans", |name| name));
            }
            ItemKind::Expr(_) if *shown && !is_effect(&source) => text += &format!("print {source}\n"),
            _ => text += &format!("{comments}{source}\n"),
        }
    }
    text
}

/// The names that an item gives a meaning; an expression gives one to `ans`.
fn names_of(item: &Item) -> Vec<Symbol> {
    match &item.kind {
        ItemKind::Expr(_) => vec!["ans".into()],
        _ => defined(std::slice::from_ref(item)),
    }
}

fn is_definition(item: &Item) -> bool {
    matches!(item.kind, ItemKind::Fn(_) | ItemKind::Solver(_) | ItemKind::Problem(_) | ItemKind::Method(_))
}

/// A call whose value is nothing.
fn is_effect(source: &str) -> bool {
    ["save(", "plot(", "train "].iter().any(|start| source.starts_with(start))
}

fn names_in(workspace: &Workspace, span: Span) -> HashSet<String> {
    let text = workspace.sources.text(span);
    let tokens = token::lex(span.file, text, &mut Vec::new());
    tokens.iter().filter_map(|(token, _)| token.name()).map(str::to_string).collect()
}

/// The text of an item in which names are called as they are at this point: what it defines by its new name, what it uses by
/// the old one.
fn renamed(
    workspace: &Workspace,
    item: &Item,
    before: &HashMap<Symbol, String>,
    now: &HashMap<Symbol, String>,
) -> String {
    let text = workspace.sources.text(item.span);
    let tokens = token::lex(item.span.file, text, &mut Vec::new());
    let own = defined(std::slice::from_ref(item));
    let mut result = String::new();
    let mut at = 0;
    // Names before the first `=` of a let are those that it defines.
    let mut head = matches!(item.kind, ItemKind::Let(_) | ItemKind::NetworkAlias { .. } | ItemKind::SolverAlias { .. });
    for (i, (token, span)) in tokens.iter().enumerate() {
        if *token == Token::Eq {
            head = false;
        }
        let Token::Name(name) = token else { continue };
        let after_point = i > 0 && tokens[i - 1].0 == Token::Dot;
        let label = tokens.get(i + 1).is_some_and(|(next, _)| *next == Token::Colon) && !head;
        let map = if head && own.iter().any(|own| **own == **name) { now } else { before };
        let Some(called) = map.get(*name).filter(|_| !after_point && !label) else { continue };
        result += &text[at..span.start as usize];
        result += called;
        at = span.end as usize;
    }
    result + &text[at..]
}
