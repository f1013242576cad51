//! The primitive table: one row for each operation, with everything that defines it.
//!
//! A row gives an operation's name, its type rule, its meaning on values and uses of it for tests. The rules of
//! differentiation and batching and the code are exhaustive matches over `Op` elsewhere; the meaning here is what
//! they all must agree with, bit for bit (NaNs count as one value).

pub mod sample;
pub mod shape;
pub mod sums;
pub mod value;

pub mod control;
pub mod decompositions;
pub mod elementary;
pub mod convolution;
pub mod elementwise;
pub mod indexing;
pub mod linalg;
pub mod lu;
pub mod products;
pub mod random;
pub mod reductions;
pub mod structure;
pub mod transforms;

use crate::ir::graph::{Op, Type};
use dp_runtime::fault::FaultKind;
use dp_runtime::tensor::Tensor;
use sample::{Rng, Use};

/// The families of primitives, each a file of rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// Each element of the one result depends on the same element of each operand alone.
    Elementwise,
    /// Constants and moved elements.
    Structure,
    Indexing,
    Reduction,
    Product,
    /// Decompositions and linear systems.
    Linalg,
    /// Fourier transforms.
    Transform,
    Random,
    /// Loops, branches, calls, guards.
    Control,
}

/// What defines one primitive.
pub struct Prim {
    /// The printed name.
    pub name: &'static str,
    /// The first line is the summary.
    pub doc: &'static str,
    pub family: Family,
    /// The operation, if it has neither attributes nor sub-Graphs.
    pub plain: Option<fn() -> Op>,
    /// The types of the results for operands of these types, or why they do not fit.
    pub result: fn(&Op, &[&Type]) -> Result<Vec<Type>, String>,
    /// The meaning: results for operands that fit. Works in place on operands that nobody else holds.
    pub eval: fn(&Op, Vec<Tensor>) -> Result<Vec<Tensor>, FaultKind>,
    /// A random legal use that does not fault, away from kinks.
    pub sample: fn(&mut Rng) -> Use,
    /// Kinks, ties, extremes, sizes 0 and 1. None faults.
    pub special: fn() -> Vec<Use>,
}

/// The printed name of an operation.
pub fn name(op: &Op) -> &'static str {
    row(op).name
}

/// The types of an operation's results for operands of these types, or why they do not fit.
pub fn result(op: &Op, args: &[&Type]) -> Result<Vec<Type>, String> {
    (row(op).result)(op, args)
}

/// The results of an operation for operands that fit its type rule.
pub fn eval(op: &Op, args: &[Tensor]) -> Result<Vec<Tensor>, FaultKind> {
    eval_owned(op, args.to_vec())
}

/// `eval`, in place where nobody else holds an operand.
pub fn eval_owned(op: &Op, args: Vec<Tensor>) -> Result<Vec<Tensor>, FaultKind> {
    (row(op).eval)(op, args)
}

macro_rules! table {
    ($($op:pat => $row:path,)*) => {
        /// The row of an operation.
        pub fn row(op: &Op) -> &'static Prim {
            match op {
                $($op => &$row,)*
            }
        }

        static ROWS: &[&Prim] = &[$(&$row),*];
    };
}

table! {
    Op::Const(_) => structure::CONST,

    Op::Neg => elementwise::NEG,
    Op::Abs => elementwise::ABS,
    Op::Sign => elementwise::SIGN,
    Op::Exp => elementwise::EXP,
    Op::Expm1 => elementwise::EXPM1,
    Op::Log => elementwise::LOG,
    Op::Log1p => elementwise::LOG1P,
    Op::Sqrt => elementwise::SQRT,
    Op::Sin => elementwise::SIN,
    Op::Cos => elementwise::COS,
    Op::Tan => elementwise::TAN,
    Op::Tanh => elementwise::TANH,
    Op::Sigmoid => elementwise::SIGMOID,
    Op::Softplus => elementwise::SOFTPLUS,
    Op::Erf => elementwise::ERF,
    Op::Atan => elementwise::ATAN,
    Op::Log2 => elementary::LOG2,
    Op::Log10 => elementary::LOG10,
    Op::Cbrt => elementary::CBRT,
    Op::Asin => elementary::ASIN,
    Op::Acos => elementary::ACOS,
    Op::Sinh => elementary::SINH,
    Op::Cosh => elementary::COSH,
    Op::Asinh => elementary::ASINH,
    Op::Acosh => elementary::ACOSH,
    Op::Atanh => elementary::ATANH,
    Op::Erfc => elementary::ERFC,
    Op::Lgamma => elementary::LGAMMA,
    Op::Polygamma { .. } => elementary::POLYGAMMA,
    Op::Floor => elementwise::FLOOR,
    Op::Ceil => elementwise::CEIL,
    Op::Round => elementwise::ROUND,

    Op::Add => elementwise::ADD,
    Op::Sub => elementwise::SUB,
    Op::Mul => elementwise::MUL,
    Op::MulZ => elementwise::MULZ,
    Op::Div => elementwise::DIV,
    Op::Pow => elementwise::POW,
    Op::Max => elementwise::MAX,
    Op::Min => elementwise::MIN,
    Op::Atan2 => elementwise::ATAN2,
    Op::Hypot => elementary::HYPOT,
    Op::IntDiv => elementwise::INT_DIV,
    Op::Mod => elementwise::MOD,

    Op::Lt => elementwise::LT,
    Op::Le => elementwise::LE,
    Op::Eq => elementwise::EQ,
    Op::Ne => elementwise::NE,
    Op::And => elementwise::AND,
    Op::Or => elementwise::OR,
    Op::Not => elementwise::NOT,
    Op::Select => elementwise::SELECT,
    Op::Convert(_) => elementwise::CONVERT,
    Op::StopGradient => elementwise::STOP_GRADIENT,

    Op::Broadcast { .. } => structure::BROADCAST,
    Op::Reshape { .. } => structure::RESHAPE,
    Op::Permute { .. } => structure::PERMUTE,
    Op::Slice { .. } => structure::SLICE,
    Op::Pad { .. } => structure::PAD,
    Op::Concat { .. } => structure::CONCAT,
    Op::Reverse { .. } => structure::REVERSE,
    Op::Iota { .. } => structure::IOTA,

    Op::Gather => indexing::GATHER,
    Op::ScatterAdd => indexing::SCATTER_ADD,
    Op::Update => indexing::UPDATE,

    Op::Sum { .. } => reductions::SUM,
    Op::Prod { .. } => reductions::PROD,
    Op::ReduceMax { .. } => reductions::REDUCE_MAX,
    Op::ReduceMin { .. } => reductions::REDUCE_MIN,
    Op::ArgMax { .. } => reductions::ARG_MAX,
    Op::ArgMin { .. } => reductions::ARG_MIN,
    Op::All { .. } => reductions::ALL,
    Op::Any { .. } => reductions::ANY,
    Op::CumSum { .. } => reductions::CUM_SUM,
    Op::Sort => reductions::SORT,

    Op::Dot { .. } => products::DOT,
    Op::Conv { .. } => convolution::CONV,
    Op::Svd => linalg::SVD,
    Op::SingularValues => linalg::SINGULAR_VALUES,
    Op::Solve => linalg::SOLVE,
    Op::Cholesky => decompositions::CHOLESKY,
    Op::TriangularSolve { .. } => decompositions::TRIANGULAR_SOLVE,
    Op::Det => decompositions::DET,
    Op::SlogDet => decompositions::SLOGDET,
    Op::Lu => lu::LU,
    Op::Qr => decompositions::QR,
    Op::Eigh => decompositions::EIGH,
    Op::SpectralQuotient(_) => decompositions::SPECTRAL_QUOTIENT,

    Op::Fft { .. } => transforms::FFT,

    Op::Normal { .. } => random::NORMAL,
    Op::Uniform { .. } => random::UNIFORM,
    Op::Split { .. } => random::SPLIT,
    Op::FoldIn => random::FOLD_IN,
    Op::Permutation { .. } => random::PERMUTATION,

    Op::Scan(_) => control::SCAN,
    Op::Cond { .. } => control::COND,
    Op::Call { .. } => control::CALL,
    Op::Guard(_) => control::GUARD,
}

/// Whether each element of the one result depends on the same element of each operand alone.
pub fn is_elementwise(op: &Op) -> bool {
    row(op).family == Family::Elementwise
}

/// All rows.
pub fn rows() -> &'static [&'static Prim] {
    ROWS
}

/// The operation of a name, if nothing distinguishes its uses.
pub fn plain(name: &str) -> Option<Op> {
    let row = rows().iter().find(|row| row.name == name)?;
    row.plain.map(|op| op())
}

#[cfg(test)]
mod tests;
