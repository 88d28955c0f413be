//! The body for types of 32: a block of each of eight rows of weights at once, side by side in registers.
//!
//! Eight outputs go on together, where one alone would wait for the last addition of its chain at every block. What lies in
//! the registers is what a panel holds, only that it is never written.

use std::arch::x86_64::*;

use super::products;
use crate::blocks::Format;
use crate::fetch;
use crate::lanes::bytes::{Bytes, Bytes32};
use crate::product::integer::Part;
use crate::product::integer::activations::{Activations, Address};
use crate::product::integer::pack::STEP;
use crate::product::integer::tiles::is_signed;
use crate::product::integer::x86::{four, n_added};

/// Rows of weights side by side.
const WIDTH: usize = Bytes32::ROWS;
/// Blocks for which weights are asked for at once: some cache lines of each row.
const BLOCKS_ASKED: usize = 4;

/// The body.
///
/// # Safety
/// As [`Body`](crate::product::integer::Body), where [`Way::body`](super::super::Way::body) gives it.
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::product::integer::straight) unsafe fn plain<F: Format>(
    x: &Activations<'_>,
    w: &[u8],
    part: &Part<'_>,
) {
    // SAFETY: the caller's promises.
    unsafe {
        match part.rows.len() {
            1 => over_columns::<F, 1>(x, w, part),
            2 => over_columns::<F, 2>(x, w, part),
            3 => over_columns::<F, 3>(x, w, part),
            _ => over_columns::<F, 4>(x, w, part),
        }
    }
}

#[inline(always)]
unsafe fn over_columns<F: Format, const R: usize>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    const { assert!(F::N_WEIGHTS == 32 && F::LINK == 32, "one link of the chain for each block") };
    let n_blocks = x.inner() / F::N_WEIGHTS;
    let row_bytes = n_blocks * F::N_BYTES;
    let at: [Address; R] = std::array::from_fn(|r| x.address(part.rows.start + r, x.skipped(0)));
    for first in part.columns.clone().step_by(WIDTH) {
        let columns = first..part.columns.end.min(first + WIDTH);
        // Rows of weights that there are not are the last one.
        let weights: [*const u8; WIDTH] = std::array::from_fn(|row| {
            let row = (first + row).min(columns.end - 1);
            w[row * row_bytes..][..row_bytes].as_ptr()
        });
        // SAFETY: the slices have so many blocks, each row of x as many; the rows and columns are of this part.
        unsafe {
            let sums = eight_columns::<F, R>(&at, &weights, n_blocks);
            for (r, sums) in sums.iter().enumerate() {
                let to = part.row(part.rows.start + r, columns.clone());
                to.copy_from_slice(&sums[..columns.len()]);
            }
        }
    }
}

/// The products of R rows of x and eight rows of so many blocks.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn eight_columns<F: Format, const R: usize>(
    x: &[Address; R],
    weights: &[*const u8; WIDTH],
    n_blocks: usize,
) -> [[f32; WIDTH]; R] {
    // SAFETY: the caller's promises.
    unsafe {
        let mut sums = [_mm256_setzero_ps(); R];
        for first in (0..n_blocks).step_by(BLOCKS_ASKED) {
            fetch_next_rows::<F>(weights, first, n_blocks);
            for block in first..n_blocks.min(first + BLOCKS_ASKED) {
                add_block::<F, R>(&mut sums, x, weights, block);
            }
        }
        let mut found = [[0.0; WIDTH]; R];
        for r in 0..R {
            _mm256_storeu_ps(found[r].as_mut_ptr(), sums[r]);
        }
        found
    }
}

/// Asks the second cache for some blocks of the eight rows behind these.
#[inline(always)]
fn fetch_next_rows<F: Format>(weights: &[*const u8; WIDTH], first: usize, n_blocks: usize) {
    let ahead = (WIDTH * n_blocks + first) * F::N_BYTES;
    for row in weights {
        for line in (0..BLOCKS_ASKED * F::N_BYTES).step_by(fetch::LINE) {
            fetch::second_cache(row.wrapping_add(ahead + line));
        }
    }
}

/// The chains of R x 8 outputs, one block of 32 further.
#[inline(always)]
unsafe fn add_block<F: Format, const R: usize>(
    sums: &mut [__m256; R],
    x: &[Address; R],
    weights: &[*const u8; WIDTH],
    block: usize,
) {
    // SAFETY: the caller's rows have this block, its machine the instructions.
    unsafe {
        // Eight rows come twice, as packing wants them.
        let mut rows = [weights[0]; 16];
        for row in 0..16 {
            rows[row] = weights[row % WIDTH].add(block * F::N_BYTES);
        }
        let dots = dots::<F, R>(x, &turned::<F>(&rows), block);
        let scales = scales::<F>(&rows);
        for r in 0..R {
            let factors = _mm256_mul_ps(scales, _mm256_set1_ps(*x[r].scales.add(block)));
            sums[r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[r]), factors, sums[r]);
        }
        if let Some(at) = F::MINIMUM_AT {
            let minima = halves(&rows, at);
            for r in 0..R {
                let total = _mm256_set1_ps(*x[r].totals.add(block));
                sums[r] = _mm256_fmadd_ps(minima, total, sums[r]);
            }
        }
    }
}

/// The values of a block of each row, the type's offset added: register k holds weights 4k to 4k + 3 of every row.
#[inline(always)]
unsafe fn turned<F: Format>(rows: &[*const u8; 16]) -> [__m256i; 8] {
    // A panel of one block, of which only eight rows are used: the compiler keeps those in registers.
    let mut panel = [[0u8; STEP]; 8];
    // SAFETY: the caller's rows and machine; eight steps are a block.
    unsafe {
        F::pack::<Bytes32>(rows, panel.as_mut_ptr().cast());
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
    block: usize,
) -> [__m256i; R] {
    // SAFETY: the caller's promises.
    unsafe {
        let mut totals = [_mm256_setzero_si256(); R];
        if F::OFFSET > 0 && !is_signed::<F>() {
            for r in 0..R {
                totals[r] = _mm256_set1_epi32(*x[r].starts.add(block));
            }
        }
        for first in (0..8).step_by(n_added::<F>()) {
            let mut sums = [_mm256_setzero_si256(); R];
            for step in first..first + n_added::<F>() {
                for r in 0..R {
                    let a = _mm256_set1_epi32(four(x[r].codes.add(32 * block + 4 * step)));
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
unsafe fn scales<F: Format>(rows: &[*const u8; 16]) -> __m256 {
    // SAFETY: the caller's rows and machine.
    unsafe {
        if let Some(at) = F::SCALE_AT {
            return halves(rows, at);
        }
        let mut scales = [0.0; WIDTH];
        for row in 0..WIDTH {
            scales[row] = F::link_scale(std::slice::from_raw_parts(rows[row], F::N_BYTES), 0);
        }
        _mm256_loadu_ps(scales.as_ptr())
    }
}

/// A half-precision number of a block of each row.
#[inline(always)]
unsafe fn halves(rows: &[*const u8; 16], at: usize) -> __m256 {
    let mut bits = [0u16; WIDTH];
    // SAFETY: two bytes of each of the caller's blocks; its machine has the instruction.
    unsafe {
        for row in 0..WIDTH {
            bits[row] = rows[row].add(at).cast::<u16>().read_unaligned();
        }
        _mm256_cvtph_ps(_mm_loadu_si128(bits.as_ptr().cast()))
    }
}
