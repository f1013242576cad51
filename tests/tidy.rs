//! House rules, held as tests.

use crate::harness::{expect_none, files_below, root};
use dp_compiler::diagnostic::codes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["compiler", "runtime", "tests"] {
        files.extend(files_below(&root().join(folder), "rs"));
    }
    read(&files)
}

/// Paths below the repository's folder, and texts.
fn read(files: &[PathBuf]) -> Vec<(String, String)> {
    let name = |path: &Path| path.strip_prefix(root()).expect("below the repository").display().to_string();
    files.iter().map(|path| (name(path), std::fs::read_to_string(path).expect("sources are text"))).collect()
}

/// The lines that are code, with their numbers: comments, strings over several lines and tests aside.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let library = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    library.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether a line has a word.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| !part(line[..at].chars().next_back()) && !part(line[at + word.len()..].chars().next()))
}

#[test]
fn every_source_file_begins_with_its_purpose() {
    let complaints: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(name, _)| format!("{name} does not begin with a `//!` comment"))
        .collect();
    expect_none(&complaints);
}

#[test]
fn libraries_print_nothing() {
    let mut complaints = Vec::new();
    for (name, text) in sources() {
        if name.starts_with("tests/")
            || name.contains("/tests/")
            || name.contains("/benches/")
            || name.starts_with("compiler/src/cli")
        {
            continue;
        }
        for (line, code) in code_lines(&text) {
            if ["println!", "print!", "eprintln!", "eprint!", "dbg!"].iter().any(|word| has_word(code, word)) {
                complaints.push(format!("{name}:{line} prints: {}", code.trim()));
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    let rooms = [
        "compiler/src/codegen/jit.rs",
        "runtime/src/abi",
        "runtime/src/align.rs",
        "runtime/src/kernels",
        "runtime/src/pool",
    ];
    // An allocator can be counted only by being one.
    let rooms = [&rooms[..], &["compiler/tests/allocations.rs"]].concat();
    let mut complaints = Vec::new();
    for (name, text) in sources() {
        if rooms.iter().any(|room| name.starts_with(room)) || name == "tests/tidy.rs" {
            continue;
        }
        for (line, code) in code_lines(&text) {
            if has_word(code.split("//").next().unwrap_or(code), "unsafe") {
                complaints.push(format!("{name}:{line} is unsafe: {}", code.trim()));
            }
        }
    }
    expect_none(&complaints);
}

/// Codes in a text: `E` and four digits.
fn codes_in(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, code) in code_lines(text) {
        for (at, _) in code.match_indices("\"E") {
            let digits: String = code[at + 2..].chars().take_while(char::is_ascii_digit).collect();
            if digits.len() == 4 && code[at + 6..].starts_with('"') {
                found.push((line, format!("E{digits}")));
            }
        }
    }
    found
}

#[test]
fn every_code_is_explained_and_tested() {
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    for (name, text) in sources() {
        if name.starts_with("compiler/src") && !name.ends_with("diagnostic/codes.rs") && !name.contains("tests") {
            for (line, code) in codes_in(&text) {
                used.entry(code).or_insert(format!("{name}:{line}"));
            }
        }
    }
    let mut complaints = Vec::new();
    for (code, place) in &used {
        if codes::find(code).is_none() {
            complaints.push(format!("{code} ({place}) has no row in diagnostic/codes.rs"));
        }
    }
    let mut tested = String::new();
    for ending in ["dp", "rs"] {
        tested.extend(read(&files_below(&root().join("tests"), ending)).into_iter().map(|(_, text)| text));
    }
    // What only a bug or a strange processor can bring about, and a fault that nothing raises yet.
    let untested = ["E0315", "E0325", "E0401", "E0508", "E0699"];
    for row in codes::ROWS {
        if !used.contains_key(row.code.0) {
            complaints.push(format!("{} is explained but not used", row.code.0));
        }
        if !tested.contains(row.code.0) && !untested.contains(&row.code.0) {
            complaints.push(format!("{} is in no test", row.code.0));
        }
    }
    expect_none(&complaints);
}

#[test]
fn every_std_function_is_documented() {
    let mut complaints = Vec::new();
    for (name, text) in read(&files_below(&root().join("std"), "dp")) {
        let lines: Vec<&str> = text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let declares = ["fn ", "solver ", "network ", "problem "].iter().any(|word| line.starts_with(word));
            if declares && !(i > 0 && lines[i - 1].starts_with("## ")) {
                complaints.push(format!("{name}:{}: no `##` comment before `{line}`", i + 1));
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn words_are_found_whole() {
    assert!(has_word("dbg!(x)", "dbg!") && has_word("unsafe {", "unsafe"));
    assert!(!has_word("unsafe_op_in_unsafe_fn", "unsafe") && !has_word("eprintln!(1)", "println!"));
    assert_eq!(codes_in("fail(\"E0301\", x)\n// \"E0302\"\n"), [(1, "E0301".to_string())]);
}
