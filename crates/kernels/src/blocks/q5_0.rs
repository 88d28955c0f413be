//! Q5_0: 32 weights share a half-precision scale `d`; weight i is `d · (qᵢ - 16)`, with qᵢ five bits.
//!
//! A block is 22 bytes: `d`, little endian; four bytes with the fifth bits, that of q₀ lowest in the first; 16
//! bytes whose lower halves are the rest of q₀ to q₁₅ and whose upper halves are that of q₁₆ to q₃₁. Nothing is
//! rounded when a block is widened. Making one is plain rounding, byte for byte as the reference does, with
//! `d = -w/16` for the weight w that is farthest from zero.
//!
//! Source: `block_q5_0` of the GGML project and its reference quantisation, as facts; `fixtures/blocks` holds what
//! their own package reads and writes.

use super::bits::{flags, half, nibbles, put_flags, put_half, put_nibbles};
use super::search::Whole;
use super::{BlockType, Format, Part, Scales, Writable, fives, plain};
use crate::lanes::bytes::Bytes;
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::Straight;

/// The type.
pub static Q5_0: BlockType = BlockType::writable::<Block>();

struct Block;

const FIFTH_BITS: usize = 2;
const CODES: usize = 6;
const MIDDLE: u8 = 16;

impl Format for Block {
    const NAME: &'static str = "Q5_0";
    const N_WEIGHTS: usize = 32;
    const N_BYTES: usize = CODES + 16;
    const OFFSET: u8 = MIDDLE;
    const GREATEST: u8 = 31;
    const SCALE_AT: Option<usize> = Some(0);
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = Some(&Straight::plain_on_avx2::<Self>(4));

    #[inline(always)]
    fn part(block: &[u8], _: usize) -> Part {
        let (low, high) = (nibbles(&block[CODES..]), flags(&block[FIFTH_BITS..]));
        let value = |i: usize| (low[i] | high[i] << 4) as i8 - MIDDLE as i8;
        Part::scaled(half(block, 0), std::array::from_fn(value))
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::one(half(block, 0))
    }

    #[inline(always)]
    unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], to: *mut u8) {
        // SAFETY: the caller's promises.
        unsafe { fives::pack::<Self, V>(rows, FIFTH_BITS, to) }
    }
}

impl Writable for Block {
    fn quantise(weights: &[f32], columns: Option<&[f32]>, block: &mut [u8]) {
        let made = plain::scaled::<Whole<-16, 15>>(weights, columns);
        put_half(block, 0, made.scale);
        put_flags(made.codes.iter().map(|code| code >> 4 == 1), &mut block[FIFTH_BITS..]);
        put_nibbles(&made.codes, &mut block[CODES..]);
    }
}
