//! Types whose codes stand for uneven levels.

use burn::backend::Backend;

use super::bits::{columns, field, fields, half, power_of_two};
use super::plain::nibbles;
use crate::value::Value;

/// What the codes of IQ4_NL and IQ4_XS stand for.
const LEVELS: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0,
];

/// `w = d · level(q)`: `[blocks, 32]`.
pub fn iq4_nl<B: Backend>(blocks: &Value<B>) -> Value<B> {
    level(nibbles(blocks, 2)) * half(blocks, 0)
}

/// `w = (d · (s - 32)) · level(q)`, eight groups: `[blocks, 8, 32]`.
pub fn iq4_xs<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let low = columns(blocks, 4..8).reshape([n_blocks, 4, 1]); // [blocks, 4, 1]
    let low = fields(&low, (2, 4), 2).reshape([n_blocks, 8]); // [blocks, 8]
    let high = columns(blocks, 2..4).reshape([n_blocks, 2, 1]); // [blocks, 2, 1]
    let high = fields(&high, (4, 2), 2).reshape([n_blocks, 8]); // [blocks, 8]
    let scales = (low + high.scale(16.0)).shift(-32.0) * half(blocks, 0);
    let codes = columns(blocks, 8..136).reshape([n_blocks, 8, 1, 16]); // [blocks, 8, 1, 16]
    let codes = fields(&codes, (2, 4), 2).reshape([n_blocks, 8, 32]); // [blocks, 8, 32]
    level(codes) * scales.reshape([n_blocks, 8, 1])
}

/// `w = 2^(e - 127) · q`, `q` a sign, two bits of exponent with bias 1 and one of fraction: `[blocks, 32]`.
pub fn mxfp4<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let value = twice_e2m1(&nibbles(blocks, 1));
    let exponent = columns(blocks, 0..1);
    let is_large = exponent.clone().scale(1.0 / 128.0).floor();
    let scale = power_of_two(exponent - is_large.clone().scale(128.0));
    // 2^-128 in two steps, where the exponent is below 128: at once it would be less than 1 with a full fraction.
    let root = power_of_two(is_large.scale(-64.0).shift(64.0));
    value * (scale / root.clone() / root)
}

/// `w = e · q`, q as in MXFP4, four groups with an e of their own: four bits of exponent with bias 7, three of fraction,
/// and 127 stands for 0: `[blocks, 4, 16]`.
pub fn nvfp4<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let codes = columns(blocks, 4..36).reshape([n_blocks, 4, 1, 8]); // [blocks, 4, 1, 8]
    let codes = fields(&codes, (2, 4), 2).reshape([n_blocks, 4, 16]); // [blocks, 4, 16]
    let bytes = columns(blocks, 0..4); // [blocks, 4]
    let (fraction, exponent) = (field(&bytes, 0, 3), field(&bytes, 3, 4));
    let is_normal = exponent.clone().shift(15.0).scale(1.0 / 16.0).floor();
    let whole = (is_normal.clone().scale(8.0) + fraction) * power_of_two(exponent - is_normal);
    let is_some = bytes.shift(-127.0).sign().absolute();
    // 2⁻⁹ is the least number; half of it, because the others are twice what they stand for.
    let scales = (whole * is_some).scale(f32::powi(2.0, -10)).reshape([n_blocks, 4, 1]); // [blocks, 4, 1]
    twice_e2m1(&codes) * scales
}

/// Twice what a code stands for, which is whole: a sign, two bits of exponent with bias 1 and one of fraction.
fn twice_e2m1<B: Backend>(codes: &Value<B>) -> Value<B> {
    let (fraction, exponent, sign) = (field(codes, 0, 1), field(codes, 1, 2), field(codes, 3, 1));
    let is_normal = exponent.clone().shift(3.0).scale(1.0 / 4.0).floor();
    let whole = (is_normal.clone().scale(2.0) + fraction) * power_of_two(exponent - is_normal);
    whole * sign.scale(-2.0).shift(1.0)
}

/// The level of each code: the first, and every step up to the code.
fn level<B: Backend>(codes: Value<B>) -> Value<B> {
    let first = codes.clone().scale(0.0).shift(LEVELS[0]);
    (1..16).fold(first, |level, code| {
        let is_reached = codes.clone().shift(16.0 - code as f32).scale(1.0 / 16.0).floor();
        level + is_reached.scale(LEVELS[code] - LEVELS[code - 1])
    })
}
