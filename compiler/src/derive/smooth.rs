//! Gradients of terms, and bounds of how fast they change (Lipschitz constants), by composition with the linear maps.

use super::normal::{Kind, Part};
use super::rat::Rat;
use super::term::{Id, Op, Terms};

/// A smooth function of one number: its derivative at u, and a bound of its second derivative.
pub struct Separable {
    pub name: &'static str,
    derivative: fn(&mut Terms, Id) -> Id,
    /// `None` where there is none.
    pub curvature: Option<Rat>,
    pub convex: bool,
}

const QUARTER: (i64, i64) = (1, 4);

/// The functions of elements whose sums are written with their own derivative.
fn rows() -> [Separable; 5] {
    let quarter = Rat::new(QUARTER.0.into(), QUARTER.1.into());
    [
        // softplus(u) = log(1 + exp(u)); softplus'' = s (1 - s) <= 1/4 with s the sigmoid.
        Separable {
            name: "softplus",
            derivative: |terms, u| terms.call("sigmoid", vec![u]),
            curvature: quarter,
            convex: true,
        },
        Separable { name: "exp", derivative: |terms, u| terms.call("exp", vec![u]), curvature: None, convex: true },
        // |cos''| <= 1
        Separable {
            name: "cos",
            derivative: |terms, u| {
                let sine = terms.call("sin", vec![u]);
                terms.neg(sine)
            },
            curvature: Some(Rat::ONE),
            convex: false,
        },
        Separable {
            name: "sin",
            derivative: |terms, u| terms.call("cos", vec![u]),
            curvature: Some(Rat::ONE),
            convex: false,
        },
        // sigmoid'' is at most 1/(6 sqrt 3) < 1/10.
        Separable {
            name: "sigmoid",
            derivative: |terms, u| {
                let s = terms.call("sigmoid", vec![u]);
                let one = terms.int(1);
                let rest = terms.sub(one, s);
                terms.mul(vec![s, rest])
            },
            curvature: Rat::new(1, 10),
            convex: false,
        },
    ]
}

/// The row of a function.
pub fn separable(name: &str) -> Option<Separable> {
    rows().into_iter().find(|row| row.name == name)
}

/// The gradient of a term in a block, at the blocks.
pub fn gradient(terms: &mut Terms, part: &Part, block: usize) -> Id {
    let var = terms.block(block);
    let shape = terms.shape(var).clone();
    if !terms.has(part.arg, var) {
        return terms.zeros(&shape);
    }
    // The chain rule through an affine argument: K' f'(u).
    let through = |terms: &mut Terms, outer: Id| {
        let map = terms.linear_part(part.arg, var);
        let inner = terms.adjoint(map, var, outer);
        terms.mul(vec![part.weight, inner])
    };
    let affine = terms.is_affine(part.arg, var);
    match &part.kind {
        Kind::Square if affine => {
            let inner = through(terms, part.arg);
            terms.scale(Rat::int(2), inner)
        }
        Kind::Form if affine => {
            let q = part.extra[0];
            let turned = terms.transpose(q);
            let outer = if turned == q {
                let product = terms.matmul(q, part.arg);
                terms.scale(Rat::int(2), product)
            } else {
                let (a, b) = (terms.matmul(q, part.arg), terms.matmul(turned, part.arg));
                terms.add(vec![a, b])
            };
            through(terms, outer)
        }
        Kind::Linear if affine => {
            let one = terms.int(1);
            through(terms, one)
        }
        Kind::Separable(name) if affine => match separable(name) {
            Some(row) => {
                let outer = (row.derivative)(terms, part.arg);
                through(terms, outer)
            }
            None => by_differentiation(terms, part, block),
        },
        Kind::Atom(name) if &**name == "huber" && affine => {
            // The derivative of the Huber function is its argument, clipped.
            let (low, high) = (terms.neg(part.extra[0]), part.extra[0]);
            let outer = terms.call("clip", vec![part.arg, low, high]);
            through(terms, outer)
        }
        _ => by_differentiation(terms, part, block),
    }
}

/// `grad(fn(y) = ...)(y)`.
fn by_differentiation(terms: &mut Terms, part: &Part, block: usize) -> Id {
    let body = value(terms, part);
    let var = terms.block(block);
    let shape = terms.shape(var).clone();
    terms.intern(Op::Gradient(block), &[body, var], shape)
}

/// The term's value, with its weight.
pub fn value(terms: &mut Terms, part: &Part) -> Id {
    let function = match &part.kind {
        Kind::Square => terms.call("sumsq", vec![part.arg]),
        Kind::Form => {
            let inner = terms.matmul(part.extra[0], part.arg);
            terms.matmul(part.arg, inner)
        }
        Kind::Linear | Kind::General | Kind::Constant => part.arg,
        Kind::Separable(name) => {
            let inner = terms.call(name, vec![part.arg]);
            terms.call("sum", vec![inner])
        }
        Kind::Rows(name) => {
            let rows = terms.rows(name, part.arg);
            let mut factors = part.extra.clone();
            factors.push(rows);
            let product = terms.mul(factors);
            terms.call("sum", vec![product])
        }
        Kind::Atom(name) => {
            let mut args = vec![part.arg];
            args.extend(&part.extra);
            let name = if &**name == "norm2" { "norm" } else { name };
            let id = terms.call(name, args);
            let node = terms.node(id).clone();
            terms.intern(node.op, &node.args, Some(Vec::new()))
        }
    };
    terms.mul(vec![part.weight, function])
}

/// The gradient of `w * sum(v * log(v))`, without its part that is the same for all elements, which moves nothing on the simplex.
pub fn entropy_gradient(terms: &mut Terms, part: &Part) -> Id {
    let least = terms.intern(Op::Literal("1e-30".into()), &[], Some(Vec::new()));
    let inside = terms.call("max", vec![part.arg, least]);
    let log = terms.call("log", vec![inside]);
    terms.mul(vec![part.weight, log])
}

/// A bound of the Lipschitz constant of the gradient of a term in all blocks together; `None` where none is known.
pub fn lipschitz(terms: &mut Terms, part: &Part) -> Option<Id> {
    curvature(terms, part, false)
}

/// A bound of the curvature of a term relative to the entropy on the simplex: the L with
/// `f(y) <= f(x) + <f'(x), y - x> + L * sum(y * log(y / x))`. By Pinsker's inequality a bound in the 1-norm is one, and a map M has there
/// the norm of its longest column.
pub fn lipschitz_to_entropy(terms: &mut Terms, part: &Part) -> Option<Id> {
    curvature(terms, part, true)
}

fn curvature(terms: &mut Terms, part: &Part, to_entropy: bool) -> Option<Id> {
    let factor = match &part.kind {
        Kind::Linear | Kind::Constant => return Some(terms.int(0)),
        Kind::Square => terms.int(2),
        Kind::Form => {
            let size = terms.call("opnorm", vec![part.extra[0]]);
            terms.scale(Rat::int(2), size)
        }
        Kind::Separable(name) => {
            let curvature = separable(name)?.curvature?;
            terms.number(curvature)
        }
        Kind::Atom(name) if &**name == "huber" => terms.int(1),
        Kind::Atom(_) | Kind::Rows(_) | Kind::General => return None,
    };
    // |[K1 K2]|^2 <= |K1|^2 + |K2|^2 over the blocks.
    let mut squares = Vec::new();
    for block in 0..terms.block_count() {
        let var = terms.block(block);
        if !terms.has(part.arg, var) {
            continue;
        }
        if !terms.is_affine(part.arg, var) || crossing(terms, part.arg, block) {
            return None;
        }
        let map = terms.linear_part(part.arg, var);
        let matrix = if to_entropy && map != var { terms.matrix_of(map, var) } else { None };
        squares.push(match matrix {
            Some(matrix) => {
                let two = terms.int(2);
                let squared = terms.pow(matrix, two);
                let columns = terms.along("sum", squared, 0);
                terms.call("max", vec![columns])
            }
            None => {
                let bound = terms.norm_bound(map, var)?;
                let two = terms.int(2);
                terms.pow(bound, two)
            }
        });
    }
    let total = terms.add(squares);
    let weight = match terms.as_number(part.weight) {
        Some(weight) => terms.number(weight.abs()),
        None => part.weight,
    };
    Some(terms.mul(vec![factor, weight, total]))
}

/// Another block is in the map of this one.
fn crossing(terms: &mut Terms, arg: Id, block: usize) -> bool {
    let var = terms.block(block);
    let map = terms.linear_part(arg, var);
    terms.node(map).blocks & !(1 << block) != 0
}
