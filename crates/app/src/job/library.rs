//! What people ask of the models that they have: making one from another, going back to an older version.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::Message;

/// Make a model from another one by a Modelfile. Weights are not copied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Create {
    /// The new model's name.
    pub model: String,
    /// The Modelfile; paths in it begin at its folder.
    pub path: PathBuf,
}

/// Make a model from another one, or from files that came before, by what is said of it here. Weights are not copied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Make {
    /// The new model's name.
    pub model: String,
    /// What it is made from.
    pub base: Base,
    /// Adapters: the digests of their files by their names.
    pub adapters: BTreeMap<String, String>,
    /// The chat template; the base's when absent.
    pub template: Option<String>,
    /// The system prompt; the base's when absent, none when empty.
    pub system: Option<String>,
    /// The messages with which conversations begin; the base's when there are none.
    pub messages: Vec<Message>,
    /// Parameters by their names in a Modelfile.
    pub parameters: Map<String, Json>,
    /// Terms of use, beside the base's.
    pub licenses: Vec<String>,
}

/// What a model is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// A model, by its name.
    Model(String),
    /// Files that the store has: their digests by their names.
    Files(BTreeMap<String, String>),
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
