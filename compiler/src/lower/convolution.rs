//! Convolutions, their adjoints, padding and rolling.
//!
//! The primitive knows zeros beyond the edge; any other way to go on is an array that is joined from pieces of the first.

use super::value::{Value, static_int};
use super::{Ctx, Res, fail};
use crate::ad::transpose::transpose;
use crate::diagnostic::Diagnostic;
use crate::ir::builder::Builder;
use crate::ir::graph::{Op, Type, Var};
use crate::syntax::ast::BinaryOp;
use dp_runtime::kernels::conv::Window;
use dp_runtime::tensor::DType;

/// How an array goes on beyond its edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edge {
    Zero,
    /// From the other end.
    Circular,
    /// Mirrored at the last element.
    Reflect,
    /// Mirrored behind the last element.
    Symmetric,
}

/// A convolution of a stack of images `[N, C, H, W]` with a kernel `[O, C, P, Q]`.
pub struct Plan {
    pub edge: Edge,
    pub window: Window,
    /// Elements that an edge other than zeros adds, `[row, column]`.
    pub low: [usize; 2],
    pub high: [usize; 2],
}

/// What a call says about its windows.
pub struct Spec {
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// `None` for no padding.
    pub edge: Option<Edge>,
}

/// Adds `low` elements before and `high` after an axis. Mirrored and circular edges are at most as long as the axis has them.
pub fn extend(b: &mut Builder, x: Var, axis: usize, (low, high): (usize, usize), edge: Edge) -> Var {
    if low == 0 && high == 0 {
        return x;
    }
    let shape = b.shape(x).to_vec();
    let n = shape[axis];
    if edge == Edge::Zero {
        let of = |n: usize| (0..shape.len()).map(|i| if i == axis { n } else { 0 }).collect();
        return b.op(Op::Pad { low: of(low), high: of(high), interior: vec![0; shape.len()] }, &[x]);
    }
    let mut part = |from: usize, to: usize| {
        let (mut start, mut stop) = (vec![0; shape.len()], shape.clone());
        (start[axis], stop[axis]) = (from, to);
        let part = b.op(Op::Slice { start, stop, stride: vec![1; shape.len()] }, &[x]);
        if edge == Edge::Circular { part } else { b.op(Op::Reverse { axes: vec![axis] }, &[part]) }
    };
    let mut parts = Vec::new();
    let skip = usize::from(edge == Edge::Reflect);
    if low > 0 {
        parts.push(if edge == Edge::Circular { part(n - low, n) } else { part(skip, skip + low) });
    }
    let at = parts.len();
    if high > 0 {
        parts.push(if edge == Edge::Circular { part(0, high) } else { part(n - skip - high, n - skip) });
    }
    parts.insert(at, x);
    b.op(Op::Concat { axis }, &parts)
}

impl Plan {
    /// The result for images and a kernel.
    fn emit(&self, b: &mut Builder, x: Var, k: Var) -> Var {
        let x = extend(b, x, 2, (self.low[0], self.high[0]), self.edge);
        let x = extend(b, x, 3, (self.low[1], self.high[1]), self.edge);
        b.op(Op::Conv { batch: 0, window: self.window }, &[x, k])
    }
}

/// Which axes the operands have besides those of the image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One image, one kernel.
    Single,
    /// One image, several kernels.
    Bank,
    /// Several channels, each with the one kernel.
    Each,
    /// Several channels, each with a kernel of its own, summed.
    Sum,
    /// Several channels summed, several kernels.
    Channels,
}

impl Form {
    fn of(image: usize, kernel: usize) -> Option<Form> {
        match (image, kernel) {
            (0, 0) => Some(Form::Single),
            (0, 1) => Some(Form::Bank),
            (1, 0) => Some(Form::Each),
            (1, 1) => Some(Form::Sum),
            (1, 2) => Some(Form::Channels),
            _ => None,
        }
    }
}

impl<'s> Ctx<'s> {
    /// `conv1`, `conv2`.
    pub(crate) fn convolve(&mut self, x: &Value, k: &Value, axes: usize, spec: &Spec) -> Res<Value> {
        let (x, k) = (self.to_real(x)?, self.to_real(k)?);
        let (sx, sk) = (self.shape(&x)?, self.shape(&k)?);
        let form = sx.len().checked_sub(axes).zip(sk.len().checked_sub(axes)).and_then(|(x, k)| Form::of(x, k));
        let Some(form) = form else {
            return fail(
                "E0413",
                self.span,
                format!("these do not go together: an image {}, a kernel {}", self.show(&x), self.show(&k)),
            );
        };
        let (images, kernel) = (stack(&sx, axes, form, true), stack(&sk, axes, form, false));
        if images[1] != kernel[1] {
            let message = format!("the kernel is for {} channels, the image has {}", kernel[1], images[1]);
            return fail("E0413", self.span, message);
        }
        let plan = self.window_plan([images[2], images[3]], [kernel[2], kernel[3]], axes, spec)?;
        let sizes = [images[0], kernel[0], plan.window.size[0], plan.window.size[1]];
        self.check_padded(&plan, &images)?;
        self.check_size(&sizes, self.real())?;
        let x = self.reshape(&x, &images)?;
        let k = self.reshape(&k, &kernel)?;
        let (x, k) = (self.var(&x)?, self.var(&k)?);
        let result = plan.emit(self.builder(), x, k);
        let mut to = match form {
            Form::Single | Form::Sum => vec![],
            Form::Each => vec![sizes[0]],
            Form::Bank | Form::Channels => vec![sizes[1]],
        };
        to.extend(&sizes[4 - axes..]);
        let result = Value::Var { level: self.level(), var: result };
        self.reshape(&result, &to)
    }

    /// `conv1_adjoint`, `conv2_adjoint`: the transpose of the convolution as a function of the image, whose extents are
    /// given or the least that fit.
    pub(crate) fn convolve_adjoint(
        &mut self,
        y: &Value,
        k: &Value,
        extents: &[usize],
        axes: usize,
        spec: &Spec,
    ) -> Res<Value> {
        let (y, k) = (self.to_real(y)?, self.to_real(k)?);
        let (sy, sk) = (self.shape(&y)?, self.shape(&k)?);
        let form = match (sy.len().checked_sub(axes), sk.len().checked_sub(axes)) {
            (Some(0), Some(0)) => Some(Form::Single),
            (Some(0), Some(1)) => Some(Form::Sum),
            (Some(1), Some(1)) => Some(Form::Bank),
            (Some(1), Some(0)) => Some(Form::Each),
            (Some(1), Some(2)) => Some(Form::Channels),
            _ => None,
        };
        let Some(form) = form else {
            return fail(
                "E0413",
                self.span,
                format!("these do not go together: a filtered image {}, a kernel {}", self.show(&y), self.show(&k)),
            );
        };
        let kernel = stack(&sk, axes, form, false);
        let filters = if form == Form::Each {
            1
        } else {
            sy.len().checked_sub(axes).map_or(1, |n| if n == 1 { sy[0] } else { 1 })
        };
        if filters != kernel[0] {
            let message = format!("the kernel makes {} channels, the filtered image has {filters}", kernel[0]);
            return fail("E0413", self.span, message);
        }
        let mut size = [1, 1];
        size[2 - axes..].copy_from_slice(&sy[sy.len() - axes..]);
        let mut image = [1, 1];
        for axis in 2 - axes..2 {
            let reach = self.reach(kernel[2 + axis], spec.dilation[axis])?;
            let given = extents.get(axis + axes - 2).copied();
            image[axis] = match given {
                Some(n) => n,
                None if size[axis] == 0 => 0,
                None => {
                    let last = (size[axis] - 1).checked_mul(spec.stride[axis]);
                    let last = last.and_then(|last| last.checked_add(if spec.edge.is_none() { reach } else { 1 }));
                    match last {
                        Some(n) => n,
                        None => return fail("E0404", self.span, "this image would be larger than can be counted"),
                    }
                }
            };
        }
        let plan = self.window_plan(image, [kernel[2], kernel[3]], axes, spec)?;
        if plan.window.size != size {
            let message = format!(
                "the convolution of an image of {} gives {}, not {}",
                extents_text(&image[2 - axes..]),
                extents_text(&plan.window.size[2 - axes..]),
                extents_text(&size[2 - axes..])
            );
            return fail("E0413", self.span, message);
        }
        let images = [if form == Form::Each { sy[0] } else { 1 }, kernel[1], image[0], image[1]];
        self.check_padded(&plan, &images)?;
        let y = self.reshape(&y, &[images[0], kernel[0], size[0], size[1]])?;
        let k = self.reshape(&k, &kernel)?;
        let (y, k) = (self.var(&y)?, self.var(&k)?);
        let mut b = Builder { span: self.span, ..Builder::default() };
        let known = b.param(self.builder().ty(k).clone());
        let x = b.param(Type::new(self.real(), &images));
        let result = plan.emit(&mut b, x, known);
        // Parameters come in the order of the transpose: what is known first.
        let turned = transpose(&b.finish(vec![result]), 1);
        let result = self.inline(&turned, &[k, y]).swap_remove(0);
        let mut to = match form {
            Form::Single | Form::Bank => vec![],
            Form::Each => vec![images[0]],
            Form::Sum | Form::Channels => vec![images[1]],
        };
        to.extend(&image[2 - axes..]);
        self.reshape(&result, &to)
    }

    /// The places from the first tap of a kernel to the last.
    fn reach(&self, taps: usize, dilation: usize) -> Res<usize> {
        match taps.checked_sub(1).map(|gaps| gaps.checked_mul(dilation).and_then(|n| n.checked_add(1))) {
            Some(Some(reach)) if reach < isize::MAX as usize / 8 => Ok(reach),
            Some(_) => fail("E0404", self.span, "this kernel reaches further than can be counted"),
            None => fail("E0413", self.span, "the kernel has no elements"),
        }
    }

    fn window_plan(&self, image: [usize; 2], kernel: [usize; 2], axes: usize, spec: &Spec) -> Res<Plan> {
        let mut window =
            Window { stride: spec.stride, dilation: spec.dilation, spread: [1; 2], low: [0; 2], size: [1; 2] };
        let (mut low, mut high) = ([0; 2], [0; 2]);
        for axis in 2 - axes..2 {
            let (n, reach) = (image[axis], self.reach(kernel[axis], spec.dilation[axis])?);
            let Some(edge) = spec.edge else {
                let Some(rest) = n.checked_sub(reach) else {
                    return Err(Box::new(
                        Diagnostic::error(
                            "E0413",
                            self.span,
                            format!("the kernel reaches over {reach} elements, the image has {n} along this axis"),
                        )
                        .help("`pad: \"same\"` takes zeros beyond the edge"),
                    ));
                };
                window.size[axis] = rest / spec.stride[axis] + 1;
                continue;
            };
            window.size[axis] = n.div_ceil(spec.stride[axis]);
            (low[axis], high[axis]) = ((reach - 1) / 2, reach - 1 - (reach - 1) / 2);
            if edge == Edge::Zero {
                window.low[axis] = low[axis] as isize;
                (low[axis], high[axis]) = (0, 0);
            } else if n == 0 {
                // Nothing to go on with, and no results.
                (low[axis], high[axis]) = (0, 0);
            } else {
                self.check_edge(n, low[axis].max(high[axis]), edge)?;
            }
        }
        Ok(Plan { edge: spec.edge.unwrap_or(Edge::Zero), window, low, high })
    }

    /// An edge that is made of elements needs as many.
    fn check_edge(&self, n: usize, wanted: usize, edge: Edge) -> Res<()> {
        let (most, how) = match edge {
            Edge::Zero => return Ok(()),
            Edge::Circular => (n, "circular padding"),
            Edge::Reflect => (n.saturating_sub(1), "reflection"),
            Edge::Symmetric => (n, "symmetric padding"),
        };
        if wanted <= most {
            return Ok(());
        }
        let message = format!("{how} of {n} elements adds at most {most} to a side, {wanted} are wanted");
        fail("E0413", self.span, message)
    }

    fn check_padded(&self, plan: &Plan, images: &[usize; 4]) -> Res<()> {
        let mut shape = *images;
        for axis in 0..2 {
            shape[2 + axis] = shape[2 + axis].saturating_add(plan.low[axis]).saturating_add(plan.high[axis]);
        }
        self.check_size(&shape, self.real())
    }

    /// `pad(x, before, after)` along one axis.
    pub(crate) fn pad_axis(&mut self, x: &Value, axis: usize, (low, high): (usize, usize), edge: Edge) -> Res<Value> {
        let ty = self.ty(x)?;
        if ty.dtype == DType::Key {
            return fail("E0310", self.span, "keys cannot be padded");
        }
        self.check_edge(ty.shape[axis], low.max(high), edge)?;
        let mut shape = ty.shape.clone();
        shape[axis] = shape[axis].saturating_add(low).saturating_add(high);
        self.check_size(&shape, ty.dtype)?;
        let x = self.var(x)?;
        let var = extend(self.builder(), x, axis, (low, high), edge);
        Ok(Value::Var { level: self.level(), var })
    }

    /// `roll(x, by)`: element i moves to i + by, round the end. `by` may be computed.
    pub(crate) fn roll(&mut self, x: &Value, by: &Value, axis: usize) -> Res<Value> {
        let shape = self.shape(x)?;
        let n = shape[axis];
        if n == 0 {
            return Ok(x.clone());
        }
        if let Value::Int(by) = by {
            let by = by.rem_euclid(n as i64) as usize;
            if by == 0 {
                return Ok(x.clone());
            }
            let ones = vec![1; shape.len()];
            let (mut start, mut stop) = (vec![0; shape.len()], shape.clone());
            stop[axis] = n - by;
            let head =
                self.op(Op::Slice { start: start.clone(), stop, stride: ones.clone() }, std::slice::from_ref(x))?;
            start[axis] = n - by;
            let tail = self.op(Op::Slice { start, stop: shape, stride: ones }, std::slice::from_ref(x))?;
            return self.op(Op::Concat { axis }, &[tail, head]);
        }
        let ty = self.ty(by)?;
        if ty != Type::scalar(DType::I64) {
            return fail("E0310", self.span, format!("an array is rolled by an int, found {}", self.show(by)));
        }
        let places = self.op(Op::Iota { shape: vec![n], axis: 0 }, &[])?;
        let from = self.binary(BinaryOp::Sub, &places, by)?;
        let from = self.binary(BinaryOp::Mod, &from, &Value::Int(n as i64))?;
        self.take_along(x, axis, &from)
    }

    /// The elements at an int vector's indices along one axis.
    pub(crate) fn take_along(&mut self, x: &Value, axis: usize, indices: &Value) -> Res<Value> {
        let rank = self.shape(x)?.len();
        let mut perm = vec![axis];
        perm.extend((0..rank).filter(|&i| i != axis));
        let first = self.permute(x, &perm)?;
        let taken = self.op(Op::Gather, &[first, indices.clone()])?;
        let mut back: Vec<usize> = (1..rank).collect();
        back.insert(axis, 0);
        self.permute(&taken, &back)
    }

    /// A named way to go on beyond the edge. `None` for `none`.
    pub(crate) fn edge_of(&self, value: Option<&Value>, none: &str, zero: &str) -> Res<Option<Edge>> {
        let text = match value {
            None => return Ok(if none.is_empty() { Some(Edge::Zero) } else { None }),
            Some(Value::Str(text)) => text,
            Some(other) => {
                return fail("E0310", self.span, format!("a padding is named by a string, found {}", other.describe()));
            }
        };
        match &**text {
            text if !none.is_empty() && text == none => Ok(None),
            text if text == zero => Ok(Some(Edge::Zero)),
            "circular" => Ok(Some(Edge::Circular)),
            "reflect" => Ok(Some(Edge::Reflect)),
            "symmetric" => Ok(Some(Edge::Symmetric)),
            other => {
                let first = if none.is_empty() { String::new() } else { format!("\"{none}\", ") };
                Err(Box::new(
                    Diagnostic::error("E0413", self.span, format!("there is no padding \"{other}\""))
                        .help(format!("there are {first}\"{zero}\", \"circular\", \"reflect\" and \"symmetric\"")),
                ))
            }
        }
    }

    /// One number for both axes, or one for each; at least 1.
    pub(crate) fn steps_of(&mut self, value: Option<&Value>, axes: usize, what: &str) -> Res<[usize; 2]> {
        let numbers: Vec<i64> = match value {
            None => vec![1],
            Some(Value::Tensor(t)) if t.dtype() == DType::I64 && t.shape().len() == 1 => t.as_slice::<i64>().to_vec(),
            Some(Value::Tuple(items)) => {
                items.iter().map(|item| static_int(item, self.span, what)).collect::<Res<_>>()?
            }
            Some(other) => vec![static_int(other, self.span, what)?],
        };
        let pair = match numbers[..] {
            [n] if axes == 2 => [n, n],
            [n] => [1, n],
            [a, b] if axes == 2 => [a, b],
            _ => {
                let count = numbers.len();
                return fail(
                    "E0413",
                    self.span,
                    format!("{what} is one number, or one for each of {axes} axes, not {count}"),
                );
            }
        };
        if let Some(n) = pair.iter().find(|&&n| n < 1) {
            return fail("E0413", self.span, format!("{what} is at least 1, this one is {n}"));
        }
        Ok(pair.map(|n| n as usize))
    }
}

/// The shape of a stack of images or kernels with all four axes.
fn stack(shape: &[usize], axes: usize, form: Form, image: bool) -> [usize; 4] {
    let (front, extents) = shape.split_at(shape.len() - axes);
    let mut to = [1; 4];
    to[4 - axes..].copy_from_slice(extents);
    match (form, front) {
        // The channels of one image, or several images of one channel.
        (Form::Channels, [c]) if image => to[1] = *c,
        (Form::Sum, [c]) => to[1] = *c,
        (Form::Channels, [o, c]) => (to[0], to[1]) = (*o, *c),
        (_, [n]) => to[0] = *n,
        _ => {}
    }
    to
}

fn extents_text(extents: &[usize]) -> String {
    extents.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}
