//! `unroll ... learn`: lets and arguments of a truncated solver lifted to parameters.

use super::call::Arg;
use super::value::{Lift, LiftPlace, Mode, Scope, SolverForm, Value};
use super::{Ctx, Res, fail};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{self, Symbol};
use std::collections::HashSet;

impl<'s> Ctx<'s> {
    /// Runs the truncated solver with its lifted quantities taken from the parameters.
    pub(crate) fn call_unrolled(
        &mut self,
        form: &SolverForm,
        lifted: &[Lift],
        params: &Value,
        first: Option<usize>,
        args: Vec<Arg>,
    ) -> Res<Value> {
        // What no longer reaches the result is no argument of the network.
        let names: HashSet<&str> = lifted.iter().map(|lift| &*lift.name).collect();
        let reached = crate::types::reaching(&form.decl, &names);
        let mut bound = form.args.clone();
        for (param, arg) in form.decl.params.iter().zip(&mut bound) {
            if arg.value.is_none() && !reached.contains(&*param.name.text) {
                arg.value = Some(Value::Blank);
            }
        }
        let values: Vec<Value> = self.fill_blanks(&bound, args)?.into_iter().map(|a| a.value).collect();
        let mut lifts = Vec::new();
        for lift in lifted {
            let Some(value) = params.field(&lift.name) else {
                return fail("E0328", self.span, format!("the parameters have no `{}`", lift.name));
            };
            lifts.push((lift.clone(), value.clone()));
        }
        let mode = match (&form.mode, first) {
            (Mode::Unroll { backprop, checkpoint, .. }, Some(k)) => {
                Mode::Unroll { count: k, backprop: *backprop, checkpoint: *checkpoint }
            }
            (mode, _) => mode.clone(),
        };
        self.lifted_or_once(&form.decl.params, &values, |ctx, values| {
            ctx.note_call(form, &mode, true, values);
            ctx.run_lifted(&form.decl, &form.scope, values.to_vec(), &mode, Some(&form.caller), &lifts)
        })
    }

    /// What `learn` names, with the starting value of each parameter.
    pub(crate) fn lift_lets(&mut self, form: &SolverForm, learn: &ast::Learn) -> Res<(Vec<Lift>, Value)> {
        let decl = &form.decl;
        let Mode::Unroll { count, .. } = &form.mode else {
            return fail("E0313", learn.span, "`learn` follows `unroll`");
        };
        let count = *count;
        let names_of = |lets: &mut dyn Iterator<Item = &ast::Let>| -> Vec<Symbol> {
            lets.flat_map(|l| match &l.kind {
                ast::LetKind::Inits(inits) => inits.iter().map(|i| i.binder.name.text.clone()).collect::<Vec<_>>(),
                ast::LetKind::Tuple(names, _) => names.iter().map(|n| n.text.clone()).collect(),
            })
            .collect()
        };
        let lets = names_of(&mut decl.body.lets.iter());
        let step_lets = names_of(&mut decl.body.step.iter().filter_map(|s| match &s.kind {
            ast::StmtKind::Let(l) => Some(l),
            ast::StmtKind::Param(_) | ast::StmtKind::Assign { .. } => None,
        }));
        // Lets before `step` at the bound arguments; what depends on a blank stays open.
        let values: Vec<Value> = form.args.iter().map(|a| a.value.clone().unwrap_or(Value::Blank)).collect();
        let scope = self.in_function(|ctx| {
            let inner = ctx.bind_params(&decl.params, &form.scope, &values)?;
            for l in &decl.body.lets {
                ctx.bind_let_or_blank(&inner, l, &[])?;
            }
            Ok(inner)
        })?;
        let mut lifts = Vec::new();
        let mut fields = Vec::new();
        for item in &learn.lifted {
            let name = &item.name.text;
            let argument = decl.params.iter().position(|p| p.name.text == *name);
            let place = if lets.contains(name) {
                LiftPlace::Let
            } else if step_lets.contains(name) {
                LiftPlace::StepLet
            } else if argument.is_some_and(|i| form.args[i].value.is_some()) {
                LiftPlace::Argument
            } else {
                return Err(Box::new(unknown_let(decl, form, item, &lets, &step_lets)));
            };
            if place == LiftPlace::StepLet && !item.each {
                return fail(
                    "E0329",
                    item.name.span,
                    format!(
                        "`{name}` is a let inside `step`: it has one value a pass, so it is learned as `each {name}`"
                    ),
                );
            }
            let value = match place {
                LiftPlace::StepLet => self.values_along_a_run(form, learn, name, item)?,
                LiftPlace::Let | LiftPlace::Argument => {
                    let mut value = scope.find_here(name).unwrap_or(Value::Blank);
                    if matches!(value, Value::Blank) && learn.from.is_some() {
                        let along = self.values_along_a_run(form, learn, name, item)?;
                        value = if count > 0 { self.take(&along, 0, 0)? } else { value };
                    }
                    if matches!(value, Value::Blank) {
                        return Err(Box::new(
                            Diagnostic::error(
                                "E0329",
                                item.name.span,
                                format!("`{name}` depends on an open argument, so it has no starting value"),
                            )
                            .help("bind the argument it depends on, or give data to start from: `learn ... from X`"),
                        ));
                    }
                    self.span = item.name.span;
                    let real = self.to_real(&value)?;
                    if item.each {
                        let mut shape = vec![count];
                        shape.extend(self.shape(&real)?);
                        self.broadcast_to(&real, &shape)?
                    } else {
                        real
                    }
                }
            };
            if let Some(ty) = &item.ty {
                self.check_learned_type(&scope, item, ty, &value)?;
            }
            lifts.push(Lift { name: name.clone(), each: item.each, place });
            fields.push((name.clone(), value));
        }
        Ok((lifts, Value::Record(fields.into())))
    }

    fn check_learned_type(&mut self, scope: &Scope, item: &ast::Lifted, ty: &ast::Type, value: &Value) -> Res<()> {
        let row = if item.each && self.shape(value)?.first().is_some_and(|&n| n > 0) {
            self.take(value, 0, 0)?
        } else {
            value.clone()
        };
        self.span = item.name.span;
        let what = format!("the learned `{}`", item.name.text);
        self.bind_type(scope, false, ty, &row, super::binding::Fit::Exact, &what)?;
        Ok(())
    }

    /// The values that a let takes along one run on the data after `from`, a row for each pass.
    fn values_along_a_run(
        &mut self,
        form: &SolverForm,
        learn: &ast::Learn,
        name: &Symbol,
        item: &ast::Lifted,
    ) -> Res<Value> {
        let Mode::Unroll { count, .. } = &form.mode else {
            return fail("E0313", learn.span, "`learn` follows `unroll`");
        };
        let blanks = form.args.iter().filter(|a| a.value.is_none()).count();
        let values = match &learn.from {
            Some(from) => {
                let value = self.expr(&form.caller, from)?;
                match value {
                    Value::Tuple(items) if items.len() == blanks => items.to_vec(),
                    other if blanks == 1 => vec![other],
                    _ => {
                        return fail(
                            "E0329",
                            from.span,
                            format!("`from` gives the {blanks} open arguments, as a tuple"),
                        );
                    }
                }
            }
            None if blanks == 0 => Vec::new(),
            None => {
                return Err(Box::new(
                    Diagnostic::error("E0329", item.name.span, format!("`{name}` has a value only along a run"))
                        .help("give the data of that run: `learn ... from X`"),
                ));
            }
        };
        let span = item.name.span;
        let args = values.into_iter().map(|v| Arg::plain(v, span)).collect();
        let values = self.fill_blanks(&form.args, args)?.into_iter().map(|a| a.value).collect();
        let record =
            vec![(ast::Name { text: name.clone(), span }, ast::Expr { kind: ast::ExprKind::Name(name.clone()), span })];
        let mode = Mode::Trace { count: *count, every: 1, record };
        let traced = self.run_solver(&form.decl, &form.scope, values, &mode, Some(&form.caller))?;
        let value = traced.field(name).cloned().unwrap_or(Value::Unit);
        self.to_real(&value)
    }
}

fn unknown_let(
    decl: &ast::Solver,
    form: &SolverForm,
    item: &ast::Lifted,
    lets: &[Symbol],
    step_lets: &[Symbol],
) -> Diagnostic {
    let mut names: Vec<String> = lets.iter().map(|n| format!("`{n}`")).collect();
    names.extend(step_lets.iter().map(|n| format!("`each {n}`")));
    for (param, arg) in decl.params.iter().zip(&form.args) {
        if arg.value.is_some() {
            names.push(format!("`{}`", param.name.text));
        }
    }
    let message = format!("solver `{}` has no let or bound argument `{}` to learn", decl.name.text, item.name.text);
    Diagnostic::error("E0329", item.name.span, message).note(format!("it has {}", names.join(", ")))
}
