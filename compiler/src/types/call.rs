//! Calls: arguments to parameters, generic dimensions, lifting of scalar functions, `each`, blanks.

use super::dim::{Dim, Poly};
use super::expr::synth;
use super::fit;
use super::fit::{Bindings, Misfit};
use super::operator::{Shape, broadcast};
use super::report;
use super::report::Operand;
use super::scope::{Scope, similar};
use super::ty::{Array, Kind, Param, Record, Sig, Ty};
use super::{Ctx, builtin, derivative, function, prox};
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{ArgValue, Expr, Name};
use std::rc::Rc;

/// A value given to a function.
#[derive(Clone, Debug)]
pub struct Arg<'a> {
    pub name: Option<&'a Name>,
    pub ty: Ty,
    pub span: Span,
    pub operand: Operand,
    /// The number of `each` marks.
    pub each: usize,
    /// `_`
    pub blank: bool,
    /// `e for i in n`: `ty` is that of `e`.
    pub generator: bool,
}

impl Arg<'_> {
    /// A positional argument that the user did not write as such.
    pub fn of_type(ty: Ty, span: Span) -> Arg<'static> {
        let operand = report::part(span, None, &ty);
        Arg { name: None, ty, span, operand, each: 0, blank: false, generator: false }
    }
}

/// The arguments' types.
pub fn arguments<'a>(ctx: &mut Ctx, scope: &Scope, args: &'a [ast::Arg]) -> Vec<Arg<'a>> {
    args.iter().map(|arg| argument(ctx, scope, arg)).collect()
}

fn argument<'a>(ctx: &mut Ctx, scope: &Scope, arg: &'a ast::Arg) -> Arg<'a> {
    let mut given = Arg::of_type(Ty::Unknown, arg.span);
    let given_name = arg.name.as_ref();
    match &arg.value {
        ArgValue::Blank => given.blank = true,
        ArgValue::Expr(expr) => {
            given.ty = synth(ctx, scope, expr);
            given.operand = report::operand(ctx, scope, expr, &given.ty);
            given.span = expr.span;
        }
        ArgValue::Each(count, expr) => {
            given.ty = synth(ctx, scope, expr);
            given.operand = report::operand(ctx, scope, expr, &given.ty);
            given.span = expr.span;
            given.each = *count;
        }
        ArgValue::Generator { body, gens } => {
            let inner = super::expr::generators(ctx, scope, gens).1;
            given.ty = synth(ctx, &inner, body);
            given.generator = true;
        }
    }
    Arg { name: given_name, ..given }
}

/// A call as written.
pub fn call(ctx: &mut Ctx, scope: &Scope, func: &Expr, args: &[ast::Arg], span: Span) -> Ty {
    let callee = synth(ctx, scope, func);
    if let Ty::Builtin(builtin) = callee
        && let Some(operator) = derivative::operator(builtin)
    {
        return derivative::derive(ctx, scope, operator, args, span);
    }
    if matches!(callee, Ty::Builtin(Builtin::Prox)) {
        return prox::operator(ctx, scope, args, span);
    }
    let args = arguments(ctx, scope, args);
    if let Some(generator) = args.iter().find(|arg| arg.generator)
        && !matches!(callee, Ty::Builtin(_) | Ty::Unknown)
    {
        let message =
            "`e for i in n` is an argument of reductions only (`sum`, `prod`, `mean`, `max`, `min`, `all`, `any`)";
        ctx.report(Diagnostic::error("E0311", generator.span, message));
        return Ty::Unknown;
    }
    apply(ctx, &callee, &args, span)
}

/// The result of calling a value with these arguments.
pub fn apply(ctx: &mut Ctx, callee: &Ty, args: &[Arg], span: Span) -> Ty {
    if args.iter().any(|arg| arg.each > 0) {
        return apply_each(ctx, callee, args, span);
    }
    match callee {
        Ty::Unknown => Ty::Unknown,
        Ty::Fn(sig) => apply_sig(ctx, sig, args, span),
        Ty::Network(network) => apply_sig(ctx, &network.sig, args, span),
        Ty::Template(template) => {
            if !ctx.effects {
                let called = template.sig.called();
                let message = format!("{called} is a network template, and this would make parameters at each call");
                let help =
                    "`param name = template(..)` in a network, or `network NAME = template(..)` at the top level";
                ctx.report(Diagnostic::error("E0316", span, message).help(help));
            }
            apply_sig(ctx, &template.sig, args, span)
        }
        Ty::Solver(solver) => apply_sig(ctx, &solver.sig, args, span),
        Ty::Problem(problem) => apply_sig(ctx, &problem.sig, args, span),
        Ty::Lambda(lambda) => function::apply_lambda(ctx, lambda, args, span),
        Ty::Derived(derived) => derivative::apply(ctx, derived, args, span),
        Ty::Builtin(builtin) => builtin::apply(ctx, *builtin, args, span),
        Ty::Array(_) | Ty::Str | Ty::Tuple(_) | Ty::Record(_) | Ty::List(_) => {
            let mut diagnostic = Diagnostic::error("E0310", span, format!("{callee} is not a function"));
            if let Ty::Array(array) = callee
                && array.dims.as_ref().is_none_or(|dims| !dims.is_empty())
            {
                diagnostic = diagnostic.help("elements are taken with brackets: `x[i]`");
            }
            ctx.report(diagnostic);
            Ty::Unknown
        }
    }
}

/// `f(each X, D)`: `f` on the elements along the leading axes, and a leading axis on what it gives.
fn apply_each(ctx: &mut Ctx, callee: &Ty, args: &[Arg], span: Span) -> Ty {
    let mut inner = Vec::new();
    let mut leading: Vec<Dim> = Vec::new();
    let mut first: Option<&Arg> = None;
    let mut wrong = false;
    for arg in args {
        let mut element = Arg { each: 0, ..arg.clone() };
        if arg.each == 0 {
            inner.push(element);
            continue;
        }
        match strip(&arg.ty, arg.each) {
            Some((dims, ty)) => {
                if let Some(first) = first {
                    let pair = leading.iter().zip(&dims).find(|(a, b)| ctx.differ(a, b));
                    if let Some((a, b)) = pair {
                        let message = format!(
                            "{} and {} are taken together by `each`, but their leading sizes {a} and {b} differ",
                            first.operand.shown(),
                            arg.operand.shown()
                        );
                        let diagnostic = Diagnostic::error("E0409", arg.span, message);
                        ctx.report(arg.operand.label(first.operand.label(diagnostic)));
                        wrong = true;
                    }
                }
                for (i, dim) in dims.iter().enumerate() {
                    match leading.get(i) {
                        Some(known) => leading[i] = known.better(dim).clone(),
                        None => leading.push(dim.clone()),
                    }
                }
                first = first.or(Some(arg));
                element.ty = ty;
            }
            None => {
                let axes =
                    if arg.each == 1 { "a leading axis".to_string() } else { format!("{} leading axes", arg.each) };
                let message = format!("`each` needs {axes}, but {} has none such", arg.operand.shown());
                ctx.report(arg.operand.label(Diagnostic::error("E0409", arg.span, message)));
                wrong = true;
            }
        }
        element.operand = report::part(arg.span, None, &element.ty);
        inner.push(element);
    }
    if wrong {
        return Ty::Unknown;
    }
    let result = apply(ctx, callee, &inner, span);
    prefix(&result, &leading)
}

/// Takes leading axes off every array in a value: the axes, and what remains. `None` if there are too few.
pub fn strip(ty: &Ty, axes: usize) -> Option<(Vec<Dim>, Ty)> {
    match ty {
        Ty::Unknown => Some((vec![Dim::Unknown; axes], Ty::Unknown)),
        Ty::Array(Array { kind, dims: None, .. }) => Some((vec![Dim::Unknown; axes], Ty::any_rank(*kind))),
        Ty::Array(Array { kind, dims: Some(dims), .. }) => {
            (dims.len() >= axes).then(|| (dims[..axes].to_vec(), Ty::array(*kind, dims[axes..].to_vec())))
        }
        Ty::Tuple(types) => {
            let parts: Vec<(Vec<Dim>, Ty)> = types.iter().map(|ty| strip(ty, axes)).collect::<Option<_>>()?;
            let leading = parts.first()?.0.clone();
            Some((leading, Ty::tuple(parts.into_iter().map(|(_, ty)| ty).collect())))
        }
        Ty::Record(record) => {
            let mut leading = None;
            let mut fields = Vec::new();
            for (name, ty) in &record.fields {
                let (dims, ty) = strip(ty, axes)?;
                leading = leading.or(Some(dims));
                fields.push((name.clone(), ty));
            }
            Some((leading?, Ty::record(fields, record.open)))
        }
        Ty::List(_) => Some((vec![Dim::Unknown; axes], Ty::Unknown)),
        Ty::Str | Ty::Fn(_) | Ty::Lambda(_) | Ty::Builtin(_) | Ty::Derived(_) => None,
        Ty::Network(_) | Ty::Template(_) | Ty::Solver(_) | Ty::Problem(_) => None,
    }
}

/// Puts leading axes on every array in a value.
pub fn prefix(ty: &Ty, leading: &[Dim]) -> Ty {
    match ty {
        Ty::Array(array) => {
            let dims = array.dims.as_ref().map(|dims| leading.iter().chain(dims).cloned().collect());
            Ty::shaped(array.kind, dims)
        }
        Ty::Tuple(types) => Ty::tuple(types.iter().map(|ty| prefix(ty, leading)).collect()),
        Ty::Record(record) => {
            let fields = record.fields.iter().map(|(name, ty)| (name.clone(), prefix(ty, leading))).collect();
            Ty::Record(Rc::new(Record { fields, open: record.open }))
        }
        Ty::Str | Ty::Fn(_) | Ty::Lambda(_) | Ty::Builtin(_) | Ty::Derived(_) | Ty::Network(_) => Ty::Unknown,
        Ty::Template(_) | Ty::Solver(_) | Ty::Problem(_) | Ty::List(_) | Ty::Unknown => Ty::Unknown,
    }
}

/// Arguments brought to parameters.
pub struct Bound {
    /// For each parameter the position of its argument; `None` where the default stands.
    pub slots: Vec<Option<usize>>,
    pub map: Bindings,
    /// The common shape of the arrays given for scalars; empty if none was.
    pub lifted: Shape,
}

fn apply_sig(ctx: &mut Ctx, sig: &Sig, args: &[Arg], span: Span) -> Ty {
    let Some(bound) = bind_arguments(ctx, sig, args, span) else { return Ty::Unknown };
    if args.iter().any(|arg| arg.blank) {
        return blank_form(sig, args, &bound);
    }
    let result = sig.result.subst(&fit::closed(&bound.map, &sig.generics));
    lift(ctx, sig, &result, &bound.lifted, span)
}

/// The function of the blanks of a call, in order.
pub fn blank_form(sig: &Sig, args: &[Arg], bound: &Bound) -> Ty {
    if bound.lifted.as_ref().is_none_or(|dims| !dims.is_empty()) {
        return Ty::Unknown;
    }
    let mut blanks: Vec<(usize, &Param)> = Vec::new();
    for (param, slot) in sig.params.iter().zip(&bound.slots) {
        if let Some(slot) = slot
            && args[*slot].blank
        {
            blanks.push((*slot, param));
        }
    }
    blanks.sort_by_key(|(slot, _)| *slot);
    let params = blanks
        .into_iter()
        .map(|(_, param)| Param { ty: param.ty.subst(&bound.map), default: false, ..param.clone() })
        .collect();
    let generics = sig.generics.iter().filter(|name| !bound.map.contains_key(&name.id)).cloned().collect();
    let result = sig.result.subst(&bound.map);
    Ty::Fn(Rc::new(Sig { what: "function", name: None, generics, params, result }))
}

/// A scalar result over the common shape of the lifted arguments.
fn lift(ctx: &mut Ctx, sig: &Sig, result: &Ty, lifted: &Shape, span: Span) -> Ty {
    if lifted.as_ref().is_some_and(Vec::is_empty) {
        return result.clone();
    }
    match result {
        Ty::Unknown => Ty::Unknown,
        Ty::Array(Array { kind, dims, .. }) if dims.as_ref().is_none_or(Vec::is_empty) => {
            Ty::shaped(*kind, lifted.clone())
        }
        _ if lifted.is_none() => Ty::Unknown,
        _ => {
            let shape = lifted.as_ref().map_or_else(String::new, |dims| super::ty::show_dims(dims));
            let message = format!(
                "{} cannot be applied to each element of an array {shape}: its result is {result}, not a scalar",
                sig.called()
            );
            let help = "`f(each X)` maps a function with an array as result over the leading axis";
            ctx.report(Diagnostic::error("E0410", span, message).help(help));
            Ty::Unknown
        }
    }
}

/// Brings arguments to parameters and binds the generic dimensions; `None` after a reported mistake.
pub fn bind_arguments(ctx: &mut Ctx, sig: &Sig, args: &[Arg], span: Span) -> Option<Bound> {
    let slots = assign(ctx, sig, args, span)?;
    let mut map = Bindings::new();
    // Which argument said what a name is.
    let mut origins: Vec<(u32, usize)> = Vec::new();
    let free = |id: u32| sig.generics.iter().any(|name| name.id == id);
    for sums in [false, true] {
        for (param, slot) in sig.params.iter().zip(&slots) {
            let Some(slot) = *slot else { continue };
            let before: Vec<u32> = map.keys().copied().collect();
            fit::bind(&param.ty, &args[slot].ty, &free, &mut map, sums);
            origins.extend(map.keys().filter(|id| !before.contains(id)).map(|id| (*id, slot)));
        }
    }
    let mut lifted: Shape = Some(Vec::new());
    let mut lifted_by: Option<usize> = None;
    let mut wrong = false;
    for (param, slot) in sig.params.iter().zip(&slots) {
        let Some(slot) = *slot else { continue };
        let arg = &args[slot];
        if arg.blank {
            continue;
        }
        let declared = param.ty.subst(&fit::closed(&map, &sig.generics));
        if let Ty::Fn(wanted) = &param.ty
            && fit::is_function(&arg.ty)
        {
            wrong |= !function_argument(ctx, sig, param, wanted, arg, &mut map);
            continue;
        }
        if let Some(shape) = lifts(&declared, &arg.ty) {
            match broadcast(ctx, &lifted, &shape) {
                Ok(common) => lifted = common,
                Err(clash) => {
                    let first = &args[lifted_by.unwrap_or(slot)];
                    let message = format!(
                        "{} is applied to each element of {} and {}, but {}",
                        sig.called(),
                        first.operand.shown(),
                        arg.operand.shown(),
                        report::why_not(&clash)
                    );
                    let diagnostic = Diagnostic::error("E0402", arg.span, message);
                    ctx.report(arg.operand.label(first.operand.label(diagnostic)));
                    wrong = true;
                }
            }
            lifted_by = lifted_by.or(Some(slot));
            continue;
        }
        if let Some(misfit) = fit::misfit(ctx, &declared, &arg.ty) {
            report_argument(ctx, sig, param, arg, &misfit, (&map, &origins, args));
            wrong = true;
        }
    }
    (!wrong).then_some(Bound { slots, map, lifted })
}

/// The shape over which an argument given for a scalar parameter is taken, if it is an array.
fn lifts(declared: &Ty, actual: &Ty) -> Option<Shape> {
    match (declared, actual) {
        (Ty::Array(declared), Ty::Array(actual)) if actual.kind.widens_to(declared.kind) => {
            let scalar = declared.dims.as_ref().is_some_and(Vec::is_empty);
            let array = actual.dims.as_ref().is_none_or(|dims| !dims.is_empty());
            (scalar && array).then(|| actual.dims.clone())
        }
        _ => None,
    }
}

/// Positional arguments in order, then named ones.
fn assign(ctx: &mut Ctx, sig: &Sig, args: &[Arg], span: Span) -> Option<Vec<Option<usize>>> {
    let mut slots: Vec<Option<usize>> = vec![None; sig.params.len()];
    let mut wrong = false;
    let mut next = 0;
    for (i, arg) in args.iter().enumerate() {
        let position = match arg.name {
            None if next < slots.len() => {
                next += 1;
                Some(next - 1)
            }
            None => {
                let count = sig.params.len();
                let takes = match count {
                    0 => "no arguments".to_string(),
                    1 => "1 argument".to_string(),
                    _ => format!("{count} arguments"),
                };
                let were = if args.len() == 1 { "was" } else { "were" };
                let message = format!("{} takes {takes}, but {} {were} given", sig.called(), args.len());
                ctx.report(Diagnostic::error("E0321", arg.span, message).here("one too many").note(usage(sig)));
                return None;
            }
            Some(name) => {
                let position = sig.params.iter().position(|param| param.name.as_ref() == Some(&name.text));
                if position.is_none() {
                    let known = sig.params.iter().filter_map(|param| param.name.as_deref());
                    let message = format!("{} has no parameter `{}`", sig.called(), name.text);
                    let mut diagnostic = Diagnostic::error("E0321", name.span, message).note(usage(sig));
                    if let Some(suggestion) = similar(&name.text, known) {
                        diagnostic = diagnostic.help(format!("did you mean `{suggestion}`?"));
                    }
                    ctx.report(diagnostic);
                }
                position
            }
        };
        let Some(position) = position else {
            wrong = true;
            continue;
        };
        if let Some(first) = slots[position] {
            let name = sig.params[position].name.as_deref().unwrap_or("_");
            let message = format!("the argument `{name}` of {} is given twice", sig.called());
            ctx.report(Diagnostic::error("E0321", arg.span, message).label(args[first].span, "first here"));
            wrong = true;
        }
        slots[position] = Some(i);
    }
    let missing: Vec<String> = sig
        .params
        .iter()
        .zip(&slots)
        .enumerate()
        .filter(|(_, (param, slot))| slot.is_none() && !param.default)
        .map(|(i, (param, _))| param.name.as_ref().map_or_else(|| format!("{}", i + 1), |name| format!("`{name}`")))
        .collect();
    if !missing.is_empty() && !wrong {
        let plural = if missing.len() == 1 { "argument" } else { "arguments" };
        let message = format!("the {plural} {} of {} missing", missing.join(", "), sig.called());
        let message = message.replace(" missing", if missing.len() == 1 { " is missing" } else { " are missing" });
        ctx.report(Diagnostic::error("E0321", span, message).note(usage(sig)));
        return None;
    }
    (!wrong).then_some(slots)
}

fn usage(sig: &Sig) -> String {
    format!("it is declared as {}{sig}", sig.name.as_deref().unwrap_or(sig.what))
}

fn report_argument(
    ctx: &mut Ctx,
    sig: &Sig,
    param: &Param,
    arg: &Arg,
    misfit: &Misfit,
    (map, origins, args): (&Bindings, &[(u32, usize)], &[Arg]),
) {
    let wanted = match &param.name {
        Some(name) => format!("`{name}: {}`", param.ty),
        None => param.ty.to_string(),
    };
    let base = format!("{} takes {wanted}, but {} was given", sig.called(), arg.operand.shown());
    let (code, message) = match misfit {
        Misfit::Kind => ("E0311", base),
        Misfit::Rank => ("E0406", base),
        Misfit::Dim(wanted, given) => ("E0406", format!("{base}: {wanted} and {given} differ")),
    };
    let mut diagnostic = Diagnostic::error(code, arg.span, message).here(format!("this is {}", arg.ty));
    diagnostic = arg.operand.label(diagnostic);
    if !param.span.is_none() {
        diagnostic = diagnostic.label(param.span, "the parameter");
    }
    if let Misfit::Dim(..) = misfit {
        for (id, slot) in origins {
            let name = sig.generics.iter().find(|name| name.id == *id);
            if let (Some(name), Some(Dim::Known(value))) = (name, map.get(id))
                && mentions(&param.ty, *id)
                && *value != Poly::name(name.clone())
                && args[*slot].span != arg.span
            {
                diagnostic = diagnostic
                    .label(args[*slot].span, format!("{} is {value}, because this is {}", name.text, args[*slot].ty));
            }
        }
    }
    if let (Ty::Array(to), Ty::Array(from)) = (&param.ty, &arg.ty)
        && to.kind == Kind::Int
        && from.kind == Kind::Real
    {
        diagnostic = diagnostic.help("reals become ints by `round`, `floor` or `ceil` only");
    }
    ctx.report(diagnostic);
}

fn mentions(ty: &Ty, id: u32) -> bool {
    ty.as_array()
        .and_then(|array| array.dims.as_ref())
        .is_some_and(|dims| dims.iter().any(|dim| dim.known().is_some_and(|poly| poly.mentions(&|other| other == id))))
}

/// Checks a function given for a parameter `fn(...) -> ...` by applying it to the declared types.
fn function_argument(ctx: &mut Ctx, sig: &Sig, param: &Param, wanted: &Sig, arg: &Arg, map: &mut Bindings) -> bool {
    let closed = fit::closed(map, &sig.generics);
    let inner: Vec<Arg> = wanted.params.iter().map(|param| Arg::of_type(param.ty.subst(&closed), arg.span)).collect();
    let count = ctx.diagnostics.len();
    let result = apply(ctx, &arg.ty, &inner, arg.span);
    if ctx.diagnostics.len() > count {
        return false;
    }
    let free = |id: u32| sig.generics.iter().any(|name| name.id == id);
    fit::bind(&wanted.result, &result, &free, map, false);
    fit::bind(&wanted.result, &result, &free, map, true);
    let declared = wanted.result.subst(&fit::closed(map, &sig.generics));
    let Some(misfit) = fit::misfit(ctx, &declared, &result) else { return true };
    let name = param.name.as_deref().unwrap_or("_");
    let message =
        format!("{} takes `{name}: {}`, but the function given has the result {result}", sig.called(), param.ty);
    let code = match misfit {
        Misfit::Kind => "E0311",
        Misfit::Rank | Misfit::Dim(..) => "E0406",
    };
    ctx.report(arg.operand.label(Diagnostic::error(code, arg.span, message)));
    false
}

/// The types of positional arguments.
pub fn argument_types(args: &[Arg]) -> Vec<Ty> {
    args.iter().filter(|arg| arg.name.is_none()).map(|arg| arg.ty.clone()).collect()
}
