//! The dp compiler.
pub mod source;
pub mod diagnostic;
pub mod syntax;
pub mod builtins;
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
pub mod driver;
