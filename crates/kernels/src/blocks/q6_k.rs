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
use crate::lanes::bytes::{Bytes, all_fields, all_joined, turn_16, turn_32};
#[cfg(target_arch = "x86_64")]
use crate::product::integer::pack::{STEP, put};

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

impl Format for Block {
    const NAME: &'static str = "Q6_K";
    const N_WEIGHTS: usize = 256;
    const N_BYTES: usize = SCALE + 2;
    const OFFSET: u8 = 32;
    const GREATEST: u8 = 63;
    const GROUP: usize = 16;
    const SCALE_AT: Option<usize> = Some(SCALE);

    #[inline(always)]
    fn part(block: &[u8], part: usize) -> Part {
        let scale = half(block, SCALE);
        let group_scale = |group: usize| scale * f32::from(block[SCALES + group] as i8);
        let (first, shift) = lower_bits(part);
        let low = field(&block[first..], shift, 15);
        let high = field(&block[UPPER_BITS + 32 * (part / 4)..], 2 * (part % 4), 3);
        Part {
            scales: [group_scale(2 * part), group_scale(2 * part + 1)],
            minima: [0.0; 2],
            values: std::array::from_fn(|i| (low[i] | high[i] << 4) as i8 - 32),
        }
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        let groups = std::array::from_fn(|group| i16::from(block[SCALES + group] as i8));
        Scales { groups, ..Scales::one(half(block, SCALE)) }
    }

    #[cfg(target_arch = "x86_64")]
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

    #[cfg(target_arch = "x86_64")]
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
