//! Written types. In a parameter's type dimension names are generic; in a body, a return type or a top-level
//! annotation a name in scope is a check and one not in scope is bound from the value.

use super::Ctx;
use super::dim::{Dim, DimName, Overflow, Poly};
use super::expr::synth;
use super::fit;
use super::fit::{Bindings, Misfit};
use super::report;
use super::scope::{Found, Role, Scope, Var, from_inside, lookup_global};
use super::ty::{Array, Kind, Param, Ty};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{ArgValue, BinaryOp, Expr, ExprKind, Name, Symbol, TypeKind};

/// The dimension names that a written type introduces.
#[derive(Default)]
pub struct DimNames {
    /// Names are fresh and stand for every size (parameters), or are looked up first (annotations).
    generic: bool,
    pub found: Vec<(Name, DimName)>,
}

impl DimNames {
    pub fn generic() -> DimNames {
        DimNames { generic: true, found: Vec::new() }
    }

    pub fn checked() -> DimNames {
        DimNames::default()
    }

    fn get(&self, text: &str) -> Option<&DimName> {
        self.found.iter().find(|(name, _)| &*name.text == text).map(|(_, dim)| dim)
    }

    pub fn ids(&self) -> Vec<u32> {
        self.found.iter().map(|(_, dim)| dim.id).collect()
    }

    /// Adds a name that is known before the type is read: an int parameter.
    pub fn add(&mut self, ctx: &mut Ctx, name: &Name) -> DimName {
        let dim = ctx.fresh(&name.text, self.generic);
        self.found.push((name.clone(), dim.clone()));
        dim
    }
}

/// A written type.
pub fn resolve(ctx: &mut Ctx, scope: &Scope, ty: &ast::Type, names: &mut DimNames) -> Ty {
    match &ty.kind {
        TypeKind::Array { kind, dims } => {
            let dims: Vec<Dim> = dims.iter().map(|expr| resolve_dim(ctx, scope, expr, names)).collect();
            match Kind::of(*kind) {
                Some(kind) => Ty::array(kind, dims),
                None if dims.is_empty() => Ty::Str,
                None => {
                    ctx.report(Diagnostic::error("E0311", ty.span, "strings have no dimensions"));
                    Ty::Unknown
                }
            }
        }
        TypeKind::Tuple(types) => Ty::tuple(types.iter().map(|ty| resolve(ctx, scope, ty, names)).collect()),
        TypeKind::Record(fields) => {
            let fields = fields.iter().map(|(name, ty)| (name.text.clone(), resolve(ctx, scope, ty, names))).collect();
            Ty::record(fields, false)
        }
        TypeKind::Fn { params, result } => {
            let params = params
                .iter()
                .map(|ty| Param { name: None, ty: resolve(ctx, scope, ty, names), default: false, span: ty.span })
                .collect();
            let result = resolve(ctx, scope, result, names);
            Ty::Fn(super::ty::Sig { what: "function", name: None, generics: Vec::new(), params, result }.into())
        }
        TypeKind::Error => Ty::Unknown,
    }
}

/// A written dimension.
pub fn resolve_dim(ctx: &mut Ctx, scope: &Scope, expr: &Expr, names: &mut DimNames) -> Dim {
    match dim_of(ctx, scope, expr, names) {
        Ok(Dim::Known(poly)) if poly.as_constant().is_some_and(|number| number < 0) => {
            ctx.report(Diagnostic::error("E0404", expr.span, format!("a dimension of {poly} is negative")));
            Dim::Unknown
        }
        Ok(dim) => dim,
        Err(Overflow) => {
            ctx.report(Diagnostic::error("E0404", expr.span, "this dimension is too large"));
            Dim::Unknown
        }
    }
}

fn dim_of(ctx: &mut Ctx, scope: &Scope, expr: &Expr, names: &mut DimNames) -> Result<Dim, Overflow> {
    match &expr.kind {
        ExprKind::Int(value) => Ok(Dim::constant(*value)),
        ExprKind::Name(text) => Ok(dim_name(ctx, scope, &Name { text: text.clone(), span: expr.span }, names)),
        ExprKind::Neg(inner) => match dim_of(ctx, scope, inner, names)? {
            Dim::Known(poly) => Ok(Dim::Known(poly.neg()?)),
            Dim::Unknown => Ok(Dim::Unknown),
        },
        ExprKind::Chain { first, rest } => {
            let mut left = dim_of(ctx, scope, first, names)?;
            for (op, right) in rest {
                let right_dim = dim_of(ctx, scope, right, names)?;
                left = dim_operation(ctx, *op, &left, &right_dim, right.span)?;
            }
            Ok(left)
        }
        ExprKind::Call { func, args } => {
            let ExprKind::Name(function) = &func.kind else { return Ok(dim_value(ctx, scope, expr)) };
            let operands: Option<Vec<&Expr>> = args
                .iter()
                .map(|arg| match &arg.value {
                    ArgValue::Expr(expr) if arg.name.is_none() => Some(expr),
                    ArgValue::Expr(_) | ArgValue::Blank | ArgValue::Each(..) | ArgValue::Generator { .. } => None,
                })
                .collect();
            match (&**function, operands.as_deref()) {
                ("min" | "max", Some([a, b])) => {
                    let (a, b) = (dim_of(ctx, scope, a, names)?, dim_of(ctx, scope, b, names)?);
                    match (a.known(), b.known()) {
                        (Some(a), Some(b)) if &**function == "min" => Ok(Dim::Known(a.lesser(b)?)),
                        (Some(a), Some(b)) => Ok(Dim::Known(a.greater(b)?)),
                        _ => Ok(Dim::Unknown),
                    }
                }
                _ => Ok(dim_value(ctx, scope, expr)),
            }
        }
        ExprKind::Error => Ok(Dim::Unknown),
        _ => Ok(dim_value(ctx, scope, expr)),
    }
}

/// Any other expression: its value, if it is a static int.
fn dim_value(ctx: &mut Ctx, scope: &Scope, expr: &Expr) -> Dim {
    let ty = synth(ctx, scope, expr);
    match &ty {
        Ty::Unknown => Dim::Unknown,
        Ty::Array(Array { kind: Kind::Int, dims, .. }) if dims.as_ref().is_none_or(Vec::is_empty) => ty.value_dim(),
        _ => {
            ctx.report(Diagnostic::error("E0403", expr.span, format!("a dimension is an int, but this is {ty}")));
            Dim::Unknown
        }
    }
}

fn dim_operation(ctx: &mut Ctx, op: BinaryOp, a: &Dim, b: &Dim, span: Span) -> Result<Dim, Overflow> {
    let (Some(a), Some(b)) = (a.known(), b.known()) else { return Ok(Dim::Unknown) };
    let quotient = match op {
        BinaryOp::Add => return Ok(Dim::Known(a.add(b)?)),
        BinaryOp::Sub => return Ok(Dim::Known(a.sub(b)?)),
        BinaryOp::Mul => return Ok(Dim::Known(a.mul(b)?)),
        BinaryOp::IntDiv => a.int_div(b)?,
        BinaryOp::Mod => a.modulo(b)?,
        BinaryOp::Div | BinaryOp::Or | BinaryOp::And => {
            let sign = report::sign(op);
            let mut diagnostic = Diagnostic::error("E0403", span, format!("`{sign}` does not make a dimension"));
            if op == BinaryOp::Div {
                diagnostic = diagnostic.help("`//` divides ints");
            }
            ctx.report(diagnostic);
            return Ok(Dim::Unknown);
        }
    };
    match quotient {
        Some(poly) => Ok(Dim::Known(poly)),
        None => {
            ctx.report(Diagnostic::error("E0404", span, "a dimension is divided by zero"));
            Ok(Dim::Unknown)
        }
    }
}

fn dim_name(ctx: &mut Ctx, scope: &Scope, name: &Name, names: &mut DimNames) -> Dim {
    if let Some(known) = names.get(&name.text) {
        return Dim::Known(Poly::name(known.clone()));
    }
    if !names.generic {
        let found = match scope.find(&name.text) {
            Found::Nothing => match lookup_global(ctx, &name.text, name.span) {
                Found::Var(var) if ctx.inside => Found::Var(Var { ty: from_inside(ctx, &var.ty), ..var }),
                found => found,
            },
            found => found,
        };
        match found {
            Found::Var(Var { ty: Ty::Unknown, .. }) | Found::Anything => return Dim::Unknown,
            Found::Var(Var { ty: Ty::Array(array), span, .. }) if !span.is_none() => {
                if array.kind == Kind::Int && array.dims.as_ref().is_none_or(Vec::is_empty) {
                    return Ty::Array(array).value_dim();
                }
                let ty = Ty::Array(array);
                let message = format!("`{}` is {ty}, so that it cannot be a dimension", name.text);
                ctx.report(
                    Diagnostic::error("E0403", name.span, message)
                        .label(span, format!("`{}` is declared here", name.text)),
                );
                return Dim::Unknown;
            }
            // A function of that name is no size: the annotation binds it anew.
            Found::Var(_) | Found::Nothing => {}
        }
    }
    let dim = names.add(ctx, name);
    Dim::Known(Poly::name(dim))
}

/// The parameters of a definition, its generic dimensions, and the scope of its body.
pub struct Params {
    pub params: Vec<Param>,
    pub generics: Vec<DimName>,
    pub scope: Scope,
}

/// Reads a definition's parameters. Several lists (a template's two, a problem's data and blocks) share their names.
pub fn parameters(ctx: &mut Ctx, outer: &Scope, lists: &[Vec<(Name, Option<&ast::Type>, bool)>]) -> Params {
    let mut names = DimNames::generic();
    let mut seen: Vec<Name> = Vec::new();
    for (name, ty, _) in lists.iter().flatten() {
        if let Some(first) = seen.iter().find(|first| first.text == name.text) {
            let message = format!("the parameter `{}` is declared twice", name.text);
            ctx.report(Diagnostic::error("E0304", name.span, message).label(first.span, "first here"));
        } else {
            seen.push(name.clone());
            if ty.is_some_and(is_int) {
                names.add(ctx, name);
            }
        }
    }
    let mut params = Vec::new();
    let mut scope = outer.clone();
    for (name, ty, default) in lists.iter().flatten() {
        let resolved = match ty {
            Some(ty) if is_int(ty) => {
                let value = names.get(&name.text).map(|dim| Poly::name(dim.clone()));
                Ty::Array(Array { kind: Kind::Int, dims: Some(Vec::new()), value })
            }
            Some(ty) => resolve(ctx, outer, ty, &mut names),
            None => Ty::Unknown,
        };
        params.push(Param { name: Some(name.text.clone()), ty: resolved, default: *default, span: name.span });
    }
    for (name, dim) in &names.found {
        scope = scope.with_value(name, Ty::static_int(Dim::Known(Poly::name(dim.clone()))));
    }
    for (param, (name, _, _)) in params.iter().zip(lists.iter().flatten()) {
        let text: &Symbol = &name.text;
        if let Some((dim, _)) = names.found.iter().find(|(dim, _)| dim.text == *text)
            && dim.span != name.span
            && !param.ty.is_unknown()
        {
            let message = format!("`{text}` is {}, so that it cannot be a dimension", param.ty);
            ctx.report(
                Diagnostic::error("E0403", dim.span, message).label(name.span, format!("`{text}` is declared here")),
            );
        }
        scope = scope.with_value(name, param.ty.clone());
    }
    let generics = names.found.into_iter().map(|(_, dim)| dim).collect();
    Params { params, generics, scope }
}

fn is_int(ty: &ast::Type) -> bool {
    match &ty.kind {
        TypeKind::Array { kind: ast::ScalarKind::Int, dims } => dims.is_empty(),
        TypeKind::Array { .. } | TypeKind::Tuple(_) | TypeKind::Record(_) | TypeKind::Fn { .. } | TypeKind::Error => {
            false
        }
    }
}

/// What an annotated binder declares.
pub struct Annotated {
    pub ty: Ty,
    /// The dimension names that it binds.
    pub names: Vec<Var>,
}

/// Checks a value against a written type, which it may fill by the broadcasting rule, and binds the names that are not in
/// scope.
pub fn annotate(
    ctx: &mut Ctx,
    scope: &Scope,
    written: &ast::Type,
    value: Option<(&Expr, &Ty)>,
    name: Option<&Name>,
) -> Annotated {
    let mut names = DimNames::checked();
    let declared = resolve(ctx, scope, written, &mut names);
    let ids = names.ids();
    let free = |id: u32| ids.contains(&id);
    let mut map = Bindings::new();
    if let Some((_, actual)) = value {
        fit::bind(&declared, actual, &free, &mut map, false);
        fit::bind(&declared, actual, &free, &mut map, true);
    }
    let bound = declared.subst(&map);
    if let Some((expr, actual)) = value {
        check_value(ctx, scope, &bound, expr, actual, written.span, name);
    }
    let names = names
        .found
        .iter()
        .map(|(name, dim)| Var {
            name: name.text.clone(),
            ty: Ty::static_int(map.get(&dim.id).cloned().unwrap_or_else(|| Dim::Known(Poly::name(dim.clone())))),
            span: name.span,
            role: Role::Value,
        })
        .collect();
    let mut ty = bound;
    // A static int keeps its value under an annotation.
    if let (Ty::Array(array), Some((_, Ty::Array(actual)))) = (&mut ty, value)
        && array.kind == Kind::Int
        && array.dims.as_ref().is_some_and(Vec::is_empty)
    {
        array.value = actual.value.clone();
    }
    Annotated { ty, names }
}

/// Reports a value that does not fill its declared type.
pub fn check_value(
    ctx: &mut Ctx,
    scope: &Scope,
    declared: &Ty,
    expr: &Expr,
    actual: &Ty,
    declared_at: Span,
    name: Option<&Name>,
) {
    super::hole::wanted(ctx, expr.span, declared);
    let Some(misfit) = fit::fill_misfit(ctx, declared, actual) else { return };
    let subject = match name {
        Some(name) => format!("`{}` is declared {declared}", name.text),
        None => format!("the declared result is {declared}"),
    };
    let operand = report::operand(ctx, scope, expr, actual);
    let (code, message) = match &misfit {
        Misfit::Kind => ("E0311", format!("{subject}, but its value is {}", operand.shown())),
        Misfit::Rank => ("E0406", format!("{subject}, but its value is {}", operand.shown())),
        Misfit::Dim(wanted, given) => {
            ("E0406", format!("{subject}, but its value is {}: {wanted} and {given} differ", operand.shown()))
        }
    };
    let mut diagnostic = Diagnostic::error(code, expr.span, message)
        .here(format!("this is {actual}"))
        .label(declared_at, format!("declared {declared} here"));
    diagnostic = operand.label(diagnostic);
    if let (Ty::Array(to), Ty::Array(from)) = (declared, actual)
        && to.kind == Kind::Int
        && from.kind == Kind::Real
    {
        diagnostic = diagnostic.help("reals become ints by `round`, `floor` or `ceil` only");
    }
    ctx.report(diagnostic);
}
