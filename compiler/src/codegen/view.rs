//! Strided views: what the structural operations are when no element moves.

use super::plan::{Base, Reg, Scalar};
use dp_runtime::kernels::standard_strides;

/// Where the elements of an array value lie: from `base`, `offset` elements on, plus one stride for each loop
/// counter that selects a row. All in elements.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    pub base: Base,
    pub offset: isize,
    pub strides: Vec<isize>,
    pub terms: Vec<(Reg, isize)>,
}

impl View {
    /// Row-major from the start of a base.
    pub fn standard(base: Base, shape: &[usize]) -> View {
        View { base, offset: 0, strides: standard_strides(shape), terms: Vec::new() }
    }

    /// Every element is the scalar.
    pub fn splat(scalar: Scalar, rank: usize) -> View {
        View { base: Base::Spill(scalar), offset: 0, strides: vec![0; rank], terms: Vec::new() }
    }

    /// The scalar that every element is, if so.
    pub fn as_splat(&self) -> Option<Scalar> {
        match self.base {
            Base::Spill(scalar) => Some(scalar),
            Base::Buffer(_) | Base::Large(_) | Base::Param(_) | Base::Result(_) | Base::Const(_) | Base::Stack => None,
        }
    }

    fn with(&self, offset: isize, strides: Vec<isize>) -> View {
        View { base: self.base, offset, strides, terms: self.terms.clone() }
    }

    /// `Op::Broadcast` to a shape of the given rank.
    pub fn broadcast(&self, rank: usize, axes: &[usize]) -> View {
        let mut strides = vec![0; rank];
        for (&axis, &stride) in axes.iter().zip(&self.strides) {
            strides[axis] = stride;
        }
        self.with(self.offset, strides)
    }

    /// `Op::Permute`.
    pub fn permute(&self, perm: &[usize]) -> View {
        self.with(self.offset, perm.iter().map(|&p| self.strides[p]).collect())
    }

    /// The view of which this is the permutation by `perm`.
    pub fn unpermute(&self, perm: &[usize]) -> View {
        let mut strides = vec![0; perm.len()];
        for (&p, &stride) in perm.iter().zip(&self.strides) {
            strides[p] = stride;
        }
        self.with(self.offset, strides)
    }

    /// `Op::Slice`.
    pub fn slice(&self, start: &[usize], stride: &[usize]) -> View {
        let shift: isize = start.iter().zip(&self.strides).map(|(&s, &step)| s as isize * step).sum();
        let strides = stride.iter().zip(&self.strides).map(|(&s, &step)| s as isize * step).collect();
        self.with(self.offset + shift, strides)
    }

    /// `Op::Reverse` of an array of this shape, which is not empty.
    pub fn reverse(&self, shape: &[usize], axes: &[usize]) -> View {
        let mut view = self.clone();
        for &axis in axes {
            view.offset += (shape[axis] as isize - 1) * view.strides[axis];
            view.strides[axis] = -view.strides[axis];
        }
        view
    }

    /// Row `counter` of the leading axis.
    pub fn row(&self, counter: Reg) -> View {
        let mut view = self.with(self.offset, self.strides[1..].to_vec());
        view.terms.push((counter, self.strides[0]));
        view
    }

    /// `Op::Reshape` of an array of shape `from` to shape `to`, if strides can say it.
    pub fn reshape(&self, from: &[usize], to: &[usize]) -> Option<View> {
        if to.contains(&0) {
            return Some(self.with(self.offset, standard_strides(to)));
        }
        // Runs of axes that are one piece of memory, outermost first: (size, stride of the last element).
        let mut runs: Vec<(usize, isize)> = Vec::new();
        for (&size, &stride) in from.iter().zip(&self.strides) {
            if size == 1 {
                continue;
            }
            match runs.last_mut() {
                Some((n, step)) if *step == stride * size as isize => {
                    *n *= size;
                    *step = stride;
                }
                _ => runs.push((size, stride)),
            }
        }
        // Each run must be a product of consecutive new axes.
        let mut strides = vec![0isize; to.len()];
        let mut axis = to.len();
        for &(size, step) in runs.iter().rev() {
            let mut left = size;
            let mut stride = step;
            while left > 1 {
                while axis > 0 && to[axis - 1] == 1 {
                    axis -= 1;
                    strides[axis] = stride;
                }
                if axis == 0 || left % to[axis - 1] != 0 {
                    return None;
                }
                axis -= 1;
                strides[axis] = stride;
                stride *= to[axis] as isize;
                left /= to[axis];
            }
        }
        Some(self.with(self.offset, strides))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dp_runtime::kernels::walk::walk;

    fn offsets(view: &View, shape: &[usize]) -> Vec<isize> {
        let mut seen = Vec::new();
        walk(shape, [&view.strides], [view.offset], &mut |[o]| seen.push(o));
        seen
    }

    #[test]
    fn a_reshaped_view_reads_the_same_elements_in_the_same_order() {
        let whole = View::standard(Base::Param(0), &[4, 6, 5]);
        let cases: Vec<(View, Vec<usize>)> = vec![
            (whole.clone(), vec![4, 6, 5]),
            (whole.slice(&[1, 0, 0], &[1, 1, 1]), vec![2, 6, 5]),
            (whole.slice(&[0, 0, 1], &[1, 1, 2]), vec![4, 6, 2]),
            (whole.permute(&[2, 0, 1]), vec![5, 4, 6]),
            (whole.reverse(&[4, 6, 5], &[0, 1]), vec![4, 6, 5]),
        ];
        let targets: [&[usize]; 9] =
            [&[120], &[24, 5], &[4, 30], &[2, 2, 6, 5], &[12, 5], &[60], &[48], &[5, 24], &[1, 4, 1, 3, 2, 1, 2]];
        let mut found = 0;
        for (view, shape) in cases {
            for to in targets {
                if to.iter().product::<usize>() != shape.iter().product::<usize>() {
                    continue;
                }
                if let Some(reshaped) = view.reshape(&shape, to) {
                    assert_eq!(offsets(&reshaped, to), offsets(&view, &shape), "{shape:?} to {to:?}");
                    found += 1;
                }
            }
        }
        assert!(found >= 8, "{found}");
        assert!(whole.permute(&[2, 0, 1]).reshape(&[5, 4, 6], &[120]).is_none());
    }
}
