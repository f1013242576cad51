//! Scripts that hold what they print: lines `#= ...` after a statement are the output that it is expected to have.

use crate::driver::Sink;
use crate::lower::value::Value;
use crate::run::Message;
use crate::script::Output;
use crate::source::{FileId, SourceMap, Span};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Collects what each statement of a script prints; messages go on to another place.
pub struct Recorder<'a> {
    messages: &'a mut dyn Sink,
    sources: Rc<SourceMap>,
    current: Span,
    printed: Vec<(Span, Vec<String>)>,
}

impl<'a> Recorder<'a> {
    pub fn new(messages: &'a mut dyn Sink) -> Recorder<'a> {
        Recorder { messages, sources: Rc::default(), current: Span::NONE, printed: Vec::new() }
    }
}

impl Output for Recorder<'_> {
    fn line(&mut self, text: &str) {
        let lines = text.split('\n').map(|line| line.trim_end().to_string());
        match self.printed.last_mut() {
            Some((span, known)) if *span == self.current => known.extend(lines),
            _ => self.printed.push((self.current, lines.collect())),
        }
    }

    fn values(&mut self, _: &[Value]) {}

    fn message(&mut self, message: &Message) {
        self.messages.message(message);
    }

    fn statement(&mut self, span: Span) {
        self.current = span;
    }
}

impl Sink for Recorder<'_> {
    fn sources(&mut self, sources: Rc<SourceMap>) {
        self.sources = sources.clone();
        self.messages.sources(sources);
    }
}

/// Output that is not the expected one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The last line of the statement, from 1.
    pub line: usize,
    pub expected: Vec<String>,
    pub found: Vec<String>,
}

/// A script held against what it printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Comparison {
    pub differences: Vec<Difference>,
    /// Lines that were as expected.
    pub agreed: usize,
    /// The script with the lines that were found.
    pub updated: String,
}

impl Recorder<'_> {
    /// Compares with the expectations in the script's text.
    pub fn compare(&self, text: &str, path: &std::path::Path) -> Comparison {
        let file = (0..self.sources.len() as u32).map(FileId).find(|id| {
            let file = self.sources.file(*id);
            file.path.as_deref() == Some(path)
        });
        let mut printed: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (span, lines) in &self.printed {
            if Some(span.file) == file {
                let line = text[..span.end as usize].matches('\n').count();
                printed.entry(line).or_default().extend(lines.iter().cloned());
            }
        }
        compare(text, &printed)
    }
}

/// The text of an expectation, if a line is one.
fn expectation(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("#=")?;
    if rest.starts_with('=') {
        return None;
    }
    Some(rest.strip_prefix(' ').unwrap_or(rest).trim_end())
}

/// `printed` has the lines that were printed by the statement that ends with a line, by the line's number from 0.
fn compare(text: &str, printed: &BTreeMap<usize, Vec<String>>) -> Comparison {
    let lines: Vec<&str> = text.lines().collect();
    let mut result = Comparison { differences: Vec::new(), agreed: 0, updated: String::new() };
    let mut i = 0;
    while i < lines.len() {
        let is_expected = |line: &&str| expectation(line).is_some();
        let (statement, mut next) = if is_expected(&lines[i]) { (None, i) } else { (Some(i), i + 1) };
        let mut expected = Vec::new();
        while let Some(line) = lines.get(next).and_then(|line| expectation(line)) {
            expected.push(line.to_string());
            next += 1;
        }
        let found = statement.and_then(|line| printed.get(&line)).cloned().unwrap_or_default();
        if let Some(line) = statement {
            result.updated += &format!("{}\n", lines[line]);
        }
        for line in &found {
            result.updated += format!("#= {line}").trim_end();
            result.updated.push('\n');
        }
        if expected == found {
            result.agreed += found.len();
        } else if !expected.is_empty() {
            result.differences.push(Difference { line: statement.unwrap_or(i) + 1, expected, found });
        }
        i = next;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(lines: &[(usize, &[&str])]) -> BTreeMap<usize, Vec<String>> {
        lines.iter().map(|(at, lines)| (*at, lines.iter().map(|line| (*line).to_string()).collect())).collect()
    }

    #[test]
    fn expectations_are_compared_and_written_anew() {
        let text = "print 1\n#= 1\nlet a = 2\nprint a\n#= 3\n#= 4\nprint 5\n# a comment\n#== no expectation\n";
        let found = compare(text, &printed(&[(0, &["1"]), (3, &["2"]), (6, &["5", "6"])]));
        assert_eq!(found.agreed, 1);
        let difference = Difference { line: 4, expected: vec!["3".into(), "4".into()], found: vec!["2".into()] };
        assert_eq!(found.differences, [difference]);
        let updated = "print 1\n#= 1\nlet a = 2\nprint a\n#= 2\nprint 5\n#= 5\n#= 6\n# a comment\n#== no expectation\n";
        assert_eq!(found.updated, updated);
        // What was written is what is expected.
        let again = compare(updated, &printed(&[(0, &["1"]), (3, &["2"]), (5, &["5", "6"])]));
        assert_eq!((again.differences, again.agreed, again.updated.as_str()), (Vec::new(), 4, updated));
    }

    #[test]
    fn what_is_no_longer_printed_goes() {
        let found = compare("#= 1\nlet a = 1\n#= 2\n", &printed(&[]));
        assert_eq!(found.updated, "let a = 1\n");
        assert_eq!(found.differences.len(), 2);
        // Blanks inside a line stay.
        let found = compare("print m\n#= [[1, 0],\n#=  [0, 1]]\n", &printed(&[(0, &["[[1, 0],", " [0, 1]]"])]));
        assert_eq!((found.agreed, found.differences.len()), (2, 0));
    }
}
