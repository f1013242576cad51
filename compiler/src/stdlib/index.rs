//! Which items of std a program needs, found by its words, before anything of std is parsed.
//!
//! A module's text is cut where a line begins with a word; std is in the common form, in which only items do. An item is
//! needed if its name is among the words of the program or of an item that is needed. So everything that can be reached
//! is found, and at times a little more: a parameter spelled like a function of std brings that function in.

use super::MODULES;
use std::collections::HashMap;
use std::ops::Range;

/// One item of std, as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its place in `MODULES`.
    pub module: usize,
    /// Bytes of the module's text, comments before it included.
    pub range: Range<usize>,
    /// Its first word: `fn`, `solver`, `derivative`, ...
    pub kind: &'static str,
    /// What it defines, or what the rule is for; nothing for a statement.
    pub name: Option<&'static str>,
}

impl Item {
    /// With the comments before it.
    pub fn text(&self) -> &'static str {
        &MODULES[self.module].1[self.range.clone()]
    }

    /// A definition, and not a rule for what is defined elsewhere.
    pub fn defines(&self) -> bool {
        self.name.is_some() && !matches!(self.kind, "derivative" | "prox")
    }
}

/// All items of std.
pub struct Index {
    pub items: Vec<Item>,
    by_name: HashMap<&'static str, Vec<usize>>,
}

impl Index {
    pub fn new() -> Index {
        let mut items = Vec::new();
        for module in 0..MODULES.len() {
            cut(module, &mut items);
        }
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (i, item) in items.iter().enumerate() {
            if let Some(name) = item.name {
                by_name.entry(name).or_default().push(i);
            }
        }
        Index { items, by_name }
    }

    /// The names that std defines.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.items.iter().filter(|item| item.defines()).filter_map(|item| item.name)
    }

    /// The definition of a name.
    pub fn find(&self, name: &str) -> Option<&Item> {
        self.by_name.get(name)?.iter().map(|i| &self.items[*i]).find(|item| item.defines())
    }

    /// Marks the items that these texts need, and gives those that were not marked before, in the order of std.
    pub fn need<'a>(&self, marked: &mut [bool], texts: impl IntoIterator<Item = &'a str>) -> Vec<usize> {
        let mut found = Vec::new();
        let mut mark = |i: usize, found: &mut Vec<usize>| {
            if !std::mem::replace(&mut marked[i], true) {
                found.push(i);
            }
        };
        // A statement runs whatever the program is.
        (0..self.items.len()).filter(|i| self.items[*i].name.is_none()).for_each(|i| mark(i, &mut found));
        let mut take = |text: &str, found: &mut Vec<usize>| {
            for word in words(text) {
                // A derivation chooses among all methods and rules.
                if word == "derive" {
                    (0..self.items.len()).for_each(|i| mark(i, found));
                }
                self.by_name.get(word).into_iter().flatten().for_each(|i| mark(*i, found));
            }
        };
        texts.into_iter().for_each(|text| take(text, &mut found));
        let mut next = 0;
        while next < found.len() {
            take(self.items[found[next]].text(), &mut found);
            next += 1;
        }
        found.sort_unstable();
        found
    }
}

impl Default for Index {
    fn default() -> Index {
        Index::new()
    }
}

/// The words of a text: runs of letters, digits and underscores, those of comments and strings included.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Cuts a module's text into items.
fn cut(module: usize, items: &mut Vec<Item>) {
    let text = MODULES[module].1;
    // Where the comments before the next item begin, and the item being read.
    let mut before = 0;
    let mut open: Option<Item> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        match line.chars().next() {
            Some('#') => {
                if let Some(item) = open.take() {
                    items.push(Item { range: item.range.start..start, ..item });
                    before = start;
                }
            }
            Some(c) if c.is_alphabetic() => {
                if let Some(item) = open.take() {
                    items.push(Item { range: item.range.start..start, ..item });
                    before = start;
                }
                let mut words = words(line);
                let kind = words.next().unwrap_or("");
                let named = match kind {
                    "fn" | "solver" | "network" | "problem" | "method" | "derivative" | "prox" => true,
                    _ => false,
                };
                let name = if named { words.next() } else { None };
                open = Some(Item { module, range: before..at, kind, name });
            }
            _ => {}
        }
    }
    match (open, items.last_mut()) {
        (Some(item), _) => items.push(Item { range: item.range.start..text.len(), ..item }),
        // Comments at the end.
        (None, Some(last)) if last.module == module => last.range.end = text.len(),
        (None, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceMap;
    use crate::syntax::{self, ast::ItemKind};

    /// Kind and name of each item as the parser sees them.
    fn parsed() -> Vec<(&'static str, Option<String>)> {
        let mut all = Vec::new();
        for (name, text) in MODULES {
            let mut sources = SourceMap::default();
            let (module, found) = syntax::parse_text(&mut sources, name, text);
            assert!(found.is_empty(), "{name}: {found:?}");
            for item in &module.items {
                let named = |kind, name: &syntax::ast::Name| (kind, Some(name.text.to_string()));
                all.push(match &item.kind {
                    ItemKind::Fn(inner) => named("fn", &inner.name),
                    ItemKind::Solver(inner) => named("solver", &inner.name),
                    ItemKind::SolverAlias { name, .. } => named("solver", name),
                    ItemKind::Network(inner) => named("network", &inner.name),
                    ItemKind::NetworkAlias { name, .. } => named("network", name),
                    ItemKind::Problem(inner) => named("problem", &inner.name),
                    ItemKind::Method(inner) => named("method", &inner.name),
                    ItemKind::Custom(inner) => match inner.kind {
                        syntax::ast::CustomKind::Prox => named("prox", &inner.name),
                        syntax::ast::CustomKind::Derivative => named("derivative", &inner.name),
                    },
                    ItemKind::Let(_) => ("let", None),
                    other => panic!("std/{name}.dp has a statement: {other:?}"),
                });
            }
        }
        all
    }

    #[test]
    fn items_are_those_of_the_parser() {
        let index = Index::new();
        let found: Vec<(&str, Option<String>)> =
            index.items.iter().map(|item| (item.kind, item.name.map(str::to_string))).collect();
        assert_eq!(found, parsed());
        for (m, (_, text)) in MODULES.iter().enumerate() {
            let whole: String = index.items.iter().filter(|item| item.module == m).map(Item::text).collect();
            assert_eq!(whole, *text, "the items of a module are its text");
        }
    }

    #[test]
    fn what_is_needed_is_found() {
        let index = Index::new();
        let needed = |text: &str| -> Vec<&str> {
            let found = index.need(&mut vec![false; index.items.len()], [text]);
            found.into_iter().filter_map(|i| index.items[i].name).collect()
        };
        assert_eq!(needed("let a = 1"), Vec::<&str>::new());
        // The function and its derivative.
        assert_eq!(needed("print soft(3, 1)"), ["soft", "soft"]);
        assert!(needed("solver s = derive p").contains(&"adam"));
        let mut marked = vec![false; index.items.len()];
        assert!(!index.need(&mut marked, ["relu(x)"]).is_empty());
        assert!(index.need(&mut marked, ["relu(x)"]).is_empty(), "nothing is needed twice");
        assert!(index.find("soft").is_some_and(|item| item.text().contains("## > assert soft(3, 1) == 2")));
        assert!(index.find("nothing").is_none());
    }
}
