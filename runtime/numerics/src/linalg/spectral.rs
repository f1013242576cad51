//! Quotients by differences and sums of singular values or eigenvalues, as they occur in derivatives of decompositions.
//!
//! Equal values have no separate vectors: a quotient by their difference does not exist, unless the matrix moves in a direction
//! that leaves the vectors where they are, and what is divided is zero. An adjoint is for all directions together, and so it
//! does not exist there: its 0/0 may stand for any number, such as the slope of g in the function `V diag(g(w)) V'`.

use super::Real;
use crate::fault::FaultKind;

/// What a matrix X is divided by, elementwise, given values s. E is the symmetric part of X and O the antisymmetric one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Spectral {
    /// `E_ij / (s_j - s_i)`, 0 on the diagonal.
    Difference,
    /// The adjoint of `Difference`: `O_ij / (s_j - s_i)`.
    DifferenceAdjoint,
    /// `O_ij / (s_i + s_j)`.
    Sum,
    /// The adjoint of `Sum`: the same numbers where they exist.
    SumAdjoint,
    /// `X_ij / s_j`, also for X that is not square.
    Value,
    /// The adjoint of `Value`: the same numbers where they exist.
    ValueAdjoint,
}

impl Spectral {
    /// What the transpose divides by.
    pub fn adjoint(self) -> Spectral {
        match self {
            Spectral::Difference => Spectral::DifferenceAdjoint,
            Spectral::DifferenceAdjoint => Spectral::Difference,
            Spectral::Sum => Spectral::SumAdjoint,
            Spectral::SumAdjoint => Spectral::Sum,
            Spectral::Value => Spectral::ValueAdjoint,
            Spectral::ValueAdjoint => Spectral::Value,
        }
    }

    fn is_adjoint(self) -> bool {
        matches!(self, Spectral::DifferenceAdjoint | Spectral::SumAdjoint | Spectral::ValueAdjoint)
    }
}

/// Differences of values below this many units in the last place of the greatest value, times their number, are equal.
const EQUAL: f64 = 16.0;
/// Dividends below this many units in the last place of the greatest element, times the number of values, are zero: they are
/// the rounding errors of products that cancel.
const NOTHING: f64 = 256.0;

/// The quotients for `values`, of which there are k, and a matrix `x` with rows of k in row-major order.
///
/// # Errors
/// `Degenerate` for a quotient that does not exist.
pub fn quotients<T: Real>(by: Spectral, values: &[T], x: &[T], out: &mut [T]) -> Result<(), FaultKind> {
    let k = values.len();
    let greatest = |list: &[T]| list.iter().fold(T::ZERO, |a, &b| if b.size() > a { b.size() } else { a });
    let units = |count: f64| T::of(count * k as f64) * T::EPSILON;
    let (equal, nothing) = (greatest(values) * units(EQUAL), greatest(x) * units(NOTHING));
    for (at, quotient) in out.iter_mut().enumerate() {
        let (i, j) = (at / k, at % k);
        let (dividend, divisor) = match by {
            Spectral::Value | Spectral::ValueAdjoint => (x[at], values[j]),
            _ if i == j => {
                *quotient = T::ZERO;
                continue;
            }
            Spectral::Difference => (T::HALF * (x[at] + x[j * k + i]), values[j] - values[i]),
            Spectral::DifferenceAdjoint => (T::HALF * (x[at] - x[j * k + i]), values[j] - values[i]),
            Spectral::Sum | Spectral::SumAdjoint => (T::HALF * (x[at] - x[j * k + i]), values[i] + values[j]),
        };
        *quotient = if divisor.size() <= equal {
            // NaN passes.
            if by.is_adjoint() || dividend.size() > nothing {
                return Err(FaultKind::Degenerate { what: message(by).to_string() });
            }
            if dividend.finite() { T::ZERO } else { dividend }
        } else {
            dividend / divisor
        };
    }
    Ok(())
}

fn message(by: Spectral) -> &'static str {
    match by {
        Spectral::Difference | Spectral::DifferenceAdjoint => {
            "two singular values or eigenvalues are equal here: their vectors have no derivative"
        }
        Spectral::Sum | Spectral::SumAdjoint | Spectral::Value | Spectral::ValueAdjoint => {
            "a singular value is zero here: its vectors have no derivative"
        }
    }
}
