//! Training products whose operands are rounded to 16 bits: which body a machine has, and the cutting of a
//! product into groups that the body packs and multiplies.
//!
//! Not for serving, whose roles promise other arithmetic, and not the arithmetic itself, which stands in
//! `fp16`, `amx` and `bf16`. Where there is neither, there is nothing here and the f32 product runs.
//!
//! **The contract** of every body, for `c[i, j] = Σ a[i, k] · b[j, k]` over K elements, where A and B are the
//! largest magnitudes of row i of a and of row j of b: the error is at most
//!
//! `(2⁻⁷ + 2⁻⁸ + K · 2⁻²⁴) · Σ|a·b| + K · (2⁻²⁴ · A · B + 2⁻¹²⁶ · (A + B + 1))`,
//!
//! and small integers are summed exactly. 2⁻⁷ is what rounding both operands to the eight bits of bf16 costs,
//! 2⁻⁸ is left for sums of 16 bits, then come the f32 sum, what is small beside the largest element of its row,
//! and denormals. What is not finite stays so, as an infinity or NaN. An output depends on its row of a, its
//! row of b and K alone, never on its neighbours or on who computes it.
//!
//! | file | what it is |
//! |---|---|
//! | `fp16`, `pack` | chains of f16 multiply-adds, and packing for them |
//! | `amx` | tiles of bf16 |
//! | `bf16` | vectors of bf16 |
//! | `pairs` | packing for both |
//! | `source` | an operand read sixteen elements at a time |
//! | `plain` | for tests: packing written to be read |

// Other processors have no body yet.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod bf16;
#[cfg(target_arch = "x86_64")]
mod fp16;
#[cfg(target_arch = "x86_64")]
mod pack;
#[cfg(target_arch = "x86_64")]
mod pairs;
#[cfg(all(test, target_arch = "x86_64"))]
mod plain;
#[cfg(target_arch = "x86_64")]
pub(super) mod source;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ops::Range;

use super::operand::Operand;
use super::prompt::Size;
use super::training::Into;
use crate::disjoint::Disjoint;
use crate::fetch;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// The longest block of k. A group of a, 32 kB, stays in a first-level cache of 48 kB.
const K_BLOCK: usize = 512;
/// Columns of c whose groups of b are packed at once: 3 MB with a block of k.
const N_BLOCK: usize = 3072;
/// Lines of the shared groups of one task, 0.8 MB: they stay in a second-level cache of 2 MB.
const SHARED_LINES: usize = 12_800;
/// Tasks wanted, so that threads end together.
const TASKS_WANTED: usize = 32;
/// The most groups that one task packs, one after the other.
const MOST_GROUPS: usize = 8;
/// Multiply-adds below which a product is not worth sharing: about 10 µs of one core.
const SMALL: usize = 1024 * 1024;
/// With at most so many rows, and at least so many columns, a is packed ahead and b by each task: b packed
/// ahead would go to memory and come back.
const FEW_ROWS: usize = 512;
const MANY_COLUMNS: usize = 2048;

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

impl Target {
    /// Asks the cache for the outputs while they are computed: they come from far away.
    fn fetch(&self) {
        for row in 0..self.n_rows {
            let start = self.first.wrapping_add(row * self.stride);
            (0..self.n_columns).step_by(16).for_each(|column| fetch::first_cache(start.wrapping_add(column)));
        }
    }
}

/// The bodies; none where the f32 product is the fastest.
pub(super) static HALF: Kernel<Option<Half>> = Kernel::new(
    "product (training, 16 bits)",
    &[
        (Isa::Scalar, None),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512Bf16, Some(bf16::HALF)),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512Fp16, Some(fp16::HALF)),
        #[cfg(target_arch = "x86_64")]
        (Isa::Amx, Some(amx::HALF)),
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
    let shared = if size.m <= FEW_ROWS && size.n >= MANY_COLUMNS { Shared::A } else { Shared::B };
    let n_block = if shared == Shared::A { size.n } else { N_BLOCK };
    let mut lines = SHARED_GROUPS.take();
    let output = Disjoint::new(c);
    for columns in blocks(size.n, n_block) {
        for inner in blocks(size.k, block_of_k(size.k)) {
            let into = if inner.start == 0 { into } else { Into::Add };
            let block = Block { half, shared, rows: 0..size.m, columns: columns.clone(), inner, into };
            block.pack((a, b), &mut lines);
            block.multiply((a, b), &lines, output, size.n);
        }
    }
    SHARED_GROUPS.set(lines);
}

/// Blocks of about the same length, a multiple of 32.
fn block_of_k(k: usize) -> usize {
    k.div_ceil(k.div_ceil(K_BLOCK)).next_multiple_of(32)
}

fn blocks(length: usize, block: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(block).map(move |start| start..length.min(start + block))
}

thread_local! {
    /// The groups that are packed ahead, 3 MB at most, of the thread that calls; taken out while in use.
    static SHARED_GROUPS: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
    /// The group that a task has packed, 100 kB at most, of each thread that works.
    static OWN_GROUP: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// At least `length` lines, with the contents that they had.
fn room(lines: &mut Vec<Line>, length: usize) -> &mut [Line] {
    if lines.len() < length {
        lines.resize(length, Line([0; 16]));
    }
    &mut lines[..length]
}

/// Which operand is packed ahead for all tasks; of the other each task packs its own groups.
#[derive(Clone, Copy, PartialEq)]
enum Shared {
    A,
    B,
}

/// One block of a product: all rows, some columns, some of k.
struct Block {
    half: Half,
    shared: Shared,
    rows: Range<usize>,
    columns: Range<usize>,
    inner: Range<usize>,
    into: Into,
}

impl Block {
    /// How the shared operand is packed and which of its outer elements; then the same of the other.
    fn sides(&self) -> [(Side, &Range<usize>); 2] {
        let (a, b) = ((self.half.a, &self.rows), (self.half.b, &self.columns));
        if self.shared == Shared::A { [a, b] } else { [b, a] }
    }

    /// Packs the shared operand.
    fn pack(&self, (a, b): (Operand<'_>, Operand<'_>), lines: &mut Vec<Line>) {
        let operand = if self.shared == Shared::A { a } else { b };
        let [(side, whole), _] = self.sides();
        let n_lines = side.n_lines(self.inner.len(), self.half.step);
        let n_groups = whole.len().div_ceil(side.width);
        let groups = Disjoint::new(room(lines, n_groups * n_lines));
        let grain = if self.is_small() { n_groups } else { 1 };
        pool::run_ranges(n_groups, grain, &|indices| {
            for index in indices {
                // SAFETY: groups do not overlap.
                let to = unsafe { groups.part(index * n_lines..(index + 1) * n_lines) };
                // SAFETY: the table gave a body that runs here; `multiply` has checked the operand.
                unsafe { (side.pack)(&operand, group(whole, index, side.width), self.inner.clone(), to) };
            }
        });
    }

    fn is_small(&self) -> bool {
        self.rows.len() * self.columns.len() * self.inner.len() < SMALL
    }

    /// Groups of the other operand and shared groups that one task takes.
    fn task(&self) -> (usize, usize) {
        let [(shared, all_shared), (own, all_own)] = self.sides();
        let (n_shared, n_own) = (all_shared.len().div_ceil(shared.width), all_own.len().div_ceil(own.width));
        if self.is_small() {
            return (n_own, n_shared);
        }
        let n_lines = shared.n_lines(self.inner.len(), self.half.step);
        let mut strip = (SHARED_LINES / n_lines).clamp(1, n_shared);
        let groups = (n_own * n_shared.div_ceil(strip) / TASKS_WANTED).clamp(1, MOST_GROUPS);
        while n_own.div_ceil(groups) * n_shared.div_ceil(strip) < TASKS_WANTED && strip > 1 {
            strip = strip.div_ceil(2);
        }
        (groups, strip)
    }

    fn multiply(
        &self,
        (a, b): (Operand<'_>, Operand<'_>),
        shared: &[Line],
        output: Disjoint<'_, f32>,
        stride: usize,
    ) {
        let [(shared_side, all_shared), (side, all_own)] = self.sides();
        let operand = if self.shared == Shared::A { b } else { a };
        let (n_shared, n_own) =
            (all_shared.len().div_ceil(shared_side.width), all_own.len().div_ceil(side.width));
        let (n_groups, strip) = self.task();
        let n_strips = n_shared.div_ceil(strip);
        let n_lines = side.n_lines(self.inner.len(), self.half.step);
        pool::run(n_own.div_ceil(n_groups) * n_strips, &|task| {
            let (first_own, first_shared) = (task / n_strips * n_groups, task % n_strips * strip);
            let mut lines = OWN_GROUP.take();
            for own in first_own..n_own.min(first_own + n_groups) {
                let own_lines = room(&mut lines, n_lines);
                let outer = group(all_own, own, side.width);
                // SAFETY: the table gave a body that runs here; `multiply` has checked the operand.
                unsafe { (side.pack)(&operand, outer, self.inner.clone(), own_lines) };
                for index in first_shared..n_shared.min(first_shared + strip) {
                    self.multiply_groups((own, own_lines), (index, shared), output, stride);
                }
            }
            OWN_GROUP.set(lines);
        });
    }

    /// Multiplies a task's own group by a shared one.
    fn multiply_groups(
        &self,
        (own, own_lines): (usize, &[Line]),
        (index, shared): (usize, &[Line]),
        output: Disjoint<'_, f32>,
        stride: usize,
    ) {
        let Half { a, b, step, multiply } = self.half;
        let k = self.inner.len();
        let n_lines = self.sides()[0].0.n_lines(k, step);
        let shared = &shared[index * n_lines..(index + 1) * n_lines];
        let ((row, a_lines), (column, b_lines)) = match self.shared {
            Shared::A => ((index, shared), (own, own_lines)),
            Shared::B => ((own, own_lines), (index, shared)),
        };
        let (rows, columns) = (group(&self.rows, row, a.width), group(&self.columns, column, b.width));
        let target = Target {
            first: output.at(rows.start * stride + columns.start),
            stride,
            n_rows: rows.len(),
            n_columns: columns.len(),
            into: self.into,
        };
        // SAFETY: both groups were packed over this block of k; these rows and columns lie inside the output,
        // as `multiply` has checked, and belong to this task.
        unsafe { multiply(k, a_lines, b_lines, &target) };
    }
}

/// The elements of group `index` of those in `whole`.
fn group(whole: &Range<usize>, index: usize, width: usize) -> Range<usize> {
    let start = whole.start + index * width;
    start..whole.end.min(start + width)
}
