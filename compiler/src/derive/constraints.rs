//! Constraints: which of them exclude zero, and which another one implies.

use super::calculus::{self, Applier};
use super::catalogue::Catalogue;
use super::normal::{Kind, Part};
use super::rat::Rat;
use super::term::Terms;
use super::{Analysis, Start, tree, write};
use crate::diagnostic::Diagnostic;

/// Sets that hold zero.
const WITH_ZERO: [&str; 5] = ["nonneg", "ball2", "ball1", "ball_inf", "at_most"];

/// The projection of zero on what a block is constrained to, unless zero is in it.
pub fn start(catalogue: &Catalogue, analysis: &mut Analysis, block: usize) -> Start {
    let parts: Vec<Part> = analysis
        .parts
        .iter()
        .filter(|part| part.constraint && analysis.terms.depends(part.arg, block))
        .cloned()
        .collect();
    let outside = parts.iter().any(|part| !holds_zero(&analysis.terms, part));
    if !outside {
        return None;
    }
    let pieces: Result<Vec<_>, _> =
        parts.iter().map(|part| calculus::piece(&mut analysis.terms, catalogue, part, block)).collect();
    let operator = calculus::proximal(&mut analysis.terms, pieces.ok()?).ok()?;
    let zeros = write::zeros(analysis.terms.block_shape(block));
    let hidden = |_: &str| false;
    let mut name = |value| value;
    let mut applier = Applier { terms: &mut analysis.terms, catalogue, hidden: &hidden, name: &mut name };
    applier.apply(&operator, zeros, &tree::int(1)).ok()
}

fn holds_zero(terms: &Terms, part: &Part) -> bool {
    let Kind::Atom(name) = &part.kind else { return false };
    if &**name == "box" {
        // Infinite bounds, and bounds of which the sign is known.
        let low = part.extra.first().is_some_and(|low| {
            terms.as_number(*low).is_some_and(|low| low == Rat::ZERO || low.is_negative())
                || write::text(terms, *low) == "-inf"
        });
        let high = part.extra.get(1).is_some_and(|high| {
            terms.as_number(*high).is_some_and(|high| !high.is_negative()) || write::text(terms, *high) == "inf"
        });
        return low && high;
    }
    WITH_ZERO.contains(&&**name)
}

/// Leaves out constraints that others imply, with a warning of each.
pub fn leave_implied(analysis: &mut Analysis) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < analysis.parts.len() {
        let weak = &analysis.parts[i];
        let strong = analysis.parts.iter().enumerate().find(|(j, strong)| {
            *j != i
                && weak.constraint
                && strong.constraint
                && strong.arg == weak.arg
                && implies(&analysis.terms, strong, weak, i > *j)
        });
        let Some((_, strong)) = strong else {
            i += 1;
            continue;
        };
        let message = "another constraint implies this one";
        let warning =
            Diagnostic::warning("E0347", weak.span, message).here("holds anyway").label(strong.span, "this one");
        found.push(warning.help("leave it out: the solver projects on the other alone"));
        analysis.parts.remove(i);
        analysis.abilities.remove(i);
    }
    found
}

/// What holds one holds the other; of two equal ones the later is implied.
fn implies(terms: &Terms, strong: &Part, weak: &Part, later: bool) -> bool {
    let (Kind::Atom(a), Kind::Atom(b)) = (&strong.kind, &weak.kind) else { return false };
    if a == b && strong.extra == weak.extra {
        return later;
    }
    let number = |part: &Part, i: usize| part.extra.get(i).and_then(|id| terms.as_number(*id));
    match (&**a, &**b) {
        ("simplex", "nonneg") => true,
        ("simplex", "ball1" | "ball2" | "ball_inf") => number(weak, 0).is_some_and(|r| !r.less(Rat::ONE)),
        // |y|_inf <= |y|_2 <= |y|_1
        ("ball1", "ball2" | "ball_inf") | ("ball2", "ball_inf") => match (number(strong, 0), number(weak, 0)) {
            (Some(small), Some(large)) => !large.less(small),
            _ => strong.extra == weak.extra,
        },
        ("ball1", "ball1") | ("ball2", "ball2") | ("ball_inf", "ball_inf") | ("at_most", "at_most") => {
            matches!((number(strong, 0), number(weak, 0)), (Some(small), Some(large)) if small.less(large))
        }
        ("box", "nonneg") => number(strong, 0).is_some_and(|low| !low.is_negative()),
        _ => false,
    }
}
