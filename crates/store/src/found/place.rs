//! What is found: folders, models, files, and why something is no model.
//!
//! Not the finding itself.

use std::fmt;
use std::path::{Path, PathBuf};

use base::disk::{Disk, Facts, Kind};
use serde::Serialize;

use super::{Elsewhere, hugging_face, ollama};
use crate::{Digest, Error, ModelName, Result, Role};

/// Whose files they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// Ollama's folder of models.
    Ollama,
    /// The cache of Hugging Face's hub.
    HuggingFace,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ollama => "Ollama",
            Self::HuggingFace => "the Hugging Face cache",
        })
    }
}

/// A folder of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Whose it is.
    pub place: Place,
    /// Its absolute path: Ollama's `models`, or the cache's `hub`.
    pub path: PathBuf,
}

impl Folder {
    pub(super) fn check(&self) -> Result<()> {
        if self.path.is_absolute() && self.path.to_str().is_some() {
            return Ok(());
        }
        let rule = "a folder whose files are used in place needs an absolute path in UTF-8";
        Err(Error::BadSource { path: self.path.clone(), rule })
    }
}

/// A model of somebody else.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// Its full name: `registry.ollama.ai/library/llama3.2:1b`, `hf.co/user/repo:Q4_K_M`.
    pub name: ModelName,
    /// Its name as people know it: `llama3.2:1b`, `hf.co/user/repo:Q4_K_M@main`.
    pub shown: String,
    /// Whose it is.
    pub place: Place,
    /// Which commit of its repository, and the branch that stands at it (or the commit's first letters).
    pub revision: Option<Revision>,
    /// Whether it is the only one of its repository, so that no tag is needed to name it.
    pub is_only: bool,
    /// Its files, the weights first among those of the same kind.
    pub files: Vec<FoundFile>,
}

/// A version of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revision {
    /// The commit.
    pub commit: String,
    /// `main` or another branch or tag that stands at it, or the commit's first letters.
    pub label: String,
}

/// A file of a model of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundFile {
    /// What the model uses it for.
    pub role: Role,
    /// Its format.
    pub format: String,
    /// Its name in its repository, where it has one.
    pub name: Option<String>,
    /// Its absolute path, in UTF-8.
    pub path: PathBuf,
    /// Its length.
    pub size_bytes: u64,
    /// When it was last changed, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// The digest that its owner claims, where that is a SHA-256.
    pub digest: Option<Digest>,
}

impl Found {
    /// The sum of its files' lengths.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size_bytes))
    }

    /// The text under which it is found whatever else is here.
    pub fn full_name(&self) -> String {
        match &self.revision {
            Some(revision) => format!("{}@{}", self.name, revision.label),
            None => self.name.to_string(),
        }
    }
}

/// Something that looks like a model and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its name, as far as it can be told; safe to show.
    pub name: String,
    /// Whose it is.
    pub place: Place,
    /// Where it lies.
    pub path: PathBuf,
    /// Why not.
    pub reason: Reason,
}

/// Why something cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Its download has not come to its end.
    #[error("its download is not complete: {} is missing", path.display())]
    HalfDownloaded {
        /// What is missing.
        path: PathBuf,
    },
    /// A file that it needs is not there.
    #[error("{} is missing", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// A file has another length than it must have.
    #[error("{} has {found} bytes instead of {expected}", path.display())]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// The length that it must have.
        expected: u64,
        /// The length that it has.
        found: u64,
    },
    /// A link leads out of the folder.
    #[error("{} leads out of the folder", path.display())]
    LeadsOutside {
        /// The link.
        path: PathBuf,
    },
    /// Its description cannot be read.
    #[error("{} cannot be read: {message}", path.display())]
    NotTheFormat {
        /// The file.
        path: PathBuf,
        /// What is wrong, made safe to show.
        message: String,
    },
    /// There are no weights that Hearth knows.
    #[error("it has no weights that Hearth knows")]
    NoWeights,
    /// Its name is none that can be said here.
    #[error("its name cannot be said here: {rule}")]
    BadName {
        /// The rule that it breaks.
        rule: String,
    },
    /// There is more of something than a sound folder has.
    #[error("it is over the limit of {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// What may be a model.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub name: ModelName,
    pub shown: String,
    pub place: Place,
    /// A manifest of Ollama's, or a repository's folder.
    pub path: PathBuf,
}

impl Candidate {
    /// Reads what it consists of: one model or several, or the reasons why not.
    pub fn read(&self, disk: &dyn Disk, folder: &Folder, elsewhere: &mut Elsewhere) {
        match self.place {
            Place::Ollama => ollama::read(self, disk, folder, elsewhere),
            Place::HuggingFace => hugging_face::read(self, disk, folder, elsewhere),
        }
    }

    pub(super) fn skip(&self, reason: Reason) -> Skipped {
        Skipped { name: self.shown.clone(), place: self.place, path: self.path.clone(), reason }
    }
}

/// The facts of a file that must be there.
pub(super) fn facts_of(disk: &dyn Disk, path: &Path) -> std::result::Result<Facts, Reason> {
    match disk.facts(path) {
        Ok(facts) if facts.kind == Kind::File => Ok(facts),
        Ok(_) => Err(Reason::NotTheFormat { path: path.to_owned(), message: "it is no plain file".into() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Reason::MissingFile { path: path.to_owned() })
        }
        Err(error) => Err(Reason::NotTheFormat { path: path.to_owned(), message: error.to_string() }),
    }
}
