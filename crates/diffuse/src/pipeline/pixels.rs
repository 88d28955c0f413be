//! Latents to pixels.

use burn::tensor::{Tensor, TensorData};
use models::images::TinyDecoder;
use models::images::auto_encoder::{AutoEncoder, Tiles};
use ops::Precision;
use ops::device::Device;

use crate::raster::{Raster, expect_size};
use crate::{Error, Latent, Shape};

/// Pixels on a side from which an auto-encoder computes in tiles: one whole picture of these sides takes about 4 GB.
pub(super) const TILED_FROM: usize = 1024;

/// The colours of latents, red, green and blue in eight bits, as a model computes with them.
///
/// # Shapes
/// N C y x → for each picture `Y · X · 3` bytes.
///
/// # Errors
/// `Model` for latents of other channels than the auto-encoder's.
pub fn pixels(
    encoder: &AutoEncoder,
    latent: &Latent,
    (precision, device): (Precision, &Device),
) -> Result<Vec<Vec<u8>>, Error> {
    let (shape, config) = (latent.shape(), encoder.config());
    if shape.channels != config.latents || config.colours != 3 {
        let message = format!("its auto-encoder reads {} channels, not {}", config.latents, shape.channels);
        return Err(Error::Model(message));
    }
    let scaled = encoder.unscaled(to_device(latent, device)); // [N, y, x, C]
    let is_large = shape.rows.max(shape.columns) * config.shrinking() > TILED_FROM;
    let colours = match is_large {
        true => encoder.decode_tiled(scaled, Tiles::USUAL, precision),
        false => encoder.decode(scaled, precision),
    }; // [N, Y, X, 3]
    let values = values(colours)?;
    let size = values.len() / shape.pictures.max(1);
    let byte = |value: &f32| ((value * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
    Ok(values.chunks_exact(size.max(1)).map(|picture| picture.iter().map(byte).collect()).collect())
}

/// The first picture of latents, as a tiny auto-encoder makes it.
///
/// # Shapes
/// N C y x → 8·y x 8·x pixels.
///
/// # Errors
/// `Model` for latents of other channels than its, `Image` for a picture of nothing, or one that is too large.
pub fn small(
    decoder: &TinyDecoder,
    latent: &Latent,
    (precision, device): (Precision, &Device),
) -> Result<Raster, Error> {
    let Shape { channels, rows, columns, .. } = latent.shape();
    let size = [columns, rows].map(|side| side.saturating_mul(decoder.scale()));
    expect_size(size)?;
    if channels != decoder.latents() || latent.data().is_empty() {
        let message = format!("the tiny auto-encoder reads {} channels, not {channels}", decoder.latents());
        return Err(Error::Model(message));
    }
    let first = to_device(latent, device).narrow(0, 0, 1); // [1, y, x, C]
    let values = values(decoder.decode(first, precision))?;
    Raster::new(values.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect(), size)
}

/// Latents as models have them.
///
/// # Shapes
/// N C Y X → `[N, Y, X, C]`.
pub(super) fn to_device(x: &Latent, device: &Device) -> Tensor<4> {
    let Shape { pictures, channels, rows, columns } = x.shape();
    let data = TensorData::new(x.data().to_vec(), [pictures, channels, rows, columns]);
    Tensor::<4>::from_data(data, device).permute([0, 2, 3, 1]) // [N, Y, X, C]
}

/// Latents as samplers have them.
///
/// # Shapes
/// `[N, Y, X, C]` → N C Y X.
///
/// # Errors
/// `Model` where they are no numbers of 32 bits.
pub(super) fn to_host(x: Tensor<4>) -> Result<Latent, Error> {
    let [pictures, rows, columns, channels] = x.dims();
    Latent::new(values(x.permute([0, 3, 1, 2]))?, Shape::new(pictures, channels, rows, columns)?)
}

/// The numbers of a tensor, row-major.
///
/// # Errors
/// `Model` where they are none of 32 bits.
pub(crate) fn values<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>, Error> {
    x.into_data().try_to_vec().map_err(|error| Error::Model(format!("{error:?}")))
}
