//! MXFP4: 32 weights share a power of two; weight i is `2^(e - 127) · qᵢ`, with qᵢ a floating-point number of four
//! bits: a sign, two of exponent, one of fraction (E2M1), so 0, 0.5, 1, 1.5, 2, 3, 4 or 6.
//!
//! A block is 17 bytes: `e`, then 16 bytes whose lower halves are q₀ to q₁₅ and whose upper halves are q₁₆ to q₃₁.
//! Here q is twice as large, a whole number, and the scale half as large, 2^(e - 128): the same products. Nothing is
//! rounded when a block is widened, but for products beyond f32, which become infinite. Making one tries three
//! neighbouring exponents and keeps that with the least weighted square error.
//!
//! Source: OCP Microscaling Formats (MX) Specification 1.0, sections 5.3.3 (E2M1) and 5.4.1 (E8M0); for e = 255, in
//! the specification NaN, and for the order inside a block `block_mxfp4` of the GGML project, where 255 is 2^128 and
//! a negative zero is 0. `fixtures/blocks` holds what their own package reads and writes.

use super::bits::{nibbles, put_nibbles};
use super::plain::not_finite;
use super::{BlockType, Format, Part, Scales, Writable, search};
use crate::lanes::bytes::{Bytes, all_levels, turn_nibbles};
use crate::product::integer::pack::put;
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::Straight;

/// The type.
pub static MXFP4: BlockType = BlockType::writable::<Block>();

struct Block;

const CODES: usize = 1;
const NEGATIVE: u8 = 8;
/// Twice what the codes stand for.
pub(super) static LEVELS: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];
/// The levels with the offset of the type added.
static RAISED: [u8; 16] = [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0];
/// Twice the middles between neighbouring magnitudes.
static MIDDLES: [f32; 7] = [0.5, 1.5, 2.5, 3.5, 5.0, 7.0, 10.0];

impl Format for Block {
    const NAME: &'static str = "MXFP4";
    const N_WEIGHTS: usize = 32;
    const N_BYTES: usize = CODES + 16;
    const OFFSET: u8 = 12;
    const GREATEST: u8 = 24;
    const SCALE_AT: Option<usize> = None;
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = Some(&Straight::plain_on_avx2::<Self>(4));

    #[inline(always)]
    fn part(block: &[u8], _: usize) -> Part {
        let codes = nibbles(&block[CODES..]);
        Part::scaled(half_scale(block[0]), codes.map(|code| LEVELS[usize::from(code & 15)]))
    }

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales {
        Scales::one(half_scale(block[0]))
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
        if not_finite(weights).is_nan() {
            // There is no code for what is not a number: all weights become infinite.
            block[0] = 255;
            return block[CODES..].fill(0x77);
        }
        let largest = weights.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs()));
        // The exponent with which the largest weight lies in 4 to 8, before rounding.
        let usual = (largest.to_bits() >> 23) as u8;
        let usual = usual.saturating_sub(2);
        let tried = [usual, usual.saturating_sub(1), usual.saturating_add(1).min(254)];
        let relative = columns.map(|columns| Vec::from_iter(search::relative(columns)));
        let error = |exponent: &u8| error(weights, relative.as_deref(), *exponent);
        let best = tried.into_iter().min_by(|a, b| error(a).total_cmp(&error(b)));
        let exponent = best.expect("three were tried");
        let scale = half_scale(exponent);
        block[0] = exponent;
        put_nibbles(&std::array::from_fn(|i| code(weights[i], scale)), &mut block[CODES..]);
    }
}

/// 2^(exponent - 128).
#[inline(always)]
fn half_scale(exponent: u8) -> f32 {
    // 2⁻¹²⁸ and 2⁻¹²⁷ lie below what f32 writes with a full fraction.
    let bits = if exponent < 2 { 0x20_0000 << exponent } else { (u32::from(exponent) - 1) << 23 };
    f32::from_bits(bits)
}

/// The nearest code, in the middle of two that nearer to zero.
fn code(weight: f32, scale: f32) -> u8 {
    // In f64 nothing is lost: the scale is a power of two.
    let magnitude = f64::from(weight.abs()) / f64::from(scale);
    let code = MIDDLES.iter().filter(|middle| magnitude > f64::from(**middle)).count() as u8;
    if code > 0 && weight < 0.0 { code | NEGATIVE } else { code }
}

/// The square error with this exponent, a weight counting as its own square plus the mean square; or as the root of
/// that, times how much its column matters, relative to the mean.
fn error(weights: &[f32], columns: Option<&[f32]>, exponent: u8) -> f64 {
    let scale = half_scale(exponent);
    let mean = weights.iter().map(|weight| f64::from(*weight).powi(2)).sum::<f64>() / weights.len() as f64;
    let one = |(place, weight): (usize, &f32)| {
        let level = f64::from(LEVELS[usize::from(code(*weight, scale))]);
        let weight = f64::from(*weight);
        let square = mean + weight * weight;
        let counts = columns.map_or(square, |columns| f64::from(columns[place]) * square.sqrt());
        counts * (weight - level * f64::from(scale)).powi(2)
    };
    weights.iter().enumerate().map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_powers_of_two() {
        for exponent in 0..=255u8 {
            assert_eq!(
                f64::from(half_scale(exponent)),
                f64::from(exponent).exp2() * (-128f64).exp2(),
                "{exponent}"
            );
        }
    }

    #[test]
    fn numbers_that_it_has_come_back() {
        for size in [f32::powi(2.0, -120), 1.0, 3e-5f32.log2().floor().exp2(), f32::powi(2.0, 120)] {
            let weights: [f32; 32] = std::array::from_fn(|i| f32::from(LEVELS[i % 16]) / 2.0 * size);
            let (mut block, mut back) = ([0; 17], [9.0; 32]);
            MXFP4.quantise(&weights, &mut block);
            MXFP4.dequantise(&block, &mut back);
            assert_eq!(weights, back);
        }
    }
}
