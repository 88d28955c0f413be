//! Q6_K: 256 weights in sixteen groups of 16; weight i of a group is `(d · s) · (qᵢ - 32)`, with qᵢ six bits, the
//! group's scale s a signed byte and a half-precision `d` for the block.
//!
//! A block is 210 bytes: 128 bytes with the lower four bits of the codes, 64 with the upper two, sixteen scales,
//! `d` little endian. Each half of the first and of the second serves 128 weights: of the first, byte b holds
//! weight b in its lower half and weight b + 64 in its upper; of the second, from its lowest bits up, weights b,
//! b + 32, b + 64 and b + 96. Nothing is rounded when a block is widened. Making one searches: `search`.
//!
//! Source: `block_q6_K` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

use super::bits::{field, half, put_field, put_half};
use super::search::{Symmetric, Whole, symmetric};
use super::{BlockType, Format, Part, Scales, Writable};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::lanes::bytes::{Bytes, all_fields, all_joined, turn_16, turn_32};
use crate::product::integer::pack::{STEP, put};
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::{self, Straight};

/// The type.
pub static Q6_K: BlockType = BlockType::writable::<Block>();

struct Block;

const UPPER_BITS: usize = 128;
const SCALES: usize = 192;
const SCALE: usize = 208;

/// Where the lower bits of a part stand: its first byte and its lowest bit.
#[inline(always)]
fn lower_bits(part: usize) -> (usize, usize) {
    (64 * (part / 4) + 32 * (part % 2), 4 * (part % 4 / 2))
}

/// The whole scale of a group.
#[inline(always)]
fn group_scale(block: &[u8], group: usize) -> i16 {
    i16::from(block[SCALES + group] as i8)
}

impl Format for Block {
    const NAME: &'static str = "Q6_K";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = SCALE + 2;
    const OFFSET: u8 = 32;
    const GREATEST: u8 = 63;
    const GROUP: usize = 16;
    const SCALE_AT: Option<usize> = Some(SCALE);
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = Some(&Straight::grouped::<Self>([4, 4]));

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let (first, shift) = lower_bits(part);
        let low = field(&block[first..], shift, 15);
        let high = field(&block[UPPER_BITS + 32 * (part / 4)..], 2 * (part % 4), 3);
        let values = std::array::from_fn(|i| (low[i] | high[i] << 4) as i8 - 32);
        Part::halved(half(block, SCALE), [0, 1].map(|half| group_scale(block, 2 * part + half)), values)
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::grouped::<16>(half(block, SCALE), |group| group_scale(block, group))
    }

    #[inline(always)]
    unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], to: *mut u8) {
        // SAFETY: the caller's promises.
        unsafe {
            for half in 0..2 {
                let upper = turn_32::<V>(rows, UPPER_BITS + 32 * half);
                for first in 0..2 {
                    let both = turn_32::<V>(rows, 64 * half + 32 * first);
                    for quarter in [first, first + 2] {
                        let high = all_fields(upper, 2 * quarter as i32, 3);
                        let codes = all_joined(all_fields(both, 4 * (quarter as i32 / 2), 15), high, 4);
                        put(codes, to, 8 * (4 * half + quarter));
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn pack_groups<V: Bytes>(rows: &[*const u8; 16], (scales, _): (*mut i32, *mut i32)) {
        // SAFETY: the caller's promises.
        unsafe {
            let turned = turn_16::<V>(rows, SCALES);
            for four in 0..4 {
                for index in 0..4 {
                    turned[four]
                        .widen(index as i32)
                        .store(scales.cast::<u8>().add((4 * four + index) * STEP));
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
            let (low, high) = (_mm256_set1_epi8(15), _mm256_set1_epi8(0x30));
            let mut codes = [_mm256_setzero_si256(); 8];
            for half in 0..2 {
                let upper = _mm256_loadu_si256(block.add(UPPER_BITS + 32 * half).cast());
                let moved = [
                    _mm256_slli_epi16::<4>(upper),
                    _mm256_slli_epi16::<2>(upper),
                    upper,
                    _mm256_srli_epi16::<2>(upper),
                ];
                for first in 0..2 {
                    let both = _mm256_loadu_si256(block.add(64 * half + 32 * first).cast());
                    let lower = [both, _mm256_srli_epi16::<4>(both)];
                    for quarter in [first, first + 2] {
                        let upper = _mm256_and_si256(moved[quarter], high);
                        let lower = _mm256_and_si256(lower[quarter / 2], low);
                        codes[4 * half + quarter] = _mm256_or_si256(upper, lower);
                    }
                }
            }
            codes
        }
    }

    #[inline(always)]
    unsafe fn scales_of_sixteens(block: *const u8) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(block.add(SCALES).cast())) }
    }
}

#[cfg(target_arch = "x86_64")]
impl straight::GroupedVnni for Block {
    #[inline(always)]
    unsafe fn codes(block: *const u8) -> [__m512i; 4] {
        // SAFETY: the caller's block and machine.
        unsafe {
            let shifts =
                |lower, upper| _mm512_inserti64x4::<1>(_mm512_set1_epi16(lower), _mm256_set1_epi16(upper));
            let (low, high) = (_mm512_set1_epi8(15), _mm512_set1_epi8(0x30));
            let mut codes = [_mm512_setzero_si512(); 4];
            for half in 0..2 {
                let both = _mm512_loadu_si512(block.add(64 * half).cast());
                let upper = _mm256_loadu_si256(block.add(UPPER_BITS + 32 * half).cast());
                let upper = _mm512_broadcast_i64x4(upper);
                let moved = [_mm512_sllv_epi16(upper, shifts(4, 2)), _mm512_srlv_epi16(upper, shifts(0, 2))];
                let lower = [both, _mm512_srli_epi16::<4>(both)];
                for quarters in 0..2 {
                    let upper = _mm512_and_si512(moved[quarters], high);
                    codes[2 * half + quarters] =
                        _mm512_or_si512(upper, _mm512_and_si512(lower[quarters], low));
                }
            }
            codes
        }
    }

    #[inline(always)]
    unsafe fn scales_of_fours(block: *const u8) -> [__m512i; 4] {
        // SAFETY: as above.
        unsafe {
            let scales = _mm256_cvtepi8_epi16(_mm_loadu_si128(block.add(SCALES).cast()));
            let scales = _mm512_castsi256_si512(scales);
            // The first scale for the first four numbers of 32 bits, and so on.
            let first = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
            let mut fours = [scales; 4];
            for part in 0..4 {
                let place = _mm512_add_epi32(first, _mm512_set1_epi32(4 * part as i32));
                fours[part] = _mm512_maskz_permutexvar_epi16(0x5555_5555, place, scales);
            }
            fours
        }
    }

    #[inline(always)]
    unsafe fn groups(block: *const u8) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(block.add(SCALES).cast())) }
    }
}

impl Writable for Block {
    fn quantise(weights: &[f32], columns: Option<&[f32]>, block: &mut [u8]) {
        let made: Symmetric<16> = symmetric::<Whole<-32, 31>, Whole<-128, 127>, 16>(weights, columns);
        block.fill(0);
        put_half(block, SCALE, made.scale);
        block[SCALES..SCALE].copy_from_slice(&made.scales.map(|scale| scale as u8));
        for (part, values) in made.values.chunks_exact(32).enumerate() {
            let codes = values.iter().map(|value| value.wrapping_add(32) as u8);
            let (first, shift) = lower_bits(part);
            put_field(codes.clone().map(|code| code & 15), shift, &mut block[first..]);
            put_field(
                codes.map(|code| code >> 4),
                2 * (part % 4),
                &mut block[UPPER_BITS + 32 * (part / 4)..],
            );
        }
    }
}
