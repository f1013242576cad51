//! The elementary functions on plain numbers.

use crate::lanes::{F32Lane, F64Lane};

macro_rules! unary {
    ($($name:ident, $wide:ident, $narrow:ident;)*) => {$(
        #[doc = concat!("`", stringify!($name), "` of an f64.")]
        pub fn $wide(x: f64) -> f64 {
            super::$name(&mut F64Lane, x)
        }
        #[doc = concat!("`", stringify!($name), "` of an f32.")]
        pub fn $narrow(x: f32) -> f32 {
            super::$name(&mut F32Lane, x)
        }
    )*};
}

macro_rules! binary {
    ($($name:ident, $wide:ident, $narrow:ident;)*) => {$(
        #[doc = concat!("`", stringify!($name), "` of two f64.")]
        pub fn $wide(a: f64, b: f64) -> f64 {
            super::$name(&mut F64Lane, a, b)
        }
        #[doc = concat!("`", stringify!($name), "` of two f32.")]
        pub fn $narrow(a: f32, b: f32) -> f32 {
            super::$name(&mut F32Lane, a, b)
        }
    )*};
}

unary! {
    exp, exp_f64, exp_f32;
    exp_of_nonpositive, exp_of_nonpositive_f64, exp_of_nonpositive_f32;
    expm1, expm1_f64, expm1_f32;
    log, log_f64, log_f32;
    log1p, log1p_f64, log1p_f32;
    sin, sin_f64, sin_f32;
    cos, cos_f64, cos_f32;
    tan, tan_f64, tan_f32;
    tanh, tanh_f64, tanh_f32;
    sigmoid, sigmoid_f64, sigmoid_f32;
    softplus, softplus_f64, softplus_f32;
    erf, erf_f64, erf_f32;
    atan, atan_f64, atan_f32;
    log2, log2_f64, log2_f32;
    log10, log10_f64, log10_f32;
    cbrt, cbrt_f64, cbrt_f32;
    asin, asin_f64, asin_f32;
    acos, acos_f64, acos_f32;
    sinh, sinh_f64, sinh_f32;
    cosh, cosh_f64, cosh_f32;
    asinh, asinh_f64, asinh_f32;
    acosh, acosh_f64, acosh_f32;
    atanh, atanh_f64, atanh_f32;
    erfc, erfc_f64, erfc_f32;
    lgamma, lgamma_f64, lgamma_f32;
    sign, sign_f64, sign_f32;
}

binary! {
    atan2, atan2_f64, atan2_f32;
    hypot, hypot_f64, hypot_f32;
    pow, pow_f64, pow_f32;
    max, max_f64, max_f32;
    min, min_f64, min_f32;
}

/// `polygamma` of an f64.
pub fn polygamma_f64(order: usize, x: f64) -> f64 {
    super::polygamma(&mut F64Lane, order, x)
}

/// `polygamma` of an f32.
pub fn polygamma_f32(order: usize, x: f32) -> f32 {
    super::polygamma(&mut F32Lane, order, x)
}
