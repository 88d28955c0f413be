//! The product on AVX512-BF16: vectors of pairs of bf16, multiplied and added to f32 sums.
//!
//! Not the packing, which is `pairs`. Where a processor has nothing else for sixteen bits, as those of AMD since Zen 4, an
//! instruction multiplies twice as many pairs as one of f32 multiplies numbers, in the same time. (Intel's take twice as long
//! for it, but have AVX512-FP16 or AMX besides.)
//!
//! Each output is one chain over the pairs of k: the product of the odd elements is added to the sum, then that of the even
//! ones. Numbers below 2⁻¹²⁶ count as zero. The error is that of `amx`.
//!
//! Source: Intel SDM volume 2, VDPBF16PS.

use std::arch::x86_64::*;

use super::pairs::{STEP, WIDTH, pack_columns, pack_rows};
use super::{Half, Line, Side, Target};
use crate::amx::TILE;
use crate::product::Into;

/// Rows of a tile: with two vectors of b they make sixteen sums, more than the six that hide how long an instruction takes.
const TILE_ROWS: usize = 8;
/// Registers across a group of b.
const VECTORS: usize = WIDTH / TILE;
/// Pairs of k in a step.
const PAIRS: usize = STEP / 2;

/// The body for AVX512-BF16.
pub(super) const HALF: Half = Half {
    a: Side { width: WIDTH, n_head: 0, n_per_k: 1, pack: pack_rows },
    b: Side { width: WIDTH, n_head: 0, n_per_k: 1, pack: pack_columns },
    step: STEP,
    multiply,
};

/// The sums of a tile, in registers.
type Tile = [[__m512; VECTORS]; TILE_ROWS];

/// Multiplies two groups; see [`super::Multiply`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,f16c")]
unsafe fn multiply(k: usize, a: &[Line], b: &[Line], target: &Target) {
    let n_lines = k.next_multiple_of(STEP);
    assert!(k > 0 && a.len() >= n_lines && b.len() >= n_lines, "both groups hold k, one at least");
    target.fetch();
    for row in (0..target.n_rows.min(WIDTH)).step_by(TILE_ROWS) {
        // SAFETY: both groups hold so many steps; the tile's rows are among those of the group of a, and those that are
        // written among the target's.
        unsafe {
            let sums = tile(n_lines / STEP, a.as_ptr().cast::<i32>().add(row * PAIRS), b.as_ptr());
            write(&sums, row, target);
        }
    }
}

/// The sums of a tile over `n_steps` steps.
///
/// # Safety
/// Each step has [`WIDTH`] lines behind the one before, at `a` from the tile's first row on, and at `b`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,f16c")]
unsafe fn tile(n_steps: usize, a: *const i32, b: *const Line) -> Tile {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; TILE_ROWS];
    for step in 0..n_steps {
        for pair in 0..PAIRS {
            // SAFETY: the caller's promise; a line is one register.
            let columns: [__m512bh; VECTORS] = std::array::from_fn(|vector| unsafe {
                b.add(step * WIDTH + vector * TILE + pair).cast::<__m512bh>().read()
            });
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                let factor = unsafe { *a.add((step * WIDTH + row) * PAIRS + pair) };
                // SAFETY: sixteen pairs of bf16 in both.
                let factor: __m512bh = unsafe { std::mem::transmute(_mm512_set1_epi32(factor)) };
                for (sum, columns) in sums.iter_mut().zip(columns) {
                    *sum = _mm512_dpbf16_ps(*sum, factor, columns);
                }
            }
        }
    }
    sums
}

/// Puts a tile's sums into the target, from row `first` on.
///
/// # Safety
/// The target may be written.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,f16c")]
unsafe fn write(tile: &Tile, first: usize, target: &Target) {
    for (row, sums) in (first..target.n_rows).zip(tile) {
        for (vector, sum) in sums.iter().enumerate() {
            let n_left = target.n_columns.saturating_sub(TILE * vector).min(TILE);
            let columns = ((1u32 << n_left) - 1) as __mmask16;
            // SAFETY: the row and the columns of the mask lie inside the target.
            unsafe {
                let to = target.first.add(row * target.stride).wrapping_add(TILE * vector);
                let value = match target.into {
                    Into::Replace => *sum,
                    Into::Add => _mm512_add_ps(_mm512_maskz_loadu_ps(columns, to), *sum),
                };
                _mm512_mask_storeu_ps(to, columns, value);
            }
        }
    }
}
