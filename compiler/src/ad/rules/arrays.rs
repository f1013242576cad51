//! Derivatives of whole-array operations that have a rule of their own.

use super::elementwise::reciprocal;
use crate::ad::linearize::Lin;
use crate::ir::builder::Builder;
use crate::ir::graph::{Eqn, Op, Scan, Trips, Type, Var};
use dp_runtime::tensor::DType;

/// The tangents of the results. See `rules::tangents`.
pub fn tangents(lin: &mut Lin, eqn: &Eqn, args: &[Var], outs: &[Var], dargs: &[Option<Var>]) -> Vec<Option<Var>> {
    match &eqn.op {
        Op::Max | Op::Min => vec![extremum(lin, &eqn.op, args, dargs)],
        // The values pass; that they passed the check is the primal equation's affair.
        Op::Guard(_) => dargs[1..].to_vec(),
        Op::ReduceMax { axes } | Op::ReduceMin { axes } => {
            // Elements equal to the extremum share its tangent equally.
            let shape = lin.primal.shape(args[0]).to_vec();
            let everywhere = spread(&mut lin.primal, outs[0], &shape, axes);
            let mask = lin.primal.op(Op::Eq, &[args[0], everywhere]);
            let dtype = lin.primal.ty(args[0]).dtype;
            let ones = lin.primal.convert(mask, dtype);
            let count = lin.primal.sum(ones, axes);
            let share = reciprocal(&mut lin.primal, count);
            let share = spread(&mut lin.primal, share, &shape, axes);
            let weight = lin.primal.op(Op::MulZ, &[ones, share]);
            vec![weighted_sum(lin, weight, dargs[0], axes)]
        }
        Op::Prod { axes } => {
            let weight = product_of_others(&mut lin.primal, args[0], axes);
            vec![weighted_sum(lin, weight, dargs[0], axes)]
        }
        Op::Sort => {
            let order = lin.capture(outs[1]);
            let dsorted = dargs[0].map(|dx| take_along_last(&mut lin.tangent, dx, order));
            vec![dsorted, None]
        }
        other => panic!("internal error: no derivative of its own for {other:?}"),
    }
}

// max(a, b): where a operand wins, its tangent; at a tie of two tangents their mean, of one tangent 0.
fn extremum(lin: &mut Lin, op: &Op, args: &[Var], dargs: &[Option<Var>]) -> Option<Var> {
    let is_max = matches!(op, Op::Max);
    let mut wins = |a: Var, c: Var| {
        let mask = lin.primal.op(Op::Lt, &if is_max { [c, a] } else { [a, c] });
        lin.capture(mask)
    };
    let first = wins(args[0], args[1]);
    let second = wins(args[1], args[0]);
    let ty = lin.primal.ty(args[0]).clone();
    let t = &mut lin.tangent;
    match (dargs[0], dargs[1]) {
        (Some(da), Some(db)) => {
            let sum = t.add(da, db);
            let half = t.fill(&ty, 0.5);
            let mean = t.op(Op::MulZ, &[half, sum]);
            let rest = t.select(second, db, mean);
            Some(t.select(first, da, rest))
        }
        (Some(da), None) => {
            let zero = t.zeros(&ty);
            Some(t.select(first, da, zero))
        }
        (None, Some(db)) => {
            let zero = t.zeros(&ty);
            Some(t.select(second, db, zero))
        }
        (None, None) => None,
    }
}

/// The sum of a weight times the tangent over axes.
pub fn weighted_sum(lin: &mut Lin, weight: Var, dx: Option<Var>, axes: &[usize]) -> Option<Var> {
    let dx = dx?;
    let weight = lin.capture(weight);
    let product = lin.tangent.op(Op::MulZ, &[weight, dx]);
    Some(lin.tangent.sum(product, axes))
}

/// Undoes the dropping of `axes`: the reduced value at each element of `shape`.
pub fn spread(b: &mut Builder, reduced: Var, shape: &[usize], axes: &[usize]) -> Var {
    let kept: Vec<usize> = (0..shape.len()).filter(|i| !axes.contains(i)).collect();
    b.broadcast(reduced, shape, &kept)
}

/// For each element the product of the others in its group, without division: products of those before
/// times products of those after.
fn product_of_others(b: &mut Builder, x: Var, axes: &[usize]) -> Var {
    let shape = b.shape(x).to_vec();
    let dtype = b.ty(x).dtype;
    let kept: Vec<usize> = (0..shape.len()).filter(|i| !axes.contains(i)).collect();
    let perm: Vec<usize> = axes.iter().chain(&kept).copied().collect();
    let permuted = b.permute(x, &perm);
    let permuted_shape = b.shape(permuted).to_vec();
    let n: usize = axes.iter().map(|&a| shape[a]).product();
    let rest: Vec<usize> = kept.iter().map(|&i| shape[i]).collect();
    let mut rows_shape = vec![n];
    rows_shape.extend_from_slice(&rest);
    let rows = b.reshape(permuted, &rows_shape);
    let ty = Type::new(dtype, &rest);
    let one = b.fill(&ty, 1.0);
    let mut sides = Vec::new();
    for reverse in [false, true] {
        let mut body = Builder { span: b.span, ..Builder::default() };
        let so_far = body.param(ty.clone());
        body.param(Type::scalar(DType::I64));
        let row = body.param(ty.clone());
        let next = body.mul(so_far, row);
        let body = body.finish(vec![next, so_far]);
        let scan = Scan { body: body.into(), consts: 0, carries: 1, cap: n, trips: Trips::All, reverse };
        sides.push(b.emit(Op::Scan(scan), &[one, rows])[1]);
    }
    let product = b.mul(sides[0], sides[1]);
    let product = b.reshape(product, &permuted_shape);
    let mut inverse = vec![0; perm.len()];
    for (i, &p) in perm.iter().enumerate() {
        inverse[p] = i;
    }
    b.permute(product, &inverse)
}

/// `x[..., order[..., i]]`: elements taken along the last axis.
pub fn take_along_last(b: &mut Builder, x: Var, order: Var) -> Var {
    let mut operands = vec![x];
    operands.extend(leading_indices(b, order));
    operands.push(order);
    b.op(Op::Gather, &operands)
}

/// For an index array into a last axis, the indices of all axes before it.
pub fn leading_indices(b: &mut Builder, order: Var) -> Vec<Var> {
    let shape = b.shape(order).to_vec();
    (0..shape.len().saturating_sub(1)).map(|axis| b.op(Op::Iota { shape: shape.clone(), axis }, &[])).collect()
}
