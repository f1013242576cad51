//! What `learn` may name in a solver, with types: for explanations.

use super::dim::{Dim, Poly};
use super::scope::Scope;
use super::solver::define_solver;
use super::ty::{Kind, Ty};
use super::{Ctx, Env};
use crate::syntax::ast;
use crate::syntax::ast::Symbol;
use std::rc::Rc;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Argument,
    /// A let before `step`.
    Let,
    /// A let in `step`, which has one value a pass.
    StepLet,
}

/// A quantity that may be learned.
#[derive(Clone, PartialEq, Debug)]
pub struct Learnable {
    pub name: Symbol,
    pub place: Place,
    /// As shown to the user.
    pub ty: String,
    /// How many numbers it has.
    pub size: Dim,
}

/// The real arguments and lets of a solver whose text was parsed, in the order of the text.
pub fn learnable(env: &Env, solver: &Rc<ast::Solver>) -> Vec<Learnable> {
    let mut env = env.clone();
    let mut ctx = Ctx::new(&mut env);
    let Ty::Solver(found) = ctx.definition(|ctx| define_solver(ctx, &Scope::default(), solver)) else {
        return Vec::new();
    };
    let real = |name: &Symbol, place: Place, ty: &Ty| -> Option<Learnable> {
        let array = ty.as_array().filter(|array| array.kind == Kind::Real)?;
        let size = match &array.dims {
            Some(dims) => dims.iter().fold(Dim::constant(1), |size, dim| size.combine(dim, Poly::mul)),
            None => Dim::Unknown,
        };
        Some(Learnable { name: name.clone(), place, ty: ty.to_string(), size })
    };
    let arguments = found.sig.params.iter().filter_map(|param| real(param.name.as_ref()?, Place::Argument, &param.ty));
    let place = |in_step| if in_step { Place::StepLet } else { Place::Let };
    let lets = found.lets.iter().filter_map(|known| real(&known.name, place(known.in_step), &known.ty));
    arguments.chain(lets).collect()
}
