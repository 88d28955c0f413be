//! The product on AMX: tiles of sixteen rows of bf16, two by two.
//!
//! Asks for no permission: `isa` did. Intrinsics for AMX are unstable, so the tile kernel is one block of
//! assembly; its test runs it on an emulator where the processor has none.
//!
//! Operands are rounded to bf16, to nearest even, which may double what is near the end of f32 to infinity.
//! The multiply-adds of even and of odd k are two chains of f32 over a tile's 32 k, then added to the sum;
//! numbers below 2⁻¹²⁶ count as zero. The error relative to Σ|a·b| is 2⁻⁷ for the operands and K · 2⁻²⁴ for
//! the sum. Sixteen rows by sixteen columns by 32 take sixteen cycles, as long as one of four tile loads
//! takes eight: two by two tiles need four loads for four products.
//!
//! Source: Intel SDM volume 2, LDTILECFG, TILELOADD, TDPBF16PS; volume 1 chapter 18.

use std::arch::asm;
use std::ops::Range;

use super::{Half, Line, Pack, Side, Target};
use crate::product::prompt::Operand;
use crate::product::weights::{Weights, from_bf16, from_f16};
use crate::product::{Into, half::pack};

/// Rows of a group of a and columns of a group of b: two tiles each.
const WIDTH: usize = 32;
/// Elements of k in a tile: sixteen pairs.
const STEP: usize = 32;
/// Rows of a tile.
const TILE: usize = 16;

/// The body for AMX, on which there is AVX-512 too.
pub(super) const HALF: Half = body(pack_rows, pack_columns);

const fn body(pack_a: Pack, pack_b: Pack) -> Half {
    Half {
        a: Side { width: WIDTH, n_head: 0, n_per_k: 1, pack: pack_a },
        b: Side { width: WIDTH, n_head: 0, n_per_k: 1, pack: pack_b },
        step: STEP,
        multiply,
    }
}

/// The same with packing for any processor, so that the tile kernel can be tested on any.
#[cfg(test)]
pub(super) const EMULATED: Half = {
    unsafe fn rows(a: &Operand<'_>, outer: Range<usize>, inner: Range<usize>, to: &mut [Line]) {
        pack(a, (outer, inner), Order::ByOuter, &turn, to);
    }
    unsafe fn columns(b: &Operand<'_>, outer: Range<usize>, inner: Range<usize>, to: &mut [Line]) {
        pack(b, (outer, inner), Order::ByPair, &turn, to);
    }
    body(rows, columns)
};

/// What LDTILECFG reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    n_rows: [u8; 16],
}

/// Eight tiles of sixteen rows of 64 bytes.
static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    n_rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Multiplies two groups; see [`super::Multiply`].
unsafe fn multiply(k: usize, a: &[Line], b: &[Line], target: &Target) {
    let n_lines = k.next_multiple_of(STEP);
    assert!(k > 0 && a.len() >= n_lines && b.len() >= n_lines, "both groups hold k, one at least");
    let mut sums = [[0.0f32; WIDTH]; WIDTH];
    // SAFETY: both groups hold so many steps of 2 kB, and the sums are 32 rows of 128 bytes.
    unsafe { tiles(n_lines / STEP, a.as_ptr(), b.as_ptr(), sums.as_mut_ptr().cast()) };
    for (row, sums) in sums.iter().enumerate().take(target.n_rows) {
        // SAFETY: the caller's promise about the target.
        let to = unsafe {
            std::slice::from_raw_parts_mut(target.first.add(row * target.stride), target.n_columns)
        };
        match target.into {
            Into::Replace => to.copy_from_slice(&sums[..target.n_columns]),
            Into::Add => to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum),
        }
    }
}

/// Two by two tiles of sums over `n_steps` steps of 32 k.
///
/// # Safety
/// AMX may be used; there is a step at least; each step has two tiles, of 1 kB each, at `a` and at `b`, and
/// four tiles may be written at `sums`, whose rows are 128 bytes apart.
unsafe fn tiles(n_steps: usize, a: *const Line, b: *const Line, sums: *mut f32) {
    // SAFETY: the caller's promise; the tiles' state is set at the beginning and given up at the end.
    unsafe {
        asm!(
            "ldtilecfg [{configuration}]",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{a} + {row}]",
            "tileloadd tmm6, [{b} + {row}]",
            "tileloadd tmm7, [{b} + {row} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{a} + {row} + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, 2048",
            "add {b}, 2048",
            "dec {n_steps}",
            "jnz 2b",
            "tilestored [{sums} + {row} * 2], tmm0",
            "tilestored [{sums} + {row} * 2 + 64], tmm1",
            "tilestored [{sums} + {row} * 2 + 2048], tmm2",
            "tilestored [{sums} + {row} * 2 + 2112], tmm3",
            "tilerelease",
            configuration = in(reg) &raw const CONFIGURATION,
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            n_steps = inout(reg) n_steps => _,
            sums = in(reg) sums,
            row = in(reg) 64usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn pack_rows(a: &Operand<'_>, outer: Range<usize>, inner: Range<usize>, to: &mut [Line]) {
    pack(a, (outer, inner), Order::ByOuter, &|block| pack::turn(block), to);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn pack_columns(b: &Operand<'_>, outer: Range<usize>, inner: Range<usize>, to: &mut [Line]) {
    pack(b, (outer, inner), Order::ByPair, &|block| pack::turn(block), to);
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
#[inline(always)]
fn pack(
    operand: &Operand<'_>,
    (outer, inner): (Range<usize>, Range<usize>),
    order: Order,
    turn: &impl Fn(Block) -> Block,
    to: &mut [Line],
) {
    match operand.values {
        Weights::F32(values) => fill(&Source::new(values, |x| x, operand, (outer, inner)), order, turn, to),
        Weights::Bf16(bits) => fill(&Source::new(bits, from_bf16, operand, (outer, inner)), order, turn, to),
        Weights::F16(bits) => fill(&Source::new(bits, from_f16, operand, (outer, inner)), order, turn, to),
    }
}

#[inline(always)]
fn fill<E: Copy, W: Fn(E) -> f32>(
    source: &Source<'_, E, W>,
    order: Order,
    turn: &impl Fn(Block) -> Block,
    to: &mut [Line],
) {
    let is_by_outer = source.inner_stride == 1;
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
#[cfg(test)]
fn turn(block: Block) -> Block {
    std::array::from_fn(|row| Line(std::array::from_fn(|column| block[column].0[row])))
}

/// The part of an operand that becomes a group.
struct Source<'a, E, W> {
    values: &'a [E],
    widen: W,
    outer_stride: usize,
    inner_stride: usize,
    outer: Range<usize>,
    inner: Range<usize>,
}

impl<'a, E: Copy, W: Fn(E) -> f32> Source<'a, E, W> {
    #[inline(always)]
    fn new(
        values: &'a [E],
        widen: W,
        operand: &Operand<'_>,
        (outer, inner): (Range<usize>, Range<usize>),
    ) -> Self {
        let Operand { outer_stride, inner_stride, .. } = *operand;
        Self { values, widen, outer_stride, inner_stride, outer, inner }
    }

    /// Sixteen pairs of k of one outer element.
    #[inline(always)]
    fn along_k(&self, outer: usize, k: usize) -> Line {
        let mut wide = [0.0; STEP];
        if outer < self.outer.len() {
            let n = STEP.min(self.inner.len() - k);
            let start = (self.outer.start + outer) * self.outer_stride + self.inner.start + k;
            for (wide, value) in wide.iter_mut().zip(&self.values[start..start + n]) {
                *wide = (self.widen)(*value);
            }
        }
        Line(std::array::from_fn(|pair| to_bf16(wide[2 * pair]) | to_bf16(wide[2 * pair + 1]) << 16))
    }

    /// One pair of k of sixteen outer elements.
    #[inline(always)]
    fn across(&self, outer: usize, k: usize) -> Line {
        let n = TILE.min(self.outer.len().saturating_sub(outer));
        let mut pair = [[0.0; TILE]; 2];
        for (k, wide) in (k..self.inner.len()).zip(&mut pair) {
            let start =
                (self.inner.start + k) * self.inner_stride + self.outer.start + outer.min(self.outer.len());
            for (wide, value) in wide.iter_mut().zip(&self.values[start..start + n]) {
                *wide = (self.widen)(*value);
            }
        }
        Line(std::array::from_fn(|index| to_bf16(pair[0][index]) | to_bf16(pair[1][index]) << 16))
    }
}

/// The nearest bf16, ties to even, in the lower half; NaN stays NaN.
#[inline(always)]
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
