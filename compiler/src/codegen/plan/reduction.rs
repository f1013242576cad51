//! Reductions in the nest that makes their operand.
//!
//! A sum of floats has a fixed order (`prims::sums`), which the nest keeps: over the last axes in lanes and chunks, over
//! other axes in blocks. Sums of several chunks or blocks go to memory as parts, which a kernel combines by the
//! pairwise tree. A maximum or minimum beside them is made of the same parts. A product with a vector is a sum over last
//! axes, wherever they lie, of products that are added without rounding between. What a nest inside makes goes from its totals to
//! the values of the nest around, at each place.

use super::body::Scope;
use super::kernels::Typed;
use super::{Base, Home, Nest, Operand, Order, Planner, Reducer, Reduction, STACK, Step, TileOp, Total};
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

/// A nest before its axes are collapsed. Its views have the axes of its shape.
pub struct Draft {
    pub shape: Vec<usize>,
    pub inputs: Vec<(DType, View)>,
    pub ops: Vec<TileOp>,
    pub outputs: Vec<(u32, DType, View)>,
    pub lanes: u32,
    pub inner: Option<Box<Inner>>,
}

/// The nest inside another one: the other one's axes come first, then the reduced ones.
pub struct Inner {
    pub draft: Draft,
    /// With their variables.
    pub totals: Vec<(Var, Total)>,
}

impl Draft {
    /// The drafts of all levels, from the outermost on.
    fn levels(&self) -> impl Iterator<Item = &Draft> {
        std::iter::successors(Some(self), |draft| draft.inner.as_ref().map(|inner| &inner.draft))
    }

    /// What all levels read.
    pub fn reads(&self) -> impl Iterator<Item = &View> {
        self.levels().flat_map(|draft| draft.inputs.iter().map(|(_, view)| view))
    }

    /// The views of all levels, each with its level.
    fn views_mut(&mut self) -> Vec<(usize, &mut View)> {
        let (mut list, mut draft, mut level) = (Vec::new(), self, 0);
        loop {
            list.extend(draft.inputs.iter_mut().map(|(_, view)| (level, view)));
            list.extend(draft.outputs.iter_mut().map(|(_, _, view)| (level, view)));
            match &mut draft.inner {
                Some(inner) => draft = &mut inner.draft,
                None => return list,
            }
            level += 1;
        }
    }

    /// Puts the axes in another order, also for the nest inside, whose own follow.
    pub fn arrange(&mut self, order: &[usize]) {
        fn pick<T: Copy>(list: &[T], order: &[usize]) -> Vec<T> {
            order.iter().map(|&axis| list[axis]).chain(list[order.len()..].iter().copied()).collect()
        }
        self.views_mut().into_iter().for_each(|(_, view)| view.strides = pick(&view.strides, order));
        let mut draft = Some(self);
        while let Some(level) = draft {
            level.shape = pick(&level.shape, order);
            draft = level.inner.as_mut().map(|inner| &mut inner.draft);
        }
    }
}

/// A reduction of one of a draft's values.
pub struct Wanted {
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
        let mut used = 0;
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
                let place = self.parts(&Type::new(dtype, &shape), &mut used);
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
        let nest = arranged(draft, &kept, &stage.axes, order, totals);
        self.push(steps, Step::Nest(nest));
        for (kernel, operands, number) in later {
            self.call(kernel, operands, number, steps);
        }
    }

    /// A place for the parts of a total: on the stack, of which some bytes are used, if there is room.
    fn parts(&mut self, ty: &Type, used: &mut usize) -> View {
        let start = used.next_multiple_of(ty.dtype.size());
        let end = start + ty.len() * ty.dtype.size();
        if end > STACK {
            return self.buffer(ty);
        }
        *used = end;
        View { offset: (start / ty.dtype.size()) as isize, ..View::standard(Base::Stack, &ty.shape) }
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
            .reads()
            .map(|view| match still(view) {
                true => View { strides: kept.iter().map(|&axis| view.strides[axis]).collect(), ..view.clone() },
                false => view.clone(),
            })
            .chain(draft.outputs.iter().map(|(_, _, view)| View { strides: Vec::new(), ..view.clone() }))
            .collect();
        let place = scope.place_beside(self, want.out, kept_shape, &reads, true);
        scope.put(want.out, Home::Array(place.clone()));
        (Operand::View(place), ty.dtype)
    }

    /// A total that stays in registers, of one part.
    pub fn total(&mut self, scope: &Scope, want: &Wanted) -> Total {
        let dtype = scope.graph.ty(want.out).dtype;
        let to = Operand::Out(self.reg(dtype));
        Total { value: want.value, times: want.times, dtype, by: reducer(&want.op), to, parts: 1 }
    }
}

/// The nest of a draft with the kept axes first, each group of axes collapsed: the kept ones, the reduced ones, and those of each
/// level inside.
fn arranged(mut draft: Draft, kept: &[usize], reduced: &[usize], order: Order, mut totals: Vec<Total>) -> Nest {
    draft.arrange(&[kept, reduced].concat());
    let whole = draft.levels().last().map(|draft| draft.shape.clone()).unwrap_or_default();
    let ends: Vec<usize> = std::iter::once(kept.len()).chain(draft.levels().map(|draft| draft.shape.len())).collect();
    let mut shapes: Vec<Vec<usize>> = Vec::new();
    // The views of a level have all groups up to that of its own; totals have the kept axes, and one for parts.
    let mut views: Vec<(usize, &mut View)> = Vec::new();
    for total in &mut totals {
        if let Operand::View(view) = &mut total.to {
            views.push((0, view));
        }
    }
    views.extend(draft.views_mut().into_iter().map(|(level, view)| (level + 1, view)));
    let mut strides: Vec<Vec<isize>> = vec![Vec::new(); views.len()];
    for (group, &end) in ends.iter().enumerate() {
        let axes = if group == 0 { 0..end } else { ends[group - 1]..end };
        let with: Vec<usize> = (0..views.len()).filter(|&k| views[k].0 >= group).collect();
        let own: Vec<&[isize]> = with.iter().map(|&k| &views[k].1.strides[axes.clone()]).collect();
        let (shape, found) = collapse(&whole[axes], &own);
        with.iter().zip(found).for_each(|(&k, list)| strides[k].extend(list));
        shapes.push(shape);
    }
    for ((group, view), list) in views.into_iter().zip(strides) {
        let rest = if group == 0 { view.strides.split_off(kept.len()) } else { Vec::new() };
        view.strides = [list, rest].concat();
    }
    let reduction = Reduction { kept: shapes[0].len(), order, totals };
    level(draft, &shapes, 2, reduction)
}

/// The nest of a draft whose axes are the first groups.
fn level(draft: Draft, shapes: &[Vec<usize>], groups: usize, reduction: Reduction) -> Nest {
    let shape = shapes[..groups].concat();
    let inner = draft.inner.map(|inner| {
        let totals = inner.totals.into_iter().map(|(_, total)| total).collect();
        let reduction = Reduction { kept: shape.len(), order: Order::Along, totals };
        Box::new(level(inner.draft, shapes, groups + 1, reduction))
    });
    let inputs = draft.inputs.into_iter().map(|(dtype, view)| super::Input { dtype, view }).collect();
    Nest {
        shape,
        inputs,
        ops: draft.ops,
        outputs: draft.outputs,
        lanes: draft.lanes,
        reduction: Some(reduction),
        inner,
    }
}
