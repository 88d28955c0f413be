//! A panel: 32 rows of weights taken apart over a stretch of k, their whole numbers four by four side by side.
//!
//! Does not multiply. What a block means is in [`crate::blocks`]; here it is only put where a tile reads it.

use super::WIDTH;
use crate::blocks::Format;
#[cfg(target_arch = "x86_64")]
use crate::lanes::bytes::{Bytes, turn_32};
#[cfg(target_arch = "x86_64")]
use crate::product::tile::fetch;

/// Weights of a row in one panel: 16 kB of whole numbers, which stay in a first cache beside the activations.
pub(super) const LENGTH: usize = 512;
/// Bytes of four whole numbers of every row.
pub(super) const STEP: usize = 4 * WIDTH;

/// What a tile reads of the weights.
#[repr(C, align(64))]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(super) struct Panel {
    /// Values plus their type's offset, [k / 4, row, 4].
    pub codes: [u8; LENGTH * WIDTH],
    /// [block, row].
    pub scales: [f32; LENGTH / 32 * WIDTH],
    /// [block, row].
    pub minima: [f32; LENGTH / 32 * WIDTH],
    /// Whole scales of types of 256, [group, row]; only their lower half where [`is_short`] says so.
    pub groups: [i32; LENGTH / 16 * WIDTH],
    /// Whole minima, those of two groups in the lower and the upper half, [two groups, row].
    pub pairs: [i32; LENGTH / 32 * WIDTH],
}

/// Whether 16 products of a type sum up to less than 2¹⁵, so that they can be multiplied with a scale as 16 bits.
pub(super) const fn is_short<F: Format>() -> bool {
    F::GREATEST as usize * 127 * 16 < 1 << 15
}

#[cfg(target_arch = "x86_64")]
impl Panel {
    pub fn new() -> Self {
        Self {
            codes: [0; LENGTH * WIDTH],
            scales: [0.0; LENGTH / 32 * WIDTH],
            minima: [0.0; LENGTH / 32 * WIDTH],
            groups: [0; LENGTH / 16 * WIDTH],
            pairs: [0; LENGTH / 32 * WIDTH],
        }
    }

    /// Takes `n_blocks` blocks of each row apart; the rows are those at `rows`, each good for so many blocks.
    ///
    /// # Safety
    /// As said of the rows; they are at most `LENGTH` weights long; the machine has the instruction set of `V`.
    #[inline(always)]
    pub unsafe fn fill<F: Format, V: Bytes>(&mut self, rows: &[*const u8; WIDTH], n_blocks: usize) {
        for block in 0..n_blocks {
            for (index, some) in rows.chunks_exact(V::ROWS).enumerate() {
                let mut at = [some[0].wrapping_add(block * F::N_BYTES); 16];
                for (at, row) in at.iter_mut().zip(some) {
                    *at = row.wrapping_add(block * F::N_BYTES);
                }
                let codes = &mut self.codes[block * F::N_WEIGHTS * WIDTH..][..F::N_WEIGHTS * WIDTH];
                // SAFETY: these blocks are of the caller's rows, and the slice has room for all 32 rows of a block.
                unsafe { F::pack::<V>(&at, codes.as_mut_ptr().add(index * V::ROWS * 4)) };
            }
            // SAFETY: as above.
            unsafe { self.put_scales::<F>(rows, block) };
        }
    }

    /// # Safety
    /// As [`Self::fill`], and there is this block.
    #[inline(always)]
    unsafe fn put_scales<F: Format>(&mut self, rows: &[*const u8; WIDTH], block: usize) {
        let n_groups = 256 / F::GROUP;
        for (row, bytes) in rows.iter().enumerate() {
            // SAFETY: the caller's rows.
            let bytes = unsafe { std::slice::from_raw_parts(bytes.add(block * F::N_BYTES), F::N_BYTES) };
            let scales = F::scales(bytes);
            let place = block * WIDTH + row;
            self.scales[place] = scales.scale;
            self.minima[place] = scales.minimum;
            if F::N_WEIGHTS == 32 {
                continue;
            }
            for group in 0..n_groups {
                let scale = i32::from(scales.groups[group]);
                let kept = if is_short::<F>() { scale & 0xffff } else { scale };
                self.groups[(block * n_groups + group) * WIDTH + row] = kept;
            }
            for pair in 0..if F::HAS_MINIMA { n_groups / 2 } else { 0 } {
                let [first, second] = [0, 1].map(|i| i32::from(scales.minima[2 * pair + i]));
                self.pairs[(block * n_groups / 2 + pair) * WIDTH + row] = first | second << 16;
            }
        }
    }
}

/// Asks the cache for `n_bytes` of each row, `ahead` bytes behind it. Rows in blocks are short: the processor's own
/// prefetching, which follows a row, has hardly begun when the row ends.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn fetch_rows(rows: &[*const u8; WIDTH], ahead: usize, n_bytes: usize) {
    for row in rows {
        let start = row.wrapping_add(ahead);
        (0..n_bytes).step_by(64).for_each(|at| fetch(start.wrapping_add(at)));
        fetch(start.wrapping_add(n_bytes - 1));
    }
}

/// Packs one block of each of `V::ROWS` rows the way that every type allows: 32 weights of a row at a time.
///
/// # Safety
/// As [`Format::pack`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) unsafe fn by_parts<F: Format, V: Bytes>(rows: &[*const u8; 16], to: *mut u8) {
    for part in 0..F::N_WEIGHTS / 32 {
        let mut codes = [[0u8; 32]; 16];
        for (codes, row) in codes.iter_mut().zip(rows).take(V::ROWS) {
            // SAFETY: the caller's rows.
            let block = unsafe { std::slice::from_raw_parts(*row, F::N_BYTES) };
            let values = F::part(block, part).values;
            codes
                .iter_mut()
                .zip(values)
                .for_each(|(code, value)| *code = (value as u8).wrapping_add(F::OFFSET));
        }
        let at: [*const u8; 16] = std::array::from_fn(|row| codes[row].as_ptr());
        // SAFETY: each array has 32 bytes, and the caller's panel room for this part.
        unsafe { put(turn_32::<V>(&at, 0), to, 8 * part) };
    }
}

/// Writes turned registers into a panel from step `first` on, each for four weights.
///
/// # Safety
/// The panel that `to` is in has these steps; as [`Bytes`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) unsafe fn put<V: Bytes, const N: usize>(turned: [V; N], to: *mut u8, first: usize) {
    for (step, four) in turned.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { four.store(to.add((first + step) * STEP)) };
    }
}
