//! Loop nests: collapsing axes and dropping what is empty, and the pieces in which a nest can be done.

use super::reduction::part_length;
use super::{Input, Nest, Operand, Order, Planner, Step, TileOp, Total};
use crate::codegen::view::View;
use crate::ir::graph::Op;
use dp_runtime::abi::MOST_ENTRIES;
use dp_runtime::kernels::walk::collapse;
use dp_runtime::tensor::DType;

/// Nests of at least so many light operations, some 100 microseconds of work, are dealt out to threads.
const LARGE: usize = 2 << 20;
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
        let faults = self.ops.iter().any(|op| matches!(op.op, Op::IntDiv | Op::Mod));
        let mut totals = self.reduction.iter().flat_map(|reduction| &reduction.totals);
        !faults && !totals.any(|total| matches!(total.to, Operand::Out(_)))
    }

    /// True if there is work for several threads.
    pub fn is_large(&self) -> bool {
        let operands = self.inputs.len() + self.outputs.len();
        let each = self.ops.iter().map(|op| weight(&op.op)).sum::<usize>() + operands;
        self.shape.iter().product::<usize>().saturating_mul(each) >= LARGE
    }

    /// How the nest can be done piece by piece, each by a call of one function, and in how many pieces.
    pub fn pieces(&self) -> Option<(Pieces, usize)> {
        let totals = self.reduction.as_ref().map_or(0, |reduction| reduction.totals.len());
        if self.inputs.len() + self.outputs.len() + totals + 2 > MOST_ENTRIES || !self.is_movable() {
            return None;
        }
        let Some(reduction) = &self.reduction else {
            return Some(match self.shape.as_slice() {
                [n] => (Pieces::Chunks, n.div_ceil(CHUNK)),
                shape => (Pieces::Outer, shape.first().copied().unwrap_or(1)),
            });
        };
        let loops = match reduction.order {
            Order::Along => reduction.kept,
            Order::Across => reduction.kept.saturating_sub(1),
        };
        let parted = |total: &Total| total.parts > 1 && matches!(total.to, Operand::View(_));
        if loops > 0 {
            Some((Pieces::Outer, self.shape[0]))
        } else if reduction.totals.iter().all(parted) {
            let count: usize = self.shape[reduction.kept..].iter().product();
            Some((Pieces::Parts, count / part_length(reduction.order)))
        } else {
            None
        }
    }
}

impl Planner {
    /// Appends a nest over `shape`, whose views have that shape's axes.
    pub fn push_nest(
        &mut self,
        shape: &[usize],
        inputs: Vec<(DType, View)>,
        ops: Vec<TileOp>,
        outputs: Vec<(u32, DType, View)>,
        lanes: u32,
        steps: &mut Vec<Step>,
    ) {
        if shape.contains(&0) || outputs.is_empty() {
            return;
        }
        let all: Vec<&[isize]> = inputs
            .iter()
            .map(|(_, v)| v.strides.as_slice())
            .chain(outputs.iter().map(|(_, _, v)| v.strides.as_slice()))
            .collect();
        let (shape, strides) = collapse(shape, &all);
        let mut strides = strides.into_iter();
        let mut next = |view: View| View { strides: strides.next().unwrap_or_default(), ..view };
        let inputs = inputs.into_iter().map(|(dtype, view)| Input { dtype, view: next(view) }).collect();
        let outputs = outputs.into_iter().map(|(value, dtype, view)| (value, dtype, next(view))).collect();
        self.push(steps, Step::Nest(Nest { shape, inputs, ops, outputs, lanes, reduction: None }));
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
