//! Derivations of small problems.
