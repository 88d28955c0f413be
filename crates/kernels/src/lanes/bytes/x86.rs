//! Bytes in one register of AVX2 or AVX-512.

use std::arch::x86_64::*;

use super::Bytes;

/// Eight rows.
#[derive(Clone, Copy)]
pub(crate) struct Bytes32(pub(crate) __m256i);

/// Sixteen rows.
#[derive(Clone, Copy)]
pub(crate) struct Bytes64(__m512i);

// SAFETY of every block below: the trait's callers promise AVX2 and good pointers.
impl Bytes for Bytes32 {
    const ROWS: usize = 8;

    #[inline(always)]
    unsafe fn load_32(rows: &[*const u8; 16], row: usize, at: usize) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_loadu_si256(rows[row].add(at).cast())) }
    }

    #[inline(always)]
    unsafe fn load_16(rows: &[*const u8; 16], row: usize, at: usize) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_loadu2_m128i(rows[row + 4].add(at).cast(), rows[row].add(at).cast())) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: see above.
        unsafe { _mm256_storeu_si256(to.cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn splat(byte: u8) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_set1_epi8(byte as i8)) }
    }

    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_and_si256(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_or_si256(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_xor_si256(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn shift_right(self, bits: i32) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_srl_epi16(self.0, _mm_cvtsi32_si128(bits))) }
    }

    #[inline(always)]
    unsafe fn shift_left(self, bits: i32) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_sll_epi16(self.0, _mm_cvtsi32_si128(bits))) }
    }

    #[inline(always)]
    unsafe fn look_up(self, table: &[u8; 16]) -> Self {
        // SAFETY: see above; the table has sixteen bytes.
        unsafe {
            Self(_mm256_shuffle_epi8(
                _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())),
                self.0,
            ))
        }
    }

    #[inline(always)]
    unsafe fn take(self, places: &[u8; 16]) -> Self {
        // SAFETY: see above; there are sixteen places.
        unsafe {
            Self(_mm256_shuffle_epi8(
                self.0,
                _mm256_broadcastsi128_si256(_mm_loadu_si128(places.as_ptr().cast())),
            ))
        }
    }

    #[inline(always)]
    unsafe fn widen(self, index: i32) -> Self {
        // SAFETY: see above.
        unsafe {
            let upper = _mm256_sll_epi32(self.0, _mm_cvtsi32_si128(24 - 8 * index));
            Self(_mm256_srai_epi32::<24>(upper))
        }
    }

    #[inline(always)]
    unsafe fn interleave_fours(self, other: Self) -> [Self; 2] {
        // SAFETY: see above.
        unsafe {
            [Self(_mm256_unpacklo_epi32(self.0, other.0)), Self(_mm256_unpackhi_epi32(self.0, other.0))]
        }
    }

    #[inline(always)]
    unsafe fn interleave_eights(self, other: Self) -> [Self; 2] {
        // SAFETY: see above.
        unsafe {
            [Self(_mm256_unpacklo_epi64(self.0, other.0)), Self(_mm256_unpackhi_epi64(self.0, other.0))]
        }
    }

    #[inline(always)]
    unsafe fn interleave_sixteens(self, other: Self) -> [Self; 2] {
        // SAFETY: see above.
        unsafe {
            let low = _mm256_permute2x128_si256::<0x20>(self.0, other.0);
            let high = _mm256_permute2x128_si256::<0x31>(self.0, other.0);
            [Self(low), Self(high)]
        }
    }
}

// SAFETY of every block below: the trait's callers promise AVX-512 F, BW and VL, and good pointers.
impl Bytes for Bytes64 {
    const ROWS: usize = 16;

    #[inline(always)]
    unsafe fn load_32(rows: &[*const u8; 16], row: usize, at: usize) -> Self {
        // SAFETY: see above.
        unsafe {
            let low = _mm512_castsi256_si512(_mm256_loadu_si256(rows[row].add(at).cast()));
            Self(_mm512_inserti64x4::<1>(low, _mm256_loadu_si256(rows[row + 8].add(at).cast())))
        }
    }

    #[inline(always)]
    unsafe fn load_16(rows: &[*const u8; 16], row: usize, at: usize) -> Self {
        // SAFETY: see above.
        unsafe {
            let low = _mm256_loadu2_m128i(rows[row + 4].add(at).cast(), rows[row].add(at).cast());
            let high = _mm256_loadu2_m128i(rows[row + 12].add(at).cast(), rows[row + 8].add(at).cast());
            Self(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high))
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn splat(byte: u8) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_set1_epi8(byte as i8)) }
    }

    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_and_si512(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_or_si512(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_xor_si512(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn shift_right(self, bits: i32) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_srl_epi16(self.0, _mm_cvtsi32_si128(bits))) }
    }

    #[inline(always)]
    unsafe fn shift_left(self, bits: i32) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_sll_epi16(self.0, _mm_cvtsi32_si128(bits))) }
    }

    #[inline(always)]
    unsafe fn look_up(self, table: &[u8; 16]) -> Self {
        // SAFETY: see above; the table has sixteen bytes.
        unsafe {
            Self(_mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast())), self.0))
        }
    }

    #[inline(always)]
    unsafe fn take(self, places: &[u8; 16]) -> Self {
        // SAFETY: see above; there are sixteen places.
        unsafe {
            Self(_mm512_shuffle_epi8(self.0, _mm512_broadcast_i32x4(_mm_loadu_si128(places.as_ptr().cast()))))
        }
    }

    #[inline(always)]
    unsafe fn widen(self, index: i32) -> Self {
        // SAFETY: see above.
        unsafe {
            let upper = _mm512_sll_epi32(self.0, _mm_cvtsi32_si128(24 - 8 * index));
            Self(_mm512_srai_epi32::<24>(upper))
        }
    }

    #[inline(always)]
    unsafe fn interleave_fours(self, other: Self) -> [Self; 2] {
        // SAFETY: see above.
        unsafe {
            [Self(_mm512_unpacklo_epi32(self.0, other.0)), Self(_mm512_unpackhi_epi32(self.0, other.0))]
        }
    }

    #[inline(always)]
    unsafe fn interleave_eights(self, other: Self) -> [Self; 2] {
        // SAFETY: see above.
        unsafe {
            [Self(_mm512_unpacklo_epi64(self.0, other.0)), Self(_mm512_unpackhi_epi64(self.0, other.0))]
        }
    }

    #[inline(always)]
    unsafe fn interleave_sixteens(self, other: Self) -> [Self; 2] {
        // SAFETY: see above.
        unsafe {
            let low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
            let high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
            let low = _mm512_permutex2var_epi64(self.0, low, other.0);
            [Self(low), Self(_mm512_permutex2var_epi64(self.0, high, other.0))]
        }
    }
}
