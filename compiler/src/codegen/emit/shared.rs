//! Nests that occur several times, as one function.
//!
//! The function takes a table with one entry of 8 bytes for each input, output and total of the nest: an address, or the
//! value of a scalar. Nests that can fault, and those that give a scalar in a register, are not shared.

use super::element::clif_type;
use super::nest::{At, weight};
use super::{Body, Emitter, Pending, unaligned};
use crate::codegen::plan::{Nest, Operand, Reduction, Scalar, Step};
use crate::ir::graph::Op;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

/// Lighter bodies are written out each time: the call and its table would be no shorter.
const LIGHT: usize = 12;

/// What a nest does, whatever its operands' places: equal for nests that can share a function. `None` for nests that
/// are not shared.
pub fn form(nest: &Nest) -> Option<String> {
    let heavy: usize = nest.ops.iter().map(|op| weight(&op.op)).sum();
    let faults = nest.ops.iter().any(|op| matches!(op.op, Op::IntDiv | Op::Mod));
    let totals = nest.reduction.iter().flat_map(|reduction| &reduction.totals);
    if heavy < LIGHT || faults || totals.clone().any(|total| matches!(total.to, Operand::Out(_))) {
        return None;
    }
    let mut form = format!("{:?} {}", nest.shape, nest.lanes);
    // Writing to a string cannot fail.
    for input in &nest.inputs {
        let _ = write!(form, ";{:?}{:?}", input.dtype, input.view.strides);
        match input.view.as_splat() {
            Some(Scalar::Imm(_, bits)) => _ = write!(form, "={bits}"),
            Some(Scalar::Reg(_)) => form.push('r'),
            None => {}
        }
    }
    for op in &nest.ops {
        let _ = write!(form, ";{:?}{:?}{:?}{:?}", op.op, op.args, op.from, op.dtype);
    }
    for (value, dtype, view) in &nest.outputs {
        let _ = write!(form, ";{value}{dtype:?}{:?}", view.strides);
    }
    if let Some(reduction) = &nest.reduction {
        let _ = write!(form, ";{}{:?}", reduction.kept, reduction.order);
    }
    for total in totals {
        if let Operand::View(view) = &total.to {
            let _ = write!(form, ";{}{:?}{:?}{}{:?}", total.value, total.dtype, total.by, total.parts, view.strides);
        }
    }
    Some(form)
}

/// The forms that occur several times in a program.
pub fn repeated(steps: &[Step]) -> HashSet<String> {
    let mut counts = HashMap::new();
    count(steps, &mut counts);
    counts.into_iter().filter(|&(_, count)| count > 1).map(|(form, _)| form).collect()
}

fn count(steps: &[Step], counts: &mut HashMap<String, usize>) {
    for step in steps {
        match step {
            Step::Nest(nest) => {
                if let Some(form) = form(nest) {
                    *counts.entry(form).or_default() += 1;
                }
            }
            Step::Loop(l) => count(&l.body, counts),
            Step::Branch { then, otherwise, .. } => {
                count(then, counts);
                count(otherwise, counts);
            }
            Step::Scalar { .. } | Step::Load { .. } | Step::Store { .. } | Step::Call { .. } | Step::Guard { .. } => {}
        }
    }
}

impl<'p> Emitter<'p, '_, '_> {
    /// A call of a nest's function.
    pub fn shared_nest(&mut self, nest: &'p Nest, form: String) {
        let number = match self.links.nests.get(&form) {
            Some(&number) => number,
            None => {
                *self.links.next += 1;
                let number = *self.links.next;
                self.links.nests.insert(form, number);
                self.links.pending.push(Pending { number, body: Body::Nest(nest) });
                number
            }
        };
        let mut entries: Vec<Value> = Vec::new();
        for at in self.starts(nest) {
            entries.push(match at {
                At::Held(value) | At::Memory(value) => value,
            });
        }
        for total in nest.reduction.iter().flat_map(|reduction| &reduction.totals) {
            if let Operand::View(view) = &total.to {
                let address = self.address(view, total.dtype);
                entries.push(address);
            }
        }
        let slot = self.stack_slot(8 * entries.len() as u32);
        for (i, value) in entries.into_iter().enumerate() {
            self.b.ins().stack_store(types::I64, value, slot, 8 * i as i32);
        }
        let table = self.b.ins().stack_addr(types::I64, slot, 0);
        let callee = (self.links.link)(self.b.func, number);
        // Its status is always 0.
        self.b.ins().call(callee, &[self.frame, table]);
    }

    /// The operands of the nest that this function is, from its table.
    pub fn starts_in(&mut self, table: Value, nest: &Nest) -> Vec<At> {
        let mut at = Vec::new();
        for input in &nest.inputs {
            let place = 8 * at.len() as i32;
            at.push(match input.view.as_splat() {
                Some(constant @ Scalar::Imm(..)) => At::Held(self.scalar(constant)),
                Some(Scalar::Reg(_)) => {
                    At::Held(self.b.ins().load(clif_type(input.dtype, 1), unaligned(), table, place))
                }
                None => At::Memory(self.b.ins().load(types::I64, unaligned(), table, place)),
            });
        }
        for _ in &nest.outputs {
            let place = 8 * at.len() as i32;
            at.push(At::Memory(self.b.ins().load(types::I64, unaligned(), table, place)));
        }
        at
    }

    /// Where its totals go.
    pub fn totals_in(&mut self, table: Value, nest: &Nest, reduction: &Reduction) -> Vec<Option<Value>> {
        let first = nest.inputs.len() + nest.outputs.len();
        let places = first..first + reduction.totals.len();
        places.map(|place| Some(self.b.ins().load(types::I64, unaligned(), table, 8 * place as i32))).collect()
    }
}
