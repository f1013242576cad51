//! Dimensions: polynomials with integer coefficients over names and atoms (`//`, `%`, `min`, `max`), in normal form.
//!
//! Equal normal forms are equal dimensions. A difference that is a nonzero polynomial of rigid names only (the
//! generic names of the function being checked) is a mistake for the definition to report. Everything else can
//! only be settled when the sizes are known.

use crate::syntax::ast::Symbol;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::rc::Rc;

/// A name that stands for a size. Two names are the same only if their ids are.
#[derive(Clone, Debug)]
pub struct DimName {
    pub text: Symbol,
    pub id: u32,
    /// A generic name of a definition: it stands for every size, so two of them are different. The others (an
    /// `arg`, a size read from a file) stand for one size that is not known yet.
    pub rigid: bool,
}

impl PartialEq for DimName {
    fn eq(&self, other: &DimName) -> bool {
        self.id == other.id
    }
}

impl Eq for DimName {}

impl PartialOrd for DimName {
    fn partial_cmp(&self, other: &DimName) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DimName {
    fn cmp(&self, other: &DimName) -> Ordering {
        self.id.cmp(&other.id)
    }
}

/// What a polynomial is over.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Atom {
    Name(DimName),
    /// Rounds toward minus infinity.
    IntDiv(Rc<Poly>, Rc<Poly>),
    /// With the divisor's sign.
    Mod(Rc<Poly>, Rc<Poly>),
    Min(Rc<Poly>, Rc<Poly>),
    Max(Rc<Poly>, Rc<Poly>),
}

/// A product of powers of atoms, sorted by atom; empty for 1.
type Monomial = Vec<(Atom, u32)>;

/// A sum of monomials with nonzero coefficients.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Poly {
    terms: BTreeMap<Monomial, i64>,
}

/// A coefficient left the range of 64-bit integers, or the polynomial grew beyond all use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overflow;

/// More terms than any program means; such a size is treated as unknown.
const TERM_LIMIT: usize = 64;

/// What is known of two dimensions before the program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Equality {
    Equal,
    Different,
    Unknown,
}

impl Poly {
    pub fn constant(value: i64) -> Poly {
        let mut terms = BTreeMap::new();
        if value != 0 {
            terms.insert(Vec::new(), value);
        }
        Poly { terms }
    }

    pub fn name(name: DimName) -> Poly {
        Poly::atom(Atom::Name(name))
    }

    fn atom(atom: Atom) -> Poly {
        Poly { terms: BTreeMap::from([(vec![(atom, 1)], 1)]) }
    }

    /// The number that it is, if it has no names.
    pub fn as_constant(&self) -> Option<i64> {
        match self.terms.len() {
            0 => Some(0),
            1 => self.terms.get(&Vec::new()).copied(),
            _ => None,
        }
    }

    /// The name that it is, if it is a single name.
    pub fn as_name(&self) -> Option<&DimName> {
        let (monomial, coefficient) = self.terms.iter().next()?;
        match (self.terms.len(), coefficient, monomial.as_slice()) {
            (1, 1, [(Atom::Name(name), 1)]) => Some(name),
            _ => None,
        }
    }

    pub fn add(&self, other: &Poly) -> Result<Poly, Overflow> {
        let mut terms = self.terms.clone();
        for (monomial, coefficient) in &other.terms {
            let sum = terms.get(monomial).copied().unwrap_or(0).checked_add(*coefficient).ok_or(Overflow)?;
            match sum {
                0 => terms.remove(monomial),
                _ => terms.insert(monomial.clone(), sum),
            };
        }
        limited(terms)
    }

    pub fn neg(&self) -> Result<Poly, Overflow> {
        self.scale(-1)
    }

    fn scale(&self, factor: i64) -> Result<Poly, Overflow> {
        self.mul(&Poly::constant(factor))
    }

    pub fn sub(&self, other: &Poly) -> Result<Poly, Overflow> {
        self.add(&other.neg()?)
    }

    pub fn mul(&self, other: &Poly) -> Result<Poly, Overflow> {
        let mut sum = Poly::default();
        for (left, a) in &self.terms {
            for (right, b) in &other.terms {
                let coefficient = a.checked_mul(*b).ok_or(Overflow)?;
                sum = sum.add(&Poly { terms: BTreeMap::from([(times(left, right)?, coefficient)]) })?;
            }
        }
        Ok(sum)
    }

    /// Rounds toward minus infinity. `None` when the divisor is zero.
    pub fn int_div(&self, other: &Poly) -> Result<Option<Poly>, Overflow> {
        if self == other && self.as_constant() != Some(0) {
            return Ok(Some(Poly::constant(1)));
        }
        match other.as_constant() {
            Some(0) => return Ok(None),
            Some(divisor) if divisor > 0 => {
                // (q k + r) // k = q + r // k: the part that divides leaves the atom.
                let (quotient, rest) = self.split(divisor);
                return Ok(Some(match rest.as_constant() {
                    // Below the divisor, as all coefficients of the rest are.
                    Some(_) => quotient,
                    None => quotient.add(&Poly::atom(Atom::IntDiv(Rc::new(rest), Rc::new(other.clone()))))?,
                }));
            }
            _ => {}
        }
        if let (Some(a), Some(b)) = (self.as_constant(), other.as_constant()) {
            return Ok(Some(Poly::constant(floor_div(a, b).ok_or(Overflow)?)));
        }
        Ok(Some(Poly::atom(Atom::IntDiv(Rc::new(self.clone()), Rc::new(other.clone())))))
    }

    /// The remainder, with the divisor's sign. `None` when the divisor is zero.
    pub fn modulo(&self, other: &Poly) -> Result<Option<Poly>, Overflow> {
        if self == other && self.as_constant() != Some(0) {
            return Ok(Some(Poly::constant(0)));
        }
        match other.as_constant() {
            Some(0) => return Ok(None),
            Some(divisor) if divisor > 0 => {
                let (_, rest) = self.split(divisor);
                return Ok(Some(match rest.as_constant() {
                    Some(number) => Poly::constant(number),
                    None => Poly::atom(Atom::Mod(Rc::new(rest), Rc::new(other.clone()))),
                }));
            }
            _ => {}
        }
        if let (Some(a), Some(b)) = (self.as_constant(), other.as_constant()) {
            let quotient = floor_div(a, b).ok_or(Overflow)?;
            return Ok(Some(Poly::constant(a - quotient * b)));
        }
        Ok(Some(Poly::atom(Atom::Mod(Rc::new(self.clone()), Rc::new(other.clone())))))
    }

    pub fn lesser(&self, other: &Poly) -> Result<Poly, Overflow> {
        match other.sub(self)?.as_constant() {
            Some(difference) if difference >= 0 => Ok(self.clone()),
            Some(_) => Ok(other.clone()),
            None => Ok(Poly::atom(commutative(Atom::Min, self, other))),
        }
    }

    pub fn greater(&self, other: &Poly) -> Result<Poly, Overflow> {
        match other.sub(self)?.as_constant() {
            Some(difference) if difference >= 0 => Ok(other.clone()),
            Some(_) => Ok(self.clone()),
            None => Ok(Poly::atom(commutative(Atom::Max, self, other))),
        }
    }

    /// A power with a known exponent.
    pub fn pow(&self, exponent: u32) -> Result<Poly, Overflow> {
        if exponent > 64 {
            return Err(Overflow);
        }
        let mut result = Poly::constant(1);
        for _ in 0..exponent {
            result = result.mul(self)?;
        }
        Ok(result)
    }

    /// `self = quotient * divisor + rest`, with the coefficients of the rest in `0..divisor`.
    fn split(&self, divisor: i64) -> (Poly, Poly) {
        let mut quotient = Poly::default();
        let mut rest = Poly::default();
        for (monomial, coefficient) in &self.terms {
            let (q, r) = (coefficient.div_euclid(divisor), coefficient.rem_euclid(divisor));
            if q != 0 {
                quotient.terms.insert(monomial.clone(), q);
            }
            if r != 0 {
                rest.terms.insert(monomial.clone(), r);
            }
        }
        (quotient, rest)
    }

    /// Puts dimensions in the place of names. A name that is not in the map stays.
    pub fn subst(&self, map: &HashMap<u32, Dim>) -> Dim {
        match self.try_subst(map) {
            Ok(Some(poly)) => Dim::Known(poly),
            Ok(None) | Err(Overflow) => Dim::Unknown,
        }
    }

    fn try_subst(&self, map: &HashMap<u32, Dim>) -> Result<Option<Poly>, Overflow> {
        if map.is_empty() {
            return Ok(Some(self.clone()));
        }
        let mut sum = Poly::default();
        for (monomial, coefficient) in &self.terms {
            let mut product = Poly::constant(*coefficient);
            for (atom, power) in monomial {
                let Some(value) = subst_atom(atom, map)? else { return Ok(None) };
                product = product.mul(&value.pow(*power)?)?;
            }
            sum = sum.add(&product)?;
        }
        Ok(Some(sum))
    }

    /// The one name among `names` that this depends on, with the polynomial as `coefficient * name + rest`, if the
    /// coefficient is 1 or -1 and the rest does not mention any of `names`.
    pub fn solve_for(&self, names: &dyn Fn(u32) -> bool) -> Option<(DimName, i64, Poly)> {
        let mut found = None;
        let mut rest = Poly::default();
        for (monomial, coefficient) in &self.terms {
            match monomial.as_slice() {
                [(Atom::Name(name), 1)] if names(name.id) => {
                    if found.is_some() || coefficient.abs() != 1 {
                        return None;
                    }
                    found = Some((name.clone(), *coefficient));
                }
                _ if monomial.iter().any(|(atom, _)| mentions(atom, names)) => return None,
                _ => {
                    rest.terms.insert(monomial.clone(), *coefficient);
                }
            }
        }
        found.map(|(name, coefficient)| (name, coefficient, rest))
    }

    /// Whether a name that satisfies the test stands in it.
    pub fn mentions(&self, names: &dyn Fn(u32) -> bool) -> bool {
        self.terms.keys().flatten().any(|(atom, _)| mentions(atom, names))
    }

    fn only_rigid_names(&self) -> bool {
        self.terms.keys().flatten().all(|(atom, _)| match atom {
            Atom::Name(name) => name.rigid,
            Atom::IntDiv(..) | Atom::Mod(..) | Atom::Min(..) | Atom::Max(..) => false,
        })
    }
}

fn limited(terms: BTreeMap<Monomial, i64>) -> Result<Poly, Overflow> {
    if terms.len() > TERM_LIMIT { Err(Overflow) } else { Ok(Poly { terms }) }
}

fn times(left: &Monomial, right: &Monomial) -> Result<Monomial, Overflow> {
    let mut powers: BTreeMap<Atom, u32> = left.iter().cloned().collect();
    for (atom, power) in right {
        let sum = powers.get(atom).copied().unwrap_or(0).checked_add(*power).ok_or(Overflow)?;
        powers.insert(atom.clone(), sum);
    }
    Ok(powers.into_iter().collect())
}

fn commutative(atom: fn(Rc<Poly>, Rc<Poly>) -> Atom, a: &Poly, b: &Poly) -> Atom {
    let (first, second) = if a <= b { (a, b) } else { (b, a) };
    atom(Rc::new(first.clone()), Rc::new(second.clone()))
}

fn floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    let exact = quotient.checked_mul(b)? == a;
    Some(if !exact && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

fn subst_atom(atom: &Atom, map: &HashMap<u32, Dim>) -> Result<Option<Poly>, Overflow> {
    let both =
        |a: &Poly, b: &Poly| -> Result<Option<(Poly, Poly)>, Overflow> { Ok(a.try_subst(map)?.zip(b.try_subst(map)?)) };
    match atom {
        Atom::Name(name) => Ok(match map.get(&name.id) {
            Some(Dim::Known(poly)) => Some(poly.clone()),
            Some(Dim::Unknown) => None,
            None => Some(Poly::name(name.clone())),
        }),
        Atom::IntDiv(a, b) => both(a, b)?.map_or(Ok(None), |(a, b)| a.int_div(&b)),
        Atom::Mod(a, b) => both(a, b)?.map_or(Ok(None), |(a, b)| a.modulo(&b)),
        Atom::Min(a, b) => both(a, b)?.map(|(a, b)| a.lesser(&b)).transpose(),
        Atom::Max(a, b) => both(a, b)?.map(|(a, b)| a.greater(&b)).transpose(),
    }
}

fn mentions(atom: &Atom, names: &dyn Fn(u32) -> bool) -> bool {
    match atom {
        Atom::Name(name) => names(name.id),
        Atom::IntDiv(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) => {
            a.mentions(names) || b.mentions(names)
        }
    }
}

/// A dimension: a polynomial, or a size of which nothing is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Dim {
    Known(Poly),
    Unknown,
}

impl Dim {
    pub fn constant(value: i64) -> Dim {
        Dim::Known(Poly::constant(value))
    }

    pub fn as_constant(&self) -> Option<i64> {
        self.known().and_then(Poly::as_constant)
    }

    pub fn known(&self) -> Option<&Poly> {
        match self {
            Dim::Known(poly) => Some(poly),
            Dim::Unknown => None,
        }
    }

    pub fn subst(&self, map: &HashMap<u32, Dim>) -> Dim {
        match self {
            Dim::Known(poly) => poly.subst(map),
            Dim::Unknown => Dim::Unknown,
        }
    }

    /// Of two dimensions that must be equal, the one that says more.
    pub fn better<'a>(&'a self, other: &'a Dim) -> &'a Dim {
        match (self.known(), other.known()) {
            (_, None) => self,
            (None, Some(_)) => other,
            (Some(a), Some(b)) if a.as_constant().is_none() && b.as_constant().is_some() => other,
            (Some(_), Some(_)) => self,
        }
    }

    /// Combines two known dimensions; unknown if one is, or on overflow.
    pub fn combine(&self, other: &Dim, f: impl Fn(&Poly, &Poly) -> Result<Poly, Overflow>) -> Dim {
        match (self, other) {
            (Dim::Known(a), Dim::Known(b)) => f(a, b).map_or(Dim::Unknown, Dim::Known),
            (Dim::Unknown, _) | (_, Dim::Unknown) => Dim::Unknown,
        }
    }
}

/// What is known of `a == b`.
pub fn equality(a: &Dim, b: &Dim) -> Equality {
    let (Some(a), Some(b)) = (a.known(), b.known()) else { return Equality::Unknown };
    match a.sub(b) {
        Ok(difference) if difference.as_constant() == Some(0) => Equality::Equal,
        Ok(difference) if difference.only_rigid_names() => Equality::Different,
        Ok(_) | Err(Overflow) => Equality::Unknown,
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(poly) => poly.fmt(f),
            Dim::Unknown => f.write_str("?"),
        }
    }
}

impl fmt::Display for Poly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut terms: Vec<(&Monomial, i64)> = self.terms.iter().map(|(m, c)| (m, *c)).collect();
        // Highest degree first, positive terms before negative ones, the number last.
        let degree = |m: &Monomial| m.iter().map(|(_, power)| u64::from(*power)).sum::<u64>();
        terms.sort_by_key(|(m, c)| (std::cmp::Reverse(degree(m)), *c < 0));
        if terms.is_empty() {
            return f.write_str("0");
        }
        for (i, (monomial, coefficient)) in terms.iter().enumerate() {
            let sign = if *coefficient < 0 { "-" } else { "+" };
            match (i, *coefficient < 0) {
                (0, true) => f.write_str("-")?,
                (0, false) => {}
                (_, _) => write!(f, " {sign} ")?,
            }
            let factor = coefficient.unsigned_abs();
            if monomial.is_empty() {
                write!(f, "{factor}")?;
                continue;
            }
            if factor != 1 {
                write!(f, "{factor}*")?;
            }
            for (k, (atom, power)) in monomial.iter().enumerate() {
                if k > 0 {
                    f.write_str("*")?;
                }
                let alone = terms.len() == 1 && monomial.len() == 1 && factor == 1 && *power == 1;
                write_atom(f, atom, alone || (monomial.len() == 1 && factor == 1 && *power == 1))?;
                if *power != 1 {
                    write!(f, "^{power}")?;
                }
            }
        }
        Ok(())
    }
}

/// `bare`: `//` and `%` need no parentheses where it stands.
fn write_atom(f: &mut fmt::Formatter<'_>, atom: &Atom, bare: bool) -> fmt::Result {
    let (open, close) = if bare { ("", "") } else { ("(", ")") };
    match atom {
        Atom::Name(name) => f.write_str(&name.text),
        Atom::IntDiv(a, b) => write!(f, "{open}{} // {}{close}", Operand(a), Operand(b)),
        Atom::Mod(a, b) => write!(f, "{open}{} % {}{close}", Operand(a), Operand(b)),
        Atom::Min(a, b) => write!(f, "min({a}, {b})"),
        Atom::Max(a, b) => write!(f, "max({a}, {b})"),
    }
}

/// A polynomial as an operand of `//` or `%`.
struct Operand<'a>(&'a Poly);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simple = self.0.as_name().is_some() || self.0.as_constant().is_some_and(|number| number >= 0);
        if simple { write!(f, "{}", self.0) } else { write!(f, "({})", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str, id: u32) -> Poly {
        Poly::name(DimName { text: text.into(), id, rigid: true })
    }

    fn soft(text: &str, id: u32) -> Poly {
        Poly::name(DimName { text: text.into(), id, rigid: false })
    }

    fn number(value: i64) -> Poly {
        Poly::constant(value)
    }

    fn compare(a: &Poly, b: &Poly) -> Equality {
        equality(&Dim::Known(a.clone()), &Dim::Known(b.clone()))
    }

    #[test]
    fn products_are_brought_to_normal_form() {
        let (m, n) = (name("m", 0), name("n", 1));
        let left = m.add(&n).unwrap().mul(&m.sub(&n).unwrap()).unwrap();
        let right = m.pow(2).unwrap().sub(&n.pow(2).unwrap()).unwrap();
        assert_eq!(left, right);
        assert_eq!(left.to_string(), "m^2 - n^2");
    }

    #[test]
    fn equality_has_three_values() {
        let (m, n, w) = (name("m", 0), name("n", 1), soft("w", 2));
        let half = n.int_div(&number(2)).unwrap().unwrap();
        assert_eq!(compare(&m, &m), Equality::Equal);
        assert_eq!(compare(&m, &n), Equality::Different);
        assert_eq!(compare(&m, &w), Equality::Unknown);
        assert_eq!(compare(&half, &m), Equality::Unknown);
        assert_eq!(compare(&half, &half), Equality::Equal);
        assert_eq!(compare(&w.add(&number(1)).unwrap(), &w), Equality::Different);
        assert_eq!(equality(&Dim::Unknown, &Dim::Unknown), Equality::Unknown);
    }

    #[test]
    fn division_takes_out_what_divides() {
        let n = name("n", 0);
        let twice = n.mul(&number(2)).unwrap();
        assert_eq!(twice.int_div(&number(2)).unwrap(), Some(n.clone()));
        let a = twice.add(&number(3)).unwrap().int_div(&number(2)).unwrap().unwrap();
        assert_eq!(a.to_string(), "n + 1");
        assert_eq!(number(-7).int_div(&number(2)).unwrap(), Some(number(-4)));
        assert_eq!(number(-7).modulo(&number(-3)).unwrap(), Some(number(-1)));
        assert_eq!(number(-7).modulo(&number(3)).unwrap(), Some(number(2)));
        assert_eq!(n.int_div(&number(0)).unwrap(), None);
    }

    #[test]
    fn overflow_is_told() {
        assert_eq!(number(i64::MAX).add(&number(1)), Err(Overflow));
        assert_eq!(number(i64::MIN).neg(), Err(Overflow));
        assert_eq!(number(i64::MAX).mul(&number(2)), Err(Overflow));
        assert_eq!(number(i64::MIN).int_div(&number(-1)), Err(Overflow));
    }

    #[test]
    fn names_are_replaced_inside_atoms() {
        let n = name("n", 0);
        let half = n.int_div(&number(2)).unwrap().unwrap();
        assert_eq!(half.subst(&HashMap::from([(0, Dim::constant(9))])), Dim::constant(4));
        assert_eq!(half.subst(&HashMap::from([(0, Dim::Unknown)])), Dim::Unknown);
        assert_eq!(half.to_string(), "n // 2");
        let size = n.sub(&number(1)).unwrap().int_div(&name("s", 1)).unwrap().unwrap().add(&number(1)).unwrap();
        assert_eq!(size.to_string(), "(n - 1) // s + 1");
    }

    #[test]
    fn min_and_max_are_decided_when_the_difference_is_a_number() {
        let n = name("n", 0);
        let m = name("m", 1);
        let next = n.add(&number(1)).unwrap();
        assert_eq!(n.lesser(&next).unwrap(), n);
        assert_eq!(n.greater(&next).unwrap(), next);
        assert_eq!(n.lesser(&m).unwrap(), m.lesser(&n).unwrap());
        assert_eq!(n.lesser(&m).unwrap().to_string(), "min(n, m)");
    }
}
