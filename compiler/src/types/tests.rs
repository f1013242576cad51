//! Small programs, right and wrong, and the programs that the language was designed on.

mod programs;
mod right;
mod wrong;

use super::{Env, check_module};
use crate::diagnostic::{Diagnostic, render::render};
use crate::source::SourceMap;
use crate::syntax::parse_text;

/// Functions that the programs use and a small library would define.
const LIBRARY: &str = "
fn soft(v: real, t: real) = sign(v) * max(abs(v) - t, 0)
derivative soft(v, t; dv, dt) -> y = where(y != 0, dv - sign(y) * dt, 0)
prox norm1(v; t) = soft(v, t)
fn relu(v: real) = max(v, 0)
fn log10(x: real) = log(x) / 2.302585092994046
fn unit(v: real[n]) = v / where(norm(v) > 0, norm(v), 1)
fn unit_columns(A: real[m, n]) = A / sqrt(sum(A * A, axis: 0))
fn glorot(k: key, shape: int[r]) = normal(shape, key: k) / sqrt(sum(shape))
fn psnr(u: real[h, w], v: real[h, w]) = -10 * log10(mean((u - v)^2))
solver adam(f: fn(real[p]) -> real, x0: real[p], lr: real = 1e-3) -> x {
    state x: real[p] = x0, m: real[p] = 0, v: real[p] = 0
    step k {
        let g = grad(f)(x)
        m <- 0.9 * m + 0.1 * g
        v <- 0.999 * v + 0.001 * g^2
        x <- x - lr * m / (1 - 0.9^(k + 1)) / (sqrt(v / (1 - 0.999^(k + 1))) + 1e-8)
    }
}
solver lbfgs(f: fn(real[p]) -> real, x0: real[p]) -> x {
    state x: real[p] = x0
    step x <- x - grad(f)(x)
}
";

/// The library's environment.
fn library(sources: &mut SourceMap) -> Env {
    let mut env = Env::new();
    let diagnostics = check_in(&mut env, sources, "library.dp", LIBRARY);
    assert!(diagnostics.is_empty(), "{}", show(sources, &diagnostics));
    env
}

/// What is wrong in a text; it must parse.
fn check_in(env: &mut Env, sources: &mut SourceMap, name: &str, text: &str) -> Vec<Diagnostic> {
    let (module, mistakes) = parse_text(sources, name, text);
    assert!(mistakes.is_empty(), "{}", show(sources, &mistakes));
    check_module(env, &module)
}

/// What is wrong in a program that uses the library.
fn check(text: &str) -> (SourceMap, Env, Vec<Diagnostic>) {
    let mut sources = SourceMap::default();
    let mut env = library(&mut sources);
    let diagnostics = check_in(&mut env, &mut sources, "test.dp", text);
    (sources, env, diagnostics)
}

fn show(sources: &SourceMap, diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| render(sources, diagnostic, false)).collect()
}

/// Checks a program in which nothing is wrong; its names.
#[track_caller]
fn accept(text: &str) -> Env {
    let (sources, env, diagnostics) = check(text);
    assert!(diagnostics.is_empty(), "{}", show(&sources, &diagnostics));
    env
}

/// One mistake: its code, words of its message, the texts under its labels, and words of its help.
struct Mistake<'a> {
    code: &'a str,
    words: &'a [&'a str],
    labels: &'a [&'a str],
    help: Option<&'a str>,
}

/// Checks a program with one mistake.
#[track_caller]
fn refuse(text: &str, mistake: Mistake) {
    let (sources, _, diagnostics) = check(text);
    let shown = show(&sources, &diagnostics);
    assert_eq!(diagnostics.len(), 1, "one mistake is to be told:\n{shown}");
    let diagnostic = &diagnostics[0];
    assert_eq!(diagnostic.code.0, mistake.code, "{shown}");
    for word in mistake.words {
        assert!(diagnostic.message.contains(word), "`{word}` is not in the message:\n{shown}");
    }
    let labels: Vec<&str> = diagnostic.labels.iter().map(|label| sources.text(label.span)).collect();
    assert_eq!(labels, mistake.labels, "{shown}");
    match (mistake.help, &diagnostic.help) {
        (Some(wanted), Some(help)) => assert!(help.contains(wanted), "`{wanted}` is not in the help:\n{shown}"),
        (Some(wanted), None) => panic!("`{wanted}` is not in the help:\n{shown}"),
        (None, _) => {}
    }
}

/// The type of a top-level name after a program.
#[track_caller]
fn type_of(text: &str, name: &str) -> String {
    let env = accept(text);
    env.type_of_name(name).unwrap_or_else(|| panic!("no `{name}`"))
}
