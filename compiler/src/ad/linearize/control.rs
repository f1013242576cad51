//! Linearization of conditions and calls.

use super::{Lin, NotDifferentiable, Pair, Split, linearize_body, linearize_inline};
use crate::ir::builder::Builder;
use crate::ir::graph::{CallRule, Graph, Op, Type, Var};
use std::rc::Rc;

/// Both sides linearized. Each side's residuals fill slots, by type; a side gives zeros for slots it does not use.
pub fn linearize_cond(
    lin: &mut Lin,
    then: &Graph,
    otherwise: &Graph,
    args: &[Var],
    dargs: &[Option<Var>],
) -> Result<Pair, NotDifferentiable> {
    let active: Vec<bool> = dargs[1..].iter().map(Option::is_some).collect();
    let then_results = super::flow::results_depend(then, &active);
    let other_results = super::flow::results_depend(otherwise, &active);
    let force: Vec<bool> = then_results.iter().zip(&other_results).map(|(&a, &b)| a || b).collect();
    let sides = [linearize_body(then, &active, &force)?, linearize_body(otherwise, &active, &force)?];

    // Residuals that are the condition's own arguments are taken from outside; others need a slot.
    let mut slots: Vec<Type> = Vec::new();
    let mut places: Vec<Vec<Place>> = Vec::new();
    for side in &sides {
        let mut taken = vec![false; slots.len()];
        let mut side_places = Vec::new();
        for &residual in &side.residuals {
            if let Some(i) = side.primal.params.iter().position(|&p| p == residual) {
                side_places.push(Place::Arg(i));
                continue;
            }
            let ty = side.primal.ty(residual);
            let free = (0..slots.len()).find(|&s| !taken[s] && slots[s] == *ty);
            let slot = free.unwrap_or_else(|| {
                slots.push(ty.clone());
                taken.push(false);
                slots.len() - 1
            });
            taken[slot] = true;
            side_places.push(Place::Slot(slot));
        }
        places.push(side_places);
    }

    let primals: Vec<Rc<Graph>> =
        sides.iter().zip(&places).map(|(side, places)| Rc::new(fill_slots(side, places, &slots))).collect();
    let op = Op::Cond { then: primals[0].clone(), otherwise: primals[1].clone() };
    let mut outs = lin.primal.emit(op, args);
    let slot_vars = outs.split_off(then.results.len());
    let mut douts = vec![None; outs.len()];
    if !force.contains(&true) {
        return Ok((outs, douts));
    }

    // Tangent side: the predicate, captured arguments, slots, then tangents.
    let mut arg_used = vec![false; args.len() - 1];
    for place in places.iter().flatten() {
        if let Place::Arg(i) = place {
            arg_used[*i] = true;
        }
    }
    let used: Vec<usize> = (0..arg_used.len()).filter(|&i| arg_used[i]).collect();
    let mut tangent_args = vec![lin.capture(args[0])];
    for &i in &used {
        let captured = lin.capture(args[i + 1]);
        tangent_args.push(captured);
    }
    for &slot in &slot_vars {
        let captured = lin.capture(slot);
        tangent_args.push(captured);
    }
    tangent_args.extend(dargs[1..].iter().flatten());
    let types: Vec<Type> = tangent_args[1..].iter().map(|&a| lin.tangent.ty(a).clone()).collect();
    let mut tangents = Vec::new();
    for (side, places) in sides.iter().zip(&places) {
        let mut b = Builder { span: lin.tangent.span, ..Builder::default() };
        let params: Vec<Var> = types.iter().map(|ty| b.param(ty.clone())).collect();
        let mut inner_args: Vec<Var> = places
            .iter()
            .map(|place| match place {
                Place::Arg(i) => params[used.iter().position(|u| u == i).expect("used arguments were collected")],
                Place::Slot(s) => params[used.len() + s],
            })
            .collect();
        inner_args.extend_from_slice(&params[used.len() + slots.len()..]);
        let results = b.inline(&side.tangent, &inner_args);
        tangents.push(Rc::new(b.finish(results)));
    }
    let op = Op::Cond { then: tangents[0].clone(), otherwise: tangents[1].clone() };
    let mut results = lin.tangent.emit(op, &tangent_args).into_iter();
    for (dout, force) in douts.iter_mut().zip(force) {
        if force {
            *dout = results.next();
        }
    }
    Ok((outs, douts))
}

/// Where a side's residual comes from in the tangent Graph.
enum Place {
    /// An argument of the condition, not counting the predicate.
    Arg(usize),
    Slot(usize),
}

/// A side's primal Graph with a result for each slot.
fn fill_slots(side: &Split, places: &[Place], slots: &[Type]) -> Graph {
    let mut b = Builder { graph: side.primal.clone(), ..Builder::default() };
    let mut values: Vec<Option<Var>> = vec![None; slots.len()];
    for (place, &residual) in places.iter().zip(&side.residuals) {
        match place {
            Place::Arg(_) => {}
            Place::Slot(s) => values[*s] = Some(residual),
        }
    }
    let mut results = side.primal.results.clone();
    for (value, ty) in values.into_iter().zip(slots) {
        results.push(value.unwrap_or_else(|| b.zeros(ty)));
    }
    b.finish(results)
}

/// A call, by its rule.
pub fn linearize_call(
    lin: &mut Lin,
    body: &Rc<Graph>,
    rule: &CallRule,
    args: &[Var],
    dargs: &[Option<Var>],
) -> Result<Pair, NotDifferentiable> {
    match rule {
        CallRule::Inline => linearize_inline(lin, body, args, dargs),
        CallRule::Tangent(tangent) => {
            let outs = lin.primal.emit(Op::Call { body: body.clone(), rule: rule.clone() }, args);
            let used = super::flow::used_vars(tangent);
            let known: Vec<Var> = args.iter().chain(&outs).copied().collect();
            let mut inner = Vec::with_capacity(tangent.params.len());
            for (&value, &param) in known.iter().zip(&tangent.params) {
                if used[param.0 as usize] {
                    inner.push(lin.capture(value));
                } else {
                    // Not read: anything of the type will do, and dead code removal takes it away.
                    let ty = lin.primal.ty(value).clone();
                    inner.push(lin.tangent.zeros(&ty));
                }
            }
            for (&arg, &darg) in args.iter().zip(dargs) {
                if lin.primal.ty(arg).dtype.is_float() {
                    inner.push(lin.or_zeros(darg, arg));
                }
            }
            let mut results = lin.tangent.inline(tangent, &inner).into_iter();
            let douts = outs
                .iter()
                .map(|&out| if lin.primal.ty(out).dtype.is_float() { results.next() } else { None })
                .collect();
            Ok((outs, douts))
        }
        CallRule::Solve { operator, .. } => {
            let op = Op::Call { body: body.clone(), rule: rule.clone() };
            let outs = lin.primal.emit(op.clone(), args);
            // x = A^-1 b, so dx = A^-1 (db - dA x).
            let last = args.len() - 1;
            let mut right = dargs[last];
            if dargs[..last].iter().any(Option::is_some) {
                let at = [&args[..last], &outs].concat();
                let (_, moved) = linearize_inline(lin, operator, &at, &[&dargs[..last], &[None]].concat())?;
                let moved = moved[0].map(|moved| lin.tangent.neg(moved));
                right = lin.add(right, moved);
            }
            let Some(right) = right else { return Ok((outs, vec![None])) };
            let mut operands: Vec<Var> = args[..last].iter().map(|&arg| lin.capture(arg)).collect();
            operands.push(right);
            let douts = lin.tangent.emit(op, &operands).into_iter().map(Some).collect();
            Ok((outs, douts))
        }
        CallRule::Recompute => {
            let active: Vec<bool> = dargs.iter().map(Option::is_some).collect();
            let force = vec![false; body.results.len()];
            let split = linearize_body(body, &active, &force)?;
            let outs = lin.primal.emit(Op::Call { body: body.clone(), rule: CallRule::Recompute }, args);
            // The residuals are computed on the tangent side, from the arguments.
            let mut again = split.primal.clone();
            again.results = split.residuals.clone();
            super::flow::remove_dead(&mut again);
            let used = super::flow::used_vars(&again);
            let kept: Vec<usize> = (0..args.len()).filter(|&i| used[again.params[i].0 as usize]).collect();
            again.params = kept.iter().map(|&i| again.params[i]).collect();
            let captured: Vec<Var> = kept.iter().map(|&i| lin.capture(args[i])).collect();
            let mut inner = match split.residuals.is_empty() {
                true => Vec::new(),
                false => lin.tangent.emit(Op::Call { body: Rc::new(again), rule: CallRule::Recompute }, &captured),
            };
            inner.extend(dargs.iter().flatten());
            let mut results = lin.tangent.inline(&split.tangent, &inner).into_iter();
            let douts = split.active.iter().map(|&active| if active { results.next() } else { None }).collect();
            Ok((outs, douts))
        }
    }
}
