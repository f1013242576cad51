//! Steps as Cranelift functions.
//!
//! A function takes the frame and gives a status: 0, or 1 with a fault in the frame. Long lists of steps are split into
//! several functions, because compile time is not linear in a function's size; a register that is used in another
//! function than it is defined in also has a slot in memory. Loop nests that differ only in where their operands lie are
//! one function, which takes a table of addresses; so do large ones, which the runtime deals out to threads.

mod deal;
mod element;
mod lanes;
mod nest;
pub mod pieces;
mod reduction;
pub mod shared;
mod sign;
mod stage;

use super::plan::pieces::Pieces;
use super::plan::{Base, Count, Loop, Nest, Operand, Plan, Reg, STACK, Scalar, Step};
use super::view::View;
use crate::ir::graph::Op;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    AbiParam, Block, BlockArg, FuncRef, Function, InstBuilder, MemFlagsData, SigRef, Signature, StackSlot,
    StackSlotData, StackSlotKind, Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use deal::Share;
use dp_runtime::abi::{Frame, Inline};
use dp_runtime::tensor::DType;
use element::{clif_type, element};
use pieces::pieces;
use std::collections::{HashMap, HashSet};
use std::mem::offset_of;

/// Addresses that the code contains.
pub struct Addresses {
    pub call: usize,
    pub fault: usize,
    pub warn: usize,
    pub deal: usize,
    pub interrupt: usize,
    /// Of each kernel call's description.
    pub calls: Vec<usize>,
    /// Of each constant's elements.
    pub consts: Vec<usize>,
}

/// What all functions of a program share.
pub struct Shared<'p> {
    pub plan: &'p Plan,
    pub addresses: Addresses,
    /// The memory slots of registers that cross functions.
    pub slots: HashMap<Reg, u32>,
    /// The forms of nests (`shared::shared_form`) that occur several times.
    pub repeated: HashSet<String>,
    pub call_conv: CallConv,
}

/// A function yet to be written.
pub struct Pending<'p> {
    pub number: u32,
    pub body: Body<'p>,
}

/// What a function does.
#[derive(Clone, Copy)]
pub enum Body<'p> {
    Steps(&'p [Step]),
    /// A nest whose operands are in the table.
    Nest(&'p Nest),
    /// Some pieces of such a nest.
    Dealt(&'p Nest, Pieces),
}

/// The state of writing one function.
pub struct Emitter<'p, 'b, 'l> {
    b: FunctionBuilder<'b>,
    shared: &'b Shared<'b>,
    frame: Value,
    /// The operands of the nest that the function is.
    table: Option<Value>,
    /// What it does of the nest, if not everything.
    share: Option<Share>,
    arena: Value,
    regs: HashMap<Reg, Value>,
    /// Memory for scalars whose address is needed.
    spills: HashMap<Scalar, StackSlot>,
    /// `Base::Stack`
    own: Option<StackSlot>,
    /// Pointers to a kernel's operands, and the scalars that it computes.
    pointers: Option<StackSlot>,
    outs: Option<StackSlot>,
    /// Values of the nest that are in memory already.
    prepared: stage::Prepared,
    failed: Block,
    call_sig: SigRef,
    fault_sig: SigRef,
    warn_sig: SigRef,
    deal_sig: SigRef,
    links: &'b mut Links<'p, 'l>,
}

/// How functions of a program refer to one another.
pub struct Links<'p, 'l> {
    /// Functions yet to be written.
    pub pending: &'l mut Vec<Pending<'p>>,
    /// The last number given to a function.
    pub next: &'l mut u32,
    /// The functions of repeated nests, by their forms.
    pub nests: &'l mut HashMap<String, u32>,
    /// A reference to a function by its number.
    pub link: &'l mut dyn FnMut(&mut Function, u32) -> FuncRef,
}

/// Steps at the beginning of a loop's body.
const BEGINNING: usize = 10;

/// Loads and stores that cannot trap, at any alignment.
fn unaligned() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// The signature of every function: frame and table, which only the functions of nests read.
pub fn signature(call_conv: CallConv) -> Signature {
    let mut sig = Signature::new(call_conv);
    sig.params.extend([AbiParam::new(types::I64), AbiParam::new(types::I64)]);
    sig.returns.push(AbiParam::new(types::I32));
    sig
}

/// Writes one function. Functions that it calls are added to the pending ones under new numbers.
pub fn function<'p>(
    shared: &Shared<'_>,
    body: Body<'p>,
    func: &mut Function,
    ctx: &mut FunctionBuilderContext,
    config: TargetFrontendConfig,
    links: &mut Links<'p, '_>,
) {
    func.signature = signature(shared.call_conv);
    let mut b = FunctionBuilder::new(func, ctx);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let (frame, table) = (b.block_params(entry)[0], b.block_params(entry)[1]);
    let constant = MemFlagsData::trusted().with_readonly().with_can_move();
    let arena = b.ins().load(types::I64, constant, frame, offset_of!(Frame, arena) as i32);
    let failed = b.create_block();
    b.set_cold_block(failed);
    let sig = |params: &[cranelift_codegen::ir::Type], result: bool| {
        let mut sig = Signature::new(shared.call_conv);
        sig.params.extend(params.iter().map(|&ty| AbiParam::new(ty)));
        if result {
            sig.returns.push(AbiParam::new(types::I32));
        }
        sig
    };
    let call_sig = b.import_signature(sig(&[types::I64, types::I64, types::I64], true));
    let fault_sig = b.import_signature(sig(&[types::I64, types::I32, types::I32], false));
    let warn_sig = b.import_signature(sig(&[types::I64, types::I32], false));
    let deal_sig = b.import_signature(sig(&[types::I64; 5], false));
    let mut emitter = Emitter {
        b,
        shared,
        frame,
        table: None,
        share: None,
        arena,
        regs: HashMap::new(),
        spills: HashMap::new(),
        own: None,
        pointers: None,
        outs: None,
        prepared: stage::Prepared::default(),
        failed,
        call_sig,
        fault_sig,
        warn_sig,
        deal_sig,
        links,
    };
    match body {
        Body::Steps(steps) => emitter.run(steps),
        Body::Nest(nest) => {
            emitter.table = Some(table);
            emitter.loops(nest);
        }
        Body::Dealt(nest, pieces) => {
            emitter.table = Some(table);
            let totals = nest.reduction.as_ref().map_or(0, |reduction| reduction.totals.len());
            let place = 8 * (nest.operands() + totals) as i32;
            let [from, to] = [0, 8].map(|i| emitter.b.ins().load(types::I64, unaligned(), table, place + i));
            emitter.share = Some(Share { pieces, from, to });
            emitter.loops(nest);
        }
    }
    let b = &mut emitter.b;
    let fine = b.ins().iconst(types::I32, 0);
    b.ins().return_(&[fine]);
    b.switch_to_block(failed);
    let status = b.ins().iconst(types::I32, 1);
    b.ins().return_(&[status]);
    emitter.b.seal_all_blocks();
    emitter.b.finalize(config);
}

impl<'p> Emitter<'p, '_, '_> {
    /// A list of steps, in this function or, if it is long, in others.
    fn run(&mut self, steps: &'p [Step]) {
        let list = pieces(steps);
        if list.len() == 1 {
            steps.iter().for_each(|step| self.step(step));
            return;
        }
        for range in list {
            *self.links.next += 1;
            let number = *self.links.next;
            self.links.pending.push(Pending { number, body: Body::Steps(&steps[range]) });
            let callee = (self.links.link)(self.b.func, number);
            // Nothing reads the table of these functions.
            let call = self.b.ins().call(callee, &[self.frame, self.frame]);
            let status = self.b.inst_results(call)[0];
            self.check(status);
        }
    }

    /// Leaves the function if a status is not 0.
    fn check(&mut self, status: Value) {
        let fine = self.b.create_block();
        self.b.ins().brif(status, self.failed, &[], fine, &[]);
        self.b.switch_to_block(fine);
    }

    /// Leaves the function with a fault if a condition holds.
    fn fault_if(&mut self, condition: Value, kind: Inline, eqn: u32) {
        let (bad, fine) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(bad);
        self.b.ins().brif(condition, bad, &[], fine, &[]);
        self.b.switch_to_block(bad);
        let kind = self.b.ins().iconst(types::I32, kind as i64);
        let eqn = self.b.ins().iconst(types::I32, i64::from(eqn));
        let callee = self.pointer(self.shared.addresses.fault);
        self.b.ins().call_indirect(self.fault_sig, callee, &[self.frame, kind, eqn]);
        self.b.ins().jump(self.failed, &[]);
        self.b.switch_to_block(fine);
    }

    fn pointer(&mut self, address: usize) -> Value {
        self.b.ins().iconst(types::I64, address as i64)
    }

    /// Notes a register's value.
    fn define(&mut self, reg: Reg, value: Value) {
        self.regs.insert(reg, value);
        if let Some(&slot) = self.shared.slots.get(&reg) {
            let table = self.table(offset_of!(Frame, scalars));
            self.b.ins().store(unaligned(), value, table, slot as i32 * 8);
        }
    }

    /// A pointer of the frame, which does not change during a call.
    fn table(&mut self, offset: usize) -> Value {
        let constant = MemFlagsData::trusted().with_readonly().with_can_move();
        self.b.ins().load(types::I64, constant, self.frame, offset as i32)
    }

    pub fn scalar(&mut self, scalar: Scalar) -> Value {
        match scalar {
            Scalar::Imm(dtype, bits) => match dtype {
                DType::F32 => self.b.ins().f32const(f32::from_bits(bits as u32)),
                DType::F64 => self.b.ins().f64const(f64::from_bits(bits)),
                DType::I64 | DType::Key => self.b.ins().iconst(types::I64, bits as i64),
                DType::Bool => self.b.ins().iconst(types::I8, bits as i64),
            },
            Scalar::Reg(reg) => match self.regs.get(&reg) {
                Some(&value) => value,
                None => {
                    let slot = self.shared.slots[&reg];
                    let ty = clif_type(self.shared.plan.regs[reg.0 as usize], 1);
                    let table = self.table(offset_of!(Frame, scalars));
                    self.b.ins().load(ty, unaligned(), table, slot as i32 * 8)
                }
            },
        }
    }

    fn stack_slot(&mut self, bytes: u32) -> StackSlot {
        self.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3))
    }

    /// The address of the first element of a view.
    pub fn address(&mut self, view: &View, dtype: DType) -> Value {
        let size = dtype.size() as i64;
        let constant = MemFlagsData::trusted().with_readonly().with_can_move();
        let entry = |this: &mut Self, offset: usize, i: u32| {
            let table = this.table(offset);
            this.b.ins().load(types::I64, constant, table, i as i32 * 8)
        };
        let mut offset = view.offset as i64 * size;
        let mut address = match view.base {
            Base::Buffer(i) => {
                offset += self.shared.plan.buffers[i as usize].offset as i64;
                self.arena
            }
            Base::Large(i) => entry(self, offset_of!(Frame, buffers), i),
            Base::Param(i) => entry(self, offset_of!(Frame, params), i),
            Base::Result(i) => entry(self, offset_of!(Frame, results), i),
            Base::Const(i) => self.pointer(self.shared.addresses.consts[i as usize]),
            Base::Stack => {
                let slot = self.own.unwrap_or_else(|| self.stack_slot(STACK as u32));
                self.own = Some(slot);
                self.b.ins().stack_addr(types::I64, slot, 0)
            }
            Base::Spill(scalar) => {
                let value = self.scalar(scalar);
                let slot = match self.spills.get(&scalar) {
                    Some(&slot) => slot,
                    None => {
                        let slot = self.stack_slot(8);
                        self.spills.insert(scalar, slot);
                        slot
                    }
                };
                let address = self.b.ins().stack_addr(types::I64, slot, 0);
                self.b.ins().store(unaligned(), value, address, 0);
                return address;
            }
        };
        if offset != 0 {
            address = self.b.ins().iadd_imm_s(address, offset);
        }
        for &(counter, stride) in &view.terms {
            if stride != 0 {
                let counter = self.scalar(Scalar::Reg(counter));
                let shift = self.b.ins().imul_imm_s(counter, stride as i64 * size);
                address = self.b.ins().iadd(address, shift);
            }
        }
        address
    }

    fn step(&mut self, step: &'p Step) {
        match step {
            Step::Scalar { op, args, out, eqn } => {
                let from: Vec<DType> = args.iter().map(|&a| self.dtype(a)).collect();
                let values: Vec<Value> = args.iter().map(|&a| self.scalar(a)).collect();
                if matches!(op, Op::IntDiv | Op::Mod) {
                    self.check_divisor(values[1], *eqn);
                }
                let to = self.shared.plan.regs[out.0 as usize];
                let value = match (op, args[0], to) {
                    (Op::MulZ, _, DType::F32 | DType::F64) => self.product(to, values[0], values[1]),
                    // A constant that comes last is read by the instruction, and needs no register.
                    (Op::Add | Op::Mul, Scalar::Imm(..), DType::F32 | DType::F64) => {
                        element(&mut self.b, op, 1, &from, to, &[values[1], values[0]])
                    }
                    _ => element(&mut self.b, op, 1, &from, to, &values),
                };
                self.define(*out, value);
            }
            Step::Load { from, out } => {
                let dtype = self.shared.plan.regs[out.0 as usize];
                let address = self.address(from, dtype);
                let value = self.b.ins().load(clif_type(dtype, 1), unaligned(), address, 0);
                self.define(*out, value);
            }
            Step::Store { value, to } => {
                let dtype = self.dtype(*value);
                let value = self.scalar(*value);
                let address = self.address(to, dtype);
                self.b.ins().store(unaligned(), value, address, 0);
            }
            Step::Nest(nest) => {
                let form = || shared::shared_form(nest).filter(|form| self.shared.repeated.contains(form));
                if let Some(pieces) = deal::pieces(nest) {
                    self.dealt_nest(nest, pieces);
                } else if let Some(form) = form() {
                    self.shared_nest(nest, form);
                } else {
                    self.loops(nest);
                }
            }
            Step::Call { call, operands, then } => self.kernel(*call, operands, then.as_deref()),
            Step::Guard { pred, fatal, eqn } => self.guard(*pred, *fatal, *eqn),
            Step::Loop(l) => self.scan(l),
            Step::Branch { pred, then, otherwise, outs } => {
                let pred = self.scalar(*pred);
                let [yes, no, join] = [(); 3].map(|()| self.b.create_block());
                let params: Vec<Value> = outs
                    .iter()
                    .map(|(out, _, _)| {
                        let ty = clif_type(self.shared.plan.regs[out.0 as usize], 1);
                        self.b.append_block_param(join, ty)
                    })
                    .collect();
                self.b.ins().brif(pred, yes, &[], no, &[]);
                for (block, steps, first) in [(yes, then, true), (no, otherwise, false)] {
                    self.b.switch_to_block(block);
                    self.run(steps);
                    let args: Vec<BlockArg> = outs
                        .iter()
                        .map(|&(_, yes, no)| BlockArg::Value(self.scalar(if first { yes } else { no })))
                        .collect();
                    self.b.ins().jump(join, &args);
                }
                self.b.switch_to_block(join);
                for ((out, _, _), value) in outs.iter().zip(params) {
                    self.define(*out, value);
                }
            }
        }
    }

    /// `MulZ` of two floats: only a product that is not a number, which is rare, is looked at.
    fn product(&mut self, dtype: DType, x: Value, y: Value) -> Value {
        let product = self.b.ins().fmul(x, y);
        let (rare, done) = (self.b.create_block(), self.b.create_block());
        let value = self.b.append_block_param(done, clif_type(dtype, 1));
        self.b.set_cold_block(rare);
        let not_a_number = self.b.ins().fcmp(FloatCC::NotEqual, product, product);
        self.b.ins().brif(not_a_number, rare, &[], done, &[BlockArg::Value(product)]);
        self.b.switch_to_block(rare);
        let exact = element(&mut self.b, &Op::MulZ, 1, &[dtype; 2], dtype, &[x, y]);
        self.b.ins().jump(done, &[BlockArg::Value(exact)]);
        self.b.switch_to_block(done);
        value
    }

    fn dtype(&self, scalar: Scalar) -> DType {
        match scalar {
            Scalar::Imm(dtype, _) => dtype,
            Scalar::Reg(reg) => self.shared.plan.regs[reg.0 as usize],
        }
    }

    fn guard(&mut self, pred: Scalar, fatal: bool, eqn: u32) {
        let pred = self.scalar(pred);
        if fatal {
            let broken = self.b.ins().bxor_imm_u(pred, 1);
            return self.fault_if(broken, Inline::Guard, eqn);
        }
        let (bad, fine) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(bad);
        self.b.ins().brif(pred, fine, &[], bad, &[]);
        self.b.switch_to_block(bad);
        let eqn = self.b.ins().iconst(types::I32, i64::from(eqn));
        let callee = self.pointer(self.shared.addresses.warn);
        self.b.ins().call_indirect(self.warn_sig, callee, &[self.frame, eqn]);
        self.b.ins().jump(fine, &[]);
        self.b.switch_to_block(fine);
    }

    fn kernel(&mut self, call: usize, operands: &[Operand], then: Option<&'p Nest>) {
        let description = &self.shared.plan.calls[call];
        let most = self.shared.plan.calls.iter().map(|call| call.operands.len()).max().unwrap_or(1) as u32 + 2;
        let pointers = match self.pointers {
            Some(slot) => slot,
            None => {
                let slot = self.stack_slot(8 * most);
                self.pointers = Some(slot);
                slot
            }
        };
        let mut results = Vec::new();
        for (i, (operand, layout)) in operands.iter().zip(&description.operands).enumerate() {
            let address = match operand {
                Operand::View(view) => self.address(view, layout.dtype),
                Operand::Out(reg) => {
                    let outs = match self.outs {
                        Some(slot) => slot,
                        None => {
                            let slot = self.stack_slot(8 * most);
                            self.outs = Some(slot);
                            slot
                        }
                    };
                    results.push((*reg, i as i32 * 8));
                    self.b.ins().stack_addr(types::I64, outs, i as i32 * 8)
                }
            };
            self.b.ins().stack_store(types::I64, address, pointers, i as i32 * 8);
        }
        if let Some((nest, (kind, _))) = then.map(|nest| (nest, nest.pieces())) {
            let (function, table, _) = self.piecewise(nest, kind);
            for (i, value) in [function, table].into_iter().enumerate() {
                self.b.ins().stack_store(types::I64, value, pointers, (operands.len() + i) as i32 * 8);
            }
        }
        let callee = self.pointer(self.shared.addresses.call);
        let description_at = self.pointer(self.shared.addresses.calls[call]);
        let list = self.b.ins().stack_addr(types::I64, pointers, 0);
        let inst = self.b.ins().call_indirect(self.call_sig, callee, &[self.frame, description_at, list]);
        let status = self.b.inst_results(inst)[0];
        // Of every kernel: a list of those that may fault would be one more to keep.
        self.check(status);
        for (reg, offset) in results {
            let ty = clif_type(self.shared.plan.regs[reg.0 as usize], 1);
            if let Some(outs) = self.outs {
                let value = self.b.ins().stack_load(types::I64, ty, outs, offset);
                self.define(reg, value);
            }
        }
    }

    fn scan(&mut self, l: &'p Loop) {
        let (cap, trips) = match l.count {
            Count::Fixed(cap) | Count::Until { cap, .. } => {
                let trips = self.b.ins().iconst(types::I64, cap as i64);
                (cap, trips)
            }
            Count::Given { count, cap } => {
                let count = self.scalar(count);
                let most = self.b.ins().iconst(types::I64, cap as i64);
                let above = self.b.ins().icmp(IntCC::SignedGreaterThan, count, most);
                let count = self.b.ins().select(above, most, count);
                (cap, count)
            }
        };
        let mut start = Vec::new();
        for carry in &l.carries {
            start.push(self.scalar(carry.init));
        }
        let types_of: Vec<cranelift_codegen::ir::Type> =
            l.carries.iter().map(|c| clif_type(self.shared.plan.regs[c.param.0 as usize], 1)).collect();
        if cap == 0 {
            // No pass.
            for (carry, value) in l.carries.iter().zip(start) {
                self.define(carry.out, value);
            }
            if let Count::Until { ran, .. } = l.count {
                let none = self.b.ins().iconst(types::I64, 0);
                self.define(ran, none);
            }
            return;
        }
        let [head, body, done] = [(); 3].map(|()| self.b.create_block());
        let zero = self.b.ins().iconst(types::I64, 0);
        let k = self.b.append_block_param(head, types::I64);
        let held: Vec<Value> = types_of.iter().map(|&ty| self.b.append_block_param(head, ty)).collect();
        // The same values once more, for the beginning of the body: these do not live long, and so are in registers from one
        // pass to the next, where it counts. The others may lie on the stack.
        let split = l.body.len() > 2 * BEGINNING && pieces(&l.body).len() == 1;
        let near: Vec<usize> = (0..types_of.len()).filter(|&i| split && types_of[i].is_float()).collect();
        let early: Vec<Value> = near.iter().map(|&i| self.b.append_block_param(head, types_of[i])).collect();
        let twice = |mut args: Vec<BlockArg>| {
            args.extend(near.iter().map(|&i| args[1 + i]).collect::<Vec<_>>());
            args
        };
        let ran = self.b.append_block_param(done, types::I64);
        let last: Vec<Value> = types_of.iter().map(|&ty| self.b.append_block_param(done, ty)).collect();

        let mut args = vec![BlockArg::Value(zero)];
        args.extend(start.iter().map(|&v| BlockArg::Value(v)));
        self.b.ins().jump(head, &twice(args));
        self.b.switch_to_block(head);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, k, trips);
        let mut leave = vec![BlockArg::Value(k)];
        leave.extend(held.iter().map(|&v| BlockArg::Value(v)));
        self.b.ins().brif(more, body, &[], done, &leave);

        self.b.switch_to_block(body);
        let counter = if l.reverse {
            let rest = self.b.ins().isub(trips, k);
            self.b.ins().iadd_imm_s(rest, -1)
        } else {
            k
        };
        self.define(l.counter, counter);
        for (carry, &value) in l.carries.iter().zip(&held) {
            self.define(carry.param, value);
        }
        if near.is_empty() {
            self.run(&l.body);
        } else {
            let (beginning, rest) = l.body.split_at(BEGINNING);
            for (&i, &value) in near.iter().zip(&early) {
                self.regs.insert(l.carries[i].param, value);
            }
            beginning.iter().for_each(|step| self.step(step));
            for &i in &near {
                self.regs.insert(l.carries[i].param, held[i]);
            }
            rest.iter().for_each(|step| self.step(step));
        }
        let flag = self.pointer(self.shared.addresses.interrupt);
        let asked = self.b.ins().atomic_load(types::I8, MemFlagsData::trusted(), flag);
        self.fault_if(asked, Inline::Interrupted, l.eqn);
        let next = self.b.ins().iadd_imm_s(k, 1);
        let mut args = vec![BlockArg::Value(next)];
        for carry in &l.carries {
            let value = self.scalar(carry.next);
            args.push(BlockArg::Value(value));
        }
        match l.count {
            Count::Fixed(_) | Count::Given { .. } => {
                self.b.ins().jump(head, &twice(args));
            }
            Count::Until { stop, .. } => {
                let stop = self.scalar(stop);
                self.b.ins().brif(stop, done, &args.clone(), head, &twice(args));
            }
        }

        self.b.switch_to_block(done);
        for (carry, value) in l.carries.iter().zip(last) {
            self.define(carry.out, value);
        }
        if let Count::Until { ran: out, .. } = l.count {
            self.define(out, ran);
        }
    }
}
