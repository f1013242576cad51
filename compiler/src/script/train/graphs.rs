//! Lowers the parts of a training step. All Graphs take the same leading parameters: the flat vector of trained
//! numbers, the step number, the step's key, the batch's indices (if any), then the states of `train`.

use super::{Assigned, Data, Group, Objective, Plan, Source};
use crate::ir::graph::{Op, Type};
use crate::lower::value::{Func, Native, Scope, Value};
use crate::lower::{Ctx, Lowered, Optimizer, Res, Session, fail, lower_with};
use crate::source::Span;
use crate::syntax::ast::{self, BinaryOp, StmtKind, Symbol};
use dp_runtime::tensor::DType;
use std::rc::Rc;

/// The common leading parameters, bound.
struct Common {
    flat: Value,
    counter: Value,
    key: Value,
    indices: Option<Value>,
    states: Vec<Value>,
    /// Parameters beyond the common ones.
    rest: Vec<Value>,
}

/// The types of the common parameters.
pub(crate) fn common_types(plan: &Plan, real: DType, states: &[Type]) -> Vec<Type> {
    let mut types = vec![Type::new(real, &[plan.total()]), Type::scalar(DType::I64), Type::scalar(DType::Key)];
    if takes_indices(plan) {
        let size = plan.data.as_ref().map_or(0, Data::size);
        types.push(Type::new(DType::I64, &[size]));
    }
    types.extend_from_slice(states);
    types
}

/// Whether steps draw from arrays by index.
pub(crate) fn takes_indices(plan: &Plan) -> bool {
    matches!(&plan.data, Some(Data { source: Source::Arrays { .. }, batch: Some(_), .. }))
}

fn split(plan: &Plan, values: &[Value]) -> Common {
    let mut values = values.iter().cloned();
    let mut next = || values.next().expect("internal error: the parameters of a training step");
    let (flat, counter, key) = (next(), next(), next());
    let indices = takes_indices(plan).then(&mut next);
    let states = plan.states.iter().map(|_| next()).collect();
    Common { flat, counter, key, indices, states, rest: values.collect() }
}

/// Everything needed to evaluate expressions of the body at given parameters; cheap to clone into closures.
#[derive(Clone)]
struct Site {
    plan: Rc<PlanView>,
    scope: Scope,
    key: Value,
    indices: Option<Value>,
}

/// What closures keep of a trained array.
#[derive(Clone)]
struct SlotView {
    /// The network's number, and its parameters at the start.
    net: usize,
    params: Value,
    field: Vec<Symbol>,
    copy: Option<usize>,
    shape: Vec<usize>,
    /// Where it starts in the flat vector.
    offset: usize,
}

/// What closures keep of a plan.
struct PlanView {
    slots: Vec<SlotView>,
    lets: Vec<ast::Let>,
    /// Names, samples, samples of a step, whether `each`, and the clause.
    data: Option<(Vec<ast::Name>, Samples, usize, bool, Span)>,
}

enum Samples {
    Arrays(Vec<Value>),
    Draw(Value),
}

fn view(plan: &Plan) -> Rc<PlanView> {
    let slots = plan
        .slots
        .iter()
        .map(|s| SlotView {
            net: s.net.id,
            params: s.net.params.borrow().clone(),
            field: s.field.clone(),
            copy: s.copy,
            shape: s.shape.clone(),
            offset: s.offset,
        })
        .collect();
    let data = plan.data.as_ref().map(|d| {
        let source = match &d.source {
            Source::Arrays { arrays, .. } => Samples::Arrays(arrays.clone()),
            Source::Draw(f) => Samples::Draw(f.clone()),
        };
        (d.names.clone(), source, d.size(), d.each, d.span)
    });
    Rc::new(PlanView { slots, lets: plan.lets.clone(), data })
}

fn site(plan: &Plan, scope: &Scope, common: &Common) -> Site {
    let scope = scope.inner();
    if let Some(name) = &plan.counter {
        scope.bind(&name.text, common.counter.clone());
    }
    for (init, value) in plan.states.iter().zip(&common.states) {
        scope.bind(&init.binder.name.text, value.clone());
    }
    Site { plan: view(plan), scope, key: common.key.clone(), indices: common.indices.clone() }
}

/// Sets the networks' parameters to a flat vector while lowering.
fn set_parameters(ctx: &mut Ctx, plan: &PlanView, flat: &Value) -> Res<()> {
    for SlotView { net: id, params, field, copy, shape, offset } in &plan.slots {
        let len: usize = shape.iter().product();
        let part = ctx.slice_leading(flat, *offset, *offset + len)?;
        let part = ctx.reshape(&part, shape)?;
        let current = ctx.overrides.get(id).cloned().unwrap_or_else(|| params.clone());
        let updated = super::replaced(&current, field, &mut |value| {
            let Some(k) = copy else { return Ok(part.clone()) };
            // One row replaced; the others stay.
            let whole = ctx.shape(value)?;
            let mut row = vec![1];
            row.extend(shape);
            let mut rows = Vec::new();
            if *k > 0 {
                rows.push(ctx.slice_leading(value, 0, *k)?);
            }
            rows.push(ctx.reshape(&part, &row)?);
            if k + 1 < whole[0] {
                rows.push(ctx.slice_leading(value, k + 1, whole[0])?);
            }
            if rows.len() == 1 { Ok(rows.swap_remove(0)) } else { ctx.op(Op::Concat { axis: 0 }, &rows) }
        })?;
        ctx.overrides.insert(*id, updated);
    }
    Ok(())
}

/// Runs `body` with the networks at `flat`, and what they were before afterwards.
fn at_parameters<'s, T>(
    ctx: &mut Ctx<'s>,
    plan: &PlanView,
    flat: &Value,
    body: impl FnOnce(&mut Ctx<'s>) -> Res<T>,
) -> Res<T> {
    let before = std::mem::take(&mut ctx.overrides);
    ctx.overrides = before.clone();
    let result = set_parameters(ctx, plan, flat).and_then(|()| body(ctx));
    ctx.overrides = before;
    result
}

/// Binds the batch's arrays (not `each`) and the lets, then evaluates.
fn with_batch<'s>(ctx: &mut Ctx<'s>, site: &Site, body: &dyn Fn(&mut Ctx<'s>, &Scope) -> Res<Value>) -> Res<Value> {
    let scope = site.scope.inner();
    ctx.with_keyed_draws(site.key.clone(), |ctx| {
        if let Some((names, source, size, false, span)) = &site.plan.data {
            ctx.span = *span;
            let arrays = batch_arrays(ctx, site, source, *size)?;
            bind_names(ctx, &scope, names, arrays)?;
        }
        for l in &site.plan.lets {
            ctx.bind_let(&scope, l)?;
        }
        body(ctx, &scope)
    })
}

fn bind_names(ctx: &mut Ctx, scope: &Scope, names: &[ast::Name], mut values: Vec<Value>) -> Res<()> {
    if names.len() > 1 && values.len() == 1 {
        values = ctx.destructure(&values[0], names.len())?;
    }
    for (name, value) in names.iter().zip(values) {
        scope.bind(&name.text, value);
    }
    Ok(())
}

/// The arrays of one step's batch.
fn batch_arrays(ctx: &mut Ctx, site: &Site, source: &Samples, size: usize) -> Res<Vec<Value>> {
    match source {
        Samples::Arrays(arrays) => match &site.indices {
            Some(indices) => arrays.iter().map(|a| ctx.op(Op::Gather, &[a.clone(), indices.clone()])).collect(),
            None => Ok(arrays.clone()),
        },
        Samples::Draw(draw) => {
            let keys = sample_keys(ctx, site, size)?;
            Ok(vec![ctx.map_each(&[keys], &|ctx, row| ctx.call_plain(draw, row))?])
        }
    }
}

fn sample_keys(ctx: &mut Ctx, site: &Site, size: usize) -> Res<Value> {
    let base = ctx.op(Op::FoldIn, &[site.key.clone(), Value::Int(-1)])?;
    ctx.op(Op::Split { n: size }, &[base])
}

/// The objective: the mean over the batch of the per-sample value, or the value itself.
fn objective(ctx: &mut Ctx, site: &Site, value: &ast::Expr) -> Res<Value> {
    let Some((names, source, size, true, span)) = &site.plan.data else {
        let value = with_batch(ctx, site, &|ctx, scope| ctx.expr(scope, value))?;
        return ctx.to_real(&value);
    };
    ctx.span = *span;
    let keys = sample_keys(ctx, site, *size)?;
    let mut mapped = vec![keys];
    if let Samples::Arrays(_) = source {
        mapped.extend(batch_arrays(ctx, site, source, *size)?);
    }
    let per_sample = ctx.map_each(&mapped, &|ctx, rows| {
        let scope = site.scope.inner();
        ctx.with_keyed_draws(rows[0].clone(), |ctx| {
            let samples = match source {
                Samples::Arrays(_) => rows[1..].to_vec(),
                Samples::Draw(draw) => {
                    let data_key = ctx.op(Op::FoldIn, &[rows[0].clone(), Value::Int(-1)])?;
                    vec![ctx.call_plain(draw, &[data_key])?]
                }
            };
            bind_names(ctx, &scope, names, samples)?;
            for l in &site.plan.lets {
                ctx.bind_let(&scope, l)?;
            }
            let result = ctx.expr(&scope, value)?;
            ctx.to_real(&result)
        })
    })?;
    ctx.span = value.span;
    if ctx.shape(&per_sample)?.len() != 1 {
        return fail(
            "E0326",
            value.span,
            format!("an objective is one real a sample; this is {}", ctx.show(&per_sample)),
        );
    }
    let sum = ctx.op(Op::Sum { axes: vec![0] }, &[per_sample])?;
    let n = ctx.real_const(*size as f64);
    ctx.binary(BinaryOp::Div, &sum, &n)
}

/// The group's part of the flat vector.
fn part_of(ctx: &mut Ctx, plan: &Plan, group: &Group, flat: &Value) -> Res<Value> {
    if group.slots.len() == plan.slots.len() && group.slots.windows(2).all(|w| w[0] < w[1]) {
        return Ok(flat.clone());
    }
    let mut parts = Vec::new();
    for &i in &group.slots {
        let slot = &plan.slots[i];
        parts.push(ctx.slice_leading(flat, slot.offset, slot.offset + slot.len())?);
    }
    if parts.len() == 1 { Ok(parts.swap_remove(0)) } else { ctx.op(Op::Concat { axis: 0 }, &parts) }
}

/// The flat vector with the group's part replaced. `layout` lists, in the order of the slots, their lengths and
/// where each stands in the group, if it does.
fn with_part(ctx: &mut Ctx, layout: &[(usize, usize, Option<usize>)], flat: &Value, part: &Value) -> Res<Value> {
    if layout.iter().all(|(offset, _, at)| *at == Some(*offset)) {
        return Ok(part.clone());
    }
    let mut parts = Vec::new();
    for (offset, len, at) in layout {
        parts.push(match at {
            Some(at) => ctx.slice_leading(part, *at, at + len)?,
            None => ctx.slice_leading(flat, *offset, offset + len)?,
        });
    }
    if parts.len() == 1 { Ok(parts.swap_remove(0)) } else { ctx.op(Op::Concat { axis: 0 }, &parts) }
}

fn layout(plan: &Plan, group: &Group) -> Vec<(usize, usize, Option<usize>)> {
    let mut at = vec![None; plan.slots.len()];
    let mut next = 0;
    for &i in &group.slots {
        at[i] = Some(next);
        next += plan.slots[i].len();
    }
    plan.slots.iter().zip(at).map(|(slot, at)| (slot.offset, slot.len(), at)).collect()
}

/// The objective as a function of a group's flat vector, the other parameters at `flat`.
fn objective_function(plan: &Plan, objective_: &Objective, group: &Group, site: &Site, flat: &Value) -> Rc<Func> {
    let (site, flat, layout) = (site.clone(), flat.clone(), layout(plan, group));
    let (value, maximize) = (objective_.value.clone(), objective_.maximize);
    Rc::new(Func::native(Rc::new(move |ctx: &mut Ctx, args: &[Value]| {
        let whole = with_part(ctx, &layout, &flat, &args[0])?;
        let result = at_parameters(ctx, &site.plan.clone(), &whole, |ctx| objective(ctx, &site, &value))?;
        if ctx.shape(&result)?.is_empty() {
            if maximize { ctx.neg(&result) } else { Ok(result) }
        } else {
            fail("E0326", value.span, format!("an objective is one real, found {}", ctx.show(&result)))
        }
    })))
}

/// Starting states of a group's optimizer. Results: the states.
pub(crate) fn optimizer_start(
    session: &mut Session,
    scope: &Scope,
    plan: &Plan,
    objective_: &Objective,
    group: &Group,
    states: &[Type],
) -> Res<Lowered> {
    let types = common_types(plan, session.real, states);
    lower_with(session, &types, group.optimizer.span, |ctx, values| {
        let common = split(plan, values);
        let site = site(plan, scope, &common);
        let function = objective_function(plan, objective_, group, &site, &common.flat);
        let x = part_of(ctx, plan, group, &common.flat)?;
        let optimizer = Optimizer::new(ctx, &site.scope, &group.optimizer)?;
        Ok(Value::tuple(optimizer.start(ctx, Value::Func(function), &x)?))
    })
}

/// One step of a group's optimizer. Further parameters: its states. Results: the flat vector, the loss before the
/// step, whether the optimizer's own rule holds, the states.
pub(crate) fn optimizer_step(
    session: &mut Session,
    scope: &Scope,
    plan: &Plan,
    objective_: &Objective,
    group: &Group,
    states: &[Type],
    own: &[Type],
) -> Res<Lowered> {
    let mut types = common_types(plan, session.real, states);
    types.extend_from_slice(own);
    lower_with(session, &types, objective_.value.span, |ctx, values| {
        let common = split(plan, values);
        let site = site(plan, scope, &common);
        let function = objective_function(plan, objective_, group, &site, &common.flat);
        let x = part_of(ctx, plan, group, &common.flat)?;
        let optimizer = Optimizer::new(ctx, &site.scope, &group.optimizer)?;
        let (next, x, stop) = optimizer.step(ctx, Value::Func(function.clone()), &x, &common.rest, &common.counter)?;
        let flat = with_part(ctx, &layout(plan, group), &common.flat, &x)?;
        let known = match &*function {
            Func::Native(Native { value, .. }) => value.borrow().clone(),
            _ => None,
        };
        let loss = match known {
            Some(value) => value,
            None => {
                let x = part_of(ctx, plan, group, &common.flat)?;
                ctx.call_plain(&Value::Func(function.clone()), &[x])?
            }
        };
        let loss = if objective_.maximize { ctx.neg(&loss)? } else { loss };
        let stop = match stop {
            Some(stop) => ctx.dynamic(&stop)?,
            None => ctx.dynamic(&Value::Bool(false))?,
        };
        let mut results = vec![flat, loss, stop];
        results.extend(next);
        Ok(Value::tuple(results))
    })
}

/// The starting states of `train`. No parameters.
pub(crate) fn train_states(session: &mut Session, scope: &Scope, plan: &Plan) -> Res<Lowered> {
    lower_with(session, &[], plan.span, |ctx, _| {
        let inner = scope.inner();
        let mut values = Vec::new();
        for init in &plan.states {
            let value = ctx.expr(&inner, &init.value)?;
            ctx.span = init.value.span;
            let value = ctx.bind_value(&inner, &init.binder, value)?;
            inner.bind(&init.binder.name.text, value.clone());
            values.push(ctx.dynamic(&value)?);
        }
        Ok(Value::tuple(values))
    })
}

/// The flat vector with one assigned parameter replaced.
fn assign_parameter(ctx: &mut Ctx, scope: &Scope, to: &Assigned, value: &ast::Expr, flat: &Value) -> Res<Value> {
    let new = ctx.expr(scope, value)?;
    ctx.span = value.span;
    let new = ctx.to_real(&new)?;
    let new = ctx.broadcast_to(&new, &to.shape)?;
    let len: usize = to.shape.iter().product();
    let new = ctx.reshape(&new, &[len])?;
    let total = ctx.shape(flat)?[0];
    let mut parts = Vec::new();
    if to.offset > 0 {
        parts.push(ctx.slice_leading(flat, 0, to.offset)?);
    }
    parts.push(new);
    if to.offset + len < total {
        parts.push(ctx.slice_leading(flat, to.offset + len, total)?);
    }
    if parts.len() == 1 { Ok(parts.swap_remove(0)) } else { ctx.op(Op::Concat { axis: 0 }, &parts) }
}

/// What `update` assigns. Further parameter: the loss. Results: the flat vector, the states.
pub(crate) fn update(session: &mut Session, scope: &Scope, plan: &Plan, states: &[Type]) -> Res<Lowered> {
    let mut types = common_types(plan, session.real, states);
    types.push(Type::scalar(session.real));
    let names: Vec<Symbol> = plan.states.iter().map(|s| s.binder.name.text.clone()).collect();
    lower_with(session, &types, plan.span, |ctx, values| {
        let common = split(plan, values);
        let mut site = site(plan, scope, &common);
        site.scope.bind(&"loss".into(), common.rest[0].clone());
        if matches!(&plan.data, Some(d) if d.each) {
            // Samples are not visible in `update`, nor lets made of them.
            site.plan = Rc::new(PlanView { slots: view(plan).slots.clone(), lets: Vec::new(), data: None });
        }
        at_parameters(ctx, &site.plan.clone(), &common.flat, |ctx| {
            with_batch(ctx, &site, &|ctx, inner| {
                let mut flat = common.flat.clone();
                for stmt in &plan.update {
                    match &stmt.kind {
                        StmtKind::Let(l) => ctx.bind_let(inner, l)?,
                        StmtKind::Assign { place, value } if plan.assigned.iter().any(|a| a.span == place.span) => {
                            let target = plan.assigned.iter().find(|a| a.span == place.span).expect("just found");
                            flat = assign_parameter(ctx, inner, target, value, &flat)?;
                            set_parameters(ctx, &site.plan, &flat)?;
                        }
                        StmtKind::Assign { .. } => ctx.steps(inner, std::slice::from_ref(stmt), &names, &[])?,
                        StmtKind::Param(_) => {
                            return fail("E0316", stmt.span, "`param` stands only at the top of a network's block");
                        }
                    }
                }
                let mut out = vec![ctx.dynamic(&flat)?];
                for (name, ty) in names.iter().zip(states) {
                    let value = inner.find(name).expect("states are bound");
                    let value = if ty.dtype.is_float() { ctx.to_real(&value)? } else { value };
                    let value = ctx.broadcast_to(&value, &ty.shape)?;
                    out.push(ctx.dynamic(&value)?);
                }
                Ok(Value::tuple(out))
            })
        })
    })
}

/// Recorded values, or the `until` rule. Further parameter: the loss. Results: the values.
pub(crate) fn observe(
    session: &mut Session,
    scope: &Scope,
    plan: &Plan,
    states: &[Type],
    exprs: &[ast::Expr],
) -> Res<Lowered> {
    let mut types = common_types(plan, session.real, states);
    types.push(Type::scalar(session.real));
    lower_with(session, &types, plan.span, |ctx, values| {
        let common = split(plan, values);
        let mut site = site(plan, scope, &common);
        site.scope.bind(&"loss".into(), common.rest[0].clone());
        if matches!(&plan.data, Some(d) if d.each) {
            site.plan = Rc::new(PlanView { slots: view(plan).slots.clone(), lets: Vec::new(), data: None });
        }
        at_parameters(ctx, &site.plan.clone(), &common.flat, |ctx| {
            with_batch(ctx, &site, &|ctx, inner| {
                let mut out = Vec::new();
                for e in exprs {
                    let value = ctx.expr(inner, e)?;
                    out.push(ctx.dynamic(&value)?);
                }
                Ok(Value::tuple(out))
            })
        })
    })
}
