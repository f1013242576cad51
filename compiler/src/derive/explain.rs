//! What a derivation found, as data: labels under the user's own source, the method and why, the steps and where they come
//! from, the update before and after simplification, the layer, what may be learned. `tell` writes it as text.

use super::instantiate::Origin;
use super::layer::Layer;
use super::learning::{self, Learned};
use super::normal::{Kind, Part};
use super::roles::{self, Ability, Filled};
use super::{Analysis, Catalogue, Derivation, Request, smooth, steps, write};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{Let, Problem, StmtKind, Symbol};
use crate::syntax::pretty;

/// The story of a derived solver.
pub struct Explanation {
    pub problem: String,
    /// A place of the problem's text, and what was found there.
    pub labels: Vec<(Span, String)>,
    pub method: String,
    pub reason: String,
    /// The terms of each role of the method.
    pub roles: Vec<String>,
    /// Each step, what the method says of it, and the bounds that it is made of.
    pub steps: Vec<String>,
    /// The solver's lets with their values.
    pub lets: Vec<(String, String)>,
    /// The update as the method has it.
    pub template: Vec<String>,
    /// The update.
    pub update: Vec<String>,
    pub layers: Vec<Layer>,
    pub learned: Learned,
    /// What was found by running it on random data; filled by who can run it.
    pub tried: Vec<String>,
    pub notes: Vec<String>,
}

/// What the terms of a problem are, whatever method takes them: a place of its text, and what was found there.
///
/// # Errors
/// As for `derive`, where the objective cannot be read.
pub fn terms(catalogue: &Catalogue, problem: &Problem) -> Result<Vec<(Span, String)>, Box<Diagnostic>> {
    super::analyse(catalogue, problem).map(|analysis| labels(&analysis))
}

fn labels(analysis: &Analysis) -> Vec<(Span, String)> {
    let label = |(part, ability): (&Part, &Ability)| {
        let mut text = roles::describe(&analysis.terms, part, ability);
        if let (Some(bound), false) = (ability.lipschitz, matches!(part.kind, Kind::Linear | Kind::Constant)) {
            text += &format!("; its gradient changes by at most {}", write::text(&analysis.terms, bound));
        }
        (part.span, text)
    };
    analysis.parts.iter().zip(&analysis.abilities).map(label).collect()
}

pub(super) fn explanation(derivation: &Derivation, catalogue: &Catalogue, request: &Request) -> Explanation {
    let Derivation { solver, analysis, choice, layers, .. } = derivation;
    let mut analysis = analysis.clone();
    let labels = labels(&analysis);
    let mut notes = Vec::new();
    let doubled =
        |part: &Part| part.kind == Kind::Square && analysis.terms.is_number(part.weight, super::rat::Rat::ONE);
    if analysis.parts.iter().any(doubled) {
        notes.push(
            "a square without the factor 1/2 has the gradient 2 K'(K v - s): with the step t = 1 / (2 |K|^2) a weight c gives the threshold \
             c / (2 |K|^2), half of what it is with 1/2"
                .to_string(),
        );
    }
    let filled = choice.assigned.roles.iter().map(|(name, filled)| role(&mut analysis, name, filled)).collect();
    let mut lets = Vec::new();
    for binding in &solver.body.lets {
        crate::types::bindings_of(binding, &mut |name, value| lets.push((name.to_string(), pretty::expr(value))));
    }
    Explanation {
        problem: request.problem.name.text.to_string(),
        labels,
        method: choice.method.name.text.to_string(),
        reason: choice.reason.clone(),
        roles: filled,
        steps: step_lines(derivation, &mut analysis),
        lets,
        template: assignments(&choice.method.body.step),
        update: assignments(&solver.body.step),
        layers: layers.clone(),
        learned: learning::learned(derivation, catalogue),
        tried: Vec::new(),
        notes,
    }
}

/// A role of the method with its terms.
fn role(analysis: &mut Analysis, name: &Symbol, filled: &Filled) -> String {
    let (what, parts) = match filled {
        Filled::Smooth(parts) => ("by gradient".to_string(), parts),
        Filled::Proximal(_, parts) => ("by proximal operator".to_string(), parts),
        Filled::Entropic(parts) => ("by entropy".to_string(), parts),
        Filled::Mapped(map, parts) => (format!("by proximal operator after the map {map}"), parts),
    };
    let texts: Vec<String> = parts.iter().map(|i| term_text(analysis, *i)).collect();
    let texts = if texts.is_empty() { "nothing".to_string() } else { texts.join(" + ") };
    format!("{name} ({what}): {texts}")
}

fn term_text(analysis: &mut Analysis, i: usize) -> String {
    let part = analysis.parts[i].clone();
    if part.constraint {
        return "a constraint".to_string();
    }
    let value = smooth::value(&mut analysis.terms, &part);
    write::text(&analysis.terms, value)
}

/// `t = 1 / opnorm(D)^2, which the method has as 1 / lipschitz(f)`, and what the bound consists of.
fn step_lines(derivation: &Derivation, analysis: &mut Analysis) -> Vec<String> {
    let Derivation { solver, choice, .. } = derivation;
    let method = &choice.method;
    let mut lines = Vec::new();
    let mut bounded = false;
    for name in steps::names(method) {
        let Some((own, _)) = derivation.origins.iter().find(|(_, o)| *o == Origin::Method(name.clone())) else {
            continue;
        };
        let (Some(value), Some(written)) = (value_of(&solver.body.lets, own), value_of(&method.body.lets, &name))
        else {
            continue;
        };
        bounded |= written.contains("lipschitz(");
        lines.push(format!("{own} = {value}: `{name} = {written}` of the method"));
    }
    for (name, filled) in &choice.assigned.roles {
        let Filled::Smooth(parts) = filled else { continue };
        if !bounded {
            continue;
        }
        for i in parts {
            let Some(bound) = analysis.abilities[*i].lipschitz else { continue };
            let (bound, term) = (write::text(&analysis.terms, bound), term_text(analysis, *i));
            if bound != "0" {
                lines.push(format!("lipschitz({name}) has {bound} of `{term}`"));
            }
        }
    }
    if lines.is_empty() {
        lines.push("the method finds its step in each pass".to_string());
    }
    lines
}

/// The value of a let, as text.
fn value_of(lets: &[Let], name: &str) -> Option<String> {
    let mut found = None;
    for binding in lets {
        crate::types::bindings_of(binding, &mut |own, value| {
            if own == name {
                found = Some(pretty::expr(value));
            }
        });
    }
    found
}

/// The assignments of a pass.
fn assignments(step: &[crate::syntax::ast::Stmt]) -> Vec<String> {
    let line = |stmt: &crate::syntax::ast::Stmt| match &stmt.kind {
        StmtKind::Assign { place, value } => Some(format!("{} <- {}", place.root.text, pretty::expr(value))),
        StmtKind::Let(_) | StmtKind::Param(_) => None,
    };
    step.iter().filter_map(line).collect()
}
