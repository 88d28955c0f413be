//! Q2_K: 256 weights in sixteen groups of 16; weight i of a group is `(d · s) · qᵢ - dₘ · m`, with qᵢ two bits, the
//! group's scale s and minimum m four bits each, and half-precision `d` and `dₘ` for the block.
//!
//! A block is 84 bytes: a byte for each group, its lower half s, its upper half m; 64 bytes of codes; `d`; `dₘ`,
//! little endian. Each half of the codes serves 128 weights: byte b holds, from its lowest bits up, the codes of
//! weights b, b + 32, b + 64 and b + 96. The difference is rounded to f32, nothing else. Making one searches:
//! `search`.
//!
//! Source: `block_q2_K` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
use super::bits::avx2;
use super::bits::{field, half, put_field, put_half};
use super::search::{Affine, Whole, affine};
use super::{BlockType, Format, Part, Scales, Writable};
use crate::lanes::bytes::{Bytes, all_fields, turn_32};
use crate::product::integer::pack::put;
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::{self, Straight};

/// The type.
pub static Q2_K: BlockType = BlockType::writable::<Block>();

struct Block;

const CODES: usize = 16;
const SCALE: usize = 80;
const MINIMUM: usize = 82;

impl Format for Block {
    const NAME: &'static str = "Q2_K";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = MINIMUM + 2;
    const OFFSET: u8 = 0;
    const GREATEST: u8 = 3;
    const GROUP: usize = 16;
    const WHOLE_SCALES: [i16; 2] = [0, 15];
    const HAS_MINIMA: bool = true;
    const SCALE_AT: Option<usize> = Some(SCALE);
    const MINIMUM_AT: Option<usize> = Some(MINIMUM);
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = Some(&Straight::grouped_on_avx2::<Self>(4));

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let (scale, minimum) = (half(block, SCALE), half(block, MINIMUM));
        let groups = [block[2 * part], block[2 * part + 1]];
        let codes = field(&block[CODES + 32 * (part / 4)..], 2 * (part % 4), 3);
        Part {
            scales: groups.map(|group| scale * f32::from(group & 15)),
            minima: groups.map(|group| minimum * f32::from(group >> 4)),
            values: codes.map(|code| code as i8),
        }
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales {
            minimum: half(block, MINIMUM),
            groups: std::array::from_fn(|group| i16::from(block[group] & 15)),
            minima: std::array::from_fn(|group| block[group] >> 4),
            ..Scales::one(half(block, SCALE))
        }
    }

    #[inline(always)]
    unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], to: *mut u8) {
        // SAFETY: the caller's promises.
        unsafe {
            for half in 0..2 {
                let codes = turn_32::<V>(rows, CODES + 32 * half);
                for quarter in 0..4 {
                    put(all_fields(codes, 2 * quarter as i32, 3), to, 8 * (4 * half + quarter));
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl straight::Grouped for Block {
    #[inline(always)]
    unsafe fn codes_by_32(block: *const u8) -> [__m256i; 8] {
        // SAFETY: the caller's block and machine.
        unsafe { avx2::quarters(block.add(CODES)) }
    }

    #[inline(always)]
    unsafe fn scales_of_sixteens(block: *const u8) -> __m256i {
        // SAFETY: as above.
        unsafe {
            let both = _mm_loadu_si128(block.cast());
            _mm256_cvtepu8_epi16(_mm_and_si128(both, _mm_set1_epi8(15)))
        }
    }

    #[inline(always)]
    unsafe fn minima_of_sixteen(block: *const u8) -> __m256i {
        // SAFETY: as above.
        unsafe {
            let both = _mm_loadu_si128(block.cast());
            _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16::<4>(both), _mm_set1_epi8(15)))
        }
    }
}

impl Writable for Block {
    fn quantise(weights: &[f32], columns: Option<&[f32]>, block: &mut [u8]) {
        let made: Affine<16> = affine::<Whole<0, 3>, Whole<0, 15>, 16>(weights, columns);
        block.fill(0);
        put_half(block, SCALE, made.scale);
        put_half(block, MINIMUM, made.minimum);
        for group in 0..16 {
            block[group] = made.scales[group] | made.minima[group] << 4;
        }
        for (part, codes) in made.codes.chunks_exact(32).enumerate() {
            put_field(codes.iter().copied(), 2 * (part % 4), &mut block[CODES + 32 * (part / 4)..]);
        }
    }
}
