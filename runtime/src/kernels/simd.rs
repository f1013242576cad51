//! Vectors of floats in registers: what the kernels of products are written in. Safety: see `kernels`.
//!
//! Each kind of vector may be used only inside a function that is compiled for its instructions, after the processor
//! was asked for them. All kinds round alike, so results do not depend on the width.

use super::Real;

/// A vector of floats.
pub trait Simd: Copy {
    type T: Real;
    /// Floats in a vector.
    const WIDTH: usize;
    /// A vector of half as many, or this kind if there is none.
    type Half: Simd<T = Self::T>;

    /// # Safety
    /// The processor has the instructions of this kind; so for all functions here.
    unsafe fn splat(x: Self::T) -> Self;
    /// # Safety
    /// `WIDTH` floats can be read.
    unsafe fn load(at: *const Self::T) -> Self;
    /// # Safety
    /// `WIDTH` floats can be written.
    unsafe fn store(self, at: *mut Self::T);
    /// `self * b + c`, rounded once.
    ///
    /// # Safety
    /// As above.
    unsafe fn fma(self, b: Self, c: Self) -> Self;
    /// # Safety
    /// As above.
    unsafe fn add(self, b: Self) -> Self;

    /// The first `n <= WIDTH` floats, then zeros.
    ///
    /// # Safety
    /// `n` floats can be read.
    unsafe fn load_some(at: *const Self::T, n: usize) -> Self;
    /// Writes the first `n <= WIDTH` floats.
    ///
    /// # Safety
    /// `n` floats can be written.
    unsafe fn store_some(self, at: *mut Self::T, n: usize);
    /// The first `n <= WIDTH` floats of this vector, then those of `other`.
    ///
    /// # Safety
    /// As above.
    unsafe fn first(self, n: usize, other: Self) -> Self;

    /// Lanes that take part.
    type Mask: Copy;
    /// The lanes `from <= l < to`; the bounds may lie outside of the vector.
    ///
    /// # Safety
    /// As above.
    unsafe fn lanes(from: isize, to: isize) -> Self::Mask;
    /// The floats in some lanes, zeros elsewhere.
    ///
    /// # Safety
    /// The floats in these lanes can be read; no others are.
    unsafe fn load_lanes(at: *const Self::T, lanes: Self::Mask) -> Self;
    /// `self * b + c` in some lanes, `c` elsewhere.
    ///
    /// # Safety
    /// As above.
    unsafe fn fma_lanes(self, b: Self, c: Self, lanes: Self::Mask) -> Self;

    /// Asks for the cache line of an address, which need not be one.
    ///
    /// # Safety
    /// As above.
    unsafe fn ask(at: *const Self::T);

    /// Adds the upper half to the lower one until `SQUARE` floats are left, and writes them.
    ///
    /// # Safety
    /// `SQUARE` floats can be written.
    unsafe fn fold(self, at: *mut Self::T);

    /// The sums of the rows of a square, each by halving: element l with l + `SQUARE / 2`, and so on.
    ///
    /// # Safety
    /// A square of floats can be read, `SQUARE` of them written.
    unsafe fn halve(rows: *const Self::T, sums: *mut Self::T);

    /// The side of the squares that `turn` transposes.
    const SQUARE: usize;
    /// `to[i * to_step + j] = from[j * from_step + i]` for i, j below `SQUARE`.
    ///
    /// # Safety
    /// All these floats can be read and written.
    unsafe fn turn(from: *const Self::T, from_step: isize, to: *mut Self::T, to_step: usize);
}

/// Plain code, for processors without the others.
#[derive(Clone, Copy)]
pub struct Plain<T, const N: usize>([T; N]);

impl<T: Real, const N: usize> Simd for Plain<T, N> {
    type T = T;
    const WIDTH: usize = N;
    type Half = Self;
    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Plain([x; N])
    }
    #[inline(always)]
    unsafe fn load(at: *const T) -> Self {
        Plain(unsafe { (at as *const [T; N]).read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut T) {
        unsafe { (at as *mut [T; N]).write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn fma(self, b: Self, c: Self) -> Self {
        Plain(std::array::from_fn(|l| self.0[l].fma(b.0[l], c.0[l])))
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        Plain(std::array::from_fn(|l| self.0[l] + b.0[l]))
    }
    #[inline(always)]
    unsafe fn load_some(at: *const T, n: usize) -> Self {
        let mut v = [T::ZERO; N];
        for (l, v) in v.iter_mut().enumerate().take(n) {
            *v = unsafe { *at.add(l) };
        }
        Plain(v)
    }
    #[inline(always)]
    unsafe fn store_some(self, at: *mut T, n: usize) {
        for (l, &v) in self.0.iter().enumerate().take(n) {
            unsafe { *at.add(l) = v };
        }
    }
    #[inline(always)]
    unsafe fn first(self, n: usize, other: Self) -> Self {
        let mut v = other.0;
        v[..n].copy_from_slice(&self.0[..n]);
        Plain(v)
    }
    type Mask = [bool; N];
    #[inline(always)]
    unsafe fn lanes(from: isize, to: isize) -> [bool; N] {
        std::array::from_fn(|l| from <= l as isize && (l as isize) < to)
    }
    #[inline(always)]
    unsafe fn load_lanes(at: *const T, lanes: [bool; N]) -> Self {
        Plain(std::array::from_fn(|l| if lanes[l] { unsafe { *at.wrapping_add(l) } } else { T::ZERO }))
    }
    #[inline(always)]
    unsafe fn fma_lanes(self, b: Self, c: Self, lanes: [bool; N]) -> Self {
        Plain(std::array::from_fn(|l| if lanes[l] { self.0[l].fma(b.0[l], c.0[l]) } else { c.0[l] }))
    }
    #[inline(always)]
    unsafe fn ask(_at: *const T) {}
    #[inline(always)]
    unsafe fn fold(self, at: *mut T) {
        let mut v = self.0;
        let mut left = N;
        while left > Self::SQUARE {
            left /= 2;
            for l in 0..left {
                v[l] = v[l] + v[l + left];
            }
        }
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), at, Self::SQUARE) };
    }
    #[inline(always)]
    unsafe fn halve(rows: *const T, sums: *mut T) {
        for i in 0..4 {
            let row = unsafe { (rows as *const [T; 4]).add(i).read_unaligned() };
            unsafe { *sums.add(i) = (row[0] + row[2]) + (row[1] + row[3]) };
        }
    }
    const SQUARE: usize = 4;
    #[inline(always)]
    unsafe fn turn(from: *const T, from_step: isize, to: *mut T, to_step: usize) {
        for i in 0..4 {
            for j in 0..4 {
                unsafe { *to.add(i * to_step + j) = *from.offset(j as isize * from_step).add(i) };
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($name:ident, $half:ident, $raw:ty, $T:ty, $width:expr, $doc:expr, $splat:ident, $load:ident, $store:ident, $fma:ident, $add:ident, $square:expr, $turn:ident, $halve:ident, $some:ident, $fold:ident) => {
            #[doc = $doc]
            #[derive(Clone, Copy)]
            pub struct $name($raw);

            impl Simd for $name {
                type T = $T;
                const WIDTH: usize = $width;
                type Half = $half;
                #[inline(always)]
                unsafe fn splat(x: $T) -> Self {
                    $name(unsafe { $splat(x) })
                }
                #[inline(always)]
                unsafe fn load(at: *const $T) -> Self {
                    $name(unsafe { $load(at) })
                }
                #[inline(always)]
                unsafe fn store(self, at: *mut $T) {
                    unsafe { $store(at, self.0) }
                }
                #[inline(always)]
                unsafe fn fma(self, b: Self, c: Self) -> Self {
                    $name(unsafe { $fma(self.0, b.0, c.0) })
                }
                #[inline(always)]
                unsafe fn add(self, b: Self) -> Self {
                    $name(unsafe { $add(self.0, b.0) })
                }
                #[inline(always)]
                unsafe fn load_some(at: *const $T, n: usize) -> Self {
                    $name(unsafe { $some::load(at, n) })
                }
                #[inline(always)]
                unsafe fn store_some(self, at: *mut $T, n: usize) {
                    unsafe { $some::store(at, n, self.0) }
                }
                #[inline(always)]
                unsafe fn first(self, n: usize, other: Self) -> Self {
                    $name(unsafe { $some::first(n, self.0, other.0) })
                }
                type Mask = $some::Mask;
                #[inline(always)]
                unsafe fn lanes(from: isize, to: isize) -> $some::Mask {
                    let inside = |l: isize| l.clamp(0, $width) as usize;
                    unsafe { $some::between(inside(from), inside(to)) }
                }
                #[inline(always)]
                unsafe fn load_lanes(at: *const $T, lanes: $some::Mask) -> Self {
                    $name(unsafe { $some::load_lanes(at, lanes) })
                }
                #[inline(always)]
                unsafe fn fma_lanes(self, b: Self, c: Self, lanes: $some::Mask) -> Self {
                    $name(unsafe { $some::fma_lanes(self.0, b.0, c.0, lanes) })
                }
                #[inline(always)]
                unsafe fn ask(at: *const $T) {
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(at as *const i8) };
                }
                #[inline(always)]
                unsafe fn fold(self, at: *mut $T) {
                    unsafe { $fold(self.0, at) }
                }
                #[inline(always)]
                unsafe fn halve(rows: *const $T, sums: *mut $T) {
                    unsafe { $halve(rows, sums) }
                }
                const SQUARE: usize = $square;
                #[inline(always)]
                unsafe fn turn(from: *const $T, from_step: isize, to: *mut $T, to_step: usize) {
                    unsafe { $turn(from, from_step, to, to_step) }
                }
            }
        };
    }
    vector!(
        F32x8,
        F32x8,
        __m256,
        f32,
        8,
        "AVX2 and FMA.",
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        8,
        turn_f32,
        halve_f32,
        some_f32x8,
        store_f32x8
    );
    vector!(
        F64x4,
        F64x4,
        __m256d,
        f64,
        4,
        "AVX2 and FMA.",
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_fmadd_pd,
        _mm256_add_pd,
        4,
        turn_f64,
        halve_f64,
        some_f64x4,
        store_f64x4
    );
    vector!(
        F32x16,
        F32x8,
        __m512,
        f32,
        16,
        "AVX-512.",
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        8,
        turn_f32,
        halve_f32,
        some_f32x16,
        fold_f32x16
    );
    vector!(
        F64x8,
        F64x4,
        __m512d,
        f64,
        8,
        "AVX-512.",
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_fmadd_pd,
        _mm512_add_pd,
        4,
        turn_f64,
        halve_f64,
        some_f64x8,
        fold_f64x8
    );

    #[inline(always)]
    unsafe fn store_f32x8(v: __m256, at: *mut f32) {
        unsafe { _mm256_storeu_ps(at, v) }
    }

    #[inline(always)]
    unsafe fn store_f64x4(v: __m256d, at: *mut f64) {
        unsafe { _mm256_storeu_pd(at, v) }
    }

    #[inline(always)]
    unsafe fn fold_f32x16(v: __m512, at: *mut f32) {
        unsafe {
            let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v)));
            _mm256_storeu_ps(at, _mm256_add_ps(_mm512_castps512_ps256(v), high));
        }
    }

    #[inline(always)]
    unsafe fn fold_f64x8(v: __m512d, at: *mut f64) {
        unsafe {
            _mm256_storeu_pd(at, _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd::<1>(v)));
        }
    }

    /// Eight rows of eight: each step makes one vector of two, with the sums of both.
    #[inline(always)]
    unsafe fn halve_f32(rows: *const f32, sums: *mut f32) {
        unsafe {
            let mut half = [_mm256_setzero_ps(); 4];
            for (i, half) in half.iter_mut().enumerate() {
                let (low, high) = (_mm256_loadu_ps(rows.add(8 * i)), _mm256_loadu_ps(rows.add(8 * (i + 4))));
                let left = _mm256_permute2f128_ps::<0x20>(low, high);
                *half = _mm256_add_ps(left, _mm256_permute2f128_ps::<0x31>(low, high));
            }
            let quarter = |a: __m256, b: __m256| {
                let left = _mm256_shuffle_ps::<0x44>(a, b);
                _mm256_add_ps(left, _mm256_shuffle_ps::<0xEE>(a, b))
            };
            let (a, b) = (quarter(half[0], half[1]), quarter(half[2], half[3]));
            let left = _mm256_shuffle_ps::<0x88>(a, b);
            _mm256_storeu_ps(sums, _mm256_add_ps(left, _mm256_shuffle_ps::<0xDD>(a, b)));
        }
    }

    /// Four rows of four.
    #[inline(always)]
    unsafe fn halve_f64(rows: *const f64, sums: *mut f64) {
        unsafe {
            let mut half = [_mm256_setzero_pd(); 2];
            for (i, half) in half.iter_mut().enumerate() {
                let (low, high) = (_mm256_loadu_pd(rows.add(4 * i)), _mm256_loadu_pd(rows.add(4 * (i + 2))));
                let left = _mm256_permute2f128_pd::<0x20>(low, high);
                *half = _mm256_add_pd(left, _mm256_permute2f128_pd::<0x31>(low, high));
            }
            let left = _mm256_unpacklo_pd(half[0], half[1]);
            _mm256_storeu_pd(sums, _mm256_add_pd(left, _mm256_unpackhi_pd(half[0], half[1])));
        }
    }

    /// Eight rows of eight, by pairs, by fours, by halves.
    #[inline(always)]
    unsafe fn turn_f32(from: *const f32, from_step: isize, to: *mut f32, to_step: usize) {
        unsafe {
            let mut r = [_mm256_setzero_ps(); 8];
            for (j, row) in r.iter_mut().enumerate() {
                *row = _mm256_loadu_ps(from.offset(j as isize * from_step));
            }
            let mut t = [_mm256_setzero_ps(); 8];
            for j in 0..4 {
                t[2 * j] = _mm256_unpacklo_ps(r[2 * j], r[2 * j + 1]);
                t[2 * j + 1] = _mm256_unpackhi_ps(r[2 * j], r[2 * j + 1]);
            }
            for h in 0..2 {
                let (a, b, c, d) = (t[4 * h], t[4 * h + 1], t[4 * h + 2], t[4 * h + 3]);
                r[4 * h] = _mm256_shuffle_ps::<0x44>(a, c);
                r[4 * h + 1] = _mm256_shuffle_ps::<0xEE>(a, c);
                r[4 * h + 2] = _mm256_shuffle_ps::<0x44>(b, d);
                r[4 * h + 3] = _mm256_shuffle_ps::<0xEE>(b, d);
            }
            for i in 0..4 {
                _mm256_storeu_ps(to.add(i * to_step), _mm256_permute2f128_ps::<0x20>(r[i], r[4 + i]));
                _mm256_storeu_ps(to.add((4 + i) * to_step), _mm256_permute2f128_ps::<0x31>(r[i], r[4 + i]));
            }
        }
    }

    /// Four rows of four.
    #[inline(always)]
    unsafe fn turn_f64(from: *const f64, from_step: isize, to: *mut f64, to_step: usize) {
        unsafe {
            let mut r = [_mm256_setzero_pd(); 4];
            for (j, row) in r.iter_mut().enumerate() {
                *row = _mm256_loadu_pd(from.offset(j as isize * from_step));
            }
            let low = [_mm256_unpacklo_pd(r[0], r[1]), _mm256_unpacklo_pd(r[2], r[3])];
            let high = [_mm256_unpackhi_pd(r[0], r[1]), _mm256_unpackhi_pd(r[2], r[3])];
            _mm256_storeu_pd(to, _mm256_permute2f128_pd::<0x20>(low[0], low[1]));
            _mm256_storeu_pd(to.add(to_step), _mm256_permute2f128_pd::<0x20>(high[0], high[1]));
            _mm256_storeu_pd(to.add(2 * to_step), _mm256_permute2f128_pd::<0x31>(low[0], low[1]));
            _mm256_storeu_pd(to.add(3 * to_step), _mm256_permute2f128_pd::<0x31>(high[0], high[1]));
        }
    }

    /// The first lanes of a vector, by a mask in a vector.
    macro_rules! some_avx2 {
        ($name:ident, $raw:ty, $T:ty, $int:ty, $width:expr, $cast:ident, $load:ident, $store:ident, $blend:ident, $fma:ident) => {
            mod $name {
                use std::arch::x86_64::*;
                /// `WIDTH` lanes of all ones, then as many zeros.
                static MASKS: [$int; 2 * $width] = {
                    let mut masks = [0; 2 * $width];
                    let mut l = 0;
                    while l < $width {
                        masks[l] = -1;
                        l += 1;
                    }
                    masks
                };
                #[inline(always)]
                unsafe fn mask(n: usize) -> __m256i {
                    unsafe { _mm256_loadu_si256(MASKS.as_ptr().add($width - n) as *const __m256i) }
                }
                #[inline(always)]
                pub unsafe fn load(at: *const $T, n: usize) -> $raw {
                    unsafe { $load(at, mask(n)) }
                }
                #[inline(always)]
                pub unsafe fn store(at: *mut $T, n: usize, v: $raw) {
                    unsafe { $store(at, mask(n), v) }
                }
                #[inline(always)]
                pub unsafe fn first(n: usize, v: $raw, other: $raw) -> $raw {
                    unsafe { $blend(other, v, $cast(mask(n))) }
                }
                pub type Mask = __m256i;
                #[inline(always)]
                pub unsafe fn between(from: usize, to: usize) -> Mask {
                    unsafe { _mm256_andnot_si256(mask(from), mask(to)) }
                }
                #[inline(always)]
                pub unsafe fn load_lanes(at: *const $T, lanes: Mask) -> $raw {
                    unsafe { $load(at, lanes) }
                }
                #[inline(always)]
                pub unsafe fn fma_lanes(a: $raw, b: $raw, c: $raw, lanes: Mask) -> $raw {
                    unsafe { $blend(c, $fma(a, b, c), $cast(lanes)) }
                }
            }
        };
    }
    some_avx2!(
        some_f32x8,
        __m256,
        f32,
        i32,
        8,
        _mm256_castsi256_ps,
        _mm256_maskload_ps,
        _mm256_maskstore_ps,
        _mm256_blendv_ps,
        _mm256_fmadd_ps
    );
    some_avx2!(
        some_f64x4,
        __m256d,
        f64,
        i64,
        4,
        _mm256_castsi256_pd,
        _mm256_maskload_pd,
        _mm256_maskstore_pd,
        _mm256_blendv_pd,
        _mm256_fmadd_pd
    );

    /// The same, by a mask of bits.
    macro_rules! some_avx512 {
        ($name:ident, $raw:ty, $T:ty, $mask:ty, $load:ident, $store:ident, $blend:ident, $fma:ident) => {
            mod $name {
                use std::arch::x86_64::*;
                #[inline(always)]
                fn mask(n: usize) -> $mask {
                    ((1u32 << n) - 1) as $mask
                }
                #[inline(always)]
                pub unsafe fn load(at: *const $T, n: usize) -> $raw {
                    unsafe { $load(mask(n), at) }
                }
                #[inline(always)]
                pub unsafe fn store(at: *mut $T, n: usize, v: $raw) {
                    unsafe { $store(at, mask(n), v) }
                }
                #[inline(always)]
                pub unsafe fn first(n: usize, v: $raw, other: $raw) -> $raw {
                    unsafe { $blend(mask(n), other, v) }
                }
                pub type Mask = $mask;
                #[inline(always)]
                pub unsafe fn between(from: usize, to: usize) -> Mask {
                    mask(to) & !mask(from)
                }
                #[inline(always)]
                pub unsafe fn load_lanes(at: *const $T, lanes: Mask) -> $raw {
                    unsafe { $load(lanes, at) }
                }
                #[inline(always)]
                pub unsafe fn fma_lanes(a: $raw, b: $raw, c: $raw, lanes: Mask) -> $raw {
                    unsafe { $fma(a, b, c, lanes) }
                }
            }
        };
    }
    some_avx512!(
        some_f32x16,
        __m512,
        f32,
        __mmask16,
        _mm512_maskz_loadu_ps,
        _mm512_mask_storeu_ps,
        _mm512_mask_blend_ps,
        _mm512_mask3_fmadd_ps
    );
    some_avx512!(
        some_f64x8,
        __m512d,
        f64,
        __mmask8,
        _mm512_maskz_loadu_pd,
        _mm512_mask_storeu_pd,
        _mm512_mask_blend_pd,
        _mm512_mask3_fmadd_pd
    );
}
