//! Whether a statement that runs once is done sooner by the evaluator than by compiling it. The bits are the same, so
//! this is only about time, and a rough estimate is enough.

use crate::codegen::plan::pieces::weight;
use crate::ir::graph::{Graph, Op, Trips};
use crate::prims;

/// About what the compilation of a small Graph takes, in nanoseconds, and of each equation.
const COMPILE: f64 = 4e5;
const COMPILE_EQUATION: f64 = 2e4;
/// Passes of a loop with a rule, such as the search for a step, whose cap is seldom reached.
const SEARCH: usize = 4;
/// What the evaluator takes for any equation, and for one element of a light one.
const EQUATION: f64 = 500.0;
const ELEMENT: f64 = 2.0;

/// True if the evaluator is likely done before the code would be there. Never for loops.
pub fn evaluated_sooner(graph: &Graph) -> bool {
    let mut equations = 0;
    match evaluation(graph, false, &mut equations) {
        Some(time) => time < COMPILE + COMPILE_EQUATION * equations as f64,
        None => false,
    }
}

/// About the nanoseconds that the evaluator takes for a Graph with its loops.
pub fn evaluation_with_loops(graph: &Graph) -> f64 {
    evaluation(graph, true, &mut 0).unwrap_or(f64::INFINITY)
}

/// Nanoseconds in the evaluator beyond those of native code; `None` if there is a loop and loops are not wanted.
fn evaluation(graph: &Graph, loops: bool, equations: &mut usize) -> Option<f64> {
    let mut total = 0.0;
    for eqn in &graph.eqns {
        *equations += 1;
        let elements =
            |vars: &[crate::ir::graph::Var]| vars.iter().map(|&v| graph.ty(v).len()).max().unwrap_or(0) as f64;
        let size = elements(&eqn.args).max(elements(&eqn.outs));
        total += EQUATION
            + match &eqn.op {
                Op::Scan(scan) if loops => {
                    let passes = if scan.trips == Trips::Until { scan.cap.min(SEARCH) } else { scan.cap };
                    passes as f64 * evaluation(&scan.body, loops, equations)?
                }
                Op::Scan(_) => return None,
                Op::Cond { then, otherwise } => {
                    evaluation(then, loops, equations)?.max(evaluation(otherwise, loops, equations)?)
                }
                Op::Call { body, .. } => evaluation(body, loops, equations)?,
                Op::Dot { batch } => {
                    let inner = graph.shape(eqn.args[0])[batch + 1] as f64;
                    graph.ty(eqn.outs[0]).len() as f64 * inner
                }
                // Taps at the edge that take no part are counted too.
                Op::Conv { batch, .. } => {
                    let taps: usize = graph.shape(eqn.args[1])[batch + 1..].iter().product();
                    graph.ty(eqn.outs[0]).len() as f64 * taps as f64
                }
                // The same kernels on both sides.
                Op::Const(_) | Op::Svd | Op::SingularValues | Op::Solve | Op::Normal { .. } | Op::Uniform { .. } => 0.0,
                Op::Split { .. } | Op::Permutation { .. } | Op::FoldIn => 0.0,
                op if prims::is_elementwise(op) => size * ELEMENT * (1.0 + weight(op) as f64 / 10.0),
                _ => size * ELEMENT,
            };
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::builder::Builder;
    use crate::ir::graph::Type;
    use dp_runtime::kernels::conv::Window;
    use dp_runtime::tensor::DType;

    fn product(n: usize) -> Graph {
        let mut b = Builder::default();
        let x = b.param(Type::new(DType::F64, &[n, n]));
        let y = b.op(Op::Dot { batch: 0 }, &[x, x]);
        b.finish(vec![y])
    }

    fn convolution(n: usize) -> Graph {
        let window = Window { stride: [1; 2], dilation: [1; 2], spread: [1; 2], low: [2; 2], size: [n; 2] };
        let mut b = Builder::default();
        let x = b.param(Type::new(DType::F32, &[1, 1, n, n]));
        let k = b.param(Type::new(DType::F32, &[8, 1, 5, 5]));
        let y = b.op(Op::Conv { batch: 0, window }, &[x, k]);
        b.finish(vec![y])
    }

    #[test]
    fn small_work_is_evaluated_and_large_work_is_compiled() {
        assert!(evaluated_sooner(&product(10)));
        assert!(!evaluated_sooner(&product(300)));
        assert!(evaluated_sooner(&convolution(5)));
        // Few elements, but many taps for each.
        assert!(!evaluated_sooner(&convolution(100)));
    }
}
