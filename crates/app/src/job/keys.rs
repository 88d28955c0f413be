//! Looking after the keys with which others come in.

pub use base::Limits;
use serde::{Deserialize, Serialize};

/// What to do with keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// Make one.
    Create(Create),
    /// Tell all.
    List,
    /// End one for good.
    Revoke {
        /// Its name or id.
        key: String,
    },
}

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// What people call it.
    pub name: String,
    /// What it is good for: `use`, `read`, `manage`, `metrics` and `admin`, with commas between them.
    pub scopes: String,
    /// After how many milliseconds it ends by itself.
    pub lasts_ms: Option<u64>,
    /// What it may spend.
    pub limits: Limits,
}
