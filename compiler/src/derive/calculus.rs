//! The proximal calculus: from operators of functions (`prox` rules) to the operator of what an objective has on a block:
//! positive scaling, argument scaling and shift, sums where the operators compose, conjugates by Moreau's identity.
//!
//! prox_{t g}(v) = argmin_u t g(u) + |u - v|^2 / 2. Parikh and Boyd, "Proximal Algorithms" (2014), sections 2.1 to 2.2.

use super::catalogue::Catalogue;
use super::normal::{HOMOGENEOUS, Kind, Part};
use super::rat::Rat;
use super::read::{Names, Reader};
use super::term::{Id, Op, Terms};
use super::{tree, write};
use crate::source::Span;
use crate::syntax::ast::{Arg, ArgValue, BinaryOp, Custom, Expr, ExprKind, Name, Symbol};

/// One function whose operator is known, with its weight, of `factor * block + shift`.
#[derive(Clone, Debug)]
pub struct Piece {
    pub atom: Symbol,
    pub extra: Vec<Id>,
    pub weight: Id,
    pub factor: Id,
    pub shift: Option<Id>,
    /// It is the sum of the function of each row: the operator acts on each, with a weight of its own if the weight is a vector.
    pub rows: bool,
    pub span: Span,
    pub constraint: bool,
}

/// The operator of the sum of some terms on one block: the pieces' operators, in this order.
#[derive(Clone, Debug, Default)]
pub struct Proximal {
    pub pieces: Vec<Piece>,
}

/// Why there is no operator.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub span: Span,
    pub reason: String,
}

/// Functions that are a sum over elements: the projection on an interval may follow their operator.
const BY_ELEMENTS: [&str; 6] = ["norm1", "huber", "hinge", "elastic_net", "nonneg", "box"];
/// Intervals for each element.
const INTERVALS: [&str; 3] = ["nonneg", "box", "ball_inf"];

/// Reads a term as a function with an operator of a scaled and shifted block.
pub fn piece(terms: &mut Terms, catalogue: &Catalogue, part: &Part, block: usize) -> Result<Piece, Refusal> {
    let refuse = |reason: String| Refusal { span: part.span, reason };
    let var = terms.block(block);
    let mut weight = part.weight;
    let (atom, extra) = match &part.kind {
        Kind::Atom(name) => (name.clone(), part.extra.clone()),
        Kind::Rows(name) => {
            weight = terms.mul(part.extra.iter().copied().chain([weight]).collect());
            (name.clone(), Vec::new())
        }
        Kind::Square => (Symbol::from("sumsq"), Vec::new()),
        Kind::Form | Kind::Linear | Kind::Separable(_) | Kind::General | Kind::Constant => {
            return Err(refuse("it is not a function with a proximal operator".to_string()));
        }
    };
    if rule_of(catalogue, &atom).is_none() {
        return Err(refuse(format!("`{atom}` has no proximal operator")));
    }
    if !terms.is_affine(part.arg, var) {
        return Err(refuse(format!("the argument of `{atom}` is not affine in `{}`", terms.block_name(block))));
    }
    let map = terms.linear_part(part.arg, var);
    let offset = terms.offset(part.arg, var);
    if !terms.is_constant(offset) {
        return Err(refuse(format!("the argument of `{atom}` has several blocks in it")));
    }
    let zero = matches!(terms.op(offset), Op::Number(Rat::ZERO));
    let shift = if zero { None } else { Some(offset) };
    if let Some(factor) = terms.factor_of(map, var) {
        return Ok(Piece {
            atom,
            extra,
            weight,
            factor,
            shift,
            rows: matches!(part.kind, Kind::Rows(_)),
            span: part.span,
            constraint: part.constraint,
        });
    }
    // |w * y|_1 with an array w: a threshold for each element; (w * y')' has one for each row.
    if part.kind == Kind::Atom("norm1".into()) && shift.is_none() {
        let turned = terms.transpose(var);
        let (product, of, rows) = match terms.op(map) {
            Op::Transpose => (terms.args(map)[0], turned, true),
            _ => (map, var, false),
        };
        let factors: Vec<Id> = terms.args(product).iter().copied().filter(|arg| *arg != of).collect();
        let one_each = !rows || factors.iter().all(|factor| terms.rank(*factor).is_some_and(|rank| rank <= 1));
        if *terms.op(product) == Op::Mul && factors.len() + 1 == terms.args(product).len() && one_each {
            let own = terms.mul(factors);
            let size = terms.call("abs", vec![own]);
            let weight = terms.mul(vec![part.weight, size]);
            let factor = terms.int(1);
            return Ok(Piece { atom, extra, weight, factor, shift, rows, span: part.span, constraint: false });
        }
    }
    Err(refuse(format!(
        "`{atom}` is applied to `{}`, which is not `{}` scaled and shifted",
        write::text(terms, part.arg),
        terms.block_name(block)
    )))
}

/// The name under which the rule of an atom is declared.
fn rule_of<'a>(catalogue: &Catalogue, atom: &'a str) -> Option<&'a str> {
    if catalogue.rule(atom).is_some() {
        return Some(atom);
    }
    (atom == "norm2" && catalogue.rule("norm").is_some()).then_some("norm")
}

/// The operator of a sum of terms on one block.
pub fn proximal(terms: &mut Terms, mut pieces: Vec<Piece>) -> Result<Proximal, Refusal> {
    // Equal functions add their weights; intervals meet in one interval.
    let mut joined: Vec<Piece> = Vec::new();
    pieces.sort_by_key(|piece| rank(&piece.atom));
    for piece in pieces {
        let same = |known: &&mut Piece| {
            known.atom == piece.atom
                && known.extra == piece.extra
                && known.rows == piece.rows
                && known.factor == piece.factor
                && known.shift == piece.shift
        };
        if let Some(known) = joined.iter_mut().find(same) {
            if !piece.constraint {
                known.weight = terms.add(vec![known.weight, piece.weight]);
            }
            continue;
        }
        if let Some(known) = joined.iter_mut().find(|known| is_interval(terms, known) && is_interval(terms, &piece)) {
            let (low_a, high_a) = interval(terms, known);
            let (low_b, high_b) = interval(terms, &piece);
            let (low, high) = (tighter(terms, low_a, low_b, "max"), tighter(terms, high_a, high_b, "min"));
            known.atom = "box".into();
            known.extra = vec![low, high];
            continue;
        }
        joined.push(piece);
    }
    for pair in joined.windows(2) {
        let (first, second) = (&pair[0], &pair[1]);
        if !composes(terms, first, second) {
            return Err(Refusal {
                span: second.span,
                reason: format!(
                    "`{}` and `{}` both act on the block, and the operator of their sum is not the composition of theirs",
                    first.atom, second.atom
                ),
            });
        }
    }
    if joined.len() > 2 {
        return Err(Refusal {
            span: joined[2].span,
            reason: "the operator of a sum of three functions is not known".to_string(),
        });
    }
    Ok(Proximal { pieces: joined })
}

fn is_interval(terms: &Terms, piece: &Piece) -> bool {
    INTERVALS.contains(&&*piece.atom) && piece.shift.is_none() && terms.is_number(piece.factor, Rat::ONE)
}

fn interval(terms: &mut Terms, piece: &Piece) -> (Id, Id) {
    match &*piece.atom {
        "nonneg" => (terms.int(0), terms.scalar_name(&"inf".into())),
        "ball_inf" => (terms.neg(piece.extra[0]), piece.extra[0]),
        _ => (piece.extra[0], piece.extra[1]),
    }
}

/// The greater of two lower bounds, or the lesser of two upper ones.
fn tighter(terms: &mut Terms, a: Id, b: Id, by: &str) -> Id {
    let infinite = |terms: &Terms, id: Id| {
        let inner = match terms.op(id) {
            Op::Scale(_) => terms.args(id)[0],
            _ => id,
        };
        matches!(terms.op(inner), Op::Name(name) if &**name == "inf")
    };
    if infinite(terms, a) || a == b {
        return b;
    }
    if infinite(terms, b) {
        return a;
    }
    match (terms.as_number(a), terms.as_number(b)) {
        (Some(x), Some(y)) => match (by == "max") == x.less(y) {
            true => b,
            false => a,
        },
        _ => terms.call(by, vec![a, b]),
    }
}

/// Shrinking comes before projecting.
fn rank(atom: &str) -> usize {
    match atom {
        "tv1" => 0,
        "norm1" | "huber" | "hinge" | "elastic_net" => 1,
        "nonneg" | "box" | "ball_inf" => 2,
        "norm2" | "norm" | "group_norm" | "stack_norm" => 3,
        "count" | "at_most" => 4,
        "ball2" => 5,
        _ => 6,
    }
}

/// prox_{f + g} = prox_g after prox_f: Yu, "On decomposing the proximal map" (2013), theorem 1 and its examples.
fn composes(terms: &Terms, first: &Piece, second: &Piece) -> bool {
    let plain = |piece: &Piece| piece.shift.is_none() && terms.as_number(piece.factor) == Some(Rat::ONE);
    if !plain(first) || !plain(second) {
        return false;
    }
    match (&*first.atom, &*second.atom) {
        (first, second) if BY_ELEMENTS.contains(&first) && INTERVALS.contains(&second) => true,
        ("norm1", "norm2" | "norm" | "group_norm") => true,
        // Friedman, Hastie, Hoefling and Tibshirani, Ann. Appl. Stat. 2007; for one weight, since neighbours that are equal must
        // stay so.
        ("tv1", "norm1") => terms.is_scalar(second.weight),
        // A cone, then a function of the norm, or a choice of the largest elements.
        ("nonneg", "norm2" | "norm" | "ball2" | "at_most" | "count") => true,
        ("norm1", "ball2") => true,
        _ => false,
    }
}

/// Applies operators to expressions.
pub struct Applier<'a> {
    pub terms: &'a mut Terms,
    pub catalogue: &'a Catalogue,
    /// Names that the solver gives another meaning: functions of these names are not called.
    pub hidden: &'a dyn Fn(&str) -> bool,
    /// Gives a threshold a name of its own, where it does not change from pass to pass.
    pub name: &'a mut dyn FnMut(Expr) -> Expr,
}

impl Applier<'_> {
    /// The operator at `v` with step `t`, in source.
    pub fn apply(&mut self, proximal: &Proximal, v: Expr, t: &Expr) -> Result<Expr, Refusal> {
        if let [shrink, cone] = proximal.pieces.as_slice()
            && &*shrink.atom == "norm1"
            && !shrink.rows
            && &*cone.atom == "nonneg"
        {
            // The l1 norm of what is not negative is its sum: relu(v - t).
            let t = self.step(shrink, t);
            return self.rule(cone, vec![], tree::sub(v, t), &tree::int(1));
        }
        let mut value = v;
        for piece in &proximal.pieces {
            value = self.one(piece, value, t)?;
        }
        Ok(value)
    }

    /// The step of a piece: t times its weight, as a name if it has one.
    fn step(&mut self, piece: &Piece, t: &Expr) -> Expr {
        let t = self.read(t);
        let total = self.terms.mul(vec![t, piece.weight]);
        let written = write::write(self.terms, total);
        (self.name)(written)
    }

    fn read(&mut self, e: &Expr) -> Id {
        let mut names = Names::default();
        crate::types::names_in(e, &mut |name| {
            if crate::builtins::find(name).is_none() && !names.has(name) {
                let id = self.terms.scalar_name(&name.into());
                names.bind(&name.into(), id);
            }
        });
        Reader::new(self.terms, self.catalogue).read(&names, e)
    }

    fn one(&mut self, piece: &Piece, v: Expr, t: &Expr) -> Result<Expr, Refusal> {
        let mut piece = piece.clone();
        // |a| comes out of norms.
        if piece.shift.is_none() && HOMOGENEOUS.contains(&&*piece.atom) && &*piece.atom != "hinge" {
            let size = self.terms.call("abs", vec![piece.factor]);
            piece.weight = self.terms.mul(vec![piece.weight, size]);
            piece.factor = self.terms.int(1);
        }
        let unscaled = self.terms.is_number(piece.factor, Rat::ONE);
        let extra: Vec<Expr> = piece.extra.iter().map(|id| write::write(self.terms, *id)).collect();
        // prox_{t f(a . + s)}(v) = (prox_{a^2 t f}(a v + s) - s) / a
        let mut inner = v;
        if !unscaled {
            let two = self.terms.int(2);
            let square = self.terms.pow(piece.factor, two);
            piece.weight = self.terms.mul(vec![piece.weight, square]);
            let factor = write::write(self.terms, piece.factor);
            inner = tree::chain(factor, vec![(BinaryOp::Mul, inner)]);
        }
        // The point has the whole shape: a number that fills it is the number.
        let number = |terms: &Terms, shift: Id| match (terms.op(shift), &*terms.args(shift)) {
            (Op::Add, [only, zeros]) if terms.is_scalar(*only) && terms.is_number(*zeros, Rat::ZERO) => *only,
            _ => shift,
        };
        let shift = piece.shift.map(|shift| write::write(self.terms, number(self.terms, shift)));
        if let Some(shift) = &shift {
            inner = tree::chain(inner, vec![(BinaryOp::Add, shift.clone())]);
        }
        let step = if piece.constraint { tree::int(1) } else { self.step(&piece, t) };
        let mut value = self.rule(&piece, extra, inner, &step)?;
        if let Some(shift) = shift {
            value = tree::sub(value, shift);
        }
        if !unscaled {
            let factor = write::write(self.terms, piece.factor);
            value = tree::chain(value, vec![(BinaryOp::Div, factor)]);
        }
        Ok(value)
    }

    /// The operator of a function: its rule with the arguments in their places if that is one expression that uses the
    /// point once, else `prox(f)(v, ..., t)`.
    fn rule(&mut self, piece: &Piece, extra: Vec<Expr>, v: Expr, t: &Expr) -> Result<Expr, Refusal> {
        let (atom, span) = (&*piece.atom, piece.span);
        let Some(declared) = rule_of(self.catalogue, atom) else {
            return Err(Refusal { span, reason: format!("`{atom}` has no proximal operator") });
        };
        let rule = self.catalogue.rule(declared).cloned();
        if let Some(rule) = &rule
            && rule.args.len() == extra.len() + 1
            && rule.after.len() == 1
        {
            let mut uses = 0;
            let mut clash = false;
            crate::types::names_in(&rule.body, &mut |name| {
                uses += usize::from(name == &*rule.args[0].text);
                let own = rule.args.iter().chain(&rule.after).any(|arg| &*arg.text == name);
                let redefined = !self.catalogue.has_own_rule(declared) && self.catalogue.redefines(name);
                clash |= !own && ((self.hidden)(name) || redefined);
            });
            if piece.rows
                && !clash
                && let Some(mapped) = on_rows(rule, v.clone(), t, self.terms.is_scalar(piece.weight))
            {
                return Ok(mapped);
            }
            let simple =
                !piece.rows && !matches!(rule.body.kind, ExprKind::Block(_) | ExprKind::Loop(_) | ExprKind::If { .. });
            // A function of std that the problem hides is reached through `prox(f)`, which has the names of its own place.
            if simple && !clash && (uses <= 1 || tree::is_atomic(&v)) {
                let mut values: Vec<(Symbol, Expr)> = vec![(rule.args[0].text.clone(), v)];
                values.extend(rule.args[1..].iter().map(|arg| arg.text.clone()).zip(extra));
                values.push((rule.after[0].text.clone(), t.clone()));
                return Ok(tree::put(&rule.body, &values));
            }
        }
        if (self.hidden)("prox") || (self.hidden)(declared) {
            let reason = format!("the problem has another meaning for `{declared}`, whose operator is needed");
            return Err(Refusal { span, reason });
        }
        let operator = tree::call("prox", vec![tree::name(declared)]);
        if piece.rows {
            let args =
                vec![each(v), if self.terms.is_scalar(piece.weight) { tree::arg(t.clone()) } else { each(t.clone()) }];
            return Ok(tree::expr(ExprKind::Call { func: Box::new(operator), args }));
        }
        let mut args = vec![v];
        args.extend(extra);
        args.push(t.clone());
        Ok(tree::apply(operator, args))
    }
}

/// `each e`
fn each(e: Expr) -> Arg {
    Arg { name: None, value: ArgValue::Each(1, e), span: Span::NONE }
}

/// The operator of each row by a rule that is a call with the point and the step as they are: `soft(v, t)` is
/// `soft(each v, each t)`, or `soft(each v, t)` with one step for all rows.
fn on_rows(rule: &Custom, v: Expr, t: &Expr, one_step: bool) -> Option<Expr> {
    let ExprKind::Call { func, args } = &rule.body.kind else { return None };
    let is = |arg: &Arg, name: &Name| {
        arg.name.is_none()
            && matches!(&arg.value, ArgValue::Expr(Expr { kind: ExprKind::Name(own), .. }) if *own == name.text)
    };
    match args.as_slice() {
        [point, step] if is(point, &rule.args[0]) && is(step, &rule.after[0]) => {
            let step = if one_step { tree::arg(t.clone()) } else { each(t.clone()) };
            Some(tree::expr(ExprKind::Call { func: func.clone(), args: vec![each(v), step] }))
        }
        [point] if is(point, &rule.args[0]) => {
            Some(tree::expr(ExprKind::Call { func: func.clone(), args: vec![each(v)] }))
        }
        _ => None,
    }
}
