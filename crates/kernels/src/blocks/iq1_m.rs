//! IQ1_M: 256 weights in 16 groups of 16; weight i of a group is `(d · (2s + 1)) · (gᵢ ± 1/8)`, where eight neighbours
//! are a row of a code book of 2048 with the numbers -1, 0 and 1 and have a sign of the eighth, a scale s of three bits
//! is the group's, and a half-precision `d` is the block's.
//!
//! A block is 56 bytes: 32 bytes with the lower eight bits of the codes; 16 bytes whose halves are, for each code and the
//! even ones lower, its upper three bits and the sign, minus where it is set; four numbers of 16 bits, little endian,
//! whose lower twelve are the scales of four groups, the first lowest, and whose upper four together are `d`, its lowest
//! bits first. Here values are eight times as large, whole numbers, and scales an eighth: the same products. Nothing is
//! rounded when a block is widened. For reading only.
//!
//! Source: `block_iq1_m` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

use super::grids::{self, joined};
use super::{BlockType, Format, Part, Scales};
use crate::product::from_f16;

/// The type.
pub static IQ1_M: BlockType = BlockType::of::<Block>();

struct Block;

const UPPER_BITS: usize = 32;
const SCALES: usize = UPPER_BITS + 16;

/// Scales of four groups and four bits of the block's.
#[inline(always)]
fn scale_bits(block: &[u8], index: usize) -> u16 {
    u16::from_le_bytes([block[SCALES + 2 * index], block[SCALES + 2 * index + 1]])
}

/// The scale of the block for eight times the weights, of which a group's is an odd multiple.
#[inline(always)]
fn block_scale(block: &[u8]) -> f32 {
    let bits = (0..4).fold(0, |bits, index| bits | (scale_bits(block, index) >> 12) << (4 * index));
    from_f16(bits) * 0.125
}

/// The whole scale of a group.
#[inline(always)]
fn group_scale(block: &[u8], group: usize) -> i16 {
    2 * (scale_bits(block, group / 4) >> (3 * (group % 4)) & 7) as i16 + 1
}

impl Format for Block {
    const NAME: &'static str = "IQ1_M";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = SCALES + 8;
    const OFFSET: u8 = 9;
    const GREATEST: u8 = 18;
    const GROUP: usize = 16;
    const SCALE_AT: Option<usize> = None;

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let upper: [usize; 4] =
            std::array::from_fn(|i| usize::from(block[UPPER_BITS + 2 * part + i / 2] >> (4 * (i % 2)) & 15));
        let code = |i: usize| usize::from(block[4 * part + i]) | (upper[i] & 7) << 8;
        let mut values = joined(&grids::IQ1, code);
        for (eight, upper) in values.as_chunks_mut::<8>().0.iter_mut().zip(upper) {
            let eighth = 1 - 2 * (upper >> 3) as i8;
            eight.iter_mut().for_each(|value| *value += eighth);
        }
        Part::halved(block_scale(block), [0, 1].map(|half| group_scale(block, 2 * part + half)), values)
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::grouped::<16>(block_scale(block), |group| group_scale(block, group))
    }
}
