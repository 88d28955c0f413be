//! Sums of products four by four over k.
//!
//! Four products of bytes and their sum are one instruction from FEAT_DotProd on: SDOT, and with FEAT_I8MM USDOT, which
//! takes values with their offset as they stand. Before it they are products and sums in 16 bits, where two products of a
//! value of eight bits and one of at most 127 have room. SDOT and USDOT are written as such: the standard library has no
//! stable function for them.
//!
//! Source: Arm Architecture Reference Manual for A-profile (DDI 0487), SDOT and USDOT (by element).

use std::arch::aarch64::*;
use std::arch::asm;
use std::marker::PhantomData;

use super::{Dots, Products, Weights, multiply};
use crate::blocks::Format;
use crate::lanes::Neon;
use crate::lanes::bytes::NeonBytes;
use crate::product::integer::WIDTH;
use crate::product::integer::activations::Address;
use crate::product::integer::pack::{LENGTH, Panel, STEP};
use crate::product::integer::tiles::{Tiles, is_signed};

/// An instruction set's way to add up four products.
pub(super) trait Dot {
    /// Whether it takes values of all eight bits with their sign, which needs no offset.
    const TAKES_SIGNS: bool;

    /// Adds to each of four sums the products of four bytes of `w` with bytes 4·LANE to 4·LANE + 3 of `x`.
    ///
    /// # Safety
    /// The machine has the instruction set.
    unsafe fn add<const LANE: i32>(sums: int32x4_t, w: uint8x16_t, x: int8x16_t) -> int32x4_t;
}

/// In 16 bits, without FEAT_DotProd.
pub(super) struct Plain;

impl Dot for Plain {
    const TAKES_SIGNS: bool = true;

    #[inline(always)]
    unsafe fn add<const LANE: i32>(sums: int32x4_t, w: uint8x16_t, x: int8x16_t) -> int32x4_t {
        // SAFETY: NEON is part of every aarch64.
        unsafe {
            let w = vreinterpretq_s8_u8(w);
            let x = vreinterpretq_s8_s32(vdupq_laneq_s32::<LANE>(vreinterpretq_s32_s8(x)));
            let (low, high) = (vmull_s8(vget_low_s8(w), vget_low_s8(x)), vmull_high_s8(w, x));
            // Two products are 2 · 128 · 127 at most.
            vpadalq_s16(sums, vpaddq_s16(low, high))
        }
    }
}

/// SDOT.
pub(super) struct Signed;

impl Dot for Signed {
    const TAKES_SIGNS: bool = true;

    #[inline(always)]
    unsafe fn add<const LANE: i32>(mut sums: int32x4_t, w: uint8x16_t, x: int8x16_t) -> int32x4_t {
        // SAFETY: the caller's machine has FEAT_DotProd; three registers are read and one written.
        unsafe {
            asm!("sdot {:v}.4s, {:v}.16b, {:v}.4b[{}]", inout(vreg) sums, in(vreg) w, in(vreg) x, const LANE,
                options(pure, nomem, nostack, preserves_flags));
        }
        sums
    }
}

/// USDOT.
pub(super) struct Mixed;

impl Dot for Mixed {
    const TAKES_SIGNS: bool = false;

    #[inline(always)]
    unsafe fn add<const LANE: i32>(mut sums: int32x4_t, w: uint8x16_t, x: int8x16_t) -> int32x4_t {
        // SAFETY: the caller's machine has FEAT_I8MM; three registers are read and one written.
        unsafe {
            asm!("usdot {:v}.4s, {:v}.16b, {:v}.4b[{}]", inout(vreg) sums, in(vreg) w, in(vreg) x, const LANE,
                options(pure, nomem, nostack, preserves_flags));
        }
        sums
    }
}

/// Products four by four over k.
pub(super) struct Fours<D>(PhantomData<D>);

impl<D: Dot> Tiles for Fours<D> {
    type Bytes = NeonBytes;
    type Lanes = Neon;

    #[inline(always)]
    unsafe fn multiply<F: Format>(x: &[Address], panel: &Panel, n_blocks: usize, to: *mut f32) -> usize {
        // SAFETY: the caller's promises.
        unsafe { multiply::<F, Self>(x, Weights { panel, codes: &panel.codes }, n_blocks, to) }
    }
}

impl<D: Dot> Products for Fours<D> {
    #[inline(always)]
    unsafe fn group<F: Format, const R: usize, const C: usize>(
        x: &[Address; R],
        codes: &[u8; LENGTH * WIDTH],
        group: usize,
        column: usize,
    ) -> Dots<R, C> {
        const { assert!(is_signed::<F>() || F::GREATEST < 128, "a value with its offset is a signed byte") };
        // SAFETY: the caller's promises.
        unsafe {
            let mut dots = [[vdupq_n_s32(0); C]; R];
            if F::OFFSET > 0 && !(D::TAKES_SIGNS && is_signed::<F>()) {
                for r in 0..R {
                    dots[r] = [vdupq_n_s32(*x[r].starts.add(group)); C];
                }
            }
            for sixteen in group * F::GROUP / 16..(group + 1) * F::GROUP / 16 {
                let mut rows = [vdupq_n_s8(0); R];
                for r in 0..R {
                    rows[r] = vld1q_s8(x[r].codes.add(16 * sixteen));
                }
                let w = codes.as_ptr().add(4 * sixteen * STEP + 4 * column);
                add_step::<F, D, 0, R, C>(&mut dots, w, &rows);
                add_step::<F, D, 1, R, C>(&mut dots, w.add(STEP), &rows);
                add_step::<F, D, 2, R, C>(&mut dots, w.add(2 * STEP), &rows);
                add_step::<F, D, 3, R, C>(&mut dots, w.add(3 * STEP), &rows);
            }
            dots
        }
    }
}

/// Adds the products of four weights of every column with the LANE-th four of sixteen activations of every row.
#[inline(always)]
unsafe fn add_step<F: Format, D: Dot, const LANE: i32, const R: usize, const C: usize>(
    dots: &mut Dots<R, C>,
    w: *const u8,
    rows: &[int8x16_t; R],
) {
    for c in 0..C {
        // SAFETY: the caller's panel and instruction set.
        unsafe {
            let mut w = vld1q_u8(w.add(16 * c));
            if D::TAKES_SIGNS && is_signed::<F>() {
                w = veorq_u8(w, vdupq_n_u8(F::OFFSET));
            }
            for r in 0..R {
                dots[r][c] = D::add::<LANE>(dots[r][c], w, rows[r]);
            }
        }
    }
}
