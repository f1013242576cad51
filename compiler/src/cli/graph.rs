//! `dp graph`: pictures of solvers and networks.

use super::End;
use super::terminal::Terminal;
use clap::{Args, ValueEnum};
use dp_compiler::diagram::{self, Layers, Options};
use dp_compiler::driver;
use dp_runtime::plot::inline::{self, Graphics};
use std::path::PathBuf;

pub const EXAMPLES: &str = "\
Examples:
  dp graph lista.dp lista                      in the terminal, one layer with arrows back
  dp graph lista.dp lista -o lista.svg         as a drawing; .png and .mmd (Mermaid) likewise
  dp graph lista.dp lista --layers ends        the first layer, dots, and the last
  dp graph digits.dp classify.inner            a part of a network
  dp graph lista.dp ista --inputs x,D          which parameters of a solver are drawn as inputs";

#[derive(Args)]
pub struct Graph {
    /// The file that has it.
    file: PathBuf,
    /// A solver, network or function; `net.part` for an instance in a network.
    name: String,
    /// What to write: a drawing, a flowchart for Mermaid, characters; without it, what the ending of the file says.
    #[arg(long, value_enum)]
    to: Option<Form>,
    /// The file to write: .svg, .png, .mmd or .txt; without it, the picture is shown in the terminal.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How layers are drawn: one with arrows back; the first, dots and the last; all.
    #[arg(long, value_enum, default_value = "one")]
    layers: LayersName,
    /// Which parameters are drawn as inputs, separated by commas; without it, the open ones, or the first of a solver.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    inputs: Vec<String>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Svg,
    Png,
    Mermaid,
    Text,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum LayersName {
    // One, with arrows back.
    One,
    // The first, dots, and the last.
    Ends,
    All,
}

/// Draws, and writes to the file or the terminal.
pub fn graph(asked: &Graph, terminal: &mut Terminal) -> End {
    let ending =
        asked.output.as_ref().and_then(|path| path.extension()).map(|ending| ending.to_string_lossy().to_lowercase());
    let form = match (asked.to, ending.as_deref(), &asked.output) {
        (Some(form), _, _) => form,
        (None, Some("svg"), _) => Form::Svg,
        (None, Some("png"), _) => Form::Png,
        (None, Some("mmd" | "mermaid" | "md"), _) => Form::Mermaid,
        (None, Some("txt"), _) | (None, _, None) => Form::Text,
        (None, _, Some(path)) => {
            terminal.error(&format!(
                "`{}` does not tell what to write: its ending is .svg, .png, .mmd or .txt, or `--to` says it",
                path.display()
            ));
            return End::WrongUse;
        }
    };
    if form == Form::Png && asked.output.is_none() {
        terminal.error("a PNG is written to a file: `-o FILE`");
        return End::WrongUse;
    }
    let layers = match asked.layers {
        LayersName::One => Layers::One,
        LayersName::Ends => Layers::Ends,
        LayersName::All => Layers::All,
    };
    let options = Options { layers, inputs: asked.inputs.clone() };
    let diagram = match driver::graph::graph_file(&asked.file, &asked.name, &options) {
        Ok(diagram) => diagram,
        Err(outcome) => return super::finish(&outcome, terminal),
    };
    let graphics = super::terminal::graphics();
    if (asked.to, &asked.output) == (None, &None) && graphics != Graphics::None {
        return match inline::shown(&diagram::svg(&diagram), 100, graphics) {
            Ok(picture) => {
                terminal.print(&format!("{picture}\n"));
                End::Good
            }
            Err(problem) => {
                terminal.error(&problem);
                End::Failed
            }
        };
    }
    let bytes = match form {
        Form::Svg => diagram::svg(&diagram).into_bytes(),
        Form::Mermaid => diagram::mermaid(&diagram).into_bytes(),
        Form::Text => diagram::text(&diagram).into_bytes(),
        Form::Png => match dp_runtime::plot::raster::png(&diagram::svg(&diagram)) {
            Ok(bytes) => bytes,
            Err(problem) => {
                terminal.error(&problem);
                return End::Failed;
            }
        },
    };
    let Some(path) = &asked.output else {
        terminal.print(&String::from_utf8_lossy(&bytes));
        return End::Good;
    };
    match std::fs::write(path, bytes) {
        Ok(()) => End::Good,
        Err(problem) => {
            terminal.error(&format!("`{}` cannot be written: {problem}", path.display()));
            End::Failed
        }
    }
}
