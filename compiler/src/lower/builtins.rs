//! Calls of the functions that the compiler knows: one arm for each row of `builtins`.

mod matrices;
mod draws;
mod windows;

use super::call::Arg;
use super::network::first_layers;
use super::value::{Func, Value, static_int};
use super::{Ctx, Draws, Res, fail};
use crate::builtins::{Builtin, ROWS};
use crate::diagnostic::Diagnostic;
use crate::ir::graph::Op;
use crate::syntax::ast::{BinaryOp, Symbol};
use dp_runtime::tensor::{DType, Tensor};

/// The greatest order that `polygamma` takes: its code grows with the order.
const MAX_POLYGAMMA: usize = 20;

/// Arguments of one call: positional ones in order, named ones by name.
pub(super) struct Args {
    builtin: Builtin,
    positional: Vec<Value>,
    named: Vec<(Symbol, Value)>,
}

impl Args {
    fn usage(&self) -> &'static str {
        ROWS.iter().find(|row| row.builtin == self.builtin).map_or("", |row| row.usage)
    }

    pub(super) fn wrong<T>(&self, ctx: &Ctx, what: &str) -> Res<T> {
        Err(Box::new(
            Diagnostic::error("E0321", ctx.span, what.to_string()).help(format!("it is called as {}", self.usage())),
        ))
    }

    pub(super) fn exactly<const N: usize>(&self, ctx: &Ctx) -> Res<[Value; N]> {
        match <[Value; N]>::try_from(self.positional.clone()) {
            Ok(values) => Ok(values),
            Err(_) => self.wrong(ctx, &format!("{N} arguments are needed, {} are given", self.positional.len())),
        }
    }

    /// Takes a named argument.
    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.named.iter().position(|(n, _)| &**n == name)?;
        Some(self.named.remove(at).1)
    }

    /// Refuses named arguments that nobody took.
    fn done(&self, ctx: &Ctx) -> Res<()> {
        match self.named.first() {
            Some((name, _)) => self.wrong(ctx, &format!("there is no argument named `{name}`")),
            None => Ok(()),
        }
    }
}

impl<'s> Ctx<'s> {
    pub(crate) fn call_builtin(&mut self, builtin: Builtin, args: Vec<Arg>) -> Res<Value> {
        let mut all = Args { builtin, positional: Vec::new(), named: Vec::new() };
        for arg in args {
            match arg.name {
                Some(name) => all.named.push((name, arg.value)),
                None => all.positional.push(arg.value),
            }
        }
        if all.positional.iter().chain(all.named.iter().map(|(_, v)| v)).any(|v| matches!(v, Value::Blank)) {
            return fail("E0315", self.span, "this value depends on an open argument `_`");
        }
        let value = self.builtin(builtin, &mut all)?;
        all.done(self)?;
        Ok(value)
    }

    fn unary_real(&mut self, op: Op, args: &Args) -> Res<Value> {
        let [x] = args.exactly(self)?;
        let x = self.to_real(&x)?;
        self.op(op, &[x])
    }

    /// `axis: i`, counted from the end if negative.
    fn axis(&mut self, args: &mut Args, rank: usize) -> Res<Option<usize>> {
        let Some(value) = args.take("axis") else { return Ok(None) };
        let axis = static_int(&value, self.span, "an axis")?;
        let at = if axis < 0 { axis + rank as i64 } else { axis };
        match usize::try_from(at) {
            Ok(at) if at < rank => Ok(Some(at)),
            _ => fail("E0407", self.span, format!("there is no axis {axis} in an array with {rank} dimensions")),
        }
    }

    /// The axis of a function along the last axis by default, moved to the end; and how to move it back.
    fn along(&mut self, args: &mut Args) -> Res<(Value, usize)> {
        let [x] = args.exactly(self)?;
        let rank = self.shape(&x)?.len();
        if rank == 0 {
            return fail("E0407", self.span, "this function works along an axis; its argument is a scalar");
        }
        let axis = self.axis(args, rank)?.unwrap_or(rank - 1);
        Ok((x, axis))
    }

    /// Extents given as ints, or as one vector of known ints.
    pub(crate) fn extents(&mut self, values: &[Value]) -> Res<Vec<usize>> {
        let known: Vec<Value> = match values {
            [Value::Tensor(t)] if t.dtype() == DType::I64 && t.shape().len() == 1 => {
                t.as_slice::<i64>().iter().map(|&n| Value::Int(n)).collect()
            }
            other => other.to_vec(),
        };
        let mut shape = Vec::new();
        for value in &known {
            let n = static_int(value, self.span, "an extent")?;
            match usize::try_from(n) {
                Ok(n) => shape.push(n),
                Err(_) => return fail("E0404", self.span, format!("an extent must not be negative, this one is {n}")),
            }
        }
        Ok(shape)
    }

    fn filled(&mut self, args: &Args, value: f64) -> Res<Value> {
        let shape = self.extents(&args.positional)?;
        self.check_size(&shape, self.real())?;
        let scalar = self.real_const(value);
        self.broadcast_to(&scalar, &shape)
    }

    /// The explicit key, or the one of this site.
    fn key_of(&mut self, args: &mut Args) -> Res<Value> {
        match args.take("key") {
            Some(key) => {
                let ty = self.ty(&key)?;
                if ty.dtype != DType::Key || !ty.shape.is_empty() {
                    return fail("E0310", self.span, format!("`key:` takes one key, found {}", self.show(&key)));
                }
                Ok(key)
            }
            None => self.draw_key(),
        }
    }

    fn uniform(&mut self, args: &mut Args) -> Res<Value> {
        let shape = self.extents(&args.positional)?;
        let dtype = self.real();
        self.check_size(&shape, dtype)?;
        let key = self.key_of(args)?;
        self.op(Op::Uniform { shape, dtype }, &[key])
    }

    fn reduction_call(&mut self, builtin: Builtin, args: &mut Args) -> Res<Value> {
        let [x] = args.exactly(self)?;
        let rank = self.shape(&x)?.len();
        let axis = self.axis(args, rank)?;
        match axis {
            Some(axis) => self.reduce(builtin, &x, Some(&[axis])),
            None => self.reduce(builtin, &x, None),
        }
    }

    pub(crate) fn sumsq(&mut self, x: &Value) -> Res<Value> {
        let x = self.to_real(x)?;
        let n = self.ty(&x)?.len();
        let flat = self.reshape(&x, &[n])?;
        self.matmul(&flat, &flat)
    }

    fn keep_axis(&mut self, value: &Value, axis: usize, shape: &[usize]) -> Res<Value> {
        let axes: Vec<usize> = (0..shape.len()).filter(|&a| a != axis).collect();
        self.op(Op::Broadcast { shape: shape.to_vec(), axes }, std::slice::from_ref(value))
    }

    fn net_arg(&self, args: &Args) -> Res<std::rc::Rc<super::value::Net>> {
        match args.positional.first() {
            Some(Value::Net(net)) => Ok(net.clone()),
            _ => args.wrong(self, "the first argument is a network"),
        }
    }

    fn effect<T>(&self, name: &str) -> Res<T> {
        fail(
            "E0331",
            self.span,
            format!(
                "`{name}` has an effect: it stands at the top level, as a statement of its own or as the whole value of a `let`"
            ),
        )
    }

    fn builtin(&mut self, builtin: Builtin, args: &mut Args) -> Res<Value> {
        match builtin {
            Builtin::Exp => self.unary_real(Op::Exp, args),
            Builtin::Expm1 => self.unary_real(Op::Expm1, args),
            Builtin::Log => self.unary_real(Op::Log, args),
            Builtin::Log1p => self.unary_real(Op::Log1p, args),
            Builtin::Sqrt => self.unary_real(Op::Sqrt, args),
            Builtin::Sin => self.unary_real(Op::Sin, args),
            Builtin::Cos => self.unary_real(Op::Cos, args),
            Builtin::Tan => self.unary_real(Op::Tan, args),
            Builtin::Tanh => self.unary_real(Op::Tanh, args),
            Builtin::Sigmoid => self.unary_real(Op::Sigmoid, args),
            Builtin::Softplus => self.unary_real(Op::Softplus, args),
            Builtin::Erf => self.unary_real(Op::Erf, args),
            Builtin::Atan => self.unary_real(Op::Atan, args),
            Builtin::Log2 => self.unary_real(Op::Log2, args),
            Builtin::Log10 => self.unary_real(Op::Log10, args),
            Builtin::Cbrt => self.unary_real(Op::Cbrt, args),
            Builtin::Asin => self.unary_real(Op::Asin, args),
            Builtin::Acos => self.unary_real(Op::Acos, args),
            Builtin::Sinh => self.unary_real(Op::Sinh, args),
            Builtin::Cosh => self.unary_real(Op::Cosh, args),
            Builtin::Asinh => self.unary_real(Op::Asinh, args),
            Builtin::Acosh => self.unary_real(Op::Acosh, args),
            Builtin::Atanh => self.unary_real(Op::Atanh, args),
            Builtin::Erfc => self.unary_real(Op::Erfc, args),
            Builtin::Lgamma => self.unary_real(Op::Lgamma, args),
            Builtin::Digamma => self.unary_real(Op::Polygamma { order: 0 }, args),
            Builtin::Polygamma => {
                let [n, x] = args.exactly(self)?;
                let n = static_int(&n, self.span, "the order of `polygamma`")?;
                let order = match usize::try_from(n) {
                    Ok(order) if order <= MAX_POLYGAMMA => order,
                    _ => {
                        return args.wrong(self, &format!("the order of `polygamma` is 0 to {MAX_POLYGAMMA}, not {n}"));
                    }
                };
                let x = self.to_real(&x)?;
                self.op(Op::Polygamma { order }, &[x])
            }
            Builtin::Atan2 => {
                let [y, x] = args.exactly(self)?;
                let (y, x) = (self.to_real(&y)?, self.to_real(&x)?);
                self.elementwise(Op::Atan2, &y, &x, "`atan2`")
            }
            Builtin::Hypot => {
                let [a, b] = args.exactly(self)?;
                let (a, b) = (self.to_real(&a)?, self.to_real(&b)?);
                self.elementwise(Op::Hypot, &a, &b, "`hypot`")
            }
            Builtin::Abs | Builtin::Sign => {
                let [x] = args.exactly(self)?;
                if let Value::Int(i) = x {
                    return Ok(Value::Int(if builtin == Builtin::Abs { i.saturating_abs() } else { i.signum() }));
                }
                let ty = self.ty(&x)?;
                if matches!(ty.dtype, DType::Bool | DType::Key) {
                    return args.wrong(self, &format!("a number is needed, found {}", self.show(&x)));
                }
                self.op(if builtin == Builtin::Abs { Op::Abs } else { Op::Sign }, &[x])
            }
            Builtin::Floor | Builtin::Ceil | Builtin::Round => {
                let [x] = args.exactly(self)?;
                if self.ty(&x)?.dtype == DType::I64 {
                    return Ok(x);
                }
                let op = match builtin {
                    Builtin::Floor => Op::Floor,
                    Builtin::Ceil => Op::Ceil,
                    _ => Op::Round,
                };
                let whole = self.unary_real(op, args)?;
                self.op(Op::Convert(DType::I64), &[whole])
            }
            Builtin::Max | Builtin::Min => {
                if let [a, b] = &args.positional[..] {
                    if let (Value::Int(x), Value::Int(y)) = (a, b) {
                        return Ok(Value::Int(if builtin == Builtin::Max { *x.max(y) } else { *x.min(y) }));
                    }
                    let (a, b) = (a.clone(), b.clone());
                    let op = if builtin == Builtin::Max { Op::Max } else { Op::Min };
                    return self.elementwise(op, &a, &b, "`max` or `min`");
                }
                self.reduction_call(builtin, args)
            }
            Builtin::Where => {
                let [mask, a, b] = args.exactly(self)?;
                let ty = self.ty(&mask)?;
                if ty.dtype != DType::Bool {
                    return args.wrong(self, &format!("the mask is of bools, found {}", self.show(&mask)));
                }
                let (a, b) = self.same_kind(&a, &b)?;
                let (sa, sb) = (self.shape(&a)?, self.shape(&b)?);
                let shape = self.common_shape(&sa, &sb, "`where`")?;
                let shape = self.common_shape(&shape, &ty.shape, "`where`")?;
                let mask = self.broadcast_to(&mask, &shape)?;
                let (a, b) = (self.broadcast_to(&a, &shape)?, self.broadcast_to(&b, &shape)?);
                self.op(Op::Select, &[mask, a, b])
            }
            Builtin::Sum | Builtin::Prod | Builtin::Mean | Builtin::All | Builtin::Any => {
                self.reduction_call(builtin, args)
            }
            Builtin::Sumsq => {
                let [x] = args.exactly(self)?;
                self.sumsq(&x)
            }
            Builtin::Norm => {
                let [x] = args.exactly(self)?;
                let squares = self.sumsq(&x)?;
                self.safe_sqrt(&squares)
            }
            Builtin::Norm1 => {
                let [x] = args.exactly(self)?;
                let x = self.to_real(&x)?;
                let size = self.op(Op::Abs, &[x])?;
                self.reduce(Builtin::Sum, &size, None)
            }
            Builtin::Count => {
                let [x] = args.exactly(self)?;
                let x = self.to_real(&x)?;
                let zero = self.real_const(0.0);
                let mask = self.elementwise(Op::Ne, &x, &zero, "`count`")?;
                self.reduce(Builtin::Sum, &mask, None)
            }
            Builtin::Argmax | Builtin::Argmin => {
                let (x, axis) = self.along(args)?;
                let ty = self.ty(&x)?;
                if ty.shape[axis] == 0 {
                    return fail("E0408", self.span, "no elements: there is no greatest or least one");
                }
                let x = if ty.dtype == DType::Bool { self.op(Op::Convert(DType::I64), &[x])? } else { x };
                self.op(if builtin == Builtin::Argmax { Op::ArgMax { axis } } else { Op::ArgMin { axis } }, &[x])
            }
            Builtin::Logsumexp => {
                let (x, axis) = self.along(args)?;
                let x = self.to_real(&x)?;
                let (shifted, top) = self.shifted(&x, axis)?;
                let exp = self.op(Op::Exp, &[shifted])?;
                let sum = self.op(Op::Sum { axes: vec![axis] }, &[exp])?;
                let log = self.op(Op::Log, &[sum])?;
                self.op(Op::Add, &[log, top])
            }
            Builtin::Softmax => {
                let (x, axis) = self.along(args)?;
                let x = self.to_real(&x)?;
                let shape = self.shape(&x)?;
                let (shifted, _) = self.shifted(&x, axis)?;
                let exp = self.op(Op::Exp, &[shifted])?;
                let sum = self.op(Op::Sum { axes: vec![axis] }, std::slice::from_ref(&exp))?;
                let sum = self.keep_axis(&sum, axis, &shape)?;
                self.op(Op::Div, &[exp, sum])
            }
            Builtin::Cumsum => {
                let (x, axis) = self.along(args)?;
                self.op(Op::CumSum { axis, reverse: false }, &[x])
            }
            Builtin::Sort | Builtin::Argsort => {
                let [x] = args.exactly(self)?;
                if self.shape(&x)?.is_empty() {
                    return args.wrong(self, "an array is needed");
                }
                let mut outs = self.emit(Op::Sort, &[x])?;
                Ok(outs.swap_remove(usize::from(builtin == Builtin::Argsort)))
            }
            Builtin::Quantile => {
                let [x, q] = args.exactly(self)?;
                self.quantile(&x, &q)
            }
            Builtin::TopK | Builtin::KeepTop | Builtin::Cumprod | Builtin::Var | Builtin::Std => {
                self.window_call(builtin, args)
            }
            Builtin::Pad | Builtin::Roll | Builtin::Resize2 => self.window_call(builtin, args),
            Builtin::Conv1 | Builtin::Conv2 | Builtin::Conv1Adjoint | Builtin::Conv2Adjoint => {
                self.window_call(builtin, args)
            }
            Builtin::PoolMax | Builtin::PoolMean | Builtin::PoolTop => self.window_call(builtin, args),
            Builtin::Bernoulli | Builtin::Exponential | Builtin::Laplace => self.draw_call(builtin, args),
            Builtin::Zeros => self.filled(args, 0.0),
            Builtin::Ones => self.filled(args, 1.0),
            Builtin::Eye => {
                let shape = self.extents(&args.positional)?;
                let [n] = shape[..] else { return args.wrong(self, "one extent is needed") };
                self.check_size(&[n, n], self.real())?;
                self.identity(n)
            }
            Builtin::Range => {
                let bounds: Vec<i64> = args
                    .positional
                    .iter()
                    .map(|v| static_int(v, self.span, "the bound of a range"))
                    .collect::<Res<_>>()?;
                let (a, b) = match bounds[..] {
                    [n] => (0, n),
                    [a, b] => (a, b),
                    _ => return args.wrong(self, "one or two bounds are needed"),
                };
                let n = b.saturating_sub(a).max(0) as usize;
                self.check_size(&[n], DType::I64)?;
                if n <= 4096 {
                    return Ok(Value::Tensor(Tensor::from_vec(&[n], (a..a + n as i64).collect())));
                }
                let iota = self.op(Op::Iota { shape: vec![n], axis: 0 }, &[])?;
                self.binary(BinaryOp::Add, &iota, &Value::Int(a))
            }
            Builtin::Reshape => {
                let Some((x, rest)) = args.positional.split_first() else {
                    return args.wrong(self, "an array is needed");
                };
                let (x, rest) = (x.clone(), rest.to_vec());
                let shape = self.extents(&rest)?;
                let own = self.shape(&x)?;
                let total = shape.iter().try_fold(1usize, |n, &e| n.checked_mul(e));
                if total != Some(own.iter().product()) {
                    return fail(
                        "E0412",
                        self.span,
                        format!(
                            "shape {own:?} has {} elements, {shape:?} has another number",
                            own.iter().product::<usize>()
                        ),
                    );
                }
                self.reshape(&x, &shape)
            }
            Builtin::Flat => {
                let [x] = args.exactly(self)?;
                self.flatten(&x)
            }
            Builtin::Concat => self.concat(args),
            Builtin::Permute => {
                let Some((x, rest)) = args.positional.split_first() else {
                    return args.wrong(self, "an array is needed");
                };
                let (x, rest) = (x.clone(), rest.to_vec());
                let perm = self.extents(&rest)?;
                let rank = self.shape(&x)?.len();
                let mut sorted = perm.clone();
                sorted.sort_unstable();
                if sorted != (0..rank).collect::<Vec<_>>() {
                    return args.wrong(self, &format!("each of the {rank} axes is named once"));
                }
                self.permute(&x, &perm)
            }
            Builtin::Reverse => {
                let [x] = args.exactly(self)?;
                let rank = self.shape(&x)?.len();
                let axes = match self.axis(args, rank)? {
                    Some(axis) => vec![axis],
                    None => (0..rank).collect(),
                };
                self.op(Op::Reverse { axes }, &[x])
            }
            Builtin::Broadcast => {
                let Some((x, rest)) = args.positional.split_first() else {
                    return args.wrong(self, "an array is needed");
                };
                let (x, rest) = (x.clone(), rest.to_vec());
                let shape = self.extents(&rest)?;
                self.broadcast_to(&x, &shape)
            }
            Builtin::Diag => self.diag(args),
            Builtin::OneHot => {
                let [i, k] = args.exactly(self)?;
                let k = self.extents(&[k])?[0];
                let mut shape = self.shape(&i)?;
                if self.ty(&i)?.dtype != DType::I64 {
                    return args.wrong(self, &format!("the classes are ints, found {}", self.show(&i)));
                }
                shape.push(k);
                self.check_size(&shape, self.real())?;
                let axes: Vec<usize> = (0..shape.len() - 1).collect();
                let wide = self.op(Op::Broadcast { shape: shape.clone(), axes }, &[i])?;
                let iota = self.op(Op::Iota { shape: shape.clone(), axis: shape.len() - 1 }, &[])?;
                let same = self.op(Op::Eq, &[wide, iota])?;
                let real = self.real();
                self.op(Op::Convert(real), &[same])
            }
            Builtin::Gather => {
                let [x, i] = args.exactly(self)?;
                if self.ty(&i)?.dtype != DType::I64 || self.shape(&x)?.is_empty() {
                    return args.wrong(self, "an array and an int array of indices are needed");
                }
                self.op(Op::Gather, &[x, i])
            }
            Builtin::ScatterAdd => self.scatter_add(args),
            Builtin::Opnorm => self.opnorm(args),
            Builtin::Svd => self.decomposed(Op::Svd, false, &["u", "s", "v"], args),
            Builtin::SingularValues => self.singular_values(args),
            Builtin::Lu => self.decomposed(Op::Lu, false, &["p", "l", "u"], args),
            Builtin::Qr => self.decomposed(Op::Qr, false, &["q", "r"], args),
            Builtin::Eigh => self.decomposed(Op::Eigh, true, &["w", "v"], args),
            Builtin::Slogdet => self.decomposed(Op::SlogDet, true, &["sign", "log"], args),
            Builtin::Cholesky => self.of_square(Op::Cholesky, args),
            Builtin::Det => self.of_square(Op::Det, args),
            Builtin::Solve => self.system(Op::Solve, args),
            Builtin::SolveBy => self.solve_by(args),
            Builtin::SolveLower => self.system(Op::TriangularSolve { lower: true }, args),
            Builtin::SolveUpper => self.system(Op::TriangularSolve { lower: false }, args),
            Builtin::Fft => self.fourier(false, args),
            Builtin::Ifft => self.fourier(true, args),
            Builtin::Normal => {
                let shape = self.extents(&args.positional)?;
                let dtype = self.real();
                self.check_size(&shape, dtype)?;
                let key = self.key_of(args)?;
                self.op(Op::Normal { shape, dtype }, &[key])
            }
            Builtin::Uniform => self.uniform(args),
            Builtin::Rademacher => {
                let draw = self.uniform(args)?;
                let (half, one, minus) = (self.real_const(0.5), self.real_const(1.0), self.real_const(-1.0));
                let mask = self.elementwise(Op::Lt, &draw, &half, "`rademacher`")?;
                let shape = self.shape(&mask)?;
                let (one, minus) = (self.broadcast_to(&one, &shape)?, self.broadcast_to(&minus, &shape)?);
                self.op(Op::Select, &[mask, one, minus])
            }
            Builtin::Permutation => {
                let shape = self.extents(&args.positional)?;
                let [n] = shape[..] else { return args.wrong(self, "one extent is needed") };
                let key = self.key_of(args)?;
                self.op(Op::Permutation { n }, &[key])
            }
            Builtin::Randint => {
                let Some(below) = args.take("below") else { return args.wrong(self, "`below:` is needed") };
                let draw = self.uniform(args)?;
                let width = self.to_real(&below)?;
                let scaled = self.binary(BinaryOp::Mul, &draw, &width)?;
                let whole = self.op(Op::Convert(DType::I64), &[scaled])?;
                // A product may round up to the bound itself.
                let last = self.binary(BinaryOp::Sub, &below, &Value::Int(1))?;
                self.elementwise(Op::Min, &whole, &last, "`randint`")
            }
            Builtin::Key => {
                let [seed] = args.exactly(self)?;
                if self.ty(&seed)?.dtype != DType::I64 {
                    return args.wrong(self, "an int is needed");
                }
                let zero = Value::Tensor(Tensor::scalar(0u64));
                self.op(Op::FoldIn, &[zero, seed])
            }
            Builtin::Split => {
                let [key, n] = args.exactly(self)?;
                let n = self.extents(&[n])?[0];
                self.op(Op::Split { n }, &[key])
            }
            Builtin::Keys => {
                let [n] = args.exactly(self)?;
                let n = self.extents(&[n])?[0];
                let key = self.key_of(args)?;
                self.op(Op::Split { n }, &[key])
            }
            Builtin::FoldIn => {
                let [key, i] = args.exactly(self)?;
                self.op(Op::FoldIn, &[key, i])
            }
            Builtin::DrawKey => {
                let [] = args.exactly(self)?;
                self.draw_key()
            }
            Builtin::Grad | Builtin::ValueAndGrad => {
                let wrt = wrt_of(args);
                let [func] = args.exactly(self)?;
                Ok(Value::func(Func::Grad {
                    func: self.function(func)?,
                    wrt,
                    with_value: builtin == Builtin::ValueAndGrad,
                }))
            }
            Builtin::Jvp => {
                let [f] = args.exactly(self)?;
                Ok(Value::func(Func::Jvp(self.function(f)?)))
            }
            Builtin::Vjp => {
                let [f] = args.exactly(self)?;
                Ok(Value::func(Func::Vjp(self.function(f)?)))
            }
            Builtin::Jacobian => {
                let wrt = wrt_of(args);
                let [f] = args.exactly(self)?;
                Ok(Value::func(Func::Jacobian { func: self.function(f)?, wrt }))
            }
            Builtin::Hessian => {
                let [f] = args.exactly(self)?;
                Ok(Value::func(Func::Hessian(self.function(f)?)))
            }
            Builtin::Hvp => {
                let [f] = args.exactly(self)?;
                Ok(Value::func(Func::Hvp(self.function(f)?)))
            }
            Builtin::Prox => args.wrong(self, "`prox` is applied to a function where it stands"),
            Builtin::StopGradient => {
                let [x] = args.exactly(self)?;
                if matches!(x, Value::Int(_) | Value::Bool(_)) || !self.ty(&x)?.dtype.is_float() {
                    return Ok(x);
                }
                self.op(Op::StopGradient, &[x])
            }
            Builtin::Real => {
                let [x] = args.exactly(self)?;
                let real = self.real();
                match self.ty(&x)?.dtype {
                    DType::Bool => self.op(Op::Convert(real), &[x]),
                    DType::Key => args.wrong(self, "a key is not a number"),
                    DType::F32 | DType::F64 | DType::I64 => self.to_real(&x),
                }
            }
            Builtin::Int => {
                let [x] = args.exactly(self)?;
                match self.ty(&x)?.dtype {
                    DType::I64 => Ok(x),
                    DType::Bool => self.op(Op::Convert(DType::I64), &[x]),
                    DType::F32 | DType::F64 | DType::Key => {
                        args.wrong(self, "a real becomes an int by `round`, `floor` or `ceil`")
                    }
                }
            }
            Builtin::Size => match &args.positional[..] {
                [x] => Ok(Value::Int(self.ty(x)?.len() as i64)),
                [x, axis] => {
                    let shape = self.shape(x)?;
                    let axis = static_int(axis, self.span, "an axis")?;
                    let at = if axis < 0 { axis + shape.len() as i64 } else { axis };
                    match usize::try_from(at).ok().and_then(|at| shape.get(at)) {
                        Some(&n) => Ok(Value::Int(n as i64)),
                        None => fail(
                            "E0407",
                            self.span,
                            format!("there is no axis {axis} in an array with {} dimensions", shape.len()),
                        ),
                    }
                }
                _ => args.wrong(self, "an array and perhaps an axis are needed"),
            },
            Builtin::IsFinite => {
                let [x] = args.exactly(self)?;
                let x = self.to_real(&x)?;
                let size = self.op(Op::Abs, &[x])?;
                let inf = self.real_const(f64::INFINITY);
                self.elementwise(Op::Lt, &size, &inf, "`isfinite`")
            }
            Builtin::At => {
                let net = self.net_arg(args)?;
                let [_, params] = args.exactly(self)?;
                self.net_at(&net, &params)
            }
            Builtin::First => {
                let net = self.net_arg(args)?;
                let [_, k] = args.exactly(self)?;
                let k = static_int(&k, self.span, "the number of layers")?;
                let k = self.count(k, self.span)?;
                match &*net.body {
                    super::value::NetBody::Unrolled { form, .. } => {
                        if let super::value::Mode::Unroll { count, .. } = &form.mode
                            && k > *count
                        {
                            return fail(
                                "E0412",
                                self.span,
                                format!("`{}` has {count} layers, the first {k} are asked for", net.name),
                            );
                        }
                        Ok(first_layers(&net, k))
                    }
                    super::value::NetBody::Hand { .. } => args.wrong(self, "layers are counted in unrolled networks"),
                }
            }
            Builtin::Load => self.effect("load"),
            Builtin::LoadImages => self.effect("load_images"),
            Builtin::Save => self.effect("save"),
            Builtin::Plot => self.effect("plot"),
            Builtin::Scatter => self.effect("scatter"),
            Builtin::Hist => self.effect("hist"),
            Builtin::Heatmap => self.effect("heatmap"),
            Builtin::Image => self.effect("image"),
            Builtin::Files => self.effect("files"),
            Builtin::CheckGrad => self.effect("check_grad"),
            Builtin::CompareCosts => self.effect("compare_costs"),
            Builtin::CheckProx => self.effect("check_prox"),
            Builtin::ExplainLayer => self.effect("explain_layer"),
        }
    }

    pub(super) fn function(&self, value: Value) -> Res<Value> {
        match value {
            Value::Func(_) | Value::Net(_) => Ok(value),
            other => fail("E0310", self.span, format!("a function is needed here, found {}", other.describe())),
        }
    }

    /// The square root with derivative 0 at 0: the 2-norm's.
    fn safe_sqrt(&mut self, squares: &Value) -> Res<Value> {
        let zero = self.real_const(0.0);
        let positive = self.elementwise(Op::Lt, &zero, squares, "a norm")?;
        let root = self.op(Op::Sqrt, std::slice::from_ref(squares))?;
        // NaN compares false and must stay NaN: the other side is the argument itself, 0 or NaN.
        let held = self.op(Op::StopGradient, std::slice::from_ref(squares))?;
        self.op(Op::Select, &[positive, root, held])
    }

    /// `x - max(x)` along an axis, and that maximum; the shift takes no part in derivatives. An infinite maximum, whose
    /// difference from itself would not be a number, shifts by 0.
    fn shifted(&mut self, x: &Value, axis: usize) -> Res<(Value, Value)> {
        let shape = self.shape(x)?;
        if shape[axis] == 0 {
            return fail("E0408", self.span, "there are no elements along this axis");
        }
        let top = self.op(Op::ReduceMax { axes: vec![axis] }, std::slice::from_ref(x))?;
        let top = self.op(Op::StopGradient, &[top])?;
        let size = self.op(Op::Abs, std::slice::from_ref(&top))?;
        let reduced = self.shape(&top)?;
        let (inf, zero) = (self.real_const(f64::INFINITY), self.real_const(0.0));
        let (inf, zero) = (self.broadcast_to(&inf, &reduced)?, self.broadcast_to(&zero, &reduced)?);
        let finite = self.op(Op::Lt, &[size, inf])?;
        let top = self.op(Op::Select, &[finite, top, zero])?;
        let wide = self.keep_axis(&top, axis, &shape)?;
        let shifted = self.op(Op::Sub, &[x.clone(), wide])?;
        Ok((shifted, top))
    }

    fn concat(&mut self, args: &mut Args) -> Res<Value> {
        let axis_given = args.take("axis");
        let mut items = args.positional.clone();
        if items.is_empty() {
            return args.wrong(self, "arrays are needed");
        }
        let any_real = items.iter().map(|v| self.ty(v)).collect::<Res<Vec<_>>>()?.iter().any(|t| t.dtype.is_float());
        if any_real {
            items = items.iter().map(|v| self.to_real(v)).collect::<Res<Vec<_>>>()?;
        }
        let rank = self.shape(&items[0])?.len();
        let axis = match axis_given {
            Some(value) => static_int(&value, self.span, "an axis")?,
            None => 0,
        };
        let Some(axis) = usize::try_from(axis).ok().filter(|&a| a < rank) else {
            return fail("E0407", self.span, format!("there is no axis {axis} in an array with {rank} dimensions"));
        };
        if items.len() == 1 {
            return Ok(items.swap_remove(0));
        }
        self.op(Op::Concat { axis }, &items)
    }

    fn diag(&mut self, args: &Args) -> Res<Value> {
        let [x] = args.exactly(self)?;
        let shape = self.shape(&x)?;
        match shape[..] {
            [n] => {
                let x = self.to_real(&x)?;
                let i = self.op(Op::Iota { shape: vec![n, n], axis: 0 }, &[])?;
                let j = self.op(Op::Iota { shape: vec![n, n], axis: 1 }, &[])?;
                let same = self.op(Op::Eq, &[i, j])?;
                let wide = self.op(Op::Broadcast { shape: vec![n, n], axes: vec![1] }, &[x])?;
                let zero = self.real_const(0.0);
                let zero = self.broadcast_to(&zero, &[n, n])?;
                self.op(Op::Select, &[same, wide, zero])
            }
            [m, n] => {
                let k = m.min(n);
                let i = self.op(Op::Iota { shape: vec![k], axis: 0 }, &[])?;
                self.op(Op::Gather, &[x, i.clone(), i])
            }
            _ => args.wrong(self, &format!("a vector or a matrix is needed, found {}", self.show(&x))),
        }
    }

    /// Linear interpolation between order statistics along the last axis: position q * (n - 1).
    fn quantile(&mut self, x: &Value, q: &Value) -> Res<Value> {
        let (x, q) = (self.to_real(x)?, self.to_real(q)?);
        let shape = self.shape(&x)?;
        let Some((&n, outer)) = shape.split_last() else {
            return fail("E0407", self.span, "a quantile is of an array");
        };
        if n == 0 || !self.shape(&q)?.is_empty() {
            return fail("E0408", self.span, "a quantile needs elements, and one share between 0 and 1");
        }
        let sorted = self.emit(Op::Sort, &[x])?.swap_remove(0);
        let last = self.real_const((n - 1) as f64);
        let (zero, one) = (self.real_const(0.0), self.real_const(1.0));
        let share = self.elementwise(Op::Max, &q, &zero, "a quantile")?;
        let share = self.elementwise(Op::Min, &share, &one, "a quantile")?;
        let position = self.binary(BinaryOp::Mul, &share, &last)?;
        let low = self.op(Op::Floor, std::slice::from_ref(&position))?;
        let weight = self.binary(BinaryOp::Sub, &position, &low)?;
        let low = self.op(Op::Convert(DType::I64), &[low])?;
        let high = self.binary(BinaryOp::Add, &low, &Value::Int(1))?;
        let high = self.elementwise(Op::Min, &high, &Value::Int(n as i64 - 1), "a quantile")?;
        let mut perm = vec![outer.len()];
        perm.extend(0..outer.len());
        let leading = self.permute(&sorted, &perm)?;
        let a = self.op(Op::Gather, &[leading.clone(), low])?;
        let b = self.op(Op::Gather, &[leading, high])?;
        let step = self.binary(BinaryOp::Sub, &b, &a)?;
        let part = self.binary(BinaryOp::Mul, &weight, &step)?;
        self.binary(BinaryOp::Add, &a, &part)
    }

    /// Draws in the body of `train` and in `param` values are named by this key.
    pub fn with_keyed_draws<T>(&mut self, key: Value, body: impl FnOnce(&mut Ctx<'s>) -> Res<T>) -> Res<T> {
        let draws = std::mem::replace(&mut self.draws, Draws::Keyed(key));
        let result = body(self);
        self.draws = draws;
        result
    }
}

/// The parameters that `wrt:` names.
fn wrt_of(args: &mut Args) -> Option<Vec<Symbol>> {
    match args.take("wrt")? {
        Value::Str(name) => Some(vec![name]),
        Value::Tuple(names) => Some(
            names.iter().filter_map(|n| if let Value::Str(name) = n { Some(name.clone()) } else { None }).collect(),
        ),
        _ => None,
    }
}
