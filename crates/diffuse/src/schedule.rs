//! Noise levels: which a model was trained at, and which of them a sampler stops at.
//!
//! A list of levels falls from the noisiest to the last, which is 0 for nearly all schedules; a walk of n steps has
//! n + 1 of them. Each schedule is a function; [`SCHEDULES`] lists them under the names that users of web UIs know.

mod curves;
pub mod flow;
mod spacing;
mod training;

use crate::Error;

pub use curves::{align_your_steps, beta, exponential, karras, kl_optimal};
pub use spacing::{Spacing, consistency, ddim, sgm_uniform, simple, uniform};
pub use training::{Betas, Curve, Training};

/// The largest number of steps in a walk.
pub const MAX_STEPS: usize = 1000;

/// From noise levels to the timesteps that a model knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Clock {
    /// The timestep, from 0, at which this level was trained, or between two of them.
    Trained(Training),
    /// The level times this: 1000 for most models of flow matching.
    Flow(f32),
}

impl Clock {
    /// The timestep of a noise level.
    pub fn timestep(&self, sigma: f32) -> f32 {
        match self {
            Self::Trained(training) => training.timestep(sigma),
            Self::Flow(scale) => sigma * scale,
        }
    }
}

/// A schedule and its name.
pub struct Schedule {
    /// The name in web UIs.
    pub name: &'static str,
    /// Other names: of k-diffusion, of diffusers, of the settings of web UIs.
    pub aliases: &'static [&'static str],
    /// The levels of a walk of so many steps, the last one included.
    pub sigmas: fn(&Training, usize) -> Result<Vec<f32>, Error>,
}

/// Every schedule for models that were trained at discrete levels. Flow matching has [`flow`].
pub static SCHEDULES: &[Schedule] = &[
    Schedule { name: "Uniform", aliases: &["normal"], sigmas: uniform },
    Schedule {
        name: "Karras",
        aliases: &["use_karras_sigmas"],
        sigmas: |training, n| karras(n, training.sigma_min(), training.sigma_max()),
    },
    Schedule {
        name: "Exponential",
        aliases: &["polyexponential", "use_exponential_sigmas"],
        sigmas: |training, n| exponential(n, training.sigma_min(), training.sigma_max()),
    },
    Schedule { name: "SGM Uniform", aliases: &["sgm_uniform", "SGMUniform"], sigmas: sgm_uniform },
    Schedule {
        name: "KL Optimal",
        aliases: &["kl_optimal"],
        sigmas: |training, n| kl_optimal(n, training.sigma_min(), training.sigma_max()),
    },
    Schedule {
        name: "Align Your Steps",
        aliases: &["align_your_steps"],
        sigmas: |_, n| align_your_steps(n, &curves::ALIGNED_STABLE),
    },
    Schedule {
        name: "Align Your Steps XL",
        aliases: &["align_your_steps_xl"],
        sigmas: |_, n| align_your_steps(n, &curves::ALIGNED_XL),
    },
    Schedule { name: "Simple", aliases: &[], sigmas: simple },
    Schedule { name: "DDIM", aliases: &["ddim_uniform"], sigmas: ddim },
    Schedule {
        name: "Beta",
        aliases: &["use_beta_sigmas"],
        sigmas: |training, n| beta(n, training.sigma_min(), training.sigma_max()),
    },
    Schedule {
        name: "LCM",
        aliases: &[],
        sigmas: |training, n| training.levels(&consistency(training, n, 1.0)?),
    },
    Schedule {
        name: "Leading",
        aliases: &[],
        sigmas: |training, n| Spacing::Leading { offset: 1 }.sigmas(training, n),
    },
    Schedule { name: "Linspace", aliases: &[], sigmas: |training, n| Spacing::Linspace.sigmas(training, n) },
    Schedule {
        name: "Trailing",
        aliases: &["turbo", "lightning"],
        sigmas: |training, n| Spacing::Trailing.sigmas(training, n),
    },
];

/// The schedule of this name; capitals do not matter.
///
/// # Errors
/// `Unknown`, with the names that there are.
pub fn named(name: &str) -> Result<&'static Schedule, Error> {
    let is_called = |schedule: &&Schedule| {
        std::iter::once(&schedule.name)
            .chain(schedule.aliases)
            .any(|known| known.eq_ignore_ascii_case(name.trim()))
    };
    SCHEDULES.iter().find(is_called).ok_or_else(|| {
        let known: Vec<&str> = SCHEDULES.iter().map(|schedule| schedule.name).collect();
        Error::Unknown { kind: "schedule", name: name.chars().take(80).collect(), known: known.join(", ") }
    })
}

/// The same walk, ended at the lowest level of the training instead of 0: DDIM as Stable Diffusion 1 and 2 were published
/// with (`set_alpha_to_one = false`), and `final_sigmas_type = "sigma_min"`. The picture then still has that little noise;
/// DDIM's own coordinates are these divided by √(1 + σ²), which is what its end is divided by too.
pub fn to_lowest(mut sigmas: Vec<f32>, training: &Training) -> Vec<f32> {
    let lowest = training.sigma_min();
    if sigmas.last() == Some(&0.0) {
        sigmas.pop();
        if sigmas.last().is_some_and(|last| *last > lowest) {
            sigmas.push(lowest);
        }
    }
    sigmas
}

/// How web UIs and diffusers count the steps of an image-to-image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// ⌊steps · strength⌋ steps, as diffusers; none at strength 0.
    Diffusers,
    /// ⌈steps · strength⌉ steps, as diffusers for models of flow matching.
    DiffusersFlow,
    /// One step more, and at most all of them, as web UIs.
    WebUi,
}

/// The levels that are left to walk when a picture is changed by `strength`, from 0 (as it is) to 1 (anew).
///
/// # Errors
/// `Range` for a strength outside 0..1.
pub fn from_strength(sigmas: &[f32], strength: f64, counting: Counting) -> Result<&[f32], Error> {
    if !(0.0..=1.0).contains(&strength) {
        return Err(Error::Range { name: "strength", value: strength, range: "0..1" });
    }
    let n = sigmas.len().saturating_sub(1);
    let steps = match counting {
        Counting::Diffusers => (n as f64 * strength) as usize,
        Counting::DiffusersFlow => n - (n as f64 - n as f64 * strength) as usize,
        Counting::WebUi => (n as f64 * strength.min(0.999)) as usize + 1,
    };
    Ok(&sigmas[n.saturating_sub(steps)..])
}

/// What the noise of a walk's begin is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// The first level σ: web UIs, and diffusers with spacings that begin at the last timestep.
    Level,
    /// √(1 + σ²), as if there were a picture of variance 1 below: DDIM and its kin, the other spacings of diffusers.
    Whole,
}

impl Begin {
    /// The factor for a walk that begins at `sigma`.
    pub fn factor(self, sigma: f32) -> f32 {
        match self {
            Self::Level => sigma,
            Self::Whole => (1.0 + f64::from(sigma).powi(2)).sqrt() as f32,
        }
    }
}

/// Refuses walks that are too long, or have no step.
fn expect_steps(n: usize, limit: usize) -> Result<(), Error> {
    if (1..=limit.min(MAX_STEPS)).contains(&n) {
        return Ok(());
    }
    Err(Error::Range {
        name: "the number of steps",
        value: n as f64,
        range: "1..1000, and what the schedule has",
    })
}

/// Refuses ranges of levels that are empty or no numbers.
fn expect_range(min: f32, max: f32) -> Result<(), Error> {
    if min > 0.0 && max >= min && max.is_finite() {
        return Ok(());
    }
    Err(Error::Range {
        name: "the lowest noise level",
        value: f64::from(min),
        range: "0 to the highest, which is finite",
    })
}

/// `n` numbers from `first` to `last`; one number is `first`.
fn linspace(first: f64, last: f64, n: usize) -> impl Iterator<Item = f64> {
    let step = (last - first) / (n.max(2) - 1) as f64;
    (0..n).map(move |at| if at > 0 && at == n - 1 { last } else { first + step * at as f64 })
}

/// The levels as samplers take them: in f32, with 0 at the end.
fn to_zero(levels: impl Iterator<Item = f64>) -> Vec<f32> {
    levels.map(|level| level as f32).chain([0.0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_falls_to_its_end() {
        let training = Training::new(Betas::STABLE).unwrap();
        for schedule in SCHEDULES {
            for n in [2, 3, 10, 37, 50] {
                let sigmas = (schedule.sigmas)(&training, n).unwrap();
                let falls = sigmas.windows(2).all(|pair| pair[0] > pair[1]);
                assert!(falls && sigmas.len() > n, "{} of {n}: {sigmas:?}", schedule.name);
            }
            for n in [0, MAX_STEPS + 1, usize::MAX] {
                assert!((schedule.sigmas)(&training, n).is_err(), "{} of {n}", schedule.name);
            }
        }
    }

    #[test]
    fn names_and_aliases_are_found_and_unlike() {
        let mut names: Vec<String> = SCHEDULES
            .iter()
            .flat_map(|schedule| std::iter::once(&schedule.name).chain(schedule.aliases))
            .map(|name| name.to_lowercase())
            .collect();
        assert!(names.iter().all(|name| named(name).is_ok()));
        names.sort();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
        let Err(Error::Unknown { known, .. }) = named("Karas") else { panic!("found") };
        assert!(known.contains("Karras"));
    }

    #[test]
    fn strengths_outside_their_range_are_refused() {
        for strength in [-0.1, 1.01, f64::NAN] {
            assert!(from_strength(&[1.0, 0.0], strength, Counting::Diffusers).is_err());
        }
        assert_eq!(from_strength(&[], 0.5, Counting::WebUi).unwrap(), [0.0; 0]);
    }
}
