//! TQ1_0: 256 weights share a half-precision scale `d`; weight i is `d · tᵢ`, with tᵢ -1, 0 or 1, five of them in a byte.
//!
//! A block is 54 bytes: 48 bytes of five digits to the base of three, 4 bytes of four, then `d`, little endian. A byte is
//! the fraction that its digits write, in 256ths: times a power of three, whole multiples of 256 left away, and times
//! three, the next digit is what is above 256. The first digits of bytes 0 to 31 are those of weights 0 to 31, the second
//! those of weights 32 to 63, so up to 159; then those of bytes 32 to 47 up to 239; then those of the last four. A digit
//! is t + 1. Nothing is rounded when a block is widened. For reading only.
//!
//! Source: `block_tq1_0` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

use super::bits::half;
use super::{BlockType, Format, Part, Scales};

/// The type.
pub static TQ1_0: BlockType = BlockType::of::<Block>();

struct Block;

const SCALE: usize = 52;

/// What the digit of a byte behind `n` others stands for.
#[inline(always)]
fn value(byte: u8, n: usize) -> i8 {
    const POWERS: [u8; 5] = [1, 3, 9, 27, 81];
    let rest = byte.wrapping_mul(POWERS[n]);
    ((u16::from(rest) * 3) >> 8) as i8 - 1
}

/// Which byte holds a weight, and behind how many other digits.
#[inline(always)]
fn place(weight: usize) -> (usize, usize) {
    match weight {
        0..160 => (weight % 32, weight / 32),
        160..240 => (32 + (weight - 160) % 16, (weight - 160) / 16),
        _ => (48 + (weight - 240) % 4, (weight - 240) / 4),
    }
}

impl Format for Block {
    const NAME: &'static str = "TQ1_0";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = SCALE + 2;
    const OFFSET: u8 = 1;
    const GREATEST: u8 = 2;
    const WHOLE_SCALES: [i16; 2] = [1, 1];
    const SCALE_AT: Option<usize> = Some(SCALE);

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let values = std::array::from_fn(|i| {
            let (at, n) = place(32 * part + i);
            value(block[at], n)
        });
        Part::scaled(half(block, SCALE), values)
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::one(half(block, SCALE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte that five digits are written as gives them back.
    #[test]
    fn five_digits_of_a_byte() {
        for number in 0..243u32 {
            // The least number of 256ths that is not below the fraction.
            let byte = (number * 256).div_ceil(243) as u8;
            let digits = [81, 27, 9, 3, 1].map(|power| (number / power % 3) as i8 - 1);
            assert_eq!(std::array::from_fn(|n| value(byte, n)), digits, "{number}");
        }
    }

    #[test]
    fn every_weight_has_its_place() {
        let mut places: Vec<_> = (0..256).map(place).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!((places.len(), places[255]), (256, (51, 3)));
    }
}
