//! Lowering: the syntax tree, with concrete shapes and static ints known, to a Graph.
//!
//! An expression is traced: values are static (ints, strings, functions), concrete tensors, or variables
//! of a Graph under construction. Bodies that become sub-Graphs (loops, branches, mapped and differentiated
//! functions) are traced in a frame of their own; what they use from outside is captured as a parameter.
//! Derivatives and batching are resolved here by calling the Graph passes on such traced bodies.

mod binding;
mod builtins;
mod call;
mod convolution;
mod custom;
mod derivative;
mod draw;
mod escape;
mod expr;
mod implicit;
mod loops;
mod network;
mod ops;
pub mod problem;
pub mod prox;
mod reduce;
mod solver;
mod system;
mod unrolled;
pub mod value;
pub mod watch;
mod windows;

pub use escape::fill_escaped;
pub use network::{Declaration, init_network};
pub use solver::Optimizer;

use crate::diagnostic::Diagnostic;
use crate::ir::builder::Builder;
use crate::ir::graph::{Graph, Op, Type, Var};
use crate::source::Span;
use dp_runtime::tensor::{DType, Tensor};
use std::collections::HashMap;
use value::{Scope, Value};

/// A result whose error is a message for the user.
pub type Res<T> = Result<T, Box<Diagnostic>>;

pub fn fail<T>(code: &'static str, span: Span, message: impl Into<String>) -> Res<T> {
    Err(Box::new(Diagnostic::error(code, span, message)))
}

/// What lowering may spend.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Equations of one Graph.
    pub equations: usize,
    /// Bytes of one array.
    pub bytes: u64,
    /// Calls inside calls.
    pub call_depth: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { equations: 1_000_000, bytes: 8 << 30, call_depth: 200 }
    }
}

/// A body under construction.
struct Frame {
    builder: Builder,
    /// Outer variables used here, with the parameter that stands for each.
    captures: Vec<(Outer, Var)>,
    index: HashMap<Outer, Var>,
    /// Parameters that are not captures.
    explicit: Vec<Var>,
    /// Emitted scalar constants, by kind and bits.
    scalars: HashMap<(DType, u64), Var>,
}

/// Something outside a frame: a variable of an outer frame, or (from the outermost) an input tensor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Outer {
    Var(usize, Var),
    Input(usize),
}

/// A traced body: a closed Graph whose first parameters are the captures.
pub(crate) struct Body {
    pub graph: Graph,
    /// The captured values, as variables of the frame that was current when the body was finished.
    pub captures: Vec<Var>,
}

/// How a draw without a key is named.
#[derive(Clone)]
pub enum Draws {
    /// Inside functions: refused.
    Forbidden,
    /// At the top level: by seed, site and how often the site was reached.
    TopLevel,
    /// In the body of `train` and in `param` values: folded into this key by site.
    Keyed(Value),
}

/// The state of lowering one statement.
pub struct Ctx<'s> {
    pub session: &'s mut Session,
    frames: Vec<Frame>,
    /// Concrete tensors that the outermost Graph takes as inputs, after its explicit parameters.
    inputs: Vec<Tensor>,
    input_index: HashMap<(usize, Vec<usize>, DType), usize>,
    pub span: Span,
    call_depth: usize,
    pub draws: Draws,
    /// Parameters of networks replaced while this is lowered, by network number.
    pub overrides: HashMap<usize, Value>,
    equations: usize,
}

/// What outlives a statement.
#[derive(Clone)]
pub struct Session {
    /// The element kind of `real`.
    pub real: DType,
    pub seed: u64,
    pub limits: Limits,
    /// How often each keyless draw was reached at the top level.
    pub draw_counts: HashMap<Span, u64>,
    pub next_network: usize,
    /// The calls of truncated solvers are looked at.
    pub watch: Option<watch::Watch>,
}

impl Session {
    pub fn new(real: DType, seed: u64) -> Session {
        Session { real, seed, limits: Limits::default(), draw_counts: HashMap::new(), next_network: 0, watch: None }
    }
}

/// A lowered statement: a Graph, the tensors that its trailing parameters stand for, and how its results form a value.
pub struct Lowered {
    pub graph: Graph,
    /// Values of the parameters after the explicit ones.
    pub inputs: Vec<Tensor>,
    pub value: Value,
}

/// Lowers an expression in a scope to a closed Graph without explicit parameters. The value's variables are
/// results of the Graph: `value::fill` puts tensors in their place.
pub fn lower_expr(session: &mut Session, scope: &Scope, expr: &crate::syntax::ast::Expr) -> Res<Lowered> {
    lower_with(session, &[], expr.span, |ctx, _| ctx.expr(scope, expr))
}

/// Lowers whatever `body` traces, given variables for the explicit parameters.
pub fn lower_with(
    session: &mut Session,
    params: &[Type],
    span: Span,
    body: impl FnOnce(&mut Ctx, &[Value]) -> Res<Value>,
) -> Res<Lowered> {
    let mut ctx = Ctx {
        session,
        frames: Vec::new(),
        inputs: Vec::new(),
        input_index: HashMap::new(),
        span,
        call_depth: 0,
        draws: Draws::TopLevel,
        overrides: HashMap::new(),
        equations: 0,
    };
    ctx.push_frame();
    let explicit: Vec<Value> = params.iter().map(|ty| ctx.param(ty.clone())).collect();
    let value = body(&mut ctx, &explicit)?;
    let (vars, value) = ctx.escaping_leaves(&value)?;
    let frame = ctx.frames.pop().expect("internal error: the outermost frame");
    let mut builder = frame.builder;
    let mut graph_params = frame.explicit.clone();
    let mut inputs = Vec::new();
    for (outer, var) in &frame.captures {
        match outer {
            Outer::Input(i) => {
                graph_params.push(*var);
                inputs.push(ctx.inputs[*i].clone());
            }
            Outer::Var(..) => unreachable!("the outermost frame captures inputs only"),
        }
    }
    builder.graph.params = graph_params;
    let graph = builder.finish(vars);
    Ok(Lowered { graph, inputs, value })
}

impl<'s> Ctx<'s> {
    /// The element kind of `real`.
    pub fn real(&self) -> DType {
        self.session.real
    }

    fn push_frame(&mut self) {
        self.frames.push(Frame {
            builder: Builder::default(),
            captures: Vec::new(),
            index: HashMap::new(),
            explicit: Vec::new(),
            scalars: HashMap::new(),
        });
    }

    fn level(&self) -> usize {
        self.frames.len() - 1
    }

    fn builder(&mut self) -> &mut Builder {
        let span = self.span;
        let builder = &mut self.frames.last_mut().expect("internal error: a frame is open").builder;
        builder.span = span;
        builder
    }

    /// A new explicit parameter of the current frame.
    pub fn param(&mut self, ty: Type) -> Value {
        let level = self.level();
        let frame = self.frames.last_mut().expect("internal error: a frame is open");
        let var = frame.builder.param(ty);
        frame.explicit.push(var);
        Value::Var { level, var }
    }

    /// The variable of the current frame that stands for a value: captured, converted from static or concrete.
    pub fn var(&mut self, value: &Value) -> Res<Var> {
        match value {
            Value::Var { level, var } => Ok(self.capture(self.level(), *level, *var)),
            Value::Int(i) => Ok(self.constant(DType::I64, *i as u64)),
            Value::Bool(b) => Ok(self.constant(DType::Bool, u64::from(*b))),
            Value::Tensor(t) if t.shape().is_empty() && t.dtype() != DType::Key => {
                let bits = match t {
                    Tensor::F32(a) => u64::from(a.first().expect("a scalar").to_bits()),
                    Tensor::F64(a) => a.first().expect("a scalar").to_bits(),
                    Tensor::I64(a) => *a.first().expect("a scalar") as u64,
                    Tensor::Bool(a) => u64::from(*a.first().expect("a scalar")),
                    Tensor::Key(a) => *a.first().expect("a scalar"),
                };
                Ok(self.constant(t.dtype(), bits))
            }
            Value::Tensor(t) => {
                let input = self.input(t);
                Ok(self.capture_outer(self.level(), Outer::Input(input), Type::of(t)))
            }
            Value::Blank => fail("E0315", self.span, "this value depends on an open argument `_`"),
            other => fail("E0310", self.span, format!("expected a number or an array, found {}", other.describe())),
        }
    }

    fn constant(&mut self, dtype: DType, bits: u64) -> Var {
        let frame = self.frames.last_mut().expect("internal error: a frame is open");
        if let Some(&var) = frame.scalars.get(&(dtype, bits)) {
            return var;
        }
        let tensor = match dtype {
            DType::F32 => Tensor::scalar(f32::from_bits(bits as u32)),
            DType::F64 => Tensor::scalar(f64::from_bits(bits)),
            DType::I64 => Tensor::scalar(bits as i64),
            DType::Bool => Tensor::scalar(bits != 0),
            DType::Key => Tensor::scalar(bits),
        };
        let var = self.builder().constant(tensor);
        let frame = self.frames.last_mut().expect("internal error: a frame is open");
        frame.scalars.insert((dtype, bits), var);
        var
    }

    /// A real constant of the run's precision.
    pub fn real_const(&mut self, value: f64) -> Value {
        Value::Tensor(Tensor::scalar_of(self.real(), value))
    }

    fn input(&mut self, tensor: &Tensor) -> usize {
        let address = dp_runtime::for_any_tensor!(tensor, a => a.as_ptr() as usize);
        let key = (address, tensor.shape().to_vec(), tensor.dtype());
        if let Some(&i) = self.input_index.get(&key) {
            return i;
        }
        self.inputs.push(tensor.clone());
        self.input_index.insert(key, self.inputs.len() - 1);
        self.inputs.len() - 1
    }

    fn capture(&mut self, at: usize, level: usize, var: Var) -> Var {
        if level == at {
            return var;
        }
        let ty = self.frames[level].builder.ty(var).clone();
        self.capture_outer(at, Outer::Var(level, var), ty)
    }

    /// The parameter of frame `at` that stands for something outside it.
    fn capture_outer(&mut self, at: usize, outer: Outer, ty: Type) -> Var {
        let local = match outer {
            Outer::Var(level, var) if level == at => return var,
            Outer::Var(..) | Outer::Input(_) => self.frames[at].index.get(&outer).copied(),
        };
        if let Some(var) = local {
            return var;
        }
        let frame = &mut self.frames[at];
        let var = frame.builder.graph.fresh(ty);
        frame.captures.push((outer, var));
        frame.index.insert(outer, var);
        var
    }

    /// Traces `body` in a frame of its own and closes it.
    pub(crate) fn body<T>(
        &mut self,
        params: &[Type],
        body: impl FnOnce(&mut Ctx<'s>, &[Value]) -> Res<(Vec<Var>, T)>,
    ) -> Res<(Body, T)> {
        self.push_frame();
        let values: Vec<Value> = params.iter().map(|ty| self.param(ty.clone())).collect();
        let traced = body(self, &values);
        let frame = self.frames.pop().expect("internal error: the frame that was pushed");
        let (results, extra) = traced?;
        self.forget_calls();
        Ok((self.close(frame, results), extra))
    }

    /// Closes a frame: captures become leading parameters, and are themselves captured from here.
    fn close(&mut self, frame: Frame, results: Vec<Var>) -> Body {
        let mut graph = frame.builder.graph;
        let mut params: Vec<Var> = frame.captures.iter().map(|(_, var)| *var).collect();
        params.extend(&frame.explicit);
        graph.params = params;
        graph.results = results;
        let at = self.level();
        let captures =
            frame.captures.iter().map(|(outer, var)| self.capture_outer(at, *outer, graph.ty(*var).clone())).collect();
        Body { graph, captures }
    }

    /// Emits an operation on values, with checked types and limits.
    pub fn emit(&mut self, op: Op, args: &[Value]) -> Res<Vec<Value>> {
        let vars = args.iter().map(|v| self.var(v)).collect::<Res<Vec<Var>>>()?;
        self.emit_vars(op, &vars)
    }

    pub fn emit_vars(&mut self, op: Op, vars: &[Var]) -> Res<Vec<Value>> {
        let level = self.level();
        let span = self.span;
        self.equations += 1;
        if self.equations > self.session.limits.equations {
            return fail(
                "E0601",
                span,
                format!("the program grows beyond {} equations", self.session.limits.equations),
            );
        }
        let name = crate::prims::name(&op);
        let outs = match self.builder().try_emit(op, vars) {
            Ok(outs) => outs,
            Err(reason) => return fail("E0401", span, format!("`{name}` does not fit its operands: {reason}")),
        };
        for &out in &outs {
            let ty = self.frames[level].builder.ty(out).clone();
            self.check_size(&ty.shape, ty.dtype)?;
        }
        Ok(outs.into_iter().map(|var| Value::Var { level, var }).collect())
    }

    /// Refuses arrays beyond the memory limit before anything is paid for.
    pub fn check_size(&self, shape: &[usize], dtype: DType) -> Res<()> {
        let bytes = shape.iter().try_fold(dtype.size() as u64, |bytes, &extent| bytes.checked_mul(extent as u64));
        let limit = self.session.limits.bytes;
        match bytes {
            Some(bytes) if bytes <= limit => Ok(()),
            _ => Err(Box::new(
                Diagnostic::error(
                    "E0602",
                    self.span,
                    format!("an array of shape {shape:?} does not fit the memory limit of {} MiB", limit >> 20),
                )
                .help("make it smaller, or raise the limit with --max-mem"),
            )),
        }
    }

    /// Emits an operation with one result.
    pub fn op(&mut self, op: Op, args: &[Value]) -> Res<Value> {
        Ok(self.emit(op, args)?.swap_remove(0))
    }

    /// Inlines a closed Graph.
    pub(crate) fn inline(&mut self, graph: &Graph, args: &[Var]) -> Vec<Value> {
        let level = self.level();
        self.equations += graph.eqns.len();
        self.builder().inline(graph, args).into_iter().map(|var| Value::Var { level, var }).collect()
    }

    /// The type of a value that is a number or an array.
    pub fn ty(&self, value: &Value) -> Res<Type> {
        match value {
            Value::Var { level, var } => Ok(self.frames[*level].builder.ty(*var).clone()),
            Value::Tensor(t) => Ok(Type::of(t)),
            Value::Int(_) => Ok(Type::scalar(DType::I64)),
            Value::Bool(_) => Ok(Type::scalar(DType::Bool)),
            Value::Blank => fail("E0315", self.span, "this value depends on an open argument `_`"),
            other => fail("E0310", self.span, format!("expected a number or an array, found {}", other.describe())),
        }
    }

    pub fn shape(&self, value: &Value) -> Res<Vec<usize>> {
        Ok(self.ty(value)?.shape)
    }

    /// The number leaves of a value as variables of this frame, and the value with each leaf replaced by `Value::Leaf`.
    /// Static ints and bools stay static.
    pub(crate) fn leaves(&mut self, value: &Value) -> Res<(Vec<Var>, Value)> {
        let mut vars = Vec::new();
        let template = self.collect_leaves(value, &mut vars)?;
        Ok((vars, template))
    }

    fn collect_leaves(&mut self, value: &Value, vars: &mut Vec<Var>) -> Res<Value> {
        Ok(match value {
            Value::Var { .. } | Value::Tensor(_) => {
                vars.push(self.var(value)?);
                Value::Leaf(vars.len() - 1)
            }
            Value::Tuple(items) => {
                Value::Tuple(items.iter().map(|v| self.collect_leaves(v, vars)).collect::<Res<Vec<Value>>>()?.into())
            }
            Value::List(items) => {
                Value::List(items.iter().map(|v| self.collect_leaves(v, vars)).collect::<Res<Vec<Value>>>()?.into())
            }
            Value::Record(fields) => Value::Record(
                fields
                    .iter()
                    .map(|(name, v)| Ok((name.clone(), self.collect_leaves(v, vars)?)))
                    .collect::<Res<Vec<_>>>()?
                    .into(),
            ),
            Value::Int(_) | Value::Bool(_) | Value::Str(_) | Value::Unit | Value::Func(_) | Value::Net(_) => {
                value.clone()
            }
            Value::Blank | Value::Leaf(_) => {
                return fail("E0315", self.span, "this value depends on an open argument `_`");
            }
        })
    }
}
