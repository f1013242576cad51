//! Tree to terms: names looked up, lets and calls inlined, comprehensions and generators turned into operations on whole
//! arrays. What has no place among the operators is kept as it was written, as a function of the terms in it.
//!
//! Inside a comprehension a term has one leading axis for each index that it depends on (`Lanes`): `D[i, j]` is `D` with the
//! axes i and j, `D[j, i]` the same with j and i, so that `sum(D[i, j] * y[j] for j in n)` is found to be `D @ y`.

mod calls;
mod images;
mod index;
mod sums;

use super::catalogue::Catalogue;
use super::rat::Rat;
use super::term::{Id, Op, Shape, Terms};
use crate::source::Span;
use crate::syntax::ast::{self, ArgValue, BinaryOp, Expr, ExprKind, LetKind, Symbol, TypeKind};
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

impl<'a> Reader<'a> {
    pub fn new(terms: &'a mut Terms, catalogue: &'a Catalogue) -> Reader<'a> {
        Reader { terms, catalogue, next_index: 0, depth: 0, stuck: Vec::new() }
    }

    /// The term of an expression.
    pub fn read(&mut self, names: &Names, expr: &Expr) -> Id {
        match self.lanes(names, expr) {
            Ok(lanes) if lanes.axes.is_empty() => lanes.id,
            Ok(_) | Err(Stuck) => {
                self.stuck.push(expr.span);
                self.terms.int(0)
            }
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
                Some(Bound::Term(id)) => self.terms.value_as_dim(*id),
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

    fn lanes(&mut self, names: &Names, expr: &Expr) -> Read {
        let before = self.terms.here.replace(expr.span);
        // The smallest part that has no reading, and no index of what is around it, is kept as it is written.
        let result = self.lanes_of(names, expr).or_else(|Stuck| self.opaque(names, expr).map(plain));
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
                    // D @ Y[i] is a row of Y @ D', D[i] @ A one of D @ A.
                    ([], [_], Some(2), Some(2)) => {
                        let turned = self.terms.transpose(a.id);
                        Ok(Lanes { id: self.terms.matmul(b.id, turned), axes: b.axes })
                    }
                    ([_], [], Some(2), Some(2)) => Ok(Lanes { id: self.terms.matmul(a.id, b.id), axes: a.axes }),
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
            ExprKind::Array(items) if items.len() > 1 => {
                let parts = items.iter().map(|item| self.whole(names, item)).collect::<Result<Vec<Id>, Stuck>>()?;
                let moves = parts.iter().any(|part| !self.terms.is_constant(*part));
                let arrays = parts.iter().all(|part| {
                    self.terms.rank(*part).is_some_and(|rank| rank > 0) && self.terms.same_shape(*part, parts[0])
                });
                match moves && arrays {
                    true => Ok(plain(self.terms.stack(parts))),
                    false => self.opaque(names, expr).map(plain),
                }
            }
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
            left = match op {
                BinaryOp::Add => self.combine(left, right, &|terms, a, b| terms.add(vec![a, b]))?,
                BinaryOp::Sub => self.combine(left, right, &Terms::sub)?,
                BinaryOp::Mul => self.combine(left, right, &|terms, a, b| terms.mul(vec![a, b]))?,
                BinaryOp::Div => self.combine(left, right, &Terms::div)?,
                BinaryOp::IntDiv | BinaryOp::Mod | BinaryOp::And | BinaryOp::Or => return Err(Stuck),
            };
            // A part of a sum has a place of its own; the chain has that of all.
            self.terms.place(left.id, operand.span);
        }
        Ok(left)
    }

    /// An operation on elements of two terms.
    fn combine(&mut self, a: Lanes, b: Lanes, op: &dyn Fn(&mut Terms, Id, Id) -> Id) -> Read {
        let (in_a, in_b) = (self.inner_rank(&a), self.inner_rank(&b));
        if !a.axes.is_empty() && a.axes == b.axes && in_a != in_b {
            // A number for each row meets it in the transpose, where the index is the last axis.
            let id = match (a.axes.len(), in_a, in_b) {
                (1, Some(0), Some(1)) => {
                    let turned = self.terms.transpose(b.id);
                    op(self.terms, a.id, turned)
                }
                (1, Some(1), Some(0)) => {
                    let turned = self.terms.transpose(a.id);
                    op(self.terms, turned, b.id)
                }
                _ => return Err(Stuck),
            };
            return Ok(Lanes { id: self.terms.transpose(id), axes: a.axes });
        }
        let (a, b, axes) = self.align(a, b)?;
        Ok(Lanes { id: op(self.terms, a, b), axes })
    }

    /// The axes of a term besides those of indices.
    fn inner_rank(&self, lanes: &Lanes) -> Option<usize> {
        self.terms.rank(lanes.id).map(|rank| rank - lanes.axes.len().min(rank))
    }

    /// Brings two terms to common axes, as the broadcasting rule pairs them. Where the axes of indices are the same, there are
    /// as many others.
    fn align(&mut self, a: Lanes, b: Lanes) -> Result<(Id, Id, Vec<Axis>), Stuck> {
        let (in_a, in_b) = (self.inner_rank(&a), self.inner_rank(&b));
        if a.axes == b.axes {
            return if a.axes.is_empty() || in_a == in_b { Ok((a.id, b.id, a.axes)) } else { Err(Stuck) };
        }
        let (Some(in_a), Some(in_b)) = (in_a, in_b) else { return Err(Stuck) };
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
