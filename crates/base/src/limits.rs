//! Limits that one crate keeps and another counts: what a key may spend.
//!
//! Does not: count. `guard` keeps these with a key, `ledger` counts against them.

use serde::{Deserialize, Serialize};

/// What an API key may spend; what is `None` has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in any minute.
    pub requests_per_minute: Option<u32>,
    /// Requests in a day (UTC).
    pub requests_per_day: Option<u64>,
    /// Tokens of prompts and answers in a day (UTC).
    pub tokens_per_day: Option<u64>,
}
