//! IQ3_S: 256 weights in eight groups of 32; weight i of a group is `(d · (2s + 1)) · ±gᵢ`, where four neighbours are a
//! row of a code book of 512 with odd magnitudes from 1 to 15, each with a sign of its own, the group's scale s four
//! bits and a half-precision `d` for the block.
//!
//! A block is 110 bytes: `d`; 64 bytes with the lower eight bits of the codes; eight bytes with their ninth, that of
//! code 0 lowest; 32 bytes of signs, that of weight 0 lowest and minus where it is set; four bytes of scales, even
//! ones in the lower halves; all little endian. Nothing is rounded when a block is widened. For reading only.
//!
//! Source: `block_iq3_s` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

use super::bits::half;
use super::grids::{self, joined, odd_scale, signed, word};
use super::{BlockType, Format, Part, Scales};

/// The type.
pub static IQ3_S: BlockType = BlockType::of::<Block>();

struct Block;

const CODES: usize = 2;
const NINTH_BITS: usize = CODES + 64;
const SIGNS: usize = NINTH_BITS + 8;
const SCALES: usize = SIGNS + 32;

/// The whole scale of a group.
#[inline(always)]
fn group_scale(block: &[u8], group: usize) -> i16 {
    odd_scale(block, SCALES, group)
}

impl Format for Block {
    const NAME: &'static str = "IQ3_S";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = SCALES + 4;
    const OFFSET: u8 = 15;
    const GREATEST: u8 = 30;
    const SCALE_AT: Option<usize> = Some(0);

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let ninth = usize::from(block[NINTH_BITS + part]);
        let code = |i: usize| usize::from(block[CODES + 8 * part + i]) | (ninth >> i & 1) << 8;
        let values = signed(joined(&grids::IQ3_S, code), word(block, SIGNS + 4 * part));
        Part::scaled(half(block, 0) * f32::from(group_scale(block, part)), values)
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::grouped::<8>(half(block, 0), |group| group_scale(block, group))
    }
}
