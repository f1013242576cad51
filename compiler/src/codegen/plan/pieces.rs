//! Nests done piece by piece: by several threads, or after parts of a kernel's result.

use super::{Nest, Operand};
use crate::ir::graph::Op;
use dp_runtime::abi::MOST_ENTRIES;

/// Nests of at least so many light operations, some 100 microseconds of work, are dealt out to threads.
pub const LARGE: usize = 2 << 20;
/// Elements of a chunk of an only axis.
pub const CHUNK: usize = 4096;

/// What the pieces of a nest are.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pieces {
    /// Places on the outermost axis.
    Outer,
    /// Chunks of the only axis, the last one shorter.
    Chunks,
    /// Parts of each total, the last one longer: it ends with what is left.
    Parts,
}

impl Nest {
    /// True if the operands can come from a table.
    pub fn is_movable(&self) -> bool {
        let mut ops = self.levels().flat_map(|nest| &nest.ops);
        let faults = ops.any(|op| matches!(op.op, Op::IntDiv | Op::Mod));
        let mut totals = self.reduction.iter().flat_map(|reduction| &reduction.totals);
        let entries = self.operands() + self.reduction.as_ref().map_or(0, |r| r.totals.len());
        !faults && entries + 2 <= MOST_ENTRIES && !totals.any(|total| matches!(total.to, Operand::Out(_)))
    }

    /// True if there is work for several threads.
    pub fn is_large(&self) -> bool {
        let work = |nest: &Nest| {
            let each = nest.weight() + nest.inputs.len() + nest.outputs.len();
            nest.shape.iter().product::<usize>().saturating_mul(each)
        };
        self.levels().map(work).fold(0, usize::saturating_add) >= LARGE
    }

    /// About how many instructions the operations of this level are.
    pub fn weight(&self) -> usize {
        self.ops.iter().map(|op| weight(&op.op)).sum()
    }

    /// The pieces of a nest that reduces nothing.
    pub fn pieces(&self) -> (Pieces, usize) {
        match self.shape.as_slice() {
            [n] => (Pieces::Chunks, n.div_ceil(CHUNK)),
            shape => (Pieces::Outer, shape.first().copied().unwrap_or(1)),
        }
    }
}

/// About how many instructions an operation is.
pub fn weight(op: &Op) -> usize {
    match op {
        Op::Exp | Op::Expm1 | Op::Log | Op::Log1p | Op::Tanh | Op::Sigmoid | Op::Erf | Op::Atan => 30,
        Op::Sin | Op::Cos | Op::Tan | Op::Softplus | Op::Atan2 => 50,
        Op::Log2 | Op::Log10 | Op::Hypot | Op::Sinh | Op::Cosh => 60,
        Op::Pow | Op::Cbrt | Op::Asin | Op::Acos | Op::Asinh | Op::Acosh | Op::Atanh | Op::Erfc => 100,
        Op::Lgamma => 400,
        Op::Polygamma { order } => 350 + 20 * order,
        Op::Max | Op::Min | Op::Sign | Op::MulZ => 7,
        Op::IntDiv | Op::Mod => 15,
        _ => 1,
    }
}
