//! From texts to a model's tokens and back, as plain values. Nothing is computed for it.

use serde::{Deserialize, Serialize};

/// Tell the tokens of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokenise {
    /// The model's name, or the path of a model file.
    pub model: String,
    /// The text.
    pub text: String,
    /// What the names of special tokens are in it.
    #[serde(default)]
    pub names: Names,
    /// Whether the tokens that begin and end a text are put around it.
    #[serde(default)]
    pub ends: Ends,
}

/// What the names of special tokens are in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// The tokens.
    #[default]
    Tokens,
    /// Text like any other.
    Text,
}

/// Whether the tokens that begin and end a text are put around it, where the model wants them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// They are.
    Put,
    /// The text is a part of one.
    #[default]
    LeftOut,
}

/// Tell the text of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detokenise {
    /// The model's name, or the path of a model file.
    pub model: String,
    /// The tokens.
    pub tokens: Vec<u32>,
}
