//! Tests of the way from text to tree as a whole.

use super::ast::{
    ArgValue, BinaryOp, CompareOp, ClauseKind, Expr, ExprKind, Index, Item, ItemKind, LetKind, LoopKind, Module, PathPart,
    ScalarKind, StmtKind, TypeKind,
};
use super::parse_text;
use crate::diagnostic::Diagnostic;
use crate::source::SourceMap;

/// Programs that use every production of the grammar.
const PROGRAMS: &[(&str, &str)] = &[
    ("values", include_str!("../../../tests/syntax/values.dp")),
    ("functions", include_str!("../../../tests/syntax/functions.dp")),
    ("solvers", include_str!("../../../tests/syntax/solvers.dp")),
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
    let text = "let step = 1, trace = 2, over = 3\nlet a = trace + step(over) - train[0] + derive.x + unroll'\nprevious = 1";
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
            assert_eq!(learn.lifted.iter().map(|l| (l.each, &*l.name.text)).collect::<Vec<_>>(), [(false, "a"), (true, "b")]);
            assert!(learn.from.is_some());
        }
        other => panic!("{other:?}"),
    }
}
