//! NVFP4: 64 weights in four groups of 16; weight i of a group is `e · qᵢ`, with qᵢ a floating-point number of four bits
//! (E2M1, as in MXFP4: 0, 0.5, 1, 1.5, 2, 3, 4 or 6 and a sign) and e one of eight bits without a sign (E4M3).
//!
//! A block is 36 bytes: four e; eight bytes for each group, whose lower halves are its first eight weights. The highest
//! bit of e says nothing, and 127 is 0. Here q is twice as large, a whole number, and e half as large: the same
//! products. Nothing is rounded when a block is widened. Each group has a scale that is no multiple of another's, so in
//! a product a group is what a block is elsewhere. A scale of the whole tensor, which files of this type often hold
//! beside it, is not the block's. For reading only.
//!
//! Source: `block_nvfp4` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads. OCP 8-bit
//! Floating Point Specification 1.0, section 5, for E4M3.

use super::{BlockType, Format, Part, Scales, mxfp4};

/// The type.
pub static NVFP4: BlockType = BlockType::of::<Block>();

struct Block;

const CODES: usize = 4;

/// Half of the number whose lower seven bits are four of exponent and three of fraction.
#[inline(always)]
fn half_scale(bits: u8) -> f32 {
    let (exponent, fraction) = (u32::from(bits >> 3 & 15), f32::from(bits & 7));
    match (bits, exponent) {
        (0x7f, _) => 0.0,
        (_, 0) => fraction / 1024.0,
        // 2^(e - 11), by the bits of its own exponent.
        _ => (8.0 + fraction) * f32::from_bits((exponent + 127 - 11) << 23),
    }
}

impl Format for Block {
    const NAME: &'static str = "NVFP4";
    const N_WEIGHTS: usize = 64;
    const N_BYTES: usize = CODES + 32;
    const OFFSET: u8 = 12;
    const GREATEST: u8 = 24;
    const GROUP: usize = 16;
    const LINK: usize = 16;
    const SCALE_AT: Option<usize> = None;

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let values = std::array::from_fn(|i| {
            let byte = block[CODES + 16 * part + 8 * (i / 16) + i % 8];
            mxfp4::LEVELS[usize::from(if i % 16 < 8 { byte & 15 } else { byte >> 4 })]
        });
        let scales = [2 * part, 2 * part + 1].map(|group| half_scale(block[group]));
        Part { scales, minima: [0.0; 2], values }
    }

    #[inline(always)]
    fn scales(_: &[u8]) -> Scales {
        unreachable!("every group has a scale of its own: link_scale")
    }

    #[inline(always)]
    fn link_scale(block: &[u8], link: usize) -> f32 {
        half_scale(block[link])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the formula, in f64; 240 is the greatest that has a code here, being half of 480.
    #[test]
    fn scales_are_numbers_of_eight_bits() {
        for bits in 0..=255u8 {
            let (exponent, fraction) = (i32::from(bits >> 3 & 15), f64::from(bits & 7) / 8.0);
            let number = match exponent {
                0 => fraction * 2f64.powi(-6),
                _ => (1.0 + fraction) * 2f64.powi(exponent - 7),
            };
            let expected = if bits == 0x7f { 0.0 } else { number / 2.0 };
            assert_eq!(f64::from(half_scale(bits)), expected, "{bits}");
        }
    }
}
