//! Gather, scatter and update by index arrays. Every index is checked. Safety: see `kernels`.

use super::Layout;
use super::walk::{try_walk, walk};
use crate::fault::FaultKind;

/// The most index arrays of one access: the rank of the indexed array is at least this.
pub const MAX_INDICES: usize = 16;

/// What indexing does to an element of the indexed array `x` and one of the other operand `u`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Access {
    /// u = x
    Read,
    /// x = x + u
    Add,
    /// x = u
    Write,
}

/// For each position of the index arrays, in row-major order, applies `access` to the named part of `x` and the
/// part of `u` at that position. `u` has the shape of the index arrays, then the rest of `x`.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn access<T: Copy>(
    access: Access,
    x: (*mut T, &Layout),
    u: (*mut T, &Layout),
    indices: &[(*const i64, &Layout)],
    add: impl Fn(T, T) -> T,
) -> Result<(), FaultKind> {
    let n = indices.len();
    let index_shape: &[usize] = match indices.first() {
        Some((_, layout)) => &layout.shape,
        None => &[],
    };
    let rest = &x.1.shape[n..];
    let (x_rest, u_rest) = (&x.1.strides[n..], &u.1.strides[index_shape.len()..]);
    let contiguous = super::is_standard(rest, x_rest) && super::is_standard(rest, u_rest);
    let rest_len: usize = rest.iter().product();
    let part = |xo: isize, uo: isize| unsafe {
        let apply = |xo: isize, uo: isize| match access {
            Access::Read => *u.0.offset(uo) = *x.0.offset(xo),
            Access::Add => *x.0.offset(xo) = add(*x.0.offset(xo), *u.0.offset(uo)),
            Access::Write => *x.0.offset(xo) = *u.0.offset(uo),
        };
        if contiguous {
            for i in 0..rest_len as isize {
                apply(xo + i, uo + i);
            }
        } else {
            walk(rest, [x_rest, u_rest], [xo, uo], &mut |[xo, uo]| apply(xo, uo));
        }
    };
    let step =
        |offset: isize, indices: &[(*const i64, &Layout)], at: &dyn Fn(usize) -> isize| -> Result<(), FaultKind> {
            let mut xo = 0;
            for (axis, (ptr, _)) in indices.iter().enumerate() {
                let index = unsafe { *ptr.offset(at(axis)) };
                let size = x.1.shape[axis];
                if index < 0 || index as u64 >= size as u64 {
                    return Err(FaultKind::IndexOutOfRange { index, size, axis });
                }
                xo += index as isize * x.1.strides[axis];
            }
            part(xo, offset);
            Ok(())
        };
    let u_steps = &u.1.strides[..index_shape.len()];
    match indices {
        [] => part(0, 0),
        [a] => try_walk(index_shape, [u_steps, &a.1.strides], [0; 2], &mut |[o, i]| step(o, indices, &|_| i))?,
        [a, b] => try_walk(index_shape, [u_steps, &a.1.strides, &b.1.strides], [0; 3], &mut |[o, i, j]| {
            step(o, indices, &|axis| if axis == 0 { i } else { j })
        })?,
        _ => positions(index_shape, u_steps, indices, 0, 0, [0; MAX_INDICES], &mut |o, at| {
            step(o, indices, &|axis| at[axis])
        })?,
    }
    Ok(())
}

/// Visits the positions of index arrays in row-major order: with the offset in `u`, and in each index array. Index
/// arrays of high rank are rare.
fn positions(
    shape: &[usize],
    u_steps: &[isize],
    indices: &[(*const i64, &Layout)],
    axis: usize,
    offset: isize,
    at: [isize; MAX_INDICES],
    f: &mut impl FnMut(isize, &[isize; MAX_INDICES]) -> Result<(), FaultKind>,
) -> Result<(), FaultKind> {
    if axis == shape.len() {
        return f(offset, &at);
    }
    let (mut offset, mut at) = (offset, at);
    for _ in 0..shape[axis] {
        positions(shape, u_steps, indices, axis + 1, offset, at, f)?;
        offset += u_steps[axis];
        for (at, (_, layout)) in at.iter_mut().zip(indices) {
            *at += layout.strides[axis];
        }
    }
    Ok(())
}
