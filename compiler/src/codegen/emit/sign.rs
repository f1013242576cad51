//! What is known of the signs of a nest's values before it runs.

use crate::codegen::plan::{Nest, Scalar};
use crate::ir::graph::Op;
use dp_runtime::tensor::DType;

/// How many operations back a sign is followed.
const DEPTH: usize = 8;

/// Both are false where nothing is known. A value that is not a number counts as both.
#[derive(Clone, Copy, Default)]
struct Sign {
    never_positive: bool,
    never_negative: bool,
    /// A zero has the sign of its side: a quotient by it is infinite on the right side.
    sided: bool,
}

impl Sign {
    fn opposite(self) -> Sign {
        Sign { never_positive: self.never_negative, never_negative: self.never_positive, ..self }
    }

    /// Of a product.
    fn times(self, other: Sign) -> Sign {
        let same = self.never_positive && other.never_positive || self.never_negative && other.never_negative;
        let differ = self.never_positive && other.never_negative || self.never_negative && other.never_positive;
        Sign { never_positive: differ, never_negative: same, sided: self.sided && other.sided }
    }

    /// Of what is one or the other, or a sum.
    fn and(self, other: Sign) -> Sign {
        Sign {
            never_positive: self.never_positive && other.never_positive,
            never_negative: self.never_negative && other.never_negative,
            sided: self.sided && other.sided,
        }
    }
}

/// True if a value of a nest (inputs, what the nest inside gives, then operations) is at most 0 or not a number, whatever the inputs are.
pub fn never_positive(nest: &Nest, value: u32) -> bool {
    sign(nest, value as usize, DEPTH).never_positive
}

fn sign(nest: &Nest, value: usize, depth: usize) -> Sign {
    let given =
        nest.inner.iter().flat_map(|inner| &inner.reduction).map(|reduction| reduction.totals.len()).sum::<usize>();
    let Some(k) = value.checked_sub(nest.inputs.len() + given) else {
        let number = match nest.inputs.get(value).and_then(|input| input.view.as_splat()) {
            Some(Scalar::Imm(DType::F32, bits)) => f64::from(f32::from_bits(bits as u32)),
            Some(Scalar::Imm(DType::F64, bits)) => f64::from_bits(bits),
            Some(Scalar::Imm(DType::I64 | DType::Bool | DType::Key, _) | Scalar::Reg(_)) | None => {
                return Sign::default();
            }
        };
        return Sign { never_positive: number <= 0.0, never_negative: number >= 0.0, sided: number != 0.0 };
    };
    if depth == 0 {
        return Sign::default();
    }
    let op = &nest.ops[k];
    let of = |k: usize| sign(nest, op.args[k] as usize, depth - 1);
    let never_negative = Sign { never_positive: false, never_negative: true, sided: true };
    match op.op {
        Op::Abs | Op::Exp | Op::Sigmoid | Op::Softplus => never_negative,
        // The root of -0 is -0.
        Op::Sqrt => Sign { sided: false, ..never_negative },
        Op::Mul | Op::MulZ if op.args[0] == op.args[1] => never_negative,
        Op::Neg => of(0).opposite(),
        Op::Mul => of(0).times(of(1)),
        // What a zero annihilates is +0.
        Op::MulZ => Sign { sided: false, ..of(0).times(of(1)) },
        Op::Div if of(1).sided => of(0).times(of(1)),
        Op::Add => of(0).and(of(1)),
        Op::Sub => of(0).and(of(1).opposite()),
        Op::Select => of(1).and(of(2)),
        Op::Min => {
            let (a, b) = (of(0), of(1));
            Sign { never_positive: a.never_positive || b.never_positive, ..a.and(b) }
        }
        Op::Max => {
            let (a, b) = (of(0), of(1));
            Sign { never_negative: a.never_negative || b.never_negative, ..a.and(b) }
        }
        _ => Sign::default(),
    }
}
