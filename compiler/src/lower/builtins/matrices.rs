//! Decompositions, linear systems, norms of matrices, Fourier transforms.

use super::Args;
use crate::ir::builder::Builder;
use crate::ir::graph::{Op, Scan, Trips, Type, Var};
use crate::lower::value::Value;
use crate::lower::{Ctx, Res};
use crate::syntax::ast::Symbol;
use dp_runtime::tensor::{DType, Tensor};

/// Above this many rows and columns the largest singular value is found by power iteration.
const DENSE: usize = 1024;
/// Passes of the power iteration, and the factor that makes its result a bound. After p passes from a random start the largest
/// eigenvalue of an n by n matrix is found to a relative error of 0.871 log(n) / (p - 1) in the mean (Kuczynski and Wozniakowski,
/// SIAM Journal on Matrix Analysis and Applications 13, 1992); its root to half of that, below 2 % for n up to 10^6.
const PASSES: usize = 320;
const SAFETY: f64 = 1.02;
/// The key of the start.
const START: u64 = 0x9e37_79b9_7f4a_7c15;

/// A record of values.
fn record(names: &[&str], values: Vec<Value>) -> Value {
    Value::Record(names.iter().map(|&name| Symbol::from(name)).zip(values).collect())
}

impl Ctx<'_> {
    /// A real matrix, or a stack of them.
    fn matrix(&mut self, args: &Args, x: &Value, square: bool) -> Res<Value> {
        let x = self.to_real(x)?;
        let shape = self.shape(&x)?;
        let rank = shape.len();
        if rank < 2 || (square && shape[rank - 1] != shape[rank - 2]) {
            let wanted = if square { "a square matrix" } else { "a matrix" };
            return args.wrong(self, &format!("{wanted} is needed, found {}", self.show(&x)));
        }
        Ok(x)
    }

    /// One matrix to one value: `cholesky`, `det`.
    pub(super) fn of_square(&mut self, op: Op, args: &Args) -> Res<Value> {
        let [a] = args.exactly(self)?;
        let a = self.matrix(args, &a, true)?;
        self.op(op, &[a])
    }

    /// One matrix to a record.
    pub(super) fn decomposed(&mut self, op: Op, square: bool, names: &[&str], args: &Args) -> Res<Value> {
        let [a] = args.exactly(self)?;
        let a = self.matrix(args, &a, square)?;
        Ok(record(names, self.emit(op, &[a])?))
    }

    pub(super) fn singular_values(&mut self, args: &Args) -> Res<Value> {
        let [a] = args.exactly(self)?;
        let a = self.matrix(args, &a, false)?;
        self.op(Op::SingularValues, &[a])
    }

    /// A system with a vector or a matrix on the right.
    pub(super) fn system(&mut self, op: Op, args: &Args) -> Res<Value> {
        let [a, b] = args.exactly(self)?;
        let (a, b) = (self.to_real(&a)?, self.to_real(&b)?);
        let (sa, sb) = (self.shape(&a)?, self.shape(&b)?);
        if sa.len() != 2 || sa[0] != sa[1] || sb.is_empty() || sb.len() > 2 || sb[0] != sa[0] {
            return args.wrong(
                self,
                &format!(
                    "a square matrix and a vector or matrix with as many rows are needed, found {sa:?} and {sb:?}"
                ),
            );
        }
        let column = self.reshape(&b, &[sb[0], sb.get(1).copied().unwrap_or(1)])?;
        let x = self.op(op, &[a, column])?;
        self.reshape(&x, &sb)
    }

    /// The largest singular value: by decomposition, or by power iteration for large matrices.
    pub(super) fn opnorm(&mut self, args: &Args) -> Res<Value> {
        let [a] = args.exactly(self)?;
        let a = self.to_real(&a)?;
        let shape = self.shape(&a)?;
        let [m, n] = shape[..] else {
            return args.wrong(self, &format!("a matrix is needed, found {}", self.show(&a)));
        };
        if m.min(n) == 0 {
            return Ok(self.real_const(0.0));
        }
        if m.min(n) <= DENSE {
            let s = self.op(Op::SingularValues, &[a])?;
            return self.take(&s, 0, 0);
        }
        self.power_opnorm(&a, n)
    }

    /// `1.02 |A v|` with v from `v <- A'A v / |A'A v|`. The loop is differentiated like any other, so the derivative is `u v'` to the
    /// accuracy of v, and higher derivatives are right as well.
    fn power_opnorm(&mut self, a: &Value, n: usize) -> Res<Value> {
        let dtype = self.real();
        let key = Value::Tensor(Tensor::scalar(START));
        let start = self.op(Op::Normal { shape: vec![n, 1], dtype }, &[key])?;
        let start = self.unit(&start)?;
        let a_type = self.ty(a)?;
        let body = {
            let mut b = Builder { span: self.span, ..Builder::default() };
            let a = b.param(a_type);
            let v = b.param(Type::new(dtype, &[n, 1]));
            b.param(Type::scalar(DType::I64));
            let turned = b.transpose_last(a);
            let product = b.op(Op::Dot { batch: 0 }, &[a, v]);
            let product = b.op(Op::Dot { batch: 0 }, &[turned, product]);
            let next = unit_column(&mut b, product);
            b.finish(vec![next])
        };
        let scan = Scan { body: body.into(), consts: 1, carries: 1, cap: PASSES, trips: Trips::All, reverse: false };
        let v = self.emit(Op::Scan(scan), &[a.clone(), start])?.swap_remove(0);
        let image = self.op(Op::Dot { batch: 0 }, &[a.clone(), v])?;
        let square = self.sumsq(&image)?;
        let norm = self.op(Op::Sqrt, &[square])?;
        let safety = self.real_const(SAFETY);
        self.op(Op::Mul, &[safety, norm])
    }

    /// `scatter_add(x, i, u)`: x with the parts of u added at the places i of its leading axis.
    pub(super) fn scatter_add(&mut self, args: &Args) -> Res<Value> {
        let [x, i, u] = args.exactly(self)?;
        let ints = self.ty(&x)?.dtype == DType::I64 && self.ty(&u)?.dtype == DType::I64;
        let (x, u) = if ints { (x, u) } else { (self.to_real(&x)?, self.to_real(&u)?) };
        let (shape, places) = (self.shape(&x)?, self.ty(&i)?);
        if places.dtype != DType::I64 || shape.is_empty() {
            return args.wrong(self, "an array, an int array of places and what is added there are needed");
        }
        let wanted = [&places.shape[..], &shape[1..]].concat();
        if self.shape(&u)? != wanted {
            return args.wrong(self, &format!("what is added has the shape {wanted:?}, found {}", self.show(&u)));
        }
        self.op(Op::ScatterAdd, &[x, u, i])
    }

    /// `fft(x)` and `ifft(z)` along one axis, of reals or of a record `{re, im}`.
    pub(super) fn fourier(&mut self, inverse: bool, args: &mut Args) -> Res<Value> {
        let [x] = args.exactly(self)?;
        let parts = match (x.field("re"), x.field("im")) {
            (Some(re), Some(im)) => [self.to_real(re)?, self.to_real(im)?],
            _ if matches!(x, Value::Record(_)) => return args.wrong(self, "the record has the fields `re` and `im`"),
            _ => {
                let re = self.to_real(&x)?;
                let zero = self.real_const(0.0);
                let shape = self.shape(&re)?;
                [re, self.broadcast_to(&zero, &shape)?]
            }
        };
        let shape = self.shape(&parts[0])?;
        if shape != self.shape(&parts[1])? {
            return args.wrong(
                self,
                &format!(
                    "real and imaginary part have one shape, found {} and {}",
                    self.show(&parts[0]),
                    self.show(&parts[1])
                ),
            );
        }
        let rank = shape.len();
        if rank == 0 {
            return args.wrong(self, "a transform works along an axis; its argument is a scalar");
        }
        let axis = self.axis(args, rank)?.unwrap_or(rank - 1);
        let mut perm: Vec<usize> = (0..rank).filter(|&i| i != axis).collect();
        perm.push(axis);
        let mut back: Vec<usize> = vec![0; rank];
        for (to, &from) in perm.iter().enumerate() {
            back[from] = to;
        }
        let mut pairs = Vec::new();
        for part in parts {
            let part = self.op(Op::Permute { perm: perm.clone() }, &[part])?;
            let mut with_pair = self.shape(&part)?;
            with_pair.push(1);
            pairs.push(self.reshape(&part, &with_pair)?);
        }
        let packed = self.op(Op::Concat { axis: rank }, &pairs)?;
        let mut found = self.op(Op::Fft { inverse }, &[packed])?;
        if inverse && shape[axis] > 0 {
            let shape = self.shape(&found)?;
            let factor = self.real_const(1.0 / shape[rank - 1] as f64);
            let factor = self.broadcast_to(&factor, &shape)?;
            found = self.op(Op::Mul, &[found, factor])?;
        }
        let mut values = Vec::new();
        for part in 0..2 {
            let value = self.take(&found, rank, part)?;
            values.push(self.op(Op::Permute { perm: back.clone() }, &[value])?);
        }
        Ok(record(&["re", "im"], values))
    }

    /// A column divided by its length.
    fn unit(&mut self, x: &Value) -> Res<Value> {
        let square = self.sumsq(x)?;
        let norm = self.op(Op::Sqrt, &[square])?;
        let shape = self.shape(x)?;
        let norm = self.broadcast_to(&norm, &shape)?;
        self.op(Op::Div, &[x.clone(), norm])
    }
}

/// A column divided by its length; the zero column stays.
fn unit_column(b: &mut Builder, x: Var) -> Var {
    let ty = b.ty(x).clone();
    let turned = b.transpose_last(x);
    let square = b.op(Op::Dot { batch: 0 }, &[turned, x]);
    let one = Type::new(ty.dtype, &[1, 1]);
    let (zero, one) = (b.zeros(&one), b.fill(&one, 1.0));
    let positive = b.op(Op::Lt, &[zero, square]);
    let square = b.select(positive, square, one);
    let norm = b.op(Op::Sqrt, &[square]);
    let norm = b.reshape(norm, &[]);
    let norm = b.broadcast(norm, &ty.shape, &[]);
    b.div(x, norm)
}
