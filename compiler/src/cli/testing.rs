//! `dp test`: runs the tests of files, one line each, failures with their messages at the end.

use super::arguments::Settings;
use super::terminal::Terminal;
use super::{End, collect_all, finish};
use dp_compiler::driver::{self, Options};
use dp_compiler::script::TestResult;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Runs the tests of files and folders whose names have a text in them.
pub fn run(paths: &[PathBuf], name: Option<&str>, settings: &Settings, terminal: &mut Terminal) -> End {
    let Some(files) = collect_all(paths, terminal) else {
        return End::WrongUse;
    };
    dp_runtime::interrupt::install();
    let start = Instant::now();
    let (mut passed, mut failed) = (0, 0);
    let mut failures = Vec::new();
    for file in files {
        let only = name.map(str::to_string);
        let options = Options { run_tests: true, only_tests: only, ..settings.options() };
        let mut quiet = terminal.quiet();
        let outcome = driver::run_file(&file, &options, &mut quiet);
        let shown = file.display().to_string();
        // What is wrong with the file itself, outside its tests.
        if finish(&outcome, terminal) != End::Good {
            failed += 1;
            terminal.print(&line("FAILED", &shown, "the file itself", None));
        }
        for TestResult { name, failure, time, .. } in &outcome.tests {
            let verdict = if failure.is_none() { "ok" } else { "FAILED" };
            terminal.print(&line(verdict, &shown, name, Some(*time)));
            match failure {
                None => passed += 1,
                Some(diagnostic) => {
                    failed += 1;
                    failures.push((format!("{shown}: {name}"), outcome.sources.clone(), diagnostic.clone()));
                }
            }
        }
        if dp_runtime::interrupt::requested() {
            return End::Interrupted;
        }
    }
    for (name, sources, diagnostic) in &failures {
        terminal.remark(&format!("\n{name}"));
        terminal.diagnostic(sources, diagnostic);
    }
    let seconds = start.elapsed().as_secs_f64();
    terminal.print(&format!("{passed} passed, {failed} failed in {seconds:.2} s\n"));
    if failed == 0 { End::Good } else { End::Failed }
}

/// `ok      a.dp: name   1.2 ms`
fn line(verdict: &str, file: &str, name: &str, time: Option<Duration>) -> String {
    let time = time.map(|time| format!("  {:.1} ms", time.as_secs_f64() * 1e3)).unwrap_or_default();
    format!("{verdict:6}  {file}: {name}{time}\n")
}
