//! Cotangents as sums of contributions that are not yet summed.

use crate::ir::builder::Builder;
use crate::ir::graph::{Op, Type, Var};
use std::collections::HashMap;

/// One contribution to a cotangent.
#[derive(Clone, Debug)]
pub enum Part {
    /// An array of the variable's type.
    Whole(Var),
    /// `a' b` for `a: [B..., R, K]`, `b: [B..., R, N]`: a sum of R outer products.
    Outer { batch: usize, a: Var, b: Var },
    /// `u` added at indices, as in `Op::ScatterAdd`.
    Scatter { u: Var, indices: Vec<Var> },
    /// `u` from `start` on along `axis`, zeros elsewhere.
    Slice { u: Var, axis: usize, start: usize },
}

/// The contributions so far to the cotangent of each variable.
#[derive(Default)]
pub struct Cotangents {
    parts: HashMap<Var, Vec<Part>>,
}

impl Cotangents {
    pub fn add(&mut self, var: Var, ct: Var) {
        self.add_part(var, Part::Whole(ct));
    }

    pub fn add_part(&mut self, var: Var, part: Part) {
        self.parts.entry(var).or_default().push(part);
    }

    /// The whole cotangent, or `None` for a structural zero. Forgets it.
    pub fn take(&mut self, b: &mut Builder, var: Var, ty: &Type) -> Option<Var> {
        let parts = self.take_parts(var);
        sum_parts(b, parts, ty)
    }

    pub fn take_parts(&mut self, var: Var) -> Vec<Part> {
        self.parts.remove(&var).unwrap_or_default()
    }

    /// What is there but outer products, which stay.
    pub fn take_all_but_outer(&mut self, b: &mut Builder, var: Var, ty: &Type) -> Option<Var> {
        let (outer, rest): (Vec<Part>, Vec<Part>) =
            self.take_parts(var).into_iter().partition(|part| matches!(part, Part::Outer { .. }));
        if !outer.is_empty() {
            self.parts.insert(var, outer);
        }
        sum_parts(b, rest, ty)
    }
}

/// The sum of contributions; scatters go into the sum of the others.
pub fn sum_parts(b: &mut Builder, parts: Vec<Part>, ty: &Type) -> Option<Var> {
    let mut total: Option<Var> = None;
    let mut scatters = Vec::new();
    let mut slices = Vec::new();
    for part in parts {
        let term = match part {
            Part::Whole(var) => var,
            Part::Outer { batch, a, b: right } => {
                let left = transposed(b, a);
                b.op(Op::Dot { batch }, &[left, right])
            }
            Part::Scatter { u, indices } => {
                scatters.push((u, indices));
                continue;
            }
            Part::Slice { u, axis, start } => {
                slices.push((axis, start, u));
                continue;
            }
        };
        total = Some(match total {
            Some(total) => b.add(total, term),
            None => term,
        });
    }
    for term in joined(b, slices, ty) {
        total = Some(match total {
            Some(total) => b.add(total, term),
            None => term,
        });
    }
    for (u, indices) in scatters {
        let running = match total {
            Some(total) => total,
            None => b.zeros(ty),
        };
        let mut operands = vec![running, u];
        operands.extend(indices);
        total = Some(b.op(Op::ScatterAdd, &operands));
    }
    total
}

/// Slices as whole arrays: those that do not overlap are joined to one, so that n slices cost one array, not n.
fn joined(b: &mut Builder, mut slices: Vec<(usize, usize, Var)>, ty: &Type) -> Vec<Var> {
    slices.sort_by_key(|&(axis, start, _)| (axis, start));
    // Layers: an axis, where the last piece ends, and the pieces.
    let mut layers: Vec<(usize, usize, Vec<(usize, Var)>)> = Vec::new();
    for (axis, start, u) in slices {
        let end = start + b.shape(u)[axis];
        match layers.iter_mut().find(|layer| layer.0 == axis && layer.1 <= start) {
            Some(layer) => {
                layer.1 = end;
                layer.2.push((start, u));
            }
            None => layers.push((axis, end, vec![(start, u)])),
        }
    }
    let mut whole = Vec::new();
    for (axis, end, pieces) in layers {
        let first = pieces[0].0;
        let mut at = first;
        let mut parts = Vec::new();
        for (start, u) in pieces {
            if start > at {
                let mut shape = ty.shape.clone();
                shape[axis] = start - at;
                parts.push(b.zeros(&Type::new(ty.dtype, &shape)));
            }
            at = start + b.shape(u)[axis];
            parts.push(u);
        }
        let row = if parts.len() == 1 { parts[0] } else { b.op(Op::Concat { axis }, &parts) };
        if (first, end) == (0, ty.shape[axis]) {
            whole.push(row);
            continue;
        }
        let mut low = vec![0; ty.rank()];
        let mut high = low.clone();
        (low[axis], high[axis]) = (first, ty.shape[axis] - end);
        whole.push(b.op(Op::Pad { low, high, interior: vec![0; ty.rank()] }, &[row]));
    }
    whole
}

/// Swaps the last two axes, undoing an earlier swap where there was one.
pub fn transposed(b: &mut Builder, x: Var) -> Var {
    let shape = b.shape(x).to_vec();
    let rank = shape.len();
    let mut swapped = shape.clone();
    swapped.swap(rank - 2, rank - 1);
    if let Some(eqn) = b.graph.eqns.iter().rev().take(16).find(|eqn| eqn.outs.contains(&x)) {
        let undoes = match &eqn.op {
            Op::Permute { perm } => {
                let mut swap: Vec<usize> = (0..rank).collect();
                swap.swap(rank - 2, rank - 1);
                *perm == swap
            }
            Op::Reshape { .. } => b.shape(eqn.args[0]) == swapped && (shape[rank - 2] == 1 || shape[rank - 1] == 1),
            _ => false,
        };
        if undoes {
            return eqn.args[0];
        }
    }
    if shape[rank - 2] == 1 || shape[rank - 1] == 1 {
        return b.reshape(x, &swapped);
    }
    b.transpose_last(x)
}
