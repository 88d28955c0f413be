//! A panel: 32 rows of weights taken apart over a stretch of k, their whole numbers four by four side by side.
//!
//! Does not multiply. What a block means is in [`crate::blocks`]; here it is only put where a tile reads it.

use super::WIDTH;
use crate::blocks::Format;
use crate::fetch;
use crate::lanes::bytes::{Bytes, turn_32};
use crate::lanes::{LANES, Lanes};

/// Weights of a row in one panel: 16 kB of whole numbers, which stay in a first cache beside the activations.
pub(super) const LENGTH: usize = 512;
/// Bytes of four whole numbers of every row.
pub(crate) const STEP: usize = 4 * WIDTH;

/// What a tile reads of the weights.
#[repr(C, align(64))]
pub(super) struct Panel {
    /// Values plus their type's offset, [k / 4, row, 4].
    pub codes: [u8; LENGTH * WIDTH],
    /// [link, row].
    pub scales: [f32; LENGTH / 16 * WIDTH],
    /// [block, row]; those of types of 32 with the sign that files have, which is another than that of
    /// [`crate::blocks::Scales`].
    pub minima: [f32; LENGTH / 32 * WIDTH],
    /// Whole scales of types of 256, [group, row]; only their lower half where [`is_short`] says so.
    pub groups: [i32; LENGTH / 16 * WIDTH],
    /// Whole minima, those of two groups in the lower and the upper half, [two groups, row].
    pub pairs: [i32; LENGTH / 32 * WIDTH],
}

/// Whether 16 products of a type sum up to less than 2¹⁵, so that they can be multiplied with a scale as 16 bits; the first
/// 16 of a group also hold what the offset adds to the others.
pub(super) const fn is_short<F: Format>() -> bool {
    (F::GREATEST as usize * 16 + F::OFFSET as usize * (F::GROUP - 16)) * 127 < 1 << 15
}

impl Panel {
    pub fn new() -> Self {
        Self {
            codes: [0; LENGTH * WIDTH],
            scales: [0.0; LENGTH / 16 * WIDTH],
            minima: [0.0; LENGTH / 32 * WIDTH],
            groups: [0; LENGTH / 16 * WIDTH],
            pairs: [0; LENGTH / 32 * WIDTH],
        }
    }

    /// Takes `n_blocks` blocks of each row apart; the rows are those at `rows`, each good for so many blocks. What
    /// stands `ahead` bytes behind them is asked for meanwhile.
    ///
    /// # Safety
    /// As said of the rows; they are at most `LENGTH` weights long; the machine has the instruction set of `V` and `L`.
    #[inline(always)]
    pub unsafe fn fill<F: Format, V: Bytes, L: Lanes>(
        &mut self,
        rows: &[*const u8; WIDTH],
        n_blocks: usize,
        ahead: usize,
    ) {
        let scales = &mut self.scales[..n_blocks * (F::N_WEIGHTS / F::LINK) * WIDTH];
        // SAFETY: the caller's promises.
        unsafe {
            match F::SCALE_AT {
                Some(at) => put_halves::<F, L>(rows, at, scales),
                None => put_other_scales::<F>(rows, scales),
            }
            if let Some(at) = F::MINIMUM_AT {
                put_halves::<F, L>(rows, at, &mut self.minima[..n_blocks * WIDTH]);
            }
        }
        let n_groups = 256 / F::GROUP;
        for block in 0..n_blocks {
            for first in (0..WIDTH).step_by(V::ROWS) {
                // Where an instruction set takes eight rows, they come twice.
                let row = |i: usize| rows[first + i % V::ROWS].wrapping_add(block * F::N_BYTES);
                let at: [*const u8; 16] = std::array::from_fn(row);
                fetch_ahead::<F>(&at, V::ROWS, ahead);
                let codes = &mut self.codes[block * F::N_WEIGHTS * WIDTH..][..F::N_WEIGHTS * WIDTH];
                // SAFETY: these blocks are of the caller's rows, and there is room for all 32 rows of a block.
                unsafe { F::pack::<V>(&at, codes.as_mut_ptr().add(4 * first)) };
                if F::N_WEIGHTS == 256 {
                    let scales = &mut self.groups[block * n_groups * WIDTH..][..n_groups * WIDTH];
                    let minima = &mut self.pairs[block * n_groups / 2 * WIDTH..][..n_groups / 2 * WIDTH];
                    let to = (scales[first..].as_mut_ptr(), minima[first..].as_mut_ptr());
                    // SAFETY: as above.
                    unsafe { F::pack_groups::<V>(&at, to) };
                }
            }
        }
    }
}

/// The half-precision numbers at `at` of as many blocks as `to` has room for, [block, row].
///
/// # Safety
/// As [`Panel::fill`].
#[inline(always)]
unsafe fn put_halves<F: Format, L: Lanes>(rows: &[*const u8; WIDTH], at: usize, to: &mut [f32]) {
    let mut halves = [0u16; LENGTH / 32 * WIDTH];
    let halves = &mut halves[..to.len()];
    for (row, from) in rows.iter().enumerate() {
        for (block, halves) in halves.chunks_exact_mut(WIDTH).enumerate() {
            // SAFETY: two bytes of a block of the caller's, wherever they lie.
            halves[row] = unsafe { from.add(block * F::N_BYTES + at).cast::<u16>().read_unaligned() };
        }
    }
    for (halves, to) in halves.chunks_exact(LANES).zip(to.chunks_exact_mut(LANES)) {
        // SAFETY: sixteen of both; the instruction set is the caller's.
        unsafe { L::load_f16(halves.as_ptr()).store(to.as_mut_ptr()) };
    }
}

/// The scales of as many links as `to` has room for, [link, row].
///
/// # Safety
/// As [`Panel::fill`].
#[inline(always)]
unsafe fn put_other_scales<F: Format>(rows: &[*const u8; WIDTH], to: &mut [f32]) {
    for (row, from) in rows.iter().enumerate() {
        for (link, to) in to.chunks_exact_mut(WIDTH).enumerate() {
            let block = link * F::LINK / F::N_WEIGHTS;
            // SAFETY: a block of the caller's.
            let block = unsafe { std::slice::from_raw_parts(from.add(block * F::N_BYTES), F::N_BYTES) };
            to[row] = F::link_scale(block, link % (F::N_WEIGHTS / F::LINK));
        }
    }
}

/// Puts the whole scales and minima of one block of each of `V::ROWS` rows into a panel the way that every type
/// allows.
///
/// # Safety
/// As [`Format::pack_groups`].
#[inline(always)]
pub(crate) unsafe fn groups_by_rows<F: Format, V: Bytes>(
    rows: &[*const u8; 16],
    (scales, minima): (*mut i32, *mut i32),
) {
    for (row, block) in rows.iter().take(V::ROWS).enumerate() {
        // SAFETY: the caller's rows, and its room for every group of theirs.
        unsafe {
            let found = F::scales(std::slice::from_raw_parts(*block, F::N_BYTES));
            for group in 0..256 / F::GROUP {
                let scale = i32::from(found.groups[group]);
                // Read as two numbers of 16 bits, of which the upper is none.
                *scales.add(group * WIDTH + row) = if is_short::<F>() { scale & 0xffff } else { scale };
            }
            for pair in 0..if F::HAS_MINIMA { 128 / F::GROUP } else { 0 } {
                let [first, second] = [0, 1].map(|i| i32::from(found.minima[2 * pair + i]));
                *minima.add(pair * WIDTH + row) = first | second << 16;
            }
        }
    }
}

/// Asks the second cache for one block of each row, `ahead` bytes behind it. Rows in blocks are short: the processor's
/// own prefetching, which follows a row, has hardly begun when the row ends. The first cache has room for a panel only.
#[inline(always)]
fn fetch_ahead<F: Format>(rows: &[*const u8; 16], n_rows: usize, ahead: usize) {
    for row in &rows[..n_rows] {
        for line in (0..F::N_BYTES).step_by(fetch::LINE) {
            fetch::second_cache(row.wrapping_add(ahead + line));
        }
    }
}

/// Packs one block of each of `V::ROWS` rows the way that every type allows: 32 weights of a row at a time.
///
/// # Safety
/// As [`Format::pack`].
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
#[inline(always)]
pub(crate) unsafe fn put<V: Bytes, const N: usize>(turned: [V; N], to: *mut u8, first: usize) {
    for step in 0..N {
        // SAFETY: the caller's promise.
        unsafe { turned[step].store(to.add((first + step) * STEP)) };
    }
}
