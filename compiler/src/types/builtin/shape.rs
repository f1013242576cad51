//! Functions that rearrange arrays.

use super::given::{ANY, Given, INTS, NUMBERS};
use super::reduction::{axis, has_axes};
use crate::diagnostic::Diagnostic;
use crate::types::Ctx;
use crate::types::dim::{Dim, Equality, Poly};
use crate::types::operator::{Shape, broadcast};
use crate::types::report;
use crate::types::ty::{Kind, Ty, show_dims};

/// The number of elements.
fn elements(dims: &[Dim]) -> Dim {
    dims.iter().fold(Dim::constant(1), |product, dim| product.combine(dim, Poly::mul))
}

/// `reshape(x, m, n)`.
pub fn reshape(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 1..=usize::MAX, &[])?;
    let array = given.array(ctx, 0, ANY);
    // -1, "what remains", is for lowering to take or refuse.
    let negative = given.args[1..].iter().any(|arg| arg.ty.value_dim().as_constant().is_some_and(|size| size < 0));
    if negative {
        return array.map(|array| Ty::shaped(array.kind, Some(vec![Dim::Unknown; given.args.len() - 1])));
    }
    let sizes = given.sizes(ctx, 1)?;
    let array = array?;
    if let (Some(from), Some(to)) = (&array.dims, &sizes) {
        let (before, after) = (elements(from), elements(to));
        if ctx.equality(&before, &after) == Equality::Different {
            let operand = &given.args[0].operand;
            let message = format!(
                "cannot reshape {} to {}: {before} and {after} elements",
                operand.shown(),
                if to.is_empty() { "a scalar".to_string() } else { show_dims(to) }
            );
            ctx.report(operand.label(Diagnostic::error("E0412", given.span, message)));
            return None;
        }
    }
    Some(Ty::shaped(array.kind, sizes))
}

/// `flat(x)`: the reals of an array, tuple or record as one vector.
pub fn flat(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 1..=1, &[])?;
    match &given.args[0].ty {
        Ty::Array(array) if array.kind != Kind::Key => {
            let length = array.dims.as_ref().map_or(Dim::Unknown, |dims| elements(dims));
            Some(Ty::array(Kind::Real, vec![length]))
        }
        Ty::Unknown => None,
        ty @ (Ty::Tuple(_) | Ty::Record(_)) => Some(Ty::array(Kind::Real, vec![reals(ty)])),
        _ => {
            given.wrong(ctx, &given.args[0], "an array, a tuple or a record of reals");
            None
        }
    }
}

/// How many numbers are in a value.
fn reals(ty: &Ty) -> Dim {
    let sum = |parts: &mut dyn Iterator<Item = &Ty>| {
        parts.fold(Dim::constant(0), |sum, part| sum.combine(&reals(part), Poly::add))
    };
    match ty {
        Ty::Array(array) => array.dims.as_ref().map_or(Dim::Unknown, |dims| elements(dims)),
        Ty::Tuple(types) => sum(&mut types.iter()),
        Ty::Record(record) if !record.open => sum(&mut record.fields.iter().map(|(_, ty)| ty)),
        Ty::Record(_) | Ty::Str | Ty::Fn(_) | Ty::Lambda(_) | Ty::Builtin(_) | Ty::Derived(_) => Dim::Unknown,
        // The parameters of an instance inside a network.
        Ty::Network(network) if !network.params.open => sum(&mut network.params.fields.iter().map(|(_, ty)| ty)),
        Ty::Network(_) | Ty::Template(_) | Ty::Solver(_) | Ty::Problem(_) | Ty::List(_) | Ty::Unknown => Dim::Unknown,
    }
}

/// `concat(a, b, ..)`, `concat(a, b, axis: i)`.
pub fn concat(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 1..=usize::MAX, &["axis"])?;
    let count = given.positional();
    if count == 1 && !matches!(given.args[0].ty, Ty::Array(_)) {
        return None;
    }
    let mut arrays = Vec::new();
    for i in 0..count {
        arrays.push(given.array(ctx, i, ANY)?);
    }
    let first = &arrays[0];
    has_axes(ctx, given, first)?;
    let along = match given.named("axis") {
        None => Ok(0),
        Some(_) => axis(ctx, given, first)?,
    };
    let mut kind = first.kind;
    let mut dims = first.dims.clone();
    for (i, array) in arrays.iter().enumerate().skip(1) {
        let (a, b) = (&given.args[0], &given.args[i]);
        kind = match (kind, array.kind) {
            (x, y) if x == y => x,
            (Kind::Int, Kind::Real) | (Kind::Real, Kind::Int) => Kind::Real,
            _ => {
                let message = format!("cannot concatenate {} and {}", a.operand.shown(), b.operand.shown());
                ctx.report(b.operand.label(a.operand.label(Diagnostic::error("E0319", given.span, message))));
                return None;
            }
        };
        let (Some(left), Some(right)) = (&mut dims, &array.dims) else {
            dims = None;
            continue;
        };
        let clash = if left.len() != right.len() {
            Some("they have different numbers of dimensions".to_string())
        } else {
            let mut pairs = left.iter().zip(right).enumerate();
            let clash = pairs.find(|(k, (a, b))| along.is_ok() && Ok(*k) != along && ctx.differ(a, b));
            clash.map(|(_, (a, b))| format!("dimensions {a} and {b} differ"))
        };
        if let Some(why) = clash {
            let message = format!("cannot concatenate {} and {}: {why}", a.operand.shown(), b.operand.shown());
            let diagnostic = b.operand.label(a.operand.label(Diagnostic::error("E0412", given.span, message)));
            ctx.report(diagnostic.note(report::aligned(&a.operand, &b.operand)));
            return None;
        }
        match along {
            Ok(along) => {
                for (k, (a, b)) in left.iter_mut().zip(right).enumerate() {
                    *a = if k == along { a.combine(b, Poly::add) } else { a.better(b).clone() };
                }
            }
            Err(()) => left.iter_mut().for_each(|dim| *dim = Dim::Unknown),
        }
    }
    Some(Ty::shaped(kind, dims))
}

/// `permute(x, 1, 0, 2)`.
pub fn permute(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 1..=usize::MAX, &[])?;
    let array = given.array(ctx, 0, ANY)?;
    let mut order = Vec::new();
    for i in 1..given.args.len() {
        order.push(given.int(ctx, i)?.as_constant());
    }
    let Some(dims) = &array.dims else { return Some(Ty::any_rank(array.kind)) };
    let Some(order) = order.into_iter().collect::<Option<Vec<i64>>>() else {
        return Some(Ty::array(array.kind, vec![Dim::Unknown; dims.len()]));
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().ne(0..dims.len() as i64) {
        let operand = &given.args[0].operand;
        let message = format!("`permute` takes each axis of {} once", operand.shown());
        ctx.report(operand.label(Diagnostic::error("E0407", given.span, message)));
        return None;
    }
    let axis = |axis: &i64| usize::try_from(*axis).ok().and_then(|axis| dims.get(axis).cloned());
    Some(Ty::shaped(array.kind, order.iter().map(axis).collect()))
}

/// `reverse(x)`, `reverse(x, axis: i)`.
pub fn reverse(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 1..=1, &["axis"])?;
    let array = given.array(ctx, 0, ANY)?;
    has_axes(ctx, given, &array)?;
    if given.named("axis").is_some() {
        axis(ctx, given, &array)?.ok();
    }
    Some(Ty::shaped(array.kind, array.dims))
}

/// `broadcast(x, m, n)`.
pub fn broadcast_to(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 1..=usize::MAX, &[])?;
    let array = given.array(ctx, 0, ANY);
    let sizes = given.sizes(ctx, 1)?;
    let array = array?;
    if let (Some(from), Some(to)) = (&array.dims, &sizes) {
        let fits = from.len() <= to.len() && broadcast(ctx, &array.dims, &sizes).is_ok();
        if !fits {
            let operand = &given.args[0].operand;
            let message = format!("{} cannot be stretched to {}", operand.shown(), show_dims(to));
            let diagnostic = operand.label(Diagnostic::error("E0412", given.span, message));
            ctx.report(diagnostic.note("an array is stretched to a shape that ends in its own"));
            return None;
        }
    }
    Some(Ty::shaped(array.kind, sizes))
}

/// `diag(v)`, `diag(A)`.
pub fn diag(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 1..=1, &[])?;
    let array = given.array(ctx, 0, ANY)?;
    has_axes(ctx, given, &array)?;
    let dims: Shape = match array.dims.as_deref() {
        Some([n]) => Some(vec![n.clone(), n.clone()]),
        Some([m, n]) => Some(vec![m.combine(n, Poly::lesser)]),
        Some(_) | None => None,
    };
    Some(Ty::shaped(array.kind, dims))
}

/// `gather(x, i)`.
pub fn gather(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 2..=2, &[])?;
    let index = given.array(ctx, 1, INTS);
    let array = given.array(ctx, 0, ANY)?;
    let index = index?;
    has_axes(ctx, given, &array)?;
    let dims = index.dims.zip(array.dims).map(|(index, dims)| [index, dims[1..].to_vec()].concat());
    Some(Ty::shaped(array.kind, dims))
}

/// `scatter_add(x, i, u)`.
pub fn scatter_add(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 3..=3, &[])?;
    let index = given.array(ctx, 1, INTS);
    let array = given.array(ctx, 0, NUMBERS)?;
    let added = given.array(ctx, 2, NUMBERS)?;
    let index = index?;
    has_axes(ctx, given, &array)?;
    let wanted = index.dims.zip(array.dims.clone()).map(|(index, dims)| [index, dims[1..].to_vec()].concat());
    if let (Some(wanted), Some(dims)) = (wanted, &added.dims)
        && (wanted.len() != dims.len() || wanted.iter().zip(dims).any(|(a, b)| ctx.differ(a, b)))
    {
        let what = format!("{}, a part for each index", Ty::shaped(array.kind, Some(wanted)));
        given.wrong(ctx, &given.args[2], &what);
        return None;
    }
    let kind = if array.kind == Kind::Int && added.kind == Kind::Int { Kind::Int } else { Kind::Real };
    Some(Ty::shaped(kind, array.dims))
}

/// `size(x)`, `size(x, i)`.
pub fn size(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 1..=2, &[])?;
    let array = match (given.array(ctx, 0, ANY), &given.args[0].ty) {
        (Some(array), _) => array,
        (None, Ty::Unknown) => return Some(Ty::int()),
        (None, _) => return None,
    };
    let Some(dims) = &array.dims else { return Some(Ty::int()) };
    if given.args.len() == 1 {
        return Some(Ty::static_int(elements(dims)));
    }
    let Some(number) = given.int(ctx, 1)?.as_constant() else { return Some(Ty::int()) };
    let at = if number < 0 { number + dims.len() as i64 } else { number };
    match usize::try_from(at).ok().and_then(|at| dims.get(at)) {
        Some(dim) => Some(Ty::static_int(dim.clone())),
        None => {
            let operand = &given.args[0].operand;
            let message = format!("there is no axis {number} in {}", operand.shown());
            ctx.report(operand.label(Diagnostic::error("E0407", given.args[1].span, message)));
            None
        }
    }
}
