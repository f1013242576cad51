//! The result types of the built-in functions, one arm for each.

mod given;
mod matrices;
mod reduction;
mod shape;
mod windows;

use super::Ctx;
use super::call::Arg;
use super::dim::{Dim, Poly};
use super::fit;
use super::operator::{Shape, broadcast};
use super::report;
use super::ty::{Array, Kind, Ty};
use crate::builtins::{self, Builtin};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use given::{ANY, Given, INTS, KEYS, NUMBERS};

/// The result of calling a built-in function.
pub fn apply(ctx: &mut Ctx, builtin: Builtin, args: &[Arg], span: Span) -> Ty {
    let Some(row) = builtins::ROWS.iter().find(|row| row.builtin == builtin) else {
        panic!("internal error: {builtin:?} has no row");
    };
    let given = Given { name: row.name, usage: row.usage, args, span };
    if args.iter().any(|arg| arg.blank) {
        return Ty::Unknown;
    }
    if args.iter().any(|arg| arg.generator) {
        return reduction::generator(ctx, builtin, &given);
    }
    result(ctx, builtin, &given).unwrap_or(Ty::Unknown)
}

/// `None` after a reported mistake, or when nothing can be said.
fn result(ctx: &mut Ctx, builtin: Builtin, given: &Given) -> Option<Ty> {
    match builtin {
        Builtin::Exp | Builtin::Expm1 | Builtin::Log | Builtin::Log1p | Builtin::Sqrt | Builtin::Sin | Builtin::Cos => {
            elementwise(ctx, given, Some(Kind::Real))
        }
        Builtin::Tan | Builtin::Tanh | Builtin::Sigmoid | Builtin::Softplus | Builtin::Erf | Builtin::Atan => {
            elementwise(ctx, given, Some(Kind::Real))
        }
        Builtin::Log2 | Builtin::Log10 | Builtin::Cbrt | Builtin::Asin | Builtin::Acos | Builtin::Sinh => {
            elementwise(ctx, given, Some(Kind::Real))
        }
        Builtin::Cosh | Builtin::Asinh | Builtin::Acosh | Builtin::Atanh | Builtin::Erfc | Builtin::Lgamma => {
            elementwise(ctx, given, Some(Kind::Real))
        }
        Builtin::Digamma => elementwise(ctx, given, Some(Kind::Real)),
        Builtin::Polygamma => {
            given.count(ctx, 2..=2, &[])?;
            given.int(ctx, 0)?;
            Some(Ty::shaped(Kind::Real, given.array(ctx, 1, NUMBERS)?.dims))
        }
        Builtin::Abs | Builtin::Sign => elementwise(ctx, given, None),
        Builtin::Floor | Builtin::Ceil | Builtin::Round => elementwise(ctx, given, Some(Kind::Int)),
        Builtin::Atan2 | Builtin::Hypot => {
            given.count(ctx, 2..=2, &[])?;
            let dims = common_shape(ctx, given, 0, 1, NUMBERS)?;
            Some(Ty::shaped(Kind::Real, dims))
        }
        Builtin::Max | Builtin::Min => largest(ctx, builtin, given),
        Builtin::Where => where_(ctx, given),
        Builtin::Sum | Builtin::Prod | Builtin::Mean | Builtin::All | Builtin::Any => {
            reduction::reduce(ctx, builtin, given)
        }
        Builtin::Var | Builtin::Std => match reduction::reduce(ctx, Builtin::Mean, given)? {
            Ty::Array(array) => Some(Ty::shaped(Kind::Real, array.dims)),
            other => Some(other),
        },
        Builtin::TopK | Builtin::KeepTop => windows::largest(ctx, builtin, given),
        Builtin::Sumsq | Builtin::Norm | Builtin::Norm1 => {
            given.count(ctx, 1..=1, &[])?;
            given.array(ctx, 0, NUMBERS)?;
            Some(Ty::real())
        }
        Builtin::Count => {
            given.count(ctx, 1..=1, &[])?;
            given.array(ctx, 0, given::NUMBERS_OR_BOOLS)?;
            Some(Ty::int())
        }
        Builtin::Argmax
        | Builtin::Argmin
        | Builtin::Logsumexp
        | Builtin::Softmax
        | Builtin::Cumsum
        | Builtin::Cumprod => reduction::along_axis(ctx, builtin, given),
        Builtin::Sort | Builtin::Argsort => {
            given.count(ctx, 1..=1, &[])?;
            let array = given.array(ctx, 0, NUMBERS)?;
            reduction::has_axes(ctx, given, &array)?;
            let kind = if builtin == Builtin::Argsort { Kind::Int } else { array.kind };
            Some(Ty::shaped(kind, array.dims))
        }
        Builtin::Quantile => {
            given.count(ctx, 2..=2, &[])?;
            let array = given.array(ctx, 0, NUMBERS)?;
            let share = given.array(ctx, 1, NUMBERS)?;
            reduction::has_axes(ctx, given, &array)?;
            match (&array.dims, &share.dims) {
                (Some(dims), Some(share)) if share.is_empty() => {
                    Some(Ty::array(Kind::Real, dims[..dims.len() - 1].to_vec()))
                }
                _ => Some(Ty::any_rank(Kind::Real)),
            }
        }
        Builtin::Zeros | Builtin::Ones => {
            given.count(ctx, 0..=usize::MAX, &[])?;
            Some(Ty::shaped(Kind::Real, given.sizes(ctx, 0)?))
        }
        Builtin::Eye => {
            given.count(ctx, 1..=1, &[])?;
            let n = given.size(ctx, 0)?;
            Some(Ty::array(Kind::Real, vec![n.clone(), n]))
        }
        Builtin::Range => {
            given.count(ctx, 1..=2, &[])?;
            let first = given.int(ctx, 0)?;
            let length = match given.args.len() {
                1 => first,
                _ => given.int(ctx, 1)?.combine(&first, Poly::sub),
            };
            let negative = length.as_constant().is_some_and(|length| length < 0);
            Some(Ty::array(Kind::Int, vec![if negative { Dim::Unknown } else { length }]))
        }
        Builtin::Reshape => shape::reshape(ctx, given),
        Builtin::Flat => shape::flat(ctx, given),
        Builtin::Concat => shape::concat(ctx, given),
        Builtin::Permute => shape::permute(ctx, given),
        Builtin::Reverse => shape::reverse(ctx, given),
        Builtin::Broadcast => shape::broadcast_to(ctx, given),
        Builtin::Diag => shape::diag(ctx, given),
        Builtin::OneHot => {
            given.count(ctx, 2..=2, &[])?;
            let index = given.array(ctx, 0, INTS)?;
            let classes = given.size(ctx, 1)?;
            Some(Ty::shaped(Kind::Real, index.dims.map(|dims| [dims, vec![classes]].concat())))
        }
        Builtin::Gather => shape::gather(ctx, given),
        Builtin::ScatterAdd => shape::scatter_add(ctx, given),
        Builtin::Pad => windows::pad(ctx, given),
        Builtin::Roll => windows::roll(ctx, given),
        Builtin::Conv1 | Builtin::Conv2 | Builtin::Conv1Adjoint | Builtin::Conv2Adjoint => {
            windows::conv(ctx, builtin, given)
        }
        Builtin::PoolMax | Builtin::PoolMean | Builtin::PoolTop => windows::pool(ctx, builtin, given),
        Builtin::Resize2 => windows::resize(ctx, given),
        Builtin::Opnorm => {
            given.count(ctx, 1..=1, &[])?;
            let matrix = given.array(ctx, 0, NUMBERS)?;
            rank(ctx, given, 0, &matrix, 2, "a matrix")?;
            Some(Ty::real())
        }
        Builtin::Svd => matrices::svd(ctx, given),
        Builtin::SingularValues => matrices::singular_values(ctx, given),
        Builtin::Solve | Builtin::SolveLower | Builtin::SolveUpper => matrices::solve(ctx, given),
        Builtin::SolveBy => matrices::solve_by(ctx, given),
        Builtin::Cholesky => matrices::cholesky(ctx, given),
        Builtin::Det | Builtin::Slogdet => matrices::determinant(ctx, builtin, given),
        Builtin::Lu => matrices::lu(ctx, given),
        Builtin::Qr => matrices::qr(ctx, given),
        Builtin::Eigh => matrices::eigh(ctx, given),
        Builtin::Fft | Builtin::Ifft => matrices::fourier(ctx, given),
        Builtin::Bernoulli => {
            given.count(ctx, 0..=usize::MAX, &["p", "key"])?;
            given.drawn(ctx)?;
            if let Some(p) = given.named("p")
                && !matches!(p.ty, Ty::Unknown | Ty::Array(Array { kind: Kind::Real | Kind::Int, .. }))
            {
                given.wrong(ctx, p, "a probability after `p:`");
                return None;
            }
            Some(Ty::shaped(Kind::Bool, given.sizes(ctx, 0)?))
        }
        Builtin::Normal | Builtin::Uniform | Builtin::Rademacher | Builtin::Exponential | Builtin::Laplace => {
            given.count(ctx, 0..=usize::MAX, &["key"])?;
            given.drawn(ctx)?;
            Some(Ty::shaped(Kind::Real, given.sizes(ctx, 0)?))
        }
        Builtin::Permutation => {
            given.count(ctx, 1..=1, &["key"])?;
            given.drawn(ctx)?;
            Some(Ty::array(Kind::Int, vec![given.size(ctx, 0)?]))
        }
        Builtin::Randint => {
            given.count(ctx, 0..=usize::MAX, &["below", "key"])?;
            given.drawn(ctx)?;
            if let Some(below) = given.named("below") {
                if !matches!(below.ty, Ty::Unknown | Ty::Array(Array { kind: Kind::Int, .. })) {
                    given.wrong(ctx, below, "an int after `below:`");
                    return None;
                }
            } else {
                let message = "`randint` needs `below:`, the number that its results stay below";
                ctx.report(Diagnostic::error("E0321", given.span, message));
                return None;
            }
            Some(Ty::shaped(Kind::Int, given.sizes(ctx, 0)?))
        }
        Builtin::Key => {
            given.count(ctx, 1..=1, &[])?;
            given.int(ctx, 0)?;
            Some(Ty::key())
        }
        Builtin::Split => {
            given.count(ctx, 2..=2, &[])?;
            let key = given.array(ctx, 0, KEYS)?;
            let n = given.size(ctx, 1)?;
            Some(Ty::shaped(Kind::Key, key.dims.map(|dims| [dims, vec![n]].concat())))
        }
        Builtin::Keys => {
            given.count(ctx, 1..=1, &["key"])?;
            given.drawn(ctx)?;
            Some(Ty::array(Kind::Key, vec![given.size(ctx, 0)?]))
        }
        Builtin::FoldIn => {
            given.count(ctx, 2..=2, &[])?;
            let key = given.array(ctx, 0, KEYS)?;
            let index = given.array(ctx, 1, INTS)?;
            Some(Ty::shaped(Kind::Key, broadcast(ctx, &key.dims, &index.dims).unwrap_or(None)))
        }
        Builtin::DrawKey => {
            given.count(ctx, 0..=0, &[])?;
            given.drawn(ctx)?;
            Some(Ty::key())
        }
        Builtin::Grad | Builtin::ValueAndGrad | Builtin::Jvp | Builtin::Vjp => None,
        Builtin::Jacobian | Builtin::Hessian | Builtin::Hvp => None,
        Builtin::Prox => None,
        Builtin::StopGradient => {
            given.count(ctx, 1..=1, &[])?;
            Some(given.args[0].ty.clone())
        }
        Builtin::Real | Builtin::Int => convert(ctx, builtin, given),
        Builtin::Size => shape::size(ctx, given),
        Builtin::IsFinite => {
            given.count(ctx, 1..=1, &[])?;
            let array = given.array(ctx, 0, NUMBERS)?;
            Some(Ty::shaped(Kind::Bool, array.dims))
        }
        Builtin::At | Builtin::First => network(ctx, builtin, given),
        Builtin::Load | Builtin::LoadImages => {
            given.effect(ctx)?;
            given.count(ctx, 1..=usize::MAX, given::ANY_NAME)?;
            None
        }
        Builtin::Save | Builtin::Plot | Builtin::Scatter | Builtin::Hist | Builtin::Heatmap | Builtin::Image => {
            given.effect(ctx)?;
            None
        }
        Builtin::Files => {
            given.effect(ctx)?;
            given.count(ctx, 1..=1, given::ANY_NAME)?;
            Some(Ty::List(Ty::Str.into()))
        }
        Builtin::ExplainLayer | Builtin::CompareCosts => {
            given.effect(ctx)?;
            None
        }
        Builtin::CheckGrad | Builtin::CheckProx => {
            if let Some(function) = given.args.first()
                && !function.ty.is_unknown()
                && !fit::is_function(&function.ty)
            {
                given.wrong(ctx, function, "a function");
            }
            None
        }
    }
}

/// One argument of any shape; `kind` of the result, or that of the argument.
fn elementwise(ctx: &mut Ctx, given: &Given, kind: Option<Kind>) -> Option<Ty> {
    given.count(ctx, 1..=1, &[])?;
    let array = given.array(ctx, 0, NUMBERS)?;
    Some(Ty::shaped(kind.unwrap_or(array.kind), array.dims))
}

/// The common shape of two arguments.
fn common_shape(ctx: &mut Ctx, given: &Given, i: usize, j: usize, wanted: given::Wanted) -> Option<Shape> {
    let a = given.array(ctx, i, wanted)?;
    let b = given.array(ctx, j, wanted)?;
    meet(ctx, given, (&a.dims, &given.args[i]), (&b.dims, &given.args[j]))
}

/// The common shape of two operands, or a report that they have none.
fn meet(ctx: &mut Ctx, given: &Given, a: (&Shape, &Arg), b: (&Shape, &Arg)) -> Option<Shape> {
    match broadcast(ctx, a.0, b.0) {
        Ok(shape) => Some(shape),
        Err(clash) => {
            let message = format!(
                "`{}` takes {} and {} element by element, but {}",
                given.name,
                a.1.operand.shown(),
                b.1.operand.shown(),
                report::why_not(&clash)
            );
            let diagnostic = Diagnostic::error("E0402", given.span, message).here("these shapes do not meet");
            let diagnostic = b.1.operand.label(a.1.operand.label(diagnostic));
            ctx.report(diagnostic.note(report::aligned(&a.1.operand, &b.1.operand)));
            None
        }
    }
}

/// `max(a, b)`, or the reduction.
fn largest(ctx: &mut Ctx, builtin: Builtin, given: &Given) -> Option<Ty> {
    if given.positional() == 1 {
        return reduction::reduce(ctx, builtin, given);
    }
    given.count(ctx, 2..=2, &[])?;
    let a = given.array(ctx, 0, NUMBERS)?;
    let b = given.array(ctx, 1, NUMBERS)?;
    let dims = meet(ctx, given, (&a.dims, &given.args[0]), (&b.dims, &given.args[1]))?;
    let kind = if a.kind == Kind::Int && b.kind == Kind::Int { Kind::Int } else { Kind::Real };
    let value = match (&a.value, &b.value) {
        (Some(a), Some(b)) if builtin == Builtin::Max => a.greater(b).ok(),
        (Some(a), Some(b)) => a.lesser(b).ok(),
        _ => None,
    };
    Some(Ty::Array(Array { kind, dims, value }))
}

fn where_(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 3..=3, &[])?;
    let mask = given.array(ctx, 0, given::BOOLS)?;
    let a = given.array(ctx, 1, ANY)?;
    let b = given.array(ctx, 2, ANY)?;
    let kind = match (a.kind, b.kind) {
        (x, y) if x == y => x,
        (Kind::Int, Kind::Real) | (Kind::Real, Kind::Int) => Kind::Real,
        _ => {
            let (x, y) = (&given.args[1], &given.args[2]);
            let message = format!(
                "`where` picks from values of one type, but these are {} and {}",
                x.operand.shown(),
                y.operand.shown()
            );
            ctx.report(y.operand.label(x.operand.label(Diagnostic::error("E0319", given.span, message))));
            return None;
        }
    };
    let both = meet(ctx, given, (&a.dims, &given.args[1]), (&b.dims, &given.args[2]))?;
    // The mask is told of against the larger of the two.
    let larger = if both.as_ref().map(Vec::len) == a.dims.as_ref().map(Vec::len) { 1 } else { 2 };
    let dims = meet(ctx, given, (&mask.dims, &given.args[0]), (&both, &given.args[larger]))?;
    Some(Ty::shaped(kind, dims))
}

fn convert(ctx: &mut Ctx, builtin: Builtin, given: &Given) -> Option<Ty> {
    given.count(ctx, 1..=1, &[])?;
    let array = given.array(ctx, 0, given::NUMBERS_OR_BOOLS)?;
    match builtin {
        Builtin::Int if array.kind == Kind::Real => {
            let operand = &given.args[0].operand;
            let message = format!("`int` takes bools, but {} was given", operand.shown());
            let diagnostic = operand.label(Diagnostic::error("E0311", given.span, message));
            ctx.report(diagnostic.help("`round`, `floor` and `ceil` make ints of reals"));
            None
        }
        Builtin::Int => {
            let value = if array.kind == Kind::Int { array.value } else { None };
            Some(Ty::Array(Array { kind: Kind::Int, dims: array.dims, value }))
        }
        _ => Some(Ty::shaped(Kind::Real, array.dims)),
    }
}

/// Reports an array whose rank is known and not the wanted one.
fn rank(ctx: &mut Ctx, given: &Given, i: usize, array: &Array, rank: usize, what: &str) -> Option<()> {
    match &array.dims {
        // More dimensions may be a batch.
        Some(dims) if dims.len() < rank => {
            let operand = &given.args[i].operand;
            let message = format!("`{}` takes {what}, but {} was given", given.name, operand.shown());
            ctx.report(operand.label(Diagnostic::error("E0406", given.args[i].span, message)));
            None
        }
        Some(_) | None => Some(()),
    }
}

/// `at(net, p)` and `first(net, k)` are networks with the same signature.
fn network(ctx: &mut Ctx, builtin: Builtin, given: &Given) -> Option<Ty> {
    given.count(ctx, 2..=2, &[])?;
    let net = &given.args[0];
    match &net.ty {
        Ty::Network(network) => {
            if builtin == Builtin::At {
                return Some(net.ty.clone());
            }
            given.int(ctx, 1)?;
            // How many layers each parameter has now is not told by its type.
            let mut fewer = (**network).clone();
            fewer.params.fields.iter_mut().for_each(|(_, ty)| *ty = Ty::Unknown);
            Some(Ty::Network(fewer.into()))
        }
        Ty::Unknown => None,
        _ => {
            given.wrong(ctx, net, "a network");
            None
        }
    }
}
