//! What people ask of the models that they have: making one from another, going back to an older version.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Make a model from another one by a Modelfile. Weights are not copied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Create {
    /// The new model's name.
    pub model: String,
    /// The Modelfile; paths in it begin at its folder.
    pub path: PathBuf,
}

/// Make a name stand for another of its versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollBack {
    /// The name.
    pub model: String,
    /// Which version.
    pub target: Target,
}

/// Which of its versions a name is to stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The one before the current.
    #[default]
    Older,
    /// The one after the current.
    Newer,
    /// The one whose digest begins so, with or without `sha256:`.
    Version(String),
}
