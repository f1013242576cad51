//! Nests that occur several times, as one function.
//!
//! The function takes a table with one entry of 8 bytes for each input, output and total of the nest: an address, or the
//! value of a scalar. Nests that can fault, and those that give a scalar in a register, are not shared.

use super::element::clif_type;
use super::nest::{At, operands};
use super::{Body, Emitter, Pending, deal, unaligned};
use crate::codegen::plan::{Nest, Operand, Reduction, Scalar, Step};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

/// Lighter bodies are written out each time: the call and its table would be no shorter.
const LIGHT: usize = 12;

/// True if a nest becomes a function where it occurs several times.
fn is_shared(nest: &Nest) -> bool {
    nest.levels().map(Nest::weight).sum::<usize>() >= LIGHT && nest.is_movable() && deal::pieces(nest).is_none()
}

/// The form of a nest that is shared if it occurs several times.
pub fn shared_form(nest: &Nest) -> Option<String> {
    is_shared(nest).then(|| form(nest))
}

/// What a nest does, whatever its operands' places: equal for nests that can share a function.
pub fn form(nest: &Nest) -> String {
    nest.levels().map(level_form).collect::<Vec<_>>().join("|")
}

fn level_form(nest: &Nest) -> String {
    let totals = nest.reduction.iter().flat_map(|reduction| &reduction.totals);
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
        let _ = write!(form, ";{}{:?}{:?}{:?}{}", total.value, total.times, total.dtype, total.by, total.parts);
        if let Operand::View(view) = &total.to {
            let _ = write!(form, "{:?}", view.strides);
        }
    }
    form
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
                if let Some(form) = shared_form(nest) {
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
        let number = self.nest_function(form, Body::Nest(nest));
        let (table, _) = self.operand_table(nest);
        let callee = (self.links.link)(self.b.func, number);
        // Its status is always 0.
        self.b.ins().call(callee, &[self.frame, table]);
    }

    /// The function of all nests of a form; it is yet to be written if this is the first.
    pub fn nest_function(&mut self, form: String, body: Body<'p>) -> u32 {
        if let Some(&number) = self.links.nests.get(&form) {
            return number;
        }
        *self.links.next += 1;
        let number = *self.links.next;
        self.links.nests.insert(form, number);
        self.links.pending.push(Pending { number, body });
        number
    }

    /// The table of a nest's operands and the number of its entries, after which there are two more words.
    pub fn operand_table(&mut self, nest: &Nest) -> (Value, usize) {
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
        let count = entries.len();
        let slot = self.stack_slot(8 * (count as u32 + 2));
        for (i, value) in entries.into_iter().enumerate() {
            self.b.ins().stack_store(types::I64, value, slot, 8 * i as i32);
        }
        (self.b.ins().stack_addr(types::I64, slot, 0), count)
    }

    /// The operands of the nest that this function is, from its table.
    pub fn starts_in(&mut self, table: Value, nest: &Nest) -> Vec<At> {
        let mut at = Vec::new();
        for operand in operands(nest) {
            let place = 8 * at.len() as i32;
            at.push(match operand.1.as_splat() {
                Some(constant @ Scalar::Imm(..)) => At::Held(self.scalar(constant)),
                Some(Scalar::Reg(_)) => At::Held(self.b.ins().load(clif_type(operand.0, 1), unaligned(), table, place)),
                None => At::Memory(self.b.ins().load(types::I64, unaligned(), table, place)),
            });
        }
        at
    }

    /// Where its totals go.
    pub fn totals_in(&mut self, table: Value, nest: &Nest, reduction: &Reduction) -> Vec<Option<Value>> {
        let first = nest.operands();
        let places = first..first + reduction.totals.len();
        places.map(|place| Some(self.b.ins().load(types::I64, unaligned(), table, 8 * place as i32))).collect()
    }
}
