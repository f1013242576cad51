//! Constraints as terms that are 0 where they hold: bounds, equations, membership in a set.

use super::{Kind, Normalizer, Part};
use crate::derive::rat::Rat;
use crate::derive::read::{Names, Reader};
use crate::derive::term::{Id, Op};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{ArgValue, CompareOp, Constraint, Expr, ExprKind};

/// The name of a set, its argument, and what else it takes.
type Set = (String, Id, Vec<Id>);

impl Normalizer<'_> {
    /// Adds a constraint as a term that is 0 where it holds.
    pub fn constraint(&mut self, names: &Names, constraint: &Constraint) -> Result<(), Box<Diagnostic>> {
        let span = match &constraint.set {
            Some(set) => constraint.expr.span.to(set.span),
            None => constraint.expr.span,
        };
        let found = match &constraint.set {
            Some(set) => self.membership(names, constraint, set)?,
            None => self.inequality(names, constraint).map(|found| self.bare(found)),
        };
        match found {
            Some((atom, arg, extra)) => {
                let weight = self.terms.int(1);
                let part = Part { weight, kind: Kind::Atom(atom.into()), arg, extra, span, constraint: true };
                self.parts.push(part);
                Ok(())
            }
            None => Err(Box::new(
                Diagnostic::error("E0340", span, "this constraint has no form that a solver can project on")
                    .note(
                        "known are `A @ y == b`, `y >= 0`, `y <= hi`, `lo <= y`, `norm2(y) <= r`, `norm1(y) <= r`, `max(abs(y)) <= r`, \
                         `count(y) <= M`, also of linear maps of y, and `y in f` for a function f with a proximal operator",
                    )
                    .help("declare the projection: `fn inside(y: real[n]) = ...` and `prox inside(y; t) = ...`, then `y in inside`"),
            )),
        }
    }

    /// Bounds of a scaled and shifted argument as bounds of the argument: `-2 * y + 1 <= 3` is `-1 <= y`.
    fn bare(&mut self, (set, arg, bounds): Set) -> Set {
        let terms = &mut *self.terms;
        if !matches!(&*set, "box" | "nonneg") {
            // A ball of another size.
            return match (terms.op(arg).clone(), &*set) {
                (Op::Scale(factor), "ball1" | "ball2" | "ball_inf") => {
                    let size = terms.number(factor.abs());
                    (set, terms.args(arg)[0], vec![terms.div(bounds[0], size)])
                }
                _ => (set, arg, bounds),
            };
        }
        let infinite = terms.scalar_name(&"inf".into());
        let lowest = terms.neg(infinite);
        let (mut low, mut high) = match bounds.as_slice() {
            [low, high] => (*low, *high),
            _ => (terms.int(0), infinite),
        };
        let mut arg = arg;
        if *terms.op(arg) == Op::Add {
            let (shift, rest): (Vec<Id>, Vec<Id>) = terms.args(arg).iter().partition(|part| terms.is_constant(**part));
            if !shift.is_empty() && !rest.is_empty() {
                let shift = terms.add(shift);
                let moved = terms.add(rest);
                // What is added may have filled a larger shape.
                if terms.same_shape(moved, arg) {
                    arg = moved;
                    for bound in [&mut low, &mut high] {
                        if *bound != infinite && *bound != lowest {
                            *bound = terms.sub(*bound, shift);
                        }
                    }
                }
            }
        }
        if let Op::Scale(factor) = *terms.op(arg) {
            arg = terms.args(arg)[0];
            let divisor = terms.number(factor.abs());
            for bound in [&mut low, &mut high] {
                if *bound != infinite && *bound != lowest {
                    *bound = terms.div(*bound, divisor);
                }
            }
            if factor.is_negative() {
                (low, high) = (terms.neg(high), terms.neg(low));
            }
        }
        match terms.is_number(low, Rat::ZERO) && high == infinite {
            true => ("nonneg".to_string(), arg, Vec::new()),
            false => ("box".to_string(), arg, vec![low, high]),
        }
    }

    /// `y >= 0` with `sum(y) == 1` is the simplex.
    pub fn join_simplex(&mut self) {
        let (terms, parts) = (&*self.terms, &self.parts);
        let atom = |part: &Part, name: &str| part.constraint && part.kind == Kind::Atom(name.into());
        let one = |part: &Part| part.extra.iter().all(|bound| terms.is_number(*bound, Rat::ONE));
        let found = parts.iter().enumerate().find_map(|(total, part)| {
            let inside = terms.call_of(part.arg, "sum").filter(|_| atom(part, "box") && one(part))?;
            let vector = matches!(terms.op(inside[0]), Op::Block(_)) && terms.rank(inside[0]) == Some(1);
            let sign = parts.iter().position(|other| atom(other, "nonneg") && other.arg == inside[0])?;
            vector.then_some((total, sign))
        });
        if let Some((total, sign)) = found {
            let span = self.parts[sign].span.to(self.parts[total].span);
            self.parts[sign] = Part { kind: Kind::Atom("simplex".into()), span, ..self.parts[sign].clone() };
            self.parts.remove(total);
        }
    }

    fn membership(
        &mut self,
        names: &Names,
        constraint: &Constraint,
        set: &Expr,
    ) -> Result<Option<Set>, Box<Diagnostic>> {
        let (name, args) = match &set.kind {
            ExprKind::Name(name) => (name.clone(), Vec::new()),
            ExprKind::Call { func, args } => match &func.kind {
                ExprKind::Name(name) => (name.clone(), args.clone()),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let mut reader = Reader::new(self.terms, self.catalogue);
        let arg = reader.read(names, &constraint.expr);
        let mut extra = Vec::new();
        for arg in &args {
            let ArgValue::Expr(value) = &arg.value else { return Ok(None) };
            extra.push(reader.read(names, value));
        }
        if self.catalogue.rule(&name).is_none() {
            return Err(Box::new(
                Diagnostic::error("E0340", set.span, format!("`{name}` is no set: it has no projection"))
                    .help(format!("declare one: `fn {name}(y: real[n]) = ...` and `prox {name}(y; t) = ...`")),
            ));
        }
        Ok(Some((name.to_string(), arg, extra)))
    }

    fn inequality(&mut self, names: &Names, constraint: &Constraint) -> Option<Set> {
        let ExprKind::Compare { op, left, right } = &constraint.expr.kind else { return None };
        let mut reader = Reader::new(self.terms, self.catalogue);
        let (mut low, mut high) = (reader.read(names, left), reader.read(names, right));
        match op {
            CompareOp::Le | CompareOp::Lt => {}
            CompareOp::Ge | CompareOp::Gt => std::mem::swap(&mut low, &mut high),
            CompareOp::Eq if self.terms.is_constant(low) => std::mem::swap(&mut low, &mut high),
            CompareOp::Eq => {}
            CompareOp::Ne => return None,
        }
        if *op == CompareOp::Eq {
            // What is equal to a value lies between it and itself.
            let fits = !self.terms.is_constant(low) && self.terms.is_constant(high) && self.affine(low);
            return fits.then(|| ("box".into(), low, vec![high, high]));
        }
        let affine = (self.affine(low), self.affine(high));
        let terms = &mut *self.terms;
        match (terms.is_constant(low), terms.is_constant(high)) {
            // f(y) <= r
            (false, true) => {
                let name = match terms.op(low) {
                    Op::Call(name) => name.to_string(),
                    _ => String::new(),
                };
                let args = terms.args(low);
                let inside = args.first().copied();
                match (name.as_str(), inside) {
                    ("count", Some(y)) => Some(("at_most".into(), y, vec![high])),
                    ("norm" | "norm2", Some(y)) => Some(("ball2".into(), y, vec![high])),
                    ("norm1", Some(y)) => Some(("ball1".into(), y, vec![high])),
                    ("norm_inf", Some(y)) => Some(("ball_inf".into(), y, vec![high])),
                    ("max", Some(y)) if args.len() == 1 => {
                        let inside = terms.call_of(y, "abs")?;
                        Some(("ball_inf".into(), inside[0], vec![high]))
                    }
                    ("abs", Some(y)) => Some(("ball_inf".into(), y, vec![high])),
                    ("sumsq", Some(y)) => {
                        let root = terms.call("sqrt", vec![high]);
                        Some(("ball2".into(), y, vec![root]))
                    }
                    _ if affine.0 => {
                        let infinite = terms.scalar_name(&"inf".into());
                        let lowest = terms.neg(infinite);
                        Some(("box".into(), low, vec![lowest, high]))
                    }
                    _ => None,
                }
            }
            // lo <= y
            (true, false) if affine.1 => {
                if terms.is_number(low, Rat::ZERO) {
                    return Some(("nonneg".into(), high, Vec::new()));
                }
                let infinite = terms.scalar_name(&"inf".into());
                Some(("box".into(), high, vec![low, infinite]))
            }
            _ => None,
        }
    }
}
