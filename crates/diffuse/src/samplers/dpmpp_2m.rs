//! DPM++ 2M: a straight line to the picture that this step's and the last one's point at together.
//!
//! Source: C. Lu et al., "DPM-Solver++" (2022), algorithm 2, the multistep solver of second order for predictions of the
//! picture.

use super::{Watch, moved, stops};
use crate::denoise::Denoise;
use crate::latent::sum;
use crate::noise::Noise;
use crate::{Error, Latent};

/// Walks with the picture of the step before; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn dpmpp_2m(
    denoise: &mut dyn Denoise,
    mut x: Latent,
    sigmas: &[f32],
    _: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    let path = denoise.path();
    let mut before: Option<(Latent, f64)> = None;
    for stop in stops(denoise, sigmas)? {
        let denoised = stop.look(denoise, &x, watch)?;
        let length = path.lambda(stop.next) - path.lambda(stop.sigma);
        x = match &before {
            Some((old, old_length)) if stop.next > 0.0 => {
                let further = 0.5 * length / old_length;
                let towards = sum(&[(1.0 + further, &denoised), (-further, old)]);
                moved(&x, &towards, stop.sigma, stop.next)
            }
            _ => moved(&x, &denoised, stop.sigma, stop.next),
        };
        before = Some((denoised, length));
    }
    Ok(x)
}
