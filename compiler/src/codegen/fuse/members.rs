//! What can be part of a nest, and what its operands are.

use super::shapes;
use crate::codegen::plan::{Base, Order, last_axes};
use crate::codegen::view::View;
use crate::ir::graph::{Eqn, Graph, Op, Type, Var};
use crate::prims;
use dp_runtime::kernels::standard_strides;
use dp_runtime::tensor::DType;

/// What a nest can do of a reduction.
#[derive(Clone, PartialEq, Debug)]
pub struct Stage {
    /// The axes that the nest reduces, ascending.
    pub axes: Vec<usize>,
    /// In which order.
    pub order: Order,
    /// True if there are sums of floats, for which the order matters.
    pub ordered: bool,
}

impl Stage {
    /// The stage of two reductions over the same axes.
    pub fn with(self, other: &Stage) -> Stage {
        Stage { ordered: self.ordered || other.ordered, ..self }
    }

    /// The same with the axes of a finer shape: `parts` of the old one.
    pub fn refined(&self, parts: &[(usize, usize)]) -> Stage {
        let axes = (0..parts.len()).filter(|&axis| self.axes.contains(&parts[axis].0)).collect();
        Stage { axes, ..self.clone() }
    }
}

/// What a nest does of a reduction of an array of type `ty`, if it can. A sum of floats is over the last axes, or over none of the
/// last: `plan` makes two of a sum over both.
pub fn stage(op: &Op, ty: &Type) -> Option<Stage> {
    let ordered = matches!(op, Op::Sum { .. }) && ty.dtype.is_float();
    let axes = op.reduced_axes()?;
    if ty.is_empty() {
        return None;
    }
    let trailing = last_axes(axes, ty.rank());
    if ordered && trailing > 0 && trailing < axes.len() {
        return None;
    }
    let order = if trailing > 0 { Order::Along } else { Order::Across };
    Some(Stage { axes: axes.to_vec(), order, ordered })
}

/// The kind of floats that a reduction takes, if it can be made of parts (a product of floats is one chain).
pub fn parted(op: &Op, ty: &Type) -> Option<DType> {
    (ty.dtype.is_float() && !matches!(op, Op::Prod { .. })).then_some(ty.dtype)
}

/// A product with a vector, as a reduction of one operand's elements.
#[derive(Clone, PartialEq, Debug)]
pub struct Product {
    /// The operand that has an element for each term, and its axis over which is summed.
    pub full: usize,
    pub reduced: usize,
    /// The value of the nest that it is a view of.
    pub value: Var,
    /// The strides of the view in the row-major array of this value.
    pub strides: Vec<isize>,
    /// True if the other operand is the same view of the same value.
    pub square: bool,
}

impl Product {
    /// The axis of the other operand that goes with an axis of the full one.
    pub fn other_axis(&self, batch: usize, axis: usize) -> Option<usize> {
        if axis < batch {
            Some(axis)
        } else if axis == self.reduced {
            Some(if self.full == 0 { batch } else { batch + 1 })
        } else {
            None
        }
    }
}

/// The operands of a product with a vector that have an element for each term, with the axis over which is summed.
fn full_operands(graph: &Graph, eqn: &Eqn) -> Vec<(usize, usize)> {
    let Op::Dot { batch } = eqn.op else { return Vec::new() };
    let [a, b] = [0, 1].map(|k| graph.ty(eqn.args[k]));
    let (m, k, n) = (a.shape[batch], a.shape[batch + 1], b.shape[batch + 1]);
    if k < 2 || a.is_empty() || b.is_empty() {
        return Vec::new();
    }
    let (left, right) = ((0, batch + 1), (1, batch));
    match (m, n) {
        (1, 1) => vec![left, right],
        (_, 1) => vec![left],
        (1, _) => vec![right],
        _ => Vec::new(),
    }
}

/// A product with a vector as a reduction of a value that is `inside` a nest.
pub fn product(graph: &Graph, defs: &Defs, eqn: &Eqn, inside: impl Fn(Var) -> bool) -> Option<Product> {
    let Op::Dot { batch } = eqn.op else { return None };
    full_operands(graph, eqn).into_iter().find_map(|(full, reduced)| {
        let value = defs.behind(graph, eqn.args[full], true, &inside)?;
        let strides = defs.strides(graph, eqn.args[full], value)?;
        shapes::row_major(graph.shape(eqn.args[full]), &strides)?;
        let mut product = Product { full, reduced, value, strides, square: false };
        let other = eqn.args[1 - full];
        if defs.behind(graph, other, true, |v| v == value).is_some()
            && let Some(strides) = defs.strides(graph, other, value)
        {
            let shape = graph.shape(eqn.args[full]);
            product.square = (0..shape.len()).all(|axis| {
                let other = product.other_axis(batch, axis);
                shape[axis] == 1 || other.is_some_and(|other| strides[other] == product.strides[axis])
            });
        }
        Some(product)
    })
}

/// For each axis of a group, the axis of a reduction's result that it is part of, and how many places of that one of its own
/// is; nothing for what is reduced.
pub fn spread(graph: &Graph, eqn: &Eqn, product: Option<&Product>, shape: &[usize]) -> Vec<Option<(usize, usize)>> {
    if let Some(product) = product {
        let parts = shapes::parts(graph.shape(eqn.args[product.full]), &product.strides, shape);
        return parts.into_iter().map(|(axis, by)| (axis != product.reduced).then_some((axis, by))).collect();
    }
    let own = graph.shape(eqn.args[0]);
    let axes = eqn.op.reduced_axes().expect("a reduction over axes");
    let kept = |(axis, by): (usize, usize)| {
        let before = axes.iter().filter(|&&reduced| reduced < axis).count();
        (!axes.contains(&axis)).then_some((axis - before, by))
    };
    shapes::parts(own, &standard_strides(own), shape).into_iter().map(kept).collect()
}

/// True for operations that are fused: elementwise, and written as inline code (`FoldIn` is a kernel).
pub fn is_elementwise(op: &Op) -> bool {
    prims::is_elementwise(op) && !matches!(op, Op::FoldIn)
}

/// True for a matrix product that sums one term each: its elements are products of an element of each operand.
pub fn is_outer(graph: &Graph, eqn: &Eqn) -> bool {
    let Op::Dot { batch } = eqn.op else { return false };
    let (a, b) = (graph.shape(eqn.args[0]), graph.shape(eqn.args[1]));
    a[batch + 1] == 1 && a[batch] > 1 && b[batch + 1] > 1 && !graph.ty(eqn.outs[0]).is_empty()
}

/// True for equations that make each element of an array of rank at least 1 by itself.
pub fn is_element(graph: &Graph, eqn: &Eqn) -> bool {
    (is_elementwise(&eqn.op) && graph.ty(eqn.outs[0]).rank() > 0) || is_outer(graph, eqn)
}

/// True for operations whose result is a view of the first operand, or may be.
pub fn is_view(op: &Op) -> bool {
    matches!(op, Op::Broadcast { .. } | Op::Reshape { .. } | Op::Permute { .. } | Op::Slice { .. } | Op::Reverse { .. })
}

/// The equation that defines each variable.
pub struct Defs(Vec<Option<usize>>);

impl Defs {
    pub fn new(graph: &Graph) -> Defs {
        let mut list = vec![None; graph.types.len()];
        for (i, eqn) in graph.eqns.iter().enumerate() {
            for out in &eqn.outs {
                list[out.0 as usize] = Some(i);
            }
        }
        Defs(list)
    }

    /// The number of the equation.
    pub fn number(&self, var: Var) -> Option<usize> {
        self.0[var.0 as usize]
    }

    pub fn eqn<'g>(&self, graph: &'g Graph, var: Var) -> Option<&'g Eqn> {
        self.number(var).map(|i| &graph.eqns[i])
    }

    /// The first variable that is wanted among a variable, what it is a reshape of, and so on; with `turned`, also through
    /// permutations.
    pub fn behind(&self, graph: &Graph, var: Var, turned: bool, wanted: impl Fn(Var) -> bool) -> Option<Var> {
        let mut var = var;
        while !wanted(var) {
            match self.eqn(graph, var) {
                Some(Eqn { op: Op::Reshape { .. }, args, .. }) => var = args[0],
                Some(Eqn { op: Op::Permute { .. }, args, .. }) if turned => var = args[0],
                Some(_) | None => return None,
            }
        }
        Some(var)
    }

    /// The strides of a variable in the row-major array of one that is `behind` it, if it is a view of that.
    fn strides(&self, graph: &Graph, var: Var, root: Var) -> Option<Vec<isize>> {
        let standard = || View::standard(Base::Param(0), graph.shape(root));
        let mut list = Vec::new();
        let mut at = var;
        while at != root {
            let eqn = self.eqn(graph, at)?;
            list.push(eqn);
            at = eqn.args[0];
        }
        let view = list.iter().rev().try_fold(standard(), |view, eqn| match &eqn.op {
            Op::Reshape { shape } => view.reshape(graph.shape(eqn.args[0]), shape),
            Op::Permute { perm } => Some(view.permute(perm)),
            _ => None,
        })?;
        Some(view.strides)
    }
}
