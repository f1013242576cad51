//! Simplifications of an equation and the one or two before it. Every rule gives the same bits; what it relies on is
//! said beside it.

use super::rewrite::{Rewrite, is};
use crate::ir::graph::{Eqn, Op, Scan, Trips, Type, Var};
use dp_runtime::tensor::{DType, Tensor};

/// What an equation becomes that a rule knows.
pub fn rule(rw: &mut Rewrite, eqn: &Eqn) -> Option<Vec<Var>> {
    let args = &eqn.args;
    let one = match &eqn.op {
        Op::Neg => undone(rw, args[0], |op| matches!(op, Op::Neg)),
        Op::Not => undone(rw, args[0], |op| matches!(op, Op::Not)),
        Op::Add => add(rw, args[0], args[1]),
        Op::Sub => sub(rw, args[0], args[1]),
        Op::Mul => mul(rw, args[0], args[1]),
        Op::MulZ => mulz(rw, args[0], args[1]),
        Op::Div => is(&rw.uniform(args[1]), 1.0).then_some(args[0]),
        Op::Max | Op::Min => (args[0] == args[1]).then_some(args[0]),
        Op::And => and(rw, args[0], args[1]),
        Op::Or => or(rw, args[0], args[1]),
        Op::Select => select(rw, args),
        Op::Convert(to) => convert(rw, args[0], *to),
        Op::Broadcast { shape, axes } => broadcast(rw, args[0], shape, axes),
        Op::Reshape { shape } => reshape(rw, args[0], shape),
        Op::Permute { perm } => permute(rw, args[0], perm),
        Op::Slice { start, stop, stride } => slice(rw, args[0], start, stop, stride),
        Op::Pad { low, high, interior } => {
            let nothing = [low, high, interior].iter().all(|list| list.iter().all(|&n| n == 0));
            nothing.then_some(args[0])
        }
        Op::Concat { .. } => (args.len() == 1).then_some(args[0]),
        Op::Reverse { axes } => reverse(rw, args[0], axes),
        Op::Gather => gather(rw, args),
        Op::Dot { batch } => dot(rw, args, *batch),
        Op::Cond { then, otherwise } => {
            let pred = rw.value(args[0])?;
            let side = if pred.as_slice::<bool>()[0] { then } else { otherwise };
            return Some(rw.b.inline(side, &args[1..]));
        }
        Op::Guard(_) => {
            let pred = rw.value(args[0])?;
            return pred.as_slice::<bool>()[0].then(|| args[1..].to_vec());
        }
        Op::Scan(scan) => return no_passes(rw, scan, args),
        // Nothing is known of the others.
        _ => None,
    };
    Some(vec![one?])
}

/// The operand of the equation that defines `x`, if that is the kind of operation that is asked for.
fn undone(rw: &mut Rewrite, x: Var, wanted: fn(&Op) -> bool) -> Option<Var> {
    match rw.def(x) {
        Some(eqn) if wanted(&eqn.op) => Some(eqn.args[0]),
        Some(_) | None => None,
    }
}

fn negated(rw: &mut Rewrite, x: Var) -> Option<Var> {
    undone(rw, x, |op| matches!(op, Op::Neg))
}

/// x + 0 is not x for x = -0, but x + -0 is; for integers both are.
fn adds_nothing(rw: &mut Rewrite, x: Var) -> bool {
    let value = rw.uniform(x);
    is(&value, -0.0)
}

fn add(rw: &mut Rewrite, a: Var, b: Var) -> Option<Var> {
    if adds_nothing(rw, b) {
        return Some(a);
    }
    if adds_nothing(rw, a) {
        return Some(b);
    }
    // IEEE 754 defines a - b as a + (-b); wrapping integers agree.
    if let Some(b) = negated(rw, b) {
        return Some(rw.b.sub(a, b));
    }
    let a = negated(rw, a)?;
    Some(rw.b.sub(b, a))
}

fn sub(rw: &mut Rewrite, a: Var, b: Var) -> Option<Var> {
    // x - 0 is x, for -0 too.
    if is(&rw.uniform(b), 0.0) {
        return Some(a);
    }
    let b = negated(rw, b)?;
    Some(rw.b.add(a, b))
}

fn mul(rw: &mut Rewrite, a: Var, b: Var) -> Option<Var> {
    for (x, factor) in [(a, b), (b, a)] {
        let factor = rw.uniform(factor);
        if is(&factor, 1.0) {
            return Some(x);
        }
        if is(&factor, -1.0) {
            return Some(rw.b.neg(x));
        }
    }
    None
}

/// A factor that is neither 0 nor infinite nor NaN never annihilates a NaN, and the product of it with 0 is a number.
fn mulz(rw: &mut Rewrite, a: Var, b: Var) -> Option<Var> {
    if let Some(product) = mul(rw, a, b) {
        return Some(product);
    }
    for factor in [a, b] {
        match rw.uniform(factor) {
            Some(value) if value.item().is_finite() && value.item() != 0.0 => return Some(rw.b.mul(a, b)),
            Some(_) | None => {}
        }
    }
    None
}

fn and(rw: &mut Rewrite, a: Var, b: Var) -> Option<Var> {
    if a == b {
        return Some(a);
    }
    for (x, mask) in [(a, b), (b, a)] {
        match rw.uniform(mask) {
            Some(value) if value.as_slice::<bool>()[0] => return Some(x),
            Some(_) => return Some(mask),
            None => {}
        }
    }
    None
}

fn or(rw: &mut Rewrite, a: Var, b: Var) -> Option<Var> {
    if a == b {
        return Some(a);
    }
    for (x, mask) in [(a, b), (b, a)] {
        match rw.uniform(mask) {
            Some(value) if value.as_slice::<bool>()[0] => return Some(mask),
            Some(_) => return Some(x),
            None => {}
        }
    }
    None
}

fn select(rw: &mut Rewrite, args: &[Var]) -> Option<Var> {
    let (mask, yes, no) = (args[0], args[1], args[2]);
    if yes == no {
        return Some(yes);
    }
    if let Some(value) = rw.uniform(mask) {
        return Some(if value.as_slice::<bool>()[0] { yes } else { no });
    }
    let mask = undone(rw, mask, |op| matches!(op, Op::Not))?;
    Some(rw.b.select(mask, no, yes))
}

/// A conversion after one that loses nothing is one conversion.
fn convert(rw: &mut Rewrite, x: Var, to: DType) -> Option<Var> {
    if rw.b.ty(x).dtype == to {
        return Some(x);
    }
    let Some(Eqn { op: Op::Convert(_), args, .. }) = rw.def(x) else { return None };
    let inner = args[0];
    let (from, through) = (rw.b.ty(inner).dtype, rw.b.ty(x).dtype);
    let exact = match (from, through) {
        // 0 and 1 are the same in every kind, and `!= 0` finds them again.
        (DType::Bool, DType::F32 | DType::F64 | DType::I64) => true,
        (DType::F32, DType::F64) => true,
        (DType::I64, DType::Key) | (DType::Key, DType::I64) => true,
        _ => false,
    };
    exact.then(|| rw.b.convert(inner, to))
}

fn broadcast(rw: &mut Rewrite, x: Var, shape: &[usize], axes: &[usize]) -> Option<Var> {
    if rw.b.shape(x) == shape {
        return Some(x);
    }
    if let Some(Eqn { op: Op::Broadcast { axes: inner_axes, .. }, args, .. }) = rw.def(x) {
        let (inner, axes) = (args[0], inner_axes.iter().map(|&axis| axes[axis]).collect::<Vec<usize>>());
        return Some(rw.b.broadcast(inner, shape, &axes));
    }
    // New axes of size 1 only.
    if rw.b.ty(x).len() == shape.iter().product::<usize>() {
        return Some(reshaped(rw, x, shape));
    }
    None
}

fn reshape(rw: &mut Rewrite, x: Var, shape: &[usize]) -> Option<Var> {
    if rw.b.shape(x) == shape {
        return Some(x);
    }
    if let Some(inner) = undone(rw, x, |op| matches!(op, Op::Reshape { .. })) {
        return Some(rw.b.reshape(inner, shape));
    }
    moved_scalar(rw, x, shape)
}

/// `reshape`, or a new equation.
fn reshaped(rw: &mut Rewrite, x: Var, shape: &[usize]) -> Var {
    reshape(rw, x, shape).unwrap_or_else(|| rw.b.reshape(x, shape))
}

/// Moving equal elements gives equal elements.
fn moved_scalar(rw: &mut Rewrite, x: Var, shape: &[usize]) -> Option<Var> {
    let Some(Eqn { op: Op::Broadcast { .. }, args, .. }) = rw.def(x) else { return None };
    let scalar = args[0];
    (rw.b.ty(scalar).rank() == 0).then(|| rw.b.broadcast(scalar, shape, &[]))
}

fn permute(rw: &mut Rewrite, x: Var, perm: &[usize]) -> Option<Var> {
    if let Some(Eqn { op: Op::Permute { perm: inner_perm }, args, .. }) = rw.def(x) {
        let (inner, perm) = (args[0], perm.iter().map(|&p| inner_perm[p]).collect::<Vec<usize>>());
        return Some(rw.b.permute(inner, &perm));
    }
    let from = rw.b.shape(x).to_vec();
    let shape: Vec<usize> = perm.iter().map(|&p| from[p]).collect();
    // Only axes of size 1 move.
    let long: Vec<usize> = perm.iter().copied().filter(|&p| from[p] != 1).collect();
    if long.windows(2).all(|w| w[0] < w[1]) {
        return Some(reshaped(rw, x, &shape));
    }
    moved_scalar(rw, x, &shape)
}

fn slice(rw: &mut Rewrite, x: Var, start: &[usize], stop: &[usize], stride: &[usize]) -> Option<Var> {
    let from = rw.b.shape(x).to_vec();
    let whole = start.iter().all(|&n| n == 0) && stop == from && stride.iter().all(|&n| n == 1);
    if whole {
        return Some(x);
    }
    let shape: Vec<usize> = (0..from.len()).map(|i| (stop[i] - start[i]).div_ceil(stride[i])).collect();
    moved_scalar(rw, x, &shape)
}

fn reverse(rw: &mut Rewrite, x: Var, axes: &[usize]) -> Option<Var> {
    let from = rw.b.shape(x).to_vec();
    if axes.iter().all(|&axis| from[axis] <= 1) {
        return Some(x);
    }
    match rw.def(x) {
        Some(Eqn { op: Op::Reverse { axes: inner_axes }, args, .. }) if inner_axes == axes => Some(args[0]),
        Some(_) | None => moved_scalar(rw, x, &from),
    }
}

/// Constant scalar indices in range make a slice, which cannot fault.
fn gather(rw: &mut Rewrite, args: &[Var]) -> Option<Var> {
    let from = rw.b.ty(args[0]).clone();
    let mut start = vec![0; from.rank()];
    let mut stop = from.shape.clone();
    for (axis, &index) in args[1..].iter().enumerate() {
        if rw.b.ty(index).rank() != 0 {
            return None;
        }
        let value = rw.value(index)?;
        let value = usize::try_from(value.as_slice::<i64>()[0]).ok().filter(|&i| i < from.shape[axis])?;
        start[axis] = value;
        stop[axis] = value + 1;
    }
    let part = rw.b.op(Op::Slice { start, stop, stride: vec![1; from.rank()] }, &args[..1]);
    Some(reshaped(rw, part, &from.shape[args.len() - 1..]))
}

/// A product with a vector that sums one term each: the term, plus the zeros of the other lanes, which turn -0 to 0.
/// (Without lanes a product that underflows would keep its sign.)
fn dot(rw: &mut Rewrite, args: &[Var], batch: usize) -> Option<Var> {
    let (a, b) = (rw.b.shape(args[0]).to_vec(), rw.b.shape(args[1]).to_vec());
    let (m, k, n) = (a[batch], a[batch + 1], b[batch + 1]);
    if k != 1 || (m != 1 && n != 1) {
        return None;
    }
    let shape = [&a[..batch], &[m, n]].concat();
    let left = reshaped(rw, args[0], &a[..=batch]);
    let right = reshaped(rw, args[1], &[&b[..batch], &[n]].concat());
    let others: Vec<usize> = (0..batch).collect();
    let left = rw.b.broadcast(left, &shape, &[&others[..], &[batch]].concat());
    let right = rw.b.broadcast(right, &shape, &[&others[..], &[batch + 1]].concat());
    let product = rw.b.mul(left, right);
    let zero = Type::new(rw.b.ty(product).dtype, &shape);
    let zero = rw.b.zeros(&zero);
    Some(rw.b.add(product, zero))
}

/// A loop that never runs gives its first carries, and stacks of zeros.
fn no_passes(rw: &mut Rewrite, scan: &Scan, args: &[Var]) -> Option<Vec<Var>> {
    let none = match scan.trips {
        Trips::All | Trips::Until => scan.cap == 0,
        Trips::Input => is(&rw.value(args[args.len() - 1]), 0.0),
    };
    if !none {
        return None;
    }
    let mut outs = args[scan.consts..scan.consts + scan.carries].to_vec();
    let slices = &scan.body.results[scan.carries..scan.carries + scan.stacked_outs()];
    for &slice in slices {
        let ty = scan.body.ty(slice);
        let stack = Type::new(ty.dtype, &[&[scan.cap], &ty.shape[..]].concat());
        outs.push(rw.b.zeros(&stack));
    }
    if scan.trips == Trips::Until {
        outs.push(rw.b.constant(Tensor::scalar(0i64)));
    }
    Some(outs)
}
