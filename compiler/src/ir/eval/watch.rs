//! A run that watches for numbers that are not finite: it remembers for each value which equation made its NaN or
//! infinity, so that what a selection throws away is not blamed.

use super::{Prepared, passes_of, prepare};
use crate::ir::graph::{Eqn, Graph, Guard, Op, Scan, Trips};
use crate::prims;
use crate::prims::value::{get_row, set_row};
use crate::source::Span;
use dp_runtime::fault::FaultKind;
use dp_runtime::interrupt;
use dp_runtime::tensor::Tensor;

/// Where a NaN or infinity came from.
#[derive(Clone, PartialEq, Debug)]
pub struct Origin {
    pub span: Span,
    /// The name of the operation.
    pub op: &'static str,
    /// True for a NaN, false for an infinity.
    pub nan: bool,
}

/// The first equation that makes a NaN from operands without one, or an infinity from finite operands, such that it
/// reaches a result. Constants do not count. If the run ends with a fault, the first such equation at all. `None` if
/// there is none.
///
/// # Panics
/// If the arguments do not have the parameters' types: a bug of the caller.
pub fn first_nan(graph: &Graph, args: &[Tensor]) -> Option<Origin> {
    let mut run = Run { origins: Vec::new() };
    let args = args.iter().map(|value| Watched { value: value.clone(), blame: None }).collect();
    let blame = match run.graph(graph, args) {
        Ok(results) => results.iter().filter_map(|result| result.blame).min(),
        Err(_) => (!run.origins.is_empty()).then_some(0),
    };
    blame.map(|place| run.origins[place].clone())
}

/// A value, and the place in `Run::origins` of what made it not finite.
#[derive(Clone)]
struct Watched {
    value: Tensor,
    blame: Option<usize>,
}

struct Run {
    /// In the order in which they ran.
    origins: Vec<Origin>,
}

impl Run {
    fn graph(&mut self, graph: &Graph, args: Vec<Watched>) -> Result<Vec<Watched>, FaultKind> {
        self.prepared(&prepare(graph), args)
    }

    fn prepared(&mut self, prepared: &Prepared<'_>, args: Vec<Watched>) -> Result<Vec<Watched>, FaultKind> {
        let Prepared { graph, last } = prepared;
        let mut values: Vec<Option<Watched>> = vec![None; graph.types.len()];
        for (&param, arg) in graph.params.iter().zip(args) {
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
            let outs = self.eqn(eqn, args)?;
            for (out, value) in eqn.outs.iter().zip(outs) {
                values[out.0 as usize] = Some(value);
            }
        }
        let results = graph.results.iter().map(|result| values[result.0 as usize].clone());
        Ok(results.map(|value| value.expect("a Graph defines its results")).collect())
    }

    fn eqn(&mut self, eqn: &Eqn, mut args: Vec<Watched>) -> Result<Vec<Watched>, FaultKind> {
        match &eqn.op {
            Op::Scan(scan) => self.scan(scan, args),
            Op::Cond { then, otherwise } => {
                let rest = args.split_off(1);
                let side = if args[0].value.as_slice::<bool>()[0] { then } else { otherwise };
                self.graph(side, rest)
            }
            Op::Call { body, rule: _ } => self.graph(body, args),
            Op::Guard(guard) => {
                let rest = args.split_off(1);
                match guard {
                    Guard::NotAtFixedPoint { solver } if !args[0].value.as_slice::<bool>()[0] => {
                        Err(FaultKind::Unconverged { solver: solver.to_string() })
                    }
                    _ => Ok(rest),
                }
            }
            Op::Select => {
                let taken: Vec<Option<usize>> = (1..3).map(|side| taken(&args, side)).collect();
                self.leaf(eqn, args, taken)
            }
            _ => {
                let blames = args.iter().map(|arg| arg.blame).collect();
                self.leaf(eqn, args, blames)
            }
        }
    }

    /// An equation without sub-Graphs; what is not finite in its results comes from these, unless it arises here.
    fn leaf(&mut self, eqn: &Eqn, args: Vec<Watched>, blames: Vec<Option<usize>>) -> Result<Vec<Watched>, FaultKind> {
        let args: Vec<Tensor> = args.into_iter().map(|arg| arg.value).collect();
        let before = args.iter().map(worst).max().unwrap_or(Worst::Finite);
        let inherited = blames.into_iter().flatten().min();
        let outs = prims::eval_owned(&eqn.op, args)?;
        let after = outs.iter().map(worst).max().unwrap_or(Worst::Finite);
        let mut blame = inherited;
        if after > before && !matches!(eqn.op, Op::Const(_)) {
            blame = Some(self.origins.len());
            self.origins.push(Origin { span: eqn.span, op: prims::name(&eqn.op), nan: after == Worst::Nan });
        }
        Ok(outs
            .into_iter()
            .map(|value| {
                let blame = if worst(&value) == Worst::Finite { None } else { blame };
                Watched { value, blame }
            })
            .collect())
    }

    fn scan(&mut self, scan: &Scan, args: Vec<Watched>) -> Result<Vec<Watched>, FaultKind> {
        let (mut values, mut blames): (Vec<Tensor>, Vec<Option<usize>>) =
            args.into_iter().map(|arg| (arg.value, arg.blame)).unzip();
        let trips = passes_of(scan, &mut values)?;
        blames.truncate(values.len());
        let mut args: Vec<Watched> =
            values.into_iter().zip(blames).map(|(value, blame)| Watched { value, blame }).collect();
        let stacked_ins = args.split_off(scan.consts + scan.carries);
        let mut carries = args.split_off(scan.consts);
        let consts = args;
        let body = prepare(&scan.body);
        let until = scan.trips == Trips::Until;
        let slices = &scan.body.results[scan.carries..scan.body.results.len() - usize::from(until)];
        let mut stacked_outs: Vec<Watched> = slices
            .iter()
            .map(|&slice| {
                let ty = scan.body.ty(slice);
                let value = Tensor::full(ty.dtype, &[&[scan.cap], &ty.shape[..]].concat(), 0.0);
                Watched { value, blame: None }
            })
            .collect();
        let mut passes = 0;
        while passes < trips {
            if interrupt::requested() {
                return Err(FaultKind::Interrupted);
            }
            let counter = if scan.reverse { trips - 1 - passes } else { passes };
            let mut body_args = consts.clone();
            body_args.append(&mut carries);
            body_args.push(Watched { value: Tensor::scalar(counter as i64), blame: None });
            body_args.extend(stacked_ins.iter().map(|stack| {
                let value = get_row(&stack.value, counter);
                let blame = stack.blame.filter(|_| worst(&value) != Worst::Finite);
                Watched { value, blame }
            }));
            let mut results = self.prepared(&body, body_args)?;
            passes += 1;
            let stop = until && results.pop().is_some_and(|stop| stop.value.as_slice::<bool>()[0]);
            let slices = results.split_off(scan.carries);
            carries = results;
            for (stack, slice) in stacked_outs.iter_mut().zip(slices) {
                let moved = std::mem::replace(&mut stack.value, Tensor::scalar(false));
                stack.value = set_row(moved, counter, &slice.value);
                stack.blame = stack.blame.into_iter().chain(slice.blame).min();
            }
            if stop {
                break;
            }
        }
        let mut outs = carries;
        outs.append(&mut stacked_outs);
        if until {
            outs.push(Watched { value: Tensor::scalar(passes as i64), blame: None });
        }
        Ok(outs)
    }
}

/// The blame of a side of a selection, if it takes something that is not finite from it.
fn taken(args: &[Watched], side: usize) -> Option<usize> {
    let mask = args[0].value.as_slice::<bool>();
    let takes =
        |finite: &dyn Fn(usize) -> bool| mask.iter().enumerate().any(|(i, &yes)| yes == (side == 1) && !finite(i));
    let found = match &args[side].value {
        Tensor::F32(_) => {
            let data = args[side].value.as_slice::<f32>();
            takes(&|i| data[i].is_finite())
        }
        Tensor::F64(_) => {
            let data = args[side].value.as_slice::<f64>();
            takes(&|i| data[i].is_finite())
        }
        Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => false,
    };
    args[side].blame.filter(|_| found)
}

/// The worst number in a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    Finite,
    Infinite,
    Nan,
}

fn worst(value: &Tensor) -> Worst {
    macro_rules! of {
        ($data:expr) => {
            $data.iter().fold(Worst::Finite, |worst, v| {
                worst.max(if v.is_nan() {
                    Worst::Nan
                } else if v.is_infinite() {
                    Worst::Infinite
                } else {
                    Worst::Finite
                })
            })
        };
    }
    match value {
        Tensor::F32(_) => of!(value.as_slice::<f32>()),
        Tensor::F64(_) => of!(value.as_slice::<f64>()),
        Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => Worst::Finite,
    }
}
