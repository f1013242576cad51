//! What does not depend on the clock: the sizes of the standard programs after compilation. A change for the worse is
//! a loss of speed or memory that no timing shows; after one for the better the table should be tightened.

use dp_compiler::measure::{World, standard};

/// For each standard program, at most: equations after optimization, loop nests, bytes of the arena, bytes of code,
/// functions.
const TABLE: &[(&str, [usize; 5])] = &[
    ("LISTA-16 forward, (64, 256), batch 64", [22, 2, 327680, 1120, 4]),
    ("LISTA-16 value and gradient, (64, 256), batch 64", [70, 11, 2623488, 4960, 4]),
    ("FISTA to its rule, batch 64", [72, 11, 344448, 5099, 4]),
    ("ridge regression, implicit gradient", [97, 12, 5504, 3824, 4]),
    ("training step, LISTA-16 by Adam", [124, 13, 3344384, 12064, 4]),
    ("depth 3, 1000 steps", [32, 6, 8832, 1408, 4]),
    ("Lotka-Volterra, 1000 steps of Runge and Kutta, value and gradient", [164, 0, 16000, 3232, 4]),
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
        let sizes = [equations, code.fused_loops(), code.arena_bytes(), code.code_bytes(), code.functions()];
        let row = TABLE.iter().find(|(name, _)| *name == program.name).map(|(_, sizes)| sizes);
        let kept = |want: &[usize; 5]| (0..5).all(|i| 100 * sizes[i] <= (100 + SLACK) * want[i]);
        differ |= !row.is_some_and(kept);
        found += &format!("    ({:?}, {sizes:?}),\n", program.name);
    }
    assert!(!differ, "sizes have grown; if that is meant, replace the rows of TABLE in this file by\n{found}");
}
