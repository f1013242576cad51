//! Linear systems that are solved by a method of the user: `solve_by(method, A, b)`.
//!
//! The method is traced twice, for A and for its adjoint, which is made from A by differentiation. What comes out is one
//! call that differentiation treats by the equation `A x = b`, so the method's own passes are never differentiated.

use super::builtins::Args;
use super::call::Arg;
use super::value::{Func, Value};
use super::{Body, Ctx, Res, fail};
use crate::ad::{batch, linearize};
use crate::diagnostic::Diagnostic;
use crate::ir::graph::{CallRule, Graph, Op, Type, Var};
use std::rc::Rc;

impl Body {
    /// The Graph with the captures of `union`, of these types, as its leading parameters.
    pub(super) fn aligned(self, union: &[Var], types: &[Type]) -> Graph {
        let Body { mut graph, captures } = self;
        let place = |outer: &Var| captures.iter().position(|c| c == outer);
        let mut params: Vec<Var> = Vec::with_capacity(union.len());
        for (outer, ty) in union.iter().zip(types) {
            params.push(match place(outer) {
                Some(i) => graph.params[i],
                None => graph.fresh(ty.clone()),
            });
        }
        params.extend(&graph.params[captures.len()..]);
        graph.params = params;
        graph
    }
}

/// All captures, each once.
pub(super) fn union<'a>(bodies: impl IntoIterator<Item = &'a Body>) -> Vec<Var> {
    let mut all: Vec<Var> = Vec::new();
    for body in bodies {
        for var in &body.captures {
            if !all.contains(var) {
                all.push(*var);
            }
        }
    }
    all
}

impl Ctx<'_> {
    /// `solve_by(method, A, b)`: the x with A(x) = b that `method(A, b)` finds.
    pub(super) fn solve_by(&mut self, args: &Args) -> Res<Value> {
        let [method, operator, b] = args.exactly(self)?;
        let (method, operator) = (self.function(method)?, self.function(operator)?);
        let b = self.to_real(&b)?;
        let ty = self.ty(&b)?;
        if ty.rank() != 1 {
            return args.wrong(self, &format!("the right side is a vector, found {}", self.show(&b)));
        }
        let adjoint = adjoint_of(&operator, &ty);
        let image =
            self.of_vector(&ty, "the operator", &|ctx, v| ctx.call_plain(&operator, std::slice::from_ref(v)))?;
        self.check_operator(&image)?;
        let back = self.of_vector(&ty, "the adjoint", &|ctx, v| ctx.call_plain(&adjoint, std::slice::from_ref(v)))?;
        let solved = |ctx: &mut Self, operator: &Value, what: &str| {
            ctx.of_vector(&ty, what, &|ctx, v| ctx.call_plain(&method, &[operator.clone(), v.clone()]))
        };
        let body = solved(self, &operator, "the method")?;
        let turned = solved(self, &adjoint, "the method, for the adjoint")?;
        let union = union([&body, &image, &back, &turned]);
        let level = self.level();
        let types: Vec<Type> = union.iter().map(|v| self.frames[level].builder.ty(*v).clone()).collect();
        let [body, operator, adjoint, turned] =
            [body, image, back, turned].map(|body| Rc::new(body.aligned(&union, &types)));
        let mut operands = union;
        operands.push(self.var(&b)?);
        let op = Op::Call { body, rule: CallRule::Solve { operator, adjoint, turned } };
        Ok(self.emit_vars(op, &operands)?.swap_remove(0))
    }

    /// A function of a vector, traced; it has to give a vector of the same type.
    fn of_vector(&mut self, ty: &Type, what: &str, call: &dyn Fn(&mut Self, &Value) -> Res<Value>) -> Res<Body> {
        let span = self.span;
        let (body, ()) = self.body(std::slice::from_ref(ty), |ctx, vars| {
            ctx.span = span;
            let value = call(ctx, &vars[0])?;
            ctx.span = span;
            let fits = matches!(value, Value::Var { .. } | Value::Tensor(_)) && ctx.ty(&value)?.shape == ty.shape;
            if !fits {
                let n = ty.shape[0];
                let given = ctx.show(&value);
                return fail(
                    "E0513",
                    span,
                    format!("{what} takes a vector of {n} and has to give one; it gives {given}"),
                );
            }
            let value = ctx.to_real(&value)?;
            Ok((vec![ctx.var(&value)?], ()))
        })?;
        self.span = span;
        Ok(body)
    }

    /// An operator whose derivative depends on where it is taken is not linear.
    fn check_operator(&self, image: &Body) -> Res<()> {
        let mut active = vec![false; image.captures.len()];
        active.push(true);
        let graph = crate::opt::tidy(&image.graph);
        let lin = linearize::linearize(&graph, &active).map_err(|reason| {
            Box::new(Diagnostic::error("E0325", self.span, format!("no derivative here: {}", reason.reason)))
        })?;
        if batch::results_vary(&lin.primal, &active)[1..].contains(&true) {
            return Err(Box::new(
                Diagnostic::error("E0512", self.span, "the operator of this system is not linear in its argument")
                    .note("its derivative depends on the place at which it is taken")
                    .help("the x where f(x) = 0 of a function that is not linear is found by a solver"),
            ));
        }
        Ok(())
    }
}

/// The transposed operator, as a function: the pullback of the operator.
fn adjoint_of(operator: &Value, ty: &Type) -> Value {
    let (operator, shape) = (operator.clone(), ty.shape.clone());
    Value::func(Func::native(Rc::new(move |ctx, args| {
        let span = ctx.span;
        let zero = ctx.real_const(0.0);
        let zero = ctx.broadcast_to(&zero, &shape)?;
        let pullback = ctx.call_vjp(&operator, vec![Arg::plain(zero, span)])?;
        ctx.call_plain(&pullback, args)
    })))
}
