//! Documents: texts with places where a line may be broken. After Wadler, "A prettier printer" (2003): a group is
//! printed on one line if that fits, else all its own places are broken.

/// Columns of a line.
const WIDTH: usize = 100;
const INDENT: usize = 4;

#[derive(Clone, Debug)]
pub enum Doc {
    Text(String),
    /// A blank, or a line break.
    Line,
    /// Nothing, or a line break.
    Soft,
    /// A line break in any case.
    Hard,
    /// An empty line.
    Empty,
    Cat(Vec<Doc>),
    /// Broken lines inside are indented.
    Nest(Box<Doc>),
    Group(Box<Doc>),
}

pub fn text(text: impl Into<String>) -> Doc {
    Doc::Text(text.into())
}

pub fn cat(parts: impl IntoIterator<Item = Doc>) -> Doc {
    Doc::Cat(parts.into_iter().collect())
}

pub fn nest(doc: Doc) -> Doc {
    Doc::Nest(Box::new(doc))
}

pub fn group(doc: Doc) -> Doc {
    Doc::Group(Box::new(doc))
}

/// Parts with a comma after each but the last.
pub fn commas(parts: impl IntoIterator<Item = Doc>) -> Doc {
    let mut result = Vec::new();
    for (i, part) in parts.into_iter().enumerate() {
        if i > 0 {
            result.extend([text(","), Doc::Line]);
        }
        result.push(part);
    }
    Doc::Cat(result)
}

/// `open inside close`, the inside on lines of its own if it does not fit.
pub fn brackets(open: &str, inside: Doc, close: &str) -> Doc {
    group(cat([text(open), nest(cat([Doc::Soft, inside])), Doc::Soft, text(close)]))
}

/// `{ inside }`
pub fn braces(inside: Doc) -> Doc {
    group(cat([text("{"), nest(cat([Doc::Line, inside])), Doc::Line, text("}")]))
}

/// The document on one line, but for what must be broken.
pub fn flat(doc: &Doc) -> Doc {
    match doc {
        Doc::Line => text(" "),
        Doc::Soft => Doc::Cat(Vec::new()),
        Doc::Text(_) | Doc::Hard | Doc::Empty => doc.clone(),
        Doc::Cat(parts) => cat(parts.iter().map(flat)),
        Doc::Nest(inner) => nest(flat(inner)),
        Doc::Group(inner) => flat(inner),
    }
}

/// The text of a document. No line ends with a blank.
pub fn print(doc: &Doc) -> String {
    let mut out = String::new();
    let mut column = 0;
    // What is still to be printed, the next at the end: with its indentation, and whether it is on one line.
    let mut rest: Vec<(usize, bool, &Doc)> = vec![(0, false, doc)];
    while let Some((indent, flat, doc)) = rest.pop() {
        let broken = match doc {
            Doc::Text(text) => {
                out += text;
                column += text.chars().count();
                false
            }
            Doc::Line if flat => {
                out.push(' ');
                column += 1;
                false
            }
            Doc::Soft if flat => false,
            Doc::Line | Doc::Soft | Doc::Hard => true,
            Doc::Empty => true,
            Doc::Cat(parts) => {
                rest.extend(parts.iter().rev().map(|part| (indent, flat, part)));
                false
            }
            Doc::Nest(inner) => {
                rest.push((indent + INDENT, flat, inner));
                false
            }
            Doc::Group(inner) => {
                let flat = flat || fits(inner, &rest, WIDTH.saturating_sub(column));
                rest.push((indent, flat, inner));
                false
            }
        };
        if broken {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            out += &" ".repeat(indent);
            column = indent;
        }
    }
    out
}

/// Whether a document on one line, and what follows it up to the next possible line break, has at most this width.
fn fits(doc: &Doc, after: &[(usize, bool, &Doc)], width: usize) -> bool {
    let mut left = width;
    let mut rest = vec![(true, doc)];
    let mut after = after.iter().rev();
    loop {
        let (flat, doc) = match rest.pop() {
            Some(next) => next,
            None => match after.next() {
                Some((_, flat, doc)) => (*flat, *doc),
                None => return true,
            },
        };
        let used = match doc {
            Doc::Text(text) => text.chars().count(),
            Doc::Line if flat => 1,
            Doc::Soft if flat => 0,
            Doc::Line | Doc::Soft | Doc::Hard | Doc::Empty => return true,
            Doc::Cat(parts) => {
                rest.extend(parts.iter().rev().map(|part| (flat, part)));
                0
            }
            // What follows may be broken where it can.
            Doc::Group(inner) | Doc::Nest(inner) => {
                rest.push((flat, inner));
                0
            }
        };
        match left.checked_sub(used) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
}
