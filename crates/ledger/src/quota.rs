//! What a key may spend in a day, and what it has spent.
//!
//! Does not: count (the [`crate::Ledger`] does), or limit requests in a minute ([`crate::rate`]).
//!
//! Tokens are known at the end of a job only: a key that has one token left is let in, and jobs that run at the same
//! time may together go over the limit by what they take. The next one is refused.

use std::fmt;

use base::{KeyId, Limits};

use crate::DAY_MS;

/// A request that was let in and counted. Give it back to [`crate::Ledger::settle`] with what the job took; one that
/// is dropped stays counted, without tokens.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "tokens are counted when the grant is settled"]
pub struct Grant {
    pub(crate) key: KeyId,
    pub(crate) day: u64,
    /// What the key had spent on that day, this request among it.
    pub used: Used,
    /// What it may spend.
    pub limits: Limits,
}

impl Grant {
    /// The key that was let in.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Requests that are left on that day, where they are limited.
    pub fn requests_left(&self) -> Option<u64> {
        self.limits.requests_per_day.map(|limit| limit.saturating_sub(self.used.requests))
    }

    /// Tokens that were left on that day when it was let in, where they are limited.
    pub fn tokens_left(&self) -> Option<u64> {
        self.limits.tokens_per_day.map(|limit| limit.saturating_sub(self.used.tokens))
    }
}

/// What a key has spent on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Requests that were let in.
    pub requests: u64,
    /// Tokens of prompts and answers of jobs that have ended.
    pub tokens: u64,
    /// When the day ends and counting begins anew, in milliseconds since 1970.
    pub resets_unix_ms: u64,
}

/// What there is a limit of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quota {
    /// Requests in a day.
    RequestsPerDay,
    /// Tokens in a day.
    TokensPerDay,
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// Which one.
    pub what: Quota,
    /// The limit.
    pub limit: u64,
    /// What was used; of tokens it may be more than the limit.
    pub used: u64,
    /// When the day ends and counting begins anew, in milliseconds since 1970.
    pub resets_unix_ms: u64,
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            Quota::RequestsPerDay => "requests",
            Quota::TokensPerDay => "tokens",
        };
        write!(f, "this key may spend {} {what} in a day and has spent {}", self.limit, self.used)
    }
}

impl Used {
    /// The first limit that is reached.
    pub(crate) fn over(&self, limits: &Limits) -> Option<Over> {
        let reached = |what, limit: Option<u64>, used: u64| {
            let limit = limit.filter(|limit| used >= *limit)?;
            Some(Over { what, limit, used, resets_unix_ms: self.resets_unix_ms })
        };
        reached(Quota::RequestsPerDay, limits.requests_per_day, self.requests)
            .or_else(|| reached(Quota::TokensPerDay, limits.tokens_per_day, self.tokens))
    }
}

/// When a day ends.
pub(crate) fn end_of(day: u64) -> u64 {
    day.saturating_add(1).saturating_mul(DAY_MS)
}
