//! Eight scales and eight minima of six bits each in twelve bytes, as Q4_K and Q5_K hold them.
//!
//! The lower six bits of bytes 0 to 3 are scales 0 to 3, those of bytes 4 to 7 minima 0 to 3. The lower halves of
//! bytes 8 to 11 are the lower four bits of scales 4 to 7, the upper halves those of minima 4 to 7; the two bits
//! above them are the highest of bytes 0 to 3 and of bytes 4 to 7.
//!
//! Source: `block_q4_K` of the GGML project, as a fact.

#[cfg(target_arch = "x86_64")]
use crate::lanes::bytes::{Bytes, fields, turn_16};
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], (scales, minima): (*mut i32, *mut i32)) {
    /// No byte.
    const X: u8 = 128;
    // SAFETY: the caller's promises; a block begins with these sixteen bytes.
    unsafe {
        let [_, a, b, c] = turn_16::<V>(rows, 0);
        let (low, high) = (V::splat(63), V::splat(0x30));
        let upper = |first: V, low: V| first.shift_right(2).and(high).or(low);
        let all = [a.and(low), upper(a, fields(c, 0, 15)), b.and(low), upper(b, fields(c, 4, 15))];
        for group in 0..8u8 {
            let i = group % 4;
            let one = [i, X, X, X, 4 + i, X, X, X, 8 + i, X, X, X, 12 + i, X, X, X];
            let four = all[usize::from(group / 4)].take(&one);
            four.store(scales.cast::<u8>().add(usize::from(group) * STEP));
        }
        for pair in 0..4u8 {
            let i = 2 * (pair % 2);
            let j = i + 1;
            let two = [i, X, j, X, 4 + i, X, 4 + j, X, 8 + i, X, 8 + j, X, 12 + i, X, 12 + j, X];
            let four = all[2 + usize::from(pair / 2)].take(&two);
            four.store(minima.cast::<u8>().add(usize::from(pair) * STEP));
        }
    }
}

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
