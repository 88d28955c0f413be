//! Types whose weights are -1, 0 or 1 under one scale of the block.
//!
//! Each takes blocks `[blocks, bytes]` and gives weights `[blocks, 256]`.

use burn::backend::Backend;

use super::bits::{columns, half};
use super::grouped::quarters;
use crate::value::Value;

/// `w = d · (t - 1)`, t digits to the base of three, five in a byte, in the last four bytes four.
pub fn tq1_0<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let stretches = [(0..32, 5), (32..48, 5), (48..52, 4)];
    let digits = stretches.into_iter().flat_map(|(bytes, n)| {
        let bytes = columns(blocks, bytes);
        (0..n).map(move |place| digit(&bytes, place))
    });
    Value::concatenate(digits.collect(), 1).shift(-1.0) * half(blocks, 52) // [blocks, 256]
}

/// `w = d · (q - 1)`, two bits.
pub fn tq2_0<B: Backend>(blocks: &Value<B>) -> Value<B> {
    quarters(blocks, 0).shift(-1.0) * half(blocks, 64)
}

/// The digit behind `place` others of a fraction in 256ths.
fn digit<B: Backend>(bytes: &Value<B>, place: i32) -> Value<B> {
    let shifted = bytes.clone().scale(f32::powi(3.0, place) / 256.0);
    let rest = shifted.clone() - shifted.floor();
    rest.scale(3.0).floor()
}
