//! Nests that reduce: elements are combined as they are made.
//!
//! Sums of floats keep their defined order (`prims::sums`). Along the last axes, element p of a chunk goes to lane p mod
//! 32 (f32) or 16 (f64); the lanes are 128-bit vectors side by side, in registers where the body is short, else in
//! memory; unused lanes are +0, which changes no sum. Across the last axis, each place has one chain for a block
//! of rows. Other reductions give the same bits in any order, but products of floats, which are one chain.

use super::Emitter;
mod across;
mod along;
mod inside;
mod short;

use super::deal::Share;
use super::element::{clif_type, element, multiply_add};
use super::nest::{At, Index};
use crate::codegen::plan::pieces::Pieces;
use crate::codegen::plan::{Nest, Operand, Order, Reducer, Reduction, Total};
use crate::ir::graph::Op;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Type, Value, types};
use dp_runtime::abi::FoldBy;
use dp_runtime::tensor::DType;
use inside::inside_weight;
use short::{is_beside, is_together};

/// Up to this weight all vectors of a span are written out, with their sums in registers.
const SPAN: usize = 256;

/// Where a nest is at some place of its kept axes: its operands, and where each total goes (nowhere in memory for a
/// register).
#[derive(Clone)]
struct Place {
    at: Vec<At>,
    to: Vec<Option<Value>>,
}

/// A part of the reduced elements: a chunk, or a block of rows.
#[derive(Clone, Copy)]
struct Part {
    /// Its number, and the number of its first element.
    number: Index,
    base: Index,
    len: usize,
}

impl Total {
    /// One chain over all elements.
    fn is_chain(&self) -> bool {
        self.by == Reducer::Fold(FoldBy::Product) && self.dtype.is_float()
    }

    /// The stride of the parts, in bytes.
    fn part_step(&self) -> i64 {
        match &self.to {
            Operand::View(view) if self.parts > 1 => {
                view.strides.last().map_or(0, |&stride| stride as i64 * self.dtype.size() as i64)
            }
            Operand::View(_) | Operand::Out(_) => 0,
        }
    }

    /// The stride along a kept axis, in bytes.
    fn step(&self, axis: usize) -> i64 {
        match &self.to {
            Operand::View(view) => view.strides[axis] as i64 * self.dtype.size() as i64,
            Operand::Out(_) => 0,
        }
    }
}

impl Emitter<'_, '_, '_> {
    pub fn reduction(&mut self, nest: &Nest, reduction: &Reduction, at: Vec<At>) {
        let to = match self.table {
            Some(table) => self.totals_in(table, nest, reduction),
            None => reduction
                .totals
                .iter()
                .map(|total| match &total.to {
                    Operand::View(view) => Some(self.address(view, total.dtype)),
                    Operand::Out(_) => None,
                })
                .collect(),
        };
        self.kept(nest, reduction, 0, &Place { at, to });
    }

    /// The loops over kept axes.
    fn kept(&mut self, nest: &Nest, reduction: &Reduction, axis: usize, place: &Place) {
        if axis >= looped(nest, reduction) {
            return match reduction.order {
                Order::Along if is_beside(nest, reduction) => self.beside(nest, reduction, place),
                Order::Along if is_together(nest, reduction) => self.together(nest, reduction, place),
                Order::Along => self.along(nest, reduction, place),
                Order::Across => self.across(nest, reduction, place),
            };
        }
        self.places(nest, axis, |this, i| {
            let steps = this.steps(nest, axis);
            let at = this.moved(&place.at, &steps, i);
            let to = place.to.iter().zip(&reduction.totals).map(|(&to, total)| {
                to.map(|start| {
                    let shift = this.scaled(i, total.step(axis));
                    this.b.ins().iadd(start, shift)
                })
            });
            let to = to.collect();
            this.kept(nest, reduction, axis + 1, &Place { at, to });
        });
    }

    /// Splits the reduced elements into parts of at most `most`.
    fn parts(&mut self, count: usize, most: usize, mut each: impl FnMut(&mut Self, Part)) {
        let (whole, left) = (count / most, count % most);
        let none = |plus| Index { value: None, plus };
        if let Some(Share { pieces: Pieces::Parts, from, to }) = self.share {
            self.between(from, to, |this, i| {
                let base = this.scaled(i, most as i64);
                let (number, base) = (Index { value: Some(i), plus: 0 }, Index { value: Some(base), plus: 0 });
                each(this, Part { number, base, len: most });
            });
            if left > 0 {
                let last = self.b.ins().icmp_imm_s(IntCC::Equal, to, whole as i64);
                self.when(last, |this| each(this, Part { number: none(whole), base: none(whole * most), len: left }));
            }
            return;
        }
        if whole == 1 {
            each(self, Part { number: none(0), base: none(0), len: most });
        } else if whole > 1 {
            self.count(whole as i64, 1, |this, i| {
                let base = this.scaled(i, most as i64);
                let (number, base) = (Index { value: Some(i), plus: 0 }, Index { value: Some(base), plus: 0 });
                each(this, Part { number, base, len: most });
            });
        }
        if left > 0 {
            each(self, Part { number: none(whole), base: none(whole * most), len: left });
        }
    }

    /// A loop of at least one pass that carries values.
    fn repeat(
        &mut self,
        passes: usize,
        start: Vec<Value>,
        body: impl FnOnce(&mut Self, Value, &[Value]) -> Vec<Value>,
    ) -> Vec<Value> {
        let zero = self.b.ins().iconst(types::I64, 0);
        if passes == 1 {
            return body(self, zero, &start);
        }
        let (head, done) = (self.b.create_block(), self.b.create_block());
        let list: Vec<Type> = start.iter().map(|&v| self.b.func.dfg.value_type(v)).collect();
        let i = self.b.append_block_param(head, types::I64);
        let held: Vec<Value> = list.iter().map(|&ty| self.b.append_block_param(head, ty)).collect();
        let last: Vec<Value> = list.iter().map(|&ty| self.b.append_block_param(done, ty)).collect();
        let mut args = vec![BlockArg::Value(zero)];
        args.extend(start.iter().map(|&v| BlockArg::Value(v)));
        self.b.ins().jump(head, &args);
        self.b.switch_to_block(head);
        let next = body(self, i, &held);
        let further = self.b.ins().iadd_imm_s(i, 1);
        let more = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, further, passes as i64);
        let leave: Vec<BlockArg> = next.iter().map(|&v| BlockArg::Value(v)).collect();
        let mut again = vec![BlockArg::Value(further)];
        again.extend(&leave);
        self.b.ins().brif(more, head, &again, done, &leave);
        self.b.switch_to_block(done);
        last
    }

    /// `base + i * by`
    fn further(&mut self, base: Index, i: Value, by: usize) -> Index {
        let shift = self.scaled(i, by as i64);
        let value = match base.value {
            Some(value) => self.b.ins().iadd(value, shift),
            None => shift,
        };
        Index { value: Some(value), plus: base.plus }
    }

    /// The index `j` from another one on.
    pub fn beyond(&mut self, first: Index, j: Index) -> Index {
        let value = match (first.value, j.value) {
            (Some(a), Some(b)) => Some(self.b.ins().iadd(a, b)),
            (one, other) => one.or(other),
        };
        Index { value, plus: first.plus + j.plus }
    }

    fn index_value(&mut self, index: Index) -> Value {
        match index.value {
            Some(value) if index.plus == 0 => value,
            Some(value) => self.b.ins().iadd_imm_s(value, index.plus as i64),
            None => self.b.ins().iconst(types::I64, index.plus as i64),
        }
    }

    /// The operands at a flat index of the reduced axes, with the strides and the index on the innermost one.
    fn inside(&mut self, nest: &Nest, reduction: &Reduction, at: &[At], index: Index) -> (Vec<At>, Vec<i64>, Index) {
        let last = nest.shape.len().saturating_sub(1);
        if nest.shape.len() - reduction.kept <= 1 {
            let axis = if nest.shape.len() == reduction.kept { nest.shape.len() } else { last };
            return (at.to_vec(), self.steps(nest, axis), index);
        }
        let flat = self.index_value(index);
        let size = nest.shape[last] as i64;
        let row = self.b.ins().udiv_imm_u(flat, size);
        let start = self.b.ins().imul_imm_s(row, size);
        let column = self.b.ins().isub(flat, start);
        let at = self.rows(nest, reduction.kept..last, at, row);
        let steps = self.steps(nest, last);
        let at = self.held(nest, &at, &steps);
        (at, steps, Index { value: Some(column), plus: 0 })
    }

    /// The operands at a row: a flat index of all reduced axes.
    fn row(&mut self, nest: &Nest, reduction: &Reduction, at: &[At], row: Value) -> Vec<At> {
        self.rows(nest, reduction.kept..nest.shape.len(), at, row)
    }

    fn rows(&mut self, nest: &Nest, axes: std::ops::Range<usize>, at: &[At], row: Value) -> Vec<At> {
        let (mut at, mut rest) = (at.to_vec(), row);
        for axis in axes.clone().rev() {
            let mut place = rest;
            if axis > axes.start {
                let size = nest.shape[axis] as i64;
                let outer = self.b.ins().udiv_imm_u(rest, size);
                let start = self.b.ins().imul_imm_s(outer, size);
                place = self.b.ins().isub(rest, start);
                rest = outer;
            }
            let steps = self.steps(nest, axis);
            at = self.moved(&at, &steps, place);
        }
        at
    }

    /// What a reduction starts from, in all lanes.
    fn start(&mut self, total: &Total, lanes: u32) -> Value {
        let ty = clif_type(total.dtype, lanes);
        let real = match total.by {
            Reducer::Sum => 0.0,
            Reducer::Fold(FoldBy::Product) => 1.0,
            Reducer::Fold(FoldBy::Max) => f64::NEG_INFINITY,
            Reducer::Fold(FoldBy::Min) => f64::INFINITY,
            Reducer::Fold(FoldBy::All | FoldBy::Any) => 0.0,
        };
        let scalar = match total.dtype {
            DType::F32 => self.b.ins().f32const(real as f32),
            DType::F64 => self.b.ins().f64const(real),
            DType::I64 | DType::Key => {
                let whole = match total.by {
                    Reducer::Fold(FoldBy::Max) => i64::MIN,
                    Reducer::Fold(FoldBy::Min) => i64::MAX,
                    Reducer::Fold(FoldBy::Product) => 1,
                    Reducer::Sum | Reducer::Fold(FoldBy::All | FoldBy::Any) => 0,
                };
                self.b.ins().iconst(types::I64, whole)
            }
            DType::Bool => {
                let all = total.by == Reducer::Fold(FoldBy::All);
                let one = if lanes == 1 { 1 } else { -1 };
                self.b.ins().iconst(ty.lane_type(), if all { one } else { 0 })
            }
        };
        if lanes == 1 { scalar } else { self.b.ins().splat(ty, scalar) }
    }

    /// Two partial results of a kind, lane by lane; bools as they are in registers.
    fn combine(&mut self, total: &Total, lanes: u32, a: Value, b: Value) -> Value {
        let op = match total.by {
            Reducer::Sum => Op::Add,
            Reducer::Fold(FoldBy::Product) => Op::Mul,
            Reducer::Fold(FoldBy::Max) => Op::Max,
            Reducer::Fold(FoldBy::Min) => Op::Min,
            Reducer::Fold(FoldBy::All) => Op::And,
            Reducer::Fold(FoldBy::Any) => Op::Or,
        };
        element(&mut self.b, &op, lanes, &[total.dtype; 2], total.dtype, &[a, b])
    }

    /// Adds a tile of `lanes` elements: lane by lane, or one after the other to a chain.
    fn add_tile(&mut self, total: &Total, lanes: usize, sum: Value, values: &[Value]) -> Value {
        let tile = values[total.value as usize];
        if let Some(times) = total.times {
            return multiply_add(&mut self.b, lanes as u32, total.dtype, tile, values[times as usize], sum);
        }
        if !total.is_chain() || lanes == 1 {
            return self.combine(total, lanes as u32, sum, tile);
        }
        let mut sum = sum;
        for lane in 0..lanes {
            let value = self.b.ins().extractlane(tile, lane as u8);
            sum = self.combine(total, 1, sum, value);
        }
        sum
    }

    /// Adds one element to one lane of a vector.
    fn add_lane(&mut self, total: &Total, sum: Value, lane: usize, values: &[Value]) -> Value {
        let lanes = self.b.func.dfg.value_type(sum).lane_count() as usize;
        let before = self.b.ins().extractlane(sum, lane as u8);
        let after = self.add_one(total, lanes, before, values);
        self.b.ins().insertlane(sum, after, lane as u8)
    }

    /// Adds one element to what was in a lane of a vector of `lanes`.
    fn add_one(&mut self, total: &Total, lanes: usize, before: Value, values: &[Value]) -> Value {
        if total.times.is_some() {
            return self.add_tile(total, 1, before, values);
        }
        let value = self.as_lane(total.dtype, lanes, values[total.value as usize]);
        self.combine(total, 1, before, value)
    }

    /// A single element as a lane of a vector is: a bool as all ones or zeros.
    fn as_lane(&mut self, dtype: DType, lanes: usize, value: Value) -> Value {
        if dtype != DType::Bool || lanes == 1 {
            return value;
        }
        let ty = clif_type(dtype, lanes as u32).lane_type();
        let wide = self.b.ins().uextend(ty, value);
        self.b.ins().ineg(wide)
    }

    /// Vectors of which halves are added to each other until one is left; `None` for +0.
    fn halves(&mut self, total: &Total, lanes: usize, sums: Vec<Option<Value>>) -> Value {
        let mut sums = sums;
        // A term that underflows may make a lane -0 (a square cannot), which +0 in another one turns to +0.
        let product = total.times.is_some_and(|times| times != total.value);
        let some = product && sums.iter().any(Option::is_none);
        while sums.len() > 1 {
            let high = sums.split_off(sums.len() / 2);
            for (low, high) in sums.iter_mut().zip(high) {
                *low = match (*low, high) {
                    (Some(a), Some(b)) => Some(self.combine(total, lanes as u32, a, b)),
                    (one, other) => one.or(other),
                };
            }
        }
        let zero = self.start(total, lanes as u32);
        match sums[0] {
            Some(vector) if some => self.combine(total, lanes as u32, vector, zero),
            Some(vector) => vector,
            None => zero,
        }
    }

    /// The total of all lanes.
    fn finish(&mut self, total: &Total, lanes: usize, sums: Vec<Option<Value>>) -> Value {
        if total.is_chain() {
            return match sums[0] {
                Some(sum) => sum,
                None => self.start(total, 1),
            };
        }
        let vector = self.halves(total, lanes, sums);
        if lanes == 1 {
            return vector;
        }
        let mut list: Vec<Value> = (0..lanes).map(|lane| self.b.ins().extractlane(vector, lane as u8)).collect();
        while list.len() > 1 {
            let high = list.split_off(list.len() / 2);
            for (low, high) in list.iter_mut().zip(high) {
                *low = self.combine(total, 1, *low, high);
            }
        }
        if total.dtype == DType::Bool {
            let byte = self.b.ins().ireduce(types::I8, list[0]);
            return self.b.ins().band_imm_u(byte, 1);
        }
        list[0]
    }
}

/// The axes over which a nest loops before it reduces.
pub fn looped(nest: &Nest, reduction: &Reduction) -> usize {
    match reduction.order {
        Order::Along if !is_beside(nest, reduction) && !is_together(nest, reduction) => reduction.kept,
        Order::Along | Order::Across => reduction.kept.saturating_sub(1),
    }
}

/// About how many instructions the body is.
fn body_weight(nest: &Nest, reduction: &Reduction) -> usize {
    let own = nest.weight() + nest.inputs.len() + 2 * reduction.totals.len();
    own + nest.inner.as_ref().map_or(0, |inner| inside_weight(inner))
}
