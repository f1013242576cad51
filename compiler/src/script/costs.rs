//! `compare_costs(ways, x)`: what several ways to compute the same cost, as a table.
//!
//! Times are no part of any value: what a script computes stays the same from run to run.

use super::Script;
use super::effects::Args;
use super::show::{bytes, duration};
use crate::lower::value::Value;
use crate::lower::{Res, fail, lower_with};
use crate::source::Span;
use dp_runtime::interrupt;
use dp_runtime::tensor::DType;
use std::time::{Duration, Instant};

/// How long one way is run at most, once it has run three times.
const TIME: Duration = Duration::from_millis(200);
const RUNS: usize = 1000;

/// One way: its results, the median time of a run, and the bytes of memory for intermediate values.
struct Cost {
    name: String,
    result: Vec<f64>,
    time: Duration,
    bytes: u64,
}

impl Script<'_> {
    /// Runs each function of a record at the same arguments and prints a table: the relative difference of its result from that of the
    /// field `to:` (the last), the median time of a run, the memory for intermediate values. Fields that are no functions are left out.
    pub(super) fn compare_costs(&mut self, mut args: Args) -> Res<Value> {
        let span = args.span;
        let to = args.text("to")?;
        args.done("compare_costs(ways, x, to: \"name\")")?;
        let Some(((ways, at), inputs)) = args.positional.split_first() else {
            return fail("E0321", span, "`compare_costs(ways, x)` takes a record of functions and their arguments");
        };
        let Value::Record(fields) = ways else {
            let found = ways.describe();
            return fail("E0310", *at, format!("the ways to compare are a record of functions, found {found}"));
        };
        let functions: Vec<_> = fields.iter().filter(|(_, f)| matches!(f, Value::Func(_) | Value::Net(_))).collect();
        let reference = match &to {
            Some(name) => functions.iter().position(|(known, _)| **known == **name),
            None => functions.len().checked_sub(1),
        };
        let Some(reference) = reference else {
            let names: Vec<&str> = functions.iter().map(|(name, _)| &**name).collect();
            let wanted = to.map_or("a function".to_string(), |name| format!("the function `{name}`"));
            return fail(
                "E0302",
                *at,
                format!("the record does not have {wanted}; its functions: {}", names.join(", ")),
            );
        };
        let values: Vec<Value> = inputs.iter().map(|(value, _)| value.clone()).collect();
        let mut costs = Vec::new();
        for (name, f) in functions {
            costs.push(self.cost(name, f, &values, span)?);
        }
        let expected = costs[reference].result.clone();
        let wide = costs.iter().map(|cost| cost.name.chars().count()).max().unwrap_or(0);
        self.out.line(&format!("{:wide$}  {:>10}  {:>10}  {:>10}", "", "difference", "time", "memory"));
        for cost in &costs {
            let (time, bytes) = (duration(cost.time), bytes(cost.bytes));
            let error = format!("{:.1e}", difference(&cost.result, &expected));
            self.out.line(&format!("{:wide$}  {error:>10}  {time:>10}  {bytes:>10}", cost.name));
        }
        Ok(Value::Unit)
    }

    fn cost(&mut self, name: &str, f: &Value, inputs: &[Value], span: Span) -> Res<Cost> {
        let lowered = lower_with(&mut self.session, &[], span, |ctx, _| ctx.call_plain(f, inputs))?;
        let prepared = self.runner.prepare(&lowered.graph, span)?;
        // The first run touches memory for the first time.
        let outs = self.runner.call(&prepared, &lowered.inputs, span)?;
        let result = outs.iter().filter(|x| x.dtype() != DType::Key).flat_map(|x| x.to_f64_vec()).collect();
        let (mut times, begin) = (Vec::new(), Instant::now());
        while times.len() < 3 || (begin.elapsed() < TIME && times.len() < RUNS) {
            let start = Instant::now();
            self.runner.call(&prepared, &lowered.inputs, span)?;
            times.push(start.elapsed());
            if interrupt::requested() {
                break;
            }
        }
        times.sort();
        let bytes = prepared.executable().map_or(0, |code| code.arena_bytes() as u64);
        Ok(Cost { name: name.to_string(), result, time: times[times.len() / 2], bytes })
    }
}

/// The norm of the difference relative to that of the expected numbers, where this is not 0.
fn difference(found: &[f64], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|v| v * v).sum::<f64>().sqrt();
    let size = norm(&mut expected.iter().copied());
    norm(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / if size > 0.0 { size } else { 1.0 }
}
