//! Products of few rows straight over the blocks of a weight row, one weight row after the other, as they lie in memory.
//!
//! A panel has to be put together before it is multiplied, which costs more than the multiplication where rows of x are
//! few. Here a block's whole numbers are taken apart in registers, in their order; the sums of its products lie in
//! sixteen lanes, which are added up for several blocks at once, and the chain of an output goes on number by number.
//!
//! Only for AVX-512 VNNI, and for types whose files say how ([`Grouped`], [`Plain`]); others go over panels.

use std::arch::x86_64::*;

use super::activations::{Activations, Address};
use super::{Body, Part};
use crate::blocks::Format;

/// How a type multiplies few rows.
pub(crate) struct Straight {
    body: Body,
    /// Rows of x, at most four: with more of them panels are as fast, as was measured.
    most_rows: usize,
    /// Weights of which a row has a whole number.
    n_weights: usize,
}

impl Straight {
    /// A type of 256.
    pub const fn grouped<F: Grouped>(most_rows: usize) -> Self {
        Self { body: grouped::<F>, most_rows, n_weights: 256 }
    }

    /// A type of 32.
    pub const fn plain<F: Plain>(most_rows: usize) -> Self {
        Self { body: plain::<F>, most_rows, n_weights: 32 * SIXTEEN }
    }

    /// The body, for rows that are few enough and as long as it wants them.
    pub fn body(&self, n_rows: usize, inner: usize) -> Option<Body> {
        (n_rows <= self.most_rows && inner.is_multiple_of(self.n_weights)).then_some(self.body)
    }
}

/// Blocks of 32 at once.
const SIXTEEN: usize = 16;
/// How far ahead weights are asked for, in bytes, as was measured: the processor's own looking ahead alone gives half of the
/// bandwidth.
const AHEAD: usize = 8192;

/// A type of blocks of 256 whose scales are whole numbers.
///
/// # Safety
/// Of every method: the block is good for its bytes, the machine has AVX-512 with VNNI.
pub(crate) trait Grouped: Format {
    /// The values in their order, the type's offset added.
    unsafe fn codes(block: *const u8) -> [__m512i; 4];
    /// For each four of them the scale, in the lower 16 bits.
    unsafe fn scales_of_fours(block: *const u8) -> [__m512i; 4];
    /// The scales of the sixteen groups, where there is an offset.
    unsafe fn groups(_block: *const u8) -> __m512i {
        // SAFETY: the caller's machine.
        unsafe { _mm512_setzero_si512() }
    }
    /// The minima of the eight groups, where there are any.
    unsafe fn minima(_block: *const u8) -> __m128i {
        // SAFETY: every machine of 64 bits has it.
        unsafe { _mm_setzero_si128() }
    }
}

/// A type of blocks of 32 without minima.
pub(crate) trait Plain: Format {
    /// The values of two blocks in their order, the type's offset added.
    ///
    /// # Safety
    /// As those of [`Grouped`].
    unsafe fn codes(blocks: *const u8) -> __m512i;
}

/// The body for a type of 256.
///
/// # Safety
/// As [`Body`], where [`Straight::body`] gives it.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")]
unsafe fn grouped<F: Grouped>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: the caller's promises.
    unsafe {
        match part.rows.len() {
            1 => over_rows::<1>(x, w, (part, F::N_WEIGHTS, F::N_BYTES), grouped_row::<F, 1>),
            2 => over_rows::<2>(x, w, (part, F::N_WEIGHTS, F::N_BYTES), grouped_row::<F, 2>),
            3 => over_rows::<3>(x, w, (part, F::N_WEIGHTS, F::N_BYTES), grouped_row::<F, 3>),
            _ => over_rows::<4>(x, w, (part, F::N_WEIGHTS, F::N_BYTES), grouped_row::<F, 4>),
        }
    }
}

/// The body for a type of 32.
///
/// # Safety
/// As [`grouped`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")]
unsafe fn plain<F: Plain>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: the caller's promises.
    unsafe {
        match part.rows.len() {
            1 => over_rows::<1>(x, w, (part, F::N_WEIGHTS, F::N_BYTES), plain_row::<F, 1>),
            2 => over_rows::<2>(x, w, (part, F::N_WEIGHTS, F::N_BYTES), plain_row::<F, 2>),
            3 => over_rows::<3>(x, w, (part, F::N_WEIGHTS, F::N_BYTES), plain_row::<F, 3>),
            _ => over_rows::<4>(x, w, (part, F::N_WEIGHTS, F::N_BYTES), plain_row::<F, 4>),
        }
    }
}

/// The products of R rows of x and one row of so many blocks.
type RowBody<const R: usize> = unsafe fn(&[Address; R], *const u8, usize) -> [f32; R];

/// Goes over the rows of the weights.
#[inline(always)]
unsafe fn over_rows<const R: usize>(
    x: &Activations<'_>,
    w: &[u8],
    (part, n_weights, n_bytes): (&Part<'_>, usize, usize),
    body: RowBody<R>,
) {
    let n_blocks = x.inner() / n_weights;
    let first = part.rows.start;
    let at: [Address; R] = std::array::from_fn(|r| x.address(first + r, x.skipped(0)));
    for column in part.columns.clone() {
        let blocks = &w[column * n_blocks * n_bytes..][..n_blocks * n_bytes];
        // SAFETY: the slice has so many blocks, each row of x as many; the rows and columns are of this part.
        unsafe {
            let sums = body(&at, blocks.as_ptr(), n_blocks);
            for (r, sum) in sums.into_iter().enumerate() {
                part.row(first + r, column..column + 1)[0] = sum;
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")]
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
        let mut dots = [[_mm512_setzero_si512(); 4]; R];
        let mut minima = [[_mm_setzero_si128(); 4]; R];
        let (mut scale, mut minimum) = ([0.0; N], [0.0; N]);
        for n in 0..N {
            let block = blocks.add((first + n) * F::N_BYTES);
            let (codes, scales) = (F::codes(block), F::scales_of_fours(block));
            for r in 0..R {
                let a = x[r].codes.add(256 * (first + n));
                let mut total = _mm512_setzero_si512();
                for part in 0..4 {
                    let a = _mm512_loadu_si512(a.add(64 * part).cast());
                    let dot = _mm512_dpbusd_epi32(_mm512_setzero_si512(), codes[part], a);
                    total = _mm512_dpwssd_epi32(total, dot, scales[part]);
                }
                if F::OFFSET > 0 {
                    let starts = _mm512_loadu_si512(x[r].starts.add(16 * (first + n)).cast());
                    total = _mm512_add_epi32(total, _mm512_mullo_epi32(starts, F::groups(block)));
                }
                dots[r][n] = total;
                if F::HAS_MINIMA {
                    let pairs = _mm_loadu_si128(x[r].pairs.add(4 * (first + n)).cast());
                    minima[r][n] = _mm_madd_epi16(F::minima(block), pairs);
                }
            }
            scale[n] = half(block, F::SCALE_AT);
            minimum[n] = half(block, F::MINIMUM_AT);
        }
        for r in 0..R {
            let (dots, minima) = (floats(sum_of_lanes(dots[r])), floats(sum_of_fours(minima[r])));
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

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")]
unsafe fn plain_row<F: Plain, const R: usize>(
    x: &[Address; R],
    blocks: *const u8,
    n_blocks: usize,
) -> [f32; R] {
    let mut sums = [0.0; R];
    for first in (0..n_blocks).step_by(SIXTEEN) {
        // SAFETY: the caller's promises; rows are whole sixteens of blocks.
        unsafe {
            let blocks = blocks.add(first * F::N_BYTES);
            fetch_ahead(blocks, SIXTEEN * F::N_BYTES);
            let mut quarters = [[_mm512_setzero_si512(); 2]; R];
            for eight in 0..2 {
                let mut dots = [[_mm512_setzero_si512(); 4]; R];
                for two in 0..4 {
                    let two_blocks = 4 * eight + two;
                    let block = blocks.add(2 * two_blocks * F::N_BYTES);
                    let codes = F::codes(block);
                    for r in 0..R {
                        let a = x[r].codes.add(32 * first + 64 * two_blocks);
                        let a = _mm512_loadu_si512(a.cast());
                        dots[r][two] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), codes, a);
                    }
                }
                for r in 0..R {
                    quarters[r][eight] = sum_in_quarters(dots[r]);
                }
            }
            let scales = halves::<F>(blocks);
            for r in 0..R {
                let starts = _mm512_loadu_si512(x[r].starts.add(first).cast());
                let dots = _mm512_add_epi32(sum_of_halves(quarters[r]), starts);
                let steps = _mm512_loadu_ps(x[r].scales.add(first));
                let (mut terms, mut factors) = ([0.0f32; SIXTEEN], [0.0f32; SIXTEEN]);
                _mm512_storeu_ps(terms.as_mut_ptr(), _mm512_cvtepi32_ps(dots));
                _mm512_storeu_ps(factors.as_mut_ptr(), _mm512_mul_ps(scales, steps));
                for (term, factor) in terms.iter().zip(factors) {
                    sums[r] = term.mul_add(factor, sums[r]);
                }
            }
        }
    }
    sums
}

/// Asks the second cache for so many bytes, some way behind an address.
#[inline(always)]
unsafe fn fetch_ahead(at: *const u8, n_bytes: usize) {
    for line in (0..n_bytes).step_by(64) {
        // SAFETY: a prefetch may be asked for any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(AHEAD + line).cast()) };
    }
}

/// A half-precision number of a block, or 0 where there is none.
#[inline(always)]
unsafe fn half(block: *const u8, at: Option<usize>) -> f32 {
    let Some(at) = at else { return 0.0 };
    // SAFETY: two bytes of the caller's block; its machine has the instruction.
    unsafe {
        let bits = block.add(at).cast::<u16>().read_unaligned();
        _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(bits))))
    }
}

/// The scales of sixteen blocks of 32.
#[inline(always)]
unsafe fn halves<F: Format>(blocks: *const u8) -> __m512 {
    let at = F::SCALE_AT.expect("types of 32 have one scale");
    // SAFETY: four bytes of each of the caller's blocks; its machine has the instructions.
    unsafe {
        let places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let places = _mm512_mullo_epi32(places, _mm512_set1_epi32(F::N_BYTES as i32));
        let words = _mm512_i32gather_epi32::<1>(places, blocks.add(at).cast());
        _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words))
    }
}

#[inline(always)]
unsafe fn floats(numbers: __m128i) -> [f32; 4] {
    let mut floats = [0.0; 4];
    // SAFETY: four numbers.
    unsafe { _mm_storeu_ps(floats.as_mut_ptr(), _mm_cvtepi32_ps(numbers)) };
    floats
}

/// In each 128 bits the sums of the four numbers of the four registers.
#[inline(always)]
unsafe fn sum_in_quarters(four: [__m512i; 4]) -> __m512i {
    // SAFETY: the caller's machine.
    unsafe {
        let two = [0, 2].map(|at| {
            let (a, b) = (four[at], four[at + 1]);
            _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b))
        });
        let (low, high) = (_mm512_unpacklo_epi64(two[0], two[1]), _mm512_unpackhi_epi64(two[0], two[1]));
        _mm512_add_epi32(low, high)
    }
}

/// The sum of the sixteen numbers of each register.
#[inline(always)]
unsafe fn sum_of_lanes(four: [__m512i; 4]) -> __m128i {
    // SAFETY: the caller's machine.
    unsafe {
        let quarters = sum_in_quarters(four);
        let low = _mm512_castsi512_si256(quarters);
        let halves = _mm256_add_epi32(low, _mm512_extracti64x4_epi64::<1>(quarters));
        _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves))
    }
}

/// The sum of the four numbers of each register.
#[inline(always)]
unsafe fn sum_of_fours([a, b, c, d]: [__m128i; 4]) -> __m128i {
    // SAFETY: every machine with AVX2 has it.
    unsafe { _mm_hadd_epi32(_mm_hadd_epi32(a, b), _mm_hadd_epi32(c, d)) }
}

/// Of eight registers whose sums in quarters these are, the sums of the lower and of the upper eight numbers, in their
/// order.
#[inline(always)]
unsafe fn sum_of_halves([a, b]: [__m512i; 2]) -> __m512i {
    // SAFETY: the caller's machine.
    unsafe {
        let even = _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
        let odd = _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b);
        let order = _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
        _mm512_permutexvar_epi32(order, _mm512_add_epi32(even, odd))
    }
}
