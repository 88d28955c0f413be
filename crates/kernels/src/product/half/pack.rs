//! Packing for `fp16`: rows of any operand, scaled by a power of two and rounded to f16, in the order in which
//! a tile reads them.
//!
//! Multiplies nothing. A group of a holds, for each k, its sixteen rows, each element twice; a group of b
//! holds, for each k, its 96 columns. Both begin with the exponents of the scales, as f32.
//!
//! The scale of a row makes its largest finite element at least 16 and less than 32; that of a row of zeros
//! is 1. Scaling is exact, and rounding is to nearest even.

use std::arch::x86_64::*;
use std::ops::Range;

use super::Line;
use crate::product::Weights;
use crate::product::operand::Operand;

/// Rows of a group of a.
pub(super) const ROWS: usize = 16;
/// Columns of a group of b: 288 and 768, the widths of small models, are multiples of it.
pub(super) const COLUMNS: usize = 96;

/// The exponent that a row's largest element is scaled to.
const LARGEST_EXPONENT: f32 = 4.0;

/// Packs a group of a; see [`super::Pack`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
pub(super) unsafe fn pack_rows(a: &Operand<'_>, outer: Range<usize>, inner: Range<usize>, to: &mut [Line]) {
    // SAFETY: the caller's promise; each source reads its own type.
    unsafe {
        match a.values {
            Weights::F32(values) => rows(&Source::new(values.as_ptr(), a, outer, inner), to),
            Weights::Bf16(bits) => rows(&Source::new(bits.as_ptr().cast::<Bf16>(), a, outer, inner), to),
            Weights::F16(bits) => rows(&Source::new(bits.as_ptr().cast::<F16>(), a, outer, inner), to),
            Weights::Blocks(_) => unreachable!("quantised weights take the f32 product"),
        }
    }
}

/// Packs a group of b; see [`super::Pack`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
pub(super) unsafe fn pack_columns(
    b: &Operand<'_>,
    outer: Range<usize>,
    inner: Range<usize>,
    to: &mut [Line],
) {
    // SAFETY: as above.
    unsafe {
        match b.values {
            Weights::F32(values) => columns(&Source::new(values.as_ptr(), b, outer, inner), to),
            Weights::Bf16(bits) => columns(&Source::new(bits.as_ptr().cast::<Bf16>(), b, outer, inner), to),
            Weights::F16(bits) => columns(&Source::new(bits.as_ptr().cast::<F16>(), b, outer, inner), to),
            Weights::Blocks(_) => unreachable!("quantised weights take the f32 product"),
        }
    }
}

/// What an operand may hold, read sixteen at a time.
trait Element: Copy {
    /// The elements of the mask as f32, zero elsewhere.
    ///
    /// # Safety
    /// AVX-512 F, BW and VL; the elements of the mask can be read.
    unsafe fn load(from: *const Self, mask: __mmask16) -> __m512;
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Bf16(u16);

#[derive(Clone, Copy)]
#[repr(transparent)]
struct F16(u16);

impl Element for f32 {
    #[inline(always)]
    unsafe fn load(from: *const f32, mask: __mmask16) -> __m512 {
        // SAFETY: the caller's promise; a masked-out element is not read.
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }
}

impl Element for Bf16 {
    #[inline(always)]
    unsafe fn load(from: *const Bf16, mask: __mmask16) -> __m512 {
        // SAFETY: as above.
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }
}

impl Element for F16 {
    #[inline(always)]
    unsafe fn load(from: *const F16, mask: __mmask16) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, from.cast())) }
    }
}

/// The part of an operand that becomes a group.
struct Source<E> {
    first: *const E,
    outer_stride: usize,
    inner_stride: usize,
    /// Outer elements, at most a group's width.
    n: usize,
    k: usize,
}

/// The mask of the first `n` of sixteen lanes.
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1u32 << n.min(16)) - 1) as __mmask16
}

impl<E: Element> Source<E> {
    fn new(values: *const E, operand: &Operand<'_>, outer: Range<usize>, inner: Range<usize>) -> Self {
        let Operand { outer_stride, inner_stride, .. } = *operand;
        let start = outer.start * outer_stride + inner.start * inner_stride;
        let first = values.wrapping_add(start);
        Self { first, outer_stride, inner_stride, n: outer.len(), k: inner.len() }
    }

    /// Sixteen k of one outer element, zero behind the end of either.
    #[inline(always)]
    unsafe fn along_k(&self, outer: usize, k: usize) -> __m512 {
        let mask = if outer < self.n { first(self.k - k) } else { 0 };
        // SAFETY: the elements of the mask lie inside the operand.
        unsafe { E::load(self.first.wrapping_add(outer * self.outer_stride + k), mask) }
    }

    /// Sixteen outer elements at one k, zero behind their end.
    #[inline(always)]
    unsafe fn across(&self, outer: usize, k: usize) -> __m512 {
        let mask = first(self.n.saturating_sub(outer));
        // SAFETY: as above.
        unsafe { E::load(self.first.wrapping_add(outer + k * self.inner_stride), mask) }
    }

    /// The exponents of the scales of sixteen outer elements.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
    unsafe fn exponents(&self, outer: usize) -> __m512 {
        let mut largest = _mm512_setzero_si512();
        if self.outer_stride == 1 {
            for k in 0..self.k {
                // SAFETY: k is one of the source's.
                largest = larger(largest, unsafe { self.across(outer, k) });
            }
        } else {
            let mut each = [0u32; 16];
            for (index, each) in each.iter_mut().enumerate() {
                let mut row = _mm512_setzero_si512();
                for k in (0..self.k).step_by(16) {
                    // SAFETY: as above.
                    row = larger(row, unsafe { self.along_k(outer + index, k) });
                }
                *each = _mm512_reduce_max_epu32(row);
            }
            // SAFETY: sixteen numbers.
            largest = unsafe { _mm512_loadu_si512(each.as_ptr().cast()) };
        }
        let exponent = _mm512_getexp_ps(_mm512_castsi512_ps(largest));
        let is_some = _mm512_test_epi32_mask(largest, largest);
        _mm512_maskz_sub_ps(is_some, _mm512_set1_ps(LARGEST_EXPONENT), exponent)
    }
}

/// The larger of the magnitudes so far and those of sixteen finite numbers, as bits; others do not count.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
fn larger(largest: __m512i, values: __m512) -> __m512i {
    let magnitude = _mm512_and_si512(_mm512_castps_si512(values), _mm512_set1_epi32(0x7fff_ffff));
    let is_finite = _mm512_cmplt_epu32_mask(magnitude, _mm512_set1_epi32(0x7f80_0000));
    _mm512_mask_max_epu32(largest, is_finite, largest, magnitude)
}

/// Sixteen f32, scaled and rounded to f16.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
fn narrow(values: __m512, exponents: __m512) -> __m256i {
    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    _mm512_cvtps_ph::<NEAREST>(_mm512_scalef_ps(values, exponents))
}

/// Sixteen f16, each twice.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
fn twice(halves: __m256i) -> __m512i {
    let wide = _mm512_cvtepu16_epi32(halves);
    _mm512_or_si512(wide, _mm512_slli_epi32::<16>(wide))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn rows<E: Element>(source: &Source<E>, to: &mut [Line]) {
    assert!(source.n <= ROWS && to.len() > source.k, "a group has room for its rows");
    let to = to.as_mut_ptr();
    // SAFETY: line 0 takes the exponents, line k + 1 step k.
    unsafe {
        let exponents = source.exponents(0);
        _mm512_store_ps(to.cast(), exponents);
        if source.outer_stride == 1 {
            for k in 0..source.k {
                _mm512_store_si512(to.add(1 + k).cast(), twice(narrow(source.across(0, k), exponents)));
            }
            return;
        }
        let each = *to.cast::<[f32; 16]>();
        for k in (0..source.k).step_by(16) {
            let mut block = [_mm512_setzero_si512(); 16];
            for row in 0..ROWS {
                block[row] = twice(narrow(source.along_k(row, k), _mm512_set1_ps(each[row])));
            }
            let block = transpose(block);
            for step in 0..16.min(source.k - k) {
                _mm512_store_si512(to.add(1 + k + step).cast(), block[step]);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn columns<E: Element>(source: &Source<E>, to: &mut [Line]) {
    const VECTORS: usize = COLUMNS / 32;
    const HEAD: usize = 2 * VECTORS;
    assert!(source.n <= COLUMNS && to.len() >= HEAD + VECTORS * source.k, "a group has room for its columns");
    let to = to.as_mut_ptr();
    // SAFETY: lines 0 to 5 take the exponents, three lines from 6 + 3k on step k.
    unsafe {
        for vector in 0..HEAD {
            _mm512_store_ps(to.add(vector).cast(), source.exponents(16 * vector));
        }
        let each = *to.cast::<[f32; COLUMNS]>();
        for vector in 0..VECTORS {
            let to = to.add(HEAD + vector);
            let column = 32 * vector;
            if source.outer_stride == 1 {
                let low = _mm512_loadu_ps(each.as_ptr().add(column));
                let high = _mm512_loadu_ps(each.as_ptr().add(column + 16));
                for k in 0..source.k {
                    let low = _mm512_castsi256_si512(narrow(source.across(column, k), low));
                    let high = narrow(source.across(column + 16, k), high);
                    _mm512_store_si512(to.add(VECTORS * k).cast(), _mm512_inserti64x4::<1>(low, high));
                }
                continue;
            }
            for k in (0..source.k).step_by(16) {
                let mut block = [_mm512_setzero_si512(); 16];
                for pair in 0..16 {
                    let column = column + 2 * pair;
                    let low = narrow(source.along_k(column, k), _mm512_set1_ps(each[column]));
                    let high = narrow(source.along_k(column + 1, k), _mm512_set1_ps(each[column + 1]));
                    let high = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(high));
                    block[pair] = _mm512_or_si512(_mm512_cvtepu16_epi32(low), high);
                }
                let block = transpose(block);
                for step in 0..16.min(source.k - k) {
                    _mm512_store_si512(to.add(VECTORS * (k + step)).cast(), block[step]);
                }
            }
        }
    }
}

/// Rows as columns, of 32-bit elements.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    let mut pairs = rows;
    for i in 0..8 {
        pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    // fours[4i + j] holds, in each quarter q, element 4q + j of rows 4i to 4i + 3.
    let mut fours = pairs;
    for i in 0..4 {
        for half in 0..2 {
            let (low, high) = (pairs[4 * i + half], pairs[4 * i + 2 + half]);
            fours[4 * i + 2 * half] = _mm512_unpacklo_epi64(low, high);
            fours[4 * i + 2 * half + 1] = _mm512_unpackhi_epi64(low, high);
        }
    }
    let mut columns = rows;
    for j in 0..4 {
        let [a, b, c, d] = [fours[j], fours[4 + j], fours[8 + j], fours[12 + j]];
        let (ab_even, ab_odd) =
            (_mm512_shuffle_i32x4::<0b10_00_10_00>(a, b), _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b));
        let (cd_even, cd_odd) =
            (_mm512_shuffle_i32x4::<0b10_00_10_00>(c, d), _mm512_shuffle_i32x4::<0b11_01_11_01>(c, d));
        columns[j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(ab_even, cd_even);
        columns[8 + j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(ab_even, cd_even);
        columns[4 + j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(ab_odd, cd_odd);
        columns[12 + j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(ab_odd, cd_odd);
    }
    columns
}
