//! Fetching models over the network, as plain values.

use serde::{Deserialize, Serialize};

/// Fetch a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// `hf.co/user/repo[:QUANT][@REVISION]`, a name of an Ollama registry, or the address of a file.
    pub from: String,
    /// The name that it gets here; from what is fetched when absent.
    pub name: Option<String>,
}
