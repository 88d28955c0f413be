//! Sixteen f32 lanes, on NEON as four registers, on AVX2 as two and on AVX-512 as one, so that one body serves all and
//! all give the same bits: the same lanes, the same fused operations, the same trees of reduction.
//!
//! Not a general vector library: only what the kernels use.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod bytes;
mod exp;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use exp::{exp, exp_normal};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;

/// How many lanes every vector body has.
pub(crate) const LANES: usize = 16;

/// Sixteen f32 values.
///
/// # Safety
/// Every method may be called only on a machine that has the instruction set of the type, and should be
/// inlined into a function with its `target_feature`. Pointers must be good for sixteen elements, or for the
/// `n` of a `_first` method; they need no alignment.
pub(crate) trait Lanes: Copy {
    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self;
    /// Sixteen elements.
    unsafe fn load(from: *const f32) -> Self;
    /// The first `n` of sixteen elements, the others 0; reads nothing behind them.
    unsafe fn load_first(from: *const f32, n: usize) -> Self;
    /// Writes sixteen elements.
    unsafe fn store(self, to: *mut f32);
    /// Writes the first `n` elements only.
    unsafe fn store_first(self, to: *mut f32, n: usize);
    /// Eight elements, each twice: 0, 0, 1, 1, …
    unsafe fn load_twice(from: *const f32) -> Self;
    /// Sixteen bf16 numbers, widened exactly.
    unsafe fn load_bf16(from: *const u16) -> Self;
    /// Sixteen IEEE half-precision numbers, widened exactly.
    unsafe fn load_f16(from: *const u16) -> Self;
    /// One IEEE half-precision number in all lanes, widened exactly.
    unsafe fn splat_f16(from: *const u16) -> Self;
    /// Sixteen signed bytes, widened exactly.
    unsafe fn load_i8(from: *const i8) -> Self;
    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;
    /// `self - other`.
    unsafe fn sub(self, other: Self) -> Self;
    /// `self * other`.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self / other`.
    unsafe fn div(self, other: Self) -> Self;
    /// The square root.
    unsafe fn sqrt(self) -> Self;
    /// `self * other + addend`, rounded once.
    unsafe fn mul_add(self, other: Self, addend: Self) -> Self;
    /// `addend - self * other`, rounded once.
    unsafe fn neg_mul_add(self, other: Self, addend: Self) -> Self;
    /// The greater; `other` where either is NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// The lesser; `other` where either is NaN.
    unsafe fn min(self, other: Self) -> Self;
    /// The nearest integer, ties to even.
    unsafe fn round(self) -> Self;
    /// 2 to the power of an integer in -126..=127; 0 for -127.
    unsafe fn power_of_two(self) -> Self;
    /// Swaps the lanes of each pair: 1, 0, 3, 2, …
    unsafe fn swap_pairs(self) -> Self;
    /// `self * other` minus `addend` in even lanes, plus `addend` in odd lanes, rounded once.
    unsafe fn mul_sub_add(self, other: Self, addend: Self) -> Self;
    /// The sum over the tree (i, i+8), (i, i+4), (i, i+2), (i, i+1).
    unsafe fn sum(self) -> f32;
    /// The greatest over the same tree.
    unsafe fn greatest(self) -> f32;
    /// Writes sixteen rows as sixteen columns, `stride` elements apart from `to` on. A row may be asked for twice.
    unsafe fn turn(row: impl Fn(usize) -> Self, to: *mut f32, stride: usize);
}

/// A type of weight that can be read as f32 lanes.
pub(crate) trait Element: Copy {
    /// Sixteen elements as f32.
    unsafe fn load<V: Lanes>(from: *const Self) -> V;
    /// The first `n` of sixteen, the others 0.
    unsafe fn load_first<V: Lanes>(from: *const Self, n: usize) -> V;
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<V: Lanes>(from: *const f32) -> V {
        // SAFETY: the caller's pointer and instruction set.
        unsafe { V::load(from) }
    }

    #[inline(always)]
    unsafe fn load_first<V: Lanes>(from: *const f32, n: usize) -> V {
        // SAFETY: as above.
        unsafe { V::load_first(from, n) }
    }
}

/// The bits of a bf16 number.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Bf16(u16);

impl Element for Bf16 {
    #[inline(always)]
    unsafe fn load<V: Lanes>(from: *const Bf16) -> V {
        // SAFETY: the caller's pointer and instruction set; the type is a transparent u16.
        unsafe { V::load_bf16(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_first<V: Lanes>(from: *const Bf16, n: usize) -> V {
        let mut all = [0u16; LANES];
        // SAFETY: `n` elements are readable by the caller's word, and `n` is at most sixteen.
        unsafe {
            std::ptr::copy_nonoverlapping(from.cast(), all.as_mut_ptr(), n);
            V::load_bf16(all.as_ptr())
        }
    }
}

/// The bits of an IEEE half-precision number.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct F16(u16);

impl Element for F16 {
    #[inline(always)]
    unsafe fn load<V: Lanes>(from: *const F16) -> V {
        // SAFETY: the caller's pointer and instruction set; the type is a transparent u16.
        unsafe { V::load_f16(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_first<V: Lanes>(from: *const F16, n: usize) -> V {
        let mut all = [0u16; LANES];
        // SAFETY: `n` elements are readable by the caller's word, and `n` is at most sixteen.
        unsafe {
            std::ptr::copy_nonoverlapping(from.cast(), all.as_mut_ptr(), n);
            V::load_f16(all.as_ptr())
        }
    }
}

/// Loads lanes `start..` of a slice of `length`: sixteen, or as many as are left, the others 0.
///
/// # Safety
/// `from` is good for `length` elements, and `start < length`.
#[inline(always)]
pub(crate) unsafe fn load_up_to<V: Lanes, E: Element>(from: *const E, start: usize, length: usize) -> V {
    // SAFETY: the elements from `start` to `length` are readable by the caller's word.
    unsafe {
        if length - start >= LANES {
            E::load(from.add(start))
        } else {
            E::load_first(from.add(start), length - start)
        }
    }
}

/// Stores lanes to `start..` of a slice of `length`: sixteen, or as many as are left.
///
/// # Safety
/// `to` is good for `length` elements, and `start < length`.
#[inline(always)]
pub(crate) unsafe fn store_up_to<V: Lanes>(value: V, to: *mut f32, start: usize, length: usize) {
    // SAFETY: the elements from `start` to `length` are writable by the caller's word.
    unsafe {
        if length - start >= LANES {
            value.store(to.add(start));
        } else {
            value.store_first(to.add(start), length - start);
        }
    }
}

/// `value` in the lanes that [`load_up_to`] would fill, 0 in the others.
///
/// # Safety
/// As [`Lanes`], and `start < length`.
#[inline(always)]
pub(crate) unsafe fn splat_up_to<V: Lanes>(value: f32, start: usize, length: usize) -> V {
    // SAFETY: the array has sixteen elements, and at most so many are read.
    unsafe {
        if length - start >= LANES {
            V::splat(value)
        } else {
            V::load_first([value; LANES].as_ptr(), length - start)
        }
    }
}
