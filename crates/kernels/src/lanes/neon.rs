//! Sixteen lanes as four NEON registers; and what else of NEON the kernels use: turning four rows, asking for memory.
//!
//! NEON, its fused multiply-adds and its widening of half precision are part of every aarch64 that Rust builds for with
//! its standard library, so nothing here asks the machine.

use std::arch::aarch64::*;
use std::arch::asm;

use super::Lanes;

/// Sixteen f32 lanes, four after four.
#[derive(Clone, Copy)]
pub(crate) struct Neon([float32x4_t; 4]);

// Below there are loops where `map` and `from_fn` would do: those may be calls, which go through memory.
impl Neon {
    #[inline(always)]
    fn each(mut self, of: impl Fn(float32x4_t) -> float32x4_t) -> Self {
        for i in 0..4 {
            self.0[i] = of(self.0[i]);
        }
        self
    }

    #[inline(always)]
    fn with(mut self, other: Self, of: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
        for i in 0..4 {
            self.0[i] = of(self.0[i], other.0[i]);
        }
        self
    }

    /// Four lanes: the sums over (i, i+8), then (i, i+4).
    #[inline(always)]
    fn sums_of_fours(self) -> float32x4_t {
        let [a, b, c, d] = self.0;
        // SAFETY: NEON is part of every aarch64.
        unsafe { vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d)) }
    }
}

/// The greater; the second where either is NaN, or both are zeros.
#[inline(always)]
fn greater(first: float32x4_t, second: float32x4_t) -> float32x4_t {
    // SAFETY: as above.
    unsafe { vbslq_f32(vcgtq_f32(first, second), first, second) }
}

/// Four half-precision numbers, widened exactly.
#[inline(always)]
fn widened(bits: uint16x4_t) -> float32x4_t {
    // SAFETY: as above.
    unsafe { vcvt_f32_f16(vreinterpret_f16_u16(bits)) }
}

// SAFETY of every block below: NEON is part of every aarch64; the trait's callers promise good pointers.
impl Lanes for Neon {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: see above.
        unsafe { Self([vdupq_n_f32(value); 4]) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: see above.
        unsafe {
            Self([vld1q_f32(from), vld1q_f32(from.add(4)), vld1q_f32(from.add(8)), vld1q_f32(from.add(12))])
        }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> Self {
        // SAFETY: see above.
        unsafe {
            debug_assert!(n <= 16);
            let mut all = [0.0; 16];
            std::ptr::copy_nonoverlapping(from, all.as_mut_ptr(), n);
            Self::load(all.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: see above.
        unsafe {
            for i in 0..4 {
                vst1q_f32(to.add(4 * i), self.0[i]);
            }
        }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        // SAFETY: see above.
        unsafe {
            debug_assert!(n <= 16);
            let mut all = [0.0; 16];
            self.store(all.as_mut_ptr());
            std::ptr::copy_nonoverlapping(all.as_ptr(), to, n);
        }
    }

    #[inline(always)]
    unsafe fn load_twice(from: *const f32) -> Self {
        // SAFETY: see above.
        unsafe {
            let (low, high) = (vld1q_f32(from), vld1q_f32(from.add(4)));
            Self([vzip1q_f32(low, low), vzip2q_f32(low, low), vzip1q_f32(high, high), vzip2q_f32(high, high)])
        }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        // SAFETY: see above.
        unsafe {
            let mut all = [vdupq_n_f32(0.0); 4];
            for i in 0..4 {
                let bits = vld1_u16(from.add(4 * i));
                all[i] = vreinterpretq_f32_u32(vshll_n_u16::<16>(bits));
            }
            Self(all)
        }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self {
        // SAFETY: see above.
        unsafe {
            let mut all = [vdupq_n_f32(0.0); 4];
            for i in 0..4 {
                all[i] = widened(vld1_u16(from.add(4 * i)));
            }
            Self(all)
        }
    }

    #[inline(always)]
    unsafe fn splat_f16(from: *const u16) -> Self {
        // SAFETY: see above.
        unsafe {
            let bits = from.read_unaligned();
            Self([widened(vdup_n_u16(bits)); 4])
        }
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self {
        // SAFETY: see above.
        unsafe {
            let bytes = vld1q_s8(from);
            let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
            Self([
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
                vcvtq_f32_s32(vmovl_high_s16(low)),
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                vcvtq_f32_s32(vmovl_high_s16(high)),
            ])
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.with(other, |a, b| vaddq_f32(a, b)) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.with(other, |a, b| vsubq_f32(a, b)) }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.with(other, |a, b| vmulq_f32(a, b)) }
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.with(other, |a, b| vdivq_f32(a, b)) }
    }

    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        // SAFETY: see above.
        unsafe { self.each(|a| vsqrtq_f32(a)) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, other: Self, mut addend: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            for i in 0..4 {
                addend.0[i] = vfmaq_f32(addend.0[i], self.0[i], other.0[i]);
            }
            addend
        }
    }

    #[inline(always)]
    unsafe fn neg_mul_add(self, other: Self, mut addend: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            for i in 0..4 {
                addend.0[i] = vfmsq_f32(addend.0[i], self.0[i], other.0[i]);
            }
            addend
        }
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.with(other, greater)
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { self.with(other, |a, b| vbslq_f32(vcltq_f32(a, b), a, b)) }
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        // SAFETY: see above.
        unsafe { self.each(|a| vrndnq_f32(a)) }
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        // SAFETY: see above.
        unsafe {
            self.each(|a| {
                let exponent = vaddq_s32(vcvtnq_s32_f32(a), vdupq_n_s32(127));
                vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
            })
        }
    }

    #[inline(always)]
    unsafe fn swap_pairs(self) -> Self {
        // SAFETY: see above.
        unsafe { self.each(|a| vrev64q_f32(a)) }
    }

    #[inline(always)]
    unsafe fn mul_sub_add(self, other: Self, mut addend: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let signs_of_even = vreinterpretq_u32_u64(vdupq_n_u64(1 << 31));
            for i in 0..4 {
                let turned =
                    vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(addend.0[i]), signs_of_even));
                addend.0[i] = vfmaq_f32(turned, self.0[i], other.0[i]);
            }
            addend
        }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: see above.
        unsafe {
            let four = self.sums_of_fours();
            vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)))
        }
    }

    #[inline(always)]
    unsafe fn greatest(self) -> f32 {
        // SAFETY: see above.
        unsafe {
            let [a, b, c, d] = self.0;
            let four = greater(greater(a, c), greater(b, d));
            let two = greater(four, vextq_f32::<2>(four, four));
            vgetq_lane_f32::<0>(greater(two, vextq_f32::<1>(two, two)))
        }
    }

    // Through memory: sixteen rows are twice the registers that there are.
    #[inline(always)]
    unsafe fn turn(row: impl Fn(usize) -> Self, to: *mut f32, stride: usize) {
        let mut rows = [0.0f32; 256];
        // SAFETY: see above; row i of sixteen stands at element 16 · i.
        unsafe {
            for i in 0..16 {
                row(i).store(rows.as_mut_ptr().add(16 * i));
            }
            for row in (0..16).step_by(4) {
                for column in (0..16).step_by(4) {
                    let four = rows.as_ptr().add(16 * row + column);
                    let four = [four, four.add(16), four.add(32), four.add(48)];
                    turn_4x4(four, to.add(column * stride + row), stride);
                }
            }
        }
    }
}

/// Four elements of four rows as four columns `stride` apart.
///
/// # Safety
/// Four elements may be read at each row, and written at each of the four places.
#[inline(always)]
pub(crate) unsafe fn turn_4x4(rows: [*const f32; 4], to: *mut f32, stride: usize) {
    // SAFETY: the caller's promise; loads and stores need no alignment.
    unsafe {
        let [a, b, c, d] = rows.map(|row| vld1q_f32(row));
        let (ab_low, ab_high) = (vzip1q_f32(a, b), vzip2q_f32(a, b));
        let (cd_low, cd_high) = (vzip1q_f32(c, d), vzip2q_f32(c, d));
        let join = |first: float32x4_t, second: float32x4_t| {
            let (first, second) = (vreinterpretq_u64_f32(first), vreinterpretq_u64_f32(second));
            (
                vreinterpretq_f32_u64(vzip1q_u64(first, second)),
                vreinterpretq_f32_u64(vzip2q_u64(first, second)),
            )
        };
        let (first, second) = join(ab_low, cd_low);
        let (third, fourth) = join(ab_high, cd_high);
        vst1q_f32(to, first);
        vst1q_f32(to.add(stride), second);
        vst1q_f32(to.add(2 * stride), third);
        vst1q_f32(to.add(3 * stride), fourth);
    }
}

/// Asks the first cache for the line at an address, which need not be valid.
#[inline(always)]
pub(crate) fn fetch<T>(address: *const T) {
    // SAFETY: a prefetch never faults, whatever the address, and writes nothing.
    unsafe { asm!("prfm pldl1keep, [{}]", in(reg) address, options(readonly, nostack, preserves_flags)) }
}

/// Asks the second cache for the line at an address, which need not be valid.
#[inline(always)]
pub(crate) fn fetch_to_second<T>(address: *const T) {
    // SAFETY: as above.
    unsafe { asm!("prfm pldl2keep, [{}]", in(reg) address, options(readonly, nostack, preserves_flags)) }
}
