//! Finding the texts that answer a question best, as plain values.

use serde::{Deserialize, Serialize};

use super::embed::TooLong;

/// Tell how well texts answer a question: by a model that was taught to judge both together, or by the vectors of an
/// encoder that was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rerank {
    /// A reranker's or an encoder's name, its file, or a folder as `transformers` writes it.
    pub model: String,
    /// The question.
    pub query: String,
    /// The texts.
    pub documents: Vec<String>,
    /// What becomes of a text that is longer than the model reads beside the question.
    #[serde(default)]
    pub too_long: TooLong,
    /// How long the model stays loaded behind this; absent, as before, or for the usual time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<super::Keep>,
}
