//! Samplers: functions that walk from noise to a picture, down a list of noise levels.
//!
//! Each has one file and one line in [`SAMPLERS`]. All of them walk both paths of [`Path`], because in both a step from
//! level σ to level σ' with a known picture D is the same line, x' = (σ'/σ)·x + (1 − σ'/σ)·D; what differs is how fast
//! signal over noise grows. Sums are in f32, factors in f64.

mod ddim;
mod dpm2;
mod dpmpp_2m;
mod dpmpp_2m_sde;
mod dpmpp_2s_ancestral;
mod dpmpp_3m_sde;
mod dpmpp_sde;
mod euler;
mod euler_ancestral;
mod heun;
mod lcm;
mod lms;
mod unipc;

use crate::denoise::{Denoise, Path};
use crate::latent::sum;
use crate::noise::{self, Noise, Steps};
use crate::schedule::MAX_STEPS;
use crate::{Error, Latent};
use std::ops::ControlFlow;

pub use ddim::ddim;
pub use dpm2::{dpm2, dpm2_ancestral};
pub use dpmpp_2m::dpmpp_2m;
pub use dpmpp_2m_sde::{dpmpp_2m_sde, dpmpp_2m_sde_heun};
pub use dpmpp_2s_ancestral::dpmpp_2s_ancestral;
pub use dpmpp_3m_sde::dpmpp_3m_sde;
pub use dpmpp_sde::dpmpp_sde;
pub use euler::euler;
pub use euler_ancestral::euler_ancestral;
pub use heun::heun;
pub use lcm::lcm;
pub use lms::lms;
pub use unipc::unipc;

/// One step of a walk, as a watcher sees it: for previews, progress, and to stop.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The step, from 0.
    pub index: usize,
    /// How many there are.
    pub n_steps: usize,
    /// The noise level.
    pub sigma: f32,
    /// The pictures in their noise.
    pub x: &'a Latent,
    /// The pictures that the model sees in it.
    pub denoised: &'a Latent,
}

/// Who watches a walk; `Break` ends it with `Error::Stopped`.
pub type Watch<'a> = dyn FnMut(Step<'_>) -> ControlFlow<()> + 'a;

/// A sampler: walks from `x`, which has the noise of the first level, to the last one.
///
/// # Shapes
/// N C Y X, in and out.
///
/// # Errors
/// What the denoiser says; `Sigmas` for levels that do not fall, `NotFinite` when the model answers with no numbers,
/// `Stopped` when the watcher says so.
pub type Function = fn(&mut dyn Denoise, Latent, &[f32], &mut Noise, &mut Watch<'_>) -> Result<Latent, Error>;

/// A sampler and its names.
pub struct Sampler {
    /// The name in web UIs.
    pub name: &'static str,
    /// Its names in diffusers and k-diffusion.
    pub aliases: &'static [&'static str],
    /// The schedule that it is used with when nobody says another ("Automatic").
    pub schedule: &'static str,
    /// What walks.
    pub walk: Function,
}

const fn sampler(
    name: &'static str,
    aliases: &'static [&'static str],
    schedule: &'static str,
    walk: Function,
) -> Sampler {
    Sampler { name, aliases, schedule, walk }
}

/// Every sampler.
pub static SAMPLERS: &[Sampler] = &[
    sampler(
        "Euler",
        &["EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler", "sample_euler", "k_euler"],
        "Uniform",
        euler,
    ),
    sampler(
        "Euler a",
        &["EulerAncestralDiscreteScheduler", "sample_euler_ancestral", "k_euler_a", "euler_ancestral"],
        "Uniform",
        euler_ancestral,
    ),
    sampler("Heun", &["HeunDiscreteScheduler", "sample_heun", "k_heun"], "Uniform", heun),
    sampler("DPM2", &["KDPM2DiscreteScheduler", "sample_dpm_2", "dpm_2"], "Karras", dpm2),
    sampler(
        "DPM2 a",
        &["KDPM2AncestralDiscreteScheduler", "sample_dpm_2_ancestral", "dpm_2_ancestral"],
        "Karras",
        dpm2_ancestral,
    ),
    sampler("LMS", &["LMSDiscreteScheduler", "sample_lms", "k_lms"], "Uniform", lms),
    sampler("DPM++ 2S a", &["sample_dpmpp_2s_ancestral", "dpmpp_2s_ancestral"], "Karras", dpmpp_2s_ancestral),
    sampler("DPM++ 2M", &["DPMSolverMultistepScheduler", "sample_dpmpp_2m", "dpmpp_2m"], "Karras", dpmpp_2m),
    sampler("DPM++ SDE", &["DPMSolverSDEScheduler", "sample_dpmpp_sde", "dpmpp_sde"], "Karras", dpmpp_sde),
    sampler("DPM++ 2M SDE", &["sample_dpmpp_2m_sde", "dpmpp_2m_sde"], "Exponential", dpmpp_2m_sde),
    sampler("DPM++ 2M SDE Heun", &["dpmpp_2m_sde_heun"], "Exponential", dpmpp_2m_sde_heun),
    sampler("DPM++ 3M SDE", &["sample_dpmpp_3m_sde", "dpmpp_3m_sde"], "Exponential", dpmpp_3m_sde),
    sampler("DDIM", &["DDIMScheduler"], "Leading", ddim),
    sampler("UniPC", &["UniPCMultistepScheduler", "uni_pc"], "Uniform", unipc::<2>),
    sampler("UniPC 3", &["uni_pc_3"], "Uniform", unipc::<3>),
    sampler("LCM", &["LCMScheduler", "FlowMatchLCMScheduler", "sample_lcm"], "LCM", lcm),
];

/// The sampler of this name; capitals do not matter. Names that end with a schedule's, as web UIs once had them
/// ("DPM++ 2M Karras"), are [`with_schedule`]'s.
///
/// # Errors
/// `Unknown`, with the names that there are.
pub fn named(name: &str) -> Result<&'static Sampler, Error> {
    let is_called = |sampler: &&Sampler| {
        std::iter::once(&sampler.name)
            .chain(sampler.aliases)
            .any(|known| known.eq_ignore_ascii_case(name.trim()))
    };
    SAMPLERS.iter().find(is_called).ok_or_else(|| {
        let known: Vec<&str> = SAMPLERS.iter().map(|sampler| sampler.name).collect();
        Error::Unknown { kind: "sampler", name: name.chars().take(80).collect(), known: known.join(", ") }
    })
}

/// A sampler and the name of its schedule, from a name that may end with one.
///
/// # Errors
/// `Unknown`, with the names that there are.
pub fn with_schedule(name: &str) -> Result<(&'static Sampler, &'static str), Error> {
    if let Ok(sampler) = named(name) {
        return Ok((sampler, sampler.schedule));
    }
    let (first, last) = name.trim().rsplit_once(' ').unwrap_or((name, ""));
    match (named(first), crate::schedule::named(last)) {
        (Ok(sampler), Ok(schedule)) => Ok((sampler, schedule.name)),
        _ => named(name).map(|sampler| (sampler, sampler.schedule)),
    }
}

/// Two levels that follow on each other.
#[derive(Clone, Copy, Debug)]
struct Stop {
    index: usize,
    n_steps: usize,
    sigma: f32,
    next: f32,
}

impl Stop {
    /// What the model sees in `x` at this stop's level, told to the watcher.
    fn look(&self, denoise: &mut dyn Denoise, x: &Latent, watch: &mut Watch<'_>) -> Result<Latent, Error> {
        self.look_at(denoise, x, self.sigma, watch)
    }

    /// The same at a level that is raised a little.
    fn look_at(
        &self,
        denoise: &mut dyn Denoise,
        x: &Latent,
        sigma: f32,
        watch: &mut Watch<'_>,
    ) -> Result<Latent, Error> {
        let denoised = self.glance(denoise, x, sigma)?;
        let step = Step { index: self.index, n_steps: self.n_steps, sigma, x, denoised: &denoised };
        match watch(step) {
            ControlFlow::Continue(()) => Ok(denoised),
            ControlFlow::Break(()) => Err(Error::Stopped { step: self.index }),
        }
    }

    /// What the model sees in `x` at a level on the way, which is nobody else's business.
    fn glance(&self, denoise: &mut dyn Denoise, x: &Latent, sigma: f32) -> Result<Latent, Error> {
        let denoised = denoise.denoise(x, sigma)?;
        denoised.expect_shape("the model's answer", x.shape())?;
        if denoised.data().iter().all(|value| value.is_finite()) {
            return Ok(denoised);
        }
        Err(Error::NotFinite { step: self.index })
    }
}

/// The stops of a walk, if the levels are such that one can be made.
fn stops(denoise: &dyn Denoise, sigmas: &[f32]) -> Result<Vec<Stop>, Error> {
    let n_steps = sigmas.len().saturating_sub(1);
    // Schedules may have a few steps more than were asked for.
    if n_steps > 2 * MAX_STEPS {
        return Err(Error::Range { name: "the number of steps", value: n_steps as f64, range: "0..2000" });
    }
    let highest = if denoise.path() == Path::Flow { 1.0 } else { f32::MAX };
    let pairs = sigmas.windows(2).enumerate();
    let stops = pairs.map(|(index, pair)| {
        let (sigma, next) = (pair[0], pair[1]);
        let is_walkable = sigma > next && next >= 0.0 && sigma <= highest;
        let wrong = Error::Sigmas { step: index, before: sigma, found: next };
        if is_walkable { Ok(Stop { index, n_steps, sigma, next }) } else { Err(wrong) }
    });
    stops.collect()
}

/// `x` at level `sigma`, moved to level `next` in the line to what is seen in it.
fn moved(x: &Latent, denoised: &Latent, sigma: f32, next: f32) -> Latent {
    let keep = f64::from(next) / f64::from(sigma);
    sum(&[(keep, x), (1.0 - keep, denoised)])
}

/// How a step splits into one that goes deeper than the next level, and fresh noise that comes back up.
///
/// Sources: J. Song et al., "Denoising Diffusion Implicit Models" (2021), equation 16, in these coordinates: what
/// k-diffusion calls ancestral steps. For flow matching the same with a fresh share of the distance, as ComfyUI has it.
struct Ancestral {
    /// The level that is stepped to.
    down: f32,
    /// What the result is multiplied by.
    gain: f64,
    /// How much noise is added then.
    up: f64,
}

impl Ancestral {
    fn new(path: Path, sigma: f32, next: f32, eta: f64) -> Self {
        let (from, to) = (f64::from(sigma), f64::from(next));
        if to == 0.0 {
            return Self { down: 0.0, gain: 1.0, up: 0.0 };
        }
        match path {
            Path::Exploding => {
                let up = to.min(eta * (to * to * (from * from - to * to) / (from * from)).max(0.0).sqrt());
                Self { down: (to * to - up * up).sqrt() as f32, gain: 1.0, up }
            }
            Path::Flow => {
                let down = (to * (1.0 + (to / from - 1.0) * eta)).max(0.0);
                let gain = (1.0 - to) / (1.0 - down);
                Self { down: down as f32, gain, up: (to * to - (down * gain).powi(2)).max(0.0).sqrt() }
            }
        }
    }

    /// Adds the fresh noise; draws none when there is none to add.
    fn renoised(&self, x: Latent, noise: &mut Noise) -> Result<Latent, Error> {
        if self.up == 0.0 {
            return Ok(x);
        }
        let fresh = noise.next(x.shape())?;
        Ok(sum(&[(self.gain, &x), (self.up * noise.settings.scale, &fresh)]))
    }
}

/// `x` with the noise that Euler and Heun may add before a step, and its level.
///
/// Source: T. Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022), algorithm 2.
fn churned(x: Latent, stop: &Stop, path: Path, noise: &mut Noise) -> Result<(Latent, f32), Error> {
    let settings = noise.settings;
    if settings.churn <= 0.0 || path == Path::Flow {
        return Ok((x, stop.sigma));
    }
    let fresh = noise.next(x.shape())?;
    let (low, high) = settings.churn_between;
    if !(low..=high).contains(&stop.sigma) {
        return Ok((x, stop.sigma));
    }
    let share = (settings.churn / stop.n_steps as f64).min(std::f64::consts::SQRT_2 - 1.0);
    let sigma = f64::from(stop.sigma);
    let raised = sigma * (1.0 + share);
    let added = settings.scale * (raised * raised - sigma * sigma).sqrt();
    Ok((sum(&[(1.0, &x), (added, &fresh)]), raised as f32))
}

/// Where the noise of an SDE sampler's steps comes from.
enum Fresh {
    Path(noise::Path),
    Independent,
}

impl Fresh {
    fn new(noise: &Noise, sigmas: &[f32]) -> Result<Self, Error> {
        let has_levels = sigmas.iter().any(|sigma| *sigma > 0.0);
        Ok(match noise.settings.steps {
            Steps::Path if has_levels => Self::Path(noise.path(sigmas)?),
            _ => Self::Independent,
        })
    }

    /// `x` with noise of this deviation, of the part of the walk from `sigma` to `next`.
    fn added(&mut self, x: Latent, up: f64, levels: (f32, f32), noise: &mut Noise) -> Result<Latent, Error> {
        let fresh = match self {
            Self::Path(path) => path.between(levels.0, levels.1, x.shape())?,
            Self::Independent => noise.next(x.shape())?,
        };
        Ok(sum(&[(1.0, &x), (up * noise.settings.scale, &fresh)]))
    }
}

/// The level whose λ = ln(signal/noise) is this one.
fn level(path: Path, lambda: f64) -> f32 {
    match path {
        Path::Exploding => (-lambda).exp() as f32,
        Path::Flow => (1.0 / (1.0 + lambda.exp())) as f32,
    }
}

#[cfg(test)]
mod tests;
