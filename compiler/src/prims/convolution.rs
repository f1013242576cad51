//! Convolution.

use super::sample::{Rng, Use};
use super::shape::{self, Rule};
use super::value::{Values, take, wrong_kind};
use super::{Family, Prim};
use crate::ir::graph::{Op, Type};
use dp_runtime::kernels::DOT_BLOCK;
use dp_runtime::kernels::conv::Window;
use dp_runtime::tensor::{DType, Tensor};

pub static CONV: Prim = Prim {
    name: "conv",
    doc: "`[B..., N, C, H, W] x [B..., O, C, P, Q] -> [B..., N, O, Y, X]` with `batch` leading axes in common, on floats.\nEach element sums over \
          the taps (c, t, u) of the kernel in blocks of 512, each one chain of fused multiply-adds;\na tap that meets no element takes no part. \
          The kernel is not flipped.",
    family: Family::Product,
    plain: None,
    result: conv,
    eval: eval_conv,
    sample: sample_conv,
    special: special_conv,
};

fn conv(op: &Op, args: &[&Type]) -> Rule {
    let Op::Conv { batch, window } = op else { shape::wrong_row(op) };
    let [x, k] = shape::arity(args)?;
    shape::float(x)?;
    let fits = x.dtype == k.dtype
        && x.rank() == batch + 4
        && k.rank() == batch + 4
        && x.shape[..*batch] == k.shape[..*batch]
        && x.shape[batch + 1] == k.shape[batch + 1];
    shape::require(fits, || format!("cannot convolve {x} and {k} with {batch} axes in common"))?;
    for axis in 0..2 {
        let steps = [window.stride[axis], window.dilation[axis], window.spread[axis]];
        shape::require(!steps.contains(&0), || "takes strides, dilations and spreads of at least 1".to_string())?;
        // Every place that is computed must be a number, also in the transposes.
        let reach = |n: usize, step: usize| n.checked_mul(step);
        let furthest = [
            reach(window.size[axis], window.stride[axis]),
            reach(k.shape[batch + 2 + axis], window.dilation[axis]),
            reach(x.shape[batch + 2 + axis], window.spread[axis]),
            Some(window.low[axis].unsigned_abs()),
        ];
        let sum = furthest.into_iter().try_fold(0usize, |sum, n| sum.checked_add(n?));
        shape::require(sum.is_some_and(|sum| sum < isize::MAX as usize / 4), || {
            "reaches further than can be counted".to_string()
        })?;
    }
    let mut result = x.shape[..=*batch].to_vec();
    result.push(k.shape[*batch]);
    result.extend(window.size);
    shape::one(x.dtype, result)
}

fn eval_conv(op: &Op, args: Vec<Tensor>) -> Values {
    let Op::Conv { batch, window } = op else { shape::wrong_row(op) };
    let [x, k] = take(args);
    let count: usize = x.shape()[..*batch].iter().product();
    let [n, c, h, w] = std::array::from_fn(|i| x.shape()[batch + i]);
    let [o, _, p, q] = std::array::from_fn(|i| k.shape()[batch + i]);
    let mut to = x.shape()[..=*batch].to_vec();
    to.push(o);
    to.extend(window.size);
    // For each result on an axis the taps that meet an element, and the elements.
    let taps = |axis: usize, taps: usize, n: usize| -> Vec<Vec<(usize, usize)>> {
        let of = |y| (0..taps).filter_map(|t| Some((t, window.source(axis, y, t, n)?))).collect();
        (0..window.size[axis]).map(of).collect()
    };
    let (rows, columns) = (taps(0, p, h), taps(1, q, w));
    macro_rules! convolve {
        ($T:ty) => {{
            let (x, k) = (x.as_slice::<$T>(), k.as_slice::<$T>());
            let mut result: Vec<$T> = Vec::with_capacity(to.iter().product());
            for place in 0..count * n * o {
                let (image, kernel) = (place / o, place / o / n * o + place % o);
                let (x, k) = (&x[image * c * h * w..][..c * h * w], &k[kernel * c * p * q..][..c * p * q]);
                for rows in &rows {
                    for columns in &columns {
                        result.push(chain::<$T>(c, (h, w, x), (p, q, k), rows, columns));
                    }
                }
            }
            Tensor::from_vec(&to, result)
        }};
    }
    Ok(vec![match x {
        Tensor::F32(_) => convolve!(f32),
        Tensor::F64(_) => convolve!(f64),
        Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
    }])
}

/// A float that multiplies and adds with one rounding.
trait Fused: Copy + std::ops::Add<Output = Self> + Default {
    fn fused(self, b: Self, c: Self) -> Self;
}

impl Fused for f32 {
    fn fused(self, b: f32, c: f32) -> f32 {
        self.mul_add(b, c)
    }
}

impl Fused for f64 {
    fn fused(self, b: f64, c: f64) -> f64 {
        self.mul_add(b, c)
    }
}

/// One element.
fn chain<T: Fused>(
    c: usize,
    (h, w, x): (usize, usize, &[T]),
    (p, q, k): (usize, usize, &[T]),
    rows: &[(usize, usize)],
    columns: &[(usize, usize)],
) -> T {
    let (mut total, mut sum, mut block) = (T::default(), T::default(), 0);
    let mut close = |sum: &mut T, block: usize| {
        total = if block == 0 { *sum } else { total + *sum };
        *sum = T::default();
        total
    };
    for channel in 0..c {
        for &(t, i) in rows {
            for &(u, j) in columns {
                let tap = (channel * p + t) * q + u;
                while block < tap / DOT_BLOCK {
                    close(&mut sum, block);
                    block += 1;
                }
                sum = x[(channel * h + i) * w + j].fused(k[tap], sum);
            }
        }
    }
    let blocks = (c * p * q).div_ceil(DOT_BLOCK).max(1);
    while block + 1 < blocks {
        close(&mut sum, block);
        block += 1;
    }
    close(&mut sum, block)
}

fn sample_conv(rng: &mut Rng) -> Use {
    let batch = rng.below(2);
    let common = rng.shape(batch);
    let [n, c, o] = std::array::from_fn(|_| rng.range(1, 3));
    let [h, w] = std::array::from_fn(|_| rng.range(1, 6));
    let [p, q] = std::array::from_fn(|_| rng.range(1, 4));
    let mut pair = |below: usize| std::array::from_fn(|_| rng.range(1, below));
    let (stride, dilation, spread, size) = (pair(3), pair(3), pair(3), pair(6));
    let low = std::array::from_fn(|_| rng.below(5) as isize - 1);
    let dtype = rng.float_kind();
    let x = rng.tensor(dtype, &[&common[..], &[n, c, h, w]].concat());
    let k = rng.tensor(dtype, &[&common[..], &[o, c, p, q]].concat());
    (Op::Conv { batch, window: Window { stride, dilation, spread, low, size } }, vec![x, k])
}

/// A step that does not divide, taps that meet nothing, more than a block of taps, infinities beside the edge, and nothing.
fn special_conv() -> Vec<Use> {
    let mut rng = Rng::new(17);
    let mut uses = Vec::new();
    let window = |step: usize, low: isize, size: [usize; 2]| Window {
        stride: [step; 2],
        dilation: [1; 2],
        spread: [1; 2],
        low: [low; 2],
        size,
    };
    let cases = [
        ([1, 1, 8, 9], [1, 1, 3, 3], window(2, 0, [3, 4])),
        ([1, 1, 8, 40], [5, 1, 3, 3], window(1, 1, [8, 40])),
        ([2, 3, 6, 6], [9, 3, 3, 3], window(1, 1, [6, 6])),
        ([1, 2, 3, 3], [2, 2, 2, 2], window(1, 9, [3, 3])),
        ([1, 2, 3, 3], [2, 2, 2, 2], window(1, -9, [3, 3])),
        ([1, 70, 3, 3], [2, 70, 3, 3], window(1, 1, [3, 3])),
        ([1, 0, 3, 3], [2, 0, 2, 2], window(1, 0, [2, 2])),
        ([0, 1, 3, 3], [2, 1, 2, 2], window(1, 0, [2, 2])),
        ([1, 1, 3, 3], [0, 1, 2, 2], window(1, 0, [2, 2])),
        ([1, 1, 3, 3], [1, 1, 2, 2], window(1, 0, [0, 2])),
        ([1, 1, 0, 3], [1, 1, 2, 2], window(1, 1, [2, 2])),
        ([1, 1, 3, 3], [1, 1, 0, 0], window(1, 0, [2, 2])),
    ];
    for dtype in [DType::F32, DType::F64] {
        for (x, k, window) in cases {
            uses.push((Op::Conv { batch: 0, window }, vec![rng.tensor(dtype, &x), rng.tensor(dtype, &k)]));
        }
        let edge = Tensor::from_vec(&[1, 1, 1, 3], vec![0.0, f64::INFINITY, -1e-300]).convert(dtype);
        let kernel = Tensor::from_vec(&[1, 1, 1, 3], vec![f64::NAN, 1e-300, 0.0]).convert(dtype);
        let row = Window { low: [0, 2], size: [1, 5], ..window(1, 0, [1, 1]) };
        uses.push((Op::Conv { batch: 0, window: row }, vec![edge, kernel]));
    }
    uses
}
