//! Fields of a block: half-precision numbers and codes of a few bits, read and written.
//!
//! Not the layout of any type: each type's file says what stands where.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;

use crate::product::from_f16;

/// The half-precision number at `at`, widened exactly.
#[inline(always)]
pub(super) fn half(block: &[u8], at: usize) -> f32 {
    from_f16(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// Writes the bits of a half-precision number at `at`.
pub(super) fn put_half(block: &mut [u8], at: usize, bits: u16) {
    block[at..at + 2].copy_from_slice(&bits.to_le_bytes());
}

/// The lower four bits of 16 bytes, then their upper four.
#[inline(always)]
pub(super) fn nibbles(bytes: &[u8]) -> [u8; 32] {
    let bytes = &bytes[..16];
    let mut codes = [0; 32];
    for (i, byte) in bytes.iter().enumerate() {
        codes[i] = byte & 15;
        codes[16 + i] = byte >> 4;
    }
    codes
}

/// Writes 32 codes of four bits as [`nibbles`] reads them; bits above are dropped.
pub(super) fn put_nibbles(codes: &[u8; 32], bytes: &mut [u8]) {
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = codes[i] & 15 | codes[16 + i] << 4;
    }
}

/// The bits of `mask` of 32 bytes, after dropping the lowest `shift` of each.
#[inline(always)]
pub(super) fn field(bytes: &[u8], shift: usize, mask: u8) -> [u8; 32] {
    let mut codes = [0; 32];
    codes.iter_mut().zip(&bytes[..32]).for_each(|(code, byte)| *code = byte >> shift & mask);
    codes
}

/// Adds `code << shift` to each of 32 bytes whose bits there are clear.
pub(super) fn put_field(codes: impl Iterator<Item = u8>, shift: usize, bytes: &mut [u8]) {
    bytes[..32].iter_mut().zip(codes).for_each(|(byte, code)| *byte |= code << shift);
}

/// The 32 bits of four bytes, the lowest of the first byte first.
#[inline(always)]
pub(super) fn flags(bytes: &[u8]) -> [u8; 32] {
    let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let mut flags = [0; 32];
    flags.iter_mut().enumerate().for_each(|(i, flag)| *flag = (word >> i & 1) as u8);
    flags
}

/// Writes 32 bits as [`flags`] reads them.
pub(super) fn put_flags(flags: impl Iterator<Item = bool>, bytes: &mut [u8]) {
    let word = flags.enumerate().fold(0u32, |word, (i, flag)| word | u32::from(flag) << i);
    bytes[..4].copy_from_slice(&word.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back() {
        let codes: [u8; 32] = std::array::from_fn(|i| (7 * i + 3) as u8 & 15);
        let mut bytes = [0xff; 16];
        put_nibbles(&codes, &mut bytes);
        assert_eq!((nibbles(&bytes), bytes[0]), (codes, codes[0] | codes[16] << 4));
        let mut bytes = [0; 32];
        put_field(codes.iter().map(|code| code & 3), 4, &mut bytes);
        put_field(codes.iter().map(|code| code & 1), 1, &mut bytes);
        assert_eq!((field(&bytes, 4, 3), field(&bytes, 1, 1)), (codes.map(|c| c & 3), codes.map(|c| c & 1)));
        let mut bytes = [0xff; 4];
        put_flags(codes.iter().map(|code| code & 1 == 1), &mut bytes);
        assert_eq!((flags(&bytes), bytes[0]), (codes.map(|code| code & 1), 0b0101_0101));
    }
}
