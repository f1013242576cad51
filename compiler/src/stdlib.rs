//! The standard library's modules, embedded; their names are visible everywhere. A program takes in only what it needs.

pub mod index;

use crate::source::{FileId, SourceMap, Span};
use crate::syntax::{self, ast};
use index::{Index, Item};
use std::ops::Range;

/// Name and text, in the order in which they are loaded.
pub const MODULES: &[(&str, &str)] = &[
    ("prelude", include_str!("../../std/prelude.dp")),
    ("linalg", include_str!("../../std/linalg.dp")),
    ("spectral", include_str!("../../std/spectral.dp")),
    ("krylov", include_str!("../../std/krylov.dp")),
    ("fourier", include_str!("../../std/fourier.dp")),
    ("losses", include_str!("../../std/losses.dp")),
    ("layers", include_str!("../../std/layers.dp")),
    ("optim", include_str!("../../std/optim.dp")),
    ("prox", include_str!("../../std/prox.dp")),
    ("methods", include_str!("../../std/methods.dp")),
    ("explain", include_str!("../../std/explain.dp")),
    ("derivatives", include_str!("../../std/derivatives.dp")),
    ("image", include_str!("../../std/image.dp")),
    ("random", include_str!("../../std/random.dp")),
];

/// The library as the texts of one run have it.
pub struct Std {
    index: Index,
    /// The items that were given out.
    marked: Vec<bool>,
    files: Vec<FileId>,
}

impl Std {
    /// Adds the modules' texts to the files.
    pub fn new(sources: &mut SourceMap) -> Std {
        let files = MODULES.iter().map(|(name, text)| sources.add(format!("std/{name}.dp"), None, *text)).collect();
        let index = Index::new();
        Std { marked: vec![false; index.items.len()], index, files }
    }

    /// What these texts need and was not given out before, parsed, module by module.
    pub fn needed<'a>(&mut self, sources: &SourceMap, texts: impl IntoIterator<Item = &'a str>) -> Vec<ast::Module> {
        let found = self.index.need(&mut self.marked, texts);
        let mut modules = Vec::new();
        for (module, file) in self.files.iter().enumerate() {
            let items = found.iter().map(|i| &self.index.items[*i]).filter(|item| item.module == module);
            let parts: Vec<Range<usize>> = items.map(|item| item.range.clone()).collect();
            if !parts.is_empty() {
                modules.push(syntax::parse_parts(sources, *file, &parts).0);
            }
        }
        modules
    }

    /// The names that it defines.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.index.names()
    }

    /// The text of a definition, with its comments.
    pub fn text(&self, name: &str) -> Option<&'static str> {
        self.index.find(name).map(Item::text)
    }

    /// The place of a definition, with its comments.
    pub fn place(&self, name: &str) -> Option<Span> {
        let item = self.index.find(name)?;
        Some(Span::new(self.files[item.module], item.range.start, item.range.end))
    }
}
