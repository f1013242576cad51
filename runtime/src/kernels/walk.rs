//! Walks over the elements of strided operands in row-major order, without allocating.

/// Calls `f` with the offsets of each element of `N` operands of one shape, in row-major order.
pub fn walk<const N: usize>(
    shape: &[usize],
    strides: [&[isize]; N],
    offsets: [isize; N],
    f: &mut impl FnMut([isize; N]),
) {
    let Some((&size, rest)) = shape.split_first() else {
        f(offsets);
        return;
    };
    let step: [isize; N] = std::array::from_fn(|k| strides[k][0]);
    let inner: [&[isize]; N] = std::array::from_fn(|k| &strides[k][1..]);
    let mut at = offsets;
    if rest.is_empty() {
        for _ in 0..size {
            f(at);
            for k in 0..N {
                at[k] += step[k];
            }
        }
        return;
    }
    for _ in 0..size {
        walk(rest, inner, at, f);
        for k in 0..N {
            at[k] += step[k];
        }
    }
}

/// Like `walk`, but stops at the first error.
pub fn try_walk<E, const N: usize>(
    shape: &[usize],
    strides: [&[isize]; N],
    offsets: [isize; N],
    f: &mut impl FnMut([isize; N]) -> Result<(), E>,
) -> Result<(), E> {
    let Some((&size, rest)) = shape.split_first() else {
        return f(offsets);
    };
    let inner: [&[isize]; N] = std::array::from_fn(|k| &strides[k][1..]);
    let mut at = offsets;
    for _ in 0..size {
        try_walk(rest, inner, at, f)?;
        for k in 0..N {
            at[k] += strides[k][0];
        }
    }
    Ok(())
}

/// Drops axes of size 1 and merges neighbours that every operand walks as one. An empty shape with a
/// zero axis stays empty. The row-major order of elements is kept.
pub fn collapse(shape: &[usize], strides: &[&[isize]]) -> (Vec<usize>, Vec<Vec<isize>>) {
    let mut out_shape: Vec<usize> = Vec::with_capacity(shape.len());
    let mut out: Vec<Vec<isize>> = vec![Vec::with_capacity(shape.len()); strides.len()];
    for (axis, &size) in shape.iter().enumerate() {
        if size == 1 {
            continue;
        }
        let merges = match out_shape.last() {
            None => false,
            Some(_) => (0..strides.len()).all(|k| out[k].last() == Some(&(strides[k][axis] * size as isize))),
        };
        if merges {
            if let Some(last) = out_shape.last_mut() {
                *last *= size;
            }
            for k in 0..strides.len() {
                if let Some(last) = out[k].last_mut() {
                    *last = strides[k][axis];
                }
            }
        } else {
            out_shape.push(size);
            for k in 0..strides.len() {
                out[k].push(strides[k][axis]);
            }
        }
    }
    (out_shape, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_come_in_row_major_order() {
        let mut seen = Vec::new();
        walk(&[2, 3], [&[10, 1], &[1, 2]], [0, 100], &mut |o| seen.push(o));
        assert_eq!(seen, vec![[0, 100], [1, 102], [2, 104], [10, 101], [11, 103], [12, 105]]);
    }

    #[test]
    fn neighbours_merge_only_if_all_agree() {
        let (shape, strides) = collapse(&[2, 1, 3, 4], &[&[12, 12, 4, 1], &[24, 0, 8, 2]]);
        assert_eq!((shape, strides), (vec![24], vec![vec![1], vec![2]]));
        let (shape, _) = collapse(&[2, 3], &[&[3, 1], &[1, 2]]);
        assert_eq!(shape, vec![2, 3]);
    }
}
