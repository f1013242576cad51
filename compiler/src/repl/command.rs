//! The commands of a session: `:type e` and the others.

use super::workspace::Workspace;
use super::{Console, gradient, measure, save, symbols};
use crate::diagram;
use crate::lower::value::Value;
use crate::run::Engine;
use crate::script::pictures;
use crate::types;
use crate::{builtins, manual};
use dp_runtime::plot::inline::{self, Graphics};
use dp_runtime::plot::terminal::Room;
use dp_runtime::tensor::DType;
use std::path::Path;

/// What follows a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    Go,
    Quit,
}

/// One command.
pub struct Row {
    pub name: &'static str,
    pub usage: &'static str,
    pub doc: &'static str,
    run: fn(&mut Workspace, &str, &mut dyn Console) -> bool,
}

/// All commands but `:quit`, which ends the session.
pub const COMMANDS: &[Row] = &[
    Row { name: "help", usage: ":help [command]", doc: "what can be entered", run: help },
    Row { name: "type", usage: ":type e", doc: "the type of an expression, which is not run", run: type_of },
    Row { name: "shape", usage: ":shape e", doc: "kind and shape of a value, found without running it", run: shape },
    Row { name: "doc", usage: ":doc name", doc: "what a name is for", run: doc },
    Row { name: "source", usage: ":source name", doc: "the text that defines a name", run: source },
    Row { name: "names", usage: ":names", doc: "the names of the session and their types", run: names },
    Row {
        name: "grad",
        usage: ":grad f, :grad f(x)",
        doc: "the graph of a gradient, or value and gradient",
        run: grad,
    },
    Row { name: "check", usage: ":check f, :check f(x)", doc: "derivatives against differences", run: check },
    Row {
        name: "derive",
        usage: ":derive P [by M]",
        doc: "the solver of a problem (`as layer` too), as source",
        run: derive,
    },
    Row {
        name: "explain",
        usage: ":explain P [by M]",
        doc: "how a problem's solver follows, or a derived solver's",
        run: explain,
    },
    Row {
        name: "graph",
        usage: ":graph e",
        doc: "a solver, network or function drawn; of other expressions the graph that is compiled",
        run: graph,
    },
    Row { name: "time", usage: ":time e", doc: "the time of one run, by stage", run: time },
    Row { name: "bench", usage: ":bench e", doc: "the time of many runs", run: bench },
    Row { name: "mem", usage: ":mem e", doc: "the memory that a run takes", run: memory },
    Row { name: "plot", usage: ":plot e", doc: "a vector as a curve, a matrix as a picture", run: plot_value },
    Row { name: "load", usage: ":load file.dp", doc: "runs a script in the session", run: load },
    Row { name: "save", usage: ":save file.dp", doc: "writes the session as a script", run: save_session },
    Row { name: "set", usage: ":set [name value]", doc: "settings of the session", run: set },
    Row { name: "reset", usage: ":reset", doc: "forgets all names of the session", run: reset },
    Row { name: "quit", usage: ":quit", doc: "ends the session; so does Ctrl-D", run: quit },
];

/// Runs a line that begins with `:`. Says whether it was good, and what follows.
pub fn run(workspace: &mut Workspace, line: &str, console: &mut dyn Console) -> (bool, Next) {
    let line = line.trim().trim_start_matches(':').trim_start();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    // A beginning that only one command has is enough.
    let exact: Vec<&Row> = COMMANDS.iter().filter(|row| row.name == name).collect();
    let beginning = || COMMANDS.iter().filter(|row| !name.is_empty() && row.name.starts_with(name)).collect();
    let found: Vec<&Row> = if exact.is_empty() { beginning() } else { exact };
    match found.as_slice() {
        [row] if row.name == "quit" => (true, Next::Quit),
        [row] => ((row.run)(workspace, rest, console), Next::Go),
        [] => {
            let names = COMMANDS.iter().map(|row| row.name);
            let hint = match types::similar(name, names) {
                Some(near) => format!("did you mean `:{near}`?"),
                None => "`:help` lists all".to_string(),
            };
            console.tell(&format!("there is no command `:{name}`; {hint}"));
            (false, Next::Go)
        }
        several => {
            let names: Vec<String> = several.iter().map(|row| format!(":{}", row.name)).collect();
            console.tell(&format!("`:{name}` may be {}", names.join(" or ")));
            (false, Next::Go)
        }
    }
}

fn help(_: &mut Workspace, about: &str, console: &mut dyn Console) -> bool {
    let about = about.trim_start_matches(':');
    if let Some(row) = COMMANDS.iter().find(|row| row.name == about) {
        console.print(&format!("{}    {}", row.usage, row.doc));
        return true;
    }
    if about == "letters" {
        let names = symbols::SYMBOLS.iter().map(|(name, letter)| format!("\\{name} {letter}"));
        console.print(&names.collect::<Vec<_>>().join("  "));
        return true;
    }
    if !about.is_empty() {
        console.tell(&format!("there is no command `:{about}`; `:doc {about}` tells of names"));
        return false;
    }
    console.print("Enter expressions, definitions and statements of dp; `;` at the end shows nothing.");
    console.print("An entry goes on while a bracket is open or the line is not complete; an empty line ends it.");
    console.print("`ans` is the last value, `?` stands for what is still to be written, `\\lambda` and Tab gives λ (`:help letters`).\n");
    for row in COMMANDS {
        console.print(&format!("  {:<22} {}", row.usage, row.doc));
    }
    true
}

fn quit(_: &mut Workspace, _: &str, _: &mut dyn Console) -> bool {
    true
}

fn type_of(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    let Some(e) = workspace.expression(text, console) else { return false };
    match types::type_of_expr(&workspace.env, &e) {
        Some(ty) => console.print(&ty),
        None => console.print("known when it is run only; `:shape` may tell more"),
    }
    true
}

fn shape(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    let Some(e) = workspace.expression(text, console) else { return false };
    measure::shape(workspace, &e, console);
    true
}

/// A solver, network or function is drawn; of any other expression the Graph is shown that is compiled.
fn graph(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    if text.starts_with(char::is_alphabetic) && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.') {
        workspace.need([text], console);
        if let Ok(found) = workspace.diagram(text) {
            let drawn = match console.graphics() {
                Graphics::None => Ok(diagram::text(&found)),
                graphics => inline::shown(&diagram::svg(&found), console.width().min(120), graphics),
            };
            console.print(drawn.unwrap_or_else(|problem| problem).trim_end_matches('\n'));
            return true;
        }
    }
    let Some(e) = workspace.expression(text, console) else { return false };
    measure::graph(workspace, &e, console);
    true
}

fn time(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    let Some(e) = workspace.expression(text, console) else { return false };
    measure::time(workspace, &e, console);
    true
}

fn bench(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    let Some(e) = workspace.expression(text, console) else { return false };
    measure::bench(workspace, &e, console);
    true
}

fn memory(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    let Some(e) = workspace.expression(text, console) else { return false };
    measure::memory(workspace, &e, console);
    true
}

fn derive(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    let Some((text, _)) = workspace.derivation(text, false, console) else { return false };
    console.print(&if console.color() { super::highlight::colored(&text) } else { text });
    true
}

fn explain(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    let Some((text, story)) = workspace.derivation(text, true, console) else { return false };
    let text = if console.color() { super::highlight::colored(&text) } else { text };
    console.print(&format!("{story}\n{text}"));
    true
}

fn grad(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    gradient::gradient(workspace, text, console)
}

fn check(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    gradient::check(workspace, text, console)
}

/// The documentation of a name: of the session, of std, built in, or a word of the language.
fn doc(workspace: &mut Workspace, name: &str, console: &mut dyn Console) -> bool {
    match describe(workspace, name, console) {
        Some(text) => {
            console.print(&text);
            true
        }
        None => {
            console.tell(&unknown(workspace, name));
            false
        }
    }
}

/// Signature and documentation of a name.
pub fn describe(workspace: &mut Workspace, name: &str, console: &mut dyn Console) -> Option<String> {
    if let Some(item) = workspace.definitions.get(name) {
        let doc = item.doc.join("\n");
        let head = workspace.signature(name).unwrap_or_else(|| name.to_string());
        return Some(if doc.is_empty() { head } else { format!("{head}\n\n{doc}") });
    }
    if let Some(text) = workspace.std_text(name) {
        workspace.need([name], console);
        let doc: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with('#') || line.is_empty())
            .filter_map(|line| line.strip_prefix("##"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect();
        let head = workspace.signature(name).unwrap_or_else(|| name.to_string());
        return Some(format!("{head}\n\n{}", doc.join("\n")));
    }
    if let Some(text) = manual::function(name) {
        return Some(text);
    }
    if let Some(text) = manual::word(name) {
        return Some(text.to_string());
    }
    workspace.signature(name)
}

fn unknown(workspace: &Workspace, name: &str) -> String {
    if name.is_empty() {
        return "a name is needed, as in `:doc soft`".to_string();
    }
    let known = workspace.scope.names_here();
    let mut names: Vec<String> = known.iter().map(|name| name.to_string()).collect();
    names.extend(workspace.std_names().map(str::to_string));
    names.extend(builtins::ROWS.iter().map(|row| row.name.to_string()));
    match types::similar(name, names.iter().map(String::as_str)) {
        Some(near) => format!("`{name}` is not defined; did you mean `{near}`?"),
        None => format!("`{name}` is not defined"),
    }
}

fn source(workspace: &mut Workspace, name: &str, console: &mut dyn Console) -> bool {
    let text = workspace.source_of(name).or_else(|| workspace.std_text(name).map(|text| text.trim().to_string()));
    match text {
        Some(text) => {
            let text = if console.color() { super::highlight::colored(&text) } else { text };
            console.print(&text);
            true
        }
        None if manual::function(name).is_some() => {
            console.print(&format!("`{name}` is built in; `:doc {name}` tells what it does"));
            true
        }
        None => {
            console.tell(&unknown(workspace, name));
            false
        }
    }
}

fn names(workspace: &mut Workspace, _: &str, console: &mut dyn Console) -> bool {
    for name in workspace.scope.names_here() {
        let value = workspace.scope.find_here(&name);
        let ty = value.as_ref().and_then(super::show::type_of).or_else(|| workspace.env.type_of_name(&name));
        console.print(&format!("{name} : {}", ty.unwrap_or_else(|| "?".to_string())));
    }
    true
}

fn plot_value(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    let Some(e) = workspace.expression(text, console) else { return false };
    let Some(value) = workspace.with_script(console, |script| script.eval(&e)) else { return false };
    let room = Room { columns: console.width().clamp(30, 100), rows: 12, colour: console.color() };
    match pictures::of_value(&value).and_then(|picture| picture.shown(room, console.graphics())) {
        Ok(picture) => {
            console.print(picture.trim_end_matches('\n'));
            true
        }
        Err(problem) => {
            console.tell(&problem);
            false
        }
    }
}

fn load(workspace: &mut Workspace, file: &str, console: &mut dyn Console) -> bool {
    let file = file.trim_matches('"');
    if file.is_empty() {
        console.tell("a file is needed, as in `:load lista.dp`");
        return false;
    }
    let path = Path::new(file);
    match crate::driver::read_source(&mut workspace.sources, path) {
        Ok(id) => workspace.enter_file(id, path.parent().unwrap_or(Path::new("")), console),
        Err(d) => {
            workspace.tell(&d, console);
            false
        }
    }
}

fn save_session(workspace: &mut Workspace, file: &str, console: &mut dyn Console) -> bool {
    let file = file.trim_matches('"');
    if file.is_empty() {
        console.tell("a file is needed, as in `:save session.dp`");
        return false;
    }
    let path = Path::new(file);
    if path.exists() && !workspace.overwrite {
        console.tell(&format!("`{file}` exists; `:set overwrite true` allows to replace it"));
        return false;
    }
    let text = save::script(workspace);
    let mut sources = crate::source::SourceMap::default();
    let text = match crate::syntax::parse_text(&mut sources, file, &text) {
        (module, mistakes) if mistakes.is_empty() => crate::syntax::pretty::module(&module),
        _ => text,
    };
    match crate::files::replace(path, &text) {
        Ok(()) => {
            console.print(&format!("{} lines in `{file}`", text.lines().count()));
            true
        }
        Err(problem) => {
            console.tell(&format!("`{file}` cannot be written: {problem}"));
            false
        }
    }
}

/// The settings: names, and what they are about.
pub const SETTINGS: &[(&str, &str)] = &[
    ("precision", "f64 or f32; the values of the session are converted"),
    ("seed", "what random numbers come from"),
    ("engine", "auto, native, or reference: the slower evaluator, with the same numbers"),
    ("check_nan", "true: the first number that is not finite is an error"),
    ("overwrite", "true: `save` and `:save` may replace files"),
    ("time", "true: the times of each entry are shown"),
];

fn set(workspace: &mut Workspace, text: &str, console: &mut dyn Console) -> bool {
    let (name, value) = text.split_once(char::is_whitespace).map_or((text, ""), |(name, value)| (name, value.trim()));
    if name.is_empty() {
        for (name, doc) in SETTINGS {
            console.print(&format!("  {name:<10} {:<10} {doc}", setting(workspace, name)));
        }
        return true;
    }
    let flag = match value {
        "true" | "on" | "yes" => Some(true),
        "false" | "off" | "no" => Some(false),
        _ => None,
    };
    match (name, value, flag) {
        (name, "", _) if SETTINGS.iter().any(|(known, _)| *known == name) => {
            console.print(&setting(workspace, name));
            return true;
        }
        ("precision", "f32", _) => convert(workspace, DType::F32),
        ("precision", "f64", _) => convert(workspace, DType::F64),
        ("seed", value, _) if value.parse::<u64>().is_ok() => {
            workspace.session.seed = value.parse().unwrap_or(workspace.session.seed);
            workspace.session.draw_counts.clear();
        }
        ("engine", "auto", _) => workspace.runner.engine = Engine::Auto,
        ("engine", "native", _) => workspace.runner.engine = Engine::Native,
        ("engine", "reference", _) => workspace.runner.engine = Engine::Reference,
        ("check_nan", _, Some(flag)) => workspace.runner.check_nan = flag,
        ("overwrite", _, Some(flag)) => workspace.overwrite = flag,
        ("time", _, Some(flag)) => workspace.time = flag,
        (name, value, _) => {
            let problem = match SETTINGS.iter().find(|(known, _)| *known == name) {
                Some((_, doc)) => format!("`{name}` cannot be `{value}`; it is {doc}"),
                None => {
                    let hint = types::similar(name, SETTINGS.iter().map(|(known, _)| *known));
                    let hint = hint.map_or("`:set` lists all".to_string(), |near| format!("did you mean `{near}`?"));
                    format!("there is no setting `{name}`; {hint}")
                }
            };
            console.tell(&problem);
            return false;
        }
    }
    true
}

fn setting(workspace: &Workspace, name: &str) -> String {
    match name {
        "precision" => workspace.session.real.name().to_string(),
        "seed" => workspace.session.seed.to_string(),
        "engine" => match workspace.runner.engine {
            Engine::Auto => "auto".to_string(),
            Engine::Native => "native".to_string(),
            Engine::Reference => "reference".to_string(),
        },
        "check_nan" => workspace.runner.check_nan.to_string(),
        "overwrite" => workspace.overwrite.to_string(),
        _ => workspace.time.to_string(),
    }
}

/// Changes the precision of the session, and of all its values.
fn convert(workspace: &mut Workspace, real: DType) {
    workspace.session.real = real;
    for name in workspace.scope.names_here() {
        let Some(value) = workspace.scope.find_here(&name) else { continue };
        if let Value::Net(net) = &value {
            let converted = converted(&net.params.borrow(), real);
            *net.params.borrow_mut() = converted;
            continue;
        }
        workspace.scope.bind(&name, converted(&value, real));
    }
}

fn converted(value: &Value, real: DType) -> Value {
    match value {
        Value::Tensor(t) if t.dtype().is_float() => Value::Tensor(t.convert(real)),
        Value::Tuple(items) => Value::Tuple(items.iter().map(|item| converted(item, real)).collect()),
        Value::List(items) => Value::List(items.iter().map(|item| converted(item, real)).collect()),
        Value::Record(fields) => {
            Value::Record(fields.iter().map(|(name, value)| (name.clone(), converted(value, real))).collect())
        }
        other => other.clone(),
    }
}

fn reset(workspace: &mut Workspace, _: &str, _: &mut dyn Console) -> bool {
    workspace.reset();
    true
}
