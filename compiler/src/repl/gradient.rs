//! `:grad` and `:check`: derivatives of a function at a point that is given, or at small random arguments of its types.

use super::Console;
use super::show;
use super::workspace::Workspace;
use crate::lower::lower_expr;
use crate::lower::value::{Func, NetBody, Value};
use crate::syntax::ast::{self, ArgValue, ExprKind, ScalarKind, TypeKind};

/// A function with arguments that are bound to the names `arg1`, `arg2`, ...
struct Applied {
    /// Its source text.
    func: String,
    /// For each argument: how it is called in messages, how it is given, its value.
    args: Vec<Given>,
    /// The sizes that were chosen.
    sizes: Vec<(String, usize)>,
}

struct Given {
    shown: String,
    /// `t: ` if it is given by name.
    prefix: String,
    value: Value,
}

/// `:grad f(x, D)`: the value, and the gradient in each real argument. `:grad f`: the graph that computes them.
pub fn gradient(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    let Some((applied, at_point)) = applied(workspace, text, console) else { return false };
    let parts: Vec<(String, String)> = derivatives(&applied, |function, arg| format!("grad({function})({arg})"));
    if parts.is_empty() {
        console.tell("it has no real argument");
        return false;
    }
    if at_point {
        let call = applied.call(None);
        let all = std::iter::once(("value".to_string(), call)).chain(parts);
        for (name, text) in all {
            let Some(value) = evaluate(workspace, &applied, &text, console) else { return false };
            console.print(&show::result(Some(&name), &value, None, console.color()));
        }
        return true;
    }
    let texts: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
    let text = if let [one] = texts.as_slice() { (*one).to_string() } else { format!("({})", texts.join(", ")) };
    let Some(e) = workspace.parsed(&text, console) else { return false };
    let graph = workspace.with_script(console, |script| {
        applied.bind(&script.scope);
        let lowered = lower_expr(&mut script.session, &script.scope, &e)?;
        let prepared = script.runner.prepare(&lowered.graph, e.span)?;
        Ok(crate::ir::text::print_brief(prepared.graph()))
    });
    let Some(graph) = graph else { return false };
    let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
    let sizes: Vec<String> = applied.sizes.iter().map(|(name, size)| format!("{name} = {size}")).collect();
    let sizes = if sizes.is_empty() { String::new() } else { format!(" for {}", sizes.join(", ")) };
    console.print(&format!("{}{sizes}:", names.join(", ")));
    console.print(graph.trim_end());
    true
}

/// `:check f` and `:check f(x, D)`: derivatives in each real argument against differences.
pub fn check(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    let Some((applied, _)) = applied(workspace, text, console) else { return false };
    // The sum of squares makes one real of whatever the function gives.
    let whole = |function: &str, arg: &str| {
        let body = function.strip_prefix("fn(u) = ").unwrap_or(function);
        format!("check_grad(fn(u) = sumsq(flat({body})), {arg})")
    };
    let parts = derivatives(&applied, whole);
    if parts.is_empty() {
        console.tell("it has no real argument");
        return false;
    }
    for (name, text) in parts {
        match evaluate(workspace, &applied, &text, console) {
            Some(Value::Tensor(error)) if error.len() == 1 => {
                let error = dp_runtime::table::format_number(error.item());
                console.print(&format!("{name}: derivatives agree, greatest relative error {error}"));
            }
            Some(_) => console.print(&format!("{name}: derivatives agree")),
            None => return false,
        }
    }
    true
}

/// For each real argument what is said of it, made from the function of that argument alone.
fn derivatives(applied: &Applied, make: impl Fn(&str, &str) -> String) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    for (i, given) in applied.args.iter().enumerate() {
        if matches!(&given.value, Value::Tensor(t) if t.dtype().is_float()) {
            let function = format!("fn(u) = {}", applied.call(Some(i)));
            parts.push((format!("d/d{}", given.shown), make(&function, &format!("arg{}", i + 1))));
        }
    }
    parts
}

impl Applied {
    /// The text of the call, with `u` in the place of one argument.
    fn call(&self, open: Option<usize>) -> String {
        let arg = |i: usize| if open == Some(i) { "u".to_string() } else { format!("arg{}", i + 1) };
        let args: Vec<String> = self.args.iter().enumerate().map(|(i, g)| format!("{}{}", g.prefix, arg(i))).collect();
        format!("{}({})", self.func, args.join(", "))
    }

    fn bind(&self, scope: &crate::lower::value::Scope) {
        for (i, given) in self.args.iter().enumerate() {
            scope.bind(&format!("arg{}", i + 1).as_str().into(), given.value.clone());
        }
    }
}

fn evaluate(workspace: &mut Workspace, applied: &Applied, text: &str, console: &mut dyn Console) -> Option<Value> {
    let e = workspace.parsed(text, console)?;
    workspace.with_script(console, |script| {
        applied.bind(&script.scope);
        script.eval(&e)
    })
}

/// Reads `f` or `f(x, D)`. The second part says whether arguments were given.
fn applied(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> Option<(Applied, bool)> {
    let e = workspace.expression(text, console)?;
    if let ExprKind::Call { func, args } = &e.kind
        && !matches!(workspace.with_script(console, |script| script.eval(&e))?, Value::Func(_) | Value::Net(_))
    {
        let func_text = workspace.sources.text(func.span).to_string();
        let params = parameters(workspace, func, console).unwrap_or_default();
        let mut given = Vec::new();
        for (i, arg) in args.iter().enumerate() {
            let ArgValue::Expr(value) = &arg.value else {
                console.tell("plain arguments are needed here");
                return None;
            };
            let real = params.get(i).is_some_and(|(_, ty)| is_real(ty));
            let mut value = workspace.with_script(console, |script| script.eval(value))?;
            // An int given for a real.
            if real || params.is_empty() {
                value = widened(workspace, value);
            }
            let shown = match (&arg.name, params.get(i)) {
                (Some(name), _) => name.text.to_string(),
                (None, Some((name, _))) => name.clone(),
                (None, None) => format!("arg{}", i + 1),
            };
            let prefix = arg.name.as_ref().map(|name| format!("{}: ", name.text)).unwrap_or_default();
            given.push(Given { shown, prefix, value });
        }
        return Some((Applied { func: func_text, args: given, sizes: Vec::new() }, true));
    }
    let func = workspace.sources.text(e.span).to_string();
    let Some(params) = parameters(workspace, &e, console) else {
        console.tell("the types of its arguments are not known; give some, as in `:grad f(1, [2, 3])`");
        return None;
    };
    let mut sizes: Vec<(String, usize)> = Vec::new();
    for (_, ty) in &params {
        names_of(ty, &mut sizes);
    }
    let lets: String = sizes.iter().map(|(name, size)| format!("let {name} = {size}\n")).collect();
    let mut given = Vec::new();
    for (i, (name, ty)) in params.iter().enumerate() {
        let Some(value) = random(workspace, ty, i) else {
            console.tell(&format!("no value can be made up for `{name}`; give arguments, as in `:grad f(1, [2, 3])`"));
            return None;
        };
        let e = workspace.parsed(&format!("{{\n{lets}{value}\n}}"), console)?;
        let value = workspace.with_script(console, |script| script.eval(&e))?;
        given.push(Given { shown: name.clone(), prefix: String::new(), value });
    }
    Some((Applied { func, args: given, sizes }, false))
}

/// Names and types of the parameters of a function that was defined with them.
fn parameters(workspace: &mut Workspace, e: &ast::Expr, console: &mut dyn Console) -> Option<Vec<(String, ast::Type)>> {
    let value = workspace.with_script(console, |script| script.eval(e))?;
    let params: Vec<ast::Param> = match &value {
        Value::Func(func) => match &**func {
            Func::User { decl, .. } => decl.params.clone(),
            Func::Solver { decl, .. } => decl.params.clone(),
            Func::Lambda { params, .. } => params.clone(),
            _ => return None,
        },
        Value::Net(net) => match &*net.body {
            NetBody::Hand { decl, .. } => decl.params.clone(),
            NetBody::Unrolled { .. } => return None,
        },
        _ => return None,
    };
    params.into_iter().map(|p| Some((p.name.text.to_string(), p.ty?))).collect()
}

fn is_real(ty: &ast::Type) -> bool {
    matches!(ty.kind, TypeKind::Array { kind: ScalarKind::Real, .. })
}

fn widened(workspace: &Workspace, value: Value) -> Value {
    use dp_runtime::tensor::{DType, Tensor};
    match value {
        Value::Int(i) => Value::Tensor(Tensor::scalar_of(workspace.session.real, i as f64)),
        Value::Tensor(t) if t.dtype() == DType::I64 => Value::Tensor(t.convert(workspace.session.real)),
        other => other,
    }
}

/// The names of dimensions in a type, each with a size of its own.
fn names_of(ty: &ast::Type, sizes: &mut Vec<(String, usize)>) {
    const SIZES: [usize; 6] = [3, 4, 2, 5, 6, 7];
    let TypeKind::Array { dims, .. } = &ty.kind else { return };
    for dim in dims {
        if let ExprKind::Name(name) = &dim.kind
            && !sizes.iter().any(|(known, _)| *known == **name)
        {
            let size = SIZES[sizes.len() % SIZES.len()];
            sizes.push((name.to_string(), size));
        }
    }
}

/// The text of a random value of a type.
fn random(workspace: &Workspace, ty: &ast::Type, i: usize) -> Option<String> {
    let TypeKind::Array { kind, dims } = &ty.kind else { return None };
    let mut extents: Vec<String> = dims.iter().map(|dim| workspace.sources.text(dim.span).to_string()).collect();
    let key = format!("key: key({})", 1000 + i);
    Some(match kind {
        ScalarKind::Real => {
            extents.push(key);
            format!("normal({})", extents.join(", "))
        }
        ScalarKind::Int if dims.is_empty() => "3".to_string(),
        ScalarKind::Int => {
            extents.push("below: 2".to_string());
            extents.push(key);
            format!("randint({})", extents.join(", "))
        }
        ScalarKind::Key if dims.is_empty() => format!("key({})", 1000 + i),
        ScalarKind::Bool if dims.is_empty() => "true".to_string(),
        ScalarKind::Bool | ScalarKind::Key | ScalarKind::Str => return None,
    })
}
