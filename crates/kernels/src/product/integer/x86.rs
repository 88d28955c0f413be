//! The bodies over panels: for each 32 rows of weights and each stretch of k the blocks are taken apart once, then
//! all rows of x go over them, a few at a time.
//!
//! AVX2 multiplies unsigned with signed bytes into 16 bits, as many of them added up there as cannot overflow;
//! VNNI into 32 bits at once. Both take values with their offset added, which makes them unsigned; what that adds
//! to a sum is known beforehand (`starts`). Values of all eight bits would overflow 16: there AVX2 gives the sign of
//! a weight to the activation.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::activations::{Activations, Address, Lengths};
use super::pack::{LENGTH, Panel, STEP, is_short};
use super::{Part, WIDTH, unit};
use crate::blocks::Format;
use crate::lanes::bytes::{Bytes, Bytes32, Bytes64};
use crate::lanes::{Avx2 as Avx2Lanes, Avx512 as Avx512Lanes, Lanes};

#[target_feature(enable = "avx2,fma,f16c")]
pub unsafe fn avx2<F: Format>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: this function has the features, its caller the shapes.
    unsafe { over_panels::<F, Avx2>(x, w, part) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")]
pub unsafe fn vnni<F: Format>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    // SAFETY: as above.
    unsafe {
        match F::STRAIGHT.and_then(|straight| straight.body(part.rows.len(), x.inner())) {
            Some(body) => body(x, w, part),
            None => over_panels::<F, Vnni>(x, w, part),
        }
    }
}

/// An instruction set that multiplies panels.
pub(super) trait Panels {
    type Bytes: Bytes;
    type Lanes: Lanes;

    /// Adds the products of some rows of x, behind what is skipped of them, and a panel to their sums.
    ///
    /// # Safety
    /// The machine has the instruction set; the rows of x have `n_blocks` blocks there, as the panel has; so many sums are
    /// filled.
    unsafe fn add_panel<F: Format>(
        x: &Activations<'_>,
        rows: (&Range<usize>, Lengths),
        panel: &Panel,
        n_blocks: usize,
        sums: &mut SumRows,
    );
}

/// An instruction set that multiplies panels with a few rows at a time.
pub(super) trait Tiles {
    type Bytes: Bytes;
    type Lanes: Lanes;

    /// Adds the products of as many rows of x as it takes at once, at most those at `x`, to their sums; returns how
    /// many that were.
    ///
    /// # Safety
    /// The machine has the instruction set; the rows of x have `n_blocks` blocks, as the panel has; at `to` stand 32 sums
    /// for each of them.
    unsafe fn multiply<F: Format>(x: &[Address], panel: &Panel, n_blocks: usize, to: *mut f32) -> usize;
}

/// Rows of x in one tile at most.
const MOST_ROWS: usize = 6;
/// Rows of x whose sums are kept side by side while a panel follows another: 64 kB of them. In y they would lie as far
/// apart as its rows are long, and push each other out of the caches where that is a power of two.
const ROWS_AT_ONCE: usize = 512;

/// The sums of 32 columns, row by row.
pub(super) type SumRows = [MaybeUninit<[f32; WIDTH]>; ROWS_AT_ONCE];

/// Takes panels apart and lets an instruction set go over them.
///
/// # Safety
/// As [`super::Body`]; the machine has the instruction set.
#[inline(always)]
pub(super) unsafe fn over_panels<F: Format, P: Panels>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    let row_bytes = x.inner() / F::N_WEIGHTS * F::N_BYTES;
    let (mut panel, mut sums) = (Panel::new(), [const { MaybeUninit::uninit() }; ROWS_AT_ONCE]);
    for first in part.columns.clone().step_by(WIDTH) {
        let columns = first..part.columns.end.min(first + WIDTH);
        for start in part.rows.clone().step_by(ROWS_AT_ONCE) {
            let rows = start..part.rows.end.min(start + ROWS_AT_ONCE);
            sums[..rows.len()].fill(MaybeUninit::new([0.0; WIDTH]));
            // Rows of weights that there are not are the last one.
            let weights: [&[u8]; WIDTH] = std::array::from_fn(|row| {
                let row = (first + row).min(columns.end - 1);
                &w[row * row_bytes..(row + 1) * row_bytes]
            });
            for start in (0..x.inner()).step_by(LENGTH) {
                let n_blocks = LENGTH.min(x.inner() - start) / F::N_WEIGHTS;
                let first = start / F::N_WEIGHTS * F::N_BYTES;
                let weights = weights.map(|row| row[first..][..n_blocks * F::N_BYTES].as_ptr());
                // SAFETY: the slices above have so many blocks; the instruction set is the caller's.
                unsafe {
                    panel.fill::<F, P::Bytes, P::Lanes>(&weights, n_blocks, WIDTH * row_bytes);
                    P::add_panel::<F>(x, (&rows, x.skipped(start)), &panel, n_blocks, &mut sums);
                }
            }
            for (row, sums) in rows.zip(&sums) {
                // SAFETY: these columns of this row are of this part; the sums of so many rows were filled.
                unsafe {
                    let sums = sums.assume_init_ref();
                    part.row(row, columns.clone()).copy_from_slice(&sums[..columns.len()]);
                }
            }
        }
    }
}

impl<T: Tiles> Panels for T {
    type Bytes = T::Bytes;
    type Lanes = T::Lanes;

    #[inline(always)]
    unsafe fn add_panel<F: Format>(
        x: &Activations<'_>,
        (rows, skipped): (&Range<usize>, Lengths),
        panel: &Panel,
        n_blocks: usize,
        sums: &mut SumRows,
    ) {
        let mut done = 0;
        while done < rows.len() {
            // The last eight are four and four: two alone take nearly as long as four.
            let n_rows = match rows.len() - done {
                8 => 4,
                n_left => MOST_ROWS.min(n_left),
            };
            let at: [Address; MOST_ROWS] =
                std::array::from_fn(|i| x.address(rows.start + done + i.min(n_rows - 1), skipped));
            let to = sums[done..done + n_rows].as_mut_ptr().cast();
            // SAFETY: the caller's promises; there are so many rows of sums.
            done += unsafe { T::multiply::<F>(&at[..n_rows], panel, n_blocks, to) };
        }
    }
}

/// Four activations in every lane.
#[inline(always)]
unsafe fn four(codes: *const i8) -> i32 {
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

/// How many links so many blocks are.
pub(super) const fn n_links<F: Format>(n_blocks: usize) -> usize {
    n_blocks * (F::N_WEIGHTS / F::LINK)
}

/// Under which scale of activations a link lies.
pub(super) const fn unit_of<F: Format>(link: usize) -> usize {
    link * F::LINK / unit::<F>()
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

/// Whether values of a type are taken with their sign.
const fn is_signed<F: Format>() -> bool {
    F::OFFSET == 128
}

/// How many sums of two products fit 16 bits when they are added up, as a power of two and within a group.
const fn n_added<F: Format>() -> usize {
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
