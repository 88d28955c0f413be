//! The innermost part of a prompt product: one tile of outputs from two packed panels.
//!
//! Knows neither edges nor blocks: panels are padded, and `prompt` cuts. Each output is one chain of
//! multiply-adds over k, continued from what the tile holds, so that cutting k into blocks changes no bit.

use crate::isa::Isa;
use crate::kernel::Kernel;

/// Whether a tile begins its sums or goes on with those of the block before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From zero.
    Zero,
    /// From what stands in the tile.
    Tile,
}

/// Multiplies some rows of a and a panel of b: k, the first element of a and the distances between its rows
/// and between its steps of k, the panel of b [k, columns], the tile's first element, the distance between
/// the tile's rows, and where the sums start.
///
/// # Safety
/// All rows of a have k elements, the panel of b k·columns; the tile's rows are writable.
pub type TileBody = unsafe fn(usize, *const f32, (usize, usize), *const f32, *mut f32, usize, Start);

/// A tile's size and its bodies.
#[derive(Clone, Copy)]
pub struct Tile {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// The bodies by height, highest first; the last is for one row.
    bodies: &'static [(usize, TileBody)],
}

impl Tile {
    /// The highest body for at most `n_rows` rows, which are not none, and its height.
    pub(super) fn highest(&self, n_rows: usize) -> (usize, TileBody) {
        *self.bodies.iter().find(|(height, _)| *height <= n_rows).expect("the last body is for one row")
    }
}

/// The tiles of the prompt product.
///
/// Sixteen AVX2 registers hold 6 x 2 sums, two vectors of b and one of a; 32 AVX-512 registers hold 14 x 2
/// sums, two vectors of b and one of a: the more sums, the fewer loads per multiply-add. 32 NEON registers, a quarter
/// of those, hold 6 x 4 sums, four of b and one of a. Lower tiles are for the rows that are left over.
pub static PROMPT: Kernel<Tile> = Kernel::new(
    "product (prompt)",
    &[
        (Isa::Scalar, Tile { rows: 4, columns: 16, bodies: &[(4, scalar::<4>), (1, scalar::<1>)] }),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, Tile { rows: 6, columns: 16, bodies: &vector::AVX2 }),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, Tile { rows: 14, columns: 32, bodies: &vector::AVX512 }),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, Tile { rows: 6, columns: 16, bodies: &vector::NEON }),
    ],
);

unsafe fn scalar<const ROWS: usize>(
    k: usize,
    a: *const f32,
    (row_stride, k_stride): (usize, usize),
    b: *const f32,
    tile: *mut f32,
    stride: usize,
    start: Start,
) {
    const COLUMNS: usize = 16;
    // SAFETY: the caller's promise about the panel and the tile.
    let (b, tile) = unsafe {
        let tile: [&mut [f32; COLUMNS]; ROWS] =
            std::array::from_fn(|row| &mut *tile.add(row * stride).cast());
        (std::slice::from_raw_parts(b, k * COLUMNS), tile)
    };
    let mut sums = [[0.0; COLUMNS]; ROWS];
    if start == Start::Tile {
        sums = std::array::from_fn(|row| *tile[row]);
    }
    for (k, b) in b.chunks_exact(COLUMNS).enumerate() {
        for row in 0..ROWS {
            // SAFETY: the caller's promise about a.
            let factor = unsafe { *a.add(row * row_stride + k * k_stride) };
            for column in 0..COLUMNS {
                sums[row][column] += factor * b[column];
            }
        }
    }
    for (tile, sums) in tile.into_iter().zip(sums) {
        *tile = sums;
    }
}

mod vector {
    use super::{Start, TileBody};
    use crate::fetch;
    #[cfg(target_arch = "aarch64")]
    use crate::lanes::Neon;
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes};

    /// How many steps of k ahead a and b are fetched; behind the end of a panel of b stands the next one.
    const A_AHEAD: usize = 16;
    const B_AHEAD: usize = 8;

    #[cfg(target_arch = "x86_64")]
    pub static AVX2: [(usize, TileBody); 4] =
        [(6, avx2::<6>), (4, avx2::<4>), (2, avx2::<2>), (1, avx2::<1>)];

    #[cfg(target_arch = "x86_64")]
    pub static AVX512: [(usize, TileBody); 5] =
        [(14, avx512::<14>), (8, avx512::<8>), (4, avx512::<4>), (2, avx512::<2>), (1, avx512::<1>)];

    #[cfg(target_arch = "aarch64")]
    pub static NEON: [(usize, TileBody); 4] =
        [(6, body::<Neon, 6, 1>), (4, body::<Neon, 4, 1>), (2, body::<Neon, 2, 1>), (1, body::<Neon, 1, 1>)];

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn avx2<const ROWS: usize>(
        k: usize,
        a: *const f32,
        a_strides: (usize, usize),
        b: *const f32,
        tile: *mut f32,
        stride: usize,
        start: Start,
    ) {
        // SAFETY: this function has the features, its caller the operands and the tile.
        unsafe { body::<Avx2, ROWS, 1>(k, a, a_strides, b, tile, stride, start) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    unsafe fn avx512<const ROWS: usize>(
        k: usize,
        a: *const f32,
        a_strides: (usize, usize),
        b: *const f32,
        tile: *mut f32,
        stride: usize,
        start: Start,
    ) {
        // SAFETY: as above.
        unsafe { body::<Avx512, ROWS, 2>(k, a, a_strides, b, tile, stride, start) }
    }

    #[inline(always)]
    unsafe fn body<V: Lanes, const ROWS: usize, const VECTORS: usize>(
        k: usize,
        a: *const f32,
        (row_stride, k_stride): (usize, usize),
        b: *const f32,
        tile: *mut f32,
        stride: usize,
        start: Start,
    ) {
        // SAFETY: a has ROWS rows of k elements, the panel k·VECTORS·16, and the tile ROWS rows of
        // VECTORS·16.
        unsafe {
            let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
            if start == Start::Tile {
                for row in 0..ROWS {
                    for vector in 0..VECTORS {
                        sums[row][vector] = V::load(tile.add(row * stride + vector * LANES));
                    }
                }
            }
            // From one pointer x86 addresses reach 0, 1, 2 and 4 strides, and 3 with a second register.
            let mut first = a;
            let mut fifth = a.wrapping_add(5 * row_stride);
            let mut tenth = a.wrapping_add(10 * row_stride);
            let mut b = b;
            for _ in 0..k {
                fetch::first_cache(first.wrapping_add(A_AHEAD * k_stride));
                fetch::first_cache(first.wrapping_add(A_AHEAD * k_stride + (ROWS - 1) * row_stride));
                for vector in 0..VECTORS {
                    fetch::first_cache(b.wrapping_add((B_AHEAD * VECTORS + vector) * LANES));
                }
                let mut columns = [V::splat(0.0); VECTORS];
                for vector in 0..VECTORS {
                    columns[vector] = V::load(b.add(vector * LANES));
                }
                for row in 0..ROWS {
                    let factor = V::splat(*match row {
                        0..5 => first.add(row * row_stride),
                        5..10 => fifth.add((row - 5) * row_stride),
                        _ => tenth.add((row - 10) * row_stride),
                    });
                    for vector in 0..VECTORS {
                        sums[row][vector] = factor.mul_add(columns[vector], sums[row][vector]);
                    }
                }
                first = first.wrapping_add(k_stride);
                fifth = fifth.wrapping_add(k_stride);
                tenth = tenth.wrapping_add(k_stride);
                b = b.add(VECTORS * LANES);
            }
            for row in 0..ROWS {
                for vector in 0..VECTORS {
                    sums[row][vector].store(tile.add(row * stride + vector * LANES));
                }
            }
        }
    }
}
