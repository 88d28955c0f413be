//! DPM++ 3M SDE: the multistep solver of third order with fresh noise.
//!
//! Source: K. Crowson, k-diffusion (2023), after C. Lu et al., "DPM-Solver++" (2022). φ₂ and φ₃ are the functions of
//! exponential integrators: φ₂ = (e^−g − 1)/g + 1, φ₃ = φ₂/g − 1/2.

use super::{Fresh, Watch, stops};
use crate::denoise::Denoise;
use crate::latent::sum;
use crate::noise::Noise;
use crate::{Error, Latent};

/// Walks with the pictures of two steps before and fresh noise; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn dpmpp_3m_sde(
    denoise: &mut dyn Denoise,
    mut x: Latent,
    sigmas: &[f32],
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    let (path, eta) = (denoise.path(), noise.settings.eta.unwrap_or(1.0));
    let mut fresh = Fresh::new(noise, sigmas)?;
    // The newest first, with the lengths of their steps.
    let mut before: Vec<(Latent, f64)> = Vec::new();
    for stop in stops(denoise, sigmas)? {
        let denoised = stop.look(denoise, &x, watch)?;
        if stop.next == 0.0 {
            x = denoised;
            continue;
        }
        let h = path.lambda(stop.next) - path.lambda(stop.sigma);
        let (g, signal) = ((1.0 + eta) * h, path.signal(stop.next));
        let keep = f64::from(stop.next) / f64::from(stop.sigma) * (-eta * h).exp();
        let (now, further) = weights(g, h, &before);
        let mut terms = vec![(keep, &x), (signal * now, &denoised)];
        terms.extend(before.iter().zip(further).map(|((old, _), weight)| (signal * weight, old)));
        x = sum(&terms);
        if eta > 0.0 {
            let up = f64::from(stop.next) * (-(-2.0 * eta * h).exp_m1()).sqrt();
            x = fresh.added(x, up, (stop.sigma, stop.next), noise)?;
        }
        before.insert(0, (denoised, h));
        before.truncate(2);
    }
    Ok(x)
}

/// The weights of this step's picture and of those before it.
fn weights(g: f64, h: f64, before: &[(Latent, f64)]) -> (f64, [f64; 2]) {
    let first = -(-g).exp_m1();
    let phi_2 = (-g).exp_m1() / g + 1.0;
    let phi_3 = phi_2 / g - 0.5;
    match before {
        [] => (first, [0.0; 2]),
        [(_, h_1)] => (first + phi_2 * h / h_1, [-phi_2 * h / h_1, 0.0]),
        [(_, h_1), (_, h_2), ..] => {
            let (r_1, r_2) = (h_1 / h, h_2 / h);
            // Of the two slopes d₁ = (D − D₁)/r₁ and d₂ = (D₁ − D₂)/r₂.
            let share = r_1 / (r_1 + r_2);
            let slope_1 = phi_2 * (1.0 + share) - phi_3 / (r_1 + r_2);
            let slope_2 = -phi_2 * share + phi_3 / (r_1 + r_2);
            (first + slope_1 / r_1, [slope_2 / r_2 - slope_1 / r_1, -slope_2 / r_2])
        }
    }
}
