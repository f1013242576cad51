//! Exact rational numbers: the coefficients that an objective is written with, so that `2*(3*f)` is `6*f` and a half of
//! a square has the coefficient 1 of its gradient, not nearly 1.

use std::cmp::Ordering;
use std::fmt;

/// A fraction in lowest terms with a positive denominator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rat {
    num: i64,
    den: i64,
}

/// Denominators that are easier read as a fraction than as a decimal.
const FRACTIONS: [i64; 7] = [2, 3, 4, 6, 7, 8, 9];

impl Rat {
    pub const ZERO: Rat = Rat { num: 0, den: 1 };
    pub const ONE: Rat = Rat { num: 1, den: 1 };

    pub fn int(value: i64) -> Rat {
        Rat { num: value, den: 1 }
    }

    /// `None` if the denominator is zero or a number leaves the range.
    pub fn new(num: i128, den: i128) -> Option<Rat> {
        if den == 0 {
            return None;
        }
        let divisor = gcd(num.unsigned_abs(), den.unsigned_abs()) as i128;
        let sign = if den < 0 { -1 } else { 1 };
        let (num, den) = (sign * num / divisor, sign * den / divisor);
        // `i64::MIN` has no negative.
        let fits = |value: i128| i64::try_from(value).ok().filter(|value| *value != i64::MIN);
        Some(Rat { num: fits(num)?, den: fits(den)? })
    }

    /// The number of a literal, if it is exact in this form.
    pub fn of_literal(text: &str) -> Option<Rat> {
        let text: String = text.chars().filter(|c| *c != '_').collect();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa.to_string(), exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((&mantissa, ""));
        let digits: i128 = format!("{whole}{part}").parse().ok()?;
        let scale = exponent - i32::try_from(part.len()).ok()?;
        if scale.abs() > 18 {
            return None;
        }
        let power = 10_i128.pow(scale.unsigned_abs());
        if scale >= 0 { Rat::new(digits.checked_mul(power)?, 1) } else { Rat::new(digits, power) }
    }

    pub fn add(self, other: Rat) -> Option<Rat> {
        let (a, b) = (i128::from(self.num) * i128::from(other.den), i128::from(other.num) * i128::from(self.den));
        Rat::new(a.checked_add(b)?, i128::from(self.den) * i128::from(other.den))
    }

    pub fn mul(self, other: Rat) -> Option<Rat> {
        Rat::new(i128::from(self.num) * i128::from(other.num), i128::from(self.den) * i128::from(other.den))
    }

    pub fn inverse(self) -> Option<Rat> {
        Rat::new(i128::from(self.den), i128::from(self.num))
    }

    pub fn pow(self, exponent: i64) -> Option<Rat> {
        let base = if exponent < 0 { self.inverse()? } else { self };
        (0..exponent.unsigned_abs().min(64))
            .try_fold(Rat::ONE, |power, _| power.mul(base))
            .filter(|_| exponent.abs() <= 64)
    }

    pub fn neg(self) -> Rat {
        Rat { num: -self.num, den: self.den }
    }

    pub fn abs(self) -> Rat {
        Rat { num: self.num.abs(), den: self.den }
    }

    pub fn is_negative(self) -> bool {
        self.num < 0
    }

    pub fn as_int(self) -> Option<i64> {
        (self.den == 1).then_some(self.num)
    }

    pub fn num(self) -> i64 {
        self.num
    }

    pub fn den(self) -> i64 {
        self.den
    }

    pub fn less(self, other: Rat) -> bool {
        let (a, b) = (i128::from(self.num) * i128::from(other.den), i128::from(other.num) * i128::from(self.den));
        a.cmp(&b) == Ordering::Less
    }

    /// As a decimal, if it is one and not easier read as a fraction.
    pub fn decimal(self) -> Option<String> {
        if FRACTIONS.contains(&self.den) || self.den == 1 {
            return None;
        }
        let (mut den, mut twos, mut fives) = (self.den, 0_u32, 0_u32);
        while den % 2 == 0 {
            (den, twos) = (den / 2, twos + 1);
        }
        while den % 5 == 0 {
            (den, fives) = (den / 5, fives + 1);
        }
        let digits = twos.max(fives);
        if den != 1 || digits > 17 {
            return None;
        }
        let scaled = i128::from(self.num.abs()) * 10_i128.pow(digits) / i128::from(self.den);
        let text = format!("{scaled:0>width$}", width = digits as usize + 1);
        let (whole, part) = text.split_at(text.len() - digits as usize);
        let sign = if self.num < 0 { "-" } else { "" };
        let zeros = part.len() - part.trim_start_matches('0').len();
        // A long row of zeros is easier read with an exponent.
        if whole == "0" && zeros >= 4 {
            return Some(format!("{sign}{}e-{digits}", part.trim_start_matches('0')));
        }
        Some(format!("{sign}{whole}.{part}"))
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

impl fmt::Display for Rat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.den, self.decimal()) {
            (1, _) => write!(f, "{}", self.num),
            (_, Some(decimal)) => f.write_str(&decimal),
            (den, None) => write!(f, "{}/{den}", self.num),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_exact_and_print_back() {
        for (text, shown) in
            [("0.1", "0.1"), ("0.50", "1/2"), ("1e-3", "0.001"), ("12", "12"), ("2.5e1", "25"), ("1e-8", "1e-8")]
        {
            assert_eq!(Rat::of_literal(text).expect("exact").to_string(), shown);
        }
        assert_eq!(Rat::of_literal("1e-40"), None);
        assert_eq!(Rat::new(2, -6).expect("a fraction").to_string(), "-1/3");
        assert_eq!(Rat::new(1, 0), None);
    }

    #[test]
    fn arithmetic_stays_in_lowest_terms() {
        let third = Rat::new(1, 3).expect("a fraction");
        assert_eq!(third.add(Rat::new(1, 6).expect("a fraction")), Rat::new(1, 2));
        assert_eq!(third.mul(Rat::int(6)), Some(Rat::int(2)));
        assert_eq!(Rat::int(2).pow(-2), Rat::new(1, 4));
        assert_eq!(Rat::int(i64::MAX).mul(Rat::int(2)), None);
    }
}
