//! Loop-invariant code: equations in the body of a loop that depend on its constants alone move before the loop.

use super::can_fault;
use super::rewrite::{Memo, Rewrite, is, map_bodies};
use crate::ir::builder::Builder;
use crate::ir::graph::{Eqn, Graph, Op, Scan, Type, Var};
use std::collections::HashSet;
use std::rc::Rc;

/// Moves out of loops what does not change in them and cannot fault (the loop may not run at all). What is cheaper
/// to make than to keep, such as broadcasts, stays.
pub fn hoist(graph: &Graph) -> Graph {
    pass(graph, &mut Memo::new())
}

fn pass(graph: &Graph, memo: &mut Memo) -> Graph {
    let mut rw = Rewrite::new(graph);
    for eqn in &graph.eqns {
        rw.b.span = eqn.span;
        let op = map_bodies(&eqn.op, memo, pass);
        let args = rw.all(&eqn.args);
        let (op, args) = match op {
            Op::Scan(scan) => hoist_scan(&mut rw, scan, args),
            other => (other, args),
        };
        let types: Vec<Type> = eqn.outs.iter().map(|&out| graph.ty(out).clone()).collect();
        rw.b.span = eqn.span;
        let outs = rw.push(op, args, &types);
        for (&old, new) in eqn.outs.iter().zip(outs) {
            rw.set(old, new);
        }
    }
    rw.finish(graph)
}

/// Views and constants cost nothing in a body, but would be arrays that live through the loop outside of it.
fn is_cheap(op: &Op) -> bool {
    matches!(op, Op::Const(_) | Op::Broadcast { .. } | Op::Reshape { .. } | Op::Iota { .. })
}

fn hoist_scan(rw: &mut Rewrite, scan: Scan, args: Vec<Var>) -> (Op, Vec<Var>) {
    let body = &scan.body;
    let mut invariant = vec![false; body.types.len()];
    body.params[..scan.consts].iter().for_each(|param| invariant[param.0 as usize] = true);
    let mut moves = vec![false; body.eqns.len()];
    let mut known = Rewrite::new(body);
    for (position, eqn) in body.eqns.iter().enumerate() {
        let types: Vec<Type> = eqn.outs.iter().map(|&out| body.ty(out).clone()).collect();
        let new_args = known.all(&eqn.args);
        let safe = !can_fault(&eqn.op) || divides_by_constant(&mut known, &eqn.op, &new_args);
        let outs = known.push(eqn.op.clone(), new_args, &types);
        eqn.outs.iter().zip(outs).for_each(|(&old, new)| known.set(old, new));
        if safe && eqn.args.iter().all(|arg| invariant[arg.0 as usize]) {
            eqn.outs.iter().for_each(|out| invariant[out.0 as usize] = true);
            moves[position] = !is_cheap(&eqn.op);
        }
    }
    if !moves.contains(&true) {
        return (Op::Scan(scan), args);
    }

    // Cheap equations that the moving ones need are copied.
    let mut needed: HashSet<Var> = HashSet::new();
    let mut outside = moves.clone();
    for (position, eqn) in body.eqns.iter().enumerate().rev() {
        outside[position] |= eqn.outs.iter().any(|out| needed.contains(out));
        if outside[position] {
            needed.extend(&eqn.args);
        }
    }
    let mut before: Vec<Option<Var>> = vec![None; body.types.len()];
    for (param, &arg) in body.params[..scan.consts].iter().zip(&args) {
        before[param.0 as usize] = Some(arg);
    }
    for (position, eqn) in body.eqns.iter().enumerate() {
        if !outside[position] {
            continue;
        }
        let get = |&v: &Var| before[v.0 as usize].expect("what moves depends on what moves");
        let moved: Vec<Var> = eqn.args.iter().map(get).collect();
        let types: Vec<Type> = eqn.outs.iter().map(|&out| body.ty(out).clone()).collect();
        rw.b.span = eqn.span;
        let outs = rw.push(eqn.op.clone(), moved, &types);
        eqn.outs.iter().zip(outs).for_each(|(&old, new)| before[old.0 as usize] = Some(new));
    }

    // What the rest of the body uses of it becomes constants of the loop.
    let moved: Vec<&Eqn> = body.eqns.iter().zip(&moves).filter(|&(_, &m)| m).map(|(eqn, _)| eqn).collect();
    let rest: Vec<&Eqn> = body.eqns.iter().zip(&moves).filter(|&(_, &m)| !m).map(|(eqn, _)| eqn).collect();
    let used: HashSet<Var> = rest.iter().flat_map(|eqn| &eqn.args).chain(&body.results).copied().collect();
    let crossing: Vec<Var> = moved.iter().flat_map(|eqn| &eqn.outs).copied().filter(|out| used.contains(out)).collect();

    let mut b = Builder::default();
    let mut map: Vec<Option<Var>> = vec![None; body.types.len()];
    let (consts, others) = body.params.split_at(scan.consts);
    for &var in consts.iter().chain(&crossing).chain(others) {
        map[var.0 as usize] = Some(b.param(body.ty(var).clone()));
    }
    let get = |map: &[Option<Var>], v: Var| map[v.0 as usize].expect("a Graph defines variables before their use");
    for eqn in rest {
        let new_args = eqn.args.iter().map(|&arg| get(&map, arg)).collect();
        let mut outs = Vec::with_capacity(eqn.outs.len());
        for &out in &eqn.outs {
            let fresh = b.graph.fresh(body.ty(out).clone());
            map[out.0 as usize] = Some(fresh);
            outs.push(fresh);
        }
        b.graph.eqns.push(Eqn { op: eqn.op.clone(), args: new_args, outs, span: eqn.span });
    }
    let results = body.results.iter().map(|&result| get(&map, result)).collect();
    let crossed = crossing.iter().map(|&v| before[v.0 as usize].expect("it moved"));
    let new_args =
        args[..scan.consts].iter().copied().chain(crossed).chain(args[scan.consts..].iter().copied()).collect();
    let scan = Scan { body: Rc::new(b.finish(results)), consts: scan.consts + crossing.len(), ..scan };
    (Op::Scan(scan), new_args)
}

/// Integer division by a constant that is not 0 cannot fault.
fn divides_by_constant(known: &mut Rewrite, op: &Op, args: &[Var]) -> bool {
    match op {
        Op::IntDiv | Op::Mod => {
            let divisor = known.uniform(args[1]);
            divisor.is_some() && !is(&divisor, 0.0)
        }
        _ => false,
    }
}
