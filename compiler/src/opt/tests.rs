//! The passes on Graphs written down and on random ones: the same bits before and after.

use super::*;
use crate::ir::builder::Builder;
use crate::ir::eval::eval;
use crate::ir::graph::{Type, Var};
use crate::ir::text::{parse, print};
use crate::prims;
use crate::prims::sample::graphs::random_graph;
use crate::prims::sample::{Rng, awkward, same};
use dp_runtime::tensor::{DType, Tensor};

type Pass = fn(&Graph) -> Graph;

const PASSES: [(&str, Pass); 8] = [
    ("inline", inline::inline),
    ("dce", dce::dce),
    ("cse", cse::cse),
    ("local", local::local),
    ("loops", loops::loops),
    ("hoist", hoist::hoist),
    ("tidy", tidy),
    ("optimize", optimize),
];

fn agree(name: &str, before: &Graph, after: &Graph, args: &[Tensor]) {
    let why = |what: &str| format!("{name}: {what}\n{}\n{}", print(before), print(after));
    verify(after).unwrap_or_else(|wrong| panic!("{}", why(&wrong)));
    assert_eq!(before.param_types(), after.param_types(), "{}", why("parameters"));
    assert_eq!(before.result_types(), after.result_types(), "{}", why("results"));
    let (old, new) = (eval(before, args), eval(after, args));
    match (old, new) {
        (Ok(old), Ok(new)) => assert!(old.iter().zip(&new).all(|(a, b)| same(a, b)), "{}", why("other bits")),
        (Ok(_), Err(fault)) => panic!("{}", why(&format!("a new fault: {fault:?}"))),
        (Err(_), _) => {}
    }
}

#[test]
fn every_pass_keeps_the_bits_of_random_graphs() {
    for seed in 0..300 {
        let (graph, args) = random_graph(&mut Rng::new(seed), 15);
        for (name, pass) in PASSES {
            agree(&format!("{name}, seed {seed}"), &graph, &pass(&graph), &args);
        }
    }
}

#[test]
fn passes_in_any_order_keep_the_bits() {
    for seed in 1000..1100 {
        let mut rng = Rng::new(seed);
        let (graph, args) = random_graph(&mut rng, 12);
        let mut now = graph.clone();
        let mut names = format!("seed {seed}:");
        for _ in 0..6 {
            let (name, pass) = *rng.pick(&PASSES);
            names = format!("{names} {name}");
            now = pass(&now);
        }
        agree(&names, &graph, &now, &args);
    }
}

#[test]
fn every_pass_keeps_the_bits_of_single_uses() {
    let mut rng = Rng::new(1);
    for row in prims::rows() {
        let mut uses = vec![(row.sample)(&mut rng), (row.sample)(&mut rng)];
        uses.extend((row.special)());
        for (op, args) in uses {
            // Once with parameters, once with constants.
            let mut b = Builder::default();
            let params: Vec<Var> = args.iter().map(|arg| b.param(Type::of(arg))).collect();
            let outs = b.emit(op.clone(), &params);
            let open = b.finish(outs);
            let mut b = Builder::default();
            let consts: Vec<Var> = args.iter().map(|arg| b.constant(arg.clone())).collect();
            let outs = b.emit(op, &consts);
            let closed = b.finish(outs);
            for (name, pass) in PASSES {
                agree(name, &open, &pass(&open), &args);
                agree(name, &closed, &pass(&closed), &[]);
            }
        }
    }
}

/// Runs a pass (and removes dead code) on text.
fn after(pass: Pass, text: &str) -> String {
    let graph = parse(text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    print(&dce::dce(&pass(&graph)))
}

fn expect(pass: Pass, before: &str, expected: &str) {
    let wanted = print(&parse(expected).unwrap_or_else(|why| panic!("{why}\n{expected}")));
    assert_eq!(after(pass, before), wanted, "from\n{before}");
}

#[test]
fn simplifications_hold_for_awkward_numbers_and_do_happen() {
    let ones = "one: f64 = const[value=f64 {1.0}]() k: f64[17] = broadcast[shape=[17], axes=[]](one)";
    let constant = |value: &str| ones.replace("1.0", value);
    let cases = [
        (ones.to_string(), "mul(x, k)", "return x"),
        (ones.to_string(), "mulz(k, x)", "return x"),
        (ones.to_string(), "div(x, k)", "return x"),
        (constant("-0.0"), "add(x, k)", "return x"),
        (constant("-0.0"), "add(k, x)", "return x"),
        (constant("0.0"), "sub(x, k)", "return x"),
        (constant("-1.0"), "mul(x, k)", "y: f64[17] = neg(x) return y"),
        ("k: f64[17] = neg(x)".to_string(), "neg(k)", "return x"),
        ("k: f64[17] = neg(x)".to_string(), "add(x, k)", "y: f64[17] = sub(x, x) return y"),
        ("k: f64[17] = neg(x)".to_string(), "sub(x, k)", "y: f64[17] = add(x, x) return y"),
        (String::new(), "max(x, x)", "return x"),
        ("k: bool[17] = lt(x, x)".to_string(), "select(k, x, x)", "return x"),
        ("k: f64[1,17] = reshape[shape=[1,17]](x)".to_string(), "reshape[shape=[17]](k)", "return x"),
        ("k: f64[17] = reverse[axes=[0]](x)".to_string(), "reverse[axes=[0]](k)", "return x"),
        (String::new(), "slice[start=[0], stop=[17], stride=[1]](x)", "return x"),
        (String::new(), "pad[low=[0], high=[0], interior=[0]](x)", "return x"),
        (String::new(), "concat[axis=0](x)", "return x"),
    ];
    for (setup, use_of_k, expected) in cases {
        let before = format!("graph(x: f64[17]) {{ {setup} r: f64[17] = {use_of_k} return r }}");
        let expected = format!("graph(x: f64[17]) {{ {expected} }}");
        expect(local::local, &before, &expected);
        let graph = parse(&before).expect("it is well written");
        agree("local", &graph, &local::local(&graph), &[awkward(DType::F64)]);
    }
}

#[test]
fn what_would_change_bits_stays() {
    for text in [
        // -0 + 0 is 0.
        "z: f64 = const[value=f64 {0.0}]() r: f64 = add(x, z)",
        // -0 - -0 is 0.
        "z: f64 = const[value=f64 {-0.0}]() r: f64 = sub(x, z)",
        // NaN and infinity times 0; -0.
        "z: f64 = const[value=f64 {0.0}]() r: f64 = mul(x, z)",
        "z: f64 = const[value=f64 {0.0}]() r: f64 = mulz(x, z)",
        "r: f64 = sub(x, x)",
        "r: f64 = div(x, x)",
        "y: f32 = convert[to=f32](x) r: f64 = convert[to=f64](y)",
        "y: i64 = convert[to=i64](x) r: f64 = convert[to=f64](y)",
        "y: f64 = exp(x) r: f64 = log(y)",
        // An index out of range stays a fault.
        "i: i64 = const[value=i64 {7}]() c: f64[2] = const[value=f64[2] {1.0, 2.0}]() r: f64 = gather(c, i)",
    ] {
        let text = format!("graph(x: f64) {{ {text} return r }}");
        let before = parse(&text).expect("it is well written");
        assert_eq!(print(&optimize(&before)), print(&before));
    }
}

#[test]
fn views_of_views_are_one_view() {
    expect(
        local::local,
        "graph(x: f32[2,3]) { a: f32[3,2] = permute[perm=[1,0]](x) b: f32[3,2,1] = reshape[shape=[3,2,1]](a)
           c: f32[2,3] = permute[perm=[1,0]](a) d: f32[4,2,3] = broadcast[shape=[4,2,3], axes=[1,2]](c)
           e: f32[4,2,3,5] = broadcast[shape=[4,2,3,5], axes=[0,1,2]](d) return b, c, e }",
        "graph(x: f32[2,3]) { a: f32[3,2] = permute[perm=[1,0]](x) b: f32[3,2,1] = reshape[shape=[3,2,1]](a)
           e: f32[4,2,3,5] = broadcast[shape=[4,2,3,5], axes=[1,2]](x) return b, x, e }",
    );
    expect(
        local::local,
        "graph(x: f32[3]) { a: f32[3,1] = broadcast[shape=[3,1], axes=[0]](x) b: f32[1,3] = permute[perm=[1,0]](a) return b }",
        "graph(x: f32[3]) { b: f32[1,3] = reshape[shape=[1,3]](x) return b }",
    );
    expect(
        local::local,
        "graph(x: bool[3]) { a: f32[3] = convert[to=f32](x) b: i64[3] = convert[to=i64](a) c: bool[3] = convert[to=bool](b) return b, c }",
        "graph(x: bool[3]) { b: i64[3] = convert[to=i64](x) return b, x }",
    );
}

#[test]
fn a_product_of_one_term_with_a_vector_is_elementwise() {
    let text = after(optimize, "graph(x: f32[3,4,1], y: f32[3,1,1]) { a: f32[3,4,1] = dot[batch=1](x, y) return a }");
    assert!(!text.contains("dot"), "{text}");
    // An outer product is one chain each, whose -0 may stay.
    let outer = "graph(x: f32[4,1], y: f32[1,2]) { a: f32[4,2] = dot[batch=0](x, y) return a }";
    expect(optimize, outer, outer);
}

#[test]
fn constants_are_folded_unless_they_fault() {
    expect(
        local::local,
        "graph() { a: f64 = const[value=f64 {2.0}]() b: f64 = sqrt(a) c: f64[5] = broadcast[shape=[5], axes=[]](a)
           d: f64[5] = mul(c, c) return b, d }",
        "graph() { b: f64 = const[value=f64 {1.4142135623730951}]() a: f64 = const[value=f64 {4.0}]()
           d: f64[5] = broadcast[shape=[5], axes=[]](a) return b, d }",
    );
    let faulty = "graph() { a: i64 = const[value=i64 {0}]() b: i64 = int_div(a, a) return b }";
    expect(optimize, faulty, faulty);
}

#[test]
fn repeated_equations_are_merged_in_either_order_of_operands() {
    expect(
        cse::cse,
        "graph(x: f64, y: f64) { a: f64 = add(x, y) b: f64 = add(y, x) c: f64 = sub(x, y) d: f64 = sub(y, x)
           e: f64 = mul(a, b) return e, c, d }",
        "graph(x: f64, y: f64) { a: f64 = add(x, y) c: f64 = sub(x, y) d: f64 = sub(y, x) e: f64 = mul(a, a) return e, c, d }",
    );
    // The zeros differ.
    let zeros = "graph() { a: f64 = const[value=f64 {0.0}]() b: f64 = const[value=f64 {-0.0}]() return a, b }";
    expect(cse::cse, zeros, zeros);
    // Equal loops, too.
    let scan = |n: &str, f: &str| {
        format!(
            "{n}: f64 = scan[consts=0, carries=1, cap=3, trips=all, reverse=false](x) body(c: f64, k: i64) {{ d: f64 = {f}(c) return d }}"
        )
    };
    let (a, b, c) = (scan("a", "sin"), scan("b", "sin"), scan("c", "cos"));
    expect(
        cse::cse,
        &format!("graph(x: f64) {{ {a} {b} {c} return a, b, c }}"),
        &format!("graph(x: f64) {{ {a} {c} return a, a, c }}"),
    );
}

#[test]
fn dead_parts_of_loops_and_branches_vanish() {
    // `dead` feeds itself only, `out` is not used; with them go a constant and a stacked input.
    expect(
        dce::dce,
        "graph(x: f64, y: f64, s: f64[3], t: f64[3]) {
           a: f64, dead: f64, out: f64[3], kept: f64[3] = scan[consts=2, carries=2, cap=3, trips=all, reverse=false](x, y, x, y, s, t)
             body(p: f64, q: f64, c: f64, d: f64, k: i64, u: f64, v: f64) {
               e: f64 = mul(c, p) f: f64 = mul(d, q) g: f64 = add(f, v) h: f64 = add(e, u) return h, g, g, c }
           w: f64 = exp(y) return a, kept }",
        "graph(x: f64, y: f64, s: f64[3], t: f64[3]) {
           a: f64, kept: f64[3] = scan[consts=1, carries=1, cap=3, trips=all, reverse=false](x, x, s)
             body(p: f64, c: f64, k: i64, u: f64) { e: f64 = mul(c, p) h: f64 = add(e, u) return h, c }
           return a, kept }",
    );
    // A carry that another one needs stays.
    let chained = "graph(x: f64, y: f64) {
           a: f64, b: f64 = scan[consts=0, carries=2, cap=3, trips=all, reverse=false](x, y)
             body(c: f64, d: f64, k: i64) { e: f64 = add(c, d) f: f64 = exp(d) return e, f }
           return a }";
    expect(dce::dce, chained, chained);
    expect(
        dce::dce,
        "graph(p: bool, x: f64, y: f64) { a: f64, b: f64 = cond(p, x, y)
           then(u: f64, v: f64) { w: f64 = neg(v) return u, w } otherwise(u: f64, v: f64) { return u, v }
           return a }",
        "graph(p: bool, x: f64, y: f64) { a: f64 = cond(p, x) then(u: f64) { return u } otherwise(u: f64) { return u } return a }",
    );
    expect(
        dce::dce,
        "graph(p: bool, x: f64, y: f64) { a: f64, b: f64 = guard[kind=unconverged, solver=\"s\"](p, x, y) return a }",
        "graph(p: bool, x: f64, y: f64) { a: f64 = guard[kind=unconverged, solver=\"s\"](p, x) return a }",
    );
}

#[test]
fn what_does_not_change_leaves_the_loop() {
    expect(
        hoist::hoist,
        "graph(x: f64[2], y: f64) {
           a: f64[2] = scan[consts=1, carries=1, cap=3, trips=all, reverse=false](y, x) body(p: f64, c: f64[2], k: i64) {
             e: f64 = exp(p) f: f64 = sqrt(e) g: f64[2] = broadcast[shape=[2], axes=[]](f) h: f64[2] = mul(c, g) return h }
           return a }",
        "graph(x: f64[2], y: f64) { e: f64 = exp(y) f: f64 = sqrt(e)
           a: f64[2] = scan[consts=1, carries=1, cap=3, trips=all, reverse=false](f, x) body(p: f64, c: f64[2], k: i64) {
             g: f64[2] = broadcast[shape=[2], axes=[]](p) h: f64[2] = mul(c, g) return h }
           return a }",
    );
    // Out of two loops at once.
    let nested = after(
        hoist::hoist,
        "graph(x: f64, y: f64) {
           a: f64 = scan[consts=1, carries=1, cap=3, trips=all, reverse=false](y, x) body(p: f64, c: f64, k: i64) {
             b: f64 = scan[consts=1, carries=1, cap=2, trips=all, reverse=false](p, c) body(q: f64, d: f64, l: i64) {
               e: f64 = exp(q) f: f64 = mul(d, e) return f }
             return b }
           return a }",
    );
    assert!(nested.contains("\n  v2: f64 = exp(v1)"), "{nested}");
    // What may fault stays: the loop may not run.
    let faulty = "graph(x: i64, y: i64) {
           a: i64 = scan[consts=1, carries=1, cap=3, trips=all, reverse=false](y, x) body(p: i64, c: i64, k: i64) {
             e: i64 = mod(p, p) f: i64 = add(c, e) return f }
           return a }";
    expect(hoist::hoist, faulty, faulty);
    let safe = after(
        optimize,
        "graph(x: i64, y: i64) { n: i64 = const[value=i64 {3}]()
           a: i64 = scan[consts=2, carries=1, cap=3, trips=all, reverse=false](y, n, x) body(p: i64, n: i64, c: i64, k: i64) {
             e: i64 = mod(p, n) f: i64 = add(c, e) return f }
           return a }",
    );
    assert!(safe.contains("\n  v3: i64 = mod(v1, v2)"), "{safe}");
}

#[test]
fn loops_keep_only_what_changes() {
    expect(
        |g| local::local(&loops::loops(g)),
        "graph(x: f64, y: f64[2]) { one: f64 = const[value=f64 {1.0}]() rows: f64[3,2] = broadcast[shape=[3,2], axes=[1]](y)
           a: f64, b: f64[2], s: f64[3], t: f64[3,2], n: i64[3] =
             scan[consts=1, carries=2, cap=3, trips=all, reverse=false](one, x, y, rows) body(p: f64, c: f64, d: f64[2], k: i64, r: f64[2]) {
               q: f64[2] = add(d, r) e: f64 = sum[axes=[0]](q) f: f64 = mul(p, e) g: f64 = add(c, f) return g, d, g, r, k }
           return a, b, s, t, n }",
        "graph(x: f64, y: f64[2]) {
           t: f64[3,2] = broadcast[shape=[3,2], axes=[1]](y)
           a: f64, s: f64[3] = scan[consts=1, carries=1, cap=3, trips=all, reverse=false](y, x) body(d: f64[2], c: f64, k: i64) {
               q: f64[2] = add(d, d) e: f64 = sum[axes=[0]](q) g: f64 = add(c, e) return g, g }
           n: i64[3] = iota[shape=[3], axis=0]()
           return a, y, s, t, n }",
    );
}

#[test]
fn branches_with_a_known_predicate_and_loops_that_never_run_vanish() {
    expect(
        local::local,
        "graph(x: f64) { p: bool = const[value=bool {false}]()
           a: f64 = cond(p, x) then(u: f64) { v: f64 = exp(u) return v } otherwise(u: f64) { v: f64 = sin(u) return v }
           b: f64, s: f64[0] = scan[consts=0, carries=1, cap=0, trips=all, reverse=false](a) body(c: f64, k: i64) { return c, c }
           return b, s }",
        "graph(x: f64) { v: f64 = sin(x) z: f64 = const[value=f64 {0.0}]() s: f64[0] = broadcast[shape=[0], axes=[]](z) return v, s }",
    );
}

#[test]
fn calls_are_inlined_by_optimize_and_kept_by_tidy() {
    let text = "graph(x: f64) { a: f64 = call[rule=recompute](x) body(u: f64) { v: f64 = exp(u) return v }
          b: f64 = stop_gradient(a) return b }";
    expect(optimize, text, "graph(x: f64) { v: f64 = exp(x) return v }");
    expect(tidy, text, text);
    expect(
        tidy,
        &text.replace("recompute", "inline"),
        "graph(x: f64) { v: f64 = exp(x) b: f64 = stop_gradient(v) return b }",
    );
}

#[test]
fn passes_take_time_about_linear_in_the_number_of_equations() {
    // Quadratic passes would need minutes here.
    let mut b = Builder::default();
    let mut x = b.param(Type::scalar(DType::F64));
    let first = x;
    for i in 0..100_000 {
        let op = if i % 3 == 0 { Op::Add } else { Op::Mul };
        x = b.op(op, &[x, first]);
    }
    let graph = b.finish(vec![x]);
    for (name, pass) in PASSES {
        assert_eq!(pass(&graph).eqns.len(), graph.eqns.len(), "{name}");
    }
}
