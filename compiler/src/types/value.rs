//! The types of values that are there: what an entry of a session has computed.

use super::Ctx;
use super::dim::Dim;
use super::expr::synth;
use super::scope::{Env, Global, Scope};
use super::ty::{Kind, Ty};
use crate::lower::value::Value;
use crate::source::Span;
use crate::syntax::ast::{Expr, Symbol};
use dp_runtime::tensor::DType;
use std::rc::Rc;

/// Gives a top-level name the type of its value, with its sizes. Functions and networks keep the type that the checker found.
pub fn bind_value(env: &mut Env, name: &Symbol, value: &Value) {
    if let Some(ty) = type_of(value) {
        let span = env.globals.get(name).map_or(Span::NONE, |global| global.span);
        env.globals.insert(name.clone(), Global { ty, span });
    }
}

/// Gives a top-level name the type of an expression that was checked.
pub fn bind_expr(env: &mut Env, name: &Symbol, expr: &Expr) {
    let ty = synth(&mut Ctx::new(env), &Scope::default(), expr);
    env.globals.insert(name.clone(), Global { ty, span: expr.span });
}

/// The type of a value that holds numbers or texts.
fn type_of(value: &Value) -> Option<Ty> {
    Some(match value {
        Value::Int(i) => Ty::static_int(Dim::constant(*i)),
        Value::Bool(_) => Ty::bool(),
        Value::Str(_) => Ty::Str,
        Value::Tensor(t) => {
            let kind = match t.dtype() {
                DType::F32 | DType::F64 => Kind::Real,
                DType::I64 => Kind::Int,
                DType::Bool => Kind::Bool,
                DType::Key => Kind::Key,
            };
            Ty::array(kind, t.shape().iter().map(|extent| Dim::constant(*extent as i64)).collect())
        }
        Value::Tuple(items) => Ty::tuple(items.iter().map(|item| type_of(item).unwrap_or(Ty::Unknown)).collect()),
        Value::List(items) => Ty::List(Rc::new(items.first().and_then(type_of).unwrap_or(Ty::Unknown))),
        Value::Record(fields) => {
            let field = |(name, value): &(Symbol, Value)| (name.clone(), type_of(value).unwrap_or(Ty::Unknown));
            Ty::record(fields.iter().map(field).collect(), false)
        }
        Value::Func(_) | Value::Net(_) | Value::Unit => return None,
        Value::Var { .. } | Value::Blank | Value::Leaf(_) => return None,
    })
}
