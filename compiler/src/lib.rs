//! The dp compiler.
pub mod ad;
pub mod builtins;
pub mod codegen;
pub mod diagnostic;
pub mod driver;
pub mod examples;
pub mod ir;
pub mod lower;
pub mod opt;
pub mod prims;
pub mod run;
pub mod script;
pub mod source;
pub mod stdlib;
pub mod syntax;
pub mod types;
