//! Lanes that do not take part: operations that could fault get operands there with which they cannot.

use super::{Batching, Value};
use crate::ir::builder::Builder;
use crate::ir::graph::{CallRule, Graph, Op, Trips, Type, Var};
use crate::opt;
use dp_runtime::tensor::DType;

/// The operands of an operation, harmless in the lanes that are not active. What it gives there is not used.
pub fn harmless(cx: &mut Batching, op: &Op, args: &[Value]) -> Vec<Value> {
    let mut args = args.to_vec();
    let Some(active) = cx.active else { return args };
    match op {
        Op::IntDiv | Op::Mod => args[1] = replaced(cx, active, args[1], &|b, ty| b.fill(ty, 1.0)),
        Op::Gather => harmless_indices(cx, active, &mut args, 1),
        Op::ScatterAdd | Op::Update => harmless_indices(cx, active, &mut args, 2),
        Op::Solve | Op::Cholesky | Op::TriangularSolve { .. } => args[0] = replaced(cx, active, args[0], &identity),
        Op::SpectralQuotient(_) => args[0] = replaced(cx, active, args[0], &distinct),
        // A predicate that is true reports nothing.
        Op::Guard(_) => args[0] = replaced(cx, active, args[0], &|b, ty| b.fill(ty, 1.0)),
        Op::Scan(scan) if scan.trips == Trips::Input => {
            if let Some(last) = args.pop() {
                let trips = replaced(cx, active, last, &|b, ty| b.zeros(ty));
                args.push(trips);
            }
        }
        _ => {}
    }
    args
}

/// Can a call's body fault, or its derivative?
pub fn can_fault(body: &Graph, rule: &CallRule) -> bool {
    let faults = |graph: &Graph| graph.eqns.iter().any(|eqn| opt::can_fault(&eqn.op));
    faults(body)
        || match rule {
            CallRule::Inline | CallRule::Recompute => false,
            CallRule::Tangent(tangent) => faults(tangent),
            CallRule::Solve { operator, adjoint, turned } => [operator, adjoint, turned].iter().any(|g| faults(g)),
        }
}

/// The operand in active lanes, `other` elsewhere. What is the same in all lanes is replaced where no lane is active.
fn replaced(cx: &mut Batching, active: Var, value: Value, other: &dyn Fn(&mut Builder, &Type) -> Var) -> Value {
    match value {
        Value::Same(var) => {
            let any = cx.b.op(Op::Any { axes: vec![0] }, &[active]);
            let ty = cx.b.ty(var).clone();
            let mask = cx.b.broadcast(any, &ty.shape, &[]);
            let other = other(&mut cx.b, &ty);
            Value::Same(cx.b.select(mask, var, other))
        }
        Value::Mapped(_) | Value::Index { .. } => {
            let var = cx.mapped(value);
            let ty = cx.b.ty(var).clone();
            let other = other(&mut cx.b, &ty);
            Value::Mapped(cx.select_lanes(active, var, other))
        }
    }
}

/// Indices into the leading axes of the first operand become 0, unless they are known to lie inside. (An axis without
/// elements has no harmless index.)
fn harmless_indices(cx: &mut Batching, active: Var, args: &mut [Value], first: usize) {
    let sizes = match args[0] {
        Value::Same(var) => cx.b.shape(var).to_vec(),
        Value::Mapped(var) => cx.b.shape(var)[1..].to_vec(),
        Value::Index { .. } => Vec::new(),
    };
    for (arg, &size) in args[first..].iter_mut().zip(&sizes) {
        if size > 0 && !is_inside(cx, *arg, size) {
            *arg = replaced(cx, active, *arg, &|b, ty| b.zeros(ty));
        }
    }
}

fn is_inside(cx: &Batching, index: Value, size: usize) -> bool {
    let inside = |index: i128| (0..size as i128).contains(&index);
    match index {
        Value::Index { scale, offset } => {
            let at = |lane: usize| i128::from(scale) * lane as i128 + i128::from(offset);
            inside(at(0)) && inside(at(cx.size.saturating_sub(1)))
        }
        Value::Same(_) => cx.integer(index).is_some_and(|index| inside(index.into())),
        Value::Mapped(_) => false,
    }
}

/// Spectra 1, 2, 3, ... along the last axis.
fn distinct(b: &mut Builder, ty: &Type) -> Var {
    let count = b.op(Op::Iota { shape: ty.shape.clone(), axis: ty.rank() - 1 }, &[]);
    let count = b.convert(count, ty.dtype);
    let one = b.fill(ty, 1.0);
    b.add(count, one)
}

/// Identity matrices along the last two axes.
fn identity(b: &mut Builder, ty: &Type) -> Var {
    let rank = ty.rank();
    let rows = b.op(Op::Iota { shape: ty.shape.clone(), axis: rank - 2 }, &[]);
    let columns = b.op(Op::Iota { shape: ty.shape.clone(), axis: rank - 1 }, &[]);
    let diagonal = b.op(Op::Eq, &[rows, columns]);
    debug_assert!(ty.dtype == DType::F32 || ty.dtype == DType::F64, "internal error: a matrix of {ty}");
    b.convert(diagonal, ty.dtype)
}
