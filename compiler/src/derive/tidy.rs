//! Last touches to a derived solver: lets that nothing uses are left out.

use crate::syntax::ast::{Expr, Let, SolverBody, StmtKind};
use std::collections::HashSet;

/// The body without lets before `step` whose names nothing uses.
pub fn tidied(mut body: SolverBody, result: &Expr) -> SolverBody {
    let mut used: HashSet<String> = HashSet::new();
    let mut see = |e: &Expr| {
        crate::types::names_in(e, &mut |name| {
            used.insert(name.to_string());
        });
    };
    see(result);
    for init in &body.states {
        see(&init.value);
        if let Some(crate::syntax::ast::Type { kind: crate::syntax::ast::TypeKind::Array { dims, .. }, .. }) =
            &init.binder.ty
        {
            dims.iter().for_each(&mut see);
        }
    }
    for stmt in &body.step {
        match &stmt.kind {
            StmtKind::Let(binding) => crate::types::values_of(binding, &mut see),
            StmtKind::Assign { value, .. } => see(value),
            StmtKind::Param(_) => {}
        }
    }
    if let Some(until) = &body.until {
        see(&until.cond);
        until.within.iter().for_each(&mut see);
    }
    let mut kept: Vec<Let> = Vec::new();
    for binding in body.lets.into_iter().rev() {
        let mut wanted = false;
        crate::types::names_bound(&binding, &mut |name| wanted |= used.contains(name));
        if wanted {
            crate::types::values_of(&binding, &mut |value| {
                crate::types::names_in(value, &mut |name| {
                    used.insert(name.to_string());
                });
            });
            kept.push(binding);
        }
    }
    kept.reverse();
    body.lets = kept;
    body
}
