//! Runs a file's statements from top to bottom: lets, prints, asserts, files, networks, training.

mod costs;
mod effects;
mod layer;
mod prox;
pub mod pictures;
pub(crate) mod show;
pub mod train;
mod truncation;

use crate::builtins::{self, Builtin};
use crate::diagnostic::Diagnostic;
use crate::lower::problem::objective;
use crate::lower::value::{Func, ProxRule, Scope, Value};
use crate::lower::{Declaration, Lowered, Res, Session, fail, init_network, lower_expr, lower_with};
use crate::run::{Message, Runner};
use crate::source::Span;
use crate::syntax::ast::{self, ExprKind, ItemKind, LetKind};
use dp_runtime::io::Sandbox;
use dp_runtime::plot::inline::Graphics;
use dp_runtime::tensor::{DType, Tensor};
use std::rc::Rc;
use std::time::{Duration, Instant};

pub use show::show;

/// Where a script's output goes.
pub trait Output {
    /// A line of the script's own output.
    fn line(&mut self, text: &str);
    /// The values of a `print`, before they are shown with fewer digits.
    fn values(&mut self, _values: &[Value]) {}
    /// A warning, a dump, or progress for the person who watches.
    fn message(&mut self, message: &Message);
    /// The statement of a file that runs next.
    fn statement(&mut self, _span: Span) {}
    /// The output is a terminal with colours.
    fn shows_colours(&self) -> bool {
        false
    }
    /// The pictures that the output can show among its lines.
    fn graphics(&self) -> Graphics {
        Graphics::None
    }
    /// Progress of training may be drawn.
    fn draws_progress(&self) -> bool {
        false
    }
}

/// A script that runs: its names, settings and way to the outside.
pub struct Script<'a> {
    pub session: Session,
    pub scope: Scope,
    pub runner: Runner,
    pub sandbox: Option<&'a Sandbox>,
    pub overwrite: bool,
    pub resume: bool,
    /// What the names of checkpoint files start with: the script's name.
    pub checkpoints: String,
    /// `--name value` pairs for `arg` items; what is used is removed.
    pub args: Vec<(String, String)>,
    /// The values that the `arg` items got, in order, as texts that name them exactly.
    pub given: Vec<(String, String)>,
    /// The command line chose the precision.
    pub precision_given: bool,
    pub out: &'a mut dyn Output,
    /// Where trainings are logged.
    pub log: Option<train::log::Log>,
    /// Trainings that ended in this run.
    pub trained: Vec<train::Finished>,
    /// Tests counted while running with `tests` set.
    pub run_tests: bool,
    pub tests: Vec<TestResult>,
}

/// One `test` item that ran.
pub struct TestResult {
    pub name: String,
    pub span: Span,
    pub failure: Option<Box<Diagnostic>>,
    pub time: Duration,
}

impl<'a> Script<'a> {
    /// Declares functions, problems, solvers and rules, which may be used before their line, then runs the statements.
    pub fn run(&mut self, module: &ast::Module) -> Res<()> {
        self.declare(&module.items);
        for item in &module.items {
            self.out.statement(item.span);
            self.item(item)?;
        }
        Ok(())
    }

    /// Binds what needs no evaluation.
    pub fn declare(&mut self, items: &[ast::Item]) {
        for item in items {
            match &item.kind {
                ItemKind::Fn(decl) => {
                    let value = Value::func(Func::User { decl: decl.clone(), scope: self.scope.clone() });
                    self.scope.bind(&decl.name.text, value);
                }
                ItemKind::Solver(decl) => {
                    let value = Value::func(Func::Solver { decl: decl.clone(), scope: self.scope.clone() });
                    self.scope.bind(&decl.name.text, value);
                }
                ItemKind::Problem(problem) => {
                    let decl = Rc::new(objective(problem));
                    self.scope.bind(&problem.name.text, Value::func(Func::User { decl, scope: self.scope.clone() }));
                }
                ItemKind::Network(decl) if decl.template.is_some() => {
                    let value = Value::func(Func::Template { decl: decl.clone(), scope: self.scope.clone() });
                    self.scope.bind(&decl.name.text, value);
                }
                ItemKind::Custom(custom) => match custom.kind {
                    ast::CustomKind::Derivative => self.scope.bind_derivative(custom.clone()),
                    ast::CustomKind::Prox => {
                        self.scope.bind_prox(ProxRule { rule: custom.clone(), scope: self.scope.clone() });
                    }
                },
                _ => {}
            }
        }
    }

    pub fn item(&mut self, item: &ast::Item) -> Res<()> {
        match &item.kind {
            // Declared before; modules are loaded by the driver.
            ItemKind::Fn(_) | ItemKind::Solver(_) | ItemKind::Custom(_) | ItemKind::Use(_) => Ok(()),
            ItemKind::Precision(name) => self.precision(name),
            ItemKind::Arg { binder, default } => self.arg(binder, default.as_ref(), item.span),
            // A problem is declared as its objective; a method is read where `derive` names it.
            ItemKind::Problem(_) | ItemKind::Method(_) => Ok(()),
            ItemKind::SolverAlias { name, value } => {
                let value = self.eval(value)?;
                self.scope.bind(&name.text, value);
                Ok(())
            }
            ItemKind::Network(decl) => self.network(&decl.name, Declaration::Hand(decl)),
            ItemKind::NetworkAlias { name, value } => self.network(name, Declaration::Alias(name, value)),
            ItemKind::Test { name, name_span, items } => self.test(name, *name_span, items),
            ItemKind::Let(l) => self.let_item(l),
            ItemKind::For { var, range, body } => self.for_item(var, range, body),
            ItemKind::If { cond, then, otherwise } => {
                let value = self.eval(cond)?;
                let items = if truth(&value, cond.span)? { then } else { otherwise };
                self.nested(items)
            }
            ItemKind::Print(exprs) => {
                let values = exprs.iter().map(|e| self.eval(e)).collect::<Res<Vec<Value>>>()?;
                if self.session.watch.is_some() {
                    return Ok(());
                }
                self.out.values(&values);
                match &values[..] {
                    [value] if let Some(table) = show::table(value) => self.out.line(table.trim_end()),
                    values => self.out.line(&values.iter().map(show).collect::<Vec<_>>().join(" ")),
                }
                Ok(())
            }
            ItemKind::Assert(exprs) => {
                for e in exprs {
                    self.assert(e)?;
                }
                Ok(())
            }
            ItemKind::Expr(e) => {
                self.eval(e)?;
                Ok(())
            }
            ItemKind::Error => fail("E0201", item.span, "this line did not parse"),
        }
    }

    /// Statements of `for`, `if` and `test`: their names end with them.
    fn nested(&mut self, items: &[ast::Item]) -> Res<()> {
        let outer = self.scope.clone();
        self.scope = outer.inner();
        self.declare(items);
        let result = items.iter().try_for_each(|item| self.item(item));
        self.scope = outer;
        result
    }

    fn precision(&mut self, name: &ast::Name) -> Res<()> {
        match &*name.text {
            "f32" | "f64" if self.precision_given => {}
            "f32" => self.session.real = DType::F32,
            "f64" => self.session.real = DType::F64,
            other => return fail("E0332", name.span, format!("the precision is f32 or f64, not `{other}`")),
        }
        Ok(())
    }

    /// `arg epochs: int = 20`: from the command line, else the default.
    fn arg(&mut self, binder: &ast::Binder, default: Option<&ast::Expr>, span: Span) -> Res<()> {
        let name = &binder.name;
        let given = self.args.iter().position(|(n, _)| n.replace('-', "_") == *name.text);
        let value = match (given, default) {
            (Some(at), _) => {
                let (_, text) = self.args.remove(at);
                parse_arg(&self.session, &self.typed_path(text), binder)?
            }
            (None, Some(default)) => self.eval(default)?,
            (None, None) => {
                return Err(Box::new(
                    Diagnostic::error("E0801", span, format!("the script needs the argument --{}", name.text))
                        .help(format!("dp run FILE --{} VALUE; `dp run FILE --help` lists all", name.text)),
                ));
            }
        };
        self.given.push((name.text.to_string(), exact(&value)));
        self.bind(binder, value, span)
    }

    /// A path typed on the command line is meant from where the user stands; a script's own paths start at its folder.
    fn typed_path(&self, text: String) -> String {
        let here = self.sandbox.is_none_or(|files| files.exists(&text).unwrap_or(false));
        if here || text.is_empty() || !std::path::Path::new(&text).exists() {
            return text;
        }
        std::path::absolute(&text).map_or(text, |path| path.display().to_string())
    }

    /// Checks a value against its binder's type and binds it.
    fn bind(&mut self, binder: &ast::Binder, value: Value, span: Span) -> Res<()> {
        let value = match &binder.ty {
            None => value,
            Some(_) => {
                let scope = self.scope.clone();
                let lowered = lower_with(&mut self.session, &[], span, |ctx, _| ctx.bind_value(&scope, binder, value))?;
                self.runner.value(lowered, span)?
            }
        };
        self.scope.bind(&binder.name.text, value);
        Ok(())
    }

    fn let_item(&mut self, l: &ast::Let) -> Res<()> {
        match &l.kind {
            LetKind::Inits(inits) => {
                for init in inits {
                    let value = static_if_int(self.eval(&init.value)?);
                    self.bind(&init.binder, value, init.value.span)?;
                }
                Ok(())
            }
            LetKind::Tuple(names, e) => {
                let value = self.eval(e)?;
                let lowered = lower_with(&mut self.session, &[], e.span, |ctx, _| {
                    Ok(Value::tuple(ctx.destructure(&value, names.len())?))
                })?;
                let Value::Tuple(items) = self.runner.value(lowered, e.span)? else {
                    return fail("E0318", e.span, "internal error: a tuple was taken apart");
                };
                for (name, item) in names.iter().zip(items.iter()) {
                    self.scope.bind(&name.text, static_if_int(item.clone()));
                }
                Ok(())
            }
        }
    }

    fn for_item(&mut self, var: &ast::Name, range: &ast::Range, body: &[ast::Item]) -> Res<()> {
        let end = self.eval(&range.end)?;
        // A range is not written out: it may be long.
        let items: Box<dyn Iterator<Item = Value>> = match (&range.start, &end) {
            (None, Value::List(items)) => Box::new(items.iter().cloned()),
            (None, Value::Tensor(t)) if t.shape().len() == 1 => {
                let mut rows = Vec::new();
                for i in 0..t.shape()[0] {
                    let lowered = lower_with(&mut self.session, &[], range.end.span, |ctx, _| ctx.take(&end, 0, i))?;
                    rows.push(static_if_int(self.runner.value(lowered, range.end.span)?));
                }
                Box::new(rows.into_iter())
            }
            (start, _) => {
                let from = match start {
                    Some(e) => crate::lower::value::static_int(&self.eval(e)?, e.span, "the start of a range")?,
                    None => 0,
                };
                let to = crate::lower::value::static_int(&end, range.end.span, "the end of a range")?;
                Box::new((from..to).map(Value::Int))
            }
        };
        for item in items {
            if dp_runtime::interrupt::requested() {
                return fail("E0506", range.end.span, "interrupted");
            }
            let outer = self.scope.clone();
            self.scope = outer.inner();
            self.scope.bind(&var.text, item);
            let result = self.nested(body);
            self.scope = outer;
            result?;
        }
        Ok(())
    }

    fn test(&mut self, name: &str, span: Span, items: &[ast::Item]) -> Res<()> {
        if !self.run_tests {
            return Ok(());
        }
        let start = Instant::now();
        let failure = self.nested(items).err();
        self.tests.push(TestResult { name: name.to_string(), span, failure, time: start.elapsed() });
        Ok(())
    }

    fn assert(&mut self, e: &ast::Expr) -> Res<()> {
        let value = self.eval(e)?;
        // Without its trainings a script need not hold what it claims.
        if self.session.watch.is_some() || truth_of_all(&value, e.span)? {
            return Ok(());
        }
        let mut diagnostic = Diagnostic::error("E0509", e.span, "this assertion does not hold");
        if let ExprKind::Compare { left, right, .. } = &e.kind {
            for side in [left, right] {
                if let Ok(value) = self.eval(side) {
                    diagnostic = diagnostic.label(side.span, show(&value));
                }
            }
        }
        Err(Box::new(diagnostic))
    }

    fn network(&mut self, name: &ast::Name, declaration: Declaration) -> Res<()> {
        let scope = self.scope.clone();
        let runner = &mut self.runner;
        let value =
            init_network(&mut self.session, &scope, declaration, &mut |_, lowered| runner.value(lowered, name.span))?;
        self.flush();
        self.scope.bind(&name.text, value);
        Ok(())
    }

    /// The value of an expression at the top level, effects included.
    pub fn eval(&mut self, e: &ast::Expr) -> Res<Value> {
        let value = self.eval_inner(e);
        self.flush();
        value
    }

    fn eval_inner(&mut self, e: &ast::Expr) -> Res<Value> {
        match &e.kind {
            ExprKind::Train(train) => return train::run(self, train),
            // One side is evaluated, and may have effects: `if file == "" then make() else load(file)`.
            ExprKind::If { cond, then, otherwise } => {
                let known = self.eval(cond)?;
                let side = if truth(&known, cond.span)? { then } else { otherwise };
                return self.eval_inner(side);
            }
            ExprKind::Call { func, args } => {
                if let ExprKind::Name(name) = &func.kind
                    && self.scope.find(name).is_none()
                    && let Some(builtin) = builtins::find(name)
                    && matches!(
                        builtin,
                        Builtin::Load
                            | Builtin::LoadImages
                            | Builtin::Save
                            | Builtin::Plot
                            | Builtin::Scatter
                            | Builtin::Hist
                            | Builtin::Heatmap
                            | Builtin::Image
                            | Builtin::Files
                            | Builtin::CheckGrad
                            | Builtin::CompareCosts
                            | Builtin::CheckProx
                            | Builtin::ExplainLayer
                    )
                {
                    return self.effect(builtin, args, e.span);
                }
            }
            _ => {}
        }
        if self.session.watch.is_some() {
            return self.eval_watched(e);
        }
        let start = Instant::now();
        let lowered = lower_expr(&mut self.session, &self.scope, e)?;
        self.runner.timings.lower += start.elapsed();
        self.runner.value(lowered, e.span)
    }

    /// The same, with a look at the truncated solvers that it calls.
    fn eval_watched(&mut self, e: &ast::Expr) -> Res<Value> {
        let scope = self.scope.clone();
        let lowered = lower_with(&mut self.session, &[], e.span, |ctx, _| {
            let value = ctx.expr(&scope, e)?;
            Ok(ctx.carry(value))
        })?;
        let value = self.runner.value(lowered, e.span)?;
        let Some(watch) = &mut self.session.watch else { return Ok(value) };
        let value = watch.release(value, &[]);
        for call in std::mem::take(&mut watch.calls) {
            let found = match truncation::look(self, &call) {
                Err(d) if d.code.0 == "E0506" => return Err(d),
                // What cannot be measured is no mistake of the script.
                Err(d) => Some(truncation::unknown(&call, &d.message)),
                Ok(found) => found,
            };
            if let Some(watch) = &mut self.session.watch {
                watch.looked_at.insert(call.span);
                found.into_iter().for_each(|finding| watch.found(call.span, finding));
            }
        }
        Ok(value)
    }

    /// A script that ended needs its checkpoints no longer.
    pub fn remove_checkpoints(&mut self) {
        let Some(files) = self.sandbox else { return };
        for finished in &self.trained {
            // A file that cannot be removed does no harm: the next training of this name replaces it.
            let _ = dp_runtime::checkpoint::remove_all(files, &finished.name);
        }
    }

    /// Shows warnings and dumps that wait.
    fn flush(&mut self) {
        for message in std::mem::take(&mut self.runner.messages) {
            self.out.message(&message);
        }
    }

    /// Runs what a closure lowers.
    pub(crate) fn lowered(&mut self, lowered: Lowered, span: Span) -> Res<Value> {
        let value = self.runner.value(lowered, span);
        self.flush();
        value
    }
}

/// Int scalars read back are static again: they may be sizes and counts.
fn static_if_int(value: Value) -> Value {
    match &value {
        Value::Tensor(t @ Tensor::I64(_)) if t.shape().is_empty() => Value::Int(t.as_slice::<i64>()[0]),
        _ => value,
    }
}

/// The truth of one bool.
fn truth(value: &Value, span: Span) -> Res<bool> {
    match value {
        Value::Bool(b) => Ok(*b),
        Value::Tensor(t @ Tensor::Bool(_)) if t.shape().is_empty() => Ok(t.as_slice::<bool>()[0]),
        other => fail("E0310", span, format!("one bool is needed here, found {}", other.describe())),
    }
}

/// The truth of a bool or of all elements of a bool array.
fn truth_of_all(value: &Value, span: Span) -> Res<bool> {
    match value {
        Value::Tensor(t @ Tensor::Bool(_)) => Ok(t.as_slice::<bool>().iter().all(|&b| b)),
        other => truth(other, span),
    }
}

/// A value as a text that no other value has, for comparison with that of another run.
fn exact(value: &Value) -> String {
    match value {
        Value::Tensor(t) if t.len() == 1 && t.dtype().is_float() => format!("{:?}", t.item()),
        Value::Tensor(t) if t.dtype().is_float() && t.len() > 1 => {
            let bytes: Vec<u8> = t.to_f64_vec().iter().flat_map(|v| v.to_bits().to_le_bytes()).collect();
            format!("{:?} {:08x}", t.shape(), dp_runtime::checkpoint::crc32(&bytes))
        }
        other => show(other),
    }
}

/// A command-line value by the argument's declared type.
fn parse_arg(session: &Session, text: &str, binder: &ast::Binder) -> Res<Value> {
    use ast::{ScalarKind, TypeKind};
    let name = &binder.name;
    let wrong = |wanted: &str| {
        Err(Box::new(
            Diagnostic::error("E0802", name.span, format!("--{} takes {wanted}, found `{text}`", name.text))
                .here("declared here"),
        ))
    };
    let kind = match &binder.ty {
        Some(ast::Type { kind: TypeKind::Array { kind, dims }, .. }) if dims.is_empty() => *kind,
        Some(ty) => return fail("E0802", ty.span, "an argument is an int, a real, a bool or a string"),
        None => ScalarKind::Str,
    };
    match kind {
        ScalarKind::Int => match text.replace('_', "").parse() {
            Ok(i) => Ok(Value::Int(i)),
            Err(_) => wrong("an int"),
        },
        ScalarKind::Real => match text.parse::<f64>() {
            Ok(v) => Ok(Value::Tensor(Tensor::scalar_of(session.real, v))),
            Err(_) => wrong("a real number"),
        },
        ScalarKind::Bool => match text {
            "true" | "1" | "yes" => Ok(Value::Bool(true)),
            "false" | "0" | "no" => Ok(Value::Bool(false)),
            _ => wrong("true or false"),
        },
        ScalarKind::Str => Ok(Value::Str(text.into())),
        ScalarKind::Key => wrong("no value from the command line"),
    }
}
