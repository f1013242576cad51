//! What the parser's mistakes are, and how they are told: found, expected, and what to do if that is likely.

use super::Tokens;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::token::{Token, Word};
use chumsky::DefaultExpected;
use chumsky::error::{Error, LabelError};
use chumsky::util::MaybeRef;

/// Something that may stand at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    Expression,
    Operator,
    Name,
    Type,
    Item,
    Clause,
    Number,
    EndOfLine,
    Equal,
    Assign,
    Arrow,
    Colon,
    Comma,
    Semicolon,
    LParen,
    RParen,
    LBracket,
    RBracket,
    LBrace,
    RBrace,
    Then,
    Else,
    For,
    In,
    Until,
    Str,
    Word(Word),
}

/// All but the words, in the order in which messages list them.
const WANTS: [Want; 26] = [
    Want::Expression,
    Want::Operator,
    Want::Name,
    Want::Type,
    Want::Item,
    Want::Clause,
    Want::Number,
    Want::Str,
    Want::Equal,
    Want::Assign,
    Want::Arrow,
    Want::Colon,
    Want::Comma,
    Want::Semicolon,
    Want::LParen,
    Want::RParen,
    Want::LBracket,
    Want::RBracket,
    Want::LBrace,
    Want::RBrace,
    Want::Then,
    Want::Else,
    Want::For,
    Want::In,
    Want::Until,
    Want::EndOfLine,
];

impl Want {
    pub fn of(token: Token) -> Want {
        match token {
            Token::Eq => Want::Equal,
            Token::Assign => Want::Assign,
            Token::Arrow => Want::Arrow,
            Token::Colon => Want::Colon,
            Token::Comma => Want::Comma,
            Token::Semicolon => Want::Semicolon,
            Token::LParen => Want::LParen,
            Token::RParen => Want::RParen,
            Token::LBracket => Want::LBracket,
            Token::RBracket => Want::RBracket,
            Token::LBrace | Token::RecordBrace => Want::LBrace,
            Token::RBrace => Want::RBrace,
            Token::Then => Want::Then,
            Token::Else => Want::Else,
            Token::For => Want::For,
            Token::In => Want::In,
            Token::Until => Want::Until,
            Token::End => Want::EndOfLine,
            Token::Word(word) | Token::Keyword(word) => Want::Word(word),
            Token::Name(_) => Want::Name,
            Token::Fn | Token::Let => Want::Item,
            Token::Int(_) => Want::Number,
            Token::Str(_) => Want::Str,
            token if token.is_binary_operator() => Want::Operator,
            _ => Want::Expression,
        }
    }

    fn bit(self) -> u128 {
        let index = match self {
            Want::Word(word) => WANTS.len() + word as usize,
            // `WANTS` names each; the position is below 64.
            other => WANTS.iter().position(|w| *w == other).unwrap_or(0),
        };
        1 << index
    }

    fn text(self) -> String {
        let text = match self {
            Want::Expression => "an expression",
            Want::Operator => "an operator",
            Want::Name => "a name",
            Want::Type => "a type",
            Want::Item => "a definition or statement",
            Want::Clause => "a clause of `train`",
            Want::Number => "a number",
            Want::Str => "a string",
            Want::EndOfLine => "the end of the line",
            Want::Equal => "`=`",
            Want::Assign => "`<-`",
            Want::Arrow => "`->`",
            Want::Colon => "`:`",
            Want::Comma => "`,`",
            Want::Semicolon => "`;`",
            Want::LParen => "`(`",
            Want::RParen => "`)`",
            Want::LBracket => "`[`",
            Want::RBracket => "`]`",
            Want::LBrace => "`{`",
            Want::RBrace => "`}`",
            Want::Then => "`then`",
            Want::Else => "`else`",
            Want::For => "`for`",
            Want::In => "`in`",
            Want::Until => "`until`",
            Want::Word(word) => return format!("`{}`", word.text()),
        };
        text.to_string()
    }
}

/// A mistake found while parsing: cheap to make, since most are forgotten by a choice that has another alternative.
#[derive(Clone, PartialEq, Debug)]
pub struct Mistake<'s> {
    pub span: Span,
    /// Absent at the end of the item.
    found: Option<Token<'s>>,
    /// A set of `Want`s.
    expected: u128,
    /// Said instead of the above.
    said: Option<Box<Diagnostic>>,
}

impl<'s> Mistake<'s> {
    pub fn expected(want: Want, found: Option<Token<'s>>, span: Span) -> Mistake<'s> {
        Mistake { span, found, expected: want.bit(), said: None }
    }

    pub fn said(diagnostic: Diagnostic) -> Mistake<'s> {
        Mistake { span: diagnostic.span(), found: None, expected: 0, said: Some(Box::new(diagnostic)) }
    }

    fn wants(&self, want: Want) -> bool {
        self.expected & want.bit() != 0
    }
}

impl<'s> Error<'s, Tokens<'s>> for Mistake<'s> {
    fn merge(mut self, other: Mistake<'s>) -> Mistake<'s> {
        self.expected |= other.expected;
        self.said = self.said.or(other.said);
        self
    }
}

impl<'s> LabelError<'s, Tokens<'s>, DefaultExpected<'s, Token<'s>>> for Mistake<'s> {
    fn expected_found<E: IntoIterator<Item = DefaultExpected<'s, Token<'s>>>>(
        expected: E,
        found: Option<MaybeRef<'s, Token<'s>>>,
        span: Span,
    ) -> Mistake<'s> {
        let bits = expected.into_iter().map(|expected| match expected {
            DefaultExpected::Token(token) => Want::of(*token).bit(),
            DefaultExpected::EndOfInput => Want::EndOfLine.bit(),
            _ => 0,
        });
        let expected = bits.fold(0, |all, bit| all | bit);
        Mistake { span, found: found.map(|token| *token), expected, said: None }
    }
}

/// The message for a mistake, with a look at the tokens around it.
pub fn explain(mistake: Mistake, tokens: &[(Token, Span)]) -> Diagnostic {
    if let Some(said) = mistake.said {
        return *said;
    }
    let at = tokens.partition_point(|(_, span)| span.start < mistake.span.start);
    let near = |offset: isize| at.checked_add_signed(offset).and_then(|i| tokens.get(i)).map(|(token, _)| *token);
    let place = Place { found: mistake.found, before: near(-1), two_before: near(-2), after: near(1), tokens, at };

    let found = mistake.found.unwrap_or(Token::End);
    let mut wants: Vec<Want> = WANTS.into_iter().filter(|want| mistake.wants(*want)).collect();
    wants.extend(WORDS.iter().map(|word| Want::Word(*word)).filter(|want| mistake.wants(*want)));
    // An operator may follow every operand: worth saying only if nothing else may.
    if wants.len() > 1 {
        wants.retain(|want| *want != Want::Operator);
    }
    if mistake.wants(Want::Clause) {
        wants.retain(|want| *want != Want::Item);
    }
    let expected = match wants.as_slice() {
        [] => String::new(),
        [only] => format!("expected {}", only.text()),
        [first @ .., last] if wants.len() <= 5 => {
            let first: Vec<String> = first.iter().map(|want| want.text()).collect();
            format!("expected {} or {}", first.join(", "), last.text())
        }
        _ if mistake.wants(Want::Expression) => "expected an expression".to_string(),
        _ => "this cannot stand here".to_string(),
    };
    let message = match mistake.found {
        Some(Token::End) | None => "the line ends too early".to_string(),
        Some(_) if mistake.span.start == mistake.span.end => "something is missing here".to_string(),
        Some(_) => format!("unexpected {found}"),
    };
    let diagnostic = Diagnostic::error("E0201", mistake.span, message).here(expected);
    match hint(&place, &mistake) {
        Some(hint) => diagnostic.help(hint),
        None => diagnostic,
    }
}

/// The soft words that are expected somewhere.
const WORDS: [Word; 25] = [
    Word::Step,
    Word::State,
    Word::Minimize,
    Word::Maximize,
    Word::Over,
    Word::Subject,
    Word::To,
    Word::Within,
    Word::Learn,
    Word::Of,
    Word::Batch,
    Word::Using,
    Word::Repeat,
    Word::Epochs,
    Word::Steps,
    Word::Update,
    Word::Record,
    Word::Keep,
    Word::Lowest,
    Word::Highest,
    Word::Every,
    Word::By,
    Word::As,
    Word::From,
    Word::Patience,
];

/// The tokens at a mistake.
struct Place<'a, 's> {
    found: Option<Token<'s>>,
    before: Option<Token<'s>>,
    two_before: Option<Token<'s>>,
    after: Option<Token<'s>>,
    tokens: &'a [(Token<'s>, Span)],
    at: usize,
}

impl<'s> Place<'_, 's> {
    /// The tokens of the statement before the mistake, nearest first.
    fn statement(&self) -> impl Iterator<Item = Token<'s>> {
        let before = &self.tokens[..self.at.min(self.tokens.len())];
        before.iter().rev().map(|(token, _)| *token).take_while(|t| !matches!(t, Token::End | Token::LBrace))
    }

    /// Nothing stands between the mistake and the token before it.
    fn touches(&self) -> bool {
        match (self.at.checked_sub(1).and_then(|i| self.tokens.get(i)), self.tokens.get(self.at)) {
            (Some((_, before)), Some((_, here))) => before.end == here.start,
            _ => false,
        }
    }
}

/// What to do, where it is likely right.
fn hint(place: &Place, mistake: &Mistake) -> Option<String> {
    let found = place.found?;
    let before = place.before;
    let first_of_line = place.statement().last();
    // `x += 1`
    if found == Token::Eq && before.is_some_and(|t| t.is_binary_operator()) {
        let operator = before?.to_string();
        let operator = operator.trim_matches('`');
        return Some(format!("there is no `{operator}=`; in `step` and `loop` write `x <- x {operator} ...`"));
    }
    if found.is_reserved() && mistake.wants(Want::Name) && !mistake.wants(Want::Expression) {
        return Some(format!("{found} is a reserved word and cannot be a name"));
    }
    match found {
        Token::Eq if place.after == Some(Token::Gt) => {
            return Some("a function is `fn(x) = ...`, at least is `>=`".to_string());
        }
        Token::Eq if mistake.wants(Want::Operator) => {
            if matches!(first_of_line, Some(Token::Name(_) | Token::Word(_))) {
                return Some("`let x = ...` names a value, `x <- ...` assigns a state, `==` compares".to_string());
            }
            return Some("`==` compares".to_string());
        }
        Token::Star if before == Some(Token::Star) => return Some("the power is written `^`".to_string()),
        Token::Assign => {
            let comparison = "for a comparison with a negative number put blanks: `a < -b`";
            return Some(format!("`<-` assigns, in `step`, `loop` and `update`; {comparison}"));
        }
        Token::Eq if before == Some(Token::Colon) => return Some("a name is given by `let x = ...`".to_string()),
        Token::Lt | Token::Le | Token::Gt | Token::Ge | Token::EqEq | Token::NotEq => {
            return Some("comparisons do not chain: write `a < b and b < c`".to_string());
        }
        Token::Keyword(word @ (Word::Unroll | Word::Trace | Word::Implicit | Word::Derive | Word::Train)) => {
            return Some(format!("`{0} ...` needs parentheses here: `({0} ...)`", word.text()));
        }
        Token::If | Token::Fn if before.is_some_and(|t| t.is_binary_operator()) => {
            let word = if found == Token::If { "if" } else { "fn" };
            return Some(format!("`{word} ...` needs parentheses here: `({word} ...)`"));
        }
        Token::Else if mistake.wants(Want::EndOfLine) => {
            return Some(
                "`if` at the start of a line is a statement if `{` follows `then`, and then `{` follows `else`"
                    .to_string(),
            );
        }
        Token::LBrace if matches!(first_of_line, Some(Token::If)) => {
            return Some("write `if condition then { ... } else { ... }`".to_string());
        }
        Token::Name("return") => return Some("the last expression of a block is its value".to_string()),
        Token::Prime => {
            return Some("strings stand in double quotes; `'` transposes what stands before it".to_string());
        }
        _ => {}
    }
    if before == Some(Token::Else) && mistake.wants(Want::LBrace) {
        return Some("after `then {` the branch of `else` needs braces as well".to_string());
    }
    // A misspelled word at its place.
    if let Some(text) = found.name() {
        let words = WORDS.iter().copied().filter(|word| mistake.wants(Want::Word(*word)));
        let clauses = CLAUSES.iter().copied().filter(|_| mistake.wants(Want::Clause));
        if let Some(word) = words.chain(clauses).find(|word| similar(word.text(), text)) {
            return Some(format!("did you mean `{}`?", word.text()));
        }
    }
    // Two operands side by side.
    let starts_operand = found.starts_operand();
    if starts_operand && before.is_some_and(|t| t.ends_operand()) && mistake.wants(Want::Operator) {
        if let Some(word @ ("def" | "func" | "function" | "lambda")) = before?.name() {
            return Some(format!("a function is `fn name(x: real) = ...`, not `{word}`"));
        }
        if let Some(word @ ("var" | "const" | "val" | "mut")) = before?.name() {
            return Some(format!("write `let`, not `{word}`"));
        }
        if let Some(word @ ("while" | "elif" | "import" | "return" | "class" | "struct")) = before?.name() {
            let instead = match word {
                "while" => "repeat with `loop x = start until condition within n { ... }`",
                "elif" => "write `else if`",
                "import" => "write `use`",
                "return" => "the last expression of a block is its value",
                _ => "records are written `{ name: value }`, and need no declaration",
            };
            return Some(instead.to_string());
        }
        if matches!(before, Some(Token::Int(_) | Token::Real(_))) && place.touches() {
            return Some("a product is written with `*`".to_string());
        }
        if let (Some(word), true) = (before?.name(), place.two_before == Some(Token::End) || place.at == 1) {
            let near = nearest_item_word(word)?;
            return Some(format!("did you mean `{near}`?"));
        }
    }
    None
}

/// The words that begin clauses of `train`.
const CLAUSES: [Word; 11] = [
    Word::Batch,
    Word::State,
    Word::Minimize,
    Word::Maximize,
    Word::Using,
    Word::Epochs,
    Word::Steps,
    Word::Update,
    Word::Record,
    Word::Keep,
    Word::Every,
];

fn similar(word: &str, text: &str) -> bool {
    strsim::damerau_levenshtein(word, text) <= 1 + word.len() / 6
}

/// A word that starts items and is spelled much like this.
fn nearest_item_word(text: &str) -> Option<&'static str> {
    const STARTS: [&str; 17] = [
        "let",
        "fn",
        "problem",
        "method",
        "solver",
        "network",
        "prox",
        "derivative",
        "test",
        "print",
        "assert",
        "arg",
        "use",
        "precision",
        "train",
        "derive",
        "unroll",
    ];
    STARTS.into_iter().find(|start| similar(start, text))
}
