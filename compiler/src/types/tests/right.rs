//! Right programs: nothing is reported, and the types are as expected.

use super::{accept, type_of};

#[test]
fn products_of_matrices_and_vectors() {
    accept("fn f(A: real[m, n], x: real[n], y: real[m]) = y @ (A @ x) + y @ A @ x + sum(A' @ y)");
    assert_eq!(
        type_of("fn f(A: real[m, n], B: real[n, k]) = A @ B", "f"),
        "fn(A: real[m, n], B: real[n, k]) -> real[m, k]"
    );
    assert_eq!(type_of("fn f(x: real[n]) = x @ x", "f"), "fn(x: real[n]) -> real");
}

#[test]
fn shapes_meet_by_suffix() {
    assert_eq!(
        type_of("fn f(A: real[m, n], b: real[n]) = 2 * A + b", "f"),
        "fn(A: real[m, n], b: real[n]) -> real[m, n]"
    );
    accept("fn f(A: real[k, m, n], B: real[m, n], c: real) = A * B - c / A");
}

#[test]
fn ints_widen_to_reals() {
    assert_eq!(type_of("let a = [1, 2.5]", "a"), "real[2]");
    assert_eq!(type_of("let a = 1 / 2", "a"), "real");
    assert_eq!(type_of("let a = 7 // 2", "a"), "int");
    assert_eq!(type_of("fn f(x: real) = x\nlet a = f(1)", "a"), "real");
    accept("fn f(v: real[n]) = sum(v)\nlet a = f([1, 2])");
}

#[test]
fn sizes_are_ints_in_the_body() {
    let text = "fn f(x: real[n]) = { let k = n // 2\n zeros(k) + ones(n // 2) }";
    assert_eq!(type_of(text, "f"), "fn(x: real[n]) -> real[n // 2]");
    assert_eq!(type_of("fn f(n: int) = eye(n + 1)\nlet a = f(3)", "a"), "real[4, 4]");
    assert_eq!(type_of("let n = 3\nlet a = zeros(2 * n + 1, n^2)", "a"), "real[7, 9]");
}

#[test]
fn int_parameters_are_sizes_of_other_parameters() {
    let text = "fn f(k: int, x: real[k, n]) = x @ ones(n)\nlet a = f(2, zeros(2, 5))";
    assert_eq!(type_of(text, "a"), "real[2]");
}

#[test]
fn arguments_of_the_program_are_sizes_with_a_name() {
    let text = "arg m: int = 3\nlet A = normal(m, 2 * m)";
    assert_eq!(type_of(text, "A"), "real[m, 2*m]");
    // Other values on the command line may make them fit.
    accept("arg m: int = 3\narg n: int = 3\nlet a = normal(m, n) @ normal(m)");
}

#[test]
fn an_annotation_binds_what_is_not_in_scope() {
    let text = "let A: real[m, n] = normal(3, 4)\nlet x = zeros(n, m)";
    assert_eq!(type_of(text, "x"), "real[4, 3]");
    assert_eq!(type_of("let img: real[h, w] = load(\"a.png\")\nlet x = zeros(h - 1, w)", "x"), "real[h - 1, w]");
    accept("let a: real[h, w] = load(\"a.png\")\nlet b: real[p, q] = load(\"b.png\")\nlet c = a + b");
}

#[test]
fn a_value_from_a_file_fits_everywhere() {
    accept("let X = load(\"x.npy\")\nlet y = X @ X + X[3, 4] * X.field\nprint sum(X), X(1)");
}

#[test]
fn scalar_functions_lift() {
    assert_eq!(type_of("let a = soft(zeros(3, 4), 0.1)", "a"), "real[3, 4]");
    assert_eq!(type_of("let a = soft(zeros(3, 4), ones(4))", "a"), "real[3, 4]");
    assert_eq!(type_of("fn f(i: int) = i > 2\nlet a = f(range(5))", "a"), "bool[5]");
}

#[test]
fn each_maps_over_leading_axes() {
    assert_eq!(type_of("let a = unit(each zeros(3, 4))", "a"), "real[3, 4]");
    assert_eq!(
        type_of("fn f(x: real[n], D: real[m, n]) = (D @ x, sum(x))\nlet a = f(each zeros(8, 3), ones(2, 3))", "a"),
        "(real[8, 2], real[8])"
    );
    assert_eq!(type_of("let a = norm(each each zeros(3, 4, 5))", "a"), "real[3, 4]");
    assert_eq!(type_of("fn f(x: real[n]) = sumsq(x)\nlet a = grad(f)(each zeros(3, 4))", "a"), "real[3, 4]");
}

#[test]
fn comprehensions_append_the_axes_of_their_elements() {
    assert_eq!(
        type_of("fn f(A: real[m, n]) = [A[i] + j for i in m, j in 3]", "f"),
        "fn(A: real[m, n]) -> real[m, 3, n]"
    );
    assert_eq!(type_of("let a = [i for i in 2:7]", "a"), "int[5]");
    accept("fn f(A: real[m, k], B: real[k, n]) = [sum(A[i, l] * B[l, j] for l in k) for i in m, j in n]");
}

#[test]
fn slices_have_known_lengths() {
    assert_eq!(type_of("fn f(x: real[n]) = x[1:] - x[0:n - 1]", "f"), "fn(x: real[n]) -> real[n - 1]");
    assert_eq!(type_of("let a = zeros(7, 8)[2, 1::3]", "a"), "real[3]");
    assert_eq!(type_of("let a = zeros(7, 8)[:, 2:5]", "a"), "real[7, 3]");
    accept("fn f(x: real[n], k: int) = x[k:k + 3] + [1, 2, 3]");
}

#[test]
fn reductions() {
    assert_eq!(type_of("let a = sum(zeros(3, 4), axis: 0)", "a"), "real[4]");
    assert_eq!(type_of("let a = sum(zeros(3) > 0)", "a"), "int");
    assert_eq!(type_of("let a = mean([true, false])", "a"), "real");
    assert_eq!(type_of("let a = max(i * i for i in 4)", "a"), "int");
    assert_eq!(type_of("let a = argmax(zeros(3, 4))", "a"), "int[3]");
    assert_eq!(type_of("let a = softmax(zeros(3, 4), axis: 0)", "a"), "real[3, 4]");
    assert_eq!(type_of("let a = quantile(zeros(3, 4), 0.5)", "a"), "real[3]");
    assert_eq!(type_of("let a = all(zeros(3) == ones(3))", "a"), "bool");
}

#[test]
fn arrays_are_rearranged() {
    assert_eq!(
        type_of("fn f(A: real[m, n], B: real[k, n]) = concat(A, B)", "f"),
        "fn(A: real[m, n], B: real[k, n]) -> real[m + k, n]"
    );
    assert_eq!(type_of("fn f(A: real[m, n]) = reshape(A, m * n)", "f"), "fn(A: real[m, n]) -> real[m*n]");
    assert_eq!(type_of("fn f(A: real[a, b, c]) = permute(A, 2, 0, 1)", "f"), "fn(A: real[a, b, c]) -> real[c, a, b]");
    assert_eq!(type_of("let a = flat({u: zeros(3, 4), v: (1, zeros(2))})", "a"), "real[15]");
    assert_eq!(type_of("let a = gather(zeros(5, 2), [0, 3, 3])", "a"), "real[3, 2]");
    assert_eq!(type_of("let a = one_hot(range(4), 3)", "a"), "real[4, 3]");
    assert_eq!(type_of("fn f(A: real[m, n]) = svd(A).u", "f"), "fn(A: real[m, n]) -> real[m, min(m, n)]");
    assert_eq!(type_of("let a = size(zeros(3, 4), 1)\nlet b = zeros(a)", "b"), "real[4]");
    assert_eq!(type_of("let a = solve(eye(3), zeros(3, 2))", "a"), "real[3, 2]");
    assert_eq!(type_of("let a = diag([1, 2, 3])", "a"), "int[3, 3]");
}

#[test]
fn keys_and_draws() {
    assert_eq!(
        type_of("fn f(k: key) = { let (a, b) = split(k, 2)\n normal(3, key: a) + uniform(3, key: b) }", "f"),
        "fn(k: key) -> real[3]"
    );
    assert_eq!(type_of("let k = keys(5)", "k"), "key[5]");
    assert_eq!(type_of("let k = randint(2, 3, below: 4)", "k"), "int[2, 3]");
    accept("let x = normal(3)\nlet f = fn(i) = normal(i)");
}

#[test]
fn branches_widen() {
    assert_eq!(type_of("fn f(x: real) = if x > 0 then 1 else x", "f"), "fn(x: real) -> real");
    assert_eq!(type_of("fn f(x: real[n]) = if sum(x) > 0 then x else 0", "f"), "fn(x: real[n]) -> real[n]");
}

#[test]
fn branches_that_sizes_choose_may_differ() {
    accept("fn f(x: real[n]) = if n > 3 then x[0:3] else x");
    accept("fn f(A: real[m, n]) = if m == n then A @ A else A");
    accept("fn f(x: real[n], mode: string) = if mode == \"sum\" then sum(x) else x[0:1]");
    accept("fn f(x: real[n], short: bool) = if short then x[0:2] else x[0:5]");
    accept("let x = zeros(4)\nlet y = if sum(x) > 1 then x[0:2] else x[0:3]");
}

#[test]
fn loops_carry_states() {
    assert_eq!(
        type_of("fn f(A: real[n, n]) = loop v = ones(n), k = 0 for 3 { v <- A @ v\n k <- k + 1 }", "f"),
        "fn(A: real[n, n]) -> {v: real[n], k: int}"
    );
    assert_eq!(
        type_of("fn f(x: real) = loop a = x until abs(a) < 1 within 100 { a <- a / 2 }", "f"),
        "fn(x: real) -> real"
    );
    // What begins as an int becomes a real if a pass makes it one.
    assert_eq!(type_of("fn f(x: real) = loop a = 0 for k in 3 { a <- a + x * k }", "f"), "fn(x: real) -> real");
    assert_eq!(
        type_of("fn f(x: real) = loop a = 0, b = 0 for 3 { b <- a\n a <- a + x }", "f"),
        "fn(x: real) -> {a: real, b: real}"
    );
    accept("fn f(n: int) = loop v = zeros(n) for k in n { v[k] <- k }");
}

#[test]
fn solvers_and_what_is_made_of_them() {
    let solver = "solver ista(x: real[m], D: real[m, n], c: real) -> y {
        let t = 1 / opnorm(D)^2
        let W = t * D'
        state y: real[n] = 0
        step k {
            let r = x - D @ y
            y <- soft(y + W @ r, t * c / (k + 1))
        }
        until norm(y - previous y) <= tol within 1000
    }
    let D = normal(20, 30)
    let x = normal(20)\n";
    let shown = |rest: &str| type_of(&format!("{solver}let a = {rest}"), "a");
    assert_eq!(shown("ista(x, D, 0.1)"), "real[30]");
    assert_eq!(shown("implicit ista(x, D, 0.1)"), "real[30]");
    assert_eq!(shown("unroll ista(x, D, 0.1) for 8 backprop 3"), "real[30]");
    assert_eq!(shown("unroll ista(_, D, _) for 8"), "fn(x: real[20], c: real) -> real[30]");
    assert_eq!(shown("(unroll ista(_, D, 0.1) for 8)(each normal(5, 20))"), "real[5, 30]");
    assert_eq!(shown("ista(x, c: 0.1, D: D)"), "real[30]");
    assert_eq!(
        shown("trace ista(x, D, 0.1) for 100 every 10 { r: r, e: norm(result - y), t: t }"),
        "{r: real[10, 20], e: real[10], t: real[10]}"
    );
    let network = format!("{solver}network net = unroll ista(_, D, 0.1) for 8 learn W, each t, c\n");
    assert_eq!(type_of(&format!("{network}let a = net.params"), "a"), "{W: real[30, 20], t: real[8], c: real}");
    // x reaches the result through r alone: with r learned it is no input.
    let fixed = format!("{solver}network net = unroll ista(_, D, 0.1) for 8 learn each r from x\n");
    assert_eq!(type_of(&format!("{fixed}let a = (net.r, net())"), "a"), "(real[8, 20], real[30])");
    assert_eq!(type_of(&format!("{network}let a = at(net, flat(net.params))(x)"), "a"), "real[30]");
    assert_eq!(
        type_of(&format!("{network}network b = net\nlet a = first(b, 3)(each normal(4, 20))"), "a"),
        "real[4, 30]"
    );
}

#[test]
fn derivatives() {
    let f = "fn f(x: real[n], D: real[m, n]) = sumsq(D @ x)\nlet x = zeros(3)\nlet D = zeros(2, 3)\n";
    let shown = |rest: &str| type_of(&format!("{f}let a = {rest}"), "a");
    assert_eq!(shown("grad(f)(x, D)"), "real[3]");
    assert_eq!(shown("grad(f, wrt: D)(x, D)"), "real[2, 3]");
    assert_eq!(shown("grad(f, wrt: (D, x))(x, D)"), "(real[2, 3], real[3])");
    assert_eq!(shown("value_and_grad(f)(x, D)"), "(real, real[3])");
    assert_eq!(shown("jacobian(fn(x) = D @ x)(x)"), "real[2, 3]");
    assert_eq!(shown("hessian(fn(x) = f(x, D))(x)"), "real[3, 3]");
    assert_eq!(shown("jvp(fn(x) = D @ x)(x, x)"), "(real[2], real[2])");
    assert_eq!(shown("vjp(fn(x) = D @ x)(x)(zeros(2))"), "real[3]");
    assert_eq!(shown("hvp(fn(x) = f(x, D))(x, x)"), "real[3]");
    accept("let a = grad(grad(fn(x) = x^3))(2)");
    accept("let a = grad(soft)(2.0, 0.1) + grad(fn(p) = p.a * p.b)({a: 1.0, b: 2.0}).a");
}

#[test]
fn functions_are_values() {
    accept("fn twice(f: fn(real[n]) -> real[n], x: real[n]) = f(f(x))\nlet a = twice(fn(x) = 2 * x, [1, 2])");
    assert_eq!(
        type_of(
            "fn apply(f: fn(real[n]) -> real[m], x: real[n]) = f(x)\nlet A = zeros(4, 3)\nlet a = apply(fn(x) = A @ x, ones(3))",
            "a"
        ),
        "real[4]"
    );
    accept("fn add(x: real[n], y: real[n]) = x + y\nlet f = add(_, [1, 2])\nlet a = f([3, 4])");
    accept("let f = fn(x: real[n]) = x / n\nlet a = f(zeros(3)) @ ones(3) + f(zeros(4)) @ ones(4)");
}

#[test]
fn networks_by_hand() {
    let net = "network mlp(x: real[784]) -> real[10] {
        param W1: real[256, 784] = glorot, b1: real[256] = 0
        param W2: real[10, 256] = glorot, b2: real[10] = 0
        W2 @ relu(W1 @ x + b1) + b2
    }\n";
    assert_eq!(type_of(&format!("{net}let a = mlp(each zeros(32, 784))"), "a"), "real[32, 10]");
    assert_eq!(type_of(&format!("{net}let a = flat(mlp.params)"), "a"), "real[203530]");
    accept(&format!(
        "{net}let X = uniform(100, 784)\nlet Y = randint(100, below: 10)
        let run = train mlp {{
            each (x, y) in (X, Y) batch 32
            let z = mlp(x)
            minimize logsumexp(z) - z[y] + 1e-4 * sumsq(mlp.W1) using adam(1e-3)
            epochs k in 3
            record {{ rate: 0.1 * k, hits: mean(argmax(mlp(each X)) == Y) }} every 10
            keep highest hits patience 3
            until loss < 0.1
        }}
        print run.loss, run.hits, run.steps"
    ));
}

#[test]
fn definitions_stand_in_any_order() {
    accept("let a = f(2)\nfn f(x: real) = g(x) + 1\nfn g(x: real) = 2 * x");
    // By the time it is called, the value is there.
    accept("fn f(x: real[n]) = A @ x\nlet A = zeros(2, 3)\nlet y = f(ones(3))");
}

#[test]
fn names_may_be_used_anew() {
    accept("fn f(norm: real[n], key: key, tol: real) = sum(norm) + tol + sum(normal(n, key: key))");
    accept("fn unit(v: real) = v\nlet a = unit(2)");
    accept("fn f(x: real) = { let x = x + 1\n let x = [x, x]\n sum(x) }");
    accept("for i in 3 { let x = i\n print x }\nfor i in 3 { let x = [i, 1.0]\n print x }");
}

#[test]
fn problems_are_functions() {
    let problem = "problem p(x: real[m], D: real[m, n]) {
        let r = norm1(x)
        minimize over y: real[n], z: real[m]
            sumsq(x - D @ y - z) + r
        subject to y >= 0, norm(z) <= 1
    }\n";
    assert_eq!(type_of(&format!("{problem}let a = p(zeros(2), zeros(2, 3), zeros(3), zeros(2))"), "a"), "real");
    assert_eq!(
        type_of(&format!("{problem}solver s = derive p by admm\nlet a = s(zeros(2), zeros(2, 3))"), "a"),
        "(real[3], real[2])"
    );
}

#[test]
fn sizes_that_only_the_run_settles_are_left_to_it() {
    accept("fn f(x: real[n]) = x[0:n // 2] + x[n // 2:n]");
    accept("fn f(x: real[n], y: real[min(n, 3)]) = x[0:3] + y");
    accept("fn f(x: real[n]) = { let k = argmax(x)\n x[k:n] + x[0:3] }");
    accept("fn half(x: real[n]) = x[0:n // 2]\nlet a = half(zeros(9)) + zeros(4)");
}

#[test]
fn tests_see_the_whole_module() {
    accept("test \"t\" { assert norm(soft(a, 1) - soft(b, 1)) <= norm(a - b) }\nlet a = zeros(3), b = ones(3)");
}

#[test]
fn a_session_goes_on() {
    let mut sources = crate::source::SourceMap::default();
    let mut env = super::library(&mut sources);
    for line in ["let x = zeros(3)", "let x = [x, 1 + x]", "fn f(v: real[n]) = v / n", "let y = f(x[0])"] {
        let diagnostics = super::check_in(&mut env, &mut sources, "input", line);
        assert!(diagnostics.is_empty(), "{}", super::show(&sources, &diagnostics));
    }
    assert_eq!(env.type_of_name("x").as_deref(), Some("real[2, 3]"));
    let (module, _) = crate::syntax::parse_text(&mut sources, "input", "f(y) + y");
    let crate::syntax::ast::ItemKind::Expr(expr) = &module.items[0].kind else { panic!("an expression") };
    assert_eq!(super::super::type_of_expr(&env, expr).as_deref(), Some("real[3]"));
}
#[test]
fn a_trace_may_leave_arguments_open() {
    let text = "solver s(x: real[n], t: real) -> y { state y: real[n] = 0\n step y <- y + t * x }
    let f = trace s(_, 0.5) for 4 { e: norm(y - x), y: y }
    let a = f(zeros(3))
    let b = f(each zeros(7, 3)).e";
    assert_eq!(type_of(text, "b"), "real[7, 4]");
    accept(text);
}
