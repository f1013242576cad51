//! Tests of the way from text to tree as a whole.

use super::ast::{
    ArgValue, BinaryOp, ClauseKind, CompareOp, Expr, ExprKind, Index, Item, ItemKind, LetKind, LoopKind, Module,
    PathPart, ScalarKind, StmtKind, TypeKind,
};
use super::parse_text;
use crate::diagnostic::Diagnostic;
use crate::source::SourceMap;

/// Programs that use every production of the grammar.
const PROGRAMS: &[(&str, &str)] = &[
    ("values", include_str!("../../../tests/syntax/values.dp")),
    ("functions", include_str!("../../../tests/syntax/functions.dp")),
    ("solvers", include_str!("../../../tests/syntax/solvers.dp")),
    ("problems", include_str!("../../../tests/syntax/problems.dp")),
    ("networks", include_str!("../../../tests/syntax/networks.dp")),
    ("scripts", include_str!("../../../tests/syntax/scripts.dp")),
];

fn parse(text: &str) -> (Module, Vec<Diagnostic>) {
    parse_text(&mut SourceMap::default(), "test.dp", text)
}

fn module(text: &str) -> Module {
    let mut sources = SourceMap::default();
    let (module, diagnostics) = parse_text(&mut sources, "test.dp", text);
    if let Some(diagnostic) = diagnostics.first() {
        panic!("{}\nin\n{text}", crate::diagnostic::render::render(&sources, diagnostic, false));
    }
    module
}

fn item(text: &str) -> ItemKind {
    let mut items = module(text).items;
    assert_eq!(items.len(), 1, "{text}");
    items.remove(0).kind
}

fn expr(text: &str) -> Expr {
    match item(text) {
        ItemKind::Expr(expr) => expr,
        other => panic!("{text} is {other:?}"),
    }
}

/// The grouping of an expression, with brackets around every operator.
fn shape(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Int(value) => value.to_string(),
        ExprKind::Name(text) => text.to_string(),
        ExprKind::Neg(inner) => format!("(-{})", shape(inner)),
        ExprKind::Not(inner) => format!("(not {})", shape(inner)),
        ExprKind::Transpose(inner) => format!("({}')", shape(inner)),
        ExprKind::MatMul(left, right) => format!("({} @ {})", shape(left), shape(right)),
        ExprKind::Pow(left, right) => format!("({} ^ {})", shape(left), shape(right)),
        ExprKind::Field { base, name } => format!("({}.{})", shape(base), name.text),
        ExprKind::Call { func, args } => {
            let args: Vec<String> = args
                .iter()
                .map(|arg| match &arg.value {
                    ArgValue::Expr(value) => shape(value),
                    ArgValue::Each(marks, value) => format!("each {marks} {}", shape(value)),
                    ArgValue::Blank => "_".to_string(),
                    ArgValue::Generator { .. } => "for".to_string(),
                })
                .collect();
            format!("({}({}))", shape(func), args.join(", "))
        }
        ExprKind::Index { base, indices } => format!("({}[{}])", shape(base), indices.len()),
        ExprKind::Compare { op, left, right } => {
            let op = match op {
                CompareOp::Lt => "<",
                CompareOp::Le => "<=",
                CompareOp::Gt => ">",
                CompareOp::Ge => ">=",
                CompareOp::Eq => "==",
                CompareOp::Ne => "!=",
            };
            format!("({} {op} {})", shape(left), shape(right))
        }
        ExprKind::Chain { first, rest } => {
            let mut text = format!("({}", shape(first));
            for (op, operand) in rest {
                let op = match op {
                    BinaryOp::Or => "or",
                    BinaryOp::And => "and",
                    BinaryOp::Add => "+",
                    BinaryOp::Sub => "-",
                    BinaryOp::Mul => "*",
                    BinaryOp::Div => "/",
                    BinaryOp::IntDiv => "//",
                    BinaryOp::Mod => "%",
                };
                text += &format!(" {op} {}", shape(operand));
            }
            text + ")"
        }
        ExprKind::If { cond, then, otherwise } => {
            format!("(if {} then {} else {})", shape(cond), shape(then), shape(otherwise))
        }
        ExprKind::Lambda { params, body } => format!("(fn/{} = {})", params.len(), shape(body)),
        ExprKind::Tuple(parts) => format!("<{}>", parts.iter().map(shape).collect::<Vec<_>>().join(", ")),
        ExprKind::Array(parts) => format!("[{}]", parts.iter().map(shape).collect::<Vec<_>>().join(", ")),
        other => panic!("no shape for {other:?}"),
    }
}

/// Codes of all diagnostics with the line of each.
fn mistakes(text: &str) -> Vec<(&'static str, usize)> {
    let mut sources = SourceMap::default();
    let (_, diagnostics) = parse_text(&mut sources, "test.dp", text);
    diagnostics.iter().map(|d| (d.code.0, sources.line_column(d.span()).0)).collect()
}

fn only_mistake(text: &str) -> Diagnostic {
    let (_, mut diagnostics) = parse(text);
    assert_eq!(diagnostics.len(), 1, "{text}: {diagnostics:#?}");
    diagnostics.remove(0)
}

#[test]
fn programs_parse() {
    for (name, text) in PROGRAMS {
        let mut sources = SourceMap::default();
        let (module, diagnostics) = parse_text(&mut sources, name, text);
        let shown: Vec<String> =
            diagnostics.iter().map(|d| crate::diagnostic::render::render(&sources, d, false)).collect();
        assert!(diagnostics.is_empty(), "{}", shown.concat());
        assert!(module.items.len() > 5);
        assert!(module.items.iter().all(|item| item.kind != ItemKind::Error));
    }
}

#[test]
fn precedence_and_grouping() {
    let cases = [
        ("a + b * c", "(a + (b * c))"),
        ("a - b - c + d", "(a - b - c + d)"),
        ("a * b / c // d % e", "(a * b / c // d % e)"),
        ("A @ B @ y", "(A @ (B @ y))"),
        ("a * A @ y", "(a * (A @ y))"),
        ("A @ y * a", "((A @ y) * a)"),
        ("-x^2", "(-(x ^ 2))"),
        ("x^-2", "(x ^ (-2))"),
        ("2^a^b", "(2 ^ (a ^ b))"),
        ("-A @ x", "((-A) @ x)"),
        ("A @ -x", "(A @ (-x))"),
        ("a * -b", "(a * (-b))"),
        ("--a", "(-(-a))"),
        ("A'^2", "((A') ^ 2)"),
        ("A'' @ x", "(((A')') @ x)"),
        ("f(x)'[0].a", "((((f(x))')[1]).a)"),
        ("not a and b or c", "(((not a) and b) or c)"),
        ("not a == b", "(not (a == b))"),
        ("not not a", "(not (not a))"),
        ("a < b and c >= d", "((a < b) and (c >= d))"),
        ("a + 1 != b", "((a + 1) != b)"),
        ("(a + b) * c", "((a + b) * c)"),
        ("(a, b)", "<a, b>"),
        ("(a,)", "<a>"),
        ("(a)", "a"),
        ("[a, b,]", "[a, b]"),
        ("[]", "[]"),
        ("if a then b else if c then d else e + 1", "(if a then b else (if c then d else (e + 1)))"),
        ("fn(x, y) = x + y", "(fn/2 = (x + y))"),
        ("fn(x) = fn(y) = x", "(fn/1 = (fn/1 = x))"),
        ("f(each X, D, each each Y, _)", "(f(each 1 X, D, each 2 Y, _))"),
        ("f()(x)", "((f())(x))"),
    ];
    for (text, expected) in cases {
        assert_eq!(shape(&expr(text)), expected, "{text}");
    }
}

#[test]
fn numbers_strings_and_constants() {
    assert_eq!(expr("1_000").kind, ExprKind::Int(1000));
    assert_eq!(expr("2.50").kind, ExprKind::Real(2.5, "2.50".into()));
    assert_eq!(expr(r#""a\tb""#).kind, ExprKind::Str("a\tb".into()));
    assert_eq!(expr("?").kind, ExprKind::Hole);
    assert_eq!(expr("false").kind, ExprKind::Bool(false));
}

#[test]
fn soft_words_are_names_elsewhere() {
    let text =
        "let step = 1, trace = 2, over = 3\nlet a = trace + step(over) - train[0] + derive.x + unroll'\nprevious = 1";
    let (module, diagnostics) = parse(text);
    assert_eq!(diagnostics.len(), 1, "{diagnostics:#?}");
    assert_eq!(module.items.len(), 3);
    // At the start of an item and with an operand on the line they are keywords.
    assert!(matches!(item("trace f(x) for 3 { a: b }"), ItemKind::Expr(Expr { kind: ExprKind::Trace { .. }, .. })));
    assert!(matches!(item("print(x)"), ItemKind::Print(_)));
    assert!(matches!(item("print -x"), ItemKind::Print(_)));
    assert!(matches!(item("assert [a][0]"), ItemKind::Assert(_)));
    assert!(matches!(item("print.x"), ItemKind::Expr(_)));
    assert!(matches!(item("test(1)"), ItemKind::Expr(_)));
    assert!(matches!(item("let y = f(print - x, train, learn: by)"), ItemKind::Let(_)));
    // The clauses that follow an operand need no test.
    match expr("unroll f(x) for K backprop (J) checkpoint 4 learn a, each b: real from (x, y)").kind {
        ExprKind::Unroll { backprop, checkpoint, learn, .. } => {
            assert!(backprop.is_some());
            assert_eq!(checkpoint.and_then(|c| c.keep), Some(4));
            let learn = learn.expect("learn");
            assert_eq!(
                learn.lifted.iter().map(|l| (l.each, &*l.name.text)).collect::<Vec<_>>(),
                [(false, "a"), (true, "b")]
            );
            assert!(learn.from.is_some());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn newlines_inside_round_brackets_are_blanks() {
    // N1
    assert_eq!(shape(&expr("f(a\n  - b,\n\nc\n)")), "(f((a - b), c))");
    assert_eq!(shape(&expr("[a\n,b\n]")), "[a, b]");
    assert_eq!(shape(&expr("(a\n# why\n+ b)")), "(a + b)");
    // Inside braces they count, also inside round brackets.
    assert_eq!(module("f({ let a = 1\n a })").items.len(), 1);
}

#[test]
fn newlines_after_what_wants_more_are_blanks() {
    // N2
    for text in [
        "a +\nb",
        "a -\nb",
        "a *\nb",
        "a @\nb",
        "a ^\nb",
        "a ==\nb",
        "a and\nb",
        "a or\n\n# c\nb",
        "not\na",
        "let a =\n1",
        "let a:\nreal = 1",
        "let a = 1,\nb = 2",
        "a.\nb",
        "fn\nf(x: real) ->\nreal =\nx",
        "let\na = 1",
        "if\na then\nb else\nc",
        "for\ni in\n3 { print i }",
        "assert a,\nb",
        "let x = loop\na = 1 until\na > 1 within 3 { a <- 2 }",
        "{\na }",
    ] {
        assert_eq!(module(text).items.len(), 1, "{text}");
    }
    // `true` and `false` are operands.
    assert_eq!(module("print true\nprint false\nf()").items.len(), 3);
}

#[test]
fn newlines_before_what_goes_on_are_blanks() {
    // N3
    for text in [
        "a\n+ b",
        "a\n* b",
        "a\n@ b",
        "a\n^ b",
        "a\n== b",
        "a\n\n# why\nor b",
        "a\n.b",
        "if a\nthen b\nelse c",
        "derive p\nby m\nas layer",
        "unroll f(_) for 3\nlearn a",
        "unroll f(_) for 3\nlearn each a\nfrom (X, Y)",
        "unroll f(_) for 3 learn a\nfrom X",
    ] {
        assert_eq!(module(text).items.len(), 1, "{text}");
    }
    // A minus begins a statement, as do brackets.
    for text in ["a\n- b", "a\n(b)", "a\n[b]", "a\n{ b }", "a\nnot b"] {
        assert_eq!(module(text).items.len(), 2, "{text}");
    }
    // The words are names where an operator follows.
    assert_eq!(module("let a = 1\nby + 1\nfrom.x").items.len(), 3);
}

#[test]
fn other_newlines_and_semicolons_end() {
    // N4
    assert_eq!(module("a\nb; c;\n\n;d").items.len(), 4);
    assert_eq!(module("").items.len(), 0);
    assert_eq!(module("\n\n# only a comment\n").items.len(), 0);
    assert_eq!(module("a\r\nb\r\n").items.len(), 2);
}

#[test]
fn a_wrong_line_does_not_hide_others() {
    let text = "let a = 1 +\nlet b = )\nlet c = 2\nprint c +\nfn f(x: real) = x x\n";
    assert_eq!(mistakes(text), [("E0201", 1), ("E0206", 2), ("E0201", 4), ("E0201", 5)]);
    let (module, _) = parse("let a = 1 +\nlet b = 2\n");
    assert_eq!(module.items[0].kind, ItemKind::Error);
    assert!(matches!(module.items[1].kind, ItemKind::Let(_)));
}

#[test]
fn two_mistakes_in_one_body_are_both_reported() {
    assert_eq!(
        mistakes("fn f(x: real) -> real {\n  let a = x x\n  let b = 2\n  let c = * 3\n  a + b\n}"),
        [("E0201", 2), ("E0201", 4)]
    );
    let solver = "solver s(x: real) -> y {\n  let a = ]\n  state y: real = 0 0\n  step {\n    y <- 1 1\n    y <- 2\n    z = 3\n  }\n}";
    assert_eq!(mistakes(solver), [("E0206", 2), ("E0201", 3), ("E0201", 5), ("E0201", 7)]);
    let train = "train net {\n  minimise a\n  epochs 3 4\n  using adam(0.1)\n  until\n}";
    assert_eq!(mistakes(train), [("E0201", 2), ("E0201", 3), ("E0201", 6)]);
    let test = "test \"t\" {\n  assert 1 1\n  print 2\n  let = 3\n}\nlet z = 1 1";
    assert_eq!(mistakes(test), [("E0201", 2), ("E0201", 4), ("E0201", 6)]);
    // The good lines are in the tree.
    let (module, _) = parse(test);
    match &module.items[0].kind {
        ItemKind::Test { items, .. } => assert_eq!(items.len(), 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn open_brackets_end_where_they_were_meant_to() {
    assert_eq!(mistakes("let a = f(1, 2\nlet b = 3 3\n"), [("E0206", 1), ("E0201", 2)]);
    let text = "fn f(x: real) -> real {\n  let a = x\nfn g(x: real) = x x\n";
    assert_eq!(mistakes(text), [("E0206", 1), ("E0201", 3)]);
    assert_eq!(mistakes("test \"a\" {\n  print 1\nlet b = 2 2\n"), [("E0206", 1), ("E0201", 3)]);
    assert_eq!(mistakes("let a = [1, 2)\nlet b = 1 1"), [("E0206", 1), ("E0201", 2)]);
    assert_eq!(mistakes("let a = f([1, 2)\nlet b = 1 1"), [("E0206", 1), ("E0201", 2)]);
    assert_eq!(mistakes("fn f(x: real) { (x }\nlet b = 1 1"), [("E0206", 1), ("E0201", 2)]);
    assert_eq!(mistakes("}\n)\na"), [("E0206", 1), ("E0206", 2)]);
    assert_eq!(mistakes("f("), [("E0206", 1)]);
    // Indentation is looked at only if a brace is missing.
    assert_eq!(mistakes("fn f(x: real) {\nlet a = x\na\n}"), []);
}

#[test]
fn messages_tell_what_to_do() {
    let cases = [
        ("assert a == unroll f(x) for 3", "needs parentheses"),
        ("let a = b + if c then d else e", "needs parentheses"),
        ("let a = 1.", "`1.0`"),
        ("let a = .5", "`0.5`"),
        ("assert a = b", "`==` compares"),
        ("x = 3", "`let x = ...`"),
        ("x += 1", "`x <- x + ...`"),
        ("let a = b **c", "`^`"),
        ("a < b < c", "do not chain"),
        ("let a = 2x", "`*`"),
        ("pritn a", "`print`"),
        ("slover a(x: real) -> y", "`solver`"),
        ("def f(x)", "`fn name(x: real) = ...`"),
        ("let s = 'abc'", "double quotes"),
        ("let a = b && c", "`and`"),
        ("let for = 1", "reserved"),
        ("let f = x => x", "`fn(x) = ...`"),
        ("fn f(x: float) = x", "`real`"),
        ("fn f(x) = x", "`x: real`"),
        ("train net { minimize a ovr b }", "`over`"),
        ("train net { epoch 3 }", "`epochs`"),
        ("fn f(x: real) { let a = x }", "its value"),
        ("fn f(x: real) { x; 2 }", "`let`"),
        ("fn f(x: real) { x <- 2; x }", "`let x = ...`"),
        ("let y = loop a = 1 for 3 { a + 1 }", "`state <- ...`"),
        ("let y = loop a = 1 for 3 { f(a) <- 1 }", "assigned"),
        ("solver s(x: real) -> y { step y <- x }", "`state`"),
        ("problem p(x: real) { x }", "minimize over"),
        ("let a = \u{201c}", "double quotes"),
        ("let a = \"b", "end it with"),
    ];
    for (text, expected) in cases {
        let diagnostic = only_mistake(text);
        let help = diagnostic.help.clone().unwrap_or_default();
        assert!(help.contains(expected), "{text}: {diagnostic:#?}");
    }
    assert_eq!(only_mistake("let a = f(b c)").labels[0].text, "expected `,`, `)` or `for`");
    assert_eq!(only_mistake("let a 3").labels[0].text, "expected `=` or `:`");
    assert_eq!(only_mistake("let a = 1 +").message, "the line ends too early");
}

#[test]
fn spans_cover_their_text() {
    let mut sources = SourceMap::default();
    let text = "let a = 1\n  fn f(θ: real[n, n]) -> real = sum(θ @ (b + c'))  # end\n";
    let (module, diagnostics) = parse_text(&mut sources, "test.dp", text);
    assert_eq!(diagnostics, []);
    assert_eq!(sources.text(module.items[0].span), "let a = 1");
    let item = &module.items[1];
    assert_eq!(sources.text(item.span), "fn f(θ: real[n, n]) -> real = sum(θ @ (b + c'))");
    let ItemKind::Fn(function) = &item.kind else { panic!("{item:?}") };
    assert_eq!(sources.text(function.name.span), "f");
    assert_eq!(sources.text(function.params[0].name.span), "θ");
    let ty = function.params[0].ty.as_ref().expect("a type");
    assert_eq!(sources.text(ty.span), "real[n, n]");
    assert_eq!(sources.text(function.body.span), "sum(θ @ (b + c'))");
    let ExprKind::Call { args, .. } = &function.body.kind else { panic!() };
    let ArgValue::Expr(product) = &args[0].value else { panic!() };
    let ExprKind::MatMul(left, right) = &product.kind else { panic!() };
    assert_eq!(sources.text(left.span), "θ");
    assert_eq!(sources.text(right.span), "(b + c')");
    let ExprKind::Chain { rest, .. } = &right.kind else { panic!() };
    assert_eq!(sources.text(rest[0].1.span), "c'");
}

fn items_of(name: &str) -> Vec<Item> {
    let text = PROGRAMS.iter().find(|(n, _)| *n == name).expect("a program").1;
    module(text).items
}

#[test]
fn comments_and_blank_lines_are_kept() {
    let items = items_of("functions");
    assert_eq!(items[0].trivia.comments, ["Functions, types, loops, own derivatives."]);
    assert!(!items[0].trivia.blank_before && !items[1].trivia.blank_before && items[2].trivia.blank_before);
    assert_eq!(items[2].doc, ["Twice its argument.", "", "    double(2) == 4"]);
    let ItemKind::Fn(higher) = &items[4].kind else { panic!() };
    assert_eq!(items[4].trivia.comments, ["applied twice"]);
    let ExprKind::Block(block) = &higher.body.kind else { panic!() };
    assert_eq!(block.stmts[0].trivia.trailing.as_deref(), Some("once"));
    assert_eq!(block.stmts[1].trivia.comments, ["and again"]);
    assert!(block.stmts[1].trivia.blank_before);

    let items = items_of("solvers");
    let ItemKind::Problem(ridge) = &items[0].kind else { panic!() };
    assert_eq!(ridge.lets[0].trivia.trailing.as_deref(), Some("per row"));
    assert_eq!(ridge.objective_trivia.comments, ["the fit and the penalty"]);
    let ItemKind::Problem(worst) = &items[1].kind else { panic!() };
    assert!(worst.maximize);
    assert_eq!(worst.constraints_trivia.comments, ["the ball"]);
    assert_eq!(worst.constraints.len(), 3);
    let ItemKind::Solver(descent) = &items[3].kind else { panic!() };
    assert_eq!(descent.body.lets[0].trivia.comments, ["constants"]);
    assert_eq!(descent.body.state_trivia.len(), 2);
    assert_eq!(descent.body.state_trivia[0].1.comments, ["the iterate"]);
    assert_eq!(descent.body.state_trivia[1].0, 1);
    assert_eq!(descent.body.state_trivia[1].1.trailing.as_deref(), Some("momentum"));
    assert_eq!(descent.body.step_trivia.closing, ["done"]);
    assert_eq!(descent.body.step[2].trivia.comments, ["restart every ten"]);
    assert_eq!(descent.body.counter.as_ref().map(|k| &*k.text), Some("k"));

    let items = items_of("networks");
    let train = &items[4];
    assert_eq!(train.trivia.opening.as_deref(), Some("two paths"));
    assert_eq!(train.trivia.closing, ["the end"]);
    let text = PROGRAMS.iter().find(|(n, _)| *n == "scripts").expect("a program").1;
    assert_eq!(module(text).end.comments, ["the last word"]);
}

#[test]
fn training_clauses() {
    let items = items_of("networks");
    let ItemKind::Let(let_) = &items[4].kind else { panic!("{:?}", items[4]) };
    let LetKind::Inits(inits) = &let_.kind else { panic!() };
    let ExprKind::Train(train) = &inits[0].value.kind else { panic!() };
    assert_eq!(train.paths.len(), 3);
    assert!(matches!(&train.paths[1].parts[..], [PathPart::Field(_), PathPart::Index(_)]));
    let kinds: Vec<&ClauseKind> = train.clauses.iter().map(|clause| &clause.kind).collect();
    assert_eq!(kinds.len(), 12);
    assert!(matches!(kinds[0], ClauseKind::Each { pattern, batch: Some(_), .. } if pattern.names.len() == 2));
    assert!(matches!(kinds[3], ClauseKind::State(states) if states.len() == 2));
    match kinds[4] {
        ClauseKind::Objective { maximize: false, over, using, repeat: Some(_), .. } => {
            assert_eq!((over.len(), using.len()), (1, 2));
            assert!(using[0].path.is_none() && using[1].path.is_some());
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(kinds[7], ClauseKind::Epochs { var: Some(_), .. }));
    assert!(matches!(kinds[8], ClauseKind::Update(lines) if lines.len() == 3));
    assert!(matches!(kinds[9], ClauseKind::Record { fields, every: Some(_) } if fields.len() == 2));
    assert!(matches!(kinds[10], ClauseKind::Keep { highest: false, patience: Some(_), .. }));
}

#[test]
fn types_loops_and_indices() {
    let items = items_of("functions");
    let ItemKind::Fn(shapes) = &items[3].kind else { panic!() };
    let kinds: Vec<_> = shapes
        .params
        .iter()
        .map(|param| match &param.ty.as_ref().expect("a type").kind {
            TypeKind::Array { kind, dims } => (*kind, dims.len()),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        (ScalarKind::Real, 2),
        (ScalarKind::Int, 0),
        (ScalarKind::Bool, 1),
        (ScalarKind::Key, 0),
        (ScalarKind::Str, 0),
    ];
    assert_eq!(kinds, expected);
    let ItemKind::Fn(power) = &items[5].kind else { panic!() };
    let ExprKind::Block(block) = &power.body.kind else { panic!() };
    let loops: Vec<_> = block
        .stmts
        .iter()
        .map(|stmt| match &stmt.kind {
            StmtKind::Let(let_) => match &let_.kind {
                LetKind::Inits(inits) => match &inits[0].value.kind {
                    ExprKind::Loop(repetition) => repetition,
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(loops[0].checkpoint.as_ref().and_then(|c| c.keep), Some(7));
    assert!(loops[1].checkpoint.as_ref().is_some_and(|c| c.keep.is_none()));
    assert!(matches!(&loops[1].kind, LoopKind::For { var: Some(_), range } if range.start.is_some()));
    assert!(matches!(&loops[2].kind, LoopKind::Until { .. }));
    assert_eq!(loops[2].body.len(), 3);

    let ExprKind::Index { indices, .. } = expr("a[::2, 1, 2:, :3, 4:5:6]").kind else { panic!() };
    let given: Vec<String> = indices
        .iter()
        .map(|index| match index {
            Index::At(_) => "at".to_string(),
            Index::Range { start, end, step, .. } => {
                [start, end, step].map(|part| if part.is_some() { "x" } else { "-" }).concat()
            }
        })
        .collect();
    assert_eq!(given, ["--x", "at", "x--", "-x-", "xxx"]);
}

/// Every way to nest, 10,000 deep.
fn towers(n: usize) -> Vec<String> {
    let around = |open: &str, inner: &str, close: &str| open.repeat(n) + inner + &close.repeat(n);
    vec![
        around("(", "x", ")"),
        around("[", "x", "]"),
        around("{", "x", "}"),
        around("{a: ", "x", "}"),
        around("f(", "x", ")"),
        around("x[", "0", "]"),
        around("x^(", "2", ")"),
        around("-", "x", ""),
        around("not ", "x", ""),
        around("x^", "x", ""),
        around("x^-", "x", ""),
        around("x @ ", "x", ""),
        around("", "x", "'"),
        around("", "x", ".a"),
        around("", "x", "(1)"),
        around("", "x", "[0]"),
        around("if a then b else ", "c", ""),
        around("if ", "a", " then b else c"),
        around("fn(x) = ", "x", ""),
        around("(unroll ", "f(x)", " for 3)"),
        around("loop a = 1 for 2 { a <- ", "a", " }"),
        around("f(", "x", ")'").replacen("f(", "g(", 1),
        format!("let a: {} = 1", around("(", "real", ")")),
        format!("let a: {} = 1", around("fn() -> ", "real", "")),
        format!("let a: {} = 1", around("real[", "1", "]")),
        around("test \"a\" { ", "x", " }"),
        around("if a then { ", "x", " }"),
        around("for i in 2 { ", "x", " }"),
        around("if a then { x } else ", "{ y }", ""),
        around("{ let a = ", "x", "\n a }"),
        around("train a { let a = ", "x", "}"),
        around("problem p(x: real) { let a = ", "x", "}"),
    ]
}

#[test]
fn deep_nesting_is_a_clean_error() {
    for text in towers(10_000) {
        let (_, diagnostics) = parse(&text);
        let start = &text[..40];
        assert!(diagnostics.iter().any(|d| d.code.0 == "E0205"), "{start}: {:#?}", diagnostics.first());
        assert!(diagnostics.len() < 5, "{start}: {} messages", diagnostics.len());
    }
    // Without their closing brackets.
    for open in ["(", "[", "{", "f(", "{a: ", "if a then {"] {
        let (_, diagnostics) = parse(&open.repeat(10_000));
        assert!(diagnostics.iter().any(|d| d.code.0 == "E0205"), "{open}");
    }
}

#[test]
fn moderate_nesting_is_no_error() {
    for text in towers(60) {
        let (_, diagnostics) = parse(&text);
        assert!(diagnostics.iter().all(|d| !matches!(d.code.0, "E0205" | "E0206")), "{text}: {diagnostics:#?}");
    }
    let long = vec!["x^2 + f(x)[0] @ y'"; 5000].join(" + ");
    assert!(parse(&long).1.is_empty());
    let arms: String = (0..200).map(|i| format!("if x == {i} then {i} else ")).collect();
    assert!(parse(&(arms + "0")).1.is_empty());
    // The deepest allowed does not overflow the stack of a test's thread.
    for text in towers(127) {
        drop(parse(&text));
    }
}

/// A small generator of numbers: the tests are the same in each run.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*state >> 33) as usize
}

#[test]
fn mutated_programs_never_panic() {
    let mut state = 1;
    let mut tokens_of = Vec::new();
    for (_, text) in PROGRAMS {
        let mut diagnostics = Vec::new();
        let tokens = super::token::lex(crate::source::FileId(0), text, &mut diagnostics);
        tokens_of.push(tokens.iter().map(|(_, span)| (span.start as usize, span.end as usize)).collect::<Vec<_>>());
    }
    for round in 0..400 {
        let program = round % PROGRAMS.len();
        let (text, tokens) = (PROGRAMS[program].1, &tokens_of[program]);
        let mut edits: Vec<(usize, usize)> =
            (0..1 + next(&mut state) % 4).map(|_| (next(&mut state) % tokens.len(), next(&mut state) % 3)).collect();
        edits.sort();
        edits.dedup_by_key(|edit| edit.0);
        let mut mutated = String::new();
        let mut done = 0;
        for (i, kind) in edits {
            let (start, end) = tokens[i];
            mutated += &text[done..start];
            match kind {
                0 => {}
                1 => mutated += &text[start..end].repeat(2),
                _ => {
                    let (start, end) = tokens[next(&mut state) % tokens.len()];
                    mutated += &text[start..end];
                }
            }
            done = end;
        }
        mutated += &text[done..];
        let (module, diagnostics) = parse(&mutated);
        // A missing node is reported.
        if module.items.iter().any(|item| item.kind == ItemKind::Error) {
            assert!(!diagnostics.is_empty(), "{mutated}");
        }
        for diagnostic in diagnostics {
            assert!(diagnostic.span().end as usize <= mutated.len());
        }
    }
}

#[test]
fn cut_texts_never_panic() {
    for (_, text) in PROGRAMS {
        for (at, _) in text.char_indices().step_by(7) {
            parse(&text[..at]);
            parse(&text[at..]);
        }
    }
}

/// A tree without the places of its nodes.
fn without_spans(module: &Module) -> String {
    let text = format!("{module:?}");
    let mut parts = text.split("Span { ");
    let mut result = parts.next().unwrap_or_default().to_string();
    for part in parts {
        result += part.split_once('}').map_or("", |(_, rest)| rest);
    }
    result
}

fn round_trip(text: &str) {
    let first = module(text);
    let printed = super::pretty::module(&first);
    let second = module(&printed);
    let (a, b) = (without_spans(&first), without_spans(&second));
    if a != b {
        let at = a.bytes().zip(b.bytes()).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len()));
        let from = a.floor_char_boundary(at.saturating_sub(200));
        let near = |text: &str| text[from..].chars().take(400).collect::<String>();
        panic!("{printed}\n\nwas   {}\n\nis now {}", near(&a), near(&b));
    }
    assert_eq!(super::pretty::module(&second), printed);
    assert!(printed.lines().all(|line| line == line.trim_end()), "{printed}");
}

#[test]
fn printed_programs_are_the_same() {
    for (_, text) in PROGRAMS {
        round_trip(text);
    }
}

#[test]
fn printed_expressions_are_the_same() {
    for text in [
        "-2^-x^2 + (-2)^2 - (a - b) * (c + d) / (e / f)",
        "(a @ b) @ c @ (d * e)",
        "not (not a and b) or (c or d) and e == (f == g)",
        "(if a then b else c) + (fn(x) = x)(1) + (unroll f(x) for 3)[0]",
        "(1).a + (2.5).b'",
        "(a,)",
        "((a, b), [])",
        "(print - x)",
        "(print)(x)",
        "(from)(x)",
        "(if a then { b } else c)",
        "if a then b else { c }",
        "{ let t = 1; t }",
        "f(sum(if a then b else c for i in n, j in 1:n - 1), k: _, m: each each x)",
        "\"a\\n\\u{7}\\\"\"",
        "fn(x: real[n], f: fn() -> fn(int) -> (real, { a: key })) = { a: x, b: f }",
        "x[::2, 1, 2:, :3, 4:5:6]'.a(1)(2)",
        "if a then { print 1 } else if b then { print 2; print 3 } else {}",
        "if a then {} else { if b then { x } else { y } }",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb - cccccccccccccccccccccccccccccc * ddddddddddddddddddd",
        "let x = if aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa then bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb else cccccccccccccccccccccccccccccc",
        "let x = ffffffffffffffffffffffff(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, { c: dddddddddddddddddd, e: 1 })",
        "network lista = unroll istaaaaaaaaaaaaaaaaaaaaaaaaaaa(_, D, 0.1) for 16 learn W, S, each thetaaaaaaaaaaaaaaaaaaa from (Xxxxxxxxxxx, Y)",
        "let a = trace ffffffffffffffffffffffffffffff(x) for 3 every 2 { aaaaaaaaaaaaaaaaaaaaaaaaaaa: 1, bbbbbbbbbbbbbbbbbbbbbbbbb: 2 }",
        "assert aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa == bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, cccccccccccccccccccccccccccc",
    ] {
        round_trip(text);
    }
    assert_eq!(super::pretty::expr(&expr("((a)) * ((b + c))")), "a * (b + c)");
    assert_eq!(super::pretty::expr(&expr("f( each  X,D )'[ 0 ]")), "f(each X, D)'[0]");
    let text = "# About the file.\n\n## A doc.\nlet a = 1    # one\n\n# and\nlet b = 2\n";
    assert_eq!(super::pretty::module(&module(text)), text);
    let text = "solver s(x: real[n]) -> y {\n    let t = 1\n    state y: real[n] = 0    # start\n    step y <- y - t * x\n    \
                until y == 0 within 10\n}\n";
    assert_eq!(super::pretty::module(&module(text)), text);
}

#[test]
fn mutated_programs_that_parse_are_printed() {
    let mut state = 7;
    for round in 0..300 {
        let text = PROGRAMS[round % PROGRAMS.len()].1;
        let lines: Vec<&str> = text.lines().collect();
        let dropped = next(&mut state) % lines.len();
        let (swap_a, swap_b) = (next(&mut state) % lines.len(), next(&mut state) % lines.len());
        let mut mutated: Vec<&str> = lines.clone();
        mutated.swap(swap_a, swap_b);
        mutated.remove(dropped);
        let mutated = mutated.join("\n");
        if parse(&mutated).1.is_empty() {
            round_trip(&mutated);
        }
    }
}

#[test]
fn comments_of_problems_methods_and_derivations_are_kept() {
    let text = include_str!("../../../tests/syntax/problems.dp");
    let marks = |text: &str| -> Vec<String> {
        text.split_whitespace()
            .filter(|word| word.starts_with('c') && word[1..].parse::<u8>().is_ok())
            .map(str::to_string)
            .collect()
    };
    let printed = super::pretty::module(&module(text));
    let (mut before, mut after) = (marks(text), marks(&printed));
    assert!(before.len() > 35, "{before:?}");
    before.sort();
    after.sort();
    assert_eq!(before, after, "{printed}");
}
