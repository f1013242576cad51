//! The arithmetic of the runtime: elementary functions over lanes, matrix decompositions and Fourier transforms of slices of
//! numbers, and what can go wrong in them. It knows nothing of tensors.
//!
//! A crate of its own, because the code that `faer` and `rustfft` generate for it takes longer to compile than the rest of
//! the runtime, and changes seldom.

pub mod fault;
pub mod fft;
pub mod lanes;
pub mod linalg;
pub mod math;
