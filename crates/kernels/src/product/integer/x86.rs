//! The bodies over panels for x86-64.
//!
//! AVX2 multiplies unsigned with signed bytes into 16 bits, as many of them added up there as cannot overflow;
//! VNNI into 32 bits at once. Both take values with their offset added, which makes them unsigned; what that adds
//! to a sum is known beforehand (`starts`). Values of all eight bits would overflow 16: there AVX2 gives the sign of
//! a weight to the activation.

use std::arch::x86_64::*;

use super::activations::{Activations, Address};
use super::pack::{Panel, STEP, is_short};
use super::tiles::{Tiles, is_signed, n_links, over_panels, unit_of};
use super::{Part, WIDTH};
use crate::blocks::Format;
use crate::lanes::bytes::{Bytes32, Bytes64};
use crate::lanes::{Avx2 as Avx2Lanes, Avx512 as Avx512Lanes};

#[target_feature(enable = "avx2,fma,f16c")]
pub unsafe fn avx2<F: Format>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: this function has the features, its caller the shapes.
    unsafe {
        match F::STRAIGHT.and_then(|straight| straight.avx2.body(part.rows.len(), x.inner())) {
            Some(body) => body(x, w, part),
            None => over_panels::<F, Avx2>(x, w, part),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")]
pub unsafe fn vnni<F: Format>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: as above.
    unsafe {
        match F::STRAIGHT.and_then(|straight| straight.vnni.as_ref()?.body(part.rows.len(), x.inner())) {
            Some(body) => body(x, w, part),
            None => over_panels::<F, Vnni>(x, w, part),
        }
    }
}

/// Four activations in every lane.
#[inline(always)]
pub(super) unsafe fn four(codes: *const i8) -> i32 {
    // SAFETY: the caller's row goes on for four activations.
    unsafe { codes.cast::<i32>().read_unaligned() }
}

struct Vnni;

impl Tiles for Vnni {
    type Bytes = Bytes64;
    type Lanes = Avx512Lanes;

    #[inline(always)]
    unsafe fn multiply<F: Format>(x: &[Address], panel: &Panel, n_blocks: usize, to: *mut f32) -> usize {
        // SAFETY: the caller's promises; as many rows as there are at least.
        unsafe {
            match x.len() {
                6.. => vnni_rows::<F, 6>(x, panel, n_blocks, to),
                4.. => vnni_rows::<F, 4>(x, panel, n_blocks, to),
                2.. => vnni_rows::<F, 2>(x, panel, n_blocks, to),
                _ => vnni_rows::<F, 1>(x, panel, n_blocks, to),
            }
        }
    }
}

/// Two registers of 16 columns for each of R rows.
type Sums<const R: usize> = [[__m512i; 2]; R];

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")]
unsafe fn vnni_rows<F: Format, const R: usize>(
    x: &[Address],
    panel: &Panel,
    n_blocks: usize,
    to: *mut f32,
) -> usize {
    let x = x.first_chunk().expect("there are R rows");
    // SAFETY: the caller's promises.
    unsafe {
        if F::N_WEIGHTS < 256 {
            vnni_plain::<F, R>(x, panel, n_links::<F>(n_blocks), to);
        } else {
            vnni_grouped::<F, R>(x, panel, n_blocks, to);
        }
    }
    R
}

/// What the sums of products of group `group` start from.
#[inline(always)]
unsafe fn vnni_starts<F: Format, const R: usize>(x: &[Address; R], group: usize) -> Sums<R> {
    // SAFETY: the caller's rows have this group.
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); 2]; R];
        if F::OFFSET > 0 {
            for r in 0..R {
                sums[r] = [_mm512_set1_epi32(*x[r].starts.add(group)); 2];
            }
        }
        sums
    }
}

/// Adds the products of `n_steps` times four weights, from step `first` of the panel on.
#[inline(always)]
unsafe fn vnni_dot<const R: usize>(
    mut sums: Sums<R>,
    x: &[Address; R],
    panel: &Panel,
    first: usize,
    n_steps: usize,
) -> Sums<R> {
    // SAFETY: the caller's rows and panel have these steps.
    unsafe {
        for step in first..first + n_steps {
            let w = panel.codes.as_ptr().add(step * STEP);
            let w = [_mm512_load_si512(w.cast()), _mm512_load_si512(w.add(64).cast())];
            for r in 0..R {
                let x = _mm512_set1_epi32(four(x[r].codes.add(4 * step)));
                for c in 0..2 {
                    sums[r][c] = _mm512_dpbusd_epi32(sums[r][c], w[c], x);
                }
            }
        }
    }
    sums
}

/// Links without whole scales.
#[inline(always)]
unsafe fn vnni_plain<F: Format, const R: usize>(
    x: &[Address; R],
    panel: &Panel,
    n_links: usize,
    to: *mut f32,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); 2]; R];
        for r in 0..R {
            for c in 0..2 {
                sums[r][c] = _mm512_loadu_ps(to.add(r * WIDTH + 16 * c));
            }
        }
        for link in 0..n_links {
            let dots = vnni_starts::<F, R>(x, link);
            let dots = vnni_dot(dots, x, panel, F::LINK / 4 * link, F::LINK / 4);
            for c in 0..2 {
                let place = link * WIDTH + 16 * c;
                let scales = _mm512_load_ps(panel.scales.as_ptr().add(place));
                let mut minima = _mm512_setzero_ps();
                if F::HAS_MINIMA {
                    minima = _mm512_load_ps(panel.minima.as_ptr().add(place));
                }
                for r in 0..R {
                    let scale = _mm512_set1_ps(*x[r].scales.add(unit_of::<F>(link)));
                    let scale = _mm512_mul_ps(scales, scale);
                    sums[r][c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[r][c]), scale, sums[r][c]);
                    if F::HAS_MINIMA {
                        let total = _mm512_set1_ps(*x[r].totals.add(link));
                        sums[r][c] = _mm512_fmadd_ps(minima, total, sums[r][c]);
                    }
                }
            }
        }
        for r in 0..R {
            _mm512_storeu_ps(to.add(r * WIDTH), sums[r][0]);
            _mm512_storeu_ps(to.add(r * WIDTH + 16), sums[r][1]);
        }
    }
}

#[inline(always)]
unsafe fn vnni_grouped<F: Format, const R: usize>(
    x: &[Address; R],
    panel: &Panel,
    n_blocks: usize,
    to: *mut f32,
) {
    let n_groups = 256 / F::GROUP;
    // SAFETY: the caller's promises.
    unsafe {
        for block in 0..n_blocks {
            let mut totals = [[_mm512_setzero_si512(); 2]; R];
            for group in block * n_groups..(block + 1) * n_groups {
                let scales = panel.groups.as_ptr().add(group * WIDTH);
                let scales = [_mm512_load_si512(scales.cast()), _mm512_load_si512(scales.add(16).cast())];
                // Sums of 16 bits take one instruction for each 16 weights, others three for each group.
                let n_halves = if is_short::<F>() { F::GROUP / 16 } else { 1 };
                let n_steps = F::GROUP / 4 / n_halves;
                for half in 0..n_halves {
                    // What the offset adds to all of a group is taken off once.
                    let starts = match half {
                        0 => vnni_starts::<F, R>(x, group),
                        _ => [[_mm512_setzero_si512(); 2]; R],
                    };
                    let dots = vnni_dot(starts, x, panel, group * F::GROUP / 4 + half * n_steps, n_steps);
                    vnni_add_group::<F, R>(&mut totals, &dots, scales);
                }
            }
            vnni_add_block::<F, R>(totals, x, panel, block, to);
        }
    }
}

/// Adds the sums of a group, or of half of one, times its whole scales.
#[inline(always)]
unsafe fn vnni_add_group<F: Format, const R: usize>(
    totals: &mut Sums<R>,
    dots: &Sums<R>,
    scales: [__m512i; 2],
) {
    for r in 0..R {
        for c in 0..2 {
            // SAFETY: the machine has the instruction set, by the caller's promise.
            totals[r][c] = unsafe {
                if is_short::<F>() {
                    _mm512_dpwssd_epi32(totals[r][c], dots[r][c], scales[c])
                } else {
                    _mm512_add_epi32(totals[r][c], _mm512_mullo_epi32(dots[r][c], scales[c]))
                }
            };
        }
    }
}

/// The chains of R x 32 outputs, one block of 256 further.
#[inline(always)]
unsafe fn vnni_add_block<F: Format, const R: usize>(
    totals: Sums<R>,
    x: &[Address; R],
    panel: &Panel,
    block: usize,
    to: *mut f32,
) {
    let n_pairs = 128 / F::GROUP;
    // SAFETY: the caller's promises.
    unsafe {
        for c in 0..2 {
            let place = block * WIDTH + 16 * c;
            let scales = _mm512_load_ps(panel.scales.as_ptr().add(place));
            let minima = _mm512_load_ps(panel.minima.as_ptr().add(place));
            for r in 0..R {
                let to = to.add(r * WIDTH + 16 * c);
                let scale = _mm512_set1_ps(*x[r].scales.add(block));
                let sum = _mm512_loadu_ps(to);
                let mut sum =
                    _mm512_fmadd_ps(_mm512_cvtepi32_ps(totals[r][c]), _mm512_mul_ps(scales, scale), sum);
                if F::HAS_MINIMA {
                    let mut dot = _mm512_setzero_si512();
                    for pair in block * n_pairs..(block + 1) * n_pairs {
                        let whole = _mm512_load_si512(panel.pairs.as_ptr().add(pair * WIDTH + 16 * c).cast());
                        dot = _mm512_dpwssd_epi32(dot, whole, _mm512_set1_epi32(*x[r].pairs.add(pair)));
                    }
                    sum = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(minima, scale), sum);
                }
                _mm512_storeu_ps(to, sum);
            }
        }
    }
}

struct Avx2;

impl Tiles for Avx2 {
    type Bytes = Bytes32;
    type Lanes = Avx2Lanes;

    #[inline(always)]
    unsafe fn multiply<F: Format>(x: &[Address], panel: &Panel, n_blocks: usize, to: *mut f32) -> usize {
        // SAFETY: the caller's promises; as many rows as there are at least.
        unsafe {
            match x.len() {
                4.. => avx2_rows::<F, 4>(x, panel, n_blocks, to),
                2.. => avx2_rows::<F, 2>(x, panel, n_blocks, to),
                _ => avx2_rows::<F, 1>(x, panel, n_blocks, to),
            }
        }
    }
}

/// How many sums of two products fit 16 bits when they are added up, as a power of two and within a group.
pub(super) const fn n_added<F: Format>() -> usize {
    // With its sign a value is at most 128.
    let greatest = if is_signed::<F>() { 128 } else { F::GREATEST as usize };
    let (most, mut n) = (32767 / (2 * 127 * greatest), 1);
    while 2 * n <= most && 2 * n <= F::GROUP / 4 {
        n *= 2;
    }
    n
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn avx2_rows<F: Format, const R: usize>(
    x: &[Address],
    panel: &Panel,
    n_blocks: usize,
    to: *mut f32,
) -> usize {
    let x = x.first_chunk().expect("there are R rows");
    for column in (0..WIDTH).step_by(8) {
        for link in 0..n_links::<F>(n_blocks) {
            // SAFETY: the caller's promises; eight of the 32 columns.
            unsafe { avx2_add_link::<F, R>(x, panel, (link, column), to.add(column)) };
        }
    }
    R
}

/// For R rows and eight columns, sums of products in 16 bits of `n_added` steps from `step` on.
#[inline(always)]
unsafe fn avx2_dot<F: Format, const R: usize>(
    x: &[Address; R],
    panel: &Panel,
    (step, column): (usize, usize),
) -> [__m256i; R] {
    // SAFETY: the caller's rows and panel have these steps.
    unsafe {
        let mut sums = [_mm256_setzero_si256(); R];
        for step in step..step + n_added::<F>() {
            let w = _mm256_load_si256(panel.codes.as_ptr().add(step * STEP + 4 * column).cast());
            let signed = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
            for r in 0..R {
                let x = _mm256_set1_epi32(four(x[r].codes.add(4 * step)));
                let products = if is_signed::<F>() {
                    _mm256_maddubs_epi16(_mm256_abs_epi8(signed), _mm256_sign_epi8(x, signed))
                } else {
                    _mm256_maddubs_epi16(w, x)
                };
                sums[r] = _mm256_add_epi16(sums[r], products);
            }
        }
        sums
    }
}

/// The chains of R x 8 outputs, one link further.
#[inline(always)]
unsafe fn avx2_add_link<F: Format, const R: usize>(
    x: &[Address; R],
    panel: &Panel,
    (link, column): (usize, usize),
    to: *mut f32,
) {
    let n_groups = F::LINK / F::GROUP;
    // SAFETY: the caller's promises.
    unsafe {
        let mut totals = [_mm256_setzero_si256(); R];
        for group in link * n_groups..(link + 1) * n_groups {
            let dots = avx2_group::<F, R>(x, panel, group, column);
            for r in 0..R {
                totals[r] = _mm256_add_epi32(totals[r], dots[r]);
            }
        }
        let place = link * WIDTH + column;
        let scales = _mm256_load_ps(panel.scales.as_ptr().add(place));
        let mut minima = _mm256_setzero_ps();
        if F::HAS_MINIMA {
            minima = _mm256_load_ps(panel.minima.as_ptr().add(place));
        }
        for r in 0..R {
            let to = to.add(r * WIDTH);
            let scale = _mm256_set1_ps(*x[r].scales.add(unit_of::<F>(link)));
            let product = _mm256_mul_ps(scales, scale);
            let mut sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(totals[r]), product, _mm256_loadu_ps(to));
            if F::HAS_MINIMA && F::N_WEIGHTS == 32 {
                sum = _mm256_fmadd_ps(minima, _mm256_set1_ps(*x[r].totals.add(link)), sum);
            } else if F::HAS_MINIMA {
                let mut dot = _mm256_setzero_si256();
                for pair in link * n_groups / 2..(link + 1) * n_groups / 2 {
                    let whole = _mm256_load_si256(panel.pairs.as_ptr().add(pair * WIDTH + column).cast());
                    let sums = _mm256_set1_epi32(*x[r].pairs.add(pair));
                    dot = _mm256_add_epi32(dot, _mm256_madd_epi16(whole, sums));
                }
                sum = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(dot), _mm256_mul_ps(minima, scale), sum);
            }
            _mm256_storeu_ps(to, sum);
        }
    }
}

/// The sums of a group's products, times its whole scale where it has one.
#[inline(always)]
unsafe fn avx2_group<F: Format, const R: usize>(
    x: &[Address; R],
    panel: &Panel,
    group: usize,
    column: usize,
) -> [__m256i; R] {
    let n_steps = F::GROUP / 4;
    let has_starts = F::OFFSET > 0 && !is_signed::<F>();
    let is_grouped = F::N_WEIGHTS == 256;
    // SAFETY: the caller's promises.
    unsafe {
        let mut scale = _mm256_set1_epi32(1);
        if is_grouped {
            scale = _mm256_load_si256(panel.groups.as_ptr().add(group * WIDTH + column).cast());
        }
        // Where a sum starts from zero, the scale is that of each of the two 16 bits that are added up.
        let factor = match (is_grouped, has_starts) {
            (true, false) => _mm256_or_si256(
                _mm256_slli_epi32::<16>(scale),
                _mm256_and_si256(scale, _mm256_set1_epi32(0xffff)),
            ),
            _ => _mm256_set1_epi16(1),
        };
        let mut sums = [_mm256_setzero_si256(); R];
        if has_starts {
            for r in 0..R {
                sums[r] = _mm256_set1_epi32(*x[r].starts.add(group));
            }
        }
        for step in (group * n_steps..(group + 1) * n_steps).step_by(n_added::<F>()) {
            let dots = avx2_dot::<F, R>(x, panel, (step, column));
            for r in 0..R {
                sums[r] = _mm256_add_epi32(sums[r], _mm256_madd_epi16(dots[r], factor));
            }
        }
        if is_grouped && has_starts {
            // Only the lower half may be there.
            let scale = _mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(scale));
            for r in 0..R {
                sums[r] = _mm256_mullo_epi32(sums[r], scale);
            }
        }
        sums
    }
}
