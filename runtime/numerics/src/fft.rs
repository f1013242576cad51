//! Discrete Fourier transforms, through `rustfft`, on one thread.
//!
//! Its code without vector instructions is used, so that the bits are the same on every processor.

use rustfft::num_complex::Complex;
use rustfft::{FftDirection, FftNum, FftPlanner};
use std::cell::RefCell;

/// An element kind, with what has been planned for it.
pub trait Transform: FftNum {
    /// Runs `f` with the plans of this thread.
    fn with_planner<R>(f: impl FnOnce(&mut FftPlanner<Self>) -> R) -> R;
}

macro_rules! transform {
    ($ty:ty) => {
        impl Transform for $ty {
            fn with_planner<R>(f: impl FnOnce(&mut FftPlanner<$ty>) -> R) -> R {
                thread_local! {
                    static PLANNER: RefCell<FftPlanner<$ty>> = RefCell::new(FftPlanner::new());
                }
                PLANNER.with(|planner| f(&mut planner.borrow_mut()))
            }
        }
    };
}
transform!(f32);
transform!(f64);

/// The transforms of rows of `n` complex numbers, each stored as its real and its imaginary part:
/// `y_k = sum over j of x_j exp(-2 pi i j k / n)`, with `+` in the exponent if `inverse`. Nothing is divided by n.
///
/// # Panics
/// If `x` and `out` have not one length, a multiple of `2 n`.
pub fn fft<T: Transform>(x: &[T], n: usize, inverse: bool, out: &mut [T]) {
    assert_eq!(x.len(), out.len(), "elements of a transform");
    if x.is_empty() {
        return;
    }
    assert_eq!(x.len() % (2 * n), 0, "rows of {n} complex numbers");
    let direction = if inverse { FftDirection::Inverse } else { FftDirection::Forward };
    let plan = T::with_planner(|planner| planner.plan_fft(n, direction));
    let mut scratch = vec![Complex::new(T::zero(), T::zero()); plan.get_inplace_scratch_len()];
    let mut row = vec![Complex::new(T::zero(), T::zero()); n];
    for (from, to) in x.chunks_exact(2 * n).zip(out.chunks_exact_mut(2 * n)) {
        for (value, pair) in row.iter_mut().zip(from.chunks_exact(2)) {
            *value = Complex::new(pair[0], pair[1]);
        }
        plan.process_with_scratch(&mut row, &mut scratch);
        for (value, pair) in row.iter().zip(to.chunks_exact_mut(2)) {
            (pair[0], pair[1]) = (value.re, value.im);
        }
    }
}
