//! From a model's raw answer to the picture that it sees in the noise: what samplers ask for at every step.
//!
//! A model predicts noise, velocity, the picture or the flow; all of these tell the picture. Guidance (two answers made
//! one) and inpainting (what is known stands) are denoisers around denoisers. Does not know tensors, devices or prompts:
//! whoever implements [`Predict`] does.

mod consistency;
mod guided;
mod inpaint;

use crate::latent::sum;
use crate::{Error, Latent};

pub use consistency::Consistency;
pub use guided::{Guided, Predict, Row, Side};
pub use inpaint::{Inpaint, Known, Renoised};

/// Tells the picture in the noise.
pub trait Denoise {
    /// The pictures that the model sees in `x` at noise level `sigma`.
    ///
    /// # Shapes
    /// `x`: N C Y X; the answer has the same shape.
    ///
    /// # Errors
    /// Whatever keeps the model from computing.
    fn denoise(&mut self, x: &Latent, sigma: f32) -> Result<Latent, Error>;

    /// How pictures and noise are mixed.
    fn path(&self) -> Path {
        Path::Exploding
    }
}

/// How a picture x₀ and noise n are mixed at level σ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// x₀ + σ·n, σ from about 15 to 0: models that predict noise or velocity, in k-diffusion's coordinates.
    #[default]
    Exploding,
    /// (1 − σ)·x₀ + σ·n, σ from 1 to 0: flow matching.
    Flow,
}

impl Path {
    /// The factor of the picture at this level.
    pub fn signal(self, sigma: f32) -> f64 {
        match self {
            Self::Exploding => 1.0,
            Self::Flow => 1.0 - f64::from(sigma),
        }
    }

    /// The logarithm of signal over noise, λ = ln(α/σ); infinite without noise. Flow matching begins without signal:
    /// there it is that of a millionth, as in diffusers.
    pub fn lambda(self, sigma: f32) -> f64 {
        self.signal(sigma).max(1e-6).ln() - f64::from(sigma).ln()
    }

    /// `picture` as it is at this noise level: where image-to-image begins.
    ///
    /// # Errors
    /// `Shape` when noise and picture have different ones.
    pub fn noised(self, picture: &Latent, noise: &Latent, sigma: f32) -> Result<Latent, Error> {
        noise.expect_shape("noise", picture.shape())?;
        Ok(sum(&[(self.signal(sigma), picture), (f64::from(sigma), noise)]))
    }
}

/// What a model's numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// The noise ("epsilon").
    Noise,
    /// The velocity, α·n − σ·x₀ in coordinates where α² + σ² = 1 ("v prediction"). Source: T. Salimans and J. Ho,
    /// "Progressive Distillation for Fast Sampling of Diffusion Models" (2022).
    Velocity,
    /// The picture ("sample").
    Picture,
    /// The direction from picture to noise, n − x₀ ("flow", "rectified flow"). Source: X. Liu et al., "Flow Straight
    /// and Fast" (2022).
    Flow,
}

impl Prediction {
    /// How pictures and noise are mixed for a model that predicts this.
    pub fn path(self) -> Path {
        if self == Self::Flow { Path::Flow } else { Path::Exploding }
    }

    /// What `x` is multiplied by before the model sees it: models were trained on inputs of one variance.
    pub fn input_scale(self, sigma: f32) -> f64 {
        match self.path() {
            Path::Exploding => (1.0 + f64::from(sigma).powi(2)).sqrt().recip(),
            Path::Flow => 1.0,
        }
    }

    /// The factors of `x` and of the model's answer whose sum is the picture.
    pub fn to_picture(self, sigma: f32) -> (f64, f64) {
        let (level, scale) = (f64::from(sigma), self.input_scale(sigma));
        match self {
            Self::Noise | Self::Flow => (1.0, -level),
            Self::Velocity => (scale * scale, -level * scale),
            Self::Picture => (0.0, 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;

    #[test]
    fn every_prediction_tells_the_picture() {
        let shape = Shape::new(1, 1, 1, 3).unwrap();
        let picture = Latent::new(vec![0.5, -1.0, 2.0], shape).unwrap();
        let noise = Latent::new(vec![1.5, 0.25, -0.75], shape).unwrap();
        for (prediction, sigma) in [
            (Prediction::Noise, 3.0),
            (Prediction::Velocity, 3.0),
            (Prediction::Picture, 3.0),
            (Prediction::Flow, 0.7),
        ] {
            let x = prediction.path().noised(&picture, &noise, sigma).unwrap();
            let scale = prediction.input_scale(sigma);
            let raw = match prediction {
                Prediction::Noise => noise.clone(),
                Prediction::Velocity => sum(&[(scale, &noise), (-f64::from(sigma) * scale, &picture)]),
                Prediction::Picture => picture.clone(),
                Prediction::Flow => sum(&[(1.0, &noise), (-1.0, &picture)]),
            };
            let (of_x, of_raw) = prediction.to_picture(sigma);
            let found = sum(&[(of_x, &x), (of_raw, &raw)]);
            let apart =
                found.data().iter().zip(picture.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-6, "{prediction:?}: {found:?}");
        }
    }
}
