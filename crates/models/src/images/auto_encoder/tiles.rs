//! Large pictures in tiles that overlap: where two meet, one fades into the other.
//!
//! The places of tiles and the fading are those of `diffusers`, so that its numbers come out.

use burn::tensor::{Tensor, TensorData};

/// The size of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// Rows and columns of the latents of a tile, of which a quarter overlaps the next; a multiple of 4.
    pub latents: usize,
}

impl Tiles {
    /// Tiles whose latents have 64 rows and columns: of most models, 512 rows and columns of the picture.
    pub const USUAL: Self = Self { latents: 64 };
}

/// Computes tiles of `before` rows and columns, each of which becomes `after`, and puts them together.
///
/// # Shapes
/// `x` `[N, H, W, C]` → `[N, H', W', O]`, where a tile has after/before times as many rows and columns.
///
/// # Panics
/// When the rows of a tile, before or after, are no multiple of 4.
pub(super) fn tiled(
    x: Tensor<4>,
    [before, after]: [usize; 2],
    compute: impl Fn(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let fits = [before, after].iter().all(|size| *size > 0 && size.is_multiple_of(4));
    assert!(fits, "tiles of {before} and {after} rows have no quarters");
    // Three quarters, rounded down; what overlaps, rounded down, is faded.
    let (stride, fade) = (before * 3 / 4, after / 4);
    let kept = after - fade;
    let [_, height, width, _] = x.dims();
    let mut above: Vec<Tensor<4>> = Vec::new();
    let mut rows = Vec::new();
    for top in (0..height).step_by(stride) {
        let strip = x.clone().narrow(1, top, before.min(height - top));
        let mut tiles: Vec<Tensor<4>> = Vec::new();
        for (column, left) in (0..width).step_by(stride).enumerate() {
            let mut tile = compute(strip.clone().narrow(2, left, before.min(width - left)));
            if let Some(above) = above.get(column) {
                tile = faded(above, tile, (1, fade));
            }
            if let Some(beside) = tiles.last() {
                tile = faded(beside, tile, (2, fade));
            }
            tiles.push(tile);
        }
        let shown = tiles.iter().map(|tile| first(first(tile.clone(), 1, kept), 2, kept)).collect();
        rows.push(Tensor::cat(shown, 2));
        above = tiles;
    }
    Tensor::cat(rows, 1)
}

fn first(x: Tensor<4>, dim: usize, n: usize) -> Tensor<4> {
    let size = x.dims()[dim];
    x.narrow(dim, 0, n.min(size))
}

/// `tile` with its first rows or columns growing out of the last ones of `before`.
fn faded(before: &Tensor<4>, tile: Tensor<4>, (dim, fade): (usize, usize)) -> Tensor<4> {
    let (old, size) = (before.dims()[dim], tile.dims()[dim]);
    let fade = fade.min(old).min(size);
    if fade == 0 {
        return tile;
    }
    let mut shape = [1; 4];
    shape[dim] = fade;
    let ramp: Vec<f32> = (0..fade).map(|at| at as f32 / fade as f32).collect();
    let ramp: Tensor<4> = Tensor::from_data(TensorData::new(ramp, shape), &tile.device());
    let ending = before.clone().narrow(dim, old - fade, fade);
    let beginning = tile.clone().narrow(dim, 0, fade);
    let mixed = ending * (ramp.clone().neg() + 1.0) + beginning * ramp;
    if fade == size {
        return mixed;
    }
    Tensor::cat(vec![mixed, tile.narrow(dim, fade, size - fade)], dim)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a picture that tiles do not change, nothing changes: every place is kept once, and what fades is the same twice.
    #[test]
    fn tiles_of_what_does_not_change_are_the_picture() {
        for [height, width] in [[8, 8], [9, 23], [4, 50], [17, 6]] {
            let values: Vec<f32> = (0..height * width * 2).map(|at| (at * 7 % 101) as f32).collect();
            let data = TensorData::new(values.clone(), [1, height, width, 2]);
            let x: Tensor<4> = Tensor::from_data(data, &ops::device::cpu());
            for tile in [8, 12] {
                let found = tiled(x.clone(), [tile, tile], |tile| tile);
                assert_eq!(found.dims(), [1, height, width, 2], "{tile}");
                let found: Vec<f32> = found.into_data().iter::<f32>().collect();
                let farthest = found.iter().zip(&values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(farthest < 1e-4, "{height}×{width} in tiles of {tile}: {farthest}");
            }
        }
    }

    /// Where two tiles of different brightness meet, one fades into the other in even steps.
    #[test]
    fn tiles_fade_into_each_other() {
        let data = TensorData::new(vec![0.0f32; 14], [1, 1, 14, 1]);
        let x: Tensor<4> = Tensor::from_data(data, &ops::device::cpu());
        let count = std::cell::Cell::new(-1.0f32);
        let found = tiled(x, [8, 8], |tile| {
            count.set(count.get() + 1.0);
            tile + count.get()
        });
        let found: Vec<f32> = found.into_data().iter::<f32>().collect();
        // Tiles begin at 0, 6 and 12; six columns of each are shown.
        let expected = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.5];
        assert_eq!(found, expected);
    }
}
