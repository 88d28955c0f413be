//! The body for AMX: panels as those of VNNI, multiplied sixteen rows of x by sixteen columns at a time.
//!
//! Sums of whole numbers come out of tiles, exact, in 32 bits; what is rounded is rounded by the instructions of the VNNI
//! body, number by number. Where types of 256 have whole scales ([`grouped`]), these are multiplied into the values
//! first ([`folded`]), so that a tile adds up a whole block; other types take a tile for each link ([`plain`]).
//!
//! **Not timed**: no machine with AMX was at hand; tests run it on an emulator of the instructions. What counting says
//! of a core that makes one product of tiles in sixteen cycles, of which 64 k are full (2,048 operations a cycle), and
//! beside it two loads, one store and two operations of 512 bits a cycle, for 16 rows by 16 columns:
//!
//! | type | products | vectors | loads | operations a cycle, of 2,048 |
//! |---|---|---|---|---|
//! | of 256, folded into two bytes (Q4_K, Q6_K, …) | 8 for 256 k: 128 cycles | 16 × 5, with minima 12: 40 or 96 | 96 to 150 | 1,024 |
//! | of 256, folded into one (Q3_K, TQ2_0) | 4 for 256 k: 64 | 16 × 4: 32 | 64 | 2,048 |
//! | the same with minima in sixteen groups (Q2_K) | 64 | 16 × 14: 112 | 130 | 1,000 |
//! | of 32 (Q8_0, Q4_0, …) | 1 for 32 k: 16 | 16 × 3, with minima 4: 24 or 32 | 28 or 36 | 580 or 450 |
//! | links of 16 (NVFP4) | 1 for 16 k: 16 | 16 × 3: 24 | 26 | 310 |
//!
//! The longest of the three columns is the bound; two thirds of it may be had where tiles and vectors overlap, for
//! which each block's sums are taken up while the next one's tiles are multiplied. VNNI makes 256 operations a cycle at
//! most, and 150 with its scales: four times that is expected of Q4_K and Q6_K, three times of Q8_0.
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
use super::x86::{self, Panels, SumRows, over_panels};
use crate::amx::{ROW_BYTES, TILE, release};
use crate::blocks::Format;
use crate::lanes::Avx512;
use crate::lanes::bytes::Bytes64;

/// Rows of x from which tiles are worth it. A product of tiles takes 52 cycles until its sum can be added to, however
/// few rows it has: one to sixteen rows by a panel take some 900 cycles, beside 500 to 1,700 for putting the panel
/// into tiles; VNNI takes some 200 cycles a row.
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
