//! The bodies for AVX-512 VNNI.

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::{GroupedVnni, Plain, Rows, by_count, fetch_ahead, floats, half, sum_of_fours};
use crate::blocks::Format;
use crate::product::integer::Part;
use crate::product::integer::activations::{Activations, Address};

/// Blocks of 32 at once.
pub(super) const AT_ONCE: usize = 16;

/// The body for a type of 256.
///
/// # Safety
/// As [`Body`](super::Body), where [`Straight::body`](super::Straight::body) gives it.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")]
pub(super) unsafe fn grouped<F: GroupedVnni>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: the caller's promises.
    unsafe { by_count::<GroupedRows<F>>(x, w, part) }
}

/// The body for a type of 32.
///
/// # Safety
/// As [`grouped`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")]
pub(super) unsafe fn plain<F: Plain>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: the caller's promises.
    unsafe { by_count::<PlainRows<F>>(x, w, part) }
}

struct GroupedRows<F>(PhantomData<F>);
struct PlainRows<F>(PhantomData<F>);

impl<F: GroupedVnni> Rows for GroupedRows<F> {
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

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")]
unsafe fn grouped_row<F: GroupedVnni, const R: usize>(
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
unsafe fn add_blocks<F: GroupedVnni, const R: usize, const N: usize>(
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
    for first in (0..n_blocks).step_by(AT_ONCE) {
        // SAFETY: the caller's promises; rows are whole sixteens of blocks.
        unsafe {
            let blocks = blocks.add(first * F::N_BYTES);
            fetch_ahead(blocks, AT_ONCE * F::N_BYTES);
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
                let (mut terms, mut factors) = ([0.0f32; AT_ONCE], [0.0f32; AT_ONCE]);
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
