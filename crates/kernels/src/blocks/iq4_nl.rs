//! IQ4_NL: 32 weights share a half-precision scale `d`; weight i is `d · level(qᵢ)`, with qᵢ four bits and sixteen
//! levels that stand closer near zero, as weights do.
//!
//! A block is 18 bytes: `d`, little endian, then 16 bytes whose lower halves are q₀ to q₁₅ and whose upper halves
//! are q₁₆ to q₃₁. Nothing is rounded when a block is widened. Making one searches: `search`.
//!
//! Source: `block_iq4_nl` and the table `kvalues_iq4nl` of the GGML project, as facts; `fixtures/blocks` holds what
//! their own package reads.

use super::bits::{half, nibbles, put_half, put_nibbles};
use super::search::{self, Levels, NONE};
use super::{BlockType, Format, Part, Scales, Writable};

use crate::lanes::bytes::{Bytes, all_levels, turn_nibbles};
use crate::product::integer::pack::put;
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::Straight;

/// The type.
pub static IQ4_NL: BlockType = BlockType::writable::<Block>();

struct Block;

const CODES: usize = 2;

/// What the sixteen codes stand for, in ascending order.
pub(super) static LEVELS: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// The levels with the offset of their type added.
pub(super) static RAISED: [u8; 16] = {
    let (mut raised, mut code) = ([0; 16], 0);
    while code < 16 {
        raised[code] = LEVELS[code].wrapping_add_unsigned(Block::OFFSET) as u8;
        code += 1;
    }
    raised
};

impl Format for Block {
    const NAME: &'static str = "IQ4_NL";
    const N_WEIGHTS: usize = 32;
    const N_BYTES: usize = CODES + 16;
    const OFFSET: u8 = 128;
    const GREATEST: u8 = 241;
    const SCALE_AT: Option<usize> = Some(0);
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = Some(&Straight::plain_on_avx2::<Self>(4));

    #[inline(always)]
    fn part(block: &[u8], _: usize) -> Part {
        let codes = nibbles(&block[CODES..]);
        Part::scaled(half(block, 0), codes.map(|code| LEVELS[usize::from(code & 15)]))
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::one(half(block, 0))
    }

    #[inline(always)]
    unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], to: *mut u8) {
        // SAFETY: the caller's promises.
        unsafe {
            put(all_levels(turn_nibbles::<V>(rows, CODES), &RAISED), to, 0);
        }
    }
}

impl Writable for Block {
    fn quantise(weights: &[f32], columns: Option<&[f32]>, block: &mut [u8]) {
        let (scale, values) = search::scaled::<Uneven>(weights, columns).unwrap_or((NONE, [0; 32]));
        put_half(block, 0, scale);
        put_nibbles(&values.map(code), &mut block[CODES..]);
    }
}

/// The code of a level.
pub(super) fn code(level: i8) -> u8 {
    LEVELS.partition_point(|other| *other < level).min(15) as u8
}

/// The levels as what a search rounds to.
#[derive(Clone, Copy)]
pub(super) struct Uneven;

/// The nearest level to every half step from -128 on. Two levels have their middle at a whole or half number, so
/// all numbers of a half step have the same.
static NEAREST: [i8; 512] = {
    let mut nearest = [0; 512];
    let mut place = 0;
    while place < 512 {
        let mut code = 0;
        // Twice the middle of a half step, times two: four times a number just inside it.
        let inside = 2 * (place as i32 - 256) + 1;
        while code < 15 && inside > 2 * (LEVELS[code] as i32 + LEVELS[code + 1] as i32) {
            code += 1;
        }
        nearest[place] = LEVELS[code];
        place += 1;
    }
    nearest
};

impl Levels for Uneven {
    const LEAST: f32 = LEVELS[0] as f32;
    const GREATEST: f32 = LEVELS[15] as f32;

    #[inline(always)]
    fn nearest(x: f32) -> f32 {
        // Cutting a number that is not negative is rounding down; none that is not a number comes so far.
        let place = (x.clamp(-127.75, 127.75) * 2.0 + 256.0) as usize;
        f32::from(NEAREST[place & 511])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_level_is_found() {
        for step in -1300..1300 {
            // Never in the middle of two levels, which are whole or half numbers.
            let x = step as f32 / 10.0 + 0.03;
            let distance = |level: &f32| (level - x).abs();
            let levels = LEVELS.map(f32::from);
            let expected = levels.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
            assert_eq!(Uneven::nearest(x), expected, "{x}");
        }
    }

    #[test]
    fn every_level_has_its_code() {
        for (place, level) in LEVELS.into_iter().enumerate() {
            assert_eq!(usize::from(code(level)), place);
        }
    }
}
