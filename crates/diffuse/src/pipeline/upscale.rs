//! Pictures made larger, tile by tile, so that a large one takes no more memory than a tile and its pixels.
//!
//! Each tile is computed with some pixels around it that are thrown away, so that its edges know what is beside them. As far
//! as a network sees no further than that, tiles give the numbers of the whole picture; published ones see further, but ever
//! less of it.

use std::ops::{ControlFlow, Range};

use burn::tensor::{Tensor, TensorData};
use models::images::upscaler::Upscaler;
use ops::Precision;
use ops::device::Device;

use super::pixels::values;
use crate::Error;
use crate::raster::{Raster, expect_size};

const COLOURS: usize = 3;

/// The size of tiles; both are multiples of 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Rows and columns of a tile.
    pub side: usize,
    /// Rows and columns around it that are computed too.
    pub margin: usize,
}

impl Tiling {
    /// What a hundred megabytes hold at the end of a network of the usual width.
    pub const USUAL: Self = Self { side: 128, margin: 16 };

    /// Pixels of a tile with what is around it.
    pub fn pixels(self) -> u64 {
        let side = (self.side + 2 * self.margin) as u64;
        side * side
    }

    fn tiles(self, size: usize) -> impl Iterator<Item = Range<usize>> {
        (0..size).step_by(self.side.max(1)).map(move |from| from..size.min(from + self.side.max(1)))
    }

    fn around(self, tile: &Range<usize>, size: usize) -> Range<usize> {
        tile.start.saturating_sub(self.margin)..size.min(tile.end + self.margin)
    }
}

/// Makes a picture larger; `watch` is told the tiles that are done, and all of them.
///
/// # Errors
/// `Image` for a picture that would be larger than [`crate::raster::MAX_PIXELS`], `Stopped` when the watcher says so.
pub fn enlarged(
    (model, tiling): (&Upscaler, Tiling),
    picture: &Raster,
    (precision, device): (Precision, &Device),
    watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Raster, Error> {
    let (scale, [width, height]) = (model.scale(), picture.size());
    let size = [width, height].map(|side| side.saturating_mul(scale));
    expect_size(size)?;
    let mut large = vec![0; size[0] * size[1] * COLOURS];
    let n_tiles = tiling.tiles(width).count() * tiling.tiles(height).count();
    let tiles =
        tiling.tiles(height).flat_map(|rows| tiling.tiles(width).map(move |columns| (rows.clone(), columns)));
    for (index, (rows, columns)) in tiles.enumerate() {
        let (around, beside) = (tiling.around(&rows, height), tiling.around(&columns, width));
        let tile = tensor(picture, (&around, &beside), (model.multiple(), device));
        let n_columns = tile.dims()[2] * scale;
        let found = values(model.forward(tile, precision))?;
        for row in rows.start * scale..rows.end * scale {
            let from =
                ((row - around.start * scale) * n_columns + (columns.start - beside.start) * scale) * COLOURS;
            let to = (row * size[0] + columns.start * scale) * COLOURS;
            let n = columns.len() * scale * COLOURS;
            let bytes =
                found[from..from + n].iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8);
            large[to..to + n].iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        }
        if watch(index + 1, n_tiles).is_break() {
            return Err(Error::Stopped { step: index + 1 });
        }
    }
    Raster::new(large, size)
}

/// A part of a picture; beyond its end it goes back, so that both sides are multiples.
///
/// # Shapes
/// → `[1, Y, X, 3]` from 0 to 1.
fn tensor(
    picture: &Raster,
    (rows, columns): (&Range<usize>, &Range<usize>),
    (multiple, device): (usize, &Device),
) -> Tensor<4> {
    let [width, height] = picture.size();
    let back =
        |at: usize, size: usize| if at < size { at } else { (2 * size).saturating_sub(at + 2).min(size - 1) };
    let [n_rows, n_columns] = [rows, columns].map(|range| range.len().next_multiple_of(multiple));
    let mut colours = Vec::with_capacity(n_rows * n_columns * COLOURS);
    for row in rows.start..rows.start + n_rows {
        for column in columns.start..columns.start + n_columns {
            let at = (back(row, height) * width + back(column, width)) * COLOURS;
            colours.extend(picture.data()[at..at + COLOURS].iter().map(|byte| f32::from(*byte) / 255.0));
        }
    }
    Tensor::from_data(TensorData::new(colours, [1, n_rows, n_columns, COLOURS]), device)
}
