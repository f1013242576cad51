//! `as layer`: the affine argument of an update multiplied out, its maps named.

use super::{Instance, Origin, Res};
use crate::derive::{layer, tree};
use crate::syntax::ast::{Expr, Symbol};

impl Instance<'_, '_> {
    /// The affine argument of an update, as one map of each input and state.
    pub(super) fn layered(&mut self, e: Expr, block: usize) -> Res<Expr> {
        let mut states: Vec<Symbol> = Vec::new();
        for name in &self.wide {
            states.extend(self.names[name].iter().cloned());
        }
        // In the order of the blocks, then of their names.
        states.sort_by_key(|state| {
            (self.site.problem.over.iter().position(|binder| binder.name.text == *state), state.clone())
        });
        let several = self.blocks() > 1;
        let site = layer::Site {
            terms: self.site.terms,
            catalogue: self.site.catalogue,
            problem: self.site.problem,
            stable: &self.stable,
            states: &states,
            block,
            several,
        };
        let Some((value, new, layer)) = layer::split(site, &e) else { return Ok(e) };
        let mut put: Vec<(Symbol, Expr)> = Vec::new();
        for (wanted, value) in new {
            let text = crate::syntax::pretty::expr(&value);
            let own = match self.values.get(&text) {
                Some(known) => known.clone(),
                None => {
                    let own = self.fresh(&wanted, (!several && self.taken.contains(&wanted)).then_some(block));
                    self.stable.insert(own.clone());
                    self.values.insert(text, own.clone());
                    let origin = match wanted.starts_with('S') {
                        _ if layer.convolution => Origin::Kernel,
                        true => Origin::StateMap,
                        false => Origin::InputMap,
                    };
                    self.origins.push((own.clone(), origin));
                    self.lets.push(tree::let_(&own, value));
                    own
                }
            };
            put.push((format!("let {wanted}").into(), tree::name(&own)));
        }
        self.layers.push(layer);
        Ok(tree::put(&value, &put))
    }
}
