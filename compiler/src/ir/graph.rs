//! The Graph: what a program means once its shapes are known.
//!
//! A-normal form with single assignment. Shapes are concrete; operands of elementwise equations have
//! equal shapes (broadcasts are explicit); everything is pure except that a `Guard` may warn or fault.
//! Sub-Graphs occur only in `Scan`, `Cond` and `Call`, and are closed: they see their parameters only.
//! Variables are numbered per Graph. `verify` checks all of this.

use crate::source::Span;
use dp_runtime::kernels::conv::Window;
use dp_runtime::linalg::spectral::Spectral;
use dp_runtime::tensor::{DType, Tensor};
use std::rc::Rc;

/// The type of one variable: element kind and concrete shape.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Type {
    pub dtype: DType,
    pub shape: Vec<usize>,
}

impl Type {
    pub fn new(dtype: DType, shape: &[usize]) -> Type {
        Type { dtype, shape: shape.to_vec() }
    }

    pub fn scalar(dtype: DType) -> Type {
        Type { dtype, shape: Vec::new() }
    }

    pub fn of(tensor: &Tensor) -> Type {
        Type::new(tensor.dtype(), tensor.shape())
    }

    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A variable of one Graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Var(pub u32);

/// `outs = op(args)`.
#[derive(Clone, Debug)]
pub struct Eqn {
    pub op: Op,
    pub args: Vec<Var>,
    pub outs: Vec<Var>,
    pub span: Span,
}

/// A function from `params` to `results`. A result may be a parameter, and may occur twice.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The type of each variable, indexed by `Var`.
    pub types: Vec<Type>,
    pub params: Vec<Var>,
    pub eqns: Vec<Eqn>,
    pub results: Vec<Var>,
}

impl Graph {
    pub fn ty(&self, var: Var) -> &Type {
        &self.types[var.0 as usize]
    }

    pub fn shape(&self, var: Var) -> &[usize] {
        &self.ty(var).shape
    }

    pub fn param_types(&self) -> Vec<Type> {
        self.params.iter().map(|&v| self.ty(v).clone()).collect()
    }

    pub fn result_types(&self) -> Vec<Type> {
        self.results.iter().map(|&v| self.ty(v).clone()).collect()
    }

    pub fn fresh(&mut self, ty: Type) -> Var {
        self.types.push(ty);
        Var(self.types.len() as u32 - 1)
    }

    pub fn add_param(&mut self, ty: Type) -> Var {
        let var = self.fresh(ty);
        self.params.push(var);
        var
    }

    /// Equations including those of sub-Graphs.
    pub fn count_eqns(&self) -> usize {
        self.eqns.iter().map(|eqn| 1 + eqn.op.subgraphs().iter().map(|g| g.count_eqns()).sum::<usize>()).sum()
    }
}

/// How often a `Scan` runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Trips {
    /// `cap` times.
    All,
    /// As often as the last argument, an i64 scalar in 0..=cap, says.
    Input,
    /// Until the body's last result, a bool scalar, is true after a pass, at most `cap` times. The number
    /// of passes that ran is an extra output, an i64 scalar, after all others.
    Until,
}

/// The one loop.
///
/// Arguments: `consts`, then `carries`, then stacked inputs of shape `[cap, ...]`, then the trip count if
/// `Trips::Input`. Body parameters: consts, carries, the counter (an i64 scalar), one slice of each stacked
/// input. Body results: the next carries, one slice of each stacked output, then the stop flag if
/// `Trips::Until`. Outputs: last carries, stacked outputs of shape `[cap, ...]` (row k was written by the pass with
/// counter k; rows of passes that did not run are zero), then the trip count if `Trips::Until`.
/// The counter of a pass runs 0, 1, ...; with `reverse` it runs trips-1, ..., 0. Rows are taken at the counter.
#[derive(Clone, Debug)]
pub struct Scan {
    pub body: Rc<Graph>,
    pub consts: usize,
    pub carries: usize,
    pub cap: usize,
    pub trips: Trips,
    pub reverse: bool,
}

impl Scan {
    /// The number of stacked inputs.
    pub fn stacked_ins(&self) -> usize {
        self.body.params.len() - self.consts - self.carries - 1
    }

    /// The number of stacked outputs.
    pub fn stacked_outs(&self) -> usize {
        self.body.results.len() - self.carries - usize::from(self.trips == Trips::Until)
    }
}

/// What differentiation does with a `Call`. Calls are inlined after differentiation.
#[derive(Clone, Debug)]
pub enum CallRule {
    /// Differentiate the body.
    Inline,
    /// The user's derivative. Parameters of the Graph: the call's arguments, its results, one tangent for
    /// each floating argument; results: one tangent for each floating result. Linear in the tangents.
    Tangent(Rc<Graph>),
    /// Differentiate the body, but store its arguments only and run it again in the reverse pass.
    Recompute,
    /// The body is a method that solves `A x = b` for a linear operator A: its last argument is b, its one result is x. It is
    /// differentiated by the equation, whatever the method is. All Graphs have the call's parameters, b or x the last, and one result.
    Solve {
        /// `A x`, linear in x.
        operator: Rc<Graph>,
        /// `A' x`
        adjoint: Rc<Graph>,
        /// Solves `A' x = b`.
        turned: Rc<Graph>,
    },
}

impl CallRule {
    /// The rule with each of its Graphs replaced.
    pub fn map(&self, f: &mut dyn FnMut(&Rc<Graph>) -> Rc<Graph>) -> CallRule {
        match self {
            CallRule::Inline => CallRule::Inline,
            CallRule::Recompute => CallRule::Recompute,
            CallRule::Tangent(tangent) => CallRule::Tangent(f(tangent)),
            CallRule::Solve { operator, adjoint, turned } => {
                CallRule::Solve { operator: f(operator), adjoint: f(adjoint), turned: f(turned) }
            }
        }
    }
}

/// What a `Guard` reports when its predicate is false.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Guard {
    /// Warn once that the named solver stopped at its cap without meeting its rule.
    Unconverged { solver: Rc<str> },
    /// Fault: the implicit derivative of an unconverged point.
    NotAtFixedPoint { solver: Rc<str> },
}

/// Operations. One row in `prims` for each; no code matches them with a wildcard.
#[derive(Clone, Debug)]
pub enum Op {
    /// A constant of any shape.
    Const(Tensor),

    // Elementwise, float to float.
    Neg,
    Abs,
    /// -1, 0 or 1; 0 at both zeros; NaN at NaN. Also on i64.
    Sign,
    Exp,
    Expm1,
    Log,
    Log1p,
    Sqrt,
    Sin,
    Cos,
    Tan,
    Tanh,
    /// 1 / (1 + exp(-x)), stable.
    Sigmoid,
    /// log(1 + exp(x)), stable.
    Softplus,
    Erf,
    Atan,
    Log2,
    Log10,
    Cbrt,
    Asin,
    Acos,
    Sinh,
    Cosh,
    Asinh,
    Acosh,
    Atanh,
    /// 1 - erf(x), accurate where it is small.
    Erfc,
    /// log |Gamma(x)|.
    Lgamma,
    /// The derivative of that order of digamma, the derivative of `Lgamma`.
    Polygamma {
        order: usize,
    },
    Floor,
    Ceil,
    /// Ties to even.
    Round,

    // Elementwise, two operands of one kind. `Add Sub Mul Neg Abs Sign Max Min` also on i64 (wrapping).
    Add,
    Sub,
    Mul,
    /// `a*b`, but 0 where it is NaN and a factor is 0. Floats only; differentiation introduces it.
    MulZ,
    Div,
    Pow,
    Max,
    Min,
    Atan2,
    /// sqrt(a^2 + b^2)
    Hypot,
    /// i64, rounding toward minus infinity; division by zero is a fault.
    IntDiv,
    /// i64, with the divisor's sign; division by zero is a fault.
    Mod,

    // Elementwise comparisons of two operands of one kind, to bool. NaN compares false, except in `Ne`.
    Lt,
    Le,
    Eq,
    Ne,

    // Elementwise on bool.
    And,
    Or,
    Not,

    /// `select(mask, yes, no)`, all of one shape.
    Select,
    /// To another kind: int to float rounds to nearest, float to int toward zero (saturating, NaN to 0), bool to 0 and 1.
    Convert(DType),
    /// The identity with zero derivative.
    StopGradient,

    // Structure. All are linear where the operand is float.
    /// Operand axis i becomes result axis `axes[i]` (ascending), of equal size; other result axes are new.
    Broadcast {
        shape: Vec<usize>,
        axes: Vec<usize>,
    },
    Reshape {
        shape: Vec<usize>,
    },
    /// Result axis i is operand axis `perm[i]`.
    Permute {
        perm: Vec<usize>,
    },
    /// Per axis: `start <= i < stop` in steps of `stride >= 1`.
    Slice {
        start: Vec<usize>,
        stop: Vec<usize>,
        stride: Vec<usize>,
    },
    /// Zeros around (`low`, `high`) and between (`interior`) the elements of each axis.
    Pad {
        low: Vec<usize>,
        high: Vec<usize>,
        interior: Vec<usize>,
    },
    /// Any number of operands (at least one).
    Concat {
        axis: usize,
    },
    Reverse {
        axes: Vec<usize>,
    },
    /// `result[..., i, ...] = i` along `axis`, i64. No operands.
    Iota {
        shape: Vec<usize>,
        axis: usize,
    },

    // Indexing. Every index is checked: out of range is a fault.
    /// `gather(x, i1, ..., in)`: the n index arrays (i64, one shape I) index the n leading axes of x;
    /// the result has shape I ++ rest of x.
    Gather,
    /// `scatter_add(acc, u, i1, ..., in)`: acc with u (shape I ++ rest) added at the indices, in row-major order of I.
    ScatterAdd,
    /// `update(x, u, i1, ..., in)` with scalar indices: x with the part at the indices replaced by u.
    Update,

    // Reductions over the listed axes (ascending, dropped from the result).
    Sum {
        axes: Vec<usize>,
    },
    Prod {
        axes: Vec<usize>,
    },
    ReduceMax {
        axes: Vec<usize>,
    },
    ReduceMin {
        axes: Vec<usize>,
    },
    /// First index of the greatest element along one axis, i64.
    ArgMax {
        axis: usize,
    },
    ArgMin {
        axis: usize,
    },
    /// On bool.
    All {
        axes: Vec<usize>,
    },
    Any {
        axes: Vec<usize>,
    },
    /// Running sums along one axis, from the end if `reverse`.
    CumSum {
        axis: usize,
        reverse: bool,
    },
    /// Stable ascending sort along the last axis: sorted values and their original indices (two outputs). NaN last.
    Sort,

    /// `[B..., M, K] x [B..., K, N] -> [B..., M, N]` with `batch` leading axes in common.
    Dot {
        batch: usize,
    },
    /// `[B..., N, C, H, W] x [B..., O, C, P, Q] -> [B..., N, O, Y, X]` with `batch` leading axes in common: for each
    /// image n and channel o the sum over (c, t, u) of `k[o, c, t, u]` times the element of `x[n, c]` that the
    /// window says (`Window::source`), where there is one. The kernel is not flipped.
    Conv {
        batch: usize,
        window: Window,
    },
    /// Thin singular value decomposition of `[B..., m, n]`, k = min(m, n): `U [B..., m, k]`, `s [B..., k]` descending, `V [B..., n, k]`.
    /// Signs: the entry of largest magnitude in each column of U is positive.
    Svd,
    /// The singular values of `[B..., m, n]`, `[B..., k]` descending, k = min(m, n). They agree with those of `Svd` to rounding.
    SingularValues,
    /// `solve(A, b)`: `[B..., n, n]`, `[B..., n, p]` -> `[B..., n, p]` by LU. A singular matrix is a fault.
    Solve,
    /// The lower factor of the symmetric part of `[B..., n, n]`; a matrix that is not positive definite is a fault.
    Cholesky,
    /// `triangular_solve(T, b)` like `Solve`, reading one triangle of T only. A zero on its diagonal is a fault.
    TriangularSolve {
        lower: bool,
    },
    /// `[B..., n, n]` -> `[B...]`
    Det,
    /// `[B..., n, n]` -> signs `[B...]`, logarithms of sizes `[B...]`.
    SlogDet,
    /// `[B..., m, n]`, k = min(m, n) -> the order of the rows p `[B..., m]` (i64), `L [B..., m, k]`, `U [B..., k, n]` with `A[p] = L U`.
    Lu,
    /// `[B..., m, n]`, k = min(m, n) -> `Q [B..., m, k]`, `R [B..., k, n]` with a diagonal that is not negative.
    Qr,
    /// The symmetric part of `[B..., n, n]` -> eigenvalues `[B..., n]` ascending, eigenvectors `[B..., n, n]` (columns, signs as in `Svd`).
    Eigh,
    /// `spectral_quotient(s, X)`: `[B..., k]`, `[B..., r, k]` -> `[B..., r, k]`. Linear in X; differentiation introduces it. A quotient
    /// that does not exist is a fault.
    SpectralQuotient(Spectral),
    /// Discrete Fourier transforms of `[B..., n, 2]`, complex numbers as pairs, with a plus in the exponent if `inverse`. Nothing is
    /// divided by n, so that the transpose is the other direction.
    Fft {
        inverse: bool,
    },

    /// Keys to draws: one key of any shape S gives floats of shape S ++ shape. Standard normal.
    Normal {
        shape: Vec<usize>,
        dtype: DType,
    },
    /// Uniform in [0, 1).
    Uniform {
        shape: Vec<usize>,
        dtype: DType,
    },
    /// Keys of shape S to keys of shape S ++ [n].
    Split {
        n: usize,
    },
    /// `fold_in(key, int)`: the key named by a key and an integer, elementwise.
    FoldIn,
    /// Keys of shape S to i64 of shape S ++ [n]: a random permutation of 0..n.
    Permutation {
        n: usize,
    },

    Scan(Scan),
    /// `cond(pred, args...)`: a bool scalar; both sides take the args and give the same types.
    Cond {
        then: Rc<Graph>,
        otherwise: Rc<Graph>,
    },
    Call {
        body: Rc<Graph>,
        rule: CallRule,
    },
    /// `guard(pred, x...)` gives x...; when the bool scalar is false it warns or faults. Linear in x.
    Guard(Guard),
}

impl Op {
    /// The axes of its operand that a reduction drops; `None` for other operations, and for those that find places.
    pub fn reduced_axes(&self) -> Option<&[usize]> {
        match self {
            Op::Sum { axes }
            | Op::Prod { axes }
            | Op::ReduceMax { axes }
            | Op::ReduceMin { axes }
            | Op::All { axes }
            | Op::Any { axes } => Some(axes),
            _ => None,
        }
    }

    /// The closed Graphs inside, in order.
    pub fn subgraphs(&self) -> Vec<&Rc<Graph>> {
        match self {
            Op::Scan(scan) => vec![&scan.body],
            Op::Cond { then, otherwise } => vec![then, otherwise],
            Op::Call { body, rule: CallRule::Tangent(tangent) } => vec![body, tangent],
            Op::Call { body, rule: CallRule::Inline | CallRule::Recompute } => vec![body],
            Op::Call { body, rule: CallRule::Solve { operator, adjoint, turned } } => {
                vec![body, operator, adjoint, turned]
            }
            _ => Vec::new(),
        }
    }
}
