//! Wrong rules: in the derivative of every row, in both modes, every single mistake must be caught by the checks that the
//! right one passes.

use super::mistakes::{Mutant, mutants, vector};
use crate::ad::tests::{differences, directions, distance, floats, graph_of, is_smooth_at, values};
use crate::ad::{jvp_graph, vjp_graph};
use crate::ir::eval::eval;
use crate::ir::graph::{Graph, Op, Trips};
use crate::ir::text::print;
use crate::ir::verify::verify;
use crate::prims::sample::{Rng, same};
use crate::prims::{self, Prim};
use dp_runtime::tensor::{DType, Tensor};

/// A place where derivatives are checked: arguments, tangents of the floats, and the tangents of the results.
struct Point {
    args: Vec<Tensor>,
    direction: Vec<Tensor>,
    expected: Vec<f64>,
    tolerance: f64,
}

/// A use of a row, with the places where it is checked.
struct Subject {
    graph: Graph,
    points: Vec<Point>,
}

/// Does forward mode pass?
fn forward_passes(subject: &Subject, jvp: &Graph) -> bool {
    subject.points.iter().all(|point| {
        let Ok(outs) = eval(jvp, &[point.args.as_slice(), &point.direction].concat()) else { return false };
        let (primal, tangents) = outs.split_at(subject.graph.results.len());
        let right = eval(&subject.graph, &point.args).expect("points do not fault");
        let found = values(tangents);
        right.iter().zip(primal).all(|(a, b)| same(a, b)) && distance(&found, &point.expected) <= point.tolerance
    })
}

/// Does reverse mode pass? It is held against forward mode by the dot product test, with two cotangents a point.
fn reverse_passes(subject: &Subject, vjp: &Graph) -> bool {
    let mut rng = Rng::new(17);
    subject.points.iter().all(|point| {
        let right = eval(&subject.graph, &point.args).expect("points do not fault");
        (0..2).all(|_| {
            let cotangents = directions(&mut rng, &right);
            let Ok(outs) = eval(vjp, &[point.args.as_slice(), &cotangents].concat()) else { return false };
            let (primal, gradients) = outs.split_at(right.len());
            let left: f64 = values(&cotangents).iter().zip(&point.expected).map(|(a, b)| a * b).sum();
            // An infinite slope in a direction that is not gone.
            let product = |(&a, &b): (&f64, &f64)| if b == 0.0 { 0.0 } else { a * b };
            let back: f64 = values(gradients).iter().zip(&values(&point.direction)).map(product).sum();
            let finite = |m: f64, v: &f64| if v.is_finite() { m.max(v.abs()) } else { m };
            let size = values(gradients).iter().chain(&point.expected).fold(1.0, finite);
            right.iter().zip(primal).all(|(a, b)| same(a, b)) && (left - back).abs() <= 10.0 * point.tolerance * size
        })
    })
}

/// Uses of a row in double precision that have a derivative and are smooth where they are tried: of many samples those
/// with the most elements, so that a mistake in a place has places to be made in.
fn subjects(row: &Prim) -> Vec<Subject> {
    let mut rng = Rng::new(23);
    let mut uses: Vec<(usize, Op, Vec<Tensor>)> = Vec::new();
    for _ in 0..150 {
        let (op, args) = (row.sample)(&mut rng);
        let double = graph_of(&op, &args).types.iter().all(|ty| ty.dtype != DType::F32);
        if double && floats(&args).contains(&true) {
            let size = args.iter().filter(|arg| arg.dtype().is_float()).map(Tensor::len).min().unwrap_or(0);
            uses.push((size.min(24), op, args));
        }
    }
    uses.sort_by_key(|(size, _, _)| std::cmp::Reverse(*size));
    let mut subjects = Vec::new();
    for (_, op, args) in uses {
        let graph = graph_of(&op, &args);
        if subjects.len() == 3 || !is_smooth_at(&graph, &args) || !repeats(&op, &args) {
            continue;
        }
        let mut points: Vec<Point> =
            (0..3).filter_map(|i| point(&graph, moved(&mut rng, &args, i), &mut rng)).collect();
        points.extend(with_ties(&op, &args, &mut rng));
        if points.len() >= 2 && points.iter().any(|point| point.expected.iter().any(|&v| v != 0.0)) {
            subjects.push(Subject { graph, points });
        }
    }
    subjects
}

/// Does a loop run more than one pass? In a single one what is carried and added up cannot be wrong.
fn repeats(op: &Op, args: &[Tensor]) -> bool {
    let Op::Scan(scan) = op else { return true };
    let passes = match scan.trips {
        Trips::All => return scan.cap > 1,
        Trips::Input => args.last().map(|count| count.as_slice::<i64>()[0]),
        Trips::Until => prims::eval(op, args).ok().and_then(|outs| Some(outs.last()?.as_slice::<i64>()[0])),
    };
    passes.is_some_and(|passes| passes > 1)
}

/// A point of an extreme over axes where elements tie: its tangent is the mean of the tangents of the greatest elements.
fn with_ties(op: &Op, args: &[Tensor], rng: &mut Rng) -> Option<Point> {
    let (axes, sign) = match op {
        Op::ReduceMax { axes } => (axes, 1.0),
        Op::ReduceMin { axes } => (axes, -1.0),
        _ => return None,
    };
    let shape = args[0].shape();
    let x: Vec<f64> = (0..args[0].len()).map(|_| rng.below(2) as f64).collect();
    let direction = directions(rng, args);
    let dx = values(&direction);
    let kept: Vec<usize> = (0..shape.len()).filter(|i| !axes.contains(i)).collect();
    let mut groups: std::collections::BTreeMap<Vec<usize>, Vec<usize>> = std::collections::BTreeMap::new();
    for place in 0..x.len() {
        let at = |axis: usize| place / shape[axis + 1..].iter().product::<usize>() % shape[axis];
        groups.entry(kept.iter().map(|&axis| at(axis)).collect()).or_default().push(place);
    }
    let mean = |group: &Vec<usize>| {
        let best = group.iter().map(|&i| sign * x[i]).fold(f64::NEG_INFINITY, f64::max);
        let ties: Vec<f64> = group.iter().filter(|&&i| sign * x[i] == best).map(|&i| dx[i]).collect();
        ties.iter().sum::<f64>() / ties.len() as f64
    };
    let expected = groups.values().map(mean).collect();
    Some(Point { args: vec![Tensor::from_vec(shape, x)], direction, expected, tolerance: 1e-14 })
}

fn moved(rng: &mut Rng, args: &[Tensor], i: usize) -> Vec<Tensor> {
    let near = |x: &Tensor, rng: &mut Rng| {
        let data = x.to_f64_vec().iter().map(|v| v * rng.real(0.98, 1.02)).collect();
        Tensor::from_vec::<f64>(x.shape(), data)
    };
    args.iter()
        .map(|x| match x.dtype() {
            DType::F64 if i > 0 => near(x, rng),
            // Both sides of a branch.
            DType::Bool if i == 1 => Tensor::from_vec(x.shape(), x.as_slice::<bool>().iter().map(|v| !v).collect()),
            _ => x.clone(),
        })
        .collect()
}

/// A point with the derivative by differences, if they settle it.
fn point(graph: &Graph, args: Vec<Tensor>, rng: &mut Rng) -> Option<Point> {
    let direction = directions(rng, &args);
    let expected = differences(graph, &args, &direction, 1e-3);
    let unsure = distance(&expected, &differences(graph, &args, &direction, 2e-3));
    (unsure < 1e-5).then(|| Point { args, direction, expected, tolerance: unsure.max(1e-9) })
}

/// Derivatives at the awkward points of the reference, by hand.
fn awkward(row: &Prim) -> Vec<Subject> {
    let shaped = |op: Op, shape: &[usize], args: &[&[f64]], direction: &[&[f64]], expected: &[f64]| {
        let tensors =
            |list: &[&[f64]]| -> Vec<Tensor> { list.iter().map(|v| Tensor::from_vec(shape, v.to_vec())).collect() };
        let args = tensors(args);
        let point = Point { direction: tensors(direction), expected: expected.to_vec(), tolerance: 1e-14, args };
        Subject { graph: graph_of(&op, &point.args), points: vec![point] }
    };
    let at = |op: Op, args: &[&[f64]], direction: &[&[f64]], expected: &[f64]| {
        shaped(op, &[expected.len()], args, direction, expected)
    };
    match row.name {
        "max" => vec![at(
            Op::Max,
            &[&[5.0, 2.0, 5.0, -1.0], &[5.0, 0.0, 5.0, 3.0]],
            &[&[1.0, 2.0, 7.0, 1.0], &[4.0, 7.0, 1.0, 6.0]],
            &[2.5, 2.0, 4.0, 6.0],
        )],
        "min" => vec![at(
            Op::Min,
            &[&[5.0, 2.0, 5.0, -1.0], &[5.0, 0.0, 5.0, 3.0]],
            &[&[1.0, 2.0, 7.0, 1.0], &[4.0, 7.0, 1.0, 6.0]],
            &[2.5, 7.0, 4.0, 1.0],
        )],
        // b a^(b-1) is 0 where b is 0, also at a = 0; a^b log(a) is 0 at a = 0 with b > 0.
        "pow" => vec![at(
            Op::Pow,
            &[&[0.0, 2.0, 0.0, 3.0], &[0.0, 0.0, 2.0, 1.0]],
            &[&[1.0, 1.0, 5.0, 1.0], &[0.0, 0.0, 7.0, 0.0]],
            &[0.0, 0.0, 0.0, 1.0],
        )],
        // a / hypot(a, b) is 0 at the corner.
        "hypot" => vec![at(
            Op::Hypot,
            &[&[0.0, 3.0, 6.0], &[0.0, 4.0, -8.0]],
            &[&[1.0, 1.0, 2.0], &[2.0, -1.0, 1.0]],
            &[0.0, -0.2, 0.4],
        )],
        "abs" => vec![at(Op::Abs, &[&[0.0, -2.0]], &[&[3.0, 3.0]], &[0.0, -3.0])],
        "prod" => vec![shaped(Op::Prod { axes: vec![0] }, &[3], &[&[0.0, 2.0, 3.0]], &[&[1.0, 5.0, 7.0]], &[6.0])],
        _ => vec![],
    }
}

/// Does a mistake change nothing? Two such Graphs compute functions that are analytic in pieces: if they give the same
/// numbers at many random inputs, far from where the checks look, and at as many with ties and zeros, they are the same.
fn changes_nothing(subject: &Subject, right: &Graph, wrong: &Graph) -> bool {
    let mut rng = Rng::new(29);
    let args = &subject.points[0].args;
    (0..80).all(|i| {
        let mut inputs: Vec<Tensor> = args.iter().map(|x| probe(&mut rng, x, i)).collect();
        let rest = right.params[args.len()..].iter().map(|&p| Tensor::full(right.ty(p).dtype, right.shape(p), 0.0));
        let rest: Vec<Tensor> = rest.collect();
        inputs.extend(rest.iter().map(|x| rng.tensor(x.dtype(), x.shape())));
        // Where the right one has no finite numbers there is nothing to compare.
        let Ok(expected) = eval(right, &inputs) else { return true };
        let expected = values(&expected);
        if expected.iter().any(|v| !v.is_finite()) {
            return true;
        }
        eval(wrong, &inputs).is_ok_and(|found| distance(&values(&found), &expected) < 1e-9)
    })
}

/// An operand like the given one: of every second a random multiple of each element, of the others whole numbers.
fn probe(rng: &mut Rng, x: &Tensor, i: usize) -> Tensor {
    match x.dtype() {
        DType::Bool => rng.tensor(DType::Bool, x.shape()),
        DType::F32 | DType::F64 => {
            let scaled = x.to_f64_vec().into_iter().map(|v| v * rng.real(0.3, 1.7));
            let data = scaled.map(|v| if i.is_multiple_of(2) { v } else { v.round() }).collect();
            Tensor::from_vec::<f64>(x.shape(), data)
        }
        DType::I64 | DType::Key => x.clone(),
    }
}

#[derive(Default)]
struct Score {
    generated: usize,
    caught: usize,
    equivalent: usize,
}

#[test]
fn every_wrong_rule_is_caught() {
    let mut total = Score::default();
    let mut survivors = Vec::new();
    let mut differentiable = 0;
    let mut few = Vec::new();
    for row in prims::rows().iter().filter(|row| row.name != "stop_gradient") {
        let mut score = Score::default();
        let uses = subjects(row);
        let special = awkward(row);
        for (i, subject) in uses.iter().chain(&special).enumerate() {
            let active: Vec<bool> =
                subject.graph.params.iter().map(|&p| subject.graph.ty(p).dtype.is_float()).collect();
            let jvp = jvp_graph(&subject.graph, &active).expect("floats have derivatives");
            let vjp = vjp_graph(&subject.graph, &active).expect("floats have derivatives");
            assert!(forward_passes(subject, &jvp), "{}: the right forward rule fails\n{}", row.name, print(&jvp));
            assert!(reverse_passes(subject, &vjp), "{}: the right reverse rule fails\n{}", row.name, print(&vjp));
            if i >= uses.len() {
                continue;
            }
            let kept = subject.graph.results.len();
            type Passes = fn(&Subject, &Graph) -> bool;
            let modes: [(&str, &Graph, Passes); 2] =
                [("forward", &jvp, forward_passes), ("reverse", &vjp, reverse_passes)];
            for (mode, right, passes) in modes {
                for Mutant { what, graph: wrong } in mutants(right, kept) {
                    debug_assert_eq!(verify(&wrong), Ok(()), "{what}");
                    if !passes(subject, &wrong) || special_catches(&special, &what, mode) {
                        score.generated += 1;
                        score.caught += 1;
                    } else if changes_nothing(subject, right, &wrong) {
                        score.equivalent += 1;
                    } else {
                        score.generated += 1;
                        survivors.push(format!("{}, {mode} mode: {what}\n{}", row.name, print(right)));
                    }
                }
            }
        }
        if !uses.is_empty() {
            differentiable += 1;
            if score.generated < 6 {
                few.push(row.name);
            }
        }
        total.generated += score.generated;
        total.caught += score.caught;
        total.equivalent += score.equivalent;
    }
    println!(
        "wrong rules: {} of {} mistakes in {differentiable} rows are caught; {} more give the \
         right numbers everywhere",
        total.caught, total.generated, total.equivalent
    );
    assert!(few.is_empty(), "fewer than six mistakes in {few:?}");
    if let Ok(path) = std::env::var("DP_SURVIVORS") {
        std::fs::write(path, survivors.join("\n")).expect("it can be written");
    }
    assert!(survivors.is_empty(), "{} wrong rules pass\n{}", survivors.len(), survivors.join("\n"));
}

/// Is the same mistake caught at an awkward point?
fn special_catches(special: &[Subject], what: &str, mode: &str) -> bool {
    special.iter().any(|subject| {
        let active = vec![true; subject.graph.params.len()];
        let (right, passes): (Graph, fn(&Subject, &Graph) -> bool) = match mode {
            "forward" => (jvp_graph(&subject.graph, &active).expect("floats"), forward_passes),
            _ => (vjp_graph(&subject.graph, &active).expect("floats"), reverse_passes),
        };
        mutants(&right, subject.graph.results.len())
            .iter()
            .any(|mutant| mutant.what == what && !passes(subject, &mutant.graph))
    })
}

#[test]
fn mistakes_are_made() {
    // y = a - b b, with the mistakes that each kind makes of it.
    let text = "graph(a: f64[2], b: f64[2]) {\n  s: f64[2] = mul(b, b)\n  y: f64[2] = sub(a, s)\n  return y\n}";
    let graph = crate::ir::text::parse(text).expect("it is well written");
    let args = [vector(&[1.0, 2.0]), vector(&[3.0, 5.0])];
    let found: Vec<(String, Vec<f64>)> = mutants(&graph, 0)
        .into_iter()
        .map(|mutant| (mutant.what, values(&eval(&mutant.graph, &args).expect("no fault"))))
        .collect();
    let has = |what: &str, expected: &[f64]| found.iter().any(|(text, y)| text.starts_with(what) && y == expected);
    assert!(has("Sign in result 0 of equation 1", &[8.0, 23.0]), "{found:?}");
    assert!(has("Factor in result 0 of equation 0", &[-17.0, -48.0]));
    assert!(has("Missing in result 0 of equation 0", &[1.0, 2.0]));
    assert!(has("Only(1) in result 0 of equation 1", &[9.0, 25.0]));
    assert!(has("Swapped in result 0 of equation 1", &[8.0, 23.0]));
    assert!(has("OffByOne in result 0 of equation 1", &[-23.0, -8.0]));
    assert!(has("Other(0) in result 0 of equation 0", &[-2.0, -8.0]));
    assert!(found.iter().all(|(_, y)| *y != [-8.0, -23.0]), "{found:?}");
}
