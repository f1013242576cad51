//! Every problem of the repository, derived: its LaTeX is balanced, and what `--explain` tries comes out as it must.

use crate::harness::{complaints_of, expect_none, files_below, root};
use dp_compiler::diagnostic::render::render;
use dp_compiler::driver::{DeriveOptions, derive_file};
use dp_compiler::source::SourceMap;
use dp_compiler::syntax;
use dp_compiler::syntax::ast::ItemKind;
use std::path::{Path, PathBuf};

/// The problems at the top level of the files of a folder.
fn problems(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for path in files_below(&root().join(folder), "dp") {
        let text = std::fs::read_to_string(&path).expect("the file can be read");
        let (module, _) = syntax::parse_text(&mut SourceMap::default(), "file.dp", &text);
        for item in module.items {
            if let ItemKind::Problem(problem) = item.kind {
                found.push((path.clone(), problem.name.text.to_string()));
            }
        }
    }
    found
}

/// On a thread with the stack that `dp` has.
fn derived(path: &Path, options: DeriveOptions) -> Result<String, String> {
    let path = path.to_path_buf();
    let work = move || match derive_file(&path, &options) {
        Ok((text, _)) => Ok(text),
        Err(outcome) => Err(outcome.diagnostics.iter().map(|d| render(&outcome.sources, d, false)).collect()),
    };
    let thread = std::thread::Builder::new().stack_size(256 << 20).spawn(work).expect("a thread starts");
    thread.join().expect("a derivation ends")
}

/// The first thing in a text that LaTeX would refuse: brackets, `\left` and `\right`, environments, double scripts.
fn unbalanced(text: &str) -> Option<String> {
    let mut open: Vec<String> = Vec::new();
    let mut rest = text;
    // What the last atom has above and below it.
    let mut scripts: Vec<(bool, bool)> = vec![(false, false)];
    while let Some(c) = rest.chars().next() {
        let word: String = match c {
            '\\' => {
                let letters: String = rest[1..].chars().take_while(char::is_ascii_alphabetic).collect();
                if letters.is_empty() { rest.chars().take(2).collect() } else { format!("\\{letters}") }
            }
            c => c.to_string(),
        };
        rest = &rest[word.len()..];
        match word.as_str() {
            "{" => {
                open.push("}".to_string());
                scripts.push((false, false));
            }
            "\\left" => {
                open.push("\\right".to_string());
                scripts.push((false, false));
            }
            "\\begin" | "\\end" => {
                let name =
                    rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(name, _)| name.to_string());
                let Some(name) = name else { return Some("an environment without a name".to_string()) };
                rest = &rest[name.len() + 2..];
                if word == "\\begin" {
                    open.push(name);
                    scripts.push((false, false));
                } else if open.pop() != Some(name.clone()) {
                    return Some(format!("\\end{{{name}}} closes nothing"));
                } else {
                    scripts.pop();
                }
            }
            "}" | "\\right" => {
                if open.pop().as_deref() != Some(&word) {
                    return Some(format!(
                        "`{word}` closes nothing before `{}`",
                        rest.chars().take(30).collect::<String>()
                    ));
                }
                scripts.pop();
            }
            "^" | "_" => {
                let last = scripts.last_mut().expect("one for each bracket, and one for all");
                let taken = if word == "^" { &mut last.0 } else { &mut last.1 };
                if std::mem::replace(taken, true) {
                    return Some(format!("two scripts before `{}`", rest.chars().take(30).collect::<String>()));
                }
                // What it takes: a group, or one sign.
                let brace = rest.starts_with('{');
                if !brace {
                    let sign: usize = match rest.strip_prefix('\\') {
                        Some(command) => 1 + command.chars().take_while(char::is_ascii_alphabetic).count(),
                        None => rest.chars().next().map_or(0, char::len_utf8),
                    };
                    rest = &rest[sign..];
                }
                continue;
            }
            // The bracket after `\left` or `\right` is a part of it; blanks change nothing.
            " " | "\n" => continue,
            _ => {}
        }
        // A new atom: `{..}` after a script is none.
        let script = word == "}" && {
            let last = scripts.last().expect("one for each bracket, and one for all");
            last.0 || last.1
        };
        if !script && word != "{" && word != "\\left" {
            *scripts.last_mut().expect("one for each bracket, and one for all") = (false, false);
        }
    }
    open.pop().map(|left| format!("`{left}` is missing at the end"))
}

#[test]
fn the_check_of_latex_sees_mistakes() {
    for good in ["a_{i}^{2} b^2", "\\left( x \\right)^{2}", "\\begin{align*} \\{ \\end{align*}", "x^{a^{b}}_c"] {
        assert_eq!(unbalanced(good), None, "{good}");
    }
    for bad in
        ["a_{i", "a}", "\\left( x", "\\begin{a} \\end{b}", "{ \\left( } \\right)", "x^{a}^{b}", "x_a_b", "\\right)"]
    {
        assert!(unbalanced(bad).is_some(), "{bad}");
    }
}

#[test]
fn every_problem_is_set_in_latex() {
    let mut all = Vec::new();
    ["std", "examples", "tests/run", "tests/reference", "tests/programs"]
        .into_iter()
        .for_each(|folder| all.extend(problems(folder)));
    let set = std::sync::atomic::AtomicUsize::new(0);
    expect_none(&complaints_of(&all, |(path, problem)| {
        for layer in [false, true] {
            let options = DeriveOptions { problem: problem.clone(), layer, latex: true, ..DeriveOptions::default() };
            // Some are written to be refused, or need a method that is named.
            let Ok(text) = derived(path, options) else { continue };
            set.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if let Some(mistake) = unbalanced(&text) {
                return Err(format!("{}: {problem}: {mistake}\n{text}", path.display()));
            }
        }
        Ok(())
    }));
    assert!(set.into_inner() > 40, "most problems are derived without a method");
}

#[test]
fn an_untrained_network_is_the_truncated_solver() {
    let folder = root().join("tests/run/derive");
    let cases = [
        ("lasso.dp", "lasso", Some("proximal_gradient"), true),
        ("lasso.dp", "lasso", None, false),
        ("lasso.dp", "nonnegative", Some("proximal_gradient"), true),
        ("learning.dp", "weighted", Some("proximal_gradient"), true),
    ];
    expect_none(&complaints_of(&cases, |(file, problem, method, layer)| {
        let options = DeriveOptions {
            problem: problem.to_string(),
            method: method.map(str::to_string),
            layer: *layer,
            explain: true,
            ..DeriveOptions::default()
        };
        let told = derived(&folder.join(file), options)?;
        let same = told.contains("4 untrained layers differ from 4 passes by 0, with parameters of their own by 0");
        let reaches = told.contains("some passes go: 1: ") && told.contains("64: ");
        if same && reaches { Ok(()) } else { Err(format!("{file}: {problem}:\n{told}")) }
    }));
}
