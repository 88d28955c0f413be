//! Schedules that are curves between the lowest and the highest level, whatever the training's steps are.

use super::{MAX_STEPS, expect_range, expect_steps, linspace, to_zero};
use crate::Error;

/// Levels whose seventh roots are at equal distances.
///
/// Source: T. Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022), equation 5.
///
/// # Errors
/// `Range` for no steps, too many, or levels that are none.
pub fn karras(n: usize, min: f32, max: f32) -> Result<Vec<f32>, Error> {
    const RHO: f64 = 7.0;
    check(n, min, max)?;
    let root = |level: f32| f64::from(level).powf(RHO.recip());
    Ok(to_zero(linspace(root(max), root(min), n).map(|root| root.powf(RHO))))
}

/// Levels whose logarithms are at equal distances.
///
/// # Errors
/// `Range` for no steps, too many, or levels that are none.
pub fn exponential(n: usize, min: f32, max: f32) -> Result<Vec<f32>, Error> {
    check(n, min, max)?;
    Ok(to_zero(linspace(f64::from(max).ln(), f64::from(min).ln(), n).map(f64::exp)))
}

/// Levels whose angles are at equal distances; the last is the lowest, not 0.
///
/// Source: A. Sabour et al., "Align Your Steps" (2024), section 3.1, the optimum for data of one Gaussian.
///
/// # Errors
/// `Range` for no steps, too many, or levels that are none.
pub fn kl_optimal(n: usize, min: f32, max: f32) -> Result<Vec<f32>, Error> {
    check(n, min, max)?;
    let angles = linspace(f64::from(max).atan(), f64::from(min).atan(), n + 1);
    Ok(angles.map(|angle| angle.tan() as f32).collect())
}

/// Levels that were found by optimising the walk of a model (ten steps), for Stable Diffusion 1.5.
pub const ALIGNED_STABLE: [f64; 11] =
    [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029];
/// The same for Stable Diffusion XL.
pub const ALIGNED_XL: [f64; 11] =
    [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029];

/// `n` levels between the known ones, along the logarithm.
///
/// Source: A. Sabour et al., "Align Your Steps" (2024), and the tables that its authors published.
///
/// # Errors
/// `Range` for no steps or too many.
pub fn align_your_steps(n: usize, known: &[f64; 11]) -> Result<Vec<f32>, Error> {
    expect_steps(n, MAX_STEPS)?;
    let last = known.len() - 1;
    let level = |place: f64| {
        let low = (place as usize).min(last - 1);
        let part = place - low as f64;
        ((1.0 - part) * known[low].ln() + part * known[low + 1].ln()).exp()
    };
    Ok(to_zero(linspace(0.0, last as f64, n).map(level)))
}

/// Levels at the quantiles of a beta distribution, most of them near both ends.
///
/// Source: T. Lee et al., "Beta Sampling is All You Need" (2024), with both parameters 0.6.
///
/// # Errors
/// `Range` for no steps, too many, or levels that are none.
pub fn beta(n: usize, min: f32, max: f32) -> Result<Vec<f32>, Error> {
    const PARAMETER: f64 = 0.6;
    check(n, min, max)?;
    let (min, max) = (f64::from(min), f64::from(max));
    Ok(to_zero(
        linspace(1.0, 0.0, n).map(|part| min + (max - min) * symmetric_beta_quantile(part, PARAMETER)),
    ))
}

fn check(n: usize, min: f32, max: f32) -> Result<(), Error> {
    expect_steps(n, MAX_STEPS)?;
    expect_range(min, max)
}

/// Below which value a share `part` of the beta distribution with two equal parameters lies, by halving.
fn symmetric_beta_quantile(part: f64, parameter: f64) -> f64 {
    if part <= 0.0 || part >= 1.0 {
        return part.clamp(0.0, 1.0);
    }
    // The lower half only: near 1 the distribution rises too steeply for f64.
    if part > 0.5 {
        return 1.0 - symmetric_beta_quantile(1.0 - part, parameter);
    }
    let whole = 2.0 * below(0.5, parameter);
    let (mut low, mut high) = (0.0, 0.5);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if below(middle, parameter) < part * whole { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// ∫₀ˣ (t(1 − t))^(a−1) dt for x up to a half, by the continued fraction of the incomplete beta function.
///
/// Source: NIST Digital Library of Mathematical Functions, 8.17.22, evaluated from the last term to the first.
fn below(x: f64, a: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let term = |at: usize| {
        let half = (at / 2) as f64;
        match at % 2 {
            0 => half * (a - half) * x / ((a + 2.0 * half - 1.0) * (a + 2.0 * half)),
            _ => -(a + half) * (2.0 * a + half) * x / ((a + 2.0 * half) * (a + 2.0 * half + 1.0)),
        }
    };
    let fraction = (1..=200).rev().fold(1.0, |rest, at| 1.0 + term(at) / rest);
    (x * (1.0 - x)).powf(a) / (a * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_known_distributions() {
        for part in [0.001, 0.1, 0.25, 0.5, 0.77, 0.999] {
            // Both parameters 1 are the uniform distribution, both 1/2 the arcsine distribution.
            assert!((symmetric_beta_quantile(part, 1.0) - part).abs() < 1e-12);
            let arcsine = (std::f64::consts::FRAC_PI_2 * part).sin().powi(2);
            assert!((symmetric_beta_quantile(part, 0.5) - arcsine).abs() < 1e-12, "{part}");
        }
    }

    #[test]
    fn levels_that_are_none_are_refused() {
        for (min, max) in [(0.0, 1.0), (2.0, 1.0), (f32::NAN, 1.0), (1.0, f32::INFINITY), (-1.0, 1.0)] {
            for curve in [karras, exponential, kl_optimal, beta] {
                assert!(curve(5, min, max).is_err(), "{min} {max}");
            }
        }
    }
}
