//! Random well-typed Graphs for tests, over the whole table. They do not fault, and their numbers stay finite and of
//! moderate size.

mod reductions;
mod rows;

use super::Rng;
use crate::ir::builder::Builder;
use crate::ir::graph::{CallRule, Graph, Guard, Op, Scan, Trips, Type, Var};
use dp_runtime::kernels::conv::Window;
use dp_runtime::tensor::{DType, Tensor};
use std::rc::Rc;

/// A Graph of about `size` equations (those of sub-Graphs aside), and arguments for it. Its floats are of one kind,
/// its first parameter is a float, and it has at least one float result.
pub fn random_graph(rng: &mut Rng, size: usize) -> (Graph, Vec<Tensor>) {
    let float = rng.float_kind();
    let mut params = vec![Type::new(float, &[rng.range(1, 4), rng.range(1, 4)])];
    for _ in 0..rng.range(1, 4) {
        let rank = rng.below(3);
        let kind = *rng.pick(&[float, float, float, float, DType::I64, DType::Bool, DType::Key]);
        params.push(Type::new(kind, &rng.shape(rank)));
    }
    let args = params.iter().map(|ty| rng.tensor(ty.dtype, &ty.shape)).collect();
    let mut maker = Maker::new(rng, float, &params, 0);
    maker.grow(size);
    let mut results = vec![maker.last(float)];
    for _ in 0..maker.rng.below(3) {
        let var = maker.any();
        results.push(var);
    }
    (maker.b.finish(results), args)
}

struct Maker<'a> {
    rng: &'a mut Rng,
    b: Builder,
    float: DType,
    /// Variables that equations may use.
    pool: Vec<Var>,
    depth: usize,
}

/// Functions that are good between 0.3 and 0.8, `Acosh` above 1.
const INSIDE: &[Op] = &[
    Op::Exp,
    Op::Expm1,
    Op::Log,
    Op::Log1p,
    Op::Sqrt,
    Op::Tan,
    Op::Log2,
    Op::Log10,
    Op::Cbrt,
    Op::Asin,
    Op::Acos,
    Op::Sinh,
    Op::Cosh,
    Op::Acosh,
    Op::Atanh,
    Op::Erfc,
    Op::Lgamma,
    Op::Polygamma { order: 0 },
    Op::Polygamma { order: 1 },
];

impl Maker<'_> {
    fn new<'a>(rng: &'a mut Rng, float: DType, params: &[Type], depth: usize) -> Maker<'a> {
        let mut b = Builder::default();
        let pool = params.iter().map(|ty| b.param(ty.clone())).collect();
        Maker { rng, b, float, pool, depth }
    }

    fn grow(&mut self, size: usize) {
        while self.b.graph.eqns.len() < size {
            self.step();
        }
    }

    /// A variable, more often a late one.
    fn any(&mut self) -> Var {
        let n = self.pool.len();
        let from = if self.rng.flip() { n / 2 } else { 0 };
        self.pool[self.rng.range(from, n)]
    }

    fn of(&mut self, fits: impl Fn(&Type) -> bool) -> Option<Var> {
        let list: Vec<Var> = self.pool.iter().copied().filter(|&v| fits(self.b.ty(v))).collect();
        if list.is_empty() { None } else { Some(*self.rng.pick(&list)) }
    }

    /// A float: there is always one.
    fn float(&mut self) -> Var {
        let float = self.float;
        match self.of(|ty| ty.dtype == float) {
            Some(var) => var,
            None => {
                let value = self.rng.tensor(float, &[2]);
                self.b.constant(value)
            }
        }
    }

    /// The last variable of a kind.
    fn last(&mut self, dtype: DType) -> Var {
        match self.pool.iter().rev().find(|&&v| self.b.ty(v).dtype == dtype) {
            Some(&var) => var,
            None => self.float(),
        }
    }

    /// Another variable of the type of `x`: some other one, or a constant.
    fn like(&mut self, x: Var) -> Var {
        let ty = self.b.ty(x).clone();
        match self.of(|other| *other == ty) {
            Some(var) if var != x || self.rng.flip() => var,
            Some(_) | None => {
                let value = self.rng.tensor(ty.dtype, &ty.shape);
                self.b.constant(value)
            }
        }
    }

    fn push(&mut self, op: Op, args: &[Var]) -> Var {
        let outs = self.b.emit(op, args);
        self.pool.extend(&outs);
        outs[0]
    }

    /// Keeps only the last of the variables that were pushed since there were `n`.
    fn keep_last(&mut self, n: usize) {
        if let Some(last) = self.pool.pop() {
            self.pool.truncate(n);
            self.pool.push(last);
        }
    }

    fn step(&mut self) {
        let n = self.pool.len();
        match self.rng.below(if self.depth < 2 { 23 } else { 20 }) {
            0..=2 => self.unary(),
            3..=5 => self.binary(),
            6 => self.choose(),
            7 => self.reshape(),
            8 => self.cut(),
            9 => self.reduce(),
            10 => self.product(),
            11 => self.index(),
            12 => self.integers(),
            13 => self.draw(),
            14..=16 => self.any_row(),
            17..=19 => self.reductions(),
            20 => self.scan(),
            21 => self.cond(),
            _ => self.call(),
        }
        // Large arrays would only be slow, and empty ones (of loops that do not run) have no extremes and no indices.
        let pool = std::mem::take(&mut self.pool);
        self.pool = pool
            .into_iter()
            .enumerate()
            .filter(|&(i, v)| i < n || (1..=200).contains(&self.b.ty(v).len()))
            .map(|(_, v)| v)
            .collect();
    }

    fn unary(&mut self) {
        let n = self.pool.len();
        let x = self.float();
        let bounded = [Op::Sin, Op::Cos, Op::Tanh, Op::Sigmoid, Op::Erf, Op::Atan];
        let free =
            [Op::Neg, Op::Abs, Op::Sign, Op::Softplus, Op::Floor, Op::Ceil, Op::Round, Op::StopGradient, Op::Asinh];
        let bounded = self.rng.pick(&bounded).clone();
        match self.rng.below(4) {
            0 | 1 => self.push(bounded, &[x]),
            2 => {
                let free = self.rng.pick(&free).clone();
                self.push(free, &[x])
            }
            // Behind a bounded function anything goes: the logarithms and the root get numbers in 0.3..0.8.
            _ => {
                let op = self.rng.pick(INSIDE).clone();
                let sine = self.push(Op::Sin, &[x]);
                let inside = self.push(Op::Sigmoid, &[sine]);
                let inside = match op {
                    Op::Acosh => {
                        let ty = self.b.ty(inside).clone();
                        let one = self.b.fill(&ty, 1.0);
                        self.push(Op::Add, &[inside, one])
                    }
                    _ => inside,
                };
                self.push(op, &[inside])
            }
        };
        self.keep_last(n);
    }

    fn binary(&mut self) {
        let n = self.pool.len();
        let x = self.float();
        let y = self.like(x);
        match self.rng.below(8) {
            0 => self.push(Op::Add, &[x, y]),
            1 => self.push(Op::Sub, &[x, y]),
            2 => self.push(Op::Max, &[x, y]),
            3 => self.push(Op::Min, &[x, y]),
            4 | 5 => {
                let op = if self.rng.flip() { Op::Mul } else { Op::MulZ };
                let product = self.push(op, &[x, y]);
                // Repeated squares would overflow.
                self.push(Op::Tanh, &[product])
            }
            6 => {
                let below = self.push(Op::Softplus, &[y]);
                let ty = self.b.ty(below).clone();
                let one = self.b.fill(&ty, 1.0);
                let below = self.push(Op::Add, &[below, one]);
                let op = self.rng.pick(&[Op::Div, Op::Atan2, Op::Hypot]).clone();
                self.push(op, &[x, below])
            }
            _ => {
                let sine = self.push(Op::Sin, &[x]);
                let base = self.push(Op::Sigmoid, &[sine]);
                let exponent = self.push(Op::Tanh, &[y]);
                self.push(Op::Pow, &[base, exponent])
            }
        };
        self.keep_last(n);
    }

    fn choose(&mut self) {
        let x = self.float();
        let (y, z) = (self.like(x), self.like(x));
        let op = self.rng.pick(&[Op::Lt, Op::Le, Op::Eq, Op::Ne]).clone();
        let mut mask = self.push(op, &[x, y]);
        if self.rng.flip() {
            let other = self.push(Op::Lt, &[z, x]);
            let join = if self.rng.flip() { Op::And } else { Op::Or };
            let join = self.push(join, &[mask, other]);
            mask = self.push(Op::Not, &[join]);
        }
        self.push(Op::Select, &[mask, y, z]);
    }

    fn reshape(&mut self) {
        let x = self.any();
        let shape = self.b.shape(x).to_vec();
        let rank = shape.len();
        match self.rng.below(3) {
            0 => {
                let mut perm: Vec<usize> = (0..rank).collect();
                for i in 1..rank {
                    perm.swap(i, self.rng.below(i + 1));
                }
                self.push(Op::Permute { perm }, &[x]);
            }
            1 => {
                let flat = vec![shape.iter().product()];
                let mut with_one = shape.clone();
                with_one.insert(self.rng.below(rank + 1), 1);
                let shape = if self.rng.flip() { flat } else { with_one };
                self.push(Op::Reshape { shape }, &[x]);
            }
            _ => {
                let at = self.rng.below(rank + 1);
                let mut to = shape;
                to.insert(at, self.rng.range(1, 4));
                let axes = (0..=rank).filter(|&axis| axis != at).collect();
                self.push(Op::Broadcast { shape: to, axes }, &[x]);
            }
        }
    }

    fn cut(&mut self) {
        let x = self.any();
        let ty = self.b.ty(x).clone();
        let rank = ty.rank();
        match self.rng.below(4) {
            0 => {
                let stop: Vec<usize> = ty.shape.iter().map(|&n| self.rng.below(n) + 1).collect();
                let start = stop.iter().map(|&n| self.rng.below(n)).collect();
                let stride = ty.shape.iter().map(|_| self.rng.range(1, 3)).collect();
                self.push(Op::Slice { start, stop, stride }, &[x]);
            }
            1 if ty.dtype != DType::Key => {
                let mut sizes = || -> Vec<usize> { ty.shape.iter().map(|_| self.rng.below(2)).collect() };
                let op = Op::Pad { low: sizes(), high: sizes(), interior: sizes() };
                self.push(op, &[x]);
            }
            2 if rank > 0 => {
                let y = self.like(x);
                let axis = self.rng.below(rank);
                self.push(Op::Concat { axis }, &[x, y]);
            }
            _ => {
                let axes = (0..rank).filter(|_| self.rng.flip()).collect();
                self.push(Op::Reverse { axes }, &[x]);
            }
        }
    }

    fn reduce(&mut self) {
        let x = self.float();
        let rank = self.b.ty(x).rank();
        if rank == 0 {
            return;
        }
        let axis = self.rng.below(rank);
        let mut axes: Vec<usize> = (0..rank).filter(|_| self.rng.flip()).collect();
        if axes.is_empty() {
            axes.push(axis);
        }
        let flip = self.rng.flip();
        match self.rng.below(8) {
            0..=2 => self.push(Op::Sum { axes }, &[x]),
            3 => {
                let bounded = self.push(Op::Tanh, &[x]);
                self.push(Op::Prod { axes }, &[bounded])
            }
            4 => self.push(if flip { Op::ReduceMax { axes } } else { Op::ReduceMin { axes } }, &[x]),
            5 => self.push(if flip { Op::ArgMax { axis } } else { Op::ArgMin { axis } }, &[x]),
            6 => self.push(Op::CumSum { axis, reverse: flip }, &[x]),
            _ => self.push(Op::Sort, &[x]),
        };
    }

    fn product(&mut self) {
        let n = self.pool.len();
        let x = self.float();
        let mut shape = self.b.shape(x).to_vec();
        while shape.len() < 2 {
            shape.insert(self.rng.below(shape.len() + 1), 1);
        }
        let a = self.b.reshape(x, &shape);
        let batch = self.rng.below(shape.len() - 1);
        // Axes between the common ones and the last one are joined.
        let m = shape[batch..shape.len() - 1].iter().product();
        let k = shape[shape.len() - 1];
        let common = &shape[..batch];
        let a = self.b.reshape(a, &[common, &[m, k]].concat());
        let columns = self.rng.range(1, 4);
        let value = self.rng.tensor_in(self.float, &[common, &[k, columns]].concat(), -0.5, 0.5);
        let b = match self.rng.below(3) {
            0 => {
                let tanh = self.b.op(Op::Tanh, &[a]);
                self.b.transpose_last(tanh)
            }
            _ => self.b.constant(value),
        };
        if self.rng.below(4) == 0 {
            let b = self.b.transpose_last(b);
            self.convolution(a, b, batch);
        } else {
            self.push(Op::Dot { batch }, &[a, b]);
        }
        self.keep_last(n);
    }

    /// Of the rows of `a: [.., m, k]` with those of `b: [.., n, k]`.
    fn convolution(&mut self, a: Var, b: Var, batch: usize) {
        let [x, kernel] = [a, b].map(|v| {
            let mut shape = self.b.shape(v).to_vec();
            shape.splice(batch + 1..batch + 1, [1, 1]);
            self.b.reshape(v, &shape)
        });
        let k = self.b.shape(a)[batch + 1];
        let low = self.rng.below(k + 1) as isize;
        let window = Window {
            stride: [1, self.rng.range(1, 3)],
            dilation: [1, self.rng.range(1, 3)],
            spread: [1, self.rng.range(1, 3)],
            low: [0, low],
            size: [1, self.rng.range(1, 4)],
        };
        self.push(Op::Conv { batch, window }, &[x, kernel]);
    }

    fn index(&mut self) {
        let x = self.float();
        let shape = self.b.shape(x).to_vec();
        if shape.is_empty() {
            return;
        }
        let indexed = self.rng.range(1, shape.len() + 1);
        let rest = &shape[indexed..];
        let at = if self.rng.flip() { vec![] } else { vec![self.rng.range(1, 4)] };
        let mut indices = Vec::new();
        for &size in &shape[..indexed] {
            let index = self.rng.indices(&at, size);
            indices.push(self.b.constant(index));
        }
        let part = self.rng.tensor(self.float, &[&at, rest].concat());
        let part = self.b.constant(part);
        let part = self.b.op(Op::Cos, &[part]);
        match self.rng.below(3) {
            0 => self.push(Op::Gather, &[vec![x], indices].concat()),
            1 if at.is_empty() => self.push(Op::Update, &[vec![x, part], indices].concat()),
            _ => self.push(Op::ScatterAdd, &[vec![x, part], indices].concat()),
        };
    }

    fn integers(&mut self) {
        let Some(x) = self.of(|ty| ty.dtype == DType::I64) else {
            let rank = self.rng.range(1, 3);
            let shape = self.rng.shape(rank);
            let axis = self.rng.below(rank);
            self.push(Op::Iota { shape, axis }, &[]);
            return;
        };
        let y = self.like(x);
        let float = self.float;
        let flip = self.rng.flip();
        match self.rng.below(6) {
            0 => self.push(Op::Add, &[x, y]),
            1 => self.push(Op::Mul, &[x, y]),
            2 => self.push(Op::Max, &[x, y]),
            3 => {
                let ty = self.b.ty(x).clone();
                let divisor = self.b.fill(&ty, 3.0);
                self.push(if flip { Op::Mod } else { Op::IntDiv }, &[x, divisor])
            }
            4 => self.push(Op::Lt, &[x, y]),
            _ => {
                let ty = self.b.ty(x).clone();
                let divisor = self.b.fill(&ty, 5.0);
                let small = self.push(Op::Mod, &[x, divisor]);
                self.push(Op::Convert(float), &[small])
            }
        };
    }

    fn draw(&mut self) {
        let key = match self.of(|ty| ty.dtype == DType::Key) {
            Some(key) => key,
            None => {
                let value = self.rng.tensor(DType::Key, &[]);
                self.push(Op::Const(value), &[])
            }
        };
        let shape = vec![self.rng.range(1, 4)];
        let dtype = self.float;
        match self.rng.below(5) {
            0 => self.push(Op::Normal { shape, dtype }, &[key]),
            1 => self.push(Op::Uniform { shape, dtype }, &[key]),
            2 => self.push(Op::Split { n: 2 }, &[key]),
            3 => self.push(Op::Permutation { n: 3 }, &[key]),
            _ => {
                let ty = Type::new(DType::I64, self.b.shape(key));
                let value = self.rng.tensor(DType::I64, &ty.shape);
                let int = self.b.constant(value);
                self.push(Op::FoldIn, &[key, int])
            }
        };
    }

    /// A Graph over parameters of these types whose first results are of the types `wanted`, with one more result.
    fn body(&mut self, params: &[Type], wanted: &[Type]) -> (Builder, Vec<Var>, Var) {
        let size = self.rng.range(1, 6);
        let mut inner = Maker::new(self.rng, self.float, params, self.depth + 1);
        inner.grow(size);
        let mut results = Vec::new();
        for ty in wanted {
            let found = inner.pool.iter().rev().copied().find(|&v| inner.b.ty(v) == ty);
            let result = match found {
                Some(var) => var,
                None => {
                    let value = inner.rng.tensor(ty.dtype, &ty.shape);
                    inner.b.constant(value)
                }
            };
            // Loops would make sums grow without bound.
            results.push(if ty.dtype.is_float() { inner.b.op(Op::Tanh, &[result]) } else { result });
        }
        let extra = inner.any();
        (inner.b, results, extra)
    }

    fn scan(&mut self) {
        let constant = self.any();
        let carry = self.float();
        let cap = self.rng.below(4);
        let ty = self.b.ty(carry).clone();
        let stacked = Type::new(self.float, &[&[cap], &ty.shape[..]].concat());
        let value = self.rng.tensor(stacked.dtype, &stacked.shape);
        let stack = self.b.constant(value);
        let params = [self.b.ty(constant).clone(), ty.clone(), Type::scalar(DType::I64), ty.clone()];
        let (mut body, mut results, extra) = self.body(&params, std::slice::from_ref(&ty));
        let trips = *self.rng.pick(&[Trips::All, Trips::Input, Trips::Until]);
        let reverse = trips != Trips::Until && self.rng.flip();
        results.push(extra);
        let mut args = vec![constant, carry, stack];
        match trips {
            Trips::All => {}
            Trips::Input => {
                let count = self.rng.below(cap + 1);
                args.push(self.b.scalar(DType::I64, count as f64));
            }
            Trips::Until => {
                let limit = body.scalar(DType::I64, self.rng.below(3) as f64);
                let counter = body.graph.params[2];
                results.push(body.op(Op::Le, &[limit, counter]));
            }
        }
        let body = Rc::new(body.finish(results));
        self.push(Op::Scan(Scan { body, consts: 1, carries: 1, cap, trips, reverse }), &args);
    }

    fn cond(&mut self) {
        let pred = match self.of(|ty| *ty == Type::scalar(DType::Bool)) {
            Some(pred) => pred,
            None => {
                let value = Tensor::scalar(self.rng.flip());
                self.b.constant(value)
            }
        };
        let (x, y) = (self.float(), self.any());
        let params = [self.b.ty(x).clone(), self.b.ty(y).clone()];
        let (then, yes, _) = self.body(&params, &params[..1]);
        let (otherwise, no, _) = self.body(&params, &params[..1]);
        let op = Op::Cond { then: Rc::new(then.finish(yes)), otherwise: Rc::new(otherwise.finish(no)) };
        let out = self.push(op, &[pred, x, y]);
        if self.rng.flip() {
            let always = self.b.constant(Tensor::scalar(true));
            self.push(Op::Guard(Guard::Unconverged { solver: "random".into() }), &[always, out]);
        }
    }

    fn call(&mut self) {
        let (x, y) = (self.float(), self.any());
        let params = [self.b.ty(x).clone(), self.b.ty(y).clone()];
        let (body, mut results, extra) = self.body(&params, &params[..1]);
        results.push(extra);
        let rule = if self.rng.flip() { CallRule::Inline } else { CallRule::Recompute };
        self.push(Op::Call { body: Rc::new(body.finish(results)), rule }, &[x, y]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::eval::{eval, first_nan};
    use crate::ir::text::{parse, print};
    use crate::ir::verify::verify;
    use crate::prims::sample::same;
    use std::collections::HashSet;

    #[test]
    fn random_graphs_are_valid_run_and_are_read_back() {
        let mut seen: HashSet<&'static str> = HashSet::new();
        for seed in 0..400 {
            let (graph, args) = random_graph(&mut Rng::new(seed), 12);
            verify(&graph).unwrap_or_else(|why| panic!("seed {seed}: {why}\n{}", print(&graph)));
            let results =
                eval(&graph, &args).unwrap_or_else(|fault| panic!("seed {seed}: {fault:?}\n{}", print(&graph)));
            assert!(
                first_nan(&graph, &args).is_none(),
                "seed {seed}: {:?}\n{}",
                first_nan(&graph, &args),
                print(&graph)
            );
            let text = print(&graph);
            let back = parse(&text).unwrap_or_else(|why| panic!("seed {seed}: {why}\n{text}"));
            assert_eq!(print(&back), text);
            let again = eval(&back, &args).expect("it did not fault before");
            assert!(results.iter().zip(&again).all(|(a, b)| same(a, b)), "seed {seed}");
            seen.extend(graph.eqns.iter().map(|eqn| crate::prims::name(&eqn.op)));
        }
        // Each row is one of many: more Graphs, which need not run, until all have had their turn.
        for seed in 400..6000 {
            if seen.len() == crate::prims::rows().len() {
                break;
            }
            let (graph, _) = random_graph(&mut Rng::new(seed), 12);
            seen.extend(graph.eqns.iter().map(|eqn| crate::prims::name(&eqn.op)));
        }
        let missing: Vec<&str> =
            crate::prims::rows().iter().map(|row| row.name).filter(|name| !seen.contains(name)).collect();
        assert!(missing.is_empty(), "no random Graph uses {missing:?}");
    }

    #[test]
    fn one_seed_gives_one_graph() {
        let text = |seed| print(&random_graph(&mut Rng::new(seed), 20).0);
        assert_eq!(text(5), text(5));
        assert_ne!(text(5), text(6));
    }
}
