//! The data and results of measured programs as files, so that others can be given the same work and be compared.

use super::say;
use dp_compiler::measure::{Program, World};
use dp_runtime::io::npy;
use dp_runtime::tensor::Tensor;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Writes, for each program, the arrays that its data binds and the results of its expression to `.npy` files in a folder,
/// and prints a line of JSON: the name of the program, the files of the data by name, and those of the results in order.
///
/// # Errors
/// If a file cannot be written.
pub fn save(programs: &[Program], folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|e| format!("cannot make the folder `{}`: {e}", folder.display()))?;
    for (number, program) in programs.iter().enumerate() {
        let (world, ready) = World::of(program);
        let code = ready.code.executable().expect("it was compiled");
        let results = code.run(&ready.inputs).unwrap_or_else(|fault| panic!("{fault:?}"));
        let write = |name: &str, array: &Tensor| -> Result<String, String> {
            let file = folder.join(format!("{number}-{name}.npy"));
            let bytes = npy::encode(array)?;
            fs::write(&file, bytes).map_err(|e| format!("cannot write `{}`: {e}", file.display()))?;
            Ok(file.display().to_string())
        };
        let data: Result<BTreeMap<String, String>, String> =
            world.arrays().iter().map(|(name, array)| Ok((name.clone(), write(name, array)?))).collect();
        let results: Result<Vec<String>, String> =
            results.iter().enumerate().map(|(i, array)| write(&format!("result-{i}"), array)).collect();
        say(&format!("{}", serde_json::json!({ "work": program.name, "data": data?, "results": results? })));
    }
    Ok(())
}
