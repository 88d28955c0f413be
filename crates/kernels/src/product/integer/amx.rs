//! The body for AMX: panels as those of VNNI, multiplied sixteen rows of x by sixteen columns at a time.
//!
//! Sums of whole numbers come out of tiles, exact, in 32 bits; what is rounded is rounded by the instructions of the VNNI
//! body, number by number. Where types of 256 have whole scales ([`grouped`]), these are multiplied into the values
//! first ([`folded`]), so that a tile adds up a whole block; other types take a tile for each link ([`plain`]).
//!
//! **Not timed**: no machine with AMX was at hand; tests run it on an emulator of the instructions. What counting says
//! of a core that makes a product of tiles of sixteen rows in sixteen cycles, however few k it has (64 k are 2,048
//! operations a cycle), and beside it two loads and two operations of 512 bits a cycle, in cycles for 16 rows by 16
//! columns:
//!
//! | type | products | vectors | loads | operations a cycle at most |
//! |---|---|---|---|---|
//! | of 256, folded into two bytes (Q6_K, IQ4_XS, …) | 8 for 256 k: 128 | 16 × 5: 40 | 96 | 1,020 |
//! | the same with minima in eight groups (Q4_K, Q5_K) | 128 | 16 × 12: 96 | 128 | 1,020 |
//! | of 256, folded into one byte (Q3_K, TQ2_0) | 4 for 256 k: 64 | 16 × 4: 32 | 56 | 2,050 |
//! | the same with minima in sixteen groups (Q2_K) | 64 | 16 × 14: 112 | 120 | 1,090 |
//! | of 32 (Q8_0, Q4_0, …) | 1 for 32 k: 16 | 16 × 3: 24 | 28 | 580 |
//! | the same with minima (Q4_1, Q5_1) | 16 | 16 × 4: 32 | 36 | 450 |
//! | links of 16 (NVFP4) | 1 for 16 k: 16 | 16 × 3: 24 | 26 | 310 |
//!
//! The longest of the three is the bound: half of the peak for Q4_K and Q6_K, 28 % for Q8_0. Two thirds of it may be had
//! where tiles and vectors overlap, for which each block's sums are taken up while the next one's tiles are
//! multiplied; folding a panel costs as much as multiplying it with 16 to 50 rows. On two cores with a peak of 13.4
//! TOPS (decision 4) that would be 4 TOPS for Q4_K and Q6_K and 2.5 for Q8_0, where VNNI has 0.83, 0.70 and 0.85. To be looked at
//! when it is timed: rows of x that are multiples of 4 kB long meet in the same sets of the first cache.
//!
//! Source: Intel SDM volume 2, TILELOADD, TDPBSSD, TDPBSUD; the cycles of a product and of a load are those of
//! [`crate::product`]'s tiles of bf16.

mod folded;
mod grouped;
mod plain;

use std::ops::Range;

use super::Part;
use super::activations::{Activations, Lengths};
use super::pack::{LENGTH, Panel};
use super::tiles::{Panels, SumRows, over_panels};
use super::x86;
use crate::amx::{ROW_BYTES, TILE, release};
use crate::blocks::Format;
use crate::lanes::Avx512;
use crate::lanes::bytes::Bytes64;

/// Rows of x from which tiles are worth it, by counting. A product of tiles takes 52 cycles until its sum can be added to,
/// however few rows it has: one to some 26 rows by a panel take 900 cycles, beside 500 to 1,700 for putting the panel
/// into tiles; VNNI takes 240 cycles a row, as was measured.
const FEWEST_ROWS: usize = 12;

/// Bytes of four k of sixteen columns: a row of a tile of weights.
const LINE: usize = ROW_BYTES;
/// Bytes of the lines of a panel's k for sixteen columns.
const MEMBER: usize = LENGTH / 4 * LINE;

/// The sums in a tile, [row, column].
type Dots = [[i32; TILE]; TILE];

/// The body.
///
/// # Safety
/// As [`super::Body`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512fp16,fma,f16c")]
pub unsafe fn amx<F: Format>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: this function has the features, which are all that VNNI needs; its caller the shapes and AMX.
    unsafe {
        match part.rows.len() {
            FEWEST_ROWS.. => over_panels::<F, Amx>(x, w, part),
            _ => x86::vnni::<F>(x, w, part),
        }
    }
}

struct Amx;

impl Panels for Amx {
    type Bytes = Bytes64;
    type Lanes = Avx512;

    #[inline(always)]
    unsafe fn add_panel<F: Format>(
        x: &Activations<'_>,
        rows: (&Range<usize>, Lengths),
        panel: &Panel,
        n_blocks: usize,
        sums: &mut SumRows,
    ) {
        // SAFETY: the caller's promises.
        unsafe {
            match F::N_WEIGHTS {
                256 => grouped::add_panel::<F>(x, rows, panel, n_blocks, sums),
                _ => plain::add_panel::<F>(x, rows, panel, n_blocks, sums),
            }
            release();
        }
    }
}
