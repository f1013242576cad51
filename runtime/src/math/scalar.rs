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
    sign, sign_f64, sign_f32;
}

binary! {
    atan2, atan2_f64, atan2_f32;
    pow, pow_f64, pow_f32;
    max, max_f64, max_f32;
    min, min_f64, min_f32;
}
