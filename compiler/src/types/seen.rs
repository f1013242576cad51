//! What the checker notes down for an editor: types of expressions, what names stand for, fields.

use super::Ctx;
use super::dim::Dim;
use super::expr::synth;
use super::scope::{Env, Scope, Var};
use super::ty::{Record, Ty};
use crate::source::{FileId, Span};
use crate::syntax::ast::{Expr, Module, Symbol};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Notes on one file.
#[derive(Debug)]
pub struct Seen {
    file: FileId,
    /// Expressions with their types, as shown to the user. What is checked several times stands there several times.
    pub types: Vec<(Span, String)>,
    pub uses: Vec<Use>,
    /// The fields that could stand where a field is taken: names and types.
    pub fields: Vec<(Span, Vec<(String, String)>)>,
}

/// A name that is used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Use {
    pub span: Span,
    /// Where it is declared; no place for what is built in.
    pub declared: Span,
    pub name: String,
    pub ty: String,
}

impl Env {
    /// Notes down what is found in a file that is checked from now on.
    pub fn watch(&mut self, file: FileId) -> Rc<RefCell<Seen>> {
        let seen = Rc::new(RefCell::new(Seen { file, types: Vec::new(), uses: Vec::new(), fields: Vec::new() }));
        self.seen = Some(seen.clone());
        seen
    }
}

/// Notes the type of an expression.
pub fn expression(ctx: &Ctx, span: Span, ty: &Ty) {
    let Some(seen) = &ctx.env.seen else { return };
    if seen.borrow().file == span.file && !ty.is_unknown() {
        seen.borrow_mut().types.push((span, ty.to_string()));
    }
}

/// Notes what a name stands for.
pub fn name(ctx: &Ctx, span: Span, var: &Var) {
    let Some(seen) = &ctx.env.seen else { return };
    if seen.borrow().file == span.file {
        let noted = Use { span, declared: var.span, name: var.name.to_string(), ty: var.ty.to_string() };
        seen.borrow_mut().uses.push(noted);
    }
}

/// Notes the fields of a value of which one is taken.
pub fn fields(ctx: &Ctx, span: Span, ty: &Ty) {
    let Some(seen) = &ctx.env.seen else { return };
    if seen.borrow().file != span.file {
        return;
    }
    let record = match ty {
        Ty::Record(record) => record,
        Ty::Network(network) => &network.params,
        _ => return,
    };
    let found = record.fields.iter().map(|(name, ty)| (name.to_string(), ty.to_string())).collect();
    seen.borrow_mut().fields.push((span, found));
}

/// The types of the expressions of one file, as shown to the user, by place: found by a check of their module in an environment
/// that has it already.
pub fn types_in_file(env: &Env, module: &Module, file: FileId) -> HashMap<(u32, u32), String> {
    let mut env = env.clone();
    let seen = env.watch(file);
    super::check_module(&mut env, module);
    let noted = seen.borrow();
    noted.types.iter().map(|(span, ty)| ((span.start, span.end), ty.clone())).collect()
}

fn quietly(env: &Env, expr: &Expr) -> Ty {
    let mut env = env.clone();
    env.seen = None;
    synth(&mut Ctx::new(&mut env), &Scope::default(), expr)
}

/// The dimensions of an expression at the top level, as texts; `None` if it is no array or not even its rank is known.
pub fn dims_of_expr(env: &Env, expr: &Expr) -> Option<Vec<String>> {
    let dims = quietly(env, expr).as_array()?.dims.clone()?;
    Some(dims.iter().map(Dim::to_string).collect())
}

/// An int at the top level that is known before anything runs, as a text: a number, or a formula of names.
pub fn int_of_expr(env: &Env, expr: &Expr) -> Option<String> {
    quietly(env, expr).value().map(ToString::to_string)
}

/// The arrays that a network at the top level learns: names, those of instances with dots, and dimensions as texts.
pub fn parameters_of(env: &Env, network: &str) -> Vec<(String, Vec<String>)> {
    fn of_record(record: &Record, before: &str, found: &mut Vec<(String, Vec<String>)>) {
        for (name, ty) in &record.fields {
            let path = format!("{before}{name}");
            match ty {
                Ty::Network(part) => of_record(&part.params, &format!("{path}."), found),
                Ty::Record(part) => of_record(part, &format!("{path}."), found),
                other => {
                    let dims = other.as_array().and_then(|array| array.dims.as_ref());
                    found.extend(dims.map(|dims| (path, dims.iter().map(Dim::to_string).collect())));
                }
            }
        }
    }
    let mut found = Vec::new();
    if let Some(Ty::Network(network)) = env.globals.get(&Symbol::from(network)).map(|global| &global.ty) {
        of_record(&network.params, "", &mut found);
    }
    found
}
