//! What a tile reads: packed panels of b, and elements of a where they lie or packed.
//!
//! Holds no arithmetic, and no memory beyond each thread's buffers, which are bounded by the blocks of
//! `prompt`.

use std::cell::Cell;
use std::ops::Range;

use super::operand::{Operand, blocks, part};
use super::weights::Weights;
use crate::disjoint::Disjoint;
use crate::pool;

/// Steps of k packed at once of an operand whose columns run along k.
const PIECE: usize = 16;
/// Elements packed by one task at least, but for the last: a few microseconds.
const PACKED_PER_TASK: usize = 16 * 1024;

/// Sixteen floats on a cache line, so that panels are aligned.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

thread_local! {
    /// The packed panels of b of one block, 4 MB at most; kept by the thread that packs them, and taken out
    /// while in use, so that a product inside a task of another product gets its own.
    static PANELS: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
    /// The packed rows of a of one task, where it needs them: 1 MB at most.
    static FACTORS: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
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

/// The distance between panels of `width` and `length` steps of k: one line more than they take, lest the
/// lines of all panels that belong to one k fall into one set of a cache.
fn panel_stride(width: usize, length: usize) -> usize {
    width * length + 16
}

/// The packed panels of b of one block.
pub(super) struct Panels {
    lines: Vec<Line>,
    stride: usize,
}

impl Panels {
    /// Empty panels in this thread's buffer.
    pub fn take() -> Self {
        Self { lines: PANELS.take(), stride: 0 }
    }

    /// Gives the buffer back to the thread.
    pub fn keep(self) {
        PANELS.set(self.lines);
    }

    /// Where panel `index` starts.
    pub fn at(&self, index: usize) -> *const f32 {
        self.lines.as_ptr().cast::<f32>().wrapping_add(index * self.stride)
    }

    /// Packs b: of an operand whose rows run along k whole panels at a time, of one whose columns do a few
    /// steps of k through all panels, so that memory is read in long runs either way.
    pub fn pack(&mut self, b: Operand<'_>, columns: Range<usize>, inner: Range<usize>, width: usize) {
        let stride = panel_stride(width, inner.len());
        let n_panels = columns.len().div_ceil(width);
        let all = Disjoint::new(room(&mut self.lines, n_panels * stride));
        self.stride = stride;
        let piece = |panel: usize, steps: Range<usize>| {
            let start = panel * stride + (steps.start - inner.start) * width;
            // SAFETY: pieces do not overlap.
            let to = unsafe { all.part(start..start + steps.len() * width) };
            b.pack(part(&columns, panel, width), steps, width, to);
        };
        if b.is_by_columns() {
            let grain = PACKED_PER_TASK.div_ceil(PIECE * columns.len());
            pool::run_ranges(inner.len().div_ceil(PIECE), grain, &|pieces| {
                for steps in pieces.map(|index| part(&inner, index, PIECE)) {
                    (0..n_panels).for_each(|panel| piece(panel, steps.clone()));
                }
            });
        } else {
            let grain = PACKED_PER_TASK.div_ceil(width * inner.len());
            pool::run_ranges(n_panels, grain, &|panels| {
                panels.for_each(|panel| piece(panel, inner.clone()));
            });
        }
    }
}

/// Where the elements of a stand for some rows and some k: that of row r of panel p and step k at
/// `start + p · panel_stride + r · row_stride + k · k_stride`.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub start: *const f32,
    pub row_stride: usize,
    pub k_stride: usize,
    panel_stride: usize,
}

impl Factors {
    /// Calls `work` with these rows and steps of a where they lie, or packed if they need widening or
    /// want it.
    pub fn with(
        a: Operand<'_>,
        (rows, inner): (&Range<usize>, &Range<usize>),
        tile_rows: usize,
        work: &dyn Fn(Factors),
    ) {
        if let Weights::F32(values) = a.values
            && !a.wants_packing()
        {
            let first = rows.start * a.outer_stride + inner.start * a.inner_stride;
            return work(Factors {
                start: values[first..].as_ptr(),
                row_stride: a.outer_stride,
                k_stride: a.inner_stride,
                panel_stride: tile_rows * a.outer_stride,
            });
        }
        let mut lines = FACTORS.take();
        let stride = panel_stride(tile_rows, inner.len());
        let n_panels = rows.len().div_ceil(tile_rows);
        let packed = room(&mut lines, n_panels * stride);
        let n_steps = if a.is_by_columns() { PIECE } else { inner.len() };
        for steps in blocks(inner.len(), n_steps) {
            let from = inner.start + steps.start..inner.start + steps.end;
            for (index, panel) in packed.chunks_exact_mut(stride).take(n_panels).enumerate() {
                let to = &mut panel[steps.start * tile_rows..steps.end * tile_rows];
                a.pack(part(rows, index, tile_rows), from.clone(), tile_rows, to);
            }
        }
        let start = packed.as_ptr();
        work(Factors { start, row_stride: 1, k_stride: tile_rows, panel_stride: stride });
        FACTORS.set(lines);
    }

    /// Those of panel `index`.
    pub fn panel(self, index: usize) -> Self {
        Self { start: self.start.wrapping_add(index * self.panel_stride), ..self }
    }

    /// Those from row `row` on.
    pub fn skip_rows(self, row: usize) -> Self {
        Self { start: self.start.wrapping_add(row * self.row_stride), ..self }
    }
}
