//! Expressions: one arm for each form of the syntax tree.

use super::binding::Fit;
use super::value::{Func, Scope, Value, static_int};
use super::{Ctx, Res, fail};
use crate::builtins;
use crate::diagnostic::Diagnostic;
use crate::ir::graph::{Op, Type, Var};
use crate::source::Span;
use crate::syntax::ast::{self, ExprKind, Index, LetKind, Name, StmtKind, Symbol};
use dp_runtime::tensor::{DType, Tensor};
use std::rc::Rc;

/// The name under which a scope holds a state's value at the start of the pass.
pub(crate) fn previous_name(name: &str) -> Symbol {
    format!("previous {name}").into()
}

impl<'s> Ctx<'s> {
    pub fn expr(&mut self, scope: &Scope, expr: &ast::Expr) -> Res<Value> {
        let outer = std::mem::replace(&mut self.span, expr.span);
        let value = self.expr_at(scope, expr);
        self.span = outer;
        value
    }

    fn expr_at(&mut self, scope: &Scope, expr: &ast::Expr) -> Res<Value> {
        match &expr.kind {
            ExprKind::Int(i) => Ok(Value::Int(*i)),
            ExprKind::Real(v, _) => Ok(self.real_const(*v)),
            ExprKind::Str(s) => Ok(Value::Str(s.clone())),
            ExprKind::Bool(b) => Ok(Value::Bool(*b)),
            ExprKind::Hole => fail("E0312", expr.span, "`?` stands for an expression that is still to be written"),
            ExprKind::Name(name) => self.name(scope, name, expr.span),
            ExprKind::Previous(name) => match scope.find(&previous_name(&name.text)) {
                Some(value) => Ok(value),
                None => fail(
                    "E0302",
                    name.span,
                    format!("`previous {}`: there is no state `{}` here", name.text, name.text),
                ),
            },
            ExprKind::Tuple(items) => {
                Ok(Value::tuple(items.iter().map(|e| self.expr(scope, e)).collect::<Res<Vec<_>>>()?))
            }
            ExprKind::Array(items) => {
                let items = items.iter().map(|e| self.expr(scope, e)).collect::<Res<Vec<_>>>()?;
                self.span = expr.span;
                self.array(&items)
            }
            ExprKind::Comprehension { body, gens } => self.comprehension(scope, body, gens),
            ExprKind::Record(fields) => {
                let mut values = Vec::new();
                for (name, e) in fields {
                    values.push((name.text.clone(), self.expr(scope, e)?));
                }
                Ok(Value::Record(values.into()))
            }
            ExprKind::Block(block) => self.block(scope, block),
            ExprKind::Loop(l) => self.loop_expr(scope, l),
            ExprKind::If { cond, then, otherwise } => self.if_expr(scope, cond, then, otherwise),
            ExprKind::Lambda { params, body } => Ok(Value::func(Func::Lambda {
                params: params.clone(),
                body: body.clone(),
                scope: scope.clone(),
                span: expr.span,
            })),
            ExprKind::Unroll { call, count, backprop, checkpoint, learn } => {
                if let Some(learn) = learn {
                    return Err(Box::new(
                        Diagnostic::error("E0313", learn.span, "`learn` makes a network, which must have a name")
                            .help("write `network NAME = unroll ... learn ...`"),
                    ));
                }
                let mode = self.unroll_mode(scope, count, backprop.as_deref(), checkpoint.as_ref())?;
                self.solver_form(scope, call, mode, expr.span)
            }
            ExprKind::Implicit(call) => self.solver_form(scope, call, super::value::Mode::Implicit, expr.span),
            ExprKind::Trace { call, count, every, record } => {
                let mode = self.trace_mode(scope, count, every.as_deref(), record)?;
                self.solver_form(scope, call, mode, expr.span)
            }
            // All others became solvers before the check.
            ExprKind::Derive { .. } => fail("E0334", expr.span, "`derive` takes the name of a problem"),
            ExprKind::Train(_) => fail("E0314", expr.span, "`train` stands at the top level only"),
            ExprKind::Neg(e) => {
                let value = self.expr(scope, e)?;
                self.neg(&value)
            }
            ExprKind::Not(e) => {
                let value = self.expr(scope, e)?;
                self.not(&value)
            }
            ExprKind::Chain { first, rest } => {
                let mut value = self.expr(scope, first)?;
                for (op, operand) in rest {
                    let right = self.expr(scope, operand)?;
                    self.span = first.span.to(operand.span);
                    value = self.binary(*op, &value, &right)?;
                }
                Ok(value)
            }
            ExprKind::MatMul(a, b) => {
                let (a, b) = (self.expr(scope, a)?, self.expr(scope, b)?);
                self.matmul(&a, &b)
            }
            ExprKind::Pow(a, b) => {
                let (a, b) = (self.expr(scope, a)?, self.expr(scope, b)?);
                self.pow(&a, &b)
            }
            ExprKind::Compare { op, left, right } => {
                let (a, b) = (self.expr(scope, left)?, self.expr(scope, right)?);
                self.compare(*op, &a, &b)
            }
            ExprKind::Transpose(e) => {
                let value = self.expr(scope, e)?;
                self.transpose(&value)
            }
            ExprKind::Call { func, args } => self.call_expr(scope, func, args),
            ExprKind::Index { base, indices } => {
                let base = self.expr(scope, base)?;
                self.index(scope, &base, indices)
            }
            ExprKind::Field { base, name } => {
                let base = self.expr(scope, base)?;
                self.field(&base, name)
            }
            ExprKind::Error => fail("E0201", expr.span, "this expression did not parse"),
        }
    }

    fn name(&mut self, scope: &Scope, name: &Symbol, span: Span) -> Res<Value> {
        if let Some(value) = scope.find(name) {
            return Ok(value);
        }
        let f32 = self.real() == DType::F32;
        match &**name {
            "pi" => return Ok(self.real_const(std::f64::consts::PI)),
            "inf" => return Ok(self.real_const(f64::INFINITY)),
            "tol" => return Ok(self.real_const(if f32 { 1e-4 } else { 1e-8 })),
            "eps" => return Ok(self.real_const(if f32 { f64::from(f32::EPSILON) } else { f64::EPSILON })),
            _ => {}
        }
        match builtins::find(name) {
            Some(builtin) => Ok(Value::func(Func::Builtin(builtin))),
            None => fail("E0301", span, format!("there is no `{name}` here")),
        }
    }

    /// A field of a record or a network.
    pub(crate) fn field(&mut self, base: &Value, name: &Name) -> Res<Value> {
        match base {
            Value::Net(net) => {
                let params = self.net_params(net);
                if &*name.text == "params" {
                    return Ok(params);
                }
                if let Some(part) = net.part(&name.text) {
                    return Ok(Value::Net(std::rc::Rc::new(part)));
                }
                match params.field(&name.text) {
                    Some(value) => Ok(value.clone()),
                    None => {
                        let names: Vec<String> = match &params {
                            Value::Record(fields) => fields.iter().map(|(n, _)| format!("`{n}`")).collect(),
                            _ => Vec::new(),
                        };
                        fail(
                            "E0302",
                            name.span,
                            format!(
                                "network `{}` has no parameter `{}`; it has {}",
                                net.name,
                                name.text,
                                names.join(", ")
                            ),
                        )
                    }
                }
            }
            Value::Record(fields) => match base.field(&name.text) {
                Some(value) => Ok(value.clone()),
                None => {
                    let names: Vec<String> = fields.iter().map(|(n, _)| format!("`{n}`")).collect();
                    fail(
                        "E0302",
                        name.span,
                        format!("this record has no field `{}`; it has {}", name.text, names.join(", ")),
                    )
                }
            },
            Value::Blank => Ok(Value::Blank),
            other => fail("E0302", name.span, format!("{} has no fields", other.describe())),
        }
    }

    /// `[a, b, c]`: a new leading axis.
    fn array(&mut self, items: &[Value]) -> Res<Value> {
        if items.is_empty() {
            return Ok(Value::Tensor(Tensor::full(self.real(), &[0], 0.0)));
        }
        if items.iter().all(|v| matches!(v, Value::Str(_) | Value::List(_))) {
            return Ok(Value::List(items.into()));
        }
        if items.iter().all(|v| matches!(v, Value::Int(_))) {
            let ints = items.iter().map(|v| if let Value::Int(i) = v { *i } else { 0 }).collect();
            return Ok(Value::Tensor(Tensor::from_vec(&[items.len()], ints)));
        }
        let any_real = items.iter().map(|v| self.ty(v)).collect::<Res<Vec<Type>>>()?.iter().any(|t| t.dtype.is_float());
        let items =
            if any_real { items.iter().map(|v| self.to_real(v)).collect::<Res<Vec<_>>>()? } else { items.to_vec() };
        let first = self.ty(&items[0])?;
        for item in &items {
            let ty = self.ty(item)?;
            if ty != first {
                let message = format!(
                    "the elements of an array have one type; found {} and {}",
                    super::ops::show_type(&first),
                    super::ops::show_type(&ty)
                );
                return fail("E0402", self.span, message);
            }
        }
        if let Some(tensor) = stack_concrete(&items, &first) {
            return Ok(Value::Tensor(tensor));
        }
        let mut shape = vec![1];
        shape.extend(&first.shape);
        let rows = items.iter().map(|v| self.reshape(v, &shape)).collect::<Res<Vec<_>>>()?;
        if rows.len() == 1 {
            return Ok(rows.into_iter().next().expect("one row"));
        }
        self.op(Op::Concat { axis: 0 }, &rows)
    }

    pub(crate) fn block(&mut self, scope: &Scope, block: &ast::Block) -> Res<Value> {
        let inner = scope.inner();
        for stmt in &block.stmts {
            match &stmt.kind {
                StmtKind::Let(l) => self.bind_let(&inner, l)?,
                StmtKind::Param(_) => {
                    return fail("E0316", stmt.span, "`param` stands only at the top of a network's block");
                }
                StmtKind::Assign { .. } => {
                    return Err(Box::new(
                        Diagnostic::error(
                            "E0317",
                            stmt.span,
                            "`<-` assigns states, in `loop`, `step` and `update` only",
                        )
                        .help("a new value gets a new name: `let y = ...`"),
                    ));
                }
            }
        }
        match &block.value {
            Some(value) => self.expr(&inner, value),
            None => fail("E0203", block.span, "a block ends with an expression, its value"),
        }
    }

    /// Evaluates a let and binds its names in `scope`.
    pub fn bind_let(&mut self, scope: &Scope, l: &ast::Let) -> Res<()> {
        match &l.kind {
            LetKind::Inits(inits) => {
                for init in inits {
                    let value = self.expr(scope, &init.value)?;
                    self.span = init.value.span;
                    let value = self.bind_value(scope, &init.binder, value)?;
                    scope.bind(&init.binder.name.text, value);
                }
                Ok(())
            }
            LetKind::Tuple(names, e) => {
                let value = self.expr(scope, e)?;
                self.span = e.span;
                let items = self.destructure(&value, names.len())?;
                for (name, item) in names.iter().zip(items) {
                    scope.bind(&name.text, item);
                }
                Ok(())
            }
        }
    }

    /// Checks a value against a binder's type, if it has one.
    pub(crate) fn bind_value(&mut self, scope: &Scope, binder: &ast::Binder, value: Value) -> Res<Value> {
        match &binder.ty {
            Some(ty) => self.bind_type(scope, false, ty, &value, Fit::Broadcast, &format!("`{}`", binder.name.text)),
            None => Ok(value),
        }
    }

    /// The items of a tuple, or the rows of keys.
    pub(crate) fn destructure(&mut self, value: &Value, n: usize) -> Res<Vec<Value>> {
        match value {
            Value::Tuple(items) if items.len() == n => Ok(items.to_vec()),
            Value::Tuple(items) => {
                fail("E0318", self.span, format!("this tuple has {} items, but {n} names are given", items.len()))
            }
            Value::Blank => Ok(vec![Value::Blank; n]),
            Value::Record(fields) if fields.len() == n => Ok(fields.iter().map(|(_, v)| v.clone()).collect()),
            other => {
                let ty = self.ty(other)?;
                if ty.dtype == DType::Key && ty.shape.first() == Some(&n) {
                    return (0..n).map(|i| self.take(other, 0, i)).collect();
                }
                fail("E0318", self.span, format!("only a tuple has parts to name, found {}", self.show(other)))
            }
        }
    }

    /// Element `i` along an axis, which is dropped.
    pub(crate) fn take(&mut self, value: &Value, axis: usize, i: usize) -> Res<Value> {
        let shape = self.shape(value)?;
        let (mut start, mut stop) = (vec![0; shape.len()], shape.clone());
        start[axis] = i;
        stop[axis] = i + 1;
        let row = self.op(Op::Slice { start, stop, stride: vec![1; shape.len()] }, std::slice::from_ref(value))?;
        let mut dropped = shape;
        dropped.remove(axis);
        self.reshape(&row, &dropped)
    }

    fn if_expr(&mut self, scope: &Scope, cond: &ast::Expr, then: &ast::Expr, otherwise: &ast::Expr) -> Res<Value> {
        let value = self.expr(scope, cond)?;
        let known = match &value {
            Value::Bool(b) => Some(*b),
            Value::Tensor(Tensor::Bool(a)) if a.ndim() == 0 => a.first().copied(),
            _ => None,
        };
        if let Some(known) = known {
            return self.expr(scope, if known { then } else { otherwise });
        }
        let ty = self.ty(&value)?;
        if ty.dtype != DType::Bool || !ty.shape.is_empty() {
            return Err(Box::new(
                Diagnostic::error(
                    "E0310",
                    cond.span,
                    format!("`if` decides by one bool, found {}", super::ops::show_type(&ty)),
                )
                .help("`where(mask, a, b)` picks element by element"),
            ));
        }
        self.span = then.span.to(otherwise.span);
        self.branch(&value, |ctx| ctx.expr(scope, then), |ctx| ctx.expr(scope, otherwise))
    }

    /// A `Cond` of two traced sides, brought to common types.
    pub(crate) fn branch(
        &mut self,
        cond: &Value,
        then: impl FnOnce(&mut Ctx<'s>) -> Res<Value>,
        otherwise: impl FnOnce(&mut Ctx<'s>) -> Res<Value>,
    ) -> Res<Value> {
        let span = self.span;
        self.push_frame();
        let first = then(self);
        let first_frame = self.frames.pop().expect("internal error: the frame that was pushed");
        let first = first?;
        self.push_frame();
        let second = otherwise(self);
        let second_frame = self.frames.pop().expect("internal error: the frame that was pushed");
        let second = second?;
        self.span = span;

        // Types first, each read with its frame open.
        self.frames.push(first_frame);
        let first_shape = self.outline(&first)?;
        let first_frame = self.frames.pop().expect("internal error: the frame that was pushed");
        self.frames.push(second_frame);
        let second_shape = self.outline(&second)?;
        let common = self.join(&first_shape, &second_shape)?;
        let (second_vars, template) = self.conform(&second, &common)?;
        let second_frame = self.frames.pop().expect("internal error: the frame that was pushed");
        self.frames.push(first_frame);
        let (first_vars, _) = self.conform(&first, &common)?;
        let first_frame = self.frames.pop().expect("internal error: the frame that was pushed");

        let mut first = self.close(first_frame, first_vars);
        let mut second = self.close(second_frame, second_vars);
        // Both sides take the union of what they capture.
        let mut union: Vec<Var> = first.captures.clone();
        union.extend(second.captures.iter().filter(|v| !first.captures.contains(v)));
        let level = self.level();
        for body in [&mut first, &mut second] {
            let mut params = Vec::new();
            for &outer in &union {
                match body.captures.iter().position(|&c| c == outer) {
                    Some(i) => params.push(body.graph.params[i]),
                    None => {
                        let ty = self.frames[level].builder.ty(outer).clone();
                        params.push(body.graph.fresh(ty));
                    }
                }
            }
            body.graph.params = params;
        }
        let mut args = vec![self.var(cond)?];
        args.extend(&union);
        let outs = self.emit_vars(Op::Cond { then: Rc::new(first.graph), otherwise: Rc::new(second.graph) }, &args)?;
        Ok(super::value::fill(&template, &outs))
    }

    /// A value's structure with the type of each number in it.
    fn outline(&self, value: &Value) -> Res<Outline> {
        Ok(match value {
            Value::Tuple(items) => Outline::Tuple(items.iter().map(|v| self.outline(v)).collect::<Res<_>>()?),
            Value::Record(fields) => {
                Outline::Record(fields.iter().map(|(n, v)| Ok((n.clone(), self.outline(v)?))).collect::<Res<_>>()?)
            }
            other => Outline::Number(self.ty(other)?),
        })
    }

    fn join(&self, a: &Outline, b: &Outline) -> Res<Outline> {
        let differ = |a: String, b: String| {
            fail("E0319", self.span, format!("the two sides of `if` have different types: {a} and {b}"))
        };
        match (a, b) {
            (Outline::Tuple(x), Outline::Tuple(y)) if x.len() == y.len() => {
                Ok(Outline::Tuple(x.iter().zip(y).map(|(x, y)| self.join(x, y)).collect::<Res<_>>()?))
            }
            (Outline::Record(x), Outline::Record(y)) if x.iter().map(|f| &f.0).eq(y.iter().map(|f| &f.0)) => {
                Ok(Outline::Record(
                    x.iter().zip(y).map(|(x, y)| Ok((x.0.clone(), self.join(&x.1, &y.1)?))).collect::<Res<_>>()?,
                ))
            }
            (Outline::Number(x), Outline::Number(y)) => {
                let dtype = match (x.dtype, y.dtype) {
                    (a, b) if a == b => a,
                    (DType::I64, d) | (d, DType::I64) if d.is_float() => d,
                    _ => return differ(super::ops::show_type(x), super::ops::show_type(y)),
                };
                let shape = if x.shape.len() >= y.shape.len() { &x.shape } else { &y.shape };
                let suffix = |s: &[usize]| s.is_empty() || s == &shape[..];
                if !suffix(&x.shape) || !suffix(&y.shape) {
                    return differ(super::ops::show_type(x), super::ops::show_type(y));
                }
                Ok(Outline::Number(Type::new(dtype, shape)))
            }
            _ => fail("E0319", self.span, "the two sides of `if` have different structure"),
        }
    }

    /// The numbers of a value in the order of an outline, converted to its types.
    fn conform(&mut self, value: &Value, outline: &Outline) -> Res<(Vec<Var>, Value)> {
        let mut vars = Vec::new();
        let template = self.conform_into(value, outline, &mut vars)?;
        Ok((vars, template))
    }

    fn conform_into(&mut self, value: &Value, outline: &Outline, vars: &mut Vec<Var>) -> Res<Value> {
        match (value, outline) {
            (Value::Tuple(items), Outline::Tuple(outlines)) => Ok(Value::Tuple(
                items.iter().zip(outlines).map(|(v, o)| self.conform_into(v, o, vars)).collect::<Res<Vec<_>>>()?.into(),
            )),
            (Value::Record(fields), Outline::Record(outlines)) => Ok(Value::Record(
                fields
                    .iter()
                    .zip(outlines)
                    .map(|((n, v), (_, o))| Ok((n.clone(), self.conform_into(v, o, vars)?)))
                    .collect::<Res<Vec<_>>>()?
                    .into(),
            )),
            (number, Outline::Number(ty)) => {
                let number = if ty.dtype.is_float() { self.to_real(number)? } else { number.clone() };
                let number = self.broadcast_to(&number, &ty.shape)?;
                vars.push(self.var(&number)?);
                Ok(Value::Leaf(vars.len() - 1))
            }
            _ => fail("E0319", self.span, "the two sides of `if` have different structure"),
        }
    }

    /// `x[i, a:b]`: ints drop their axis, ranges keep it, int arrays lead the result.
    fn index(&mut self, scope: &Scope, base: &Value, indices: &[Index]) -> Res<Value> {
        let span = self.span;
        match base {
            Value::Blank => return Ok(Value::Blank),
            Value::Tuple(items) | Value::List(items) => {
                let [Index::At(e)] = indices else {
                    return fail("E0407", span, "a tuple or list takes one index");
                };
                let i = self.expr(scope, e)?;
                let i = static_int(&i, e.span, "this index")?;
                return match usize::try_from(i).ok().and_then(|i| items.get(i)) {
                    Some(item) => Ok(item.clone()),
                    None => fail("E0502", e.span, format!("index {i} is out of range for {} items", items.len())),
                };
            }
            _ => {}
        }
        let shape = self.shape(base)?;
        if indices.len() > shape.len() {
            let message = format!("{} indices for an array with {} dimensions", indices.len(), shape.len());
            return fail("E0407", span, message);
        }
        // Static parts become one slice; dynamic indices are gathered from what is left.
        let (mut start, mut stop, mut stride) = (vec![0; shape.len()], shape.clone(), vec![1; shape.len()]);
        let mut dropped = Vec::new();
        let mut dynamic: Vec<(usize, Value)> = Vec::new();
        for (axis, index) in indices.iter().enumerate() {
            let extent = shape[axis];
            match index {
                Index::At(e) => {
                    let value = self.expr(scope, e)?;
                    self.span = span;
                    match value {
                        Value::Int(i) => {
                            let Some(i) = usize::try_from(i).ok().filter(|&i| i < extent) else {
                                return Err(Box::new(
                                    Diagnostic::error(
                                        "E0502",
                                        e.span,
                                        format!("index {i} is out of range for axis {axis} of size {extent}"),
                                    )
                                    .note("indices start at 0"),
                                ));
                            };
                            start[axis] = i;
                            stop[axis] = i + 1;
                            dropped.push(axis);
                        }
                        other => {
                            let ty = self.ty(&other)?;
                            if ty.dtype != DType::I64 {
                                return fail(
                                    "E0310",
                                    e.span,
                                    format!("an index is an int, found {}", super::ops::show_type(&ty)),
                                );
                            }
                            dynamic.push((axis, other));
                        }
                    }
                }
                Index::Range { start: a, end: b, step, span } => {
                    let bound = |ctx: &mut Self, e: &Option<ast::Expr>, default: i64| match e {
                        Some(e) => {
                            let value = ctx.expr(scope, e)?;
                            static_int(&value, e.span, "the bound of a range")
                        }
                        None => Ok(default),
                    };
                    let (a, b, s) = (bound(self, a, 0)?, bound(self, b, extent as i64)?, bound(self, step, 1)?);
                    if a < 0 || b > extent as i64 || a > b || s < 1 {
                        return fail(
                            "E0502",
                            *span,
                            format!("the range {a}:{b} step {s} does not lie in axis {axis} of size {extent}"),
                        );
                    }
                    (start[axis], stop[axis], stride[axis]) = (a as usize, b as usize, s as usize);
                }
            }
        }
        if let (Value::Tensor(t), true) = (base, dynamic.is_empty())
            && t.dtype() == DType::I64
            && dropped.len() == shape.len()
        {
            // An element of a known int array stays static: it may be a size.
            let flat = start.iter().zip(&shape).fold(0, |flat, (&i, &n)| flat * n + i);
            return Ok(Value::Int(t.as_slice::<i64>()[flat]));
        }
        let whole = start.iter().all(|&s| s == 0) && stop == shape && stride.iter().all(|&s| s == 1);
        let mut value =
            if whole { base.clone() } else { self.op(Op::Slice { start, stop, stride }, std::slice::from_ref(base))? };
        if !dropped.is_empty() {
            let sliced = self.shape(&value)?;
            let kept: Vec<usize> = (0..sliced.len()).filter(|a| !dropped.contains(a)).map(|a| sliced[a]).collect();
            value = self.reshape(&value, &kept)?;
        }
        if dynamic.is_empty() {
            return Ok(value);
        }
        // Axes after dropping: renumber, bring the dynamic ones to the front.
        let renumber = |axis: usize| axis - dropped.iter().filter(|&&d| d < axis).count();
        let lead: Vec<usize> = dynamic.iter().map(|(axis, _)| renumber(*axis)).collect();
        let rank = self.shape(&value)?.len();
        let mut perm = lead.clone();
        perm.extend((0..rank).filter(|a| !lead.contains(a)));
        value = self.permute(&value, &perm)?;
        let mut shape_of_indices = Vec::new();
        for (_, index) in &dynamic {
            let own = self.shape(index)?;
            shape_of_indices = self.common_shape(&shape_of_indices, &own, "an index")?;
        }
        let mut args = vec![value];
        for (_, index) in &dynamic {
            args.push(self.broadcast_to(index, &shape_of_indices)?);
        }
        self.op(Op::Gather, &args)
    }
}

/// The structure of a value with the types of its numbers.
pub(crate) enum Outline {
    Number(Type),
    Tuple(Vec<Outline>),
    Record(Vec<(Symbol, Outline)>),
}

/// Stacks concrete tensors of one type.
fn stack_concrete(items: &[Value], ty: &Type) -> Option<Tensor> {
    let mut shape = vec![items.len()];
    shape.extend(&ty.shape);
    if shape.iter().product::<usize>() > 4096 {
        return None;
    }
    let mut values = Vec::new();
    for item in items {
        match item {
            Value::Tensor(t) => values.extend(t.to_f64_vec()),
            Value::Int(i) => values.push(*i as f64),
            _ => return None,
        }
    }
    match ty.dtype {
        DType::F32 => Some(Tensor::from_vec(&shape, values.iter().map(|&v| v as f32).collect())),
        DType::F64 => Some(Tensor::from_vec(&shape, values)),
        DType::I64 | DType::Bool | DType::Key => None,
    }
}
