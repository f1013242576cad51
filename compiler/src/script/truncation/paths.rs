//! The objective along the passes of a solver, sample by sample.

use crate::builtins::Builtin;
use crate::derive::tree;
use crate::ir::graph::Type;
use crate::lower::problem::objective;
use crate::lower::value::{Func, Mode, Scope, Value, fill};
use crate::lower::watch::{Call, Given};
use crate::lower::{Ctx, Lowered, Res, fail, lower_with};
use crate::run::Runner;
use crate::script::Script;
use crate::syntax::ast::{ArgValue, BinaryOp, CompareOp, Constraint, Expr, ExprKind, Fn, Problem, Solver};
use dp_runtime::tensor::Tensor;
use std::rc::Rc;

/// How far outside of a constraint a point still counts as inside, in units of 1 + the bound.
const INSIDE: f64 = 1e-4;
/// Values of a run that are kept.
const KEPT: usize = 2048;
/// What the objective is called in the record of a trace: no name of a program has a space.
const MEASURED: &str = "the objective";

/// The objective along the passes on one sample, turned so that less is better; infinite where it does not count.
pub struct Path {
    pub start: f64,
    /// The best value so far, the start apart, after every so many passes.
    pub best: Vec<f64>,
    pub every: usize,
    /// The best value up to the end of the truncated passes, the start included.
    pub truncated: f64,
    /// A point of these passes counts.
    pub inside: bool,
}

impl Path {
    /// Where the way begins: at the start, else at the first point that counts.
    pub fn first(&self) -> f64 {
        let counts = |value: &f64| value.is_finite();
        Some(self.start).filter(counts).or_else(|| self.best.iter().copied().find(counts)).unwrap_or(f64::INFINITY)
    }

    pub fn least(&self) -> f64 {
        self.best.last().copied().unwrap_or(f64::INFINITY).min(self.truncated).min(self.start)
    }
}

/// A solver, the call that says its data, and the problem that it is for.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub decl: &'a Rc<Solver>,
    pub call: &'a Call,
    pub problem: &'a Problem,
}

/// The passes between two kept values of a run.
fn every(passes: usize) -> usize {
    passes.div_ceil(KEPT)
}

impl Subject<'_> {
    /// The objective at the start, after the truncated passes, and along a run, each with how far it is outside of the
    /// constraints. What is mapped over samples is open.
    pub fn lower(&self, script: &mut Script, passes: usize) -> Res<Lowered> {
        let types: Vec<Type> = self
            .samples()
            .map(|(given, tensor)| Type::new(tensor.dtype(), &tensor.shape()[axes_of(given)..]))
            .collect();
        let measured = Rc::new(measured(self.problem));
        lower_with(&mut script.session, &types, self.call.span, |ctx, open| {
            let mut open = open.iter();
            let values: Vec<Value> = self
                .call
                .args
                .iter()
                .map(|given| match axes_of(given) {
                    0 => given.value.clone(),
                    _ => open.next().expect("a parameter for each of the samples' arguments").clone(),
                })
                .collect();
            let objective = at_result(self.problem, &measured, &self.call.scope, &values);
            let run = |ctx: &mut Ctx, mode: &Mode, caller: &Scope| {
                ctx.run_solver(self.decl, &self.call.scope, values.clone(), mode, Some(caller))
            };
            let caller = Scope::default();
            caller.bind(&MEASURED.into(), objective.clone());
            let mut found = Vec::new();
            for count in [0, self.call.count] {
                let result = run(ctx, &Mode::Unroll { count, backprop: None, checkpoint: None }, &caller)?;
                found.push(ctx.call_plain(&objective, &[result])?);
            }
            let record = vec![(tree::named("at"), tree::call(MEASURED, vec![tree::name("result")]))];
            let every = every(passes);
            let traced = run(ctx, &Mode::Trace { count: passes / every * every, every, record }, &caller)?;
            found.extend(traced.field("at").cloned());
            Ok(Value::tuple(found))
        })
    }

    /// The paths of the first samples.
    pub fn paths(&self, script: &mut Script, runner: &mut Runner, passes: usize, samples: usize) -> Res<Vec<Path>> {
        let lowered = self.lower(script, passes)?;
        let prepared = runner.prepare(&lowered.graph, self.call.span)?;
        (0..samples)
            .map(|sample| {
                let mut inputs: Vec<Tensor> = self.samples().map(|(given, t)| self.sample(given, t, sample)).collect();
                inputs.extend(lowered.inputs.iter().cloned());
                let outs = runner.call(&prepared, &inputs, self.call.span)?;
                let leaves: Vec<Value> = outs.into_iter().map(Value::Tensor).collect();
                self.path(&fill(&lowered.value, &leaves), every(passes))
            })
            .collect()
    }

    fn path(&self, found: &Value, every: usize) -> Res<Path> {
        let numbers = |at: usize| -> Option<Vec<f64>> {
            let Value::Tuple(items) = found else { return None };
            let Value::Tuple(pair) = items.get(at)? else { return None };
            let [Value::Tensor(values), Value::Tensor(outside)] = &pair[..] else { return None };
            let sign = if self.problem.maximize { -1.0 } else { 1.0 };
            let counts = |(value, outside): (f64, f64)| {
                if value.is_finite() && outside <= INSIDE { sign * value } else { f64::INFINITY }
            };
            Some(values.to_f64_vec().into_iter().zip(outside.to_f64_vec()).map(counts).collect())
        };
        let (Some(start), Some(end), Some(mut best)) = (numbers(0), numbers(1), numbers(2)) else {
            return fail("E0318", self.call.span, "internal error: the values of an objective");
        };
        for i in 1..best.len() {
            best[i] = best[i].min(best[i - 1]);
        }
        let kept = (self.call.count / every).min(best.len());
        let passes = end[0].min(if kept == 0 { f64::INFINITY } else { best[kept - 1] });
        Ok(Path { start: start[0], truncated: passes.min(start[0]), inside: passes.is_finite(), best, every })
    }

    /// The arguments that are mapped over samples.
    fn samples(&self) -> impl Iterator<Item = (&Given, &Tensor)> {
        self.call.args.iter().filter_map(|given| match &given.value {
            Value::Tensor(tensor) if axes_of(given) > 0 => Some((given, tensor)),
            _ => None,
        })
    }

    /// The part of an argument that belongs to a sample, which are counted with the last axis innermost.
    fn sample(&self, given: &Given, tensor: &Tensor, sample: usize) -> Tensor {
        let (mut rest, mut places) = (sample, Vec::new());
        for &size in self.call.axes.iter().rev() {
            places.push(rest % size);
            rest /= size;
        }
        let places = places.iter().rev().zip(&given.mapped).filter(|(_, mapped)| **mapped);
        let row = places.zip(tensor.shape()).fold(0, |row, ((place, _), size)| row * size + place);
        let shape = &tensor.shape()[axes_of(given)..];
        let len: usize = shape.iter().product();
        dp_runtime::for_any_tensor!(tensor, a => {
            Tensor::from_vec(shape, a.iter().skip(row * len).take(len).copied().collect())
        })
    }
}

/// How many leading axes of an argument are those of samples.
fn axes_of(given: &Given) -> usize {
    given.mapped.iter().filter(|mapped| **mapped).count()
}

/// The function of a problem that gives its objective, and for each constraint what must not be above, or apart from, what.
fn measured(problem: &Problem) -> Fn {
    let mut function = objective(problem);
    let mut values = vec![problem.objective.clone()];
    for constraint in &problem.constraints {
        values.extend(sides(constraint).into_iter().flatten());
    }
    if let ExprKind::Block(block) = &mut function.body.kind {
        block.value = Some(Box::new(tree::expr(ExprKind::Tuple(values))));
    }
    function.result = None;
    function
}

/// `left <= right`, or a point and its projection.
fn sides(constraint: &Constraint) -> Option<[Expr; 2]> {
    match (&constraint.set, &constraint.expr.kind) {
        (Some(set), _) => {
            let (name, args) = match &set.kind {
                ExprKind::Call { func, args } => ((**func).clone(), args.as_slice()),
                _ => (set.clone(), [].as_slice()),
            };
            let mut given = vec![constraint.expr.clone()];
            for arg in args {
                let ArgValue::Expr(value) = &arg.value else { return None };
                given.push(value.clone());
            }
            given.push(tree::int(1));
            Some([constraint.expr.clone(), tree::apply(tree::call("prox", vec![name]), given)])
        }
        (None, ExprKind::Compare { op: CompareOp::Ge | CompareOp::Gt, left, right }) => {
            Some([(**right).clone(), (**left).clone()])
        }
        (None, ExprKind::Compare { left, right, .. }) => Some([(**left).clone(), (**right).clone()]),
        (None, _) => None,
    }
}

/// The function of a solver's result that gives the objective there, and how far it is outside of the constraints.
fn at_result(problem: &Problem, measured: &Rc<Fn>, scope: &Scope, data: &[Value]) -> Value {
    let function = Value::func(Func::User { decl: measured.clone(), scope: scope.clone() });
    let (blocks, data) = (problem.over.len(), data.to_vec());
    let apart: Vec<bool> = problem
        .constraints
        .iter()
        .map(|c| c.set.is_some() || matches!(c.expr.kind, ExprKind::Compare { op: CompareOp::Eq, .. }))
        .collect();
    let call = move |ctx: &mut Ctx, result: &[Value]| -> Res<Value> {
        let mut given = data.clone();
        match &result[0] {
            Value::Tuple(items) if blocks > 1 => given.extend(items.iter().cloned()),
            one => given.push(one.clone()),
        }
        let Value::Tuple(values) = ctx.call_plain(&function, &given)? else {
            return fail("E0318", ctx.span, "internal error: an objective and its constraints");
        };
        let mut outside = ctx.real_const(0.0);
        for (sides, apart) in values[1..].chunks(2).zip(&apart) {
            let own = outside_of(ctx, &sides[0], &sides[1], *apart)?;
            outside = builtin(ctx, Builtin::Max, &[outside, own])?;
        }
        let value = ctx.to_real(&values[0])?;
        Ok(Value::tuple(vec![value, outside]))
    };
    Value::func(Func::native(Rc::new(call)))
}

/// The greatest element of (left - right) / (1 + |right|), or of its absolute value.
fn outside_of(ctx: &mut Ctx, left: &Value, right: &Value, apart: bool) -> Res<Value> {
    let (left, right) = (ctx.to_real(left)?, ctx.to_real(right)?);
    let size = builtin(ctx, Builtin::Abs, std::slice::from_ref(&right))?;
    let one = ctx.real_const(1.0);
    let unit = ctx.binary(BinaryOp::Add, &one, &size)?;
    let mut difference = ctx.binary(BinaryOp::Sub, &left, &right)?;
    if apart {
        difference = builtin(ctx, Builtin::Abs, &[difference])?;
    }
    let parts = ctx.binary(BinaryOp::Div, &difference, &unit)?;
    ctx.reduce(Builtin::Max, &parts, None)
}

fn builtin(ctx: &mut Ctx, builtin: Builtin, args: &[Value]) -> Res<Value> {
    ctx.call_plain(&Value::func(Func::Builtin(builtin)), args)
}
