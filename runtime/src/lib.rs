//! All that is alive while compiled dp code runs: tensors, numerical kernels, random numbers, files,
//! pictures, progress and checkpoints. It knows nothing of the language.

pub mod abi;
pub mod align;
pub mod checkpoint;
pub mod interrupt;
pub mod io;
pub mod kernels;
pub mod plot;
pub mod pool;
pub mod progress;
pub mod random;
pub mod table;
pub mod tensor;

pub use dp_numerics::{fault, fft, lanes, linalg, math};
