//! Products of few rows straight over the blocks of weight rows, as they lie in memory.
//!
//! A panel has to be put together before it is multiplied, which costs more than the multiplication where rows of x are
//! few. Here a block's whole numbers are taken apart in registers, in their order, one weight row after the other; the sums
//! of its products lie in as many lanes as a register has, which are added up for several blocks at once, and the chain of
//! an output goes on number by number. Only AVX2 goes another way with types of 32 and with Q4_K: over eight weight rows
//! side by side.
//!
//! Only for AVX2 and AVX-512 VNNI, and for types that say so; others go over panels. How a type's blocks are taken apart
//! stands in its file: for AVX2 [`Grouped`] and [`Turned`], for VNNI [`GroupedVnni`] and [`Plain`].

mod avx2;
mod vnni;

use std::arch::x86_64::*;

use super::activations::{Activations, Address};
use super::{Body, Part};
use crate::blocks::Format;
use crate::fetch;
use crate::lanes::bytes::Bytes32;

/// How a type multiplies few rows.
pub(crate) struct Straight {
    /// With AVX-512 VNNI, where the type has such a way.
    pub vnni: Option<Way>,
    /// With AVX2.
    pub avx2: Way,
}

/// How it does on one instruction set.
pub(crate) struct Way {
    body: Body,
    /// Rows of x, at most four: with more of them panels are as fast, as was measured.
    most_rows: usize,
    /// Weights of which a row has a whole number.
    n_weights: usize,
}

impl Straight {
    /// A type of 256, for so many rows at most with VNNI and with AVX2.
    pub const fn grouped<F: GroupedVnni + Grouped>([vnni, avx2]: [usize; 2]) -> Self {
        let vnni = Way { body: vnni::grouped::<F>, most_rows: vnni, n_weights: 256 };
        Self { vnni: Some(vnni), ..Self::grouped_on_avx2::<F>(avx2) }
    }

    /// A type of 256 that AVX2 takes eight rows of at once, for so many.
    pub const fn turned<F: GroupedVnni + Turned>([vnni, avx2]: [usize; 2]) -> Self {
        let vnni = Way { body: vnni::grouped::<F>, most_rows: vnni, n_weights: 256 };
        let body = avx2::side_by_side::<avx2::turned::Blocks<F>>;
        Self { vnni: Some(vnni), avx2: Way { body, most_rows: avx2, n_weights: 256 } }
    }

    /// A type of 32, for so many.
    pub const fn plain<F: Plain>([vnni, avx2]: [usize; 2]) -> Self {
        let vnni = Way { body: vnni::plain::<F>, most_rows: vnni, n_weights: 32 * vnni::AT_ONCE };
        Self { vnni: Some(vnni), ..Self::plain_on_avx2::<F>(avx2) }
    }

    /// A type of 256 that has no way with VNNI, for so many rows at most.
    pub const fn grouped_on_avx2<F: Grouped>(most_rows: usize) -> Self {
        Self { vnni: None, avx2: Way { body: avx2::grouped::<F>, most_rows, n_weights: 256 } }
    }

    /// A type of 32 that has none with VNNI.
    pub const fn plain_on_avx2<F: Format>(most_rows: usize) -> Self {
        let body = avx2::side_by_side::<avx2::plain::Blocks<F>>;
        Self { vnni: None, avx2: Way { body, most_rows, n_weights: 32 } }
    }
}

impl Way {
    /// The body, for rows that are few enough and as long as it wants them.
    pub fn body(&self, n_rows: usize, inner: usize) -> Option<Body> {
        (n_rows <= self.most_rows && inner.is_multiple_of(self.n_weights)).then_some(self.body)
    }
}

/// How far ahead weights are asked for, in bytes, as was measured: the processor's own looking ahead alone gives half of the
/// bandwidth.
const AHEAD: usize = 8192;

/// A type of blocks of 256 whose scales are whole numbers, one block at a time.
///
/// # Safety
/// Of every method: the block is good for its bytes, the machine has AVX2.
pub(crate) trait Grouped: Format {
    /// The values in their order, the type's offset added.
    unsafe fn codes_by_32(block: *const u8) -> [__m256i; 8];
    /// For each sixteen of them the scale.
    unsafe fn scales_of_sixteens(block: *const u8) -> __m256i;
    /// The minima of eight groups, where there are so many.
    unsafe fn minima(_block: *const u8) -> __m128i {
        // SAFETY: every machine of 64 bits has it.
        unsafe { _mm_setzero_si128() }
    }
    /// The minima of sixteen groups, where there are so many.
    unsafe fn minima_of_sixteen(_block: *const u8) -> __m256i {
        // SAFETY: the caller's machine.
        unsafe { _mm256_setzero_si256() }
    }
}

/// A type of blocks of 256 whose eight groups have whole scales and minima, eight blocks at a time.
///
/// # Safety
/// The first eight blocks are good for their bytes, the machine has AVX2.
pub(crate) trait Turned: Format {
    /// Groups `2 · TWO` and `2 · TWO + 1` of eight blocks: register k of each holds weights 4k to 4k + 3 of every block.
    unsafe fn two_groups<const TWO: usize>(blocks: &[*const u8; 16]) -> [[Bytes32; 8]; 2];
}

/// A type of blocks of 256 whose scales are whole numbers, as VNNI reads it.
///
/// # Safety
/// Of every method: as of [`Grouped`], and the machine has AVX-512 with VNNI.
pub(crate) trait GroupedVnni: Format {
    /// The values in their order, the type's offset added.
    unsafe fn codes(block: *const u8) -> [__m512i; 4];
    /// For each four of them the scale, in the lower 16 bits.
    unsafe fn scales_of_fours(block: *const u8) -> [__m512i; 4];
    /// The scales of the sixteen groups, where there is an offset.
    unsafe fn groups(_block: *const u8) -> __m512i {
        // SAFETY: the caller's machine.
        unsafe { _mm512_setzero_si512() }
    }
    /// The minima of eight groups, where there are some.
    unsafe fn minima(_block: *const u8) -> __m128i {
        // SAFETY: every machine of 64 bits has it.
        unsafe { _mm_setzero_si128() }
    }
}

/// A type of blocks of 32 without minima, as VNNI reads it; AVX2 needs nothing beside what every type has.
///
/// # Safety
/// As of [`GroupedVnni`].
pub(crate) trait Plain: Format {
    /// The values of two blocks in their order, the type's offset added.
    unsafe fn codes(blocks: *const u8) -> __m512i;
}

/// What a body does with one row of weights.
trait Rows {
    type Format: Format;

    /// The products of R rows of x and one row of so many blocks.
    ///
    /// # Safety
    /// The rows have these blocks, the machine the body's instructions.
    unsafe fn row<const R: usize>(x: &[Address; R], blocks: *const u8, n_blocks: usize) -> [f32; R];
}

/// Goes over the rows of the weights with as many rows of x as there are.
///
/// # Safety
/// As [`Body`].
#[inline(always)]
unsafe fn by_count<T: Rows>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: the caller's promises.
    unsafe {
        match part.rows.len() {
            1 => over_rows::<T, 1>(x, w, part),
            2 => over_rows::<T, 2>(x, w, part),
            3 => over_rows::<T, 3>(x, w, part),
            _ => over_rows::<T, 4>(x, w, part),
        }
    }
}

#[inline(always)]
unsafe fn over_rows<T: Rows, const R: usize>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    let n_blocks = x.inner() / T::Format::N_WEIGHTS;
    let n_bytes = n_blocks * T::Format::N_BYTES;
    let first = part.rows.start;
    let at: [Address; R] = std::array::from_fn(|r| x.address(first + r, x.skipped(0)));
    for column in part.columns.clone() {
        let blocks = &w[column * n_bytes..][..n_bytes];
        // SAFETY: the slice has so many blocks, each row of x as many; the rows and columns are of this part.
        unsafe {
            let sums = T::row(&at, blocks.as_ptr(), n_blocks);
            for (r, sum) in sums.into_iter().enumerate() {
                part.row(first + r, column..column + 1)[0] = sum;
            }
        }
    }
}

/// Asks the second cache for so many bytes, some way behind an address.
#[inline(always)]
fn fetch_ahead(at: *const u8, n_bytes: usize) {
    (0..n_bytes).step_by(fetch::LINE).for_each(|line| fetch::second_cache(at.wrapping_add(AHEAD + line)));
}

/// A half-precision number of a block, or 0 where there is none.
#[inline(always)]
unsafe fn half(block: *const u8, at: Option<usize>) -> f32 {
    let Some(at) = at else { return 0.0 };
    // SAFETY: two bytes of the caller's block; its machine has the instruction.
    unsafe {
        let bits = block.add(at).cast::<u16>().read_unaligned();
        _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(bits))))
    }
}

#[inline(always)]
unsafe fn floats(numbers: __m128i) -> [f32; 4] {
    let mut floats = [0.0; 4];
    // SAFETY: four numbers.
    unsafe { _mm_storeu_ps(floats.as_mut_ptr(), _mm_cvtepi32_ps(numbers)) };
    floats
}

/// The sum of the four numbers of each register.
#[inline(always)]
unsafe fn sum_of_fours([a, b, c, d]: [__m128i; 4]) -> __m128i {
    // SAFETY: every machine with AVX2 has it.
    unsafe { _mm_hadd_epi32(_mm_hadd_epi32(a, b), _mm_hadd_epi32(c, d)) }
}
