//! IQ2_S: 256 weights in 16 groups of 16; weight i of a group is `(d/8 · (2s + 1)) · ±gᵢ`, where eight neighbours are a
//! row of a code book of 1024 with magnitudes 8, 25 and 43, each with a sign of its own, the group's scale s four bits
//! and a half-precision `d` for the block.
//!
//! A block is 82 bytes: `d`; 32 bytes with the lower eight bits of the codes; 32 bytes of signs, that of weight 0 lowest
//! and minus where it is set; eight bytes with the upper two bits of the codes, those of code 0 lowest; eight bytes of
//! scales, even ones in the lower halves; all little endian. Nothing is rounded when a block is widened. For reading
//! only.
//!
//! Source: `block_iq2_s` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

use super::grids::{self, eighth_scale, joined, odd_scale, signed, word};
use super::{BlockType, Format, Part, Scales};

/// The type.
pub static IQ2_S: BlockType = BlockType::of::<Block>();

struct Block;

const CODES: usize = 2;
const SIGNS: usize = CODES + 32;
const UPPER_BITS: usize = SIGNS + 32;
const SCALES: usize = UPPER_BITS + 8;

/// The whole scale of a group.
#[inline(always)]
fn group_scale(block: &[u8], group: usize) -> i16 {
    odd_scale(block, SCALES, group)
}

impl Format for Block {
    const NAME: &'static str = "IQ2_S";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = SCALES + 8;
    const OFFSET: u8 = 43;
    const GREATEST: u8 = 86;
    const GROUP: usize = 16;
    const SCALE_AT: Option<usize> = None;

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let upper = usize::from(block[UPPER_BITS + part]);
        let code = |i: usize| usize::from(block[CODES + 4 * part + i]) | (upper >> (2 * i) & 3) << 8;
        let values = signed(joined(&grids::IQ2_S, code), word(block, SIGNS + 4 * part));
        Part::halved(eighth_scale(block), [0, 1].map(|half| group_scale(block, 2 * part + half)), values)
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::grouped::<16>(eighth_scale(block), |group| group_scale(block, group))
    }
}
