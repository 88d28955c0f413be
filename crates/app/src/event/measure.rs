//! What was measured of a model on this machine, and what is expected, as plain values.

use serde::{Deserialize, Serialize};

/// What this machine can do at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Threads that compute.
    pub n_threads: usize,
    /// Bytes a second that can be read from memory.
    pub read_bytes_per_s: f64,
    /// f32 multiply-adds a second, each counted as two operations.
    pub flops_per_s: f64,
    /// Memory that programs can take, where the system tells it.
    pub available_bytes: Option<u64>,
}

/// The lowest, the middle and the highest of several measurements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The lowest.
    pub lowest: f64,
    /// The middle one.
    pub median: f64,
    /// The highest.
    pub highest: f64,
}

/// How several answers did together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Together {
    /// How many.
    pub n_users: usize,
    /// Generated tokens a second of all of them.
    pub tokens_per_s: Spread,
}

/// How the answers to edits did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edited {
    /// How many.
    pub n_edits: usize,
    /// Tokens of all answers.
    pub n_tokens: usize,
    /// Whether they were the tokens that the file gave.
    pub is_forced: bool,
    /// Generated tokens a second without guesses.
    pub plain_tokens_per_s: Spread,
    /// The same with guesses.
    pub guessed_tokens_per_s: Spread,
}

/// How a model did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The model.
    pub model: String,
    /// Bytes of its file.
    pub file_bytes: u64,
    /// Milliseconds until it was ready.
    pub load_ms: f64,
    /// Tokens of the prompt.
    pub n_prompt: usize,
    /// Tokens that were generated.
    pub n_generated: usize,
    /// Tokens of the prompt a second.
    pub prompt_tokens_per_s: Spread,
    /// Generated tokens a second.
    pub generated_tokens_per_s: Spread,
    /// The same of several answers at once, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together: Vec<Together>,
    /// The same of edits, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Edited>,
    /// The arithmetic of the prompt as a share of what the machine can do at most.
    pub share_of_arithmetic: f64,
    /// The bytes that generating reads as a share of what the machine can read at most.
    pub share_of_bandwidth: f64,
    /// Memory of the whole program at its highest, where the system tells it.
    pub peak_bytes: Option<u64>,
    /// The machine.
    pub machine: Machine,
}

/// What is expected of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitting {
    /// The model.
    pub model: String,
    /// Bytes of its file.
    pub file_bytes: u64,
    /// The sort of weights that most of it is stored in.
    pub storage: String,
    /// Tokens that it was made for.
    pub context: usize,
    /// For each length of context, the shortest first.
    pub lengths: Vec<FitAt>,
    /// What each way of storing the weights would take, the largest first.
    pub storages: Vec<FitAs>,
    /// Whether those are what its source has; else any that it can be stored in.
    #[serde(default)]
    pub is_offered: bool,
    /// What to pull, where the model is not here: in the best quantisation that its source has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take: Option<String>,
    /// The machine.
    pub machine: Machine,
}

/// What an image model needs on this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittingPictures {
    /// The model.
    pub model: String,
    /// The name of the pipeline that it was written for.
    pub class: String,
    /// Width and height of the picture that it is answered for, in pixels.
    pub size: [usize; 2],
    /// Its parts, of which one is in memory at a time.
    pub parts: Vec<FitPart>,
    /// Memory of the largest of them, with the whole program.
    pub memory_bytes: u64,
    /// Whether that is there; nothing where the system does not tell it.
    pub fits: Option<bool>,
    /// Steps where nobody says how many.
    pub n_steps: usize,
    /// Multiplications and additions of a step.
    pub step_flops: f64,
    /// Seconds of a step, by what products of the model's width take here.
    pub step_s: f64,
    /// The machine.
    pub machine: Machine,
}

/// A part of an image model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitPart {
    /// What it is.
    pub name: String,
    /// Bytes of its weights in its files.
    pub weight_bytes: u64,
    /// Memory while it computes.
    pub memory_bytes: u64,
}

/// What is expected when so many tokens stand in the context.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitAt {
    /// Tokens of context.
    pub n_tokens: usize,
    /// Memory of the whole program.
    pub memory_bytes: u64,
    /// Of which keys and values.
    pub cache_bytes: u64,
    /// Whether that is there; nothing where the system does not tell it.
    pub fits: Option<bool>,
    /// Tokens of a prompt of this length a second.
    pub prompt_tokens_per_s: f64,
    /// Tokens a second that are generated behind it.
    pub generated_tokens_per_s: f64,
}

/// What is expected of the same model with its matrices stored in another way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitAs {
    /// The way, as mixes and quantisations are named.
    pub storage: String,
    /// Bytes of the weights: of what a source has, those that a pull brings.
    pub weight_bytes: u64,
    /// Memory with 4,096 tokens of context, or as many as the model takes.
    pub memory_bytes: u64,
    /// Whether that is there.
    pub fits: Option<bool>,
    /// Generated tokens a second; nothing where it is not known how its maker mixed it.
    pub generated_tokens_per_s: Option<f64>,
    /// Whether it is the one to take: the most exact that fits.
    pub is_best: bool,
}
