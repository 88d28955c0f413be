//! A U-Net as something that a sampler can ask: latents on the host in, what it sees out.

use std::cell::RefCell;

use burn::tensor::Tensor;
use models::images::probe::Probe;
use models::images::unet::{Added, Input, UNet};
use ops::Precision;
use ops::device::Device;

use super::pixels::{to_device, values};
use super::{Condition, Controls, Kind};
use crate::denoise::{Predict, Row, Side};
use crate::glass::Gaze;
use crate::{Error, Latent, Shape};

/// How beautiful a picture is to be, from 1 to 10, and how beautiful what it is not to be like.
///
/// Source: what the refiner's published pipeline asks for.
const BEAUTY: [f32; 2] = [6.0, 2.5];

/// A model, and what it is asked with at every step.
pub struct Sight<'a> {
    unet: &'a UNet,
    /// Of the prompt, and of the negative one.
    conditions: [&'a Condition; 2],
    /// Numbers about the picture, where the model adds them to the time: beside the prompt, and beside the negative one.
    numbers: [Vec<f32>; 2],
    /// Who sees what the picture looks at.
    gaze: Option<&'a RefCell<Gaze>>,
    /// The maps that guide it.
    controls: Option<&'a Controls<'a>>,
    precision: Precision,
    device: &'a Device,
}

impl<'a> Sight<'a> {
    /// A model for pictures of this width and height in pixels, with what it reads of the prompt and of the negative one.
    ///
    /// # Errors
    /// `Model` for parts that do not belong together.
    pub fn new(
        unet: &'a UNet,
        conditions: [&'a Condition; 2],
        (kind, [width, height]): (Kind, [usize; 2]),
        (precision, device): (Precision, &'a Device),
    ) -> Result<Self, Error> {
        let [width, height] = [width as f32, height as f32];
        let numbers = match kind {
            Kind::Stable => [Vec::new(), Vec::new()],
            Kind::Xl => [(); 2].map(|()| vec![height, width, 0.0, 0.0, height, width]),
            Kind::Refiner => BEAUTY.map(|beauty| vec![height, width, 0.0, 0.0, beauty]),
        };
        let config = unet.config();
        for condition in conditions {
            let (text, pooled) = (condition.states.dims()[2], condition.pooled.dims()[1]);
            if text != config.text_width {
                let message =
                    format!("its text encoders give rows of {text}, its unet reads {}", config.text_width);
                return Err(Error::Model(message));
            }
            if let Some(added) = &config.added
                && pooled + numbers[0].len() * added.wave != added.width
            {
                let message = format!(
                    "{pooled} numbers of the text and {} of the picture do not fit its unet",
                    numbers[0].len()
                );
                return Err(Error::Model(message));
            }
        }
        Ok(Self { unet, conditions, numbers, gaze: None, controls: None, precision, device })
    }

    /// The same, with somebody who sees what the picture looks at.
    #[must_use]
    pub fn watched_by(self, gaze: Option<&'a RefCell<Gaze>>) -> Self {
        Self { gaze, ..self }
    }

    /// The same, guided by maps.
    #[must_use]
    pub fn guided_by(self, controls: Option<&'a Controls<'a>>) -> Self {
        Self { controls, ..self }
    }

    /// The model's answer for one row of each side.
    ///
    /// # Shapes
    /// `x` `[R, Y, X, C]` → `[R, Y, X, O]`.
    fn answer(&self, x: Tensor<4>, timestep: f32, sides: &[Side]) -> Tensor<4> {
        let of = |side: &Side| self.conditions[usize::from(*side == Side::Negative)];
        let text = Tensor::cat(sides.iter().map(|side| of(side).states.clone()).collect(), 0); // [R, S, D]
        let pooled = Tensor::cat(sides.iter().map(|side| of(side).pooled.clone()).collect(), 0); // [R, P]
        let numbers = sides.iter().flat_map(|side| &self.numbers[usize::from(*side == Side::Negative)]);
        let numbers: Vec<f32> = numbers.copied().collect();
        let added = self.unet.config().added.is_some().then(|| Added { pooled, numbers: &numbers });
        let times = vec![timestep; sides.len()];
        let input = Input { latents: x, times: &times, text, added };
        let residuals = self.controls.and_then(|controls| controls.residuals(&input, self.precision));
        let mut gaze = self.gaze.map(RefCell::borrow_mut);
        if let Some(gaze) = &mut gaze {
            gaze.look_at(sides.iter().position(|side| *side == Side::Positive));
        }
        let probe = gaze.as_deref_mut().map(|gaze| gaze as &mut dyn Probe);
        self.unet.forward_guided(input, residuals, self.precision, probe)
    }
}

impl Predict for Sight<'_> {
    fn predict(&mut self, x: &Latent, timestep: f32, rows: &[Row]) -> Result<Latent, Error> {
        let (shape, inputs) = (x.shape(), self.unet.config().inputs);
        if shape.channels != inputs || shape.pictures != rows.len() || rows.is_empty() {
            return Err(Error::Model(format!(
                "it reads {inputs} channels, not {} of {shape}",
                shape.channels
            )));
        }
        self.controls.map_or(Ok(()), |controls| controls.expect(x))?;
        let x = to_device(x, self.device); // [R, Y, X, C]
        let sides: Vec<Side> = rows.iter().map(|row| row.side).collect();
        let lengths = self.conditions.map(|condition| condition.states.dims()[1]);
        let answer = if lengths[0] == lengths[1] {
            self.answer(x, timestep, &sides)
        } else {
            // Prompts of different lengths are asked one by one.
            let one = |at: usize| self.answer(x.clone().narrow(0, at, 1), timestep, &sides[at..=at]);
            Tensor::cat((0..sides.len()).map(one).collect(), 0)
        };
        let channels = answer.dims()[3];
        Latent::new(values(answer.permute([0, 3, 1, 2]))?, Shape { channels, ..shape })
    }
}
