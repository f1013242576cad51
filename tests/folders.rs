//! Runs the folders of `.dp` files: native code and the reference evaluator must say the same, bit for bit, and
//! what the file expects.

use crate::expectations::{Expectations, updated};
use crate::harness::{Ran, complaints_of, expect_none, files_below, in_f32, root, run, with};
use dp_compiler::run::Engine;
use std::path::Path;

fn folder(name: &str, check: impl Fn(&Path) -> Result<(), String> + Sync) {
    let files = files_below(&root().join("tests").join(name), "dp");
    assert!(!files.is_empty(), "tests/{name} has no .dp files");
    expect_none(&complaints_of(&files, |file| check(file)));
}

/// Runs a file, compares with what it expects, or writes that down.
fn compared(file: &Path) -> Result<Ran, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let ran = run(file, &with(Engine::Native));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, updated(&text, &ran)).map_err(|e| format!("{}: {e}", file.display()))?;
        return Ok(ran);
    }
    let differences = Expectations::of(&text).differences(&ran);
    if differences.is_empty() { Ok(ran) } else { Err(format!("{}:\n  {}", file.display(), differences.join("\n  "))) }
}

/// The first number in which two runs differ, or the first message.
fn disagreement(a: &Ran, b: &Ran) -> Option<String> {
    if a.told != b.told {
        return Some(format!("messages differ:\n{}---\n{}", a.messages(), b.messages()));
    }
    if a.bits.len() != b.bits.len() {
        return Some(format!("{} values against {}", a.bits.len(), b.bits.len()));
    }
    let (i, (x, y)) = a.bits.iter().zip(&b.bits).enumerate().find(|(_, (x, y))| x != y)?;
    Some(format!("printed value {} differs:\n    {x}\n    {y}", i + 1))
}

#[test]
fn programs_do_what_they_expect() {
    folder("run", |file| {
        let ran = compared(file)?;
        if ran.failed() {
            return Err(format!("{}: fails\n{}", file.display(), ran.messages()));
        }
        Ok(())
    });
}

#[test]
fn native_code_and_the_evaluator_agree() {
    folder("run", |file| {
        let agree = |what: &str, a: Ran, b: Ran| match disagreement(&a, &b) {
            Some(text) => Err(format!("{}: native code and the evaluator disagree in {what}: {text}", file.display())),
            None => Ok(()),
        };
        agree("the script's precision", run(file, &with(Engine::Native)), run(file, &with(Engine::Reference)))?;
        agree("f32", run(file, &in_f32(Engine::Native)), run(file, &in_f32(Engine::Reference)))
    });
}

#[test]
fn programs_of_others_have_the_derivatives_of_an_independent_formula() {
    folder("programs", |file| {
        let ran = compared(file)?;
        if ran.failed() {
            return Err(format!("{}: fails\n{}", file.display(), ran.messages()));
        }
        Ok(())
    });
}

#[test]
fn wrong_programs_are_refused() {
    folder("errors", |file| {
        let ran = compared(file)?;
        if !ran.failed() {
            return Err(format!("{}: nothing is wrong with it", file.display()));
        }
        let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
        if !Expectations::of(&text).fails() {
            return Err(format!("{}: expects no error", file.display()));
        }
        Ok(())
    });
}
