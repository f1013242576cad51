//! Groups the equations of one Graph into units: runs of elementwise equations of one shape, with reductions of their
//! values, which become one loop nest each, and single equations.
//!
//! A group stays open while later equations may join it, and is placed where it closes: before the first
//! equation that needs it. Open groups never depend on one another.

use crate::ir::graph::{Eqn, Graph, Op, Type};
use crate::prims;
use dp_runtime::tensor::DType;

/// The most equations in one group: longer bodies run out of registers.
const GROUP: usize = 64;
/// The most groups open at once.
const OPEN: usize = 8;

/// What is planned and placed as one.
#[derive(Clone, PartialEq, Debug)]
pub enum Unit {
    /// Elementwise equations of one shape (of rank at least 1), and reductions of their values by one stage, in order.
    Nest(Vec<usize>),
    Single(usize),
}

/// What a nest can do of a reduction.
#[derive(Clone, PartialEq, Debug)]
pub struct Stage {
    /// The axes that the nest reduces, ascending. Those of a sum of floats are the last axes, or none of the last.
    pub axes: Vec<usize>,
    /// True if there are sums of floats, which have an order.
    pub ordered: bool,
}

impl Stage {
    /// The stage of two reductions over the same axes.
    pub fn with(self, other: &Stage) -> Stage {
        Stage { ordered: self.ordered || other.ordered, ..self }
    }
}

/// The first stage of a reduction of an array of type `ty`, if a nest can do it.
pub fn stage(op: &Op, ty: &Type) -> Option<Stage> {
    let ordered = matches!(op, Op::Sum { .. }) && ty.dtype.is_float();
    let axes = match op {
        Op::Sum { axes }
        | Op::Prod { axes }
        | Op::ReduceMax { axes }
        | Op::ReduceMin { axes }
        | Op::All { axes }
        | Op::Any { axes } => axes,
        _ => return None,
    };
    if ty.is_empty() {
        return None;
    }
    let trailing = (1..=axes.len()).take_while(|&n| axes[axes.len() - n] == ty.rank() - n).count();
    // A sum over the last axes and others would need a second stage: the kernels have it.
    if ordered && trailing > 0 && trailing < axes.len() {
        return None;
    }
    Some(Stage { axes: axes.clone(), ordered })
}

/// The width of the elements that a group works on, which decides how many go side by side.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Width {
    /// Bools only: goes with any other.
    Any,
    Bytes4,
    Bytes8,
    /// One element at a time.
    One,
}

/// True for operations that are fused: elementwise, and written as inline code (`FoldIn` is a kernel).
pub fn is_elementwise(op: &Op) -> bool {
    prims::is_elementwise(op) && !matches!(op, Op::FoldIn)
}

/// True for operations whose result is a view of the first operand, or may be.
pub fn is_view(op: &Op) -> bool {
    matches!(op, Op::Broadcast { .. } | Op::Reshape { .. } | Op::Permute { .. } | Op::Slice { .. } | Op::Reverse { .. })
}

fn width_of(dtype: DType) -> Width {
    match dtype {
        DType::Bool => Width::Any,
        DType::F32 => Width::Bytes4,
        DType::F64 | DType::I64 | DType::Key => Width::Bytes8,
    }
}

/// The width of both together, if they go together.
fn join(a: Width, b: Width) -> Option<Width> {
    match (a, b) {
        (Width::Any, other) | (other, Width::Any) => Some(other),
        _ if a == b => Some(a),
        _ => None,
    }
}

/// The width in which an elementwise equation works.
pub fn width(graph: &Graph, eqn: &Eqn) -> Width {
    if matches!(eqn.op, Op::IntDiv | Op::Mod) {
        return Width::One;
    }
    let out = graph.ty(eqn.outs[0]).dtype;
    if let Op::Convert(_) = eqn.op {
        let from = graph.ty(eqn.args[0]).dtype;
        // Between numbers of different kinds there are no vector conversions to rely on.
        if from != out && from != DType::Bool && out != DType::Bool {
            return Width::One;
        }
    }
    eqn.args
        .iter()
        .chain(&eqn.outs)
        .try_fold(Width::Any, |w, &v| join(w, width_of(graph.ty(v).dtype)))
        .unwrap_or(Width::One)
}

struct Open<'g> {
    eqns: Vec<usize>,
    shape: &'g [usize],
    width: Width,
    stage: Option<Stage>,
    /// The kind of floats that are summed.
    sums: Option<DType>,
    /// The kind of all reduced values, if it is one of floats and each reduction can be made part by part: then those
    /// that have no order go with sums.
    parted: Option<DType>,
}

/// The kind of floats that a reduction takes, if it can be made of parts (a product of floats is one chain).
fn parted(op: &Op, ty: &Type) -> Option<DType> {
    (ty.dtype.is_float() && !matches!(op, Op::Prod { .. })).then_some(ty.dtype)
}

/// The open group that a reduction joins: the one that makes its operand, if it reduces nothing yet or the same axes.
/// With it the stage, and the kind of floats that are summed.
fn joins(graph: &Graph, eqn: &Eqn, owners: &[usize], open: &[Option<Open>]) -> Option<(usize, Stage, Option<DType>)> {
    let &[group] = owners else {
        return None;
    };
    let ty = eqn.args.first().map(|&arg| graph.ty(arg))?;
    let stage = stage(&eqn.op, ty)?;
    let o = open[group].as_ref()?;
    let sums = stage.ordered.then_some(ty.dtype);
    let fits = ty.shape == o.shape
        && o.eqns.len() < GROUP
        && o.stage.as_ref().is_none_or(|other| {
            let together = o.parted.is_some() && o.parted == parted(&eqn.op, ty);
            other.axes == stage.axes && (other.ordered == stage.ordered || together)
        })
        && (sums.is_none() || o.sums.is_none() || o.sums == sums);
    fits.then_some((group, stage, sums))
}

/// The units of a Graph, in an order that respects all dependences.
pub fn units(graph: &Graph) -> Vec<Unit> {
    let mut units = Vec::with_capacity(graph.eqns.len());
    let mut open: Vec<Option<Open>> = Vec::new();
    // The open group that computes a variable.
    let mut owner: Vec<Option<usize>> = vec![None; graph.types.len()];
    let mut live: Vec<usize> = Vec::new();
    let close = |group: usize, open: &mut Vec<Option<Open>>, live: &mut Vec<usize>, units: &mut Vec<Unit>| {
        if let Some(group) = open[group].take() {
            units.push(Unit::Nest(group.eqns));
        }
        live.retain(|&g| g != group);
    };
    for (i, eqn) in graph.eqns.iter().enumerate() {
        let owners: Vec<usize> = {
            let mut list: Vec<usize> =
                eqn.args.iter().filter_map(|a| owner[a.0 as usize]).filter(|&g| open[g].is_some()).collect();
            list.sort_unstable();
            list.dedup();
            list
        };
        if let Some((group, stage, dtype)) = joins(graph, eqn, &owners, &open) {
            if let Some(o) = &mut open[group] {
                let own = eqn.args.first().and_then(|&arg| parted(&eqn.op, graph.ty(arg)));
                o.parted = if o.stage.is_none() || o.parted == own { own } else { None };
                o.stage = Some(match &o.stage {
                    Some(other) => stage.with(other),
                    None => stage,
                });
                o.sums = o.sums.or(dtype);
                o.width = join(o.width, width(graph, eqn)).unwrap_or(Width::One);
                o.eqns.push(i);
            }
            owner[eqn.outs[0].0 as usize] = Some(group);
            continue;
        }
        let out = eqn.outs.first().map(|&v| graph.ty(v));
        let shape = match out {
            Some(ty) if is_elementwise(&eqn.op) && ty.rank() > 0 => ty.shape.as_slice(),
            _ => {
                for group in owners {
                    close(group, &mut open, &mut live, &mut units);
                }
                units.push(Unit::Single(i));
                continue;
            }
        };
        let own = width(graph, eqn);
        let fits = |g: usize| {
            open[g].as_ref().is_some_and(|o| o.shape == shape && o.eqns.len() < GROUP && join(o.width, own).is_some())
        };
        let target = owners.iter().copied().find(|&g| fits(g)).or_else(|| live.iter().copied().find(|&g| fits(g)));
        for group in owners {
            if Some(group) != target {
                close(group, &mut open, &mut live, &mut units);
            }
        }
        let group = match target {
            Some(group) => group,
            None => {
                if live.len() >= OPEN {
                    close(live[0], &mut open, &mut live, &mut units);
                }
                open.push(Some(Open {
                    eqns: Vec::new(),
                    shape,
                    width: Width::Any,
                    stage: None,
                    sums: None,
                    parted: None,
                }));
                live.push(open.len() - 1);
                open.len() - 1
            }
        };
        if let Some(o) = &mut open[group] {
            o.width = join(o.width, own).unwrap_or(Width::One);
            o.eqns.push(i);
        }
        for v in &eqn.outs {
            owner[v.0 as usize] = Some(group);
        }
    }
    while let Some(&group) = live.first() {
        close(group, &mut open, &mut live, &mut units);
    }
    units
}
