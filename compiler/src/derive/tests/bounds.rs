//! Gradients and their bounds, of every smooth term of every problem: against differentiation, and on pairs of points near, far,
//! and chosen by the power method.

use super::{Case, all_hold, cases, extents};
use crate::derive::normal::Kind;
use crate::derive::{smooth, write};

#[test]
fn gradients_and_lipschitz_bounds() {
    let cases = cases();
    assert!(cases.len() >= 60, "{} problems", cases.len());
    let scripts: Vec<(String, String)> = cases.iter().filter_map(script).collect();
    assert!(scripts.len() >= 55, "{} problems with smooth terms", scripts.len());
    all_hold(scripts);
}

/// The values of a block function at points `_a`, or with a step from there: `g(y_a, z_a)`.
fn at(case: &Case, function: &str, suffix: &str) -> String {
    format!("{function}({})", case.blocks(suffix))
}

fn script(case: &Case) -> Option<(String, String)> {
    let mut analysis = case.analysis();
    let names: Vec<String> = case.problem.over.iter().map(|binder| binder.name.text.to_string()).collect();
    let mut text = case.setup.clone() + &case.kept(&analysis);
    // Near each other and near zero, then far.
    for binder in &case.problem.over {
        let (name, shape) = (&binder.name.text, extents(binder.ty.as_ref()?).join(", "));
        text += &format!(
            "let {name}_a = 0.01 * normal({shape})\nlet {name}_b = {name}_a + 0.01 * normal({shape})\nlet {name}_c = 30 * normal({shape})\n"
        );
    }
    let mut checked = 0;
    for (i, part) in analysis.parts.clone().iter().enumerate() {
        let ability = analysis.abilities[i].clone();
        if !ability.smooth || matches!(part.kind, Kind::Constant) {
            continue;
        }
        checked += 1;
        let value = smooth::value(&mut analysis.terms, part);
        text += &format!("fn f{i}({}) -> real = {}\n", case.binders(), write::text(&analysis.terms, value));
        let mut slopes = Vec::new();
        for (block, name) in names.iter().enumerate() {
            let gradient = smooth::gradient(&mut analysis.terms, part, block);
            text += &format!("fn g{i}_{name}({}) = {}\n", case.binders(), write::text(&analysis.terms, gradient));
            slopes.push(format!("g{i}_{name}"));
        }
        let whole: Vec<String> = slopes.iter().map(|slope| at(case, slope, "")).collect();
        text += &format!("fn g{i}({}) = flat(({},))\n", case.binders(), whole.join(", "));
        for (name, slope) in names.iter().zip(&slopes) {
            for point in ["_a", "_c"] {
                let by_rules = at(case, slope, point);
                let by_differentiation = format!("grad(f{i}, wrt: {name})({})", case.blocks(point));
                text += &format!(
                    "print \"gradient of term {i} in {name}\", norm({by_rules} - {by_differentiation}) <= 1e-9 * (1 + norm({by_differentiation}))
print \"a longer one is noticed\", norm({by_differentiation}) < 1e-6 or not norm(1.01 * {by_rules} - {by_differentiation}) <= 1e-9 * (1 + norm({by_differentiation}))\n"
                );
            }
        }
        let Some(bound) = ability.lipschitz else { continue };
        let bound = format!("({})", write::text(&analysis.terms, bound));
        for (from, to) in [("_a", "_b"), ("_a", "_c"), ("_b", "_c")] {
            let steps: Vec<String> = names.iter().map(|name| format!("{name}{from} - {name}{to}")).collect();
            text += &format!(
                "print \"bound of term {i}\", norm({} - {}) <= {bound} * norm(flat(({},))) * (1 + 1e-9) + 1e-9\n",
                at(case, &format!("g{i}"), from),
                at(case, &format!("g{i}"), to),
                steps.join(", ")
            );
        }
        if let ([name], Kind::Square | Kind::Form) = (names.as_slice(), &part.kind) {
            text += &format!(
                "let w{i} = loop w = {name}_b for 40 {{
    let z = g{i}_{name}({name}_a + w) - g{i}_{name}({name}_a)
    w <- z / norm(z)
}}
let change{i} = norm(g{i}_{name}({name}_a + w{i}) - g{i}_{name}({name}_a)) / norm(w{i})
print \"bound of term {i} where it is reached\", change{i} <= {bound} * (1 + 1e-9)\n"
            );
            if ability.quadratic {
                text += &format!("print \"a smaller one is noticed\", not change{i} <= {bound} / 8\n");
            }
        }
    }
    (checked > 0).then(|| (case.name.clone(), text))
}
