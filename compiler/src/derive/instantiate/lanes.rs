//! Several linear maps behind one role: they act as the one map that stacks their values. What a method has in the range of its map
//! stands once for each of them, in lanes; the adjoint is the sum of their adjoints, the norm the root of the sum of squares, and the
//! operator of the sum of functions of different parts acts on each part. Parikh and Boyd, Proximal Algorithms (2014), section 2.1.

use super::{Instance, Res};
use crate::derive::roles::Filled;
use crate::syntax::ast::{Expr, ExprKind};
use crate::syntax::walk::children;

impl Instance<'_, '_> {
    /// The terms behind each map: terms of one map go together if the operator of their sum is known. With several blocks all
    /// terms are taken together.
    pub(super) fn find_lanes(&mut self) -> Vec<Vec<usize>> {
        let parts = self.site.assigned.roles.iter().find_map(|(_, filled)| match filled {
            Filled::Mapped(_, parts) if !parts.is_empty() => Some(parts.clone()),
            _ => None,
        });
        let parts = parts.unwrap_or_default();
        if self.blocks() > 1 || parts.len() < 2 {
            return vec![parts];
        }
        let mut groups: Vec<(_, Vec<usize>)> = Vec::new();
        for i in parts {
            let part = self.site.parts[i].clone();
            let map = self.map_of(&part);
            match groups.iter_mut().find(|(known, _)| *known == map) {
                Some((_, group)) => group.push(i),
                None => groups.push((map, vec![i])),
            }
        }
        let mut lanes = Vec::new();
        for (_, group) in groups {
            match self.mapped_operator(&group) {
                Ok(_) => lanes.push(group),
                Err(_) => lanes.extend(group.into_iter().map(|i| vec![i])),
            }
        }
        lanes
    }

    /// There are several maps.
    pub(super) fn stacked(&self) -> bool {
        self.lanes.len() > 1
    }

    /// Whether an expression of the method stands once for each of several maps: it has their values in it, outside of their
    /// adjoint and of functions with one real.
    pub(super) fn is_stacked(&self, e: &Expr) -> bool {
        if !self.stacked() {
            return false;
        }
        match &e.kind {
            ExprKind::Name(name) => return self.in_lanes.contains(name),
            ExprKind::Previous(name) => return self.in_lanes.contains(&name.text),
            ExprKind::Call { func, .. } => match &func.kind {
                ExprKind::Name(function) if self.site.assigned.map(function).is_some() => return true,
                ExprKind::Name(function)
                    if self.site.assigned.get(function).is_some()
                        || matches!(&**function, "norm" | "norm1" | "sumsq" | "sum" | "opnorm" | "lipschitz") =>
                {
                    return false;
                }
                ExprKind::Call { func, .. } if matches!(&func.kind, ExprKind::Name(word) if &**word == "adjoint") => {
                    return false;
                }
                _ => {}
            },
            _ => {}
        }
        children(e).into_iter().any(|part| self.is_stacked(part))
    }

    /// How often a line stands: once for each map, or for each block.
    pub(super) fn width(&self, stacked: bool) -> usize {
        if stacked { self.lanes.len() } else { self.blocks() }
    }

    /// An expression in each block, or for each map.
    pub(super) fn at_all(&mut self, e: &Expr) -> Res<Vec<Expr>> {
        let width = self.width(self.is_stacked(e));
        (0..width).map(|at| self.expr(e, Some(at))).collect()
    }
}
