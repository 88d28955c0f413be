//! What a training on pictures tells, as plain values.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
pub use train::Report;

use super::training::Ending;
pub use crate::worker::training::pictures::record::PictureRecord;

/// Which part of an image model learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// What turns pictures into latents and back.
    AutoEncoder,
    /// What reads captions, and what removes noise.
    Denoiser,
}

/// A step that was made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureStep {
    /// Loss, gradient and rate.
    #[serde(flatten)]
    pub report: Report,
    /// What learned.
    pub stage: Stage,
    /// Steps of the whole training.
    pub n_steps: u64,
    /// Pictures a second over the last steps.
    pub pictures_per_second: f64,
    /// Seconds until the end of this stage, at this speed.
    pub remaining_s: f64,
}

/// A training on pictures came to its end, or was stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Painted {
    /// Why it ended.
    pub ending: Ending,
    /// The folder of the model as `diffusers` reads it, when there is one.
    pub model: Option<PathBuf>,
    /// A caption that it learned from.
    pub caption: String,
    /// The run's folder.
    pub folder: PathBuf,
    /// What was written down of it.
    pub record: PictureRecord,
}

/// A run on pictures with its curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureRun {
    /// What was written down of it.
    pub record: PictureRecord,
    /// The run's folder.
    pub folder: PathBuf,
    /// The loss of its steps, thinned out where there are many.
    pub curve: Vec<Report>,
}
