//! IQ4_XS: 256 weights in eight groups of 32; weight i of a group is `(d · (s - 32)) · level(qᵢ)`, with qᵢ four bits,
//! the levels of IQ4_NL, the group's scale s six bits and a half-precision `d` for the block.
//!
//! A block is 136 bytes: `d`; two bytes with the upper two bits of the scales, those of scale 0 lowest; four bytes
//! with their lower four bits, even ones in the lower halves; 16 bytes of codes for each group, whose lower halves
//! are its first 16 weights; all little endian. Nothing is rounded when a block is widened. Making one searches:
//! `search`.
//!
//! Source: `block_iq4_xs` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
use super::bits::avx2;
use super::bits::{half, nibbles, put_half, put_nibbles};
use super::iq4_nl::RAISED;
use super::iq4_nl::{LEVELS, Uneven, code};
use super::search::{Symmetric, Whole, symmetric};
use super::{BlockType, Format, Part, Scales, Writable};
use crate::lanes::bytes::{Bytes, all_levels, turn_nibbles};
use crate::product::integer::pack::put;
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::{self, Straight};

/// The type.
pub static IQ4_XS: BlockType = BlockType::writable::<Block>();

struct Block;

const UPPER_BITS: usize = 2;
const LOWER_BITS: usize = 4;
const CODES: usize = 8;
/// What a scale of six bits stands above.
const MIDDLE: u8 = 32;

/// The whole scale of a group.
#[inline(always)]
fn group_scale(block: &[u8], group: usize) -> i16 {
    let low = block[LOWER_BITS + group / 2] >> (4 * (group % 2)) & 15;
    let high = block[UPPER_BITS + group / 4] >> (2 * (group % 4)) & 3;
    i16::from(low | high << 4) - i16::from(MIDDLE)
}

impl Format for Block {
    const NAME: &'static str = "IQ4_XS";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = CODES + 128;
    const OFFSET: u8 = 128;
    const GREATEST: u8 = 241;
    const WHOLE_SCALES: [i16; 2] = [-32, 31];
    const SCALE_AT: Option<usize> = Some(0);
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = Some(&Straight::grouped_on_avx2::<Self>(4));

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let scale = half(block, 0) * f32::from(group_scale(block, part));
        let codes = nibbles(&block[CODES + 16 * part..]);
        Part::scaled(scale, codes.map(|code| LEVELS[usize::from(code & 15)]))
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::grouped::<8>(half(block, 0), |group| group_scale(block, group))
    }

    #[inline(always)]
    unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], to: *mut u8) {
        // SAFETY: the caller's promises.
        unsafe {
            for part in 0..8 {
                let codes = turn_nibbles::<V>(rows, CODES + 16 * part);
                put(all_levels(codes, &RAISED), to, 8 * part);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl straight::Grouped for Block {
    #[inline(always)]
    unsafe fn codes_by_32(block: *const u8) -> [__m256i; 8] {
        // SAFETY: the caller's block and machine.
        unsafe {
            let mut codes = [_mm256_setzero_si256(); 8];
            for part in 0..8 {
                codes[part] = avx2::levels(avx2::nibbles(block.add(CODES + 16 * part)), &RAISED);
            }
            codes
        }
    }

    #[inline(always)]
    unsafe fn scales_of_sixteens(block: *const u8) -> __m256i {
        // SAFETY: as above.
        unsafe {
            let lower = u64::from(block.add(LOWER_BITS).cast::<u32>().read_unaligned());
            let upper = u64::from(block.add(UPPER_BITS).cast::<u16>().read_unaligned());
            // Half by half to where a byte for each scale has them.
            let lower = (lower | lower << 16) & 0x0000_ffff_0000_ffff;
            let lower = (lower | lower << 8) & 0x00ff_00ff_00ff_00ff;
            let lower = (lower | lower << 4) & 0x0f0f_0f0f_0f0f_0f0f;
            let upper = (upper | upper << 24) & 0x0000_00ff_0000_00ff;
            let upper = (upper | upper << 12) & 0x000f_000f_000f_000f;
            let upper = (upper | upper << 6) & 0x0303_0303_0303_0303;
            let scales = _mm_cvtsi64_si128((lower | upper << 4) as i64);
            let scales = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(scales, scales));
            _mm256_sub_epi16(scales, _mm256_set1_epi16(i16::from(MIDDLE)))
        }
    }
}

impl Writable for Block {
    fn quantise(weights: &[f32], columns: Option<&[f32]>, block: &mut [u8]) {
        let made: Symmetric<8> = symmetric::<Uneven, Whole<-32, 31>, 8>(weights, columns);
        block.fill(0);
        put_half(block, 0, made.scale);
        for (group, scale) in made.scales.iter().enumerate() {
            let scale = scale.wrapping_add_unsigned(MIDDLE) as u8;
            block[UPPER_BITS + group / 4] |= scale >> 4 << (2 * (group % 4));
            block[LOWER_BITS + group / 2] |= (scale & 15) << (4 * (group % 2));
        }
        for (group, values) in made.values.as_chunks::<32>().0.iter().enumerate() {
            put_nibbles(&values.map(code), &mut block[CODES + 16 * group..][..16]);
        }
    }
}
