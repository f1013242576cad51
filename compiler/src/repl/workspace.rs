//! What a session knows: texts, names with their types and values, settings. An entry is tried on copies of the names; it
//! becomes a part of the session as a whole, or changes nothing.

use super::Console;
use super::show;
use crate::derive::{self, Catalogue, expand};
use crate::diagnostic::render::render;
use crate::diagnostic::{Diagnostic, Severity};
use crate::diagram::{self, Diagram, World};
use crate::driver::{self, Options};
use crate::lower::value::{Scope, Value};
use crate::lower::{Limits, Res, Session};
use crate::run::{Message, Runner};
use crate::script::{Output, Script};
use crate::source::{FileId, SourceMap};
use crate::stdlib::Std;
use crate::stdlib::index::words;
use crate::syntax::ast::{self, ItemKind, LetKind, Symbol};
use crate::syntax::{self, pretty};
use crate::types::{self, Env};
use dp_runtime::interrupt;
use dp_runtime::io::Sandbox;
use dp_runtime::plot::inline::Graphics;
use dp_runtime::tensor::DType;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;

/// Everything that a session knows.
pub struct Workspace {
    pub sources: SourceMap,
    std: Std,
    std_env: Env,
    std_scope: Scope,
    /// What was taken in of std: derivations look at its source.
    std_modules: Vec<ast::Module>,
    /// Types of the names of std that were needed so far, and of the session.
    pub env: Env,
    pub scope: Scope,
    pub session: Session,
    pub runner: Runner,
    sandbox: Option<Sandbox>,
    pub overwrite: bool,
    /// The times of each entry are shown.
    pub time: bool,
    /// What was entered and became a part of the session.
    pub entries: Vec<Entry>,
    /// The line that gave each name its meaning.
    pub definitions: HashMap<Symbol, ast::Item>,
    /// The steps of derived solvers, which a network had better not learn.
    derivations: expand::Derived,
    /// How the session's derived solvers were asked for, `P by M as layer`.
    derived: HashMap<String, String>,
    number: usize,
}

/// An entry of the past.
pub struct Entry {
    pub file: FileId,
    pub items: Vec<ast::Item>,
    /// The value was to be shown: no `;` stood at the end.
    pub shown: bool,
}

/// What a failed entry must leave as it was.
struct Saved {
    names: Scope,
    session: Session,
    runner: Runner,
    parameters: Vec<(Rc<RefCell<Value>>, Value)>,
}

impl Workspace {
    /// A session that reads and writes files below the folder where the user stands.
    pub fn new(options: &Options) -> Workspace {
        let mut sources = SourceMap::default();
        let std = Std::new(&mut sources);
        let mut session = Session::new(options.precision.unwrap_or(DType::F64), options.seed);
        if let Some(bytes) = options.max_bytes {
            session.limits = Limits { bytes, ..session.limits };
        }
        let runner = Runner {
            engine: options.engine,
            check_nan: options.check_nan,
            max_bytes: options.max_bytes,
            dump: options.dump.clone(),
            ..Runner::default()
        };
        let std_scope = Scope::default();
        let mut env = Env::new();
        env.suggest(std.names());
        Workspace {
            sources,
            std,
            std_env: Env::new(),
            env,
            scope: std_scope.inner(),
            std_scope,
            std_modules: Vec::new(),
            session,
            runner,
            sandbox: Sandbox::new(Path::new("."), &options.allow).ok(),
            overwrite: options.overwrite,
            time: false,
            entries: Vec::new(),
            definitions: HashMap::new(),
            derivations: expand::Derived::default(),
            derived: HashMap::new(),
            number: 0,
        }
    }

    /// The names of std, whether they were used or not.
    pub fn std_names(&self) -> impl Iterator<Item = &'static str> {
        self.std.names()
    }

    /// The text of a name's definition in std, with its comments.
    pub fn std_text(&self, name: &str) -> Option<&'static str> {
        self.std.text(name)
    }

    /// Adds a text that the user typed.
    pub fn add(&mut self, text: &str) -> FileId {
        self.number += 1;
        self.sources.add(format!("entry {}", self.number), None, text)
    }

    /// Tries an entry, shows its values or what is wrong with it, and says whether it was good.
    pub fn enter(&mut self, text: &str, console: &mut dyn Console) -> bool {
        let file = self.add(text);
        self.enter_file(file, Path::new("."), console)
    }

    /// The same for a text that is among the sources; modules that it uses are looked for in the folder.
    pub fn enter_file(&mut self, file: FileId, folder: &Path, console: &mut dyn Console) -> bool {
        let (module, mut diagnostics) = syntax::parse(&self.sources, file);
        let mut used = Vec::new();
        driver::load_used(&mut self.sources, folder, &module, &mut used, &mut diagnostics, &mut Vec::new());
        if !diagnostics.is_empty() {
            self.tell_all(&diagnostics, console);
            return false;
        }
        let mut items: Vec<ast::Item> = Vec::new();
        for (_, module) in used {
            items.extend(module.items);
        }
        items.extend(module.items);
        let shown = !self.sources.file(file).text.trim_end().ends_with(';');
        let texts: Vec<String> = items.iter().map(|item| self.sources.text(item.span).to_string()).collect();
        self.need(texts.iter().map(String::as_str), console);

        let mut module = ast::Module { items, end: ast::Trivia::default() };
        let asked: Vec<(String, String)> = module.items.iter().filter_map(derived_as).collect();
        if expand::needed(&module) {
            let catalogue = self.catalogue();
            let found = expand::expand(&mut self.sources, &self.env, &catalogue, &mut module, &mut self.derivations);
            self.tell_all(&found, console);
            if found.iter().any(|d| d.severity == Severity::Error) {
                return false;
            }
        }
        let items = module.items;
        self.tell_all(&expand::learned_steps(&self.derivations, &items), console);
        let names = defined(&items);
        let Some(env) = self.check(&items, &names, console) else { return false };
        if !self.run(&items, &names, env, shown, console) {
            return false;
        }
        names.iter().for_each(|name| {
            self.derived.remove(&**name);
        });
        self.derived.extend(asked);
        for item in &items {
            for name in defined(std::slice::from_ref(item)) {
                self.definitions.insert(name, item.clone());
            }
        }
        self.entries.push(Entry { file, items, shown });
        true
    }

    /// Makes ready what these texts need of std.
    pub fn need<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>, console: &mut dyn Console) {
        let modules = self.std.needed(&self.sources, texts);
        for module in &modules {
            self.std_env.count_from(&self.env);
            let found = types::check_module(&mut self.std_env, module);
            self.env.count_from(&self.std_env);
            self.tell_all(&found, console);
            for name in defined(&module.items) {
                // What the session defines stands before std.
                if self.scope.find_here(&name).is_none() && !self.definitions.contains_key(&name) {
                    self.env.copy_name(&self.std_env, &name);
                }
            }
            let scope = self.std_scope.clone();
            if let Err(d) = self.script(scope, console, |script| script.run(module)) {
                self.tell(&d, console);
            }
        }
        self.std_modules.extend(modules);
    }

    /// What derivations may use: std, and what the session has defined.
    fn catalogue(&self) -> Catalogue {
        let mut catalogue = Catalogue::default();
        self.std_modules.iter().for_each(|module| catalogue.add_std(module));
        let mut items: Vec<ast::Item> = self.definitions.values().cloned().collect();
        let rules = self.entries.iter().flat_map(|entry| &entry.items);
        items.extend(rules.filter(|item| matches!(item.kind, ItemKind::Custom(_))).cloned());
        catalogue.add_module(&ast::Module { items, end: ast::Trivia::default() });
        catalogue
    }

    /// The diagram of a solver, network or function of the session or of std.
    ///
    /// # Errors
    /// As for `diagram::draw`.
    pub fn diagram(&self, name: &str) -> Res<Diagram> {
        let mut items: Vec<ast::Item> = self.definitions.values().cloned().collect();
        items.sort_by_key(|item| (item.span.file, item.span.start));
        let session = ast::Module { items, end: ast::Trivia::default() };
        let modules = std::iter::once(&session).chain(&self.std_modules).collect();
        diagram::draw(&World { env: &self.env, modules }, name, &diagram::Options::default())
    }

    /// Derives a solver as `derive P by M as layer` asks for, or as a derived solver of the session was; gives its text, and the
    /// story if it is wanted. Shows what is wrong.
    pub fn derivation(&mut self, text: &str, story: bool, console: &mut dyn Console) -> Option<(String, String)> {
        let asked = self.derived.get(text.trim()).cloned().unwrap_or_else(|| text.to_string());
        let e = self.parsed(&format!("derive {asked}"), console)?;
        let ast::ExprKind::Derive { path, by, form } = &e.kind else {
            console.tell("a problem is needed here, as in `:derive lasso by proximal_gradient`");
            return None;
        };
        let method = by.as_ref().map(|by| (self.sources.text(by.span).into(), by.span));
        let nothing = ast::Module { items: Vec::new(), end: ast::Trivia::default() };
        let (catalogue, _) = expand::with_module(&self.env, &self.catalogue(), &nothing);
        let Some(problem) = catalogue.problem(&path.root.text).cloned() else {
            console.tell(&format!("`{}` is not a problem of the session", path.root.text));
            return None;
        };
        let name = match self.derived.contains_key(text.trim()) {
            true => text.trim().into(),
            false => format!("{}_solver", path.root.text).as_str().into(),
        };
        let request =
            derive::Request { problem: &problem, method, layer: form.is_some(), name, span: problem.name.span };
        match derive::derive(&catalogue, &request) {
            Ok(derivation) => {
                self.tell_all(&derivation.warnings, console);
                let source = pretty::solver(&derivation.solver);
                if !story {
                    return Some((source, String::new()));
                }
                let mut explanation = derivation.explanation(&catalogue, &request);
                let rules = self.entries.iter().flat_map(|entry| &entry.items);
                let rules = rules.filter(|item| matches!(item.kind, ItemKind::Custom(_)));
                let mut items: Vec<&ast::Item> = self.definitions.values().chain(rules).collect();
                items.sort_by_key(|item| (item.span.file, item.span.start));
                explanation.tried = driver::tried(&items, &derivation, &request, &explanation.learned.found);
                Some((source, explanation.render(&self.sources, console.color())))
            }
            Err(d) => {
                self.tell(&d, console);
                None
            }
        }
    }

    /// Checks an entry, and what was defined before and mentions a name that it defines. `None` if the entry is wrong.
    fn check(&mut self, items: &[ast::Item], names: &[Symbol], console: &mut dyn Console) -> Option<Env> {
        let users = self.users(names);
        let mut env = self.env.clone();
        let entry = ast::Module { items: [&users[..], items].concat(), end: ast::Trivia::default() };
        let found = types::check_module(&mut env, &entry);
        let of_users = |d: &Diagnostic| users.iter().any(|user| user.span.to(d.span()) == user.span);
        let (later, now): (Vec<Diagnostic>, Vec<Diagnostic>) = found.into_iter().partition(of_users);
        self.tell_all(&now, console);
        if now.iter().any(|d| d.severity == Severity::Error) {
            return None;
        }
        for d in later {
            let d = Diagnostic { severity: Severity::Warning, ..d };
            self.tell(&d.note("this was defined before, and no longer fits what was entered now"), console);
        }
        Some(env)
    }

    /// The definitions that mention one of these names, or one of those found.
    fn users(&self, names: &[Symbol]) -> Vec<ast::Item> {
        let mut changed: HashSet<&str> = names.iter().map(|name| &**name).collect();
        let mut users: Vec<(&Symbol, &ast::Item)> = Vec::new();
        let again = self.definitions.iter().filter(|(name, item)| is_definition(item) && !names.contains(name));
        let mut rest: Vec<(&Symbol, &ast::Item)> = again.collect();
        loop {
            let (more, others): (Vec<_>, Vec<_>) =
                rest.iter().partition(|(_, item)| words(self.sources.text(item.span)).any(|w| changed.contains(w)));
            if more.is_empty() {
                break;
            }
            changed.extend(more.iter().map(|(name, _)| &***name));
            users.extend(more);
            rest = others;
        }
        users.sort_by_key(|(_, item)| (item.span.file, item.span.start));
        users.into_iter().map(|(_, item)| item.clone()).collect()
    }

    /// Runs an entry that was checked; afterwards its names are in force, or nothing has changed.
    fn run(
        &mut self,
        items: &[ast::Item],
        names: &[Symbol],
        mut env: Env,
        shown: bool,
        console: &mut dyn Console,
    ) -> bool {
        let saved = self.save();
        interrupt::clear();
        let scope = self.scope.clone();
        // A rule for a function that is defined anew without one is a rule for another function.
        for name in names {
            scope.unbind_derivative(name);
        }
        let color = console.color();
        let before = self.runner.timings.clone();
        let ran = self.attempt(scope, console, |script| {
            script.declare(items);
            for item in items {
                run_item(script, item, &mut env, shown, color)?;
            }
            Ok(())
        });
        for (name, value) in self.scope.names_here().iter().filter_map(|n| Some((n, self.scope.find_here(n)?))) {
            types::bind_value(&mut env, name, &value);
        }
        match ran {
            Some(Ok(())) => {
                self.env = env;
                if self.time {
                    console.tell(&super::measure::stages(&self.runner.timings, &before));
                }
                true
            }
            Some(Err(d)) => {
                self.restore(saved);
                if d.code.0 == "E0506" {
                    console.tell("interrupted; nothing has changed");
                } else {
                    self.tell(&d, console);
                }
                interrupt::clear();
                false
            }
            None => {
                self.restore(saved);
                console.tell("this is a mistake of the compiler, not yours; nothing has changed");
                false
            }
        }
    }

    fn save(&self) -> Saved {
        let mut parameters = Vec::new();
        for name in self.scope.names_here() {
            if let Some(Value::Net(net)) = self.scope.find_here(&name) {
                let now = net.params.borrow().clone();
                parameters.push((net.params.clone(), now));
            }
        }
        let (session, runner) = (self.session.clone(), self.runner.clone());
        Saved { names: self.scope.snapshot(), session, runner, parameters }
    }

    fn restore(&mut self, saved: Saved) {
        self.scope.restore(&saved.names);
        self.session = saved.session;
        self.runner = saved.runner;
        for (place, value) in saved.parameters {
            *place.borrow_mut() = value;
        }
    }

    /// Runs something as the statements of a script are run; `None` if it panicked.
    fn attempt<T>(
        &mut self,
        scope: Scope,
        console: &mut dyn Console,
        run: impl FnOnce(&mut Script) -> Res<T>,
    ) -> Option<Res<T>> {
        catch_unwind(AssertUnwindSafe(|| self.script(scope, console, run))).ok()
    }

    fn script<T>(
        &mut self,
        scope: Scope,
        console: &mut dyn Console,
        run: impl FnOnce(&mut Script) -> Res<T>,
    ) -> Res<T> {
        let mut printer = Printer { sources: &self.sources, console };
        let mut script = Script {
            session: self.session.clone(),
            scope,
            runner: std::mem::take(&mut self.runner),
            sandbox: self.sandbox.as_ref(),
            overwrite: self.overwrite,
            resume: false,
            // An interrupted training is no part of the session: there is nothing to go on with.
            checkpoints: String::new(),
            args: Vec::new(),
            given: Vec::new(),
            log: None,
            precision_given: false,
            out: &mut printer,
            trained: Vec::new(),
            run_tests: true,
            tests: Vec::new(),
        };
        let result = run(&mut script);
        let tests = std::mem::take(&mut script.tests);
        (self.session, self.runner) = (script.session, script.runner);
        for test in tests {
            match test.failure {
                None => console.print(&format!("test \"{}\" passed", test.name)),
                Some(d) => {
                    console.tell(&format!("test \"{}\" failed", test.name));
                    self.tell(&d, console);
                }
            }
        }
        result
    }

    /// Evaluates with the session's names without changing any; shows what is wrong.
    pub fn with_script<T>(&mut self, console: &mut dyn Console, run: impl FnOnce(&mut Script) -> Res<T>) -> Option<T> {
        let saved = self.save();
        interrupt::clear();
        let scope = self.scope.inner();
        let result = self.attempt(scope, console, run);
        let timings = self.runner.timings.clone();
        self.restore(saved);
        self.runner.timings = timings;
        match result {
            Some(Ok(value)) => Some(value),
            Some(Err(d)) => {
                if d.code.0 == "E0506" {
                    console.tell("interrupted");
                } else {
                    self.tell(&d, console);
                }
                interrupt::clear();
                None
            }
            None => {
                console.tell("this is a mistake of the compiler, not yours");
                None
            }
        }
    }

    /// Parses and checks one expression for a command; shows what is wrong.
    pub fn expression(&mut self, text: &str, console: &mut dyn Console) -> Option<ast::Expr> {
        let file = self.add(text);
        let (module, mut found) = syntax::parse(&self.sources, file);
        if found.is_empty() {
            self.need([text], console);
            found = types::check_module(&mut self.env.clone(), &module);
        }
        if !found.is_empty() {
            self.tell_all(&found, console);
            return None;
        }
        match module.items.as_slice() {
            [ast::Item { kind: ItemKind::Expr(e), .. }] => Some(e.clone()),
            _ => {
                console.tell("an expression is needed here");
                None
            }
        }
    }

    /// Parses an expression that a command made of what the user typed.
    pub fn parsed(&mut self, text: &str, console: &mut dyn Console) -> Option<ast::Expr> {
        let file = self.add(text);
        let (module, found) = syntax::parse(&self.sources, file);
        self.tell_all(&found, console);
        self.need([text], console);
        match module.items.into_iter().next() {
            Some(ast::Item { kind: ItemKind::Expr(e), .. }) if found.is_empty() => Some(e),
            _ => None,
        }
    }

    /// Shows a message.
    pub fn tell(&self, diagnostic: &Diagnostic, console: &mut dyn Console) {
        let color = console.color();
        console.tell(render(&self.sources, diagnostic, color).trim_end());
    }

    fn tell_all(&self, diagnostics: &[Diagnostic], console: &mut dyn Console) {
        for d in diagnostics {
            self.tell(d, console);
        }
    }

    /// The text under a definition, in the common form.
    pub fn source_of(&self, name: &str) -> Option<String> {
        self.definitions.get(name).map(|item| pretty::item(item).trim_end().to_string())
    }

    /// What a name is, as `name : type`.
    pub fn signature(&self, name: &str) -> Option<String> {
        self.env.type_of_name(name).map(|ty| format!("{name} : {ty}"))
    }

    /// Forgets everything but the settings.
    pub fn reset(&mut self) {
        self.scope = self.std_scope.inner();
        self.env = self.std_env.clone();
        self.env.suggest(self.std.names());
        self.entries.clear();
        self.definitions.clear();
        self.derived.clear();
        self.derivations = expand::Derived::default();
        self.session.draw_counts.clear();
    }
}

/// Runs one statement of an entry, and shows what came of it.
fn run_item(script: &mut Script, item: &ast::Item, env: &mut Env, shown: bool, color: bool) -> Res<()> {
    let bound = match &item.kind {
        ItemKind::Expr(e) => {
            let value = script.eval(e)?;
            if matches!(value, Value::Unit) {
                return Ok(());
            }
            if shown {
                let ty = types::type_of_expr(env, e);
                script.out.line(&show::result(None, &value, ty.as_deref(), color));
            }
            let name: Symbol = "ans".into();
            types::bind_expr(env, &name, e);
            script.scope.bind(&name, value);
            return Ok(());
        }
        _ => {
            script.item(item)?;
            defined(std::slice::from_ref(item))
        }
    };
    if shown {
        for name in bound {
            let ty = env.type_of_name(&name);
            match script.scope.find_here(&name) {
                Some(value) => script.out.line(&show::result(Some(&name), &value, ty.as_deref(), color)),
                None => {
                    if let Some(ty) = ty {
                        script.out.line(&format!("{name} : {ty}"));
                    }
                }
            }
        }
    }
    Ok(())
}

/// The name of a solver that is derived, and what stands behind `derive`.
fn derived_as(item: &ast::Item) -> Option<(String, String)> {
    match &item.kind {
        ItemKind::SolverAlias { name, value } if matches!(value.kind, ast::ExprKind::Derive { .. }) => {
            let text = pretty::expr(value);
            Some((name.text.to_string(), text.strip_prefix("derive ")?.to_string()))
        }
        _ => None,
    }
}

/// The names that statements give a meaning.
pub fn defined(items: &[ast::Item]) -> Vec<Symbol> {
    let mut names = Vec::new();
    for item in items {
        match &item.kind {
            ItemKind::Arg { binder, .. } => names.push(binder.name.text.clone()),
            ItemKind::Fn(inner) => names.push(inner.name.text.clone()),
            ItemKind::Problem(inner) => names.push(inner.name.text.clone()),
            ItemKind::Method(inner) => names.push(inner.name.text.clone()),
            ItemKind::Solver(inner) => names.push(inner.name.text.clone()),
            ItemKind::Network(inner) => names.push(inner.name.text.clone()),
            ItemKind::SolverAlias { name, .. } | ItemKind::NetworkAlias { name, .. } => names.push(name.text.clone()),
            ItemKind::Let(binding) => match &binding.kind {
                LetKind::Inits(inits) => names.extend(inits.iter().map(|init| init.binder.name.text.clone())),
                LetKind::Tuple(parts, _) => names.extend(parts.iter().map(|name| name.text.clone())),
            },
            ItemKind::Use(_) | ItemKind::Precision(_) | ItemKind::Custom(_) | ItemKind::Test { .. } => {}
            ItemKind::For { .. } | ItemKind::If { .. } | ItemKind::Print(_) | ItemKind::Assert(_) => {}
            ItemKind::Expr(_) | ItemKind::Error => {}
        }
    }
    names
}

/// What is checked for all sizes where it stands, and has no value of its own that was computed.
fn is_definition(item: &ast::Item) -> bool {
    match &item.kind {
        ItemKind::Fn(_) | ItemKind::Problem(_) | ItemKind::Method(_) | ItemKind::Solver(_) => true,
        _ => false,
    }
}

/// A script's output on the console.
struct Printer<'a> {
    sources: &'a SourceMap,
    console: &'a mut dyn Console,
}

impl Output for Printer<'_> {
    fn line(&mut self, text: &str) {
        self.console.print(text);
    }

    fn message(&mut self, message: &Message) {
        match message {
            Message::Warning(d) => {
                let text = render(self.sources, d, self.console.color());
                self.console.tell(text.trim_end());
            }
            Message::Dump(text) => self.console.tell(text.trim_end()),
        }
    }

    fn shows_colours(&self) -> bool {
        self.console.color()
    }

    fn graphics(&self) -> Graphics {
        self.console.graphics()
    }

    fn draws_progress(&self) -> bool {
        self.console.interactive()
    }
}
