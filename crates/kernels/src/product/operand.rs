//! An operand of a product, either way round, and its packing into panels.
//!
//! Holds no arithmetic: 16-bit elements are widened exactly, nothing is added.

use std::ops::Range;

use super::weights::Weights;
use crate::fetch;
#[cfg(target_arch = "aarch64")]
use crate::lanes::neon::turn_4x4 as transpose_4x4;

/// Elements of a row that are packed at a time: what is written meanwhile, 16 kB, stays in the first cache.
const PACK_BLOCK: usize = 128;

/// Steps of k that are fetched ahead of those being copied.
const AHEAD: usize = 16;

/// Bytes of a line of a cache.
const LINE_BYTES: usize = 64;

/// One of several equal parts.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub index: usize,
    pub of: usize,
}

impl Part {
    /// A part of this part.
    pub fn and(self, inner: Part) -> Part {
        Part { index: self.index * inner.of + inner.index, of: self.of * inner.of }
    }
}

/// Places that do not lie evenly: the pixels of the rows of images. Index i stands as many strides of its operand on as it
/// is into its row, as many of `strides` as its row is into its image, and as its image is into all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fold {
    /// The index of the operand's first element.
    pub first: usize,
    /// Elements of a row, rows of an image.
    pub counts: [usize; 2],
    /// From row to row, from image to image.
    pub strides: [usize; 2],
}

impl Fold {
    fn place(&self, index: usize, stride: usize) -> usize {
        let [elements, rows] = self.counts;
        let index = self.first + index;
        let (row, element) = (index / elements, index % elements);
        row / rows * self.strides[1] + row % rows * self.strides[0] + element * stride
    }

    /// The places of `indices`, one row after the other.
    fn places(&self, indices: Range<usize>, stride: usize, places: &mut [usize]) {
        let (mut indices, mut places) = (indices, places);
        while !indices.is_empty() {
            let (n, first) = (self.run(indices.start).min(indices.len()), self.place(indices.start, stride));
            let (run, left) = places.split_at_mut(n);
            run.iter_mut().enumerate().for_each(|(index, place)| *place = first + index * stride);
            (indices, places) = (indices.start + n..indices.end, left);
        }
    }

    /// The elements from `index` on that lie evenly.
    fn run(&self, index: usize) -> usize {
        self.counts[0] - (self.first + index) % self.counts[0]
    }

    /// Whether later elements stand behind earlier ones.
    fn is_ascending(&self, stride: usize) -> bool {
        let [elements, rows] = self.counts;
        let row = elements.checked_sub(1).and_then(|last| last.checked_mul(stride));
        let image = rows.checked_sub(1).and_then(|last| last.checked_mul(self.strides[0])).zip(row);
        row.is_some_and(|row| row <= self.strides[0])
            && image.and_then(|(rows, row)| rows.checked_add(row)).is_some_and(|all| all <= self.strides[1])
    }
}

/// Which index of an operand is folded; the elements of the other one stand side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    Outer,
    Inner,
}

/// One operand: element (outer, inner) stands at `outer · outer_stride + inner · inner_stride`, but for an index that is
/// folded; inner is summed over.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    pub values: Weights<'a>,
    pub outer_stride: usize,
    pub inner_stride: usize,
    pub fold: Option<(Axis, Fold)>,
}

impl<'a> Operand<'a> {
    /// An operand whose inner elements stand side by side, `length` of them in a row.
    pub fn by_rows(values: Weights<'a>, length: usize) -> Self {
        Self { values, outer_stride: length, inner_stride: 1, fold: None }
    }

    /// An operand whose outer elements stand side by side, `length` of them in a row.
    pub fn by_columns(values: Weights<'a>, length: usize) -> Self {
        Self { values, outer_stride: 1, inner_stride: length, fold: None }
    }

    /// The same with one index folded.
    pub fn folded(self, axis: Axis, fold: Fold) -> Self {
        Self { fold: Some((axis, fold)), ..self }
    }

    /// Where an element stands.
    #[inline(always)]
    pub fn place(&self, outer: usize, inner: usize) -> usize {
        match self.fold {
            None => outer * self.outer_stride + inner * self.inner_stride,
            Some((Axis::Outer, fold)) => fold.place(outer, self.outer_stride) + inner * self.inner_stride,
            Some((Axis::Inner, fold)) => outer * self.outer_stride + fold.place(inner, self.inner_stride),
        }
    }

    /// Where each of some elements along one axis stands, at one index of the other.
    pub fn places(&self, axis: Axis, along: Range<usize>, across: usize, places: &mut [usize]) {
        let strides = (self.outer_stride, self.inner_stride);
        let (stride, other) = if axis == Axis::Outer { strides } else { (strides.1, strides.0) };
        let places = &mut places[..along.len()];
        match self.fold {
            Some((folded, fold)) if folded == axis => {
                fold.places(along, stride, places);
                places.iter_mut().for_each(|place| *place += across * other);
            }
            _ => {
                let first = if axis == Axis::Outer { self.place(0, across) } else { self.place(across, 0) };
                places.iter_mut().zip(along).for_each(|(place, at)| *place = first + at * stride);
            }
        }
    }

    /// Whether it is the outer elements that stand side by side.
    pub fn is_by_columns(&self) -> bool {
        match self.fold {
            None => self.outer_stride == 1,
            Some((axis, _)) => axis == Axis::Inner,
        }
    }

    /// Whether there are elements for all of `n_outer` x `n_inner`, both at least 1.
    pub fn reaches(&self, n_outer: usize, n_inner: usize) -> bool {
        if let Some((axis, fold)) = self.fold {
            let (along, across) = match axis {
                Axis::Outer => (self.outer_stride, self.inner_stride),
                Axis::Inner => (self.inner_stride, self.outer_stride),
            };
            return across == 1
                && fold.is_ascending(along)
                && self.place(n_outer - 1, n_inner - 1) < self.values.len();
        }
        let last = |n: usize, stride| (n - 1).checked_mul(stride);
        let place = last(n_outer, self.outer_stride).zip(last(n_inner, self.inner_stride));
        place.and_then(|(outer, inner)| outer.checked_add(inner)).is_some_and(|last| last < self.values.len())
    }

    /// Whether it is better not read where it lies: because it does not lie evenly, or because the elements that belong to
    /// one outer index and a few hundred steps of k share so few sets of a second-level cache that they drive each other
    /// out. At a stride of 2048, packing is 1.6 times as fast as reading them where they lie.
    pub fn wants_packing(&self) -> bool {
        self.fold.is_some() || self.outer_stride == 1 && self.inner_stride.is_multiple_of(1024)
    }

    /// Asks the cache for a part of `outer` x `inner`.
    pub fn fetch(&self, outer: Range<usize>, inner: Range<usize>, wanted: Part) {
        if self.fold.is_some() {
            return;
        }
        let (runs, stride, along) = match self.outer_stride {
            1 => (inner, self.inner_stride, outer),
            _ => (outer, self.outer_stride, inner),
        };
        if along.is_empty() {
            return;
        }
        let share = runs.len().div_ceil(wanted.of);
        for run in part(&runs, wanted.index, share) {
            let start = run * stride;
            let line = (LINE_BYTES * self.values.len() / self.values.size_bytes().max(1)).max(1);
            along
                .clone()
                .step_by(line)
                .for_each(|place| fetch::first_cache(self.values.address(start + place)));
            fetch::first_cache(self.values.address(start + along.end - 1));
        }
    }

    /// Packs `outer` (at most `width` of them) x `inner` into a panel [inner, width], padded with zeros.
    pub fn pack(&self, outer: Range<usize>, inner: Range<usize>, width: usize, panel: &mut [f32]) {
        if outer.len() < width {
            panel.fill(0.0);
        }
        if self.is_by_columns() {
            self.pack_columns(outer, inner, width, panel);
        } else {
            self.pack_rows(outer, inner, width, panel);
        }
    }

    fn pack_columns(&self, outer: Range<usize>, inner: Range<usize>, width: usize, panel: &mut [f32]) {
        let mut inner = inner;
        let mut panel = panel;
        while !inner.is_empty() {
            let n = self.fold.map_or(inner.len(), |(_, fold)| fold.run(inner.start)).min(inner.len());
            let (run, left) = panel.split_at_mut(n * width);
            self.pack_run(self.place(outer.start, inner.start), outer.len(), width, run);
            (inner, panel) = (inner.start + n..inner.end, left);
        }
    }

    /// As many steps of k as the panel has, which lie evenly from `first` on.
    fn pack_run(&self, first: usize, n_outer: usize, width: usize, panel: &mut [f32]) {
        if let (Weights::F32(values), true) = (self.values, n_outer == width) {
            let from = &values[first..];
            // Copies whose length the compiler knows, for every tile there is.
            match width {
                14 => return copy_columns::<14>(from, self.inner_stride, panel),
                16 => return copy_columns::<16>(from, self.inner_stride, panel),
                32 => return copy_columns::<32>(from, self.inner_stride, panel),
                _ => (),
            }
        }
        for (k, to) in panel.chunks_exact_mut(width).enumerate() {
            let start = first + k * self.inner_stride;
            self.values.widen(start..start + n_outer, &mut to[..n_outer]);
        }
    }

    fn pack_rows(&self, outer: Range<usize>, inner: Range<usize>, width: usize, panel: &mut [f32]) {
        for (block, panel) in blocks(inner.len(), PACK_BLOCK).zip(panel.chunks_mut(PACK_BLOCK * width)) {
            let start = inner.start + block.start;
            for (number, four) in blocks(outer.len(), 4).enumerate() {
                let place = |row| self.place(outer.start + four.start + row, start);
                let mut wide = [[0.0; PACK_BLOCK]; 4];
                let rows: [&[f32]; 4] = match self.values {
                    Weights::F32(values) => std::array::from_fn(|row| {
                        // A row that there is not is never read.
                        let first = if row < four.len() { place(row) } else { place(0) };
                        &values[first..first + block.len()]
                    }),
                    values => {
                        for (row, wide) in wide.iter_mut().take(four.len()).enumerate() {
                            values.widen(place(row)..place(row) + block.len(), &mut wide[..block.len()]);
                        }
                        std::array::from_fn(|row| &wide[row][..block.len()])
                    }
                };
                interleave(rows, &mut panel[4 * number..], width, four.len());
            }
        }
    }
}

/// Copies the first WIDTH elements of each of as many rows as the panel has, `stride` apart.
fn copy_columns<const WIDTH: usize>(from: &[f32], stride: usize, panel: &mut [f32]) {
    for (k, to) in panel.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
        for column in (0..WIDTH).step_by(16) {
            fetch::first_cache(from.as_ptr().wrapping_add((k + AHEAD) * stride + column));
        }
        to.copy_from_slice(&from[k * stride..k * stride + WIDTH]);
    }
}

/// Writes element k of each of the first `n_rows` rows side by side at `k · width`.
fn interleave(rows: [&[f32]; 4], to: &mut [f32], width: usize, n_rows: usize) {
    let n_done = if n_rows == 4 { interleave_fours(rows, to, width) } else { 0 };
    for k in n_done..rows[0].len() {
        for (to, row) in to[k * width..][..n_rows].iter_mut().zip(rows) {
            *to = row[k];
        }
    }
}

/// [`interleave`] for as many k as vectors of four cover; returns how many that were.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn interleave_fours(rows: [&[f32]; 4], to: &mut [f32], width: usize) -> usize {
    let length = rows[0].len();
    let n_done = length - length % 4;
    // The last write is that of the last k.
    assert!(
        rows.iter().all(|row| row.len() == length) && (n_done == 0 || (n_done - 1) * width + 4 <= to.len()),
        "the rows are equally long and the panel has room"
    );
    for k in (0..n_done).step_by(4) {
        // SAFETY: the assertion covers the reads up to k + 3 and the four writes at each of them; SSE is part
        // of every x86-64, NEON of every aarch64.
        unsafe { transpose_4x4(rows.map(|row| row.as_ptr().add(k)), to.as_mut_ptr().add(k * width), width) };
    }
    n_done
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn interleave_fours(_: [&[f32]; 4], _: &mut [f32], _: usize) -> usize {
    0
}

/// Four elements of four rows as four columns `width` apart.
///
/// # Safety
/// Four elements may be read at each row, and written at each of the four places.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_4x4(rows: [*const f32; 4], to: *mut f32, width: usize) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's promise; unaligned loads and stores.
    unsafe {
        let [a, b, c, d] = rows.map(|row| _mm_loadu_ps(row));
        let (ab_low, ab_high) = (_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
        _mm_storeu_ps(to, _mm_movelh_ps(ab_low, cd_low));
        _mm_storeu_ps(to.add(width), _mm_movehl_ps(cd_low, ab_low));
        _mm_storeu_ps(to.add(2 * width), _mm_movelh_ps(ab_high, cd_high));
        _mm_storeu_ps(to.add(3 * width), _mm_movehl_ps(cd_high, ab_high));
    }
}

/// `0..length` in blocks of `block`; the last may be shorter.
pub(super) fn blocks(length: usize, block: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(block).map(move |start| start..length.min(start + block))
}

/// Part `index` of `whole`, cut every `width`; empty behind the end.
pub(super) fn part(whole: &Range<usize>, index: usize, width: usize) -> Range<usize> {
    let start = whole.end.min(whole.start + index * width);
    start..whole.end.min(start + width)
}
