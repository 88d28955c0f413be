//! Fields of blocks in Burn primitives: half-precision numbers, and codes of a few bits.
//!
//! Bits are taken apart by dividing by powers of two and rounding down, which is exact in f32 on every device.
//!
//! Source: IEEE 754-2019, section 3.4, for half precision.

use std::ops::Range;

use burn::backend::Backend;

use crate::value::Value;

/// Some bytes of each block: `[blocks, bytes]`.
pub(super) fn columns<B: Backend>(blocks: &Value<B>, range: Range<usize>) -> Value<B> {
    blocks.clone().slice(&[0..blocks.dims()[0], range])
}

/// `width` bits of each byte, after dropping the lowest `shift`.
pub(super) fn field<B: Backend>(bytes: &Value<B>, shift: i32, width: i32) -> Value<B> {
    let above = |shift: i32| bytes.clone().scale(f32::powi(2.0, -shift)).floor();
    above(shift) - above(shift + width).scale(f32::powi(2.0, width))
}

/// Fields of `width` bits from the lowest on, as many as a byte has or `n`, side by side along `dim`, where `bytes`
/// has size 1.
pub(super) fn fields<B: Backend>(bytes: &Value<B>, (n, width): (i32, i32), dim: usize) -> Value<B> {
    Value::concatenate((0..n).map(|index| field(bytes, index * width, width)).collect(), dim)
}

/// Bytes as signed numbers: 128 to 255 stand for -128 to -1.
pub(super) fn signed<B: Backend>(bytes: Value<B>) -> Value<B> {
    let is_negative = bytes.clone().scale(1.0 / 128.0).floor();
    bytes - is_negative.scale(256.0)
}

/// The half-precision number in bytes `at` and `at + 1` of each block: `[blocks, 1]`.
pub(super) fn half<B: Backend>(blocks: &Value<B>, at: usize) -> Value<B> {
    let (low, high) = (columns(blocks, at..at + 1), columns(blocks, at + 1..at + 2));
    let sign = high.clone().scale(1.0 / 128.0).floor();
    let rest = high - sign.clone().scale(128.0);
    let exponent = rest.clone().scale(1.0 / 4.0).floor();
    let fraction = (rest - exponent.clone().scale(4.0)).scale(256.0) + low;
    let is_normal = exponent.clone().shift(31.0).scale(1.0 / 32.0).floor();
    let is_special = exponent.clone().shift(1.0).scale(1.0 / 32.0).floor();
    let is_not_zero = fraction.clone().shift(1023.0).scale(1.0 / 1024.0).floor();
    let whole = is_normal.clone().scale(1024.0) + fraction;
    let finite = (whole * power_of_two(exponent - is_normal)).scale(f32::powi(2.0, -24));
    // Over 1 where a number is finite, over 0 where it is infinite; 0 / 0 where it is none.
    let none = (is_special.clone() * is_not_zero).negate().shift(1.0);
    let magnitude = finite / is_special.negate().shift(1.0) + sign.clone().scale(0.0) / none;
    magnitude * sign.scale(-2.0).shift(1.0)
}

/// 2 to the power of integers from 0 to 127.
pub(super) fn power_of_two<B: Backend>(exponent: Value<B>) -> Value<B> {
    let mut power = exponent.clone().scale(0.0).shift(1.0);
    let mut rest = exponent;
    for bit in [64.0f32, 32.0, 16.0, 8.0, 4.0, 2.0, 1.0] {
        let is_set = rest.clone().scale(1.0 / bit).floor();
        rest = rest - is_set.clone().scale(bit);
        // From 2 to the 32nd on, the 1 that is taken off and given back is rounded away both times.
        power = power * is_set.scale(bit.exp2() - 1.0).shift(1.0);
    }
    power
}
