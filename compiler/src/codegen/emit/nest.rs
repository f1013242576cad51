//! Loop nests. The innermost axis goes in vectors of 128 bits, then one element at a time.

use super::element::{against_bound, clif_type, element, exp_of_nonpositive};
use super::sign::never_positive;
use super::stage::WORTH;
use super::{Emitter, unaligned};
use crate::codegen::plan::pieces::{Pieces, weight};
use crate::codegen::plan::{Nest, Scalar, TileOp};
use crate::codegen::view::View;
use crate::ir::graph::Op;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value, types};
use dp_runtime::abi::Inline;
use dp_runtime::tensor::DType;

/// Up to this weight a body is repeated instead of looping over a few elements.
const LIGHT: usize = 48;

/// Where an operand's elements are, at the current place of the outer loops.
#[derive(Clone, Copy)]
pub enum At {
    /// The same scalar everywhere.
    Held(Value),
    Memory(Value),
}

/// The index of an element on the innermost axis.
#[derive(Clone, Copy)]
pub struct Index {
    /// `None` for 0.
    pub value: Option<Value>,
    pub plus: usize,
}

impl Emitter<'_, '_, '_> {
    /// The loops of a nest.
    pub fn loops(&mut self, nest: &Nest) {
        let at = self.starts(nest);
        match &nest.reduction {
            Some(reduction) => self.reduction(nest, reduction, at),
            None => match self.share {
                Some(share) if share.pieces == Pieces::Chunks => self.chunks(nest, &at, share),
                _ => self.axis(nest, 0, &at),
            },
        }
    }

    /// Where the operands of a nest start.
    pub fn starts(&mut self, nest: &Nest) -> Vec<At> {
        if let Some(table) = self.table {
            return self.starts_in(table, nest);
        }
        operands(nest)
            .map(|(dtype, view)| match view.as_splat() {
                Some(scalar) => At::Held(self.scalar(scalar)),
                None => At::Memory(self.address(view, dtype)),
            })
            .collect()
    }

    /// The strides in bytes of all operands along an axis of the nest; of none along the axis after its last.
    pub fn steps(&self, nest: &Nest, axis: usize) -> Vec<i64> {
        let stride = |view: &View| if axis < nest.shape.len() { view.strides[axis] } else { 0 };
        operands(nest).map(|(dtype, view)| stride(view) as i64 * dtype.size() as i64).collect()
    }

    fn axis(&mut self, nest: &Nest, axis: usize, at: &[At]) {
        if axis + 1 >= nest.shape.len() {
            return self.innermost(nest, at, nest.shape.last().copied().unwrap_or(1));
        }
        let steps = self.steps(nest, axis);
        self.places(nest, axis, |this, i| {
            let moved = this.moved(at, &steps, i);
            this.axis(nest, axis + 1, &moved);
        });
    }

    /// A loop over an axis; over the function's share of the outermost one.
    pub fn places(&mut self, nest: &Nest, axis: usize, body: impl FnOnce(&mut Self, Value)) {
        match self.share {
            Some(share) if share.pieces == Pieces::Outer && axis == 0 => self.between(share.from, share.to, body),
            _ => self.count(nest.shape[axis] as i64, 1, body),
        }
    }

    /// The operands at place `i` of an axis.
    pub fn moved(&mut self, at: &[At], steps: &[i64], i: Value) -> Vec<At> {
        at.iter()
            .zip(steps)
            .map(|(&at, &step)| match at {
                At::Memory(start) if step != 0 => {
                    let shift = self.scaled(i, step);
                    At::Memory(self.b.ins().iadd(start, shift))
                }
                At::Memory(_) | At::Held(_) => at,
            })
            .collect()
    }

    /// The operands with what does not move along an axis read once.
    pub fn held(&mut self, nest: &Nest, at: &[At], steps: &[i64]) -> Vec<At> {
        let mut at = at.to_vec();
        for (k, input) in nest.inputs.iter().enumerate() {
            if let (At::Memory(start), 0) = (at[k], steps[k]) {
                at[k] = At::Held(self.b.ins().load(clif_type(input.dtype, 1), unaligned(), start, 0));
            }
        }
        at
    }

    /// `i * step`
    pub fn scaled(&mut self, i: Value, step: i64) -> Value {
        if step > 0 && step.count_ones() == 1 {
            return self.b.ins().ishl_imm_u(i, i64::from(step.trailing_zeros()));
        }
        self.b.ins().imul_imm_s(i, step)
    }

    /// A loop from 0 in steps of `by` while below `end`, which is at least 1.
    pub fn count(&mut self, end: i64, by: i64, body: impl FnOnce(&mut Self, Value)) {
        let (head, done) = (self.b.create_block(), self.b.create_block());
        let i = self.b.append_block_param(head, types::I64);
        let zero = self.b.ins().iconst(types::I64, 0);
        self.b.ins().jump(head, &[BlockArg::Value(zero)]);
        self.b.switch_to_block(head);
        body(self, i);
        let next = self.b.ins().iadd_imm_s(i, by);
        let more = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, next, end);
        self.b.ins().brif(more, head, &[BlockArg::Value(next)], done, &[]);
        self.b.switch_to_block(done);
    }

    /// The first `n` elements of the innermost axis.
    pub fn innermost(&mut self, nest: &Nest, at: &[At], n: usize) {
        let axis = nest.shape.len().saturating_sub(1);
        let steps = self.steps(nest, axis);
        let at = self.held(nest, at, &steps);
        let weight: usize = nest.ops.iter().map(|op| weight(&op.op)).sum::<usize>() + nest.inputs.len();
        let lanes = nest.lanes as usize;
        let mut done = 0;
        let stages = self.stages(nest);
        if !stages.is_empty() && n >= WORTH {
            done = n - n % lanes;
            self.in_blocks(nest, &stages, &at, &steps, done);
        } else if lanes > 1 {
            let unroll = if weight <= LIGHT / 4 {
                4
            } else if weight <= LIGHT {
                2
            } else {
                1
            };
            let pass = lanes * unroll;
            let passes = n / pass;
            if passes > 1 {
                self.count((passes * pass) as i64, pass as i64, |this, i| {
                    for u in 0..unroll {
                        this.tile(nest, nest.lanes, &at, &steps, Index { value: Some(i), plus: u * lanes });
                    }
                });
                done = passes * pass;
            }
            while done + lanes <= n {
                self.tile(nest, nest.lanes, &at, &steps, Index { value: None, plus: done });
                done += lanes;
            }
        }
        let left = n - done;
        if left == 0 {
            return;
        }
        if left == 1 || (weight <= LIGHT && left < 4) {
            for i in done..n {
                self.tile(nest, 1, &at, &steps, Index { value: None, plus: i });
            }
        } else {
            self.count(left as i64, 1, |this, i| {
                this.tile(nest, 1, &at, &steps, Index { value: Some(i), plus: done });
            });
        }
    }

    /// The body on `lanes` elements from an index on; gives the values of inputs and operations.
    pub fn tile(&mut self, nest: &Nest, lanes: u32, at: &[At], steps: &[i64], index: Index) -> Vec<Value> {
        let given = self.given(nest, lanes as usize, at, steps, index);
        self.tile_with(nest, lanes, at, steps, index, given)
    }

    /// The same with what the nest inside gives.
    pub fn tile_with(
        &mut self,
        nest: &Nest,
        lanes: u32,
        at: &[At],
        steps: &[i64],
        index: Index,
        given: Vec<Value>,
    ) -> Vec<Value> {
        let values = self.values(nest, lanes, at, steps, (nest.ops.len(), index), given);
        for (k, (value, dtype, _)) in nest.outputs.iter().enumerate() {
            let place = nest.inputs.len() + k;
            if let At::Memory(start) = at[place] {
                self.put_back(values[*value as usize], start, steps[place], *dtype, lanes, index);
            }
        }
        values
    }

    /// The values of inputs, of what the nest inside gives, and of the first `count` operations.
    pub fn values(
        &mut self,
        nest: &Nest,
        lanes: u32,
        at: &[At],
        steps: &[i64],
        (count, index): (usize, Index),
        given: Vec<Value>,
    ) -> Vec<Value> {
        let mut values = Vec::with_capacity(nest.inputs.len() + nest.ops.len());
        for (k, input) in nest.inputs.iter().enumerate() {
            let value = match at[k] {
                At::Held(scalar) => self.spread(scalar, input.dtype, lanes),
                At::Memory(start) => self.fetch(start, steps[k], input.dtype, lanes, index),
            };
            values.push(value);
        }
        values.extend(given);
        for (k, op) in nest.ops[..count].iter().enumerate() {
            if let Some(value) = self.prepared_value(k, op.dtype, lanes) {
                values.push(value);
                continue;
            }
            let args: Vec<Value> = op.args.iter().map(|&a| values[a as usize]).collect();
            if matches!(op.op, Op::IntDiv | Op::Mod) {
                self.check_divisor(args[1], op.eqn);
            }
            let bound = [1, 0].into_iter().find(|&k| constant_bound(nest, op, k));
            values.push(match bound {
                Some(k) => against_bound(&mut self.b, &op.op, lanes, op.dtype, args[1 - k], args[k]),
                None if matches!(op.op, Op::Exp) && never_positive(nest, op.args[0]) => {
                    exp_of_nonpositive(&mut self.b, lanes, op.dtype, args[0])
                }
                None => element(&mut self.b, &op.op, lanes, &op.from, op.dtype, &args),
            });
        }
        values
    }

    /// Faults if an integer divisor is zero.
    pub fn check_divisor(&mut self, divisor: Value, eqn: u32) {
        let zero = self.b.ins().icmp_imm_s(IntCC::Equal, divisor, 0);
        self.fault_if(zero, Inline::DivisionByZero, eqn);
    }

    /// One scalar in all lanes.
    fn spread(&mut self, scalar: Value, dtype: DType, lanes: u32) -> Value {
        if lanes == 1 {
            return scalar;
        }
        let ty = clif_type(dtype, lanes);
        if dtype == DType::Bool {
            let wide = self.b.ins().uextend(ty.lane_type(), scalar);
            let mask = self.b.ins().ineg(wide);
            return self.b.ins().splat(ty, mask);
        }
        self.b.ins().splat(ty, scalar)
    }

    /// The address of an element, as a value and an offset.
    pub fn locate(&mut self, start: Value, step: i64, index: Index) -> (Value, i32) {
        let far = index.plus as i64 * step;
        let mut start = match index.value {
            Some(i) if step != 0 => {
                let shift = self.scaled(i, step);
                self.b.ins().iadd(start, shift)
            }
            Some(_) | None => start,
        };
        match i32::try_from(far) {
            Ok(near) => (start, near),
            Err(_) => {
                start = self.b.ins().iadd_imm_s(start, far);
                (start, 0)
            }
        }
    }

    fn fetch(&mut self, start: Value, step: i64, dtype: DType, lanes: u32, index: Index) -> Value {
        let flags = unaligned();
        let size = dtype.size() as i64;
        if lanes == 1 {
            let (address, offset) = self.locate(start, step, index);
            return self.b.ins().load(clif_type(dtype, 1), flags, address, offset);
        }
        let ty = clif_type(dtype, lanes);
        if step != size {
            // Lane by lane.
            let mut vector = None;
            for lane in 0..lanes {
                let (address, offset) = self.locate(start, step, Index { plus: index.plus + lane as usize, ..index });
                let value = self.b.ins().load(clif_type(dtype, 1), flags, address, offset);
                let value = if dtype == DType::Bool {
                    let wide = self.b.ins().uextend(ty.lane_type(), value);
                    self.b.ins().ineg(wide)
                } else {
                    value
                };
                vector = Some(match vector {
                    None => self.b.ins().splat(ty, value),
                    Some(vector) => self.b.ins().insertlane(vector, value, lane as u8),
                });
            }
            return vector.expect("there is at least one lane");
        }
        let (address, offset) = self.locate(start, step, index);
        if dtype != DType::Bool {
            return self.b.ins().load(ty, flags, address, offset);
        }
        let little = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
        let bytes = if lanes == 4 {
            self.b.ins().load(types::I32, flags, address, offset)
        } else {
            let pair = self.b.ins().load(types::I16, flags, address, offset);
            self.b.ins().uextend(types::I32, pair)
        };
        let vector = self.b.ins().scalar_to_vector(types::I32X4, bytes);
        let vector = self.b.ins().bitcast(types::I8X16, little, vector);
        let vector = self.b.ins().uwiden_low(vector);
        let mut vector = self.b.ins().uwiden_low(vector);
        if lanes == 2 {
            vector = self.b.ins().uwiden_low(vector);
        }
        // 1 becomes all ones.
        self.b.ins().ineg(vector)
    }

    pub fn put_back(&mut self, value: Value, start: Value, step: i64, dtype: DType, lanes: u32, index: Index) {
        let flags = unaligned();
        let size = dtype.size() as i64;
        if lanes == 1 {
            let (address, offset) = self.locate(start, step, index);
            self.b.ins().store(flags, value, address, offset);
            return;
        }
        if step == size && dtype != DType::Bool {
            let (address, offset) = self.locate(start, step, index);
            self.b.ins().store(flags, value, address, offset);
            return;
        }
        if step == size && lanes == 4 {
            let little = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
            let half = self.b.ins().snarrow(value, value);
            let bytes = self.b.ins().snarrow(half, half);
            let four = self.b.ins().bitcast(types::I32X4, little, bytes);
            let four = self.b.ins().extractlane(four, 0u8);
            let ones = self.b.ins().band_imm_u(four, 0x0101_0101);
            let (address, offset) = self.locate(start, step, index);
            self.b.ins().store(flags, ones, address, offset);
            return;
        }
        for lane in 0..lanes {
            let one = self.b.ins().extractlane(value, lane as u8);
            let one = if dtype == DType::Bool {
                let byte = self.b.ins().ireduce(types::I8, one);
                self.b.ins().band_imm_u(byte, 1)
            } else {
                one
            };
            let (address, offset) = self.locate(start, step, Index { plus: index.plus + lane as usize, ..index });
            self.b.ins().store(flags, one, address, offset);
        }
    }
}

/// The operands of a nest in the order in which they are numbered: inputs and outputs, then those of the nest inside, and so on.
pub fn operands(nest: &Nest) -> impl Iterator<Item = (DType, &View)> {
    nest.levels().flat_map(|nest| {
        let inputs = nest.inputs.iter().map(|input| (input.dtype, &input.view));
        inputs.chain(nest.outputs.iter().map(|(_, dtype, view)| (*dtype, view)))
    })
}

/// True if argument `k` of a maximum or minimum is a float constant with which one comparison is enough: not NaN, and
/// not the zero that loses against the other one.
fn constant_bound(nest: &Nest, op: &TileOp, k: usize) -> bool {
    let loses = match op.op {
        Op::Max => -0.0f64,
        Op::Min => 0.0,
        _ => return false,
    };
    let scalar = nest.inputs.get(op.args[k] as usize).and_then(|input| input.view.as_splat());
    let value = match scalar {
        Some(Scalar::Imm(DType::F32, bits)) => f64::from(f32::from_bits(bits as u32)),
        Some(Scalar::Imm(DType::F64, bits)) => f64::from_bits(bits),
        Some(Scalar::Imm(DType::I64 | DType::Bool | DType::Key, _) | Scalar::Reg(_)) | None => return false,
    };
    !value.is_nan() && value.to_bits() != loses.to_bits()
}
