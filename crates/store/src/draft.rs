//! A file on its way into the store: written under a name of its own, made durable, then given its real name.
//!
//! Not visible to readers before that. While its writer lives the file is locked; one that nobody holds is what
//! a dead writer left, and the next writer removes it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use base::disk::{Disk, Entry, Kind, WriteFile};

use crate::digest::{Hasher, for_each_chunk};
use crate::{Digest, Error, Result};

/// A draft; dropping it without [`Draft::publish`] removes it.
pub(crate) struct Draft<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    file: Option<Box<dyn WriteFile>>,
}

impl<'a> Draft<'a> {
    /// An empty draft. The caller holds the store's lock, so that nobody takes the file for a leftover between
    /// its creation and its locking.
    pub(crate) fn create(disk: &'a dyn Disk, folder: &Path) -> Result<Self> {
        static N_DRAFTS: AtomicU64 = AtomicU64::new(0);
        loop {
            // Two processes of one number exist where containers share a home: then the next name is tried.
            let number = N_DRAFTS.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("draft-{}-{number}", std::process::id()));
            match disk.create_new(&path) {
                Ok(file) => return Ok(Self { disk, path, file: Some(file) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("create", &path, error)),
            }
        }
    }

    /// Removes the drafts of dead writers. The caller holds the store's lock.
    pub(crate) fn remove_leftovers(disk: &dyn Disk, folder: &Path) -> Result<()> {
        let is_draft =
            |entry: &Entry| entry.kind == Kind::File && entry.name.as_encoded_bytes().starts_with(b"draft-");
        let entries = disk.list(folder).map_err(|error| Error::io("list", folder, error))?;
        for entry in entries.into_iter().filter(is_draft) {
            let path = folder.join(entry.name);
            match disk.remove_leftover(&path) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("remove", &path, error)),
            }
        }
        Ok(())
    }

    /// Lets the draft share the blocks of `source`; `false` where the file system cannot.
    pub(crate) fn reflink(&mut self, source: &Path) -> bool {
        self.open_file().reflink(source).is_ok()
    }

    /// Writes all that `reader` gives and makes it durable. `source` is for the errors of reading.
    /// Gives the digest and the number of bytes.
    pub(crate) fn fill(&mut self, reader: &mut dyn Read, source: &Path) -> Result<(Digest, u64)> {
        let mut hasher = Hasher::default();
        for_each_chunk(reader, source, |chunk| {
            hasher.update(chunk);
            self.open_file().write_all(chunk).map_err(|error| Error::io("write", &self.path, error))
        })?;
        self.sync()?;
        Ok(hasher.finish())
    }

    /// Reads back what a reflink gave, and makes it durable. Gives the digest and the number of bytes.
    pub(crate) fn hash(&mut self) -> Result<(Digest, u64)> {
        self.sync()?;
        hash_file(self.disk, &self.path)
    }

    /// Closes the draft and gives it its real name. The caller syncs the folder of `to`.
    pub(crate) fn publish(mut self, to: &Path) -> Result<()> {
        self.file = None;
        self.disk.rename(&self.path, to).map_err(|error| Error::io("rename to", to, error))?;
        self.path.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.open_file().sync().map_err(|error| Error::io("make durable", &self.path, error))
    }

    fn open_file(&mut self) -> &mut dyn WriteFile {
        self.file.as_deref_mut().expect("only publish, which consumes the draft, closes the file")
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.file = None;
        if !self.path.as_os_str().is_empty() {
            // Where even this fails, the next writer finds the draft unlocked and removes it.
            let _ = self.disk.remove_file(&self.path);
        }
    }
}

/// The digest and the length of a file.
pub(crate) fn hash_file(disk: &dyn Disk, path: &Path) -> Result<(Digest, u64)> {
    let mut file = disk.open(path).map_err(|error| Error::io("open", path, error))?;
    let mut hasher = Hasher::default();
    for_each_chunk(&mut *file, path, |chunk| {
        hasher.update(chunk);
        Ok(())
    })?;
    Ok(hasher.finish())
}
