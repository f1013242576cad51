//! Kernels for the instructions that the processor has: the widest are chosen at run time, and all give the same bits.
//! Safety: see `kernels`.

use super::dot::{Matrix, MatrixMut};
use super::gemm::Right;
use super::matvec::{Pairs, Problem};
use super::simd::Plain;
use super::{conv, gemm, matvec, reduce};

/// Kinds of instructions, narrowest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Plain,
    Avx2,
    Avx512,
}

impl Level {
    /// The widest of this processor.
    pub fn best() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected;
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                return Level::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Level::Avx2;
            }
        }
        Level::Plain
    }

    /// Bytes of a vector.
    pub fn bytes(self) -> usize {
        match self {
            Level::Plain => 16,
            Level::Avx2 => 32,
            Level::Avx512 => 64,
        }
    }

    /// All of this processor, narrowest first.
    pub fn all() -> impl Iterator<Item = Level> {
        [Level::Plain, Level::Avx2, Level::Avx512].into_iter().filter(|&level| level <= Level::best())
    }
}

macro_rules! kernels {
    ($kind:ident, $T:ty, $wide:ident, $middle:ident) => {
        pub mod $kind {
            use super::*;
            #[cfg(target_arch = "x86_64")]
            use crate::kernels::simd::x86::{$middle, $wide};

            type Sizes = (usize, usize, usize);

            /// `gemm::block`
            ///
            /// # Safety
            /// As there; the processor has the level.
            pub unsafe fn block(level: Level, sizes: Sizes, a: Matrix<$T>, b: Right<$T>, c: MatrixMut<$T>, add: bool) {
                unsafe {
                    match level {
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx512 => block_avx512(sizes, a, b, c, add),
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx2 => block_avx2(sizes, a, b, c, add),
                        _ => gemm::block::<Plain<$T, 4>, 4>(sizes, a, b, c, add),
                    }
                }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            unsafe fn block_avx512(sizes: Sizes, a: Matrix<$T>, b: Right<$T>, c: MatrixMut<$T>, add: bool) {
                unsafe { gemm::block::<$wide, 8>(sizes, a, b, c, add) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn block_avx2(sizes: Sizes, a: Matrix<$T>, b: Right<$T>, c: MatrixMut<$T>, add: bool) {
                unsafe { gemm::block::<$middle, 6>(sizes, a, b, c, add) }
            }

            /// `gemm::pack` of all columns
            ///
            /// # Safety
            /// As there; the processor has the level.
            pub unsafe fn pack(level: Level, k: usize, n: usize, b: Matrix<$T>, panels: *mut $T) {
                unsafe {
                    match level {
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx512 => pack_avx512(k, n, b, panels),
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx2 => pack_avx2(k, n, b, panels),
                        _ => gemm::pack::<Plain<$T, 4>, { gemm::VECTORS }>(k, 0, n, b, panels),
                    }
                }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            unsafe fn pack_avx512(k: usize, n: usize, b: Matrix<$T>, panels: *mut $T) {
                unsafe { gemm::pack::<$wide, { gemm::VECTORS }>(k, 0, n, b, panels) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn pack_avx2(k: usize, n: usize, b: Matrix<$T>, panels: *mut $T) {
                unsafe { gemm::pack::<$middle, { gemm::VECTORS }>(k, 0, n, b, panels) }
            }

            /// `matvec::with`
            ///
            /// # Safety
            /// As there; the processor has the level.
            pub unsafe fn vector_matrix(level: Level, p: Problem<$T>) {
                unsafe {
                    match level {
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx512 => vector_avx512(p),
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx2 => vector_avx2(p),
                        _ => matvec::with::<Plain<$T, 4>, 1, false>(p),
                    }
                }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            unsafe fn vector_avx512(p: Problem<$T>) {
                unsafe { matvec::with::<$wide, 4, true>(p) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn vector_avx2(p: Problem<$T>) {
                unsafe { matvec::with::<$middle, 2, false>(p) }
            }

            /// `matvec::pairs`
            ///
            /// # Safety
            /// As there; the processor has the level.
            pub unsafe fn pairs(level: Level, p: Pairs<$T>) {
                unsafe {
                    match level {
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx512 => pairs_avx512(p),
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx2 => pairs_avx2(p),
                        _ => matvec::pairs::<Plain<$T, 4>>(p),
                    }
                }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            unsafe fn pairs_avx512(p: Pairs<$T>) {
                unsafe { matvec::pairs::<$wide>(p) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn pairs_avx2(p: Pairs<$T>) {
                unsafe { matvec::pairs::<$middle>(p) }
            }

            /// `conv::part`
            ///
            /// # Safety
            /// As there; the processor has the level.
            pub unsafe fn conv(level: Level, group: &conv::Group<$T>, part: &conv::Part) {
                unsafe {
                    match level {
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx512 => conv_avx512(group, part),
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx2 => conv_avx2(group, part),
                        _ => conv::part::<Plain<$T, 4>, 1>(group, part),
                    }
                }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            unsafe fn conv_avx512(group: &conv::Group<$T>, part: &conv::Part) {
                unsafe { conv::part::<$wide, 8>(group, part) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn conv_avx2(group: &conv::Group<$T>, part: &conv::Part) {
                unsafe { conv::part::<$middle, 4>(group, part) }
            }

            /// `reduce::sum_plain`
            pub fn sum(level: Level, x: &[$T]) -> $T {
                match level {
                    // `Level::best` asked the processor.
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => unsafe { sum_avx512(x) },
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => unsafe { sum_avx2(x) },
                    _ => reduce::sum_plain(x),
                }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            unsafe fn sum_avx512(x: &[$T]) -> $T {
                reduce::sum_plain(x)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn sum_avx2(x: &[$T]) -> $T {
                reduce::sum_plain(x)
            }
        }
    };
}
kernels!(f32, f32, F32x16, F32x8);
kernels!(f64, f64, F64x8, F64x4);
