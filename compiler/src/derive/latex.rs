//! Expressions as LaTeX, as mathematics is set: products without a sign, fractions, norms, transposes, Greek letters.

use crate::syntax::ast::{
    Arg, ArgValue, BinaryOp, CompareOp, Expr, ExprKind, Generator, Index, ScalarKind, Symbol, Type, TypeKind,
};
use crate::syntax::pretty;
use std::collections::HashMap;

/// How tightly a text holds together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Sum,
    Product,
    /// It has an exponent or a subscript of its own.
    Raised,
    Atom,
}

/// What is known of names where an expression is set.
#[derive(Clone, Default)]
pub struct Setter {
    /// The number of axes of names, for `\|.\|_F` and for products of elements.
    pub ranks: HashMap<Symbol, usize>,
    /// What stands above the names of states: `(k)`.
    pub above: HashMap<Symbol, &'static str>,
    /// Linear maps of a method: `K(v)` is `K v`.
    pub maps: Vec<Symbol>,
}

const GREEK: [&str; 32] = [
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi",
    "Pi", "Sigma", "Phi", "Omega",
];
const GREEK_LETTERS: [(char, &str); 32] = [
    ('α', "alpha"),
    ('β', "beta"),
    ('γ', "gamma"),
    ('δ', "delta"),
    ('ε', "epsilon"),
    ('ζ', "zeta"),
    ('η', "eta"),
    ('θ', "theta"),
    ('ι', "iota"),
    ('κ', "kappa"),
    ('λ', "lambda"),
    ('μ', "mu"),
    ('ν', "nu"),
    ('ξ', "xi"),
    ('π', "pi"),
    ('ρ', "rho"),
    ('σ', "sigma"),
    ('τ', "tau"),
    ('υ', "upsilon"),
    ('φ', "phi"),
    ('χ', "chi"),
    ('ψ', "psi"),
    ('ω', "omega"),
    ('Γ', "Gamma"),
    ('Δ', "Delta"),
    ('Θ', "Theta"),
    ('Λ', "Lambda"),
    ('Ξ', "Xi"),
    ('Π', "Pi"),
    ('Σ', "Sigma"),
    ('Φ', "Phi"),
    ('Ω', "Omega"),
];
/// Functions that LaTeX knows.
const OPERATORS: [&str; 11] = ["exp", "log", "sin", "cos", "tan", "tanh", "max", "min", "det", "sinh", "cosh"];
/// Functions with one real as value.
const REDUCING: [&str; 18] = [
    "sum",
    "prod",
    "mean",
    "sumsq",
    "norm",
    "norm1",
    "norm2",
    "norm_inf",
    "nuclear",
    "group_norm",
    "count",
    "opnorm",
    "tv1",
    "logsumexp",
    "lipschitz",
    "huber",
    "det",
    "logdet",
];

/// A name: `theta_1` is `\theta_{1}`, `rate` is `\mathrm{rate}`.
pub fn symbol(name: &str) -> String {
    match name {
        "inf" => return "\\infty".to_string(),
        "eps" => return "\\varepsilon".to_string(),
        _ => {}
    }
    let (head, rest) = name.split_once('_').unwrap_or((name, ""));
    let letters = head.trim_end_matches(|c: char| c.is_ascii_digit());
    let (base, digits) = if letters.is_empty() { (head, "") } else { head.split_at(letters.len()) };
    let below: Vec<String> =
        std::iter::once(digits).chain(rest.split('_')).filter(|part| !part.is_empty()).map(letter).collect();
    let base = if base.is_empty() { "\\cdot".to_string() } else { letter(base) };
    if below.is_empty() { base } else { format!("{base}_{{{}}}", below.join(" ")) }
}

/// One part of a name.
fn letter(part: &str) -> String {
    let mut chars = part.chars();
    let single = chars.next().filter(|_| chars.next().is_none());
    if let Some((_, name)) = GREEK_LETTERS.iter().find(|(greek, _)| Some(*greek) == single) {
        return format!("\\{name}");
    }
    if GREEK.contains(&part) {
        return format!("\\{part}");
    }
    if single.is_some() || part.chars().all(|c| c.is_ascii_digit()) {
        return part.to_string();
    }
    format!("\\mathrm{{{}}}", escaped(part))
}

/// Text in which no character has a meaning of its own.
pub fn escaped(text: &str) -> String {
    let mut result = String::new();
    for c in text.chars() {
        match c {
            '_' | '#' | '$' | '%' | '&' | '{' | '}' => result.extend(['\\', c]),
            '\\' => result += "\\textbackslash ",
            '^' => result += "\\textasciicircum ",
            '~' => result += "\\textasciitilde ",
            '\n' => result.push(' '),
            c => result.push(c),
        }
    }
    result
}

fn brackets(inner: &str) -> String {
    format!("\\left( {inner} \\right)")
}

fn bars(inner: &str, below: &str) -> String {
    format!("\\left\\| {inner} \\right\\|_{below}")
}

/// `\mathbb{R}^{m \times n}`
pub fn space(ty: &Type) -> String {
    match &ty.kind {
        TypeKind::Array { kind, dims } => {
            let letter = match kind {
                ScalarKind::Real => "R",
                ScalarKind::Int => "Z",
                ScalarKind::Bool | ScalarKind::Key | ScalarKind::Str => "B",
            };
            let several = dims.len() > 1;
            let set = |dim: &Expr| {
                let text = Setter::default().set(dim);
                if several && matches!(dim.kind, ExprKind::Chain { .. }) { format!("({text})") } else { text }
            };
            let dims: Vec<String> = dims.iter().map(set).collect();
            if dims.is_empty() {
                format!("\\mathbb{{{letter}}}")
            } else {
                format!("\\mathbb{{{letter}}}^{{{}}}", dims.join(" \\times "))
            }
        }
        _ => "\\cdot".to_string(),
    }
}

/// The name of a function applied to one argument.
fn called(e: &Expr) -> Option<(&str, &[Arg])> {
    match &e.kind {
        ExprKind::Call { func, args } => match &func.kind {
            ExprKind::Name(name) => Some((name, args)),
            _ => None,
        },
        _ => None,
    }
}

/// The plain arguments, if there are no others.
fn plain(args: &[Arg]) -> Option<Vec<&Expr>> {
    args.iter()
        .map(|arg| match &arg.value {
            ArgValue::Expr(value) if arg.name.is_none() => Some(value),
            _ => None,
        })
        .collect()
}

impl Setter {
    /// An expression.
    pub fn set(&self, e: &Expr) -> String {
        self.written(e).0
    }

    /// In brackets where it holds together less tightly.
    fn at(&self, e: &Expr, least: Level) -> String {
        let (text, level) = self.written(e);
        if level < least { brackets(&text) } else { text }
    }

    /// A name, with what stands above it.
    pub fn name(&self, name: &Symbol) -> String {
        match self.above.get(name) {
            Some(above) => format!("{}^{{{above}}}", symbol(name)),
            None => symbol(name),
        }
    }

    fn written(&self, e: &Expr) -> (String, Level) {
        match &e.kind {
            ExprKind::Int(value) => (value.to_string(), if *value < 0 { Level::Sum } else { Level::Atom }),
            ExprKind::Real(_, text) => number(text),
            ExprKind::Str(text) => (format!("\\text{{{}}}", escaped(text)), Level::Atom),
            ExprKind::Bool(value) => (format!("\\mathrm{{{value}}}"), Level::Atom),
            ExprKind::Hole | ExprKind::Error => ("?".to_string(), Level::Atom),
            ExprKind::Name(name) => {
                let raised = self.above.contains_key(name);
                (self.name(name), if raised { Level::Raised } else { Level::Atom })
            }
            ExprKind::Previous(name) => (format!("{}^{{(k)}}", symbol(&name.text)), Level::Raised),
            ExprKind::Tuple(parts) => (brackets(&self.list(parts)), Level::Atom),
            ExprKind::Array(parts) => (format!("\\left[ {} \\right]", self.list(parts)), Level::Atom),
            ExprKind::Comprehension { body, gens } => {
                let over: Vec<String> = gens.iter().map(|generator| symbol(&generator.name.text)).collect();
                (format!("\\left[ {} \\right]_{{{}}}", self.set(body), over.join(", ")), Level::Atom)
            }
            ExprKind::Neg(inner) => (format!("-{}", self.at(inner, Level::Product)), Level::Sum),
            ExprKind::Not(inner) => (format!("\\lnot {}", self.at(inner, Level::Atom)), Level::Product),
            ExprKind::Chain { first, rest } => self.chain(first, rest),
            ExprKind::MatMul(left, right) => {
                // Another product on the right needs no brackets, on the left neither: they are associative.
                (format!("{} {}", self.at(left, Level::Product), self.at(right, Level::Product)), Level::Product)
            }
            ExprKind::Pow(base, power) => (self.power(base, &self.set(power)), Level::Raised),
            ExprKind::Compare { op, left, right } => {
                let sign = match op {
                    CompareOp::Lt => "<",
                    CompareOp::Le => "\\leq",
                    CompareOp::Gt => ">",
                    CompareOp::Ge => "\\geq",
                    CompareOp::Eq => "=",
                    CompareOp::Ne => "\\neq",
                };
                (format!("{} {sign} {}", self.set(left), self.set(right)), Level::Sum)
            }
            ExprKind::Transpose(inner) => (self.power(inner, "\\top"), Level::Raised),
            ExprKind::If { cond, then, otherwise } => (self.cases(cond, then, otherwise), Level::Atom),
            ExprKind::Lambda { params, body } => {
                let names: Vec<String> = params.iter().map(|param| symbol(&param.name.text)).collect();
                (format!("\\left( {} \\mapsto {} \\right)", names.join(", "), self.set(body)), Level::Atom)
            }
            ExprKind::Index { base, indices } => {
                let below: Vec<String> = indices.iter().map(|index| self.index(index)).collect();
                let (text, level) = self.written(base);
                // What has a subscript of its own takes no second one.
                let own = level < Level::Atom || text.contains('_');
                let text = if own { brackets(&text) } else { text };
                (format!("{text}_{{{}}}", below.join(", ")), Level::Raised)
            }
            ExprKind::Field { base, name } => {
                (format!("{}.{}", self.at(base, Level::Raised), symbol(&name.text)), Level::Raised)
            }
            ExprKind::Call { func, args } => self.call(e, func, args),
            ExprKind::Record(_) | ExprKind::Block(_) | ExprKind::Loop(_) | ExprKind::Implicit(_) => program(e),
            ExprKind::Unroll { .. } | ExprKind::Trace { .. } | ExprKind::Derive { .. } | ExprKind::Train(_) => {
                program(e)
            }
        }
    }

    fn list(&self, parts: &[Expr]) -> String {
        parts.iter().map(|part| self.set(part)).collect::<Vec<_>>().join(", ")
    }

    fn power(&self, base: &Expr, above: &str) -> String {
        // A norm has its exponent behind its bars, an element above its index.
        let free = matches!(base.kind, ExprKind::Index { .. })
            || called(base).is_some_and(|(name, _)| norm_of(name).is_some());
        let base = if free { self.set(base) } else { self.at(base, Level::Atom) };
        format!("{base}^{{{above}}}")
    }

    fn chain(&self, first: &Expr, rest: &[(BinaryOp, Expr)]) -> (String, Level) {
        match rest[0].0 {
            BinaryOp::Add | BinaryOp::Sub => {
                let mut text = self.set(first);
                for (op, operand) in rest {
                    let sign = if *op == BinaryOp::Sub { "-" } else { "+" };
                    text += &format!(" {sign} {}", self.at(operand, Level::Product));
                }
                (text, Level::Sum)
            }
            BinaryOp::Or | BinaryOp::And => {
                let sign = if rest[0].0 == BinaryOp::Or { " \\lor " } else { " \\land " };
                let operands = std::iter::once(first).chain(rest.iter().map(|(_, operand)| operand));
                let texts: Vec<String> = operands.map(|operand| self.set(operand)).collect();
                (texts.join(sign), Level::Sum)
            }
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::IntDiv | BinaryOp::Mod => self.product(first, rest),
        }
    }

    /// From left to right: what is divided so far becomes a numerator.
    fn product(&self, first: &Expr, rest: &[(BinaryOp, Expr)]) -> (String, Level) {
        if let ExprKind::Neg(inner) = &first.kind {
            return (format!("-{}", self.product(inner, rest).0), Level::Sum);
        }
        let mut above: Vec<&Expr> = vec![first];
        let mut done: Option<String> = None;
        let flush = |above: &mut Vec<&Expr>, done: &mut Option<String>| {
            let text = self.factors(above, done.take());
            above.clear();
            text
        };
        for (op, operand) in rest {
            match op {
                BinaryOp::Mul => above.push(operand),
                BinaryOp::IntDiv => {
                    let text = flush(&mut above, &mut done);
                    done = Some(format!("\\left\\lfloor \\frac{{{text}}}{{{}}} \\right\\rfloor", self.set(operand)));
                }
                BinaryOp::Mod => {
                    let text = flush(&mut above, &mut done);
                    done = Some(brackets(&format!("{text} \\bmod {}", self.at(operand, Level::Raised))));
                }
                _ => {
                    // A fraction of one factor alone reads worse before a long product, but it means the same.
                    let alone = above.len() == 1 && done.is_none();
                    let text = if alone { self.set(above[0]) } else { self.factors(&above, done.take()) };
                    above.clear();
                    done = Some(format!("\\frac{{{text}}}{{{}}}", self.set(operand)));
                }
            }
        }
        (self.factors(&above, done), Level::Product)
    }

    /// Factors side by side, arrays of elements with a sign between them.
    fn factors(&self, factors: &[&Expr], before: Option<String>) -> String {
        let mut text = before.unwrap_or_default();
        let mut array_before = false;
        for factor in factors {
            let own = self.at(factor, Level::Product);
            let array = self.rank(factor) > 0;
            let digit = own.starts_with(|c: char| c.is_ascii_digit());
            text += match (text.is_empty(), array && array_before, digit) {
                (true, _, _) => "",
                (false, true, _) => " \\odot ",
                (false, false, true) => " \\cdot ",
                (false, false, false) => " ",
            };
            text += &own;
            array_before |= array;
        }
        text
    }

    fn cases(&self, cond: &Expr, then: &Expr, otherwise: &Expr) -> String {
        format!(
            "\\begin{{cases}} {} & \\text{{if }} {} \\\\ {} & \\text{{otherwise}} \\end{{cases}}",
            self.set(then),
            self.set(cond),
            self.set(otherwise)
        )
    }

    fn index(&self, index: &Index) -> String {
        let part = |e: &Option<Expr>| e.as_ref().map_or(String::new(), |e| self.set(e));
        match index {
            Index::At(at) => self.set(at),
            Index::Range { start, end, step, .. } => {
                let step = step.as_ref().map_or(String::new(), |step| format!(":{}", self.set(step)));
                format!("{}:{}{step}", part(start), part(end))
            }
        }
    }

    fn call(&self, e: &Expr, func: &Expr, args: &[Arg]) -> (String, Level) {
        if let Some((name, args)) = called(e) {
            return self.named(name, args);
        }
        // grad(f)(v), prox(g)(v, t), adjoint(K)(u)
        if let (Some((word, of)), Some(given)) = (called(func), plain(args))
            && let (Some(of), Some((at, rest))) = (plain(of).filter(|of| of.len() == 1), given.split_first())
        {
            let function = self.at(of[0], Level::Raised);
            match (word, rest) {
                ("grad", []) => return (format!("\\nabla {function}{}", brackets(&self.set(at))), Level::Raised),
                ("adjoint", []) => return (format!("{function}^{{*}} {}", self.at(at, Level::Raised)), Level::Product),
                ("prox", [extra @ .., t]) => {
                    let extra: Vec<String> = extra.iter().map(|e| format!(", {}", self.set(e))).collect();
                    let inner = format!("{}{}", self.set(at), extra.concat());
                    let below = format!("{} {function}", self.at(t, Level::Product));
                    return (format!("\\operatorname{{prox}}_{{{below}}}{}", brackets(&inner)), Level::Raised);
                }
                _ => {}
            }
        }
        (format!("{}{}", self.at(func, Level::Raised), brackets(&self.arguments(args))), Level::Raised)
    }

    fn named(&self, name: &str, args: &[Arg]) -> (String, Level) {
        if let [Arg { value: ArgValue::Generator { body, gens }, .. }] = args {
            let sign = match name {
                "sum" => "\\sum",
                "prod" => "\\prod",
                "max" => "\\max",
                "min" => "\\min",
                _ => "",
            };
            if !sign.is_empty() {
                let under: Vec<String> = gens.iter().map(|generator| self.generator(generator)).collect();
                let under = format!("\\substack{{{}}}", under.join(" \\\\ "));
                return (format!("{sign}_{{{under}}} {}", self.at(body, Level::Product)), Level::Product);
            }
        }
        if let Some(given) = plain(args)
            && let Some(found) = self.known(name, &given)
        {
            return found;
        }
        let function = match name {
            name if OPERATORS.contains(&name) => format!("\\{name}"),
            name if name.chars().count() == 1 => name.to_string(),
            name => format!("\\operatorname{{{}}}", escaped(name)),
        };
        (format!("{function}{}", brackets(&self.arguments(args))), Level::Raised)
    }

    /// Functions that have a sign of their own.
    fn known(&self, name: &str, args: &[&Expr]) -> Option<(String, Level)> {
        if let ([u], Some(below)) = (args, norm_of(name)) {
            let matrix = self.rank(u) >= 2;
            let below = if matches!(name, "norm" | "sumsq") && matrix { "F" } else { below };
            let squared = if name == "sumsq" { "^2" } else { "" };
            return Some((format!("{}{squared}", bars(&self.set(u), below)), Level::Raised));
        }
        let applied = |function: &str, u: &Expr| format!("{function}{}", brackets(&self.set(u)));
        Some(match (name, args) {
            ("soft", [u, t]) => (applied(&format!("\\mathcal{{S}}_{{{}}}", self.set(t)), u), Level::Raised),
            ("hard", [u, t]) => (applied(&format!("\\mathcal{{H}}_{{{}}}", self.set(t)), u), Level::Raised),
            ("svt", [u, t]) => (applied(&format!("\\mathcal{{D}}_{{{}}}", self.set(t)), u), Level::Raised),
            ("clip", [u, low, high]) => {
                let range = format!("\\Pi_{{[{}, {}]}}", self.set(low), self.set(high));
                (applied(&range, u), Level::Raised)
            }
            ("relu", [u]) => (format!("{}_{{+}}", brackets(&self.set(u))), Level::Raised),
            ("abs", [u]) => (format!("\\left| {} \\right|", self.set(u)), Level::Atom),
            ("sqrt", [u]) => (format!("\\sqrt{{{}}}", self.set(u)), Level::Atom),
            ("sum", [u]) => (format!("\\sum_{{i}} {}_{{i}}", brackets(&self.set(u))), Level::Product),
            ("max" | "min", [u]) => (format!("\\{name}_{{i}} {}_{{i}}", brackets(&self.set(u))), Level::Product),
            ("eye", [n]) => (format!("I_{{{}}}", self.set(n)), Level::Raised),
            ("zeros", _) => ("0".to_string(), Level::Atom),
            ("ones", _) => ("\\mathbf{1}".to_string(), Level::Atom),
            ("lipschitz", [f]) => (format!("L_{{{}}}", self.set(f)), Level::Raised),
            ("conjugate", [g]) => (self.power(g, "*"), Level::Raised),
            ("solve", [a, b]) => (format!("{} {}", self.power(a, "-1"), self.at(b, Level::Product)), Level::Product),
            ("where", [cond, then, otherwise]) => (self.cases(cond, then, otherwise), Level::Atom),
            ("flat", [u]) => (self.at(u, Level::Atom), Level::Atom),
            ("concat", [_, _, ..]) => {
                let rows: Vec<String> = args.iter().map(|row| self.set(row)).collect();
                (format!("\\begin{{bmatrix}} {} \\end{{bmatrix}}", rows.join(" \\\\ ")), Level::Atom)
            }
            (name, [u]) if self.maps.iter().any(|map| &**map == name) => {
                (format!("{} {}", symbol(name), self.at(u, Level::Raised)), Level::Product)
            }
            _ => return None,
        })
    }

    fn generator(&self, generator: &Generator) -> String {
        let start = generator.range.start.as_ref().map_or("0".to_string(), |start| self.set(start));
        format!("{start} \\leq {} < {}", symbol(&generator.name.text), self.set(&generator.range.end))
    }

    fn arguments(&self, args: &[Arg]) -> String {
        let one = |arg: &Arg| match &arg.value {
            ArgValue::Blank => "\\cdot".to_string(),
            ArgValue::Expr(value) => self.set(value),
            ArgValue::Each(_, value) => format!("\\text{{each }} {}", self.at(value, Level::Raised)),
            ArgValue::Generator { body, gens } => {
                let over: Vec<String> = gens.iter().map(|generator| self.generator(generator)).collect();
                format!("{} : {}", self.set(body), over.join(", "))
            }
        };
        args.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The number of axes, as far as the names tell; 0 where nothing is known.
    fn rank(&self, e: &Expr) -> usize {
        match &e.kind {
            ExprKind::Name(name) => self.ranks.get(name).copied().unwrap_or(0),
            ExprKind::Previous(name) => self.ranks.get(&name.text).copied().unwrap_or(0),
            ExprKind::Neg(inner) | ExprKind::Transpose(inner) => self.rank(inner),
            ExprKind::Chain { first, rest } => {
                rest.iter().map(|(_, operand)| self.rank(operand)).fold(self.rank(first), usize::max)
            }
            ExprKind::MatMul(left, right) => (self.rank(left) + self.rank(right)).saturating_sub(2),
            ExprKind::Pow(base, _) => self.rank(base),
            ExprKind::Index { base, indices } => {
                self.rank(base).saturating_sub(indices.iter().filter(|index| matches!(index, Index::At(_))).count())
            }
            ExprKind::Call { func, args } => {
                let given = || {
                    args.iter().filter_map(|arg| match &arg.value {
                        ArgValue::Expr(value) if arg.name.is_none() => Some(value),
                        _ => None,
                    })
                };
                match called(e) {
                    Some((name, _)) if REDUCING.contains(&name) => 0,
                    Some(("max" | "min", [_])) => 0,
                    Some(("zeros" | "ones", args)) => args.len(),
                    Some(("eye", _)) => 2,
                    Some(("solve", [_, b])) => match &b.value {
                        ArgValue::Expr(b) => self.rank(b),
                        _ => 0,
                    },
                    Some(_) => given().map(|arg| self.rank(arg)).max().unwrap_or(0),
                    // A function of a function, at its first argument.
                    None if matches!(func.kind, ExprKind::Call { .. }) => {
                        given().next().map_or(0, |arg| self.rank(arg))
                    }
                    None => 0,
                }
            }
            _ => 0,
        }
    }
}

/// What stands under the bars of a norm.
fn norm_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "norm" | "norm2" | "sumsq" | "opnorm" => "2",
        "norm1" => "1",
        "norm_inf" => "\\infty",
        "nuclear" => "*",
        "group_norm" => "{2,1}",
        "count" => "0",
        _ => return None,
    })
}

fn number(text: &str) -> (String, Level) {
    match text.split_once(['e', 'E']) {
        Some((digits, power)) => {
            let digits = if digits == "1" { String::new() } else { format!("{digits} \\cdot ") };
            (format!("{digits}10^{{{}}}", power.trim_start_matches('+')), Level::Product)
        }
        None => (text.to_string(), if text.starts_with('-') { Level::Sum } else { Level::Atom }),
    }
}

/// What mathematics has no sign for stays a program.
fn program(e: &Expr) -> (String, Level) {
    (format!("\\texttt{{{}}}", escaped(&pretty::expr(e))), Level::Atom)
}
