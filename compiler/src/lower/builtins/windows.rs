//! Calls of functions of images: convolution, padding, pooling, resizing; and of the largest elements.

use super::Args;
use crate::builtins::Builtin;
use crate::ir::graph::{Op, Scan, Trips, Type};
use crate::lower::convolution::Spec;
use crate::lower::value::{Value, static_int};
use crate::lower::{Ctx, Res, fail};
use crate::syntax::ast::BinaryOp;
use dp_runtime::tensor::DType;

impl Ctx<'_> {
    pub(super) fn window_call(&mut self, builtin: Builtin, args: &mut Args) -> Res<Value> {
        match builtin {
            Builtin::Conv1 | Builtin::Conv2 => {
                let axes = if builtin == Builtin::Conv1 { 1 } else { 2 };
                let spec = self.spec(args, axes)?;
                let [x, k] = args.exactly(self)?;
                self.convolve(&x, &k, axes, &spec)
            }
            Builtin::Conv1Adjoint | Builtin::Conv2Adjoint => {
                let axes = if builtin == Builtin::Conv1Adjoint { 1 } else { 2 };
                let spec = self.spec(args, axes)?;
                let [y, k, extents @ ..] = &args.positional[..] else {
                    return args.wrong(self, "a filtered image and a kernel are needed");
                };
                let (y, k) = (y.clone(), k.clone());
                let extents = extents.to_vec();
                let extents = self.extents(&extents)?;
                if !extents.is_empty() && extents.len() != axes {
                    return args.wrong(self, &format!("{axes} extents of the image or none are needed"));
                }
                self.convolve_adjoint(&y, &k, &extents, axes, &spec)
            }
            Builtin::Pad => {
                let mode = args.take("mode");
                let Some(edge) = self.edge_of(mode.as_ref(), "", "zero")? else {
                    return args.wrong(self, "a padding is needed");
                };
                let axis_given = args.take("axis");
                let [x, widths @ ..] = &args.positional[..] else {
                    return args.wrong(self, "an array is needed");
                };
                let (x, widths) = (x.clone(), widths.to_vec());
                let widths = self.extents(&widths)?;
                let (low, high) = match widths[..] {
                    [n] => (n, n),
                    [low, high] => (low, high),
                    _ => return args.wrong(self, "one width for both sides, or two, are needed"),
                };
                let axis = self.axis_or_last(&x, axis_given)?;
                self.pad_axis(&x, axis, (low, high), edge)
            }
            Builtin::Roll => {
                let axis_given = args.take("axis");
                let [x, by] = args.exactly(self)?;
                let axis = self.axis_or_last(&x, axis_given)?;
                self.roll(&x, &by, axis)
            }
            Builtin::PoolMax | Builtin::PoolMean => {
                let stride = args.take("stride");
                let [x, p] = args.exactly(self)?;
                let p = self.steps_of(Some(&p), 2, "the extent of a window")?;
                let stride = match stride {
                    Some(stride) => self.steps_of(Some(&stride), 2, "a stride")?,
                    None => p,
                };
                self.pool(builtin, &x, p, stride)
            }
            Builtin::PoolTop => {
                let [x, p, keep] = args.exactly(self)?;
                let p = self.steps_of(Some(&p), 2, "the extent of a window")?;
                let keep = self.extents(&[keep])?[0];
                self.pool_top(&x, p, keep)
            }
            Builtin::TopK => {
                let [x, k] = args.exactly(self)?;
                let k = self.extents(&[k])?[0];
                self.top_k(&x, k)
            }
            Builtin::KeepTop => {
                let [x, k] = args.exactly(self)?;
                let k = self.extents(&[k])?[0];
                self.keep_top(&x, k)
            }
            Builtin::Resize2 => {
                let nearest = match args.take("mode") {
                    None => false,
                    Some(Value::Str(mode)) if &*mode == "bilinear" => false,
                    Some(Value::Str(mode)) if &*mode == "nearest" => true,
                    Some(other) => {
                        let what = other.describe();
                        return fail(
                            "E0413",
                            self.span,
                            format!("the mode is \"bilinear\" or \"nearest\", not {what}"),
                        );
                    }
                };
                let [x, h, w] = args.exactly(self)?;
                let to = self.extents(&[h, w])?;
                self.resize(&x, [to[0], to[1]], nearest)
            }
            Builtin::Cumprod => {
                let (x, axis) = self.along(args)?;
                self.cumprod(&x, axis)
            }
            Builtin::Var | Builtin::Std => {
                let axis_given = args.take("axis");
                let [x] = args.exactly(self)?;
                let x = self.to_real(&x)?;
                let shape = self.shape(&x)?;
                let axes: Vec<usize> = match axis_given {
                    Some(_) => vec![self.axis_or_last(&x, axis_given)?],
                    None => (0..shape.len()).collect(),
                };
                self.variance(&x, &axes, builtin == Builtin::Std)
            }
            other => panic!("internal error: {other:?} is not a function of windows"),
        }
    }

    fn spec(&mut self, args: &mut Args, axes: usize) -> Res<Spec> {
        let (stride, dilation, pad) = (args.take("stride"), args.take("dilation"), args.take("pad"));
        Ok(Spec {
            stride: self.steps_of(stride.as_ref(), axes, "a stride")?,
            dilation: self.steps_of(dilation.as_ref(), axes, "a dilation")?,
            edge: self.edge_of(pad.as_ref(), "valid", "same")?,
        })
    }

    /// The axis that is given, counted from the end if negative, or the last one.
    fn axis_or_last(&self, x: &Value, given: Option<Value>) -> Res<usize> {
        let rank = self.shape(x)?.len();
        let axis = match given {
            Some(axis) => static_int(&axis, self.span, "an axis")?,
            None => -1,
        };
        let at = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        match usize::try_from(at) {
            Ok(at) if at < rank => Ok(at),
            _ => fail("E0407", self.span, format!("there is no axis {axis} in an array with {rank} dimensions")),
        }
    }

    /// Running products: a loop over the axis, whose derivative divides by nothing.
    fn cumprod(&mut self, x: &Value, axis: usize) -> Res<Value> {
        let ty = self.ty(x)?;
        if matches!(ty.dtype, DType::Bool | DType::Key) {
            return fail("E0310", self.span, format!("numbers are needed, found {}", self.show(x)));
        }
        let mut perm = vec![axis];
        perm.extend((0..ty.rank()).filter(|&i| i != axis));
        let rows = self.permute(x, &perm)?;
        let row = Type::new(ty.dtype, &self.shape(&rows)?[1..]);
        let mut body = crate::ir::builder::Builder { span: self.span, ..Default::default() };
        let so_far = body.param(row.clone());
        body.param(Type::scalar(DType::I64));
        let factor = body.param(row.clone());
        let next = body.mul(so_far, factor);
        let body = body.finish(vec![next, next]);
        let cap = ty.shape[axis];
        let scan = Scan { body: body.into(), consts: 0, carries: 1, cap, trips: Trips::All, reverse: false };
        let one = if ty.dtype == DType::I64 { Value::Int(1) } else { self.real_const(1.0) };
        let start = self.broadcast_to(&one, &row.shape)?;
        let products = self.emit(Op::Scan(scan), &[start, rows])?.swap_remove(1);
        let mut back: Vec<usize> = (1..ty.rank()).collect();
        back.insert(axis, 0);
        self.permute(&products, &back)
    }

    /// The mean square of the distances from the mean, or its root.
    fn variance(&mut self, x: &Value, axes: &[usize], root: bool) -> Res<Value> {
        let shape = self.shape(x)?;
        let mean = self.reduce(Builtin::Mean, x, Some(axes))?;
        let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
        let mean = if axes.is_empty() { mean } else { self.op(Op::Broadcast { shape, axes: kept }, &[mean])? };
        let distance = self.op(Op::Sub, &[x.clone(), mean])?;
        let squares = self.binary(BinaryOp::Mul, &distance, &distance)?;
        let variance = self.reduce(Builtin::Mean, &squares, Some(axes))?;
        if root { self.safe_sqrt(&variance) } else { Ok(variance) }
    }
}
