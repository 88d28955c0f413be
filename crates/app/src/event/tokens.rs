//! What a prompt is to a model, as plain values.

use serde::{Deserialize, Serialize};

/// A prompt as its model is given it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rendered {
    /// The model's full name.
    pub model: String,
    /// The text: a conversation behind the model's chat template. Empty for a prompt of tokens and for one with a hole.
    pub text: String,
    /// The tokens, with those that begin a text.
    pub tokens: Vec<u32>,
}
