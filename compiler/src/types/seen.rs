//! What the checker notes down for an editor: types of expressions, what names stand for, fields.

use super::Ctx;
use super::scope::{Env, Var};
use super::ty::Ty;
use crate::source::{FileId, Span};
use std::cell::RefCell;
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
