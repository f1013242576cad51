//! Solvers: run to their rule, unrolled, truncated, checkpointed, traced, differentiated implicitly; one step of an optimizer.

use super::call::Arg;
use super::loops::{Iterated, Pass, PassResult, State};
use super::value::{Func, Lift, LiftPlace, Mode, PartialArg, Scope, Value, static_int};
use super::{Ctx, Res, fail};
use crate::diagnostic::Diagnostic;
use crate::ir::graph::{Guard, Op};
use crate::syntax::ast::{self, BinaryOp, Symbol};
use dp_runtime::tensor::DType;
use std::rc::Rc;

/// The cap of a solver whose rule has no `within`.
const DEFAULT_CAP: i64 = 10_000;

impl<'s> Ctx<'s> {
    pub(crate) fn unroll_mode(
        &mut self,
        scope: &Scope,
        count: &ast::Expr,
        backprop: Option<&ast::Expr>,
        checkpoint: Option<&ast::Checkpoint>,
    ) -> Res<Mode> {
        let value = self.expr(scope, count)?;
        let n = static_int(&value, count.span, "the number of passes")?;
        let count_value = self.count(n, count.span)?;
        let backprop = match backprop {
            Some(e) => {
                let value = self.expr(scope, e)?;
                let n = static_int(&value, e.span, "the number of passes after `backprop`")?;
                Some(self.count(n, e.span)?)
            }
            None => None,
        };
        let checkpoint = checkpoint.map(|c| c.keep.map(|k| k.max(1) as usize));
        Ok(Mode::Unroll { count: count_value, backprop, checkpoint })
    }

    pub(crate) fn trace_mode(
        &mut self,
        scope: &Scope,
        count: &ast::Expr,
        every: Option<&ast::Expr>,
        record: &[(ast::Name, ast::Expr)],
    ) -> Res<Mode> {
        let value = self.expr(scope, count)?;
        let n = static_int(&value, count.span, "the number of passes")?;
        let total = self.count(n, count.span)?;
        let step = match every {
            Some(e) => {
                let value = self.expr(scope, e)?;
                let n = static_int(&value, e.span, "the number after `every`")?;
                if n < 1 {
                    return fail("E0404", e.span, "`every` needs a number of at least 1");
                }
                n as usize
            }
            None => 1,
        };
        Ok(Mode::Trace { count: total, every: step, record: record.to_vec() })
    }

    pub(crate) fn run_solver(
        &mut self,
        decl: &Rc<ast::Solver>,
        scope: &Scope,
        values: Vec<Value>,
        mode: &Mode,
        caller: Option<&Scope>,
    ) -> Res<Value> {
        self.run_lifted(decl, scope, values, mode, caller, &[])
    }

    /// Runs a solver with some quantities replaced by parameters: whole values, or one row for each pass.
    pub(crate) fn run_lifted(
        &mut self,
        decl: &Rc<ast::Solver>,
        scope: &Scope,
        mut values: Vec<Value>,
        mode: &Mode,
        caller: Option<&Scope>,
        lifts: &[(Lift, Value)],
    ) -> Res<Value> {
        let span = self.span;
        for (lift, value) in lifts {
            if lift.place == LiftPlace::Argument
                && let Some(i) = decl.params.iter().position(|p| p.name.text == lift.name)
            {
                // The rows of an `each` argument have its type: the first one binds dimensions.
                values[i] = if lift.each && self.shape(value)?.first().is_some_and(|&n| n > 0) {
                    self.take(value, 0, 0)?
                } else {
                    value.clone()
                };
            }
        }
        self.in_function(|ctx| {
            let inner = ctx.bind_params(&decl.params, scope, &values)?;
            let each: Vec<&(Lift, Value)> = lifts.iter().filter(|(lift, _)| lift.each).collect();
            for (lift, _) in &each {
                if lift.place == LiftPlace::Argument {
                    inner.bind(&lift.name, Value::Blank);
                }
            }
            let mut overrides: Vec<(Symbol, Value)> = Vec::new();
            for (lift, value) in lifts {
                if lift.place == LiftPlace::Let {
                    overrides.push((lift.name.clone(), if lift.each { Value::Blank } else { value.clone() }));
                }
            }
            for l in &decl.body.lets {
                ctx.bind_let_or_blank(&inner, l, &overrides)?;
            }
            let states = ctx.start_states(&inner, &decl.body.states)?;
            ctx.span = span;
            Running { decl, scope: inner, states, each: each.into_iter().cloned().collect() }.run(ctx, mode, caller)
        })
    }

    /// A let that depends on what is open stays open.
    pub(crate) fn bind_let_or_blank(&mut self, scope: &Scope, l: &ast::Let, overrides: &[(Symbol, Value)]) -> Res<()> {
        match self.bind_let_overridden(scope, l, overrides) {
            Err(d) if d.code.0 == "E0315" => {
                let names: Vec<&ast::Name> = match &l.kind {
                    ast::LetKind::Inits(inits) => inits.iter().map(|i| &i.binder.name).collect(),
                    ast::LetKind::Tuple(names, _) => names.iter().collect(),
                };
                for name in names {
                    if scope.find_here(&name.text).is_none() {
                        scope.bind(&name.text, Value::Blank);
                    }
                }
                Ok(())
            }
            other => other,
        }
    }
}

/// A solver whose lets and starting states are evaluated.
pub(super) struct Running<'a> {
    pub(super) decl: &'a Rc<ast::Solver>,
    scope: Scope,
    pub(super) states: Vec<State>,
    /// Quantities with one row for each pass.
    each: Vec<(Lift, Value)>,
}

impl<'a> Running<'a> {
    fn run<'s>(&self, ctx: &mut Ctx<'s>, mode: &Mode, caller: Option<&Scope>) -> Res<Value> {
        match mode {
            Mode::Converge => self.converge(ctx),
            Mode::Unroll { count, backprop, checkpoint } => self.unroll(ctx, *count, *backprop, *checkpoint),
            Mode::Implicit => self.implicit(ctx),
            Mode::Trace { count, every, record } => self.trace(ctx, *count, *every, record, caller),
        }
    }

    fn names(&self) -> Vec<Symbol> {
        self.states.iter().map(|s| s.name.clone()).collect()
    }

    /// One pass: its scope afterwards, and the next states.
    pub(super) fn pass<'s>(&self, ctx: &mut Ctx<'s>, pass: &Pass) -> Res<(Scope, Vec<Value>)> {
        let scope = ctx.pass_scope(&self.scope, &self.states, pass, self.decl.body.counter.as_ref());
        let mut step_overrides: Vec<(Symbol, Value)> = Vec::new();
        for ((lift, _), row) in self.each.iter().zip(pass.rows) {
            match lift.place {
                LiftPlace::StepLet => step_overrides.push((lift.name.clone(), row.clone())),
                LiftPlace::Let | LiftPlace::Argument => scope.bind(&lift.name, row.clone()),
            }
        }
        if self.each.iter().any(|(lift, _)| lift.place != LiftPlace::StepLet) {
            // Lets that waited for a row are evaluated now.
            for l in &self.decl.body.lets {
                let ast::LetKind::Inits(inits) = &l.kind else { continue };
                for init in inits {
                    let name = &init.binder.name.text;
                    let lifted = self.each.iter().any(|(lift, _)| lift.name == *name);
                    if !lifted && matches!(scope.find(name), Some(Value::Blank)) {
                        let value = ctx.expr(&scope, &init.value)?;
                        let value = ctx.bind_value(&scope, &init.binder, value)?;
                        scope.bind(name, value);
                    }
                }
            }
        }
        let names = self.names();
        ctx.steps(&scope, &self.decl.body.step, &names, &step_overrides)?;
        let next = names.iter().map(|name| scope.find(name).expect("states are bound")).collect();
        Ok((scope, next))
    }

    /// The expression after `->` at given states.
    pub(super) fn result<'s>(&self, ctx: &mut Ctx<'s>, states: &[Value]) -> Res<Value> {
        let scope = self.scope.inner();
        for (state, value) in self.states.iter().zip(states) {
            scope.bind(&state.name, value.clone());
        }
        ctx.expr(&scope, &self.decl.result)
    }

    fn cap<'s>(&self, ctx: &mut Ctx<'s>) -> Res<(usize, &'a ast::Expr)> {
        let Some(until) = &self.decl.body.until else {
            return Err(Box::new(
                Diagnostic::error("E0327", ctx.span, format!("solver `{}` has no stop rule", self.decl.name.text))
                    .label(self.decl.name.span, "declared here")
                    .help("add `until ...` to it, or run a fixed number of passes: `unroll s(...) for K`"),
            ));
        };
        let cap = match &until.within {
            Some(e) => {
                let value = ctx.expr(&self.scope, e)?;
                static_int(&value, e.span, "the cap after `within`")?
            }
            None => DEFAULT_CAP,
        };
        Ok((ctx.count(cap, until.span)?, &until.cond))
    }

    /// Runs to the rule; gives the states and whether the rule was met.
    pub(super) fn run_to_rule<'s>(&self, ctx: &mut Ctx<'s>) -> Res<(Vec<Value>, Value)> {
        let (cap, cond) = self.cap(ctx)?;
        let mut states = self.states.clone();
        states.push(State {
            name: "converged".into(),
            span: self.decl.name.span,
            start: Value::Bool(false),
            declared: true,
        });
        let mut run = ctx.iterate(&states, &[], cap, true, &|ctx, pass| {
            let own =
                Pass { states: &pass.states[..self.states.len()], counter: pass.counter.clone(), rows: pass.rows };
            let (scope, mut next) = self.pass(ctx, &own)?;
            let stop = ctx.condition(&scope, cond)?;
            next.push(stop.clone());
            Ok(PassResult { states: next, rows: Vec::new(), stop: Some(stop) })
        })?;
        let converged = run.states.pop().expect("the flag was pushed");
        Ok((run.states, converged))
    }

    fn converge<'s>(&self, ctx: &mut Ctx<'s>) -> Res<Value> {
        let (states, converged) = self.run_to_rule(ctx)?;
        let states =
            self.guard(ctx, Guard::Unconverged { solver: (&*self.decl.name.text).into() }, &converged, &states)?;
        self.result(ctx, &states)
    }

    pub(super) fn guard<'s>(&self, ctx: &mut Ctx<'s>, guard: Guard, ok: &Value, states: &[Value]) -> Res<Vec<Value>> {
        let span =
            std::mem::replace(&mut ctx.span, self.decl.body.until.as_ref().map_or(self.decl.name.span, |u| u.span));
        let mut args = vec![ok.clone()];
        args.extend(states.iter().cloned());
        let guarded = ctx.emit(Op::Guard(guard), &args);
        ctx.span = span;
        guarded
    }

    fn fixed<'s>(
        &self,
        ctx: &mut Ctx<'s>,
        starts: &[State],
        from: usize,
        to: usize,
        checkpoint: Option<Option<usize>>,
    ) -> Res<Iterated> {
        let mut inputs = Vec::new();
        for (lift, rows) in &self.each {
            let available = ctx.shape(rows)?.first().copied().unwrap_or(0);
            if to > available {
                return fail(
                    "E0412",
                    ctx.span,
                    format!("`{}` has {available} copies, but {to} passes are asked for", lift.name),
                );
            }
            inputs.push(ctx.slice_leading(rows, from, to)?);
        }
        let pass = |ctx: &mut Ctx<'s>, pass: Pass| -> Res<PassResult> {
            let counter = if from == 0 {
                pass.counter.clone()
            } else {
                ctx.binary(BinaryOp::Add, &pass.counter, &Value::Int(from as i64))?
            };
            let (_, states) = self.pass(ctx, &Pass { states: pass.states, counter, rows: pass.rows })?;
            Ok(PassResult { states, rows: Vec::new(), stop: None })
        };
        match checkpoint {
            Some(keep) => ctx.iterate_checkpointed(starts, &inputs, to - from, keep, &pass),
            None => ctx.iterate(starts, &inputs, to - from, false, &pass),
        }
    }

    fn unroll<'s>(
        &self,
        ctx: &mut Ctx<'s>,
        count: usize,
        backprop: Option<usize>,
        checkpoint: Option<Option<usize>>,
    ) -> Res<Value> {
        let cut = backprop.map_or(0, |last| count.saturating_sub(last));
        let mut starts = self.states.clone();
        if cut > 0 {
            let early = self.fixed(ctx, &starts, 0, cut, None)?;
            for (start, value) in starts.iter_mut().zip(&early.states) {
                start.start = if ctx.ty(value)?.dtype.is_float() {
                    ctx.op(Op::StopGradient, std::slice::from_ref(value))?
                } else {
                    value.clone()
                };
            }
        }
        let run = self.fixed(ctx, &starts, cut, count, checkpoint)?;
        self.result(ctx, &run.states)
    }

    fn trace<'s>(
        &self,
        ctx: &mut Ctx<'s>,
        count: usize,
        every: usize,
        record: &[(ast::Name, ast::Expr)],
        caller: Option<&Scope>,
    ) -> Res<Value> {
        let rows = count / every;
        let template = std::cell::RefCell::new(Value::Unit);
        let run = ctx.iterate(&self.states, &[], rows, false, &|ctx, outer| {
            let mut starts = self.states.clone();
            for (start, value) in starts.iter_mut().zip(outer.states) {
                start.start = value.clone();
            }
            let first = ctx.binary(BinaryOp::Mul, &outer.counter, &Value::Int(every as i64))?;
            // All passes but the last; the last one's lets may be recorded.
            let before = ctx.iterate(&starts, &[], every - 1, false, &|ctx, inner| {
                let counter = ctx.binary(BinaryOp::Add, &first, &inner.counter)?;
                let (_, states) = self.pass(ctx, &Pass { states: inner.states, counter, rows: &[] })?;
                Ok(PassResult { states, rows: Vec::new(), stop: None })
            })?;
            let counter = ctx.binary(BinaryOp::Add, &first, &Value::Int(every as i64 - 1))?;
            let (scope, states) = self.pass(ctx, &Pass { states: &before.states, counter, rows: &[] })?;
            let seen = caller.map_or_else(Scope::default, Scope::inner);
            for layer in [&self.scope, &scope] {
                for name in layer.names_here() {
                    seen.bind(&name, layer.find_here(&name).expect("a name of this scope"));
                }
            }
            let result = self.result(ctx, &states)?;
            seen.bind(&"result".into(), result);
            let mut values = Vec::new();
            for (name, e) in record {
                values.push((name.text.clone(), ctx.expr(&seen, e)?));
            }
            let mut vars = Vec::new();
            *template.borrow_mut() = ctx.all_leaves(&Value::Record(values.into()), &mut vars)?;
            let level = ctx.level();
            Ok(PassResult { states, rows: vars.into_iter().map(|var| Value::Var { level, var }).collect(), stop: None })
        })?;
        Ok(super::value::fill(&template.borrow(), &run.stacked))
    }
}

/// An optimizer at work on one group of parameters: a solver of an objective and a flat start.
#[derive(Clone)]
pub struct Optimizer {
    pub decl: Rc<ast::Solver>,
    pub scope: Scope,
    pub args: Vec<PartialArg>,
}

impl Optimizer {
    /// The optimizer that `using` names: `adam`, `adam(1e-3)`.
    pub fn new(ctx: &mut Ctx, scope: &Scope, e: &ast::Expr) -> Res<Optimizer> {
        let (func, args): (&ast::Expr, &[ast::Arg]) = match &e.kind {
            ast::ExprKind::Call { func, args } => (func, args),
            _ => (e, &[]),
        };
        let value = ctx.expr(scope, func)?;
        let (decl, solver_scope) = match &value {
            Value::Func(f) => match &**f {
                Func::Solver { decl, scope } => (decl.clone(), scope.clone()),
                other => return fail("E0323", func.span, format!("an optimizer is a solver, found {}", other.name())),
            },
            other => return fail("E0323", func.span, format!("an optimizer is a solver, found {}", other.describe())),
        };
        if decl.params.len() < 2 {
            return fail(
                "E0323",
                func.span,
                format!(
                    "`{}` is not an optimizer: its first two parameters are the objective and the start",
                    decl.name.text
                ),
            );
        }
        let mut bound = Vec::new();
        for arg in args {
            match &arg.value {
                ast::ArgValue::Expr(e) => {
                    let value = ctx.expr(scope, e)?;
                    bound.push(PartialArg { name: arg.name.as_ref().map(|n| n.text.clone()), value: Some(value) });
                }
                _ => return fail("E0320", arg.span, "an optimizer's arguments are plain values"),
            }
        }
        Ok(Optimizer { decl, scope: solver_scope, args: bound })
    }

    fn running<'a>(&'a self, ctx: &mut Ctx, objective: Value, start: &Value) -> Res<Running<'a>> {
        let span = ctx.span;
        let mut args = vec![Arg::plain(objective, span), Arg::plain(start.clone(), span)];
        for arg in &self.args {
            args.push(Arg { name: arg.name.clone(), value: arg.value.clone().expect("no blanks"), each: 0, span });
        }
        let values =
            ctx.match_params(&self.decl.params, &self.scope, args, &self.decl.name.text, self.decl.name.span)?;
        let inner = ctx.bind_params(&self.decl.params, &self.scope, &values)?;
        for l in &self.decl.body.lets {
            ctx.bind_let(&inner, l)?;
        }
        let states = ctx.start_states(&inner, &self.decl.body.states)?;
        Ok(Running { decl: &self.decl, scope: inner, states, each: Vec::new() })
    }

    /// The starting states.
    pub fn start(&self, ctx: &mut Ctx, objective: Value, x: &Value) -> Res<Vec<Value>> {
        let running = ctx.in_function(|ctx| self.running(ctx, objective, x))?;
        // One step settles types: a state that starts as an int may become real.
        let mut states = Vec::new();
        for state in &running.states {
            let real = !state.declared && ctx.ty(&state.start)?.dtype == DType::I64;
            states.push(if real { ctx.to_real(&state.start)? } else { state.start.clone() });
        }
        Ok(states)
    }

    /// One step from the given states at the parameters `x`: next states, next parameters, and whether its rule holds.
    /// States that start as the start itself are set to `x`, which others may have changed meanwhile.
    pub fn step(
        &self,
        ctx: &mut Ctx,
        objective: Value,
        x: &Value,
        states: &[Value],
        counter: &Value,
    ) -> Res<(Vec<Value>, Value, Option<Value>)> {
        let draws = std::mem::replace(&mut ctx.draws, super::Draws::Forbidden);
        let result = (|| {
            let running = self.running(ctx, objective, x)?;
            let start_name = &self.decl.params[1].name.text;
            let current: Vec<Value> = self
                .decl
                .body
                .states
                .iter()
                .zip(states)
                .map(|(init, value)| match &init.value.kind {
                    ast::ExprKind::Name(name) if name == start_name => x.clone(),
                    _ => value.clone(),
                })
                .collect();
            let (scope, next) = running.pass(ctx, &Pass { states: &current, counter: counter.clone(), rows: &[] })?;
            let stop = match &self.decl.body.until {
                Some(until) => Some(ctx.condition(&scope, &until.cond)?),
                None => None,
            };
            let result = running.result(ctx, &next)?;
            let mut settled = Vec::new();
            for (value, old) in next.iter().zip(states) {
                let ty = ctx.ty(old)?;
                let value = if ty.dtype.is_float() { ctx.to_real(value)? } else { value.clone() };
                settled.push(ctx.broadcast_to(&value, &ty.shape)?);
            }
            Ok((settled, result, stop))
        })();
        ctx.draws = draws;
        result
    }
}
