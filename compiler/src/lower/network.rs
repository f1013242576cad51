//! Networks as values: their parameters, calls of those written by hand, their starting values.

use super::call::Arg;
use super::value::{Func, Net, NetBody, Scope, SolverForm, Value};
use super::{Ctx, Draws, Lowered, Res, Session, fail, lower_with};
use crate::diagnostic::Diagnostic;
use crate::ir::graph::Op;
use crate::source::Span;
use crate::syntax::ast::{self, ExprKind, StmtKind, TypeKind};
use dp_runtime::tensor::Tensor;
use std::cell::RefCell;
use std::rc::Rc;

impl<'s> Ctx<'s> {
    /// The parameters in force: given ones, those of the training step, the current ones.
    pub(crate) fn net_params(&self, net: &Net) -> Value {
        match (&net.at, self.overrides.get(&net.id)) {
            (None, Some(params)) => net.part_of(params),
            (Some(_), _) | (None, None) => net.own_params(),
        }
    }

    /// The block of a network written by hand, its `param` names standing for parameters and instances.
    pub(crate) fn call_hand(&mut self, net: &Net, params: &Value, values: &[Value]) -> Res<Value> {
        let NetBody::Hand { decl, scope, .. } = &*net.body else {
            return fail("E0313", self.span, "internal error: a network written by hand");
        };
        let inner = self.bind_params_in(body_scope(decl, scope), &decl.params, values)?;
        let mut rest = decl.body.clone();
        rest.stmts.retain(|stmt| !matches!(stmt.kind, StmtKind::Param(_)));
        // Instances see the parameters in force, not the shared ones.
        let here = Net { at: Some(params.clone()), ..copy(net) };
        if let Value::Record(fields) = params {
            for (name, value) in fields.iter() {
                let part = here.part(name).map(|part| Value::Net(Rc::new(part)));
                inner.bind(name, part.unwrap_or_else(|| value.clone()));
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

    /// An instance of a template, at starting parameters of its own.
    pub(crate) fn instantiate(&mut self, decl: &Rc<ast::Network>, scope: &Scope, args: Vec<Arg>) -> Res<Value> {
        if !matches!(self.draws, Draws::TopLevel) {
            return Err(Box::new(
                Diagnostic::error(
                    "E0316",
                    self.span,
                    format!("`{}` is a network template, and this would make parameters at each call", decl.name.text),
                )
                .help("`param name = template(...)` in a network, or `network NAME = template(...)` at the top level"),
            ));
        }
        let template = decl.template.as_deref().unwrap_or_default();
        let values = self.match_params(template, scope, args, &decl.name.text, decl.name.span)?;
        let inner = self.bind_params(template, scope, &values)?;
        let site = self.span;
        let net = self.fresh(decl, &inner).map_err(|d| super::call::called_from(d, &decl.name.text, site))?;
        Ok(Value::Net(Rc::new(net)))
    }

    /// A network written by hand at its starting parameters. They stand in `at`, so that they may be variables.
    fn fresh(&mut self, decl: &Rc<ast::Network>, scope: &Scope) -> Res<Net> {
        let mut fields = Vec::new();
        let mut parts = Vec::new();
        let inner = scope.inner();
        for stmt in &decl.body.stmts {
            let StmtKind::Param(inits) = &stmt.kind else { continue };
            for init in inits {
                let name = &init.binder.name.text;
                self.span = init.value.span;
                let start = self.expr(&inner, &init.value)?;
                let value = match (&init.binder.ty, &start) {
                    (Some(ty), _) => {
                        let value = self.start_value(&inner, ty, &start, init.value.span)?;
                        inner.bind(name, value.clone());
                        value
                    }
                    // A network given as it is: the parameter is a copy of it.
                    (None, Value::Net(part)) => {
                        inner.bind(name, start.clone());
                        parts.push((name.clone(), Rc::new(Net { at: None, ..copy(part) })));
                        self.net_params(part)
                    }
                    (None, other) => {
                        return Err(Box::new(
                            Diagnostic::error(
                                "E0316",
                                init.binder.name.span,
                                format!("the parameter `{name}` has no type, and its value is {}", other.describe()),
                            )
                            .help(format!(
                                "`param {name}: real[m, n] = ...` is an array, `param {name} = template(...)` an instance"
                            )),
                        ));
                    }
                };
                fields.push((name.clone(), value));
            }
        }
        let id = self.session.next_network;
        self.session.next_network += 1;
        Ok(Net {
            name: decl.name.text.clone(),
            id,
            body: Rc::new(NetBody::Hand { decl: decl.clone(), scope: scope.clone(), parts: parts.into() }),
            params: Rc::new(RefCell::new(Value::Unit)),
            within: Rc::new([]),
            first: None,
            at: Some(Value::Record(fields.into())),
        })
    }

    /// The starting value of one array.
    fn start_value(&mut self, scope: &Scope, ty: &ast::Type, start: &Value, span: Span) -> Res<Value> {
        let TypeKind::Array { kind: ast::ScalarKind::Real, dims } = &ty.kind else {
            return fail("E0311", ty.span, "a parameter is a real or an array of reals");
        };
        self.span = ty.span;
        let shape = self.declared_shape(scope, dims).map_err(|mut d| {
            d.notes.push("the dimensions of a parameter are known at its declaration".to_string());
            d
        })?;
        self.check_size(&shape, self.real())?;
        self.span = span;
        let value = match start {
            Value::Func(_) => {
                let key = self.draw_key()?;
                let extents = shape.iter().map(|&n| n as i64).collect();
                let extents = Value::Tensor(Tensor::from_vec(&[shape.len()], extents));
                self.call_plain(start, &[key, extents])?
            }
            other => other.clone(),
        };
        self.span = span;
        let value = self.to_real(&value)?;
        self.broadcast_to(&value, &shape)
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
        let current = net.own_params();
        let params = match params {
            Value::Record(_) => self.fitting(&net.name, "", params, &current)?,
            flat => {
                let flat = self.to_real(flat)?;
                self.unflatten(&flat, &current)?
            }
        };
        Ok(Value::Net(Rc::new(Net { at: Some(params), ..copy(net) })))
    }

    /// The fields of `given` that a network needs, in its order, with the shapes of `own`.
    fn fitting(&mut self, net: &str, before: &str, given: &Value, own: &Value) -> Res<Value> {
        let Value::Record(fields) = own else {
            return fail("E0328", self.span, format!("`{net}` has no parameters"));
        };
        let mut out = Vec::new();
        for (name, value) in fields.iter() {
            let path = format!("{before}{name}");
            let Some(part) = given.field(name) else {
                return fail("E0328", self.span, format!("the record has no field `{path}`, which `{net}` needs"));
            };
            if let Value::Record(_) = value {
                if !matches!(part, Value::Record(_)) {
                    let message = format!("`{path}` is {}, but `{net}` needs a record", part.describe());
                    return fail("E0328", self.span, message);
                }
                out.push((name.clone(), self.fitting(net, &format!("{path}."), part, value)?));
                continue;
            }
            let part = self.reals_of(part)?;
            let (a, b) = (self.ty(&part)?, self.ty(value)?);
            if a != b {
                let (found, needed) = (super::ops::show_type(&a), super::ops::show_type(&b));
                return fail("E0328", self.span, format!("`{path}` is {found}, but `{net}` needs {needed}"));
            }
            out.push((name.clone(), part));
        }
        Ok(Value::Record(out.into()))
    }
}

/// The scope in which a call of a network binds its parameters. An instance's scope fixes names of dimensions, which a
/// call must not bind anew.
fn body_scope(decl: &ast::Network, scope: &Scope) -> Scope {
    match decl.template {
        Some(_) => scope.snapshot(),
        None => scope.inner(),
    }
}

fn copy(net: &Net) -> Net {
    Net {
        name: net.name.clone(),
        id: net.id,
        body: net.body.clone(),
        params: net.params.clone(),
        within: net.within.clone(),
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
    match declaration {
        Declaration::Hand(decl) => {
            if decl.template.is_some() {
                return Ok(Value::func(Func::Template { decl: decl.clone(), scope: scope.clone() }));
            }
            let lowered =
                lower_with(session, &[], decl.name.span, |ctx, _| Ok(Value::Net(Rc::new(ctx.fresh(decl, scope)?))))?;
            match run(session, lowered)? {
                Value::Net(net) => Ok(own(session, &net, &decl.name.text)),
                _ => fail("E0313", decl.name.span, "internal error: a network"),
            }
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
                let net = Net {
                    name: name.text.clone(),
                    id: 0,
                    body: Rc::new(NetBody::Unrolled { form: Rc::new(form), lifted }),
                    params: Rc::new(RefCell::new(Value::Unit)),
                    within: Rc::new([]),
                    first: None,
                    at: Some(ran[0].clone()),
                };
                return Ok(own(session, &net, &name.text));
            }
            let lowered = lower_with(session, &[], value.span, |ctx, _| ctx.expr(scope, value))?;
            match run(session, lowered)? {
                Value::Net(net) => Ok(own(session, &net, &name.text)),
                other => Err(Box::new(
                    Diagnostic::error(
                        "E0313",
                        value.span,
                        format!("a network is needed here, found {}", other.describe()),
                    )
                    .help("`network NAME = unroll s(...) for K learn ...` lifts quantities of a solver to parameters"),
                )),
            }
        }
    }
}

/// The network with parameters that no other shares: a copy of those that it has.
fn own(session: &mut Session, net: &Net, name: &ast::Symbol) -> Value {
    let id = session.next_network;
    session.next_network += 1;
    Value::Net(Rc::new(Net {
        name: name.clone(),
        id,
        params: Rc::new(RefCell::new(net.own_params())),
        within: Rc::new([]),
        at: None,
        ..copy(net)
    }))
}
