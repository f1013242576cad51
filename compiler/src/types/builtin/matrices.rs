//! Decompositions, linear systems and Fourier transforms.

use super::given::{Given, NUMBERS};
use super::rank;
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::types::Ctx;
use crate::types::dim::{Dim, Poly};
use crate::types::fit;
use crate::types::operator::Shape;
use crate::types::ty::{Array, Kind, Ty};

fn real(dims: Option<Vec<Dim>>) -> Ty {
    Ty::shaped(Kind::Real, dims)
}

fn record(fields: Vec<(&str, Shape)>) -> Ty {
    Ty::record(fields.into_iter().map(|(name, dims)| (name.into(), real(dims))).collect(), false)
}

/// A matrix, or a stack of them.
fn matrix(ctx: &mut Ctx, given: &Given) -> Option<Array> {
    given.count(ctx, 1..=1, &[])?;
    let matrix = given.array(ctx, 0, NUMBERS)?;
    rank(ctx, given, 0, &matrix, 2, "a matrix")?;
    Some(matrix)
}

/// The same with as many rows as columns.
fn square(ctx: &mut Ctx, given: &Given) -> Option<Array> {
    let matrix = matrix(ctx, given)?;
    if let Some([.., m, n]) = matrix.dims.as_deref()
        && ctx.differ(m, n)
    {
        let operand = &given.args[0].operand;
        let message =
            format!("`{}` takes a square matrix, but {} was given: {m} and {n} differ", given.name, operand.shown());
        ctx.report(operand.label(Diagnostic::error("E0406", given.args[0].span, message)));
        return None;
    }
    Some(matrix)
}

pub fn svd(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    let matrix = matrix(ctx, given)?;
    let (u, s, v) = match matrix.dims.as_deref() {
        Some([outer @ .., m, n]) => {
            let k = m.combine(n, Poly::lesser);
            let with = |last: &[Dim]| Some([outer, last].concat());
            (with(&[m.clone(), k.clone()]), with(std::slice::from_ref(&k)), with(&[n.clone(), k]))
        }
        Some(_) | None => (None, None, None),
    };
    Some(record(vec![("u", u), ("s", s), ("v", v)]))
}

pub fn singular_values(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    let matrix = matrix(ctx, given)?;
    let values = match matrix.dims.as_deref() {
        Some([outer @ .., m, n]) => Some([outer, &[m.combine(n, Poly::lesser)]].concat()),
        Some(_) | None => None,
    };
    Some(real(values))
}

pub fn qr(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    let matrix = matrix(ctx, given)?;
    let (q, r) = match matrix.dims.as_deref() {
        Some([outer @ .., m, n]) => {
            let k = m.combine(n, Poly::lesser);
            (Some([outer, &[m.clone(), k.clone()]].concat()), Some([outer, &[k, n.clone()]].concat()))
        }
        Some(_) | None => (None, None),
    };
    Some(record(vec![("q", q), ("r", r)]))
}

pub fn lu(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    let matrix = matrix(ctx, given)?;
    let (p, l, u) = match matrix.dims.as_deref() {
        Some([outer @ .., m, n]) => {
            let k = m.combine(n, Poly::lesser);
            let with = |last: &[Dim]| Some([outer, last].concat());
            (with(std::slice::from_ref(m)), with(&[m.clone(), k.clone()]), with(&[k, n.clone()]))
        }
        Some(_) | None => (None, None, None),
    };
    let fields = [("p", Ty::shaped(Kind::Int, p)), ("l", real(l)), ("u", real(u))];
    Some(Ty::record(fields.into_iter().map(|(name, ty)| (name.into(), ty)).collect(), false))
}

pub fn eigh(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    let matrix = square(ctx, given)?;
    let values = matrix.dims.as_deref().and_then(|dims| dims.split_last()).map(|(_, values)| values.to_vec());
    Some(record(vec![("w", values), ("v", matrix.dims)]))
}

pub fn cholesky(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    Some(real(square(ctx, given)?.dims))
}

/// `det` and `slogdet`.
pub fn determinant(ctx: &mut Ctx, builtin: Builtin, given: &Given) -> Option<Ty> {
    let dims = square(ctx, given)?.dims;
    let outer = dims.and_then(|dims| dims.len().checked_sub(2).map(|n| dims[..n].to_vec()));
    match builtin {
        Builtin::Det => Some(real(outer)),
        _ => Some(record(vec![("sign", outer.clone()), ("log", outer)])),
    }
}

/// `solve`, `solve_lower`, `solve_upper`.
pub fn solve(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 2..=2, &[])?;
    let matrix = given.array(ctx, 0, NUMBERS)?;
    let right = given.array(ctx, 1, NUMBERS)?;
    rank(ctx, given, 0, &matrix, 2, "a square matrix")?;
    rank(ctx, given, 1, &right, 1, "a vector or a matrix on the right")?;
    let (Some([n, columns]), Some(dims)) = (matrix.dims.as_deref(), right.dims.as_deref()) else {
        return Some(Ty::any_rank(Kind::Real));
    };
    let (a, b) = (&given.args[0], &given.args[1]);
    let name = given.name;
    if ctx.differ(n, columns) {
        let message =
            format!("`{name}` takes a square matrix, but {} was given: {n} and {columns} differ", a.operand.shown());
        ctx.report(a.operand.label(Diagnostic::error("E0406", a.span, message)));
        return None;
    }
    if dims.len() <= 2 && ctx.differ(n, &dims[0]) {
        let message = format!(
            "`{name}` takes as many equations on the left as on the right, but these are {} and {}: {n} and {} differ",
            a.operand.shown(),
            b.operand.shown(),
            dims[0]
        );
        ctx.report(b.operand.label(a.operand.label(Diagnostic::error("E0406", given.span, message))));
        return None;
    }
    Some(Ty::array(Kind::Real, dims.to_vec()))
}

/// `solve_by(method, A, b)`, with two functions and a vector.
pub fn solve_by(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 3..=3, &[])?;
    for (function, what) in given
        .args
        .iter()
        .zip(["a method: a function of an operator and a vector", "an operator: a function of a vector"])
    {
        if !function.ty.is_unknown() && !fit::is_function(&function.ty) {
            given.wrong(ctx, function, what);
            return None;
        }
    }
    let right = given.array(ctx, 2, NUMBERS)?;
    if right.dims.as_ref().is_some_and(|dims| dims.len() != 1) {
        given.wrong(ctx, &given.args[2], "a vector on the right");
        return None;
    }
    Some(real(right.dims))
}

/// `fft` and `ifft`, of reals or of a record `{re, im}`.
pub fn fourier(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 1..=1, &["axis"])?;
    let part = |ty: &Ty| match ty {
        Ty::Array(array) if matches!(array.kind, Kind::Real | Kind::Int) => Some(array.dims.clone()),
        Ty::Unknown => Some(None),
        _ => None,
    };
    let dims = match &given.args[0].ty {
        Ty::Record(record) => {
            let field = |name: &str| record.fields.iter().find(|(field, _)| &**field == name).map(|(_, ty)| ty);
            match (field("re").and_then(part), field("im").and_then(part)) {
                (Some(re), Some(im)) => Some(re.or(im)),
                _ => None,
            }
        }
        ty => part(ty),
    };
    let Some(dims) = dims else {
        given.wrong(ctx, &given.args[0], "an array of numbers, or a record `{re, im}` of two");
        return None;
    };
    Some(record(vec![("re", dims.clone()), ("im", dims)]))
}
