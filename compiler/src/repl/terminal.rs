//! The editor of a person at a terminal, by rustyline: history, completion, colours, several lines.

use super::workspace::Workspace;
use super::{Editor, PROMPT, Read, complete, highlight, incomplete};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Helper};
use std::borrow::Cow;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

/// An editor with the history of the user's earlier sessions.
pub struct Terminal {
    editor: rustyline::Editor<Assistant, FileHistory>,
    history: Option<PathBuf>,
    color: bool,
}

/// How many entries the history keeps.
const HISTORY: usize = 10_000;

impl Terminal {
    /// # Errors
    /// If the terminal cannot be used.
    pub fn new(color: bool) -> Result<Terminal, String> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(|e| e.to_string())?
            .history_ignore_space(true)
            .build();
        let mut editor = rustyline::Editor::with_config(config).map_err(|e| e.to_string())?;
        let history = history_file();
        if let Some(file) = &history {
            // The first session has none.
            let _ = editor.load_history(file);
        }
        Ok(Terminal { editor, history, color })
    }
}

/// `dp/history` in the folder for the user's data: that of the XDG rules, else of the system.
fn history_file() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = folder("XDG_DATA_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| folder("HOME").map(|home| home.join(".local/share")))?;
    let folder = data.join("dp");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

impl Editor for Terminal {
    fn read(&mut self, workspace: &Rc<RefCell<Workspace>>) -> Read {
        if self.editor.helper().is_none() {
            let (history, color) = (HistoryHinter::new(), self.color);
            self.editor.set_helper(Some(Assistant { workspace: workspace.clone(), history, color }));
        }
        let styled = if self.color { format!("\u{1b}[1;34m{PROMPT}\u{1b}[0m") } else { PROMPT.to_string() };
        match self.editor.readline(&(PROMPT, styled)) {
            Ok(text) => {
                let entry = text.trim_end().to_string();
                // What cannot be kept is still an entry.
                let _ = self.editor.add_history_entry(entry.as_str());
                if let Some(file) = &self.history {
                    let _ = self.editor.append_history(file);
                }
                Read::Entry(entry)
            }
            Err(ReadlineError::Interrupted) => Read::Interrupted,
            Err(_) => Read::End,
        }
    }
}

/// What helps while an entry is typed.
struct Assistant {
    workspace: Rc<RefCell<Workspace>>,
    history: HistoryHinter,
    color: bool,
}

impl Helper for Assistant {}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, found) = complete::complete(&self.workspace.borrow(), &line[..pos]);
        let pair = |candidate: complete::Candidate| Pair { display: candidate.shown, replacement: candidate.text };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.color { Cow::Owned(highlight::colored(line)) } else { Cow::Borrowed(line) }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.color { Cow::Owned(format!("\u{1b}[90m{hint}\u{1b}[0m")) } else { Cow::Borrowed(hint) }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.color && kind != CmdKind::MoveCursor
    }
}

impl Hinter for Assistant {
    type Hint = String;

    /// The rest of the last entry of the history that begins so, if it is on one line.
    fn hint(&self, line: &str, pos: usize, context: &Context<'_>) -> Option<String> {
        if line.trim().is_empty() || line.contains('\n') {
            return None;
        }
        self.history.hint(line, pos, context).filter(|hint| !hint.contains('\n'))
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        Ok(if incomplete(context.input()) { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}
