//! What does not depend on the clock: the sizes of the standard programs after compilation. A change for the worse is
//! a loss of speed or memory that no timing shows; after one for the better the table should be tightened.

use dp_compiler::measure::{Program, World, standard};
use dp_runtime::tensor::DType;

/// For each standard program, at most: equations after optimization, loop nests, bytes of the arena, of these the packed operands,
/// bytes of code, functions.
const TABLE: &[(&str, [usize; 6])] = &[
    ("LISTA-16 forward, (64, 256), batch 64", [22, 2, 327680, 262144, 1120, 2]),
    ("LISTA-16 value and gradient, (64, 256), batch 64", [70, 11, 2623488, 524288, 5040, 2]),
    ("FISTA to its rule, batch 64", [72, 11, 328896, 131072, 5099, 2]),
    ("ridge regression, implicit gradient", [97, 12, 5504, 0, 3856, 1]),
    ("training step, LISTA-16 by Adam", [124, 13, 3297280, 524288, 11984, 3]),
    ("depth 3, 1000 steps", [32, 6, 8832, 0, 1408, 1]),
    ("Lotka-Volterra, 1000 steps of Runge and Kutta, value and gradient", [164, 0, 16000, 0, 4512, 1]),
];

/// How far above the table each may be, in percent. The bytes of code depend a little on the processor.
const SLACK: usize = 10;

#[test]
fn programs_keep_their_sizes() {
    let mut found = String::new();
    let mut differ = false;
    for program in standard() {
        let (_, ready) = World::of(&program);
        let code = ready.code.executable().expect("it was compiled");
        let equations = ready.code.graph().count_eqns();
        let bytes = [code.arena_bytes(), code.packed_bytes(), code.code_bytes()];
        let sizes = [equations, code.fused_loops(), bytes[0], bytes[1], bytes[2], code.functions()];
        let row = TABLE.iter().find(|(name, _)| *name == program.name).map(|(_, sizes)| sizes);
        let kept = |want: &[usize; 6]| (0..6).all(|i| 100 * sizes[i] <= (100 + SLACK) * want[i]);
        differ |= !row.is_some_and(kept);
        found += &format!("    ({:?}, {sizes:?}),\n", program.name);
    }
    assert!(!differ, "sizes have grown; if that is meant, replace the rows of TABLE in this file by\n{found}");
}

const DATA: &str =
    "let X = normal(10000, 8)\nlet C = normal(16, 8)\nlet Y = normal(500, 400)\nlet K = normal(200, 190)\n";
const TEXT: &str = "fn cost(C: real[k, d], X: real[n, d]) = sum(min([sumsq(X[i] - C[j]) for j in k]) for i in n)\n";

/// Expressions of which arrays of all terms are never in memory: at most bytes of the arena in 64 bits.
const FUSED: &[(&str, usize)] = &[
    ("cost(C, X)", 0),
    ("sum(max(abs(X[i])) for i in 10000)", 0),
    ("sum(norm(X[i] - C[0]) for i in 10000)", 0),
    ("sum(Y^2)", 0),
    ("sum(exp(-sumsq(X[i] - C[j])) for i in 10000, j in 15)", 0),
    ("sum(abs(Y[i + 1, j] - Y[i, j]) + abs(Y[i, j + 1] - Y[i, j]) for i in 499, j in 399)", 0),
    ("sum((X[i, k] * C[j, k])^2 for i in 10000, j in 16, k in 8)", 0),
    // The matrix, which is written over, and Householder vectors of blocks.
    ("opnorm(K)", 8 * 200 * 190 * 3 / 2),
    ("sum(singular_values(K))", 8 * 200 * 190 * 3 / 2),
];

#[test]
fn fused_programs_have_no_arrays_between() {
    let mut found = String::new();
    let mut grown = false;
    for &(expression, most) in FUSED {
        let shown = expression;
        let [name, data, text, expression] = [expression, DATA, TEXT, expression].map(str::to_string);
        let (_, ready) = World::of(&Program { name, precision: DType::F64, data, text, expression });
        let code = ready.code.executable().expect("it was compiled");
        grown |= code.arena_bytes() > most;
        found += &format!("    ({:?}, {}), at most {most}\n", shown, code.arena_bytes());
    }
    assert!(!grown, "arrays are in memory that need not be:\n{found}");
}
