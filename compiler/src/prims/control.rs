//! Loops, branches, calls and guards.

use super::sample::{Rng, Use};
use super::shape::{self, Rule};
use super::value::Values;
use super::{Family, Prim};
use crate::ir::builder::Builder;
use crate::ir::eval;
use crate::ir::graph::{CallRule, Graph, Guard, Op, Scan, Trips, Type, Var};
use dp_runtime::tensor::{DType, Tensor};
use std::rc::Rc;

pub static SCAN: Prim = Prim {
    name: "scan",
    doc: "The one loop.\nOperands: constants, carries, stacked inputs `[cap, ...]`, then the number of passes if that is an input.\n\
          Results: the last carries, stacked outputs `[cap, ...]` with zeros in rows that did not run, then the number of\n\
          passes if a stop flag of the body decides it.",
    family: Family::Control,
    plain: None,
    result: scan,
    eval: eval_graph,
    sample: sample_scan,
    special: special_scan,
};

pub static COND: Prim = Prim {
    name: "cond",
    doc: "`cond(pred, args...)`: the results of one of two Graphs, of which only that one runs.",
    family: Family::Control,
    plain: None,
    result: cond,
    eval: eval_graph,
    sample: sample_cond,
    special: special_cond,
};

pub static CALL: Prim = Prim {
    name: "call",
    doc: "The results of a Graph, with a rule for its differentiation.",
    family: Family::Control,
    plain: None,
    result: call,
    eval: eval_graph,
    sample: sample_call,
    special: special_call,
};

pub static GUARD: Prim = Prim {
    name: "guard",
    doc: "`guard(pred, x...)` gives x...; when the predicate is false it warns or faults.",
    family: Family::Control,
    plain: None,
    result: guard,
    eval: eval_graph,
    sample: sample_guard,
    special: special_guard,
};

fn scan(op: &Op, args: &[&Type]) -> Rule {
    let Op::Scan(scan) = op else { shape::wrong_row(op) };
    let body = &scan.body;
    let fixed = scan.consts + scan.carries;
    let params = body.param_types();
    let results = body.result_types();
    shape::require(params.len() > fixed, || "has a body with too few parameters".to_string())?;
    let until = usize::from(scan.trips == Trips::Until);
    shape::require(results.len() >= scan.carries + until, || "has a body with too few results".to_string())?;
    let expected = params.len() - 1 + usize::from(scan.trips == Trips::Input);
    shape::require(args.len() == expected, || format!("takes {expected} operands, not {}", args.len()))?;

    for (i, (arg, param)) in args.iter().zip(&params[..fixed]).enumerate() {
        shape::require(*arg == param, || format!("operand {i} is {arg}, the body takes {param}"))?;
    }
    shape::require(params[fixed] == Type::scalar(DType::I64), || format!("has a counter of type {}", params[fixed]))?;
    for (i, (arg, param)) in args[fixed..].iter().zip(&params[fixed + 1..]).enumerate() {
        let stacked = stack(scan.cap, param)?;
        shape::require(**arg == stacked, || format!("stacked operand {i} is {arg}, not {stacked}"))?;
    }
    if scan.trips == Trips::Input {
        shape::scalar(args[args.len() - 1], DType::I64)?;
    }
    shape::require(!(scan.reverse && scan.trips == Trips::Until), || {
        "cannot count down from an unknown number of passes".to_string()
    })?;
    for (i, (carry, next)) in params[scan.consts..fixed].iter().zip(&results).enumerate() {
        shape::require(carry == next, || format!("carry {i} is {carry}, its next value is {next}"))?;
    }
    let mut outs = results[..scan.carries].to_vec();
    for slice in &results[scan.carries..results.len() - until] {
        outs.push(stack(scan.cap, slice)?);
    }
    if scan.trips == Trips::Until {
        shape::scalar(&results[results.len() - 1], DType::Bool)?;
        outs.push(Type::scalar(DType::I64));
    }
    Ok(outs)
}

fn stack(cap: usize, slice: &Type) -> Result<Type, String> {
    shape::sized(slice.dtype, [&[cap], &slice.shape[..]].concat())
}

fn cond(op: &Op, args: &[&Type]) -> Rule {
    let Op::Cond { then, otherwise } = op else { shape::wrong_row(op) };
    let (pred, args) = shape::first(args)?;
    shape::scalar(pred, DType::Bool)?;
    signature("the first side", then, args)?;
    signature("the second side", otherwise, args)?;
    let (yes, no) = (then.result_types(), otherwise.result_types());
    shape::require(yes == no, || format!("has sides of types ({}) and ({})", list(&yes), list(&no)))?;
    Ok(yes)
}

fn call(op: &Op, args: &[&Type]) -> Rule {
    let Op::Call { body, rule } = op else { shape::wrong_row(op) };
    signature("the body", body, args)?;
    let results = body.result_types();
    match rule {
        CallRule::Inline | CallRule::Recompute => {}
        CallRule::Tangent(tangent) => {
            let tangents = args.iter().filter(|ty| ty.dtype.is_float()).copied();
            let params: Vec<&Type> = args.iter().copied().chain(&results).chain(tangents).collect();
            signature("the derivative", tangent, &params)?;
            let expected: Vec<Type> = results.iter().filter(|ty| ty.dtype.is_float()).cloned().collect();
            let found = tangent.result_types();
            shape::require(expected == found, || {
                format!("has a derivative that gives ({}), not ({})", list(&found), list(&expected))
            })?;
        }
        CallRule::Solve { operator, adjoint, turned } => {
            let right = args.last().map(|&ty| ty.clone());
            let fits = right.as_ref().is_some_and(|ty| ty.dtype.is_float()) && results == right.as_slice();
            shape::require(fits, || format!("solves for ({}), not for its last argument", list(&results)))?;
            for (what, graph) in [("the operator", operator), ("its adjoint", adjoint), ("the way back", turned)] {
                signature(what, graph, args)?;
                let found = graph.result_types();
                shape::require(found == results, || {
                    format!("has ({}) from {what}, not ({})", list(&found), list(&results))
                })?;
            }
        }
    }
    Ok(results)
}

fn guard(op: &Op, args: &[&Type]) -> Rule {
    let Op::Guard(_) = op else { shape::wrong_row(op) };
    let (pred, rest) = shape::first(args)?;
    shape::scalar(pred, DType::Bool)?;
    Ok(rest.iter().map(|&ty| ty.clone()).collect())
}

fn signature(what: &str, graph: &Graph, args: &[&Type]) -> Result<(), String> {
    let fits = graph.params.len() == args.len() && graph.params.iter().zip(args).all(|(&p, &arg)| graph.ty(p) == arg);
    shape::require(fits, || {
        let args: Vec<Type> = args.iter().map(|&ty| ty.clone()).collect();
        format!("gives ({}) to {what}, which takes ({})", list(&args), list(&graph.param_types()))
    })
}

fn list(types: &[Type]) -> String {
    types.iter().map(Type::to_string).collect::<Vec<_>>().join(", ")
}

/// The evaluator knows these operations: a Graph of one equation.
fn eval_graph(op: &Op, args: Vec<Tensor>) -> Values {
    let mut b = Builder::default();
    let params: Vec<_> = args.iter().map(|arg| b.param(Type::of(arg))).collect();
    let outs = b.emit(op.clone(), &params);
    eval::eval(&b.finish(outs), &args).map_err(|fault| fault.kind)
}

/// A loop with one constant, one carry, one stacked input and one stacked output, all vectors of length `n`:
/// the carry becomes `carry * const + x + counter`; the output is its old value. It stops when its first entry is above 4.
fn loop_of(dtype: DType, n: usize, cap: usize, trips: Trips, reverse: bool) -> Op {
    let vector = Type::new(dtype, &[n]);
    let mut b = Builder::default();
    let factor = b.param(vector.clone());
    let carry = b.param(vector.clone());
    let counter = b.param(Type::scalar(DType::I64));
    let x = b.param(vector.clone());
    let product = b.mul(carry, factor);
    let sum = b.add(product, x);
    let time = b.convert(counter, dtype);
    let time = b.broadcast(time, &[n], &[]);
    let next = b.add(sum, time);
    let mut results = vec![next, carry];
    if trips == Trips::Until {
        let total = b.sum(next, &[0]);
        let limit = b.scalar(dtype, 4.0);
        results.push(b.op(Op::Lt, &[limit, total]));
    }
    Op::Scan(Scan { body: Rc::new(b.finish(results)), consts: 1, carries: 1, cap, trips, reverse })
}

fn sample_scan(rng: &mut Rng) -> Use {
    let dtype = rng.float_kind();
    let (n, cap) = (rng.range(1, 4), rng.range(1, 5));
    let trips = *rng.pick(&[Trips::All, Trips::Input, Trips::Until]);
    let reverse = trips != Trips::Until && rng.flip();
    let mut args = vec![rng.tensor(dtype, &[n]), rng.tensor(dtype, &[n]), rng.tensor(dtype, &[cap, n])];
    if trips == Trips::Input {
        args.push(Tensor::scalar(rng.below(cap + 1) as i64));
    }
    (loop_of(dtype, n, cap, trips, reverse), args)
}

/// No passes, one pass, empty vectors.
fn special_scan() -> Vec<Use> {
    let mut uses = Vec::new();
    for (n, cap) in [(2, 0), (2, 1), (0, 2)] {
        let args = vec![
            Tensor::full(DType::F64, &[n], 0.5),
            Tensor::full(DType::F64, &[n], 1.0),
            Tensor::full(DType::F64, &[cap, n], 2.0),
        ];
        for reverse in [false, true] {
            uses.push((loop_of(DType::F64, n, cap, Trips::All, reverse), args.clone()));
            for trips in 0..=cap {
                let args = [args.clone(), vec![Tensor::scalar(trips as i64)]].concat();
                uses.push((loop_of(DType::F64, n, cap, Trips::Input, reverse), args));
            }
        }
        uses.push((loop_of(DType::F64, n, cap, Trips::Until, false), args));
    }
    uses
}

/// `f(a, b) = (op(a, b), a)` on vectors.
fn pair(op: Op, ty: &Type) -> Rc<Graph> {
    let mut b = Builder::default();
    let x = b.param(ty.clone());
    let y = b.param(ty.clone());
    let z = b.op(op, &[x, y]);
    Rc::new(b.finish(vec![z, x]))
}

fn sample_cond(rng: &mut Rng) -> Use {
    let shape = rng.any_shape();
    let ty = Type::new(rng.float_kind(), &shape);
    let op = Op::Cond { then: pair(Op::Mul, &ty), otherwise: pair(Op::Sub, &ty) };
    let args = vec![Tensor::scalar(rng.flip()), rng.tensor(ty.dtype, &ty.shape), rng.tensor(ty.dtype, &ty.shape)];
    (op, args)
}

/// A side that would fault if it ran.
fn special_cond() -> Vec<Use> {
    let ty = Type::scalar(DType::I64);
    let op = Op::Cond { then: pair(Op::IntDiv, &ty), otherwise: pair(Op::Add, &ty) };
    vec![(op, vec![Tensor::scalar(false), Tensor::scalar(5i64), Tensor::scalar(0i64)])]
}

fn sample_call(rng: &mut Rng) -> Use {
    let shape = rng.any_shape();
    let ty = Type::new(rng.float_kind(), &shape);
    let rule = match rng.below(4) {
        0 => CallRule::Inline,
        1 => CallRule::Recompute,
        2 => return sample_solve(rng, &ty),
        _ => CallRule::Tangent(Rc::new(product_rule(&ty))),
    };
    let args = vec![rng.tensor(ty.dtype, &ty.shape), rng.tensor(ty.dtype, &ty.shape)];
    (Op::Call { body: pair(Op::Mul, &ty), rule }, args)
}

/// Solves `a (x + reverse(x) / 4) = b` by a few passes of iteration, the adjoint by as many.
fn sample_solve(rng: &mut Rng, ty: &Type) -> Use {
    let axes: Vec<usize> = (0..ty.rank()).collect();
    let mixed = |b: &mut Builder, x| {
        let turned = b.op(Op::Reverse { axes: axes.clone() }, &[x]);
        let quarter = b.fill(ty, 0.25);
        b.op(Op::Mul, &[quarter, turned])
    };
    let graph = |make: &dyn Fn(&mut Builder, Var, Var) -> Var| {
        let mut b = Builder::default();
        let (a, x) = (b.param(ty.clone()), b.param(ty.clone()));
        let result = make(&mut b, a, x);
        Rc::new(b.finish(vec![result]))
    };
    // x = b / a - reverse(x) / 4, and its transpose y = b - reverse(y) / 4, x = y / a.
    let iterated = |b: &mut Builder, right: Var| {
        let mut x = right;
        for _ in 0..40 {
            let other = mixed(b, x);
            x = b.sub(right, other);
        }
        x
    };
    let rule = CallRule::Solve {
        operator: graph(&|b, a, x| {
            let other = mixed(b, x);
            let sum = b.add(x, other);
            b.mul(a, sum)
        }),
        adjoint: graph(&|b, a, x| {
            let x = b.mul(a, x);
            let other = mixed(b, x);
            b.add(x, other)
        }),
        turned: graph(&|b, a, right| {
            let y = iterated(b, right);
            b.div(y, a)
        }),
    };
    let body = graph(&|b, a, right| {
        let right = b.div(right, a);
        iterated(b, right)
    });
    let args = vec![rng.tensor_in(ty.dtype, &ty.shape, 0.8, 2.0), rng.tensor(ty.dtype, &ty.shape)];
    (Op::Call { body, rule }, args)
}

/// The derivative of `pair(Op::Mul)`: parameters a, b, a*b, a, da, db.
fn product_rule(ty: &Type) -> Graph {
    let mut b = Builder::default();
    let params: Vec<_> = (0..6).map(|_| b.param(ty.clone())).collect();
    // d(ab) = a db + b da.
    let first = b.op(Op::MulZ, &[params[0], params[5]]);
    let second = b.op(Op::MulZ, &[params[1], params[4]]);
    let sum = b.add(first, second);
    b.finish(vec![sum, params[4]])
}

fn special_call() -> Vec<Use> {
    let ty = Type::new(DType::F32, &[0]);
    let none = Tensor::full(DType::F32, &[0], 0.0);
    vec![(Op::Call { body: pair(Op::Mul, &ty), rule: CallRule::Inline }, vec![none.clone(), none])]
}

fn sample_guard(rng: &mut Rng) -> Use {
    let shape = rng.any_shape();
    let dtype = rng.float_kind();
    let guard = Guard::Unconverged { solver: "sample".into() };
    (Op::Guard(guard), vec![Tensor::scalar(true), rng.tensor(dtype, &shape)])
}

/// A warning, a fixed point, nothing guarded.
fn special_guard() -> Vec<Use> {
    let warns = Op::Guard(Guard::Unconverged { solver: "sample".into() });
    let faults = Op::Guard(Guard::NotAtFixedPoint { solver: "sample".into() });
    vec![
        (warns, vec![Tensor::scalar(false), Tensor::scalar(1.0), Tensor::scalar(2.0f32)]),
        (faults.clone(), vec![Tensor::scalar(true), Tensor::scalar(1.0)]),
        (faults, vec![Tensor::scalar(true)]),
    ]
}
