//! The elementary functions, written once over `lanes::Lanes` for 32 and 64 bit floats.
//!
//! The reference evaluator runs them on plain scalars and the code generator on vectors of Cranelift
//! values, so both give the same bits. They are straight lines of correctly rounded operations: what
//! depends on the data is a `select`, never a branch. Polynomials are minimax fits on the reduced
//! interval (`runtime/tests/scripts/minimax.py` computes them).
//!
//! Largest errors, in units in the last place (ulp), are held by `runtime/tests/math.rs`. Domain: every
//! float, with infinities, NaN, zeros and subnormal numbers treated as IEEE 754 and C's Annex F do,
//! with one exception: `sin`, `cos` and `tan` give NaN where neighbouring floats are more than a
//! quarter of a radian apart (beyond `2^51` in 64 bits and `2^22` in 32 bits), since no digit of the
//! result would mean anything there.

use crate::lanes::Lanes;

mod error_function;
mod exponential;
mod gamma;
mod hyperbolic;
mod logarithm;
mod power;
mod roots;
pub mod scalar;
mod trigonometric;

pub use error_function::{erf, erfc};
pub use exponential::{exp, exp_of_nonpositive, expm1, sigmoid, softplus, tanh};
pub use gamma::{lgamma, polygamma};
pub use hyperbolic::{acosh, asinh, atanh, cosh, sinh};
pub use logarithm::{log, log1p, log2, log10};
pub use power::pow;
pub use roots::{cbrt, hypot};
pub use trigonometric::{acos, asin, atan, atan2, cos, sin, tan};

/// `-1`, `0` or `1` with the sign of `x`; zeros keep their sign, NaN stays NaN.
#[inline(always)]
pub fn sign<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (zero, one, minus) = (l.splat(0.0), l.splat(1.0), l.splat(-1.0));
    let positive = l.lt(zero, x);
    let negative = l.lt(x, zero);
    let below = l.select(negative, minus, x);
    l.select(positive, one, below)
}

/// The larger operand; NaN if either is NaN; `max(-0, 0) = 0`.
#[inline(always)]
pub fn max<L: Lanes>(l: &mut L, a: L::V, b: L::V) -> L::V {
    let (less, equal, b_is_number) = (l.lt(a, b), l.eq(a, b), l.eq(b, b));
    // Equal operands differ at most in the sign of zero.
    let both = l.bit_and(a, b);
    let tie = l.select(equal, both, a);
    let larger = l.select(less, b, tie);
    l.select(b_is_number, larger, b)
}

/// The smaller operand; NaN if either is NaN; `min(-0, 0) = -0`.
#[inline(always)]
pub fn min<L: Lanes>(l: &mut L, a: L::V, b: L::V) -> L::V {
    let (a_less, b_less) = (l.lt(a, b), l.lt(b, a));
    // Each is one instruction of most processors. Neither comparison holds for a NaN, which one of them then gives, and any bits
    // beside its own leave it one; nor for zeros, of which they give both.
    let (first, second) = (l.select(a_less, a, b), l.select(b_less, b, a));
    l.bit_or(first, second)
}

/// One of two constants by the lane's width.
#[inline(always)]
fn by_width<L: Lanes, T>(wide: T, narrow: T) -> T {
    if L::BITS == 64 { wide } else { narrow }
}

/// A constant that differs between the widths.
#[inline(always)]
fn constant<L: Lanes>(l: &mut L, wide: f64, narrow: f64) -> L::V {
    l.splat(by_width::<L, _>(wide, narrow))
}

/// Bits of the fraction field.
#[inline(always)]
fn fraction_bits<L: Lanes>() -> u32 {
    by_width::<L, _>(52, 23)
}

/// The bits of `1.0`.
#[inline(always)]
fn one_bits<L: Lanes>() -> u64 {
    by_width::<L, _>(0x3ff0_0000_0000_0000, 0x3f80_0000)
}

/// The sign bit alone, which is also the number `-0`.
#[inline(always)]
fn sign_bit<L: Lanes>(l: &mut L) -> L::V {
    l.splat_bits(by_width::<L, _>(1 << 63, 1 << 31))
}

/// The polynomial with the given coefficients, lowest power first, by Horner's rule.
#[inline(always)]
fn polynomial<L: Lanes>(l: &mut L, x: L::V, wide: &[f64], narrow: &[f64]) -> L::V {
    let coefficients = by_width::<L, _>(wide, narrow);
    let (last, rest) = coefficients.split_last().expect("a polynomial has coefficients");
    let mut value = l.splat(*last);
    for &c in rest.iter().rev() {
        let c = l.splat(c);
        value = l.fma(value, x, c);
    }
    value
}

/// The polynomial, of at most 16 coefficients, as a sum of parts that do not wait for one another (Estrin's scheme), with the
/// square of the variable given.
#[inline(always)]
fn polynomial_by_halves<L: Lanes>(l: &mut L, x: L::V, square: L::V, wide: &[f64], narrow: &[f64]) -> L::V {
    let coefficients = by_width::<L, _>(wide, narrow);
    let mut parts = [x; 16];
    for (part, &c) in parts.iter_mut().zip(coefficients) {
        *part = l.splat(c);
    }
    let (mut count, mut power, mut next) = (coefficients.len(), x, Some(square));
    while count > 1 {
        for k in 0..count / 2 {
            parts[k] = l.fma(parts[2 * k + 1], power, parts[2 * k]);
        }
        if count % 2 == 1 {
            parts[count / 2] = parts[count - 1];
        }
        count = count.div_ceil(2);
        if count > 1 {
            power = match next.take() {
                Some(square) => square,
                None => l.mul(power, power),
            };
        }
    }
    parts[0]
}

/// `a + b` as a rounded sum and its exact error, for `|a| >= |b|` or `a = 0` (Dekker 1971).
#[inline(always)]
fn fast_two_sum<L: Lanes>(l: &mut L, a: L::V, b: L::V) -> (L::V, L::V) {
    let sum = l.add(a, b);
    let taken = l.sub(sum, a);
    let error = l.sub(b, taken);
    (sum, error)
}

/// `a + b` as a rounded sum and its exact error (Knuth 1969).
#[inline(always)]
fn two_sum<L: Lanes>(l: &mut L, a: L::V, b: L::V) -> (L::V, L::V) {
    let sum = l.add(a, b);
    let b_part = l.sub(sum, a);
    let a_part = l.sub(sum, b_part);
    let (a_error, b_error) = (l.sub(a, a_part), l.sub(b, b_part));
    let error = l.add(a_error, b_error);
    (sum, error)
}

/// `a * b` as a rounded product and its exact error.
#[inline(always)]
fn two_product<L: Lanes>(l: &mut L, a: L::V, b: L::V) -> (L::V, L::V) {
    let product = l.mul(a, b);
    let minus = l.neg(product);
    let error = l.fma(a, b, minus);
    (product, error)
}

/// `(a + a_low) / (b + b_low)` rounded almost correctly, as a value and a correction.
#[inline(always)]
fn divide_pairs<L: Lanes>(l: &mut L, a: (L::V, L::V), b: (L::V, L::V)) -> (L::V, L::V) {
    let one = l.splat(1.0);
    let inverse = l.div(one, b.0);
    let quotient = l.mul(a.0, inverse);
    let minus = l.neg(quotient);
    let rest = l.fma(minus, b.0, a.0);
    let rest = l.add(rest, a.1);
    let rest = l.fma(minus, b.1, rest);
    let correction = l.mul(rest, inverse);
    (quotient, correction)
}

/// Added to a small number, `1.5 * 2^fraction` rounds it to an integer and leaves that, in two's complement, in the low bits.
const INTEGERS: (f64, f64) = (6_755_399_441_055_744.0, 12_582_912.0);

/// `INTEGERS` of the lane's width.
#[inline(always)]
fn integers<L: Lanes>(l: &mut L) -> L::V {
    constant(l, INTEGERS.0, INTEGERS.1)
}

/// `2^k` for an integer `k` in the range of normal exponents.
#[inline(always)]
fn power_of_two<L: Lanes>(l: &mut L, k: L::V) -> L::V {
    let magic = integers(l);
    let low = l.add(k, magic);
    power_of_low_bits(l, low)
}

/// `2^k` for `k + integers()`.
#[inline(always)]
fn power_of_low_bits<L: Lanes>(l: &mut L, low: L::V) -> L::V {
    let exponent = l.bits_shl(low, fraction_bits::<L>());
    let one = l.splat_bits(one_bits::<L>());
    l.bits_add(exponent, one)
}

/// `value * 2^k` for `k` up to twice the range of normal exponents, rounded once.
#[inline(always)]
fn scale<L: Lanes>(l: &mut L, value: L::V, k: L::V) -> L::V {
    let half = l.splat(0.5);
    let half_k = l.mul(k, half);
    let first = l.floor(half_k);
    let second = l.sub(k, first);
    let (first, second) = (power_of_two(l, first), power_of_two(l, second));
    let value = l.mul(value, first);
    l.mul(value, second)
}
