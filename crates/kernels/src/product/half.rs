//! Training products whose operands are rounded to 16 bits: which body a machine has, and the cutting of a
//! product into groups that the body packs and multiplies.
//!
//! Not for serving, whose roles promise other arithmetic, and not the arithmetic itself, which stands in
//! `fp16` and `amx`. Where there is neither, there is nothing here and the f32 product runs.
//!
//! **The contract** of every body, for `c[i, j] = Σ a[i, k] · b[j, k]` over K elements in blocks of at most
//! [`K_BLOCK`], each with a rounding error e:
//!
//! `|e| ≤ (2⁻⁷ + 2⁻⁸) · Σ|a·b| + 2⁻²⁴ · K · max|a[i, ·]| · max|b[j, ·]|` + the f32 sum's own K · 2⁻²⁴ · Σ|a·b|
//!
//! and small integers are summed exactly. 2⁻⁷ is what rounding both operands to the eight bits of bf16 costs,
//! 2⁻⁸ is left for the sums, the last term for what is small beside the largest element of its row. What is
//! not finite stays so, as an infinity or NaN. An output depends on its row of a, its row of b and K alone,
//! never on its neighbours or on who computes it.

#[cfg(target_arch = "x86_64")]
mod fp16;
#[cfg(target_arch = "x86_64")]
mod pack;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ops::Range;

use super::operand::Operand;
use super::prompt::Size;
use super::training::Into;
use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// The longest block of k. A group of a, 32 kB, stays in a first-level cache of 48 kB.
const K_BLOCK: usize = 512;
/// Columns of c whose groups of b are packed at once: 3 MB with a block of k.
const N_BLOCK: usize = 3072;
/// Columns of one task: their groups of b, 0.8 MB, stay in a second-level cache of 2 MB.
const N_TASK: usize = 768;
/// Tasks wanted, so that threads end together.
const TASKS_WANTED: usize = 32;
/// The most groups of rows that one task takes.
const MOST_GROUPS: usize = 8;
/// Multiply-adds below which a product is not worth sharing: about 10 µs of one core.
const SMALL: usize = 1024 * 1024;

/// A cache line of packed numbers, of whatever type the body packs.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line([u32; 16]);

/// Packs a group: the operand, which of its outer and inner elements, and where they go.
///
/// # Safety
/// The machine has the body's instructions; the ranges lie inside the operand; the outer one is at most the
/// side's width, and there are [`Side::n_lines`] lines for the inner one.
type Pack = unsafe fn(&Operand<'_>, Range<usize>, Range<usize>, &mut [Line]);

/// Multiplies a group of a by one of b over so many k.
///
/// # Safety
/// The machine has the body's instructions, both groups were packed over that many k, and the target may be
/// written.
type Multiply = unsafe fn(usize, &[Line], &[Line], &Target);

/// How one operand is packed.
#[derive(Clone, Copy)]
struct Side {
    /// Outer elements of a group.
    width: usize,
    /// Lines before the elements.
    n_head: usize,
    /// Lines of one k.
    n_per_k: usize,
    pack: Pack,
}

impl Side {
    /// Lines of a group over `k` elements, which its body rounds up to `step`.
    fn n_lines(&self, k: usize, step: usize) -> usize {
        self.n_head + self.n_per_k * k.next_multiple_of(step)
    }
}

/// A body.
#[derive(Clone, Copy)]
pub(super) struct Half {
    a: Side,
    b: Side,
    /// k is padded to a multiple of this, with zeros.
    step: usize,
    multiply: Multiply,
}

/// Where a group's outputs go.
struct Target {
    first: *mut f32,
    /// From one row to the next.
    stride: usize,
    n_rows: usize,
    n_columns: usize,
    into: Into,
}

/// The bodies; none where the f32 product is the fastest.
pub(super) static HALF: Kernel<Option<Half>> = Kernel::new(
    "product (training, 16 bits)",
    &[
        (Isa::Scalar, None),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512Fp16, Some(fp16::HALF)),
    ],
);

/// `c = a · bᵀ` or `c += a · bᵀ`.
///
/// # Panics
/// When the operands or c are shorter than `size` says.
pub(super) fn multiply(
    half: Half,
    (a, b): (Operand<'_>, Operand<'_>),
    into: Into,
    c: &mut [f32],
    size: Size,
) {
    assert!(size.m.checked_mul(size.n).is_some_and(|n| n <= c.len()), "the output has the product's size");
    if size.k == 0 && into == Into::Replace {
        c.fill(0.0);
    }
    if [size.m, size.n, size.k].contains(&0) {
        return;
    }
    assert!(a.reaches(size.m, size.k) && b.reaches(size.n, size.k), "the operands have the product's size");
    let mut lines = GROUPS_OF_B.take();
    let output = Disjoint::new(c);
    for columns in blocks(size.n, N_BLOCK) {
        for inner in blocks(size.k, block_of_k(size.k)) {
            let into = if inner.start == 0 { into } else { Into::Add };
            let block = Block { half, rows: size.m, columns: columns.clone(), inner, into };
            block.pack(b, &mut lines);
            block.multiply(a, &lines, output, size.n);
        }
    }
    GROUPS_OF_B.set(lines);
}

/// Blocks of about the same length, a multiple of 32.
fn block_of_k(k: usize) -> usize {
    k.div_ceil(k.div_ceil(K_BLOCK)).next_multiple_of(32)
}

fn blocks(length: usize, block: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(block).map(move |start| start..length.min(start + block))
}

thread_local! {
    /// The packed groups of b, 3 MB at most, of the thread that calls; taken out while in use.
    static GROUPS_OF_B: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
    /// One packed group of a, 33 kB, of each thread that works.
    static GROUP_OF_A: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// At least `length` lines, with the contents that they had.
fn room(lines: &mut Vec<Line>, length: usize) -> &mut [Line] {
    if lines.len() < length {
        lines.resize(length, Line([0; 16]));
    }
    &mut lines[..length]
}

/// One block of a product: all rows, some columns, some of k.
struct Block {
    half: Half,
    rows: usize,
    columns: Range<usize>,
    inner: Range<usize>,
    into: Into,
}

impl Block {
    fn pack(&self, b: Operand<'_>, lines: &mut Vec<Line>) {
        let side = self.half.b;
        let n_lines = side.n_lines(self.inner.len(), self.half.step);
        let n_groups = self.columns.len().div_ceil(side.width);
        let groups = Disjoint::new(room(lines, n_groups * n_lines));
        let grain = if self.is_small() { n_groups } else { 1 };
        pool::run_ranges(n_groups, grain, &|indices| {
            for index in indices {
                let start = self.columns.start + index * side.width;
                let outer = start..self.columns.end.min(start + side.width);
                // SAFETY: groups do not overlap.
                let to = unsafe { groups.part(index * n_lines..(index + 1) * n_lines) };
                // SAFETY: the table gave a body that runs here; `multiply` has checked the operand.
                unsafe { (side.pack)(&b, outer, self.inner.clone(), to) };
            }
        });
    }

    fn is_small(&self) -> bool {
        self.rows * self.columns.len() * self.inner.len() < SMALL
    }

    fn multiply(&self, a: Operand<'_>, b: &[Line], output: Disjoint<'_, f32>, stride: usize) {
        let n_down = self.rows.div_ceil(self.half.a.width);
        let n_across = self.columns.len().div_ceil(self.half.b.width);
        let (mut down, mut across) = (n_down, n_across);
        if !self.is_small() {
            across = (N_TASK / self.half.b.width).min(n_across);
            down = (n_down * n_across.div_ceil(across) / TASKS_WANTED).clamp(1, MOST_GROUPS);
            while n_down.div_ceil(down) * n_across.div_ceil(across) < TASKS_WANTED && across > 1 {
                across = across.div_ceil(2);
            }
        }
        let n_strips = n_across.div_ceil(across);
        pool::run(n_down.div_ceil(down) * n_strips, &|task| {
            let (first_row, first_column) = (task / n_strips * down, task % n_strips * across);
            let mut group = GROUP_OF_A.take();
            for row in first_row..n_down.min(first_row + down) {
                let columns = first_column..n_across.min(first_column + across);
                self.multiply_rows((row, columns), a, &mut group, b, (output, stride));
            }
            GROUP_OF_A.set(group);
        });
    }

    /// Packs one group of rows and multiplies it by some groups of columns.
    fn multiply_rows(
        &self,
        (row, columns): (usize, Range<usize>),
        a: Operand<'_>,
        group: &mut Vec<Line>,
        b: &[Line],
        (output, stride): (Disjoint<'_, f32>, usize),
    ) {
        let Half { a: down, b: across, step, multiply } = self.half;
        let k = self.inner.len();
        let rows = row * down.width..self.rows.min((row + 1) * down.width);
        let a_group = room(group, down.n_lines(k, step));
        // SAFETY: the table gave a body that runs here; `multiply` has checked the operand.
        unsafe { (down.pack)(&a, rows.clone(), self.inner.clone(), a_group) };
        let n_lines = across.n_lines(k, step);
        for column in columns {
            let start = self.columns.start + column * across.width;
            let target = Target {
                first: output.at(rows.start * stride + start),
                stride,
                n_rows: rows.len(),
                n_columns: across.width.min(self.columns.end - start),
                into: self.into,
            };
            // SAFETY: both groups were packed over this block of k; these rows and columns lie inside the
            // output, as `multiply` has checked, and belong to this task.
            unsafe { multiply(k, a_group, &b[column * n_lines..(column + 1) * n_lines], &target) };
        }
    }
}
