//! Types without whole scales on AMX: sixteen rows of x by sixteen columns, a tile for each link of the chain.
//!
//! What lies beside a row's codes is turned, so that a link finds that of sixteen rows side by side; the sums of sixteen
//! rows stay in registers over a panel.

use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::super::WIDTH;
use super::super::activations::{Activations, Address, Lengths};
use super::super::pack::{LENGTH, Panel, STEP};
use super::super::tiles::{SumRows, n_links, unit_of};
use super::{Dots, LINE, MEMBER};
use crate::amx::{Configuration, TILE};
use crate::blocks::Format;
use crate::product::half::source::transpose;

/// So many links after its tiles were multiplied a link's sums are taken up: as many tiles of sums as there are.
const AHEAD: usize = 4;
/// Links whose sums are under way.
const N_PRODUCTS: usize = 2 * AHEAD;

/// Room for the weights of a panel with their sign, [half of the columns, k / 4, column, 4], with whatever was in it.
#[repr(C, align(64))]
struct Members([MaybeUninit<u8>; 2 * MEMBER]);

/// The sums of as many links as are under way.
#[repr(C, align(64))]
struct Products([Dots; N_PRODUCTS]);

/// A number of each row for each 32 activations of a panel, [32 activations, row].
type Turned = [[f32; TILE]; LENGTH / 32];

/// Sixteen rows of x, or fewer and the last of them again, and the panel that they are multiplied with.
struct Rows<'a> {
    codes: *const i8,
    /// Bytes from one row's codes to the next's.
    stride: usize,
    scales: Turned,
    totals: Turned,
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
    let (n_links, n_units) = (n_links::<F>(n_blocks), n_blocks * F::N_WEIGHTS / 32);
    let mut members = Members([MaybeUninit::uninit(); 2 * MEMBER]);
    let members = members.0.as_mut_ptr().cast();
    // SAFETY: the caller's panel and machine; there is room for two members.
    unsafe { put_signed::<F>(panel, n_links * F::LINK / 4, members) };
    let mut products = Products([[[0; TILE]; TILE]; N_PRODUCTS]);
    let none = [[0.0; TILE]; LENGTH / 32];
    let mut here = Rows {
        codes: std::ptr::null(),
        stride: x.inner(),
        scales: none,
        totals: none,
        n_rows: 0,
        panel,
        members,
    };
    for start in (0..rows.len()).step_by(TILE) {
        let n_rows = TILE.min(rows.len() - start);
        let first = x.address(rows.start + start, skipped);
        let at: [Address; TILE] =
            std::array::from_fn(|row| first.further(row.min(n_rows - 1), x.row_lengths()));
        // SAFETY: AMX and the rows are the caller's; the members were just put, and so many sums are there.
        unsafe {
            if here.n_rows != n_rows {
                Configuration::of_products(n_rows, F::LINK).load();
            }
            (here.codes, here.n_rows) = (first.codes, n_rows);
            turn(at.map(|row| row.scales), n_units, &mut here.scales);
            if F::HAS_MINIMA {
                turn(at.map(|row| row.totals), n_units, &mut here.totals);
            }
            for half in 0..WIDTH / TILE {
                let to = sums[start..start + n_rows].as_mut_ptr().cast::<f32>().add(half * TILE);
                here.add_half::<F>(half, n_links, &mut products, to);
            }
        }
    }
}

/// Takes the offset off the weights of a panel.
#[inline(always)]
unsafe fn put_signed<F: Format>(panel: &Panel, n_steps: usize, to: *mut u8) {
    for step in 0..n_steps {
        for half in 0..WIDTH / TILE {
            // SAFETY: the caller's panel and room have these steps.
            unsafe {
                let codes = _mm512_load_si512(panel.codes.as_ptr().add(step * STEP + half * LINE).cast());
                let values = _mm512_sub_epi8(codes, _mm512_set1_epi8(F::OFFSET as i8));
                _mm512_store_si512(to.add(half * MEMBER + step * LINE).cast(), values);
            }
        }
    }
}

/// `n` numbers of each row, at most sixteen, turned.
#[inline(always)]
unsafe fn turn(rows: [*const f32; TILE], n: usize, to: &mut Turned) {
    let wanted = ((1u32 << n) - 1) as __mmask16;
    // SAFETY: the caller's rows and machine; what the mask leaves out is not read.
    unsafe {
        let mut all = [_mm512_setzero_si512(); TILE];
        for row in 0..TILE {
            all[row] = _mm512_maskz_loadu_epi32(wanted, rows[row].cast());
        }
        let turned = transpose(all);
        for unit in 0..LENGTH / 32 {
            _mm512_storeu_si512(to[unit].as_mut_ptr().cast(), turned[unit]);
        }
    }
}

impl Rows<'_> {
    /// The chains of all rows in sixteen columns, `n_links` further; `to` is the first row's first column.
    #[inline(always)]
    unsafe fn add_half<F: Format>(&self, half: usize, n_links: usize, products: &mut Products, to: *mut f32) {
        // SAFETY: the caller's rows, panel and members have these links; there are 32 sums of each row.
        unsafe {
            let mut sums = [_mm512_setzero_ps(); TILE];
            for row in 0..TILE {
                if row < self.n_rows {
                    sums[row] = _mm512_loadu_ps(to.add(row * WIDTH));
                }
            }
            for link in 0..n_links.min(AHEAD) {
                self.multiply::<F>(half, link, &mut products.0[link % N_PRODUCTS]);
            }
            for link in 0..n_links {
                if link + AHEAD < n_links {
                    self.multiply::<F>(half, link + AHEAD, &mut products.0[(link + AHEAD) % N_PRODUCTS]);
                }
                self.take_up::<F>(half, link, &products.0[link % N_PRODUCTS], &mut sums);
            }
            for row in 0..TILE {
                if row < self.n_rows {
                    _mm512_storeu_ps(to.add(row * WIDTH), sums[row]);
                }
            }
        }
    }

    /// The sums of one link in sixteen columns.
    #[inline(always)]
    unsafe fn multiply<F: Format>(&self, half: usize, link: usize, to: &mut Dots) {
        // SAFETY: the caller's rows and members have this link.
        unsafe {
            let a = self.codes.add(link * F::LINK);
            let b = self.members.add(half * MEMBER + link * (F::LINK / 4) * LINE);
            match link % AHEAD {
                0 => tile::<0>(a, self.stride, b, to),
                1 => tile::<1>(a, self.stride, b, to),
                2 => tile::<2>(a, self.stride, b, to),
                _ => tile::<3>(a, self.stride, b, to),
            }
        }
    }

    /// The chains, one link further. Rows that there are not take what was in their place.
    #[inline(always)]
    unsafe fn take_up<F: Format>(&self, half: usize, link: usize, dots: &Dots, sums: &mut [__m512; TILE]) {
        let unit = unit_of::<F>(link);
        // SAFETY: the caller's panel has this link.
        unsafe {
            let place = link * WIDTH + half * TILE;
            let scales = _mm512_load_ps(self.panel.scales.as_ptr().add(place));
            let mut minima = _mm512_setzero_ps();
            if F::HAS_MINIMA {
                minima = _mm512_load_ps(self.panel.minima.as_ptr().add(place));
            }
            for row in 0..TILE {
                let dot = _mm512_cvtepi32_ps(_mm512_load_si512(dots[row].as_ptr().cast()));
                let scale = _mm512_mul_ps(scales, _mm512_set1_ps(self.scales[unit][row]));
                sums[row] = _mm512_fmadd_ps(dot, scale, sums[row]);
                if F::HAS_MINIMA {
                    sums[row] = _mm512_fmadd_ps(minima, _mm512_set1_ps(self.totals[unit][row]), sums[row]);
                }
            }
        }
    }
}

/// A tile of rows by one of columns; N, below four, says which registers it takes, so that neighbours do not wait for
/// each other.
///
/// # Safety
/// AMX may be used, and tiles have the shapes for a link; its rows lie at `a`, a stride apart, its lines at `b`.
#[inline(always)]
unsafe fn tile<const N: usize>(a: *const i8, stride: usize, b: *const u8, to: &mut Dots) {
    // SAFETY: the caller's promises.
    unsafe {
        asm!(
            "tilezero tmm{sum}",
            "tileloadd tmm{left}, [{a} + {stride}]",
            "tileloadd tmm{right}, [{b} + {line}]",
            "tdpbssd tmm{sum}, tmm{left}, tmm{right}",
            "tilestored [{to} + {line}], tmm{sum}",
            sum = const N,
            left = const 4 + N % 2,
            right = const 6 + N % 2,
            a = in(reg) a,
            b = in(reg) b,
            to = in(reg) &raw mut *to,
            stride = in(reg) stride,
            line = in(reg) LINE,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, preserves_flags),
        );
    }
}
