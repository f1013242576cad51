//! The error function: a polynomial below 1, and `1 - exp(-p(x))` above, with `p = -log(erfc)`.

use super::{constant, polynomial, sign_bit};
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

/// The error function `2/sqrt(pi)` times the integral of `exp(-t^2)` from 0 to `x`.
pub fn erf<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (one, size) = (l.splat(1.0), l.abs(x));
    let z = l.mul(x, x);
    let q = polynomial(l, z, &NEAR_64, &NEAR_32);
    let near = l.fma(x, q, x);
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
