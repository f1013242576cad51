//! Elementary functions of arrays, with the widest vectors of the processor: the definitions of `math`, hence their bits.
//! Safety: see `kernels`.

use super::level::Level;
use crate::math;

#[cfg(target_arch = "x86_64")]
mod x86;

/// A function of one array, which it replaces by its values: the address of the first element, and how many there are.
pub type InPlace = unsafe extern "C" fn(*mut u8, usize);

macro_rules! functions {
    ($($variant:ident $function:ident),* $(,)?) => {
        /// Elementary functions that are made for whole arrays.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Elementary {
            $($variant,)*
        }

        impl Elementary {
            pub const ALL: &[Elementary] = &[$(Elementary::$variant,)*];

            /// The function for floats of 32 or 64 bits; `None` where there are no wide vectors.
            pub fn in_place(self, level: Level, wide: bool) -> Option<InPlace> {
                #[cfg(target_arch = "x86_64")]
                return match (self, level, wide) {
                    (_, Level::Plain, _) => None,
                    $(
                        (Elementary::$variant, Level::Avx2, false) => Some(f32_avx2::$function),
                        (Elementary::$variant, Level::Avx2, true) => Some(f64_avx2::$function),
                        (Elementary::$variant, Level::Avx512, false) => Some(f32_avx512::$function),
                        (Elementary::$variant, Level::Avx512, true) => Some(f64_avx512::$function),
                    )*
                };
                #[cfg(not(target_arch = "x86_64"))]
                {
                    let _ = (level, wide);
                    None
                }
            }
        }

        functions! { @kind f32_avx512, F32x16, "avx512f,avx512vl", $($function)* }
        functions! { @kind f64_avx512, F64x8, "avx512f,avx512vl", $($function)* }
        functions! { @kind f32_avx2, F32x8, "avx2,fma", $($function)* }
        functions! { @kind f64_avx2, F64x4, "avx2,fma", $($function)* }
    };
    (@kind $module:ident, $Lanes:ident, $features:literal, $($function:ident)*) => {
        #[cfg(target_arch = "x86_64")]
        mod $module {
            use super::x86::{$Lanes, Wide};
            use super::{each, math};

            $(
                /// # Safety
                /// The processor has the instructions; `n` floats can be read and written.
                #[target_feature(enable = $features)]
                pub unsafe extern "C" fn $function(at: *mut u8, n: usize) {
                    unsafe { each::<$Lanes>(at as *mut <$Lanes as Wide>::T, n, |l, x| math::$function(l, x)) }
                }
            )*
        }
    };
}

functions! {
    Exp exp, ExpOfNonpositive exp_of_nonpositive, Expm1 expm1, Log log, Log1p log1p, Log2 log2, Log10 log10, Sin sin, Cos cos,
    Tan tan, Asin asin, Acos acos, Atan atan, Sinh sinh, Cosh cosh, Tanh tanh, Asinh asinh, Acosh acosh, Atanh atanh,
    Sigmoid sigmoid, Softplus softplus, Erf erf, Erfc erfc, Cbrt cbrt,
}

/// Replaces floats by a function of them, a vector at a time; what is left at the end goes through a vector too.
///
/// # Safety
/// The processor has the instructions of the lanes; `n` floats can be read and written.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn each<L: x86::Wide + Default>(at: *mut L::T, n: usize, function: impl Fn(&mut L, L::V) -> L::V) {
    let mut l = L::default();
    let whole = n - n % L::WIDTH;
    let mut k = 0;
    while k < whole {
        unsafe {
            let value = function(&mut l, L::load(at.add(k)));
            L::store(at.add(k), value);
        }
        k += L::WIDTH;
    }
    if whole < n {
        // Elements that a wide vector of no kind is short of.
        let mut rest = [const { std::mem::MaybeUninit::<L::T>::zeroed() }; 16];
        let place = rest.as_mut_ptr() as *mut L::T;
        unsafe {
            std::ptr::copy_nonoverlapping(at.add(whole), place, n - whole);
            let value = function(&mut l, L::load(place));
            L::store(place, value);
            std::ptr::copy_nonoverlapping(place, at.add(whole), n - whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{F32Lane, F64Lane, Lanes};

    fn scalar<L: Lanes>(l: &mut L, function: Elementary, x: L::V) -> L::V {
        macro_rules! table {
            ($($variant:ident $name:ident),* $(,)?) => { match function { $(Elementary::$variant => math::$name(l, x),)* } };
        }
        table! {
            Exp exp, ExpOfNonpositive exp_of_nonpositive, Expm1 expm1, Log log, Log1p log1p, Log2 log2, Log10 log10, Sin sin,
            Cos cos, Tan tan, Asin asin, Acos acos, Atan atan, Sinh sinh, Cosh cosh, Tanh tanh, Asinh asinh, Acosh acosh,
            Atanh atanh, Sigmoid sigmoid, Softplus softplus, Erf erf, Erfc erfc, Cbrt cbrt,
        }
    }

    /// Every exponent and the awkward numbers, of both signs, then usual ones.
    fn arguments(bits: u32) -> Vec<f64> {
        let mut list =
            vec![0.0, 1.0, 0.5, f64::INFINITY, f64::NAN, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e-310, 709.8, 745.2];
        let most = if bits == 32 { 150 } else { 1074 };
        list.extend((-most..=most.min(1023)).map(|k| 1.37 * 2f64.powi(k)));
        list.extend((0..3000).map(|k| f64::from(k) * 0.0371));
        let negative: Vec<f64> = list.iter().map(|x| -x).collect();
        list.extend(negative);
        list
    }

    #[test]
    fn wide_vectors_give_the_bits_of_single_numbers() {
        let mut compared = 0;
        for level in Level::all() {
            for &function in Elementary::ALL {
                let all = |bits| {
                    let list = arguments(bits).into_iter();
                    list.filter(|&x| function != Elementary::ExpOfNonpositive || x <= 0.0 || x.is_nan())
                        .collect::<Vec<f64>>()
                };
                if let Some(kernel) = function.in_place(level, true) {
                    let list = all(64);
                    // Lengths that leave something over.
                    for n in [list.len(), 1, 3, 7, 9] {
                        let mut got = list[..n].to_vec();
                        unsafe { kernel(got.as_mut_ptr() as *mut u8, n) };
                        for (&x, got) in list.iter().zip(got) {
                            let want = scalar(&mut F64Lane, function, x);
                            assert!(
                                got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                                "{function:?}({x:e}) {got} {want}"
                            );
                            compared += 1;
                        }
                    }
                }
                if let Some(kernel) = function.in_place(level, false) {
                    let list: Vec<f32> = all(32).into_iter().map(|x| x as f32).collect();
                    for n in [list.len(), 1, 5, 15, 17] {
                        let mut got = list[..n].to_vec();
                        unsafe { kernel(got.as_mut_ptr() as *mut u8, n) };
                        for (&x, got) in list.iter().zip(got) {
                            let want = scalar(&mut F32Lane, function, x);
                            assert!(
                                got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                                "{function:?}({x:e}) {got} {want}"
                            );
                            compared += 1;
                        }
                    }
                }
            }
        }
        assert!(Level::best() == Level::Plain || compared > 100_000, "{compared}");
    }
}
