//! What a training tells, and what runs are, as plain values.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
pub use train::{Derived, Report};

use crate::worker::training::record::Record;

/// Something that a training tells while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Training {
    /// How far a pass over the documents is.
    Reading {
        /// What it is for.
        pass: Pass,
        /// Bytes of text that were read.
        n_bytes: u64,
        /// Bytes of all files; those of a `.jsonl` are more than their text.
        of_bytes: u64,
    },
    /// The documents were found and read.
    Data {
        /// Documents that were read.
        n_documents: u64,
        /// Bytes of text.
        n_bytes: u64,
        /// Files and lines that were left out.
        n_skipped: u64,
        /// The first of them, each with the reason.
        skipped: Vec<String>,
    },
    /// The vocabulary is there.
    Vocabulary {
        /// Its entries.
        n_tokens: usize,
        /// How many were asked for.
        n_wanted: usize,
    },
    /// The documents are tokens.
    Tokens {
        /// Tokens to learn from.
        n_training: u64,
        /// Tokens that only measure.
        n_held_out: u64,
    },
    /// The pictures were found and looked at.
    Pictures {
        /// Pictures that can be learned from.
        n_pictures: u64,
        /// Files and lines that were left out.
        n_skipped: u64,
        /// The first of them, each with the reason.
        skipped: Vec<String>,
    },
    /// Everything is derived; training begins, or goes on.
    Planned {
        /// The run's name.
        run: String,
        /// Its folder.
        folder: PathBuf,
        /// Numbers that learn.
        n_values: u64,
        /// Steps done before.
        steps_done: u64,
        /// Their losses, thinned out where they are many.
        curve: Vec<Report>,
        /// Every knob with the reason for its value.
        derived: Vec<Derived>,
    },
    /// A step was made.
    Step(Step),
    /// A step on pictures was made.
    PictureStep(super::pictures::PictureStep),
    /// The held-out part was measured.
    HeldOut(HeldOut),
    /// What the model writes by now.
    Sample {
        /// Steps done.
        step: u64,
        /// What it was given.
        prompt: String,
        /// How it goes on.
        text: String,
    },
    /// A checkpoint is on disk.
    Saved {
        /// Steps done.
        step: u64,
    },
}

/// What documents are read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// To learn which words are common.
    Vocabulary,
    /// To be written as tokens.
    Tokens,
}

/// A step that was made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Loss, gradient and rate.
    #[serde(flatten)]
    pub report: Report,
    /// Steps of the whole training.
    pub n_steps: u64,
    /// Tokens a second over the last steps.
    pub tokens_per_second: f64,
    /// What was computed, as a share of this machine's highest f32 speed.
    pub peak_share: f64,
    /// Seconds until the end, at this speed.
    pub remaining_s: f64,
}

/// A measurement of the held-out part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Steps done.
    pub step: u64,
    /// Nats a token.
    pub loss: f64,
    /// e to the loss: among how many tokens the model still guesses.
    pub perplexity: f64,
    /// Whether it is the lowest so far.
    pub is_best: bool,
}

/// Why a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every planned step was made.
    Done,
    /// The held-out loss had not fallen for long.
    Patience,
    /// Somebody stopped it; it can go on.
    Stopped,
}

/// A training came to its end, or was stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// Why it ended.
    pub ending: Ending,
    /// The model in the store, when there is one.
    pub model: Option<String>,
    /// The run's folder.
    pub folder: PathBuf,
    /// What was written down of it.
    pub record: Record,
}

/// A run with its curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunDetails {
    /// What was written down of it.
    pub record: Record,
    /// The run's folder.
    pub folder: PathBuf,
    /// The loss of its steps, thinned out where there are many.
    pub curve: Vec<Report>,
    /// Every measurement of the held-out part.
    pub held_out: Vec<HeldOut>,
}

/// One thing in which two runs differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What.
    pub name: String,
    /// In the first run.
    pub first: String,
    /// In the second run.
    pub second: String,
}

/// Two runs beside each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The first run.
    pub first: RunDetails,
    /// The second run.
    pub second: RunDetails,
    /// Knobs, data and results that differ.
    pub differences: Vec<Difference>,
}

/// A model was written for other programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    /// The model.
    pub model: String,
    /// The files, with their sizes in bytes.
    pub files: Vec<(PathBuf, u64)>,
}
