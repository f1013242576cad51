//! What is printed is what was derived: random problems, with names that the solver would like for itself.

use super::ground::Ground;
use super::trees::bare;
use crate::driver::{Options, Sink, run_text};
use crate::run::Message;
use crate::script::Output;
use crate::source::SourceMap;
use crate::syntax::ast::ItemKind;
use crate::syntax::{self, ast, pretty};
use std::rc::Rc;

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % sides as u64) as usize
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.roll(list.len())]
    }
}

/// Names that solvers use themselves, and functions that they call.
const NAMES: [&str; 22] = [
    "t", "W", "S", "theta", "soft", "s", "a", "b", "u", "z", "w", "v", "point", "L", "relu", "found", "start",
    "theta_y", "W_y", "c", "data", "beta",
];

/// Different names for the roles `x`, `D`, `c`, the block and a second matrix.
fn names(dice: &mut Dice) -> Vec<&'static str> {
    let mut chosen: Vec<&str> = Vec::new();
    while chosen.len() < 5 {
        let name = dice.of(&NAMES);
        if !chosen.contains(&name) {
            chosen.push(name);
        }
    }
    chosen
}

/// One problem over one block or two, with random terms.
fn problem(dice: &mut Dice) -> String {
    let found = names(dice);
    let [x, d, c, y, k] = found[..] else { unreachable!("five names") };
    if dice.roll(5) == 0 {
        let other = dice.of(&["nuclear", "norm1", "sumsq"]);
        return format!(
            "problem p({x}: real[m, n], {c}: real) {{\n    minimize over {y}: real[m, n], {k}: real[m, n]\n        \
             1/2 * sumsq({x} - {y} - {k}) + {c} * {other}({y}) + 2 * {c} * norm1({k})\n}}\n"
        );
    }
    let smooth = [
        format!("1/2 * sumsq({x} - {d} @ {y})"),
        format!("sumsq({d} @ {y} - {x})"),
        format!("1/2 * sumsq({x} - {d} @ {y}) + 0.1 * sumsq({y})"),
        format!("sum(softplus({d} @ {y})) - {x} @ ({d} @ {y})"),
        format!("sum(huber({d} @ {y} - {x}, 0.5))"),
        format!("1/3 * norm({d} @ {y} - {x})^2"),
    ];
    let other = [
        String::new(),
        format!(" + {c} * norm1({y})"),
        format!(" + {c} * norm2({y})"),
        format!(" + 2 * {c} * norm1({y} - 1)"),
        format!(" + {c} * norm_inf({y})"),
        format!(" + {c} * count({y})"),
        format!(" + {c} * norm1({y}[1:] - {y}[:n - 1])"),
        format!(" + {c} * norm1({k} @ {y})"),
        format!(" + {c} * norm1(3 * {y})"),
    ];
    let constraint =
        ["", &format!("    subject to {y} >= 0\n"), &format!("    subject to {y} <= 2\n")][dice.roll(3)].to_string();
    let (smooth, other) = (&smooth[dice.roll(smooth.len())], &other[dice.roll(other.len())]);
    format!(
        "problem p({x}: real[m], {d}: real[m, n], {c}: real, {k}: real[l, n]) {{\n    minimize over {y}: real[n]\n        \
         {smooth}{other}\n{constraint}}}\n"
    )
}

const METHODS: [&str; 9] = [
    "",
    "gradient_descent",
    "proximal_gradient",
    "accelerated_proximal_gradient",
    "backtracking_proximal_gradient",
    "admm",
    "pdhg",
    "primal_dual",
    "iterative_hard_thresholding",
];

/// The one solver of a text.
fn parsed(text: &str) -> ast::Solver {
    let mut sources = SourceMap::default();
    let (module, found) = syntax::parse_text(&mut sources, "printed.dp", text);
    let shown: String = found.iter().map(|d| crate::diagnostic::render::render(&sources, d, false)).collect();
    assert!(found.is_empty(), "{shown}");
    match &module.items[..] {
        [ast::Item { kind: ItemKind::Solver(solver), .. }] => (**solver).clone(),
        _ => panic!("one solver is printed:\n{text}"),
    }
}

#[test]
fn the_printed_solver_is_the_derived_one() {
    let mut dice = Dice(1);
    let (mut derived, mut refused) = (0, 0);
    let mut complaints = Vec::new();
    for _ in 0..150 {
        let text = problem(&mut dice);
        let ground = Ground::new(&text);
        for _ in 0..4 {
            let (method, layer) = (dice.of(&METHODS), dice.roll(2) == 0);
            let found = ground.derive("p", Some(method).filter(|name| !name.is_empty()), layer, |derivation, _| {
                let printed = format!("{}\n", pretty::solver(&derivation.solver));
                let again = parsed(&printed);
                let (read, made) = (bare(&again), bare(&derivation.solver));
                if let Some(at) = read.bytes().zip(made.bytes()).position(|(a, b)| a != b) {
                    let near = |text: &str| text.chars().skip(at.saturating_sub(300)).take(600).collect::<String>();
                    complaints.push(format!("{text}\n{printed}\nread  {}\n\nmade  {}", near(&read), near(&made)));
                }
                assert_eq!(format!("{}\n", pretty::solver(&again)), printed);
            });
            match found {
                Ok(()) => derived += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(
        complaints.is_empty(),
        "{} differ\n\n{}",
        complaints.len(),
        complaints[..complaints.len().min(6)].join("\n\n")
    );
    assert!(derived > 2 * refused / 3 && derived > 200, "{derived} derived, {refused} refused");
}

/// The comparison sees a difference: a tree that is not what is printed.
#[test]
fn another_tree_is_seen() {
    let solver = parsed("solver s(x: real) -> y {\n    state y: real = 0\n    step y <- x - (y - 1)\n}\n");
    let other = parsed("solver s(x: real) -> y {\n    state y: real = 0\n    step y <- x - y - 1\n}\n");
    assert_ne!(bare(&solver), bare(&other));
}

/// Collects what is printed and what goes wrong.
#[derive(Default)]
struct Paper(Vec<String>);

impl Output for Paper {
    fn line(&mut self, text: &str) {
        self.0.push(text.to_string());
    }

    fn message(&mut self, _: &Message) {}
}

impl Sink for Paper {
    fn sources(&mut self, _: Rc<SourceMap>) {}
}

#[test]
fn the_printed_solver_gives_the_same_bits() {
    let mut dice = Dice(5);
    let mut compared = 0;
    while compared < 12 {
        let text = problem(&mut dice);
        let method = dice.of(&METHODS[1..]);
        let ground = Ground::new(&text);
        let problem = ground.problem("p");
        let Ok(printed) = ground.derive("p", Some(method), false, |found, _| pretty::solver(&found.solver)) else {
            continue;
        };
        let data: Vec<&str> = problem
            .params
            .iter()
            .map(|param| match pretty_dims(param).as_slice() {
                [] => "0.2",
                ["m"] => "uniform(3, key: key(1))",
                ["m", _] => "uniform(3, 4, key: key(2))",
                _ => "uniform(2, 4, key: key(3))",
            })
            .collect();
        let data = data.join(", ");
        let script = format!(
            "{text}{printed}\nsolver other = derive p by {method}\nlet here = unroll found({data}) for 7\n\
             let there = unroll other({data}) for 7\nprint all(flat(here) == flat(there)), all(isfinite(flat(here)))\n"
        );
        let mut paper = Paper::default();
        let outcome = run_text("script", &script, &Options::default(), &mut paper);
        let shown: String =
            outcome.diagnostics.iter().map(|d| crate::diagnostic::render::render(&outcome.sources, d, false)).collect();
        assert_eq!(paper.0, ["true true"], "{shown}\n{script}");
        compared += 1;
    }
}

fn pretty_dims(param: &ast::Param) -> Vec<&str> {
    match param.ty.as_ref().map(|ty| &ty.kind) {
        Some(ast::TypeKind::Array { dims, .. }) => dims
            .iter()
            .map(|dim| match &dim.kind {
                ast::ExprKind::Name(name) => &**name,
                _ => "",
            })
            .collect(),
        _ => Vec::new(),
    }
}
