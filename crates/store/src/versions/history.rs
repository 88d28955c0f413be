//! Moving a name to another of its versions, and pinning it so that nothing moves it.
//!
//! Does not: change a version. A name's record lists its manifests, the oldest first; going back moves the pointer
//! and forgets nothing, so that going forward moves it again.

use crate::manifest::Record;
use crate::write::check_writable;
use crate::{Digest, Error, Model, ModelName, Result, Store};

/// Which of its versions a name is to stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The one before the current.
    Older,
    /// The one after the current.
    Newer,
    /// This one.
    Version(Digest),
}

impl Store {
    /// Makes a name stand for another of its versions, once all files of that version are seen to be here.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`] at either end, [`Error::VersionNotFound`], [`Error::Pinned`],
    /// [`Error::FileMissing`] or [`Error::Corrupt`] where the version is not whole, and those of a write.
    pub fn rollback(&self, name: &ModelName, target: Target) -> Result<Model> {
        let _lock = self.begin_change(name)?;
        let mut record = self.record_of(name)?;
        if record.is_pinned {
            return Err(Error::Pinned { name: record.name.to_string(), digest: record.current });
        }
        record.current = aim(&record, target)?;
        let manifest = self.read_manifest(&record.current)?;
        manifest.files.iter().try_for_each(|file| self.locate(file).map(drop))?;
        self.put_record(&record)?;
        Ok(Model::of(record, manifest))
    }

    /// Holds a name at its current version: no import, copy, pull or rollback moves it, no collection shortens its
    /// history, and it is not removed.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the nearest names, and those of a write.
    pub fn pin(&self, name: &ModelName) -> Result<()> {
        self.set_pin(name, true)
    }

    /// Lets a name move again.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the nearest names, and those of a write.
    pub fn unpin(&self, name: &ModelName) -> Result<()> {
        self.set_pin(name, false)
    }

    fn set_pin(&self, name: &ModelName, is_pinned: bool) -> Result<()> {
        let _lock = self.begin_change(name)?;
        let mut record = self.record_of(name)?;
        if record.is_pinned == is_pinned {
            return Ok(());
        }
        record.is_pinned = is_pinned;
        self.put_record(&record)
    }

    /// The record of a name that must be there.
    fn record_of(&self, name: &ModelName) -> Result<Record> {
        self.read_record(name)?.ok_or_else(|| self.not_own(name))
    }

    /// Takes the writer's lock for a change of a record that is there: nothing is made for a name that is not.
    fn begin_change(&self, name: &ModelName) -> Result<base::disk::Lock> {
        check_writable(name)?;
        self.record_of(name)?;
        self.begin_write()
    }

    /// Refuses to move a pinned name before its new files are copied. Under the lock it is asked again.
    pub(crate) fn check_unpinned(&self, name: &ModelName) -> Result<()> {
        match self.read_record(name) {
            Ok(Some(record)) if record.is_pinned => {
                Err(Error::Pinned { name: record.name.to_string(), digest: record.current })
            }
            Err(Error::Corrupt { .. }) => Ok(()), // What cannot be read is replaced or removed.
            other => other.map(drop),
        }
    }
}

fn aim(record: &Record, target: Target) -> Result<Digest> {
    let at = record.versions.iter().position(|digest| *digest == record.current);
    let at = at.expect("a record that was read has its current version among its versions");
    let name = || record.name.to_string();
    match target {
        Target::Older => at
            .checked_sub(1)
            .map(|at| record.versions[at])
            .ok_or_else(|| Error::NoSuchVersion { name: name(), which: "older" }),
        Target::Newer => record
            .versions
            .get(at + 1)
            .copied()
            .ok_or_else(|| Error::NoSuchVersion { name: name(), which: "newer" }),
        Target::Version(digest) if record.versions.contains(&digest) => Ok(digest),
        Target::Version(digest) => Err(Error::VersionNotFound { name: name(), digest }),
    }
}
