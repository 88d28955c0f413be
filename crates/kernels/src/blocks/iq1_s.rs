//! IQ1_S: 256 weights in eight groups of 32; weight i of a group is `(d · (2s + 1)) · (gᵢ ± 1/8)`, where eight
//! neighbours are a row of a code book of 2048 with the numbers -1, 0 and 1, the sign of the eighth and a scale s of
//! three bits are the group's, and a half-precision `d` is the block's.
//!
//! A block is 50 bytes: `d`; 32 bytes with the lower eight bits of the codes; eight numbers of 16 bits, one for each
//! group: the upper three bits of its four codes, those of the first lowest, then s, then the sign, minus where it is
//! set; all little endian. Here values are eight times as large, whole numbers, and scales an eighth: the same products.
//! Nothing is rounded when a block is widened. For reading only.
//!
//! Source: `block_iq1_s` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

use super::grids::{self, eighth_scale, joined};
use super::{BlockType, Format, Part, Scales};

/// The type.
pub static IQ1_S: BlockType = BlockType::of::<Block>();

struct Block;

const CODES: usize = 2;
const GROUPS: usize = CODES + 32;

/// Codes, scale and sign of a group.
#[inline(always)]
fn group_bits(block: &[u8], group: usize) -> u16 {
    u16::from_le_bytes([block[GROUPS + 2 * group], block[GROUPS + 2 * group + 1]])
}

/// The whole scale of a group.
#[inline(always)]
fn group_scale(block: &[u8], group: usize) -> i16 {
    2 * i16::from(block[GROUPS + 2 * group + 1] >> 4 & 7) + 1
}

impl Format for Block {
    const NAME: &'static str = "IQ1_S";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = GROUPS + 16;
    const OFFSET: u8 = 9;
    const GREATEST: u8 = 18;
    const SCALE_AT: Option<usize> = None;

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let bits = usize::from(group_bits(block, part));
        let code = |i: usize| usize::from(block[CODES + 4 * part + i]) | (bits >> (3 * i) & 7) << 8;
        let eighth = 1 - 2 * (bits >> 15) as i8;
        let values = joined(&grids::IQ1, code).map(|number| number + eighth);
        Part::scaled(eighth_scale(block) * f32::from(group_scale(block, part)), values)
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::grouped::<8>(eighth_scale(block), |group| group_scale(block, group))
    }
}
