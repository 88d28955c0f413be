//! The bodies over panels for aarch64: a tile is a few rows of x by four columns for each register. Here are the chains of
//! its outputs; sums of products are `fours` and `matrices`.
//!
//! Checked on an emulator only, and never timed: `docs/aarch64.md`.

mod fours;
mod matrices;

use std::arch::aarch64::*;

use self::fours::{Fours, Mixed, Plain, Signed};
use self::matrices::Matrices;
use super::activations::{Activations, Address};
use super::pack::{LENGTH, Panel, is_short};
use super::tiles::{n_links, over_panels, unit_of};
use super::{Part, WIDTH};
use crate::blocks::Format;

/// From so many rows of x on a panel's whole numbers are put in the order of [`Matrices`]: by count of instructions, that
/// costs what they save for so many rows.
const MATRIX_ROWS: usize = 8;

pub unsafe fn neon<F: Format>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: NEON is part of every aarch64; the shapes are the caller's.
    unsafe { over_panels::<F, Fours<Plain>>(x, w, part) }
}

#[target_feature(enable = "neon,dotprod")]
pub unsafe fn dotprod<F: Format>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: this function has the features, its caller the shapes.
    unsafe { over_panels::<F, Fours<Signed>>(x, w, part) }
}

#[target_feature(enable = "neon,dotprod,i8mm")]
pub unsafe fn i8mm<F: Format>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: as above.
    unsafe {
        if part.rows.len() < MATRIX_ROWS {
            over_panels::<F, Fours<Mixed>>(x, w, part);
        } else {
            over_panels::<F, Matrices>(x, w, part);
        }
    }
}

/// Sums of whole numbers for R rows of x and four columns in each of C registers.
type Dots<const R: usize, const C: usize> = [[int32x4_t; C]; R];

/// What is read of a panel; its whole numbers may stand elsewhere, in another order.
#[derive(Clone, Copy)]
struct Weights<'a> {
    panel: &'a Panel,
    codes: &'a [u8; LENGTH * WIDTH],
}

/// A way to multiply a group of weights of some columns with some rows of x.
trait Products {
    /// The sums of the products of a group, for the columns from `column` on.
    ///
    /// # Safety
    /// The machine has the instruction set; the rows of x and the panel whose whole numbers these are have this group.
    unsafe fn group<F: Format, const R: usize, const C: usize>(
        x: &[Address; R],
        codes: &[u8; LENGTH * WIDTH],
        group: usize,
        column: usize,
    ) -> Dots<R, C>;
}

/// As [`super::tiles::Tiles::multiply`].
#[inline(always)]
unsafe fn multiply<F: Format, P: Products>(
    x: &[Address],
    w: Weights<'_>,
    n_blocks: usize,
    to: *mut f32,
) -> usize {
    // SAFETY: the caller's promises; as many rows as there are at least. 32 registers hold four rows by two, or fewer by
    // four, of whole sums, of their totals and of sums, beside what is multiplied.
    unsafe {
        match x.len() {
            4.. => rows::<F, P, 4, 2>(x, w, n_blocks, to),
            2.. => rows::<F, P, 2, 4>(x, w, n_blocks, to),
            _ => rows::<F, P, 1, 4>(x, w, n_blocks, to),
        }
    }
}

/// As [`multiply`], for R rows; returns R.
#[inline(always)]
unsafe fn rows<F: Format, P: Products, const R: usize, const C: usize>(
    x: &[Address],
    w: Weights<'_>,
    n_blocks: usize,
    to: *mut f32,
) -> usize {
    let x = x.first_chunk().expect("there are R rows");
    for column in (0..WIDTH).step_by(4 * C) {
        // SAFETY: the caller's promises; C times four of the 32 columns.
        unsafe {
            let mut sums = [[vdupq_n_f32(0.0); C]; R];
            for r in 0..R {
                for c in 0..C {
                    sums[r][c] = vld1q_f32(to.add(r * WIDTH + column + 4 * c));
                }
            }
            for link in 0..n_links::<F>(n_blocks) {
                let totals = totals::<F, P, R, C>(x, w, (link, column));
                add_link::<F, R, C>(&mut sums, &totals, x, w.panel, (link, column));
            }
            for r in 0..R {
                for c in 0..C {
                    vst1q_f32(to.add(r * WIDTH + column + 4 * c), sums[r][c]);
                }
            }
        }
    }
    R
}

/// The sums of a link's products, those of its groups times their whole scales where they have them.
#[inline(always)]
unsafe fn totals<F: Format, P: Products, const R: usize, const C: usize>(
    x: &[Address; R],
    w: Weights<'_>,
    (link, column): (usize, usize),
) -> Dots<R, C> {
    let n_groups = F::LINK / F::GROUP;
    // SAFETY: the caller's promises.
    unsafe {
        if F::N_WEIGHTS < 256 {
            return P::group::<F, R, C>(x, w.codes, link, column);
        }
        let mut totals = [[vdupq_n_s32(0); C]; R];
        for group in link * n_groups..(link + 1) * n_groups {
            let dots = P::group::<F, R, C>(x, w.codes, group, column);
            for c in 0..C {
                let mut scales = vld1q_s32(w.panel.groups.as_ptr().add(group * WIDTH + column + 4 * c));
                if is_short::<F>() {
                    // Only the lower half may be there.
                    scales = vshrq_n_s32::<16>(vshlq_n_s32::<16>(scales));
                }
                for r in 0..R {
                    totals[r][c] = vmlaq_s32(totals[r][c], dots[r][c], scales);
                }
            }
        }
        totals
    }
}

/// The chains of some outputs, one link further.
#[inline(always)]
unsafe fn add_link<F: Format, const R: usize, const C: usize>(
    sums: &mut [[float32x4_t; C]; R],
    totals: &Dots<R, C>,
    x: &[Address; R],
    panel: &Panel,
    (link, column): (usize, usize),
) {
    for c in 0..C {
        let column = column + 4 * c;
        // SAFETY: the caller's promises.
        unsafe {
            let scales = vld1q_f32(panel.scales.as_ptr().add(link * WIDTH + column));
            for r in 0..R {
                let scale = vmulq_n_f32(scales, *x[r].scales.add(unit_of::<F>(link)));
                sums[r][c] = vfmaq_f32(sums[r][c], vcvtq_f32_s32(totals[r][c]), scale);
            }
            if !F::HAS_MINIMA {
                continue;
            }
            let minima = vld1q_f32(panel.minima.as_ptr().add(link * WIDTH + column));
            for r in 0..R {
                if F::N_WEIGHTS == 32 {
                    sums[r][c] = vfmaq_f32(sums[r][c], minima, vdupq_n_f32(*x[r].totals.add(link)));
                } else {
                    let dot = vcvtq_f32_s32(minima_dot::<F>(&x[r], panel, (link, column)));
                    let scale = vmulq_n_f32(minima, *x[r].scales.add(link));
                    sums[r][c] = vfmsq_f32(sums[r][c], dot, scale);
                }
            }
        }
    }
}

/// For four columns the sum of a block's whole minima times the sums of the activations under them.
#[inline(always)]
unsafe fn minima_dot<F: Format>(x: &Address, panel: &Panel, (block, column): (usize, usize)) -> int32x4_t {
    let n_pairs = 128 / F::GROUP;
    // SAFETY: the caller's row and panel have this block.
    unsafe {
        let mut dots = [vdupq_n_s32(0); 2];
        for pair in block * n_pairs..(block + 1) * n_pairs {
            let whole = vreinterpretq_s16_s32(vld1q_s32(panel.pairs.as_ptr().add(pair * WIDTH + column)));
            let sums = vreinterpretq_s16_s32(vdupq_n_s32(*x.pairs.add(pair)));
            dots[0] = vmlal_s16(dots[0], vget_low_s16(whole), vget_low_s16(sums));
            dots[1] = vmlal_high_s16(dots[1], whole, sums);
        }
        vpaddq_s32(dots[0], dots[1])
    }
}
