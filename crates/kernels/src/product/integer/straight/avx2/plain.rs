//! The body for types of 32: a block of each of eight rows of weights at once.

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::products;
use super::side_by_side::{SideBySide, WIDTH, halves};
use crate::blocks::Format;
use crate::fetch;
use crate::lanes::bytes::Bytes32;
use crate::product::integer::activations::Address;
use crate::product::integer::pack::STEP;
use crate::product::integer::tiles::is_signed;
use crate::product::integer::x86::{four, n_added};

/// Blocks for which weights are asked for at once: some cache lines of each row.
const BLOCKS_ASKED: usize = 4;

/// Types of 32.
pub(in crate::product::integer::straight) struct Blocks<F>(PhantomData<F>);

impl<F: Format> SideBySide for Blocks<F> {
    type Format = F;

    /// Some blocks of each row at once.
    #[inline(always)]
    fn fetch_ahead(weights: &[*const u8; WIDTH], index: usize, n_blocks: usize) {
        if !index.is_multiple_of(BLOCKS_ASKED) {
            return;
        }
        let ahead = (WIDTH * n_blocks + index) * F::N_BYTES;
        for row in weights {
            for line in (0..BLOCKS_ASKED * F::N_BYTES).step_by(fetch::LINE) {
                fetch::second_cache(row.wrapping_add(ahead + line));
            }
        }
    }

    #[inline(always)]
    unsafe fn add_block<const R: usize>(
        sums: &mut [__m256; R],
        x: &[Address; R],
        blocks: &[*const u8; 16],
        index: usize,
    ) {
        const { assert!(F::N_WEIGHTS == 32 && F::LINK == 32, "one link of the chain for each block") };
        // SAFETY: the caller's promises.
        unsafe {
            let dots = dots::<F, R>(x, &turned::<F>(blocks), index);
            let scales = scales::<F>(blocks);
            for r in 0..R {
                let factors = _mm256_mul_ps(scales, _mm256_set1_ps(*x[r].scales.add(index)));
                sums[r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[r]), factors, sums[r]);
            }
            if let Some(at) = F::MINIMUM_AT {
                let minima = halves(blocks, at);
                for r in 0..R {
                    let total = _mm256_set1_ps(*x[r].totals.add(index));
                    sums[r] = _mm256_fmadd_ps(minima, total, sums[r]);
                }
            }
        }
    }
}

/// The values of a block of each row, the type's offset added: register k holds weights 4k to 4k + 3 of every row.
#[inline(always)]
unsafe fn turned<F: Format>(blocks: &[*const u8; 16]) -> [__m256i; 8] {
    // A panel of one block, of which only eight rows are used: the compiler keeps those in registers.
    let mut panel = [[0u8; STEP]; 8];
    // SAFETY: the caller's blocks and machine; eight steps are a block.
    unsafe {
        F::pack::<Bytes32>(blocks, panel.as_mut_ptr().cast());
        let mut turned = [_mm256_setzero_si256(); 8];
        for step in 0..8 {
            turned[step] = _mm256_loadu_si256(panel[step].as_ptr().cast());
        }
        turned
    }
}

/// The sums of the products of a block of each row, and what they start from.
#[inline(always)]
unsafe fn dots<F: Format, const R: usize>(
    x: &[Address; R],
    codes: &[__m256i; 8],
    index: usize,
) -> [__m256i; R] {
    // SAFETY: the caller's promises.
    unsafe {
        let mut totals = [_mm256_setzero_si256(); R];
        if F::OFFSET > 0 && !is_signed::<F>() {
            for r in 0..R {
                totals[r] = _mm256_set1_epi32(*x[r].starts.add(index));
            }
        }
        for first in (0..8).step_by(n_added::<F>()) {
            let mut sums = [_mm256_setzero_si256(); R];
            for step in first..first + n_added::<F>() {
                for r in 0..R {
                    let a = _mm256_set1_epi32(four(x[r].codes.add(32 * index + 4 * step)));
                    sums[r] = _mm256_add_epi16(sums[r], products::<F>(codes[step], a));
                }
            }
            for r in 0..R {
                let sum = _mm256_madd_epi16(sums[r], _mm256_set1_epi16(1));
                totals[r] = _mm256_add_epi32(totals[r], sum);
            }
        }
        totals
    }
}

/// The scale of a block of each row.
#[inline(always)]
unsafe fn scales<F: Format>(blocks: &[*const u8; 16]) -> __m256 {
    // SAFETY: the caller's blocks and machine.
    unsafe {
        if let Some(at) = F::SCALE_AT {
            return halves(blocks, at);
        }
        let mut scales = [0.0; WIDTH];
        for row in 0..WIDTH {
            scales[row] = F::link_scale(std::slice::from_raw_parts(blocks[row], F::N_BYTES), 0);
        }
        _mm256_loadu_ps(scales.as_ptr())
    }
}
