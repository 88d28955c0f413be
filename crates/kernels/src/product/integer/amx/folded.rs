//! The weights of a panel of 256 as tiles take them: each value times its whole scale, in one byte or two.
//!
//! Not the multiplication, and not the scale of a block, which is no whole number. A product `v = s · q` is exact; what
//! it is split into gives the same sums:
//!
//! | | bytes | for |
//! |---|---|---|
//! | [`Fold::Whole`] | v | Q2_K, TQ1_0, TQ2_0 |
//! | [`Fold::Negated`] | -v | Q3_K, where v is 128 at most and -124 at least |
//! | [`Fold::Factors`] | `v = 8·a + b`: q times the upper and the lower three bits of s, without a sign | Q4_K, Q5_K |
//! | [`Fold::Halves`] | `v = 128·a + b`, b from -64 to 63 | all others |

use std::arch::x86_64::*;

use super::super::WIDTH;
use super::super::pack::{Panel, STEP};
use super::{LINE, MEMBER};
use crate::amx::TILE;
use crate::blocks::Format;

/// How values times their whole scales become bytes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fold {
    /// They are bytes.
    Whole,
    /// They are with the other sign.
    Negated,
    /// Eights and ones, bytes without a sign.
    Factors,
    /// 128 times one byte, and another.
    Halves,
}

impl Fold {
    /// That of a type.
    pub const fn of<F: Format>() -> Self {
        let [low, high] = [-(F::OFFSET as i32), F::GREATEST as i32 - F::OFFSET as i32];
        let [least_scale, greatest_scale] = [F::WHOLE_SCALES[0] as i32, F::WHOLE_SCALES[1] as i32];
        let corners = [least_scale * low, least_scale * high, greatest_scale * low, greatest_scale * high];
        let (mut least, mut greatest, mut corner) = (0, 0, 0);
        while corner < 4 {
            least = if corners[corner] < least { corners[corner] } else { least };
            greatest = if corners[corner] > greatest { corners[corner] } else { greatest };
            corner += 1;
        }
        assert!(-128 * 128 - 64 <= least && greatest <= 127 * 128 + 63, "a product is two bytes");
        if -128 <= least && greatest <= 127 {
            Fold::Whole
        } else if -127 <= least && greatest <= 128 {
            Fold::Negated
        } else if low == 0 && least_scale >= 0 && greatest_scale < 64 && 7 * high <= 255 {
            Fold::Factors
        } else {
            Fold::Halves
        }
    }

    /// How many bytes a value takes.
    pub const fn n_bytes(self) -> usize {
        match self {
            Fold::Whole | Fold::Negated => 1,
            Fold::Factors | Fold::Halves => 2,
        }
    }
}

/// Folds a panel into members, [member, k / 4, column, 4]. With one byte for a value these are the lower sixteen columns
/// and the upper; with two, a and b of the lower sixteen, then a and b of the upper.
///
/// # Safety
/// The machine has AVX-512 BW; the panel holds so many blocks of 256; there is room for four members.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512fp16,fma,f16c")]
pub(super) unsafe fn fold<F: Format>(panel: &Panel, n_blocks: usize, to: *mut u8) {
    let (n_bytes, n_steps) = (Fold::of::<F>().n_bytes(), F::GROUP / 4);
    for group in 0..n_blocks * 256 / F::GROUP {
        for half in 0..WIDTH / TILE {
            // SAFETY: the caller's panel and room have this group.
            unsafe {
                let scales = _mm512_load_si512(panel.groups.as_ptr().add(group * WIDTH + half * TILE).cast());
                // For each pair of the four values; what stands in the upper half may be anything.
                let twice = _mm512_mask_blend_epi16(0xaaaa_aaaa, scales, _mm512_slli_epi32::<16>(scales));
                for step in group * n_steps..(group + 1) * n_steps {
                    let codes = _mm512_load_si512(panel.codes.as_ptr().add(step * STEP + half * LINE).cast());
                    let bytes = times::<F>(codes, twice);
                    for byte in 0..n_bytes {
                        let line = to.add((half * n_bytes + byte) * MEMBER + step * LINE);
                        _mm512_store_si512(line.cast(), bytes[byte]);
                    }
                }
            }
        }
    }
}

/// Values with their offset added, times scales of 16 bits, without it; the second only where there are two bytes.
#[inline(always)]
unsafe fn times<F: Format>(codes: __m512i, scales: __m512i) -> [__m512i; 2] {
    // SAFETY: the caller's machine.
    unsafe {
        let none = _mm512_setzero_si512();
        match Fold::of::<F>() {
            // No product of bytes passes into the upper one of a pair.
            Fold::Whole if F::OFFSET == 0 => [_mm512_mullo_epi16(codes, scales), none],
            Fold::Factors => {
                let three = _mm512_set1_epi16(7);
                let upper = _mm512_and_si512(_mm512_srli_epi16::<3>(scales), three);
                let lower = _mm512_and_si512(scales, three);
                [_mm512_mullo_epi16(codes, upper), _mm512_mullo_epi16(codes, lower)]
            }
            Fold::Whole => [joined(products::<F>(codes, scales, 0)), none],
            Fold::Negated => [joined(products::<F>(codes, _mm512_sub_epi16(none, scales), 0)), none],
            Fold::Halves => {
                // What is 64 greater has the lower byte, 64 greater, in its lower seven bits.
                let [even, odd] = products::<F>(codes, scales, 64);
                let upper = joined([_mm512_srai_epi16::<7>(even), _mm512_srai_epi16::<7>(odd)]);
                let lower = _mm512_and_si512(joined([even, odd]), _mm512_set1_epi8(127));
                [upper, _mm512_sub_epi8(lower, _mm512_set1_epi8(64))]
            }
        }
    }
}

/// The products of the values in even and in odd bytes, plus `more`, in 16 bits.
#[inline(always)]
unsafe fn products<F: Format>(codes: __m512i, scales: __m512i, more: i16) -> [__m512i; 2] {
    // SAFETY: the caller's machine.
    unsafe {
        let offsets = _mm512_mullo_epi16(scales, _mm512_set1_epi16(i16::from(F::OFFSET)));
        let more = _mm512_sub_epi16(_mm512_set1_epi16(more), offsets);
        let even = _mm512_and_si512(codes, _mm512_set1_epi16(0xff));
        let odd = _mm512_srli_epi16::<8>(codes);
        [
            _mm512_add_epi16(_mm512_mullo_epi16(even, scales), more),
            _mm512_add_epi16(_mm512_mullo_epi16(odd, scales), more),
        ]
    }
}

/// The lower bytes of both as even and odd bytes.
#[inline(always)]
unsafe fn joined([even, odd]: [__m512i; 2]) -> __m512i {
    // SAFETY: the caller's machine.
    unsafe { _mm512_mask_blend_epi8(0xaaaa_aaaa_aaaa_aaaa, even, _mm512_slli_epi16::<8>(odd)) }
}
