//! The pipeline as one readable function: read, parse, check, then run statement by statement.

pub mod graph;
pub mod terms;
mod trial;

pub use trial::tried;

use crate::derive::{self, Catalogue, expand};
use crate::diagnostic::{Diagnostic, Severity};
use crate::lower::value::Scope;
use crate::lower::watch::Watch;
use crate::lower::{Limits, Session};
use crate::run::{Engine, Message, Runner, Timings};
use crate::script::train::log::Log;
use crate::script::{Output, Script, TestResult};
use crate::source::{FileId, SourceMap, Span};
use crate::stdlib::Std;
use crate::syntax::{self, ast};
use crate::{examples, stdlib, types};
use ast::ItemKind;
use dp_runtime::io::Sandbox;
use dp_runtime::tensor::DType;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Overrides the script's `precision`.
    pub precision: Option<DType>,
    pub seed: u64,
    pub engine: Engine,
    pub check_nan: bool,
    pub dump: Option<String>,
    /// Folders besides the script's own in which files may be read and written.
    pub allow: Vec<PathBuf>,
    pub overwrite: bool,
    pub resume: bool,
    /// Where trainings are logged, as JSON Lines.
    pub log: Option<PathBuf>,
    pub max_bytes: Option<u64>,
    /// Values for the script's `arg` items.
    pub args: Vec<(String, String)>,
    pub run_tests: bool,
    /// Only tests whose names have this text in them.
    pub only_tests: Option<String>,
    /// Look at the truncated derived solvers that the script calls: how far they go on its data (E0358). It prints nothing, writes
    /// no file, holds no assertion, and each training takes one step.
    pub look_at_data: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            precision: None,
            seed: 1,
            engine: Engine::Auto,
            check_nan: false,
            dump: None,
            allow: Vec::new(),
            overwrite: false,
            resume: false,
            log: None,
            max_bytes: None,
            args: Vec::new(),
            run_tests: false,
            only_tests: None,
            look_at_data: false,
        }
    }
}

/// The texts of a run and what was found in them.
pub struct Outcome {
    pub sources: Rc<SourceMap>,
    /// Errors and warnings that were not shown while running.
    pub diagnostics: Vec<Diagnostic>,
    pub timings: Timings,
    pub tests: Vec<TestResult>,
}

impl Outcome {
    pub fn failed(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
}

/// Shows a script's output; it is given the texts before anything runs, for the places of warnings.
pub trait Sink: Output {
    fn sources(&mut self, sources: Rc<SourceMap>);
}

/// A file that is parsed, with the modules it uses, each parsed once, and what they need of std.
struct Program {
    sources: SourceMap,
    file: FileId,
    library: Std,
    std: Vec<ast::Module>,
    modules: Vec<(String, ast::Module)>,
    main: ast::Module,
    diagnostics: Vec<Diagnostic>,
    timings: Timings,
}

/// The largest source file that is read.
const MAX_SOURCE: u64 = 16 << 20;

/// Reads a script or module.
pub fn read_source(sources: &mut SourceMap, path: &Path) -> Result<FileId, Box<Diagnostic>> {
    let shown = path.display().to_string();
    let failure =
        |problem: String| Box::new(Diagnostic::error("E0101", Span::NONE, format!("cannot read `{shown}`: {problem}")));
    let size = std::fs::metadata(path).map_err(|e| failure(plain_error(&e)))?;
    if size.is_dir() {
        return Err(failure("it is a folder, a script is a file".to_string()));
    }
    if size.len() > MAX_SOURCE {
        return Err(failure(format!("it has {} MiB, a script has at most {} MiB", size.len() >> 20, MAX_SOURCE >> 20)));
    }
    let bytes = std::fs::read(path).map_err(|e| failure(plain_error(&e)))?;
    let text = String::from_utf8(bytes)
        .map_err(|e| failure(format!("it is not text in UTF-8 (byte {})", e.utf8_error().valid_up_to())))?;
    Ok(sources.add(shown, Some(path.to_path_buf()), text))
}

fn plain_error(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_string(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        _ => e.to_string(),
    }
}

/// Reads and parses std, the file, and the modules that it uses (files beside it).
fn load(from: &Text) -> Result<Program, (SourceMap, Box<Diagnostic>)> {
    load_for(from, "")
}

/// `load`, with what these words need of std too.
fn load_for(from: &Text, words: &str) -> Result<Program, (SourceMap, Box<Diagnostic>)> {
    let start = Instant::now();
    let mut sources = SourceMap::default();
    let mut std = Std::new(&mut sources);
    let first = sources.len();
    let file = match from {
        Text::File(path) => match read_source(&mut sources, path) {
            Ok(file) => file,
            Err(d) => return Err((sources, d)),
        },
        Text::Typed { name, text } => sources.add(*name, None, *text),
        Text::Edited { path, text } => sources.add(path.display().to_string(), Some(path.to_path_buf()), *text),
    };
    let (main, mut diagnostics) = syntax::parse(&sources, file);
    let mut modules = Vec::new();
    load_used(&mut sources, &from.folder(), &main, &mut modules, &mut diagnostics, &mut Vec::new());
    let texts = (first..sources.len()).map(|i| sources.file(FileId(i as u32)).text.as_str());
    let needed = std.needed(&sources, texts.chain([words]));
    let timings = Timings { parse: start.elapsed(), ..Timings::default() };
    Ok(Program { sources, file, library: std, std: needed, modules, main, diagnostics, timings })
}

/// Where a program stands.
enum Text<'a> {
    File(&'a Path),
    /// What a user typed, and what it is called in messages.
    Typed {
        name: &'a str,
        text: &'a str,
    },
    /// A file as an editor has it.
    Edited {
        path: &'a Path,
        text: &'a str,
    },
}

impl Text<'_> {
    /// The folder of its modules and data.
    fn folder(&self) -> PathBuf {
        match self {
            Text::File(path) | Text::Edited { path, .. } => match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
                _ => PathBuf::from("."),
            },
            Text::Typed { .. } => PathBuf::from("."),
        }
    }

    /// What its checkpoints are called by.
    fn stem(&self) -> String {
        match self {
            Text::File(path) | Text::Edited { path, .. } => {
                path.file_stem().map_or_else(|| "script".to_string(), |s| s.to_string_lossy().to_string())
            }
            Text::Typed { name, .. } => (*name).to_string(),
        }
    }
}

/// Modules that a module names with `use`, those they use first.
pub fn load_used(
    sources: &mut SourceMap,
    folder: &Path,
    module: &ast::Module,
    modules: &mut Vec<(String, ast::Module)>,
    diagnostics: &mut Vec<Diagnostic>,
    open: &mut Vec<String>,
) {
    for item in &module.items {
        let ItemKind::Use(path) = &item.kind else { continue };
        let name = use_name(path);
        if stdlib::MODULES.iter().any(|(std, _)| *std == name) || modules.iter().any(|(known, _)| *known == name) {
            continue;
        }
        if open.contains(&name) {
            diagnostics.push(Diagnostic::error(
                "E0102",
                path.span,
                format!("modules use each other in a circle: {} -> {name}", open.join(" -> ")),
            ));
            continue;
        }
        let file = folder.join(format!("{}.dp", name.replace('.', "/")));
        match read_source(sources, &file) {
            Ok(id) => {
                let (inner, mut found) = syntax::parse(sources, id);
                diagnostics.append(&mut found);
                open.push(name.clone());
                load_used(sources, folder, &inner, modules, diagnostics, open);
                open.pop();
                modules.push((name, inner));
            }
            Err(d) => diagnostics.push(Diagnostic {
                labels: vec![crate::diagnostic::Label { span: path.span, text: String::new() }],
                ..*d
            }),
        }
    }
}

/// The dotted name after `use`.
fn use_name(path: &ast::Path) -> String {
    let mut name = path.root.text.to_string();
    for part in &path.parts {
        if let ast::PathPart::Field(field) = part {
            name.push('.');
            name.push_str(&field.text);
        }
    }
    name
}

/// The names of std: their types, and what derivations may use.
fn check_std(program: &mut Program, mut env: types::Env) -> (types::Env, Catalogue) {
    env.suggest(program.library.names());
    let mut catalogue = Catalogue::default();
    for module in &program.std {
        program.diagnostics.append(&mut types::check_module(&mut env, module));
        catalogue.add_std(module);
    }
    (env, catalogue)
}

/// Derives solvers, then checks names, types and dimensions of everything; std is known to be right.
fn check(program: &mut Program) {
    check_in(program, types::Env::new(), &mut expand::Derived::default());
}

/// The same in an environment that may note down what is found, and with what is to be known of derivations; gives back the
/// environment with the names of the program.
fn check_in(program: &mut Program, env: types::Env, derived: &mut expand::Derived) -> types::Env {
    let start = Instant::now();
    let (mut env, mut catalogue) = check_std(program, env);
    for module in program.modules.iter_mut().map(|(_, module)| module).chain([&mut program.main]) {
        if expand::needed(module) {
            program.diagnostics.append(&mut expand::expand(&mut program.sources, &env, &catalogue, module, derived));
        }
        program.diagnostics.append(&mut expand::learned_steps(derived, &module.items));
        program.diagnostics.append(&mut types::check_module(&mut env, module));
        catalogue.add_module(module);
    }
    // A line that did not parse may have defined a name: that it is missing is no second mistake.
    let lost = lost_names(&program.sources, &program.main);
    let sources = &program.sources;
    program.diagnostics.retain(|d| d.code.0 != "E0301" || !lost.contains(sources.text(d.span())));
    program.timings.check = start.elapsed();
    env
}

/// A text that was checked and not run, with what an editor may ask of it.
pub struct Analysis {
    pub sources: SourceMap,
    pub file: FileId,
    pub module: ast::Module,
    pub env: types::Env,
    pub seen: Rc<RefCell<types::Seen>>,
    pub std: Std,
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks a file as an editor has it.
pub fn analyze(path: &Path, text: &str) -> Analysis {
    let mut program = match load(&Text::Edited { path, text }) {
        Ok(program) => program,
        Err(_) => unreachable!("internal error: a text that is given is not read"),
    };
    let mut env = types::Env::new();
    let seen = env.watch(program.file);
    let env = check_in(&mut program, env, &mut expand::Derived::default());
    Analysis {
        sources: program.sources,
        file: program.file,
        module: program.main,
        env,
        seen,
        std: program.library,
        diagnostics: program.diagnostics,
    }
}

/// The names that lines define which did not parse: those after the first word, `let a = ...`, `let (a, b) = ...`.
fn lost_names(sources: &SourceMap, module: &ast::Module) -> HashSet<String> {
    let mut names = HashSet::new();
    for item in module.items.iter().filter(|item| matches!(item.kind, ItemKind::Error)) {
        let text = sources.text(item.span);
        let defined = text.split_once('=').map_or(text, |(before, _)| before);
        let words = defined.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        names.extend(words.skip(1).map(str::to_string));
    }
    names
}

/// Parses and checks a file without running it.
pub fn check_file(path: &Path) -> Outcome {
    let mut program = match load(&Text::File(path)) {
        Ok(program) => program,
        Err((sources, d)) => return failure(sources, *d),
    };
    check(&mut program);
    Outcome {
        sources: Rc::new(program.sources),
        diagnostics: program.diagnostics,
        timings: program.timings,
        tests: Vec::new(),
    }
}

/// What `dp derive` asks for.
#[derive(Clone, Debug, Default)]
pub struct DeriveOptions {
    pub problem: String,
    pub method: Option<String>,
    pub layer: bool,
    /// The story besides the solver.
    pub explain: bool,
    /// The problem and its solver as LaTeX, in the place of source.
    pub latex: bool,
    pub color: bool,
}

/// Derives a solver of a problem in a file, and gives its text.
pub fn derive_file(path: &Path, options: &DeriveOptions) -> Result<(String, Outcome), Outcome> {
    // A derivation chooses among all methods and rules.
    let mut program = load_for(&Text::File(path), "derive").map_err(|(sources, d)| failure(sources, *d))?;
    let (mut env, mut catalogue) = check_std(&mut program, types::Env::new());
    for (_, module) in &program.modules {
        program.diagnostics.append(&mut types::check_module(&mut env, module));
        catalogue.add_module(module);
    }
    let (catalogue, mut messages) = expand::with_module(&env, &catalogue, &program.main);
    program.diagnostics.append(&mut messages);
    let finish = |program: Program| Outcome {
        sources: Rc::new(program.sources),
        diagnostics: program.diagnostics,
        timings: program.timings,
        tests: Vec::new(),
    };
    if program.diagnostics.iter().any(|d| d.severity == Severity::Error) {
        return Err(finish(program));
    }
    let Some(problem) = catalogue.problem(&options.problem).cloned() else {
        let known: Vec<String> = catalogue.problems().iter().map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() { "no problem".to_string() } else { known.join(", ") };
        let message = format!("the file has no problem `{}`", options.problem);
        program.diagnostics.push(Diagnostic::error("E0301", Span::NONE, message).note(format!("it has {known}")));
        return Err(finish(program));
    };
    let method = options.method.as_ref().map(|name| (name.as_str().into(), Span::NONE));
    let name = match &options.method {
        Some(method) => format!("{}_by_{method}", options.problem),
        None => format!("{}_solver", options.problem),
    };
    let request =
        derive::Request { problem: &problem, method, layer: options.layer, name: name.into(), span: problem.name.span };
    match derive::derive(&catalogue, &request) {
        Ok(derivation) => {
            let mut text = match options.latex {
                true => derive::article::article(&derivation, &request),
                false => format!("{}\n", syntax::pretty::solver(&derivation.solver)),
            };
            if options.explain {
                let mut explanation = derivation.explanation(&catalogue, &request);
                let modules = program.modules.iter().map(|(_, module)| module).chain([&program.main]);
                let items: Vec<&ast::Item> = modules.flat_map(|module| &module.items).collect();
                explanation.tried = tried(&items, &derivation, &request, &explanation.learned.found);
                text = format!("{}\n{text}", explanation.render(&program.sources, options.color));
            }
            program.diagnostics.extend(derivation.warnings);
            Ok((text, finish(program)))
        }
        Err(diagnostic) => {
            program.diagnostics.push(*diagnostic);
            Err(finish(program))
        }
    }
}

fn failure(sources: SourceMap, diagnostic: Diagnostic) -> Outcome {
    Outcome { sources: Rc::new(sources), diagnostics: vec![diagnostic], timings: Timings::default(), tests: Vec::new() }
}

/// One `arg` of a script, for `--help`.
pub struct ScriptArg {
    pub name: String,
    pub ty: String,
    pub default: Option<String>,
    pub doc: String,
}

/// The arguments that a script declares.
pub fn script_args(path: &Path) -> Result<Vec<ScriptArg>, Outcome> {
    let program = load(&Text::File(path)).map_err(|(sources, d)| failure(sources, *d))?;
    let text = |span: Span| program.sources.text(span).to_string();
    Ok(program
        .main
        .items
        .iter()
        .filter_map(|item| match &item.kind {
            ItemKind::Arg { binder, default } => Some(ScriptArg {
                name: binder.name.text.to_string(),
                ty: binder.ty.as_ref().map_or_else(|| "string".to_string(), |ty| text(ty.span)),
                default: default.as_ref().map(|e| text(e.span)),
                doc: item.doc.first().cloned().or_else(|| item.trivia.trailing.clone()).unwrap_or_default(),
            }),
            _ => None,
        })
        .collect())
}

/// Reads, checks and runs a script.
pub fn run_file(path: &Path, options: &Options, out: &mut dyn Sink) -> Outcome {
    run_program(&Text::File(path), options, out)
}

/// The same for a text that is in no file. If it ends with an expression, its value is printed.
pub fn run_text(name: &str, text: &str, options: &Options, out: &mut dyn Sink) -> Outcome {
    run_program(&Text::Typed { name, text }, options, out)
}

fn run_program(from: &Text, options: &Options, out: &mut dyn Sink) -> Outcome {
    let mut program = match load(from) {
        Ok(program) => program,
        Err((sources, d)) => return failure(sources, *d),
    };
    if let (Text::Typed { .. }, Some(last)) = (from, program.main.items.last_mut())
        && let ItemKind::Expr(e) = &last.kind
        && !is_effect(e)
    {
        last.kind = ItemKind::Print(vec![e.clone()]);
    }
    if options.run_tests {
        let mut found = examples::add_tests(&mut program.sources, &mut program.main);
        program.diagnostics.append(&mut found);
    }
    if let Some(only) = &options.only_tests {
        let named = |item: &ast::Item| !matches!(&item.kind, ItemKind::Test { name, .. } if !name.contains(only));
        program.main.items.retain(named);
    }
    let mut derived = expand::Derived { sources_wanted: options.look_at_data, ..expand::Derived::default() };
    check_in(&mut program, types::Env::new(), &mut derived);
    let sources = Rc::new(program.sources);
    if program.diagnostics.iter().any(|d| d.severity == Severity::Error) {
        return Outcome { sources, diagnostics: program.diagnostics, timings: program.timings, tests: Vec::new() };
    }
    out.sources(sources.clone());
    for warning in program.diagnostics.drain(..) {
        out.message(&Message::Warning(Box::new(warning)));
    }
    let sandbox = match Sandbox::new(&from.folder(), &options.allow) {
        Ok(sandbox) => sandbox,
        Err(e) => {
            return Outcome {
                sources,
                diagnostics: vec![Diagnostic::error("E0805", Span::NONE, e.to_string())],
                timings: program.timings,
                tests: Vec::new(),
            };
        }
    };
    let mut session = Session::new(options.precision.unwrap_or(DType::F64), options.seed);
    if let Some(bytes) = options.max_bytes {
        session.limits = Limits { bytes, ..session.limits };
    }
    if options.look_at_data {
        session.watch = Some(Watch::new(derived.solvers));
    }
    // The script's own `precision` holds from the start, for std too.
    if options.precision.is_none()
        && let Some(name) = program
            .main
            .items
            .iter()
            .find_map(|i| if let ItemKind::Precision(name) = &i.kind { Some(name) } else { None })
        && &*name.text == "f32"
    {
        session.real = DType::F32;
    }
    let runner = Runner {
        engine: options.engine,
        check_nan: options.check_nan,
        max_bytes: options.max_bytes,
        dump: options.dump.clone(),
        timings: program.timings.clone(),
        ..Runner::default()
    };
    let log = options.log.as_ref().map(|path| Log::open(path, options.resume, options.overwrite)).transpose();
    let log = match log {
        Ok(log) => log,
        Err(problem) => {
            return Outcome {
                sources,
                diagnostics: vec![Diagnostic::error("E0806", Span::NONE, problem)],
                timings: program.timings,
                tests: Vec::new(),
            };
        }
    };
    let std_scope = Scope::default();
    let mut script = Script {
        session,
        scope: std_scope.clone(),
        runner,
        sandbox: Some(&sandbox),
        overwrite: options.overwrite,
        resume: options.resume,
        checkpoints: from.stem(),
        args: options.args.clone(),
        given: Vec::new(),
        log,
        precision_given: options.precision.is_some(),
        out,
        trained: Vec::new(),
        run_tests: false,
        tests: Vec::new(),
    };
    let result = run_all(&mut script, &program.std, &program.modules, &program.main, options.run_tests);
    let (timings, tests) = (script.runner.timings.clone(), std::mem::take(&mut script.tests));
    if result.is_ok() {
        script.remove_checkpoints();
    }
    for finding in script.session.watch.iter_mut().flat_map(|watch| std::mem::take(&mut watch.findings)) {
        script.out.message(&Message::Warning(Box::new(finding)));
    }
    let mut error = result.err();
    if let Some(error) = &mut error
        && script.session.watch.as_ref().is_some_and(|watch| watch.left_out)
    {
        error
            .notes
            .push("with `--data` a training takes one step and no file is written: what follows may need more".into());
    }
    let diagnostics = error.map(|d| *d).into_iter().collect();
    Outcome { sources, diagnostics, timings, tests }
}

/// A call that is made for what it does: it has no value to print.
fn is_effect(e: &ast::Expr) -> bool {
    match &e.kind {
        ast::ExprKind::Call { func, .. } => {
            matches!(&func.kind, ast::ExprKind::Name(name) if matches!(&**name, "save" | "plot" | "scatter" | "hist" | "heatmap" | "image"))
        }
        _ => false,
    }
}

fn run_all(
    script: &mut Script,
    std: &[ast::Module],
    modules: &[(String, ast::Module)],
    main: &ast::Module,
    run_tests: bool,
) -> crate::lower::Res<()> {
    let std_scope = script.scope.clone();
    for module in std {
        script.run(module)?;
    }
    let mut scopes: HashMap<&str, Scope> = HashMap::new();
    for (name, module) in modules {
        script.scope = std_scope.inner();
        import(script, module, &scopes);
        script.run(module)?;
        scopes.insert(name, script.scope.clone());
    }
    script.scope = std_scope.inner();
    import(script, main, &scopes);
    script.run_tests = run_tests;
    script.run(main)?;
    if run_tests {
        script.test_rules(&main.items);
    }
    if let Some((name, _)) = script.args.first() {
        return Err(Box::new(
            Diagnostic::error("E0801", Span::NONE, format!("the script has no argument --{name}"))
                .help("`dp run FILE --help` lists the script's arguments"),
        ));
    }
    Ok(())
}

/// Binds the names of used modules.
fn import(script: &Script, module: &ast::Module, scopes: &HashMap<&str, Scope>) {
    for item in &module.items {
        if let ItemKind::Use(path) = &item.kind
            && let Some(used) = scopes.get(use_name(path).as_str())
        {
            for name in used.names_here() {
                if let Some(value) = used.find_here(&name) {
                    script.scope.bind(&name, value);
                }
            }
            used.proxes_here().into_iter().for_each(|rule| script.scope.bind_prox(rule));
        }
    }
}
