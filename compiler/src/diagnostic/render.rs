//! Renders diagnostics for people, with ariadne; the only file that knows it.

use super::{Diagnostic, Severity};
use crate::source::{FileId, SourceMap, Span};
use ariadne::{Cache, Color, Config, IndexType, Label, Report, ReportKind, Source};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

/// The text of one diagnostic, as for a terminal: its head, the places with their source lines, notes and help. Ends
/// with a newline. Labels without a place become notes.
pub fn render(sources: &SourceMap, diagnostic: &Diagnostic, color: bool) -> String {
    let (severity, accent) = match diagnostic.severity {
        Severity::Error => ("error", Color::Red),
        Severity::Warning => ("warning", Color::Yellow),
    };
    let head = format!("{severity}[{}]", diagnostic.code.0);
    report(sources, diagnostic, &head, accent, color)
}

/// What was found in a text, as labels under it: a diagnostic that is no mistake, with a head of its own.
pub fn render_found(sources: &SourceMap, found: &Diagnostic, head: &str, color: bool) -> String {
    report(sources, found, head, Color::Green, color)
}

fn report(sources: &SourceMap, diagnostic: &Diagnostic, head: &str, accent: Color, color: bool) -> String {
    let has_place = |span: Span| !span.is_none() && (span.file.0 as usize) < sources.len();
    let (placed, unplaced): (Vec<_>, Vec<_>) = diagnostic.labels.iter().partition(|label| has_place(label.span));
    let unplaced = unplaced.into_iter().map(|label| label.text.clone()).filter(|text| !text.is_empty());
    let notes: Vec<String> = unplaced.chain(diagnostic.notes.iter().cloned()).collect();

    let Some(first) = placed.first() else {
        return without_place(head, diagnostic, &notes);
    };
    let config = Config::default().with_color(color).with_index_type(IndexType::Byte).with_tab_width(4);
    let mut report = Report::build(ReportKind::Custom(head, accent), bytes(sources, first.span))
        .with_config(config)
        .with_message(&diagnostic.message);
    report.with_notes(&notes);
    report.with_helps(&diagnostic.help);
    for (i, label) in placed.iter().enumerate() {
        let color = if i == 0 { accent } else { Color::Cyan };
        // Ariadne marks only what has a text. Where labels of its parts tell more, the whole needs no mark.
        let around = |other: &super::Label| other.span != label.span && label.span.to(other.span) == label.span;
        let text = match label.text.as_str() {
            "" if placed.iter().any(|other| around(other)) => continue,
            "" => "here",
            text => text,
        };
        report.add_label(
            Label::new(bytes(sources, label.span)).with_message(text).with_color(color).with_order(i as i32),
        );
    }

    let mut buffer = Vec::new();
    if report.finish().write(Files { sources, read: HashMap::new() }, &mut buffer).is_err() {
        return without_place(head, diagnostic, &notes);
    }
    let text = String::from_utf8_lossy(&buffer);
    let text = if color { text.into_owned() } else { without_escapes(&text) };
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn without_place(head: &str, diagnostic: &Diagnostic, notes: &[String]) -> String {
    let mut text = format!("{head}: {}\n", diagnostic.message);
    for note in notes {
        text += &format!("  note: {note}\n");
    }
    if let Some(help) = &diagnostic.help {
        text += &format!("  help: {help}\n");
    }
    text
}

/// Removes colour sequences: ariadne colours the head of a custom kind in any case.
fn without_escapes(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        result += before;
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    result + rest
}

/// The place of a span, inside its file, on character boundaries, and not empty if there is text to mark.
fn bytes(sources: &SourceMap, span: Span) -> (FileId, Range<usize>) {
    let text = &sources.file(span.file).text;
    let start = text.floor_char_boundary(span.start as usize);
    let end = text.floor_char_boundary((span.end as usize).max(start));
    if start < end {
        return (span.file, start..end);
    }
    match text[start..].chars().next() {
        Some(c) if c != '\n' && c != '\r' => (span.file, start..start + c.len_utf8()),
        _ => (span.file, start..start),
    }
}

/// The files of a session as ariadne reads them.
struct Files<'a> {
    sources: &'a SourceMap,
    read: HashMap<FileId, Source<&'a str>>,
}

impl<'a> Cache<FileId> for Files<'a> {
    type Storage = &'a str;

    fn fetch(&mut self, file: &FileId) -> Result<&Source<&'a str>, impl fmt::Debug> {
        let text = self.sources.file(*file).text.as_str();
        Ok::<_, fmt::Error>(self.read.entry(*file).or_insert_with(|| Source::from(text)))
    }

    fn display<'b>(&self, file: &'b FileId) -> Option<impl fmt::Display + 'b> {
        Some(self.sources.file(*file).name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> (SourceMap, FileId) {
        let mut sources = SourceMap::default();
        let file = sources.add("a.dp", None, text);
        (sources, file)
    }

    #[test]
    fn shows_place_label_note_and_help() {
        let (sources, file) = sources("let a = 1\nlet θ = a + b\n");
        let diagnostic = Diagnostic::error("E0301", Span::new(file, 23, 24), "nothing is called `b`")
            .here("not known")
            .label(Span::new(file, 4, 5), "`a` is")
            .note("a note")
            .help("define it");
        assert_eq!(sources.text(diagnostic.span()), "b");
        let text = render(&sources, &diagnostic, false);
        let expected = [
            "error[E0301]: nothing is called `b`",
            "a.dp:2:13",
            "let θ = a + b",
            "not known",
            "`a` is",
            "Note: a note",
            "Help: define it",
        ];
        for part in expected {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(render(&sources, &diagnostic, true).contains("\u{1b}["));
    }

    #[test]
    fn warnings_say_so() {
        let (sources, file) = sources("x");
        let text = render(&sources, &Diagnostic::warning("E0501", Span::new(file, 0, 1), "slow"), false);
        assert!(text.starts_with("warning[E0501]: slow\n"), "{text}");
    }

    #[test]
    fn every_place_can_be_shown() {
        for text in ["", "\n", "a", "a\n", "é", "é\n\nθ", "a\r\nb", "\tx"] {
            let (sources, file) = sources(text);
            for start in 0..=text.len() + 2 {
                for end in start..=text.len() + 3 {
                    for color in [false, true] {
                        let diagnostic = Diagnostic::error("E0201", Span::new(file, start, end), "wrong").here("this");
                        let shown = render(&sources, &diagnostic, color);
                        assert!(shown.contains("E0201") && shown.contains("wrong"), "{shown}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_whole_without_words_leaves_its_parts_to_speak() {
        let (sources, file) = sources("assert a == b\n");
        let diagnostic = Diagnostic::error("E0509", Span::new(file, 7, 13), "this does not hold")
            .label(Span::new(file, 7, 8), "1")
            .label(Span::new(file, 12, 13), "2");
        assert!(!render(&sources, &diagnostic, false).contains("here"));
        let diagnostic = Diagnostic::error("E0206", Span::new(file, 7, 8), "wrong").label(Span::new(file, 12, 13), "2");
        assert!(render(&sources, &diagnostic, false).contains("here"));
    }

    #[test]
    fn without_a_place() {
        let (sources, _) = sources("x");
        let diagnostic = Diagnostic::error("E0601", Span::NONE, "no memory").here("in the kernel").help("less");
        assert_eq!(
            render(&sources, &diagnostic, false),
            "error[E0601]: no memory\n  note: in the kernel\n  help: less\n"
        );
    }

    #[test]
    fn labels_in_several_files() {
        let (mut sources, file) = sources("f(1)\n");
        let other = sources.add("std/prelude.dp", None, "fn f(x: bool) = x\n");
        let diagnostic = Diagnostic::error("E0302", Span::new(file, 2, 3), "int for bool")
            .here("an int")
            .label(Span::new(other, 8, 12), "bool is declared here");
        let text = render(&sources, &diagnostic, false);
        assert!(text.contains("a.dp:1:3") && text.contains("std/prelude.dp:1:9"), "{text}");
    }
}
