//! Who asks, as far as it matters to who comes first and to what is shared. Is not a person: that is what keys are for.

use base::{KeyId, Limits};
use serde::{Deserialize, Serialize};

/// Who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// All jobs of one owner share what the owner gets of the machine; nothing that was computed for one owner serves
    /// another.
    pub owner: u64,
    /// How urgent the answer is.
    pub class: Class,
    /// The key with which it is asked; absent for the person at this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// What the key may spend.
    #[serde(default)]
    pub limits: Limits,
}

/// How urgent an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Somebody waits for each word.
    #[default]
    Interactive,
    /// Somebody waits for the whole, later.
    Batch,
}
