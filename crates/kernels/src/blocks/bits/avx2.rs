//! Codes of a few bits, those of 32 weights a byte each in a register of AVX2.
//!
//! Does not read scales: few types hold them alike.

use std::arch::x86_64::*;

/// The lower four bits of 16 bytes, then their upper four.
///
/// # Safety
/// Sixteen bytes stand there; the machine has AVX2.
#[inline(always)]
pub(in crate::blocks) unsafe fn nibbles(at: *const u8) -> __m256i {
    // SAFETY: the caller's promises.
    unsafe {
        let both = _mm_loadu_si128(at.cast());
        let both = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(both), _mm_srli_epi16::<4>(both));
        _mm256_and_si256(both, _mm256_set1_epi8(15))
    }
}

/// What sixteen bytes of a table have for each of 32 codes of four bits.
///
/// # Safety
/// The machine has AVX2.
#[inline(always)]
pub(in crate::blocks) unsafe fn levels(codes: __m256i, table: &[u8; 16]) -> __m256i {
    // SAFETY: sixteen bytes; the caller's machine.
    unsafe {
        let table = _mm_loadu_si128(table.as_ptr().cast());
        _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), codes)
    }
}

/// 256 codes of two bits in 64 bytes, each half of which serves 128 weights: byte b has, from its lowest bits up, those of
/// weights b, b + 32, b + 64 and b + 96.
///
/// # Safety
/// So many bytes stand there; the machine has AVX2.
#[inline(always)]
pub(in crate::blocks) unsafe fn quarters(at: *const u8) -> [__m256i; 8] {
    // SAFETY: the caller's promises.
    unsafe {
        let mut codes = [_mm256_setzero_si256(); 8];
        for half in 0..2 {
            let all = _mm256_loadu_si256(at.add(32 * half).cast());
            let moved =
                [all, _mm256_srli_epi16::<2>(all), _mm256_srli_epi16::<4>(all), _mm256_srli_epi16::<6>(all)];
            for quarter in 0..4 {
                codes[4 * half + quarter] = _mm256_and_si256(moved[quarter], _mm256_set1_epi8(3));
            }
        }
        codes
    }
}
