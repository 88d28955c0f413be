//! What is written about a model: the manifest (which files it has) and the record (which manifest is current).
//!
//! Not the files themselves. A manifest is a blob like any other, named by its content and never changed; a
//! record is the pointer, replaced in one step, and keeps the older versions so that rolling back is moving it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::pull::Origin;
use crate::{Digest, Error, ModelName, Problem, Result};

/// The version of both formats that is written here, and the newest that is read.
const VERSION: u64 = 1;

/// The most bytes of a manifest or record that are read: a model of 4,096 files needs less than half.
pub(crate) const MAX_TEXT_BYTES: u64 = 4 << 20;

/// The most files of one model.
pub(crate) const MAX_FILES: usize = 4096;

/// The most versions that a record keeps; an import beyond them forgets the oldest.
pub(crate) const MAX_VERSIONS: usize = 16;

/// What a model consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    version: u64,
    /// Its files, in the order in which they were imported; never empty.
    pub files: Vec<FileRef>,
    /// Settings that go with it (context length, sampling defaults, system text …), by name.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// Where it came from, in words or as an address.
    #[serde(default)]
    pub source: String,
    /// Which version of what it was pulled as; `None` for a model that came another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// When it was made, in milliseconds since 1970 by the clock of that moment; order follows the record's
    /// list, never this.
    pub created_ms: u64,
}

impl Manifest {
    pub(crate) fn new(files: Vec<FileRef>, info: crate::ModelInfo, created_ms: u64) -> Self {
        Self {
            version: VERSION,
            files,
            parameters: info.parameters,
            source: info.source,
            origin: None,
            created_ms,
        }
    }

    /// The first file with this role.
    pub fn file(&self, role: Role) -> Option<&FileRef> {
        self.files.iter().find(|file| file.role == role)
    }

    /// The sum of its files' lengths.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size_bytes))
    }

    /// Reads a manifest. `path` is for the errors.
    pub(crate) fn from_json(bytes: &[u8], path: &Path) -> Result<Self> {
        let manifest: Self = from_json(bytes, path)?;
        if manifest.files.is_empty() || manifest.files.len() > MAX_FILES {
            let rule = "a model has between 1 and 4,096 files";
            return Err(Error::corrupt(path, Problem::BreaksRule { rule }));
        }
        Ok(manifest)
    }
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// What the model uses it for.
    pub role: Role,
    /// The digest of its content.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// Its format, such as `gguf`, `safetensors`, `llama2c`.
    pub format: String,
    /// Its name at its source, where a model has several files of one role; only ever a name, never a path here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where its bytes are.
    pub location: Location,
}

/// What a model uses a file for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// The weights, or one part of them.
    Model,
    /// The vocabulary and how text is cut.
    Tokenizer,
    /// The settings that came with the weights.
    Config,
    /// The chat template.
    Template,
    /// Weights that are added to another model's.
    Adapter,
    /// What turns an image or sound into the model's width.
    Projector,
    /// The terms of use.
    License,
    /// Settings in a file of their own, as others than Hearth keep them; a manifest has them in `parameters`.
    Parameters,
    /// Which part of the weights lies in which file.
    Index,
    /// The model's card: its README.
    Card,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Location {
    /// In the store, under its digest.
    Blob,
    /// Where the person keeps it; never copied, changed or removed. Only an import on this machine may say so:
    /// a manifest that comes from elsewhere must be refused when it does.
    InPlace {
        /// The absolute path.
        path: PathBuf,
        /// Its time of change when it was hashed, in nanoseconds since 1970.
        modified_ns: i64,
    },
}

/// Which manifest a name stands for, and those it stood for before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    version: u64,
    /// The name as it was typed.
    pub name: ModelName,
    /// The digest of the current manifest, one of `versions`.
    pub current: Digest,
    /// The digests of all manifests, the oldest first, each once.
    pub versions: Vec<Digest>,
    /// Whether nothing may move the name.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_pinned: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Record {
    /// The record after `current` was added to what `before` knew.
    pub(crate) fn after(before: Option<Self>, name: &ModelName, current: Digest) -> Self {
        let is_pinned = before.as_ref().is_some_and(|record| record.is_pinned);
        let mut versions = before.map(|record| record.versions).unwrap_or_default();
        versions.retain(|digest| *digest != current);
        versions.push(current);
        versions.drain(..versions.len().saturating_sub(MAX_VERSIONS));
        Self { version: VERSION, name: name.without_digest(), current, versions, is_pinned }
    }

    /// Reads the record that lies under the name `name`. `path` is for the errors.
    pub(crate) fn from_json(bytes: &[u8], name: &ModelName, path: &Path) -> Result<Self> {
        let record: Self = from_json(bytes, path)?;
        if record.name != name.without_digest() {
            return Err(Error::corrupt(path, Problem::WrongName { found: record.name.to_string() }));
        }
        if !record.versions.contains(&record.current) || record.versions.len() > MAX_VERSIONS {
            let rule = "a record has at most 16 versions and the current one is among them";
            return Err(Error::corrupt(path, Problem::BreaksRule { rule }));
        }
        Ok(record)
    }
}

/// The text of a manifest or record: readable, with a line end.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value)
        .expect("names, numbers and UTF-8 paths (checked at the import) always have a JSON form");
    text.push(b'\n');
    text
}

/// The version first, leniently, so that a newer file is told from a damaged one; then the rest, strictly.
fn from_json<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let damaged = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        let message = crate::error::shown(&error.to_string());
        Error::corrupt(path, Problem::NotTheFormat { line, column, message })
    };
    let found = serde_json::from_slice::<Versioned>(bytes).map_err(damaged)?.version;
    match found {
        VERSION => serde_json::from_slice(bytes).map_err(damaged),
        0 => Err(Error::corrupt(path, Problem::BreaksRule { rule: "versions begin at 1" })),
        _ => Err(Error::FutureVersion { path: path.to_owned(), found, known: VERSION }),
    }
}
