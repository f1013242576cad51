//! The derivative of a solver at its fixed point, by the implicit function theorem.

use super::loops::Pass;
use super::reduce::map_lanes;
use super::solver::Running;
use super::system::union;
use super::value::Value;
use super::{Ctx, Res, fail, loops};
use crate::ad::{batch, flow, linearize};
use crate::diagnostic::Diagnostic;
use crate::ir::graph::{CallRule, Graph, Guard, Op, Type, Var};
use crate::syntax::ast::BinaryOp;
use dp_runtime::tensor::DType;
use std::rc::Rc;

/// The largest state, in numbers, whose fixed point is differentiated by a dense solve.
const IMPLICIT_STATE: usize = 4096;

impl Running<'_> {
    /// Runs to the fixed point; the derivative comes from the implicit function theorem: with `s = step(s, a)`,
    /// `(I - d step/ds) ds = (d step/da) da`, one dense solve, or none where the step reads no state. States that only feed on themselves are held.
    pub(super) fn implicit<'s>(&self, ctx: &mut Ctx<'s>) -> Res<Value> {
        let span = ctx.span;
        let state_types: Vec<Type> = self.states.iter().map(|s| ctx.ty(&s.start)).collect::<Res<_>>()?;
        let (primal, ()) = ctx.body(&[], |ctx, _| {
            let (states, converged) = self.run_to_rule(ctx)?;
            let solver: Rc<str> = (&*self.decl.name.text).into();
            let states = self.guard(ctx, Guard::NotAtFixedPoint { solver }, &converged, &states)?;
            Ok((loops::vars_of(ctx, &states)?, ()))
        })?;
        let types = primal.graph.result_types();
        if types != state_types && types.len() != state_types.len() {
            return fail("E0319", span, "the states of this solver do not settle on types; declare them");
        }
        let mut explicit = types.clone();
        explicit.push(Type::scalar(DType::I64));
        let (step, ()) = ctx.body(&explicit, |ctx, vars| {
            ctx.span = span;
            let n = types.len();
            let (_, next) = self.pass(ctx, &Pass { states: &vars[..n], counter: vars[n].clone(), rows: &[] })?;
            let mut out = Vec::new();
            for (value, ty) in next.iter().zip(&types) {
                let value = if ty.dtype.is_float() { ctx.to_real(value)? } else { value.clone() };
                let value = ctx.broadcast_to(&value, &ty.shape)?;
                out.push(ctx.var(&value)?);
            }
            Ok((out, ()))
        })?;
        ctx.span = span;
        // What each next state reads decides which states take part.
        let captures = step.captures.len();
        let taking: Vec<bool> = (0..types.len())
            .map(|i| types[i].dtype.is_float() && !is_schedule(&step.graph, captures, i, types.len()))
            .collect();
        let total: usize = types.iter().zip(&taking).filter(|(_, t)| **t).map(|(ty, _)| ty.len()).sum();
        // A step that solves the whole problem at once reads no state: there is no system to solve.
        let step_graph = crate::opt::tidy(&step.graph);
        let of_states: Vec<bool> = [vec![false; captures], taking.clone(), vec![false]].concat();
        let coupled =
            flow::results_depend(&step_graph, &of_states).iter().zip(&taking).any(|(&reads, &on)| reads && on);
        if coupled && total > IMPLICIT_STATE {
            return fail(
                "E0604",
                span,
                format!(
                    "the state has {total} numbers; the implicit derivative solves a dense system of at most {IMPLICIT_STATE}"
                ),
            );
        }
        let union = union([&primal, &step]);
        let level = ctx.level();
        let outer_types: Vec<Type> = union.iter().map(|v| ctx.frames[level].builder.ty(*v).clone()).collect();
        let tangent_types: Vec<Type> = outer_types.iter().filter(|t| t.dtype.is_float()).cloned().collect();
        let mut params = outer_types.clone();
        params.extend(types.iter().cloned());
        params.extend(tangent_types.iter().cloned());

        let active_capture: Vec<bool> =
            step.captures.iter().map(|v| ctx.frames[level].builder.ty(*v).dtype.is_float()).collect();
        let mut active = active_capture.clone();
        active.extend(&taking);
        active.push(false);
        let lin = linearize::linearize(&step_graph, &active).map_err(|reason| {
            Box::new(Diagnostic::error("E0325", span, format!("no derivative here: {}", reason.reason)))
        })?;
        let (tangent, ()) = ctx.body(&params, |ctx, vars| {
            ctx.span = span;
            let (outer, rest) = vars.split_at(union.len());
            let (results, tangents) = rest.split_at(types.len());
            let find = |v: &Var| union.iter().position(|u| u == v).expect("a capture of the union");
            let mut args = Vec::new();
            for v in &step.captures {
                args.push(ctx.var(&outer[find(v)])?);
            }
            for value in results {
                args.push(ctx.var(value)?);
            }
            args.push(ctx.var(&Value::Int(0))?);
            let outs = ctx.inline(&lin.primal, &args);
            let residuals = &outs[types.len()..];
            let tangent_of = |v: &Var| {
                let at = find(v);
                let index = outer_types[..at].iter().filter(|t| t.dtype.is_float()).count();
                tangents[index].clone()
            };
            let zero = ctx.real_const(0.0);
            if total == 0 {
                // No state depends on anything that has a tangent.
                let mut out = Vec::new();
                for ty in types.iter().filter(|ty| ty.dtype.is_float()) {
                    let value = ctx.broadcast_to(&zero, &ty.shape)?;
                    out.push(ctx.var(&value)?);
                }
                return Ok((out, ()));
            }
            // The right side: the step's derivative along the captures.
            let mut args = loops::vars_of(ctx, residuals)?;
            for (v, &on) in step.captures.iter().zip(&active_capture) {
                if on {
                    args.push(ctx.var(&tangent_of(v))?);
                }
            }
            for (ty, _) in types.iter().zip(&taking).filter(|(_, t)| **t) {
                let value = ctx.broadcast_to(&zero, &ty.shape)?;
                args.push(ctx.var(&value)?);
            }
            let sides = ctx.inline(&lin.tangent, &args);
            let right = ctx.pack(&sides, &types, &taking, None)?;
            let right = ctx.reshape(&right, &[total, 1])?;
            let solution = if coupled {
                // The matrix: the step's derivative along each unit state, all at once.
                let mut args = loops::vars_of(ctx, residuals)?;
                let mut lanes = vec![batch::Lane::Same; residuals.len()];
                for (v, &on) in step.captures.iter().zip(&active_capture) {
                    if on {
                        let shape = ctx.shape(&tangent_of(v))?;
                        let value = ctx.broadcast_to(&zero, &shape)?;
                        args.push(ctx.var(&value)?);
                        lanes.push(batch::Lane::Same);
                    }
                }
                let identity = ctx.identity(total)?;
                let mut offset = 0;
                for (ty, _) in types.iter().zip(&taking).filter(|(_, t)| **t) {
                    let columns =
                        Op::Slice { start: vec![0, offset], stop: vec![total, offset + ty.len()], stride: vec![1, 1] };
                    let part = ctx.op(columns, std::slice::from_ref(&identity))?;
                    let mut shape = vec![total];
                    shape.extend(&ty.shape);
                    let part = ctx.reshape(&part, &shape)?;
                    args.push(ctx.var(&part)?);
                    lanes.push(batch::Lane::Mapped);
                    offset += ty.len();
                }
                let batched = map_lanes(&lin.tangent, &lanes, total);
                let columns = ctx.inline(&batched, &args);
                let matrix = ctx.pack(&columns, &types, &taking, Some(total))?;
                let matrix = ctx.transpose(&matrix)?;
                let system = ctx.binary(BinaryOp::Sub, &identity, &matrix)?;
                ctx.op(Op::Solve, &[system, right])?
            } else {
                right
            };
            let mut out = Vec::new();
            let mut offset = 0;
            for (ty, &on) in types.iter().zip(&taking) {
                if !ty.dtype.is_float() {
                    continue;
                }
                let value = if on {
                    let rows = ctx.slice_leading(&solution, offset, offset + ty.len())?;
                    offset += ty.len();
                    ctx.reshape(&rows, &ty.shape)?
                } else {
                    ctx.broadcast_to(&zero, &ty.shape)?
                };
                out.push(ctx.var(&value)?);
            }
            Ok((out, ()))
        })?;
        ctx.span = span;
        if !tangent.captures.is_empty() {
            return fail("E0325", span, "internal error: the implicit derivative captures what it should not");
        }
        let graph = primal.aligned(&union, &outer_types);
        let op = Op::Call { body: Rc::new(graph), rule: CallRule::Tangent(Rc::new(tangent.graph)) };
        let states = ctx.emit_vars(op, &union)?;
        self.result(ctx, &states)
    }
}

impl<'s> Ctx<'s> {
    /// The float results that take part, flattened and joined: a vector, or a matrix with one row for each of `rows` lanes.
    fn pack(&mut self, tangents: &[Value], types: &[Type], taking: &[bool], rows: Option<usize>) -> Res<Value> {
        let mut parts = Vec::new();
        let mut next = tangents.iter();
        for (ty, &on) in types.iter().zip(taking) {
            if !ty.dtype.is_float() {
                continue;
            }
            let tangent = next.next().expect("one tangent a real state");
            if on {
                let shape: Vec<usize> = rows.into_iter().chain([ty.len()]).collect();
                parts.push(self.reshape(tangent, &shape)?);
            }
        }
        let axis = usize::from(rows.is_some());
        if parts.len() == 1 {
            return Ok(parts.swap_remove(0));
        }
        self.op(Op::Concat { axis }, &parts)
    }
}

/// Whether the next value of state `i` reads only itself and the counter.
fn is_schedule(graph: &Graph, captures: usize, i: usize, states: usize) -> bool {
    let mut reads: Vec<bool> = vec![false; graph.types.len()];
    for (at, param) in graph.params.iter().enumerate() {
        let own = at == captures + i || at == captures + states;
        reads[param.0 as usize] = !own;
    }
    for eqn in &graph.eqns {
        let any = eqn.args.iter().any(|a| reads[a.0 as usize]);
        for out in &eqn.outs {
            reads[out.0 as usize] = any;
        }
    }
    let next = graph.results[i];
    !reads[next.0 as usize] && next != graph.params[captures + i]
}
