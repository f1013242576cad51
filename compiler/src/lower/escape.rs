//! Function values that leave the statement that made them. What they captured are variables of the statement's Graph:
//! these become results of the Graph, and the values of the run are put in their place.

use super::value::{Func, Leaves, Net, NetBody, PartialArg, Scope, SolverForm, Value};
use super::{Ctx, Res};
use crate::ir::graph::Var;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

impl Ctx<'_> {
    /// As `leaves`, also for what function values and networks captured: the statement's Graph ends here.
    pub(super) fn escaping_leaves(&mut self, value: &Value) -> Res<(Vec<Var>, Value)> {
        let (mut vars, template) = self.leaves(value)?;
        let template = replaced(&template, Leaves::Variables, &mut |value| {
            vars.push(self.var(value)?);
            Ok(Value::Leaf(vars.len() - 1))
        })?;
        Ok((vars, template))
    }
}

/// Puts `leaves[i]` in the place of `Leaf(i)`, also in what function values captured.
pub fn fill_escaped(template: &Value, leaves: &[Value]) -> Value {
    let filled = replaced(template, Leaves::Places, &mut |value| match value {
        Value::Leaf(i) => Ok(leaves[*i].clone()),
        other => Ok(other.clone()),
    });
    match filled {
        Ok(value) => super::value::fill(&value, leaves),
        Err(_) => unreachable!("internal error: filling does not fail"),
    }
}

/// A value in which everything of a kind inside functions and networks is replaced.
fn replaced(value: &Value, kind: Leaves, by: &mut dyn FnMut(&Value) -> Res<Value>) -> Res<Value> {
    let mut walk = Walk { kind, by, scopes: HashMap::new() };
    walk.outer(value)
}

struct Walk<'a> {
    kind: Leaves,
    by: &'a mut dyn FnMut(&Value) -> Res<Value>,
    /// Scopes that were copied, by address; a function may be bound in the scope that it sees.
    scopes: HashMap<usize, Scope>,
}

impl Walk<'_> {
    /// Outside functions, numbers stay as they are.
    fn outer(&mut self, value: &Value) -> Res<Value> {
        Ok(match value {
            Value::Tuple(items) => Value::Tuple(items.iter().map(|v| self.outer(v)).collect::<Res<Vec<_>>>()?.into()),
            Value::List(items) => Value::List(items.iter().map(|v| self.outer(v)).collect::<Res<Vec<_>>>()?.into()),
            Value::Record(fields) => {
                let fields = fields.iter().map(|(n, v)| Ok((n.clone(), self.outer(v)?))).collect::<Res<Vec<_>>>()?;
                Value::Record(fields.into())
            }
            Value::Func(_) | Value::Net(_) => self.inner(value)?,
            Value::Int(_) | Value::Bool(_) | Value::Str(_) | Value::Tensor(_) | Value::Var { .. } => value.clone(),
            Value::Unit | Value::Blank | Value::Leaf(_) => value.clone(),
        })
    }

    fn inner(&mut self, value: &Value) -> Res<Value> {
        if !self.kind.within(value, &mut HashSet::new()) {
            return Ok(value.clone());
        }
        match value {
            Value::Var { .. } | Value::Leaf(_) => (self.by)(value),
            Value::Tuple(items) => Ok(Value::Tuple(self.all(items)?.into())),
            Value::List(items) => Ok(Value::List(self.all(items)?.into())),
            Value::Record(fields) => {
                let fields = fields.iter().map(|(n, v)| Ok((n.clone(), self.inner(v)?))).collect::<Res<Vec<_>>>()?;
                Ok(Value::Record(fields.into()))
            }
            Value::Func(func) => Ok(Value::func(self.func(func)?)),
            Value::Net(net) => Ok(Value::Net(Rc::new(self.net(net)?))),
            Value::Int(_) | Value::Bool(_) | Value::Str(_) | Value::Tensor(_) | Value::Unit | Value::Blank => {
                Ok(value.clone())
            }
        }
    }

    fn all(&mut self, values: &[Value]) -> Res<Vec<Value>> {
        values.iter().map(|v| self.inner(v)).collect()
    }

    fn func(&mut self, func: &Func) -> Res<Func> {
        Ok(match func {
            Func::User { decl, scope } => Func::User { decl: decl.clone(), scope: self.scope(scope)? },
            Func::Lambda { params, body, scope, span } => {
                Func::Lambda { params: params.clone(), body: body.clone(), scope: self.scope(scope)?, span: *span }
            }
            Func::Builtin(builtin) => Func::Builtin(*builtin),
            Func::Partial { func, args } => Func::Partial { func: self.inner(func)?, args: self.args(args)? },
            Func::Grad { func, wrt, with_value } => {
                Func::Grad { func: self.inner(func)?, wrt: wrt.clone(), with_value: *with_value }
            }
            Func::Jvp(f) => Func::Jvp(self.inner(f)?),
            Func::Vjp(f) => Func::Vjp(self.inner(f)?),
            // The templates have places of their own.
            Func::Pullback { graph, residuals, outputs, inputs } => Func::Pullback {
                graph: graph.clone(),
                residuals: self.all(residuals)?,
                outputs: outputs.clone(),
                inputs: inputs.clone(),
            },
            Func::Jacobian { func, wrt } => Func::Jacobian { func: self.inner(func)?, wrt: wrt.clone() },
            Func::Hessian(f) => Func::Hessian(self.inner(f)?),
            Func::Hvp(f) => Func::Hvp(self.inner(f)?),
            Func::Solver { decl, scope } => Func::Solver { decl: decl.clone(), scope: self.scope(scope)? },
            Func::SolverForm(form) => Func::SolverForm(Rc::new(self.form(form)?)),
            Func::Template { decl, scope } => Func::Template { decl: decl.clone(), scope: self.scope(scope)? },
            Func::Native(native) => Func::native(native.call.clone()),
        })
    }

    fn args(&mut self, args: &[PartialArg]) -> Res<Vec<PartialArg>> {
        let mut replaced = Vec::new();
        for arg in args {
            let value = arg.value.as_ref().map(|v| self.inner(v)).transpose()?;
            replaced.push(PartialArg { name: arg.name.clone(), value });
        }
        Ok(replaced)
    }

    fn form(&mut self, form: &SolverForm) -> Res<SolverForm> {
        Ok(SolverForm {
            decl: form.decl.clone(),
            scope: self.scope(&form.scope)?,
            caller: self.scope(&form.caller)?,
            args: self.args(&form.args)?,
            mode: form.mode.clone(),
            span: form.span,
        })
    }

    fn net(&mut self, net: &Net) -> Res<Net> {
        let body = match &*net.body {
            NetBody::Unrolled { form, lifted } => {
                NetBody::Unrolled { form: Rc::new(self.form(form)?), lifted: lifted.clone() }
            }
            NetBody::Hand { decl, scope, parts } => {
                let mut copies = Vec::new();
                for (name, part) in parts.iter() {
                    copies.push((name.clone(), Rc::new(self.net(part)?)));
                }
                NetBody::Hand { decl: decl.clone(), scope: self.scope(scope)?, parts: copies.into() }
            }
        };
        let at = net.at.as_ref().map(|v| self.inner(v)).transpose()?;
        Ok(Net {
            name: net.name.clone(),
            id: net.id,
            body: Rc::new(body),
            params: net.params.clone(),
            within: net.within.clone(),
            first: net.first,
            at,
        })
    }

    /// A copy of a scope; scopes with nothing to replace are shared.
    fn scope(&mut self, scope: &Scope) -> Res<Scope> {
        if !self.kind.within_scope(scope, &mut HashSet::new()) {
            return Ok(scope.clone());
        }
        if let Some(copy) = self.scopes.get(&scope.address()) {
            return Ok(copy.clone());
        }
        let parent = scope.parent().map(|parent| self.scope(&parent)).transpose()?;
        let copy = scope.snapshot_in(parent);
        self.scopes.insert(scope.address(), copy.clone());
        for name in scope.names_here() {
            let value = scope.find_here(&name).expect("a name of this scope");
            copy.bind(&name, self.inner(&value)?);
        }
        Ok(copy)
    }
}
