//! Loops: named states, assigned in order, become the carries of one `Scan`.

use super::binding::Fit;
use super::expr::previous_name;
use super::value::{Scope, Value, static_int};
use super::{Ctx, Res, fail};
use crate::diagnostic::Diagnostic;
use crate::ir::graph::{CallRule, Op, Scan, Trips, Type, Var};
use crate::source::Span;
use crate::syntax::ast::{self, BinaryOp, Index, LoopKind, PathPart, StmtKind, Symbol};
use dp_runtime::tensor::DType;
use std::rc::Rc;

/// What one pass sees.
pub(crate) struct Pass<'a> {
    pub states: &'a [Value],
    pub counter: Value,
    pub rows: &'a [Value],
}

/// What one pass gives.
pub(crate) struct PassResult {
    pub states: Vec<Value>,
    /// Rows of stacked outputs.
    pub rows: Vec<Value>,
    /// Stop after this pass.
    pub stop: Option<Value>,
}

/// What a loop gives.
pub(crate) struct Iterated {
    pub states: Vec<Value>,
    pub stacked: Vec<Value>,
}

/// A state: its name, where it was declared, and its starting value.
#[derive(Clone)]
pub(crate) struct State {
    pub name: Symbol,
    pub span: Span,
    pub start: Value,
    /// Declared types are final; others may widen from int to real.
    pub declared: bool,
}

impl<'s> Ctx<'s> {
    /// Runs `pass` `cap` times, or until its stop flag is set.
    pub(crate) fn iterate(
        &mut self,
        states: &[State],
        inputs: &[Value],
        cap: usize,
        until: bool,
        pass: &dyn Fn(&mut Ctx<'s>, Pass) -> Res<PassResult>,
    ) -> Res<Iterated> {
        let span = self.span;
        let mut starts: Vec<Value> = states.iter().map(|s| s.start.clone()).collect();
        for _ in 0..3 {
            let mut types = starts.iter().map(|v| self.ty(v)).collect::<Res<Vec<Type>>>()?;
            types.push(Type::scalar(DType::I64));
            for input in inputs {
                let ty = self.ty(input)?;
                types.push(Type::new(ty.dtype, &ty.shape[1..]));
            }
            let n = states.len();
            let (body, widen) = self.body(&types, |ctx, vars| {
                ctx.span = span;
                let result = pass(ctx, Pass { states: &vars[..n], counter: vars[n].clone(), rows: &vars[n + 1..] })?;
                let mut widen = Vec::new();
                let mut out = Vec::new();
                for (i, (state, next)) in states.iter().zip(&result.states).enumerate() {
                    let (carry, ty) = (&types[i], ctx.ty(next)?);
                    let mut next = next.clone();
                    if ty.dtype != carry.dtype {
                        if carry.dtype.is_float() && ty.dtype == DType::I64 {
                            next = ctx.to_real(&next)?;
                        } else if ty.dtype.is_float() && carry.dtype == DType::I64 && !state.declared {
                            widen.push(i);
                        } else {
                            return Err(Box::new(state_mismatch(state, carry, &ty)));
                        }
                    }
                    if ty.shape != carry.shape {
                        if ty.rank() < carry.rank() && carry.shape.ends_with(&ty.shape) {
                            next = ctx.broadcast_to(&next, &carry.shape)?;
                        } else {
                            return Err(Box::new(state_mismatch(state, carry, &ty)));
                        }
                    }
                    out.push(ctx.var(&next)?);
                }
                for row in &result.rows {
                    out.push(ctx.var(row)?);
                }
                if until {
                    let stop = result.stop.expect("internal error: a loop with a rule has a stop flag");
                    out.push(ctx.var(&stop)?);
                }
                Ok((out, widen))
            })?;
            self.span = span;
            if !widen.is_empty() {
                for i in widen {
                    starts[i] = self.to_real(&starts[i])?;
                }
                continue;
            }
            let stacked = n..body.graph.results.len() - usize::from(until);
            for result in &body.graph.results[stacked] {
                let ty = body.graph.ty(*result);
                let mut shape = vec![cap];
                shape.extend(&ty.shape);
                self.check_size(&shape, ty.dtype)?;
            }
            let scan = Scan {
                consts: body.captures.len(),
                carries: n,
                cap,
                trips: if until { Trips::Until } else { Trips::All },
                reverse: false,
                body: Rc::new(body.graph),
            };
            let mut args = body.captures.clone();
            for value in starts.iter().chain(inputs) {
                args.push(self.var(value)?);
            }
            let mut outs = self.emit_vars(Op::Scan(scan), &args)?;
            if until {
                outs.pop();
            }
            let stacked = outs.split_off(n);
            return Ok(Iterated { states: outs, stacked });
        }
        fail("E0319", span, "the states of this loop do not settle on types; declare them")
    }

    /// `iterate` for a fixed count that keeps about `keep` states: chunks whose passes are run again in the reverse pass.
    pub(crate) fn iterate_checkpointed(
        &mut self,
        states: &[State],
        inputs: &[Value],
        count: usize,
        keep: Option<usize>,
        pass: &dyn Fn(&mut Ctx<'s>, Pass) -> Res<PassResult>,
    ) -> Res<Iterated> {
        let root = (1..=count).find(|k| k * k >= count).unwrap_or(1);
        let keep = keep.unwrap_or(root).clamp(1, count.max(1));
        let length = count.div_ceil(keep).max(1);
        let chunks = count / length;
        let states = self.settle(states, inputs, pass)?;
        let mut pieces = Vec::new();
        for input in inputs {
            let ty = self.ty(input)?;
            let part = self.slice_leading(input, 0, chunks * length)?;
            let mut shape = vec![chunks, length];
            shape.extend(&ty.shape[1..]);
            pieces.push(self.reshape(&part, &shape)?);
        }
        let span = self.span;
        let chunk = |ctx: &mut Ctx<'s>, outer: Pass| -> Res<PassResult> {
            let mut types = Vec::new();
            let mut vars = Vec::new();
            for value in outer.states.iter().chain([&outer.counter]).chain(outer.rows) {
                types.push(ctx.ty(value)?);
                vars.push(ctx.var(value)?);
            }
            let n = states.len();
            let (body, stacked) = ctx.body(&types, |ctx, values| {
                ctx.span = span;
                let inner_states: Vec<State> =
                    states.iter().zip(values).map(|(s, v)| State { start: v.clone(), ..s.clone() }).collect();
                let base = ctx.binary(BinaryOp::Mul, &values[n], &Value::Int(length as i64))?;
                let run = ctx.iterate(&inner_states, &values[n + 1..], length, false, &|ctx, inner| {
                    let counter = ctx.binary(BinaryOp::Add, &base, &inner.counter)?;
                    pass(ctx, Pass { states: inner.states, counter, rows: inner.rows })
                })?;
                let mut out = Vec::new();
                for value in run.states.iter().chain(&run.stacked) {
                    out.push(ctx.var(value)?);
                }
                Ok((out, run.stacked.len()))
            })?;
            let mut args = body.captures.clone();
            args.extend(vars);
            let mut outs = ctx.emit_vars(Op::Call { body: Rc::new(body.graph), rule: CallRule::Recompute }, &args)?;
            let rows = outs.split_off(outs.len() - stacked);
            Ok(PassResult { states: outs, rows, stop: None })
        };
        let whole = self.iterate(&states, &pieces, chunks, false, &chunk)?;
        let mut stacked = Vec::new();
        for value in &whole.stacked {
            let mut shape = self.shape(value)?;
            shape.splice(0..2, [chunks * length]);
            stacked.push(self.reshape(value, &shape)?);
        }
        let done = chunks * length;
        if done == count {
            return Ok(Iterated { states: whole.states, stacked });
        }
        let rest_states: Vec<State> =
            states.iter().zip(&whole.states).map(|(s, v)| State { start: v.clone(), ..s.clone() }).collect();
        let rest_inputs = inputs.iter().map(|v| self.slice_leading(v, done, count)).collect::<Res<Vec<_>>>()?;
        let rest = self.iterate(&rest_states, &rest_inputs, count - done, false, &|ctx, inner| {
            let counter = ctx.binary(BinaryOp::Add, &inner.counter, &Value::Int(done as i64))?;
            pass(ctx, Pass { states: inner.states, counter, rows: inner.rows })
        })?;
        let mut joined = Vec::new();
        for (a, b) in stacked.iter().zip(&rest.stacked) {
            joined.push(self.op(Op::Concat { axis: 0 }, &[a.clone(), b.clone()])?);
        }
        Ok(Iterated { states: rest.states, stacked: joined })
    }

    /// States widened as one pass asks for, found by a trial loop whose result is dropped.
    fn settle(
        &mut self,
        states: &[State],
        inputs: &[Value],
        pass: &dyn Fn(&mut Ctx<'s>, Pass) -> Res<PassResult>,
    ) -> Res<Vec<State>> {
        let first = inputs.iter().map(|v| self.slice_leading(v, 0, 1)).collect::<Res<Vec<_>>>()?;
        let trial = self.iterate(states, &first, 1, false, pass)?;
        let mut settled = Vec::new();
        for (state, last) in states.iter().zip(&trial.states) {
            let start = if self.ty(last)?.dtype.is_float() { self.to_real(&state.start)? } else { state.start.clone() };
            settled.push(State { start, ..state.clone() });
        }
        Ok(settled)
    }

    /// Rows `from..to` of the leading axis.
    pub(crate) fn slice_leading(&mut self, value: &Value, from: usize, to: usize) -> Res<Value> {
        let shape = self.shape(value)?;
        if from == 0 && to == shape[0] {
            return Ok(value.clone());
        }
        let (mut start, mut stop) = (vec![0; shape.len()], shape.clone());
        (start[0], stop[0]) = (from, to);
        self.op(Op::Slice { start, stop, stride: vec![1; shape.len()] }, std::slice::from_ref(value))
    }

    /// Starting values of declared states, broadcast to their types, bound in `scope`.
    pub(crate) fn start_states(&mut self, scope: &Scope, inits: &[ast::Init]) -> Res<Vec<State>> {
        let mut states = Vec::new();
        for init in inits {
            let value = self.expr(scope, &init.value)?;
            self.span = init.value.span;
            let start = match &init.binder.ty {
                Some(ty) => self.bind_type(
                    scope,
                    false,
                    ty,
                    &value,
                    Fit::Broadcast,
                    &format!("state `{}`", init.binder.name.text),
                )?,
                None => value,
            };
            if !matches!(start, Value::Blank) {
                self.ty(&start)?;
            }
            scope.bind(&init.binder.name.text, start.clone());
            states.push(State {
                name: init.binder.name.text.clone(),
                span: init.binder.name.span,
                start,
                declared: init.binder.ty.is_some(),
            });
        }
        Ok(states)
    }

    /// A scope for one pass: states, their previous values, the counter.
    pub(crate) fn pass_scope(
        &self,
        outer: &Scope,
        states: &[State],
        pass: &Pass,
        counter: Option<&ast::Name>,
    ) -> Scope {
        let scope = outer.inner();
        for (state, value) in states.iter().zip(pass.states) {
            scope.bind(&state.name, value.clone());
            scope.bind(&previous_name(&state.name), value.clone());
        }
        if let Some(counter) = counter {
            scope.bind(&counter.text, pass.counter.clone());
        }
        scope
    }

    /// Lets and assignments in order; names in `overrides` take their value instead of the let's own.
    pub(crate) fn steps(
        &mut self,
        scope: &Scope,
        stmts: &[ast::Stmt],
        states: &[Symbol],
        overrides: &[(Symbol, Value)],
    ) -> Res<()> {
        for stmt in stmts {
            match &stmt.kind {
                StmtKind::Let(l) => self.bind_let_overridden(scope, l, overrides)?,
                StmtKind::Assign { place, value } => self.assign(scope, place, value, states)?,
                StmtKind::Param(_) => {
                    return fail("E0316", stmt.span, "`param` stands only at the top of a network's block");
                }
            }
        }
        Ok(())
    }

    pub(crate) fn bind_let_overridden(
        &mut self,
        scope: &Scope,
        l: &ast::Let,
        overrides: &[(Symbol, Value)],
    ) -> Res<()> {
        let ast::LetKind::Inits(inits) = &l.kind else { return self.bind_let(scope, l) };
        for init in inits {
            let lifted = overrides.iter().find(|(name, _)| *name == init.binder.name.text);
            let value = match lifted {
                Some((_, value)) => value.clone(),
                None => self.expr(scope, &init.value)?,
            };
            self.span = init.value.span;
            let value = self.bind_value(scope, &init.binder, value)?;
            scope.bind(&init.binder.name.text, value);
        }
        Ok(())
    }

    fn assign(&mut self, scope: &Scope, place: &ast::Path, value: &ast::Expr, states: &[Symbol]) -> Res<()> {
        let name = &place.root.text;
        if !states.contains(name) {
            let names: Vec<String> = states.iter().map(|s| format!("`{s}`")).collect();
            return Err(Box::new(
                Diagnostic::error("E0317", place.span, format!("`{name}` is not a state here"))
                    .note(format!("the states are {}", names.join(", "))),
            ));
        }
        let new = self.expr(scope, value)?;
        self.span = value.span;
        let new = match &place.parts[..] {
            [] => new,
            [PathPart::Index(indices)] => {
                let old = scope.find(name).expect("states are bound");
                self.update_at(scope, &old, indices, &new, place.span)?
            }
            _ => return fail("E0317", place.span, "a state is assigned whole or at indices: `y <- e`, `y[i] <- e`"),
        };
        scope.bind(name, new);
        Ok(())
    }

    fn update_at(&mut self, scope: &Scope, old: &Value, indices: &[Index], new: &Value, span: Span) -> Res<Value> {
        let ty = self.ty(old)?;
        let mut args = vec![old.clone()];
        let mut at = Vec::new();
        for (axis, index) in indices.iter().enumerate() {
            let Index::At(e) = index else {
                return fail("E0407", span, "only single elements and rows can be assigned: `y[i] <- e`");
            };
            let value = self.expr(scope, e)?;
            if let Value::Int(i) = value
                && (i < 0 || ty.shape.get(axis).is_some_and(|&n| i >= n as i64))
            {
                return fail(
                    "E0502",
                    e.span,
                    format!("index {i} is out of range for axis {axis} of size {}", ty.shape[axis]),
                );
            }
            at.push(value);
        }
        if at.len() > ty.rank() {
            return fail("E0407", span, format!("{} indices for an array with {} dimensions", at.len(), ty.rank()));
        }
        let part = if ty.dtype.is_float() { self.to_real(new)? } else { new.clone() };
        let part = self.broadcast_to(&part, &ty.shape[at.len()..])?;
        args.push(part);
        args.extend(at);
        self.op(Op::Update, &args)
    }

    pub(crate) fn loop_expr(&mut self, scope: &Scope, l: &ast::Loop) -> Res<Value> {
        let span = self.span;
        let inner = scope.inner();
        let states = self.start_states(&inner, &l.inits)?;
        let names: Vec<Symbol> = states.iter().map(|s| s.name.clone()).collect();
        let read = |scope: &Scope| -> Vec<Value> {
            names.iter().map(|name| scope.find(name).expect("states are bound")).collect()
        };
        self.span = span;
        let run = match &l.kind {
            LoopKind::For { var, range } => {
                let (start, count) = self.static_range(scope, range)?;
                self.span = span;
                let pass = |ctx: &mut Ctx<'s>, pass: Pass| -> Res<PassResult> {
                    let scope = ctx.pass_scope(&inner, &states, &pass, None);
                    if let Some(var) = var {
                        let counter = if start == 0 {
                            pass.counter.clone()
                        } else {
                            ctx.binary(BinaryOp::Add, &pass.counter, &Value::Int(start))?
                        };
                        scope.bind(&var.text, counter);
                    }
                    ctx.steps(&scope, &l.body, &names, &[])?;
                    Ok(PassResult { states: read(&scope), rows: Vec::new(), stop: None })
                };
                match &l.checkpoint {
                    Some(checkpoint) => {
                        let keep = checkpoint.keep.map(|k| k.max(1) as usize);
                        self.iterate_checkpointed(&states, &[], count, keep, &pass)?
                    }
                    None => self.iterate(&states, &[], count, false, &pass)?,
                }
            }
            LoopKind::Until { cond, within } => {
                let value = self.expr(scope, within)?;
                let cap = static_int(&value, within.span, "the cap after `within`")?;
                let cap = self.count(cap, within.span)?;
                self.span = span;
                self.iterate(&states, &[], cap, true, &|ctx, pass| {
                    let scope = ctx.pass_scope(&inner, &states, &pass, None);
                    ctx.steps(&scope, &l.body, &names, &[])?;
                    let stop = ctx.condition(&scope, cond)?;
                    Ok(PassResult { states: read(&scope), rows: Vec::new(), stop: Some(stop) })
                })?
            }
        };
        if run.states.len() == 1 {
            return Ok(run.states.into_iter().next().expect("one state"));
        }
        Ok(Value::Record(names.iter().cloned().zip(run.states).collect()))
    }

    /// A stop rule: one bool.
    pub(crate) fn condition(&mut self, scope: &Scope, cond: &ast::Expr) -> Res<Value> {
        let value = self.expr(scope, cond)?;
        let ty = self.ty(&value)?;
        if ty.dtype != DType::Bool || !ty.shape.is_empty() {
            return Err(Box::new(
                Diagnostic::error(
                    "E0310",
                    cond.span,
                    format!("a stop rule is one bool, found {}", super::ops::show_type(&ty)),
                )
                .help("`all(...)` or `any(...)` makes one bool of many"),
            ));
        }
        Ok(value)
    }

    /// A count of passes: static, not negative, within what a loop may run.
    pub(crate) fn count(&self, count: i64, span: Span) -> Res<usize> {
        match usize::try_from(count) {
            Ok(count) => Ok(count),
            Err(_) => fail("E0404", span, format!("this count is {count}; it must not be negative")),
        }
    }
}

fn state_mismatch(state: &State, carry: &Type, next: &Type) -> Diagnostic {
    let message = format!(
        "state `{}` starts as {} but is assigned {}",
        state.name,
        super::ops::show_type(carry),
        super::ops::show_type(next)
    );
    Diagnostic::error("E0411", state.span, message)
        .here("declared here")
        .help(format!("declare its type, `{}: real[...]`: the start is then stretched to it", state.name))
}

/// For callers that only need the variables.
pub(crate) fn vars_of(ctx: &mut Ctx, values: &[Value]) -> Res<Vec<Var>> {
    values.iter().map(|v| ctx.var(v)).collect()
}
