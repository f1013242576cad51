//! What a name stands for, as far as it can be drawn.

use super::World;
use super::sizes::{Sizes, known_expr};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{
    ArgValue, Block, Expr, ExprKind, Fn, Init, Item, ItemKind, LetKind, Module, Network, Param, Solver, StmtKind,
    Symbol, TypeKind,
};
use crate::syntax::pretty;
use crate::types;
use std::rc::Rc;

type Res<T> = Result<T, Box<Diagnostic>>;

/// What is drawn.
pub struct Subject<'a> {
    /// "solver", "network", "function".
    pub what: &'static str,
    pub name: String,
    pub of: Of,
    /// What is known of the names of dimensions.
    pub sizes: Sizes,
    /// Where its expressions were checked.
    pub module: &'a Module,
    /// The network at the top level that has its parameters.
    pub network: Option<Symbol>,
}

pub enum Of {
    Solver(Form),
    Body { params: Vec<Param>, body: Block },
}

/// A solver and how it is run.
#[derive(Clone)]
pub struct Form {
    pub decl: Rc<Solver>,
    /// For each parameter what is given for it.
    pub given: Vec<Given>,
    /// The number of passes of an unrolled one.
    pub count: Option<String>,
    /// What is said of its derivative.
    pub remark: String,
    /// What is learned, and whether each layer has its own.
    pub learned: Vec<(Symbol, bool)>,
}

#[derive(Clone)]
pub enum Given {
    /// Nothing: the solver itself is drawn.
    Nothing,
    /// `_`
    Open,
    Value(Expr),
}

/// What `name` or `name.part.part` stands for.
pub fn find<'a>(world: &World<'a>, path: &str) -> Res<Subject<'a>> {
    let mut parts = path.split('.');
    let mut subject = named(world, parts.next().unwrap_or(""), Span::NONE)?;
    let mut so_far = subject.name.clone();
    for part in parts {
        let init = instances(&subject).into_iter().find(|init| &*init.binder.name.text == part);
        let Some(init) = init else {
            let names: Vec<String> =
                instances(&subject).iter().map(|init| format!("`{}`", init.binder.name.text)).collect();
            let names = if names.is_empty() { "none".to_string() } else { names.join(", ") };
            let message = format!("`{so_far}` has no part `{part}` that is a network");
            return Err(Box::new(Diagnostic::error("E0361", Span::NONE, message).note(format!("its parts: {names}"))));
        };
        so_far = format!("{so_far}.{part}");
        subject = of_expr(world, &so_far, &init.value, &subject.sizes.clone())?;
    }
    Ok(Subject { name: path.to_string(), ..subject })
}

/// The `param`s of a network written by hand that are networks.
fn instances<'s>(subject: &'s Subject) -> Vec<&'s Init> {
    match &subject.of {
        Of::Solver(_) => Vec::new(),
        Of::Body { body, .. } => learned(body).filter(|init| init.binder.ty.is_none()).collect(),
    }
}

/// What a network's block declares with `param`.
pub fn learned(body: &Block) -> impl Iterator<Item = &Init> {
    body.stmts.iter().flat_map(|stmt| match &stmt.kind {
        StmtKind::Param(inits) => inits.as_slice(),
        StmtKind::Let(_) | StmtKind::Assign { .. } => &[],
    })
}

/// The item that defines a name.
fn item<'a>(world: &World<'a>, name: &str) -> Option<(&'a Item, &'a Module)> {
    let defines = |item: &Item| match &item.kind {
        ItemKind::Solver(decl) => &*decl.name.text == name,
        ItemKind::SolverAlias { name: own, .. } | ItemKind::NetworkAlias { name: own, .. } => &*own.text == name,
        ItemKind::Network(decl) => &*decl.name.text == name,
        ItemKind::Fn(decl) => &*decl.name.text == name,
        ItemKind::Problem(decl) => &*decl.name.text == name,
        ItemKind::Method(decl) => &*decl.name.text == name,
        ItemKind::Arg { binder, .. } => &*binder.name.text == name,
        ItemKind::Let(binding) => match &binding.kind {
            LetKind::Inits(inits) => inits.iter().any(|init| &*init.binder.name.text == name),
            LetKind::Tuple(names, _) => names.iter().any(|own| &*own.text == name),
        },
        _ => false,
    };
    let found = |module: &'a Module| module.items.iter().rev().find(|item| defines(item)).map(|item| (item, module));
    world.modules.iter().find_map(|module| found(module))
}

fn named<'a>(world: &World<'a>, name: &str, span: Span) -> Res<Subject<'a>> {
    let Some((item, module)) = item(world, name) else {
        let known: Vec<String> = drawable(world);
        let mut d = Diagnostic::error("E0301", span, format!("`{name}` is not defined"));
        d = match types::similar(name, known.iter().map(String::as_str)) {
            Some(near) => d.help(format!("did you mean `{near}`?")),
            None if known.is_empty() => d.note("the file has no solver and no network"),
            None => d.note(format!("solvers and networks of the file: {}", known.join(", "))),
        };
        return Err(Box::new(d));
    };
    let sizes = Sizes::new();
    match &item.kind {
        ItemKind::Solver(decl) => {
            let given = vec![Given::Nothing; decl.params.len()];
            let form = Form { decl: decl.clone(), given, count: None, remark: String::new(), learned: Vec::new() };
            Ok(Subject { what: "solver", name: name.into(), of: Of::Solver(form), sizes, module, network: None })
        }
        ItemKind::Network(decl) => Ok(of_network(decl, sizes, module)),
        ItemKind::Fn(decl) => Ok(of_function(decl, module)),
        ItemKind::SolverAlias { value, .. } => of_expr(world, name, value, &sizes),
        ItemKind::NetworkAlias { value, .. } => {
            let subject = of_expr(world, name, value, &sizes)?;
            let network = subject.network.clone().or_else(|| Some(name.into()));
            Ok(Subject { what: "network", network, ..subject })
        }
        ItemKind::Let(binding) => match &binding.kind {
            LetKind::Inits(inits) => {
                let init = inits.iter().find(|init| &*init.binder.name.text == name).expect("the item has the name");
                of_expr(world, name, &init.value, &sizes)
            }
            LetKind::Tuple(_, value) => Err(refused(name, "a part of a tuple", value.span)),
        },
        ItemKind::Problem(decl) => Err(Box::new(
            Diagnostic::error("E0360", decl.name.span, format!("`{name}` is a problem: it has no steps to draw"))
                .help(format!("draw a solver of it: `solver s = derive {name}` in the file, and `dp graph FILE s`")),
        )),
        ItemKind::Method(decl) => Err(refused(name, "a method, a template of solvers", decl.name.span)),
        _ => Err(refused(name, "a value", item.span)),
    }
}

/// The names that can be drawn, of the module that is looked at first.
fn drawable(world: &World) -> Vec<String> {
    let Some(module) = world.modules.first() else { return Vec::new() };
    let name = |item: &Item| match &item.kind {
        ItemKind::Solver(decl) => Some(decl.name.text.to_string()),
        ItemKind::Network(decl) => Some(decl.name.text.to_string()),
        ItemKind::SolverAlias { name, .. } | ItemKind::NetworkAlias { name, .. } => Some(name.text.to_string()),
        _ => None,
    };
    module.items.iter().filter_map(name).collect()
}

fn refused(name: &str, what: &str, span: Span) -> Box<Diagnostic> {
    let message = format!("`{name}` is {what}; what is drawn is a solver, a network or a function");
    Box::new(Diagnostic::error("E0360", span, message))
}

fn of_network<'a>(decl: &Rc<Network>, sizes: Sizes, module: &'a Module) -> Subject<'a> {
    let what = if decl.template.is_some() && sizes.is_empty() { "network template" } else { "network" };
    let of = Of::Body { params: decl.params.clone(), body: decl.body.clone() };
    Subject { what, name: decl.name.text.to_string(), of, sizes, module, network: None }
}

fn of_function<'a>(decl: &Rc<Fn>, module: &'a Module) -> Subject<'a> {
    let body = match &decl.body.kind {
        ExprKind::Block(block) => block.clone(),
        _ => Block {
            stmts: Vec::new(),
            value: Some(Box::new(decl.body.clone())),
            value_trivia: Default::default(),
            span: decl.body.span,
        },
    };
    let of = Of::Body { params: decl.params.clone(), body };
    Subject { what: "function", name: decl.name.text.to_string(), of, sizes: Sizes::new(), module, network: None }
}

/// What an expression stands for: a form of a solver, an instance of a template, the first layers of a network, a name.
fn of_expr<'a>(world: &World<'a>, name: &str, e: &Expr, sizes: &Sizes) -> Res<Subject<'a>> {
    match &e.kind {
        ExprKind::Name(other) => named(world, other, e.span),
        ExprKind::Unroll { call, count, backprop, checkpoint, learn } => {
            let subject = of_expr(world, name, call, sizes)?;
            let Of::Solver(form) = subject.of else { return Err(refused(name, "not a form of a solver", call.span)) };
            let mut remark = String::new();
            if let Some(last) = backprop {
                remark = format!("derivative through the last {}", pretty::expr(last));
            } else if checkpoint.is_some() {
                remark = "derivative with few states kept".to_string();
            }
            let learned = learn.iter().flat_map(|learn| &learn.lifted);
            let learned = learned.map(|lifted| (lifted.name.text.clone(), lifted.each)).collect();
            let count = Some(types::int_of_expr(world.env, count).unwrap_or_else(|| pretty::expr(count)));
            Ok(Subject { what: "unrolled solver", of: Of::Solver(Form { count, remark, learned, ..form }), ..subject })
        }
        ExprKind::Implicit(call) => {
            let subject = of_expr(world, name, call, sizes)?;
            let Of::Solver(form) = subject.of else { return Err(refused(name, "not a form of a solver", call.span)) };
            let remark = "derivative by the implicit function theorem".to_string();
            Ok(Subject { of: Of::Solver(Form { remark, ..form }), ..subject })
        }
        ExprKind::Trace { call, count, .. } => {
            let subject = of_expr(world, name, call, sizes)?;
            let Of::Solver(form) = subject.of else { return Err(refused(name, "not a form of a solver", call.span)) };
            let count = Some(types::int_of_expr(world.env, count).unwrap_or_else(|| pretty::expr(count)));
            Ok(Subject { of: Of::Solver(Form { count, ..form }), ..subject })
        }
        ExprKind::Call { func, args } => {
            let ExprKind::Name(callee) = &func.kind else { return Err(refused(name, "a value", e.span)) };
            let argument = |i: usize| match args.get(i).map(|arg| &arg.value) {
                Some(ArgValue::Expr(value)) => Some(value),
                _ => None,
            };
            if matches!(&**callee, "first" | "at") && item(world, callee).is_none() {
                let inner = argument(0).ok_or_else(|| refused(name, "a value", e.span))?;
                let mut subject = of_expr(world, name, inner, sizes)?;
                if let (Of::Solver(form), "first", Some(k)) = (&mut subject.of, &**callee, argument(1)) {
                    form.count = Some(types::int_of_expr(world.env, k).unwrap_or_else(|| pretty::expr(k)));
                }
                return Ok(subject);
            }
            if let Some((Item { kind: ItemKind::Network(decl), .. }, module)) = item(world, callee)
                && let Some(template) = &decl.template
            {
                return Ok(of_network(decl, instance_sizes(world, template, args, sizes), module));
            }
            let subject = named(world, callee, func.span)?;
            let Of::Solver(form) = subject.of else { return Err(refused(name, "a value", e.span)) };
            let mut sizes = subject.sizes;
            let mut given = vec![Given::Nothing; form.decl.params.len()];
            for (i, arg) in args.iter().enumerate() {
                let place = match &arg.name {
                    Some(name) => form.decl.params.iter().position(|param| param.name.text == name.text),
                    None => Some(i),
                };
                let Some(place) = place.filter(|place| *place < given.len()) else { continue };
                given[place] = match &arg.value {
                    ArgValue::Expr(value) => Given::Value(value.clone()),
                    ArgValue::Each(_, _) | ArgValue::Blank | ArgValue::Generator { .. } => Given::Open,
                };
                if let Given::Value(value) = &given[place] {
                    bind_sizes(world, &form.decl.params[place], value, &mut sizes);
                }
            }
            Ok(Subject { name: name.into(), of: Of::Solver(Form { given, ..form }), sizes, ..subject })
        }
        _ => Err(refused(name, "a value", e.span)),
    }
}

/// What the arguments of a template make of its names.
pub fn instance_sizes(world: &World, template: &[Param], args: &[crate::syntax::ast::Arg], outer: &Sizes) -> Sizes {
    let mut sizes = Sizes::new();
    for (i, param) in template.iter().enumerate() {
        let named = args.iter().find(|arg| arg.name.as_ref().is_some_and(|name| name.text == param.name.text));
        let value = match named.or_else(|| args.get(i).filter(|arg| arg.name.is_none())).map(|arg| &arg.value) {
            Some(ArgValue::Expr(value)) => Some(value),
            _ => param.default.as_ref(),
        };
        if let Some(value) = value {
            let own = known_expr(value, outer);
            let known = types::int_of_expr(world.env, value).filter(|_| outer.is_empty()).unwrap_or(own);
            sizes.insert(param.name.text.clone(), known);
        }
    }
    sizes
}

/// The names of dimensions in a parameter's type, as the value for it binds them.
fn bind_sizes(world: &World, param: &Param, value: &Expr, sizes: &mut Sizes) {
    let Some(ty) = &param.ty else { return };
    if let (TypeKind::Array { dims, .. }, Some(found)) = (&ty.kind, types::dims_of_expr(world.env, value)) {
        for (dim, size) in dims.iter().zip(found) {
            if let ExprKind::Name(name) = &dim.kind
                && size != "?"
            {
                sizes.insert(name.clone(), size);
            }
        }
        if dims.is_empty()
            && let Some(number) = types::int_of_expr(world.env, value)
        {
            sizes.insert(param.name.text.clone(), number);
        }
    }
}

/// The arrays that a network written by hand learns: paths and dimensions.
pub fn parameters(world: &World, body: &Block, sizes: &Sizes) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for init in learned(body) {
        let name = &init.binder.name.text;
        match (&init.binder.ty, &init.value.kind) {
            (Some(ty), _) => {
                if let TypeKind::Array { dims, .. } = &ty.kind {
                    found.push((name.to_string(), dims.iter().map(|dim| known_expr(dim, sizes)).collect()));
                }
            }
            (None, ExprKind::Call { func, args }) => {
                if let ExprKind::Name(callee) = &func.kind
                    && let Some((Item { kind: ItemKind::Network(decl), .. }, _)) = item(world, callee)
                {
                    let inner = instance_sizes(world, decl.template.as_deref().unwrap_or_default(), args, sizes);
                    let parts = parameters(world, &decl.body, &inner);
                    found.extend(parts.into_iter().map(|(path, dims)| (format!("{name}.{path}"), dims)));
                }
            }
            (None, ExprKind::Name(other)) => {
                let parts = types::parameters_of(world.env, other);
                found.extend(parts.into_iter().map(|(path, dims)| (format!("{name}.{path}"), dims)));
            }
            (None, _) => {}
        }
    }
    found
}
