//! `dp graph`: the diagram of a name in a file, which is checked and not run.

use super::{Outcome, Text, check_in, failure, load_for};
use crate::derive::expand::Derived;
use crate::diagnostic::Severity;
use crate::diagram::{self, Diagram, Options, World};
use crate::types;
use std::path::Path;
use std::rc::Rc;

/// The diagram of a solver, network or function of a file, or of std.
///
/// # Errors
/// The file has mistakes, or the name cannot be drawn.
pub fn graph_file(path: &Path, name: &str, options: &Options) -> Result<Diagram, Outcome> {
    let mut program = load_for(&Text::File(path), name).map_err(|(sources, d)| failure(sources, *d))?;
    let env = check_in(&mut program, types::Env::new(), &mut Derived::default());
    if !program.diagnostics.iter().any(|d| d.severity == Severity::Error) {
        let used = program.modules.iter().rev().map(|(_, module)| module);
        let modules = std::iter::once(&program.main).chain(used).chain(&program.std).collect();
        match diagram::draw(&World { env: &env, modules }, name, options) {
            Ok(diagram) => return Ok(diagram),
            Err(d) => program.diagnostics.push(*d),
        }
    }
    Err(Outcome {
        sources: Rc::new(program.sources),
        diagnostics: program.diagnostics,
        timings: program.timings,
        tests: Vec::new(),
    })
}
