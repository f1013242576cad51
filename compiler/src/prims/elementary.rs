//! Elementary and special functions: elementwise, from the one definition that compiled code shares.

use super::elementwise::{float_binary, float_unary};
use super::sample::{self, Use};
use super::shape::{self, Rule};
use super::value::{Values, map, take, wrong_kind, zip};
use super::{Family, Prim};
use crate::ir::graph::{Op, Type};
use dp_runtime::lanes::{F32Lane, F64Lane};
use dp_runtime::math;
use dp_runtime::tensor::Tensor;

/// Rows of functions of one operand: name of the row, operation, printed name, definition, range of samples, summary.
macro_rules! rows {
    ($($row:ident $op:ident $name:literal $function:ident ($low:expr, $high:expr) $doc:literal;)*) => {$(
        pub static $row: Prim = Prim {
            name: $name,
            doc: $doc,
            family: Family::Elementwise,
            plain: Some(|| Op::$op),
            result: float_unary,
            eval: |op, args| {
                let [x] = take(args);
                Ok(vec![match x {
                    Tensor::F32(_) => map::<f32>(x, |x| math::$function(&mut F32Lane, x)),
                    Tensor::F64(_) => map::<f64>(x, |x| math::$function(&mut F64Lane, x)),
                    Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
                }])
            },
            sample: |rng| sample::unary(rng, Op::$op, $low, $high),
            special: || sample::special_unary(&Op::$op),
        };
    )*};
}

rows! {
    LOG2 Log2 "log2" log2 (0.1, 4.0) "The logarithm to base 2, exact at its powers; NaN below 0.";
    LOG10 Log10 "log10" log10 (0.1, 4.0) "The logarithm to base 10; NaN below 0.";
    CBRT Cbrt "cbrt" cbrt (0.2, 4.0) "The cube root, also of negative numbers.";
    ASIN Asin "asin" asin (-0.9, 0.9) "The angle between -pi/2 and pi/2 with this sine; NaN beyond -1 and 1.";
    ACOS Acos "acos" acos (-0.9, 0.9) "The angle between 0 and pi with this cosine; NaN beyond -1 and 1.";
    SINH Sinh "sinh" sinh (-2.0, 2.0) "The hyperbolic sine.";
    COSH Cosh "cosh" cosh (-2.0, 2.0) "The hyperbolic cosine.";
    ASINH Asinh "asinh" asinh (-3.0, 3.0) "The inverse hyperbolic sine.";
    ACOSH Acosh "acosh" acosh (1.2, 4.0) "The inverse hyperbolic cosine, at least 0; NaN below 1.";
    ATANH Atanh "atanh" atanh (-0.9, 0.9) "The inverse hyperbolic tangent; NaN beyond -1 and 1.";
    ERFC Erfc "erfc" erfc (-2.0, 3.0) "1 - erf(x), accurate where it is small.";
    LGAMMA Lgamma "lgamma" lgamma (0.3, 6.0) "The logarithm of the size of the gamma function; infinite at 0 and the negative integers.";
}

pub static HYPOT: Prim = Prim {
    name: "hypot",
    doc: "sqrt(a^2 + b^2) without overflow on the way.",
    family: Family::Elementwise,
    plain: Some(|| Op::Hypot),
    result: float_binary,
    eval: |op, args| {
        let [a, b] = take(args);
        Ok(vec![match a {
            Tensor::F32(_) => zip::<f32>(a, &b, |a, b| math::hypot(&mut F32Lane, a, b)),
            Tensor::F64(_) => zip::<f64>(a, &b, |a, b| math::hypot(&mut F64Lane, a, b)),
            Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
        }])
    },
    sample: |rng| sample::binary(rng, Op::Hypot, (-2.0, 2.0), (-2.0, 2.0)),
    special: || sample::special_binary(&Op::Hypot),
};

pub static POLYGAMMA: Prim = Prim {
    name: "polygamma",
    doc: "The derivative of that order of digamma, which is order 0: the logarithmic derivative of the gamma function.\n\
          At 0 infinite; at the negative integers infinite for odd orders, NaN for even ones.",
    family: Family::Elementwise,
    plain: None,
    result: polygamma,
    eval: eval_polygamma,
    sample: |rng| {
        // Right of the zero of digamma at 1.46, near which it is accurate absolutely only.
        let order = rng.below(3);
        sample::unary(rng, Op::Polygamma { order }, 1.7, 6.0)
    },
    special: special_polygamma,
};

fn polygamma(op: &Op, args: &[&Type]) -> Rule {
    let Op::Polygamma { .. } = op else { shape::wrong_row(op) };
    float_unary(op, args)
}

fn eval_polygamma(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Polygamma { order } = *op else { shape::wrong_row(op) };
    let [x] = take(args);
    Ok(vec![match x {
        Tensor::F32(_) => map::<f32>(x, |x| math::polygamma(&mut F32Lane, order, x)),
        Tensor::F64(_) => map::<f64>(x, |x| math::polygamma(&mut F64Lane, order, x)),
        Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

fn special_polygamma() -> Vec<Use> {
    (0..4).flat_map(|order| sample::special_unary(&Op::Polygamma { order })).collect()
}
