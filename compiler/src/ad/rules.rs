//! What differentiation knows about each operation: the kind of its derivative, and the derivative itself
//! for operations without sub-Graphs. Every match is over all operations, so that a new one has to be thought of.

pub mod arrays;
mod decompositions;
mod elementwise;

use super::linearize::Lin;
use crate::ir::graph::{Eqn, Op, Var};
use crate::prims::{self, Family};
use dp_runtime::tensor::DType;

/// The kind of an operation's derivative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Derivative {
    /// No result has a tangent.
    Zero,
    /// Linear in all its floating operands together: the tangent is the operation itself, applied to tangents.
    Linear,
    /// Linear in each of its two operands.
    Bilinear,
    /// Elementwise: the sum of a partial derivative times a tangent, over the operands.
    Partials,
    /// A rule of its own.
    Custom,
}

/// The kind of an operation's derivative.
pub fn derivative(op: &Op) -> Derivative {
    match op {
        Op::Const(_) | Op::Sign | Op::Floor | Op::Ceil | Op::Round | Op::IntDiv | Op::Mod => Derivative::Zero,
        Op::Lt | Op::Le | Op::Eq | Op::Ne | Op::And | Op::Or | Op::Not => Derivative::Zero,
        Op::StopGradient | Op::Iota { .. } | Op::ArgMax { .. } | Op::ArgMin { .. } => Derivative::Zero,
        Op::All { .. } | Op::Any { .. } => Derivative::Zero,
        Op::Normal { .. } | Op::Uniform { .. } | Op::Split { .. } => Derivative::Zero,
        Op::FoldIn | Op::Permutation { .. } => Derivative::Zero,
        Op::Convert(DType::I64 | DType::Bool | DType::Key) => Derivative::Zero,
        Op::Convert(DType::F32 | DType::F64) => Derivative::Linear,
        Op::Neg | Op::Add | Op::Sub | Op::Select => Derivative::Linear,
        Op::Broadcast { .. } | Op::Reshape { .. } | Op::Permute { .. } | Op::Slice { .. } => Derivative::Linear,
        Op::Pad { .. } | Op::Concat { .. } | Op::Reverse { .. } => Derivative::Linear,
        Op::Gather | Op::ScatterAdd | Op::Update => Derivative::Linear,
        Op::Sum { .. } | Op::CumSum { .. } | Op::Fft { .. } => Derivative::Linear,
        Op::Guard(_) => Derivative::Custom,
        Op::Mul | Op::MulZ | Op::Dot { .. } | Op::Conv { .. } => Derivative::Bilinear,
        Op::Abs | Op::Exp | Op::Expm1 | Op::Log | Op::Log1p | Op::Sqrt => Derivative::Partials,
        Op::Sin | Op::Cos | Op::Tan | Op::Tanh | Op::Sigmoid | Op::Softplus | Op::Erf | Op::Atan => {
            Derivative::Partials
        }
        Op::Log2 | Op::Log10 | Op::Cbrt | Op::Asin | Op::Acos | Op::Sinh | Op::Cosh => Derivative::Partials,
        Op::Asinh | Op::Acosh | Op::Atanh | Op::Erfc | Op::Lgamma | Op::Polygamma { .. } => Derivative::Partials,
        Op::Div | Op::Pow | Op::Atan2 | Op::Hypot => Derivative::Partials,
        Op::Max | Op::Min => Derivative::Custom,
        Op::Prod { .. } | Op::ReduceMax { .. } | Op::ReduceMin { .. } | Op::Sort => Derivative::Custom,
        Op::Svd | Op::SingularValues | Op::Solve | Op::Cholesky | Op::TriangularSolve { .. } => Derivative::Custom,
        Op::Det | Op::SlogDet | Op::Lu | Op::Qr | Op::Eigh | Op::SpectralQuotient(_) => Derivative::Custom,
        Op::Scan(_) | Op::Cond { .. } | Op::Call { .. } => Derivative::Custom,
    }
}

/// Could evaluating it end in a fault or a warning?
pub fn can_fault(op: &Op) -> bool {
    match op {
        Op::IntDiv | Op::Mod | Op::Gather | Op::ScatterAdd | Op::Update | Op::Solve | Op::Guard(_) => true,
        Op::Cholesky | Op::TriangularSolve { .. } | Op::SpectralQuotient(_) => true,
        Op::Scan(_) | Op::Cond { .. } | Op::Call { .. } => true,
        _ => false,
    }
}

/// Does it only spread few numbers over many? Making its result again costs less than reading it.
pub fn is_filler(op: &Op) -> bool {
    matches!(op, Op::Const(_) | Op::Iota { .. } | Op::Broadcast { .. })
}

/// Is it so cheap that a reverse loop does it again rather than have its result stored?
pub fn is_cheap(op: &Op) -> bool {
    match op {
        Op::FoldIn => false,
        elementwise if prims::is_elementwise(elementwise) => true,
        Op::Const(_) | Op::Broadcast { .. } | Op::Reshape { .. } | Op::Permute { .. } | Op::Slice { .. } => true,
        Op::Reverse { .. } | Op::Iota { .. } | Op::Gather => true,
        _ => false,
    }
}

/// The tangents of the results of an equation without sub-Graphs.
///
/// `args` and `outs` are variables of `lin.primal`, where the equation stands already; `dargs` are the operands'
/// tangents in `lin.tangent`, at least one of them present.
pub fn tangents(lin: &mut Lin, eqn: &Eqn, args: &[Var], outs: &[Var], dargs: &[Option<Var>]) -> Vec<Option<Var>> {
    match derivative(&eqn.op) {
        Derivative::Zero => vec![None; outs.len()],
        Derivative::Linear => vec![linear(lin, &eqn.op, args, dargs)],
        Derivative::Bilinear => vec![bilinear(lin, &eqn.op, args, dargs)],
        Derivative::Partials => {
            let mut total = None;
            for (i, &darg) in dargs.iter().enumerate() {
                if let Some(darg) = darg {
                    let partial = elementwise::partial(&mut lin.primal, &eqn.op, i, args, outs[0]);
                    let partial = lin.capture(partial);
                    let term = lin.tangent.op(Op::MulZ, &[partial, darg]);
                    total = lin.add(total, Some(term));
                }
            }
            vec![total]
        }
        Derivative::Custom => match prims::row(&eqn.op).family {
            Family::Linalg => decompositions::tangents(lin, &eqn.op, args, outs, dargs),
            _ => arrays::tangents(lin, eqn, args, outs, dargs),
        },
    }
}

fn linear(lin: &mut Lin, op: &Op, args: &[Var], dargs: &[Option<Var>]) -> Option<Var> {
    match op {
        Op::Add => return lin.add(dargs[0], dargs[1]),
        Op::Sub => {
            return match (dargs[0], dargs[1]) {
                (Some(da), Some(db)) => Some(lin.tangent.sub(da, db)),
                (Some(da), None) => Some(da),
                (None, Some(db)) => Some(lin.tangent.neg(db)),
                (None, None) => None,
            };
        }
        _ => {}
    }
    let mut operands = Vec::with_capacity(args.len());
    for (&arg, &darg) in args.iter().zip(dargs) {
        operands.push(match darg {
            Some(darg) => darg,
            None if lin.primal.ty(arg).dtype.is_float() => {
                let ty = lin.primal.ty(arg).clone();
                lin.tangent.zeros(&ty)
            }
            None => lin.capture(arg),
        });
    }
    Some(lin.tangent.op(op.clone(), &operands))
}

// d(a*b) = da*b + a*db, with a product between elements that zeros annihilate.
fn bilinear(lin: &mut Lin, op: &Op, args: &[Var], dargs: &[Option<Var>]) -> Option<Var> {
    let op = match op {
        Op::Mul => Op::MulZ,
        other => other.clone(),
    };
    let left = dargs[0].map(|da| {
        let b = lin.capture(args[1]);
        lin.tangent.op(op.clone(), &[da, b])
    });
    let right = dargs[1].map(|db| {
        let a = lin.capture(args[0]);
        lin.tangent.op(op.clone(), &[a, db])
    });
    lin.add(left, right)
}
