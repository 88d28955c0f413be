//! Q4_1: 32 weights share a half-precision scale `d` and minimum `m`; weight i is `d · qᵢ + m`, with qᵢ four bits.
//!
//! A block is 20 bytes: `d` and `m`, little endian, then 16 bytes whose lower halves are q₀ to q₁₅ and whose upper
//! halves are q₁₆ to q₃₁. The sum is rounded to f32. Making one is plain rounding between the least weight and the
//! greatest, byte for byte as the reference does.
//!
//! Source: `block_q4_1` of the GGML project and its reference quantisation, as facts; `fixtures/blocks` holds what
//! their own package reads and writes.

use super::bits::{half, nibbles, put_half, put_nibbles};
use super::search::Whole;
use super::{BlockType, Format, Part, Scales, Writable, plain};

use crate::lanes::bytes::{Bytes, turn_nibbles};
use crate::product::integer::pack::put;
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::Straight;

/// The type.
pub static Q4_1: BlockType = BlockType::writable::<Block>();

struct Block;

const MINIMUM: usize = 2;
const CODES: usize = 4;
const TOP: u8 = 15;

impl Format for Block {
    const NAME: &'static str = "Q4_1";
    const N_WEIGHTS: usize = 32;
    const N_BYTES: usize = CODES + 16;
    const OFFSET: u8 = 0;
    const GREATEST: u8 = TOP;
    const HAS_MINIMA: bool = true;
    const SCALE_AT: Option<usize> = Some(0);
    const MINIMUM_AT: Option<usize> = Some(MINIMUM);
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = Some(&Straight::plain_on_avx2::<Self>(4));

    #[inline(always)]
    fn part(block: &[u8], _: usize) -> Part {
        let values = nibbles(&block[CODES..]).map(|code| code as i8);
        Part { minima: [-half(block, MINIMUM); 2], ..Part::scaled(half(block, 0), values) }
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales { minimum: -half(block, MINIMUM), ..Scales::one(half(block, 0)) }
    }

    #[inline(always)]
    unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], to: *mut u8) {
        // SAFETY: the caller's promises.
        unsafe {
            put(turn_nibbles::<V>(rows, CODES), to, 0);
        }
    }
}

impl Writable for Block {
    fn quantise(weights: &[f32], columns: Option<&[f32]>, block: &mut [u8]) {
        let made = plain::lifted::<Whole<0, 15>>(weights, columns);
        put_half(block, 0, made.scale);
        put_half(block, MINIMUM, made.minimum);
        put_nibbles(&made.codes, &mut block[CODES..]);
    }
}
