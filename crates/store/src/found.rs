//! Models that other programs keep on this machine, found and used where they lie.
//!
//! Does not: copy, change, lock or remove anything of theirs, and believes nothing that they write: digests and
//! sizes are claims until a file is read, names lead nowhere but into their folder, and every text has a limit.
//!
//! ```text
//! <Ollama's models>/manifests/<host>/<namespace>/<name>/<tag>     which blobs a model consists of
//! <Ollama's models>/blobs/sha256-<64 hex>
//! <the Hugging Face hub>/models--<user>--<repository>/refs/<branch>                  a commit
//! <the Hugging Face hub>/models--<user>--<repository>/snapshots/<commit>/<file>      mostly a link to a blob
//! <the Hugging Face hub>/models--<user>--<repository>/blobs/<SHA-256, or Git's SHA-1 of a small file>
//! ```
//!
//! Source: Ollama's documentation and media types; Hugging Face's documentation, "Manage huggingface_hub cache".

pub(crate) mod contents;
mod hugging_face;
pub(crate) mod ollama;
mod place;
mod text;
mod used;

pub use place::{Folder, Found, FoundFile, Place, Reason, Skipped};

use base::disk::Disk;

pub use contents::role_of;

use crate::Result;

/// What was found in folders of others.
#[derive(Debug, Default)]
pub struct Elsewhere {
    /// Models that are whole, by all that can be seen without reading the weights.
    pub models: Vec<Found>,
    /// What is no model or not whole, with the reason.
    pub skipped: Vec<Skipped>,
}

/// The models in one folder. A folder that is not there holds none.
///
/// # Errors
/// [`crate::Error::BadSource`] for a path that is not absolute, and [`crate::Error::Io`] for a folder that cannot be
/// listed; what is wrong below it is in the answer.
pub fn list(disk: &dyn Disk, folder: &Folder) -> Result<Elsewhere> {
    let mut elsewhere = Elsewhere::default();
    for candidate in candidates(disk, folder)? {
        match candidate {
            Ok(candidate) => candidate.read(disk, folder, &mut elsewhere),
            Err(skipped) => elsewhere.skipped.push(skipped),
        }
    }
    elsewhere.models.sort_by(|a, b| a.shown.cmp(&b.shown));
    elsewhere.skipped.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(elsewhere)
}

/// What may be a model, told by its folder's name alone.
pub(crate) fn candidates(
    disk: &dyn Disk,
    folder: &Folder,
) -> Result<Vec<std::result::Result<place::Candidate, Skipped>>> {
    folder.check()?;
    match folder.place {
        Place::Ollama => ollama::candidates(disk, folder),
        Place::HuggingFace => hugging_face::candidates(disk, folder),
    }
}
