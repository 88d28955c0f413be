//! What can go wrong in the store: one variant per thing that a caller can do something about, each with its
//! facts and a next step.
//!
//! Not the text that a dialect sends: `app` maps an error to its own code, message and hint.

use std::io;
use std::path::{Path, PathBuf};

use crate::Digest;
use crate::about::ModelfileProblem;
use crate::found::{Place, Reason, Skipped};
use crate::pull;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that is no model name.
    #[error("\"{given}\" is not a model name: {rule}")]
    BadName {
        /// The text, made safe to show.
        given: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A text that is no digest.
    #[error("\"{given}\" is not a digest: sha256: and 64 lower-case hex digits are wanted")]
    BadDigest {
        /// The text, made safe to show.
        given: String,
    },
    /// No model of this name.
    #[error("there is no model \"{name}\"")]
    NotFound {
        /// The name that was asked for.
        name: String,
        /// The names here that are most like it, the best first.
        nearest: Vec<String>,
    },
    /// The model is here, this version of it is not.
    #[error("model \"{name}\" has no version {digest}")]
    VersionNotFound {
        /// The model.
        name: String,
        /// The version that was asked for.
        digest: Digest,
    },
    /// A model of somebody else is not whole, or cannot be read.
    #[error("\"{}\" of {} cannot be used: {}", .0.name, .0.place, .0.reason)]
    Unusable(Box<Skipped>),
    /// A model of somebody else, which is used in place and never changed.
    #[error("\"{name}\" belongs to {place}: it is used in place and never changed")]
    NotOwn {
        /// The model.
        name: String,
        /// Whose it is.
        place: Place,
    },
    /// A name stands at the end of its history.
    #[error("model \"{name}\" has no {which} version than the current one")]
    NoSuchVersion {
        /// The model.
        name: String,
        /// `older` or `newer`.
        which: &'static str,
    },
    /// A name is pinned, so nothing moves it.
    #[error("model \"{name}\" is pinned to {digest}")]
    Pinned {
        /// The model.
        name: String,
        /// The version that it stays at.
        digest: Digest,
    },
    /// The disk has no room.
    #[error("the disk is full: {}{}", path.display(), room(*needed_bytes, *free_bytes))]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
        /// Bytes that the write needs, where known.
        needed_bytes: Option<u64>,
        /// Bytes that are free, where known.
        free_bytes: Option<u64>,
    },
    /// The home lies on a file system that is mounted read-only.
    #[error("cannot {action} {}: the file system is read-only", path.display())]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// The system forbids it.
    #[error("cannot {action} {}: permission denied", path.display())]
    Permission {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// Another process has been writing all the while.
    #[error("another Hearth process is writing ({} is locked; waited {waited_ms} ms)", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long this process waited.
        waited_ms: u64,
    },
    /// A file of the store is not what it must be.
    #[error("{} is damaged: {problem}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A file was written by a newer Hearth.
    #[error("{} is of format version {found}; this Hearth knows versions up to {known}", path.display())]
    FutureVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest version that is known here.
        known: u64,
    },
    /// A file that a model needs is gone.
    #[error("{} is missing", path.display())]
    FileMissing {
        /// The file.
        path: PathBuf,
    },
    /// A file used in place no longer holds what was imported.
    #[error("{} has changed since it was imported: {found} instead of {expected}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The digest at the import.
        expected: Digest,
        /// The digest now.
        found: Digest,
    },
    /// A source was written to while it was read, or is no plain file.
    #[error("cannot import {}: {rule}", path.display())]
    BadSource {
        /// The source.
        path: PathBuf,
        /// What it must be and is not.
        rule: &'static str,
    },
    /// A model must have at least one file.
    #[error("cannot import \"{name}\": no file is given")]
    NoFiles {
        /// The name that it was to have.
        name: String,
    },
    /// What was to be imported breaks a limit.
    #[error("cannot import: {what} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The most that is allowed.
        limit: u64,
    },
    /// A file came with other content than was announced.
    #[error("the bytes that came have {found} instead of {expected}")]
    OtherContent {
        /// The digest that was announced.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// A Modelfile that cannot be read or written.
    #[error("Modelfile{}: {problem}", at_line(*line))]
    BadModelfile {
        /// The line, from 1, where one can be named.
        line: Option<usize>,
        /// What is wrong.
        problem: ModelfileProblem,
    },
    /// Something could not be pulled.
    #[error("cannot pull {what}: {problem}")]
    Remote {
        /// The model or file, without secrets.
        what: String,
        /// Why not.
        problem: Box<pull::Problem>,
    },
    /// The disk or the system failed in another way.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What is wrong with a damaged file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Its text does not follow the format.
    #[error("line {line}, column {column}: {message}")]
    NotTheFormat {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was expected.
        message: String,
    },
    /// Its content has another hash than its name says.
    #[error("its content has {found}")]
    WrongHash {
        /// The digest of what is there.
        found: Digest,
    },
    /// It has another length than it must have.
    #[error("it has {found} bytes instead of {expected}")]
    WrongSize {
        /// The length that it must have.
        expected: u64,
        /// The length that it has.
        found: u64,
    },
    /// It speaks of another model than the one under whose name it lies.
    #[error("it is about \"{found}\"")]
    WrongName {
        /// The model that it is about.
        found: String,
    },
    /// It breaks a limit or lacks what it must have.
    #[error("{rule}")]
    BreaksRule {
        /// The rule.
        rule: &'static str,
    },
}

impl Error {
    /// The next step, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            Self::BadName { .. } => "a name looks like qwen3, qwen3:4b or hf.co/user/repo:Q4_K_M".into(),
            Self::BadDigest { .. } => "copy the digest from `hearth show NAME`".into(),
            Self::NotFound { nearest, .. } if nearest.is_empty() => {
                "`hearth list` shows the models that are here; `hearth import PATH` adds one".into()
            }
            Self::NotFound { nearest, .. } => format!("did you mean {}?", nearest.join(" or ")),
            Self::Unusable(skipped) => match skipped.reason {
                Reason::HalfDownloaded { .. } => {
                    format!("end the download with the program of {}", skipped.place)
                }
                _ => format!("fetch it again, here or with the program of {}", skipped.place),
            },
            Self::NotOwn { name, .. } => format!("`hearth cp {name} NEW` makes a name of your own for it"),
            Self::Pinned { name, .. } => format!("`hearth pin --off {name}` lets it change again"),
            Self::VersionNotFound { name, .. } | Self::NoSuchVersion { name, .. } => {
                format!("`hearth show {name}` lists the versions")
            }
            Self::DiskFull { .. } => "free some space, or remove a model with `hearth rm NAME`".into(),
            Self::ReadOnly { .. } => "set HEARTH_HOME to a folder that can be written".into(),
            Self::Permission { .. } => {
                "give this folder to the user who runs hearth, or set HEARTH_HOME to one of your own".into()
            }
            Self::Locked { .. } => {
                "wait for its import or removal to end, then try again; reading needs no waiting".into()
            }
            Self::Corrupt { .. } | Self::FileMissing { .. } => {
                "import the model again under the same name, or remove it with `hearth rm NAME`".into()
            }
            Self::FutureVersion { .. } => "use the newer Hearth that wrote it; nothing was changed".into(),
            Self::Changed { .. } => "import the file again to use what it holds now".into(),
            Self::BadSource { .. } => "give the path of a plain file that nobody is writing".into(),
            Self::NoFiles { .. } => "give the path of the model's file".into(),
            Self::TooLarge { .. } => "import less under one name".into(),
            Self::OtherContent { .. } => "nothing was kept; send the whole file again".into(),
            Self::BadModelfile { problem, .. } => problem.hint(),
            Self::Remote { problem, .. } => problem.hint(),
            Self::Io { .. } => "check the disk, then try again; nothing was lost".into(),
        }
    }

    /// An error of the disk with what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, needed_bytes: None, free_bytes: None }
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { action, path },
            io::ErrorKind::PermissionDenied => Self::Permission { action, path },
            _ => Self::Io { action, path, source },
        }
    }

    pub(crate) fn remote(what: &str, problem: pull::Problem) -> Self {
        Self::Remote { what: what.to_owned(), problem: Box::new(problem) }
    }

    pub(crate) fn corrupt(path: &Path, problem: Problem) -> Self {
        Self::Corrupt { path: path.to_owned(), problem }
    }
}

/// A text from outside, made safe to show: no control characters, at most 80 characters.
pub(crate) fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut shown: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(", line {line}")).unwrap_or_default()
}

fn room(needed_bytes: Option<u64>, free_bytes: Option<u64>) -> String {
    match (needed_bytes, free_bytes) {
        (Some(needed), Some(free)) => format!(" ({needed} bytes needed, {free} free)"),
        _ => String::new(),
    }
}
