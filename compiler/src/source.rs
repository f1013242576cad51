//! Files and places in them. A `Span` is all that later stages keep of the source text.

use std::path::PathBuf;

/// A file known to a `SourceMap`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A range of bytes in one file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The place of what no source text produced.
    pub const NONE: Span = Span { file: FileId(u32::MAX), start: 0, end: 0 };

    pub fn new(file: FileId, start: usize, end: usize) -> Span {
        Span { file, start: start as u32, end: end as u32 }
    }

    /// The smallest span that covers both.
    pub fn to(self, other: Span) -> Span {
        if self.file != other.file {
            return self;
        }
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    pub fn is_none(self) -> bool {
        self.file == Span::NONE.file
    }
}

/// One source file: its name as shown to the user, and its text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub name: String,
    /// Where it lies on disk; `None` for embedded modules and text typed by the user.
    pub path: Option<PathBuf>,
    pub text: String,
}

/// All files of a session.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    pub fn add(&mut self, name: impl Into<String>, path: Option<PathBuf>, text: impl Into<String>) -> FileId {
        self.files.push(SourceFile { name: name.into(), path, text: text.into() });
        FileId(self.files.len() as u32 - 1)
    }

    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    /// The text under a span.
    pub fn text(&self, span: Span) -> &str {
        if span.is_none() {
            return "";
        }
        &self.file(span.file).text[span.start as usize..span.end as usize]
    }

    /// Line and column, from 1, of a span's start; the column counts characters.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        if span.is_none() {
            return (0, 0);
        }
        let before = &self.file(span.file).text[..span.start as usize];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }

    /// `name:line:column` of a span's start.
    pub fn place(&self, span: Span) -> String {
        if span.is_none() {
            return "no place in the source".to_string();
        }
        let (line, column) = self.line_column(span);
        format!("{}:{line}:{column}", self.file(span.file).name)
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}
