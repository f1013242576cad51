//! Operands of matrix products that are the same in all passes of a loop are packed once, before it.

use super::{Base, Operand, Plan, Planner, Reg, Step};
use crate::codegen::view::View;
use crate::ir::graph::Type;
use dp_runtime::abi::{Call, Kernel};
use dp_runtime::kernels::{Layout, dot, gemm};
use dp_runtime::tensor::DType;

/// An operand as a product reads it: the panels' rows and columns, and where they come from.
#[derive(Clone, PartialEq)]
struct Packing {
    from: View,
    layout: Layout,
}

impl Planner {
    /// Replaces products in the body of a loop by such with an operand that is packed before the loop, where the operand
    /// lies in one of the `constant` bases and does not move with the loop's `counter`. What inner loops pack and does not
    /// change here is packed before this loop too. Adds the packing to `before`, and gives the buffers that it fills: they
    /// must live as long as the loop.
    pub fn pack(&mut self, constant: &[Base], counter: Reg, body: &mut Vec<Step>, before: &mut Vec<Step>) -> Vec<u32> {
        let fixed =
            |view: &View| constant.contains(&view.base) && view.terms.iter().all(|&(moves, _)| moves != counter);
        let mut done: Vec<(Packing, View, usize)> = Vec::new();
        let mut buffers = Vec::new();
        let mut moved = Vec::new();
        for (place, step) in body.iter_mut().enumerate() {
            let Step::Call { call, operands, .. } = step else { continue };
            let description = self.plan.calls[*call].clone();
            if let (Kernel::Pack, [Operand::View(from), Operand::View(to)]) = (&description.kernel, operands.as_slice())
            {
                if let (true, Base::Buffer(id)) = (fixed(from), to.base) {
                    buffers.push(id);
                    moved.push(place);
                }
                continue;
            }
            let Some((turned, packing)) = candidate(&description, operands).filter(|(_, packing)| fixed(&packing.from))
            else {
                continue;
            };
            let known = done.iter().find(|(other, ..)| *other == packing).map(|(_, to, pack)| (to.clone(), *pack));
            let (to, pack) = match known {
                Some(known) => known,
                None => {
                    let Packing { from, layout } = &packing;
                    let len = dot::packed_len(layout.dtype.size(), layout.shape[0], layout.shape[1]);
                    let to = self.buffer(&Type::new(layout.dtype, &[len]));
                    if let Base::Buffer(id) = to.base {
                        buffers.push(id);
                    }
                    let operands = [layout.clone(), Layout::standard(layout.dtype, &[len])].to_vec();
                    self.plan.calls.push(Call { kernel: Kernel::Pack, operands, ..description.clone() });
                    let operands = [from.clone(), to.clone()].map(Operand::View).to_vec();
                    let pack = self.plan.calls.len() - 1;
                    before.push(Step::Call { call: pack, operands, then: None });
                    done.push((packing, to.clone(), pack));
                    (to, pack)
                }
            };
            let Turned { left, result } = turned;
            let panels = self.plan.calls[pack].operands[1].clone();
            *operands = vec![left.0, Operand::View(to), result.0];
            let layouts = vec![left.1, panels, result.1];
            self.plan.calls[*call] = Call { kernel: Kernel::DotPacked, operands: layouts, ..description };
        }
        for place in moved.into_iter().rev() {
            before.push(body.remove(place));
        }
        buffers
    }
}

impl Plan {
    /// The bytes of the arena in which packed operands lie at some time. The plan has been laid out.
    pub fn packed_bytes(&self) -> u64 {
        let mut ids = Vec::new();
        self.packed(&self.steps, &mut ids);
        let buffers = ids.into_iter().map(|id| &self.buffers[id as usize]);
        let mut ranges: Vec<(u64, u64)> = buffers.map(|buffer| (buffer.offset, buffer.offset + buffer.bytes)).collect();
        ranges.sort_unstable();
        let (mut bytes, mut end) = (0, 0);
        for (from, to) in ranges {
            bytes += to.saturating_sub(from.max(end));
            end = end.max(to);
        }
        bytes
    }

    /// The buffers that steps pack operands into.
    fn packed(&self, steps: &[Step], ids: &mut Vec<u32>) {
        for step in steps {
            match step {
                Step::Call { call, operands, .. } => {
                    if let (Kernel::Pack, [_, Operand::View(View { base: Base::Buffer(id), .. })]) =
                        (&self.calls[*call].kernel, operands.as_slice())
                    {
                        ids.push(*id);
                    }
                }
                Step::Loop(l) => self.packed(&l.body, ids),
                Step::Branch { then, otherwise, .. } => {
                    self.packed(then, ids);
                    self.packed(otherwise, ids);
                }
                Step::Scalar { .. } | Step::Load { .. } | Step::Store { .. } | Step::Nest(_) | Step::Guard { .. } => {}
            }
        }
    }
}

/// The other operand and the result of a product as it is done.
struct Turned {
    left: (Operand, Layout),
    result: (Operand, Layout),
}

/// What a call would pack, if it is a product that packs.
fn candidate(call: &Call, operands: &[Operand]) -> Option<(Turned, Packing)> {
    let (Kernel::Dot { batch: 0 }, [a, b, c], [x, y, z]) = (&call.kernel, operands, call.operands.as_slice()) else {
        return None;
    };
    let float = matches!(x.dtype, DType::F32 | DType::F64);
    let (&[m, k], &[_, n]) = (x.shape.as_slice(), y.shape.as_slice()) else { return None };
    if !float || m < 2 || n < 2 || k == 0 {
        return None;
    }
    let (left, right, result) = if dot::turn((m, n), (z.strides[0], z.strides[1])) {
        ((b, turned(y)), (a, turned(x)), (c, turned(z)))
    } else {
        ((a, x.clone()), (b, y.clone()), (c, z.clone()))
    };
    let Operand::View(from) = right.0 else { return None };
    if !gemm::packs(left.1.shape[0], right.1.strides[1]) {
        return None;
    }
    let turned = Turned { left: (left.0.clone(), left.1), result: (result.0.clone(), result.1) };
    Some((turned, Packing { from: from.clone(), layout: right.1 }))
}

/// The layout of a transposed matrix.
fn turned(layout: &Layout) -> Layout {
    let mut layout = layout.clone();
    layout.shape.reverse();
    layout.strides.reverse();
    layout
}
