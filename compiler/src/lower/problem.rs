//! Problems as functions: the objective's value at given data and blocks.

use crate::syntax::ast::{self, ExprKind, ScalarKind, StmtKind, TypeKind};

/// The function of a problem: its parameters are the data, then the blocks; its value is the objective as written, also of
/// a problem that maximizes. Constraints are no part of the value.
pub fn objective(problem: &ast::Problem) -> ast::Fn {
    let span = problem.objective.span;
    let blocks = problem.over.iter().map(|binder| ast::Param {
        name: binder.name.clone(),
        ty: binder.ty.clone(),
        default: None,
    });
    let stmts = problem.lets.iter().map(|binding| ast::Stmt {
        kind: StmtKind::Let(binding.clone()),
        span: binding.span,
        trivia: ast::Trivia::default(),
    });
    let body = ast::Block {
        stmts: stmts.collect(),
        value: Some(Box::new(problem.objective.clone())),
        value_trivia: ast::Trivia::default(),
        span,
    };
    ast::Fn {
        name: problem.name.clone(),
        params: problem.params.iter().cloned().chain(blocks).collect(),
        result: Some(real(span)),
        body: ast::Expr { kind: ExprKind::Block(body), span },
    }
}

/// The type `real`, as if it were written at a place.
pub fn real(span: crate::source::Span) -> ast::Type {
    ast::Type { kind: TypeKind::Array { kind: ScalarKind::Real, dims: Vec::new() }, span }
}
