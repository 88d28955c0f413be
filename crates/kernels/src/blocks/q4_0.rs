//! Q4_0: 32 weights share a half-precision scale `d`; weight i is `d · (qᵢ - 8)`, with qᵢ four bits.
//!
//! A block is 18 bytes: `d`, little endian, then 16 bytes whose lower halves are q₀ to q₁₅ and whose upper halves
//! are q₁₆ to q₃₁. Nothing is rounded when a block is widened. Making one is plain rounding, byte for byte as the
//! reference does, with `d = -w/8` for the weight w that is farthest from zero.
//!
//! Source: `block_q4_0` of the GGML project and its reference quantisation, as facts; `fixtures/blocks` holds what
//! their own package reads and writes.

use super::bits::{half, nibbles, put_half, put_nibbles};
use super::search::Whole;
use super::{BlockType, Format, Part, Scales, Writable, plain};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::lanes::bytes::{Bytes, turn_nibbles};
use crate::product::integer::pack::put;
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::{self, Straight};

/// The type.
pub static Q4_0: BlockType = BlockType::writable::<Block>();

struct Block;

const CODES: usize = 2;
const MIDDLE: u8 = 8;

impl Format for Block {
    const NAME: &'static str = "Q4_0";
    const N_WEIGHTS: usize = 32;
    const N_BYTES: usize = CODES + 16;
    const OFFSET: u8 = MIDDLE;
    const GREATEST: u8 = 15;
    const SCALE_AT: Option<usize> = Some(0);
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = Some(&Straight::plain::<Self>([1, 4]));

    #[inline(always)]
    fn part(block: &[u8], _: usize) -> Part {
        let codes = nibbles(&block[CODES..]);
        Part::scaled(half(block, 0), codes.map(|code| code as i8 - MIDDLE as i8))
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::one(half(block, 0))
    }

    #[inline(always)]
    unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], to: *mut u8) {
        // SAFETY: the caller's promises.
        unsafe {
            put(turn_nibbles::<V>(rows, CODES), to, 0);
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl straight::Plain for Block {
    #[inline(always)]
    unsafe fn codes(blocks: *const u8) -> __m512i {
        // SAFETY: the caller's blocks and machine.
        unsafe {
            let twice = |block: usize| {
                let codes = _mm_loadu_si128(blocks.add(block * Self::N_BYTES + CODES).cast());
                _mm256_broadcastsi128_si256(codes)
            };
            let both = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(twice(0)), twice(1));
            let shifts = _mm512_setr_epi64(0, 0, FOUR, FOUR, 0, 0, FOUR, FOUR);
            _mm512_and_si512(_mm512_srlv_epi16(both, shifts), _mm512_set1_epi8(15))
        }
    }
}

/// Four for each 16 bits.
#[cfg(target_arch = "x86_64")]
const FOUR: i64 = 0x0004_0004_0004_0004;

impl Writable for Block {
    fn quantise(weights: &[f32], columns: Option<&[f32]>, block: &mut [u8]) {
        let made = plain::scaled::<Whole<-8, 7>>(weights, columns);
        put_half(block, 0, made.scale);
        put_nibbles(&made.codes, &mut block[CODES..]);
    }
}
