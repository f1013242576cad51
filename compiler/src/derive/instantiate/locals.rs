//! Names that a method binds inside an expression (states of a loop, parameters of a lambda, indices, lets of a block) give way to
//! those of the problem: what is written into the expression means the problem's.

use crate::derive::tree;
use crate::syntax::ast::{Expr, ExprKind, LetKind, Method, Name, Stmt, StmtKind, Symbol};
use std::collections::HashSet;

/// The method with such names changed where they are among `taken`. The fields of a loop's value have its states' new names.
pub fn renamed(method: &Method, taken: &HashSet<Symbol>) -> Method {
    let mut renamer = Renamer { taken, fields: Vec::new() };
    let mut method = method.clone();
    let body = &mut method.body;
    body.lets = body.lets.iter().map(|binding| tree::rewrite_let(binding, &mut |e| renamer.changed(e))).collect();
    for init in &mut body.states {
        init.value = renamer.expr(&init.value);
    }
    body.step = body.step.iter().map(|stmt| tree::rewrite_stmt(stmt, &mut |e| renamer.changed(e))).collect();
    if let Some(until) = &mut body.until {
        until.cond = renamer.expr(&until.cond);
    }
    let fields = renamer.fields;
    if !fields.is_empty() {
        let mut of_loops = |e: &Expr| -> Option<Expr> {
            let ExprKind::Field { base, name } = &e.kind else { return None };
            let new = fields.iter().find(|(old, _)| *old == name.text).map(|(_, new)| new.clone())?;
            let name = Name { text: new, span: name.span };
            Some(Expr { kind: ExprKind::Field { base: base.clone(), name }, span: e.span })
        };
        let body = &mut method.body;
        body.step = body.step.iter().map(|stmt| tree::rewrite_stmt(stmt, &mut of_loops)).collect();
    }
    method
}

struct Renamer<'a> {
    taken: &'a HashSet<Symbol>,
    /// States of loops with their new names.
    fields: Vec<(Symbol, Symbol)>,
}

impl Renamer<'_> {
    fn expr(&mut self, e: &Expr) -> Expr {
        tree::rewrite(e, &mut |part| self.changed(part))
    }

    /// The new name of each of these that is taken.
    fn given<'n>(&self, names: impl Iterator<Item = &'n Name>) -> Vec<(Symbol, Symbol)> {
        let free = |name: &Symbol| {
            (2..)
                .map(|i| Symbol::from(format!("{name}{i}")))
                .find(|new| !self.taken.contains(new))
                .expect("one is free")
        };
        names.filter(|name| self.taken.contains(&name.text)).map(|name| (name.text.clone(), free(&name.text))).collect()
    }

    fn put(&mut self, e: &Expr, names: &[(Symbol, Symbol)]) -> Expr {
        let values: Vec<(Symbol, Expr)> = names.iter().map(|(old, new)| (old.clone(), tree::name(new))).collect();
        let put = tree::put(e, &values);
        self.expr(&put)
    }

    fn stmt(&mut self, stmt: &Stmt, names: &[(Symbol, Symbol)]) -> Stmt {
        let mut stmt = tree::rewrite_stmt(stmt, &mut |e| Some(self.put(e, names)));
        if let StmtKind::Assign { place, .. } = &mut stmt.kind {
            rename(&mut place.root, names);
        }
        stmt
    }

    /// An expression that binds names, with those changed that are taken.
    fn changed(&mut self, e: &Expr) -> Option<Expr> {
        let kind = match &e.kind {
            ExprKind::Loop(inner) => {
                let names = self.given(inner.inits.iter().map(|init| &init.binder.name));
                if names.is_empty() {
                    return None;
                }
                let mut inner = inner.clone();
                for init in &mut inner.inits {
                    init.value = self.expr(&init.value);
                    rename(&mut init.binder.name, &names);
                }
                if let crate::syntax::ast::LoopKind::Until { cond, .. } = &mut inner.kind {
                    *cond = self.put(cond, &names);
                }
                inner.body = inner.body.iter().map(|stmt| self.stmt(stmt, &names)).collect();
                self.fields.extend(names);
                ExprKind::Loop(inner)
            }
            ExprKind::Lambda { params, body } => {
                let names = self.given(params.iter().map(|param| &param.name));
                if names.is_empty() {
                    return None;
                }
                let mut params = params.clone();
                params.iter_mut().for_each(|param| rename(&mut param.name, &names));
                ExprKind::Lambda { params, body: self.put(body, &names).into() }
            }
            ExprKind::Comprehension { body, gens } => {
                let names = self.given(gens.iter().map(|generator| &generator.name));
                if names.is_empty() {
                    return None;
                }
                let mut gens = gens.clone();
                gens.iter_mut().for_each(|generator| rename(&mut generator.name, &names));
                ExprKind::Comprehension { body: Box::new(self.put(body, &names)), gens }
            }
            ExprKind::Block(block) => {
                let bound = block.stmts.iter().flat_map(|stmt| match &stmt.kind {
                    StmtKind::Let(binding) => match &binding.kind {
                        LetKind::Inits(inits) => inits.iter().map(|init| &init.binder.name).collect(),
                        LetKind::Tuple(names, _) => names.iter().collect(),
                    },
                    StmtKind::Param(_) | StmtKind::Assign { .. } => Vec::new(),
                });
                let names = self.given(bound);
                if names.is_empty() {
                    return None;
                }
                let mut block = block.clone();
                block.stmts = block.stmts.iter().map(|stmt| self.stmt(stmt, &names)).collect();
                for stmt in &mut block.stmts {
                    if let StmtKind::Let(binding) = &mut stmt.kind {
                        match &mut binding.kind {
                            LetKind::Inits(inits) => {
                                inits.iter_mut().for_each(|init| rename(&mut init.binder.name, &names));
                            }
                            LetKind::Tuple(bound, _) => bound.iter_mut().for_each(|name| rename(name, &names)),
                        }
                    }
                }
                block.value = block.value.as_ref().map(|value| Box::new(self.put(value, &names)));
                ExprKind::Block(block)
            }
            _ => return None,
        };
        Some(Expr { kind, span: e.span })
    }
}

fn rename(name: &mut Name, names: &[(Symbol, Symbol)]) {
    if let Some((_, new)) = names.iter().find(|(old, _)| *old == name.text) {
        name.text = new.clone();
    }
}
