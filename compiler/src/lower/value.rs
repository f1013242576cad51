//! Values while lowering and at the top level, functions as values, and scopes.

use super::Res;
use crate::builtins::Builtin;
use crate::ir::graph::{Graph, Var};
use crate::source::Span;
use crate::syntax::ast::{self, Symbol};
use dp_runtime::tensor::{DType, Tensor};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// A value. At the top level no `Var`, `Leaf` or `Blank` occurs.
#[derive(Clone)]
pub enum Value {
    /// A static int: may be a size.
    Int(i64),
    /// A static bool: decides an `if` while lowering.
    Bool(bool),
    Str(Symbol),
    Tensor(Tensor),
    /// A variable of an open frame.
    Var {
        level: usize,
        var: Var,
    },
    Tuple(Rc<[Value]>),
    Record(Rc<[(Symbol, Value)]>),
    /// Top level only: file names and the like.
    List(Rc<[Value]>),
    Func(Rc<Func>),
    Net(Rc<Net>),
    /// What an effect gives.
    Unit,
    /// An open argument `_`, or what depends on one.
    Blank,
    /// In templates: the place of the i-th number leaf.
    Leaf(usize),
}

impl Value {
    /// What it is, in the user's words.
    pub fn describe(&self) -> String {
        match self {
            Value::Int(i) => format!("the int {i}"),
            Value::Bool(b) => format!("the bool {b}"),
            Value::Str(s) => format!("the string \"{s}\""),
            Value::Tensor(t) => format!("{} of shape {:?}", kind_name(t.dtype()), t.shape()),
            Value::Var { .. } => "an array".to_string(),
            Value::Tuple(items) => format!("a tuple of {}", items.len()),
            Value::Record(fields) => {
                let names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
                format!("a record {{{}}}", names.join(", "))
            }
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Func(f) => format!("the function {}", f.name()),
            Value::Net(net) => format!("the network {}", net.name),
            Value::Unit => "nothing".to_string(),
            Value::Blank | Value::Leaf(_) => "an open argument".to_string(),
        }
    }

    pub fn tuple(items: Vec<Value>) -> Value {
        Value::Tuple(items.into())
    }

    pub fn func(func: Func) -> Value {
        Value::Func(Rc::new(func))
    }

    /// A record's field.
    pub fn field(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Record(fields) => fields.iter().find(|(n, _)| &**n == name).map(|(_, v)| v),
            _ => None,
        }
    }
}

/// The kind's name in the language.
pub fn kind_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 | DType::F64 => "real",
        DType::I64 => "int",
        DType::Bool => "bool",
        DType::Key => "key",
    }
}

/// Puts `leaves[i]` in the place of `Leaf(i)`.
pub fn fill(template: &Value, leaves: &[Value]) -> Value {
    match template {
        Value::Leaf(i) => leaves[*i].clone(),
        Value::Tuple(items) => Value::Tuple(items.iter().map(|v| fill(v, leaves)).collect()),
        Value::List(items) => Value::List(items.iter().map(|v| fill(v, leaves)).collect()),
        Value::Record(fields) => {
            Value::Record(fields.iter().map(|(name, v)| (name.clone(), fill(v, leaves))).collect())
        }
        Value::Int(_)
        | Value::Bool(_)
        | Value::Str(_)
        | Value::Tensor(_)
        | Value::Var { .. }
        | Value::Func(_)
        | Value::Net(_)
        | Value::Unit
        | Value::Blank => template.clone(),
    }
}

/// A function as a value.
pub enum Func {
    User {
        decl: Rc<ast::Fn>,
        scope: Scope,
    },
    Lambda {
        params: Vec<ast::Param>,
        body: Rc<ast::Expr>,
        scope: Scope,
        span: Span,
    },
    Builtin(Builtin),
    /// A call with open arguments: the blanks in order are its parameters.
    Partial {
        func: Value,
        args: Vec<PartialArg>,
    },
    /// `grad(f, wrt: ...)` and `value_and_grad`.
    Grad {
        func: Value,
        wrt: Option<Vec<Symbol>>,
        with_value: bool,
    },
    Jvp(Value),
    Vjp(Value),
    /// `vjp(f)(x)`: waits for the cotangent.
    Pullback {
        graph: Graph,
        residuals: Vec<Value>,
        outputs: Value,
        inputs: Value,
    },
    /// `jacobian(f, wrt: ...)`.
    Jacobian {
        func: Value,
        wrt: Option<Vec<Symbol>>,
    },
    Hessian(Value),
    Hvp(Value),
    Solver {
        decl: Rc<ast::Solver>,
        scope: Scope,
    },
    /// `unroll s(...) for K` and the like, over its open arguments.
    SolverForm(Rc<SolverForm>),
    /// A network written by hand with two parameter lists, before its instantiation.
    Template {
        decl: Rc<ast::Network>,
        scope: Scope,
    },
    /// A function that the compiler makes: the objective of a training step.
    Native(Native),
}

/// See `Func::Native`.
pub struct Native {
    pub call: Rc<NativeFn>,
    /// The value found where the gradient was first taken.
    pub value: RefCell<Option<Value>>,
}

pub type NativeFn = dyn for<'a, 's> Fn(&'a mut super::Ctx<'s>, &[Value]) -> Res<Value>;

impl Func {
    pub fn native(call: Rc<NativeFn>) -> Func {
        Func::Native(Native { call, value: RefCell::new(None) })
    }
}

impl Func {
    pub fn name(&self) -> String {
        match self {
            Func::User { decl, .. } => format!("`{}`", decl.name.text),
            Func::Lambda { .. } => "`fn(...) = ...`".to_string(),
            Func::Builtin(b) => {
                let row = crate::builtins::ROWS.iter().find(|row| row.builtin == *b);
                format!("`{}`", row.map_or("?", |row| row.name))
            }
            Func::Partial { .. } => "with open arguments".to_string(),
            Func::Grad { .. } => "`grad(...)`".to_string(),
            Func::Jvp(_) => "`jvp(...)`".to_string(),
            Func::Vjp(_) => "`vjp(...)`".to_string(),
            Func::Pullback { .. } => "`vjp(...)(...)`".to_string(),
            Func::Jacobian { .. } => "`jacobian(...)`".to_string(),
            Func::Hessian(_) => "`hessian(...)`".to_string(),
            Func::Hvp(_) => "`hvp(...)`".to_string(),
            Func::Solver { decl, .. } => format!("solver `{}`", decl.name.text),
            Func::SolverForm(form) => format!("unrolled `{}`", form.decl.name.text),
            Func::Template { decl, .. } => format!("network template `{}`", decl.name.text),
            Func::Native(_) => "`objective`".to_string(),
        }
    }
}

/// One argument of a call with blanks.
#[derive(Clone)]
pub struct PartialArg {
    pub name: Option<Symbol>,
    /// `None` is a blank.
    pub value: Option<Value>,
}

/// How a solver is run.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Until its rule holds.
    Converge,
    /// K passes, cotangents through the last `backprop` only.
    Unroll {
        count: usize,
        backprop: Option<usize>,
        checkpoint: Option<Option<usize>>,
    },
    Implicit,
    /// Records of every `every`-th of K passes.
    Trace {
        count: usize,
        every: usize,
        record: Vec<(ast::Name, ast::Expr)>,
    },
}

/// A solver with bound arguments and blanks, and the way to run it.
pub struct SolverForm {
    pub decl: Rc<ast::Solver>,
    /// Where the solver was declared.
    pub scope: Scope,
    /// Where the form was written (for `trace`).
    pub caller: Scope,
    pub args: Vec<PartialArg>,
    pub mode: Mode,
    pub span: Span,
}

/// What a network computes.
pub enum NetBody {
    /// A truncated solver with some of its lets and arguments as parameters.
    Unrolled { form: Rc<SolverForm>, lifted: Vec<Lift> },
    /// Written by hand: the block reads `param` names from the parameters. The scope of an instance of a template binds
    /// the template's own parameters. `parts` are the instances among the `param`s.
    Hand { decl: Rc<ast::Network>, scope: Scope, parts: Rc<[(Symbol, Rc<Net>)]> },
}

/// One lifted quantity of an unrolled network.
#[derive(Clone)]
pub struct Lift {
    pub name: Symbol,
    /// One copy for each pass.
    pub each: bool,
    pub place: LiftPlace,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LiftPlace {
    Argument,
    Let,
    StepLet,
}

/// A network: what it computes and its current parameters.
pub struct Net {
    pub name: Symbol,
    /// Unique in a session; names the parameters.
    pub id: usize,
    pub body: Rc<NetBody>,
    /// A record of arrays (and of records, for instances), shared by all values that name this network.
    pub params: Rc<RefCell<Value>>,
    /// Where in that record its own parameters stand: the names of the instances that lead to it.
    pub within: Rc<[Symbol]>,
    /// `first(net, k)`: only the first k passes.
    pub first: Option<usize>,
    /// `at(net, p)`: these parameters instead of the shared ones.
    pub at: Option<Value>,
}

impl Net {
    /// Its parameters as they are now: given ones, else its part of the shared ones.
    pub fn own_params(&self) -> Value {
        match &self.at {
            Some(params) => params.clone(),
            None => self.part_of(&self.params.borrow()),
        }
    }

    /// Its part of a record of the shape of the shared parameters.
    pub fn part_of(&self, whole: &Value) -> Value {
        self.within.iter().fold(whole.clone(), |value, name| value.field(name).cloned().unwrap_or(Value::Unit))
    }

    /// The instance of this name, which shares this network's parameters.
    pub fn part(&self, name: &str) -> Option<Net> {
        let NetBody::Hand { parts, .. } = &*self.body else { return None };
        let (name, part) = parts.iter().find(|(n, _)| &**n == name)?;
        Some(Net {
            name: part.name.clone(),
            id: self.id,
            body: part.body.clone(),
            params: self.params.clone(),
            within: self.within.iter().chain([name]).cloned().collect(),
            first: part.first,
            at: self.at.as_ref().map(|params| params.field(name).cloned().unwrap_or(Value::Unit)),
        })
    }
}

/// Names in force, innermost first.
#[derive(Clone)]
pub struct Scope(Rc<Node>);

struct Node {
    names: RefCell<HashMap<Symbol, Value>>,
    /// `derivative f(...)` declared here, by the function's name.
    derivatives: RefCell<HashMap<Symbol, Rc<ast::Custom>>>,
    /// `prox f(...)` declared here, or imported.
    proxes: RefCell<Vec<ProxRule>>,
    parent: Option<Scope>,
}

/// A declared proximal operator.
#[derive(Clone)]
pub struct ProxRule {
    pub rule: Rc<ast::Custom>,
    /// Where it stands: there, its name means the function that it is about.
    pub scope: Scope,
}

impl Default for Scope {
    fn default() -> Scope {
        Scope::new(None)
    }
}

impl Scope {
    pub fn new(parent: Option<Scope>) -> Scope {
        Scope(Rc::new(Node {
            names: RefCell::default(),
            derivatives: RefCell::default(),
            proxes: RefCell::default(),
            parent,
        }))
    }

    /// A scope inside this one.
    pub fn inner(&self) -> Scope {
        Scope::new(Some(self.clone()))
    }

    pub fn bind(&self, name: &Symbol, value: Value) {
        self.0.names.borrow_mut().insert(name.clone(), value);
    }

    pub fn find(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            if let Some(value) = scope.0.names.borrow().get(name) {
                return Some(value.clone());
            }
            scope = scope.0.parent.as_ref()?;
        }
    }

    /// A name bound in this very scope.
    pub fn find_here(&self, name: &str) -> Option<Value> {
        self.0.names.borrow().get(name).cloned()
    }

    /// The names bound in this very scope, sorted.
    pub fn names_here(&self) -> Vec<Symbol> {
        let mut names: Vec<Symbol> = self.0.names.borrow().keys().cloned().collect();
        names.sort();
        names
    }

    pub fn bind_derivative(&self, custom: Rc<ast::Custom>) {
        self.0.derivatives.borrow_mut().insert(custom.name.text.clone(), custom);
    }

    /// The rule for a function. A function of the same name that is defined further out has its own, which is not for this
    /// one.
    pub fn find_derivative(&self, name: &str) -> Option<Rc<ast::Custom>> {
        let mut scope = self;
        loop {
            if let Some(custom) = scope.0.derivatives.borrow().get(name) {
                return Some(custom.clone());
            }
            if scope.0.names.borrow().contains_key(name) {
                return None;
            }
            scope = scope.0.parent.as_ref()?;
        }
    }

    /// Declares a proximal operator here.
    pub fn bind_prox(&self, rule: ProxRule) {
        self.0.proxes.borrow_mut().push(rule);
    }

    /// The proximal operators declared in this very scope, in order.
    pub fn proxes_here(&self) -> Vec<ProxRule> {
        self.0.proxes.borrow().clone()
    }

    /// Forgets the rule for a function that is defined anew.
    pub fn unbind_derivative(&self, name: &str) {
        self.0.derivatives.borrow_mut().remove(name);
    }

    /// The scope around this one.
    pub fn parent(&self) -> Option<Scope> {
        self.0.parent.clone()
    }

    /// The same for all copies of one scope.
    pub fn address(&self) -> usize {
        Rc::as_ptr(&self.0) as usize
    }

    /// A copy of this scope's own names inside another scope.
    pub fn snapshot_in(&self, parent: Option<Scope>) -> Scope {
        Scope(Rc::new(Node {
            names: RefCell::new(self.0.names.borrow().clone()),
            derivatives: RefCell::new(self.0.derivatives.borrow().clone()),
            proxes: RefCell::new(self.0.proxes.borrow().clone()),
            parent,
        }))
    }

    /// Makes this scope's own names those of a copy that was taken before.
    pub fn restore(&self, copy: &Scope) {
        self.0.names.replace(copy.0.names.borrow().clone());
        self.0.derivatives.replace(copy.0.derivatives.borrow().clone());
    }

    /// A copy of this scope's own names, sharing parents: what a failed entry must not change.
    pub fn snapshot(&self) -> Scope {
        self.snapshot_in(self.parent())
    }
}

/// What is looked for inside function values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaves {
    Variables,
    Places,
}

impl Leaves {
    /// Whether a value has such a leaf, also in what functions in it captured. `seen` are scopes looked at already.
    pub fn within(self, value: &Value, seen: &mut HashSet<usize>) -> bool {
        match value {
            Value::Var { .. } => self == Leaves::Variables,
            Value::Leaf(_) => self == Leaves::Places,
            Value::Tuple(items) | Value::List(items) => items.iter().any(|v| self.within(v, seen)),
            Value::Record(fields) => fields.iter().any(|(_, v)| self.within(v, seen)),
            Value::Func(func) => match &**func {
                Func::User { scope, .. } | Func::Lambda { scope, .. } => self.within_scope(scope, seen),
                Func::Solver { scope, .. } | Func::Template { scope, .. } => self.within_scope(scope, seen),
                Func::Partial { func, args } => self.within(func, seen) || self.within_args(args, seen),
                Func::Grad { func, .. } | Func::Jacobian { func, .. } => self.within(func, seen),
                Func::Jvp(f) | Func::Vjp(f) | Func::Hessian(f) | Func::Hvp(f) => self.within(f, seen),
                Func::Pullback { residuals, .. } => residuals.iter().any(|v| self.within(v, seen)),
                Func::SolverForm(form) => self.within_form(form, seen),
                Func::Builtin(_) | Func::Native(_) => false,
            },
            Value::Net(net) => {
                let body = match &*net.body {
                    NetBody::Unrolled { form, .. } => self.within_form(form, seen),
                    NetBody::Hand { scope, parts, .. } => {
                        self.within_scope(scope, seen)
                            || parts.iter().any(|(_, part)| self.within(&Value::Net(part.clone()), seen))
                    }
                };
                body || net.at.as_ref().is_some_and(|v| self.within(v, seen))
            }
            Value::Int(_) | Value::Bool(_) | Value::Str(_) | Value::Tensor(_) | Value::Unit | Value::Blank => false,
        }
    }

    fn within_args(self, args: &[PartialArg], seen: &mut HashSet<usize>) -> bool {
        args.iter().any(|arg| arg.value.as_ref().is_some_and(|v| self.within(v, seen)))
    }

    fn within_form(self, form: &SolverForm, seen: &mut HashSet<usize>) -> bool {
        self.within_args(&form.args, seen)
            || self.within_scope(&form.scope, seen)
            || self.within_scope(&form.caller, seen)
    }

    /// Whether a name of a scope, or of one around it, stands for such a leaf.
    pub fn within_scope(self, scope: &Scope, seen: &mut HashSet<usize>) -> bool {
        let mut scope = Some(scope.clone());
        while let Some(current) = scope {
            if !seen.insert(current.address()) {
                return false;
            }
            if current.0.names.borrow().values().any(|v| self.within(v, seen)) {
                return true;
            }
            scope = current.parent();
        }
        false
    }
}

/// A static int out of a value, for sizes and counts.
pub fn static_int(value: &Value, span: Span, what: &str) -> Res<i64> {
    match value {
        Value::Int(i) => Ok(*i),
        Value::Tensor(Tensor::I64(a)) if a.ndim() == 0 => Ok(*a.first().expect("a scalar")),
        other => super::fail(
            "E0403",
            span,
            format!(
                "{what} must be known before the program runs (a number, a dimension, an `arg` or a top-level int), found {}",
                other.describe()
            ),
        ),
    }
}
