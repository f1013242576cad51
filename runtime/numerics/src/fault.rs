//! What can go wrong while a program runs.

use std::fmt;

/// The kind of a run-time failure. Where it happened is known to the caller.
#[derive(Clone, PartialEq, Debug)]
pub enum FaultKind {
    /// `index` does not satisfy `0 <= index < size` on the given axis.
    IndexOutOfRange { index: i64, size: usize, axis: usize },
    /// Integer division or remainder by zero.
    DivisionByZero,
    /// A singular matrix was to be solved with.
    Singular,
    /// A matrix whose Cholesky factor was wanted is not positive definite.
    NotPositiveDefinite,
    /// The user asked to stop.
    Interrupted,
    /// A solver did not converge where its derivative needs a fixed point.
    Unconverged { solver: String },
    /// A derivative does not exist there (equal singular values).
    Degenerate { what: String },
    /// Memory beyond the limit was asked for.
    Memory { bytes: u64, limit: u64 },
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::IndexOutOfRange { index, size, axis } => {
                write!(f, "index {index} is out of range for axis {axis} of size {size}")
            }
            FaultKind::DivisionByZero => write!(f, "integer division by zero"),
            FaultKind::Singular => write!(f, "the matrix is singular"),
            FaultKind::NotPositiveDefinite => write!(f, "the matrix is not positive definite"),
            FaultKind::Interrupted => write!(f, "interrupted"),
            FaultKind::Unconverged { solver } => write!(f, "solver `{solver}` did not converge"),
            FaultKind::Degenerate { what } => write!(f, "{what}"),
            FaultKind::Memory { bytes, limit } => write!(f, "{bytes} bytes are needed, the limit is {limit}"),
        }
    }
}
