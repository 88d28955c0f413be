//! Quantised weights: blocks in which neighbours share a scale, as model files hold them.
//!
//! Knows how large a block is, how to make one from numbers and how to widen one. Does not compute products:
//! [`crate::product`] does, over the lanes that a type gives. Does not choose a type for a model.
//!
//! Widening a block is the definition of its weights: every product over blocks has the bits of the same
//! product over the widened numbers as f32.

pub mod q8_0;

use std::fmt;
use std::ops::Range;

use crate::isa::Isa;
use crate::kernel::Kernel;
#[cfg(target_arch = "x86_64")]
use crate::lanes::Lanes;
use crate::pool;
use crate::product::BlockBodies;

/// Every type of block. A new one is a file beside `q8_0` and a line here.
pub static TYPES: &[&BlockType] = &[&q8_0::Q8_0];

/// The most weights that a block of any type has.
const MAX_WEIGHTS: usize = 256;

/// Weights of one task when many blocks are made: about 50 µs of one core.
const WEIGHTS_PER_TASK: usize = 64 * 1024;

/// A type of block, as its own file defines it.
pub(crate) trait Format: 'static {
    /// Its name, as GGML writes it.
    const NAME: &'static str;
    /// Weights of a block; a multiple of 32.
    const N_WEIGHTS: usize;
    /// Bytes of a block.
    const N_BYTES: usize;

    /// Makes one block of [`Self::N_BYTES`] from [`Self::N_WEIGHTS`] weights.
    fn quantise(weights: &[f32], block: &mut [u8]);

    /// The weights of one block: the definition.
    fn dequantise(block: &[u8], weights: &mut [f32]);

    /// Weights `32 · part` to `32 · part + 31` of one block: the bits of [`Self::dequantise`].
    ///
    /// # Safety
    /// `block` is good for a whole block, `part` lies inside it, and the machine has the instruction set of
    /// `V`.
    #[cfg(target_arch = "x86_64")]
    unsafe fn lanes<V: Lanes>(block: *const u8, part: usize) -> [V; 2];
}

/// Widens whole blocks: their bytes, room for exactly their weights.
type Dequantise = unsafe fn(&[u8], &mut [f32]);

/// A type of block: its sizes and what can be done with it.
pub struct BlockType {
    name: &'static str,
    n_weights: usize,
    n_bytes: usize,
    quantise: fn(&[f32], &mut [u8]),
    dequantise: Kernel<Dequantise>,
    pub(crate) bodies: BlockBodies,
}

impl BlockType {
    pub(crate) const fn of<F: Format>() -> Self {
        assert!(
            F::N_WEIGHTS.is_multiple_of(32) && F::N_WEIGHTS <= MAX_WEIGHTS,
            "vector bodies take 32 weights"
        );
        let bodies: &'static [(Isa, Dequantise)] = const {
            &[
                (Isa::Scalar, scalar::<F>),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx2, x86::avx2::<F>),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx512, x86::avx512::<F>),
            ]
        };
        Self {
            name: F::NAME,
            n_weights: F::N_WEIGHTS,
            n_bytes: F::N_BYTES,
            quantise: F::quantise,
            dequantise: Kernel::new("blocks (dequantise)", bodies),
            bodies: BlockBodies::of::<F>(),
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

    /// Makes blocks from weights, on the pool; each block depends on its own weights only.
    ///
    /// # Panics
    /// When `weights` is no whole number of blocks, or `to` has another length than
    /// [`size_bytes`](Self::size_bytes) says.
    pub fn quantise(&self, weights: &[f32], to: &mut [u8]) {
        self.check_sizes(to.len(), weights.len());
        let blocks_per_task = WEIGHTS_PER_TASK / self.n_weights;
        let output = crate::disjoint::Disjoint::new(to);
        pool::run_ranges(weights.len() / self.n_weights, blocks_per_task, &|blocks| {
            let from = &weights[blocks.start * self.n_weights..blocks.end * self.n_weights];
            // SAFETY: blocks do not overlap, and each belongs to one task.
            let to = unsafe { output.part(blocks.start * self.n_bytes..blocks.end * self.n_bytes) };
            let pairs = from.chunks_exact(self.n_weights).zip(to.chunks_exact_mut(self.n_bytes));
            pairs.for_each(|(weights, block)| (self.quantise)(weights, block));
        });
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
    pairs.for_each(|(block, to)| F::dequantise(block, to));
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Format;
    use crate::lanes::{Avx2, Avx512, LANES, Lanes};

    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2<F: Format>(blocks: &[u8], to: &mut [f32]) {
        // SAFETY: this function has the features, its caller the sizes.
        unsafe { body::<Avx2, F>(blocks, to) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512<F: Format>(blocks: &[u8], to: &mut [f32]) {
        // SAFETY: as above.
        unsafe { body::<Avx512, F>(blocks, to) }
    }

    #[inline(always)]
    unsafe fn body<V: Lanes, F: Format>(blocks: &[u8], to: &mut [f32]) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{assert_same_bits, normal};
    use base::Rng;

    /// Random bytes: every scale, NaN and infinity among them, and every value.
    fn random_blocks(kind: &BlockType, rng: &mut Rng, n_blocks: usize) -> Vec<u8> {
        (0..n_blocks * kind.n_bytes).map(|_| rng.below(256) as u8).collect()
    }

    #[test]
    fn every_body_widens_to_the_bits_of_scalar() {
        let mut rng = Rng::new(1);
        for kind in TYPES {
            for n_blocks in [0, 1, 2, 7, 2000] {
                let blocks = random_blocks(kind, &mut rng, n_blocks);
                let scalar = kind.dequantise.body_for(Isa::Scalar);
                let mut expected = vec![9.0; n_blocks * kind.n_weights];
                kind.dequantise_with(scalar, &blocks, &mut expected);
                for (isa, body) in kind.dequantise.bodies_here() {
                    for offset in [0, 1] {
                        let mut shifted = vec![0; offset];
                        shifted.extend_from_slice(&blocks);
                        let mut found = vec![9.0; expected.len()];
                        kind.dequantise_with(body, &shifted[offset..], &mut found);
                        assert_same_bits(&found, &expected, &format!("{} {isa} {n_blocks}", kind.name));
                    }
                }
            }
        }
    }

    #[test]
    fn any_range_is_widened() {
        let mut rng = Rng::new(2);
        for kind in TYPES {
            let bytes = random_blocks(kind, &mut rng, 9);
            let blocks = Blocks::new(kind, &bytes);
            let mut all = vec![0.0; blocks.len()];
            kind.dequantise(&bytes, &mut all);
            for _ in 0..300 {
                let start = rng.below(blocks.len() + 1);
                let end = start + rng.below(blocks.len() - start + 1);
                let mut found = vec![9.0; end - start];
                blocks.widen(start..end, &mut found);
                assert_same_bits(&found, &all[start..end], &format!("{} {start}..{end}", kind.name));
            }
        }
    }

    #[test]
    fn blocks_are_the_same_for_any_number_of_threads() {
        let mut rng = Rng::new(3);
        for kind in TYPES {
            let weights = normal(&mut rng, 3 * WEIGHTS_PER_TASK + 5 * kind.n_weights);
            let size = kind.size_bytes(weights.len()).unwrap();
            let mut one_by_one = vec![0; size];
            for (weights, block) in weights.chunks(kind.n_weights).zip(one_by_one.chunks_mut(kind.n_bytes)) {
                (kind.quantise)(weights, block);
            }
            for n_threads in [1, 2, 3, 5] {
                pool::set_active_threads(n_threads);
                let mut found = vec![0; size];
                kind.quantise(&weights, &mut found);
                assert!(found == one_by_one, "{} on {n_threads} threads", kind.name);
            }
            pool::set_active_threads(2);
        }
    }

    #[test]
    fn sizes_are_whole_blocks() {
        let kind = &q8_0::Q8_0;
        assert_eq!((kind.size_bytes(0), kind.size_bytes(64)), (Some(0), Some(68)));
        assert_eq!((kind.size_bytes(33), kind.size_bytes(usize::MAX - 31)), (None, None));
        assert_eq!(format!("{kind:?}"), "Q8_0");
    }

    #[test]
    #[should_panic(expected = "no whole number of blocks")]
    fn a_part_of_a_block_is_a_bug() {
        Blocks::new(&q8_0::Q8_0, &[0; 35]);
    }

    #[test]
    #[should_panic(expected = "32 weights are not 33 bytes")]
    fn wrong_room_is_a_bug() {
        q8_0::quantise(&[0.0; 32], &mut [0; 33]);
    }
}
