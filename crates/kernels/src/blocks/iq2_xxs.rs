//! IQ2_XXS: 256 weights in eight groups of 32; weight i of a group is `(d/8 · (2s + 1)) · ±gᵢ`, where eight neighbours
//! are a row of a code book of 256 with magnitudes 8, 25 and 43 and have seven bits of signs and an even number of
//! minuses, the group's scale s four bits and a half-precision `d` for the block.
//!
//! A block is 66 bytes: `d`; for each group four bytes of codes, then a number of 32 bits, whose lower 28 are the signs
//! and whose upper four the scale; all little endian. Nothing is rounded when a block is widened. For reading only.
//!
//! Source: `block_iq2_xxs` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

use super::grids::{self, eighth_scale, even_signs, joined, signed, word};
use super::{BlockType, Format, Part, Scales};

/// The type.
pub static IQ2_XXS: BlockType = BlockType::of::<Block>();

struct Block;

const GROUPS: usize = 2;

/// The whole scale of a group.
#[inline(always)]
fn group_scale(block: &[u8], group: usize) -> i16 {
    2 * i16::from(block[GROUPS + 8 * group + 7] >> 4) + 1
}

impl Format for Block {
    const NAME: &'static str = "IQ2_XXS";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = GROUPS + 64;
    const OFFSET: u8 = 43;
    const GREATEST: u8 = 86;
    const SCALE_AT: Option<usize> = None;

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let code = |i: usize| usize::from(block[GROUPS + 8 * part + i]);
        let signs = word(block, GROUPS + 8 * part + 4);
        let signs = even_signs([signs, signs >> 7, signs >> 14, signs >> 21]);
        let values = signed(joined(&grids::IQ2_XXS, code), signs);
        Part::scaled(eighth_scale(block) * f32::from(group_scale(block, part)), values)
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::grouped::<8>(eighth_scale(block), |group| group_scale(block, group))
    }
}
