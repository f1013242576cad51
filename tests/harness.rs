//! Runs a script inside this process and keeps what it said.

use dp_compiler::diagnostic::{Diagnostic, Severity};
use dp_compiler::driver::{self, Options, Outcome, Sink};
use dp_compiler::lower::value::Value;
use dp_compiler::run::{Engine, Message};
use dp_compiler::script::Output;
use dp_compiler::source::SourceMap;
use dp_runtime::for_any_tensor;
use dp_runtime::tensor::{DType, Tensor};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The stack of a thread that compiles: as much as the main thread of `dp` has.
const STACK: usize = 256 << 20;

/// One message, with its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Told {
    pub error: bool,
    pub code: String,
    /// Message, labels, notes and help.
    pub text: String,
    /// The message alone.
    pub message: String,
    /// The file's name and the line, from 1, of the first label.
    pub place: Option<(String, usize)>,
    /// As a person sees it.
    pub rendered: String,
}

/// What a run said.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ran {
    /// Lines of the script's own output.
    pub lines: Vec<String>,
    /// Every number that was printed, bit for bit.
    pub bits: Vec<String>,
    pub told: Vec<Told>,
    /// Names of tests that ran, with their failures.
    pub tests: Vec<(String, Option<String>)>,
}

impl Ran {
    pub fn failed(&self) -> bool {
        self.told.iter().any(|told| told.error)
    }

    /// Its messages as a person sees them.
    pub fn messages(&self) -> String {
        self.told.iter().map(|told| told.rendered.as_str()).collect()
    }
}

/// Collects output.
#[derive(Default)]
struct Capture {
    ran: Ran,
    sources: Rc<SourceMap>,
}

impl Output for Capture {
    fn line(&mut self, text: &str) {
        self.ran.lines.extend(text.split('\n').map(str::to_string));
    }

    fn values(&mut self, values: &[Value]) {
        self.ran.bits.extend(values.iter().map(bits));
    }

    fn message(&mut self, message: &Message) {
        match message {
            Message::Warning(diagnostic) => self.ran.told.push(told(&self.sources, diagnostic)),
            Message::Dump(_) => {}
        }
    }
}

impl Sink for Capture {
    fn sources(&mut self, sources: Rc<SourceMap>) {
        self.sources = sources;
    }
}

fn told(sources: &SourceMap, diagnostic: &Diagnostic) -> Told {
    let mut text = diagnostic.message.clone();
    let labels = diagnostic.labels.iter().map(|label| &label.text);
    for part in labels.chain(&diagnostic.notes).chain(&diagnostic.help) {
        text += "\n";
        text += part;
    }
    let span = diagnostic.span();
    let place = (!span.is_none()).then(|| (sources.file(span.file).name.clone(), sources.line_column(span).0));
    Told {
        error: diagnostic.severity == Severity::Error,
        code: diagnostic.code.0.to_string(),
        message: diagnostic.message.clone(),
        text,
        place,
        rendered: dp_compiler::diagnostic::render::render(sources, diagnostic, false),
    }
}

/// Every bit of a value: element kinds, shapes, and numbers in hexadecimal. All NaNs count as one.
fn bits(value: &Value) -> String {
    match value {
        Value::Tensor(tensor) => {
            let numbers: Vec<String> = match tensor {
                Tensor::F32(a) => {
                    a.iter().map(|v| if v.is_nan() { "nan".into() } else { format!("{:x}", v.to_bits()) }).collect()
                }
                Tensor::F64(a) => {
                    a.iter().map(|v| if v.is_nan() { "nan".into() } else { format!("{:x}", v.to_bits()) }).collect()
                }
                Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => {
                    for_any_tensor!(tensor, a => a.iter().map(|v| format!("{v:?}")).collect())
                }
            };
            format!("{}{:?}[{}]", tensor.dtype().name(), tensor.shape(), numbers.join(" "))
        }
        Value::Tuple(items) | Value::List(items) => items.iter().map(bits).collect::<Vec<_>>().join(", "),
        Value::Record(fields) => {
            fields.iter().map(|(name, v)| format!("{name}: {}", bits(v))).collect::<Vec<_>>().join(", ")
        }
        other => dp_compiler::script::show(other),
    }
}

/// Options of a run with an engine.
pub fn with(engine: Engine) -> Options {
    Options { engine, ..Options::default() }
}

/// Options of a run in 32 bits.
pub fn in_f32(engine: Engine) -> Options {
    Options { precision: Some(DType::F32), ..with(engine) }
}

/// Runs a file on a thread of its own.
pub fn run(path: &Path, options: &Options) -> Ran {
    collect(path, options, |path, options, capture| driver::run_file(path, options, capture))
}

/// Checks a file without running it.
pub fn check(path: &Path) -> Ran {
    collect(path, &Options::default(), |path, _, _| driver::check_file(path))
}

fn collect(path: &Path, options: &Options, run: fn(&Path, &Options, &mut Capture) -> Outcome) -> Ran {
    let (path, options) = (path.to_path_buf(), options.clone());
    let work = move || {
        let mut capture = Capture::default();
        let outcome = run(&path, &options, &mut capture);
        let mut ran = capture.ran;
        ran.told.extend(outcome.diagnostics.iter().map(|d| told(&outcome.sources, d)));
        ran.tests = outcome
            .tests
            .iter()
            .map(|test| (test.name.clone(), test.failure.as_ref().map(|d| told(&outcome.sources, d).rendered)))
            .collect();
        ran
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread starts");
    match thread.join() {
        Ok(ran) => ran,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Runs a program that is not in a file of the repository, in a folder of its own.
pub fn run_text(name: &str, text: &str, options: &Options) -> Ran {
    let folder = Folder::new(name);
    run(&folder.file("program.dp", text), options)
}

/// A folder that is removed when it is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dp-test-{}-{number}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        Folder(path)
    }

    /// Writes a file and gives its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("the folder for temporary files can be written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The repository's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the compiler is in a folder of the repository").to_path_buf()
}

/// The files with an ending below a folder, sorted.
pub fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(files_below(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Does something with each item, on as many threads as the machine has, and gives the complaints.
pub fn complaints_of<T: Sync>(items: &[T], check: impl Fn(&T) -> Result<(), String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(items.len().max(1));
    let mut found: Vec<(usize, String)> = std::thread::scope(|scope| {
        let work = || {
            let mut found = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(i) else { return found };
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(item)));
                match result {
                    Ok(Ok(())) => {}
                    Ok(Err(complaint)) => found.push((i, complaint)),
                    Err(panic) => found.push((i, format!("item {i}: panicked: {}", panic_text(&*panic)))),
                }
            }
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|t| t.join().expect("panics are caught")).collect()
    });
    found.sort();
    found.into_iter().map(|(_, complaint)| complaint).collect()
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (None, Some(text)) => (*text).to_string(),
        (None, None) => "no message".to_string(),
    }
}

/// Fails with all complaints.
pub fn expect_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} failures\n\n{}", complaints.len(), complaints.join("\n\n"));
}
