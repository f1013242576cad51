//! Elementwise operations.

use super::Prim;
use super::shape::{self, Rule};
use crate::ir::graph::{Op, Type};
use dp_runtime::tensor::DType;

pub static NEG: Prim = Prim { name: "neg", doc: "-x; integers wrap.", result: number_unary };
pub static ABS: Prim = Prim { name: "abs", doc: "The magnitude; integers wrap.", result: number_unary };
pub static SIGN: Prim = Prim { name: "sign", doc: "-1, 0 or 1; 0 at both zeros, NaN at NaN.", result: number_unary };
pub static EXP: Prim = Prim { name: "exp", doc: "e to the x.", result: float_unary };
pub static EXPM1: Prim = Prim { name: "expm1", doc: "exp(x) - 1, accurate near 0.", result: float_unary };
pub static LOG: Prim = Prim { name: "log", doc: "The natural logarithm; NaN below 0.", result: float_unary };
pub static LOG1P: Prim = Prim { name: "log1p", doc: "log(1 + x), accurate near 0.", result: float_unary };
pub static SQRT: Prim =
    Prim { name: "sqrt", doc: "The square root, correctly rounded; NaN below 0.", result: float_unary };
pub static SIN: Prim = Prim { name: "sin", doc: "The sine of an angle in radians.", result: float_unary };
pub static COS: Prim = Prim { name: "cos", doc: "The cosine of an angle in radians.", result: float_unary };
pub static TAN: Prim = Prim { name: "tan", doc: "The tangent of an angle in radians.", result: float_unary };
pub static TANH: Prim = Prim { name: "tanh", doc: "The hyperbolic tangent.", result: float_unary };
pub static SIGMOID: Prim = Prim { name: "sigmoid", doc: "1 / (1 + exp(-x)), stable.", result: float_unary };
pub static SOFTPLUS: Prim = Prim { name: "softplus", doc: "log(1 + exp(x)), stable.", result: float_unary };
pub static ERF: Prim = Prim { name: "erf", doc: "The error function.", result: float_unary };
pub static ATAN: Prim = Prim { name: "atan", doc: "The inverse tangent.", result: float_unary };
pub static FLOOR: Prim = Prim { name: "floor", doc: "The greatest integer that is not above.", result: float_unary };
pub static CEIL: Prim = Prim { name: "ceil", doc: "The least integer that is not below.", result: float_unary };
pub static ROUND: Prim = Prim { name: "round", doc: "The nearest integer, ties to even.", result: float_unary };
pub static ADD: Prim = Prim { name: "add", doc: "a + b; integers wrap.", result: number_binary };
pub static SUB: Prim = Prim { name: "sub", doc: "a - b; integers wrap.", result: number_binary };
pub static MUL: Prim = Prim { name: "mul", doc: "a * b; integers wrap.", result: number_binary };
pub static MULZ: Prim =
    Prim { name: "mulz", doc: "a * b, but 0 where that is NaN and a factor is 0.", result: float_binary };
pub static DIV: Prim = Prim { name: "div", doc: "a / b.", result: float_binary };
pub static POW: Prim = Prim { name: "pow", doc: "a to the b.", result: float_binary };
pub static MAX: Prim =
    Prim { name: "max", doc: "The greater; NaN if either is NaN; max(-0, 0) = 0.", result: number_binary };
pub static MIN: Prim =
    Prim { name: "min", doc: "The lesser; NaN if either is NaN; min(-0, 0) = -0.", result: number_binary };
pub static ATAN2: Prim =
    Prim { name: "atan2", doc: "The angle of the point (x, y), from the operands y, x.", result: float_binary };
pub static INT_DIV: Prim = Prim {
    name: "int_div",
    doc: "a / b, rounded toward minus infinity. Division by zero is a fault.",
    result: int_binary,
};
pub static MOD: Prim = Prim {
    name: "mod",
    doc: "a - b * int_div(a, b), which has the sign of b. Division by zero is a fault.",
    result: int_binary,
};
pub static LT: Prim = Prim { name: "lt", doc: "a < b; false where one is NaN.", result: order };
pub static LE: Prim = Prim { name: "le", doc: "a <= b; false where one is NaN.", result: order };
pub static EQ: Prim = Prim { name: "eq", doc: "a == b; false where one is NaN. Of any kind.", result: equality };
pub static NE: Prim = Prim { name: "ne", doc: "a != b; true where one is NaN. Of any kind.", result: equality };
pub static AND: Prim = Prim { name: "and", doc: "Both.", result: bool_binary };
pub static OR: Prim = Prim { name: "or", doc: "At least one.", result: bool_binary };
pub static NOT: Prim = Prim { name: "not", doc: "The other.", result: bool_unary };
pub static SELECT: Prim = Prim {
    name: "select",
    doc: "select(mask, yes, no): elementwise choice; the side not taken has no influence.",
    result: select,
};
pub static CONVERT: Prim = Prim {
    name: "convert",
    doc: "To another kind. Int to float rounds to nearest, float to int goes toward zero (saturating, NaN to 0), bool to 0 and 1,\nto bool is `!= 0`. A key and an integer have the same 64 bits.",
    result: convert,
};
pub static STOP_GRADIENT: Prim =
    Prim { name: "stop_gradient", doc: "The identity with zero derivative.", result: identity };

fn identity(_: &Op, args: &[&Type]) -> Rule {
    let [x] = shape::arity(args)?;
    Ok(vec![x.clone()])
}

fn float_unary(_: &Op, args: &[&Type]) -> Rule {
    let [x] = shape::arity(args)?;
    shape::float(x)?;
    Ok(vec![x.clone()])
}

fn number_unary(_: &Op, args: &[&Type]) -> Rule {
    let [x] = shape::arity(args)?;
    shape::number(x)?;
    Ok(vec![x.clone()])
}

fn bool_unary(_: &Op, args: &[&Type]) -> Rule {
    let [x] = shape::arity(args)?;
    shape::kind(x, DType::Bool)?;
    Ok(vec![x.clone()])
}

fn float_binary(_: &Op, args: &[&Type]) -> Rule {
    let [a, b] = shape::arity(args)?;
    shape::float(a)?;
    shape::same(a, b)?;
    Ok(vec![a.clone()])
}

fn number_binary(_: &Op, args: &[&Type]) -> Rule {
    let [a, b] = shape::arity(args)?;
    shape::number(a)?;
    shape::same(a, b)?;
    Ok(vec![a.clone()])
}

fn int_binary(_: &Op, args: &[&Type]) -> Rule {
    let [a, b] = shape::arity(args)?;
    shape::kind(a, DType::I64)?;
    shape::same(a, b)?;
    Ok(vec![a.clone()])
}

fn bool_binary(_: &Op, args: &[&Type]) -> Rule {
    let [a, b] = shape::arity(args)?;
    shape::kind(a, DType::Bool)?;
    shape::same(a, b)?;
    Ok(vec![a.clone()])
}

fn order(_: &Op, args: &[&Type]) -> Rule {
    let [a, b] = shape::arity(args)?;
    shape::number(a)?;
    shape::same(a, b)?;
    Ok(vec![Type::new(DType::Bool, &a.shape)])
}

fn equality(_: &Op, args: &[&Type]) -> Rule {
    let [a, b] = shape::arity(args)?;
    shape::same(a, b)?;
    Ok(vec![Type::new(DType::Bool, &a.shape)])
}

fn select(_: &Op, args: &[&Type]) -> Rule {
    let [mask, yes, no] = shape::arity(args)?;
    shape::kind(mask, DType::Bool)?;
    shape::same(yes, no)?;
    shape::require(mask.shape == yes.shape, || format!("takes operands of one shape, not {mask} and {yes}"))?;
    Ok(vec![yes.clone()])
}

fn convert(op: &Op, args: &[&Type]) -> Rule {
    let Op::Convert(to) = op else { shape::wrong_row(op) };
    let [x] = shape::arity(args)?;
    let fits = match (x.dtype, to) {
        (DType::Key, DType::Key | DType::I64) | (DType::I64, DType::Key) => true,
        (DType::Key, _) | (_, DType::Key) => false,
        _ => true,
    };
    shape::require(fits, || format!("cannot convert {x} to {}", to.name()))?;
    shape::one(*to, x.shape.clone())
}
