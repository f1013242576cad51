//! Proximal operators, std's and changed ones, against their definition; solvers against the values of others.

use crate::harness::{Folder, complaints_of, expect_none, files_below, in_f32, root, run, with};
use dp_compiler::driver::Options;
use dp_compiler::run::Engine;

/// The rules of std: the line's head up to `=`, the body, the name.
fn rules() -> Vec<(String, String, String)> {
    let text = std::fs::read_to_string(root().join("std/prox.dp")).expect("std can be read");
    let rules = text.lines().filter_map(|line| line.strip_prefix("prox "));
    rules
        .filter_map(|rule| rule.split_once(" = "))
        .map(|(head, body)| {
            let name = head.split('(').next().expect("a name");
            (format!("prox {head}"), body.to_string(), name.to_string())
        })
        .collect()
}

#[test]
fn std_holds_in_both_precisions() {
    let complaints = complaints_of(&files_below(&root().join("std"), "dp"), |file| {
        for options in [with(Engine::Native), in_f32(Engine::Native)] {
            let ran = run(file, &Options { run_tests: true, ..options });
            if ran.failed() {
                return Err(ran.messages());
            }
            if let Some((name, Some(failure))) = ran.tests.iter().find(|(_, failure)| failure.is_some()) {
                return Err(format!("{}: {name}: {failure}", file.display()));
            }
        }
        Ok(())
    });
    expect_none(&complaints);
}

#[test]
fn changed_rules_are_refused() {
    let rules = rules();
    assert!(rules.len() >= 20, "{} rules", rules.len());
    let folder = Folder::new("changed-rules");
    let mut files = Vec::new();
    for (how, change) in
        [("shorter", "0.97 * (BODY)"), ("moved", "BODY + 0.02"), ("longer", "1.02 * (BODY)"), ("same", "BODY")]
    {
        let text: String =
            rules.iter().map(|(head, body, _)| format!("{head} = {}\n", change.replace("BODY", body))).collect();
        files.push((how, folder.file(&format!("{how}.dp"), text)));
    }
    for (how, file) in files {
        let ran = run(&file, &Options { run_tests: true, ..with(Engine::Native) });
        assert!(!ran.failed(), "{}", ran.messages());
        assert_eq!(ran.tests.len(), rules.len(), "{how}: every rule is tested");
        let passed: Vec<&String> =
            ran.tests.iter().filter(|(_, failure)| failure.is_none()).map(|(name, _)| name).collect();
        if how == "same" {
            assert_eq!(passed.len(), rules.len());
        } else {
            assert!(passed.is_empty(), "{how}: not noticed: {passed:?}");
        }
        for (name, failure) in ran.tests.iter().filter(|_| how != "same") {
            let told = failure.as_deref().unwrap_or_default();
            assert!(told.contains("E0511"), "{how}: {name}: {told}");
        }
    }
}

#[test]
fn solvers_come_to_the_values_of_others() {
    let files = files_below(&root().join("tests/reference"), "dp");
    assert!(!files.is_empty());
    expect_none(&complaints_of(&files, |file| {
        let ran = run(file, &with(Engine::Native));
        if ran.told.is_empty() { Ok(()) } else { Err(format!("{}: {}", file.display(), ran.messages())) }
    }));
}
