//! Linear maps, kept as terms: a map is a term that is linear in a variable, its composition is never multiplied out. Here
//! are the test for affine terms, the split into map and offset, adjoints, norm bounds, and the matrix of a map.
//!
//! The variable is a node of the graph: a block, or a name.

use super::rat::Rat;
use super::term::{Id, Ix, Op, Terms};
use crate::types::dim::{Dim, Poly};
use std::collections::HashMap;

/// Functions of the compiler and of std that are linear in their first argument, the others given.
const LINEAR: [&str; 7] = ["sum", "mean", "reverse", "cumsum", "diag", "real", "gather"];

impl Terms {
    /// Whether a variable is in a term.
    pub fn has(&self, id: Id, var: Id) -> bool {
        match self.op(var) {
            Op::Block(block) => self.depends(id, *block),
            Op::Name(name) => self.mentions(id, name),
            _ => id == var || self.node(id).args.iter().any(|arg| self.has(*arg, var)),
        }
    }

    /// Whether a term is affine in a variable, with a map that can be written.
    pub fn is_affine(&self, id: Id, var: Id) -> bool {
        if id == var || !self.has(id, var) {
            return true;
        }
        let args = self.args(id);
        let with: Vec<Id> = args.iter().copied().filter(|arg| self.has(*arg, var)).collect();
        match self.op(id) {
            Op::Add | Op::Stack => with.iter().all(|arg| self.is_affine(*arg, var)),
            Op::Scale(_) | Op::Transpose | Op::Index(_) => self.is_affine(args[0], var),
            Op::Mul | Op::MatMul => matches!(with.as_slice(), [only] if self.is_affine(*only, var)),
            Op::Along(name, _) => matches!(&**name, "sum" | "mean") && self.is_affine(args[0], var),
            Op::Rows(name) => &**name == "sum" && self.is_affine(args[0], var),
            Op::Call(name) if &**name == "concat" => args.iter().all(|arg| self.is_affine(*arg, var)),
            Op::Call(name) if &**name == "outer" => matches!(with.as_slice(), [only] if self.is_affine(*only, var)),
            Op::Call(name) if LINEAR.contains(&&**name) => with.as_slice() == [args[0]] && self.is_affine(args[0], var),
            Op::Conv(_) => with.as_slice() == [args[0]] && self.is_affine(args[0], var),
            Op::Adjoint(_) => with.as_slice() == [args[1]] && self.is_affine(args[1], var),
            Op::Pow | Op::Call(_) | Op::Opaque(..) | Op::Gradient(_) => false,
            Op::Number(_) | Op::Literal(_) | Op::Name(_) | Op::Block(_) => true,
        }
    }

    /// The linear part of an affine term: the term with everything that the variable does not reach taken as zero.
    pub fn linear_part(&mut self, id: Id, var: Id) -> Id {
        if id == var {
            return id;
        }
        if !self.has(id, var) {
            let shape = self.shape(id).clone();
            return self.zeros(&shape);
        }
        let node = self.node(id).clone();
        // Linear in each argument: the variable is in one of them.
        let product = match &node.op {
            Op::Mul | Op::MatMul | Op::Adjoint(_) => true,
            Op::Call(name) => &**name == "outer",
            _ => false,
        };
        if product {
            let args = node.args.iter().map(|arg| if self.has(*arg, var) { self.linear_part(*arg, var) } else { *arg });
            let args: Vec<Id> = args.collect();
            return self.remake(&node.op, args, &node.shape);
        }
        match &node.op {
            Op::Conv(_) => {
                let first = self.linear_part(node.args[0], var);
                let args = std::iter::once(first).chain(node.args[1..].iter().copied()).collect();
                self.remake(&node.op, args, &node.shape)
            }
            Op::Call(name) if &**name != "concat" => {
                let first = self.linear_part(node.args[0], var);
                if self.is_number(first, Rat::ZERO) {
                    return self.zeros(&node.shape);
                }
                let args = std::iter::once(first).chain(node.args[1..].iter().copied()).collect();
                self.remake(&node.op, args, &node.shape)
            }
            _ => {
                let args: Vec<Id> = node.args.iter().map(|arg| self.linear_part(*arg, var)).collect();
                self.remake(&node.op, args, &node.shape)
            }
        }
    }

    /// A term with another in the place of a variable.
    pub fn with(&mut self, id: Id, var: Id, value: Id) -> Id {
        self.with_known(id, var, value, &mut HashMap::new())
    }

    fn with_known(&mut self, id: Id, var: Id, value: Id, done: &mut HashMap<Id, Id>) -> Id {
        if id == var {
            return value;
        }
        if !self.has(id, var) {
            return id;
        }
        if let Some(known) = done.get(&id) {
            return *known;
        }
        let node = self.node(id).clone();
        let bound = match (&node.op, self.op(var)) {
            (Op::Gradient(own) | Op::Adjoint(own), Op::Block(block)) => own == block,
            _ => false,
        };
        let args: Vec<Id> = node
            .args
            .iter()
            .enumerate()
            .map(|(i, arg)| if bound && i == 0 { *arg } else { self.with_known(*arg, var, value, done) })
            .collect();
        let linear = match &node.op {
            Op::Call(name) => LINEAR.contains(&&**name),
            Op::Adjoint(_) => !bound || args[0] == node.args[0],
            _ => false,
        };
        let moved = if matches!(node.op, Op::Adjoint(_)) { 1 } else { 0 };
        let result = match linear && self.is_number(args[moved], Rat::ZERO) {
            true => self.zeros(&node.shape),
            false => self.remake(&node.op, args, &node.shape),
        };
        done.insert(id, result);
        result
    }

    /// The value of an affine term where the variable is zero.
    pub fn offset(&mut self, id: Id, var: Id) -> Id {
        let shape = self.shape(var).clone();
        let zero = self.zeros(&shape);
        self.with(id, var, zero)
    }

    /// `r`, where a linear term is `r` times the variable, a scalar that does not depend on it.
    pub fn factor_of(&mut self, id: Id, var: Id) -> Option<Id> {
        if id == var {
            return Some(self.int(1));
        }
        match self.op(id).clone() {
            Op::Scale(factor) => {
                let inner = self.args(id)[0];
                let inner = self.factor_of(inner, var)?;
                Some(self.scale(factor, inner))
            }
            Op::Mul => {
                let (with, without): (Vec<Id>, Vec<Id>) = self.args(id).iter().partition(|arg| self.has(**arg, var));
                match with.as_slice() {
                    [only] if without.iter().all(|arg| self.is_scalar(*arg)) => {
                        let inner = self.factor_of(*only, var)?;
                        let mut factors = without;
                        factors.push(inner);
                        Some(self.mul(factors))
                    }
                    _ => None,
                }
            }
            Op::Add => {
                let parts: Vec<Id> = self.args(id).to_vec();
                let parts: Option<Vec<Id>> = parts.into_iter().map(|part| self.factor_of(part, var)).collect();
                Some(self.add(parts?))
            }
            _ => None,
        }
    }

    /// The adjoint of a map (a term linear in a variable) applied to `u`: of the variable's shape.
    pub fn adjoint(&mut self, map: Id, var: Id, u: Id) -> Id {
        match self.adjoint_known(map, var, u) {
            Some(id) => id,
            None => {
                let shape = self.shape(var).clone();
                match self.op(var) {
                    Op::Block(block) => self.intern(Op::Adjoint(*block), &[map, u], shape),
                    _ => self.intern(Op::Adjoint(0), &[map, u], shape),
                }
            }
        }
    }

    fn adjoint_known(&mut self, map: Id, var: Id, u: Id) -> Option<Id> {
        if map == var {
            return Some(self.filled(u, var));
        }
        if !self.has(map, var) {
            let shape = self.shape(var).clone();
            return Some(self.zeros(&shape));
        }
        let node = self.node(map).clone();
        let args = &node.args;
        match &node.op {
            Op::Scale(factor) => {
                let inner = self.adjoint_known(args[0], var, u)?;
                Some(self.scale(*factor, inner))
            }
            Op::Add => {
                let mut parts = Vec::new();
                for arg in args.iter().filter(|arg| self.has(**arg, var)).copied().collect::<Vec<_>>() {
                    let inner = self.reduced(u, arg)?;
                    parts.push(self.adjoint_known(arg, var, inner)?);
                }
                Some(self.add(parts))
            }
            Op::Mul => {
                let (with, mut factors): (Vec<Id>, Vec<Id>) = args.iter().partition(|arg| self.has(**arg, var));
                let [inner] = with.as_slice() else { return None };
                factors.push(u);
                let product = self.mul(factors);
                let product = self.reduced(product, *inner)?;
                self.adjoint_known(*inner, var, product)
            }
            Op::MatMul => {
                let (a, b) = (args[0], args[1]);
                let (inner, product) = if self.has(b, var) {
                    // A @ b: A' @ u; a vector A gives the multiple u A.
                    let product = match (self.rank(a)?, self.rank(b)?) {
                        (2, _) => {
                            let turned = self.transpose(a);
                            self.matmul(turned, u)
                        }
                        (1, 1) => self.mul(vec![u, a]),
                        (1, 2) => self.outer(a, u),
                        _ => return None,
                    };
                    (b, product)
                } else {
                    let product = match (self.rank(a)?, self.rank(b)?) {
                        (1, 1) => self.mul(vec![u, b]),
                        // a @ B = B' @ a for a vector a.
                        (1, 2) => self.matmul(b, u),
                        (2, 1) => self.outer(u, b),
                        (2, 2) => {
                            let turned = self.transpose(b);
                            self.matmul(u, turned)
                        }
                        _ => return None,
                    };
                    (a, product)
                };
                self.adjoint_known(inner, var, product)
            }
            Op::Transpose => {
                let turned = self.transpose(u);
                self.adjoint_known(args[0], var, turned)
            }
            Op::Call(name) if &**name == "sum" => {
                let filled = self.filled(u, args[0]);
                self.adjoint_known(args[0], var, filled)
            }
            Op::Call(name) if &**name == "mean" => {
                let size = self.size(args[0])?;
                let share = self.div(u, size);
                let filled = self.filled(share, args[0]);
                self.adjoint_known(args[0], var, filled)
            }
            // The sum over the first axis: u for each of what was added.
            Op::Along(name, 0) if &**name == "sum" => {
                let filled = self.filled(u, args[0]);
                self.adjoint_known(args[0], var, filled)
            }
            // Over the columns of a matrix: the transpose of that.
            Op::Along(name, 1) if &**name == "sum" && self.rank(args[0]) == Some(2) => {
                let turned = self.transpose(args[0]);
                let filled = self.filled(u, turned);
                let back = self.transpose(filled);
                self.adjoint_known(args[0], var, back)
            }
            Op::Stack => {
                let mut parts = Vec::new();
                for (i, arg) in args.iter().enumerate().filter(|(_, arg)| self.has(**arg, var)).collect::<Vec<_>>() {
                    let own = self.index(u, vec![Ix::At(Poly::constant(i as i64))]);
                    parts.push(self.adjoint_known(*arg, var, own)?);
                }
                Some(self.add(parts))
            }
            Op::Conv(_) => {
                let back = self.conv_adjoint(map, u)?;
                self.adjoint_known(args[0], var, back)
            }
            Op::Call(name) if &**name == "reverse" => {
                let back = self.call("reverse", vec![u]);
                self.adjoint_known(args[0], var, back)
            }
            // Rows, then columns, which are the rows of the transpose.
            Op::Index(indices) if indices.len() == 2 && self.rank(map) == Some(2) => {
                let (base, dims) = (args[0], self.shape(args[0]).clone()?);
                let all = |dim: &Dim| Some(Ix::Range(Poly::constant(0), dim.known()?.clone()));
                let mut u = u;
                let rows = [indices[0].clone(), all(&dims[1])?];
                if !self.is_whole(base, indices, 1) {
                    let chosen = self.index(base, rows.to_vec());
                    let count = self.shape(chosen).as_ref().and_then(|dims| dims.first().cloned())?;
                    let (turned, turned_u) = (self.transpose(chosen), self.transpose(u));
                    let padded = self.padded(turned_u, turned, &[indices[1].clone(), all(&count)?])?;
                    u = self.transpose(padded);
                }
                if !self.is_whole(base, indices, 0) {
                    u = self.padded(u, base, &rows)?;
                }
                self.adjoint_known(base, var, u)
            }
            Op::Index(indices) => {
                let padded = self.padded(u, args[0], indices)?;
                self.adjoint_known(args[0], var, padded)
            }
            _ => None,
        }
    }

    /// The matrix of the products of two vectors' elements.
    fn outer(&mut self, a: Id, b: Id) -> Id {
        let dim = |terms: &Terms, id: Id| terms.shape(id).as_ref().and_then(|dims| dims.first().cloned());
        let shape = dim(self, a).zip(dim(self, b)).map(|(rows, columns)| vec![rows, columns]);
        self.intern(Op::Call("outer".into()), &[a, b], shape)
    }

    /// A cotangent for an operand that was stretched by the broadcasting rule: summed over the new axes.
    fn reduced(&mut self, u: Id, operand: Id) -> Option<Id> {
        let (from, to) = (self.rank(u)?, self.rank(operand)?);
        match (from, to) {
            _ if from == to => Some(u),
            (_, 0) => Some(self.call("sum", vec![u])),
            (2, 1) => Some(self.along("sum", u, 0)),
            _ => None,
        }
    }

    /// A scalar, or the last axes, stretched to the shape of another term.
    fn filled(&mut self, u: Id, like: Id) -> Id {
        let shape = self.shape(like).clone();
        if self.rank(u) == shape.as_ref().map(Vec::len) || shape.is_none() {
            return u;
        }
        let ones = self.number_of(Rat::ONE, shape.clone());
        if let Some(value) = self.as_number(u) {
            return self.number_of(value, shape);
        }
        // Kept as a product with ones, so that it has all elements.
        self.intern(Op::Mul, &[u, ones], shape)
    }

    /// All of an axis is taken.
    fn is_whole(&self, base: Id, indices: &[Ix], axis: usize) -> bool {
        let dim = self.shape(base).as_ref().and_then(|dims| dims.get(axis)).and_then(Dim::known);
        matches!(&indices[axis], Ix::Range(start, end) if start.as_constant() == Some(0) && dim == Some(end))
    }

    /// The adjoint of a slice of the first axis: zeros before and after.
    fn padded(&mut self, u: Id, base: Id, indices: &[Ix]) -> Option<Id> {
        let dims: Vec<Dim> = self.shape(base).clone()?;
        let Ix::Range(start, end) = indices.first()? else { return None };
        if !(1..indices.len()).all(|axis| self.is_whole(base, indices, axis)) {
            return None;
        }
        let after = dims[0].known()?.sub(end).ok()?;
        let zeros = |terms: &mut Terms, size: &Poly| {
            let mut shape = dims.clone();
            shape[0] = Dim::Known(size.clone());
            terms.zeros(&Some(shape))
        };
        let mut parts = Vec::new();
        if start.as_constant() != Some(0) {
            parts.push(zeros(self, start));
        }
        parts.push(u);
        if after.as_constant() != Some(0) {
            parts.push(zeros(self, &after));
        }
        let shape = Some(dims.clone());
        if parts.len() == 1 {
            return Some(u);
        }
        Some(self.intern(Op::Call("concat".into()), &parts, shape))
    }

    /// A bound of the operator norm of a map in a variable, as a term; exact for products with one matrix, scalings, the
    /// identity. `None` where nothing is known.
    pub fn norm_bound(&mut self, map: Id, var: Id) -> Option<Id> {
        if map == var {
            return Some(self.int(1));
        }
        if !self.has(map, var) {
            return Some(self.int(0));
        }
        let args = self.args(map);
        match self.op(map).clone() {
            Op::Scale(factor) => {
                let inner = self.norm_bound(args[0], var)?;
                Some(self.scale(factor.abs(), inner))
            }
            Op::Add => {
                // |K1 + K2| <= |K1| + |K2|
                let mut parts = Vec::new();
                for arg in args.iter().filter(|arg| self.has(**arg, var)).copied().collect::<Vec<_>>() {
                    let (bound, stretch) = (self.norm_bound(arg, var)?, self.stretch(arg, map)?);
                    parts.push(self.mul(vec![stretch, bound]));
                }
                Some(self.add(parts))
            }
            Op::Mul => {
                let (with, without): (Vec<Id>, Vec<Id>) = args.iter().partition(|arg| self.has(**arg, var));
                let [inner] = with.as_slice() else { return None };
                let mut factors = vec![self.norm_bound(*inner, var)?];
                for factor in without.iter().copied() {
                    let size = self.call("abs", vec![factor]);
                    factors.push(if self.is_scalar(factor) { size } else { self.call("max", vec![size]) });
                }
                // A number times an array has the norm of the array.
                if self.is_scalar(*inner) && !self.is_scalar(map) {
                    let [array] = without.as_slice() else { return None };
                    let size = self.call("norm", vec![*array]);
                    let bound = self.norm_bound(*inner, var)?;
                    return Some(self.mul(vec![size, bound]));
                }
                factors.push(self.stretch(*inner, map)?);
                Some(self.mul(factors))
            }
            Op::MatMul => {
                let (inner, matrix) = if self.has(args[1], var) { (args[1], args[0]) } else { (args[0], args[1]) };
                let inner = self.norm_bound(inner, var)?;
                let size = match self.rank(matrix)? {
                    1 => self.call("norm", vec![matrix]),
                    2 => self.call_real("opnorm", matrix),
                    _ => return None,
                };
                Some(self.mul(vec![size, inner]))
            }
            Op::Transpose | Op::Index(_) => self.norm_bound(args[0], var),
            Op::Call(name) if matches!(&*name, "reverse" | "diag" | "real") => self.norm_bound(args[0], var),
            Op::Call(name) if &*name == "sum" => {
                let size = self.size(args[0])?;
                let root = self.call("sqrt", vec![size]);
                let inner = self.norm_bound(args[0], var)?;
                Some(self.mul(vec![root, inner]))
            }
            // |sum(v) / n| <= |v| / sqrt(n)
            Op::Call(name) if &*name == "mean" => {
                let size = self.size(args[0])?;
                let root = self.call("sqrt", vec![size]);
                let inner = self.norm_bound(args[0], var)?;
                Some(self.div(inner, root))
            }
            // Each result is a sum of as many as the axis has.
            Op::Along(name, axis) if &*name == "sum" => {
                let extent = self.shape(args[0]).as_ref()?.get(axis)?.clone();
                let extent = self.dim_term(&extent);
                let root = self.call("sqrt", vec![extent]);
                let inner = self.norm_bound(args[0], var)?;
                Some(self.mul(vec![root, inner]))
            }
            // |(K1 v, K2 v)|^2 = |K1 v|^2 + |K2 v|^2
            Op::Stack => {
                let mut squares = Vec::new();
                for arg in args.iter().filter(|arg| self.has(**arg, var)).copied().collect::<Vec<_>>() {
                    let (bound, two) = (self.norm_bound(arg, var)?, self.int(2));
                    squares.push(self.pow(bound, two));
                }
                let total = self.add(squares);
                Some(self.call("sqrt", vec![total]))
            }
            Op::Conv(_) => {
                let size = self.conv_norm(map)?;
                let inner = self.norm_bound(args[0], var)?;
                Some(self.mul(vec![size, inner]))
            }
            _ => None,
        }
    }

    /// What an array that is repeated along new axes grows by: the root of how often it is.
    fn stretch(&mut self, inner: Id, whole: Id) -> Option<Id> {
        if self.rank(inner)? == self.rank(whole)? {
            return Some(self.int(1));
        }
        let (from, to) = (self.size(inner)?, self.size(whole)?);
        let times = self.div(to, from);
        Some(self.call("sqrt", vec![times]))
    }

    fn call_real(&mut self, name: &str, id: Id) -> Id {
        // A transpose has the same norm.
        let id = if *self.op(id) == Op::Transpose { self.args(id)[0] } else { id };
        self.call(name, vec![id])
    }

    /// The matrix M of a map with `map = M @ variable`, if it is one that multiplies from the left.
    pub fn matrix_of(&mut self, map: Id, var: Id) -> Option<Id> {
        let rows = match self.shape(var).as_deref() {
            Some([n] | [n, _]) => n.clone(),
            _ => return None,
        };
        if map == var {
            return Some(self.eye(&rows));
        }
        if !self.has(map, var) {
            return None;
        }
        let args = self.args(map);
        match self.op(map).clone() {
            Op::Scale(factor) => {
                let inner = self.matrix_of(args[0], var)?;
                Some(self.scale(factor, inner))
            }
            Op::Add => {
                let parts: Option<Vec<Id>> = args.iter().map(|arg| self.matrix_of(*arg, var)).collect();
                Some(self.add(parts?))
            }
            Op::Mul => {
                let (with, mut factors): (Vec<Id>, Vec<Id>) = args.iter().partition(|arg| self.has(**arg, var));
                let [inner] = with.as_slice() else { return None };
                if factors.iter().any(|factor| !self.is_scalar(*factor)) || self.is_scalar(*inner) {
                    return None;
                }
                factors.push(self.matrix_of(*inner, var)?);
                Some(self.mul(factors))
            }
            // outer(a, b @ Y) = outer(a, b) @ Y
            Op::Call(name) if &*name == "outer" && !self.has(args[0], var) => {
                let Op::MatMul = self.op(args[1]) else { return None };
                let product = self.args(args[1]);
                if self.has(product[0], var) || self.rank(product[0]) != Some(1) || self.rank(product[1]) != Some(2) {
                    return None;
                }
                let inner = self.matrix_of(product[1], var)?;
                let turned = self.transpose(inner);
                let row = self.matmul(turned, product[0]);
                Some(self.outer(args[0], row))
            }
            Op::MatMul if self.has(args[1], var) && self.rank(args[0]) == Some(2) => {
                let inner = self.matrix_of(args[1], var)?;
                Some(self.matmul(args[0], inner))
            }
            _ => None,
        }
    }
}
