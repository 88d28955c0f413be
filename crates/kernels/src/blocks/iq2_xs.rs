//! IQ2_XS: 256 weights in 16 groups of 16; weight i of a group is `(d/8 · (2s + 1)) · ±gᵢ`, where eight neighbours are a
//! row of a code book of 512 with magnitudes 8, 25 and 43 and have seven bits of signs and an even number of minuses,
//! the group's scale s four bits and a half-precision `d` for the block.
//!
//! A block is 74 bytes: `d`; 32 numbers of 16 bits, whose lower nine are a code and whose upper seven its signs; eight
//! bytes of scales, even ones in the lower halves; all little endian. Nothing is rounded when a block is widened. For
//! reading only.
//!
//! Source: `block_iq2_xs` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

use super::grids::{self, eighth_scale, even_signs, joined, odd_scale, signed};
use super::{BlockType, Format, Part, Scales};

/// The type.
pub static IQ2_XS: BlockType = BlockType::of::<Block>();

struct Block;

const CODES: usize = 2;
const SCALES: usize = CODES + 64;

/// The whole scale of a group.
#[inline(always)]
fn group_scale(block: &[u8], group: usize) -> i16 {
    odd_scale(block, SCALES, group)
}

impl Format for Block {
    const NAME: &'static str = "IQ2_XS";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = SCALES + 8;
    const OFFSET: u8 = 43;
    const GREATEST: u8 = 86;
    const GROUP: usize = 16;
    const SCALE_AT: Option<usize> = None;

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let codes: [u16; 4] = std::array::from_fn(|i| {
            let at = CODES + 8 * part + 2 * i;
            u16::from_le_bytes([block[at], block[at + 1]])
        });
        let signs = even_signs(codes.map(|code| u32::from(code >> 9)));
        let values = signed(joined(&grids::IQ2_XS, |i| usize::from(codes[i] & 511)), signs);
        Part::halved(eighth_scale(block), [0, 1].map(|half| group_scale(block, 2 * part + half)), values)
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::grouped::<16>(eighth_scale(block), |group| group_scale(block, group))
    }
}
