//! What the meanings of the primitives have in common: taking operands, mapping elements, strided copies.

use crate::ir::graph::Op;
use dp_runtime::fault::FaultKind;
use dp_runtime::tensor::{Element, Tensor};

/// What the meaning of a primitive gives.
pub type Values = Result<Vec<Tensor>, FaultKind>;

/// Runs `$body` with `$T` standing for the element type of kind `$dtype`.
macro_rules! by_kind {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            ::dp_runtime::tensor::DType::F32 => {
                type $T = f32;
                $body
            }
            ::dp_runtime::tensor::DType::F64 => {
                type $T = f64;
                $body
            }
            ::dp_runtime::tensor::DType::I64 => {
                type $T = i64;
                $body
            }
            ::dp_runtime::tensor::DType::Bool => {
                type $T = bool;
                $body
            }
            ::dp_runtime::tensor::DType::Key => {
                type $T = u64;
                $body
            }
        }
    };
}
pub(crate) use by_kind;

/// The operands of an operation that takes `N`.
pub fn take<const N: usize>(args: Vec<Tensor>) -> [Tensor; N] {
    let found = args.len();
    <[Tensor; N]>::try_from(args).unwrap_or_else(|_| panic!("internal error: {found} operands where {N} are taken"))
}

/// An operation met an element kind that its type rule refuses.
pub fn wrong_kind(op: &Op) -> ! {
    panic!("internal error: {op:?} on elements that its type rule refuses")
}

/// Applies a function to each element, in place where nobody shares them.
pub fn map<T: Element>(x: Tensor, f: impl Fn(T) -> T) -> Tensor {
    let shape = x.shape().to_vec();
    let mut data = x.into_vec::<T>();
    data.iter_mut().for_each(|v| *v = f(*v));
    Tensor::from_vec(&shape, data)
}

/// Applies a function to each pair of elements, in place where nobody shares the first.
pub fn zip<T: Element>(a: Tensor, b: &Tensor, f: impl Fn(T, T) -> T) -> Tensor {
    let shape = a.shape().to_vec();
    let mut data = a.into_vec::<T>();
    data.iter_mut().zip(b.as_slice::<T>()).for_each(|(v, &w)| *v = f(*v, w));
    Tensor::from_vec(&shape, data)
}

/// Applies a function to each pair of elements, to elements of another kind.
pub fn zip_to<T: Element, R: Element>(a: &Tensor, b: &Tensor, f: impl Fn(T, T) -> R) -> Tensor {
    let data = a.as_slice::<T>().iter().zip(b.as_slice::<T>()).map(|(&v, &w)| f(v, w)).collect();
    Tensor::from_vec(a.shape(), data)
}

/// The row-major strides of a shape.
pub fn strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

/// Positions `offset + sum of i[axis] * strides[axis]` for all indices i of a shape in row-major order, as runs
/// `(start, length, stride)`.
pub fn for_runs(shape: &[usize], strides: &[isize], offset: isize, mut run: impl FnMut(isize, usize, isize)) {
    if shape.contains(&0) {
        return;
    }
    // Neighbouring axes that step alike are one longer axis.
    let mut axes: Vec<(usize, isize)> = Vec::with_capacity(shape.len());
    for (&n, &stride) in shape.iter().zip(strides) {
        if n == 1 {
            continue;
        }
        match axes.last_mut() {
            Some((outer, step)) if *step == stride * n as isize => {
                *outer *= n;
                *step = stride;
            }
            Some(_) | None => axes.push((n, stride)),
        }
    }
    let (n, stride) = axes.pop().unwrap_or((1, 1));
    let mut index = vec![0; axes.len()];
    let mut start = offset;
    loop {
        run(start, n, stride);
        let mut axis = axes.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            start += axes[axis].1;
            if index[axis] < axes[axis].0 {
                break;
            }
            start -= axes[axis].1 * axes[axis].0 as isize;
            index[axis] = 0;
        }
    }
}

/// The elements at the positions of `for_runs`, in its order.
pub fn read<T: Element>(data: &[T], shape: &[usize], strides: &[isize], offset: isize) -> Vec<T> {
    let mut result = Vec::with_capacity(shape.iter().product());
    for_runs(shape, strides, offset, |start, n, stride| match stride {
        0 => result.resize(result.len() + n, data[start as usize]),
        1 => result.extend_from_slice(&data[start as usize..start as usize + n]),
        _ => result.extend((0..n as isize).map(|i| data[(start + i * stride) as usize])),
    });
    result
}

/// `read`, for a tensor of any kind.
pub fn view(x: &Tensor, shape: &[usize], strides: &[isize], offset: isize) -> Tensor {
    by_kind!(x.dtype(), T => Tensor::from_vec(shape, read(x.as_slice::<T>(), shape, strides, offset)))
}

/// The sizes before, along and after an axis.
pub fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    (shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product())
}

/// `stack` with row `k` replaced, in place where nobody shares it.
pub fn set_row(stack: Tensor, k: usize, row: &Tensor) -> Tensor {
    let shape = stack.shape().to_vec();
    let n = row.len();
    by_kind!(stack.dtype(), T => {
        let mut data = stack.into_vec::<T>();
        data[k * n..(k + 1) * n].copy_from_slice(row.as_slice::<T>());
        Tensor::from_vec(&shape, data)
    })
}

/// Row `k` along the first axis.
pub fn get_row(stack: &Tensor, k: usize) -> Tensor {
    let shape = &stack.shape()[1..];
    let n: usize = shape.iter().product();
    by_kind!(stack.dtype(), T => Tensor::from_vec(shape, stack.as_slice::<T>()[k * n..(k + 1) * n].to_vec()))
}
