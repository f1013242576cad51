//! The cube root and the length of a plane vector.

use super::{constant, exp, log, sign_bit, two_product, two_sum};
use crate::lanes::Lanes;

/// The cube root, also of negative numbers.
#[inline(always)]
pub fn cbrt<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let size = l.abs(x);
    // Small numbers are lifted by a power of 8, away from where a cube underflows.
    let least = constant(l, 1e-200, 1e-25);
    let is_small = l.lt(size, least);
    let lift = constant(l, 2f64.powi(300), 2f64.powi(60));
    let back = constant(l, 2f64.powi(-100), 2f64.powi(-20));
    let one = l.splat(1.0);
    let lifted = l.mul(size, lift);
    let a = l.select(is_small, lifted, size);
    let back = l.select(is_small, back, one);
    // A first value good to half the digits at least, and one step of Newton with an exact remainder a - y^3.
    let third = l.splat(1.0 / 3.0);
    let log = log(l, a);
    let log = l.mul(log, third);
    let y = exp(l, log);
    let (square, square_low) = two_product(l, y, y);
    let (cube, cube_low) = two_product(l, square, y);
    let cube_low = l.fma(square_low, y, cube_low);
    let rest = l.sub(a, cube);
    let rest = l.sub(rest, cube_low);
    let three = l.splat(3.0);
    let slope = l.mul(three, square);
    let step = l.div(rest, slope);
    let value = l.add(y, step);
    let value = l.mul(value, back);
    let sign = sign_bit(l);
    let sign = l.bit_and(sign, x);
    let value = l.bit_or(value, sign);
    // Zeros, infinities and NaN are their own roots.
    let (zero, infinite) = (l.splat(0.0), l.splat(f64::INFINITY));
    let (positive, finite) = (l.lt(zero, size), l.lt(size, infinite));
    let inside = l.mask_and(positive, finite);
    l.select(inside, value, x)
}

/// `sqrt(a^2 + b^2)` without overflow on the way; infinite if either operand is, also beside a NaN.
#[inline(always)]
pub fn hypot<L: Lanes>(l: &mut L, a: L::V, b: L::V) -> L::V {
    let (one, two) = (l.splat(1.0), l.splat(2.0));
    let (a, b) = (l.abs(a), l.abs(b));
    let greater = super::max(l, a, b);
    let (large, small) = (constant(l, 1e150, 1e18), constant(l, 1e-140, 1e-14));
    let (is_large, is_small) = (l.lt(large, greater), l.lt(greater, small));
    let (down, up) = (constant(l, 2f64.powi(-600), 2f64.powi(-100)), constant(l, 2f64.powi(600), 2f64.powi(100)));
    let factor = l.select(is_large, down, one);
    let factor = l.select(is_small, up, factor);
    let back = l.select(is_large, up, one);
    let back = l.select(is_small, down, back);
    let (x, y) = (l.mul(a, factor), l.mul(b, factor));
    let (xx, xx_low) = two_product(l, x, x);
    let (yy, yy_low) = two_product(l, y, y);
    let (sum, error) = two_sum(l, xx, yy);
    let low = l.add(xx_low, yy_low);
    let low = l.add(error, low);
    let root = l.sqrt(sum);
    // One step of Newton with the exact remainder.
    let minus = l.neg(root);
    let rest = l.fma(minus, root, sum);
    let rest = l.add(rest, low);
    let slope = l.mul(two, root);
    let step = l.div(rest, slope);
    let value = l.add(root, step);
    let value = l.mul(value, back);
    let (zero, infinite) = (l.splat(0.0), l.splat(f64::INFINITY));
    let nothing = l.eq(greater, zero);
    let value = l.select(nothing, zero, value);
    let (a_infinite, b_infinite) = (l.eq(a, infinite), l.eq(b, infinite));
    let at_end = l.mask_or(a_infinite, b_infinite);
    l.select(at_end, infinite, value)
}
