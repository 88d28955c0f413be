//! What is in memory, as plain values.

use serde::{Deserialize, Serialize};

/// What is in memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes that models and other work may take together with the program.
    pub limit_bytes: u64,
    /// Bytes that they take at most, as predicted.
    pub predicted_bytes: u64,
    /// Bytes that the program holds now, where the system tells.
    pub held_bytes: Option<u64>,
    /// The models.
    pub models: Vec<LoadedModel>,
    /// What has a share of the memory beside them.
    #[serde(default)]
    pub work: Vec<Work>,
    /// Jobs that wait for a model to have room.
    pub n_waiting: usize,
}

/// A model in memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadedModel {
    /// Its name, as it was asked for first.
    pub name: String,
    /// What its weights are told by.
    pub key: String,
    /// Bytes that it takes at most.
    pub size_bytes: u64,
    /// Tokens that one text may have; 0 of a model that turns texts into vectors.
    pub context: usize,
    /// Answers that it gives now.
    pub n_answers: usize,
    /// Pages of keys and values in use.
    pub n_pages_used: usize,
    /// Pages of keys and values.
    pub n_pages: usize,
    /// Milliseconds until it goes, if nobody uses it; absent where it is kept for good.
    pub ends_in_ms: Option<u64>,
}

/// What work waits for that has no room yet. It goes on by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What waits, such as `training stories`.
    pub name: String,
    /// Bytes that it takes at most.
    pub size_bytes: u64,
    /// Bytes that are missing.
    pub missing_bytes: u64,
    /// What holds memory until it has ended, with the bytes that it takes at most.
    pub holders: Vec<Holder>,
}

/// What holds memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The name of a model or of work.
    pub name: String,
    /// Bytes that it takes at most.
    pub size_bytes: u64,
}

/// Work that has a share of the memory beside the models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// What it is, such as `training stories`.
    pub name: String,
    /// Bytes that it takes at most.
    pub size_bytes: u64,
    /// Steps that it has done.
    pub steps_done: u64,
    /// All its steps; 0 while that is not known.
    pub n_steps: u64,
}
