//! LaTeX of problems and solvers, whole; and what `--explain` says.

use super::ground::Ground;
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

const PROXIMAL_GRADIENT: &str = r"v &= y \\
v^{(k+1)} &= \operatorname{prox}_{t g}\left( v^{(k)} - t \nabla f\left( v^{(k)} \right) \right)
\end{align*}
\begin{align*}
t &= \frac{1}{\left\| D \right\|_2^{2}} \\
";

#[test]
fn lasso() {
    let wanted = r"\begin{align*}
\operatorname*{argmin}_{y \in \mathbb{R}^{n}} \quad & \frac{1}{2} \left\| x - D y \right\|_2^2 + \lambda \left\| y \right\|_1
\end{align*}
\begin{align*}
f\left( y \right) &= \frac{1}{2} \left\| D y - x \right\|_2^2 \\
g\left( y \right) &= \lambda \left\| y \right\|_1 \\
PROXIMAL_GRADIENT\theta &= t \lambda \\
y^{(0)} &= 0 \\
y^{(k+1)} &= \mathcal{S}_{\theta}\left( y^{(k)} - t D^{\top} \left( D y^{(k)} - x \right) \right)
\end{align*}
";
    assert_eq!(latex("lasso", "proximal_gradient", false), wanted.replace("PROXIMAL_GRADIENT", PROXIMAL_GRADIENT));
}

#[test]
fn nonnegative_lasso_as_a_layer() {
    let wanted = r"\begin{align*}
\operatorname*{argmin}_{y \in \mathbb{R}^{n}} \quad & \frac{1}{2} \left\| x - D y \right\|_2^2 + c \left\| y \right\|_1 \\
\text{subject to} \quad & y \geq 0
\end{align*}
\begin{align*}
f\left( y \right) &= \frac{1}{2} \left\| D y - x \right\|_2^2 \\
g\left( y \right) &= c \left\| y \right\|_1 + \iota_{\mathrm{nonneg}}\left( y \right) \\
PROXIMAL_GRADIENTW &= t D^{\top} \\
S &= I_{n} - t D^{\top} D \\
\theta &= t c \\
y^{(0)} &= 0 \\
y^{(k+1)} &= \left( W x + S y^{(k)} - \theta \right)_{+}
\end{align*}
";
    assert_eq!(latex("nonnegative", "proximal_gradient", true), wanted.replace("PROXIMAL_GRADIENT", PROXIMAL_GRADIENT));
}

#[test]
fn robust_principal_components_in_two_blocks() {
    let wanted = r"\begin{align*}
\operatorname*{argmin}_{L \in \mathbb{R}^{m \times n},\, S \in \mathbb{R}^{m \times n}} \quad & \frac{1}{2} \left\| X - L - S \right\|_F^2 + c_{L} \left\| L \right\|_* + c_{S} \left\| S \right\|_1
\end{align*}
\begin{align*}
f\left( L, S \right) &= \frac{1}{2} \left\| L + S - X \right\|_F^2 \\
g\left( L, S \right) &= c_{L} \left\| L \right\|_* + c_{S} \left\| S \right\|_1 \\
v &= \left( L, S \right) \\
v^{(k+1)} &= \operatorname{prox}_{t g}\left( v^{(k)} - t \nabla f\left( v^{(k)} \right) \right)
\end{align*}
\begin{align*}
t &= \frac{1}{2} \\
\theta_{L} &= t c_{L} \\
\theta_{S} &= t c_{S} \\
L^{(0)} &= 0 \\
S^{(0)} &= 0 \\
L^{(k+1)} &= \mathcal{D}_{\theta_{L}}\left( L^{(k)} - t \left( L^{(k)} + S^{(k)} - X \right) \right) \\
S^{(k+1)} &= \mathcal{S}_{\theta_{S}}\left( S^{(k)} - t \left( L^{(k)} + S^{(k)} - X \right) \right)
\end{align*}
";
    assert_eq!(latex("rpca", "proximal_gradient", false), wanted);
}

#[test]
fn total_variation_by_pdhg() {
    let wanted = r"\begin{align*}
\operatorname*{argmin}_{y \in \mathbb{R}^{n}} \quad & \frac{1}{2} \left\| x - y \right\|_2^2 + c \left\| y_{1:} - y_{:n - 1} \right\|_1
\end{align*}
\begin{align*}
f\left( y \right) &= \frac{1}{2} \left\| y - x \right\|_2^2 \\
g\left( K y \right) &= c \left\| y_{1:} - y_{:n - 1} \right\|_1 \\
v &= y \\
u^{(k+1)} &= \operatorname{prox}_{s g^{*}}\left( u^{(k)} + s K w^{(k)} \right) \\
v^{(k+1)} &= \operatorname{prox}_{t f}\left( v^{(k)} - t K^{*} u^{(k+1)} \right) \\
w^{(k+1)} &= 2 v^{(k+1)} - v^{(k)}
\end{align*}
\begin{align*}
t &= 1 \\
s &= \frac{0.2475}{t} \\
\theta &= \frac{c}{s} \\
y^{(0)} &= 0 \\
w^{(0)} &= 0 \\
u^{(0)} &= 0 \\
\mathrm{point} &= u^{(k)} + s \left( \left( w^{(k)} \right)_{1:} - \left( w^{(k)} \right)_{:n - 1} \right) \\
u^{(k+1)} &= \mathrm{point} - s \mathcal{S}_{\theta}\left( \frac{\mathrm{point}}{s} \right) \\
y^{(k+1)} &= \frac{y^{(k)} - t \left( \begin{bmatrix} 0 \\ u^{(k+1)} \end{bmatrix} - \begin{bmatrix} u^{(k+1)} \\ 0 \end{bmatrix} \right) + t x}{1 + t} \\
w^{(k+1)} &= 2 y^{(k+1)} - y^{(k)}
\end{align*}
";
    assert_eq!(latex("tv", "pdhg", false), wanted);
}

#[test]
fn names_and_signs() {
    let cases = [
        ("theta_1", r"\theta_{1}"),
        ("x2", r"x_{2}"),
        ("λ", r"\lambda"),
        ("W_y", r"W_{y}"),
        ("learning_rate", r"\mathrm{learning}_{\mathrm{rate}}"),
        ("-a * b^2", r"-a b^{2}"),
        ("(a - b) * c / (d + 1)", r"\frac{\left( a - b \right) c}{d + 1}"),
        ("a / b / c", r"\frac{\frac{a}{b}}{c}"),
        ("a * 2", r"a \cdot 2"),
        ("a - (b - c)", r"a - \left( b - c \right)"),
        ("1e-3", r"10^{-3}"),
        ("(A @ B)'", r"\left( A B \right)^{\top}"),
        ("sum(a[i]^2 for i in n)", r"\sum_{\substack{0 \leq i < n}} a_{i}^{2}"),
        ("norm(x)^2", r"\left\| x \right\|_2^{2}"),
        ("opnorm(D)", r"\left\| D \right\|_2"),
        ("project_it(x)", r"\operatorname{project\_it}\left( x \right)"),
        ("abs(x) <= 1 and x != 2", r"\left| x \right| \leq 1 \land x \neq 2"),
        ("if a > 0 then a else 0", r"\begin{cases} a & \text{if } a > 0 \\ 0 & \text{otherwise} \end{cases}"),
    ];
    for (text, wanted) in cases {
        let e = crate::derive::tree::parse(text).expect("an expression");
        assert_eq!(crate::derive::latex::Setter::default().set(&e), wanted, "{text}");
    }
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
        "numbers  W, S, theta: m*n + n^2 + 1, shared by all layers",
        "each W, each S, each theta: K * (m*n + n^2 + 1) in K layers",
    ];
    for text in wanted {
        assert!(told.contains(text), "`{text}` is missing in\n{told}");
    }
    let told = story("lasso", Some("backtracking_proximal_gradient"), false);
    assert!(told.contains("step     the method finds its step in each pass"), "{told}");
    let told = story("lasso", Some("accelerated_proximal_gradient"), false);
    assert!(told.contains("b: real        one value a pass: learned as `each b`"), "{told}");
}
