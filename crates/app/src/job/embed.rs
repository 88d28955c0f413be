//! Turning texts into vectors, as plain values.

use serde::{Deserialize, Serialize};

/// Turn texts into vectors whose products are cosines: the nearer two meanings, the nearer to 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embed {
    /// An encoder's name, its file, or a folder as `transformers` writes it.
    pub model: String,
    /// The texts.
    pub texts: Vec<String>,
}
