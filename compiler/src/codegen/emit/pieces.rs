//! How a program is split into functions, and which scalars cross from one to another.

use crate::codegen::plan::pieces::weight as op_weight;
use crate::codegen::plan::{Base, Count, Nest, Operand, Reg, Scalar, Step};
use crate::codegen::view::View;
use std::collections::HashMap;
use std::ops::Range;

/// The most weight of one function: about instructions.
const FUNCTION: usize = 4000;

/// Cuts a list of steps into pieces, one function each; one piece if it is short.
pub fn pieces(steps: &[Step]) -> Vec<Range<usize>> {
    let mut list = Vec::new();
    let (mut start, mut total) = (0, 0);
    for (i, step) in steps.iter().enumerate() {
        let weight = weight(step);
        if total + weight > FUNCTION && i > start && !reads_stack(step) {
            list.push(start..i);
            start = i;
            total = 0;
        }
        total += weight;
    }
    list.push(start..steps.len());
    list
}

/// True for a call that reads what the nest before it left on the function's stack.
fn reads_stack(step: &Step) -> bool {
    let on_stack = |operand: &Operand| matches!(operand, Operand::View(View { base: Base::Stack, .. }));
    matches!(step, Step::Call { operands, .. } if operands.iter().any(on_stack))
}

/// About how many instructions a step is in the function that contains it.
fn weight(step: &Step) -> usize {
    match step {
        Step::Scalar { op, .. } => op_weight(op) + 1,
        Step::Load { .. } | Step::Store { .. } => 4,
        Step::Nest(nest) => nest.levels().map(nest_weight).sum(),
        Step::Call { operands, then, .. } => {
            let entries = then.as_ref().map_or(0, |nest| nest.inputs.len() + nest.outputs.len() + 2);
            8 + 4 * (operands.len() + entries)
        }
        Step::Guard { .. } => 6,
        Step::Loop(l) => 30 + list_weight(&l.body),
        Step::Branch { then, otherwise, .. } => 10 + list_weight(then) + list_weight(otherwise),
    }
}

fn nest_weight(nest: &Nest) -> usize {
    let copies = if nest.reduction.is_some() { 12 } else { 4 };
    let totals = nest.reduction.as_ref().map_or(0, |r| 4 * r.totals.len());
    20 + 4 * nest.inputs.len() + copies * (nest.weight() + totals)
}

fn list_weight(steps: &[Step]) -> usize {
    let list = pieces(steps);
    if list.len() > 1 { 6 * list.len() } else { steps.iter().map(weight).sum() }
}

/// About how many instructions a program is.
pub fn total_weight(steps: &[Step]) -> usize {
    let inner = |step: &Step| match step {
        Step::Loop(l) => total_weight(&l.body),
        Step::Branch { then, otherwise, .. } => total_weight(then) + total_weight(otherwise),
        Step::Scalar { .. }
        | Step::Load { .. }
        | Step::Store { .. }
        | Step::Nest(_)
        | Step::Call { .. }
        | Step::Guard { .. } => 0,
    };
    steps.iter().map(|step| weight(step) + inner(step)).sum()
}

/// The slots of registers that are used in another function than they are defined in.
pub fn crossing(steps: &[Step]) -> HashMap<Reg, u32> {
    let mut scan = Crossing::default();
    scan.list(steps, 0);
    scan.slots
}

#[derive(Default)]
struct Crossing {
    defined: HashMap<Reg, u32>,
    slots: HashMap<Reg, u32>,
    functions: u32,
}

impl Crossing {
    fn define(&mut self, reg: Reg, function: u32) {
        self.defined.insert(reg, function);
    }

    fn read(&mut self, scalar: Scalar, function: u32) {
        if let Scalar::Reg(reg) = scalar
            && self.defined.get(&reg) != Some(&function)
        {
            let next = self.slots.len() as u32;
            self.slots.entry(reg).or_insert(next);
        }
    }

    fn view(&mut self, view: &View, function: u32) {
        if let Some(scalar) = view.as_splat() {
            self.read(scalar, function);
        }
        for &(reg, _) in &view.terms {
            self.read(Scalar::Reg(reg), function);
        }
    }

    fn operand(&mut self, operand: &Operand, function: u32) {
        match operand {
            Operand::View(view) => self.view(view, function),
            Operand::Out(reg) => self.define(*reg, function),
        }
    }

    fn nest(&mut self, nest: &Nest, function: u32) {
        nest.reads().for_each(|input| self.view(&input.view, function));
        nest.outputs.iter().for_each(|(_, _, view)| self.view(view, function));
        for total in nest.reduction.iter().flat_map(|reduction| &reduction.totals) {
            self.operand(&total.to, function);
        }
    }

    fn list(&mut self, steps: &[Step], function: u32) {
        let list = pieces(steps);
        if list.len() == 1 {
            steps.iter().for_each(|step| self.step(step, function));
            return;
        }
        for range in list {
            self.functions += 1;
            let own = self.functions;
            steps[range].iter().for_each(|step| self.step(step, own));
        }
    }

    fn step(&mut self, step: &Step, f: u32) {
        match step {
            Step::Scalar { args, out, .. } => {
                args.iter().for_each(|&a| self.read(a, f));
                self.define(*out, f);
            }
            Step::Load { from, out } => {
                self.view(from, f);
                self.define(*out, f);
            }
            Step::Store { value, to } => {
                self.read(*value, f);
                self.view(to, f);
            }
            Step::Nest(nest) => self.nest(nest, f),
            Step::Call { operands, then, .. } => {
                operands.iter().for_each(|operand| self.operand(operand, f));
                then.iter().for_each(|nest| self.nest(nest, f));
            }
            Step::Guard { pred, .. } => self.read(*pred, f),
            Step::Loop(l) => {
                if let Count::Given { count, .. } = l.count {
                    self.read(count, f);
                }
                self.define(l.counter, f);
                for carry in &l.carries {
                    self.read(carry.init, f);
                    self.define(carry.param, f);
                }
                self.list(&l.body, f);
                for carry in &l.carries {
                    self.read(carry.next, f);
                    self.define(carry.out, f);
                }
                if let Count::Until { stop, ran, .. } = l.count {
                    self.read(stop, f);
                    self.define(ran, f);
                }
            }
            Step::Branch { pred, then, otherwise, outs } => {
                self.read(*pred, f);
                self.list(then, f);
                self.list(otherwise, f);
                for &(out, yes, no) in outs {
                    self.read(yes, f);
                    self.read(no, f);
                    self.define(out, f);
                }
            }
        }
    }
}
