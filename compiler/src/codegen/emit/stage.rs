//! Elementary functions of many places at once, by the runtime's kernels, whose vectors are wider than ours.
//!
//! A loop over places becomes several: one for each elementary operation, which writes its arguments to memory, then the kernel,
//! which replaces these by values, and the loop itself, where the operations are reads. Cheap operations are made anew in each.

use super::element::clif_type;
use super::nest::{At, Index};
use super::sign::never_positive;
use super::{Emitter, unaligned};
use crate::codegen::plan::Nest;
use crate::codegen::plan::pieces::weight;
use crate::ir::graph::Op;
use cranelift_codegen::ir::{AbiParam, InstBuilder, SigRef, Signature, StackSlot, Value, types};
use dp_runtime::kernels::elementary::{Elementary, InPlace};
use dp_runtime::kernels::level::Level;
use dp_runtime::tensor::DType;

/// The places of one kernel call, which with all arguments stay in the first cache.
pub const BLOCK: usize = 512;
/// From this many places on a call is worth it.
pub const WORTH: usize = 24;
/// Bytes of a cache line, at which the memory of a block begins.
const LINE: u32 = 64;
/// The most operations of a nest that are made this way.
const MOST: usize = 6;
/// From this weight on an operation is not made twice.
const HEAVY: usize = 24;
/// Up to this weight several tiles are written out in a pass.
const LIGHT: usize = 48;

/// An operation of a nest that a kernel makes.
#[derive(Clone, Copy)]
pub struct Stage {
    op: usize,
    dtype: DType,
    kernel: InPlace,
}

/// Values that are in memory already.
#[derive(Default)]
pub struct Prepared {
    /// Where they begin, by operation.
    starts: Vec<(usize, Value)>,
    /// The place of the next tile among them.
    pub place: Option<Index>,
    /// Memory of the function for them, and the signature of kernels.
    rooms: Vec<StackSlot>,
    sig: Option<SigRef>,
}

impl Emitter<'_, '_, '_> {
    /// The operations of a nest that kernels make, in their order. None around a nest inside, whose totals would be made once more
    /// for each; but see `strips`, which has them in memory.
    pub fn stages(&self, nest: &Nest) -> Vec<Stage> {
        if nest.inner.is_some() { Vec::new() } else { self.all_stages(nest) }
    }

    /// The same, also around a nest inside.
    pub fn all_stages(&self, nest: &Nest) -> Vec<Stage> {
        if nest.lanes == 1 {
            return Vec::new();
        }
        let kernel = |dtype: DType, function: Elementary| function.in_place(Level::best(), dtype == DType::F64);
        let stages = nest.ops.iter().enumerate().filter_map(|(k, op)| {
            let function = elementary(nest, k)?;
            Some(Stage { op: k, dtype: op.dtype, kernel: kernel(op.dtype, function)? })
        });
        let stages: Vec<Stage> = stages.collect();
        // What no kernel makes would be made anew for each stage that needs it.
        let others = nest.ops.iter().filter(|op| weight(&op.op) >= HEAVY).count() - stages.len();
        if stages.len() > MOST || others > 0 { Vec::new() } else { stages }
    }

    /// Makes the operations of `stages` for `count` places, at most `BLOCK` and a multiple of the lanes; `argument` gives the
    /// argument of an operation at a tile.
    pub fn prepare(
        &mut self,
        nest: &Nest,
        stages: &[Stage],
        (lanes, count): (usize, usize),
        mut argument: impl FnMut(&mut Self, usize, Index) -> Value,
    ) {
        let copies = copies(nest, stages, (lanes, count));
        self.prepare_rows(stages, (count / (copies * lanes), copies), lanes, |this, op, p, u| {
            let first = this.scaled(p, (copies * lanes) as i64);
            argument(this, op, Index { value: Some(first), plus: u * lanes })
        });
    }

    /// The same for `rows` rows of `copies` tiles, given by row and tile.
    pub fn prepare_rows(
        &mut self,
        stages: &[Stage],
        (rows, copies): (usize, usize),
        lanes: usize,
        mut argument: impl FnMut(&mut Self, usize, Value, usize) -> Value,
    ) {
        let count = rows * copies * lanes;
        debug_assert!(stages.is_empty() || count <= BLOCK);
        for (k, stage) in stages.iter().enumerate() {
            // Each nest of a function uses the same memory.
            if self.prepared.rooms.len() == k {
                let room = self.stack_slot((BLOCK * size_of::<f64>()) as u32 + LINE);
                self.prepared.rooms.push(room);
            }
            let room = self.b.ins().stack_addr(types::I64, self.prepared.rooms[k], LINE as i32 - 1);
            let start = self.b.ins().band_imm_s(room, -i64::from(LINE));
            self.count(rows as i64, 1, |this, p| {
                let first = this.scaled(p, (copies * lanes) as i64);
                for u in 0..copies {
                    let place = Index { value: Some(first), plus: u * lanes };
                    this.prepared.place = Some(place);
                    let value = argument(this, stage.op, p, u);
                    let (to, near) = this.locate(start, stage.dtype.size() as i64, place);
                    this.b.ins().store(unaligned(), value, to, near);
                }
            });
            let sig = match self.prepared.sig {
                Some(sig) => sig,
                None => {
                    let mut sig = Signature::new(self.shared.call_conv);
                    sig.params.extend([AbiParam::new(types::I64), AbiParam::new(types::I64)]);
                    *self.prepared.sig.insert(self.b.import_signature(sig))
                }
            };
            let kernel = self.pointer(stage.kernel as *const () as usize);
            let count = self.b.ins().iconst(types::I64, count as i64);
            self.b.ins().call_indirect(sig, kernel, &[start, count]);
            self.prepared.starts.push((stage.op, start));
        }
        self.prepared.place = None;
    }

    /// Forgets what was prepared.
    pub fn used_up(&mut self) {
        self.prepared.starts.clear();
        self.prepared.place = None;
    }

    /// The value of an operation, if it is prepared.
    pub fn prepared_value(&mut self, op: usize, dtype: DType, lanes: u32) -> Option<Value> {
        let place = self.prepared.place?;
        let &(_, start) = self.prepared.starts.iter().find(|(other, _)| *other == op)?;
        let (from, near) = self.locate(start, dtype.size() as i64, place);
        Some(self.b.ins().load(clif_type(dtype, lanes), unaligned(), from, near))
    }

    /// The argument of an operation at a tile, with what the nest inside gives there.
    pub fn argument(
        &mut self,
        nest: &Nest,
        lanes: u32,
        at: &[At],
        steps: &[i64],
        (op, index): (usize, Index),
        given: Vec<Value>,
    ) -> Value {
        let values = self.values(nest, lanes, at, steps, (op, index), given);
        values[nest.ops[op].args[0] as usize]
    }

    /// The first `whole` elements of the innermost axis, a multiple of the lanes, in blocks.
    pub fn in_blocks(&mut self, nest: &Nest, stages: &[Stage], at: &[At], steps: &[i64], whole: usize) {
        let blocks = whole / BLOCK;
        if blocks > 0 {
            self.count((blocks * BLOCK) as i64, BLOCK as i64, |this, from| {
                this.block(nest, stages, at, steps, (Index { value: Some(from), plus: 0 }, BLOCK));
            });
        }
        if blocks * BLOCK < whole {
            let rest = Index { value: None, plus: blocks * BLOCK };
            self.block(nest, stages, at, steps, (rest, whole % BLOCK));
        }
    }

    fn block(&mut self, nest: &Nest, stages: &[Stage], at: &[At], steps: &[i64], (from, count): (Index, usize)) {
        self.prepare(nest, stages, (nest.lanes as usize, count), |this, op, i| {
            let index = this.beyond(from, i);
            this.argument(nest, nest.lanes, at, steps, (op, index), Vec::new())
        });
        let lanes = nest.lanes as usize;
        let copies = copies(nest, stages, (lanes, count));
        self.count(count as i64, (copies * lanes) as i64, |this, i| {
            for u in 0..copies {
                let place = Index { value: Some(i), plus: u * lanes };
                this.prepared.place = Some(place);
                let index = this.beyond(from, place);
                this.tile(nest, nest.lanes, at, steps, index);
            }
        });
        self.used_up();
    }
}

/// How many tiles of `count` places are written out in a pass.
fn copies(nest: &Nest, stages: &[Stage], (lanes, count): (usize, usize)) -> usize {
    if nest.weight() - staged_weight(nest, stages) > LIGHT {
        return 1;
    }
    [4, 2].into_iter().find(|copies| count.is_multiple_of(copies * lanes)).unwrap_or(1)
}

/// About how many instructions the operations are that kernels make.
pub fn staged_weight(nest: &Nest, stages: &[Stage]) -> usize {
    stages.iter().map(|stage| weight(&nest.ops[stage.op].op)).sum()
}

/// The function of an operation, if a kernel could make it.
fn elementary(nest: &Nest, k: usize) -> Option<Elementary> {
    let op = &nest.ops[k];
    if !op.dtype.is_float() {
        return None;
    }
    Some(match op.op {
        Op::Exp if never_positive(nest, op.args[0]) => Elementary::ExpOfNonpositive,
        Op::Exp => Elementary::Exp,
        Op::Expm1 => Elementary::Expm1,
        Op::Log => Elementary::Log,
        Op::Log1p => Elementary::Log1p,
        Op::Log2 => Elementary::Log2,
        Op::Log10 => Elementary::Log10,
        Op::Sin => Elementary::Sin,
        Op::Cos => Elementary::Cos,
        Op::Tan => Elementary::Tan,
        Op::Asin => Elementary::Asin,
        Op::Acos => Elementary::Acos,
        Op::Atan => Elementary::Atan,
        Op::Sinh => Elementary::Sinh,
        Op::Cosh => Elementary::Cosh,
        Op::Tanh => Elementary::Tanh,
        Op::Asinh => Elementary::Asinh,
        Op::Acosh => Elementary::Acosh,
        Op::Atanh => Elementary::Atanh,
        Op::Sigmoid => Elementary::Sigmoid,
        Op::Softplus => Elementary::Softplus,
        Op::Erf => Elementary::Erf,
        Op::Erfc => Elementary::Erfc,
        Op::Cbrt => Elementary::Cbrt,
        _ => return None,
    })
}
