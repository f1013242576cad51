//! The numerical kernels that compiled code calls: copies, products, reductions, indexing.
//!
//! Operands are pointers with a `Layout` (shape and strides in elements), so that views need no copy.
//! Every result is a function of logical shapes and values only, never of strides: the order of
//! operations is the one fixed for the primitive.
//!
//! Safety, for this folder: every function that takes a `Ptr` or a raw pointer is `unsafe` with the same
//! contract. Each pointer must be valid for all elements its layout reaches, inputs are not written
//! during the call, and an output overlaps no other operand except where a kernel says that it works
//! in place. The code generator is the only caller; its planner owns the layouts.

pub mod conv;
pub mod copy;
pub mod decompose;
pub mod dot;
pub mod elementary;
pub mod gemm;
pub mod index;
pub mod level;
pub mod matvec;
pub mod order;
pub mod reduce;
pub mod simd;
pub mod space;
pub mod standard;
pub mod walk;

use crate::tensor::DType;
use level::Level;

/// Where the elements of an operand lie, relative to its pointer.
#[derive(Clone, PartialEq, Debug)]
pub struct Layout {
    pub dtype: DType,
    pub shape: Vec<usize>,
    /// In elements; may be zero or negative.
    pub strides: Vec<isize>,
}

impl Layout {
    /// Row-major, without gaps.
    pub fn standard(dtype: DType, shape: &[usize]) -> Layout {
        Layout { dtype, shape: shape.to_vec(), strides: standard_strides(shape) }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row-major without gaps (axes of size 1 do not matter).
    pub fn is_standard(&self) -> bool {
        is_standard(&self.shape, &self.strides)
    }
}

/// The strides of a row-major array without gaps.
pub fn standard_strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1) as isize;
    }
    strides
}

/// True if a view is row-major without gaps.
pub fn is_standard(shape: &[usize], strides: &[isize]) -> bool {
    let mut step = 1;
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        if size == 0 {
            return true;
        }
        if size > 1 {
            if stride != step {
                return false;
            }
            step *= size as isize;
        }
    }
    true
}

/// A float kind, with the number of lanes in which it is summed.
pub trait Real:
    Copy + PartialOrd + std::ops::Add<Output = Self> + std::ops::Mul<Output = Self> + Send + Sync + 'static
{
    const ZERO: Self;
    const ONE: Self;
    const LANES: usize;
    /// `self * b + c`, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;

    /// `gemm::block`, at a level that the processor has.
    ///
    /// # Safety
    /// As there.
    unsafe fn block(
        level: Level,
        sizes: (usize, usize, usize),
        a: dot::Matrix<Self>,
        b: gemm::Right<Self>,
        c: dot::MatrixMut<Self>,
        add: bool,
    );
    /// `gemm::pack` of all `n` columns, at a level that the processor has.
    ///
    /// # Safety
    /// As there.
    unsafe fn pack(level: Level, k: usize, n: usize, b: dot::Matrix<Self>, panels: *mut Self);
    /// `matvec::with`, at a level that the processor has.
    ///
    /// # Safety
    /// As there.
    unsafe fn vector_matrix(level: Level, p: matvec::Problem<Self>);
    /// `matvec::pairs`, at a level that the processor has.
    ///
    /// # Safety
    /// As there.
    unsafe fn pairs(level: Level, p: matvec::Pairs<Self>);
    /// `conv::part`, at a level that the processor has.
    ///
    /// # Safety
    /// As there.
    unsafe fn conv(level: Level, group: &conv::Group<Self>, part: &conv::Part);
    /// The sum of contiguous elements: chunks by lanes, then the tree over chunks.
    fn sum(level: Level, x: &[Self]) -> Self;
}

/// What a float kind takes from `level`.
macro_rules! kernels {
    ($kind:ident) => {
        unsafe fn block(
            level: Level,
            sizes: (usize, usize, usize),
            a: dot::Matrix<Self>,
            b: gemm::Right<Self>,
            c: dot::MatrixMut<Self>,
            add: bool,
        ) {
            unsafe { level::$kind::block(level, sizes, a, b, c, add) }
        }
        unsafe fn pack(level: Level, k: usize, n: usize, b: dot::Matrix<Self>, panels: *mut Self) {
            unsafe { level::$kind::pack(level, k, n, b, panels) }
        }
        unsafe fn vector_matrix(level: Level, p: matvec::Problem<Self>) {
            unsafe { level::$kind::vector_matrix(level, p) }
        }
        unsafe fn pairs(level: Level, p: matvec::Pairs<Self>) {
            unsafe { level::$kind::pairs(level, p) }
        }
        unsafe fn conv(level: Level, group: &conv::Group<Self>, part: &conv::Part) {
            unsafe { level::$kind::conv(level, group, part) }
        }
        fn sum(level: Level, x: &[Self]) -> Self {
            level::$kind::sum(level, x)
        }
    };
}

impl Real for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    const LANES: usize = 32;
    #[inline(always)]
    fn fma(self, b: f32, c: f32) -> f32 {
        self.mul_add(b, c)
    }
    kernels!(f32);
}

impl Real for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    const LANES: usize = 16;
    #[inline(always)]
    fn fma(self, b: f64, c: f64) -> f64 {
        self.mul_add(b, c)
    }
    kernels!(f64);
}

/// The most lanes of any float kind.
pub const MAX_LANES: usize = 32;
/// Elements of a chunk of a sum over the last axes.
pub const SUM_CHUNK: usize = 4096;
/// Elements of a block of a sum over other axes.
pub const SUM_BLOCK: usize = 256;
/// Length of a block of products.
pub const DOT_BLOCK: usize = 512;

/// The fixed pairwise tree over a sequence of unknown length, fed one value at a time.
///
/// `tree(v) = v[0]` for one value, else `tree(v[..p]) + tree(v[p..])`, p the largest power of two below the length.
/// Complete subtrees are kept as in a binary counter.
pub struct Tree<T> {
    parts: [T; 64],
    used: usize,
    count: u64,
}

impl<T: Real> Tree<T> {
    pub const EMPTY: Tree<T> = Tree { parts: [T::ZERO; 64], used: 0, count: 0 };

    #[inline(always)]
    pub fn push(&mut self, value: T) {
        let mut value = value;
        let mut bits = self.count;
        while bits & 1 == 1 {
            self.used -= 1;
            value = self.parts[self.used] + value;
            bits >>= 1;
        }
        self.parts[self.used] = value;
        self.used += 1;
        self.count += 1;
    }

    /// The sum; +0 if nothing was pushed.
    #[inline(always)]
    pub fn finish(&self) -> T {
        if self.used == 0 {
            return T::ZERO;
        }
        let mut total = self.parts[self.used - 1];
        for part in (0..self.used - 1).rev() {
            total = self.parts[part] + total;
        }
        total
    }
}

/// Combines lanes pairwise: l with l + width/2, then width/4, and so on.
#[inline(always)]
pub fn combine_lanes<T: Real>(lanes: &mut [T]) -> T {
    let mut width = lanes.len();
    while width > 1 {
        width /= 2;
        for l in 0..width {
            lanes[l] = lanes[l] + lanes[l + width];
        }
    }
    lanes[0]
}
