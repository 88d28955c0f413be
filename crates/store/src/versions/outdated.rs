//! Whether a model is what its source offers now.
//!
//! Does not: ask the source. Whoever calls knows what is offered and passes it in.

use serde::Serialize;

use crate::{Digest, Model};

/// What a source offers under a model's name now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The source's own word for the version: a commit, a digest, a date.
    pub revision: String,
    /// The digests of the files that a pull would fetch. Empty where the source does not tell.
    pub digests: Vec<Digest>,
}

/// How a model stands beside what its source offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "standing")]
#[non_exhaustive]
pub enum Standing {
    /// It has every file that is offered.
    Current,
    /// Some version before the current one, or after it, has every file that is offered: a rollback does what a pull
    /// would.
    InHistory {
        /// That version.
        version: Digest,
    },
    /// A pull would fetch files.
    Outdated {
        /// The source's word for what it offers.
        revision: String,
        /// The files that are not here.
        missing: Vec<Digest>,
    },
    /// A pull would fetch files, but the name is pinned and stays.
    Pinned {
        /// The source's word for what it offers.
        revision: String,
        /// The files that are not here.
        missing: Vec<Digest>,
    },
    /// The source offers nothing under this name, or does not tell.
    Unknown,
}

/// How a model stands. `older` are its other versions, as far as they could be read.
pub fn standing(model: &Model, older: &[Model], remote: Option<&Remote>) -> Standing {
    let Some(remote) = remote.filter(|remote| !remote.digests.is_empty()) else { return Standing::Unknown };
    let missing = missing(model, remote);
    if missing.is_empty() {
        return Standing::Current;
    }
    let revision = remote.revision.clone();
    if model.is_pinned {
        return Standing::Pinned { revision, missing };
    }
    match older.iter().find(|older| self::missing(older, remote).is_empty()) {
        Some(older) => Standing::InHistory { version: older.digest },
        None => Standing::Outdated { revision, missing },
    }
}

fn missing(model: &Model, remote: &Remote) -> Vec<Digest> {
    let has = |digest: &Digest| model.manifest.files.iter().any(|file| file.digest == *digest);
    remote.digests.iter().filter(|digest| !has(digest)).copied().collect()
}
