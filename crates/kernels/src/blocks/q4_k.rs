//! Q4_K: 256 weights in eight groups of 32; weight i of a group is `(d · s) · qᵢ - dₘ · m`, with qᵢ four bits, the
//! group's scale s and minimum m six bits each, and half-precision `d` and `dₘ` for the block.
//!
//! A block is 144 bytes: `d`; `dₘ`, little endian; twelve bytes of scales and minima (`pairs`); 128 bytes of codes,
//! 32 for two groups: the lower halves are the first group's, the upper the second's. The difference is rounded to
//! f32, nothing else. Making one searches: `search`.
//!
//! Source: `block_q4_K` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

use super::bits::{field, half, put_field, put_half};
use super::pairs::{pair, put_pairs};
use super::search::{Affine, Whole, affine};
use super::{BlockType, Format, Part, Scales, Writable, pairs};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
use crate::lanes::bytes::Bytes32;
use crate::lanes::bytes::{Bytes, all_fields, turn_32};
use crate::product::integer::pack::put;
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::{self, Straight};

/// The type.
pub static Q4_K: BlockType = BlockType::writable::<Block>();

struct Block;

const MINIMUM: usize = 2;
const PAIRS: usize = 4;
const CODES: usize = PAIRS + pairs::N_BYTES;

impl Format for Block {
    const NAME: &'static str = "Q4_K";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = CODES + 128;
    const OFFSET: u8 = 0;
    const GREATEST: u8 = 15;
    const WHOLE_SCALES: [i16; 2] = [0, 63];
    const HAS_MINIMA: bool = true;
    const SCALE_AT: Option<usize> = Some(0);
    const MINIMUM_AT: Option<usize> = Some(MINIMUM);
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = Some(&Straight::turned::<Self>([3, 4]));

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let (scale, minimum) = pair(&block[PAIRS..], part);
        let codes = field(&block[CODES + 32 * (part / 2)..], 4 * (part % 2), 15);
        let minimum = half(block, MINIMUM) * f32::from(minimum);
        let values = codes.map(|code| code as i8);
        Part { minima: [minimum; 2], ..Part::scaled(half(block, 0) * f32::from(scale), values) }
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        let (groups, minima) = pairs::whole(&block[PAIRS..]);
        Scales { minimum: half(block, MINIMUM), groups, minima, ..Scales::one(half(block, 0)) }
    }

    #[inline(always)]
    unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], to: *mut u8) {
        // SAFETY: the caller's promises.
        unsafe {
            for two in 0..4 {
                let both = turn_32::<V>(rows, CODES + 32 * two);
                put(all_fields(both, 0, 15), to, 16 * two);
                put(all_fields(both, 4, 15), to, 16 * two + 8);
            }
        }
    }

    #[inline(always)]
    unsafe fn pack_groups<V: Bytes>(rows: &[*const u8; 16], to: (*mut i32, *mut i32)) {
        // SAFETY: the caller's promises.
        unsafe { pairs::pack::<V>(rows, to) }
    }
}

#[cfg(target_arch = "x86_64")]
impl straight::Turned for Block {
    #[inline(always)]
    unsafe fn two_groups<const TWO: usize>(blocks: &[*const u8; 16]) -> [[Bytes32; 8]; 2] {
        // SAFETY: the caller's blocks and machine.
        unsafe {
            let both = turn_32(blocks, CODES + 32 * TWO);
            [all_fields(both, 0, 15), all_fields(both, 4, 15)]
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl straight::GroupedVnni for Block {
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> [__m512i; 4] {
        // SAFETY: the caller's block and machine.
        unsafe {
            let shifts = _mm512_inserti64x4::<1>(_mm512_setzero_si512(), _mm256_set1_epi16(4));
            let mut codes = [_mm512_setzero_si512(); 4];
            for two in 0..4 {
                let both = _mm256_loadu_si256(block.add(CODES + 32 * two).cast());
                let shifted = _mm512_srlv_epi16(_mm512_broadcast_i64x4(both), shifts);
                codes[two] = _mm512_and_si512(shifted, _mm512_set1_epi8(15));
            }
            codes
        }
    }

    #[inline(always)]
    unsafe fn scales_of_fours(block: *const u8) -> [__m512i; 4] {
        // SAFETY: as above.
        unsafe { pairs::scales_of_fours(block.add(PAIRS)) }
    }

    #[inline(always)]
    unsafe fn minima(block: *const u8) -> __m128i {
        // SAFETY: as above.
        unsafe { pairs::minima(block.add(PAIRS)) }
    }
}

impl Writable for Block {
    fn quantise(weights: &[f32], columns: Option<&[f32]>, block: &mut [u8]) {
        let made: Affine<8> = affine::<Whole<0, 15>, Whole<0, 63>, 8>(weights, columns);
        block.fill(0);
        put_half(block, 0, made.scale);
        put_half(block, MINIMUM, made.minimum);
        put_pairs(&made.scales, &made.minima, &mut block[PAIRS..CODES]);
        for (part, codes) in made.codes.chunks_exact(32).enumerate() {
            put_field(codes.iter().copied(), 4 * (part % 2), &mut block[CODES + 32 * (part / 2)..]);
        }
    }
}
