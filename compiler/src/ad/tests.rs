//! Agreement of independent ways to a derivative: differences, forward, reverse, of second order, batched, looped.

mod batches;
mod kinks;
mod loops;
mod programs;
mod slices;
mod table;

use super::batch::batch;
use super::{grad_graph, jvp_graph, vjp_graph};
use crate::ir::builder::Builder;
use crate::ir::eval::eval;
use crate::ir::graph::{Graph, Op, Type, Var};
use crate::ir::verify::verify;
use crate::prims::sample::Rng;
use dp_runtime::tensor::{DType, Tensor};

/// A Graph of one equation, all its operands parameters.
pub(crate) fn graph_of(op: &Op, args: &[Tensor]) -> Graph {
    let mut b = Builder::default();
    let params: Vec<Var> = args.iter().map(|arg| b.param(Type::of(arg))).collect();
    let outs = b.emit(op.clone(), &params);
    b.finish(outs)
}

fn show(graph: &Graph) -> String {
    crate::ir::text::print(graph)
}

pub(crate) fn floats(args: &[Tensor]) -> Vec<bool> {
    args.iter().map(|arg| arg.dtype().is_float()).collect()
}

fn run(graph: &Graph, args: &[Tensor]) -> Vec<Tensor> {
    if let Err(reason) = verify(graph) {
        panic!("{reason} in\n{}", show(graph));
    }
    eval(graph, args).unwrap_or_else(|fault| panic!("{fault:?} in\n{}", show(graph)))
}

fn random_like(rng: &mut Rng, x: &Tensor) -> Tensor {
    rng.tensor_in(x.dtype(), x.shape(), -1.0, 1.0)
}

pub(crate) fn values(tensors: &[Tensor]) -> Vec<f64> {
    tensors.iter().filter(|t| t.dtype().is_float()).flat_map(Tensor::to_f64_vec).collect()
}

pub(crate) fn dot(a: &[Tensor], b: &[Tensor]) -> f64 {
    values(a).iter().zip(values(b)).map(|(x, y)| x * y).sum()
}

/// The largest difference, relative to the size of the numbers (at least 1).
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let size = a.iter().chain(b).fold(1.0, |m: f64, v| m.max(v.abs()));
    let worst = a.iter().zip(b).map(|(x, y)| if x == y { 0.0 } else { (x - y).abs() });
    worst.fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { m.max(d) }) / size
}

/// The directional derivative of all floating results by central differences of sixth order.
pub(crate) fn differences(graph: &Graph, args: &[Tensor], direction: &[Tensor], h: f64) -> Vec<f64> {
    let at = |t: f64| {
        let mut moved = direction.iter();
        let point: Vec<Tensor> = args
            .iter()
            .map(|arg| {
                if !arg.dtype().is_float() {
                    return arg.clone();
                }
                let d = moved.next().expect("one direction for each floating argument").to_f64_vec();
                let sum = arg.to_f64_vec().iter().zip(d).map(|(x, d)| x + t * d).collect();
                Tensor::from_vec(arg.shape(), sum)
            })
            .collect();
        values(&run(graph, &point))
    };
    let stencil = [(1.0, 0.75), (2.0, -0.15), (3.0, 1.0 / 60.0)];
    let mut total = vec![0.0; at(0.0).len()];
    for (steps, weight) in stencil {
        let (up, down) = (at(steps * h), at(-steps * h));
        for (t, (u, d)) in total.iter_mut().zip(up.iter().zip(down)) {
            *t += weight * (u - d) / h;
        }
    }
    total
}

/// Do differences with two steps agree? If not, a kink or jump lies close by.
pub(crate) fn is_smooth_at(graph: &Graph, args: &[Tensor]) -> bool {
    let direction = directions(&mut Rng::new(7), args);
    let coarse = differences(graph, args, &direction, 1e-2);
    let fine = differences(graph, args, &direction, 5e-3);
    distance(&coarse, &fine) < 1e-3
}

pub(crate) fn directions(rng: &mut Rng, args: &[Tensor]) -> Vec<Tensor> {
    args.iter().filter(|arg| arg.dtype().is_float()).map(|arg| random_like(rng, arg)).collect()
}

/// Forward mode against differences; `None` if they agree.
fn forward_error(graph: &Graph, args: &[Tensor], rng: &mut Rng) -> Option<String> {
    let direction = directions(rng, args);
    let jvp = jvp_graph(graph, &floats(args)).expect("floating parameters have derivatives");
    let outs = run(&jvp, &[args, &direction].concat());
    let forward = values(&outs[graph.results.len()..]);
    let expected = differences(graph, args, &direction, 1e-3);
    // What the differences are worth is known from a second step size.
    let unsure = distance(&expected, &differences(graph, args, &direction, 2e-3));
    assert!(unsure < 1e-4, "a kink lies close to {args:?}");
    (distance(&forward, &expected) > unsure.max(1e-8))
        .then(|| format!("forward {forward:?}, differences {expected:?} at {args:?}\n{}", show(&jvp)))
}

/// Reverse mode against forward mode by the dot product test.
fn reverse_error(graph: &Graph, args: &[Tensor], rng: &mut Rng) -> Option<String> {
    let active = floats(args);
    let direction = directions(rng, args);
    let jvp = jvp_graph(graph, &active).expect("floating parameters have derivatives");
    let vjp = vjp_graph(graph, &active).expect("floating parameters have derivatives");
    let outs = run(&jvp, &[args, &direction].concat());
    let (primal, tangents) = outs.split_at(graph.results.len());
    let cotangents = directions(rng, primal);
    let back = run(&vjp, &[args, &cotangents].concat());
    let (again, gradients) = back.split_at(graph.results.len());
    assert!(primal.iter().zip(again).all(|(a, b)| crate::prims::sample::same(a, b)), "other values in reverse mode");
    let (left, right) = (dot(&cotangents, tangents), dot(gradients, &direction));
    let size = values(tangents).iter().chain(&values(gradients)).fold(1.0, |m: f64, v| m.max(v.abs()));
    let close = (left - right).abs() <= 1e-12 * size * (1.0 + values(gradients).len() as f64);
    (!close).then(|| format!("forward {left}, reverse {right} at {args:?}\n{}", show(&vjp)))
}

/// The Graph's floating results, each times fixed weights, summed to one number.
pub(crate) fn scalarized(graph: &Graph, rng: &mut Rng) -> Graph {
    let mut b = Builder::default();
    let params: Vec<Var> = graph.param_types().into_iter().map(|ty| b.param(ty)).collect();
    let results = b.inline(graph, &params);
    let mut total = b.scalar(DType::F64, 0.0);
    for result in results {
        let ty = b.ty(result).clone();
        if ty.dtype.is_float() {
            let weights = b.constant(rng.tensor_in(ty.dtype, &ty.shape, 0.5, 1.5));
            let product = b.mul(weights, result);
            let axes: Vec<usize> = (0..ty.rank()).collect();
            let sum = b.sum(product, &axes);
            let sum = b.convert(sum, DType::F64);
            total = b.add(total, sum);
        }
    }
    b.finish(vec![total])
}

/// First and second order, forward and reverse.
fn check_derivatives(what: &str, graph: &Graph, args: &[Tensor]) {
    let mut rng = Rng::new(7);
    if let Some(error) = forward_error(graph, args, &mut rng) {
        panic!("{what}: {error}");
    }
    if let Some(error) = reverse_error(graph, args, &mut rng) {
        panic!("{what}: {error}");
    }
    let gradient = grad_graph(&scalarized(graph, &mut rng), &floats(args)).expect("a gradient");
    if let Some(error) = forward_error(&gradient, args, &mut rng) {
        panic!("{what}, gradient of the gradient: {error}");
    }
    if let Some(error) = reverse_error(&gradient, args, &mut rng) {
        panic!("{what}, reverse of the gradient: {error}");
    }
}

/// Lane `i` of stacked values.
pub(crate) fn lane(stacked: &Tensor, i: usize) -> Tensor {
    crate::prims::value::get_row(stacked, i)
}

pub(crate) fn stack(rows: &[Tensor]) -> Tensor {
    let shape = [&[rows.len()], rows[0].shape()].concat();
    let mut all = Tensor::full(rows[0].dtype(), &shape, 0.0);
    for (i, row) in rows.iter().enumerate() {
        all = crate::prims::value::set_row(all, i, row);
    }
    all
}

/// The batched Graph against one run a lane. `lanes[i]` holds the arguments of lane i; those not `mapped` are lane 0's.
fn check_batch(what: &str, graph: &Graph, lanes: &[Vec<Tensor>], mapped: &[bool]) {
    let (batched, flags) = batch(graph, mapped, lanes.len());
    let args: Vec<Tensor> = (0..mapped.len())
        .map(|i| {
            let rows: Vec<Tensor> = lanes.iter().map(|lane| lane[i].clone()).collect();
            if mapped[i] { stack(&rows) } else { rows[0].clone() }
        })
        .collect();
    let outs = run(&batched, &args);
    for i in 0..lanes.len() {
        let single: Vec<Tensor> = (0..mapped.len()).map(|k| lanes[if mapped[k] { i } else { 0 }][k].clone()).collect();
        let expected = run(graph, &single);
        for (k, (out, expected)) in outs.iter().zip(&expected).enumerate() {
            let found = if flags[k] { lane(out, i) } else { out.clone() };
            assert_eq!((found.dtype(), found.shape()), (expected.dtype(), expected.shape()), "{what}: result {k}");
            let error = distance(&found.to_f64_vec(), &expected.to_f64_vec());
            let both_nan = crate::prims::sample::same(&found, expected);
            assert!(
                both_nan || error < 1e-12,
                "{what}, mapped {mapped:?}, lane {i}, result {k}: {found:?}, alone {expected:?}\n{}\n{}",
                show(graph),
                show(&batched)
            );
        }
    }
}
