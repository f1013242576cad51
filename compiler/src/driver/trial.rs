//! Runs the trials of a derived solver (`derive::trial`) and says what came of them.

use super::{Options, Sink, run_text};
use crate::derive::{Derivation, Request, inside, trial};
use crate::diagnostic::Severity;
use crate::lower::value::Value;
use crate::run::Message;
use crate::script::Output;
use crate::source::SourceMap;
use crate::stdlib::index::words;
use crate::syntax::ast::{Item, ItemKind};
use crate::syntax::pretty;
use crate::types::learnable::Learnable;
use std::collections::HashSet;
use std::rc::Rc;

/// Functions whose values come from elsewhere: what needs them is not tried.
const OUTSIDE: [&str; 4] = ["load", "train", "save", "files"];

/// Collects printed numbers.
#[derive(Default)]
struct Heard(Vec<f64>);

impl Output for Heard {
    fn line(&mut self, _: &str) {}

    fn values(&mut self, values: &[Value]) {
        for value in values {
            match value {
                Value::Tensor(tensor) if tensor.len() == 1 => self.0.push(tensor.item()),
                Value::Int(value) => self.0.push(*value as f64),
                _ => self.0.push(f64::NAN),
            }
        }
    }

    fn message(&mut self, _: &Message) {}
}

impl Sink for Heard {
    fn sources(&mut self, _: Rc<SourceMap>) {}
}

/// What a solver does on random data, in lines for an explanation. `items` are the user's own, of which what the solver needs is
/// taken.
pub fn tried(items: &[&Item], derivation: &Derivation, request: &Request, found: &[Learnable]) -> Vec<String> {
    let mut reason = "its data cannot be made up".to_string();
    let solver = ItemKind::Solver(Rc::new(derivation.solver.clone()));
    let mut roots = inside::free_names(&solver);
    roots.insert(request.problem.name.text.to_string());
    let definitions = match needed(items, roots) {
        Ok(definitions) => definitions,
        Err(word) => return vec![format!("not tried: it needs `{word}`")],
    };
    for row in 0..trial::SIZES.len() {
        let Some(trial) = trial::trial(derivation, request, found, row) else { break };
        match heard(&format!("{definitions}{}", trial.passes)) {
            Ok(values) => {
                let sizes = if trial.sizes.is_empty() {
                    "random data".to_string()
                } else {
                    format!("random data, {}", trial.sizes)
                };
                let mut lines = Vec::new();
                let networks = trial.networks.map(|text| heard(&format!("{definitions}{text}")));
                if let Some(Ok(differences)) = networks {
                    let [tied, own] = differences[..] else { continue };
                    lines.push(format!(
                        "on {sizes}: {} untrained layers differ from {} passes by {}, with parameters of their own by {}",
                        trial::LAYERS,
                        trial::LAYERS,
                        short(tied),
                        short(own)
                    ));
                }
                lines.push(reached(&values, &sizes, lines.is_empty()));
                return lines;
            }
            Err(message) => reason = message,
        }
    }
    vec![format!("not tried: {reason}")]
}

/// How much of the way to the end some passes go.
fn reached(values: &[f64], sizes: &str, first: bool) -> String {
    let [start, after @ .., end] = values else { return String::new() };
    let on = if first { format!("on {sizes}: ") } else { String::new() };
    let way = start - end;
    if !way.is_finite() || after.iter().any(|value| !value.is_finite()) {
        return format!("{on}the objective does not stay finite");
    }
    if way.abs() <= 1e-12 * start.abs().max(end.abs()) {
        return format!("{on}the objective is at its end from the start");
    }
    let shares: Vec<String> = trial::PASSES
        .iter()
        .zip(after)
        .map(|(passes, value)| format!("{passes}: {:.2} %", 100.0 * (start - value) / way))
        .collect();
    format!(
        "{on}share of the way of the objective from the start to the end that some passes go: {}",
        shares.join(", ")
    )
}

fn short(value: f64) -> String {
    if value == 0.0 { "0".to_string() } else { format!("{value:.1e}") }
}

/// The numbers that a text prints, or why it does not run.
fn heard(text: &str) -> Result<Vec<f64>, String> {
    let mut heard = Heard::default();
    let outcome = run_text("trial", text, &Options::default(), &mut heard);
    match outcome.diagnostics.iter().find(|d| d.severity == Severity::Error) {
        Some(error) => Err(error.message.clone()),
        None => Ok(heard.0),
    }
}

/// The texts of the items that these names need, in their order; the word that keeps them from being tried.
fn needed(items: &[&Item], names: HashSet<String>) -> Result<String, &'static str> {
    let wanted = |item: &Item| match &item.kind {
        ItemKind::Fn(_) | ItemKind::Problem(_) | ItemKind::Solver(_) | ItemKind::Custom(_) | ItemKind::Let(_) => true,
        ItemKind::Arg { default, .. } => default.is_some(),
        _ => false,
    };
    let items: Vec<&Item> = items.iter().copied().filter(|item| wanted(item)).collect();
    let mut taken = vec![false; items.len()];
    let mut open: Vec<String> = names.into_iter().collect();
    while let Some(name) = open.pop() {
        for (i, item) in items.iter().enumerate() {
            if !taken[i] && defined(item).contains(&name) {
                taken[i] = true;
                open.extend(inside::free_names(&item.kind));
            }
        }
    }
    let taken = items.iter().zip(&taken).filter(|(_, taken)| **taken);
    let text: String = taken.map(|(item, _)| format!("{}\n", pretty::item(item))).collect();
    match OUTSIDE.into_iter().find(|outside| words(&text).any(|word| word == *outside)) {
        Some(outside) => Err(outside),
        None => Ok(text),
    }
}

/// What an item defines, or the function that its rule is for.
fn defined(item: &Item) -> Vec<String> {
    let mut found = Vec::new();
    match &item.kind {
        ItemKind::Fn(inner) => found.push(inner.name.text.to_string()),
        ItemKind::Problem(inner) => found.push(inner.name.text.to_string()),
        ItemKind::Solver(inner) => found.push(inner.name.text.to_string()),
        ItemKind::Custom(inner) => found.push(inner.name.text.to_string()),
        ItemKind::Arg { binder, .. } => found.push(binder.name.text.to_string()),
        ItemKind::Let(binding) => crate::types::names_bound(binding, &mut |name| found.push(name.to_string())),
        _ => {}
    }
    found
}
