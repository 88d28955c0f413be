//! Pixels to latents: where a picture is made of another.

use burn::tensor::{Tensor, TensorData};
use models::images::auto_encoder::{AutoEncoder, Tiles};
use ops::Precision;
use ops::device::Device;

use super::pixels::{TILED_FROM, to_host};
use crate::latent::sum;
use crate::raster::{Mask, Raster, expect_multiple};
use crate::{Error, Latent};

/// What an auto-encoder knows of a picture's latents, as a model computes with them.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// 1 C y x.
    mean: Latent,
    /// How far they may lie from it.
    deviation: Latent,
}

impl Encoded {
    /// The likeliest latents.
    ///
    /// # Shapes
    /// 1 C y x.
    pub fn mean(&self) -> &Latent {
        &self.mean
    }

    /// The latents that noise of mean 0 and variance 1 chooses.
    ///
    /// # Shapes
    /// 1 C y x → the same.
    ///
    /// # Errors
    /// `Shape` for noise of other sides.
    pub fn sample(&self, noise: &Latent) -> Result<Latent, Error> {
        noise.expect_shape("noise", self.mean.shape())?;
        let mut sample = self.mean.clone();
        let added = self.deviation.data().iter().zip(noise.data());
        sample.data_mut().iter_mut().zip(added).for_each(|(value, (wide, noise))| *value += wide * noise);
        Ok(sample)
    }
}

/// Encodes a picture; where a mask says that it is made anew, it is grey.
///
/// # Shapes
/// Y X 3, both sides multiples of the auto-encoder's shrinking → 1 C y x.
///
/// # Errors
/// `Image` for other sides, or a mask of other sides; `Model` for an auto-encoder of other colours.
pub fn encoded(
    encoder: &AutoEncoder,
    (picture, mask): (&Raster, Option<&Mask>),
    (precision, device): (Precision, &Device),
) -> Result<Encoded, Error> {
    let (config, [width, height]) = (encoder.config(), picture.size());
    expect_multiple([width, height], config.shrinking())?;
    if config.colours != 3 {
        return Err(Error::Model(format!("its auto-encoder has {} colours, not 3", config.colours)));
    }
    let mut colours = picture.colours();
    if let Some(mask) = mask {
        if mask.size() != picture.size() {
            return Err(Error::Image("a mask has the size of its picture".to_owned()));
        }
        let pixels = colours.chunks_exact_mut(3).zip(mask.is_new()).filter(|(_, is_new)| **is_new);
        pixels.for_each(|(pixel, _)| pixel.fill(0.0));
    }
    let pixels = Tensor::<4>::from_data(TensorData::new(colours, [1, height, width, 3]), device);
    let moments = match width.max(height) > TILED_FROM {
        true => encoder.encode_tiled(pixels, Tiles::USUAL, precision),
        false => encoder.encode(pixels, precision),
    };
    // Scaling is a line for each number, so a deviation is the scaled distance of two points.
    let wide = moments.log_variance.mul_scalar(0.5).exp(); // [1, y, x, C]
    let mean = to_host(encoder.scaled(moments.mean.clone()))?;
    let deviation = to_host(encoder.scaled(wide))?;
    let zero = to_host(encoder.scaled(moments.mean.zeros_like()))?;
    Ok(Encoded { mean, deviation: sum(&[(1.0, &deviation), (-1.0, &zero)]) })
}
