//! The update of a state brought to the shape of a layer, `N(L1(x) + L2(v))`: its affine argument is split by linearity into
//! one map of each input and of each state, and an offset. Maps that are products with matrices become lets, `W` and `S`.

use super::catalogue::Catalogue;
use super::rat::Rat;
use super::read::{Names, Reader};
use super::term::{Id, Op, Shape, Terms};
use super::tree;
use super::write;
use crate::syntax::ast::{Expr, ExprKind, Problem, Symbol};
use crate::syntax::pretty;
use std::collections::HashSet;

/// Where a split is made.
pub struct Site<'a> {
    pub terms: &'a mut Terms,
    pub catalogue: &'a Catalogue,
    pub problem: &'a Problem,
    /// Lets before `step`.
    pub stable: &'a HashSet<Symbol>,
    /// States of the shape of the block, in the solver's names.
    pub states: &'a [Symbol],
    pub block: usize,
    pub several: bool,
}

/// What was found, for the explanation.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The argument before.
    pub before: String,
    /// The argument after.
    pub after: String,
    /// The lets with their values and shapes.
    pub lets: Vec<(Symbol, String, String)>,
    /// What it takes, inputs before states, and what it gives, with shapes.
    pub takes: Vec<(String, String)>,
    pub gives: (String, String),
    /// Its lets are kernels of convolutions, with the step in them.
    pub convolution: bool,
}

/// A split: the argument with `let NAME` in the place of new lets, these with their values, and what is to be told.
pub type Split = (Expr, Vec<(Symbol, Expr)>, Layer);

/// Splits an affine argument; `None` if it is not affine in the states.
pub fn split(site: Site, e: &Expr) -> Option<Split> {
    let Site { terms, catalogue, problem, stable, states, block, several } = site;
    let block_name = problem.over[block].name.text.clone();
    // States and their previous values are variables.
    let mut vars: Vec<(Symbol, Id, usize)> = Vec::new();
    let mut names = Names::default();
    for state in states {
        let own = problem.over.iter().position(|binder| binder.name.text == *state);
        let of = own.or_else(|| {
            problem
                .over
                .iter()
                .position(|binder| state.ends_with(&format!("_{}", binder.name.text)))
                .filter(|_| several)
        });
        let of = of.unwrap_or(block);
        let shape = terms.block_shape(of).clone();
        for text in [state.clone(), Symbol::from(format!("previous {state}"))] {
            terms.declare_name(&text, shape.clone());
            let id = terms.name(&text);
            names.bind(&text, id);
            vars.push((text, id, of));
        }
    }
    for name in stable {
        let id = match terms.shape_of_name(name) {
            Some(_) => terms.name(name),
            None => terms.scalar_name(name),
        };
        names.bind(name, id);
    }
    for param in &problem.params {
        let id = terms.name(&param.name.text);
        names.bind(&param.name.text, id);
    }
    let plain = tree::rewrite(e, &mut |part| match &part.kind {
        ExprKind::Previous(name) => Some(tree::name(&format!("previous {}", name.text))),
        _ => None,
    });
    let mut reader = Reader::new(terms, catalogue);
    let id = reader.read(&names, &plain);
    if !reader.stuck.is_empty() {
        return None;
    }
    vars.retain(|(_, var, _)| terms.has(id, *var));
    if vars.iter().any(|(_, var, _)| !terms.is_affine(id, *var)) || !has_product(terms, id) {
        return None;
    }
    if let Some((after, kernels)) = with_kernels(terms, id) {
        let states: Vec<Id> = vars.iter().map(|(_, var, _)| *var).collect();
        let maps: Vec<Id> = states.iter().map(|var| terms.linear_part(id, *var)).collect();
        let mut takes = Vec::new();
        for param in &problem.params {
            let var = terms.name(&param.name.text);
            let array = terms.rank(var).is_some_and(|rank| rank > 0);
            if array && terms.has(id, var) && !maps.iter().any(|map| terms.has(*map, var)) {
                takes.push(shown(terms, var));
            }
        }
        takes.extend(states.into_iter().map(|var| shown(terms, var)));
        let gives = (block_name.to_string(), shape_text(terms.block_shape(block)));
        return Some(convolution_layer(terms, e, after, kernels, (takes, gives)));
    }
    let mut rest = id;
    let mut parts: Vec<Id> = Vec::new();
    let mut new: Vec<(Symbol, Expr)> = Vec::new();
    let mut told: Vec<(Symbol, String, String)> = Vec::new();
    let single = vars.iter().map(|(_, _, of)| of).collect::<HashSet<_>>().len() <= 1 && !several;
    let mut maps: Vec<(Id, Id, Symbol)> = Vec::new();
    for (_, var, of) in &vars {
        let map = terms.linear_part(rest, *var);
        rest = terms.offset(rest, *var);
        let name: Symbol = match single {
            true => "S".into(),
            false => format!("S_{block_name}_{}", problem.over[*of].name.text).into(),
        };
        maps.push((map, *var, name));
    }
    // Inputs: data that only the offset has.
    let inputs: Vec<Symbol> = problem.params.iter().map(|param| param.name.text.clone()).collect();
    let mut found: Vec<(Id, Id, Symbol)> = Vec::new();
    for input in inputs {
        let var = terms.name(&input);
        let array = terms.rank(var).is_some_and(|rank| rank > 0);
        let elsewhere = maps.iter().any(|(map, _, _)| terms.has(*map, var));
        if !array || elsewhere || !terms.has(rest, var) || !terms.is_affine(rest, var) {
            continue;
        }
        let map = terms.linear_part(rest, var);
        rest = terms.offset(rest, var);
        found.push((map, var, input));
    }
    let mut takes: Vec<(String, String)> = found.iter().map(|(_, var, _)| shown(terms, *var)).collect();
    takes.extend(maps.iter().map(|(_, var, _)| shown(terms, *var)));
    let gives = (block_name.to_string(), shape_text(terms.block_shape(block)));
    let one_input = found.len() == 1 && !several;
    let inputs: Vec<(Id, Id, Symbol)> = found
        .into_iter()
        .map(|(map, var, input)| {
            let name: Symbol = match (one_input, several) {
                (true, _) => "W".into(),
                (false, true) => format!("W_{block_name}").into(),
                (false, false) => format!("W_{block_name}_{input}").into(),
            };
            (map, var, name)
        })
        .collect();
    for (map, var, name) in inputs.into_iter().chain(maps) {
        // A multiple of the variable needs no matrix.
        let matrix = match terms.factor_of(map, var) {
            Some(_) => None,
            None => terms.matrix_of(map, var),
        };
        match matrix {
            Some(matrix) => {
                let shape = shape_text(terms.shape(matrix));
                let value = write::write(terms, matrix);
                told.push((name.clone(), pretty::expr(&value), shape));
                new.push((name.clone(), value));
                let shape = terms.shape(matrix).clone();
                let placeholder: Symbol = format!("let {name}").into();
                terms.declare_name(&placeholder, shape);
                let let_name = terms.name(&placeholder);
                parts.push(terms.matmul(let_name, var));
            }
            None => parts.push(map),
        }
    }
    if !matches!(terms.op(rest), Op::Number(Rat::ZERO)) {
        parts.push(rest);
    }
    // Written in this order, not in that of sums.
    let after = parts.iter().map(|part| write::write(terms, *part)).reduce(|sum, part| match part.kind {
        ExprKind::Neg(inner) => tree::sub(sum, *inner),
        kind => tree::chain(sum, vec![(crate::syntax::ast::BinaryOp::Add, tree::expr(kind))]),
    })?;
    let after = with_previous(&after);
    if new.is_empty() {
        return None;
    }
    let shown = pretty::expr(&after).replace("let ", "");
    Some((after, new, Layer { before: pretty::expr(e), after: shown, lets: told, takes, gives, convolution: false }))
}

fn with_previous(e: &Expr) -> Expr {
    tree::rewrite(e, &mut |part| match &part.kind {
        ExprKind::Name(name) => {
            let previous = name.strip_prefix("previous ")?;
            Some(tree::expr(ExprKind::Previous(tree::named(previous))))
        }
        _ => None,
    })
}

/// The sum with the scalars before each convolution in its kernel, which becomes a let; these kernels. `None` if there is no
/// such convolution.
///
/// Convolutions are not split by linearity: the composed kernel of a convolution and its transpose is four times as large, and not
/// exact at an edge.
fn with_kernels(terms: &mut Terms, id: Id) -> Option<(Id, Vec<(Symbol, Id)>)> {
    let parts: Vec<Id> = if *terms.op(id) == Op::Add { terms.args(id).to_vec() } else { vec![id] };
    let mut kernels: Vec<(Symbol, Id)> = Vec::new();
    let mut sum = Vec::new();
    for part in parts {
        let (factor, rest) = terms.split_scale(part);
        let factors = if *terms.op(rest) == Op::Mul { terms.args(rest).to_vec() } else { vec![rest] };
        let (convs, scalars): (Vec<Id>, Vec<Id>) =
            factors.into_iter().partition(|id| matches!(terms.op(*id), Op::Conv(_)));
        let ([only], true) = (convs.as_slice(), scalars.iter().all(|id| terms.is_scalar(*id))) else {
            sum.push(part);
            continue;
        };
        let (Op::Conv(conv), args, shape) = (terms.op(*only).clone(), terms.args(*only), terms.shape(*only).clone())
        else {
            continue;
        };
        let scalars = terms.mul(scalars);
        let kernel = terms.mul(vec![scalars, args[1]]);
        let kernel = terms.scale(factor.abs(), kernel);
        let known = kernels.iter().find(|(_, known)| *known == kernel).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| {
            let name: Symbol = if kernels.is_empty() { "W".into() } else { format!("W{}", kernels.len() + 1).into() };
            kernels.push((name.clone(), kernel));
            name
        });
        let placeholder: Symbol = format!("let {name}").into();
        let of_kernel = terms.shape(kernel).clone();
        terms.declare_name(&placeholder, of_kernel);
        let mut args = args.to_vec();
        args[1] = terms.name(&placeholder);
        if factor.is_negative() {
            args[0] = terms.neg(args[0]);
        }
        sum.push(terms.intern(Op::Conv(conv), &args, shape));
    }
    (!kernels.is_empty()).then(|| (terms.add(sum), kernels))
}

/// A name with its shape; a value from before the pass as `previous y`.
fn shown(terms: &Terms, id: Id) -> (String, String) {
    (write::text(terms, id), shape_text(terms.shape(id)))
}

/// What a layer takes, and what it gives.
type Ends = (Vec<(String, String)>, (String, String));

fn convolution_layer(
    terms: &mut Terms,
    e: &Expr,
    after: Id,
    kernels: Vec<(Symbol, Id)>,
    (takes, gives): Ends,
) -> Split {
    let after = with_previous(&write::write(terms, after));
    let mut lets = Vec::new();
    let mut told = Vec::new();
    for (name, kernel) in kernels {
        let value = write::write(terms, kernel);
        told.push((name.clone(), pretty::expr(&value), shape_text(terms.shape(kernel))));
        lets.push((name, value));
    }
    let shown = pretty::expr(&after).replace("let ", "");
    (after, lets, Layer { before: pretty::expr(e), after: shown, lets: told, takes, gives, convolution: true })
}

/// A product with a matrix or a function is in it: there is something to split.
fn has_product(terms: &Terms, id: Id) -> bool {
    matches!(terms.op(id), Op::MatMul | Op::Call(_) | Op::Conv(_))
        || terms.args(id).iter().any(|arg| has_product(terms, *arg))
}

fn shape_text(shape: &Shape) -> String {
    match shape.as_deref() {
        Some([]) => "real".to_string(),
        Some(dims) => {
            let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
            format!("real[{}]", dims.join(", "))
        }
        None => "real[..]".to_string(),
    }
}
