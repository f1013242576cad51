//! What must hold of derivations, over a list of linear maps and over the problems of the examples and the tests, on random data.
//!
//! A test writes a script in which the claims are checked by number, next to claims that are wrong on purpose and must be
//! noticed; here are the problems, the data and the run.

mod bounds;
mod ground;
mod maps;
mod optima;
mod printed;
mod trees;
mod typeset;

use super::catalogue::Catalogue;
use super::expand;
use super::{Analysis, analyse};
use crate::diagnostic::render::render;
use crate::driver::{self, Options, Sink};
use crate::run::{Engine, Message};
use crate::script::Output;
use crate::source::SourceMap;
use crate::syntax::ast::{Binder, CustomKind, ExprKind, Item, ItemKind, LetKind, Module, Problem, Type, TypeKind};
use crate::syntax::{self, pretty};
use crate::types;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The lines that a script prints.
#[derive(Default)]
struct Lines(Vec<String>);

impl Output for Lines {
    fn line(&mut self, text: &str) {
        self.0.extend(text.split('\n').map(str::to_string));
    }

    fn message(&mut self, _: &Message) {}
}

impl Sink for Lines {
    fn sources(&mut self, _: Rc<SourceMap>) {}
}

/// Runs a script; the error is what it is told, or the line that does not say `true`.
fn holds(text: &str) -> Result<(), String> {
    let mut lines = Lines::default();
    let options = Options { engine: Engine::Native, ..Options::default() };
    let outcome = driver::run_text("what must hold", text, &options, &mut lines);
    let told: String = outcome.diagnostics.iter().map(|found| render(&outcome.sources, found, false)).collect();
    if outcome.failed() {
        return Err(format!("{told}\n{text}"));
    }
    if lines.0.is_empty() {
        return Err(format!("nothing is checked\n{text}"));
    }
    match lines.0.iter().find(|line| !line.ends_with("true")) {
        Some(line) => Err(format!("{line}\n{text}")),
        None => Ok(()),
    }
}

/// Checks each of some scripts on two threads with a stack as that of `dp`.
fn all_hold(scripts: Vec<(String, String)>) {
    let half = scripts.len().div_ceil(2).max(1);
    let check = |part: Vec<(String, String)>| {
        let work = move || -> Vec<String> {
            part.into_iter().filter_map(|(name, text)| holds(&text).err().map(|e| format!("{name}: {e}"))).collect()
        };
        std::thread::Builder::new().stack_size(256 << 20).spawn(work).expect("a thread can be started")
    };
    let threads: Vec<_> = scripts.chunks(half).map(|part| check(part.to_vec())).collect();
    let wrong: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
    assert!(wrong.is_empty(), "{} of the scripts\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// std, checked.
struct Library {
    env: types::Env,
    catalogue: Catalogue,
}

fn library() -> Library {
    let mut sources = SourceMap::default();
    let mut env = types::Env::new();
    let mut catalogue = Catalogue::default();
    for (name, text) in crate::stdlib::MODULES {
        let (module, found) = syntax::parse_text(&mut sources, name, text);
        assert!(found.is_empty(), "{name}");
        types::check_module(&mut env, &module);
        catalogue.add_std(&module);
    }
    Library { env, catalogue }
}

/// A problem with the definitions that it needs, and its data at random.
struct Case {
    name: String,
    problem: Rc<Problem>,
    catalogue: Catalogue,
    /// Definitions, sizes and data, as text.
    setup: String,
}

impl Case {
    fn analysis(&self) -> Analysis {
        match analyse(&self.catalogue, &self.problem) {
            Ok(analysis) => analysis,
            Err(diagnostic) => panic!("{}: {}", self.name, diagnostic.message),
        }
    }

    /// The lets that a solver of it has too.
    fn kept(&self, analysis: &Analysis) -> String {
        let mut text = String::new();
        for binding in &analysis.kept {
            types::bindings_of(binding, &mut |name, value| text += &format!("let {name} = {}\n", pretty::expr(value)));
        }
        text
    }

    /// `y: real[n], z: real[m]`
    fn binders(&self) -> String {
        self.problem.over.iter().map(binder).collect::<Vec<_>>().join(", ")
    }

    /// The blocks' names with a suffix, separated.
    fn blocks(&self, suffix: &str) -> String {
        self.problem.over.iter().map(|b| format!("{}{suffix}", b.name.text)).collect::<Vec<_>>().join(", ")
    }
}

fn binder(binder: &Binder) -> String {
    format!("{}: {}", binder.name.text, binder.ty.as_ref().map_or_else(String::new, shown))
}

/// A type as it is written.
fn shown(ty: &Type) -> String {
    match &ty.kind {
        TypeKind::Array { dims, kind } if dims.is_empty() => format!("{kind:?}").to_lowercase(),
        TypeKind::Array { dims, .. } => {
            format!("real[{}]", dims.iter().map(pretty::expr).collect::<Vec<_>>().join(", "))
        }
        _ => "real".to_string(),
    }
}

/// The extents of a type, as text.
fn extents(ty: &Type) -> Vec<String> {
    match &ty.kind {
        TypeKind::Array { dims, .. } => dims.iter().map(pretty::expr).collect(),
        _ => Vec::new(),
    }
}

/// A case of the problems in a text, each with the definitions before it. Problems that need top-level values which only a run of the
/// script makes are left out.
fn cases_of(library: &Library, name: &str, text: &str) -> Vec<Case> {
    let mut sources = SourceMap::default();
    let (module, found) = syntax::parse_text(&mut sources, name, text);
    assert!(found.is_empty(), "{name}");
    let definitions: Vec<Item> = module.items.iter().filter(|item| defines(item)).cloned().collect();
    let problems: Vec<Rc<Problem>> = definitions
        .iter()
        .filter_map(|item| match &item.kind {
            ItemKind::Problem(problem) => Some(problem.clone()),
            _ => None,
        })
        .collect();
    let mut cases = Vec::new();
    for problem in problems {
        let items: Vec<Item> = definitions
            .iter()
            .filter(|item| !matches!(&item.kind, ItemKind::Problem(other) if !needs(&problem, &other.name.text)))
            .cloned()
            .collect();
        let own = Module { items, ..module.clone() };
        let (catalogue, messages) = expand::with_module(&library.env, &library.catalogue, &own);
        let left: Vec<String> = own.items.iter().map(pretty::item).collect();
        let wrong = messages.iter().any(|d| d.severity == crate::diagnostic::Severity::Error);
        if wrong {
            continue;
        }
        let setup = format!("{}\n{}", left.join("\n"), data(&problem));
        cases.push(Case { name: format!("{name}: {}", problem.name.text), problem, catalogue, setup });
    }
    cases
}

/// The problem itself, or one that its objective names.
fn needs(problem: &Problem, name: &str) -> bool {
    let mut found = &*problem.name.text == name;
    types::names_in(&problem.objective, &mut |word| found |= word == name);
    found
}

fn defines(item: &Item) -> bool {
    match &item.kind {
        ItemKind::Fn(_) | ItemKind::Problem(_) => true,
        ItemKind::Custom(rule) => rule.kind == CustomKind::Prox,
        ItemKind::Let(binding) => match &binding.kind {
            LetKind::Inits(inits) => inits.iter().all(|init| matches!(init.value.kind, ExprKind::Lambda { .. })),
            LetKind::Tuple(..) => false,
        },
        _ => false,
    }
}

/// Sizes and data for a problem's parameters: small numbers, all different; arrays are normal, reals are 0.7.
fn data(problem: &Problem) -> String {
    let mut sizes: BTreeSet<String> = BTreeSet::new();
    let params = problem.params.iter().filter_map(|param| Some((&param.name.text, param.ty.as_ref()?)));
    let types: Vec<&Type> = problem.params.iter().filter_map(|param| param.ty.as_ref()).collect();
    for ty in types.iter().copied().chain(problem.over.iter().filter_map(|b| b.ty.as_ref())) {
        if let TypeKind::Array { dims, .. } = &ty.kind {
            dims.iter().for_each(|dim| {
                types::names_in(dim, &mut |name| {
                    sizes.insert(name.to_string());
                });
            });
        }
    }
    let given: Vec<String> = problem.params.iter().map(|param| param.name.text.to_string()).collect();
    let mut text = String::new();
    for size in sizes.iter().filter(|size| !given.contains(size)) {
        text += &format!("let {size} = {}\n", size_of(size));
    }
    for (name, ty) in params {
        let dims = extents(ty);
        let value = match (&ty.kind, dims.is_empty()) {
            (TypeKind::Array { kind: crate::syntax::ast::ScalarKind::Int, .. }, true) => "2".to_string(),
            (_, true) => "0.7".to_string(),
            // Weights are positive.
            (_, false) if matches!(&**name, "w" | "weights") => format!("0.5 + uniform({})", dims.join(", ")),
            (_, false) => format!("normal({})", dims.join(", ")),
        };
        text += &format!("let {name}: {} = {value}\n", shown(ty));
    }
    text
}

/// A size that fits the use of its name: images are larger than kernels.
fn size_of(name: &str) -> usize {
    match name {
        "h" => 10,
        "w" => 9,
        "p" | "q" => 3,
        "c" => 2,
        "m" => 8,
        "n" => 6,
        "k" => 5,
        "r" | "g" => 3,
        _ => 4,
    }
}

/// The repository's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the compiler is in a folder of the repository").to_path_buf()
}

/// The problems of the examples and of the tests.
fn cases() -> Vec<Case> {
    let library = library();
    let mut cases = Vec::new();
    for folder in ["examples", "tests/run/derive", "tests/reference"] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(root().join(folder))
            .expect("the folder can be read")
            .map(|entry| entry.expect("the folder can be read").path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "dp"))
            .collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).expect("the file can be read");
            if text.contains("problem ") {
                let name = format!("{folder}/{}", file.file_name().expect("a name").to_string_lossy());
                cases.append(&mut cases_of(&library, &name, &text));
            }
        }
    }
    cases
}
