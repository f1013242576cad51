//! The pages of `dp explain`: the wrong program gets the message, the right one none.

use crate::harness::{Ran, complaints_of, expect_none, run_text, with};
use dp_compiler::diagnostic::codes;
use dp_compiler::diagnostic::pages::{self, PAGES, Page};
use dp_compiler::run::Engine;

fn ran(page: &Page, program: &str) -> Ran {
    run_text(&format!("page-{}", page.code), &format!("{program}\n"), &with(Engine::Native))
}

#[test]
fn pages_say_what_happens() {
    let complaints = complaints_of(PAGES, |page| {
        let wrong = ran(page, page.wrong);
        let codes: Vec<&str> = wrong.told.iter().map(|told| told.code.as_str()).collect();
        if !codes.contains(&page.code) {
            return Err(format!("{}: the wrong program gets {codes:?}\n{}", page.code, wrong.messages()));
        }
        let right = ran(page, page.right);
        if !right.told.is_empty() {
            return Err(format!("{}: the right program is wrong\n{}", page.code, right.messages()));
        }
        Ok(())
    });
    expect_none(&complaints);
}

/// Codes that no small program in one file can show: several files, Ctrl-C, damaged files, the command line, limits that take
/// long to reach, what only a mistake of the compiler can bring about.
const WITHOUT: &[&str] = &[
    "E0102", "E0205", "E0306", "E0315", "E0320", "E0325", "E0390", "E0401", "E0504", "E0506", "E0508", "E0601",
    "E0603", "E0604", "E0699", "E0701", "E0704", "E0705", "E0802", "E0805",
];

#[test]
fn codes_have_pages() {
    for page in PAGES {
        assert!(codes::find(page.code).is_some(), "{} is no code", page.code);
        assert!(!WITHOUT.contains(&page.code), "{} has a page", page.code);
    }
    assert!(PAGES.windows(2).all(|pair| pair[0].code < pair[1].code), "pages are in order");
    let without = codes::ROWS.iter().filter(|row| pages::find(row.code.0).is_none() && !WITHOUT.contains(&row.code.0));
    let without: Vec<&str> = without.map(|row| row.code.0).collect();
    assert!(without.is_empty(), "no page in diagnostic/pages.rs: {without:?}");
}
