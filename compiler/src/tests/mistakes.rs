//! Mistakes in a derivative Graph, as a person writing a rule makes them.

use crate::ir::builder::Builder;
use crate::ir::graph::{Eqn, Graph, Op, Type, Var};
use crate::prims;
use dp_runtime::tensor::{DType, Tensor};
use std::rc::Rc;

/// A Graph with one mistake, and what the mistake is.
pub struct Mutant {
    pub what: String,
    pub graph: Graph,
}

/// One mistake in one equation.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Mistake {
    /// The other sign; of a mask, the other side.
    Sign,
    /// Twice as much; of an integer, one more.
    Factor,
    /// A term, or a whole result, is missing.
    Missing,
    /// Of two terms only the given one is there.
    Only(usize),
    /// Two operands of one type in the wrong order.
    Swapped,
    /// Another value of the same type in the place of an operand.
    Other(usize),
    /// Every element at its neighbour's place.
    OffByOne,
    /// A broadcast that reaches the first place only; a sum that takes the first element only.
    NoBroadcast,
    /// A square matrix transposed.
    Transposed,
}

/// All single mistakes in the equations of a Graph that its first `kept` results do not need, those of sub-Graphs included.
pub fn mutants(graph: &Graph, kept: usize) -> Vec<Mutant> {
    let mut needed = vec![false; graph.types.len()];
    graph.results[..kept].iter().for_each(|result| needed[result.0 as usize] = true);
    for eqn in graph.eqns.iter().rev() {
        if eqn.outs.iter().any(|out| needed[out.0 as usize]) {
            eqn.args.iter().for_each(|arg| needed[arg.0 as usize] = true);
        }
    }
    let mut all = Vec::new();
    for k in kept..graph.results.len() {
        for kind in [Mistake::Sign, Mistake::Factor, Mistake::Missing, Mistake::OffByOne, Mistake::Transposed] {
            let mut wrong = graph.clone();
            let last = wrong.results[k];
            if let Some(result) = changed(&mut wrong, last, kind) {
                wrong.results[k] = result;
                all.push(Mutant { what: format!("{kind:?} in result {k}"), graph: wrong });
            }
        }
    }
    for (i, eqn) in graph.eqns.iter().enumerate() {
        if eqn.outs.iter().any(|out| needed[out.0 as usize]) {
            continue;
        }
        let at = format!("equation {i} `{}`", prims::name(&eqn.op));
        let kinds = [
            Mistake::Sign,
            Mistake::Factor,
            Mistake::Missing,
            Mistake::OffByOne,
            Mistake::NoBroadcast,
            Mistake::Transposed,
        ];
        let kinds = kinds.into_iter().chain([Mistake::Swapped, Mistake::Only(0), Mistake::Only(1)]);
        for kind in kinds.chain((0..eqn.args.len()).map(Mistake::Other)) {
            for k in 0..eqn.outs.len() {
                // What concerns the equation and not a result is done once.
                if k > 0 && !matches!(kind, Mistake::Sign | Mistake::Factor | Mistake::Missing | Mistake::OffByOne) {
                    continue;
                }
                if let Some(wrong) = mutated(graph, i, k, kind) {
                    all.push(Mutant { what: format!("{kind:?} in result {k} of {at}"), graph: wrong });
                }
            }
        }
        for (s, body) in eqn.op.subgraphs().into_iter().enumerate() {
            for inner in mutants(body, 0) {
                let mut wrong = graph.clone();
                wrong.eqns[i].op = with_body(&eqn.op, s, Rc::new(inner.graph));
                all.push(Mutant { what: format!("{} in body {s} of {at}", inner.what), graph: wrong });
            }
        }
    }
    all
}

/// The operation with its sub-Graph `s` replaced.
fn with_body(op: &Op, s: usize, body: Rc<Graph>) -> Op {
    match (op, s) {
        (Op::Scan(scan), 0) => {
            let mut scan = scan.clone();
            scan.body = body;
            Op::Scan(scan)
        }
        (Op::Cond { otherwise, .. }, 0) => Op::Cond { then: body, otherwise: otherwise.clone() },
        (Op::Cond { then, .. }, 1) => Op::Cond { then: then.clone(), otherwise: body },
        (Op::Call { rule, .. }, 0) => Op::Call { body, rule: rule.clone() },
        (Op::Call { body: whole, rule }, s) => {
            let mut at = 0;
            let rule = rule.map(&mut |graph| {
                at += 1;
                if at == s { body.clone() } else { graph.clone() }
            });
            Op::Call { body: whole.clone(), rule }
        }
        (other, _) => panic!("internal error: {other:?} has no body {s}"),
    }
}

/// The Graph with a mistake in result `k` of equation `i`, where such a mistake can be made.
fn mutated(graph: &Graph, i: usize, k: usize, kind: Mistake) -> Option<Graph> {
    let eqn = &graph.eqns[i];
    let out = eqn.outs[k];
    let ty = graph.ty(out).clone();
    let mut b = Builder { graph: Graph { eqns: graph.eqns[..i].to_vec(), ..graph.clone() }, span: eqn.span };
    if ty.is_empty() {
        return None;
    }
    // Mistakes in the equation itself.
    let mut own = eqn.clone();
    let mut wrong = out;
    match kind {
        Mistake::Swapped => {
            let (x, y) = if matches!(eqn.op, Op::Select) { (1, 2) } else { (0, 1) };
            let differs = matches!(
                eqn.op,
                Op::Sub | Op::Div | Op::Pow | Op::Atan2 | Op::Lt | Op::Le | Op::Select | Op::Solve | Op::Dot { .. }
            );
            if !differs || eqn.args[x] == eqn.args[y] || graph.ty(eqn.args[x]) != graph.ty(eqn.args[y]) {
                return None;
            }
            own.args.swap(x, y);
        }
        Mistake::Other(position) => {
            let arg = eqn.args[position];
            let defined = graph.params.iter().chain(graph.eqns[..i].iter().flat_map(|eqn| &eqn.outs));
            let other = defined.copied().rfind(|&v| v != arg && graph.ty(v) == graph.ty(arg))?;
            // The other factor of a square would be the same.
            own.args[position] = other;
        }
        _ => {}
    }
    b.graph.eqns.push(own);
    match kind {
        Mistake::Swapped | Mistake::Other(_) => {}
        Mistake::Only(term) if matches!(eqn.op, Op::Add | Op::Sub) => wrong = eqn.args[term],
        Mistake::NoBroadcast => wrong = without_broadcast(&mut b, graph, eqn, &ty)?,
        Mistake::Only(_) => return None,
        _ => wrong = changed(&mut b.graph, out, kind)?,
    }
    let renamed = |v: &Var| if *v == out { wrong } else { *v };
    for eqn in &graph.eqns[i + 1..] {
        b.graph.eqns.push(Eqn { args: eqn.args.iter().map(renamed).collect(), ..eqn.clone() });
    }
    b.graph.results = graph.results.iter().map(renamed).collect();
    Some(b.graph)
}

/// A variable with a mistake, appended to the Graph, where such a mistake can be made.
fn changed(graph: &mut Graph, x: Var, kind: Mistake) -> Option<Var> {
    let ty = graph.ty(x).clone();
    let float = ty.dtype.is_float();
    let mut b = Builder { graph: std::mem::take(graph), ..Builder::default() };
    let wrong = match kind {
        Mistake::Sign if float => Some(b.neg(x)),
        Mistake::Sign if ty.dtype == DType::Bool => Some(b.op(Op::Not, &[x])),
        Mistake::Factor if float => {
            let two = b.fill(&ty, 2.0);
            Some(b.mul(two, x))
        }
        Mistake::Factor if ty.dtype == DType::I64 => {
            let one = b.fill(&ty, 1.0);
            Some(b.add(one, x))
        }
        Mistake::Missing if float => Some(b.zeros(&ty)),
        Mistake::OffByOne => rolled(&mut b, x, &ty),
        Mistake::Transposed => {
            let square = matches!(ty.shape[..], [.., m, n] if m == n && n > 1);
            square.then(|| b.transpose_last(x))
        }
        _ => None,
    };
    *graph = b.graph;
    wrong
}

/// The elements moved by one along the last axis that has two.
fn rolled(b: &mut Builder, x: Var, ty: &Type) -> Option<Var> {
    let axis = ty.shape.iter().rposition(|&n| n > 1)?;
    let part = |b: &mut Builder, from: usize, to: usize| {
        let mut start = vec![0; ty.rank()];
        let mut stop = ty.shape.clone();
        (start[axis], stop[axis]) = (from, to);
        b.op(Op::Slice { start, stop, stride: vec![1; ty.rank()] }, &[x])
    };
    let (rest, first) = (part(b, 1, ty.shape[axis]), part(b, 0, 1));
    Some(b.op(Op::Concat { axis }, &[rest, first]))
}

fn without_broadcast(b: &mut Builder, graph: &Graph, eqn: &Eqn, ty: &Type) -> Option<Var> {
    match &eqn.op {
        Op::Broadcast { axes, .. } if ty.dtype.is_float() => {
            let axis = (0..ty.rank()).find(|axis| !axes.contains(axis) && ty.shape[*axis] > 1)?;
            let place = b.op(Op::Iota { shape: ty.shape.clone(), axis }, &[]);
            let first = b.zeros(&Type::new(DType::I64, &ty.shape));
            let mask = b.op(Op::Eq, &[place, first]);
            let zero = b.zeros(ty);
            Some(b.select(mask, eqn.outs[0], zero))
        }
        Op::Sum { axes } => {
            let shape = graph.shape(eqn.args[0]);
            if axes.iter().all(|&axis| shape[axis] < 2) {
                return None;
            }
            let stop = shape.iter().enumerate().map(|(i, &n)| if axes.contains(&i) { 1 } else { n }).collect();
            let slice = Op::Slice { start: vec![0; shape.len()], stop, stride: vec![1; shape.len()] };
            let first = b.op(slice, &[eqn.args[0]]);
            Some(b.reshape(first, &ty.shape))
        }
        _ => None,
    }
}

/// A tensor with the given elements, in 64 bits.
pub fn vector(values: &[f64]) -> Tensor {
    Tensor::from_vec(&[values.len()], values.to_vec())
}
