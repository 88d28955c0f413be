//! Sums of products two rows by two columns, over eight of k at once: half the instructions of `fours`, for which a panel's
//! whole numbers are put in another order first.
//!
//! USMMLA is written as such: the standard library has no stable function for it.
//!
//! Source: Arm Architecture Reference Manual for A-profile (DDI 0487), USMMLA (vector).

use std::arch::aarch64::*;
use std::arch::asm;
use std::ops::Range;

use super::{Dots, Products, Weights, multiply};
use crate::blocks::Format;
use crate::lanes::Neon;
use crate::lanes::bytes::NeonBytes;
use crate::product::integer::WIDTH;
use crate::product::integer::activations::{Activations, Address, Lengths};
use crate::product::integer::pack::{LENGTH, Panel, STEP};
use crate::product::integer::tiles::{Panels, SumRows};

/// Products of matrices of two by eight.
pub(super) struct Matrices;

/// Rows of x in one tile.
const ROWS: usize = 4;

impl Panels for Matrices {
    type Bytes = NeonBytes;
    type Lanes = Neon;

    #[inline(always)]
    unsafe fn add_panel<F: Format>(
        x: &Activations<'_>,
        (rows, skipped): (&Range<usize>, Lengths),
        panel: &Panel,
        n_blocks: usize,
        sums: &mut SumRows,
    ) {
        let mut codes = [0; LENGTH * WIDTH];
        let length = n_blocks * F::N_WEIGHTS * WIDTH;
        by_eights(&panel.codes[..length], &mut codes[..length]);
        let mut done = 0;
        while done < rows.len() {
            let n_rows = ROWS.min(rows.len() - done);
            let at: [Address; ROWS] =
                std::array::from_fn(|i| x.address(rows.start + done + i.min(n_rows - 1), skipped));
            let to = sums[done..done + n_rows].as_mut_ptr().cast();
            // SAFETY: the caller's promises; there are so many rows of sums.
            done +=
                unsafe { multiply::<F, Self>(&at[..n_rows], Weights { panel, codes: &codes }, n_blocks, to) };
        }
    }
}

/// Puts eight whole numbers of every row side by side instead of four.
#[inline(always)]
fn by_eights(from: &[u8], to: &mut [u8]) {
    for (from, to) in from.chunks_exact(2 * STEP).zip(to.chunks_exact_mut(2 * STEP)) {
        for four in 0..8 {
            // SAFETY: both hold two steps of 32 times four bytes; NEON is part of every aarch64.
            unsafe {
                let from = from.as_ptr().add(16 * four);
                let (first, second) = (vld1q_u32(from.cast()), vld1q_u32(from.add(STEP).cast()));
                let to = to.as_mut_ptr().add(32 * four);
                vst1q_u32(to.cast(), vzip1q_u32(first, second));
                vst1q_u32(to.add(16).cast(), vzip2q_u32(first, second));
            }
        }
    }
}

impl Products for Matrices {
    #[inline(always)]
    unsafe fn group<F: Format, const R: usize, const C: usize>(
        x: &[Address; R],
        codes: &[u8; LENGTH * WIDTH],
        group: usize,
        column: usize,
    ) -> Dots<R, C> {
        // By two rows; the last of an odd number comes twice.
        let n_twos = R.div_ceil(2);
        let partner = |two: usize| (2 * two + 1).min(R - 1);
        // SAFETY: the caller's promises.
        unsafe {
            let mut sums = [[[vdupq_n_s32(0); 2]; C]; R];
            for two in 0..if F::OFFSET > 0 { n_twos } else { 0 } {
                let first = vdupq_n_s32(*x[2 * two].starts.add(group));
                let second = vdupq_n_s32(*x[partner(two)].starts.add(group));
                sums[two] = [[vzip1q_s32(first, second); 2]; C];
            }
            for sixteen in group * F::GROUP / 16..(group + 1) * F::GROUP / 16 {
                let mut rows = [[vdupq_n_s64(0); R]; 2];
                for two in 0..n_twos {
                    let first = vld1q_s64(x[2 * two].codes.add(16 * sixteen).cast());
                    let second = vld1q_s64(x[partner(two)].codes.add(16 * sixteen).cast());
                    rows[0][two] = vzip1q_s64(first, second);
                    rows[1][two] = vzip2q_s64(first, second);
                }
                let w = codes.as_ptr().add(4 * sixteen * STEP + 8 * column);
                add_eight(&mut sums, w, &rows[0], n_twos);
                add_eight(&mut sums, w.add(2 * STEP), &rows[1], n_twos);
            }
            let mut dots = [[vdupq_n_s32(0); C]; R];
            for r in 0..R {
                for c in 0..C {
                    let [low, high] = sums[r / 2][c];
                    dots[r][c] = if r % 2 == 0 { vuzp1q_s32(low, high) } else { vuzp2q_s32(low, high) };
                }
            }
            dots
        }
    }
}

/// Adds the products of eight weights of every column with eight activations of `n_twos` times two rows.
///
/// # Safety
/// The panel has these weights, the machine FEAT_I8MM.
#[inline(always)]
unsafe fn add_eight<const R: usize, const C: usize>(
    sums: &mut [[[int32x4_t; 2]; C]; R],
    w: *const u8,
    rows: &[int64x2_t; R],
    n_twos: usize,
) {
    for c in 0..C {
        for side in 0..2 {
            // SAFETY: the caller's promises.
            unsafe {
                let w = vld1q_u8(w.add(32 * c + 16 * side));
                for two in 0..n_twos {
                    sums[two][c][side] = add_matrix(sums[two][c][side], w, vreinterpretq_s8_s64(rows[two]));
                }
            }
        }
    }
}

/// Adds the products of two columns with two rows of x over eight of k: the first column's with both rows, then the
/// second's.
///
/// # Safety
/// The machine has FEAT_I8MM.
#[inline(always)]
unsafe fn add_matrix(mut sums: int32x4_t, w: uint8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: the caller's machine; three registers are read and one written.
    unsafe {
        asm!("usmmla {:v}.4s, {:v}.16b, {:v}.16b", inout(vreg) sums, in(vreg) w, in(vreg) x,
            options(pure, nomem, nostack, preserves_flags));
    }
    sums
}
