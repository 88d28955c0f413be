//! The bodies for AVX2.
//!
//! Two products are added up in 16 bits, which no type fills: values of all eight bits give their sign to the activation.

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::{Grouped, Plain, Rows, by_count, fetch_ahead, floats, half, sum_of_fours};
use crate::product::integer::Part;
use crate::product::integer::activations::{Activations, Address};
use crate::product::integer::tiles::is_signed;

/// Blocks of 32 at once.
pub(super) const AT_ONCE: usize = 8;

/// The body for a type of 256.
///
/// # Safety
/// As [`Body`](super::Body), where [`Way::body`](super::Way::body) gives it.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn grouped<F: Grouped>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: the caller's promises.
    unsafe { by_count::<GroupedRows<F>>(x, w, part) }
}

/// The body for a type of 32.
///
/// # Safety
/// As [`grouped`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn plain<F: Plain>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: the caller's promises.
    unsafe { by_count::<PlainRows<F>>(x, w, part) }
}

struct GroupedRows<F>(PhantomData<F>);
struct PlainRows<F>(PhantomData<F>);

impl<F: Grouped> Rows for GroupedRows<F> {
    type Format = F;

    #[inline(always)]
    unsafe fn row<const R: usize>(x: &[Address; R], blocks: *const u8, n_blocks: usize) -> [f32; R] {
        // SAFETY: the caller's promises.
        unsafe { grouped_row::<F, R>(x, blocks, n_blocks) }
    }
}

impl<F: Plain> Rows for PlainRows<F> {
    type Format = F;

    #[inline(always)]
    unsafe fn row<const R: usize>(x: &[Address; R], blocks: *const u8, n_blocks: usize) -> [f32; R] {
        // SAFETY: the caller's promises.
        unsafe { plain_row::<F, R>(x, blocks, n_blocks) }
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
                    let pairs = _mm_loadu_si128(x[r].pairs.add(4 * (first + n)).cast());
                    minima[r][n] = _mm_madd_epi16(F::minima(block), pairs);
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
    const { assert!(F::GREATEST < 129, "sums of two products fit 16 bits") };
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
                let products = _mm256_maddubs_epi16(codes[part], a);
                totals[r] = _mm256_add_epi32(totals[r], _mm256_madd_epi16(products, scale));
            }
        }
        if F::OFFSET > 0 {
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

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn plain_row<F: Plain, const R: usize>(
    x: &[Address; R],
    blocks: *const u8,
    n_blocks: usize,
) -> [f32; R] {
    const { assert!(is_signed::<F>() || F::GREATEST < 129, "sums of two products fit 16 bits") };
    let mut sums = [0.0; R];
    for first in (0..n_blocks).step_by(AT_ONCE) {
        // SAFETY: the caller's promises; rows are whole eights of blocks.
        unsafe {
            let blocks = blocks.add(first * F::N_BYTES);
            fetch_ahead(blocks, AT_ONCE * F::N_BYTES);
            let mut dots = [[_mm256_setzero_si256(); AT_ONCE]; R];
            for index in 0..AT_ONCE {
                let codes = F::codes_of_one(blocks.add(index * F::N_BYTES));
                let signed = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
                for r in 0..R {
                    let a = _mm256_loadu_si256(x[r].codes.add(32 * (first + index)).cast());
                    let products = if is_signed::<F>() {
                        _mm256_maddubs_epi16(_mm256_abs_epi8(signed), _mm256_sign_epi8(a, signed))
                    } else {
                        _mm256_maddubs_epi16(codes, a)
                    };
                    dots[r][index] = _mm256_madd_epi16(products, _mm256_set1_epi16(1));
                }
            }
            let scales = halves::<F>(blocks);
            for r in 0..R {
                let mut dots = sums_of_eight(dots[r]);
                if F::OFFSET > 0 && !is_signed::<F>() {
                    dots = _mm256_add_epi32(dots, _mm256_loadu_si256(x[r].starts.add(first).cast()));
                }
                let steps = _mm256_loadu_ps(x[r].scales.add(first));
                let (mut terms, mut factors) = ([0.0f32; AT_ONCE], [0.0f32; AT_ONCE]);
                _mm256_storeu_ps(terms.as_mut_ptr(), _mm256_cvtepi32_ps(dots));
                _mm256_storeu_ps(factors.as_mut_ptr(), _mm256_mul_ps(scales, steps));
                for (term, factor) in terms.iter().zip(factors) {
                    sums[r] = term.mul_add(factor, sums[r]);
                }
            }
        }
    }
    sums
}

/// The scales of eight blocks of 32.
#[inline(always)]
unsafe fn halves<F: Plain>(blocks: *const u8) -> __m256 {
    let at = F::SCALE_AT.expect("types of 32 have one scale");
    let mut bits = [0u16; AT_ONCE];
    // SAFETY: two bytes of each of the caller's blocks; its machine has the instruction.
    unsafe {
        for (index, bits) in bits.iter_mut().enumerate() {
            *bits = blocks.add(index * F::N_BYTES + at).cast::<u16>().read_unaligned();
        }
        _mm256_cvtph_ps(_mm_loadu_si128(bits.as_ptr().cast()))
    }
}

/// The sum of the eight numbers of each register, in their order.
#[inline(always)]
unsafe fn sums_of_eight(dots: [__m256i; AT_ONCE]) -> __m256i {
    // SAFETY: the caller's machine.
    unsafe {
        let [low, high] = [0, 4].map(|first| {
            let two = |at: usize| _mm256_hadd_epi32(dots[first + at], dots[first + at + 1]);
            _mm256_hadd_epi32(two(0), two(2))
        });
        let (lower, upper) =
            (_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high));
        _mm256_add_epi32(lower, upper)
    }
}
