//! The progress of a training, on the standard error stream: a bar on a terminal, else a line now and then.

use crate::table::format_number;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where a training stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Steps done.
    pub step: u64,
    /// The epoch begun, from 1, and how many there are.
    pub epoch: Option<(u64, u64)>,
    /// What is to be shown, such as `("loss", 0.01)`.
    pub values: &'a [(&'a str, f64)],
}

/// A running display.
pub struct Progress {
    title: String,
    total: Option<u64>,
    first: u64,
    started: Instant,
    shown: Option<Instant>,
    display: Display,
}

enum Display {
    Bar(ProgressBar),
    Lines { out: Box<dyn Write + Send>, next: u64 },
}

/// A line is written at least this often.
const QUIET: Duration = Duration::from_secs(60);
/// The bar's text is made anew at most this often.
const REDRAW: Duration = Duration::from_millis(60);

impl Progress {
    /// Starts the display of `total` steps (if known), of which `first` are done already.
    pub fn start(title: &str, first: u64, total: Option<u64>) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress::lines(title, first, total, Box::new(std::io::stderr()));
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = match total {
            Some(_) => "{prefix} {bar:24.cyan/black.bright} {pos}/{len}  {msg}",
            None => "{prefix} {spinner} {pos}  {msg}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is valid").progress_chars("━╸─");
        bar.set_style(style);
        bar.set_prefix(title.to_string());
        bar.set_position(first);
        Progress::with(title, first, total, Display::Bar(bar))
    }

    /// As `start`, always with lines, to any writer.
    pub fn lines(title: &str, first: u64, total: Option<u64>, out: Box<dyn Write + Send>) -> Progress {
        Progress::with(title, first, total, Display::Lines { next: next_line(first, total), out })
    }

    fn with(title: &str, first: u64, total: Option<u64>, display: Display) -> Progress {
        Progress { title: title.to_string(), total, first, started: Instant::now(), shown: None, display }
    }

    /// Shows where the training stands; cheap when there is nothing to be drawn.
    pub fn report(&mut self, standing: Standing<'_>) {
        let now = Instant::now();
        let since = self.shown.map_or(now - self.started, |shown| now - shown);
        let last = Some(standing.step) == self.total;
        let due = match &self.display {
            Display::Bar(_) => self.shown.is_none() || since >= REDRAW || last,
            Display::Lines { next, .. } => standing.step >= *next || since >= QUIET,
        };
        if !due {
            return;
        }
        self.shown = Some(now);
        let left = self.left(standing.step, now - self.started);
        let text = describe(standing, left);
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_message(text);
                bar.set_position(standing.step);
            }
            Display::Lines { out, next } => {
                let done = match self.total {
                    Some(total) if total > 0 => {
                        format!("{}/{total} ({} %)", standing.step, u128::from(standing.step) * 100 / u128::from(total))
                    }
                    Some(_) | None => standing.step.to_string(),
                };
                // A closed stream is no reason to stop a training.
                let _ = writeln!(out, "{}  step {done}  {text}", self.title);
                *next = next_line(standing.step, self.total);
            }
        }
    }

    /// The time left, once enough is known.
    fn left(&self, step: u64, spent: Duration) -> Option<Duration> {
        let done = step.checked_sub(self.first).filter(|&n| n > 0)?;
        let rest = self.total?.checked_sub(step)?;
        let seconds = spent.as_secs_f64() * (rest as f64 / done as f64);
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Whether someone watches a bar on a terminal.
    pub fn is_bar(&self) -> bool {
        matches!(self.display, Display::Bar(_))
    }

    /// Ends the display; the bar's last state stays visible.
    pub fn finish(self) {
        if let Display::Bar(bar) = self.display {
            bar.abandon();
        }
    }
}

/// The first step after `step` at which a line is due: each tenth of the total, or 1, 2, 5, 10, 20, ...
fn next_line(step: u64, total: Option<u64>) -> u64 {
    match total {
        Some(total) => {
            let tenth = u128::from(step) * 10 / u128::from(total.max(1)) + 1;
            u64::try_from((tenth * u128::from(total)).div_ceil(10)).unwrap_or(u64::MAX).max(step.saturating_add(1))
        }
        None => {
            let mut unit = 1u64;
            loop {
                for candidate in [1, 2, 5].map(|m| unit.saturating_mul(m)) {
                    if candidate > step || candidate == u64::MAX {
                        return candidate;
                    }
                }
                unit = unit.saturating_mul(10);
            }
        }
    }
}

fn describe(standing: Standing<'_>, left: Option<Duration>) -> String {
    let mut parts = Vec::new();
    if let Some((epoch, epochs)) = standing.epoch {
        parts.push(format!("epoch {epoch}/{epochs}"));
    }
    parts.extend(standing.values.iter().map(|(name, value)| format!("{name} {}", format_number(*value))));
    if let Some(left) = left.filter(|left| !left.is_zero()) {
        parts.push(format!("{} left", format_duration(left)));
    }
    parts.join("  ")
}

/// A duration as a person would say it: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn run(first: u64, total: Option<u64>, steps: u64) -> Vec<String> {
        let out = Shared::default();
        let mut progress = Progress::lines("lista", first, total, Box::new(out.clone()));
        for step in first + 1..=steps {
            progress.report(Standing { step, epoch: Some((1, 5)), values: &[("loss", 0.125)] });
        }
        progress.finish();
        let bytes = out.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text").lines().map(str::to_string).collect()
    }

    #[test]
    fn ten_lines_for_a_known_total() {
        let lines = run(0, Some(1000), 1000);
        assert_eq!(lines.len(), 10, "{lines:#?}");
        assert!(lines[0].starts_with("lista  step 100/1000 (10 %)  epoch 1/5  loss 0.125"), "{}", lines[0]);
        assert!(lines[0].ends_with(" left"));
        assert_eq!(lines[9], "lista  step 1000/1000 (100 %)  epoch 1/5  loss 0.125");
        assert_eq!(run(0, Some(7), 7).len(), 7);
        assert_eq!(run(950, Some(1000), 1000).len(), 1);
        assert_eq!(run(0, Some(0), 0).len(), 0);
    }

    #[test]
    fn ever_rarer_lines_for_an_unknown_total() {
        let lines = run(0, None, 120);
        let steps: Vec<&str> = lines.iter().map(|l| l.split(' ').nth(3).expect("a step")).collect();
        assert_eq!(steps, ["1", "2", "5", "10", "20", "50", "100"]);
        assert_eq!(next_line(u64::MAX, None), u64::MAX);
        assert_eq!(next_line(u64::MAX, Some(u64::MAX)), u64::MAX);
    }

    #[test]
    fn durations_read_well() {
        for (seconds, text) in [(0.44, "0.4 s"), (12.9, "12 s"), (185.0, "3 min 05 s"), (7650.0, "2 h 07 min")] {
            assert_eq!(format_duration(Duration::from_secs_f64(seconds)), text);
        }
    }
}
