//! The dp compiler.
pub mod source;
pub mod diagnostic;
pub mod syntax;
pub mod ir;
pub mod prims;
pub mod ad;
pub mod builtins;
pub mod codegen;
pub mod opt;
