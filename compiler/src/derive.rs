//! From an objective to a solver: source to source.
//!
//! A problem becomes a graph of terms (`read`, `build`, `term`) and a sum of weighted terms in normal form (`normal`). Each is
//! looked at for what a method can do with it (`roles`): its gradient and how fast that changes (`smooth`), its proximal operator
//! (`calculus`), the linear map in it (`linear`). A method, a template in source, is instantiated with that (`instantiate`);
//! `as layer` splits its affine updates (`layer`). The result is the tree of an ordinary solver, which is printed, and the
//! text parsed again: what runs is what is printed. `expand` does this for every `derive` of a module before it is checked.

pub mod article;
mod build;
mod calculus;
mod catalogue;
mod choose;
mod constraints;
mod convolution;
pub mod expand;
pub mod explain;
pub mod inside;
mod instantiate;
mod kinks;
mod latex;
mod layer;
pub mod learning;
mod linear;
mod normal;
mod rat;
mod read;
mod roles;
mod smooth;
mod steps;
mod tell;
mod term;
mod tidy;
pub(crate) mod tree;
pub mod trial;
mod write;

#[cfg(test)]
mod tests;

pub use catalogue::Catalogue;
pub use explain::Explanation;
pub use instantiate::Origin;

use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{Expr, Let, Method, Problem, Solver, Symbol};
use instantiate::Made;
use layer::Layer;
use normal::{Kind, Normalizer, Part};
use read::{Names, Reader};
use roles::Ability;
use std::rc::Rc;
use term::{Id, Terms};

type Res<T> = Result<T, Box<Diagnostic>>;

/// What is asked for: `derive P by M as layer`.
pub struct Request<'a> {
    pub problem: &'a Problem,
    /// The method, and where it is named.
    pub method: Option<(Symbol, Span)>,
    pub layer: bool,
    /// The solver's name.
    pub name: Symbol,
    pub span: Span,
}

/// A derived solver and how it was found.
pub struct Derivation {
    pub solver: Solver,
    pub warnings: Vec<Diagnostic>,
    /// Where the lets before `step` come from.
    pub origins: Vec<(Symbol, Origin)>,
    pub choice: Choice,
    analysis: Analysis,
    layers: Vec<Layer>,
}

impl Derivation {
    /// How it was found, in words.
    pub fn explanation(&self, catalogue: &Catalogue, request: &Request) -> Explanation {
        explain::explanation(self, catalogue, request)
    }

    /// Every term of the problem is convex, as far as its form says.
    pub fn is_convex(&self) -> bool {
        choose::is_convex(&self.analysis)
    }
}

/// A problem in normal form, each term with what can be done with it.
#[derive(Clone)]
pub struct Analysis {
    terms: Terms,
    parts: Vec<Part>,
    abilities: Vec<Ability>,
    /// Lets that do not depend on the blocks: the solver has them too.
    kept: Vec<Let>,
}

/// Derives a solver. Errors: E0340 a constraint without a projection, E0341 a term that has no place in the method, E0334
/// a method that cannot be instantiated, E0343 a name that hides a function, E0344 no step size, E0345 no exact minimizer,
/// E0346 an objective that is unbounded or that no method solves.
pub fn derive(catalogue: &Catalogue, request: &Request) -> Res<Derivation> {
    let mut analysis = analyse(catalogue, request.problem)?;
    let mut warnings = choose::lints(&mut analysis, request.problem)?;
    let starts = choose::starts(catalogue, &mut analysis, request.problem);
    warnings.extend(choose::outside_domain(&mut analysis, &starts));
    let mut refusals: Vec<(Symbol, Box<Diagnostic>)> = Vec::new();
    let (choice, made) = loop {
        let refused: Vec<Symbol> = refusals.iter().map(|(name, _)| name.clone()).collect();
        let choice = match choose::method(catalogue, &mut analysis, request, &refused) {
            Ok(choice) => choice,
            Err(diagnostic) => return Err(refusals.into_iter().next().map_or(diagnostic, |(_, first)| first)),
        };
        let mut site = instantiate::Site {
            terms: &mut analysis.terms,
            catalogue,
            problem: request.problem,
            kept: analysis.kept.clone(),
            method: &choice.method,
            parts: &analysis.parts,
            assigned: &choice.assigned,
            layer: request.layer,
            at: request.span,
            starts: starts.clone(),
        };
        match instantiate::instantiate(&mut site, &request.name) {
            Ok(made) => break (choice, made),
            // The terms have a place in it, but not what it needs of them: another method may need less.
            Err(diagnostic) if request.method.is_none() && diagnostic.code.0 == "E0345" => {
                refusals.push((choice.method.name.text.clone(), diagnostic));
            }
            Err(diagnostic) => return Err(diagnostic),
        }
    };
    warnings.extend(steps::too_long(&analysis, catalogue, request, &choice, &made));
    let Made { solver, layers, origins } = made;
    Ok(Derivation { solver, warnings, origins, choice, analysis, layers })
}

/// Reads a problem into its normal form.
fn analyse(catalogue: &Catalogue, problem: &Problem) -> Res<Analysis> {
    let mut terms = Terms::default();
    let mut names = Names::default();
    let mut kept = Vec::new();
    let mut reader = Reader::new(&mut terms, catalogue);
    for param in &problem.params {
        reader.declare(&mut names, &param.name, param.ty.as_ref());
    }
    for binder in &problem.over {
        let shape = binder.ty.as_ref().and_then(|ty| reader.shape_of_type(&names, ty));
        if shape.is_none() {
            return Err(Box::new(
                Diagnostic::error(
                    "E0346",
                    binder.name.span,
                    format!("`{}` needs the type of an array", binder.name.text),
                )
                .help(format!("write its shape: `over {}: real[n]`", binder.name.text)),
            ));
        }
        reader.terms.here = Some(binder.name.span);
        let id = reader.terms.add_block(&binder.name.text, shape);
        reader.terms.here = None;
        names.bind(&binder.name.text, id);
    }
    for binding in &problem.lets {
        reader.bind_let(&mut names, binding);
        keep_constant(reader.terms, &mut names, binding, &mut kept);
    }
    let objective = reader.read(&names, &problem.objective);
    if let Some(span) = reader.stuck.first() {
        return Err(Box::new(
            Diagnostic::error("E0346", *span, "this part of the objective has no reading by whole arrays")
                .help("write it with operations on whole arrays, or move it into a function of arrays"),
        ));
    }
    let mut normalizer = Normalizer { terms: &mut terms, catalogue, parts: Vec::new() };
    normalizer.objective(objective, problem.maximize, problem.objective.span);
    for constraint in &problem.constraints {
        normalizer.constraint(&names, constraint)?;
    }
    normalizer.join_simplex();
    let parts = normalizer.parts;
    let abilities = parts.iter().map(|part| roles::ability(&mut terms, catalogue, part)).collect();
    Ok(Analysis { terms, parts, abilities, kept })
}

/// A let that no block is in stays a let of the solver, under its name.
fn keep_constant(terms: &mut Terms, names: &mut Names, binding: &Let, kept: &mut Vec<Let>) {
    let mut bound: Vec<Symbol> = Vec::new();
    crate::types::names_bound(binding, &mut |name| bound.push(name.into()));
    let ids: Vec<Option<Id>> = bound.iter().map(|name| names.term(name)).collect();
    let simple = |terms: &Terms, id: Id| terms.as_number(id).is_some() && terms.is_scalar(id);
    if ids.iter().any(|id| id.is_none_or(|id| !terms.is_constant(id) || simple(terms, id))) {
        return;
    }
    for (name, id) in bound.iter().zip(ids.into_iter().flatten()) {
        let shape = terms.shape(id).clone();
        terms.declare_name(name, shape);
        let own = terms.name(name);
        names.bind(name, own);
    }
    kept.push(binding.clone());
}

/// A method with the terms in its roles, and why it was taken.
pub struct Choice {
    pub method: Rc<Method>,
    pub assigned: roles::Assigned,
    pub reason: String,
}

impl Analysis {
    /// The terms that a block is in.
    fn moving(&self) -> impl Iterator<Item = (&Part, &Ability)> {
        self.parts.iter().zip(&self.abilities).filter(|(part, _)| part.kind != Kind::Constant)
    }
}

/// The starting value of a block, if it is not zero.
type Start = Option<Expr>;
