//! Right programs.
