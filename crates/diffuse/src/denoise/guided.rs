//! A model as a denoiser: its answers for the prompt and for the negative prompt, in one call, made one.
//!
//! Sources: J. Ho and T. Salimans, "Classifier-Free Diffusion Guidance" (2022); S. Lin et al., "Common Diffusion Noise
//! Schedules and Sample Steps are Flawed" (2023), section 3.4, for the rescaling.

use super::{Denoise, Path, Prediction};
use crate::latent::{Shape, sum};
use crate::schedule::Clock;
use crate::{Error, Latent};

/// Which text a row of a batch is conditioned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The prompt.
    Positive,
    /// The negative prompt, or no text.
    Negative,
}

/// One row of a batch: which picture it is of, and under which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The picture's number in the walk, from 0.
    pub picture: usize,
    /// The text.
    pub side: Side,
}

/// A model that answers raw.
pub trait Predict {
    /// The model's answer for each row.
    ///
    /// # Shapes
    /// `x`: R C Y X, scaled as the model was trained on, with the known channels of inpainting models after the others;
    /// `rows`: R; the answer: R C Y X without the known channels. `timestep` is the same for all rows.
    ///
    /// # Errors
    /// Whatever keeps the model from computing.
    fn predict(&mut self, x: &Latent, timestep: f32, rows: &[Row]) -> Result<Latent, Error>;
}

/// A model, what its answers mean, and how strongly the prompt pulls.
pub struct Guided<'a> {
    /// The model.
    pub model: &'a mut dyn Predict,
    /// What its answers mean.
    pub prediction: Prediction,
    /// From noise levels to the timesteps that it knows.
    pub clock: Clock,
    /// How far to go from the negative answer through the positive one; 1 asks for the positive one only ("CFG scale").
    pub scale: f32,
    /// How much of the positive answer's contrast is given back, 0 to 1 ("guidance rescale").
    pub rescale: f32,
    /// Channels that stay as they are and are shown to the model with every picture: the mask and the masked picture
    /// of inpainting models. N C Y X, or one picture for all.
    pub known: Option<Latent>,
}

impl<'a> Guided<'a> {
    /// A model without guidance, rescaling or known channels.
    pub fn new(model: &'a mut dyn Predict, prediction: Prediction, clock: Clock) -> Self {
        Self { model, prediction, clock, scale: 1.0, rescale: 0.0, known: None }
    }

    fn is_guided(&self) -> bool {
        self.scale != 1.0
    }

    /// What the model sees: `x` scaled, the known channels behind it, twice when there are two texts.
    fn input(&self, x: &Latent, sigma: f32) -> Result<Latent, Error> {
        let scaled = x.clone().scaled(self.prediction.input_scale(sigma) as f32);
        let input = match &self.known {
            Some(known) => scaled.beside(known)?,
            None => scaled,
        };
        if self.is_guided() { input.stacked(&input) } else { Ok(input) }
    }

    /// The raw answer of both texts together.
    fn answer(&mut self, x: &Latent, sigma: f32) -> Result<Latent, Error> {
        let (input, shape) = (self.input(x, sigma)?, x.shape());
        let rows_of = |side| (0..shape.pictures).map(move |picture| Row { picture, side });
        let negative = self.is_guided().then(|| rows_of(Side::Negative));
        let rows: Vec<Row> = negative.into_iter().flatten().chain(rows_of(Side::Positive)).collect();
        let raw = self.model.predict(&input, self.clock.timestep(sigma), &rows)?;
        raw.expect_shape("the model's answer", Shape { pictures: rows.len(), ..shape })?;
        if !self.is_guided() {
            return Ok(raw);
        }
        let half = shape.elements();
        let negative = Latent::new(raw.data()[..half].to_vec(), shape)?;
        let positive = Latent::new(raw.data()[half..].to_vec(), shape)?;
        let scale = f64::from(self.scale);
        let mut guided = sum(&[(1.0 - scale, &negative), (scale, &positive)]);
        if self.rescale != 0.0 {
            rescale(&mut guided, &positive, f64::from(self.rescale));
        }
        Ok(guided)
    }
}

impl Denoise for Guided<'_> {
    fn denoise(&mut self, x: &Latent, sigma: f32) -> Result<Latent, Error> {
        let raw = self.answer(x, sigma)?;
        let (of_x, of_raw) = self.prediction.to_picture(sigma);
        Ok(sum(&[(of_x, x), (of_raw, &raw)]))
    }

    fn path(&self) -> Path {
        self.prediction.path()
    }
}

/// Each picture of `guided` gets the standard deviation of `positive`, for `share` of it.
fn rescale(guided: &mut Latent, positive: &Latent, share: f64) {
    let size = guided.shape().per_picture().max(1);
    let pictures = guided.data_mut().chunks_exact_mut(size).zip(positive.data().chunks_exact(size));
    for (guided, positive) in pictures {
        let (from, to) = (deviation(guided), deviation(positive));
        if from > 0.0 {
            let factor = (share * to / from + 1.0 - share) as f32;
            guided.iter_mut().for_each(|value| *value *= factor);
        }
    }
}

fn deviation(values: &[f32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
    (values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / n).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Betas, Training};

    /// Answers its input for the prompt and its negative for the other, and notes what it was asked.
    #[derive(Default)]
    struct Mirror {
        asked: Vec<(Shape, f32, Vec<Row>)>,
    }

    impl Predict for Mirror {
        fn predict(&mut self, x: &Latent, timestep: f32, rows: &[Row]) -> Result<Latent, Error> {
            self.asked.push((x.shape(), timestep, rows.to_vec()));
            let shape = Shape { channels: 2, ..x.shape() };
            let answer = rows.iter().enumerate().flat_map(|(at, row)| {
                let sign = if row.side == Side::Positive { 1.0 } else { -1.0 };
                x.picture(at)[..shape.per_picture()].iter().map(move |value| sign * value).collect::<Vec<_>>()
            });
            Latent::new(answer.collect(), shape)
        }
    }

    fn clock() -> Clock {
        Clock::Trained(Training::new(Betas::STABLE).unwrap())
    }

    fn pictures() -> Latent {
        let shape = Shape::new(2, 2, 1, 2).unwrap();
        Latent::new((0..8).map(|value| value as f32 - 3.0).collect(), shape).unwrap()
    }

    #[test]
    fn both_texts_are_asked_in_one_call() {
        let mut model = Mirror::default();
        let mut guided = Guided { scale: 3.0, ..Guided::new(&mut model, Prediction::Noise, clock()) };
        let (x, sigma) = (pictures(), 2.0);
        let found = guided.denoise(&x, sigma).unwrap();
        // -1 + 3 · (1 + 1) = 5 times the scaled input, times sigma, is taken off.
        let factor = 1.0 - 2.0 * 5.0 / 5.0_f32.sqrt();
        assert!(found.data().iter().zip(x.data()).all(|(found, x)| (found - factor * x).abs() < 1e-5));
        let [(shape, timestep, rows)] = model.asked.as_slice() else { panic!("one call") };
        assert_eq!(shape.pictures, 4);
        assert!(*timestep > 0.0 && *timestep < 999.0);
        let sides: Vec<_> = rows.iter().map(|row| (row.picture, row.side)).collect();
        assert_eq!(sides[0], (0, Side::Negative));
        assert_eq!(sides[3], (1, Side::Positive));
    }

    #[test]
    fn a_scale_of_one_asks_for_the_prompt_alone() {
        let mut model = Mirror::default();
        Guided::new(&mut model, Prediction::Velocity, clock()).denoise(&pictures(), 1.0).unwrap();
        assert!(model.asked[0].2.iter().all(|row| row.side == Side::Positive));
        assert_eq!(model.asked[0].0.pictures, 2);
    }

    #[test]
    fn rescaled_answers_have_the_contrast_of_the_prompts() {
        let (mut strong, x) = (pictures().scaled(7.0), pictures());
        rescale(&mut strong, &x, 1.0);
        assert!(strong.data().iter().zip(x.data()).all(|(a, b)| (a - b).abs() < 1e-5));
        let mut half = pictures().scaled(7.0);
        rescale(&mut half, &x, 0.5);
        assert!(half.data().iter().zip(x.data()).all(|(a, b)| (a - 4.0 * b).abs() < 1e-4));
    }

    #[test]
    fn known_channels_are_shown_with_every_picture() {
        let mut model = Mirror::default();
        let known = Latent::zeros(Shape::new(1, 5, 1, 2).unwrap()).unwrap();
        let mut guided = Guided { known: Some(known), ..Guided::new(&mut model, Prediction::Noise, clock()) };
        assert_eq!(guided.denoise(&pictures(), 1.0).unwrap().shape().channels, 2);
        guided.known = Some(Latent::zeros(Shape::new(1, 5, 2, 2).unwrap()).unwrap());
        assert!(matches!(guided.denoise(&pictures(), 1.0), Err(Error::Shape { what: "known channels", .. })));
        assert_eq!(model.asked[0].0.channels, 7);
    }
}
