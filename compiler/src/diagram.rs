//! Networks and solvers as pictures: boxes for what is computed, arrows for data and for carried states, marks on what is learned.
//!
//! `subject` finds what a name stands for, `trace` turns it into a diagram, from the checked tree and its types alone: nothing is
//! run. `layout` gives every box a place; `svg` and `text` draw that; `mermaid` writes the diagram for viewers that lay out by themselves.

mod body;
mod label;
mod layout;
mod legend;
mod mermaid;
mod order;
mod route;
mod sizes;
mod subject;
mod svg;
mod text;
mod trace;

#[cfg(test)]
mod tests;

use crate::diagnostic::Diagnostic;
use crate::syntax::ast::Module;
use crate::types::Env;

pub use mermaid::mermaid;
pub use svg::svg;
pub use text::text;

/// A picture before it is laid out.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Diagram {
    pub title: String,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    pub groups: Vec<Group>,
    pub legend: Vec<Entry>,
}

/// A box.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    pub kind: Kind,
    pub label: String,
    /// What is said besides: the template of an instance, the start of a state.
    pub detail: String,
    /// The shape of its value, such as `[m, 2*n]`; empty for scalars and where it is not known.
    pub shape: String,
    pub learned: Vec<Learned>,
    /// The frame that it stands in.
    pub group: Option<usize>,
    /// Stages of the picture from left to right: what stands in a later one is drawn further to the right.
    pub band: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Input,
    Output,
    /// What is carried from one pass to the next.
    State,
    Operation,
    Sum,
    /// Layers that are left out.
    More,
}

/// A learned quantity that a box uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Learned {
    pub name: String,
    /// Every layer has its own.
    pub each: bool,
}

/// An arrow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    /// What the value is called; may be empty.
    pub name: String,
    /// To the next pass.
    pub carried: bool,
}

/// A frame around the passes of a loop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    pub title: String,
    /// When it ends.
    pub note: String,
}

/// A line below the picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub name: String,
    pub about: String,
    pub learned: bool,
}

/// How the passes of a loop are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Layers {
    /// One pass, with arrows back.
    #[default]
    One,
    /// The first, dots, and the last.
    Ends,
    All,
}

/// What is wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    pub layers: Layers,
    /// The parameters of a solver or function that are drawn as inputs; if empty, the open arguments or the first parameter.
    pub inputs: Vec<String>,
}

/// What may be drawn: modules that were checked, the last first to be looked at, and their names.
pub struct World<'a> {
    pub env: &'a Env,
    pub modules: Vec<&'a Module>,
}

/// The diagram of a solver, network, function, or form of a solver, or of an instance in a network (`net.part`).
///
/// # Errors
/// The name stands for nothing (E0301), for what is not drawn (E0360), for no part of the network (E0361); a parameter to be an
/// input does not exist (E0362); there are too many boxes (E0363).
pub fn draw(world: &World, name: &str, options: &Options) -> Result<Diagram, Box<Diagnostic>> {
    let subject = subject::find(world, name)?;
    trace::trace(world, &subject, options)
}
