//! Top-level items. Statements are checked in order, as they run; definitions when they are first needed, so that they
//! may stand in any order; tests and custom rules after everything else.

use super::Ctx;
use super::annotation::annotate;
use super::expr::{condition, is_static, range, synth};
use super::scope::{Found, Global, Role, Scope, Var};
use super::statement::lets;
use super::ty::{Array, Kind, Ty};
use super::{custom, function, method, prox, solver};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{Binder, Expr, ItemKind, LetKind, Name, Symbol};
use std::rc::Rc;

/// A top-level name of the module.
pub enum Item {
    /// Not checked yet.
    Pending(Definition, Span),
    /// Being checked: a use of it now is a recursion.
    Busy(Span),
    /// A let, argument or alias whose line has not come yet.
    Later(Span),
    Done(Global),
}

/// What may be used before its line.
#[derive(Clone)]
pub enum Definition {
    Fn(Rc<ast::Fn>),
    Problem(Rc<ast::Problem>),
    Solver(Rc<ast::Solver>),
    Network(Rc<ast::Network>),
    Method(Rc<ast::Method>),
}

/// Checks all items and adds their names to the environment.
pub fn check_items(ctx: &mut Ctx, module: &ast::Module) {
    declare(ctx, &module.items);
    let scope = Scope::default();
    for item in &module.items {
        top_item(ctx, &scope, item);
    }
    let mut pending: Vec<(Symbol, Span)> = Vec::new();
    for (name, item) in &ctx.items {
        if let Item::Pending(_, span) = item {
            pending.push((name.clone(), *span));
        }
    }
    pending.sort_by_key(|(_, span)| (span.file, span.start));
    for (name, span) in pending {
        lookup_item(ctx, &name, span);
    }
    for item in &module.items {
        match &item.kind {
            ItemKind::Custom(rule) => custom::check(ctx, rule),
            ItemKind::Test { items, .. } => local_items(ctx, &scope, items),
            _ => {}
        }
    }
    let done: Vec<(Symbol, Global)> = ctx
        .items
        .drain()
        .map(|(name, item)| match item {
            Item::Done(global) => (name, global),
            // A name whose line was not reached has a reported mistake.
            Item::Pending(_, span) | Item::Busy(span) | Item::Later(span) => (name, Global { ty: Ty::Unknown, span }),
        })
        .collect();
    ctx.env.globals.extend(done);
}

/// Enters the names of all items.
fn declare(ctx: &mut Ctx, items: &[ast::Item]) {
    for item in items {
        let definition = match &item.kind {
            ItemKind::Fn(function) => Some((&function.name, Definition::Fn(function.clone()))),
            ItemKind::Problem(problem) => Some((&problem.name, Definition::Problem(problem.clone()))),
            ItemKind::Solver(solver) => Some((&solver.name, Definition::Solver(solver.clone()))),
            ItemKind::Network(network) => Some((&network.name, Definition::Network(network.clone()))),
            ItemKind::Method(method) => Some((&method.name, Definition::Method(method.clone()))),
            ItemKind::Custom(custom) => {
                prox::declare(ctx, custom);
                None
            }
            _ => None,
        };
        if let Some((name, definition)) = definition {
            enter(ctx, name, Item::Pending(definition, name.span));
            continue;
        }
        match &item.kind {
            ItemKind::Arg { binder, .. } => enter(ctx, &binder.name, Item::Later(binder.name.span)),
            ItemKind::SolverAlias { name, .. } | ItemKind::NetworkAlias { name, .. } => {
                enter(ctx, name, Item::Later(name.span));
            }
            ItemKind::Let(binding) => match &binding.kind {
                LetKind::Inits(inits) => {
                    inits.iter().for_each(|init| enter(ctx, &init.binder.name, Item::Later(init.binder.name.span)));
                }
                LetKind::Tuple(names, _) => names.iter().for_each(|name| enter(ctx, name, Item::Later(name.span))),
            },
            ItemKind::Use(_) | ItemKind::Precision(_) | ItemKind::Custom(_) | ItemKind::Test { .. } => {}
            ItemKind::For { .. } | ItemKind::If { .. } | ItemKind::Print(_) | ItemKind::Assert(_) => {}
            ItemKind::Expr(_) | ItemKind::Error => {}
            ItemKind::Fn(_) | ItemKind::Problem(_) | ItemKind::Method(_) => {}
            ItemKind::Solver(_) | ItemKind::Network(_) => {}
        }
    }
}

fn enter(ctx: &mut Ctx, name: &Name, item: Item) {
    if let Some(first) = ctx.items.get(&name.text) {
        let first = match first {
            Item::Pending(_, span) | Item::Busy(span) | Item::Later(span) => *span,
            Item::Done(global) => global.span,
        };
        let message = format!("`{}` is defined twice", name.text);
        ctx.report(Diagnostic::error("E0304", name.span, message).here("again here").label(first, "first here"));
        return;
    }
    ctx.items.insert(name.text.clone(), item);
}

/// A top-level name of the module, checked now if it has not been. `None` if the module has no such name.
pub fn lookup_item(ctx: &mut Ctx, name: &str, span: Span) -> Option<Found> {
    let (definition, at) = match ctx.items.get(name)? {
        Item::Done(global) => {
            let (ty, span) = (global.ty.clone(), global.span);
            return Some(Found::Var(Var { name: name.into(), ty, span, role: Role::Value }));
        }
        // Until its line comes, the name means what it meant before.
        Item::Later(_) if ctx.env.globals.contains_key(name) || span.is_none() => return None,
        Item::Later(at) => {
            let at = *at;
            // A function's body runs later than it stands: perhaps the value is there by then.
            if ctx.top {
                let message = format!("`{name}` is used before its line");
                ctx.report(Diagnostic::error("E0303", span, message).label(at, "it gets its value here"));
            }
            return Some(Found::Anything);
        }
        Item::Busy(at) => {
            if !span.is_none() {
                let message = format!("`{name}` uses itself: recursion is not possible");
                let diagnostic = Diagnostic::error("E0305", span, message).label(*at, "declared here");
                ctx.report(diagnostic.help("`loop` repeats; layers are made by `unroll`"));
            }
            return Some(Found::Anything);
        }
        Item::Pending(definition, at) => (definition.clone(), *at),
    };
    let symbol: Symbol = name.into();
    ctx.items.insert(symbol.clone(), Item::Busy(at));
    let (soft, depth, top) = (ctx.soft, ctx.depth, ctx.top);
    (ctx.soft, ctx.depth, ctx.top) = (0, 0, false);
    let ty = ctx.with_effects(true, |ctx| ctx.definition(|ctx| define(ctx, &Scope::default(), &definition)));
    (ctx.soft, ctx.depth, ctx.top) = (soft, depth, top);
    ctx.items.insert(symbol.clone(), Item::Done(Global { ty: ty.clone(), span: at }));
    Some(Found::Var(Var { name: symbol, ty, span: at, role: Role::Value }))
}

fn define(ctx: &mut Ctx, scope: &Scope, definition: &Definition) -> Ty {
    match definition {
        Definition::Fn(inner) => function::define(ctx, scope, inner),
        Definition::Problem(problem) => solver::define_problem(ctx, scope, problem),
        Definition::Solver(inner) => solver::define_solver(ctx, scope, inner),
        Definition::Network(network) => solver::define_network(ctx, scope, network),
        Definition::Method(inner) => method::define(ctx, scope, inner),
    }
}

/// An item of the module itself: what it binds becomes a top-level name.
fn top_item(ctx: &mut Ctx, scope: &Scope, item: &ast::Item) {
    match &item.kind {
        ItemKind::Test { .. } | ItemKind::Custom(_) => {}
        ItemKind::Fn(_) | ItemKind::Problem(_) | ItemKind::Method(_) => {}
        ItemKind::Solver(_) | ItemKind::Network(_) => {}
        _ => {
            for var in statement(ctx, scope, item) {
                // A dimension name of an annotation does not take a definition's place.
                let known = ctx.items.get(&var.name);
                if !matches!(known, Some(Item::Pending(..) | Item::Busy(_))) {
                    ctx.items.insert(var.name, Item::Done(Global { ty: var.ty, span: var.span }));
                }
            }
        }
    }
}

/// Items inside `for`, `if` and `test`: their names end with them.
fn local_items(ctx: &mut Ctx, scope: &Scope, items: &[ast::Item]) {
    let mut scope = scope.clone();
    for item in items {
        let vars = match &item.kind {
            ItemKind::Fn(inner) => local(&inner.name, ctx.definition(|ctx| function::define(ctx, &scope, inner))),
            ItemKind::Problem(inner) => {
                local(&inner.name, ctx.definition(|ctx| solver::define_problem(ctx, &scope, inner)))
            }
            ItemKind::Solver(inner) => {
                local(&inner.name, ctx.definition(|ctx| solver::define_solver(ctx, &scope, inner)))
            }
            ItemKind::Network(inner) => {
                local(&inner.name, ctx.definition(|ctx| solver::define_network(ctx, &scope, inner)))
            }
            ItemKind::Method(inner) => local(&inner.name, ctx.definition(|ctx| method::define(ctx, &scope, inner))),
            ItemKind::Custom(rule) => {
                custom::check(ctx, rule);
                Vec::new()
            }
            ItemKind::Test { items, .. } => {
                local_items(ctx, &scope, items);
                Vec::new()
            }
            _ => statement(ctx, &scope, item),
        };
        scope = vars.into_iter().fold(scope, |scope, var| scope.with(var));
    }
}

fn local(name: &Name, ty: Ty) -> Vec<Var> {
    vec![Var { name: name.text.clone(), ty, span: name.span, role: Role::Value }]
}

/// A statement; the names that it binds.
fn statement(ctx: &mut Ctx, scope: &Scope, item: &ast::Item) -> Vec<Var> {
    match &item.kind {
        ItemKind::Arg { binder, default } => argument(ctx, scope, binder, default.as_ref()),
        ItemKind::SolverAlias { name, value } => local(name, solver::solver_alias(ctx, scope, name, value)),
        ItemKind::NetworkAlias { name, value } => local(name, solver::network_alias(ctx, scope, name, value)),
        ItemKind::Let(binding) => lets(ctx, scope, binding).1,
        ItemKind::For { var, range: over, body } => {
            let (_, element) = range(ctx, scope, over, true);
            local_items(ctx, &scope.with_value(var, element), body);
            Vec::new()
        }
        ItemKind::If { cond, then, otherwise } => {
            condition(ctx, scope, cond);
            let by_sizes = usize::from(is_static(ctx, scope, cond));
            ctx.soft += by_sizes;
            local_items(ctx, scope, then);
            local_items(ctx, scope, otherwise);
            ctx.soft -= by_sizes;
            Vec::new()
        }
        ItemKind::Print(values) => {
            values.iter().for_each(|value| {
                synth(ctx, scope, value);
            });
            Vec::new()
        }
        ItemKind::Assert(values) => {
            if let Some((claim, rest)) = values.split_first() {
                condition(ctx, scope, claim);
                rest.iter().for_each(|value| {
                    synth(ctx, scope, value);
                });
            }
            Vec::new()
        }
        ItemKind::Expr(expr) => {
            synth(ctx, scope, expr);
            Vec::new()
        }
        ItemKind::Use(_) | ItemKind::Precision(_) | ItemKind::Error => Vec::new(),
        ItemKind::Fn(_) | ItemKind::Problem(_) | ItemKind::Method(_) | ItemKind::Solver(_) => Vec::new(),
        ItemKind::Network(_) | ItemKind::Custom(_) | ItemKind::Test { .. } => Vec::new(),
    }
}

/// `arg n: int = 20`: the command line may give another value, so that only the name is known.
fn argument(ctx: &mut Ctx, scope: &Scope, binder: &Binder, default: Option<&Expr>) -> Vec<Var> {
    let actual = default.map(|default| synth(ctx, scope, default));
    let name = &binder.name;
    let (mut vars, ty) = match &binder.ty {
        Some(written) => {
            let value = default.zip(actual.as_ref());
            let annotated = annotate(ctx, scope, written, value, Some(name));
            (annotated.names, annotated.ty)
        }
        None => (Vec::new(), actual.unwrap_or(Ty::Unknown)),
    };
    let ty = match ty {
        Ty::Array(Array { kind: Kind::Int, dims: Some(dims), .. }) if dims.is_empty() => {
            Ty::static_int(ctx.fresh_size(&name.text))
        }
        ty => ty,
    };
    vars.push(Var { name: name.text.clone(), ty, span: name.span, role: Role::Value });
    vars
}
