//! `train`: a loop over parameters. Each step's arithmetic is one compiled Graph; this file reads the clauses,
//! `graphs` lowers them, `step` runs them.

mod graphs;
pub mod log;
mod step;

pub use step::Finished;

use super::Script;
use crate::diagnostic::Diagnostic;
use crate::lower::value::{Net, Value, static_int};
use crate::lower::{Res, fail, lower_with};
use crate::source::Span;
use crate::syntax::ast::{self, ClauseKind, PathPart, Symbol};
use dp_runtime::tensor::Tensor;
use std::rc::Rc;

/// One trained array: a parameter of a network, or one copy of an `each` parameter.
pub(crate) struct Slot {
    pub net: Rc<Net>,
    /// The names that lead to it in the record of parameters that the network shares.
    pub field: Vec<Symbol>,
    pub copy: Option<usize>,
    pub shape: Vec<usize>,
    /// Where it starts in the flat vector of all trained numbers.
    pub offset: usize,
}

impl Slot {
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A parameter that `update` assigns, or a copy of one, in the flat vector.
#[derive(Clone)]
pub(crate) struct Assigned {
    /// The place as written.
    pub span: Span,
    pub offset: usize,
    pub shape: Vec<usize>,
}

/// Slots of one optimizer.
pub(crate) struct Group {
    pub slots: Vec<usize>,
    pub optimizer: ast::Expr,
}

pub(crate) struct Objective {
    pub maximize: bool,
    pub value: ast::Expr,
    pub groups: Vec<Group>,
    pub repeat: usize,
}

pub(crate) enum Source {
    /// Arrays with a common leading size.
    Arrays { arrays: Vec<Value>, count: usize },
    /// A function of a key.
    Draw(Value),
}

pub(crate) struct Data {
    pub names: Vec<ast::Name>,
    pub source: Source,
    /// Samples of a step; `None` is all of them.
    pub batch: Option<usize>,
    /// `each`: the objective is of one sample, its mean over the batch is meant.
    pub each: bool,
    pub span: Span,
}

impl Data {
    /// Samples of one step.
    pub fn size(&self) -> usize {
        match (&self.source, self.batch) {
            (_, Some(n)) => n,
            (Source::Arrays { count, .. }, None) => *count,
            (Source::Draw(_), None) => 1,
        }
    }
}

pub(crate) struct Record {
    pub fields: Vec<(ast::Name, ast::Expr)>,
    pub every: usize,
}

pub(crate) struct Keep {
    pub highest: bool,
    pub name: ast::Name,
    pub patience: Option<usize>,
}

/// A `train` whose clauses are read.
pub(crate) struct Plan {
    pub span: Span,
    pub slots: Vec<Slot>,
    /// How many of the slots the paths of `train` cover; the others are only assigned.
    pub trained: usize,
    pub assigned: Vec<Assigned>,
    pub data: Option<Data>,
    pub lets: Vec<ast::Let>,
    pub states: Vec<ast::Init>,
    pub objectives: Vec<Objective>,
    pub counter: Option<ast::Name>,
    pub steps: usize,
    pub steps_per_epoch: Option<usize>,
    pub update: Vec<ast::Stmt>,
    pub record: Option<Record>,
    pub keep: Option<Keep>,
    pub until: Option<ast::Expr>,
}

impl Plan {
    /// The number of trained numbers.
    pub fn total(&self) -> usize {
        self.slots.iter().map(Slot::len).sum()
    }
}

/// Runs a `train` expression; its value is the record of what was recorded.
pub fn run(script: &mut Script, train: &ast::Train) -> Res<Value> {
    let mut plan = read(script, train)?;
    if let Some(watch) = &mut script.session.watch {
        watch.left_out |= plan.steps > 1;
        // Solvers are looked at untrained; one step gives what is recorded its form.
        plan.steps = plan.steps.min(1);
    }
    step::run(script, &plan)
}

/// A network, one of its parameters, and which copy of it.
type Place = (Rc<Net>, Vec<Symbol>, Option<usize>);

/// The places that a path covers: all arrays below it.
fn slots_of(script: &mut Script, path: &ast::Path) -> Res<Vec<Place>> {
    let Some(Value::Net(net)) = script.scope.find(&path.root.text) else {
        return fail("E0702", path.span, format!("`train` works on networks; `{}` is none", path.root.text));
    };
    if net.at.is_some() {
        return Err(Box::new(
            Diagnostic::error("E0702", path.span, format!("`{}` is a network at fixed parameters", path.root.text))
                .help(format!("`network NAME = {}` makes one with parameters of its own", path.root.text)),
        ));
    }
    let mut field: Vec<Symbol> = net.within.to_vec();
    let mut value = net.own_params();
    let mut copy = None;
    for part in &path.parts {
        let here = value.clone();
        match (part, &here) {
            (PathPart::Field(name), Value::Record(fields)) => match here.field(&name.text) {
                Some(inner) => {
                    field.push(name.text.clone());
                    value = inner.clone();
                }
                None => {
                    let names: Vec<String> = fields.iter().map(|(n, _)| format!("`{n}`")).collect();
                    let message = format!("there is no parameter `{}` here; there are {}", name.text, names.join(", "));
                    return fail("E0702", name.span, message);
                }
            },
            (PathPart::Index(indices), Value::Tensor(_)) if indices.len() == 1 && copy.is_none() => match &indices[0] {
                ast::Index::At(e) => {
                    let index = script.eval(e)?;
                    let index = static_int(&index, e.span, "this index")?;
                    copy = Some(usize::try_from(index).unwrap_or(usize::MAX));
                }
                ast::Index::Range { span, .. } => return fail("E0702", *span, "a path names one copy: `net.k[s]`"),
            },
            _ => return fail("E0702", path.span, "a path is a network, `net.name` or `net.name[k]`"),
        }
    }
    let mut places = Vec::new();
    arrays_below(&value, &mut field, &mut |field| places.push((net.clone(), field.to_vec(), copy)));
    Ok(places)
}

/// Calls `visit` with the names that lead to each array.
fn arrays_below(value: &Value, field: &mut Vec<Symbol>, visit: &mut dyn FnMut(&[Symbol])) {
    match value {
        Value::Record(fields) => {
            for (name, inner) in fields.iter() {
                field.push(name.clone());
                arrays_below(inner, field, visit);
                field.pop();
            }
        }
        _ => visit(field),
    }
}

/// What stands at the end of names in a record.
fn find(value: &Value, field: &[Symbol]) -> Option<Value> {
    field.iter().try_fold(value.clone(), |value, name| value.field(name).cloned())
}

/// A record in which one array is replaced.
pub(crate) fn replaced(value: &Value, field: &[Symbol], new: &mut dyn FnMut(&Value) -> Res<Value>) -> Res<Value> {
    let Some((first, rest)) = field.split_first() else { return new(value) };
    let Value::Record(fields) = value else { return Ok(value.clone()) };
    let mut updated = Vec::with_capacity(fields.len());
    for (name, inner) in fields.iter() {
        let inner = if name == first { replaced(inner, rest, new)? } else { inner.clone() };
        updated.push((name.clone(), inner));
    }
    Ok(Value::Record(updated.into()))
}

/// Adds a trained array after the others.
fn add_slot(slots: &mut Vec<Slot>, (net, field, copy): Place, span: Span) -> Res<()> {
    let shown = field.join(".");
    let Some(Value::Tensor(t)) = find(&net.params.borrow(), &field) else {
        return fail("E0702", span, format!("the parameter `{shown}` is not an array"));
    };
    let mut shape = t.shape().to_vec();
    if let Some(copy) = copy {
        if shape.first().is_none_or(|&n| copy >= n) {
            return fail("E0502", span, format!("`{shown}` of shape {shape:?} has no copy {copy}"));
        }
        shape.remove(0);
    }
    let taken =
        |s: &Slot| s.net.id == net.id && s.field == field && (s.copy.is_none() || copy.is_none() || s.copy == copy);
    if slots.iter().any(taken) {
        return fail("E0702", span, format!("`{}.{shown}` is named twice", net.name));
    }
    let offset = slots.last().map_or(0, |last| last.offset + last.len());
    slots.push(Slot { net, field, copy, shape, offset });
    Ok(())
}

/// The parameters that `update` assigns, as parts of the flat vector; those that are not trained are added to it.
fn read_assigned(script: &mut Script, plan: &mut Plan) -> Res<()> {
    for stmt in plan.update.clone() {
        let ast::StmtKind::Assign { place, .. } = &stmt.kind else { continue };
        if plan.states.iter().any(|init| init.binder.name.text == place.root.text)
            || !matches!(script.scope.find(&place.root.text), Some(Value::Net(_)))
        {
            continue;
        }
        let places = slots_of(script, place)?;
        let [(net, field, copy)] = &places[..] else {
            return fail("E0702", place.span, "`update` assigns one array at a time, such as `net.part.W <- e`");
        };
        let same = |s: &Slot| s.net.id == net.id && s.field == *field;
        let known = |slots: &[Slot]| slots.iter().position(|s| same(s) && (s.copy.is_none() || s.copy == *copy));
        if known(&plan.slots).is_none() {
            add_slot(&mut plan.slots, (net.clone(), field.clone(), *copy), place.span)?;
        }
        let slot = &plan.slots[known(&plan.slots).expect("it was added")];
        let (mut offset, mut shape) = (slot.offset, slot.shape.clone());
        if let (None, Some(copy)) = (slot.copy, copy) {
            if shape.first().is_none_or(|n| copy >= n) {
                return fail("E0502", place.span, format!("`{}` has no copy {copy}", field.join(".")));
            }
            shape.remove(0);
            offset += copy * shape.iter().product::<usize>();
        }
        plan.assigned.push(Assigned { span: place.span, offset, shape });
    }
    Ok(())
}

fn positive(script: &mut Script, e: &ast::Expr, what: &str) -> Res<usize> {
    let value = script.eval(e)?;
    let n = static_int(&value, e.span, what)?;
    if n < 1 {
        return fail("E0404", e.span, format!("{what} must be at least 1, this is {n}"));
    }
    Ok(n as usize)
}

fn read(script: &mut Script, train: &ast::Train) -> Res<Plan> {
    let mut slots: Vec<Slot> = Vec::new();
    for path in &train.paths {
        for place in slots_of(script, path)? {
            add_slot(&mut slots, place, path.span)?;
        }
    }
    let mut plan = Plan {
        span: train.span,
        trained: slots.len(),
        slots,
        assigned: Vec::new(),
        data: None,
        lets: Vec::new(),
        states: Vec::new(),
        objectives: Vec::new(),
        counter: None,
        steps: 0,
        steps_per_epoch: None,
        update: Vec::new(),
        record: None,
        keep: None,
        until: None,
    };
    let mut common: Vec<ast::Using> = Vec::new();
    let mut epochs: Option<(usize, Span)> = None;
    let mut steps: Option<usize> = None;
    let mut objectives = Vec::new();
    for clause in &train.clauses {
        match &clause.kind {
            ClauseKind::Each { pattern, data, batch } => {
                let batch = match batch {
                    Some(e) => Some(positive(script, e, "the batch size")?),
                    None => None,
                };
                plan.data = Some(read_data(script, pattern, data, batch, true, clause.span)?);
            }
            ClauseKind::Batch { pattern, data, of } => {
                let batch = Some(positive(script, of, "the batch size")?);
                plan.data = Some(read_data(script, pattern, data, batch, false, clause.span)?);
            }
            ClauseKind::Let(l) => plan.lets.push(l.clone()),
            ClauseKind::State(inits) => plan.states.extend(inits.iter().cloned()),
            ClauseKind::Objective { maximize, value, over, using, repeat } => {
                let repeat = match repeat {
                    Some(e) => positive(script, e, "the number after `repeat`")?,
                    None => 1,
                };
                objectives.push((*maximize, value.clone(), over.clone(), using.clone(), repeat));
            }
            ClauseKind::Using(using) => common.extend(using.iter().cloned()),
            ClauseKind::Epochs { var, count } => {
                epochs = Some((positive(script, count, "the number of epochs")?, clause.span));
                plan.counter = var.clone();
            }
            ClauseKind::Steps { var, count } => {
                let value = script.eval(count)?;
                steps = Some(static_int(&value, count.span, "the number of steps")?.max(0) as usize);
                plan.counter = var.clone();
            }
            ClauseKind::Update(stmts) => plan.update.extend(stmts.iter().cloned()),
            ClauseKind::Record { fields, every } => {
                let every = match every {
                    Some(e) => positive(script, e, "the number after `every`")?,
                    None => 1,
                };
                plan.record = Some(Record { fields: fields.clone(), every });
            }
            ClauseKind::Keep { highest, name, patience } => {
                let patience = match patience {
                    Some(e) => Some(positive(script, e, "the patience")?),
                    None => None,
                };
                plan.keep = Some(Keep { highest: *highest, name: name.clone(), patience });
            }
            ClauseKind::Until(e) => plan.until = Some(e.clone()),
            ClauseKind::Error => return fail("E0201", clause.span, "this clause did not parse"),
        }
    }
    read_assigned(script, &mut plan)?;
    for (maximize, value, over, using, repeat) in objectives {
        let covered: Vec<usize> = if over.is_empty() {
            (0..plan.trained).collect()
        } else {
            let mut covered = Vec::new();
            for path in &over {
                covered.extend(indices_of(script, &plan.slots[..plan.trained], path)?);
            }
            covered
        };
        let using = if using.is_empty() { common.clone() } else { using };
        let groups = read_groups(script, &plan.slots[..plan.trained], covered, &using, train.span)?;
        plan.objectives.push(Objective { maximize, value, groups, repeat });
    }
    if plan.objectives.is_empty() {
        return fail("E0703", train.span, "`train` needs an objective: `minimize ...`");
    }
    if let (Some(keep), Some(record)) = (&plan.keep, &plan.record)
        && &*keep.name.text != "loss"
        && !record.fields.iter().any(|(n, _)| n.text == keep.name.text)
    {
        return fail("E0703", keep.name.span, format!("`{}` is not recorded", keep.name.text));
    }
    if let Some(data) = &plan.data
        && let Source::Arrays { count, .. } = &data.source
    {
        plan.steps_per_epoch = Some((count / data.size().max(1)).max(1));
    }
    plan.steps = match (steps, epochs) {
        (Some(steps), None) => steps,
        (None, Some((epochs, span))) => match plan.steps_per_epoch {
            Some(per) => epochs * per,
            None => return fail("E0703", span, "`epochs` counts passes over arrays; without them say `steps`"),
        },
        (None, None) => return fail("E0703", train.span, "`train` needs `epochs n` or `steps n`"),
        (Some(_), Some((_, span))) => return fail("E0703", span, "`epochs` and `steps` exclude each other"),
    };
    Ok(plan)
}

/// The trained slots under a path.
fn indices_of(script: &mut Script, slots: &[Slot], path: &ast::Path) -> Res<Vec<usize>> {
    let wanted = slots_of(script, path)?;
    let found: Vec<usize> = (0..slots.len())
        .filter(|&i| {
            let slot = &slots[i];
            wanted.iter().any(|(net, field, copy)| {
                net.id == slot.net.id && *field == slot.field && (copy.is_none() || *copy == slot.copy)
            })
        })
        .collect();
    if found.is_empty() {
        return fail("E0702", path.span, "this path is not among the trained ones");
    }
    Ok(found)
}

fn read_groups(
    script: &mut Script,
    slots: &[Slot],
    covered: Vec<usize>,
    using: &[ast::Using],
    span: Span,
) -> Res<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut rest = covered;
    for item in using.iter().filter(|u| u.path.is_some()) {
        let path = item.path.as_ref().expect("filtered");
        let own: Vec<usize> = indices_of(script, slots, path)?.into_iter().filter(|i| rest.contains(i)).collect();
        rest.retain(|i| !own.contains(i));
        if !own.is_empty() {
            groups.push(Group { slots: own, optimizer: item.optimizer.clone() });
        }
    }
    if !rest.is_empty() {
        let Some(default) = using.iter().find(|u| u.path.is_none()) else {
            return fail("E0703", span, "`train` needs an optimizer, such as `using adam(1e-3)`");
        };
        groups.insert(0, Group { slots: rest, optimizer: default.optimizer.clone() });
    }
    Ok(groups)
}

fn read_data(
    script: &mut Script,
    pattern: &ast::Pattern,
    data: &ast::Expr,
    batch: Option<usize>,
    each: bool,
    span: Span,
) -> Res<Data> {
    let value = script.eval(data)?;
    let source = match &value {
        Value::Func(_) | Value::Net(_) => Source::Draw(value.clone()),
        _ => {
            let arrays = if pattern.names.len() == 1 {
                vec![value.clone()]
            } else {
                let lowered = lower_with(&mut script.session, &[], data.span, |ctx, _| {
                    Ok(Value::tuple(ctx.destructure(&value, pattern.names.len())?))
                })?;
                match script.lowered(lowered, data.span)? {
                    Value::Tuple(items) => items.to_vec(),
                    other => vec![other],
                }
            };
            let mut count = None;
            for array in &arrays {
                let shape: Vec<usize> = match array {
                    Value::Tensor(t) => t.shape().to_vec(),
                    other => {
                        return fail(
                            "E0704",
                            data.span,
                            format!("training data are arrays, or a function of a key; found {}", other.describe()),
                        );
                    }
                };
                let Some(&n) = shape.first() else {
                    return fail("E0704", data.span, "training data have a leading axis of samples; this is a scalar");
                };
                if count.is_some_and(|c| c != n) {
                    return fail(
                        "E0704",
                        data.span,
                        format!("the data are taken together: {} samples against {n}", count.unwrap_or(0)),
                    );
                }
                count = Some(n);
            }
            let count = count.unwrap_or(0);
            if count == 0 {
                return fail("E0704", data.span, "there are no samples to train on");
            }
            if let Some(n) = batch
                && n > count
            {
                return fail("E0704", data.span, format!("a batch of {n} from only {count} samples"));
            }
            Source::Arrays { arrays, count }
        }
    };
    Ok(Data { names: pattern.names.clone(), source, batch, each, span })
}

/// The current values of the slots, in order.
pub(crate) fn gather_slots(plan: &Plan, real: dp_runtime::tensor::DType) -> Tensor {
    let mut flat = Vec::with_capacity(plan.total());
    for slot in &plan.slots {
        if let Some(Value::Tensor(t)) = find(&slot.net.params.borrow(), &slot.field) {
            let all = t.to_f64_vec();
            let at = slot.copy.map_or(0, |k| k * slot.len());
            flat.extend_from_slice(&all[at..at + slot.len()]);
        }
    }
    Tensor::from_vec(&[flat.len()], flat).convert(real)
}

/// Writes a flat vector back into the networks.
pub(crate) fn scatter_slots(plan: &Plan, flat: &Tensor) {
    let numbers = flat.to_f64_vec();
    for slot in &plan.slots {
        let part = &numbers[slot.offset..slot.offset + slot.len()];
        let whole = slot.net.params.borrow().clone();
        let updated = replaced(&whole, &slot.field, &mut |value| {
            let Value::Tensor(t) = value else { return Ok(value.clone()) };
            let mut all = t.to_f64_vec();
            let at = slot.copy.map_or(0, |k| k * slot.len());
            all[at..at + slot.len()].copy_from_slice(part);
            Ok(Value::Tensor(Tensor::from_vec(t.shape(), all).convert(t.dtype())))
        });
        if let Ok(updated) = updated {
            *slot.net.params.borrow_mut() = updated;
        }
    }
}
