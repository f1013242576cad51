//! What is told below a picture: the parameters with their shapes, counts and starting values, and what the names in boxes are.

use super::Entry;
use super::body::given_values;
use super::label::one_line;
use super::sizes;
use super::subject::{Of, learned, parameters};
use super::trace::Tracer;
use crate::repl::show::grouped;
use crate::syntax::ast::{Expr, Init, Let, LetKind, Stmt, StmtKind};
use crate::types::{self, names_in};

pub fn legend(tracer: &Tracer) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut counts = Vec::new();
    match &tracer.subject.of {
        Of::Solver(form) => {
            let lets = inits_of(form.decl.body.lets.iter().chain(form.decl.body.step.iter().filter_map(let_of)));
            let arrays = match &tracer.subject.network {
                Some(network) => types::parameters_of(tracer.world.env, network),
                None => Vec::new(),
            };
            for quantity in &tracer.learned {
                let array = arrays.iter().find(|(name, _)| *name == quantity.name);
                let mut dims: Vec<String> = array.map_or_else(Vec::new, |(_, dims)| {
                    dims.iter().map(|dim| sizes::known(dim, &tracer.subject.sizes)).collect()
                });
                // The first layers of a network have that many copies.
                if let (true, Some(count), Some(first)) = (quantity.each, &form.count, dims.first_mut()) {
                    first.clone_from(count);
                }
                counts.push(sizes::count(&dims).filter(|_| array.is_some()));
                let init = lets.iter().find(|init| *init.binder.name.text == *quantity.name);
                let given = given_values(form).find(|(name, _)| ***name == *quantity.name).map(|(_, value)| value);
                let start = init.map(|init| &init.value).or(given);
                let tied = if quantity.each { "one for each layer" } else { "shared by all layers" };
                entries.push(parameter(&quantity.name, &dims, tied, start));
            }
            total(&mut entries, &counts);
            let mut names = tracer.mentioned.clone();
            let mut at = 0;
            while at < names.len() {
                let name = names[at].clone();
                at += 1;
                if tracer.is_learned(&name) {
                    continue;
                }
                if let Some(init) = lets.iter().find(|init| *init.binder.name.text == *name) {
                    if !tracer.depends(&init.value) {
                        entries.push(Entry { name, about: format!("= {}", one_line(&init.value)), learned: false });
                        also(&mut names, &init.value);
                    }
                } else if let Some(at) = form.decl.params.iter().position(|param| *param.name.text == *name) {
                    let param = &form.decl.params[at];
                    let shape =
                        param.ty.as_ref().map(|ty| sizes::shape_of_type(ty, &tracer.subject.sizes)).unwrap_or_default();
                    let value = given_values(form).find(|(own, _)| ***own == *name).map(|(_, value)| one_line(value));
                    let about = match value {
                        Some(value) if *value == *name => format!("given {shape}"),
                        Some(value) => format!("= {value} {shape}"),
                        None => format!("given {shape}"),
                    };
                    entries.push(Entry { name, about: about.trim_end().to_string(), learned: false });
                }
            }
        }
        Of::Body { body, .. } => {
            let arrays = parameters(tracer.world, body, &tracer.subject.sizes);
            for init in learned(body) {
                let name = init.binder.name.text.to_string();
                let own: Vec<&(String, Vec<String>)> =
                    arrays.iter().filter(|(path, _)| *path == name || path.starts_with(&format!("{name}."))).collect();
                own.iter().for_each(|(_, dims)| counts.push(sizes::count(dims)));
                match own.as_slice() {
                    [(path, dims)] if *path == name => entries.push(parameter(&name, dims, "", Some(&init.value))),
                    parts => {
                        let parts: Vec<String> = parts
                            .iter()
                            .map(|(path, dims)| format!("{} [{}]", &path[name.len() + 1..], dims.join(", ")))
                            .collect();
                        let about = format!("{}: {}", one_line(&init.value), parts.join(", "));
                        entries.push(Entry { name, about, learned: true });
                    }
                }
            }
            total(&mut entries, &counts);
            let lets = inits_of(body.stmts.iter().filter_map(let_of));
            let mut names = tracer.mentioned.clone();
            let mut at = 0;
            while at < names.len() {
                let name = names[at].clone();
                at += 1;
                if let Some(init) = lets.iter().find(|init| *init.binder.name.text == *name)
                    && !tracer.data.contains_key(&init.binder.name.text)
                {
                    entries.push(Entry { name, about: format!("= {}", one_line(&init.value)), learned: false });
                    also(&mut names, &init.value);
                }
            }
        }
    }
    entries
}

/// `[16, 256], one for each layer, 4 096 numbers, from t * c`
fn parameter(name: &str, dims: &[String], tied: &str, start: Option<&Expr>) -> Entry {
    let mut parts = Vec::new();
    if !dims.is_empty() {
        parts.push(format!("[{}]", dims.join(", ")));
    }
    if !tied.is_empty() {
        parts.push(tied.to_string());
    }
    if let Some(count) = sizes::count(dims).filter(|count| *count > 1) {
        parts.push(format!("{} numbers", grouped(count as usize)));
    }
    parts.extend(start.map(|start| format!("starts at {}", one_line(start))));
    Entry { name: name.to_string(), about: parts.join(", "), learned: true }
}

fn total(entries: &mut Vec<Entry>, counts: &[Option<u64>]) {
    if counts.len() > 1
        && let Some(total) = counts.iter().try_fold(0u64, |sum, count| sum.checked_add((*count)?))
    {
        entries.push(Entry {
            name: "learned".into(),
            about: format!("{} numbers in all", grouped(total as usize)),
            learned: true,
        });
    }
}

/// Puts the names in a value at the end of those that are to be told.
fn also(names: &mut Vec<String>, value: &Expr) {
    names_in(value, &mut |name| {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_string());
        }
    });
}

fn let_of(stmt: &Stmt) -> Option<&Let> {
    match &stmt.kind {
        StmtKind::Let(binding) => Some(binding),
        StmtKind::Param(_) | StmtKind::Assign { .. } => None,
    }
}

fn inits_of<'a>(lets: impl Iterator<Item = &'a Let>) -> Vec<&'a Init> {
    lets.flat_map(|binding| match &binding.kind {
        LetKind::Inits(inits) => inits.as_slice(),
        LetKind::Tuple(..) => &[],
    })
    .collect()
}
