//! What is written down of a run that learns from pictures; it lies where the record of every run lies.
//!
//! ```text
//! runs/<run>/
//!   record.json            what it is, what it was made with, how far it is
//!   vocab.json merges.txt  the vocabulary of its captions
//!   last.safetensors       the last checkpoint: weights, moments, progress
//!   curve.jsonl            a line for each step
//!   model/                 the model as diffusers reads it, at the end
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use train::Derived;
use train::pictures::{Knobs, Settings};

use super::super::record::Folder;
use crate::Failure;
use crate::event::training::Ending;

/// The version of the record's form.
const VERSION: u32 = 1;
/// What tells it from the record of a language model.
const KIND: &str = "image";

/// What is written down of a run on pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureRecord {
    version: u32,
    kind: String,
    /// Its name, which is its folder's.
    pub run: String,
    /// The name of its model.
    pub name: String,
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// The version of Hearth that began it.
    pub hearth: String,
    /// The instruction set that computes.
    pub isa: String,
    /// Threads that compute.
    pub n_threads: usize,
    /// The folder that it learns from.
    pub data: PathBuf,
    /// The digest of everything in it.
    pub data_digest: String,
    /// Pictures to learn from.
    pub n_pictures: u64,
    /// Numbers that learn.
    pub n_values: u64,
    /// What was set.
    pub knobs: Knobs,
    /// What followed.
    pub settings: Settings,
    /// Every knob with the reason for its value.
    pub derived: Vec<Derived>,
    /// Steps done, of both stages together.
    pub steps: u64,
    /// Seconds spent on them.
    pub seconds: f64,
    /// The mean loss of the last steps.
    pub loss: Option<f64>,
    /// How it ended, when it did.
    pub ending: Option<Ending>,
}

/// What a new record begins with.
pub(super) struct Beginning {
    pub run: String,
    pub name: String,
    pub began_unix_ms: u64,
    pub data: PathBuf,
    pub data_digest: String,
    pub n_pictures: u64,
    pub n_values: u64,
    pub knobs: Knobs,
    pub settings: Settings,
}

impl PictureRecord {
    pub(super) fn new(beginning: Beginning) -> Self {
        let Beginning { run, name, began_unix_ms, data, data_digest, n_pictures, n_values, knobs, settings } =
            beginning;
        Self {
            version: VERSION,
            kind: KIND.into(),
            run,
            name,
            began_unix_ms,
            hearth: env!("CARGO_PKG_VERSION").into(),
            isa: kernels::isa::current().to_string(),
            n_threads: kernels::pool::active_threads(),
            data,
            data_digest,
            n_pictures,
            n_values,
            derived: knobs.derived(&settings),
            knobs,
            settings,
            steps: 0,
            seconds: 0.0,
            loss: None,
            ending: None,
        }
    }

    /// The record in this folder; `None` where the run is of another kind, or cannot be read.
    pub(crate) fn find(folder: &Folder<'_>) -> Option<Self> {
        let text = folder.read(&folder.file("record.json")).ok()?;
        let record: Self = serde_json::from_str(&text).ok()?;
        (record.kind == KIND && record.version == VERSION).then_some(record)
    }

    pub(super) fn write(&self, folder: &Folder<'_>) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).expect("a record is plain values");
        folder.write("record.json", text.as_bytes())
    }
}
