//! LCM: jump to the picture, put noise of the next level on it, and jump again; for models that were distilled to it.
//!
//! Source: S. Luo et al., "Latent Consistency Models" (2023), algorithm 3. [`Consistency`](crate::denoise::Consistency)
//! is the boundary condition.

use super::{Watch, stops};
use crate::denoise::Denoise;
use crate::noise::Noise;
use crate::{Error, Latent};

/// Walks in jumps; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn lcm(
    denoise: &mut dyn Denoise,
    mut x: Latent,
    sigmas: &[f32],
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    for stop in stops(denoise, sigmas)? {
        x = stop.look(denoise, &x, watch)?;
        if stop.next > 0.0 {
            let fresh = noise.next(x.shape())?.scaled(noise.settings.scale as f32);
            x = denoise.path().noised(&x, &fresh, stop.next)?;
        }
    }
    Ok(x)
}
