//! Nests that reduce: elements are combined as they are made.
//!
//! Sums of floats keep their defined order (`prims::sums`). Along the last axes, element p of a chunk goes to lane p mod
//! 32 (f32) or 16 (f64); the lanes are 128-bit vectors side by side, in registers where the body is short, else in
//! memory; unused lanes are +0, which changes no sum. Across the last axis, each place has one chain for a block
//! of rows. Other reductions give the same bits in any order, but products of floats, which are one chain.

use super::deal::Share;
use super::element::{clif_type, element, multiply_add};
use super::nest::{At, Index};
use super::{Emitter, unaligned};
use crate::codegen::plan::pieces::{Pieces, weight};
use crate::codegen::plan::reduction::{part_length, sum_lanes};
use crate::codegen::plan::{Nest, Operand, Order, Reducer, Reduction, Total};
use crate::ir::graph::Op;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, StackSlot, Type, Value, types};
use dp_runtime::abi::FoldBy;
use dp_runtime::tensor::DType;

/// Up to this weight all vectors of a span are written out, with their sums in registers.
const SPAN: usize = 256;

/// The columns whose totals are in memory together, which the first cache holds.
const SHEET: usize = 1024;
/// The rows that are added before a total goes back to memory.
const ROWS: usize = 4;

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

    /// Neighbours on the innermost reduced axis side by side.
    fn along(&mut self, nest: &Nest, reduction: &Reduction, place: &Place) {
        let reduced = &nest.shape[reduction.kept..];
        let count: usize = reduced.iter().product();
        let inner = reduced.last().copied().unwrap_or(1);
        let ordered = reduction.is_ordered();
        let lanes = if inner < nest.lanes as usize { 1 } else { nest.lanes as usize };
        let body = body_weight(nest, reduction);
        let span = if ordered {
            sum_lanes(reduction.totals[0].dtype)
        } else {
            let fits =
                |&copies: &usize| body * copies <= SPAN && (reduced.len() <= 1 || inner.is_multiple_of(lanes * copies));
            lanes * [4, 2].into_iter().find(fits).unwrap_or(1)
        };
        // What does not move along a single axis is read once.
        let mut place = place.clone();
        if reduced.len() <= 1 {
            let steps = self.steps(nest, reduction.kept);
            place.at = self.held(nest, &place.at, &steps);
        }
        self.parts(count, if ordered { part_length(Order::Along) } else { count }, |this, part| {
            let short = body * part.len.min(span).div_ceil(lanes) <= SPAN;
            let sums = if short {
                this.span_in_registers(nest, reduction, &place, part, (lanes, span))
            } else {
                this.span_in_memory(nest, reduction, &place, part, (lanes, span))
            };
            for (k, (total, sums)) in reduction.totals.iter().zip(sums).enumerate() {
                let value = this.finish(total, lanes, sums);
                match (&total.to, place.to[k]) {
                    (Operand::Out(reg), _) => this.define(*reg, value),
                    (Operand::View(_), start) => {
                        let start = start.expect("a total in memory has an address");
                        this.put_back(value, start, total.part_step(), total.dtype, 1, part.number);
                    }
                }
            }
        });
    }

    /// The sums of a part, all vectors of a span at once: `None` for lanes that no element goes to.
    fn span_in_registers(
        &mut self,
        nest: &Nest,
        reduction: &Reduction,
        place: &Place,
        part: Part,
        (lanes, span): (usize, usize),
    ) -> Vec<Vec<Option<Value>>> {
        let vectors = span / lanes;
        let totals = &reduction.totals;
        let width = |total: &Total| if total.is_chain() { 1 } else { vectors };
        let mut sums: Vec<Vec<Option<Value>>> = totals.iter().map(|total| vec![None; width(total)]).collect();
        let passes = part.len / span;
        if passes > 0 {
            let mut starts = Vec::new();
            for total in totals {
                let start = self.start(total, if total.is_chain() { 1 } else { lanes as u32 });
                starts.extend(vec![start; width(total)]);
            }
            let last = self.repeat(passes, starts, |this, i, held| {
                let index = this.further(part.base, i, span);
                let (at, steps, index) = this.inside(nest, reduction, &place.at, index);
                let mut held = held.to_vec();
                for u in 0..vectors {
                    let here = Index { plus: index.plus + u * lanes, ..index };
                    let values = this.tile(nest, lanes as u32, &at, &steps, here);
                    let mut first = 0;
                    for total in totals {
                        let k = if total.is_chain() { first } else { first + u };
                        held[k] = this.add_tile(total, lanes, held[k], &values);
                        first += width(total);
                    }
                }
                held
            });
            let mut last = last.into_iter();
            for list in &mut sums {
                list.iter_mut().for_each(|sum| *sum = last.next());
            }
        }
        // What is left of the only or last part: whole vectors, then single elements.
        let done = passes * span;
        let left = part.len - done;
        let steps = self.steps(nest, nest.shape.len().saturating_sub(1));
        let mut taken = 0;
        while taken < left {
            let n = if taken + lanes <= left { lanes } else { 1 };
            let here = Index { plus: part.base.plus + done + taken, ..part.base };
            let values = self.tile(nest, n as u32, &place.at, &steps, here);
            for (total, list) in totals.iter().zip(&mut sums) {
                let k = if total.is_chain() { 0 } else { taken / lanes };
                let own = if total.is_chain() { 1 } else { lanes };
                let before = match list[k] {
                    Some(sum) => sum,
                    None => self.start(total, own as u32),
                };
                list[k] = Some(if n == lanes || total.is_chain() {
                    self.add_tile(total, n, before, &values)
                } else {
                    self.add_lane(total, before, taken % lanes, &values)
                });
            }
            taken += n;
        }
        sums
    }

    /// The same with the sums in memory, for long bodies: one copy for vectors, one for single elements.
    fn span_in_memory(
        &mut self,
        nest: &Nest,
        reduction: &Reduction,
        place: &Place,
        part: Part,
        (lanes, span): (usize, usize),
    ) -> Vec<Vec<Option<Value>>> {
        let vectors = span / lanes;
        let totals = &reduction.totals;
        let mut slots: Vec<(StackSlot, i64)> = Vec::new();
        for total in totals {
            let own = if total.is_chain() { 1 } else { lanes as u32 };
            let bytes = i64::from(clif_type(total.dtype, own).bytes());
            let count = if total.is_chain() { 1 } else { vectors };
            let slot = self.stack_slot(bytes as u32 * count as u32);
            let start = self.start(total, own);
            for k in 0..count {
                self.b.ins().stack_store(types::I64, start, slot, (k as i64 * bytes) as i32);
            }
            slots.push((slot, bytes));
        }
        let whole = part.len / lanes;
        if whole > 0 {
            self.count(whole as i64, 1, |this, i| {
                let index = this.further(part.base, i, lanes);
                let (at, steps, index) = this.inside(nest, reduction, &place.at, index);
                let values = this.tile(nest, lanes as u32, &at, &steps, index);
                let vector = this.b.ins().band_imm_u(i, vectors as i64 - 1);
                for (total, &(slot, bytes)) in totals.iter().zip(&slots) {
                    let mut address = this.b.ins().stack_addr(types::I64, slot, 0);
                    let mut own = 1;
                    if !total.is_chain() {
                        let shift = this.scaled(vector, bytes);
                        address = this.b.ins().iadd(address, shift);
                        own = lanes as u32;
                    }
                    let before = this.b.ins().load(clif_type(total.dtype, own), unaligned(), address, 0);
                    let after = this.add_tile(total, lanes, before, &values);
                    this.b.ins().store(unaligned(), after, address, 0);
                }
            });
        }
        let done = whole * lanes;
        if done < part.len {
            let steps = self.steps(nest, nest.shape.len().saturating_sub(1));
            let base = Index { plus: part.base.plus + done, ..part.base };
            self.count((part.len - done) as i64, 1, |this, i| {
                let index = this.further(base, i, 1);
                let values = this.tile(nest, 1, &place.at, &steps, index);
                for (total, &(slot, bytes)) in totals.iter().zip(&slots) {
                    if total.is_chain() {
                        let before = this.b.ins().stack_load(types::I64, clif_type(total.dtype, 1), slot, 0);
                        let after = this.add_tile(total, 1, before, &values);
                        this.b.ins().stack_store(types::I64, after, slot, 0);
                        continue;
                    }
                    let element = clif_type(total.dtype, lanes as u32).lane_type();
                    let first = (done / lanes % vectors) as i64 * bytes;
                    let address = this.b.ins().stack_addr(types::I64, slot, first as i32);
                    let shift = this.scaled(i, i64::from(element.bytes()));
                    let address = this.b.ins().iadd(address, shift);
                    let before = this.b.ins().load(element, unaligned(), address, 0);
                    let after = this.add_one(total, lanes, before, &values);
                    this.b.ins().store(unaligned(), after, address, 0);
                }
            });
        }
        let mut sums = Vec::new();
        for (total, &(slot, bytes)) in totals.iter().zip(&slots) {
            let (count, own) = if total.is_chain() { (1, 1) } else { (vectors, lanes as u32) };
            let ty = clif_type(total.dtype, own);
            let load = |k: usize| self.b.ins().stack_load(types::I64, ty, slot, (k as i64 * bytes) as i32);
            sums.push((0..count).map(load).map(Some).collect());
        }
        sums
    }

    /// Short sums along the last axes: neighbours on the innermost kept axis side by side, the lanes of each one in
    /// memory.
    fn beside(&mut self, nest: &Nest, reduction: &Reduction, place: &Place) {
        let axis = reduction.kept - 1;
        let (width, lanes) = (nest.shape[axis], nest.lanes as usize);
        let whole = width - width % lanes;
        self.count(whole as i64, lanes as i64, |this, j| {
            this.lanes_of(nest, reduction, place, lanes, Index { value: Some(j), plus: 0 });
        });
        if whole < width {
            self.count((width - whole) as i64, 1, |this, j| {
                this.lanes_of(nest, reduction, place, 1, Index { value: Some(j), plus: whole });
            });
        }
    }

    /// The sums at `width` neighbouring places.
    fn lanes_of(&mut self, nest: &Nest, reduction: &Reduction, place: &Place, width: usize, j: Index) {
        let axis = reduction.kept - 1;
        let steps = self.steps(nest, axis);
        let totals = &reduction.totals;
        let lanes = sum_lanes(totals[0].dtype);
        let count: usize = nest.shape[reduction.kept..].iter().product();
        let ty = clif_type(totals[0].dtype, width as u32);
        let bytes = i64::from(ty.bytes());
        let slots: Vec<StackSlot> = totals.iter().map(|_| self.stack_slot(bytes as u32 * lanes as u32)).collect();
        // The first element of each lane, then the others.
        for (from, to) in [(0, count.min(lanes)), (lanes, count)] {
            if from >= to {
                continue;
            }
            self.count((to - from) as i64, 1, |this, p| {
                let row = if from == 0 { p } else { this.b.ins().iadd_imm_s(p, from as i64) };
                let at = this.row(nest, reduction, &place.at, row);
                let at = this.held(nest, &at, &steps);
                let values = this.tile(nest, width as u32, &at, &steps, j);
                let lane = if to - from <= lanes { p } else { this.b.ins().band_imm_u(p, lanes as i64 - 1) };
                let shift = this.scaled(lane, bytes);
                for (total, &slot) in totals.iter().zip(&slots) {
                    let address = this.b.ins().stack_addr(types::I64, slot, 0);
                    let address = this.b.ins().iadd(address, shift);
                    let before = match from {
                        0 => this.start(total, width as u32),
                        _ => this.b.ins().load(ty, unaligned(), address, 0),
                    };
                    let after = this.add_tile(total, width, before, &values);
                    this.b.ins().store(unaligned(), after, address, 0);
                }
            });
        }
        for (k, (total, &slot)) in totals.iter().zip(&slots).enumerate() {
            let load = |l: usize| {
                (l < count).then(|| self.b.ins().stack_load(types::I64, ty, slot, (l as i64 * bytes) as i32))
            };
            let sums = (0..lanes).map(load).collect();
            let value = self.halves(total, width, sums);
            let start = place.to[k].expect("a total of several places is in memory");
            self.put_back(value, start, total.step(axis), total.dtype, width as u32, j);
        }
    }

    /// Neighbours on the innermost kept axis side by side, row after row.
    fn across(&mut self, nest: &Nest, reduction: &Reduction, place: &Place) {
        let (axis, width) = match reduction.kept {
            0 => (nest.shape.len(), 1),
            kept => (kept - 1, nest.shape[kept - 1]),
        };
        let lanes = nest.lanes as usize;
        let body = body_weight(nest, reduction);
        if is_wide(nest, reduction, width) {
            return self.sheets(nest, reduction, place, (axis, width));
        }
        let mut strips = vec![(1, 1)];
        if lanes > 1 {
            let copies = [4, 2].into_iter().find(|copies| body * copies <= SPAN / 4).unwrap_or(1);
            strips.splice(0..0, if copies > 1 { vec![(lanes, copies), (lanes, 1)] } else { vec![(lanes, 1)] });
        }
        let mut done = 0;
        for (lanes, copies) in strips {
            let pass = lanes * copies;
            let passes = (width - done) / pass;
            if passes == 1 {
                self.strip(nest, reduction, place, axis, (lanes, copies), Index { value: None, plus: done });
            } else if passes > 1 {
                self.count((passes * pass) as i64, pass as i64, |this, j| {
                    this.strip(nest, reduction, place, axis, (lanes, copies), Index { value: Some(j), plus: done });
                });
            }
            done += passes * pass;
        }
    }

    /// Rows outside, columns inside: memory is read in the order in which it lies.
    fn sheets(&mut self, nest: &Nest, reduction: &Reduction, place: &Place, (axis, width): (usize, usize)) {
        let each = SHEET / reduction.totals.len();
        let sheets = width / each;
        if sheets > 0 {
            self.count((sheets * each) as i64, each as i64, |this, j| {
                this.sheet(nest, reduction, place, axis, (Index { value: Some(j), plus: 0 }, each));
            });
        }
        if sheets * each < width {
            let rest = Index { value: None, plus: sheets * each };
            self.sheet(nest, reduction, place, axis, (rest, width - sheets * each));
        }
    }

    /// The totals of some columns, with what they come to so far in memory.
    fn sheet(
        &mut self,
        nest: &Nest,
        reduction: &Reduction,
        place: &Place,
        axis: usize,
        (first, width): (Index, usize),
    ) {
        let totals = &reduction.totals;
        let count: usize = nest.shape[reduction.kept..].iter().product();
        let steps = self.steps(nest, axis);
        let lanes = nest.lanes as usize;
        let most = if body_weight(nest, reduction) * ROWS <= SPAN / 2 { ROWS } else { 1 };
        let size = |total: &Total| total.dtype.size() as i64;
        let slots: Vec<StackSlot> = totals.iter().map(|t| self.stack_slot((width as i64 * size(t)) as u32)).collect();
        self.parts(count, if reduction.is_ordered() { part_length(Order::Across) } else { count }, |this, part| {
            this.columns(width, lanes, |this, n, j| {
                for (total, &slot) in totals.iter().zip(&slots) {
                    let start = this.start(total, n as u32);
                    let to = this.b.ins().stack_addr(types::I64, slot, 0);
                    this.put_back(start, to, size(total), total.dtype, n as u32, j);
                }
            });
            let whole = part.len - part.len % most;
            for (from, to, rows) in [(0, whole, most), (whole, part.len, 1)] {
                if from == to {
                    continue;
                }
                this.count((to - from) as i64, rows as i64, |this, i| {
                    let at: Vec<Vec<At>> = (0..rows)
                        .map(|r| {
                            let row = this.further(part.base, i, 1);
                            let row = this.index_value(Index { plus: row.plus + from + r, ..row });
                            let at = this.row(nest, reduction, &place.at, row);
                            this.held(nest, &at, &steps)
                        })
                        .collect();
                    this.columns(width, lanes, |this, n, j| {
                        let here = this.beyond(first, j);
                        let mut held: Vec<Value> = Vec::new();
                        for (total, &slot) in totals.iter().zip(&slots) {
                            let from = this.b.ins().stack_addr(types::I64, slot, 0);
                            let (from, near) = this.locate(from, size(total), j);
                            held.push(this.b.ins().load(clif_type(total.dtype, n as u32), unaligned(), from, near));
                        }
                        for at in &at {
                            let values = this.tile(nest, n as u32, at, &steps, here);
                            for (total, sum) in totals.iter().zip(&mut held) {
                                *sum = this.combine(total, n as u32, *sum, values[total.value as usize]);
                            }
                        }
                        for ((total, &slot), sum) in totals.iter().zip(&slots).zip(held) {
                            let to = this.b.ins().stack_addr(types::I64, slot, 0);
                            this.put_back(sum, to, size(total), total.dtype, n as u32, j);
                        }
                    });
                });
            }
            for (k, (total, &slot)) in totals.iter().zip(&slots).enumerate() {
                let start = place.to[k].expect("a total of several places is in memory");
                let (start, near) = this.locate(start, total.part_step(), part.number);
                let start = if near == 0 { start } else { this.b.ins().iadd_imm_s(start, i64::from(near)) };
                this.columns(width, lanes, |this, n, j| {
                    let from = this.b.ins().stack_addr(types::I64, slot, 0);
                    let (from, near) = this.locate(from, size(total), j);
                    let sum = this.b.ins().load(clif_type(total.dtype, n as u32), unaligned(), from, near);
                    let here = this.beyond(first, j);
                    this.put_back(sum, start, total.step(axis), total.dtype, n as u32, here);
                });
            }
        });
    }

    /// A loop over columns, `lanes` at a time, then one at a time.
    fn columns(&mut self, width: usize, lanes: usize, mut body: impl FnMut(&mut Self, usize, Index)) {
        let whole = width - width % lanes;
        if whole > 0 {
            self.count(whole as i64, lanes as i64, |this, j| body(this, lanes, Index { value: Some(j), plus: 0 }));
        }
        if whole < width {
            let left = (width - whole) as i64;
            self.count(left, 1, |this, j| body(this, 1, Index { value: Some(j), plus: whole }));
        }
    }

    /// The index `j` from another one on.
    fn beyond(&mut self, first: Index, j: Index) -> Index {
        let value = match (first.value, j.value) {
            (Some(a), Some(b)) => Some(self.b.ins().iadd(a, b)),
            (one, other) => one.or(other),
        };
        Index { value, plus: first.plus + j.plus }
    }

    /// `copies` vectors of neighbouring totals.
    fn strip(
        &mut self,
        nest: &Nest,
        reduction: &Reduction,
        place: &Place,
        axis: usize,
        (lanes, copies): (usize, usize),
        j: Index,
    ) {
        let totals = &reduction.totals;
        let count: usize = nest.shape[reduction.kept..].iter().product();
        let steps = self.steps(nest, axis);
        self.parts(count, if reduction.is_ordered() { part_length(Order::Across) } else { count }, |this, part| {
            let mut starts = Vec::new();
            for total in totals {
                let start = this.start(total, lanes as u32);
                starts.extend(vec![start; copies]);
            }
            let sums = this.repeat(part.len, starts, |this, i, held| {
                let row = this.further(part.base, i, 1);
                let row = this.index_value(row);
                let at = this.row(nest, reduction, &place.at, row);
                let at = this.held(nest, &at, &steps);
                let mut held = held.to_vec();
                for u in 0..copies {
                    let here = Index { plus: j.plus + u * lanes, ..j };
                    let values = this.tile(nest, lanes as u32, &at, &steps, here);
                    for (k, total) in totals.iter().enumerate() {
                        let k = k * copies + u;
                        held[k] = this.combine(total, lanes as u32, held[k], values[total.value as usize]);
                    }
                }
                held
            });
            for (k, total) in totals.iter().enumerate() {
                let value = match (&total.to, place.to[k]) {
                    (Operand::Out(reg), _) => {
                        this.define(*reg, sums[k * copies]);
                        continue;
                    }
                    (Operand::View(_), start) => start.expect("a total in memory has an address"),
                };
                let (start, near) = this.locate(value, total.part_step(), part.number);
                let start = if near == 0 { start } else { this.b.ins().iadd_imm_s(start, i64::from(near)) };
                let step = if reduction.kept == 0 { 0 } else { total.step(axis) };
                for u in 0..copies {
                    let here = Index { plus: j.plus + u * lanes, ..j };
                    this.put_back(sums[k * copies + u], start, step, total.dtype, lanes as u32, here);
                }
            }
        });
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
        // A term that underflows may make a lane -0, which +0 in another one turns to +0.
        let some = total.times.is_some() && sums.iter().any(Option::is_none);
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
        Order::Along if !is_beside(nest, reduction) => reduction.kept,
        Order::Along | Order::Across => reduction.kept.saturating_sub(1),
    }
}

/// True for sums along the last axes that are short but long to write out, where neighbouring places are neighbours in
/// memory too: then these go side by side.
fn is_beside(nest: &Nest, reduction: &Reduction) -> bool {
    let Some(axis) = reduction.kept.checked_sub(1) else { return false };
    let Some(first) = reduction.totals.first().filter(|total| total.is_ordered()) else { return false };
    let count: usize = nest.shape[reduction.kept..].iter().product();
    let lanes = nest.lanes as usize;
    let near = |strides: &[isize]| matches!(strides[axis], 0 | 1);
    let inputs = nest.inputs.iter().all(|input| input.view.as_splat().is_some() || near(&input.view.strides));
    reduction.order == Order::Along
        && lanes > 1
        && nest.shape[axis] >= lanes
        && count <= 2 * sum_lanes(first.dtype)
        && body_weight(nest, reduction) * count.div_ceil(lanes) > SPAN / 4
        && reduction.totals.iter().all(|total| total.is_ordered() && total.parts == 1)
        && inputs
        && nest.outputs.iter().all(|(_, _, view)| near(&view.strides))
}

/// True where rows are so long that walking down a few columns would touch memory in great steps.
fn is_wide(nest: &Nest, reduction: &Reduction, width: usize) -> bool {
    let rows: usize = nest.shape[reduction.kept..].iter().product();
    let plain = |total: &Total| total.dtype != DType::Bool && matches!(total.to, Operand::View(_));
    rows >= ROWS
        && nest.lanes > 1
        && width >= 8 * nest.lanes as usize
        && body_weight(nest, reduction) <= SPAN
        && reduction.totals.len() <= 8
        && reduction.totals.iter().all(plain)
}

/// About how many instructions the body is.
fn body_weight(nest: &Nest, reduction: &Reduction) -> usize {
    nest.ops.iter().map(|op| weight(&op.op)).sum::<usize>() + nest.inputs.len() + 2 * reduction.totals.len()
}
