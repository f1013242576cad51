//! Short sums along the last axes: those of neighbouring places side by side, or finished together.

use super::{Part, Place, SPAN, body_weight};
use crate::codegen::emit::element::clif_type;
use crate::codegen::emit::nest::Index;
use crate::codegen::emit::stage::WORTH;
use crate::codegen::emit::{Emitter, unaligned};
use crate::codegen::plan::reduction::sum_lanes;
use crate::codegen::plan::{Nest, Order, Reduction};
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, StackSlot, Value, types};
use dp_runtime::tensor::DType;

/// Vectors of neighbouring places whose elementary functions are made in one call.
const TILES: usize = 4;

impl Emitter<'_, '_, '_> {
    /// Very short reductions: those of neighbouring places are finished together, after their lanes have changed places.
    pub(super) fn together(&mut self, nest: &Nest, reduction: &Reduction, place: &Place) {
        let axis = reduction.kept - 1;
        let (width, lanes) = (nest.shape[axis], nest.lanes as usize);
        let whole = width - width % lanes;
        let span = sum_lanes(reduction.totals[0].dtype);
        let count: usize = nest.shape[reduction.kept..].iter().product();
        let none = Index { value: None, plus: 0 };
        let all = Part { number: none, base: none, len: count };
        let at_steps = self.steps(nest, axis);
        let inner_steps = self.steps(nest, reduction.kept);
        self.count(whole as i64, lanes as i64, |this, j| {
            let mut vectors: Vec<Vec<Value>> = vec![Vec::new(); reduction.totals.len()];
            for u in 0..lanes {
                let j = if u == 0 { j } else { this.b.ins().iadd_imm_s(j, u as i64) };
                let at = this.moved(&place.at, &at_steps, j);
                let at = this.held(nest, &at, &inner_steps);
                let here = Place { at, to: Vec::new() };
                let sums = this.span_in_registers(nest, reduction, &here, all, (lanes, span));
                for ((total, sums), list) in reduction.totals.iter().zip(sums).zip(&mut vectors) {
                    list.push(this.halves(total, lanes, sums));
                }
            }
            for (k, (total, list)) in reduction.totals.iter().zip(vectors).enumerate() {
                let lines = this.turned(list).into_iter().map(Some).collect();
                let value = this.halves(total, lanes, lines);
                let start = place.to[k].expect("a total of several places is in memory");
                let here = Index { value: Some(j), plus: 0 };
                this.put_back(value, start, total.step(axis), total.dtype, lanes as u32, here);
            }
        });
        if whole < width {
            self.count((width - whole) as i64, 1, |this, j| {
                let j = this.b.ins().iadd_imm_s(j, whole as i64);
                let at = this.moved(&place.at, &at_steps, j);
                let to = place.to.iter().zip(&reduction.totals).map(|(&to, total)| {
                    to.map(|start| {
                        let shift = this.scaled(j, total.step(axis));
                        this.b.ins().iadd(start, shift)
                    })
                });
                let to = to.collect();
                this.along(nest, reduction, &Place { at, to });
            });
        }
    }

    /// The transpose of a square of lanes: 4 vectors of 32 bits or 2 of 64.
    pub(super) fn turned(&mut self, list: Vec<Value>) -> Vec<Value> {
        let ty = self.b.func.dfg.value_type(list[0]);
        let bytes = (ty.lane_bits() / 8) as u8;
        // Elements of `bytes` bytes from the low or high halves of two vectors, in turn.
        let mut mixed = |a: Value, b: Value, bytes: u8, high: bool| {
            let little = MemFlagsData::new().with_endianness(Endianness::Little);
            let [a, b] = [a, b].map(|v| self.b.ins().bitcast(types::I8X16, little, v));
            let first = if high { 8 } else { 0 };
            let mask: Vec<u8> =
                (0..16u8).map(|i| first + i / (2 * bytes) * bytes + i % bytes + i / bytes % 2 * 16).collect();
            let mask = self.b.func.dfg.immediates.push(mask.as_slice().into());
            let value = self.b.ins().shuffle(a, b, mask);
            self.b.ins().bitcast(ty, little, value)
        };
        match list[..] {
            [a, b] => vec![mixed(a, b, bytes, false), mixed(a, b, bytes, true)],
            [a, b, c, d] => {
                let (ab, cd) = (mixed(a, b, bytes, false), mixed(c, d, bytes, false));
                let (ab_high, cd_high) = (mixed(a, b, bytes, true), mixed(c, d, bytes, true));
                let twice = 2 * bytes;
                vec![
                    mixed(ab, cd, twice, false),
                    mixed(ab, cd, twice, true),
                    mixed(ab_high, cd_high, twice, false),
                    mixed(ab_high, cd_high, twice, true),
                ]
            }
            _ => unreachable!("vectors have 2 or 4 lanes"),
        }
    }

    /// Short sums along the last axes: neighbours on the innermost kept axis side by side, the lanes of each one in
    /// memory.
    pub(super) fn beside(&mut self, nest: &Nest, reduction: &Reduction, place: &Place) {
        let axis = reduction.kept - 1;
        let (width, lanes) = (nest.shape[axis], nest.lanes as usize);
        let whole = width - width % lanes;
        // With kernels several vectors at a time: a call takes more of them than one.
        let copies = if self.stages(nest).is_empty() { 1 } else { TILES };
        let mut done = 0;
        for (width, copies) in [(lanes, copies), (lanes, 1)] {
            let passes = (whole - done) / (width * copies);
            if passes > 0 {
                let pass = width * copies;
                self.count((passes * pass) as i64, pass as i64, |this, j| {
                    this.lanes_of(nest, reduction, place, (width, copies), Index { value: Some(j), plus: done });
                });
                done += passes * pass;
            }
        }
        if whole < width {
            self.count((width - whole) as i64, 1, |this, j| {
                this.lanes_of(nest, reduction, place, (1, 1), Index { value: Some(j), plus: whole });
            });
        }
    }

    /// The sums at `copies` vectors of `width` neighbouring places.
    fn lanes_of(
        &mut self,
        nest: &Nest,
        reduction: &Reduction,
        place: &Place,
        (width, copies): (usize, usize),
        j: Index,
    ) {
        let axis = reduction.kept - 1;
        let steps = self.steps(nest, axis);
        let totals = &reduction.totals;
        let lanes = sum_lanes(totals[0].dtype);
        let count: usize = nest.shape[reduction.kept..].iter().product();
        let ty = clif_type(totals[0].dtype, width as u32);
        let (bytes, row_bytes) = (i64::from(ty.bytes()), i64::from(ty.bytes()) * copies as i64);
        let slots: Vec<StackSlot> = totals.iter().map(|_| self.stack_slot(row_bytes as u32 * lanes as u32)).collect();
        let stages = self.stages(nest);
        // The first element of each lane, then the others.
        for (from, to) in [(0, count.min(lanes)), (lanes, count)] {
            if from >= to {
                continue;
            }
            let here = |this: &mut Self, p: Value| {
                let row = if from == 0 { p } else { this.b.ins().iadd_imm_s(p, from as i64) };
                let at = this.row(nest, reduction, &place.at, row);
                this.held(nest, &at, &steps)
            };
            if width > 1 && (to - from) * width * copies >= WORTH {
                self.prepare_rows(&stages, (to - from, copies), width, |this, op, p, u| {
                    let at = here(this, p);
                    this.argument(nest, width as u32, &at, &steps, (op, tile_at(j, u, width)), Vec::new())
                });
            }
            self.count((to - from) as i64, 1, |this, p| {
                let at = here(this, p);
                let lane = if to - from <= lanes { p } else { this.b.ins().band_imm_u(p, lanes as i64 - 1) };
                let shift = this.scaled(lane, row_bytes);
                let prepared = this.scaled(p, (width * copies) as i64);
                for u in 0..copies {
                    this.prepared.place = Some(Index { value: Some(prepared), plus: u * width });
                    let values = this.tile(nest, width as u32, &at, &steps, tile_at(j, u, width));
                    for (total, &slot) in totals.iter().zip(&slots) {
                        let address = this.b.ins().stack_addr(types::I64, slot, (u as i64 * bytes) as i32);
                        let address = this.b.ins().iadd(address, shift);
                        let before = match from {
                            0 => this.start(total, width as u32),
                            _ => this.b.ins().load(ty, unaligned(), address, 0),
                        };
                        let after = this.add_tile(total, width, before, &values);
                        this.b.ins().store(unaligned(), after, address, 0);
                    }
                }
            });
            self.used_up();
        }
        for (k, (total, &slot)) in totals.iter().zip(&slots).enumerate() {
            for u in 0..copies {
                let load = |l: usize| {
                    let offset = (l as i64 * row_bytes + u as i64 * bytes) as i32;
                    (l < count).then(|| self.b.ins().stack_load(types::I64, ty, slot, offset))
                };
                let sums = (0..lanes).map(load).collect();
                let value = self.halves(total, width, sums);
                let start = place.to[k].expect("a total of several places is in memory");
                self.put_back(value, start, total.step(axis), total.dtype, width as u32, tile_at(j, u, width));
            }
        }
    }
}

/// The place of a vector of `width` neighbours, `u` of them further on.
fn tile_at(j: Index, u: usize, width: usize) -> Index {
    Index { plus: j.plus + u * width, ..j }
}

/// True for sums along the last axes that are short but long to write out, where neighbouring places are neighbours in
/// memory too: then these go side by side.
pub(super) fn is_beside(nest: &Nest, reduction: &Reduction) -> bool {
    let Some(axis) = reduction.kept.checked_sub(1) else { return false };
    let Some(first) = reduction.totals.first().filter(|total| total.is_ordered()) else { return false };
    let count: usize = nest.shape[reduction.kept..].iter().product();
    let lanes = nest.lanes as usize;
    let near = |strides: &[isize]| matches!(strides[axis], 0 | 1);
    let inputs = nest.inputs.iter().all(|input| input.view.as_splat().is_some() || near(&input.view.strides));
    reduction.order == Order::Along
        && lanes > 1
        && nest.inner.is_none()
        && nest.shape[axis] >= lanes
        && count <= 2 * sum_lanes(first.dtype)
        && body_weight(nest, reduction) * count.div_ceil(lanes) > SPAN / 4
        && reduction.totals.iter().all(|total| total.is_ordered() && total.parts == 1)
        && inputs
        && nest.outputs.iter().all(|(_, _, view)| near(&view.strides))
}

/// True for reductions along one last axis that are so short that finishing them is most of the work.
pub(super) fn is_together(nest: &Nest, reduction: &Reduction) -> bool {
    let Some(axis) = reduction.kept.checked_sub(1) else { return false };
    let Some(first) = reduction.totals.first() else { return false };
    let (count, lanes) = (nest.shape[reduction.kept..].iter().product::<usize>(), nest.lanes as usize);
    reduction.order == Order::Along
        && !is_beside(nest, reduction)
        && nest.shape.len() == reduction.kept + 1
        && lanes * first.dtype.size() == 16
        && nest.shape[axis] >= lanes
        && count <= sum_lanes(first.dtype)
        && body_weight(nest, reduction) * count.div_ceil(lanes) * lanes <= SPAN
        && first.dtype != DType::Bool
        && (lanes > 2 || first.is_ordered())
        && reduction.totals.iter().all(|total| !total.is_chain() && total.dtype == first.dtype && total.parts == 1)
}
