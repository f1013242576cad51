//! Standard programs, and a session in which to prepare them: what benchmarks and tests of speed and memory look at.

pub mod programs;

use crate::lower::value::{Scope, Value};
use crate::lower::{Lowered, Res, Session, lower_expr};
use crate::run::{Message, Prepared, Runner};
use crate::script::{Output, Script};
use crate::source::{SourceMap, Span};
use crate::syntax::ast::{ItemKind, Symbol};
use crate::{stdlib, syntax, types};
use dp_runtime::tensor::{DType, Tensor};

/// A program: what is done before, and the expression that is looked at.
#[derive(Clone, PartialEq, Debug)]
pub struct Program {
    pub name: String,
    pub precision: DType,
    /// Data: run, but not looked at.
    pub data: String,
    /// The program itself, as a user would write it.
    pub text: String,
    pub expression: String,
}

/// A program that is ready to run.
pub struct Ready {
    pub code: Prepared,
    pub inputs: Vec<Tensor>,
    pub span: Span,
}

/// LISTA with tied weights: value and gradient in the weights and thresholds.
pub fn lista_gradient((m, n, batch): (usize, usize, usize), layers: usize) -> Program {
    Program {
        name: format!("LISTA-{layers} value and gradient, ({m}, {n}), batch {batch}"),
        precision: DType::F32,
        data: lista_data(m, n, batch),
        text: lista_text(layers),
        expression: "value_and_grad(loss, wrt: (W, S, theta))(W0, S0, theta0, X, Y)".to_string(),
    }
}

/// LISTA with tied weights: its output.
pub fn lista_forward((m, n, batch): (usize, usize, usize), layers: usize) -> Program {
    Program {
        name: format!("LISTA-{layers} forward, ({m}, {n}), batch {batch}"),
        expression: format!("(unroll lista(_, W0, S0, theta0) for {layers})(each X)"),
        ..lista_gradient((m, n, batch), layers)
    }
}

fn lista_data(m: usize, n: usize, batch: usize) -> String {
    format!(
        "let A = normal({m}, {n}) / sqrt({m})\nlet L = opnorm(A)^2\nlet W0 = A' / L\nlet S0 = eye({n}) - A' @ A / L\n\
         let theta0 = broadcast(0.05, {n})\nlet X = normal({batch}, {m})\nlet Y = normal({batch}, {n})\n"
    )
}

fn lista_text(layers: usize) -> String {
    format!(
        "solver lista(x: real[m], W: real[n, m], S: real[n, n], theta: real[n]) -> y {{\n    let b = W @ x\n    \
         state y: real[n] = soft(b, theta)\n    step y <- soft(b + S @ y, theta)\n}}\n\
         fn loss(W: real[n, m], S: real[n, n], theta: real[n], X: real[b, m], Y: real[b, n]) =\n    \
         1/2 * sumsq((unroll lista(_, W, S, theta) for {layers})(each X) - Y)\n"
    )
}

/// The programs whose sizes are watched.
pub fn standard() -> Vec<Program> {
    let sizes = (64, 256, 64);
    let program = |name: &str, precision, data: &str, text: &str, expression: &str| Program {
        name: name.to_string(),
        precision,
        data: data.to_string(),
        text: text.to_string(),
        expression: expression.to_string(),
    };
    vec![
        lista_forward(sizes, 16),
        lista_gradient(sizes, 16),
        program(
            "FISTA to its rule, batch 64",
            DType::F32,
            "let A = normal(64, 256) / 8\nlet L0 = opnorm(A)^2\nlet X = normal(64, 64)\n",
            "solver fast_ista(x: real[m], D: real[m, n], L: real, c: real) -> y {\n    \
             state y: real[n] = 0, z: real[n] = 0, a: real = 1\n    step {\n        \
             y <- soft(z - D' @ (D @ z - x) / L, c / L)\n        let a1 = (1 + sqrt(1 + 4 * a^2)) / 2\n        \
             z <- y + (a - 1) / a1 * (y - previous y)\n        a <- a1\n    }\n    \
             until norm(y - previous y) <= 1e-3 * max(1, norm(y)) within 200\n}\n",
            "fast_ista(each X, A, L0, 0.1)",
        ),
        program(
            "ridge regression, implicit gradient",
            DType::F64,
            "let X = normal(60, 8)\nlet y = X @ ones(8) + 0.5 * normal(60)\nlet T = 1 / (opnorm(X)^2 + 3)\n",
            "solver ridge_descent(X: real[n, p], y: real[n], t: real, lambda: real) -> w {\n    state w: real[p] = 0\n    \
             step w <- w - t * (X' @ (X @ w - y) + lambda * w)\n    \
             until norm(w - previous w) <= 1e-12 * max(1, norm(w))\n}\n",
            "value_and_grad(fn(l: real) = sumsq(implicit ridge_descent(X, y, T, l)))(2.0)",
        ),
        program(
            "training step, LISTA-16 by Adam",
            DType::F32,
            &format!("{}let p0 = concat(reshape(W0, 16384), reshape(S0, 65536), theta0)\n", lista_data(64, 256, 64)),
            &format!(
                "{}fn flat_loss(p: real[q], X: real[b, m], Y: real[b, n]) =\n    \
                 loss(reshape(p[0:n * m], n, m), reshape(p[n * m:n * m + n * n], n, n), p[n * m + n * n:n * m + n * n + n], X, Y)\n",
                lista_text(16)
            ),
            "(unroll adam(_, p0) for 1)(fn(p: real[82176]) = flat_loss(p, X, Y))",
        ),
        program(
            "depth 3, 1000 steps",
            DType::F64,
            "let X = normal(100, 200)\nlet y = X @ ones(200)\n",
            "solver deep_descent(X: real[n, p], y: real[n], N: int, start: real, eta: real) -> u^N - v^N {\n    \
             state u: real[p] = start, v: real[p] = start\n    step {\n        \
             let r = 2 / n * (X' @ (X @ (u^N - v^N) - y))\n        let du = r * u^(N - 1)\n        \
             v <- v + eta * N * r * v^(N - 1)\n        u <- u - eta * N * du\n    }\n}\n",
            "unroll deep_descent(X, y, 3, 0.005, 0.0001) for 1000",
        ),
        program(
            "Lotka-Volterra, 1000 steps of Runge and Kutta, value and gradient",
            DType::F64,
            "",
            "fn prey_and_predators(x: real, y: real, a: real, b: real) = (a * x - b * x * y, b * x * y - y)\n\
             fn last_state(a: real, b: real) = {\n    let h = 0.01\n    loop x = 1.0, y = 0.5 for 1000 {\n        \
             let (p1, q1) = prey_and_predators(x, y, a, b)\n        let (p2, q2) = prey_and_predators(x + h / 2 * p1, y + h / 2 * q1, a, b)\n        \
             let (p3, q3) = prey_and_predators(x + h / 2 * p2, y + h / 2 * q2, a, b)\n        \
             let (p4, q4) = prey_and_predators(x + h * p3, y + h * q3, a, b)\n        \
             x <- x + h / 6 * (p1 + 2 * p2 + 2 * p3 + p4)\n        y <- y + h / 6 * (q1 + 2 * q2 + 2 * q3 + q4)\n    }\n}\n\
             fn last_square(a: real, b: real) = { let (x, y) = last_state(a, b)\n x * x + y * y }\n",
            "value_and_grad(last_square, wrt: (a, b))(1.1, 0.4)",
        ),
    ]
}

/// A session as a script has one, with std.
pub struct World {
    sources: SourceMap,
    env: types::Env,
    session: Session,
    scope: Scope,
    pub runner: Runner,
}

struct Silent;

impl Output for Silent {
    fn line(&mut self, _text: &str) {}
    fn message(&mut self, _message: &Message) {}
}

impl World {
    /// # Panics
    /// If std does not run: a bug.
    pub fn new(precision: DType) -> World {
        let mut world = World {
            sources: SourceMap::default(),
            env: types::Env::new(),
            session: Session::new(precision, 1),
            scope: Scope::default(),
            runner: Runner::default(),
        };
        for (_, text) in stdlib::MODULES {
            world.run(text);
        }
        world
    }

    /// Checks and runs statements.
    ///
    /// # Panics
    /// If the program is wrong, with the message; so below.
    pub fn run(&mut self, text: &str) {
        let file = self.sources.add("text", None, text);
        let (module, mut diagnostics) = syntax::parse(&self.sources, file);
        diagnostics.extend(types::check_module(&mut self.env, &module));
        assert!(diagnostics.is_empty(), "{diagnostics:?}\n{text}");
        let mut out = Silent;
        let mut script = Script {
            session: self.session.clone(),
            scope: self.scope.clone(),
            runner: std::mem::take(&mut self.runner),
            sandbox: None,
            overwrite: false,
            resume: false,
            checkpoints: String::new(),
            args: Vec::new(),
            given: Vec::new(),
            log: None,
            precision_given: true,
            out: &mut out,
            trained: Vec::new(),
            run_tests: false,
            tests: Vec::new(),
        };
        let done = script.run(&module);
        self.session = script.session.clone();
        self.runner = std::mem::take(&mut script.runner);
        told(done);
    }

    /// The arrays and numbers that statements have bound, by name.
    pub fn arrays(&self) -> Vec<(String, Tensor)> {
        let bound = |name: Symbol| match self.scope.find_here(&name)? {
            Value::Tensor(tensor) => Some((name.to_string(), tensor)),
            _ => None,
        };
        self.scope.names_here().into_iter().filter_map(bound).collect()
    }

    /// An expression as a Graph with its arguments.
    pub fn lower(&mut self, expression: &str) -> (Lowered, Span) {
        let file = self.sources.add("expression", None, expression);
        let (module, diagnostics) = syntax::parse(&self.sources, file);
        assert!(diagnostics.is_empty(), "{diagnostics:?}\n{expression}");
        let [item] = &module.items[..] else { panic!("one expression: {expression}") };
        let ItemKind::Expr(e) = &item.kind else { panic!("an expression: {expression}") };
        (told(lower_expr(&mut self.session, &self.scope, e)), e.span)
    }

    /// An expression, compiled.
    pub fn prepare(&mut self, expression: &str) -> Ready {
        let (lowered, span) = self.lower(expression);
        let code = told(self.runner.prepare(&lowered.graph, span));
        Ready { code, inputs: lowered.inputs, span }
    }

    /// A program in a session of its own, compiled.
    pub fn of(program: &Program) -> (World, Ready) {
        let mut world = World::new(program.precision);
        world.run(&program.data);
        world.run(&program.text);
        let ready = world.prepare(&program.expression);
        (world, ready)
    }
}

fn told<T>(result: Res<T>) -> T {
    result.unwrap_or_else(|diagnostic| panic!("{}", diagnostic.message))
}
