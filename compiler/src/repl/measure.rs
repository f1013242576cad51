//! What an expression costs: times of the stages, repeated runs, memory.

use super::Console;
use super::show::{grouped, numbers_in};
use super::workspace::Workspace;
use crate::lower::value::Value;
use crate::lower::{Lowered, Res, lower_expr};
use crate::run::Timings;
use crate::script::Script;
use crate::script::show::{bytes, duration};
use crate::syntax::ast::Expr;
use dp_runtime::interrupt;
use std::time::{Duration, Instant};

/// What was spent since an earlier time, one stage after another on a line.
pub fn stages(now: &Timings, before: &Timings) -> String {
    let stage =
        |name: &str, now: Duration, before: Duration| format!("{name} {}", duration(now.saturating_sub(before)));
    [
        stage("lower", now.lower, before.lower),
        stage("optimize", now.optimize, before.optimize),
        stage("compile", now.compile, before.compile),
        stage("run", now.run, before.run),
    ]
    .join(", ")
}

/// `:time e`: once, with the time of each stage.
pub fn time(workspace: &mut Workspace, e: &Expr, console: &mut dyn Console) {
    let before = workspace.runner.timings.clone();
    let start = Instant::now();
    let Some(value) = workspace.with_script(console, |script| script.eval(e)) else { return };
    let total = start.elapsed();
    console.print(&super::show::result(None, &value, None, console.color()));
    console.print(&format!("{}: {}", duration(total), stages(&workspace.runner.timings, &before)));
}

/// How long repeated runs go on at most, and how many there are.
const BENCH_TIME: Duration = Duration::from_millis(1000);
const BENCH_RUNS: usize = 10_000;

/// `:bench e`: compiled once, run again and again for a second.
pub fn bench(workspace: &mut Workspace, e: &Expr, console: &mut dyn Console) {
    let measured = workspace.with_script(console, |script| {
        let (lowered, compile) = timed(|| lower_expr(&mut script.session, &script.scope, e))?;
        if lowered.graph.eqns.is_empty() {
            return Ok(None);
        }
        let (prepared, more) = timed(|| script.runner.prepare(&lowered.graph, e.span))?;
        // The first run touches memory for the first time.
        script.runner.call(&prepared, &lowered.inputs, e.span)?;
        let mut times = Vec::new();
        let start = Instant::now();
        while times.is_empty() || (start.elapsed() < BENCH_TIME && times.len() < BENCH_RUNS) {
            let (_, time) = timed(|| script.runner.call(&prepared, &lowered.inputs, e.span))?;
            times.push(time);
            if interrupt::requested() {
                break;
            }
        }
        Ok(Some((times, compile + more)))
    });
    match measured {
        None => {}
        Some(None) => console.print("this is known before it runs: nothing is computed"),
        Some(Some((mut times, compile))) => {
            times.sort();
            let at = |part: usize| times[(times.len() - 1) * part / 100];
            console.print(&format!(
                "{} runs: least {}, median {}, 95 % below {}; compiled in {}",
                grouped(times.len()),
                duration(times[0]),
                duration(at(50)),
                duration(at(95)),
                duration(compile)
            ));
        }
    }
}

fn timed<T>(run: impl FnOnce() -> Res<T>) -> Res<(T, Duration)> {
    let start = Instant::now();
    let value = run()?;
    Ok((value, start.elapsed()))
}

/// Lowers and compiles without running.
fn prepared(script: &mut Script, e: &Expr) -> Res<(Lowered, crate::run::Prepared)> {
    let lowered = lower_expr(&mut script.session, &script.scope, e)?;
    let prepared = script.runner.prepare(&lowered.graph, e.span)?;
    Ok((lowered, prepared))
}

/// `:mem e`: the bytes that a run takes.
pub fn memory(workspace: &mut Workspace, e: &Expr, console: &mut dyn Console) {
    // The figures of this expression alone.
    (workspace.runner.timings.arena_bytes, workspace.runner.timings.packed_bytes) = (0, 0);
    let code = workspace.runner.timings.code_bytes;
    let lowered = workspace.with_script(console, |script| prepared(script, e));
    let Some((lowered, prepared)) = lowered else { return };
    let graph = prepared.graph();
    let of_types = |vars: &[crate::ir::graph::Var]| -> u64 {
        vars.iter()
            .map(|var| {
                let ty = graph.ty(*var);
                ty.shape.iter().product::<usize>() as u64 * ty.dtype.size() as u64
            })
            .sum()
    };
    let timings = &workspace.runner.timings;
    let rows = [
        ("inputs", of_types(&graph.params)),
        ("intermediate", timings.arena_bytes),
        ("result", of_types(&graph.results)),
        ("code", (timings.code_bytes - code) as u64),
    ];
    for (name, count) in rows {
        console.print(&format!("{name:<13} {:>12}", bytes(count)));
    }
    console.print(&format!("{:<13} {:>12}", "equations", grouped(graph.count_eqns())));
    let held = numbers_in(&lowered.value);
    if held > 0 {
        console.print(&format!("{:<13} {:>12}", "known before", grouped(held)));
    }
}

/// `:graph e`: the Graph that is compiled.
pub fn graph(workspace: &mut Workspace, e: &Expr, console: &mut dyn Console) {
    let Some((lowered, prepared)) = workspace.with_script(console, |script| prepared(script, e)) else { return };
    if lowered.graph.eqns.is_empty() {
        console.print("this is known before it runs: there is no graph");
        return;
    }
    console.print(crate::ir::text::print_brief(prepared.graph()).trim_end());
}

/// `:shape e`: the type that the result has, found without running.
pub fn shape(workspace: &mut Workspace, e: &Expr, console: &mut dyn Console) {
    let lowered = workspace.with_script(console, |script| lower_expr(&mut script.session, &script.scope, e));
    let Some(lowered) = lowered else { return };
    let leaves: Vec<String> = lowered
        .graph
        .results
        .iter()
        .map(|var| {
            let ty = lowered.graph.ty(*var);
            let kind = crate::lower::value::kind_name(ty.dtype);
            match ty.shape.as_slice() {
                [] => kind.to_string(),
                shape => format!("{kind}[{}]", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
            }
        })
        .collect();
    console.print(&described(&lowered.value, &leaves));
}

/// A template's type, its leaves being known.
fn described(value: &Value, leaves: &[String]) -> String {
    match value {
        Value::Leaf(i) => leaves[*i].clone(),
        Value::Tuple(items) | Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| described(item, leaves)).collect();
            format!("({})", items.join(", "))
        }
        Value::Record(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {}", described(value, leaves))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => super::show::type_of(other).unwrap_or_else(|| other.describe()),
    }
}
