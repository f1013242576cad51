//! Calls with an effect: files, pictures, checks of derivatives.

use super::Script;
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::lower::value::{Func, Value};
use crate::lower::{Res, fail, lower_with};
use crate::source::Span;
use crate::syntax::ast::{self, ArgValue, Symbol};
use dp_runtime::io::{Content, IoError, Loaded, Named};
use dp_runtime::tensor::{DType, Tensor};

/// Evaluated arguments of an effect.
pub(super) struct Args {
    pub positional: Vec<(Value, Span)>,
    pub named: Vec<(Symbol, Value, Span)>,
    pub span: Span,
}

impl Args {
    pub fn take(&mut self, name: &str) -> Option<(Value, Span)> {
        let at = self.named.iter().position(|(n, ..)| &**n == name)?;
        let (_, value, span) = self.named.remove(at);
        Some((value, span))
    }

    pub fn text(&mut self, name: &str) -> Res<Option<String>> {
        match self.take(name) {
            Some((Value::Str(s), _)) => Ok(Some(s.to_string())),
            Some((other, span)) => fail("E0310", span, format!("`{name}:` takes a string, found {}", other.describe())),
            None => Ok(None),
        }
    }

    pub fn flag(&mut self, name: &str) -> Res<bool> {
        match self.take(name) {
            Some((Value::Bool(b), _)) => Ok(b),
            Some((other, span)) => {
                fail("E0310", span, format!("`{name}:` takes true or false, found {}", other.describe()))
            }
            None => Ok(false),
        }
    }

    pub fn done(&self, usage: &str) -> Res<()> {
        match self.named.first() {
            Some((name, _, span)) => Err(Box::new(
                Diagnostic::error("E0321", *span, format!("there is no argument named `{name}`"))
                    .help(format!("it is called as {usage}")),
            )),
            None => Ok(()),
        }
    }
}

impl Script<'_> {
    pub(super) fn effect(&mut self, builtin: Builtin, args: &[ast::Arg], span: Span) -> Res<Value> {
        let mut all = Args { positional: Vec::new(), named: Vec::new(), span };
        for arg in args {
            let ArgValue::Expr(e) = &arg.value else {
                return fail("E0320", arg.span, "this call takes plain values");
            };
            let value = self.eval(e)?;
            match &arg.name {
                Some(name) => all.named.push((name.text.clone(), value, e.span)),
                None => all.positional.push((value, e.span)),
            }
        }
        let writes = matches!(
            builtin,
            Builtin::Save | Builtin::Plot | Builtin::Scatter | Builtin::Hist | Builtin::Heatmap | Builtin::Image
        );
        if let Some(watch) = &mut self.session.watch
            && writes
        {
            // A look at the data changes nothing outside.
            watch.left_out = true;
            return Ok(Value::Unit);
        }
        match builtin {
            Builtin::Load => self.load(all),
            Builtin::LoadImages => self.load_images(all),
            Builtin::Files => self.files(all),
            Builtin::Save => self.save(all),
            Builtin::Plot | Builtin::Scatter | Builtin::Hist | Builtin::Heatmap | Builtin::Image => {
                self.picture(builtin, all)
            }
            Builtin::CheckGrad => self.check_grad(all),
            Builtin::CompareCosts => self.compare_costs(all),
            Builtin::CheckProx => {
                all.done("check_prox(f, v, t)")?;
                self.check_prox(all.positional, span)
            }
            Builtin::ExplainLayer => {
                all.done("explain_layer(relu, W, b)")?;
                self.explain_layer(&all.positional, span)
            }
            other => fail("E0331", span, format!("internal error: {other:?} is no effect")),
        }
    }

    pub(super) fn files_of(&self, span: Span) -> Res<&dp_runtime::io::Sandbox> {
        match self.sandbox {
            Some(sandbox) => Ok(sandbox),
            None => fail("E0805", span, "files can be read and written by a script in a file only"),
        }
    }

    fn path(&self, args: &Args) -> Res<(String, Span)> {
        match &args.positional[..] {
            [(Value::Str(path), span), ..] => Ok((path.to_string(), *span)),
            _ => fail("E0310", args.span, "the first argument is a file name in quotes"),
        }
    }

    fn load(&mut self, args: Args) -> Res<Value> {
        args.done("load(file)")?;
        let (path, span) = self.path(&args)?;
        let loaded = self.files_of(span)?.load(&path).map_err(|e| io_failure(&e, span))?;
        Ok(self.value_of(loaded, &path))
    }

    fn value_of(&self, loaded: Loaded, path: &str) -> Value {
        match loaded {
            Loaded::Array(t) => Value::Tensor(self.to_session(t)),
            Loaded::Named(named) => {
                let tensors = named.tensors.into_iter();
                nested(tensors.map(|(name, t)| (name, Value::Tensor(self.to_session(t)))).collect(), DEEPEST)
            }
            Loaded::Folder(names) => {
                Value::List(names.iter().map(|n| Value::Str(within(path, n).as_str().into())).collect())
            }
        }
    }

    /// Reals in the run's precision; other kinds as they are.
    fn to_session(&self, tensor: Tensor) -> Tensor {
        if tensor.dtype().is_float() { tensor.convert(self.session.real) } else { tensor }
    }

    fn files(&mut self, args: Args) -> Res<Value> {
        args.done("files(folder)")?;
        let (path, span) = self.path(&args)?;
        let names = self.files_of(span)?.files(&path).map_err(|e| io_failure(&e, span))?;
        Ok(Value::List(names.iter().map(|n| Value::Str(within(&path, n).as_str().into())).collect()))
    }

    /// Grey images in [0, 1] as one stack `[count, h, w]`: a `.npy` stack or image, a `.png`, or a folder of `.png`,
    /// which are cut at the centre to the least height and width among them.
    fn load_images(&mut self, args: Args) -> Res<Value> {
        args.done("load_images(path)")?;
        let (path, span) = self.path(&args)?;
        let sandbox = self.files_of(span)?;
        let loaded = sandbox.load(&path).map_err(|e| io_failure(&e, span))?;
        let mut images = Vec::new();
        match loaded {
            Loaded::Array(t) => images.extend(grey_images(&t, &path, span)?),
            Loaded::Folder(names) => {
                for name in names.iter().filter(|n| n.to_lowercase().ends_with(".png")) {
                    let name = &within(&path, name);
                    match sandbox.load(name).map_err(|e| io_failure(&e, span))? {
                        Loaded::Array(t) => images.extend(grey_images(&t, name, span)?),
                        Loaded::Named(_) | Loaded::Folder(_) => {}
                    }
                }
            }
            Loaded::Named(_) => return fail("E0806", span, format!("`{path}` holds named arrays, not images")),
        }
        let Some(h) = images.iter().map(|(h, ..)| *h).min() else {
            return fail(
                "E0806",
                span,
                format!("`{path}` holds no images (.png, or .npy of shape [h, w] or [count, h, w])"),
            );
        };
        let w = images.iter().map(|(_, w, _)| *w).min().unwrap_or(0);
        let mut stack = Vec::with_capacity(images.len() * h * w);
        for (rows, cols, pixels) in &images {
            let (top, left) = ((rows - h) / 2, (cols - w) / 2);
            for i in 0..h {
                let at = (top + i) * cols + left;
                stack.extend_from_slice(&pixels[at..at + w]);
            }
        }
        let tensor = Tensor::from_vec(&[images.len(), h, w], stack);
        Ok(Value::Tensor(tensor.convert(self.session.real)))
    }

    fn save(&mut self, args: Args) -> Res<Value> {
        args.done("save(file, x)")?;
        let (path, span) = self.path(&args)?;
        let Some((value, _)) = args.positional.get(1) else {
            return fail("E0321", span, "`save(file, x)` needs a value to save");
        };
        let overwrite = self.overwrite;
        let sandbox = self.files_of(span)?;
        let saved = match value {
            Value::Record(_) => {
                let mut named = Named::default();
                flatten_record("", value, &mut named, span)?;
                named.metadata.push(("dp.version".to_string(), env!("CARGO_PKG_VERSION").to_string()));
                sandbox.save(&path, Content::Named(&named), overwrite)
            }
            Value::Tensor(t) => sandbox.save(&path, Content::Array(t), overwrite),
            Value::Int(i) => sandbox.save(&path, Content::Array(&Tensor::scalar(*i)), overwrite),
            other => {
                return fail(
                    "E0310",
                    span,
                    format!("an array or a record of arrays can be saved, not {}", other.describe()),
                );
            }
        };
        saved.map_err(|e| io_failure(&e, span))?;
        Ok(Value::Unit)
    }

    /// `check_grad(f, x)`: the gradient against central differences along a few directions, and against forward mode.
    /// Gives the greatest relative error; an error if they disagree.
    fn check_grad(&mut self, mut args: Args) -> Res<Value> {
        let limit = match args.take("tol") {
            Some((Value::Tensor(t), _)) if t.len() == 1 => t.item(),
            Some((other, span)) => {
                return fail("E0310", span, format!("`tol:` takes a real, found {}", other.describe()));
            }
            None if self.session.real == DType::F32 => 2e-2,
            None => 1e-6,
        };
        args.done("check_grad(f, x, tol: t)")?;
        let span = args.span;
        let [(f, _), (x, _)] = &args.positional[..] else {
            return fail("E0321", span, "`check_grad(f, x)` takes a function of one array and a point");
        };
        let (f, x) = (f.clone(), x.clone());
        let grad = Value::func(Func::Grad { func: f.clone(), wrt: None, with_value: false });
        let seed = self.session.seed;
        let step = if self.session.real == DType::F32 { 1e-2 } else { 1e-5 };
        let lowered = lower_with(&mut self.session, &[], span, |ctx, _| {
            let x = ctx.to_real(&x)?;
            let gradient = ctx.call_plain(&grad, std::slice::from_ref(&x))?;
            let shape = ctx.shape(&x)?;
            let mut out = Vec::new();
            for k in 0..4 {
                let key = Value::Tensor(Tensor::scalar(dp_runtime::random::fold_in(seed, 77 + k)));
                let dtype = ctx.real();
                let v = ctx.op(crate::ir::graph::Op::Normal { shape: shape.clone(), dtype }, &[key])?;
                let (_, forward) = ctx.pushforward(&f, std::slice::from_ref(&x), std::slice::from_ref(&v))?;
                let product = ctx.binary(ast::BinaryOp::Mul, &gradient, &v)?;
                let reverse = ctx.reduce(Builtin::Sum, &product, None)?;
                let h = ctx.real_const(step);
                let shift = ctx.binary(ast::BinaryOp::Mul, &v, &h)?;
                let (up, down) =
                    (ctx.binary(ast::BinaryOp::Add, &x, &shift)?, ctx.binary(ast::BinaryOp::Sub, &x, &shift)?);
                let (a, b) = (ctx.call_plain(&f, &[up])?, ctx.call_plain(&f, &[down])?);
                let difference = ctx.binary(ast::BinaryOp::Sub, &a, &b)?;
                let two_h = ctx.real_const(2.0 * step);
                let numeric = ctx.binary(ast::BinaryOp::Div, &difference, &two_h)?;
                out.extend([forward, reverse, numeric]);
            }
            Ok(Value::tuple(out))
        })?;
        let Value::Tuple(values) = self.lowered(lowered, span)? else {
            return fail("E0510", span, "internal error: a tuple of derivatives");
        };
        let numbers: Vec<f64> =
            values.iter().filter_map(|v| if let Value::Tensor(t) = v { Some(t.item()) } else { None }).collect();
        let mut worst: f64 = 0.0;
        for triple in numbers.chunks(3) {
            let scale = triple.iter().fold(1e-8f64, |m, v| m.max(v.abs()));
            for (a, b) in [(0, 1), (0, 2)] {
                let error = (triple[a] - triple[b]).abs() / scale;
                worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
            }
        }
        if worst > limit {
            return Err(Box::new(
                Diagnostic::error(
                    "E0510",
                    span,
                    format!("the derivatives disagree: relative error {worst:.2e}, allowed {limit:.0e}"),
                )
                .note(format!("forward, reverse, differences along four directions: {numbers:?}")),
            ));
        }
        Ok(Value::Tensor(Tensor::scalar_of(self.session.real, worst)))
    }
}

/// A file of a folder, as a path that can be loaded.
fn within(folder: &str, name: &str) -> String {
    if folder == "." { name.to_string() } else { std::path::Path::new(folder).join(name).display().to_string() }
}

pub(super) fn io_failure(error: &IoError, span: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("E0806", span, error.to_string()))
}

/// Nested records as dotted names.
fn flatten_record(prefix: &str, value: &Value, named: &mut Named, span: Span) -> Res<()> {
    let Value::Record(fields) = value else { return Ok(()) };
    for (name, value) in fields.iter() {
        let name = if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") };
        match value {
            Value::Tensor(t) => named.tensors.push((name, t.clone())),
            Value::Int(i) => named.tensors.push((name, Tensor::scalar(*i))),
            Value::Record(_) => flatten_record(&name, value, named, span)?,
            other => {
                return fail(
                    "E0310",
                    span,
                    format!("`{name}` is {}: records of arrays can be saved", other.describe()),
                );
            }
        }
    }
    Ok(())
}

/// Records inside records of a file; deeper names are of no network.
const DEEPEST: usize = 32;

/// Dotted names as nested records, the inverse of `flatten_record`. Where `a` and `a.b` are both there, `a.b` keeps its dot,
/// and so does what would be nested deeper than `depth`.
fn nested(named: Vec<(String, Value)>, depth: usize) -> Value {
    let plain: std::collections::HashSet<String> = named.iter().map(|(name, _)| name.clone()).collect();
    let mut fields: Vec<(Symbol, Value)> = Vec::new();
    let mut parts: Vec<(String, Vec<(String, Value)>)> = Vec::new();
    for (name, value) in named {
        match name.split_once('.') {
            Some((first, rest)) if depth > 0 && !first.is_empty() && !rest.is_empty() && !plain.contains(first) => {
                let part = match parts.iter().position(|(known, _)| known == first) {
                    Some(at) => at,
                    None => {
                        parts.push((first.to_string(), Vec::new()));
                        fields.push((first.into(), Value::Unit));
                        parts.len() - 1
                    }
                };
                parts[part].1.push((rest.to_string(), value));
            }
            _ => fields.push((name.as_str().into(), value)),
        }
    }
    for (first, inner) in parts {
        let place = fields.iter_mut().find(|(name, _)| **name == *first).expect("it was added");
        place.1 = nested(inner, depth - 1);
    }
    Value::Record(fields.into())
}

/// Height, width and pixels in [0, 1] of each image of an array.
fn grey_images(t: &Tensor, name: &str, span: Span) -> Res<Vec<(usize, usize, Vec<f64>)>> {
    let scale = if t.dtype() == DType::I64 { 1.0 / 255.0 } else { 1.0 };
    let all: Vec<f64> = t.to_f64_vec().into_iter().map(|v| v * scale).collect();
    match *t.shape() {
        [h, w] => Ok(vec![(h, w, all)]),
        // A colour image: the mean of its channels.
        [3, h, w] if t.dtype() != DType::I64 => {
            let n = h * w;
            Ok(vec![(h, w, (0..n).map(|i| (all[i] + all[n + i] + all[2 * n + i]) / 3.0).collect())])
        }
        [count, h, w] => Ok((0..count).map(|k| (h, w, all[k * h * w..(k + 1) * h * w].to_vec())).collect()),
        ref other => {
            fail("E0806", span, format!("`{name}` has shape {other:?}; images are [h, w], [3, h, w] or [count, h, w]"))
        }
    }
}
