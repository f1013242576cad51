//! What a loop need not carry: constants known outside, carries that never change, stacks of equal rows.

use super::rewrite::{Memo, Rewrite, map_bodies};
use crate::ir::builder::Builder;
use crate::ir::graph::{Eqn, Graph, Op, Scan, Trips, Type, Var};
use dp_runtime::tensor::Tensor;
use std::collections::HashMap;
use std::rc::Rc;

/// Constants with more elements stay outside of loops.
const SMALL: usize = 16;

/// Simplifies what enters and leaves loops:
/// small constants move into the body; operands that enter twice enter once; a carry that never changes and a stacked
/// input whose rows are equal become constants; stacked results that are constant, a stacked input again, the counter,
/// or twice the same, are made outside.
pub fn loops(graph: &Graph) -> Graph {
    pass(graph, &mut Memo::new())
}

fn pass(graph: &Graph, memo: &mut Memo) -> Graph {
    let mut rw = Rewrite::new(graph);
    for eqn in &graph.eqns {
        rw.b.span = eqn.span;
        let op = map_bodies(&eqn.op, memo, pass);
        let args = rw.all(&eqn.args);
        let outs = match op {
            Op::Scan(scan) => simplify(&mut rw, &scan, &args),
            other => {
                let types: Vec<Type> = eqn.outs.iter().map(|&out| graph.ty(out).clone()).collect();
                rw.push(other, args, &types)
            }
        };
        for (&old, new) in eqn.outs.iter().zip(outs) {
            rw.set(old, new);
        }
    }
    rw.finish(graph)
}

/// Where a body's parameter comes from in the new loop.
#[derive(Clone)]
enum Source {
    /// A constant operand.
    Const(Var),
    /// A value made inside: a scalar, broadcast, or a small constant.
    Inside(Tensor),
    /// Carry or stacked input with this number, which stays.
    Carry(usize),
    Stack(usize),
    Counter,
}

fn simplify(rw: &mut Rewrite, scan: &Scan, args: &[Var]) -> Vec<Var> {
    let old = &scan.body;
    let counter = scan.consts + scan.carries;
    let mut sources: Vec<Source> = Vec::with_capacity(old.params.len());
    for (i, &param) in old.params.iter().enumerate() {
        sources.push(if i < scan.consts {
            constant(rw, args[i])
        } else if i < counter {
            let carry = i - scan.consts;
            if old.results[carry] == param { constant(rw, args[i]) } else { Source::Carry(carry) }
        } else if i == counter {
            Source::Counter
        } else {
            let stack = i - counter - 1;
            match equal_rows(rw, args[i - 1]) {
                Some(row) => constant(rw, row),
                None => Source::Stack(stack),
            }
        });
    }

    // The new body: parameters, then the old one's equations.
    let mut b = Builder { span: rw.b.span, ..Builder::default() };
    let mut consts: Vec<Var> = Vec::new();
    let mut const_params: HashMap<Var, Var> = HashMap::new();
    let mut inner: Vec<Option<Var>> = vec![None; old.params.len()];
    for (i, source) in sources.iter().enumerate() {
        if let Source::Const(arg) = source {
            inner[i] = Some(*const_params.entry(*arg).or_insert_with(|| {
                consts.push(*arg);
                b.param(rw.b.ty(*arg).clone())
            }));
        }
    }
    let mut carries = Vec::new();
    let mut stacks = Vec::new();
    for (i, source) in sources.iter().enumerate() {
        let ty = old.ty(old.params[i]).clone();
        match source {
            Source::Carry(carry) => {
                carries.push(*carry);
                inner[i] = Some(b.param(ty));
            }
            Source::Counter => inner[i] = Some(b.param(ty)),
            Source::Stack(stack) => {
                stacks.push(*stack);
                inner[i] = Some(b.param(ty));
            }
            Source::Const(_) | Source::Inside(_) => {}
        }
    }
    for (i, source) in sources.iter().enumerate() {
        if let Source::Inside(value) = source {
            let value = b.constant(value.clone());
            inner[i] = Some(b.broadcast(value, old.shape(old.params[i]), &[]));
        }
    }
    let inner: Vec<Var> = inner.into_iter().map(|v| v.expect("each parameter has a source")).collect();
    let results = b.inline(old, &inner);

    // Results: carries that stay, stacked results that are made in the loop, the stop flag.
    let until = usize::from(scan.trips == Trips::Until);
    let mut new_results: Vec<Var> = carries.iter().map(|&carry| results[carry]).collect();
    let mut made: HashMap<Var, usize> = HashMap::new();
    let mut stacked: Vec<Outside> = Vec::new();
    for &slice in &results[scan.carries..results.len() - until] {
        let outside = match outside(scan, &b, slice, &const_params, &inner, &sources, args) {
            Some(outside) => outside,
            None => Outside::Made(*made.entry(slice).or_insert_with(|| {
                new_results.push(slice);
                new_results.len() - 1
            })),
        };
        stacked.push(outside);
    }
    new_results.extend(&results[results.len() - until..]);

    let mut new_args = consts.clone();
    new_args.extend(carries.iter().map(|&carry| args[scan.consts + carry]));
    new_args.extend(stacks.iter().map(|&stack| args[counter + stack]));
    if scan.trips == Trips::Input {
        new_args.extend(args.last());
    }
    let new_scan =
        Scan { body: Rc::new(b.finish(new_results)), consts: consts.len(), carries: carries.len(), ..scan.clone() };
    let made = rw.b.emit(Op::Scan(new_scan), &new_args);

    let mut outs = Vec::new();
    let mut kept = 0;
    for (carry, &init) in args[scan.consts..counter].iter().enumerate() {
        if carries.contains(&carry) {
            outs.push(made[kept]);
            kept += 1;
        } else {
            outs.push(init);
        }
    }
    for outside in stacked {
        outs.push(match outside {
            Outside::Made(position) => made[position],
            Outside::Operand(arg) => arg,
            Outside::Rows(row) => {
                let shape = [&[scan.cap], rw.b.shape(row)].concat();
                {
                    let axes: Vec<usize> = (1..shape.len()).collect();
                    rw.b.op(Op::Broadcast { shape, axes }, &[row])
                }
            }
            Outside::Counters => rw.b.op(Op::Iota { shape: vec![scan.cap], axis: 0 }, &[]),
        });
    }
    if until == 1 {
        outs.extend(made.last());
    }
    outs
}

/// A stacked result: made in the loop, or outside of it.
enum Outside {
    /// Result of the new loop with this number.
    Made(usize),
    /// An operand of the loop.
    Operand(Var),
    /// Equal rows.
    Rows(Var),
    /// 0, 1, ...
    Counters,
}

/// How a stacked result can be made outside. Rows of passes that do not run are zero, so all must run.
fn outside(
    scan: &Scan,
    b: &Builder,
    slice: Var,
    const_params: &HashMap<Var, Var>,
    inner: &[Var],
    sources: &[Source],
    args: &[Var],
) -> Option<Outside> {
    if scan.trips != Trips::All || !b.graph.params.contains(&slice) {
        return None;
    }
    if let Some((&arg, _)) = const_params.iter().find(|&(_, &param)| param == slice) {
        return Some(Outside::Rows(arg));
    }
    let position = inner.iter().position(|&v| v == slice)?;
    match sources[position] {
        Source::Counter => Some(Outside::Counters),
        Source::Stack(stack) => Some(Outside::Operand(args[scan.consts + scan.carries + stack])),
        Source::Const(_) | Source::Inside(_) | Source::Carry(_) => None,
    }
}

/// A constant of the loop: inside if it is small.
fn constant(rw: &mut Rewrite, arg: Var) -> Source {
    if let Some(scalar) = rw.uniform(arg) {
        return Source::Inside(scalar);
    }
    match rw.value(arg) {
        Some(value) if value.len() <= SMALL => Source::Inside(value),
        Some(_) | None => Source::Const(arg),
    }
}

/// The row of a stack that is broadcast along its first axis.
fn equal_rows(rw: &mut Rewrite, stack: Var) -> Option<Var> {
    let Some(Eqn { op: Op::Broadcast { shape, axes }, args, .. }) = rw.def(stack) else { return None };
    if axes.first() == Some(&0) {
        return None;
    }
    let (shape, inner) = (shape[1..].to_vec(), args[0]);
    let axes: Vec<usize> = axes.iter().map(|axis| axis - 1).collect();
    Some(rw.b.broadcast(inner, &shape, &axes))
}
