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
pub mod convolution;
pub mod elementwise;
pub mod indexing;
pub mod linalg;
pub mod products;
pub mod random;
pub mod reductions;
pub mod structure;

use crate::ir::graph::{Op, Type};
use dp_runtime::fault::FaultKind;
use dp_runtime::tensor::Tensor;
use sample::{Rng, Use};

/// What defines one primitive.
pub struct Prim {
    /// The printed name.
    pub name: &'static str,
    /// The first line is the summary.
    pub doc: &'static str,
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

/// The row of an operation.
pub fn row(op: &Op) -> &'static Prim {
    match op {
        Op::Const(_) => &structure::CONST,

        Op::Neg => &elementwise::NEG,
        Op::Abs => &elementwise::ABS,
        Op::Sign => &elementwise::SIGN,
        Op::Exp => &elementwise::EXP,
        Op::Expm1 => &elementwise::EXPM1,
        Op::Log => &elementwise::LOG,
        Op::Log1p => &elementwise::LOG1P,
        Op::Sqrt => &elementwise::SQRT,
        Op::Sin => &elementwise::SIN,
        Op::Cos => &elementwise::COS,
        Op::Tan => &elementwise::TAN,
        Op::Tanh => &elementwise::TANH,
        Op::Sigmoid => &elementwise::SIGMOID,
        Op::Softplus => &elementwise::SOFTPLUS,
        Op::Erf => &elementwise::ERF,
        Op::Atan => &elementwise::ATAN,
        Op::Floor => &elementwise::FLOOR,
        Op::Ceil => &elementwise::CEIL,
        Op::Round => &elementwise::ROUND,

        Op::Add => &elementwise::ADD,
        Op::Sub => &elementwise::SUB,
        Op::Mul => &elementwise::MUL,
        Op::MulZ => &elementwise::MULZ,
        Op::Div => &elementwise::DIV,
        Op::Pow => &elementwise::POW,
        Op::Max => &elementwise::MAX,
        Op::Min => &elementwise::MIN,
        Op::Atan2 => &elementwise::ATAN2,
        Op::IntDiv => &elementwise::INT_DIV,
        Op::Mod => &elementwise::MOD,

        Op::Lt => &elementwise::LT,
        Op::Le => &elementwise::LE,
        Op::Eq => &elementwise::EQ,
        Op::Ne => &elementwise::NE,
        Op::And => &elementwise::AND,
        Op::Or => &elementwise::OR,
        Op::Not => &elementwise::NOT,
        Op::Select => &elementwise::SELECT,
        Op::Convert(_) => &elementwise::CONVERT,
        Op::StopGradient => &elementwise::STOP_GRADIENT,

        Op::Broadcast { .. } => &structure::BROADCAST,
        Op::Reshape { .. } => &structure::RESHAPE,
        Op::Permute { .. } => &structure::PERMUTE,
        Op::Slice { .. } => &structure::SLICE,
        Op::Pad { .. } => &structure::PAD,
        Op::Concat { .. } => &structure::CONCAT,
        Op::Reverse { .. } => &structure::REVERSE,
        Op::Iota { .. } => &structure::IOTA,

        Op::Gather => &indexing::GATHER,
        Op::ScatterAdd => &indexing::SCATTER_ADD,
        Op::Update => &indexing::UPDATE,

        Op::Sum { .. } => &reductions::SUM,
        Op::Prod { .. } => &reductions::PROD,
        Op::ReduceMax { .. } => &reductions::REDUCE_MAX,
        Op::ReduceMin { .. } => &reductions::REDUCE_MIN,
        Op::ArgMax { .. } => &reductions::ARG_MAX,
        Op::ArgMin { .. } => &reductions::ARG_MIN,
        Op::All { .. } => &reductions::ALL,
        Op::Any { .. } => &reductions::ANY,
        Op::CumSum { .. } => &reductions::CUM_SUM,
        Op::Sort => &reductions::SORT,

        Op::Dot { .. } => &products::DOT,
        Op::Conv { .. } => &convolution::CONV,
        Op::Svd => &linalg::SVD,
        Op::Solve => &linalg::SOLVE,

        Op::Normal { .. } => &random::NORMAL,
        Op::Uniform { .. } => &random::UNIFORM,
        Op::Split { .. } => &random::SPLIT,
        Op::FoldIn => &random::FOLD_IN,
        Op::Permutation { .. } => &random::PERMUTATION,

        Op::Scan(_) => &control::SCAN,
        Op::Cond { .. } => &control::COND,
        Op::Call { .. } => &control::CALL,
        Op::Guard(_) => &control::GUARD,
    }
}

/// Whether each element of the one result depends on the same element of each operand alone.
pub fn is_elementwise(op: &Op) -> bool {
    match op {
        Op::Neg
        | Op::Abs
        | Op::Sign
        | Op::Exp
        | Op::Expm1
        | Op::Log
        | Op::Log1p
        | Op::Sqrt
        | Op::Sin
        | Op::Cos
        | Op::Tan
        | Op::Tanh
        | Op::Sigmoid
        | Op::Softplus
        | Op::Erf
        | Op::Atan
        | Op::Floor
        | Op::Ceil
        | Op::Round
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::MulZ
        | Op::Div
        | Op::Pow
        | Op::Max
        | Op::Min
        | Op::Atan2
        | Op::IntDiv
        | Op::Mod
        | Op::Lt
        | Op::Le
        | Op::Eq
        | Op::Ne
        | Op::And
        | Op::Or
        | Op::Not
        | Op::Select
        | Op::Convert(_)
        | Op::StopGradient
        | Op::FoldIn => true,
        Op::Const(_)
        | Op::Broadcast { .. }
        | Op::Reshape { .. }
        | Op::Permute { .. }
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Concat { .. }
        | Op::Reverse { .. }
        | Op::Iota { .. }
        | Op::Gather
        | Op::ScatterAdd
        | Op::Update
        | Op::Sum { .. }
        | Op::Prod { .. }
        | Op::ReduceMax { .. }
        | Op::ReduceMin { .. }
        | Op::ArgMax { .. }
        | Op::ArgMin { .. }
        | Op::All { .. }
        | Op::Any { .. }
        | Op::CumSum { .. }
        | Op::Sort
        | Op::Dot { .. }
        | Op::Conv { .. }
        | Op::Svd
        | Op::Solve
        | Op::Normal { .. }
        | Op::Uniform { .. }
        | Op::Split { .. }
        | Op::Permutation { .. }
        | Op::Scan(_)
        | Op::Cond { .. }
        | Op::Call { .. }
        | Op::Guard(_) => false,
    }
}

/// All rows.
pub fn rows() -> &'static [&'static Prim] {
    &ROWS
}

static ROWS: [&Prim; 75] = [
    &structure::CONST,
    &elementwise::NEG,
    &elementwise::ABS,
    &elementwise::SIGN,
    &elementwise::EXP,
    &elementwise::EXPM1,
    &elementwise::LOG,
    &elementwise::LOG1P,
    &elementwise::SQRT,
    &elementwise::SIN,
    &elementwise::COS,
    &elementwise::TAN,
    &elementwise::TANH,
    &elementwise::SIGMOID,
    &elementwise::SOFTPLUS,
    &elementwise::ERF,
    &elementwise::ATAN,
    &elementwise::FLOOR,
    &elementwise::CEIL,
    &elementwise::ROUND,
    &elementwise::ADD,
    &elementwise::SUB,
    &elementwise::MUL,
    &elementwise::MULZ,
    &elementwise::DIV,
    &elementwise::POW,
    &elementwise::MAX,
    &elementwise::MIN,
    &elementwise::ATAN2,
    &elementwise::INT_DIV,
    &elementwise::MOD,
    &elementwise::LT,
    &elementwise::LE,
    &elementwise::EQ,
    &elementwise::NE,
    &elementwise::AND,
    &elementwise::OR,
    &elementwise::NOT,
    &elementwise::SELECT,
    &elementwise::CONVERT,
    &elementwise::STOP_GRADIENT,
    &structure::BROADCAST,
    &structure::RESHAPE,
    &structure::PERMUTE,
    &structure::SLICE,
    &structure::PAD,
    &structure::CONCAT,
    &structure::REVERSE,
    &structure::IOTA,
    &indexing::GATHER,
    &indexing::SCATTER_ADD,
    &indexing::UPDATE,
    &reductions::SUM,
    &reductions::PROD,
    &reductions::REDUCE_MAX,
    &reductions::REDUCE_MIN,
    &reductions::ARG_MAX,
    &reductions::ARG_MIN,
    &reductions::ALL,
    &reductions::ANY,
    &reductions::CUM_SUM,
    &reductions::SORT,
    &products::DOT,
    &convolution::CONV,
    &linalg::SVD,
    &linalg::SOLVE,
    &random::NORMAL,
    &random::UNIFORM,
    &random::SPLIT,
    &random::FOLD_IN,
    &random::PERMUTATION,
    &control::SCAN,
    &control::COND,
    &control::CALL,
    &control::GUARD,
];

#[cfg(test)]
mod tests;
