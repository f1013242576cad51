//! `prox(f)`: the proximal operator that a rule declares for a function, as an ordinary function of the point, the
//! function's other arguments, and the step.

use super::call::Arg;
use super::problem::real;
use super::value::{Func, PartialArg, ProxRule, Scope, Value};
use super::{Ctx, Res, fail};
use crate::builtins;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast;
use std::rc::Rc;

impl Ctx<'_> {
    /// `prox(f)` as written in a scope.
    pub(crate) fn prox_call(&mut self, scope: &Scope, args: &[Arg]) -> Res<Value> {
        let [Arg { name: None, value, each: 0, span }] = args else {
            return Err(Box::new(
                Diagnostic::error("E0321", self.span, "`prox` takes one function")
                    .help("`prox(f)` is a function: `prox(f)(v, t)`, other arguments of `f` before the step `t`"),
            ));
        };
        proximal_operator(scope, value, *span)
    }

    /// `f(each points, rest..)`.
    pub fn on_each(&mut self, f: &Value, points: &Value, rest: &[Value]) -> Res<Value> {
        let span = self.span;
        let mut args = vec![Arg { each: 1, ..Arg::plain(points.clone(), span) }];
        args.extend(rest.iter().map(|value| Arg::plain(value.clone(), span)));
        self.call_value(f, args)
    }
}

/// The proximal operator of a function, by the rules that are visible from a scope and where the function was declared.
pub fn proximal_operator(scope: &Scope, f: &Value, span: Span) -> Res<Value> {
    let Value::Func(func) = f else {
        return fail("E0310", span, format!("`prox` takes a function, found {}", f.describe()));
    };
    // The operator of `box(_, lo, hi)` is that of `box`, with `lo` and `hi` given.
    if let Func::Partial { func, args } = &**func {
        let open = args.iter().filter(|arg| arg.value.is_none()).count();
        if open == 1 && args[0].value.is_none() && args[0].name.is_none() {
            let mut args = args.clone();
            args.push(PartialArg { name: None, value: None });
            return Ok(Value::func(Func::Partial { func: proximal_operator(scope, func, span)?, args }));
        }
    }
    match find_rule(scope, f) {
        Some(rule) => operator(&rule, f),
        None => Err(Box::new(
            Diagnostic::error("E0333", span, format!("no proximal operator is declared for {}", func.name()))
                .help("declare it: `prox f(v; t) = ..`, the u that minimizes t * f(u) + 1/2 * sumsq(u - v)"),
        )),
    }
}

/// The innermost rule for a function.
pub fn find_rule(scope: &Scope, f: &Value) -> Option<ProxRule> {
    let own = match f {
        Value::Func(func) => match &**func {
            Func::User { scope, .. } | Func::Lambda { scope, .. } => Some(scope.clone()),
            _ => None,
        },
        _ => None,
    };
    [Some(scope.clone()), own].into_iter().flatten().find_map(|scope| {
        let mut scope = Some(scope);
        while let Some(current) = scope {
            if let Some(rule) = current.proxes_here().iter().rev().find(|rule| is_for(rule, f)) {
                return Some(rule.clone());
            }
            scope = current.parent();
        }
        None
    })
}

/// Whether the name in a rule means this very function where the rule stands.
fn is_for(rule: &ProxRule, f: &Value) -> bool {
    target(rule).is_some_and(|target| same(&target, f))
}

/// The function that a rule is about.
pub fn target(rule: &ProxRule) -> Option<Value> {
    let name = &rule.rule.name.text;
    rule.scope.find(name).or_else(|| builtins::find(name).map(|builtin| Value::func(Func::Builtin(builtin))))
}

fn same(a: &Value, b: &Value) -> bool {
    let (Value::Func(a), Value::Func(b)) = (a, b) else { return false };
    match (&**a, &**b) {
        (Func::User { decl: a, .. }, Func::User { decl: b, .. }) => Rc::ptr_eq(a, b),
        (Func::Lambda { body: a, .. }, Func::Lambda { body: b, .. }) => Rc::ptr_eq(a, b),
        (Func::Builtin(a), Func::Builtin(b)) => a == b,
        _ => false,
    }
}

/// The rule as a function: the parameters' types are those of the function, where it has declared ones.
pub fn operator(rule: &ProxRule, f: &Value) -> Res<Value> {
    let custom = &rule.rule;
    let names = custom.args.iter().chain(&custom.after);
    let Value::Func(func) = f else { unreachable!("internal error: a rule is for a function") };
    if let Func::User { decl, .. } = &**func {
        if decl.params.len() != custom.args.len() {
            let (has, named) = (decl.params.len(), custom.args.len());
            let message = format!("`{}` has {has} parameters, its proximal operator names {named}", custom.name.text);
            return fail("E0322", custom.name.span, message);
        }
        let types = decl.params.iter().map(|param| param.ty.clone()).chain([Some(real(custom.name.span))]);
        let params = names.zip(types).map(|(name, ty)| ast::Param { name: name.clone(), ty, default: None }).collect();
        let name = ast::Name { text: format!("prox({})", custom.name.text).into(), span: custom.name.span };
        let result = decl.params.first().and_then(|param| param.ty.clone());
        let decl = ast::Fn { name, params, result, body: custom.body.clone() };
        return Ok(Value::func(Func::User { decl: Rc::new(decl), scope: rule.scope.clone() }));
    }
    let params = names.map(|name| ast::Param { name: name.clone(), ty: None, default: None }).collect();
    Ok(Value::func(Func::Lambda {
        params,
        body: Rc::new(custom.body.clone()),
        scope: rule.scope.clone(),
        span: custom.name.span,
    }))
}
