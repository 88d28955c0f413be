//! One entry: what a job took.
//!
//! Not what was asked or answered: no text of a person is ever in the ledger.

use std::fmt;

use base::KeyId;

use crate::{Error, Result};

pub(crate) const MAX_JOB_BYTES: usize = 200;
pub(crate) const MAX_MODEL_BYTES: usize = 1_000;
/// About 35 years: a wait or a computation that a sum of many still holds.
const MAX_DURATION_MS: u64 = 1 << 40;

/// What a job took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it ended, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// The job, as logs and answers name it; at most 200 bytes.
    pub job: String,
    /// The key that asked, if one did.
    pub key: Option<KeyId>,
    /// The model's name; at most 1,000 bytes.
    pub model: String,
    /// Tokens of the prompt, those that were found computed among them.
    pub prompt_tokens: u32,
    /// Of them those that were found computed.
    pub found_tokens: u32,
    /// Tokens of the answer.
    pub answer_tokens: u32,
    /// How long it waited, in milliseconds (at most 2^40 are kept).
    pub queue_ms: u64,
    /// How long it was computed, in milliseconds (at most 2^40 are kept).
    pub compute_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Its answer is whole.
    Done,
    /// The client left, or a person stopped it.
    Cancelled,
    /// It broke off with an error.
    Failed,
    /// It was let in, and then not begun.
    Refused,
}

impl Outcome {
    pub(crate) const ALL: [Self; 4] = [Self::Done, Self::Cancelled, Self::Failed, Self::Refused];

    /// The word for it, in the database and in lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Entry {
    /// What counts against the tokens of a day: prompt and answer. What was found computed counts too: else who asks
    /// first pays for all others.
    pub fn tokens(&self) -> u64 {
        u64::from(self.prompt_tokens) + u64::from(self.answer_tokens)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let limits = [("job", &self.job, MAX_JOB_BYTES), ("model", &self.model, MAX_MODEL_BYTES)];
        match limits.into_iter().find(|(_, text, limit_bytes)| text.len() > *limit_bytes) {
            Some((what, text, limit_bytes)) => {
                Err(Error::TooLong { what, size_bytes: text.len(), limit_bytes })
            }
            None => Ok(()),
        }
    }

    pub(crate) fn durations_ms(&self) -> [i64; 2] {
        [self.queue_ms, self.compute_ms].map(|ms| ms.min(MAX_DURATION_MS).cast_signed())
    }
}
