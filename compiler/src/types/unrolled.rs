//! What is made of solvers: `unroll` with `learn`, `implicit`, `trace`; and `derive`, which makes solvers.

use super::Ctx;
use super::annotation::{DimNames, resolve};
use super::call;
use super::call::{Arg, Bound, arguments, bind_arguments};
use super::dim::{Dim, Poly};
use super::expr::synth;
use super::fit;
use super::names::{each_binding, each_name, path};
use super::scope::{Found, Role, Scope, Var, similar};
use super::statement::int;
use super::ty::{Array, Kind, Network, Record, Sig, Solver, Ty};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{Expr, ExprKind, Learn, Name, Path, StmtKind, Symbol};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The solver of a call and its arguments; `Err` with the type of the call when it is not known which.
fn solver_call<'a>(
    ctx: &mut Ctx,
    scope: &Scope,
    expr: &'a Expr,
    word: &str,
) -> Option<(Ty, Option<Rc<Solver>>, Vec<Arg<'a>>)> {
    let ExprKind::Call { func, args } = &expr.kind else {
        let ty = synth(ctx, scope, expr);
        if !ty.is_unknown() {
            let message = format!("`{word}` takes a call of a solver, but this is {ty}");
            ctx.report(Diagnostic::error("E0323", expr.span, message));
        }
        return None;
    };
    let callee = synth(ctx, scope, func);
    let args = arguments(ctx, scope, args);
    match &callee {
        Ty::Solver(solver) => Some((callee.clone(), Some(solver.clone()), args)),
        Ty::Unknown => Some((Ty::Unknown, None, args)),
        // A function that was passed may be a solver; lowering knows.
        Ty::Fn(sig) if sig.name.is_none() => Some((Ty::Unknown, None, args)),
        _ => {
            let message = format!("`{word}` takes a call of a solver, but this calls {callee}");
            ctx.report(Diagnostic::error("E0323", func.span, message));
            None
        }
    }
}

/// `unroll s(args) for K [backprop J] [learn ..]`.
pub fn unroll(
    ctx: &mut Ctx,
    scope: &Scope,
    call_expr: &Expr,
    count: &Expr,
    backprop: Option<&Expr>,
    learn: Option<&Learn>,
    span: Span,
) -> Ty {
    let passes = int(ctx, scope, count, "the number of passes");
    if let Some(backprop) = backprop {
        int(ctx, scope, backprop, "the number of passes");
    }
    if let Some(from) = learn.and_then(|learn| learn.from.as_ref()) {
        synth(ctx, scope, from);
    }
    let Some((callee, solver, args)) = solver_call(ctx, scope, call_expr, "unroll") else { return Ty::Unknown };
    let Some(learn) = learn else { return call::apply(ctx, &callee, &args, span) };
    let Some(solver) = solver else { return Ty::Unknown };
    if args.iter().any(|arg| arg.each > 0) {
        let message = "a network is made from a call without `each`; `each` is for calls of the network";
        ctx.report(Diagnostic::error("E0329", call_expr.span, message));
        return Ty::Unknown;
    }
    let Some(bound) = bind_arguments(ctx, &solver.sig, &args, call_expr.span) else { return Ty::Unknown };
    let mut fields = Vec::new();
    for lifted in &learn.lifted {
        let ty = learned(ctx, scope, &solver, &args, &bound, lifted, &passes);
        fields.push((lifted.name.text.clone(), ty));
    }
    network(&solver, &args, &bound, learn, fields)
}

/// The type of a learned name, over the passes if each has its own.
fn learned(
    ctx: &mut Ctx,
    scope: &Scope,
    solver: &Solver,
    args: &[Arg],
    bound: &Bound,
    lifted: &ast::Lifted,
    passes: &Dim,
) -> Ty {
    let name = &lifted.name;
    let closed = fit::closed(&bound.map, &solver.sig.generics);
    let written = lifted.ty.as_ref().map(|ty| resolve(ctx, scope, ty, &mut DimNames::checked()));
    let of_solver = solver.lets.iter().rev().find(|known| known.name == name.text);
    let position = solver.sig.params.iter().position(|param| param.name.as_ref() == Some(&name.text));
    let argument = position.map(|position| bound.slots[position].map(|slot| &args[slot]));
    let ty = match (of_solver, argument) {
        (Some(known), _) => {
            if known.in_step && !lifted.each {
                let message = format!("`{}` is a let inside `step`: it is learned with `each`", name.text);
                let diagnostic = Diagnostic::error("E0329", name.span, message).label(known.span, "declared here");
                ctx.report(diagnostic.help(format!("`each {}` gives every layer its own", name.text)));
            }
            known.ty.subst(&closed)
        }
        (None, Some(Some(argument))) if argument.blank => {
            let message = format!("`{}` is left open with `_`: what is learned starts at a value", name.text);
            ctx.report(Diagnostic::error("E0329", name.span, message).label(argument.span, "left open here"));
            return Ty::Unknown;
        }
        (None, Some(Some(argument))) => argument.ty.clone(),
        (None, Some(None)) => solver.sig.params[position.unwrap_or(0)].ty.subst(&closed),
        (None, None) if solver.source.is_none() => Ty::Unknown,
        (None, None) => {
            report_not_learnable(ctx, solver, name);
            return Ty::Unknown;
        }
    };
    let real = match &ty {
        Ty::Unknown => true,
        Ty::Array(array) => array.kind.is_number(),
        _ => false,
    };
    if !real {
        let message = format!("`{}` is {ty}: only reals are learned", name.text);
        ctx.report(Diagnostic::error("E0329", name.span, message));
        return Ty::Unknown;
    }
    let ty = match (written, &ty) {
        (Some(written), _) => written,
        (None, Ty::Array(Array { dims, .. })) => Ty::shaped(Kind::Real, dims.clone()),
        (None, _) => ty,
    };
    if lifted.each { call::prefix(&ty, std::slice::from_ref(passes)) } else { ty }
}

fn report_not_learnable(ctx: &mut Ctx, solver: &Solver, name: &Name) {
    let mut known: Vec<Symbol> = solver.lets.iter().map(|known| known.name.clone()).collect();
    known.extend(solver.sig.params.iter().filter_map(|param| param.name.clone()));
    let message = match solver.states.iter().find(|(state, _, _)| *state == name.text) {
        Some(_) => format!("`{}` is a state of {}; lets and arguments are learned", name.text, solver.sig.called()),
        None => format!("{} has no let or argument `{}`", solver.sig.called(), name.text),
    };
    let mut diagnostic = Diagnostic::error("E0329", name.span, message);
    if let Some((_, _, span)) = solver.states.iter().find(|(state, _, _)| *state == name.text) {
        diagnostic = diagnostic.label(*span, "the state");
    }
    diagnostic = match similar(&name.text, known.iter().map(|name| &**name)) {
        Some(suggestion) => diagnostic.help(format!("did you mean `{suggestion}`?")),
        None => diagnostic.note(format!("what can be learned: {}", known.join(", "))),
    };
    let layered = |known: &str| matches!(known, "W" | "S") || known.starts_with("W_") || known.starts_with("S_");
    if layered(&name.text) && !solver.lets.iter().any(|known| layered(&known.name)) && diagnostic.help.is_none() {
        diagnostic = diagnostic.help("a solver derived `as layer` has the maps `W` and `S` as lets");
    }
    ctx.report(diagnostic);
}

/// The network of the blanks that still reach the result.
fn network(solver: &Solver, args: &[Arg], bound: &Bound, learn: &Learn, fields: Vec<(Symbol, Ty)>) -> Ty {
    let reached = solver.source.as_ref().map(|source| {
        let lifted: HashSet<&str> = learn.lifted.iter().map(|lifted| &*lifted.name.text).collect();
        reaching(source, &lifted)
    });
    let mut blanks = Vec::new();
    for (param, slot) in solver.sig.params.iter().zip(&bound.slots) {
        let Some(slot) = slot else { continue };
        let name = param.name.as_deref().unwrap_or_default();
        if args[*slot].blank && reached.as_ref().is_none_or(|names| names.contains(name)) {
            blanks.push((*slot, super::ty::Param { ty: param.ty.subst(&bound.map), default: false, ..param.clone() }));
        }
    }
    blanks.sort_by_key(|(slot, _)| *slot);
    let params: Vec<super::ty::Param> = blanks.into_iter().map(|(_, param)| param).collect();
    let generics = solver.sig.generics.iter().filter(|name| !bound.map.contains_key(&name.id)).cloned().collect();
    let result = solver.sig.result.subst(&bound.map);
    let sig = Sig { what: "network", name: None, generics, params, result };
    Ty::Network(Rc::new(Network { sig: Rc::new(sig), params: Record { fields, open: false } }))
}

/// The names of a solver on which its result depends when the lifted ones are parameters.
pub fn reaching<'a>(solver: &'a ast::Solver, lifted: &HashSet<&str>) -> HashSet<&'a str> {
    // What each name is computed from.
    let mut sources: HashMap<&str, Vec<&Expr>> = HashMap::new();
    for binding in &solver.body.lets {
        each_binding(binding, &mut |name, value| sources.entry(name).or_default().push(value));
    }
    for init in &solver.body.states {
        sources.entry(&init.binder.name.text).or_default().push(&init.value);
    }
    let mut places: Vec<(&str, &Path)> = Vec::new();
    for stmt in &solver.body.step {
        match &stmt.kind {
            StmtKind::Let(binding) => {
                each_binding(binding, &mut |name, value| sources.entry(name).or_default().push(value));
            }
            StmtKind::Param(_) => {}
            StmtKind::Assign { place, value } => {
                sources.entry(&place.root.text).or_default().push(value);
                places.push((&place.root.text, place));
            }
        }
    }
    // Names are kept by the solver's own text, so that the set outlives the walk.
    let known: HashMap<&str, &'a str> = sources
        .keys()
        .copied()
        .chain(solver.params.iter().map(|param| &*param.name.text))
        .map(|name| (name, name))
        .collect();
    let mut reached: HashSet<&'a str> = HashSet::new();
    let mut open: Vec<&'a str> = Vec::new();
    let mut see = |name: &str, open: &mut Vec<&'a str>| {
        if let Some(name) = known.get(name)
            && !lifted.contains(*name)
            && reached.insert(name)
        {
            open.push(name);
        }
    };
    each_name(&solver.result, &mut |name| see(name, &mut open));
    while let Some(name) = open.pop() {
        for value in sources.get(name).into_iter().flatten() {
            each_name(value, &mut |name| see(name, &mut open));
        }
        for (root, place) in &places {
            if *root == name {
                path(place, &mut |name| see(name, &mut open));
            }
        }
    }
    reached
}

/// `implicit s(args)`.
pub fn implicit(ctx: &mut Ctx, scope: &Scope, call_expr: &Expr) -> Ty {
    let Some((callee, _, args)) = solver_call(ctx, scope, call_expr, "implicit") else { return Ty::Unknown };
    call::apply(ctx, &callee, &args, call_expr.span)
}

/// `trace s(args) for K [every J] { name: e }`: arrays with an entry for every J passes.
pub fn trace(
    ctx: &mut Ctx,
    scope: &Scope,
    call_expr: &Expr,
    count: &Expr,
    every: Option<&Expr>,
    record: &[(Name, Expr)],
) -> Ty {
    let passes = int(ctx, scope, count, "the number of passes");
    let every = every.map(|every| int(ctx, scope, every, "the number of passes"));
    let entries = match every {
        None => passes,
        Some(every) => match (&passes, &every) {
            (Dim::Known(passes), Dim::Known(every)) => {
                passes.int_div(every).ok().flatten().map_or(Dim::Unknown, Dim::Known)
            }
            (Dim::Unknown, _) | (_, Dim::Unknown) => Dim::Unknown,
        },
    };
    let Some((_, solver, args)) = solver_call(ctx, scope, call_expr, "trace") else { return Ty::Unknown };
    let each = args.iter().any(|arg| arg.each > 0);
    let Some(solver) = solver.filter(|solver| solver.source.is_some() && !each) else {
        // A derived solver's names are not known here.
        let inner = scope.with_anything();
        record.iter().for_each(|(_, value)| {
            synth(ctx, &inner, value);
        });
        return Ty::Unknown;
    };
    let Some(bound) = bind_arguments(ctx, &solver.sig, &args, call_expr.span) else { return Ty::Unknown };
    let inner = solver_scope(scope, &solver, &bound);
    if let ExprKind::Call { args: given, .. } = &call_expr.kind {
        report_hidden(ctx, scope, &solver, given, &bound, record);
    }
    let fields = record
        .iter()
        .map(|(name, value)| {
            let ty = synth(ctx, &inner, value);
            (name.text.clone(), call::prefix(&ty, std::slice::from_ref(&entries)))
        })
        .collect();
    let result = Ty::record(fields, false);
    if args.iter().any(|arg| arg.blank) {
        return call::blank_form(&Sig { result, ..(*solver.sig).clone() }, &args, &bound);
    }
    result
}

/// Warns of names in a record that mean the solver's and hide a parameter or let of the function around it.
fn report_hidden(
    ctx: &mut Ctx,
    scope: &Scope,
    solver: &Solver,
    args: &[ast::Arg],
    bound: &Bound,
    record: &[(Name, Expr)],
) {
    let mut used: Vec<(Symbol, Span)> = Vec::new();
    for (_, value) in record {
        each_name(value, &mut |name| used.push((name.into(), value.span)));
    }
    let mut told: HashSet<Symbol> = HashSet::new();
    for (name, span) in used {
        let Found::Var(own) = scope.find(&name) else { continue };
        let hides = match solver.sig.params.iter().position(|param| param.name.as_ref() == Some(&name)) {
            // What is passed under its own name is the same value.
            Some(position) => bound.slots[position].is_none_or(|slot| {
                !matches!(&args[slot].value, ast::ArgValue::Expr(Expr { kind: ExprKind::Name(given), .. }) if *given == name)
            }),
            None => {
                let counter = solver.source.as_ref().and_then(|source| source.body.counter.as_ref());
                solver.lets.iter().any(|known| known.name == name)
                    || solver.states.iter().any(|(state, _, _)| *state == name)
                    || counter.is_some_and(|counter| counter.text == name)
                    || &*name == "result"
            }
        };
        if hides && told.insert(name.clone()) {
            let message = format!("`{name}` is that of {} here, and hides the one around it", solver.sig.called());
            let warning = Diagnostic::warning("E0357", span, message).here(format!("the solver's `{name}`"));
            let warning = warning.label(own.span, format!("not this `{name}`"));
            ctx.report(warning.help(format!("to record with this one, give it another name: `let outer = {name}`")));
        }
    }
}

/// The solver's names over the caller's, for these arguments.
fn solver_scope(scope: &Scope, solver: &Solver, bound: &Bound) -> Scope {
    let closed = fit::closed(&bound.map, &solver.sig.generics);
    let var = |name: &Symbol, ty: &Ty, span: Span, role: Role| {
        let ty = ty.subst(&closed);
        Var { name: name.clone(), ty, span, role }
    };
    let mut inner = scope.clone();
    for name in &solver.sig.generics {
        inner =
            inner.with(var(&name.text, &Ty::static_int(Dim::Known(Poly::name(name.clone()))), Span::NONE, Role::Value));
    }
    for param in &solver.sig.params {
        if let Some(name) = &param.name {
            inner = inner.with(var(name, &param.ty, param.span, Role::Value));
        }
    }
    for known in &solver.lets {
        inner = inner.with(var(&known.name, &known.ty, known.span, Role::Value));
    }
    for (name, ty, span) in &solver.states {
        inner = inner.with(var(name, ty, *span, Role::State));
    }
    if let Some(counter) = solver.source.as_ref().and_then(|source| source.body.counter.as_ref()) {
        inner = inner.with_value(counter, Ty::int());
    }
    inner.with(var(&"result".into(), &solver.sig.result, Span::NONE, Role::Value))
}

/// `derive P`: a solver with the problem's data as parameters and its blocks as result.
pub fn derive(ctx: &mut Ctx, scope: &Scope, path: &Path) -> Ty {
    let Some(ty) = super::statement::path_type(ctx, scope, path) else { return Ty::Unknown };
    let Ty::Problem(problem) = &ty else {
        let message = format!("`derive` takes a problem, but `{}` is {ty}", path.root.text);
        ctx.report(Diagnostic::error("E0306", path.span, message));
        return Ty::Unknown;
    };
    let (data, blocks) = problem.sig.params.split_at(problem.data);
    let result = match blocks {
        [block] => block.ty.clone(),
        _ => Ty::tuple(blocks.iter().map(|block| block.ty.clone()).collect()),
    };
    let sig = Sig { what: "solver", name: None, params: data.to_vec(), result, ..(*problem.sig).clone() };
    Ty::Solver(Rc::new(Solver { sig: Rc::new(sig), lets: Vec::new(), states: Vec::new(), source: None }))
}
