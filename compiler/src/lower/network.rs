//! Networks as values: their parameters, calls of those written by hand, their starting values.

use super::value::{Func, Net, NetBody, Scope, SolverForm, Value};
use super::{Ctx, Draws, Lowered, Res, Session, fail, lower_with};
use crate::diagnostic::Diagnostic;
use crate::ir::graph::Op;
use crate::syntax::ast::{self, ExprKind, StmtKind, TypeKind};
use dp_runtime::tensor::Tensor;
use std::cell::RefCell;
use std::rc::Rc;

impl<'s> Ctx<'s> {
    /// The parameters in force: given ones, those of the training step, the current ones.
    pub(crate) fn net_params(&self, net: &Net) -> Value {
        if let Some(params) = &net.at {
            return params.clone();
        }
        if let Some(params) = self.overrides.get(&net.id) {
            return params.clone();
        }
        net.params.borrow().clone()
    }

    /// The block of a network written by hand, its `param` names standing for parameters.
    pub(crate) fn call_hand(
        &mut self,
        decl: &Rc<ast::Network>,
        scope: &Scope,
        params: &Value,
        values: &[Value],
    ) -> Res<Value> {
        let inner = self.bind_params(&decl.params, scope, values)?;
        let mut rest = decl.body.clone();
        rest.stmts.retain(|stmt| !matches!(stmt.kind, StmtKind::Param(_)));
        if let Value::Record(fields) = params {
            for (name, value) in fields.iter() {
                inner.bind(name, value.clone());
            }
        }
        let value = self.in_function(|ctx| ctx.block(&inner, &rest))?;
        match &decl.result {
            Some(ty) => {
                self.span = rest.span;
                let what = format!("the result of `{}`", decl.name.text);
                self.bind_type(&inner, false, ty, &value, super::binding::Fit::Broadcast, &what)
            }
            None => Ok(value),
        }
    }

    /// The starting values of the parameters of a network written by hand.
    fn start_params(&mut self, decl: &ast::Network, scope: &Scope) -> Res<Value> {
        let mut fields = Vec::new();
        let inner = scope.inner();
        for stmt in &decl.body.stmts {
            let StmtKind::Param(inits) = &stmt.kind else { continue };
            for init in inits {
                let name = &init.binder.name;
                self.span = init.value.span;
                let start = self.expr(&inner, &init.value)?;
                let Some(ty) = &init.binder.ty else {
                    return fail(
                        "E0390",
                        name.span,
                        format!(
                            "the parameter `{}` needs a type; instances of templates are not part of this version yet",
                            name.text
                        ),
                    );
                };
                let TypeKind::Array { kind: ast::ScalarKind::Real, dims } = &ty.kind else {
                    return fail("E0311", ty.span, "a parameter is a real or an array of reals");
                };
                self.span = ty.span;
                let shape = self.declared_shape(&inner, dims).map_err(|mut d| {
                    d.notes.push("the dimensions of a parameter are known at its declaration".to_string());
                    d
                })?;
                self.check_size(&shape, self.real())?;
                self.span = init.value.span;
                let value = match &start {
                    Value::Func(_) => {
                        let key = self.draw_key()?;
                        let extents = shape.iter().map(|&n| n as i64).collect();
                        let extents = Value::Tensor(Tensor::from_vec(&[shape.len()], extents));
                        self.call_plain(&start, &[key, extents])?
                    }
                    other => other.clone(),
                };
                self.span = init.value.span;
                let value = self.to_real(&value)?;
                let value = self.broadcast_to(&value, &shape)?;
                inner.bind(&name.text, value.clone());
                fields.push((name.text.clone(), value));
            }
        }
        Ok(Value::Record(fields.into()))
    }

    /// All reals of a value as one vector.
    pub(crate) fn flatten(&mut self, value: &Value) -> Res<Value> {
        let mut vars = Vec::new();
        self.all_leaves(value, &mut vars)?;
        let level = self.level();
        let mut parts = Vec::new();
        for var in vars {
            let value = self.to_real(&Value::Var { level, var })?;
            let n = self.ty(&value)?.len();
            parts.push(self.reshape(&value, &[n])?);
        }
        match parts.len() {
            0 => Ok(Value::Tensor(Tensor::full(self.real(), &[0], 0.0))),
            1 => Ok(parts.swap_remove(0)),
            _ => self.op(Op::Concat { axis: 0 }, &parts),
        }
    }

    /// The inverse of `flatten`, for the structure of `like`.
    pub(crate) fn unflatten(&mut self, flat: &Value, like: &Value) -> Res<Value> {
        let mut offset = 0;
        let value = self.unflatten_from(flat, like, &mut offset)?;
        let total = self.ty(flat)?.len();
        if offset != total {
            return fail(
                "E0412",
                self.span,
                format!("the flat vector has {total} numbers, the parameters have {offset}"),
            );
        }
        Ok(value)
    }

    fn unflatten_from(&mut self, flat: &Value, like: &Value, offset: &mut usize) -> Res<Value> {
        match like {
            Value::Tuple(items) => {
                Ok(Value::tuple(items.iter().map(|v| self.unflatten_from(flat, v, offset)).collect::<Res<Vec<_>>>()?))
            }
            Value::Record(fields) => {
                let mut out = Vec::new();
                for (name, value) in fields.iter() {
                    out.push((name.clone(), self.unflatten_from(flat, value, offset)?));
                }
                Ok(Value::Record(out.into()))
            }
            number => {
                let ty = self.ty(number)?;
                let available = self.ty(flat)?.len();
                if *offset + ty.len() > available {
                    return fail("E0412", self.span, format!("the flat vector has only {available} numbers"));
                }
                let part = self.slice_leading(flat, *offset, *offset + ty.len())?;
                *offset += ty.len();
                self.reshape(&part, &ty.shape)
            }
        }
    }

    /// `at(net, p)` with a record or a flat vector.
    pub(crate) fn net_at(&mut self, net: &Net, params: &Value) -> Res<Value> {
        let current = net.params.borrow().clone();
        let params = match params {
            Value::Record(fields) => {
                let Value::Record(own) = &current else {
                    return fail("E0328", self.span, "this network has no parameters");
                };
                let mut out = Vec::new();
                for (name, value) in own.iter() {
                    let Some((_, given)) = fields.iter().find(|(n, _)| n == name) else {
                        return fail(
                            "E0328",
                            self.span,
                            format!("the record has no field `{name}`, which `{}` needs", net.name),
                        );
                    };
                    let given = self.reals_of(given)?;
                    let (a, b) = (self.ty(&given)?, self.ty(value)?);
                    if a != b {
                        return fail(
                            "E0328",
                            self.span,
                            format!(
                                "`{name}` is {}, but `{}` needs {}",
                                super::ops::show_type(&a),
                                net.name,
                                super::ops::show_type(&b)
                            ),
                        );
                    }
                    out.push((name.clone(), given));
                }
                Value::Record(out.into())
            }
            flat => {
                let flat = self.to_real(flat)?;
                self.unflatten(&flat, &current)?
            }
        };
        Ok(Value::Net(Rc::new(Net { at: Some(params), ..copy(net) })))
    }
}

fn copy(net: &Net) -> Net {
    Net {
        name: net.name.clone(),
        id: net.id,
        body: net.body.clone(),
        params: net.params.clone(),
        first: net.first,
        at: net.at.clone(),
    }
}

/// `first(net, k)`.
pub(crate) fn first_layers(net: &Net, k: usize) -> Value {
    Value::Net(Rc::new(Net { first: Some(k), ..copy(net) }))
}

/// What a network item declares.
pub enum Declaration<'a> {
    Hand(&'a Rc<ast::Network>),
    Alias(&'a ast::Name, &'a ast::Expr),
}

/// Makes a network with its starting parameters; `run` executes a lowered statement.
pub fn init_network(
    session: &mut Session,
    scope: &Scope,
    declaration: Declaration,
    run: &mut dyn FnMut(&mut Session, Lowered) -> Res<Value>,
) -> Res<Value> {
    let id = session.next_network;
    session.next_network += 1;
    match declaration {
        Declaration::Hand(decl) => {
            if decl.template.is_some() {
                return Ok(Value::func(Func::Template { decl: decl.clone(), scope: scope.clone() }));
            }
            let lowered = lower_with(session, &[], decl.name.span, |ctx, _| {
                ctx.draws = Draws::TopLevel;
                ctx.start_params(decl, scope)
            })?;
            let params = run(session, lowered)?;
            Ok(Value::Net(Rc::new(Net {
                name: decl.name.text.clone(),
                id,
                body: Rc::new(NetBody::Hand { decl: decl.clone(), scope: scope.clone() }),
                params: Rc::new(RefCell::new(params)),
                first: None,
                at: None,
            })))
        }
        Declaration::Alias(name, value) => {
            if let ExprKind::Unroll { call, count, backprop, checkpoint, learn: Some(learn) } = &value.kind {
                let mut parts = None;
                let lowered = lower_with(session, &[], value.span, |ctx, _| {
                    let mode = ctx.unroll_mode(scope, count, backprop.as_deref(), checkpoint.as_ref())?;
                    let form = ctx.make_form(scope, call, mode, value.span)?;
                    let (lifts, params) = ctx.lift_lets(&form, learn)?;
                    let args: Vec<Value> = form.args.iter().map(|a| a.value.clone().unwrap_or(Value::Unit)).collect();
                    parts = Some((form, lifts));
                    Ok(Value::tuple(vec![params, Value::tuple(args)]))
                })?;
                let (form, lifted) = parts.expect("set while lowering");
                let Value::Tuple(ran) = run(session, lowered)? else {
                    return fail("E0328", value.span, "internal error: a network's parts");
                };
                let Value::Tuple(args) = &ran[1] else {
                    return fail("E0328", value.span, "internal error: a network's arguments");
                };
                let mut bound = form.args.clone();
                for (slot, arg) in bound.iter_mut().zip(args.iter()) {
                    if slot.value.is_some() {
                        slot.value = Some(arg.clone());
                    }
                }
                let form = SolverForm { args: bound, ..form };
                return Ok(Value::Net(Rc::new(Net {
                    name: name.text.clone(),
                    id,
                    body: Rc::new(NetBody::Unrolled { form: Rc::new(form), lifted }),
                    params: Rc::new(RefCell::new(ran[0].clone())),
                    first: None,
                    at: None,
                })));
            }
            let mut found = None;
            lower_with(session, &[], value.span, |ctx, _| {
                found = Some(ctx.expr(scope, value)?);
                Ok(Value::Unit)
            })?;
            match found {
                Some(Value::Net(net)) => {
                    let params = net.at.clone().unwrap_or_else(|| net.params.borrow().clone());
                    Ok(Value::Net(Rc::new(Net {
                        name: name.text.clone(),
                        id,
                        params: Rc::new(RefCell::new(params)),
                        at: None,
                        ..copy(&net)
                    })))
                }
                Some(other) => Err(Box::new(
                    Diagnostic::error(
                        "E0313",
                        value.span,
                        format!("a network is needed here, found {}", other.describe()),
                    )
                    .help("`network NAME = unroll s(...) for K learn ...` lifts quantities of a solver to parameters"),
                )),
                None => fail("E0313", value.span, "a network is needed here"),
            }
        }
    }
}
