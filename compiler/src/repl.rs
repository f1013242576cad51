//! A session at the prompt: read an entry, try it, show what came of it.
//!
//! The loop knows an `Editor`, which gives entries, and a `Console`, which takes what is shown. A person at a terminal, a
//! pipe and a test go through the same loop. An entry is either good as a whole or changes nothing (`workspace`).

pub mod command;
pub mod complete;
mod gradient;
pub mod highlight;
mod measure;
mod save;
pub mod show;
pub mod symbols;
pub mod terminal;
pub mod workspace;

use crate::source::SourceMap;
use crate::syntax;
use crate::syntax::layout::wants_more;
use crate::syntax::token::{self, Token};
use command::Next;
use dp_runtime::plot::inline::Graphics;
use std::cell::RefCell;
use std::io::BufRead;
use std::rc::Rc;
use workspace::Workspace;

/// Where entries come from.
pub trait Editor {
    /// The next entry: all its lines, without the last line end.
    fn read(&mut self, workspace: &Rc<RefCell<Workspace>>) -> Read;
}

/// What an editor gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Read {
    Entry(String),
    /// What was being typed is dropped.
    Interrupted,
    End,
}

/// Where results and messages go.
pub trait Console {
    /// A result.
    fn print(&mut self, text: &str);
    /// A message about an entry.
    fn tell(&mut self, text: &str);
    /// Escape sequences for colours are understood.
    fn color(&self) -> bool;
    /// A person watches: progress may be drawn.
    fn interactive(&self) -> bool;
    /// Characters in a line.
    fn width(&self) -> usize;
    /// The pictures that can be shown among the lines.
    fn graphics(&self) -> Graphics {
        Graphics::None
    }
}

/// What the prompt looks like; stripped from what is pasted.
pub const PROMPT: &str = "dp> ";

/// Runs a session to its end. Says whether every entry was good.
pub fn run(workspace: &Rc<RefCell<Workspace>>, editor: &mut dyn Editor, console: &mut dyn Console) -> bool {
    let mut good = true;
    loop {
        match editor.read(workspace) {
            Read::End => return good,
            Read::Interrupted => {}
            Read::Entry(text) => {
                let (fine, next) = entry(&mut workspace.borrow_mut(), &text, console);
                good &= fine;
                if next == Next::Quit {
                    return good;
                }
            }
        }
    }
}

/// One entry: a command or a piece of a program.
pub fn entry(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> (bool, Next) {
    let text = without_prompts(text);
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return (true, Next::Go);
    }
    if trimmed.starts_with(':') {
        return command::run(workspace, trimmed, console);
    }
    if matches!(trimmed, "quit" | "exit" | "help") && workspace.scope.find(trimmed).is_none() {
        return command::run(workspace, if trimmed == "help" { ":help" } else { ":quit" }, console);
    }
    (workspace.enter(&text, console), Next::Go)
}

/// A piece of a session that was copied has prompts before its lines.
fn without_prompts(text: &str) -> String {
    if !text.trim_start().starts_with(PROMPT) {
        return text.to_string();
    }
    let lines = text.lines().map(|line| line.trim_start().strip_prefix(PROMPT).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether more lines must follow: a bracket is open, the last token wants more, or the statement ends too early. Two empty
/// lines end it whatever is open; one does if no bracket is.
pub fn incomplete(text: &str) -> bool {
    if text.trim_start().starts_with(':') || text.ends_with("\n\n") || text.trim().is_empty() {
        return false;
    }
    let mut sources = SourceMap::default();
    let file = sources.add("entry", None, text);
    let tokens = token::lex(file, text, &mut Vec::new());
    let mut open = 0i64;
    let mut last = None;
    for (token, span) in &tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => open += 1,
            Token::RParen | Token::RBracket | Token::RBrace => open -= 1,
            Token::Newline | Token::Comment(_) => continue,
            _ => {}
        }
        last = Some((*token, span.end));
    }
    let Some((last, end)) = last else { return false };
    if open > 0 {
        return true;
    }
    if open < 0 || text.ends_with('\n') {
        return false;
    }
    if wants_more(last) {
        return true;
    }
    let (_, mistakes) = syntax::parse(&sources, file);
    matches!(mistakes.as_slice(), [one] if one.code.0 == "E0201" && one.span().start >= end)
}

/// Entries from lines of text that no one is typing: a pipe, a file, a test.
pub struct Lines<R> {
    input: R,
}

impl<R: BufRead> Lines<R> {
    pub fn new(input: R) -> Lines<R> {
        Lines { input }
    }
}

impl<R: BufRead> Editor for Lines<R> {
    fn read(&mut self, _: &Rc<RefCell<Workspace>>) -> Read {
        let mut text = String::new();
        loop {
            let mut line = Vec::new();
            match self.input.read_until(b'\n', &mut line) {
                Ok(0) if text.is_empty() => return Read::End,
                Ok(0) | Err(_) => return Read::Entry(text),
                Ok(_) => {}
            }
            text += &String::from_utf8_lossy(&line);
            let entry = text.strip_suffix('\n').unwrap_or(&text);
            if !incomplete(entry) {
                return Read::Entry(entry.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests;
