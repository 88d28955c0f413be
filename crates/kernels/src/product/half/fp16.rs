//! The product on AVX512-FP16: chains of f16 multiply-adds, widened into f32 sums.
//!
//! Not the packing, which is `pack`. A multiply-add of f16 does twice what one of f32 does in the same time,
//! but its sums have only eleven bits. So [`CHAINS`] chains of [`CHAIN`] steps are added up in f16 and then
//! go into an f32 sum. Each row of a and b within a block of k is scaled by a power of two to a largest element
//! of 8 to 16, so that the f16 sums stay below 16 · 16 · 64 = 16,384, where f16 ends at 65,504; what lies 2¹⁷
//! below the largest element loses bits, what lies 2²⁸ below it vanishes. f16 knows no slow denormals.
//!
//! The error relative to Σ|a·b|: 2⁻¹¹ for each operand and 2⁻¹¹ for each of the at most 16 + 3 roundings on a
//! term's way, 21 · 2⁻¹¹ in all, where the contract leaves 24 · 2⁻¹¹. Measured over 288 and 2048 uniform
//! numbers around zero: 7.3e-4 of the result (root mean square), where operands rounded to bf16 and summed
//! exactly give 2.1e-3.
//!
//! Source: Intel SDM volume 2, VFMADD132PH, VSCALEFPS, VCVTPH2PS.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::pack::{COLUMNS, ROWS, pack_columns, pack_rows};
use super::{Half, Line, Side, Target};
use crate::product::Into;
use crate::product::tile::Start;

/// Steps of k of a chain, and chains whose ends are added before they are widened. Widening sixteen sums takes
/// as long as three multiply-adds, adding an end as long as one. In the first cache, relative to the peak of
/// f32 multiply-adds: 16 x 4 reaches 1.64, 12 x 6 1.63, 8 x 8 1.58, 32 x 1 1.57, 16 x 1 1.31.
const CHAIN: usize = 16;
const CHAINS: usize = 4;
/// Rows of a tile: with three vectors of b they make twelve chains and their totals, in 24 registers, and need
/// seven loads for twelve multiply-adds. Eight rows, with totals in the first cache, reach 1.46: a store of a
/// register takes as long as a multiply-add or two.
const TILE_ROWS: usize = 4;
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
/// The f16 sums of a tile, in registers.
type Tile = [[__m512h; VECTORS]; TILE_ROWS];

/// Multiplies two groups; see [`super::Multiply`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn multiply(k: usize, a: &[Line], b: &[Line], target: &Target) {
    let (a_exponents, a) = a.split_at(1);
    let (b_exponents, b) = b.split_at(SUM_LINES);
    assert!(k > 0 && a.len() >= k && b.len() >= k * VECTORS, "both groups hold k, one at least");
    target.fetch();
    let mut sums = MaybeUninit::<Sums>::uninit();
    for start in (0..k).step_by(CHAIN * CHAINS) {
        let n_steps = (k - start).min(CHAIN * CHAINS);
        // All tiles of the group use these lines of b while they are in the first cache.
        for row in (0..ROWS).step_by(TILE_ROWS) {
            let begin = if start == 0 { Start::Zero } else { Start::Tile };
            // SAFETY: the groups hold so many steps from `start` on; the tile's rows are among sixteen; all
            // sums begin with the first steps.
            unsafe {
                let a = a.as_ptr().add(start).cast::<i32>().add(row);
                let tile = total(n_steps, a, b.as_ptr().add(start * VECTORS));
                widen(tile, sums.as_mut_ptr().cast::<__m512>().add(row * SUM_LINES), begin);
            }
        }
    }
    // SAFETY: there was a step, so that every sum has begun; the caller's promise about the target.
    unsafe { write(sums.assume_init_ref(), &a_exponents[0], b_exponents, target) };
}

/// The total of the chains of `n_steps` steps of k, for one tile.
///
/// # Safety
/// There is a step at least; so many lines of sixteen rows stand at `a`, of which [`TILE_ROWS`] are used, and
/// [`VECTORS`] times as many lines at `b`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn total(n_steps: usize, a: *const i32, b: *const Line) -> Tile {
    // SAFETY: the caller's promise.
    unsafe {
        let mut total = chain(n_steps.min(CHAIN), a, b);
        for start in (CHAIN..n_steps).step_by(CHAIN) {
            let next = chain((n_steps - start).min(CHAIN), a.add(start * ROWS), b.add(start * VECTORS));
            for row in 0..TILE_ROWS {
                for vector in 0..VECTORS {
                    total[row][vector] = _mm512_add_ph(total[row][vector], next[row][vector]);
                }
            }
        }
        total
    }
}

/// One chain of `n_steps` steps of k for each output of a tile.
///
/// # Safety
/// As for [`total`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn chain(n_steps: usize, a: *const i32, b: *const Line) -> Tile {
    // SAFETY: the caller's promise. Each element of a stands there twice, because the load unit can repeat 32
    // bits for nothing and 16 bits it cannot.
    let factor = |step: usize, row: usize| unsafe {
        _mm512_castsi512_ph(_mm512_set1_epi32(*a.add(step * ROWS + row)))
    };
    // SAFETY: as above.
    let columns = |step: usize| -> [__m512h; VECTORS] {
        std::array::from_fn(|vector| unsafe { *b.add(step * VECTORS + vector).cast() })
    };
    let first = columns(0);
    let mut sums = [[_mm512_setzero_ph(); VECTORS]; TILE_ROWS];
    for row in 0..TILE_ROWS {
        sums[row] = first.map(|column| _mm512_mul_ph(factor(0, row), column));
    }
    for step in 1..n_steps {
        let columns = columns(step);
        for row in 0..TILE_ROWS {
            let factor = factor(step, row);
            for vector in 0..VECTORS {
                sums[row][vector] = _mm512_fmadd_ph(factor, columns[vector], sums[row][vector]);
            }
        }
    }
    sums
}

/// Puts a tile's f16 sums into its f32 sums, or adds them.
///
/// # Safety
/// The tile's f32 sums stand one after the other at `sums`, and have begun where they are added to.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn widen(tile: Tile, sums: *mut __m512, begin: Start) {
    for (index, values) in tile.as_flattened().iter().enumerate() {
        let values = _mm512_castph_pd(*values);
        let halves = [_mm512_castpd512_pd256(values), _mm512_extractf64x4_pd::<1>(values)];
        for (half, values) in halves.into_iter().enumerate() {
            let wide = _mm512_cvtxph_ps(_mm256_castpd_ph(values));
            // SAFETY: the caller's promise.
            unsafe {
                let sum = sums.add(2 * index + half);
                match begin {
                    Start::Zero => sum.write(wide),
                    Start::Tile => sum.write(_mm512_add_ps(sum.read(), wide)),
                }
            }
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
