//! Noise levels of flow matching: from 1 (all noise) to 0, bent towards the noise the more, the larger the picture.
//!
//! Sources: P. Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis" (2024), section
//! 5.3.2, for the shift; the amounts as FLUX.1 and FLUX.2 of Black Forest Labs were published.

use super::{MAX_STEPS, expect_steps, linspace, to_zero};
use crate::Error;

/// How levels are bent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shift {
    /// σ' = s·σ / (1 + (s − 1)·σ): Stable Diffusion 3 and Z-Image (s = 3), Qwen-Image and others.
    Fixed(f64),
    /// The same with s = e^µ, where µ follows from the picture: FLUX.1, FLUX.2 ("dynamic shifting", "exponential").
    Dynamic(f64),
    /// The same with s = µ ("dynamic shifting", "linear").
    DynamicLinear(f64),
}

impl Shift {
    /// The factor s.
    fn factor(self) -> f64 {
        match self {
            Self::Fixed(factor) | Self::DynamicLinear(factor) => factor,
            Self::Dynamic(mu) => mu.exp(),
        }
    }

    fn check(self) -> Result<f64, Error> {
        let value = self.factor();
        if value > 0.0 && value.is_finite() {
            return Ok(value);
        }
        Err(Error::Range { name: "the shift of noise levels", value, range: "above 0, finite" })
    }
}

fn shifted(level: f64, factor: f64) -> f64 {
    factor * level / (1.0 + (factor - 1.0) * level)
}

/// Levels 1, 1 − 1/n … 1/n, bent, and 0: what the pipelines of FLUX, Z-Image and Qwen-Image walk.
///
/// # Errors
/// `Range` for no steps, too many, or a shift that is none.
pub fn sigmas(n: usize, shift: Shift) -> Result<Vec<f32>, Error> {
    expect_steps(n, MAX_STEPS)?;
    let factor = shift.check()?;
    Ok(to_zero(linspace(1.0, (n as f64).recip(), n).map(|level| shifted(level, factor))))
}

/// Levels between the highest and the lowest of a training of 1000 steps that was bent already, bent once more: what
/// the pipeline of Stable Diffusion 3 walks in diffusers. `last` stretches them so that the last before 0 is this one.
///
/// # Errors
/// `Range` for no steps, too many, a shift that is none, or a last level outside 0..1.
pub fn trained_sigmas(n: usize, shift: f64, last: Option<f64>) -> Result<Vec<f32>, Error> {
    expect_steps(n, MAX_STEPS)?;
    let factor = Shift::Fixed(shift).check()?;
    let levels: Vec<f64> =
        linspace(1.0, shifted(0.001, factor), n).map(|level| shifted(level, factor)).collect();
    let Some(last) = last else { return Ok(to_zero(levels.into_iter())) };
    if !(0.0..1.0).contains(&last) {
        return Err(Error::Range { name: "the last noise level", value: last, range: "0..1" });
    }
    let lowest = levels[n - 1];
    let stretch = if lowest < 1.0 { (1.0 - lowest) / (1.0 - last) } else { 1.0 };
    Ok(to_zero(levels.into_iter().map(|level| 1.0 - (1.0 - level) / stretch)))
}

/// µ in a line over the tokens of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Two numbers of tokens, the first below the second.
    pub tokens: [f64; 2],
    /// µ at each.
    pub mu: [f64; 2],
}

impl Line {
    /// Of FLUX.1 and of models that do not say another.
    pub const USUAL: Self = Self { tokens: [256.0, 4096.0], mu: [0.5, 1.15] };

    /// µ for a picture of so many tokens.
    pub fn mu(&self, n_tokens: usize) -> f64 {
        let [first, last] = self.tokens;
        let slope = (self.mu[1] - self.mu[0]) / (last - first);
        slope * n_tokens as f64 + self.mu[0] - slope * first
    }
}

/// µ of FLUX.1 for a picture of so many tokens: in a line from 0.5 at 256 to 1.15 at 4096.
pub fn mu(n_tokens: usize) -> f64 {
    Line::USUAL.mu(n_tokens)
}

/// µ of FLUX.2 for a picture of so many tokens and a walk of so many steps.
///
/// Source: the fit that Black Forest Labs published with FLUX.2: lines over tokens at 10 and at 200 steps, a line over
/// steps between and beyond them; above 4300 tokens that of 200 steps.
pub fn mu_of_steps(n_tokens: usize, n_steps: usize) -> f64 {
    let tokens = n_tokens as f64;
    let (at_10, at_200) = (8.738_095_24e-5 * tokens + 1.898_333_33, 0.000_169_27 * tokens + 0.456_666_66);
    if n_tokens > 4300 {
        return at_200;
    }
    let slope = (at_200 - at_10) / 190.0;
    at_200 + slope * (n_steps as f64 - 200.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_that_are_none_are_refused() {
        for shift in
            [Shift::Fixed(0.0), Shift::Fixed(f64::NAN), Shift::Dynamic(1e9), Shift::DynamicLinear(-1.0)]
        {
            assert!(sigmas(4, shift).is_err(), "{shift:?}");
        }
        assert!(trained_sigmas(4, 3.0, Some(1.0)).is_err());
        assert!(sigmas(0, Shift::Fixed(1.0)).is_err() && sigmas(MAX_STEPS + 1, Shift::Fixed(1.0)).is_err());
    }
}
