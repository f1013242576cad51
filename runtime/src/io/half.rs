//! The two 16-bit floats, which are read but never computed with.

/// IEEE 754 binary16.
pub(super) fn from_f16(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 31;
    let fraction = u32::from(bits & 1023);
    match exponent {
        // Zero and subnormal: fraction * 2^-24, exact.
        0 => f32::from_bits((fraction as f32 * (1.0 / (1u32 << 24) as f32)).to_bits() | sign),
        31 => f32::from_bits(sign | 0x7f80_0000 | (fraction << 13)),
        _ => f32::from_bits(sign | ((exponent + 112) << 23) | (fraction << 13)),
    }
}

/// The upper half of a binary32.
pub(super) fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
