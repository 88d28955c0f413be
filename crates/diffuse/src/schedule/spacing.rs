//! Schedules that pick timesteps of the training: at equal distances, counted from one end or the other.
//!
//! Sources: S. Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed" (2023), table 2, for the three
//! spacings; S. Luo et al., "Latent Consistency Models" (2023), for the steps of LCM; the rest as web UIs name them.

use super::{MAX_STEPS, Training, expect_steps, linspace, to_zero};
use crate::Error;

/// How diffusers spaces timesteps (`timestep_spacing`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// From the last to the first, both taken.
    Linspace,
    /// Multiples of a whole distance, moved by `offset` (`steps_offset`); the last timestep is not taken.
    Leading {
        /// Added to every timestep; 1 for Stable Diffusion.
        offset: usize,
    },
    /// Counted from the last, which is taken; the first is not. For models of few steps (Turbo, Lightning) and those
    /// with a last level without signal.
    Trailing,
}

impl Spacing {
    /// The timesteps of `n` steps, the noisiest first.
    ///
    /// # Errors
    /// `Range` for no steps, or more than the training has.
    pub fn timesteps(self, training: &Training, n: usize) -> Result<Vec<f64>, Error> {
        expect_steps(n, training.n_steps())?;
        let (all, last) = (training.n_steps() as f64, training.n_steps() - 1);
        Ok(match self {
            Self::Linspace if n == 1 => vec![0.0],
            Self::Linspace => linspace(last as f64, 0.0, n).collect(),
            Self::Leading { offset } => {
                let distance = training.n_steps() / n;
                (0..n).rev().map(|step| (step * distance).saturating_add(offset).min(last) as f64).collect()
            }
            Self::Trailing => {
                let distance = all / n as f64;
                (0..n).map(|step| (all - step as f64 * distance).round_ties_even() - 1.0).collect()
            }
        })
    }

    /// The levels of `n` steps, and 0.
    ///
    /// # Errors
    /// `Range` for no steps, or more than the training has.
    pub fn sigmas(self, training: &Training, n: usize) -> Result<Vec<f32>, Error> {
        let timesteps = self.timesteps(training, n)?;
        Ok(to_zero(timesteps.into_iter().map(|timestep| training.sigma_in_a_line(timestep))))
    }
}

/// Timesteps at equal distances from the last to the first ("Uniform", "Normal").
///
/// # Errors
/// `Range` for no steps, or too many.
pub fn uniform(training: &Training, n: usize) -> Result<Vec<f32>, Error> {
    expect_steps(n, MAX_STEPS)?;
    Ok(to_zero(linspace((training.n_steps() - 1) as f64, 0.0, n).map(|timestep| training.sigma(timestep))))
}

/// Timesteps at equal distances from the last to the first, which is not taken ("SGM Uniform").
///
/// # Errors
/// `Range` for no steps, or too many.
pub fn sgm_uniform(training: &Training, n: usize) -> Result<Vec<f32>, Error> {
    expect_steps(n, MAX_STEPS)?;
    let timesteps = linspace((training.n_steps() - 1) as f64, 0.0, n + 1).take(n);
    Ok(to_zero(timesteps.map(|timestep| training.sigma(timestep))))
}

/// Every so many of the training's levels, counted from the last ("Simple").
///
/// # Errors
/// `Range` for no steps, or more than the training has.
pub fn simple(training: &Training, n: usize) -> Result<Vec<f32>, Error> {
    expect_steps(n, training.n_steps())?;
    let (last, distance) = (training.n_steps() - 1, training.n_steps() as f64 / n as f64);
    Ok(to_zero((0..n).map(|step| training.level(last - (step as f64 * distance) as usize))))
}

/// Every so many of the training's levels, counted from the second ("DDIM", "ddim_uniform"); there can be a few more
/// steps than `n`, where `n` does not divide the training.
///
/// # Errors
/// `Range` for no steps, or more than the training has.
pub fn ddim(training: &Training, n: usize) -> Result<Vec<f32>, Error> {
    expect_steps(n, training.n_steps())?;
    let steps = (1..training.n_steps()).step_by((training.n_steps() / n).max(1));
    Ok(to_zero(steps.rev().map(|step| training.level(step))))
}

/// The number of steps that latent consistency models were distilled from.
const DISTILLED: usize = 50;

/// The timesteps of a latent consistency model: some of the fifty that it was distilled from, below `strength`.
///
/// # Errors
/// `Range` for a strength outside 0..1, no steps, or more than are left.
pub fn consistency(training: &Training, n: usize, strength: f64) -> Result<Vec<usize>, Error> {
    if !(0.0..=1.0).contains(&strength) {
        return Err(Error::Range { name: "strength", value: strength, range: "0..1" });
    }
    let n_left = (DISTILLED as f64 * strength) as usize;
    expect_steps(n, n_left)?;
    let distance = (training.n_steps() / DISTILLED).max(1);
    let places = (0..n).map(|step| step as f64 * (n_left as f64 / n as f64));
    Ok(places.map(|place| (n_left - place as usize) * distance - 1).collect())
}
