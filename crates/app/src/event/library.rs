//! What jobs on the models tell, as plain values: what was made, could go, differs, is said of a model.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::job::Message;

/// What is said of a model beside its weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// Where it came from.
    pub source: String,
    /// The parameters that it runs with, by name.
    pub parameters: Vec<(String, String)>,
    /// The system prompt that it has where nobody gives another; empty where it has none.
    pub system: String,
    /// The messages with which every conversation begins.
    pub messages: Vec<Message>,
    /// The facts of its card, by name.
    pub card: Vec<(String, String)>,
    /// The texts of its licences.
    pub licenses: Vec<String>,
    /// The digests of all versions that are kept, the oldest first.
    pub versions: Vec<String>,
}

/// An adapter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    /// What it says it was made for: a name or a path; empty where it says nothing.
    pub base: String,
    /// Its largest rank; 0 where its files cannot be read.
    pub rank: usize,
    /// Whether it comes with the model that it changes, or is named behind one.
    pub has_model: bool,
}

/// What a model can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// To write.
    Write,
    /// To write what belongs between two texts.
    FillIn,
    /// To call tools.
    CallTools,
    /// To think before it answers, or not to.
    Think,
    /// To turn texts into vectors.
    Embed,
    /// To judge how well texts answer a question.
    Rerank,
    /// To make pictures.
    Draw,
}

/// What other programs keep that is no model, or not whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its name, as far as it has one.
    pub name: String,
    /// Whose it is.
    pub place: String,
    /// Why it cannot be used.
    pub reason: String,
}

/// What of a Modelfile takes no effect here, or not as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// A parameter that nobody knows; it is kept.
    UnknownParameter {
        /// Its name.
        name: String,
        /// Known names that it may have been meant for.
        nearest: Vec<String>,
    },
    /// A parameter that is kept for other programs: answers here do not depend on it.
    UnusedParameter {
        /// Its name.
        name: String,
    },
    /// The template is in Go's language; it is kept, and the weights' own Jinja template is used.
    GoTemplate,
    /// An instruction that is left out.
    LeftOut {
        /// Its word.
        instruction: String,
    },
    /// An instruction that is kept for other programs.
    KeptForOthers {
        /// Its word.
        instruction: String,
    },
}

/// What could be collected. Nothing else goes when it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Collectable {
    /// Versions that their names would forget: name and digest.
    pub versions: Vec<(String, String)>,
    /// Files of the store that nobody names, or only those versions: digest and bytes.
    pub blobs: Vec<(String, u64)>,
    /// What dead writers left: path and bytes.
    pub drafts: Vec<(PathBuf, u64)>,
    /// Computed beginnings of texts, which can be made again: digest and bytes.
    #[serde(default)]
    pub prefixes: Vec<(String, u64)>,
    /// Bytes that would become free.
    pub size_bytes: u64,
}

impl Collectable {
    /// Whether nothing would go.
    pub fn is_empty(&self) -> bool {
        let has_files = !self.blobs.is_empty() || !self.drafts.is_empty() || !self.prefixes.is_empty();
        self.versions.is_empty() && !has_files
    }
}

/// What was collected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Collected {
    /// Versions that were forgotten.
    pub n_versions: usize,
    /// Files of the store that are gone.
    pub n_blobs: usize,
    /// Computed beginnings of texts that are gone.
    #[serde(default)]
    pub n_prefixes: usize,
    /// Bytes that became free.
    pub freed_bytes: u64,
    /// Why not all is gone; the next collection tries again.
    pub not_collected: Option<crate::Failure>,
}

/// What differs from one model to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The first model, with its version.
    pub from: String,
    /// The second model, with its version.
    pub to: String,
    /// Files by what they are for: digest and bytes.
    pub files: Vec<Change>,
    /// Parameters, the system prompt and the first messages among them.
    pub parameters: Vec<Change>,
    /// Lines of the chat templates; empty where they are the same.
    pub template: Vec<Line>,
    /// What the vocabularies differ in.
    pub vocabulary: Vocabulary,
    /// Tensors: shape and storage. That their numbers differ is seen by the file's digest only.
    pub tensors: Vec<Change>,
    /// Their licences, where they differ.
    pub license: Option<Change>,
}

/// Something that differs: only the first has it, only the second, or both in different ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it is called.
    pub name: String,
    /// What the first has.
    pub from: Option<String>,
    /// What the second has.
    pub to: Option<String>,
}

/// A line of two texts beside each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Both have it.
    Same(String),
    /// Only the first has it.
    Removed(String),
    /// Only the second has it.
    Added(String),
}

/// What two vocabularies differ in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Tokens of the first and of the second.
    pub n_tokens: [usize; 2],
    /// Ids that both have, for another token each.
    pub n_changed: usize,
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        let [first, second] = self.vocabulary.n_tokens;
        self.files.is_empty()
            && self.parameters.is_empty()
            && self.template.is_empty()
            && self.tensors.is_empty()
            && self.license.is_none()
            && (first == second && self.vocabulary.n_changed == 0)
    }
}
