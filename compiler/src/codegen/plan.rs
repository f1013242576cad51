//! A Graph with every value given a place and every unit a step.

mod body;
mod control;
mod epilogue;
mod history;
mod kernels;
mod moves;
mod nest;
mod pack;
pub mod pieces;
pub mod reduction;

use super::CodegenError;
use super::view::View;
use crate::ir::builder::Builder;
use crate::ir::graph::{Eqn, Graph, Guard, Op, Type, Var};
use crate::source::Span;
use dp_runtime::abi::{Call, FoldBy};
use dp_runtime::kernels::index::MAX_INDICES;
use dp_runtime::tensor::{DType, Tensor};
use std::borrow::Cow;

/// A scalar in a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reg(pub u32);

/// A scalar operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scalar {
    Reg(Reg),
    /// A constant by its bits.
    Imm(DType, u64),
}

/// What a view is relative to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Base {
    /// A buffer in the arena.
    Buffer(u32),
    /// A zeroed buffer outside the arena.
    Large(u32),
    Param(u32),
    Result(u32),
    Const(u32),
    /// A scalar, put into memory where its address is needed.
    Spill(Scalar),
    /// `STACK` bytes of the function's own, for what a nest leaves to the calls that follow it at once.
    Stack,
}

/// The bytes of `Base::Stack`.
pub const STACK: usize = 16 << 10;

/// The place of a value.
#[derive(Clone, PartialEq, Debug)]
pub enum Home {
    /// Rank 0.
    Scalar(Scalar),
    /// Rank 1 or more.
    Array(View),
}

impl Home {
    /// What an array's view is relative to.
    pub fn base(&self) -> Option<Base> {
        match self {
            Home::Scalar(_) => None,
            Home::Array(view) => Some(view.base),
        }
    }
}

/// A piece of the arena, and the steps between which it is in use.
#[derive(Clone, Debug)]
pub struct Buffer {
    pub bytes: u64,
    pub first: usize,
    pub last: usize,
    pub offset: u64,
}

impl Buffer {
    pub fn used(&self) -> bool {
        self.first <= self.last
    }
}

/// An operand of a kernel.
#[derive(Clone, PartialEq, Debug)]
pub enum Operand {
    View(View),
    /// A scalar that the kernel computes.
    Out(Reg),
}

/// An input of a loop nest.
#[derive(Clone, PartialEq, Debug)]
pub struct Input {
    pub dtype: DType,
    /// Its strides follow the nest's shape.
    pub view: View,
}

/// One operation on the elements at one place. Arguments number the inputs first, then the operations. A matrix product of
/// one term each (`Op::Dot`) is one of them: `a * b + 0`, rounded once.
#[derive(Clone, Debug)]
pub struct TileOp {
    pub op: Op,
    pub args: Vec<u32>,
    /// The kinds of the arguments' elements.
    pub from: Vec<DType>,
    pub dtype: DType,
    pub eqn: u32,
}

/// A loop nest over one shape, its body a straight line of operations.
#[derive(Clone, Debug)]
pub struct Nest {
    /// Collapsed: no axis of size 1, no two axes that all views walk as one. Not empty. In a nest that reduces, the
    /// kept axes come first, then the reduced ones, each group collapsed by itself.
    pub shape: Vec<usize>,
    pub inputs: Vec<Input>,
    pub ops: Vec<TileOp>,
    pub outputs: Vec<(u32, DType, View)>,
    /// Elements side by side: 4, 2 or 1.
    pub lanes: u32,
    pub reduction: Option<Reduction>,
    /// A nest that is done at each place, for the elements side by side there: its kept axes are the axes of this one, and its
    /// totals (registers) are values of this one, numbered after the inputs and before the operations.
    pub inner: Option<Box<Nest>>,
}

impl Nest {
    /// The nest and those inside, from the outermost on.
    pub fn levels(&self) -> impl Iterator<Item = &Nest> {
        std::iter::successors(Some(self), |nest| nest.inner.as_deref())
    }

    /// The inputs of all levels.
    pub fn reads(&self) -> impl Iterator<Item = &Input> {
        self.levels().flat_map(|nest| &nest.inputs)
    }

    /// How many operands have a place of their own in loops: the inputs of all levels, and the outputs.
    pub fn operands(&self) -> usize {
        self.reads().count() + self.outputs.len()
    }
}

/// What a nest reduces: some of its values, over the same axes.
#[derive(Clone, Debug)]
pub struct Reduction {
    /// How many axes of the nest are kept.
    pub kept: usize,
    pub order: Order,
    pub totals: Vec<Total>,
}

/// In which order elements are combined.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Order {
    /// The last axis of the array is reduced: neighbours on the innermost reduced axis go side by side.
    Along,
    /// The last axis of the array is kept: neighbours on the innermost kept axis go side by side.
    Across,
}

/// One reduced value.
#[derive(Clone, Debug)]
pub struct Total {
    pub value: u32,
    /// What it is multiplied by in a sum of products, each of which is added without rounding between.
    pub times: Option<u32>,
    pub dtype: DType,
    pub by: Reducer,
    /// Of the kept axes' shape. Where `parts` is more than 1 there is one more axis: the sums of the parts, which a
    /// kernel then combines.
    pub to: Operand,
    pub parts: usize,
}

/// How elements are combined.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Reducer {
    /// Floats in the order that sums are defined by; integers wrap.
    Sum,
    Fold(FoldBy),
}

/// A scalar that a loop carries.
#[derive(Clone, Debug)]
pub struct CarryReg {
    pub param: Reg,
    pub init: Scalar,
    pub next: Scalar,
    pub out: Reg,
}

/// How often a loop runs.
#[derive(Clone, Copy, Debug)]
pub enum Count {
    Fixed(usize),
    Given { count: Scalar, cap: usize },
    Until { stop: Scalar, cap: usize, ran: Reg },
}

/// A loop. Array carries and stacks are memory that its steps read and write.
#[derive(Clone, Debug)]
pub struct Loop {
    pub count: Count,
    pub reverse: bool,
    pub counter: Reg,
    pub carries: Vec<CarryReg>,
    pub body: Vec<Step>,
    pub eqn: u32,
}

/// What the code does, in order.
#[derive(Clone, Debug)]
pub enum Step {
    /// `out = op(args)` on scalars.
    Scalar {
        op: Op,
        args: Vec<Scalar>,
        out: Reg,
        eqn: u32,
    },
    Load {
        from: View,
        out: Reg,
    },
    Store {
        value: Scalar,
        to: View,
    },
    Nest(Nest),
    Call {
        call: usize,
        operands: Vec<Operand>,
        /// A nest that the kernel calls for parts of its result as they are ready.
        then: Option<Box<Nest>>,
    },
    Guard {
        pred: Scalar,
        fatal: bool,
        eqn: u32,
    },
    Loop(Box<Loop>),
    Branch {
        pred: Scalar,
        then: Vec<Step>,
        otherwise: Vec<Step>,
        outs: Vec<(Reg, Scalar, Scalar)>,
    },
}

/// Where a result comes from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Source {
    /// The code writes it.
    Written,
    Param(usize),
    Const(usize),
    /// The same value as an earlier result.
    Same(usize),
}

/// What is known of an equation at run time.
#[derive(Clone, Debug)]
pub struct Origin {
    pub span: Span,
    pub guard: Option<Guard>,
}

/// The whole plan.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub params: Vec<Type>,
    pub results: Vec<Type>,
    pub sources: Vec<Source>,
    /// Results whose memory must be zero at first.
    pub zeroed: Vec<bool>,
    pub regs: Vec<DType>,
    pub buffers: Vec<Buffer>,
    /// Bytes of each large buffer.
    pub large: Vec<u64>,
    pub consts: Vec<Tensor>,
    pub calls: Vec<Call>,
    pub origins: Vec<Origin>,
    pub steps: Vec<Step>,
    pub nests: usize,
}

/// A plan under construction.
#[derive(Default)]
pub struct Planner {
    pub plan: Plan,
    /// The number of steps so far: the time of a buffer's lifetime.
    time: usize,
    /// Loops around the current step.
    depth: usize,
}

/// Plans a Graph.
pub fn plan(graph: &Graph) -> Result<Plan, CodegenError> {
    check(graph)?;
    let graph = &*prepared(graph);
    let mut planner = Planner::default();
    planner.plan.params = graph.param_types();
    planner.plan.results = graph.result_types();
    planner.plan.zeroed = vec![false; graph.results.len()];
    let mut steps = Vec::new();
    let homes = graph.params.iter().enumerate().map(|(i, &v)| {
        let ty = graph.ty(v);
        let view = View::standard(Base::Param(i as u32), &ty.shape);
        if ty.rank() > 0 {
            return Home::Array(view);
        }
        let out = planner.reg(ty.dtype);
        planner.push(&mut steps, Step::Load { from: view, out });
        Home::Scalar(Scalar::Reg(out))
    });
    let homes: Vec<Home> = homes.collect();
    let mut dests = Vec::new();
    for (i, &v) in graph.results.iter().enumerate() {
        let source = result_source(graph, i);
        planner.plan.sources.push(source);
        let written = source == Source::Written;
        dests.push(written.then(|| View::standard(Base::Result(i as u32), graph.shape(v))));
    }
    planner.body(graph, homes, (&[], &[]), &dests, &mut steps);
    for (i, &v) in graph.results.iter().enumerate() {
        if planner.plan.sources[i] == Source::Const(usize::MAX) {
            let tensor = constant(graph, v).cloned().expect("the source of the result is a constant");
            planner.plan.sources[i] = Source::Const(planner.plan.consts.len());
            planner.plan.consts.push(tensor);
        }
    }
    planner.plan.epilogues(&mut steps);
    planner.plan.steps = steps;
    Ok(planner.plan)
}

/// What result `i` is. A constant's number is filled in later.
fn result_source(graph: &Graph, i: usize) -> Source {
    let var = graph.results[i];
    if let Some(param) = graph.params.iter().position(|&p| p == var) {
        return Source::Param(param);
    }
    if let Some(same) = graph.results[..i].iter().position(|&r| r == var) {
        return Source::Same(same);
    }
    match constant(graph, var) {
        Some(_) => Source::Const(usize::MAX),
        None => Source::Written,
    }
}

fn constant(graph: &Graph, var: Var) -> Option<&Tensor> {
    graph.eqns.iter().find(|eqn| eqn.outs.contains(&var)).and_then(|eqn| match &eqn.op {
        Op::Const(tensor) => Some(tensor),
        _ => None,
    })
}

/// Refuses what the back end has no room for.
fn check(graph: &Graph) -> Result<(), CodegenError> {
    for eqn in &graph.eqns {
        if eqn.args.len() > MAX_INDICES && matches!(eqn.op, Op::Gather | Op::ScatterAdd | Op::Update) {
            return Err(CodegenError::Unsupported(format!("more than {} index arrays", MAX_INDICES - 2)));
        }
        for body in eqn.op.subgraphs() {
            check(body)?;
        }
    }
    for ty in &graph.types {
        let bytes = ty.shape.iter().try_fold(ty.dtype.size(), |n, &size| n.checked_mul(size));
        if bytes.is_none_or(|n| n > isize::MAX as usize / 2) {
            return Err(CodegenError::Memory { bytes: u64::MAX, limit: isize::MAX as u64 });
        }
    }
    Ok(())
}

/// True for a sum of floats over both last and other axes.
fn is_mixed(graph: &Graph, eqn: &Eqn) -> bool {
    let Op::Sum { axes } = &eqn.op else { return false };
    let ty = graph.ty(eqn.args[0]);
    let last = last_axes(axes, ty.rank());
    ty.dtype.is_float() && last > 0 && last < axes.len()
}

/// How many of the axes are the last ones.
pub fn last_axes(axes: &[usize], rank: usize) -> usize {
    (1..=axes.len()).take_while(|&n| axes[axes.len() - n] + n == rank).count()
}

/// The Graph with the bodies of its calls in place of the calls, and two sums for one over last and other axes, as it is defined.
/// (Loops and branches are left as they are.)
fn prepared(graph: &Graph) -> Cow<'_, Graph> {
    if !graph.eqns.iter().any(|eqn| matches!(eqn.op, Op::Call { .. }) || is_mixed(graph, eqn)) {
        return Cow::Borrowed(graph);
    }
    let mut b = Builder::default();
    let mut map: Vec<Option<Var>> = vec![None; graph.types.len()];
    for &p in &graph.params {
        map[p.0 as usize] = Some(b.param(graph.ty(p).clone()));
    }
    let resolve = |map: &[Option<Var>], v: Var| map[v.0 as usize].expect("a Graph defines variables before their use");
    for eqn in &graph.eqns {
        let args: Vec<_> = eqn.args.iter().map(|&v| resolve(&map, v)).collect();
        let outs = match &eqn.op {
            Op::Call { body, .. } => b.inline(&prepared(body), &args),
            Op::Sum { axes } if is_mixed(graph, eqn) => {
                let (others, last) = axes.split_at(axes.len() - last_axes(axes, graph.ty(eqn.args[0]).rank()));
                b.span = eqn.span;
                let part = b.sum(args[0], last);
                vec![b.sum(part, others)]
            }
            op => {
                let outs: Vec<_> = eqn.outs.iter().map(|&v| b.graph.fresh(graph.ty(v).clone())).collect();
                b.graph.eqns.push(Eqn { op: op.clone(), args, outs: outs.clone(), span: eqn.span });
                outs
            }
        };
        for (&v, out) in eqn.outs.iter().zip(outs) {
            map[v.0 as usize] = Some(out);
        }
    }
    let results = graph.results.iter().map(|&v| resolve(&map, v)).collect();
    Cow::Owned(b.finish(results))
}

impl Planner {
    pub fn reg(&mut self, dtype: DType) -> Reg {
        self.plan.regs.push(dtype);
        Reg(self.plan.regs.len() as u32 - 1)
    }

    /// A new array in the arena.
    pub fn buffer(&mut self, ty: &Type) -> View {
        let bytes = (ty.len() * ty.dtype.size()) as u64;
        self.plan.buffers.push(Buffer { bytes, first: usize::MAX, last: 0, offset: 0 });
        View::standard(Base::Buffer(self.plan.buffers.len() as u32 - 1), &ty.shape)
    }

    /// A new zeroed array outside the arena.
    pub fn large(&mut self, ty: &Type) -> View {
        self.plan.large.push((ty.len() * ty.dtype.size()) as u64);
        View::standard(Base::Large(self.plan.large.len() as u32 - 1), &ty.shape)
    }

    /// Extends the lifetime of what a view lies in to now.
    pub fn touch(&mut self, view: &View) {
        if let Base::Buffer(id) = view.base {
            let buffer = &mut self.plan.buffers[id as usize];
            buffer.first = buffer.first.min(self.time);
            buffer.last = buffer.last.max(self.time);
        }
    }

    pub fn touch_home(&mut self, home: &Home) {
        match home {
            Home::Scalar(_) => {}
            Home::Array(view) => self.touch(view),
        }
    }

    fn touch_operand(&mut self, operand: &Operand) {
        match operand {
            Operand::View(view) => self.touch(view),
            Operand::Out(_) => {}
        }
    }

    /// Appends a step at a new time, and extends the lifetimes of what it uses.
    pub fn push(&mut self, steps: &mut Vec<Step>, step: Step) {
        self.time += 1;
        match &step {
            Step::Load { from, .. } => self.touch(from),
            Step::Store { to, .. } => self.touch(to),
            Step::Nest(nest) => {
                self.plan.nests += 1;
                nest.reads().for_each(|input| self.touch(&input.view));
                nest.outputs.iter().for_each(|(_, _, view)| self.touch(view));
                for total in nest.reduction.iter().flat_map(|reduction| &reduction.totals) {
                    self.touch_operand(&total.to);
                }
            }
            // A nest that a call takes over has been a step of its own.
            Step::Call { operands, .. } => {
                operands.iter().for_each(|operand| self.touch_operand(operand));
            }
            // What loops and branches use is extended where they are planned.
            Step::Scalar { .. } | Step::Guard { .. } | Step::Loop(_) | Step::Branch { .. } => {}
        }
        steps.push(step);
    }
}

/// The view of a value, a scalar's through memory.
pub fn as_view(home: &Home, rank: usize) -> View {
    match home {
        Home::Scalar(scalar) => View::splat(*scalar, rank),
        Home::Array(view) => view.clone(),
    }
}
