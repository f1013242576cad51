//! Tree to terms: names looked up, lets and calls inlined, comprehensions and generators turned into operations on whole
//! arrays. What has no place among the operators is kept as it was written, as a function of the terms in it.
//!
//! Inside a comprehension a term has one leading axis for each index that it depends on (`Lanes`): `D[i, j]` is `D` with the
//! axes i and j, `D[j, i]` the same with j and i, so that `sum(D[i, j] * y[j] for j in n)` is found to be `D @ y`.

use super::catalogue::Catalogue;
use super::rat::Rat;
use super::term::{Id, Ix, Op, Shape, Terms};
use crate::source::Span;
use crate::syntax::ast::{self, ArgValue, BinaryOp, Expr, ExprKind, Generator, Index, LetKind, Symbol, TypeKind};
use crate::syntax::pretty;
use crate::types::dim::{Dim, Poly};
use std::collections::HashMap;
use std::rc::Rc;

/// Reads expressions into terms.
pub struct Reader<'a> {
    pub terms: &'a mut Terms,
    pub catalogue: &'a Catalogue,
    next_index: usize,
    depth: usize,
    /// Forms that have no reading at all.
    pub stuck: Vec<Span>,
}

/// What a local name stands for.
#[derive(Clone)]
enum Bound {
    Term(Id),
    Index(Axis),
    Function(Rc<Function>),
}

struct Function {
    params: Vec<ast::Param>,
    body: Rc<Expr>,
    scope: Names,
}

/// The local names at a place.
#[derive(Clone, Default)]
pub struct Names(HashMap<Symbol, Bound>);

impl Names {
    pub fn bind(&mut self, name: &Symbol, id: Id) {
        self.0.insert(name.clone(), Bound::Term(id));
    }

    /// The term of a name.
    pub fn term(&self, name: &str) -> Option<Id> {
        match self.0.get(name)? {
            Bound::Term(id) => Some(*id),
            Bound::Index(_) | Bound::Function(_) => None,
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// An index of a comprehension: runs from `start` over `extent` values.
#[derive(Clone, PartialEq)]
struct Axis {
    index: usize,
    start: Poly,
    extent: Poly,
}

/// A term with a leading axis for each of these indices.
#[derive(Clone)]
struct Lanes {
    id: Id,
    axes: Vec<Axis>,
}

/// A form that has no reading by whole arrays.
struct Stuck;

type Read = Result<Lanes, Stuck>;

/// Calls inside calls.
const DEPTH: usize = 64;

impl<'a> Reader<'a> {
    pub fn new(terms: &'a mut Terms, catalogue: &'a Catalogue) -> Reader<'a> {
        Reader { terms, catalogue, next_index: 0, depth: 0, stuck: Vec::new() }
    }

    /// The term of an expression.
    pub fn read(&mut self, names: &Names, expr: &Expr) -> Id {
        match self.lanes(names, expr) {
            Ok(lanes) if lanes.axes.is_empty() => lanes.id,
            Ok(_) | Err(Stuck) => self.opaque(names, expr).unwrap_or_else(|Stuck| {
                self.stuck.push(expr.span);
                self.terms.int(0)
            }),
        }
    }

    /// The names after a let.
    pub fn bind_let(&mut self, names: &mut Names, binding: &ast::Let) {
        match &binding.kind {
            LetKind::Inits(inits) => {
                for init in inits {
                    if let ExprKind::Lambda { params, body } = &init.value.kind {
                        let function = Function { params: params.clone(), body: body.clone(), scope: names.clone() };
                        names.0.insert(init.binder.name.text.clone(), Bound::Function(Rc::new(function)));
                        continue;
                    }
                    let mut id = self.read(names, &init.value);
                    if let Some(ty) = &init.binder.ty {
                        id = self.declared(names, id, ty);
                    }
                    names.bind(&init.binder.name.text, id);
                }
            }
            LetKind::Tuple(targets, value) => {
                if let ExprKind::Tuple(parts) = &value.kind
                    && parts.len() == targets.len()
                {
                    let ids: Vec<Id> = parts.iter().map(|part| self.read(names, part)).collect();
                    for (target, id) in targets.iter().zip(ids) {
                        names.bind(&target.text, id);
                    }
                    return;
                }
                for target in targets {
                    let pick = Expr {
                        kind: ExprKind::Block(ast::Block {
                            stmts: vec![ast::Stmt {
                                kind: ast::StmtKind::Let(binding.clone()),
                                span: binding.span,
                                trivia: ast::Trivia::default(),
                            }],
                            value: Some(Box::new(Expr {
                                kind: ExprKind::Name(target.text.clone()),
                                span: target.span,
                            })),
                            value_trivia: ast::Trivia::default(),
                            span: binding.span,
                        }),
                        span: binding.span,
                    };
                    let id = self.read(names, &pick);
                    names.bind(&target.text, id);
                }
            }
        }
    }

    /// A value with a declared type: a scalar fills the shape.
    fn declared(&mut self, names: &Names, id: Id, ty: &ast::Type) -> Id {
        let Some(shape) = self.shape_of_type(names, ty) else { return id };
        match self.terms.op(id).clone() {
            Op::Number(value) if self.terms.is_scalar(id) => self.terms.number_of(value, Some(shape)),
            _ => id,
        }
    }

    /// The dimensions of a written array type.
    pub fn shape_of_type(&mut self, names: &Names, ty: &ast::Type) -> Shape {
        match &ty.kind {
            TypeKind::Array { dims, .. } => {
                Some(dims.iter().map(|dim| self.dim(names, dim).map_or(Dim::Unknown, Dim::Known)).collect())
            }
            TypeKind::Tuple(_) | TypeKind::Record(_) | TypeKind::Fn { .. } | TypeKind::Error => None,
        }
    }

    /// A dimension: a polynomial in names.
    fn dim(&mut self, names: &Names, expr: &Expr) -> Option<Poly> {
        match &expr.kind {
            ExprKind::Int(value) => Some(Poly::constant(*value)),
            ExprKind::Name(name) => match names.0.get(name) {
                Some(Bound::Term(id)) => self.dim_of_term(*id),
                Some(Bound::Index(_) | Bound::Function(_)) => None,
                None => self.terms.dim(name).known().cloned(),
            },
            ExprKind::Neg(inner) => self.dim(names, inner)?.neg().ok(),
            ExprKind::Chain { first, rest } => {
                let mut value = self.dim(names, first)?;
                for (op, operand) in rest {
                    let operand = self.dim(names, operand)?;
                    value = match op {
                        BinaryOp::Add => value.add(&operand).ok()?,
                        BinaryOp::Sub => value.sub(&operand).ok()?,
                        BinaryOp::Mul => value.mul(&operand).ok()?,
                        BinaryOp::IntDiv => value.int_div(&operand).ok()??,
                        BinaryOp::Mod => value.modulo(&operand).ok()??,
                        BinaryOp::Div | BinaryOp::Or | BinaryOp::And => return None,
                    };
                }
                Some(value)
            }
            ExprKind::Call { func, args } => {
                // size(x, i)
                let ExprKind::Name(function) = &func.kind else { return None };
                let ("size", [of, axis]) = (&**function, args.as_slice()) else { return None };
                let (ArgValue::Expr(of), ArgValue::Expr(axis)) = (&of.value, &axis.value) else { return None };
                let ExprKind::Int(axis) = axis.kind else { return None };
                let of = self.read(names, of);
                self.terms.shape(of).as_ref()?.get(usize::try_from(axis).ok()?)?.known().cloned()
            }
            _ => None,
        }
    }

    fn dim_of_term(&mut self, id: Id) -> Option<Poly> {
        match self.terms.op(id).clone() {
            Op::Number(value) => value.as_int().map(Poly::constant),
            Op::Name(name) if self.terms.is_scalar(id) => self.terms.dim(&name).known().cloned(),
            _ => None,
        }
    }

    fn lanes(&mut self, names: &Names, expr: &Expr) -> Read {
        let before = self.terms.here.replace(expr.span);
        let result = self.lanes_of(names, expr);
        self.terms.here = before;
        if let Ok(lanes) = &result {
            self.terms.place(lanes.id, expr.span);
        }
        result
    }

    fn lanes_of(&mut self, names: &Names, expr: &Expr) -> Read {
        match &expr.kind {
            ExprKind::Int(value) => Ok(plain(self.terms.int(*value))),
            ExprKind::Real(_, text) => Ok(plain(match Rat::of_literal(text) {
                Some(value) => self.terms.number(value),
                None => self.terms.intern(Op::Literal(text.clone()), &[], Some(Vec::new())),
            })),
            ExprKind::Name(name) => match names.0.get(name) {
                Some(Bound::Term(id)) => Ok(plain(*id)),
                Some(Bound::Index(_) | Bound::Function(_)) => Err(Stuck),
                None => Ok(plain(self.global(name))),
            },
            ExprKind::Neg(inner) => {
                let inner = self.lanes(names, inner)?;
                Ok(Lanes { id: self.terms.neg(inner.id), axes: inner.axes })
            }
            ExprKind::Chain { first, rest } => self.chain(names, first, rest),
            ExprKind::MatMul(a, b) => {
                let (a, b) = (self.lanes(names, a)?, self.lanes(names, b)?);
                match (a.axes.as_slice(), b.axes.as_slice(), self.terms.rank(a.id), self.terms.rank(b.id)) {
                    ([], [], _, _) => Ok(plain(self.terms.matmul(a.id, b.id))),
                    // D[i] @ y is an element of D @ y; so is y @ D[i].
                    ([_], [], Some(2), Some(1)) => Ok(Lanes { id: self.terms.matmul(a.id, b.id), axes: a.axes }),
                    ([], [_], Some(1), Some(2)) => Ok(Lanes { id: self.terms.matmul(b.id, a.id), axes: b.axes }),
                    _ => Err(Stuck),
                }
            }
            ExprKind::Pow(base, exponent) => {
                let (base, exponent) = (self.lanes(names, base)?, self.whole(names, exponent)?);
                Ok(Lanes { id: self.terms.pow(base.id, exponent), axes: base.axes })
            }
            ExprKind::Transpose(inner) => {
                let inner = self.whole(names, inner)?;
                Ok(plain(self.terms.transpose(inner)))
            }
            ExprKind::Call { func, args } => self.call(names, expr, func, args),
            ExprKind::Index { base, indices } => self.indexed(names, base, indices),
            ExprKind::Comprehension { body, gens } => self.comprehension(names, body, gens),
            ExprKind::Block(block) => {
                let mut inner = names.clone();
                for stmt in &block.stmts {
                    let ast::StmtKind::Let(binding) = &stmt.kind else { return Err(Stuck) };
                    if matches!(&binding.kind, LetKind::Tuple(_, value) if !matches!(value.kind, ExprKind::Tuple(_))) {
                        return self.opaque(names, expr).map(plain);
                    }
                    self.bind_let(&mut inner, binding);
                }
                match &block.value {
                    Some(value) => self.lanes(&inner, value),
                    None => Err(Stuck),
                }
            }
            _ => self.opaque(names, expr).map(plain),
        }
    }

    /// A term that has no axes of indices.
    fn whole(&mut self, names: &Names, expr: &Expr) -> Result<Id, Stuck> {
        let lanes = self.lanes(names, expr)?;
        if lanes.axes.is_empty() { Ok(lanes.id) } else { Err(Stuck) }
    }

    fn global(&mut self, name: &Symbol) -> Id {
        if let Some(shape) = self.catalogue.shape_of_global(name) {
            self.terms.declare_name(name, Some(shape));
        }
        self.terms.name(name)
    }

    fn chain(&mut self, names: &Names, first: &Expr, rest: &[(BinaryOp, Expr)]) -> Read {
        let mut left = self.lanes(names, first)?;
        for (op, operand) in rest {
            let right = self.lanes(names, operand)?;
            let (a, b, axes) = self.align(left, right)?;
            let id = match op {
                BinaryOp::Add => self.terms.add(vec![a, b]),
                BinaryOp::Sub => self.terms.sub(a, b),
                BinaryOp::Mul => self.terms.mul(vec![a, b]),
                BinaryOp::Div => self.terms.div(a, b),
                BinaryOp::IntDiv | BinaryOp::Mod | BinaryOp::And | BinaryOp::Or => return Err(Stuck),
            };
            // A part of a sum has a place of its own; the chain has that of all.
            self.terms.place(id, operand.span);
            left = Lanes { id, axes };
        }
        Ok(left)
    }

    /// Brings two terms to common axes, as the broadcasting rule pairs them.
    fn align(&mut self, a: Lanes, b: Lanes) -> Result<(Id, Id, Vec<Axis>), Stuck> {
        if a.axes == b.axes {
            return Ok((a.id, b.id, a.axes));
        }
        let inner = |terms: &Terms, lanes: &Lanes| terms.rank(lanes.id).map(|rank| rank - lanes.axes.len().min(rank));
        let (Some(in_a), Some(in_b)) = (inner(self.terms, &a), inner(self.terms, &b)) else { return Err(Stuck) };
        if a.axes.is_empty() && in_a <= in_b {
            return Ok((a.id, b.id, b.axes));
        }
        if b.axes.is_empty() && in_b <= in_a {
            return Ok((a.id, b.id, a.axes));
        }
        if in_a > 0 || in_b > 0 {
            return Err(Stuck);
        }
        if a.axes.ends_with(&b.axes) {
            return Ok((a.id, b.id, a.axes));
        }
        if b.axes.ends_with(&a.axes) {
            return Ok((a.id, b.id, b.axes));
        }
        match (a.axes.as_slice(), b.axes.as_slice()) {
            ([i, j], [k, l]) if i == l && j == k => {
                let turned = self.terms.transpose(b.id);
                Ok((a.id, turned, a.axes))
            }
            // v[i] * A[i, j]: the transposes go together.
            ([i], [k, _]) if i == k => {
                let turned = self.terms.transpose(b.id);
                Ok((a.id, turned, vec![b.axes[1].clone(), b.axes[0].clone()]))
            }
            ([k, _], [i]) if i == k => {
                let turned = self.terms.transpose(a.id);
                Ok((turned, b.id, vec![a.axes[1].clone(), a.axes[0].clone()]))
            }
            _ => Err(Stuck),
        }
    }

    fn indexed(&mut self, names: &Names, base: &Expr, indices: &[Index]) -> Read {
        let base = self.whole(names, base)?;
        let Some(dims) = self.terms.shape(base).clone() else { return Err(Stuck) };
        let mut picks = Vec::new();
        // The axes that remain, of indices or (`None`) of the array itself.
        let mut axes: Vec<Option<Axis>> = Vec::new();
        for (i, dim) in dims.iter().enumerate() {
            let Some(extent) = dim.known().cloned() else { return Err(Stuck) };
            match indices.get(i) {
                None => {
                    picks.push(Ix::Range(Poly::constant(0), extent));
                    axes.push(None);
                }
                Some(Index::Range { start, end, step: None, .. }) => {
                    let start = start.as_ref().map_or(Some(Poly::constant(0)), |start| self.dim(names, start));
                    let end = end.as_ref().map_or(Some(extent), |end| self.dim(names, end));
                    let (Some(start), Some(end)) = (start, end) else { return Err(Stuck) };
                    picks.push(Ix::Range(start, end));
                    axes.push(None);
                }
                Some(Index::Range { .. }) => return Err(Stuck),
                Some(Index::At(at)) => {
                    if let Some((axis, offset)) = self.index_value(names, at) {
                        let (Ok(start), Ok(end)) =
                            (axis.start.add(&offset), axis.start.add(&offset).and_then(|s| s.add(&axis.extent)))
                        else {
                            return Err(Stuck);
                        };
                        if axes.iter().flatten().any(|known| known.index == axis.index) {
                            return Err(Stuck);
                        }
                        picks.push(Ix::Range(start, end));
                        axes.push(Some(axis));
                    } else {
                        let Some(at) = self.dim(names, at) else { return Err(Stuck) };
                        picks.push(Ix::At(at));
                    }
                }
            }
        }
        if indices.len() > dims.len() {
            return Err(Stuck);
        }
        let mut id = self.terms.index(base, picks);
        // Axes of indices lead.
        let first_own = axes.iter().position(Option::is_none).unwrap_or(axes.len());
        if axes[first_own..].iter().any(Option::is_some) {
            if axes.len() != 2 {
                return Err(Stuck);
            }
            id = self.terms.transpose(id);
            axes.swap(0, 1);
        }
        Ok(Lanes { id, axes: axes.into_iter().flatten().collect() })
    }

    /// `i`, `i + 1`, `i - k`: the axis and the offset.
    fn index_value(&mut self, names: &Names, expr: &Expr) -> Option<(Axis, Poly)> {
        match &expr.kind {
            ExprKind::Name(name) => match names.0.get(name)? {
                Bound::Index(axis) => Some((axis.clone(), Poly::constant(0))),
                Bound::Term(_) | Bound::Function(_) => None,
            },
            ExprKind::Chain { first, rest } => {
                let (axis, mut offset) = self.index_value(names, first)?;
                for (op, operand) in rest {
                    let operand = self.dim(names, operand)?;
                    offset = match op {
                        BinaryOp::Add => offset.add(&operand).ok()?,
                        BinaryOp::Sub => offset.sub(&operand).ok()?,
                        _ => return None,
                    };
                }
                Some((axis, offset))
            }
            _ => None,
        }
    }

    fn generators(&mut self, names: &Names, gens: &[Generator]) -> Result<(Names, Vec<Axis>), Stuck> {
        let mut inner = names.clone();
        let mut axes = Vec::new();
        for generator in gens {
            let start = generator.range.start.as_ref().map_or(Some(Poly::constant(0)), |start| self.dim(&inner, start));
            let end = self.dim(&inner, &generator.range.end);
            let (Some(start), Some(end)) = (start, end) else { return Err(Stuck) };
            let Ok(extent) = end.sub(&start) else { return Err(Stuck) };
            let axis = Axis { index: self.next_index, start, extent };
            self.next_index += 1;
            inner.0.insert(generator.name.text.clone(), Bound::Index(axis.clone()));
            axes.push(axis);
        }
        Ok((inner, axes))
    }

    fn comprehension(&mut self, names: &Names, body: &Expr, gens: &[Generator]) -> Read {
        let (inner, axes) = self.generators(names, gens)?;
        let body = self.lanes(&inner, body)?;
        // Outer indices first, then those of this comprehension in its order.
        let own = |axis: &Axis| axes.contains(axis);
        let outer: Vec<Axis> = body.axes.iter().filter(|axis| !own(axis)).cloned().collect();
        let wanted: Vec<Axis> = outer.iter().chain(&axes).cloned().collect();
        if body.axes == wanted {
            return Ok(Lanes { id: body.id, axes: outer });
        }
        match (body.axes.as_slice(), wanted.as_slice()) {
            ([a, b], [c, d]) if a == d && b == c && self.terms.rank(body.id) == Some(2) => {
                Ok(Lanes { id: self.terms.transpose(body.id), axes: outer })
            }
            _ => Err(Stuck),
        }
    }

    /// `sum(e for i in n, ...)`: by linearity over sums, with products of two arrays in the index as matrix products.
    fn sum_over(&mut self, names: &Names, body: &Expr, axes: &[Axis]) -> Read {
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
                let body = self.lanes(names, body)?;
                self.contract(vec![body], axes)
            }
        }
    }

    /// The sum over indices of a product.
    fn contract(&mut self, mut factors: Vec<Lanes>, axes: &[Axis]) -> Read {
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
            // Factors of the same indices are one array.
            let mut joined: Vec<Lanes> = Vec::new();
            for factor in with.drain(..) {
                match joined.iter_mut().find(|known| known.axes == factor.axes) {
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

    fn sum_axis(&mut self, lanes: Lanes, axis: &Axis) -> Read {
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
    fn product_over(&mut self, a: Lanes, b: Lanes, axis: &Axis) -> Read {
        let (Some(rank_a), Some(rank_b)) = (self.terms.rank(a.id), self.terms.rank(b.id)) else { return Err(Stuck) };
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

    fn call(&mut self, names: &Names, expr: &Expr, func: &Expr, args: &[ast::Arg]) -> Read {
        let ExprKind::Name(name) = &func.kind else { return self.opaque(names, expr).map(plain) };
        if let [ast::Arg { name: None, value: ArgValue::Generator { body, gens }, .. }] = args {
            return self.reduction(names, expr, name, body, gens);
        }
        if let [
            ast::Arg { name: None, value: ArgValue::Expr(inner), .. },
            ast::Arg { name: Some(word), value: ArgValue::Expr(axis), .. },
        ] = args
            && &*word.text == "axis"
            && let ExprKind::Int(axis) = axis.kind
            && matches!(&**name, "sum" | "mean" | "max" | "min")
            && !names.has(name)
        {
            let inner = self.whole(names, inner)?;
            let Some(rank) = self.terms.rank(inner) else { return Err(Stuck) };
            let axis = if axis < 0 { axis + rank as i64 } else { axis };
            return match usize::try_from(axis) {
                Ok(axis) if axis < rank && rank > 1 => Ok(plain(self.terms.along(name, inner, axis))),
                Ok(_) if rank == 1 => Ok(plain(self.terms.call(name, vec![inner]))),
                _ => Err(Stuck),
            };
        }
        if let [ast::Arg { name: None, value: ArgValue::Each(1, inner), .. }] = args
            && matches!(&**name, "norm" | "norm1" | "sumsq" | "sum" | "max" | "min")
        {
            let inner = self.whole(names, inner)?;
            return Ok(plain(self.terms.rows(name, inner)));
        }
        if args.iter().any(|arg| !matches!(arg.value, ArgValue::Expr(_))) {
            return self.opaque(names, expr).map(plain);
        }
        let bound = names.0.get(name).cloned();
        match bound {
            Some(Bound::Function(function)) => {
                return self.inlined(names, expr, &function.params, &function.body, &function.scope, args);
            }
            Some(Bound::Term(_) | Bound::Index(_)) => return self.opaque(names, expr).map(plain),
            None => {}
        }
        if args.iter().all(|arg| arg.name.is_none()) {
            let is_builtin = crate::builtins::find(name).is_some() && !self.catalogue.defines(name);
            let kept = is_builtin || self.catalogue.keeps(name);
            if kept {
                return self.known_call(names, expr, name, args);
            }
        }
        if let Some(problem) = self.catalogue.problem(name) {
            // Its value is its objective; constraints would be lost.
            if problem.constraints.is_empty() && !problem.maximize {
                let params: Vec<ast::Param> = problem
                    .params
                    .iter()
                    .cloned()
                    .chain(problem.over.iter().map(|b| ast::Param {
                        name: b.name.clone(),
                        ty: b.ty.clone(),
                        default: None,
                    }))
                    .collect();
                let body = super::tree::block(&problem.lets, problem.objective.clone());
                return self.inlined(names, expr, &params, &body, &Names::default(), args);
            }
        }
        match self.catalogue.function(name) {
            Some(function) => self.inlined(names, expr, &function.params, &function.body, &Names::default(), args),
            None => self.opaque(names, expr).map(plain),
        }
    }

    /// A function of the compiler, or one with a proximal operator.
    fn known_call(&mut self, names: &Names, expr: &Expr, name: &Symbol, args: &[ast::Arg]) -> Read {
        let mut lanes = Vec::new();
        for arg in args {
            let ArgValue::Expr(value) = &arg.value else { return Err(Stuck) };
            lanes.push(self.lanes(names, value)?);
        }
        let indexed = lanes.iter().any(|lanes| !lanes.axes.is_empty());
        let elementwise =
            super::build::ELEMENTWISE.contains(&&**name) || super::build::ELEMENTWISE_MANY.contains(&&**name);
        if !indexed || (elementwise && lanes.len() == 1) {
            let axes = lanes[0].axes.clone();
            let ids: Vec<Id> = lanes.iter().map(|lanes| lanes.id).collect();
            let id = match (&**name, ids.as_slice()) {
                ("size", [of]) => match self.terms.size(*of) {
                    Some(size) => size,
                    None => return self.opaque(names, expr).map(plain),
                },
                // Sizes, draws and functions are not arrays.
                (
                    "zeros" | "ones" | "eye" | "range" | "broadcast" | "reshape" | "permute" | "size" | "first" | "at",
                    _,
                ) => {
                    return self.constructed(names, expr, name, &ids);
                }
                (
                    "grad" | "value_and_grad" | "jvp" | "vjp" | "jacobian" | "hessian" | "hvp" | "svd" | "load"
                    | "flat",
                    _,
                ) => {
                    return self.opaque(names, expr).map(plain);
                }
                _ => {
                    let id = self.terms.call(name, ids);
                    if self.terms.shape(id).is_none() && self.catalogue.keeps(name) {
                        // A function with a proximal operator is one real.
                        let node = self.terms.node(id).clone();
                        self.terms.intern(node.op, &node.args, Some(Vec::new()))
                    } else {
                        id
                    }
                }
            };
            return Ok(Lanes { id, axes });
        }
        let inner_rank = self.terms.rank(lanes[0].id).map(|rank| rank - lanes[0].axes.len().min(rank));
        match (&**name, lanes.as_slice(), inner_rank) {
            // Of one number.
            ("sumsq", [only], Some(0)) => {
                let two = self.terms.int(2);
                Ok(Lanes { id: self.terms.pow(only.id, two), axes: only.axes.clone() })
            }
            ("norm" | "norm1", [only], Some(0)) => {
                Ok(Lanes { id: self.terms.call("abs", vec![only.id]), axes: only.axes.clone() })
            }
            // Of a row.
            ("norm" | "norm1" | "sumsq" | "sum", [only], Some(1)) if only.axes.len() == 1 => {
                Ok(Lanes { id: self.terms.rows(name, only.id), axes: only.axes.clone() })
            }
            (_, [a, b], _) if elementwise => {
                let (a, b, axes) = self.align(a.clone(), b.clone())?;
                Ok(Lanes { id: self.terms.call(name, vec![a, b]), axes })
            }
            _ => Err(Stuck),
        }
    }

    /// `zeros(n)`, `ones(m, n)`, `eye(n)`: shapes are in the arguments.
    fn constructed(&mut self, names: &Names, expr: &Expr, name: &str, ids: &[Id]) -> Read {
        let dims: Option<Vec<Dim>> = ids.iter().map(|id| self.dim_of_term(*id).map(Dim::Known)).collect();
        match (name, dims) {
            ("zeros", Some(dims)) => Ok(plain(self.terms.number_of(Rat::ZERO, Some(dims)))),
            ("ones", Some(dims)) => Ok(plain(self.terms.number_of(Rat::ONE, Some(dims)))),
            ("eye", Some(dims)) if dims.len() == 1 => Ok(plain(self.terms.eye(&dims[0]))),
            _ => self.opaque(names, expr).map(plain),
        }
    }

    fn reduction(&mut self, names: &Names, expr: &Expr, name: &str, body: &Expr, gens: &[Generator]) -> Read {
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

    /// A call of a user's function: its body with the arguments in their places.
    fn inlined(
        &mut self,
        names: &Names,
        expr: &Expr,
        params: &[ast::Param],
        body: &Expr,
        scope: &Names,
        args: &[ast::Arg],
    ) -> Read {
        if self.depth >= DEPTH {
            return self.opaque(names, expr).map(plain);
        }
        let mut inner = scope.clone();
        let mut lifted: Vec<(Id, Id)> = Vec::new();
        for (i, param) in params.iter().enumerate() {
            let named = args.iter().find(|arg| arg.name.as_ref().is_some_and(|name| name.text == param.name.text));
            let positional = args.get(i).filter(|arg| arg.name.is_none());
            let given = match named.or(positional) {
                Some(ast::Arg { value: ArgValue::Expr(value), .. }) => {
                    if let ExprKind::Lambda { params, body } = &value.kind {
                        let function = Function { params: params.clone(), body: body.clone(), scope: names.clone() };
                        inner.0.insert(param.name.text.clone(), Bound::Function(Rc::new(function)));
                        continue;
                    }
                    self.whole(names, value)?
                }
                Some(_) => return Err(Stuck),
                None => match &param.default {
                    Some(default) => self.read(&inner, default),
                    None => return self.opaque(names, expr).map(plain),
                },
            };
            if let Some(ty) = &param.ty {
                self.bind_dims(&mut inner, given, ty);
                let is_scalar = matches!(&ty.kind, TypeKind::Array { dims, .. } if dims.is_empty());
                if is_scalar && !self.terms.is_scalar(given) {
                    // An array for a scalar parameter: the function of each element.
                    let hole = self.terms.scalar_name(&format!("element {} {}", self.next_index, i).into());
                    self.next_index += 1;
                    inner.bind(&param.name.text, hole);
                    lifted.push((hole, given));
                    continue;
                }
            }
            inner.bind(&param.name.text, given);
        }
        self.depth += 1;
        let body = self.lanes(&inner, body);
        self.depth -= 1;
        let body = body?;
        if lifted.is_empty() {
            return Ok(body);
        }
        match self.fill(body.id, &lifted) {
            Some(id) if body.axes.is_empty() => Ok(plain(id)),
            _ => self.opaque(names, expr).map(plain),
        }
    }

    /// Puts arrays in the place of scalars in a term all of whose operations act on each element.
    fn fill(&mut self, id: Id, holes: &[(Id, Id)]) -> Option<Id> {
        if let Some((_, value)) = holes.iter().find(|(hole, _)| *hole == id) {
            return Some(*value);
        }
        let node = self.terms.node(id).clone();
        if node.args.is_empty() {
            return Some(id);
        }
        let args: Vec<Id> = node.args.iter().map(|arg| self.fill(*arg, holes)).collect::<Option<_>>()?;
        if args == *node.args {
            return Some(id);
        }
        let elementwise = match &node.op {
            Op::Scale(_) | Op::Add | Op::Mul | Op::Pow => true,
            Op::Call(name) => {
                super::build::ELEMENTWISE.contains(&&**name)
                    || (super::build::ELEMENTWISE_MANY.contains(&&**name) && args.len() > 1)
            }
            _ => false,
        };
        // Of one number the norm is the absolute value, the sum of squares the square.
        if let Op::Call(name) = &node.op
            && let [arg] = args.as_slice()
        {
            match &**name {
                "norm" | "norm1" => return Some(self.terms.call("abs", vec![*arg])),
                "sumsq" => {
                    let two = self.terms.int(2);
                    return Some(self.terms.pow(*arg, two));
                }
                _ => {}
            }
        }
        elementwise.then(|| self.terms.remake(&node.op, args, &None))
    }

    /// Dimension names of a parameter's type stand for the sizes of its argument.
    fn bind_dims(&mut self, inner: &mut Names, given: Id, ty: &ast::Type) {
        let TypeKind::Array { dims, .. } = &ty.kind else { return };
        let Some(shape) = self.terms.shape(given).clone() else { return };
        for (written, dim) in dims.iter().zip(&shape) {
            if let ExprKind::Name(name) = &written.kind
                && !inner.has(name)
                && dim.known().is_some()
            {
                let size = self.terms.dim_term(dim);
                inner.bind(name, size);
            }
        }
    }

    /// An expression kept as it was written, as a function of the local names in it.
    fn opaque(&mut self, names: &Names, expr: &Expr) -> Result<Id, Stuck> {
        let mut used: Vec<Symbol> = Vec::new();
        crate::types::names_in(expr, &mut |name| {
            if names.has(name) && !used.iter().any(|known| &**known == name) {
                used.push(name.into());
            }
        });
        let mut args = Vec::new();
        for name in &used {
            match &names.0[name] {
                Bound::Term(id) => args.push(*id),
                Bound::Index(_) => return Err(Stuck),
                Bound::Function(_) => return Err(Stuck),
            }
        }
        let key: Symbol = pretty::expr(expr).into();
        self.terms.keep_opaque(&key, expr);
        let span = expr.span;
        let id = self.terms.intern(Op::Opaque(key, used), &args, None);
        self.terms.place(id, span);
        Ok(id)
    }

    /// Gives a name the place and shape that a declaration says.
    pub fn declare(&mut self, names: &mut Names, name: &ast::Name, ty: Option<&ast::Type>) -> Id {
        if let Some(ast::Type { kind: TypeKind::Array { dims, .. }, .. }) = ty {
            for dim in dims {
                crate::types::names_in(dim, &mut |name| {
                    if !names.has(name) {
                        let size = self.terms.scalar_name(&name.into());
                        names.bind(&name.into(), size);
                    }
                });
            }
        }
        let shape = ty.and_then(|ty| self.shape_of_type(names, ty));
        self.terms.declare_name(&name.text, shape);
        self.terms.here = Some(name.span);
        let id = self.terms.name(&name.text);
        self.terms.here = None;
        names.bind(&name.text, id);
        id
    }
}

fn plain(id: Id) -> Lanes {
    Lanes { id, axes: Vec::new() }
}
