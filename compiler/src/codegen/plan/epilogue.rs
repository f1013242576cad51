//! Epilogues: an elementwise nest that follows a product or a convolution and works on its result is called by the kernel,
//! part by part, while what was just written is still in the first cache.
//!
//! The parts of a result are ready in the order of memory, and a piece of the nest may read those elements of the result
//! that lie at its own places and no others. What the nest writes must not be what the kernel still reads.

use super::pieces::Pieces;
use super::{Base, Nest, Operand, Plan, Step};
use crate::codegen::view::View;
use dp_runtime::abi::{Call, Kernel, Then};
use dp_runtime::kernels::{conv, dot, is_standard};

impl Plan {
    /// Finds epilogues in a list of steps, and in the loops and branches in it. The kernels' operands then live as long as
    /// what their epilogues write. A result that only its epilogue reads has no place any more.
    pub fn epilogues(&mut self, steps: &mut Vec<Step>) {
        let mut uses = vec![0; self.buffers.len()];
        count(steps, &mut uses);
        self.find(steps, &uses);
    }

    fn find(&mut self, steps: &mut Vec<Step>, uses: &[u32]) {
        let mut done: Vec<Step> = Vec::with_capacity(steps.len());
        for mut step in steps.drain(..) {
            match &mut step {
                Step::Loop(l) => self.find(&mut l.body, uses),
                Step::Branch { then, otherwise, .. } => {
                    self.find(then, uses);
                    self.find(otherwise, uses);
                }
                Step::Nest(nest) => {
                    if let Some(Step::Call { call, operands, then: then @ None }) = done.last_mut()
                        && let Some((mut parts, nest)) = follows(&self.calls[*call], operands, nest)
                    {
                        self.live_together(operands, &nest);
                        if part_bytes(&self.calls[*call], parts.each) <= PART {
                            parts.private = self.private(operands, &nest, uses);
                        }
                        self.calls[*call].then = Some(parts);
                        *then = Some(Box::new(nest));
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

    /// The number of the nest's operand that is the result, if nothing else is in the result's buffer, which then goes.
    fn private(&mut self, operands: &[Operand], nest: &Nest, uses: &[u32]) -> Option<usize> {
        let Some(Operand::View(View { base: base @ Base::Buffer(id), .. })) = operands.last() else { return None };
        let mut places = (0..nest.inputs.len()).filter(|&i| nest.inputs[i].view.base == *base);
        let place = places.next()?;
        if uses[*id as usize] != 2 || places.next().is_some() {
            return None;
        }
        let buffer = &mut self.buffers[*id as usize];
        (buffer.first, buffer.last) = (usize::MAX, 0);
        Some(place)
    }
}

/// The bytes of the largest part of a result that a thread makes at once: an image (or some small ones, which are less than a
/// large part), or the most rows, up to a whole piece of `each` elements.
fn part_bytes(call: &Call, each: usize) -> usize {
    let Some(result) = call.operands.last() else { return 0 };
    let elements = match result.shape.as_slice() {
        &[_, columns] => dot::MOST_ROWS.saturating_mul(columns).saturating_add(each),
        shape => shape[1..].iter().product(),
    };
    elements.saturating_mul(result.dtype.size())
}

/// Counts how often each buffer occurs in the steps.
fn count(steps: &[Step], uses: &mut [u32]) {
    for step in steps {
        let mut see = |view: &View| {
            if let Base::Buffer(id) = view.base {
                uses[id as usize] += 1;
            }
        };
        match step {
            Step::Load { from, .. } => see(from),
            Step::Store { to, .. } => see(to),
            Step::Nest(nest) => {
                nest.reads().for_each(|input| see(&input.view));
                nest.outputs.iter().for_each(|(_, _, view)| see(view));
                for total in nest.reduction.iter().flat_map(|reduction| &reduction.totals) {
                    if let Operand::View(view) = &total.to {
                        see(view);
                    }
                }
            }
            Step::Call { operands, .. } => {
                for operand in operands {
                    if let Operand::View(view) = operand {
                        see(view);
                    }
                }
            }
            Step::Loop(l) => count(&l.body, uses),
            Step::Branch { then, otherwise, .. } => {
                count(then, uses);
                count(otherwise, uses);
            }
            Step::Scalar { .. } | Step::Guard { .. } => {}
        }
    }
}

/// Larger parts of a result lie in the arena, whose size is known and limited.
const PART: usize = 16 << 20;

/// Rows that are shorter are not worth a loop of their own.
const SHORT: usize = 64;

/// The nest over the rows of a result, if it is one long axis and rows are not short.
fn by_rows(nest: &Nest, rows: usize, columns: usize) -> Nest {
    let mut nest = nest.clone();
    if nest.shape.as_slice() == [rows * columns] && columns >= SHORT {
        let views = nest.inputs.iter_mut().map(|input| &mut input.view);
        for view in views.chain(nest.outputs.iter_mut().map(|(_, _, view)| view)) {
            view.strides = vec![view.strides[0] * columns as isize, view.strides[0]];
        }
        nest.shape = vec![rows, columns];
    }
    nest
}

/// How a nest follows a call piece by piece, and the nest by pieces, if it can.
fn follows(call: &Call, operands: &[Operand], nest: &Nest) -> Option<(Then, Nest)> {
    let whole = call.operands.last()?;
    // What is made at once at least: a row of a product, a channel of an image.
    let (lines, line) = match (&call.kernel, whole.shape.as_slice()) {
        (Kernel::DotPacked, &[m, n]) => (m, n),
        (Kernel::Conv { batch: 0, .. }, &[images, channels, y, x]) if images > 1 || channels > conv::CHANNELS => {
            (images * channels, y * x)
        }
        _ => return None,
    };
    let nest = by_rows(nest, lines, line);
    let (Operand::View(result), reads) = operands.split_last()? else { return None };
    let (kind, pieces) = nest.pieces();
    let alone = nest.reduction.is_none() && nest.is_movable();
    if kind != Pieces::Outer || !alone || pieces < 2 || !is_standard(&whole.shape, &whole.strides) {
        return None;
    }
    // The elements of the result that belong to a piece: parts of a line, or lines that are made together.
    let len = whole.len();
    let each: usize = nest.shape[1..].iter().product();
    let together = match whole.shape.as_slice() {
        &[_, channels, ..] if whole.shape.len() == 4 => each == channels * line,
        _ => each.is_multiple_of(line),
    };
    if pieces * each != len || !(line.is_multiple_of(each) || together) {
        return None;
    }
    let own = |view: &View| {
        view.offset == result.offset && view.terms == result.terms && is_standard(&nest.shape, &view.strides)
    };
    let inputs = nest.inputs.iter().map(|input| &input.view);
    let outputs = nest.outputs.iter().map(|(_, _, view)| view);
    if !inputs.clone().any(|view| view.base == result.base && own(view)) {
        return None;
    }
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
    let entries = nest.inputs.len() + nest.outputs.len();
    Some((Then { entries, each, large: nest.is_large(), private: None }, nest))
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
