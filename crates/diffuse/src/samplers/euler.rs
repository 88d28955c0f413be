//! Euler: the straight line at each level. With flow matching, what its models were made for.
//!
//! Source: T. Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022), algorithm 2
//! without its correction.

use super::{Watch, churned, moved, stops};
use crate::denoise::Denoise;
use crate::noise::Noise;
use crate::{Error, Latent};

/// Walks in straight lines; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn euler(
    denoise: &mut dyn Denoise,
    mut x: Latent,
    sigmas: &[f32],
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    for stop in stops(denoise, sigmas)? {
        let (raised, sigma) = churned(x, &stop, denoise.path(), noise)?;
        let denoised = stop.look_at(denoise, &raised, sigma, watch)?;
        x = moved(&raised, &denoised, sigma, stop.next);
    }
    Ok(x)
}
