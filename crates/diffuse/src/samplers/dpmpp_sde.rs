//! DPM++ SDE: fresh noise half-way and at the end of each step. Two calls of the model a step.
//!
//! Source: C. Lu et al., "DPM-Solver++" (2022), the single-step solver, with noise as k-diffusion adds it (2022).

use super::{Ancestral, Fresh, Watch, level, moved, stops};
use crate::denoise::Denoise;
use crate::noise::Noise;
use crate::{Error, Latent};

/// Walks towards the picture that is seen half-way, with noise there too; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn dpmpp_sde(
    denoise: &mut dyn Denoise,
    mut x: Latent,
    sigmas: &[f32],
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    let (path, eta) = (denoise.path(), noise.settings.eta.unwrap_or(1.0));
    let mut fresh = Fresh::new(noise, sigmas)?;
    for stop in stops(denoise, sigmas)? {
        let denoised = stop.look(denoise, &x, watch)?;
        if stop.next == 0.0 {
            x = denoised;
            continue;
        }
        let mut step = |x: &Latent, towards: &Latent, next: f32, noise: &mut Noise| {
            let split = Ancestral::new(path, stop.sigma, next, eta);
            let there = moved(x, towards, stop.sigma, split.down).scaled(split.gain as f32);
            fresh.added(there, split.up, (stop.sigma, next), noise)
        };
        let middle = level(path, 0.5 * (path.lambda(stop.sigma) + path.lambda(stop.next)));
        let ahead = step(&x, &denoised, middle, noise)?;
        let seen = stop.glance(denoise, &ahead, middle)?;
        x = step(&x, &seen, stop.next, noise)?;
    }
    Ok(x)
}
