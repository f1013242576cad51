//! A text with problems, from which a test derives.

use crate::derive::{Catalogue, Derivation, Request, derive, expand};
use crate::diagnostic::render::render;
use crate::source::{SourceMap, Span};
use crate::stdlib::Std;
use crate::syntax::ast::Problem;
use crate::{syntax, types};
use std::cell::OnceCell;
use std::rc::Rc;

thread_local! {
    /// All of std, checked once: a derivation chooses among all of it.
    static STD: OnceCell<(types::Env, Catalogue)> = const { OnceCell::new() };
}

/// A text with problems, ready for derivations.
pub struct Ground {
    pub sources: SourceMap,
    pub catalogue: Catalogue,
}

impl Ground {
    pub fn new(text: &str) -> Ground {
        let mut sources = SourceMap::default();
        let mut std = Std::new(&mut sources);
        let (env, catalogue) = STD.with(|known| {
            let checked = known.get_or_init(|| {
                let (mut env, mut catalogue) = (types::Env::new(), Catalogue::default());
                for module in std.needed(&sources, ["derive"]) {
                    types::check_module(&mut env, &module);
                    catalogue.add_std(&module);
                }
                (env, catalogue)
            });
            checked.clone()
        });
        let (module, found) = syntax::parse_text(&mut sources, "problem.dp", text);
        assert!(found.is_empty(), "{text}");
        let (catalogue, found) = expand::with_module(&env, &catalogue, &module);
        let shown: String = found.iter().map(|d| render(&sources, d, false)).collect();
        assert!(found.is_empty(), "{shown}\n{text}");
        Ground { sources, catalogue }
    }

    pub fn problem(&self, name: &str) -> Rc<Problem> {
        self.catalogue.problem(name).expect("the problem is in the text").clone()
    }

    /// Derives, and does something with what was found; the message if nothing was.
    pub fn derive<T>(
        &self,
        problem: &str,
        method: Option<&str>,
        layer: bool,
        with: impl FnOnce(&Derivation, &Request) -> T,
    ) -> Result<T, String> {
        let problem = self.problem(problem);
        let method = method.map(|name| (name.into(), Span::NONE));
        let request = Request { problem: &problem, method, layer, name: "found".into(), span: problem.name.span };
        match derive(&self.catalogue, &request) {
            Ok(derivation) => Ok(with(&derivation, &request)),
            Err(d) => Err(render(&self.sources, &d, false)),
        }
    }
}
