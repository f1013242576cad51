//! Loops, branches, calls and guards.

use super::Prim;
use super::shape::{self, Rule};
use crate::ir::graph::{CallRule, Graph, Op, Trips, Type};
use dp_runtime::tensor::DType;

pub static SCAN: Prim = Prim { name: "scan", doc: "The one loop.", result: scan };
pub static COND: Prim = Prim { name: "cond", doc: "One of two Graphs.", result: cond };
pub static CALL: Prim = Prim { name: "call", doc: "A Graph as one equation.", result: call };
pub static GUARD: Prim = Prim { name: "guard", doc: "A check of a solver.", result: guard };

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
