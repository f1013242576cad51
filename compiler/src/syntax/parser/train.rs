//! `train PATHS { clauses }`.

use super::explain::Want;
use super::expressions::Rules;
use super::{Extra, Tokens, braces, keyword, name, names, one, token, trivia, word};
use crate::syntax::ast::{Clause, ClauseKind, Pattern, Train, Using};
use crate::syntax::token::{Token, Word};
use chumsky::prelude::choice;
use chumsky::{IterParser, Parser};

/// A soft word at the start of a clause, where no name can stand.
fn start<'s>(start: Word) -> impl Parser<'s, Tokens<'s>, (), Extra<'s>> + Clone {
    one(Want::Clause, move |t| t.is_word(start).then_some(()))
}

pub fn train<'s>(rules: &Rules<'s>) -> impl Parser<'s, Tokens<'s>, Train, Extra<'s>> + Clone + use<'s> {
    let clause = clause(rules).boxed();
    keyword(Word::Train, Want::Expression).ignore_then(rules.paths.clone()).then(braces(Want::LBrace, clause)).map_with(
        |(paths, clauses), e| {
            // A clause that did not parse was reported; the tree goes on without it.
            Train { paths, clauses: clauses.into_iter().flatten().collect(), span: e.span() }
        },
    )
}

fn clause<'s>(rules: &Rules<'s>) -> impl Parser<'s, Tokens<'s>, Clause, Extra<'s>> + Clone + use<'s> {
    let Rules { expr, sum, postfix, inits, let_, record, pass, path, paths, .. } = rules;
    let after = |w| word(w).ignore_then(sum.clone());

    let in_parens = names().delimited_by(token(Token::LParen), token(Token::RParen));
    let pattern =
        name().map(|name| vec![name]).or(in_parens).map_with(|names, e| Pattern { names, span: e.span() }).boxed();
    let each = one(Want::Clause, |t| (t == Token::Each).then_some(()))
        .ignore_then(pattern.clone())
        .then_ignore(token(Token::In))
        .then(sum.clone())
        .then(after(Word::Batch).or_not())
        .map(|((pattern, data), batch)| ClauseKind::Each { pattern, data, batch });
    let batch = start(Word::Batch)
        .ignore_then(pattern)
        .then_ignore(token(Token::In))
        .then(sum.clone())
        .then(after(Word::Of))
        .map(|((pattern, data), of)| ClauseKind::Batch { pattern, data, of });
    let let_ = let_.clone().map(ClauseKind::Let);
    let state = start(Word::State).ignore_then(inits.clone()).map(ClauseKind::State);

    let using = postfix
        .clone()
        .then(token(Token::For).ignore_then(path.clone()).or_not())
        .map(|(optimizer, path)| Using { optimizer, path })
        .separated_by(token(Token::Comma))
        .at_least(1)
        .collect::<Vec<_>>()
        .boxed();
    let objective = choice((start(Word::Minimize).to(false), start(Word::Maximize).to(true)))
        .then(expr.clone())
        .then(word(Word::Over).ignore_then(paths.clone()).or_not())
        .then(word(Word::Using).ignore_then(using.clone()).or_not())
        .then(after(Word::Repeat).or_not())
        .map(|((((maximize, value), over), using), repeat)| ClauseKind::Objective {
            maximize,
            value,
            over: over.unwrap_or_default(),
            using: using.unwrap_or_default(),
            repeat,
        });
    let using = start(Word::Using).ignore_then(using).map(ClauseKind::Using);

    let counted = name().then_ignore(token(Token::In)).or_not().then(sum.clone()).boxed();
    let epochs = start(Word::Epochs).ignore_then(counted.clone()).map(|(var, count)| ClauseKind::Epochs { var, count });
    let steps = start(Word::Steps).ignore_then(counted).map(|(var, count)| ClauseKind::Steps { var, count });
    let update = start(Word::Update).ignore_then(pass.clone()).map(ClauseKind::Update);
    let record = start(Word::Record)
        .ignore_then(record.clone())
        .then(after(Word::Every).or_not())
        .map(|(fields, every)| ClauseKind::Record { fields, every });
    let keep = start(Word::Keep)
        .ignore_then(choice((word(Word::Lowest).to(false), word(Word::Highest).to(true))))
        .then(name())
        .then(after(Word::Patience).or_not())
        .map(|((highest, name), patience)| ClauseKind::Keep { highest, name, patience });
    let until =
        one(Want::Clause, |t| (t == Token::Until).then_some(())).ignore_then(expr.clone()).map(ClauseKind::Until);

    choice((
        each.boxed(),
        batch.boxed(),
        let_,
        state,
        objective.boxed(),
        using,
        epochs,
        steps,
        update,
        record,
        keep.boxed(),
        until,
    ))
    .map_with(|kind, e| {
        let span = e.span();
        Clause { kind, span, trivia: trivia(e.state(), span) }
    })
}
