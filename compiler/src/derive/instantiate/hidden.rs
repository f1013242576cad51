//! Functions that the solver needs and that the problem or the script gives another meaning.

use super::{Instance, Res};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{Expr, ExprKind, SolverBody, StmtKind, Symbol};

/// Functions of std that terms are written with.
const OF_STD: [&str; 3] = ["conv1_norm", "conv2_norm", "outer"];

impl Instance<'_, '_> {
    /// A function of the language that the method calls and the problem uses as a name of its own.
    pub(super) fn shadowed(&self) -> Option<Symbol> {
        let own: Vec<Symbol> = self
            .site
            .problem
            .params
            .iter()
            .map(|param| param.name.text.clone())
            .chain(self.site.problem.over.iter().map(|block| block.name.text.clone()))
            .collect();
        let needed = ["grad", "norm", "opnorm", "max", "eye", "tol", "sum", "zeros", "flat", "vjp", "solve", "prox"];
        let convolutions = ["conv1_norm", "conv2_norm", "conv1_adjoint", "conv2_adjoint"];
        let called = self.called_by_method();
        own.into_iter().find(|name| {
            needed.contains(&&**name) || convolutions.contains(&&**name) || called.iter().any(|word| word == name)
        })
    }

    /// Functions of std that derivations call mean those of std.
    pub(super) fn check_of_std(&self, body: &SolverBody) -> Res<()> {
        let mut hidden: Option<Symbol> = None;
        let mut see = |e: &Expr| {
            crate::types::names_in(e, &mut |name| {
                if OF_STD.contains(&name) && self.site.catalogue.defines(name) {
                    hidden.get_or_insert(name.into());
                }
            });
        };
        body.lets.iter().for_each(|binding| crate::types::values_of(binding, &mut see));
        for stmt in &body.step {
            match &stmt.kind {
                StmtKind::Let(binding) => crate::types::values_of(binding, &mut see),
                StmtKind::Assign { value, .. } => see(value),
                StmtKind::Param(_) => {}
            }
        }
        match hidden {
            None => Ok(()),
            Some(name) => Err(Box::new(
                Diagnostic::error(
                    "E0343",
                    self.site.at,
                    format!("the solver needs the function `{name}` of std, and the script has its own"),
                )
                .help("give that function another name"),
            )),
        }
    }

    /// The functions that the method's text calls and that are none of its own names.
    fn called_by_method(&self) -> Vec<Symbol> {
        let method = self.method.clone();
        let mut found: Vec<Symbol> = Vec::new();
        let mut see = |e: &Expr| builtins_called(e, &mut found);
        for stmt in &method.body.step {
            match &stmt.kind {
                StmtKind::Let(binding) => crate::types::values_of(binding, &mut see),
                StmtKind::Assign { value, .. } => see(value),
                StmtKind::Param(_) => {}
            }
        }
        found
    }
}

/// The functions of the compiler that are called in it.
fn builtins_called(e: &Expr, found: &mut Vec<Symbol>) {
    if let ExprKind::Call { func, .. } = &e.kind
        && let ExprKind::Name(name) = &func.kind
        && crate::builtins::find(name).is_some()
    {
        found.push(name.clone());
    }
    for part in crate::syntax::walk::children(e) {
        builtins_called(part, found);
    }
}
