//! Which method: the one that was named, or the simplest that has a place for every term; and what is odd about a problem.

use super::catalogue::Catalogue;
use super::normal::Kind;
use super::rat::Rat;
use super::roles::{self, Filled};
use super::term::{Id, Op, Terms};
use super::{Analysis, Choice, Request, Res, Start, constraints, write};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, Problem, Symbol};
use std::collections::HashSet;

/// Methods in the order in which they are tried, with the reason that is given.
const ORDER: [(&str, &str); 10] = [
    ("accelerated_gradient", "every term is convex with a gradient whose change is bounded"),
    ("gradient_descent", "every term has a gradient whose change is bounded"),
    (
        "accelerated_proximal_gradient",
        "the smooth terms are convex with a bounded change of gradient, the others are convex with a proximal operator",
    ),
    ("proximal_gradient", "the terms are smooth with a bounded change of gradient, or have a proximal operator"),
    (
        "backtracking_proximal_gradient",
        "no bound of the change of the gradient is known, so that the step is found on the way",
    ),
    ("mirror_descent", "the blocks lie on the simplex, with an entropy on it, and the rest is smooth"),
    ("admm", "a function with a proximal operator is applied to a linear map, and the rest is quadratic"),
    ("pdhg", "a function with a proximal operator is applied to a linear map"),
    (
        "primal_dual",
        "a function with a proximal operator is applied to a linear map, beside smooth terms by their gradients",
    ),
    ("gradient_descent", "every term has a gradient"),
];

/// The named method with the terms in its roles, or the first that fits and was not refused.
pub fn method(catalogue: &Catalogue, analysis: &mut Analysis, request: &Request, refused: &[Symbol]) -> Res<Choice> {
    let fitting = |wanted: &[&str]| fitting_methods(catalogue, wanted);
    if let Some((name, span)) = &request.method {
        let Some(method) = catalogue.method(name).cloned() else {
            let known: Vec<String> = catalogue.methods().iter().map(|name| format!("`{name}`")).collect();
            return Err(Box::new(
                Diagnostic::error("E0334", *span, format!("there is no method `{name}`"))
                    .note(format!("known are {}", known.join(", "))),
            ));
        };
        let assigned = roles::assign(&mut analysis.terms, &analysis.parts, &analysis.abilities, &method, &fitting)?;
        return Ok(Choice { method, assigned, reason: "it was asked for".to_string() });
    }
    let bounded =
        analysis.moving().filter(|(_, ability)| ability.smooth).all(|(_, ability)| ability.lipschitz.is_some());
    let convex = is_convex(analysis);
    let mut first_error = None;
    for (name, reason) in ORDER {
        let accelerated = name.starts_with("accelerated");
        let backtracks = name.starts_with("backtracking");
        let refused = refused.iter().any(|other| **other == *name);
        if refused || (accelerated && !convex) || (!backtracks && name != "pdhg" && !bounded) || (backtracks && bounded)
        {
            continue;
        }
        let Some(method) = catalogue.method(name).cloned() else { continue };
        match roles::assign(&mut analysis.terms, &analysis.parts, &analysis.abilities, &method, &fitting) {
            // A method for more than there is has a simpler one before it.
            Ok(assigned) if behind_map(&assigned) || !name.starts_with("admm") => {
                let reason = reason.to_string() + &beside(catalogue, analysis, name);
                return Ok(Choice { method, assigned, reason });
            }
            Ok(_) => {}
            Err(diagnostic) => {
                first_error.get_or_insert(diagnostic);
            }
        }
    }
    // A term that has a place in no method stands in the way of all.
    let stuck = analysis.moving().find_map(|(part, ability)| roles::placeless(part, ability));
    Err(stuck.map(Box::new).or(first_error).unwrap_or_else(|| {
        Box::new(
            Diagnostic::error("E0346", request.problem.objective.span, "no method is known for this objective")
                .help("name one: `derive P by M`; the message then says which term stands in its way"),
        )
    }))
}

/// What is said of entropic steps where they fit and another method was taken.
fn beside(catalogue: &Catalogue, analysis: &mut Analysis, taken: &str) -> String {
    let none = |_: &[&str]| String::new();
    let fits = catalogue.method("mirror_descent").filter(|_| taken != "mirror_descent").is_some_and(|method| {
        roles::assign(&mut analysis.terms, &analysis.parts, &analysis.abilities, method, &none).is_ok()
    });
    match fits {
        true => "; `by mirror_descent` fits as well, with steps by the entropy in place of projections".to_string(),
        false => String::new(),
    }
}

fn behind_map(assigned: &roles::Assigned) -> bool {
    assigned.roles.iter().any(|(_, filled)| matches!(filled, Filled::Mapped(_, parts) if !parts.is_empty()))
}

/// `by a`, `by b`: the methods that have these roles.
fn fitting_methods(catalogue: &Catalogue, wanted: &[&str]) -> String {
    let mut names: Vec<Symbol> = Vec::new();
    for name in catalogue.methods() {
        let Some(method) = catalogue.method(&name) else { continue };
        let has = |word: &str| match word {
            "of" => method.roles.iter().any(|role| role.of.is_some()),
            "proximable" => method.roles.iter().any(|role| role.of.is_none() && &*role.role.text == "proximable"),
            _ => method
                .roles
                .iter()
                .any(|role| &*role.role.text == word || (word == "smooth" && &*role.role.text == "quadratic")),
        };
        if wanted.iter().all(|word| has(word)) {
            names.push(name);
        }
    }
    let names: Vec<String> = names.iter().take(3).map(|name| format!("`by {name}`")).collect();
    if names.is_empty() { "take a method with such a role".to_string() } else { format!("take {}", names.join(" or ")) }
}

/// Every term is convex, as far as its form says.
pub fn is_convex(analysis: &Analysis) -> bool {
    analysis.moving().all(|(part, ability)| {
        let sign = analysis.terms.as_number(part.weight).is_none_or(|weight| !weight.is_negative());
        let form = match &part.kind {
            Kind::Square => ability.quadratic,
            Kind::Linear | Kind::Constant => true,
            Kind::Separable(name) => super::smooth::separable(name).is_some_and(|row| row.convex),
            Kind::Atom(name) | Kind::Rows(name) => !matches!(&**name, "count" | "at_most" | "lp"),
            // Convex only if the matrix is positive semidefinite, which its form does not say.
            Kind::Form | Kind::General => false,
        };
        form && (sign || part.kind == Kind::Linear)
    })
}

/// What is odd, and what is wrong with every method.
pub fn lints(analysis: &mut Analysis, problem: &Problem) -> Res<Vec<Diagnostic>> {
    let mut found = Vec::new();
    for block in 0..problem.over.len() {
        let binder = &problem.over[block];
        if !analysis.parts.iter().any(|part| analysis.terms.depends(part.arg, block)) {
            return Err(Box::new(
                Diagnostic::error(
                    "E0346",
                    binder.name.span,
                    format!("no term of the objective has `{}` in it", binder.name.text),
                )
                .help("every value of it is a solution; take it out of `over`"),
            ));
        }
    }
    let several = analysis.parts.len() > 1;
    for part in &analysis.parts {
        if part.kind == Kind::Constant && several {
            let message = "this term has no block in it: it changes the value of the objective, not the solution";
            let help = "leave it out, unless the value itself is wanted";
            found.push(Diagnostic::warning("E0347", part.span, message).here("constant").help(help));
        }
    }
    for span in without_weight(&problem.objective) {
        let message = "the weight of this term is 0: it has no effect";
        found.push(
            Diagnostic::warning("E0347", span, message).here("0").help("leave it out, or give it another weight"),
        );
    }
    unused(problem, &mut found);
    unbounded(analysis, problem)?;
    found.extend(constraints::leave_implied(analysis));
    Ok(found)
}

/// Summands that are written with the factor 0; in the normal form nothing is left of them.
fn without_weight(e: &Expr) -> Vec<Span> {
    let ExprKind::Chain { first, rest } = &e.kind else { return Vec::new() };
    let operands = || std::iter::once(&**first).chain(rest.iter().map(|(_, operand)| operand));
    let zero = |e: &Expr| match &e.kind {
        ExprKind::Int(value) => *value == 0,
        ExprKind::Real(value, _) => *value == 0.0,
        _ => false,
    };
    match rest[0].0 {
        BinaryOp::Add | BinaryOp::Sub => operands().flat_map(without_weight).collect(),
        BinaryOp::Mul if operands().any(zero) => vec![e.span],
        _ => Vec::new(),
    }
}

/// Data that no term has in it.
fn unused(problem: &Problem, found: &mut Vec<Diagnostic>) {
    let mut used: HashSet<String> = HashSet::new();
    let mut see = |name: &str| {
        used.insert(name.to_string());
    };
    crate::types::names_in(&problem.objective, &mut see);
    for binding in &problem.lets {
        crate::types::values_of(binding, &mut |value| crate::types::names_in(value, &mut see));
    }
    for constraint in &problem.constraints {
        crate::types::names_in(&constraint.expr, &mut see);
        constraint.set.iter().for_each(|set| crate::types::names_in(set, &mut see));
    }
    let types =
        problem.params.iter().map(|param| param.ty.as_ref()).chain(problem.over.iter().map(|block| block.ty.as_ref()));
    for ty in types.flatten() {
        if let crate::syntax::ast::TypeKind::Array { dims, .. } = &ty.kind {
            dims.iter().for_each(|dim| crate::types::names_in(dim, &mut see));
        }
    }
    for param in &problem.params {
        if !used.contains(&*param.name.text) {
            let message = format!("no term uses `{}`", param.name.text);
            let help = "put it where it was meant, such as a weight before a term, or take it out of the parameters";
            found.push(Diagnostic::warning("E0347", param.name.span, message).here("not used").help(help));
        }
    }
}

/// An objective whose form says that it has no least value.
fn unbounded(analysis: &Analysis, problem: &Problem) -> Res<()> {
    if analysis.parts.iter().any(|part| part.constraint) {
        return Ok(());
    }
    let moving: Vec<_> = analysis.moving().collect();
    let error = |span, text: String| {
        let direction = if problem.maximize { "greatest" } else { "least" };
        Err(Box::new(
            Diagnostic::error("E0346", span, format!("the objective has no {direction} value"))
                .here(text)
                .help("add a term or a constraint that bounds it, or check the sign"),
        ))
    };
    if moving.iter().all(|(part, _)| part.kind == Kind::Linear)
        && let Some((part, _)) = moving.first()
    {
        return error(part.span, "it is linear: it falls without end along its gradient".to_string());
    }
    // A negative multiple of a function that grows in all directions, with nothing that grows faster.
    for (part, _) in &moving {
        let negative = analysis.terms.as_number(part.weight).is_some_and(Rat::is_negative);
        let grows = match &part.kind {
            Kind::Square => 2,
            Kind::Atom(name) if super::normal::HOMOGENEOUS.contains(&&**name) => 1,
            _ => 0,
        };
        let held = moving.iter().any(|(other, _)| {
            let positive = analysis.terms.as_number(other.weight).is_none_or(|weight| !weight.is_negative());
            let own = match &other.kind {
                Kind::Square | Kind::Form => 2,
                Kind::Atom(_) => 1,
                _ => 3,
            };
            positive && own >= grows && other.span != part.span
        });
        if negative && grows > 0 && !held {
            let text = format!("`{}` falls without end", write::text(&analysis.terms, part.arg));
            return error(part.span, text);
        }
    }
    Ok(())
}

/// Warns of a logarithm or a quotient that has no value where the blocks start, at zero.
pub fn outside_domain(analysis: &mut Analysis, starts: &[Start]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for part in analysis.parts.clone() {
        let Some(inside) = without_value(&mut analysis.terms, starts, part.arg) else { continue };
        let text = write::text(&analysis.terms, inside);
        let message = "this term has no value where the solver starts: the blocks are 0 there";
        found.push(
            Diagnostic::warning("E0347", part.span, message)
                .here(format!("`{text}` is 0"))
                .help("add a constraint that excludes 0, such as `y >= 0.01`, and the solver starts inside; or add a small number"),
        );
    }
    found
}

/// What is zero at the start, in a logarithm or below a fraction.
fn without_value(terms: &mut Terms, starts: &[Start], id: Id) -> Option<Id> {
    if terms.is_constant(id) {
        return None;
    }
    let args = terms.args(id);
    let inside = match terms.op(id) {
        Op::Call(name) if &**name == "log" => Some(args[0]),
        Op::Pow if terms.as_number(args[1]).is_some_and(Rat::is_negative) => Some(args[0]),
        _ => None,
    };
    if let Some(inside) = inside {
        let mut value = inside;
        for (block, start) in starts.iter().enumerate() {
            if start.is_none() {
                let var = terms.block(block);
                value = terms.offset(value, var);
            }
        }
        if terms.is_number(value, Rat::ZERO) {
            return Some(inside);
        }
    }
    args.iter().find_map(|arg| without_value(terms, starts, *arg))
}

/// Where the blocks start: at zero, or at its projection where a constraint excludes zero.
pub fn starts(catalogue: &Catalogue, analysis: &mut Analysis, problem: &Problem) -> Vec<Start> {
    (0..problem.over.len()).map(|block| constraints::start(catalogue, analysis, block)).collect()
}
