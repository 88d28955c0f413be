//! The body for types of 256 whose groups of 32 have a scale and a minimum: a block of each of eight rows of weights at once.
//!
//! Two groups share their bytes and are turned together, in registers; the products of a group are added up in 16 bits, as
//! far as they fit, before they are multiplied with its scale.

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::products;
use super::side_by_side::{SideBySide, WIDTH, halves};
use crate::fetch;
use crate::lanes::bytes::Bytes32;
use crate::product::integer::WIDTH as PANEL_WIDTH;
use crate::product::integer::activations::Address;
use crate::product::integer::straight::Turned;
use crate::product::integer::x86::{four, n_added};

/// Groups of a block.
const N_GROUPS: usize = 8;
/// How far behind the beginning of the next eight rows weights are asked for, in bytes.
const LEAD: usize = 4096;

/// Types of 256 whose groups are turned two by two.
pub(in crate::product::integer::straight) struct Blocks<F>(PhantomData<F>);

impl<F: Turned> SideBySide for Blocks<F> {
    type Format = F;

    /// As many bytes as eight blocks are, as they lie one behind the other: row by row, as types of 32 have it, one row of
    /// Q4_K was measured to be an eighth slower. What the last of the next rows needs would come too late without a lead.
    #[inline(always)]
    fn fetch_ahead(weights: &[*const u8; WIDTH], index: usize, n_blocks: usize) {
        let ahead = WIDTH * (n_blocks + index) * F::N_BYTES + LEAD;
        for line in (0..WIDTH * F::N_BYTES).step_by(fetch::LINE) {
            fetch::second_cache(weights[0].wrapping_add(ahead + line));
        }
    }

    #[inline(always)]
    unsafe fn add_block<const R: usize>(
        sums: &mut [__m256; R],
        x: &[Address; R],
        blocks: &[*const u8; 16],
        index: usize,
    ) {
        const { assert!(F::N_WEIGHTS == 256 && F::GROUP == 32 && F::OFFSET == 0 && F::HAS_MINIMA) };
        let (Some(scale), Some(minimum)) = (F::SCALE_AT, F::MINIMUM_AT) else {
            unreachable!("types with minima have both");
        };
        // As in a panel, of which only eight rows are used.
        let mut scales = [0i32; N_GROUPS * PANEL_WIDTH];
        let mut minima = [0i32; N_GROUPS / 2 * PANEL_WIDTH];
        // SAFETY: the caller's promises; there is room for every group.
        unsafe {
            F::pack_groups::<Bytes32>(blocks, (scales.as_mut_ptr(), minima.as_mut_ptr()));
            let mut dots = [_mm256_setzero_si256(); R];
            add_two_groups::<F, R, 0>(&mut dots, x, (blocks, index), &scales);
            add_two_groups::<F, R, 1>(&mut dots, x, (blocks, index), &scales);
            add_two_groups::<F, R, 2>(&mut dots, x, (blocks, index), &scales);
            add_two_groups::<F, R, 3>(&mut dots, x, (blocks, index), &scales);
            let (scale, minimum) = (halves(blocks, scale), halves(blocks, minimum));
            for r in 0..R {
                let step = _mm256_set1_ps(*x[r].scales.add(index));
                let dot = _mm256_cvtepi32_ps(dots[r]);
                let sum = _mm256_fmadd_ps(dot, _mm256_mul_ps(scale, step), sums[r]);
                let dot = _mm256_cvtepi32_ps(dot_of_minima(&x[r], &minima, index));
                sums[r] = _mm256_fnmadd_ps(dot, _mm256_mul_ps(minimum, step), sum);
            }
        }
    }
}

/// Adds the products of groups `2 · TWO` and `2 · TWO + 1` of a block of each row, times their scales.
#[inline(always)]
unsafe fn add_two_groups<F: Turned, const R: usize, const TWO: usize>(
    dots: &mut [__m256i; R],
    x: &[Address; R],
    (blocks, index): (&[*const u8; 16], usize),
    scales: &[i32; N_GROUPS * PANEL_WIDTH],
) {
    // SAFETY: the caller's promises; there are scales of eight groups.
    unsafe {
        let codes = F::two_groups::<TWO>(blocks);
        for which in 0..2 {
            let group = 2 * TWO + which;
            let scale = _mm256_loadu_si256(scales.as_ptr().add(group * PANEL_WIDTH).cast());
            // That of each of the two 16 bits that are added up; none is negative.
            let scale = _mm256_or_si256(scale, _mm256_slli_epi32::<16>(scale));
            for first in (0..8).step_by(n_added::<F>()) {
                let mut sums = [_mm256_setzero_si256(); R];
                for step in first..first + n_added::<F>() {
                    for r in 0..R {
                        let a = four(x[r].codes.add(256 * index + 32 * group + 4 * step));
                        let products = products::<F>(codes[which][step].0, _mm256_set1_epi32(a));
                        sums[r] = _mm256_add_epi16(sums[r], products);
                    }
                }
                for r in 0..R {
                    dots[r] = _mm256_add_epi32(dots[r], _mm256_madd_epi16(sums[r], scale));
                }
            }
        }
    }
}

/// The minima of a block of each row times the sums of their groups.
#[inline(always)]
unsafe fn dot_of_minima(x: &Address, minima: &[i32; N_GROUPS / 2 * PANEL_WIDTH], index: usize) -> __m256i {
    // SAFETY: the caller's row has this block; there are minima of four pairs.
    unsafe {
        let mut dot = _mm256_setzero_si256();
        for pair in 0..N_GROUPS / 2 {
            let whole = _mm256_loadu_si256(minima.as_ptr().add(pair * PANEL_WIDTH).cast());
            let sums = _mm256_set1_epi32(*x.pairs.add(N_GROUPS / 2 * index + pair));
            dot = _mm256_add_epi32(dot, _mm256_madd_epi16(whole, sums));
        }
        dot
    }
}
