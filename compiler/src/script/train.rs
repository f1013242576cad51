//! `train`: a loop over parameters. Each step's arithmetic is one compiled Graph; this file reads the clauses,
//! `graphs` lowers them, `step` runs them.

mod graphs;
mod step;

pub use step::Finished;

use super::Script;
use crate::lower::value::{Net, Value, static_int};
use crate::lower::{Res, fail, lower_with};
use crate::source::Span;
use crate::syntax::ast::{self, ClauseKind, PathPart, Symbol};
use dp_runtime::tensor::Tensor;
use std::rc::Rc;

/// One trained array: a parameter of a network, or one copy of an `each` parameter.
pub(crate) struct Slot {
    pub net: Rc<Net>,
    pub field: Symbol,
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
    let plan = read(script, train)?;
    step::run(script, &plan)
}

/// A network, one of its parameters, and which copy of it.
type Place = (Rc<Net>, Symbol, Option<usize>);

/// The places that a path covers.
fn slots_of(script: &mut Script, path: &ast::Path) -> Res<Vec<Place>> {
    let Some(Value::Net(net)) = script.scope.find(&path.root.text) else {
        return fail("E0702", path.span, format!("`train` works on networks; `{}` is none", path.root.text));
    };
    let fields: Vec<Symbol> = match &*net.params.borrow() {
        Value::Record(fields) => fields.iter().map(|(n, _)| n.clone()).collect(),
        _ => Vec::new(),
    };
    match &path.parts[..] {
        [] => Ok(fields.into_iter().map(|f| (net.clone(), f, None)).collect()),
        [PathPart::Field(name), rest @ ..] => {
            if !fields.contains(&name.text) {
                let names: Vec<String> = fields.iter().map(|f| format!("`{f}`")).collect();
                return fail(
                    "E0702",
                    name.span,
                    format!("network `{}` has no parameter `{}`; it has {}", net.name, name.text, names.join(", ")),
                );
            }
            let copy = match rest {
                [] => None,
                [PathPart::Index(indices)] if indices.len() == 1 => match &indices[0] {
                    ast::Index::At(e) => {
                        let value = script.eval(e)?;
                        Some(static_int(&value, e.span, "this index")?.max(0) as usize)
                    }
                    ast::Index::Range { span, .. } => return fail("E0702", *span, "a path names one copy: `net.k[s]`"),
                },
                _ => return fail("E0702", path.span, "a path is a network, `net.name` or `net.name[k]`"),
            };
            Ok(vec![(net, name.text.clone(), copy)])
        }
        _ => fail("E0702", path.span, "a path is a network, `net.name` or `net.name[k]`"),
    }
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
    let mut offset = 0;
    for path in &train.paths {
        for (net, field, copy) in slots_of(script, path)? {
            let value = net.params.borrow().field(&field).cloned();
            let Some(Value::Tensor(t)) = value else {
                return fail("E0702", path.span, format!("the parameter `{field}` is not an array"));
            };
            let mut shape = t.shape().to_vec();
            if let Some(copy) = copy {
                if shape.first().is_none_or(|&n| copy >= n) {
                    return fail("E0502", path.span, format!("`{field}` of shape {shape:?} has no copy {copy}"));
                }
                shape.remove(0);
            }
            if slots.iter().any(|s| {
                s.net.id == net.id && s.field == field && (s.copy.is_none() || copy.is_none() || s.copy == copy)
            }) {
                return fail("E0702", path.span, format!("`{}.{field}` is named twice", net.name));
            }
            let slot = Slot { net, field, copy, shape, offset };
            offset += slot.len();
            slots.push(slot);
        }
    }
    let mut plan = Plan {
        span: train.span,
        slots,
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
    for (maximize, value, over, using, repeat) in objectives {
        let covered: Vec<usize> = if over.is_empty() {
            (0..plan.slots.len()).collect()
        } else {
            let mut covered = Vec::new();
            for path in &over {
                covered.extend(indices_of(script, &plan.slots, path)?);
            }
            covered
        };
        let using = if using.is_empty() { common.clone() } else { using };
        let groups = read_groups(script, &plan.slots, covered, &using, train.span)?;
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
        if let Some(Value::Tensor(t)) = slot.net.params.borrow().field(&slot.field) {
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
        let mut params = slot.net.params.borrow_mut();
        let Value::Record(fields) = &*params else { continue };
        let fields: Vec<(Symbol, Value)> = fields
            .iter()
            .map(|(name, value)| {
                let Value::Tensor(t) = value else { return (name.clone(), value.clone()) };
                if *name != slot.field {
                    return (name.clone(), value.clone());
                }
                let mut all = t.to_f64_vec();
                let at = slot.copy.map_or(0, |k| k * slot.len());
                all[at..at + slot.len()].copy_from_slice(part);
                (name.clone(), Value::Tensor(Tensor::from_vec(t.shape(), all).convert(t.dtype())))
            })
            .collect();
        *params = Value::Record(fields.into());
    }
}
