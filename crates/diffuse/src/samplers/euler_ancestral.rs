//! Euler a: a straight line past the next level, and fresh noise back up to it.
//!
//! Source: K. Crowson, k-diffusion (2022); see `Ancestral`.

use super::{Ancestral, Watch, moved, stops};
use crate::denoise::Denoise;
use crate::noise::Noise;
use crate::{Error, Latent};

/// Walks in straight lines with fresh noise at each; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn euler_ancestral(
    denoise: &mut dyn Denoise,
    x: Latent,
    sigmas: &[f32],
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    let eta = noise.settings.eta.unwrap_or(1.0);
    with_eta((denoise, x, sigmas), noise, eta, watch)
}

/// The walk with this share of fresh noise: DDIM's too.
pub(super) fn with_eta(
    (denoise, mut x, sigmas): (&mut dyn Denoise, Latent, &[f32]),
    noise: &mut Noise,
    eta: f64,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    for stop in stops(denoise, sigmas)? {
        let denoised = stop.look(denoise, &x, watch)?;
        let split = Ancestral::new(denoise.path(), stop.sigma, stop.next, eta);
        x = split.renoised(moved(&x, &denoised, stop.sigma, split.down), noise)?;
    }
    Ok(x)
}
