//! Loop nests: the members of a group as operations on the elements at one place, collapsing axes, dropping what is empty.

use super::body::Scope;
use super::reduction::{Draft, Inner, Wanted};
use super::{Home, Input, Nest, Planner, Step, TileOp, as_view};
use crate::codegen::fuse::members::{is_element, is_outer, spread};
use crate::codegen::fuse::{self, Fused, shapes};
use crate::codegen::view::View;
use crate::ir::graph::{Op, Var};
use dp_runtime::kernels::walk::collapse;
use dp_runtime::tensor::DType;
use std::collections::HashMap;
use std::mem::discriminant;

/// The members of a group as operations, with the numbers of their values.
struct Members {
    draft: Draft,
    wanted: Vec<Wanted>,
    number: HashMap<Var, u32>,
}

impl Planner {
    /// The nest of a group, with the kernels that finish its reductions.
    pub fn nest(&mut self, scope: &mut Scope, fused: &Fused, steps: &mut Vec<Step>) {
        let (graph, shape) = (scope.graph, &fused.shape);
        let Members { mut draft, wanted, number } = self.members(scope, fused);
        let views: Vec<View> = draft.reads().cloned().collect();
        for &i in &fused.eqns {
            let out = graph.eqns[i].outs[0];
            if is_element(graph, &graph.eqns[i]) && scope.lacks(out) {
                let place = scope.place_beside(self, out, shape, &views, true);
                scope.put(out, Home::Array(place.clone()));
                draft.outputs.push((number[&out], graph.ty(out).dtype, walked(&place, graph.shape(out), shape)));
            }
        }
        let Some(stage) = &fused.stage else {
            return self.push_nest(draft, steps);
        };
        self.reducing_nest(scope, draft, stage, &wanted, steps);
    }

    /// The members of a group and of those inside, with what they read from memory.
    fn members(&mut self, scope: &Scope, fused: &Fused) -> Members {
        let (graph, shape) = (scope.graph, &fused.shape);
        let mut inputs: Vec<(DType, View)> = Vec::new();
        // Values of the nest, and operands in memory: by variable where members see them in the same way.
        let mut number: HashMap<Var, u32> = HashMap::new();
        let mut loaded: HashMap<(Var, Option<usize>), u32> = HashMap::new();
        let key = |i: usize, k: usize| {
            let own = matches!(graph.eqns[i].op, Op::Dot { .. });
            (graph.eqns[i].args[k], own.then_some(2 * i + k))
        };
        for &i in &fused.eqns {
            let eqn = &graph.eqns[i];
            for (k, &arg) in eqn.args.iter().enumerate() {
                if fused.inside(graph, &scope.defs, i, k).is_none() && !loaded.contains_key(&key(i, k)) {
                    let input = (graph.ty(arg).dtype, read(scope, fused, i, k));
                    let known = inputs.iter().position(|other| *other == input);
                    loaded.insert(key(i, k), known.unwrap_or(inputs.len()) as u32);
                    if known.is_none() {
                        inputs.push(input);
                    }
                }
            }
        }
        let inner = fused.inner.as_deref().map(|inner| self.inner(scope, inner));
        let mut count = inputs.len();
        for &(total, _) in inner.iter().flat_map(|inner| &inner.totals) {
            number.insert(total, count as u32);
            count += 1;
        }
        let mut ops: Vec<TileOp> = Vec::new();
        let mut width = fuse::Width::Any;
        let mut wanted = Vec::new();
        for &i in &fused.eqns {
            let eqn = &graph.eqns[i];
            let origin = self.origin(eqn, None);
            let value = |number: &HashMap<Var, u32>, k: usize| match fused.inside(graph, &scope.defs, i, k) {
                Some(value) => number[&value],
                None => loaded[&key(i, k)],
            };
            width = match (width, fuse::width(graph, eqn)) {
                (fuse::Width::Any, other) | (other, fuse::Width::Any) => other,
                (a, b) if a == b => a,
                _ => fuse::Width::One,
            };
            if !is_element(graph, eqn) {
                let product = fused.products.get(&i);
                let full = product.map_or(0, |product| product.full);
                wanted.push(Wanted {
                    value: value(&number, full),
                    times: product.map(|_| value(&number, 1 - full)),
                    op: eqn.op.clone(),
                    out: eqn.outs[0],
                    spread: spread(graph, eqn, product, shape),
                    number: origin,
                });
                continue;
            }
            let mut args: Vec<u32> = (0..eqn.args.len()).map(|k| value(&number, k)).collect();
            if matches!(eqn.op, Op::Add | Op::Mul | Op::MulZ) {
                args.sort_unstable();
            }
            // Axes of size 1 hide that members do the same.
            let dtype = graph.ty(eqn.outs[0]).dtype;
            let kind = discriminant(&eqn.op);
            let same = |other: &TileOp| discriminant(&other.op) == kind && other.args == args && other.dtype == dtype;
            let known = ops.iter().position(same).filter(|_| !matches!(eqn.op, Op::Polygamma { .. }));
            number.insert(eqn.outs[0], (count + known.unwrap_or(ops.len())) as u32);
            if known.is_none() {
                let from = eqn.args.iter().map(|&a| graph.ty(a).dtype).collect();
                ops.push(TileOp { op: eqn.op.clone(), args, from, dtype, eqn: origin });
            }
        }
        let lanes = match width {
            fuse::Width::Any | fuse::Width::Bytes4 => 4,
            fuse::Width::Bytes8 => 2,
            fuse::Width::One => 1,
        };
        let inner = inner.map(Box::new);
        Members {
            draft: Draft { shape: shape.clone(), inputs, ops, outputs: Vec::new(), lanes, inner },
            wanted,
            number,
        }
    }

    /// The nest inside another one: its kept axes first, its totals in registers.
    fn inner(&mut self, scope: &Scope, fused: &Fused) -> Inner {
        let Members { mut draft, wanted, .. } = self.members(scope, fused);
        let (reduced, kept): (Vec<usize>, Vec<usize>) = (0..fused.shape.len()).partition(|&axis| fused.reduces(axis));
        draft.arrange(&[kept, reduced].concat());
        let totals = wanted.iter().map(|want| (want.out, self.total(scope, want))).collect();
        Inner { draft, totals }
    }

    /// Appends a nest that reduces nothing.
    pub fn push_nest(&mut self, draft: Draft, steps: &mut Vec<Step>) {
        let Draft { shape, inputs, ops, outputs, lanes, .. } = draft;
        if shape.contains(&0) || outputs.is_empty() {
            return;
        }
        let all: Vec<&[isize]> = inputs
            .iter()
            .map(|(_, v)| v.strides.as_slice())
            .chain(outputs.iter().map(|(_, _, v)| v.strides.as_slice()))
            .collect();
        let (shape, strides) = collapse(&shape, &all);
        let mut strides = strides.into_iter();
        let mut next = |view: View| View { strides: strides.next().unwrap_or_default(), ..view };
        let inputs = inputs.into_iter().map(|(dtype, view)| Input { dtype, view: next(view) }).collect();
        let outputs = outputs.into_iter().map(|(value, dtype, view)| (value, dtype, next(view))).collect();
        self.push(steps, Step::Nest(Nest { shape, inputs, ops, outputs, lanes, reduction: None, inner: None }));
    }
}

/// A view of an array of shape `own` with the axes of a group.
fn walked(view: &View, own: &[usize], shape: &[usize]) -> View {
    view.reshape(own, shape).expect("an axis can always be cut in several")
}

/// How a group's nest reads operand `k` of member `i` from memory.
fn read(scope: &Scope, fused: &Fused, i: usize, k: usize) -> View {
    let (graph, shape) = (scope.graph, &fused.shape);
    let eqn = &graph.eqns[i];
    let view = as_view(scope.home(eqn.args[k]), graph.ty(eqn.args[k]).rank());
    let Op::Dot { batch } = eqn.op else {
        return walked(&view, graph.shape(eqn.args[k]), shape);
    };
    if is_outer(graph, eqn) {
        // One column, or one row, everywhere.
        let mut strides = view.strides.clone();
        strides[if k == 0 { batch + 1 } else { batch }] = 0;
        return walked(&View { strides, ..view }, graph.shape(eqn.outs[0]), shape);
    }
    let product = &fused.products[&i];
    let full = graph.shape(eqn.args[product.full]);
    let stride = |(axis, factor): (usize, usize)| {
        product.other_axis(batch, axis).map_or(0, |other| view.strides[other] * factor as isize)
    };
    let strides = shapes::parts(full, &product.strides, shape).into_iter().map(stride).collect();
    View { strides, ..view }
}
