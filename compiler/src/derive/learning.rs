//! What `learn` may name in a derived solver, what of the solver's promise each keeps, and how many parameters a network has.

use super::instantiate::Origin;
use super::{Catalogue, Derivation, steps};
use crate::source::SourceMap;
use crate::syntax::ast::{ItemKind, Solver, Symbol};
use crate::syntax::{self, pretty};
use crate::types::dim::{Dim, Poly};
use crate::types::learnable::{Learnable, Place, learnable};
use std::collections::HashSet;

/// What may be learned.
#[derive(Default)]
pub struct Learned {
    pub found: Vec<Learnable>,
    /// Name with type, and what it keeps or breaks.
    pub quantities: Vec<(String, String)>,
    /// The lets of a layer and the number of their elements: one set for all layers.
    pub count: Option<(Vec<Symbol>, Dim)>,
}

pub fn learned(derivation: &Derivation, catalogue: &Catalogue) -> Learned {
    // As it is printed: there its states have places.
    let mut sources = SourceMap::default();
    let text = format!("{}\n", pretty::solver(&derivation.solver));
    let (module, _) = syntax::parse_text(&mut sources, "derived", &text);
    let Some(ItemKind::Solver(solver)) = module.items.first().map(|item| &item.kind) else {
        return Learned::default();
    };
    let found = learnable(catalogue.globals(), solver);
    let quantities = found
        .iter()
        .map(|quantity| (format!("{}: {}", quantity.name, quantity.ty), promise(derivation, quantity)))
        .collect();
    let lets: Vec<&Learnable> = found.iter().filter(|quantity| quantity.place == Place::Let).collect();
    let of_layer: Vec<&Learnable> =
        lets.iter().copied().filter(|quantity| !is_step(derivation, &quantity.name)).collect();
    let counted = if of_layer.is_empty() { lets } else { of_layer };
    let size = counted.iter().fold(Dim::constant(0), |sum, quantity| sum.combine(&quantity.size, Poly::add));
    let names: Vec<Symbol> = counted.iter().map(|quantity| quantity.name.clone()).collect();
    Learned { quantities, count: (!names.is_empty()).then_some((names, size)), found }
}

fn origin<'a>(derivation: &'a Derivation, name: &str) -> Option<&'a Origin> {
    derivation.origins.iter().find(|(own, _)| &**own == name).map(|(_, origin)| origin)
}

/// A let that is a step of the method.
fn is_step(derivation: &Derivation, name: &str) -> bool {
    match origin(derivation, name) {
        Some(Origin::Method(own)) => steps::names(&derivation.choice.method).contains(own),
        _ => false,
    }
}

/// The solver's steps with their values.
pub fn steps_of(derivation: &Derivation) -> Vec<(Symbol, String)> {
    let mut found = Vec::new();
    for binding in &derivation.solver.body.lets {
        crate::types::bindings_of(binding, &mut |name, value| {
            if is_step(derivation, name) {
                found.push((name.into(), pretty::expr(value)));
            }
        });
    }
    found
}

/// What holds of the solver when a quantity is learned.
fn promise(derivation: &Derivation, quantity: &Learnable) -> String {
    let name = &quantity.name;
    if quantity.place == Place::StepLet {
        return format!("one value a pass: learned as `each {name}`, from a run on data (`from`)");
    }
    match origin(derivation, name) {
        Some(Origin::Method(_)) if is_step(derivation, name) => {
            "a step: nothing keeps it in its safe range, 2 / L for a gradient step".to_string()
        }
        Some(Origin::Method(_)) => "a number of the method, which promises what it does for its own value".to_string(),
        Some(Origin::Threshold) => {
            "a weight of its own: still a step on an objective of this form while it is not negative".to_string()
        }
        Some(Origin::InputMap) => {
            "free of the step: another objective than the one that is written; the passes converge as before"
                .to_string()
        }
        Some(Origin::StateMap) => {
            "free of the step: may leave the safe range; the passes converge while opnorm is at most 1".to_string()
        }
        Some(Origin::Kernel) => "free of the step that is in it: may leave the safe range".to_string(),
        Some(Origin::Problem) | None => match dependent(derivation, name).as_slice() {
            [] => "no step depends on it: the steps stay safe".to_string(),
            [step] => format!("`{step}` follows its current value: the step stays safe"),
            steps => {
                let steps: Vec<String> = steps.iter().map(|step| format!("`{step}`")).collect();
                format!("{} follow its current value: the steps stay safe", steps.join(", "))
            }
        },
    }
}

/// The steps that are computed from a quantity.
fn dependent(derivation: &Derivation, name: &str) -> Vec<Symbol> {
    let after = computed_from(&derivation.solver, name);
    let mut found = Vec::new();
    for binding in &derivation.solver.body.lets {
        crate::types::names_bound(binding, &mut |own| {
            if after.contains(own) && is_step(derivation, own) {
                found.push(own.into());
            }
        });
    }
    found
}

/// A quantity has a value before `input` has one.
pub fn independent(solver: &Solver, quantity: &str, input: &str) -> bool {
    !computed_from(solver, input).contains(quantity)
}

/// A name, and the lets before `step` that are computed from it. Lets stand after what they read.
fn computed_from(solver: &Solver, name: &str) -> HashSet<String> {
    let mut after: HashSet<String> = HashSet::from([name.to_string()]);
    for binding in &solver.body.lets {
        let mut found = Vec::new();
        crate::types::bindings_of(binding, &mut |own, value| {
            let mut reads = false;
            crate::types::names_in(value, &mut |name| reads |= after.contains(name));
            if reads {
                found.push(own.to_string());
            }
        });
        after.extend(found);
    }
    after
}
