//! Reading an operand sixteen elements at a time, whatever its type and whichever way it lies, for the packing
//! of `fp16`, `amx` and `bf16`.
//!
//! Rounds nothing: 16-bit weights are widened exactly.

use std::arch::x86_64::*;
use std::marker::PhantomData;
use std::ops::Range;

use super::K_BLOCK;
use crate::product::operand::{Axis, Operand};

/// What an operand may hold, read sixteen at a time.
pub(super) trait Element: Copy {
    /// The elements of the mask as f32, zero elsewhere.
    ///
    /// # Safety
    /// AVX-512 F, BW and VL; the elements of the mask can be read.
    unsafe fn load(from: *const Self, mask: __mmask16) -> __m512;
}

#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Bf16(u16);

#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct F16(u16);

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
pub(super) struct Source<'a, E> {
    /// Its first element, and the strides from there: for asking ahead, which need not be exact.
    pub first: *const E,
    pub outer_stride: usize,
    pub inner_stride: usize,
    pub is_by_columns: bool,
    values: *const E,
    /// Where each outer element begins, or each k: of whichever do not stand side by side.
    places: [usize; K_BLOCK],
    of: PhantomData<&'a E>,
    /// Outer elements, at most a group's width.
    pub n: usize,
    pub k: usize,
}

/// The mask of the first `n` of sixteen lanes.
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1u32 << n.min(16)) - 1) as __mmask16
}

impl<'a, E: Element> Source<'a, E> {
    /// The elements of both ranges, which lie inside the operand, whose values begin at `values`; neither is longer than
    /// [`K_BLOCK`].
    pub fn new(values: *const E, operand: &'a Operand<'a>, outer: Range<usize>, inner: Range<usize>) -> Self {
        let Operand { outer_stride, inner_stride, .. } = *operand;
        let first = values.wrapping_add(operand.place(outer.start, inner.start));
        let is_by_columns = operand.is_by_columns();
        let mut places = [0; K_BLOCK];
        match is_by_columns {
            true => operand.places(Axis::Inner, inner.clone(), outer.start, &mut places),
            false => operand.places(Axis::Outer, outer.clone(), inner.start, &mut places),
        }
        let (n, k) = (outer.len(), inner.len());
        Self { first, outer_stride, inner_stride, is_by_columns, values, places, of: PhantomData, n, k }
    }

    #[inline(always)]
    fn address(&self, outer: usize, k: usize) -> *const E {
        let (place, beside) = if self.is_by_columns { (k, outer) } else { (outer, k) };
        self.values.wrapping_add(self.places[place]).wrapping_add(beside)
    }

    /// Sixteen k of one outer element, zero behind the end of either.
    #[inline(always)]
    pub unsafe fn along_k(&self, outer: usize, k: usize) -> __m512 {
        let mask = if outer < self.n { first(self.k.saturating_sub(k)) } else { 0 };
        // SAFETY: the elements of the mask lie inside the operand.
        unsafe { E::load(self.address(outer, k), mask) }
    }

    /// Sixteen outer elements at one k, zero behind their end.
    #[inline(always)]
    pub unsafe fn across(&self, outer: usize, k: usize) -> __m512 {
        let mask = if k < self.k { first(self.n.saturating_sub(outer)) } else { 0 };
        // SAFETY: as above.
        unsafe { E::load(self.address(outer, k), mask) }
    }
}

/// Rows as columns, of 32-bit elements.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
pub(in crate::product) fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
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
