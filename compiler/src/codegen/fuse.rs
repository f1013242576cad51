//! Groups the equations of one Graph into units: runs of elementwise equations on the same elements, with reductions of
//! their values, which become one loop nest each, and single equations.
//!
//! A group stays open while later equations may join it, and is placed where it closes: before the first
//! equation that needs it. Open groups never depend on one another. Equations of a group may have different shapes, as long
//! as these name the same elements in row-major order; the group's shape has the axes of all. A product with a vector is a
//! reduction too. Reshapes and permutations of a group's values wait until somebody needs them in memory: those that only
//! members read are never made. What is cheap to make again (`expansion`) is made in each group that reads it. A reduction that only
//! another one reads is made inside of that one's nest (`inner`).

pub mod expansion;
pub mod inner;
pub mod members;
pub mod shapes;

use crate::ir::graph::{Eqn, Graph, Op, Var};
use dp_runtime::kernels::standard_strides;
use dp_runtime::tensor::DType;
use members::{Defs, Product, Stage, is_element, is_elementwise, parted, product, stage};
use std::collections::{HashMap, HashSet};

/// The most equations in one group: longer bodies run out of registers.
const GROUP: usize = 64;
/// The most groups open at once.
const OPEN: usize = 8;

/// What is planned and placed as one.
#[derive(Clone, PartialEq, Debug)]
pub enum Unit {
    Nest(Fused),
    Single(usize),
}

/// The members of a nest, in order: equations that make each element by itself, and reductions of their values by one stage.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Fused {
    pub eqns: Vec<usize>,
    /// Without axes of size 1; finer than the shapes of all members.
    pub shape: Vec<usize>,
    /// What is reduced, as axes of `shape`.
    pub stage: Option<Stage>,
    /// The products among the members.
    pub products: HashMap<usize, Product>,
    /// The elementwise values that the nest makes.
    pub made: HashSet<Var>,
    /// A nest inside, whose kept axes are the axes of this one, and which is done at each place. Nothing but its totals leaves it.
    pub inner: Option<Box<Fused>>,
    /// These totals.
    pub given: HashSet<Var>,
}

impl Fused {
    /// The nest and those inside, from the outermost on.
    pub fn levels(&self) -> impl Iterator<Item = &Fused> {
        std::iter::successors(Some(self), |fused| fused.inner.as_deref())
    }

    /// Gives the nest a finer shape.
    pub fn refine(&mut self, fine: Vec<usize>) {
        if self.shape == fine {
            return;
        }
        let parts = shapes::parts(&self.shape, &standard_strides(&self.shape), &fine);
        self.stage = self.stage.as_ref().map(|stage| stage.refined(&parts));
        if let Some(inner) = &mut self.inner {
            inner.refine_kept(&fine);
        }
        self.shape = fine;
    }

    /// Gives the kept axes of a reducing nest a finer shape.
    pub fn refine_kept(&mut self, fine: &[usize]) {
        let (mut shape, mut next) = (Vec::new(), fine.iter());
        for (axis, &size) in self.shape.iter().enumerate() {
            if self.reduces(axis) {
                shape.push(size);
                continue;
            }
            let mut left = size;
            while left > 1 {
                let part = *next.next().expect("the finer shape has the same elements");
                shape.push(part);
                left /= part;
            }
        }
        self.refine(shape);
    }

    /// True for a reduced axis.
    pub fn reduces(&self, axis: usize) -> bool {
        self.stage.as_ref().is_some_and(|stage| stage.axes.contains(&axis))
    }

    /// The value of the nest that operand `k` of member `i` is, if it is none in memory.
    pub fn inside(&self, graph: &Graph, defs: &Defs, i: usize, k: usize) -> Option<Var> {
        let eqn = &graph.eqns[i];
        match self.products.get(&i) {
            Some(product) => (k == product.full || product.square).then_some(product.value),
            None if matches!(eqn.op, Op::Dot { .. }) => None,
            None => defs.behind(graph, eqn.args[k], false, |v| self.made.contains(&v) || self.given.contains(&v)),
        }
    }
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

struct Open {
    fused: Fused,
    width: Width,
    /// The kind of floats that are summed.
    sums: Option<DType>,
    /// The kind of all reduced values, if it is one of floats and each reduction can be made part by part: then those
    /// that have no order go with sums.
    parted: Option<DType>,
}

impl Open {
    fn new(shape: &[usize]) -> Open {
        let fused = Fused { shape: shape.to_vec(), ..Fused::default() };
        Open { fused, width: Width::Any, sums: None, parted: None }
    }

    fn add(&mut self, graph: &Graph, i: usize) {
        let eqn = &graph.eqns[i];
        self.width = join(self.width, width(graph, eqn)).unwrap_or(Width::One);
        self.fused.eqns.push(i);
        if is_element(graph, eqn) {
            self.fused.made.insert(eqn.outs[0]);
        }
    }
}

/// The units of a Graph, in an order that respects all dependences.
pub fn units(graph: &Graph) -> Vec<Unit> {
    let defs = Defs::new(graph);
    let count = graph.types.len();
    let mut grouping = Grouping {
        graph,
        expansion: expansion::expansions(graph, &defs),
        defs,
        units: Vec::with_capacity(graph.eqns.len()),
        open: Vec::new(),
        owner: vec![None; count],
        waiting: vec![false; count],
        live: Vec::new(),
    };
    for (i, eqn) in graph.eqns.iter().enumerate() {
        if grouping.waits(eqn) || grouping.reduces(i, eqn) || grouping.element(i, eqn) {
            continue;
        }
        eqn.args.iter().for_each(|&arg| grouping.settle(arg));
        let unit = alone(graph, i).map_or(Unit::Single(i), Unit::Nest);
        grouping.units.push(unit);
    }
    graph.results.iter().for_each(|&result| grouping.settle(result));
    while let Some(&group) = grouping.live.first() {
        grouping.close(group);
    }
    inner::nested(graph, &grouping.defs, grouping.units)
}

/// The nest of a reduction of what is in memory, if the order of its elements is free.
fn alone(graph: &Graph, i: usize) -> Option<Fused> {
    let eqn = &graph.eqns[i];
    let ty = graph.ty(*eqn.args.first()?);
    if matches!(eqn.op, Op::Sum { .. }) || (parted(&eqn.op, ty).is_none() && ty.dtype.is_float()) {
        return None;
    }
    reduction(graph, i)
}

/// The nest of a single reduction.
fn reduction(graph: &Graph, i: usize) -> Option<Fused> {
    let eqn = &graph.eqns[i];
    let ty = graph.ty(*eqn.args.first()?);
    let own = stage(&eqn.op, ty)?;
    let shape = shapes::squeezed(&ty.shape);
    let stage = own.refined(&shapes::parts(&ty.shape, &standard_strides(&ty.shape), &shape));
    (!stage.axes.is_empty()).then(|| Fused { eqns: vec![i], shape, stage: Some(stage), ..Fused::default() })
}

struct Grouping<'g> {
    graph: &'g Graph,
    defs: Defs,
    expansion: Vec<bool>,
    units: Vec<Unit>,
    open: Vec<Option<Open>>,
    /// The group that computes a variable, the last one if there are several.
    owner: Vec<Option<usize>>,
    /// Views that are not placed yet.
    waiting: Vec<bool>,
    live: Vec<usize>,
}

impl Grouping<'_> {
    fn close(&mut self, group: usize) {
        if let Some(group) = self.open[group].take().filter(|group| !group.fused.eqns.is_empty()) {
            self.units.push(Unit::Nest(group.fused));
        }
        self.live.retain(|&g| g != group);
    }

    /// Places what makes a variable, so that it is in memory from here on.
    fn settle(&mut self, var: Var) {
        if std::mem::take(&mut self.waiting[var.0 as usize])
            && let Some(i) = self.defs.number(var)
        {
            self.settle(self.graph.eqns[i].args[0]);
            self.units.push(Unit::Single(i));
        } else if let Some(group) = self.owner[var.0 as usize] {
            self.close(group);
        }
    }

    /// The open group that makes a value element by element.
    fn maker(&self, var: Var) -> Option<usize> {
        let group = self.owner[var.0 as usize]?;
        self.open[group].as_ref()?.fused.made.contains(&var).then_some(group)
    }

    /// The open group in which a variable is a reshape of a value.
    fn inside(&self, var: Var) -> Option<usize> {
        let value = self.defs.behind(self.graph, var, false, |v| self.maker(v).is_some())?;
        self.maker(value)
    }

    /// The array that can be made again of which a variable is a reshape.
    fn again(&self, var: Var) -> Option<Var> {
        self.defs.behind(self.graph, var, false, |v| self.expansion[v.0 as usize])
    }

    /// Puts off a view of a value that need not be in memory.
    fn waits(&mut self, eqn: &Eqn) -> bool {
        if !matches!(eqn.op, Op::Reshape { .. } | Op::Permute { .. }) || self.graph.ty(eqn.outs[0]).rank() == 0 {
            return false;
        }
        let arg = eqn.args[0];
        let waits = self.waiting[arg.0 as usize] || self.expansion[arg.0 as usize] || self.maker(arg).is_some();
        self.waiting[eqn.outs[0].0 as usize] = waits;
        waits
    }

    /// A new group that takes shape.
    fn group(&mut self, shape: &[usize]) -> usize {
        if self.live.len() >= OPEN {
            self.close(self.live[0]);
        }
        self.open.push(Some(Open::new(shape)));
        self.live.push(self.open.len() - 1);
        self.open.len() - 1
    }

    /// Appends a member.
    fn add(&mut self, group: usize, i: usize) {
        if let Some(open) = &mut self.open[group] {
            open.add(self.graph, i);
        }
        for &out in &self.graph.eqns[i].outs {
            self.owner[out.0 as usize] = Some(group);
        }
    }

    /// Makes an array again in a group, if there is room.
    fn revive(&mut self, group: usize, root: Var) -> bool {
        let list = expansion::chain(self.graph, &self.defs, &self.expansion, root);
        let Some(open) = &mut self.open[group] else { return false };
        let new: Vec<usize> =
            list.into_iter().filter(|&i| !open.fused.made.contains(&self.graph.eqns[i].outs[0])).collect();
        let shape = new.iter().try_fold(open.fused.shape.clone(), |shape, &i| {
            shapes::refined(&shape, &shapes::squeezed(self.graph.shape(self.graph.eqns[i].outs[0])))
        });
        let fits = new.iter().try_fold(open.width, |w, &i| join(w, width(self.graph, &self.graph.eqns[i])));
        let (Some(shape), Some(_)) = (shape, fits) else { return false };
        if open.fused.eqns.len() + new.len() >= GROUP {
            return false;
        }
        open.fused.refine(shape);
        new.into_iter().for_each(|i| self.add(group, i));
        true
    }

    /// An equation that makes each element by itself: joins a group, or opens one.
    fn element(&mut self, i: usize, eqn: &Eqn) -> bool {
        let graph = self.graph;
        if !is_element(graph, eqn) {
            return false;
        }
        let own = shapes::squeezed(graph.shape(eqn.outs[0]));
        let bytes = width(graph, eqn);
        let outer = !is_elementwise(&eqn.op);
        let fine = |this: &Self, group: usize| -> Option<Vec<usize>> {
            let open = this.open[group].as_ref()?;
            let fits = open.fused.eqns.len() < GROUP && join(open.width, bytes).is_some();
            if fits { shapes::refined(&open.fused.shape, &own) } else { None }
        };
        let makers: Vec<Option<usize>> =
            eqn.args.iter().map(|&arg| if outer { None } else { self.inside(arg) }).collect();
        for (&arg, maker) in eqn.args.iter().zip(&makers) {
            if maker.is_none() && (outer || self.again(arg).is_none()) {
                self.settle(arg);
            }
        }
        let same = |this: &Self, group: usize| {
            this.open[group].as_ref().is_some_and(|open| open.fused.shape == own) && fine(this, group).is_some()
        };
        let target = makers.iter().flatten().copied().find(|&group| fine(self, group).is_some());
        let target = target.or_else(|| self.live.iter().copied().find(|&group| same(self, group)));
        // What other groups make has to be in memory before, unless it is made again.
        for (&arg, maker) in eqn.args.iter().zip(&makers) {
            if maker.is_some() && *maker != target && self.again(arg).is_none() {
                self.settle(arg);
            }
        }
        let target = match target {
            Some(group) => group,
            None => self.group(&own),
        };
        if let Some(fine) = fine(self, target)
            && let Some(open) = &mut self.open[target]
        {
            open.fused.refine(fine);
        }
        for (&arg, maker) in eqn.args.iter().zip(&makers) {
            if *maker == Some(target) || outer {
                continue;
            }
            if let Some(root) = self.again(arg)
                && !self.revive(target, root)
            {
                self.settle(arg);
            }
        }
        self.add(target, i);
        true
    }

    /// A reduction of a group's value, or of one that can be made again.
    fn reduces(&mut self, i: usize, eqn: &Eqn) -> bool {
        let graph = self.graph;
        let known = |this: &Self, v: Var| this.maker(v).is_some() || this.expansion[v.0 as usize];
        let found = product(graph, &self.defs, eqn, |v| known(self, v));
        let (value, shape, strides, own) = match (&found, eqn.args.first()) {
            (Some(product), _) => {
                let own = Stage { axes: vec![product.reduced], order: super::plan::Order::Along, ordered: true };
                (product.value, graph.shape(eqn.args[product.full]), product.strides.clone(), own)
            }
            (None, Some(&arg)) => {
                let Some(own) = stage(&eqn.op, graph.ty(arg)) else { return false };
                let Some(value) = self.defs.behind(graph, arg, false, |v| known(self, v)) else { return false };
                (value, graph.shape(arg), standard_strides(graph.shape(arg)), own)
            }
            (None, None) => return false,
        };
        let Some(walk) = shapes::row_major(shape, &strides) else { return false };
        let ty = graph.ty(eqn.args[0]);
        let sums = own.ordered.then_some(ty.dtype);
        let kind = parted(&eqn.op, ty);
        let fits = |open: &Open| -> Option<(Vec<usize>, Stage)> {
            let fine = shapes::refined(&open.fused.shape, &walk)?;
            let stage = own.refined(&shapes::parts(shape, &strides, &fine));
            let old = &open.fused.shape;
            let before =
                open.fused.stage.as_ref().map(|s| s.refined(&shapes::parts(old, &standard_strides(old), &fine)));
            let together = open.parted.is_some() && open.parted == kind;
            let agree = before.is_none_or(|other| {
                other.axes == stage.axes && other.order == stage.order && (other.ordered == stage.ordered || together)
            });
            let room = open.fused.eqns.len() < GROUP && (sums.is_none() || open.sums.is_none() || open.sums == sums);
            (agree && room && !stage.axes.is_empty()).then_some((fine, stage))
        };
        let mut group = self.maker(value);
        if group.is_none_or(|group| self.open[group].as_ref().is_none_or(|open| fits(open).is_none())) {
            if !self.expansion[value.0 as usize] {
                return false;
            }
            group = None;
        }
        // The vector is in memory before the nest.
        if let Some(product) = found.as_ref().filter(|product| !product.square) {
            let other = eqn.args[1 - product.full];
            let source = self.defs.behind(graph, other, true, |v| self.owner[v.0 as usize].is_some());
            if group.is_some() && source.and_then(|v| self.owner[v.0 as usize]) == group {
                return false;
            }
            self.settle(other);
        }
        let group = match group {
            Some(group) => group,
            None => {
                let group = self.group(&shapes::squeezed(graph.shape(value)));
                if !self.revive(group, value) {
                    return false;
                }
                group
            }
        };
        let Some(open) = &mut self.open[group] else { return false };
        let Some((fine, stage)) = fits(open) else { return false };
        open.fused.refine(fine);
        open.parted = if open.fused.stage.is_none() || open.parted == kind { kind } else { None };
        open.fused.stage = Some(match &open.fused.stage {
            Some(other) => stage.with(other),
            None => stage,
        });
        open.sums = open.sums.or(sums);
        if let Some(product) = found {
            open.fused.products.insert(i, product);
        }
        self.add(group, i);
        true
    }
}
