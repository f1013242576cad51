//! The normal form: an objective as a sum of weighted terms, each `w * f(u)` with a function f that has a name and an
//! argument u that is affine in the blocks where f is one that needs it.
//!
//! The ways to write one thing meet here: `sumsq(r)`, `r @ r`, `sum(r^2)`, `norm(r)^2`, `sum(r * r)` are one term. Numbers and
//! scalars that do not depend on the blocks become the weight. `maximize` turns signs, constraints become terms that are 0
//! or infinite.

mod sets;

use super::catalogue::Catalogue;
use super::rat::Rat;
use super::term::{Id, Op, Terms};
use crate::source::Span;
use crate::syntax::ast::Symbol;

/// What function a term is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The sum of squares of the argument.
    Square,
    /// `v @ (Q @ v)`; the argument is v, the first of the others Q.
    Form,
    /// The argument itself: a real that is affine in the blocks.
    Linear,
    /// The sum over elements of a smooth function of one number, by its name.
    Separable(Symbol),
    /// A function with a proximal operator, by its name.
    Atom(Symbol),
    /// The sum of such a function of each row, along the first axis of the argument; the first of the others, if there is one, is
    /// a weight for each row.
    Rows(Symbol),
    /// The argument itself: any other real.
    General,
    /// No block is in it.
    Constant,
}

/// One term: `weight * f(arg, extra...)`.
#[derive(Clone, Debug)]
pub struct Part {
    /// A real that does not depend on the blocks.
    pub weight: Id,
    pub kind: Kind,
    pub arg: Id,
    pub extra: Vec<Id>,
    /// Where it was written, with its weight.
    pub span: Span,
    /// It is a constraint.
    pub constraint: bool,
}

/// Functions that are the same at `-v`.
const EVEN: [&str; 11] = [
    "norm1",
    "norm2",
    "norm",
    "norm_inf",
    "group_norm",
    "stack_norm",
    "nuclear",
    "count",
    "huber",
    "tv1",
    "elastic_net",
];
/// Functions with `f(a v) = a f(v)` for positive a.
pub const HOMOGENEOUS: [&str; 9] =
    ["norm1", "norm2", "norm", "norm_inf", "group_norm", "stack_norm", "hinge", "nuclear", "tv1"];

/// Splits objectives into terms.
pub struct Normalizer<'a> {
    pub terms: &'a mut Terms,
    pub catalogue: &'a Catalogue,
    pub parts: Vec<Part>,
}

impl Normalizer<'_> {
    /// Adds the terms of an objective.
    pub fn objective(&mut self, id: Id, maximize: bool, span: Span) {
        let weight = self.terms.int(if maximize { -1 } else { 1 });
        self.split(id, weight, span);
    }

    fn push(&mut self, kind: Kind, weight: Id, arg: Id, extra: Vec<Id>, span: Span) {
        let mut part = Part { weight, kind, arg, extra, span, constraint: false };
        self.pull(&mut part);
        self.parts.push(part);
    }

    fn span_of(&self, id: Id, outer: Span) -> Span {
        let own = self.terms.span(id);
        if own.is_none() || own.file != outer.file || own.start < outer.start || own.end > outer.end {
            outer
        } else {
            own
        }
    }

    /// One summand of the objective.
    fn split(&mut self, id: Id, weight: Id, outer: Span) {
        if self.terms.is_constant(id) {
            return self.push(Kind::Constant, weight, id, Vec::new(), outer);
        }
        let args = self.terms.args(id);
        match self.terms.op(id).clone() {
            Op::Add => {
                for arg in args.iter() {
                    let span = self.span_of(*arg, outer);
                    self.split(*arg, weight, span);
                }
            }
            Op::Scale(factor) => {
                let weight = self.terms.scale(factor, weight);
                self.split(args[0], weight, outer);
            }
            Op::Mul => {
                let (mut constant, rest): (Vec<Id>, Vec<Id>) =
                    args.iter().partition(|arg| self.terms.is_constant(**arg) && self.terms.is_scalar(**arg));
                constant.push(weight);
                let weight = self.terms.mul(constant);
                match rest.as_slice() {
                    [only] => self.split(*only, weight, outer),
                    several => {
                        let rest = self.terms.mul(several.to_vec());
                        self.whole(rest, weight, outer);
                    }
                }
            }
            Op::MatMul if args[0] == args[1] => self.push(Kind::Square, weight, args[0], Vec::new(), outer),
            Op::MatMul => match self.quadratic_form(args[0], args[1]) {
                Some((v, q)) => self.push(Kind::Form, weight, v, vec![q], outer),
                // w @ f(y) is sum(w * f(y)).
                None if self.terms.rank(args[0]) == Some(1)
                    && self.terms.rank(args[1]) == Some(1)
                    && args.iter().any(|arg| self.terms.is_constant(*arg))
                    && !self.affine(id) =>
                {
                    let product = self.terms.mul(args.to_vec());
                    self.sum(product, weight, outer);
                }
                None => self.whole(id, weight, outer),
            },
            Op::Pow if self.terms.is_number(args[1], Rat::int(2)) => {
                let base = args[0];
                let inside = self.terms.call_of(base, "norm").or_else(|| self.terms.call_of(base, "abs"));
                match inside.or_else(|| self.terms.call_of(base, "norm2")) {
                    Some(inside) => self.push(Kind::Square, weight, inside[0], Vec::new(), outer),
                    None if self.affine(base) => self.push(Kind::Square, weight, base, Vec::new(), outer),
                    None => self.whole(id, weight, outer),
                }
            }
            Op::Call(name) => match (&*name, &*args) {
                ("sum", [inside]) => self.sum(*inside, weight, outer),
                ("mean", [inside]) => match self.terms.size(*inside) {
                    Some(size) => {
                        let weight = self.terms.div(weight, size);
                        self.sum(*inside, weight, outer);
                    }
                    None => self.whole(id, weight, outer),
                },
                ("sumsq", [inside]) => self.push(Kind::Square, weight, *inside, Vec::new(), outer),
                ("abs", [inside]) => self.push(Kind::Atom("norm1".into()), weight, *inside, Vec::new(), outer),
                ("norm", [inside]) => self.push(Kind::Atom("norm2".into()), weight, *inside, Vec::new(), outer),
                ("max", [inside]) => match self.terms.call_of(*inside, "abs") {
                    Some(inside) => self.push(Kind::Atom("norm_inf".into()), weight, inside[0], Vec::new(), outer),
                    None => self.whole(id, weight, outer),
                },
                ("norm1" | "count", [inside]) => self.push(Kind::Atom(name), weight, *inside, Vec::new(), outer),
                _ if self.catalogue.rule(&name).is_some()
                    && args[1..].iter().all(|arg| self.terms.is_constant(*arg)) =>
                {
                    self.push(Kind::Atom(name.clone()), weight, args[0], args[1..].to_vec(), outer);
                }
                _ => self.whole(id, weight, outer),
            },
            _ => self.whole(id, weight, outer),
        }
    }

    /// A term that is taken as it is.
    fn whole(&mut self, id: Id, weight: Id, span: Span) {
        let kind = if self.affine(id) { Kind::Linear } else { Kind::General };
        self.push(kind, weight, id, Vec::new(), span);
    }

    fn affine(&mut self, id: Id) -> bool {
        (0..self.terms.block_count()).all(|block| {
            let var = self.terms.block(block);
            self.terms.is_affine(id, var)
        }) && !self.bilinear(id)
    }

    /// Affine in each block, but with a product of two blocks.
    fn bilinear(&self, id: Id) -> bool {
        let args = self.terms.args(id);
        let product = matches!(self.terms.op(id), Op::Mul | Op::MatMul | Op::Conv(_))
            && args.iter().filter(|arg| !self.terms.is_constant(**arg)).count() > 1;
        product || args.iter().any(|arg| self.bilinear(*arg))
    }

    /// `v @ (Q @ v)` or `(v @ Q) @ v`.
    fn quadratic_form(&mut self, a: Id, b: Id) -> Option<(Id, Id)> {
        for (v, other) in [(a, b), (b, a)] {
            if *self.terms.op(other) != Op::MatMul || self.terms.rank(v) != Some(1) {
                continue;
            }
            let inner = self.terms.args(other);
            if inner[1] == v && self.terms.is_constant(inner[0]) && self.affine(v) {
                return Some((v, inner[0]));
            }
            if inner[0] == v && self.terms.is_constant(inner[1]) && self.affine(v) {
                return Some((v, inner[1]));
            }
        }
        None
    }

    /// `weight * sum(inside)`.
    fn sum(&mut self, inside: Id, weight: Id, outer: Span) {
        let args = self.terms.args(inside);
        if self.terms.is_scalar(inside) {
            return self.split(inside, weight, outer);
        }
        match self.terms.op(inside).clone() {
            // What is stretched to which shape is not known.
            Op::Add if self.terms.rank(inside).is_none() => self.sum_whole(inside, weight, outer),
            Op::Add => {
                for arg in args.iter() {
                    let span = self.span_of(*arg, outer);
                    self.sum_of(*arg, inside, weight, span);
                }
            }
            Op::Scale(factor) => {
                let weight = self.terms.scale(factor, weight);
                self.sum(args[0], weight, outer);
            }
            Op::Transpose => self.sum(args[0], weight, outer),
            Op::Mul => self.sum_of_product(inside, weight, outer),
            Op::Pow if self.terms.is_number(args[1], Rat::int(2)) => {
                let base = self.terms.call_of(args[0], "abs").map_or(args[0], |inside| inside[0]);
                self.push(Kind::Square, weight, base, Vec::new(), outer);
            }
            Op::Call(name) if &*name == "abs" => {
                self.push(Kind::Atom("norm1".into()), weight, args[0], Vec::new(), outer);
            }
            Op::Call(name) if args.len() == 1 && super::smooth::separable(&name).is_some() => {
                self.push(Kind::Separable(name), weight, args[0], Vec::new(), outer);
            }
            Op::Call(name) if matches!(&*name, "relu" | "max") => match self.positive_part(&name, &args) {
                Some(arg) => self.push(Kind::Atom("hinge".into()), weight, arg, Vec::new(), outer),
                None => self.sum_whole(inside, weight, outer),
            },
            Op::Call(name) if &*name == "sqrt" => match self.root_of_squares(args[0]) {
                // The squares of each row.
                Some(arg) if matches!(self.terms.op(args[0]), Op::Along(_, 1)) => {
                    self.push(Kind::Atom("group_norm".into()), weight, arg, Vec::new(), outer);
                }
                Some(arg) => self.push(Kind::Atom("stack_norm".into()), weight, arg, Vec::new(), outer),
                None => self.sum_whole(inside, weight, outer),
            },
            // log(1 + exp(u)), as it is often written.
            Op::Call(name) if &*name == "log" || &*name == "log1p" => match self.softplus_argument(inside) {
                Some(u) => self.push(Kind::Separable("softplus".into()), weight, u, Vec::new(), outer),
                None => self.sum_whole(inside, weight, outer),
            },
            Op::Rows(name) => match &*name {
                "norm" if self.terms.rank(args[0]) == Some(2) => {
                    self.push(Kind::Atom("group_norm".into()), weight, args[0], Vec::new(), outer);
                }
                "norm1" => self.push(Kind::Atom("norm1".into()), weight, args[0], Vec::new(), outer),
                "sumsq" => self.push(Kind::Square, weight, args[0], Vec::new(), outer),
                "sum" => self.sum(args[0], weight, outer),
                _ if self.has_operator(&name) => self.push(Kind::Rows(name), weight, args[0], Vec::new(), outer),
                _ => self.sum_whole(inside, weight, outer),
            },
            _ => self.sum_whole(inside, weight, outer),
        }
    }

    /// A function of one array that stays one where it is summed over rows: its square has a form of its own.
    fn has_operator(&self, name: &str) -> bool {
        name != "sumsq" && self.catalogue.rule(name).is_some_and(|rule| rule.args.len() == 1)
    }

    fn sum_whole(&mut self, inside: Id, weight: Id, outer: Span) {
        let sum = self.terms.call("sum", vec![inside]);
        self.whole(sum, weight, outer);
    }

    /// One summand inside a sum over the elements of a larger array.
    fn sum_of(&mut self, part: Id, whole: Id, weight: Id, outer: Span) {
        if self.terms.rank(part) == self.terms.rank(whole) {
            return self.sum(part, weight, outer);
        }
        let (Some(size), Some(own)) = (self.terms.size(whole), self.terms.size(part)) else {
            let zeros = {
                let shape = self.terms.shape(whole).clone();
                self.terms.zeros(&shape)
            };
            let filled = self.terms.intern(Op::Add, &[part, zeros], None);
            return self.sum_whole(filled, weight, outer);
        };
        let ratio = self.terms.div(size, own);
        let weight = self.terms.mul(vec![weight, ratio]);
        self.sum(part, weight, outer);
    }

    fn sum_of_product(&mut self, inside: Id, weight: Id, outer: Span) {
        let args = self.terms.args(inside);
        let (mut scalars, arrays): (Vec<Id>, Vec<Id>) =
            args.iter().partition(|arg| self.terms.is_scalar(**arg) && self.terms.is_constant(**arg));
        if !scalars.is_empty() {
            scalars.push(weight);
            let weight = self.terms.mul(scalars);
            let rest = self.terms.mul(arrays);
            return self.sum(rest, weight, outer);
        }
        // sum(v * (Q @ v)) is v @ (Q @ v).
        let is_product = |arg: &Id| *self.terms.op(*arg) == Op::MatMul && self.terms.rank(*arg) == Some(1);
        for product in arrays.iter().copied().filter(is_product).collect::<Vec<_>>() {
            let others: Vec<Id> = arrays.iter().filter(|arg| **arg != product).copied().collect();
            let v = self.terms.mul(others);
            let factors = self.terms.args(product);
            if factors[1] == v && self.terms.is_constant(factors[0]) && self.affine(v) {
                return self.push(Kind::Form, weight, v, vec![factors[0]], outer);
            }
        }
        let (constant, moving): (Vec<Id>, Vec<Id>) = arrays.iter().partition(|arg| self.terms.is_constant(**arg));
        // y * log(y)
        if let ([], [a, b]) = (constant.as_slice(), moving.as_slice()) {
            for (y, log) in [(*a, *b), (*b, *a)] {
                if self.terms.call_of(log, "log").is_some_and(|inside| inside[0] == y) {
                    return self.push(Kind::Atom("negentropy".into()), weight, y, Vec::new(), outer);
                }
            }
        }
        if let [only] = moving.as_slice()
            && !constant.is_empty()
            && self.terms.same_shape(*only, inside)
        {
            let own = self.terms.args(*only);
            match self.terms.op(*only).clone() {
                // sum(w * u^2) = sumsq(sqrt(w) * u), for weights that are not negative.
                Op::Pow if self.terms.is_number(own[1], Rat::int(2)) => {
                    let w = self.terms.mul(constant);
                    let root = self.terms.call("sqrt", vec![w]);
                    let arg = self.terms.mul(vec![root, own[0]]);
                    return self.push(Kind::Square, weight, arg, Vec::new(), outer);
                }
                Op::Call(name) if &*name == "abs" => {
                    let mut factors = constant;
                    factors.push(own[0]);
                    let arg = self.terms.mul(factors);
                    return self.push(Kind::Atom("norm1".into()), weight, arg, Vec::new(), outer);
                }
                // sum(w * sumsq(each U)) = sumsq((sqrt(w) * U')')
                Op::Rows(name) if &*name == "sumsq" && self.terms.rank(own[0]) == Some(2) => {
                    let w = self.terms.mul(constant);
                    let (root, turned) = (self.terms.call("sqrt", vec![w]), self.terms.transpose(own[0]));
                    let scaled = self.terms.mul(vec![root, turned]);
                    let arg = self.terms.transpose(scaled);
                    return self.push(Kind::Square, weight, arg, Vec::new(), outer);
                }
                Op::Rows(name) if self.has_operator(&name) => {
                    let weights = self.terms.mul(constant);
                    return self.push(Kind::Rows(name), weight, own[0], vec![weights], outer);
                }
                _ => {}
            }
        }
        self.sum_whole(inside, weight, outer);
    }

    /// u of `relu(u)`, `max(u, 0)` or `max(0, u)`.
    fn positive_part(&mut self, name: &str, args: &[Id]) -> Option<Id> {
        let inside = match (name, args) {
            ("relu", [u]) => *u,
            ("max", [u, zero]) if self.terms.is_number(*zero, Rat::ZERO) => *u,
            ("max", [zero, u]) if self.terms.is_number(*zero, Rat::ZERO) => *u,
            _ => return None,
        };
        self.affine_in(inside).then_some(inside)
    }

    /// `[u, v]` of `u^2 + v^2`, or V of `sum(V^2, axis: 0)`, or of another axis of a matrix.
    fn root_of_squares(&mut self, id: Id) -> Option<Id> {
        let args = self.terms.args(id);
        let square = |terms: &Terms, id: Id| {
            let parts = terms.args(id);
            (*terms.op(id) == Op::Pow && terms.is_number(parts[1], Rat::int(2))).then(|| parts[0])
        };
        if let Op::Along(name, axis) = self.terms.op(id) {
            let fits = &**name == "sum" && (*axis == 0 || (*axis == 1 && self.terms.rank(args[0]) == Some(2)));
            let arg = square(self.terms, args[0]).filter(|_| fits)?;
            return self.affine_in(arg).then_some(arg);
        }
        if *self.terms.op(id) != Op::Add {
            return None;
        }
        let mut parts = Vec::new();
        for arg in args.iter() {
            let (factor, rest) = self.terms.split_scale(*arg);
            let mut part = square(self.terms, rest)?;
            if factor.is_negative() || !self.affine_in(part) || !self.terms.same_shape(part, id) {
                return None;
            }
            if factor != Rat::ONE {
                let factor = self.terms.number(factor);
                let root = self.terms.call("sqrt", vec![factor]);
                part = self.terms.mul(vec![root, part]);
            }
            parts.push(part);
        }
        Some(self.terms.stack(parts))
    }

    /// Affine in the blocks, and not constant.
    fn affine_in(&mut self, id: Id) -> bool {
        !self.terms.is_constant(id) && self.affine(id)
    }

    /// u of `log(1 + exp(u))` or `log1p(exp(u))`.
    fn softplus_argument(&mut self, id: Id) -> Option<Id> {
        let inside = self.terms.args(id)[0];
        let exponential = match self.terms.call_of(id, "log1p") {
            Some(_) => inside,
            None => {
                let parts = self.terms.args(inside);
                match (self.terms.op(inside), &*parts) {
                    (Op::Add, [exponential, one]) if self.terms.is_number(*one, Rat::ONE) => *exponential,
                    _ => return None,
                }
            }
        };
        self.terms.call_of(exponential, "exp").map(|inside| inside[0])
    }

    /// Pulls numbers out of the argument, and gives it the sign in which the block stands first without a minus.
    fn pull(&mut self, part: &mut Part) {
        let even = match &part.kind {
            Kind::Square | Kind::Form => true,
            Kind::Atom(name) | Kind::Rows(name) => EVEN.contains(&&**name),
            Kind::Linear | Kind::Separable(_) | Kind::General | Kind::Constant => false,
        };
        if even {
            let lead = match self.terms.op(part.arg) {
                Op::Add => self.terms.args(part.arg)[0],
                _ => part.arg,
            };
            if let Op::Scale(factor) = self.terms.op(lead)
                && factor.is_negative()
            {
                part.arg = self.terms.neg(part.arg);
            }
        }
        let (factor, rest) = match self.terms.op(part.arg) {
            Op::Scale(factor) => (*factor, self.terms.args(part.arg)[0]),
            _ => (Rat::ONE, part.arg),
        };
        let weight = match &part.kind {
            Kind::Square | Kind::Form => factor.mul(factor),
            Kind::Atom(name) | Kind::Rows(name) if HOMOGENEOUS.contains(&&**name) && !factor.is_negative() => {
                Some(factor)
            }
            Kind::Linear => Some(factor),
            Kind::Atom(_) | Kind::Rows(_) | Kind::Separable(_) | Kind::General | Kind::Constant => None,
        };
        if let Some(weight) = weight {
            part.arg = rest;
            part.weight = self.terms.scale(weight, part.weight);
        }
        // A scalar of data in the argument of a square or a linear term belongs to the weight.
        if matches!(part.kind, Kind::Square | Kind::Linear | Kind::Form) && *self.terms.op(part.arg) == Op::Mul {
            let (scalars, rest): (Vec<Id>, Vec<Id>) = self
                .terms
                .args(part.arg)
                .iter()
                .partition(|arg| self.terms.is_scalar(**arg) && self.terms.is_constant(**arg));
            if !scalars.is_empty() && !rest.is_empty() {
                part.arg = self.terms.mul(rest);
                let mut factors = vec![part.weight];
                for scalar in scalars {
                    factors.push(scalar);
                    if part.kind != Kind::Linear {
                        factors.push(scalar);
                    }
                }
                part.weight = self.terms.mul(factors);
            }
        }
    }
}
