//! Reductions inside other ones: the totals at some neighbouring places, as a vector.

use super::along::{has_whole_rows, span};
use super::{Part, Place, SPAN, body_weight};
use crate::codegen::emit::element::clif_type;
use crate::codegen::emit::nest::{At, Index};
use crate::codegen::emit::{Emitter, unaligned};
use crate::codegen::plan::{Nest, Reduction};
use cranelift_codegen::ir::{InstBuilder, StackSlot, Type, Value, types};

/// The tiles of a strip: a multiple of the vectors of a span.
const STRIP: usize = 64;
/// The weight of a long body: an elementary function.
const LONG: usize = 30;

impl Emitter<'_, '_, '_> {
    /// The totals of the nest inside another one at `width` neighbouring places from an index on the other one's innermost axis
    /// on; its operands are at `at` and move there by `steps`.
    fn totals_beside(&mut self, nest: &Nest, width: usize, at: &[At], steps: &[i64], index: Index) -> Vec<Value> {
        let reduction = nest.reduction.as_ref().expect("a nest inside reduces");
        let totals = &reduction.totals;
        // What is left of each place: a vector that is folded beside its neighbours, or the total.
        let folds = width > 1
            && span(nest, reduction).0 == width
            && totals.iter().all(|total| width * total.dtype.size() == 16 && !total.is_chain());
        let mut lists: Vec<Vec<Value>> = vec![Vec::new(); totals.len()];
        if width == 1 || inside_weight(nest) <= SPAN {
            for u in 0..width {
                let here = self.at_index(at, steps, Index { plus: index.plus + u, ..index });
                let found = self.one_place(nest, reduction, here, folds);
                lists.iter_mut().zip(found).for_each(|(list, value)| list.push(value));
            }
        } else {
            // A loop: the code of several places would be long.
            let own = if folds { width as u32 } else { 1 };
            let list = totals.iter().map(|total| clif_type(total.dtype, own));
            let slots: Vec<_> = list.map(|ty| (ty, self.stack_slot(ty.bytes() * width as u32))).collect();
            self.count(width as i64, 1, |this, u| {
                let here = this.further(index, u, 1);
                let here = this.at_index(at, steps, here);
                let found = this.one_place(nest, reduction, here, folds);
                for (&(ty, slot), value) in slots.iter().zip(found) {
                    let to = this.b.ins().stack_addr(types::I64, slot, 0);
                    let shift = this.scaled(u, i64::from(ty.bytes()));
                    let to = this.b.ins().iadd(to, shift);
                    this.b.ins().store(unaligned(), value, to, 0);
                }
            });
            for (list, (ty, slot)) in lists.iter_mut().zip(slots) {
                for u in 0..width as i32 {
                    list.push(self.b.ins().stack_load(types::I64, ty, slot, u * ty.bytes() as i32));
                }
            }
        }
        let mut values = Vec::new();
        for (total, list) in totals.iter().zip(lists) {
            values.push(if width == 1 {
                list[0]
            } else if folds {
                let lines = self.turned(list).into_iter().map(Some).collect();
                self.halves(total, width, lines)
            } else {
                let first = self.b.ins().splat(clif_type(total.dtype, width as u32), list[0]);
                let others = list.into_iter().enumerate().skip(1);
                others.fold(first, |vector, (u, value)| self.b.ins().insertlane(vector, value, u as u8))
            });
        }
        values
    }

    /// Calls `add` with the values of each of some tiles and its number, from an index on. What the nest inside makes for a strip of
    /// tiles goes to memory first, then elementary functions of it: with long bodies the processor would see too few tiles at once
    /// otherwise.
    pub(super) fn strips(
        &mut self,
        nest: &Nest,
        reduction: &Reduction,
        lanes: usize,
        at: &[At],
        (base, tiles): (Index, usize),
        add: impl Fn(&mut Self, Value, &[Value]),
    ) {
        let totals = nest.inner.as_ref().and_then(|inner| inner.reduction.as_ref()).map_or(&[][..], |r| &r.totals);
        let list = totals.iter().map(|total| clif_type(total.dtype, lanes as u32));
        let slots: Vec<_> = list.map(|ty| (ty, self.stack_slot(ty.bytes() * STRIP as u32))).collect();
        let stages = self.all_stages(nest);
        let whole = tiles / STRIP;
        for (first, count, len) in [(0, whole, STRIP), (whole * STRIP, 1, tiles % STRIP)] {
            if count == 0 || len == 0 {
                continue;
            }
            self.count(count as i64, 1, |this, strip| {
                let begin = Index { plus: base.plus + first * lanes, ..base };
                let begin = this.further(begin, strip, STRIP * lanes);
                this.count(len as i64, 1, |this, i| {
                    let index = this.further(begin, i, lanes);
                    let (at, steps, index) = this.inside(nest, reduction, at, index);
                    let values = this.given(nest, lanes, &at, &steps, index);
                    for (&(ty, slot), value) in slots.iter().zip(values) {
                        let to = this.b.ins().stack_addr(types::I64, slot, 0);
                        let shift = this.scaled(i, i64::from(ty.bytes()));
                        let to = this.b.ins().iadd(to, shift);
                        this.b.ins().store(unaligned(), value, to, 0);
                    }
                });
                let made = |this: &mut Self, i: Value| {
                    let load = |&(ty, slot): &(Type, StackSlot)| {
                        let from = this.b.ins().stack_addr(types::I64, slot, 0);
                        let shift = this.scaled(i, i64::from(ty.bytes()));
                        let from = this.b.ins().iadd(from, shift);
                        this.b.ins().load(ty, unaligned(), from, 0)
                    };
                    slots.iter().map(load).collect::<Vec<Value>>()
                };
                this.prepare_rows(&stages, (len, 1), lanes, |this, op, i, _| {
                    let index = this.further(begin, i, lanes);
                    let (at, steps, index) = this.inside(nest, reduction, at, index);
                    let given = made(this, i);
                    this.argument(nest, lanes as u32, &at, &steps, (op, index), given)
                });
                this.count(len as i64, 1, |this, i| {
                    let index = this.further(begin, i, lanes);
                    let (at, steps, index) = this.inside(nest, reduction, at, index);
                    let given = made(this, i);
                    this.prepared.place = Some(Index { value: Some(this.scaled(i, lanes as i64)), plus: 0 });
                    let values = this.tile_with(nest, lanes as u32, &at, &steps, index, given);
                    add(this, i, &values);
                });
                this.used_up();
            });
        }
    }

    /// What the nest inside gives to a tile.
    pub fn given(&mut self, nest: &Nest, lanes: usize, at: &[At], steps: &[i64], index: Index) -> Vec<Value> {
        let Some(inner) = &nest.inner else { return Vec::new() };
        let own = nest.inputs.len() + nest.outputs.len();
        self.totals_beside(inner, lanes, &at[own..], &steps[own..], index)
    }

    /// The totals at one place, or the vectors whose lanes are still to be folded.
    fn one_place(&mut self, nest: &Nest, reduction: &Reduction, at: Vec<At>, folds: bool) -> Vec<Value> {
        let reduced = &nest.shape[reduction.kept..];
        let none = Index { value: None, plus: 0 };
        let all = Part { number: none, base: none, len: reduced.iter().product() };
        let at = match reduced {
            [_] => {
                let steps = self.steps(nest, reduction.kept);
                self.held(nest, &at, &steps)
            }
            _ => at,
        };
        let (lanes, span) = span(nest, reduction);
        let sums = self.sums(nest, reduction, &Place { at, to: Vec::new() }, all, (lanes, span));
        let finish =
            |(total, sums)| if folds { self.halves(total, lanes, sums) } else { self.finish(total, lanes, sums) };
        reduction.totals.iter().zip(sums).map(finish).collect()
    }

    /// The operands at an index.
    fn at_index(&mut self, at: &[At], steps: &[i64], index: Index) -> Vec<At> {
        let moved = |(&at, &step): (&At, &i64)| match at {
            At::Memory(start) => {
                let (start, near) = self.locate(start, step, index);
                At::Memory(if near == 0 { start } else { self.b.ins().iadd_imm_s(start, i64::from(near)) })
            }
            At::Held(_) => at,
        };
        at.iter().zip(steps).map(moved).collect()
    }
}

/// True if a strip at a time is worth its memory.
pub(super) fn has_strips(nest: &Nest, reduction: &Reduction, lanes: usize) -> bool {
    nest.inner.is_some() && nest.weight() >= LONG && has_whole_rows(nest, reduction, lanes)
}

/// About how many instructions the totals are for all elements that go side by side around the nest.
pub(super) fn inside_weight(nest: &Nest) -> usize {
    let Some(reduction) = &nest.reduction else { return 0 };
    let count: usize = nest.shape[reduction.kept..].iter().product();
    body_weight(nest, reduction).saturating_mul(count)
}
