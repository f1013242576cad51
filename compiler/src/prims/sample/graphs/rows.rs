//! Steps of random Graphs that use any row of the table, as its own samples do.

use super::Maker;
use crate::ir::graph::{Op, Type, Var};
use crate::prims;
use dp_runtime::tensor::{DType, Tensor};

/// How far operands are moved from the samples, relative to their elements.
const MOVE: f64 = 0.02;

impl Maker<'_> {
    /// A random use of a random row. Its float operands are the sample's, each element moved a little by what the Graph
    /// has computed so far, so that derivatives flow and the use stays legal.
    pub(super) fn any_row(&mut self) {
        let row = *self.rng.pick(prims::rows());
        // A sample may be of the other kind of float, or not of moderate size.
        for _ in 0..20 {
            let (op, args) = (row.sample)(self.rng);
            let Some(outs) = self.tried(&op, &args) else { continue };
            let movable = (0..3).all(|_| {
                let moved: Vec<Tensor> = args.iter().map(|arg| self.shaken(arg)).collect();
                self.tried(&op, &moved).is_some()
            });
            let operands: Vec<Var> = args.iter().map(|arg| self.operand(arg, movable)).collect();
            let large = outs.iter().any(|out| out.dtype().is_float() && size(out) > 4.0);
            for out in self.b.emit(op, &operands) {
                let bounded = large && self.b.ty(out).dtype.is_float();
                let var = if bounded { self.b.op(Op::Tanh, &[out]) } else { out };
                self.pool.push(var);
            }
            return;
        }
    }

    /// The results of a use, if all its floats are of this Graph's kind, and its results finite and of moderate size.
    fn tried(&self, op: &Op, args: &[Tensor]) -> Option<Vec<Tensor>> {
        let outs = prims::eval(op, args).ok()?;
        let fits = |x: &Tensor| !x.dtype().is_float() || x.dtype() == self.float;
        let moderate = |x: &Tensor| !x.dtype().is_float() || size(x) < 1e4;
        (args.iter().chain(&outs).all(fits) && outs.iter().all(moderate)).then_some(outs)
    }

    /// The tensor with its floats moved at random, as far as `operand` may move them.
    fn shaken(&mut self, x: &Tensor) -> Tensor {
        if !x.dtype().is_float() {
            return x.clone();
        }
        let moved = x.to_f64_vec().into_iter().map(|v| v + v * self.rng.real(-MOVE, MOVE)).collect();
        Tensor::from_vec::<f64>(x.shape(), moved).convert(x.dtype())
    }

    /// A variable near a sample's operand: `x + 0.02 x sin(v)`, where v is what the Graph has computed.
    fn operand(&mut self, x: &Tensor, movable: bool) -> Var {
        let constant = self.b.constant(x.clone());
        if !x.dtype().is_float() || !movable || x.is_empty() {
            return constant;
        }
        let ty = Type::of(x);
        let v = self.float();
        let v = self.shaped(v, &ty);
        let sine = self.b.op(Op::Sin, &[v]);
        let rate = self.b.fill(&ty, MOVE);
        let part = self.b.mul(sine, rate);
        let moved = self.b.mul(constant, part);
        self.b.add(constant, moved)
    }

    /// The first elements of `v`, or their sum everywhere if there are too few.
    fn shaped(&mut self, v: Var, ty: &Type) -> Var {
        let n = self.b.ty(v).len();
        let flat = self.b.reshape(v, &[n]);
        if n < ty.len() {
            let sum = self.b.sum(flat, &[0]);
            return self.b.broadcast(sum, &ty.shape, &[]);
        }
        let part = self.b.op(Op::Slice { start: vec![0], stop: vec![ty.len()], stride: vec![1] }, &[flat]);
        self.b.reshape(part, &ty.shape)
    }
}

/// The largest magnitude; infinite if an element is not finite.
fn size(x: &Tensor) -> f64 {
    let worst = |m: f64, v: f64| if v.is_finite() { m.max(v.abs()) } else { f64::INFINITY };
    if x.dtype() == DType::Bool { 1.0 } else { x.to_f64_vec().into_iter().fold(0.0, worst) }
}
