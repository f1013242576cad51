//! Constructors of terms: each keeps the normal form, in which equal things look equal, and finds the shape.
//!
//! Numbers are pulled out of products, sums are flat and sorted with like terms added up, powers of one base in a
//! product are one power, `a / b` is `a * b^-1`, two transposes cancel. All of it is exact in real arithmetic: it happens
//! to the objective, before the meaning of the program in floating point is fixed.

use super::rat::Rat;
use super::term::{Id, Ix, Op, Shape, Terms, dims_product};
use crate::syntax::ast::Symbol;
use crate::types::dim::{Dim, Equality, Poly, equality};

/// Functions of one array that act on each element.
pub const ELEMENTWISE: [&str; 22] = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "tanh",
    "sigmoid",
    "softplus",
    "erf",
    "atan",
    "abs",
    "sign",
    "floor",
    "ceil",
    "round",
    "stop_gradient",
    "real",
    "relu",
    "isfinite",
];
/// Functions of several arrays that act on each element.
pub const ELEMENTWISE_MANY: [&str; 8] = ["max", "min", "where", "soft", "hard", "clip", "leaky", "atan2"];
/// Functions of one array with one real as value.
pub const REDUCTIONS: [&str; 11] =
    ["sum", "prod", "mean", "max", "min", "sumsq", "norm", "norm1", "count", "opnorm", "logsumexp"];

impl Terms {
    pub fn number(&mut self, value: Rat) -> Id {
        self.number_of(value, Some(Vec::new()))
    }

    /// An array of one number.
    pub fn number_of(&mut self, value: Rat, shape: Shape) -> Id {
        self.intern(Op::Number(value), &[], shape)
    }

    pub fn int(&mut self, value: i64) -> Id {
        self.number(Rat::int(value))
    }

    pub fn name(&mut self, name: &Symbol) -> Id {
        let shape = self.shape_of_name(name);
        self.intern(Op::Name(name.clone()), &[], shape)
    }

    pub fn scalar_name(&mut self, name: &Symbol) -> Id {
        self.declare_name(name, Some(Vec::new()));
        self.name(name)
    }

    /// The number and the rest of `r * x`.
    pub fn split_scale(&mut self, id: Id) -> (Rat, Id) {
        match self.op(id) {
            Op::Scale(factor) => (*factor, self.args(id)[0]),
            Op::Number(value) => {
                let (value, shape) = (*value, self.shape(id).clone());
                (value, self.number_of(Rat::ONE, shape))
            }
            _ => (Rat::ONE, id),
        }
    }

    pub fn scale(&mut self, factor: Rat, id: Id) -> Id {
        let shape = self.shape(id).clone();
        let (own, rest) = self.split_scale(id);
        let Some(product) = own.mul(factor) else {
            // Too large to be exact: kept as a product.
            let factor = self.number(factor);
            return self.intern(Op::Mul, &[factor, id], shape);
        };
        if product == Rat::ZERO || matches!(self.op(rest), Op::Number(_)) {
            return self.number_of(product, shape);
        }
        // A number times a sum is the sum of the numbers times its terms, so that like terms meet.
        if *self.op(rest) == Op::Add && product == Rat::int(-1) {
            let parts: Vec<Id> = self.args(rest).to_vec();
            let parts = parts.into_iter().map(|part| self.scale(product, part)).collect();
            return self.add(parts);
        }
        if product == Rat::ONE { rest } else { self.intern(Op::Scale(product), &[rest], shape) }
    }

    pub fn neg(&mut self, id: Id) -> Id {
        self.scale(Rat::int(-1), id)
    }

    pub fn sub(&mut self, a: Id, b: Id) -> Id {
        let b = self.neg(b);
        self.add(vec![a, b])
    }

    pub fn add(&mut self, parts: Vec<Id>) -> Id {
        let shape = self.broadcast(&parts);
        let mut sum: Vec<(Id, Rat)> = Vec::new();
        let mut open: Vec<Id> = parts.into_iter().rev().collect();
        while let Some(part) = open.pop() {
            if *self.op(part) == Op::Add {
                open.extend(self.args(part).iter().rev());
                continue;
            }
            let (factor, rest) = self.split_scale(part);
            match sum.iter_mut().find(|(known, _)| *known == rest) {
                Some((_, total)) => match total.add(factor) {
                    Some(both) => *total = both,
                    None => sum.push((part, Rat::ONE)),
                },
                None => sum.push((rest, factor)),
            }
        }
        sum.retain(|(_, factor)| *factor != Rat::ZERO);
        // What depends on the blocks stands first; the order of the text holds otherwise.
        sum.sort_by_key(|(id, _)| self.is_constant(*id));
        let parts: Vec<Id> = sum.into_iter().map(|(id, factor)| self.scale(factor, id)).collect();
        match parts.as_slice() {
            [] => self.number_of(Rat::ZERO, shape),
            [only] if self.shape(*only) == &shape || shape.is_none() => *only,
            // A scalar that filled an array in a sum whose other terms cancelled.
            [only] => {
                let zeros = self.number_of(Rat::ZERO, shape.clone());
                self.intern(Op::Add, &[*only, zeros], shape)
            }
            several => self.intern(Op::Add, several, shape),
        }
    }

    /// The product, element by element.
    pub fn mul(&mut self, factors: Vec<Id>) -> Id {
        let shape = self.broadcast(&factors);
        let mut number = Rat::ONE;
        let mut powers: Vec<(Id, Rat)> = Vec::new();
        let mut open: Vec<Id> = factors.into_iter().rev().collect();
        let mut kept: Vec<Id> = Vec::new();
        while let Some(factor) = open.pop() {
            match self.op(factor).clone() {
                Op::Mul => open.extend(self.args(factor).iter().rev()),
                Op::Scale(own) => match number.mul(own) {
                    Some(product) => {
                        number = product;
                        open.push(self.args(factor)[0]);
                    }
                    None => kept.push(factor),
                },
                Op::Number(own) => match number.mul(own) {
                    Some(product) => number = product,
                    None => kept.push(factor),
                },
                op => {
                    let (base, exponent) = match op {
                        Op::Pow => {
                            let args = self.args(factor);
                            self.as_number(args[1]).map_or((factor, Rat::ONE), |exponent| (args[0], exponent))
                        }
                        _ => (factor, Rat::ONE),
                    };
                    match powers.iter_mut().find(|(known, _)| *known == base) {
                        Some((_, total)) => match total.add(exponent) {
                            Some(both) => *total = both,
                            None => kept.push(factor),
                        },
                        None => powers.push((base, exponent)),
                    }
                }
            }
        }
        if number == Rat::ZERO {
            return self.number_of(Rat::ZERO, shape);
        }
        let mut factors = kept;
        for (base, exponent) in powers {
            if exponent == Rat::ZERO {
                continue;
            }
            let exponent = self.number(exponent);
            factors.push(self.pow(base, exponent));
        }
        // Scalars first, those that do not depend on the blocks before the others.
        factors.sort_by_key(|id| (!self.is_scalar(*id), !self.is_constant(*id)));
        let product = match factors.as_slice() {
            [] => self.number_of(Rat::ONE, shape.clone()),
            [only] => *only,
            // A scalar goes into a product of matrices as it is: `t * (D' @ u)`.
            several => self.intern(Op::Mul, several, shape),
        };
        self.scale(number, product)
    }

    pub fn div(&mut self, a: Id, b: Id) -> Id {
        let exponent = self.int(-1);
        let inverse = self.pow(b, exponent);
        self.mul(vec![a, inverse])
    }

    pub fn pow(&mut self, base: Id, exponent: Id) -> Id {
        let shape = self.shape(base).clone();
        let Some(power) = self.as_number(exponent) else {
            let shape = self.broadcast(&[base, exponent]);
            return self.intern(Op::Pow, &[base, exponent], shape);
        };
        if power == Rat::ONE {
            return base;
        }
        if power == Rat::ZERO {
            return self.number_of(Rat::ONE, shape);
        }
        match (self.op(base).clone(), power.as_int()) {
            (Op::Number(value), Some(power)) if let Some(value) = value.pow(power) => self.number_of(value, shape),
            (Op::Scale(factor), Some(power)) if let Some(factor) = factor.pow(power) => {
                let inner = self.args(base)[0];
                let inner = self.pow(inner, exponent);
                self.scale(factor, inner)
            }
            (Op::Mul, Some(_)) => {
                let factors: Vec<Id> = self.args(base).to_vec();
                let factors = factors.into_iter().map(|factor| self.pow(factor, exponent)).collect();
                self.mul(factors)
            }
            // (x^a)^n = x^(a n) for whole n.
            (Op::Pow, Some(_)) => {
                let args = self.args(base);
                match self.as_number(args[1]).and_then(|inner| inner.mul(power)) {
                    Some(product) if product == Rat::ONE && self.as_number(args[1]) != Some(Rat::ONE) => args[0],
                    Some(product) => {
                        let product = self.number(product);
                        self.pow(args[0], product)
                    }
                    None => self.intern(Op::Pow, &[base, exponent], shape),
                }
            }
            // sqrt(x)^2 = x
            (Op::Call(name), Some(power)) if &*name == "sqrt" && power % 2 == 0 => {
                let half = self.int(power / 2);
                let inside = self.args(base)[0];
                self.pow(inside, half)
            }
            // max(|sqrt(w)|)^2 = max(|w|)
            (Op::Call(name), Some(2))
                if &*name == "max"
                    && let Some(inside) = self.roots_inside(base) =>
            {
                let size = self.call("abs", vec![inside]);
                self.call("max", vec![size])
            }
            _ => self.intern(Op::Pow, &[base, exponent], shape),
        }
    }

    /// w of `max(abs(sqrt(w)))`.
    fn roots_inside(&self, id: Id) -> Option<Id> {
        let [size] = &*self.args(id) else { return None };
        let root = self.call_of(*size, "abs")?;
        Some(self.call_of(root[0], "sqrt")?[0])
    }

    pub fn matmul(&mut self, a: Id, b: Id) -> Id {
        let shape = matmul_shape(self.shape(a), self.shape(b));
        let (left, a) = self.split_scale(a);
        let (right, b) = self.split_scale(b);
        let zero = |terms: &Terms, id: Id| matches!(terms.op(id), Op::Number(_));
        let Some(factor) = left.mul(right) else { return self.intern(Op::MatMul, &[a, b], shape) };
        if factor == Rat::ZERO {
            return self.number_of(Rat::ZERO, shape);
        }
        if self.call_of(a, "eye").is_some() && !zero(self, b) {
            return self.scale(factor, b);
        }
        if self.call_of(b, "eye").is_some() && !zero(self, a) {
            return self.scale(factor, a);
        }
        // Scalars come out: (t A) @ b = t (A @ b).
        for (i, side) in [a, b].into_iter().enumerate() {
            if *self.op(side) == Op::Mul {
                let (scalars, rest): (Vec<Id>, Vec<Id>) = self.args(side).iter().partition(|id| self.is_scalar(**id));
                if !scalars.is_empty() && !rest.is_empty() {
                    let rest = self.mul(rest);
                    let inner = if i == 0 { self.matmul(rest, b) } else { self.matmul(a, rest) };
                    let mut factors = scalars;
                    factors.push(inner);
                    let product = self.mul(factors);
                    return self.scale(factor, product);
                }
            }
        }
        let product = self.intern(Op::MatMul, &[a, b], shape);
        self.scale(factor, product)
    }

    pub fn transpose(&mut self, id: Id) -> Id {
        let shape = self.shape(id).clone().map(|mut dims| {
            let n = dims.len();
            if n >= 2 {
                dims.swap(n - 1, n - 2);
            }
            dims
        });
        let (factor, rest) = self.split_scale(id);
        if factor != Rat::ONE {
            let inner = self.transpose(rest);
            return self.scale(factor, inner);
        }
        match self.op(id) {
            Op::Transpose => self.args(id)[0],
            Op::Call(name) if &**name == "eye" => id,
            _ => self.intern(Op::Transpose, &[id], shape),
        }
    }

    /// A call of a function by its name.
    pub fn call(&mut self, name: &str, args: Vec<Id>) -> Id {
        let shape = self.call_shape(name, &args);
        if let [arg] = args.as_slice() {
            match (name, self.op(*arg).clone()) {
                // sum(sum(x, axis)) = sum(x)
                ("sum", Op::Along(inner, _)) if &*inner == "sum" => {
                    let inner = self.args(*arg)[0];
                    return self.call("sum", vec![inner]);
                }
                ("sum" | "norm" | "norm1" | "abs", _) if self.is_scalar(*arg) && name == "sum" => return *arg,
                // The sum of equal numbers.
                ("sum", Op::Number(value)) if let Some(size) = self.size(*arg) => return self.scale(value, size),
                ("reverse" | "stop_gradient" | "real", Op::Number(_)) => return *arg,
                ("abs" | "norm" | "norm1", Op::Number(value)) if self.is_scalar(*arg) => {
                    return self.number(value.abs());
                }
                ("sqrt", Op::Pow) => {
                    let parts = self.args(*arg);
                    if self.is_number(parts[1], Rat::int(2)) {
                        return self.call("abs", vec![parts[0]]);
                    }
                }
                // sqrt(sum(u^2)) is the norm.
                ("sqrt", op) if let Some(inside) = self.square_summed(&op, *arg) => {
                    return self.call("norm", vec![inside]);
                }
                _ => {}
            }
        }
        if name == "concat" && args.iter().all(|arg| self.is_number(*arg, Rat::ZERO)) {
            return self.number_of(Rat::ZERO, shape);
        }
        self.intern(Op::Call(name.into()), &args, shape)
    }

    /// u of `sumsq(u)`, `sum(u^2)`, `u @ u`.
    fn square_summed(&self, op: &Op, id: Id) -> Option<Id> {
        let args = self.args(id);
        match op {
            Op::Call(name) if &**name == "sumsq" => Some(args[0]),
            Op::Call(name) if &**name == "sum" && *self.op(args[0]) == Op::Pow => {
                let inner = self.args(args[0]);
                self.is_number(inner[1], Rat::int(2)).then_some(inner[0])
            }
            Op::MatMul if args[0] == args[1] => Some(args[0]),
            _ => None,
        }
    }

    pub fn along(&mut self, name: &str, id: Id, axis: usize) -> Id {
        if let ("sum", 0, Some(summed)) = (name, axis, self.conv_summed(id)) {
            return summed;
        }
        if let ("sum", Some(summed)) = (name, self.rows_summed(id, axis)) {
            return summed;
        }
        let shape = self.shape(id).clone().map(|mut dims| {
            if axis < dims.len() {
                dims.remove(axis);
            }
            dims
        });
        if name == "sum" && self.is_number(id, Rat::ZERO) {
            return self.zeros(&shape);
        }
        self.intern(Op::Along(name.into(), axis), &[id], shape)
    }

    /// The sum of the magnitudes along all axes but the first, the second one last: `norm1(each u)`.
    fn rows_summed(&mut self, id: Id, axis: usize) -> Option<Id> {
        let (mut inner, mut rank) = (id, 2);
        while let Op::Along(name, along) = self.op(inner)
            && &**name == "sum"
            && *along == rank
        {
            (inner, rank) = (self.args(inner)[0], rank + 1);
        }
        let inside = self.call_of(inner, "abs").filter(|_| axis == 1 && self.rank(inner) == Some(rank))?;
        Some(self.rows("norm1", inside[0]))
    }

    pub fn rows(&mut self, name: &str, id: Id) -> Id {
        let shape = self.shape(id).clone().map(|dims| dims.into_iter().take(1).collect());
        self.intern(Op::Rows(name.into()), &[id], shape)
    }

    /// Arrays of one shape along a new first axis.
    pub fn stack(&mut self, parts: Vec<Id>) -> Id {
        let count = Dim::constant(parts.len() as i64);
        let shape: Shape = self.shape(parts[0]).clone().map(|dims| std::iter::once(count).chain(dims).collect());
        if parts.iter().all(|part| self.is_number(*part, Rat::ZERO)) {
            return self.zeros(&shape);
        }
        self.intern(Op::Stack, &parts, shape)
    }

    pub fn index(&mut self, id: Id, indices: Vec<Ix>) -> Id {
        let Some(dims) = self.shape(id).clone() else { return self.intern(Op::Index(indices), &[id], None) };
        let whole = |ix: &Ix, dim: &Dim| match ix {
            Ix::Range(start, end) => start.as_constant() == Some(0) && dim.known() == Some(end),
            Ix::At(_) => false,
        };
        if indices.iter().zip(&dims).all(|(ix, dim)| whole(ix, dim)) {
            return id;
        }
        let mut shape = Vec::new();
        for (i, dim) in dims.iter().enumerate() {
            match indices.get(i) {
                Some(Ix::At(_)) => {}
                Some(Ix::Range(start, end)) => shape.push(end.sub(start).map_or(Dim::Unknown, Dim::Known)),
                None => shape.push(dim.clone()),
            }
        }
        if let Some(value) = self.as_number(id) {
            return self.number_of(value, Some(shape));
        }
        self.intern(Op::Index(indices), &[id], Some(shape))
    }

    pub fn eye(&mut self, dim: &Dim) -> Id {
        let size = self.dim_term(dim);
        self.intern(Op::Call("eye".into()), &[size], Some(vec![dim.clone(), dim.clone()]))
    }

    pub fn zeros(&mut self, shape: &Shape) -> Id {
        self.number_of(Rat::ZERO, shape.clone())
    }

    /// A dimension as a value.
    pub fn dim_term(&mut self, dim: &Dim) -> Id {
        if let Some(value) = dim.as_constant() {
            return self.int(value);
        }
        // A polynomial prints as the expression that it is.
        let text: Symbol = dim.to_string().into();
        if let Some(size) = dim.known() {
            self.sizes.insert(text.clone(), size.clone());
        }
        self.intern(Op::Name(text), &[], Some(Vec::new()))
    }

    /// The size that a value is: a number, a name, or what `dim_term` made.
    pub fn value_as_dim(&mut self, id: Id) -> Option<Poly> {
        match self.op(id).clone() {
            Op::Number(value) => value.as_int().map(Poly::constant),
            Op::Name(name) if self.is_scalar(id) => match self.sizes.get(&name) {
                Some(size) => Some(size.clone()),
                None => self.dim(&name).known().cloned(),
            },
            _ => None,
        }
    }

    /// The number of elements.
    pub fn size(&mut self, id: Id) -> Option<Id> {
        let dims = self.shape(id).clone()?;
        let product = dims_product(&dims);
        product.known()?;
        Some(self.dim_term(&product))
    }

    /// The common shape of operands.
    pub fn broadcast(&self, parts: &[Id]) -> Shape {
        let mut longest: Vec<Dim> = Vec::new();
        for part in parts {
            let dims = self.shape(*part).as_ref()?;
            if dims.len() > longest.len() {
                longest.clone_from(dims);
            }
        }
        Some(longest)
    }

    fn call_shape(&self, name: &str, args: &[Id]) -> Shape {
        match args {
            [arg] if REDUCTIONS.contains(&name) => match name {
                "logsumexp" if self.rank(*arg) != Some(1) => None,
                _ => Some(Vec::new()),
            },
            [arg] if ELEMENTWISE.contains(&name) || matches!(name, "softmax" | "sort" | "cumsum" | "reverse") => {
                self.shape(*arg).clone()
            }
            _ if ELEMENTWISE_MANY.contains(&name) => self.broadcast(args),
            [a, b] if name == "concat" => {
                let (a, b) = (self.shape(*a).as_ref()?, self.shape(*b).as_ref()?);
                let mut dims = a.clone();
                *dims.first_mut()? = a.first()?.combine(b.first()?, Poly::add);
                Some(dims)
            }
            [v] if name == "diag" => match self.shape(*v).as_ref()?.as_slice() {
                [n] => Some(vec![n.clone(), n.clone()]),
                [n, _] => Some(vec![n.clone()]),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether two shapes are known to be the same.
    pub fn same_shape(&self, a: Id, b: Id) -> bool {
        match (self.shape(a), self.shape(b)) {
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equality(a, b) == Equality::Equal),
            _ => false,
        }
    }

    /// The operation on other arguments.
    pub fn remake(&mut self, op: &Op, args: Vec<Id>, shape: &Shape) -> Id {
        match op {
            Op::Number(_) | Op::Literal(_) | Op::Name(_) | Op::Block(_) => {
                self.intern(op.clone(), &args, shape.clone())
            }
            Op::Scale(factor) => self.scale(*factor, args[0]),
            Op::Add => self.add(args),
            Op::Mul => self.mul(args),
            Op::Pow => self.pow(args[0], args[1]),
            Op::MatMul => self.matmul(args[0], args[1]),
            Op::Transpose => self.transpose(args[0]),
            Op::Call(name) => {
                let id = self.call(name, args);
                // What the table of shapes does not know keeps the shape that it had.
                if self.shape(id).is_none() && shape.is_some() {
                    let node = self.node(id).clone();
                    return self.intern(node.op, &node.args, shape.clone());
                }
                id
            }
            Op::Along(name, axis) => self.along(name, args[0], *axis),
            Op::Rows(name) => self.rows(name, args[0]),
            Op::Index(indices) => self.index(args[0], indices.clone()),
            Op::Conv(conv) => self.conv(conv, args),
            Op::Stack => self.stack(args),
            Op::Opaque(..) | Op::Gradient(_) | Op::Adjoint(_) => self.intern(op.clone(), &args, shape.clone()),
        }
    }
}

fn matmul_shape(a: &Shape, b: &Shape) -> Shape {
    match (a.as_deref()?, b.as_deref()?) {
        ([_], [_]) => Some(Vec::new()),
        ([m, _], [_]) => Some(vec![m.clone()]),
        ([_], [_, n]) => Some(vec![n.clone()]),
        ([m, _], [_, n]) => Some(vec![m.clone(), n.clone()]),
        _ => None,
    }
}
