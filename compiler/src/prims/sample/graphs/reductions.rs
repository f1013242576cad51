//! Steps of random Graphs around reductions: several of one elementwise chain, over any axes, also such that lie apart, and of
//! enough elements to fill lanes and blocks.

use super::Maker;
use crate::ir::graph::{Op, Type, Var};

/// How many elements a chain may have that is only reduced.
const LARGE: usize = 6000;

impl Maker<'_> {
    /// An elementwise chain, and two to four reductions of it or of what is made of it. Sometimes the chain is kept, too.
    pub(super) fn reductions(&mut self) {
        let n = self.pool.len();
        let shape = self.reduced_shape();
        let mut chain = self.field(&shape);
        for _ in 0..self.rng.below(4) {
            chain = self.link(chain);
        }
        let mut found = Vec::new();
        for _ in 0..self.rng.range(2, 5) {
            let x = if self.rng.flip() { chain } else { self.link(chain) };
            let axes = self.some_axes(shape.len());
            found.push(self.reduced(x, axes));
        }
        self.pool.truncate(n);
        self.pool.extend(found);
        if self.rng.below(3) == 0 {
            self.pool.push(chain);
        }
    }

    /// One to four axes; a third of the shapes are large, with extents that are no multiples of lanes and blocks.
    fn reduced_shape(&mut self) -> Vec<usize> {
        let rank = self.rng.range(1, 5);
        let mut shape: Vec<usize> = (0..rank).map(|_| self.rng.range(1, 6)).collect();
        if self.rng.below(3) == 0 {
            let at = *self.rng.pick(&[0, rank - 1]);
            shape[at] = *self.rng.pick(&[31, 33, 65, 257, 300, 4099]);
            while shape.iter().product::<usize>() > LARGE {
                let others = (0..rank).filter(|&axis| axis != at);
                let Some(most) = others.max_by_key(|&axis| shape[axis]) else { break };
                shape[most] = 1;
            }
        }
        shape
    }

    /// Axes to reduce over. Where there are three and more, often the first and the last and not all between.
    fn some_axes(&mut self, rank: usize) -> Vec<usize> {
        let mut axes: Vec<usize> = (0..rank).filter(|_| self.rng.flip()).collect();
        if rank > 2 && self.rng.flip() {
            let kept = self.rng.range(1, rank - 1);
            axes =
                (0..rank).filter(|&axis| axis != kept && (axis == 0 || axis + 1 == rank || self.rng.flip())).collect();
        }
        if axes.is_empty() {
            axes.push(self.rng.below(rank));
        }
        axes
    }

    /// Numbers between -1 and 1 that differ from element to element and move with what the Graph has computed.
    fn field(&mut self, shape: &[usize]) -> Var {
        let ty = Type::new(self.float, shape);
        let x = self.float();
        let all: Vec<usize> = (0..self.b.ty(x).rank()).collect();
        let sum = if all.is_empty() { x } else { self.b.sum(x, &all) };
        let sum = self.b.op(Op::Tanh, &[sum]);
        let mut total = self.b.broadcast(sum, shape, &[]);
        for axis in 0..shape.len() {
            let count = self.b.op(Op::Iota { shape: shape.to_vec(), axis }, &[]);
            let count = self.b.convert(count, self.float);
            let rate = self.rng.real(0.1, 1.0);
            let rate = self.b.fill(&ty, rate);
            let part = self.b.mul(count, rate);
            total = self.b.add(total, part);
        }
        self.b.op(Op::Sin, &[total])
    }

    /// One more link of a chain; the numbers at most double.
    fn link(&mut self, x: Var) -> Var {
        let ty = self.b.ty(x).clone();
        let half = self.b.fill(&ty, 0.5);
        match self.rng.below(6) {
            0 => self.b.op(Op::Cos, &[x]),
            1 => {
                let cosine = self.b.op(Op::Cos, &[x]);
                self.b.mul(cosine, x)
            }
            2 => self.b.op(Op::Max, &[x, half]),
            3 => {
                let size = self.b.op(Op::Abs, &[x]);
                self.b.sub(half, size)
            }
            4 => {
                let zero = self.b.zeros(&ty);
                let positive = self.b.op(Op::Lt, &[zero, x]);
                let other = self.b.op(Op::Tanh, &[x]);
                self.b.select(positive, half, other)
            }
            _ => {
                let size = self.b.op(Op::Abs, &[x]);
                let size = self.b.neg(size);
                let other = self.b.op(Op::Exp, &[size]);
                let below = self.b.add(other, half);
                self.b.div(x, below)
            }
        }
    }

    /// A reduction to numbers of moderate size; what is left large is reduced once more.
    fn reduced(&mut self, x: Var, axes: Vec<usize>) -> Var {
        let count: usize = axes.iter().map(|&axis| self.b.shape(x)[axis]).product();
        let result = match self.rng.below(6) {
            0 => self.b.op(Op::ReduceMax { axes }, &[x]),
            1 => self.b.op(Op::ReduceMin { axes }, &[x]),
            2 if count <= 40 => self.b.op(Op::Prod { axes }, &[x]),
            _ => self.mean(x, &axes),
        };
        let rank = self.b.ty(result).rank();
        if self.b.ty(result).len() <= 200 || rank == 0 {
            result
        } else {
            self.mean(result, &(0..rank).collect::<Vec<_>>())
        }
    }

    fn mean(&mut self, x: Var, axes: &[usize]) -> Var {
        let count: usize = axes.iter().map(|&axis| self.b.shape(x)[axis]).product();
        let sum = self.b.sum(x, axes);
        let ty = self.b.ty(sum).clone();
        let share = self.b.fill(&ty, 1.0 / count as f64);
        self.b.mul(sum, share)
    }
}
