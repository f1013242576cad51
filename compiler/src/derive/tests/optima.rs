//! Solutions: every method that fits a problem comes to the same value, no point beside it is better, what must be in a set is,
//! and methods that promise it lower the objective in every pass.

use super::{Case, all_hold, cases};
use crate::derive::{Request, choose, derive, smooth, write};
use crate::syntax::pretty;

/// Methods whose every pass lowers the objective.
const MONOTONE: [&str; 4] = ["gradient_descent", "proximal_gradient", "iterative_hard_thresholding", "mirror_descent"];
/// Methods whose blocks come out of an operator, so that they are in the sets.
const FEASIBLE: [&str; 6] = [
    "proximal_gradient",
    "accelerated_proximal_gradient",
    "backtracking_proximal_gradient",
    "backtracking_accelerated_proximal_gradient",
    "iterative_hard_thresholding",
    "mirror_descent",
];

#[test]
fn methods_come_to_one_value_and_do_not_rise() {
    // The many spellings of one problem have one solver; `names` has data that hide functions of std where they are at the top level.
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| !case.name.contains("recognised") && !case.name.ends_with(": names"))
        .collect();
    let scripts: Vec<(String, String)> = cases.iter().filter_map(script).collect();
    assert!(scripts.len() >= 30, "{} problems with a method", scripts.len());
    all_hold(scripts);
}

fn script(case: &Case) -> Option<(String, String)> {
    let problem = &case.problem;
    let mut analysis = case.analysis();
    choose::lints(&mut analysis, problem).ok()?;
    let convex = choose::is_convex(&analysis);
    let data: Vec<String> = problem.params.iter().map(|param| param.name.text.to_string()).collect();
    let value = |suffix: &str| {
        let args: Vec<String> = data.iter().cloned().chain([case.blocks(suffix)]).collect();
        let sign = if problem.maximize { "-" } else { "" };
        format!("{sign}{}({})", problem.name.text, args.join(", "))
    };
    let sets: Vec<String> = analysis
        .parts
        .clone()
        .iter()
        .filter(|part| part.constraint)
        .map(|part| {
            let id = smooth::value(&mut analysis.terms, part);
            write::text(&analysis.terms, id)
        })
        .collect();
    let mut text = case.setup.clone();
    let mut found = Vec::new();
    for method in case.catalogue.methods() {
        let request = Request {
            problem,
            method: Some((method.clone(), problem.name.span)),
            layer: false,
            name: format!("by_{method}").into(),
            span: problem.name.span,
        };
        let Ok(derivation) = derive(&case.catalogue, &request) else { continue };
        text += &format!("{}\n", pretty::solver(&derivation.solver));
        if MONOTONE.contains(&&*method) {
            text += &format!(
                "let path_{method} = trace by_{method}({}) for 40 {{ value: {} }}
print \"{method} does not rise\", all(path_{method}.value[1:] <= path_{method}.value[:39] + 16 * eps * (1 + abs(path_{method}.value[:39])))\n",
                data.join(", "),
                value("")
            );
        }
        // The heavy ball is for strongly convex quadratics; a problem with several minimizers has no one to compare.
        if !convex || &*method == "heavy_ball" {
            continue;
        }
        let suffix = format!("_{}", found.len());
        let names = case.blocks(&suffix);
        let names = if problem.over.len() > 1 { format!("({names})") } else { names };
        text += &format!("let {names} = by_{method}({})\n", data.join(", "));
        text += &format!("let value{suffix} = {}\n", value(&suffix));
        if FEASIBLE.contains(&&*method) && !sets.is_empty() {
            for set in &sets {
                let bind: Vec<String> =
                    problem.over.iter().map(|b| format!("let {0} = {0}{suffix}", b.name.text)).collect();
                text += &format!("print \"{method} ends in the set\", {{ {}; {set} == 0 }}\n", bind.join("; "));
            }
        }
        found.push(method);
    }
    if found.is_empty() {
        return text.contains("does not rise").then(|| (case.name.clone(), text));
    }
    let values: Vec<String> = (0..found.len()).map(|i| format!("value_{i}")).collect();
    text += &format!("let values = [{}]\nlet best = min(values)\n", values.join(", "));
    for (i, method) in found.iter().enumerate() {
        text += &format!(
            "print \"{method} against the best\", values[{i}] - best, values[{i}] - best <= 1e-6 * max(1, abs(best))\n"
        );
    }
    if sets.is_empty() {
        let mut moved = Vec::new();
        for (i, binder) in problem.over.iter().enumerate() {
            let (name, shape) = (&binder.name.text, super::extents(binder.ty.as_ref()?).join(", "));
            moved.push(format!("let {name}_m = {name}_0 + step * normal({shape}, key: fold_in(draw, {i}))"));
        }
        let moved = moved.join("\n    ");
        text += &format!(
            "fn beside(draw: key, step: real) -> real {{\n    {moved}\n    {}\n}}
for s in 3 {{ print \"no point beside it is better\", min(beside(each keys(30), 10^(-s - 1))) - best >= -1e-7 * max(1, abs(best)) }}\n",
            value("_m")
        );
    }
    Some((case.name.clone(), text))
}
