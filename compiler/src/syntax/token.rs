//! Text to tokens, with logos. Lexing never fails: what is no token becomes a diagnostic and, where the meaning is
//! plain (`&&`, `1.`), the token that was meant. Blanks are dropped; comments and newlines are tokens here, and
//! `layout` decides what they mean.

use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use logos::Logos;
use std::fmt;
use std::ops::Range;

/// A token. `Word`, `RecordBrace` and `End` are made by `layout`, all others by the lexer.
#[derive(Logos, Clone, Copy, PartialEq, Debug)]
#[logos(skip r"[ \t\r\f\u{a0}\u{feff}]+")]
pub enum Token<'s> {
    #[token("let")]
    Let,
    #[token("fn")]
    Fn,
    #[token("if")]
    If,
    #[token("then")]
    Then,
    #[token("else")]
    Else,
    #[token("for")]
    For,
    #[token("in")]
    In,
    #[token("loop")]
    Loop,
    #[token("until")]
    Until,
    #[token("each")]
    Each,
    #[token("and")]
    And,
    #[token("or")]
    Or,
    #[token("not")]
    Not,
    #[token("true")]
    True,
    #[token("false")]
    False,
    #[token("_", priority = 20)]
    Blank,

    #[regex(r"[\p{XID_Start}_]\p{XID_Continue}*")]
    Name(&'s str),
    /// A soft word.
    Word(Word),
    /// A soft word after which something follows on the same line that can start an operand: where an operand or an
    /// item can begin, it is a keyword.
    Keyword(Word),
    /// Its value; a literal that does not fit was reported.
    #[regex(r"[0-9]+(_[0-9]+)*", |lex| integer(lex.slice()), priority = 4)]
    Int(i64),
    /// Its value and the text as written.
    #[regex(r"[0-9]+(_[0-9]+)*(\.[0-9]+(_[0-9]+)*)?([eE][+-]?[0-9]+)?", |lex| real(lex.slice()), priority = 3)]
    Real(Number<'s>),
    /// With its quotes, escapes not yet replaced.
    #[regex(r#""([^"\\\n]|\\[^\n])*""#, |lex| lex.slice())]
    Str(&'s str),

    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("*")]
    Star,
    #[token("/")]
    Slash,
    #[token("//")]
    SlashSlash,
    #[token("%")]
    Percent,
    #[token("@")]
    At,
    #[token("^")]
    Caret,
    #[token("'")]
    Prime,
    #[token("<")]
    Lt,
    #[token("<=")]
    Le,
    #[token(">")]
    Gt,
    #[token(">=")]
    Ge,
    #[token("==")]
    EqEq,
    #[token("!=")]
    NotEq,
    #[token("=")]
    Eq,
    #[token("<-")]
    Assign,
    #[token("->")]
    Arrow,
    #[token(":")]
    Colon,
    #[token(".")]
    Dot,
    #[token(",")]
    Comma,
    #[token("?")]
    Question,
    #[token("(")]
    LParen,
    #[token(")")]
    RParen,
    #[token("[")]
    LBracket,
    #[token("]")]
    RBracket,
    #[token("{")]
    LBrace,
    #[token("}")]
    RBrace,

    /// A `{` after which `NAME :` follows: a record.
    RecordBrace,
    #[token(";")]
    Semicolon,
    /// The end of an item, statement or clause; the layout makes it of newlines and `;`.
    End,
    #[token("\n")]
    Newline,
    /// With its `#` or `##`, without the newline.
    #[regex(r"#[^\n]*", |lex| lex.slice(), allow_greedy = true)]
    Comment(&'s str),

    // What other languages write: reported, then taken as what is meant.
    #[token("&&")]
    WrongAnd,
    #[token("||")]
    WrongOr,
    #[token("!")]
    WrongNot,
    #[regex(r"[0-9]+(_[0-9]+)*\.", |lex| real(lex.slice().trim_end_matches('.')))]
    OpenNumber(Number<'s>),
    #[regex(r"\.[0-9]+([eE][+-]?[0-9]+)?", |lex| real(lex.slice()))]
    BareFraction(Number<'s>),
    #[regex(r#""([^"\\\n]|\\[^\n])*"#, |lex| lex.slice())]
    OpenString(&'s str),
}

/// A real literal: its value, and the text as written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Number<'s> {
    pub value: f64,
    pub text: &'s str,
}

fn integer(text: &str) -> i64 {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    // A literal that does not fit is reported in `lex`, which sees this value.
    digits.parse().unwrap_or(TOO_LARGE)
}

/// No literal has this value: a minus is no part of a literal.
const TOO_LARGE: i64 = -1;

fn real(text: &str) -> Number<'_> {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    // The patterns above are a subset of what `f64::from_str` reads, which rounds correctly.
    Number { value: plain.parse().unwrap_or(f64::NAN), text }
}

macro_rules! words {
    ($($variant:ident $text:literal)*) => {
        /// Words that mean something at their places and are names elsewhere.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Word { $($variant),* }

        impl Word {
            pub const ALL: &[Word] = &[$(Word::$variant),*];

            /// The soft word of this spelling.
            pub fn find(text: &str) -> Option<Word> {
                match text {
                    $($text => Some(Word::$variant),)*
                    _ => None,
                }
            }

            pub fn text(self) -> &'static str {
                match self {
                    $(Word::$variant => $text),*
                }
            }
        }
    };
}

words! {
    Use "use" Precision "precision" Arg "arg" Problem "problem" Method "method" Solver "solver" Network "network"
    Prox "prox" Derivative "derivative" Test "test" Print "print" Assert "assert"
    Minimize "minimize" Maximize "maximize" Over "over" Subject "subject" To "to" State "state" Step "step" Within "within"
    Param "param" Train "train" Batch "batch" Of "of" Using "using" Repeat "repeat" Epochs "epochs" Steps "steps"
    Update "update" Record "record" Every "every" Keep "keep" Lowest "lowest" Highest "highest" Patience "patience"
    Unroll "unroll" Backprop "backprop" Checkpoint "checkpoint" Learn "learn" From "from" Implicit "implicit"
    Trace "trace" Derive "derive" By "by" As "as" Previous "previous"
}

impl<'s> Token<'s> {
    /// The text of a name or of a soft word used as one.
    pub fn name(self) -> Option<&'s str> {
        match self {
            Token::Name(text) => Some(text),
            Token::Word(word) | Token::Keyword(word) => Some(word.text()),
            _ => None,
        }
    }

    /// This soft word, whatever follows it.
    pub fn is_word(self, word: Word) -> bool {
        matches!(self, Token::Word(found) | Token::Keyword(found) if found == word)
    }

    /// A word that can be no name.
    pub fn is_reserved(self) -> bool {
        match self {
            Token::Let | Token::Fn | Token::If | Token::Then | Token::Else | Token::For | Token::In => true,
            Token::Loop | Token::Until | Token::Each | Token::And | Token::Or | Token::Not => true,
            Token::True | Token::False | Token::Blank => true,
            _ => false,
        }
    }

    /// Every operator with an operand on both sides, and `and`, `or`.
    pub fn is_binary_operator(self) -> bool {
        match self {
            Token::Plus | Token::Minus | Token::Star | Token::Slash | Token::SlashSlash | Token::Percent => true,
            Token::At | Token::Caret | Token::Lt | Token::Le | Token::Gt | Token::Ge => true,
            Token::EqEq | Token::NotEq | Token::And | Token::Or => true,
            _ => false,
        }
    }

    /// Whether an operand can end with it.
    pub fn ends_operand(self) -> bool {
        match self {
            Token::Name(_) | Token::Word(_) | Token::Keyword(_) | Token::Int(_) | Token::Real(_) | Token::Str(_) => {
                true
            }
            Token::True | Token::False | Token::Blank | Token::Question | Token::Prime => true,
            Token::RParen | Token::RBracket | Token::RBrace => true,
            _ => false,
        }
    }

    /// Whether, after a soft word on the same line, it makes the word a keyword: it can start an operand and cannot
    /// go on with an expression.
    pub fn starts_operand(self) -> bool {
        match self {
            Token::Name(_) | Token::Word(_) | Token::Keyword(_) | Token::Int(_) | Token::Real(_) | Token::Str(_) => {
                true
            }
            Token::True | Token::False | Token::Blank | Token::Question => true,
            Token::If | Token::Fn | Token::Loop | Token::Not => true,
            _ => false,
        }
    }
}

impl fmt::Display for Token<'_> {
    /// The token as a message names it.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let text = match self {
            Token::Name(text) => return write!(f, "name `{text}`"),
            Token::Word(word) | Token::Keyword(word) => return write!(f, "`{}`", word.text()),
            Token::Int(value) => return write!(f, "number {value}"),
            Token::Real(number) | Token::OpenNumber(number) | Token::BareFraction(number) => {
                return write!(f, "number {}", number.text);
            }
            Token::Str(_) | Token::OpenString(_) => return f.write_str("string"),
            Token::End | Token::Newline => return f.write_str("end of the line"),
            Token::Comment(_) => return f.write_str("comment"),
            Token::Let => "let",
            Token::Fn => "fn",
            Token::If => "if",
            Token::Then => "then",
            Token::Else => "else",
            Token::For => "for",
            Token::In => "in",
            Token::Loop => "loop",
            Token::Until => "until",
            Token::Each => "each",
            Token::And => "and",
            Token::Or => "or",
            Token::Not => "not",
            Token::True => "true",
            Token::False => "false",
            Token::Blank => "_",
            Token::Plus => "+",
            Token::Minus => "-",
            Token::Star => "*",
            Token::Slash => "/",
            Token::SlashSlash => "//",
            Token::Percent => "%",
            Token::At => "@",
            Token::Caret => "^",
            Token::Prime => "'",
            Token::Lt => "<",
            Token::Le => "<=",
            Token::Gt => ">",
            Token::Ge => ">=",
            Token::EqEq => "==",
            Token::NotEq => "!=",
            Token::Eq => "=",
            Token::Assign => "<-",
            Token::Arrow => "->",
            Token::Colon => ":",
            Token::Dot => ".",
            Token::Comma => ",",
            Token::Question => "?",
            Token::LParen => "(",
            Token::RParen => ")",
            Token::LBracket => "[",
            Token::RBracket => "]",
            Token::LBrace | Token::RecordBrace => "{",
            Token::Semicolon => ";",
            Token::RBrace => "}",
            Token::WrongAnd => "&&",
            Token::WrongOr => "||",
            Token::WrongNot => "!",
        };
        write!(f, "`{text}`")
    }
}

/// All tokens of a text with their spans, in order, newlines and comments included. Reports what is no token
/// (E0202), misspelled numbers (E0203) and strings (E0204); the tokens are usable all the same.
pub fn lex<'s>(file: FileId, text: &'s str, diagnostics: &mut Vec<Diagnostic>) -> Vec<(Token<'s>, Span)> {
    lex_part(file, text, 0..text.len(), diagnostics)
}

/// The same for a part of a text, which begins and ends between tokens.
pub fn lex_part<'s>(
    file: FileId,
    text: &'s str,
    part: Range<usize>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<(Token<'s>, Span)> {
    let mut tokens = Vec::with_capacity(part.len() / 3);
    let mut unknown: Option<Span> = None;
    for (token, range) in Token::lexer(&text[part.clone()]).spanned() {
        let range = part.start + range.start..part.start + range.end;
        let span = Span::new(file, range.start, range.end);
        let slice = &text[range];
        let token = match token {
            Ok(token) => token,
            Err(()) => {
                // One message for a run of unknown characters.
                unknown = match unknown {
                    Some(before) if before.end == span.start => Some(before.to(span)),
                    Some(before) => {
                        diagnostics.push(unknown_text(before, text));
                        Some(span)
                    }
                    None => Some(span),
                };
                continue;
            }
        };
        tokens.push((checked(token, span, slice, diagnostics), span));
    }
    diagnostics.extend(unknown.map(|span| unknown_text(span, text)));
    tokens
}

/// Reports a token that is wrong in itself, and gives the one that was meant.
fn checked<'s>(token: Token<'s>, span: Span, slice: &'s str, diagnostics: &mut Vec<Diagnostic>) -> Token<'s> {
    let mut operator = |wrong: &str, right: &str| {
        let message = format!("`{wrong}` is not an operator");
        diagnostics.push(Diagnostic::error("E0202", span, message).help(format!("write `{right}`")));
    };
    match token {
        Token::WrongAnd => {
            operator("&&", "and");
            Token::And
        }
        Token::WrongOr => {
            operator("||", "or");
            Token::Or
        }
        Token::WrongNot => {
            operator("!", "not");
            Token::Not
        }
        Token::OpenNumber(number) => {
            let message = "a number may not end with a point";
            diagnostics.push(Diagnostic::error("E0203", span, message).help(format!("write `{slice}0`")));
            Token::Real(number)
        }
        Token::BareFraction(number) => {
            let message = "a number may not begin with a point";
            diagnostics.push(Diagnostic::error("E0203", span, message).help(format!("write `0{slice}`")));
            Token::Real(number)
        }
        Token::Int(TOO_LARGE) => {
            let message = "this integer does not fit into 64 bits";
            let help = format!("if a real number is meant, write `{slice}.0`");
            diagnostics.push(Diagnostic::error("E0203", span, message).help(help));
            Token::Int(0)
        }
        Token::Real(number) if number.value.is_infinite() => {
            diagnostics.push(Diagnostic::error("E0203", span, "this number is too large for a real"));
            token
        }
        Token::OpenString(_) => {
            let message = "this string has no closing quote on its line";
            diagnostics
                .push(Diagnostic::error("E0204", span, message).help("end it with `\"`; `\\n` stands for a newline"));
            Token::Str(slice)
        }
        Token::Str(_) => {
            if let Err((at, escape)) = unescape(slice) {
                let place = Span::new(span.file, span.start as usize + at, span.start as usize + at + escape.len());
                let message = format!("`{escape}` is not an escape sequence");
                let help = "known are `\\n`, `\\t`, `\\r`, `\\\"`, `\\\\` and `\\u{hex digits}`";
                diagnostics.push(Diagnostic::error("E0204", place, message).help(help));
            }
            token
        }
        other => other,
    }
}

fn unknown_text(span: Span, text: &str) -> Diagnostic {
    let slice = &text[span.start as usize..span.end as usize];
    let shown: String = slice.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let diagnostic = Diagnostic::error("E0202", span, format!("`{shown}` means nothing here"));
    match slice.chars().next() {
        Some('\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' | '`') => {
            diagnostic.help("strings stand in straight double quotes: \"text\"")
        }
        Some('\u{2212}' | '\u{2013}') => diagnostic.help("the minus sign is `-`"),
        Some('\u{d7}' | '\u{b7}') => diagnostic.help("multiplication is `*`, the matrix product `@`"),
        Some('&') => diagnostic.help("write `and`"),
        Some('|') => diagnostic.help("write `or`, or `abs(x)` for a magnitude"),
        Some('\\') => diagnostic.help("a line goes on by itself after an operator, a comma or inside brackets"),
        _ => diagnostic,
    }
}

/// The text of a string literal, given with its quotes; a missing closing quote is taken as there. On an unknown
/// escape sequence: its offset in the literal, and its text.
pub fn unescape(literal: &str) -> Result<String, (usize, &str)> {
    let inner = literal.strip_prefix('"').unwrap_or(literal);
    let mut result = String::with_capacity(inner.len());
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == '"' {
            break;
        }
        if c != '\\' {
            result.push(c);
            continue;
        }
        let rest = &inner[at..];
        let (replacement, length) = match rest[1..].chars().next() {
            Some('n') => ('\n', 2),
            Some('t') => ('\t', 2),
            Some('r') => ('\r', 2),
            Some('"') => ('"', 2),
            Some('\\') => ('\\', 2),
            Some('u') => match code_point(rest) {
                Some(found) => found,
                None => return Err((at + 1, "\\u")),
            },
            Some(other) => return Err((at + 1, &rest[..1 + other.len_utf8()])),
            None => return Err((at + 1, rest)),
        };
        result.push(replacement);
        while chars.as_str().len() + at + length > inner.len() {
            chars.next();
        }
    }
    Ok(result)
}

/// The character of `\u{...}` at the start of a text, and the length of the sequence.
fn code_point(text: &str) -> Option<(char, usize)> {
    let digits = text.strip_prefix("\\u{")?.split_once('}')?.0;
    let value = u32::from_str_radix(digits, 16).ok()?;
    Some((char::from_u32(value)?, digits.len() + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let mut diagnostics = Vec::new();
        let tokens = lex(FileId(0), text, &mut diagnostics);
        assert_eq!(diagnostics, vec![], "{text}");
        tokens.into_iter().map(|(token, _)| token).collect()
    }

    fn codes(text: &str) -> Vec<&'static str> {
        let mut diagnostics = Vec::new();
        lex(FileId(0), text, &mut diagnostics);
        diagnostics.iter().map(|d| d.code.0).collect()
    }

    #[test]
    fn numbers() {
        let real = |value, text| Token::Real(Number { value, text });
        assert_eq!(
            tokens("12 1_000 0.5 1e-3 2.5E2 1_0.2_5"),
            vec![
                Token::Int(12),
                Token::Int(1000),
                real(0.5, "0.5"),
                real(1e-3, "1e-3"),
                real(250.0, "2.5E2"),
                real(10.25, "1_0.2_5"),
            ]
        );
        assert_eq!(codes("1."), vec!["E0203"]);
        assert_eq!(codes(".5"), vec!["E0203"]);
        assert_eq!(codes("9223372036854775808"), vec!["E0203"]);
        assert_eq!(codes("9223372036854775807"), Vec::<&str>::new());
        assert_eq!(codes("1e999"), vec!["E0203"]);
    }

    #[test]
    fn names_are_unicode() {
        assert_eq!(
            tokens("θ x1 _a Δt"),
            vec![Token::Name("θ"), Token::Name("x1"), Token::Name("_a"), Token::Name("Δt")]
        );
        assert_eq!(tokens("_ letter"), vec![Token::Blank, Token::Name("letter")]);
    }

    #[test]
    fn operators_take_the_longest() {
        use Token::*;
        assert_eq!(
            tokens("a<-b//c<=d->e"),
            vec![Name("a"), Assign, Name("b"), SlashSlash, Name("c"), Le, Name("d"), Arrow, Name("e")]
        );
        assert_eq!(tokens("A'[0]''"), vec![Name("A"), Prime, LBracket, Int(0), RBracket, Prime, Prime]);
    }

    #[test]
    fn strings_and_escapes() {
        assert_eq!(unescape(r#""a\n\"b\"\\ \u{3b8}""#), Ok("a\n\"b\"\\ θ".to_string()));
        assert_eq!(unescape(r#""a\qb""#), Err((2, "\\q")));
        assert_eq!(unescape(r#""\u{110000}""#), Err((1, "\\u")));
        assert_eq!(codes("\"open\nx"), vec!["E0204"]);
        assert_eq!(codes(r#""\q""#), vec!["E0204"]);
        assert_eq!(codes(r#""\θ""#), vec!["E0204"]);
    }

    #[test]
    fn wrong_characters_are_reported_once_a_run() {
        assert_eq!(codes("a $$ b ~ c"), vec!["E0202", "E0202"]);
        assert_eq!(codes("a && b || !c"), vec!["E0202", "E0202", "E0202"]);
        assert_eq!(codes("\u{0}\u{1}"), vec!["E0202"]);
    }

    #[test]
    fn comments_and_newlines_are_kept() {
        assert_eq!(
            tokens("a # b\r\n## c\n"),
            vec![Token::Name("a"), Token::Comment("# b\r"), Token::Newline, Token::Comment("## c"), Token::Newline]
        );
    }
}
