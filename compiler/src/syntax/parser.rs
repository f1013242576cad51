//! Tokens to tree, with chumsky: the grammar of the language, one rule a function.
//!
//! The layout has bounded nesting, balanced brackets and put an `End` between statements, so a rule that fails inside
//! braces is skipped up to the next `End` of the same braces and the rest is parsed all the same. No two alternatives
//! share a prefix that can nest: the time is linear in the length of the text.

pub mod explain;
mod expressions;
mod items;
mod train;

use super::ast::{Binder, Expr, Index, Init, Item, ItemKind, Name, Path, PathPart, Trivia, Type};
use super::layout::{Around, Layout};
use super::token::{Token, Word};
use crate::source::{FileId, Span};
use chumsky::input::{Input, MappedInput};
use chumsky::inspector::SimpleState;
use chumsky::prelude::{custom, end, just};
use chumsky::{Boxed, IterParser, Parser, extra};
use explain::{Mistake, Want};
use std::collections::HashMap;

type Tokens<'s> = MappedInput<'s, Token<'s>, Span, &'s [(Token<'s>, Span)]>;
/// The state is the comments and blank lines around statements.
type Extra<'s> = extra::Full<Mistake<'s>, SimpleState<&'s HashMap<u32, Around>>, ()>;
/// A rule.
type Rule<'s, T> = Boxed<'s, 's, Tokens<'s>, T, Extra<'s>>;

impl chumsky::span::Span for Span {
    type Context = FileId;
    type Offset = u32;

    fn new(file: FileId, range: std::ops::Range<u32>) -> Span {
        Span { file, start: range.start, end: range.end }
    }

    fn context(&self) -> FileId {
        self.file
    }

    fn start(&self) -> u32 {
        self.start
    }

    fn end(&self) -> u32 {
        self.end
    }
}

/// The items of a file that was laid out. An item that does not parse at all is an error node.
pub fn items<'s>(layout: &'s Layout<'s>) -> (Vec<Item>, Vec<Mistake<'s>>) {
    let mut mistakes = Vec::new();
    let mut items = Vec::with_capacity(layout.items.len());
    let rule = items::item(&expressions::rules()).then_ignore(end());
    let mut state = SimpleState(&layout.around);
    for part in &layout.items {
        let tokens = &layout.tokens[part.range.clone()];
        let (first, last) = (tokens[0].1, tokens[tokens.len() - 1].1);
        let span = first.to(last);
        let error = || {
            let around = layout.around.get(&span.start).cloned().unwrap_or_default();
            Item { kind: ItemKind::Error, span, doc: around.doc, trivia: around.trivia }
        };
        if part.refused {
            items.push(error());
            continue;
        }
        let end = Span { start: last.end, ..last };
        let (item, wrong) = rule.parse_with_state(tokens.split_token_span(end), &mut state).into_output_errors();
        mistakes.extend(wrong);
        items.push(item.unwrap_or_else(error));
    }
    (items, mistakes)
}

/// A token for which `accept` gives a value.
fn one<'s, T>(
    want: Want,
    accept: impl Fn(Token<'s>) -> Option<T> + Clone,
) -> impl Parser<'s, Tokens<'s>, T, Extra<'s>> + Clone {
    custom(move |input| {
        let before = input.cursor();
        let found = input.next();
        match found.and_then(&accept) {
            Some(value) => Ok(value),
            None => Err(Mistake::expected(want, found, input.span_since(&before))),
        }
    })
}

/// This token.
fn token<'s>(token: Token<'static>) -> impl Parser<'s, Tokens<'s>, (), Extra<'s>> + Clone {
    one(Want::of(token), move |found| (found == token).then_some(()))
}

/// This token, where the message should only say that an operator may follow.
fn operator<'s>(token: Token<'static>) -> impl Parser<'s, Tokens<'s>, (), Extra<'s>> + Clone {
    one(Want::Operator, move |found| (found == token).then_some(()))
}

/// A soft word at a place where no name can stand.
fn word<'s>(word: Word) -> impl Parser<'s, Tokens<'s>, (), Extra<'s>> + Clone {
    one(Want::Word(word), move |found| found.is_word(word).then_some(()))
}

/// A soft word at the start of an item or operand.
fn keyword<'s>(word: Word, want: Want) -> impl Parser<'s, Tokens<'s>, (), Extra<'s>> + Clone {
    one(want, move |found| (found == Token::Keyword(word)).then_some(()))
}

/// Does not consume; succeeds unless this token follows.
fn unless<'s>(token: Token<'static>) -> impl Parser<'s, Tokens<'s>, (), Extra<'s>> + Clone {
    one(Want::Expression, move |found| (found != token).then_some(())).rewind()
}

fn name<'s>() -> impl Parser<'s, Tokens<'s>, Name, Extra<'s>> + Clone {
    one(Want::Name, Token::name).map_with(|text, e| Name { text: text.into(), span: e.span() })
}

fn names<'s>() -> impl Parser<'s, Tokens<'s>, Vec<Name>, Extra<'s>> + Clone {
    name().separated_by(token(Token::Comma)).at_least(1).collect()
}

/// Statements, clauses or parts of solvers in braces; the braces themselves may be wanted as something else.
/// `None` stands for a line that did not parse and was reported.
fn braces<'s, T: 's>(
    want: Want,
    line: impl Parser<'s, Tokens<'s>, T, Extra<'s>> + Clone + 's,
) -> impl Parser<'s, Tokens<'s>, Vec<Option<T>>, Extra<'s>> + Clone {
    let over = one(Want::EndOfLine, |found| matches!(found, Token::End | Token::RBrace).then_some(())).rewind();
    let line = line
        .then_ignore(over)
        .map(Some)
        .recover_with(chumsky::recovery::via_parser(custom(|input| {
            skip_line(input);
            Ok(None)
        })))
        .boxed();
    let open = one(want, |found| (found == Token::LBrace).then_some(()));
    let nothing = open.clone().then(token(Token::RBrace)).map(|_| Vec::new());
    let lines = line.separated_by(just(Token::End)).at_least(1).collect().delimited_by(open, token(Token::RBrace));
    nothing.or(lines)
}

/// Skips up to the `End` or `}` that ends the line.
fn skip_line<'s>(input: &mut chumsky::input::InputRef<'s, '_, Tokens<'s>, Extra<'s>>) {
    let mut depth = 0;
    while let Some(found) = input.peek() {
        match found {
            Token::End if depth == 0 => return,
            Token::LParen | Token::LBracket | Token::LBrace | Token::RecordBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace if depth == 0 => return,
            Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
            _ => {}
        }
        input.skip();
    }
}

/// `NAME [: type]`
fn binder<'s>(ty: Rule<'s, Type>) -> impl Parser<'s, Tokens<'s>, Binder, Extra<'s>> + Clone {
    let ty = token(Token::Colon).ignore_then(ty).or_not();
    name().then(ty).map(|(name, ty)| Binder { name, ty })
}

/// `NAME [: type] = expr, ...`
fn inits<'s>(expr: Rule<'s, Expr>, ty: Rule<'s, Type>) -> impl Parser<'s, Tokens<'s>, Vec<Init>, Extra<'s>> + Clone {
    let init = binder(ty).then_ignore(token(Token::Eq)).then(expr).map(|(binder, value)| Init { binder, value });
    init.separated_by(token(Token::Comma)).at_least(1).collect()
}

/// `net.k[s]`
fn path<'s>(indices: Rule<'s, Vec<Index>>) -> impl Parser<'s, Tokens<'s>, Path, Extra<'s>> + Clone {
    let field = operator(Token::Dot).ignore_then(name()).map(PathPart::Field);
    let part = field.or(indices.map(PathPart::Index));
    name().then(part.repeated().collect()).map_with(|(root, parts), e| Path { root, parts, span: e.span() })
}

/// Comments and blank lines around the statement that starts at this span.
fn trivia(notes: &SimpleState<&HashMap<u32, Around>>, span: Span) -> Trivia {
    let Some(around) = notes.get(&span.start) else {
        return Trivia::default();
    };
    // Only items have doc comments; elsewhere they are comments.
    let mut trivia = around.trivia.clone();
    trivia.comments.extend(around.doc.iter().cloned());
    trivia
}
