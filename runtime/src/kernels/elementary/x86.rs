//! Vectors of 256 and 512 bits as the lanes of elementary functions.
//!
//! Safety. The types are used only in functions that are compiled for their instructions (`elementary::functions`), after the
//! processor was asked for these; everything here is inlined there.

use crate::lanes::Lanes;
use std::arch::x86_64::*;

/// Lanes that are read from memory and written.
pub trait Wide: Lanes {
    type T: Copy;
    const WIDTH: usize;

    /// # Safety
    /// `WIDTH` floats can be read.
    unsafe fn load(at: *const Self::T) -> Self::V;
    /// # Safety
    /// `WIDTH` floats can be written.
    unsafe fn store(at: *mut Self::T, value: Self::V);
}

macro_rules! lanes {
    (
        $(#[$doc:meta])* $name:ident, $T:ty, $I:ty, $bits:literal, $V:ty, $M:ty;
        load $load:ident, store $store:ident, set $set:ident, set_bits($some:ident) $set_bits:expr,
        add $add:ident, sub $sub:ident, mul $mul:ident, div $div:ident, fma $fma:ident, sqrt $sqrt:ident,
        round($r:ident) { $even:expr, $floor:expr, $ceil:expr, $trunc:expr },
        compare($a:ident, $b:ident) { $lt:expr, $le:expr, $eq:expr },
        masks($p:ident, $q:ident) { $mask_and:expr, $mask_or:expr, $mask_not:expr },
        select($mask:ident, $yes:ident, $no:ident) $select:expr,
        to_bits $to_bits:ident, of_bits $of_bits:ident,
        and $and:ident, or $or:ident, xor $xor:ident, plus $plus:ident, minus $minus:ident, left $left:ident, right $right:ident
    ) => {
        $(#[$doc])*
        #[derive(Default)]
        pub struct $name;

        impl Wide for $name {
            type T = $T;
            const WIDTH: usize = size_of::<$V>() / size_of::<$T>();
            #[inline(always)]
            unsafe fn load(at: *const $T) -> $V {
                unsafe { $load(at) }
            }
            #[inline(always)]
            unsafe fn store(at: *mut $T, value: $V) {
                unsafe { $store(at, value) }
            }
        }

        impl Lanes for $name {
            type V = $V;
            type M = $M;
            const BITS: u32 = $bits;
            #[inline(always)]
            fn splat(&mut self, value: f64) -> $V {
                unsafe { $set(value as $T) }
            }
            #[inline(always)]
            fn splat_bits(&mut self, bits: u64) -> $V {
                let $some = bits as $I;
                unsafe { $set_bits }
            }
            #[inline(always)]
            fn add(&mut self, a: $V, b: $V) -> $V {
                unsafe { $add(a, b) }
            }
            #[inline(always)]
            fn sub(&mut self, a: $V, b: $V) -> $V {
                unsafe { $sub(a, b) }
            }
            #[inline(always)]
            fn mul(&mut self, a: $V, b: $V) -> $V {
                unsafe { $mul(a, b) }
            }
            #[inline(always)]
            fn div(&mut self, a: $V, b: $V) -> $V {
                unsafe { $div(a, b) }
            }
            #[inline(always)]
            fn fma(&mut self, a: $V, b: $V, c: $V) -> $V {
                unsafe { $fma(a, b, c) }
            }
            #[inline(always)]
            fn sqrt(&mut self, a: $V) -> $V {
                unsafe { $sqrt(a) }
            }
            #[inline(always)]
            fn neg(&mut self, a: $V) -> $V {
                let sign = self.splat(-0.0);
                self.bit_xor(a, sign)
            }
            #[inline(always)]
            fn abs(&mut self, a: $V) -> $V {
                let others = self.splat_bits(u64::MAX >> (65 - $bits));
                self.bit_and(a, others)
            }
            #[inline(always)]
            fn round_even(&mut self, $r: $V) -> $V {
                unsafe { $even }
            }
            #[inline(always)]
            fn floor(&mut self, $r: $V) -> $V {
                unsafe { $floor }
            }
            #[inline(always)]
            fn ceil(&mut self, $r: $V) -> $V {
                unsafe { $ceil }
            }
            #[inline(always)]
            fn trunc(&mut self, $r: $V) -> $V {
                unsafe { $trunc }
            }
            #[inline(always)]
            fn lt(&mut self, $a: $V, $b: $V) -> $M {
                unsafe { $lt }
            }
            #[inline(always)]
            fn le(&mut self, $a: $V, $b: $V) -> $M {
                unsafe { $le }
            }
            #[inline(always)]
            fn eq(&mut self, $a: $V, $b: $V) -> $M {
                unsafe { $eq }
            }
            #[inline(always)]
            #[allow(unused_unsafe)]
            fn mask_and(&mut self, $p: $M, $q: $M) -> $M {
                unsafe { $mask_and }
            }
            #[inline(always)]
            #[allow(unused_unsafe)]
            fn mask_or(&mut self, $p: $M, $q: $M) -> $M {
                unsafe { $mask_or }
            }
            #[inline(always)]
            #[allow(unused_unsafe)]
            fn mask_not(&mut self, $p: $M) -> $M {
                unsafe { $mask_not }
            }
            #[inline(always)]
            fn select(&mut self, $mask: $M, $yes: $V, $no: $V) -> $V {
                unsafe { $select }
            }
            #[inline(always)]
            fn bit_and(&mut self, a: $V, b: $V) -> $V {
                unsafe { $of_bits($and($to_bits(a), $to_bits(b))) }
            }
            #[inline(always)]
            fn bit_or(&mut self, a: $V, b: $V) -> $V {
                unsafe { $of_bits($or($to_bits(a), $to_bits(b))) }
            }
            #[inline(always)]
            fn bit_xor(&mut self, a: $V, b: $V) -> $V {
                unsafe { $of_bits($xor($to_bits(a), $to_bits(b))) }
            }
            #[inline(always)]
            fn bits_add(&mut self, a: $V, b: $V) -> $V {
                unsafe { $of_bits($plus($to_bits(a), $to_bits(b))) }
            }
            #[inline(always)]
            fn bits_sub(&mut self, a: $V, b: $V) -> $V {
                unsafe { $of_bits($minus($to_bits(a), $to_bits(b))) }
            }
            #[inline(always)]
            fn bits_shl(&mut self, a: $V, by: u32) -> $V {
                unsafe { $of_bits($left($to_bits(a), _mm_cvtsi32_si128(by as i32))) }
            }
            #[inline(always)]
            fn bits_shr(&mut self, a: $V, by: u32) -> $V {
                unsafe { $of_bits($right($to_bits(a), _mm_cvtsi32_si128(by as i32))) }
            }
        }
    };
}

lanes! {
    /// Sixteen floats of 32 bits.
    F32x16, f32, i32, 32, __m512, __mmask16;
    load _mm512_loadu_ps, store _mm512_storeu_ps, set _mm512_set1_ps, set_bits(bits) _mm512_castsi512_ps(_mm512_set1_epi32(bits)),
    add _mm512_add_ps, sub _mm512_sub_ps, mul _mm512_mul_ps, div _mm512_div_ps, fma _mm512_fmadd_ps, sqrt _mm512_sqrt_ps,
    round(a) {
        _mm512_roundscale_ps::<8>(a), _mm512_roundscale_ps::<9>(a), _mm512_roundscale_ps::<10>(a), _mm512_roundscale_ps::<11>(a)
    },
    compare(a, b) {
        _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b), _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b)
    },
    masks(a, b) { a & b, a | b, !a },
    select(mask, yes, no) _mm512_mask_blend_ps(mask, no, yes),
    to_bits _mm512_castps_si512, of_bits _mm512_castsi512_ps,
    and _mm512_and_si512, or _mm512_or_si512, xor _mm512_xor_si512, plus _mm512_add_epi32, minus _mm512_sub_epi32,
    left _mm512_sll_epi32, right _mm512_srl_epi32
}

lanes! {
    /// Eight floats of 64 bits.
    F64x8, f64, i64, 64, __m512d, __mmask8;
    load _mm512_loadu_pd, store _mm512_storeu_pd, set _mm512_set1_pd, set_bits(bits) _mm512_castsi512_pd(_mm512_set1_epi64(bits)),
    add _mm512_add_pd, sub _mm512_sub_pd, mul _mm512_mul_pd, div _mm512_div_pd, fma _mm512_fmadd_pd, sqrt _mm512_sqrt_pd,
    round(a) {
        _mm512_roundscale_pd::<8>(a), _mm512_roundscale_pd::<9>(a), _mm512_roundscale_pd::<10>(a), _mm512_roundscale_pd::<11>(a)
    },
    compare(a, b) {
        _mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b), _mm512_cmp_pd_mask::<_CMP_LE_OQ>(a, b), _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a, b)
    },
    masks(a, b) { a & b, a | b, !a },
    select(mask, yes, no) _mm512_mask_blend_pd(mask, no, yes),
    to_bits _mm512_castpd_si512, of_bits _mm512_castsi512_pd,
    and _mm512_and_si512, or _mm512_or_si512, xor _mm512_xor_si512, plus _mm512_add_epi64, minus _mm512_sub_epi64,
    left _mm512_sll_epi64, right _mm512_srl_epi64
}

lanes! {
    /// Eight floats of 32 bits.
    F32x8, f32, i32, 32, __m256, __m256;
    load _mm256_loadu_ps, store _mm256_storeu_ps, set _mm256_set1_ps, set_bits(bits) _mm256_castsi256_ps(_mm256_set1_epi32(bits)),
    add _mm256_add_ps, sub _mm256_sub_ps, mul _mm256_mul_ps, div _mm256_div_ps, fma _mm256_fmadd_ps, sqrt _mm256_sqrt_ps,
    round(a) { _mm256_round_ps::<8>(a), _mm256_round_ps::<9>(a), _mm256_round_ps::<10>(a), _mm256_round_ps::<11>(a) },
    compare(a, b) {
        _mm256_cmp_ps::<_CMP_LT_OQ>(a, b), _mm256_cmp_ps::<_CMP_LE_OQ>(a, b), _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b)
    },
    masks(a, b) {
        _mm256_and_ps(a, b), _mm256_or_ps(a, b), _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))
    },
    select(mask, yes, no) _mm256_blendv_ps(no, yes, mask),
    to_bits _mm256_castps_si256, of_bits _mm256_castsi256_ps,
    and _mm256_and_si256, or _mm256_or_si256, xor _mm256_xor_si256, plus _mm256_add_epi32, minus _mm256_sub_epi32,
    left _mm256_sll_epi32, right _mm256_srl_epi32
}

lanes! {
    /// Four floats of 64 bits.
    F64x4, f64, i64, 64, __m256d, __m256d;
    load _mm256_loadu_pd, store _mm256_storeu_pd, set _mm256_set1_pd, set_bits(bits) _mm256_castsi256_pd(_mm256_set1_epi64x(bits)),
    add _mm256_add_pd, sub _mm256_sub_pd, mul _mm256_mul_pd, div _mm256_div_pd, fma _mm256_fmadd_pd, sqrt _mm256_sqrt_pd,
    round(a) { _mm256_round_pd::<8>(a), _mm256_round_pd::<9>(a), _mm256_round_pd::<10>(a), _mm256_round_pd::<11>(a) },
    compare(a, b) {
        _mm256_cmp_pd::<_CMP_LT_OQ>(a, b), _mm256_cmp_pd::<_CMP_LE_OQ>(a, b), _mm256_cmp_pd::<_CMP_EQ_OQ>(a, b)
    },
    masks(a, b) {
        _mm256_and_pd(a, b), _mm256_or_pd(a, b), _mm256_xor_pd(a, _mm256_castsi256_pd(_mm256_set1_epi64x(-1)))
    },
    select(mask, yes, no) _mm256_blendv_pd(no, yes, mask),
    to_bits _mm256_castpd_si256, of_bits _mm256_castsi256_pd,
    and _mm256_and_si256, or _mm256_or_si256, xor _mm256_xor_si256, plus _mm256_add_epi64, minus _mm256_sub_epi64,
    left _mm256_sll_epi64, right _mm256_srl_epi64
}
