//! Reading small files of somebody else: a limit for each, and what is wrong as a reason.
//!
//! Not for weights.

use std::io::Read;
use std::path::{Path, PathBuf};

use base::disk::{Disk, Entry, Kind};
use serde::de::DeserializeOwned;

use super::Reason;
use super::place::facts_of;
use crate::{Error, Result};

/// The bytes of a file of at most `limit` bytes.
pub(super) fn read(disk: &dyn Disk, path: &Path, limit: u64) -> std::result::Result<Vec<u8>, Reason> {
    let wrong = |message: String| Reason::NotTheFormat { path: path.to_owned(), message };
    let too_long = || wrong(format!("it is over the limit of {limit} bytes"));
    if facts_of(disk, path)?.size_bytes > limit {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    let file = disk.open(path).map_err(|error| wrong(error.to_string()))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > limit { Err(too_long()) } else { Ok(bytes) }
}

/// The same as JSON of one shape.
pub(super) fn read_json<T: DeserializeOwned>(
    disk: &dyn Disk,
    path: &Path,
    limit: u64,
) -> std::result::Result<T, Reason> {
    let bytes = read(disk, path, limit)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = crate::error::shown(&error.to_string());
        Reason::NotTheFormat { path: path.to_owned(), message }
    })
}

/// The entries of a folder of somebody else, without hidden ones; none where there is no such folder.
pub(super) fn entries(disk: &dyn Disk, folder: &Path) -> Result<Vec<Entry>> {
    match disk.list(folder) {
        Ok(entries) => {
            Ok(entries.into_iter().filter(|entry| !entry.name.as_encoded_bytes().starts_with(b".")).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io("list", folder, error)),
    }
}

/// The folders in a folder.
pub(super) fn folders(disk: &dyn Disk, folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = entries(disk, folder)?.into_iter().filter(|entry| entry.kind == Kind::Directory);
    Ok(entries.map(|entry| folder.join(entry.name)).collect())
}

/// A path's last part as text, made safe to show where it is none.
pub(super) fn last_part(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
