//! Random draws: explicit keys, or keys named by seed, site and step where draws without a key are allowed.

use super::value::Value;
use super::{Ctx, Draws, Res};
use crate::diagnostic::Diagnostic;
use crate::ir::graph::Op;
use crate::source::Span;
use crate::stdlib;
use dp_runtime::random;
use dp_runtime::tensor::Tensor;

/// The number of a place in the source. The files of a user count on from a fixed number, not from the number of modules
/// that std has: a module that is added there changes no random number of a program.
fn site(span: Span) -> u64 {
    const FIRST_FILE: u32 = 6;
    let file = span.file.0.wrapping_sub(stdlib::MODULES.len() as u32).wrapping_add(FIRST_FILE);
    (u64::from(file) << 32) | u64::from(span.start)
}

impl Ctx<'_> {
    /// The key of a draw that names none.
    pub(crate) fn draw_key(&mut self) -> Res<Value> {
        let span = self.span;
        match self.draws.clone() {
            Draws::TopLevel => {
                let count = self.session.draw_counts.entry(span).or_insert(0);
                let nth = *count;
                *count += 1;
                let key = random::fold_in(random::fold_in(self.session.seed, site(span)), nth);
                Ok(Value::Tensor(Tensor::scalar(key)))
            }
            Draws::Keyed(key) => {
                let number = Value::Int(site(span) as i64);
                self.op(Op::FoldIn, &[key, number])
            }
            Draws::Forbidden => Err(Box::new(
                Diagnostic::error("E0330", span, "inside a function a draw needs a key")
                    .help("take a parameter `k: key` and write `key: k`; `split(k, 2)` makes two keys of one"),
            )),
        }
    }
}
