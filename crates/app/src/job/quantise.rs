//! Storing a model in fewer bits, as plain values.

use serde::{Deserialize, Serialize};

/// Store a model in fewer bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantise {
    /// Its name, or the path of a model file.
    pub model: String,
    /// The mix of types, as llama.cpp names it: `Q4_K_M`.
    pub mix: String,
    /// The name of the new model; the old one with the mix as its tag when absent.
    pub name: Option<String>,
    /// A text over which both models are compared; one of the program's own when absent.
    pub text: Option<std::path::PathBuf>,
    /// By what errors count: a text over which it is measured how much each column matters, or an importance matrix of
    /// llama.cpp. All columns count alike when absent.
    pub importance: Option<std::path::PathBuf>,
}
