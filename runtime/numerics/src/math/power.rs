//! `pow`: the logarithm and its product with the exponent are carried as pairs of floats.

use super::exponential::exp_parts;
use super::logarithm::split;
use super::{constant, divide_pairs, fast_two_sum, polynomial, scale, sign_bit, two_product, two_sum};
use crate::lanes::Lanes;

/// `(2 atanh(s) - 2 s - 2/3 s^3) / s^5` as a function of `s^2`.
const TAIL_64: [f64; 7] = [
    0.4000000000000227,
    0.2857142857009119,
    0.22222222521492557,
    0.18181784223894595,
    0.15386764179282933,
    0.13256652868222651,
    0.13197906006567536,
];
const TAIL_32: [f64; 3] = [0.40000152587890625, 0.2854709029197693, 0.23419663310050964];

/// The logarithm of a number in `[sqrt(1/2), sqrt(2))` as a pair, to about a 2000th of an ulp.
#[inline(always)]
pub(super) fn log_near_one<L: Lanes>(l: &mut L, m: L::V) -> (L::V, L::V) {
    let (zero, one, two) = (l.splat(0.0), l.splat(1.0), l.splat(2.0));
    let f = l.sub(m, one);
    let below = fast_two_sum(l, two, f);
    let (s, s_low) = divide_pairs(l, (f, zero), below);
    let (s, s_low) = fast_two_sum(l, s, s_low);
    // z = s^2
    let (z, z_error) = two_product(l, s, s);
    let twice_s = l.add(s, s);
    let z_low = l.fma(twice_s, s_low, z_error);
    // p = 2/3 + z tail(z)
    let tail = polynomial(l, z, &TAIL_64, &TAIL_32);
    let tail = l.mul(z, tail);
    let third = constant(l, 2.0 / 3.0, 0.6666666865348816);
    let third_low = constant(l, 3.700743415417188e-17, -1.9868215517249155e-08);
    let (p, p_error) = fast_two_sum(l, third, tail);
    let p_low = l.add(p_error, third_low);
    // log m = 2 s + s z p
    let (w, w_low) = multiply_pairs(l, (z, z_low), (p, p_low));
    let (v, v_low) = multiply_pairs(l, (s, s_low), (w, w_low));
    let (a, a_error) = fast_two_sum(l, twice_s, v);
    let twice_s_low = l.add(s_low, s_low);
    let a_low = l.add(v_low, twice_s_low);
    (a, l.add(a_error, a_low))
}

/// The logarithm of a positive finite number as a pair, to about a 2000th of an ulp.
#[inline(always)]
pub(super) fn log_pair<L: Lanes>(l: &mut L, x: L::V) -> (L::V, L::V) {
    let (k, m) = split(l, x);
    let (a, a_low) = log_near_one(l, m);
    let ln2_high = constant(l, 0.6931471805598903, 0.693145751953125);
    let ln2_low = constant(l, 5.497923018708371e-14, 1.428606765330187e-06);
    let whole = l.mul(k, ln2_high);
    let (whole_low, whole_error) = two_product(l, k, ln2_low);
    let (high, error) = two_sum(l, whole, a);
    let low = l.add(a_low, whole_error);
    let (middle, middle_error) = two_sum(l, error, whole_low);
    let low = l.add(low, middle_error);
    let low = l.add(middle, low);
    fast_two_sum(l, high, low)
}

/// The product of two pairs.
#[inline(always)]
pub(super) fn multiply_pairs<L: Lanes>(l: &mut L, a: (L::V, L::V), b: (L::V, L::V)) -> (L::V, L::V) {
    let (high, error) = two_product(l, a.0, b.0);
    let low = l.fma(a.0, b.1, error);
    let low = l.fma(a.1, b.0, low);
    (high, low)
}

/// `x^y`. `x^0 = 1` and `1^y = 1` for every operand, also NaN; a negative `x` needs an integer `y`, otherwise NaN.
///
/// `x^1`, `x^2`, `x^-1` and, for `x >= 0`, `x^(1/2)` are rounded correctly, as `x`, `x * x`, `1 / x` and `sqrt(x)`.
#[inline(always)]
pub fn pow<L: Lanes>(l: &mut L, x: L::V, y: L::V) -> L::V {
    let (zero, one, two, half) = (l.splat(0.0), l.splat(1.0), l.splat(2.0), l.splat(0.5));
    let (infinite, nan) = (l.splat(f64::INFINITY), l.splat(f64::NAN));
    let size = l.abs(x);

    let (log, log_low) = log_pair(l, size);
    let (high, error) = two_product(l, y, log);
    let low = l.fma(y, log_low, error);
    // Far outside the range of exp the low part may be infinite or NaN, and does not matter.
    let limit = constant(l, 1000.0, 150.0);
    let high_size = l.abs(high);
    let inside = l.lt(high_size, limit);
    let low = l.select(inside, low, zero);
    let size_is_one = l.eq(size, one);
    let high = l.select(size_is_one, zero, high);
    let (exp_high, exp_low, k) = exp_parts(l, high, low);
    let value = l.add(exp_high, exp_low);
    let value = scale(l, value, k);

    let square = l.mul(size, size);
    let root = l.sqrt(size);
    let inverse = l.div(one, size);
    let minus_one = l.splat(-1.0);
    let value = choose(l, y, two, square, value);
    let value = choose(l, y, half, root, value);
    let value = choose(l, y, one, size, value);
    let value = choose(l, y, minus_one, inverse, value);

    // |x| = 0 or infinity.
    let minus_y = l.neg(y);
    let (is_zero, is_infinite) = (l.eq(size, zero), l.eq(size, infinite));
    let growth = l.select(is_zero, minus_y, y);
    let grows = l.lt(zero, growth);
    let end = l.select(grows, infinite, zero);
    let at_end = l.mask_or(is_zero, is_infinite);
    let value = l.select(at_end, end, value);

    // Signs.
    let whole = l.trunc(y);
    let integer = l.eq(whole, y);
    let halved = l.mul(y, half);
    let halved_whole = l.trunc(halved);
    let even = l.eq(halved, halved_whole);
    let not_even = l.mask_not(even);
    let odd = l.mask_and(integer, not_even);
    let sign = sign_bit(l);
    let sign = l.bit_and(sign, x);
    let sign = l.select(odd, sign, zero);
    let value = l.bit_xor(value, sign);
    let minus_infinite = l.neg(infinite);
    let (negative, above) = (l.lt(x, zero), l.lt(minus_infinite, x));
    let not_integer = l.mask_not(integer);
    let undefined = l.mask_and(negative, above);
    let undefined = l.mask_and(undefined, not_integer);
    let value = l.select(undefined, nan, value);

    let (x_number, y_number) = (l.eq(x, x), l.eq(y, y));
    let numbers = l.mask_and(x_number, y_number);
    let sum = l.add(x, y);
    let value = l.select(numbers, value, sum);
    let (y_zero, x_one) = (l.eq(y, zero), l.eq(x, one));
    let unit = l.mask_or(y_zero, x_one);
    l.select(unit, one, value)
}

/// `then` where `y` equals `at`, else `other`.
#[inline(always)]
fn choose<L: Lanes>(l: &mut L, y: L::V, at: L::V, then: L::V, other: L::V) -> L::V {
    let here = l.eq(y, at);
    l.select(here, then, other)
}
