//! Loops, conditions and calls over all lanes.

use super::{Batching, Lane, Value, batch_into, call_varies, mask, results_vary, scan_varies, tangent_flags};
use crate::ad::flow;
use crate::ir::graph::{CallRule, Graph, Op, Scan, Trips, Type, Var};
use dp_runtime::tensor::DType;
use std::rc::Rc;

/// One loop over all lanes. Where lanes stop at different times it runs until all have stopped; the carries of a
/// stopped lane keep their values and its rows are zero, as if it had run alone.
pub fn batch_scan(cx: &mut Batching, scan: &Scan, args: &[Value]) -> Vec<Value> {
    if let Some(rows) = flow::rows_at_counter(scan) {
        let args = rows.args(scan, args, |&value| match value {
            Value::Same(x) => Value::Same(flow::first_along(&mut cx.b, x, 0, scan.cap)),
            Value::Mapped(x) => Value::Mapped(flow::first_along(&mut cx.b, x, 1, scan.cap)),
            Value::Index { .. } => panic!("internal error: a lane's number has no rows"),
        });
        return batch_scan(cx, &rows.scan, &args);
    }
    let flags: Vec<bool> = args.iter().map(|v| !v.is_same()).collect();
    let varies = scan_varies(scan, &flags);
    let body = &scan.body;
    let counter = scan.consts + scan.carries;
    let lanes_type = {
        let size = cx.size;
        move |dtype| Type::new(dtype, &[size])
    };

    // The new body's parameters and the new arguments, in order.
    let mut inner = cx.inner();
    let mut new_args: Vec<Var> = Vec::new();
    let mut params: Vec<Value> = Vec::new();
    for (i, &arg) in args[..scan.consts].iter().enumerate() {
        let ty = body.ty(body.params[i]);
        match arg {
            Value::Index { scale, offset } => params.push(Value::Index { scale, offset }),
            Value::Same(var) => {
                let param = inner.param(ty, Lane::Same);
                if let (Some(&number), Value::Same(param)) = (cx.integers.get(&var), param) {
                    inner.integers.insert(param, number);
                }
                params.push(param);
                new_args.push(var);
            }
            Value::Mapped(var) => {
                params.push(inner.param(ty, Lane::Mapped));
                new_args.push(var);
            }
        }
    }
    let active = cx.active.map(|active| {
        new_args.push(active);
        inner.b.param(lanes_type(DType::Bool))
    });
    let mut counts = None;
    if varies.trips && scan.trips == Trips::Input {
        counts = Some(inner.b.param(lanes_type(DType::I64)));
        new_args.push(cx.mapped(args[args.len() - 1]));
    }
    let consts = new_args.len();
    for i in 0..scan.carries {
        let ty = body.ty(body.params[scan.consts + i]);
        let arg = args[scan.consts + i];
        if varies.carries[i] {
            params.push(inner.param(ty, Lane::Mapped));
            new_args.push(cx.mapped(arg));
        } else {
            params.push(inner.param(ty, Lane::Same));
            new_args.push(cx.plain(arg).0);
        }
    }
    let mut stopped = None;
    if varies.trips && scan.trips == Trips::Until {
        let done = inner.b.param(lanes_type(DType::Bool));
        let passes = inner.b.param(lanes_type(DType::I64));
        stopped = Some((done, passes));
        // A lane that does not take part has stopped before it begins: it might never meet its rule.
        new_args.push(match cx.active {
            Some(active) => cx.b.op(Op::Not, &[active]),
            None => cx.b.zeros(&lanes_type(DType::Bool)),
        });
        new_args.push(cx.b.zeros(&lanes_type(DType::I64)));
    }
    let carries = new_args.len() - consts;
    let counter_var = inner.b.param(body.ty(body.params[counter]).clone());
    params.push(Value::Same(counter_var));
    for i in counter + 1..body.params.len() {
        let ty = body.ty(body.params[i]);
        match args[i - 1] {
            Value::Same(var) => {
                params.push(inner.param(ty, Lane::Same));
                new_args.push(var);
            }
            other => {
                params.push(inner.param(ty, Lane::Mapped));
                let var = cx.mapped(other);
                new_args.push(swap_leading(cx, var));
            }
        }
    }
    let trips = match scan.trips {
        Trips::Input if varies.trips => {
            let counts = cx.mapped(args[args.len() - 1]);
            let most = cx.b.op(Op::ReduceMax { axes: vec![0] }, &[counts]);
            let zero = cx.b.scalar(DType::I64, 0.0);
            new_args.push(cx.b.op(Op::Max, &[most, zero]));
            Trips::Input
        }
        Trips::Input => {
            new_args.push(cx.plain(args[args.len() - 1]).0);
            Trips::Input
        }
        Trips::All => Trips::All,
        Trips::Until => Trips::Until,
    };

    // The body.
    let running = match (counts, stopped) {
        (Some(counts), _) => {
            let counter = inner.b.op(Op::Broadcast { shape: vec![cx.size], axes: Vec::new() }, &[counter_var]);
            Some(inner.b.op(Op::Lt, &[counter, counts]))
        }
        (None, Some((done, _))) => Some(inner.b.op(Op::Not, &[done])),
        (None, None) => None,
    };
    inner.active = match (active, running) {
        (Some(active), Some(running)) => Some(inner.b.op(Op::And, &[active, running])),
        (active, running) => active.or(running),
    };
    let values = batch_into(&mut inner, body, &params);
    let mut results = Vec::new();
    for (i, &value) in values[..scan.carries].iter().enumerate() {
        results.push(match running {
            Some(running) => {
                let new = inner.mapped(value);
                let old = inner.mapped(params[scan.consts + i]);
                inner.select_lanes(running, new, old)
            }
            None if varies.carries[i] => inner.mapped(value),
            None => inner.plain(value).0,
        });
    }
    let rows_end = scan.carries + scan.stacked_outs();
    let mut stop = None;
    if let (Some((done, passes)), Some(running)) = (stopped, running) {
        let stops = inner.mapped(values[rows_end]);
        let done = inner.b.op(Op::Or, &[done, stops]);
        let ran = inner.b.convert(running, DType::I64);
        results.push(done);
        results.push(inner.b.add(passes, ran));
        stop = Some(inner.b.op(Op::All { axes: vec![0] }, &[done]));
    } else if scan.trips == Trips::Until {
        stop = Some(inner.plain(values[rows_end]).0);
    }
    let mut row_mapped = Vec::new();
    for &value in &values[scan.carries..rows_end] {
        let (row, mapped) = match running {
            Some(running) => {
                let row = inner.mapped(value);
                let ty = inner.b.ty(row).clone();
                let zero = inner.b.zeros(&ty);
                (inner.select_lanes(running, row, zero), true)
            }
            None => inner.plain(value),
        };
        results.push(row);
        row_mapped.push(mapped);
    }
    results.extend(stop);
    let new_body = inner.b.finish(results);
    let batched = Scan { body: new_body.into(), consts, carries, cap: scan.cap, trips, reverse: scan.reverse };
    let outs = cx.b.emit(Op::Scan(batched), &new_args);

    // The results.
    let mut values = with_flags(outs[..scan.carries].to_vec(), &varies.carries);
    for (&row, &mapped) in outs[carries..].iter().zip(&row_mapped) {
        values.push(if mapped { Value::Mapped(swap_leading(cx, row)) } else { Value::Same(row) });
    }
    if scan.trips == Trips::Until {
        values.push(match stopped {
            Some(_) => Value::Mapped(outs[carries - 1]),
            None => Value::Same(outs[outs.len() - 1]),
        });
    }
    values
}

/// Swaps the first two axes: rows of lanes against lanes of rows.
fn swap_leading(cx: &mut Batching, x: Var) -> Var {
    let mut perm: Vec<usize> = (0..cx.b.ty(x).rank()).collect();
    perm.swap(0, 1);
    cx.b.permute(x, &perm)
}

/// One predicate: a condition over all lanes. A predicate a lane: both sides, each for the lanes that take it, and a
/// selection.
pub fn batch_cond(cx: &mut Batching, then: &Rc<Graph>, otherwise: &Rc<Graph>, args: &[Value]) -> Vec<Value> {
    let Value::Same(pred) = args[0] else {
        let mask = cx.mapped(args[0]);
        let rest = cx.b.op(Op::Not, &[mask]);
        let yes = batch_side(cx, then, mask, &args[1..]);
        let no = batch_side(cx, otherwise, rest, &args[1..]);
        let mut values = Vec::new();
        for (yes, no) in yes.into_iter().zip(no) {
            let yes = cx.mapped(yes);
            let no = cx.mapped(no);
            values.push(Value::Mapped(cx.select_lanes(mask, yes, no)));
        }
        return values;
    };
    let flags: Vec<bool> = args[1..].iter().map(|v| !v.is_same()).collect();
    let mapped: Vec<bool> =
        results_vary(then, &flags).iter().zip(results_vary(otherwise, &flags)).map(|(&a, b)| a || b).collect();
    let mut new_args = vec![pred];
    for &arg in &args[1..] {
        match arg {
            Value::Same(var) | Value::Mapped(var) => new_args.push(var),
            Value::Index { .. } => {}
        }
    }
    new_args.extend(cx.active);
    let [then, otherwise] = [then, otherwise].map(|side| {
        let mut inner = cx.inner();
        let mut params = Vec::new();
        for (&p, &arg) in side.params.iter().zip(&args[1..]) {
            params.push(match arg {
                Value::Same(_) => inner.param(side.ty(p), Lane::Same),
                Value::Mapped(_) => inner.param(side.ty(p), Lane::Mapped),
                Value::Index { scale, offset } => Value::Index { scale, offset },
            });
        }
        inner.active = cx.active.map(|active| inner.b.param(cx.b.ty(active).clone()));
        let values = batch_into(&mut inner, side, &params);
        finish_with(inner, values, &mapped)
    });
    let outs = cx.b.emit(Op::Cond { then, otherwise }, &new_args);
    with_flags(outs, &mapped)
}

/// A side of a condition, for the lanes in `mask`.
fn batch_side(cx: &mut Batching, side: &Graph, mask: Var, args: &[Value]) -> Vec<Value> {
    let around = cx.active;
    cx.active = Some(match around {
        Some(active) => cx.b.op(Op::And, &[active, mask]),
        None => mask,
    });
    let values = batch_into(cx, side, args);
    cx.active = around;
    values
}

/// A body whose results have the leading axis where `mapped` says so.
fn finish_with(mut inner: Batching, values: Vec<Value>, mapped: &[bool]) -> Rc<Graph> {
    let mut results = Vec::new();
    for (value, &mapped) in values.into_iter().zip(mapped) {
        results.push(if mapped { inner.mapped(value) } else { inner.plain(value).0 });
    }
    Rc::new(inner.b.finish(results))
}

fn with_flags(outs: Vec<Var>, mapped: &[bool]) -> Vec<Value> {
    outs.into_iter().zip(mapped).map(|(out, &m)| if m { Value::Mapped(out) } else { Value::Same(out) }).collect()
}

/// A call of the batched body, with the batched derivative.
pub fn batch_call(cx: &mut Batching, body: &Rc<Graph>, rule: &CallRule, args: &[Value]) -> Vec<Value> {
    let flags: Vec<bool> = args.iter().map(|v| !v.is_same()).collect();
    let active = cx.active.filter(|_| mask::can_fault(body, rule));
    let (mapped, rule) = match rule {
        CallRule::Inline => return batch_into(cx, body, args),
        CallRule::Recompute => (results_vary(body, &flags), CallRule::Recompute),
        CallRule::Tangent(tangent) => {
            let mapped = call_varies(body, tangent, &flags);
            let floats = body.results.iter().zip(&mapped).filter(|(r, _)| body.ty(**r).dtype.is_float());
            let tangent_mapped: Vec<bool> = floats.map(|(_, &m)| m).collect();
            let at = active.map(|_| args.len());
            let tangent = batch_whole(cx, tangent, &tangent_flags(body, &flags, &mapped), &tangent_mapped, at);
            (mapped, CallRule::Tangent(tangent))
        }
        CallRule::Solve { .. } => return batch_solve(cx, body, rule, args, active),
    };
    let body = batch_whole(cx, body, &flags, &mapped, active.map(|_| args.len()));
    let mut vars: Vec<Var> = args.iter().map(|&v| cx.plain(v).0).collect();
    vars.extend(active);
    let outs = cx.b.emit(Op::Call { body, rule }, &vars);
    with_flags(outs, &mapped)
}

/// A system in each lane: right sides and solutions differ between lanes, the lanes that take part come before them.
fn batch_solve(
    cx: &mut Batching,
    body: &Rc<Graph>,
    rule: &CallRule,
    args: &[Value],
    active: Option<Var>,
) -> Vec<Value> {
    let last = args.len() - 1;
    let mut flags: Vec<bool> = args.iter().map(|v| !v.is_same()).collect();
    flags[last] = true;
    let mut whole = |graph: &Rc<Graph>| batch_whole(cx, graph, &flags, &[true], active.map(|_| last));
    let op = Op::Call { body: whole(body), rule: rule.map(&mut whole) };
    let mut vars: Vec<Var> = args[..last].iter().map(|&v| cx.plain(v).0).collect();
    vars.extend(active);
    vars.push(cx.mapped(args[last]));
    with_flags(cx.b.emit(op, &vars), &[true])
}

/// A Graph of its own, its parameters mapped by `flags`, its results by `mapped`. The lanes that take part come as a
/// parameter at `active`, if it is given.
fn batch_whole(cx: &Batching, graph: &Graph, flags: &[bool], mapped: &[bool], active: Option<usize>) -> Rc<Graph> {
    let mut inner = cx.inner();
    let mut params = Vec::new();
    for (i, (&p, &flag)) in graph.params.iter().zip(flags).enumerate() {
        if active == Some(i) {
            inner.active = Some(inner.b.param(Type::new(DType::Bool, &[cx.size])));
        }
        params.push(inner.param(graph.ty(p), if flag { Lane::Mapped } else { Lane::Same }));
    }
    if active == Some(graph.params.len()) {
        inner.active = Some(inner.b.param(Type::new(DType::Bool, &[cx.size])));
    }
    let values = batch_into(&mut inner, graph, &params);
    finish_with(inner, values, mapped)
}

/// A guard on all lanes.
pub fn batch_guard(cx: &mut Batching, op: &Op, args: &[Value]) -> Vec<Value> {
    let (pred, varies) = cx.plain(args[0]);
    let pred = if varies { cx.b.op(Op::All { axes: vec![0] }, &[pred]) } else { pred };
    let mut operands = vec![pred];
    let mut flags = Vec::new();
    for &arg in &args[1..] {
        let (var, mapped) = cx.plain(arg);
        operands.push(var);
        flags.push(mapped);
    }
    let outs = cx.b.emit(op.clone(), &operands);
    with_flags(outs, &flags)
}
