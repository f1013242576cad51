//! Tests across the rooms: random programs through every engine, wrong rules, errors of derivatives in figures.

mod programs;
mod shrink;
