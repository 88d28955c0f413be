//! The generated product: dot products of few rows with every row of the weights, each weight read once.
//!
//! Not for many rows: nothing is packed; and not for quantised weights: `integer`. Each output is sixteen chains over k, lane i over k ≡ i (mod 16),
//! added up over the tree (i, i+8), (i, i+4), (i, i+2), (i, i+1), whichever rows are computed beside it.

use std::ops::Range;

use super::Shape;
use super::weights::{Weights, from_bf16, from_f16};
use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// Computes some columns of y, for all rows of x.
pub type Body = unsafe fn(&[f32], Weights<'_>, &Columns<'_>);

/// Some columns of an output that tasks share.
pub struct Columns<'a> {
    y: Disjoint<'a, f32>,
    shape: Shape,
    range: Range<usize>,
}

/// The bodies for a stretch of columns.
pub static GENERATED: Kernel<Body> = Kernel::new(
    "product (generated)",
    &[
        (Isa::Scalar, scalar),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, vector::avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, vector::avx512),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, vector::by_type::<crate::lanes::Neon, 2, 2>),
    ],
);

/// Bytes of weights that one task reads: long enough to stream, short enough to share out evenly.
const BYTES_PER_TASK: usize = 128 * 1024;

/// Rows of x that are multiplied with a few weight rows while those are in the first caches.
const ROWS_AT_ONCE: usize = 32;

const LANES: usize = 16;

/// Why no weights in blocks come here.
const BLOCKS: &str = "products over blocks take another way";

/// `y = x · Wᵀ`; the wrapper has checked the lengths.
pub(super) fn multiply(body: Body, x: &[f32], w: Weights<'_>, y: &mut [f32], shape: Shape) {
    if shape.rows == 0 {
        return;
    }
    let bytes_per_column = w.size_bytes().checked_div(shape.outer).unwrap_or(0).max(1);
    // Several rows make a column dearer, but more than eight would make tasks too short to stream.
    let grain = BYTES_PER_TASK.div_ceil(bytes_per_column).div_ceil(shape.rows.min(8)).next_multiple_of(4);
    let output = Disjoint::new(y);
    for first in (0..shape.rows).step_by(ROWS_AT_ONCE) {
        let rows = ROWS_AT_ONCE.min(shape.rows - first);
        let x = &x[first * shape.inner..(first + rows) * shape.inner];
        // SAFETY: these rows of the output are written in this round only.
        let part = unsafe { output.part(first * shape.outer..(first + rows) * shape.outer) };
        let y = Disjoint::new(part);
        pool::run_ranges(shape.outer, grain, &|range| {
            // SAFETY: the table holds only bodies that this machine can run; the columns are this task's
            // alone.
            unsafe { body(x, w, &Columns { y, shape: Shape { rows, ..shape }, range }) };
        });
    }
}

fn scalar(x: &[f32], w: Weights<'_>, columns: &Columns<'_>) {
    match w {
        Weights::F32(values) => scalar_over(x, values, columns, |value| value),
        Weights::Bf16(bits) => scalar_over(x, bits, columns, from_bf16),
        Weights::F16(bits) => scalar_over(x, bits, columns, from_f16),
        Weights::Blocks(_) => unreachable!("{BLOCKS}"),
    }
}

fn scalar_over<E: Copy>(x: &[f32], w: &[E], columns: &Columns<'_>, widen: impl Fn(E) -> f32) {
    let inner = columns.shape.inner;
    for column in columns.range.clone() {
        scalar_column(x, &w[column * inner..(column + 1) * inner], columns, column, &widen);
    }
}

fn scalar_column<E: Copy>(
    x: &[f32],
    w: &[E],
    columns: &Columns<'_>,
    column: usize,
    widen: &impl Fn(E) -> f32,
) {
    let Shape { rows, inner, outer } = columns.shape;
    for row in 0..rows {
        let x = &x[row * inner..(row + 1) * inner];
        let mut lanes = [0.0; LANES];
        for (x, w) in x.chunks(LANES).zip(w.chunks(LANES)) {
            for ((lane, x), w) in lanes.iter_mut().zip(x).zip(w) {
                *lane += x * widen(*w);
            }
        }
        let place = row * outer + column;
        // SAFETY: the column is this task's alone.
        unsafe { columns.y.part(place..place + 1)[0] = sum(lanes) };
    }
}

/// The sum over the tree (i, i+8), (i, i+4), (i, i+2), (i, i+1).
fn sum(mut lanes: [f32; LANES]) -> f32 {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0]
}

mod vector {
    use super::{BLOCKS, Columns, Shape, Weights};
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{Bf16, Element, F16, LANES, Lanes};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(x: &[f32], w: Weights<'_>, columns: &Columns<'_>) {
        // SAFETY: this function has the features, its caller the shapes.
        unsafe { by_type::<Avx2, 2, 2>(x, w, columns) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(x: &[f32], w: Weights<'_>, columns: &Columns<'_>) {
        // SAFETY: as above.
        unsafe { by_type::<Avx512, 4, 4>(x, w, columns) }
    }

    #[inline(always)]
    pub unsafe fn by_type<V: Lanes, const R: usize, const C: usize>(
        x: &[f32],
        w: Weights<'_>,
        columns: &Columns<'_>,
    ) {
        let x = x.as_ptr();
        // SAFETY: the caller's promises; bf16 and f16 numbers are transparent u16.
        unsafe {
            match w {
                Weights::F32(values) => body::<V, _, R, C>(x, Dense(values.as_ptr()), columns),
                Weights::Bf16(bits) => {
                    body::<V, _, R, C>(x, Dense(bits.as_ptr().cast::<Bf16>()), columns);
                }
                Weights::F16(bits) => body::<V, _, R, C>(x, Dense(bits.as_ptr().cast::<F16>()), columns),
                Weights::Blocks(_) => unreachable!("{BLOCKS}"),
            }
        }
    }

    /// Rows of weights in memory.
    trait Source: Copy {
        /// Sixteen sums each for R rows of x times C rows of the weights, from row `column` on.
        ///
        /// # Safety
        /// The rows of x and of the weights exist, each `inner` long.
        unsafe fn chains<V: Lanes, const R: usize, const C: usize>(
            self,
            x: *const f32,
            column: usize,
            inner: usize,
        ) -> [[V; C]; R];
    }

    /// One number an element.
    #[derive(Clone, Copy)]
    struct Dense<E>(*const E);

    impl<E: Element> Source for Dense<E> {
        #[inline(always)]
        unsafe fn chains<V: Lanes, const R: usize, const C: usize>(
            self,
            x: *const f32,
            column: usize,
            inner: usize,
        ) -> [[V; C]; R] {
            let whole = inner - inner % LANES;
            // SAFETY: the caller's rows.
            unsafe {
                let w = self.0.add(column * inner);
                let mut sums = [[V::splat(0.0); C]; R];
                let mut k = 0;
                while k < whole {
                    let mut xs = [V::splat(0.0); R];
                    for r in 0..R {
                        xs[r] = V::load(x.add(r * inner + k));
                    }
                    for c in 0..C {
                        let weight: V = E::load(w.add(c * inner + k));
                        for r in 0..R {
                            sums[r][c] = xs[r].mul_add(weight, sums[r][c]);
                        }
                    }
                    k += LANES;
                }
                if whole < inner {
                    let n = inner - whole;
                    for c in 0..C {
                        let weight: V = E::load_first(w.add(c * inner + whole), n);
                        for r in 0..R {
                            let x: V = V::load_first(x.add(r * inner + whole), n);
                            sums[r][c] = x.mul_add(weight, sums[r][c]);
                        }
                    }
                }
                sums
            }
        }
    }

    /// Four columns at a time for one row, else R rows x C columns.
    #[inline(always)]
    unsafe fn body<V: Lanes, S: Source, const R: usize, const C: usize>(
        x: *const f32,
        w: S,
        columns: &Columns<'_>,
    ) {
        let Shape { rows, inner, .. } = columns.shape;
        let mut column = columns.range.start;
        // SAFETY: rows and columns stay within the shape, which the wrapper has checked against the slices.
        unsafe {
            while column < columns.range.end {
                let width = if rows == 1 { 4 } else { C };
                let n = if columns.range.end - column >= width { width } else { 1 };
                let mut row = 0;
                while row < rows {
                    let x = x.add(row * inner);
                    let at = (row, column);
                    row += match (rows - row >= R, n) {
                        (true, n) if n == C && R > 1 => block::<V, S, R, C>(x, w, columns, at),
                        (true, 1) => block::<V, S, R, 1>(x, w, columns, at),
                        (_, 4) => block::<V, S, 1, 4>(x, w, columns, at),
                        (_, 2) => block::<V, S, 1, 2>(x, w, columns, at),
                        _ => block::<V, S, 1, 1>(x, w, columns, at),
                    };
                }
                column += n;
            }
        }
    }

    /// R x C outputs; returns R.
    #[inline(always)]
    unsafe fn block<V: Lanes, S: Source, const R: usize, const C: usize>(
        x: *const f32,
        w: S,
        columns: &Columns<'_>,
        (row, column): (usize, usize),
    ) -> usize {
        let Shape { inner, outer, .. } = columns.shape;
        // SAFETY: R rows of x, C rows of w and R x C outputs exist from here on, by the loop in `body`.
        unsafe {
            let sums = w.chains::<V, R, C>(x, column, inner);
            for r in 0..R {
                for c in 0..C {
                    *columns.y.at((row + r) * outer + column + c) = sums[r][c].sum();
                }
            }
        }
        R
    }
}
