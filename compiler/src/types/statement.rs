//! Lets, assignments, blocks, loops.

use super::Ctx;
use super::annotation::annotate;
use super::dim::Dim;
use super::expr::{condition, range, synth};
use super::fit;
use super::fit::Misfit;
use super::scope::{Found, Role, Scope, Var, lookup, similar};
use super::ty::{Array, Kind, Ty};
use super::{index, report};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast;
use crate::syntax::ast::{Block, Expr, Init, Let, LetKind, Loop, LoopKind, Name, Path, PathPart, Stmt, StmtKind};

/// Where assignments go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Places {
    States,
    /// Also the parameters of networks (`update` of a training).
    StatesAndParameters,
}

/// The names that a let binds, in order, among them dimension names of annotations.
pub fn lets(ctx: &mut Ctx, scope: &Scope, binding: &Let) -> (Scope, Vec<Var>) {
    match &binding.kind {
        LetKind::Inits(inits) => {
            let mut scope = scope.clone();
            let mut vars = Vec::new();
            for init in inits {
                let bound = initial(ctx, &scope, init, Role::Value);
                for var in bound {
                    scope = scope.with(var.clone());
                    vars.push(var);
                }
            }
            (scope, vars)
        }
        LetKind::Tuple(names, value) => {
            let ty = synth(ctx, scope, value);
            let vars = destructure(ctx, names, &ty, value);
            (vars.iter().fold(scope.clone(), |scope, var| scope.with(var.clone())), vars)
        }
    }
}

/// One `name: type = value`: the dimension names that the type binds, then the name itself.
pub fn initial(ctx: &mut Ctx, scope: &Scope, init: &Init, role: Role) -> Vec<Var> {
    let actual = synth(ctx, scope, &init.value);
    let name = &init.binder.name;
    let (mut vars, ty) = match &init.binder.ty {
        Some(written) => {
            let value = Some((&init.value, &actual));
            let annotated = annotate(ctx, scope, written, value, Some(name));
            (annotated.names, annotated.ty)
        }
        None => (Vec::new(), actual),
    };
    let ty = match (role, changing(&ty)) {
        (Role::Value, _) => ty,
        (Role::State, Ty::Array(array)) if array.kind == Kind::Int && init.binder.ty.is_none() => {
            let real = *ctx.int_states.entry(name.span).or_insert(false);
            Ty::shaped(if real { Kind::Real } else { Kind::Int }, array.dims)
        }
        (Role::State, ty) => ty,
    };
    vars.push(Var { name: name.text.clone(), ty, span: name.span, role });
    vars
}

/// The type of what changes: no int in it is static.
fn changing(ty: &Ty) -> Ty {
    match ty {
        Ty::Array(array) => Ty::Array(Array { value: None, ..array.clone() }),
        Ty::Tuple(types) => Ty::tuple(types.iter().map(changing).collect()),
        _ => ty.clone(),
    }
}

/// The states of a solver, loop or training.
pub fn states(ctx: &mut Ctx, scope: &Scope, inits: &[Init]) -> (Scope, Vec<Var>) {
    let mut inner = scope.clone();
    let mut vars = Vec::new();
    for init in inits {
        for var in initial(ctx, &inner, init, Role::State) {
            inner = inner.with(var.clone());
            // Dimension names of the annotation are values, not states.
            if var.span == init.binder.name.span {
                vars.push(var);
            }
        }
    }
    (inner, vars)
}

fn destructure(ctx: &mut Ctx, names: &[Name], ty: &Ty, value: &Expr) -> Vec<Var> {
    let var = |name: &Name, ty: Ty| Var { name: name.text.clone(), ty, span: name.span, role: Role::Value };
    let unknown = || names.iter().map(|name| var(name, Ty::Unknown)).collect();
    match ty {
        Ty::Unknown => unknown(),
        Ty::Tuple(types) if types.len() == names.len() => {
            names.iter().zip(types.iter()).map(|(name, ty)| var(name, ty.clone())).collect()
        }
        Ty::Record(record) if record.fields.len() == names.len() || record.open => {
            let field = |i: usize| record.fields.get(i).map_or(Ty::Unknown, |(_, ty)| ty.clone());
            names.iter().enumerate().map(|(i, name)| var(name, field(i))).collect()
        }
        Ty::Tuple(types) => {
            let message = format!("{} names are bound, but the value has {} parts: {ty}", names.len(), types.len());
            ctx.report(Diagnostic::error("E0318", value.span, message));
            unknown()
        }
        // `let (a, b) = split(k, 2)`
        Ty::Array(Array { kind: Kind::Key, dims: Some(dims), .. }) if !dims.is_empty() => {
            if ctx.differ(&dims[0], &Dim::constant(names.len() as i64)) {
                let message = format!("{} names are bound, but the value has {} parts: {ty}", names.len(), dims[0]);
                ctx.report(Diagnostic::error("E0318", value.span, message));
            }
            names.iter().map(|name| var(name, Ty::array(Kind::Key, dims[1..].to_vec()))).collect()
        }
        _ => {
            ctx.report(Diagnostic::error(
                "E0318",
                value.span,
                format!("a tuple is taken apart here, but this is {ty}"),
            ));
            unknown()
        }
    }
}

/// A block's value.
pub fn block(ctx: &mut Ctx, scope: &Scope, block: &Block) -> Ty {
    let mut scope = scope.clone();
    for stmt in &block.stmts {
        match &stmt.kind {
            StmtKind::Let(binding) => scope = lets(ctx, &scope, binding).0,
            StmtKind::Param(inits) => {
                let message = "`param` stands only at the top of a network's block, before its lets";
                ctx.report(Diagnostic::error("E0316", stmt.span, message));
                for init in inits {
                    scope = scope.with_value(&init.binder.name, Ty::Unknown);
                }
            }
            StmtKind::Assign { place, value } => assign(ctx, &scope, place, value, Places::States),
        }
    }
    block.value.as_ref().map_or(Ty::Unknown, |value| synth(ctx, &scope, value))
}

/// Lets and assignments in order; the scope after them, and the lets.
pub fn steps(ctx: &mut Ctx, scope: &Scope, stmts: &[Stmt], places: Places) -> (Scope, Vec<Var>) {
    let mut scope = scope.clone();
    let mut vars = Vec::new();
    for stmt in stmts {
        match &stmt.kind {
            StmtKind::Let(binding) => {
                let (inner, bound) = lets(ctx, &scope, binding);
                scope = inner;
                vars.extend(bound);
            }
            StmtKind::Param(_) => {
                let message = "`param` stands only at the top of a network's block, before its lets";
                ctx.report(Diagnostic::error("E0316", stmt.span, message));
            }
            StmtKind::Assign { place, value } => assign(ctx, &scope, place, value, places),
        }
    }
    (scope, vars)
}

fn assign(ctx: &mut Ctx, scope: &Scope, place: &Path, value: &Expr, places: Places) {
    let actual = synth(ctx, scope, value);
    let Some(target) = target(ctx, scope, place, places) else { return };
    super::hole::wanted(ctx, value.span, &target);
    let root = &place.root;
    let whole = place.parts.is_empty();
    if let (Ty::Array(to), Ty::Array(from), Found::Var(var)) = (&target, &actual, scope.find(&root.text))
        && to.kind == Kind::Int
        && from.kind == Kind::Real
        && let Some(real) = ctx.int_states.get_mut(&var.span)
    {
        *real = true;
        return;
    }
    let Some(misfit) = fit::fill_misfit(ctx, &target, &actual) else { return };
    // What is in a tuple may widen too: not followed here.
    if matches!(target, Ty::Tuple(_) | Ty::Record(_)) && matches!(misfit, Misfit::Kind) {
        return;
    }
    let subject = if whole { format!("the state `{}`", root.text) } else { "this part of the state".to_string() };
    let operand = report::operand(ctx, scope, value, &actual);
    let base = format!("{subject} is {target}, but {} is assigned to it", operand.shown());
    let (code, message) = match &misfit {
        Misfit::Kind => ("E0311", base),
        Misfit::Rank => ("E0411", base),
        Misfit::Dim(wanted, given) => ("E0411", format!("{base}: {wanted} and {given} differ")),
    };
    let mut diagnostic = Diagnostic::error(code, value.span, message).here(format!("this is {actual}"));
    if let Found::Var(var) = scope.find(&root.text) {
        diagnostic = diagnostic.label(var.span, format!("{}: {}", var.name, var.ty));
    }
    diagnostic = operand.label(diagnostic);
    if let (true, Ty::Array(to), Ty::Array(from)) = (whole, &target, &actual)
        && to.kind == Kind::Int
        && from.kind == Kind::Real
    {
        diagnostic = diagnostic.help(format!("write `{}: real` where the state begins, if it is a real", root.text));
    }
    ctx.report(diagnostic);
}

/// The type of the place that is assigned; `None` if it is none, or not known.
fn target(ctx: &mut Ctx, scope: &Scope, place: &Path, places: Places) -> Option<Ty> {
    let name = &place.root;
    let var = match scope.find(&name.text) {
        Found::Var(var) if var.role == Role::State => var,
        Found::Anything => return None,
        found => {
            if places == Places::StatesAndParameters && !matches!(found, Found::Var(_)) {
                let var = lookup(ctx, scope, &name.text, name.span)?;
                if matches!(var.ty, Ty::Network(_) | Ty::Unknown) {
                    return path_type(ctx, scope, place);
                }
            }
            let states = scope.states();
            let mut diagnostic = Diagnostic::error("E0317", name.span, format!("`{}` is not a state", name.text))
                .here("only states are assigned with `<-`");
            if let Found::Var(var) = found {
                diagnostic = diagnostic.label(var.span, "declared here");
            }
            diagnostic = match similar(&name.text, states.iter().map(|state| &**state)) {
                Some(suggestion) => diagnostic.help(format!("did you mean `{suggestion}`?")),
                None if states.is_empty() => diagnostic,
                None => diagnostic.note(format!("the states here are {}", states.join(", "))),
            };
            ctx.report(diagnostic);
            return None;
        }
    };
    if place.parts.is_empty() {
        return Some(var.ty);
    }
    path_type(ctx, scope, place)
}

/// The type of a path; `None` if it is not known.
pub fn path_type(ctx: &mut Ctx, scope: &Scope, path: &Path) -> Option<Ty> {
    let var = lookup(ctx, scope, &path.root.text, path.root.span)?;
    let declared = if var.span.is_none() { path.root.span } else { var.span };
    let mut ty = var.ty;
    let mut text = path.root.text.to_string();
    for part in &path.parts {
        let operand = report::part(declared, Some(text.clone()), &ty);
        ty = match part {
            PathPart::Field(name) => {
                text = format!("{text}.{}", name.text);
                index::field(ctx, &ty, &operand, name)
            }
            PathPart::Index(indices) => {
                text = format!("{text}[..]");
                index::index(ctx, scope, &ty, &operand, indices, path.span)
            }
        };
    }
    (!ty.is_unknown()).then_some(ty)
}

/// A loop's value: its state, or the record of its states.
pub fn loop_(ctx: &mut Ctx, scope: &Scope, inner: &Loop) -> Ty {
    ctx.settle(|ctx| loop_once(ctx, scope, inner))
}

fn loop_once(ctx: &mut Ctx, scope: &Scope, inner: &Loop) -> Ty {
    let (mut body, vars) = states(ctx, scope, &inner.inits);
    match &inner.kind {
        LoopKind::For { var, range: over } => {
            let (_, element) = range(ctx, scope, over, false);
            if let Some(var) = var {
                body = body.with_value(var, element);
            }
            steps(ctx, &body, &inner.body, Places::States);
        }
        LoopKind::Until { cond, within } => {
            let (after, _) = steps(ctx, &body, &inner.body, Places::States);
            condition(ctx, &after, cond);
            int(ctx, scope, within, "the cap of a loop");
        }
    }
    match vars.as_slice() {
        [var] => var.ty.clone(),
        _ => Ty::record(vars.iter().map(|var| (var.name.clone(), var.ty.clone())).collect(), false),
    }
}

/// An int scalar that something counts with: its value, if it is static.
pub fn int(ctx: &mut Ctx, scope: &Scope, expr: &Expr, what: &str) -> Dim {
    let ty = synth(ctx, scope, expr);
    match &ty {
        Ty::Unknown => Dim::Unknown,
        Ty::Array(Array { kind: Kind::Int, dims, .. }) if dims.as_ref().is_none_or(Vec::is_empty) => ty.value_dim(),
        _ => {
            ctx.report(Diagnostic::error("E0403", expr.span, format!("{what} is an int, but this is {ty}")));
            Dim::Unknown
        }
    }
}

/// The rule that ends a solver or a loop.
pub fn until(ctx: &mut Ctx, scope: &Scope, until: &ast::Until) {
    condition(ctx, scope, &until.cond);
    if let Some(within) = &until.within {
        int(ctx, scope, within, "the cap of a solver");
    }
}
