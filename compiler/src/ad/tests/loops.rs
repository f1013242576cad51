//! Loops, conditions and calls: derivatives, and the shape of what they become.

use super::*;
use crate::ir::graph::{CallRule, Guard, Scan, Trips};
use std::rc::Rc;

const F: DType = DType::F64;

fn real(shape: &[usize]) -> Type {
    Type::new(F, shape)
}

fn counter(b: &mut Builder) -> Var {
    b.param(Type::scalar(DType::I64))
}

fn scan(body: Graph, consts: usize, carries: usize, cap: usize, trips: Trips) -> Op {
    Op::Scan(Scan { body: Rc::new(body), consts, carries, cap, trips, reverse: false })
}

/// A Graph of one equation for operands of the given types.
fn graph_for(op: Op, types: &[Type]) -> Graph {
    let mut b = Builder::default();
    let params: Vec<Var> = types.iter().map(|ty| b.param(ty.clone())).collect();
    let outs = b.emit(op, &params);
    b.finish(outs)
}

fn sample(types: &[Type], seed: u64) -> Vec<Tensor> {
    let mut rng = Rng::new(seed);
    types.iter().map(|ty| rng.tensor_in(ty.dtype, &ty.shape, -1.0, 1.0)).collect()
}

/// `sign(z) max(|z| - t, 0)`
fn soft(b: &mut Builder, z: Var, t: Var) -> Var {
    let ty = b.ty(z).clone();
    let sign = b.op(Op::Sign, &[z]);
    let abs = b.op(Op::Abs, &[z]);
    let t = b.broadcast(t, &ty.shape, &[]);
    let less = b.sub(abs, t);
    let zero = b.zeros(&ty);
    let cut = b.op(Op::Max, &[less, zero]);
    b.mul(sign, cut)
}

/// x <- soft(x + W (y - A x), t): constants W, A, y, t and carry x.
fn ista(m: usize, n: usize, steps: usize) -> (Graph, Vec<Type>) {
    let types = vec![real(&[n, m]), real(&[m, n]), real(&[m, 1]), real(&[]), real(&[n, 1])];
    let mut b = Builder::default();
    let params: Vec<Var> = types.iter().map(|ty| b.param(ty.clone())).collect();
    counter(&mut b);
    let [w, a, y, t, x] = params[..] else { unreachable!() };
    let ax = b.op(Op::Dot { batch: 0 }, &[a, x]);
    let r = b.sub(y, ax);
    let step = b.op(Op::Dot { batch: 0 }, &[w, r]);
    let z = b.add(x, step);
    let next = soft(&mut b, z, t);
    let body = b.finish(vec![next]);
    (graph_for(scan(body, 4, 1, steps, Trips::All), &types), types)
}

fn ista_args(types: &[Type], seed: u64) -> Vec<Tensor> {
    let mut args = sample(types, seed);
    args[3] = Tensor::scalar(0.05);
    for arg in &mut args[..2] {
        *arg = Tensor::from_vec(arg.shape(), arg.to_f64_vec().iter().map(|v| 0.4 * v).collect());
    }
    args
}

/// All loops in a Graph and in the bodies of its loops.
fn loops(graph: &Graph) -> Vec<Scan> {
    let mut found = Vec::new();
    for eqn in &graph.eqns {
        if let Op::Scan(scan) = &eqn.op {
            found.push(scan.clone());
        }
        for inner in eqn.op.subgraphs() {
            found.extend(loops(inner));
        }
    }
    found
}

fn carried(scan: &Scan) -> Vec<Type> {
    scan.body.results[..scan.carries].iter().map(|&r| scan.body.ty(r).clone()).collect()
}

fn rows(scan: &Scan) -> Vec<Type> {
    let end = scan.carries + scan.stacked_outs();
    scan.body.results[scan.carries..end].iter().map(|&r| scan.body.ty(r).clone()).collect()
}

fn gradient_of_sum(graph: &Graph, wrt: &[bool]) -> Graph {
    grad_graph(&scalarized(graph, &mut Rng::new(2)), wrt).expect("a gradient")
}

#[test]
fn a_solver_differentiates_in_all_its_parameters() {
    let (graph, types) = ista(3, 4, 5);
    let gradient = gradient_of_sum(&graph, &[true; 5]);
    let points: Vec<Vec<Tensor>> = (0..20).map(|seed| ista_args(&types, seed)).collect();
    let smooth = |args: &&Vec<Tensor>| is_smooth_at(&graph, args) && is_smooth_at(&gradient, args);
    let args = points.iter().find(smooth).expect("a point away from the thresholds");
    check_derivatives("ista", &graph, args);
}

#[test]
fn the_gradient_of_a_solver_is_one_loop_of_a_size_independent_of_its_length() {
    let (short, _) = ista(3, 4, 2);
    let (long, _) = ista(3, 4, 200);
    let wrt = [true; 5];
    let [short, long] = [short, long].map(|graph| gradient_of_sum(&graph, &wrt));
    assert_eq!(short.count_eqns(), long.count_eqns());
    assert_eq!(loops(&long).len(), 2, "{}", show(&long));
}

#[test]
fn weight_gradients_wait_for_the_end_of_the_loop() {
    let (graph, types) = ista(30, 40, 6);
    let back = gradient_of_sum(&graph, &[true; 5]);
    let reverse = loops(&back).into_iter().find(|scan| scan.reverse).expect("a reverse loop");
    for ty in carried(&reverse) {
        assert!(ty.len() <= 40, "a matrix is carried: {ty}\n{}", show(&back));
    }
    // The threshold's sum, the cotangent of y and of x.
    let values = run(&back, &ista_args(&types, 4));
    // The same gradients, with the loop written out.
    let written_out = unrolled(&graph);
    let expected = run(&gradient_of_sum(&written_out, &[true; 5]), &ista_args(&types, 4));
    for (found, expected) in values.iter().zip(&expected) {
        assert!(distance(&found.to_f64_vec(), &expected.to_f64_vec()) < 1e-13);
    }
}

/// A Graph of one loop without stacks, pass by pass.
fn unrolled(graph: &Graph) -> Graph {
    let Op::Scan(scan) = &graph.eqns[0].op else { panic!("a loop") };
    let mut b = Builder::default();
    let params: Vec<Var> = graph.param_types().into_iter().map(|ty| b.param(ty)).collect();
    let (consts, mut carries) = (params[..scan.consts].to_vec(), params[scan.consts..].to_vec());
    for k in 0..scan.cap {
        let counter = b.constant(Tensor::scalar(k as i64));
        let args = [&consts[..], &carries[..], &[counter]].concat();
        carries = b.inline(&scan.body, &args);
    }
    b.finish(carries)
}

#[test]
fn a_loop_stores_what_is_sufficient_and_no_more() {
    // W and the threshold only: z or its masks, and the factor of W's gradient.
    let (graph, _) = ista(30, 40, 6);
    let back = gradient_of_sum(&graph, &[true, false, false, true, false]);
    let forward = loops(&back).into_iter().find(|scan| !scan.reverse).expect("a forward loop");
    let stored: usize = rows(&forward).iter().map(|ty| ty.len() * ty.dtype.size()).sum();
    assert!(stored <= (30 + 40) * 8, "{:?}\n{}", rows(&forward), show(&back));
}

#[test]
fn a_loop_until_convergence_differentiates() {
    // Heron's square root of c, until the step is small; the number of passes is a result too.
    let mut b = Builder::default();
    let c = b.param(real(&[]));
    let x = b.param(real(&[]));
    counter(&mut b);
    let ratio = b.div(c, x);
    let sum = b.add(x, ratio);
    let half = b.scalar(F, 0.5);
    let next = b.mul(half, sum);
    let change = b.sub(next, x);
    let change = b.op(Op::Abs, &[change]);
    let small = b.scalar(F, 1e-4);
    let stop = b.op(Op::Lt, &[change, small]);
    let body = b.finish(vec![next, x, stop]);
    let types = [real(&[]), real(&[])];
    let graph = graph_for(scan(body, 1, 1, 50, Trips::Until), &types);
    let args = [Tensor::scalar(2.0), Tensor::scalar(3.0)];
    check_derivatives("heron", &graph, &args);
    let lanes: Vec<Vec<Tensor>> =
        [0.5, 2.0, 400.0].iter().map(|&c| vec![Tensor::scalar(c), Tensor::scalar(1.0 + c)]).collect();
    for mapped in [[true, true], [true, false], [false, true]] {
        check_batch("heron", &graph, &lanes, &mapped);
        let gradient = gradient_of_sum(&graph, &[true, true]);
        check_batch("the gradient of heron", &gradient, &lanes, &mapped);
        check_batch("the gradient of the gradient", &gradient_of_sum(&gradient, &[true, true]), &lanes, &mapped);
    }
    // Batched first, then differentiated.
    let (batched, _) = batch(&graph, &[true, true], 3);
    let args = [Tensor::from_vec(&[3], vec![0.5, 2.0, 400.0]), Tensor::from_vec(&[3], vec![1.5, 3.0, 401.0])];
    check_derivatives("batched heron", &batched, &args);
}

/// An outer loop whose body runs an inner one with the same matrix.
fn nested() -> (Graph, Vec<Type>) {
    let n = 9;
    let mut b = Builder::default();
    let w = b.param(real(&[n, n]));
    let x = b.param(real(&[n, 1]));
    counter(&mut b);
    let wx = b.op(Op::Dot { batch: 0 }, &[w, x]);
    let next = b.op(Op::Tanh, &[wx]);
    let inner = scan(b.finish(vec![next, wx]), 1, 1, 3, Trips::All);

    let mut b = Builder::default();
    let w = b.param(real(&[n, n]));
    let s = b.param(real(&[n, n]));
    let x = b.param(real(&[n, 1]));
    let i = counter(&mut b);
    let u = b.param(real(&[n, 1]));
    // A matrix that no pass changes.
    let product = b.mul(w, s);
    let outs = b.emit(inner, &[product, x]);
    let time = b.convert(i, F);
    let time = b.broadcast(time, &[n, 1], &[]);
    let moved = b.mul(u, time);
    let next = b.add(outs[0], moved);
    let total = b.sum(outs[1], &[0]);
    let body = b.finish(vec![next, total]);
    let types = vec![real(&[n, n]), real(&[n, n]), real(&[n, 1]), real(&[4, n, 1])];
    (graph_for(scan(body, 2, 1, 4, Trips::All), &types), types)
}

#[test]
fn nested_loops_differentiate_and_defer_through_both_levels() {
    let (graph, types) = nested();
    let args: Vec<Tensor> = sample(&types, 8)
        .iter()
        .map(|a| Tensor::from_vec(a.shape(), a.to_f64_vec().iter().map(|v| 0.6 * v).collect()))
        .collect();
    check_derivatives("nested", &graph, &args);
    let back = gradient_of_sum(&graph, &[true; 4]);
    for reverse in loops(&back).iter().filter(|scan| scan.reverse) {
        assert!(carried(reverse).iter().all(|ty| ty.len() <= 9), "{}", show(&back));
    }
    let lanes: Vec<Vec<Tensor>> = (0..2).map(|i| sample(&types, 20 + i)).collect();
    for mapped in [[true; 4], [false, false, true, false], [false, true, false, true]] {
        check_batch("nested", &graph, &lanes, &mapped);
        check_batch("the gradient of nested", &back, &lanes, &mapped);
    }
}

#[test]
fn gathers_in_a_loop_scatter_into_one_running_sum() {
    // x[(5 k) mod 7] each pass, from a constant.
    let n = 7;
    let mut b = Builder::default();
    let table = b.param(real(&[n, 2]));
    let sum = b.param(real(&[2]));
    let k = counter(&mut b);
    let five = b.constant(Tensor::scalar(5i64));
    let seven = b.constant(Tensor::scalar(n as i64));
    let product = b.mul(k, five);
    let index = b.op(Op::Mod, &[product, seven]);
    let row = b.op(Op::Gather, &[table, index]);
    let square = b.mul(row, row);
    let next = b.add(sum, square);
    let types = vec![real(&[n, 2]), real(&[2])];
    let graph = graph_for(scan(b.finish(vec![next]), 1, 1, 10, Trips::All), &types);
    check_derivatives("table", &graph, &sample(&types, 1));
    let back = gradient_of_sum(&graph, &[true, true]);
    let reverse = loops(&back).into_iter().find(|scan| scan.reverse).expect("a reverse loop");
    let whole = real(&[n, 2]);
    let made: Vec<&str> = reverse
        .body
        .eqns
        .iter()
        .filter(|eqn| eqn.outs.iter().any(|&o| *reverse.body.ty(o) == whole))
        .map(|eqn| crate::prims::name(&eqn.op))
        .collect();
    assert_eq!(made, ["scatter_add"], "{}", show(&back));
    let lanes: Vec<Vec<Tensor>> = (0..2).map(|i| sample(&types, 20 + i)).collect();
    check_batch("the gradient of table", &back, &lanes, &[true, true]);
}

#[test]
fn updates_in_a_loop_differentiate() {
    // x[k] <- x[k] * x[k+1] in place.
    let mut b = Builder::default();
    let x = b.param(real(&[6]));
    let k = counter(&mut b);
    let one = b.constant(Tensor::scalar(1i64));
    let after = b.add(k, one);
    let here = b.op(Op::Gather, &[x, k]);
    let there = b.op(Op::Gather, &[x, after]);
    let product = b.mul(here, there);
    let next = b.op(Op::Update, &[x, product, k]);
    let types = vec![real(&[6])];
    let graph = graph_for(scan(b.finish(vec![next]), 0, 1, 5, Trips::All), &types);
    check_derivatives("updates", &graph, &sample(&types, 1));
    let lanes: Vec<Vec<Tensor>> = (0..3).map(|i| sample(&types, 20 + i)).collect();
    check_batch("updates", &graph, &lanes, &[true]);
    check_batch("the gradient of updates", &gradient_of_sum(&graph, &[true]), &lanes, &[true]);
}

/// One side squares and stores more, the other is an inner loop.
fn branchy() -> (Op, Vec<Type>) {
    let types = vec![real(&[3]), real(&[3])];
    let side = |f: &dyn Fn(&mut Builder, Var, Var) -> Vec<Var>| {
        let mut b = Builder::default();
        let x = b.param(real(&[3]));
        let y = b.param(real(&[3]));
        let results = f(&mut b, x, y);
        Rc::new(b.finish(results))
    };
    let then = side(&|b, x, y| {
        let exp = b.op(Op::Exp, &[x]);
        let sin = b.op(Op::Sin, &[exp]);
        vec![b.mul(sin, exp), y]
    });
    let otherwise = side(&|b, x, y| {
        let mut body = Builder::default();
        let c = body.param(real(&[3]));
        let carry = body.param(real(&[3]));
        counter(&mut body);
        let product = body.mul(c, carry);
        let next = body.op(Op::Cos, &[product]);
        let op = scan(body.finish(vec![next]), 1, 1, 3, Trips::All);
        let out = b.op(op, &[x, y]);
        let zero = b.zeros(&real(&[3]));
        vec![out, zero]
    });
    (Op::Cond { then, otherwise }, types)
}

#[test]
fn conditions_differentiate() {
    let (op, mut types) = branchy();
    types.insert(0, Type::scalar(DType::Bool));
    let graph = graph_for(op, &types);
    for flag in [true, false] {
        let mut args = sample(&types, 3);
        args[0] = Tensor::scalar(flag);
        check_derivatives("condition", &graph, &args);
        let active = [false, true, false];
        let partly = gradient_of_sum(&graph, &active);
        run(&partly, &args);
        let lanes: Vec<Vec<Tensor>> = [true, false, flag]
            .iter()
            .enumerate()
            .map(|(i, &flag)| {
                let mut args = sample(&types, 30 + i as u64);
                args[0] = Tensor::scalar(flag);
                args
            })
            .collect();
        for mapped in [[true, true, true], [false, true, false], [true, false, false], [false, false, true]] {
            check_batch("condition", &graph, &lanes, &mapped);
            check_batch("the gradient of a condition", &gradient_of_sum(&graph, &[false, true, true]), &lanes, &mapped);
        }
    }
}

#[test]
fn conditions_inside_loops_differentiate() {
    let (cond, _) = branchy();
    let mut b = Builder::default();
    let x = b.param(real(&[3]));
    let y = b.param(real(&[3]));
    let k = counter(&mut b);
    let two = b.constant(Tensor::scalar(2i64));
    let zero = b.constant(Tensor::scalar(0i64));
    let parity = b.op(Op::Mod, &[k, two]);
    let even = b.op(Op::Eq, &[parity, zero]);
    let outs = b.emit(cond, &[even, x, y]);
    let sum = b.add(outs[1], x);
    let body = b.finish(vec![sum, outs[0]]);
    let types = vec![real(&[3]), real(&[3])];
    let graph = graph_for(scan(body, 0, 2, 4, Trips::All), &types);
    check_derivatives("condition in a loop", &graph, &sample(&types, 5));
    let lanes: Vec<Vec<Tensor>> = (0..3).map(|i| sample(&types, 20 + i)).collect();
    check_batch("condition in a loop", &gradient_of_sum(&graph, &[true, true]), &lanes, &[true, true]);
}

/// f(x) = (exp(sin x), x) as a call.
fn call(rule: CallRule, wrong: f64) -> Op {
    let ty = real(&[3]);
    let mut b = Builder::default();
    let x = b.param(ty.clone());
    let sin = b.op(Op::Sin, &[x]);
    let exp = b.op(Op::Exp, &[sin]);
    let body = Rc::new(b.finish(vec![exp, x]));
    let rule = match rule {
        CallRule::Tangent(_) => {
            // Parameters x, f, x, dx.
            let mut b = Builder::default();
            let p: Vec<Var> = (0..4).map(|_| b.param(ty.clone())).collect();
            let cos = b.op(Op::Cos, &[p[0]]);
            let factor = b.mul(cos, p[1]);
            let scale = b.fill(&ty, wrong);
            let factor = b.mul(factor, scale);
            let df = b.op(Op::MulZ, &[factor, p[3]]);
            CallRule::Tangent(Rc::new(b.finish(vec![df, p[3]])))
        }
        other => other,
    };
    Op::Call { body, rule }
}

fn call_in_loop(rule: CallRule, wrong: f64) -> Graph {
    let mut b = Builder::default();
    let x = b.param(real(&[3]));
    counter(&mut b);
    let outs = b.emit(call(rule, wrong), &[x]);
    let minus = b.neg(outs[1]);
    let next = b.add(outs[0], minus);
    graph_for(scan(b.finish(vec![next]), 0, 1, 3, Trips::All), &[real(&[3])])
}

#[test]
fn calls_differentiate_by_their_rule() {
    let tangent = || CallRule::Tangent(Rc::new(Graph::default()));
    let args = sample(&[real(&[3])], 9);
    for rule in [CallRule::Inline, CallRule::Recompute, tangent()] {
        check_derivatives("call", &graph_for(call(rule.clone(), 1.0), &[real(&[3])]), &args);
        let graph = call_in_loop(rule, 1.0);
        check_derivatives("call in a loop", &graph, &args);
        let lanes: Vec<Vec<Tensor>> = (0..3).map(|i| sample(&[real(&[3])], 20 + i)).collect();
        check_batch("call in a loop", &gradient_of_sum(&graph, &[true]), &lanes, &[true]);
        let (batched, _) = batch(&graph, &[true], 2);
        check_derivatives("batched call", &batched, &sample(&[real(&[2, 3])], 10));
    }
    // A recomputed call leaves nothing but its argument.
    let back = gradient_of_sum(&call_in_loop(CallRule::Recompute, 1.0), &[true]);
    let forward = loops(&back).into_iter().find(|scan| !scan.reverse).expect("a forward loop");
    assert_eq!(rows(&forward), [real(&[3])]);
}

#[test]
fn a_wrong_derivative_is_caught() {
    let args = sample(&[real(&[3])], 9);
    let graph = call_in_loop(CallRule::Tangent(Rc::new(Graph::default())), 1.0 + 1e-6);
    assert!(forward_error(&graph, &args, &mut Rng::new(7)).is_some());
}

#[test]
fn a_guard_is_kept_where_the_derivative_goes_back() {
    let mut b = Builder::default();
    let x = b.param(real(&[]));
    let ok = b.param(Type::scalar(DType::Bool));
    let square = b.mul(x, x);
    let out = b.op(Op::Guard(Guard::NotAtFixedPoint { solver: "s".into() }), &[ok, square]);
    let graph = b.finish(vec![out]);
    let tangent = crate::ad::linearize::linearize(&graph, &[true, false]).expect("linear");
    let args = [Tensor::scalar(3.0), Tensor::scalar(false)];
    assert!(eval(&tangent.primal, &args).is_err());
}

#[test]
fn counted_loops_differentiate_forward_and_backward_counting() {
    for reverse in [false, true] {
        let mut b = Builder::default();
        let a = b.param(real(&[2]));
        let x = b.param(real(&[2]));
        let k = counter(&mut b);
        let u = b.param(real(&[2]));
        let time = b.convert(k, F);
        let time = b.broadcast(time, &[2], &[]);
        let product = b.mul(a, x);
        let sin = b.op(Op::Sin, &[product]);
        let sum = b.add(sin, u);
        let next = b.add(sum, time);
        let body = b.finish(vec![next, product]);
        let types = [real(&[2]), real(&[2]), real(&[5, 2]), Type::scalar(DType::I64)];
        let Op::Scan(inner) = scan(body, 1, 1, 5, Trips::Input) else { unreachable!() };
        let graph = graph_for(Op::Scan(Scan { reverse, ..inner }), &types);
        let mut lanes = Vec::new();
        for trips in [0, 3, 5] {
            let mut args = sample(&types, 4);
            args[3] = Tensor::scalar(trips as i64);
            check_derivatives("counted", &graph, &args);
            lanes.push(args);
        }
        for mapped in [[true; 4], [false, false, false, true], [true, false, true, false]] {
            check_batch("counted", &graph, &lanes, &mapped);
            check_batch(
                "the gradient of counted",
                &gradient_of_sum(&graph, &[true, true, true, false]),
                &lanes,
                &mapped,
            );
        }
    }
}

#[test]
fn momentum_and_carries_that_nothing_reaches_differentiate() {
    let mut b = Builder::default();
    let a = b.param(real(&[3, 3]));
    let x = b.param(real(&[3, 1]));
    let before = b.param(real(&[3, 1]));
    let unused = b.param(real(&[]));
    counter(&mut b);
    let difference = b.sub(x, before);
    let y = b.add(x, difference);
    let ay = b.op(Op::Dot { batch: 0 }, &[a, y]);
    let next = b.op(Op::Tanh, &[ay]);
    let exp = b.op(Op::Exp, &[unused]);
    let body = b.finish(vec![next, x, exp]);
    let types = vec![real(&[3, 3]), real(&[3, 1]), real(&[3, 1]), real(&[])];
    let mut graph = graph_for(scan(body, 1, 3, 3, Trips::All), &types);
    graph.results.truncate(1);
    check_derivatives("momentum", &graph, &sample(&types, 6));
    let back = gradient_of_sum(&graph, &[true; 4]);
    for scan in loops(&back) {
        assert!(carried(&scan).iter().all(|ty| ty.rank() > 0), "{}", show(&back));
    }
}

#[test]
fn known_carries_of_a_tangent_loop_run_forward_first() {
    // A derivative as a user may write it: c counts in floats and stops the loop, x is linear.
    // x <- c a x + u; c <- c + 1, until 3 < c.
    for trips in [Trips::All, Trips::Until] {
        let mut b = Builder::default();
        let a = b.param(real(&[2]));
        let c = b.param(real(&[]));
        let x = b.param(real(&[2]));
        counter(&mut b);
        let u = b.param(real(&[2]));
        let factor = b.broadcast(c, &[2], &[]);
        let product = b.mul(a, x);
        let product = b.mul(factor, product);
        let next = b.add(product, u);
        let one = b.scalar(F, 1.0);
        let count = b.add(c, one);
        let mut results = vec![count, next, product];
        if trips == Trips::Until {
            let three = b.scalar(F, 3.0);
            results.push(b.op(Op::Lt, &[three, count]));
        }
        let op = scan(b.finish(results), 1, 2, 6, trips);
        // Residuals a and c; linear x and u.
        let mut b = Builder::default();
        let a = b.param(real(&[2]));
        let c = b.param(real(&[]));
        let x = b.param(real(&[2]));
        let u = b.param(real(&[6, 2]));
        let outs = b.emit(op, &[a, c, x, u]);
        // A result that mixes the known carry in, linearly.
        let last = b.broadcast(outs[0], &[2], &[]);
        let scaled = b.mul(last, outs[1]);
        let graph = b.finish(vec![scaled, outs[2]]);
        assert_eq!(crate::ad::transpose::check::check_linear(&graph, 2), Ok(()));
        let args = sample(&graph.param_types(), 12);
        let outs = run(&graph, &args);
        let cts = sample(&graph.result_types(), 13);
        let back = crate::ad::transpose::transpose(&graph, 2);
        let pulled = run(&back, &[&args[..2], &cts].concat());
        let (left, right) = (dot(&cts, &outs), dot(&pulled, &args[2..]));
        assert!((left - right).abs() < 1e-13 * left.abs().max(1.0), "{left} {right}\n{}", show(&back));
        let twice = crate::ad::transpose::transpose(&back, 2);
        let again = run(&twice, &args);
        assert!(distance(&values(&again), &values(&outs)) < 1e-13);
    }
}

#[test]
fn an_array_read_at_the_counter_is_a_stacked_input() {
    // x <- tanh(W[k] x + t[k, 1]) with one constant longer than the loop.
    let mut b = Builder::default();
    let w = b.param(real(&[4, 3, 3]));
    let t = b.param(real(&[6, 2]));
    let x = b.param(real(&[3, 1]));
    let k = counter(&mut b);
    let one = b.constant(Tensor::scalar(1i64));
    let matrix = b.op(Op::Gather, &[w, k]);
    let shift = b.op(Op::Gather, &[t, k, one]);
    let wx = b.op(Op::Dot { batch: 0 }, &[matrix, x]);
    let shift = b.broadcast(shift, &[3, 1], &[]);
    let sum = b.add(wx, shift);
    let next = b.op(Op::Tanh, &[sum]);
    let types = vec![real(&[4, 3, 3]), real(&[6, 2]), real(&[3, 1])];
    let graph = graph_for(scan(b.finish(vec![next]), 2, 1, 4, Trips::All), &types);
    check_derivatives("rows", &graph, &sample(&types, 6));
    let back = gradient_of_sum(&graph, &[true; 3]);
    let text = show(&back);
    let reverse = loops(&back).into_iter().find(|scan| scan.reverse).expect("a reverse loop");
    assert!(carried(&reverse).iter().all(|ty| ty.len() == 3), "{text}");
    let lanes: Vec<Vec<Tensor>> = (0..3).map(|i| sample(&types, 20 + i)).collect();
    for mapped in [[true; 3], [false, false, true], [true, false, false]] {
        check_batch("rows", &graph, &lanes, &mapped);
        check_batch("the gradient of rows", &back, &lanes, &mapped);
    }
}

#[test]
fn a_derivative_that_is_right_to_first_order_only_is_caught() {
    // d sin(x) = cos(x) dx with the cosine held fixed.
    let ty = real(&[3]);
    let mut b = Builder::default();
    let x = b.param(ty.clone());
    let sin = b.op(Op::Sin, &[x]);
    let body = Rc::new(b.finish(vec![sin]));
    let mut b = Builder::default();
    let p: Vec<Var> = (0..3).map(|_| b.param(ty.clone())).collect();
    let cos = b.op(Op::Cos, &[p[0]]);
    let fixed = b.op(Op::StopGradient, &[cos]);
    let df = b.mul(fixed, p[2]);
    let rule = CallRule::Tangent(Rc::new(b.finish(vec![df])));
    let graph = graph_for(Op::Call { body, rule }, std::slice::from_ref(&ty));
    let args = sample(&[ty], 9);
    assert!(forward_error(&graph, &args, &mut Rng::new(7)).is_none());
    assert!(forward_error(&gradient_of_sum(&graph, &[true]), &args, &mut Rng::new(7)).is_some());
}
