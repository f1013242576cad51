//! LISTA with 16 layers, value and gradient in `W`, `S` and the threshold: time from source text to the first result, and the
//! steady time of one call. Best and median of many samples. Run: `cargo bench --bench lista [-- m n batch]`.

use dp_compiler::lower::value::Scope;
use dp_compiler::lower::{Session, lower_expr};
use dp_compiler::run::{Message, Runner};
use dp_compiler::script::{Output, Script};
use dp_compiler::source::SourceMap;
use dp_compiler::syntax::ast::ItemKind;
use dp_compiler::{stdlib, syntax, types};
use dp_runtime::tensor::DType;
use std::time::{Duration, Instant};

struct Silent;

impl Output for Silent {
    fn line(&mut self, _text: &str) {}
    fn message(&mut self, _message: &Message) {}
}

fn main() {
    std::thread::Builder::new().stack_size(256 << 20).spawn(run).expect("a thread").join().expect("the benchmark");
}

fn run() {
    let sizes: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let (m, n, batch) = match sizes[..] {
        [m, n, batch, ..] => (m, n, batch),
        _ => (64, 256, 64),
    };
    let mut first = Vec::new();
    for _ in 0..9 {
        first.push(source_to_gradient(m, n, batch, None));
    }
    report(&format!("m{m} n{n} B{batch} source text to first value and gradient"), &mut first);
    let mut steady = Vec::new();
    source_to_gradient(m, n, batch, Some(&mut steady));
    report(&format!("m{m} n{n} B{batch} value and gradient"), &mut steady);
    for layers in [10, 100, 1000] {
        let (equations, bytes) = size(m, n, batch, layers);
        println!("K = {layers}: {equations} equations, {bytes} bytes of code");
    }
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort();
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    println!(
        "{what}: best {:.3} ms, median {:.3} ms ({} samples)",
        ms(times[0]),
        ms(times[times.len() / 2]),
        times.len()
    );
}

fn setup(m: usize, n: usize, batch: usize) -> String {
    format!(
        "let A = normal({m}, {n}) / sqrt({m})\nlet L = opnorm(A)^2\nlet W0 = A' / L\nlet S0 = eye({n}) - A' @ A / L\n\
         let X = normal({batch}, {m})\nlet Y = normal({batch}, {n})\n"
    )
}

/// The program under test, as a user would write it.
fn program(layers: usize) -> String {
    format!(
        "solver lista(x: real[m], W: real[n, m], S: real[n, n], theta: real[n]) -> y {{\n    let b = W @ x\n    \
         state y: real[n] = soft(b, theta)\n    step y <- soft(b + S @ y, theta)\n}}\n\
         fn loss(W: real[n, m], S: real[n, n], theta: real[n], X: real[b, m], Y: real[b, n]) =\n    \
         1/2 * sumsq((unroll lista(_, W, S, theta) for {layers})(each X) - Y)\n"
    )
}

const GRADIENT: &str = "value_and_grad(loss, wrt: (W, S, theta))(W0, S0, broadcast(0.05, size(S0, 0)), X, Y)";

fn size(m: usize, n: usize, batch: usize, layers: usize) -> (usize, usize) {
    let mut world = World::new(m, n, batch);
    world.check_and_run(&program(layers));
    let before = world.runner.timings.clone();
    world.check_and_run(&format!("let g = {GRADIENT}"));
    (world.runner.timings.equations - before.equations, world.runner.timings.code_bytes - before.code_bytes)
}

fn source_to_gradient(m: usize, n: usize, batch: usize, steady: Option<&mut Vec<Duration>>) -> Duration {
    let mut world = World::new(m, n, batch);
    let start = Instant::now();
    world.check_and_run(&program(16));
    world.check_and_run(&format!("let g = {GRADIENT}"));
    let time = start.elapsed();
    if let Some(steady) = steady {
        let file = world.sources.add("expr", None, GRADIENT);
        let (module, _) = syntax::parse(&world.sources, file);
        let ItemKind::Expr(e) = &module.items[0].kind else { panic!("an expression") };
        let lowered = lower_expr(&mut world.session, &world.scope, e).unwrap_or_else(|d| panic!("{}", d.message));
        let prepared = world.runner.prepare(&lowered.graph, e.span).unwrap_or_else(|d| panic!("{}", d.message));
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(3) || steady.len() < 20 {
            let start = Instant::now();
            world.runner.call(&prepared, &lowered.inputs, e.span).unwrap_or_else(|d| panic!("{}", d.message));
            steady.push(start.elapsed());
        }
    }
    time
}

/// A session as the driver makes it.
struct World {
    sources: SourceMap,
    env: types::Env,
    session: Session,
    scope: Scope,
    runner: Runner,
}

impl World {
    fn new(m: usize, n: usize, batch: usize) -> World {
        let mut world = World {
            sources: SourceMap::default(),
            env: types::Env::new(),
            session: Session::new(DType::F32, 1),
            scope: Scope::default(),
            runner: Runner::default(),
        };
        for (_, text) in stdlib::MODULES {
            world.check_and_run(text);
        }
        world.check_and_run(&setup(m, n, batch));
        world
    }

    fn check_and_run(&mut self, text: &str) {
        let file = self.sources.add("text", None, text);
        let (module, mut diagnostics) = syntax::parse(&self.sources, file);
        diagnostics.extend(types::check_module(&mut self.env, &module));
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
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
        script.run(&module).unwrap_or_else(|d| panic!("{}", d.message));
        self.session = script.session.clone();
        self.runner = std::mem::take(&mut script.runner);
    }
}
