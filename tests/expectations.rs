//! Expectations in comments of a script.
//!
//! `# expect: text` is the next line of output, on a line of its own or behind a statement. `# error: E0405 inner
//! dimensions` is an error with this code whose text holds these words; behind code it must be reported on
//! that line, on a line of its own anywhere. `# warning: ...` likewise. All that is said must be expected, and
//! in order for output.

use crate::harness::{Ran, Told};

/// One expected message.
#[derive(Clone, PartialEq, Debug)]
struct Expected {
    error: bool,
    code: String,
    words: Vec<String>,
    /// The line, from 1, on which it must be reported.
    line: Option<usize>,
}

/// What a file expects.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Expectations {
    lines: Vec<String>,
    messages: Vec<Expected>,
}

const MARKS: [&str; 3] = ["# expect:", "# error:", "# warning:"];

/// The last mark in a line: the code before it, the mark, the text after it.
fn split(line: &str) -> Option<(&str, &'static str, &str)> {
    let found = MARKS.iter().filter_map(|mark| line.find(mark).map(|at| (at, *mark)));
    let (at, mark) = found.min_by_key(|(at, _)| *at)?;
    Some((&line[..at], mark, &line[at + mark.len()..]))
}

impl Expectations {
    pub fn of(text: &str) -> Expectations {
        let mut all = Expectations::default();
        for (i, line) in text.lines().enumerate() {
            let Some((before, mark, after)) = split(line) else { continue };
            if mark == "# expect:" {
                all.lines.push(after.strip_prefix(' ').unwrap_or(after).trim_end().to_string());
                continue;
            }
            // Several messages on one line are joined by further marks.
            let mut rest = Some((mark, after));
            while let Some((mark, after)) = rest {
                let (own, next) = match split(after) {
                    Some((own, next, after)) => (own, Some((next, after))),
                    None => (after, None),
                };
                let mut words = own.split_whitespace().map(str::to_string);
                all.messages.push(Expected {
                    error: mark == "# error:",
                    code: words.next().unwrap_or_default(),
                    words: words.collect(),
                    line: (!before.trim().is_empty()).then_some(i + 1),
                });
                rest = next;
            }
        }
        all
    }

    /// Whether a file expects an error.
    pub fn fails(&self) -> bool {
        self.messages.iter().any(|m| m.error)
    }

    /// What differs from a run, in words.
    pub fn differences(&self, ran: &Ran) -> Vec<String> {
        let mut found = Vec::new();
        for i in 0..self.lines.len().max(ran.lines.len()) {
            match (self.lines.get(i), ran.lines.get(i)) {
                (Some(a), Some(b)) if *a == b.trim_end() => {}
                (Some(a), Some(b)) => {
                    found.push(format!("line {} of the output\n    expected {a}\n    found    {b}", i + 1))
                }
                (Some(a), None) => found.push(format!("line {} of the output is missing: {a}", i + 1)),
                (None, Some(b)) => found.push(format!("line {} of the output was not expected: {b}", i + 1)),
                (None, None) => {}
            }
        }
        let mut open: Vec<&Told> = ran.told.iter().collect();
        for expected in &self.messages {
            match open.iter().position(|told| fits(expected, told)) {
                Some(at) => {
                    open.remove(at);
                }
                None => {
                    let line = expected.line.map_or(String::new(), |line| format!(" on line {line}"));
                    found.push(format!("missing{line}: {} {}", expected.code, expected.words.join(" ")));
                }
            }
        }
        found.extend(open.iter().map(|told| format!("not expected:\n{}", told.rendered)));
        found
    }
}

fn fits(expected: &Expected, told: &Told) -> bool {
    expected.error == told.error
        && expected.code == told.code
        && expected.words.iter().all(|word| told.text.contains(word.as_str()))
        && expected.line.is_none_or(|line| told.place.as_ref().is_some_and(|(_, at)| *at == line))
}

/// A file's text with the expectations replaced by what a run said.
pub fn updated(text: &str, ran: &Ran) -> String {
    let old = Expectations::of(text);
    let same_count = old.lines.len() == ran.lines.len();
    let mut outputs = ran.lines.iter();
    let mut told: Vec<&Told> = ran.told.iter().collect();
    let mut result: Vec<String> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let split = split(line);
        let code = split.map_or(line, |(before, ..)| before);
        if !code.trim().is_empty() || split.is_none() {
            let mut line = code.trim_end().to_string();
            while let Some(at) = told.iter().position(|t| t.place.as_ref().is_some_and(|(_, at)| *at == i + 1)) {
                line += &mark_of(told.remove(at), "  ");
            }
            if same_count && matches!(split, Some((_, "# expect:", _))) {
                line += &format!("  # expect: {}", outputs.next().expect("counted"));
            }
            result.push(line);
        } else if same_count && matches!(split, Some((_, "# expect:", _))) {
            result.push(format!("{}# expect: {}", code, outputs.next().expect("counted")));
        }
    }
    result.extend(outputs.map(|line| format!("# expect: {line}")));
    result.extend(told.iter().map(|t| mark_of(t, "")));
    result.join("\n") + "\n"
}

fn mark_of(told: &Told, before: &str) -> String {
    let kind = if told.error { "error" } else { "warning" };
    format!("{before}# {kind}: {} {}", told.code, told.message.replace('\n', " "))
}

#[test]
fn expectations_are_read() {
    let text = "print 1  # expect: 1\n# expect: two words\nx + y  # error: E0301 not `y` # error: E0302 x\n# warning: E0503 cap\n";
    let all = Expectations::of(text);
    assert_eq!(all.lines, ["1", "two words"]);
    assert_eq!(all.messages.len(), 3);
    assert_eq!((all.messages[0].line, all.messages[1].line, all.messages[2].line), (Some(3), Some(3), None));
    assert_eq!(all.messages[0].words, ["not", "`y`"]);
    assert!(all.messages[0].error && !all.messages[2].error);
}

#[test]
fn every_difference_is_told() {
    let told = |error, code: &str, text: &str, line| Told {
        error,
        code: code.into(),
        text: text.into(),
        message: text.into(),
        place: Some(("a.dp".into(), line)),
        rendered: text.into(),
    };
    let text = "print 1  # expect: 1\nx  # error: E0301 `x`\n";
    let right = Ran { lines: vec!["1".into()], told: vec![told(true, "E0301", "no `x` here", 2)], ..Ran::default() };
    let expected = Expectations::of(text);
    assert_eq!(expected.differences(&right), Vec::<String>::new());
    let wrong = [
        Ran { lines: vec!["2".into()], ..right.clone() },
        Ran { lines: vec![], ..right.clone() },
        Ran { lines: vec!["1".into(), "1".into()], ..right.clone() },
        Ran { told: vec![], ..right.clone() },
        Ran { told: vec![told(true, "E0302", "no `x` here", 2)], ..right.clone() },
        Ran { told: vec![told(true, "E0301", "no `y` here", 2)], ..right.clone() },
        Ran { told: vec![told(true, "E0301", "no `x` here", 1)], ..right.clone() },
        Ran { told: vec![told(false, "E0301", "no `x` here", 2)], ..right.clone() },
        Ran { told: vec![right.told[0].clone(), right.told[0].clone()], ..right.clone() },
    ];
    for ran in &wrong {
        assert!(!expected.differences(ran).is_empty(), "{ran:?}");
    }
    let changed = updated(text, &wrong[0]);
    assert_eq!(changed, "print 1  # expect: 2\nx  # error: E0301 no `x` here\n");
    assert_eq!(Expectations::of(&changed).differences(&wrong[0]), Vec::<String>::new());
}
