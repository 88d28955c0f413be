//! Why a job came to nothing, the same in every dialect and on every terminal.

use serde::{Deserialize, Serialize};

/// A failed job: what kind, what happened, what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A word for programs, such as `model_not_found`.
    pub code: String,
    /// What is wrong and where.
    pub message: String,
    /// The next step.
    pub hint: String,
}

impl Failure {
    /// A failure from its three parts.
    pub fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), hint: hint.into() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// The system gives no thread.
    pub(crate) fn no_thread(error: &std::io::Error) -> Self {
        Self::new("no_thread", error.to_string(), "close other programs, then try again")
    }

    /// A bug of ours ended the job.
    pub(crate) fn internal() -> Self {
        Self::new(
            "internal",
            "a bug in Hearth ended this job",
            "the other jobs go on; please report it with the lines that stand above",
        )
    }
}
