//! Sums along the last axes: in lanes, chunk by chunk.

use super::inside::has_strips;
use super::{Part, Place, SPAN, body_weight};
use crate::codegen::emit::element::clif_type;
use crate::codegen::emit::nest::{At, Index};
use crate::codegen::emit::stage::{BLOCK, WORTH, staged_weight};
use crate::codegen::emit::{Emitter, unaligned};
use crate::codegen::plan::reduction::{part_length, sum_lanes};
use crate::codegen::plan::{Nest, Operand, Order, Reduction, Total};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, StackSlot, Type, Value, types};
use dp_runtime::tensor::DType;

impl Emitter<'_, '_, '_> {
    /// Neighbours on the innermost reduced axis side by side.
    pub(super) fn along(&mut self, nest: &Nest, reduction: &Reduction, place: &Place) {
        let reduced = &nest.shape[reduction.kept..];
        let count: usize = reduced.iter().product();
        let ordered = reduction.is_ordered();
        let (lanes, span) = span(nest, reduction);
        // What does not move along a single axis is read once.
        let mut place = place.clone();
        if reduced.len() <= 1 {
            let steps = self.steps(nest, reduction.kept);
            place.at = self.held(nest, &place.at, &steps);
        }
        self.parts(count, if ordered { part_length(Order::Along) } else { count }, |this, part| {
            let sums = this.sums(nest, reduction, &place, part, (lanes, span));
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

    /// The sums of a part: vectors of `lanes` for a span, `None` where no element goes.
    pub(super) fn sums(
        &mut self,
        nest: &Nest,
        reduction: &Reduction,
        place: &Place,
        part: Part,
        (lanes, span): (usize, usize),
    ) -> Vec<Vec<Option<Value>>> {
        let mut body = body_weight(nest, reduction);
        if lanes > 1 && part.len >= WORTH.max(span) {
            body -= staged_weight(nest, &self.stages(nest));
        }
        let short = body * part.len.min(span).div_ceil(lanes) <= SPAN;
        // What a nest inside reads would be read for all vectors first, and not fit in registers.
        let plain = nest.inner.is_none() || part.len.min(span) <= lanes;
        if short && plain && has_whole_rows(nest, reduction, lanes) {
            self.span_in_registers(nest, reduction, place, part, (lanes, span))
        } else {
            self.span_in_memory(nest, reduction, place, part, (lanes, span))
        }
    }

    /// The sums of a part, all vectors of a span at once: `None` for lanes that no element goes to.
    pub(super) fn span_in_registers(
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
        let reduced = &nest.shape[reduction.kept..];
        let whole = reduced.len() <= 1 || reduced[reduced.len() - 1].is_multiple_of(span);
        if passes > 0 {
            let mut starts = Vec::new();
            for total in totals {
                let start = self.start(total, if total.is_chain() { 1 } else { lanes as u32 });
                starts.extend(vec![start; width(total)]);
            }
            // Of what kernels make, as much as the first cache holds at a time.
            let stages = if lanes > 1 && passes * span >= WORTH { self.stages(nest) } else { Vec::new() };
            let most = if stages.is_empty() { passes } else { (BLOCK / span).min(passes) };
            let some = |this: &mut Self, base: Index, passes: usize, held: Vec<Value>| {
                this.prepare(nest, &stages, (lanes, passes * span), |this, op, i| {
                    let index = this.beyond(base, i);
                    let (at, steps, index) = this.inside(nest, reduction, &place.at, index);
                    this.argument(nest, lanes as u32, &at, &steps, (op, index), Vec::new())
                });
                let held = this.repeat(passes, held, |this, i, held| {
                    let first = this.further(base, i, span);
                    let (mut at, mut steps, mut index) = this.inside(nest, reduction, &place.at, first);
                    let prepared = this.scaled(i, span as i64);
                    let mut held = held.to_vec();
                    for u in 0..vectors {
                        if !whole && u > 0 {
                            // Another row, perhaps.
                            let here = Index { plus: first.plus + u * lanes, ..first };
                            (at, steps, index) = this.inside(nest, reduction, &place.at, here);
                        }
                        let beyond = if whole { u * lanes } else { 0 };
                        let here = Index { plus: index.plus + beyond, ..index };
                        this.prepared.place = Some(Index { value: Some(prepared), plus: u * lanes });
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
                this.used_up();
                held
            };
            let blocks = passes / most;
            let mut last = self.repeat(blocks, starts, |this, i, held| {
                let base = if blocks > 1 { this.further(part.base, i, most * span) } else { part.base };
                some(this, base, most, held.to_vec())
            });
            if !passes.is_multiple_of(most) {
                let base = Index { plus: part.base.plus + blocks * most * span, ..part.base };
                last = some(self, base, passes % most, last);
            }
            let mut last = last.into_iter();
            for list in &mut sums {
                list.iter_mut().for_each(|sum| *sum = last.next());
            }
        }
        // What is left of the only or last part: whole vectors, then single elements.
        let done = passes * span;
        let left = part.len - done;
        let mut taken = 0;
        while taken < left {
            let n = if taken + lanes <= left { lanes } else { 1 };
            let here = Index { plus: part.base.plus + done + taken, ..part.base };
            let (at, steps, here) = self.inside(nest, reduction, &place.at, here);
            let values = self.tile(nest, n as u32, &at, &steps, here);
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
        let add = |this: &mut Self, i: Value, values: &[Value]| {
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
                let after = this.add_tile(total, lanes, before, values);
                this.b.ins().store(unaligned(), after, address, 0);
            }
        };
        if whole > 0 && has_strips(nest, reduction, lanes) {
            self.strips(nest, reduction, lanes, &place.at, (part.base, whole), add);
        } else if whole > 0 {
            self.count(whole as i64, 1, |this, i| {
                let index = this.further(part.base, i, lanes);
                let values = this.tile_inside(nest, reduction, lanes, &place.at, index);
                add(this, i, &values);
            });
        }
        let done = whole * lanes;
        if done < part.len {
            let base = Index { plus: part.base.plus + done, ..part.base };
            self.count((part.len - done) as i64, 1, |this, i| {
                let index = this.further(base, i, 1);
                let (at, steps, index) = this.inside(nest, reduction, &place.at, index);
                let values = this.tile(nest, 1, &at, &steps, index);
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

    /// The values of a tile of neighbours on the reduced axes, of which those that are reduced count: where rows are no whole number
    /// of tiles, one that begins in a row and ends in another is made element by element.
    fn tile_inside(&mut self, nest: &Nest, reduction: &Reduction, lanes: usize, at: &[At], index: Index) -> Vec<Value> {
        if has_whole_rows(nest, reduction, lanes) {
            let (at, steps, index) = self.inside(nest, reduction, at, index);
            return self.tile(nest, lanes as u32, &at, &steps, index);
        }
        let reduced = reduction.totals.iter().flat_map(|total| {
            let both = std::iter::once(total.value).chain(total.times);
            both.map(|value| (value, total.dtype))
        });
        let wanted: Vec<(u32, DType)> = reduced.collect();
        let types: Vec<Type> = wanted.iter().map(|&(_, dtype)| clif_type(dtype, lanes as u32)).collect();
        let [straight, broken, join] = [(); 3].map(|()| self.b.create_block());
        let found: Vec<Value> = types.iter().map(|&ty| self.b.append_block_param(join, ty)).collect();
        let size = nest.shape[nest.shape.len() - 1] as i64;
        let flat = self.index_value(index);
        let column = self.b.ins().urem_imm_u(flat, size);
        let fits = self.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, column, size - lanes as i64);
        self.b.ins().brif(fits, straight, &[], broken, &[]);
        self.b.switch_to_block(straight);
        let (there, steps, here) = self.inside(nest, reduction, at, index);
        let values = self.tile(nest, lanes as u32, &there, &steps, here);
        let args: Vec<BlockArg> = wanted.iter().map(|&(value, _)| BlockArg::Value(values[value as usize])).collect();
        self.b.ins().jump(join, &args);
        self.b.switch_to_block(broken);
        let slots: Vec<StackSlot> = types.iter().map(|ty| self.stack_slot(ty.bytes())).collect();
        self.count(lanes as i64, 1, |this, u| {
            let index = this.further(index, u, 1);
            let (at, steps, index) = this.inside(nest, reduction, at, index);
            let values = this.tile(nest, 1, &at, &steps, index);
            for ((&(value, dtype), &slot), ty) in wanted.iter().zip(&slots).zip(&types) {
                let element = this.as_lane(dtype, lanes, values[value as usize]);
                let to = this.b.ins().stack_addr(types::I64, slot, 0);
                let shift = this.scaled(u, i64::from(ty.lane_type().bytes()));
                let to = this.b.ins().iadd(to, shift);
                this.b.ins().store(unaligned(), element, to, 0);
            }
        });
        let load = |(&slot, &ty): (&StackSlot, &Type)| self.b.ins().stack_load(types::I64, ty, slot, 0);
        let args: Vec<BlockArg> = slots.iter().zip(&types).map(load).map(BlockArg::Value).collect();
        self.b.ins().jump(join, &args);
        self.b.switch_to_block(join);
        let count = wanted.iter().map(|&(value, _)| value as usize + 1).max().unwrap_or(0);
        let mut values = vec![flat; count];
        wanted.iter().zip(found).for_each(|(&(value, _), found)| values[value as usize] = found);
        values
    }
}

/// True if no tile of `lanes` neighbours on the reduced axes lies in two rows.
pub(super) fn has_whole_rows(nest: &Nest, reduction: &Reduction, lanes: usize) -> bool {
    let reduced = &nest.shape[reduction.kept..];
    reduced.len() <= 1 || reduced[reduced.len() - 1].is_multiple_of(lanes)
}

/// How many elements side by side are combined, and how many until the first lane has its turn again.
pub(super) fn span(nest: &Nest, reduction: &Reduction) -> (usize, usize) {
    let reduced = &nest.shape[reduction.kept..];
    let inner = reduced.last().copied().unwrap_or(1);
    let lanes = if inner < nest.lanes as usize { 1 } else { nest.lanes as usize };
    if reduction.is_ordered() {
        return (lanes, sum_lanes(reduction.totals[0].dtype));
    }
    let body = body_weight(nest, reduction);
    let fits = |&copies: &usize| {
        nest.inner.is_none() && body * copies <= SPAN && (reduced.len() <= 1 || inner.is_multiple_of(lanes * copies))
    };
    (lanes, lanes * [4, 2].into_iter().find(fits).unwrap_or(1))
}
