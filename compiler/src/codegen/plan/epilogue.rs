//! Epilogues: an elementwise nest that follows a product or a convolution and works on its result is called by the kernel,
//! part by part, while what was just written is still in the first cache.
//!
//! The parts of a result are ready in the order of memory, and a piece of the nest may read those elements of the result
//! that lie at its own places and no others. What the nest writes must not be what the kernel still reads.

use super::nest::{CHUNK, Pieces};
use super::{Base, Nest, Operand, Plan, Step};
use crate::codegen::view::View;
use dp_runtime::abi::{Call, Kernel, Then};
use dp_runtime::kernels::is_standard;

impl Plan {
    /// Finds epilogues in a list of steps, and in the loops and branches in it. The kernels' operands then live as long as
    /// what their epilogues write.
    pub fn epilogues(&mut self, steps: &mut Vec<Step>) {
        let mut done: Vec<Step> = Vec::with_capacity(steps.len());
        for mut step in steps.drain(..) {
            match &mut step {
                Step::Loop(l) => self.epilogues(&mut l.body),
                Step::Branch { then, otherwise, .. } => {
                    self.epilogues(then);
                    self.epilogues(otherwise);
                }
                Step::Nest(nest) => {
                    if let Some(Step::Call { call, operands, then: then @ None }) = done.last_mut()
                        && let Some(parts) = follows(&self.calls[*call], operands, nest)
                    {
                        self.calls[*call].then = Some(parts);
                        self.live_together(operands, nest);
                        *then = Some(Box::new(nest.clone()));
                        continue;
                    }
                }
                Step::Scalar { .. }
                | Step::Load { .. }
                | Step::Store { .. }
                | Step::Call { .. }
                | Step::Guard { .. } => {}
            }
            done.push(step);
        }
        *steps = done;
    }

    fn live_together(&mut self, operands: &[Operand], nest: &Nest) {
        for (_, _, written) in &nest.outputs {
            let Base::Buffer(written) = written.base else { continue };
            let first = self.buffers[written as usize].first;
            for operand in operands {
                if let Operand::View(View { base: Base::Buffer(read), .. }) = operand {
                    let buffer = &mut self.buffers[*read as usize];
                    buffer.last = buffer.last.max(first);
                }
            }
        }
    }
}

/// How a nest follows a call piece by piece, if it can.
fn follows(call: &Call, operands: &[Operand], nest: &Nest) -> Option<Then> {
    let whole = call.operands.last()?;
    let parted = match call.kernel {
        Kernel::DotPacked => true,
        // Images, and groups of channels.
        Kernel::Conv { batch: 0, .. } => whole.shape[0] > 1 || whole.shape[1] > dp_runtime::kernels::conv::CHANNELS,
        _ => false,
    };
    let (Operand::View(result), reads) = operands.split_last()? else { return None };
    let (kind, pieces) = nest.pieces()?;
    if !parted || nest.reduction.is_some() || pieces < 2 || !is_standard(&whole.shape, &whole.strides) {
        return None;
    }
    let len = whole.len();
    // The elements of the result that belong to a piece.
    let each = match kind {
        Pieces::Chunks => CHUNK,
        Pieces::Outer => nest.shape[1..].iter().product(),
        Pieces::Parts => return None,
    };
    let own = |view: &View| {
        view.offset == result.offset && view.terms == result.terms && is_standard(&nest.shape, &view.strides)
    };
    let all = nest.shape.iter().product::<usize>() == len;
    let used = nest.inputs.iter().any(|input| input.view.base == result.base && own(&input.view));
    if !all || !used {
        return None;
    }
    let inputs = nest.inputs.iter().map(|input| &input.view);
    let outputs = nest.outputs.iter().map(|(_, _, view)| view);
    for view in inputs.chain(outputs.clone()) {
        if view.base == result.base && !own(view) && !apart(view, &nest.shape, result, len) {
            return None;
        }
    }
    for written in outputs {
        for (operand, layout) in reads.iter().zip(&call.operands) {
            let Operand::View(read) = operand else { return None };
            if written.base != read.base || apart(written, &nest.shape, read, span(&layout.shape, &layout.strides)?) {
                continue;
            }
            // Over the left operand of a product: row by row, each read for the last time before.
            let rows = matches!(call.kernel, Kernel::DotPacked)
                && std::ptr::eq(operand, &operands[0])
                && layout.shape == whole.shape
                && is_standard(&layout.shape, &layout.strides)
                && (read.offset, &read.terms) == (written.offset, &written.terms)
                && is_standard(&nest.shape, &written.strides);
            if !rows {
                return None;
            }
        }
    }
    Some(Then { entries: nest.inputs.len() + nest.outputs.len(), pieces, each, len, large: nest.is_large() })
}

/// How many elements from its first on a layout reaches; `None` if it also reaches before it.
fn span(shape: &[usize], strides: &[isize]) -> Option<usize> {
    shape
        .iter()
        .zip(strides)
        .try_fold(1, |reach, (&size, &stride)| Some(reach + size.saturating_sub(1) * usize::try_from(stride).ok()?))
}

/// True if a view of a shape surely shares no element with what another reaches: `len` elements from its first on.
fn apart(view: &View, shape: &[usize], other: &View, len: usize) -> bool {
    let Some(reach) = span(shape, &view.strides) else { return false };
    let before = |a: isize, reach: usize, b: isize| a + reach as isize <= b;
    view.terms == other.terms && (before(view.offset, reach, other.offset) || before(other.offset, len, view.offset))
}
