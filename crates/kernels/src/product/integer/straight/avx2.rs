//! The bodies for AVX2: here the one for types of 256, one row of weights after the other; over eight rows side by side in
//! `turned` the one for such of them as are faster so, in `plain` the one for types of 32.
//!
//! Two products are added up in 16 bits, which no type fills: values of all eight bits give their sign to the activation.

pub(super) mod plain;
mod side_by_side;
pub(super) mod turned;

use std::arch::x86_64::*;
use std::marker::PhantomData;

pub(super) use side_by_side::body as side_by_side;

use super::{Grouped, Rows, by_count, fetch_ahead, floats, half, sum_of_fours};
use crate::blocks::Format;
use crate::product::integer::Part;
use crate::product::integer::activations::{Activations, Address};
use crate::product::integer::tiles::is_signed;

/// The body for a type of 256, one row of weights after the other.
///
/// # Safety
/// As [`Body`](super::Body), where [`Way::body`](super::Way::body) gives it.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn grouped<F: Grouped>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: the caller's promises.
    unsafe { by_count::<GroupedRows<F>>(x, w, part) }
}

struct GroupedRows<F>(PhantomData<F>);

impl<F: Grouped> Rows for GroupedRows<F> {
    type Format = F;

    #[inline(always)]
    unsafe fn row<const R: usize>(x: &[Address; R], blocks: *const u8, n_blocks: usize) -> [f32; R] {
        // SAFETY: the caller's promises.
        unsafe { grouped_row::<F, R>(x, blocks, n_blocks) }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn grouped_row<F: Grouped, const R: usize>(
    x: &[Address; R],
    blocks: *const u8,
    n_blocks: usize,
) -> [f32; R] {
    let (mut sums, mut block) = ([0.0; R], 0);
    // SAFETY: the caller's promises.
    unsafe {
        while block + 4 <= n_blocks {
            add_blocks::<F, R, 4>(&mut sums, x, blocks, block);
            block += 4;
        }
        while block < n_blocks {
            add_blocks::<F, R, 1>(&mut sums, x, blocks, block);
            block += 1;
        }
    }
    sums
}

/// The chains of R outputs, N blocks of 256 further, at most four.
#[inline(always)]
unsafe fn add_blocks<F: Grouped, const R: usize, const N: usize>(
    sums: &mut [f32; R],
    x: &[Address; R],
    blocks: *const u8,
    first: usize,
) {
    // SAFETY: the caller's rows have these blocks, its machine the instructions.
    unsafe {
        fetch_ahead(blocks.add(first * F::N_BYTES), N * F::N_BYTES);
        let mut dots = [[_mm_setzero_si128(); 4]; R];
        let mut minima = [[_mm_setzero_si128(); 4]; R];
        let (mut scale, mut minimum) = ([0.0; N], [0.0; N]);
        for n in 0..N {
            let block = blocks.add((first + n) * F::N_BYTES);
            let totals = block_totals::<F, R>(x, block, first + n);
            for r in 0..R {
                let upper = _mm256_extracti128_si256::<1>(totals[r]);
                dots[r][n] = _mm_add_epi32(_mm256_castsi256_si128(totals[r]), upper);
                if F::HAS_MINIMA {
                    minima[r][n] = minima_of_block::<F>(&x[r], block, first + n);
                }
            }
            scale[n] = half(block, F::SCALE_AT);
            minimum[n] = half(block, F::MINIMUM_AT);
        }
        for r in 0..R {
            let (dots, minima) = (floats(sum_of_fours(dots[r])), floats(sum_of_fours(minima[r])));
            for n in 0..N {
                let step = *x[r].scales.add(first + n);
                sums[r] = dots[n].mul_add(scale[n] * step, sums[r]);
                if F::HAS_MINIMA {
                    sums[r] = (-minima[n]).mul_add(minimum[n] * step, sums[r]);
                }
            }
        }
    }
}

/// The sums of the products of one block times the scales of their groups, in eight lanes that are still to be added up.
#[inline(always)]
unsafe fn block_totals<F: Grouped, const R: usize>(
    x: &[Address; R],
    block: *const u8,
    index: usize,
) -> [__m256i; R] {
    const { assert!(is_signed::<F>() || F::GREATEST < 129, "sums of two products fit 16 bits") };
    const { assert!(is_signed::<F>() || F::OFFSET == 0 || F::GROUP == 16, "starts of sixteen groups") };
    // SAFETY: the caller's promises.
    unsafe {
        let codes = F::codes_by_32(block);
        let scales = F::scales_of_sixteens(block);
        let halves = [
            _mm256_permute2x128_si256::<0x00>(scales, scales),
            _mm256_permute2x128_si256::<0x11>(scales, scales),
        ];
        let mut totals = [_mm256_setzero_si256(); R];
        for part in 0..8 {
            let places = _mm256_loadu_si256(TWO_SCALES[part % 4].as_ptr().cast());
            let scale = _mm256_shuffle_epi8(halves[part / 4], places);
            for r in 0..R {
                let a = _mm256_loadu_si256(x[r].codes.add(256 * index + 32 * part).cast());
                let products = products::<F>(codes[part], a);
                totals[r] = _mm256_add_epi32(totals[r], _mm256_madd_epi16(products, scale));
            }
        }
        if F::OFFSET > 0 && !is_signed::<F>() {
            let upper = _mm256_extracti128_si256::<1>(scales);
            let scales =
                [_mm256_cvtepi16_epi32(_mm256_castsi256_si128(scales)), _mm256_cvtepi16_epi32(upper)];
            for r in 0..R {
                for eight in 0..2 {
                    let starts = _mm256_loadu_si256(x[r].starts.add(16 * index + 8 * eight).cast());
                    totals[r] = _mm256_add_epi32(totals[r], _mm256_mullo_epi32(starts, scales[eight]));
                }
            }
        }
        totals
    }
}

/// The minima of one block times the sums of their groups, in four lanes that are still to be added up.
#[inline(always)]
unsafe fn minima_of_block<F: Grouped>(x: &Address, block: *const u8, index: usize) -> __m128i {
    // SAFETY: the caller's promises; a block has half as many pairs as groups.
    unsafe {
        if F::GROUP == 32 {
            let pairs = _mm_loadu_si128(x.pairs.add(4 * index).cast());
            return _mm_madd_epi16(F::minima(block), pairs);
        }
        let pairs = _mm256_loadu_si256(x.pairs.add(8 * index).cast());
        let products = _mm256_madd_epi16(F::minima_of_sixteen(block), pairs);
        _mm_add_epi32(_mm256_castsi256_si128(products), _mm256_extracti128_si256::<1>(products))
    }
}

/// Which two bytes of eight scales go to each 16 bits: scale 2i to those of the lower half, 2i + 1 to those of the upper.
static TWO_SCALES: [[u8; 32]; 4] = {
    let mut places = [[0; 32]; 4];
    let mut at = 0;
    while at < 128 {
        let (part, byte) = (at / 32, at % 32);
        places[part][byte] = (2 * (2 * part + byte / 16) + byte % 2) as u8;
        at += 1;
    }
    places
};

/// The sums of two products in 16 bits each.
#[inline(always)]
unsafe fn products<F: Format>(codes: __m256i, a: __m256i) -> __m256i {
    // SAFETY: the caller's machine.
    unsafe {
        if is_signed::<F>() {
            let signed = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
            _mm256_maddubs_epi16(_mm256_abs_epi8(signed), _mm256_sign_epi8(a, signed))
        } else {
            _mm256_maddubs_epi16(codes, a)
        }
    }
}
