//! Quantised weights: blocks in which neighbours share a scale, as model files hold them.
//!
//! Knows how large a block is, how to widen one, and for most types how to make one from numbers; the others can only
//! be read ([`BlockType::is_writable`]). Does not compute products:
//! [`crate::product`] does, over the lanes that a type gives. Does not choose a type for a model.
//!
//! Widening a block is the definition of its weights. A product takes the same block as whole numbers under scales
//! (`Scales`), which stand for the same weights.

pub mod grids;
pub mod iq1_m;
pub mod iq1_s;
pub mod iq2_s;
pub mod iq2_xs;
pub mod iq2_xxs;
pub mod iq3_s;
pub mod iq3_xxs;
pub mod iq4_nl;
pub mod iq4_xs;
pub mod mxfp4;
pub mod nvfp4;
pub mod q2_k;
pub mod q3_k;
pub mod q4_0;
pub mod q4_1;
pub mod q4_k;
pub mod q5_0;
pub mod q5_1;
pub mod q5_k;
pub mod q6_k;
pub mod q8_0;
pub mod tq1_0;
pub mod tq2_0;

mod bits;
mod fives;
mod pairs;
mod plain;
mod search;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::ops::Range;

use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::lanes::{LANES, Lanes, bytes::Bytes};
use crate::pool;
use crate::product::integer;
use crate::product::integer::activations::Rounding;
#[cfg(target_arch = "x86_64")]
use crate::product::integer::straight::Straight;

/// Every type of block. A new one is a file beside `q8_0` and a line here.
pub static TYPES: &[&BlockType] = &[
    &q4_0::Q4_0,
    &q4_1::Q4_1,
    &q5_0::Q5_0,
    &q5_1::Q5_1,
    &q8_0::Q8_0,
    &q2_k::Q2_K,
    &q3_k::Q3_K,
    &q4_k::Q4_K,
    &q5_k::Q5_K,
    &q6_k::Q6_K,
    &iq4_nl::IQ4_NL,
    &iq4_xs::IQ4_XS,
    &mxfp4::MXFP4,
    &iq2_xxs::IQ2_XXS,
    &iq2_xs::IQ2_XS,
    &iq2_s::IQ2_S,
    &iq3_xxs::IQ3_XXS,
    &iq3_s::IQ3_S,
    &iq1_s::IQ1_S,
    &iq1_m::IQ1_M,
    &tq1_0::TQ1_0,
    &tq2_0::TQ2_0,
    &nvfp4::NVFP4,
];

/// The most weights that a block of any type has.
const MAX_WEIGHTS: usize = 256;

/// Weights of one task when many blocks are made: some 10 µs of one core where they are rounded plainly, a hundred
/// times that where scales are searched.
const WEIGHTS_PER_TASK: usize = 16 * 1024;

/// A type of block, as its own file defines it.
pub(crate) trait Format: Sized + 'static {
    /// Its name, as GGML writes it.
    const NAME: &'static str;
    /// Weights of a block; a multiple of 32.
    const N_WEIGHTS: usize;
    /// Bytes of a block.
    const N_BYTES: usize;
    /// What makes every value of [`Part::values`] unsigned when it is added; 128 where they have eight bits.
    const OFFSET: u8;
    /// The greatest value after that.
    const GREATEST: u8;
    /// Weights under one whole scale: 16 or 32.
    const GROUP: usize = 32;
    /// The least and the greatest whole scale of a group, or a wider range: AMX multiplies it into the values, which
    /// then are bytes or take two.
    const WHOLE_SCALES: [i16; 2] = [-128, 127];
    /// Weights that are one link of the chain in a product: a block, or a group where each has a scale of its own.
    const LINK: usize = Self::N_WEIGHTS;
    /// Whether there are minima.
    const HAS_MINIMA: bool = false;
    /// Where the half-precision scale of a block stands, if it is one.
    const SCALE_AT: Option<usize>;
    /// Where the half-precision minimum of a block stands, if there is one.
    const MINIMUM_AT: Option<usize> = None;

    /// Weights `32 · part` to `32 · part + 31` of one block of [`Self::N_BYTES`]: the definition.
    fn part(block: &[u8], part: usize) -> Part;

    /// What the values of a block are multiplied with, where it is one link.
    fn scales(block: &[u8]) -> Scales;

    /// What the whole numbers of a link are multiplied with.
    #[inline(always)]
    fn link_scale(block: &[u8], _link: usize) -> f32 {
        Self::scales(block).scale
    }

    /// How few rows are multiplied without a panel on x86-64, where the type has a way.
    #[cfg(target_arch = "x86_64")]
    const STRAIGHT: Option<&'static Straight> = None;

    /// Puts the values of one block of each of `V::ROWS` rows, [`Self::OFFSET`] added, into a panel of a product:
    /// those of weights 4k to 4k + 3 of all rows side by side at `k · STEP`.
    ///
    /// # Safety
    /// The rows are good for a block, the panel for as many steps of k; the machine has the instruction set of `V`.
    #[inline(always)]
    unsafe fn pack<V: Bytes>(rows: &[*const u8; 16], to: *mut u8) {
        // SAFETY: the caller's promises.
        unsafe { integer::pack::by_parts::<Self, V>(rows, to) }
    }

    /// Puts the whole scales and minima of one block of 256 of each of `V::ROWS` rows into a panel: scales, [group,
    /// row]; minima, two groups in the lower and the upper 16 bits, [two groups, row].
    ///
    /// # Safety
    /// As [`Self::pack`].
    #[inline(always)]
    unsafe fn pack_groups<V: Bytes>(rows: &[*const u8; 16], to: (*mut i32, *mut i32)) {
        // SAFETY: the caller's promises.
        unsafe { integer::pack::groups_by_rows::<Self, V>(rows, to) }
    }

    /// The same weights in vector lanes: the bits of [`Part::widen`].
    ///
    /// # Safety
    /// `block` is good for a whole block, `part` lies inside it, and the machine has the instruction set of
    /// `V`.
    #[inline(always)]
    unsafe fn lanes<V: Lanes>(block: *const u8, part: usize) -> [V; 2] {
        // SAFETY: the caller's block and instruction set; sixteen values are read at 0 and at 16 of 32.
        unsafe {
            let part = Self::part(std::slice::from_raw_parts(block, Self::N_BYTES), part);
            let lanes = |half: usize| {
                let values = V::load_i8(part.values.as_ptr().add(half * LANES));
                values.mul(V::splat(part.scales[half])).sub(V::splat(part.minima[half]))
            };
            [lanes(0), lanes(1)]
        }
    }
}

/// A type of which blocks can be made.
pub(crate) trait Writable: Format {
    /// Makes one block of [`Self::N_BYTES`] from [`Self::N_WEIGHTS`] weights; where it is known how much each of
    /// their columns matters, so that the errors of those that matter are small.
    fn quantise(weights: &[f32], columns: Option<&[f32]>, block: &mut [u8]);
}

/// 32 weights of a block, taken apart: weight i is `scales[i / 16] · values[i] - minima[i / 16]`, rounded to f32
/// after the product and after the difference. Types without minima have 0 there, which changes no bit.
pub(crate) struct Part {
    pub scales: [f32; 2],
    pub minima: [f32; 2],
    pub values: [i8; 32],
}

impl Part {
    /// 32 weights under one scale.
    #[inline(always)]
    fn scaled(scale: f32, values: [i8; 32]) -> Self {
        Self { scales: [scale; 2], minima: [0.0; 2], values }
    }

    /// 32 weights, each 16 of which have a whole scale under one of the block.
    #[inline(always)]
    fn halved(scale: f32, groups: [i16; 2], values: [i8; 32]) -> Self {
        Self { scales: groups.map(|group| scale * f32::from(group)), minima: [0.0; 2], values }
    }

    fn widen(&self, weights: &mut [f32]) {
        for (half, weights) in weights.chunks_exact_mut(16).enumerate() {
            for (weight, value) in weights.iter_mut().zip(&self.values[16 * half..]) {
                *weight = self.scales[half] * f32::from(*value) - self.minima[half];
            }
        }
    }
}

/// The scales of a block, taken apart: weight i of group g is `(scale · groups[g]) · value - minimum · minima[g]`. A
/// type of 32 weights has one group, under a whole scale of 1.
pub(crate) struct Scales {
    pub scale: f32,
    pub minimum: f32,
    pub groups: [i16; 16],
    pub minima: [u8; 16],
}

impl Scales {
    /// One scale for all.
    #[inline(always)]
    fn one(scale: f32) -> Self {
        Self { scale, minimum: 0.0, groups: [1; 16], minima: [1; 16] }
    }

    /// One scale for all over the whole scales of N groups.
    #[inline(always)]
    fn grouped<const N: usize>(scale: f32, group: impl Fn(usize) -> i16) -> Self {
        let groups = std::array::from_fn(|index| if index < N { group(index) } else { 0 });
        Self { groups, ..Self::one(scale) }
    }
}

/// Makes one block from its weights and, where it is known, how much each of their columns matters.
type Quantise = fn(&[f32], Option<&[f32]>, &mut [u8]);
/// Widens whole blocks: their bytes, room for exactly their weights.
type Dequantise = unsafe fn(&[u8], &mut [f32]);

/// A type of block: its sizes and what can be done with it.
pub struct BlockType {
    name: &'static str,
    n_weights: usize,
    n_bytes: usize,
    /// None where a type can only be read.
    quantise: Option<Quantise>,
    dequantise: Kernel<Dequantise>,
    rounding: Rounding,
    pub(crate) product: Kernel<integer::Body>,
}

impl BlockType {
    /// A type that can be read and written.
    pub(crate) const fn writable<F: Writable>() -> Self {
        let mut kind = Self::of::<F>();
        kind.quantise = Some(F::quantise);
        kind
    }

    /// A type that can be read.
    pub(crate) const fn of<F: Format>() -> Self {
        let is_one_link =
            F::LINK == F::N_WEIGHTS && (F::N_WEIGHTS == 32 && F::GROUP == 32 || F::N_WEIGHTS == 256);
        let is_many =
            F::N_WEIGHTS < 256 && F::N_WEIGHTS.is_multiple_of(32) && F::LINK == 16 && F::GROUP == 16;
        assert!(is_one_link || is_many && !F::HAS_MINIMA, "activations are rounded 32 or 256 at a time");
        let bodies: &'static [(Isa, Dequantise)] = const {
            &[
                (Isa::Scalar, scalar::<F>),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx2, vector::avx2::<F>),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx512, vector::avx512::<F>),
                #[cfg(target_arch = "aarch64")]
                (Isa::Neon, vector::body::<crate::lanes::Neon, F>),
            ]
        };
        Self {
            name: F::NAME,
            n_weights: F::N_WEIGHTS,
            n_bytes: F::N_BYTES,
            quantise: None,
            dequantise: Kernel::new("blocks (dequantise)", bodies),
            rounding: Rounding {
                unit: integer::unit::<F>(),
                group: F::GROUP,
                offset: F::OFFSET,
                has_minima: F::HAS_MINIMA,
            },
            product: Kernel::new(integer::NAME, integer::bodies::<F>()),
        }
    }

    /// Its name, as GGML writes it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many weights a block holds. A row of a matrix is a whole number of blocks.
    pub fn n_weights(&self) -> usize {
        self.n_weights
    }

    /// How many bytes so many weights take; `None` where they are no whole number of blocks, or the bytes
    /// cannot be counted.
    pub fn size_bytes(&self, n_weights: usize) -> Option<usize> {
        let is_whole = n_weights.is_multiple_of(self.n_weights);
        is_whole.then(|| (n_weights / self.n_weights).checked_mul(self.n_bytes)).flatten()
    }

    /// Whether blocks can be made of weights; the others can only be read.
    pub fn is_writable(&self) -> bool {
        self.quantise.is_some()
    }

    /// How many activations are rounded under one scale when they meet such blocks: 32 or 256.
    pub fn n_activations(&self) -> usize {
        self.rounding.unit
    }

    /// How activations are rounded that meet such blocks.
    pub(crate) fn rounding(&self) -> Rounding {
        self.rounding
    }

    /// Makes blocks from weights, on the pool; each block depends on its own weights only.
    ///
    /// # Panics
    /// When `weights` is no whole number of blocks, or `to` has another length than
    /// [`size_bytes`](Self::size_bytes) says, or the type is not [writable](Self::is_writable).
    pub fn quantise(&self, weights: &[f32], to: &mut [u8]) {
        self.make(weights, None, to);
    }

    /// As [`quantise`](Self::quantise), with `importance` saying how much an error counts in each column of a matrix:
    /// best the mean square of what the column is multiplied with. Only how they compare with each other inside a
    /// block counts. Q8_0 has the same blocks either way.
    ///
    /// # Shapes
    /// `weights` `[N, K]` row after row, `importance` `[K]`.
    ///
    /// # Panics
    /// As [`quantise`](Self::quantise); and when a row is no whole number of blocks, `weights` no whole number of rows,
    /// or an importance negative or not finite.
    pub fn quantise_weighed(&self, weights: &[f32], importance: &[f32], to: &mut [u8]) {
        let (name, row) = (self.name, importance.len());
        let is_whole = row.is_multiple_of(self.n_weights) && weights.len().is_multiple_of(row);
        assert!(is_whole, "{name}: {} weights in rows of {row} are not whole blocks", weights.len());
        let is_sound = importance.iter().all(|column| column.is_finite() && *column >= 0.0);
        assert!(is_sound, "{name}: an importance is negative or no number");
        self.make(weights, Some(importance), to);
    }

    fn make(&self, weights: &[f32], importance: Option<&[f32]>, to: &mut [u8]) {
        self.check_sizes(to.len(), weights.len());
        let blocks_per_task = WEIGHTS_PER_TASK / self.n_weights;
        let output = crate::disjoint::Disjoint::new(to);
        pool::run_ranges(weights.len() / self.n_weights, blocks_per_task, &|blocks| {
            let from = &weights[blocks.start * self.n_weights..blocks.end * self.n_weights];
            // SAFETY: blocks do not overlap, and each belongs to one task.
            let to = unsafe { output.part(blocks.start * self.n_bytes..blocks.end * self.n_bytes) };
            self.make_here(from, (importance, blocks.start * self.n_weights), to);
        });
    }

    /// As [`quantise`](Self::quantise), on this thread.
    pub(crate) fn quantise_here(&self, weights: &[f32], to: &mut [u8]) {
        self.check_sizes(to.len(), weights.len());
        self.make_here(weights, (None, 0), to);
    }

    /// Blocks of weights of which the first is number `first` of a matrix.
    fn make_here(&self, weights: &[f32], (importance, first): (Option<&[f32]>, usize), to: &mut [u8]) {
        let Some(quantise) = self.quantise else {
            panic!("{}: blocks of this type can only be read", self.name)
        };
        let pairs = weights.chunks_exact(self.n_weights).zip(to.chunks_exact_mut(self.n_bytes));
        for (block, (weights, to)) in pairs.enumerate() {
            let columns = importance.map(|importance| {
                let column = (first + block * self.n_weights) % importance.len();
                &importance[column..column + self.n_weights]
            });
            quantise(weights, columns, to);
        }
    }

    /// The weights of whole blocks, on this thread.
    ///
    /// # Panics
    /// When `blocks` is no whole number of blocks, or `to` has another length than their weights.
    pub fn dequantise(&self, blocks: &[u8], to: &mut [f32]) {
        self.dequantise_with(self.dequantise.body(), blocks, to);
    }

    fn dequantise_with(&self, body: Dequantise, blocks: &[u8], to: &mut [f32]) {
        self.check_sizes(blocks.len(), to.len());
        // SAFETY: the table holds only bodies that this machine can run, and the sizes were just checked.
        unsafe { body(blocks, to) }
    }

    fn check_sizes(&self, n_bytes: usize, n_weights: usize) {
        let (name, fits) = (self.name, self.size_bytes(n_weights) == Some(n_bytes));
        assert!(fits, "{name}: {n_weights} weights are not {n_bytes} bytes of whole blocks");
    }
}

impl fmt::Debug for BlockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A matrix's weights in blocks, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    kind: &'static BlockType,
    bytes: &'a [u8],
}

impl<'a> Blocks<'a> {
    /// Reads `bytes` as blocks of a type; any bytes are some weights.
    ///
    /// # Panics
    /// When `bytes` is no whole number of blocks.
    pub fn new(kind: &'static BlockType, bytes: &'a [u8]) -> Self {
        let is_whole = bytes.len().is_multiple_of(kind.n_bytes);
        assert!(is_whole, "{}: {} bytes are no whole number of blocks", kind.name, bytes.len());
        Self { kind, bytes }
    }

    /// Their type.
    pub fn kind(&self) -> &'static BlockType {
        self.kind
    }

    /// How many weights there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.kind.n_bytes * self.kind.n_weights
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Their bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The weights of `range`, which may begin and end inside a block.
    ///
    /// # Panics
    /// When the range lies outside or `to` has another length.
    pub fn widen(&self, range: Range<usize>, mut to: &mut [f32]) {
        assert_eq!(range.len(), to.len(), "widen: a range of one length into a slice of another");
        let BlockType { n_weights, n_bytes, .. } = *self.kind;
        let body = self.kind.dequantise.body();
        let mut start = range.start;
        while !to.is_empty() {
            let (block, skipped) = (start / n_weights, start % n_weights);
            let n_whole = if skipped == 0 { to.len() / n_weights } else { 0 };
            let bytes = &self.bytes[block * n_bytes..(block + n_whole.max(1)) * n_bytes];
            let n = if n_whole > 0 { n_whole * n_weights } else { to.len().min(n_weights - skipped) };
            let (now, later) = to.split_at_mut(n);
            if n_whole > 0 {
                self.kind.dequantise_with(body, bytes, now);
            } else {
                let mut all = [0.0; MAX_WEIGHTS];
                self.kind.dequantise_with(body, bytes, &mut all[..n_weights]);
                now.copy_from_slice(&all[skipped..skipped + n]);
            }
            (start, to) = (start + n, later);
        }
    }
}

fn scalar<F: Format>(blocks: &[u8], to: &mut [f32]) {
    let pairs = blocks.chunks_exact(F::N_BYTES).zip(to.chunks_exact_mut(F::N_WEIGHTS));
    pairs.for_each(|(block, to)| {
        to.chunks_exact_mut(32).enumerate().for_each(|(part, to)| F::part(block, part).widen(to));
    });
}

mod vector {
    use super::Format;
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2<F: Format>(blocks: &[u8], to: &mut [f32]) {
        // SAFETY: this function has the features, its caller the sizes.
        unsafe { body::<Avx2, F>(blocks, to) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512<F: Format>(blocks: &[u8], to: &mut [f32]) {
        // SAFETY: as above.
        unsafe { body::<Avx512, F>(blocks, to) }
    }

    #[inline(always)]
    pub unsafe fn body<V: Lanes, F: Format>(blocks: &[u8], to: &mut [f32]) {
        for (block, to) in blocks.chunks_exact(F::N_BYTES).zip(to.chunks_exact_mut(F::N_WEIGHTS)) {
            for (part, to) in to.chunks_exact_mut(2 * LANES).enumerate() {
                // SAFETY: a whole block, a part inside it, and room for 32 weights.
                unsafe {
                    let [first, second] = F::lanes::<V>(block.as_ptr(), part);
                    first.store(to.as_mut_ptr());
                    second.store(to.as_mut_ptr().add(LANES));
                }
            }
        }
    }
}
