//! Small analyses and clean-ups shared by the passes: which variables depend on which parameters, dead
//! equations, and loop-invariant equations.

use super::rules::{self, Derivative};
use crate::ir::builder::Builder;
use crate::ir::graph::{CallRule, Eqn, Graph, Op, Scan, Trips, Type, Var};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// For each variable of a Graph: does its tangent depend on the tangents of the flagged parameters?
///
/// In a tangent Graph with its linear parameters flagged, these are the linear variables.
pub fn depends(graph: &Graph, params: &[bool]) -> Vec<bool> {
    let mut flags = vec![false; graph.types.len()];
    for (&param, &flag) in graph.params.iter().zip(params) {
        flags[param.0 as usize] = flag;
    }
    for eqn in &graph.eqns {
        let args: Vec<bool> = eqn.args.iter().map(|a| flags[a.0 as usize]).collect();
        if !args.contains(&true) {
            continue;
        }
        for (&out, flag) in eqn.outs.iter().zip(outs_depend(&eqn.op, &args, eqn.outs.len())) {
            flags[out.0 as usize] = flag && graph.ty(out).dtype.is_float();
        }
    }
    flags
}

/// `depends` for the results of a Graph.
pub fn results_depend(graph: &Graph, params: &[bool]) -> Vec<bool> {
    let flags = depends(graph, params);
    graph.results.iter().map(|r| flags[r.0 as usize]).collect()
}

fn outs_depend(op: &Op, args: &[bool], outs: usize) -> Vec<bool> {
    match op {
        Op::Scan(scan) => {
            let carries = carries_depend(scan, args);
            let mut flags = results_depend(&scan.body, &body_flags(scan, args, &carries, false));
            flags[..scan.carries].copy_from_slice(&carries);
            flags.truncate(scan.carries + scan.stacked_outs());
            flags.resize(outs, false);
            flags
        }
        Op::Cond { then, otherwise } => {
            let then = results_depend(then, &args[1..]);
            let otherwise = results_depend(otherwise, &args[1..]);
            then.iter().zip(otherwise).map(|(&a, b)| a || b).collect()
        }
        Op::Call { body, rule: CallRule::Inline | CallRule::Recompute } => results_depend(body, args),
        Op::Guard(_) => args[1..].to_vec(),
        other => match rules::derivative(other) {
            Derivative::Zero => vec![false; outs],
            Derivative::Linear | Derivative::Bilinear | Derivative::Partials | Derivative::Custom => vec![true; outs],
        },
    }
}

/// Which carries of a loop depend on flagged arguments, through any number of passes.
pub fn carries_depend(scan: &Scan, args: &[bool]) -> Vec<bool> {
    let mut carries = args[scan.consts..scan.consts + scan.carries].to_vec();
    loop {
        let results = results_depend(&scan.body, &body_flags(scan, args, &carries, false));
        let next: Vec<bool> = carries.iter().zip(&results).map(|(&a, &b)| a || b).collect();
        if next == carries {
            return carries;
        }
        carries = next;
    }
}

/// Flags of a loop body's parameters, from flags of the loop's arguments.
pub fn body_flags(scan: &Scan, args: &[bool], carries: &[bool], counter: bool) -> Vec<bool> {
    let mut flags = args[..scan.consts].to_vec();
    flags.extend_from_slice(carries);
    flags.push(counter);
    let stacked = scan.consts + scan.carries;
    flags.extend_from_slice(&args[stacked..stacked + scan.stacked_ins()]);
    flags
}

/// Removes equations whose results nobody needs. Loops also lose the carries and rows that nobody needs.
pub fn remove_dead(graph: &mut Graph) {
    let mut needed = vec![false; graph.types.len()];
    for result in &graph.results {
        needed[result.0 as usize] = true;
    }
    let mut kept: Vec<Eqn> = Vec::with_capacity(graph.eqns.len());
    for eqn in std::mem::take(&mut graph.eqns).into_iter().rev() {
        if !eqn.outs.iter().any(|out| needed[out.0 as usize]) {
            continue;
        }
        let eqn = match &eqn.op {
            Op::Scan(scan) => narrow_scan(scan, &eqn, &needed),
            _ => eqn,
        };
        for arg in &eqn.args {
            needed[arg.0 as usize] = true;
        }
        kept.push(eqn);
    }
    kept.reverse();
    graph.eqns = kept;
}

/// The loop without carries, rows, and inputs that serve no needed output.
pub fn narrow_scan(scan: &Scan, eqn: &Eqn, needed: &[bool]) -> Eqn {
    let body = &scan.body;
    let stacked_ins = scan.stacked_ins();
    let stacked_outs = scan.stacked_outs();
    let out_needed = |i: usize| needed[eqn.outs[i].0 as usize];
    let keep_rows: Vec<bool> = (0..stacked_outs).map(|i| out_needed(scan.carries + i)).collect();
    let mut keep_carries: Vec<bool> = (0..scan.carries).map(out_needed).collect();
    let mut new_body;
    let mut used;
    loop {
        let mut results = Vec::new();
        for (i, &result) in body.results.iter().enumerate() {
            let keep = if i < scan.carries {
                keep_carries[i]
            } else if i < scan.carries + stacked_outs {
                keep_rows[i - scan.carries]
            } else {
                true
            };
            if keep {
                results.push(result);
            }
        }
        new_body = Graph { results, ..Graph::clone(body) };
        remove_dead(&mut new_body);
        used = used_vars(&new_body);
        let mut grew = false;
        for i in 0..scan.carries {
            if !keep_carries[i] && used[body.params[scan.consts + i].0 as usize] {
                keep_carries[i] = true;
                grew = true;
            }
        }
        if !grew {
            break;
        }
    }
    // A kept parameter: a used constant or stacked input, a kept carry, the counter.
    let counter = scan.consts + scan.carries;
    let keep_param = |i: usize| {
        if i >= scan.consts && i < counter {
            keep_carries[i - scan.consts]
        } else {
            i == counter || used[body.params[i].0 as usize]
        }
    };
    new_body.params = (0..body.params.len()).filter(|&i| keep_param(i)).map(|i| body.params[i]).collect();
    let mut args = Vec::new();
    for i in (0..body.params.len()).filter(|&i| i != counter && keep_param(i)) {
        args.push(eqn.args[if i < counter { i } else { i - 1 }]);
    }
    if scan.trips == Trips::Input {
        args.push(eqn.args[counter + stacked_ins]);
    }
    let mut outs = Vec::new();
    for (i, &out) in eqn.outs.iter().enumerate() {
        let keep = if i < scan.carries {
            keep_carries[i]
        } else if i < scan.carries + stacked_outs {
            keep_rows[i - scan.carries]
        } else {
            true
        };
        if keep {
            outs.push(out);
        }
    }
    let op = Op::Scan(Scan {
        consts: (0..scan.consts).filter(|&i| keep_param(i)).count(),
        carries: keep_carries.iter().filter(|&&k| k).count(),
        body: new_body.into(),
        cap: scan.cap,
        trips: scan.trips,
        reverse: scan.reverse,
    });
    Eqn { op, args, outs, span: eqn.span }
}

/// Computes equal things once. Gives what stands for each variable that was merged into an earlier one.
///
/// Looks at equations without sub-Graphs and at constants of few elements only.
pub fn merge_equal(graph: &mut Graph) -> HashMap<Var, Var> {
    let mut merged: HashMap<Var, Var> = HashMap::new();
    let mut seen: HashMap<(String, Vec<Var>), Vec<Var>> = HashMap::new();
    for mut eqn in std::mem::take(&mut graph.eqns) {
        for arg in &mut eqn.args {
            *arg = merged.get(arg).copied().unwrap_or(*arg);
        }
        let large = matches!(&eqn.op, Op::Const(value) if value.len() > 4);
        if large || !eqn.op.subgraphs().is_empty() {
            graph.eqns.push(eqn);
            continue;
        }
        match seen.entry((format!("{:?}", eqn.op), eqn.args.clone())) {
            Entry::Occupied(earlier) => merged.extend(eqn.outs.iter().copied().zip(earlier.get().iter().copied())),
            Entry::Vacant(entry) => {
                entry.insert(eqn.outs.clone());
                graph.eqns.push(eqn);
            }
        }
    }
    for result in &mut graph.results {
        *result = merged.get(result).copied().unwrap_or(*result);
    }
    merged
}

/// For each variable: is it an argument of an equation or a result?
pub fn used_vars(graph: &Graph) -> Vec<bool> {
    let mut used = vec![false; graph.types.len()];
    for var in graph.eqns.iter().flat_map(|eqn| &eqn.args).chain(&graph.results) {
        used[var.0 as usize] = true;
    }
    used
}

/// For each variable of a loop body: does it depend on the loop's constants only, through equations that cannot fault?
///
/// Such a value is the same in every pass, and may be computed before the loop even if no pass runs.
pub fn invariant_vars(body: &Graph, consts: usize) -> Vec<bool> {
    let mut invariant = vec![false; body.types.len()];
    for param in &body.params[..consts] {
        invariant[param.0 as usize] = true;
    }
    for eqn in &body.eqns {
        if !rules::can_fault(&eqn.op) && eqn.args.iter().all(|a| invariant[a.0 as usize]) {
            for out in &eqn.outs {
                invariant[out.0 as usize] = true;
            }
        }
    }
    invariant
}

/// A loop whose gathers at the counter became stacked inputs.
pub struct Rows {
    pub scan: Scan,
    /// The constants that are still constants.
    pub consts: Vec<usize>,
    /// The constants whose first `cap` rows are further stacked inputs, after the others.
    pub added: Vec<usize>,
}

/// Recognizes constants that are read at the counter: a pass gets the row instead, so that its cotangent is a row too.
pub fn rows_at_counter(scan: &Scan) -> Option<Rows> {
    let body = &scan.body;
    let counter = body.params[scan.consts + scan.carries];
    let const_of = |eqn: &Eqn| {
        let reads = matches!(eqn.op, Op::Gather) && eqn.args.get(1) == Some(&counter);
        let index = body.params[..scan.consts].iter().position(|p| reads && eqn.args[0] == *p)?;
        (body.shape(eqn.args[0])[0] >= scan.cap).then_some(index)
    };
    let mut added: Vec<usize> = body.eqns.iter().filter_map(const_of).collect();
    added.sort_unstable();
    added.dedup();
    if added.is_empty() {
        return None;
    }
    let mut new_body = Graph { eqns: Vec::new(), ..Graph::clone(body) };
    let mut rows: HashMap<usize, Var> = HashMap::new();
    for &i in &added {
        let ty = body.ty(body.params[i]);
        let row = new_body.add_param(Type::new(ty.dtype, &ty.shape[1..]));
        rows.insert(i, row);
    }
    let mut renamed: HashMap<Var, Var> = HashMap::new();
    for eqn in &body.eqns {
        let mut eqn = eqn.clone();
        let read = const_of(&eqn);
        for arg in &mut eqn.args {
            *arg = renamed.get(arg).copied().unwrap_or(*arg);
        }
        match read {
            Some(i) if eqn.args.len() == 2 => {
                renamed.insert(eqn.outs[0], rows[&i]);
                continue;
            }
            Some(i) => {
                eqn.args.splice(..2, [rows[&i]]);
            }
            None => {}
        }
        new_body.eqns.push(eqn);
    }
    for result in &mut new_body.results {
        *result = renamed.get(result).copied().unwrap_or(*result);
    }
    let used = used_vars(&new_body);
    let consts: Vec<usize> = (0..scan.consts).filter(|&i| used[body.params[i].0 as usize]).collect();
    let kept: Vec<Var> = consts.iter().map(|&i| body.params[i]).collect();
    new_body.params.splice(..scan.consts, kept);
    let scan = Scan { body: new_body.into(), consts: consts.len(), ..scan.clone() };
    Some(Rows { scan, consts, added })
}

impl Rows {
    /// The new loop's arguments, of any kind, from the old one's; `first_rows` takes a constant's first `cap` rows.
    pub fn args<T: Clone>(&self, old: &Scan, args: &[T], mut first_rows: impl FnMut(&T) -> T) -> Vec<T> {
        let end = old.consts + old.carries + old.stacked_ins();
        let mut new: Vec<T> = self.consts.iter().map(|&i| args[i].clone()).collect();
        new.extend_from_slice(&args[old.consts..end]);
        new.extend(self.added.iter().map(|&i| first_rows(&args[i])));
        new.extend_from_slice(&args[end..]);
        new
    }
}

/// The first `count` elements along an axis.
pub fn first_along(b: &mut Builder, x: Var, axis: usize, count: usize) -> Var {
    let mut stop = b.shape(x).to_vec();
    if stop[axis] == count {
        return x;
    }
    stop[axis] = count;
    let rank = stop.len();
    b.op(Op::Slice { start: vec![0; rank], stop, stride: vec![1; rank] }, &[x])
}

/// Appends a loop, its invariant equations first and outside of it.
///
/// Constants and broadcasts stay inside: they are cheaper to make again than to read.
pub fn emit_scan(b: &mut Builder, scan: Scan, args: &[Var]) -> Vec<Var> {
    let body = &scan.body;
    let invariant = invariant_vars(body, scan.consts);
    let is = |v: Var| invariant[v.0 as usize];
    let hoistable = |eqn: &Eqn| eqn.outs.iter().all(|&o| is(o));
    if !body.eqns.iter().any(|eqn| hoistable(eqn) && !rules::is_filler(&eqn.op)) {
        return b.emit(Op::Scan(scan), args);
    }
    // Wanted inside: what the varying equations and the results read.
    let mut wanted = vec![false; body.types.len()];
    for eqn in body.eqns.iter().filter(|eqn| !hoistable(eqn)) {
        for arg in &eqn.args {
            wanted[arg.0 as usize] = true;
        }
    }
    for result in &body.results {
        wanted[result.0 as usize] = true;
    }
    for eqn in body.eqns.iter().rev() {
        if hoistable(eqn) && rules::is_filler(&eqn.op) && wanted[eqn.outs[0].0 as usize] {
            for arg in &eqn.args {
                wanted[arg.0 as usize] = true;
            }
        }
    }
    let mut outside: HashMap<Var, Var> = body.params[..scan.consts].iter().copied().zip(args.iter().copied()).collect();
    let mut new_body = Graph { eqns: Vec::new(), ..Graph::clone(body) };
    let mut new_consts: Vec<Var> = body.params[..scan.consts].to_vec();
    let mut new_args: Vec<Var> = args[..scan.consts].to_vec();
    let span = b.span;
    for eqn in &body.eqns {
        if !hoistable(eqn) {
            new_body.eqns.push(eqn.clone());
            continue;
        }
        b.span = eqn.span;
        let outer_args: Vec<Var> = eqn.args.iter().map(|a| outside[a]).collect();
        let outer = b.emit(eqn.op.clone(), &outer_args);
        outside.extend(eqn.outs.iter().copied().zip(outer.iter().copied()));
        if rules::is_filler(&eqn.op) {
            new_body.eqns.push(eqn.clone());
            continue;
        }
        for (&inner, &outer) in eqn.outs.iter().zip(&outer) {
            if wanted[inner.0 as usize] {
                new_consts.push(inner);
                new_args.push(outer);
            }
        }
    }
    b.span = span;
    let consts = new_consts.len();
    new_consts.extend_from_slice(&body.params[scan.consts..]);
    new_args.extend_from_slice(&args[scan.consts..]);
    new_body.params = new_consts;
    let carries = scan.carries;
    remove_dead(&mut new_body);
    // Constants that only the hoisted equations read are of no use inside.
    let used = used_vars(&new_body);
    let keep = |i: usize, v: Var| i >= consts || used[v.0 as usize];
    let kept_args: Vec<Var> = new_args
        .iter()
        .enumerate()
        .filter(|&(i, _)| i >= consts || keep(i, new_body.params[i]))
        .map(|(_, &a)| a)
        .collect();
    let kept_consts = (0..consts).filter(|&i| keep(i, new_body.params[i])).count();
    new_body.params = new_body.params.iter().enumerate().filter(|&(i, &v)| keep(i, v)).map(|(_, &v)| v).collect();
    let scan = Scan { body: new_body.into(), consts: kept_consts, carries, ..scan };
    b.emit(Op::Scan(scan), &kept_args)
}
