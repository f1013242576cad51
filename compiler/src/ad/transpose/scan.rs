//! Loops turned round.
//!
//! The cotangents of carries are carried from the last pass to the first; those of stacked inputs are stacked;
//! those of constants are summed over the passes. Where a pass adds outer products to a constant's cotangent, the
//! loop stacks the factors and one matrix product after it makes the sum.

use super::cotangents::{Cotangents, Part, sum_parts};
use super::{At, inline_linear_calls, pull_back, reverse_trips};
use crate::ad::flow;
use crate::ir::builder::Builder;
use crate::ir::graph::{Eqn, Graph, Op, Scan, Trips, Var};
use std::collections::HashMap;

/// What of a loop does not depend on linear values.
#[derive(Default)]
pub struct KnownPart {
    /// For each known carry, its values at the start of each pass.
    stacks: HashMap<usize, Var>,
    /// The number of passes of a loop with a stop condition.
    trips: Option<Var>,
}

/// Emits the loop of the known carries and rows, if there are any or if only running the loop tells how often it runs.
pub fn known_part(
    b: &mut Builder,
    graph: &Graph,
    scan: &Scan,
    eqn: &Eqn,
    linear: &[bool],
    known: &mut HashMap<Var, Var>,
) -> Option<KnownPart> {
    let flags: Vec<bool> = eqn.args.iter().map(|a| linear[a.0 as usize]).collect();
    let carries = flow::carries_depend(scan, &flags);
    let known_carries: Vec<usize> = (0..scan.carries).filter(|&i| !carries[i]).collect();
    let known_outs: Vec<Var> = eqn.outs.iter().copied().filter(|o| !linear[o.0 as usize]).collect();
    if known_carries.is_empty() && known_outs.is_empty() {
        return None;
    }
    let mut body = Graph::clone(&scan.body);
    let rows_end = scan.carries + scan.stacked_outs();
    let params: Vec<Var> = known_carries.iter().map(|&i| body.params[scan.consts + i]).collect();
    body.results.splice(rows_end..rows_end, params);
    let first = graph.types.len() as u32;
    let stacks: Vec<Var> = (0..known_carries.len() as u32).map(|i| Var(first + i)).collect();
    let mut outs = eqn.outs.clone();
    outs.splice(rows_end..rows_end, stacks.iter().copied());
    let mut needed = vec![false; graph.types.len() + stacks.len()];
    for var in known_outs.iter().chain(&stacks) {
        needed[var.0 as usize] = true;
    }
    let scan = Scan { body: body.into(), ..scan.clone() };
    let whole = Eqn { op: Op::Scan(scan.clone()), args: eqn.args.clone(), outs, span: eqn.span };
    let narrow = flow::narrow_scan(&scan, &whole, &needed);
    let args: Vec<Var> = narrow
        .args
        .iter()
        .map(|a| *known.get(a).unwrap_or_else(|| panic!("internal error: a loop's stop depends on a linear value")))
        .collect();
    let outs = b.emit(narrow.op, &args);
    let emitted: HashMap<Var, Var> = narrow.outs.iter().copied().zip(outs).collect();
    for var in known_outs {
        known.insert(var, emitted[&var]);
    }
    let trips = match scan.trips {
        Trips::All | Trips::Input => None,
        Trips::Until => eqn.outs.last().map(|count| emitted[count]),
    };
    let stacks = known_carries.into_iter().zip(stacks).map(|(i, var)| (i, emitted[&var])).collect();
    Some(KnownPart { stacks, trips })
}

/// Outer products worth waiting for: their factors are fewer numbers than the sum that each pass would read and write.
fn is_worth_stacking(cap: usize, a: &[usize], b: &[usize]) -> bool {
    // 128 MiB of 32-bit numbers.
    const MOST: usize = 1 << 25;
    let rank = a.len();
    let (rows, k, n) = (a[rank - 2], a[rank - 1], b[rank - 1]);
    let batch: usize = a[..rank - 2].iter().product();
    let factors = rows * (k + n);
    factors <= 2 * k * n && cap.saturating_mul(factors).saturating_mul(batch) <= MOST
}

/// The transposed loop; gives its operands their cotangents.
pub fn transpose_scan(at: &mut At, scan: &Scan, ct_outs: &[Option<Var>], part: Option<KnownPart>) {
    let part = part.unwrap_or_default();
    let flags: Vec<bool> = (0..at.eqn.args.len()).map(|i| at.is_linear(i)).collect();
    let linear_carries = flow::carries_depend(scan, &flags);
    let body_flags = flow::body_flags(scan, &flags, &linear_carries, false);
    let body = inline_linear_calls(&scan.body, &body_flags);
    let linear = flow::depends(&body, &body_flags);
    let (live, reached) = live_carries(scan, &body, &linear, &linear_carries, ct_outs);
    let counter = scan.consts + scan.carries;
    let stacked = counter + 1..body.params.len();

    let mut b = Builder { span: at.b.span, ..Builder::default() };
    let mut known: HashMap<Var, Var> = HashMap::new();
    let mut cts = Cotangents::default();
    // Parameters of the new body, and the arguments they stand for.
    let (mut consts, mut const_args) = (Vec::new(), Vec::new());
    let (mut carries, mut carry_args) = (Vec::new(), Vec::new());
    let (mut rows, mut row_args) = (Vec::new(), Vec::new());

    for i in (0..scan.consts).filter(|&i| !flags[i]) {
        let param = b.graph.fresh(body.ty(body.params[i]).clone());
        known.insert(body.params[i], param);
        consts.push(param);
        const_args.push(at.known(i));
    }
    for i in (0..scan.carries).filter(|&i| live[i]) {
        let ty = body.ty(body.params[scan.consts + i]);
        let param = b.graph.fresh(ty.clone());
        if linear[body.results[i].0 as usize] {
            cts.add(body.results[i], param);
        }
        carries.push(param);
        carry_args.push(ct_outs[i].unwrap_or_else(|| at.b.zeros(ty)));
    }
    let counter_param = b.graph.fresh(body.ty(body.params[counter]).clone());
    known.insert(body.params[counter], counter_param);
    for (i, &stack) in sorted(&part.stacks) {
        let param = b.graph.fresh(body.ty(body.params[scan.consts + i]).clone());
        known.insert(body.params[scan.consts + i], param);
        rows.push(param);
        row_args.push(stack);
    }
    for i in stacked.clone().filter(|&i| !flags[i - 1]) {
        let param = b.graph.fresh(body.ty(body.params[i]).clone());
        known.insert(body.params[i], param);
        rows.push(param);
        row_args.push(at.known(i - 1));
    }
    for i in scan.carries..scan.carries + scan.stacked_outs() {
        if let Some(ct) = ct_outs[i] {
            let param = b.graph.fresh(body.ty(body.results[i]).clone());
            if linear[body.results[i].0 as usize] {
                cts.add(body.results[i], param);
            }
            rows.push(param);
            row_args.push(ct);
        }
    }
    // Each constant's cotangent starts as a carry, to which contributions are added.
    let mut sums: HashMap<usize, Var> = HashMap::new();
    for i in (0..scan.consts).filter(|&i| flags[i] && reached[body.params[i].0 as usize]) {
        let sum = b.graph.fresh(body.ty(body.params[i]).clone());
        sums.insert(i, sum);
        cts.add(body.params[i], sum);
    }
    pull_back(&mut b, &body, &linear, &mut known, &mut cts);

    // Results of the new body.
    let mut carry_results = Vec::new();
    for i in (0..scan.carries).filter(|&i| live[i]) {
        let param = body.params[scan.consts + i];
        let ct = cts.take(&mut b, param, body.ty(param));
        carry_results.push(ct.unwrap_or_else(|| b.zeros(body.ty(param))));
    }
    let live_count = carries.len();
    let mut summed = Vec::new();
    let mut row_results: Vec<Var> = Vec::new();
    let mut products: Vec<(usize, usize, Factor, Factor)> = Vec::new();
    for (i, &sum) in sorted(&sums) {
        let param = body.params[i];
        let mut now = Vec::new();
        for contribution in cts.take_parts(param) {
            match contribution {
                Part::Outer { batch, a, b: right } if is_worth_stacking(scan.cap, b.shape(a), b.shape(right)) => {
                    let mut factor = |var: Var| match input_row(&b, scan.trips, &rows, var) {
                        Some(steps) => steps,
                        None => {
                            row_results.push(var);
                            Factor::Stacked(row_results.len() - 1)
                        }
                    };
                    let left = factor(a);
                    let right = factor(right);
                    products.push((i, batch, left, right));
                }
                other => now.push(other),
            }
        }
        let untouched = matches!(now.as_slice(), [Part::Whole(var)] if *var == sum);
        if untouched {
            continue;
        }
        let ty = body.ty(param);
        if let Some(total) = sum_parts(&mut b, now, ty) {
            carries.push(sum);
            carry_results.push(total);
            let start = at.cts.take_all_but_outer(at.b, at.eqn.args[i], ty);
            carry_args.push(start.unwrap_or_else(|| at.b.zeros(ty)));
            summed.push(i);
        }
    }
    let factors = row_results.len();
    let mut stacked_cts = Vec::new();
    for i in stacked.filter(|&i| flags[i - 1]) {
        let param = body.params[i];
        if let Some(ct) = cts.take(&mut b, param, body.ty(param)) {
            row_results.push(ct);
            stacked_cts.push(i);
        }
    }

    // The loop.
    let trips = reverse_trips(scan.trips);
    let mut args = const_args;
    args.extend(&carry_args);
    args.extend(&row_args);
    match scan.trips {
        Trips::All => {}
        Trips::Input => args.push(at.known(at.eqn.args.len() - 1)),
        Trips::Until => args.push(part.trips.expect("internal error: a loop's trip count is part of what is known")),
    }
    let shape =
        Scan { body: Graph::default().into(), consts: consts.len(), carries: carries.len(), trips, ..scan.clone() };
    consts.extend(carries);
    consts.push(counter_param);
    consts.extend(rows);
    b.graph.params = consts;
    carry_results.extend(row_results);
    let mut new_body = b.finish(carry_results);
    flow::remove_dead(&mut new_body);
    let turned = Scan { body: new_body.into(), reverse: !scan.reverse, ..shape };
    let first_row = turned.carries;
    let traced: Vec<(usize, usize, Var, Var)> = {
        let outs_of = |at: &mut At, factor: &Factor, outs: &[Var]| match factor {
            Factor::Stacked(i) => outs[first_row + i],
            Factor::Input { row, steps } => replay(at.b, row_args[*row], steps),
        };
        let outs = flow::emit_scan(at.b, turned, &args);
        let live_indices = (0..scan.carries).filter(|&i| live[i]);
        for (i, &ct) in live_indices.zip(&outs[..live_count]) {
            at.give(scan.consts + i, ct);
        }
        for (&i, &ct) in summed.iter().zip(&outs[live_count..]) {
            at.give(i, ct);
        }
        for (&i, &ct) in stacked_cts.iter().zip(&outs[first_row + factors..]) {
            at.give(i - 1, ct);
        }
        products.iter().map(|(i, batch, a, b)| (*i, *batch, outs_of(at, a, &outs), outs_of(at, b, &outs))).collect()
    };
    for (i, batch, a, b) in traced {
        let a = merge_passes(at.b, a, batch);
        let b = merge_passes(at.b, b, batch);
        at.cts.add_part(at.eqn.args[i], Part::Outer { batch, a, b });
    }
}

/// Which carries have a cotangent that is not a structural zero, and the linear variables that reach them.
fn live_carries(
    scan: &Scan,
    body: &Graph,
    linear: &[bool],
    linear_carries: &[bool],
    ct_outs: &[Option<Var>],
) -> (Vec<bool>, Vec<bool>) {
    let mut live: Vec<bool> = (0..scan.carries).map(|i| linear_carries[i] && ct_outs[i].is_some()).collect();
    loop {
        let mut reached = vec![false; body.types.len()];
        for (i, &result) in body.results.iter().enumerate() {
            let has_ct = if i < scan.carries { live[i] } else { ct_outs.get(i).copied().flatten().is_some() };
            reached[result.0 as usize] |= has_ct && linear[result.0 as usize];
        }
        for eqn in body.eqns.iter().rev() {
            if eqn.outs.iter().any(|o| reached[o.0 as usize]) {
                for arg in &eqn.args {
                    reached[arg.0 as usize] |= linear[arg.0 as usize];
                }
            }
        }
        let next: Vec<bool> = (0..scan.carries)
            .map(|i| live[i] || (linear_carries[i] && reached[body.params[scan.consts + i].0 as usize]))
            .collect();
        if next == live {
            return (live, reached);
        }
        live = next;
    }
}

/// Where one factor of an outer product is after the loop.
enum Factor {
    /// The loop stacks it.
    Stacked(usize),
    /// It is a stacked input of the loop, up to reshapes and permutations.
    Input { row: usize, steps: Vec<Op> },
}

/// Recognizes a stacked input behind reshapes and permutations. Only where every pass runs: rows that no pass
/// read would count otherwise.
fn input_row(b: &Builder, trips: Trips, rows: &[Var], var: Var) -> Option<Factor> {
    if trips != Trips::All {
        return None;
    }
    let mut steps = Vec::new();
    let mut at = var;
    loop {
        if let Some(row) = rows.iter().position(|&r| r == at) {
            steps.reverse();
            return Some(Factor::Input { row, steps });
        }
        let eqn = b.graph.eqns.iter().rev().find(|eqn| eqn.outs.contains(&at))?;
        match &eqn.op {
            Op::Reshape { .. } | Op::Permute { .. } => steps.push(eqn.op.clone()),
            _ => return None,
        }
        at = eqn.args[0];
    }
}

/// The steps applied to all rows at once.
fn replay(b: &mut Builder, rows: Var, steps: &[Op]) -> Var {
    let cap = b.shape(rows)[0];
    steps.iter().fold(rows, |rows, step| match step {
        Op::Reshape { shape } => {
            let whole: Vec<usize> = std::iter::once(cap).chain(shape.iter().copied()).collect();
            b.reshape(rows, &whole)
        }
        Op::Permute { perm } => {
            let whole: Vec<usize> = std::iter::once(0).chain(perm.iter().map(|p| p + 1)).collect();
            b.permute(rows, &whole)
        }
        other => panic!("internal error: {other:?} is not a step between rows"),
    })
}

/// `[cap, B..., R, K]` to `[B..., cap*R, K]`.
fn merge_passes(b: &mut Builder, stack: Var, batch: usize) -> Var {
    let mut perm: Vec<usize> = (1..=batch).collect();
    perm.push(0);
    perm.extend(batch + 1..batch + 3);
    let moved = b.permute(stack, &perm);
    let shape = b.shape(moved).to_vec();
    let mut merged = shape[..batch].to_vec();
    merged.extend([shape[batch] * shape[batch + 1], shape[batch + 2]]);
    b.reshape(moved, &merged)
}

fn sorted(map: &HashMap<usize, Var>) -> Vec<(usize, &Var)> {
    let mut entries: Vec<(usize, &Var)> = map.iter().map(|(&i, var)| (i, var)).collect();
    entries.sort_by_key(|&(i, _)| i);
    entries
}
