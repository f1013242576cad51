//! Random programs over the whole table: native code, the evaluator and the optimizer agree in every bit, and reverse mode
//! is the transpose of forward mode.
//!
//! `DP_PROGRAMS=100000 cargo test -p dp-compiler --release random_programs -- --nocapture` runs as many as wished, from the
//! seed `DP_PROGRAMS_FROM` on.

use super::shrink::{Program, shrink};
use crate::ad::{jvp_graph, vjp_graph};
use crate::codegen::compile;
use crate::ir::eval::eval;
use crate::ir::graph::{Graph, Op};
use crate::ir::text::print;
use crate::ir::verify::verify;
use crate::opt::dce::dce;
use crate::opt::optimize;
use crate::prims;
use crate::prims::sample::graphs::random_graph;
use crate::prims::sample::{Rng, same};
use dp_runtime::tensor::{DType, Tensor};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many programs `cargo test` runs.
const PROGRAMS: u64 = 2000;

/// Bounds of the dot product test in 64 and in 32 bits, relative to the sum of the magnitudes of the products.
const DOT_BOUNDS: [f64; 2] = [1e-14, 5e-6];

/// What was compared.
#[derive(Default)]
struct Counts {
    programs: u64,
    equations: u64,
    /// Native code against the evaluator.
    native: u64,
    optimized: u64,
    /// The dot product test.
    reversed: u64,
    /// Those of it with a derivative that is not zero.
    flowing: u64,
    /// The largest error of the dot product test in 64 and in 32 bits, relative to the sum of magnitudes.
    worst: [f64; 2],
    /// How often each row was used.
    rows: HashMap<&'static str, u64>,
}

fn program(seed: u64) -> Program {
    let mut rng = Rng::new(seed);
    let size = rng.range(1, 24);
    random_graph(&mut rng, size)
}

/// Runs a program in all ways; why they disagree, if they do.
fn compare(program: &Program, counts: &mut Counts) -> Result<(), String> {
    let (graph, args) = program;
    verify(graph)?;
    let values = run("the program", graph, args)?;
    counts.programs += 1;
    counts.equations += graph.count_eqns() as u64;
    let optimized = optimize(graph);
    agree("the optimized program", &values, &run("the optimized program", &optimized, args)?)?;
    counts.optimized += 1;
    agree("native code", &values, &native("native code", &optimized, args)?)?;
    counts.native += 1;

    let active: Vec<bool> = args.iter().map(|arg| arg.dtype().is_float()).collect();
    if !active.contains(&true) || values.iter().all(|value| !value.dtype().is_float()) {
        return Ok(());
    }
    let mut rng = Rng::new(1);
    let jvp = jvp_graph(graph, &active).map_err(|_| "no derivative".to_string())?;
    let vjp = vjp_graph(graph, &active).map_err(|_| "no derivative".to_string())?;
    verify(&jvp)?;
    verify(&vjp)?;
    let direction = directions(&mut rng, args);
    let cotangents = directions(&mut rng, &values);
    let forward_args = [args.as_slice(), &direction].concat();
    let reverse_args = [args.as_slice(), &cotangents].concat();
    let forward = run("forward mode", &jvp, &forward_args)?;
    let reverse = run("reverse mode", &vjp, &reverse_args)?;
    let (primal, tangents) = forward.split_at(values.len());
    let (again, gradients) = reverse.split_at(values.len());
    agree("the values of forward mode", &values, primal)?;
    agree("the values of reverse mode", &values, again)?;

    let (left, right) = (products(&cotangents, tangents), products(gradients, &direction));
    let (a, b): (f64, f64) = (left.iter().sum(), right.iter().sum());
    let terms: f64 = left.iter().chain(&right).map(|v| v.abs()).sum();
    let precision = usize::from(args.iter().any(|arg| arg.dtype() == DType::F32));
    let error = (a - b).abs() / (1.0 + terms);
    if error.is_nan() || error > DOT_BOUNDS[precision] {
        return Err(format!("forward mode gives {a}, reverse mode {b}\nreverse mode is {}", print(&vjp)));
    }
    counts.worst[precision] = counts.worst[precision].max(error);
    counts.reversed += 1;
    counts.flowing += u64::from(terms > 0.0);

    // Derivatives are programs too.
    let optimized = optimize(&vjp);
    agree("optimized reverse mode", &reverse, &run("optimized reverse mode", &optimized, &reverse_args)?)?;
    counts.optimized += 1;
    agree("native reverse mode", &reverse, &native("native reverse mode", &optimized, &reverse_args)?)?;
    counts.native += 1;
    Ok(())
}

fn run(what: &str, graph: &Graph, args: &[Tensor]) -> Result<Vec<Tensor>, String> {
    eval(graph, args).map_err(|fault| format!("{what} faults: {fault:?}"))
}

fn native(what: &str, graph: &Graph, args: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let executable = compile(graph).map_err(|error| format!("{what} cannot be compiled: {error}"))?;
    executable.run(args).map_err(|fault| format!("{what} faults: {fault:?}"))
}

fn agree(what: &str, expected: &[Tensor], found: &[Tensor]) -> Result<(), String> {
    match expected.iter().zip(found).position(|(a, b)| !same(a, b)) {
        None if expected.len() == found.len() => Ok(()),
        None => Err(format!("{what} gives {} results, not {}", found.len(), expected.len())),
        Some(i) => Err(format!("{what}, result {i}: {:?}\nis not {:?}", found[i], expected[i])),
    }
}

/// A random direction for each float.
fn directions(rng: &mut Rng, of: &[Tensor]) -> Vec<Tensor> {
    let floats = of.iter().filter(|x| x.dtype().is_float());
    floats.map(|x| rng.tensor_in(x.dtype(), x.shape(), -1.0, 1.0)).collect()
}

fn products(a: &[Tensor], b: &[Tensor]) -> Vec<f64> {
    let numbers = |list: &[Tensor]| -> Vec<f64> {
        list.iter().filter(|x| x.dtype().is_float()).flat_map(Tensor::to_f64_vec).collect()
    };
    numbers(a).iter().zip(numbers(b)).map(|(x, y)| x * y).collect()
}

/// `compare`, with a panic as one more way to fail.
fn complaint(program: &Program, counts: &mut Counts) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| compare(program, counts))) {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Some(text.or(panic.downcast_ref::<&str>().map(|t| t.to_string())).unwrap_or("it panics".to_string()))
        }
    }
}

/// The failing program of a seed, made small, as text.
fn report(seed: u64, why: &str) -> String {
    let fails = |program: &Program| complaint(program, &mut Counts::default()).is_some();
    let (graph, args) = shrink(program(seed), &fails);
    let small = complaint(&(graph.clone(), args.clone()), &mut Counts::default()).unwrap_or_default();
    format!("seed {seed}: {why}\n\nmade small: {small}\non {args:?}\n{}", print(&graph))
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

fn count_rows(graph: &Graph, rows: &mut HashMap<&'static str, u64>) {
    for eqn in &graph.eqns {
        *rows.entry(prims::name(&eqn.op)).or_default() += 1;
        eqn.op.subgraphs().into_iter().for_each(|body| count_rows(body, rows));
    }
}

#[test]
fn random_programs_mean_the_same_in_every_way() {
    let (count, from) = (number("DP_PROGRAMS", PROGRAMS), number("DP_PROGRAMS_FROM", 0));
    let next = AtomicU64::new(from);
    let (total, failures) = (Mutex::new(Counts::default()), Mutex::new(Vec::new()));
    let work = || {
        let mut counts = Counts::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count || failures.lock().expect("not poisoned").len() >= 3 {
                break;
            }
            let program = program(seed);
            count_rows(&program.0, &mut counts.rows);
            if let Some(why) = complaint(&program, &mut counts) {
                failures.lock().expect("not poisoned").push((seed, why));
            }
        }
        let mut total = total.lock().expect("not poisoned");
        total.programs += counts.programs;
        total.equations += counts.equations;
        total.native += counts.native;
        total.optimized += counts.optimized;
        total.reversed += counts.reversed;
        total.flowing += counts.flowing;
        for (worst, error) in total.worst.iter_mut().zip(counts.worst) {
            *worst = worst.max(error);
        }
        for (row, uses) in counts.rows {
            *total.rows.entry(row).or_default() += uses;
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                std::thread::Builder::new().stack_size(64 << 20).spawn_scoped(scope, work).expect("a thread starts")
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().expect("failures are caught"));
    });
    let mut failures = failures.into_inner().expect("not poisoned");
    failures.sort();
    let reports: Vec<String> = failures.iter().map(|(seed, why)| report(*seed, why)).collect();
    assert!(reports.is_empty(), "{} programs fail\n\n{}", reports.len(), reports.join("\n\n"));

    let total = total.into_inner().expect("not poisoned");
    println!(
        "{} random programs of {} equations: {} comparisons of native code with the evaluator, {} of optimized with not \
         optimized, {} of reverse with forward mode ({} not zero, worst {:.1e} in f64, {:.1e} in f32)",
        total.programs,
        total.equations,
        total.native,
        total.optimized,
        total.reversed,
        total.flowing,
        total.worst[0],
        total.worst[1]
    );
    assert_eq!(total.programs, count);
    if count >= PROGRAMS {
        let unused: Vec<&str> =
            prims::rows().iter().map(|row| row.name).filter(|name| !total.rows.contains_key(name)).collect();
        assert!(unused.is_empty(), "no program uses {unused:?}");
        assert!(4 * total.flowing > 3 * count, "{} programs have derivatives", total.flowing);
    }
}

#[test]
fn a_failing_program_becomes_small() {
    // "Fails" if a sine is left that is needed, at any depth.
    fn has_sine(graph: &Graph) -> bool {
        graph.eqns.iter().any(|eqn| matches!(eqn.op, Op::Sin) || eqn.op.subgraphs().iter().any(|body| has_sine(body)))
    }
    let (mut shrunk, mut before, mut after) = (0, 0, 0);
    for seed in 0..30 {
        let large = program(seed);
        if !has_sine(&dce(&large.0)) {
            continue;
        }
        before += large.0.count_eqns();
        let (graph, args) = shrink(large, &|(graph, _)| has_sine(&dce(graph)));
        verify(&graph).expect("still well typed");
        run("the small program", &graph, &args).expect("it still runs");
        assert!(has_sine(&dce(&graph)));
        after += graph.count_eqns();
        shrunk += 1;
    }
    assert!(3 * after < before, "{before} equations became {after}");
    assert!(shrunk >= 3, "{shrunk} programs had a sine");
}
