//! The evaluator on Graphs written down.

use super::*;
use crate::ir::builder::Builder;
use crate::ir::text::parse;
use crate::source::FileId;
use dp_runtime::tensor::DType;
use std::time::Instant;

fn graph(text: &str) -> Graph {
    parse(text).unwrap_or_else(|why| panic!("{why}\n{text}"))
}

fn vector(values: &[f64]) -> Tensor {
    Tensor::from_vec(&[values.len()], values.to_vec())
}

fn place(start: usize) -> Span {
    Span::new(FileId(0), start, start + 1)
}

/// A loop over `xs` that adds and counts: carry c, slices x, output c * 10 + k.
fn counting(trips: &str, reverse: bool, last: &str) -> Graph {
    let (input, param) = if trips == "input" { (", n", ", n: i64") } else { ("", "") };
    let (out, count) = if trips == "until" { (", n: i64", ", n") } else { ("", "") };
    graph(&format!(
        "graph(c: f64, xs: f64[4]{param}) {{
           a: f64, s: f64[4]{out} = scan[consts=0, carries=1, cap=4, trips={trips}, reverse={reverse}](c, xs{input})
             body(c: f64, k: i64, x: f64) {{
               d: f64 = add(c, x)
               ten: f64 = const[value=f64 {{10.0}}]()
               e: f64 = mul(c, ten)
               t: f64 = convert[to=f64](k)
               f: f64 = add(e, t)
               limit: f64 = const[value=f64 {{5.0}}]()
               stop: bool = lt(limit, d)
               return d, f{last}
             }}
           return a, s{count}
         }}"
    ))
}

fn xs() -> Tensor {
    vector(&[1.0, 2.0, 4.0, 8.0])
}

#[test]
fn a_loop_runs_forward_and_backward() {
    let forward = eval(&counting("all", false, ""), &[Tensor::scalar(0.0), xs()]).expect("no fault");
    assert_eq!(forward[0].item(), 15.0);
    assert_eq!(forward[1].to_f64_vec(), [0.0, 11.0, 32.0, 73.0]);
    let backward = eval(&counting("all", true, ""), &[Tensor::scalar(0.0), xs()]).expect("no fault");
    assert_eq!(backward[0].item(), 15.0);
    assert_eq!(backward[1].to_f64_vec(), [140.0, 121.0, 82.0, 3.0]);
}

#[test]
fn a_loop_runs_as_often_as_its_input_says() {
    for (n, last, rows) in [(0i64, 0.0, [0.0; 4]), (2, 3.0, [0.0, 11.0, 0.0, 0.0]), (4, 15.0, [0.0, 11.0, 32.0, 73.0])]
    {
        let results =
            eval(&counting("input", false, ""), &[Tensor::scalar(0.0), xs(), Tensor::scalar(n)]).expect("no fault");
        assert_eq!((results[0].item(), results[1].to_f64_vec()), (last, rows.to_vec()));
    }
    // Backward from the last pass that runs.
    let results =
        eval(&counting("input", true, ""), &[Tensor::scalar(0.0), xs(), Tensor::scalar(2i64)]).expect("no fault");
    assert_eq!(results[1].to_f64_vec(), [20.0, 1.0, 0.0, 0.0]);
    for n in [-1i64, 5] {
        let fault = eval(&counting("input", false, ""), &[Tensor::scalar(0.0), xs(), Tensor::scalar(n)]).err();
        assert_eq!(fault.map(|f| f.kind), Some(FaultKind::IndexOutOfRange { index: n, size: 5, axis: 0 }));
    }
}

#[test]
fn a_loop_runs_until_its_body_says_stop_or_its_cap() {
    let until = counting("until", false, ", stop");
    let results = eval(&until, &[Tensor::scalar(0.0), xs()]).expect("no fault");
    assert_eq!((results[0].item(), results[2].item()), (7.0, 3.0));
    assert_eq!(results[1].to_f64_vec(), [0.0, 11.0, 32.0, 0.0]);
    let results = eval(&until, &[Tensor::scalar(-100.0), xs()]).expect("no fault");
    assert_eq!((results[0].item(), results[2].item()), (-85.0, 4.0));
}

#[test]
fn one_side_of_a_branch_runs() {
    let branch = graph(
        "graph(p: bool, n: i64) { r: i64 = cond(p, n) then(n: i64) { q: i64 = int_div(n, n) return q } otherwise(n: i64) { return n }
           return r }",
    );
    let run = |p: bool, n: i64| eval(&branch, &[Tensor::scalar(p), Tensor::scalar(n)]);
    assert_eq!(run(false, 0).expect("the other side")[0].item(), 0.0);
    assert_eq!(run(true, 3).expect("no fault")[0].item(), 1.0);
    assert_eq!(run(true, 0).err().map(|f| f.kind), Some(FaultKind::DivisionByZero));
}

#[test]
fn a_warning_is_reported_once_for_each_place_and_a_fault_has_its_place() {
    let mut body = Builder { span: place(1), ..Builder::default() };
    let c = body.param(Type::scalar(DType::F64));
    body.param(Type::scalar(DType::I64));
    let never = body.constant(Tensor::scalar(false));
    let warn = Op::Guard(Guard::Unconverged { solver: "ista".into() });
    let once = body.op(warn.clone(), &[never, c]);
    body.span = place(2);
    let twice = body.op(warn, &[never, once]);
    let body = Rc::new(body.finish(vec![twice]));
    let mut b = Builder { span: place(3), ..Builder::default() };
    let c = b.param(Type::scalar(DType::F64));
    let looped = b.op(Op::Scan(Scan { body, consts: 0, carries: 1, cap: 5, trips: Trips::All, reverse: false }), &[c]);
    let mut events = Vec::new();
    let results = eval_with(&b.clone().finish(vec![looped]), &[Tensor::scalar(2.0)], &mut |event| events.push(event));
    assert_eq!(results.expect("no fault")[0].item(), 2.0);
    let event = |start| Event::Unconverged { solver: "ista".into(), span: place(start) };
    assert_eq!(events, [event(1), event(2)]);

    b.span = place(4);
    let never = b.constant(Tensor::scalar(false));
    let stop = b.op(Op::Guard(Guard::NotAtFixedPoint { solver: "ista".into() }), &[never, looped]);
    let fault = eval(&b.finish(vec![stop]), &[Tensor::scalar(2.0)]).err();
    assert_eq!(fault, Some(Fault { kind: FaultKind::Unconverged { solver: "ista".to_string() }, span: place(4) }));
}

#[test]
fn the_first_nan_is_found_where_it_arises() {
    // In a loop: 1, 0, -1: the logarithm gives -inf in the second pass. What only hands it on is not named.
    let mut body = Builder::default();
    let c = body.param(Type::scalar(DType::F64));
    body.param(Type::scalar(DType::I64));
    let one = body.scalar(DType::F64, 1.0);
    body.span = place(5);
    let log = body.op(Op::Log, &[c]);
    body.span = place(6);
    let negated = body.neg(log);
    let next = body.sub(c, one);
    let body = Rc::new(body.finish(vec![next, negated]));
    let mut b = Builder::default();
    let c = b.param(Type::scalar(DType::F64));
    let outs = b.emit(Op::Scan(Scan { body, consts: 0, carries: 1, cap: 3, trips: Trips::All, reverse: false }), &[c]);
    let graph = b.finish(outs);
    let found = |start: f64| first_nan(&graph, &[Tensor::scalar(start)]);
    assert_eq!(found(1.0), Some(Origin { span: place(5), op: "log", nan: false }));
    assert_eq!(found(-1.0), Some(Origin { span: place(5), op: "log", nan: true }));
    assert_eq!(found(5.0), None);

    // An infinite constant is meant; the NaN that it makes is not.
    let mut b = Builder::default();
    let x = b.param(Type::scalar(DType::F64));
    let infinity = b.scalar(DType::F64, f64::INFINITY);
    let least = b.op(Op::Min, &[x, infinity]);
    b.span = place(7);
    let product = b.mul(least, infinity);
    let graph = b.finish(vec![product]);
    assert_eq!(first_nan(&graph, &[Tensor::scalar(0.0)]), Some(Origin { span: place(7), op: "mul", nan: true }));
    assert_eq!(first_nan(&graph, &[Tensor::scalar(1.0)]), None);
}

#[test]
fn what_a_selection_throws_away_is_not_blamed() {
    // where(x > 0, log(x), 0) / y: at x = -1 the logarithm is NaN and not taken; only the division makes an infinity.
    let mut b = Builder::default();
    let x = b.param(Type::scalar(DType::F64));
    let y = b.param(Type::scalar(DType::F64));
    let (zero, one) = (b.scalar(DType::F64, 0.0), b.scalar(DType::F64, 1.0));
    b.span = place(1);
    let log = b.op(Op::Log, &[x]);
    let positive = b.op(Op::Lt, &[zero, x]);
    let kept = b.select(positive, log, zero);
    let sum = b.add(kept, one);
    b.span = place(2);
    let quotient = b.div(sum, y);
    let graph = b.finish(vec![quotient]);
    let found = |x: f64, y: f64| first_nan(&graph, &[Tensor::scalar(x), Tensor::scalar(y)]);
    assert_eq!(found(-1.0, 1.0), None);
    assert_eq!(found(-1.0, 0.0), Some(Origin { span: place(2), op: "div", nan: false }));
    assert_eq!(found(f64::NAN, 0.0), Some(Origin { span: place(2), op: "div", nan: false }));
    assert_eq!(found(0.0, 0.0), Some(Origin { span: place(2), op: "div", nan: false }));
    assert_eq!(found(2.0, 3.0), None);
}

#[test]
fn a_value_may_be_an_operand_twice_and_a_result_twice() {
    let twice = graph("graph(x: f64[3]) { y: f64[3] = add(x, x) z: f64[3] = mul(y, y) return z, z, x }");
    let results = eval(&twice, &[vector(&[1.0, 2.0, 3.0])]).expect("no fault");
    assert_eq!(results[0].to_f64_vec(), [4.0, 16.0, 36.0]);
    assert_eq!(results[1].to_f64_vec(), [4.0, 16.0, 36.0]);
    assert_eq!(results[2].to_f64_vec(), [1.0, 2.0, 3.0]);
}

#[test]
fn the_callers_arguments_never_change() {
    let update = graph("graph(x: f64[3], i: i64, u: f64) { y: f64[3] = update(x, u, i) z: f64[3] = neg(y) return z }");
    let x = vector(&[1.0, 2.0, 3.0]);
    eval(&update, &[x.clone(), Tensor::scalar(1i64), Tensor::scalar(9.0)]).expect("no fault");
    assert_eq!(x.to_f64_vec(), [1.0, 2.0, 3.0]);
}

#[test]
fn carried_arrays_and_stacks_are_written_in_place() {
    // Copying the array or the stack in each pass would move 2 * 8 * n * n bytes: minutes.
    let n = 200_000;
    let text = format!(
        "graph(a: f64[{n}]) {{
           b: f64[{n}], s: f64[{n}] = scan[consts=0, carries=1, cap={n}, trips=all, reverse=false](a)
             body(a: f64[{n}], k: i64) {{ t: f64 = convert[to=f64](k) b: f64[{n}] = update(a, t, k) return b, t }}
           return b, s }}"
    );
    let start = Instant::now();
    let results = eval(&graph(&text), &[Tensor::full(DType::F64, &[n], 0.0)]).expect("no fault");
    assert_eq!(results[0].as_slice::<f64>()[n - 1], (n - 1) as f64);
    assert!(results[0].same_bits(&results[1]));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
