//! Comprehensions and reductions over ranges: the body is traced once over scalar indices and batched over the
//! index range. `sum(a * b for k in n)` is built as a product.

use super::value::{Scope, Value, fill, static_int};
use super::{Body, Ctx, Res, fail};
use crate::ad::batch;
use crate::builtins::Builtin;
use crate::ir::builder::Builder;
use crate::ir::graph::{Graph, Op, Type, Var};
use crate::syntax::ast::{self, BinaryOp, ExprKind};
use dp_runtime::tensor::DType;

impl<'s> Ctx<'s> {
    /// `a:b` or `n` as static bounds.
    pub(crate) fn static_range(&mut self, scope: &Scope, range: &ast::Range) -> Res<(i64, usize)> {
        let start = match &range.start {
            Some(e) => {
                let value = self.expr(scope, e)?;
                static_int(&value, e.span, "the start of a range")?
            }
            None => 0,
        };
        let value = self.expr(scope, &range.end)?;
        let end = static_int(&value, range.end.span, "the end of a range")?;
        Ok((start, end.saturating_sub(start).max(0) as usize))
    }

    /// Traces a body over scalar indices; its parameters are the captures, then one index for each generator.
    fn indexed_body(
        &mut self,
        scope: &Scope,
        gens: &[ast::Generator],
        starts: &[i64],
        trace: impl FnOnce(&mut Ctx<'s>, &Scope) -> Res<Value>,
    ) -> Res<(Body, Value)> {
        let indices = vec![Type::scalar(DType::I64); gens.len()];
        self.body(&indices, |ctx, vars| {
            let inner = scope.inner();
            for ((generator, var), &start) in gens.iter().zip(vars).zip(starts) {
                let index = if start == 0 { var.clone() } else { ctx.binary(BinaryOp::Add, var, &Value::Int(start))? };
                inner.bind(&generator.name.text, index);
            }
            let value = trace(ctx, &inner)?;
            let mut vars = Vec::new();
            let template = ctx.all_leaves(&value, &mut vars)?;
            Ok((vars, template))
        })
    }

    /// Like `collect_leaves`, but static numbers become leaves as well: the results of a mapped body.
    pub(crate) fn all_leaves(&mut self, value: &Value, vars: &mut Vec<Var>) -> Res<Value> {
        match value {
            Value::Tuple(items) => {
                Ok(Value::Tuple(items.iter().map(|v| self.all_leaves(v, vars)).collect::<Res<Vec<_>>>()?.into()))
            }
            Value::Record(fields) => Ok(Value::Record(
                fields.iter().map(|(n, v)| Ok((n.clone(), self.all_leaves(v, vars)?))).collect::<Res<Vec<_>>>()?.into(),
            )),
            number => {
                vars.push(self.var(number)?);
                Ok(Value::Leaf(vars.len() - 1))
            }
        }
    }

    /// Batches a body over its trailing index parameters, the last one innermost, and inlines it: one leading axis a generator.
    fn map_indices(&mut self, body: Body, counts: &[usize]) -> Res<Vec<Value>> {
        let captures = body.captures.len();
        let mut graph = body.graph;
        for (i, &count) in counts.iter().enumerate().rev() {
            let results = graph.results.len();
            graph = batch_over_index(&graph, captures + i, count);
            debug_assert_eq!(graph.results.len(), results);
        }
        Ok(self.inline(&graph, &body.captures))
    }

    pub(crate) fn comprehension(&mut self, scope: &Scope, body: &ast::Expr, gens: &[ast::Generator]) -> Res<Value> {
        let span = self.span;
        let bounds = gens.iter().map(|g| self.static_range(scope, &g.range)).collect::<Res<Vec<_>>>()?;
        let starts: Vec<i64> = bounds.iter().map(|b| b.0).collect();
        let counts: Vec<usize> = bounds.iter().map(|b| b.1).collect();
        self.check_size(&counts, DType::I64)?;
        let (traced, template) = self.indexed_body(scope, gens, &starts, |ctx, inner| {
            let value = ctx.expr(inner, body)?;
            Ok(ctx.carry(value))
        })?;
        self.span = span;
        for &result in &traced.graph.results {
            let ty = traced.graph.ty(result);
            let mut shape = counts.clone();
            shape.extend(&ty.shape);
            self.check_size(&shape, ty.dtype)?;
        }
        let leaves = self.map_indices(traced, &counts)?;
        Ok(self.release(fill(&template, &leaves), &counts))
    }

    /// `sum(e for i in n, ...)` and the like.
    pub(crate) fn reduction(
        &mut self,
        scope: &Scope,
        builtin: Builtin,
        body: &ast::Expr,
        gens: &[ast::Generator],
    ) -> Res<Value> {
        let span = self.span;
        if builtin == Builtin::Sum
            && let [generator] = gens
            && let Some(value) = self.sum_of_products(scope, body, generator)?
        {
            return Ok(value);
        }
        let stacked = self.comprehension(scope, body, gens)?;
        self.span = span;
        let axes: Vec<usize> = (0..gens.len()).collect();
        self.reduce(builtin, &stacked, Some(&axes))
    }

    /// `sum(a * b for k in n)` where both factors depend on k, one is a scalar or both are: a matrix product.
    fn sum_of_products(&mut self, scope: &Scope, body: &ast::Expr, generator: &ast::Generator) -> Res<Option<Value>> {
        let ExprKind::Chain { first, rest } = &body.kind else { return Ok(None) };
        let Some(((BinaryOp::Mul, last), init)) = rest.split_last().map(|((op, e), init)| ((*op, e), init)) else {
            return Ok(None);
        };
        if init.iter().any(|(op, _)| !matches!(op, BinaryOp::Mul | BinaryOp::Div)) {
            return Ok(None);
        }
        let left = if init.is_empty() {
            (**first).clone()
        } else {
            let span = first.span.to(init.last().expect("not empty").1.span);
            ast::Expr { kind: ExprKind::Chain { first: first.clone(), rest: init.to_vec() }, span }
        };
        let (start, count) = self.static_range(scope, &generator.range)?;
        self.check_size(&[count], DType::I64)?;
        let gens = std::slice::from_ref(generator);
        let (traced, _) = self.indexed_body(scope, gens, &[start], |ctx, inner| {
            let a = ctx.expr(inner, &left)?;
            let b = ctx.expr(inner, last)?;
            Ok(Value::tuple(vec![a, b]))
        })?;
        let types = traced.graph.result_types();
        let [ta, tb] = &types[..] else { return Ok(None) };
        let index = *traced.graph.params.last().expect("the index is a parameter");
        let depends = dependence(&traced.graph, index);
        let both = traced.graph.results.iter().all(|v| depends[v.0 as usize]);
        if !both || !ta.dtype.is_float() || !tb.dtype.is_float() || (!ta.shape.is_empty() && !tb.shape.is_empty()) {
            return Ok(None);
        }
        let shape: Vec<usize> = ta.shape.iter().chain(&tb.shape).copied().collect();
        let width: usize = shape.iter().product();
        let swap = tb.shape.is_empty() && !ta.shape.is_empty();
        let stacked = self.map_indices(traced, &[count])?;
        let (weights, rows) = if swap { (&stacked[1], &stacked[0]) } else { (&stacked[0], &stacked[1]) };
        let weights = self.reshape(weights, &[1, count])?;
        let rows = self.reshape(rows, &[count, width])?;
        let product = self.op(Op::Dot { batch: 0 }, &[weights, rows])?;
        Ok(Some(self.reshape(&product, &shape)?))
    }

    /// Reduces over the given axes, or all; `f(x)` and `f(x, axis: i)` too.
    pub(crate) fn reduce(&mut self, builtin: Builtin, value: &Value, axes: Option<&[usize]>) -> Res<Value> {
        let ty = self.ty(value)?;
        let all: Vec<usize> = (0..ty.rank()).collect();
        let axes = axes.unwrap_or(&all).to_vec();
        let count: usize = axes.iter().map(|&a| ty.shape[a]).product();
        let counted = if ty.dtype == DType::Bool && matches!(builtin, Builtin::Sum | Builtin::Mean | Builtin::Prod) {
            self.op(Op::Convert(DType::I64), std::slice::from_ref(value))?
        } else {
            value.clone()
        };
        let dtype = self.ty(&counted)?.dtype;
        let numbers = dtype.is_float() || dtype == DType::I64;
        let needs_bool = matches!(builtin, Builtin::All | Builtin::Any);
        if needs_bool != (dtype == DType::Bool) || (!needs_bool && !numbers) {
            let wanted = if needs_bool { "bools" } else { "numbers" };
            return fail(
                "E0310",
                self.span,
                format!("this reduction needs {wanted}, found {}", super::ops::show_type(&ty)),
            );
        }
        if count == 0 && matches!(builtin, Builtin::Max | Builtin::Min | Builtin::Mean) {
            return fail("E0408", self.span, "the maximum, minimum or mean of no elements does not exist");
        }
        if axes.is_empty() {
            // Of a scalar: the number itself.
            return if builtin == Builtin::Mean { self.to_real(&counted) } else { Ok(counted) };
        }
        match builtin {
            Builtin::Sum => self.op(Op::Sum { axes }, &[counted]),
            Builtin::Mean => {
                let real = self.to_real(&counted)?;
                let sum = self.op(Op::Sum { axes }, &[real])?;
                let n = self.real_const(count as f64);
                self.binary(BinaryOp::Div, &sum, &n)
            }
            Builtin::Prod => self.op(Op::Prod { axes }, &[counted]),
            Builtin::Max => self.op(Op::ReduceMax { axes }, &[counted]),
            Builtin::Min => self.op(Op::ReduceMin { axes }, &[counted]),
            Builtin::All => self.op(Op::All { axes }, &[counted]),
            Builtin::Any => self.op(Op::Any { axes }, &[counted]),
            other => fail("E0310", self.span, format!("{other:?} does not reduce over a range")),
        }
    }
}

/// Batches over one scalar index parameter, which becomes 0, 1, ..., count-1 and leaves the signature.
fn batch_over_index(graph: &Graph, index: usize, count: usize) -> Graph {
    let mut batched = vec![batch::Lane::Same; graph.params.len()];
    batched[index] = batch::Lane::Index;
    map_lanes(graph, &batched, count)
}

/// Maps a Graph over lanes; every result has the leading axis, also those that are the same in all lanes.
pub(crate) fn map_lanes(graph: &Graph, lanes: &[batch::Lane], size: usize) -> Graph {
    let (mut mapped, flags) = batch::batch_lanes(graph, lanes, size);
    if flags.iter().all(|&flag| flag) {
        return mapped;
    }
    let results = std::mem::take(&mut mapped.results);
    let mut builder = Builder { graph: mapped, span: crate::source::Span::NONE };
    let results = results
        .into_iter()
        .zip(flags)
        .map(|(var, flag)| {
            if flag {
                return var;
            }
            let mut shape = vec![size];
            shape.extend(builder.shape(var));
            builder.broadcast_leading(var, &shape)
        })
        .collect();
    builder.finish(results)
}

/// Which variables depend on one.
fn dependence(graph: &Graph, var: Var) -> Vec<bool> {
    let mut depends = vec![false; graph.types.len()];
    depends[var.0 as usize] = true;
    for eqn in &graph.eqns {
        if eqn.args.iter().any(|a| depends[a.0 as usize]) {
            for out in &eqn.outs {
                depends[out.0 as usize] = true;
            }
        }
    }
    depends
}
