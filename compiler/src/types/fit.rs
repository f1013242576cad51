//! Fitting a value's type to a declared one: binding the dimension names that are free, then comparing.

use super::Ctx;
use super::dim::{Dim, DimName, Poly};
use super::ty::{Array, Kind, Ty};
use std::collections::HashMap;

/// Which dimension each bound name stands for.
pub type Bindings = HashMap<u32, Dim>;

/// Binds names of the declared type that `free` accepts and `map` lacks, where the value says what they are.
/// To be called twice over all values of a call: the first time binds names that stand alone, the second time
/// (`sums`) solves `n + 1 = d`.
pub fn bind(declared: &Ty, actual: &Ty, free: &dyn Fn(u32) -> bool, map: &mut Bindings, sums: bool) {
    match (declared, actual) {
        (Ty::Array(declared), Ty::Array(actual)) => {
            if let (Some(pattern), Some(value)) = (&declared.value, &actual.value) {
                bind_dim(pattern, &Dim::Known(value.clone()), free, map, sums);
            }
            let (Some(patterns), Some(dims)) = (&declared.dims, &actual.dims) else { return };
            if patterns.len() != dims.len() {
                return;
            }
            for (pattern, dim) in patterns.iter().zip(dims) {
                if let Dim::Known(pattern) = pattern {
                    bind_dim(pattern, dim, free, map, sums);
                }
            }
        }
        (Ty::Tuple(declared), Ty::Tuple(actual)) if declared.len() == actual.len() => {
            for (declared, actual) in declared.iter().zip(actual.iter()) {
                bind(declared, actual, free, map, sums);
            }
        }
        (Ty::Record(declared), Ty::Record(actual)) => {
            for (name, ty) in &declared.fields {
                if let Some(actual) = actual.field(name) {
                    bind(ty, actual, free, map, sums);
                }
            }
        }
        _ => {}
    }
}

fn bind_dim(pattern: &Poly, actual: &Dim, free: &dyn Fn(u32) -> bool, map: &mut Bindings, sums: bool) {
    if *actual == Dim::Unknown {
        return;
    }
    let unbound = |id: u32| free(id) && !map.contains_key(&id);
    if let Some(name) = pattern.as_name() {
        if unbound(name.id) {
            map.insert(name.id, actual.clone());
        }
        return;
    }
    if !sums {
        return;
    }
    // c n + r = d, so n = c (d - r) for c = 1 or -1.
    let Some((name, coefficient, rest)) = pattern.solve_for(&unbound) else { return };
    let value = actual
        .combine(&rest.subst(map), |actual, rest| actual.sub(rest))
        .combine(&Dim::constant(coefficient), |difference, sign| difference.mul(sign));
    if value != Dim::Unknown {
        map.insert(name.id, value);
    }
}

/// `map`, with the names that `names` lists and nothing has bound as unknown.
pub fn closed(map: &Bindings, names: &[DimName]) -> Bindings {
    let mut closed = map.clone();
    for name in names {
        closed.entry(name.id).or_insert(Dim::Unknown);
    }
    closed
}

/// How a value misses a declared type.
#[derive(Clone, Debug)]
pub enum Misfit {
    /// Another kind of value.
    Kind,
    Rank,
    /// The declared dimension and the given one.
    Dim(Dim, Dim),
}

/// Whether a value of type `actual` may stand where `declared` is asked for. Functions are not compared here.
pub fn misfit(ctx: &Ctx, declared: &Ty, actual: &Ty) -> Option<Misfit> {
    match (declared, actual) {
        (Ty::Unknown, _) | (_, Ty::Unknown) => None,
        (Ty::Array(declared), Ty::Array(actual)) => array_misfit(ctx, declared, actual),
        (Ty::Str, Ty::Str) => None,
        (Ty::Tuple(declared), Ty::Tuple(actual)) => {
            if declared.len() != actual.len() {
                return Some(Misfit::Kind);
            }
            declared.iter().zip(actual.iter()).find_map(|(declared, actual)| misfit(ctx, declared, actual))
        }
        (Ty::Record(declared), Ty::Record(actual)) => {
            declared.fields.iter().find_map(|(name, ty)| match actual.field(name) {
                Some(actual) => misfit(ctx, ty, actual),
                None if actual.open => None,
                None => Some(Misfit::Kind),
            })
        }
        (Ty::List(declared), Ty::List(actual)) => misfit(ctx, declared, actual),
        (declared, actual) if is_function(declared) && is_function(actual) => None,
        _ => Some(Misfit::Kind),
    }
}

/// Whether it can be called.
pub fn is_function(ty: &Ty) -> bool {
    match ty {
        Ty::Fn(_) | Ty::Lambda(_) | Ty::Builtin(_) | Ty::Derived(_) => true,
        Ty::Network(_) | Ty::Solver(_) | Ty::Problem(_) | Ty::Template(_) => true,
        Ty::Array(_) | Ty::Str | Ty::Tuple(_) | Ty::Record(_) | Ty::List(_) | Ty::Unknown => false,
    }
}

fn array_misfit(ctx: &Ctx, declared: &Array, actual: &Array) -> Option<Misfit> {
    if !actual.kind.widens_to(declared.kind) {
        return Some(Misfit::Kind);
    }
    let (Some(declared), Some(actual)) = (&declared.dims, &actual.dims) else { return None };
    if declared.len() != actual.len() {
        return Some(Misfit::Rank);
    }
    let pair = declared.iter().zip(actual).find(|(declared, actual)| ctx.differ(declared, actual));
    pair.map(|(declared, actual)| Misfit::Dim(declared.clone(), actual.clone()))
}

/// Whether a value may fill a declared array, stretched by the broadcasting rule (states, parameters).
pub fn fill_misfit(ctx: &Ctx, declared: &Ty, actual: &Ty) -> Option<Misfit> {
    match (declared, actual) {
        (Ty::Array(to), Ty::Array(from)) if from.kind.widens_to(to.kind) => {
            let (Some(to_dims), Some(from_dims)) = (&to.dims, &from.dims) else { return None };
            if from_dims.len() > to_dims.len() {
                return Some(Misfit::Rank);
            }
            let tail = to_dims[to_dims.len() - from_dims.len()..].to_vec();
            array_misfit(ctx, &Array { dims: Some(tail), ..to.clone() }, from)
        }
        _ => misfit(ctx, declared, actual),
    }
}

/// The type of the value of two branches: a scalar takes the shape of the other side.
pub fn join_branches(ctx: &Ctx, a: &Ty, b: &Ty) -> Result<Ty, Misfit> {
    match (a, b) {
        (Ty::Array(x), Ty::Array(y)) => {
            let scalar = |array: &Array| array.dims.as_ref().is_some_and(Vec::is_empty);
            let stretched = match (scalar(x), scalar(y)) {
                (true, false) => (Ty::shaped(x.kind, y.dims.clone()), b.clone()),
                (false, true) => (a.clone(), Ty::shaped(y.kind, x.dims.clone())),
                (true, true) | (false, false) => (a.clone(), b.clone()),
            };
            join(ctx, &stretched.0, &stretched.1)
        }
        (Ty::Tuple(x), Ty::Tuple(y)) if x.len() == y.len() => {
            let types: Result<Vec<Ty>, Misfit> =
                x.iter().zip(y.iter()).map(|(a, b)| join_branches(ctx, a, b)).collect();
            Ok(Ty::tuple(types?))
        }
        (Ty::Record(_), Ty::Record(_)) => join(ctx, a, b).or(Ok(Ty::Unknown)),
        _ => join(ctx, a, b),
    }
}

/// The type of a value that is one of two: ints widen to reals, and of two sizes the better known one is kept.
/// `Err` when no type holds both.
pub fn join(ctx: &Ctx, a: &Ty, b: &Ty) -> Result<Ty, Misfit> {
    match (a, b) {
        (Ty::Unknown, _) | (_, Ty::Unknown) => Ok(Ty::Unknown),
        (Ty::Array(x), Ty::Array(y)) => {
            let kind = match (x.kind, y.kind) {
                (a, b) if a == b => a,
                (Kind::Int, Kind::Real) | (Kind::Real, Kind::Int) => Kind::Real,
                _ => return Err(Misfit::Kind),
            };
            let value = match (&x.value, &y.value) {
                (Some(a), Some(b)) if a == b => Some(a.clone()),
                _ => None,
            };
            let (Some(left), Some(right)) = (&x.dims, &y.dims) else { return Ok(Ty::any_rank(kind)) };
            if left.len() != right.len() {
                return Err(Misfit::Rank);
            }
            let mut dims = Vec::new();
            for (a, b) in left.iter().zip(right) {
                match ctx.equality(a, b) {
                    super::dim::Equality::Equal => dims.push(a.clone()),
                    super::dim::Equality::Different => return Err(Misfit::Dim(a.clone(), b.clone())),
                    super::dim::Equality::Unknown => dims.push(Dim::Unknown),
                }
            }
            Ok(Ty::Array(Array { kind, dims: Some(dims), value }))
        }
        (Ty::Str, Ty::Str) => Ok(Ty::Str),
        (Ty::Tuple(x), Ty::Tuple(y)) if x.len() == y.len() => {
            let types: Result<Vec<Ty>, Misfit> = x.iter().zip(y.iter()).map(|(a, b)| join(ctx, a, b)).collect();
            Ok(Ty::tuple(types?))
        }
        (Ty::Record(x), Ty::Record(y)) => {
            let mut fields = Vec::new();
            for (name, ty) in &x.fields {
                match y.field(name) {
                    Some(other) => fields.push((name.clone(), join(ctx, ty, other)?)),
                    None if y.open => fields.push((name.clone(), Ty::Unknown)),
                    None => return Err(Misfit::Kind),
                }
            }
            Ok(Ty::record(fields, x.open || y.open))
        }
        (a, b) if is_function(a) && is_function(b) => Ok(Ty::Unknown),
        (Ty::List(_), Ty::List(_)) => Ok(Ty::Unknown),
        _ => Err(Misfit::Kind),
    }
}
