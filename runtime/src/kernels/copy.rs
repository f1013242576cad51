//! Strided copies. Safety: see `kernels`.

use super::walk::walk;

/// Side of the square tiles in which a transposing copy goes.
const TILE: usize = 16;

/// Copies `src` to `dst`, both of `shape`. For speed the axes should be collapsed (`walk::collapse`), and where the last
/// one is not contiguous in the source, the one that is should stand before it.
///
/// # Safety
/// As in `kernels`. `src` and `dst` do not overlap, or are the same view.
pub unsafe fn copy<T: Copy>(shape: &[usize], src: *const T, src_strides: &[isize], dst: *mut T, dst_strides: &[isize]) {
    if shape.contains(&0) {
        return;
    }
    let rank = shape.len();
    if rank == 0 {
        unsafe { *dst = *src };
        return;
    }
    let (n, src_step, dst_step) = (shape[rank - 1], src_strides[rank - 1], dst_strides[rank - 1]);
    if src_step == 1 && dst_step == 1 {
        walk(&shape[..rank - 1], [&src_strides[..rank - 1], &dst_strides[..rank - 1]], [0, 0], &mut |[s, d]| unsafe {
            std::ptr::copy(src.offset(s), dst.offset(d), n);
        });
        return;
    }
    // A transpose: the axis before the last is contiguous in the source.
    if rank > 1 && src_strides[rank - 2] == 1 && dst_step == 1 {
        let (outer, rows, row_step) = (rank - 2, shape[rank - 2], dst_strides[rank - 2]);
        walk(&shape[..outer], [&src_strides[..outer], &dst_strides[..outer]], [0, 0], &mut |[s, d]| unsafe {
            transpose(rows, n, src.offset(s), src_step, dst.offset(d), row_step);
        });
        return;
    }
    walk(&shape[..rank - 1], [&src_strides[..rank - 1], &dst_strides[..rank - 1]], [0, 0], &mut |[s, d]| {
        for i in 0..n as isize {
            unsafe { *dst.offset(d + i * dst_step) = *src.offset(s + i * src_step) };
        }
    });
}

/// `dst[i * dst_step + j] = src[i + j * src_step]` for i < rows, j < columns, tile by tile.
unsafe fn transpose<T: Copy>(
    rows: usize,
    columns: usize,
    src: *const T,
    src_step: isize,
    dst: *mut T,
    dst_step: isize,
) {
    for i0 in (0..rows).step_by(TILE) {
        let i1 = (i0 + TILE).min(rows);
        for j0 in (0..columns).step_by(TILE) {
            let j1 = (j0 + TILE).min(columns);
            for i in i0..i1 {
                for j in j0..j1 {
                    unsafe {
                        *dst.offset(i as isize * dst_step + j as isize) =
                            *src.offset(i as isize + j as isize * src_step)
                    };
                }
            }
        }
    }
}

/// Sets every element of a view to `value`.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn fill<T: Copy>(shape: &[usize], dst: *mut T, strides: &[isize], value: T) {
    walk(shape, [strides], [0], &mut |[d]| unsafe { *dst.offset(d) = value });
}

#[cfg(test)]
mod tests {
    use super::super::{standard_strides, walk::walk};
    use super::*;

    #[test]
    fn every_permutation_of_axes_is_copied() {
        let dims = [3usize, 17, 1, 20];
        let src: Vec<u32> = (0..dims.iter().product::<usize>() as u32).collect();
        let own = standard_strides(&dims);
        for perm in [[0, 1, 2, 3], [3, 1, 2, 0], [1, 3, 0, 2], [2, 3, 1, 0], [0, 3, 2, 1]] {
            let shape = perm.map(|p| dims[p]);
            let strides = perm.map(|p| own[p]);
            let mut out = vec![u32::MAX; src.len()];
            unsafe { copy(&shape, src.as_ptr(), &strides, out.as_mut_ptr(), &standard_strides(&shape)) };
            let mut want = Vec::new();
            walk(&shape, [&strides], [0], &mut |[o]| want.push(src[o as usize]));
            assert_eq!(out, want, "{perm:?}");
        }
    }

    #[test]
    fn negative_and_zero_strides() {
        let src = [1u8, 2, 3];
        let mut out = [0u8; 6];
        unsafe { copy(&[2, 3], src.as_ptr().wrapping_add(2), &[0, -1], out.as_mut_ptr(), &[3, 1]) };
        assert_eq!(out, [3, 2, 1, 3, 2, 1]);
    }
}
