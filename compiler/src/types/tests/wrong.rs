//! Wrong programs: one mistake each, told with its code, at its place.

use super::{Mistake, check, refuse, show};

#[test]
fn inner_dimensions_differ() {
    refuse(
        "fn f(D: real[m, n], x: real[m]) = D @ x",
        Mistake {
            code: "E0405",
            words: &["cannot multiply D: real[m, n] by x: real[m]", "inner dimensions n and m differ"],
            labels: &["D @ x", "D", "x"],
            help: Some("`D' @ x` fits"),
        },
    );
    refuse(
        "fn f(A: real[m, n], B: real[k, n]) = A @ B",
        Mistake {
            code: "E0405",
            words: &["inner dimensions n and k differ"],
            labels: &["A @ B", "A", "B"],
            help: Some("`A @ B'` fits"),
        },
    );
    refuse(
        "let D = zeros(3, 4)\nlet y = D' @ zeros(5)",
        Mistake {
            code: "E0405",
            words: &["D': real[4, 3]", "real[5]", "3 and 5"],
            labels: &["D' @ zeros(5)", "D", "zeros(5)"],
            help: None,
        },
    );
}

#[test]
fn scalars_are_multiplied_with_a_star() {
    refuse(
        "fn f(t: real, x: real[n]) = t @ x",
        Mistake { code: "E0405", words: &["t is a scalar"], labels: &["t @ x", "t", "x"], help: Some("`*`") },
    );
}

#[test]
fn shapes_do_not_meet() {
    refuse(
        "fn f(x: real[m], y: real[n]) = x + y",
        Mistake {
            code: "E0402",
            words: &["cannot add x: real[m] and y: real[n]", "m and n differ"],
            labels: &["x + y", "x", "y"],
            help: None,
        },
    );
    refuse(
        "fn f(A: real[m, n], w: real[m]) = w * A",
        Mistake {
            code: "E0402",
            words: &["[m, n] does not end in [m]"],
            labels: &["w * A", "w", "A"],
            help: Some("`diag(w) @ A`"),
        },
    );
    refuse(
        "let a = zeros(3)\nlet b = zeros(4)\nlet c = 2 + a - b",
        Mistake {
            code: "E0402",
            words: &["cannot subtract b: real[4] from real[3]"],
            labels: &["2 + a - b", "2 + a", "b"],
            help: None,
        },
    );
    refuse(
        "fn f(x: real[n]) = x[1:] - x",
        Mistake { code: "E0402", words: &["n - 1 and n differ"], labels: &["x[1:] - x", "x"], help: None },
    );
    refuse(
        "fn f(x: real[m], y: real[n]) = max(x, y)",
        Mistake { code: "E0402", words: &["`max`", "m and n differ"], labels: &["max(x, y)", "x", "y"], help: None },
    );
    refuse(
        "fn f(x: real[m], y: real[n]) = all(x < y)",
        Mistake { code: "E0402", words: &["cannot compare"], labels: &["x < y", "x", "y"], help: None },
    );
}

#[test]
fn vectors_have_no_transpose() {
    refuse(
        "fn f(x: real[n]) = x' @ x",
        Mistake {
            code: "E0405",
            words: &["cannot transpose x: real[n]", "vector"],
            labels: &["x'", "x"],
            help: Some("`x @ y`"),
        },
    );
}

#[test]
fn unknown_names() {
    refuse(
        "fn f(alpha: real) = alhpa + 1",
        Mistake { code: "E0301", words: &["`alhpa` is not defined"], labels: &["alhpa"], help: Some("`alpha`") },
    );
    refuse(
        "let a = sumqs([1, 2])",
        Mistake { code: "E0301", words: &["`sumqs`"], labels: &["sumqs"], help: Some("`sumsq`") },
    );
}

#[test]
fn several_mistakes_at_once() {
    let (sources, _, diagnostics) =
        check("let a = foo + 1\nlet b = a + bar\nlet c = b @ true\nlet d = zeros(3) + zeros(4)");
    let codes: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code.0).collect();
    assert_eq!(codes, ["E0301", "E0301", "E0310", "E0402"], "{}", show(&sources, &diagnostics));
}

#[test]
fn one_mistake_is_told_once() {
    // The error's type fits everywhere, and a lambda applied twice is told of once.
    let (sources, _, diagnostics) = check("let x = nothing\nlet y = x + 1\nlet z = y @ x\nprint z");
    assert_eq!(diagnostics.len(), 1, "{}", show(&sources, &diagnostics));
    let (sources, _, diagnostics) = check("let f = fn(x) = x @ zeros(3)\nlet a = f(zeros(2)) + f(zeros(4))");
    assert_eq!(diagnostics.len(), 1, "{}", show(&sources, &diagnostics));
}

#[test]
fn defined_twice() {
    refuse(
        "fn f(x: real) = x\nlet f = 2",
        Mistake { code: "E0304", words: &["`f` is defined twice"], labels: &["f", "f"], help: None },
    );
    refuse(
        "fn f(x: real, x: real) = x",
        Mistake { code: "E0304", words: &["parameter `x`"], labels: &["x", "x"], help: None },
    );
}

#[test]
fn used_before_its_line() {
    refuse(
        "let a = late + 1\nlet late = 2",
        Mistake { code: "E0303", words: &["`late` is used before"], labels: &["late", "late"], help: None },
    );
}

#[test]
fn recursion() {
    refuse(
        "fn f(n: int) -> int = if n == 0 then 1 else n * f(n - 1)",
        Mistake { code: "E0305", words: &["recursion"], labels: &["f", "f"], help: Some("`loop`") },
    );
    let (sources, _, diagnostics) = check("fn f(x: real) = g(x)\nfn g(x: real) = f(x)");
    assert_eq!(diagnostics.len(), 1, "{}", show(&sources, &diagnostics));
    assert_eq!(diagnostics[0].code.0, "E0305");
}

#[test]
fn bools_are_no_numbers() {
    refuse(
        "fn f(x: real[n]) = sum((x > 0) * x)",
        Mistake {
            code: "E0310",
            words: &["`*` takes numbers", "bool[n]"],
            labels: &["(x > 0) * x", "(x > 0)"],
            help: Some("real(..)"),
        },
    );
    refuse(
        "fn f(x: real) = not x",
        Mistake { code: "E0310", words: &["`not` takes bools", "x: real"], labels: &["not x", "x"], help: None },
    );
    refuse(
        "fn f(x: real) = x // 2",
        Mistake { code: "E0310", words: &["`//` takes ints"], labels: &["x // 2", "x"], help: Some("floor") },
    );
}

#[test]
fn conditions_are_one_bool() {
    refuse(
        "fn f(x: real[n]) = if x > 0 then 1 else 2",
        Mistake {
            code: "E0310",
            words: &["a condition is one bool", "bool[n]"],
            labels: &["x > 0"],
            help: Some("where("),
        },
    );
    refuse(
        "assert zeros(3) == ones(3)",
        Mistake { code: "E0310", words: &["bool[3]"], labels: &["zeros(3) == ones(3)"], help: Some("all(") },
    );
}

#[test]
fn branches_differ() {
    refuse(
        "fn f(x: real[n]) = if sum(x) > 0 then x else x[1:]",
        Mistake {
            code: "E0319",
            words: &["real[n] and real[n - 1]"],
            labels: &["if sum(x) > 0 then x else x[1:]", "x", "x[1:]"],
            help: None,
        },
    );
}

#[test]
fn elements_differ() {
    refuse(
        "let a = [1, true]",
        Mistake { code: "E0319", words: &["int and bool"], labels: &["true", "1"], help: None },
    );
    refuse(
        "let a = [zeros(2), zeros(3)]",
        Mistake { code: "E0402", words: &["real[2] and real[3]"], labels: &["zeros(3)", "zeros(2)"], help: None },
    );
}

#[test]
fn arguments_do_not_fit() {
    refuse(
        "fn f(x: real[m], D: real[m, n]) = D' @ x\nlet D = zeros(4, 7)\nlet y = f(zeros(5), D)",
        Mistake {
            code: "E0406",
            words: &["`f` takes `D: real[m, n]`", "D: real[4, 7]", "5 and 4 differ"],
            labels: &["D", "D", "D", "zeros(5)"],
            help: None,
        },
    );
    refuse(
        "fn f(x: real[m]) = x\nlet y = f(2.0)",
        Mistake { code: "E0406", words: &["`f` takes `x: real[m]`", "2.0: real"], labels: &["2.0", "x"], help: None },
    );
    refuse(
        "fn f(n: int) = zeros(n)\nlet y = f(2.5)",
        Mistake { code: "E0311", words: &["`f` takes `n: int`"], labels: &["2.5", "n"], help: Some("`round`") },
    );
    refuse(
        "fn f(x: real[n], mode: string) = x\nlet y = f([1, 2], 3)",
        Mistake { code: "E0311", words: &["`mode: string`"], labels: &["3", "mode"], help: None },
    );
}

#[test]
fn arguments_are_counted() {
    refuse(
        "let y = soft(1, 2, 3)",
        Mistake { code: "E0321", words: &["`soft` takes 2 arguments, but 3"], labels: &["3"], help: None },
    );
    refuse(
        "let y = soft(1)",
        Mistake { code: "E0321", words: &["argument `t` of `soft` is missing"], labels: &["soft(1)"], help: None },
    );
    refuse(
        "let y = soft(1, s: 2)",
        Mistake { code: "E0321", words: &["no parameter `s`"], labels: &["s"], help: None },
    );
    refuse(
        "let y = soft(1, 2, v: 2)",
        Mistake { code: "E0321", words: &["`v`", "given twice"], labels: &["2", "1"], help: None },
    );
    refuse(
        "let y = where(true, 1)",
        Mistake {
            code: "E0321",
            words: &["`where` takes 3 arguments, but 2 were"],
            labels: &["where(true, 1)"],
            help: None,
        },
    );
    refuse(
        "let y = sum([1, 2], axes: 0)",
        Mistake { code: "E0321", words: &["no parameter `axes`"], labels: &["axes"], help: Some("`axis`") },
    );
    refuse(
        "let f = fn(x, y) = x\nlet a = f(1)",
        Mistake { code: "E0321", words: &["takes 2 arguments, but 1"], labels: &["f(1)", "x"], help: None },
    );
}

#[test]
fn not_a_function() {
    refuse(
        "let x = zeros(3)\nlet y = x(1)",
        Mistake { code: "E0310", words: &["real[3] is not a function"], labels: &["x(1)"], help: Some("x[i]") },
    );
}

#[test]
fn no_such_field() {
    refuse(
        "let f = svd(eye(3))\nlet a = f.S",
        Mistake { code: "E0302", words: &["`f` has no field `S`"], labels: &["S", "f"], help: None },
    );
    refuse(
        "network net(x: real[3]) { param weight: real[2, 3] = glorot\n weight @ x }\nlet a = net.wieght",
        Mistake {
            code: "E0302",
            words: &["`net` has no parameter `wieght`"],
            labels: &["wieght", "net"],
            help: Some("`weight`"),
        },
    );
}

#[test]
fn indices() {
    refuse(
        "fn f(A: real[m, n]) = A[0, 1, 2]",
        Mistake { code: "E0407", words: &["2 dimensions", "3 indices"], labels: &["A[0, 1, 2]", "A"], help: None },
    );
    refuse(
        "let x = zeros(3)\nlet a = x[3]",
        Mistake { code: "E0407", words: &["index 3 is out of range", "size 3"], labels: &["3", "x"], help: None },
    );
    refuse(
        "fn f(x: real[n]) = x[n]",
        Mistake { code: "E0407", words: &["index n is out of range"], labels: &["n", "x"], help: None },
    );
    refuse(
        "fn f(x: real[n]) = x[n / 2]",
        Mistake { code: "E0310", words: &["an index is an int"], labels: &["n / 2"], help: Some("`//`") },
    );
    refuse(
        "let a = sum(zeros(3, 4), axis: 2)",
        Mistake { code: "E0407", words: &["no axis 2", "axes 0 to 1"], labels: &["2", "zeros(3, 4)"], help: None },
    );
}

#[test]
fn ranges_are_of_ints() {
    refuse(
        "fn f(x: real[n]) = [x[i] for i in x]",
        Mistake { code: "E0310", words: &["a range is of ints", "real[n]"], labels: &["x"], help: Some("size(x, 0)") },
    );
}

#[test]
fn sizes() {
    refuse(
        "let a = zeros(3 / 2)",
        Mistake { code: "E0403", words: &["a size is an int"], labels: &["3 / 2"], help: Some("`//`") },
    );
    refuse(
        "let a = zeros(2 - 3)",
        Mistake { code: "E0404", words: &["-1 is negative"], labels: &["2 - 3"], help: None },
    );
    refuse(
        "fn f(x: real[4000000000 * 4000000000]) = x",
        Mistake { code: "E0404", words: &["too large"], labels: &["4000000000 * 4000000000"], help: None },
    );
    refuse(
        "let v = [1.0, 2.0]\nlet a: real[v] = zeros(2)",
        Mistake { code: "E0403", words: &["`v` is real[2]"], labels: &["v", "v"], help: None },
    );
}

#[test]
fn declared_types() {
    refuse(
        "fn f(D: real[m, n], x: real[n]) -> real[n] = D @ x",
        Mistake {
            code: "E0406",
            words: &["declared result is real[n]", "D @ x: real[m]", "n and m differ"],
            labels: &["D @ x", "real[n]"],
            help: None,
        },
    );
    refuse(
        "let a: int = 2.5",
        Mistake { code: "E0311", words: &["`a` is declared int"], labels: &["2.5", "int"], help: Some("`round`") },
    );
    refuse(
        "let n = 3\nlet a: real[n] = zeros(4)",
        Mistake {
            code: "E0406",
            words: &["`a` is declared real[3]", "3 and 4 differ"],
            labels: &["zeros(4)", "real[n]"],
            help: None,
        },
    );
}

#[test]
fn tuples_are_taken_apart() {
    refuse(
        "let (a, b) = (1, 2, 3)",
        Mistake { code: "E0318", words: &["2 names", "3 parts"], labels: &["(1, 2, 3)"], help: None },
    );
    refuse("let (a, b) = zeros(2)", Mistake { code: "E0318", words: &["real[2]"], labels: &["zeros(2)"], help: None });
}

#[test]
fn only_states_are_assigned() {
    refuse(
        "solver s(x: real[n]) -> y { state y: real[n] = 0\n step { x <- y } }",
        Mistake { code: "E0317", words: &["`x` is not a state"], labels: &["x", "x"], help: None },
    );
    refuse(
        "solver s(x: real[n]) -> y { state y: real[n] = 0\n step y <- y - previous z }",
        Mistake { code: "E0302", words: &["`z` is not a state"], labels: &["z"], help: None },
    );
}

#[test]
fn states_keep_their_types() {
    refuse(
        "solver s(D: real[m, n], x: real[m]) -> y { state y: real[n] = 0\n step y <- y + D @ y }",
        Mistake {
            code: "E0402",
            words: &["cannot add y: real[n] and D @ y: real[m]"],
            labels: &["y + D @ y", "y", "D @ y"],
            help: None,
        },
    );
    refuse(
        "solver s(D: real[m, n]) -> y { state y: real[n] = 0\n step y <- D @ y }",
        Mistake {
            code: "E0411",
            words: &["the state `y` is real[n]", "n and m differ"],
            labels: &["D @ y", "y"],
            help: None,
        },
    );
    refuse(
        "fn f(x: real) = loop k: int = 0 for 3 { k <- k + x }",
        Mistake { code: "E0311", words: &["the state `k` is int"], labels: &["k + x", "k"], help: Some("k: real") },
    );
}

#[test]
fn lifting_needs_a_scalar_result() {
    refuse(
        "fn f(x: real) = [x, x]\nlet a = f(zeros(3))",
        Mistake {
            code: "E0410",
            words: &["`f`", "real[2]", "not a scalar"],
            labels: &["f(zeros(3))"],
            help: Some("each X"),
        },
    );
    refuse(
        "let a = soft(zeros(3), zeros(4))",
        Mistake {
            code: "E0402",
            words: &["`soft` is applied to each element", "3 and 4 differ"],
            labels: &["zeros(4)", "zeros(3)"],
            help: None,
        },
    );
}

#[test]
fn each_needs_leading_axes() {
    refuse(
        "let a = unit(each 2.0)",
        Mistake { code: "E0409", words: &["`each` needs a leading axis", "2.0: real"], labels: &["2.0"], help: None },
    );
    refuse(
        "fn f(x: real[n], y: real[n]) = x @ y\nlet X = zeros(5, 3)\nlet Y = zeros(6, 3)\nlet a = f(each X, each Y)",
        Mistake { code: "E0409", words: &["5 and 6 differ"], labels: &["Y", "X", "Y"], help: None },
    );
}

#[test]
fn functions_are_pure() {
    refuse(
        "fn f(n: int) = normal(n)",
        Mistake { code: "E0330", words: &["`normal` draws"], labels: &["normal(n)"], help: Some("key: k") },
    );
    refuse(
        "fn f(x: real) = load(\"a\") + x",
        Mistake { code: "E0331", words: &["`load` has an effect"], labels: &["load(\"a\")"], help: None },
    );
}

#[test]
fn param_belongs_to_networks() {
    refuse(
        "fn f(x: real[3]) = { param W: real[2, 3] = glorot\n W @ x }",
        Mistake {
            code: "E0316",
            words: &["`param` stands only"],
            labels: &["param W: real[2, 3] = glorot"],
            help: None,
        },
    );
}

const SOLVER: &str = "solver s(x: real[m], D: real[m, n], c: real) -> y {
    let W = D'
    state y: real[n] = 0
    step { let v = W @ (x - D @ y)
        y <- y + c * v }
}
let D = zeros(4, 5)\n";

#[test]
fn what_is_learned() {
    let refuse = |line: &str, mistake: Mistake| refuse(&format!("{SOLVER}{line}"), mistake);
    refuse(
        "network net = unroll s(_, D, 0.1) for 3 learn WW",
        Mistake { code: "E0329", words: &["no let or argument `WW`"], labels: &["WW"], help: None },
    );
    refuse(
        "network net = unroll s(_, D, 0.1) for 3 learn v from zeros(4)",
        Mistake { code: "E0329", words: &["let inside `step`"], labels: &["v", "v"], help: Some("each v") },
    );
    refuse(
        "network net = unroll s(_, D, 0.1) for 3 learn x",
        Mistake { code: "E0329", words: &["left open"], labels: &["x", "_"], help: None },
    );
    refuse(
        "network net = unroll s(_, D, 0.1) for 3 learn y",
        Mistake { code: "E0329", words: &["`y` is a state"], labels: &["y", "y"], help: None },
    );
    refuse(
        "let f = unroll soft(_, 0.1) for 3",
        Mistake { code: "E0323", words: &["a call of a solver"], labels: &["soft"], help: None },
    );
    refuse(
        "let a = (unroll s(_, D, 0.1) for 3)(zeros(5))",
        Mistake { code: "E0406", words: &["4 and 5 differ"], labels: &["zeros(5)", "x"], help: None },
    );
}

#[test]
fn derivatives() {
    refuse(
        "fn f(x: real[n]) = 2 * x\nlet g = grad(f)(zeros(3))",
        Mistake {
            code: "E0326",
            words: &["one real as result", "real[3]"],
            labels: &["grad(f)(zeros(3))"],
            help: Some("jacobian"),
        },
    );
    refuse(
        "fn f(x: real[n], y: real[n]) = x @ y\nlet g = grad(f, wrt: z)(zeros(3), zeros(3))",
        Mistake { code: "E0321", words: &["no parameter `z`"], labels: &["z"], help: None },
    );
    refuse(
        "let x = 2.0\nlet g = grad(x^2)",
        Mistake { code: "E0310", words: &["`grad` takes a function"], labels: &["x^2"], help: Some("grad(fn(x)") },
    );
    refuse(
        "fn f(x: real[m], D: real[m, n]) = sumsq(D' @ x)\nlet g = grad(fn(x) = f(x, zeros(3, 4)))(zeros(5))",
        Mistake {
            code: "E0406",
            words: &["`f` takes `D: real[m, n]`", "5 and 3 differ"],
            labels: &["zeros(3, 4)", "D", "x"],
            help: None,
        },
    );
}

#[test]
fn custom_rules() {
    refuse(
        "fn f(x: real, t: real) = x * t\nderivative f(x; dx) = dx",
        Mistake { code: "E0322", words: &["`f` has 2 parameters, but 1"], labels: &["x"], help: None },
    );
}

#[test]
fn functions_as_arguments() {
    refuse(
        "fn f(g: fn(real[n]) -> real, x: real[n]) = g(x)\nlet a = f(fn(x) = 2 * x, zeros(3))",
        Mistake {
            code: "E0406",
            words: &["`g: fn(real[n]) -> real`", "real[3]"],
            labels: &["fn(x) = 2 * x"],
            help: None,
        },
    );
    refuse(
        "fn f(g: fn(real[n]) -> real, x: real[n]) = g(x)\nlet a = f(2, zeros(3))",
        Mistake { code: "E0311", words: &["`g: fn(real[n]) -> real`", "2: int"], labels: &["2", "g"], help: None },
    );
}

#[test]
fn trainings() {
    let net = "network net(x: real[3]) -> real[2] { param W: real[2, 3] = glorot\n W @ x }\nlet X = normal(9, 3)\nlet Y = normal(9, 2)\n";
    let refuse = |rest: &str, mistake: Mistake| refuse(&format!("{net}{rest}"), mistake);
    refuse(
        "let r = train net { each (x, y) in (X, Y)\n minimize net(x) - y\n using adam\n steps 3 }",
        Mistake {
            code: "E0326",
            words: &["an objective is one real", "real[2]"],
            labels: &["net(x) - y"],
            help: Some("sumsq"),
        },
    );
    refuse(
        "let r = train X { each x in X\n minimize sumsq(net(x))\n using adam\n steps 3 }",
        Mistake { code: "E0313", words: &["`X` is not a network"], labels: &["X", "X"], help: None },
    );
    refuse(
        "let r = train net { each x in X\n minimize sumsq(net(x))\n using adam(0.1)\n steps 3\n keep lowest val }",
        Mistake { code: "E0703", words: &["`val` is not recorded"], labels: &["val"], help: Some("record") },
    );
    refuse(
        "let r = train net { each (x, y) in (X, normal(8, 2))\n minimize sumsq(net(x) - y)\n using adam\n steps 3 }",
        Mistake { code: "E0409", words: &["9 and 8 differ"], labels: &["(X, normal(8, 2))"], help: None },
    );
    refuse(
        "let r = train net { each x in X\n minimize sumsq(net(x) - x)\n using adam\n steps 3 }",
        Mistake { code: "E0402", words: &["2 and 3 differ"], labels: &["net(x) - x", "net(x)", "x"], help: None },
    );
    refuse(
        "let r = train net { each x in X\n minimize sumsq(net(x))\n using soft(1, 2)\n steps 3 }",
        Mistake { code: "E0323", words: &["`using` takes an optimizer"], labels: &["soft(1, 2)"], help: Some("adam(") },
    );
    refuse(
        "let r = train net.V { each x in X\n minimize sumsq(net(x))\n using adam\n steps 3 }",
        Mistake { code: "E0302", words: &["no parameter `V`"], labels: &["V", "net"], help: None },
    );
}

#[test]
fn problems() {
    refuse(
        "problem p(x: real[m], D: real[m, n]) { minimize over y: real[n]
 x - D @ y
 }",
        Mistake { code: "E0326", words: &["an objective is one real", "real[m]"], labels: &["x - D @ y"], help: None },
    );
    refuse(
        "solver s = derive soft",
        Mistake { code: "E0306", words: &["`derive` takes a problem"], labels: &["soft"], help: None },
    );
}

#[test]
fn rearranging() {
    refuse(
        "let a = reshape(zeros(3, 4), 5, 2)",
        Mistake {
            code: "E0412",
            words: &["12 and 10 elements"],
            labels: &["reshape(zeros(3, 4), 5, 2)", "zeros(3, 4)"],
            help: None,
        },
    );
    refuse(
        "fn f(A: real[m, n], B: real[m, k]) = concat(A, B)",
        Mistake { code: "E0412", words: &["n and k differ"], labels: &["concat(A, B)", "A", "B"], help: None },
    );
    refuse(
        "fn f(A: real[m, n], b: real[m]) = solve(A, b)",
        Mistake { code: "E0406", words: &["square matrix", "m and n differ"], labels: &["A", "A"], help: None },
    );
}

#[test]
fn training_is_an_effect() {
    refuse(
        "network net(x: real[3]) { param W: real[3] = 0\n W @ x }\nfn f(x: real[3]) = train net { minimize net(x)\n using adam\n steps 3 }",
        Mistake {
            code: "E0314",
            words: &["functions are pure"],
            labels: &["train net { minimize net(x)\n using adam\n steps 3 }"],
            help: None,
        },
    );
}

#[test]
fn sizes_of_values_are_compared_in_definitions_too() {
    refuse(
        "let A = zeros(2, 3)\nfn f(k: int) = A @ A",
        Mistake { code: "E0405", words: &["3 and 2 differ"], labels: &["A @ A", "A"], help: Some("`A' @ A`") },
    );
}

#[test]
fn every_code_is_explained() {
    let text = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/types"))
        .into_iter()
        .flatten()
        .chain(std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/types/builtin")).into_iter().flatten())
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .collect::<String>();
    let codes: Vec<&str> = text.match_indices("\"E0").map(|(at, _)| &text[at + 1..at + 6]).collect();
    assert!(codes.len() > 50);
    for code in codes.iter().filter(|code| code.starts_with("E03") || code.starts_with("E04")) {
        assert!(crate::diagnostic::codes::find(code).is_some(), "{code} has no row");
    }
}
