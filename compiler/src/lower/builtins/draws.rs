//! Draws that are made of uniform ones.

use super::Args;
use crate::builtins::Builtin;
use crate::ir::graph::Op;
use crate::lower::value::Value;
use crate::lower::{Ctx, Res};
use crate::syntax::ast::BinaryOp;

impl Ctx<'_> {
    pub(super) fn draw_call(&mut self, builtin: Builtin, args: &mut Args) -> Res<Value> {
        match builtin {
            Builtin::Bernoulli => {
                let p = match args.take("p") {
                    Some(p) => self.to_real(&p)?,
                    None => self.real_const(0.5),
                };
                let draw = self.uniform(args)?;
                self.elementwise(Op::Lt, &draw, &p, "`bernoulli`")
            }
            // The distribution function inverted: 1 - u is as uniform as u, and never 0.
            Builtin::Exponential => {
                let draw = self.uniform(args)?;
                self.exponential_of(&draw)
            }
            // An exponential draw with a random sign, the two from keys of their own.
            Builtin::Laplace => {
                let shape = self.extents(&args.positional)?;
                let dtype = self.real();
                self.check_size(&shape, dtype)?;
                let key = self.key_of(args)?;
                let keys = self.op(Op::Split { n: 2 }, &[key])?;
                let (first, second) = (self.take(&keys, 0, 0)?, self.take(&keys, 0, 1)?);
                let size = self.op(Op::Uniform { shape: shape.clone(), dtype }, &[first])?;
                let size = self.exponential_of(&size)?;
                let side = self.op(Op::Uniform { shape, dtype }, &[second])?;
                let half = self.real_const(0.5);
                let below = self.elementwise(Op::Lt, &side, &half, "`laplace`")?;
                let minus = self.neg(&size)?;
                self.op(Op::Select, &[below, minus, size])
            }
            other => panic!("internal error: {other:?} is not a draw"),
        }
    }

    fn exponential_of(&mut self, uniform: &Value) -> Res<Value> {
        let minus = self.neg(uniform)?;
        let log = self.op(Op::Log1p, &[minus])?;
        // 0 - 0 is +0 where the negation of 0 is not.
        let zero = self.real_const(0.0);
        self.binary(BinaryOp::Sub, &zero, &log)
    }
}
