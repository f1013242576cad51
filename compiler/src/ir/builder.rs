//! Builds Graphs equation by equation. Used by lowering, by the rules of differentiation and batching, and by tests.

use super::graph::{Eqn, Graph, Op, Type, Var};
use crate::prims;
use crate::source::Span;
use dp_runtime::tensor::{DType, Tensor};

/// A Graph under construction. `span` is given to every equation that is emitted.
#[derive(Clone, Debug)]
pub struct Builder {
    pub graph: Graph,
    pub span: Span,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder { graph: Graph::default(), span: Span::NONE }
    }
}

impl Builder {
    pub fn param(&mut self, ty: Type) -> Var {
        self.graph.add_param(ty)
    }

    pub fn ty(&self, var: Var) -> &Type {
        self.graph.ty(var)
    }

    pub fn shape(&self, var: Var) -> &[usize] {
        self.graph.shape(var)
    }

    /// Appends `outs = op(args)` if the operand types fit.
    pub fn try_emit(&mut self, op: Op, args: &[Var]) -> Result<Vec<Var>, String> {
        let types: Vec<&Type> = args.iter().map(|&a| self.graph.ty(a)).collect();
        let results = prims::result(&op, &types)?;
        let outs: Vec<Var> = results.into_iter().map(|ty| self.graph.fresh(ty)).collect();
        self.graph.eqns.push(Eqn { op, args: args.to_vec(), outs: outs.clone(), span: self.span });
        Ok(outs)
    }

    /// Appends `outs = op(args)`.
    ///
    /// # Panics
    /// If the operand types do not fit: a bug of the caller.
    pub fn emit(&mut self, op: Op, args: &[Var]) -> Vec<Var> {
        let name = prims::name(&op);
        match self.try_emit(op, args) {
            Ok(outs) => outs,
            Err(reason) => panic!("internal error: building `{name}`: {reason}"),
        }
    }

    /// `emit` for operations with one result.
    pub fn op(&mut self, op: Op, args: &[Var]) -> Var {
        self.emit(op, args)[0]
    }

    pub fn constant(&mut self, value: Tensor) -> Var {
        self.op(Op::Const(value), &[])
    }

    /// A scalar constant.
    pub fn scalar(&mut self, dtype: DType, value: f64) -> Var {
        self.constant(Tensor::scalar_of(dtype, value))
    }

    /// A constant filled with one value: a scalar, broadcast.
    pub fn fill(&mut self, ty: &Type, value: f64) -> Var {
        let scalar = self.scalar(ty.dtype, value);
        self.broadcast(scalar, &ty.shape, &[])
    }

    pub fn zeros(&mut self, ty: &Type) -> Var {
        self.fill(ty, 0.0)
    }

    /// Broadcasts unless it would change nothing.
    pub fn broadcast(&mut self, x: Var, shape: &[usize], axes: &[usize]) -> Var {
        if self.shape(x) == shape {
            return x;
        }
        self.op(Op::Broadcast { shape: shape.to_vec(), axes: axes.to_vec() }, &[x])
    }

    /// Adds leading axes by broadcasting: the operand's shape is a suffix of `shape`.
    pub fn broadcast_leading(&mut self, x: Var, shape: &[usize]) -> Var {
        let rank = self.ty(x).rank();
        let axes: Vec<usize> = (shape.len() - rank..shape.len()).collect();
        self.broadcast(x, shape, &axes)
    }

    /// Reshapes unless it would change nothing.
    pub fn reshape(&mut self, x: Var, shape: &[usize]) -> Var {
        if self.shape(x) == shape {
            return x;
        }
        self.op(Op::Reshape { shape: shape.to_vec() }, &[x])
    }

    /// Permutes unless it would change nothing.
    pub fn permute(&mut self, x: Var, perm: &[usize]) -> Var {
        if perm.iter().enumerate().all(|(i, &p)| i == p) {
            return x;
        }
        self.op(Op::Permute { perm: perm.to_vec() }, &[x])
    }

    /// Swaps the last two axes.
    pub fn transpose_last(&mut self, x: Var) -> Var {
        let rank = self.ty(x).rank();
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(rank - 2, rank - 1);
        self.permute(x, &perm)
    }

    pub fn add(&mut self, a: Var, b: Var) -> Var {
        self.op(Op::Add, &[a, b])
    }

    pub fn sub(&mut self, a: Var, b: Var) -> Var {
        self.op(Op::Sub, &[a, b])
    }

    pub fn mul(&mut self, a: Var, b: Var) -> Var {
        self.op(Op::Mul, &[a, b])
    }

    pub fn div(&mut self, a: Var, b: Var) -> Var {
        self.op(Op::Div, &[a, b])
    }

    pub fn neg(&mut self, a: Var) -> Var {
        self.op(Op::Neg, &[a])
    }

    pub fn select(&mut self, mask: Var, yes: Var, no: Var) -> Var {
        self.op(Op::Select, &[mask, yes, no])
    }

    pub fn sum(&mut self, x: Var, axes: &[usize]) -> Var {
        if axes.is_empty() {
            return x;
        }
        self.op(Op::Sum { axes: axes.to_vec() }, &[x])
    }

    /// Converts unless it would change nothing.
    pub fn convert(&mut self, x: Var, to: DType) -> Var {
        if self.ty(x).dtype == to {
            return x;
        }
        self.op(Op::Convert(to), &[x])
    }

    /// Copies a Graph's equations here, its parameters standing for `args`; gives its results.
    ///
    /// # Panics
    /// If the arguments do not have the parameters' types: a bug of the caller.
    pub fn inline(&mut self, graph: &Graph, args: &[Var]) -> Vec<Var> {
        assert_eq!(graph.params.len(), args.len(), "internal error: inline with a wrong number of arguments");
        let mut map: Vec<Option<Var>> = vec![None; graph.types.len()];
        for (&param, &arg) in graph.params.iter().zip(args) {
            assert_eq!(graph.ty(param), self.ty(arg), "internal error: inline with an argument of a wrong type");
            map[param.0 as usize] = Some(arg);
        }
        let resolve =
            |map: &[Option<Var>], v: Var| map[v.0 as usize].expect("a Graph defines variables before their use");
        for eqn in &graph.eqns {
            let args = eqn.args.iter().map(|&v| resolve(&map, v)).collect();
            let outs: Vec<Var> = eqn
                .outs
                .iter()
                .map(|&v| {
                    let fresh = self.graph.fresh(graph.ty(v).clone());
                    map[v.0 as usize] = Some(fresh);
                    fresh
                })
                .collect();
            self.graph.eqns.push(Eqn { op: eqn.op.clone(), args, outs, span: eqn.span });
        }
        graph.results.iter().map(|&v| resolve(&map, v)).collect()
    }

    pub fn finish(mut self, results: Vec<Var>) -> Graph {
        self.graph.results = results;
        self.graph
    }
}
