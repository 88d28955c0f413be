//! The boundary condition of latent consistency models: near the end of their time they answer their input.
//!
//! Source: S. Luo et al., "Latent Consistency Models" (2023), equation 9, with σ_data = 0.5 and timesteps times 10, as
//! the published models were distilled.

use super::{Denoise, Path};
use crate::latent::sum;
use crate::schedule::Clock;
use crate::{Error, Latent};

const DATA: f64 = 0.5;
const TIMESTEP_SCALE: f64 = 10.0;

/// A denoiser around a latent consistency model.
pub struct Consistency<'a> {
    /// The model.
    pub inner: &'a mut dyn Denoise,
    /// From noise levels to timesteps.
    pub clock: Clock,
}

impl Denoise for Consistency<'_> {
    fn denoise(&mut self, x: &Latent, sigma: f32) -> Result<Latent, Error> {
        let seen = self.inner.denoise(x, sigma)?;
        seen.expect_shape("the model's answer", x.shape())?;
        let time = TIMESTEP_SCALE * f64::from(self.clock.timestep(sigma));
        let whole = time * time + DATA * DATA;
        let input_scale = (1.0 + f64::from(sigma).powi(2)).sqrt().recip();
        let of_input = DATA * DATA / whole * input_scale;
        Ok(sum(&[(time / whole.sqrt(), &seen), (of_input, x)]))
    }

    fn path(&self) -> Path {
        self.inner.path()
    }
}
