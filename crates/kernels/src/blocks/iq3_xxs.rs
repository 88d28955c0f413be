//! IQ3_XXS: 256 weights in eight groups of 32; weight i of a group is `(d/4 · (2s + 1)) · ±gᵢ`, where four neighbours
//! are a row of a code book of 256 with magnitudes from 4 to 62, the signs of eight neighbours seven bits and an even
//! number of minuses, the group's scale s four bits and a half-precision `d` for the block.
//!
//! A block is 98 bytes: `d`; 64 bytes of codes; eight numbers of 32 bits, whose lower 28 are the signs of a group and
//! whose upper four its scale; all little endian. Nothing is rounded when a block is widened. For reading only.
//!
//! Source: `block_iq3_xxs` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

use super::bits::half;
use super::grids::{self, even_signs, joined, signed, word};
use super::{BlockType, Format, Part, Scales};

/// The type.
pub static IQ3_XXS: BlockType = BlockType::of::<Block>();

struct Block;

const CODES: usize = 2;
const SIGNS: usize = CODES + 64;

/// The scale of the block, of which a group's is an odd multiple.
#[inline(always)]
fn block_scale(block: &[u8]) -> f32 {
    half(block, 0) * 0.25
}

/// The whole scale of a group.
#[inline(always)]
fn group_scale(block: &[u8], group: usize) -> i16 {
    2 * i16::from(block[SIGNS + 4 * group + 3] >> 4) + 1
}

impl Format for Block {
    const NAME: &'static str = "IQ3_XXS";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = SIGNS + 32;
    const OFFSET: u8 = 62;
    const GREATEST: u8 = 124;
    const SCALE_AT: Option<usize> = None;

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let code = |i: usize| usize::from(block[CODES + 8 * part + i]);
        let signs = word(block, SIGNS + 4 * part);
        let signs = even_signs([signs, signs >> 7, signs >> 14, signs >> 21]);
        let values = signed(joined(&grids::IQ3_XXS, code), signs);
        Part::scaled(block_scale(block) * f32::from(group_scale(block, part)), values)
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::grouped::<8>(block_scale(block), |group| group_scale(block, group))
    }
}
