//! Q5_K: 256 weights in eight groups of 32; weight i of a group is `(d · s) · qᵢ - dₘ · m`, with qᵢ five bits, the
//! group's scale s and minimum m six bits each, and half-precision `d` and `dₘ` for the block.
//!
//! A block is 176 bytes: `d`; `dₘ`, little endian; twelve bytes of scales and minima (`pairs`); 32 bytes with the
//! fifth bits, bit p of byte b that of weight `32 · p + b`; 128 bytes with the other bits, 32 for two groups: the
//! lower halves are the first group's, the upper the second's. The difference is rounded to f32, nothing else.
//! Making one searches: `search`.
//!
//! Source: `block_q5_K` of the GGML project, as a fact; `fixtures/blocks` holds what their own package reads.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::bits::{field, half, put_field, put_half};
use super::pairs::{pair, put_pairs};
use super::search::{Affine, Whole, affine};
use super::{BlockType, Format, Part, Scales, Writable, pairs};
use crate::lanes::bytes::{Bytes, all_fields, all_joined, turn_32};
use crate::product::integer::pack::put;
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::{self, Straight};

/// The type.
pub static Q5_K: BlockType = BlockType::writable::<Block>();

struct Block;

const MINIMUM: usize = 2;
const PAIRS: usize = 4;
const FIFTH_BITS: usize = PAIRS + pairs::N_BYTES;
const CODES: usize = FIFTH_BITS + 32;

impl Format for Block {
    const NAME: &'static str = "Q5_K";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = CODES + 128;
    const OFFSET: u8 = 0;
    const GREATEST: u8 = 31;
    const WHOLE_SCALES: [i16; 2] = [0, 63];
    const HAS_MINIMA: bool = true;
    const SCALE_AT: Option<usize> = Some(0);
    const MINIMUM_AT: Option<usize> = Some(MINIMUM);
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = Some(&Straight::grouped_on_avx2::<Self>(4));

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let (scale, minimum) = pair(&block[PAIRS..], part);
        let low = field(&block[CODES + 32 * (part / 2)..], 4 * (part % 2), 15);
        let high = field(&block[FIFTH_BITS..], part, 1);
        let values = std::array::from_fn(|i| (low[i] | high[i] << 4) as i8);
        let minimum = half(block, MINIMUM) * f32::from(minimum);
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
            let fifth_bits = turn_32::<V>(rows, FIFTH_BITS);
            for two in 0..4 {
                let both = turn_32::<V>(rows, CODES + 32 * two);
                for which in 0..2 {
                    let part = 2 * two + which;
                    let high = all_fields(fifth_bits, part as i32, 1);
                    let codes = all_joined(all_fields(both, 4 * which as i32, 15), high, 4);
                    put(codes, to, 8 * part);
                }
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
impl straight::Grouped for Block {
    #[inline(always)]
    unsafe fn codes_by_32(block: *const u8) -> [__m256i; 8] {
        // SAFETY: the caller's block and machine.
        unsafe {
            let (low, high) = (_mm256_set1_epi8(15), _mm256_set1_epi8(16));
            let bits = _mm256_loadu_si256(block.add(FIFTH_BITS).cast());
            // For each part those bits where its codes have them.
            let moved = [
                _mm256_slli_epi16::<4>(bits),
                _mm256_slli_epi16::<3>(bits),
                _mm256_slli_epi16::<2>(bits),
                _mm256_slli_epi16::<1>(bits),
                bits,
                _mm256_srli_epi16::<1>(bits),
                _mm256_srli_epi16::<2>(bits),
                _mm256_srli_epi16::<3>(bits),
            ];
            let mut codes = [_mm256_setzero_si256(); 8];
            for two in 0..4 {
                let both = _mm256_loadu_si256(block.add(CODES + 32 * two).cast());
                for (part, lower) in [(2 * two, both), (2 * two + 1, _mm256_srli_epi16::<4>(both))] {
                    let upper = _mm256_and_si256(moved[part], high);
                    codes[part] = _mm256_or_si256(_mm256_and_si256(lower, low), upper);
                }
            }
            codes
        }
    }

    #[inline(always)]
    unsafe fn scales_of_sixteens(block: *const u8) -> __m256i {
        // SAFETY: as above.
        unsafe { pairs::scales_of_sixteens(block.add(PAIRS)) }
    }

    #[inline(always)]
    unsafe fn minima(block: *const u8) -> __m128i {
        // SAFETY: as above.
        unsafe { pairs::minima(block.add(PAIRS)) }
    }
}

impl Writable for Block {
    fn quantise(weights: &[f32], columns: Option<&[f32]>, block: &mut [u8]) {
        let made: Affine<8> = affine::<Whole<0, 31>, Whole<0, 63>, 8>(weights, columns);
        block.fill(0);
        put_half(block, 0, made.scale);
        put_half(block, MINIMUM, made.minimum);
        put_pairs(&made.scales, &made.minima, &mut block[PAIRS..FIFTH_BITS]);
        for (part, codes) in made.codes.chunks_exact(32).enumerate() {
            put_field(codes.iter().map(|code| code >> 4), part, &mut block[FIFTH_BITS..]);
            let low = codes.iter().map(|code| code & 15);
            put_field(low, 4 * (part % 2), &mut block[CODES + 32 * (part / 2)..]);
        }
    }
}
