//! Elementwise operations.

use super::sample;
use super::shape::{self, Rule};
use super::value::{Values, by_kind, map, take, wrong_kind, zip, zip_to};
use super::{Family, Prim};
use crate::ir::graph::{Op, Type};
use dp_runtime::fault::FaultKind;
use dp_runtime::lanes::{F32Lane, F64Lane};
use dp_runtime::math;
use dp_runtime::tensor::{DType, Tensor};

/// The meaning of an operation on floats, from an expression that is good for both kinds.
macro_rules! floats {
    (|$x:ident| $value:expr) => {
        |op, args| {
            let [x] = take(args);
            Ok(vec![match x {
                Tensor::F32(_) => map::<f32>(x, |$x| $value),
                Tensor::F64(_) => map::<f64>(x, |$x| $value),
                Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
            }])
        }
    };
}

/// `floats`, and a function of integers.
macro_rules! numbers {
    (|$x:ident| $value:expr, $int:expr) => {
        |op, args| {
            let [x] = take(args);
            Ok(vec![match x {
                Tensor::F32(_) => map::<f32>(x, |$x| $value),
                Tensor::F64(_) => map::<f64>(x, |$x| $value),
                Tensor::I64(_) => map::<i64>(x, $int),
                Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
            }])
        }
    };
}

/// `floats`, of two operands.
macro_rules! floats2 {
    (|$a:ident, $b:ident| $value:expr) => {
        |op, args| {
            let [a, b] = take(args);
            Ok(vec![match a {
                Tensor::F32(_) => zip::<f32>(a, &b, |$a, $b| $value),
                Tensor::F64(_) => zip::<f64>(a, &b, |$a, $b| $value),
                Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
            }])
        }
    };
}

/// `numbers`, of two operands.
macro_rules! numbers2 {
    (|$a:ident, $b:ident| $value:expr, $int:expr) => {
        |op, args| {
            let [a, b] = take(args);
            Ok(vec![match a {
                Tensor::F32(_) => zip::<f32>(a, &b, |$a, $b| $value),
                Tensor::F64(_) => zip::<f64>(a, &b, |$a, $b| $value),
                Tensor::I64(_) => zip::<i64>(a, &b, $int),
                Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
            }])
        }
    };
}

/// A comparison of numbers.
macro_rules! compare {
    (|$a:ident, $b:ident| $value:expr) => {
        |op, args| {
            let [a, b] = take(args);
            Ok(vec![match a {
                Tensor::F32(_) => zip_to::<f32, bool>(&a, &b, |$a, $b| $value),
                Tensor::F64(_) => zip_to::<f64, bool>(&a, &b, |$a, $b| $value),
                Tensor::I64(_) => zip_to::<i64, bool>(&a, &b, |$a, $b| $value),
                Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
            }])
        }
    };
}

/// An elementary function, from the one definition that compiled code shares.
macro_rules! function {
    ($name:ident) => {
        |op, args| {
            let [x] = take(args);
            Ok(vec![match x {
                Tensor::F32(_) => map::<f32>(x, |x| math::$name(&mut F32Lane, x)),
                Tensor::F64(_) => map::<f64>(x, |x| math::$name(&mut F64Lane, x)),
                Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
            }])
        }
    };
}

/// `function`, of two operands.
macro_rules! function2 {
    ($name:ident) => {
        |op, args| {
            let [a, b] = take(args);
            Ok(vec![match a {
                Tensor::F32(_) => zip::<f32>(a, &b, |a, b| math::$name(&mut F32Lane, a, b)),
                Tensor::F64(_) => zip::<f64>(a, &b, |a, b| math::$name(&mut F64Lane, a, b)),
                Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
            }])
        }
    };
}

pub static NEG: Prim = Prim {
    name: "neg",
    doc: "-x; integers wrap.",
    family: Family::Elementwise,
    plain: Some(|| Op::Neg),
    result: number_unary,
    eval: numbers!(|x| -x, i64::wrapping_neg),
    sample: |rng| sample::unary(rng, Op::Neg, -2.0, 2.0),
    special: || sample::special_unary(&Op::Neg),
};

pub static ABS: Prim = Prim {
    name: "abs",
    doc: "The magnitude; integers wrap.",
    family: Family::Elementwise,
    plain: Some(|| Op::Abs),
    result: number_unary,
    eval: numbers!(|x| x.abs(), i64::wrapping_abs),
    sample: |rng| sample::unary(rng, Op::Abs, -2.0, 2.0),
    special: || sample::special_unary(&Op::Abs),
};

pub static SIGN: Prim = Prim {
    name: "sign",
    doc: "-1, 0 or 1; 0 at both zeros, NaN at NaN.",
    family: Family::Elementwise,
    plain: Some(|| Op::Sign),
    result: number_unary,
    eval: numbers!(
        |x| {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else if x == 0.0 {
                0.0
            } else {
                x
            }
        },
        i64::signum
    ),
    sample: |rng| sample::unary(rng, Op::Sign, -2.0, 2.0),
    special: || sample::special_unary(&Op::Sign),
};

pub static EXP: Prim = Prim {
    name: "exp",
    doc: "e to the x.",
    family: Family::Elementwise,
    plain: Some(|| Op::Exp),
    result: float_unary,
    eval: function!(exp),
    sample: |rng| sample::unary(rng, Op::Exp, -2.0, 2.0),
    special: || sample::special_unary(&Op::Exp),
};

pub static EXPM1: Prim = Prim {
    name: "expm1",
    doc: "exp(x) - 1, accurate near 0.",
    family: Family::Elementwise,
    plain: Some(|| Op::Expm1),
    result: float_unary,
    eval: function!(expm1),
    sample: |rng| sample::unary(rng, Op::Expm1, -2.0, 2.0),
    special: || sample::special_unary(&Op::Expm1),
};

pub static LOG: Prim = Prim {
    name: "log",
    doc: "The natural logarithm; NaN below 0.",
    family: Family::Elementwise,
    plain: Some(|| Op::Log),
    result: float_unary,
    eval: function!(log),
    sample: |rng| sample::unary(rng, Op::Log, 0.1, 4.0),
    special: || sample::special_unary(&Op::Log),
};

pub static LOG1P: Prim = Prim {
    name: "log1p",
    doc: "log(1 + x), accurate near 0.",
    family: Family::Elementwise,
    plain: Some(|| Op::Log1p),
    result: float_unary,
    eval: function!(log1p),
    sample: |rng| sample::unary(rng, Op::Log1p, -0.8, 3.0),
    special: || sample::special_unary(&Op::Log1p),
};

pub static SQRT: Prim = Prim {
    name: "sqrt",
    doc: "The square root, correctly rounded; NaN below 0.",
    family: Family::Elementwise,
    plain: Some(|| Op::Sqrt),
    result: float_unary,
    eval: floats!(|x| x.sqrt()),
    sample: |rng| sample::unary(rng, Op::Sqrt, 0.1, 4.0),
    special: || sample::special_unary(&Op::Sqrt),
};

pub static SIN: Prim = Prim {
    name: "sin",
    doc: "The sine of an angle in radians.",
    family: Family::Elementwise,
    plain: Some(|| Op::Sin),
    result: float_unary,
    eval: function!(sin),
    sample: |rng| sample::unary(rng, Op::Sin, -3.0, 3.0),
    special: || sample::special_unary(&Op::Sin),
};

pub static COS: Prim = Prim {
    name: "cos",
    doc: "The cosine of an angle in radians.",
    family: Family::Elementwise,
    plain: Some(|| Op::Cos),
    result: float_unary,
    eval: function!(cos),
    sample: |rng| sample::unary(rng, Op::Cos, -3.0, 3.0),
    special: || sample::special_unary(&Op::Cos),
};

pub static TAN: Prim = Prim {
    name: "tan",
    doc: "The tangent of an angle in radians.",
    family: Family::Elementwise,
    plain: Some(|| Op::Tan),
    result: float_unary,
    eval: function!(tan),
    sample: |rng| sample::unary(rng, Op::Tan, -1.3, 1.3),
    special: || sample::special_unary(&Op::Tan),
};

pub static TANH: Prim = Prim {
    name: "tanh",
    doc: "The hyperbolic tangent.",
    family: Family::Elementwise,
    plain: Some(|| Op::Tanh),
    result: float_unary,
    eval: function!(tanh),
    sample: |rng| sample::unary(rng, Op::Tanh, -2.0, 2.0),
    special: || sample::special_unary(&Op::Tanh),
};

pub static SIGMOID: Prim = Prim {
    name: "sigmoid",
    doc: "1 / (1 + exp(-x)), stable.",
    family: Family::Elementwise,
    plain: Some(|| Op::Sigmoid),
    result: float_unary,
    eval: function!(sigmoid),
    sample: |rng| sample::unary(rng, Op::Sigmoid, -3.0, 3.0),
    special: || sample::special_unary(&Op::Sigmoid),
};

pub static SOFTPLUS: Prim = Prim {
    name: "softplus",
    doc: "log(1 + exp(x)), stable.",
    family: Family::Elementwise,
    plain: Some(|| Op::Softplus),
    result: float_unary,
    eval: function!(softplus),
    sample: |rng| sample::unary(rng, Op::Softplus, -3.0, 3.0),
    special: || sample::special_unary(&Op::Softplus),
};

pub static ERF: Prim = Prim {
    name: "erf",
    doc: "The error function.",
    family: Family::Elementwise,
    plain: Some(|| Op::Erf),
    result: float_unary,
    eval: function!(erf),
    sample: |rng| sample::unary(rng, Op::Erf, -2.0, 2.0),
    special: || sample::special_unary(&Op::Erf),
};

pub static ATAN: Prim = Prim {
    name: "atan",
    doc: "The inverse tangent.",
    family: Family::Elementwise,
    plain: Some(|| Op::Atan),
    result: float_unary,
    eval: function!(atan),
    sample: |rng| sample::unary(rng, Op::Atan, -3.0, 3.0),
    special: || sample::special_unary(&Op::Atan),
};

pub static FLOOR: Prim = Prim {
    name: "floor",
    doc: "The greatest integer that is not above.",
    family: Family::Elementwise,
    plain: Some(|| Op::Floor),
    result: float_unary,
    eval: floats!(|x| x.floor()),
    sample: |rng| sample::unary(rng, Op::Floor, -4.0, 4.0),
    special: || sample::special_unary(&Op::Floor),
};

pub static CEIL: Prim = Prim {
    name: "ceil",
    doc: "The least integer that is not below.",
    family: Family::Elementwise,
    plain: Some(|| Op::Ceil),
    result: float_unary,
    eval: floats!(|x| x.ceil()),
    sample: |rng| sample::unary(rng, Op::Ceil, -4.0, 4.0),
    special: || sample::special_unary(&Op::Ceil),
};

pub static ROUND: Prim = Prim {
    name: "round",
    doc: "The nearest integer, ties to even.",
    family: Family::Elementwise,
    plain: Some(|| Op::Round),
    result: float_unary,
    eval: floats!(|x| x.round_ties_even()),
    sample: |rng| sample::unary(rng, Op::Round, -4.0, 4.0),
    special: || sample::special_unary(&Op::Round),
};

pub static ADD: Prim = Prim {
    name: "add",
    doc: "a + b; integers wrap.",
    family: Family::Elementwise,
    plain: Some(|| Op::Add),
    result: number_binary,
    eval: numbers2!(|a, b| a + b, i64::wrapping_add),
    sample: |rng| sample::binary(rng, Op::Add, (-2.0, 2.0), (-2.0, 2.0)),
    special: || sample::special_binary(&Op::Add),
};

pub static SUB: Prim = Prim {
    name: "sub",
    doc: "a - b; integers wrap.",
    family: Family::Elementwise,
    plain: Some(|| Op::Sub),
    result: number_binary,
    eval: numbers2!(|a, b| a - b, i64::wrapping_sub),
    sample: |rng| sample::binary(rng, Op::Sub, (-2.0, 2.0), (-2.0, 2.0)),
    special: || sample::special_binary(&Op::Sub),
};

pub static MUL: Prim = Prim {
    name: "mul",
    doc: "a * b; integers wrap.",
    family: Family::Elementwise,
    plain: Some(|| Op::Mul),
    result: number_binary,
    eval: numbers2!(|a, b| a * b, i64::wrapping_mul),
    sample: |rng| sample::binary(rng, Op::Mul, (-2.0, 2.0), (-2.0, 2.0)),
    special: || sample::special_binary(&Op::Mul),
};

pub static MULZ: Prim = Prim {
    name: "mulz",
    doc: "a * b, but 0 where that is NaN and a factor is 0.",
    family: Family::Elementwise,
    plain: Some(|| Op::MulZ),
    result: float_binary,
    eval: floats2!(|a, b| {
        let product = a * b;
        if product.is_nan() && (a == 0.0 || b == 0.0) { 0.0 } else { product }
    }),
    sample: |rng| sample::binary(rng, Op::MulZ, (-2.0, 2.0), (-2.0, 2.0)),
    special: || sample::special_binary(&Op::MulZ),
};

pub static DIV: Prim = Prim {
    name: "div",
    doc: "a / b.",
    family: Family::Elementwise,
    plain: Some(|| Op::Div),
    result: float_binary,
    eval: floats2!(|a, b| a / b),
    sample: |rng| sample::binary(rng, Op::Div, (-2.0, 2.0), (-2.0, 2.0)),
    special: || sample::special_binary(&Op::Div),
};

pub static POW: Prim = Prim {
    name: "pow",
    doc: "a to the b.",
    family: Family::Elementwise,
    plain: Some(|| Op::Pow),
    result: float_binary,
    eval: function2!(pow),
    sample: |rng| sample::binary(rng, Op::Pow, (0.2, 3.0), (-2.0, 2.0)),
    special: || sample::special_binary(&Op::Pow),
};

pub static MAX: Prim = Prim {
    name: "max",
    doc: "The greater; NaN if either is NaN; max(-0, 0) = 0.",
    family: Family::Elementwise,
    plain: Some(|| Op::Max),
    result: number_binary,
    eval: numbers2!(
        |a, b| {
            if a > b {
                a
            } else if b > a {
                b
            } else if a == b {
                if a.is_sign_negative() { b } else { a }
            } else {
                a + b
            }
        },
        i64::max
    ),
    sample: |rng| sample::binary(rng, Op::Max, (-2.0, 2.0), (-2.0, 2.0)),
    special: || sample::special_binary(&Op::Max),
};

pub static MIN: Prim = Prim {
    name: "min",
    doc: "The lesser; NaN if either is NaN; min(-0, 0) = -0.",
    family: Family::Elementwise,
    plain: Some(|| Op::Min),
    result: number_binary,
    eval: numbers2!(
        |a, b| {
            if a < b {
                a
            } else if b < a {
                b
            } else if a == b {
                if a.is_sign_negative() { a } else { b }
            } else {
                a + b
            }
        },
        i64::min
    ),
    sample: |rng| sample::binary(rng, Op::Min, (-2.0, 2.0), (-2.0, 2.0)),
    special: || sample::special_binary(&Op::Min),
};

pub static ATAN2: Prim = Prim {
    name: "atan2",
    doc: "The angle of the point (x, y), from the operands y, x.",
    family: Family::Elementwise,
    plain: Some(|| Op::Atan2),
    result: float_binary,
    eval: function2!(atan2),
    sample: |rng| sample::binary(rng, Op::Atan2, (-2.0, 2.0), (-2.0, 2.0)),
    special: || sample::special_binary(&Op::Atan2),
};

pub static INT_DIV: Prim = Prim {
    name: "int_div",
    doc: "a / b, rounded toward minus infinity; the quotient wraps. Division by zero is a fault.",
    family: Family::Elementwise,
    plain: Some(|| Op::IntDiv),
    result: int_binary,
    eval: |_, args| divide(args, floor_div),
    sample: |rng| sample::division(rng, Op::IntDiv),
    special: || sample::special_division(&Op::IntDiv),
};

pub static MOD: Prim = Prim {
    name: "mod",
    doc: "a - b * int_div(a, b), which has the sign of b. Division by zero is a fault.",
    family: Family::Elementwise,
    plain: Some(|| Op::Mod),
    result: int_binary,
    eval: |_, args| divide(args, floor_mod),
    sample: |rng| sample::division(rng, Op::Mod),
    special: || sample::special_division(&Op::Mod),
};

pub static LT: Prim = Prim {
    name: "lt",
    doc: "a < b; false where one is NaN.",
    family: Family::Elementwise,
    plain: Some(|| Op::Lt),
    result: order,
    eval: compare!(|a, b| a < b),
    sample: |rng| sample::binary(rng, Op::Lt, (-2.0, 2.0), (-2.0, 2.0)),
    special: || sample::special_binary(&Op::Lt),
};

pub static LE: Prim = Prim {
    name: "le",
    doc: "a <= b; false where one is NaN.",
    family: Family::Elementwise,
    plain: Some(|| Op::Le),
    result: order,
    eval: compare!(|a, b| a <= b),
    sample: |rng| sample::binary(rng, Op::Le, (-2.0, 2.0), (-2.0, 2.0)),
    special: || sample::special_binary(&Op::Le),
};

pub static EQ: Prim = Prim {
    name: "eq",
    doc: "a == b; false where one is NaN. Of any kind.",
    family: Family::Elementwise,
    plain: Some(|| Op::Eq),
    result: equality,
    eval: |_, args| {
        let [a, b] = take(args);
        Ok(vec![by_kind!(a.dtype(), T => zip_to::<T, bool>(&a, &b, |a, b| a == b))])
    },
    sample: |rng| sample::equality(rng, Op::Eq),
    special: || sample::special_equality(&Op::Eq),
};

pub static NE: Prim = Prim {
    name: "ne",
    doc: "a != b; true where one is NaN. Of any kind.",
    family: Family::Elementwise,
    plain: Some(|| Op::Ne),
    result: equality,
    eval: |_, args| {
        let [a, b] = take(args);
        Ok(vec![by_kind!(a.dtype(), T => zip_to::<T, bool>(&a, &b, |a, b| a != b))])
    },
    sample: |rng| sample::equality(rng, Op::Ne),
    special: || sample::special_equality(&Op::Ne),
};

pub static AND: Prim = Prim {
    name: "and",
    doc: "Both.",
    family: Family::Elementwise,
    plain: Some(|| Op::And),
    result: bool_binary,
    eval: |_, args| {
        let [a, b] = take(args);
        Ok(vec![zip::<bool>(a, &b, |a, b| a & b)])
    },
    sample: |rng| sample::bools(rng, Op::And, 2),
    special: || sample::special_bools(&Op::And, 2),
};

pub static OR: Prim = Prim {
    name: "or",
    doc: "At least one.",
    family: Family::Elementwise,
    plain: Some(|| Op::Or),
    result: bool_binary,
    eval: |_, args| {
        let [a, b] = take(args);
        Ok(vec![zip::<bool>(a, &b, |a, b| a | b)])
    },
    sample: |rng| sample::bools(rng, Op::Or, 2),
    special: || sample::special_bools(&Op::Or, 2),
};

pub static NOT: Prim = Prim {
    name: "not",
    doc: "The other.",
    family: Family::Elementwise,
    plain: Some(|| Op::Not),
    result: bool_unary,
    eval: |_, args| {
        let [a] = take(args);
        Ok(vec![map::<bool>(a, |a| !a)])
    },
    sample: |rng| sample::bools(rng, Op::Not, 1),
    special: || sample::special_bools(&Op::Not, 1),
};

pub static SELECT: Prim = Prim {
    name: "select",
    doc: "select(mask, yes, no): elementwise choice; the side not taken has no influence.",
    family: Family::Elementwise,
    plain: Some(|| Op::Select),
    result: select,
    eval: |_, args| Ok(vec![choose(args)]),
    sample: sample::select,
    special: sample::special_select,
};

pub static CONVERT: Prim = Prim {
    name: "convert",
    doc: "To another kind.\nInt to float rounds to nearest, float to int goes toward zero (saturating, NaN to 0), bool to 0 and 1,\nto bool is `!= 0`. A key and an integer have the same 64 bits.",
    family: Family::Elementwise,
    plain: None,
    result: convert,
    eval: |op, args| {
        let Op::Convert(to) = op else { shape::wrong_row(op) };
        Ok(vec![args[0].convert(*to)])
    },
    sample: sample::convert,
    special: sample::special_convert,
};

pub static STOP_GRADIENT: Prim = Prim {
    name: "stop_gradient",
    doc: "The identity with zero derivative.",
    family: Family::Elementwise,
    plain: Some(|| Op::StopGradient),
    result: identity,
    eval: |_, args| Ok(args),
    sample: |rng| sample::unary(rng, Op::StopGradient, -2.0, 2.0),
    special: || sample::special_unary(&Op::StopGradient),
};

fn identity(_: &Op, args: &[&Type]) -> Rule {
    let [x] = shape::arity(args)?;
    Ok(vec![x.clone()])
}

pub(super) fn float_unary(_: &Op, args: &[&Type]) -> Rule {
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

pub(super) fn float_binary(_: &Op, args: &[&Type]) -> Rule {
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

fn divide(args: Vec<Tensor>, f: fn(i64, i64) -> i64) -> Values {
    let [a, b] = take(args);
    if b.as_slice::<i64>().contains(&0) {
        return Err(FaultKind::DivisionByZero);
    }
    Ok(vec![zip::<i64>(a, &b, f)])
}

fn floor_div(a: i64, b: i64) -> i64 {
    let quotient = a.wrapping_div(b);
    let inexact = a.wrapping_rem(b) != 0;
    if inexact && (a < 0) != (b < 0) { quotient - 1 } else { quotient }
}

fn floor_mod(a: i64, b: i64) -> i64 {
    let remainder = a.wrapping_rem(b);
    if remainder != 0 && (remainder < 0) != (b < 0) { remainder + b } else { remainder }
}

fn choose(args: Vec<Tensor>) -> Tensor {
    let [mask, yes, no] = take(args);
    let shape = yes.shape().to_vec();
    let mask = mask.as_slice::<bool>();
    by_kind!(yes.dtype(), T => {
        let mut result = yes.into_vec::<T>();
        let no = no.as_slice::<T>();
        for ((value, &keep), &other) in result.iter_mut().zip(mask).zip(no) {
            *value = if keep { *value } else { other };
        }
        Tensor::from_vec(&shape, result)
    })
}
