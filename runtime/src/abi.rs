//! What compiled code calls, and the memory through which it is called.
//!
//! Safety: compiled code passes a `Frame` that lives for the call, a `Call` that its Executable owns, and one
//! pointer for each of the call's operands, valid for every element that the operand's layout reaches. The
//! planner guarantees the layouts; element kinds are checked here by match, never assumed. No panic may leave an
//! `extern "C"` function: the kernels index only by layouts and checked indices, and an abort is what a bug gets.

mod epilogue;

use crate::fault::FaultKind;
use crate::fft;
use crate::kernels::index::Access;
use crate::kernels::level::Level;
use crate::kernels::matvec::Pairs;
use crate::kernels::standard;
use crate::kernels::{Layout, Real, SUM_CHUNK, conv, copy, decompose, dot, index, order, reduce, walk};
use crate::lanes::{F32Lane, F64Lane};
use crate::linalg;
use crate::linalg::spectral::Spectral;
use crate::math;
use crate::pool;
use crate::random;
use crate::tensor::DType;
use epilogue::Following;
pub use epilogue::Then;
use std::sync::Arc;

/// What one run of a compiled function works on. Compiled code reads the pointers by their offsets.
#[repr(C)]
pub struct Frame {
    /// One pointer to the elements of each parameter.
    pub params: *const *const u8,
    /// One pointer to the elements of each result that is written.
    pub results: *const *mut u8,
    /// One pointer to each large buffer outside the arena.
    pub buffers: *const *mut u8,
    pub arena: *mut u8,
    /// Slots of scalars that several functions of the program use.
    pub scalars: *mut u64,
    /// The failing equation, where the status is not zero.
    pub eqn: u32,
    pub fault: Option<FaultKind>,
    /// Guards that were not met and only warn, each once.
    pub warned: Vec<u32>,
}

/// The kernels, with what they need besides their operands. Operands are inputs, then outputs.
#[derive(Clone, Debug)]
pub enum Kernel {
    /// x -> out, of one (collapsed) shape.
    Copy,
    /// -> out
    Zero,
    /// count (i64 scalar), stack: zeros rows from `count` on. With a third operand, an i64 scalar, only up to that
    /// row, the first that is zero already; it becomes `count`.
    ZeroTail,
    /// a, b -> c, with `batch` leading axes.
    Dot { batch: usize },
    /// b -> the same packed (`dot::pack`), as the right operand of products.
    Pack,
    /// a, b packed -> c. The sizes are those of `dot::product_packed`.
    DotPacked,
    /// x, k -> out, with `batch` leading axes.
    Conv { batch: usize, plan: Arc<conv::Plan> },
    /// x (kept axes, then summed ones) -> out. Sums over the last axes.
    SumLast { kept: usize },
    /// The same for other axes.
    SumOther { kept: usize },
    /// x (kept axes, then the axis of the parts) -> out. The pairwise tree over sums of chunks or blocks.
    SumParts,
    /// x (kept axes, then reduced ones) -> out.
    Fold { kept: usize, by: FoldBy },
    /// x (its axis last) -> out (i64).
    ArgBest { greatest: bool },
    /// x -> out, along the last axis
    RunningSum { reverse: bool },
    /// x -> values, places (contiguous rows).
    Sort,
    /// x, indices... -> out
    Gather,
    /// u, indices... -> x, which is updated in place.
    ScatterAdd,
    /// u, scalar indices... -> x, which is updated in place.
    Update,
    /// -> out (i64), counting along the last axis
    Iota,
    /// keys -> out, `each` draws for each key. Here and below operands are row-major without gaps.
    Normal { each: usize },
    /// The same.
    Uniform { each: usize },
    /// keys -> keys
    Split { n: usize },
    /// keys, ints -> keys
    FoldIn,
    /// keys -> permutations (i64), scratch of n words
    Permutation { n: usize },
    /// a -> u, s, v, scratch bytes
    Svd,
    /// a -> s, scratch bytes
    SingularValues,
    /// a, b -> x, scratch bytes
    Solve,
    /// a -> l
    Cholesky,
    /// t, b -> x
    TriangularSolve { lower: bool },
    /// a -> out
    Det,
    /// a -> signs, logarithms
    SlogDet,
    /// a -> order of the rows (i64), l, u
    Lu,
    /// a -> q, r
    Qr,
    /// a -> values, vectors
    Eigh,
    /// values, x -> out
    SpectralQuotient { by: Spectral },
    /// x -> out
    Fft { inverse: bool },
}

/// What a reduction other than a sum computes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum FoldBy {
    Product,
    Max,
    Min,
    All,
    Any,
}

/// One call of a kernel: baked into the code by address.
#[derive(Clone, Debug)]
pub struct Call {
    pub kernel: Kernel,
    pub operands: Vec<Layout>,
    pub eqn: u32,
    /// A nest to be called for parts of the last operand as they are ready. After the operands the code then passes its
    /// function (`Nest`) and its table, with room for two more words.
    pub then: Option<Then>,
}

/// Runs a kernel. Gives 0, or 1 after it has left a fault in the frame.
///
/// # Safety
/// See the module.
pub unsafe extern "C" fn call(frame: *mut Frame, call: *const Call, operands: *const *mut u8) -> u32 {
    let call = unsafe { &*call };
    let count = call.operands.len();
    let at = unsafe { std::slice::from_raw_parts(operands, count) };
    let done = unsafe {
        match &call.then {
            None => run(&call.kernel, &call.operands, at),
            Some(then) => {
                let nest = std::mem::transmute::<*mut u8, Nest>(*operands.add(count));
                let table = *operands.add(count + 1) as *mut u64;
                epilogue::run_followed(call, at, &Following { frame, nest, table, then });
                Ok(())
            }
        }
    };
    match done {
        Ok(()) => 0,
        Err(fault) => {
            let frame = unsafe { &mut *frame };
            frame.fault = Some(fault);
            frame.eqn = call.eqn;
            1
        }
    }
}

/// Faults that compiled code finds itself.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(u32)]
pub enum Inline {
    DivisionByZero = 0,
    Interrupted = 1,
    /// A guard that must hold does not; its name is with the Executable.
    Guard = 2,
}

/// Leaves a fault in the frame.
///
/// # Safety
/// See the module.
pub unsafe extern "C" fn fault(frame: *mut Frame, kind: u32, eqn: u32) {
    let frame = unsafe { &mut *frame };
    frame.eqn = eqn;
    frame.fault = Some(match kind {
        0 => FaultKind::DivisionByZero,
        1 => FaultKind::Interrupted,
        // The Executable puts the solver's name in.
        _ => FaultKind::Unconverged { solver: String::new() },
    });
}

/// Notes a guard that was not met and only warns.
///
/// # Safety
/// See the module.
pub unsafe extern "C" fn warn(frame: *mut Frame, eqn: u32) {
    let frame = unsafe { &mut *frame };
    if !frame.warned.contains(&eqn) {
        frame.warned.push(eqn);
    }
}

/// The most entries of the table of a nest that is dealt out, with the two words for its share.
pub const MOST_ENTRIES: usize = 128;

/// The function of a nest that is dealt out: the pieces that its table names. It reads the frame only.
pub type Nest = unsafe extern "C" fn(*mut Frame, *const u64) -> u32;

/// Calls a nest's function for shares of its pieces, on several threads if there are some. The table has `entries` words,
/// and two more for the first piece of a share and the one after its last.
///
/// # Safety
/// See the module; pieces write to different elements.
pub unsafe extern "C" fn deal(frame: *mut Frame, nest: Nest, table: *mut u64, entries: u64, pieces: u64) {
    let entries = entries as usize;
    let threads = pool::threads() as u64;
    if threads == 1 {
        unsafe {
            *table.add(entries) = 0;
            *table.add(entries + 1) = pieces;
            nest(frame, table);
        }
        return;
    }
    // Some for each thread, so that one that comes late takes fewer.
    let shares = pieces.min(4 * threads);
    let (frame, table) = (frame as usize, table as usize);
    pool::each(shares as usize, &|share| {
        let share = share as u64;
        let mut own = [0u64; MOST_ENTRIES];
        unsafe {
            std::ptr::copy_nonoverlapping(table as *const u64, own.as_mut_ptr(), entries);
            own[entries] = share * pieces / shares;
            own[entries + 1] = (share + 1) * pieces / shares;
            nest(frame as *mut Frame, own.as_ptr());
        }
    });
}

/// Runs `$body` with `$T` an unsigned integer of the element's size.
macro_rules! by_size {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::Bool => {
                type $T = u8;
                $body
            }
            DType::F32 => {
                type $T = u32;
                $body
            }
            DType::F64 | DType::I64 | DType::Key => {
                type $T = u64;
                $body
            }
        }
    };
}

fn wrong_kind(kernel: &Kernel, dtype: DType) -> ! {
    panic!("internal error: kernel {kernel:?} on {}", dtype.name())
}

/// Runs a kernel on its operands.
///
/// # Safety
/// See the module.
unsafe fn run(kernel: &Kernel, layouts: &[Layout], at: &[*mut u8]) -> Result<(), FaultKind> {
    let dtype = layouts[0].dtype;
    // A product of floats has an order.
    let chain = dtype.is_float() && matches!(kernel, Kernel::Fold { by: FoldBy::Product, .. });
    unsafe {
        match kernel {
            Kernel::Copy => {
                let (from, to) = (&layouts[0], &layouts[1]);
                by_size!(dtype, T => copy::copy(&to.shape, at[0] as *const T, &from.strides, at[1] as *mut T, &to.strides));
            }
            Kernel::Zero => {
                by_size!(dtype, T => copy::fill(&layouts[0].shape, at[0] as *mut T, &layouts[0].strides, 0));
            }
            Kernel::ZeroTail => {
                let stack = &layouts[1];
                let count = (*(at[0] as *const i64)).max(0) as usize;
                let mut end = stack.shape[0];
                if let Some(&mark) = at.get(2) {
                    let mark = mark as *mut i64;
                    end = end.min((*mark).max(0) as usize);
                    *mark = count as i64;
                }
                by_size!(stack.dtype, T => {
                    for row in count..end {
                        let from = (at[1] as *mut T).offset(row as isize * stack.strides[0]);
                        copy::fill(&stack.shape[1..], from, &stack.strides[1..], 0);
                    }
                });
            }
            Kernel::Dot { batch } => match dtype {
                DType::F32 => product::<f32>(*batch, layouts, at),
                DType::F64 => product::<f64>(*batch, layouts, at),
                DType::I64 | DType::Bool | DType::Key => wrong_kind(kernel, dtype),
            },
            Kernel::Pack => match dtype {
                DType::F32 => packed::<f32>(layouts, at),
                DType::F64 => packed::<f64>(layouts, at),
                DType::I64 | DType::Bool | DType::Key => wrong_kind(kernel, dtype),
            },
            Kernel::DotPacked => match dtype {
                DType::F32 => product_packed::<f32>(layouts, at),
                DType::F64 => product_packed::<f64>(layouts, at),
                DType::I64 | DType::Bool | DType::Key => wrong_kind(kernel, dtype),
            },
            Kernel::Conv { batch, plan } => match dtype {
                DType::F32 => convolution::<f32>(plan, *batch, layouts, at),
                DType::F64 => convolution::<f64>(plan, *batch, layouts, at),
                DType::I64 | DType::Bool | DType::Key => wrong_kind(kernel, dtype),
            },
            Kernel::SumLast { kept } | Kernel::SumOther { kept } => match dtype {
                DType::F32 => sum::<f32>(kernel, *kept, layouts, at),
                DType::F64 => sum::<f64>(kernel, *kept, layouts, at),
                DType::I64 => fold::<i64>((*kept, chain), layouts, at, 0, i64::wrapping_add),
                DType::Bool | DType::Key => wrong_kind(kernel, dtype),
            },
            Kernel::SumParts => match dtype {
                DType::F32 => sum_parts::<f32>(layouts, at),
                DType::F64 => sum_parts::<f64>(layouts, at),
                DType::I64 | DType::Bool | DType::Key => wrong_kind(kernel, dtype),
            },
            Kernel::Fold { kept, by } => match (dtype, by) {
                (DType::F32, FoldBy::Product) => fold::<f32>((*kept, chain), layouts, at, 1.0, |a, b| a * b),
                (DType::F64, FoldBy::Product) => fold::<f64>((*kept, chain), layouts, at, 1.0, |a, b| a * b),
                (DType::I64, FoldBy::Product) => fold::<i64>((*kept, chain), layouts, at, 1, i64::wrapping_mul),
                (DType::F32, FoldBy::Max) => {
                    fold::<f32>((*kept, chain), layouts, at, f32::NEG_INFINITY, |a, b| math::max(&mut F32Lane, a, b))
                }
                (DType::F64, FoldBy::Max) => {
                    fold::<f64>((*kept, chain), layouts, at, f64::NEG_INFINITY, |a, b| math::max(&mut F64Lane, a, b))
                }
                (DType::I64, FoldBy::Max) => fold::<i64>((*kept, chain), layouts, at, i64::MIN, i64::max),
                (DType::F32, FoldBy::Min) => {
                    fold::<f32>((*kept, chain), layouts, at, f32::INFINITY, |a, b| math::min(&mut F32Lane, a, b))
                }
                (DType::F64, FoldBy::Min) => {
                    fold::<f64>((*kept, chain), layouts, at, f64::INFINITY, |a, b| math::min(&mut F64Lane, a, b))
                }
                (DType::I64, FoldBy::Min) => fold::<i64>((*kept, chain), layouts, at, i64::MAX, i64::min),
                (DType::Bool, FoldBy::All) => fold::<u8>((*kept, chain), layouts, at, 1, |a, b| a & b),
                (DType::Bool, FoldBy::Any) => fold::<u8>((*kept, chain), layouts, at, 0, |a, b| a | b),
                _ => wrong_kind(kernel, dtype),
            },
            Kernel::ArgBest { greatest } => match dtype {
                DType::F32 => best::<f32>(layouts, at, *greatest),
                DType::F64 => best::<f64>(layouts, at, *greatest),
                DType::I64 => best::<i64>(layouts, at, *greatest),
                DType::Bool | DType::Key => wrong_kind(kernel, dtype),
            },
            Kernel::RunningSum { reverse } => match dtype {
                DType::F32 => running::<f32>(*reverse, layouts, at, (0.0, |a, b| a + b)),
                DType::F64 => running::<f64>(*reverse, layouts, at, (0.0, |a, b| a + b)),
                DType::I64 => running::<i64>(*reverse, layouts, at, (0, i64::wrapping_add)),
                DType::Bool | DType::Key => wrong_kind(kernel, dtype),
            },
            Kernel::Sort => {
                let (n, rows) = match layouts[0].shape.split_last() {
                    Some((&n, outer)) => (n, outer.iter().product()),
                    None => (1, 1),
                };
                match dtype {
                    DType::F32 => order::sort_rows(rows, n, at[0] as *const f32, at[1] as *mut f32, at[2] as *mut i64),
                    DType::F64 => order::sort_rows(rows, n, at[0] as *const f64, at[1] as *mut f64, at[2] as *mut i64),
                    DType::I64 => order::sort_rows(rows, n, at[0] as *const i64, at[1] as *mut i64, at[2] as *mut i64),
                    DType::Bool | DType::Key => wrong_kind(kernel, dtype),
                }
            }
            Kernel::Gather => {
                let out = layouts.len() - 1;
                by_size!(dtype, T => access::<T>(Access::Read, (at[0], &layouts[0]), (at[out], &layouts[out]), &layouts[1..out], &at[1..out], |a, _| a))?;
            }
            Kernel::ScatterAdd => {
                let x = layouts.len() - 1;
                let (target, part) = ((at[x], &layouts[x]), (at[0], &layouts[0]));
                let (indices, starts) = (&layouts[1..x], &at[1..x]);
                match dtype {
                    DType::F32 => access::<f32>(Access::Add, target, part, indices, starts, |a, b| a + b)?,
                    DType::F64 => access::<f64>(Access::Add, target, part, indices, starts, |a, b| a + b)?,
                    DType::I64 => access::<i64>(Access::Add, target, part, indices, starts, i64::wrapping_add)?,
                    DType::Bool | DType::Key => wrong_kind(kernel, dtype),
                }
            }
            Kernel::Update => {
                let x = layouts.len() - 1;
                by_size!(dtype, T => access::<T>(Access::Write, (at[x], &layouts[x]), (at[0], &layouts[0]), &layouts[1..x], &at[1..x], |_, b| b))?;
            }
            Kernel::Iota => {
                let (shape, strides) = (&layouts[0].shape, &layouts[0].strides);
                let last = shape.len() - 1;
                let out = at[0] as *mut i64;
                walk::walk(&shape[..last], [&strides[..last]], [0], &mut |[o]| {
                    for i in 0..shape[last] as isize {
                        *out.offset(o + i * strides[last]) = i as i64;
                    }
                });
            }
            Kernel::Normal { each } => match layouts[1].dtype {
                DType::F32 => draw::<f32>(*each, layouts, at, random::normal_f32),
                DType::F64 => draw::<f64>(*each, layouts, at, random::normal_f64),
                other => wrong_kind(kernel, other),
            },
            Kernel::Uniform { each } => match layouts[1].dtype {
                DType::F32 => draw::<f32>(*each, layouts, at, random::uniform_f32),
                DType::F64 => draw::<f64>(*each, layouts, at, random::uniform_f64),
                other => wrong_kind(kernel, other),
            },
            Kernel::Split { n } => standard::split(input(layouts, at, 0), *n, output(layouts, at, 1)),
            Kernel::FoldIn => standard::fold_in(input(layouts, at, 0), input(layouts, at, 1), output(layouts, at, 2)),
            Kernel::Permutation { n } => {
                standard::permutations(input(layouts, at, 0), *n, output(layouts, at, 1), output(layouts, at, 2))
            }
            Kernel::Svd => match dtype {
                DType::F32 => svd::<f32>(layouts, at),
                DType::F64 => svd::<f64>(layouts, at),
                DType::I64 | DType::Bool | DType::Key => wrong_kind(kernel, dtype),
            },
            Kernel::Solve => match dtype {
                DType::F32 => solve::<f32>(layouts, at)?,
                DType::F64 => solve::<f64>(layouts, at)?,
                DType::I64 | DType::Bool | DType::Key => wrong_kind(kernel, dtype),
            },
            Kernel::Fft { inverse } => {
                let n = matrices(&layouts[0]).1;
                match dtype {
                    DType::F32 => fft::fft::<f32>(input(layouts, at, 0), n, *inverse, output(layouts, at, 1)),
                    DType::F64 => fft::fft::<f64>(input(layouts, at, 0), n, *inverse, output(layouts, at, 1)),
                    DType::I64 | DType::Bool | DType::Key => wrong_kind(kernel, dtype),
                }
            }
            Kernel::SingularValues
            | Kernel::Cholesky
            | Kernel::TriangularSolve { .. }
            | Kernel::Det
            | Kernel::SlogDet
            | Kernel::Lu
            | Kernel::Qr
            | Kernel::Eigh
            | Kernel::SpectralQuotient { .. } => match dtype {
                DType::F32 => decomposed::<f32>(kernel, layouts, at)?,
                DType::F64 => decomposed::<f64>(kernel, layouts, at)?,
                DType::I64 | DType::Bool | DType::Key => wrong_kind(kernel, dtype),
            },
        }
    }
    Ok(())
}

unsafe fn product<T: Real>(batch: usize, layouts: &[Layout], at: &[*mut u8]) {
    let [a, b, c] = [0, 1, 2].map(|i| &layouts[i]);
    let (m, k, n) = (a.shape[batch], a.shape[batch + 1], b.shape[batch + 1]);
    let (left, right, to) = (at[0] as *const T, at[1] as *const T, at[2] as *mut T);
    if m == 1 && n == 1 && batch > 0 && k <= SUM_CHUNK && a.strides[batch + 1] == 1 && b.strides[batch] == 1 {
        // Many short sums: a row of them at once.
        let last = batch - 1;
        let [a_next, b_next, out_next] = [a, b, c].map(|layout| layout.strides[last]);
        let outer = [a, b, c].map(|layout| &layout.strides[..last]);
        let level = Level::best();
        return walk::walk(&a.shape[..last], outer, [0; 3], &mut |[ao, bo, co]| unsafe {
            let (a, b, out) = (left.offset(ao), right.offset(bo), to.offset(co));
            T::pairs(level, Pairs { count: c.shape[last], k, a, a_next, b, b_next, out, out_next });
        });
    }
    let outer = [a, b, c].map(|l| &l.strides[..batch]);
    walk::walk(&a.shape[..batch], outer, [0; 3], &mut |[ao, bo, co]| unsafe {
        dot::product::<T>(
            m,
            k,
            n,
            dot::Matrix { at: left.offset(ao), row: a.strides[batch], col: a.strides[batch + 1] },
            dot::Matrix { at: right.offset(bo), row: b.strides[batch], col: b.strides[batch + 1] },
            dot::MatrixMut { at: to.offset(co), row: c.strides[batch], col: c.strides[batch + 1] },
        );
    });
}

fn matrix<T>(at: *const u8, layout: &Layout) -> dot::Matrix<T> {
    dot::Matrix { at: at as *const T, row: layout.strides[0], col: layout.strides[1] }
}

unsafe fn packed<T: Real>(layouts: &[Layout], at: &[*mut u8]) {
    let b = &layouts[0];
    unsafe { dot::pack::<T>(Level::best(), (b.shape[0], b.shape[1]), matrix(at[0], b), at[1] as *mut T) };
}

unsafe fn product_packed<T: Real>(layouts: &[Layout], at: &[*mut u8]) {
    let (a, c) = (&layouts[0], &layouts[2]);
    let to = dot::MatrixMut { at: at[2] as *mut T, row: c.strides[0], col: c.strides[1] };
    let sizes = (a.shape[0], a.shape[1], c.shape[1]);
    unsafe { dot::product_packed::<T>(Level::best(), sizes, matrix(at[0], a), at[1] as *const T, to) };
}

unsafe fn convolution<T: Real>(plan: &conv::Plan, batch: usize, layouts: &[Layout], at: &[*mut u8]) {
    let (x, k) = ((at[0] as *const T, &layouts[0]), (at[1] as *const T, &layouts[1]));
    unsafe { conv::conv(plan, batch, x, k, (at[2] as *mut T, &layouts[2])) };
}

unsafe fn sum<T: Real>(kernel: &Kernel, kept: usize, layouts: &[Layout], at: &[*mut u8]) {
    let (x, out) = (&layouts[0], &layouts[1]);
    let (kept_shape, summed) = x.shape.split_at(kept);
    let (kept_strides, summed_strides) = x.strides.split_at(kept);
    let (from, to) = (at[0] as *const T, at[1] as *mut T);
    unsafe {
        if matches!(kernel, Kernel::SumLast { .. }) {
            reduce::sum_last(kept_shape, summed, from, kept_strides, summed_strides, to, &out.strides);
        } else {
            reduce::sum_other(kept_shape, summed, from, kept_strides, summed_strides, to, &out.strides);
        }
    }
}

unsafe fn sum_parts<T: Real>(layouts: &[Layout], at: &[*mut u8]) {
    let (x, out) = (&layouts[0], &layouts[1]);
    let kept = x.shape.len() - 1;
    let (parts, step) = (x.shape[kept], x.strides[kept]);
    let kept = (&x.shape[..kept], &x.strides[..kept]);
    unsafe { reduce::sum_parts(kept, (parts, step), at[0] as *const T, at[1] as *mut T, &out.strides) };
}

unsafe fn fold<T: Copy>(
    (kept, chain): (usize, bool),
    layouts: &[Layout],
    at: &[*mut u8],
    start: T,
    f: impl Fn(T, T) -> T,
) {
    let (x, out) = (&layouts[0], &layouts[1]);
    let (kept_shape, reduced) = x.shape.split_at(kept);
    let (kept_strides, reduced_strides) = x.strides.split_at(kept);
    let (from, to) = (at[0] as *const T, at[1] as *mut T);
    unsafe {
        reduce::fold(kept_shape, reduced, from, kept_strides, reduced_strides, to, &out.strides, start, chain, f)
    };
}

unsafe fn best<T: Copy + PartialOrd>(layouts: &[Layout], at: &[*mut u8], greatest: bool) {
    let (x, out) = (&layouts[0], &layouts[1]);
    let outer = x.shape.len() - 1;
    let (n, step) = (x.shape[outer], x.strides[outer]);
    walk::walk(&x.shape[..outer], [&x.strides[..outer], &out.strides], [0, 0], &mut |[from, to]| unsafe {
        *(at[1] as *mut i64).offset(to) = order::first_best((n, step), (at[0] as *const T).offset(from), greatest);
    });
}

unsafe fn running<T: Copy>(reverse: bool, layouts: &[Layout], at: &[*mut u8], add: (T, impl Fn(T, T) -> T)) {
    let (x, out) = (&layouts[0], &layouts[1]);
    unsafe {
        reduce::running_sum(&x.shape, reverse, (at[0] as *const T, &x.strides), (at[1] as *mut T, &out.strides), add);
    }
}

unsafe fn access<T: Copy>(
    how: Access,
    x: (*mut u8, &Layout),
    u: (*mut u8, &Layout),
    indices: &[Layout],
    at: &[*mut u8],
    add: impl Fn(T, T) -> T,
) -> Result<(), FaultKind> {
    // Index arrays are few; the list lives on the stack.
    let mut list = [(std::ptr::null::<i64>(), x.1); index::MAX_INDICES];
    let count = indices.len();
    for (slot, (layout, &start)) in list.iter_mut().zip(indices.iter().zip(at)) {
        *slot = (start as *const i64, layout);
    }
    unsafe { index::access(how, (x.0 as *mut T, x.1), (u.0 as *mut T, u.1), &list[..count], add) }
}

/// Operand `i` as a slice.
unsafe fn input<'a, T>(layouts: &[Layout], at: &[*mut u8], i: usize) -> &'a [T] {
    unsafe { standard::slice(at[i], layouts[i].len()) }
}

/// Operand `i` as a slice to write to.
unsafe fn output<'a, T>(layouts: &[Layout], at: &[*mut u8], i: usize) -> &'a mut [T] {
    unsafe { standard::slice_mut(at[i], layouts[i].len()) }
}

unsafe fn draw<T>(each: usize, layouts: &[Layout], at: &[*mut u8], draw: impl Fn(u64, &mut [T])) {
    unsafe { standard::for_keys(input(layouts, at, 0), each, output(layouts, at, 1), draw) };
}

/// The number of matrices in an operand, and the sizes of its last two axes.
fn matrices(layout: &Layout) -> (usize, usize, usize) {
    let rank = layout.shape.len();
    (layout.shape[..rank - 2].iter().product(), layout.shape[rank - 2], layout.shape[rank - 1])
}

unsafe fn svd<T: linalg::Real>(layouts: &[Layout], at: &[*mut u8]) {
    unsafe {
        let (u, s, v) = (output(layouts, at, 1), output(layouts, at, 2), output(layouts, at, 3));
        standard::svd::<T>(matrices(&layouts[0]), input(layouts, at, 0), (u, s, v), output(layouts, at, 4));
    }
}

unsafe fn solve<T: linalg::Real>(layouts: &[Layout], at: &[*mut u8]) -> Result<(), FaultKind> {
    unsafe {
        standard::solve::<T>(
            matrices(&layouts[1]),
            input(layouts, at, 0),
            input(layouts, at, 1),
            output(layouts, at, 2),
            output(layouts, at, 3),
        )
    }
}

/// The kernels of `decompose`.
unsafe fn decomposed<T: linalg::Real>(kernel: &Kernel, layouts: &[Layout], at: &[*mut u8]) -> Result<(), FaultKind> {
    // A quotient's matrix is its second operand.
    let (count, m, n) = matrices(&layouts[usize::from(matches!(kernel, Kernel::SpectralQuotient { .. }))]);
    unsafe {
        let a = input::<T>(layouts, at, 0);
        match kernel {
            Kernel::SingularValues => {
                decompose::singular_values((count, m, n), a, output(layouts, at, 1), output(layouts, at, 2));
            }
            Kernel::Cholesky => decompose::cholesky((count, n), a, output(layouts, at, 1))?,
            Kernel::TriangularSolve { lower } => {
                let sizes = matrices(&layouts[1]);
                decompose::triangular_solve(*lower, sizes, a, input(layouts, at, 1), output(layouts, at, 2))?;
            }
            Kernel::Det => decompose::det((count, n), a, output(layouts, at, 1)),
            Kernel::SlogDet => decompose::slogdet((count, n), a, output(layouts, at, 1), output(layouts, at, 2)),
            Kernel::Lu => {
                let (p, l, u) = (output(layouts, at, 1), output(layouts, at, 2), output(layouts, at, 3));
                decompose::lu((count, m, n), a, p, l, u);
            }
            Kernel::Qr => decompose::qr((count, m, n), a, output(layouts, at, 1), output(layouts, at, 2)),
            Kernel::Eigh => decompose::eigh((count, n), a, output(layouts, at, 1), output(layouts, at, 2)),
            Kernel::SpectralQuotient { by } => {
                decompose::spectral_quotients(*by, (count, m, n), a, input(layouts, at, 1), output(layouts, at, 2))?;
            }
            other => wrong_kind(other, layouts[0].dtype),
        }
    }
    Ok(())
}
