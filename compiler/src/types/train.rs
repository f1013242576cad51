//! `train`: its data, its objectives, its optimizers, and the record that it gives.

use super::Ctx;
use super::call::{Arg, apply, arguments, prefix, strip};
use super::dim::Dim;
use super::expr::{condition, synth};
use super::report;
use super::scope::{Role, Scope, Var, lookup, similar};
use super::solver::is_optimizer;
use super::statement::{Places, int, lets, path_type, states, steps};
use super::ty::{Array, Kind, Sig, Ty};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{ClauseKind, Expr, ExprKind, Path, Pattern, Symbol, Train, Using};
use std::rc::Rc;

/// The record of a training.
pub fn train(ctx: &mut Ctx, outer: &Scope, train: &Train) -> Ty {
    if !ctx.effects {
        let message = "`train` changes networks, and functions are pure";
        ctx.report(Diagnostic::error("E0314", train.span, message).here("this stands at the top level only"));
        return Ty::Unknown;
    }
    for path in &train.paths {
        trained_path(ctx, outer, path);
    }
    ctx.settle(|ctx| clauses(ctx, outer, train))
}

fn clauses(ctx: &mut Ctx, outer: &Scope, train: &Train) -> Ty {
    let mut scope = outer.clone();
    for clause in &train.clauses {
        if let ClauseKind::Epochs { var: Some(var), .. } | ClauseKind::Steps { var: Some(var), .. } = &clause.kind {
            scope = scope.with_value(var, Ty::int());
        }
    }
    let mut recorded: Vec<(Symbol, Ty)> = vec![("loss".into(), Ty::array(Kind::Real, vec![Dim::Unknown]))];
    let mut kept: Vec<(Symbol, Ty)> = Vec::new();
    for clause in &train.clauses {
        match &clause.kind {
            ClauseKind::Each { pattern, data, batch } => {
                let element = samples(ctx, &scope, data);
                if let Some(batch) = batch {
                    int(ctx, &scope, batch, "the size of a batch");
                }
                scope = bind_pattern(ctx, &scope, pattern, &element, data.span);
            }
            ClauseKind::Batch { pattern, data, of } => {
                let element = samples(ctx, &scope, data);
                let size = int(ctx, &scope, of, "the size of a batch");
                let arrays = prefix(&element, &[size]);
                scope = bind_pattern(ctx, &scope, pattern, &arrays, data.span);
            }
            ClauseKind::Let(binding) => scope = lets(ctx, &scope, binding).0,
            ClauseKind::State(inits) => {
                let (inner, vars) = states(ctx, &scope, inits);
                scope = inner;
                kept.extend(vars.into_iter().map(|var| (var.name, var.ty)));
            }
            ClauseKind::Objective { maximize: _, value, over, using, repeat } => {
                objective(ctx, &scope, value);
                for path in over {
                    trained_path(ctx, &scope, path);
                }
                optimizers(ctx, &scope, using);
                if let Some(repeat) = repeat {
                    int(ctx, &scope, repeat, "a number of steps");
                }
            }
            ClauseKind::Using(using) => optimizers(ctx, &scope, using),
            ClauseKind::Epochs { var: _, count } => {
                int(ctx, &scope, count, "the number of epochs");
            }
            ClauseKind::Steps { var: _, count } => {
                int(ctx, &scope, count, "the number of steps");
            }
            ClauseKind::Update(stmts) => {
                steps(ctx, &scope, stmts, Places::StatesAndParameters);
            }
            ClauseKind::Record { fields, every } => {
                let inner = with_loss(&scope);
                for (name, value) in fields {
                    let ty = synth(ctx, &inner, value);
                    recorded.retain(|(known, _)| *known != name.text);
                    recorded.push((name.text.clone(), prefix(&ty, &[Dim::Unknown])));
                }
                if let Some(every) = every {
                    int(ctx, &scope, every, "a number of steps");
                }
            }
            ClauseKind::Keep { highest: _, name, patience } => {
                let all: Vec<Symbol> = recorded_names(train);
                if &*name.text != "loss" && !all.contains(&name.text) {
                    let mut diagnostic = Diagnostic::error(
                        "E0703",
                        name.span,
                        format!("`{}` is not recorded by this training", name.text),
                    );
                    diagnostic = match similar(&name.text, all.iter().map(|name| &**name)) {
                        Some(suggestion) => diagnostic.help(format!("did you mean `{suggestion}`?")),
                        None => diagnostic.help(format!("`record {{ {}: .. }}` records it", name.text)),
                    };
                    ctx.report(diagnostic);
                }
                if let Some(patience) = patience {
                    int(ctx, &scope, patience, "a number of records");
                }
            }
            ClauseKind::Until(cond) => condition(ctx, &with_loss(&scope), cond),
            ClauseKind::Error => {}
        }
    }
    let mut fields = recorded;
    fields.extend(kept);
    fields.push(("steps".into(), Ty::int()));
    Ty::record(fields, true)
}

fn recorded_names(train: &Train) -> Vec<Symbol> {
    let mut names = Vec::new();
    for clause in &train.clauses {
        if let ClauseKind::Record { fields, .. } = &clause.kind {
            names.extend(fields.iter().map(|(name, _)| name.text.clone()));
        }
    }
    names
}

/// `loss`, the mean since the last record, unless the user gave the name another meaning.
fn with_loss(scope: &Scope) -> Scope {
    match scope.find("loss") {
        super::scope::Found::Nothing => {
            scope.with(Var { name: "loss".into(), ty: Ty::real(), span: Span::NONE, role: Role::Value })
        }
        super::scope::Found::Var(_) | super::scope::Found::Anything => scope.clone(),
    }
}

/// A path of what is trained: a network or a part of one.
fn trained_path(ctx: &mut Ctx, scope: &Scope, path: &Path) {
    let Some(var) = lookup(ctx, scope, &path.root.text, path.root.span) else { return };
    match &var.ty {
        Ty::Network(_) => {
            path_type(ctx, scope, path);
        }
        Ty::Unknown => {}
        ty => {
            let message = format!("`{}` is not a network, but {ty}", path.root.text);
            let mut diagnostic = Diagnostic::error("E0313", path.span, message).here("only networks are trained");
            if !var.span.is_none() {
                diagnostic = diagnostic.label(var.span, "declared here");
            }
            ctx.report(diagnostic);
        }
    }
}

/// The type of one sample of the data: arrays, a tuple of arrays, or a function of a key.
fn samples(ctx: &mut Ctx, scope: &Scope, data: &Expr) -> Ty {
    let ty = synth(ctx, scope, data);
    if super::fit::is_function(&ty) {
        return apply(ctx, &ty, &[Arg::of_type(Ty::key(), data.span)], data.span);
    }
    if let Ty::Tuple(parts) = &ty {
        let mut first: Option<(usize, Dim)> = None;
        for (i, part) in parts.iter().enumerate() {
            let Some((leading, _)) = strip(part, 1) else { continue };
            match &first {
                None => first = Some((i, leading[0].clone())),
                Some((k, size)) if ctx.differ(size, &leading[0]) => {
                    let message = format!(
                        "samples are taken from {} and {} together, but their leading sizes {size} and {} differ",
                        parts[*k], parts[i], leading[0]
                    );
                    ctx.report(Diagnostic::error("E0409", data.span, message));
                }
                Some(_) => {}
            }
        }
    }
    match strip(&ty, 1) {
        Some((_, element)) => element,
        None => {
            let operand = report::operand(ctx, scope, data, &ty);
            let message = format!("samples are taken along a leading axis, but {} has none", operand.shown());
            ctx.report(operand.label(Diagnostic::error("E0409", data.span, message)));
            Ty::Unknown
        }
    }
}

fn bind_pattern(ctx: &mut Ctx, scope: &Scope, pattern: &Pattern, ty: &Ty, data: Span) -> Scope {
    if let [name] = pattern.names.as_slice() {
        return scope.with_value(name, ty.clone());
    }
    let parts: Vec<Ty> = match ty {
        Ty::Tuple(parts) if parts.len() == pattern.names.len() => parts.to_vec(),
        Ty::Unknown => vec![Ty::Unknown; pattern.names.len()],
        _ => {
            let message = format!("{} names are bound, but a sample is {ty}", pattern.names.len());
            ctx.report(Diagnostic::error("E0318", pattern.span, message).label(data, "the data"));
            vec![Ty::Unknown; pattern.names.len()]
        }
    };
    pattern.names.iter().zip(parts).fold(scope.clone(), |scope, (name, ty)| scope.with_value(name, ty))
}

fn objective(ctx: &mut Ctx, scope: &Scope, value: &Expr) {
    let ty = synth(ctx, scope, value);
    match &ty {
        Ty::Unknown => {}
        Ty::Array(Array { kind, dims, .. }) if kind.is_number() && dims.as_ref().is_none_or(Vec::is_empty) => {}
        _ => {
            let message = format!("an objective is one real, but this is {ty}");
            let mut diagnostic = Diagnostic::error("E0326", value.span, message);
            if let Ty::Array(Array { kind: Kind::Real, .. }) = ty {
                diagnostic = diagnostic.help("`sumsq(..)`, `sum(..)` or `mean(..)` makes one real of many");
            }
            ctx.report(diagnostic);
        }
    }
}

/// Optimizers: solvers whose objective and start the training supplies.
fn optimizers(ctx: &mut Ctx, scope: &Scope, using: &[Using]) {
    for using in using {
        if let Some(path) = &using.path {
            trained_path(ctx, scope, path);
        }
        let optimizer = &using.optimizer;
        let (func, args) = match &optimizer.kind {
            ExprKind::Call { func, args } => (&**func, args.as_slice()),
            _ => (optimizer, [].as_slice()),
        };
        let callee = synth(ctx, scope, func);
        let args = arguments(ctx, scope, args);
        match &callee {
            Ty::Unknown => {}
            Ty::Solver(solver) if is_optimizer(&solver.sig) => {
                let params = solver.sig.params[2..].to_vec();
                let sig = Sig { what: "optimizer", params, result: Ty::Unknown, ..(*solver.sig).clone() };
                apply(ctx, &Ty::Fn(Rc::new(sig)), &args, optimizer.span);
            }
            // A solver with its blanks filled, a function: lowering knows what it can use.
            Ty::Lambda(_) => {}
            Ty::Fn(sig) if is_optimizer(sig) => {}
            _ => {
                let message = format!("`using` takes an optimizer, but this is {callee}");
                let help = "an optimizer is a solver whose first parameters are the objective and a vector: \
                            `adam(f: fn(real[p]) -> real, x0: real[p], lr: real)`";
                ctx.report(Diagnostic::error("E0323", optimizer.span, message).help(help));
            }
        }
    }
}
