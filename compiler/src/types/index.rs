//! Indexing, slicing, fields.

use super::Ctx;
use super::dim::{Dim, Poly};
use super::expr::synth;
use super::report::Operand;
use super::scope::{Scope, similar};
use super::ty::{Array, Kind, Record, Ty};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{Expr, Index, Name};

/// `A[i, j]`, `A[:, a:b]`.
pub fn index(ctx: &mut Ctx, scope: &Scope, ty: &Ty, operand: &Operand, indices: &[Index], span: Span) -> Ty {
    let types: Vec<IndexTypes> = indices.iter().map(|index| index_types(ctx, scope, index)).collect();
    let array = match ty {
        Ty::Unknown => return Ty::Unknown,
        Ty::Array(array) => array,
        Ty::List(element) => {
            return match indices {
                [Index::At(_)] => (**element).clone(),
                _ => Ty::Unknown,
            };
        }
        Ty::Tuple(parts) => {
            return match types.as_slice() {
                [IndexTypes::At(at)] => at
                    .value()
                    .and_then(Poly::as_constant)
                    .and_then(|i| parts.get(usize::try_from(i).ok()?).cloned())
                    .unwrap_or(Ty::Unknown),
                _ => Ty::Unknown,
            };
        }
        Ty::Str
        | Ty::Record(_)
        | Ty::Fn(_)
        | Ty::Lambda(_)
        | Ty::Builtin(_)
        | Ty::Derived(_)
        | Ty::Network(_)
        | Ty::Template(_)
        | Ty::Solver(_)
        | Ty::Problem(_) => {
            let message = format!("cannot index {}", operand.shown());
            ctx.report(operand.label(Diagnostic::error("E0310", span, message)));
            return Ty::Unknown;
        }
    };
    // An array of ints or bools as an index is a matter of `gather` and of masks: not decided here.
    if types.iter().any(|types| matches!(types, IndexTypes::At(ty) if !is_scalar(ty))) {
        return Ty::Unknown;
    }
    let Some(dims) = &array.dims else { return Ty::any_rank(array.kind) };
    if indices.len() > dims.len() {
        let message = match dims.len() {
            0 => format!("cannot index {}: it is a scalar", operand.shown()),
            1 => format!("{} has 1 dimension, but {} indices were given", operand.shown(), indices.len()),
            rank => format!("{} has {rank} dimensions, but {} indices were given", operand.shown(), indices.len()),
        };
        ctx.report(operand.label(Diagnostic::error("E0407", span, message)));
        return Ty::Unknown;
    }
    let mut result = Vec::new();
    for ((index, types), dim) in indices.iter().zip(&types).zip(dims) {
        match (index, types) {
            (Index::At(expr), IndexTypes::At(ty)) => check_bound(ctx, expr, ty, dim, operand, false),
            (Index::Range { start, end, .. }, IndexTypes::Range { start: from, end: to, step }) => {
                for (expr, ty) in start.iter().zip(from).chain(end.iter().zip(to)) {
                    check_bound(ctx, expr, ty, dim, operand, true);
                }
                result.push(extent(from.as_ref(), to.as_ref(), step.as_ref(), dim));
            }
            (Index::At(_), IndexTypes::Range { .. }) | (Index::Range { .. }, IndexTypes::At(_)) => {}
        }
    }
    result.extend(dims[indices.len()..].iter().cloned());
    Ty::array(array.kind, result)
}

/// The types of what stands in one index.
enum IndexTypes {
    At(Ty),
    Range { start: Option<Ty>, end: Option<Ty>, step: Option<Ty> },
}

fn index_types(ctx: &mut Ctx, scope: &Scope, index: &Index) -> IndexTypes {
    let mut int = |expr: &Expr, arrays: bool| {
        let ty = synth(ctx, scope, expr);
        let fits = match &ty {
            Ty::Unknown => true,
            Ty::Array(array) if is_scalar(&ty) => array.kind == Kind::Int,
            Ty::Array(array) => arrays && array.kind != Kind::Real,
            _ => false,
        };
        if fits {
            return ty;
        }
        let mut diagnostic = Diagnostic::error("E0310", expr.span, format!("an index is an int, but this is {ty}"));
        if let Ty::Array(Array { kind: Kind::Real, .. }) = ty {
            diagnostic = diagnostic.help("`round`, `floor` and `ceil` make ints of reals; `//` divides ints");
        }
        ctx.report(diagnostic);
        Ty::Unknown
    };
    match index {
        Index::At(expr) => IndexTypes::At(int(expr, true)),
        Index::Range { start, end, step, .. } => IndexTypes::Range {
            start: start.as_ref().map(|expr| int(expr, false)),
            end: end.as_ref().map(|expr| int(expr, false)),
            step: step.as_ref().map(|expr| int(expr, false)),
        },
    }
}

fn is_scalar(ty: &Ty) -> bool {
    match ty {
        Ty::Array(array) => array.dims.as_ref().is_some_and(Vec::is_empty),
        _ => true,
    }
}

fn check_bound(ctx: &mut Ctx, expr: &Expr, ty: &Ty, dim: &Dim, operand: &Operand, may_be_end: bool) {
    let (Some(at), Dim::Known(size)) = (ty.value(), dim) else { return };
    // The index minus the size: not negative means out of range.
    let Some(past) = at.sub(size).ok().and_then(|past| past.as_constant()) else { return };
    let negative = at.as_constant().is_some_and(|at| at < 0);
    let beyond = if may_be_end { past > 0 } else { past >= 0 };
    if ctx.soft > 0 || (!beyond && !negative) {
        return;
    }
    let message = if negative {
        format!("the index {at} is negative; indices start at 0")
    } else {
        format!("the index {at} is out of range for a dimension of size {size}")
    };
    let mut diagnostic = operand.label(Diagnostic::error("E0407", expr.span, message));
    if negative && let (Some(text), Some(_)) = (operand.text(), at.as_constant()) {
        diagnostic = diagnostic.help(format!("the last element is `{text}[size({text}, 0) - 1]`"));
    }
    ctx.report(diagnostic);
}

/// How many elements a slice takes.
fn extent(start: Option<&Ty>, end: Option<&Ty>, step: Option<&Ty>, dim: &Dim) -> Dim {
    let start = start.map_or(Dim::constant(0), Ty::value_dim);
    let end = end.map_or(dim.clone(), Ty::value_dim);
    let negative = |dim: &Dim| dim.as_constant().is_some_and(|number| number < 0);
    if negative(&start) || negative(&end) {
        return Dim::Unknown;
    }
    let length = end.combine(&start, |end, start| end.sub(start));
    let length = match step {
        None => length,
        // ceil(length / step)
        Some(step) => match (length.known(), step.value()) {
            (Some(length), Some(step)) if step.as_constant().is_none_or(|step| step > 0) => length
                .add(step)
                .and_then(|sum| sum.sub(&Poly::constant(1)))
                .and_then(|sum| sum.int_div(step))
                .ok()
                .flatten()
                .map_or(Dim::Unknown, Dim::Known),
            _ => Dim::Unknown,
        },
    };
    if negative(&length) { Dim::Unknown } else { length }
}

/// `run.loss`, `net.params`, `net.W`.
pub fn field(ctx: &mut Ctx, ty: &Ty, operand: &Operand, name: &Name) -> Ty {
    super::seen::fields(ctx, name.span, ty);
    let record = match ty {
        Ty::Unknown => return Ty::Unknown,
        Ty::Record(record) => record,
        Ty::Network(network) if &*name.text == "params" => {
            return parameters(&network.params);
        }
        Ty::Network(network) => {
            if let Some(ty) = network.params.field(&name.text) {
                return ty.clone();
            }
            if network.params.open {
                return Ty::Unknown;
            }
            let names: Vec<&str> = network.params.fields.iter().map(|(name, _)| &**name).collect();
            report_field(ctx, operand, name, "parameter", &names);
            return Ty::Unknown;
        }
        Ty::Array(_)
        | Ty::Str
        | Ty::Tuple(_)
        | Ty::List(_)
        | Ty::Fn(_)
        | Ty::Lambda(_)
        | Ty::Builtin(_)
        | Ty::Derived(_)
        | Ty::Template(_)
        | Ty::Solver(_)
        | Ty::Problem(_) => {
            let message = format!("{} has no fields", operand.shown());
            ctx.report(operand.label(Diagnostic::error("E0302", name.span, message)));
            return Ty::Unknown;
        }
    };
    match record.field(&name.text) {
        Some(ty) => ty.clone(),
        None if record.open => Ty::Unknown,
        None => {
            let names: Vec<&str> = record.fields.iter().map(|(name, _)| &**name).collect();
            report_field(ctx, operand, name, "field", &names);
            Ty::Unknown
        }
    }
}

/// `net.params`: the parameters of instances are records in it.
pub fn parameters(params: &Record) -> Ty {
    let field = |ty: &Ty| match ty {
        Ty::Network(part) => parameters(&part.params),
        other => other.clone(),
    };
    Ty::record(params.fields.iter().map(|(name, ty)| (name.clone(), field(ty))).collect(), params.open)
}

fn report_field(ctx: &mut Ctx, operand: &Operand, name: &Name, what: &str, known: &[&str]) {
    let owner = operand.text().map_or_else(|| "it".to_string(), |text| format!("`{text}`"));
    let message = format!("{owner} has no {what} `{}`", name.text);
    let mut diagnostic = operand.label(Diagnostic::error("E0302", name.span, message));
    diagnostic = match similar(&name.text, known.iter().copied()) {
        Some(suggestion) => diagnostic.help(format!("did you mean `{suggestion}`?")),
        None if known.is_empty() => diagnostic.note(format!("it has no {what}s")),
        None => diagnostic.note(format!("its {what}s are {}", known.join(", "))),
    };
    ctx.report(diagnostic);
}
