//! Options of dp, and the options after `dp run FILE`, which belong to dp or to the script.

use clap::{Args, CommandFactory, Parser, ValueEnum};
use dp_compiler::driver::{Options, ScriptArg};
use dp_compiler::run::Engine;
use dp_runtime::tensor::DType;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Options that hold for every command that runs programs.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Options of what runs a program (run, check --data, repl, test, -e)")]
pub struct Settings {
    /// The precision of `real`; overrides the script's own.
    #[arg(long, global = true, value_enum)]
    pub precision: Option<Precision>,
    /// What all random numbers of the run come from [default: 1].
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
    /// What computes: native code, or the slower reference evaluator, which gives the same numbers; `auto`, the default, takes what
    /// ends sooner.
    #[arg(long, global = true, value_enum)]
    pub engine: Option<EngineName>,
    /// Show the graph of each statement: as it was lowered, or after optimization.
    #[arg(long, global = true, value_enum, value_name = "STAGE")]
    pub dump: Option<Stage>,
    /// Tell at the end how long each stage took.
    #[arg(long, global = true)]
    pub time: bool,
    /// Stop at the first number that is not finite, and say where it comes from.
    #[arg(long, global = true)]
    pub check_nan: bool,
    /// Another folder, besides the script's own, in which files may be read and written.
    #[arg(long, global = true, value_name = "DIR")]
    pub allow_dir: Vec<PathBuf>,
    /// Let `save` and `plot` replace files that exist.
    #[arg(long, global = true)]
    pub overwrite: bool,
    /// Go on with an interrupted training from its checkpoint.
    #[arg(long, global = true)]
    pub resume: bool,
    /// Write what trainings record to this file, a line of JSON for each record; `--resume` continues it.
    #[arg(long, global = true, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// The most memory that the run may take, such as 500M or 4G.
    #[arg(long, global = true, value_name = "SIZE", value_parser = size)]
    pub max_mem: Option<u64>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    F32,
    F64,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineName {
    // Native code, but the evaluator for statements that it finishes sooner than they are compiled.
    Auto,
    Native,
    Reference,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    // As it was lowered.
    Lowered,
    // After optimization.
    Graph,
}

impl Settings {
    pub fn options(&self) -> Options {
        let defaults = Options::default();
        Options {
            precision: self.precision.map(|precision| match precision {
                Precision::F32 => DType::F32,
                Precision::F64 => DType::F64,
            }),
            seed: self.seed.unwrap_or(defaults.seed),
            engine: match self.engine {
                None => defaults.engine,
                Some(EngineName::Auto) => Engine::Auto,
                Some(EngineName::Native) => Engine::Native,
                Some(EngineName::Reference) => Engine::Reference,
            },
            check_nan: self.check_nan,
            dump: self.dump.map(|stage| match stage {
                Stage::Lowered => "lowered".to_string(),
                Stage::Graph => "graph".to_string(),
            }),
            allow: self.allow_dir.clone(),
            overwrite: self.overwrite,
            resume: self.resume,
            log: self.log.clone(),
            max_bytes: self.max_mem,
            ..defaults
        }
    }
}

/// A number of bytes: digits, perhaps a point, and K, M, G or T (powers of 1024), perhaps with B or iB.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "write a size as 500M or 4G".to_string();
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let shift = match unit.to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let bytes = number * f64::from(1u32 << (shift % 30)) * if shift >= 30 { f64::from(1u32 << 30) } else { 1.0 };
    // Casts saturate; more than any machine has is no limit.
    Ok(bytes as u64)
}

/// What stood after `dp run FILE`, less dp's own options.
#[derive(Debug, Default, PartialEq)]
pub struct Arguments {
    pub help: bool,
    /// Names without dashes, and values as written.
    pub values: Vec<(String, String)>,
}

/// For options of dp that stand after the file.
#[derive(Parser)]
#[command(name = "dp run FILE", disable_help_flag = true)]
struct Late {
    #[command(flatten)]
    settings: Settings,
}

/// The number of words of a command line, its first the program, up to the file of `dp run FILE` or `dp check --data FILE`; all of
/// them if it is another command.
pub fn after_file(words: &[OsString]) -> usize {
    let command = Late::command();
    let takes_value = |word: &str| {
        let arg = command
            .get_arguments()
            .find(|arg| word.strip_prefix("--").is_some_and(|name| arg.get_long() == Some(name)));
        arg.is_some_and(|arg| arg.get_action().takes_values())
    };
    let (mut is_run, mut is_check) = (false, false);
    let mut i = 1;
    while i < words.len() {
        match words[i].to_str() {
            Some("--data") if is_check => {
                is_run = true;
                i += 1;
            }
            Some(word) if word.starts_with('-') => i += if takes_value(word) { 2 } else { 1 },
            Some("run") if !is_run && !is_check => {
                is_run = true;
                i += 1;
            }
            Some("check") if !is_run && !is_check => {
                is_check = true;
                i += 1;
            }
            _ if is_run => return i + 1,
            _ => return words.len(),
        }
    }
    words.len()
}

/// Splits what stands after the file into options of dp, which are added to the settings, and values for the script.
pub fn split(arguments: &[String], settings: &mut Settings) -> Result<Arguments, String> {
    let command = Late::command();
    let own = |name: &str| command.get_arguments().find(|arg| arg.get_long() == Some(name));
    let mut result = Arguments::default();
    let mut own_words = Vec::new();
    let mut only_script = false;
    let mut words = arguments.iter().peekable();
    while let Some(word) = words.next() {
        if !only_script && (word == "--help" || word == "-h") {
            result.help = true;
            continue;
        }
        if !only_script && word == "--" {
            only_script = true;
            continue;
        }
        let Some(option) = word.strip_prefix("--") else {
            return Err(format!(
                "`{word}` is no option; values for the script's arguments are written `--name value` (`--help` lists them)"
            ));
        };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (option, None),
        };
        let own_option = own(name).filter(|_| !only_script);
        let takes_value = own_option.is_none_or(|arg| arg.get_action().takes_values());
        let value = match value {
            None if takes_value => words.next_if(|next| !next.starts_with("--")).cloned(),
            value => value,
        };
        match own_option {
            Some(_) => own_words.push(match value {
                Some(value) => format!("--{name}={value}"),
                None => format!("--{name}"),
            }),
            // A name in a script has no dashes; without a value it is a switch.
            None => result.values.push((name.replace('-', "_"), value.unwrap_or_else(|| "true".to_string()))),
        }
    }
    let late = Late::try_parse_from(std::iter::once("dp".to_string()).chain(own_words)).map_err(|e| {
        let text = e.render().to_string();
        text.strip_prefix("error: ").unwrap_or(&text).to_string()
    })?;
    settings.add(late.settings);
    Ok(result)
}

impl Settings {
    /// What is given later holds.
    fn add(&mut self, late: Settings) {
        self.precision = late.precision.or(self.precision);
        self.seed = late.seed.or(self.seed);
        self.engine = late.engine.or(self.engine);
        self.dump = late.dump.or(self.dump);
        self.time |= late.time;
        self.check_nan |= late.check_nan;
        self.allow_dir.extend(late.allow_dir);
        self.overwrite |= late.overwrite;
        self.resume |= late.resume;
        self.log = late.log.or(self.log.take());
        self.max_mem = late.max_mem.or(self.max_mem);
    }
}

/// Says which value has no argument in the script, or is given twice.
pub fn unknown(values: &[(String, String)], known: &[ScriptArg]) -> Option<String> {
    for (i, (name, _)) in values.iter().enumerate() {
        if values[..i].iter().any(|(before, _)| before == name) {
            return Some(format!("`--{name}` is given twice"));
        }
        if known.iter().any(|arg| arg.name == *name) {
            continue;
        }
        let nearest = known.iter().min_by_key(|arg| strsim::damerau_levenshtein(&arg.name, name));
        let hint = match nearest {
            None => "it has none".to_string(),
            Some(arg) if strsim::damerau_levenshtein(&arg.name, name) <= 1 + name.chars().count() / 3 => {
                format!("did you mean `--{}`?", arg.name)
            }
            Some(_) => {
                let all: Vec<String> = known.iter().map(|arg| format!("--{}", arg.name)).collect();
                format!("it has {}", all.join(", "))
            }
        };
        return Some(format!("the script has no argument `--{name}`; {hint}"));
    }
    None
}

/// The help of a script: its own arguments.
pub fn help(file: &Path, args: &[ScriptArg]) -> String {
    let file = file.display();
    let mut text = format!("Usage: dp run {file} [--NAME VALUE]...\n\n");
    if args.is_empty() {
        return text + "The script has no arguments of its own.\n\n`dp run --help` lists the options of dp.\n";
    }
    text += "Arguments of the script:\n";
    let left: Vec<String> = args.iter().map(|arg| format!("--{} <{}>", arg.name, arg.ty)).collect();
    let width = left.iter().map(|part| part.chars().count()).max().unwrap_or(0);
    for (arg, left) in args.iter().zip(&left) {
        let default = match &arg.default {
            Some(default) => format!("[default: {default}]"),
            None => "[required]".to_string(),
        };
        let doc = if arg.doc.is_empty() { String::new() } else { format!("{} ", arg.doc) };
        text += &format!("  {left:width$}  {doc}{default}\n");
    }
    text + "\n`dp run --help` lists the options of dp.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_words(text: &str) -> Result<(Arguments, Settings), String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_string).collect();
        let mut settings = Settings { seed: Some(1), ..Settings::default() };
        split(&words, &mut settings).map(|arguments| (arguments, settings))
    }

    fn values(text: &str) -> Vec<(String, String)> {
        split_words(text).expect("good arguments").0.values
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    }

    #[test]
    fn words_after_the_file() {
        let rest = |text: &str| {
            let words: Vec<OsString> = text.split_whitespace().map(OsString::from).collect();
            let at = after_file(&words);
            words[at..].iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(rest("dp run a.dp --epochs 5 --help"), "--epochs 5 --help");
        assert_eq!(rest("dp --seed 3 run --time --dump graph a.dp --x -- --seed 1"), "--x -- --seed 1");
        assert_eq!(rest("dp run --help"), "");
        assert_eq!(rest("dp check run a.dp"), "");
        assert_eq!(rest("dp check --data a.dp --epochs 5"), "--epochs 5");
        assert_eq!(rest("dp check --data check --x"), "--x");
        assert_eq!(rest("dp check a.dp --data"), "");
        assert_eq!(rest("dp run run b"), "b");
        assert_eq!(rest("dp"), "");
    }

    #[test]
    fn script_arguments() {
        let expected = [("epochs", "5"), ("rate", "-0.5"), ("fast", "true"), ("max_iter", "3")];
        assert_eq!(values("--epochs 5 --rate=-0.5 --fast --max-iter 3"), pairs(&expected));
        assert_eq!(values("--rate -0.5"), pairs(&[("rate", "-0.5")]));
        assert_eq!(values("--file a=b"), pairs(&[("file", "a=b")]));
        assert!(split_words("5").is_err());
        assert!(split_words("-x").is_err());
    }

    #[test]
    fn own_options_after_the_file() {
        let (arguments, settings) =
            split_words("--seed 7 --epochs 5 --time --precision f32 --max-mem=2G").expect("good");
        assert_eq!(arguments.values, pairs(&[("epochs", "5")]));
        assert_eq!((settings.seed, settings.time, settings.precision), (Some(7), true, Some(Precision::F32)));
        assert_eq!(settings.max_mem, Some(2 << 30));
        // After `--` all is the script's.
        let (arguments, settings) = split_words("--time -- --seed 7").expect("good");
        assert_eq!((settings.seed, arguments.values), (Some(1), pairs(&[("seed", "7")])));
        assert!(split_words("--precision f16").unwrap_err().contains("f16"));
        assert!(split_words("--seed").is_err());
        assert!(split_words("--epochs 2 --help").expect("good").0.help);
    }

    #[test]
    fn sizes() {
        assert_eq!(size("500"), Ok(500));
        assert_eq!(size("1.5k"), Ok(1536));
        assert_eq!(size("500M"), Ok(500 << 20));
        assert_eq!(size("4GiB"), Ok(4 << 30));
        assert_eq!(size("1T"), Ok(1 << 40));
        assert!(size("many").is_err() && size("").is_err() && size("3X").is_err());
    }

    fn arg(name: &str, ty: &str, default: Option<&str>, doc: &str) -> ScriptArg {
        let default = default.map(str::to_string);
        ScriptArg { name: name.to_string(), ty: ty.to_string(), default, doc: doc.to_string() }
    }

    #[test]
    fn unknown_arguments_and_help() {
        let known = [arg("epochs", "int", Some("20"), "passes"), arg("data", "string", None, "")];
        assert_eq!(unknown(&pairs(&[("epochs", "1"), ("data", "x")]), &known), None);
        assert!(unknown(&pairs(&[("epoch", "1")]), &known).is_some_and(|text| text.contains("`--epochs`?")));
        assert!(unknown(&pairs(&[("zzz", "1")]), &known).is_some_and(|text| text.contains("--epochs, --data")));
        assert!(unknown(&pairs(&[("data", "1"), ("data", "2")]), &known).is_some_and(|text| text.contains("twice")));
        let text = help(Path::new("a.dp"), &known);
        assert!(text.contains("--epochs <int>   passes [default: 20]\n"), "{text}");
        assert!(text.contains("--data <string>  [required]\n"), "{text}");
        assert!(help(Path::new("a.dp"), &[]).contains("no arguments"));
    }
}
