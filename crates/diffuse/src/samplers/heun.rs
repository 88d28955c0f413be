//! Heun: a straight line, a look from its end, and the mean of both directions. Two calls of the model a step.
//!
//! Source: T. Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022), algorithm 2.

use super::{Watch, churned, moved, stops};
use crate::denoise::Denoise;
use crate::latent::sum;
use crate::noise::Noise;
use crate::{Error, Latent};

/// Walks with a correction at each step; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn heun(
    denoise: &mut dyn Denoise,
    mut x: Latent,
    sigmas: &[f32],
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    for stop in stops(denoise, sigmas)? {
        let (raised, sigma) = churned(x, &stop, denoise.path(), noise)?;
        let denoised = stop.look_at(denoise, &raised, sigma, watch)?;
        let ahead = moved(&raised, &denoised, sigma, stop.next);
        if stop.next == 0.0 {
            x = ahead;
            continue;
        }
        let seen = stop.glance(denoise, &ahead, stop.next)?;
        let half = 0.5 * (f64::from(stop.next) - f64::from(sigma));
        let (here, there) = (half / f64::from(sigma), half / f64::from(stop.next));
        x = sum(&[(1.0 + here, &raised), (-here, &denoised), (there, &ahead), (-there, &seen)]);
    }
    Ok(x)
}
