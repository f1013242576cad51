//! `dp graph`: a network or a solver of a script as a drawing. The script's definitions are evaluated, its trainings and output
//! are left out.

use super::{Options, Outcome, Text, check, failure, load};
use crate::diagnostic::{Diagnostic, Severity};
use crate::lower::outline;
use crate::lower::value::Scope;
use crate::lower::{Limits, Res, Session};
use crate::run::{Message, Runner};
use crate::script::{Output, Script};
use crate::source::Span;
use crate::syntax::ast::{self, ExprKind, ItemKind, LetKind};
use dp_runtime::io::Sandbox;
use dp_runtime::plot::diagram::Diagram;
use dp_runtime::tensor::DType;
use std::path::Path;
use std::rc::Rc;

struct Silent;

impl Output for Silent {
    fn line(&mut self, _text: &str) {}
    fn message(&mut self, _message: &Message) {}
}

/// The drawing of what a script calls `name`, or `net.part`; `sizes` are for names of dimensions that a call would bind.
pub fn draw(path: &Path, name: &str, sizes: &[(String, i64)], options: &Options) -> Result<Diagram, Outcome> {
    let from = Text::File(path);
    let mut program = load(&from).map_err(|(sources, d)| failure(sources, *d))?;
    check(&mut program);
    if let Some(error) = program.diagnostics.iter().find(|d| d.severity == Severity::Error) {
        let error = error.clone();
        return Err(failure(program.sources, error));
    }
    let sandbox = Sandbox::new(&from.folder(), &options.allow);
    let sandbox = sandbox.map_err(|e| {
        failure(std::mem::take(&mut program.sources), Diagnostic::error("E0805", Span::NONE, e.to_string()))
    })?;
    let mut session = Session::new(options.precision.unwrap_or(DType::F64), options.seed);
    if let Some(bytes) = options.max_bytes {
        session.limits = Limits { bytes, ..session.limits };
    }
    let mut out = Silent;
    let mut script = Script {
        session,
        scope: Scope::default(),
        runner: Runner { engine: options.engine, ..Runner::default() },
        sandbox: Some(&sandbox),
        overwrite: false,
        resume: false,
        checkpoints: String::new(),
        args: Vec::new(),
        given: Vec::new(),
        log: None,
        precision_given: options.precision.is_some(),
        out: &mut out,
        trained: Vec::new(),
        run_tests: false,
        tests: Vec::new(),
    };
    let found = find(&mut script, &program.std, &program.modules, &program.main, name);
    let drawn = found.and_then(|value| outline::diagram(&mut script.session, &program.sources, &value, sizes));
    drawn.map_err(|d| failure(program.sources, *d))
}

/// Evaluates the definitions, and finds the value.
fn find(
    script: &mut Script,
    std: &[ast::Module],
    modules: &[(String, ast::Module)],
    main: &ast::Module,
    name: &str,
) -> Res<crate::lower::value::Value> {
    let std_scope = script.scope.clone();
    for module in std {
        script.run(module)?;
    }
    let mut scopes = std::collections::HashMap::new();
    for (module_name, module) in modules {
        script.scope = std_scope.inner();
        super::import(script, module, &scopes);
        script.run(module)?;
        scopes.insert(module_name.as_str(), script.scope.clone());
    }
    script.scope = std_scope.inner();
    super::import(script, main, &scopes);
    script.declare(&main.items);
    let mut problem = None;
    for item in &main.items {
        if defines(item)
            && let Err(d) = script.item(item)
        {
            // It may need what a training would have given; then what is drawn may not need it.
            problem = problem.or(Some(d));
        }
    }
    let mut parts = name.split('.');
    let mut value = parts.next().and_then(|root| script.scope.find(root));
    for part in parts {
        value = match value {
            Some(crate::lower::value::Value::Net(net)) => {
                net.part(part).map(|part| crate::lower::value::Value::Net(Rc::new(part)))
            }
            Some(_) | None => None,
        };
    }
    match (value, problem) {
        (Some(value), _) => Ok(value),
        (None, Some(problem)) => Err(problem),
        (None, None) => {
            let message = format!("the script defines no `{name}`");
            Err(Box::new(
                Diagnostic::error("E0301", Span::NONE, message).help("name a network, a part of one, or a solver"),
            ))
        }
    }
}

/// Whether an item only gives names to things.
fn defines(item: &ast::Item) -> bool {
    let trains = |e: &ast::Expr| matches!(e.kind, ExprKind::Train(_));
    match &item.kind {
        ItemKind::Let(binding) => match &binding.kind {
            LetKind::Inits(inits) => !inits.iter().any(|init| trains(&init.value)),
            LetKind::Tuple(_, value) => !trains(value),
        },
        ItemKind::Print(_) | ItemKind::Assert(_) | ItemKind::Expr(_) | ItemKind::Test { .. } => false,
        ItemKind::For { .. } | ItemKind::If { .. } | ItemKind::Error => false,
        ItemKind::Fn(_) | ItemKind::Solver(_) | ItemKind::Custom(_) | ItemKind::Use(_) | ItemKind::Precision(_) => true,
        ItemKind::Arg { .. } | ItemKind::Problem(_) | ItemKind::Method(_) | ItemKind::SolverAlias { .. } => true,
        ItemKind::Network(_) | ItemKind::NetworkAlias { .. } => true,
    }
}
