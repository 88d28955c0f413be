//! The way over panels that all instruction sets share: for each 32 rows of weights and each stretch of k the blocks are
//! taken apart once, then all rows of x go over them, a few at a time.
//!
//! Does not multiply: [`Panels`] do.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::activations::{Activations, Address, Lengths};
use super::pack::{LENGTH, Panel};
use super::{Part, WIDTH, unit};
use crate::blocks::Format;
use crate::lanes::Lanes;
use crate::lanes::bytes::Bytes;

/// An instruction set that multiplies panels.
pub(super) trait Panels {
    type Bytes: Bytes;
    type Lanes: Lanes;

    /// Adds the products of some rows of x, behind what is skipped of them, and a panel to their sums.
    ///
    /// # Safety
    /// The machine has the instruction set; the rows of x have `n_blocks` blocks there, as the panel has; so many sums are
    /// filled.
    unsafe fn add_panel<F: Format>(
        x: &Activations<'_>,
        rows: (&Range<usize>, Lengths),
        panel: &Panel,
        n_blocks: usize,
        sums: &mut SumRows,
    );
}

/// An instruction set that multiplies panels with a few rows at a time.
pub(super) trait Tiles {
    type Bytes: Bytes;
    type Lanes: Lanes;

    /// Adds the products of as many rows of x as it takes at once, at most those at `x`, to their sums; returns how
    /// many that were.
    ///
    /// # Safety
    /// The machine has the instruction set; the rows of x have `n_blocks` blocks, as the panel has; at `to` stand 32 sums
    /// for each of them.
    unsafe fn multiply<F: Format>(x: &[Address], panel: &Panel, n_blocks: usize, to: *mut f32) -> usize;
}

/// Rows of x in one tile at most.
const MOST_ROWS: usize = 6;
/// Rows of x whose sums are kept side by side while a panel follows another: 64 kB of them. In y they would lie as far
/// apart as its rows are long, and push each other out of the caches where that is a power of two.
const ROWS_AT_ONCE: usize = 512;

/// The sums of 32 columns, row by row.
pub(super) type SumRows = [MaybeUninit<[f32; WIDTH]>; ROWS_AT_ONCE];

/// Takes panels apart and lets an instruction set go over them.
///
/// # Safety
/// As [`super::Body`]; the machine has the instruction set.
#[inline(always)]
pub(super) unsafe fn over_panels<F: Format, P: Panels>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    let row_bytes = x.inner() / F::N_WEIGHTS * F::N_BYTES;
    let (mut panel, mut sums) = (Panel::new(), [const { MaybeUninit::uninit() }; ROWS_AT_ONCE]);
    for first in part.columns.clone().step_by(WIDTH) {
        let columns = first..part.columns.end.min(first + WIDTH);
        for start in part.rows.clone().step_by(ROWS_AT_ONCE) {
            let rows = start..part.rows.end.min(start + ROWS_AT_ONCE);
            sums[..rows.len()].fill(MaybeUninit::new([0.0; WIDTH]));
            // Rows of weights that there are not are the last one.
            let weights: [&[u8]; WIDTH] = std::array::from_fn(|row| {
                let row = (first + row).min(columns.end - 1);
                &w[row * row_bytes..(row + 1) * row_bytes]
            });
            for start in (0..x.inner()).step_by(LENGTH) {
                let n_blocks = LENGTH.min(x.inner() - start) / F::N_WEIGHTS;
                let first = start / F::N_WEIGHTS * F::N_BYTES;
                let weights = weights.map(|row| row[first..][..n_blocks * F::N_BYTES].as_ptr());
                // SAFETY: the slices above have so many blocks; the instruction set is the caller's.
                unsafe {
                    panel.fill::<F, P::Bytes, P::Lanes>(&weights, n_blocks, WIDTH * row_bytes);
                    P::add_panel::<F>(x, (&rows, x.skipped(start)), &panel, n_blocks, &mut sums);
                }
            }
            for (row, sums) in rows.zip(&sums) {
                // SAFETY: these columns of this row are of this part; the sums of so many rows were filled.
                unsafe {
                    let sums = sums.assume_init_ref();
                    part.row(row, columns.clone()).copy_from_slice(&sums[..columns.len()]);
                }
            }
        }
    }
}

impl<T: Tiles> Panels for T {
    type Bytes = T::Bytes;
    type Lanes = T::Lanes;

    #[inline(always)]
    unsafe fn add_panel<F: Format>(
        x: &Activations<'_>,
        (rows, skipped): (&Range<usize>, Lengths),
        panel: &Panel,
        n_blocks: usize,
        sums: &mut SumRows,
    ) {
        let mut done = 0;
        while done < rows.len() {
            // The last eight are four and four: two alone take nearly as long as four.
            let n_rows = match rows.len() - done {
                8 => 4,
                n_left => MOST_ROWS.min(n_left),
            };
            let at: [Address; MOST_ROWS] =
                std::array::from_fn(|i| x.address(rows.start + done + i.min(n_rows - 1), skipped));
            let to = sums[done..done + n_rows].as_mut_ptr().cast();
            // SAFETY: the caller's promises; there are so many rows of sums.
            done += unsafe { T::multiply::<F>(&at[..n_rows], panel, n_blocks, to) };
        }
    }
}

/// How many links so many blocks are.
pub(super) const fn n_links<F: Format>(n_blocks: usize) -> usize {
    n_blocks * (F::N_WEIGHTS / F::LINK)
}

/// Under which scale of activations a link lies.
pub(super) const fn unit_of<F: Format>(link: usize) -> usize {
    link * F::LINK / unit::<F>()
}

/// Whether values of a type have all eight bits, so that what takes signed bytes takes them with their sign.
pub(super) const fn is_signed<F: Format>() -> bool {
    F::OFFSET == 128
}
