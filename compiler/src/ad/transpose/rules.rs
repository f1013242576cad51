//! The transpose of each operation that may occur in a tangent Graph.

use super::cotangents::{Part, transposed};
use super::{At, convolution};
use crate::ad::rules::arrays::spread;
use crate::ir::graph::{Op, Type, Var};
use crate::prims;

/// Hands the cotangent of an equation's result to its linear operands.
///
/// # Panics
/// If the operation is not linear in them.
pub fn transpose_op(at: &mut At, op: &Op, ct: Var) {
    match op {
        Op::Neg => {
            let ct = at.b.neg(ct);
            at.give(0, ct);
        }
        Op::Add => {
            at.give(0, ct);
            at.give(1, ct);
        }
        Op::Sub => {
            at.give(0, ct);
            if at.is_linear(1) {
                let ct = at.b.neg(ct);
                at.give(1, ct);
            }
        }
        Op::Mul | Op::MulZ => {
            let linear = one_linear(at);
            let factor = at.known(1 - linear);
            let ct = at.b.op(op.clone(), &if linear == 0 { [ct, factor] } else { [factor, ct] });
            at.give(linear, ct);
        }
        Op::Div => {
            let divisor = at.known(1);
            let ct = at.b.div(ct, divisor);
            at.give(0, ct);
        }
        Op::Select => {
            let mask = at.known(0);
            let ty = at.b.ty(ct).clone();
            let zero = at.b.zeros(&ty);
            if at.is_linear(1) {
                let yes = at.b.select(mask, ct, zero);
                at.give(1, yes);
            }
            if at.is_linear(2) {
                let no = at.b.select(mask, zero, ct);
                at.give(2, no);
            }
        }
        Op::Convert(_) => {
            let ct = at.b.convert(ct, operand_type(at, 0).dtype);
            at.give(0, ct);
        }
        Op::Broadcast { shape, axes } => {
            let new: Vec<usize> = (0..shape.len()).filter(|i| !axes.contains(i)).collect();
            let ct = at.b.sum(ct, &new);
            at.give(0, ct);
        }
        Op::Reshape { .. } => {
            let shape = operand_type(at, 0).shape;
            let ct = at.b.reshape(ct, &shape);
            at.give(0, ct);
        }
        Op::Permute { perm } => {
            let mut inverse = vec![0; perm.len()];
            for (i, &p) in perm.iter().enumerate() {
                inverse[p] = i;
            }
            let ct = at.b.permute(ct, &inverse);
            at.give(0, ct);
        }
        Op::Slice { start, stop, stride } => {
            let shape = operand_type(at, 0).shape;
            if at.b.ty(ct).is_empty() {
                return;
            }
            let taken: Vec<usize> = at.b.shape(ct).to_vec();
            debug_assert!(stop.len() == taken.len());
            let partial: Vec<usize> = (0..shape.len()).filter(|&i| taken[i] != shape[i]).collect();
            if let ([axis], true) = (&partial[..], stride.iter().all(|&s| s == 1)) {
                at.cts.add_part(at.eqn.args[0], Part::Slice { u: ct, axis: *axis, start: start[*axis] });
                return;
            }
            let interior: Vec<usize> = stride.iter().map(|s| s - 1).collect();
            let high = (0..shape.len()).map(|i| shape[i] - (start[i] + (taken[i] - 1) * stride[i] + 1)).collect();
            let ct = at.b.op(Op::Pad { low: start.clone(), high, interior }, &[ct]);
            at.give(0, ct);
        }
        Op::Pad { low, interior, .. } => {
            let shape = operand_type(at, 0).shape;
            if shape.contains(&0) {
                return;
            }
            let stride: Vec<usize> = interior.iter().map(|i| i + 1).collect();
            let stop = (0..shape.len()).map(|i| low[i] + (shape[i] - 1) * stride[i] + 1).collect();
            let ct = at.b.op(Op::Slice { start: low.clone(), stop, stride }, &[ct]);
            at.give(0, ct);
        }
        Op::Concat { axis } => {
            let whole = at.b.shape(ct).to_vec();
            let mut first = 0;
            for i in 0..at.eqn.args.len() {
                let size = operand_type(at, i).shape[*axis];
                if at.is_linear(i) {
                    let mut start = vec![0; whole.len()];
                    let mut stop = whole.clone();
                    start[*axis] = first;
                    stop[*axis] = first + size;
                    let part = at.b.op(Op::Slice { start, stop, stride: vec![1; whole.len()] }, &[ct]);
                    at.give(i, part);
                }
                first += size;
            }
        }
        Op::Reverse { .. } => {
            let ct = at.b.op(op.clone(), &[ct]);
            at.give(0, ct);
        }
        Op::Gather => {
            let indices = (1..at.eqn.args.len()).map(|i| at.known(i)).collect();
            at.cts.add_part(at.eqn.args[0], Part::Scatter { u: ct, indices });
        }
        Op::ScatterAdd => {
            at.give(0, ct);
            give_gathered(at, ct);
        }
        // The part's cotangent is read before its place is cleared, so that the clearing can be done in place.
        Op::Update => {
            give_gathered(at, ct);
            if at.is_linear(0) {
                let ty = operand_type(at, 1);
                let mut operands = vec![ct, at.b.zeros(&ty)];
                operands.extend((2..at.eqn.args.len()).map(|i| at.known(i)));
                let kept = at.b.op(Op::Update, &operands);
                at.give(0, kept);
            }
        }
        Op::Sum { axes } => {
            let shape = operand_type(at, 0).shape;
            let ct = spread(at.b, ct, &shape, axes);
            at.give(0, ct);
        }
        Op::CumSum { axis, reverse } => {
            let ct = at.b.op(Op::CumSum { axis: *axis, reverse: !reverse }, &[ct]);
            at.give(0, ct);
        }
        // y = a b: ct_a = ct b', ct_b = a' ct, both kept as sums of outer products.
        Op::Dot { batch } => {
            let linear = one_linear(at);
            let (a, b) = if linear == 0 {
                let other = at.known(1);
                (transposed(at.b, ct), transposed(at.b, other))
            } else {
                (at.known(0), ct)
            };
            at.cts.add_part(at.eqn.args[linear], Part::Outer { batch: *batch, a, b });
        }
        Op::Conv { batch, window } => convolution::transpose_conv(at, *batch, window, ct),
        // x = A^-1 b: ct_b = A'^-1 ct.
        Op::Solve => {
            let matrix = at.known(0);
            let turned = at.b.transpose_last(matrix);
            let ct = at.b.op(Op::Solve, &[turned, ct]);
            at.give(1, ct);
        }
        Op::Fft { inverse } => {
            let ct = at.b.op(Op::Fft { inverse: !inverse }, &[ct]);
            at.give(0, ct);
        }
        // x = T^-1 b: ct_b = T'^-1 ct.
        Op::TriangularSolve { lower } => {
            let matrix = at.known(0);
            let turned = at.b.transpose_last(matrix);
            let ct = at.b.op(Op::TriangularSolve { lower: !lower }, &[turned, ct]);
            at.give(1, ct);
        }
        Op::SpectralQuotient(by) => {
            let values = at.known(0);
            let ct = at.b.op(Op::SpectralQuotient(by.adjoint()), &[values, ct]);
            at.give(1, ct);
        }
        Op::Scan(_) | Op::Cond { .. } | Op::Guard(_) | Op::Call { .. } => {
            panic!("internal error: `{}` has a transpose of its own", prims::name(op))
        }
        _ => panic!("internal error: `{}` is not linear", prims::name(op)),
    }
}

/// The operand of a bilinear operation that is linear.
pub(super) fn one_linear(at: &At) -> usize {
    assert!(!(at.is_linear(0) && at.is_linear(1)), "internal error: a product of two linear values");
    usize::from(at.is_linear(1))
}

pub(super) fn operand_type(at: &At, i: usize) -> Type {
    at.graph.ty(at.eqn.args[i]).clone()
}

/// The cotangent of what was written at indices is what lies there.
fn give_gathered(at: &mut At, ct: Var) {
    if at.is_linear(1) {
        let mut operands = vec![ct];
        operands.extend((2..at.eqn.args.len()).map(|i| at.known(i)));
        let part = at.b.op(Op::Gather, &operands);
        at.give(1, part);
    }
}
