//! The dp compiler: text to native code, and back to the source for every message.
//!
//! The way of a program, in the order of the modules below:
//!
//! - `source`: files and spans. A span is all that later stages keep of the text.
//! - `syntax`: tokens (every byte is in one), layout (newlines, brackets, items), parser, tree. Parsing always gives a tree, with as
//!   many good messages as there are mistakes; `pretty` prints a tree back as text that parses to the same tree.
//! - `derive`: from an objective to a solver, source to source. It runs before the check, and what it gives is checked like the rest.
//! - `diagram`: networks and solvers drawn: boxes, arrows, what is learned; laid out and written by ourselves.
//! - `types`: names, types and symbolic dimensions, checked where a function is defined. It refuses no correct program: what only
//!   sizes settle is left to lowering.
//! - `lower`: traces the tree with concrete shapes into a Graph. Bodies of loops, branches, mapped and differentiated functions are
//!   closed sub-Graphs; solvers become loops; `learn` replaces a let by a parameter and changes nothing else. No derivative operator
//!   is left afterwards.
//! - `ad`: linearize, transpose, batch: Graph to Graph, so that they compose in any order.
//! - `ir`: the Graph (A-normal form, concrete shapes, explicit broadcasts, pure), its builder, verifier, textual form, and the
//!   reference evaluator, which is the meaning.
//! - `prims`: the primitive table, one row for each operation; an operation without a row does not compile.
//! - `opt`: passes that change no bit of any result.
//! - `codegen`: fused loops, strided views, one arena, Cranelift code. The same bits as the evaluator.
//! - `run`: prepares and calls Graphs; faults and warnings in the user's words.
//! - `script`: the statements of a file from top to bottom, files, pictures, training.
//! - `driver`: the pipeline as one readable function.
//! - `measure`: standard programs, for benchmarks and for tests of speed and memory.
//! - `repl`: a session at the prompt, each entry tried as a whole; `manual` documents what has no definition in dp.
//! - `lsp`: answers what an editor asks about a text; `literate`: scripts that hold the output they are expected to have.
//!
//! What is alive while compiled code runs is in the crate `dp_runtime`, which knows nothing of the language.

pub mod source;
pub mod diagnostic;
pub mod syntax;
pub mod builtins;
pub mod derive;
pub mod diagram;
pub mod types;
pub mod lower;
pub mod ad;
pub mod ir;
pub mod prims;
pub mod opt;
pub mod codegen;
pub mod run;
pub mod script;
pub mod stdlib;
pub mod examples;
pub mod driver;
pub mod measure;
pub mod files;
pub mod literate;
pub mod lsp;
pub mod manual;
pub mod repl;

#[cfg(test)]
mod tests;
