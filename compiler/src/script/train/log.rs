//! The log of trainings as JSON Lines: one object a line, for a start, each record, and an end.

use dp_runtime::tensor::{DType, Tensor};
use serde_json::{Map, Value as Json, json};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// An open log.
pub struct Log {
    file: File,
    begun: Instant,
    /// The first problem of writing, to be told once.
    problem: Option<String>,
}

/// Arrays with more elements are not written.
const MOST_ELEMENTS: usize = 4096;

impl Log {
    /// Opens a log: a new file, or one that is continued.
    ///
    /// # Errors
    /// In words: the file exists and is to be neither continued nor replaced, or cannot be written.
    pub fn open(path: &Path, goes_on: bool, overwrite: bool) -> Result<Log, String> {
        let mut options = OpenOptions::new();
        let options = match (goes_on, overwrite) {
            (true, _) => options.append(true).create(true),
            (false, true) => options.write(true).create(true).truncate(true),
            (false, false) => options.write(true).create_new(true),
        };
        let file = options.open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => {
                "exists already; `--overwrite` replaces it, `--resume` continues it".to_string()
            }
            _ => e.to_string(),
        });
        let file = file.map_err(|problem| format!("the log `{}`: {problem}", path.display()))?;
        Ok(Log { file, begun: Instant::now(), problem: None })
    }

    /// Writes an event of a training with what belongs to it.
    pub fn event(&mut self, event: &str, training: &str, step: usize, fields: Map<String, Json>) {
        let mut line = Map::new();
        line.insert("event".into(), json!(event));
        line.insert("train".into(), json!(training));
        line.insert("step".into(), json!(step));
        let seconds = (self.begun.elapsed().as_secs_f64() * 1e3).round() / 1e3;
        line.insert("seconds".into(), json!(seconds));
        line.extend(fields);
        // Written at once, so that a reader can follow.
        let text = format!("{}\n", Json::Object(line));
        if let Err(e) = self.file.write_all(text.as_bytes())
            && self.problem.is_none()
        {
            self.problem = Some(e.to_string());
        }
    }

    /// What went wrong with writing.
    pub fn problem(&mut self) -> Option<String> {
        self.problem.take()
    }
}

/// A recorded array: a number, or nested lists; nothing if it is large. What is not finite is `null`, as JSON has no name for it.
pub fn json_of(tensor: &Tensor) -> Option<Json> {
    if tensor.len() > MOST_ELEMENTS {
        return None;
    }
    let numbers: Vec<Json> = match tensor {
        Tensor::I64(a) => a.iter().map(|v| json!(v)).collect(),
        Tensor::Bool(a) => a.iter().map(|v| json!(v)).collect(),
        // With the digits of its own precision.
        Tensor::F32(a) => a.iter().map(|v| json!(v.to_string().parse::<f64>().unwrap_or(f64::NAN))).collect(),
        Tensor::F64(a) => a.iter().map(|v| json!(v)).collect(),
        Tensor::Key(_) => return None,
    };
    Some(nested(&mut numbers.into_iter(), tensor.shape()))
}

fn nested(numbers: &mut dyn Iterator<Item = Json>, shape: &[usize]) -> Json {
    match shape.split_first() {
        None => numbers.next().unwrap_or(Json::Null),
        Some((&n, rest)) => Json::Array((0..n).map(|_| nested(numbers, rest)).collect()),
    }
}

/// What a run is: seed, precision, arguments, version.
pub fn settings(seed: u64, real: DType, given: &[(String, String)]) -> Map<String, Json> {
    let arguments: Map<String, Json> = given.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let mut map = Map::new();
    map.insert("version".into(), json!(env!("CARGO_PKG_VERSION")));
    map.insert("seed".into(), json!(seed));
    map.insert("precision".into(), json!(real.name()));
    map.insert("arguments".into(), Json::Object(arguments));
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_nested_lists_and_what_is_not_finite_is_null() {
        let matrix = Tensor::from_vec(&[2, 2], vec![1.5, f64::NAN, f64::INFINITY, -2.0]);
        assert_eq!(json_of(&matrix).expect("small").to_string(), "[[1.5,null],[null,-2.0]]");
        assert_eq!(json_of(&Tensor::scalar(0.1f32)).expect("small").to_string(), "0.1");
        assert_eq!(json_of(&Tensor::scalar(7i64)).expect("small").to_string(), "7");
        assert_eq!(json_of(&Tensor::from_vec(&[5000], vec![0.0; 5000])), None);
    }
}
