//! Batching: maps a Graph over a new leading axis.
//!
//! Each variable is the same in all lanes, or has one value a lane (a leading axis), or is an affine function of
//! the lane's number, which needs no array at all and turns gathers into slices. Loops stay loops over all lanes:
//! a lane that has stopped keeps its values. What a lane does not run alone, the
//! other side of a condition or passes after its last, neither faults nor warns. Per-sample products of a matrix and a vector become one matrix product.

mod control;
mod convolution;
mod mask;
mod rules;

use super::flow;
use crate::ir::builder::Builder;
use crate::ir::graph::{CallRule, Eqn, Graph, Op, Scan, Trips, Type, Var};
use dp_runtime::tensor::DType;
use std::collections::HashMap;

/// What a parameter is to the lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    /// The same in all lanes.
    Same,
    /// One value a lane, along a new leading axis.
    Mapped,
    /// The lane's number (an i64 scalar). The batched Graph does not have this parameter.
    Index,
}

/// Maps a Graph over `size` lanes. The parameters flagged in `batched` gain a leading axis of that size; so do the
/// results flagged in the answer, the others being the same in all lanes.
pub fn batch(graph: &Graph, batched: &[bool], size: usize) -> (Graph, Vec<bool>) {
    let lanes: Vec<Lane> = batched.iter().map(|&flag| if flag { Lane::Mapped } else { Lane::Same }).collect();
    batch_lanes(graph, &lanes, size)
}

/// `batch` with parameters that are the lane's number; see `Lane`.
///
/// # Panics
/// If there is not one lane kind for each parameter.
pub fn batch_lanes(graph: &Graph, lanes: &[Lane], size: usize) -> (Graph, Vec<bool>) {
    assert_eq!(graph.params.len(), lanes.len(), "internal error: one lane kind for each parameter");
    let mut cx = Batching::new(size);
    let args: Vec<Value> = graph.params.iter().zip(lanes).map(|(&p, &lane)| cx.param(graph.ty(p), lane)).collect();
    let values = batch_into(&mut cx, graph, &args);
    let mut results = Vec::new();
    let mut flags = Vec::new();
    for value in values {
        let (var, mapped) = cx.plain(value);
        results.push(var);
        flags.push(mapped);
    }
    let mut batched = cx.b.finish(results);
    flow::remove_dead(&mut batched);
    (batched, flags)
}

/// A variable of the Graph being batched, in the batched Graph.
#[derive(Clone, Copy, Debug)]
enum Value {
    Same(Var),
    /// With a leading axis.
    Mapped(Var),
    /// The i64 scalar `scale * lane + offset`.
    Index {
        scale: i64,
        offset: i64,
    },
}

impl Value {
    fn is_same(&self) -> bool {
        matches!(self, Value::Same(_))
    }
}

/// A batched Graph under construction.
struct Batching {
    b: Builder,
    size: usize,
    /// Scalar integers whose value is known.
    integers: HashMap<Var, i64>,
    /// The lanes that take part (a bool a lane), if not all do: in a side of a condition, or in a loop that some have
    /// left. What is computed for the others is thrown away, and must not fault.
    active: Option<Var>,
}

impl Batching {
    fn new(size: usize) -> Batching {
        Batching { b: Builder::default(), size, integers: HashMap::new(), active: None }
    }

    /// A Graph for a body of this one.
    fn inner(&self) -> Batching {
        Batching { b: Builder { span: self.b.span, ..Builder::default() }, ..Batching::new(self.size) }
    }

    fn mapped_type(&self, ty: &Type) -> Type {
        let mut shape = vec![self.size];
        shape.extend_from_slice(&ty.shape);
        Type { dtype: ty.dtype, shape }
    }

    fn param(&mut self, ty: &Type, lane: Lane) -> Value {
        match lane {
            Lane::Same => Value::Same(self.b.param(ty.clone())),
            Lane::Mapped => {
                let ty = self.mapped_type(ty);
                Value::Mapped(self.b.param(ty))
            }
            Lane::Index => Value::Index { scale: 1, offset: 0 },
        }
    }

    /// The value with a leading axis.
    fn mapped(&mut self, value: Value) -> Var {
        match value {
            Value::Mapped(var) => var,
            Value::Same(var) => {
                let ty = self.b.ty(var).clone();
                let shape = self.mapped_type(&ty).shape;
                self.b.op(Op::Broadcast { axes: (1..shape.len()).collect(), shape }, &[var])
            }
            Value::Index { scale, offset } => {
                let mut var = self.b.op(Op::Iota { shape: vec![self.size], axis: 0 }, &[]);
                for (op, number, neutral) in [(Op::Mul, scale, 1), (Op::Add, offset, 0)] {
                    if number != neutral {
                        let number = self.b.constant(dp_runtime::tensor::Tensor::scalar(number));
                        let number = self.b.broadcast(number, &[self.size], &[]);
                        var = self.b.op(op, &[var, number]);
                    }
                }
                var
            }
        }
    }

    /// The value as a variable, and whether it has the leading axis.
    fn plain(&mut self, value: Value) -> (Var, bool) {
        match value {
            Value::Same(var) => (var, false),
            other => (self.mapped(other), true),
        }
    }

    /// `yes` in the lanes where `mask: [size]` is true; all with the leading axis.
    fn select_lanes(&mut self, mask: Var, yes: Var, no: Var) -> Var {
        let shape = self.b.shape(yes).to_vec();
        let mask = self.b.broadcast(mask, &shape, &[0]);
        self.b.select(mask, yes, no)
    }

    /// The known value of a scalar integer.
    fn integer(&self, value: Value) -> Option<i64> {
        match value {
            Value::Same(var) => self.integers.get(&var).copied(),
            Value::Mapped(_) | Value::Index { .. } => None,
        }
    }
}

/// Appends the batched form of a Graph's equations; gives its results.
fn batch_into(cx: &mut Batching, graph: &Graph, args: &[Value]) -> Vec<Value> {
    let mut map: HashMap<Var, Value> = graph.params.iter().copied().zip(args.iter().copied()).collect();
    let span = cx.b.span;
    for eqn in &graph.eqns {
        cx.b.span = eqn.span;
        let values: Vec<Value> = eqn.args.iter().map(|a| map[a]).collect();
        let outs = batch_eqn(cx, eqn, &values);
        map.extend(eqn.outs.iter().copied().zip(outs));
    }
    cx.b.span = span;
    graph.results.iter().map(|r| map[r]).collect()
}

fn batch_eqn(cx: &mut Batching, eqn: &Eqn, args: &[Value]) -> Vec<Value> {
    let masked = cx.active.is_some() && crate::opt::can_fault(&eqn.op);
    let args = if masked { mask::harmless(cx, &eqn.op, args) } else { args.to_vec() };
    let args = args.as_slice();
    // Bodies that can fault learn which lanes take part, even if no operand differs between lanes.
    if args.iter().all(Value::is_same) && (!masked || eqn.op.subgraphs().is_empty()) {
        let vars: Vec<Var> = args.iter().map(|&v| cx.plain(v).0).collect();
        let outs = cx.b.emit(eqn.op.clone(), &vars);
        if let Op::Const(value) = &eqn.op
            && value.dtype() == DType::I64
            && value.shape().is_empty()
        {
            cx.integers.insert(outs[0], value.as_slice::<i64>()[0]);
        }
        return outs.into_iter().map(Value::Same).collect();
    }
    match &eqn.op {
        Op::Scan(scan) => control::batch_scan(cx, scan, args),
        Op::Cond { then, otherwise } => control::batch_cond(cx, then, otherwise, args),
        Op::Call { body, rule } => control::batch_call(cx, body, rule, args),
        Op::Guard(_) => control::batch_guard(cx, &eqn.op, args),
        op => rules::batch_op(cx, op, args),
    }
}

/// For each result of a Graph: does it differ between lanes, if the flagged parameters do?
pub fn results_vary(graph: &Graph, params: &[bool]) -> Vec<bool> {
    let mut flags = vec![false; graph.types.len()];
    for (&param, &flag) in graph.params.iter().zip(params) {
        flags[param.0 as usize] = flag;
    }
    for eqn in &graph.eqns {
        let args: Vec<bool> = eqn.args.iter().map(|a| flags[a.0 as usize]).collect();
        if !args.contains(&true) {
            continue;
        }
        let outs = match &eqn.op {
            Op::Scan(scan) => scan_varies(scan, &args).outs,
            Op::Cond { .. } if args[0] => vec![true; eqn.outs.len()],
            Op::Cond { then, otherwise } => {
                let otherwise = results_vary(otherwise, &args[1..]);
                results_vary(then, &args[1..]).iter().zip(otherwise).map(|(&a, b)| a || b).collect()
            }
            Op::Call { body, rule: CallRule::Inline | CallRule::Recompute } => results_vary(body, &args),
            Op::Call { body, rule: CallRule::Tangent(tangent) } => call_varies(body, tangent, &args),
            Op::Call { body: _, rule: CallRule::Solve { .. } } => vec![true],
            Op::Guard(_) => args[1..].to_vec(),
            _ => vec![true; eqn.outs.len()],
        };
        for (&out, flag) in eqn.outs.iter().zip(outs) {
            flags[out.0 as usize] = flag;
        }
    }
    graph.results.iter().map(|r| flags[r.0 as usize]).collect()
}

/// What of a loop differs between lanes.
struct ScanVaries {
    carries: Vec<bool>,
    /// The number of passes does, so that lanes stop at different times.
    trips: bool,
    /// Carries, rows, trip count.
    outs: Vec<bool>,
}

fn scan_varies(scan: &Scan, args: &[bool]) -> ScanVaries {
    let mut carries = args[scan.consts..scan.consts + scan.carries].to_vec();
    let mut trips = scan.trips == Trips::Input && args[args.len() - 1];
    loop {
        if trips {
            carries.fill(true);
        }
        let results = results_vary(&scan.body, &flow::body_flags(scan, args, &carries, false));
        let next: Vec<bool> = carries.iter().zip(&results).map(|(&a, &b)| a || b).collect();
        let next_trips = trips || (scan.trips == Trips::Until && results[results.len() - 1]);
        if next == carries && next_trips == trips {
            let mut outs = carries.clone();
            let rows = &results[scan.carries..scan.carries + scan.stacked_outs()];
            outs.extend(rows.iter().map(|&row| row || trips));
            if scan.trips == Trips::Until {
                outs.push(trips);
            }
            return ScanVaries { carries, trips, outs };
        }
        carries = next;
        trips = next_trips;
    }
}

/// Which results of a call with a derivative of its own differ between lanes: those of the body or of the derivative.
fn call_varies(body: &Graph, tangent: &Graph, args: &[bool]) -> Vec<bool> {
    let mut results = results_vary(body, args);
    loop {
        let tangents = results_vary(tangent, &tangent_flags(body, args, &results));
        let mut tangents = tangents.into_iter();
        let next: Vec<bool> = body
            .results
            .iter()
            .zip(&results)
            .map(|(&r, &flag)| {
                let from_tangent = body.ty(r).dtype.is_float() && tangents.next().unwrap_or(false);
                flag || from_tangent
            })
            .collect();
        if next == results {
            return results;
        }
        results = next;
    }
}

/// Flags of the parameters of a call's derivative: arguments, results, tangents of floating arguments.
fn tangent_flags(body: &Graph, args: &[bool], results: &[bool]) -> Vec<bool> {
    let floats = body.params.iter().zip(args).filter(|(p, _)| body.ty(**p).dtype.is_float());
    let tangents: Vec<bool> = floats.map(|(_, &flag)| flag).collect();
    [args, results, &tangents].concat()
}
