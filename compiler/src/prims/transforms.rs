//! Fourier transforms.

use super::sample::{Rng, Use};
use super::shape;
use super::value::{take, wrong_kind};
use super::{Family, Prim};
use crate::ir::graph::Op;
use dp_runtime::fft;
use dp_runtime::tensor::{DType, Tensor};

pub static FFT: Prim = Prim {
    name: "fft",
    doc: "The discrete Fourier transforms of `[B..., n, 2]`: n complex numbers, each its real and its imaginary part.\n\
          `y_k = sum over j of x_j exp(-2 pi i j k / n)`, with + in the exponent if `inverse`; nothing is divided by n.",
    family: Family::Transform,
    plain: None,
    result: |_, args| {
        let [x] = shape::arity(args)?;
        shape::float(x)?;
        let fits = x.rank() >= 2 && x.shape[x.rank() - 1] == 2;
        shape::require(fits, || format!("takes [B..., n, 2], not {x}"))?;
        Ok(vec![x.clone()])
    },
    eval: |op, args| {
        let Op::Fft { inverse } = op else { shape::wrong_row(op) };
        let [x] = take(args);
        let n = x.shape()[x.shape().len() - 2];
        macro_rules! transformed {
            ($T:ty) => {{
                let mut out = vec![0.0; x.len()];
                fft::fft::<$T>(x.as_slice(), n, *inverse, &mut out);
                Tensor::from_vec(x.shape(), out)
            }};
        }
        Ok(vec![match x {
            Tensor::F32(_) => transformed!(f32),
            Tensor::F64(_) => transformed!(f64),
            Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => wrong_kind(op),
        }])
    },
    sample: |rng| {
        let outer = rng.below(2);
        let outer = rng.shape(outer);
        let n = rng.range(1, 9);
        let dtype = rng.float_kind();
        let x = rng.tensor(dtype, &[&outer[..], &[n, 2]].concat());
        (Op::Fft { inverse: rng.flip() }, vec![x])
    },
    special: special_fft,
};

/// Powers of two, primes, products, one number, none.
fn special_fft() -> Vec<Use> {
    let mut rng = Rng::new(7);
    let mut uses = Vec::new();
    for dtype in [DType::F32, DType::F64] {
        for n in [0, 1, 2, 7, 12, 64, 101, 121] {
            uses.push((Op::Fft { inverse: n % 2 == 0 }, vec![rng.tensor(dtype, &[n, 2])]));
        }
        uses.push((Op::Fft { inverse: false }, vec![rng.tensor(dtype, &[0, 3, 2])]));
    }
    uses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prims::eval;
    use dp_runtime::math::scalar::{cos_f64, sin_f64};

    #[test]
    fn transforms_agree_with_the_sum() {
        let mut rng = Rng::new(2);
        for n in [1, 2, 3, 5, 8, 12, 17, 60] {
            for inverse in [false, true] {
                let x = rng.tensor(DType::F64, &[n, 2]);
                let data = x.as_slice::<f64>();
                let found = eval(&Op::Fft { inverse }, std::slice::from_ref(&x)).expect("no fault").remove(0);
                let sign = if inverse { 1.0 } else { -1.0 };
                for k in 0..n {
                    let (mut re, mut im) = (0.0, 0.0);
                    for j in 0..n {
                        let angle = sign * 2.0 * std::f64::consts::PI * (j * k % n) as f64 / n as f64;
                        let (c, s) = (cos_f64(angle), sin_f64(angle));
                        re += data[2 * j] * c - data[2 * j + 1] * s;
                        im += data[2 * j] * s + data[2 * j + 1] * c;
                    }
                    let (a, b) = (found.as_slice::<f64>()[2 * k], found.as_slice::<f64>()[2 * k + 1]);
                    assert!((a - re).abs() + (b - im).abs() < 1e-13 * n as f64, "{n}, {k}: {a} {b} against {re} {im}");
                }
            }
        }
    }
}
