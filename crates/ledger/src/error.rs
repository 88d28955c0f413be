//! What can go wrong in the ledger: one variant per thing that a caller can do something about, each with its facts
//! and a next step.
//!
//! Not the text that a dialect sends: `app` maps an error to its own code, message and hint.

use std::io;
use std::path::{Path, PathBuf};

use crate::Over;

/// Why the ledger could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key has used up what it may spend in a day. Nothing was counted.
    #[error("{0}")]
    Over(Over),
    /// A text of an entry is longer than it may be.
    #[error("the {what} of an entry may have {limit_bytes} bytes; this one has {size_bytes}")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// Its length.
        size_bytes: usize,
        /// The most that is taken.
        limit_bytes: usize,
    },
    /// The system could not make an entry durable. It is in the ledger now, and may be gone after a loss of power.
    #[error("cannot make {} durable: {kind}", path.display())]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        kind: io::ErrorKind,
    },
    /// The database is not what it must be.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The database was written by a newer Hearth.
    #[error("{} is of format version {found}; this Hearth knows versions up to {known}", path.display())]
    FutureVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// Another process has been writing all the while.
    #[error("another Hearth process is writing ({} is locked; waited {waited_ms} ms)", path.display())]
    Locked {
        /// The file that is locked.
        path: PathBuf,
        /// How long this process waited.
        waited_ms: u64,
    },
    /// The disk has no room.
    #[error("the disk is full: {}", path.display())]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
    },
    /// The file system is mounted read-only.
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

/// What is wrong with a damaged database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// SQLite cannot read it.
    #[error("{message}")]
    NotReadable {
        /// What SQLite says.
        message: String,
    },
    /// It is a database of another program.
    #[error("it is a database of another program")]
    NotOurs,
    /// What was counted for a key on a day is not what its entries add up to.
    #[error("{n_days} days of keys are counted otherwise than their entries add up")]
    CountsDiffer {
        /// How many days of keys differ.
        n_days: u64,
    },
}

impl Error {
    /// The next step, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            Self::Over(_) => {
                "wait until the day ends (UTC), or ask who runs this server for a key with more".into()
            }
            Self::TooLong { .. } => "name the job and the model in fewer words".into(),
            Self::NotDurable { .. } => "look after the disk: it fails to keep what is written".into(),
            Self::Damaged { path, problem: Problem::NotOurs } => {
                format!("move {} away, or set HEARTH_HOME to a folder of its own", path.display())
            }
            Self::Damaged { path, .. } => format!(
                "bring {} back from a backup; without one move it away and start again: a new ledger begins empty, and \
                 the quotas of today begin anew",
                path.display()
            ),
            Self::FutureVersion { .. } => "use the newer Hearth that wrote it; nothing was changed".into(),
            Self::Locked { .. } => "wait for the other process to end its work, then try again".into(),
            Self::DiskFull { .. } => "free some space, then try again; nothing was lost".into(),
            Self::ReadOnly { .. } => "set HEARTH_HOME to a folder that can be written".into(),
            Self::Permission { .. } => {
                "give this folder to the user who runs hearth, or set HEARTH_HOME to one of your own".into()
            }
            Self::Io { .. } => "check the disk, then try again; nothing was lost".into(),
        }
    }

    /// An error of the disk with what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { action, path },
            io::ErrorKind::PermissionDenied => Self::Permission { action, path },
            _ => Self::Io { action, path, source },
        }
    }

    pub(crate) fn damaged(path: &Path, problem: Problem) -> Self {
        Self::Damaged { path: path.to_owned(), problem }
    }
}
