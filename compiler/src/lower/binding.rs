//! Declared types against values: kinds, ranks, dimensions; names of dimensions are bound or checked.

use super::ops::show_type;
use super::value::{Scope, Value, static_int};
use super::{Ctx, Res, fail};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{self, ScalarKind, TypeKind};
use dp_runtime::tensor::DType;

/// Whether a value must have the declared shape or may be stretched to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    Exact,
    Broadcast,
}

impl Ctx<'_> {
    pub(crate) fn dtype_of(&self, kind: ScalarKind) -> Option<DType> {
        match kind {
            ScalarKind::Real => Some(self.real()),
            ScalarKind::Int => Some(DType::I64),
            ScalarKind::Bool => Some(DType::Bool),
            ScalarKind::Key => Some(DType::Key),
            ScalarKind::Str => None,
        }
    }

    /// Checks a value against a declared type, widening int to real, and binds names of dimensions that are not
    /// yet bound: in `scope` itself if `own` (parameters: names are fresh), else where no outer name is in force.
    pub(crate) fn bind_type(
        &mut self,
        scope: &Scope,
        own: bool,
        ty: &ast::Type,
        value: &Value,
        fit: Fit,
        what: &str,
    ) -> Res<Value> {
        if matches!(value, Value::Blank) {
            return Ok(Value::Blank);
        }
        match &ty.kind {
            TypeKind::Array { kind: ScalarKind::Str, .. } => match value {
                Value::Str(_) => Ok(value.clone()),
                other => {
                    fail("E0311", self.span, format!("{what} is declared as a string, found {}", other.describe()))
                }
            },
            TypeKind::Array { kind, dims } => self.bind_array(scope, own, *kind, dims, value, fit, (ty.span, what)),
            TypeKind::Tuple(types) => match value {
                Value::Tuple(items) if items.len() == types.len() => {
                    let mut bound = Vec::new();
                    for (ty, item) in types.iter().zip(items.iter()) {
                        bound.push(self.bind_type(scope, own, ty, item, fit, what)?);
                    }
                    Ok(Value::tuple(bound))
                }
                other => fail(
                    "E0311",
                    self.span,
                    format!("{what} is declared as a tuple of {}, found {}", types.len(), other.describe()),
                ),
            },
            TypeKind::Record(fields) => {
                let mut bound = Vec::new();
                for (name, ty) in fields {
                    match value.field(&name.text) {
                        Some(item) => {
                            let item = item.clone();
                            bound.push((name.text.clone(), self.bind_type(scope, own, ty, &item, fit, what)?));
                        }
                        None => {
                            return fail(
                                "E0311",
                                self.span,
                                format!("{what} is declared with a field `{}`, found {}", name.text, value.describe()),
                            );
                        }
                    }
                }
                Ok(Value::Record(bound.into()))
            }
            TypeKind::Fn { .. } => match value {
                Value::Func(_) | Value::Net(_) => Ok(value.clone()),
                other => {
                    fail("E0311", self.span, format!("{what} is declared as a function, found {}", other.describe()))
                }
            },
            TypeKind::Error => Ok(value.clone()),
        }
    }

    #[allow(clippy::too_many_arguments)] // one place of use; a struct would only rename the list
    fn bind_array(
        &mut self,
        scope: &Scope,
        own: bool,
        kind: ScalarKind,
        dims: &[ast::Expr],
        value: &Value,
        fit: Fit,
        (span, what): (Span, &str),
    ) -> Res<Value> {
        let found = match self.ty(value) {
            Ok(found) => found,
            Err(_) => {
                let message =
                    format!("{what} is declared as {}, found {}", kind_word(kind, dims.len()), value.describe());
                return Err(Box::new(Diagnostic::error("E0311", self.span, message).label(span, "declared here")));
            }
        };
        let dtype = self.dtype_of(kind).expect("strings are handled by the caller");
        let widened = if found.dtype == dtype {
            value.clone()
        } else if dtype.is_float() && found.dtype == DType::I64 {
            self.to_real(value)?
        } else {
            let message = format!("{what} is declared as {}, found {}", kind_word(kind, dims.len()), show_type(&found));
            return Err(Box::new(Diagnostic::error("E0311", self.span, message).label(span, "declared here")));
        };
        let stretches = fit == Fit::Broadcast && found.shape.len() < dims.len();
        if found.shape.len() != dims.len() && !stretches {
            let message = format!("{what} is declared with {} dimensions, found {}", dims.len(), show_type(&found));
            return Err(Box::new(Diagnostic::error("E0406", self.span, message).label(span, "declared here")));
        }
        let offset = dims.len() - found.shape.len();
        let mut shape = Vec::new();
        // Plain names first: arithmetic in a later dimension may use them.
        for pass in 0..2 {
            for (axis, dim) in dims.iter().enumerate() {
                let name = match &dim.kind {
                    ast::ExprKind::Name(name) => Some(name),
                    _ => None,
                };
                let bound = match name {
                    Some(name) if own => scope.find_here(name),
                    Some(name) => scope.find(name).filter(|v| matches!(v, Value::Int(_) | Value::Tensor(_))),
                    None => None,
                };
                match (pass, name, bound) {
                    (0, Some(name), None) => {
                        if axis < offset {
                            let message = format!("the extent `{name}` cannot be known from {}", show_type(&found));
                            return fail("E0406", self.span, message);
                        }
                        scope.bind(name, Value::Int(found.shape[axis - offset] as i64));
                    }
                    (0, ..) => {}
                    (_, _, bound) => {
                        let value = match bound {
                            Some(value) => value,
                            None => self.expr(scope, dim)?,
                        };
                        let extent = static_int(&value, dim.span, "a dimension")?;
                        let Ok(extent) = usize::try_from(extent) else {
                            return fail(
                                "E0404",
                                dim.span,
                                format!("this dimension is {extent}; it must not be negative"),
                            );
                        };
                        if axis >= offset && found.shape[axis - offset] != extent {
                            return Err(Box::new(self.dimension_mismatch(
                                &found.shape,
                                axis - offset,
                                extent,
                                dim,
                                what,
                            )));
                        }
                        shape.push(extent);
                    }
                }
            }
        }
        if stretches { self.broadcast_to(&widened, &shape) } else { Ok(widened) }
    }

    fn dimension_mismatch(
        &self,
        found: &[usize],
        axis: usize,
        extent: usize,
        dim: &ast::Expr,
        what: &str,
    ) -> Diagnostic {
        let name = match &dim.kind {
            ast::ExprKind::Name(name) => format!("`{name}` = {extent}"),
            _ => extent.to_string(),
        };
        let message = format!(
            "{what} has shape {found:?}, but its axis {axis} is declared as {name}: {} against {extent}",
            found[axis]
        );
        Diagnostic::error("E0406", self.span, message).label(dim.span, format!("this dimension is {extent}"))
    }

    /// The shape that a declared type states, all names being bound.
    pub(crate) fn declared_shape(&mut self, scope: &Scope, dims: &[ast::Expr]) -> Res<Vec<usize>> {
        let mut shape = Vec::new();
        for dim in dims {
            let value = self.expr(scope, dim)?;
            let extent = static_int(&value, dim.span, "a dimension")?;
            let Ok(extent) = usize::try_from(extent) else {
                return fail("E0404", dim.span, format!("this dimension is {extent}; it must not be negative"));
            };
            shape.push(extent);
        }
        Ok(shape)
    }
}

fn kind_word(kind: ScalarKind, rank: usize) -> String {
    let word = match kind {
        ScalarKind::Real => "real",
        ScalarKind::Int => "int",
        ScalarKind::Bool => "bool",
        ScalarKind::Key => "key",
        ScalarKind::Str => "string",
    };
    match rank {
        0 => word.to_string(),
        1 => format!("{word} with 1 dimension"),
        n => format!("{word} with {n} dimensions"),
    }
}
