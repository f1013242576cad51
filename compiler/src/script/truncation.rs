//! How far a truncated derived solver goes on the data that it is called with: `dp check --data`.
//!
//! The passes are run on, doubling their number, until the objective stays where it is: that is its least value, as far as these
//! passes find it. A point outside of the constraints does not count, and of a method that does not fall in every pass the best
//! point so far does. All of it depends on the data alone, not on the time that it takes.

mod paths;
mod tell;

use super::Script;
use crate::diagnostic::Diagnostic;
use crate::lower::Res;
use crate::lower::value::Value;
use crate::lower::watch::Call;
use crate::run::{Runner, cost};
use crate::syntax::ast::Symbol;
use dp_runtime::tensor::DType;
use paths::{Path, Subject};

pub use tell::unknown;

/// Passes that go this part of the way are enough: nothing is said of them.
pub const ENOUGH: f64 = 0.99;
/// Samples of a batch that are looked at: the first ones.
const SAMPLES: usize = 4;
/// Passes in search of the least value, of all samples together. A run is at least twice as long as the truncated one.
const PASSES: usize = 1 << 16;
/// Nanoseconds that the evaluator would take for these passes, by estimation. (Native code is several times as fast.)
const WORK: f64 = 1e10;
/// The objective stays where it is if twice as many passes lower it by less than this part of the way.
const STILL: f64 = 1e-4;

/// How far the passes go. Values are those of an objective that is minimized, as means over the samples.
struct Figures {
    /// The part of the way, as a mean and at worst.
    reached: f64,
    worst: f64,
    /// How many samples were looked at, of how many.
    samples: usize,
    of: usize,
    /// The passes that go 90 and 99 percent of the way.
    need: [Option<usize>; 2],
    first: f64,
    truncated: f64,
    least: f64,
    /// The starts are inside the constraints, and so is a point of the truncated passes.
    from_start: bool,
    inside: bool,
    /// The passes that the least value was looked for in, and whether it stays where it is.
    passes: usize,
    settled: bool,
    /// The part of the way that as many passes of an accelerated form go.
    accelerated: Option<(Symbol, f64)>,
}

/// Looks at a call whose data are values; a warning if its passes stop short, or if that cannot be known.
pub fn look(script: &mut Script, call: &Call) -> Res<Option<Diagnostic>> {
    let Some(solvers) = script.session.watch.as_ref().map(|watch| watch.solvers.clone()) else { return Ok(None) };
    let Some(source) = solvers.get(&call.decl.name.span.file) else { return Ok(None) };
    if let Some(at) = call.args.iter().position(|arg| matches!(arg.value, Value::Blank)) {
        let name = &call.decl.params[at].name.text;
        let reason = format!("the call has no `{name}`: what is computed from it is learned");
        return Ok(Some(unknown(call, &reason)));
    }
    // What these runs have to say is not about the script.
    let mut runner = Runner { engine: script.runner.engine, max_bytes: script.runner.max_bytes, ..Runner::default() };
    let subject = Subject { decl: &call.decl, call, problem: &source.problem };
    let of: usize = call.axes.iter().product();
    let mut samples = of.min(SAMPLES);
    if samples == 0 {
        return Ok(None);
    }
    let mut passes = (2 * call.count).max(256).next_power_of_two();
    let pass = cost::evaluation_with_loops(&subject.lower(script, passes)?.graph) / passes as f64;
    if pass * (passes * samples) as f64 > WORK {
        (samples, passes) = (1, (2 * call.count).max(2));
    }
    let (paths, settled) = loop {
        let paths = subject.paths(script, &mut runner, passes, samples)?;
        let settled = paths.iter().all(|path| stays(path, rounding(script)));
        let next = 2 * passes * samples;
        if settled || next > PASSES || pass * next as f64 > WORK {
            break (paths, settled);
        }
        passes *= 2;
    };
    let mut others = None;
    if let Some((name, decl)) = &source.accelerated {
        let other = Subject { decl, ..subject };
        others = other.paths(script, &mut runner, passes, samples).ok().map(|paths| (name, paths));
    }
    let Some(figures) = figures(&paths, others, rounding(script)) else {
        let inside = if source.problem.constraints.is_empty() { "" } else { " inside the constraints" };
        let reason = format!("the objective has no finite value{inside} in {passes} passes");
        return Ok(Some(unknown(call, &reason)));
    };
    let figures = Figures { of, passes, settled, ..figures };
    Ok((figures.reached < ENOUGH).then(|| tell::short(call, source, &figures)))
}

/// The figures of the samples that have a way to go; `None` if there is no least value. Passes and settings are for the caller.
fn figures(paths: &[Path], others: Option<(&Symbol, Vec<Path>)>, rounding: f64) -> Option<Figures> {
    let other = |i: usize| others.as_ref().map(|(_, paths)| &paths[i]);
    let ways: Vec<(usize, f64, f64)> = paths
        .iter()
        .enumerate()
        .map(|(i, path)| (i, path.first(), other(i).map_or(f64::INFINITY, Path::least).min(path.least())))
        .collect();
    if ways.iter().any(|(_, first, least)| !first.is_finite() || !least.is_finite()) {
        return None;
    }
    let going: Vec<(usize, f64, f64)> = ways
        .iter()
        .copied()
        .filter(|(i, first, least)| {
            // Passes that are still outside have the way to the sets before them.
            first - least > 64.0 * rounding * first.abs().max(least.abs()) || !paths[*i].truncated.is_finite()
        })
        .collect();
    let mean = |value: &dyn Fn(&(usize, f64, f64)) -> f64| going.iter().map(value).sum::<f64>() / going.len() as f64;
    // An accelerated form may start elsewhere in the sets, and a value may be infinite: that is no part of the way.
    let share = |(_, first, least): &(usize, f64, f64), value: f64| match value <= *least {
        true => 1.0,
        false => ((first - value) / (first - least)).clamp(0.0, 1.0),
    };
    let reached = |way: &(usize, f64, f64)| share(way, paths[way.0].truncated);
    let rows = paths[0].best.len();
    let need = |part: f64| {
        (0..rows)
            .find(|&row| mean(&|way| share(way, paths[way.0].best[row])) >= part)
            .map(|row| (row + 1) * paths[0].every)
    };
    let enough = going.is_empty();
    Some(Figures {
        reached: if enough { 1.0 } else { mean(&reached) },
        worst: going.iter().map(reached).fold(1.0, f64::min),
        samples: paths.len(),
        of: 0,
        need: [need(0.9), need(0.99)],
        first: mean(&|way| way.1),
        truncated: mean(&|way| paths[way.0].truncated),
        least: mean(&|way| way.2),
        from_start: going.iter().all(|way| paths[way.0].start.is_finite()),
        inside: going.iter().all(|way| paths[way.0].inside),
        passes: 0,
        settled: false,
        accelerated: others
            .as_ref()
            .map(|(name, others)| ((*name).clone(), mean(&|way| share(way, others[way.0].truncated)))),
    })
}

/// Twice as many passes change nothing. `rounding` is the distance of 1 to the next number.
fn stays(path: &Path, rounding: f64) -> bool {
    let half = path.best[(path.best.len() / 2).saturating_sub(1)];
    let (first, least) = (path.first(), path.least());
    half - least <= (STILL * (first - least)).max(16.0 * rounding * least.abs())
}

fn rounding(script: &Script) -> f64 {
    match script.session.real {
        DType::F32 => f64::from(f32::EPSILON),
        _ => f64::EPSILON,
    }
}
