//! What became of a model that was stored in fewer bits, as plain values.

use serde::{Deserialize, Serialize};

/// One tensor of the new model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantisedTensor {
    /// Its name.
    pub name: String,
    /// Its type before.
    pub before: String,
    /// Its type now.
    pub now: String,
    /// The root of the mean square of what changed, as a share of that of the weights.
    pub relative_error: f64,
}

/// How far the next tokens of two models lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// Tokens of the text.
    pub n_tokens: usize,
    /// Mean Kullback-Leibler divergence of the new model from the old one, in nats a token.
    pub mean: f64,
    /// The share of tokens after which both hold the same one for the likeliest.
    pub same_best: f64,
    /// Perplexity of the text, before and now.
    pub perplexity: [f64; 2],
}

/// By what errors counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Importance {
    /// The text over which it was measured, or the importance matrix.
    pub source: String,
    /// Tokens that were read, where it is known.
    pub n_tokens: Option<u64>,
    /// Of the tensors whose type changed those of which it is known how much their columns matter, and all.
    pub tensors: [usize; 2],
}

/// A model was stored in fewer bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantised {
    /// The new model.
    pub model: String,
    /// The mix.
    pub mix: String,
    /// Bytes of the weights, before and now.
    pub bytes: [u64; 2],
    /// Bits that a weight takes now, on average.
    pub bits_per_weight: f64,
    /// The root of the mean square of all that changed, as a share of that of all weights.
    pub relative_error: f64,
    /// Every tensor whose type changed.
    pub tensors: Vec<QuantisedTensor>,
    /// By what errors counted, where it was not by the weights alone.
    pub importance: Option<Importance>,
    /// How much the answers change.
    pub divergence: Divergence,
}
