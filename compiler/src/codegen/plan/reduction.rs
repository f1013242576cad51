//! Reductions in the nest that makes their operand.
//!
//! A sum of floats has a fixed order (`prims::sums`), which the nest keeps: over the last axes in lanes and chunks, over
//! other axes in blocks. Sums of several chunks or blocks go to memory as parts, which a kernel combines by the
//! pairwise tree. A maximum or minimum beside them is made of the same parts. A product with a vector is a sum over last
//! axes, wherever they lie, of products that are added without rounding between.

use super::body::Scope;
use super::kernels::Typed;
use super::{Home, Nest, Operand, Order, Planner, Reducer, Reduction, Step, TileOp, Total};
use crate::codegen::fuse::members::Stage;
use crate::codegen::view::View;
use crate::ir::graph::{Op, Type, Var};
use dp_runtime::abi::{FoldBy, Kernel};
use dp_runtime::kernels::standard_strides;
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
    /// The equation that it is.
    pub eqn: usize,
    pub value: u32,
    /// What it is multiplied by, in a sum of products.
    pub times: Option<u32>,
    pub op: Op,
    pub out: Var,
    /// For each axis of the draft, the axis of the result that it is part of and how many places of that one of its own is;
    /// nothing for what is reduced.
    pub spread: Vec<Option<(usize, usize)>>,
    /// The number of its origin.
    pub number: u32,
}

impl Total {
    /// A sum of floats, whose order matters.
    pub fn is_ordered(&self) -> bool {
        self.by == Reducer::Sum && self.dtype.is_float()
    }
}

impl Reduction {
    /// True if sums of floats are among the totals: then all are made in their order and of their parts.
    pub fn is_ordered(&self) -> bool {
        self.totals.iter().any(Total::is_ordered)
    }
}

/// How a reduction combines elements.
fn reducer(op: &Op) -> Reducer {
    match op {
        Op::Sum { .. } | Op::Dot { .. } => Reducer::Sum,
        Op::Prod { .. } => Reducer::Fold(FoldBy::Product),
        Op::ReduceMax { .. } => Reducer::Fold(FoldBy::Max),
        Op::ReduceMin { .. } => Reducer::Fold(FoldBy::Min),
        Op::All { .. } => Reducer::Fold(FoldBy::All),
        Op::Any { .. } => Reducer::Fold(FoldBy::Any),
        other => unreachable!("`{}` is not a reduction", crate::prims::name(other)),
    }
}

/// True if the nest can reduce these axes itself: where neighbours on the reduced axes are combined in lanes, rows that
/// are not one piece must be a whole number of lanes long.
pub fn feasible(draft: &Draft, stage: &Stage, dtype: DType) -> bool {
    let views = draft.inputs.iter().map(|(_, view)| view).chain(draft.outputs.iter().map(|(_, _, view)| view));
    if stage.order == Order::Across {
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
        stage: &Stage,
        wanted: &[Wanted],
        steps: &mut Vec<Step>,
    ) {
        let kept: Vec<usize> = (0..draft.shape.len()).filter(|axis| !stage.axes.contains(axis)).collect();
        let kept_shape: Vec<usize> = kept.iter().map(|&axis| draft.shape[axis]).collect();
        let order = stage.order;
        let count: usize = stage.axes.iter().map(|&axis| draft.shape[axis]).product();
        let mut totals = Vec::new();
        // Kernels to call after the nest, of the parts.
        let mut later: Vec<(Kernel, Vec<Typed>, u32)> = Vec::new();
        for want in wanted {
            let by = reducer(&want.op);
            let parts = if stage.ordered { count.div_ceil(part_length(order)) } else { 1 };
            let (out, dtype) = self.total_out(scope, want, &draft, (&kept, &kept_shape), parts);
            let to = match out {
                Operand::View(view) => {
                    let stride =
                        |&axis: &usize| want.spread[axis].map_or(0, |(own, by)| view.strides[own] * by as isize);
                    Operand::View(View { strides: kept.iter().map(stride).collect(), ..view })
                }
                Operand::Out(reg) => Operand::Out(reg),
            };
            // What has no order is made of the same parts as the sums beside it.
            let mut total = Total { value: want.value, times: want.times, dtype, by, to, parts };
            if total.parts > 1 {
                let shape = [&kept_shape[..], &[total.parts]].concat();
                let place = self.buffer(&Type::new(dtype, &shape));
                let whole = std::mem::replace(&mut total.to, Operand::View(place.clone()));
                let operands = vec![(Operand::View(place), dtype, shape), (whole, dtype, kept_shape.clone())];
                let kernel = match by {
                    Reducer::Sum => Kernel::SumParts,
                    Reducer::Fold(by) => Kernel::Fold { kept: kept_shape.len(), by },
                };
                later.push((kernel, operands, want.number));
            }
            totals.push(total);
        }
        let nest = self.permuted(draft, &kept, &stage.axes, order, totals);
        self.push(steps, Step::Nest(nest));
        for (kernel, operands, number) in later {
            self.call(kernel, operands, number, steps);
        }
    }

    /// Where a total goes. It may lie where an operand is read that does not move along the reduced axes: all reads of a place
    /// come before its total.
    fn total_out(
        &mut self,
        scope: &mut Scope,
        want: &Wanted,
        draft: &Draft,
        (kept, kept_shape): (&[usize], &[usize]),
        parts: usize,
    ) -> (Operand, DType) {
        let ty = scope.graph.ty(want.out).clone();
        let standard = standard_strides(&ty.shape);
        let straight = |&axis: &usize| want.spread[axis].map_or(0, |(own, by)| standard[own] * by as isize);
        if ty.rank() == 0 || parts > 1 || kept.iter().map(straight).ne(standard_strides(kept_shape)) {
            let (out, dtype, _) = self.out(scope, want.out);
            return (out, dtype);
        }
        let still = |view: &View| (0..view.strides.len()).all(|axis| kept.contains(&axis) || view.strides[axis] == 0);
        let reads: Vec<View> = draft
            .inputs
            .iter()
            .map(|(_, view)| match still(view) {
                true => View { strides: kept.iter().map(|&axis| view.strides[axis]).collect(), ..view.clone() },
                false => view.clone(),
            })
            .chain(draft.outputs.iter().map(|(_, _, view)| View { strides: Vec::new(), ..view.clone() }))
            .collect();
        let place = scope.place_beside(self, want.out, kept_shape, &reads, true);
        scope.put(want.out, Home::Array(place.clone()));
        (Operand::View(place), ty.dtype)
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
