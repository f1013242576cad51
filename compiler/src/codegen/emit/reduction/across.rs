//! Sums across the last axis: each place of it has a chain of its own, block by block of rows.

use super::{Place, SPAN, body_weight};
use crate::codegen::emit::element::clif_type;
use crate::codegen::emit::nest::{At, Index};
use crate::codegen::emit::{Emitter, unaligned};
use crate::codegen::plan::reduction::part_length;
use crate::codegen::plan::{Nest, Operand, Order, Reduction, Total};
use cranelift_codegen::ir::{InstBuilder, StackSlot, Value, types};
use dp_runtime::tensor::DType;

/// The columns whose totals are in memory together, which the first cache holds.
const SHEET: usize = 1024;
/// The rows that are added before a total goes back to memory.
const ROWS: usize = 4;

impl Emitter<'_, '_, '_> {
    /// Neighbours on the innermost kept axis side by side, row after row.
    pub(super) fn across(&mut self, nest: &Nest, reduction: &Reduction, place: &Place) {
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
