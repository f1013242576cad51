//! Colours for source text, by its tokens.

use crate::builtins;
use crate::source::FileId;
use crate::syntax::token::{self, Token, Word};

/// What a piece of text is, for colouring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Keyword,
    Number,
    String,
    Comment,
    /// A function that the compiler knows, or a constant.
    Builtin,
    Command,
}

impl Class {
    fn escape(self) -> &'static str {
        match self {
            Class::Keyword => "\u{1b}[35m",
            Class::Number => "\u{1b}[36m",
            Class::String => "\u{1b}[32m",
            Class::Comment => "\u{1b}[90m",
            Class::Builtin => "\u{1b}[34m",
            Class::Command => "\u{1b}[33m",
        }
    }
}

/// The pieces of a text that have a colour, in order: byte ranges and classes.
pub fn classes(text: &str) -> Vec<(std::ops::Range<usize>, Class)> {
    let mut found = Vec::new();
    let mut from = 0;
    if text.starts_with(':') {
        from = text.find(char::is_whitespace).unwrap_or(text.len());
        found.push((0..from, Class::Command));
    }
    let tokens = token::lex(FileId(0), &text[from..], &mut Vec::new());
    for (i, (token, span)) in tokens.iter().enumerate() {
        let class = match token {
            Token::Int(_) | Token::Real(_) | Token::OpenNumber(_) | Token::BareFraction(_) => Class::Number,
            Token::Str(_) | Token::OpenString(_) => Class::String,
            Token::Comment(_) => Class::Comment,
            Token::True | Token::False => Class::Number,
            Token::Blank => continue,
            token if token.is_reserved() => Class::Keyword,
            Token::Name(name) => {
                let next = tokens.get(i + 1).map(|(next, _)| *next);
                let keyword = Word::find(name).is_some() && next.is_some_and(takes_keyword);
                let known = builtins::find(name).is_some() || builtins::CONSTANTS.contains(name);
                match (keyword, known) {
                    (true, _) => Class::Keyword,
                    (false, true) => Class::Builtin,
                    (false, false) => continue,
                }
            }
            _ => continue,
        };
        found.push((from + span.start as usize..from + span.end as usize, class));
    }
    found
}

/// After a soft word, what makes it a keyword: something that can start an operand, or its block.
fn takes_keyword(next: Token) -> bool {
    next.starts_operand() || matches!(next, Token::LBrace)
}

/// The text with escape sequences for colours.
pub fn colored(text: &str) -> String {
    let mut result = String::with_capacity(text.len() * 2);
    let mut at = 0;
    for (range, class) in classes(text) {
        result += &text[at..range.start];
        result += class.escape();
        result += &text[range.clone()];
        result += "\u{1b}[0m";
        at = range.end;
    }
    result + &text[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_their_class() {
        let text = "let x = unroll f(1.5, \"é\") for 3 # end";
        let found: Vec<(&str, Class)> = classes(text).into_iter().map(|(range, class)| (&text[range], class)).collect();
        let expected = [
            ("let", Class::Keyword),
            ("unroll", Class::Keyword),
            ("1.5", Class::Number),
            ("\"é\"", Class::String),
            ("for", Class::Keyword),
            ("3", Class::Number),
            ("# end", Class::Comment),
        ];
        assert_eq!(found, expected);
        // A soft word that is a name here, a built-in function, a command.
        assert_eq!(classes("step + 1"), [(7..8, Class::Number)]);
        assert_eq!(classes(":type sum(x)"), [(0..5, Class::Command), (6..9, Class::Builtin)]);
        let plain = colored(text).replace("\u{1b}[0m", "");
        assert!(plain.contains("\u{1b}[35mlet x"));
        for text in ["", "\"", "é\u{301}", "((", ":"] {
            colored(text);
        }
    }
}
