//! Methods: templates of solvers over functions that `derive` fills in. Roles must be known, names must mean something,
//! and a role is used only as it may be: what `derive` could not fill in is a mistake here.

use super::Ctx;
use super::scope::{Role, Scope, Var, similar};
use super::statement::{Places, lets, states, steps, until};
use super::ty::Ty;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{ArgValue, Expr, ExprKind, Name, Symbol};
use crate::syntax::walk;

/// The roles, and what a template may ask of a function in each.
const ROLES: &[(&str, &[&str])] = &[
    ("smooth", &["grad", "lipschitz"]),
    ("quadratic", &["grad", "lipschitz", "prox"]),
    ("proximable", &["prox", "conjugate"]),
    ("linear", &["grad"]),
    ("entropic", &["grad", "lipschitz"]),
];

/// What a template asks of linear maps.
const OF_MAPS: &[&str] = &["adjoint", "opnorm"];

/// Checks a template.
pub fn define(ctx: &mut Ctx, outer: &Scope, method: &ast::Method) -> Ty {
    let mut scope = outer.clone();
    let unknown = |name: &str, span: Span| Var { name: name.into(), ty: Ty::Unknown, span, role: Role::Value };
    for name in ["grad", "lipschitz", "prox", "conjugate", "adjoint", "opnorm", "start"] {
        scope = scope.with(unknown(name, method.name.span));
    }
    let mut seen: Vec<&Name> = Vec::new();
    for role in &method.roles {
        known_role(ctx, &role.role);
        for name in [Some(&role.name), role.of.as_ref()].into_iter().flatten() {
            // Two terms may go through one map.
            let map_again = role.of.as_ref().is_some_and(|of| of.span == name.span)
                && method.roles.iter().any(|other| other.of.as_ref().is_some_and(|of| of.text == name.text));
            if let Some(first) = seen.iter().find(|known| known.text == name.text)
                && !map_again
            {
                let message = format!("`{}` is declared twice", name.text);
                let diagnostic = Diagnostic::error("E0304", name.span, message).here("again here");
                ctx.report(diagnostic.label(first.span, "first here"));
            }
            seen.push(name);
            scope = scope.with(unknown(&name.text, name.span));
        }
    }
    let body = &method.body;
    ctx.with_effects(false, |ctx| {
        ctx.settle(|ctx| {
            let mut inner = scope.clone();
            for binding in &body.lets {
                inner = lets(ctx, &inner, binding).0;
            }
            let (mut inner, vars) = states(ctx, &inner, &body.states);
            for block in &method.over {
                if !vars.iter().any(|var| var.name == block.text) {
                    let message = format!("the block `{}` is not among the states", block.text);
                    let diagnostic = Diagnostic::error("E0334", block.span, message);
                    ctx.report(diagnostic.help(format!("`state {} = start` begins at the block's start", block.text)));
                }
            }
            if let Some(counter) = &body.counter {
                inner = inner.with_value(counter, Ty::int());
            }
            let (after, _) = steps(ctx, &inner, &body.step, Places::States);
            if let Some(rule) = &body.until {
                until(ctx, &after, rule);
            }
        });
    });
    for expr in expressions(body) {
        uses(ctx, method, expr);
    }
    Ty::Unknown
}

fn known_role(ctx: &mut Ctx, role: &Name) {
    if ROLES.iter().any(|(known, _)| *known == &*role.text) {
        return;
    }
    let names: Vec<&str> = ROLES.iter().map(|(name, _)| *name).collect();
    let mut diagnostic = Diagnostic::error("E0334", role.span, format!("`{}` is not a role", role.text));
    diagnostic = match similar(&role.text, names.iter().copied()) {
        Some(suggestion) => diagnostic.help(format!("did you mean `{suggestion}`?")),
        None => diagnostic.note(format!("the roles are {}", names.join(", "))),
    };
    ctx.report(diagnostic);
}

/// The expressions of a body, each whole.
fn expressions(body: &ast::SolverBody) -> Vec<&Expr> {
    let mut found = Vec::new();
    body.lets.iter().for_each(|binding| walk::of_let(binding, &mut found));
    found.extend(body.states.iter().map(|init| &init.value));
    walk::of_stmts(&body.step, &mut found);
    if let Some(rule) = &body.until {
        found.push(&rule.cond);
        found.extend(&rule.within);
    }
    found
}

/// How the roles are used in an expression.
fn uses(ctx: &mut Ctx, method: &ast::Method, expr: &Expr) {
    if let ExprKind::Call { func, args } = &expr.kind {
        if let ExprKind::Name(name) = &func.kind {
            asked(ctx, method, name, args, expr.span);
        }
        uses_in_callee(ctx, method, func, args, expr.span);
    }
    for child in walk::children(expr) {
        uses(ctx, method, child);
    }
}

/// `grad(f)`, `prox(g)`, `adjoint(K)` and the like: what is asked of whom.
fn asked(ctx: &mut Ctx, method: &ast::Method, what: &Symbol, args: &[ast::Arg], span: Span) {
    let of_functions = ROLES.iter().any(|(_, known)| known.contains(&&**what));
    let of_maps = OF_MAPS.contains(&&**what);
    if !of_functions && !of_maps {
        return;
    }
    // A bound may be of several functions together.
    if &**what == "lipschitz" && args.len() > 1 {
        for arg in args {
            asked(ctx, method, what, std::slice::from_ref(arg), span);
        }
        return;
    }
    let target = match args {
        [ast::Arg { name: None, value: ArgValue::Expr(expr), .. }] => expr,
        _ => {
            ctx.report(Diagnostic::error("E0321", span, format!("`{what}` takes one of the method's functions")));
            return;
        }
    };
    // `prox(conjugate(g))`: the inner call is looked at by itself.
    if matches!(target.kind, ExprKind::Call { .. }) {
        return;
    }
    let ExprKind::Name(name) = &target.kind else {
        ctx.report(Diagnostic::error("E0334", target.span, format!("`{what}` takes one of the method's functions")));
        return;
    };
    if of_maps {
        let map = method.roles.iter().any(|role| role.of.as_ref().is_some_and(|of| of.text == *name));
        if !map {
            let message = format!("`{what}` takes a linear map of the method, but `{name}` is none");
            let help = "a map is declared with the term that goes through it: `g: proximable of K`";
            ctx.report(Diagnostic::error("E0334", target.span, message).help(help));
        }
        return;
    }
    let Some(role) = method.roles.iter().find(|role| role.name.text == *name) else {
        let message = format!("`{what}` takes one of the method's functions, but `{name}` is none");
        let names: Vec<&str> = method.roles.iter().map(|role| &*role.name.text).collect();
        ctx.report(Diagnostic::error("E0334", target.span, message).note(format!("they are {}", names.join(", "))));
        return;
    };
    let Some((_, allowed)) = ROLES.iter().find(|(known, _)| *known == &*role.role.text) else { return };
    if !allowed.contains(&&**what) {
        let message = format!("`{name}` is {}: it need not have `{what}`", role.role.text);
        let diagnostic = Diagnostic::error("E0334", target.span, message).label(role.role.span, "its role");
        ctx.report(diagnostic.note(format!("a {} function has {}", role.role.text, allowed.join(", "))));
    }
}

/// The number of arguments of `f(v)`, `K(v)`, `grad(f)(v)`, `adjoint(K)(u)`, `prox(g)(v, t)`.
fn uses_in_callee(ctx: &mut Ctx, method: &ast::Method, func: &Expr, args: &[ast::Arg], span: Span) {
    let (called, wanted) = match &func.kind {
        ExprKind::Name(name) => {
            let own = method
                .roles
                .iter()
                .any(|role| role.name.text == *name || role.of.as_ref().is_some_and(|of| of.text == *name));
            if !own {
                return;
            }
            (name.to_string(), 1)
        }
        ExprKind::Call { func, .. } => match &func.kind {
            ExprKind::Name(name) if &**name == "prox" => ("prox(..)".to_string(), 2),
            ExprKind::Name(name) if matches!(&**name, "grad" | "adjoint") => (format!("{name}(..)"), 1),
            _ => return,
        },
        _ => return,
    };
    if args.len() != wanted {
        let plural = if wanted == 1 { "argument" } else { "arguments" };
        let message = format!("`{called}` takes {wanted} {plural} in a method, but {} are given", args.len());
        ctx.report(Diagnostic::error("E0321", span, message));
    }
}
