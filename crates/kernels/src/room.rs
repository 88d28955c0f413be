//! Room in which a task packs what it reads more than once, kept by its thread for the next task.
//!
//! Knows nothing of what is packed.

use std::cell::Cell;

use crate::lanes::LANES;

/// Sixteen floats on a cache line, so that blocks are aligned.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

/// What a thread keeps for its next task: 4 MB, as much as a sequence of 1024 tokens needs with heads of 128.
const LINES_KEPT: usize = 64 * 1024;

thread_local! {
    /// Taken out while in use.
    static ROOM: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Room for packed blocks, each on a cache line; what it holds is left over from earlier tasks. Goes back to
/// the thread when dropped.
pub(crate) struct Room {
    lines: Vec<Line>,
}

impl Room {
    /// Room for blocks of `lengths` floats.
    pub fn new<const N: usize>(lengths: [usize; N]) -> Self {
        let mut lines = ROOM.take();
        let n_lines: usize = lengths.iter().map(|length| length.div_ceil(LANES)).sum();
        if lines.len() < n_lines {
            lines.resize(n_lines, Line([0.0; LANES]));
        }
        Self { lines }
    }

    /// The blocks, of at least these lengths.
    pub fn split<const N: usize>(&mut self, lengths: [usize; N]) -> [&mut [f32]; N] {
        let mut rest = &mut self.lines[..];
        lengths.map(|length| {
            let (part, behind) = std::mem::take(&mut rest).split_at_mut(length.div_ceil(LANES));
            rest = behind;
            // SAFETY: a line is sixteen floats without padding.
            unsafe { std::slice::from_raw_parts_mut(part.as_mut_ptr().cast(), part.len() * LANES) }
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.truncate(LINES_KEPT);
        lines.shrink_to(LINES_KEPT);
        ROOM.set(lines);
    }
}
