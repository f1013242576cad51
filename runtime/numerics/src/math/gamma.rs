//! The logarithm of the gamma function and its derivatives.

use super::power::{log_pair, multiply_pairs};
use super::{constant, divide_pairs, fast_two_sum, log, polynomial, two_product, two_sum};
use crate::lanes::Lanes;

/// `log Gamma(2 + u) / (u (1 + u))` for `u` from -1 to 1.
const NEAR_64: [f64; 29] = [
    0.42278433509846713,
    -0.1003173016743539,
    0.03296500062115573,
    -0.01238419219337437,
    0.004998641164704086,
    -0.002108130833828572,
    0.0009153769220552339,
    -0.0004057073999481854,
    0.00018255264205080583,
    -8.309509985724125e-05,
    3.816886221669299e-05,
    -1.7661856004183266e-05,
    8.222350650259786e-06,
    -3.846512169429826e-06,
    1.807448527602632e-06,
    -8.554872439430173e-07,
    4.055906803939024e-07,
    -1.8612126836241114e-07,
    8.741212349998384e-08,
    -5.2051972770752654e-08,
    2.6305258474825748e-08,
    -7.743834421439591e-10,
    -8.088046114802522e-10,
    -8.958693445019157e-09,
    4.954372252794022e-09,
    2.471652393852211e-09,
    -1.3984641595509266e-09,
    -8.193346508002563e-10,
    4.257593521854121e-10,
];
const NEAR_32: [f64; 13] = [
    0.42278432846069336,
    -0.10031726956367493,
    0.03296494483947754,
    -0.01238497719168663,
    0.004999484401196241,
    -0.002102050231769681,
    0.0009104880737140775,
    -0.00042559741996228695,
    0.0001958364009624347,
    -5.239313395577483e-05,
    2.02151968551334e-05,
    -3.874385220115073e-05,
    1.9320525098009966e-05,
];

/// The Bernoulli numbers `B_2`, `B_4`, ...
const BERNOULLI: [f64; 10] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
    43867.0 / 798.0,
    -174611.0 / 330.0,
];

/// The logarithm of the size of the gamma function; infinite at 0 and at the negative integers.
///
/// Relative accuracy for positive arguments, also near the zeros 1 and 2; for negative ones absolute accuracy near the zeros.
pub fn lgamma<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (zero, size) = (l.splat(0.0), l.abs(x));
    let (middle, far) = (below_ten(l, size), stirling(l, size));
    let ten = l.splat(10.0);
    let is_far = l.le(ten, size);
    let value = l.select(is_far, far, middle);
    // Gamma(-x) Gamma(x) = -pi / (x sin(pi x)).
    let (sine, _) = sine_and_tangent(l, x);
    let sine = l.abs(sine);
    let product = l.mul(size, sine);
    let log_product = log(l, product);
    let log_pi = constant(l, 1.1447298858494002, 1.1447298526763916);
    let mirrored = l.sub(log_pi, log_product);
    let mirrored = l.sub(mirrored, value);
    // Next to 0 both sides are -log |x| to rounding, and the product underflows.
    let tiny = constant(l, -1e-17, -1e-9);
    let negative = l.lt(x, tiny);
    let value = l.select(negative, mirrored, value);
    let infinite = l.splat(f64::INFINITY);
    let (at_zero, at_end) = (l.eq(size, zero), l.eq(size, infinite));
    let beyond = l.mask_or(at_zero, at_end);
    let value = l.select(beyond, infinite, value);
    let number = l.eq(x, x);
    l.select(number, value, x)
}

/// `lgamma` for `x` above 0 and below 10: brought to `[1, 3]` by factors, whose product is carried as a pair.
fn below_ten<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (zero, one, two) = (l.splat(0.0), l.splat(1.0), l.splat(2.0));
    let (mut product, mut product_low, mut y) = (one, zero, x);
    for step in 1..=7 {
        let (step_size, least) = (l.splat(f64::from(step)), l.splat(f64::from(step) + 2.0));
        let applies = l.le(least, x);
        let lower = l.sub(x, step_size);
        let (next, error) = two_product(l, product, lower);
        let next_low = l.fma(product_low, lower, error);
        product = l.select(applies, next, product);
        product_low = l.select(applies, next_low, product_low);
        y = l.select(applies, lower, y);
    }
    let less_one = l.sub(y, one);
    let less_two = l.sub(y, two);
    // Below 1, log Gamma(x) = log Gamma(1 + x) - log(x).
    let small = l.lt(x, one);
    let u = l.select(small, less_one, less_two);
    let v = l.select(small, x, less_one);
    let q = polynomial(l, u, &NEAR_64, &NEAR_32);
    let uv = l.mul(u, v);
    let near = l.mul(uv, q);
    let argument = l.select(small, x, product);
    let logarithm = log(l, argument);
    let correction = l.div(product_low, product);
    let logarithm = l.add(logarithm, correction);
    let minus = l.neg(logarithm);
    let logarithm = l.select(small, minus, logarithm);
    l.add(near, logarithm)
}

/// `lgamma` from 10 on, by Stirling's series.
fn stirling<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let ten = l.splat(10.0);
    let bounded = super::max(l, x, ten);
    let (one, zero, half) = (l.splat(1.0), l.splat(0.0), l.splat(0.5));
    // (x - 1/2) (log x - 1) + log(2 pi) / 2 - 1/2 + ...
    let (log, log_low) = log_pair(l, bounded);
    let minus_one = l.splat(-1.0);
    let (log, error) = fast_two_sum(l, log, minus_one);
    let log_low = l.add(log_low, error);
    let factor = l.sub(bounded, half);
    let (product, product_low) = multiply_pairs(l, (factor, zero), (log, log_low));
    // B_2j / (2j (2j - 1) x^(2j - 1))
    let series = |terms: usize| -> Vec<f64> {
        (1..=terms).map(|j| BERNOULLI[j - 1] / ((2 * j) as f64 * (2 * j - 1) as f64)).collect()
    };
    let inverse = l.div(one, bounded);
    let z = l.mul(inverse, inverse);
    let tail = polynomial(l, z, &series(8), &series(4));
    let tail = l.mul(tail, inverse);
    let offset = constant(l, 0.4189385332046727, 0.418938547372818);
    let offset_low = constant(l, 1.6728209650585413e-17, -1.4168145251383733e-08);
    let low = l.add(product_low, offset_low);
    let low = l.add(low, tail);
    let (sum, error) = fast_two_sum(l, product, offset);
    let low = l.add(low, error);
    let value = l.add(sum, low);
    let infinite = l.splat(f64::INFINITY);
    let finite = l.lt(product, infinite);
    l.select(finite, value, infinite)
}

/// `sin(pi x)` and `tan(pi x)` up to their signs' period: of `x` less the nearest integer, which is exact.
fn sine_and_tangent<L: Lanes>(l: &mut L, x: L::V) -> (L::V, L::V) {
    let nearest = l.round_even(x);
    let rest = l.sub(x, nearest);
    let pi = l.splat(std::f64::consts::PI);
    let angle = l.mul(pi, rest);
    (super::sin(l, angle), super::tan(l, angle))
}

/// The polygamma function of an order: the derivative of that order of `digamma`, the logarithmic derivative of the
/// gamma function, which is order 0.
///
/// At 0 infinite, at the negative integers infinite for odd orders and NaN for even ones. Absolute accuracy of `digamma`
/// near its zeros, and of the others for negative arguments.
pub fn polygamma<L: Lanes>(l: &mut L, order: usize, x: L::V) -> L::V {
    let (zero, one) = (l.splat(0.0), l.splat(1.0));
    let negative = l.lt(x, zero);
    let mirrored = l.sub(one, x);
    let z = l.select(negative, mirrored, x);
    let right = if order == 0 { digamma(l, z) } else { derivative(l, order, z) };
    // psi_n(x) = (-1)^n psi_n(1 - x) - pi^(n + 1) Q_n(cot(pi x)), with Q_0(c) = c and Q_(n+1)(c) = -(1 + c^2) Q_n'(c).
    let (_, tangent) = sine_and_tangent(l, x);
    let cotangent = l.div(one, tangent);
    let mut q = vec![0.0, 1.0];
    for _ in 0..order {
        let slope: Vec<f64> = q.iter().enumerate().skip(1).map(|(i, c)| i as f64 * c).collect();
        let mut next = vec![0.0; slope.len() + 2];
        for (i, c) in slope.iter().enumerate() {
            next[i] -= c;
            next[i + 2] -= c;
        }
        q = next;
    }
    let q = polynomial(l, cotangent, &q, &q);
    // By products, whose order is fixed.
    let power = (0..=order).fold(1.0, |power, _| power * std::f64::consts::PI);
    let power = l.splat(-power);
    let other = if order.is_multiple_of(2) { right } else { l.neg(right) };
    let left = l.fma(power, q, other);
    let value = l.select(negative, left, right);
    // Poles.
    let infinite = l.splat(f64::INFINITY);
    let whole = l.trunc(x);
    let integer = l.eq(x, whole);
    let pole = l.mask_and(negative, integer);
    let at_pole = l.splat(if order.is_multiple_of(2) { f64::NAN } else { f64::INFINITY });
    let value = l.select(pole, at_pole, value);
    let inverse = l.div(one, x);
    let at_zero = if order.is_multiple_of(2) { l.neg(inverse) } else { infinite };
    let is_zero = l.eq(x, zero);
    let value = l.select(is_zero, at_zero, value);
    let number = l.eq(x, x);
    l.select(number, value, x)
}

/// `digamma` above 0: `log y - 1 / 2y - ...` at `y = x + steps`, less `1 / (x + k)` for each step, in pairs.
fn digamma<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (one, half) = (l.splat(1.0), l.splat(0.5));
    let steps = if L::BITS == 64 { 10 } else { 6 };
    let far = l.splat(f64::from(steps));
    let (y, y_low) = two_sum(l, x, far);
    let inverse = l.div(one, y);
    let z = l.mul(inverse, inverse);
    // -B_2j / 2j
    let series = |terms: usize| -> Vec<f64> { (1..=terms).map(|j| -BERNOULLI[j - 1] / (2 * j) as f64).collect() };
    let tail = polynomial(l, z, &series(9), &series(4));
    let tail = l.mul(tail, z);
    let (mut high, log_low) = log_pair(l, y);
    let mut low = l.fma(y_low, inverse, log_low);
    low = l.add(low, tail);
    let minus_half = l.neg(half);
    low = l.fma(minus_half, inverse, low);
    for step in 0..steps {
        let step = l.splat(f64::from(step));
        let (below, below_low) = two_sum(l, x, step);
        let zero = l.splat(0.0);
        let (term, correction) = divide_pairs(l, (one, zero), (below, below_low));
        let minus = l.neg(term);
        let (next, error) = two_sum(l, high, minus);
        high = next;
        low = l.add(low, error);
        low = l.sub(low, correction);
    }
    let value = l.add(high, low);
    let infinite = l.splat(f64::INFINITY);
    let finite = l.lt(x, infinite);
    let value = l.select(finite, value, x);
    // Where 1 / x may be infinite it is all there is.
    let tiny = constant(l, 1e-290, 1e-30);
    let small = l.lt(x, tiny);
    let inverse = l.div(one, x);
    let minus = l.neg(inverse);
    l.select(small, minus, value)
}

/// `polygamma` of an order above 0, above 0: `(-1)^(n + 1) n! zeta(n + 1, x)`, with the Hurwitz zeta function by Euler and
/// Maclaurin's formula.
fn derivative<L: Lanes>(l: &mut L, order: usize, x: L::V) -> L::V {
    let (one, half) = (l.splat(1.0), l.splat(0.5));
    let s = order + 1;
    let steps = if L::BITS == 64 { 10 + 2 * order } else { 5 + order };
    let (far, zero) = (l.splat(steps as f64), l.splat(0.0));
    let is_far = l.le(far, x);
    let y = l.add(x, far);
    let y = l.select(is_far, x, y);
    let inverse = l.div(one, y);
    let z = l.mul(inverse, inverse);
    // zeta(s, y) = y^-(s-1) (1/(s-1) + 1/2y + sum of B_2j / (2j)! s (s + 1) ... (s + 2j - 2) / y^2j)
    let series = |terms: usize| -> Vec<f64> {
        let mut rising = 1.0;
        (1..=terms)
            .map(|j| {
                // s (s + 1) ... (s + 2j - 2) / (2j)!
                let last = s + 2 * j - 2;
                rising *= last as f64 / (2 * j) as f64;
                if j > 1 {
                    rising *= (last - 1) as f64 / (2 * j - 1) as f64;
                }
                BERNOULLI[j - 1] * rising
            })
            .collect()
    };
    let tail = polynomial(l, z, &series(10), &series(6));
    let tail = l.mul(tail, z);
    let tail = l.fma(half, inverse, tail);
    let first = l.splat(1.0 / order as f64);
    let tail = l.add(tail, first);
    let scale = power(l, inverse, order);
    let mut sum = l.mul(tail, scale);
    for step in (0..steps).rev() {
        let step = l.splat(step as f64);
        let below = l.add(x, step);
        let inverse = l.div(one, below);
        let term = power(l, inverse, s);
        let term = l.select(is_far, zero, term);
        sum = l.add(sum, term);
    }
    let factorial: f64 = (1..=order).map(|i| i as f64).product();
    let factor = l.splat(if order % 2 == 1 { factorial } else { -factorial });
    l.mul(factor, sum)
}

/// `x^n` by multiplication, for `n` above 0.
fn power<L: Lanes>(l: &mut L, x: L::V, n: usize) -> L::V {
    let mut value = x;
    for _ in 1..n {
        value = l.mul(value, x);
    }
    value
}
