//! The packing of `pairs` written to be read: what the packing with vectors is held to, and what a machine without
//! AVX-512 runs the tile kernel's test with.
//!
//! Only compiled for tests.

use std::ops::Range;

use super::amx::body;
use super::pairs::{STEP, WIDTH};
use super::{Half, Line};
use crate::amx::TILE;
use crate::product::Weights;
use crate::product::operand::Operand;
use crate::product::weights::{from_bf16, from_f16};

/// The tile kernel with this packing.
pub(super) const AMX: Half = body(rows, columns);

unsafe fn rows(a: &Operand<'_>, outer: Range<usize>, inner: Range<usize>, to: &mut [Line]) {
    pack(a, (outer, inner), Order::ByOuter, to);
}

unsafe fn columns(b: &Operand<'_>, outer: Range<usize>, inner: Range<usize>, to: &mut [Line]) {
    pack(b, (outer, inner), Order::ByPair, to);
}

/// What a line of a tile holds.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// Sixteen pairs of k of one outer element: a.
    ByOuter,
    /// One pair of k of sixteen outer elements: b.
    ByPair,
}

/// Sixteen lines of sixteen pairs.
type Block = [Line; TILE];

/// Packs a group, zero behind the operand's ends.
fn pack(operand: &Operand<'_>, (outer, inner): (Range<usize>, Range<usize>), order: Order, to: &mut [Line]) {
    match operand.values {
        Weights::F32(values) => fill(&Source::new(values, |x| x, operand, (outer, inner)), order, to),
        Weights::Bf16(bits) => fill(&Source::new(bits, from_bf16, operand, (outer, inner)), order, to),
        Weights::F16(bits) => fill(&Source::new(bits, from_f16, operand, (outer, inner)), order, to),
        Weights::Blocks(_) => unreachable!("quantised weights take the f32 product"),
    }
}

fn fill<E: Copy, W: Fn(E) -> f32>(source: &Source<'_, E, W>, order: Order, to: &mut [Line]) {
    let is_by_outer = !source.operand.is_by_columns();
    for k in (0..source.inner.len()).step_by(STEP) {
        for outer in (0..WIDTH).step_by(TILE) {
            let mut block: Block = [Line([0; 16]); TILE];
            for (index, line) in block.iter_mut().enumerate() {
                *line = match is_by_outer {
                    true => source.along_k(outer + index, k),
                    false => source.across(outer, k + 2 * index),
                };
            }
            let is_turned = is_by_outer != (order == Order::ByOuter);
            to[k + outer..][..TILE].copy_from_slice(&if is_turned { turn(block) } else { block });
        }
    }
}

/// Rows as columns.
fn turn(block: Block) -> Block {
    std::array::from_fn(|row| Line(std::array::from_fn(|column| block[column].0[row])))
}

/// The part of an operand that becomes a group.
struct Source<'a, E, W> {
    values: &'a [E],
    widen: W,
    operand: &'a Operand<'a>,
    outer: Range<usize>,
    inner: Range<usize>,
}

impl<'a, E: Copy, W: Fn(E) -> f32> Source<'a, E, W> {
    fn new(
        values: &'a [E],
        widen: W,
        operand: &'a Operand<'a>,
        (outer, inner): (Range<usize>, Range<usize>),
    ) -> Self {
        Self { values, widen, operand, outer, inner }
    }

    /// Sixteen pairs of k of one outer element.
    fn along_k(&self, outer: usize, k: usize) -> Line {
        let mut wide = [0.0; STEP];
        if outer < self.outer.len() {
            let n = STEP.min(self.inner.len() - k);
            let start = self.operand.place(self.outer.start + outer, self.inner.start + k);
            for (wide, value) in wide.iter_mut().zip(&self.values[start..start + n]) {
                *wide = (self.widen)(*value);
            }
        }
        Line(std::array::from_fn(|pair| to_bf16(wide[2 * pair]) | to_bf16(wide[2 * pair + 1]) << 16))
    }

    /// One pair of k of sixteen outer elements.
    fn across(&self, outer: usize, k: usize) -> Line {
        let n = TILE.min(self.outer.len().saturating_sub(outer));
        let mut pair = [[0.0; TILE]; 2];
        for (k, wide) in (k..self.inner.len()).zip(&mut pair) {
            let outer = self.outer.start + outer.min(self.outer.len());
            let start = self.operand.place(outer, self.inner.start + k);
            for (wide, value) in wide.iter_mut().zip(&self.values[start..start + n]) {
                *wide = (self.widen)(*value);
            }
        }
        Line(std::array::from_fn(|index| to_bf16(pair[0][index]) | to_bf16(pair[1][index]) << 16))
    }
}

/// The nearest bf16, ties to even, in the lower half; NaN stays NaN.
fn to_bf16(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let quiet = bits >> 16 | 0x40;
    if value.is_nan() { quiet } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_the_nearest_bf16() {
        for (bits, expected) in [
            (0x3f80_0000, 0x3f80),
            (0x3f80_7fff, 0x3f80),
            (0x3f80_8000, 0x3f80),
            (0x3f80_8001, 0x3f81),
            (0x3f81_8000, 0x3f82),
            (0xbf81_8000, 0xbf82),
            (0x7f7f_ffff, 0x7f80),
            (0xff80_0000, 0xff80),
            (0x7f80_0001, 0x7fc0),
            (0xffff_ffff, 0xffff),
            (0x0000_0001, 0),
        ] {
            assert_eq!(to_bf16(f32::from_bits(bits)), expected, "{bits:#010x}");
        }
    }
}
