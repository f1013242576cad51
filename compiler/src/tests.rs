//! Tests across the rooms: random programs through every engine, wrong rules, errors of derivatives in figures.

mod errors;
mod linear;
mod mistakes;
mod mutants;
mod programs;
mod shrink;
