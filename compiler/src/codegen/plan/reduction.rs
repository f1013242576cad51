//! Reductions in the nest that makes their operand.
//!
//! A sum of floats has a fixed order (`prims::sums`), which the nest keeps: over the last axes in lanes and chunks, over
//! other axes in blocks. Sums of several chunks or blocks go to memory as parts, which a kernel combines by the
//! pairwise tree. A sum over both kinds of axes is made in two stages, of which the nest is the first.

use super::body::Scope;
use super::kernels::Typed;
use super::{Nest, Operand, Order, Planner, Reducer, Reduction, Step, TileOp, Total};
use crate::codegen::fuse;
use crate::codegen::view::View;
use crate::ir::graph::{Op, Type, Var};
use dp_runtime::abi::{FoldBy, Kernel};
use dp_runtime::kernels::walk::collapse;
use dp_runtime::kernels::{Real, SUM_BLOCK, SUM_CHUNK};
use dp_runtime::tensor::DType;

/// The lanes in which floats of a kind are summed.
pub fn sum_lanes(dtype: DType) -> usize {
    match dtype {
        DType::F32 => <f32 as Real>::LANES,
        DType::F64 | DType::I64 | DType::Key | DType::Bool => <f64 as Real>::LANES,
    }
}

/// The elements of a part of a sum: of a chunk, or rows of a block.
pub fn part_length(order: Order) -> usize {
    match order {
        Order::Along => SUM_CHUNK,
        Order::Across => SUM_BLOCK,
    }
}

/// A nest whose values are to be reduced, before its axes are collapsed.
pub struct Draft {
    pub shape: Vec<usize>,
    pub inputs: Vec<(DType, View)>,
    pub ops: Vec<TileOp>,
    pub outputs: Vec<(u32, DType, View)>,
    pub lanes: u32,
}

/// A reduction of one of a draft's values.
pub struct Wanted {
    pub value: u32,
    pub op: Op,
    pub out: Var,
    /// The number of its equation.
    pub number: u32,
}

impl Total {
    /// A sum of floats, whose order matters.
    pub fn is_ordered(&self) -> bool {
        self.by == Reducer::Sum && self.dtype.is_float()
    }
}

/// The reducer and the axes of a reduction.
fn reducer(op: &Op) -> (Reducer, &[usize]) {
    match op {
        Op::Sum { axes } => (Reducer::Sum, axes),
        Op::Prod { axes } => (Reducer::Fold(FoldBy::Product), axes),
        Op::ReduceMax { axes } => (Reducer::Fold(FoldBy::Max), axes),
        Op::ReduceMin { axes } => (Reducer::Fold(FoldBy::Min), axes),
        Op::All { axes } => (Reducer::Fold(FoldBy::All), axes),
        Op::Any { axes } => (Reducer::Fold(FoldBy::Any), axes),
        other => unreachable!("`{}` is not a reduction", crate::prims::name(other)),
    }
}

/// True if the nest can reduce these axes itself: where neighbours on the reduced axes are combined in lanes, rows that
/// are not one piece must be a whole number of lanes long.
pub fn feasible(draft: &Draft, stage: &fuse::Stage, dtype: DType) -> bool {
    let views = draft.inputs.iter().map(|(_, view)| view).chain(draft.outputs.iter().map(|(_, _, view)| view));
    if !stage.axes.contains(&(draft.shape.len() - 1)) {
        return true;
    }
    let strides: Vec<Vec<isize>> =
        views.map(|view| stage.axes.iter().map(|&axis| view.strides[axis]).collect()).collect();
    let strides: Vec<&[isize]> = strides.iter().map(Vec::as_slice).collect();
    let shape: Vec<usize> = stage.axes.iter().map(|&axis| draft.shape[axis]).collect();
    let (shape, _) = collapse(&shape, &strides);
    let span = if stage.ordered { sum_lanes(dtype) } else { draft.lanes as usize };
    shape.len() <= 1 || shape[shape.len() - 1].is_multiple_of(span)
}

impl Planner {
    /// Appends a nest that also reduces some of its values, and the kernels that finish the reductions.
    pub fn reducing_nest(
        &mut self,
        scope: &mut Scope,
        draft: Draft,
        stage: &fuse::Stage,
        wanted: &[Wanted],
        steps: &mut Vec<Step>,
    ) {
        let rank = draft.shape.len();
        let kept: Vec<usize> = (0..rank).filter(|axis| !stage.axes.contains(axis)).collect();
        let kept_shape: Vec<usize> = kept.iter().map(|&axis| draft.shape[axis]).collect();
        let order = if stage.axes.contains(&(rank - 1)) { Order::Along } else { Order::Across };
        let count: usize = stage.axes.iter().map(|&axis| draft.shape[axis]).product();
        let mut totals = Vec::new();
        // Kernels to call after the nest: of the parts, and of the second stage of a sum.
        let mut later: Vec<(Kernel, Vec<Typed>, u32)> = Vec::new();
        let mut seconds = Vec::new();
        for want in wanted {
            let (by, axes) = reducer(&want.op);
            let dtype = scope.graph.ty(want.out).dtype;
            let others: Vec<usize> = axes.iter().copied().filter(|axis| !stage.axes.contains(axis)).collect();
            let first: Typed = if others.is_empty() {
                self.out(scope, want.out)
            } else {
                let ty = Type::new(dtype, &kept_shape);
                (Operand::View(self.buffer(&ty)), dtype, kept_shape.clone())
            };
            let mut total = Total { value: want.value, dtype, by, to: first.0.clone(), parts: 1 };
            if total.is_ordered() {
                total.parts = count.div_ceil(part_length(order));
            }
            if total.parts > 1 {
                let shape = [&kept_shape[..], &[total.parts]].concat();
                let place = self.buffer(&Type::new(dtype, &shape));
                total.to = Operand::View(place.clone());
                let operands = vec![(Operand::View(place), dtype, shape), first.clone()];
                later.push((Kernel::SumParts, operands, want.number));
            }
            if let (Operand::View(part), false) = (first.0, others.is_empty()) {
                seconds.push((part, dtype, others, want));
            }
            totals.push(total);
        }
        let nest = self.permuted(draft, &kept, &stage.axes, order, totals);
        self.push(steps, Step::Nest(nest));
        for (kernel, operands, number) in later {
            self.call(kernel, operands, number, steps);
        }
        for (part, dtype, others, want) in seconds {
            let out = self.out(scope, want.out);
            let ty = Type::new(dtype, &kept_shape);
            self.reduce(part, &ty, &others, |kept| Kernel::SumOther { kept }, out, want.number, steps);
        }
    }

    /// The nest with the kept axes first, both groups of axes collapsed.
    fn permuted(&self, draft: Draft, kept: &[usize], reduced: &[usize], order: Order, totals: Vec<Total>) -> Nest {
        let group = |view: &View, axes: &[usize]| -> Vec<isize> { axes.iter().map(|&a| view.strides[a]).collect() };
        let views: Vec<&View> =
            draft.inputs.iter().map(|(_, view)| view).chain(draft.outputs.iter().map(|(_, _, view)| view)).collect();
        let sizes = |axes: &[usize]| -> Vec<usize> { axes.iter().map(|&a| draft.shape[a]).collect() };
        let mut outer: Vec<Vec<isize>> = views.iter().map(|view| group(view, kept)).collect();
        for total in &totals {
            outer.push(match &total.to {
                Operand::View(view) => view.strides[..kept.len()].to_vec(),
                Operand::Out(_) => vec![0; kept.len()],
            });
        }
        let inner: Vec<Vec<isize>> = views.iter().map(|view| group(view, reduced)).collect();
        let collapsed = |axes: &[usize], strides: &[Vec<isize>]| {
            collapse(&sizes(axes), &strides.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        let (kept_shape, outer) = collapsed(kept, &outer);
        let (reduced_shape, inner) = collapsed(reduced, &inner);
        let together = |k: usize| [&outer[k][..], &inner[k][..]].concat();
        let inputs = draft.inputs.iter().enumerate().map(|(k, (dtype, view))| super::Input {
            dtype: *dtype,
            view: View { strides: together(k), ..view.clone() },
        });
        let first = draft.inputs.len();
        let outputs =
            draft.outputs.iter().enumerate().map(|(k, (value, dtype, view))| {
                (*value, *dtype, View { strides: together(first + k), ..view.clone() })
            });
        let first = first + draft.outputs.len();
        let (inputs, outputs) = (inputs.collect(), outputs.collect());
        let totals = totals.into_iter().enumerate().map(|(k, total)| {
            let to = match total.to {
                Operand::View(view) => {
                    let parts = view.strides[kept.len()..].iter();
                    let strides = outer[first + k].iter().chain(parts).copied().collect();
                    Operand::View(View { strides, ..view })
                }
                Operand::Out(reg) => Operand::Out(reg),
            };
            Total { to, ..total }
        });
        let reduction = Reduction { kept: kept_shape.len(), order, totals: totals.collect() };
        Nest {
            shape: [kept_shape, reduced_shape].concat(),
            inputs,
            ops: draft.ops,
            outputs,
            lanes: draft.lanes,
            reduction: Some(reduction),
        }
    }
}
