//! Taking a model away, and collecting the blobs that no version of any model names any more.
//!
//! Does not: touch files in place, nor collect anything while some record cannot be read: it may name blobs.

use std::collections::BTreeSet;
use std::io;

use crate::write::check_writable;
use crate::{Digest, Error, Location, ModelName, Result, Store};

/// What was collected.
#[derive(Debug, Default)]
pub struct Removed {
    /// The number of blobs that are gone.
    pub n_blobs: usize,
    /// Their bytes.
    pub freed_bytes: u64,
    /// Why not all that could go is gone; the next removal or collection tries again.
    pub not_collected: Option<Error>,
}

impl Store {
    /// Removes a name with all its versions, then the blobs that nobody else names. Also removes a name whose
    /// record is damaged.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the nearest names, and those of a write. A failure to collect is no error: the
    /// name is gone, and the answer says what stayed.
    pub fn remove(&self, name: &ModelName) -> Result<Removed> {
        check_writable(name)?;
        let path = self.layout.record(name);
        match self.disk.facts(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.not_found(name)),
            _ => {}
        }
        let _lock = self.begin_write()?;
        match self.disk.remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.not_found(name)),
            other => other.map_err(|error| Error::io("remove", &path, error))?,
        }
        let folders = self.layout.record_folders(name);
        // Durable before any blob goes: otherwise a power loss could bring back a model without its bytes.
        self.sync_folder(&folders[2])?;
        for folder in folders.iter().rev() {
            if self.disk.remove_dir(folder).is_err() {
                break; // Another tag or model lives in it.
            }
        }
        Ok(self.collect_unused())
    }

    /// Removes the blobs that no version of any model names, such as an import leaves that was interrupted.
    ///
    /// # Errors
    /// Those of a write.
    pub fn collect(&self) -> Result<Removed> {
        let _lock = self.begin_write()?;
        Ok(self.collect_unused())
    }

    /// The caller holds the lock, so that no import is between its blobs and its record.
    fn collect_unused(&self) -> Removed {
        let mut removed = Removed::default();
        removed.not_collected = self.remove_unused(&mut removed).err();
        removed
    }

    fn remove_unused(&self, removed: &mut Removed) -> Result<()> {
        let used = self.used_blobs()?;
        for entry in self.entries(&self.layout.blobs)? {
            let Some(digest) = entry.name.to_str().and_then(Digest::from_file_name) else { continue };
            if used.contains(&digest) {
                continue;
            }
            let path = self.layout.blob(&digest);
            let size_bytes = self.disk.facts(&path).map_or(0, |facts| facts.size_bytes);
            self.disk.remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
            removed.n_blobs += 1;
            removed.freed_bytes = removed.freed_bytes.saturating_add(size_bytes);
        }
        if removed.n_blobs > 0 { self.sync_folder(&self.layout.blobs) } else { Ok(()) }
    }

    /// The digests that some version of some model names: its manifest and its files in the store.
    fn used_blobs(&self) -> Result<BTreeSet<Digest>> {
        let mut used = BTreeSet::new();
        for name in self.record_names()? {
            let Some(record) = self.read_record(&name?)? else { continue };
            for digest in record.versions {
                used.insert(digest);
                let files = self.read_manifest(&digest)?.files.into_iter();
                used.extend(files.filter(|file| file.location == Location::Blob).map(|file| file.digest));
            }
        }
        Ok(used)
    }
}
