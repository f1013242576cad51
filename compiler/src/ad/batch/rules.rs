//! The batched form of each operation without sub-Graphs.

use super::{Batching, Value, convolution};
use crate::ir::builder::Builder;
use crate::ir::graph::{Op, Scan, Trips, Type, Var};
use crate::prims;
use dp_runtime::tensor::DType;

/// The batched form of `op` for operands of which at least one differs between lanes.
pub fn batch_op(cx: &mut Batching, op: &Op, args: &[Value]) -> Vec<Value> {
    match op {
        Op::Const(_) | Op::Iota { .. } => panic!("internal error: an operation without operands has no lanes"),
        Op::Add | Op::Sub | Op::Mul => match affine(cx, op, args) {
            Some(value) => vec![value],
            None => everywhere(cx, op.clone(), args),
        },
        elementwise if prims::is_elementwise(elementwise) => everywhere(cx, op.clone(), args),
        // These act on trailing axes, or on each element of any leading axes.
        Op::Sort | Op::Svd | Op::Normal { .. } | Op::Uniform { .. } => everywhere(cx, op.clone(), args),
        Op::Fft { .. }
        | Op::SingularValues
        | Op::Cholesky
        | Op::Det
        | Op::SlogDet
        | Op::Lu
        | Op::Qr
        | Op::Eigh
        | Op::SpectralQuotient(_) => everywhere(cx, op.clone(), args),
        Op::Split { .. } | Op::Permutation { .. } => everywhere(cx, op.clone(), args),
        Op::Broadcast { shape, axes } => {
            let op = Op::Broadcast { shape: before(cx.size, shape), axes: before(0, &shifted(axes)) };
            everywhere(cx, op, args)
        }
        Op::Reshape { shape } => everywhere(cx, Op::Reshape { shape: before(cx.size, shape) }, args),
        Op::Permute { perm } => everywhere(cx, Op::Permute { perm: before(0, &shifted(perm)) }, args),
        Op::Slice { start, stop, stride } => {
            let op = Op::Slice { start: before(0, start), stop: before(cx.size, stop), stride: before(1, stride) };
            everywhere(cx, op, args)
        }
        Op::Pad { low, high, interior } => {
            let op = Op::Pad { low: before(0, low), high: before(0, high), interior: before(0, interior) };
            everywhere(cx, op, args)
        }
        Op::Concat { axis } => everywhere(cx, Op::Concat { axis: axis + 1 }, args),
        Op::Reverse { axes } => everywhere(cx, Op::Reverse { axes: shifted(axes) }, args),
        Op::Sum { axes } => everywhere(cx, Op::Sum { axes: shifted(axes) }, args),
        Op::Prod { axes } => everywhere(cx, Op::Prod { axes: shifted(axes) }, args),
        Op::ReduceMax { axes } => everywhere(cx, Op::ReduceMax { axes: shifted(axes) }, args),
        Op::ReduceMin { axes } => everywhere(cx, Op::ReduceMin { axes: shifted(axes) }, args),
        Op::All { axes } => everywhere(cx, Op::All { axes: shifted(axes) }, args),
        Op::Any { axes } => everywhere(cx, Op::Any { axes: shifted(axes) }, args),
        Op::ArgMax { axis } => everywhere(cx, Op::ArgMax { axis: axis + 1 }, args),
        Op::ArgMin { axis } => everywhere(cx, Op::ArgMin { axis: axis + 1 }, args),
        Op::CumSum { axis, reverse } => everywhere(cx, Op::CumSum { axis: axis + 1, reverse: *reverse }, args),
        Op::Gather => gather(cx, args),
        Op::ScatterAdd => {
            let acc = cx.mapped(args[0]);
            let u = cx.mapped(args[1]);
            let mut operands = vec![acc, u];
            operands.extend(lane_indices(cx, &args[2..]));
            vec![Value::Mapped(cx.b.op(Op::ScatterAdd, &operands))]
        }
        Op::Update => update(cx, args),
        Op::Dot { batch } => vec![Value::Mapped(dot(cx, *batch, args))],
        Op::Conv { batch, window } => vec![Value::Mapped(convolution::conv(cx, *batch, window, args))],
        Op::Solve | Op::TriangularSolve { .. } => vec![Value::Mapped(solve(cx, op, args))],
        Op::Scan(_) | Op::Cond { .. } | Op::Call { .. } | Op::Guard(_) => {
            panic!("internal error: control has batching rules of its own")
        }
        other => panic!("internal error: `{}` has no batching rule", prims::name(other)),
    }
}

/// The operation with all operands mapped, on one axis more.
fn everywhere(cx: &mut Batching, op: Op, args: &[Value]) -> Vec<Value> {
    let operands: Vec<Var> = args.iter().map(|&v| cx.mapped(v)).collect();
    cx.b.emit(op, &operands).into_iter().map(Value::Mapped).collect()
}

fn before(first: usize, rest: &[usize]) -> Vec<usize> {
    std::iter::once(first).chain(rest.iter().copied()).collect()
}

fn shifted(axes: &[usize]) -> Vec<usize> {
    axes.iter().map(|a| a + 1).collect()
}

/// Arithmetic between the lane's number and a known integer gives an affine function of the lane's number.
fn affine(cx: &Batching, op: &Op, args: &[Value]) -> Option<Value> {
    let (scale, offset, number, swapped) = match (args[0], args[1]) {
        (Value::Index { scale, offset }, other) => (scale, offset, cx.integer(other)?, false),
        (other, Value::Index { scale, offset }) => (scale, offset, cx.integer(other)?, true),
        _ => return None,
    };
    let (scale, offset) = match op {
        Op::Add => (scale, offset.checked_add(number)?),
        Op::Sub if swapped => (scale.checked_neg()?, number.checked_sub(offset)?),
        Op::Sub => (scale, offset.checked_sub(number)?),
        Op::Mul => (scale.checked_mul(number)?, offset.checked_mul(number)?),
        _ => return None,
    };
    Some(Value::Index { scale, offset })
}

/// Index arrays with a leading axis: the lane's number, then the given ones.
fn lane_indices(cx: &mut Batching, indices: &[Value]) -> Vec<Var> {
    let mapped: Vec<Var> = indices.iter().map(|&v| cx.mapped(v)).collect();
    let shape = cx.b.shape(mapped[0]).to_vec();
    let lane = cx.b.op(Op::Iota { shape, axis: 0 }, &[]);
    std::iter::once(lane).chain(mapped).collect()
}

fn gather(cx: &mut Batching, args: &[Value]) -> Vec<Value> {
    if args.len() == 1 {
        return vec![args[0]];
    }
    let Value::Same(x) = args[0] else {
        let x = cx.mapped(args[0]);
        if let Some(part) = fixed_part(cx, x, &args[1..]) {
            return vec![Value::Mapped(part)];
        }
        let mut operands = vec![x];
        operands.extend(lane_indices(cx, &args[1..]));
        return vec![Value::Mapped(cx.b.op(Op::Gather, &operands))];
    };
    if let Some(rows) = gather_as_slice(cx, x, &args[1..]) {
        return vec![Value::Mapped(rows)];
    }
    let mut operands = vec![x];
    for &index in &args[1..] {
        operands.push(cx.mapped(index));
    }
    vec![Value::Mapped(cx.b.op(Op::Gather, &operands))]
}

/// The same element of each lane's array, at integers that are known and in range: a slice.
fn fixed_part(cx: &mut Batching, x: Var, indices: &[Value]) -> Option<Var> {
    let shape = cx.b.shape(x).to_vec();
    let (mut start, mut stop) = (vec![0; shape.len()], shape.clone());
    for (i, &index) in indices.iter().enumerate() {
        let at = usize::try_from(cx.integer(index)?).ok().filter(|&at| at < shape[i + 1])?;
        start[i + 1] = at;
        stop[i + 1] = at + 1;
    }
    let part = cx.b.op(Op::Slice { start, stop, stride: vec![1; shape.len()] }, &[x]);
    Some(cx.b.reshape(part, &before(cx.size, &shape[indices.len() + 1..])))
}

/// `x[..., s*lane + c, ...]` in all lanes, where the other indices are the same in all lanes and no lane is out of range.
fn gather_as_slice(cx: &mut Batching, x: Var, indices: &[Value]) -> Option<Var> {
    let mut place = None;
    let mut others = Vec::new();
    for (i, &index) in indices.iter().enumerate() {
        match index {
            Value::Same(var) => others.push((i, var)),
            Value::Index { scale, offset } if place.is_none() => place = Some((i, scale, offset)),
            Value::Index { .. } | Value::Mapped(_) => return None,
        }
    }
    let (axis, scale, offset) = place?;
    let extent = cx.b.shape(x)[axis];
    let lanes = i64::try_from(cx.size).ok()?;
    let stride = usize::try_from(scale).ok().filter(|&s| s >= 1)?;
    let (start, stop) = if lanes == 0 {
        (0, 0)
    } else {
        let start = usize::try_from(offset).ok()?;
        let last = usize::try_from(scale.checked_mul(lanes - 1)?.checked_add(offset)?).ok()?;
        (start, last + 1)
    };
    if stop > extent {
        return None;
    }
    // The other indexed axes come first, so that a gather can take them.
    let rank = cx.b.ty(x).rank();
    let mut perm: Vec<usize> = others.iter().map(|&(i, _)| i).collect();
    perm.push(axis);
    perm.extend(indices.len()..rank);
    let mut rows = cx.b.permute(x, &perm);
    if !others.is_empty() {
        let mut operands = vec![rows];
        operands.extend(others.iter().map(|&(_, var)| var));
        rows = cx.b.op(Op::Gather, &operands);
    }
    if (start, stop, stride) == (0, extent, 1) {
        return Some(rows);
    }
    let shape = cx.b.shape(rows).to_vec();
    let op = Op::Slice {
        start: before(start, &vec![0; shape.len() - 1]),
        stop: before(stop, &shape[1..]),
        stride: before(stride, &vec![1; shape.len() - 1]),
    };
    Some(cx.b.op(op, &[rows]))
}

/// One update a lane, by a loop over the lanes that changes the array in place.
fn update(cx: &mut Batching, args: &[Value]) -> Vec<Value> {
    let operands: Vec<Var> = args.iter().map(|&v| cx.mapped(v)).collect();
    let mut body = Builder { span: cx.b.span, ..Builder::default() };
    let all = body.param(cx.b.ty(operands[0]).clone());
    let lane = body.param(Type::scalar(DType::I64));
    let mut inner = vec![all];
    for &operand in &operands[1..] {
        let mut ty = cx.b.ty(operand).clone();
        ty.shape.remove(0);
        inner.push(body.param(ty));
    }
    inner.insert(2, lane);
    let next = body.op(Op::Update, &inner);
    let body = body.finish(vec![next]);
    let scan = Scan { body: body.into(), consts: 0, carries: 1, cap: cx.size, trips: Trips::All, reverse: false };
    vec![Value::Mapped(cx.b.emit(Op::Scan(scan), &operands)[0])]
}

/// Products. With one operand the same in all lanes the lanes become rows of one larger product.
fn dot(cx: &mut Batching, batch: usize, args: &[Value]) -> Var {
    match (args[0], args[1]) {
        (left, Value::Same(right)) => {
            let left = cx.mapped(left);
            rows_dot(&mut cx.b, left, right, batch)
        }
        // (a b)' = b' a'
        (Value::Same(left), right) => {
            let right = cx.mapped(right);
            let right = turned(&mut cx.b, right);
            let left = turned(&mut cx.b, left);
            let product = rows_dot(&mut cx.b, right, left, batch);
            turned(&mut cx.b, product)
        }
        (left, right) => {
            let left = cx.mapped(left);
            let right = cx.mapped(right);
            cx.b.op(Op::Dot { batch: batch + 1 }, &[left, right])
        }
    }
}

/// `left: [lanes, B..., M, K]` times `right: [B..., K, N]`, as products with lanes*M rows.
fn rows_dot(b: &mut Builder, left: Var, right: Var, batch: usize) -> Var {
    let shape = b.shape(left).to_vec();
    let (lanes, m, k) = (shape[0], shape[batch + 1], shape[batch + 2]);
    let n = b.shape(right)[batch + 1];
    let leading = &shape[1..=batch];
    let mut inward: Vec<usize> = (1..=batch).collect();
    inward.extend([0, batch + 1, batch + 2]);
    let rows = b.permute(left, &inward);
    let rows = b.reshape(rows, &[leading, &[lanes * m, k]].concat());
    let product = b.op(Op::Dot { batch }, &[rows, right]);
    let product = b.reshape(product, &[leading, &[lanes, m, n]].concat());
    let mut outward = vec![batch];
    outward.extend(0..batch);
    outward.extend([batch + 1, batch + 2]);
    b.permute(product, &outward)
}

/// Swaps the last two axes; no more than a reshape where one of them has size 1.
fn turned(b: &mut Builder, x: Var) -> Var {
    let mut shape = b.shape(x).to_vec();
    let rank = shape.len();
    if shape[rank - 1] == 1 || shape[rank - 2] == 1 {
        shape.swap(rank - 1, rank - 2);
        return b.reshape(x, &shape);
    }
    b.transpose_last(x)
}

/// One matrix for all lanes is factored once, the lanes becoming columns of the right side.
fn solve(cx: &mut Batching, op: &Op, args: &[Value]) -> Var {
    if let Value::Same(matrix) = args[0] {
        let right = cx.mapped(args[1]);
        let shape = cx.b.shape(right).to_vec();
        let rank = shape.len();
        let (lanes, n, p) = (shape[0], shape[rank - 2], shape[rank - 1]);
        let leading = &shape[1..rank - 2];
        let mut inward: Vec<usize> = (1..rank - 1).collect();
        inward.extend([0, rank - 1]);
        let columns = cx.b.permute(right, &inward);
        let columns = cx.b.reshape(columns, &[leading, &[n, lanes * p]].concat());
        let solution = cx.b.op(op.clone(), &[matrix, columns]);
        let solution = cx.b.reshape(solution, &[leading, &[n, lanes, p]].concat());
        let mut outward = vec![rank - 2];
        outward.extend(0..rank - 2);
        outward.push(rank - 1);
        return cx.b.permute(solution, &outward);
    }
    let matrix = cx.mapped(args[0]);
    let right = cx.mapped(args[1]);
    cx.b.op(op.clone(), &[matrix, right])
}
