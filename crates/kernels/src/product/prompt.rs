//! The prompt product: cuts two operands into panels that fit the caches, packs them, and multiplies tile by
//! tile.
//!
//! Holds no arithmetic but the order of k: blocks of k follow one another, each going on where the last one
//! stopped. Which task, thread or tile computes an output changes no bit of it.

use std::cell::Cell;
use std::ops::Range;

use super::tile::{Start, Tile, fetch};
use super::training::Into;
use super::weights::Weights;
use crate::disjoint::Disjoint;
use crate::pool;

/// The block of k. Longer blocks read and write the outputs less often; at 512 a panel of a (28 kB at most)
/// stays in a first-level cache of 48 kB while those of b (64 kB at most) stream from the second, fetched
/// ahead. Of 224, 256, 384 and 512, the last was the fastest at 2048³ on AVX2 and as fast as 384 on AVX-512.
const K_BLOCK: usize = 512;
/// Elements of a row that are packed at a time: what is written meanwhile, 16 kB, stays in the first cache.
const PACK_BLOCK: usize = 128;
/// Rows and columns packed at once: with `K_BLOCK` 4 MB each, whatever the operands' size. A multiple of
/// every tile's rows (4, 6, 14) and columns (16, 32).
const M_BLOCK: usize = 2016;
const N_BLOCK: usize = 2048;
/// Rows and columns of one task: its panels and its outputs fit a second-level cache of 2 MB.
const M_TASK: usize = 168;
const N_TASK: usize = 256;
/// Tasks wanted, so that threads end together.
const TASKS_WANTED: usize = 16;
/// Multiply-adds below which a product is not worth sharing: about 10 µs of one core.
const SMALL: usize = 512 * 1024;

/// One operand: element (outer, inner) stands at `outer · outer_stride + inner · inner_stride`; inner is
/// summed over.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    pub values: Weights<'a>,
    pub outer_stride: usize,
    pub inner_stride: usize,
}

impl<'a> Operand<'a> {
    /// An operand whose inner elements stand side by side, `length` of them in a row.
    pub fn by_rows(values: Weights<'a>, length: usize) -> Self {
        Self { values, outer_stride: length, inner_stride: 1 }
    }

    /// An operand whose outer elements stand side by side, `length` of them in a row.
    pub fn by_columns(values: Weights<'a>, length: usize) -> Self {
        Self { values, outer_stride: 1, inner_stride: length }
    }

    /// Whether it has at least so many outer and inner elements.
    pub fn holds(&self, outer: usize, inner: usize) -> bool {
        if outer == 0 || inner == 0 {
            return true;
        }
        let last = |length: usize, stride: usize| (length - 1).checked_mul(stride);
        let (outer, inner) = (last(outer, self.outer_stride), last(inner, self.inner_stride));
        let last = outer.zip(inner).and_then(|(outer, inner)| outer.checked_add(inner));
        last.is_some_and(|last| last < self.values.len())
    }

    /// Packs `outer` (at most `width` of them) x `inner` into a panel [inner, width], padded with zeros.
    fn pack(&self, outer: Range<usize>, inner: Range<usize>, width: usize, panel: &mut [f32]) {
        if outer.len() < width {
            panel.fill(0.0);
        }
        if self.outer_stride == 1 {
            for (k, to) in inner.zip(panel.chunks_exact_mut(width)) {
                let start = k * self.inner_stride + outer.start;
                self.values.widen(start..start + outer.len(), &mut to[..outer.len()]);
            }
            return;
        }
        for (block, panel) in blocks(inner.len(), PACK_BLOCK).zip(panel.chunks_mut(PACK_BLOCK * width)) {
            let start = inner.start + block.start;
            for (number, four) in blocks(outer.len(), 4).enumerate() {
                let mut rows = [[0.0; PACK_BLOCK]; 4];
                for (row, index) in rows.iter_mut().zip(outer.start + four.start..outer.start + four.end) {
                    let first = index * self.outer_stride + start;
                    self.values.widen(first..first + block.len(), &mut row[..block.len()]);
                }
                interleave(&rows, &mut panel[4 * number..], width, block.len(), four.len());
            }
        }
    }
}

/// Writes element k of each of the first `n_rows` rows side by side at `k · width`, for k below `length`.
fn interleave(rows: &[[f32; PACK_BLOCK]; 4], to: &mut [f32], width: usize, length: usize, n_rows: usize) {
    let n_done = if n_rows == 4 { interleave_fours(rows, to, width, length) } else { 0 };
    for k in n_done..length {
        for (to, row) in to[k * width..][..n_rows].iter_mut().zip(rows) {
            *to = row[k];
        }
    }
}

/// [`interleave`] for as many k as vectors of four cover; returns how many that were.
#[cfg(target_arch = "x86_64")]
fn interleave_fours(rows: &[[f32; PACK_BLOCK]; 4], to: &mut [f32], width: usize, length: usize) -> usize {
    let n_done = length - length % 4;
    // The last write is that of the last k.
    assert!(
        length <= PACK_BLOCK && (n_done == 0 || (n_done - 1) * width + 4 <= to.len()),
        "the panel has room"
    );
    for k in (0..n_done).step_by(4) {
        // SAFETY: the assertion covers the reads up to k + 3 and the four writes at each of them; SSE is part
        // of every x86-64.
        unsafe { transpose_4x4(rows, k, to.as_mut_ptr().add(k * width), width) };
    }
    n_done
}

#[cfg(not(target_arch = "x86_64"))]
fn interleave_fours(_: &[[f32; PACK_BLOCK]; 4], _: &mut [f32], _: usize, _: usize) -> usize {
    0
}

/// Four elements of four rows, from `k` on, as four columns `width` apart.
///
/// # Safety
/// `k + 4` is at most the length of a row, and four elements may be written at each of the four places.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_4x4(rows: &[[f32; PACK_BLOCK]; 4], k: usize, to: *mut f32, width: usize) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's promise; unaligned loads and stores.
    unsafe {
        let [a, b, c, d] = std::array::from_fn(|row| _mm_loadu_ps(rows[row].as_ptr().add(k)));
        let (ab_low, ab_high) = (_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
        _mm_storeu_ps(to, _mm_movelh_ps(ab_low, cd_low));
        _mm_storeu_ps(to.add(width), _mm_movehl_ps(cd_low, ab_low));
        _mm_storeu_ps(to.add(2 * width), _mm_movelh_ps(ab_high, cd_high));
        _mm_storeu_ps(to.add(3 * width), _mm_movehl_ps(cd_high, ab_high));
    }
}

/// The sizes of one product: c [m, n] = a [m, k] · b [n, k]ᵀ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

/// `c = a · bᵀ` or `c += a · bᵀ`; the wrappers have checked that the operands have `size`.
pub(super) fn multiply(
    tile: Tile,
    (a, b): (Operand<'_>, Operand<'_>),
    into: Into,
    c: &mut [f32],
    size: Size,
) {
    if size.k == 0 && into == Into::Replace {
        return c.fill(0.0);
    }
    let mut buffers = PANELS.take();
    let output = Disjoint::new(c);
    for columns in blocks(size.n, N_BLOCK) {
        for rows in blocks(size.m, M_BLOCK) {
            for inner in blocks(size.k, K_BLOCK) {
                let is_first = inner.start == 0 && into == Into::Replace;
                let start = if is_first { Start::Zero } else { Start::Tile };
                let block = Block { tile, rows: rows.clone(), columns: columns.clone(), inner, start };
                block.pack(a, b, &mut buffers);
                block.multiply(&buffers, output, size.n);
            }
        }
    }
    PANELS.set(buffers);
}

fn blocks(length: usize, block: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(block).map(move |start| start..length.min(start + block))
}

/// Sixteen floats on a cache line, so that panels are aligned.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// The packed panels of one block; kept by the thread that calls, 4 MB each at most.
#[derive(Default)]
struct Panels {
    a: Vec<Line>,
    b: Vec<Line>,
}

thread_local! {
    /// Taken out while in use, so that a product inside a task of another product gets its own.
    static PANELS: Cell<Panels> = const { Cell::new(Panels { a: Vec::new(), b: Vec::new() }) };
}

/// At least `length` floats, with the contents that they had.
fn room(lines: &mut Vec<Line>, length: usize) -> &mut [f32] {
    let n_lines = length.div_ceil(16);
    if lines.len() < n_lines {
        lines.resize(n_lines, Line([0.0; 16]));
    }
    // SAFETY: a line is sixteen floats without padding.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), n_lines * 16) }
}

/// One block of a product: some rows, some columns, some of k.
struct Block {
    tile: Tile,
    rows: Range<usize>,
    columns: Range<usize>,
    inner: Range<usize>,
    start: Start,
}

impl Block {
    fn pack(&self, a: Operand<'_>, b: Operand<'_>, panels: &mut Panels) {
        let k = self.inner.len();
        let n_a = self.rows.len().div_ceil(self.tile.rows);
        let n_b = self.columns.len().div_ceil(self.tile.columns);
        let (a_size, b_size) = (self.tile.rows * k, self.tile.columns * k);
        let a_panels = Disjoint::new(room(&mut panels.a, n_a * a_size));
        let b_panels = Disjoint::new(room(&mut panels.b, n_b * b_size));
        let pack_one = |index: usize| {
            if index < n_a {
                let outer = panel(&self.rows, index, self.tile.rows);
                // SAFETY: panels do not overlap.
                let to = unsafe { a_panels.part(index * a_size..(index + 1) * a_size) };
                a.pack(outer, self.inner.clone(), self.tile.rows, to);
            } else {
                let index = index - n_a;
                let outer = panel(&self.columns, index, self.tile.columns);
                // SAFETY: panels do not overlap.
                let to = unsafe { b_panels.part(index * b_size..(index + 1) * b_size) };
                b.pack(outer, self.inner.clone(), self.tile.columns, to);
            }
        };
        let grain = if self.is_small() { n_a + n_b } else { 4 };
        pool::run_ranges(n_a + n_b, grain, &|indices| indices.for_each(pack_one));
    }

    fn is_small(&self) -> bool {
        self.rows.len() * self.columns.len() * self.inner.len() < SMALL
    }

    fn multiply(&self, panels: &Panels, output: Disjoint<'_, f32>, stride: usize) {
        let (mut m_task, mut n_task) = (M_TASK, N_TASK);
        if self.is_small() {
            (m_task, n_task) = (M_BLOCK, N_BLOCK);
        } else {
            let n_tasks =
                |m_task, n_task| self.rows.len().div_ceil(m_task) * self.columns.len().div_ceil(n_task);
            while n_tasks(m_task, n_task) < TASKS_WANTED && n_task > self.tile.columns {
                n_task /= 2;
            }
            while n_tasks(m_task, n_task) < TASKS_WANTED && m_task > 2 * self.tile.rows {
                m_task /= 2;
            }
        }
        let a_per_task = (m_task / self.tile.rows).max(1);
        let b_per_task = (n_task / self.tile.columns).max(1);
        let n_a = self.rows.len().div_ceil(self.tile.rows);
        let n_b = self.columns.len().div_ceil(self.tile.columns);
        let across = n_b.div_ceil(b_per_task);
        pool::run(n_a.div_ceil(a_per_task) * across, &|task| {
            let (down, right) = (task / across, task % across);
            let b_range = right * b_per_task..n_b.min((right + 1) * b_per_task);
            let a_range = down * a_per_task..n_a.min((down + 1) * a_per_task);
            // The panel of a stays in the first cache, those of b stream from the second.
            for a in a_range {
                for b in b_range.clone() {
                    self.fetch_tile((a, b + 1), output, stride);
                    self.multiply_tile(panels, (a, b), output, stride);
                }
            }
        });
    }

    /// Asks for the outputs of a tile while the one before it is computed: they come from far away, and a
    /// tile that continues its sums begins by reading them.
    fn fetch_tile(&self, (a, b): (usize, usize), output: Disjoint<'_, f32>, stride: usize) {
        let first_row = self.rows.start + a * self.tile.rows;
        let last_row = self.rows.end.min(first_row + self.tile.rows);
        let first_column = self.columns.start + b * self.tile.columns;
        for row in first_row..last_row {
            for column in (first_column..first_column + self.tile.columns).step_by(16) {
                fetch(output.address().wrapping_add(row * stride + column));
            }
        }
    }

    fn multiply_tile(
        &self,
        panels: &Panels,
        (a, b): (usize, usize),
        output: Disjoint<'_, f32>,
        stride: usize,
    ) {
        let Tile { rows: tile_rows, columns: tile_columns, body } = self.tile;
        let k = self.inner.len();
        let rows = panel(&self.rows, a, tile_rows);
        let columns = panel(&self.columns, b, tile_columns);
        let a_panel = panels.a.as_ptr().cast::<f32>().wrapping_add(a * tile_rows * k);
        let b_panel = panels.b.as_ptr().cast::<f32>().wrapping_add(b * tile_columns * k);
        if rows.len() == tile_rows && columns.len() == tile_columns {
            let first = output.at(rows.start * stride + columns.start);
            // SAFETY: `pack` made both panels with this k; the tile's rows lie inside the output, and no
            // other task writes them.
            return unsafe { body(k, a_panel, b_panel, first, stride, self.start) };
        }
        let mut edge = [0.0f32; MAX_TILE];
        assert!(tile_rows * tile_columns <= MAX_TILE, "a tile fits the buffer of an edge");
        for (row, edge) in rows.clone().zip(edge.chunks_exact_mut(tile_columns)) {
            // SAFETY: this part belongs to this tile alone.
            let from = unsafe { output.part(row * stride + columns.start..row * stride + columns.end) };
            edge[..columns.len()].copy_from_slice(from);
        }
        // SAFETY: as above, with the buffer as the tile.
        unsafe { body(k, a_panel, b_panel, edge.as_mut_ptr(), tile_columns, self.start) };
        for (row, edge) in rows.zip(edge.chunks_exact(tile_columns)) {
            // SAFETY: this part belongs to this tile alone.
            let to = unsafe { output.part(row * stride + columns.start..row * stride + columns.end) };
            to.copy_from_slice(&edge[..columns.len()]);
        }
    }
}

/// The largest tile: 14 x 32.
const MAX_TILE: usize = 448;

/// The elements of panel `index` of those in `whole`.
fn panel(whole: &Range<usize>, index: usize, width: usize) -> Range<usize> {
    let start = whole.start + index * width;
    start..whole.end.min(start + width)
}
