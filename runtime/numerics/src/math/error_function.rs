//! The error function: a polynomial below 1, and `1 - exp(-p(x))` above, with `p = -log(erfc)`; and its complement.

use super::exponential::exp_parts;
use super::{constant, polynomial, scale, sign_bit, two_product};
use crate::lanes::Lanes;

/// `erf(x) / x - 1` as a function of `x^2`, for `x` up to 1.
const NEAR_64: [f64; 13] = [
    0.1283791670955126,
    -0.3761263890318411,
    0.11283791670972065,
    -0.02686617064828134,
    0.005223977655688458,
    -0.000854832873550807,
    0.00012055394338585339,
    -1.4927095041610793e-05,
    1.6484732935960924e-06,
    -1.6598364916154296e-07,
    1.6303979372261264e-08,
    -1.7633831928600532e-09,
    1.6388156351457752e-10,
];
const NEAR_32: [f64; 7] = [
    0.12837916612625122,
    -0.3761262893676758,
    0.11283618211746216,
    -0.02685512602329254,
    0.005190733354538679,
    -0.0008030755561776459,
    7.920338975964114e-05,
];

/// `-log(erfc(x))` for `x` from 1 to where `erf` is 1 to rounding.
const FAR_64: [f64; 22] = [
    -3.532552641400006e-08,
    1.1283796043231555,
    0.6366172083590332,
    0.10278208192998262,
    -0.01915323824654261,
    -0.00016039722005927506,
    0.0016211616951865297,
    -0.0004977642692129481,
    -6.648459306836473e-05,
    0.00014016372639091498,
    -8.058930646372653e-05,
    3.12502740672206e-05,
    -9.290323818898759e-06,
    2.2023026001247216e-06,
    -4.20824130963376e-07,
    6.459888361436214e-08,
    -7.85664918793378e-09,
    7.385539622429295e-10,
    -5.156222030284488e-11,
    2.5028347417110194e-12,
    -7.475142960489637e-14,
    1.020893419843413e-15,
];
const FAR_32: [f64; 10] = [
    -0.00012530424282886088,
    1.1292039155960083,
    0.6341959834098816,
    0.10696166753768921,
    -0.023836633190512657,
    0.0033603233750909567,
    -0.00010177349031437188,
    -6.43398889224045e-05,
    1.2452770533855073e-05,
    -7.845307550269354e-07,
];

/// `(1 + 2 x) exp(x^2) erfc(x)` as a function of `(x - 3.75) / (x + 3.75)`, for `x` from 0 to where `erfc` underflows (Shepherd and
/// Laframboise, Mathematics of Computation, 1981).
const SCALED_64: [f64; 25] = [
    1.2375126308378275,
    -0.140240598585547,
    0.003585415485463585,
    0.08227673849014928,
    -0.10880393014170066,
    0.09230432116026979,
    -0.05869339859071299,
    0.028362277420142024,
    -0.00974657954565951,
    0.0017556258472444138,
    0.00029371358233084476,
    -0.0002901540780123272,
    5.1649449014483214e-05,
    2.238433845791525e-05,
    -1.144508918264206e-05,
    -9.740687075377099e-07,
    1.7532453120585785e-06,
    -5.596630948430843e-08,
    -2.60291455488302e-07,
    2.153569668180417e-08,
    3.944768346709295e-08,
    -2.4585396074749557e-09,
    -5.144641751686032e-09,
    -9.202661790573904e-11,
    2.985385563655697e-10,
];
const SCALED_32: [f64; 13] = [
    1.2375125885009766,
    -0.1402405947446823,
    0.003585569094866514,
    0.08227654546499252,
    -0.10880672931671143,
    0.09230586141347885,
    -0.05867435783147812,
    0.02835916355252266,
    -0.009807012043893337,
    0.0017496097134426236,
    0.00038676438271068037,
    -0.00026415527099743485,
    -1.0430953807372134e-05,
];

/// The error function `2/sqrt(pi)` times the integral of `exp(-t^2)` from 0 to `x`.
#[inline(always)]
pub fn erf<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (one, size) = (l.splat(1.0), l.abs(x));
    let near = near_zero(l, x);
    let most = constant(l, 5.94, 4.0);
    let above = l.lt(most, size);
    let bounded = l.select(above, most, size);
    let p = polynomial(l, bounded, &FAR_64, &FAR_32);
    let minus_p = l.neg(p);
    let complement = super::exp(l, minus_p);
    let far = l.sub(one, complement);
    let sign = sign_bit(l);
    let sign = l.bit_and(sign, x);
    let far = l.bit_or(far, sign);
    let is_far = l.lt(one, size);
    l.select(is_far, far, near)
}

/// The error function for `x` up to 1.
#[inline(always)]
fn near_zero<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let z = l.mul(x, x);
    let q = polynomial(l, z, &NEAR_64, &NEAR_32);
    l.fma(x, q, x)
}

/// The complement `1 - erf(x)`, precise also where it is small.
#[inline(always)]
pub fn erfc<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (one, two) = (l.splat(1.0), l.splat(2.0));
    let size = l.abs(x);
    let most = constant(l, 27.5, 10.5);
    let above = l.lt(most, size);
    let bounded = l.select(above, most, size);
    let centre = l.splat(3.75);
    let (less, more) = (l.sub(bounded, centre), l.add(bounded, centre));
    let t = l.div(less, more);
    let scaled = polynomial(l, t, &SCALED_64, &SCALED_32);
    let below = l.fma(two, bounded, one);
    let scaled = l.div(scaled, below);
    // The square needs its rounding error: the exponential multiplies it by up to 750.
    let (square, square_low) = two_product(l, bounded, bounded);
    let (minus, minus_low) = (l.neg(square), l.neg(square_low));
    let (high, low, k) = exp_parts(l, minus, minus_low);
    let e = l.add(high, low);
    let product = l.mul(e, scaled);
    let positive = scale(l, product, k);
    let rest = l.sub(two, positive);
    let zero = l.splat(0.0);
    let negative = l.lt(x, zero);
    let value = l.select(negative, rest, positive);
    let near = near_zero(l, x);
    let near = l.sub(one, near);
    let limit = l.splat(0.4);
    let is_near = l.lt(size, limit);
    let value = l.select(is_near, near, value);
    let number = l.eq(x, x);
    l.select(number, value, x)
}
