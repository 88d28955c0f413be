//! Q3_K: 256 weights in sixteen groups of 16; weight i of a group is `(d · (s - 32)) · (qᵢ - 4)`, with qᵢ three
//! bits, the group's scale s six bits and a half-precision `d` for the block.
//!
//! A block is 110 bytes: 32 bytes with the third bits of the codes, 64 bytes with the others, twelve bytes of
//! scales, `d` little endian. Bit p of byte b is the third bit of weight `32 · p + b`. Each half of the 64 bytes
//! serves 128 weights: byte b holds, from its lowest bits up, weights b, b + 32, b + 64 and b + 96. The lower four
//! bits of scales 0 to 7 are the lower halves of the first eight bytes of scales, those of 8 to 15 the upper halves;
//! the two bits above are those of the last four bytes: byte b holds, from its lowest bits up, scales b, b + 4,
//! b + 8 and b + 12. Nothing is rounded when a block is widened. Making one searches: `search`.
//!
//! Source: `block_q3_K` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
use super::bits::avx2;
use super::bits::{field, half, put_field, put_half};
use super::search::{Symmetric, Whole, symmetric};
use super::{BlockType, Format, Part, Scales, Writable};
use crate::lanes::bytes::{Bytes, all_fields, all_joined, turn_32};
use crate::product::integer::pack::put;
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::{self, Straight};

/// The type.
pub static Q3_K: BlockType = BlockType::writable::<Block>();

struct Block;

const CODES: usize = 32;
const SCALES: usize = 96;
const SCALE: usize = 108;
/// What a scale of six bits stands above.
const MIDDLE: u8 = 32;

/// The whole scale of a group.
#[inline(always)]
fn group_scale(scales: &[u8], group: usize) -> i16 {
    let low = scales[group % 8] >> (4 * (group / 8)) & 15;
    let high = scales[8 + group % 4] >> (2 * (group / 4)) & 3;
    i16::from(low | high << 4) - i16::from(MIDDLE)
}

impl Format for Block {
    const NAME: &'static str = "Q3_K";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = SCALE + 2;
    const OFFSET: u8 = 4;
    const GREATEST: u8 = 7;
    const GROUP: usize = 16;
    const WHOLE_SCALES: [i16; 2] = [-32, 31];
    const SCALE_AT: Option<usize> = Some(SCALE);
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = Some(&Straight::grouped_on_avx2::<Self>(4));

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let low = field(&block[CODES + 32 * (part / 4)..], 2 * (part % 4), 3);
        let high = field(block, part, 1);
        let groups = [0, 1].map(|half| group_scale(&block[SCALES..SCALE], 2 * part + half));
        let values = std::array::from_fn(|i| (low[i] | high[i] << 2) as i8 - 4);
        Part::halved(half(block, SCALE), groups, values)
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::grouped::<16>(half(block, SCALE), |group| group_scale(&block[SCALES..SCALE], group))
    }

    #[inline(always)]
    unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], to: *mut u8) {
        // SAFETY: the caller's promises.
        unsafe {
            let third_bits = turn_32::<V>(rows, 0);
            for half in 0..2 {
                let low = turn_32::<V>(rows, CODES + 32 * half);
                for quarter in 0..4 {
                    let part = 4 * half + quarter;
                    let high = all_fields(third_bits, part as i32, 1);
                    let codes = all_joined(all_fields(low, 2 * quarter as i32, 3), high, 2);
                    put(codes, to, 8 * part);
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
        unsafe {
            let high = _mm256_set1_epi8(4);
            let bits = _mm256_loadu_si256(block.cast());
            // For each part those bits where its codes have them.
            let moved = [
                _mm256_slli_epi16::<2>(bits),
                _mm256_slli_epi16::<1>(bits),
                bits,
                _mm256_srli_epi16::<1>(bits),
                _mm256_srli_epi16::<2>(bits),
                _mm256_srli_epi16::<3>(bits),
                _mm256_srli_epi16::<4>(bits),
                _mm256_srli_epi16::<5>(bits),
            ];
            let mut codes = avx2::quarters(block.add(CODES));
            for part in 0..8 {
                let upper = _mm256_and_si256(moved[part], high);
                codes[part] = _mm256_or_si256(codes[part], upper);
            }
            codes
        }
    }

    #[inline(always)]
    unsafe fn scales_of_sixteens(block: *const u8) -> __m256i {
        // SAFETY: as above.
        unsafe {
            let lower = block.add(SCALES).cast::<u64>().read_unaligned();
            let upper = block.add(SCALES + 8).cast::<u32>().read_unaligned();
            // Four scales each, their upper two bits where a byte has them.
            let four = |moved: u32| u64::from(moved & 0x3030_3030);
            let upper = [four(upper << 4) | four(upper << 2) << 32, four(upper) | four(upper >> 2) << 32];
            let lower = [lower, lower >> 4].map(|lower| lower & 0x0f0f_0f0f_0f0f_0f0f);
            let scales = _mm_set_epi64x((lower[1] | upper[1]) as i64, (lower[0] | upper[0]) as i64);
            _mm256_sub_epi16(_mm256_cvtepu8_epi16(scales), _mm256_set1_epi16(i16::from(MIDDLE)))
        }
    }
}

impl Writable for Block {
    fn quantise(weights: &[f32], columns: Option<&[f32]>, block: &mut [u8]) {
        let made: Symmetric<16> = symmetric::<Whole<-4, 3>, Whole<-32, 31>, 16>(weights, columns);
        block.fill(0);
        put_half(block, SCALE, made.scale);
        for (group, scale) in made.scales.iter().enumerate() {
            let scale = scale.wrapping_add_unsigned(MIDDLE) as u8;
            block[SCALES + group % 8] |= (scale & 15) << (4 * (group / 8));
            block[SCALES + 8 + group % 4] |= scale >> 4 << (2 * (group / 4));
        }
        for (part, values) in made.values.chunks_exact(32).enumerate() {
            let codes = values.iter().map(|value| value.wrapping_add(4) as u8);
            put_field(codes.clone().map(|code| code >> 2), part, block);
            put_field(codes.map(|code| code & 3), 2 * (part % 4), &mut block[CODES + 32 * (part / 4)..]);
        }
    }
}
