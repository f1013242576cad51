//! Dead code: equations, and parts of loops and branches, whose results nobody uses.

use crate::ir::graph::{Eqn, Graph, Op, Scan, Trips, Var};
use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

/// Removes what no result needs, in sub-Graphs too: carries that only feed themselves, stacked results, constants and
/// stacked inputs of loops, results and operands of branches, values under a guard. Parameters and results of the Graph
/// itself stay. Variables are numbered anew in the order of their definition.
pub fn dce(graph: &Graph) -> Graph {
    shrink(graph, &vec![true; graph.results.len()], &mut HashMap::new())
}

/// Bodies of calls that are done: all their results stay, so a shared one is done once.
type Done = HashMap<*const Graph, Rc<Graph>>;

/// The Graph with only those results, and what they need. All parameters stay.
fn shrink(graph: &Graph, live_results: &[bool], done: &mut Done) -> Graph {
    let mut live = vec![false; graph.types.len()];
    let results = chosen(&graph.results, live_results);
    results.iter().for_each(|result| live[result.0 as usize] = true);
    let mut eqns = Vec::new();
    for eqn in graph.eqns.iter().rev() {
        let used: Vec<bool> = eqn.outs.iter().map(|out| live[out.0 as usize]).collect();
        if !used.contains(&true) {
            continue;
        }
        let eqn = shrink_eqn(eqn, &used, done);
        eqn.args.iter().for_each(|arg| live[arg.0 as usize] = true);
        eqns.push(eqn);
    }
    eqns.reverse();
    compact(graph, &graph.params, eqns, &results)
}

/// A Graph with these parameters, equations and results of another one: numbers variables in the order of their definition
/// and forgets those without one.
fn compact(graph: &Graph, params: &[Var], eqns: Vec<Cow<'_, Eqn>>, results: &[Var]) -> Graph {
    let mut new = Graph::default();
    let mut map: Vec<Option<Var>> = vec![None; graph.types.len()];
    for &param in params {
        map[param.0 as usize] = Some(new.add_param(graph.ty(param).clone()));
    }
    let get = |map: &[Option<Var>], v: Var| map[v.0 as usize].expect("a Graph defines variables before their use");
    for eqn in eqns {
        let args = eqn.args.iter().map(|&arg| get(&map, arg)).collect();
        let mut outs = Vec::with_capacity(eqn.outs.len());
        for out in &eqn.outs {
            let fresh = new.fresh(graph.types[out.0 as usize].clone());
            map[out.0 as usize] = Some(fresh);
            outs.push(fresh);
        }
        let span = eqn.span;
        let op = match eqn {
            Cow::Borrowed(eqn) => eqn.op.clone(),
            Cow::Owned(eqn) => eqn.op,
        };
        new.eqns.push(Eqn { op, args, outs, span });
    }
    new.results = results.iter().map(|&result| get(&map, result)).collect();
    new
}

fn shrink_eqn<'e>(eqn: &'e Eqn, used: &[bool], done: &mut Done) -> Cow<'e, Eqn> {
    Cow::Owned(match &eqn.op {
        Op::Scan(scan) => shrink_scan(eqn, scan, used, done),
        Op::Cond { then, otherwise } => {
            let then = shrink(then, used, done);
            let otherwise = shrink(otherwise, used, done);
            let (yes, no) = (used_params(&then), used_params(&otherwise));
            let keep: Vec<bool> = yes.iter().zip(&no).map(|(a, b)| a | b).collect();
            let op =
                Op::Cond { then: Rc::new(keep_params(then, &keep)), otherwise: Rc::new(keep_params(otherwise, &keep)) };
            let args = [vec![eqn.args[0]], chosen(&eqn.args[1..], &keep)].concat();
            Eqn { op, args, outs: chosen(&eqn.outs, used), span: eqn.span }
        }
        Op::Guard(_) => {
            let args = [vec![eqn.args[0]], chosen(&eqn.args[1..], used)].concat();
            Eqn { op: eqn.op.clone(), args, outs: chosen(&eqn.outs, used), span: eqn.span }
        }
        Op::Call { body, rule } => {
            // The derivative's signature follows the body's: both stay.
            let mut all = |body: &Rc<Graph>| match done.get(&Rc::as_ptr(body)) {
                Some(body) => body.clone(),
                None => {
                    let new = Rc::new(shrink(body, &vec![true; body.results.len()], done));
                    done.insert(Rc::as_ptr(body), new.clone());
                    new
                }
            };
            let rule = rule.map(&mut all);
            let op = Op::Call { body: all(body), rule };
            Eqn { op, args: eqn.args.clone(), outs: eqn.outs.clone(), span: eqn.span }
        }
        _ => return Cow::Borrowed(eqn),
    })
}

fn shrink_scan(eqn: &Eqn, scan: &Scan, used: &[bool], done: &mut Done) -> Eqn {
    let until = scan.trips == Trips::Until;
    let results = scan.body.results.len();
    // A carry lives if its last value is used, or if what lives in the body needs it.
    let mut live: Vec<bool> = used[..results - usize::from(until)].to_vec();
    live.resize(results, true);
    let (body, params) = loop {
        let body = shrink(&scan.body, &live, done);
        let params = used_params(&body);
        let mut grown = false;
        for carry in 0..scan.carries {
            grown |= params[scan.consts + carry] && !live[carry];
            live[carry] |= params[scan.consts + carry];
        }
        if !grown {
            break (body, params);
        }
    };
    let counter = scan.consts + scan.carries;
    let mut keep = params;
    keep[counter] = true;
    keep[scan.consts..counter].copy_from_slice(&live[..scan.carries]);

    let mut args = chosen(&eqn.args[..counter], &keep[..counter]);
    let stacked_ins = &keep[counter + 1..];
    args.extend(chosen(&eqn.args[counter..counter + stacked_ins.len()], stacked_ins));
    if scan.trips == Trips::Input {
        args.extend(eqn.args.last());
    }
    let mut outs = chosen(&eqn.outs[..results - usize::from(until)], &live);
    if until {
        outs.extend(eqn.outs.last());
    }
    let count = |list: &[bool]| list.iter().filter(|&&kept| kept).count();
    let shrunk = Scan {
        body: Rc::new(keep_params(body, &keep)),
        consts: count(&keep[..scan.consts]),
        carries: count(&keep[scan.consts..counter]),
        ..scan.clone()
    };
    Eqn { op: Op::Scan(shrunk), args, outs, span: eqn.span }
}

/// Which parameters are used by an equation or are results.
fn used_params(graph: &Graph) -> Vec<bool> {
    let mut used = vec![false; graph.types.len()];
    for var in graph.eqns.iter().flat_map(|eqn| &eqn.args).chain(&graph.results) {
        used[var.0 as usize] = true;
    }
    graph.params.iter().map(|param| used[param.0 as usize]).collect()
}

fn keep_params(graph: Graph, keep: &[bool]) -> Graph {
    if keep.iter().all(|&kept| kept) {
        return graph;
    }
    let params = chosen(&graph.params, keep);
    let eqns = graph.eqns.iter().map(Cow::Borrowed).collect();
    compact(&graph, &params, eqns, &graph.results)
}

fn chosen(vars: &[Var], keep: &[bool]) -> Vec<Var> {
    vars.iter().zip(keep).filter(|&(_, &keep)| keep).map(|(&var, _)| var).collect()
}
