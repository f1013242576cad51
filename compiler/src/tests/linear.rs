//! What reverse mode costs: the gradient of a loop over an array's elements takes a constant times the time of the loop, for
//! any number of elements. `cargo test -p dp-compiler costs -- --nocapture` prints the times.

use crate::ad::grad_graph;
use crate::codegen::{Executable, compile};
use crate::ir::graph::Graph;
use crate::ir::text::parse;
use crate::opt::optimize;
use dp_runtime::tensor::Tensor;
use std::time::Instant;

/// A chain over the elements: `s <- s / 2 + sin(v[i])`.
fn chain(n: usize) -> String {
    format!(
        "graph(v: f64[{n}]) {{
           z: f64 = const[value=f64 {{0.0}}]()
           s: f64 = scan[consts=1, carries=1, cap={n}, trips=all, reverse=false](v, z) body(v: f64[{n}], s: f64, k: i64) {{
             h: f64 = const[value=f64 {{0.5}}]() a: f64 = mul(h, s) x: f64 = gather(v, k) y: f64 = sin(x) t: f64 = add(a, y)
             return t }}
           return s }}"
    )
}

/// Elements replaced one by one, each from the one before: `v[i + 1] <- v[i] / 2 + sin(v[i + 1])`.
fn filled(n: usize) -> String {
    let cap = n - 1;
    format!(
        "graph(v: f64[{n}]) {{
           w: f64[{n}] = scan[consts=0, carries=1, cap={cap}, trips=all, reverse=false](v) body(v: f64[{n}], k: i64) {{
             h: f64 = const[value=f64 {{0.5}}]() x: f64 = gather(v, k) a: f64 = mul(h, x)
             o: i64 = const[value=i64 {{1}}]() i: i64 = add(k, o) u: f64 = gather(v, i) y: f64 = sin(u) t: f64 = add(a, y)
             w: f64[{n}] = update(v, t, i)
             return w }}
           s: f64 = sum[axes=[0]](w)
           return s }}"
    )
}

/// A loop that stops by a rule and reads elements at an index of its own, from both ends: `s <- s + v[i] v[n - 1 - i] cos(s)`.
fn until(n: usize) -> String {
    let last = n - 1;
    format!(
        "graph(v: f64[{n}]) {{
           z: f64 = const[value=f64 {{0.0}}]() j: i64 = const[value=i64 {{0}}]()
           s: f64, i: i64, c: i64 = scan[consts=1, carries=2, cap={n}, trips=until, reverse=false](v, z, j)
             body(v: f64[{n}], s: f64, i: i64, k: i64) {{
             m: i64 = const[value=i64 {{{last}}}]() o: i64 = const[value=i64 {{1}}]() b: i64 = sub(m, i)
             x: f64 = gather(v, i) y: f64 = gather(v, b) p: f64 = mul(x, y) q: f64 = cos(s) r: f64 = mul(p, q)
             t: f64 = add(s, r) l: i64 = add(i, o) e: bool = le(m, i)
             return t, l, e }}
           return s }}"
    )
}

/// The shortest of three runs, in seconds.
fn seconds(executable: &Executable, inputs: &[Tensor]) -> f64 {
    let run = |_| {
        let start = Instant::now();
        executable.run(inputs).expect("no fault");
        start.elapsed().as_secs_f64()
    };
    (0..3).map(run).fold(f64::INFINITY, f64::min)
}

fn compiled(graph: &Graph) -> Executable {
    compile(&optimize(graph)).expect("it can be compiled")
}

#[test]
fn a_gradient_costs_a_constant_times_the_loop() {
    type Loop = (&'static str, fn(usize) -> String);
    let loops: [Loop; 3] = [("a chain", chain), ("elements replaced", filled), ("until a rule", until)];
    for (name, text) in loops {
        let mut times = Vec::new();
        for n in [100, 1_000, 10_000, 100_000, 1_000_000] {
            let graph = parse(&text(n)).unwrap_or_else(|why| panic!("{name}: {why}"));
            let gradient = grad_graph(&graph, &[true]).expect("a gradient");
            let inputs = [Tensor::from_vec(&[n], (0..n).map(|i| (i % 17) as f64 * 0.1 - 0.8).collect())];
            let (value, gradient) = (seconds(&compiled(&graph), &inputs), seconds(&compiled(&gradient), &inputs));
            println!(
                "{name:18} n = {n:7}: value {value:9.2e} s, gradient {gradient:9.2e} s, ratio {:5.1}",
                gradient / value
            );
            times.push((value, gradient));
        }
        // Ten times the elements take ten times as long, not a hundred times; the machine may be busy.
        let (fewer, most) = (times[3], times[4]);
        assert!(most.1 < 40.0 * fewer.1.max(1e-3), "{name}: {} s for 10^5, {} s for 10^6", fewer.1, most.1);
        assert!(most.1 < 60.0 * most.0.max(1e-3), "{name}: {} s for the gradient, {} s for the value", most.1, most.0);
    }
}
