//! The linear map of a method: its value, its adjoint, the bound of its norm, and the operator of what stands behind it.

use super::roles::no_operator;
use super::{Instance, Res};
use crate::derive::calculus::{self, Piece, Proximal};
use crate::derive::normal::{Kind, Part};
use crate::derive::rat::Rat;
use crate::derive::term::{Id, Op};
use crate::derive::{tree, write};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{Expr, ExprKind, Symbol};

impl Instance<'_, '_> {
    /// The operator of a term behind a map, as a function of the map's value.
    pub(super) fn mapped_operator(&mut self, parts: &[usize]) -> Res<Proximal> {
        let mut pieces = Vec::new();
        for i in parts {
            let part = &self.site.parts[*i];
            let Kind::Atom(atom) = &part.kind else { continue };
            let block =
                (0..self.site.problem.over.len()).find(|block| self.site.terms.depends(part.arg, *block)).unwrap_or(0);
            let var = self.site.terms.block(block);
            let offset = self.site.terms.offset(part.arg, var);
            let zero = matches!(self.site.terms.op(offset), Op::Number(Rat::ZERO));
            let factor = self.site.terms.int(1);
            pieces.push(Piece {
                atom: atom.clone(),
                extra: part.extra.clone(),
                weight: part.weight,
                factor,
                rows: false,
                shift: if zero { None } else { Some(offset) },
                span: part.span,
                constraint: part.constraint,
            });
        }
        calculus::proximal(self.site.terms, pieces).map_err(|refusal| Box::new(no_operator(&refusal)))
    }

    /// The map of a role, one of several if they are stacked, as a term in its block.
    pub(super) fn map_term(&mut self, name: &str, lane: usize) -> Res<(Id, usize)> {
        let parts = match self.stacked() {
            true => self.lanes[lane][..1].to_vec(),
            false => self.site.assigned.map(name).map(<[usize]>::to_vec).unwrap_or_default(),
        };
        match parts.as_slice() {
            [] => Ok((self.site.terms.block(0), 0)),
            [only] => {
                let arg = self.site.parts[*only].arg;
                let block = (0..self.blocks()).find(|block| self.site.terms.depends(arg, *block)).unwrap_or(0);
                let var = self.site.terms.block(block);
                Ok((self.site.terms.linear_part(arg, var), block))
            }
            [first, second, ..] => {
                let (first, second) = (&self.site.parts[*first], &self.site.parts[*second]);
                if self.map_of(first) == self.map_of(second) {
                    let map = self.map_of(first);
                    return Ok((map, 0));
                }
                Err(Box::new(
                    Diagnostic::error("E0341", second.span, format!("`{}` takes the terms behind one linear map; this is a second one", self.method.name.text))
                        .label(first.span, "the first")
                        .help("put both maps into one, `concat(K1 @ y, K2 @ y)`, or replace one of the terms by a smooth one, such as `huber` for a norm"),
                ))
            }
        }
    }

    pub(super) fn map_of(&mut self, part: &Part) -> Id {
        let block =
            (0..self.site.problem.over.len()).find(|block| self.site.terms.depends(part.arg, *block)).unwrap_or(0);
        let var = self.site.terms.block(block);
        self.site.terms.linear_part(part.arg, var)
    }

    pub(super) fn mapped(&mut self, name: &str, at: &[Expr], lane: usize) -> Res<Expr> {
        let (map, own) = self.map_term(name, lane)?;
        // A map takes zero to zero.
        let shape = self.site.terms.shape(map).clone();
        if at[own] == write::zeros(self.site.terms.block_shape(own)) && shape.is_some() {
            return Ok(write::zeros(&shape));
        }
        let at = self.named_points(at, if tree::is_atomic(&at[0]) { 1 } else { 2 });
        Ok(self.write_at(map, &at))
    }

    pub(super) fn map_norm(&mut self, of: &Expr) -> Res<Expr> {
        let ExprKind::Name(name) = &of.kind else { return Ok(tree::int(1)) };
        let mut bounds = Vec::new();
        for lane in 0..self.lanes.len() {
            let (map, block) = self.map_term(name, lane)?;
            let var = self.site.terms.block(block);
            bounds.push(self.site.terms.norm_bound(map, var));
        }
        let terms = &mut *self.site.terms;
        match bounds.into_iter().collect::<Option<Vec<Id>>>().as_deref() {
            Some([bound]) => Ok(write::write(terms, *bound)),
            // |(K1 v, K2 v)|^2 <= (|K1|^2 + |K2|^2) |v|^2
            Some(bounds) => {
                let two = terms.int(2);
                let squares = bounds.iter().map(|bound| terms.pow(*bound, two)).collect();
                let total = terms.add(squares);
                let root = terms.call("sqrt", vec![total]);
                Ok(write::write(terms, root))
            }
            None => Err(Box::new(
                Diagnostic::error("E0344", self.site.at, "no bound is known of the norm of the linear map")
                    .help("write the map with products, convolutions, slices and sums; or give the step yourself, in a method of your own"),
            )),
        }
    }

    pub(super) fn adjoint(&mut self, of: &Expr, u: Expr, block: usize, lane: usize) -> Res<Expr> {
        let ExprKind::Name(name) = &of.kind else { return Ok(u) };
        let (map, own) = self.map_term(name, lane)?;
        if own != block {
            return Ok(write::zeros(self.site.terms.block_shape(block)));
        }
        let var = self.site.terms.block(block);
        let hole: Symbol = "the cotangent".into();
        let shape = self.site.terms.shape(map).clone();
        self.site.terms.declare_name(&hole, shape);
        let cotangent = self.site.terms.name(&hole);
        let back = self.site.terms.adjoint(map, var, cotangent);
        let u = self.named_points(&[u], 2).swap_remove(0);
        let written = write::Writer { terms: self.site.terms, blocks: &[] }.write_with(back, &hole, &u);
        Ok(written)
    }
}
