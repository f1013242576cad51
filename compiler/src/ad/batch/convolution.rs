//! Convolutions of many lanes.

use super::{Batching, Value};
use crate::ir::builder::Builder;
use crate::ir::graph::{Op, Var};
use dp_runtime::kernels::conv::Window;

/// Lanes become images where the kernel is the same in all of them, channels of the result where the images are.
pub fn conv(cx: &mut Batching, batch: usize, window: &Window, args: &[Value]) -> Var {
    let lanes = cx.size;
    match (args[0], args[1]) {
        (images, Value::Same(kernel)) => {
            let images = cx.mapped(images);
            let images = joined(&mut cx.b, images, batch);
            let result = cx.b.op(Op::Conv { batch, window: *window }, &[images, kernel]);
            apart(&mut cx.b, result, batch, lanes)
        }
        (Value::Same(images), kernel) => {
            let kernel = cx.mapped(kernel);
            let kernel = joined(&mut cx.b, kernel, batch);
            let result = cx.b.op(Op::Conv { batch, window: *window }, &[images, kernel]);
            apart(&mut cx.b, result, batch + 1, lanes)
        }
        (images, kernel) => {
            let images = cx.mapped(images);
            let kernel = cx.mapped(kernel);
            cx.b.op(Op::Conv { batch: batch + 1, window: *window }, &[images, kernel])
        }
    }
}

/// Moves the leading axis behind `to` others and merges it with the next.
fn joined(b: &mut Builder, x: Var, to: usize) -> Var {
    let mut perm: Vec<usize> = (1..=to).chain([0]).collect();
    perm.extend(to + 1..b.ty(x).rank());
    let x = b.permute(x, &perm);
    let mut shape = b.shape(x).to_vec();
    let lanes = shape.remove(to);
    shape[to] *= lanes;
    b.reshape(x, &shape)
}

/// Splits axis `from` into lanes and the rest, and moves the lanes to the front.
fn apart(b: &mut Builder, x: Var, from: usize, lanes: usize) -> Var {
    let mut shape = b.shape(x).to_vec();
    shape[from] = shape[from].checked_div(lanes).unwrap_or(0);
    shape.insert(from, lanes);
    let x = b.reshape(x, &shape);
    let mut perm = vec![from];
    perm.extend((0..shape.len()).filter(|&axis| axis != from));
    b.permute(x, &perm)
}
