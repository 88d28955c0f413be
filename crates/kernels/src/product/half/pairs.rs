//! Packing for `amx` and `bf16`: rows of any operand rounded to bf16, in pairs of neighbouring k, in the order in which
//! tiles of AMX read them.
//!
//! Multiplies nothing. Numbers below 2⁻¹²⁶ become zero, which the products take them for anyway. A step is 32 k of a group of
//! 32 rows, in 32 lines. Of a each line holds sixteen pairs of one row; of b one pair of sixteen columns, first those of the
//! first sixteen columns.

use std::arch::x86_64::*;
use std::ops::Range;

use super::Line;
use super::source::{Bf16, Element, F16, Source, transpose};
use crate::amx::TILE;
use crate::product::Weights;
use crate::product::operand::Operand;

/// Rows of a group of a and columns of a group of b: two tiles each.
pub(super) const WIDTH: usize = 32;
/// Elements of k in a tile: sixteen pairs.
pub(super) const STEP: usize = 32;
/// The first of sixteen numbers, then the first of sixteen more, and so on.
static BY_TURNS: [u16; 32] = {
    let mut places = [0; 32];
    let mut index = 0;
    while index < 32 {
        places[index] = index as u16 / 2 + index as u16 % 2 * 16;
        index += 1;
    }
    places
};

/// Packs a group of a; see [`super::Pack`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,f16c")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,f16c")]
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

/// A line of a holds 32 k of one row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,f16c")]
unsafe fn rows<E: Element>(source: &Source<'_, E>, to: &mut [Line]) {
    assert!(source.n <= WIDTH && to.len() >= source.k.next_multiple_of(STEP), "a group has room");
    for (index, to) in to.chunks_exact_mut(TILE).enumerate().take(2 * source.k.div_ceil(STEP)) {
        let (k, row) = (index / 2 * STEP, index % 2 * TILE);
        // SAFETY: the source's elements can be read.
        let block = std::array::from_fn(|index| unsafe {
            match source.is_by_columns {
                true => across(source, row, k + 2 * index),
                false => along_k(source, row + index, k),
            }
        });
        store(if source.is_by_columns { transpose(block) } else { block }, to);
    }
}

/// A line of b holds one pair of k of sixteen columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,f16c")]
unsafe fn columns<E: Element>(source: &Source<'_, E>, to: &mut [Line]) {
    assert!(source.n <= WIDTH && to.len() >= source.k.next_multiple_of(STEP), "a group has room");
    for (index, to) in to.chunks_exact_mut(TILE).enumerate().take(2 * source.k.div_ceil(STEP)) {
        let (k, column) = (index / 2 * STEP, index % 2 * TILE);
        // SAFETY: as above.
        let block = std::array::from_fn(|index| unsafe {
            match source.is_by_columns {
                true => across(source, column, k + 2 * index),
                false => along_k(source, column + index, k),
            }
        });
        store(if source.is_by_columns { block } else { transpose(block) }, to);
    }
}

/// Sixteen pairs of k of one outer element.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,f16c")]
unsafe fn along_k<E: Element>(source: &Source<'_, E>, outer: usize, k: usize) -> __m512i {
    // SAFETY: the caller's promise.
    let halves = unsafe { [source.along_k(outer, k), source.along_k(outer, k + 16)] };
    let [low, high] = halves;
    // SAFETY: 32 numbers of 16 bits either way.
    unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(high, low)) }
}

/// One pair of k of sixteen outer elements.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,f16c")]
unsafe fn across<E: Element>(source: &Source<'_, E>, outer: usize, k: usize) -> __m512i {
    // SAFETY: the caller's promise.
    let (even, odd) = unsafe { (source.across(outer, k), source.across(outer, k + 1)) };
    // SAFETY: as above.
    let beside: __m512i = unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(odd, even)) };
    // SAFETY: 32 numbers of 16 bits.
    _mm512_permutexvar_epi16(unsafe { _mm512_loadu_si512(BY_TURNS.as_ptr().cast()) }, beside)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,f16c")]
fn store(block: [__m512i; TILE], to: &mut [Line]) {
    for (to, line) in to.iter_mut().zip(block) {
        // SAFETY: a line is one register.
        unsafe { _mm512_store_si512((&raw mut *to).cast(), line) };
    }
}
