//! `derive` expressions of a module made solvers, before it is checked.
//!
//! `solver NAME = derive P ...` becomes the solver of that name; any other `derive` gets a solver before its statement or definition and
//! becomes its name. The printed text of each solver joins the sources and is parsed: from then on it is as if the user had written it.

use super::{Catalogue, Derivation, Request, derive, inside, learning};
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{FileId, SourceMap, Span};
use crate::syntax::ast::{Expr, ExprKind, Item, ItemKind, Module, Problem, Solver, Symbol, Trivia};
use crate::syntax::{self, pretty};
use crate::types;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Whether a module has a `derive` in it.
pub fn needed(module: &Module) -> bool {
    module.items.iter().any(derives)
}

fn derives(item: &Item) -> bool {
    let mut found = false;
    inside::change(&mut item.kind.clone(), &mut |e| {
        found |= has_derive(e);
        None
    });
    found || inside::nested(&item.kind).any(derives)
}

/// What is kept of derivations, for questions that come later.
#[derive(Clone, Default)]
pub struct Derived {
    /// The steps of derived solvers, with their values, by the solver's name.
    pub steps: HashMap<Symbol, Vec<(Symbol, String)>>,
    /// Where derived solvers come from, by the text that they were parsed from; only if `sources_wanted`.
    pub solvers: HashMap<FileId, Source>,
    pub sources_wanted: bool,
}

/// Where a derived solver comes from.
#[derive(Clone)]
pub struct Source {
    pub problem: Rc<Problem>,
    /// Every term is convex, as far as its form says.
    pub convex: bool,
    /// The same problem by the accelerated form of the method, if it has one: the method's name, the solver.
    pub accelerated: Option<(Symbol, Rc<Solver>)>,
}

/// Methods, and those that take as much work a pass and fewer passes on convex problems.
const ACCELERATED: [(&str, &str); 3] = [
    ("gradient_descent", "accelerated_gradient"),
    ("proximal_gradient", "accelerated_proximal_gradient"),
    ("backtracking_proximal_gradient", "backtracking_accelerated_proximal_gradient"),
];

/// Replaces each `derive` by a solver. `env` holds the types of the modules before; what is to be known of the solvers is added
/// to `derived`. What could not be derived stays, with its message.
pub fn expand(
    sources: &mut SourceMap,
    env: &types::Env,
    catalogue: &Catalogue,
    module: &mut Module,
    derived: &mut Derived,
) -> Vec<Diagnostic> {
    let (catalogue, mistakes) = with_module(env, catalogue, module);
    let mistakes = mistakes.iter().filter(|d| d.severity == Severity::Error).map(Diagnostic::span).collect();
    let mut expander = Expander { sources, mistakes, diagnostics: Vec::new(), taken: HashSet::new(), derived };
    for item in &module.items {
        if let ItemKind::Solver(solver) = &item.kind {
            expander.taken.insert(solver.name.text.clone());
        }
    }
    module.items = expander.items(&catalogue, std::mem::take(&mut module.items));
    expander.diagnostics
}

/// The catalogue with a module's own definitions. Types of its top-level values are looked up in a check of it, whose messages
/// are given too: a problem with a mistake is not derived.
pub fn with_module(env: &types::Env, catalogue: &Catalogue, module: &Module) -> (Catalogue, Vec<Diagnostic>) {
    let mut known = env.clone();
    let messages = types::check_module(&mut known, module);
    let mut catalogue = catalogue.clone();
    catalogue.add_module(module);
    catalogue.set_globals(known);
    (catalogue, messages)
}

struct Expander<'a> {
    sources: &'a mut SourceMap,
    mistakes: Vec<Span>,
    diagnostics: Vec<Diagnostic>,
    taken: HashSet<Symbol>,
    derived: &'a mut Derived,
}

impl Expander<'_> {
    fn items(&mut self, catalogue: &Catalogue, items: Vec<Item>) -> Vec<Item> {
        let mut result = Vec::new();
        for item in items {
            let mut before = Vec::new();
            let item = self.item(catalogue, item, &mut before);
            result.append(&mut before);
            result.push(item);
        }
        result
    }

    fn item(&mut self, catalogue: &Catalogue, mut item: Item, before: &mut Vec<Item>) -> Item {
        match &mut item.kind {
            ItemKind::SolverAlias { name, value } if matches!(value.kind, ExprKind::Derive { .. }) => {
                if let Some(solver) = self.solver(catalogue, value, &name.text) {
                    item.kind = solver;
                }
                return item;
            }
            ItemKind::For { body, .. } => {
                let inner = std::mem::take(body);
                *body = self.local(catalogue, inner);
            }
            ItemKind::Test { items, .. } => {
                let inner = std::mem::take(items);
                *items = self.local(catalogue, inner);
            }
            ItemKind::If { then, otherwise, .. } => {
                let inner = std::mem::take(then);
                *then = self.local(catalogue, inner);
                let inner = std::mem::take(otherwise);
                *otherwise = self.local(catalogue, inner);
            }
            _ => {}
        }
        inside::change(&mut item.kind, &mut |e| has_derive(e).then(|| self.expr(catalogue, e, before)));
        item
    }

    /// Items of a block, which may define problems and methods of their own.
    fn local(&mut self, catalogue: &Catalogue, items: Vec<Item>) -> Vec<Item> {
        let mut inner = catalogue.clone();
        inner.add_items(&items, true);
        self.items(&inner, items)
    }

    /// An expression with solvers in the place of derivations.
    fn expr(&mut self, catalogue: &Catalogue, e: &Expr, before: &mut Vec<Item>) -> Expr {
        inside::rewrite(e, &mut |part| {
            let ExprKind::Derive { path, .. } = &part.kind else { return None };
            let base = format!("derived_{}", path.root.text);
            let mut name: Symbol = base.clone().into();
            let mut number = 2;
            while self.taken.contains(&name) || catalogue.defines(&name) {
                name = format!("{base}{number}").into();
                number += 1;
            }
            let kind = self.solver(catalogue, part, &name)?;
            self.taken.insert(name.clone());
            before.push(Item { kind, span: part.span, doc: Vec::new(), trivia: Trivia::default() });
            Some(Expr { kind: ExprKind::Name(name), span: part.span })
        })
    }

    /// The solver of one `derive`, printed and parsed.
    fn solver(&mut self, catalogue: &Catalogue, e: &Expr, name: &Symbol) -> Option<ItemKind> {
        let ExprKind::Derive { path, by, form } = &e.kind else { return None };
        let problem = catalogue.problem(&path.root.text).filter(|_| path.parts.is_empty())?;
        // A mistake in the problem has its message; what follows from it is no second one.
        let own = Span { start: problem.name.span.start, end: last(problem), ..problem.name.span };
        if self.mistakes.iter().any(|at| at.file == own.file && at.start >= own.start && at.end <= own.end) {
            return None;
        }
        let method = match by.as_deref() {
            None => None,
            Some(Expr { kind: ExprKind::Name(name), span }) => Some((name.clone(), *span)),
            Some(other) => {
                let message = "`by` is followed by the name of a method";
                self.diagnostics.push(Diagnostic::error("E0334", other.span, message));
                return None;
            }
        };
        let layer = match form {
            None => false,
            Some(form) if &*form.text == "layer" => true,
            Some(form) => {
                let message = format!("a solver is derived `as layer` or without `as`, not `as {}`", form.text);
                self.diagnostics.push(Diagnostic::error("E0334", form.span, message));
                return None;
            }
        };
        let request = Request { problem: &problem.clone(), method, layer, name: name.clone(), span: e.span };
        match derive(catalogue, &request) {
            Ok(derivation) => {
                self.derived.steps.insert(name.clone(), learning::steps_of(&derivation));
                let accelerated =
                    if self.derived.sources_wanted { self.accelerated(catalogue, &request, &derivation) } else { None };
                let convex = derivation.is_convex();
                let Derivation { solver, warnings, .. } = derivation;
                self.diagnostics.extend(warnings);
                let kind = self.printed(&solver, e.span);
                if let ItemKind::Solver(solver) = &kind
                    && self.derived.sources_wanted
                {
                    let source = Source { problem: problem.clone(), convex, accelerated };
                    self.derived.solvers.insert(solver.name.span.file, source);
                }
                Some(kind)
            }
            Err(diagnostic) => {
                self.diagnostics.push(*diagnostic);
                None
            }
        }
    }

    /// The solver of a convex problem by the accelerated form of the method that was taken.
    fn accelerated(
        &mut self,
        catalogue: &Catalogue,
        request: &Request,
        plain: &Derivation,
    ) -> Option<(Symbol, Rc<Solver>)> {
        let taken = &plain.choice.method.name.text;
        let (_, method) = ACCELERATED.iter().find(|(method, _)| **method == **taken).filter(|_| plain.is_convex())?;
        let method: Symbol = (*method).into();
        let name = format!("{}_by_{method}", request.problem.name.text).into();
        let request = Request { method: Some((method.clone(), request.span)), layer: false, name, ..*request };
        let derivation = derive(catalogue, &request).ok()?;
        match self.printed(&derivation.solver, request.span) {
            ItemKind::Solver(solver) => Some((method, solver)),
            _ => None,
        }
    }

    /// What runs is what is printed.
    fn printed(&mut self, solver: &crate::syntax::ast::Solver, at: Span) -> ItemKind {
        let text = format!("{}\n", pretty::solver(solver));
        let file = self.sources.add(format!("derived {}", solver.name.text), None, text);
        let (module, found) = syntax::parse(self.sources, file);
        match module.items.into_iter().next() {
            Some(Item { kind: kind @ ItemKind::Solver(_), .. }) if found.is_empty() => kind,
            _ => {
                let message = format!("internal error: the derived solver `{}` does not parse", solver.name.text);
                self.diagnostics.push(Diagnostic::error("E0334", at, message));
                self.diagnostics.extend(found);
                ItemKind::Error
            }
        }
    }
}

/// Where a problem's text ends.
fn last(problem: &crate::syntax::ast::Problem) -> u32 {
    let constraints = problem.constraints.iter().map(|c| c.set.as_ref().map_or(c.expr.span.end, |set| set.span.end));
    constraints.chain([problem.objective.span.end]).max().unwrap_or(problem.name.span.end)
}

/// Warns where all layers of a network learn one step of a derived solver: then nothing keeps it where the method is known to work.
pub fn learned_steps(derived: &Derived, items: &[Item]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for item in items {
        inside::change(&mut item.kind.clone(), &mut |e| {
            inside::rewrite(e, &mut |part| {
                if let ExprKind::Unroll { call, learn: Some(learn), .. } = &part.kind
                    && let ExprKind::Call { func, .. } = &call.kind
                    && let ExprKind::Name(solver) = &func.kind
                    && let Some(own) = derived.steps.get(solver)
                {
                    // With a step of its own each layer is a step by itself; no passes repeat it.
                    for lifted in learn.lifted.iter().filter(|lifted| !lifted.each) {
                        if let Some((name, value)) = own.iter().find(|(name, _)| *name == lifted.name.text) {
                            found.push(learned_step(name, value, lifted.name.span));
                        }
                    }
                }
                None
            });
            None
        });
        let nested: Vec<Item> = inside::nested(&item.kind).cloned().collect();
        found.extend(learned_steps(derived, &nested));
    }
    found
}

fn learned_step(name: &str, value: &str, span: Span) -> Diagnostic {
    Diagnostic::warning("E0355", span, format!("the learned step `{name}` may leave its safe range"))
        .here(format!("starts at {value}, and nothing keeps it there"))
        .note("a method works for steps in a range, such as below 2 / L for a gradient step, and the solver computes them so that they are in it")
        .help(format!("learn what the step is computed from, and the step follows it; or give each layer its own: `each {name}`"))
}

fn has_derive(e: &Expr) -> bool {
    let mut found = false;
    inside::rewrite(e, &mut |part| {
        found |= matches!(part.kind, ExprKind::Derive { .. });
        None
    });
    found
}
