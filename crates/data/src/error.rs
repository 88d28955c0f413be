//! What can go wrong between documents and batches: one variant per thing that a caller can do something about,
//! each with its facts and a next step.
//!
//! Not the text that a dialect sends: `app` maps an error to its own code, message and hint. What concerns one
//! document of many is no error but a [`crate::Reason`] in the report.

use std::io;
use std::path::{Path, PathBuf};

use crate::tokens::Part;
use crate::{Difference, Digest};

/// Why a data set could not be read, written or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing at this path.
    #[error("there is no file or folder {}", path.display())]
    NotFound {
        /// The path that was given.
        path: PathBuf,
    },
    /// A file that is no text, or neither a file nor a folder.
    #[error("{} cannot be learned from: it is not a .txt, .md or .jsonl file, and no folder of them", path.display())]
    NotAccepted {
        /// The path that was given.
        path: PathBuf,
    },
    /// A folder in which no file could be used.
    #[error("{} has no .txt, .md or .jsonl file that can be read ({n_skipped} other things were passed over)", path.display())]
    NoFiles {
        /// The folder.
        path: PathBuf,
        /// What was found instead.
        n_skipped: u64,
    },
    /// A folder with more files or documents than are handled.
    #[error("{} has more than {limit} {what}", path.display())]
    TooMany {
        /// The folder or file.
        path: PathBuf,
        /// What there is too much of.
        what: &'static str,
        /// The most that is handled.
        limit: usize,
    },
    /// A file was written to while it was read.
    #[error("{} changed while it was read", path.display())]
    ChangedMeanwhile {
        /// The file.
        path: PathBuf,
    },
    /// The data set is not the one that a run began with.
    #[error("the data set has changed: {difference}")]
    DataChanged {
        /// What was added, removed and changed.
        difference: Box<Difference>,
    },
    /// No document came out of the files, or none that the model can be given.
    #[error("there is nothing to learn from: {n_skipped} documents were left out{}", first_reason(first))]
    NothingToLearn {
        /// What was left out.
        n_skipped: u64,
        /// The first of these, with its reason.
        first: Option<String>,
    },
    /// There are too few tokens for one example.
    #[error("{part}: {found} tokens, at least {needed} are needed")]
    TooFewTokens {
        /// Of which part.
        part: Part,
        /// Tokens that are there.
        found: u64,
        /// Tokens of one example.
        needed: u64,
    },
    /// A number that was asked for cannot be.
    #[error("{what} is {found}; it must be {rule}")]
    BadSetting {
        /// Its name.
        what: &'static str,
        /// The number.
        found: u64,
        /// What it must be.
        rule: &'static str,
    },
    /// What makes tokens gave an id that is not in the vocabulary, or lists of two lengths.
    #[error("{}:{line}: {rule}", path.display())]
    BadEncoding {
        /// The file of the document.
        path: PathBuf,
        /// Its line.
        line: u64,
        /// The rule that is broken.
        rule: &'static str,
    },
    /// The caller wanted no more.
    #[error("stopped")]
    Stopped,
    /// A token file that is damaged or of another kind.
    #[error("{} is not a token file of Hearth, or is damaged: {rule}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A token file that was written by a newer Hearth.
    #[error("{} is a token file of version {found}; this Hearth knows version {known}", path.display())]
    FutureVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that is known here.
        known: u32,
    },
    /// A token file was made for another vocabulary.
    #[error("{} was made with another vocabulary ({found}, not {expected})", path.display())]
    OtherVocabulary {
        /// The file.
        path: PathBuf,
        /// The vocabulary that it was made with.
        found: Digest,
        /// The vocabulary that is wanted.
        expected: Digest,
    },
    /// A token file was made from other documents.
    #[error("{} was made from other documents ({found}, not {expected})", path.display())]
    OtherData {
        /// The file.
        path: PathBuf,
        /// The data set that it was made from.
        found: Digest,
        /// The data set that is wanted.
        expected: Digest,
    },
    /// A saved position belongs to another stream of batches.
    #[error("the saved position is of another run: {what} was {saved} and is {now}")]
    OtherPosition {
        /// What differs.
        what: &'static str,
        /// When the position was saved.
        saved: u64,
        /// Now.
        now: u64,
    },
    /// Another process is writing this file.
    #[error("another Hearth process is writing {}", path.display())]
    Busy {
        /// The draft that is locked.
        path: PathBuf,
    },
    /// The disk or the system failed.
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

impl Error {
    /// The next step, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "check the path; a folder or one .txt, .md or .jsonl file is wanted",
            Self::NotAccepted { .. } | Self::NoFiles { .. } => {
                "give .txt or .md files of plain text, or .jsonl files whose lines have \"text\", or \"messages\", \
                 or \"prompt\" and \"completion\""
            }
            Self::TooMany { .. } => "put many small documents into one .jsonl file, or take fewer",
            Self::ChangedMeanwhile { .. } => "wait until nobody writes to the folder, then begin again",
            Self::DataChanged { .. } => {
                "put the files back as they were, or begin a new run with the new data"
            }
            Self::NothingToLearn { .. } => "the reasons say what to mend in the files",
            Self::TooFewTokens { .. } => "add text, or choose a shorter context",
            Self::BadSetting { .. } => "choose another number",
            Self::BadEncoding { .. } => "use the tokenizer that belongs to the model",
            Self::Stopped => "begin again to go on",
            Self::Damaged { .. } | Self::OtherVocabulary { .. } | Self::OtherData { .. } => {
                "remove the file; it is made again from the documents"
            }
            Self::FutureVersion { .. } => "use the newer Hearth that wrote it",
            Self::OtherPosition { .. } => "resume with the settings that the run began with",
            Self::Busy { .. } => "wait for it to end, then try again",
            Self::Io { .. } => "check the disk and the permissions, then try again",
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

fn first_reason(first: &Option<String>) -> String {
    first.as_ref().map_or_else(String::new, |first| format!(", the first of them {first}"))
}
