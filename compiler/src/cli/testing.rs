//! `dp test`: runs the tests of files, one line each, failures with their messages at the end.

use super::arguments::Settings;
use super::terminal::Terminal;
use super::{End, collect_all, finish};
use dp_compiler::driver::{self, Options};
use dp_compiler::script::TestResult;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Runs the tests of files and folders whose names have a text in them.
pub fn run(full: bool, paths: &[PathBuf], name: Option<&str>, settings: &Settings, terminal: &mut Terminal) -> End {
    let Some(files) = collect_all(paths, terminal) else {
        return End::WrongUse;
    };
    dp_runtime::interrupt::install();
    let begun = Instant::now();
    let (mut passed, mut failed) = (0, 0);
    let mut failures = Vec::new();
    let mut rows = Vec::new();
    for file in files {
        let shown = file.display().to_string();
        for options in runs_of(&file, full, settings) {
            let options = Options { only_tests: name.map(str::to_string), ..options };
            let mut quiet = terminal.quiet();
            let start = Instant::now();
            let outcome = driver::run_file(&file, &options, &mut quiet);
            // What is wrong with the file itself, outside its tests.
            let good = finish(&outcome, terminal) == End::Good;
            if !good {
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
            let verdict = if good { "holds" } else { "FAILED" };
            let seconds = format!("{:.1}", start.elapsed().as_secs_f64());
            rows.push(vec![shown.clone(), options.seed.to_string(), verdict.to_string(), seconds]);
        }
    }
    for (name, sources, diagnostic) in &failures {
        terminal.remark(&format!("\n{name}"));
        terminal.diagnostic(sources, diagnostic);
    }
    if full {
        terminal.print(&dp_runtime::table::format_table(&["script", "seed", "claims", "seconds"], &rows));
        let held = rows.iter().filter(|row| row[2] == "holds").count();
        terminal.print(&format!("{held} of {} runs hold what they claim\n", rows.len()));
    }
    let seconds = begun.elapsed().as_secs_f64();
    terminal.print(&format!("{passed} passed, {failed} failed in {seconds:.2} s\n"));
    if failed == 0 { End::Good } else { End::Failed }
}

/// How a script is run by `dp test`: once in its quick form if it has one, or in full with two seeds.
fn runs_of(file: &Path, full: bool, settings: &Settings) -> Vec<Options> {
    let options = || Options { run_tests: true, ..settings.options() };
    if full {
        let seed = options().seed;
        return vec![options(), Options { seed: seed.wrapping_add(1), ..options() }];
    }
    // A script that does not parse is told of when it runs.
    let known = driver::script_args(file).unwrap_or_default();
    let quick = known.iter().filter(|arg| arg.name == "quick").map(|_| ("quick".to_string(), "true".to_string()));
    vec![Options { args: quick.collect(), ..options() }]
}

/// `ok      a.dp: name   1.2 ms`
fn line(verdict: &str, file: &str, name: &str, time: Option<Duration>) -> String {
    let time = time.map(|time| format!("  {:.1} ms", time.as_secs_f64() * 1e3)).unwrap_or_default();
    format!("{verdict:6}  {file}: {name}{time}\n")
}
