//! The command line: what the user asks for, given to `driver`, and what comes of it, shown. No logic of its own.
//!
//! Exit status: 0 if all went well, 1 after errors, 2 after wrong use, 130 after Ctrl-C.

mod arguments;
mod bench;
mod graph;
mod session;
mod testing;
mod terminal;

use arguments::{Arguments, Settings};
use clap::{CommandFactory, Parser, Subcommand};
use dp_compiler::diagnostic::{codes, pages};
use dp_compiler::driver::{self, DeriveOptions, Options};
use dp_compiler::literate::Recorder;
use dp_compiler::run::Timings;
use dp_compiler::source::SourceMap;
use dp_compiler::syntax;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  dp repl                                     a session at the prompt: the place to begin
  dp -e 'sum([1, 2, 3]^2)'                    the value of an expression
  dp run examples/lista.dp                    run a script
  dp run examples/lista.dp --epochs 5         with a value for its `arg epochs`
  dp run examples/lista.dp --help             the arguments that it has
  dp run --precision f32 --seed 7 lista.dp    in single precision, with other random numbers
  dp derive lista.dp lasso --explain          the solver of an objective, and how it follows
  dp derive lista.dp lasso --latex            the same for a paper
  dp graph lista.dp lista -o lista.svg        a picture of a network
  dp check *.dp                               look for mistakes without running anything
  dp check --data lista.dp                    how far its truncated solvers go on its data
  dp test std examples                        run the tests in these folders
  dp fmt lista.dp                             write a file in the common form
  dp bench lista products                     measure groups of work
  dp explain E0301                            what a message means";

const RUN: &str = "\
Options that are not dp's own are values for the script's `arg` items: `--epochs 5` for `arg epochs: int`.
All that follows `--` is for the script, also what is spelled like an option of dp.
`dp run FILE --help` lists the arguments of the script.

Ctrl-C ends a training after its step and keeps a checkpoint; the same command with --resume goes on.";

const CHECK: &str = "\
With --data, what follows the file is as after `dp run FILE`: values for the script's `arg` items, and options of dp. The script
prints nothing and writes no file, its assertions are passed over, and each training takes one step. For each
`unroll .. for K` of a derived solver that it calls with data, the first call is looked at: a warning tells how much of the way to
the least value of the objective the K passes go, if that is less than 99 percent.";

/// Objectives become solvers, solvers become networks: a compiler for differentiable programs.
#[derive(Parser)]
#[command(name = "dp", version, after_help = EXAMPLES, max_term_width = 100, arg_required_else_help = true)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    /// Run a text, and print the value of the expression that it ends with.
    #[arg(short = 'e', long = "eval", value_name = "TEXT")]
    eval: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum Command {
    /// Run a script.
    #[command(after_help = RUN)]
    Run {
        /// Hold what is printed against the lines `#= ...` behind the statements, and fail if they differ.
        #[arg(long, conflicts_with = "update")]
        check: bool,
        /// Write what is printed into the script, as lines `#= ...` behind the statements.
        #[arg(long)]
        update: bool,
        /// The script.
        file: PathBuf,
        /// Values for the script's `arg` items, and options of dp.
        #[arg(value_name = "--NAME VALUE")]
        arguments: Vec<String>,
    },
    /// Enter expressions, definitions and statements at a prompt; `:help` tells more.
    #[command(after_help = "Without a terminal the entries are read from the input, and plain text is written.")]
    Repl {
        /// A script that is run first.
        file: Option<PathBuf>,
    },
    /// Look for mistakes in files without running them.
    #[command(after_help = CHECK)]
    Check {
        /// Run the script too, for how far its truncated derived solvers go on its data (E0358).
        #[arg(long)]
        data: bool,
        /// Scripts and modules.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Run the `test` items of files, or of all `.dp` files in folders.
    Test {
        /// Only tests whose names have this text in them.
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Run scripts that have an argument `quick` in full, every script with two seeds, and end with a table of them.
        #[arg(long)]
        full: bool,
        /// Files, or folders with `.dp` files.
        #[arg(default_value = ".")]
        paths: Vec<PathBuf>,
    },
    /// Write files in the common form.
    Fmt {
        /// Change nothing; name the files that are not in the common form, and fail if there are any.
        #[arg(long)]
        check: bool,
        /// Files, or folders with `.dp` files.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Measure groups of work: best and median times of many samples.
    Bench {
        /// Groups, such as lista or products; all, if none is named.
        groups: Vec<String>,
        /// Threads for large kernels.
        #[arg(long, default_value_t = 1)]
        threads: usize,
        /// Seconds for each line.
        #[arg(long, default_value_t = 1.0)]
        seconds: f64,
        /// One JSON object a line, times in seconds, for other programs to read.
        #[arg(long)]
        json: bool,
        /// Measure nothing; write the data and results of each line to files in this folder, named in lines of JSON.
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
    },
    /// Derive a solver from an objective, and write it as source.
    Derive {
        /// The file that has the problem.
        file: PathBuf,
        /// The problem.
        problem: String,
        /// The method; without one the first that fits is taken.
        #[arg(long, value_name = "METHOD")]
        by: Option<String>,
        /// The form: `layer` multiplies products out and names them `W` and `S`.
        #[arg(long = "as", value_name = "FORM", value_parser = ["layer"])]
        form: Option<String>,
        /// Say what each term is, how the solver follows, and what it does on random data.
        #[arg(long)]
        explain: bool,
        /// Write the problem and its solver as LaTeX.
        #[arg(long, conflicts_with = "explain")]
        latex: bool,
    },
    /// Draw a solver, a network or a function: boxes with shapes, arrows, what is learned. Nothing is run.
    #[command(after_help = graph::EXAMPLES)]
    Graph(graph::Graph),
    /// Explain the code of a message, such as E0301; without a code, list all.
    Explain {
        /// The code, as it stands in brackets before the message.
        code: Option<String>,
    },
    /// Serve an editor by the language server protocol, over the standard streams.
    Lsp,
    /// Write the completions of dp's commands for a shell: `dp completions bash >> ~/.bashrc`.
    Completions {
        /// The shell that reads them.
        shell: clap_complete::Shell,
    },
}

/// What a command came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Good,
    Failed,
    WrongUse,
    Interrupted,
}

/// The passes recur over trees as deep as the text nests: deeper than the stack of the first thread allows in a build
/// without optimization. The pages that are not used cost nothing.
const STACK: usize = 512 << 20;

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    match std::thread::Builder::new().stack_size(STACK).spawn(command) {
        // A panic has been reported by the thread.
        Ok(thread) => thread.join().unwrap_or(ExitCode::from(101)),
        Err(_) => command(),
    }
}

fn command() -> ExitCode {
    // What stands after the file of `run` is not for clap: most of it belongs to the script.
    let words: Vec<OsString> = std::env::args_os().collect();
    let after_file = arguments::after_file(&words);
    let arguments: Vec<String> = words[after_file..].iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let cli = match Cli::try_parse_from(&words[..after_file]) {
        Ok(cli) => cli,
        // Help and version are no mistakes; clap knows the stream for each.
        Err(e) => {
            let end = if e.use_stderr() { End::WrongUse } else { End::Good };
            // Nothing can be done about a closed stream.
            let _ = e.print();
            return end.into();
        }
    };
    let mut terminal = Terminal::new();
    let end = match (cli.command, cli.eval) {
        (Some(Command::Run { file, check, update, .. }), _) => {
            let expected = match (check, update) {
                (true, _) => Expected::Checked,
                (_, true) => Expected::Updated,
                (false, false) => Expected::Ignored,
            };
            run(&file, &arguments, expected, cli.settings, &mut terminal)
        }
        (Some(Command::Repl { file }), _) => session::run(file.as_deref(), &cli.settings, &mut terminal),
        (Some(Command::Check { data: false, files }), _) => check(&files, &mut terminal),
        (Some(Command::Check { data: true, files }), _) => match &files[..] {
            [file] => check_data(file, &arguments, cli.settings, &mut terminal),
            _ => {
                terminal.error("`dp check --data` takes one script");
                End::WrongUse
            }
        },
        (Some(Command::Test { name, full, paths }), _) => {
            testing::run(full, &paths, name.as_deref(), &cli.settings, &mut terminal)
        }
        (Some(Command::Lsp), _) => match dp_compiler::lsp::run() {
            Ok(()) => End::Good,
            Err(problem) => {
                terminal.error(&problem);
                End::Failed
            }
        },
        (Some(Command::Fmt { check, paths }), _) => format(check, &paths, &mut terminal),
        (Some(Command::Derive { file, problem, by, form, explain, latex }), _) => {
            let (layer, color) = (form.is_some(), terminal.colors_output());
            let options = DeriveOptions { problem, method: by, layer, explain, latex, color };
            derive(&file, &options, &mut terminal)
        }
        (Some(Command::Graph(graph)), _) => graph::graph(&graph, &mut terminal),
        (Some(Command::Bench { groups, threads, seconds, json, save }), _) => {
            match bench::bench(&groups, threads, seconds, json, save.as_deref()) {
                Ok(()) => End::Good,
                Err(message) => {
                    terminal.error(&message);
                    End::WrongUse
                }
            }
        }
        (Some(Command::Explain { code }), _) => explain(code.as_deref(), &mut terminal),
        (Some(Command::Completions { shell }), _) => completions(shell, &mut terminal),
        (None, Some(text)) => eval(&text, &cli.settings, &mut terminal),
        // Options alone.
        (None, None) => {
            terminal.error("nothing is to be done; `dp --help` lists the commands");
            End::WrongUse
        }
    };
    end.into()
}

impl From<End> for ExitCode {
    fn from(end: End) -> ExitCode {
        match end {
            End::Good => ExitCode::SUCCESS,
            End::Failed => ExitCode::from(1),
            End::WrongUse => ExitCode::from(2),
            End::Interrupted => ExitCode::from(dp_runtime::interrupt::EXIT_STATUS as u8),
        }
    }
}

/// What becomes of the output that a script holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    Ignored,
    Checked,
    Updated,
}

/// What stands after a script's name, as options of its run; what it ends with if there is nothing to run.
fn script_options(
    file: &Path,
    arguments: &[String],
    settings: &mut Settings,
    terminal: &mut Terminal,
) -> Result<Options, End> {
    let Arguments { help, values } = match arguments::split(arguments, settings) {
        Ok(arguments) => arguments,
        Err(problem) => {
            terminal.error(&problem);
            return Err(End::WrongUse);
        }
    };
    if help || !values.is_empty() {
        let known = match driver::script_args(file) {
            Ok(known) => known,
            Err(outcome) => return Err(finish(&outcome, terminal)),
        };
        if help {
            terminal.print(&arguments::help(file, &known));
            return Err(End::Good);
        }
        // Before the script does anything, not after.
        if let Some(problem) = arguments::unknown(&values, &known) {
            terminal.error(&problem);
            return Err(End::WrongUse);
        }
    }
    Ok(Options { args: values, ..settings.options() })
}

fn run(file: &Path, arguments: &[String], expected: Expected, mut settings: Settings, terminal: &mut Terminal) -> End {
    let options = match script_options(file, arguments, &mut settings, terminal) {
        Ok(options) => options,
        Err(end) => return end,
    };
    dp_runtime::interrupt::install();
    if expected != Expected::Ignored {
        return run_literate(file, &options, expected, terminal);
    }
    let outcome = driver::run_file(file, &options, terminal);
    if settings.time {
        terminal.remark(&timings(&outcome.timings));
    }
    finish(&outcome, terminal)
}

/// Holds what a script prints against what it holds, or writes it down.
fn run_literate(file: &Path, options: &Options, expected: Expected, terminal: &mut Terminal) -> End {
    let mut recorder = Recorder::new(terminal);
    let outcome = driver::run_file(file, options, &mut recorder);
    let comparison = match std::fs::read_to_string(file) {
        Ok(text) if !outcome.failed() => recorder.compare(&text, file),
        Ok(_) | Err(_) => return finish(&outcome, terminal),
    };
    if expected == Expected::Updated {
        let changed = comparison.differences.len();
        return match dp_compiler::files::replace(file, &comparison.updated) {
            Ok(()) => {
                terminal.remark(&format!("{}: {changed} expectations changed", file.display()));
                finish(&outcome, terminal)
            }
            Err(problem) => {
                terminal.error(&format!("`{}`: {problem}", file.display()));
                End::Failed
            }
        };
    }
    for difference in &comparison.differences {
        terminal.print(&format!("{}:{}: the output differs\n", file.display(), difference.line));
        for line in &difference.expected {
            terminal.print(&format!("  - {line}\n"));
        }
        for line in &difference.found {
            terminal.print(&format!("  + {line}\n"));
        }
    }
    let (agreed, differ) = (comparison.agreed, comparison.differences.len());
    terminal.print(&format!("{}: {agreed} lines as expected, {differ} statements differ\n", file.display()));
    match finish(&outcome, terminal) {
        End::Good if differ > 0 => End::Failed,
        end => end,
    }
}

/// `dp -e TEXT`
fn eval(text: &str, settings: &Settings, terminal: &mut Terminal) -> End {
    dp_runtime::interrupt::install();
    let outcome = driver::run_text("expression", text, &settings.options(), terminal);
    if settings.time {
        terminal.remark(&timings(&outcome.timings));
    }
    finish(&outcome, terminal)
}

fn completions(shell: clap_complete::Shell, terminal: &mut Terminal) -> End {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dp", &mut text);
    terminal.print(&String::from_utf8_lossy(&text));
    End::Good
}

/// Shows what was not shown while running.
fn finish(outcome: &driver::Outcome, terminal: &mut Terminal) -> End {
    for diagnostic in &outcome.diagnostics {
        terminal.diagnostic(&outcome.sources, diagnostic);
    }
    if dp_runtime::interrupt::requested() {
        End::Interrupted
    } else if outcome.failed() {
        End::Failed
    } else {
        End::Good
    }
}

fn check(files: &[PathBuf], terminal: &mut Terminal) -> End {
    let mut failed = 0;
    for file in files {
        let outcome = driver::check_file(file);
        if finish(&outcome, terminal) != End::Good {
            failed += 1;
        }
    }
    if failed == 0 {
        return End::Good;
    }
    if files.len() > 1 {
        terminal.remark(&format!("{failed} of {} files have errors", files.len()));
    }
    End::Failed
}

/// `dp check --data FILE`
fn check_data(file: &Path, arguments: &[String], mut settings: Settings, terminal: &mut Terminal) -> End {
    let options = match script_options(file, arguments, &mut settings, terminal) {
        Ok(options) => options,
        Err(end) => return end,
    };
    dp_runtime::interrupt::install();
    let options = Options { look_at_data: true, resume: false, log: None, ..options };
    finish(&driver::run_file(file, &options, &mut terminal.quiet()), terminal)
}

fn format(check: bool, paths: &[PathBuf], terminal: &mut Terminal) -> End {
    let Some(files) = collect_all(paths, terminal) else {
        return End::WrongUse;
    };
    let mut end = End::Good;
    for file in files {
        match format_file(check, &file, terminal) {
            Ok(true) => {}
            Ok(false) => end = End::Failed,
            Err(problem) => {
                terminal.error(&format!("`{}`: {problem}", file.display()));
                end = End::Failed;
            }
        }
    }
    end
}

/// Says whether the file is, or now is, in the common form. A file with mistakes is left alone.
fn format_file(check: bool, file: &Path, terminal: &mut Terminal) -> std::io::Result<bool> {
    let text = std::fs::read_to_string(file)?;
    let mut sources = SourceMap::default();
    let (module, diagnostics) = syntax::parse_text(&mut sources, &file.display().to_string(), &text);
    for diagnostic in &diagnostics {
        terminal.diagnostic(&sources, diagnostic);
    }
    if !diagnostics.is_empty() {
        return Ok(false);
    }
    let formatted = syntax::pretty::module(&module);
    if formatted == text {
        return Ok(true);
    }
    if check {
        terminal.print(&format!("{}\n", file.display()));
        return Ok(false);
    }
    dp_compiler::files::replace(file, &formatted)?;
    Ok(true)
}

/// The files that paths stand for; a path that cannot be read is reported.
fn collect_all(paths: &[PathBuf], terminal: &mut Terminal) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if let Err(problem) = collect(path, &mut files) {
            terminal.error(&format!("cannot read `{}`: {problem}", path.display()));
            return None;
        }
    }
    Some(files)
}

/// A file, or all `.dp` files in a folder and the folders in it, in order of their names.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // A link could lead around in a circle.
        let folder = entry.is_dir() && !entry.is_symlink();
        if folder && !hidden {
            collect(&entry, files)?;
        } else if entry.extension().is_some_and(|extension| extension == "dp") && entry.is_file() {
            files.push(entry);
        }
    }
    Ok(())
}

fn derive(file: &Path, options: &DeriveOptions, terminal: &mut Terminal) -> End {
    match driver::derive_file(file, options) {
        Ok((text, outcome)) => {
            terminal.print(&text);
            finish(&outcome, terminal)
        }
        Err(outcome) => finish(&outcome, terminal),
    }
}

fn explain(code: Option<&str>, terminal: &mut Terminal) -> End {
    let Some(code) = code else {
        let list: String = codes::ROWS.iter().map(|row| format!("{}  {}\n", row.code.0, row.title)).collect();
        terminal.print(&list);
        return End::Good;
    };
    let Some(row) = codes::find(&code.to_uppercase()) else {
        let known = codes::ROWS.iter().map(|row| row.code.0);
        let hint = match dp_compiler::types::similar(&code.to_uppercase(), known) {
            Some(near) => format!("did you mean `{near}`? "),
            None => String::new(),
        };
        terminal.error(&format!("there is no code `{code}`; {hint}`dp explain` lists all"));
        return End::WrongUse;
    };
    terminal.print(&format!("{}: {}\n\n{}\n", row.code.0, row.title, terminal::wrapped(row.explanation)));
    if let Some(page) = pages::find(row.code.0) {
        let indented = |text: &str| text.trim_end().lines().map(|line| format!("    {line}\n")).collect::<String>();
        let mut said = terminal.captured();
        let outcome = driver::run_text("example.dp", page.wrong, &page.options(), &mut said);
        for diagnostic in &outcome.diagnostics {
            said.diagnostic(&outcome.sources, diagnostic);
        }
        terminal.print(&format!(
            "\nThis program gets the message:\n\n{}\n{}\nThis one does not:\n\n{}",
            indented(page.wrong),
            indented(&said.text()),
            indented(page.right)
        ));
    }
    End::Good
}

/// The table of `--time`.
fn timings(timings: &Timings) -> String {
    let row = |name: &str, time: std::time::Duration| format!("{name:10} {:10.3} ms\n", time.as_secs_f64() * 1e3);
    [
        row("parse", timings.parse),
        row("check", timings.check),
        row("lower", timings.lower),
        row("optimize", timings.optimize),
        row("compile", timings.compile),
        row("run", timings.run),
        format!(
            "{} graphs, {} equations, {} bytes of code, at most {} bytes of intermediate values{}; {} statements evaluated",
            timings.graphs,
            timings.equations,
            timings.code_bytes,
            timings.arena_bytes,
            if timings.packed_bytes > 0 {
                format!(" (of them {} packed operands of products)", timings.packed_bytes)
            } else {
                String::new()
            },
            timings.evaluated
        ),
    ]
    .concat()
}
