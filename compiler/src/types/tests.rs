//! Small programs, right and wrong.
