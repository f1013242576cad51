//! What the type rules of the primitives have in common: checks of arity, kinds, axes and sizes.

use crate::ir::graph::{Op, Type};
use dp_runtime::tensor::DType;

/// What a type rule gives: the types of the results, or why the operands do not fit.
pub type Rule = Result<Vec<Type>, String>;

/// A type, if its sizes (zeros aside) and its bytes can be counted at all.
pub fn sized(dtype: DType, shape: Vec<usize>) -> Result<Type, String> {
    let bytes = shape.iter().filter(|&&n| n > 0).try_fold(dtype.size(), |product, &n| product.checked_mul(n));
    match bytes {
        Some(bytes) if bytes <= isize::MAX as usize => Ok(Type { dtype, shape }),
        Some(_) | None => Err(format!("an array of shape {shape:?} is too large")),
    }
}

/// `sized`, as the one result of a rule.
pub fn one(dtype: DType, shape: Vec<usize>) -> Rule {
    Ok(vec![sized(dtype, shape)?])
}

/// Exactly `N` operands.
pub fn arity<'a, const N: usize>(args: &[&'a Type]) -> Result<[&'a Type; N], String> {
    <[&Type; N]>::try_from(args).map_err(|_| format!("takes {N} operands, not {}", args.len()))
}

/// The first operand and the others.
pub fn first<'a, 'b>(args: &'b [&'a Type]) -> Result<(&'a Type, &'b [&'a Type]), String> {
    match args.split_first() {
        Some((first, rest)) => Ok((first, rest)),
        None => Err("takes at least one operand".to_string()),
    }
}

pub fn require(ok: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if ok { Ok(()) } else { Err(why()) }
}

/// The one operand of a decomposition, `[B..., m, n]` of floats: its type, `B...`, and `[m, n]`.
pub fn matrices<'a>(args: &[&'a Type]) -> Result<(&'a Type, &'a [usize], &'a [usize]), String> {
    let [a] = arity(args)?;
    float(a)?;
    require(a.rank() >= 2, || format!("takes matrices, not {a}"))?;
    let (batch, matrix) = a.shape.split_at(a.rank() - 2);
    Ok((a, batch, matrix))
}

pub fn float(ty: &Type) -> Result<(), String> {
    require(ty.dtype.is_float(), || format!("takes floats, not {ty}"))
}

pub fn number(ty: &Type) -> Result<(), String> {
    require(ty.dtype.is_float() || ty.dtype == DType::I64, || format!("takes floats or integers, not {ty}"))
}

pub fn kind(ty: &Type, dtype: DType) -> Result<(), String> {
    require(ty.dtype == dtype, || format!("takes {}, not {ty}", dtype.name()))
}

/// A scalar of the given kind.
pub fn scalar(ty: &Type, dtype: DType) -> Result<(), String> {
    require(*ty == Type::scalar(dtype), || format!("takes a scalar {}, not {ty}", dtype.name()))
}

pub fn same(a: &Type, b: &Type) -> Result<(), String> {
    require(a == b, || format!("takes operands of one type, not {a} and {b}"))
}

pub fn axis(axis: usize, rank: usize) -> Result<(), String> {
    require(axis < rank, || format!("has no axis {axis} in an operand of rank {rank}"))
}

/// Axes that exist and ascend.
pub fn axes(axes: &[usize], rank: usize) -> Result<(), String> {
    require(axes.windows(2).all(|w| w[0] < w[1]), || format!("takes ascending axes, not {axes:?}"))?;
    axes.iter().try_for_each(|&a| axis(a, rank))
}

/// One number for each axis.
pub fn per_axis(what: &str, list: &[usize], rank: usize) -> Result<(), String> {
    require(list.len() == rank, || format!("takes one `{what}` for each of {rank} axes, not {}", list.len()))
}

/// The shape without the listed axes.
pub fn without(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    shape.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, &n)| n).collect()
}

/// An operation met a row that is not its own: `prims::row` is wrong.
pub fn wrong_row(op: &Op) -> ! {
    panic!("internal error: the row of another primitive was used for {op:?}")
}
