//! Indices: `x[i, 2, a:b]` as a slice with an axis for each index of a comprehension, generators, comprehensions.

use super::{Axis, Bound, Lanes, Names, Read, Reader, Stuck};
use crate::derive::term::Ix;
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, Generator, Index};
use crate::types::dim::Poly;

impl Reader<'_> {
    pub(super) fn indexed(&mut self, names: &Names, base: &Expr, indices: &[Index]) -> Read {
        let base = self.whole(names, base)?;
        let Some(dims) = self.terms.shape(base).clone() else { return Err(Stuck) };
        let mut picks = Vec::new();
        // The axes that remain, of indices or (`None`) of the array itself.
        let mut axes: Vec<Option<Axis>> = Vec::new();
        for (i, dim) in dims.iter().enumerate() {
            let Some(extent) = dim.known().cloned() else { return Err(Stuck) };
            match indices.get(i) {
                None => {
                    picks.push(Ix::Range(Poly::constant(0), extent));
                    axes.push(None);
                }
                Some(Index::Range { start, end, step: None, .. }) => {
                    let start = start.as_ref().map_or(Some(Poly::constant(0)), |start| self.dim(names, start));
                    let end = end.as_ref().map_or(Some(extent), |end| self.dim(names, end));
                    let (Some(start), Some(end)) = (start, end) else { return Err(Stuck) };
                    picks.push(Ix::Range(start, end));
                    axes.push(None);
                }
                Some(Index::Range { .. }) => return Err(Stuck),
                Some(Index::At(at)) => {
                    if let Some((axis, offset)) = self.index_value(names, at) {
                        let (Ok(start), Ok(end)) =
                            (axis.start.add(&offset), axis.start.add(&offset).and_then(|s| s.add(&axis.extent)))
                        else {
                            return Err(Stuck);
                        };
                        if axes.iter().flatten().any(|known| known.index == axis.index) {
                            return Err(Stuck);
                        }
                        picks.push(Ix::Range(start, end));
                        axes.push(Some(axis));
                    } else {
                        let Some(at) = self.dim(names, at) else { return Err(Stuck) };
                        picks.push(Ix::At(at));
                    }
                }
            }
        }
        if indices.len() > dims.len() {
            return Err(Stuck);
        }
        let mut id = self.terms.index(base, picks);
        // Axes of indices lead.
        let first_own = axes.iter().position(Option::is_none).unwrap_or(axes.len());
        if axes[first_own..].iter().any(Option::is_some) {
            if axes.len() != 2 {
                return Err(Stuck);
            }
            id = self.terms.transpose(id);
            axes.swap(0, 1);
        }
        Ok(Lanes { id, axes: axes.into_iter().flatten().collect() })
    }

    /// `i`, `i + 1`, `i - k`: the axis and the offset.
    pub(super) fn index_value(&mut self, names: &Names, expr: &Expr) -> Option<(Axis, Poly)> {
        match &expr.kind {
            ExprKind::Name(name) => match names.0.get(name)? {
                Bound::Index(axis) => Some((axis.clone(), Poly::constant(0))),
                Bound::Term(_) | Bound::Function(_) => None,
            },
            ExprKind::Chain { first, rest } => {
                let (axis, mut offset) = self.index_value(names, first)?;
                for (op, operand) in rest {
                    let operand = self.dim(names, operand)?;
                    offset = match op {
                        BinaryOp::Add => offset.add(&operand).ok()?,
                        BinaryOp::Sub => offset.sub(&operand).ok()?,
                        _ => return None,
                    };
                }
                Some((axis, offset))
            }
            _ => None,
        }
    }

    pub(super) fn generators(&mut self, names: &Names, gens: &[Generator]) -> Result<(Names, Vec<Axis>), Stuck> {
        let mut inner = names.clone();
        let mut axes = Vec::new();
        for generator in gens {
            let start = generator.range.start.as_ref().map_or(Some(Poly::constant(0)), |start| self.dim(&inner, start));
            let end = self.dim(&inner, &generator.range.end);
            let (Some(start), Some(end)) = (start, end) else { return Err(Stuck) };
            let Ok(extent) = end.sub(&start) else { return Err(Stuck) };
            let axis = Axis { index: self.next_index, start, extent };
            self.next_index += 1;
            inner.0.insert(generator.name.text.clone(), Bound::Index(axis.clone()));
            axes.push(axis);
        }
        Ok((inner, axes))
    }

    pub(super) fn comprehension(&mut self, names: &Names, body: &Expr, gens: &[Generator]) -> Read {
        let (inner, axes) = self.generators(names, gens)?;
        let body = self.lanes(&inner, body)?;
        // Outer indices first, then those of this comprehension in its order.
        let own = |axis: &Axis| axes.contains(axis);
        let outer: Vec<Axis> = body.axes.iter().filter(|axis| !own(axis)).cloned().collect();
        let wanted: Vec<Axis> = outer.iter().chain(&axes).cloned().collect();
        if body.axes == wanted {
            return Ok(Lanes { id: body.id, axes: outer });
        }
        match (body.axes.as_slice(), wanted.as_slice()) {
            ([a, b], [c, d]) if a == d && b == c && self.terms.rank(body.id) == Some(2) => {
                Ok(Lanes { id: self.terms.transpose(body.id), axes: outer })
            }
            _ => Err(Stuck),
        }
    }
}
