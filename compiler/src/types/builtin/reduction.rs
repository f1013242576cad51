//! Reductions: of a whole array, along an axis, over a generator.

use super::given::{BOOLS, Given, NUMBERS, NUMBERS_OR_BOOLS, Wanted};
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::types::Ctx;
use crate::types::dim::{Dim, Poly};
use crate::types::operator::Shape;
use crate::types::ty::{Array, Kind, Ty};

/// What a reduction takes, and the kind that it makes of it.
fn kinds(builtin: Builtin) -> (Wanted, fn(Kind) -> Kind) {
    match builtin {
        Builtin::All | Builtin::Any => (BOOLS, |_| Kind::Bool),
        Builtin::Sum => (NUMBERS_OR_BOOLS, |kind| if kind == Kind::Real { Kind::Real } else { Kind::Int }),
        Builtin::Mean => (NUMBERS_OR_BOOLS, |_| Kind::Real),
        _ => (NUMBERS, |kind| kind),
    }
}

/// `sum(x)`, `sum(x, axis: i)`.
pub fn reduce(ctx: &mut Ctx, builtin: Builtin, given: &Given) -> Option<Ty> {
    given.count(ctx, 1..=1, &["axis"])?;
    let (wanted, kind) = kinds(builtin);
    let array = match (given.array(ctx, 0, wanted), &given.args[0].ty) {
        (Some(array), _) => array,
        // The kind of what is not known decides that of the result, except where there is one result for all.
        (None, Ty::Unknown) if builtin == Builtin::Mean => Array { kind: Kind::Real, dims: None, value: None },
        (None, _) => return None,
    };
    let dims = match given.named("axis") {
        None => Some(Vec::new()),
        Some(_) => without_axis(ctx, given, &array)?,
    };
    Some(Ty::shaped(kind(array.kind), dims))
}

/// `sum(e for i in n)`: the type of `e`, counted if it is a bool.
pub fn generator(ctx: &mut Ctx, builtin: Builtin, given: &Given) -> Ty {
    match builtin {
        Builtin::Sum | Builtin::Prod | Builtin::Mean | Builtin::All | Builtin::Any | Builtin::Max | Builtin::Min => {}
        _ => {
            let message = format!("`{}` takes no `e for i in n`; brackets make an array of it", given.name);
            ctx.report(
                Diagnostic::error("E0311", given.span, message).help(format!("`{}([e for i in n])`", given.name)),
            );
            return Ty::Unknown;
        }
    }
    if given.args.len() != 1 {
        let message = format!("`e for i in n` is the only argument of `{}`", given.name);
        ctx.report(Diagnostic::error("E0321", given.span, message));
        return Ty::Unknown;
    }
    let (wanted, kind) = kinds(builtin);
    match given.array(ctx, 0, wanted) {
        Some(array) => Ty::shaped(kind(array.kind), array.dims),
        None => Ty::Unknown,
    }
}

/// `argmax(x)`, `softmax(x, axis: i)`: along the last axis or the one named.
pub fn along_axis(ctx: &mut Ctx, builtin: Builtin, given: &Given) -> Option<Ty> {
    given.count(ctx, 1..=1, &["axis"])?;
    // `argmax` of a mask: the first true.
    let wanted = match builtin {
        Builtin::Argmax | Builtin::Argmin => NUMBERS_OR_BOOLS,
        _ => NUMBERS,
    };
    let array = match (given.array(ctx, 0, wanted), &given.args[0].ty) {
        (Some(array), _) => array,
        (None, Ty::Unknown) => Array { kind: Kind::Real, dims: None, value: None },
        (None, _) => return None,
    };
    has_axes(ctx, given, &array)?;
    let rest = match given.named("axis") {
        None => array.dims.as_ref().map(|dims| dims[..dims.len() - 1].to_vec()),
        Some(_) => without_axis(ctx, given, &array)?,
    };
    Some(match builtin {
        Builtin::Argmax | Builtin::Argmin => Ty::shaped(Kind::Int, rest),
        Builtin::Logsumexp => Ty::shaped(Kind::Real, rest),
        Builtin::Cumsum | Builtin::Cumprod => Ty::shaped(array.kind, array.dims),
        _ => Ty::shaped(Kind::Real, array.dims),
    })
}

/// Reports a scalar where an axis is needed.
pub fn has_axes(ctx: &mut Ctx, given: &Given, array: &Array) -> Option<()> {
    if array.dims.as_ref().is_none_or(|dims| !dims.is_empty()) {
        return Some(());
    }
    let arg = &given.args[0];
    let message = format!("`{}` goes along an axis, but {} is a scalar", given.name, arg.operand.shown());
    ctx.report(arg.operand.label(Diagnostic::error("E0406", arg.span, message)));
    None
}

/// The axis that `axis:` names; `Err` when it is not known, `None` after a report.
pub fn axis(ctx: &mut Ctx, given: &Given, array: &Array) -> Option<Result<usize, ()>> {
    let Some(arg) = given.named("axis") else { return Some(Err(())) };
    if let Ty::Tuple(_) | Ty::Unknown = &arg.ty {
        return Some(Err(()));
    }
    given.check_int(ctx, arg)?;
    let (Some(number), Some(dims)) = (arg.ty.value().and_then(Poly::as_constant), &array.dims) else {
        return Some(Err(()));
    };
    // Whether axes may be counted from the end is not for the checker to say.
    if number < 0 {
        return Some(Err(()));
    }
    match usize::try_from(number) {
        Ok(axis) if axis < dims.len() => Some(Ok(axis)),
        Ok(_) | Err(_) => {
            let operand = &given.args[0].operand;
            let message = match dims.len() {
                0 => format!("there is no axis {number}: {} is a scalar", operand.shown()),
                1 => format!("there is no axis {number}: {} has axis 0 only", operand.shown()),
                rank => format!("there is no axis {number}: {} has axes 0 to {}", operand.shown(), rank - 1),
            };
            ctx.report(operand.label(Diagnostic::error("E0407", arg.span, message)));
            None
        }
    }
}

/// The shape without the axis that `axis:` names.
fn without_axis(ctx: &mut Ctx, given: &Given, array: &Array) -> Option<Shape> {
    match axis(ctx, given, array)? {
        Ok(axis) => Some(array.dims.as_ref().map(|dims| {
            let mut dims = dims.clone();
            dims.remove(axis);
            dims
        })),
        Err(()) => {
            let one = given.named("axis").is_some_and(|arg| matches!(arg.ty, Ty::Array(_)));
            Some(match &array.dims {
                Some(dims) if one && !dims.is_empty() => Some(vec![Dim::Unknown; dims.len() - 1]),
                Some(_) | None => None,
            })
        }
    }
}
