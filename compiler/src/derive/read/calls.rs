//! Calls: functions that the graph knows by their names, and the others called out.

use super::{Bound, Function, Lanes, Names, Read, Reader, Stuck, plain};
use crate::derive::build::{ELEMENTWISE, ELEMENTWISE_MANY};
use crate::derive::convolution::Conv;
use crate::derive::rat::Rat;
use crate::derive::term::{Id, Op};
use crate::derive::tree;
use crate::syntax::ast::{self, ArgValue, Expr, ExprKind, Symbol, TypeKind};
use crate::types::dim::Dim;
use std::rc::Rc;

/// Calls inside calls.
const DEPTH: usize = 64;

impl Reader<'_> {
    pub(super) fn call(&mut self, names: &Names, expr: &Expr, func: &Expr, args: &[ast::Arg]) -> Read {
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
            && !names.has(name)
            && (self.has_rows(name) || (matches!(&**name, "max" | "min") && !self.catalogue.defines(name)))
        {
            let inner = self.whole(names, inner)?;
            return Ok(plain(self.terms.rows(name, inner)));
        }
        if let Some(conv) = Conv::of(name)
            && !names.has(name)
            && !self.catalogue.defines(name)
        {
            return self.convolution(names, conv, args);
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
                let body = tree::block(&problem.lets, problem.objective.clone());
                return self.inlined(names, expr, &params, &body, &Names::default(), args);
            }
        }
        match self.catalogue.function(name) {
            Some(function) => self.inlined(names, expr, &function.params, &function.body, &Names::default(), args),
            None => self.opaque(names, expr).map(plain),
        }
    }

    /// A function of one array with one real as value, which may be taken of each row.
    fn has_rows(&self, name: &str) -> bool {
        match self.catalogue.rule(name) {
            Some(rule) => rule.args.len() == 1,
            None => matches!(name, "norm" | "norm1" | "sumsq" | "sum") && !self.catalogue.defines(name),
        }
    }

    /// A function of the compiler, or one with a proximal operator.
    pub(super) fn known_call(&mut self, names: &Names, expr: &Expr, name: &Symbol, args: &[ast::Arg]) -> Read {
        let mut lanes = Vec::new();
        for arg in args {
            let ArgValue::Expr(value) = &arg.value else { return Err(Stuck) };
            lanes.push(self.lanes(names, value)?);
        }
        let indexed = lanes.iter().any(|lanes| !lanes.axes.is_empty());
        let elementwise = ELEMENTWISE.contains(&&**name) || ELEMENTWISE_MANY.contains(&&**name);
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
            (_, [only], Some(1..)) if only.axes.len() == 1 && self.has_rows(name) => {
                Ok(Lanes { id: self.terms.rows(name, only.id), axes: only.axes.clone() })
            }
            (_, [a, b], _) if elementwise => {
                self.combine(a.clone(), b.clone(), &|terms, a, b| terms.call(name, vec![a, b]))
            }
            _ => Err(Stuck),
        }
    }

    /// `zeros(n)`, `ones(m, n)`, `eye(n)`: shapes are in the arguments.
    pub(super) fn constructed(&mut self, names: &Names, expr: &Expr, name: &str, ids: &[Id]) -> Read {
        let dims: Option<Vec<Dim>> = ids.iter().map(|id| self.terms.value_as_dim(*id).map(Dim::Known)).collect();
        match (name, dims) {
            ("zeros", Some(dims)) => Ok(plain(self.terms.number_of(Rat::ZERO, Some(dims)))),
            ("ones", Some(dims)) => Ok(plain(self.terms.number_of(Rat::ONE, Some(dims)))),
            ("eye", Some(dims)) if dims.len() == 1 => Ok(plain(self.terms.eye(&dims[0]))),
            _ => self.opaque(names, expr).map(plain),
        }
    }

    /// A call of a user's function: its body with the arguments in their places.
    pub(super) fn inlined(
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
        let before = self.terms.count();
        let body = self.lanes(&inner, body);
        self.depth -= 1;
        let body = body?;
        // What the call made stands at the call, not in the function.
        self.terms.moved(body.id, before, expr.span);
        if lifted.is_empty() {
            return Ok(body);
        }
        match self.fill(body.id, &lifted) {
            Some(id) if body.axes.is_empty() => Ok(plain(id)),
            _ => self.opaque(names, expr).map(plain),
        }
    }

    /// Puts arrays in the place of scalars in a term all of whose operations act on each element.
    pub(super) fn fill(&mut self, id: Id, holes: &[(Id, Id)]) -> Option<Id> {
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
            Op::Call(name) => ELEMENTWISE.contains(&&**name) || (ELEMENTWISE_MANY.contains(&&**name) && args.len() > 1),
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
    pub(super) fn bind_dims(&mut self, inner: &mut Names, given: Id, ty: &ast::Type) {
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
}
