//! What a fetch tells, and how models stand beside what their sources offer, as plain values.

use serde::{Deserialize, Serialize};

use super::Model;

/// How far a fetch is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fetching {
    /// What it is doing: `asking`, `checking`, `fetching`, `waiting` or `storing`.
    pub phase: String,
    /// The file that it is at; empty before and after the files.
    pub file: String,
    /// Bytes that are here.
    pub done_bytes: u64,
    /// Bytes of all files; 0 until it is known.
    pub total_bytes: u64,
    /// Bytes a second; 0 until it is known.
    pub rate_bytes_per_s: f64,
    /// Seconds that the rest takes.
    pub eta_s: Option<u64>,
}

/// A model was fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pulled {
    /// The model as it stands here now.
    pub model: Model,
    /// Whether its name stands for something else than before.
    pub is_new: bool,
    /// Bytes that came over the network.
    pub fetched_bytes: u64,
    /// Files for which the source announced no hash.
    pub unchecked: Vec<String>,
}

/// How a model stands beside what its source offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The model.
    pub model: String,
    /// Where it came from; empty where it was not fetched.
    pub source: String,
    /// `current`, `outdated`, `pinned` (a newer one is offered, and the model stays), `in_history` (what is offered is
    /// one of its other versions) or `unknown`.
    pub standing: String,
    /// The source's word for what it offers; empty where it does not tell.
    pub offered: String,
}
