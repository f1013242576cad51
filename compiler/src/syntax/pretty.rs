//! Tree to text, as `dp fmt` writes it and derived solvers are shown: minimal parentheses, comments kept,
//! `parse(pretty(t)) == t` up to spans.

mod doc;
mod expressions;

use super::ast::{
    Block, ClauseKind, Constraint, CustomKind, Expr, ExprKind, Init, Item, ItemKind, Let, Module, Path, Problem,
    Solver, SolverBody, Stmt, StmtKind, Train, Trivia, Using,
};
use doc::{Doc, brackets, cat, commas, group, nest, text};
use expressions::{
    OR, POSTFIX, SUM, at, binder, binders, comma_names, expression, fields, inits, let_doc, params, path, range,
    string, ty_doc,
};

/// The text of a file; ends with a newline unless it is empty.
pub fn module(module: &Module) -> String {
    let notes = &mut Notes::default();
    let mut lines: Vec<Doc> =
        module.items.iter().enumerate().map(|(i, item)| item_lines(notes, item, i == 0)).collect();
    let end = &module.end;
    if !end.comments.is_empty() {
        let blank = if end.blank_before { vec![Doc::Empty] } else { Vec::new() };
        let comments = separated(end.comments.iter().map(|line| comment(line)), Doc::Hard);
        lines.push(cat([cat(blank), comments]));
    }
    if lines.is_empty() {
        return String::new();
    }
    doc::print(&cat([separated(lines, Doc::Hard), Doc::Hard]))
}

/// The text of one item.
pub fn item(item: &Item) -> String {
    doc::print(&item_lines(&mut Notes::default(), item, true))
}

/// The text of an expression.
pub fn expr(expr: &Expr) -> String {
    doc::print(&expression(&mut Notes::default(), expr))
}

/// The text of a solver.
pub fn solver(solver: &Solver) -> String {
    doc::print(&solver_doc(&mut Notes::default(), solver))
}

/// Comments of the statement being printed that stand inside it: its first block takes them.
#[derive(Default)]
struct Notes {
    opening: Option<String>,
    closing: Vec<String>,
}

fn separated(parts: impl IntoIterator<Item = Doc>, separator: Doc) -> Doc {
    let mut result = Vec::new();
    for (i, part) in parts.into_iter().enumerate() {
        if i > 0 {
            result.push(separator.clone());
        }
        result.push(part);
    }
    Doc::Cat(result)
}

fn comment(line: &str) -> Doc {
    if line.starts_with("#=") {
        return text(line);
    }
    text(format!("# {line}").trim_end())
}

/// A statement with what stands around it. At the start of a block no blank line is wanted.
fn around(
    notes: &mut Notes,
    trivia: &Trivia,
    doc: &[String],
    first: bool,
    body: impl FnOnce(&mut Notes) -> Doc,
) -> Doc {
    let outer = std::mem::replace(notes, Notes { opening: trivia.opening.clone(), closing: trivia.closing.clone() });
    let body = body(notes);
    // A tree that was not parsed may have such comments and no block.
    let left = std::mem::replace(notes, outer);
    let mut parts = Vec::new();
    if trivia.blank_before && !first {
        parts.push(Doc::Empty);
    }
    for line in trivia.comments.iter().chain(&left.opening).chain(&left.closing) {
        parts.extend([comment(line), Doc::Hard]);
    }
    if trivia.blank_after_comments && !trivia.comments.is_empty() {
        parts.push(Doc::Empty);
    }
    for line in doc {
        parts.extend([text(format!("## {line}").trim_end()), Doc::Hard]);
    }
    parts.push(body);
    if let Some(trailing) = &trivia.trailing {
        // It has no part in the width of the line.
        parts.push(text(format!("    # {trailing}").trim_end()));
    }
    cat(parts)
}

/// Nothing stands around it, so that it may share a line.
fn is_plain(trivia: &Trivia) -> bool {
    *trivia == Trivia { blank_before: trivia.blank_before, ..Trivia::default() }
}

/// `{ lines }`: on one line if there is one that may be, and it fits.
fn block_of(notes: &mut Notes, lines: Vec<(Doc, bool)>) -> Doc {
    let (opening, closing) = (notes.opening.take(), std::mem::take(&mut notes.closing));
    if opening.is_none() && closing.is_empty() {
        match lines.as_slice() {
            [] => return text("{}"),
            [(line, true)] => return doc::braces(line.clone()),
            _ => {}
        }
    }
    let open = match opening {
        Some(opening) => text(format!("{{    # {opening}").trim_end()),
        None => text("{"),
    };
    let lines = lines.into_iter().map(|(line, _)| line).chain(closing.iter().map(|line| comment(line)));
    let inside: Vec<Doc> = lines.flat_map(|line| [Doc::Hard, line]).collect();
    cat([open, nest(cat(inside)), Doc::Hard, text("}")])
}

/// Takes the notes for a block before its lines are printed, which have their own.
fn with_block(notes: &mut Notes, lines: impl FnOnce(&mut Notes) -> Vec<(Doc, bool)>) -> Doc {
    let mut own = Notes { opening: notes.opening.take(), closing: std::mem::take(&mut notes.closing) };
    let lines = lines(notes);
    block_of(&mut own, lines)
}

fn item_lines(notes: &mut Notes, item: &Item, first: bool) -> Doc {
    around(notes, &item.trivia, &item.doc, first, |notes| item_doc(notes, &item.kind))
}

fn items(notes: &mut Notes, items: &[Item]) -> Doc {
    with_block(notes, |notes| {
        let line = |(i, item): (usize, &Item)| {
            let plain = is_plain(&item.trivia) && item.doc.is_empty();
            (item_lines(notes, item, i == 0), plain)
        };
        items.iter().enumerate().map(line).collect()
    })
}

fn item_doc(notes: &mut Notes, kind: &ItemKind) -> Doc {
    match kind {
        ItemKind::Use(used) => cat([text("use "), path(notes, used)]),
        ItemKind::Precision(name) => text(format!("precision {}", name.text)),
        ItemKind::Arg { binder: b, default } => {
            let default = default.as_ref().map(|value| cat([text(" = "), expression(notes, value)]));
            cat([text("arg "), binder(notes, b), cat(default)])
        }
        ItemKind::Fn(function) => cat([
            text(format!("fn {}", function.name.text)),
            params(notes, &function.params),
            arrow(notes, function.result.as_ref()),
            body(notes, &function.body),
        ]),
        ItemKind::Problem(problem) => problem_doc(notes, problem),
        ItemKind::Method(method) => {
            let roles = method.roles.iter().map(|role| {
                let of = role.of.as_ref().map_or(String::new(), |of| format!(" of {}", of.text));
                text(format!("{}: {}{of}", role.name.text, role.role.text))
            });
            cat([
                text(format!("method {}", method.name.text)),
                brackets("(", commas(roles), ")"),
                text(" over "),
                comma_names(&method.over),
                text(" "),
                solver_body(notes, &method.body),
            ])
        }
        ItemKind::Solver(solver) => solver_doc(notes, solver),
        ItemKind::SolverAlias { name, value } => {
            cat([text(format!("solver {} = ", name.text)), expression(notes, value)])
        }
        ItemKind::NetworkAlias { name, value } => {
            cat([text(format!("network {} = ", name.text)), expression(notes, value)])
        }
        ItemKind::Network(network) => {
            let template = network.template.as_ref().map(|list| params(notes, list));
            cat([
                text(format!("network {}", network.name.text)),
                cat(template),
                params(notes, &network.params),
                arrow(notes, network.result.as_ref()),
                text(" "),
                block(notes, &network.body),
            ])
        }
        ItemKind::Custom(custom) => {
            let word = match custom.kind {
                CustomKind::Prox => "prox",
                CustomKind::Derivative => "derivative",
            };
            let result = custom.result.as_ref().map(|name| text(format!(" -> {}", name.text)));
            cat([
                text(format!("{word} {}(", custom.name.text)),
                comma_names(&custom.args),
                text("; "),
                comma_names(&custom.after),
                text(")"),
                cat(result),
                body(notes, &custom.body),
            ])
        }
        ItemKind::Test { name, items: inner, .. } => cat([text("test "), string(name), text(" "), items(notes, inner)]),
        ItemKind::Let(l) => let_doc(notes, l),
        ItemKind::For { var, range: r, body } => {
            cat([text(format!("for {} in ", var.text)), range(notes, r), text(" "), items(notes, body)])
        }
        ItemKind::If { cond, then, otherwise } => {
            let head = cat([text("if "), expression(notes, cond), text(" then "), items(notes, then)]);
            let tail = match otherwise.as_slice() {
                [] => Vec::new(),
                [only] if is_else_if(only) => vec![text(" else "), item_doc(notes, &only.kind)],
                several => vec![text(" else "), items(notes, several)],
            };
            cat([head, cat(tail)])
        }
        ItemKind::Print(values) => cat([text("print "), operands(notes, values)]),
        ItemKind::Assert(values) => cat([text("assert "), operands(notes, values)]),
        ItemKind::Expr(value) => line_expression(notes, value),
        // Nothing is known of it but its place.
        ItemKind::Error => text("?"),
    }
}

fn is_else_if(item: &Item) -> bool {
    matches!(item.kind, ItemKind::If { .. }) && item.trivia == Trivia::default() && item.doc.is_empty()
}

/// What is printed or asserted. One expression knows by itself how its further lines are indented.
fn operands(notes: &mut Notes, values: &[Expr]) -> Doc {
    match values {
        [one] => expression(notes, one),
        several => nest(list(notes, several)),
    }
}

fn list(notes: &mut Notes, values: &[Expr]) -> Doc {
    let values: Vec<Doc> = values.iter().map(|value| expression(notes, value)).collect();
    group(commas(values))
}

/// An expression that is a line of its own: in parentheses if its first word would be taken for something else.
fn line_expression(notes: &mut Notes, value: &Expr) -> Doc {
    let doc = expression(notes, value);
    let statement_if = match &value.kind {
        ExprKind::If { then, .. } => matches!(first_of(then).kind, ExprKind::Block(_)),
        _ => false,
    };
    let word = match &first_of(value).kind {
        ExprKind::Name(name) => matches!(&**name, "print" | "assert" | "learn" | "by" | "as" | "from"),
        _ => false,
    };
    if statement_if || word { brackets("(", doc, ")") } else { doc }
}

/// The operand that an expression's text begins with.
fn first_of(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Chain { first, .. } => first_of(first),
        ExprKind::MatMul(left, _) | ExprKind::Pow(left, _) | ExprKind::Compare { left, .. } => first_of(left),
        ExprKind::Transpose(base) => first_of(base),
        ExprKind::Call { func: base, .. } | ExprKind::Index { base, .. } | ExprKind::Field { base, .. } => {
            first_of(base)
        }
        _ => expr,
    }
}

fn arrow(notes: &mut Notes, ty: Option<&super::ast::Type>) -> Doc {
    cat(ty.map(|ty| cat([text(" -> "), ty_doc(notes, ty)])))
}

/// ` = expr` or ` { ... }`
fn body(notes: &mut Notes, body: &Expr) -> Doc {
    match &body.kind {
        ExprKind::Block(inner) => cat([text(" "), block(notes, inner)]),
        _ => cat([text(" ="), group(nest(cat([Doc::Line, expression(notes, body)])))]),
    }
}

fn block(notes: &mut Notes, block: &Block) -> Doc {
    with_block(notes, |notes| {
        let mut lines: Vec<(Doc, bool)> = Vec::new();
        for stmt in &block.stmts {
            lines.push((stmt_lines(notes, stmt, lines.is_empty()), false));
        }
        if let Some(value) = &block.value {
            let line = around(notes, &block.value_trivia, &[], lines.is_empty(), |notes| line_expression(notes, value));
            lines.push((line, is_plain(&block.value_trivia)));
        }
        lines
    })
}

/// The lines of a `step`, `loop` or `update`.
fn pass(notes: &mut Notes, stmts: &[Stmt]) -> Doc {
    with_block(notes, |notes| {
        let line = |(i, stmt): (usize, &Stmt)| (stmt_lines(notes, stmt, i == 0), is_plain(&stmt.trivia));
        stmts.iter().enumerate().map(line).collect()
    })
}

fn stmt_lines(notes: &mut Notes, stmt: &Stmt, first: bool) -> Doc {
    around(notes, &stmt.trivia, &[], first, |notes| match &stmt.kind {
        StmtKind::Let(l) => let_doc(notes, l),
        StmtKind::Param(list) => cat([text("param "), inits(notes, list)]),
        StmtKind::Assign { place, value } => {
            cat([path(notes, place), text(" <-"), group(nest(cat([Doc::Line, expression(notes, value)])))])
        }
    })
}

fn let_lines(notes: &mut Notes, l: &Let, first: bool) -> Doc {
    around(notes, &l.trivia, &[], first, |notes| let_doc(notes, l))
}

fn problem_doc(notes: &mut Notes, problem: &Problem) -> Doc {
    let head = cat([text(format!("problem {}", problem.name.text)), params(notes, &problem.params), text(" ")]);
    let body = with_block(notes, |notes| {
        let mut lines: Vec<Doc> = Vec::new();
        for l in &problem.lets {
            lines.push(let_lines(notes, l, lines.is_empty()));
        }
        let first = lines.is_empty();
        let over = around(notes, &problem.over_trivia, &[], first, |notes| {
            let word = if problem.maximize { "maximize" } else { "minimize" };
            cat([text(format!("{word} over ")), binders(notes, &problem.over)])
        });
        let objective =
            around(notes, &problem.objective_trivia, &[], true, |notes| line_expression(notes, &problem.objective));
        lines.push(cat([over, nest(cat([Doc::Hard, objective]))]));
        if !problem.constraints.is_empty() {
            lines.push(around(notes, &problem.constraints_trivia, &[], false, |notes| {
                let list: Vec<Doc> = problem.constraints.iter().map(|c| constraint(notes, c)).collect();
                cat([text("subject to "), nest(group(commas(list)))])
            }));
        }
        lines.into_iter().map(|line| (line, false)).collect()
    });
    cat([head, body])
}

fn constraint(notes: &mut Notes, constraint: &Constraint) -> Doc {
    let set = constraint.set.as_ref().map(|set| cat([text(" in "), at(notes, set, POSTFIX)]));
    // `in` would be taken for a part of a form that extends to the right only by a reader.
    let expr = if set.is_some() { at(notes, &constraint.expr, OR) } else { expression(notes, &constraint.expr) };
    cat([expr, cat(set)])
}

fn solver_doc(notes: &mut Notes, solver: &Solver) -> Doc {
    cat([
        text(format!("solver {}", solver.name.text)),
        params(notes, &solver.params),
        text(" -> "),
        expression(notes, &solver.result),
        text(" "),
        solver_body(notes, &solver.body),
    ])
}

fn solver_body(notes: &mut Notes, body: &SolverBody) -> Doc {
    with_block(notes, |notes| {
        let mut lines: Vec<Doc> = Vec::new();
        for l in &body.lets {
            lines.push(let_lines(notes, l, lines.is_empty()));
        }
        for (states, trivia) in state_lines(body) {
            lines.push(around(notes, trivia, &[], lines.is_empty(), |notes| {
                cat([text("state "), inits(notes, states)])
            }));
        }
        lines.push(around(notes, &body.step_trivia, &[], lines.is_empty(), |notes| step(notes, body)));
        if let Some(until) = &body.until {
            lines.push(around(notes, &until.trivia, &[], false, |notes| {
                // `within` cannot begin a line.
                let within = until.within.as_ref().map(|within| cat([text(" within "), at(notes, within, SUM)]));
                cat([text("until "), expression(notes, &until.cond), cat(within)])
            }));
        }
        lines.into_iter().map(|line| (line, false)).collect()
    })
}

/// The states as they were spread over lines.
fn state_lines(body: &SolverBody) -> Vec<(&[Init], &Trivia)> {
    const NOTHING: &Trivia = &Trivia {
        comments: Vec::new(),
        blank_after_comments: false,
        trailing: None,
        opening: None,
        closing: Vec::new(),
        blank_before: false,
    };
    let marks = &body.state_trivia;
    let good = marks.first().is_some_and(|mark| mark.0 == 0)
        && marks.windows(2).all(|pair| pair[0].0 < pair[1].0)
        && marks.last().is_some_and(|mark| mark.0 < body.states.len());
    if !good {
        // A tree that was not parsed.
        return if body.states.is_empty() { Vec::new() } else { vec![(&body.states[..], NOTHING)] };
    }
    let ends = marks[1..].iter().map(|mark| mark.0).chain([body.states.len()]);
    marks.iter().zip(ends).map(|(mark, end)| (&body.states[mark.0..end], &mark.1)).collect()
}

fn step(notes: &mut Notes, body: &SolverBody) -> Doc {
    match (&body.counter, body.step.as_slice()) {
        (None, [only @ Stmt { kind: StmtKind::Assign { .. }, trivia, .. }]) if *trivia == Trivia::default() => {
            cat([text("step "), stmt_lines(notes, only, true)])
        }
        (None, stmts) => cat([text("step "), pass(notes, stmts)]),
        (Some(counter), stmts) => cat([text(format!("step {} ", counter.text)), pass(notes, stmts)]),
    }
}

fn train(notes: &mut Notes, train: &Train) -> Doc {
    let paths: Vec<Doc> = train.paths.iter().map(|p| path(notes, p)).collect();
    let clauses = with_block(notes, |notes| {
        let line = |(i, clause): (usize, &super::ast::Clause)| {
            let doc = around(notes, &clause.trivia, &[], i == 0, |notes| clause_doc(notes, &clause.kind));
            (doc, false)
        };
        train.clauses.iter().enumerate().map(line).collect()
    });
    cat([text("train "), group(commas(paths)), text(" "), clauses])
}

fn clause_doc(notes: &mut Notes, kind: &ClauseKind) -> Doc {
    let counted = |notes: &mut Notes, word: &str, var: &Option<super::ast::Name>, count: &Expr| {
        let var = var.as_ref().map_or(String::new(), |var| format!("{} in ", var.text));
        cat([text(format!("{word} {var}")), at(notes, count, SUM)])
    };
    let after = |notes: &mut Notes, word: &str, value: &Option<Expr>| {
        cat(value.as_ref().map(|value| cat([text(format!(" {word} ")), at(notes, value, SUM)])))
    };
    match kind {
        ClauseKind::Each { pattern, data, batch } => {
            cat([text("each "), names_of(pattern), text(" in "), at(notes, data, SUM), after(notes, "batch", batch)])
        }
        ClauseKind::Batch { pattern, data, of } => cat([
            text("batch "),
            names_of(pattern),
            text(" in "),
            at(notes, data, SUM),
            text(" of "),
            at(notes, of, SUM),
        ]),
        ClauseKind::Let(l) => let_doc(notes, l),
        ClauseKind::State(list) => cat([text("state "), inits(notes, list)]),
        ClauseKind::Objective { maximize, value, over, using, repeat } => {
            let over = match over.as_slice() {
                [] => Doc::Cat(Vec::new()),
                paths => {
                    let paths: Vec<Doc> = paths.iter().map(|p: &Path| path(notes, p)).collect();
                    cat([text(" over "), commas(paths)])
                }
            };
            let using =
                if using.is_empty() { Doc::Cat(Vec::new()) } else { cat([text(" using "), optimizers(notes, using)]) };
            cat([
                text(if *maximize { "maximize " } else { "minimize " }),
                expression(notes, value),
                doc::flat(&over),
                using,
                after(notes, "repeat", repeat),
            ])
        }
        ClauseKind::Using(using) => cat([text("using "), optimizers(notes, using)]),
        ClauseKind::Epochs { var, count } => counted(notes, "epochs", var, count),
        ClauseKind::Steps { var, count } => counted(notes, "steps", var, count),
        ClauseKind::Update(stmts) => cat([text("update "), pass(notes, stmts)]),
        ClauseKind::Record { fields: list, every } => {
            cat([text("record "), fields(notes, list), after(notes, "every", every)])
        }
        ClauseKind::Keep { highest, name, patience } => cat([
            text(if *highest { "keep highest " } else { "keep lowest " }),
            text(&*name.text),
            after(notes, "patience", patience),
        ]),
        ClauseKind::Until(cond) => cat([text("until "), expression(notes, cond)]),
        ClauseKind::Error => text("?"),
    }
}

fn names_of(pattern: &super::ast::Pattern) -> Doc {
    match pattern.names.as_slice() {
        [only] => text(&*only.text),
        several => cat([text("("), comma_names(several), text(")")]),
    }
}

fn optimizers(notes: &mut Notes, using: &[Using]) -> Doc {
    let list: Vec<Doc> = using
        .iter()
        .map(|using| {
            let part = using.path.as_ref().map(|p| cat([text(" for "), path(notes, p)]));
            cat([at(notes, &using.optimizer, POSTFIX), cat(part)])
        })
        .collect();
    group(nest(commas(list)))
}
