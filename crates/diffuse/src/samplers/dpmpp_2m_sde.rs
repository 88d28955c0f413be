//! DPM++ 2M SDE, and its Heun variant: the multistep solver of second order with fresh noise.
//!
//! Source: C. Lu et al., "DPM-Solver++" (2022), SDE-DPM-Solver++(2M), with a share `eta` of fresh noise as k-diffusion
//! has it. With h the length of a step in λ and g = (1 + η)·h, the picture's share is α·(1 − e^−g).

use super::{Fresh, Watch, stops};
use crate::denoise::Denoise;
use crate::latent::sum;
use crate::noise::Noise;
use crate::{Error, Latent};

/// Walks with the picture of the step before and fresh noise; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn dpmpp_2m_sde(
    denoise: &mut dyn Denoise,
    x: Latent,
    sigmas: &[f32],
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    walk((denoise, x, sigmas), noise, |g| 0.5 * -(-g).exp_m1(), watch)
}

/// The same with Heun's weight for the last step's picture; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn dpmpp_2m_sde_heun(
    denoise: &mut dyn Denoise,
    x: Latent,
    sigmas: &[f32],
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    walk((denoise, x, sigmas), noise, |g| (-g).exp_m1() / g + 1.0, watch)
}

fn walk(
    (denoise, mut x, sigmas): (&mut dyn Denoise, Latent, &[f32]),
    noise: &mut Noise,
    weight: fn(f64) -> f64,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    let (path, eta) = (denoise.path(), noise.settings.eta.unwrap_or(1.0));
    let mut fresh = Fresh::new(noise, sigmas)?;
    let mut before: Option<(Latent, f64)> = None;
    for stop in stops(denoise, sigmas)? {
        let denoised = stop.look(denoise, &x, watch)?;
        if stop.next == 0.0 {
            x = denoised;
            continue;
        }
        let h = path.lambda(stop.next) - path.lambda(stop.sigma);
        let (g, signal) = ((1.0 + eta) * h, path.signal(stop.next));
        let keep = f64::from(stop.next) / f64::from(stop.sigma) * (-eta * h).exp();
        let mut terms = vec![(keep, &x), (-signal * (-g).exp_m1(), &denoised)];
        if let Some((old, old_h)) = &before {
            let further = signal * weight(g) * h / old_h;
            terms.extend([(further, &denoised), (-further, old)]);
        }
        x = sum(&terms);
        if eta > 0.0 {
            let up = f64::from(stop.next) * (-(-2.0 * eta * h).exp_m1()).sqrt();
            x = fresh.added(x, up, (stop.sigma, stop.next), noise)?;
        }
        before = Some((denoised, h));
    }
    Ok(x)
}
