//! Sine, cosine, tangent and their inverses.
//!
//! Reduction by `pi/2` in three parts of full width (Cody and Waite 1980): with a fused multiply-add the
//! first product is subtracted exactly, the second as a pair.

use super::{constant, divide_pairs, fast_two_sum, polynomial, power_of_two, sign_bit, two_product, two_sum};
use crate::lanes::Lanes;

/// `(sin(r) - r) / r^3` as a function of `r^2`.
const SIN_64: [f64; 6] = [
    -0.16666666666666632,
    0.008333333333322458,
    -0.00019841269829816704,
    2.755731368870499e-06,
    -2.505075688298762e-08,
    1.5896691056972877e-10,
];
const SIN_32: [f64; 3] = [-0.16666655242443085, 0.008332190103828907, -0.00019518400949891657];

/// `(cos(r) - 1 + r^2/2) / r^4` as a function of `r^2`.
const COS_64: [f64; 6] = [
    0.0416666666666666,
    -0.001388888888887444,
    2.480158728963408e-05,
    -2.7557314386639897e-07,
    2.0875726926202317e-09,
    -1.1359794724719772e-11,
];
const COS_32: [f64; 3] = [0.04166664555668831, -0.00138873013202101, 2.443066296109464e-05];

/// `(atan(t) - t) / t^3` as a function of `t^2`.
const ATAN_64: [f64; 12] = [
    -0.33333333333333326,
    0.19999999999997095,
    -0.14285714285316364,
    0.11111111083740416,
    -0.09090907985535523,
    0.0769227919011242,
    -0.0666617446283553,
    0.058765136927327835,
    -0.05215159202846842,
    0.04490456941302953,
    -0.03317201995159211,
    0.014890361913576792,
];
const ATAN_32: [f64; 5] =
    [-0.33333316445350647, 0.1999853253364563, -0.14244507253170013, 0.10600119829177856, -0.06092536076903343];

/// A value and its correction.
type Pair<V> = (V, V);

/// An angle brought near zero: `x = (4 n + quadrant) pi/2 + r + r_low`.
struct Reduced<V> {
    /// 0, 1, 2 or 3.
    quadrant: V,
    r: V,
    r_low: V,
}

#[inline(always)]
fn reduce<L: Lanes>(l: &mut L, x: L::V) -> Reduced<L::V> {
    let inverse = l.splat(std::f64::consts::FRAC_2_PI);
    let first = constant(l, std::f64::consts::FRAC_PI_2, 1.5707963705062866);
    let second = constant(l, 6.123233995736766e-17, -4.371138828673793e-08);
    let third = constant(l, -1.4973849048591698e-33, -1.7151245100058819e-15);
    let turns = l.mul(x, inverse);
    let k = l.round_even(turns);
    let minus_k = l.neg(k);
    // Exact: both terms are multiples of the last place of pi/2, and their difference is small.
    let r = l.fma(minus_k, first, x);
    let (product, product_error) = two_product(l, minus_k, second);
    let (r, error) = two_sum(l, r, product);
    let low = l.add(error, product_error);
    let low = l.fma(minus_k, third, low);
    // For a large angle k may be off by one: a second step.
    let turns = l.mul(r, inverse);
    let more = l.round_even(turns);
    let minus_more = l.neg(more);
    let r = l.fma(minus_more, first, r);
    let low = l.fma(minus_more, second, low);
    let (r, r_low) = fast_two_sum(l, r, low);
    let k = l.add(k, more);
    let quarter = l.splat(0.25);
    let turns = l.mul(k, quarter);
    let whole = l.floor(turns);
    let minus_four = l.splat(-4.0);
    let quadrant = l.fma(whole, minus_four, k);
    Reduced { quadrant, r, r_low }
}

/// `sin(r + r_low)` and `cos(r + r_low)`, each as a value and its correction.
#[inline(always)]
fn sin_cos_pairs<L: Lanes>(l: &mut L, r: L::V, r_low: L::V) -> (Pair<L::V>, Pair<L::V>) {
    let (one, half) = (l.splat(1.0), l.splat(0.5));
    let z = l.mul(r, r);
    let half_z = l.mul(half, z);
    let sin_q = polynomial(l, z, &SIN_64, &SIN_32);
    let cube = l.mul(z, r);
    let minus_half_z = l.neg(half_z);
    let low = l.fma(minus_half_z, r_low, r_low);
    let sin_low = l.fma(cube, sin_q, low);
    let cos_q = polynomial(l, z, &COS_64, &COS_32);
    let (cos_high, cos_error) = fast_two_sum(l, one, minus_half_z);
    // The rounding error of r * r / 2 as well, so that the pair is better than one float.
    let minus_z = l.neg(z);
    let z_error = l.fma(r, r, minus_z);
    let half_error = l.mul(half, z_error);
    let cos_low = l.sub(cos_error, half_error);
    let minus_r = l.neg(r);
    let cos_low = l.fma(minus_r, r_low, cos_low);
    let fourth = l.mul(z, z);
    let cos_low = l.fma(fourth, cos_q, cos_low);
    ((r, sin_low), (cos_high, cos_low))
}

/// True for quadrants 1 and 3 (also 5), where sine and cosine change places.
#[inline(always)]
fn is_odd<L: Lanes>(l: &mut L, quadrant: L::V) -> L::M {
    let half = l.splat(0.5);
    let halved = l.mul(quadrant, half);
    let whole = l.floor(halved);
    let even = l.eq(halved, whole);
    l.mask_not(even)
}

/// NaN beyond the range in which angles are reduced, and at infinity.
#[inline(always)]
fn in_range<L: Lanes>(l: &mut L, x: L::V, value: L::V) -> L::V {
    let size = l.abs(x);
    let limit = constant(l, 2_251_799_813_685_248.0, 4_194_304.0);
    let inside = l.le(size, limit);
    let nan = l.splat(f64::NAN);
    l.select(inside, value, nan)
}

/// `x` where the function is `x` to rounding, which keeps `-0` and subnormal numbers.
#[inline(always)]
fn keep_tiny<L: Lanes>(l: &mut L, x: L::V, value: L::V) -> L::V {
    let size = l.abs(x);
    let tiny = constant(l, 5e-9, 1.5e-4);
    let small = l.lt(size, tiny);
    l.select(small, x, value)
}

/// The sine of an angle in radians.
#[inline(always)]
pub fn sin<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let Reduced { quadrant, r, r_low } = reduce(l, x);
    let value = sin_from(l, quadrant, r, r_low);
    let value = in_range(l, x, value);
    keep_tiny(l, x, value)
}

/// The cosine of an angle in radians.
#[inline(always)]
pub fn cos<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let Reduced { quadrant, r, r_low } = reduce(l, x);
    let one = l.splat(1.0);
    let quadrant = l.add(quadrant, one);
    let value = sin_from(l, quadrant, r, r_low);
    in_range(l, x, value)
}

/// The sine of `quadrant pi/2 + r + r_low` for a quadrant from 0 to 4.
#[inline(always)]
fn sin_from<L: Lanes>(l: &mut L, quadrant: L::V, r: L::V, r_low: L::V) -> L::V {
    let (s, c) = sin_cos_pairs(l, r, r_low);
    let (s, c) = (l.add(s.0, s.1), l.add(c.0, c.1));
    let odd = is_odd(l, quadrant);
    let value = l.select(odd, c, s);
    let minus = l.neg(value);
    let (two, four) = (l.splat(2.0), l.splat(4.0));
    let (past, before) = (l.le(two, quadrant), l.lt(quadrant, four));
    let negative = l.mask_and(past, before);
    l.select(negative, minus, value)
}

/// The tangent of an angle in radians.
#[inline(always)]
pub fn tan<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let Reduced { quadrant, r, r_low } = reduce(l, x);
    let (s, c) = sin_cos_pairs(l, r, r_low);
    let (s, c) = (fast_two_sum(l, s.0, s.1), fast_two_sum(l, c.0, c.1));
    let odd = is_odd(l, quadrant);
    let minus_s = (l.neg(s.0), l.neg(s.1));
    let above = (l.select(odd, c.0, s.0), l.select(odd, c.1, s.1));
    let below = (l.select(odd, minus_s.0, c.0), l.select(odd, minus_s.1, c.1));
    let (value, correction) = divide_pairs(l, above, below);
    let value = l.add(value, correction);
    let value = in_range(l, x, value);
    keep_tiny(l, x, value)
}

/// The angle of the point `(x, y)` with `x, y >= 0`, not both 0 or infinite, as a value and its correction. `lows` are
/// corrections of `y` and `x`.
#[inline(always)]
fn first_quadrant<L: Lanes>(l: &mut L, y: L::V, x: L::V, lows: Option<(L::V, L::V)>) -> (L::V, L::V) {
    // Rotated by 0, pi/4 or pi/2, so that the remaining tangent is at most tan(pi/8).
    let (steep, flat) = (l.splat(2.414_213_562_373_095), l.splat(0.414_213_562_373_095_03));
    let (steep_x, flat_x) = (l.mul(steep, x), l.mul(flat, x));
    let (far, middle) = (l.lt(steep_x, y), l.lt(flat_x, y));
    let zero = l.splat(0.0);
    let minus_x = l.neg(x);
    let (difference, difference_low) = two_sum(l, y, minus_x);
    let (sum, sum_low) = two_sum(l, y, x);
    let above = l.select(middle, difference, y);
    let above = l.select(far, minus_x, above);
    let above_low = l.select(middle, difference_low, zero);
    let above_low = l.select(far, zero, above_low);
    let below = l.select(middle, sum, x);
    let below = l.select(far, y, below);
    let below_low = l.select(middle, sum_low, zero);
    let below_low = l.select(far, zero, below_low);
    let (above_low, below_low) = match lows {
        None => (above_low, below_low),
        Some((y_low, x_low)) => {
            let minus_x_low = l.neg(x_low);
            let (difference_low, sum_low) = (l.sub(y_low, x_low), l.add(y_low, x_low));
            let more = l.select(middle, difference_low, y_low);
            let more = l.select(far, minus_x_low, more);
            let above_low = l.add(above_low, more);
            let more = l.select(middle, sum_low, x_low);
            let more = l.select(far, y_low, more);
            (above_low, l.add(below_low, more))
        }
    };
    let (t, t_low) = divide_pairs(l, (above, above_low), (below, below_low));
    let (quarter, quarter_low) = (
        constant(l, std::f64::consts::FRAC_PI_4, 0.7853981852531433),
        constant(l, 3.061616997868383e-17, -2.1855694143368964e-08),
    );
    let (half, half_low) = (l.add(quarter, quarter), l.add(quarter_low, quarter_low));
    let offset = l.select(middle, quarter, zero);
    let offset = l.select(far, half, offset);
    let offset_low = l.select(middle, quarter_low, zero);
    let offset_low = l.select(far, half_low, offset_low);
    let z = l.mul(t, t);
    let q = polynomial(l, z, &ATAN_64, &ATAN_32);
    let cube = l.mul(z, t);
    let low = l.add(offset_low, t_low);
    let low = l.fma(cube, q, low);
    let (high, error) = fast_two_sum(l, offset, t);
    let low = l.add(error, low);
    (high, low)
}

/// The arctangent, between `-pi/2` and `pi/2`.
#[inline(always)]
pub fn atan<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (size, one) = (l.abs(x), l.splat(1.0));
    // Beyond this the result is pi/2 to rounding.
    let most = constant(l, 1e18, 1e9);
    let above = l.lt(most, size);
    let bounded = l.select(above, most, size);
    let (high, low) = first_quadrant(l, bounded, one, None);
    let value = l.add(high, low);
    let sign = sign_bit(l);
    let sign = l.bit_and(sign, x);
    let value = l.bit_xor(value, sign);
    keep_tiny(l, x, value)
}

/// An exact power of two with which to scale away from overflow (`-1`) or underflow (`1`).
#[inline(always)]
fn scale_by<L: Lanes>(l: &mut L, direction: i64) -> L::V {
    let exponent = constant(l, 600.0, 60.0);
    let direction = l.splat(direction as f64);
    let exponent = l.mul(exponent, direction);
    power_of_two(l, exponent)
}

/// The angle of the point `(x, y)`, between `-pi` and `pi`; C's conventions for zeros and infinities.
#[inline(always)]
pub fn atan2<L: Lanes>(l: &mut L, y: L::V, x: L::V) -> L::V {
    let (zero, one, infinite) = (l.splat(0.0), l.splat(1.0), l.splat(f64::INFINITY));
    let (a, b) = (l.abs(y), l.abs(x));
    // Both infinite: like (1, 1). One infinite: like (1, 0) or (0, 1). Both zero: like (0, 1).
    let (a_infinite, b_infinite) = (l.eq(a, infinite), l.eq(b, infinite));
    let any_infinite = l.mask_or(a_infinite, b_infinite);
    let a_flag = l.select(a_infinite, one, zero);
    let b_flag = l.select(b_infinite, one, zero);
    let (a_zero, b_zero) = (l.eq(a, zero), l.eq(b, zero));
    let both_zero = l.mask_and(a_zero, b_zero);
    let b = l.select(both_zero, one, b);
    let a = l.select(any_infinite, a_flag, a);
    let b = l.select(any_infinite, b_flag, b);
    // Away from overflow and underflow.
    let (large, small) = (constant(l, 1e150, 1e18), constant(l, 1e-150, 1e-18));
    let (down, up) = (scale_by::<L>(l, -1), scale_by::<L>(l, 1));
    let greater = super::max(l, a, b);
    let is_large = l.lt(large, greater);
    let is_small = l.lt(greater, small);
    let factor = l.select(is_large, down, one);
    let factor = l.select(is_small, up, factor);
    let (scaled_a, scaled_b) = (l.mul(a, factor), l.mul(b, factor));
    let (high, low) = first_quadrant(l, scaled_a, scaled_b, None);
    // A small angle is the quotient itself, also where scaling would have lost it.
    let quotient = l.div(a, b);
    let slight = constant(l, 1e-9, 1e-4);
    let is_slight = l.lt(quotient, slight);
    let high = l.select(is_slight, quotient, high);
    let low = l.select(is_slight, zero, low);
    let angle = l.add(high, low);
    // The left half plane: pi - angle.
    let (pi, pi_low) = half_turn(l);
    let minus_high = l.neg(high);
    let (mirrored, error) = fast_two_sum(l, pi, minus_high);
    let error = l.add(error, pi_low);
    let error = l.sub(error, low);
    let mirrored = l.add(mirrored, error);
    let sign_mask = sign_bit(l);
    let x_sign = l.bit_and(sign_mask, x);
    let x_marked = l.bit_or(x_sign, one);
    let left = l.lt(x_marked, zero);
    let value = l.select(left, mirrored, angle);
    let y_sign = l.bit_and(sign_mask, y);
    let value = l.bit_xor(value, y_sign);
    // A NaN operand gives NaN.
    let (x_number, y_number) = (l.eq(x, x), l.eq(y, y));
    let numbers = l.mask_and(x_number, y_number);
    let sum = l.add(x, y);
    l.select(numbers, value, sum)
}

/// `sqrt(1 - x^2)` for `|x| <= 1` as a value and its correction.
#[inline(always)]
fn other_leg<L: Lanes>(l: &mut L, x: L::V) -> (L::V, L::V) {
    let (zero, one, two) = (l.splat(0.0), l.splat(1.0), l.splat(2.0));
    let (square, square_low) = two_product(l, x, x);
    let minus = l.neg(square);
    let (rest, error) = fast_two_sum(l, one, minus);
    let rest_low = l.sub(error, square_low);
    let root = l.sqrt(rest);
    // One step of Newton with the exact remainder.
    let minus = l.neg(root);
    let left = l.fma(minus, root, rest);
    let left = l.add(left, rest_low);
    let slope = l.mul(two, root);
    let step = l.div(left, slope);
    let positive = l.lt(zero, root);
    (root, l.select(positive, step, zero))
}

/// The angle between `-pi/2` and `pi/2` whose sine is `x`; NaN beyond -1 and 1.
#[inline(always)]
pub fn asin<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (size, one, zero) = (l.abs(x), l.splat(1.0), l.splat(0.0));
    let inside = l.le(size, one);
    let bounded = l.select(inside, size, zero);
    let (leg, leg_low) = other_leg(l, bounded);
    let (high, low) = first_quadrant(l, bounded, leg, Some((zero, leg_low)));
    let value = l.add(high, low);
    let sign = sign_bit(l);
    let sign = l.bit_and(sign, x);
    let value = l.bit_xor(value, sign);
    let value = keep_tiny(l, x, value);
    let nan = l.splat(f64::NAN);
    l.select(inside, value, nan)
}

/// The angle between 0 and `pi` whose cosine is `x`; NaN beyond -1 and 1.
#[inline(always)]
pub fn acos<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (size, one, zero) = (l.abs(x), l.splat(1.0), l.splat(0.0));
    let inside = l.le(size, one);
    let bounded = l.select(inside, size, zero);
    let (leg, leg_low) = other_leg(l, bounded);
    let (high, low) = first_quadrant(l, leg, bounded, Some((leg_low, zero)));
    let angle = l.add(high, low);
    let (pi, pi_low) = half_turn(l);
    let minus_high = l.neg(high);
    let (mirrored, error) = fast_two_sum(l, pi, minus_high);
    let error = l.add(error, pi_low);
    let error = l.sub(error, low);
    let mirrored = l.add(mirrored, error);
    let left = l.lt(x, zero);
    let value = l.select(left, mirrored, angle);
    let nan = l.splat(f64::NAN);
    l.select(inside, value, nan)
}

/// `pi` as a value and its correction.
#[inline(always)]
fn half_turn<L: Lanes>(l: &mut L) -> (L::V, L::V) {
    (constant(l, std::f64::consts::PI, 3.1415927410125732), constant(l, 1.2246467991473532e-16, -8.742277657347586e-08))
}
