//! The prompt product: cuts two operands into blocks that fit the caches, packs one of them, and multiplies
//! tile by tile.
//!
//! Holds no arithmetic but the order of k: blocks of k follow one another, each going on where the last one
//! stopped. Which task, thread or tile computes an output changes no bit of it.
//!
//! b is packed, because a tile reads vectors of it; a is read where it lies, one element at a time. On one
//! core that made `[2048, 288] · [288, 288]ᵀ` 1.15 times as fast as packing both.

use std::ops::Range;

use super::operand::{Operand, Part, blocks, part};
use super::panels::{Factors, Panels};
use super::tile::{Start, Tile};
use super::training::Into;
use crate::disjoint::Disjoint;
use crate::fetch;
use crate::pool;

/// The longest block of k. Longer blocks read and write the outputs less often; at 512 the rows of a that a
/// tile needs (28 kB at most) stay in a first-level cache of 48 kB while the panels of b (64 kB at most)
/// stream from the second, fetched ahead.
const K_BLOCK: usize = 512;
/// Columns packed at once: with `K_BLOCK` 4 MB, whatever the operand's size. A multiple of every tile's
/// columns (16, 32).
const N_BLOCK: usize = 2048;
/// Rows and columns of one task at most: its part of b fits a second-level cache of 2 MB beside what streams
/// through it.
const M_TASK: usize = 168;
const N_TASK: usize = 512;
/// Tasks wanted, so that threads end together.
const TASKS_WANTED: usize = 16;
/// Multiply-adds below which a product is not worth sharing: about 10 µs of one core.
const SMALL: usize = 512 * 1024;
/// With at most so many rows, and at least so many columns, each task packs its own part of b, a stretch of
/// columns at a time: packed together, b would go to memory and come back before it is used.
const FEW_ROWS: usize = 512;
const MANY_COLUMNS: usize = 2048;
const STRETCH: usize = 128;

/// The sizes of one product: c [m, n] = a [m, k] · b [n, k]ᵀ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

/// `c = a · bᵀ` or `c += a · bᵀ`.
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
    if size.m == 0 || size.n == 0 || size.k == 0 {
        return;
    }
    let fits = a.reaches(size.m, size.k) && b.reaches(size.n, size.k) && size.m * size.n == c.len();
    assert!(fits, "operands and output have the sizes of the product");
    let product = Product { tile, a, b, into, size, output: Disjoint::new(c) };
    if size.m <= FEW_ROWS && size.n >= MANY_COLUMNS {
        let n_stretches = size.n.div_ceil(STRETCH);
        pool::run_ranges(n_stretches, n_stretches.div_ceil(2 * TASKS_WANTED), &|range| {
            let columns = range.start * STRETCH..size.n.min(range.end * STRETCH);
            product.multiply(columns, STRETCH, 1);
        });
    } else {
        let is_small = size.m * size.n * size.k < SMALL;
        product.multiply(0..size.n, N_BLOCK, if is_small { 1 } else { TASKS_WANTED });
    }
}

/// What the blocks of a product share.
struct Product<'a> {
    tile: Tile,
    a: Operand<'a>,
    b: Operand<'a>,
    into: Into,
    size: Size,
    output: Disjoint<'a, f32>,
}

/// One block of a product: all rows, some columns, some of k.
struct Block<'a> {
    product: &'a Product<'a>,
    columns: Range<usize>,
    inner: Range<usize>,
    /// Columns and k of the block after this one, where it is the same task's: fetched early, it makes
    /// `[256, 288] · [32000, 288]ᵀ` 1.05 times as fast.
    next: Option<(Range<usize>, Range<usize>)>,
    n_tasks: usize,
}

/// What one task computes: rows of the output, and panels of b as numbered in the block.
struct Task {
    rows: Range<usize>,
    panels: Range<usize>,
}

impl Product<'_> {
    /// Some columns of the product, `n_block` of them packed at a time, each block in about `n_tasks` tasks.
    fn multiply(&self, columns: Range<usize>, n_block: usize, n_tasks: usize) {
        let k_block = evenly(self.size.k, K_BLOCK);
        let across = |columns: &Range<usize>| columns.start + n_block..columns.end;
        let mut order = std::iter::successors(Some(columns), |left| Some(across(left)))
            .take_while(|left| !left.is_empty())
            .map(|left| left.start..left.end.min(left.start + n_block))
            .flat_map(|columns| blocks(self.size.k, k_block).map(move |inner| (columns.clone(), inner)))
            .peekable();
        let mut panels = Panels::take();
        while let Some((columns, inner)) = order.next() {
            let next = if n_tasks == 1 { order.peek().cloned() } else { None };
            let block = Block { product: self, columns, inner, next, n_tasks };
            panels.pack(self.b, block.columns.clone(), block.inner.clone(), self.tile.columns);
            block.multiply(&panels);
        }
        panels.keep();
    }
}

impl Block<'_> {
    fn multiply(&self, panels: &Panels) {
        let Tile { rows: tile_rows, columns: tile_columns, .. } = self.product.tile;
        let n_rows = self.product.size.m;
        let n_panels = self.columns.len().div_ceil(tile_columns);
        let (mut panels_per_task, mut m_task) = (n_panels, n_rows);
        if self.n_tasks > 1 {
            // What a task packs of a it packs once.
            let most = if self.product.a.wants_packing() { n_panels } else { N_TASK / tile_columns };
            panels_per_task = evenly(n_panels, most);
            let n_down = self.n_tasks.div_ceil(n_panels.div_ceil(panels_per_task));
            m_task = evenly(n_rows, M_TASK).min(n_rows.div_ceil(n_down)).next_multiple_of(tile_rows);
        }
        let across = n_panels.div_ceil(panels_per_task);
        let n_tasks = n_rows.div_ceil(m_task) * across;
        pool::run(n_tasks, &|index| {
            let rows = part(&(0..n_rows), index / across, m_task);
            let b = part(&(0..n_panels), index % across, panels_per_task);
            self.run(Task { rows, panels: b }, panels);
        });
    }

    /// The rows of a stay in the first cache while the panels of b stream from the second.
    fn run(&self, task: Task, panels: &Panels) {
        let Product { tile, a, .. } = *self.product;
        Factors::with(a, (&task.rows, &self.inner), tile.rows, &|factors: Factors| {
            for index in 0..task.rows.len().div_ceil(tile.rows) {
                let rows = part(&task.rows, index, tile.rows);
                let factors = factors.panel(index);
                for panel in task.panels.clone() {
                    self.fetch_ahead(&task, (index, panel));
                    let columns = part(&self.columns, panel, tile.columns);
                    self.multiply_tile((rows.clone(), columns), factors, panels.at(panel));
                }
            }
        });
    }

    /// Asks for what comes after a tile while it is computed, because that comes from far away: the outputs of
    /// the next tile, which begins by reading them if it goes on with their sums, and a share of the next
    /// block of b.
    fn fetch_ahead(&self, task: &Task, (index, panel): (usize, usize)) {
        let Product { tile, b, .. } = *self.product;
        let rows = part(&task.rows, index, tile.rows);
        let next_rows = rows.end..task.rows.end.min(rows.end + tile.rows);
        if panel + 1 < task.panels.end {
            self.fetch_tile(&rows, panel + 1);
        } else {
            self.fetch_tile(&next_rows, task.panels.start);
        }
        if let Some((columns, inner)) = &self.next {
            let down = Part { index, of: task.rows.len().div_ceil(tile.rows) };
            let across = Part { index: panel - task.panels.start, of: task.panels.len() };
            b.fetch(columns.clone(), inner.clone(), down.and(across));
        }
    }

    fn fetch_tile(&self, rows: &Range<usize>, panel: usize) {
        let columns = part(&self.columns, panel, self.product.tile.columns);
        for row in rows.clone() {
            let start = self.product.output.address().wrapping_add(row * self.product.size.n);
            columns.clone().step_by(16).for_each(|column| fetch::first_cache(start.wrapping_add(column)));
        }
    }

    /// A tile of full height, or the rows that are left over, in lower ones.
    fn multiply_tile(&self, (rows, columns): (Range<usize>, Range<usize>), a: Factors, b: *const f32) {
        let tile = self.product.tile;
        let mut row = rows.start;
        while row < rows.end {
            let (height, _) = tile.highest(rows.end - row);
            let a = a.skip_rows(row - rows.start);
            if columns.len() == tile.columns {
                let first = self.product.output.at(row * self.product.size.n + columns.start);
                self.call_body(height, a, b, (first, self.product.size.n));
            } else {
                self.multiply_edge((row..row + height, columns.clone()), a, b);
            }
            row += height;
        }
    }

    /// A tile that reaches beyond the last column: computed in a buffer.
    fn multiply_edge(&self, (rows, columns): (Range<usize>, Range<usize>), a: Factors, b: *const f32) {
        let width = self.product.tile.columns;
        let mut edge = [0.0f32; MAX_TILE];
        assert!(rows.len() * width <= MAX_TILE, "a tile fits the buffer of an edge");
        let outputs = |row| {
            let start = row * self.product.size.n;
            // SAFETY: this part belongs to this tile alone.
            unsafe { self.product.output.part(start + columns.start..start + columns.end) }
        };
        for (row, edge) in rows.clone().zip(edge.chunks_exact_mut(width)) {
            edge[..columns.len()].copy_from_slice(outputs(row));
        }
        self.call_body(rows.len(), a, b, (edge.as_mut_ptr(), width));
        for (row, edge) in rows.zip(edge.chunks_exact(width)) {
            outputs(row).copy_from_slice(&edge[..columns.len()]);
        }
    }

    fn call_body(&self, height: usize, a: Factors, b: *const f32, (first, stride): (*mut f32, usize)) {
        let (_, body) = self.product.tile.highest(height);
        let is_first = self.inner.start == 0 && self.product.into == Into::Replace;
        let start = if is_first { Start::Zero } else { Start::Tile };
        // SAFETY: `multiply` has checked that a reaches these rows and this k; the panel of b has this k; the
        // tile lies inside the output, where no other task writes, or in a buffer of its size.
        unsafe { body(self.inner.len(), a.start, (a.row_stride, a.k_stride), b, first, stride, start) }
    }
}

/// The largest tile: 14 x 32.
const MAX_TILE: usize = 448;

/// The size of the equal parts, of at most `most` each, into which `length` is cut.
fn evenly(length: usize, most: usize) -> usize {
    length.div_ceil(length.div_ceil(most))
}
