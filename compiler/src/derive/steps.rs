//! The steps of a method: which of its lets they are, and whether one is seen to be longer than a gradient step may be.

use super::instantiate::{Made, Origin};
use super::rat::Rat;
use super::read::{Names, Reader};
use super::roles::Filled;
use super::{Analysis, Catalogue, Choice, Request, smooth, tree, write};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{ArgValue, BinaryOp, Expr, ExprKind, Method, StmtKind, Symbol};

/// The lets of a method that are steps: they multiply a gradient or an adjoint, or are the step of a proximal operator.
pub fn names(method: &Method) -> Vec<Symbol> {
    let mut lets: Vec<Symbol> = Vec::new();
    for binding in &method.body.lets {
        crate::types::names_bound(binding, &mut |name| lets.push(name.into()));
    }
    let mut found: Vec<Symbol> = Vec::new();
    let mut see = |e: &Expr| {
        crate::types::names_in(e, &mut |name| {
            if lets.iter().any(|known| &**known == name) && !found.iter().any(|known| &**known == name) {
                found.push(name.into());
            }
        });
    };
    let maps: Vec<&str> = method.roles.iter().filter_map(|role| role.of.as_ref()).map(|map| &*map.text).collect();
    for e in lines(method) {
        tree::rewrite(e, &mut |part| {
            match &part.kind {
                ExprKind::Call { func, args } if applies(func, &["prox"]) && args.len() == 2 => {
                    if let ArgValue::Expr(step) = &args[1].value {
                        see(step);
                    }
                }
                ExprKind::Chain { first, rest } if matches!(rest[0].0, BinaryOp::Mul | BinaryOp::Div) => {
                    let operands = || std::iter::once(&**first).chain(rest.iter().map(|(_, operand)| operand));
                    if operands().any(|operand| moves(operand, &maps)) {
                        operands().filter(|operand| matches!(operand.kind, ExprKind::Name(_))).for_each(&mut see);
                    }
                }
                _ => {}
            }
            None
        });
    }
    lets.retain(|name| found.contains(name));
    lets
}

/// The expressions of a method's `step`.
fn lines(method: &Method) -> Vec<&Expr> {
    let mut found = Vec::new();
    for stmt in &method.body.step {
        match &stmt.kind {
            StmtKind::Let(binding) => crate::types::bindings_of(binding, &mut |_, value| found.push(value)),
            StmtKind::Assign { value, .. } => found.push(value),
            StmtKind::Param(_) => {}
        }
    }
    found
}

/// `word(..)`, which is applied to something in turn.
fn applies(func: &Expr, words: &[&str]) -> bool {
    match &func.kind {
        ExprKind::Call { func, .. } => matches!(&func.kind, ExprKind::Name(name) if words.contains(&&**name)),
        _ => false,
    }
}

/// A gradient, a map or its adjoint is in it.
fn moves(e: &Expr, maps: &[&str]) -> bool {
    let mut found = false;
    tree::rewrite(e, &mut |part| {
        if let ExprKind::Call { func, .. } = &part.kind {
            found |= applies(func, &["grad", "adjoint"]);
            found |= matches!(&func.kind, ExprKind::Name(name) if maps.contains(&&**name));
        }
        None
    });
    found
}

/// `a - t * grad(f)(a)`: t and the name of f.
fn gradient_step(e: &Expr) -> Option<(Expr, Symbol)> {
    let ExprKind::Chain { first: at, rest } = &e.kind else { return None };
    let [(BinaryOp::Sub, product)] = rest.as_slice() else { return None };
    let ExprKind::Chain { first, rest } = &product.kind else { return None };
    let (last_op, last) = rest.last()?;
    let ExprKind::Call { func, args } = &last.kind else { return None };
    let ExprKind::Call { func: word, args: of } = &func.kind else { return None };
    let (ExprKind::Name(word), [of], [point]) = (&word.kind, of.as_slice(), args.as_slice()) else { return None };
    let (ArgValue::Expr(of), ArgValue::Expr(point)) = (&of.value, &point.value) else { return None };
    let (ExprKind::Name(of), ExprKind::Name(point), ExprKind::Name(at)) = (&of.kind, &point.kind, &at.kind) else {
        return None;
    };
    let fits = &**word == "grad" && point == at && *last_op == BinaryOp::Mul;
    fits.then(|| (tree::chain((**first).clone(), rest[..rest.len() - 1].to_vec()), of.clone()))
}

/// Warns of a gradient step that is more than 2 / L whatever the data are: such steps move away from the minimum. Nesterov,
/// Lectures on Convex Optimization (2018), theorem 2.1.14.
pub(super) fn too_long(
    analysis: &Analysis,
    catalogue: &Catalogue,
    request: &Request,
    choice: &Choice,
    made: &Made,
) -> Option<Diagnostic> {
    let mut step = None;
    for e in lines(&choice.method) {
        tree::rewrite(e, &mut |part| {
            if step.is_none() {
                step = gradient_step(part).map(|(t, of)| (t, of, part.span));
            }
            None
        });
    }
    let (t, of, span) = step?;
    let Some(Filled::Smooth(parts)) = choice.assigned.get(&of) else { return None };
    let mut terms = analysis.terms.clone();
    let bounds: Option<Vec<_>> = parts.iter().map(|i| smooth::lipschitz(&mut terms, &analysis.parts[*i])).collect();
    let bound = terms.add(bounds?);
    // The method's names are the solver's, and those are replaced by their values, the last first.
    let own = |name: &Symbol| made.origins.iter().find(|(_, origin)| *origin == Origin::Method(name.clone()));
    let mut value = tree::rewrite(&t, &mut |part| match &part.kind {
        ExprKind::Name(name) => own(name).map(|(own, _)| tree::name(own)),
        _ => None,
    });
    for binding in made.solver.body.lets.iter().rev() {
        crate::types::bindings_of(binding, &mut |name, of| value = tree::put(&value, &[(name.into(), of.clone())]));
    }
    let mut names = Names::default();
    for param in &request.problem.params {
        let id = terms.name(&param.name.text);
        names.bind(&param.name.text, id);
    }
    let mut reader = Reader::new(&mut terms, catalogue);
    let t = reader.read(&names, &value);
    if !reader.stuck.is_empty() {
        return None;
    }
    let product = terms.mul(vec![t, bound]);
    let times = terms.as_number(product)?;
    if !Rat::int(2).less(times) {
        return None;
    }
    let (step, bound) = (write::text(&terms, t), write::text(&terms, bound));
    let factor = crate::syntax::pretty::expr(&write::number(times));
    let factor = if factor.contains(' ') { format!("({factor})") } else { factor };
    Some(
        Diagnostic::warning("E0356", span, format!("this step is too long for `{}`", request.problem.name.text))
            .here(format!("the step {step} is {factor} / L"))
            .label(request.span, format!("here L = {bound}: the gradient changes by at most so much a unit"))
            .note("a gradient step that is longer than 2 / L moves away from the minimum, and the passes grow without end")
            .help(format!("take `1 / lipschitz({of})` for the step, or another number below `2 / lipschitz({of})`")),
    )
}
