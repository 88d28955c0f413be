//! Sixteen lanes as two AVX2 registers, with FMA and F16C.

use std::arch::x86_64::*;

use super::Lanes;

/// Sixteen f32 lanes: the lower eight, the upper eight.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256, __m256);

/// Which of sixteen lanes are among the first `n`: read at offset 16 - n, a run of set masks, then clear
/// ones.
static FIRST: [i32; 32] = {
    let mut masks = [0; 32];
    let mut lane = 0;
    while lane < 16 {
        masks[lane] = -1;
        lane += 1;
    }
    masks
};

/// The masks of the lower and upper eight lanes for the first `n` of sixteen.
///
/// # Safety
/// Needs AVX2, and `n` at most 16.
#[inline(always)]
unsafe fn first(n: usize) -> (__m256i, __m256i) {
    debug_assert!(n <= 16);
    // SAFETY: `16 - n + 16` is at most 32, the length of the table.
    unsafe {
        let start = FIRST.as_ptr().add(16 - n);
        (_mm256_loadu_si256(start.cast()), _mm256_loadu_si256(start.add(8).cast()))
    }
}

/// The sum of eight lanes over the tree (i, i+4), (i, i+2), (i, i+1).
///
/// # Safety
/// Needs AVX2.
#[inline(always)]
pub(super) unsafe fn sum(eight: __m256) -> f32 {
    // SAFETY: the caller promises AVX2.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}

/// The greatest of eight lanes over the same tree.
///
/// # Safety
/// Needs AVX2.
#[inline(always)]
pub(super) unsafe fn greatest(eight: __m256) -> f32 {
    // SAFETY: the caller promises AVX2.
    unsafe {
        let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
    }
}

/// Eight rows of eight lanes as eight columns.
///
/// # Safety
/// Needs AVX2.
#[inline(always)]
unsafe fn turn(rows: [__m256; 8]) -> [__m256; 8] {
    let mut columns = rows;
    // SAFETY: the caller promises AVX2.
    unsafe {
        // Of four rows: columns 0 and 4, 1 and 5, 2 and 6, 3 and 7.
        let mut fours = [[rows[0]; 4]; 2];
        for i in 0..2 {
            let [a, b, c, d] = [rows[4 * i], rows[4 * i + 1], rows[4 * i + 2], rows[4 * i + 3]];
            let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            fours[i][0] = _mm256_shuffle_ps::<0b01_00_01_00>(ab_low, cd_low);
            fours[i][1] = _mm256_shuffle_ps::<0b11_10_11_10>(ab_low, cd_low);
            fours[i][2] = _mm256_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high);
            fours[i][3] = _mm256_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high);
        }
        for i in 0..4 {
            columns[i] = _mm256_permute2f128_ps::<0x20>(fours[0][i], fours[1][i]);
            columns[4 + i] = _mm256_permute2f128_ps::<0x31>(fours[0][i], fours[1][i]);
        }
    }
    columns
}

// SAFETY of every block below: the trait's callers promise AVX2, FMA and F16C, and good pointers.
impl Lanes for Avx2 {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_set1_ps(value), _mm256_set1_ps(value)) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> Self {
        // SAFETY: see above; a masked-out element is not read, and the address of the upper half is not
        // followed where its mask is clear.
        unsafe {
            let (low, high) = first(n);
            Self(_mm256_maskload_ps(from, low), _mm256_maskload_ps(from.wrapping_add(8), high))
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        // SAFETY: see above; a masked-out element is not written.
        unsafe {
            let (low, high) = first(n);
            _mm256_maskstore_ps(to, low, self.0);
            _mm256_maskstore_ps(to.wrapping_add(8), high, self.1);
        }
    }

    #[inline(always)]
    unsafe fn load_twice(from: *const f32) -> Self {
        // SAFETY: see above; eight elements are read.
        unsafe {
            let eight = _mm256_loadu_ps(from);
            let low = _mm256_permutevar8x32_ps(eight, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
            Self(low, _mm256_permutevar8x32_ps(eight, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7)))
        }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        // SAFETY: see above.
        unsafe {
            let widen = |eight| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(eight)));
            Self(widen(_mm_loadu_si128(from.cast())), widen(_mm_loadu_si128(from.add(8).cast())))
        }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self {
        // SAFETY: see above.
        unsafe {
            let low = _mm256_cvtph_ps(_mm_loadu_si128(from.cast()));
            Self(low, _mm256_cvtph_ps(_mm_loadu_si128(from.add(8).cast())))
        }
    }

    #[inline(always)]
    unsafe fn splat_f16(from: *const u16) -> Self {
        // SAFETY: see above; one number is read, wherever it lies.
        unsafe {
            let all = _mm256_cvtph_ps(_mm_set1_epi16(from.read_unaligned() as i16));
            Self(all, all)
        }
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self {
        // SAFETY: see above; sixteen bytes are read.
        unsafe {
            let widen = |eight| _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight));
            Self(widen(_mm_loadl_epi64(from.cast())), widen(_mm_loadl_epi64(from.add(8).cast())))
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_div_ps(self.0, other.0), _mm256_div_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_sqrt_ps(self.0), _mm256_sqrt_ps(self.1)) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, other: Self, addend: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(_mm256_fmadd_ps(self.0, other.0, addend.0), _mm256_fmadd_ps(self.1, other.1, addend.1))
        }
    }

    #[inline(always)]
    unsafe fn neg_mul_add(self, other: Self, addend: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(_mm256_fnmadd_ps(self.0, other.0, addend.0), _mm256_fnmadd_ps(self.1, other.1, addend.1))
        }
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_min_ps(self.0, other.0), _mm256_min_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: see above.
        unsafe { Self(_mm256_round_ps::<NEAREST>(self.0), _mm256_round_ps::<NEAREST>(self.1)) }
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        // SAFETY: see above.
        unsafe {
            let bias = _mm256_set1_epi32(127);
            let low = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(self.0), bias));
            let high = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(self.1), bias));
            Self(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
        }
    }

    #[inline(always)]
    unsafe fn swap_pairs(self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(_mm256_permute_ps::<0b10_11_00_01>(self.0), _mm256_permute_ps::<0b10_11_00_01>(self.1))
        }
    }

    #[inline(always)]
    unsafe fn mul_sub_add(self, other: Self, addend: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let low = _mm256_fmaddsub_ps(self.0, other.0, addend.0);
            Self(low, _mm256_fmaddsub_ps(self.1, other.1, addend.1))
        }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: see above.
        unsafe { sum(_mm256_add_ps(self.0, self.1)) }
    }

    #[inline(always)]
    unsafe fn greatest(self) -> f32 {
        // SAFETY: see above.
        unsafe { greatest(_mm256_max_ps(self.0, self.1)) }
    }

    #[inline(always)]
    unsafe fn turn(row: impl Fn(usize) -> Self, to: *mut f32, stride: usize) {
        // SAFETY: see above. Eight rows of eight fill the registers, so one quarter is turned after the other.
        unsafe {
            for first in [0, 8] {
                let mut rows = [_mm256_setzero_ps(); 8];
                for i in 0..8 {
                    rows[i] = row(first + i).0;
                }
                rows = turn(rows);
                for i in 0..8 {
                    _mm256_storeu_ps(to.add(i * stride + first), rows[i]);
                    rows[i] = row(first + i).1;
                }
                rows = turn(rows);
                for i in 0..8 {
                    _mm256_storeu_ps(to.add((8 + i) * stride + first), rows[i]);
                }
            }
        }
    }
}
