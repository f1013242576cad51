//! The errors of derivatives in figures: for each way to check one and each precision the number of checks and the worst
//! error over the whole table, held to bounds. `cargo test -p dp-compiler errors_of -- --nocapture` prints them.

use super::mistakes::vector;
use crate::ad::batch::batch;
use crate::ad::tests::{
    differences, directions, distance, floats, graph_of, is_smooth_at, lane, scalarized, stack, values,
};
use crate::ad::{grad_graph, jvp_graph, vjp_graph};
use crate::codegen::compile;
use crate::ir::eval::eval;
use crate::ir::graph::{Graph, Op};
use crate::prims;
use crate::prims::sample::{Rng, Use, same};
use dp_runtime::fault::FaultKind;
use dp_runtime::tensor::{DType, Tensor};

/// One way to check, in one precision.
struct Class {
    name: &'static str,
    precision: DType,
    bound: f64,
    checks: usize,
    worst: f64,
    row: &'static str,
}

impl Class {
    fn new(name: &'static str, precision: DType, bound: f64) -> Class {
        Class { name, precision, bound, checks: 0, worst: 0.0, row: "" }
    }

    fn add(&mut self, row: &'static str, error: f64) {
        self.checks += 1;
        if error > self.worst || error.is_nan() {
            (self.worst, self.row) = (if error.is_nan() { f64::INFINITY } else { error }, row);
        }
    }
}

fn report(classes: &[Class]) {
    let bits = |precision| if precision == DType::F32 { 32 } else { 64 };
    for class in classes {
        println!(
            "{:46} {} bits {:6} checks, worst {:8.1e} in {} (bound {:.0e})",
            class.name,
            bits(class.precision),
            class.checks,
            class.worst,
            if class.row.is_empty() { "none" } else { class.row },
            class.bound
        );
    }
    println!("{} checks", classes.iter().map(|class| class.checks).sum::<usize>());
    for class in classes {
        assert!(class.checks > 0, "{}: nothing was checked", class.name);
        assert!(class.worst <= class.bound, "{}: {:e} in {}", class.name, class.worst, class.row);
    }
}

fn uses(row: &prims::Prim, precision: DType, count: usize) -> Vec<Use> {
    let mut rng = Rng::new(31);
    let other = if precision == DType::F64 { DType::F32 } else { DType::F64 };
    let mut found = Vec::new();
    for _ in 0..300 {
        let (op, args) = (row.sample)(&mut rng);
        if found.len() < count
            && floats(&args).contains(&true)
            && graph_of(&op, &args).types.iter().all(|ty| ty.dtype != other)
        {
            found.push((op, args));
        }
    }
    found
}

fn run(graph: &Graph, args: &[Tensor]) -> Vec<Tensor> {
    eval(graph, args).expect("samples do not fault")
}

/// `|<ct, t> - <g, d>|` relative to the sum of the magnitudes.
fn dot_error(ct: &[Tensor], tangents: &[Tensor], gradients: &[Tensor], direction: &[Tensor]) -> f64 {
    let terms =
        |a: &[Tensor], b: &[Tensor]| -> Vec<f64> { values(a).iter().zip(values(b)).map(|(x, y)| x * y).collect() };
    let (left, right) = (terms(ct, tangents), terms(gradients, direction));
    let size: f64 = left.iter().chain(&right).map(|v| v.abs()).sum();
    (left.iter().sum::<f64>() - right.iter().sum::<f64>()).abs() / size.max(1e-3)
}

/// Forward and reverse mode of a Graph at a place: its results, tangents and gradients.
struct Both {
    jvp: Graph,
    vjp: Graph,
    forward_args: Vec<Tensor>,
    reverse_args: Vec<Tensor>,
    direction: Vec<Tensor>,
    tangents: Vec<Tensor>,
    error: f64,
}

fn both(graph: &Graph, args: &[Tensor], rng: &mut Rng) -> Both {
    let active = floats(args);
    let jvp = jvp_graph(graph, &active).expect("floats have derivatives");
    let vjp = vjp_graph(graph, &active).expect("floats have derivatives");
    let direction = directions(rng, args);
    let forward_args = [args, &direction].concat();
    let mut primal = run(&jvp, &forward_args);
    let tangents = primal.split_off(graph.results.len());
    let cotangents = directions(rng, &primal);
    let reverse_args = [args, &cotangents].concat();
    let gradients = run(&vjp, &reverse_args).split_off(graph.results.len());
    let error = dot_error(&cotangents, &tangents, &gradients, &direction);
    Both { jvp, vjp, forward_args, reverse_args, direction, tangents, error }
}

/// How many results of native code differ from the evaluator's in a bit.
fn other_bits(graph: &Graph, args: &[Tensor]) -> f64 {
    let found = compile(graph).expect("it can be compiled").run(args).expect("samples do not fault");
    found.iter().zip(run(graph, args)).filter(|(a, b)| !same(a, b)).count() as f64
}

#[test]
fn errors_of_derivatives_over_the_table() {
    const F64: DType = DType::F64;
    const F32: DType = DType::F32;
    let mut classes = [
        Class::new("forward against differences", F64, 1e-7),
        Class::new("gradient's derivative against differences", F64, 1e-6),
        Class::new("forward in 32 against 64 bits", F32, 1e-3),
        Class::new("reverse against forward", F64, 1e-13),
        Class::new("reverse against forward", F32, 1e-5),
        Class::new("second order, reverse against forward", F64, 1e-12),
        Class::new("second order, reverse against forward", F32, 1e-4),
        Class::new("batched gradient against one by one", F64, 1e-12),
        Class::new("batched gradient against one by one", F32, 1e-4),
        Class::new("native derivatives, results with other bits", F64, 0.0),
        Class::new("native derivatives, results with other bits", F32, 0.0),
    ];
    let mut rng = Rng::new(41);
    // The one row whose derivative is not that of its values.
    for row in prims::rows().iter().filter(|row| row.name != "stop_gradient") {
        for (precision, offset) in [(F64, 0), (F32, 1)] {
            for (op, args) in uses(row, precision, 6) {
                let graph = graph_of(&op, &args);
                let at = both(&graph, &args, &mut rng);
                classes[3 + offset].add(row.name, at.error);
                let gradient = grad_graph(&scalarized(&graph, &mut rng), &floats(&args)).expect("a gradient");
                let second = both(&gradient, &args, &mut rng);
                classes[5 + offset].add(row.name, second.error);
                let native = other_bits(&at.jvp, &at.forward_args) + other_bits(&at.vjp, &at.reverse_args);
                classes[9 + offset].add(row.name, native + other_bits(&second.vjp, &second.reverse_args));
                classes[7 + offset].add(row.name, batch_error(&gradient, &args, &mut rng));
                if precision == F64 && is_smooth_at(&graph, &args) {
                    let compare = |graph: &Graph, at: &Both| -> Option<f64> {
                        let expected = differences(graph, &args, &at.direction, 1e-3);
                        let unsure = distance(&expected, &differences(graph, &args, &at.direction, 2e-3));
                        (unsure < 1e-7).then(|| distance(&values(&at.tangents), &expected))
                    };
                    let (first, next) = (compare(&graph, &at), compare(&gradient, &second));
                    first.into_iter().for_each(|error| classes[0].add(row.name, error));
                    next.into_iter().for_each(|error| classes[1].add(row.name, error));
                }
                if precision == F32
                    && let Some(exact) = in_64_bits(&op, &at.forward_args, args.len())
                {
                    classes[2].add(row.name, distance(&values(&at.tangents), &exact));
                }
            }
        }
    }
    report(&classes);
}

/// Do the derivatives exist? Where a decomposition is not smooth they are faults, in native code too.
fn exist(graph: &Graph, args: &[Tensor]) -> bool {
    let active = floats(args);
    let mut rng = Rng::new(47);
    let primal = run(graph, args);
    let graphs = [
        (jvp_graph(graph, &active).expect("floats have derivatives"), directions(&mut rng, args)),
        (vjp_graph(graph, &active).expect("floats have derivatives"), directions(&mut rng, &primal)),
    ];
    graphs.iter().all(|(graph, moved)| {
        let args = [args, moved].concat();
        match eval(graph, &args) {
            Ok(_) => true,
            Err(fault) => {
                let known = matches!(fault.kind, FaultKind::Degenerate { .. } | FaultKind::Singular);
                assert!(known, "{fault:?}");
                assert!(compile(graph).expect("it can be compiled").run(&args).is_err());
                false
            }
        }
    })
}

#[test]
fn errors_of_derivatives_at_awkward_points() {
    let names = ["native derivatives there, results with other bits", "reverse against forward where finite"];
    let mut classes = [
        Class::new(names[0], DType::F64, 0.0),
        Class::new(names[0], DType::F32, 0.0),
        Class::new(names[1], DType::F64, 1e-12),
        Class::new(names[1], DType::F32, 1e-4),
    ];
    let mut rng = Rng::new(43);
    for row in prims::rows() {
        for (op, args) in (row.special)() {
            if !floats(&args).contains(&true) {
                continue;
            }
            let graph = graph_of(&op, &args);
            let precision = usize::from(graph.types.iter().any(|ty| ty.dtype == DType::F32));
            if !exist(&graph, &args) {
                continue;
            }
            let at = both(&graph, &args, &mut rng);
            let bits = other_bits(&at.jvp, &at.forward_args) + other_bits(&at.vjp, &at.reverse_args);
            classes[precision].add(row.name, bits);
            // Elsewhere infinite slopes meet, whose sums are not numbers.
            if at.error.is_finite() {
                classes[2 + precision].add(row.name, at.error);
            }
        }
    }
    report(&classes);
}

/// The tangents of an operation in 64 bits, at operands and tangents of 32 bits, if it also takes 64.
fn in_64_bits(op: &Op, forward_args: &[Tensor], operands: usize) -> Option<Vec<f64>> {
    let wide: Vec<Tensor> =
        forward_args.iter().map(|x| if x.dtype().is_float() { x.convert(DType::F64) } else { x.clone() }).collect();
    let types: Vec<_> = wide[..operands].iter().map(crate::ir::graph::Type::of).collect();
    let outs = prims::result(op, &types.iter().collect::<Vec<_>>()).ok()?;
    if outs.iter().any(|ty| ty.dtype == DType::F32) {
        return None;
    }
    let graph = graph_of(op, &wide[..operands]);
    let jvp = jvp_graph(&graph, &floats(&wide[..operands])).ok()?;
    Some(values(&run(&jvp, &wide)[graph.results.len()..]))
}

/// A batched Graph of three lanes against its lanes.
fn batch_error(graph: &Graph, args: &[Tensor], rng: &mut Rng) -> f64 {
    let mut near = |x: &Tensor| {
        if !x.dtype().is_float() {
            return x.clone();
        }
        let data = x.to_f64_vec().iter().map(|v| v * rng.real(0.99, 1.01)).collect();
        Tensor::from_vec::<f64>(x.shape(), data).convert(x.dtype())
    };
    let lanes: Vec<Vec<Tensor>> = (0..3).map(|_| args.iter().map(&mut near).collect()).collect();
    let (batched, flags) = batch(graph, &vec![true; args.len()], 3);
    let stacked: Vec<Tensor> =
        (0..args.len()).map(|i| stack(&lanes.iter().map(|lane| lane[i].clone()).collect::<Vec<_>>())).collect();
    let outs = run(&batched, &stacked);
    let mut worst: f64 = 0.0;
    for (i, args) in lanes.iter().enumerate() {
        for ((out, &mapped), alone) in outs.iter().zip(&flags).zip(run(graph, args)) {
            let found = if mapped { lane(out, i) } else { out.clone() };
            if alone.dtype().is_float() && !same(&found, &alone) {
                worst = worst.max(distance(&found.to_f64_vec(), &alone.to_f64_vec()));
            }
        }
    }
    worst
}

/// An elementwise function, with its derivative by a formula that the rules do not use, on a range.
type Formula = (Op, fn(f64) -> f64, f64, f64);

#[test]
fn errors_of_elementwise_derivatives_against_formulas() {
    let formulas: [Formula; 13] = [
        (Op::Exp, |x| x.sinh() + x.cosh(), -3.0, 3.0),
        (Op::Expm1, |x| 1.0 / (-x).exp(), -3.0, 3.0),
        (Op::Log, |x| (-x.ln()).exp(), 0.1, 9.0),
        (Op::Log1p, |x| (-x.ln_1p()).exp(), -0.9, 9.0),
        (Op::Sqrt, |x| 0.5 * (-0.5 * x.ln()).exp(), 0.1, 9.0),
        (Op::Sin, |x| (x + std::f64::consts::FRAC_PI_2).sin(), -3.0, 3.0),
        (Op::Cos, |x| (x + std::f64::consts::FRAC_PI_2).cos(), -3.0, 3.0),
        (Op::Tan, |x| 2.0 / (1.0 + (2.0 * x).cos()), -1.2, 1.2),
        (Op::Tanh, |x| 1.0 / x.cosh().powi(2), -3.0, 3.0),
        (Op::Sigmoid, |x| 0.25 / (0.5 * x).cosh().powi(2), -5.0, 5.0),
        (Op::Softplus, |x| 0.5 * (1.0 + (0.5 * x).tanh()), -5.0, 5.0),
        (Op::Erf, |x| 2.0 / (std::f64::consts::PI.sqrt() * x.exp().powf(x)), -2.0, 2.0),
        (Op::Atan, |x| x.atan().cos().powi(2), -5.0, 5.0),
    ];
    let mut classes = [
        Class::new("forward against a formula", DType::F64, 1e-13),
        Class::new("forward against a formula", DType::F32, 1e-5),
    ];
    let mut rng = Rng::new(5);
    for (op, formula, low, high) in formulas {
        let points: Vec<f64> = (0..200).map(|_| f64::from(rng.real(low, high) as f32)).collect();
        let x = vector(&points);
        let name = prims::name(&op);
        for (class, dtype) in classes.iter_mut().zip([DType::F64, DType::F32]) {
            let x = x.convert(dtype);
            let jvp = jvp_graph(&graph_of(&op, std::slice::from_ref(&x)), &[true]).expect("it has a derivative");
            let ones = Tensor::full(dtype, x.shape(), 1.0);
            for (found, &at) in run(&jvp, &[x, ones])[1].to_f64_vec().iter().zip(&points) {
                let expected = formula(at);
                class.add(name, ((found - expected) / expected).abs());
            }
        }
    }
    report(&classes);
}
