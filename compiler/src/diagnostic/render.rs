//! Renders diagnostics for people, with ariadne; the only file that knows it.
