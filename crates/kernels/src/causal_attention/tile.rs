//! Small products of packed blocks: tiles of sums in registers.
//!
//! Knows nothing of softmax. Every output is one chain of fused multiply-adds over the summed index, from the
//! lowest up, so neither the instruction set nor the tile's size changes a bit. A block on the diagonal
//! leaves out what is above it.

use std::ops::Range;

use crate::lanes::{LANES, Lanes};

/// Queries and keys of a block. Both are packed with this many elements from one row to the next.
pub(super) const BLOCK: usize = 64;

/// Where a block of queries and a block of keys meet.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Meeting {
    /// Every query sees every key.
    Below,
    /// Query n sees the keys up to n.
    Diagonal,
}

/// How many vectors of a row's scores hold keys that it sees.
#[inline(always)]
pub(super) fn n_vectors(row: usize, meeting: Meeting) -> usize {
    match meeting {
        Meeting::Below => BLOCK / LANES,
        Meeting::Diagonal => row / LANES + 1,
    }
}

/// The operands of a product `c = a · b`; each row of `c` and of `b` is a whole number of vectors.
#[derive(Clone, Copy)]
pub(super) struct Operands {
    pub a: *const f32,
    pub b: *const f32,
    pub b_stride: usize,
    pub c: *mut f32,
    pub c_stride: usize,
}

impl Operands {
    /// The part from row `row` of c and vector `vector` on; rows of `a` are `a_stride` apart.
    #[inline(always)]
    fn at(self, row: usize, vector: usize, a_stride: usize) -> Self {
        Self {
            a: self.a.wrapping_add(row * a_stride),
            b: self.b.wrapping_add(vector * LANES),
            c: self.c.wrapping_add(row * self.c_stride + vector * LANES),
            ..self
        }
    }
}

/// Runs a tile expression for each part of some vectors, as evenly as at most `WIDE` (1, 2 or 3) in a part
/// allows, with the first vector and, as a constant, their number.
macro_rules! for_each_part {
    ($n_vectors:expr, $wide:ident, |$first:ident, $n:ident| $tile:expr) => {{
        let (n_vectors, mut next) = ($n_vectors, 0);
        while next < n_vectors {
            let $first = next;
            let left = n_vectors - next;
            let n = left.div_ceil(left.div_ceil($wide));
            next += n;
            if $wide == 1 || n == 1 {
                const $n: usize = 1;
                $tile
            } else if $wide == 2 || n == 2 {
                const $n: usize = 2;
                $tile
            } else {
                const $n: usize = 3;
                $tile
            }
        }
    }};
}

/// Repeats an expression for the steps of a triangle of at most eight rows, each with its number as a
/// constant: which rows take part must be known before the program runs, or the sums leave their registers.
macro_rules! for_each_step {
    (|$step:ident| $expression:expr) => {
        for_each_step!($step, $expression, 0, 1, 2, 3, 4, 5, 6, 7)
    };
    ($step:ident, $expression:expr, $($number:literal),*) => {
        $({
            const $step: usize = $number;
            $expression
        })*
    };
}

/// Scores of queries and keys: `c[row, key] = Σ_i a[row, i] · b[i, key]`, with `a` [BLOCK, a_stride] and `b`
/// [inner, BLOCK]. On the diagonal, vectors of keys that no row of a tile sees are left as they are.
///
/// # Safety
/// As [`Lanes`]; the operands are good for `inner` and for `n_rows` up to the next multiple of `ROWS`.
#[inline(always)]
pub(super) unsafe fn scores<V: Lanes, const ROWS: usize, const WIDE: usize>(
    product: Operands,
    [inner, a_stride]: [usize; 2],
    n_rows: usize,
    meeting: Meeting,
) {
    for row in (0..n_rows).step_by(ROWS) {
        let n_vectors = match meeting {
            Meeting::Below => BLOCK / LANES,
            Meeting::Diagonal => (row + ROWS).div_ceil(LANES),
        };
        for_each_part!(n_vectors, WIDE, |vector, N| {
            let part = product.at(row, vector, a_stride);
            // SAFETY: the caller's promises.
            unsafe {
                let mut sums = [[V::splat(0.0); N]; ROWS];
                for i in 0..inner {
                    step(&mut sums, part.a.add(i), a_stride, part.b.add(i * part.b_stride));
                }
                store(&sums, part);
            }
        });
    }
}

/// Sums of rows of `b` weighted by rows of `a` [row, BLOCK]: `c[row] = c[row] · keep[row] + Σ_i a[row, i] ·
/// b[i]`, where i goes over the keys that the row sees.
///
/// # Safety
/// As [`scores`]; `b` has BLOCK rows.
#[inline(always)]
pub(super) unsafe fn add_by_rows<V: Lanes, const ROWS: usize, const WIDE: usize>(
    product: Operands,
    keep: &[f32; BLOCK],
    n_rows: usize,
    meeting: Meeting,
) {
    let n_vectors = product.c_stride / LANES;
    for row in (0..n_rows).step_by(ROWS) {
        for_each_part!(n_vectors, WIDE, |vector, N| {
            let part = product.at(row, vector, BLOCK);
            let n_shared = if meeting == Meeting::Diagonal { row } else { BLOCK };
            // SAFETY: the caller's promises.
            unsafe {
                let mut sums = load::<V, ROWS, N>(part);
                for (sums, keep) in sums.iter_mut().zip(&keep[row..row + ROWS]) {
                    for sum in sums {
                        *sum = sum.mul(V::splat(*keep));
                    }
                }
                for i in 0..n_shared {
                    step(&mut sums, part.a.add(i), BLOCK, part.b.add(i * part.b_stride));
                }
                if meeting == Meeting::Diagonal {
                    let (a, b) = (part.a.add(row), part.b.add(row * part.b_stride));
                    for_each_step!(|STEP| if STEP < ROWS {
                        let b = b.add(STEP * part.b_stride);
                        step_some(&mut sums, STEP..ROWS, a.add(STEP), BLOCK, b);
                    });
                }
                store(&sums, part);
            }
        });
    }
}

/// Sums of rows of `b` weighted by columns of `a` [i, BLOCK]: `c[row] += Σ_i a[i, row] · b[i]`, where i goes
/// over those of the first `inner` queries that see the row's key.
///
/// # Safety
/// As [`scores`]; `b` has `inner` rows.
#[inline(always)]
pub(super) unsafe fn add_by_columns<V: Lanes, const ROWS: usize, const WIDE: usize>(
    product: Operands,
    inner: usize,
    n_rows: usize,
    meeting: Meeting,
) {
    let n_vectors = product.c_stride / LANES;
    for row in (0..n_rows).step_by(ROWS) {
        for_each_part!(n_vectors, WIDE, |vector, N| {
            let part = product.at(row, vector, 1);
            // SAFETY: the caller's promises.
            unsafe {
                let mut sums = load::<V, ROWS, N>(part);
                let mut first_shared = 0;
                if meeting == Meeting::Diagonal {
                    first_shared = inner.min(row + ROWS);
                    let (a, b) = (part.a.add(row * BLOCK), part.b.add(row * part.b_stride));
                    for_each_step!(|STEP| if STEP < ROWS && row + STEP < inner {
                        let b = b.add(STEP * part.b_stride);
                        step_some(&mut sums, 0..STEP + 1, a.add(STEP * BLOCK), 1, b);
                    });
                }
                for i in first_shared..inner {
                    step(&mut sums, part.a.add(i * BLOCK), 1, part.b.add(i * part.b_stride));
                }
                store(&sums, part);
            }
        });
    }
}

#[inline(always)]
unsafe fn load<V: Lanes, const ROWS: usize, const N: usize>(part: Operands) -> [[V; N]; ROWS] {
    // SAFETY: the caller's tile.
    unsafe {
        let mut sums = [[V::splat(0.0); N]; ROWS];
        for row in 0..ROWS {
            for vector in 0..N {
                sums[row][vector] = V::load(part.c.add(row * part.c_stride + vector * LANES));
            }
        }
        sums
    }
}

#[inline(always)]
unsafe fn store<V: Lanes, const ROWS: usize, const N: usize>(sums: &[[V; N]; ROWS], part: Operands) {
    for row in 0..ROWS {
        for vector in 0..N {
            // SAFETY: the caller's tile.
            unsafe { sums[row][vector].store(part.c.add(row * part.c_stride + vector * LANES)) };
        }
    }
}

/// One step of the summed index for every row of a tile.
#[inline(always)]
unsafe fn step<V: Lanes, const ROWS: usize, const N: usize>(
    sums: &mut [[V; N]; ROWS],
    a: *const f32,
    a_stride: usize,
    b: *const f32,
) {
    // SAFETY: the caller's operands.
    unsafe { step_some(sums, 0..ROWS, a, a_stride, b) }
}

/// One step of the summed index for some rows of a tile.
#[inline(always)]
unsafe fn step_some<V: Lanes, const ROWS: usize, const N: usize>(
    sums: &mut [[V; N]; ROWS],
    rows: Range<usize>,
    a: *const f32,
    a_stride: usize,
    b: *const f32,
) {
    // SAFETY: the caller's operands.
    unsafe {
        let mut columns = [V::splat(0.0); N];
        for vector in 0..N {
            columns[vector] = V::load(b.add(vector * LANES));
        }
        for row in rows {
            let factor = V::splat(*a.add(row * a_stride));
            for vector in 0..N {
                sums[row][vector] = factor.mul_add(columns[vector], sums[row][vector]);
            }
        }
    }
}
