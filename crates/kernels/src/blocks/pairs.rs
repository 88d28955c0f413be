//! Eight scales and eight minima of six bits each in twelve bytes, as Q4_K and Q5_K hold them.
//!
//! The lower six bits of bytes 0 to 3 are scales 0 to 3, those of bytes 4 to 7 minima 0 to 3. The lower halves of
//! bytes 8 to 11 are the lower four bits of scales 4 to 7, the upper halves those of minima 4 to 7; the two bits
//! above them are the highest of bytes 0 to 3 and of bytes 4 to 7.
//!
//! Source: `block_q4_K` of the GGML project, as a fact.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::lanes::bytes::{Bytes, fields, turn_16};
use crate::product::integer::pack::STEP;

/// How many bytes they take.
pub(super) const N_BYTES: usize = 12;

/// Scale and minimum `index`.
#[inline(always)]
pub(super) fn pair(bytes: &[u8], index: usize) -> (u8, u8) {
    let bytes = &bytes[..N_BYTES];
    let place = index & 3;
    let (scale, minimum) = (bytes[place], bytes[4 + place]);
    if index < 4 {
        return (scale & 63, minimum & 63);
    }
    let low = bytes[8 + place];
    (low & 15 | scale >> 2 & 0x30, low >> 4 | minimum >> 2 & 0x30)
}

/// All scales and all minima, each followed by eight that there are not.
#[inline(always)]
pub(super) fn whole(bytes: &[u8]) -> ([i16; 16], [u8; 16]) {
    let (mut scales, mut minima) = ([0; 16], [0; 16]);
    for index in 0..8 {
        let (scale, minimum) = pair(bytes, index);
        (scales[index], minima[index]) = (i16::from(scale), minimum);
    }
    (scales, minima)
}

/// Puts those of one block of each of `V::ROWS` rows into a panel; they stand behind the two half-precision numbers with
/// which the block begins.
///
/// # Safety
/// As [`super::Format::pack_groups`].
#[inline(always)]
pub(super) unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], (scales, minima): (*mut i32, *mut i32)) {
    // SAFETY: the caller's promises; a block begins with these sixteen bytes.
    unsafe {
        let [_, a, b, c] = turn_16::<V>(rows, 0);
        let (low, high) = (V::splat(63), V::splat(0x30));
        let all = [
            a.and(low),
            fields(c, 0, 15).or(a.shift_right(2).and(high)),
            b.and(low),
            fields(c, 4, 15).or(b.shift_right(2).and(high)),
        ];
        for group in 0..8 {
            all[group / 4].take(&ONE[group % 4]).store(scales.cast::<u8>().add(group * STEP));
        }
        for pair in 0..4 {
            all[2 + pair / 2].take(&TWO[pair % 2]).store(minima.cast::<u8>().add(pair * STEP));
        }
    }
}

/// The lower six bits of all scales and of all minima, a byte each.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn bytes(at: *const u8) -> [u64; 2] {
    let four = |index: usize| {
        // SAFETY: the caller's twelve bytes.
        u64::from(unsafe { at.add(4 * index).cast::<u32>().read_unaligned() })
    };
    let [a, b, c] = [four(0), four(1), four(2)];
    let upper = |both: u64| both >> 2 & 0x3030_3030;
    [
        a & 0x3f3f_3f3f | (c & 0x0f0f_0f0f | upper(a)) << 32,
        b & 0x3f3f_3f3f | (c >> 4 & 0x0f0f_0f0f | upper(b)) << 32,
    ]
}

/// For each four weights of a block of 256 their scale, in the lower 16 bits.
///
/// # Safety
/// Twelve bytes stand there; the machine has AVX-512 BW.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn scales_of_fours(at: *const u8) -> [__m512i; 4] {
    // SAFETY: the caller's promises.
    unsafe {
        let scales = _mm512_set1_epi64(bytes(at)[0] as i64);
        // Byte 0 of every four, no other; the second eight fours are of the next group.
        let first = _mm512_set1_epi32(0x8080_8000_u32 as i32);
        let place = _mm512_inserti64x4::<1>(first, _mm256_set1_epi32(0x8080_8001_u32 as i32));
        let mut fours = [scales; 4];
        for two in 0..4 {
            let place = _mm512_add_epi8(place, _mm512_set1_epi32(2 * two as i32));
            fours[two] = _mm512_shuffle_epi8(scales, place);
        }
        fours
    }
}

/// For each sixteen weights of a block of 256 their scale.
///
/// # Safety
/// Twelve bytes stand there; the machine has AVX2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn scales_of_sixteens(at: *const u8) -> __m256i {
    // SAFETY: the caller's promises.
    unsafe {
        let scales = _mm_cvtsi64_si128(bytes(at)[0] as i64);
        _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(scales, scales))
    }
}

/// The minima, of 16 bits each.
///
/// # Safety
/// As [`scales_of_sixteens`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn minima(at: *const u8) -> __m128i {
    // SAFETY: the caller's promises.
    unsafe { _mm_cvtepu8_epi16(_mm_cvtsi64_si128(bytes(at)[1] as i64)) }
}

/// No byte.
const X: u8 = 128;
/// One byte of each four as a number of 32 bits.
static ONE: [[u8; 16]; 4] = [
    [0, X, X, X, 4, X, X, X, 8, X, X, X, 12, X, X, X],
    [1, X, X, X, 5, X, X, X, 9, X, X, X, 13, X, X, X],
    [2, X, X, X, 6, X, X, X, 10, X, X, X, 14, X, X, X],
    [3, X, X, X, 7, X, X, X, 11, X, X, X, 15, X, X, X],
];
/// Two bytes of each four as numbers of 16 bits.
static TWO: [[u8; 16]; 2] = [
    [0, X, 1, X, 4, X, 5, X, 8, X, 9, X, 12, X, 13, X],
    [2, X, 3, X, 6, X, 7, X, 10, X, 11, X, 14, X, 15, X],
];

/// Writes all of them; none is above 63.
pub(super) fn put_pairs(scales: &[u8; 8], minima: &[u8; 8], bytes: &mut [u8]) {
    for place in 0..4 {
        let (scale, minimum) = (scales[4 + place], minima[4 + place]);
        bytes[place] = scales[place] | scale >> 4 << 6;
        bytes[4 + place] = minima[place] | minimum >> 4 << 6;
        bytes[8 + place] = scale & 15 | minimum << 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_back() {
        let scales = [63, 0, 21, 42, 63, 0, 17, 46];
        let minima = [0, 63, 42, 21, 1, 62, 33, 16];
        let mut bytes = [0xff; N_BYTES];
        put_pairs(&scales, &minima, &mut bytes);
        for index in 0..8 {
            assert_eq!(pair(&bytes, index), (scales[index], minima[index]), "{index}");
        }
    }
}
