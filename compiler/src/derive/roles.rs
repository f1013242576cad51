//! What each term is in a method: which role it fills, and why it fills none.

use super::calculus::{self, Piece, Proximal, Refusal};
use super::catalogue::Catalogue;
use super::kinks;
use super::normal::{Kind, Part};
use super::rat::Rat;
use super::smooth;
use super::term::{Id, Terms};
use super::write;
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{Method, Symbol};

/// What can be done with a term.
#[derive(Clone, Debug)]
pub struct Ability {
    /// It has a gradient.
    pub smooth: bool,
    /// What keeps it from having one.
    pub kink: Option<String>,
    /// Its gradient is affine.
    pub quadratic: bool,
    /// Its operator, for each block that is in it; only if it has one block.
    pub proximal: Result<(usize, Piece), Refusal>,
    /// It is a function with an operator, of a linear map of one block.
    pub of_map: bool,
    /// A bound of the Lipschitz constant of its gradient.
    pub lipschitz: Option<Id>,
}

/// Looks at one term.
pub fn ability(terms: &mut Terms, catalogue: &Catalogue, part: &Part) -> Ability {
    let blocks: Vec<usize> = (0..terms.block_count()).filter(|block| terms.depends(part.arg, *block)).collect();
    let proximal = match blocks.as_slice() {
        [only] => calculus::piece(terms, catalogue, part, *only).map(|piece| (*only, piece)),
        _ => Err(Refusal { span: part.span, reason: "it has several blocks in it".to_string() }),
    };
    let negative = terms.as_number(part.weight).is_some_and(Rat::is_negative);
    let proximal = match proximal {
        Ok(_) if negative => Err(Refusal {
            span: part.span,
            reason: "its weight is negative, so that it has no proximal operator".to_string(),
        }),
        other => other,
    };
    let kink = kinks::of_part(terms, catalogue, part);
    let smooth = kink.is_none();
    let affine = blocks.iter().all(|block| {
        let var = terms.block(*block);
        terms.is_affine(part.arg, var)
    });
    let quadratic = affine && matches!(part.kind, Kind::Square | Kind::Form | Kind::Linear);
    let of_map = match &part.kind {
        Kind::Atom(name) => !negative && affine && blocks.len() == 1 && catalogue.rule(name).is_some(),
        _ => false,
    };
    let lipschitz = if smooth { smooth::lipschitz(terms, part) } else { None };
    Ability { smooth, kink, quadratic, proximal, of_map, lipschitz }
}

/// The terms of each role of a method.
#[derive(Clone, Default)]
pub struct Assigned {
    pub roles: Vec<(Symbol, Filled)>,
}

#[derive(Clone)]
pub enum Filled {
    /// Terms by their gradient; for a `quadratic` role also by their exact minimizer.
    Smooth(Vec<usize>),
    /// The operator of the terms, for each block.
    Proximal(Vec<Proximal>, Vec<usize>),
    /// Terms behind a linear map, with the map's name in the method.
    Mapped(Symbol, Vec<usize>),
    /// The simplex of each block, and entropies on it.
    Entropic(Vec<usize>),
}

impl Assigned {
    pub fn get(&self, role: &str) -> Option<&Filled> {
        self.roles.iter().find(|(name, _)| &**name == role).map(|(_, filled)| filled)
    }

    /// The role whose terms stand behind the map of this name.
    pub fn map(&self, name: &str) -> Option<&[usize]> {
        self.roles.iter().find_map(|(_, filled)| match filled {
            Filled::Mapped(map, parts) if &**map == name => Some(parts.as_slice()),
            _ => None,
        })
    }
}

/// Gives each term a role of the method. The error is at the term that stands in the way.
pub fn assign(
    terms: &mut Terms,
    parts: &[Part],
    abilities: &[Ability],
    method: &Method,
    methods: &dyn Fn(&[&str]) -> String,
) -> Result<Assigned, Box<Diagnostic>> {
    let role = |word: &str| method.roles.iter().find(|role| &*role.role.text == word);
    let plain = method.roles.iter().find(|role| &*role.role.text == "proximable" && role.of.is_none());
    let mapped = method.roles.iter().find(|role| role.of.is_some());
    let (smooth, quadratic, entropic) = (role("smooth"), role("quadratic"), role("entropic"));
    for role in &method.roles {
        if !matches!(&*role.role.text, "smooth" | "quadratic" | "proximable" | "linear" | "entropic") {
            let message =
                format!("`{}` is no role: a role is smooth, quadratic, proximable, linear or entropic", role.role.text);
            return Err(Box::new(Diagnostic::error("E0334", role.role.span, message)));
        }
    }
    let mut by_gradient = Vec::new();
    let mut by_operator = Vec::new();
    let mut behind = Vec::new();
    let mut on_simplex = Vec::new();
    for (i, (part, ability)) in parts.iter().zip(abilities).enumerate() {
        if part.kind == Kind::Constant {
            continue;
        }
        if entropic.is_some() && is_entropic(terms, ability) {
            on_simplex.push(i);
            continue;
        }
        let has_operator = ability.proximal.is_ok();
        let by_quadratic = quadratic.is_some() && ability.quadratic;
        if (smooth.is_some()
            && ability.smooth
            && !(has_operator && matches!(part.kind, Kind::Atom(_)) && plain.is_some()))
            || by_quadratic
        {
            by_gradient.push(i);
        } else if plain.is_some() && has_operator {
            by_operator.push(i);
        } else if mapped.is_some() && ability.of_map {
            behind.push(i);
        } else {
            return Err(Box::new(misfit(part, ability, method, methods)));
        }
    }
    if entropic.is_some() {
        all_on_simplex(terms, parts, &on_simplex, method)?;
    }
    let mut assigned = Assigned::default();
    for role in &method.roles {
        let filled = match (&*role.role.text, &role.of) {
            ("proximable", Some(map)) => Filled::Mapped(map.text.clone(), std::mem::take(&mut behind)),
            ("proximable", None) => {
                let own = std::mem::take(&mut by_operator);
                let mut operators = Vec::new();
                for block in 0..terms.block_count() {
                    let pieces = own
                        .iter()
                        .filter_map(|i| abilities[*i].proximal.as_ref().ok())
                        .filter(|(of, _)| *of == block)
                        .map(|(_, piece)| piece.clone())
                        .collect();
                    operators.push(calculus::proximal(terms, pieces).map_err(|refusal| Box::new(refused(&refusal)))?);
                }
                Filled::Proximal(operators, own)
            }
            ("entropic", _) => Filled::Entropic(std::mem::take(&mut on_simplex)),
            _ => Filled::Smooth(std::mem::take(&mut by_gradient)),
        };
        assigned.roles.push((role.name.text.clone(), filled));
    }
    Ok(assigned)
}

/// The simplex or an entropy, of a block itself.
fn is_entropic(terms: &Terms, ability: &Ability) -> bool {
    let Ok((_, piece)) = &ability.proximal else { return false };
    let whole = piece.shift.is_none() && terms.is_number(piece.factor, Rat::ONE);
    whole && matches!(&*piece.atom, "simplex" | "negentropy")
}

/// Each block is constrained to the simplex.
fn all_on_simplex(
    terms: &mut Terms,
    parts: &[Part],
    entropic: &[usize],
    method: &Method,
) -> Result<(), Box<Diagnostic>> {
    for block in 0..terms.block_count() {
        if entropic.iter().any(|i| parts[*i].constraint && terms.depends(parts[*i].arg, block)) {
            continue;
        }
        let (name, id) = (terms.block_name(block).clone(), terms.block(block));
        let message = format!("`{}` moves on the simplex, and `{name}` is not said to be there", method.name.text);
        return Err(Box::new(Diagnostic::error("E0350", terms.span(id), message).help(format!(
            "add `subject to {name} in simplex`, or take a method that projects, such as `by proximal_gradient`"
        ))));
    }
    Ok(())
}

fn refused(refusal: &Refusal) -> Diagnostic {
    Diagnostic::error("E0341", refusal.span, format!("no proximal operator is known here: {}", refusal.reason))
        .help("declare a function of the sum with its own `prox` rule, or leave one of the two to a method with `proximable of K`")
}

/// The error at a term that no method has a place for.
pub fn placeless(part: &Part, ability: &Ability) -> Option<Diagnostic> {
    let Err(refusal) = &ability.proximal else { return None };
    if ability.smooth || ability.of_map {
        return None;
    }
    let what = if part.constraint { "constraint" } else { "term" };
    let kink = match &ability.kink {
        Some(kink) if !part.constraint => format!("it is not smooth: {kink}"),
        _ => "here".to_string(),
    };
    Some(
        Diagnostic::error("E0341", part.span, format!("no method has a place for this {what}"))
            .here(kink)
            .note(format!("it has no proximal operator as it stands: {}", refusal.reason))
            .help(match part.constraint {
                true => "put what it is about into one block, or a penalty in its place, such as a large weight times `sumsq` of the difference",
                false => {
                    "declare a function of this term with its operator (`prox f(v; t) = ...`), or replace it by a smooth one, \
                     such as `huber` for an absolute value"
                }
            }),
    )
}

/// The error at a term that has no place in a method.
fn misfit(part: &Part, ability: &Ability, method: &Method, methods: &dyn Fn(&[&str]) -> String) -> Diagnostic {
    let roles: Vec<String> = method
        .roles
        .iter()
        .map(|role| match &role.of {
            Some(map) => format!("`{}: {} of {}`", role.name.text, role.role.text, map.text),
            None => format!("`{}: {}`", role.name.text, role.role.text),
        })
        .collect();
    let message = format!("`{}` has no place for this term", method.name.text);
    let mut diagnostic = Diagnostic::error("E0341", part.span, message).here(match &ability.kink {
        None => "smooth".to_string(),
        Some(kink) => format!("it is not smooth: {kink}"),
    });
    if let Err(refusal) = &ability.proximal
        && !ability.smooth
    {
        diagnostic = diagnostic.note(format!("it has no proximal operator as it stands: {}", refusal.reason));
    }
    diagnostic = diagnostic.note(format!("the method takes {}", roles.join(", ")));
    let (first, second) = if ability.smooth {
        ("proximable", "smooth")
    } else if ability.proximal.is_ok() {
        ("smooth", "proximable")
    } else if ability.of_map {
        ("smooth", "of")
    } else {
        return diagnostic.help(
            "declare a function of this term with its operator (`prox f(v; t) = ...`), or replace it by a smooth one, \
             such as `huber` for an absolute value",
        );
    };
    let fitting = methods(&[first, second]);
    let other = if ability.of_map && ability.proximal.is_err() {
        "or put a smooth function in its place, such as `huber` for a norm"
    } else if ability.smooth {
        "or leave the term out"
    } else {
        "or replace it by a smooth one, such as `huber` for an absolute value"
    };
    diagnostic.help(format!("{fitting}, {other}"))
}

/// What a term is, in words, for the explanation.
pub fn describe(terms: &Terms, part: &Part, ability: &Ability) -> String {
    let argument = write::text(terms, part.arg);
    match &part.kind {
        Kind::Constant => "constant: it has no part in the solution".to_string(),
        Kind::Linear => "linear".to_string(),
        Kind::Square if ability.quadratic => format!("quadratic, weight {}", write::text(terms, part.weight)),
        Kind::Form => format!("quadratic form of `{argument}`"),
        Kind::Separable(name) => format!("smooth: `{name}` of each element of `{argument}`"),
        Kind::Atom(name) => match &ability.proximal {
            Ok(_) if part.constraint => format!("constraint: the projection of `{name}`"),
            Ok(_) => format!("proximable: the operator of `{name}`, weight {}", write::text(terms, part.weight)),
            Err(_) if ability.smooth => format!("smooth: `{name}` of `{argument}`"),
            Err(_) if ability.of_map => format!("proximable after a linear map: `{name}` of `{argument}`"),
            Err(_) => format!("`{name}` of `{argument}`"),
        },
        Kind::Rows(name) => match (&ability.proximal, part.extra.first()) {
            (Ok(_), Some(rows)) => {
                let (whole, rows) = (write::text(terms, part.weight), write::text(terms, *rows));
                let weights = if whole == "1" { rows } else { format!("{whole} * {rows}") };
                format!("proximable: the operator of `{name}` of each row, weights {weights}")
            }
            (Ok(_), None) => {
                let weight = write::text(terms, part.weight);
                format!("proximable: the operator of `{name}` of each row, weight {weight}")
            }
            (Err(_), _) => format!("`{name}` of each row of `{argument}`"),
        },
        Kind::Square | Kind::General if ability.smooth => "smooth, by its gradient".to_string(),
        Kind::Square | Kind::General => "not smooth, and no operator is known".to_string(),
    }
}
