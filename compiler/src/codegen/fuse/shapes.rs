//! Shapes that name the same elements in row-major order.

use dp_runtime::kernels::standard_strides;

/// A shape without its axes of size 1.
pub fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&size| size != 1).collect()
}

/// The coarsest shape that has the axes of both squeezed shapes as products of neighbouring axes of its own, if there is one.
pub fn refined(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    if a == b {
        return Some(a.to_vec());
    }
    let sizes =
        |shape: &[usize]| -> Vec<usize> { (0..shape.len()).map(|axis| shape[axis..].iter().product()).collect() };
    let (a, b) = (sizes(a), sizes(b));
    if a.first() != b.first() || a.first() == Some(&0) {
        return None;
    }
    let mut ends = [a, b].concat();
    ends.sort_unstable();
    ends.dedup();
    let mut fine = Vec::new();
    let mut before = 1;
    for end in ends {
        if end % before != 0 {
            return None;
        }
        fine.push(end / before);
        before = end;
    }
    fine.reverse();
    Some(fine)
}

/// The sizes of axes by descending strides, if these are the row-major strides of an array without gaps.
pub fn row_major(shape: &[usize], strides: &[isize]) -> Option<Vec<usize>> {
    let mut axes: Vec<(isize, usize)> =
        strides.iter().copied().zip(shape.iter().copied()).filter(|&(_, size)| size != 1).collect();
    axes.sort_unstable_by(|a, b| b.cmp(a));
    let sizes: Vec<usize> = axes.iter().map(|&(_, size)| size).collect();
    standard_strides(&sizes).iter().zip(&axes).all(|(want, (stride, _))| want == stride).then_some(sizes)
}

/// For each axis of a row-major array of shape `fine`, the axis of a view of it that it is part of, and how many places of
/// that axis one of its own is. The axes of the view are products of axes of `fine`, in any order.
pub fn parts(shape: &[usize], strides: &[isize], fine: &[usize]) -> Vec<(usize, usize)> {
    let part = |step: isize| {
        let within =
            |&axis: &usize| shape[axis] != 1 && strides[axis] <= step && step < strides[axis] * shape[axis] as isize;
        let axis = (0..shape.len()).find(within).expect("the shape is a refinement of the view's");
        (axis, (step / strides[axis]) as usize)
    };
    standard_strides(fine).into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_refined_where_their_axes_nest() {
        let cases: [(&[usize], &[usize], Option<&[usize]>); 6] = [
            (&[6], &[2, 3], Some(&[2, 3])),
            (&[24, 10, 31], &[24, 2, 5, 31], Some(&[24, 2, 5, 31])),
            (&[4, 6], &[2, 12], Some(&[2, 2, 6])),
            (&[4, 6], &[6, 4], None),
            (&[4, 6], &[4, 5], None),
            (&[0, 3], &[3, 0], None),
        ];
        for (a, b, want) in cases {
            assert_eq!(refined(a, b).as_deref(), want, "{a:?} {b:?}");
            assert_eq!(refined(b, a).as_deref(), want, "{b:?} {a:?}");
        }
    }

    #[test]
    fn a_turned_view_tells_the_axes_of_its_array() {
        // The view [24, 31, 32400] of an array [24, 180, 180, 31].
        let (shape, strides) = ([24, 31, 32400], [32400 * 31, 1, 31]);
        assert_eq!(row_major(&shape, &strides), Some(vec![24, 32400, 31]));
        assert_eq!(parts(&shape, &strides, &[24, 180, 180, 31]), vec![(0, 1), (2, 180), (2, 1), (1, 1)]);
        assert_eq!(row_major(&[4, 3], &[6, 1]), None);
        assert_eq!(row_major(&[4, 3], &[0, 1]), None);
    }
}
