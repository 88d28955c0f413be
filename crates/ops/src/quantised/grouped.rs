//! Types whose 256 weights lie in groups, with whole-numbered scales under one scale of the block.
//!
//! Each takes blocks `[blocks, bytes]` and gives weights `[blocks, groups, weights of a group]`.

use burn::backend::Backend;

use super::bits::{columns, field, fields, half, signed};
use crate::value::Value;

/// `w = (d · s) · q - dₘ · m`, two bits, sixteen groups.
pub fn q2_k<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let pairs = columns(blocks, 0..16);
    let scales = (field(&pairs, 0, 4) * half(blocks, 80)).reshape([n_blocks, 16, 1]); // [blocks, 16, 1]
    let minima = (field(&pairs, 4, 4) * half(blocks, 82)).reshape([n_blocks, 16, 1]); // [blocks, 16, 1]
    let codes = quarters(blocks, 16).reshape([n_blocks, 16, 16]); // [blocks, 16, 16]
    codes * scales - minima
}

/// `w = (d · (s - 32)) · (q - 4)`, three bits, sixteen groups.
pub fn q3_k<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let third_bits = columns(blocks, 0..32).reshape([n_blocks, 1, 32]); // [blocks, 1, 32]
    let third_bits = fields(&third_bits, (8, 1), 1).reshape([n_blocks, 256]); // [blocks, 256]
    let codes = quarters(blocks, 32) + third_bits.scale(4.0).shift(-4.0);
    let low = columns(blocks, 96..104).reshape([n_blocks, 1, 8]); // [blocks, 1, 8]
    let low = fields(&low, (2, 4), 1).reshape([n_blocks, 16]); // [blocks, 16]
    let high = columns(blocks, 104..108).reshape([n_blocks, 1, 4]); // [blocks, 1, 4]
    let high = fields(&high, (4, 2), 1).reshape([n_blocks, 16]); // [blocks, 16]
    let scales = (low + high.scale(16.0)).shift(-32.0) * half(blocks, 108);
    codes.reshape([n_blocks, 16, 16]) * scales.reshape([n_blocks, 16, 1]) // [blocks, 16, 16]
}

/// `w = (d · s) · q - dₘ · m`, four bits, eight groups.
pub fn q4_k<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let (scales, minima) = pairs(blocks);
    halves(blocks, 16) * scales - minima
}

/// `w = (d · s) · q - dₘ · m`, five bits, eight groups.
pub fn q5_k<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let (scales, minima) = pairs(blocks);
    let fifth_bits = columns(blocks, 16..48).reshape([n_blocks, 1, 32]); // [blocks, 1, 32]
    let codes = halves(blocks, 48) + fields(&fifth_bits, (8, 1), 1).scale(16.0);
    codes * scales - minima
}

/// `w = (d · s) · (q - 32)`, six bits, sixteen groups.
pub fn q6_k<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let low = columns(blocks, 0..128).reshape([n_blocks, 2, 1, 64]); // [blocks, 2, 1, 64]
    let low = fields(&low, (2, 4), 2).reshape([n_blocks, 256]); // [blocks, 256]
    let codes = (low + quarters(blocks, 128).scale(16.0)).shift(-32.0);
    let scales = signed(columns(blocks, 192..208)) * half(blocks, 208);
    codes.reshape([n_blocks, 16, 16]) * scales.reshape([n_blocks, 16, 1]) // [blocks, 16, 16]
}

/// Fields of two bits of the 64 bytes from `at` on, 32 bytes for 128 weights: `[blocks, 256]`.
pub fn quarters<B: Backend>(blocks: &Value<B>, at: usize) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let bytes = columns(blocks, at..at + 64).reshape([n_blocks, 2, 1, 32]); // [blocks, 2, 1, 32]
    fields(&bytes, (4, 2), 2).reshape([n_blocks, 256]) // [blocks, 256]
}

/// Fields of four bits of the 128 bytes from `at` on, 32 bytes for 64 weights: `[blocks, 8, 32]`.
fn halves<B: Backend>(blocks: &Value<B>, at: usize) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let bytes = columns(blocks, at..at + 128).reshape([n_blocks, 4, 1, 32]); // [blocks, 4, 1, 32]
    fields(&bytes, (2, 4), 2).reshape([n_blocks, 8, 32]) // [blocks, 8, 32]
}

/// `d · s` and `dₘ · m` of eight groups, from `d` and `dₘ` in bytes 0 to 3 and six bits each in bytes 4 to 15:
/// `[blocks, 8, 1]`.
fn pairs<B: Backend>(blocks: &Value<B>) -> (Value<B>, Value<B>) {
    let n_blocks = blocks.dims()[0];
    let (a, b, c) = (columns(blocks, 4..8), columns(blocks, 8..12), columns(blocks, 12..16));
    let eight = |first: &Value<B>, low: Value<B>| {
        Value::concatenate(vec![field(first, 0, 6), low + field(first, 6, 2).scale(16.0)], 1)
    };
    let scales = eight(&a, field(&c, 0, 4)) * half(blocks, 0);
    let minima = eight(&b, field(&c, 4, 4)) * half(blocks, 2);
    (scales.reshape([n_blocks, 8, 1]), minima.reshape([n_blocks, 8, 1])) // [blocks, 8, 1]
}
