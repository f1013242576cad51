//! Runs a training: batches, steps, records, the best parameters, checkpoints, interruption.

use super::{Data, Plan, Source, gather_slots, graphs, log, scatter_slots};
use crate::diagnostic::Diagnostic;
use crate::ir::graph::Type;
use crate::lower::value::Value;
use crate::lower::{Res, fail};
use crate::run::{Message, Prepared, is_finite};
use crate::script::Script;
use crate::syntax::ast;
use dp_runtime::checkpoint::{self, Checkpoint};
use dp_runtime::plot::terminal::{self, Room};
use dp_runtime::plot::{Curve, Mark, Plot, colours};
use dp_runtime::progress::{Progress, Standing};
use dp_runtime::random;
use dp_runtime::tensor::Tensor;
use serde_json::json;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// A lowered and compiled part, with the tensors that it takes after its own parameters.
struct Part {
    code: Prepared,
    inputs: Vec<Tensor>,
    /// The results of the last two calls, the older ones first: those that are out of use when the next call begins are
    /// written over by it, so that steps do not allocate.
    results: RefCell<[Vec<Tensor>; 2]>,
}

impl Part {
    fn new(script: &mut Script, lowered: crate::lower::Lowered, plan: &Plan) -> Res<Part> {
        let code = script.runner.prepare(&lowered.graph, plan.span)?;
        Ok(Part { code, inputs: lowered.inputs, results: RefCell::default() })
    }

    fn call(&self, script: &mut Script, own: &[Tensor], plan: &Plan) -> Res<Vec<Tensor>> {
        let [older, newer] = &mut *self.results.borrow_mut();
        script.runner.call_into(&self.code, &self.all(own), older, plan.span)?;
        std::mem::swap(older, newer);
        Ok(newer.clone())
    }

    fn all(&self, own: &[Tensor]) -> Vec<Tensor> {
        let mut all = own.to_vec();
        all.extend(self.inputs.iter().cloned());
        all
    }
}

/// Everything that changes from step to step, and is in a checkpoint.
struct Standings {
    step: usize,
    flat: Tensor,
    /// For each objective and group, the states of its optimizer.
    optimizers: Vec<Vec<Tensor>>,
    states: Vec<Tensor>,
    /// Sum and number of losses since the last record.
    loss_sum: f64,
    loss_count: usize,
    last_loss: f64,
    /// Recorded rows: the loss first, then the fields.
    records: Vec<Vec<Tensor>>,
    /// The best value and parameters so far, and records since.
    best: Option<(f64, Tensor)>,
    stale: usize,
    finished: bool,
}

/// How often an unfinished training is saved.
const SAVE_EVERY: Duration = Duration::from_secs(60);

pub(super) fn run(script: &mut Script, plan: &Plan) -> Res<Value> {
    let real = script.session.real;
    let scope = script.scope.clone();
    let base = random::fold_in(random::fold_in(script.session.seed, 0x7472_6169_6e00), u64::from(plan.span.start));

    let lowered = graphs::train_states(&mut script.session, &scope, plan)?;
    let states = tensors(script.lowered(lowered, plan.span)?);
    let state_types: Vec<Type> = states.iter().map(Type::of).collect();

    let mut now = Standings {
        step: 0,
        flat: gather_slots(plan, real),
        optimizers: Vec::new(),
        states,
        loss_sum: 0.0,
        loss_count: 0,
        last_loss: f64::NAN,
        records: Vec::new(),
        best: None,
        stale: 0,
        finished: false,
    };
    let batches = Batches { plan, base, order: RefCell::default() };

    // Compile everything before the first step.
    let mut steps = Vec::new();
    for objective in &plan.objectives {
        for group in &objective.groups {
            let lowered = graphs::optimizer_start(&mut script.session, &scope, plan, objective, group, &state_types)?;
            let part = Part::new(script, lowered, plan)?;
            let own = part.call(script, &common(&now, &batches, 0), plan)?;
            let types: Vec<Type> = own.iter().map(Type::of).collect();
            let lowered =
                graphs::optimizer_step(&mut script.session, &scope, plan, objective, group, &state_types, &types)?;
            steps.push(Part::new(script, lowered, plan)?);
            now.optimizers.push(own);
        }
    }
    let observe = |script: &mut Script, exprs: &[ast::Expr]| -> Res<Option<Part>> {
        if exprs.is_empty() {
            return Ok(None);
        }
        let lowered = graphs::observe(&mut script.session, &scope, plan, &state_types, exprs)?;
        Part::new(script, lowered, plan).map(Some)
    };
    let fields: Vec<ast::Expr> = plan.record.iter().flat_map(|r| r.fields.iter().map(|(_, e)| e.clone())).collect();
    let record = observe(script, &fields)?;
    let until = observe(script, plan.until.as_slice())?;
    let update = if plan.update.is_empty() {
        None
    } else {
        let lowered = graphs::update(&mut script.session, &scope, plan, &state_types)?;
        Some(Part::new(script, lowered, plan)?)
    };

    let name = format!("{}.train-{}", script.checkpoints, plan.span.start);
    if script.resume {
        restore(script, &name, &mut now, plan)?;
    }
    let every =
        plan.record.as_ref().map_or_else(|| plan.steps_per_epoch.unwrap_or(plan.steps / 100).max(1), |r| r.every);
    logged(script, "start", &name, &now, |script, fields| {
        fields.extend(log::settings(script.session.seed, script.session.real, &script.given));
        fields.insert("steps".into(), json!(plan.steps));
        fields.insert("trained".into(), json!(plan.slots[..plan.trained].iter().map(super::Slot::len).sum::<usize>()));
    });
    let mut reason = "steps";
    let mut progress =
        script.out.draws_progress().then(|| Progress::start("train", now.step as u64, Some(plan.steps as u64)));
    let mut saved = Instant::now();
    let single = plan.objectives.len() == 1 && plan.objectives[0].groups.len() == 1 && plan.objectives[0].repeat == 1;

    while now.step < plan.steps && !now.finished {
        let outcome = one_step(script, plan, &steps, update.as_ref(), &batches, &mut now);
        let stop = match outcome {
            Ok(stop) => stop,
            Err(d) if d.code.0 == "E0506" => {
                scatter_slots(plan, &now.flat);
                return Err(interrupted(script, plan, &name, &now));
            }
            Err(d) => {
                scatter_slots(plan, &now.flat);
                return Err(d);
            }
        };
        if now.step.is_multiple_of(every) || now.step == plan.steps {
            let done = take_record(script, plan, record.as_ref(), &batches, &mut now)?;
            if done {
                (now.finished, reason) = (true, "patience");
            }
            logged(script, "record", &name, &now, |_, fields| {
                if let Some(per) = plan.steps_per_epoch {
                    fields.insert("epoch".into(), json!(now.step as f64 / per as f64));
                }
                let names = std::iter::once("loss").chain(record_names(plan));
                for (name, value) in names.zip(now.records.last().into_iter().flatten()) {
                    if let Some(value) = log::json_of(value) {
                        fields.insert(name.to_string(), value);
                    }
                }
            });
        }
        if stop && single && plan.data.as_ref().is_none_or(|d| d.batch.is_none()) {
            (now.finished, reason) = (true, "optimizer");
        }
        if let Some(until) = &until {
            let mut own = common(&now, &batches, now.step - 1);
            own.push(Tensor::scalar_of(real, now.last_loss));
            let rule = until.call(script, &own, plan)?;
            if rule.first().is_some_and(|t| t.to_f64_vec().iter().all(|&v| v != 0.0)) {
                (now.finished, reason) = (true, "until");
            }
        }
        if let Some(progress) = &mut progress {
            let epoch = plan
                .steps_per_epoch
                .map(|per| ((now.step.max(1) - 1) as u64 / per as u64 + 1, plan.steps.div_ceil(per) as u64));
            let best =
                plan.keep.as_ref().zip(now.best.as_ref()).map(|(k, (v, _))| (format!("best {}", k.name.text), *v));
            let mut values = vec![("loss", now.last_loss)];
            values.extend(best.as_ref().map(|(name, value)| (name.as_str(), *value)));
            progress.report(Standing { step: now.step as u64, epoch, values: &values });
        }
        if saved.elapsed() > SAVE_EVERY {
            save(script, &name, &now)?;
            saved = Instant::now();
        }
        if dp_runtime::interrupt::requested() {
            scatter_slots(plan, &now.flat);
            return Err(interrupted(script, plan, &name, &now));
        }
    }
    logged(script, "end", &name, &now, |_, fields| {
        fields.insert("reason".into(), json!(reason));
        if let Some((best, _)) = &now.best {
            fields.insert("best".into(), json!(best));
        }
    });
    if let Some(problem) = script.log.as_mut().and_then(log::Log::problem) {
        let warning = Diagnostic::warning("E0806", plan.span, format!("the log could not be written: {problem}"));
        script.out.message(&Message::Warning(Box::new(warning)));
    }
    if let Some(progress) = progress {
        let on_terminal = progress.is_bar();
        progress.finish();
        if on_terminal && let Some(text) = curve_of_losses(plan, &now, every) {
            script.out.message(&Message::Dump(text));
        }
    }
    now.finished = true;
    let flat = match (&plan.keep, &now.best) {
        (Some(_), Some((_, best))) => best.clone(),
        _ => now.flat.clone(),
    };
    scatter_slots(plan, &flat);
    let checkpoint = checkpoint_of(script, &now);
    script.trained.push(Finished { name, checkpoint });
    result(plan, &now)
}

/// Writes an event to the log, if there is one.
fn logged(
    script: &mut Script,
    event: &str,
    name: &str,
    now: &Standings,
    fill: impl FnOnce(&Script, &mut serde_json::Map<String, serde_json::Value>),
) {
    let Some(mut log) = script.log.take() else { return };
    let mut fields = serde_json::Map::new();
    fill(script, &mut fields);
    log.event(event, name, now.step, fields);
    script.log = Some(log);
}

/// The names of the recorded fields, in the order of a row after the loss.
fn record_names(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.record.iter().flat_map(|r| r.fields.iter().map(|(name, _)| &*name.text))
}

/// The losses that were recorded as a curve for a terminal; none if there are few.
fn curve_of_losses(plan: &Plan, now: &Standings, every: usize) -> Option<String> {
    let losses: Vec<f64> = now.records.iter().map(|row| row[0].item()).collect();
    if losses.len() < 3 {
        return None;
    }
    let steps: Vec<f64> = (1..=losses.len()).map(|i| (i * every).min(now.step) as f64).collect();
    let (low, high) = colours::range(&losses);
    let mut curves = vec![Curve { label: "loss".into(), x: steps.clone(), y: losses, mark: Mark::Line }];
    if let Some(keep) = &plan.keep
        && let Some(at) = record_names(plan).position(|name| name == &*keep.name.text)
        && &*keep.name.text != "loss"
    {
        let kept: Vec<f64> = now.records.iter().map(|row| row[at + 1].item()).collect();
        // Only if both can be read on one axis.
        let (a, b) = colours::range(&kept);
        if a <= high && b >= low {
            curves.push(Curve { label: keep.name.text.to_string(), x: steps, y: kept, mark: Mark::Line });
        }
    }
    let log_y = curves.iter().all(|c| c.y.iter().all(|&v| v > 0.0)) && high > 20.0 * low;
    let plot = Plot { x_label: "step".into(), log_y, curves, ..Plot::default() };
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    terminal::plot(&plot, Room { rows: 10, colour, ..Room::default() }).ok()
}

/// A training that ended, to be saved if a later one in the script is interrupted.
pub struct Finished {
    pub name: String,
    pub checkpoint: Checkpoint,
}

/// Which samples and keys a step uses: a function of seed, place and step only.
struct Batches<'a> {
    plan: &'a Plan,
    base: u64,
    /// The last epoch that was asked for, and the order of its samples.
    order: RefCell<(usize, Vec<i64>)>,
}

impl Batches<'_> {
    fn key(&self, step: usize) -> Tensor {
        Tensor::scalar(random::fold_in(random::fold_in(self.base, 2), step as u64))
    }

    /// The indices of a step's samples: each epoch is a permutation of all, of which the last part that fills no
    /// batch is left out.
    fn indices(&self, step: usize) -> Option<Tensor> {
        let Some(Data { source: Source::Arrays { count, .. }, batch: Some(size), .. }) = &self.plan.data else {
            return None;
        };
        let per = (count / size).max(1);
        let (epoch, within) = (step / per, step % per);
        let (of, order) = &mut *self.order.borrow_mut();
        if *of != epoch || order.is_empty() {
            *of = epoch;
            *order = random::permutation(random::fold_in(random::fold_in(self.base, 1), epoch as u64), *count);
        }
        Some(Tensor::from_vec(&[*size], order[within * size..(within + 1) * size].to_vec()))
    }
}

/// The common parameters of all Graphs at a step.
fn common(now: &Standings, batches: &Batches, step: usize) -> Vec<Tensor> {
    let mut own = vec![now.flat.clone(), Tensor::scalar(step as i64), batches.key(step)];
    own.extend(batches.indices(step));
    own.extend(now.states.iter().cloned());
    own
}

fn one_step(
    script: &mut Script,
    plan: &Plan,
    steps: &[Part],
    update: Option<&Part>,
    batches: &Batches,
    now: &mut Standings,
) -> Res<bool> {
    let mut at = 0;
    let mut stop = false;
    let mut loss = f64::NAN;
    // Written back only when the whole step is done: an interrupted step leaves nothing behind.
    let (mut flat, mut optimizers) = (now.flat.clone(), now.optimizers.clone());
    for (nth, objective) in plan.objectives.iter().enumerate() {
        for _ in 0..objective.repeat {
            for group in 0..objective.groups.len() {
                let part = &steps[at + group];
                let mut own = common(now, batches, now.step);
                own[0] = flat.clone();
                own.extend(optimizers[at + group].iter().cloned());
                let mut outs = part.call(script, &own, plan)?;
                let next = outs.split_off(3);
                let value = outs[1].item();
                if !value.is_finite() || !is_finite(&outs[0]) {
                    let mut origin = script.runner.nan_origin(&part.code, &part.all(&own), plan.span);
                    origin.code = crate::diagnostic::Code("E0701");
                    origin.message = format!("training stopped at step {}: {}", now.step + 1, origin.message);
                    origin.help = Some("lower the learning rate, clip gradients, or guard the expression; the parameters are those before this step".to_string());
                    return Err(Box::new(origin));
                }
                if nth == 0 && group == 0 {
                    loss = value;
                }
                stop |= outs[2].item() != 0.0;
                flat = outs.swap_remove(0);
                optimizers[at + group] = next;
            }
        }
        at += objective.groups.len();
    }
    let mut states = now.states.clone();
    if let Some(update) = update {
        let mut own = common(now, batches, now.step);
        own[0] = flat.clone();
        own.push(Tensor::scalar_of(script.session.real, loss));
        let mut outs = update.call(script, &own, plan)?;
        states = outs.split_off(1);
        flat = outs.swap_remove(0);
    }
    (now.flat, now.optimizers, now.states) = (flat, optimizers, states);
    now.last_loss = loss;
    now.loss_sum += loss;
    now.loss_count += 1;
    now.step += 1;
    Ok(stop)
}

/// Evaluates what is recorded; true if patience has run out.
fn take_record(
    script: &mut Script,
    plan: &Plan,
    record: Option<&Part>,
    batches: &Batches,
    now: &mut Standings,
) -> Res<bool> {
    let real = script.session.real;
    let loss = now.loss_sum / now.loss_count.max(1) as f64;
    (now.loss_sum, now.loss_count) = (0.0, 0);
    let mut row = vec![Tensor::scalar_of(real, loss)];
    if let Some(record) = record {
        let mut own = common(now, batches, now.step - 1);
        own.push(Tensor::scalar_of(real, loss));
        row.extend(record.call(script, &own, plan)?);
    }
    let mut done = false;
    if let Some(keep) = &plan.keep {
        let at = plan.record.iter().flat_map(|r| &r.fields).position(|(n, _)| n.text == keep.name.text);
        let value = &row[at.map_or(0, |i| i + 1)];
        if value.len() != 1 {
            return fail("E0703", keep.name.span, format!("`{}` is not one number", keep.name.text));
        }
        let value = value.item();
        let better = match &now.best {
            Some((best, _)) => (keep.highest && value > *best) || (!keep.highest && value < *best),
            None => value.is_finite(),
        };
        if better {
            now.best = Some((value, now.flat.clone()));
            now.stale = 0;
        } else {
            now.stale += 1;
        }
        done = keep.patience.is_some_and(|n| now.stale >= n);
    }
    now.records.push(row);
    Ok(done)
}

fn interrupted(script: &mut Script, plan: &Plan, name: &str, now: &Standings) -> Box<Diagnostic> {
    let mut diagnostic =
        Diagnostic::error("E0506", plan.span, format!("interrupted after step {} of {}", now.step, plan.steps));
    for finished in &script.trained {
        if let Some(files) = script.sandbox {
            // The one that failed to be written is reported below by the save of the current one.
            let _ = checkpoint::save(files, &finished.name, &finished.checkpoint);
        }
    }
    match save(script, name, now) {
        Ok(true) => diagnostic = diagnostic.help("run the same command with --resume to go on from here"),
        Ok(false) => {}
        Err(problem) => diagnostic.notes.push(problem.message.clone()),
    }
    Box::new(diagnostic)
}

/// Writes a checkpoint; false if the script has no folder or no name for it.
fn save(script: &mut Script, name: &str, now: &Standings) -> Res<bool> {
    let Some(files) = script.sandbox.filter(|_| !script.checkpoints.is_empty()) else { return Ok(false) };
    match checkpoint::save(files, name, &checkpoint_of(script, now)) {
        Ok(()) => Ok(true),
        Err(e) => fail("E0705", crate::source::Span::NONE, format!("the checkpoint could not be written: {e}")),
    }
}

/// What decides the numbers of a training besides the script: its arguments so far, the seed, the precision.
fn settings(script: &Script) -> Vec<(String, String)> {
    let mut settings = vec![
        ("--seed".to_string(), script.session.seed.to_string()),
        ("--precision".to_string(), script.session.real.name().to_string()),
    ];
    settings.extend(script.given.iter().map(|(name, value)| (format!("--{name}"), value.clone())));
    settings
}

/// Says which settings differ from those that a checkpoint was made with; none do if it is `None`.
fn differing(saved: &[(String, String)], now: &[(String, String)]) -> Option<String> {
    let value = |list: &[(String, String)], name: &str| list.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let shown = |value: Option<String>| value.map_or("nothing".to_string(), |v| format!("`{v}`"));
    let mut names: Vec<&String> = now.iter().map(|(name, _)| name).collect();
    names.extend(saved.iter().map(|(name, _)| name).filter(|name| value(now, name).is_none()));
    let different: Vec<String> = names
        .into_iter()
        .filter(|name| value(saved, name) != value(now, name))
        .map(|name| format!("`{name}` was {}, now it is {}", shown(value(saved, name)), shown(value(now, name))))
        .collect();
    (!different.is_empty()).then(|| different.join("; "))
}

fn checkpoint_of(script: &Script, now: &Standings) -> Checkpoint {
    let mut tensors = vec![("flat".to_string(), now.flat.clone())];
    for (i, states) in now.optimizers.iter().enumerate() {
        for (j, state) in states.iter().enumerate() {
            tensors.push((format!("optimizer.{i}.{j}"), state.clone()));
        }
    }
    for (i, state) in now.states.iter().enumerate() {
        tensors.push((format!("state.{i}"), state.clone()));
    }
    for (i, row) in now.records.iter().enumerate() {
        for (j, value) in row.iter().enumerate() {
            tensors.push((format!("record.{i}.{j}"), value.clone()));
        }
    }
    let numbers =
        vec![now.loss_sum, now.loss_count as f64, now.last_loss, now.stale as f64, f64::from(u8::from(now.finished))];
    tensors.push(("numbers".to_string(), Tensor::from_vec(&[numbers.len()], numbers)));
    if let Some((value, best)) = &now.best {
        tensors.push(("best.value".to_string(), Tensor::scalar(*value)));
        tensors.push(("best.flat".to_string(), best.clone()));
    }
    Checkpoint { step: now.step as u64, tensors, metadata: settings(script) }
}

/// Goes back to the last checkpoint of this training, if there is one.
fn restore(script: &mut Script, name: &str, now: &mut Standings, plan: &Plan) -> Res<()> {
    let Some(files) = script.sandbox else { return Ok(()) };
    let recovered = match checkpoint::load_last(files, name) {
        Ok(Some(recovered)) => recovered,
        Ok(None) => return Ok(()),
        Err(e) => return fail("E0705", plan.span, format!("the checkpoint cannot be used: {e}")),
    };
    for refused in &recovered.refused {
        let warning =
            Diagnostic::warning("E0705", plan.span, format!("a damaged checkpoint was passed over: {refused}"));
        script.out.message(&Message::Warning(Box::new(warning)));
    }
    let saved = recovered.checkpoint;
    if let Some(different) = differing(&saved.metadata, &settings(script)) {
        return Err(Box::new(
            Diagnostic::error("E0705", plan.span, format!("the checkpoint was made with other settings: {different}"))
                .help("go on with the settings of the checkpoint, or start again without `--resume`"),
        ));
    }
    let find = |name: &str| saved.tensors.iter().find(|(n, _)| n == name).map(|(_, t)| t.clone());
    let wrong = || {
        fail::<()>(
            "E0705",
            plan.span,
            "the checkpoint belongs to another version of this training: its arrays do not fit",
        )
    };
    let same = |a: &Tensor, b: &Tensor| a.shape() == b.shape() && a.dtype() == b.dtype();
    match find("flat") {
        Some(flat) if same(&flat, &now.flat) => now.flat = flat,
        _ => return wrong(),
    }
    for (i, states) in now.optimizers.iter_mut().enumerate() {
        for (j, state) in states.iter_mut().enumerate() {
            match find(&format!("optimizer.{i}.{j}")) {
                Some(value) if same(&value, state) => *state = value,
                _ => return wrong(),
            }
        }
    }
    for (i, state) in now.states.iter_mut().enumerate() {
        match find(&format!("state.{i}")) {
            Some(value) if same(&value, state) => *state = value,
            _ => return wrong(),
        }
    }
    let width = 1 + plan.record.as_ref().map_or(0, |r| r.fields.len());
    while let Some(row) =
        (0..width).map(|j| find(&format!("record.{}.{j}", now.records.len()))).collect::<Option<Vec<_>>>()
    {
        now.records.push(row);
    }
    if let Some(numbers) = find("numbers") {
        let numbers = numbers.to_f64_vec();
        if let [loss_sum, loss_count, last_loss, stale, finished] = numbers[..] {
            (now.loss_sum, now.loss_count, now.last_loss) = (loss_sum, loss_count as usize, last_loss);
            (now.stale, now.finished) = (stale as usize, finished != 0.0);
        }
    }
    if let (Some(value), Some(best)) = (find("best.value"), find("best.flat")) {
        now.best = Some((value.item(), best));
    }
    now.step = saved.step as usize;
    Ok(())
}

fn tensors(value: Value) -> Vec<Tensor> {
    match value {
        Value::Tuple(items) => items.iter().flat_map(|v| tensors(v.clone())).collect(),
        Value::Tensor(t) => vec![t],
        _ => Vec::new(),
    }
}

/// The record that `train` gives: losses, recorded arrays, states, the number of steps.
fn result(plan: &Plan, now: &Standings) -> Res<Value> {
    let mut fields = Vec::new();
    let column = |j: usize| stack(&now.records.iter().map(|row| row[j].clone()).collect::<Vec<_>>());
    fields.push(("loss".into(), Value::Tensor(column(0))));
    for (j, (name, _)) in plan.record.iter().flat_map(|r| &r.fields).enumerate() {
        if &*name.text != "loss" {
            fields.push((name.text.clone(), Value::Tensor(column(j + 1))));
        }
    }
    for (init, state) in plan.states.iter().zip(&now.states) {
        fields.push((init.binder.name.text.clone(), Value::Tensor(state.clone())));
    }
    fields.push(("steps".into(), Value::Int(now.step as i64)));
    Ok(Value::Record(fields.into()))
}

/// Equal tensors along a new leading axis.
fn stack(rows: &[Tensor]) -> Tensor {
    let Some(first) = rows.first() else { return Tensor::full(dp_runtime::tensor::DType::F64, &[0], 0.0) };
    let mut shape = vec![rows.len()];
    shape.extend(first.shape());
    let all: Vec<f64> = rows.iter().flat_map(Tensor::to_f64_vec).collect();
    Tensor::from_vec(&shape, all).convert(first.dtype())
}
