//! The Graph and what reads and writes it.

pub mod builder;
pub mod eval;
pub mod graph;
pub mod text;
pub mod verify;

use crate::source::Span;
use dp_runtime::fault::FaultKind;

/// A run-time failure with the place of the expression that made it.
#[derive(Clone, PartialEq, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    pub span: Span,
}
