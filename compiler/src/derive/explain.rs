//! What a derivation found, as data: labels under the user's own source, the method and why, the step and where it comes
//! from, the update before and after it was brought to a layer.

use super::layer::Layer;
use super::normal::{Kind, Part};
use super::roles::{self, Ability, Filled};
use super::{Analysis, Catalogue, Choice, Request, write};
use crate::diagnostic::Diagnostic;
use crate::diagnostic::render::render_found;
use crate::source::{SourceMap, Span};
use crate::syntax::ast::{Problem, Solver};
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
    /// The solver's lets with their values.
    pub lets: Vec<(String, String)>,
    /// The update.
    pub update: Vec<String>,
    pub layers: Vec<Layer>,
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

pub fn explanation(
    analysis: &mut Analysis,
    request: &Request,
    choice: &Choice,
    solver: &Solver,
    layers: Vec<Layer>,
) -> Explanation {
    let labels = labels(analysis);
    let mut notes = Vec::new();
    let halves = analysis
        .parts
        .iter()
        .any(|part| part.kind == Kind::Square && analysis.terms.is_number(part.weight, super::rat::Rat::ONE));
    if halves {
        notes.push(
            "a square without the factor 1/2 has the gradient 2 K'(K v - s): with the step t = 1 / (2 |K|^2) a weight c gives the threshold \
             c / (2 |K|^2), half of what it is with 1/2"
                .to_string(),
        );
    }
    let roles = choice
        .assigned
        .roles
        .iter()
        .map(|(name, filled)| {
            let (what, parts) = match filled {
                Filled::Smooth(parts) => ("by gradient".to_string(), parts),
                Filled::Proximal(_, parts) => ("by proximal operator".to_string(), parts),
                Filled::Entropic(parts) => ("by entropy".to_string(), parts),
                Filled::Mapped(map, parts) => (format!("by proximal operator after the map {map}"), parts),
            };
            let texts: Vec<String> = parts
                .iter()
                .map(|i| {
                    let part = analysis.parts[*i].clone();
                    if part.constraint {
                        return "a constraint".to_string();
                    }
                    let value = super::smooth::value(&mut analysis.terms, &part);
                    write::text(&analysis.terms, value)
                })
                .collect();
            let texts = if texts.is_empty() { "nothing".to_string() } else { texts.join(" + ") };
            format!("{name} ({what}): {texts}")
        })
        .collect();
    let mut lets = Vec::new();
    for binding in &solver.body.lets {
        crate::types::bindings_of(binding, &mut |name, value| lets.push((name.to_string(), pretty::expr(value))));
    }
    let update = solver
        .body
        .step
        .iter()
        .filter_map(|stmt| match &stmt.kind {
            crate::syntax::ast::StmtKind::Assign { place, value } => {
                Some(format!("{} <- {}", place.root.text, pretty::expr(value)))
            }
            crate::syntax::ast::StmtKind::Let(_) | crate::syntax::ast::StmtKind::Param(_) => None,
        })
        .collect();
    Explanation {
        problem: request.problem.name.text.to_string(),
        labels,
        method: choice.method.name.text.to_string(),
        reason: choice.reason.clone(),
        roles,
        lets,
        update,
        layers,
        notes,
    }
}

impl Explanation {
    /// As text: the user's source with labels, then the method, the step, the update and the layer.
    pub fn render(&self, sources: &SourceMap, color: bool) -> String {
        let mut labels = self.labels.iter();
        let mut text = String::new();
        if let Some((span, first)) = labels.next() {
            let message = format!("the terms of `{}`", self.problem);
            let found = Diagnostic::warning("E0347", *span, message).here(first);
            let found = labels.fold(found, |found, (span, label)| found.label(*span, label));
            text += &render_found(sources, &found, "derive", color);
        }
        text += &format!("\nmethod   {}: {}\n", self.method, self.reason);
        for role in &self.roles {
            text += &format!("         {role}\n");
        }
        for (name, value) in &self.lets {
            text += &format!("{:8} {name} = {value}\n", if *name == self.lets[0].0 { "lets" } else { "" });
        }
        for (i, line) in self.update.iter().enumerate() {
            text += &format!("{:8} {line}\n", if i == 0 { "update" } else { "" });
        }
        for layer in &self.layers {
            text += &format!("layer    {}\n         becomes {}\n", layer.before, layer.after);
            for (name, value, shape) in &layer.lets {
                text += &format!("         {name}: {shape} = {value}\n");
            }
        }
        for note in &self.notes {
            text += &format!("note     {note}\n");
        }
        text
    }
}
