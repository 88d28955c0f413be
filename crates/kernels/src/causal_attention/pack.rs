//! The copies that fill packed blocks: rows padded to whole vectors, and rows turned into columns.
//!
//! Computes nothing but a product with one factor.

use super::tile::BLOCK;
use crate::lanes::{LANES, Lanes, load_up_to};

/// Some rows of one head, at most a block, one `stride` behind the other.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    values: &'a [f32],
    stride: usize,
    n_rows: usize,
    size: usize,
}

impl<'a> Rows<'a> {
    /// The rows of `all` that begin at element `first`, each of `size` elements.
    pub fn new(all: &'a [f32], first: usize, stride: usize, [n_rows, size]: [usize; 2]) -> Self {
        assert!((1..=BLOCK).contains(&n_rows) && 0 < size && size <= stride, "a block of rows");
        Self { values: &all[first..first + (n_rows - 1) * stride + size], stride, n_rows, size }
    }

    /// Row by row, each times `factor` and padded with zeros to whole vectors, and as many rows of zeros as
    /// make a block.
    ///
    /// # Safety
    /// As [`Lanes`].
    #[inline(always)]
    pub unsafe fn pack<V: Lanes>(&self, factor: f32, to: &mut [f32]) {
        let width = self.size.next_multiple_of(LANES);
        let n_rows = self.n_rows;
        assert!(to.len() >= BLOCK * width, "the block has room");
        to[n_rows * width..BLOCK * width].fill(0.0);
        for (row, to) in to.chunks_exact_mut(width).take(n_rows).enumerate() {
            let from = &self.values[row * self.stride..row * self.stride + self.size];
            for start in (0..self.size).step_by(LANES) {
                // SAFETY: `from` has `size` elements and `to` whole vectors.
                unsafe {
                    let lanes: V = load_up_to(from.as_ptr(), start, self.size);
                    lanes.mul(V::splat(factor)).store(to.as_mut_ptr().add(start));
                }
            }
        }
    }
}

/// Turns a packed block [BLOCK, width] into its columns [width, BLOCK].
pub(super) fn columns(from: &[f32], to: &mut [f32]) {
    let width = from.len() / BLOCK;
    assert!(from.len() == to.len() && width * BLOCK == from.len() && width.is_multiple_of(4), "a block");
    for column in (0..width).step_by(4) {
        for row in (0..BLOCK).step_by(4) {
            // SAFETY: four rows of four elements stand from there on, and four columns have room for four
            // elements from `row` on.
            unsafe {
                let from = from.as_ptr().add(row * width + column);
                transpose_4x4(from, width, to.as_mut_ptr().add(column * BLOCK + row));
            }
        }
    }
}

/// Four elements of four rows as four columns.
///
/// # Safety
/// Four elements stand at `from` and each `stride` behind it; four have room at `to` and each `BLOCK` behind.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_4x4(from: *const f32, stride: usize, to: *mut f32) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's promise; SSE is part of every x86-64, and loads and stores need no alignment.
    unsafe {
        let [a, b, c, d] = std::array::from_fn(|row| _mm_loadu_ps(from.add(row * stride)));
        let (ab_low, ab_high) = (_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
        _mm_storeu_ps(to, _mm_movelh_ps(ab_low, cd_low));
        _mm_storeu_ps(to.add(BLOCK), _mm_movehl_ps(cd_low, ab_low));
        _mm_storeu_ps(to.add(2 * BLOCK), _mm_movelh_ps(ab_high, cd_high));
        _mm_storeu_ps(to.add(3 * BLOCK), _mm_movehl_ps(cd_high, ab_high));
    }
}

/// As above.
///
/// # Safety
/// As above.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
unsafe fn transpose_4x4(from: *const f32, stride: usize, to: *mut f32) {
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(target_arch = "aarch64")]
        crate::lanes::neon::turn_4x4(std::array::from_fn(|row| from.add(row * stride)), to, BLOCK);
        #[cfg(not(target_arch = "aarch64"))]
        for place in 0..16 {
            *to.add(place % 4 * BLOCK + place / 4) = *from.add(place / 4 * stride + place % 4);
        }
    }
}
