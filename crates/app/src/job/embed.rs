//! Turning texts into vectors, as plain values.

use serde::{Deserialize, Serialize};

/// Turn texts into vectors whose products are cosines: the nearer two meanings, the nearer to 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embed {
    /// An encoder's name, its file, or a folder as `transformers` writes it.
    pub model: String,
    /// The texts.
    pub texts: Vec<Text>,
    /// What becomes of a text that is longer than the model reads.
    #[serde(default)]
    pub too_long: TooLong,
    /// How long the encoder stays loaded behind this; absent, as before, or for the usual time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<super::Keep>,
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// As it is written.
    Written(String),
    /// The tokens of one; those that begin and end a text are put around them.
    Tokens(Vec<u32>),
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Written(text)
    }
}

/// What becomes of a text that is longer than the model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooLong {
    /// It loses its end, and is told to have.
    #[default]
    Cut,
    /// It is refused.
    Refuse,
}
