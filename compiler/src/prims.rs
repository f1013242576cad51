//! The primitive table.

use crate::ir::graph::{Op, Type};

/// The printed name of an operation.
pub fn name(_op: &Op) -> &'static str {
    "?"
}

/// The types of an operation's results for operands of these types, or why they do not fit.
pub fn result(_op: &Op, _args: &[&Type]) -> Result<Vec<Type>, String> {
    Err("no row yet".to_string())
}
