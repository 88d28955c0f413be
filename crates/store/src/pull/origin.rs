//! What a pulled model's manifest remembers of its source, so that one can later ask whether there is a newer one.
//!
//! Not secret: no token, and no query of an address.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Which version of what a model was pulled as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// What [`super::Remote::parse`] reads. Empty where asking again needs a secret (an address with a query).
    pub remote: String,
    /// The version there: a commit, the digest of a registry's manifest, or a file's validator.
    pub version: String,
    /// What the source says of the terms of use, such as `apache-2.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}

/// What a source has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteVersion {
    /// The version, as in [`Origin::version`].
    pub version: String,
    /// The announced digests of the files that a pull would bring; those without one are not among them.
    pub digests: Vec<Digest>,
    /// The bytes of all files, where they are known.
    pub size_bytes: Option<u64>,
}

impl RemoteVersion {
    /// Whether a pull would bring what this manifest has already: the same version, or another version (a commit
    /// that only touched the read-me, say) whose announced digests are all here.
    pub fn is_here(&self, manifest: &crate::Manifest) -> bool {
        let is_same = manifest.origin.as_ref().is_some_and(|origin| origin.version == self.version);
        let has = |digest: &Digest| manifest.files.iter().any(|file| file.digest == *digest);
        is_same || (!self.digests.is_empty() && self.digests.iter().all(has))
    }
}
