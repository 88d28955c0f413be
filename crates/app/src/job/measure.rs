//! Measuring a model on this machine, and saying beforehand how it will do, as plain values.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Measure how fast a model reads and writes here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bench {
    /// Its name, or the path of a model file.
    pub model: String,
    /// Tokens of the prompt.
    pub n_prompt: usize,
    /// Tokens that are generated.
    pub n_generated: usize,
    /// How often everything is done; the median is told.
    pub n_runs: usize,
    /// Numbers of users whose answers are also measured together, behind a short prompt each.
    #[serde(default)]
    pub users: Vec<usize>,
    /// Edits whose answers are also measured, with guesses and without.
    #[serde(default)]
    pub edits: Option<Edits>,
}

/// Edits to measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edits {
    /// A file with a line `{"prompt": …, "target": …}` for each.
    pub path: PathBuf,
    /// Whether the tokens of the target are taken as the answer; else the model answers, as long as the target is.
    pub is_forced: bool,
}

/// Say how much memory a model needs here and how fast it will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// Its name, or the path of a model file or folder; where it is not here, what could be pulled: then the headers of
    /// its files are read where they are.
    pub model: String,
    /// Tokens of context to answer for; sensible ones when there are none.
    pub contexts: Vec<usize>,
}
