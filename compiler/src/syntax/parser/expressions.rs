//! Expressions, types, blocks and `let`.

use super::explain::{Mistake, Want};
use super::{
    Extra, Rule, Tokens, binder, braces, inits, keyword, name, names, one, operator, path, token, train, trivia, word,
};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{
    Arg, ArgValue, BinaryOp, Block, Checkpoint, CompareOp, Expr, ExprKind, Generator, Index, Init, Learn, Let, LetKind,
    Lifted, Loop, LoopKind, Name, Param, Path, PathPart, Range, ScalarKind, Stmt, StmtKind, Trivia, Type, TypeKind,
};
use crate::syntax::token::{Token, Word, unescape};
use chumsky::input::Emitter;
use chumsky::prelude::{choice, recursive};
use chumsky::{IterParser, Parser};
use std::rc::Rc;

/// The rules that items are made of.
#[derive(Clone)]
pub struct Rules<'s> {
    pub expr: Rule<'s, Expr>,
    pub sum: Rule<'s, Expr>,
    pub postfix: Rule<'s, Expr>,
    pub ty: Rule<'s, Type>,
    pub params: Rule<'s, Vec<Param>>,
    pub range: Rule<'s, Range>,
    pub path: Rule<'s, Path>,
    pub paths: Rule<'s, Vec<Path>>,
    pub inits: Rule<'s, Vec<Init>>,
    pub let_: Rule<'s, Let>,
    pub block: Rule<'s, Block>,
    pub record: Rule<'s, Vec<(Name, Expr)>>,
    /// `let`s and assignments in braces.
    pub pass: Rule<'s, Vec<Stmt>>,
    /// `place <- expr`
    pub assign: Rule<'s, Stmt>,
    or: Rule<'s, Expr>,
}

/// What can stand on a line of a block. Which of them may, the block says.
enum Line {
    Stmt(Stmt),
    Expr(Expr, Trivia),
}

pub fn rules<'s>() -> Rules<'s> {
    let expr = recursive(|expr| whole(&ladder(expr.boxed())));
    ladder(expr.boxed())
}

/// All rules, given that of an expression. Where the grammar has `sum` between brackets or keywords, any expression
/// is taken: the places are unambiguous, and later stages check what it is.
fn ladder<'s>(expr: Rule<'s, Expr>) -> Rules<'s> {
    let indices = indices(&expr).boxed();
    let ty = types(&expr).boxed();
    let params = params(&expr, &ty).boxed();
    let inits = inits(expr.clone(), ty.clone()).boxed();
    let let_ = let_statement(&expr, &inits).boxed();
    let line = line(&expr, &inits, &let_).boxed();
    let pass = braces(Want::LBrace, line.clone()).validate(|lines, _, emitter| pass_lines(lines, emitter)).boxed();
    let assign = line.clone().try_map(|line, _| assignment(line)).boxed();
    let block = block(line).boxed();
    let record = record(&expr).boxed();
    let range = range(&expr).boxed();
    let path = path(indices.clone()).boxed();
    let primary = primary(&expr, &inits, &block, &record, &range, &pass).boxed();
    let postfix = postfix(&expr, primary, indices, &range).boxed();
    let sum = sum(&postfix).boxed();
    let or = or(&sum).boxed();
    let paths = path.clone().separated_by(token(Token::Comma)).at_least(1).collect().boxed();
    Rules { expr, sum, postfix, ty, params, range, path, paths, inits, let_, block, record, pass, assign, or }
}

/// `expr` of the grammar.
fn whole<'s>(rules: &Rules<'s>) -> Rule<'s, Expr> {
    let Rules { expr, sum, postfix, ty, params, path, record, or, .. } = rules;
    let boxed = |rule: &Rule<'s, Expr>| rule.clone().map(Box::new);

    let condition = one(Want::Expression, |t| (t == Token::If).then_some(()))
        .ignore_then(boxed(expr))
        .then_ignore(token(Token::Then))
        .then(boxed(expr))
        .then_ignore(token(Token::Else))
        .then(boxed(expr))
        .map(|((cond, then), otherwise)| ExprKind::If { cond, then, otherwise });

    let lambda = one(Want::Expression, |t| (t == Token::Fn).then_some(()))
        .ignore_then(params.clone())
        .then_ignore(token(Token::Eq))
        .then(expr.clone())
        .map(|(params, body)| ExprKind::Lambda { params, body: Rc::new(body) });

    let lifted = token(Token::Each).or_not().then(binder(ty.clone())).map(|(each, binder)| Lifted {
        each: each.is_some(),
        name: binder.name,
        ty: binder.ty,
    });
    let learn = word(Word::Learn)
        .ignore_then(lifted.separated_by(token(Token::Comma)).at_least(1).collect())
        .then(word(Word::From).ignore_then(boxed(sum)).or_not())
        .map_with(|(lifted, from), e| Learn { lifted, from, span: e.span() });
    let unroll = keyword(Word::Unroll, Want::Expression)
        .ignore_then(boxed(postfix))
        .then_ignore(token(Token::For))
        .then(boxed(sum))
        .then(word(Word::Backprop).ignore_then(boxed(sum)).or_not())
        .then(checkpoint().or_not())
        .then(learn.or_not())
        .map(|((((call, count), backprop), checkpoint), learn)| ExprKind::Unroll {
            call,
            count,
            backprop,
            checkpoint,
            learn,
        });

    let implicit = keyword(Word::Implicit, Want::Expression).ignore_then(boxed(postfix)).map(ExprKind::Implicit);

    let trace = keyword(Word::Trace, Want::Expression)
        .ignore_then(boxed(postfix))
        .then_ignore(token(Token::For))
        .then(boxed(sum))
        .then(word(Word::Every).ignore_then(boxed(sum)).or_not())
        .then(record.clone())
        .map(|(((call, count), every), record)| ExprKind::Trace { call, count, every, record });

    let derive = keyword(Word::Derive, Want::Expression)
        .ignore_then(path.clone())
        .then(word(Word::By).ignore_then(boxed(postfix)).or_not())
        .then(word(Word::As).ignore_then(name()).or_not())
        .map(|((path, by), form)| ExprKind::Derive { path, by, form });

    let train = train::train(rules).map(|train| ExprKind::Train(Box::new(train)));

    let forms = choice((condition, lambda, unroll, implicit, trace, derive, train)).map_with(node);
    forms.or(or.clone()).boxed()
}

fn node<'s>(kind: ExprKind, e: &mut chumsky::input::MapExtra<'s, '_, Tokens<'s>, Extra<'s>>) -> Expr {
    Expr { kind, span: e.span() }
}

/// `checkpoint [NUMBER]`
fn checkpoint<'s>() -> impl Parser<'s, Tokens<'s>, Checkpoint, Extra<'s>> + Clone {
    let keep = one(Want::Number, |t| match t {
        Token::Int(value) => Some(value),
        _ => None,
    });
    word(Word::Checkpoint).ignore_then(keep.or_not()).map(|keep| Checkpoint { keep })
}

fn or<'s>(sum: &Rule<'s, Expr>) -> impl Parser<'s, Tokens<'s>, Expr, Extra<'s>> + Clone + use<'s> {
    let compare = one(Want::Operator, |t| match t {
        Token::Lt => Some(CompareOp::Lt),
        Token::Le => Some(CompareOp::Le),
        Token::Gt => Some(CompareOp::Gt),
        Token::Ge => Some(CompareOp::Ge),
        Token::EqEq => Some(CompareOp::Eq),
        Token::NotEq => Some(CompareOp::Ne),
        _ => None,
    });
    let comparison = sum.clone().then(compare.then(sum.clone()).or_not()).map_with(|(left, rest), e| match rest {
        None => left,
        Some((op, right)) => {
            Expr { kind: ExprKind::Compare { op, left: Box::new(left), right: Box::new(right) }, span: e.span() }
        }
    });
    let not = recursive(|not| {
        let negated = one(Want::Expression, |t| (t == Token::Not).then_some(()))
            .ignore_then(not)
            .map_with(|inner, e| Expr { kind: ExprKind::Not(Box::new(inner)), span: e.span() });
        negated.or(comparison).boxed()
    });
    let and = chain(not, |t| (t == Token::And).then_some(BinaryOp::And)).boxed();
    chain(and, |t| (t == Token::Or).then_some(BinaryOp::Or))
}

fn sum<'s>(postfix: &Rule<'s, Expr>) -> impl Parser<'s, Tokens<'s>, Expr, Extra<'s>> + Clone + use<'s> {
    let postfix = postfix.clone();
    let unary = recursive(|unary| {
        let power =
            postfix.then(operator(Token::Caret).ignore_then(unary.clone()).or_not()).map_with(|(base, exponent), e| {
                match exponent {
                    None => base,
                    Some(exponent) => Expr { kind: ExprKind::Pow(Box::new(base), Box::new(exponent)), span: e.span() },
                }
            });
        let negated = one(Want::Expression, |t| (t == Token::Minus).then_some(()))
            .ignore_then(unary)
            .map_with(|inner, e| Expr { kind: ExprKind::Neg(Box::new(inner)), span: e.span() });
        negated.or(power).boxed()
    });
    let matmul = recursive(|matmul| {
        unary
            .then(operator(Token::At).ignore_then(matmul).or_not())
            .map_with(|(left, right), e| match right {
                None => left,
                Some(right) => Expr { kind: ExprKind::MatMul(Box::new(left), Box::new(right)), span: e.span() },
            })
            .boxed()
    });
    let product = chain(matmul, |t| match t {
        Token::Star => Some(BinaryOp::Mul),
        Token::Slash => Some(BinaryOp::Div),
        Token::SlashSlash => Some(BinaryOp::IntDiv),
        Token::Percent => Some(BinaryOp::Mod),
        _ => None,
    });
    chain(product.boxed(), |t| match t {
        Token::Plus => Some(BinaryOp::Add),
        Token::Minus => Some(BinaryOp::Sub),
        _ => None,
    })
}

/// Operators of one precedence, grouping to the left.
fn chain<'s>(
    operand: impl Parser<'s, Tokens<'s>, Expr, Extra<'s>> + Clone,
    op: impl Fn(Token<'s>) -> Option<BinaryOp> + Clone,
) -> impl Parser<'s, Tokens<'s>, Expr, Extra<'s>> + Clone {
    let rest = one(Want::Operator, op).then(operand.clone()).repeated().collect::<Vec<_>>();
    operand.then(rest).map_with(|(first, rest), e| match rest.is_empty() {
        true => first,
        false => Expr { kind: ExprKind::Chain { first: Box::new(first), rest }, span: e.span() },
    })
}

/// What can follow a primary.
enum Suffix {
    Prime,
    Call(Vec<Arg>),
    Index(Vec<Index>),
    Field(Name),
}

fn postfix<'s>(
    expr: &Rule<'s, Expr>,
    primary: Rule<'s, Expr>,
    indices: Rule<'s, Vec<Index>>,
    range: &Rule<'s, Range>,
) -> impl Parser<'s, Tokens<'s>, Expr, Extra<'s>> + Clone + use<'s> {
    let arg = arg(expr, range).boxed();
    let args = arg
        .separated_by(token(Token::Comma))
        .allow_trailing()
        .collect()
        .delimited_by(operator(Token::LParen), token(Token::RParen));
    let suffix = choice((
        operator(Token::Prime).to(()).map(|()| Suffix::Prime),
        args.map(Suffix::Call),
        indices.map(Suffix::Index),
        operator(Token::Dot).ignore_then(name()).map(Suffix::Field),
    ))
    .boxed();
    primary.foldl_with(suffix.repeated(), |base, suffix, e| {
        let base = Box::new(base);
        let kind = match suffix {
            Suffix::Prime => ExprKind::Transpose(base),
            Suffix::Call(args) => ExprKind::Call { func: base, args },
            Suffix::Index(indices) => ExprKind::Index { base, indices },
            Suffix::Field(name) => ExprKind::Field { base, name },
        };
        Expr { kind, span: e.span() }
    })
}

fn arg<'s>(
    expr: &Rule<'s, Expr>,
    range: &Rule<'s, Range>,
) -> impl Parser<'s, Tokens<'s>, Arg, Extra<'s>> + Clone + use<'s> {
    let named = name().then_ignore(operator(Token::Colon));
    let each = one(Want::Expression, |t| (t == Token::Each).then_some(())).repeated().at_least(1).count();
    let generator = generators(range);
    let value = choice((
        one(Want::Expression, |t| (t == Token::Blank).then_some(ArgValue::Blank)),
        each.then(expr.clone()).map(|(marks, value)| ArgValue::Each(marks, value)),
        expr.clone().then(generator.or_not()).map(|(value, gens)| match gens {
            None => ArgValue::Expr(value),
            Some(gens) => ArgValue::Generator { body: value, gens },
        }),
    ));
    named.or_not().then(value).map_with(|(name, value), e| Arg { name, value, span: e.span() })
}

/// `for i in n, j in m`
fn generators<'s>(range: &Rule<'s, Range>) -> impl Parser<'s, Tokens<'s>, Vec<Generator>, Extra<'s>> + Clone + use<'s> {
    let generator =
        name().then_ignore(token(Token::In)).then(range.clone()).map(|(name, range)| Generator { name, range });
    token(Token::For).ignore_then(generator.separated_by(token(Token::Comma)).at_least(1).collect())
}

fn range<'s>(expr: &Rule<'s, Expr>) -> impl Parser<'s, Tokens<'s>, Range, Extra<'s>> + Clone + use<'s> {
    let end = operator(Token::Colon).ignore_then(expr.clone()).or_not();
    expr.clone().then(end).map(|(first, second)| match second {
        None => Range { start: None, end: Box::new(first) },
        Some(end) => Range { start: Some(Box::new(first)), end: Box::new(end) },
    })
}

/// `[index, ...]` after an operand.
fn indices<'s>(expr: &Rule<'s, Expr>) -> impl Parser<'s, Tokens<'s>, Vec<Index>, Extra<'s>> + Clone + use<'s> {
    let step = operator(Token::Colon).ignore_then(expr.clone()).or_not();
    let after_start = operator(Token::Colon).ignore_then(expr.clone().or_not()).then(step).boxed();
    let without_start =
        after_start.clone().map_with(|(end, step), e| Index::Range { start: None, end, step, span: e.span() });
    let with_start = expr.clone().then(after_start.or_not()).map_with(|(start, rest), e| match rest {
        None => Index::At(start),
        Some((end, step)) => Index::Range { start: Some(start), end, step, span: e.span() },
    });
    without_start
        .or(with_start)
        .separated_by(token(Token::Comma))
        .at_least(1)
        .collect()
        .delimited_by(operator(Token::LBracket), token(Token::RBracket))
}

fn primary<'s>(
    expr: &Rule<'s, Expr>,
    inits: &Rule<'s, Vec<Init>>,
    block: &Rule<'s, Block>,
    record: &Rule<'s, Vec<(Name, Expr)>>,
    range: &Rule<'s, Range>,
    pass: &Rule<'s, Vec<Stmt>>,
) -> impl Parser<'s, Tokens<'s>, Expr, Extra<'s>> + Clone + use<'s> {
    let atom = one(Want::Expression, |t| match t {
        Token::Int(value) => Some(ExprKind::Int(value)),
        Token::Real(number) => Some(ExprKind::Real(number.value, number.text.into())),
        // A wrong escape sequence was reported with the tokens.
        Token::Str(literal) => Some(ExprKind::Str(unescape(literal).unwrap_or_default().into())),
        Token::True => Some(ExprKind::Bool(true)),
        Token::False => Some(ExprKind::Bool(false)),
        Token::Question => Some(ExprKind::Hole),
        Token::Name(text) => Some(ExprKind::Name(text.into())),
        // With an operand after them these begin their own forms.
        Token::Keyword(Word::Unroll | Word::Implicit | Word::Trace | Word::Derive | Word::Train | Word::Previous) => {
            None
        }
        Token::Word(word) | Token::Keyword(word) => Some(ExprKind::Name(word.text().into())),
        _ => None,
    });
    let previous = keyword(Word::Previous, Want::Expression).ignore_then(name()).map(ExprKind::Previous);

    let more =
        token(Token::Comma).ignore_then(expr.clone().separated_by(token(Token::Comma)).allow_trailing().collect());
    let parens = expr
        .clone()
        .then(more.clone().or_not())
        .delimited_by(one(Want::Expression, |t| (t == Token::LParen).then_some(())), token(Token::RParen))
        .map(|(first, more): (Expr, Option<Vec<Expr>>)| match more {
            None => first.kind,
            Some(more) => ExprKind::Tuple([first].into_iter().chain(more).collect()),
        });

    enum Rest {
        Generators(Vec<Generator>),
        More(Vec<Expr>),
    }
    let rest = generators(range).map(Rest::Generators).or(more.map(Rest::More)).or_not();
    let array = expr
        .clone()
        .then(rest)
        .or_not()
        .delimited_by(one(Want::Expression, |t| (t == Token::LBracket).then_some(())), token(Token::RBracket))
        .map(|inside| match inside {
            None => ExprKind::Array(Vec::new()),
            Some((first, None)) => ExprKind::Array(vec![first]),
            Some((first, Some(Rest::More(more)))) => ExprKind::Array([first].into_iter().chain(more).collect()),
            Some((body, Some(Rest::Generators(gens)))) => ExprKind::Comprehension { body: Box::new(body), gens },
        });

    let passes = choice((
        token(Token::For)
            .ignore_then(name().then_ignore(token(Token::In)).or_not())
            .then(range.clone())
            .map(|(var, range)| LoopKind::For { var, range }),
        token(Token::Until)
            .ignore_then(expr.clone())
            .then_ignore(word(Word::Within))
            .then(expr.clone())
            .map(|(cond, within)| LoopKind::Until { cond, within }),
    ));
    let repetition = one(Want::Expression, |t| (t == Token::Loop).then_some(()))
        .ignore_then(inits.clone())
        .then(passes)
        .then(checkpoint().or_not())
        .then(pass.clone())
        .map(|(((inits, kind), checkpoint), body)| ExprKind::Loop(Box::new(Loop { inits, kind, checkpoint, body })));

    choice((
        atom,
        previous,
        parens.boxed(),
        array.boxed(),
        record.clone().map(ExprKind::Record),
        block.clone().map(ExprKind::Block),
        repetition.boxed(),
    ))
    .map_with(node)
}

/// `{ NAME: expr, ... }`
fn record<'s>(expr: &Rule<'s, Expr>) -> impl Parser<'s, Tokens<'s>, Vec<(Name, Expr)>, Extra<'s>> + Clone + use<'s> {
    let field = name().then_ignore(token(Token::Colon)).then(expr.clone()).boxed();
    let separator = one(Want::Comma, |t| matches!(t, Token::Comma | Token::End).then_some(()));
    field
        .separated_by(separator)
        .allow_trailing()
        .at_least(1)
        .collect()
        .delimited_by(one(Want::Expression, |t| (t == Token::RecordBrace).then_some(())), token(Token::RBrace))
}

/// One line of a block, `step`, `loop` or `update`.
fn line<'s>(
    expr: &Rule<'s, Expr>,
    inits: &Rule<'s, Vec<Init>>,
    let_: &Rule<'s, Let>,
) -> impl Parser<'s, Tokens<'s>, Line, Extra<'s>> + Clone + use<'s> {
    let let_ = let_.clone().map(|let_| Ok(StmtKind::Let(let_)));
    let param =
        keyword(Word::Param, Want::Expression).ignore_then(inits.clone()).map(|inits| Ok(StmtKind::Param(inits)));
    // Whether a line may be an assignment, its block says.
    let assign = one(Want::Operator, |t| (t == Token::Assign).then_some(())).ignore_then(expr.clone());
    let rest = expr.clone().then(assign.or_not()).try_map(|(first, value), span| match value {
        None => Ok(Err(first)),
        Some(value) => match place_of(first) {
            Ok(place) => Ok(Ok(StmtKind::Assign { place, value })),
            Err(wrong) => {
                let message = "this cannot be assigned to";
                let help = "a state is assigned as `y <- ...`, `y[i] <- ...` or `y.part <- ...`";
                let _ = span;
                Err(Mistake::said(Diagnostic::error("E0207", wrong, message).help(help)))
            }
        },
    });
    choice((let_, param, rest)).map_with(|line, e| {
        let span: Span = e.span();
        let trivia = trivia(e.state(), span);
        match line {
            Ok(kind) => Line::Stmt(Stmt { kind, span, trivia }),
            Err(expr) => Line::Expr(expr, trivia),
        }
    })
}

/// An expression as the place of an assignment, or the part of it that is none.
fn place_of(expr: Expr) -> Result<Path, Span> {
    let span = expr.span;
    let mut parts = Vec::new();
    let mut current = expr;
    loop {
        let inner = match current.kind {
            ExprKind::Name(text) => {
                parts.reverse();
                return Ok(Path { root: Name { text, span: current.span }, parts, span });
            }
            ExprKind::Field { base, name } => {
                parts.push(PathPart::Field(name));
                base
            }
            ExprKind::Index { base, indices } => {
                parts.push(PathPart::Index(indices));
                base
            }
            _ => return Err(current.span),
        };
        current = *inner;
    }
}

/// The lines of a `step`, `loop` or `update`: `let`s and assignments.
fn pass_lines(lines: Vec<Option<Line>>, emitter: &mut Emitter<Mistake<'_>>) -> Vec<Stmt> {
    let mut stmts = Vec::with_capacity(lines.len());
    for line in lines.into_iter().flatten() {
        match pass_line(line) {
            Ok(stmt) => stmts.push(stmt),
            Err(mistake) => emitter.emit(mistake),
        }
    }
    stmts
}

fn pass_line<'s>(line: Line) -> Result<Stmt, Mistake<'s>> {
    let (span, message) = match line {
        Line::Stmt(stmt) => match stmt.kind {
            StmtKind::Let(_) | StmtKind::Assign { .. } => return Ok(stmt),
            StmtKind::Param(_) => (stmt.span, "`param` stands only at the top of a network's block"),
        },
        Line::Expr(expr, _) => (expr.span, "this value is not used"),
    };
    Err(Mistake::said(Diagnostic::error("E0207", span, message).help("here stand `let x = ...` and `state <- ...`")))
}

fn assignment<'s>(line: Line) -> Result<Stmt, Mistake<'s>> {
    match pass_line(line)? {
        stmt @ Stmt { kind: StmtKind::Assign { .. }, .. } => Ok(stmt),
        Stmt { span, .. } => {
            let message = "a `step` of one line is an assignment";
            Err(Mistake::said(
                Diagnostic::error("E0207", span, message).help("write `step { ... }` around several lines"),
            ))
        }
    }
}

/// `{ let ... END value }`
fn block<'s>(line: Rule<'s, Line>) -> impl Parser<'s, Tokens<'s>, Block, Extra<'s>> + Clone {
    braces(Want::Expression, line).validate(|lines, e, emitter| {
        let span: Span = e.span();
        let mut block = Block { stmts: Vec::new(), value: None, value_trivia: Trivia::default(), span };
        let count = lines.len();
        let mut failed = false;
        for (i, line) in lines.into_iter().enumerate() {
            let (place, message, help) = match line {
                None => {
                    failed = true;
                    continue;
                }
                Some(Line::Expr(value, trivia)) if i + 1 == count => {
                    block.value = Some(Box::new(value));
                    block.value_trivia = trivia;
                    continue;
                }
                Some(Line::Expr(value, _)) => (
                    value.span,
                    "this value is not used",
                    "only the last expression of a block is its value; name others with `let`",
                ),
                Some(Line::Stmt(stmt)) => match stmt.kind {
                    StmtKind::Let(_) | StmtKind::Param(_) => {
                        block.stmts.push(stmt);
                        continue;
                    }
                    StmtKind::Assign { .. } => (
                        stmt.span,
                        "nothing can be assigned here",
                        "`<-` stands in `step`, `loop` and `update`; write `let x = ...`",
                    ),
                },
            };
            failed = true;
            emitter.emit(Mistake::said(Diagnostic::error("E0207", place, message).help(help)));
        }
        if block.value.is_none() && !failed {
            let place = Span { start: span.end - 1, ..span };
            let message = "this block has no value";
            let help = "a block ends with an expression, its value";
            emitter.emit(Mistake::said(
                Diagnostic::error("E0207", place, message).here("expected an expression").help(help),
            ));
        }
        block
    })
}

fn let_statement<'s>(
    expr: &Rule<'s, Expr>,
    inits: &Rule<'s, Vec<Init>>,
) -> impl Parser<'s, Tokens<'s>, Let, Extra<'s>> + Clone + use<'s> {
    let tuple = names()
        .delimited_by(token(Token::LParen), token(Token::RParen))
        .then_ignore(token(Token::Eq))
        .then(expr.clone())
        .map(|(names, value)| LetKind::Tuple(names, value));
    one(Want::Item, |t| (t == Token::Let).then_some(()))
        .ignore_then(tuple.or(inits.clone().map(LetKind::Inits)))
        .map_with(|kind, e| Let { kind, span: e.span(), trivia: Trivia::default() })
}

/// `(a: real, b: int = 2)`; the types may be missing.
fn params<'s>(
    expr: &Rule<'s, Expr>,
    ty: &Rule<'s, Type>,
) -> impl Parser<'s, Tokens<'s>, Vec<Param>, Extra<'s>> + Clone + use<'s> {
    let default = token(Token::Eq).ignore_then(expr.clone()).or_not();
    let param =
        binder(ty.clone()).then(default).map(|(binder, default)| Param { name: binder.name, ty: binder.ty, default });
    param
        .separated_by(token(Token::Comma))
        .allow_trailing()
        .collect()
        .delimited_by(token(Token::LParen), token(Token::RParen))
}

fn types<'s>(expr: &Rule<'s, Expr>) -> impl Parser<'s, Tokens<'s>, Type, Extra<'s>> + Clone + use<'s> {
    let expr = expr.clone();
    recursive(|ty| {
        let ty = ty.boxed();
        let dims = expr
            .separated_by(token(Token::Comma))
            .allow_trailing()
            .at_least(1)
            .collect()
            .delimited_by(token(Token::LBracket), token(Token::RBracket));
        let array = one(Want::Type, Token::name).map_with(|text, e| (text, e.span())).then(dims.or_not()).validate(
            |((text, span), dims), _, emitter| {
                let kind = match text {
                    "real" => ScalarKind::Real,
                    "int" => ScalarKind::Int,
                    "bool" => ScalarKind::Bool,
                    "key" => ScalarKind::Key,
                    "string" => ScalarKind::Str,
                    other => {
                        emitter.emit(unknown_type(other, span));
                        return TypeKind::Error;
                    }
                };
                TypeKind::Array { kind, dims: dims.unwrap_or_default() }
            },
        );
        let start = |token| one(Want::Type, move |t| (t == token).then_some(()));
        let several = ty.clone().separated_by(token(Token::Comma)).allow_trailing();
        let tuple = several.clone().at_least(1).collect().delimited_by(start(Token::LParen), token(Token::RParen)).map(
            |mut types: Vec<Type>| match types.len() {
                1 => types.remove(0).kind,
                _ => TypeKind::Tuple(types),
            },
        );
        let field = name().then_ignore(token(Token::Colon)).then(ty.clone());
        let separator = one(Want::Comma, |t| matches!(t, Token::Comma | Token::End).then_some(()));
        let record = field
            .separated_by(separator)
            .allow_trailing()
            .collect()
            .delimited_by(start(Token::RecordBrace), token(Token::RBrace))
            .map(TypeKind::Record);
        let function = start(Token::Fn)
            .ignore_then(several.collect().delimited_by(token(Token::LParen), token(Token::RParen)))
            .then_ignore(token(Token::Arrow))
            .then(ty)
            .map(|(params, result)| TypeKind::Fn { params, result: Box::new(result) });
        choice((array, tuple, record, function)).map_with(|kind, e| Type { kind, span: e.span() }).boxed()
    })
}

fn unknown_type<'s>(text: &str, span: Span) -> Mistake<'s> {
    let diagnostic = Diagnostic::error("E0208", span, format!("there is no type `{text}`"));
    let meant = match text {
        "float" | "double" | "f32" | "f64" | "number" | "Real" | "tensor" | "array" | "matrix" | "vector" => {
            "`real`; its precision is that of the run"
        }
        "i32" | "i64" | "integer" | "Int" | "nat" | "size" | "usize" => "`int`",
        "boolean" | "Bool" => "`bool`",
        "str" | "String" | "text" => "`string`",
        _ => {
            let help = "types are `real`, `int`, `bool`, `key`, `string`, arrays `real[m, n]`, tuples, records and `fn(...) -> ...`";
            return Mistake::said(diagnostic.help(help));
        }
    };
    Mistake::said(diagnostic.help(format!("write {meant}")))
}
