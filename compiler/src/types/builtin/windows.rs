//! Functions of images: convolution, padding, pooling, resizing; and of the largest elements.

use super::given::{ANY, Given, NUMBERS};
use super::reduction::{axis, has_axes};
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::types::Ctx;
use crate::types::call::Arg;
use crate::types::dim::{Dim, Overflow, Poly};
use crate::types::report;
use crate::types::ty::{Array, Kind, Ty};

/// `(a // b)`, unknown where b is 0.
fn quotient(a: &Dim, b: &Dim) -> Dim {
    a.combine(b, |a, b| a.int_div(b)?.ok_or(Overflow))
}

fn plus(a: &Dim, n: i64) -> Dim {
    a.combine(&Dim::constant(n), Poly::add)
}

/// The step along one axis that `name` gives: a number for all axes, or something that is looked at later.
fn step(ctx: &mut Ctx, given: &Given, name: &str) -> Option<Dim> {
    let Some(arg) = given.named(name) else { return Some(Dim::constant(1)) };
    match &arg.ty {
        Ty::Array(Array { kind: Kind::Int, dims: Some(dims), .. }) if dims.is_empty() => {
            let value = arg.ty.value_dim();
            match value.as_constant() {
                Some(n) if n < 1 => {
                    let message = format!("a {name} is at least 1, this one is {n}");
                    ctx.report(Diagnostic::error("E0413", arg.span, message));
                    None
                }
                _ => Some(value),
            }
        }
        Ty::Array(Array { kind: Kind::Int, .. }) | Ty::Tuple(_) | Ty::List(_) | Ty::Unknown => Some(Dim::Unknown),
        _ => {
            given.wrong(ctx, arg, "an int, or one for each axis, here");
            None
        }
    }
}

/// A string among `words`; `None` in it if it is not written out.
fn word<'a>(ctx: &mut Ctx, given: &Given, arg: &Arg, words: &[&'a str]) -> Option<Option<&'a str>> {
    match &arg.ty {
        Ty::Str => {}
        Ty::Unknown => return Some(None),
        _ => {
            given.wrong(ctx, arg, "a string here");
            return None;
        }
    }
    let Some(text) = arg.operand.text().and_then(|text| text.strip_prefix('"')).and_then(|t| t.strip_suffix('"'))
    else {
        return Some(None);
    };
    match words.iter().find(|word| **word == text) {
        Some(word) => Some(Some(word)),
        None => {
            let list: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let name = arg.name.map_or("", |name| &name.text);
            let diagnostic = Diagnostic::error("E0413", arg.span, format!("there is no {name} \"{text}\""));
            ctx.report(diagnostic.help(format!("there are {}", list.join(", "))));
            None
        }
    }
}

/// `conv1(x, k)`, `conv2(x, k)` and their adjoints.
pub fn conv(ctx: &mut Ctx, builtin: Builtin, given: &Given) -> Option<Ty> {
    let (axes, adjoint) = match builtin {
        Builtin::Conv1 => (1, false),
        Builtin::Conv1Adjoint => (1, true),
        Builtin::Conv2Adjoint => (2, true),
        _ => (2, false),
    };
    given.count(ctx, 2..=if adjoint { 2 + axes } else { 2 }, &["stride", "dilation", "pad"])?;
    let x = given.array(ctx, 0, NUMBERS)?;
    let k = given.array(ctx, 1, NUMBERS)?;
    let stride = step(ctx, given, "stride")?;
    let dilation = step(ctx, given, "dilation")?;
    let pad = match given.named("pad") {
        None => Some("valid"),
        Some(arg) => word(ctx, given, arg, &["valid", "same", "circular", "reflect", "symmetric"])?,
    };
    let extents = if given.positional() > 2 { given.sizes(ctx, 2)? } else { Some(Vec::new()) };
    let (Some(dx), Some(dk)) = (&x.dims, &k.dims) else { return Some(Ty::any_rank(Kind::Real)) };
    let front = |dims: &[Dim]| dims.len().checked_sub(axes);
    // What stands before the extents: nothing or channels; nothing, kernels, or kernels and channels.
    let (before, channels) = match (front(dx), front(dk), adjoint) {
        (Some(0), Some(0), _) => (vec![], None),
        (Some(1), Some(0), _) => (vec![dx[0].clone()], None),
        (Some(0), Some(1), false) => (vec![dk[0].clone()], None),
        (Some(1), Some(1), false) => (vec![], Some((&dx[0], &dk[0]))),
        (Some(1), Some(2), false) => (vec![dk[0].clone()], Some((&dx[0], &dk[1]))),
        (Some(0), Some(1), true) => (vec![dk[0].clone()], None),
        (Some(1), Some(1), true) => (vec![], Some((&dx[0], &dk[0]))),
        (Some(1), Some(2), true) => (vec![dk[1].clone()], Some((&dx[0], &dk[0]))),
        _ => {
            mismatch(ctx, given, "do not go together", usage(axes, adjoint));
            return None;
        }
    };
    if let Some((of_image, of_kernel)) = channels
        && ctx.differ(of_image, of_kernel)
    {
        let (does, has) = if adjoint { ("makes", "filtered image") } else { ("is for", "image") };
        let why = format!("do not fit: the kernel {does} {of_kernel} channels, the {has} has {of_image}");
        mismatch(ctx, given, &why, "");
        return None;
    }
    let (image, kernel) = (&dx[dx.len() - axes..], &dk[dk.len() - axes..]);
    let mut dims = before;
    for axis in 0..axes {
        let (n, taps) = (&image[axis], &kernel[axis]);
        let reach = plus(&plus(taps, -1).combine(&dilation, Poly::mul), 1);
        let Some(pad) = pad else {
            dims.push(Dim::Unknown);
            continue;
        };
        if adjoint {
            if let Some(given) = &extents
                && !given.is_empty()
            {
                dims.push(given.get(axis).cloned().unwrap_or(Dim::Unknown));
                continue;
            }
            let last = plus(n, -1).combine(&stride, Poly::mul);
            dims.push(if extents.is_none() {
                Dim::Unknown
            } else if pad == "valid" {
                last.combine(&reach, Poly::add)
            } else {
                plus(&last, 1)
            });
            continue;
        }
        let rest = if pad == "valid" { n.combine(&reach, Poly::sub) } else { plus(n, -1) };
        if rest.as_constant().is_some_and(|rest| rest < 0) && pad == "valid" {
            let why = format!("do not fit: the kernel reaches over {reach} elements, the image has {n} along an axis");
            mismatch(ctx, given, &why, "`pad: \"same\"` takes zeros beyond the edge");
            return None;
        }
        dims.push(plus(&quotient(&rest, &stride), 1));
    }
    Some(Ty::array(Kind::Real, dims))
}

fn usage(axes: usize, adjoint: bool) -> &'static str {
    match (axes, adjoint) {
        (1, false) => {
            "a signal real[n] goes with kernels real[p] and real[o, p], channels real[c, n] with kernels real[p], real[c, p] and real[o, c, p]"
        }
        (1, true) => {
            "a result real[n] goes with kernels real[p] and real[c, p], results real[o, n] with kernels real[p], real[o, p] and real[o, c, p]"
        }
        (_, false) => {
            "an image real[h, w] goes with kernels real[p, q] and real[o, p, q], channels real[c, h, w] with kernels real[p, q], real[c, p, q] and real[o, c, p, q]"
        }
        (_, true) => {
            "a result real[h, w] goes with kernels real[p, q] and real[c, p, q], results real[o, h, w] with kernels real[p, q], real[o, p, q] and real[o, c, p, q]"
        }
    }
}

/// Reports an image and a kernel.
fn mismatch(ctx: &mut Ctx, given: &Given, why: &str, help: &str) {
    let (a, b) = (&given.args[0].operand, &given.args[1].operand);
    let message = format!("{} and {} {why}", a.shown(), b.shown());
    let diagnostic = b.label(a.label(Diagnostic::error("E0413", given.span, message)));
    let diagnostic = diagnostic.note(report::aligned(a, b));
    ctx.report(if help.is_empty() { diagnostic } else { diagnostic.help(help) });
}

/// `pad(x, n)`, `pad(x, before, after)`.
pub fn pad(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 2..=3, &["mode", "axis"])?;
    let array = given.array(ctx, 0, ANY)?;
    has_axes(ctx, given, &array)?;
    if let Some(mode) = given.named("mode") {
        word(ctx, given, mode, &["zero", "circular", "reflect", "symmetric"])?;
    }
    let low = given.size(ctx, 1)?;
    let high = if given.positional() == 3 { given.size(ctx, 2)? } else { low.clone() };
    let added = low.combine(&high, Poly::add);
    along(ctx, given, &array, |n| n.combine(&added, Poly::add))
}

/// An array whose one axis, the last or that of `axis:`, has another extent.
fn along(ctx: &mut Ctx, given: &Given, array: &Array, f: impl Fn(&Dim) -> Dim) -> Option<Ty> {
    let Some(mut dims) = array.dims.clone() else {
        if given.named("axis").is_some() {
            axis(ctx, given, array)?.ok();
        }
        return Some(Ty::any_rank(array.kind));
    };
    let at = match given.named("axis") {
        None => Ok(dims.len() - 1),
        Some(_) => axis(ctx, given, array)?,
    };
    match at {
        Ok(at) => dims[at] = f(&dims[at]),
        Err(()) => dims.iter_mut().for_each(|dim| *dim = Dim::Unknown),
    }
    Some(Ty::array(array.kind, dims))
}

/// `roll(x, by)`.
pub fn roll(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 2..=2, &["axis"])?;
    let array = given.array(ctx, 0, ANY)?;
    has_axes(ctx, given, &array)?;
    given.int(ctx, 1)?;
    if given.named("axis").is_some() {
        axis(ctx, given, &array)?.ok();
    }
    Some(Ty::shaped(array.kind, array.dims))
}

/// Reports what has not two axes.
fn image(ctx: &mut Ctx, given: &Given, array: &Array) -> Option<()> {
    if array.dims.as_ref().is_none_or(|dims| dims.len() >= 2) {
        return Some(());
    }
    let operand = &given.args[0].operand;
    let message =
        format!("`{}` takes an image, real[h, w] or with axes before these, not {}", given.name, operand.shown());
    ctx.report(operand.label(Diagnostic::error("E0413", given.args[0].span, message)));
    None
}

/// The extent of windows: a number for both axes, or something that is looked at later.
fn extent(ctx: &mut Ctx, given: &Given, i: usize) -> Option<Dim> {
    match &given.args[i].ty {
        Ty::Array(Array { kind: Kind::Int, dims: Some(dims), .. }) if !dims.is_empty() => Some(Dim::Unknown),
        Ty::Tuple(_) | Ty::List(_) => Some(Dim::Unknown),
        _ => given.size(ctx, i),
    }
}

/// `pool_max(x, p)`, `pool_mean(x, p)`, `pool_top(x, p, k)`.
pub fn pool(ctx: &mut Ctx, builtin: Builtin, given: &Given) -> Option<Ty> {
    if builtin == Builtin::PoolTop {
        given.count(ctx, 3..=3, &[])?;
        let array = given.array(ctx, 0, NUMBERS)?;
        image(ctx, given, &array)?;
        extent(ctx, given, 1)?;
        given.size(ctx, 2)?;
        return Some(Ty::shaped(Kind::Real, array.dims));
    }
    given.count(ctx, 2..=2, &["stride"])?;
    let array = given.array(ctx, 0, NUMBERS)?;
    image(ctx, given, &array)?;
    let p = extent(ctx, given, 1)?;
    let stride = if given.named("stride").is_some() { step(ctx, given, "stride")? } else { p.clone() };
    let kind = if builtin == Builtin::PoolMean { Kind::Real } else { array.kind };
    let Some(mut dims) = array.dims else { return Some(Ty::any_rank(kind)) };
    let rank = dims.len();
    for dim in &mut dims[rank - 2..] {
        let rest = dim.combine(&p, Poly::sub);
        if rest.as_constant().is_some_and(|rest| rest < 0) {
            let message = format!("a window of {p} does not fit into {dim} elements");
            ctx.report(given.args[0].operand.label(Diagnostic::error("E0413", given.span, message)));
            return None;
        }
        *dim = plus(&quotient(&rest, &stride), 1);
    }
    Some(Ty::array(kind, dims))
}

/// `resize2(x, h, w)`.
pub fn resize(ctx: &mut Ctx, given: &Given) -> Option<Ty> {
    given.count(ctx, 3..=3, &["mode"])?;
    let array = given.array(ctx, 0, NUMBERS)?;
    image(ctx, given, &array)?;
    let nearest = match given.named("mode") {
        None => Some("bilinear"),
        Some(mode) => word(ctx, given, mode, &["bilinear", "nearest"])?,
    };
    let (h, w) = (given.size(ctx, 1)?, given.size(ctx, 2)?);
    let kind = if nearest == Some("nearest") { array.kind } else { Kind::Real };
    let Some(mut dims) = array.dims else { return Some(Ty::any_rank(kind)) };
    dims.truncate(dims.len() - 2);
    dims.extend([h, w]);
    Some(Ty::array(kind, dims))
}

/// `top_k(x, k)`, `keep_top(x, k)`.
pub fn largest(ctx: &mut Ctx, builtin: Builtin, given: &Given) -> Option<Ty> {
    given.count(ctx, 2..=2, &[])?;
    let array = given.array(ctx, 0, NUMBERS)?;
    has_axes(ctx, given, &array)?;
    let k = given.size(ctx, 1)?;
    if builtin == Builtin::KeepTop {
        return Some(Ty::shaped(Kind::Real, array.dims));
    }
    let dims = array.dims.map(|mut dims| {
        dims.pop();
        dims.push(k);
        dims
    });
    Some(Ty::tuple(vec![Ty::shaped(array.kind, dims.clone()), Ty::shaped(Kind::Int, dims)]))
}
