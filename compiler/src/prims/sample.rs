//! Uses of the primitives for tests: random ones and awkward ones.

pub mod graphs;

use crate::ir::graph::Op;
use dp_runtime::tensor::{DType, Element, Tensor};

/// An operation with operands for it.
pub type Use = (Op, Vec<Tensor>);

/// A small deterministic generator (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer in `0..n`; 0 if n is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// An integer in `low..high`.
    pub fn range(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low)
    }

    pub fn flip(&mut self) -> bool {
        self.bits() >> 63 == 1
    }

    /// A number in `low..high`.
    pub fn real(&mut self, low: f64, high: f64) -> f64 {
        let unit = (self.bits() >> 11) as f64 / (1u64 << 53) as f64;
        low + (high - low) * unit
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    pub fn float_kind(&mut self) -> DType {
        *self.pick(&[DType::F32, DType::F64])
    }

    /// A shape of the given rank with small sizes, none of them 0.
    pub fn shape(&mut self, rank: usize) -> Vec<usize> {
        (0..rank).map(|_| self.range(1, 5)).collect()
    }

    /// A shape of rank 0 to 3.
    pub fn any_shape(&mut self) -> Vec<usize> {
        let rank = self.below(4);
        self.shape(rank)
    }

    /// Numbers in `low..high`; integers in the same range.
    pub fn tensor_in(&mut self, dtype: DType, shape: &[usize], low: f64, high: f64) -> Tensor {
        let n = shape.iter().product();
        match dtype {
            DType::F32 => Tensor::from_vec(shape, (0..n).map(|_| self.real(low, high) as f32).collect()),
            DType::F64 => Tensor::from_vec(shape, (0..n).map(|_| self.real(low, high)).collect()),
            DType::I64 => Tensor::from_vec(shape, (0..n).map(|_| self.real(low, high).floor() as i64).collect()),
            DType::Bool => Tensor::from_vec(shape, (0..n).map(|_| self.flip()).collect()),
            DType::Key => Tensor::from_vec(shape, (0..n).map(|_| self.bits()).collect()),
        }
    }

    /// Floats in -2..2, integers in -9..9, bools, keys.
    pub fn tensor(&mut self, dtype: DType, shape: &[usize]) -> Tensor {
        let high = if dtype.is_float() { 2.0 } else { 9.0 };
        self.tensor_in(dtype, shape, -high, high)
    }

    /// Indices in `0..n`.
    pub fn indices(&mut self, shape: &[usize], n: usize) -> Tensor {
        let count = shape.iter().product();
        Tensor::from_vec(shape, (0..count).map(|_| self.below(n) as i64).collect())
    }
}

/// Equal kind, shape and bits, where all NaNs are one value: the bits of a NaN depend on the order of operands.
pub fn same(a: &Tensor, b: &Tensor) -> bool {
    if a.dtype() != b.dtype() || a.shape() != b.shape() {
        return false;
    }
    match a {
        Tensor::F32(_) => pairs::<f32>(a, b, |x, y| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())),
        Tensor::F64(_) => pairs::<f64>(a, b, |x, y| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())),
        Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => a.same_bits(b),
    }
}

fn pairs<T: Element>(a: &Tensor, b: &Tensor, same: impl Fn(T, T) -> bool) -> bool {
    a.as_slice::<T>().iter().zip(b.as_slice::<T>()).all(|(&x, &y)| same(x, y))
}

/// Awkward numbers: zeros, infinities, NaN, the smallest and the largest, ties of rounding.
const AWKWARD: [f64; 17] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.5,
    -3.5,
    1e-3,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    1e-310,
    -1e-40,
    1e30,
    -1e300,
    100.0,
];

const AWKWARD_INTS: [i64; 8] = [0, 1, -1, 7, -8, i64::MIN, i64::MAX, 1 << 53];

/// The awkward values of a kind.
pub fn awkward(dtype: DType) -> Tensor {
    match dtype {
        DType::F32 => Tensor::from_vec(&[AWKWARD.len()], AWKWARD.iter().map(|&v| v as f32).collect()),
        DType::F64 => Tensor::from_vec(&[AWKWARD.len()], AWKWARD.to_vec()),
        DType::I64 => Tensor::from_vec(&[AWKWARD_INTS.len()], AWKWARD_INTS.to_vec()),
        DType::Bool => Tensor::from_vec(&[2], vec![false, true]),
        DType::Key => Tensor::from_vec(&[3], vec![0u64, 1, u64::MAX]),
    }
}

/// All pairs of awkward values of a kind, as two operands.
pub fn awkward_pairs(dtype: DType) -> Vec<Tensor> {
    let values = awkward(dtype);
    let n = values.len();
    let slow = super::value::view(&values, &[n, n], &[1, 0], 0);
    let fast = super::value::view(&values, &[n, n], &[0, 1], 0);
    vec![slow, fast]
}

/// True for the elementwise operations that also take integers.
fn takes_ints(op: &Op) -> bool {
    super::result(op, &[&crate::ir::graph::Type::scalar(DType::I64)]).is_ok() || {
        let int = crate::ir::graph::Type::scalar(DType::I64);
        super::result(op, &[&int, &int]).is_ok()
    }
}

fn number_kind(rng: &mut Rng, op: &Op) -> DType {
    if takes_ints(op) && rng.below(4) == 0 { DType::I64 } else { rng.float_kind() }
}

pub fn unary(rng: &mut Rng, op: Op, low: f64, high: f64) -> Use {
    let dtype = number_kind(rng, &op);
    let shape = rng.any_shape();
    let x = rng.tensor_in(dtype, &shape, low, high);
    (op, vec![x])
}

pub fn binary(rng: &mut Rng, op: Op, first: (f64, f64), second: (f64, f64)) -> Use {
    let dtype = number_kind(rng, &op);
    let shape = rng.any_shape();
    let a = rng.tensor_in(dtype, &shape, first.0, first.1);
    let b = rng.tensor_in(dtype, &shape, second.0, second.1);
    (op, vec![a, b])
}

pub fn special_unary(op: &Op) -> Vec<Use> {
    let mut uses = Vec::new();
    for dtype in [DType::F32, DType::F64] {
        uses.push((op.clone(), vec![awkward(dtype)]));
        uses.push((op.clone(), vec![Tensor::full(dtype, &[2, 0], 0.0)]));
        uses.push((op.clone(), vec![Tensor::scalar_of(dtype, 0.75)]));
    }
    if takes_ints(op) {
        uses.push((op.clone(), vec![awkward(DType::I64)]));
    }
    uses
}

pub fn special_binary(op: &Op) -> Vec<Use> {
    let mut uses = Vec::new();
    for dtype in [DType::F32, DType::F64] {
        let empty = Tensor::full(dtype, &[0, 3], 0.0);
        uses.push((op.clone(), awkward_pairs(dtype)));
        uses.push((op.clone(), vec![empty.clone(), empty]));
        uses.push((op.clone(), vec![Tensor::scalar_of(dtype, 0.75), Tensor::scalar_of(dtype, 0.75)]));
    }
    if takes_ints(op) {
        uses.push((op.clone(), awkward_pairs(DType::I64)));
    }
    uses
}

pub fn division(rng: &mut Rng, op: Op) -> Use {
    let shape = rng.any_shape();
    let a = rng.tensor_in(DType::I64, &shape, -20.0, 20.0);
    let n = a.len();
    let b = (0..n).map(|_| if rng.flip() { 1 } else { -1 } * rng.range(1, 6) as i64).collect();
    (op, vec![a, Tensor::from_vec(&shape, b)])
}

/// Every awkward dividend with every awkward divisor but 0.
pub fn special_division(op: &Op) -> Vec<Use> {
    let divisors = AWKWARD_INTS.into_iter().filter(|&b| b != 0);
    let divided = divisors.map(|b| (op.clone(), vec![awkward(DType::I64), Tensor::from_vec(&[8], vec![b; 8])]));
    divided
        .chain([(op.clone(), vec![Tensor::full(DType::I64, &[0], 0.0), Tensor::full(DType::I64, &[0], 0.0)])])
        .collect()
}

pub fn equality(rng: &mut Rng, op: Op) -> Use {
    let dtype = *rng.pick(&[DType::F32, DType::F64, DType::I64, DType::Bool, DType::Key]);
    let shape = rng.any_shape();
    let a = rng.tensor(dtype, &shape);
    let b = if rng.flip() { a.clone() } else { rng.tensor(dtype, &shape) };
    (op, vec![a, b])
}

pub fn special_equality(op: &Op) -> Vec<Use> {
    let kinds = [DType::F32, DType::F64, DType::I64, DType::Bool, DType::Key];
    kinds.into_iter().map(|dtype| (op.clone(), awkward_pairs(dtype))).collect()
}

pub fn bools(rng: &mut Rng, op: Op, operands: usize) -> Use {
    let shape = rng.any_shape();
    let args = (0..operands).map(|_| rng.tensor(DType::Bool, &shape)).collect();
    (op, args)
}

pub fn special_bools(op: &Op, operands: usize) -> Vec<Use> {
    let all = if operands == 1 { vec![awkward(DType::Bool)] } else { awkward_pairs(DType::Bool) };
    let empty = Tensor::full(DType::Bool, &[0], 0.0);
    vec![(op.clone(), all), (op.clone(), vec![empty; operands])]
}

pub fn select(rng: &mut Rng) -> Use {
    let dtype = *rng.pick(&[DType::F32, DType::F64, DType::I64, DType::Bool]);
    let shape = rng.any_shape();
    let mask = rng.tensor(DType::Bool, &shape);
    let (yes, no) = (rng.tensor(dtype, &shape), rng.tensor(dtype, &shape));
    (Op::Select, vec![mask, yes, no])
}

/// A NaN on the side that is not taken; keys; nothing.
pub fn special_select() -> Vec<Use> {
    let mask = Tensor::from_vec(&[2], vec![true, false]);
    let mut uses = Vec::new();
    for dtype in [DType::F32, DType::F64] {
        let yes = Tensor::from_vec(&[2], vec![1.0, f64::NAN]).convert(dtype);
        let no = Tensor::from_vec(&[2], vec![f64::NAN, -0.0]).convert(dtype);
        uses.push((Op::Select, vec![mask.clone(), yes, no]));
    }
    let keys = |a: u64| Tensor::from_vec(&[2], vec![a, a + 1]);
    uses.push((Op::Select, vec![mask, keys(5), keys(u64::MAX - 1)]));
    uses.push((Op::Select, vec![Tensor::full(DType::Bool, &[0], 0.0), awkward_none(), awkward_none()]));
    uses
}

fn awkward_none() -> Tensor {
    Tensor::full(DType::F64, &[0], 0.0)
}

pub fn convert(rng: &mut Rng) -> Use {
    let kinds = [DType::F32, DType::F64, DType::I64, DType::Bool];
    let (from, to) = (*rng.pick(&kinds), *rng.pick(&kinds));
    let shape = rng.any_shape();
    (Op::Convert(to), vec![rng.tensor(from, &shape)])
}

pub fn special_convert() -> Vec<Use> {
    let kinds = [DType::F32, DType::F64, DType::I64, DType::Bool];
    let mut uses = Vec::new();
    for from in kinds {
        uses.extend(kinds.into_iter().map(|to| (Op::Convert(to), vec![awkward(from)])));
    }
    uses.push((Op::Convert(DType::Key), vec![awkward(DType::I64)]));
    uses.push((Op::Convert(DType::I64), vec![awkward(DType::Key)]));
    uses
}
