//! Answers about a text, from what the checker noted down.

use super::{Document, place};
use crate::builtins;
use crate::driver;
use crate::manual;
use crate::repl::complete::RESERVED;
use crate::repl::symbols;
use crate::source::Span;
use crate::stdlib::Std;
use crate::syntax::ast::{Item, ItemKind, LetKind, Name};
use crate::syntax::token::{self, Word};
use crate::syntax::{self, pretty};
use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionTextEdit, DocumentSymbol, Documentation, Hover, HoverContents,
    Location, MarkupContent, MarkupKind, Range, SymbolKind, TextEdit,
};

/// The word at a place, and its span.
fn word_at(document: &Document, offset: usize) -> Option<(&str, Span)> {
    let file = document.analysis.file;
    let tokens = token::lex(file, &document.text, &mut Vec::new());
    let at = |span: &Span| span.start as usize <= offset && offset <= span.end as usize;
    let (_, span) =
        tokens.into_iter().find(|(token, span)| at(span) && (token.name().is_some() || token.is_reserved()))?;
    Some((&document.text[span.start as usize..span.end as usize], span))
}

fn markdown(value: String) -> MarkupContent {
    MarkupContent { kind: MarkupKind::Markdown, value }
}

/// Type, shape and documentation of what stands at a place; in a problem also what the term is, for whoever derives a solver.
pub fn hover(document: &Document, offset: usize) -> Option<Hover> {
    let found = of_place(document, offset);
    let in_problem = document.analysis.module.items.iter().any(|item| {
        let Span { file, start, end } = item.span;
        matches!(item.kind, ItemKind::Problem(_))
            && file == document.analysis.file
            && (start as usize..=end as usize).contains(&offset)
    });
    let term = in_problem.then(|| driver::terms::term_at(&document.path, &document.text, offset)).flatten();
    let Some((span, role)) = term else { return found };
    let term = &document.text[span.start as usize..span.end as usize];
    let told = format!("term `{}`: {role}", term.split_whitespace().collect::<Vec<_>>().join(" "));
    let (before, range) = match found {
        Some(Hover { contents: HoverContents::Markup(text), range }) => (format!("{}\n\n", text.value), range),
        _ => (String::new(), Some(place::range(&document.text, span))),
    };
    Some(Hover { contents: HoverContents::Markup(markdown(format!("{before}{told}"))), range })
}

/// Type, shape and documentation of what stands at a place.
fn of_place(document: &Document, offset: usize) -> Option<Hover> {
    let seen = document.analysis.seen.borrow();
    let file = document.analysis.file;
    let shown = |value: String, span: Span| {
        Some(Hover { contents: HoverContents::Markup(markdown(value)), range: Some(document.range(span)) })
    };
    if let Some((word, span)) = word_at(document, offset) {
        // As it is used here; or, where it is declared, as it is used elsewhere.
        let used = seen.uses.iter().rev().find(|used| used.span == span);
        let declared = || seen.uses.iter().rev().find(|used| used.declared == span);
        let global = || {
            let place = document.analysis.env.place_of_name(word)?;
            if place == span { document.analysis.env.type_of_name(word) } else { None }
        };
        let found = used.or_else(declared);
        let ty = found.map(|used| used.ty.clone()).or_else(global);
        let field = seen.types.iter().rev().find(|(at, _)| at.end == span.end && at.file == file);
        let ty = ty.or_else(|| field.filter(|_| is_field(document, span)).map(|(_, ty)| ty.clone()));
        let place = found.map_or(Span::NONE, |used| used.declared);
        let doc = documentation(document, word, place, span);
        match (ty, doc) {
            (Some(ty), doc) => {
                let doc = doc.map(|doc| format!("\n\n{doc}")).unwrap_or_default();
                return shown(format!("```dp\n{word} : {ty}\n```{doc}"), span);
            }
            (None, Some(doc)) => return shown(format!("`{word}`\n\n{doc}"), span),
            (None, None) => {}
        }
    }
    // The smallest expression around the place.
    let around = seen.types.iter().filter(|(span, _)| span.start as usize <= offset && offset <= span.end as usize);
    let (span, ty) = around.min_by_key(|(span, _)| span.end - span.start)?;
    shown(format!("```dp\n{ty}\n```"), *span)
}

/// A point stands before the word.
fn is_field(document: &Document, span: Span) -> bool {
    document.text[..span.start as usize].trim_end().ends_with('.')
}

/// What is written about a name: in its file, in std, or by the compiler.
fn documentation(document: &Document, word: &str, declared: Span, span: Span) -> Option<String> {
    if declared.file == document.analysis.file || declared.is_none() {
        let place = if declared.is_none() { span } else { declared };
        let item = document.analysis.module.items.iter().find(|item| item.span.to(place) == item.span);
        if let Some(item) = item.filter(|item| names(item).iter().any(|name| name.span == place)) {
            return Some(item.doc.join("  \n")).filter(|doc| !doc.is_empty());
        }
    } else if let Some(text) = document.analysis.std.text(word) {
        let lines = text.lines().take_while(|line| line.starts_with('#') || line.is_empty());
        let doc: Vec<&str> = lines.filter_map(|line| line.strip_prefix("##")).map(str::trim).collect();
        return Some(doc.join("  \n"));
    }
    if !declared.is_none() {
        return None;
    }
    manual::function(word).or_else(|| manual::word(word).map(|text| format!("`{text}`")))
}

/// Where the name at a place is defined.
pub fn definition(document: &Document, offset: usize) -> Option<Location> {
    let (word, span) = word_at(document, offset)?;
    let seen = document.analysis.seen.borrow();
    let used = seen.uses.iter().rev().find(|used| used.span == span)?;
    if used.declared.is_none() {
        return None;
    }
    if used.declared.file == document.analysis.file {
        return Some(Location { uri: document.uri.clone(), range: document.range(used.declared) });
    }
    let file = document.analysis.sources.file(used.declared.file);
    let range = place::range(&file.text, used.declared);
    let path = match &file.path {
        Some(path) => path.clone(),
        None => std_file(&document.analysis.std, word, &file.name, &file.text)?,
    };
    Some(Location { uri: place::uri(&path)?, range })
}

/// A copy of a module of std for an editor to show.
fn std_file(std: &Std, word: &str, name: &str, text: &str) -> Option<std::path::PathBuf> {
    std.text(word)?;
    let path = std::env::temp_dir().join(format!("dp-{}", env!("CARGO_PKG_VERSION"))).join(name);
    std::fs::create_dir_all(path.parent()?).ok()?;
    if std::fs::read_to_string(&path).ok().as_deref() != Some(text) {
        crate::files::replace(&path, text).ok()?;
    }
    Some(path)
}

/// What could be written at a place.
pub fn completion(document: &Document, offset: usize) -> Vec<CompletionItem> {
    let before = &document.text[..offset];
    if let Some((start, name)) = symbols::at_end(before) {
        let range =
            Range { start: place::position(&document.text, start), end: place::position(&document.text, offset) };
        return symbols::beginning(name)
            .into_iter()
            .map(|(name, letter)| CompletionItem {
                label: format!("\\{name}"),
                detail: Some(letter.to_string()),
                filter_text: Some(format!("\\{name}")),
                text_edit: Some(CompletionTextEdit::Edit(TextEdit { range, new_text: letter.to_string() })),
                ..CompletionItem::default()
            })
            .collect();
    }
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let start = before.char_indices().rev().take_while(|(_, c)| part(*c)).last().map_or(offset, |(at, _)| at);
    if before[..start].ends_with('.') {
        return fields(document, start, offset);
    }
    let item = |name: &str, kind: CompletionItemKind, detail: Option<String>, doc: Option<String>| CompletionItem {
        label: name.to_string(),
        kind: Some(kind),
        detail,
        documentation: doc.map(|doc| Documentation::MarkupContent(markdown(doc))),
        ..CompletionItem::default()
    };
    let mut items = Vec::new();
    let env = &document.analysis.env;
    for (token, span) in token::lex(document.analysis.file, &document.text, &mut Vec::new()) {
        // The word that is being written is no proposal.
        let here = span.start as usize <= offset && offset <= span.end as usize;
        if let Some(name) = token.name()
            && !here
        {
            items.push(item(name, CompletionItemKind::VARIABLE, env.type_of_name(name), None));
        }
    }
    for name in document.analysis.std.names() {
        let doc = documentation_of_std(&document.analysis.std, name);
        items.push(item(name, CompletionItemKind::FUNCTION, env.type_of_name(name), doc));
    }
    for row in builtins::ROWS {
        items.push(item(
            row.name,
            CompletionItemKind::FUNCTION,
            Some(row.usage.to_string()),
            manual::function(row.name),
        ));
    }
    for name in builtins::CONSTANTS {
        items.push(item(name, CompletionItemKind::CONSTANT, Some("real".to_string()), manual::function(name)));
    }
    let words = RESERVED.iter().copied().filter(|word| word.len() > 1).chain(Word::ALL.iter().map(|word| word.text()));
    for word in words {
        items.push(item(word, CompletionItemKind::KEYWORD, None, manual::word(word).map(str::to_string)));
    }
    let beginning = &before[start..];
    items.retain(|item| item.label.starts_with(beginning));
    items.sort_by(|a, b| (&a.label, a.detail.is_none()).cmp(&(&b.label, b.detail.is_none())));
    items.dedup_by(|a, b| a.label == b.label);
    items
}

fn documentation_of_std(std: &Std, name: &str) -> Option<String> {
    let text = std.text(name)?;
    let lines = text.lines().take_while(|line| line.starts_with('#') || line.is_empty());
    Some(lines.filter_map(|line| line.strip_prefix("##")).map(str::trim).collect::<Vec<_>>().join("  \n"))
}

/// The fields of what stands before a point. The text is checked with a word in the place of what is not written yet.
fn fields(document: &Document, start: usize, offset: usize) -> Vec<CompletionItem> {
    let text = format!("{}field_{}", &document.text[..start], &document.text[offset..]);
    let analysis = driver::analyze(&document.path, &text);
    let seen = analysis.seen.borrow();
    let found = seen.fields.iter().rev().find(|(span, _)| span.start as usize == start);
    let beginning = &document.text[start..offset];
    let fields = found.map(|(_, fields)| fields.as_slice()).unwrap_or_default().iter();
    fields
        .filter(|(name, _)| name.starts_with(beginning))
        .map(|(name, ty)| CompletionItem {
            label: name.clone(),
            kind: Some(CompletionItemKind::FIELD),
            detail: Some(ty.clone()),
            ..CompletionItem::default()
        })
        .collect()
}

/// The whole text in the common form; nothing if it has mistakes or is in that form already.
pub fn formatting(document: &Document) -> Option<Vec<TextEdit>> {
    let (module, mistakes) = syntax::parse(&document.analysis.sources, document.analysis.file);
    if !mistakes.is_empty() {
        return None;
    }
    let new_text = pretty::module(&module);
    if new_text == document.text {
        return Some(Vec::new());
    }
    let end = place::position(&document.text, document.text.len());
    Some(vec![TextEdit { range: Range { start: lsp_types::Position::default(), end }, new_text }])
}

/// The definitions of a text, for its outline.
pub fn symbols(document: &Document) -> Vec<DocumentSymbol> {
    let mut found = Vec::new();
    for item in &document.analysis.module.items {
        for name in names(item) {
            let kind = match item.kind {
                ItemKind::Fn(_) | ItemKind::Method(_) => SymbolKind::FUNCTION,
                ItemKind::Solver(_) | ItemKind::SolverAlias { .. } => SymbolKind::METHOD,
                ItemKind::Network(_) | ItemKind::NetworkAlias { .. } => SymbolKind::CLASS,
                ItemKind::Problem(_) => SymbolKind::INTERFACE,
                _ => SymbolKind::VARIABLE,
            };
            #[allow(deprecated)] // the field has to be given
            found.push(DocumentSymbol {
                name: name.text.to_string(),
                detail: document.analysis.env.type_of_name(&name.text),
                kind,
                tags: None,
                deprecated: None,
                range: document.range(item.span),
                selection_range: document.range(name.span),
                children: None,
            });
        }
    }
    found
}

/// The names that an item defines.
fn names(item: &Item) -> Vec<&Name> {
    match &item.kind {
        ItemKind::Fn(inner) => vec![&inner.name],
        ItemKind::Problem(inner) => vec![&inner.name],
        ItemKind::Method(inner) => vec![&inner.name],
        ItemKind::Solver(inner) => vec![&inner.name],
        ItemKind::Network(inner) => vec![&inner.name],
        ItemKind::SolverAlias { name, .. } | ItemKind::NetworkAlias { name, .. } => vec![name],
        ItemKind::Arg { binder, .. } => vec![&binder.name],
        ItemKind::Let(binding) => match &binding.kind {
            LetKind::Inits(inits) => inits.iter().map(|init| &init.binder.name).collect(),
            LetKind::Tuple(names, _) => names.iter().collect(),
        },
        ItemKind::Use(_) | ItemKind::Precision(_) | ItemKind::Custom(_) | ItemKind::Test { .. } => Vec::new(),
        ItemKind::For { .. } | ItemKind::If { .. } | ItemKind::Print(_) | ItemKind::Assert(_) => Vec::new(),
        ItemKind::Expr(_) | ItemKind::Error => Vec::new(),
    }
}
