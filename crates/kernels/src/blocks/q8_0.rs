//! Q8_0: 32 weights share a half-precision scale `d`; weight i is `d · qᵢ`, with qᵢ one signed byte.
//!
//! A block is 34 bytes: `d`, little endian, then q₀ to q₃₁. The product of 11 bits by 8 is exact in f32, so
//! nothing is rounded when a block is widened. Making one, with `d = max|w| / 127` and `q = w / d` rounded to
//! the nearest, moves a weight by at most `d / 2`, and by 127 times the rounding of `d` to half precision
//! beside. Not for weights beyond 127 · 65504: their scale becomes infinite.
//!
//! Source: `block_q8_0` of the GGML project and its reference quantisation (ties away from zero), as facts;
//! `fixtures/blocks` holds what their own package reads and writes.

use super::bits::half;
use super::{BlockType, Format, Part, Scales, Writable};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::lanes::bytes::{Bytes, turn_32};
use crate::lanes::{LANES, Lanes};
use crate::product::integer::pack::put;
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::{self, Straight};
use crate::product::to_f16;

/// The type.
pub static Q8_0: BlockType = BlockType::writable::<Block>();

/// Makes blocks of type Q8_0 from weights; see [`BlockType::quantise`]. A weight that is not finite makes all
/// weights of its block NaN, so that it shows.
///
/// # Panics
/// When `weights` is no multiple of 32 long, or `to` is not 34 bytes for every 32.
pub fn quantise(weights: &[f32], to: &mut [u8]) {
    Q8_0.quantise(weights, to);
}

/// The weights of blocks of type Q8_0, exactly; see [`BlockType::dequantise`].
///
/// # Panics
/// When `blocks` is no multiple of 34 long, or `to` has not 32 places for every 34.
pub fn dequantise(blocks: &[u8], to: &mut [f32]) {
    Q8_0.dequantise(blocks, to);
}

struct Block;

const SCALE_BYTES: usize = 2;

impl Format for Block {
    const NAME: &'static str = "Q8_0";
    const N_WEIGHTS: usize = 32;
    const N_BYTES: usize = SCALE_BYTES + Self::N_WEIGHTS;
    const OFFSET: u8 = 128;
    const GREATEST: u8 = 255;
    const SCALE_AT: Option<usize> = Some(0);
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = Some(&Straight::plain::<Self>([3, 4]));

    #[inline(always)]
    fn part(block: &[u8], _: usize) -> Part {
        let mut values = [0; 32];
        values.iter_mut().zip(&block[SCALE_BYTES..]).for_each(|(value, byte)| *value = *byte as i8);
        Part::scaled(half(block, 0), values)
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::one(half(block, 0))
    }

    #[inline(always)]
    unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], to: *mut u8) {
        // SAFETY: the caller's promises.
        unsafe {
            let top = V::splat(Self::OFFSET);
            let mut values = turn_32::<V>(rows, SCALE_BYTES);
            for step in 0..8 {
                values[step] = values[step].xor(top);
            }
            put(values, to, 0);
        }
    }

    #[inline(always)]
    unsafe fn lanes<V: Lanes>(block: *const u8, _: usize) -> [V; 2] {
        // SAFETY: the caller's block and instruction set; a block has one part.
        unsafe {
            let scale = V::splat_f16(block.cast());
            let values = block.add(SCALE_BYTES).cast::<i8>();
            [V::load_i8(values).mul(scale), V::load_i8(values.add(LANES)).mul(scale)]
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl straight::Plain for Block {
    #[inline(always)]
    unsafe fn codes(blocks: *const u8) -> __m512i {
        // SAFETY: the caller's blocks and machine.
        unsafe {
            let values =
                |block: usize| _mm256_loadu_si256(blocks.add(block * Self::N_BYTES + SCALE_BYTES).cast());
            let both = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(values(0)), values(1));
            _mm512_xor_si512(both, _mm512_set1_epi8(-128))
        }
    }
}

impl Writable for Block {
    /// With 255 levels there is nothing to win by a search, whatever matters.
    fn quantise(weights: &[f32], _columns: Option<&[f32]>, block: &mut [u8]) {
        let (scale, values) = block.split_at_mut(SCALE_BYTES);
        // NaN is lost in a maximum but not in a sum of products with zero, nor is infinity.
        let not_finite = weights.iter().fold(0.0, |sum, weight| sum + weight * 0.0);
        let largest = weights.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs()));
        let step = largest / 127.0 + not_finite;
        let inverse = if step == 0.0 { 0.0 } else { 1.0 / step };
        scale.copy_from_slice(&to_f16(step).to_le_bytes());
        for (value, weight) in values.iter_mut().zip(weights) {
            *value = nearest(weight * inverse) as u8;
        }
    }
}

/// The nearest integer in -127..=127, ties away from zero; NaN gives 0. Without a call or a branch, so that
/// loops over it become vector code.
#[inline(always)]
fn nearest(value: f32) -> i8 {
    let value = value.clamp(-127.0, 127.0);
    let whole = value as i32;
    // Exact: both are near each other.
    let rest = value - whole as f32;
    (whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)) as i8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::normal;
    use base::Rng;

    #[test]
    fn ties_go_away_from_zero() {
        for (value, expected) in
            [(0.5, 1), (-0.5, -1), (1.5, 2), (-2.5, -3), (126.5, 127), (0.0, 0), (-127.0, -127)]
        {
            assert_eq!(nearest(value), expected, "{value}");
        }
        // The next number below one half; adding one half to it would round up.
        assert_eq!((nearest(0.5f32.next_down()), nearest(f32::NAN)), (0, 0));
        assert_eq!((nearest(f32::INFINITY), nearest(-1e9)), (127, -127));
    }

    #[test]
    fn a_weight_moves_by_half_a_step_at_most() {
        let mut rng = Rng::new(5);
        for size in [1.0, 0.02, 1e-4, 3e3] {
            let weights: Vec<f32> = normal(&mut rng, 32 * 50).iter().map(|weight| weight * size).collect();
            let (mut blocks, mut back) = (vec![0; 34 * 50], vec![0.0; weights.len()]);
            quantise(&weights, &mut blocks);
            dequantise(&blocks, &mut back);
            for (weights, back) in weights.chunks(32).zip(back.chunks(32)) {
                let largest = weights.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs()));
                // Half a step; and the scale's rounding: relative 2⁻¹¹, or half the least half-precision
                // number for each step.
                let bound = largest / 254.0 * 1.0001 + (largest * 2f32.powi(-11)).max(127.0 * 2f32.powi(-25));
                for (weight, back) in weights.iter().zip(back) {
                    assert!((weight - back).abs() <= bound, "{weight} came back as {back}, bound {bound}");
                }
            }
        }
    }

    #[test]
    fn a_block_by_hand() {
        let mut weights = [0.0; 32];
        (weights[0], weights[1], weights[31]) = (127.0, -64.4, 0.5);
        let mut block = [9; 34];
        quantise(&weights, &mut block);
        let mut expected = [0; 34];
        // A scale of 1 is 0x3c00.
        (expected[1], expected[2], expected[3], expected[33]) = (0x3c, 127, 192, 1);
        assert_eq!(block, expected);
        dequantise(&block, &mut weights);
        assert_eq!((weights[0], weights[1], weights[2], weights[31]), (127.0, -64.0, 0.0, 1.0));
    }

    /// Their scale is 0 in half precision, and its inverse may be beyond f32.
    #[test]
    fn weights_that_are_too_small_become_zero() {
        for size in [f32::from_bits(1), 1e-40, 1e-20] {
            let (mut block, mut weights) = ([0; 34], [size; 32]);
            quantise(&weights, &mut block);
            dequantise(&block, &mut weights);
            assert_eq!(weights, [0.0; 32], "{size:e}");
        }
    }

    #[test]
    fn what_is_not_finite_shows() {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut weights = [1.0; 64];
            weights[40] = wrong;
            let mut blocks = [0; 68];
            quantise(&weights, &mut blocks);
            dequantise(&blocks, &mut weights);
            assert!(weights[..32].iter().all(|weight| (weight - 1.0).abs() < 1e-3));
            assert!(weights[32..].iter().all(|weight| weight.is_nan()), "{wrong}");
        }
    }
}
