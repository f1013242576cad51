//! `log`, `log1p` and the logarithms to other bases: `x = 2^k (1 + f)` with `1 + f` in `[sqrt(1/2), sqrt(2))`, and `log(1 + f)` by the odd
//! series in `s = f / (2 + f)`.

use super::power::{log_near_one, multiply_pairs};
use super::{by_width, constant, fast_two_sum, fraction_bits, one_bits, polynomial, two_product, two_sum};
use crate::lanes::Lanes;

/// `(2 atanh(s) - 2 s) / s^3` as a function of `s^2`.
const LOG_64: [f64; 7] = [
    0.6666666666666735,
    0.3999999999940939,
    0.28571428743672517,
    0.22222198430726706,
    0.1818357225387921,
    0.15313834916847027,
    0.1479823029295999,
];
const LOG_32: [f64; 3] = [0.6666677594184875, 0.3997756838798523, 0.2987157702445984];

/// A positive normal or subnormal `x = 2^k m` with `m` in `[sqrt(1/2), sqrt(2))`; garbage for others.
#[inline(always)]
pub(super) fn split<L: Lanes>(l: &mut L, x: L::V) -> (L::V, L::V) {
    let fraction = fraction_bits::<L>();
    let least_normal = l.splat_bits(1 << fraction);
    let lift = constant(l, 18_014_398_509_481_984.0, 33_554_432.0);
    let lifted = l.mul(x, lift);
    let subnormal = l.lt(x, least_normal);
    let x = l.select(subnormal, lifted, x);
    let (zero, lift_exponent) = (l.splat(0.0), constant(l, 54.0, 25.0));
    let bias = l.select(subnormal, lift_exponent, zero);
    // Moving the bits so that the exponent field changes at sqrt(1/2) and not at 1.
    let root_bits = by_width::<L, _>(0x3fe6_a09e_667f_3bcd, 0x3f35_04f3);
    let shift = l.splat_bits(one_bits::<L>().wrapping_sub(root_bits));
    let moved = l.bits_add(x, shift);
    let field = l.bits_shr(moved, fraction);
    // An integer below 2^fraction becomes a float by giving it the exponent of 2^fraction.
    let carrier_bits = by_width::<L, u64>(0x4330_0000_0000_0000, 0x4b00_0000);
    let carrier = l.splat_bits(carrier_bits);
    let as_float = l.bit_or(field, carrier);
    let offset = constant(l, 4_503_599_627_370_496.0 + 1023.0, 8_388_608.0 + 127.0);
    let k = l.sub(as_float, offset);
    let k = l.sub(k, bias);
    let mask = l.splat_bits((1 << fraction) - 1);
    let low = l.bit_and(moved, mask);
    let root = l.splat_bits(root_bits);
    let m = l.bits_add(low, root);
    (k, m)
}

/// `log((1 + f + f_low) 2^k)` as a value and its correction.
#[inline(always)]
fn log_pair<L: Lanes>(l: &mut L, k: L::V, f: L::V, f_low: L::V) -> (L::V, L::V) {
    let (two, half) = (l.splat(2.0), l.splat(0.5));
    let below = l.add(two, f);
    let s = l.div(f, below);
    let z = l.mul(s, s);
    let p = polynomial(l, z, &LOG_64, &LOG_32);
    let r = l.mul(z, p);
    // log(1 + f) = f - h + s (h + r) with h = f^2 / 2.
    let half_f = l.mul(half, f);
    let h = l.mul(half_f, f);
    let inner = l.add(h, r);
    let ln2_high = constant(l, 0.6931471805598903, 0.693145751953125);
    let ln2_low = constant(l, 5.497923018708371e-14, 1.428606765330187e-06);
    let whole = l.mul(k, ln2_high);
    let (high, error) = fast_two_sum(l, whole, f);
    let low = l.fma(k, ln2_low, f_low);
    let low = l.fma(s, inner, low);
    let low = l.sub(low, h);
    let low = l.add(error, low);
    (high, low)
}

/// The natural logarithm; NaN below 0.
#[inline(always)]
pub fn log<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (k, m) = split(l, x);
    let (zero, one) = (l.splat(0.0), l.splat(1.0));
    let f = l.sub(m, one);
    let (high, low) = log_pair(l, k, f, zero);
    let value = l.add(high, low);
    ends(l, x, x, value)
}

/// The logarithm of `inside` at the ends of its domain; `value` elsewhere. `x` is the argument given.
#[inline(always)]
fn ends<L: Lanes>(l: &mut L, x: L::V, inside: L::V, value: L::V) -> L::V {
    let (zero, infinite) = (l.splat(0.0), l.splat(f64::INFINITY));
    let (minus_infinite, nan) = (l.splat(f64::NEG_INFINITY), l.splat(f64::NAN));
    let (at_zero, positive, finite) = (l.eq(inside, zero), l.lt(zero, inside), l.lt(inside, infinite));
    // Infinity and NaN are their own logarithms.
    let value = l.select(finite, value, x);
    let outside = l.select(at_zero, minus_infinite, nan);
    let is_number = l.eq(x, x);
    let outside = l.select(is_number, outside, x);
    l.select(positive, value, outside)
}

/// `log(1 + x + x_low)` for finite `x > -1` as a value and its correction; `|x_low|` is small against `|x|`.
#[inline(always)]
pub(super) fn log1p_pair<L: Lanes>(l: &mut L, x: L::V, x_low: L::V) -> (L::V, L::V) {
    let one = l.splat(1.0);
    let (u, lost) = two_sum(l, one, x);
    let lost = l.add(lost, x_low);
    let (k, m) = split(l, u);
    let f = l.sub(m, one);
    // What the sum 1 + x lost, at the scale of m. k is at most 1023, so the power may be 0 only where
    // the lost part is negligible.
    let zero = l.splat(0.0);
    let limit = constant(l, 1000.0, 120.0);
    let large = l.lt(limit, k);
    let minus_k = l.neg(k);
    let exponent = l.select(large, zero, minus_k);
    let down = super::power_of_two(l, exponent);
    let down = l.select(large, zero, down);
    let c = l.mul(lost, down);
    let (f, f_low) = two_sum(l, f, c);
    // f_low enters the logarithm divided by 1 + f.
    let slope = l.mul(f_low, f);
    let f_low = l.sub(f_low, slope);
    log_pair(l, k, f, f_low)
}

/// `log(1 + x)`, precise near 0; NaN below `-1`.
#[inline(always)]
pub fn log1p<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (zero, one) = (l.splat(0.0), l.splat(1.0));
    let (high, low) = log1p_pair(l, x, zero);
    let value = l.add(high, low);
    let inside = l.add(one, x);
    let value = ends(l, x, inside, value);
    // Keeps -0.
    let at_zero = l.eq(x, zero);
    l.select(at_zero, x, value)
}

/// The logarithm to base 2, exact at the powers of two; NaN below 0.
#[inline(always)]
pub fn log2<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (k, m) = split(l, x);
    let log = log_near_one(l, m);
    let factor = (
        constant(l, std::f64::consts::LOG2_E, 1.4426950216293335),
        constant(l, 2.0355273740931033e-17, 1.9259629911266175e-08),
    );
    let (part, part_low) = multiply_pairs(l, log, factor);
    let (sum, error) = two_sum(l, k, part);
    let low = l.add(error, part_low);
    let value = l.add(sum, low);
    ends(l, x, x, value)
}

/// The logarithm to base 10; NaN below 0.
#[inline(always)]
pub fn log10<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (k, m) = split(l, x);
    let log = log_near_one(l, m);
    let factor = (
        constant(l, std::f64::consts::LOG10_E, 0.4342944920063019),
        constant(l, 1.098319650216765e-17, -1.0103050052231683e-08),
    );
    let (part, part_low) = multiply_pairs(l, log, factor);
    let of_two = (
        constant(l, std::f64::consts::LOG10_2, 0.3010300099849701),
        constant(l, -2.8037281277851704e-18, -1.4320988897559699e-08),
    );
    let (whole, whole_error) = two_product(l, k, of_two.0);
    let whole_low = l.fma(k, of_two.1, whole_error);
    let (sum, error) = two_sum(l, whole, part);
    let low = l.add(whole_low, part_low);
    let low = l.add(error, low);
    let value = l.add(sum, low);
    ends(l, x, x, value)
}
