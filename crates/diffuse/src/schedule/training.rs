//! The noise levels that a model was trained at: betas, the share of the signal that is left, levels.
//!
//! Sources: J. Ho et al., "Denoising Diffusion Probabilistic Models" (2020); R. Rombach et al., "High-Resolution Image
//! Synthesis with Latent Diffusion Models" (2022), whose betas are linear under the root; A. Nichol and P. Dhariwal,
//! "Improved Denoising Diffusion Probabilistic Models" (2021), the cosine; S. Lin et al., "Common Diffusion Noise
//! Schedules and Sample Steps are Flawed" (2023), the last level without signal. Rounded to f32 where PyTorch rounds:
//! the lowest level is the root of a small difference, and shows it.

use super::MAX_STEPS;
use crate::Error;

/// How much noise each training step adds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Betas {
    /// The first step's.
    pub start: f64,
    /// The last step's.
    pub end: f64,
    /// The number of training steps.
    pub n_steps: usize,
    /// How they grow.
    pub curve: Curve,
}

/// How betas grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// In a line.
    Linear,
    /// Their roots in a line ("scaled linear").
    ScaledLinear,
    /// So that the signal falls as a squared cosine ("squaredcos_cap_v2"); `start` and `end` are not used.
    SquaredCosine,
}

impl Betas {
    /// Stable Diffusion 1, 2 and XL.
    pub const STABLE: Self = Self { start: 0.000_85, end: 0.012, n_steps: 1000, curve: Curve::ScaledLinear };

    fn values(&self) -> Vec<f32> {
        match self.curve {
            Curve::Linear => linspace_f32(self.start, self.end, self.n_steps).collect(),
            Curve::ScaledLinear => {
                let roots = linspace_f32(self.start.sqrt(), self.end.sqrt(), self.n_steps);
                roots.map(|root| root * root).collect()
            }
            Curve::SquaredCosine => {
                let signal = |time: f64| ((time + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
                let part = |step: usize| step as f64 / self.n_steps as f64;
                let beta = |step| (1.0 - signal(part(step + 1)) / signal(part(step))).min(0.999);
                (0..self.n_steps).map(|step| beta(step) as f32).collect()
            }
        }
    }
}

/// Numbers in a line, as PyTorch computes them in f32: from both ends to the middle.
fn linspace_f32(first: f64, last: f64, n: usize) -> impl Iterator<Item = f32> {
    let (first, last) = (first as f32, last as f32);
    let step = (last - first) / (n - 1) as f32;
    (0..n)
        .map(move |at| if at < n / 2 { first + step * at as f32 } else { last - step * (n - 1 - at) as f32 })
}

/// The levels of a model's training, the lowest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// ᾱ: the share of the signal's variance that is left after each step.
    alphas: Vec<f64>,
    /// ln σ of each step.
    log_sigmas: Vec<f64>,
}

impl Training {
    /// The levels that follow from these betas.
    ///
    /// # Errors
    /// `Range` for fewer than 2 or more than 100,000 steps, or betas outside 0..1.
    pub fn new(betas: Betas) -> Result<Self, Error> {
        if !(2..=100 * MAX_STEPS).contains(&betas.n_steps) {
            let value = betas.n_steps as f64;
            return Err(Error::Range { name: "the number of training steps", value, range: "2..100000" });
        }
        for (name, value) in [("beta_start", betas.start), ("beta_end", betas.end)] {
            if !(value > 0.0 && value < 1.0) {
                return Err(Error::Range { name, value, range: "0..1" });
            }
        }
        let values = betas.values();
        let mut left = 1.0_f64;
        let alphas = values.iter().map(|beta| {
            left *= f64::from(1.0 - beta);
            f64::from(left as f32)
        });
        Ok(Self::of_alphas(alphas.collect()))
    }

    /// The same training with its last level stretched to no signal at all: models that were trained "with zero
    /// terminal SNR", most of those that predict velocity.
    pub fn zero_terminal(&self) -> Self {
        let roots: Vec<f64> = self.alphas.iter().map(|alpha| alpha.sqrt()).collect();
        let (first, last) = (roots[0], roots[roots.len() - 1]);
        let stretched = |root: &f64| ((root - last) * first / (first - last)).powi(2);
        let mut alphas: Vec<f64> = roots.iter().map(stretched).collect();
        // Nothing is divided by 0: the smallest number of half precision stands for it, as in diffusers.
        if let Some(last) = alphas.last_mut() {
            *last = 2.0_f64.powi(-24);
        }
        Self::of_alphas(alphas)
    }

    fn of_alphas(alphas: Vec<f64>) -> Self {
        let log_sigmas = alphas.iter().map(|alpha| 0.5 * ((1.0 - alpha) / alpha).ln()).collect();
        Self { alphas, log_sigmas }
    }

    /// The number of training steps.
    pub fn n_steps(&self) -> usize {
        self.alphas.len()
    }

    /// ᾱ after a training step; the last one's beyond it.
    pub fn alpha(&self, step: usize) -> f64 {
        self.alphas[step.min(self.alphas.len() - 1)]
    }

    /// σ = √((1 − ᾱ)/ᾱ) of a training step; the last one's beyond it.
    pub fn level(&self, step: usize) -> f64 {
        self.log_sigmas[step.min(self.log_sigmas.len() - 1)].exp()
    }

    /// The lowest level.
    pub fn sigma_min(&self) -> f32 {
        self.level(0) as f32
    }

    /// The highest level.
    pub fn sigma_max(&self) -> f32 {
        self.level(self.n_steps()) as f32
    }

    /// The level at a timestep, between two of them along the logarithm, as k-diffusion reads it.
    pub fn sigma(&self, timestep: f64) -> f64 {
        let (low, high, part) = self.around(timestep);
        ((1.0 - part) * self.log_sigmas[low] + part * self.log_sigmas[high]).exp()
    }

    /// The level at a timestep, between two of them along a line, as diffusers reads it.
    pub fn sigma_in_a_line(&self, timestep: f64) -> f64 {
        let (low, high, part) = self.around(timestep);
        (1.0 - part) * self.level(low) + part * self.level(high)
    }

    fn around(&self, timestep: f64) -> (usize, usize, f64) {
        let last = self.n_steps() - 1;
        let timestep = timestep.clamp(0.0, last as f64);
        let low = timestep as usize;
        (low, (low + 1).min(last), timestep - low as f64)
    }

    /// The timestep of a level, between two of them along the logarithm; the nearest end outside.
    pub fn timestep(&self, sigma: f32) -> f32 {
        let wanted = f64::from(sigma).max(1e-10).ln();
        let low = self.log_sigmas.partition_point(|known| *known <= wanted);
        let low = low.saturating_sub(1).min(self.n_steps() - 2);
        let (below, above) = (self.log_sigmas[low], self.log_sigmas[low + 1]);
        let part = ((wanted - below) / (above - below)).clamp(0.0, 1.0);
        (low as f64 + part) as f32
    }

    /// The training step whose level is nearest, along the logarithm.
    pub fn nearest(&self, sigma: f32) -> usize {
        let wanted = f64::from(sigma).max(1e-10).ln();
        let high = self.log_sigmas.partition_point(|known| *known < wanted).min(self.n_steps() - 1);
        let low = high.saturating_sub(1);
        if wanted - self.log_sigmas[low] <= self.log_sigmas[high] - wanted { low } else { high }
    }

    /// The levels of these timesteps, and 0.
    ///
    /// # Errors
    /// `Range` for a list that is empty or too long.
    pub fn levels(&self, timesteps: &[usize]) -> Result<Vec<f32>, Error> {
        super::expect_steps(timesteps.len(), MAX_STEPS)?;
        Ok(super::to_zero(timesteps.iter().map(|step| self.level(*step))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn betas_that_no_model_has_are_refused() {
        let stable = Betas::STABLE;
        for betas in [
            Betas { n_steps: 1, ..stable },
            Betas { n_steps: usize::MAX, ..stable },
            Betas { start: 0.0, ..stable },
            Betas { end: f64::NAN, ..stable },
        ] {
            assert!(Training::new(betas).is_err(), "{betas:?}");
        }
    }

    #[test]
    fn levels_outside_are_those_at_the_ends() {
        let training = Training::new(Betas::STABLE).unwrap();
        assert_eq!((training.timestep(0.0), training.timestep(1e9)), (0.0, 999.0));
        assert_eq!((training.nearest(0.0), training.nearest(1e9)), (0, 999));
        assert_eq!(training.sigma(-5.0) as f32, training.sigma_min());
        assert_eq!(training.sigma(5e6) as f32, training.sigma_max());
        for step in [0, 1, 500, 998, 999] {
            assert_eq!(training.nearest(training.level(step) as f32), step);
        }
    }
}
