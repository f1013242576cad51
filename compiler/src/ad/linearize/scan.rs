//! Linearization of loops: a loop of values that stacks residuals, and a loop of tangents that reads them.

use super::{Lin, NotDifferentiable, Pair, linearize_body, remove_dead_but};
use crate::ad::flow;
use crate::ad::residuals;
use crate::ir::builder::Builder;
use crate::ir::graph::{Graph, Op, Scan, Trips, Var};
use std::collections::HashMap;

/// The loop of the linearized body.
pub fn linearize_scan(
    lin: &mut Lin,
    scan: &Scan,
    args: &[Var],
    dargs: &[Option<Var>],
) -> Result<Pair, NotDifferentiable> {
    if let Some(rows) = flow::rows_at_counter(scan) {
        let args = rows.args(scan, args, |&x| flow::first_along(&mut lin.primal, x, 0, scan.cap));
        let tangent = &mut lin.tangent;
        let dargs = rows.args(scan, dargs, |dx| dx.map(|dx| flow::first_along(tangent, dx, 0, scan.cap)));
        return linearize_scan(lin, &rows.scan, &args, &dargs);
    }
    let flags: Vec<bool> = dargs.iter().map(Option::is_some).collect();
    let carry_active = flow::carries_depend(scan, &flags);
    let active = flow::body_flags(scan, &flags, &carry_active, false);
    let mut force = vec![false; scan.body.results.len()];
    force[..scan.carries].copy_from_slice(&carry_active);
    let split = linearize_body(&scan.body, &active, &force)?;
    let plan = residuals::choose(&split.primal, scan.consts, scan.carries, &split.residuals);

    // The loop of values, with what the plan stores as further stacked outputs.
    let stacked_outs = scan.stacked_outs();
    let mut body = split.primal.clone();
    let rows_end = scan.carries + stacked_outs;
    body.results.splice(rows_end..rows_end, plan.stored.iter().copied());
    remove_dead_but(&mut body, &[]);
    let mut outs = lin.primal.emit(Op::Scan(Scan { body: body.into(), ..scan.clone() }), args);
    let stacks: Vec<Var> = outs.splice(rows_end..rows_end + plan.stored.len(), []).collect();
    let mut douts = vec![None; outs.len()];
    if !split.active.contains(&true) {
        return Ok((outs, douts));
    }

    // Values that no pass changes, computed before the loop.
    let primal = &split.primal;
    let mut outside: HashMap<Var, Var> =
        primal.params[..scan.consts].iter().copied().zip(args.iter().copied()).collect();
    for &i in &plan.before {
        let eqn = &primal.eqns[i];
        let eqn_args: Vec<Var> = eqn.args.iter().map(|a| outside[a]).collect();
        let eqn_outs = lin.primal.emit(eqn.op.clone(), &eqn_args);
        outside.extend(eqn.outs.iter().copied().zip(eqn_outs));
    }

    // The loop of tangents. Parameters: invariants, active constants; active carries; the counter; stacks,
    // stacked inputs that are read again, active stacked inputs.
    let mut b = Builder { span: lin.tangent.span, ..Builder::default() };
    let mut map: HashMap<Var, Var> = HashMap::new();
    let mut tangent_args = Vec::new();
    let mut dparams: Vec<Option<Var>> = vec![None; primal.params.len()];
    for &var in &plan.invariant {
        map.insert(var, b.param(primal.ty(var).clone()));
        tangent_args.push(lin.capture(outside[&var]));
    }
    for i in 0..scan.consts {
        if let Some(darg) = dargs[i] {
            dparams[i] = Some(b.param(primal.ty(primal.params[i]).clone()));
            tangent_args.push(darg);
        }
    }
    let consts = tangent_args.len();
    for i in scan.consts..scan.consts + scan.carries {
        if carry_active[i - scan.consts] {
            dparams[i] = Some(b.param(primal.ty(primal.params[i]).clone()));
            let init = lin.or_zeros(dargs[i], args[i]);
            tangent_args.push(init);
        }
    }
    let carries = tangent_args.len() - consts;
    let counter = scan.consts + scan.carries;
    map.insert(primal.params[counter], b.param(primal.ty(primal.params[counter]).clone()));
    for (&var, &stack) in plan.stored.iter().zip(&stacks) {
        map.insert(var, b.param(primal.ty(var).clone()));
        tangent_args.push(lin.capture(stack));
    }
    for i in counter + 1..primal.params.len() {
        let param = primal.params[i];
        if plan.inputs.contains(&param) {
            map.insert(param, b.param(primal.ty(param).clone()));
            tangent_args.push(lin.capture(args[i - 1]));
        }
        if let Some(darg) = dargs[i - 1] {
            dparams[i] = Some(b.param(primal.ty(param).clone()));
            tangent_args.push(darg);
        }
    }
    let trips = match scan.trips {
        Trips::All => Trips::All,
        Trips::Input => {
            tangent_args.push(lin.capture(args[args.len() - 1]));
            Trips::Input
        }
        Trips::Until => {
            tangent_args.push(lin.capture(outs[outs.len() - 1]));
            Trips::Input
        }
    };
    for &i in &plan.again {
        let eqn = &primal.eqns[i];
        b.span = eqn.span;
        let eqn_args: Vec<Var> = eqn.args.iter().map(|a| map[a]).collect();
        let eqn_outs = b.emit(eqn.op.clone(), &eqn_args);
        map.extend(eqn.outs.iter().copied().zip(eqn_outs));
    }
    let mut inner: Vec<Var> = split.residuals.iter().map(|r| map[r]).collect();
    inner.extend(dparams.iter().flatten());
    let results = b.inline(&split.tangent, &inner);
    let body: Graph = b.finish(results);
    let tangent_scan = Scan { body: body.into(), consts, carries, cap: scan.cap, trips, reverse: scan.reverse };
    let mut tangents = flow::emit_scan(&mut lin.tangent, tangent_scan, &tangent_args).into_iter();
    for (i, dout) in douts.iter_mut().enumerate().take(rows_end) {
        if split.active[i] {
            *dout = tangents.next();
        }
    }
    Ok((outs, douts))
}
