//! The product on AVX512-FP16: chains of f16 multiply-adds, widened into f32 sums.
//!
//! Not the packing, which is `pack`. A multiply-add of f16 does twice what one of f32 does in the same time,
//! but its sums have only eleven bits; so a chain is [`CHAIN`] steps long and then goes into an f32 sum. Each
//! row of a and b within a block of k is scaled by a power of two to a largest element of 16 to 32, so that a
//! chain's sums stay below 32 · 32 · [`CHAIN`] = 16,384 and f16's end is at 65,504; what lies 2¹⁸ below the
//! largest element loses bits, what lies 2²⁹ below it vanishes.
//!
//! The error relative to Σ|a·b|: 2⁻¹¹ for each operand, at most [`CHAIN`] · 2⁻¹¹ for the chain, 18 · 2⁻¹¹ in
//! all, where the contract leaves 24 · 2⁻¹¹.
//!
//! Source: Intel SDM volume 2, VFMADD132PH, VSCALEFPS, VCVTPH2PS.

use std::arch::asm;
use std::arch::x86_64::*;

use super::pack::{COLUMNS, ROWS, pack_columns, pack_rows};
use super::{Half, Line, Side, Target};
use crate::product::Into;

/// Steps of k before a chain is widened. TODO measured
const CHAIN: usize = 16;
/// Rows of a tile: with three vectors of b they make 24 sums, and need eleven loads for 24 multiply-adds.
const TILE_ROWS: usize = 8;
/// f16 lanes of a register.
const LANES: usize = 32;
/// Registers across a group of b.
const VECTORS: usize = COLUMNS / LANES;
/// Lines of f32 sums across a group of b.
const SUM_LINES: usize = COLUMNS / 16;

/// The body for AVX512-FP16.
pub(super) const HALF: Half = Half {
    a: Side { width: ROWS, n_head: 1, n_per_k: 1, pack: pack_rows },
    b: Side { width: COLUMNS, n_head: SUM_LINES, n_per_k: VECTORS, pack: pack_columns },
    step: 1,
    multiply,
};

/// The f32 sums of a group, [`ROWS`] x [`COLUMNS`].
type Sums = [[Line; SUM_LINES]; ROWS];
/// What a tile's chains end with, as f16.
type Ends = [[Line; VECTORS]; TILE_ROWS];

/// Multiplies two groups; see [`super::Multiply`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn multiply(k: usize, a: &[Line], b: &[Line], target: &Target) {
    let (a_exponents, a) = a.split_at(1);
    let (b_exponents, b) = b.split_at(SUM_LINES);
    assert!(a.len() >= k && b.len() >= k * VECTORS, "both groups hold k");
    let mut sums: Sums = [[Line([0; 16]); SUM_LINES]; ROWS];
    let mut ends: Ends = [[Line([0; 16]); VECTORS]; TILE_ROWS];
    for start in (0..k).step_by(CHAIN) {
        let n_steps = CHAIN.min(k - start);
        // Both tiles of the group use these lines of b while they are in the first cache.
        for (tile, sums) in sums.chunks_exact_mut(TILE_ROWS).enumerate() {
            // SAFETY: the groups hold `n_steps` steps from `start` on, and the tile's rows are among sixteen.
            unsafe {
                let a = a.as_ptr().add(start).cast::<i32>().add(tile * TILE_ROWS);
                chain(n_steps, a, b.as_ptr().add(start * VECTORS), &mut ends);
            }
            // The sums take the ends as halves of a line, which the load unit cuts out for nothing; without
            // this, the compiler keeps them in registers and cuts them there, with the adders' time.
            // SAFETY: no instruction; it says only that memory may be read and written.
            unsafe { asm!("", options(nostack, preserves_flags)) };
            widen(&ends, sums);
        }
    }
    // SAFETY: the caller's promise about the target.
    unsafe { write(&sums, &a_exponents[0], b_exponents, target) };
}

/// `n_steps` steps of k for one tile.
///
/// # Safety
/// There are so many lines of sixteen rows at `a`, of which eight are used, and of [`VECTORS`] lines at `b`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn chain(n_steps: usize, a: *const i32, b: *const Line, ends: &mut Ends) {
    let mut chains = [[_mm512_setzero_ph(); VECTORS]; TILE_ROWS];
    for step in 0..n_steps {
        // SAFETY: the caller's promise.
        let columns: [__m512h; VECTORS] = std::array::from_fn(|vector| unsafe {
            _mm512_castsi512_ph(_mm512_load_si512(b.add(step * VECTORS + vector).cast()))
        });
        for row in 0..TILE_ROWS {
            // SAFETY: as above. Each element of a stands there twice, because the load unit can repeat 32
            // bits for nothing and 16 bits it cannot.
            let factor = unsafe { _mm512_castsi512_ph(_mm512_set1_epi32(*a.add(step * ROWS + row))) };
            for vector in 0..VECTORS {
                chains[row][vector] = _mm512_fmadd_ph(factor, columns[vector], chains[row][vector]);
            }
        }
    }
    for (ends, chains) in ends.iter_mut().zip(chains) {
        for (end, chain) in ends.iter_mut().zip(chains) {
            // SAFETY: a line is one register.
            unsafe { _mm512_store_si512((&raw mut *end).cast(), _mm512_castph_si512(chain)) };
        }
    }
}

/// Adds the ends of chains to f32 sums.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
fn widen(ends: &Ends, sums: &mut [[Line; SUM_LINES]]) {
    let halves = ends.as_flattened().as_ptr().cast::<__m256i>();
    for (index, sum) in sums.as_flattened_mut().iter_mut().enumerate() {
        // SAFETY: there are two halves of a line of ends for each two lines of sums.
        unsafe {
            let wide = _mm512_cvtph_ps(_mm256_load_si256(halves.add(index)));
            let sum = (&raw mut *sum).cast::<f32>();
            _mm512_store_ps(sum, _mm512_add_ps(_mm512_load_ps(sum), wide));
        }
    }
}

/// Takes the scales back and puts the sums into the target.
///
/// # Safety
/// The target may be written.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn write(sums: &Sums, a_exponents: &Line, b_exponents: &[Line], target: &Target) {
    for (row, (sums, a_exponent)) in sums.iter().zip(a_exponents.0).enumerate().take(target.n_rows) {
        let a_exponent = _mm512_set1_ps(-f32::from_bits(a_exponent));
        for (index, (sum, b_exponents)) in sums.iter().zip(b_exponents).enumerate() {
            let n_left = target.n_columns.saturating_sub(16 * index).min(16);
            let columns = ((1u32 << n_left) - 1) as __mmask16;
            // SAFETY: the row and the columns of the mask lie inside the target.
            unsafe {
                let to = target.first.add(row * target.stride).wrapping_add(16 * index);
                let b_exponents = _mm512_load_ps((&raw const *b_exponents).cast());
                let exponents = _mm512_sub_ps(a_exponent, b_exponents);
                let mut value = _mm512_scalef_ps(_mm512_load_ps((&raw const *sum).cast()), exponents);
                if target.into == Into::Add {
                    value = _mm512_add_ps(_mm512_maskz_loadu_ps(columns, to), value);
                }
                _mm512_mask_storeu_ps(to, columns, value);
            }
        }
    }
}
