//! What stands for a role of a method: values, gradients, bounds, proximal operators, conjugates, exact minimizers.

use super::{Instance, Res};
use crate::derive::calculus::{Applier, Proximal, Refusal};
use crate::derive::rat::Rat;
use crate::derive::roles::Filled;
use crate::derive::term::{Id, Op};
use crate::derive::{smooth, tree, write};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{ArgValue, BinaryOp, Expr, ExprKind, Let, LetKind, Symbol};
use std::collections::HashSet;

impl Instance<'_, '_> {
    pub(super) fn role(&self, e: &Expr) -> Option<&Filled> {
        match &e.kind {
            ExprKind::Name(name) => self.site.assigned.get(name),
            _ => None,
        }
    }

    pub(super) fn map(&self, e: &Expr) -> Option<Vec<usize>> {
        match &e.kind {
            ExprKind::Name(name) => self.site.assigned.map(name).map(<[usize]>::to_vec),
            _ => None,
        }
    }

    /// An expression in each block.
    pub(super) fn at_blocks(&mut self, e: &Expr) -> Res<Vec<Expr>> {
        (0..self.blocks()).map(|block| self.expr(e, Some(block))).collect()
    }

    /// The entropies of an entropic role.
    pub(super) fn entropies(&self, e: &Expr) -> Vec<usize> {
        match self.role(e) {
            Some(Filled::Entropic(parts)) => {
                parts.iter().copied().filter(|i| !self.site.parts[*i].constraint).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn smooth_parts(&self, e: &Expr) -> Vec<usize> {
        match self.role(e) {
            Some(Filled::Smooth(parts)) => parts.clone(),
            _ => Vec::new(),
        }
    }

    /// A bound of how fast the gradients of some roles change together; relative to the entropy if one of them is entropic.
    pub(super) fn lipschitz(&mut self, of: &[&Expr]) -> Res<Expr> {
        let mut bounds = Vec::new();
        let entropies: Vec<usize> = of.iter().flat_map(|of| self.entropies(of)).collect();
        bounds.extend(entropies.iter().map(|i| self.site.parts[*i].weight));
        let entropic = of.iter().any(|of| matches!(self.role(of), Some(Filled::Entropic(_))));
        for i in of.iter().flat_map(|of| self.smooth_parts(of)).collect::<Vec<_>>() {
            let part = &self.site.parts[i];
            let bound = match entropic {
                true => smooth::lipschitz_to_entropy(self.site.terms, part),
                false => smooth::lipschitz(self.site.terms, part),
            };
            match bound {
                Some(bound) => bounds.push(bound),
                None => {
                    return Err(Box::new(
                        Diagnostic::error("E0344", part.span, "no bound is known of how fast the gradient of this term changes, so that no step size follows")
                            .label(self.site.at, format!("`{}` needs one", self.method.name.text))
                            .help("take a method that finds its step: `by backtracking_proximal_gradient`; or write the term with functions whose curvature is known, such as `softplus`"),
                    ));
                }
            }
        }
        let total = self.site.terms.add(bounds);
        if self.site.terms.is_number(total, Rat::ZERO) {
            // Without curvature any step is allowed.
            return Ok(tree::int(1));
        }
        Ok(write::write(self.site.terms, total))
    }

    pub(super) fn value(&mut self, role: &str, at: &[Expr]) -> Res<Expr> {
        let parts = match self.site.assigned.get(role) {
            Some(
                Filled::Smooth(parts) | Filled::Proximal(_, parts) | Filled::Mapped(_, parts) | Filled::Entropic(parts),
            ) => parts.clone(),
            None => Vec::new(),
        };
        let at = self.named_points(at, 2);
        let values: Vec<Id> = parts.iter().map(|i| smooth::value(self.site.terms, &self.site.parts[*i])).collect();
        let total = self.site.terms.add(values);
        Ok(self.write_at(total, &at))
    }

    /// Points that are written several times get a name.
    pub(super) fn named_points(&mut self, at: &[Expr], uses: usize) -> Vec<Expr> {
        at.iter()
            .map(|point| {
                if uses < 2 || self.inside > 0 || tree::is_atomic(point) {
                    return point.clone();
                }
                let known = self.pending.iter().find_map(|binding| match &binding.kind {
                    LetKind::Inits(inits) if inits[0].value == *point => Some(inits[0].binder.name.text.clone()),
                    _ => None,
                });
                if let Some(known) = known {
                    return tree::name(&known);
                }
                let own = self.fresh("point", None);
                self.pending.push(tree::let_(&own, point.clone()));
                tree::name(&own)
            })
            .collect()
    }

    pub(super) fn write_at(&self, id: Id, at: &[Expr]) -> Expr {
        let blocks: Vec<Option<Expr>> = at.iter().cloned().map(Some).collect();
        write::Writer { terms: self.site.terms, blocks: &blocks }.write(id)
    }

    pub(super) fn gradient(&mut self, of: &Expr, at: &[Expr], block: usize) -> Res<Expr> {
        let mut gradients = Vec::new();
        for i in self.smooth_parts(of) {
            let part = self.site.parts[i].clone();
            gradients.push(smooth::gradient(self.site.terms, &part, block));
        }
        for i in self.entropies(of) {
            let part = self.site.parts[i].clone();
            if self.site.terms.depends(part.arg, block) {
                gradients.push(smooth::entropy_gradient(self.site.terms, &part));
            }
        }
        let shape = self.site.terms.block_shape(block).clone();
        if gradients.is_empty() {
            return Ok(write::zeros(&shape));
        }
        let total = self.site.terms.add(gradients);
        let at = self.named_points(at, 2);
        Ok(self.write_at(total, &at))
    }

    pub(super) fn proximal(&mut self, e: &Expr, of: &Expr, at: Expr, t: Expr, block: usize) -> Res<Expr> {
        if let ExprKind::Call { func, args } = &of.kind
            && let (ExprKind::Name(word), [arg]) = (&func.kind, args.as_slice())
            && &**word == "conjugate"
            && let ArgValue::Expr(inner) = &arg.value
        {
            return self.conjugate(inner, at, t, block);
        }
        match self.role(of) {
            Some(Filled::Proximal(operators, _)) => {
                let operator = operators[block].clone();
                let at = if self.site.layer { self.layered(at, block)? } else { at };
                self.applied(&operator, at, &t, block)
            }
            Some(Filled::Smooth(parts)) => {
                let parts = parts.clone();
                self.minimizer(&parts, at, t, block)
            }
            Some(Filled::Mapped(_, parts)) => {
                let (parts, block) = self.behind(parts.clone(), block);
                let operator = self.mapped_operator(&parts)?;
                self.applied(&operator, at, &t, block)
            }
            Some(Filled::Entropic(_)) => {
                Err(self.unsupported(e.span, "the operator of an entropic role: it has `grad` and `lipschitz`"))
            }
            None => Err(Box::new(Diagnostic::error("E0334", e.span, "`prox` in a method is of one of its roles"))),
        }
    }

    pub(super) fn applied(&mut self, operator: &Proximal, at: Expr, t: &Expr, block: usize) -> Res<Expr> {
        let several = self.blocks() > 1;
        let Instance { site, taken, lets, values, stable, origins, .. } = self;
        let own: HashSet<Symbol> = site.problem.params.iter().map(|param| param.name.text.clone()).collect();
        let catalogue = site.catalogue;
        let hidden = |name: &str| own.contains(name);
        let data = own.clone();
        let block_name = site.problem.over[block].name.text.clone();
        let mut name = |value: Expr| -> Expr {
            let mut steady = true;
            crate::types::names_in(&value, &mut |name| {
                let known = stable.contains(name) || data.contains(name) || crate::builtins::find(name).is_some();
                steady &=
                    known || site.kept.iter().any(|binding| binds(binding, name)) || catalogue.function(name).is_some();
            });
            if tree::is_atomic(&value) || !steady {
                return value;
            }
            let text = crate::syntax::pretty::expr(&value);
            if let Some(known) = values.get(&text) {
                return tree::name(known);
            }
            let mut own: Symbol = if several { format!("theta_{block_name}").into() } else { "theta".into() };
            if taken.contains(&own) {
                own = format!("theta_{block_name}").into();
            }
            let base = own.clone();
            let mut number = 2;
            while taken.contains(&own) {
                own = format!("{base}{number}").into();
                number += 1;
            }
            taken.insert(own.clone());
            stable.insert(own.clone());
            values.insert(text, own.clone());
            origins.push((own.clone(), super::Origin::Threshold));
            lets.push(tree::let_(&own, value));
            tree::name(&own)
        };
        let mut applier = Applier { terms: site.terms, catalogue, hidden: &hidden, name: &mut name };
        applier.apply(operator, at, t).map_err(|refusal| Box::new(no_operator(&refusal)))
    }

    /// The terms behind the map of a lane, and the block that it is in; all of them in their block if there is one map.
    fn behind(&self, parts: Vec<usize>, at: usize) -> (Vec<usize>, usize) {
        if self.stacked() { (self.lanes[at].clone(), 0) } else { (parts, at) }
    }

    /// prox_{t g*}(u) = u - t prox_{g/t}(u/t), Moreau's identity.
    pub(super) fn conjugate(&mut self, of: &Expr, at: Expr, t: Expr, mut block: usize) -> Res<Expr> {
        let operator = match self.role(of) {
            Some(Filled::Proximal(operators, _)) => operators[block].clone(),
            Some(Filled::Mapped(_, parts)) => {
                let (parts, own) = self.behind(parts.clone(), block);
                block = own;
                self.mapped_operator(&parts)?
            }
            Some(Filled::Smooth(_) | Filled::Entropic(_)) | None => {
                return Err(Box::new(Diagnostic::error(
                    "E0334",
                    of.span,
                    "`conjugate` in a method is of a proximable role",
                )));
            }
        };
        let at = self.named_points(&[at], 2).swap_remove(0);
        let inner = tree::chain(at.clone(), vec![(BinaryOp::Div, t.clone())]);
        let inverse = tree::chain(tree::int(1), vec![(BinaryOp::Div, t.clone())]);
        let inner = self.applied(&operator, inner, &inverse, block)?;
        Ok(tree::sub(at, tree::chain(t, vec![(BinaryOp::Mul, inner)])))
    }

    /// argmin_u t f(u) + |u - at|^2/2 for a quadratic f: one linear solve.
    pub(super) fn minimizer(&mut self, parts: &[usize], at: Expr, t: Expr, block: usize) -> Res<Expr> {
        let var = self.site.terms.block(block);
        if !parts.iter().any(|i| self.site.terms.depends(self.site.parts[*i].arg, block)) {
            return Ok(at);
        }
        let mut gradients = Vec::new();
        for i in parts {
            let part = self.site.parts[*i].clone();
            gradients.push(smooth::gradient(self.site.terms, &part, block));
        }
        let total = self.site.terms.add(gradients);
        // Without it a part of the map would be lost.
        let affine = self.site.terms.is_affine(total, var);
        let map = self.site.terms.linear_part(total, var);
        let offset = self.site.terms.offset(total, var);
        let step: Symbol = "the step".into();
        let t_id = self.site.terms.scalar_name(&step);
        let hole: Symbol = "the point".into();
        let shape = self.site.terms.shape(var).clone();
        self.site.terms.declare_name(&hole, shape);
        let point = self.site.terms.name(&hole);
        let terms = &mut *self.site.terms;
        // (I + t H) u = point - t c
        let moved = terms.mul(vec![t_id, offset]);
        let right = terms.sub(point, moved);
        let linear = terms.is_number(map, Rat::ZERO) && affine;
        let solution = match terms.factor_of(map, var).filter(|_| affine) {
            _ if linear => right,
            Some(factor) => {
                let one = terms.int(1);
                let scaled = terms.mul(vec![t_id, factor]);
                let divisor = terms.add(vec![one, scaled]);
                terms.div(right, divisor)
            }
            None => match terms.matrix_of(map, var).filter(|_| affine) {
                Some(matrix) => {
                    let scaled = terms.mul(vec![t_id, matrix]);
                    let identity = terms.matrix_of(var, var);
                    let Some(identity) = identity else { return Ok(at) };
                    let whole = terms.add(vec![identity, scaled]);
                    let shape = terms.shape(var).clone();
                    terms.intern(Op::Call("solve".into()), &[whole, right], shape)
                }
                None => {
                    let span = parts.first().map_or(self.site.at, |i| self.site.parts[*i].span);
                    return Err(Box::new(
                        Diagnostic::error("E0345", span, "the exact minimizer of these terms needs the matrix of their map, and it is not written as one")
                            .label(self.site.at, format!("`{}` minimizes them exactly", self.method.name.text))
                            .help("take a method that uses gradients only, such as `primal_dual`; or write the map as a product with a matrix"),
                    ));
                }
            },
        };
        let writer = write::Writer { terms: self.site.terms, blocks: &[] };
        let written = writer.write_with(solution, &step, &t);
        Ok(tree::put(&written, &[(hole, at)]))
    }
}

fn binds(binding: &Let, name: &str) -> bool {
    let mut found = false;
    crate::types::names_bound(binding, &mut |own| found |= own == name);
    found
}

pub(super) fn no_operator(refusal: &Refusal) -> Diagnostic {
    Diagnostic::error("E0341", refusal.span, format!("no proximal operator is known here: {}", refusal.reason))
        .help("declare a function of this term with its own `prox` rule, or replace it by a smooth one, such as `huber` for an absolute value")
}
