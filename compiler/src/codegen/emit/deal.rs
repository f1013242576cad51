//! Large nests, dealt out to threads.
//!
//! Such a nest is a function that does some of its pieces: places on its outermost axis, chunks of an only axis, or parts of a
//! sum. Which pieces there are is a function of the nest alone, and each element and each part is computed as it would be
//! without threads, so results do not depend on who does what. The table of its operands (`shared`) ends with two
//! words for the runtime: the first piece to do, and the one to stop before.

use super::nest::At;
use super::reduction::looped;
use super::{Body, Emitter, shared};
use crate::codegen::plan::pieces::{CHUNK, Pieces};
use crate::codegen::plan::reduction::part_length;
use crate::codegen::plan::{Nest, Operand, Total};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};

/// The pieces that a function does.
#[derive(Clone, Copy)]
pub struct Share {
    pub pieces: Pieces,
    pub from: Value,
    pub to: Value,
}

/// How a nest is dealt out, and in how many pieces; `None` for small nests and those that cannot be.
pub fn pieces(nest: &Nest) -> Option<(Pieces, usize)> {
    if !nest.is_large() || !nest.is_movable() {
        return None;
    }
    let (kind, count) = match &nest.reduction {
        None => nest.pieces(),
        Some(reduction) => {
            let parted = |total: &Total| total.parts > 1 && matches!(total.to, Operand::View(_));
            if looped(nest, reduction) > 0 {
                (Pieces::Outer, nest.shape[0])
            } else if reduction.totals.iter().all(parted) {
                let count: usize = nest.shape[reduction.kept..].iter().product();
                (Pieces::Parts, count / part_length(reduction.order))
            } else {
                return None;
            }
        }
    };
    (count > 1).then_some((kind, count))
}

impl<'p> Emitter<'p, '_, '_> {
    /// The function that does pieces of a nest, the table of its operands, and the number of the table's entries.
    pub fn piecewise(&mut self, nest: &'p Nest, kind: Pieces) -> (Value, Value, usize) {
        let form = format!("dealt {}", shared::form(nest));
        let number = self.nest_function(form, Body::Dealt(nest, kind));
        let callee = (self.links.link)(self.b.func, number);
        let callee = self.b.ins().func_addr(types::I64, callee);
        let (table, entries) = self.operand_table(nest);
        (callee, table, entries)
    }

    /// A call of the runtime, which calls the nest's function for shares of its pieces.
    pub fn dealt_nest(&mut self, nest: &'p Nest, (kind, count): (Pieces, usize)) {
        let (callee, table, entries) = self.piecewise(nest, kind);
        let entries = self.b.ins().iconst(types::I64, entries as i64);
        let count = self.b.ins().iconst(types::I64, count as i64);
        let deal = self.pointer(self.shared.addresses.deal);
        self.b.ins().call_indirect(self.deal_sig, deal, &[self.frame, callee, table, entries, count]);
    }

    /// The chunks of a share.
    pub fn chunks(&mut self, nest: &Nest, at: &[At], share: Share) {
        let n = nest.shape[0];
        let whole = n / CHUNK;
        let steps = self.steps(nest, 0);
        let far: Vec<i64> = steps.iter().map(|step| step * CHUNK as i64).collect();
        let most = self.b.ins().iconst(types::I64, whole as i64);
        let beyond = self.b.ins().icmp(IntCC::SignedGreaterThan, share.to, most);
        let end = self.b.ins().select(beyond, most, share.to);
        self.between(share.from, end, |this, i| {
            let moved = this.moved(at, &far, i);
            this.innermost(nest, &moved, CHUNK);
        });
        if !n.is_multiple_of(CHUNK) {
            self.when(beyond, |this| {
                let moved = this.moved(at, &far, most);
                this.innermost(nest, &moved, n % CHUNK);
            });
        }
    }

    /// A loop over `from <= i < to`, perhaps of no pass.
    pub fn between(&mut self, from: Value, to: Value, body: impl FnOnce(&mut Self, Value)) {
        let [head, pass, done] = [(); 3].map(|()| self.b.create_block());
        let i = self.b.append_block_param(head, types::I64);
        self.b.ins().jump(head, &[BlockArg::Value(from)]);
        self.b.switch_to_block(head);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, i, to);
        self.b.ins().brif(more, pass, &[], done, &[]);
        self.b.switch_to_block(pass);
        body(self, i);
        let next = self.b.ins().iadd_imm_s(i, 1);
        self.b.ins().jump(head, &[BlockArg::Value(next)]);
        self.b.switch_to_block(done);
    }

    /// Something that is done under a condition.
    pub fn when(&mut self, condition: Value, body: impl FnOnce(&mut Self)) {
        let (yes, done) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(condition, yes, &[], done, &[]);
        self.b.switch_to_block(yes);
        body(self);
        self.b.ins().jump(done, &[]);
        self.b.switch_to_block(done);
    }
}
