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

/// Multiplies two panels: k, the panel of a [k, rows], the panel of b [k, columns], the tile's first element,
/// the distance between the tile's rows, and where the sums start.
///
/// # Safety
/// The panels hold k·rows and k·columns elements and lie on 64 bytes; the tile's rows are writable.
pub type TileBody = unsafe fn(usize, *const f32, *const f32, *mut f32, usize, Start);

/// A tile's size and its body.
#[derive(Clone, Copy)]
pub struct Tile {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) body: TileBody,
}

/// The tiles of the prompt product.
///
/// Sixteen AVX2 registers hold 6 x 2 sums, two vectors of b and one of a; 32 AVX-512 registers hold 14 x 2
/// sums, two vectors of b and one of a: the more sums, the fewer loads per multiply-add.
pub static PROMPT: Kernel<Tile> = Kernel::new(
    "product (prompt)",
    &[
        (Isa::Scalar, Tile { rows: 4, columns: 16, body: scalar }),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, Tile { rows: 6, columns: 16, body: x86::avx2 }),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, Tile { rows: 14, columns: 32, body: x86::avx512 }),
    ],
);

unsafe fn scalar(k: usize, a: *const f32, b: *const f32, tile: *mut f32, stride: usize, start: Start) {
    const ROWS: usize = 4;
    const COLUMNS: usize = 16;
    // SAFETY: the caller's promise about the panels and the tile.
    let (a, b, tile) = unsafe {
        let tile: [&mut [f32; COLUMNS]; ROWS] =
            std::array::from_fn(|row| &mut *tile.add(row * stride).cast());
        (std::slice::from_raw_parts(a, k * ROWS), std::slice::from_raw_parts(b, k * COLUMNS), tile)
    };
    let mut sums = [[0.0; COLUMNS]; ROWS];
    if start == Start::Tile {
        sums = std::array::from_fn(|row| *tile[row]);
    }
    for (a, b) in a.chunks_exact(ROWS).zip(b.chunks_exact(COLUMNS)) {
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                sums[row][column] += a[row] * b[column];
            }
        }
    }
    for (tile, sums) in tile.into_iter().zip(sums) {
        *tile = sums;
    }
}

/// Asks the first cache for the line at an address, which need not be valid.
#[inline(always)]
pub(super) fn fetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Start, fetch};

    /// How many steps of k ahead a panel is fetched; behind its end stands the next one.
    const A_AHEAD: usize = 16;
    const B_AHEAD: usize = 8;

    use crate::lanes::{Avx2, Avx512, LANES, Lanes};

    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(k: usize, a: *const f32, b: *const f32, tile: *mut f32, stride: usize, start: Start) {
        // SAFETY: this function has the features, its caller the panels and the tile.
        unsafe { body::<Avx2, 6, 1>(k, a, b, tile, stride, start) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(
        k: usize,
        a: *const f32,
        b: *const f32,
        tile: *mut f32,
        stride: usize,
        start: Start,
    ) {
        // SAFETY: as above.
        unsafe { body::<Avx512, 14, 2>(k, a, b, tile, stride, start) }
    }

    #[inline(always)]
    unsafe fn body<V: Lanes, const ROWS: usize, const VECTORS: usize>(
        k: usize,
        a: *const f32,
        b: *const f32,
        tile: *mut f32,
        stride: usize,
        start: Start,
    ) {
        // SAFETY: the panels hold k·ROWS and k·VECTORS·16 elements, and the tile ROWS rows of VECTORS·16.
        unsafe {
            let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
            if start == Start::Tile {
                for row in 0..ROWS {
                    for vector in 0..VECTORS {
                        sums[row][vector] = V::load(tile.add(row * stride + vector * LANES));
                    }
                }
            }
            let (mut a, mut b) = (a, b);
            for _ in 0..k {
                fetch(a.wrapping_add(A_AHEAD * ROWS));
                for vector in 0..VECTORS {
                    fetch(b.wrapping_add((B_AHEAD * VECTORS + vector) * LANES));
                }
                let mut columns = [V::splat(0.0); VECTORS];
                for vector in 0..VECTORS {
                    columns[vector] = V::load(b.add(vector * LANES));
                }
                for row in 0..ROWS {
                    let factor = V::splat(*a.add(row));
                    for vector in 0..VECTORS {
                        sums[row][vector] = factor.mul_add(columns[vector], sums[row][vector]);
                    }
                }
                a = a.add(ROWS);
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
