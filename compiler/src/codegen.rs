//! The back end: a Graph becomes native code.
//!
//! `fuse` groups elementwise equations into units; `plan` gives every value a place (a register, or a strided
//! view of a buffer) and lists the steps; `arena` lays the buffers out by their lifetimes; `emit` writes the
//! steps as Cranelift code; `jit` owns the machine code and runs it. What is not elementwise is a call of a kernel
//! of the runtime. The results equal the reference evaluator's bit for bit.
//!
//! Invariants: a plan writes no parameter and no constant; a buffer's lifetime covers every step that touches it;
//! the size of the code does not depend on trip counts or array sizes.

pub mod fuse;
pub mod view;

pub mod plan;

pub mod arena;
pub mod emit;
pub mod jit;

use crate::ir::graph::Graph;
use std::fmt;

pub use jit::Executable;

/// What a compilation may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// The most bytes that one call may need besides its operands and results.
    pub memory_limit: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { memory_limit: 8 << 30 }
    }
}

/// Why a Graph could not be compiled.
#[derive(Clone, PartialEq, Debug)]
pub enum CodegenError {
    /// More memory for intermediate values than allowed.
    Memory { bytes: u64, limit: u64 },
    /// A limit of the back end, or of the processor.
    Unsupported(String),
    /// Code generation itself failed: a bug.
    Internal(String),
}

impl fmt::Display for CodegenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodegenError::Memory { bytes, limit } => {
                write!(f, "intermediate values need {bytes} bytes, the limit is {limit}")
            }
            CodegenError::Unsupported(what) => write!(f, "{what}"),
            CodegenError::Internal(what) => write!(f, "internal error in code generation: {what}"),
        }
    }
}

impl std::error::Error for CodegenError {}

/// Compiles a Graph with the default options.
pub fn compile(graph: &Graph) -> Result<Executable, CodegenError> {
    compile_with(graph, &Options::default())
}

/// Compiles a Graph.
pub fn compile_with(graph: &Graph, options: &Options) -> Result<Executable, CodegenError> {
    let mut plan = plan::plan(graph)?;
    let arena_bytes = arena::lay_out(&mut plan.buffers);
    if arena_bytes > options.memory_limit {
        return Err(CodegenError::Memory { bytes: arena_bytes, limit: options.memory_limit });
    }
    jit::assemble(plan, arena_bytes)
}

#[cfg(test)]
mod tests;
