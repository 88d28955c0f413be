//! DPM++ 2S a: a look from the middle of each step, and fresh noise. Two calls of the model a step.
//!
//! Source: C. Lu et al., "DPM-Solver++" (2022), algorithm 1, the single-step solver of second order, with the ancestral
//! steps of k-diffusion.

use super::{Ancestral, Watch, level, moved, stops};
use crate::denoise::Denoise;
use crate::noise::Noise;
use crate::{Error, Latent};

/// Walks towards the picture that is seen half-way, with fresh noise; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn dpmpp_2s_ancestral(
    denoise: &mut dyn Denoise,
    mut x: Latent,
    sigmas: &[f32],
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    let (path, eta) = (denoise.path(), noise.settings.eta.unwrap_or(1.0));
    for stop in stops(denoise, sigmas)? {
        let denoised = stop.look(denoise, &x, watch)?;
        let split = Ancestral::new(path, stop.sigma, stop.next, eta);
        let towards = if split.down == 0.0 {
            denoised
        } else {
            let middle = level(path, 0.5 * (path.lambda(stop.sigma) + path.lambda(split.down)));
            let ahead = moved(&x, &denoised, stop.sigma, middle);
            stop.glance(denoise, &ahead, middle)?
        };
        x = split.renoised(moved(&x, &towards, stop.sigma, split.down), noise)?;
    }
    Ok(x)
}
