//! Places as editors write them: lines and columns from 0, columns in units of UTF-16; files as addresses.

use crate::source::Span;
use lsp_types::{Position, Range, Uri};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The byte of a place; the end of its line, or of the text, if it lies beyond.
pub fn offset(text: &str, position: Position) -> usize {
    let mut start = 0;
    for _ in 0..position.line {
        match text[start..].find('\n') {
            Some(at) => start += at + 1,
            None => return text.len(),
        }
    }
    let line = text[start..].split('\n').next().unwrap_or("");
    let mut units = 0;
    for (at, c) in line.char_indices() {
        if units >= position.character {
            return start + at;
        }
        units += c.len_utf16() as u32;
    }
    start + line.len()
}

/// The place of a byte.
pub fn position(text: &str, offset: usize) -> Position {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() as u32;
    let character = before.rsplit('\n').next().unwrap_or("").encode_utf16().count() as u32;
    Position { line, character }
}

/// The range of a span.
pub fn range(text: &str, span: Span) -> Range {
    Range { start: position(text, span.start as usize), end: position(text, span.end as usize) }
}

/// The file of an address; what is no file gets a name without a folder.
pub fn path(uri: &Uri) -> PathBuf {
    let text = uri.as_str();
    let Some(path) = text.strip_prefix("file://") else { return PathBuf::from("untitled.dp") };
    let path = path.strip_prefix("localhost").unwrap_or(path);
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        match (byte, after.get(..2).and_then(code)) {
            (b'%', Some(decoded)) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())
}

/// The address of a file.
pub fn uri(path: &Path) -> Option<Uri> {
    let path = std::path::absolute(path).ok()?;
    let mut text = "file://".to_string();
    for byte in path.to_str()?.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => text.push(byte as char),
            b if b.is_ascii_alphanumeric() => text.push(b as char),
            b => text += &format!("%{b:02X}"),
        }
    }
    Uri::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_bytes() {
        let text = "let λ = 𝛼\nb\n";
        for (byte, line, character) in [(0, 0, 0), (4, 0, 4), (6, 0, 5), (9, 0, 8), (13, 0, 10), (14, 1, 0), (15, 1, 1)]
        {
            assert_eq!(position(text, byte), Position { line, character }, "{byte}");
            assert_eq!(offset(text, Position { line, character }), byte);
        }
        assert_eq!(offset(text, Position { line: 0, character: 99 }), 13);
        assert_eq!(offset(text, Position { line: 9, character: 0 }), text.len());
    }

    #[test]
    fn addresses_and_files() {
        let file = Path::new("/a folder/λ.dp");
        let address = uri(file).expect("an address");
        assert_eq!(address.as_str(), "file:///a%20folder/%CE%BB.dp");
        assert_eq!(path(&address), file);
    }
}
