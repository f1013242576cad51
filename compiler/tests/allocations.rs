//! From the second call on, compiled code allocates nothing: results are written over, the rest lies in the arena.

use dp_compiler::codegen::{Executable, compile};
use dp_compiler::measure::{self, Program, World};
use dp_compiler::opt::optimize;
use dp_runtime::pool;
use dp_runtime::tensor::{DType, Tensor};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts what this thread asks of it.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    /// Of these, those of at least `LARGE` bytes.
    static LARGE_COUNT: Cell<usize> = const { Cell::new(0) };
}

const LARGE: usize = 100_000;

// Both calls are the system's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // While a thread ends there is no count any more.
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        if layout.size() >= LARGE {
            let _ = LARGE_COUNT.try_with(|count| count.set(count.get() + 1));
        }
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The allocations of the second call and of the third.
fn allocations(code: &Executable, inputs: &[Tensor]) -> [usize; 2] {
    let mut outs = Vec::new();
    let mut call = || {
        let before = COUNT.get();
        code.run_into(inputs, &mut outs, &mut |_| {}).unwrap_or_else(|fault| panic!("{fault:?}"));
        COUNT.get() - before
    };
    call();
    [call(), call()]
}

fn check(programs: Vec<Program>) {
    // Without other threads, whose start is counted for the first region.
    pool::set_threads(1);
    for program in programs {
        let mut world = World::new(program.precision);
        world.run(&program.data);
        world.run(&program.text);
        let (lowered, _) = world.lower(&program.expression);
        let code = compile(&optimize(&lowered.graph)).unwrap_or_else(|error| panic!("{}: {error}", program.name));
        assert_eq!(allocations(&code, &lowered.inputs), [0, 0], "{}", program.name);
    }
}

/// Parameters and what the optimizer keeps of them are written over from step to step.
#[test]
fn steps_of_a_training_allocate_nothing_large() {
    pool::set_threads(1);
    let large = |steps: usize| {
        let mut world = World::new(DType::F64);
        let before = LARGE_COUNT.get();
        world.run(&format!(
            "network layer(x: real[150]) -> real[150] {{\n    param W: real[150, 150] = normal(150, 150) / 20\n    tanh(W @ x)\n}}\n\
             let X = normal(8, 150)\ntrain layer {{\n    minimize sumsq(layer(each X) - X)\n    using adam(1e-3)\n    steps {steps}\n}}\n"
        ));
        LARGE_COUNT.get() - before
    };
    let [few, many] = [large(5), large(40)];
    assert!(few > 0 && few == many, "{few} large allocations in 5 steps, {many} in 40");
}

#[test]
fn standard_programs_allocate_nothing() {
    check(measure::standard());
}

#[test]
fn kernels_allocate_nothing() {
    let data = "let A = normal(40, 40) + 40 * eye(40)\nlet B = normal(40, 3)\nlet x = normal(1000)\nlet T = normal(50, 70, 30)\n\
                let k = key(3)\nlet i = [3, 1, 2]\nlet U = normal(5, 6, 7, 8)\n";
    let expressions = [
        "solve(A, B)",
        "svd(B).s",
        "sort(x)",
        "split(k, 50)",
        "permutation(1000, key: k)",
        "cumsum(T, axis: 1)",
        "permute(T, 2, 1, 0)",
        "U[i, i, i]",
        "normal(100, key: k) + x[0:100]",
        "sum(x * x) + max(x)",
        "argmax(x)",
        "loop t = 0.5 until t > 100 within 300000 { t <- 1.5 * t }",
        "sumsq(A @ A @ B)",
        "A @ x[0:40]",
    ];
    let program = |expression: &&str| Program {
        name: expression.to_string(),
        precision: DType::F64,
        data: data.to_string(),
        text: String::new(),
        expression: expression.to_string(),
    };
    check(expressions.iter().map(program).collect());
}
