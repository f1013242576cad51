//! What is printed is what was meant: trees at random, and every derived solver, are the same after printing and parsing.

use super::cases;
use crate::derive::{Request, derive, tree};
use crate::source::SourceMap;
use crate::syntax::ast::{ArgValue, BinaryOp, CompareOp, Expr, ExprKind, ItemKind};
use crate::syntax::{self, pretty};

/// A tree as text, without places and comments.
pub(super) fn bare(tree: &impl std::fmt::Debug) -> String {
    let text = format!("{tree:?}");
    let mut result = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("Span {") {
        result += &rest[..at];
        rest = rest[at..].split_once('}').map_or("", |(_, after)| after);
    }
    result + rest
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

fn expression(dice: &mut Dice, depth: u32) -> Expr {
    let part = |dice: &mut Dice| expression(dice, depth.saturating_sub(1));
    if depth == 0 {
        return match dice.below(4) {
            0 => tree::int(dice.below(9) as i64),
            1 => tree::parse(["0.5", "1e-3", "2.25"][dice.below(3) as usize]).expect("a number"),
            2 => tree::expr(ExprKind::Previous(tree::named("y"))),
            _ => tree::name(["x", "y", "t", "W", "S", "soft"][dice.below(6) as usize]),
        };
    }
    let pair = |dice: &mut Dice| (Box::new(expression(dice, depth - 1)), Box::new(expression(dice, depth - 1)));
    match dice.below(12) {
        0 | 1 => {
            let ops = [BinaryOp::Add, BinaryOp::Sub];
            let first = part(dice);
            let rest = (0..=dice.below(2)).map(|_| (ops[dice.below(2) as usize], part(dice))).collect();
            tree::chain(first, rest)
        }
        2 | 3 => {
            let ops = [BinaryOp::Mul, BinaryOp::Div, BinaryOp::IntDiv, BinaryOp::Mod];
            let first = part(dice);
            let rest = (0..=dice.below(2)).map(|_| (ops[dice.below(4) as usize], part(dice))).collect();
            tree::chain(first, rest)
        }
        4 => {
            let (a, b) = pair(dice);
            tree::expr(ExprKind::MatMul(a, b))
        }
        5 => {
            let (a, b) = pair(dice);
            tree::expr(ExprKind::Pow(a, b))
        }
        6 => tree::expr(ExprKind::Neg(Box::new(part(dice)))),
        7 => tree::expr(ExprKind::Transpose(Box::new(part(dice)))),
        8 => tree::call("soft", vec![part(dice), part(dice)]),
        9 => {
            let (left, right) = pair(dice);
            let compare = tree::expr(ExprKind::Compare { op: CompareOp::Le, left, right });
            tree::expr(ExprKind::If {
                cond: Box::new(compare),
                then: Box::new(part(dice)),
                otherwise: Box::new(part(dice)),
            })
        }
        10 => tree::lambda(vec![tree::param("y", None)], part(dice)),
        _ => {
            let mut call = tree::call("conv2", vec![part(dice), part(dice)]);
            if let ExprKind::Call { args, .. } = &mut call.kind {
                args[0].value = ArgValue::Each(1, part(dice));
            }
            call
        }
    }
}

#[test]
fn random_trees_are_the_same_after_printing() {
    let mut dice = Dice(7);
    let mut different = 0;
    for i in 0..3000 {
        let e = expression(&mut dice, 1 + i % 4);
        let text = pretty::expr(&e);
        let Some(parsed) = tree::parse(&text) else { panic!("does not parse: {text}\n{e:?}") };
        assert_eq!(bare(&parsed), bare(&e), "{text}");
        // The comparison sees a changed tree.
        let changed = tree::expr(ExprKind::Neg(Box::new(e.clone())));
        different += usize::from(bare(&changed) != bare(&parsed));
    }
    assert_eq!(different, 3000);
}

#[test]
fn derived_solvers_are_the_same_after_printing() {
    let mut count = 0;
    for case in cases() {
        for method in case.catalogue.methods() {
            for layer in [false, true] {
                let request = Request {
                    problem: &case.problem,
                    method: Some((method.clone(), case.problem.name.span)),
                    layer,
                    name: "derived".into(),
                    span: case.problem.name.span,
                };
                let Ok(derivation) = derive(&case.catalogue, &request) else { continue };
                let text = format!("{}\n", pretty::solver(&derivation.solver));
                let (module, found) = syntax::parse_text(&mut SourceMap::default(), "derived", &text);
                assert!(found.is_empty(), "{} by {method}:\n{text}", case.name);
                let Some(ItemKind::Solver(parsed)) = module.items.first().map(|item| &item.kind) else {
                    panic!("{} by {method}:\n{text}", case.name)
                };
                let again = format!("{}\n", pretty::solver(parsed));
                assert_eq!(again, text, "{} by {method}", case.name);
                assert_eq!(
                    bare(&parsed.body.step),
                    bare(&derivation.solver.body.step),
                    "{} by {method}:\n{text}",
                    case.name
                );
                count += 1;
            }
        }
    }
    assert!(count >= 200, "{count} solvers");
}
