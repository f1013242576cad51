//! Calls: arguments to parameters, lifting of scalar functions, `each`, open arguments, user derivatives.

use super::binding::Fit;
use super::reduce::map_lanes;
use super::value::{Func, NetBody, PartialArg, Scope, SolverForm, Value, fill};
use super::{Ctx, Res, fail};
use crate::ad::batch;
use crate::diagnostic::Diagnostic;
use crate::ir::graph::{Type, Var};
use crate::source::Span;
use crate::syntax::ast::{self, ArgValue, ScalarKind, Symbol, TypeKind};
use std::rc::Rc;

/// One evaluated argument.
#[derive(Clone)]
pub(crate) struct Arg {
    pub name: Option<Symbol>,
    pub value: Value,
    /// How many leading axes `each` maps over.
    pub each: usize,
    pub span: Span,
}

impl Arg {
    pub fn plain(value: Value, span: Span) -> Arg {
        Arg { name: None, value, each: 0, span }
    }
}

impl<'s> Ctx<'s> {
    pub(crate) fn call_expr(&mut self, scope: &Scope, func: &ast::Expr, args: &[ast::Arg]) -> Res<Value> {
        let span = self.span;
        let callee = self.expr(scope, func)?;
        if let [ast::Arg { value: ArgValue::Generator { body, gens }, .. }] = args {
            return match &callee {
                Value::Func(f) => match &**f {
                    Func::Builtin(b) => self.reduction(scope, *b, body, gens),
                    other => fail("E0310", span, format!("{} does not reduce over a range", other.name())),
                },
                other => fail("E0310", span, format!("{} is not a function", other.describe())),
            };
        }
        let mut open = false;
        let mut values = Vec::new();
        for arg in args {
            let name = arg.name.as_ref().map(|n| n.text.clone());
            // `wrt: D` names a parameter; it is not evaluated.
            if name.as_deref() == Some("wrt")
                && let ArgValue::Expr(e) = &arg.value
            {
                values.push(Arg { name, value: wrt_names(e)?, each: 0, span: arg.span });
                continue;
            }
            let (value, each) = match &arg.value {
                ArgValue::Blank => {
                    open = true;
                    (Value::Blank, 0)
                }
                ArgValue::Expr(e) => (self.expr(scope, e)?, 0),
                ArgValue::Each(n, e) => (self.expr(scope, e)?, *n),
                ArgValue::Generator { .. } => {
                    return fail("E0320", arg.span, "`e for i in n` is the only argument of a reduction");
                }
            };
            values.push(Arg { name, value, each, span: arg.span });
        }
        self.span = span;
        if let Value::Func(f) = &callee
            && matches!(**f, Func::Builtin(crate::builtins::Builtin::Prox))
        {
            return self.prox_call(scope, &values);
        }
        if open {
            let args = values
                .into_iter()
                .map(|a| PartialArg { name: a.name, value: (!matches!(a.value, Value::Blank)).then_some(a.value) })
                .collect();
            return Ok(Value::func(Func::Partial { func: callee, args }));
        }
        self.call_value(&callee, values)
    }

    /// Calls with `each` marks.
    pub(crate) fn call_value(&mut self, callee: &Value, args: Vec<Arg>) -> Res<Value> {
        let depth = args.iter().map(|a| a.each).max().unwrap_or(0);
        if depth == 0 {
            return self.call(callee, args);
        }
        let span = self.span;
        let marked: Vec<usize> = (0..args.len()).filter(|&i| args[i].each > 0).collect();
        let mut count = None;
        let mut leaves: Vec<Value> = Vec::new();
        let mut types: Vec<Type> = Vec::new();
        let mut templates = Vec::new();
        for &i in &marked {
            let first = leaves.len();
            let mut vars = Vec::new();
            let template = self.all_leaves(&args[i].value, &mut vars)?;
            let level = self.level();
            leaves.extend(vars.iter().map(|&var| Value::Var { level, var }));
            templates.push((template, first));
            for leaf in &leaves[first..] {
                let ty = self.ty(leaf)?;
                let Some((&n, rest)) = ty.shape.split_first() else {
                    return fail(
                        "E0409",
                        args[i].span,
                        "`each` maps over the leading axis of an array; this is a scalar",
                    );
                };
                if let Some(known) = count
                    && known != n
                {
                    return Err(Box::new(
                        Diagnostic::error(
                            "E0409",
                            args[i].span,
                            format!("`each` arguments are taken together: {known} elements against {n}"),
                        )
                        .note("arguments marked `each` have the same leading size"),
                    ));
                }
                count = Some(n);
                types.push(Type::new(ty.dtype, rest));
            }
        }
        let count = count.unwrap_or(0);
        let (body, template) = self.body(&types, |ctx, vars| {
            ctx.span = span;
            let mut inner = args.clone();
            for (&i, (template, first)) in marked.iter().zip(&templates) {
                inner[i].value = fill(template, &vars[*first..]);
                inner[i].each -= 1;
            }
            let value = ctx.call_value(callee, inner)?;
            let value = ctx.carry(value);
            let mut out = Vec::new();
            let template = ctx.all_leaves(&value, &mut out)?;
            Ok((out, template))
        })?;
        self.span = span;
        for &result in &body.graph.results {
            let ty = body.graph.ty(result);
            let mut shape = vec![count];
            shape.extend(&ty.shape);
            self.check_size(&shape, ty.dtype)?;
        }
        let mut lanes = vec![batch::Lane::Same; body.captures.len()];
        lanes.extend(vec![batch::Lane::Mapped; types.len()]);
        let graph = map_lanes(&body.graph, &lanes, count);
        let mut inputs = body.captures.clone();
        inputs.extend(leaves.iter().map(|v| self.var(v)).collect::<Res<Vec<Var>>>()?);
        let outs = self.inline(&graph, &inputs);
        Ok(self.release(fill(&template, &outs), &[count]))
    }

    /// Maps a function of the compiler over the leading axes of arrays, taken together.
    pub fn map_each(
        &mut self,
        arrays: &[Value],
        body: &dyn for<'a, 'b> Fn(&'a mut Ctx<'b>, &[Value]) -> Res<Value>,
    ) -> Res<Value> {
        let mut types = Vec::new();
        let mut vars = Vec::new();
        let mut count = 0;
        for array in arrays {
            let ty = self.ty(array)?;
            count = ty.shape[0];
            types.push(Type::new(ty.dtype, &ty.shape[1..]));
            vars.push(self.var(array)?);
        }
        let (traced, template) = self.body(&types, |ctx, rows| {
            let value = body(ctx, rows)?;
            let mut out = Vec::new();
            let template = ctx.all_leaves(&value, &mut out)?;
            Ok((out, template))
        })?;
        let mut lanes = vec![batch::Lane::Same; traced.captures.len()];
        lanes.extend(vec![batch::Lane::Mapped; types.len()]);
        let graph = map_lanes(&traced.graph, &lanes, count);
        let mut inputs = traced.captures;
        inputs.extend(vars);
        let outs = self.inline(&graph, &inputs);
        Ok(fill(&template, &outs))
    }

    /// A static or concrete number as a variable.
    pub fn dynamic(&mut self, value: &Value) -> Res<Value> {
        let var = self.var(value)?;
        Ok(Value::Var { level: self.level(), var })
    }

    /// Calls a function value with plain values.
    pub(crate) fn call_plain(&mut self, callee: &Value, args: &[Value]) -> Res<Value> {
        let span = self.span;
        self.call(callee, args.iter().map(|v| Arg::plain(v.clone(), span)).collect())
    }

    pub(crate) fn call(&mut self, callee: &Value, args: Vec<Arg>) -> Res<Value> {
        if self.call_depth >= self.session.limits.call_depth {
            return Err(Box::new(
                Diagnostic::error(
                    "E0603",
                    self.span,
                    format!("calls are nested more than {} deep", self.session.limits.call_depth),
                )
                .help("functions cannot call themselves; `loop` repeats"),
            ));
        }
        self.call_depth += 1;
        let span = self.span;
        let result = self.call_inner(callee, args);
        self.call_depth -= 1;
        self.span = span;
        result
    }

    fn call_inner(&mut self, callee: &Value, args: Vec<Arg>) -> Res<Value> {
        match callee {
            Value::Net(net) => self.call_net(net, args),
            Value::Func(func) => match &**func {
                Func::User { decl, scope } => {
                    let values = self.match_params(&decl.params, scope, args, &decl.name.text, decl.name.span)?;
                    self.call_user(decl, scope, values)
                }
                Func::Lambda { params, body, scope, span } => {
                    let values = self.match_params(params, scope, args, "this function", *span)?;
                    self.lifted_or_once(params, &values, |ctx, values| ctx.call_lambda(params, body, scope, values))
                }
                Func::Builtin(builtin) => self.call_builtin(*builtin, args),
                Func::Partial { func, args: bound } => {
                    let filled = self.fill_blanks(bound, args)?;
                    self.call(func, filled)
                }
                Func::Grad { func, wrt, with_value } => self.call_grad(func, wrt.as_deref(), *with_value, args),
                Func::Jvp(f) => self.call_jvp(f, args),
                Func::Vjp(f) => self.call_vjp(f, args),
                Func::Pullback { graph, residuals, outputs, inputs } => {
                    self.call_pullback(graph, residuals, outputs, inputs, args)
                }
                Func::Jacobian { func, wrt } => self.call_jacobian(func, wrt.as_deref(), args),
                Func::Hessian(f) => self.call_hessian(f, args),
                Func::Hvp(f) => self.call_hvp(f, args),
                Func::Solver { decl, scope } => {
                    let values = self.match_params(&decl.params, scope, args, &decl.name.text, decl.name.span)?;
                    self.lifted_or_once(&decl.params, &values, |ctx, values| {
                        ctx.run_solver(decl, scope, values.to_vec(), &super::value::Mode::Converge, None)
                    })
                }
                Func::SolverForm(form) => self.call_form(form, args),
                Func::Native(native) => {
                    let values: Vec<Value> = args.into_iter().map(|a| a.value).collect();
                    (native.call)(self, &values)
                }
                Func::Template { decl, scope } => self.instantiate(decl, scope, args),
            },
            other => fail("E0310", self.span, format!("{} is not a function", other.describe())),
        }
    }

    pub(crate) fn fill_blanks(&mut self, bound: &[PartialArg], args: Vec<Arg>) -> Res<Vec<Arg>> {
        let blanks = bound.iter().filter(|a| a.value.is_none()).count();
        if blanks != args.len() {
            return fail("E0321", self.span, format!("{blanks} arguments are open, {} are given", args.len()));
        }
        let span = self.span;
        let mut args = args.into_iter();
        Ok(bound
            .iter()
            .map(|b| match &b.value {
                Some(value) => Arg { name: b.name.clone(), value: value.clone(), each: 0, span },
                None => {
                    let arg = args.next().expect("the blanks were counted");
                    Arg { name: b.name.clone(), ..arg }
                }
            })
            .collect())
    }

    /// Arguments in the order of the parameters: positional, named, defaults.
    pub(crate) fn match_params(
        &mut self,
        params: &[ast::Param],
        scope: &Scope,
        args: Vec<Arg>,
        what: &str,
        place: Span,
    ) -> Res<Vec<Value>> {
        let span = self.span;
        let mut slots: Vec<Option<Value>> = vec![None; params.len()];
        let mut next = 0;
        for arg in args {
            let slot = match &arg.name {
                Some(name) => match params.iter().position(|p| p.name.text == *name) {
                    Some(i) => i,
                    None => {
                        return Err(Box::new(
                            Diagnostic::error("E0321", arg.span, format!("`{what}` has no parameter `{name}`"))
                                .label(place, "declared here"),
                        ));
                    }
                },
                None => {
                    next += 1;
                    next - 1
                }
            };
            if slot >= params.len() {
                return Err(Box::new(
                    Diagnostic::error(
                        "E0321",
                        span,
                        format!("`{what}` takes {} arguments, more are given", params.len()),
                    )
                    .label(place, "declared here"),
                ));
            }
            if slots[slot].is_some() {
                return fail("E0321", arg.span, format!("the parameter `{}` is given twice", params[slot].name.text));
            }
            slots[slot] = Some(arg.value);
        }
        let mut values = Vec::new();
        for (param, slot) in params.iter().zip(slots) {
            values.push(match (slot, &param.default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.expr(scope, default)?,
                (None, None) => {
                    return Err(Box::new(
                        Diagnostic::error("E0321", span, format!("`{what}` needs the argument `{}`", param.name.text))
                            .label(place, "declared here"),
                    ));
                }
            });
        }
        Ok(values)
    }

    /// Binds parameters in a new scope, checking their declared types.
    pub(crate) fn bind_params(&mut self, params: &[ast::Param], scope: &Scope, values: &[Value]) -> Res<Scope> {
        self.bind_params_in(scope.inner(), params, values)
    }

    /// As `bind_params`, in a scope that may bind dimensions already, which are then checked.
    pub(crate) fn bind_params_in(&mut self, inner: Scope, params: &[ast::Param], values: &[Value]) -> Res<Scope> {
        // Arithmetic in dimensions uses names that other parameters bind, perhaps later ones.
        let mut order: Vec<usize> = (0..params.len()).collect();
        order.sort_by_key(|&i| params[i].ty.as_ref().is_some_and(has_arithmetic));
        for i in order {
            let (param, value) = (&params[i], &values[i]);
            let value = match &param.ty {
                Some(ty) => {
                    let what = format!("the argument `{}`", param.name.text);
                    self.bind_type(&inner, true, ty, value, Fit::Exact, &what)?
                }
                None => value.clone(),
            };
            inner.bind(&param.name.text, value);
        }
        Ok(inner)
    }

    fn call_lambda(&mut self, params: &[ast::Param], body: &ast::Expr, scope: &Scope, values: &[Value]) -> Res<Value> {
        let inner = self.bind_params(params, scope, values)?;
        self.in_function(|ctx| ctx.expr(&inner, body))
    }

    /// Draws without a key belong to the top level; inside functions they are refused.
    pub(crate) fn in_function<T>(&mut self, body: impl FnOnce(&mut Ctx<'s>) -> Res<T>) -> Res<T> {
        let draws = std::mem::replace(&mut self.draws, super::Draws::Forbidden);
        let result = body(self);
        self.draws = draws;
        result
    }

    fn call_user(&mut self, decl: &Rc<ast::Fn>, scope: &Scope, values: Vec<Value>) -> Res<Value> {
        self.lifted_or_once(&decl.params, &values, |ctx, values| ctx.call_once(decl, scope, values))
    }

    /// A call for each element if arrays are given for scalar parameters, else one call.
    pub(crate) fn lifted_or_once(
        &mut self,
        params: &[ast::Param],
        values: &[Value],
        call: impl Fn(&mut Ctx<'s>, &[Value]) -> Res<Value>,
    ) -> Res<Value> {
        match self.lift(params, values, &call)? {
            Some(value) => Ok(value),
            None => call(self, values),
        }
    }

    fn call_once(&mut self, decl: &Rc<ast::Fn>, scope: &Scope, values: &[Value]) -> Res<Value> {
        if let Some(custom) = scope.find_derivative(&decl.name.text) {
            return self.call_with_derivative(decl, scope, &custom, values);
        }
        self.call_body(decl, scope, values)
    }

    pub(super) fn call_body(&mut self, decl: &Rc<ast::Fn>, scope: &Scope, values: &[Value]) -> Res<Value> {
        let call_site = self.span;
        let inner = self.bind_params(&decl.params, scope, values)?;
        let value = self
            .in_function(|ctx| ctx.expr(&inner, &decl.body))
            .map_err(|d| called_from(d, &decl.name.text, call_site))?;
        match &decl.result {
            Some(ty) => {
                self.span = decl.body.span;
                let what = format!("the result of `{}`", decl.name.text);
                self.bind_type(&inner, false, ty, &value, Fit::Broadcast, &what)
                    .map_err(|d| called_from(d, &decl.name.text, call_site))
            }
            None => Ok(value),
        }
    }

    /// Rule 2.2.2: arrays given for scalar parameters are combined by broadcasting and the function is applied to each element.
    fn lift(
        &mut self,
        params: &[ast::Param],
        values: &[Value],
        call: impl Fn(&mut Ctx<'s>, &[Value]) -> Res<Value>,
    ) -> Res<Option<Value>> {
        let scalar = |param: &ast::Param| match &param.ty {
            Some(ast::Type { kind: TypeKind::Array { kind, dims }, .. }) => dims.is_empty() && *kind != ScalarKind::Str,
            _ => false,
        };
        let mut shape: Vec<usize> = Vec::new();
        let mut lifted = Vec::new();
        for (i, (param, value)) in params.iter().zip(values).enumerate() {
            if !scalar(param) || !matches!(value, Value::Tensor(_) | Value::Var { .. }) {
                continue;
            }
            let own = self.shape(value)?;
            if !own.is_empty() {
                shape = self.common_shape(&shape, &own, "this call")?;
                lifted.push(i);
            }
        }
        if lifted.is_empty() {
            return Ok(None);
        }
        let span = self.span;
        let mut types = Vec::new();
        for &i in &lifted {
            types.push(Type::scalar(self.ty(&values[i])?.dtype));
        }
        let (body, result) = self.body(&types, |ctx, vars| {
            ctx.span = span;
            let mut inner = values.to_vec();
            for (&i, var) in lifted.iter().zip(vars) {
                inner[i] = var.clone();
            }
            let value = call(ctx, &inner)?;
            let mut out = Vec::new();
            let template = ctx.all_leaves(&value, &mut out)?;
            Ok((out, template))
        })?;
        self.span = span;
        if !matches!(result, Value::Leaf(_)) || body.graph.result_types().iter().any(|t| !t.shape.is_empty()) {
            return Err(Box::new(
                Diagnostic::error(
                    "E0410",
                    span,
                    "arrays are given for scalar parameters, but the result of the function is not a scalar",
                )
                .help("`f(each X)` maps over a leading axis with results of any shape"),
            ));
        }
        let captures = body.captures.len();
        let mut graph = body.graph;
        // Innermost axis first; an operand of lower rank is shared along the outer axes.
        let ranks: Vec<usize> = lifted.iter().map(|&i| self.shape(&values[i]).map(|s| s.len())).collect::<Res<_>>()?;
        for (done, &extent) in shape.iter().rev().enumerate() {
            let mut lanes = vec![batch::Lane::Same; captures];
            lanes.extend(ranks.iter().map(|&rank| if rank > done { batch::Lane::Mapped } else { batch::Lane::Same }));
            graph = map_lanes(&graph, &lanes, extent);
        }
        let mut args = body.captures.clone();
        for &i in &lifted {
            args.push(self.var(&values[i])?);
        }
        let outs = self.inline(&graph, &args);
        Ok(Some(outs.into_iter().next().expect("one result")))
    }

    /// `unroll s(x, _) for K` as a function, or at once if nothing is open.
    pub(crate) fn solver_form(
        &mut self,
        scope: &Scope,
        call: &ast::Expr,
        mode: super::value::Mode,
        span: Span,
    ) -> Res<Value> {
        let form = self.make_form(scope, call, mode, span)?;
        if form.args.iter().any(|a| a.value.is_none()) {
            return Ok(Value::func(Func::SolverForm(Rc::new(form))));
        }
        self.call_form(&form, Vec::new())
    }

    /// The solver, arguments and blanks of a call expression.
    pub(crate) fn make_form(
        &mut self,
        scope: &Scope,
        call: &ast::Expr,
        mode: super::value::Mode,
        span: Span,
    ) -> Res<SolverForm> {
        let ast::ExprKind::Call { func, args } = &call.kind else {
            return fail(
                "E0323",
                call.span,
                "a call of a solver is needed here, such as `unroll ista(x, D, c) for 16`",
            );
        };
        let mut callee = self.expr(scope, func)?;
        // A solver with open arguments: the call fills them.
        let mut preset: Option<Vec<PartialArg>> = None;
        if let Value::Func(f) = &callee
            && let Func::Partial { func, args } = &**f
        {
            preset = Some(args.clone());
            callee = func.clone();
        }
        let (decl, decl_scope) = match &callee {
            Value::Func(f) => match &**f {
                Func::Solver { decl, scope } => (decl.clone(), scope.clone()),
                other => return fail("E0323", func.span, format!("a solver is needed here, found {}", other.name())),
            },
            other => return fail("E0323", func.span, format!("a solver is needed here, found {}", other.describe())),
        };
        let mut bound = Vec::new();
        for arg in args {
            let name = arg.name.as_ref().map(|n| n.text.clone());
            let value = match &arg.value {
                ArgValue::Blank => None,
                ArgValue::Expr(e) => Some(self.expr(scope, e)?),
                ArgValue::Each(..) => {
                    return Err(Box::new(
                        Diagnostic::error("E0320", arg.span, "`each` does not go with an unrolled call")
                            .help("leave the argument open and map the function: `(unroll s(_, D) for 16)(each X)`"),
                    ));
                }
                ArgValue::Generator { .. } => {
                    return fail("E0320", arg.span, "`e for i in n` is the only argument of a reduction");
                }
            };
            bound.push(PartialArg { name, value });
        }
        self.span = span;
        if let Some(preset) = preset {
            let open = preset.iter().filter(|arg| arg.value.is_none()).count();
            if open != bound.len() {
                return fail("E0321", span, format!("{open} arguments are open, {} are given", bound.len()));
            }
            let mut given = bound.into_iter();
            bound = preset
                .into_iter()
                .map(|arg| PartialArg { value: arg.value.or_else(|| given.next().and_then(|arg| arg.value)), ..arg })
                .collect();
        }
        // In the order of the parameters, defaults filled in.
        let mut slots: Vec<Option<PartialArg>> = vec![None; decl.params.len()];
        let mut next = 0;
        for arg in bound {
            let slot = match &arg.name {
                Some(name) => decl.params.iter().position(|p| p.name.text == *name),
                None => {
                    next += 1;
                    (next <= decl.params.len()).then_some(next - 1)
                }
            };
            let Some(slot) = slot else {
                return Err(Box::new(
                    Diagnostic::error(
                        "E0321",
                        span,
                        format!("solver `{}` does not take these arguments", decl.name.text),
                    )
                    .label(decl.name.span, "declared here"),
                ));
            };
            slots[slot] = Some(PartialArg { name: None, value: arg.value });
        }
        let mut args = Vec::new();
        for (param, slot) in decl.params.iter().zip(slots) {
            args.push(match (slot, &param.default) {
                (Some(arg), _) => arg,
                (None, Some(default)) => PartialArg { name: None, value: Some(self.expr(&decl_scope, default)?) },
                (None, None) => {
                    return Err(Box::new(
                        Diagnostic::error(
                            "E0321",
                            span,
                            format!("solver `{}` needs the argument `{}`", decl.name.text, param.name.text),
                        )
                        .label(decl.name.span, "declared here"),
                    ));
                }
            });
        }
        Ok(SolverForm { decl, scope: decl_scope, caller: scope.clone(), args, mode, span })
    }

    pub(crate) fn call_form(&mut self, form: &SolverForm, args: Vec<Arg>) -> Res<Value> {
        let values: Vec<Value> = self.fill_blanks(&form.args, args)?.into_iter().map(|a| a.value).collect();
        self.lifted_or_once(&form.decl.params, &values, |ctx, values| {
            ctx.note_call(form, &form.mode, false, values);
            ctx.run_solver(&form.decl, &form.scope, values.to_vec(), &form.mode, Some(&form.caller))
        })
    }

    fn call_net(&mut self, net: &Rc<super::value::Net>, args: Vec<Arg>) -> Res<Value> {
        let params = self.net_params(net);
        match &*net.body {
            NetBody::Unrolled { form, lifted } => self.call_unrolled(form, lifted, &params, net.first, args),
            NetBody::Hand { decl, scope, .. } => {
                let values = self.match_params(&decl.params, scope, args, &decl.name.text, decl.name.span)?;
                let site = self.span;
                self.lifted_or_once(&decl.params, &values, |ctx, values| ctx.call_hand(net, &params, values))
                    .map_err(|d| called_from(d, &decl.name.text, site))
            }
        }
    }
}

/// Whether a dimension of a type is more than a name or a number.
fn has_arithmetic(ty: &ast::Type) -> bool {
    match &ty.kind {
        TypeKind::Array { dims, .. } => {
            dims.iter().any(|dim| !matches!(dim.kind, ast::ExprKind::Name(_) | ast::ExprKind::Int(_)))
        }
        TypeKind::Tuple(types) => types.iter().any(has_arithmetic),
        TypeKind::Record(fields) => fields.iter().any(|(_, ty)| has_arithmetic(ty)),
        TypeKind::Fn { .. } | TypeKind::Error => false,
    }
}

/// Adds the place of the call to a mistake found inside a function.
pub(crate) fn called_from(mut diagnostic: Box<Diagnostic>, name: &str, site: Span) -> Box<Diagnostic> {
    if diagnostic.labels.len() < 4 && !diagnostic.labels.iter().any(|l| l.span == site) {
        diagnostic.labels.push(crate::diagnostic::Label { span: site, text: format!("in this call of `{name}`") });
    }
    diagnostic
}

/// `wrt: D` or `wrt: (W, b)`: names of parameters, as a tuple of strings.
fn wrt_names(e: &ast::Expr) -> Res<Value> {
    let name = |e: &ast::Expr| match &e.kind {
        ast::ExprKind::Name(name) => Ok(Value::Str(name.clone())),
        _ => fail("E0321", e.span, "`wrt:` takes the name of a parameter, or a tuple of names"),
    };
    match &e.kind {
        ast::ExprKind::Tuple(items) => Ok(Value::tuple(items.iter().map(name).collect::<Res<Vec<_>>>()?)),
        _ => name(e),
    }
}
