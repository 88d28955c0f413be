//! Texts that became vectors, as plain values.

use serde::{Deserialize, Serialize};

/// One text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// Which of the texts, from 0.
    pub index: usize,
    /// Tokens of it that were read, with those that begin and end it.
    pub n_tokens: usize,
    /// Whether it was longer than the model reads, so that its end was left out.
    pub is_cut: bool,
    /// A vector of length 1.
    pub vector: Vec<f32>,
}
