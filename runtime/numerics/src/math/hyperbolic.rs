//! The hyperbolic functions but for `tanh`, and the inverse ones, from the pairs behind `exp` and `log1p`.

use super::exponential::{expm1_pair, reduce};
use super::logarithm::log1p_pair;
use super::{constant, divide_pairs, fast_two_sum, power_of_two, sign_bit, two_sum};
use crate::lanes::Lanes;

/// A quarter of `exp(|x|) - 1` as a value and its correction; beyond the range of the hyperbolic functions it is large
/// enough for four times it to be infinite.
#[inline(always)]
fn quarter_expm1<L: Lanes>(l: &mut L, x: L::V) -> (L::V, L::V) {
    let (size, zero, two) = (l.abs(x), l.splat(0.0), l.splat(2.0));
    let most = constant(l, 710.6, 89.6);
    let above = l.lt(most, size);
    let bounded = l.select(above, most, size);
    let (k, r, r_low) = reduce(l, bounded, zero);
    let less = l.sub(k, two);
    let m = power_of_two(l, less);
    let (high, low) = expm1_pair(l, r, r_low, m, 0.25);
    fast_two_sum(l, high, low)
}

/// NaN where the argument is not a number, else the value.
#[inline(always)]
fn unless_nan<L: Lanes>(l: &mut L, x: L::V, value: L::V) -> L::V {
    let number = l.eq(x, x);
    l.select(number, value, x)
}

/// `value`, which is not negative, with the sign of `x`.
#[inline(always)]
fn with_sign<L: Lanes>(l: &mut L, x: L::V, value: L::V) -> L::V {
    let sign = sign_bit(l);
    let sign = l.bit_and(sign, x);
    l.bit_or(value, sign)
}

/// `x` where the function is `x` to rounding.
#[inline(always)]
fn keep_tiny<L: Lanes>(l: &mut L, x: L::V, value: L::V) -> L::V {
    let tiny = constant(l, 5e-9, 1.5e-4);
    let size = l.abs(x);
    let small = l.lt(size, tiny);
    l.select(small, x, value)
}

/// The hyperbolic sine.
#[inline(always)]
pub fn sinh<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    // With q = (exp |x| - 1) / 4: sinh |x| = 2 (q + q / (1 + 4 q)).
    let (one, four) = (l.splat(1.0), l.splat(4.0));
    let (q, q_low) = quarter_expm1(l, x);
    let (whole, whole_low) = (l.mul(four, q), l.mul(four, q_low));
    let (below, error) = two_sum(l, one, whole);
    let below_low = l.add(error, whole_low);
    let (quotient, correction) = divide_pairs(l, (q, q_low), (below, below_low));
    // Where 4 q is infinite the quotient is a quarter, which does not matter.
    let infinite = l.splat(f64::INFINITY);
    let finite = l.lt(whole, infinite);
    let quarter = l.splat(0.25);
    let zero = l.splat(0.0);
    let quotient = l.select(finite, quotient, quarter);
    let correction = l.select(finite, correction, zero);
    let (sum, error) = two_sum(l, q, quotient);
    let low = l.add(q_low, correction);
    let low = l.add(error, low);
    let half = l.add(sum, low);
    let value = l.add(half, half);
    let value = with_sign(l, x, value);
    let value = unless_nan(l, x, value);
    keep_tiny(l, x, value)
}

/// The hyperbolic cosine.
#[inline(always)]
pub fn cosh<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    // With e = exp |x| / 4: cosh x = 2 (e + 1 / (16 e)).
    let (quarter, sixteenth) = (l.splat(0.25), l.splat(0.0625));
    let (q, q_low) = quarter_expm1(l, x);
    let (e, error) = two_sum(l, q, quarter);
    let e_low = l.add(error, q_low);
    let inverse = l.div(sixteenth, e);
    let (sum, error) = fast_two_sum(l, e, inverse);
    let low = l.add(error, e_low);
    let half = l.add(sum, low);
    let value = l.add(half, half);
    unless_nan(l, x, value)
}

/// `log(x) + ln 2` for large `x`, as `log1p(x - 1) + ln 2` with the exact pair of `x - 1`.
#[inline(always)]
fn log_of_double<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let minus_one = l.splat(-1.0);
    let (t, t_low) = two_sum(l, x, minus_one);
    let (high, low) = log1p_pair(l, t, t_low);
    let ln2 = l.splat(std::f64::consts::LN_2);
    let (sum, error) = two_sum(l, high, ln2);
    let low = l.add(low, error);
    l.add(sum, low)
}

/// The inverse hyperbolic sine.
#[inline(always)]
pub fn asinh<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    // asinh |x| = log1p(|x| + x^2 / (1 + sqrt(1 + x^2))).
    let (size, one) = (l.abs(x), l.splat(1.0));
    let most = constant(l, 1e9, 1e5);
    let is_large = l.lt(most, size);
    let bounded = l.select(is_large, one, size);
    let square = l.mul(bounded, bounded);
    let under = l.add(one, square);
    let root = l.sqrt(under);
    let below = l.add(one, root);
    let extra = l.div(square, below);
    let (sum, error) = two_sum(l, bounded, extra);
    let (high, low) = log1p_pair(l, sum, error);
    let value = l.add(high, low);
    let large = l.select(is_large, size, one);
    let large = log_of_double(l, large);
    let value = l.select(is_large, large, value);
    let infinite = l.splat(f64::INFINITY);
    let finite = l.lt(size, infinite);
    let value = l.select(finite, value, size);
    let value = with_sign(l, x, value);
    keep_tiny(l, x, value)
}

/// The inverse hyperbolic cosine, at least 0; NaN below 1.
#[inline(always)]
pub fn acosh<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    // With t = x - 1: acosh x = log1p(t + sqrt(t (2 + t))).
    let (one, two) = (l.splat(1.0), l.splat(2.0));
    let most = constant(l, 1e9, 1e5);
    let is_large = l.lt(most, x);
    let bounded = l.select(is_large, two, x);
    let t = l.sub(bounded, one);
    let more = l.add(two, t);
    let under = l.mul(t, more);
    let root = l.sqrt(under);
    let (sum, error) = two_sum(l, root, t);
    let (high, low) = log1p_pair(l, sum, error);
    let value = l.add(high, low);
    let large = l.select(is_large, x, two);
    let large = log_of_double(l, large);
    let value = l.select(is_large, large, value);
    let infinite = l.splat(f64::INFINITY);
    let at_end = l.eq(x, infinite);
    let value = l.select(at_end, infinite, value);
    let (zero, nan) = (l.splat(0.0), l.splat(f64::NAN));
    let at_one = l.eq(x, one);
    let value = l.select(at_one, zero, value);
    let inside = l.le(one, x);
    l.select(inside, value, nan)
}

/// The inverse hyperbolic tangent; NaN beyond -1 and 1.
#[inline(always)]
pub fn atanh<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    // atanh |x| = log1p(2 |x| / (1 - |x|)) / 2.
    let (size, one, zero, half) = (l.abs(x), l.splat(1.0), l.splat(0.0), l.splat(0.5));
    let inside = l.lt(size, one);
    let bounded = l.select(inside, size, half);
    let minus = l.neg(bounded);
    let (below, below_low) = fast_two_sum(l, one, minus);
    let above = l.add(bounded, bounded);
    let (u, u_low) = divide_pairs(l, (above, zero), (below, below_low));
    let (high, low) = log1p_pair(l, u, u_low);
    let value = l.add(high, low);
    let value = l.mul(half, value);
    let (infinite, nan) = (l.splat(f64::INFINITY), l.splat(f64::NAN));
    let at_end = l.eq(size, one);
    let beyond = l.select(at_end, infinite, nan);
    let value = l.select(inside, value, beyond);
    let value = with_sign(l, x, value);
    keep_tiny(l, x, value)
}
