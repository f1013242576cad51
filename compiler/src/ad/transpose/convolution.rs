//! The transposes of a convolution are convolutions.

use super::At;
use super::rules::{one_linear, operand_type};
use crate::ir::builder::Builder;
use crate::ir::graph::{Op, Var};
use dp_runtime::kernels::conv::Window;

/// Hands the cotangent of a convolution to its linear operand.
///
/// With i the input's places, y the result's and t the taps' on one axis, each of the three is
/// `i * spread = y * stride + t * dilation - low`, and y is summed where ct is the input or the kernel:
/// for the input `y * stride = i * spread + t' * dilation - ((T - 1) * dilation - low)` with taps `t' = T - 1 - t` in the
/// opposite order; for the kernel `i * spread = t * dilation + y * stride - low`, ct being the kernel, or, as the
/// same with the places of the taps in the opposite order, `y * stride = t' * dilation + i * spread - ((T - 1) * dilation - low)`,
/// the input being the kernel. The one with more channels becomes the kernel: its channels go side by side.
pub fn transpose_conv(at: &mut At, batch: usize, window: &Window, ct: Var) {
    let linear = one_linear(at);
    let ty = operand_type(at, linear);
    let size = [ty.shape[batch + 2], ty.shape[batch + 3]];
    let other = at.known(1 - linear);
    let result = if linear == 0 {
        let taps = [0, 1].map(|axis| at.b.shape(other)[batch + 2 + axis] as isize);
        let low = [0, 1].map(|axis| (taps[axis] - 1) * window.dilation[axis] as isize - window.low[axis]);
        let kernel = at.b.op(Op::Reverse { axes: vec![batch + 2, batch + 3] }, &[other]);
        let kernel = swapped(at.b, kernel, batch);
        let window = Window { stride: window.spread, dilation: window.dilation, spread: window.stride, low, size };
        at.b.op(Op::Conv { batch, window }, &[ct, kernel])
    } else if ty.shape[batch] < ty.shape[batch + 1] {
        let images = swapped(at.b, ct, batch);
        let kernel = swapped(at.b, other, batch);
        let low = [0, 1].map(|axis| (size[axis] as isize - 1) * window.dilation[axis] as isize - window.low[axis]);
        let window = Window { stride: window.dilation, dilation: window.spread, spread: window.stride, low, size };
        let turned = at.b.op(Op::Conv { batch, window }, &[images, kernel]);
        at.b.op(Op::Reverse { axes: vec![batch + 2, batch + 3] }, &[turned])
    } else {
        // Images take the place of channels: they are summed.
        let images = swapped(at.b, other, batch);
        let kernel = swapped(at.b, ct, batch);
        let window = Window { stride: window.dilation, dilation: window.stride, size, ..*window };
        let turned = at.b.op(Op::Conv { batch, window }, &[images, kernel]);
        swapped(at.b, turned, batch)
    };
    at.give(linear, result);
}

/// Swaps the two axes after the common ones.
fn swapped(b: &mut Builder, x: Var, batch: usize) -> Var {
    let mut perm: Vec<usize> = (0..b.ty(x).rank()).collect();
    perm.swap(batch, batch + 1);
    b.permute(x, &perm)
}
