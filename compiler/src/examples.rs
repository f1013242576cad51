//! Examples in doc comments: lines that begin with `>` are statements. `dp test` runs those of each item as one test.

use crate::diagnostic::Diagnostic;
use crate::source::SourceMap;
use crate::syntax::ast::{self, ItemKind, LetKind, Trivia};

/// Appends one `test` item for each item of the module that has examples; mistakes in their text are returned.
pub fn add_tests(sources: &mut SourceMap, module: &mut ast::Module) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut tests = Vec::new();
    for item in &module.items {
        let lines: Vec<&str> =
            item.doc.iter().filter_map(|line| line.trim_start().strip_prefix('>')).map(str::trim).collect();
        if lines.is_empty() {
            continue;
        }
        let name = format!("example of {}", name_of(&item.kind));
        let file = sources.add(format!("{}: {name}", sources.file(item.span.file).name), None, lines.join("\n"));
        let (parsed, mut found) = crate::syntax::parse(sources, file);
        diagnostics.append(&mut found);
        let kind = ItemKind::Test { name, name_span: item.span, items: parsed.items };
        tests.push(ast::Item { kind, span: item.span, doc: Vec::new(), trivia: Trivia::default() });
    }
    module.items.append(&mut tests);
    diagnostics
}

/// What an item is called in the list of tests.
fn name_of(kind: &ItemKind) -> String {
    let binders =
        |inits: &[ast::Init]| inits.iter().map(|i| i.binder.name.text.to_string()).collect::<Vec<_>>().join(", ");
    match kind {
        ItemKind::Arg { binder, .. } => binder.name.text.to_string(),
        ItemKind::Fn(f) => f.name.text.to_string(),
        ItemKind::Problem(p) => p.name.text.to_string(),
        ItemKind::Method(m) => m.name.text.to_string(),
        ItemKind::Solver(s) => s.name.text.to_string(),
        ItemKind::Network(n) => n.name.text.to_string(),
        ItemKind::Custom(c) => c.name.text.to_string(),
        ItemKind::SolverAlias { name, .. } | ItemKind::NetworkAlias { name, .. } | ItemKind::Precision(name) => {
            name.text.to_string()
        }
        ItemKind::Test { name, .. } => name.clone(),
        ItemKind::Let(ast::Let { kind: LetKind::Inits(inits), .. }) => binders(inits),
        ItemKind::Let(ast::Let { kind: LetKind::Tuple(names, _), .. }) => {
            names.iter().map(|n| n.text.to_string()).collect::<Vec<_>>().join(", ")
        }
        ItemKind::Use(_)
        | ItemKind::For { .. }
        | ItemKind::If { .. }
        | ItemKind::Print(_)
        | ItemKind::Assert(_)
        | ItemKind::Expr(_)
        | ItemKind::Error => "a statement".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_lines_become_tests() {
        let mut sources = SourceMap::default();
        let text = "## Twice.\n## > assert double(2) == 4\n## > assert double(0) == 0\nfn double(x: real) = 2 * x\n\nlet a = 1\n";
        let file = sources.add("a.dp", None, text);
        let (mut module, found) = crate::syntax::parse(&sources, file);
        assert!(found.is_empty());
        assert!(add_tests(&mut sources, &mut module).is_empty());
        assert_eq!(module.items.len(), 3);
        let ItemKind::Test { name, items, .. } = &module.items[2].kind else { panic!("a test") };
        assert_eq!((name.as_str(), items.len()), ("example of double", 2));
    }
}
