//! Windows over the last two axes: pooling and resizing.

use super::value::Value;
use super::{Ctx, Res, fail};
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::ir::graph::Op;
use crate::syntax::ast::BinaryOp;
use dp_runtime::tensor::Tensor;

impl Ctx<'_> {
    /// `pool_max`, `pool_mean`: over windows of `p[0] x p[1]` that start `stride` apart and lie inside.
    pub(crate) fn pool(&mut self, builtin: Builtin, x: &Value, p: [usize; 2], stride: [usize; 2]) -> Res<Value> {
        let x = if builtin == Builtin::PoolMean { self.to_real(x)? } else { x.clone() };
        let shape = self.image_shape(&x)?;
        let lead = shape.len() - 2;
        let mut count = [0; 2];
        for axis in 0..2 {
            let n = shape[lead + axis];
            let Some(rest) = n.checked_sub(p[axis]) else {
                let message = format!("a window of {} does not fit into {n} elements", p[axis]);
                return fail("E0413", self.span, message);
            };
            count[axis] = rest / stride[axis] + 1;
        }
        let (windows, axes) = if stride == p {
            // Windows side by side are axes of their own.
            let mut stop = shape.clone();
            let mut split = shape[..lead].to_vec();
            for axis in 0..2 {
                stop[lead + axis] = count[axis] * p[axis];
                split.extend([count[axis], p[axis]]);
            }
            let whole = Op::Slice { start: vec![0; shape.len()], stop: stop.clone(), stride: vec![1; shape.len()] };
            let x = if stop == shape { x } else { self.op(whole, &[x])? };
            (self.reshape(&x, &split)?, vec![lead + 1, lead + 3])
        } else {
            let mut part = shape[..lead].to_vec();
            part.extend(count);
            let mut stack = vec![p[0].saturating_mul(p[1])];
            stack.extend(&part);
            let dtype = self.ty(&x)?.dtype;
            self.check_size(&stack, dtype)?;
            let mut parts = Vec::new();
            for place in 0..p[0] * p[1] {
                let at = [place / p[1], place % p[1]];
                let (mut start, mut stop, mut step) = (vec![0; shape.len()], shape.clone(), vec![1; shape.len()]);
                for axis in 0..2 {
                    start[lead + axis] = at[axis];
                    stop[lead + axis] = at[axis] + (count[axis] - 1) * stride[axis] + 1;
                    step[lead + axis] = stride[axis];
                }
                let slice = self.op(Op::Slice { start, stop, stride: step }, std::slice::from_ref(&x))?;
                let mut row = vec![1];
                row.extend(&part);
                parts.push(self.reshape(&slice, &row)?);
            }
            (self.op(Op::Concat { axis: 0 }, &parts)?, vec![0])
        };
        match builtin {
            Builtin::PoolMean => self.reduce(Builtin::Mean, &windows, Some(&axes)),
            _ => self.reduce(Builtin::Max, &windows, Some(&axes)),
        }
    }

    /// `pool_top`: the image with the `keep` elements of largest size in each of the windows that tile it, and 0 elsewhere.
    pub(crate) fn pool_top(&mut self, x: &Value, p: [usize; 2], keep: usize) -> Res<Value> {
        let x = self.to_real(x)?;
        let shape = self.image_shape(&x)?;
        let lead = shape.len() - 2;
        let mut split = shape[..lead].to_vec();
        for axis in 0..2 {
            let n = shape[lead + axis];
            if !n.is_multiple_of(p[axis]) {
                return Err(Box::new(
                    Diagnostic::error("E0413", self.span, format!("windows of {} do not tile {n} elements", p[axis]))
                        .help("`pad` adds elements, a slice takes some away"),
                ));
            }
            split.extend([n / p[axis], p[axis]]);
        }
        let tiles = self.reshape(&x, &split)?;
        let mut perm: Vec<usize> = (0..lead).collect();
        perm.extend([lead, lead + 2, lead + 1, lead + 3]);
        let tiles = self.permute(&tiles, &perm)?;
        let apart = self.shape(&tiles)?;
        let mut rows = apart[..lead + 2].to_vec();
        rows.push(p[0] * p[1]);
        let rows = self.reshape(&tiles, &rows)?;
        let kept = self.keep_top(&rows, keep)?;
        let kept = self.reshape(&kept, &apart)?;
        // The exchange of two axes undoes itself.
        let kept = self.permute(&kept, &perm)?;
        self.reshape(&kept, &shape)
    }

    /// `keep_top`: along the last axis the `keep` elements of largest size, 0 for the others. Of equal ones the first are
    /// kept; a NaN counts as largest, so that it is not lost.
    pub(crate) fn keep_top(&mut self, x: &Value, keep: usize) -> Res<Value> {
        let x = self.to_real(x)?;
        let shape = self.shape(&x)?;
        let Some(last) = shape.len().checked_sub(1) else {
            return fail("E0407", self.span, "this function works along an axis; its argument is a scalar");
        };
        let n = shape[last];
        if keep >= n {
            return Ok(x);
        }
        let size = self.op(Op::Abs, std::slice::from_ref(&x))?;
        let size = self.op(Op::StopGradient, &[size])?;
        let backward = self.op(Op::Reverse { axes: vec![last] }, &[size])?;
        let order = self.emit(Op::Sort, &[backward])?.swap_remove(1);
        let ranks = self.emit(Op::Sort, &[order])?.swap_remove(1);
        let ranks = self.op(Op::Reverse { axes: vec![last] }, &[ranks])?;
        let dropped = self.elementwise(Op::Lt, &ranks, &Value::Int((n - keep) as i64), "`keep_top`")?;
        let zero = self.real_const(0.0);
        let zero = self.broadcast_to(&zero, &shape)?;
        self.op(Op::Select, &[dropped, zero, x])
    }

    /// `top_k`: the `k` largest along the last axis, in descending order, and where they are. Of equal ones the first
    /// come first; a NaN counts as largest.
    pub(crate) fn top_k(&mut self, x: &Value, k: usize) -> Res<Value> {
        let shape = self.shape(x)?;
        let Some(last) = shape.len().checked_sub(1) else {
            return fail("E0407", self.span, "this function works along an axis; its argument is a scalar");
        };
        let n = shape[last];
        if k > n {
            return fail("E0408", self.span, format!("the {k} largest of {n} elements are wanted"));
        }
        let backward = self.op(Op::Reverse { axes: vec![last] }, std::slice::from_ref(x))?;
        let sorted = self.emit(Op::Sort, &[backward])?;
        let mut start = vec![0; shape.len()];
        start[last] = n - k;
        let mut both = Vec::new();
        for part in sorted {
            let slice = Op::Slice { start: start.clone(), stop: shape.clone(), stride: vec![1; shape.len()] };
            let part = self.op(slice, &[part])?;
            both.push(self.op(Op::Reverse { axes: vec![last] }, &[part])?);
        }
        let places = self.binary(BinaryOp::Sub, &Value::Int(n as i64 - 1), &both[1])?;
        Ok(Value::tuple(vec![both.swap_remove(0), places]))
    }

    /// `resize2`: other extents of the last two axes. Pixels are squares whose centres lie half a pixel inside the edge; the
    /// whole is stretched. `nearest` takes the pixel under the new centre, otherwise the four around it are interpolated.
    pub(crate) fn resize(&mut self, x: &Value, to: [usize; 2], nearest: bool) -> Res<Value> {
        let mut x = if nearest { x.clone() } else { self.to_real(x)? };
        let shape = self.image_shape(&x)?;
        let mut whole = shape[..shape.len() - 2].to_vec();
        whole.extend(to);
        let dtype = self.ty(&x)?.dtype;
        self.check_size(&whole, dtype)?;
        for axis in 0..2 {
            let (n, m) = (shape[shape.len() - 2 + axis], to[axis]);
            if n == m {
                continue;
            }
            if n == 0 {
                return fail("E0408", self.span, "an image without pixels cannot be resized");
            }
            x = self.resize_axis(&x, shape.len() - 2 + axis, n, m, nearest)?;
        }
        Ok(x)
    }

    fn resize_axis(&mut self, x: &Value, axis: usize, n: usize, m: usize, nearest: bool) -> Res<Value> {
        let ints = |list: Vec<i64>| Value::Tensor(Tensor::from_vec(&[m], list));
        // The new centre (i + 1/2) n / m - 1/2 in units of 1 / (2 m).
        let (wide, m) = (2 * m as i128, m as i128);
        if nearest {
            let at = |i: i128| ((2 * i + 1) * n as i128 / wide) as i64;
            return self.take_along(x, axis, &ints((0..m).map(at).collect()));
        }
        let place = |i: i128| ((2 * i + 1) * n as i128 - m).clamp(0, wide * (n as i128 - 1));
        let low: Vec<i64> = (0..m).map(|i| (place(i) / wide) as i64).collect();
        // Where the centres meet, the neighbour takes no part.
        let high = (0..m).map(|i| (place(i) / wide + i128::from(place(i) % wide != 0)) as i64).collect();
        let share: Vec<f64> = (0..m).map(|i| (place(i) % wide) as f64 / wide as f64).collect();
        let a = self.take_along(x, axis, &ints(low))?;
        let b = self.take_along(x, axis, &ints(high))?;
        let shape = self.shape(&a)?;
        let share = Value::Tensor(Tensor::from_vec(&[m as usize], share).convert(self.real()));
        let share = self.op(Op::Broadcast { shape, axes: vec![axis] }, &[share])?;
        let step = self.op(Op::Sub, &[b, a.clone()])?;
        let part = self.op(Op::Mul, &[share, step])?;
        self.op(Op::Add, &[a, part])
    }

    /// The shape of an image, of at least two axes.
    fn image_shape(&self, x: &Value) -> Res<Vec<usize>> {
        let shape = self.shape(x)?;
        if shape.len() < 2 {
            return fail("E0413", self.span, format!("an image has two axes or more, found {}", self.show(x)));
        }
        Ok(shape)
    }
}
