//! A transformer of flow matching as something that a sampler can ask.
//!
//! Its answer is the direction from picture to noise, at a time that is the noise level itself.

use burn::tensor::Tensor;
use models::images::flux::{self, Flux};
use models::images::z_image::{self, ZImage};
use ops::Precision;
use ops::device::Device;

use super::Text;
use super::pixels::{to_device, to_host};
use crate::denoise::{Predict, Row, Side};
use crate::{Error, Latent, Shape};

/// A transformer with its weights.
pub enum Transformer {
    /// FLUX.1 or FLUX.2.
    Flux(Box<Flux>),
    /// Z-Image.
    ZImage(Box<ZImage>),
}

/// How the channels of latents lie while noise is drawn and walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As the auto-encoder has them.
    None,
    /// Four pixels as one of four times as many channels: FLUX.2.
    Patches,
}

impl Packing {
    /// Pixels of latents on a side of what is one here.
    pub fn side(self) -> usize {
        match self {
            Self::None => 1,
            Self::Patches => 2,
        }
    }

    /// From what is walked to what the auto-encoder has.
    ///
    /// # Shapes
    /// N 4·C Y X → N C 2·Y 2·X, where patches are walked.
    ///
    /// # Errors
    /// `Model` for channels that are no patches.
    pub fn unpacked(self, x: &Latent) -> Result<Latent, Error> {
        self.moved(x, |shape, side| {
            let (channels, rows) = (shape.channels / (side * side), shape.rows * side);
            Shape::new(shape.pictures, channels, rows, shape.columns * side)
        })
    }

    /// The way back.
    ///
    /// # Shapes
    /// N C 2·Y 2·X → N 4·C Y X, where patches are walked.
    ///
    /// # Errors
    /// `Model` for sides that are no patches.
    pub fn packed(self, x: &Latent) -> Result<Latent, Error> {
        self.moved(x, |shape, side| {
            let (channels, rows) = (shape.channels * side * side, shape.rows / side);
            Shape::new(shape.pictures, channels, rows, shape.columns / side)
        })
    }

    /// Every value in its place of a shape that `becomes` says.
    fn moved(
        self,
        x: &Latent,
        becomes: impl Fn(Shape, usize) -> Result<Shape, Error>,
    ) -> Result<Latent, Error> {
        let side = self.side();
        if side == 1 {
            return Ok(x.clone());
        }
        let (from, to) = (x.shape(), becomes(x.shape(), side)?);
        if from.elements() != to.elements() {
            return Err(Error::Model(format!("latents of {from} are no patches")));
        }
        // The one of both shapes with fewer channels is that of pixels.
        let is_packed = from.channels > to.channels;
        let (pixels, patches) = if is_packed { (to, from) } else { (from, to) };
        let mut moved = Latent::zeros(to)?;
        let values = moved.data_mut();
        for at in 0..from.elements() {
            let column = at % pixels.columns;
            let row = at / pixels.columns % pixels.rows;
            let channel = at / (pixels.columns * pixels.rows) % pixels.channels;
            let picture = at / pixels.per_picture();
            let channel = (channel * side + row % side) * side + column % side;
            let patch = ((picture * patches.channels + channel) * patches.rows + row / side)
                * patches.columns
                + column / side;
            match is_packed {
                true => values[at] = x.data()[patch],
                false => values[patch] = x.data()[at],
            }
        }
        Ok(moved)
    }
}

/// A transformer, and what it is asked with at every step.
pub struct FlowSight<'a> {
    transformer: &'a Transformer,
    /// Of the prompt, and of the negative one.
    texts: [&'a Text; 2],
    /// How strongly the prompt pulls, for models that know it themselves.
    guidance: f32,
    packing: Packing,
    /// The latents of a picture that it sees beside its own.
    reference: Option<&'a Latent>,
    precision: Precision,
    device: &'a Device,
}

impl Transformer {
    /// Channels of the auto-encoder's latents that it reads.
    pub fn channels(&self) -> usize {
        match self {
            Self::Flux(model) => model.config().inputs / 4,
            Self::ZImage(model) => model.config().channels,
        }
    }

    /// Refuses a text that it does not read.
    ///
    /// # Errors
    /// `Model` for rows of another width, or without a pooled one.
    fn expect(&self, text: &Text) -> Result<(), Error> {
        let (width, pooled) = match self {
            Self::Flux(model) => (model.config().text_width, model.config().pooled_width),
            Self::ZImage(model) => (model.config().text_width, None),
        };
        let [rows, found] = text.states.dims();
        let found_pooled = text.pooled.as_ref().map(|pooled| pooled.dims()[1]);
        if rows == 0 || found != width || pooled.is_some() && found_pooled != pooled {
            return Err(Error::Model(format!(
                "its text encoders give rows of {found} and {found_pooled:?}, its transformer reads {width} and \
                 {pooled:?}"
            )));
        }
        Ok(())
    }
}

impl<'a> FlowSight<'a> {
    /// A model with what it reads of the prompt and of the negative one; `guidance` is how strongly the prompt pulls, for
    /// models that know it themselves.
    ///
    /// # Errors
    /// `Model` for parts that do not belong together.
    pub fn new(
        transformer: &'a Transformer,
        texts: [&'a Text; 2],
        (guidance, packing): (f32, Packing),
        (precision, device): (Precision, &'a Device),
    ) -> Result<Self, Error> {
        texts.iter().try_for_each(|text| transformer.expect(text))?;
        Ok(Self { transformer, texts, guidance, packing, reference: None, precision, device })
    }

    /// The same, which sees a picture beside its own: FLUX.2.
    ///
    /// # Shapes
    /// 1 C y x, as the auto-encoder has them.
    #[must_use]
    pub fn beside(self, reference: Option<&'a Latent>) -> Self {
        Self { reference, ..self }
    }

    /// The answer for one picture beside one text.
    ///
    /// # Shapes
    /// `latents` `[1, H, W, C]` → the same.
    fn answer(&self, latents: Tensor<4>, sigma: f32, text: &Text) -> Tensor<4> {
        match self.transformer {
            Transformer::Flux(model) => {
                let input = flux::Input {
                    latents,
                    times: &[sigma],
                    guidance: &[self.guidance],
                    text: text.states.clone().unsqueeze_dim(0), // [1, S, D]
                    pooled: text.pooled.clone(),
                    reference: self.reference.map(|reference| to_device(reference, self.device)),
                };
                model.forward(input, self.precision)
            }
            Transformer::ZImage(model) => {
                // It counts time from noise to picture, and answers with the way there.
                let times = [1.0 - sigma];
                let input =
                    z_image::Input { latents, times: &times, texts: std::slice::from_ref(&text.states) };
                model.forward(input, self.precision).neg()
            }
        }
    }
}

impl Predict for FlowSight<'_> {
    fn predict(&mut self, x: &Latent, timestep: f32, rows: &[Row]) -> Result<Latent, Error> {
        let latents = self.packing.unpacked(x)?;
        let (shape, channels) = (latents.shape(), self.transformer.channels());
        let is_even =
            shape.rows.is_multiple_of(2) && shape.columns.is_multiple_of(2) && shape.per_picture() > 0;
        if shape.channels != channels || shape.pictures != rows.len() || rows.is_empty() || !is_even {
            return Err(Error::Model(format!(
                "it reads {channels} channels of even sides, not {} of {shape}",
                shape.channels
            )));
        }
        let latents = to_device(&latents, self.device); // [R, H, W, C]
        let answer = |(at, row): (usize, &Row)| {
            let text = self.texts[usize::from(row.side == Side::Negative)];
            self.answer(latents.clone().narrow(0, at, 1), timestep, text)
        };
        let answers = rows.iter().enumerate().map(answer).collect();
        self.packing.packed(&to_host(Tensor::cat(answers, 0))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_four_pixels_of_a_channel_one_behind_another() {
        // Two channels of 2 x 4 pixels.
        let values: Vec<f32> = (0..16).map(|value| value as f32).collect();
        let x = Latent::new(values, Shape::new(1, 2, 2, 4).unwrap()).unwrap();
        let packed = Packing::Patches.packed(&x).unwrap();
        assert_eq!(packed.shape(), Shape::new(1, 8, 1, 2).unwrap());
        let expected = [0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15].map(|value| value as f32);
        assert_eq!(packed.data(), expected);
        assert_eq!(Packing::Patches.unpacked(&packed).unwrap(), x);
        assert_eq!(Packing::None.packed(&x).unwrap(), x);
        let odd = Latent::zeros(Shape::new(1, 2, 3, 4).unwrap()).unwrap();
        assert!(Packing::Patches.packed(&odd).is_err());
        assert!(Packing::Patches.unpacked(&odd).is_err());
    }
}
