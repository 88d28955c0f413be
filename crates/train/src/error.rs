//! What can go wrong in a training.

use std::io;
use std::path::PathBuf;

/// Why a training cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A loss or a gradient that is no number, or infinite.
    #[error("step {step}: {what} is not a finite number")]
    NotFinite {
        /// The step that was to be made, counted from 1.
        step: u64,
        /// `the loss` or `the gradient of NAME`.
        what: String,
    },
    /// Every target of a step is one that does not count.
    #[error("step {step}: no token of the batch counts")]
    NothingToLearn {
        /// The step that was to be made, counted from 1.
        step: u64,
    },
    /// A setting out of its range.
    #[error("{name} is {value}: {reason}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be.
        reason: &'static str,
    },
    /// Sizes of which no model can be made.
    #[error(transparent)]
    Model(#[from] models::Error),
    /// The data cannot be read.
    #[error("{0}")]
    Data(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A checkpoint cannot be written or read.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A checkpoint that is no file of its format.
    #[error("{}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: formats::Error,
    },
    /// A checkpoint that does not fit the model that it is read for.
    #[error("{}: {problem}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
}
