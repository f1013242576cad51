//! The reference evaluator: what a Graph means, equation by equation.
//!
//! Compiled code gives the same bits. One-off statements run here too, so values are dropped after their last
//! use, and an operation that is the last to use an operand works in place.

mod watch;

pub use watch::{Origin, first_nan};

use super::Fault;
use super::graph::{Graph, Guard, Op, Scan, Trips, Type, Var};
use crate::prims;
use crate::prims::value::{get_row, set_row};
use crate::source::Span;
use dp_runtime::fault::FaultKind;
use dp_runtime::interrupt;
use dp_runtime::tensor::Tensor;
use std::collections::HashSet;
use std::rc::Rc;

/// What happened besides the results.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The named solver stopped at its cap without meeting its rule; reported once for each place.
    Unconverged { solver: Rc<str>, span: Span },
}

/// The results of a Graph for these arguments. Events are dropped.
///
/// # Panics
/// If the arguments do not have the parameters' types: a bug of the caller.
pub fn eval(graph: &Graph, args: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
    eval_with(graph, args, &mut |_| {})
}

/// `eval`, with events reported as they happen.
pub fn eval_with(graph: &Graph, args: &[Tensor], report: &mut dyn FnMut(Event)) -> Result<Vec<Tensor>, Fault> {
    Run { report, reported: HashSet::new() }.graph(graph, args.to_vec())
}

struct Run<'a> {
    report: &'a mut dyn FnMut(Event),
    reported: HashSet<Span>,
}

/// A Graph with the position of the last equation that uses each variable.
struct Prepared<'a> {
    graph: &'a Graph,
    last: Vec<usize>,
}

fn prepare(graph: &Graph) -> Prepared<'_> {
    let mut last = vec![0; graph.types.len()];
    for (position, eqn) in graph.eqns.iter().enumerate() {
        for arg in &eqn.args {
            last[arg.0 as usize] = position;
        }
    }
    for result in &graph.results {
        last[result.0 as usize] = usize::MAX;
    }
    Prepared { graph, last }
}

impl Run<'_> {
    fn graph(&mut self, graph: &Graph, args: Vec<Tensor>) -> Result<Vec<Tensor>, Fault> {
        self.prepared(&prepare(graph), args)
    }

    fn prepared(&mut self, prepared: &Prepared<'_>, args: Vec<Tensor>) -> Result<Vec<Tensor>, Fault> {
        let Prepared { graph, last } = prepared;
        assert_eq!(graph.params.len(), args.len(), "internal error: a Graph was run with a wrong number of arguments");
        let mut values: Vec<Option<Tensor>> = vec![None; graph.types.len()];
        for (&param, arg) in graph.params.iter().zip(args) {
            let expected = graph.ty(param);
            let fits = expected.dtype == arg.dtype() && expected.shape == arg.shape();
            assert!(fits, "internal error: a Graph takes {expected}, not {}", Type::of(&arg));
            values[param.0 as usize] = Some(arg);
        }
        for (position, eqn) in graph.eqns.iter().enumerate() {
            let mut args = Vec::with_capacity(eqn.args.len());
            for (i, &arg) in eqn.args.iter().enumerate() {
                let slot = &mut values[arg.0 as usize];
                let done = last[arg.0 as usize] == position && !eqn.args[i + 1..].contains(&arg);
                let value = if done { slot.take() } else { slot.clone() };
                args.push(value.expect("a Graph defines variables before their use"));
            }
            let outs = self.op(&eqn.op, args, eqn.span)?;
            for (out, value) in eqn.outs.iter().zip(outs) {
                let unused = last[out.0 as usize] == 0;
                values[out.0 as usize] = if unused { None } else { Some(value) };
            }
        }
        let value = |&result: &Var| values[result.0 as usize].clone();
        Ok(graph.results.iter().map(|r| value(r).expect("a Graph defines its results")).collect())
    }

    fn op(&mut self, op: &Op, mut args: Vec<Tensor>, span: Span) -> Result<Vec<Tensor>, Fault> {
        match op {
            Op::Scan(scan) => self.scan(scan, args, span),
            Op::Cond { then, otherwise } => {
                let rest = args.split_off(1);
                let side = if args[0].as_slice::<bool>()[0] { then } else { otherwise };
                self.graph(side, rest)
            }
            Op::Call { body, rule: _ } => self.graph(body, args),
            Op::Guard(guard) => {
                let rest = args.split_off(1);
                if !args[0].as_slice::<bool>()[0] {
                    self.guard(guard, span)?;
                }
                Ok(rest)
            }
            _ => prims::eval_owned(op, args).map_err(|kind| Fault { kind, span }),
        }
    }

    fn guard(&mut self, guard: &Guard, span: Span) -> Result<(), Fault> {
        match guard {
            Guard::Unconverged { solver } => {
                if self.reported.insert(span) {
                    (self.report)(Event::Unconverged { solver: solver.clone(), span });
                }
                Ok(())
            }
            Guard::NotAtFixedPoint { solver } => {
                Err(Fault { kind: FaultKind::Unconverged { solver: solver.to_string() }, span })
            }
        }
    }

    fn scan(&mut self, scan: &Scan, mut args: Vec<Tensor>, span: Span) -> Result<Vec<Tensor>, Fault> {
        let fault = |kind| Fault { kind, span };
        let trips = passes_of(scan, &mut args).map_err(fault)?;
        let stacked_ins = args.split_off(scan.consts + scan.carries);
        let mut carries = args.split_off(scan.consts);
        let consts = args;
        let body = prepare(&scan.body);
        let until = scan.trips == Trips::Until;
        let slices = &scan.body.results[scan.carries..scan.body.results.len() - usize::from(until)];
        let mut stacked_outs: Vec<Tensor> = slices
            .iter()
            .map(|&slice| {
                let ty = scan.body.ty(slice);
                Tensor::full(ty.dtype, &[&[scan.cap], &ty.shape[..]].concat(), 0.0)
            })
            .collect();
        let mut passes = 0;
        while passes < trips {
            if interrupt::requested() {
                return Err(fault(FaultKind::Interrupted));
            }
            let counter = if scan.reverse { trips - 1 - passes } else { passes };
            let mut body_args = Vec::with_capacity(scan.body.params.len());
            body_args.extend(consts.iter().cloned());
            body_args.append(&mut carries);
            body_args.push(Tensor::scalar(counter as i64));
            body_args.extend(stacked_ins.iter().map(|stack| get_row(stack, counter)));
            let mut results = self.prepared(&body, body_args)?;
            passes += 1;
            let stop = until && results.pop().is_some_and(|stop| stop.as_slice::<bool>()[0]);
            let slices = results.split_off(scan.carries);
            carries = results;
            for (stack, slice) in stacked_outs.iter_mut().zip(slices) {
                // Moved out and back, so that the row is written in place.
                let moved = std::mem::replace(stack, Tensor::scalar(false));
                *stack = set_row(moved, counter, &slice);
            }
            if stop {
                break;
            }
        }
        let mut outs = carries;
        outs.append(&mut stacked_outs);
        if until {
            outs.push(Tensor::scalar(passes as i64));
        }
        Ok(outs)
    }
}

/// The most passes that a loop may run. Takes the count off the operands, if it is one.
fn passes_of(scan: &Scan, args: &mut Vec<Tensor>) -> Result<usize, FaultKind> {
    match scan.trips {
        Trips::All | Trips::Until => Ok(scan.cap),
        Trips::Input => {
            let count = args.pop().map_or(0, |count| count.as_slice::<i64>()[0]);
            match usize::try_from(count) {
                Ok(trips) if trips <= scan.cap => Ok(trips),
                Ok(_) | Err(_) => Err(FaultKind::IndexOutOfRange { index: count, size: scan.cap + 1, axis: 0 }),
            }
        }
    }
}

#[cfg(test)]
mod tests;
