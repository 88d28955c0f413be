//! Packing for `fp16`: rows of any operand, scaled by a power of two and rounded to f16, in the order in which
//! a tile reads them.
//!
//! Multiplies nothing. A group of a holds, for each k, its sixteen rows, each element twice; a group of b
//! holds, for each k, its 96 columns. Both begin with the exponents of the scales, as f32.
//!
//! The scale of a row makes its largest finite element at least 8 and less than 16; that of a row of zeros
//! is 1. Scaling is exact, and rounding is to nearest even.

use std::arch::x86_64::*;
use std::ops::Range;

use super::Line;
use super::source::{Bf16, Element, F16, Source, transpose};
use crate::fetch;
use crate::product::Weights;
use crate::product::operand::Operand;

/// Rows of a group of a.
pub(super) const ROWS: usize = 16;
/// Columns of a group of b: 288 and 768, the widths of small models, are multiples of it.
pub(super) const COLUMNS: usize = 96;

/// The exponent that a row's largest element is scaled to.
const LARGEST_EXPONENT: f32 = 3.0;

/// How many k ahead a column's elements are fetched, and how many rows ahead those of a row: the next group,
/// or what lies behind the operand, which is not read.
const FETCH_AHEAD: usize = 32;
const ROWS_AHEAD: usize = 4;

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

/// The exponents of the scales of sixteen outer elements whose k stand side by side.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn exponents_along_k<E: Element>(source: &Source<'_, E>, outer: usize) -> __m512 {
    let mut each = [0u32; 16];
    for (index, each) in each.iter_mut().enumerate() {
        let mut row = _mm512_setzero_si512();
        for k in (0..source.k).step_by(16) {
            let next = (outer + index + ROWS_AHEAD) * source.outer_stride + k;
            fetch::first_cache(source.first.wrapping_add(next));
            // SAFETY: the source's elements can be read.
            row = larger(row, unsafe { source.along_k(outer + index, k) });
        }
        *each = _mm512_reduce_max_epu32(row);
    }
    // SAFETY: sixteen numbers.
    exponents(unsafe { _mm512_loadu_si512(each.as_ptr().cast()) })
}

/// The exponents of the scales for the largest magnitudes, given as bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
fn exponents(largest: __m512i) -> __m512 {
    let exponent = _mm512_getexp_ps(_mm512_castsi512_ps(largest));
    let is_some = _mm512_test_epi32_mask(largest, largest);
    _mm512_maskz_sub_ps(is_some, _mm512_set1_ps(LARGEST_EXPONENT), exponent)
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
unsafe fn rows<E: Element>(source: &Source<'_, E>, to: &mut [Line]) {
    assert!(source.n <= ROWS && to.len() > source.k, "a group has room for its rows");
    // SAFETY: line 0 takes the exponents, line k + 1 step k.
    unsafe {
        match source.is_by_columns {
            true => rows_across(source, to.as_mut_ptr().cast()),
            false => rows_along_k(source, to.as_mut_ptr().cast()),
        }
    }
}

/// The lines hold the elements as they are until their exponents are known: where steps of k lie a power of two
/// apart, no cache would keep them until they are read again.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn rows_across<E: Element>(source: &Source<'_, E>, to: *mut __m512) {
    let mut largest = _mm512_setzero_si512();
    // SAFETY: the caller's promise about the lines.
    unsafe {
        for k in 0..source.k {
            fetch::first_cache(source.first.wrapping_add((k + FETCH_AHEAD) * source.inner_stride));
            let values = source.across(0, k);
            largest = larger(largest, values);
            to.add(1 + k).write(values);
        }
        let exponents = exponents(largest);
        to.write(exponents);
        for k in 0..source.k {
            let to = to.add(1 + k);
            to.cast::<__m512i>().write(twice(narrow(to.read(), exponents)));
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn rows_along_k<E: Element>(source: &Source<'_, E>, to: *mut __m512) {
    // SAFETY: the caller's promise about the lines.
    unsafe {
        to.write(exponents_along_k(source, 0));
        let each = *to.cast::<[f32; ROWS]>();
        for k in (0..source.k).step_by(16) {
            let mut block = [_mm512_setzero_si512(); ROWS];
            for row in 0..ROWS {
                block[row] = twice(narrow(source.along_k(row, k), _mm512_set1_ps(each[row])));
            }
            let block = transpose(block);
            for step in 0..16.min(source.k - k) {
                to.add(1 + k + step).cast::<__m512i>().write(block[step]);
            }
        }
    }
}

/// Vectors of f16 across a group of b, and of f32, which are as many as lines of exponents.
const VECTORS: usize = COLUMNS / 32;
const HEAD: usize = 2 * VECTORS;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn columns<E: Element>(source: &Source<'_, E>, to: &mut [Line]) {
    assert!(source.n <= COLUMNS && to.len() >= HEAD + VECTORS * source.k, "a group has room for its columns");
    // SAFETY: lines 0 to 5 take the exponents, three lines from 6 + 3k on step k.
    unsafe {
        match source.is_by_columns {
            true => columns_across(source, to.as_mut_ptr().cast()),
            false => columns_along_k(source, to.as_mut_ptr().cast()),
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn columns_across<E: Element>(source: &Source<'_, E>, to: *mut __m512) {
    let mut largest = [_mm512_setzero_si512(); HEAD];
    // SAFETY: the caller's promise about the lines.
    unsafe {
        for k in 0..source.k {
            for vector in 0..HEAD {
                fetch::first_cache(
                    source.first.wrapping_add((k + FETCH_AHEAD) * source.inner_stride + 16 * vector),
                );
                largest[vector] = larger(largest[vector], source.across(16 * vector, k));
            }
        }
        let exponents = largest.map(|largest| exponents(largest));
        to.cast::<[__m512; HEAD]>().write(exponents);
        for k in 0..source.k {
            for vector in 0..VECTORS {
                let low = narrow(source.across(32 * vector, k), exponents[2 * vector]);
                let high = narrow(source.across(32 * vector + 16, k), exponents[2 * vector + 1]);
                let both = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
                to.add(HEAD + VECTORS * k + vector).cast::<__m512i>().write(both);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn columns_along_k<E: Element>(source: &Source<'_, E>, to: *mut __m512) {
    // SAFETY: the caller's promise about the lines.
    unsafe {
        for vector in 0..HEAD {
            to.add(vector).write(exponents_along_k(source, 16 * vector));
        }
        let each = *to.cast::<[f32; COLUMNS]>();
        for (vector, k) in (0..VECTORS).flat_map(|vector| (0..source.k).step_by(16).map(move |k| (vector, k)))
        {
            let mut block = [_mm512_setzero_si512(); 16];
            for pair in 0..16 {
                let column = 32 * vector + 2 * pair;
                let low = narrow(source.along_k(column, k), _mm512_set1_ps(each[column]));
                let high = narrow(source.along_k(column + 1, k), _mm512_set1_ps(each[column + 1]));
                let high = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(high));
                block[pair] = _mm512_or_si512(_mm512_cvtepu16_epi32(low), high);
            }
            let block = transpose(block);
            for step in 0..16.min(source.k - k) {
                to.add(HEAD + VECTORS * (k + step) + vector).cast::<__m512i>().write(block[step]);
            }
        }
    }
}
