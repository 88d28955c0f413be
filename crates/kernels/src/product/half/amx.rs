//! The product on AMX: tiles of sixteen rows of bf16, two by two.
//!
//! Asks for no permission: `isa` did. Intrinsics for AMX are unstable, so the tile kernel is one block of
//! assembly; its test runs it on an emulator where the processor has none.
//!
//! Operands are rounded to bf16, to nearest even, which may double what is near the end of f32 to infinity.
//! The multiply-adds of even and of odd k are two chains of f32 over a tile's 32 k, then added to the sum;
//! numbers below 2⁻¹²⁶ count as zero. The error relative to Σ|a·b| is 2⁻⁷ for the operands and K · 2⁻²⁴ for
//! the sum. Sixteen rows by sixteen columns by 32 take sixteen cycles, as long as one of four tile loads
//! takes eight: two by two tiles need four loads for four products.
//!
//! Source: Intel SDM volume 2, LDTILECFG, TILELOADD, TDPBF16PS; volume 1 chapter 18.

use std::arch::asm;
use std::arch::x86_64::*;
use std::ops::Range;

use super::source::{Bf16, Element, F16, Source, transpose};
use super::{Half, Line, Pack, Side, Target};
use crate::amx::{Configuration, ROW_BYTES, TILE};
use crate::product::operand::Operand;
use crate::product::{Into, Weights};

/// Rows of a group of a and columns of a group of b: two tiles each.
pub(super) const WIDTH: usize = 32;
/// Elements of k in a tile: sixteen pairs.
pub(super) const STEP: usize = 32;

/// The body for AMX, on which there is AVX-512 too.
pub(super) const HALF: Half = body(pack_rows, pack_columns);

/// The tile kernel with one way to pack.
pub(super) const fn body(pack_a: Pack, pack_b: Pack) -> Half {
    Half {
        a: Side { width: WIDTH, n_head: 0, n_per_k: 1, pack: pack_a },
        b: Side { width: WIDTH, n_head: 0, n_per_k: 1, pack: pack_b },
        step: STEP,
        multiply,
    }
}

/// Eight tiles of sixteen rows of 64 bytes.
static CONFIGURATION: Configuration = Configuration::of_products(TILE, ROW_BYTES);

/// Multiplies two groups; see [`super::Multiply`].
unsafe fn multiply(k: usize, a: &[Line], b: &[Line], target: &Target) {
    let n_lines = k.next_multiple_of(STEP);
    assert!(k > 0 && a.len() >= n_lines && b.len() >= n_lines, "both groups hold k, one at least");
    target.fetch();
    let mut sums = [[0.0f32; WIDTH]; WIDTH];
    // SAFETY: both groups hold so many steps of 2 kB, and the sums are 32 rows of 128 bytes.
    unsafe { tiles(n_lines / STEP, a.as_ptr(), b.as_ptr(), sums.as_mut_ptr().cast()) };
    for (row, sums) in sums.iter().enumerate().take(target.n_rows) {
        // SAFETY: the caller's promise about the target.
        let to = unsafe {
            std::slice::from_raw_parts_mut(target.first.add(row * target.stride), target.n_columns)
        };
        match target.into {
            Into::Replace => to.copy_from_slice(&sums[..target.n_columns]),
            Into::Add => to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum),
        }
    }
}

/// Two by two tiles of sums over `n_steps` steps of 32 k.
///
/// # Safety
/// AMX may be used; there is a step at least; each step has two tiles, of 1 kB each, at `a` and at `b`, and
/// four tiles may be written at `sums`, whose rows are 128 bytes apart.
unsafe fn tiles(n_steps: usize, a: *const Line, b: *const Line, sums: *mut f32) {
    // SAFETY: the caller's promise; the tiles' state is set at the beginning and given up at the end.
    unsafe {
        asm!(
            "ldtilecfg [{configuration}]",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{a} + {row}]",
            "tileloadd tmm6, [{b} + {row}]",
            "tileloadd tmm7, [{b} + {row} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{a} + {row} + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, 2048",
            "add {b}, 2048",
            "dec {n_steps}",
            "jnz 2b",
            "tilestored [{sums} + {row} * 2], tmm0",
            "tilestored [{sums} + {row} * 2 + 64], tmm1",
            "tilestored [{sums} + {row} * 2 + 2048], tmm2",
            "tilestored [{sums} + {row} * 2 + 2112], tmm3",
            "tilerelease",
            configuration = in(reg) &raw const CONFIGURATION,
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            n_steps = inout(reg) n_steps => _,
            sums = in(reg) sums,
            row = in(reg) 64usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// Packs a group of a; see [`super::Pack`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn pack_rows(a: &Operand<'_>, outer: Range<usize>, inner: Range<usize>, to: &mut [Line]) {
    // SAFETY: the caller's promise; each source reads its own type.
    unsafe {
        match a.values {
            Weights::F32(values) => rows(&Source::new(values.as_ptr(), a, outer, inner), to),
            Weights::Bf16(bits) => rows(&Source::new(bits.as_ptr().cast::<Bf16>(), a, outer, inner), to),
            Weights::F16(bits) => rows(&Source::new(bits.as_ptr().cast::<F16>(), a, outer, inner), to),
            Weights::Blocks(_) => unreachable!("quantised weights take the f32 product"),
        }
    }
}

/// Packs a group of b; see [`super::Pack`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn pack_columns(b: &Operand<'_>, outer: Range<usize>, inner: Range<usize>, to: &mut [Line]) {
    // SAFETY: as above.
    unsafe {
        match b.values {
            Weights::F32(values) => columns(&Source::new(values.as_ptr(), b, outer, inner), to),
            Weights::Bf16(bits) => columns(&Source::new(bits.as_ptr().cast::<Bf16>(), b, outer, inner), to),
            Weights::F16(bits) => columns(&Source::new(bits.as_ptr().cast::<F16>(), b, outer, inner), to),
            Weights::Blocks(_) => unreachable!("quantised weights take the f32 product"),
        }
    }
}

/// A line of a holds 32 k of one row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn rows<E: Element>(source: &Source<'_, E>, to: &mut [Line]) {
    assert!(source.n <= WIDTH && to.len() >= source.k.next_multiple_of(STEP), "a group has room");
    for (index, to) in to.chunks_exact_mut(TILE).enumerate().take(2 * source.k.div_ceil(STEP)) {
        let (k, row) = (index / 2 * STEP, index % 2 * TILE);
        // SAFETY: the source's elements can be read.
        let block = std::array::from_fn(|index| unsafe {
            match source.is_by_columns {
                true => across(source, row, k + 2 * index),
                false => along_k(source, row + index, k),
            }
        });
        store(if source.is_by_columns { transpose(block) } else { block }, to);
    }
}

/// A line of b holds one pair of k of sixteen columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn columns<E: Element>(source: &Source<'_, E>, to: &mut [Line]) {
    assert!(source.n <= WIDTH && to.len() >= source.k.next_multiple_of(STEP), "a group has room");
    for (index, to) in to.chunks_exact_mut(TILE).enumerate().take(2 * source.k.div_ceil(STEP)) {
        let (k, column) = (index / 2 * STEP, index % 2 * TILE);
        // SAFETY: as above.
        let block = std::array::from_fn(|index| unsafe {
            match source.is_by_columns {
                true => across(source, column, k + 2 * index),
                false => along_k(source, column + index, k),
            }
        });
        store(if source.is_by_columns { block } else { transpose(block) }, to);
    }
}

/// Sixteen pairs of k of one outer element.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn along_k<E: Element>(source: &Source<'_, E>, outer: usize, k: usize) -> __m512i {
    // SAFETY: the caller's promise.
    let halves = unsafe { [source.along_k(outer, k), source.along_k(outer, k + 16)] };
    let [low, high] = halves.map(|half| _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(round(half))));
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
}

/// One pair of k of sixteen outer elements.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
unsafe fn across<E: Element>(source: &Source<'_, E>, outer: usize, k: usize) -> __m512i {
    // SAFETY: the caller's promise.
    let (even, odd) = unsafe { (source.across(outer, k), source.across(outer, k + 1)) };
    let odd = _mm512_and_si512(round(odd), _mm512_set1_epi32(!0xffff));
    _mm512_or_si512(_mm512_srli_epi32::<16>(round(even)), odd)
}

/// The nearest bf16 in the upper half of each element, ties to even, and what may be in the lower; NaN stays
/// NaN.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
fn round(values: __m512) -> __m512i {
    let bits = _mm512_castps_si512(values);
    let is_odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
    let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(is_odd, _mm512_set1_epi32(0x7fff)));
    let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(values, values);
    _mm512_mask_or_epi32(rounded, is_nan, bits, _mm512_set1_epi32(0x40_0000))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,fma,f16c")]
fn store(block: [__m512i; TILE], to: &mut [Line]) {
    for (to, line) in to.iter_mut().zip(block) {
        // SAFETY: a line is one register.
        unsafe { _mm512_store_si512((&raw mut *to).cast(), line) };
    }
}
