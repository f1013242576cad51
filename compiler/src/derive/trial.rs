//! Scripts that try a derived solver on random data of small sizes: the untrained network against the truncated solver, and how
//! far some passes reach.

use super::learning::independent;
use super::{Derivation, Request, tree};
use crate::syntax::ast::{ScalarKind, Symbol, Type, TypeKind};
use crate::syntax::pretty;
use crate::types::learnable::{Learnable, Place};

/// Sizes for the dimension names, in their order; the next row if a program does not fit the sizes of one.
pub const SIZES: [[usize; 6]; 4] = [[5, 7, 4, 6, 3, 8], [8, 8, 8, 8, 8, 8], [9, 9, 3, 3, 2, 2], [12, 3, 2, 4, 2, 5]];
/// Passes of the networks that are compared.
pub const LAYERS: usize = 4;
/// Passes after which the objective is looked at.
pub const PASSES: [usize; 4] = [1, 4, 16, 64];

/// What is run, and the sizes that it is run with.
pub struct Trial {
    /// Prints the greatest differences of networks, tied and untied, from the truncated solver.
    pub networks: Option<String>,
    /// Prints the objective at the start, after `PASSES` passes, and at the end.
    pub passes: String,
    /// `m = 5, n = 7`
    pub sizes: String,
}

/// The trial of a solver with a row of `SIZES`; `None` where data cannot be made up. Names of it begin with `trial_`.
pub fn trial(derivation: &Derivation, request: &Request, found: &[Learnable], row: usize) -> Option<Trial> {
    let problem = request.problem;
    let types = problem.params.iter().map(|param| param.ty.as_ref()).chain(problem.over.iter().map(|b| b.ty.as_ref()));
    let mut dims: Vec<Symbol> = Vec::new();
    for ty in types.flatten() {
        let TypeKind::Array { dims: written, .. } = &ty.kind else { return None };
        for dim in written {
            crate::types::names_in(dim, &mut |name| {
                let own = problem.params.iter().any(|param| &*param.name.text == name);
                if !own && !dims.iter().any(|known| &**known == name) {
                    dims.push(name.into());
                }
            });
        }
    }
    let sizes: Vec<(Symbol, usize)> = dims.into_iter().zip(SIZES[row].into_iter().cycle()).collect();
    let put: Vec<_> = sizes.iter().map(|(name, size)| (name.clone(), tree::int(*size as i64))).collect();
    let data = |ty: Option<&Type>| -> Option<String> {
        let TypeKind::Array { kind, dims } = &ty?.kind else { return None };
        match (kind, dims.as_slice()) {
            (ScalarKind::Real, []) => Some("0.3".to_string()),
            (ScalarKind::Int, []) => Some("2".to_string()),
            (ScalarKind::Real, dims) => {
                let dims: Vec<String> = dims.iter().map(|dim| pretty::expr(&tree::put(dim, &put))).collect();
                Some(format!("uniform({})", dims.join(", ")))
            }
            (ScalarKind::Key, []) => Some("key(1)".to_string()),
            _ => None,
        }
    };
    let mut solver = derivation.solver.clone();
    solver.name = tree::named("trial_solver");
    let mut head = format!("{}\n", pretty::solver(&solver));
    for (i, param) in problem.params.iter().enumerate() {
        head += &format!("let trial_{i} = {}\n", data(param.ty.as_ref())?);
    }
    let given: Vec<String> = (0..problem.params.len()).map(|i| format!("trial_{i}")).collect();
    let all = given.join(", ");
    let array = |ty: &Option<Type>| matches!(ty.as_ref().map(|ty| &ty.kind), Some(TypeKind::Array { dims, .. }) if !dims.is_empty());
    let input = problem.params.iter().position(|param| array(&param.ty));
    let networks = input.and_then(|input| {
        let mut open = given.clone();
        open[input] = "_".to_string();
        let open = open.join(", ");
        let learned: Vec<&str> = found
            .iter()
            .filter(|quantity| quantity.place != Place::StepLet)
            .filter(|quantity| independent(&derivation.solver, &quantity.name, &problem.params[input].name.text))
            .map(|quantity| &*quantity.name)
            .collect();
        let each: Vec<String> = learned.iter().map(|name| format!("each {name}")).collect();
        let plain = format!("unroll trial_solver({open}) for {LAYERS}");
        let difference =
            |name: &str| format!("print max(abs(flat({name}(trial_{input})) - flat(({plain})(trial_{input}))))\n");
        (!learned.is_empty()).then(|| {
            format!(
                "{head}network trial_tied = {plain} learn {}\nnetwork trial_own = {plain} learn {}\n{}{}",
                learned.join(", "),
                each.join(", "),
                difference("trial_tied"),
                difference("trial_own")
            )
        })
    });
    let blocks: Vec<String> = (0..problem.over.len()).map(|i| format!("trial_block_{i}")).collect();
    let bound = if blocks.len() == 1 { blocks[0].clone() } else { format!("({})", blocks.join(", ")) };
    let mut arguments = given.clone();
    arguments.extend(blocks.iter().cloned());
    let value = format!("print {}({})\n", problem.name.text, arguments.join(", "));
    let mut passes = head.clone();
    for (i, count) in std::iter::once(0).chain(PASSES).enumerate() {
        let value = value.replace("trial_block_", &format!("trial_block_{i}_"));
        let bound = bound.replace("trial_block_", &format!("trial_block_{i}_"));
        passes += &format!("let {bound} = unroll trial_solver({all}) for {count}\n{value}");
    }
    passes += &format!("let {bound} = trial_solver({all})\n{value}");
    let sizes: Vec<String> = sizes.iter().map(|(name, size)| format!("{name} = {size}")).collect();
    Some(Trial { networks, passes, sizes: sizes.join(", ") })
}
