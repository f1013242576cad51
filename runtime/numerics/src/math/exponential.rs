//! `exp` and what is made of it. The argument is reduced to `x = k ln 2 + r` with `|r| <= ln(2)/2`.

use super::logarithm::log1p_pair;
use super::{
    INTEGERS, constant, divide_pairs, fast_two_sum, integers, polynomial, polynomial_by_halves, power_of_low_bits,
    power_of_two, scale, two_sum,
};
use crate::lanes::Lanes;

/// `(exp(r) - 1 - r) / r^2`.
const EXP_64: [f64; 11] = [
    0.5,
    0.16666666666666682,
    0.0416666666666668,
    0.008333333333318116,
    0.0013888888888820912,
    0.00019841269892689986,
    2.4801587405281326e-05,
    2.755723957348149e-06,
    2.7557256058830265e-07,
    2.5110099911780744e-08,
    2.09039424725202e-09,
];
const EXP_32: [f64; 5] = [0.5, 0.1666652113199234, 0.04166635498404503, 0.008368670009076595, 0.0013945510145276785];

/// `ln 2` in two parts, the first with trailing zeros: its product with k is exact.
#[inline(always)]
fn ln2<L: Lanes>(l: &mut L) -> (L::V, L::V) {
    (constant(l, 0.6931471805598903, 0.693145751953125), constant(l, 5.497923018708371e-14, 1.428606765330187e-06))
}

/// `x + x_low = k ln 2 + r + r_low`; `k` is an integer.
#[inline(always)]
pub(super) fn reduce<L: Lanes>(l: &mut L, x: L::V, x_low: L::V) -> (L::V, L::V, L::V) {
    let inverse = l.splat(std::f64::consts::LOG2_E);
    let turns = l.mul(x, inverse);
    let k = l.round_even(turns);
    let minus_k = l.neg(k);
    let (ln2_high, ln2_low) = ln2(l);
    let first = l.fma(minus_k, ln2_high, x);
    let rest = l.fma(minus_k, ln2_low, x_low);
    let (r, r_low) = fast_two_sum(l, first, rest);
    (k, r, r_low)
}

/// What is to be added to `1 + r` to give `exp(r + r_low)`.
#[inline(always)]
fn exp_tail<L: Lanes>(l: &mut L, r: L::V, r_low: L::V) -> L::V {
    let q = polynomial(l, r, &EXP_64, &EXP_32);
    let square = l.mul(r, r);
    let low = l.fma(r_low, r, r_low);
    l.fma(square, q, low)
}

/// `exp(x + x_low) = (high + low) * 2^k`, with `x` brought into the range where that is not 0 or infinite.
#[inline(always)]
pub(super) fn exp_parts<L: Lanes>(l: &mut L, x: L::V, x_low: L::V) -> (L::V, L::V, L::V) {
    let (least, most) = (constant(l, -746.0, -105.0), constant(l, 710.0, 89.0));
    let below = l.lt(x, least);
    let x = l.select(below, least, x);
    let above = l.lt(most, x);
    let x = l.select(above, most, x);
    let (k, r, r_low) = reduce(l, x, x_low);
    let tail = exp_tail(l, r, r_low);
    let one = l.splat(1.0);
    let (high, error) = fast_two_sum(l, one, r);
    let low = l.add(error, tail);
    (high, low, k)
}

/// `e^x`.
#[inline(always)]
pub fn exp<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let most = constant(l, 710.0, 89.0);
    let above = l.lt(most, x);
    let x = l.select(above, most, x);
    let (p, k) = exp_fraction(l, x);
    // In units of the least normal float, or of 2 where the result is large.
    let two = constant(l, INTEGERS.0 + 2.0, INTEGERS.1 + 2.0);
    let small = l.lt(k, two);
    let (shift, minus_one) = (least_exponent(l), l.splat(-1.0));
    let shift = l.select(small, shift, minus_one);
    let (unit, two) = (least_normal(l), l.splat(2.0));
    let unit = l.select(small, unit, two);
    scale_up(l, p, k, shift, unit)
}

/// `e^x` for an `x` that is not above 0, or not a number: the bits of `exp`, in fewer steps.
#[inline(always)]
pub fn exp_of_nonpositive<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (p, k) = exp_fraction(l, x);
    let (shift, unit) = (least_exponent(l), least_normal(l));
    scale_up(l, p, k, shift, unit)
}

/// `e^x = (1 + p) * 2^k`, with `k` as `k + integers()`.
#[inline(always)]
fn exp_fraction<L: Lanes>(l: &mut L, x: L::V) -> (L::V, L::V) {
    let least = constant(l, -746.0, -105.0);
    let below = l.lt(x, least);
    let x = l.select(below, least, x);
    let (magic, inverse) = (integers(l), l.splat(std::f64::consts::LOG2_E));
    let shifted = l.fma(x, inverse, magic);
    let k = l.sub(shifted, magic);
    let minus_k = l.neg(k);
    let (ln2_high, ln2_low) = ln2(l);
    let r = l.fma(minus_k, ln2_high, x);
    let r = l.fma(minus_k, ln2_low, r);
    let square = l.mul(r, r);
    let q = polynomial_by_halves(l, r, square, &EXP_64, &EXP_32);
    (l.fma(square, q, r), shifted)
}

/// What is added to an exponent for numbers in units of the least normal float.
#[inline(always)]
fn least_exponent<L: Lanes>(l: &mut L) -> L::V {
    constant(l, 1022.0, 126.0)
}

#[inline(always)]
fn least_normal<L: Lanes>(l: &mut L) -> L::V {
    constant(l, f64::MIN_POSITIVE, f64::from(f32::MIN_POSITIVE))
}

/// `(1 + p) * 2^k`, rounded once (twice if it is subnormal), for `k` from twice the least normal exponent on; `unit` is `2^-shift`. No product underflows,
/// which would take many processors several times as long.
#[inline(always)]
fn scale_up<L: Lanes>(l: &mut L, p: L::V, k: L::V, shift: L::V, unit: L::V) -> L::V {
    let one = l.splat(1.0);
    let k = l.add(k, shift);
    let power = power_of_low_bits(l, k);
    let units = l.fma(p, power, power);
    // Below 1 the result is subnormal: the fraction of the sum with 1, which rounds it, has its bits.
    let tiny = l.lt(units, one);
    let sum = l.add(units, one);
    let subnormal = l.bits_sub(sum, one);
    let units = l.select(tiny, one, units);
    let normal = l.mul(units, unit);
    l.select(tiny, subnormal, normal)
}

/// `exp(-|x|)` as a value and its correction.
#[inline(always)]
fn exp_of_minus_abs<L: Lanes>(l: &mut L, x: L::V) -> (L::V, L::V) {
    let zero = l.splat(0.0);
    let size = l.abs(x);
    let minus = l.neg(size);
    let (high, low, k) = exp_parts(l, minus, zero);
    let (high, low) = fast_two_sum(l, high, low);
    (scale(l, high, k), scale(l, low, k))
}

/// `unit * (exp(r + r_low) 2^k - 1)` as a value and its correction, where `m = unit * 2^k`.
#[inline(always)]
pub(super) fn expm1_pair<L: Lanes>(l: &mut L, r: L::V, r_low: L::V, m: L::V, unit: f64) -> (L::V, L::V) {
    let minus_unit = l.splat(-unit);
    let tail = exp_tail(l, r, r_low);
    let (offset, lost) = two_sum(l, m, minus_unit);
    let high = l.fma(m, r, offset);
    let back = l.sub(offset, high);
    let error = l.fma(m, r, back);
    let low = l.fma(m, tail, error);
    let low = l.add(low, lost);
    (high, low)
}

/// `e^x - 1`, precise near 0.
#[inline(always)]
pub fn expm1<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (least, most) = (constant(l, -40.0, -20.0), constant(l, 710.0, 89.0));
    let below = l.lt(x, least);
    let bounded = l.select(below, least, x);
    let above = l.lt(most, bounded);
    let bounded = l.select(above, most, bounded);
    let zero = l.splat(0.0);
    let (k, r, r_low) = reduce(l, bounded, zero);
    // Half the result, so that 2^k stays a float at the upper end.
    let one = l.splat(1.0);
    let less = l.sub(k, one);
    let m = power_of_two(l, less);
    let (high, low) = expm1_pair(l, r, r_low, m, 0.5);
    let half = l.add(high, low);
    let value = l.add(half, half);
    keep_tiny(l, x, value)
}

/// `x` itself where it is so small that the function is `x` to rounding (this keeps `-0` and subnormals).
#[inline(always)]
fn keep_tiny<L: Lanes>(l: &mut L, x: L::V, value: L::V) -> L::V {
    let tiny = constant(l, 1e-17, 1e-8);
    let size = l.abs(x);
    let small = l.lt(size, tiny);
    l.select(small, x, value)
}

/// The hyperbolic tangent.
#[inline(always)]
pub fn tanh<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    // With e = exp(-2|x|) - 1: tanh |x| = -e / (2 + e).
    let (size, zero, two) = (l.abs(x), l.splat(0.0), l.splat(2.0));
    let most = constant(l, 22.0, 10.0);
    let above = l.lt(most, size);
    let bounded = l.select(above, most, size);
    let minus_two = l.splat(-2.0);
    let argument = l.mul(bounded, minus_two);
    let (k, r, r_low) = reduce(l, argument, zero);
    let m = power_of_two(l, k);
    let (high, low) = expm1_pair(l, r, r_low, m, 1.0);
    let (high, low) = fast_two_sum(l, high, low);
    let (below, below_error) = fast_two_sum(l, two, high);
    let below_low = l.add(below_error, low);
    let numerator = (l.neg(high), l.neg(low));
    let (value, correction) = divide_pairs(l, numerator, (below, below_low));
    let value = l.add(value, correction);
    let sign = super::sign_bit(l);
    let sign = l.bit_and(sign, x);
    let value = l.bit_or(value, sign);
    let tiny = constant(l, 1e-9, 2e-4);
    let small = l.lt(size, tiny);
    l.select(small, x, value)
}

/// The logistic function `1 / (1 + exp(-x))`.
#[inline(always)]
pub fn sigmoid<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (zero, one) = (l.splat(0.0), l.splat(1.0));
    let (e, e_low) = exp_of_minus_abs(l, x);
    let negative = l.lt(x, zero);
    let above = l.select(negative, e, one);
    let above_low = l.select(negative, e_low, zero);
    let (below, error) = fast_two_sum(l, one, e);
    let below_low = l.add(error, e_low);
    let (value, correction) = divide_pairs(l, (above, above_low), (below, below_low));
    l.add(value, correction)
}

/// `log(1 + exp(x))`.
#[inline(always)]
pub fn softplus<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let zero = l.splat(0.0);
    let (e, e_low) = exp_of_minus_abs(l, x);
    let (high, low) = log1p_pair(l, e, e_low);
    let negative = l.lt(x, zero);
    let linear = l.select(negative, zero, x);
    // The logarithm is at most ln 2 and x may be smaller: the exact sum needs no order.
    let (sum, error) = two_sum(l, linear, high);
    let rest = l.add(error, low);
    let value = l.add(sum, rest);
    // At infinity the exact error of the sum is not a number.
    let infinite = l.splat(f64::INFINITY);
    let at_infinity = l.eq(x, infinite);
    l.select(at_infinity, x, value)
}
