//! Constant folding: operations on small constants are run now, by their meaning.

use super::rewrite::Rewrite;
use crate::ir::graph::{Eqn, Op, Var};
use crate::prims;
use dp_runtime::tensor::Tensor;

/// Operands with more elements in all are not folded.
const MOST_OPERANDS: usize = 1024;
/// Results with more elements in all are not folded.
const MOST_RESULTS: usize = 64;

/// What an equation on constants becomes: constants. An operation that would fault stays.
pub fn rule(rw: &mut Rewrite, eqn: &Eqn) -> Option<Vec<Var>> {
    let stays = match eqn.op {
        // These say more than their values would.
        Op::Broadcast { .. } | Op::StopGradient => true,
        Op::Scan(_) | Op::Cond { .. } | Op::Call { .. } | Op::Guard(_) => true,
        _ => false,
    };
    if stays || eqn.args.is_empty() {
        return None;
    }
    if prims::is_elementwise(&eqn.op) {
        return filled(rw, eqn).or_else(|| computed(rw, eqn));
    }
    computed(rw, eqn)
}

/// Elementwise on operands that are filled with one value each: once on scalars.
fn filled(rw: &mut Rewrite, eqn: &Eqn) -> Option<Vec<Var>> {
    let args: Option<Vec<Tensor>> = eqn.args.iter().map(|&arg| rw.uniform(arg)).collect();
    let value = prims::eval_owned(&eqn.op, args?).ok()?.pop()?;
    let shape = rw.b.shape(eqn.args[0]).to_vec();
    Some(vec![rw.filled(value, &shape)])
}

fn computed(rw: &mut Rewrite, eqn: &Eqn) -> Option<Vec<Var>> {
    let args: Option<Vec<Tensor>> = eqn.args.iter().map(|&arg| rw.value(arg)).collect();
    let args = args?;
    if args.iter().map(Tensor::len).sum::<usize>() > MOST_OPERANDS {
        return None;
    }
    let types: Vec<_> = eqn.args.iter().map(|&arg| rw.b.ty(arg)).collect();
    let results = prims::result(&eqn.op, &types).ok()?;
    if results.iter().map(|ty| ty.len()).sum::<usize>() > MOST_RESULTS {
        return None;
    }
    let values = prims::eval_owned(&eqn.op, args).ok()?;
    Some(values.into_iter().map(|value| rw.b.constant(value)).collect())
}
