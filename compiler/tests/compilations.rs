//! Code that is dropped is freed.
#![cfg(target_os = "linux")]

use dp_compiler::codegen::compile;
use dp_compiler::ir::graph::Graph;
use dp_compiler::measure::{self, World};
use dp_compiler::opt::optimize;

/// The process's memory, in bytes: pages that it has touched.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("the system tells");
    let pages = text.split_whitespace().nth(1).and_then(|word| word.parse::<usize>().ok());
    pages.expect("the second number") * 4096
}

/// Some Graphs of different kinds.
fn graphs() -> Vec<Graph> {
    let programs = measure::standard();
    let chosen = programs.iter().filter(|program| program.name.contains("gradient"));
    let lower = |program: &measure::Program| {
        let mut world = World::new(program.precision);
        world.run(&program.data);
        world.run(&program.text);
        optimize(&world.lower(&program.expression).0.graph)
    };
    chosen.map(lower).collect()
}

/// The growth over `count` compilations.
fn growth(count: usize) -> usize {
    let graphs = graphs();
    let compile_some = |count: usize| {
        for k in 0..count {
            let code = compile(&graphs[k % graphs.len()]).unwrap_or_else(|error| panic!("{error}"));
            assert!(code.code_bytes() > 0);
        }
    };
    compile_some(30);
    let before = resident();
    compile_some(count);
    resident().saturating_sub(before)
}

#[test]
fn compilations_do_not_pile_up() {
    let bytes = growth(150);
    assert!(bytes < 4 << 20, "{bytes} bytes more after 150 compilations");
}

/// Run it in release mode: `cargo test --release --test compilations -- --ignored`.
#[test]
#[ignore = "minutes without optimization"]
fn ten_thousand_compilations_do_not_pile_up() {
    let bytes = growth(10_000);
    assert!(bytes < 20 << 20, "{bytes} bytes more after 10,000 compilations");
}
