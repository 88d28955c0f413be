//! DPM2 and DPM2 a: a look from the middle of each step, along the logarithm. Two calls of the model a step.
//!
//! Source: C. Lu et al., "DPM-Solver" (2022), the solver of second order, as k-diffusion has it.

use super::{Ancestral, Watch, churned, moved, stops};
use crate::denoise::Denoise;
use crate::latent::sum;
use crate::noise::Noise;
use crate::{Error, Latent};

/// Walks in the direction that is seen half-way; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn dpm2(
    denoise: &mut dyn Denoise,
    mut x: Latent,
    sigmas: &[f32],
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    for stop in stops(denoise, sigmas)? {
        let (raised, sigma) = churned(x, &stop, denoise.path(), noise)?;
        let denoised = stop.look_at(denoise, &raised, sigma, watch)?;
        if stop.next == 0.0 {
            x = moved(&raised, &denoised, sigma, stop.next);
            continue;
        }
        let middle = between(sigma, stop.next);
        let ahead = moved(&raised, &denoised, sigma, middle);
        let seen = stop.glance(denoise, &ahead, middle)?;
        x = along(&raised, (&ahead, &seen, middle), sigma, stop.next);
    }
    Ok(x)
}

/// The same with fresh noise at each step; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn dpm2_ancestral(
    denoise: &mut dyn Denoise,
    mut x: Latent,
    sigmas: &[f32],
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    let eta = noise.settings.eta.unwrap_or(1.0);
    for stop in stops(denoise, sigmas)? {
        let denoised = stop.look(denoise, &x, watch)?;
        let split = Ancestral::new(denoise.path(), stop.sigma, stop.next, eta);
        if split.down == 0.0 {
            x = split.renoised(moved(&x, &denoised, stop.sigma, 0.0), noise)?;
            continue;
        }
        let middle = between(stop.sigma, split.down);
        let ahead = moved(&x, &denoised, stop.sigma, middle);
        let seen = stop.glance(denoise, &ahead, middle)?;
        x = split.renoised(along(&x, (&ahead, &seen, middle), stop.sigma, split.down), noise)?;
    }
    Ok(x)
}

/// The level half-way along the logarithm.
fn between(sigma: f32, next: f32) -> f32 {
    (f64::from(sigma) * f64::from(next)).sqrt() as f32
}

/// `x`, moved from `sigma` to `next` in the direction that was seen elsewhere.
fn along(x: &Latent, (place, seen, level): (&Latent, &Latent, f32), sigma: f32, next: f32) -> Latent {
    let part = (f64::from(next) - f64::from(sigma)) / f64::from(level);
    sum(&[(1.0, x), (part, place), (-part, seen)])
}
