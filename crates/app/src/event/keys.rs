//! What is told of keys.

use base::{KeyId, Limits};
use serde::{Deserialize, Serialize};

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its public id.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// What it is good for.
    pub scopes: String,
    /// What it may spend.
    pub limits: Limits,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it ends by itself.
    pub expires_ms: Option<u64>,
    /// When a person ended it.
    pub revoked_ms: Option<u64>,
    /// The day on which it was used last.
    pub last_used_ms: Option<u64>,
}
