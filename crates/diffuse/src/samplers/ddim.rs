//! DDIM: without fresh noise Euler's line; with all of it the ancestral one.
//!
//! Source: J. Song et al., "Denoising Diffusion Implicit Models" (2021), equation 12, whose coordinates are these
//! divided by √(1 + σ²).

use super::{Watch, euler_ancestral};
use crate::denoise::Denoise;
use crate::noise::Noise;
use crate::{Error, Latent};

/// Walks in straight lines, with `eta` (0 unless said otherwise) of the noise fresh; see
/// [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn ddim(
    denoise: &mut dyn Denoise,
    x: Latent,
    sigmas: &[f32],
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    let eta = noise.settings.eta.unwrap_or(0.0);
    euler_ancestral::with_eta((denoise, x, sigmas), noise, eta, watch)
}
