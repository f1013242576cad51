//! The words for how far truncated passes go.

use super::Figures;
use crate::derive::expand::Source;
use crate::diagnostic::Diagnostic;
use crate::lower::watch::Call;

/// The warning of passes that stop short.
pub fn short(call: &Call, source: &Source, figures: &Figures) -> Diagnostic {
    let problem = &source.problem;
    let (count, name) = (passes(call.count), &problem.name.text);
    let greatest = if problem.maximize { "greatest" } else { "least" };
    let message = match figures.truncated.is_finite() {
        true => format!(
            "{} {} of the way to the {greatest} value of `{name}` on this data",
            goes(call.count),
            percent(figures.reached)
        ),
        false => format!("after {count} a point is still outside of the constraints of `{name}` on this data"),
    };
    let worst = match figures.samples {
        1 => String::new(),
        _ => format!("{} at worst; ", percent(figures.worst)),
    };
    let [most, nearly_all] = figures.need.map(|need| match need {
        Some(count) => passes(count),
        None => format!("more than {}", passes(figures.passes)),
    });
    let here = format!("{worst}90 % takes {most}, 99 % takes {nearly_all}");
    let sign = if problem.maximize { -1.0 } else { 1.0 };
    let after = match figures.truncated.is_finite() {
        true => format!("{} after {count}, ", number(sign * figures.truncated)),
        false => String::new(),
    };
    let mut values = format!(
        "the objective is {} at the start, {after}{} at the {greatest}",
        number(sign * figures.first),
        number(sign * figures.least)
    );
    match (figures.samples, figures.of) {
        (1, 1) => {}
        (1, of) => values += &format!(", on the first of {of} samples"),
        (samples, of) if samples == of => values += &format!(", as means of {samples} samples"),
        (samples, of) => values += &format!(", as means of the first {samples} of {of} samples"),
    }
    let mut diagnostic = Diagnostic::warning("E0358", call.span, message).here(here).note(values);
    if !figures.from_start {
        diagnostic = diagnostic
            .note("the start is outside of the constraints: the way is counted from the first pass that meets them");
    }
    if !figures.inside && figures.truncated.is_finite() {
        diagnostic = diagnostic.note("no point of these passes is inside of the constraints");
    }
    if !source.convex {
        diagnostic = diagnostic.note(format!(
            "the objective is not known to be convex: the {greatest} value is that where these passes end"
        ));
    }
    if !figures.settled {
        diagnostic = diagnostic.note(format!(
            "the objective still changes after {}: the {greatest} value may be further off, and the share less",
            passes(figures.passes)
        ));
    }
    diagnostic.help(help(call, figures))
}

/// What to do.
fn help(call: &Call, figures: &Figures) -> String {
    let mut ways = Vec::new();
    if let Some(need) = figures.need[1] {
        ways.push(format!("unroll it for {}", passes(need)));
    }
    let further = |share: &f64| percent(*share) != percent(figures.reached) && *share > figures.reached;
    if let Some((method, share)) = figures.accelerated.as_ref().filter(|(_, share)| further(share)) {
        ways.push(format!("derive it `by {method}`, of which {} {}", goes(call.count), percent(*share)));
    }
    ways.push(match call.learned {
        true => "train it: this is how far it goes untrained".to_string(),
        false => "learn it, `network NAME = unroll .. learn ..`: trained layers go further".to_string(),
    });
    ways.join("; or ")
}

/// The warning of passes whose way is not known.
pub fn unknown(call: &Call, reason: &str) -> Diagnostic {
    let message = format!("it is not known how far {} on this data", goes(call.count));
    Diagnostic::warning("E0358", call.span, message).here("not measured").note(reason)
}

fn passes(count: usize) -> String {
    if count == 1 { "1 pass".to_string() } else { format!("{count} passes") }
}

fn goes(count: usize) -> String {
    format!("{} {}", passes(count), if count == 1 { "goes" } else { "go" })
}

/// Rounded down, so that 98.99 is not 99.
fn percent(share: f64) -> String {
    format!("{:.1} %", (1000.0 * share).floor() / 10.0)
}

fn number(value: f64) -> String {
    let value = format!("{value:.4e}").parse::<f64>().unwrap_or(value);
    if value == 0.0 || (1e-4..1e7).contains(&value.abs()) { format!("{value}") } else { format!("{value:e}") }
}
