//! Types whose codes stand for rows of a code book.
//!
//! Each takes blocks `[blocks, bytes]` and gives weights `[blocks, groups, weights of a group]`. Numbers of 32 bits are
//! never put together: f32 would not hold them.
//!
//! Source: the rows are `kernels::blocks::grids::PACKED`, numbers without a formula; how they are read is written anew.

use std::ops::Range;

use burn::backend::Backend;
use kernels::blocks::grids::PACKED;

use super::bits::{columns, field, fields, half};
use crate::value::Value;

/// `w = (d / 8 · (2s + 1)) · ±row`, rows of eight, signs of seven bits, eight groups.
pub fn iq2_xxs<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let groups = columns(blocks, 2..66).reshape([n_blocks, 8, 8]); // [blocks, 8, 8]
    let codes = groups.clone().slice(&[0..n_blocks, 0..8, 0..4]).reshape([n_blocks, 32]); // [blocks, 32]
    let (signs, scales) = signs_and_scales(groups.slice(&[0..n_blocks, 0..8, 4..8]));
    let rows = eights(&codes, 0..256) * signs; // [blocks, 32, 8]
    rows.reshape([n_blocks, 8, 32]) * odd(scales, half(blocks, 0).scale(1.0 / 8.0)) // [blocks, 8, 32]
}

/// `w = (d / 8 · (2s + 1)) · ±row`, rows of eight, signs of seven bits, sixteen groups.
pub fn iq2_xs<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let both = pairs(blocks, 2..66); // [blocks, 32]
    let signs = even_signs(field(&both, 9, 7)); // [blocks, 32, 8]
    let rows = eights(&field(&both, 0, 9), 256..768) * signs; // [blocks, 32, 8]
    let scales = parts(blocks, 66..74, (2, 4)); // [blocks, 16]
    rows.reshape([n_blocks, 16, 16]) * odd(scales, half(blocks, 0).scale(1.0 / 8.0)) // [blocks, 16, 16]
}

/// `w = (d / 8 · (2s + 1)) · ±row`, rows of eight, a sign for each weight, sixteen groups.
pub fn iq2_s<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let codes = columns(blocks, 2..34) + parts(blocks, 66..74, (4, 2)).scale(256.0); // [blocks, 32]
    let rows = eights(&codes, 768..1792) * signs(blocks, 34..66); // [blocks, 32, 8]
    let scales = parts(blocks, 74..82, (2, 4)); // [blocks, 16]
    rows.reshape([n_blocks, 16, 16]) * odd(scales, half(blocks, 0).scale(1.0 / 8.0)) // [blocks, 16, 16]
}

/// `w = (d / 4 · (2s + 1)) · ±row`, rows of four, signs of seven bits, eight groups.
pub fn iq3_xxs<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let steps = rows(&columns(blocks, 2..66), 1792..2048, 4); // [blocks, 64, 4]
    // 4, 12, ... 52, and 62, where 60 would follow.
    let is_last = steps.clone().shift(1.0).scale(1.0 / 8.0).floor();
    let rows = steps.scale(8.0).shift(4.0) + is_last.scale(2.0); // [blocks, 64, 4]
    let words = columns(blocks, 66..98).reshape([n_blocks, 8, 4]); // [blocks, 8, 4]
    let (signs, scales) = signs_and_scales(words);
    let rows = rows.reshape([n_blocks, 32, 8]) * signs; // [blocks, 32, 8]
    rows.reshape([n_blocks, 8, 32]) * odd(scales, half(blocks, 0).scale(1.0 / 4.0)) // [blocks, 8, 32]
}

/// `w = (d · (2s + 1)) · ±row`, rows of four, a sign for each weight, eight groups.
pub fn iq3_s<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let codes = columns(blocks, 2..66) + parts(blocks, 66..74, (8, 1)).scale(256.0); // [blocks, 64]
    let rows = rows(&codes, 2048..2560, 4).scale(2.0).shift(1.0); // [blocks, 64, 4]
    let rows = rows.reshape([n_blocks, 32, 8]) * signs(blocks, 74..106); // [blocks, 32, 8]
    let scales = parts(blocks, 106..110, (2, 4)); // [blocks, 8]
    rows.reshape([n_blocks, 8, 32]) * odd(scales, half(blocks, 0)) // [blocks, 8, 32]
}

/// `w = (d · (2s + 1)) · (row ± 1/8)`, rows of eight, a sign for each of eight groups.
pub fn iq1_s<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let groups = pairs(blocks, 34..50); // [blocks, 8]
    let upper = fields(&groups.clone().reshape([n_blocks, 8, 1]), (4, 3), 2); // [blocks, 8, 4]
    let codes = columns(blocks, 2..34) + upper.reshape([n_blocks, 32]).scale(256.0); // [blocks, 32]
    let rows = rows(&codes, 2560..4608, 8).shift(-1.0).reshape([n_blocks, 8, 32]); // [blocks, 8, 32]
    let shifted = rows + eighths(field(&groups, 15, 1)).reshape([n_blocks, 8, 1]); // [blocks, 8, 32]
    shifted * odd(field(&groups, 12, 3), half(blocks, 0))
}

/// `w = (d · (2s + 1)) · (row ± 1/8)`, rows of eight, a sign for each row, sixteen groups; `d` in four pieces.
pub fn iq1_m<B: Backend>(blocks: &Value<B>) -> Value<B> {
    let n_blocks = blocks.dims()[0];
    let upper = parts(blocks, 32..48, (2, 4)); // [blocks, 32]
    let codes = columns(blocks, 0..32) + field(&upper, 0, 3).scale(256.0); // [blocks, 32]
    let rows = rows(&codes, 2560..4608, 8).shift(-1.0); // [blocks, 32, 8]
    let shifted = rows + eighths(field(&upper, 3, 1)).reshape([n_blocks, 32, 1]); // [blocks, 32, 8]
    let numbers = pairs(blocks, 48..56); // [blocks, 4]
    let scales = fields(&numbers.clone().reshape([n_blocks, 4, 1]), (4, 3), 2); // [blocks, 4, 4]
    let scales = scales.reshape([n_blocks, 16]); // [blocks, 16]
    let pieces = field(&numbers, 12, 4);
    let byte = |first: usize| {
        columns(&pieces, first..first + 1) + columns(&pieces, first + 1..first + 2).scale(16.0)
    };
    let scale = half(&Value::concatenate(vec![byte(0), byte(2)], 1), 0); // [blocks, 1]
    shifted.reshape([n_blocks, 16, 16]) * odd(scales, scale) // [blocks, 16, 16]
}

/// Which levels the numbers of some rows of the book are: `codes` `[blocks, N]` → `[blocks, N, width]`.
fn rows<B: Backend>(codes: &Value<B>, book: Range<usize>, width: usize) -> Value<B> {
    let [n_blocks, n_codes] = codes.dims()[..] else { panic!("codes are a matrix") };
    let bytes = PACKED[2 * book.start..2 * book.end].as_chunks::<2>().0.iter();
    let packed = bytes.map(|bytes| f32::from(u16::from_le_bytes(*bytes))).collect();
    let packed = codes.constant(packed, [book.len(), 1]); // [rows, 1]
    let book = fields(&packed, (width as i32, 16 / width as i32), 1); // [rows, width]
    book.rows(codes.clone().reshape([n_blocks * n_codes])).reshape([n_blocks, n_codes, width]) // [blocks, N, width]
}

/// Rows of the magnitudes 8, 25 and 43: `[blocks, N, 8]`.
fn eights<B: Backend>(codes: &Value<B>, book: Range<usize>) -> Value<B> {
    let steps = rows(codes, book, 8);
    let is_last = steps.clone().scale(0.5).floor();
    steps.scale(17.0).shift(8.0) + is_last
}

/// 1/8, or where a bit is set -1/8.
fn eighths<B: Backend>(bits: Value<B>) -> Value<B> {
    bits.scale(-0.25).shift(0.125)
}

/// The scale of each group, an odd multiple: `[blocks, groups]` and `[blocks, 1]` → `[blocks, groups, 1]`.
fn odd<B: Backend>(scales: Value<B>, scale: Value<B>) -> Value<B> {
    let [n_blocks, n_groups] = scales.dims()[..] else { panic!("scales are a matrix") };
    (scales.scale(2.0).shift(1.0) * scale).reshape([n_blocks, n_groups, 1]) // [blocks, groups, 1]
}

/// Numbers of 16 bits: `[blocks, half as many as bytes]`.
fn pairs<B: Backend>(blocks: &Value<B>, bytes: Range<usize>) -> Value<B> {
    let (n_blocks, n) = (blocks.dims()[0], bytes.len() / 2);
    let bytes = columns(blocks, bytes).reshape([n_blocks, n, 2]); // [blocks, n, 2]
    let byte = |place: usize| bytes.clone().slice(&[0..n_blocks, 0..n, place..place + 1]);
    (byte(0) + byte(1).scale(256.0)).reshape([n_blocks, n]) // [blocks, n]
}

/// `n` fields of `width` bits of each byte, side by side: `[blocks, n · bytes]`.
fn parts<B: Backend>(blocks: &Value<B>, bytes: Range<usize>, (n, width): (i32, i32)) -> Value<B> {
    let (n_blocks, n_bytes) = (blocks.dims()[0], bytes.len());
    let bytes = columns(blocks, bytes).reshape([n_blocks, n_bytes, 1]); // [blocks, bytes, 1]
    fields(&bytes, (n, width), 2).reshape([n_blocks, n_bytes * n as usize]) // [blocks, n · bytes]
}

/// 1, or -1 where a bit is set.
fn signs<B: Backend>(blocks: &Value<B>, bytes: Range<usize>) -> Value<B> {
    let (n_blocks, n_bytes) = (blocks.dims()[0], bytes.len());
    let bits = parts(blocks, bytes, (8, 1)).reshape([n_blocks, n_bytes, 8]); // [blocks, bytes, 8]
    bits.scale(-2.0).shift(1.0)
}

/// Signs of seven bits, of which an eighth makes the number of minuses even: `[blocks, N]` → `[blocks, N, 8]`.
fn even_signs<B: Backend>(codes: Value<B>) -> Value<B> {
    let [n_blocks, n_codes] = codes.dims()[..] else { panic!("codes are a matrix") };
    let bits = fields(&codes.reshape([n_blocks, n_codes, 1]), (7, 1), 2); // [blocks, N, 7]
    let total = bits.clone().sum(2); // [blocks, N, 1]
    let last = total.clone() - total.scale(0.5).floor().scale(2.0);
    Value::concatenate(vec![bits, last], 2).scale(-2.0).shift(1.0)
}

/// The signs of four rows and the scale in four bytes of each of eight groups: four times seven bits, then four:
/// `[blocks, 8, 4]` → `[blocks, 32, 8]`, `[blocks, 8]`.
fn signs_and_scales<B: Backend>(words: Value<B>) -> (Value<B>, Value<B>) {
    let n_blocks = words.dims()[0];
    let [a, b, c, d] = [0, 1, 2, 3].map(|place| words.clone().slice(&[0..n_blocks, 0..8, place..place + 1]));
    let sevens = vec![
        field(&a, 0, 7),
        field(&a, 7, 1) + field(&b, 0, 6).scale(2.0),
        field(&b, 6, 2) + field(&c, 0, 5).scale(4.0),
        field(&c, 5, 3) + field(&d, 0, 4).scale(8.0),
    ];
    let codes = Value::concatenate(sevens, 2).reshape([n_blocks, 32]); // [blocks, 32]
    (even_signs(codes), field(&d, 4, 4).reshape([n_blocks, 8])) // [blocks, 32, 8], [blocks, 8]
}
