//! The small set of lane operations in which every elementary function is written once.
//!
//! The reference evaluator instantiates `math` with plain scalars (`F32Lane`, `F64Lane`); the code
//! generator instantiates it with Cranelift values of one or several lanes. Every operation here is
//! exact or correctly rounded by IEEE 754, so both give the same bits.

/// One element kind's lane operations. `V` is a value (a float lane or vector of lanes), `M` a mask.
pub trait Lanes {
    type V: Copy;
    type M: Copy;
    /// 32 or 64: the width of the float, which selects constants and polynomials.
    const BITS: u32;

    /// A constant, rounded to the lane's width.
    fn splat(&mut self, value: f64) -> Self::V;
    /// A constant given by its bits (low `BITS` bits).
    fn splat_bits(&mut self, bits: u64) -> Self::V;
    fn add(&mut self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(&mut self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(&mut self, a: Self::V, b: Self::V) -> Self::V;
    fn div(&mut self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c` with one rounding.
    fn fma(&mut self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn sqrt(&mut self, a: Self::V) -> Self::V;
    fn neg(&mut self, a: Self::V) -> Self::V;
    fn abs(&mut self, a: Self::V) -> Self::V;
    /// Round to an integer, ties to even.
    fn round_even(&mut self, a: Self::V) -> Self::V;
    fn floor(&mut self, a: Self::V) -> Self::V;
    fn ceil(&mut self, a: Self::V) -> Self::V;
    fn trunc(&mut self, a: Self::V) -> Self::V;
    /// Ordered comparisons: false where an operand is NaN (`ne` is the negation of `eq`).
    fn lt(&mut self, a: Self::V, b: Self::V) -> Self::M;
    fn le(&mut self, a: Self::V, b: Self::V) -> Self::M;
    fn eq(&mut self, a: Self::V, b: Self::V) -> Self::M;
    fn mask_and(&mut self, a: Self::M, b: Self::M) -> Self::M;
    fn mask_or(&mut self, a: Self::M, b: Self::M) -> Self::M;
    fn mask_not(&mut self, a: Self::M) -> Self::M;
    fn select(&mut self, mask: Self::M, yes: Self::V, no: Self::V) -> Self::V;
    /// Bit operations on the float's bits.
    fn bit_and(&mut self, a: Self::V, b: Self::V) -> Self::V;
    fn bit_or(&mut self, a: Self::V, b: Self::V) -> Self::V;
    fn bit_xor(&mut self, a: Self::V, b: Self::V) -> Self::V;
    /// Integer addition and subtraction of the bits, wrapping.
    fn bits_add(&mut self, a: Self::V, b: Self::V) -> Self::V;
    fn bits_sub(&mut self, a: Self::V, b: Self::V) -> Self::V;
    /// Shifts of the bits by a constant.
    fn bits_shl(&mut self, a: Self::V, by: u32) -> Self::V;
    /// Logical shift right of the bits by a constant.
    fn bits_shr(&mut self, a: Self::V, by: u32) -> Self::V;
}

macro_rules! scalar_lane {
    ($name:ident, $float:ty, $int:ty, $bits:expr) => {
        /// Lane operations on plain scalars, for the reference evaluator.
        pub struct $name;

        impl Lanes for $name {
            type V = $float;
            type M = bool;
            const BITS: u32 = $bits;

            #[inline(always)]
            fn splat(&mut self, value: f64) -> $float {
                value as $float
            }
            #[inline(always)]
            fn splat_bits(&mut self, bits: u64) -> $float {
                <$float>::from_bits(bits as $int)
            }
            #[inline(always)]
            fn add(&mut self, a: $float, b: $float) -> $float {
                a + b
            }
            #[inline(always)]
            fn sub(&mut self, a: $float, b: $float) -> $float {
                a - b
            }
            #[inline(always)]
            fn mul(&mut self, a: $float, b: $float) -> $float {
                a * b
            }
            #[inline(always)]
            fn div(&mut self, a: $float, b: $float) -> $float {
                a / b
            }
            #[inline(always)]
            fn fma(&mut self, a: $float, b: $float, c: $float) -> $float {
                a.mul_add(b, c)
            }
            #[inline(always)]
            fn sqrt(&mut self, a: $float) -> $float {
                a.sqrt()
            }
            #[inline(always)]
            fn neg(&mut self, a: $float) -> $float {
                -a
            }
            #[inline(always)]
            fn abs(&mut self, a: $float) -> $float {
                a.abs()
            }
            #[inline(always)]
            fn round_even(&mut self, a: $float) -> $float {
                a.round_ties_even()
            }
            #[inline(always)]
            fn floor(&mut self, a: $float) -> $float {
                a.floor()
            }
            #[inline(always)]
            fn ceil(&mut self, a: $float) -> $float {
                a.ceil()
            }
            #[inline(always)]
            fn trunc(&mut self, a: $float) -> $float {
                a.trunc()
            }
            #[inline(always)]
            fn lt(&mut self, a: $float, b: $float) -> bool {
                a < b
            }
            #[inline(always)]
            fn le(&mut self, a: $float, b: $float) -> bool {
                a <= b
            }
            #[inline(always)]
            fn eq(&mut self, a: $float, b: $float) -> bool {
                a == b
            }
            #[inline(always)]
            fn mask_and(&mut self, a: bool, b: bool) -> bool {
                a & b
            }
            #[inline(always)]
            fn mask_or(&mut self, a: bool, b: bool) -> bool {
                a | b
            }
            #[inline(always)]
            fn mask_not(&mut self, a: bool) -> bool {
                !a
            }
            #[inline(always)]
            fn select(&mut self, mask: bool, yes: $float, no: $float) -> $float {
                if mask { yes } else { no }
            }
            #[inline(always)]
            fn bit_and(&mut self, a: $float, b: $float) -> $float {
                <$float>::from_bits(a.to_bits() & b.to_bits())
            }
            #[inline(always)]
            fn bit_or(&mut self, a: $float, b: $float) -> $float {
                <$float>::from_bits(a.to_bits() | b.to_bits())
            }
            #[inline(always)]
            fn bit_xor(&mut self, a: $float, b: $float) -> $float {
                <$float>::from_bits(a.to_bits() ^ b.to_bits())
            }
            #[inline(always)]
            fn bits_add(&mut self, a: $float, b: $float) -> $float {
                <$float>::from_bits(a.to_bits().wrapping_add(b.to_bits()))
            }
            #[inline(always)]
            fn bits_sub(&mut self, a: $float, b: $float) -> $float {
                <$float>::from_bits(a.to_bits().wrapping_sub(b.to_bits()))
            }
            #[inline(always)]
            fn bits_shl(&mut self, a: $float, by: u32) -> $float {
                <$float>::from_bits(a.to_bits() << by)
            }
            #[inline(always)]
            fn bits_shr(&mut self, a: $float, by: u32) -> $float {
                <$float>::from_bits(a.to_bits() >> by)
            }
        }
    };
}
scalar_lane!(F32Lane, f32, u32, 32);
scalar_lane!(F64Lane, f64, u64, 64);
