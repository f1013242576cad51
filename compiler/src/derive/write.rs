//! Terms to trees: the inverse of `read`, with differences, quotients and the order that a person would write.

use super::convolution::Conv;
use super::rat::Rat;
use super::term::{Id, Ix, Op, Shape, Terms};
use super::tree;
use crate::source::Span;
use crate::syntax::ast::{Arg, ArgValue, BinaryOp, Expr, ExprKind, Index, ScalarKind, Symbol, Type, TypeKind};
use crate::types::dim::{Dim, Poly};

/// How a term is written.
pub struct Writer<'a> {
    pub terms: &'a Terms,
    /// What stands for each block; its own name if none is given.
    pub blocks: &'a [Option<Expr>],
}

/// The tree of a term.
pub fn write(terms: &Terms, id: Id) -> Expr {
    Writer { terms, blocks: &[] }.write(id)
}

/// The text of a term.
pub fn text(terms: &Terms, id: Id) -> String {
    crate::syntax::pretty::expr(&write(terms, id))
}

impl Writer<'_> {
    pub fn write(&self, id: Id) -> Expr {
        let args = self.terms.args(id);
        match self.terms.op(id) {
            Op::Number(value) => self.number_term(id, *value),
            Op::Literal(text) => tree::parse(text).unwrap_or_else(|| tree::name(text)),
            Op::Name(name) => name_or_dim(name),
            Op::Block(block) => match self.blocks.get(*block) {
                Some(Some(value)) => value.clone(),
                _ => tree::name(self.terms.block_name(*block)),
            },
            Op::Scale(factor) => self.scaled(*factor, args[0]),
            Op::Add => self.sum(&args),
            Op::Mul => self.quotient(Rat::ONE, id),
            Op::Pow => match self.terms.as_number(args[1]) {
                Some(power) if power.is_negative() => self.quotient(Rat::ONE, id),
                _ => tree::expr(ExprKind::Pow(Box::new(self.write(args[0])), Box::new(self.write(args[1])))),
            },
            Op::MatMul => tree::expr(ExprKind::MatMul(Box::new(self.write(args[0])), Box::new(self.write(args[1])))),
            Op::Transpose => tree::expr(ExprKind::Transpose(Box::new(self.write(args[0])))),
            Op::Call(name) => tree::call(name, args.iter().map(|arg| self.write(*arg)).collect()),
            Op::Along(name, axis) => tree::expr(ExprKind::Call {
                func: Box::new(tree::name(name)),
                args: vec![
                    tree::arg(self.write(args[0])),
                    Arg {
                        name: Some(tree::named("axis")),
                        value: ArgValue::Expr(tree::int(*axis as i64)),
                        span: Span::NONE,
                    },
                ],
            }),
            Op::Rows(name) => tree::expr(ExprKind::Call {
                func: Box::new(tree::name(name)),
                args: vec![Arg { name: None, value: ArgValue::Each(1, self.write(args[0])), span: Span::NONE }],
            }),
            Op::Conv(conv) => self.convolution(conv, &args),
            Op::Stack => tree::expr(ExprKind::Array(args.iter().map(|arg| self.write(*arg)).collect())),
            Op::Index(indices) => tree::expr(ExprKind::Index {
                base: Box::new(self.write(args[0])),
                indices: self.indices(args[0], indices),
            }),
            Op::Opaque(key, names) => {
                let values: Vec<(Symbol, Expr)> =
                    names.iter().cloned().zip(args.iter().map(|arg| self.write(*arg))).collect();
                tree::put(&self.terms.opaque_expr(key), &values)
            }
            Op::Gradient(block) => {
                let derivative = tree::call("grad", vec![self.function(*block, args[0])]);
                tree::apply(derivative, vec![self.write(args[1])])
            }
            Op::Adjoint(block) => {
                let transposed = tree::call("vjp", vec![self.function(*block, args[0])]);
                let at = zeros(self.terms.block_shape(*block));
                tree::apply(tree::apply(transposed, vec![at]), vec![self.write(args[1])])
            }
        }
    }

    fn convolution(&self, conv: &Conv, args: &[Id]) -> Expr {
        let unnamed = args.len() - conv.named.len();
        let written = args.iter().enumerate().map(|(i, arg)| {
            let value = self.write(*arg);
            match i.checked_sub(unnamed) {
                Some(at) => {
                    Arg { name: Some(tree::named(&conv.named[at])), value: ArgValue::Expr(value), span: Span::NONE }
                }
                None if conv.mapped && i < 2 => Arg { name: None, value: ArgValue::Each(1, value), span: Span::NONE },
                None => tree::arg(value),
            }
        });
        tree::expr(ExprKind::Call { func: Box::new(tree::name(conv.name())), args: written.collect() })
    }

    /// `fn(y: real[n]) = e`, a function of a block.
    fn function(&self, block: usize, body: Id) -> Expr {
        let own = self.terms.block_name(block);
        let mut blocks: Vec<Option<Expr>> = self.blocks.to_vec();
        blocks.resize(self.terms.block_count().max(block + 1), None);
        blocks[block] = None;
        let body = Writer { terms: self.terms, blocks: &blocks }.write(body);
        tree::lambda(vec![tree::param(own, type_of(self.terms.block_shape(block)))], body)
    }

    fn number_term(&self, id: Id, value: Rat) -> Expr {
        match self.terms.shape(id).as_deref() {
            Some([]) | None => number(value),
            Some(_) if value == Rat::ZERO => zeros(self.terms.shape(id)),
            Some(dims) => {
                let ones = tree::call("ones", dims.iter().map(dim).collect());
                if value == Rat::ONE { ones } else { tree::chain(number(value), vec![(BinaryOp::Mul, ones)]) }
            }
        }
    }

    /// `r * x`, as a chain with what x is a product of.
    fn scaled(&self, factor: Rat, id: Id) -> Expr {
        if factor.is_negative() {
            return tree::expr(ExprKind::Neg(Box::new(self.scaled_abs(factor.neg(), id))));
        }
        self.scaled_abs(factor, id)
    }

    fn scaled_abs(&self, factor: Rat, id: Id) -> Expr {
        if factor == Rat::ONE {
            return self.write(id);
        }
        // c / 2 reads better than 1/2 * c for what has no matrices in it.
        if self.terms.is_scalar(id) && self.terms.is_constant(id) {
            return self.quotient(factor, id);
        }
        let written = self.write(id);
        let operands = match written.kind {
            ExprKind::Chain { first, rest } if matches!(rest[0].0, BinaryOp::Mul | BinaryOp::Div) => {
                let mut operands = vec![(BinaryOp::Mul, *first)];
                operands.extend(rest);
                operands
            }
            kind => vec![(BinaryOp::Mul, tree::expr(kind))],
        };
        tree::chain(number(factor), operands)
    }

    fn sum(&self, parts: &[Id]) -> Expr {
        let negative = |id: Id| match self.terms.op(id) {
            Op::Scale(factor) | Op::Number(factor) => factor.is_negative(),
            _ => false,
        };
        // A positive term first, if there is one.
        let mut order: Vec<Id> = parts.to_vec();
        if negative(order[0])
            && let Some(at) = order.iter().position(|id| !negative(*id))
        {
            let first = order.remove(at);
            order.insert(0, first);
        }
        let rest = order[1..]
            .iter()
            .map(|id| match self.terms.op(*id) {
                Op::Scale(factor) if factor.is_negative() => {
                    (BinaryOp::Sub, self.scaled_abs(factor.neg(), self.terms.args(*id)[0]))
                }
                Op::Number(value) if value.is_negative() => (BinaryOp::Sub, self.number_term(*id, value.neg())),
                _ => (BinaryOp::Add, self.write(*id)),
            })
            .collect();
        tree::chain(self.write(order[0]), rest)
    }

    /// A positive number times a product, with negative powers as divisors.
    fn quotient(&self, factor: Rat, id: Id) -> Expr {
        let mut above: Vec<Expr> = Vec::new();
        let mut below: Vec<Expr> = Vec::new();
        if factor.decimal().is_some() {
            above.push(number(factor));
        } else {
            if factor.num() != 1 {
                above.push(tree::int(factor.num()));
            }
            if factor.den() != 1 {
                below.push(tree::int(factor.den()));
            }
        }
        let factors: Vec<Id> = match self.terms.op(id) {
            Op::Mul => self.terms.args(id).to_vec(),
            _ => vec![id],
        };
        for id in factors {
            let args = self.terms.args(id);
            match self.terms.op(id) {
                Op::Pow => match self.terms.as_number(args[1]) {
                    Some(power) if power.is_negative() => {
                        let base = self.write(args[0]);
                        let power = power.neg();
                        below.push(if power == Rat::ONE {
                            base
                        } else {
                            tree::expr(ExprKind::Pow(Box::new(base), Box::new(number(power))))
                        });
                    }
                    _ => above.push(self.write(id)),
                },
                _ => above.push(self.write(id)),
            }
        }
        if above.is_empty() {
            above.push(tree::int(1));
        }
        let mut above = above.into_iter();
        let first = above.next().unwrap_or_else(|| tree::int(1));
        let mut rest: Vec<(BinaryOp, Expr)> = above.map(|factor| (BinaryOp::Mul, factor)).collect();
        match below.len() {
            0 => {}
            1 => rest.extend(below.into_iter().map(|divisor| (BinaryOp::Div, divisor))),
            _ => {
                let mut below = below.into_iter();
                let divisor = below.next().unwrap_or_else(|| tree::int(1));
                let divisor = tree::chain(divisor, below.map(|factor| (BinaryOp::Mul, factor)).collect());
                rest.push((BinaryOp::Div, divisor));
            }
        }
        tree::chain(first, rest)
    }

    fn indices(&self, base: Id, indices: &[Ix]) -> Vec<Index> {
        let dims = self.terms.shape(base).clone().unwrap_or_default();
        indices
            .iter()
            .enumerate()
            .map(|(i, index)| match index {
                Ix::At(at) => Index::At(poly(at)),
                Ix::Range(start, end) => {
                    let to_end = dims.get(i).and_then(Dim::known) == Some(end);
                    Index::Range {
                        start: (start.as_constant() != Some(0)).then(|| poly(start)),
                        end: (!to_end).then(|| poly(end)),
                        step: None,
                        span: Span::NONE,
                    }
                }
            })
            .collect()
    }
}

/// A number as it is written: an int, a decimal, a fraction.
pub fn number(value: Rat) -> Expr {
    if value.is_negative() {
        return tree::expr(ExprKind::Neg(Box::new(number(value.neg()))));
    }
    if let Some(int) = value.as_int() {
        return tree::int(int);
    }
    match value.decimal() {
        Some(text) => {
            let parsed = text.parse().unwrap_or(f64::NAN);
            tree::expr(ExprKind::Real(parsed, text.into()))
        }
        None => tree::chain(tree::int(value.num()), vec![(BinaryOp::Div, tree::int(value.den()))]),
    }
}

/// A name; a dimension that is a polynomial is the expression that it prints as.
fn name_or_dim(text: &Symbol) -> Expr {
    let number = text.starts_with(|c: char| c.is_ascii_digit());
    if !number && !text.contains(|c: char| "+-*/%( ".contains(c)) {
        return tree::name(text);
    }
    tree::parse(text).unwrap_or_else(|| tree::name(text))
}

fn poly(value: &Poly) -> Expr {
    match value.as_constant() {
        Some(value) => tree::int(value),
        None => name_or_dim(&value.to_string().into()),
    }
}

/// A dimension as an expression.
pub fn dim(value: &Dim) -> Expr {
    value.known().map_or_else(|| tree::expr(ExprKind::Hole), poly)
}

/// Zeros of a shape; `0` for a scalar.
pub fn zeros(shape: &Shape) -> Expr {
    match shape.as_deref() {
        None | Some([]) => tree::int(0),
        Some(dims) => tree::call("zeros", dims.iter().map(dim).collect()),
    }
}

/// `real[m, n]`, if all dimensions are known.
pub fn type_of(shape: &Shape) -> Option<Type> {
    let dims = shape.as_ref()?;
    if dims.iter().any(|dim| dim.known().is_none()) {
        return None;
    }
    let dims = dims.iter().map(dim).collect();
    Some(Type { kind: TypeKind::Array { kind: ScalarKind::Real, dims }, span: Span::NONE })
}

impl Writer<'_> {
    /// The same with an expression in the place of a name.
    pub fn write_with(&self, id: Id, name: &Symbol, value: &Expr) -> Expr {
        tree::put(&self.write(id), &[(name.clone(), value.clone())])
    }
}
