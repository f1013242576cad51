//! Reductions over generators: sums of products become matrix products, sums of convolutions convolutions of channels.

use super::{Axis, Lanes, Names, Read, Reader, Stuck, plain};
use crate::syntax::ast::{self, ArgValue, BinaryOp, Expr, ExprKind, Generator};
use crate::types::dim::Dim;

impl Reader<'_> {
    pub(super) fn reduction(
        &mut self,
        names: &Names,
        expr: &Expr,
        name: &str,
        body: &Expr,
        gens: &[Generator],
    ) -> Read {
        let (inner, axes) = self.generators(names, gens)?;
        match name {
            "sum" => self.sum_over(&inner, body, &axes),
            "mean" => {
                let sum = self.sum_over(&inner, body, &axes)?;
                let mut factors = vec![sum.id];
                for axis in &axes {
                    let extent = self.terms.dim_term(&Dim::Known(axis.extent.clone()));
                    let exponent = self.terms.int(-1);
                    factors.push(self.terms.pow(extent, exponent));
                }
                Ok(Lanes { id: self.terms.mul(factors), axes: sum.axes })
            }
            "max" | "min" => {
                let body = self.lanes(&inner, body)?;
                let all = body.axes.len() == axes.len() && body.axes.iter().all(|axis| axes.contains(axis));
                if all && self.terms.rank(body.id) == Some(axes.len()) {
                    return Ok(plain(self.terms.call(name, vec![body.id])));
                }
                Err(Stuck)
            }
            _ => self.opaque(names, expr).map(plain),
        }
    }

    /// `sum(e for i in n, ...)`: by linearity over sums, with products of two arrays in the index as matrix products.
    pub(super) fn sum_over(&mut self, names: &Names, body: &Expr, axes: &[Axis]) -> Read {
        match &body.kind {
            ExprKind::Chain { first, rest } if matches!(rest[0].0, BinaryOp::Add | BinaryOp::Sub) => {
                let mut total = self.sum_over(names, first, axes)?;
                for (op, operand) in rest {
                    let mut part = self.sum_over(names, operand, axes)?;
                    if *op == BinaryOp::Sub {
                        part.id = self.terms.neg(part.id);
                    }
                    let (a, b, joined) = self.align(total, part)?;
                    total = Lanes { id: self.terms.add(vec![a, b]), axes: joined };
                }
                Ok(total)
            }
            ExprKind::Chain { first, rest }
                if rest.iter().all(|(op, _)| matches!(op, BinaryOp::Mul | BinaryOp::Div)) =>
            {
                let mut factors = vec![self.lanes(names, first)?];
                for (op, operand) in rest {
                    let mut factor = self.lanes(names, operand)?;
                    if *op == BinaryOp::Div {
                        let exponent = self.terms.int(-1);
                        factor.id = self.terms.pow(factor.id, exponent);
                    }
                    factors.push(factor);
                }
                self.contract(factors, axes)
            }
            _ => {
                if let Some(summed) = self.summed_channels(names, body, axes) {
                    return Ok(summed);
                }
                if let Some(whole) = self.reduced_wholly(names, body, axes) {
                    return Ok(whole);
                }
                let body = self.lanes(names, body)?;
                self.contract(vec![body], axes)
            }
        }
    }

    /// `sum(sumsq(X[i]) for i in n)` is `sumsq(X)`: a reduction that adds up, of all that its indices reach. `None` if it is
    /// not of this form.
    pub(super) fn reduced_wholly(&mut self, names: &Names, body: &Expr, axes: &[Axis]) -> Option<Lanes> {
        let ExprKind::Call { func, args } = &body.kind else { return None };
        let (ExprKind::Name(name), [ast::Arg { name: None, value: ArgValue::Expr(inside), .. }]) =
            (&func.kind, args.as_slice())
        else {
            return None;
        };
        if !matches!(&**name, "sum" | "sumsq" | "norm1") || names.has(name) || self.catalogue.defines(name) {
            return None;
        }
        let inside = self.lanes(names, inside).ok()?;
        let all = inside.axes.len() == axes.len() && inside.axes.iter().all(|axis| axes.contains(axis));
        all.then(|| plain(self.terms.call(name, vec![inside.id])))
    }

    /// The sum over indices of a product.
    pub(super) fn contract(&mut self, mut factors: Vec<Lanes>, axes: &[Axis]) -> Read {
        let mut outside: Vec<Lanes> = Vec::new();
        for axis in axes.iter().rev() {
            let (mut with, without): (Vec<Lanes>, Vec<Lanes>) =
                factors.into_iter().partition(|factor| factor.axes.contains(axis));
            if with.is_empty() {
                let extent = self.terms.dim_term(&Dim::Known(axis.extent.clone()));
                outside.push(plain(extent));
                factors = without;
                continue;
            }
            // Factors of the same indices are one array, if they are of one rank.
            let mut joined: Vec<Lanes> = Vec::new();
            for factor in with.drain(..) {
                let rank = self.terms.rank(factor.id);
                let known =
                    joined.iter_mut().find(|known| known.axes == factor.axes && self.terms.rank(known.id) == rank);
                match known {
                    Some(known) => known.id = self.terms.mul(vec![known.id, factor.id]),
                    None => joined.push(factor),
                }
            }
            let product = match joined.as_slice() {
                [only] => self.sum_axis(only.clone(), axis)?,
                [a, b] => self.product_over(a.clone(), b.clone(), axis)?,
                _ => return Err(Stuck),
            };
            factors = without;
            factors.push(product);
        }
        let mut result = plain(self.terms.int(1));
        for factor in factors.into_iter().chain(outside) {
            let (a, b, joined) = self.align(result, factor)?;
            result = Lanes { id: self.terms.mul(vec![a, b]), axes: joined };
        }
        Ok(result)
    }

    pub(super) fn sum_axis(&mut self, lanes: Lanes, axis: &Axis) -> Read {
        let rank = self.terms.rank(lanes.id);
        let at = lanes.axes.iter().position(|own| own == axis).unwrap_or(0);
        let rest: Vec<Axis> = lanes.axes.iter().filter(|own| *own != axis).cloned().collect();
        let id = match rank {
            Some(1) => self.terms.call("sum", vec![lanes.id]),
            Some(_) => self.terms.along("sum", lanes.id, at),
            None => return Err(Stuck),
        };
        Ok(Lanes { id, axes: rest })
    }

    /// The sum over k of two factors with different indices: a matrix product.
    pub(super) fn product_over(&mut self, a: Lanes, b: Lanes, axis: &Axis) -> Read {
        let (Some(rank_a), Some(rank_b)) = (self.terms.rank(a.id), self.terms.rank(b.id)) else { return Err(Stuck) };
        // sum(a[i] * Y[i] for i in c) is a @ Y.
        if a.axes == b.axes && a.axes.len() == 1 {
            let id = match (rank_a, rank_b) {
                (1, 2) => self.terms.matmul(a.id, b.id),
                (2, 1) => self.terms.matmul(b.id, a.id),
                _ => return Err(Stuck),
            };
            return Ok(plain(id));
        }
        if rank_a != a.axes.len() || rank_b != b.axes.len() || rank_a > 2 || rank_b > 2 {
            return Err(Stuck);
        }
        // The one with two axes, or whose axis comes from further out, stands left.
        let (a, b) = if rank_a < rank_b { (b, a) } else { (a, b) };
        let left = if a.axes.last() == Some(axis) { a.id } else { self.terms.transpose(a.id) };
        let right = if b.axes.first() == Some(axis) { b.id } else { self.terms.transpose(b.id) };
        let rest = |lanes: &Lanes| lanes.axes.iter().filter(|own| *own != axis).cloned().collect::<Vec<_>>();
        let axes: Vec<Axis> = rest(&a).into_iter().chain(rest(&b)).collect();
        if axes.len() == 2 && axes[0] == axes[1] {
            return Err(Stuck);
        }
        // x @ A is A' @ x.
        Ok(Lanes { id: self.terms.matmul(left, right), axes })
    }
}
