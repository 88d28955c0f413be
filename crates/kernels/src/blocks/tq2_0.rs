//! TQ2_0: 256 weights share a half-precision scale `d`; weight i is `d · (qᵢ - 1)`, with qᵢ two bits. Only -1, 0 and 1
//! are written; a 2 is read as well.
//!
//! A block is 66 bytes: 64 bytes of codes, 32 for 128 weights, the lowest two bits those of the first 32; then `d`, little
//! endian. Nothing is rounded when a block is widened. For reading only.
//!
//! Source: `block_tq2_0` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

use super::bits::{field, half};
use super::{BlockType, Format, Part, Scales};

/// The type.
pub static TQ2_0: BlockType = BlockType::of::<Block>();

struct Block;

const SCALE: usize = 64;

impl Format for Block {
    const NAME: &'static str = "TQ2_0";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = SCALE + 2;
    const OFFSET: u8 = 1;
    const GREATEST: u8 = 3;
    const WHOLE_SCALES: [i16; 2] = [1, 1];
    const SCALE_AT: Option<usize> = Some(SCALE);

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let codes = field(&block[32 * (part / 4)..], 2 * (part % 4), 3);
        Part::scaled(half(block, SCALE), codes.map(|code| code as i8 - 1))
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::one(half(block, SCALE))
    }
}
