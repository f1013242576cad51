//! The static checker: names, types, and shapes with symbolic dimensions, on the syntax tree.
//!
//! It finds mistakes at the definition, with the names that the user wrote, before anything runs. It never refuses a
//! correct program: what only sizes can settle, it leaves to lowering, which knows them. Types are synthesized
//! forward: parameters are declared, a call matches declared types against the types of its arguments and
//! binds the generic dimensions, a function's result is declared or that of its body. A value that could not be
//! determined, or that has a reported mistake, has the type `Unknown`, which fits everywhere.

mod annotation;
mod builtin;
mod call;
mod custom;
mod derivative;
pub mod dim;
mod expr;
mod fit;
mod function;
mod hole;
mod index;
mod items;
mod keys;
pub mod learnable;
mod method;
mod names;
mod operator;
mod prox;
mod report;
mod scope;
mod seen;
mod solver;
mod statement;
mod train;
mod ty;
mod unrolled;
mod value;

#[cfg(test)]
mod tests;

pub use names::{each_binding as bindings_of, each_name as names_in, let_values as values_of};
pub use scope::{Env, similar};
pub use seen::{Seen, Use, dims_of_expr, int_of_expr, parameters_of, types_in_file};
pub use unrolled::reaching;
pub use value::{bind_expr, bind_value};

use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::Symbol;
use dim::{Dim, DimName, Poly};
use scope::Scope;
use std::collections::{HashMap, HashSet};

/// Checks a module after those whose names `env` holds, and adds its names to `env`. All mistakes are told at once, in
/// the order of the text; the names are added also when there are some.
pub fn check_module(env: &mut Env, module: &ast::Module) -> Vec<Diagnostic> {
    let mut ctx = Ctx::new(env);
    items::check_items(&mut ctx, module);
    hole::report(&mut ctx);
    ctx.finish();
    keys::check(&mut ctx, module);
    let mut diagnostics = ctx.diagnostics;
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span().file, diagnostic.span().start));
    diagnostics
}

/// Calls `see` with each name that a let binds.
pub fn names_bound(binding: &ast::Let, see: &mut dyn FnMut(&str)) {
    names::each_binding(binding, &mut |name, _| see(name));
}

/// Checks modules in order, each seeing the names of those before it.
pub fn check(modules: &[&ast::Module]) -> (Env, Vec<Diagnostic>) {
    let mut env = Env::new();
    let diagnostics = modules.iter().flat_map(|module| check_module(&mut env, module)).collect();
    (env, diagnostics)
}

/// The type of an expression at the top level, as shown to the user; `None` if it has a mistake or is not known before
/// it runs.
pub fn type_of_expr(env: &Env, expr: &ast::Expr) -> Option<String> {
    let mut env = env.clone();
    let mut ctx = Ctx::new(&mut env);
    let ty = expr::synth(&mut ctx, &Scope::default(), expr);
    match (ctx.diagnostics.is_empty(), ty.is_unknown()) {
        (true, false) => Some(ty.to_string()),
        (false, _) | (_, true) => None,
    }
}

/// What checking one module needs and collects.
struct Ctx<'a> {
    env: &'a mut Env,
    /// The module's top-level names.
    items: HashMap<Symbol, items::Item>,
    diagnostics: Vec<Diagnostic>,
    /// A lambda is checked at each application: one mistake in it is one message.
    reported: HashSet<(Code, Span)>,
    /// Above zero in a branch that is chosen by sizes: there, sizes need not agree for all sizes.
    soft: usize,
    /// Draws without a key and effects are allowed: at the top level.
    effects: bool,
    /// In code that runs where it stands, statement by statement: a name must have its value already.
    top: bool,
    /// In a definition, whose generic names stand for every size.
    inside: bool,
    /// Sizes of top-level values that a definition uses, as names: it may be called with just these.
    outer_sizes: HashMap<i64, DimName>,
    /// How deep in applications of lambdas.
    depth: usize,
    /// Each `?`.
    holes: Vec<hole::Hole>,
    /// States that begin as ints and have no declared type, by their place: whether a pass makes them real.
    int_states: HashMap<Span, bool>,
}

impl<'a> Ctx<'a> {
    fn new(env: &'a mut Env) -> Ctx<'a> {
        Ctx {
            env,
            items: HashMap::new(),
            diagnostics: Vec::new(),
            reported: HashSet::new(),
            soft: 0,
            effects: true,
            top: true,
            inside: false,
            outer_sizes: HashMap::new(),
            depth: 0,
            holes: Vec::new(),
            int_states: HashMap::new(),
        }
    }

    /// Makes the module's names those of the environment.
    fn finish(&mut self) {
        let done = items::done(self);
        self.env.globals.extend(done);
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.reported.insert((diagnostic.code, diagnostic.span())) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// A dimension name of its own.
    fn fresh(&mut self, text: &Symbol, rigid: bool) -> DimName {
        let id = self.env.next_id;
        self.env.next_id += 1;
        DimName { text: text.clone(), id, rigid }
    }

    /// Checks a definition: there, the sizes of top-level values have names; in its type they are numbers again.
    fn definition(&mut self, define: impl FnOnce(&mut Ctx<'a>) -> ty::Ty) -> ty::Ty {
        let inside = std::mem::replace(&mut self.inside, true);
        let sizes = std::mem::take(&mut self.outer_sizes);
        let ty = define(self);
        self.inside = inside;
        let own = std::mem::replace(&mut self.outer_sizes, sizes);
        ty.subst(&own.into_iter().map(|(size, name)| (name.id, Dim::constant(size))).collect())
    }

    /// A size of a top-level value, as a definition sees it.
    fn outer_size(&mut self, size: i64) -> Dim {
        if let Some(name) = self.outer_sizes.get(&size) {
            return Dim::Known(Poly::name(name.clone()));
        }
        let name = self.fresh(&size.to_string().into(), false);
        self.outer_sizes.insert(size, name.clone());
        Dim::Known(Poly::name(name))
    }

    /// A size that has a name and is not known yet.
    fn fresh_size(&mut self, text: &Symbol) -> Dim {
        Dim::Known(Poly::name(self.fresh(text, false)))
    }

    /// Runs `f` where draws and effects are allowed or not.
    fn with_effects<T>(&mut self, effects: bool, f: impl FnOnce(&mut Ctx<'a>) -> T) -> T {
        let before = std::mem::replace(&mut self.effects, effects);
        let result = f(self);
        self.effects = before;
        result
    }

    /// Checks a loop's states and passes, and again as long as a pass makes a real of a state that began as an int.
    fn settle<T>(&mut self, mut check: impl FnMut(&mut Ctx<'a>) -> T) -> T {
        let real = |ctx: &Ctx| ctx.int_states.values().filter(|real| **real).count();
        loop {
            let before = real(self);
            let result = check(self);
            if real(self) == before {
                return result;
            }
        }
    }

    /// What is known of `a == b` here.
    fn equality(&self, a: &Dim, b: &Dim) -> dim::Equality {
        match dim::equality(a, b) {
            dim::Equality::Different if self.soft > 0 => dim::Equality::Unknown,
            dim::Equality::Unknown if !self.outer_sizes.is_empty() => self.outer_equality(a, b),
            known => known,
        }
    }

    /// The same where sizes of top-level values take part: they are compared with each other and with numbers.
    fn outer_equality(&self, a: &Dim, b: &Dim) -> dim::Equality {
        let numbers = self.outer_sizes.iter().map(|(size, name)| (name.id, Dim::constant(*size))).collect();
        match a.subst(&numbers).combine(&b.subst(&numbers), Poly::sub).as_constant() {
            Some(0) => dim::Equality::Equal,
            Some(_) if self.soft == 0 => dim::Equality::Different,
            Some(_) | None => dim::Equality::Unknown,
        }
    }

    fn differ(&self, a: &Dim, b: &Dim) -> bool {
        self.equality(a, b) == dim::Equality::Different
    }
}
