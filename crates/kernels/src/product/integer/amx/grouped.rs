//! Types of 256 on AMX: 32 rows of x by two members of folded weights, a block at a time.
//!
//! Does not fold ([`super::folded`]). Rows are two tiles of the same height; where their number is odd, one row lies in
//! both and is taken up once.

use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::super::WIDTH;
use super::super::activations::{Activations, Address, Lengths};
use super::super::pack::Panel;
use super::super::tiles::SumRows;
use super::folded::{Fold, fold};
use super::{Dots, LINE, MEMBER};
use crate::amx::{Configuration, ROW_BYTES, TILE};
use crate::blocks::Format;

/// Rows of x that are multiplied at once, at most.
const MOST_ROWS: usize = 2 * TILE;

/// Room for the members of a panel, with whatever was in it.
#[repr(C, align(64))]
struct Members([MaybeUninit<u8>; 4 * MEMBER]);

/// The sums of two tiles of rows by two members, [rows, member].
#[repr(C, align(64))]
struct Product([[Dots; 2]; 2]);

/// Rows of x and the panel that they are multiplied with.
struct Rows<'a> {
    first: Address,
    row_lengths: Lengths,
    /// Bytes from one row's codes to the next's.
    stride: usize,
    n_rows: usize,
    panel: &'a Panel,
    members: *const u8,
}

/// See [`super::Panels::add_panel`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512fp16,fma,f16c")]
pub(super) unsafe fn add_panel<F: Format>(
    x: &Activations<'_>,
    (rows, skipped): (&Range<usize>, Lengths),
    panel: &Panel,
    n_blocks: usize,
    sums: &mut SumRows,
) {
    let mut members = Members([MaybeUninit::uninit(); 4 * MEMBER]);
    let members = members.0.as_mut_ptr().cast();
    // SAFETY: the caller's panel and machine; there is room for four members.
    unsafe { fold::<F>(panel, n_blocks, members) };
    let mut products = [const { Product([[[[0; TILE]; TILE]; 2]; 2]) }; 2];
    let mut height = 0;
    for start in (0..rows.len()).step_by(MOST_ROWS) {
        let n_rows = MOST_ROWS.min(rows.len() - start);
        let first = x.address(rows.start + start, skipped);
        let here = Rows { first, row_lengths: x.row_lengths(), stride: x.inner(), n_rows, panel, members };
        let to = sums[start..start + n_rows].as_mut_ptr().cast();
        // SAFETY: AMX and the rows are the caller's; the members were just folded, and so many sums are there.
        unsafe {
            if height != here.height() {
                height = here.height();
                Configuration::of_products(height, ROW_BYTES).load();
            }
            here.add_blocks::<F>(n_blocks, &mut products, to);
        }
    }
}

impl Rows<'_> {
    /// Rows of each of the two tiles.
    fn height(&self) -> usize {
        self.n_rows.div_ceil(2)
    }

    /// Where a row stands.
    #[inline(always)]
    fn row(&self, row: usize) -> Address {
        self.first.further(row, self.row_lengths)
    }

    /// Each block's sums are taken up while the tiles of the next are multiplied.
    #[inline(always)]
    unsafe fn add_blocks<F: Format>(&self, n_blocks: usize, products: &mut [Product; 2], to: *mut f32) {
        // With one byte for a value two members are all columns, with two they are half of them.
        let n_turns = Fold::of::<F>().n_bytes() * n_blocks;
        for turn in 0..=n_turns {
            // SAFETY: the caller's rows, panel and members have these blocks.
            unsafe {
                if turn < n_turns {
                    let (pair, block) = (turn / n_blocks, turn % n_blocks);
                    self.multiply::<F>(pair, block, &mut products[turn % 2]);
                }
                if turn > 0 {
                    let (pair, block) = ((turn - 1) / n_blocks, (turn - 1) % n_blocks);
                    self.take_up::<F>(pair, block, &products[(turn - 1) % 2], to);
                }
            }
        }
    }

    /// The sums of one block, with two members.
    #[inline(always)]
    unsafe fn multiply<F: Format>(&self, pair: usize, block: usize, to: &mut Product) {
        let second = self.n_rows - self.height();
        // SAFETY: the caller's rows and members have this block.
        unsafe {
            let a = [0, second].map(|row| self.row(row).codes.add(256 * block));
            let b = self.members.add(2 * pair * MEMBER + 256 / 4 * block * LINE);
            match Fold::of::<F>() {
                Fold::Factors => unsigned_tiles(a, self.stride, b, to),
                _ => signed_tiles(a, self.stride, b, to),
            }
        }
    }

    /// The chains of all rows, one block further, in the columns of a pair of members.
    #[inline(always)]
    unsafe fn take_up<F: Format>(&self, pair: usize, block: usize, product: &Product, to: *mut f32) {
        // SAFETY: the caller's promises.
        unsafe {
            match Fold::of::<F>().n_bytes() {
                1 => {
                    self.add_half::<F>((0, block), product, to);
                    self.add_half::<F>((1, block), product, to);
                }
                _ => self.add_half::<F>((pair, block), product, to),
            }
        }
    }

    /// The same in sixteen columns.
    #[inline(always)]
    unsafe fn add_half<F: Format>(&self, (half, block): (usize, usize), product: &Product, to: *mut f32) {
        let n_pairs = 128 / F::GROUP;
        // SAFETY: the caller's panel and rows have this block, and there are 32 sums of each row.
        unsafe {
            let place = block * WIDTH + half * TILE;
            let scales = _mm512_load_ps(self.panel.scales.as_ptr().add(place));
            let minima = _mm512_load_ps(self.panel.minima.as_ptr().add(place));
            let mut whole_minima = [_mm512_setzero_si512(); 8];
            for pair in 0..if F::HAS_MINIMA { n_pairs } else { 0 } {
                let at = (block * n_pairs + pair) * WIDTH + half * TILE;
                whole_minima[pair] = _mm512_load_si512(self.panel.pairs.as_ptr().add(at).cast());
            }
            for row in 0..self.n_rows {
                let to = to.add(row * WIDTH + half * TILE);
                let scale = _mm512_set1_ps(*self.row(row).scales.add(block));
                let dot = _mm512_cvtepi32_ps(self.dot::<F>(product, row, half));
                let mut sum = _mm512_fmadd_ps(dot, _mm512_mul_ps(scales, scale), _mm512_loadu_ps(to));
                if F::HAS_MINIMA {
                    let mut dot = _mm512_setzero_si512();
                    for pair in 0..n_pairs {
                        let totals = _mm512_set1_epi32(*self.row(row).pairs.add(block * n_pairs + pair));
                        dot = _mm512_dpwssd_epi32(dot, whole_minima[pair], totals);
                    }
                    sum = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(minima, scale), sum);
                }
                _mm512_storeu_ps(to, sum);
            }
        }
    }

    /// The sums of a row, put together from their members.
    #[inline(always)]
    unsafe fn dot<F: Format>(&self, product: &Product, row: usize, half: usize) -> __m512i {
        let height = self.height();
        let (tile, line) = if row < height { (0, row) } else { (1, row + height - self.n_rows) };
        let [first, second] = &product.0[tile];
        // SAFETY: sixteen sums of each, on lines of their own; the machine is the caller's.
        unsafe {
            let first = _mm512_load_si512(first[line].as_ptr().cast());
            let second = _mm512_load_si512(second[line].as_ptr().cast());
            let own = if half == 0 { first } else { second };
            match Fold::of::<F>() {
                Fold::Whole => own,
                Fold::Negated => _mm512_sub_epi32(_mm512_setzero_si512(), own),
                Fold::Factors => _mm512_add_epi32(_mm512_slli_epi32::<3>(first), second),
                Fold::Halves => _mm512_add_epi32(_mm512_slli_epi32::<7>(first), second),
            }
        }
    }
}

/// Two tiles of rows by two members over 256 k, with the instruction that reads the weights' bytes as they are.
macro_rules! tiles {
    ($name:ident, $multiply:literal) => {
        /// # Safety
        /// AMX may be used, and tiles have the shapes for 64 k; as many rows as a tile has lie at each of `a`, a stride
        /// apart, and 64 lines at `b` and a member further.
        #[inline(always)]
        unsafe fn $name(a: [*const i8; 2], stride: usize, b: *const u8, to: &mut Product) {
            // SAFETY: the caller's promises; the four products are one behind the other.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    "tileloadd tmm4, [{first} + {stride}]",
                    "tileloadd tmm6, [{b} + {line}]",
                    concat!($multiply, " tmm0, tmm4, tmm6"),
                    "tileloadd tmm7, [{b} + {line} + {member}]",
                    concat!($multiply, " tmm1, tmm4, tmm7"),
                    "tileloadd tmm5, [{second} + {stride}]",
                    concat!($multiply, " tmm2, tmm5, tmm6"),
                    concat!($multiply, " tmm3, tmm5, tmm7"),
                    "add {first}, 64",
                    "add {second}, 64",
                    "add {b}, 1024",
                    "dec {n_steps}",
                    "jnz 2b",
                    "tilestored [{to} + {line}], tmm0",
                    "tilestored [{to} + {line} + 1024], tmm1",
                    "tilestored [{to} + {line} + 2048], tmm2",
                    "tilestored [{to} + {line} + 3072], tmm3",
                    first = inout(reg) a[0] => _,
                    second = inout(reg) a[1] => _,
                    b = inout(reg) b => _,
                    n_steps = inout(reg) 4usize => _,
                    to = in(reg) &raw mut *to,
                    stride = in(reg) stride,
                    line = in(reg) LINE,
                    member = const MEMBER,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

tiles!(signed_tiles, "tdpbssd");
tiles!(unsigned_tiles, "tdpbsud");
