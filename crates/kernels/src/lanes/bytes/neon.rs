//! Bytes in two registers of NEON.

use std::arch::aarch64::*;

use super::Bytes;

/// Eight rows: the bytes of the lower four, then of the upper four.
#[derive(Clone, Copy)]
pub(crate) struct NeonBytes(uint8x16_t, uint8x16_t);

impl NeonBytes {
    #[inline(always)]
    fn each(self, of: impl Fn(uint8x16_t) -> uint8x16_t) -> Self {
        Self(of(self.0), of(self.1))
    }
}

// SAFETY of every block below: NEON is part of every aarch64; the trait's callers promise good pointers.
impl Bytes for NeonBytes {
    const ROWS: usize = 8;

    #[inline(always)]
    unsafe fn load_32(rows: &[*const u8; 16], row: usize, at: usize) -> Self {
        // SAFETY: see above.
        unsafe { Self(vld1q_u8(rows[row].add(at)), vld1q_u8(rows[row].add(at + 16))) }
    }

    #[inline(always)]
    unsafe fn load_16(rows: &[*const u8; 16], row: usize, at: usize) -> Self {
        // SAFETY: see above.
        unsafe { Self(vld1q_u8(rows[row].add(at)), vld1q_u8(rows[row + 4].add(at))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: see above.
        unsafe {
            vst1q_u8(to, self.0);
            vst1q_u8(to.add(16), self.1);
        }
    }

    #[inline(always)]
    unsafe fn splat(byte: u8) -> Self {
        // SAFETY: see above.
        unsafe { Self(vdupq_n_u8(byte), vdupq_n_u8(byte)) }
    }

    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(vandq_u8(self.0, other.0), vandq_u8(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(vorrq_u8(self.0, other.0), vorrq_u8(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(veorq_u8(self.0, other.0), veorq_u8(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn shift_right(self, bits: i32) -> Self {
        // SAFETY: see above.
        unsafe { self.shift_left(-bits) }
    }

    #[inline(always)]
    unsafe fn shift_left(self, bits: i32) -> Self {
        // SAFETY: see above.
        unsafe {
            // A shift by less than none goes to the right.
            let bits = vdupq_n_s16(bits as i16);
            self.each(|bytes| vreinterpretq_u8_u16(vshlq_u16(vreinterpretq_u16_u8(bytes), bits)))
        }
    }

    #[inline(always)]
    unsafe fn look_up(self, table: &[u8; 16]) -> Self {
        // SAFETY: see above.
        unsafe {
            let table = vld1q_u8(table.as_ptr());
            self.each(|bytes| vqtbl1q_u8(table, bytes))
        }
    }

    #[inline(always)]
    unsafe fn take(self, places: &[u8; 16]) -> Self {
        // SAFETY: see above.
        unsafe {
            let places = vld1q_u8(places.as_ptr());
            self.each(|bytes| vqtbl1q_u8(bytes, places))
        }
    }

    #[inline(always)]
    unsafe fn widen(self, index: i32) -> Self {
        // SAFETY: see above.
        unsafe {
            let upper = vdupq_n_s32(24 - 8 * index);
            self.each(|bytes| {
                let upper = vshlq_s32(vreinterpretq_s32_u8(bytes), upper);
                vreinterpretq_u8_s32(vshrq_n_s32::<24>(upper))
            })
        }
    }

    #[inline(always)]
    unsafe fn interleave_fours(self, other: Self) -> [Self; 2] {
        // SAFETY: see above.
        unsafe {
            let (a, b) = (vreinterpretq_u32_u8(self.0), vreinterpretq_u32_u8(other.0));
            let (c, d) = (vreinterpretq_u32_u8(self.1), vreinterpretq_u32_u8(other.1));
            let of = |low, high| Self(vreinterpretq_u8_u32(low), vreinterpretq_u8_u32(high));
            [of(vzip1q_u32(a, b), vzip1q_u32(c, d)), of(vzip2q_u32(a, b), vzip2q_u32(c, d))]
        }
    }

    #[inline(always)]
    unsafe fn interleave_eights(self, other: Self) -> [Self; 2] {
        // SAFETY: see above.
        unsafe {
            let (a, b) = (vreinterpretq_u64_u8(self.0), vreinterpretq_u64_u8(other.0));
            let (c, d) = (vreinterpretq_u64_u8(self.1), vreinterpretq_u64_u8(other.1));
            let of = |low, high| Self(vreinterpretq_u8_u64(low), vreinterpretq_u8_u64(high));
            [of(vzip1q_u64(a, b), vzip1q_u64(c, d)), of(vzip2q_u64(a, b), vzip2q_u64(c, d))]
        }
    }

    #[inline(always)]
    unsafe fn interleave_sixteens(self, other: Self) -> [Self; 2] {
        [Self(self.0, other.0), Self(self.1, other.1)]
    }
}
