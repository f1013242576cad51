//! Items: definitions, and the statements of the top level.

use super::explain::{Mistake, Want};
use super::expressions::Rules;
use super::{Extra, Rule, Tokens, binder, braces, keyword, name, names, one, token, trivia, word};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{
    Binder, Block, Constraint, Custom, CustomKind, Expr, ExprKind, Fn, Init, Item, ItemKind, Let, Method, Name,
    Network, Param, Problem, Role, Solver, SolverBody, Stmt, Trivia, Until,
};
use crate::syntax::token::{Token, Word, unescape};
use chumsky::input::Emitter;
use chumsky::prelude::{choice, recursive};
use chumsky::{IterParser, Parser};
use std::rc::Rc;

fn item_word<'s>(word: Word) -> impl Parser<'s, Tokens<'s>, (), Extra<'s>> + Clone {
    keyword(word, Want::Item)
}

/// `item` of the grammar.
pub fn item<'s>(rules: &Rules<'s>) -> Rule<'s, Item> {
    let rules = rules.clone();
    recursive(move |item| {
        let items =
            braces(Want::LBrace, item.boxed()).map(|items| items.into_iter().flatten().collect::<Vec<Item>>()).boxed();
        choice((definition(&rules), statement(&rules, items)))
            .map_with(|kind, e| {
                let span: Span = e.span();
                let around = e.state().get(&span.start).cloned().unwrap_or_default();
                Item { kind, span, doc: around.doc, trivia: around.trivia }
            })
            .boxed()
    })
    .boxed()
}

fn definition<'s>(rules: &Rules<'s>) -> Rule<'s, ItemKind> {
    let Rules { expr, ty, path, block, params, .. } = rules;
    let typed = params.clone().validate(|params, _, emitter| typed(params, emitter)).boxed();
    let value = token(Token::Eq).ignore_then(expr.clone()).boxed();
    let body = value.clone().or(block.clone().map(block_expr)).boxed();
    let result = token(Token::Arrow).ignore_then(ty.clone()).or_not();

    let use_ = item_word(Word::Use).ignore_then(path.clone()).map(ItemKind::Use);
    let precision = item_word(Word::Precision).ignore_then(name()).map(ItemKind::Precision);
    let arg = item_word(Word::Arg)
        .ignore_then(binder(ty.clone()))
        .then(value.clone().or_not())
        .map(|(binder, default)| ItemKind::Arg { binder, default });

    // `fn (` begins a lambda.
    let function = one(Want::Item, |t| (t == Token::Fn).then_some(()))
        .ignore_then(name())
        .then(typed.clone())
        .then(result.clone())
        .then(body.clone())
        .map(|(((name, params), result), body)| ItemKind::Fn(Rc::new(Fn { name, params, result, body })));

    let kind =
        choice((item_word(Word::Prox).to(CustomKind::Prox), item_word(Word::Derivative).to(CustomKind::Derivative)));
    let custom = kind
        .then(name())
        .then_ignore(token(Token::LParen))
        .then(names())
        .then_ignore(token(Token::Semicolon))
        .then(names())
        .then_ignore(token(Token::RParen))
        .then(token(Token::Arrow).ignore_then(name()).or_not())
        .then(body)
        .map(|(((((kind, name), args), after), result), body)| {
            ItemKind::Custom(Rc::new(Custom { kind, name, args, after, result, body }))
        });

    let solver_body = solver_body(rules).boxed();
    let after_name = token(Token::Eq).ignore_then(expr.clone()).map(Ok).or(typed
        .clone()
        .then_ignore(token(Token::Arrow))
        .then(expr.clone())
        .then(solver_body.clone())
        .map(Err));
    let solver = item_word(Word::Solver).ignore_then(name()).then(after_name).map(|(name, rest)| match rest {
        Ok(value) => ItemKind::SolverAlias { name, value },
        Err(((params, result), body)) => ItemKind::Solver(Rc::new(Solver { name, params, result, body })),
    });

    let role = name()
        .then_ignore(token(Token::Colon))
        .then(name())
        .then(word(Word::Of).ignore_then(name()).or_not())
        .map(|((name, role), of)| Role { name, role, of });
    let roles = role
        .separated_by(token(Token::Comma))
        .allow_trailing()
        .at_least(1)
        .collect()
        .delimited_by(token(Token::LParen), token(Token::RParen));
    let method = item_word(Word::Method)
        .ignore_then(name())
        .then(roles)
        .then_ignore(word(Word::Over))
        .then(names())
        .then(solver_body)
        .map(|(((name, roles), over), body)| ItemKind::Method(Rc::new(Method { name, roles, over, body })));

    let template = typed.clone().then(typed.clone().or_not()).then(result).then(block.clone());
    let after_name = value.map(Ok).or(template.map(Err));
    let network = item_word(Word::Network).ignore_then(name()).then(after_name).map(|(name, rest)| match rest {
        Ok(value) => ItemKind::NetworkAlias { name, value },
        Err((((first, second), result), body)) => {
            let (template, params) = match second {
                None => (None, first),
                Some(params) => (Some(first), params),
            };
            ItemKind::Network(Rc::new(Network { name, template, params, result, body }))
        }
    });

    let problem = problem(rules, typed);
    choice((
        use_,
        precision,
        arg.boxed(),
        function.boxed(),
        problem,
        method.boxed(),
        solver.boxed(),
        network.boxed(),
        custom.boxed(),
    ))
    .boxed()
}

fn statement<'s>(rules: &Rules<'s>, items: Rule<'s, Vec<Item>>) -> Rule<'s, ItemKind> {
    let Rules { expr, let_, range, .. } = rules;
    let string = one(Want::Str, |t| match t {
        Token::Str(literal) => Some(unescape(literal).unwrap_or_default()),
        _ => None,
    });
    let test = item_word(Word::Test)
        .ignore_then(string.map_with(|name, e| (name, e.span())))
        .then(items.clone())
        .map(|((name, name_span), items)| ItemKind::Test { name, name_span, items });
    let for_ = one(Want::Item, |t| (t == Token::For).then_some(()))
        .ignore_then(name())
        .then_ignore(token(Token::In))
        .then(range.clone())
        .then(items.clone())
        .map(|((var, range), body)| ItemKind::For { var, range, body });

    // A `{` after `then` decides that the branches are statements; so nothing is parsed twice.
    enum Branches {
        Items(Vec<Item>, Vec<Item>),
        Values(Expr, Expr),
    }
    let condition = recursive(|condition| {
        let values = super::unless(Token::LBrace)
            .ignore_then(expr.clone())
            .then_ignore(token(Token::Else))
            .then(expr.clone())
            .map(|(then, otherwise)| Branches::Values(then, otherwise));
        let else_if = condition.map_with(|kind, e| {
            let span = e.span();
            vec![Item { kind, span, doc: Vec::new(), trivia: Trivia::default() }]
        });
        let branches = items
            .clone()
            .then(token(Token::Else).ignore_then(items.or(else_if)).or_not())
            .map(|(then, otherwise)| Branches::Items(then, otherwise.unwrap_or_default()));
        one(Want::Item, |t| (t == Token::If).then_some(()))
            .ignore_then(expr.clone())
            .then_ignore(token(Token::Then))
            .then(branches.or(values))
            .map_with(|(cond, branches), e| match branches {
                Branches::Items(then, otherwise) => ItemKind::If { cond, then, otherwise },
                Branches::Values(then, otherwise) => {
                    let (cond, then, otherwise) = (Box::new(cond), Box::new(then), Box::new(otherwise));
                    ItemKind::Expr(Expr { kind: ExprKind::If { cond, then, otherwise }, span: e.span() })
                }
            })
            .boxed()
    });

    let exprs = expr.clone().separated_by(token(Token::Comma)).at_least(1).collect::<Vec<_>>().boxed();
    let print = item_word(Word::Print).ignore_then(exprs.clone()).map(ItemKind::Print);
    let assert = item_word(Word::Assert).ignore_then(exprs).map(ItemKind::Assert);
    let let_ = let_.clone().map(ItemKind::Let);
    // Words that begin items are no expressions here: their own rules have failed.
    let begins_item = one(Want::Item, |t| match t {
        Token::Keyword(word) if begins_item(word) => None,
        Token::If => None,
        _ => Some(()),
    });
    let value = begins_item.rewind().ignore_then(expr.clone()).map(ItemKind::Expr);
    choice((let_, print, assert, test.boxed(), for_.boxed(), condition.boxed(), value)).boxed()
}

fn begins_item(word: Word) -> bool {
    match word {
        Word::Use | Word::Precision | Word::Arg | Word::Problem | Word::Method | Word::Solver | Word::Network => true,
        Word::Prox | Word::Derivative | Word::Test | Word::Print | Word::Assert => true,
        _ => false,
    }
}

fn block_expr(block: Block) -> Expr {
    let span = block.span;
    Expr { kind: ExprKind::Block(block), span }
}

/// Parameters of definitions have types.
fn typed(params: Vec<Param>, emitter: &mut Emitter<Mistake<'_>>) -> Vec<Param> {
    for param in params.iter().filter(|param| param.ty.is_none()) {
        let text = &param.name.text;
        let message = format!("the parameter `{text}` has no type");
        let help = format!("write `{text}: real`, or `{text}: real[n]` for an array of any length `n`");
        emitter.emit(Mistake::said(Diagnostic::error("E0209", param.name.span, message).help(help)));
    }
    params
}

/// A line in the braces of a problem.
enum ProblemLine {
    Let(Let),
    Over(bool, Vec<Binder>, Trivia, Span),
    Value(Expr, Trivia),
    Constraints(Vec<Constraint>, Trivia, Span),
}

fn problem<'s>(rules: &Rules<'s>, params: Rule<'s, Vec<Param>>) -> Rule<'s, ItemKind> {
    let Rules { expr, postfix, ty, let_, .. } = rules;
    let let_ = let_.clone().map_with(|let_, e| {
        let trivia = trivia(e.state(), let_.span);
        ProblemLine::Let(Let { trivia, ..let_ })
    });
    let binders = binder(ty.clone()).separated_by(token(Token::Comma)).at_least(1).collect();
    let over = choice((
        keyword(Word::Minimize, Want::Word(Word::Minimize)).to(false),
        keyword(Word::Maximize, Want::Word(Word::Maximize)).to(true),
    ))
    .then_ignore(word(Word::Over))
    .then(binders)
    .map_with(|(maximize, over), e| {
        let span = e.span();
        ProblemLine::Over(maximize, over, trivia(e.state(), span), span)
    });
    let constraint = expr
        .clone()
        .then(token(Token::In).ignore_then(postfix.clone()).or_not())
        .map(|(expr, set)| Constraint { expr, set });
    let constraints = keyword(Word::Subject, Want::Word(Word::Subject))
        .ignore_then(word(Word::To))
        .ignore_then(constraint.separated_by(token(Token::Comma)).at_least(1).collect())
        .map_with(|constraints, e| {
            let span = e.span();
            ProblemLine::Constraints(constraints, trivia(e.state(), span), span)
        });
    let value = expr.clone().map_with(|value, e| {
        let span = e.span();
        ProblemLine::Value(value, trivia(e.state(), span))
    });
    let line = choice((let_, over.boxed(), constraints.boxed(), value));

    item_word(Word::Problem)
        .ignore_then(name())
        .then(params)
        .then(braces(Want::LBrace, line))
        .validate(|((name, params), lines), e, emitter| match assemble_problem(name, params, lines, e.span()) {
            Ok(problem) => ItemKind::Problem(Rc::new(problem)),
            Err(mistake) => {
                if let Some(mistake) = mistake {
                    emitter.emit(mistake);
                }
                ItemKind::Error
            }
        })
        .boxed()
}

/// Puts the lines of a problem in their places. Without a mistake to tell, one was reported before.
fn assemble_problem<'s>(
    name: Name,
    params: Vec<Param>,
    lines: Vec<Option<ProblemLine>>,
    span: Span,
) -> Result<Problem, Option<Mistake<'s>>> {
    let wrong = |place, message: &str| {
        let help = "a problem has `let`s, then `minimize over y: real[n]`, the objective on the next line, and \
                    perhaps `subject to ...`";
        Err(Some(Mistake::said(Diagnostic::error("E0210", place, message).help(help))))
    };
    let mut lets = Vec::new();
    let mut over: Option<(bool, Vec<Binder>, Trivia)> = None;
    let mut objective: Option<(Expr, Trivia)> = None;
    let mut constraints: Option<(Vec<Constraint>, Trivia)> = None;
    for line in lines {
        let Some(line) = line else { return Err(None) };
        match line {
            ProblemLine::Let(let_) if over.is_none() => lets.push(let_),
            ProblemLine::Let(let_) => return wrong(let_.span, "`let` stands before `minimize` here"),
            ProblemLine::Over(maximize, binders, trivia, _) if over.is_none() => {
                over = Some((maximize, binders, trivia));
            }
            ProblemLine::Over(_, _, _, span) => return wrong(span, "a problem has one objective"),
            ProblemLine::Value(value, _) if over.is_none() => {
                return wrong(value.span, "the objective stands after `minimize over ...`");
            }
            ProblemLine::Value(value, trivia) if objective.is_none() && constraints.is_none() => {
                objective = Some((value, trivia));
            }
            ProblemLine::Value(value, _) => return wrong(value.span, "a problem has one objective"),
            ProblemLine::Constraints(list, trivia, _) if objective.is_some() && constraints.is_none() => {
                constraints = Some((list, trivia));
            }
            ProblemLine::Constraints(_, _, span) => {
                return wrong(span, "`subject to` stands once, after the objective");
            }
        }
    }
    let (Some((maximize, over, over_trivia)), Some((objective, objective_trivia))) = (over, objective) else {
        return wrong(span, &format!("the problem `{}` has no objective", name.text));
    };
    let (constraints, constraints_trivia) = constraints.unwrap_or_default();
    Ok(Problem {
        name,
        params,
        lets,
        maximize,
        over,
        over_trivia,
        objective,
        objective_trivia,
        constraints,
        constraints_trivia,
    })
}

/// A line in the braces of a solver or method.
enum SolverLine {
    Let(Let),
    State(Vec<Init>, Trivia, Span),
    Step(Option<Name>, Vec<Stmt>, Trivia, Span),
    Until(Until),
}

fn solver_body<'s>(rules: &Rules<'s>) -> impl Parser<'s, Tokens<'s>, SolverBody, Extra<'s>> + Clone + use<'s> {
    let Rules { expr, sum, inits, let_, pass, assign, .. } = rules;
    let let_ = let_.clone().map_with(|let_, e| {
        let trivia = trivia(e.state(), let_.span);
        SolverLine::Let(Let { trivia, ..let_ })
    });
    let state = word(Word::State).ignore_then(inits.clone()).map_with(|inits, e| {
        let span = e.span();
        SolverLine::State(inits, trivia(e.state(), span), span)
    });
    let in_braces = name().or_not().then(pass.clone());
    let one_line = assign.clone().map(|assign| (None, vec![assign]));
    let step = word(Word::Step).ignore_then(in_braces.or(one_line)).map_with(|(counter, stmts), e| {
        let span = e.span();
        SolverLine::Step(counter, stmts, trivia(e.state(), span), span)
    });
    let until = token(Token::Until)
        .ignore_then(expr.clone())
        .then(word(Word::Within).ignore_then(sum.clone()).or_not())
        .map_with(|(cond, within), e| {
            let span = e.span();
            SolverLine::Until(Until { cond, within, span, trivia: trivia(e.state(), span) })
        });
    braces(Want::LBrace, choice((let_, state, step.boxed(), until))).validate(|lines, e, emitter| {
        let mut body = SolverBody {
            lets: Vec::new(),
            states: Vec::new(),
            state_trivia: Vec::new(),
            counter: None,
            step: Vec::new(),
            step_trivia: Trivia::default(),
            until: None,
        };
        if let Some(mistake) = assemble_solver(&mut body, lines, e.span()) {
            emitter.emit(mistake);
        }
        body
    })
}

/// Puts the lines of a solver in their places, and tells what is wrong with them.
fn assemble_solver<'s>(body: &mut SolverBody, lines: Vec<Option<SolverLine>>, span: Span) -> Option<Mistake<'s>> {
    let wrong = |place, message| {
        let help = "a solver has `let`s, then `state`s with their initial values, one `step`, and perhaps `until`";
        Some(Mistake::said(Diagnostic::error("E0210", place, message).help(help)))
    };
    let mut has_step = false;
    for line in lines {
        match line? {
            SolverLine::Let(let_) if body.states.is_empty() && !has_step => body.lets.push(let_),
            SolverLine::Let(let_) => {
                return wrong(let_.span, "`let` stands before `state` here, or inside `step { ... }`");
            }
            SolverLine::State(mut inits, trivia, _) if !has_step => {
                body.state_trivia.push((body.states.len(), trivia));
                body.states.append(&mut inits);
            }
            SolverLine::State(_, _, span) => return wrong(span, "`state` stands before `step`"),
            SolverLine::Step(counter, step, trivia, _) if !has_step => {
                has_step = true;
                body.counter = counter;
                body.step = step;
                body.step_trivia = trivia;
            }
            SolverLine::Step(_, _, _, span) => return wrong(span, "a solver has one `step`"),
            SolverLine::Until(until) if has_step && body.until.is_none() => body.until = Some(until),
            SolverLine::Until(until) => return wrong(until.span, "`until` stands once, after `step`"),
        }
    }
    let place = Span { start: span.end - 1, ..span };
    if body.states.is_empty() {
        return wrong(place, "this solver has no `state`");
    }
    if !has_step {
        return wrong(place, "this solver has no `step`");
    }
    None
}
