//! One elementwise operation as instructions, on one element or several side by side.
//!
//! A bool is 0 or 1 in one byte when alone, and a lane of all ones or zeros, as wide as its neighbours, in a vector.

use super::lanes::Clif;
use crate::ir::graph::Op;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use dp_runtime::lanes::Lanes;
use dp_runtime::math;
use dp_runtime::tensor::DType;

/// The type of `lanes` elements of a kind.
pub fn clif_type(dtype: DType, lanes: u32) -> Type {
    match (dtype, lanes) {
        (DType::F32, 1) => types::F32,
        (DType::F32, _) => types::F32X4,
        (DType::F64, 1) => types::F64,
        (DType::F64, _) => types::F64X2,
        (DType::I64 | DType::Key, 1) => types::I64,
        (DType::I64 | DType::Key, _) => types::I64X2,
        (DType::Bool, 1) => types::I8,
        (DType::Bool, 4) => types::I32X4,
        (DType::Bool, _) => types::I64X2,
    }
}

/// A division by zero is not for this function: the caller checks divisors before.
pub fn element(b: &mut FunctionBuilder, op: &Op, lanes: u32, from: &[DType], to: DType, args: &[Value]) -> Value {
    let vector = lanes > 1;
    match from[0] {
        DType::F32 => {
            if let Some(value) = float_op(&mut Clif::<32> { b, vector }, op, args) {
                return value;
            }
        }
        DType::F64 => {
            if let Some(value) = float_op(&mut Clif::<64> { b, vector }, op, args) {
                return value;
            }
        }
        DType::I64 => {
            if let Some(value) = int_op(b, vector, op, args) {
                return value;
            }
        }
        DType::Bool | DType::Key => {}
    }
    match op {
        Op::Eq => b.ins().icmp(IntCC::Equal, args[0], args[1]),
        Op::Ne => b.ins().icmp(IntCC::NotEqual, args[0], args[1]),
        Op::And => b.ins().band(args[0], args[1]),
        Op::Or => b.ins().bor(args[0], args[1]),
        Op::Not if vector => b.ins().bnot(args[0]),
        Op::Not => b.ins().bxor_imm_u(args[0], 1),
        Op::Select => match to {
            DType::F32 => Clif::<32> { b, vector }.select(args[0], args[1], args[2]),
            DType::F64 => Clif::<64> { b, vector }.select(args[0], args[1], args[2]),
            DType::I64 | DType::Key | DType::Bool => choose(b, vector, args[0], args[1], args[2]),
        },
        Op::Convert(_) => convert(b, lanes, from[0], to, args[0]),
        Op::StopGradient => args[0],
        other => unreachable!("`{}` on {}", crate::prims::name(other), from[0].name()),
    }
}

/// The maximum (or minimum) of floats and a constant that is not NaN, nor the zero that loses against the other:
/// `x <= c ? c : x`, which keeps a NaN of x.
pub fn against_bound(b: &mut FunctionBuilder, op: &Op, lanes: u32, dtype: DType, x: Value, bound: Value) -> Value {
    fn keep<const N: u32>(mut l: Clif<N>, op: &Op, x: Value, bound: Value) -> Value {
        let beyond = if matches!(op, Op::Max) { l.le(x, bound) } else { l.le(bound, x) };
        l.select(beyond, bound, x)
    }
    let vector = lanes > 1;
    if dtype == DType::F32 {
        keep(Clif::<32> { b, vector }, op, x, bound)
    } else {
        keep(Clif::<64> { b, vector }, op, x, bound)
    }
}

/// `exp` of floats that are not above 0.
pub fn exp_of_nonpositive(b: &mut FunctionBuilder, lanes: u32, dtype: DType, x: Value) -> Value {
    let vector = lanes > 1;
    if dtype == DType::F32 {
        math::exp_of_nonpositive(&mut Clif::<32> { b, vector }, x)
    } else {
        math::exp_of_nonpositive(&mut Clif::<64> { b, vector }, x)
    }
}

/// `x * y + z` of floats, rounded once.
pub fn multiply_add(b: &mut FunctionBuilder, lanes: u32, dtype: DType, x: Value, y: Value, z: Value) -> Value {
    let vector = lanes > 1;
    if dtype == DType::F32 { Clif::<32> { b, vector }.fma(x, y, z) } else { Clif::<64> { b, vector }.fma(x, y, z) }
}

/// Selects between integers or bools.
fn choose(b: &mut FunctionBuilder, vector: bool, mask: Value, yes: Value, no: Value) -> Value {
    if vector { b.ins().bitselect(mask, yes, no) } else { b.ins().select(mask, yes, no) }
}

/// Operations on floats; `None` for those that do not depend on the kind.
fn float_op<const N: u32>(l: &mut Clif<N>, op: &Op, args: &[Value]) -> Option<Value> {
    let x = args[0];
    Some(match op {
        Op::Neg => l.neg(x),
        Op::Abs => l.abs(x),
        Op::Sign => {
            let (zero, one, minus) = (l.splat(0.0), l.splat(1.0), l.splat(-1.0));
            let (positive, negative, none) = (l.lt(zero, x), l.lt(x, zero), l.eq(x, zero));
            let value = l.select(none, zero, x);
            let value = l.select(negative, minus, value);
            l.select(positive, one, value)
        }
        Op::Exp => math::exp(l, x),
        Op::Expm1 => math::expm1(l, x),
        Op::Log => math::log(l, x),
        Op::Log1p => math::log1p(l, x),
        Op::Sqrt => l.sqrt(x),
        Op::Sin => math::sin(l, x),
        Op::Cos => math::cos(l, x),
        Op::Tan => math::tan(l, x),
        Op::Tanh => math::tanh(l, x),
        Op::Sigmoid => math::sigmoid(l, x),
        Op::Softplus => math::softplus(l, x),
        Op::Erf => math::erf(l, x),
        Op::Atan => math::atan(l, x),
        Op::Log2 => math::log2(l, x),
        Op::Log10 => math::log10(l, x),
        Op::Cbrt => math::cbrt(l, x),
        Op::Asin => math::asin(l, x),
        Op::Acos => math::acos(l, x),
        Op::Sinh => math::sinh(l, x),
        Op::Cosh => math::cosh(l, x),
        Op::Asinh => math::asinh(l, x),
        Op::Acosh => math::acosh(l, x),
        Op::Atanh => math::atanh(l, x),
        Op::Erfc => math::erfc(l, x),
        Op::Lgamma => math::lgamma(l, x),
        Op::Polygamma { order } => math::polygamma(l, *order, x),
        Op::Floor => l.floor(x),
        Op::Ceil => l.ceil(x),
        Op::Round => l.round_even(x),
        Op::Add => l.add(x, args[1]),
        Op::Sub => l.sub(x, args[1]),
        Op::Mul => l.mul(x, args[1]),
        // One term of a product of matrices.
        Op::Dot { .. } => {
            let zero = l.splat(0.0);
            l.fma(x, args[1], zero)
        }
        Op::MulZ => {
            let product = l.mul(x, args[1]);
            let zero = l.splat(0.0);
            let (first, second) = (l.eq(x, zero), l.eq(args[1], zero));
            let annihilates = l.mask_or(first, second);
            let number = l.eq(product, product);
            let kept = l.select(annihilates, zero, product);
            l.select(number, product, kept)
        }
        Op::Div => l.div(x, args[1]),
        Op::Pow => math::pow(l, x, args[1]),
        Op::Max => math::max(l, x, args[1]),
        Op::Min => math::min(l, x, args[1]),
        Op::Atan2 => math::atan2(l, x, args[1]),
        Op::Hypot => math::hypot(l, x, args[1]),
        Op::Lt => l.lt(x, args[1]),
        Op::Le => l.le(x, args[1]),
        Op::Eq => l.eq(x, args[1]),
        Op::Ne => l.b.ins().fcmp(FloatCC::NotEqual, x, args[1]),
        _ => return None,
    })
}

/// Operations on integers; `None` for those that do not depend on the kind.
fn int_op(b: &mut FunctionBuilder, vector: bool, op: &Op, args: &[Value]) -> Option<Value> {
    let x = args[0];
    Some(match op {
        Op::Neg => b.ins().ineg(x),
        Op::Abs => {
            let zero = int(b, vector, 0);
            let negative = b.ins().icmp(IntCC::SignedLessThan, x, zero);
            let opposite = b.ins().ineg(x);
            choose(b, vector, negative, opposite, x)
        }
        Op::Sign => {
            let (zero, one, minus) = (int(b, vector, 0), int(b, vector, 1), int(b, vector, -1));
            let negative = b.ins().icmp(IntCC::SignedLessThan, x, zero);
            let positive = b.ins().icmp(IntCC::SignedLessThan, zero, x);
            let value = choose(b, vector, negative, minus, zero);
            choose(b, vector, positive, one, value)
        }
        Op::Add => b.ins().iadd(x, args[1]),
        Op::Sub => b.ins().isub(x, args[1]),
        Op::Mul => b.ins().imul(x, args[1]),
        Op::Max => {
            let less = b.ins().icmp(IntCC::SignedLessThan, x, args[1]);
            choose(b, vector, less, args[1], x)
        }
        Op::Min => {
            let less = b.ins().icmp(IntCC::SignedLessThan, args[1], x);
            choose(b, vector, less, args[1], x)
        }
        Op::Lt => b.ins().icmp(IntCC::SignedLessThan, x, args[1]),
        // There is no vector comparison `<=` of 64-bit integers on all processors.
        Op::Le => {
            let greater = b.ins().icmp(IntCC::SignedLessThan, args[1], x);
            if vector { b.ins().bnot(greater) } else { b.ins().bxor_imm_u(greater, 1) }
        }
        Op::IntDiv => divide(b, x, args[1]).0,
        Op::Mod => divide(b, x, args[1]).1,
        _ => return None,
    })
}

/// An integer constant.
fn int(b: &mut FunctionBuilder, vector: bool, value: i64) -> Value {
    let scalar = b.ins().iconst(types::I64, value);
    if vector { b.ins().splat(types::I64X2, scalar) } else { scalar }
}

/// Quotient toward minus infinity, and the remainder with the divisor's sign, of scalars; the divisor is not zero.
fn divide(b: &mut FunctionBuilder, x: Value, y: Value) -> (Value, Value) {
    // The processor faults at MIN / -1, which wraps here.
    let minus = b.ins().icmp_imm_s(IntCC::Equal, y, -1);
    let one = b.ins().iconst(types::I64, 1);
    let safe = b.ins().select(minus, one, y);
    let quotient = b.ins().sdiv(x, safe);
    let product = b.ins().imul(quotient, safe);
    let rest = b.ins().isub(x, product);
    let opposite = b.ins().ineg(quotient);
    let quotient = b.ins().select(minus, opposite, quotient);
    let some = b.ins().icmp_imm_s(IntCC::NotEqual, rest, 0);
    let signs = b.ins().bxor(rest, y);
    let differ = b.ins().icmp_imm_s(IntCC::SignedLessThan, signs, 0);
    let adjust = b.ins().band(some, differ);
    let lower = b.ins().iadd_imm_s(quotient, -1);
    let raised = b.ins().iadd(rest, y);
    (b.ins().select(adjust, lower, quotient), b.ins().select(adjust, raised, rest))
}

fn convert(b: &mut FunctionBuilder, lanes: u32, from: DType, to: DType, x: Value) -> Value {
    let vector = lanes > 1;
    match (from, to) {
        (DType::F32, DType::F32) | (DType::F64, DType::F64) | (DType::Bool, DType::Bool) => x,
        (DType::I64 | DType::Key, DType::I64 | DType::Key) => x,
        (DType::Bool, DType::F32) => {
            let mut l = Clif::<32> { b, vector };
            let (one, zero) = (l.splat(1.0), l.splat(0.0));
            l.select(x, one, zero)
        }
        (DType::Bool, DType::F64) => {
            let mut l = Clif::<64> { b, vector };
            let (one, zero) = (l.splat(1.0), l.splat(0.0));
            l.select(x, one, zero)
        }
        (DType::Bool, DType::I64 | DType::Key) => {
            let (one, zero) = (int(b, vector, 1), int(b, vector, 0));
            choose(b, vector, x, one, zero)
        }
        (DType::F32, DType::Bool) => {
            let zero = Clif::<32> { b, vector }.splat(0.0);
            b.ins().fcmp(FloatCC::NotEqual, x, zero)
        }
        (DType::F64, DType::Bool) => {
            let zero = Clif::<64> { b, vector }.splat(0.0);
            b.ins().fcmp(FloatCC::NotEqual, x, zero)
        }
        (DType::I64 | DType::Key, DType::Bool) => {
            let zero = int(b, vector, 0);
            b.ins().icmp(IntCC::NotEqual, x, zero)
        }
        (DType::F32, DType::F64) => b.ins().fpromote(types::F64, x),
        (DType::F64, DType::F32) => b.ins().fdemote(types::F32, x),
        (DType::I64, DType::F32) => b.ins().fcvt_from_sint(types::F32, x),
        (DType::I64, DType::F64) => b.ins().fcvt_from_sint(types::F64, x),
        (DType::Key, DType::F64) => b.ins().fcvt_from_uint(types::F64, x),
        (DType::Key, DType::F32) => {
            let wide = b.ins().fcvt_from_uint(types::F64, x);
            b.ins().fdemote(types::F32, wide)
        }
        (DType::F32 | DType::F64, DType::I64) => b.ins().fcvt_to_sint_sat(types::I64, x),
        (DType::F32 | DType::F64, DType::Key) => b.ins().fcvt_to_uint_sat(types::I64, x),
    }
}
