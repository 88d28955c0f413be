//! Types whose 32 weights lie on whole numbers under one scale, with a minimum or without.
//!
//! Each takes blocks `[blocks, bytes]` and gives weights `[blocks, 32]`.

use burn::backend::Backend;

use super::bits::{columns, fields, half, signed};
use crate::value::Value;

/// `w = d · q`; the block is `d` in two bytes, then 32 `q`.
pub fn q8_0<B: Backend>(blocks: &Value<B>) -> Value<B> {
    signed(columns(blocks, 2..34)) * half(blocks, 0)
}

/// `w = d · (q - 8)`.
pub fn q4_0<B: Backend>(blocks: &Value<B>) -> Value<B> {
    nibbles(blocks, 2).shift(-8.0) * half(blocks, 0)
}

/// `w = d · q + m`.
pub fn q4_1<B: Backend>(blocks: &Value<B>) -> Value<B> {
    nibbles(blocks, 4) * half(blocks, 0) + half(blocks, 2)
}

/// `w = d · (q - 16)`.
pub fn q5_0<B: Backend>(blocks: &Value<B>) -> Value<B> {
    (nibbles(blocks, 6) + fifth_bits(blocks, 2)).shift(-16.0) * half(blocks, 0)
}

/// `w = d · q + m`.
pub fn q5_1<B: Backend>(blocks: &Value<B>) -> Value<B> {
    (nibbles(blocks, 8) + fifth_bits(blocks, 4)) * half(blocks, 0) + half(blocks, 2)
}

/// The lower halves of the 16 bytes from `at` on, then their upper halves: `[blocks, 32]`.
pub fn nibbles<B: Backend>(blocks: &Value<B>, at: usize) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let bytes = columns(blocks, at..at + 16).reshape([n_blocks, 1, 16]); // [blocks, 1, 16]
    fields(&bytes, (2, 4), 1).reshape([n_blocks, 32]) // [blocks, 32]
}

/// What the bits of the four bytes from `at` on add to codes: 16 or 0, `[blocks, 32]`.
fn fifth_bits<B: Backend>(blocks: &Value<B>, at: usize) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let bytes = columns(blocks, at..at + 4).reshape([n_blocks, 4, 1]); // [blocks, 4, 1]
    fields(&bytes, (8, 1), 2).scale(16.0).reshape([n_blocks, 32]) // [blocks, 32]
}
