//! The tests of whole programs, in one binary.
//!
//! `folders` runs the `.dp` files of `tests/run`, `tests/programs` (programs of the field, with derivatives by independent
//! formulas) and `tests/errors`, whose expectations stand in comments; `bad_input`
//! makes files and programs that no one would keep in a folder; `commands` drives the binary `dp`; `derived` derives every
//! problem; `examples` runs the examples in their quick form; `gradbench` runs programs on data of others, where
//! `DP_GRADBENCH` names them; `explain` holds the pages of `dp explain`; `language_server` speaks with `dp lsp`;
//! `editors` looks at the files for editors; `proximal` checks std, its operators and solvers by number; `tidy` holds the
//! house rules; `truncations` looks at truncated solvers with data (`dp check --data`). `UPDATE=1 cargo test` writes what was found into the files of the folders; read the difference before you
//! keep it.

mod bad_input;
mod commands;
mod derived;
mod editors;
mod examples;
mod explain;
mod expectations;
mod folders;
mod gradbench;
mod harness;
mod language_server;
mod manual;
mod proximal;
mod tidy;
mod truncations;
