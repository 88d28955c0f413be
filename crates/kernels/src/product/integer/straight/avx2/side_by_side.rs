//! What the bodies over eight rows of weights side by side share: which rows lie together, and where the sums go.
//!
//! Eight outputs go on together, where one alone would wait for the last addition of its chain at every block, and no sum is
//! added up across lanes. What lies in the registers is what a panel holds, only that it is never written.

use std::arch::x86_64::*;

use crate::blocks::Format;
use crate::lanes::bytes::{Bytes, Bytes32};
use crate::product::integer::Part;
use crate::product::integer::activations::{Activations, Address};

/// Rows of weights side by side.
pub(super) const WIDTH: usize = Bytes32::ROWS;

/// How a kind of types goes on by one block.
pub(in crate::product::integer::straight) trait SideBySide {
    type Format: Format;

    /// Asks for weights of the next eight rows of so many blocks, as far as it is time before block `index`.
    fn fetch_ahead(weights: &[*const u8; WIDTH], index: usize, n_blocks: usize);

    /// The chains of R x 8 outputs, one block further. Eight blocks come twice, as packing wants them.
    ///
    /// # Safety
    /// The rows of x have this block, there are these blocks of weights, and the machine has AVX2.
    unsafe fn add_block<const R: usize>(
        sums: &mut [__m256; R],
        x: &[Address; R],
        blocks: &[*const u8; 16],
        index: usize,
    );
}

/// The body for a kind of types: goes over the rows of the weights with as many rows of x as there are.
///
/// # Safety
/// As [`Body`](crate::product::integer::Body), where [`Way::body`](super::super::Way::body) gives it.
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::product::integer::straight) unsafe fn body<T: SideBySide>(
    x: &Activations<'_>,
    w: &[u8],
    part: &Part<'_>,
) {
    // SAFETY: the caller's promises.
    unsafe {
        match part.rows.len() {
            1 => over_columns::<T, 1>(x, w, part),
            2 => over_columns::<T, 2>(x, w, part),
            3 => over_columns::<T, 3>(x, w, part),
            _ => over_columns::<T, 4>(x, w, part),
        }
    }
}

#[inline(always)]
unsafe fn over_columns<T: SideBySide, const R: usize>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    let n_blocks = x.inner() / T::Format::N_WEIGHTS;
    let row_bytes = n_blocks * T::Format::N_BYTES;
    let at: [Address; R] = std::array::from_fn(|r| x.address(part.rows.start + r, x.skipped(0)));
    for first in part.columns.clone().step_by(WIDTH) {
        let columns = first..part.columns.end.min(first + WIDTH);
        // Rows of weights that there are not are the last one.
        let weights: [*const u8; WIDTH] = std::array::from_fn(|row| {
            let row = (first + row).min(columns.end - 1);
            w[row * row_bytes..][..row_bytes].as_ptr()
        });
        // SAFETY: the slices have so many blocks, each row of x as many; the rows and columns are of this part.
        unsafe {
            let sums = eight_columns::<T, R>(&at, &weights, n_blocks);
            for (r, sums) in sums.iter().enumerate() {
                let to = part.row(part.rows.start + r, columns.clone());
                to.copy_from_slice(&sums[..columns.len()]);
            }
        }
    }
}

/// The products of R rows of x and eight rows of so many blocks.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn eight_columns<T: SideBySide, const R: usize>(
    x: &[Address; R],
    weights: &[*const u8; WIDTH],
    n_blocks: usize,
) -> [[f32; WIDTH]; R] {
    let n_bytes = T::Format::N_BYTES;
    // SAFETY: the caller's promises.
    unsafe {
        let mut sums = [_mm256_setzero_ps(); R];
        for index in 0..n_blocks {
            T::fetch_ahead(weights, index, n_blocks);
            let mut blocks = [weights[0]; 16];
            for row in 0..16 {
                blocks[row] = weights[row % WIDTH].add(index * n_bytes);
            }
            T::add_block::<R>(&mut sums, x, &blocks, index);
        }
        let mut found = [[0.0; WIDTH]; R];
        for r in 0..R {
            _mm256_storeu_ps(found[r].as_mut_ptr(), sums[r]);
        }
        found
    }
}

/// A half-precision number of a block of each row.
///
/// # Safety
/// As [`SideBySide::add_block`]; the number lies inside a block.
#[inline(always)]
pub(super) unsafe fn halves(blocks: &[*const u8; 16], at: usize) -> __m256 {
    let mut bits = [0u16; WIDTH];
    // SAFETY: two bytes of each of the caller's blocks; its machine has the instruction.
    unsafe {
        for row in 0..WIDTH {
            bits[row] = blocks[row].add(at).cast::<u16>().read_unaligned();
        }
        _mm256_cvtph_ps(_mm_loadu_si128(bits.as_ptr().cast()))
    }
}
