//! Random programs with nested loops, conditions and calls: all ways to a derivative agree.

use super::*;
use crate::ir::graph::{CallRule, Scan, Trips};
use std::rc::Rc;

const N: usize = 3;

fn vector() -> Type {
    Type::new(DType::F64, &[N])
}

fn matrix() -> Type {
    Type::new(DType::F64, &[N, N])
}

/// A Graph under construction and what it has so far.
struct Pool {
    b: Builder,
    vectors: Vec<Var>,
    matrices: Vec<Var>,
    /// Scalar integers in 0..N.
    indices: Vec<Var>,
}

impl Pool {
    fn new() -> Pool {
        Pool { b: Builder::default(), vectors: Vec::new(), matrices: Vec::new(), indices: Vec::new() }
    }

    fn param(&mut self, ty: &Type) -> Var {
        let var = self.b.param(ty.clone());
        if *ty == vector() {
            self.vectors.push(var)
        } else {
            self.matrices.push(var)
        }
        var
    }

    /// The last things made are picked most often, so that programs are deep.
    fn vector(&self, rng: &mut Rng) -> Var {
        let recent = self.vectors.len().min(3);
        if rng.flip() { self.vectors[self.vectors.len() - 1 - rng.below(recent)] } else { *rng.pick(&self.vectors) }
    }

    fn matrix(&self, rng: &mut Rng) -> Var {
        *rng.pick(&self.matrices)
    }

    fn index(&mut self, rng: &mut Rng) -> Var {
        if self.indices.is_empty() || rng.flip() {
            let index = self.b.constant(Tensor::scalar(rng.below(N) as i64));
            self.indices.push(index);
        }
        *rng.pick(&self.indices)
    }
}

fn grow(pool: &mut Pool, rng: &mut Rng, steps: usize, depth: usize) {
    for _ in 0..steps {
        let choices = if depth > 0 { 15 } else { 11 };
        match rng.below(choices) {
            0 => {
                let op = rng.pick(&[Op::Sin, Op::Tanh, Op::Sigmoid, Op::Cos, Op::Atan]).clone();
                let x = pool.vector(rng);
                pool.vectors.push(pool.b.op(op, &[x]));
            }
            1 => {
                let op = rng.pick(&[Op::Add, Op::Sub, Op::Mul]).clone();
                let (x, y) = (pool.vector(rng), pool.vector(rng));
                pool.vectors.push(pool.b.op(op, &[x, y]));
            }
            2 | 3 => {
                let (m, x) = (pool.matrix(rng), pool.vector(rng));
                let column = pool.b.reshape(x, &[N, 1]);
                let product = pool.b.op(Op::Dot { batch: 0 }, &[m, column]);
                let y = pool.b.reshape(product, &[N]);
                pool.vectors.push(pool.b.op(Op::Tanh, &[y]));
            }
            4 => {
                let x = pool.vector(rng);
                let sum = pool.b.sum(x, &[0]);
                let sin = pool.b.op(Op::Sin, &[sum]);
                pool.vectors.push(pool.b.broadcast(sin, &[N], &[]));
            }
            5 => {
                let (m, i) = (pool.matrix(rng), pool.index(rng));
                pool.vectors.push(pool.b.op(Op::Gather, &[m, i]));
            }
            6 => {
                let (m, x, i) = (pool.matrix(rng), pool.vector(rng), pool.index(rng));
                pool.matrices.push(pool.b.op(Op::Update, &[m, x, i]));
            }
            7 => {
                let (m, x) = (pool.matrix(rng), pool.vector(rng));
                let rows = pool.b.broadcast(x, &[N, N], &[rng.below(2)]);
                let op = rng.pick(&[Op::Add, Op::Mul]).clone();
                pool.matrices.push(pool.b.op(op, &[m, rows]));
            }
            8 => {
                let (m, k) = (pool.matrix(rng), pool.matrix(rng));
                let product = pool.b.op(Op::Dot { batch: 0 }, &[m, k]);
                let product = pool.b.transpose_last(product);
                pool.matrices.push(pool.b.op(Op::Tanh, &[product]));
            }
            9 => {
                let mask = pool.b.constant(Tensor::from_vec(&[N], (0..N).map(|_| rng.flip()).collect()));
                let (x, y) = (pool.vector(rng), pool.vector(rng));
                pool.vectors.push(pool.b.select(mask, x, y));
            }
            10 => {
                let (x, y) = (pool.vector(rng), pool.vector(rng));
                pool.vectors.push(pool.b.op(Op::Max, &[x, y]));
            }
            11 | 12 => random_loop(pool, rng, depth),
            13 => {
                let (then, otherwise) = (random_body(rng, depth), random_body(rng, depth));
                let pred = pool.b.constant(Tensor::scalar(rng.flip()));
                let mut args = vec![pred];
                args.extend(body_args(pool, rng));
                let outs = pool.b.emit(Op::Cond { then, otherwise }, &args);
                keep(pool, &outs);
            }
            _ => {
                let body = random_body(rng, depth);
                let rule = rng.pick(&[CallRule::Inline, CallRule::Recompute]).clone();
                let args = body_args(pool, rng);
                let outs = pool.b.emit(Op::Call { body, rule }, &args);
                keep(pool, &outs);
            }
        }
    }
}

/// Two vectors and a matrix to a vector and a matrix.
fn random_body(rng: &mut Rng, depth: usize) -> Rc<Graph> {
    let mut inner = Pool::new();
    for ty in [vector(), vector(), matrix()] {
        inner.param(&ty);
    }
    grow(&mut inner, rng, 4, depth - 1);
    let results = vec![inner.vector(rng), inner.matrix(rng)];
    Rc::new(inner.b.finish(results))
}

fn body_args(pool: &Pool, rng: &mut Rng) -> Vec<Var> {
    vec![pool.vector(rng), pool.vector(rng), pool.matrix(rng)]
}

fn keep(pool: &mut Pool, outs: &[Var]) {
    pool.vectors.push(outs[0]);
    pool.matrices.push(outs[1]);
}

/// Constants: a matrix and a vector; carries: a vector and a matrix; a stacked vector; a stacked result.
fn random_loop(pool: &mut Pool, rng: &mut Rng, depth: usize) {
    let trips = *rng.pick(&[Trips::All, Trips::All, Trips::Input, Trips::Until]);
    let reverse = trips != Trips::Until && rng.flip();
    let mut inner = Pool::new();
    for ty in [matrix(), vector(), vector(), matrix()] {
        inner.param(&ty);
    }
    let counter = inner.b.param(Type::scalar(DType::I64));
    inner.indices.push(counter);
    inner.param(&vector());
    let steps = 2 + rng.below(5);
    grow(&mut inner, rng, steps, depth - 1);
    let mut results = vec![inner.vector(rng), inner.matrix(rng), inner.vector(rng)];
    if trips == Trips::Until {
        let x = inner.vector(rng);
        let total = inner.b.sum(x, &[0]);
        let limit = inner.b.scalar(DType::F64, 0.4);
        results.push(inner.b.op(Op::Lt, &[limit, total]));
    }
    let body = Rc::new(inner.b.finish(results));
    // At most N passes, so that the counter is an index.
    let op = Op::Scan(Scan { body, consts: 2, carries: 2, cap: N, trips, reverse });
    let mut args = vec![pool.matrix(rng), pool.vector(rng), pool.vector(rng), pool.matrix(rng), pool.matrix(rng)];
    if trips == Trips::Input {
        args.push(pool.b.constant(Tensor::scalar(rng.below(N + 1) as i64)));
    }
    let outs = pool.b.emit(op, &args);
    keep(pool, &outs);
    pool.matrices.push(outs[2]);
}

#[test]
fn random_programs_have_one_derivative() {
    let types = [vector(), matrix(), vector(), matrix()];
    let mut checked = 0;
    for seed in 0..120 {
        let mut rng = Rng::new(seed);
        let mut pool = Pool::new();
        for ty in &types {
            pool.param(ty);
        }
        grow(&mut pool, &mut rng, 8, 2);
        let results = vec![pool.vector(&mut rng), pool.matrix(&mut rng)];
        let graph = pool.b.finish(results);
        let lanes: Vec<Vec<Tensor>> =
            (0..3).map(|_| types.iter().map(|ty| rng.tensor_in(ty.dtype, &ty.shape, -1.0, 1.0)).collect()).collect();
        let gradient = grad_graph(&scalarized(&graph, &mut rng), &[true; 4]).expect("a gradient");
        let args = &lanes[0];
        if !is_smooth_at(&graph, args) || !is_smooth_at(&gradient, args) {
            continue;
        }
        checked += 1;
        check_derivatives(&format!("program {seed}"), &graph, args);
        for mapped in [[true; 4], [true, false, false, true], [false, true, false, false]] {
            check_batch(&format!("program {seed}"), &graph, &lanes, &mapped);
            check_batch(&format!("gradient of program {seed}"), &gradient, &lanes, &mapped);
        }
    }
    assert!(checked >= 60, "{checked} programs are smooth where they were tried");
}
