//! Plans one instance of a Graph: the whole program, or the body of a loop or branch.
//!
//! Memory is reused in three ways. A value whose place is already decided (a result, a row of a stack, a
//! carry's next value) is written there at once if nothing alive lies there. A nest may write over an operand that it
//! is the last to read, element by element. `scatter_add` and `update` work on their operand itself if they are
//! the last to read it. In all cases `tenants` says which values lie in a base, and `last_use` how long they are needed.

use super::{Base, Home, Operand, Origin, Planner, Scalar, Step, as_view, prepared};
use crate::codegen::fuse::members::{Defs, is_elementwise, is_view};
use crate::codegen::fuse::{self, Fused, Unit};
use crate::codegen::view::View;
use crate::ir::graph::{Eqn, Graph, Guard, Op, Type, Var};
use dp_runtime::abi::{Call, Kernel};
use dp_runtime::kernels::{Layout, is_standard, standard_strides};
use dp_runtime::tensor::{DType, Tensor};
use std::collections::{HashMap, HashSet};

/// What is known while one Graph is planned.
pub struct Scope<'g> {
    pub graph: &'g Graph,
    pub defs: Defs,
    homes: Vec<Option<Home>>,
    /// The variable whose memory a variable shares as a view.
    root: Vec<u32>,
    /// The last unit that reads a root or a view of it; `usize::MAX` for results.
    last_use: Vec<usize>,
    /// What has to be in memory: results, and operands of units that do not make them.
    needed: Vec<bool>,
    /// Places where a value is wanted, best first.
    wants: Vec<Vec<View>>,
    /// Bases that this Graph may write over.
    own: HashSet<Base>,
    /// Places that are free until a value is put there, whatever else lies in their bases.
    apart: Vec<View>,
    /// The roots that lie in a base.
    tenants: HashMap<Base, Vec<u32>>,
    /// The unit that is being planned.
    pub unit: usize,
}

impl Planner {
    /// Plans `graph` with its parameters at `params`; bases in `own` may be written over once their values are dead, and
    /// places `apart` overlap nothing that has a place so far, though their bases may be in use.
    /// Result i is brought to `dests[i]` if there is one. Gives the homes of the results.
    pub fn body(
        &mut self,
        graph: &Graph,
        params: Vec<Home>,
        (own, apart): (&[Base], &[View]),
        dests: &[Option<View>],
        steps: &mut Vec<Step>,
    ) -> Vec<Home> {
        let graph = &*prepared(graph);
        let units = fuse::units(graph);
        let mut scope = Scope::new(graph, &units, params, (own, apart), dests);
        for (number, unit) in units.iter().enumerate() {
            scope.unit = number;
            match unit {
                Unit::Nest(fused) => self.nest(&mut scope, fused, steps),
                Unit::Single(eqn) => self.single(&mut scope, &graph.eqns[*eqn], steps),
            }
        }
        scope.unit = usize::MAX;
        let homes: Vec<Home> = graph.results.iter().map(|&v| scope.home(v).clone()).collect();
        let moves =
            graph.results.iter().zip(&homes).zip(dests).filter_map(|((&v, home), dest)| {
                dest.as_ref().map(|to| (home.clone(), to.clone(), graph.ty(v).clone()))
            });
        let moves = moves.collect();
        self.moves(moves, steps);
        homes
    }

    /// A number for an equation, to find its place in the source when it fails.
    pub fn origin(&mut self, eqn: &Eqn, guard: Option<Guard>) -> u32 {
        self.plan.origins.push(Origin { span: eqn.span, guard });
        self.plan.origins.len() as u32 - 1
    }

    /// One equation that is not part of a nest.
    fn single(&mut self, scope: &mut Scope, eqn: &Eqn, steps: &mut Vec<Step>) {
        let graph = scope.graph;
        if is_elementwise(&eqn.op) {
            return self.scalar(scope, eqn, steps);
        }
        match &eqn.op {
            Op::Const(tensor) => {
                let home = self.constant(tensor);
                scope.put(eqn.outs[0], home);
            }
            Op::Broadcast { .. } | Op::Reshape { .. } | Op::Permute { .. } | Op::Slice { .. } | Op::Reverse { .. } => {
                self.structure(scope, eqn, steps);
            }
            Op::Scan(scan) => self.scan(scope, eqn, scan, steps),
            Op::Cond { then, otherwise } => self.cond(scope, eqn, then, otherwise, steps),
            Op::Guard(guard) => {
                let number = self.origin(eqn, Some(guard.clone()));
                let fatal = match guard {
                    Guard::Unconverged { .. } => false,
                    Guard::NotAtFixedPoint { .. } => true,
                };
                let pred = scope.scalar(eqn.args[0]);
                self.push(steps, Step::Guard { pred, fatal, eqn: number });
                for (&arg, &out) in eqn.args[1..].iter().zip(&eqn.outs) {
                    let home = scope.home(arg).clone();
                    scope.put(out, home);
                }
            }
            Op::Call { .. } => unreachable!("calls are inlined before planning"),
            _ => {
                let types: Vec<&Type> = eqn.args.iter().map(|&v| graph.ty(v)).collect();
                self.kernel(scope, eqn, &types, steps);
            }
        }
    }

    /// A constant: a register or memory that the Executable owns.
    fn constant(&mut self, tensor: &Tensor) -> Home {
        if tensor.shape().is_empty() {
            return Home::Scalar(Scalar::Imm(tensor.dtype(), scalar_bits(tensor)));
        }
        self.plan.consts.push(tensor.clone());
        Home::Array(View::standard(Base::Const(self.plan.consts.len() as u32 - 1), tensor.shape()))
    }

    /// An elementwise operation on scalars.
    fn scalar(&mut self, scope: &mut Scope, eqn: &Eqn, steps: &mut Vec<Step>) {
        let args = eqn.args.iter().map(|&v| scope.scalar(v)).collect();
        let out = self.reg(scope.graph.ty(eqn.outs[0]).dtype);
        let number = self.origin(eqn, None);
        self.push(steps, Step::Scalar { op: eqn.op.clone(), args, out, eqn: number });
        scope.put(eqn.outs[0], Home::Scalar(Scalar::Reg(out)));
    }

    /// Operations that only rename places, where strides can say it.
    pub fn structure(&mut self, scope: &mut Scope, eqn: &Eqn, steps: &mut Vec<Step>) {
        let (arg, out) = (eqn.args[0], eqn.outs[0]);
        let (from, to) = (scope.graph.ty(arg).clone(), scope.graph.ty(out).clone());
        let view = as_view(scope.home(arg), from.rank());
        let view = match &eqn.op {
            Op::Broadcast { shape, axes } => view.broadcast(shape.len(), axes),
            Op::Permute { perm } => view.permute(perm),
            Op::Slice { start, stride, .. } => view.slice(start, stride),
            Op::Reverse { axes } if !from.is_empty() => view.reverse(&from.shape, axes),
            Op::Reverse { .. } => view,
            Op::Reshape { shape } => match view.reshape(&from.shape, shape) {
                Some(view) => view,
                None => {
                    // Move the elements to row-major order; the result is a view of that.
                    let place = scope.place(self, out);
                    let target = match place.reshape(shape, &from.shape) {
                        Some(target) => target,
                        None => self.buffer(&from),
                    };
                    self.copy(view, target.clone(), &from, steps);
                    let moved = target.reshape(&from.shape, shape).expect("a row-major array has every shape");
                    scope.put(out, Home::Array(moved));
                    return;
                }
            },
            _ => unreachable!("structure: {:?}", eqn.op),
        };
        if to.rank() == 0 {
            let home = match view.as_splat() {
                Some(scalar) => Home::Scalar(scalar),
                None => {
                    let reg = self.reg(to.dtype);
                    self.push(steps, Step::Load { from: view, out: reg });
                    Home::Scalar(Scalar::Reg(reg))
                }
            };
            scope.put(out, home);
        } else {
            scope.put(out, Home::Array(view));
        }
    }

    /// A call of a kernel. `operands` are inputs and outputs with their types.
    pub fn call(
        &mut self,
        kernel: Kernel,
        operands: Vec<(Operand, DType, Vec<usize>)>,
        eqn: u32,
        steps: &mut Vec<Step>,
    ) {
        let layouts = operands.iter().map(|(operand, dtype, shape)| match operand {
            Operand::View(view) => Layout { dtype: *dtype, shape: shape.clone(), strides: view.strides.clone() },
            Operand::Out(_) => Layout::standard(*dtype, &[]),
        });
        self.plan.calls.push(Call { kernel, operands: layouts.collect(), eqn, then: None });
        let call = self.plan.calls.len() - 1;
        let operands = operands.into_iter().map(|(operand, _, _)| operand).collect();
        self.push(steps, Step::Call { call, operands, then: None });
    }

    /// The value as a row-major array without gaps, copied if it is not.
    pub fn standard(&mut self, view: View, ty: &Type, steps: &mut Vec<Step>) -> View {
        if is_standard(&ty.shape, &view.strides) {
            return View { strides: standard_strides(&ty.shape), ..view };
        }
        let place = self.buffer(ty);
        self.copy(view, place.clone(), ty, steps);
        place
    }
}

impl<'g> Scope<'g> {
    fn new(
        graph: &'g Graph,
        units: &[Unit],
        params: Vec<Home>,
        (own, apart): (&[Base], &[View]),
        dests: &[Option<View>],
    ) -> Scope<'g> {
        let count = graph.types.len();
        let mut scope = Scope {
            graph,
            defs: Defs::new(graph),
            homes: vec![None; count],
            root: (0..count as u32).collect(),
            last_use: vec![0; count],
            needed: vec![false; count],
            wants: vec![Vec::new(); count],
            own: own.iter().copied().collect(),
            apart: apart.to_vec(),
            tenants: HashMap::new(),
            unit: 0,
        };
        for eqn in &graph.eqns {
            for (&out, &arg) in shared(eqn) {
                scope.root[out.0 as usize] = scope.root[arg.0 as usize];
            }
        }
        for (number, unit) in units.iter().enumerate() {
            let levels: Vec<(&[usize], Option<&Fused>)> = match unit {
                Unit::Nest(fused) => fused.levels().map(|fused| (fused.eqns.as_slice(), Some(fused))).collect(),
                Unit::Single(eqn) => vec![(std::slice::from_ref(eqn), None)],
            };
            for (eqns, fused) in levels {
                for (i, k, arg) in
                    eqns.iter().flat_map(|&i| graph.eqns[i].args.iter().enumerate().map(move |(k, &arg)| (i, k, arg)))
                {
                    let root = scope.root[arg.0 as usize] as usize;
                    scope.last_use[root] = scope.last_use[root].max(number);
                    let inside = fused.is_some_and(|fused| fused.inside(graph, &scope.defs, i, k).is_some());
                    scope.needed[arg.0 as usize] |= !inside;
                }
            }
        }
        for &result in &graph.results {
            let root = scope.root[result.0 as usize] as usize;
            scope.last_use[root] = usize::MAX;
            scope.needed[result.0 as usize] = true;
        }
        for (&param, home) in graph.params.iter().zip(params) {
            scope.put(param, home);
        }
        for (&result, dest) in graph.results.iter().zip(dests) {
            if let Some(dest) = dest {
                scope.wants[result.0 as usize].push(dest.clone());
            }
        }
        scope.spread_wants();
        scope
    }

    /// Where a value is wanted, the values that it renames, or that a loop turns into it, are wanted too.
    fn spread_wants(&mut self) {
        let graph = self.graph;
        for eqn in graph.eqns.iter().rev() {
            match &eqn.op {
                Op::Reshape { .. } => {
                    let (from, to) = (graph.shape(eqn.args[0]), graph.shape(eqn.outs[0]));
                    let wants: Vec<View> =
                        self.wants[eqn.outs[0].0 as usize].iter().filter_map(|w| w.reshape(to, from)).collect();
                    self.wants[eqn.args[0].0 as usize].extend(wants);
                }
                Op::Permute { perm } => {
                    let wants: Vec<View> =
                        self.wants[eqn.outs[0].0 as usize].iter().map(|w| w.unpermute(perm)).collect();
                    self.wants[eqn.args[0].0 as usize].extend(wants);
                }
                Op::Guard(_) => {
                    for (&arg, &out) in eqn.args[1..].iter().zip(&eqn.outs) {
                        let wants = self.wants[out.0 as usize].clone();
                        self.wants[arg.0 as usize].extend(wants);
                    }
                }
                Op::Scan(scan) => {
                    for (&arg, &out) in eqn.args[scan.consts..].iter().zip(&eqn.outs[..scan.carries]) {
                        let wants = self.wants[out.0 as usize].clone();
                        self.wants[arg.0 as usize].extend(wants);
                    }
                }
                _ => {}
            }
        }
    }

    /// True if a value has to be in memory and is not yet.
    pub fn lacks(&self, var: Var) -> bool {
        self.needed[var.0 as usize] && !self.has_home(var)
    }

    pub fn has_home(&self, var: Var) -> bool {
        self.homes[var.0 as usize].is_some()
    }

    pub fn home(&self, var: Var) -> &Home {
        self.homes[var.0 as usize].as_ref().expect("a Graph defines variables before their use")
    }

    /// The place of a value of rank 0.
    pub fn scalar(&self, var: Var) -> Scalar {
        match self.home(var) {
            Home::Scalar(scalar) => *scalar,
            Home::Array(_) => unreachable!("a scalar was given an array's home"),
        }
    }

    /// Notes the place of a value.
    pub fn put(&mut self, var: Var, home: Home) {
        if let Home::Array(view) = &home {
            let root = self.root[var.0 as usize];
            let list = self.tenants.entry(view.base).or_default();
            if !list.contains(&root) {
                list.push(root);
            }
        }
        self.homes[var.0 as usize] = Some(home);
    }

    /// True if everything in a base is dead before this unit, or, if `now`, is read last by this unit.
    pub fn vacant(&self, base: Base, now: bool) -> bool {
        let Some(tenants) = self.tenants.get(&base) else {
            return true;
        };
        tenants.iter().all(|&root| {
            let last = self.last_use[root as usize];
            last < self.unit || (now && last == self.unit)
        })
    }

    /// Where a value is wanted.
    pub fn wanted(&self, var: Var) -> Vec<View> {
        self.wants[var.0 as usize].clone()
    }

    pub fn owns(&self, base: Base) -> bool {
        self.own.contains(&base)
    }

    pub fn own(&mut self, base: Base) {
        self.own.insert(base);
    }

    /// Decides on a place for a new array.
    pub fn place(&mut self, planner: &mut Planner, var: Var) -> View {
        let shape = self.graph.shape(var);
        self.place_beside(planner, var, shape, &[], false)
    }

    /// The same for a unit that walks `shape`, which names the elements of the array, and reads views of that shape; with
    /// `over`, it may write over one of these that it walks in the same order.
    pub fn place_beside(
        &mut self,
        planner: &mut Planner,
        var: Var,
        shape: &[usize],
        reads: &[View],
        over: bool,
    ) -> View {
        let ty = self.graph.ty(var);
        for want in &self.wants[var.0 as usize] {
            if self.apart.contains(want) && !self.taken(want) {
                return want.clone();
            }
            let walked = want.reshape(&ty.shape, shape);
            let aligned = reads.iter().all(|r| r.base != want.base || (over && Some(r) == walked.as_ref()));
            let free = self.vacant(want.base, false) || (over && aligned && self.vacant(want.base, true));
            if free && aligned {
                let want = want.clone();
                self.own.insert(want.base);
                return want;
            }
        }
        if over && !ty.is_empty() {
            let standard = standard_strides(shape);
            for read in reads {
                let fits = self.own.contains(&read.base)
                    && read.strides == standard
                    && self.holds(read.base, ty.dtype)
                    && reads.iter().all(|r| r.base != read.base || r == read)
                    && self.vacant(read.base, true);
                if fits {
                    return View { strides: standard_strides(&ty.shape), ..read.clone() };
                }
            }
        }
        let place = planner.buffer(ty);
        self.own.insert(place.base);
        place
    }

    /// True if a value was put at a place.
    fn taken(&self, place: &View) -> bool {
        self.homes.iter().flatten().any(|home| matches!(home, Home::Array(view) if view == place))
    }

    /// True if a base holds elements of a kind. (A base never holds two kinds.)
    fn holds(&self, base: Base, dtype: DType) -> bool {
        let tenant = self.tenants.get(&base).and_then(|roots| roots.first());
        tenant.is_some_and(|&root| self.graph.types[root as usize].dtype == dtype)
    }
}

/// The results of an equation that lie where an operand lies, with that operand.
fn shared(eqn: &Eqn) -> Vec<(&Var, &Var)> {
    if is_view(&eqn.op) {
        return vec![(&eqn.outs[0], &eqn.args[0])];
    }
    match &eqn.op {
        Op::Guard(_) => eqn.outs.iter().zip(&eqn.args[1..]).collect(),
        _ => Vec::new(),
    }
}

/// The bits of a scalar, zero-extended.
pub fn scalar_bits(tensor: &Tensor) -> u64 {
    match tensor {
        Tensor::F32(_) => u64::from(tensor.as_slice::<f32>()[0].to_bits()),
        Tensor::F64(_) => tensor.as_slice::<f64>()[0].to_bits(),
        Tensor::I64(_) => tensor.as_slice::<i64>()[0] as u64,
        Tensor::Bool(_) => u64::from(tensor.as_slice::<bool>()[0]),
        Tensor::Key(_) => tensor.as_slice::<u64>()[0],
    }
}
