//! LaTeX of problems and solvers, whole; and what `--explain` says.

use super::Ground;
use crate::derive::article::article;

const PROBLEMS: &str = "\
problem lasso(x: real[m], D: real[m, n], lambda: real) {
    minimize over y: real[n]
        1/2 * sumsq(x - D @ y) + lambda * norm1(y)
}
problem nonnegative(x: real[m], D: real[m, n], c: real) {
    minimize over y: real[n]
        1/2 * sumsq(x - D @ y) + c * norm1(y)
    subject to y >= 0
}
problem rpca(X: real[m, n], c_L: real, c_S: real) {
    minimize over L: real[m, n], S: real[m, n]
        1/2 * sumsq(X - L - S) + c_L * nuclear(L) + c_S * norm1(S)
}
problem tv(x: real[n], c: real) {
    minimize over y: real[n]
        1/2 * sumsq(x - y) + c * norm1(y[1:] - y[:n - 1])
}
";

fn latex(problem: &str, method: &str, layer: bool) -> String {
    let ground = Ground::new(PROBLEMS);
    ground.derive(problem, Some(method), layer, article).unwrap_or_else(|message| panic!("{message}"))
}

fn story(problem: &str, method: Option<&str>, layer: bool) -> String {
    let ground = Ground::new(PROBLEMS);
    let told = ground.derive(problem, method, layer, |derivation, request| {
        derivation.explanation(&ground.catalogue, request).render(&ground.sources, false)
    });
    told.unwrap_or_else(|message| panic!("{message}"))
}

#[test]
fn stories_tell_what_is_asked() {
    let told = story("nonnegative", Some("proximal_gradient"), true);
    let wanted = [
        "quadratic, weight 1 / 2; its gradient changes by at most opnorm(D)^2",
        "proximable: the operator of `norm1`, weight c",
        "constraint: the projection of `nonneg`",
        "method   proximal_gradient: it was asked for",
        "step     t = 1 / opnorm(D)^2: `t = 1 / lipschitz(f)` of the method",
        "lipschitz(f) has opnorm(D)^2 of `1 / 2 * sumsq(D @ y - x)`",
        "update   v <- prox(g)(v - t * grad(f)(v), t)",
        "becomes y <- relu(W @ x + S @ y - theta)",
        "takes x: real[m], y: real[n] and gives y: real[n]",
        "W: real[n, m] = t * D'",
        "D: real[m, n]  `t` follows its current value: the step stays safe",
        "c: real        no step depends on it",
        "t: real        a step: nothing keeps it",
        "W: real[n, m]  free of the step",
        "S: real[n, n]  free of the step: may leave the safe range",
        "theta: real    a weight of its own",
        "numbers  W, S, theta: n^2 + m*n + 1, shared by all layers",
        "each W, each S, each theta: K * (n^2 + m*n + 1) in K layers",
    ];
    for text in wanted {
        assert!(told.contains(text), "`{text}` is missing in\n{told}");
    }
    let told = story("lasso", Some("backtracking_proximal_gradient"), false);
    assert!(told.contains("step     the method finds its step in each pass"), "{told}");
    let told = story("lasso", Some("accelerated_proximal_gradient"), false);
    assert!(told.contains("b: real        one value a pass: learned as `each b`"), "{told}");
}
