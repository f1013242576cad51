//! Names: local ones in a shared list (a lambda keeps the list of its place), global ones in the `Env`.

use super::Ctx;
use super::dim::{Dim, Poly};
use super::ty::{Array, Network, Param, Record, Sig, Ty};
use crate::builtins;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{Name, Symbol};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

/// The local names that are visible at a place, innermost first.
#[derive(Clone, Default)]
pub struct Scope(Option<Rc<Node>>);

struct Node {
    entry: Entry,
    parent: Scope,
}

enum Entry {
    Var(Var),
    /// Any name may be defined here: those of a solver that is not known.
    Anything,
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scope")
    }
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub struct Var {
    pub name: Symbol,
    pub ty: Ty,
    /// Where it was declared.
    pub span: Span,
    pub role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// A parameter, a let, an index: it keeps its value.
    Value,
    /// May be assigned with `<-`, and has a previous value.
    State,
}

/// What a look-up finds.
pub enum Found {
    Var(Var),
    /// A name that may be anything; nothing is to be reported.
    Anything,
    Nothing,
}

impl Scope {
    pub fn with(&self, var: Var) -> Scope {
        Scope(Some(Rc::new(Node { entry: Entry::Var(var), parent: self.clone() })))
    }

    /// A value that is not a state.
    pub fn with_value(&self, name: &Name, ty: Ty) -> Scope {
        self.with(Var { name: name.text.clone(), ty, span: name.span, role: Role::Value })
    }

    /// From here outward every name may mean something.
    pub fn with_anything(&self) -> Scope {
        Scope(Some(Rc::new(Node { entry: Entry::Anything, parent: self.clone() })))
    }

    pub fn find(&self, name: &str) -> Found {
        let mut at = self;
        while let Some(node) = &at.0 {
            match &node.entry {
                Entry::Var(var) if &*var.name == name => return Found::Var(var.clone()),
                Entry::Var(_) => {}
                Entry::Anything => return Found::Anything,
            }
            at = &node.parent;
        }
        Found::Nothing
    }

    /// The names in it.
    pub fn names(&self) -> Vec<Symbol> {
        let mut names = Vec::new();
        let mut at = self;
        while let Some(node) = &at.0 {
            if let Entry::Var(var) = &node.entry {
                names.push(var.name.clone());
            }
            at = &node.parent;
        }
        names
    }

    /// The names that may be assigned.
    pub fn states(&self) -> Vec<Symbol> {
        let mut names = Vec::new();
        let mut at = self;
        while let Some(node) = &at.0 {
            if let Entry::Var(var) = &node.entry
                && var.role == Role::State
            {
                names.push(var.name.clone());
            }
            at = &node.parent;
        }
        names
    }
}

/// A name of the top level.
#[derive(Clone, Debug)]
pub struct Global {
    pub ty: Ty,
    pub span: Span,
}

/// The names of the modules checked so far. A later module may use them and define them anew.
#[derive(Clone, Debug, Default)]
pub struct Env {
    pub(super) globals: HashMap<Symbol, Global>,
    /// Declared proximal operators, by the function's name.
    pub(super) proxes: HashMap<Symbol, super::prox::Rule>,
    pub(super) next_id: u32,
    /// Names that exist though nothing of them was checked.
    others: Rc<[&'static str]>,
}

impl Env {
    /// An environment in which only the built-in names are known.
    pub fn new() -> Env {
        Env::default()
    }

    /// Names that exist though nothing of them is checked here: messages may suggest them.
    pub fn suggest(&mut self, names: impl Iterator<Item = &'static str>) {
        self.others = names.collect();
    }

    /// Dimension names made from here on are different from those of another environment.
    pub fn count_from(&mut self, other: &Env) {
        self.next_id = self.next_id.max(other.next_id);
    }

    /// Takes over what a name means in another environment.
    pub fn copy_name(&mut self, from: &Env, name: &Symbol) {
        if let Some(global) = from.globals.get(name) {
            self.globals.insert(name.clone(), global.clone());
        }
    }

    /// The names that are defined, in no order.
    pub fn names(&self) -> impl Iterator<Item = &Symbol> {
        self.globals.keys()
    }

    /// Where a top-level name was defined.
    pub fn place_of_name(&self, name: &str) -> Option<Span> {
        self.globals.get(name).map(|global| global.span).filter(|span| !span.is_none())
    }

    /// The dimensions of a top-level array that are known before anything runs; generic names are not.
    pub fn shape_of_name(&self, name: &str) -> Option<Vec<Dim>> {
        let dims = self.globals.get(name)?.ty.as_array()?.dims.clone()?;
        let number = |dim: Dim| dim.as_constant().map_or(Dim::Unknown, Dim::constant);
        Some(dims.into_iter().map(number).collect())
    }

    /// The type of a top-level name, as shown to the user.
    pub fn type_of_name(&self, name: &str) -> Option<String> {
        self.globals.get(name).map(|global| global.ty.to_string())
    }
}

/// What a name stands for at a place; reports it if it stands for nothing.
pub fn lookup(ctx: &mut Ctx, scope: &Scope, name: &str, span: Span) -> Option<Var> {
    match scope.find(name) {
        Found::Var(var) => return Some(var),
        Found::Anything => return None,
        Found::Nothing => {}
    }
    match lookup_global(ctx, name, span) {
        Found::Var(var) if ctx.inside => Some(Var { ty: from_inside(ctx, &var.ty), ..var }),
        Found::Var(var) => Some(var),
        Found::Anything => None,
        Found::Nothing => {
            let suggestion = similar(name, known_names(ctx, scope).iter().map(|known| &**known));
            let mut diagnostic =
                Diagnostic::error("E0301", span, format!("`{name}` is not defined")).here("not found here");
            if let Some(suggestion) = suggestion {
                diagnostic = diagnostic.help(format!("did you mean `{suggestion}`?"));
            }
            ctx.report(diagnostic);
            None
        }
    }
}

/// The type of a top-level value in a definition. `fn f(x: real[n]) = A @ x` with a top-level `A: real[3, 4]` is right where
/// n is 4, and it cannot be said otherwise when `A` is computed: sizes that come with values are not compared with
/// generic names.
pub fn from_inside(ctx: &mut Ctx, ty: &Ty) -> Ty {
    let dim = |ctx: &mut Ctx, dim: &Dim| dim.as_constant().map_or_else(|| dim.clone(), |size| ctx.outer_size(size));
    match ty {
        Ty::Array(array) => Ty::Array(Array {
            kind: array.kind,
            dims: array.dims.as_ref().map(|dims| dims.iter().map(|size| dim(ctx, size)).collect()),
            value: match array.value.as_ref().and_then(Poly::as_constant) {
                Some(value) => ctx.outer_size(value).known().cloned(),
                None => array.value.clone(),
            },
        }),
        Ty::Tuple(types) => Ty::tuple(types.iter().map(|ty| from_inside(ctx, ty)).collect()),
        Ty::Record(record) => Ty::Record(Rc::new(record_from_inside(ctx, record))),
        Ty::Fn(sig) => Ty::Fn(Rc::new(Sig { result: from_inside(ctx, &sig.result), ..(**sig).clone() })),
        Ty::Network(network) => {
            let sig = &network.sig;
            let params =
                sig.params.iter().map(|param| Param { ty: from_inside(ctx, &param.ty), ..param.clone() }).collect();
            let sig = Sig { params, result: from_inside(ctx, &sig.result), ..(**sig).clone() };
            Ty::Network(Rc::new(Network { sig: Rc::new(sig), params: record_from_inside(ctx, &network.params) }))
        }
        Ty::Str | Ty::Lambda(_) | Ty::Builtin(_) | Ty::Derived(_) | Ty::Template(_) => ty.clone(),
        Ty::Solver(_) | Ty::Problem(_) | Ty::List(_) | Ty::Unknown => ty.clone(),
    }
}

fn record_from_inside(ctx: &mut Ctx, record: &Record) -> Record {
    let fields = record.fields.iter().map(|(name, ty)| (name.clone(), from_inside(ctx, ty))).collect();
    Record { fields, open: record.open }
}

/// A name of the module, of the modules before it, or of the language.
pub fn lookup_global(ctx: &mut Ctx, name: &str, span: Span) -> Found {
    if let Some(found) = super::items::lookup_item(ctx, name, span) {
        return found;
    }
    if let Some(global) = ctx.env.globals.get(name) {
        let (ty, span) = (global.ty.clone(), global.span);
        return Found::Var(Var { name: name.into(), ty, span, role: Role::Value });
    }
    let ty = match builtins::find(name) {
        Some(builtin) => Ty::Builtin(builtin),
        None if builtins::CONSTANTS.contains(&name) => Ty::real(),
        None => return Found::Nothing,
    };
    Found::Var(Var { name: name.into(), ty, span: Span::NONE, role: Role::Value })
}

fn known_names(ctx: &Ctx, scope: &Scope) -> Vec<Symbol> {
    let mut names = scope.names();
    names.extend(ctx.items.keys().cloned());
    names.extend(ctx.env.globals.keys().cloned());
    names.extend(builtins::ROWS.iter().map(|row| Symbol::from(row.name)));
    names.extend(builtins::CONSTANTS.iter().map(|name| Symbol::from(*name)));
    names.extend(ctx.env.others.iter().map(|name| Symbol::from(*name)));
    names.sort();
    names
}

/// The name most like a misspelled one, if one is near enough to be meant.
pub fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let length = name.chars().count();
    if length < 2 {
        return None;
    }
    known
        .filter(|candidate| *candidate != name && candidate.chars().count() > 1)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= (length / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate.to_string())
}
