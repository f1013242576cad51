//! Compiled code against the reference evaluator.
