//! What could be meant at a place of an entry: names, fields, commands, files, letters.

use super::command;
use super::symbols;
use super::workspace::Workspace;
use crate::builtins;
use crate::lower::value::Value;
use crate::syntax::token::Word;
use std::path::Path;

/// A completion: what is inserted, and what is shown in the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    pub text: String,
    pub shown: String,
}

impl Candidate {
    fn plain(text: impl Into<String>) -> Candidate {
        let text = text.into();
        Candidate { shown: text.clone(), text }
    }
}

/// Words that can be no names.
pub const RESERVED: [&str; 16] =
    ["let", "fn", "if", "then", "else", "for", "in", "loop", "until", "each", "and", "or", "not", "true", "false", "_"];

/// The completions of a text up to the cursor: the byte where what they replace begins, and the candidates, sorted.
pub fn complete(workspace: &Workspace, text: &str) -> (usize, Vec<Candidate>) {
    if let Some((start, name)) = symbols::at_end(text) {
        let found = symbols::beginning(name);
        let exact = found.first().filter(|(known, _)| *known == name);
        let found = exact.map(|one| vec![*one]).unwrap_or(found);
        let candidate =
            |(name, letter): (&str, &str)| Candidate { text: letter.to_string(), shown: format!("\\{name} {letter}") };
        return (start, found.into_iter().map(candidate).collect());
    }
    if let Some(rest) = text.strip_prefix(':') {
        return match rest.split_once(char::is_whitespace) {
            None => {
                let names = command::COMMANDS.iter().map(|row| format!(":{}", row.name));
                (0, names.filter(|name| name.starts_with(text)).map(Candidate::plain).collect())
            }
            Some(("load" | "save", _)) => {
                let start = text.find(char::is_whitespace).map_or(text.len(), |at| at + 1);
                files(text, start)
            }
            Some(("set", key)) => {
                let start = text.len() - key.len();
                let keys = command::SETTINGS.iter().map(|(name, _)| *name).filter(|name| name.starts_with(key));
                (start, keys.map(Candidate::plain).collect())
            }
            Some(_) => names(workspace, text),
        };
    }
    if let Some(quote) = open_string(text) {
        return files(text, quote + 1);
    }
    names(workspace, text)
}

/// Where the string that is still open at the end of the last line begins.
fn open_string(text: &str) -> Option<usize> {
    let line = text.rfind('\n').map_or(0, |at| at + 1);
    let mut open = None;
    let mut escaped = false;
    for (at, c) in text[line..].char_indices() {
        match (c, open) {
            _ if escaped => escaped = false,
            ('\\', Some(_)) => escaped = true,
            ('"', None) => open = Some(line + at),
            ('"', Some(_)) => open = None,
            ('#', None) => return None,
            _ => {}
        }
    }
    open
}

/// Files and folders below the folder where the user stands.
fn files(text: &str, start: usize) -> (usize, Vec<Candidate>) {
    let typed = &text[start..];
    let (folder, beginning) = typed.rsplit_once('/').map_or(("", typed), |(folder, name)| (folder, name));
    let path = match (folder, typed.starts_with('/')) {
        ("", true) => "/",
        ("", false) => ".",
        (folder, _) => folder,
    };
    let Ok(entries) = std::fs::read_dir(Path::new(path)) else { return (start, Vec::new()) };
    let mut found: Vec<String> = entries
        .filter_map(|entry| entry.ok())
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().to_string();
            if entry.path().is_dir() { name + "/" } else { name }
        })
        .filter(|name| name.starts_with(beginning) && (beginning.starts_with('.') || !name.starts_with('.')))
        .collect();
    found.sort();
    (text.len() - beginning.len(), found.into_iter().map(Candidate::plain).collect())
}

/// Names, or the fields of the value before a point.
fn names(workspace: &Workspace, text: &str) -> (usize, Vec<Candidate>) {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let start = text.char_indices().rev().take_while(|(_, c)| part(*c)).last().map_or(text.len(), |(at, _)| at);
    let beginning = &text[start..];
    if beginning.starts_with(|c: char| c.is_ascii_digit()) {
        return (start, Vec::new());
    }
    if text[..start].ends_with('.') {
        return (start, fields(workspace, &text[..start - 1], beginning));
    }
    let mut found: Vec<String> = workspace.scope.names_here().iter().map(|name| name.to_string()).collect();
    found.extend(workspace.definitions.keys().map(|name| name.to_string()));
    found.extend(workspace.std_names().map(str::to_string));
    found.extend(builtins::ROWS.iter().map(|row| row.name.to_string()));
    found.extend(builtins::CONSTANTS.iter().map(|name| (*name).to_string()));
    found.extend(RESERVED.iter().filter(|word| word.len() > 1).map(|word| (*word).to_string()));
    found.extend(Word::ALL.iter().map(|word| word.text().to_string()));
    found.retain(|name| name.starts_with(beginning) && name != beginning);
    found.sort();
    found.dedup();
    // With few left there is room for what they are.
    let room = found.len() <= 8;
    let candidate = |name: String| match workspace.env.type_of_name(&name) {
        Some(ty) if room => Candidate { shown: format!("{name} : {ty}"), text: name },
        _ => Candidate::plain(name),
    };
    (start, found.into_iter().map(candidate).collect())
}

/// The fields of the value that the path at the end of a text leads to.
fn fields(workspace: &Workspace, text: &str, beginning: &str) -> Vec<Candidate> {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let start = text.char_indices().rev().take_while(|(_, c)| part(*c)).last().map_or(text.len(), |(at, _)| at);
    let mut names = text[start..].split('.');
    let Some(mut value) = names.next().and_then(|name| workspace.scope.find(name)) else { return Vec::new() };
    for name in names {
        let Some((_, inner)) = parts(&value).into_iter().find(|(field, _)| field == name) else { return Vec::new() };
        value = inner;
    }
    let found = parts(&value).into_iter().filter(|(name, _)| name.starts_with(beginning));
    found
        .map(|(name, value)| {
            let ty = super::show::type_of(&value).map(|ty| format!(" : {ty}")).unwrap_or_default();
            Candidate { shown: format!("{name}{ty}"), text: name }
        })
        .collect()
}

/// The fields of a record, or the parameters of a network.
fn parts(value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Record(fields) => fields.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        Value::Net(net) => {
            let params = net.params.borrow().clone();
            let mut found = parts(&params);
            found.push(("params".to_string(), params));
            found
        }
        _ => Vec::new(),
    }
}
