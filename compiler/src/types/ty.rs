//! Types, as the checker sees them, and how they are shown to the user.
//!
//! `Unknown` is the type of what could not be determined: a value that `load` gives, a derived solver, an
//! expression with a reported mistake. It fits everywhere, so that one mistake is reported once.

use super::dim::{Dim, DimName, Poly};
use super::scope::Scope;
use crate::builtins::Builtin;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::Symbol;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

/// The kind of an array's elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Real,
    Int,
    Bool,
    Key,
}

#[derive(Clone, Debug)]
pub enum Ty {
    Array(Array),
    Str,
    Tuple(Rc<[Ty]>),
    Record(Rc<Record>),
    /// A function with declared parameters: a named one, a declared `fn(...)` parameter, a form with blanks.
    Fn(Rc<Sig>),
    /// A lambda: its body is checked at each application.
    Lambda(Rc<Lambda>),
    Builtin(Builtin),
    /// `grad(f)` and its like: checked when applied.
    Derived(Rc<Derived>),
    Network(Rc<Network>),
    /// A network with two parameter lists.
    Template(Rc<Template>),
    Solver(Rc<Solver>),
    Problem(Rc<Problem>),
    /// The element type of what only the top level has: file lists.
    List(Rc<Ty>),
    Unknown,
}

/// A scalar (no dimensions) or an array.
#[derive(Clone, Debug)]
pub struct Array {
    pub kind: Kind,
    /// `None` when not even the rank is known.
    pub dims: Option<Vec<Dim>>,
    /// The value of an int scalar that is known before the program runs, as a dimension.
    pub value: Option<Poly>,
}

#[derive(Clone, Debug)]
pub struct Record {
    pub fields: Vec<(Symbol, Ty)>,
    /// More fields may exist than are listed.
    pub open: bool,
}

/// What a call is checked against.
#[derive(Clone, Debug)]
pub struct Sig {
    /// In messages: "function", "solver", "network", "problem".
    pub what: &'static str,
    pub name: Option<Symbol>,
    /// The dimension names that a call binds.
    pub generics: Vec<DimName>,
    pub params: Vec<Param>,
    pub result: Ty,
}

#[derive(Clone, Debug)]
pub struct Param {
    pub name: Option<Symbol>,
    pub ty: Ty,
    pub default: bool,
    pub span: Span,
}

/// A function without declared types, with the names that it can see.
#[derive(Debug)]
pub struct Lambda {
    pub params: Vec<ast::Param>,
    pub body: Rc<ast::Expr>,
    pub scope: Scope,
    /// Draws and effects are allowed where it stands.
    pub effects: bool,
}

/// Which derivative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    Grad,
    ValueAndGrad,
    Jvp,
    Vjp,
    Jacobian,
    Hessian,
    Hvp,
}

/// An operator applied to a function, waiting for the function's arguments.
#[derive(Clone, Debug)]
pub struct Derived {
    pub operator: Operator,
    pub function: Ty,
    pub wrt: Wrt,
}

/// In which parameters.
#[derive(Clone, Debug)]
pub enum Wrt {
    /// The first one.
    First,
    /// Positions; `true` when written as a tuple.
    Params(Vec<usize>, bool),
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Network {
    pub sig: Rc<Sig>,
    /// Its parameters and instances, by name.
    pub params: Record,
}

#[derive(Clone, Debug)]
pub struct Template {
    pub sig: Rc<Sig>,
}

#[derive(Clone, Debug)]
pub struct Solver {
    pub sig: Rc<Sig>,
    /// What `learn` may name: lets before `step`, and lets in it.
    pub lets: Vec<SolverLet>,
    pub states: Vec<(Symbol, Ty, Span)>,
    /// Absent for a derived solver, whose lets are not known here.
    pub source: Option<Rc<ast::Solver>>,
}

#[derive(Clone, Debug)]
pub struct SolverLet {
    pub name: Symbol,
    pub ty: Ty,
    pub span: Span,
    pub in_step: bool,
}

#[derive(Clone, Debug)]
pub struct Problem {
    /// Data, then blocks; the result is the objective's value.
    pub sig: Rc<Sig>,
    /// How many of the parameters are data.
    pub data: usize,
}

impl Ty {
    pub fn scalar(kind: Kind) -> Ty {
        Ty::array(kind, Vec::new())
    }

    pub fn real() -> Ty {
        Ty::scalar(Kind::Real)
    }

    pub fn int() -> Ty {
        Ty::scalar(Kind::Int)
    }

    pub fn bool() -> Ty {
        Ty::scalar(Kind::Bool)
    }

    pub fn key() -> Ty {
        Ty::scalar(Kind::Key)
    }

    pub fn array(kind: Kind, dims: Vec<Dim>) -> Ty {
        Ty::Array(Array { kind, dims: Some(dims), value: None })
    }

    pub fn any_rank(kind: Kind) -> Ty {
        Ty::Array(Array { kind, dims: None, value: None })
    }

    /// An array whose dimensions may be unknown altogether.
    pub fn shaped(kind: Kind, dims: Option<Vec<Dim>>) -> Ty {
        Ty::Array(Array { kind, dims, value: None })
    }

    /// An int that is known before the program runs.
    pub fn static_int(value: Dim) -> Ty {
        let value = value.known().cloned();
        Ty::Array(Array { kind: Kind::Int, dims: Some(Vec::new()), value })
    }

    pub fn tuple(types: Vec<Ty>) -> Ty {
        Ty::Tuple(types.into())
    }

    pub fn record(fields: Vec<(Symbol, Ty)>, open: bool) -> Ty {
        Ty::Record(Rc::new(Record { fields, open }))
    }

    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Ty::Array(array) => Some(array),
            Ty::Str | Ty::Tuple(_) | Ty::Record(_) | Ty::Fn(_) | Ty::Lambda(_) | Ty::Builtin(_) | Ty::Derived(_) => {
                None
            }
            Ty::Network(_) | Ty::Template(_) | Ty::Solver(_) | Ty::Problem(_) | Ty::List(_) | Ty::Unknown => None,
        }
    }

    /// The value of an int known before the program runs.
    pub fn value(&self) -> Option<&Poly> {
        self.as_array().and_then(|array| array.value.as_ref())
    }

    /// The value as a dimension, unknown if it is not static.
    pub fn value_dim(&self) -> Dim {
        self.value().map_or(Dim::Unknown, |poly| Dim::Known(poly.clone()))
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self, Ty::Unknown)
    }

    /// Puts dimensions in the place of names everywhere in it. A lambda keeps the names of its place in its scope, so that
    /// it cannot leave it: it becomes unknown.
    pub fn subst(&self, map: &HashMap<u32, Dim>) -> Ty {
        if map.is_empty() {
            return self.clone();
        }
        match self {
            Ty::Array(array) => Ty::Array(Array {
                kind: array.kind,
                dims: array.dims.as_ref().map(|dims| dims.iter().map(|dim| dim.subst(map)).collect()),
                value: array.value.as_ref().and_then(|value| value.subst(map).known().cloned()),
            }),
            Ty::Tuple(types) => Ty::Tuple(types.iter().map(|ty| ty.subst(map)).collect()),
            Ty::Record(record) => Ty::Record(Rc::new(record.subst(map))),
            Ty::Fn(sig) => Ty::Fn(Rc::new(sig.subst(map))),
            Ty::Derived(derived) => {
                let function = derived.function.subst(map);
                Ty::Derived(Rc::new(Derived { operator: derived.operator, function, wrt: derived.wrt.clone() }))
            }
            Ty::Network(network) => Ty::Network(Rc::new(network.subst(map))),
            Ty::Solver(_) | Ty::Problem(_) | Ty::Template(_) | Ty::Builtin(_) | Ty::Str => self.clone(),
            Ty::List(element) => Ty::List(Rc::new(element.subst(map))),
            Ty::Lambda(_) | Ty::Unknown => Ty::Unknown,
        }
    }
}

impl Record {
    pub fn field(&self, name: &str) -> Option<&Ty> {
        self.fields.iter().find(|(field, _)| &**field == name).map(|(_, ty)| ty)
    }

    pub fn subst(&self, map: &HashMap<u32, Dim>) -> Record {
        let fields = self.fields.iter().map(|(name, ty)| (name.clone(), ty.subst(map))).collect();
        Record { fields, open: self.open }
    }
}

impl Sig {
    pub fn subst(&self, map: &HashMap<u32, Dim>) -> Sig {
        let params = self.params.iter().map(|param| Param { ty: param.ty.subst(map), ..param.clone() }).collect();
        Sig { params, result: self.result.subst(map), ..self.clone() }
    }

    /// In messages: `soft`, or what it is if it has no name.
    pub fn called(&self) -> String {
        match &self.name {
            Some(name) => format!("`{name}`"),
            None => format!("this {}", self.what),
        }
    }
}

impl Network {
    pub fn subst(&self, map: &HashMap<u32, Dim>) -> Network {
        Network { sig: Rc::new(self.sig.subst(map)), params: self.params.subst(map) }
    }
}

impl Kind {
    pub fn of(kind: ast::ScalarKind) -> Option<Kind> {
        match kind {
            ast::ScalarKind::Real => Some(Kind::Real),
            ast::ScalarKind::Int => Some(Kind::Int),
            ast::ScalarKind::Bool => Some(Kind::Bool),
            ast::ScalarKind::Key => Some(Kind::Key),
            ast::ScalarKind::Str => None,
        }
    }

    /// A value of kind `self` may be given where `wanted` is.
    pub fn widens_to(self, wanted: Kind) -> bool {
        self == wanted || (self == Kind::Int && wanted == Kind::Real)
    }

    pub fn is_number(self) -> bool {
        match self {
            Kind::Real | Kind::Int => true,
            Kind::Bool | Kind::Key => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Real => "real",
            Kind::Int => "int",
            Kind::Bool => "bool",
            Kind::Key => "key",
        })
    }
}

/// `[m, n]`, or nothing for a scalar.
pub fn show_dims(dims: &[Dim]) -> String {
    if dims.is_empty() {
        return String::new();
    }
    format!("[{}]", dims.iter().map(Dim::to_string).collect::<Vec<_>>().join(", "))
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ty::Array(array) => match &array.dims {
                Some(dims) => write!(f, "{}{}", array.kind, show_dims(dims)),
                None => write!(f, "{}[..]", array.kind),
            },
            Ty::Str => f.write_str("string"),
            Ty::Tuple(types) => {
                let types: Vec<String> = types.iter().map(Ty::to_string).collect();
                write!(f, "({})", types.join(", "))
            }
            Ty::Record(record) => {
                let mut fields: Vec<String> = record.fields.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
                if record.open {
                    fields.push("..".to_string());
                }
                write!(f, "{{{}}}", fields.join(", "))
            }
            Ty::Fn(sig) => write!(f, "fn{sig}"),
            Ty::Lambda(lambda) => {
                let names: Vec<&str> = lambda.params.iter().map(|param| &*param.name.text).collect();
                write!(f, "fn({})", names.join(", "))
            }
            Ty::Builtin(_) => f.write_str("a built-in function"),
            Ty::Derived(derived) => write!(f, "{}(f)", derived.operator.name()),
            Ty::Network(network) => write!(f, "network{}", network.sig),
            Ty::Template(template) => write!(f, "network template{}", template.sig),
            Ty::Solver(solver) => write!(f, "solver{}", solver.sig),
            Ty::Problem(problem) => write!(f, "problem{}", problem.sig),
            Ty::List(element) => write!(f, "list of {element}"),
            Ty::Unknown => f.write_str("?"),
        }
    }
}

impl fmt::Display for Sig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<String> = self
            .params
            .iter()
            .map(|param| match &param.name {
                Some(name) => format!("{name}: {}", param.ty),
                None => param.ty.to_string(),
            })
            .collect();
        write!(f, "({}) -> {}", params.join(", "), self.result)
    }
}

impl Operator {
    pub fn name(self) -> &'static str {
        match self {
            Operator::Grad => "grad",
            Operator::ValueAndGrad => "value_and_grad",
            Operator::Jvp => "jvp",
            Operator::Vjp => "vjp",
            Operator::Jacobian => "jacobian",
            Operator::Hessian => "hessian",
            Operator::Hvp => "hvp",
        }
    }
}
