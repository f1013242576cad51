//! The pages of `dp explain`: the wrong program gets the message, the right one none.

use crate::harness::{Ran, complaints_of, expect_none, run_text};
use dp_compiler::diagnostic::codes;
use dp_compiler::diagnostic::pages::{self, PAGES, Page};
use dp_compiler::driver::Options;
use dp_compiler::run::Engine;

fn ran(page: &Page, program: &str) -> Ran {
    run_text(
        &format!("page-{}", page.code),
        &format!("{program}\n"),
        &Options { engine: Engine::Native, ..page.options() },
    )
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

#[test]
fn codes_have_pages() {
    for page in PAGES {
        assert!(codes::find(page.code).is_some(), "{} is no code", page.code);
    }
    assert!(PAGES.windows(2).all(|pair| pair[0].code < pair[1].code), "pages are in order");
    // Several files, Ctrl-C, damaged files and limits that take long to reach cannot be shown by a small program.
    let without: Vec<&str> =
        codes::ROWS.iter().map(|row| row.code.0).filter(|code| pages::find(code).is_none()).collect();
    assert!(without.len() * 3 <= codes::ROWS.len() * 2, "too few codes have a page: {without:?}");
}
