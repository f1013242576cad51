//! Reductions of reductions: the nest of one inside the nest of the other, so that the array between is never in memory.
//!
//! A nest goes inside the one that reads its totals if nobody else reads anything of it, if each total is read at one place only,
//! and if these are made one chunk each. Orders stay as they are: the inner elements are combined as they would be in a nest of
//! their own, and so are the outer ones.

use super::members::{Defs, is_elementwise, spread};
use super::{Fused, Unit, reduction, shapes};
use crate::codegen::plan::Order;
use crate::codegen::plan::pieces::{LARGE, weight};
use crate::codegen::plan::reduction::part_length;
use crate::ir::graph::{Graph, Op, Var};
use dp_runtime::kernels::{SUM_CHUNK, standard_strides};

/// The same units with nests inside others where that can be.
pub fn nested(graph: &Graph, defs: &Defs, units: Vec<Unit>) -> Vec<Unit> {
    let mut nesting = Nesting::new(graph, defs, units);
    for unit in 0..nesting.units.len() {
        while nesting.takes_one(unit) {}
    }
    nesting.units.into_iter().flatten().collect()
}

struct Nesting<'g> {
    graph: &'g Graph,
    defs: &'g Defs,
    /// Nothing for those that are inside others, and for views that only these read.
    units: Vec<Option<Unit>>,
    /// For each equation, the units that it is part of.
    homes: Vec<Vec<usize>>,
    /// For each variable, the equations that read it; for results also `usize::MAX`.
    readers: Vec<Vec<usize>>,
}

impl<'g> Nesting<'g> {
    fn new(graph: &'g Graph, defs: &'g Defs, units: Vec<Unit>) -> Nesting<'g> {
        let mut homes = vec![Vec::new(); graph.eqns.len()];
        for (number, unit) in units.iter().enumerate() {
            match unit {
                Unit::Nest(fused) => fused.eqns.iter().for_each(|&i| homes[i].push(number)),
                Unit::Single(i) => homes[*i].push(number),
            }
        }
        let mut readers = vec![Vec::new(); graph.types.len()];
        for (i, eqn) in graph.eqns.iter().enumerate() {
            eqn.args.iter().for_each(|arg| readers[arg.0 as usize].push(i));
        }
        graph.results.iter().for_each(|result| readers[result.0 as usize].push(usize::MAX));
        Nesting { graph, defs, units: units.into_iter().map(Some).collect(), homes, readers }
    }

    /// Moves a nest into a unit that reduces what it gives; false if there is none.
    fn takes_one(&mut self, unit: usize) -> bool {
        let (graph, defs) = (self.graph, self.defs);
        let outer = match &self.units[unit] {
            Some(Unit::Nest(fused)) if fused.stage.is_some() && fused.inner.is_none() => fused.clone(),
            Some(Unit::Single(i)) => match reduction(graph, *i) {
                Some(fused) if fused.stage.as_ref().is_some_and(|stage| !stage.axes.is_empty()) => fused,
                Some(_) | None => return false,
            },
            Some(Unit::Nest(_)) | None => return false,
        };
        let mut sources = Vec::new();
        for &i in &outer.eqns {
            for (k, &arg) in graph.eqns[i].args.iter().enumerate() {
                let total = |v: Var| defs.number(v).is_some_and(|at| self.is_total(at));
                if outer.inside(graph, defs, i, k).is_none()
                    && let Some(v) = defs.behind(graph, arg, false, total)
                    && let Some(&[source]) = defs.number(v).map(|at| self.homes[at].as_slice())
                {
                    sources.push(source);
                }
            }
        }
        let found = sources.into_iter().find_map(|source| Some((source, self.with_inner(&outer, unit, source)?)));
        let Some((source, (fused, views))) = found else { return false };
        for fused in fused.levels() {
            fused.eqns.iter().for_each(|&i| self.homes[i] = vec![unit]);
        }
        views.into_iter().flat_map(|i| self.homes[i].clone()).for_each(|view| self.units[view] = None);
        self.units[source] = None;
        self.units[unit] = Some(Unit::Nest(fused));
        true
    }

    /// True if an equation is a reduction in a nest.
    fn is_total(&self, i: usize) -> bool {
        self.homes[i].iter().any(|&unit| match &self.units[unit] {
            Some(Unit::Nest(fused)) => fused.stage.is_some() && !fused.made.contains(&self.graph.eqns[i].outs[0]),
            Some(Unit::Single(_)) | None => false,
        })
    }

    /// The nest with the one of unit `source` inside, and the views between them.
    fn with_inner(&self, outer: &Fused, unit: usize, source: usize) -> Option<(Fused, Vec<usize>)> {
        let graph = self.graph;
        let Some(Unit::Nest(inner)) = &self.units[source] else { return None };
        let stage = inner.stage.as_ref().filter(|stage| stage.order == Order::Along)?;
        let reduced: Vec<usize> = stage.axes.iter().map(|&axis| inner.shape[axis]).collect();
        let kept: Vec<usize> = (0..inner.shape.len()).filter(|axis| !stage.axes.contains(axis)).collect();
        let kept_shape: Vec<usize> = kept.iter().map(|&axis| inner.shape[axis]).collect();
        if kept.is_empty() || reduced.iter().product::<usize>() > SUM_CHUNK || source >= unit {
            return None;
        }
        let (mut views, mut given) = (Vec::new(), Vec::new());
        for &i in &inner.eqns {
            let eqn = &graph.eqns[i];
            let out = eqn.outs[0];
            if matches!(eqn.op, Op::IntDiv | Op::Mod) {
                return None;
            }
            if inner.made.contains(&out) {
                if !self.is_private(out, source) {
                    return None;
                }
                continue;
            }
            // The places of the total follow one another like those of the nest.
            let standard = standard_strides(graph.shape(out));
            let axes = spread(graph, eqn, inner.products.get(&i), &inner.shape);
            let strides = kept.iter().map(|&axis| axes[axis].map_or(0, |(own, by)| standard[own] * by as isize));
            if !graph.ty(out).dtype.is_float() || strides.ne(standard_strides(&kept_shape)) {
                return None;
            }
            self.goes_to(out, unit, outer, &mut views)?;
            given.push(out);
        }
        let mut fused = outer.clone();
        fused.refine(shapes::refined(&kept_shape, &outer.shape)?);
        let mut inner = inner.clone();
        inner.refine_kept(&fused.shape);
        if loses_threads(graph, &fused, &inner) {
            return None;
        }
        fused.given.extend(given);
        fused.inner = Some(Box::new(inner));
        Some((fused, views))
    }

    /// True if nothing outside of a nest reads a value that it makes.
    fn is_private(&self, made: Var, unit: usize) -> bool {
        self.readers[made.0 as usize].iter().all(|&i| {
            let Some(homes) = self.homes.get(i) else { return false };
            let makes = |&home: &usize| match &self.units[home] {
                Some(Unit::Nest(fused)) => fused.made.contains(&made),
                Some(Unit::Single(_)) | None => false,
            };
            // A view that is in no unit is read by members of nests only.
            match homes.as_slice() {
                [] => self.graph.eqns[i].outs.iter().all(|&out| self.is_private(out, unit)),
                homes => homes.iter().all(|home| *home == unit || makes(home)),
            }
        })
    }

    /// Notes the views through which a total is read; nothing if another unit reads it, or one of its places is read at several.
    fn goes_to(&self, total: Var, unit: usize, outer: &Fused, views: &mut Vec<usize>) -> Option<()> {
        for &i in &self.readers[total.0 as usize] {
            let eqn = self.graph.eqns.get(i)?;
            if matches!(eqn.op, Op::Reshape { .. }) && !outer.eqns.contains(&i) {
                views.push(i);
                self.goes_to(eqn.outs[0], unit, outer, views)?;
            } else if self.homes[i] != [unit] || !(is_elementwise(&eqn.op) || eqn.op.reduced_axes().is_some()) {
                return None;
            }
        }
        Some(())
    }
}

/// True if the inner nest alone would be dealt out to threads, and the whole is not.
fn loses_threads(graph: &Graph, outer: &Fused, inner: &Fused) -> bool {
    let work: usize = inner.eqns.iter().map(|&i| weight(&graph.eqns[i].op)).sum::<usize>() + 2;
    let places = outer.shape.iter().product::<usize>();
    let Some(stage) =
        outer.stage.as_ref().filter(|_| inner.shape.iter().product::<usize>().saturating_mul(work) >= LARGE)
    else {
        return false;
    };
    let reduced: usize = stage.axes.iter().map(|&axis| outer.shape[axis]).product();
    let spread = match stage.order {
        Order::Along => places / reduced,
        Order::Across => 1,
    };
    spread < 2 && !(stage.ordered && reduced >= 2 * part_length(stage.order))
}
