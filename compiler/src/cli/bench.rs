//! `dp bench`: the times of groups of work, best and median of many samples. On one thread unless told otherwise.

mod problems;
mod save;

use super::terminal::Terminal;
use dp_compiler::measure::programs::PUBLISHED;
use dp_compiler::measure::{self, Program, Ready, World};
use dp_runtime::pool;
use dp_runtime::tensor::DType;
use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

/// A group of work and what prints it.
type Group = (&'static str, &'static str, fn(&Settings));

const GROUPS: &[Group] = &[
    ("first", "from source text to the first value and gradient", first),
    ("lista", "LISTA with 16 layers: forward, value and gradient", lista),
    ("ode", "Lotka-Volterra, 1000 steps: value and gradient of a loop of scalars", ode),
    ("elementwise", "chains over arrays of 4096 elements", elementwise),
    ("reduce", "sums of chains over a million elements", reduce),
    ("products", "matrix products, f32 and f64", products),
    ("vector", "products of a matrix and a vector, both ways", vector),
    ("programs", "the programs of tests/programs: value, derivative, their ratio, time from text to code", programs),
    ("call", "one call of a compiled function", call),
    ("depth", "gradient descent on a deep factorization, 1000 steps", depth),
    ("conv", "convolutions: an image and a bank of filters, layers, and their gradients", problems::convolutions),
    ("tnrd", "a stage of trained diffusion: forward, value and gradient", problems::diffusion),
    ("kmeans", "the cost of k-means: value, gradient, second derivative", problems::clusters),
    ("admm", "ADMM on total variation, 50 passes: forward, value and gradient", problems::splitting),
    ("coding", "convolutional sparse coding, 10 passes: forward, value and gradient", problems::coding),
    ("sizes", "equations, code and intermediate values of LISTA with 10, 100 and 1000 layers", sizes),
];

/// How to measure.
pub struct Settings {
    /// For each line.
    pub time: Duration,
    /// Lines of JSON in place of a table.
    pub json: bool,
    /// The programs of the lines are put here and not measured.
    collected: Option<RefCell<Vec<Program>>>,
}

impl Settings {
    /// True if the program of a line is wanted, not its time; it is noted.
    fn collects(&self, program: &Program) -> bool {
        if let Some(list) = &self.collected {
            list.borrow_mut().push(program.clone());
        }
        self.collected.is_some()
    }
}

/// Prints the times of the named groups, or of all; with a folder, writes the data and results of their lines there instead.
///
/// # Errors
/// An unknown name: the names that there are. A file that cannot be written.
pub fn bench(groups: &[String], threads: usize, seconds: f64, json: bool, folder: Option<&Path>) -> Result<(), String> {
    for name in groups {
        if GROUPS.iter().all(|(known, _, _)| known != name) {
            let list: Vec<String> = GROUPS.iter().map(|(name, what, _)| format!("  {name:12} {what}")).collect();
            return Err(format!("there is no group `{name}`; the groups are\n{}", list.join("\n")));
        }
    }
    pool::set_threads(threads.max(1));
    let time = Duration::from_secs_f64(seconds.clamp(0.01, 3600.0));
    let settings = Settings { time, json, collected: folder.map(|_| RefCell::default()) };
    if !json && folder.is_none() {
        say(&format!("{:72} {:>12} {:>12} {:>9}", "", "best", "median", "samples"));
    }
    for (name, _, run) in GROUPS {
        if groups.is_empty() || groups.iter().any(|group| group == name) {
            run(&settings);
        }
    }
    if let (Some(list), Some(folder)) = (settings.collected, folder) {
        save::save(&list.into_inner(), folder)?;
    }
    Ok(())
}

/// A line of output; nobody reading any more ends the command.
fn say(line: &str) {
    Terminal::new().print(&format!("{line}\n"));
}

fn show(time: Duration) -> String {
    match time.as_nanos() {
        0..10_000 => format!("{} ns", time.as_nanos()),
        10_000..10_000_000 => format!("{:.2} us", time.as_secs_f64() * 1e6),
        _ => format!("{:.2} ms", time.as_secs_f64() * 1e3),
    }
}

fn line(what: &str, mut times: Vec<Duration>, flops: Option<f64>, settings: &Settings) {
    times.sort();
    let (best, median) = (times[0], times[times.len() / 2]);
    if settings.json {
        let (best, median) = (best.as_secs_f64(), median.as_secs_f64());
        say(&format!(
            "{}",
            serde_json::json!({ "work": what, "best": best, "median": median, "samples": times.len() })
        ));
        return;
    }
    let rate = flops.map_or(String::new(), |n| format!("  {:.1} Gflop/s", n / best.as_secs_f64() * 1e-9));
    say(&format!("{what:72} {:>12} {:>12} {:>9}{rate}", show(best), show(median), times.len()));
}

/// Times of single calls; very short ones are averaged over a batch of calls.
fn steady(ready: &Ready, settings: &Settings) -> Vec<Duration> {
    let code = ready.code.executable().expect("it was compiled");
    let mut outs = Vec::new();
    let mut call = |count: u32| {
        let start = Instant::now();
        for _ in 0..count {
            code.run_into(&ready.inputs, &mut outs, &mut |_| {}).unwrap_or_else(|fault| panic!("{fault:?}"));
        }
        start.elapsed() / count
    };
    call(1);
    let batch = (20_000 / call(1).as_nanos().max(1)).clamp(1, 1000) as u32;
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < settings.time || times.len() < 5 {
        times.push(call(batch));
    }
    times
}

/// The time of a program, and in lines of JSON the bytes of its intermediate values.
fn measured(program: &Program, flops: Option<f64>, settings: &Settings) {
    if settings.collects(program) {
        return;
    }
    let (_, ready) = World::of(program);
    if settings.json {
        let code = ready.code.executable().expect("it was compiled");
        let (arena, packed) = (code.arena_bytes(), code.packed_bytes());
        say(&format!("{}", serde_json::json!({ "work": program.name, "arena": arena, "packed": packed })));
    }
    line(&program.name, steady(&ready, settings), flops, settings);
}

fn program(name: &str, precision: DType, data: &str, text: &str, expression: &str) -> Program {
    let [name, data, text, expression] = [name, data, text, expression].map(str::to_string);
    Program { name, precision, data, text, expression }
}

fn standard(part: &str) -> Program {
    measure::standard().into_iter().find(|program| program.name.contains(part)).expect("a standard program")
}

fn first(settings: &Settings) {
    for program in [measure::lista_gradient((64, 256, 64), 16), standard("Lotka")] {
        let program = Program { name: format!("first result: {}", program.name), ..program };
        if settings.collects(&program) {
            continue;
        }
        let (begin, mut times) = (Instant::now(), Vec::new());
        while begin.elapsed() < settings.time || times.len() < 5 {
            let mut world = World::new(program.precision);
            world.run(&program.data);
            let start = Instant::now();
            world.run(&program.text);
            world.run(&format!("let g = {}", program.expression));
            times.push(start.elapsed());
        }
        line(&program.name, times, None, settings);
    }
}

fn lista(settings: &Settings) {
    for (m, n, batch) in [(64, 256, 64), (250, 500, 64), (64, 256, 1)] {
        let flops = (2 * batch * n * (m + 16 * n)) as f64;
        measured(&measure::lista_forward((m, n, batch), 16), Some(flops), settings);
        measured(&measure::lista_gradient((m, n, batch), 16), Some(3.0 * flops), settings);
    }
}

fn ode(settings: &Settings) {
    measured(&standard("Lotka"), None, settings);
}

fn depth(settings: &Settings) {
    measured(&standard("depth"), None, settings);
}

fn elementwise(settings: &Settings) {
    for precision in [DType::F32, DType::F64] {
        for (name, body) in [
            ("soft threshold", "soft(x, 0.1)"),
            ("exp", "exp(x)"),
            ("tanh", "tanh(x)"),
            ("log", "log(1 + x * x)"),
            ("a chain of ten", "x * y + 0.5 * x - max(y, x) * 0.25 + abs(x - y) * min(x, 0.5)"),
        ] {
            let name = format!("{name}, {}, 4096, 1000 passes", precision.name());
            let text =
                format!("fn passes(start: real[n], y: real[n]) = loop x = start for 1000 {{ x <- 0.25 * ({body}) }}\n");
            let data = "let x = normal(4096)\nlet y = normal(4096)\n";
            measured(&program(&name, precision, data, &text, "passes(x, y)"), None, settings);
        }
    }
}

fn reduce(settings: &Settings) {
    let data = "let x = normal(1000000)\nlet y = normal(1000000)\nlet X = normal(1000, 1000)\n";
    for (name, body) in [
        ("sum of squares", "sum(x * x)"),
        ("sum of products with a shared difference", "sum((x - y) * (x - y) / (1 + abs(x - y)))"),
        ("three sums of one chain", "[sum(x * y), sum(abs(x * y)), max(x * y)]"),
        ("sums of squares of columns", "sum(X * X, axis: 0)"),
        ("sums of squares of rows", "sum(X * X, axis: 1)"),
    ] {
        measured(&program(&format!("{name}, f32, a million"), DType::F32, data, "", body), None, settings);
    }
}

fn products(settings: &Settings) {
    for precision in [DType::F32, DType::F64] {
        for n in [64, 128, 256, 512, 1024] {
            let name = format!("{n} x {n} x {n}, {}", precision.name());
            let data = format!("let A = normal({n}, {n})\nlet B = normal({n}, {n})\n");
            measured(&program(&name, precision, &data, "", "A @ B"), Some(2.0 * (n * n * n) as f64), settings);
        }
    }
}

fn vector(settings: &Settings) {
    for n in [64, 128, 256, 512, 1024] {
        let data = format!("let A = normal({n}, {n})\nlet x = normal({n})\n");
        for (form, body) in [("A x", "A @ x"), ("A' x", "A' @ x")] {
            let name = format!("{form}, {n} x {n}, f32");
            measured(&program(&name, DType::F32, &data, "", body), Some(2.0 * (n * n) as f64), settings);
        }
    }
}

/// A line a program: best times of value and derivative, how many values the derivative costs, and the time to lower, optimize and compile it.
fn programs(settings: &Settings) {
    if settings.collected.is_some() {
        return; // These are texts with data of their own.
    }
    if !settings.json {
        say(&format!(
            "{:48} {:>12} {:>12} {:>9} {:>12}",
            "published programs", "value", "derivative", "ratio", "to code"
        ));
    }
    for program in PUBLISHED {
        let mut world = World::new(DType::F64);
        world.run(program.text);
        let values = steady(&world.prepare(program.value), settings);
        let start = Instant::now();
        let ready = world.prepare(program.derivative);
        let to_code = start.elapsed();
        let derivatives = steady(&ready, settings);
        if settings.json {
            line(&format!("{}: value", program.name), values, None, settings);
            line(&format!("{}: derivative", program.name), derivatives, None, settings);
            line(&format!("{}: to code", program.name), vec![to_code], None, settings);
            continue;
        }
        let best = |times: Vec<Duration>| times.into_iter().min().expect("there are samples");
        let (value, derivative) = (best(values), best(derivatives));
        let ratio = derivative.as_secs_f64() / value.as_secs_f64();
        let [value, derivative, to_code] = [value, derivative, to_code].map(show);
        say(&format!("{:48} {value:>12} {derivative:>12} {ratio:>9.2} {to_code:>12}", program.name));
    }
}

fn call(settings: &Settings) {
    measured(&program("one addition", DType::F64, "let x = normal(1)[0]\n", "", "x + x"), None, settings);
}

/// Layers are passes of one loop: the code does not grow with them.
fn sizes(settings: &Settings) {
    if settings.collected.is_some() {
        return;
    }
    for layers in [10, 100, 1000] {
        let program = measure::lista_gradient((64, 256, 64), layers);
        let (_, ready) = World::of(&program);
        let code = ready.code.executable().expect("it was compiled");
        say(&format!(
            "{}: {} equations, {} bytes of code, {} bytes of intermediate values, of them {} packed operands",
            program.name,
            ready.code.graph().count_eqns(),
            code.code_bytes(),
            code.arena_bytes(),
            code.packed_bytes()
        ));
    }
}
