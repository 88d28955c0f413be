//! The product over quantised weights: eight-bit activations times the whole numbers of the blocks.
//!
//! One arithmetic for every role, instruction set, number of rows and number of threads, to the bit. Each row of x
//! is rounded to eight bits first ([`activations`]). Then an output is one chain over the blocks of its weight row,
//! in their order:
//!
//! - blocks of 32: `sum = fma(Σ qᵢ·aᵢ, d·e, sum)`, and with a minimum `sum = fma(m, t, sum)`;
//! - blocks of 64 with a scale for every 16: the same for each 16;
//! - blocks of 256: `sum = fma(Σ_g s_g · Σ qᵢ·aᵢ, d·e, sum)`, and with minima `sum = fma(-Σ_g m_g · Σ aᵢ, dₘ·e, sum)`,
//!
//! where q, s, m, d and dₘ are a block's whole numbers, scales and minima as [`crate::blocks`] has them, a and e
//! the activations and their scale, t the scale times their sum, rounded to half precision. The sums of whole
//! numbers are exact in 32 bits, so their order is free; each is rounded once, to f32; so is each product of
//! scales; `fma` rounds once.
//!
//! Against the product of the widened weights with x as it is, the error is that of rounding x: every xᵢ moves by
//! at most 1/254 of the largest magnitude in its block, and for blocks of 32 all of them by at most 2⁻¹¹ of
//! themselves with the scale. The error of the sums themselves is at most (2·K/32 + 3) · 2⁻²⁴ relative to the sum of
//! magnitudes, with K/16 where every 16 have a scale.
//!
//! Not for weights that are numbers, and not for the products of a training step.
//!
//! Source: the order of rounding is that of the GGML project (its types Q8_0, Q8_1 and Q8_K of activations), as a
//! fact: greedy answers agree only where both round alike. `fixtures/activations` holds what it computes.

pub mod activations;
#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod pack;
#[cfg(target_arch = "x86_64")]
pub(crate) mod straight;
mod tiles;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::cell::Cell;
use std::ops::Range;

use self::activations::{Activations, ROUNDING, Room};
use super::Shape;
use crate::blocks::{Blocks, Format};
use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::pool;

/// Computes some rows and columns of y from rounded activations and the bytes of the blocks.
pub type Body = unsafe fn(&Activations<'_>, &[u8], &Part<'_>);

/// Some rows and columns of an output that tasks share.
pub struct Part<'a> {
    y: Disjoint<'a, f32>,
    /// Columns of y and rows of the weights.
    outer: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

/// The bodies for one type of block. AVX-512 without VNNI has no better way than AVX2.
pub(crate) const fn bodies<F: Format>() -> &'static [(Isa, Body)] {
    const {
        &[
            (Isa::Scalar, scalar::<F>),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, x86::avx2::<F>),
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512Vnni, x86::vnni::<F>),
            #[cfg(target_arch = "x86_64")]
            (Isa::Amx, amx::amx::<F>),
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon, neon::neon::<F>),
            #[cfg(target_arch = "aarch64")]
            (Isa::NeonDotprod, neon::dotprod::<F>),
            #[cfg(target_arch = "aarch64")]
            (Isa::NeonI8mm, neon::i8mm::<F>),
        ]
    }
}

/// How many activations are rounded under one scale.
pub(crate) const fn unit<F: Format>() -> usize {
    if F::N_WEIGHTS == 256 { 256 } else { 32 }
}

/// The kernel's name in reports.
pub(crate) const NAME: &str = "product (blocks)";

/// Columns of a panel, and so the least that a task takes.
const WIDTH: usize = 32;
/// Tasks wanted of each thread, so that threads end together.
const TASKS_PER_THREAD: usize = 4;
/// Columns of one task at most. Bodies ask for weights ahead of where they are: what lies behind a task's end is mostly
/// another thread's to read, so a task is many panels long.
const MOST_COLUMNS: usize = 512;
/// Rows of one task at least: unpacking a panel costs as much as multiplying it with a few rows.
const ROWS_PER_TASK: usize = 64;
/// Numbers of x rounded at once: 4 MB of them in eight bits, beside a few more of scales.
const ROUNDED_AT_ONCE: usize = 4 << 20;

thread_local! {
    /// The rounded rows, kept by the thread that asks for products, and taken out while in use.
    static ROOM: Cell<Room> = const { Cell::new(Room::empty()) };
}

/// `y = x · Wᵀ`; the wrapper has checked the lengths and that rows are whole blocks.
pub(super) fn multiply(body: Body, x: &[f32], w: Blocks<'_>, y: &mut [f32], shape: Shape) {
    let Shape { rows, inner, outer } = shape;
    if inner == 0 || y.is_empty() {
        return y.fill(0.0);
    }
    let at_once = (ROUNDED_AT_ONCE / inner).max(ROWS_PER_TASK);
    let mut room = ROOM.take();
    for first in (0..rows).step_by(at_once) {
        let n_rows = at_once.min(rows - first);
        let x = &x[first * inner..(first + n_rows) * inner];
        let activations = room.round(ROUNDING.body(), x, inner, w.kind().rounding());
        let y = &mut y[first * outer..(first + n_rows) * outer];
        share(body, &activations, w, y, Shape { rows: n_rows, ..shape });
    }
    ROOM.set(room);
}

/// Hands out parts of y: stretches of columns, and where those are few and rows many, of rows.
pub(super) fn share(body: Body, x: &Activations<'_>, w: Blocks<'_>, y: &mut [f32], shape: Shape) {
    let Shape { rows, outer, .. } = shape;
    let n_wanted = TASKS_PER_THREAD * pool::active_threads();
    let width = outer.div_ceil(n_wanted).min(MOST_COLUMNS).next_multiple_of(WIDTH);
    let across = outer.div_ceil(width);
    let down = n_wanted.div_ceil(across.max(1)).min(rows.div_ceil(ROWS_PER_TASK)).max(1);
    let height = rows.div_ceil(down);
    let output = Disjoint::new(y);
    pool::run(across * down, &|index| {
        let cut = |index: usize, size: usize, all: usize| all.min(index * size)..all.min((index + 1) * size);
        let rows = cut(index / across, height, rows);
        let columns = cut(index % across, width, outer);
        // SAFETY: the table holds only bodies that this machine can run; x and w have the shape's rows, and the
        // part of y is this task's alone.
        unsafe { body(x, w.bytes(), &Part { y: output, outer, rows, columns }) };
    });
}

impl<'a> Part<'a> {
    /// Some columns of a row.
    ///
    /// # Safety
    /// The row and the columns are of this part, and not in use.
    unsafe fn row(&self, row: usize, columns: Range<usize>) -> &'a mut [f32] {
        // SAFETY: the part is its task's alone.
        unsafe { self.y.part(row * self.outer + columns.start..row * self.outer + columns.end) }
    }
}

/// Output by output, as the definition says.
fn scalar<F: Format>(x: &Activations<'_>, w: &[u8], part: &Part<'_>) {
    let row_bytes = x.inner() / F::N_WEIGHTS * F::N_BYTES;
    for column in part.columns.clone() {
        let blocks = &w[column * row_bytes..(column + 1) * row_bytes];
        for row in part.rows.clone() {
            let mut sum = 0.0;
            for (index, block) in blocks.chunks_exact(F::N_BYTES).enumerate() {
                sum = if F::LINK == F::N_WEIGHTS {
                    add_block::<F>(sum, block, x, (row, index))
                } else {
                    add_links::<F>(sum, block, x, (row, index))
                };
            }
            // SAFETY: the loop stays inside the part.
            unsafe { part.row(row, column..column + 1)[0] = sum };
        }
    }
}

/// The chain of an output, one block further.
fn add_block<F: Format>(sum: f32, block: &[u8], x: &Activations<'_>, (row, index): (usize, usize)) -> f32 {
    let scales = F::scales(block);
    let codes = x.codes(row, index * F::N_WEIGHTS, F::N_WEIGHTS);
    let (mut dot, mut minima) = (0i32, 0i32);
    for (place, codes) in codes.as_chunks::<32>().0.iter().enumerate() {
        let values = F::part(block, place).values;
        for start in (0..32).step_by(F::GROUP) {
            let group = (32 * place + start) / F::GROUP;
            let pairs = values[start..start + F::GROUP].iter().zip(&codes[start..]);
            let products: i32 = pairs.map(|(value, code)| i32::from(*value) * i32::from(*code)).sum();
            let total: i32 = codes[start..start + F::GROUP].iter().map(|code| i32::from(*code)).sum();
            dot += i32::from(scales.groups[group]) * products;
            minima += i32::from(scales.minima[group]) * total;
        }
    }
    let scale = x.scale(row, index);
    let sum = (dot as f32).mul_add(scales.scale * scale, sum);
    match (F::HAS_MINIMA, F::N_WEIGHTS) {
        (false, _) => sum,
        (true, 32) => (-scales.minimum).mul_add(x.total(row, index), sum),
        (true, _) => (-(minima as f32)).mul_add(scales.minimum * scale, sum),
    }
}

/// The chain of an output, the links of one block further.
fn add_links<F: Format>(sum: f32, block: &[u8], x: &Activations<'_>, (row, index): (usize, usize)) -> f32 {
    (0..F::N_WEIGHTS / F::LINK).fold(sum, |sum, link| {
        let first = index * F::N_WEIGHTS + link * F::LINK;
        let values = F::part(block, link * F::LINK / 32).values;
        let codes = x.codes(row, first, F::LINK);
        let pairs = values[link * F::LINK % 32..].iter().zip(codes);
        let dot: i32 = pairs.map(|(value, code)| i32::from(*value) * i32::from(*code)).sum();
        (dot as f32).mul_add(F::link_scale(block, link) * x.scale(row, first / unit::<F>()), sum)
    })
}
