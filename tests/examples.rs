//! Runs every example in its quick form, in a folder of its own.

use crate::harness::{Folder, files_below, root, run, with};
use dp_compiler::driver::{self, Options};
use dp_compiler::run::Engine;

#[test]
fn examples_run_quickly() {
    let folder = Folder::new("examples");
    for file in files_below(&root().join("examples"), "dp") {
        let name = file.file_name().expect("a file has a name").to_string_lossy().to_string();
        let copy = folder.file(&name, std::fs::read(&file).expect("the example can be read"));
        let known = match driver::script_args(&copy) {
            Ok(known) => known,
            Err(outcome) => panic!("{name}: {:?}", outcome.diagnostics),
        };
        // What takes long has an argument for a quick form.
        let quick = known.iter().filter(|arg| arg.name == "quick").map(|arg| (arg.name.clone(), "true".to_string()));
        let options = Options { args: quick.collect(), ..with(Engine::Native) };
        let start = std::time::Instant::now();
        let ran = run(&copy, &options);
        assert!(!ran.failed(), "{name}:\n{}\n{}", ran.lines.join("\n"), ran.messages());
        let seconds = start.elapsed().as_secs_f64();
        assert!(seconds < 60.0, "{name} --quick took {seconds:.1} s");
    }
}
