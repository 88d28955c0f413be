//! Rows of activations in eight bits, as products over quantised weights take them.
//!
//! - For weights in blocks of 32: blocks of 32 activations, `aᵢ = round(xᵢ · (127 / max|x|))` and the scale
//!   `e = half(max|x| / 127)`; for weights with a minimum also `t = half((max|x| / 127) · Σ aᵢ)`.
//! - For weights in blocks of 256: blocks of 256 activations, the same a, and the scale `e = 1 / (127 / max|x|)`.
//!
//! `round` takes the nearest whole number, ties to even, `half` the nearest half-precision number, ties to even; all
//! else is rounded to f32. A block whose scale is 0 has only zeros. A block with NaN or an infinity has the scale
//! NaN, so that every output of its row is NaN.
//!
//! Does not: keep a sign with the scale, as the GGML project does for blocks of 256: it would change no product.
//!
//! Source: `block_q8_0`, `block_q8_1` and `block_q8_K` of the GGML project and how its x86 code makes them, as facts
//! (its portable code takes ties away from zero); `fixtures/activations` holds what it makes.

use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;
use crate::product::{from_f16, to_f16};

/// How activations are rounded for one type of block, and what else its bodies read of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounding {
    /// Activations under one scale: 32 or 256.
    pub(crate) unit: usize,
    /// Weights under one scale of whole numbers: 16 or 32.
    pub(crate) group: usize,
    /// What the bodies add to a value of a weight to make it unsigned.
    pub(crate) offset: u8,
    /// Whether the weights have minima.
    pub(crate) has_minima: bool,
}

/// Rounds one row.
pub(crate) type RowBody = unsafe fn(&[f32], Rounding, Row<'_>);

/// The bodies: the same code for each instruction set, in which no compiler may change a bit.
pub(crate) static ROUNDING: Kernel<RowBody> = Kernel::new(
    "activations",
    &[
        (Isa::Scalar, round_row),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, avx512),
    ],
);

/// Bytes of a cache line, on which codes begin: tiles read whole lines of them.
const LINE: usize = 64;
/// Numbers of one task at least: some microseconds.
const NUMBERS_PER_TASK: usize = 16 * 1024;

/// Where one rounded row is written.
pub(crate) struct Row<'a> {
    codes: &'a mut [i8],
    scales: &'a mut [f32],
    starts: &'a mut [i32],
    totals: &'a mut [f32],
    pairs: &'a mut [i32],
}

/// Rounded rows.
pub struct Activations<'a> {
    /// Those of a row.
    lengths: Lengths,
    rounding: Rounding,
    codes: &'a [i8],
    scales: &'a [f32],
    starts: &'a [i32],
    totals: &'a [f32],
    pairs: &'a [i32],
}

/// Where the parts of one row begin, for bodies that read by address.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    pub codes: *const i8,
    pub scales: *const f32,
    /// For each group, minus its sum times the offset of the weights.
    pub starts: *const i32,
    /// For each block of 32, t.
    pub totals: *const f32,
    /// For each two groups their sums in the lower and the upper 16 bits.
    pub pairs: *const i32,
}

impl Address {
    /// Where the row stands that is `n` rows further, of rows that are so long.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    #[inline(always)]
    pub(crate) fn further(self, n: usize, row: Lengths) -> Self {
        Self {
            codes: self.codes.wrapping_add(n * row.codes),
            scales: self.scales.wrapping_add(n * row.scales),
            starts: self.starts.wrapping_add(n * row.starts),
            totals: self.totals.wrapping_add(n * row.totals),
            pairs: self.pairs.wrapping_add(n * row.pairs),
        }
    }
}

/// How many elements each part of some activations of a row has.
#[derive(Clone, Copy)]
pub(crate) struct Lengths {
    codes: usize,
    scales: usize,
    starts: usize,
    totals: usize,
    pairs: usize,
}

impl Rounding {
    fn lengths(self, inner: usize) -> Lengths {
        let only = |wanted: bool, n: usize| if wanted { n } else { 0 };
        Lengths {
            codes: inner,
            scales: inner / self.unit,
            starts: only(self.offset > 0, inner / self.group),
            totals: only(self.has_minima && self.unit == 32, inner / 32),
            pairs: only(self.has_minima && self.unit == 256, inner / self.group / 2),
        }
    }
}

/// Memory for rounded rows, kept from product to product.
#[derive(Default)]
pub(crate) struct Room {
    codes: Vec<i8>,
    scales: Vec<f32>,
    starts: Vec<i32>,
    totals: Vec<f32>,
    pairs: Vec<i32>,
}

/// The first `length` elements, with whatever they were.
fn first<T: Copy + Default>(all: &mut Vec<T>, length: usize) -> &mut [T] {
    if all.len() < length {
        all.resize(length, T::default());
    }
    &mut all[..length]
}

impl Room {
    pub const fn empty() -> Self {
        Self {
            codes: Vec::new(),
            scales: Vec::new(),
            starts: Vec::new(),
            totals: Vec::new(),
            pairs: Vec::new(),
        }
    }

    /// Rounds the rows of `x`, each `inner` long, which is a multiple of the unit and not 0.
    pub fn round(&mut self, body: RowBody, x: &[f32], inner: usize, rounding: Rounding) -> Activations<'_> {
        let (n_rows, lengths) = (x.len() / inner, rounding.lengths(inner));
        let codes = first(&mut self.codes, n_rows * inner + LINE);
        let skipped = codes.as_ptr().align_offset(LINE).min(LINE);
        let codes = &mut codes[skipped..][..n_rows * inner];
        let scales = first(&mut self.scales, n_rows * lengths.scales);
        let starts = first(&mut self.starts, n_rows * lengths.starts);
        let totals = first(&mut self.totals, n_rows * lengths.totals);
        let pairs = first(&mut self.pairs, n_rows * lengths.pairs);
        {
            let (codes, scales, starts) =
                (Disjoint::new(codes), Disjoint::new(scales), Disjoint::new(starts));
            let (totals, pairs) = (Disjoint::new(totals), Disjoint::new(pairs));
            pool::run_ranges(n_rows, NUMBERS_PER_TASK.div_ceil(inner), &|rows| {
                for row in rows {
                    let of = |length: usize| row * length..(row + 1) * length;
                    // SAFETY: rows do not overlap, and each belongs to one task; the table holds only bodies that
                    // this machine can run.
                    unsafe {
                        let to = Row {
                            codes: codes.part(of(inner)),
                            scales: scales.part(of(lengths.scales)),
                            starts: starts.part(of(lengths.starts)),
                            totals: totals.part(of(lengths.totals)),
                            pairs: pairs.part(of(lengths.pairs)),
                        };
                        body(&x[of(inner)], rounding, to);
                    }
                }
            });
        }
        Activations { lengths, rounding, codes, scales, starts, totals, pairs }
    }
}

impl Activations<'_> {
    /// How long a row is.
    pub(crate) fn inner(&self) -> usize {
        self.lengths.codes
    }

    /// The same rows with their whole numbers elsewhere.
    #[cfg(test)]
    pub(crate) fn with_codes<'a>(&'a self, codes: &'a [i8]) -> Activations<'a> {
        assert_eq!(codes, self.codes, "the same numbers");
        Activations { codes, ..*self }
    }

    /// All whole numbers, row by row.
    #[cfg(test)]
    pub(crate) fn all_codes(&self) -> &[i8] {
        self.codes
    }

    /// Some of the whole numbers of a row.
    pub(crate) fn codes(&self, row: usize, first: usize, n: usize) -> &[i8] {
        &self.codes[row * self.lengths.codes + first..][..n]
    }

    /// The scale of a block of a row.
    pub(crate) fn scale(&self, row: usize, block: usize) -> f32 {
        self.scales[row * self.lengths.scales + block]
    }

    /// The scale times the sum of a block of 32, for weights with a minimum.
    pub(crate) fn total(&self, row: usize, block: usize) -> f32 {
        self.totals[row * self.lengths.totals + block]
    }

    /// What lies before activation `first`, which begins a block.
    pub(crate) fn skipped(&self, first: usize) -> Lengths {
        self.rounding.lengths(first)
    }

    /// How many elements each part of a row has.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub(crate) fn row_lengths(&self) -> Lengths {
        self.lengths
    }

    /// Where a row stands behind what is skipped of it.
    pub(crate) fn address(&self, row: usize, skipped: Lengths) -> Address {
        let Lengths { codes, scales, starts, totals, pairs } = self.lengths;
        Address {
            codes: self.codes[row * codes + skipped.codes..].as_ptr(),
            scales: self.scales[row * scales + skipped.scales..].as_ptr(),
            starts: self.starts[row * starts + skipped.starts..].as_ptr(),
            totals: self.totals[row * totals + skipped.totals..].as_ptr(),
            pairs: self.pairs[row * pairs + skipped.pairs..].as_ptr(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn avx2(x: &[f32], rounding: Rounding, to: Row<'_>) {
    round_row(x, rounding, to);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
unsafe fn avx512(x: &[f32], rounding: Rounding, to: Row<'_>) {
    round_row(x, rounding, to);
}

#[inline(always)]
fn round_row(x: &[f32], rounding: Rounding, to: Row<'_>) {
    let Row { codes, scales, starts, totals, pairs } = to;
    if rounding.unit == 32 {
        let blocks = x.as_chunks::<32>().0.iter().zip(codes.as_chunks_mut::<32>().0);
        for (index, (x, codes)) in blocks.enumerate() {
            let (step, scale) = round_block(x, codes, |largest| {
                let step = largest / 127.0;
                (step, from_f16(to_f16(step)))
            });
            scales[index] = scale;
            if rounding.has_minima {
                totals[index] = from_f16(to_f16(step * sum(codes) as f32));
            }
        }
    } else {
        let blocks = x.as_chunks::<256>().0.iter().zip(codes.as_chunks_mut::<256>().0);
        for (index, (x, codes)) in blocks.enumerate() {
            let (_, scale) = round_block(x, codes, |largest| {
                let step = 1.0 / (127.0 / largest);
                (step, step)
            });
            scales[index] = scale;
        }
    }
    let group_sum = |index: usize| sum(&codes[index * rounding.group..(index + 1) * rounding.group]);
    for (index, start) in starts.iter_mut().enumerate() {
        *start = -i32::from(rounding.offset) * group_sum(index);
    }
    for (index, pair) in pairs.iter_mut().enumerate() {
        *pair = group_sum(2 * index) & 0xffff | group_sum(2 * index + 1) << 16;
    }
}

#[inline(always)]
fn sum(codes: &[i8]) -> i32 {
    codes.iter().map(|code| i32::from(*code)).sum()
}

/// Rounds one block; `scale` makes a step and its stored scale of the largest magnitude. Returns both.
#[inline(always)]
fn round_block<const N: usize>(
    x: &[f32; N],
    codes: &mut [i8; N],
    scale: impl Fn(f32) -> (f32, f32),
) -> (f32, f32) {
    /// The bits of infinity; those of NaN are more.
    const INFINITE: u32 = 0x7f80_0000;
    /// Added to a number of magnitude below 2²², it leaves the nearest whole number in the lowest bits, ties to even.
    const ALIGNER: f32 = 12_582_912.0;
    let largest = x.iter().fold(0, |largest, x| largest.max(x.to_bits() & 0x7fff_ffff));
    let (step, scale) =
        if largest < INFINITE { scale(f32::from_bits(largest)) } else { (f32::NAN, f32::NAN) };
    if scale == 0.0 || scale.is_nan() {
        codes.fill(0);
        return (scale, scale);
    }
    let inverse = 127.0 / f32::from_bits(largest);
    for (code, x) in codes.iter_mut().zip(x) {
        *code = (x * inverse + ALIGNER).to_bits().wrapping_sub(ALIGNER.to_bits()) as i8;
    }
    (step, scale)
}

#[cfg(test)]
pub(crate) mod tests;
