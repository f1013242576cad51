//! `grad`, `value_and_grad`, `jvp`, `vjp`, `jacobian`, `hessian`, `hvp`: compositions of linearize, transpose and batch on traced bodies.

use super::call::Arg;
use super::reduce::map_lanes;
use super::value::{Func, Value, fill};
use super::{Body, Ctx, Res, fail};
use crate::ad::{batch, linearize, transpose};
use crate::diagnostic::Diagnostic;
use crate::ir::graph::{Graph, Op, Type, Var};
use crate::syntax::ast::Symbol;
use dp_runtime::tensor::DType;

/// A function traced for differentiation.
struct Traced {
    /// Captures, then the active leaves.
    body: Body,
    /// The active leaves as variables of the current frame.
    inputs: Vec<Var>,
    /// For each differentiated argument its structure over the leaves, offsets included.
    inputs_template: Value,
    /// The structure of the result over the Graph's results.
    output: Value,
}

impl<'s> Ctx<'s> {
    /// Traces `f(args)` with the chosen arguments (all reals in them) as parameters.
    fn trace_active(&mut self, f: &Value, args: &[Value], active: &[usize]) -> Res<Traced> {
        let span = self.span;
        let mut inputs = Vec::new();
        let mut types = Vec::new();
        let mut templates = Vec::new();
        for &i in active {
            let real = self.reals_of(&args[i])?;
            let mut vars = Vec::new();
            let template = self.all_leaves(&real, &mut vars)?;
            let level = self.level();
            types.extend(vars.iter().map(|v| self.frames[level].builder.ty(*v).clone()));
            templates.push(shift(&template, inputs.len()));
            inputs.extend(vars);
        }
        for ty in &types {
            if !ty.dtype.is_float() {
                return Err(Box::new(
                    Diagnostic::error(
                        "E0324",
                        span,
                        format!("derivatives are taken in reals; this argument holds {}", super::ops::show_type(ty)),
                    )
                    .help("name the real parameters with `wrt:`"),
                ));
            }
        }
        let (body, output) = self.body(&types, |ctx, vars| {
            ctx.span = span;
            let mut inner = args.to_vec();
            for (&i, template) in active.iter().zip(&templates) {
                inner[i] = fill(template, vars);
            }
            let value = ctx.call_plain(f, &inner)?;
            let mut out = Vec::new();
            let template = ctx.all_leaves(&value, &mut out)?;
            Ok((out, template))
        })?;
        self.span = span;
        let inputs_template = if templates.len() == 1 { templates.remove(0) } else { Value::tuple(templates) };
        Ok(Traced { body, inputs, inputs_template, output })
    }

    /// Ints inside an argument widen: a derivative is taken at a real point.
    pub(crate) fn reals_of(&mut self, value: &Value) -> Res<Value> {
        Ok(match value {
            Value::Tuple(items) => Value::tuple(items.iter().map(|v| self.reals_of(v)).collect::<Res<Vec<_>>>()?),
            Value::Record(fields) => Value::Record(
                fields.iter().map(|(n, v)| Ok((n.clone(), self.reals_of(v)?))).collect::<Res<Vec<_>>>()?.into(),
            ),
            number => {
                if self.ty(number)?.dtype == DType::I64 {
                    self.to_real(number)?
                } else {
                    number.clone()
                }
            }
        })
    }

    fn linearized(&mut self, traced: &Traced) -> Res<linearize::Linearized> {
        let mut active = vec![false; traced.body.captures.len()];
        active.extend(vec![true; traced.inputs.len()]);
        // Calls by name and invariants are settled first, so that their derivative is taken once.
        let graph = crate::opt::tidy(&traced.body.graph);
        linearize::linearize(&graph, &active).map_err(|reason| {
            let span = if reason.span.is_none() { self.span } else { reason.span };
            Box::new(Diagnostic::error("E0325", span, format!("no derivative here: {}", reason.reason)))
        })
    }

    /// Inlines the primal part: results and residuals as variables of the current frame.
    fn inline_primal(&mut self, traced: &Traced, lin: &linearize::Linearized) -> (Vec<Value>, Vec<Value>) {
        let mut args = traced.body.captures.clone();
        args.extend(&traced.inputs);
        let mut outs = self.inline(&lin.primal, &args);
        let residuals = outs.split_off(outs.len() - lin.residuals);
        (outs, residuals)
    }

    fn positional(&self, args: Vec<Arg>) -> Res<Vec<Value>> {
        if let Some(arg) = args.iter().find(|a| a.name.is_some()) {
            return fail("E0321", arg.span, "arguments of a derivative are given by position");
        }
        Ok(args.into_iter().map(|a| a.value).collect())
    }

    /// The arguments in which to differentiate.
    fn active_args(&self, f: &Value, wrt: Option<&[Symbol]>, count: usize) -> Res<Vec<usize>> {
        let Some(names) = wrt else {
            return if count > 0 {
                Ok(vec![0])
            } else {
                fail("E0321", self.span, "a function without arguments has no derivative")
            };
        };
        let params = param_names(f);
        names
            .iter()
            .map(|name| match params.iter().position(|p| p == name) {
                Some(i) if i < count => Ok(i),
                _ => fail("E0321", self.span, format!("`wrt: {name}`: the function has no such parameter")),
            })
            .collect()
    }

    pub(crate) fn call_grad(
        &mut self,
        f: &Value,
        wrt: Option<&[Symbol]>,
        with_value: bool,
        args: Vec<Arg>,
    ) -> Res<Value> {
        let args = self.positional(args)?;
        let active = self.active_args(f, wrt, args.len())?;
        let (value, gradient) = self.gradient(f, &args, &active)?;
        Ok(if with_value { Value::tuple(vec![value, gradient]) } else { gradient })
    }

    /// The value of a real-valued function and its gradient in the chosen arguments.
    pub(crate) fn gradient(&mut self, f: &Value, args: &[Value], active: &[usize]) -> Res<(Value, Value)> {
        let traced = self.trace_active(f, args, active)?;
        let types = traced.body.graph.result_types();
        match &types[..] {
            [ty] if ty.dtype.is_float() && ty.shape.is_empty() => {}
            [ty] => {
                return Err(Box::new(
                    Diagnostic::error(
                        "E0326",
                        self.span,
                        format!("a gradient is of one real; this function gives {}", super::ops::show_type(ty)),
                    )
                    .help("`jacobian` differentiates arrays; `sum` or `mean` makes one real"),
                ));
            }
            _ => return fail("E0326", self.span, "a gradient is of one real; this function gives several values"),
        }
        let lin = self.linearized(&traced)?;
        let (outs, residuals) = self.inline_primal(&traced, &lin);
        let pullback = transpose::transpose(&lin.tangent, lin.residuals);
        let one = self.real_const(1.0);
        let mut args = residuals.iter().map(|v| self.var(v)).collect::<Res<Vec<Var>>>()?;
        args.push(self.var(&one)?);
        let gradients = self.inline(&pullback, &args);
        let value = fill(&traced.output, &outs);
        if let Value::Func(func) = f
            && let Func::Native(native) = &**func
        {
            native.value.borrow_mut().get_or_insert(value.clone());
        }
        Ok((value, fill(&traced.inputs_template, &gradients)))
    }

    pub(crate) fn call_jvp(&mut self, f: &Value, args: Vec<Arg>) -> Res<Value> {
        let args = self.positional(args)?;
        if args.len() % 2 != 0 {
            return fail("E0321", self.span, "`jvp(f)` takes the arguments of f and then as many tangents");
        }
        let (points, tangents) = args.split_at(args.len() / 2);
        let (value, tangent) = self.pushforward(f, points, tangents)?;
        Ok(Value::tuple(vec![value, tangent]))
    }

    /// The value of a function and its derivative along tangents of its first arguments.
    pub(crate) fn pushforward(&mut self, f: &Value, points: &[Value], tangents: &[Value]) -> Res<(Value, Value)> {
        let active: Vec<usize> = (0..tangents.len()).collect();
        let traced = self.trace_active(f, points, &active)?;
        let lin = self.linearized(&traced)?;
        let (outs, residuals) = self.inline_primal(&traced, &lin);
        let mut args = residuals.iter().map(|v| self.var(v)).collect::<Res<Vec<Var>>>()?;
        let mut tangent_vars = Vec::new();
        for tangent in tangents {
            let tangent = self.reals_of(tangent)?;
            self.all_leaves(&tangent, &mut tangent_vars)?;
        }
        for (&var, &input) in tangent_vars.iter().zip(&traced.inputs) {
            let level = self.level();
            let (given, wanted) =
                (self.frames[level].builder.ty(var).clone(), self.frames[level].builder.ty(input).clone());
            if given != wanted {
                return fail(
                    "E0321",
                    self.span,
                    format!(
                        "a tangent has the type of its argument: {} against {}",
                        super::ops::show_type(&given),
                        super::ops::show_type(&wanted)
                    ),
                );
            }
        }
        if tangent_vars.len() != traced.inputs.len() {
            return fail("E0321", self.span, "each argument has one tangent of the same structure");
        }
        args.extend(tangent_vars);
        let float_tangents = self.inline(&lin.tangent, &args);
        let tangents = self.all_tangents(&outs, float_tangents)?;
        Ok((fill(&traced.output, &outs), fill(&traced.output, &tangents)))
    }

    /// Tangents for all results: zeros where a result is not real.
    fn all_tangents(&mut self, outs: &[Value], floats: Vec<Value>) -> Res<Vec<Value>> {
        let mut floats = floats.into_iter();
        let mut tangents = Vec::new();
        for out in outs {
            let ty = self.ty(out)?;
            tangents.push(if ty.dtype.is_float() {
                floats.next().expect("one tangent a real result")
            } else {
                let zero = self.real_const(0.0);
                self.broadcast_to(&zero, &ty.shape)?
            });
        }
        Ok(tangents)
    }

    pub(crate) fn call_vjp(&mut self, f: &Value, args: Vec<Arg>) -> Res<Value> {
        let args = self.positional(args)?;
        let active: Vec<usize> = (0..args.len()).collect();
        let traced = self.trace_active(f, &args, &active)?;
        let lin = self.linearized(&traced)?;
        let (_, residuals) = self.inline_primal(&traced, &lin);
        let graph = transpose::transpose(&lin.tangent, lin.residuals);
        Ok(Value::func(Func::Pullback { graph, residuals, outputs: traced.output, inputs: traced.inputs_template }))
    }

    pub(crate) fn call_pullback(
        &mut self,
        graph: &Graph,
        residuals: &[Value],
        _outputs: &Value,
        inputs: &Value,
        args: Vec<Arg>,
    ) -> Res<Value> {
        let args = self.positional(args)?;
        let mut vars = residuals.iter().map(|v| self.var(v)).collect::<Res<Vec<Var>>>()?;
        for arg in &args {
            let real = self.reals_of(arg)?;
            self.all_leaves(&real, &mut vars)?;
        }
        let level = self.level();
        let given: Vec<Type> = vars.iter().map(|v| self.frames[level].builder.ty(*v).clone()).collect();
        let wanted = graph.param_types();
        if given != wanted {
            let show = |types: &[Type]| {
                types[residuals.len().min(types.len())..]
                    .iter()
                    .map(super::ops::show_type)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            return fail(
                "E0321",
                self.span,
                format!(
                    "a cotangent has the type of the function's result: {} against {}",
                    show(&given),
                    show(&wanted)
                ),
            );
        }
        let outs = self.inline(graph, &vars);
        Ok(fill(inputs, &outs))
    }

    /// Rows of the identity of one array's elements, `[len, ...shape]`.
    fn basis(&mut self, ty: &Type) -> Res<Value> {
        let n = ty.len();
        self.check_size(&[n, n], ty.dtype)?;
        let eye = self.identity(n)?;
        let mut shape = vec![n];
        shape.extend(&ty.shape);
        self.reshape(&eye, &shape)
    }

    pub(crate) fn identity(&mut self, n: usize) -> Res<Value> {
        let i = self.op(Op::Iota { shape: vec![n, n], axis: 0 }, &[])?;
        let j = self.op(Op::Iota { shape: vec![n, n], axis: 1 }, &[])?;
        let same = self.op(Op::Eq, &[i, j])?;
        let real = self.real();
        self.op(Op::Convert(real), &[same])
    }

    /// `[out..., in...]` of a function with one array as result, in one array or in several, as a tuple.
    pub(crate) fn call_jacobian(&mut self, f: &Value, wrt: Option<&[Symbol]>, args: Vec<Arg>) -> Res<Value> {
        let args = self.positional(args)?;
        let active = self.active_args(f, wrt, args.len())?;
        match active[..] {
            [one] => self.jacobian(f, &args, one),
            _ => Ok(Value::tuple(active.iter().map(|&i| self.jacobian(f, &args, i)).collect::<Res<Vec<_>>>()?)),
        }
    }

    pub(crate) fn jacobian(&mut self, f: &Value, args: &[Value], active: usize) -> Res<Value> {
        let traced = self.trace_active(f, args, &[active])?;
        let outputs = traced.body.graph.result_types();
        let ([output], [input]) = (&outputs[..], &traced.inputs[..]) else {
            return fail("E0326", self.span, "a Jacobian is of one array in one array");
        };
        let level = self.level();
        let input_type = self.frames[level].builder.ty(*input).clone();
        if !output.dtype.is_float() {
            return fail(
                "E0326",
                self.span,
                format!("a Jacobian is of reals, this function gives {}", super::ops::show_type(output)),
            );
        }
        let lin = self.linearized(&traced)?;
        let (_, residuals) = self.inline_primal(&traced, &lin);
        let mut args = residuals.iter().map(|v| self.var(v)).collect::<Res<Vec<Var>>>()?;
        let mut lanes = vec![batch::Lane::Same; lin.residuals];
        lanes.push(batch::Lane::Mapped);
        let reverse = output.len() <= input_type.len();
        let (graph, basis_type) = if reverse {
            (transpose::transpose(&lin.tangent, lin.residuals), output.clone())
        } else {
            (lin.tangent.clone(), input_type.clone())
        };
        let basis = self.basis(&basis_type)?;
        args.push(self.var(&basis)?);
        let graph = map_lanes(&graph, &lanes, basis_type.len());
        let rows = self.inline(&graph, &args).swap_remove(0);
        let mut shape = output.shape.clone();
        shape.extend(&input_type.shape);
        if reverse {
            return self.reshape(&rows, &shape);
        }
        // Forward gives [in, out...]: the input axis goes last.
        let rank = output.rank() + 1;
        let mut perm: Vec<usize> = (1..rank).collect();
        perm.push(0);
        let columns = self.permute(&rows, &perm)?;
        self.reshape(&columns, &shape)
    }

    pub(crate) fn call_hessian(&mut self, f: &Value, args: Vec<Arg>) -> Res<Value> {
        let args = self.positional(args)?;
        let gradient = Value::func(Func::Grad { func: f.clone(), wrt: None, with_value: false });
        self.jacobian(&gradient, &args, 0)
    }

    /// `hvp(f)(x, v)`: the Hessian times a vector, forward over reverse.
    pub(crate) fn call_hvp(&mut self, f: &Value, args: Vec<Arg>) -> Res<Value> {
        let args = self.positional(args)?;
        let Some((direction, points)) = args.split_last() else {
            return fail("E0321", self.span, "`hvp(f)` takes the arguments of f and then a direction");
        };
        let gradient = Value::func(Func::Grad { func: f.clone(), wrt: None, with_value: false });
        Ok(self.pushforward(&gradient, points, std::slice::from_ref(direction))?.1)
    }
}

/// The names of a function's parameters.
fn param_names(f: &Value) -> Vec<Symbol> {
    match f {
        Value::Func(func) => match &**func {
            Func::User { decl, .. } => decl.params.iter().map(|p| p.name.text.clone()).collect(),
            Func::Lambda { params, .. } => params.iter().map(|p| p.name.text.clone()).collect(),
            Func::Solver { decl, .. } => decl.params.iter().map(|p| p.name.text.clone()).collect(),
            Func::SolverForm(form) => form
                .decl
                .params
                .iter()
                .zip(&form.args)
                .filter(|(_, a)| a.value.is_none())
                .map(|(p, _)| p.name.text.clone())
                .collect(),
            Func::Grad { func, .. } => param_names(func),
            _ => Vec::new(),
        },
        Value::Net(net) => match &*net.body {
            super::value::NetBody::Hand { decl, .. } => decl.params.iter().map(|p| p.name.text.clone()).collect(),
            super::value::NetBody::Unrolled { form, .. } => {
                param_names(&Value::Func(std::rc::Rc::new(Func::SolverForm(form.clone()))))
            }
        },
        _ => Vec::new(),
    }
}

/// Moves the leaves of a template.
fn shift(template: &Value, by: usize) -> Value {
    match template {
        Value::Leaf(i) => Value::Leaf(i + by),
        Value::Tuple(items) => Value::Tuple(items.iter().map(|v| shift(v, by)).collect()),
        Value::Record(fields) => Value::Record(fields.iter().map(|(n, v)| (n.clone(), shift(v, by))).collect()),
        other => other.clone(),
    }
}
