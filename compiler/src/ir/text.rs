//! The textual form of Graphs.

use super::graph::Type;
use std::fmt;

impl fmt::Display for Type {
    /// `f64[3,4]`, and `f64` for a scalar.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dtype.name())?;
        if self.shape.is_empty() {
            return Ok(());
        }
        let sizes: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        write!(f, "[{}]", sizes.join(","))
    }
}
