//! LMS: the directions of the last four steps, weighted so that their polynomial is followed exactly.
//!
//! Source: the Adams–Bashforth method for steps of unequal length (F. Bashforth and J. C. Adams, 1883), as k-diffusion
//! uses it. A product of three lines is of third degree, which Simpson's rule integrates exactly.

use super::{Watch, stops};
use crate::denoise::Denoise;
use crate::latent::sum;
use crate::noise::Noise;
use crate::{Error, Latent};

const ORDER: usize = 4;

/// Walks along the polynomial of the last directions; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn lms(
    denoise: &mut dyn Denoise,
    mut x: Latent,
    sigmas: &[f32],
    _: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    // The newest first.
    let mut directions: Vec<Latent> = Vec::new();
    for stop in stops(denoise, sigmas)? {
        let denoised = stop.look(denoise, &x, watch)?;
        let inverse = f64::from(stop.sigma).recip();
        directions.insert(0, sum(&[(inverse, &x), (-inverse, &denoised)]));
        directions.truncate(ORDER);
        let known: Vec<f64> =
            (0..directions.len()).map(|back| f64::from(sigmas[stop.index - back])).collect();
        let to = f64::from(stop.next);
        let weighted =
            directions.iter().enumerate().map(|(which, direction)| (weight(&known, to, which), direction));
        x = sum(&std::iter::once((1.0, &x)).chain(weighted).collect::<Vec<_>>());
    }
    Ok(x)
}

/// ∫ of the polynomial that is 1 at one of the known levels and 0 at the others, from the newest of them to `to`.
fn weight(known: &[f64], to: f64, which: usize) -> f64 {
    let others = || known.iter().enumerate().filter(|(at, _)| *at != which).map(|(_, level)| level);
    let value = |at: f64| others().map(|level| (at - level) / (known[which] - level)).product::<f64>();
    let from = known[0];
    (to - from) / 6.0 * (value(from) + 4.0 * value(0.5 * (from + to)) + value(to))
}
