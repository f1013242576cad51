//! Operators on values: widening from int to real, the broadcasting rule, static arithmetic, products, indexing.

use super::value::Value;
use super::{Ctx, Res, fail};
use crate::diagnostic::Diagnostic;
use crate::ir::graph::{Op, Type};
use crate::source::Span;
use crate::syntax::ast::{BinaryOp, CompareOp};
use dp_runtime::tensor::DType;

/// `real[3, 4]` of a type.
pub(crate) fn show_type(ty: &Type) -> String {
    let kind = super::value::kind_name(ty.dtype);
    if ty.shape.is_empty() {
        return kind.to_string();
    }
    let dims: Vec<String> = ty.shape.iter().map(usize::to_string).collect();
    format!("{kind}[{}]", dims.join(", "))
}

impl Ctx<'_> {
    pub fn show(&self, value: &Value) -> String {
        match self.ty(value) {
            Ok(ty) => show_type(&ty),
            Err(_) => value.describe(),
        }
    }

    /// Widens int (and nothing else) to real.
    pub fn to_real(&mut self, value: &Value) -> Res<Value> {
        let ty = self.ty(value)?;
        match ty.dtype {
            DType::F32 | DType::F64 => Ok(value.clone()),
            DType::I64 => {
                if let Value::Int(i) = value {
                    return Ok(self.real_const(*i as f64));
                }
                let real = self.real();
                self.op(Op::Convert(real), std::slice::from_ref(value))
            }
            DType::Bool | DType::Key => fail("E0310", self.span, format!("expected a real, found {}", show_type(&ty))),
        }
    }

    /// Brings numbers to one kind: real if either is real.
    pub(crate) fn same_kind(&mut self, a: &Value, b: &Value) -> Res<(Value, Value)> {
        let (ta, tb) = (self.ty(a)?, self.ty(b)?);
        if ta.dtype == tb.dtype {
            return Ok((a.clone(), b.clone()));
        }
        match (ta.dtype, tb.dtype) {
            (DType::I64, DType::F32 | DType::F64) => Ok((self.to_real(a)?, b.clone())),
            (DType::F32 | DType::F64, DType::I64) => Ok((a.clone(), self.to_real(b)?)),
            _ => fail("E0310", self.span, format!("{} and {} do not go together", show_type(&ta), show_type(&tb))),
        }
    }

    /// Broadcasts a value to a shape of which its own is a suffix.
    pub fn broadcast_to(&mut self, value: &Value, shape: &[usize]) -> Res<Value> {
        let own = self.shape(value)?;
        if own == shape {
            return Ok(value.clone());
        }
        if own.len() > shape.len() || own[..] != shape[shape.len() - own.len()..] {
            return fail("E0402", self.span, format!("shape {own:?} does not stretch to {shape:?}"));
        }
        self.check_size(shape, self.ty(value)?.dtype)?;
        let axes: Vec<usize> = (shape.len() - own.len()..shape.len()).collect();
        self.op(Op::Broadcast { shape: shape.to_vec(), axes }, std::slice::from_ref(value))
    }

    /// The common shape of two operands: equal, or one a suffix of the other.
    pub(crate) fn common_shape(&self, a: &[usize], b: &[usize], what: &str) -> Res<Vec<usize>> {
        let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
        if long[long.len() - short.len()..] == *short {
            return Ok(long.to_vec());
        }
        Err(Box::new(
            Diagnostic::error("E0402", self.span, format!("shapes {a:?} and {b:?} do not fit in {what}"))
                .note("operands have equal shapes, or one shape is a suffix of the other, or one is a scalar"),
        ))
    }

    pub(crate) fn broadcast_pair(&mut self, a: &Value, b: &Value, what: &str) -> Res<(Value, Value)> {
        let (sa, sb) = (self.shape(a)?, self.shape(b)?);
        let shape = self.common_shape(&sa, &sb, what)?;
        Ok((self.broadcast_to(a, &shape)?, self.broadcast_to(b, &shape)?))
    }

    /// An elementwise operation on two numbers of any kind, after widening and broadcasting.
    pub(crate) fn elementwise(&mut self, op: Op, a: &Value, b: &Value, what: &str) -> Res<Value> {
        let (a, b) = self.same_kind(a, b)?;
        let (a, b) = self.broadcast_pair(&a, &b, what)?;
        self.op(op, &[a, b])
    }

    pub fn binary(&mut self, op: BinaryOp, a: &Value, b: &Value) -> Res<Value> {
        if let Some(value) = self.static_binary(op, a, b)? {
            return Ok(value);
        }
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let (ta, tb) = (self.ty(a)?, self.ty(b)?);
                if ta.dtype != DType::Bool || tb.dtype != DType::Bool {
                    let word = if op == BinaryOp::And { "and" } else { "or" };
                    let message = format!("`{word}` needs bools, found {} and {}", show_type(&ta), show_type(&tb));
                    return fail("E0310", self.span, message);
                }
                let (a, b) = self.broadcast_pair(a, b, "this expression")?;
                self.op(if op == BinaryOp::And { Op::And } else { Op::Or }, &[a, b])
            }
            BinaryOp::Add => self.arithmetic(Op::Add, a, b, "a sum"),
            BinaryOp::Sub => self.arithmetic(Op::Sub, a, b, "a difference"),
            BinaryOp::Mul => self.arithmetic(Op::Mul, a, b, "a product of elements"),
            BinaryOp::Div => {
                let (a, b) = (self.to_real(a)?, self.to_real(b)?);
                self.arithmetic(Op::Div, &a, &b, "a quotient")
            }
            BinaryOp::IntDiv | BinaryOp::Mod => {
                let (ta, tb) = (self.ty(a)?, self.ty(b)?);
                if ta.dtype != DType::I64 || tb.dtype != DType::I64 {
                    let word = if op == BinaryOp::IntDiv { "//" } else { "%" };
                    let message = format!("`{word}` needs ints, found {} and {}", show_type(&ta), show_type(&tb));
                    return fail("E0310", self.span, message);
                }
                self.elementwise(if op == BinaryOp::IntDiv { Op::IntDiv } else { Op::Mod }, a, b, "a division")
            }
        }
    }

    fn arithmetic(&mut self, op: Op, a: &Value, b: &Value, what: &str) -> Res<Value> {
        for value in [a, b] {
            let ty = self.ty(value)?;
            if matches!(ty.dtype, DType::Bool | DType::Key) {
                return Err(Box::new(
                    Diagnostic::error(
                        "E0310",
                        self.span,
                        format!("arithmetic needs numbers, found {}", show_type(&ty)),
                    )
                    .help("`real(mask)` makes 0 and 1 of a bool"),
                ));
            }
        }
        self.elementwise(op, a, b, what)
    }

    fn static_binary(&mut self, op: BinaryOp, a: &Value, b: &Value) -> Res<Option<Value>> {
        let overflow =
            |span: Span| fail::<Option<Value>>("E0404", span, "this int arithmetic leaves the range of 64 bits");
        Ok(Some(match (op, a, b) {
            (BinaryOp::And, Value::Bool(x), Value::Bool(y)) => Value::Bool(*x && *y),
            (BinaryOp::Or, Value::Bool(x), Value::Bool(y)) => Value::Bool(*x || *y),
            (BinaryOp::Add, Value::Int(x), Value::Int(y)) => match x.checked_add(*y) {
                Some(v) => Value::Int(v),
                None => return overflow(self.span),
            },
            (BinaryOp::Sub, Value::Int(x), Value::Int(y)) => match x.checked_sub(*y) {
                Some(v) => Value::Int(v),
                None => return overflow(self.span),
            },
            (BinaryOp::Mul, Value::Int(x), Value::Int(y)) => match x.checked_mul(*y) {
                Some(v) => Value::Int(v),
                None => return overflow(self.span),
            },
            (BinaryOp::IntDiv | BinaryOp::Mod, Value::Int(_), Value::Int(0)) => {
                return fail("E0501", self.span, "integer division by zero");
            }
            (BinaryOp::IntDiv, Value::Int(x), Value::Int(y)) => match floor_div(*x, *y) {
                Some(v) => Value::Int(v),
                None => return overflow(self.span),
            },
            (BinaryOp::Mod, Value::Int(x), Value::Int(y)) => match floor_div(*x, *y) {
                Some(q) => Value::Int(x - q * y),
                None => Value::Int(0),
            },
            _ => return Ok(None),
        }))
    }

    pub fn neg(&mut self, a: &Value) -> Res<Value> {
        match a {
            Value::Int(i) => match i.checked_neg() {
                Some(v) => Ok(Value::Int(v)),
                None => fail("E0404", self.span, "this int arithmetic leaves the range of 64 bits"),
            },
            _ => {
                let ty = self.ty(a)?;
                if matches!(ty.dtype, DType::Bool | DType::Key) {
                    return fail("E0310", self.span, format!("`-` needs numbers, found {}", show_type(&ty)));
                }
                self.op(Op::Neg, std::slice::from_ref(a))
            }
        }
    }

    pub fn not(&mut self, a: &Value) -> Res<Value> {
        match a {
            Value::Bool(b) => Ok(Value::Bool(!b)),
            _ => {
                let ty = self.ty(a)?;
                if ty.dtype != DType::Bool {
                    return fail("E0310", self.span, format!("`not` needs bools, found {}", show_type(&ty)));
                }
                self.op(Op::Not, std::slice::from_ref(a))
            }
        }
    }

    pub fn compare(&mut self, op: CompareOp, a: &Value, b: &Value) -> Res<Value> {
        match (a, b) {
            (Value::Int(x), Value::Int(y)) => {
                return Ok(Value::Bool(match op {
                    CompareOp::Lt => x < y,
                    CompareOp::Le => x <= y,
                    CompareOp::Gt => x > y,
                    CompareOp::Ge => x >= y,
                    CompareOp::Eq => x == y,
                    CompareOp::Ne => x != y,
                }));
            }
            (Value::Str(x), Value::Str(y)) if matches!(op, CompareOp::Eq | CompareOp::Ne) => {
                return Ok(Value::Bool((x == y) == (op == CompareOp::Eq)));
            }
            (Value::Bool(x), Value::Bool(y)) if matches!(op, CompareOp::Eq | CompareOp::Ne) => {
                return Ok(Value::Bool((x == y) == (op == CompareOp::Eq)));
            }
            _ => {}
        }
        let (graph_op, swap) = match op {
            CompareOp::Lt => (Op::Lt, false),
            CompareOp::Le => (Op::Le, false),
            CompareOp::Gt => (Op::Lt, true),
            CompareOp::Ge => (Op::Le, true),
            CompareOp::Eq => (Op::Eq, false),
            CompareOp::Ne => (Op::Ne, false),
        };
        if swap {
            self.elementwise(graph_op, b, a, "a comparison")
        } else {
            self.elementwise(graph_op, a, b, "a comparison")
        }
    }

    /// `a ^ b`. A small static int exponent is repeated multiplication, by squaring, in a fixed order.
    pub fn pow(&mut self, a: &Value, b: &Value) -> Res<Value> {
        if let (Value::Int(x), Value::Int(n)) = (a, b) {
            if *n < 0 {
                let x = self.to_real(a)?;
                return self.pow(&x, b);
            }
            let value = u32::try_from(*n).ok().and_then(|n| x.checked_pow(n));
            return match value {
                Some(v) => Ok(Value::Int(v)),
                None => fail("E0404", self.span, "this int power leaves the range of 64 bits"),
            };
        }
        if let Value::Int(n) = b
            && (-64..=64).contains(n)
        {
            return self.int_power(a, *n);
        }
        let (a, b) = (self.to_real(a)?, self.to_real(b)?);
        self.elementwise(Op::Pow, &a, &b, "a power")
    }

    fn int_power(&mut self, a: &Value, n: i64) -> Res<Value> {
        if n < 0 {
            let a = self.to_real(a)?;
            let power = self.int_power(&a, -n)?;
            let one = self.real_const(1.0);
            return self.elementwise(Op::Div, &one, &power, "a power");
        }
        let ty = self.ty(a)?;
        if n == 0 {
            let one = if ty.dtype == DType::I64 { Value::Int(1) } else { self.real_const(1.0) };
            return self.broadcast_to(&one, &ty.shape);
        }
        let mut square = a.clone();
        let mut result: Option<Value> = None;
        let mut left = n as u64;
        loop {
            if left & 1 == 1 {
                result = Some(match result {
                    None => square.clone(),
                    Some(r) => self.arithmetic(Op::Mul, &r, &square, "a power")?,
                });
            }
            left >>= 1;
            if left == 0 {
                return Ok(result.expect("n is at least 1"));
            }
            square = self.arithmetic(Op::Mul, &square.clone(), &square, "a power")?;
        }
    }

    /// `a @ b` of vectors, matrices and stacks of matrices with equal leading axes.
    pub fn matmul(&mut self, a: &Value, b: &Value) -> Res<Value> {
        let (a, b) = (self.to_real(a)?, self.to_real(b)?);
        let (sa, sb) = (self.shape(&a)?, self.shape(&b)?);
        if sa.is_empty() || sb.is_empty() {
            return Err(Box::new(
                Diagnostic::error("E0405", self.span, "`@` is the matrix product; one operand here is a scalar")
                    .help("use `*` to scale"),
            ));
        }
        let inner_a = sa[sa.len() - 1];
        let inner_b = if sb.len() == 1 { sb[0] } else { sb[sb.len() - 2] };
        if inner_a != inner_b {
            let help = match (sa.len(), sb.len()) {
                (2, _) if sa[0] == inner_b => Some("the transpose `A'` of the left operand would fit"),
                (_, 2) if sb[1] == inner_a => Some("the transpose `B'` of the right operand would fit"),
                _ => None,
            };
            let message =
                format!("cannot multiply shapes {sa:?} and {sb:?}: inner dimensions {inner_a} and {inner_b} differ");
            let mut diagnostic = Diagnostic::error("E0405", self.span, message);
            if let Some(help) = help {
                diagnostic = diagnostic.help(help);
            }
            return Err(Box::new(diagnostic));
        }
        let batch = match (sa.len(), sb.len()) {
            (1 | 2, 1 | 2) => 0,
            (x, y) if x == y && x > 2 && sa[..x - 2] == sb[..x - 2] => x - 2,
            _ => {
                return fail(
                    "E0405",
                    self.span,
                    format!("`@` takes vectors, matrices or equal stacks of matrices, found {sa:?} and {sb:?}"),
                );
            }
        };
        let (rows, cols) = (sa.len() > 1, sb.len() > 1);
        let left = if rows { a } else { self.op(Op::Reshape { shape: vec![1, inner_a] }, &[a])? };
        let right = if cols { b } else { self.op(Op::Reshape { shape: vec![inner_b, 1] }, &[b])? };
        let product = self.op(Op::Dot { batch }, &[left, right])?;
        let mut shape = self.shape(&product)?;
        if !cols {
            shape.pop();
        }
        if !rows {
            shape.remove(0);
        }
        self.reshape(&product, &shape)
    }

    pub fn reshape(&mut self, value: &Value, shape: &[usize]) -> Res<Value> {
        if self.shape(value)? == shape {
            return Ok(value.clone());
        }
        self.op(Op::Reshape { shape: shape.to_vec() }, std::slice::from_ref(value))
    }

    /// `A'`: the last two axes swapped.
    pub fn transpose(&mut self, value: &Value) -> Res<Value> {
        let rank = self.shape(value)?.len();
        if rank < 2 {
            return Err(Box::new(
                Diagnostic::error("E0405", self.span, format!("`'` transposes matrices; this is {}", self.show(value)))
                    .help("a vector needs no transpose: `x @ y` is the inner product, `A @ x` and `x @ A` both work"),
            ));
        }
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(rank - 2, rank - 1);
        self.op(Op::Permute { perm }, std::slice::from_ref(value))
    }

    pub fn permute(&mut self, value: &Value, perm: &[usize]) -> Res<Value> {
        if perm.iter().enumerate().all(|(i, &p)| i == p) {
            return Ok(value.clone());
        }
        self.op(Op::Permute { perm: perm.to_vec() }, std::slice::from_ref(value))
    }
}

fn floor_div(x: i64, y: i64) -> Option<i64> {
    let q = x.checked_div(y)?;
    Some(if x % y != 0 && (x < 0) != (y < 0) { q - 1 } else { q })
}
