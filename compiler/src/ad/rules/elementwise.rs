//! Partial derivatives of the elementwise operations, as primal equations.

use crate::ir::builder::Builder;
use crate::ir::graph::{Op, Var};

/// The partial derivative of `y = op(args)` with respect to operand `i`.
///
/// # Panics
/// For operations whose derivative is not of this kind: a bug of the caller.
pub fn partial(b: &mut Builder, op: &Op, i: usize, args: &[Var], y: Var) -> Var {
    let x = args[0];
    let ty = b.ty(x).clone();
    match op {
        Op::Abs => b.op(Op::Sign, &[x]),
        Op::Exp => y,
        Op::Expm1 => b.op(Op::Exp, &[x]),
        // 1/x
        Op::Log => reciprocal(b, x),
        // 1/(1 + x)
        Op::Log1p => {
            let sum = add_const(b, x, 1.0);
            reciprocal(b, sum)
        }
        // 1/(2 sqrt(x))
        Op::Sqrt => {
            let half = b.fill(&ty, 0.5);
            b.div(half, y)
        }
        Op::Sin => b.op(Op::Cos, &[x]),
        Op::Cos => {
            let sin = b.op(Op::Sin, &[x]);
            b.neg(sin)
        }
        // 1 + tan(x)^2
        Op::Tan => {
            let square = b.mul(y, y);
            add_const(b, square, 1.0)
        }
        // (1 - tanh(x)) (1 + tanh(x))
        Op::Tanh => {
            let one = b.fill(&ty, 1.0);
            let less = b.sub(one, y);
            let more = b.add(one, y);
            b.mul(less, more)
        }
        // s(x) (1 - s(x))
        Op::Sigmoid => {
            let one = b.fill(&ty, 1.0);
            let rest = b.sub(one, y);
            b.mul(y, rest)
        }
        Op::Softplus => b.op(Op::Sigmoid, &[x]),
        // 2/sqrt(pi) exp(-x^2), and minus that
        Op::Erf | Op::Erfc => {
            let square = b.mul(x, x);
            let minus = b.neg(square);
            let bell = b.op(Op::Exp, &[minus]);
            let factor = std::f64::consts::FRAC_2_SQRT_PI;
            let factor = b.fill(&ty, if matches!(op, Op::Erf) { factor } else { -factor });
            b.mul(factor, bell)
        }
        // 1/(x ln 2), 1/(x ln 10)
        Op::Log2 | Op::Log10 => {
            let factor = if matches!(op, Op::Log2) { std::f64::consts::LOG2_E } else { std::f64::consts::LOG10_E };
            let factor = b.fill(&ty, factor);
            b.div(factor, x)
        }
        // 1/(3 cbrt(x)^2)
        Op::Cbrt => {
            let square = b.mul(y, y);
            let third = b.fill(&ty, 1.0 / 3.0);
            b.div(third, square)
        }
        // 1/sqrt((1 - x)(1 + x)), and minus that
        Op::Asin | Op::Acos => {
            let product = one_less_square(b, x);
            let root = b.op(Op::Sqrt, &[product]);
            let one = b.fill(&ty, if matches!(op, Op::Asin) { 1.0 } else { -1.0 });
            b.div(one, root)
        }
        Op::Sinh => b.op(Op::Cosh, &[x]),
        Op::Cosh => b.op(Op::Sinh, &[x]),
        // 1/sqrt(1 + x^2)
        Op::Asinh => {
            let one = b.fill(&ty, 1.0);
            let root = b.op(Op::Hypot, &[one, x]);
            b.div(one, root)
        }
        // 1/(sqrt(x - 1) sqrt(x + 1))
        Op::Acosh => {
            let less = add_const(b, x, -1.0);
            let more = add_const(b, x, 1.0);
            let (less, more) = (b.op(Op::Sqrt, &[less]), b.op(Op::Sqrt, &[more]));
            let product = b.mul(less, more);
            reciprocal(b, product)
        }
        // 1/((1 - x)(1 + x))
        Op::Atanh => {
            let product = one_less_square(b, x);
            reciprocal(b, product)
        }
        Op::Lgamma => b.op(Op::Polygamma { order: 0 }, &[x]),
        Op::Polygamma { order } => b.op(Op::Polygamma { order: order + 1 }, &[x]),
        // a/hypot(a, b), 0 where both are 0
        Op::Hypot => {
            let quotient = b.div(args[i], y);
            let zero = b.zeros(&ty);
            let corner = b.op(Op::Eq, &[y, zero]);
            b.select(corner, zero, quotient)
        }
        // 1/(1 + x^2)
        Op::Atan => {
            let square = b.mul(x, x);
            let sum = add_const(b, square, 1.0);
            reciprocal(b, sum)
        }
        // a/b: 1/b and -(a/b)/b
        Op::Div if i == 0 => reciprocal(b, args[1]),
        Op::Div => {
            let quotient = b.div(y, args[1]);
            b.neg(quotient)
        }
        // a^b: b a^(b-1), 0 where b is 0; and a^b log(a), where 0 log(0) is 0.
        Op::Pow if i == 0 => {
            let exponent = add_const(b, args[1], -1.0);
            let power = b.op(Op::Pow, &[x, exponent]);
            let product = b.mul(args[1], power);
            let zero = b.zeros(&ty);
            let flat = b.op(Op::Eq, &[args[1], zero]);
            b.select(flat, zero, product)
        }
        Op::Pow => {
            let log = b.op(Op::Log, &[x]);
            b.op(Op::MulZ, &[y, log])
        }
        // atan2(y, x): x/(x^2 + y^2) and -y/(x^2 + y^2)
        Op::Atan2 => {
            let yy = b.mul(args[0], args[0]);
            let xx = b.mul(args[1], args[1]);
            let sum = b.add(xx, yy);
            if i == 0 {
                b.div(args[1], sum)
            } else {
                let quotient = b.div(args[0], sum);
                b.neg(quotient)
            }
        }
        other => panic!("internal error: no partial derivative of {other:?}"),
    }
}

/// `1/x`.
pub fn reciprocal(b: &mut Builder, x: Var) -> Var {
    let ty = b.ty(x).clone();
    let one = b.fill(&ty, 1.0);
    b.div(one, x)
}

/// `(1 - x) (1 + x)`.
fn one_less_square(b: &mut Builder, x: Var) -> Var {
    let ty = b.ty(x).clone();
    let one = b.fill(&ty, 1.0);
    let (less, more) = (b.sub(one, x), b.add(one, x));
    b.mul(less, more)
}

fn add_const(b: &mut Builder, x: Var, value: f64) -> Var {
    let ty = b.ty(x).clone();
    let value = b.fill(&ty, value);
    b.add(x, value)
}
